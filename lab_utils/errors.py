"""Errors of whoever set up a run, not of its code: a notebook shows them in a line."""


class LabError(Exception):
    """Says what was found, what was expected and what to do; a traceback through this package would only bury that."""

    def _render_traceback_(self) -> list[str]:
        """Return the lines that IPython shows in place of a traceback."""
        return [f"{type(self).__name__}: {self}"]


class SettingError(LabError, ValueError):
    """A setting, such as an environment variable, has a value that it cannot have."""
