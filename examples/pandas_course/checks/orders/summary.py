"""Checks of `summary`: a text."""

import pytest
from tables import revenue

from nbverdict.checks.diagnosis import Mistake, compare

EXERCISE = {"answer": "summary"}


@pytest.mark.points(2)
def test_summary(summary, rng):
    """A line for each town, with two decimals, and the sum under them."""
    values = revenue(rng)
    lines = [f"{town}: {value:.2f} €" for town, value in values.items()]
    hint = "A list of lines, and '\\n'.join(lines)."
    right = "\n".join([*lines, f"total: {values.sum():.2f} €"])
    mistakes = [Mistake("the sum is missing", hint, "\n".join(lines))]
    compare("summary", summary(values), right, mistakes=mistakes, cause="another text", hint=hint)
