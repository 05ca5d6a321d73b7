"""What the benchmarks compare with: this course under plain nbgrader, the checks called in the student's kernel."""

STOCK_CONFIG = """
c = get_config()
c.CourseDirectory.course_id = "multiview-vae-lab"
c.CourseDirectory.source_directory = "solutions"
c.CourseDirectory.release_directory = "assignments"
c.CourseDirectory.ignore = ["*.pyc", "__pycache__", ".ipynb_checkpoints", ".pytest_cache", "conftest.py", "results"]
c.Execute.extra_arguments = ["--HistoryManager.hist_file=:memory:", "--IPKernelApp.log_level=ERROR"]
"""
