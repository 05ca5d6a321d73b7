"""Whether somebody watches a run, and how little is done when nobody does: grading, validation and tests."""

import os
import sys

from lab_utils.errors import SettingError


def training_length(epochs: int, steps: int) -> tuple[int, int]:
    """Return how many epochs to train, and how many steps in each: as asked, or fewer in an automatic run.

    A run is automatic if `LAB_STEPS` is set to a small number (2 if nbgrader says that it grades or validates): then
    there are at most two epochs of at most that many steps. The code that runs is the same.
    Raises SettingError if `LAB_STEPS` is not a positive whole number.
    """
    text = _steps()
    if not text:
        return epochs, steps
    if not text.isdecimal() or int(text) == 0:
        raise SettingError(f"LAB_STEPS must be a positive whole number of steps, or not set; it is {text!r}")
    return min(epochs, 2), min(steps, int(text))


def scored(pairs: int) -> int:
    """Return how many pairs a model is scored on: as asked, or at most 200 in an automatic run."""
    return min(pairs, 200) if _steps() else pairs


def watched() -> bool:
    """Return whether somebody is looking at this notebook now, so that progress bars and sliders are of use.

    Nobody is in an automatic run, where notebooks are executed to be stored (`LAB_STILL`), or outside a notebook.
    """
    return "ipykernel" in sys.modules and not _steps() and "LAB_STILL" not in os.environ


def _steps() -> str:
    return os.environ.get("LAB_STEPS", "2" if "NBGRADER_EXECUTION" in os.environ else "")
