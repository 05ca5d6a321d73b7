"""nbgrader's configuration: `nbgrader` commands work from this folder."""

from nbverdict.configuration import configure

c = get_config()  # noqa: F821  (put here by the configuration loader)
configure(c)
c.CourseDirectory.course_id = "pandas-course"
c.ConfinedProvisioner.preload += ["pandas", "matplotlib.figure", "matplotlib.backends.backend_agg"]
