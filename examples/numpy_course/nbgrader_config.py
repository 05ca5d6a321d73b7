"""nbgrader's configuration of a small course in NumPy: `nbgrader` commands work from this folder."""

from nbverdict.configuration import configure

c = get_config()  # noqa: F821  (put here by the configuration loader)
configure(c)
c.CourseDirectory.course_id = "numpy-course"
c.ConfinedProvisioner.preload += ["numpy", "matplotlib.pyplot"]
