"""Grade notebooks: `check("mean", mean)` in a cell, `judge(notebook, assignment)` for one that was handed in."""

import os
import sys
from typing import TYPE_CHECKING, Any

from nbverdict.checks.report import Report, Result
from nbverdict.confinement import CONFINED

if TYPE_CHECKING:
    from nbverdict.notebooks.judge import judge

__all__ = ["check", "judge"]


def __getattr__(name: str) -> Any:
    """Import `judge` when it is asked for: a notebook that checks an answer does not wait for what it imports."""
    if name != "judge":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from nbverdict.notebooks.judge import judge

    return judge


def check(exercise: str, answer: object, *, seed: int | None = None) -> Report:
    """Grade an answer and return the report; as the last line of a cell, it shows a table and gives nbgrader the score.

    `exercise` is the name of an exercise of any assignment that is installed or lies in the folder of the course,
    `answer` the function or class to grade. The checks draw their inputs from `seed`; without one, from a new seed that
    the report keeps. A bad answer never raises an error: it loses points.

    While a submission is graded, its answers are called from another process, and the checks cannot be read from the
    notebook. A call of `check` that a student added then says so and earns nothing.

    Raises ValueError if there is no exercise of that name, or more than one.
    """
    if CONFINED in os.environ:
        elsewhere = "While a submission is graded, only its graded cells are checked, and from another process."
        return Report(exercise, (Result("Not checked here", "missing", 0.0, 0.0, elsewhere),), 0)
    # Not at the top: whoever reads a configuration imports this package and has no use for pytest.
    from nbverdict.checks.runner import check_here

    return check_here(exercise, answer, seed=seed)


if "ipykernel" in sys.modules and CONFINED not in os.environ:
    from IPython import get_ipython

    if get_ipython():  # a student's own notebook
        from nbverdict.checks.answers import suggest_names

        suggest_names(get_ipython())
