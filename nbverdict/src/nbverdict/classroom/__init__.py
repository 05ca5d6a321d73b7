"""A whole class: its course, who executes, what is recorded, and what is published."""

import nbverdict.notebooks  # noqa: F401  # before nbgrader is imported: see there what it spares
