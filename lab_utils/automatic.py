"""How long a run trains when nobody watches it: grading, validation and tests take a few steps."""

import os


def training_length(epochs: int, steps: int) -> tuple[int, int]:
    """Return how many epochs to train, and how many steps in each: as asked, or fewer in an automatic run.

    A run is automatic if `LAB_STEPS` is set to a small number (2 if nbgrader says that it grades or validates): then
    there are at most two epochs of at most that many steps. The code that runs is the same.
    Raises ValueError if `LAB_STEPS` is not a positive whole number.
    """
    text = os.environ.get("LAB_STEPS", "2" if "NBGRADER_EXECUTION" in os.environ else "")
    if not text:
        return epochs, steps
    if not text.isdecimal() or int(text) == 0:
        raise ValueError(f"LAB_STEPS must be a positive whole number of steps, or not set; it is {text!r}")
    return min(epochs, 2), min(steps, int(text))
