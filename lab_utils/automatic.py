"""How long a run trains where nobody watches it: graders, validation and tests take a few steps."""

import os


def training_length(epochs: int, steps: int) -> tuple[int, int]:
    """Return for how many epochs, and how many steps in each, to train: as asked, or fewer in an automatic run.

    That is where `LAB_STEPS` is set to a small number (2 where nbgrader says that it grades or validates): then there
    are at most two epochs of at most that many steps. The code that runs is the same.
    Raises ValueError if `LAB_STEPS` is not a positive whole number.
    """
    text = os.environ.get("LAB_STEPS", "2" if "NBGRADER_EXECUTION" in os.environ else "")
    if not text:
        return epochs, steps
    if not text.isdecimal() or int(text) == 0:
        raise ValueError(f"LAB_STEPS must be a positive whole number of steps, or not set; it is {text!r}")
    return min(epochs, 2), min(steps, int(text))
