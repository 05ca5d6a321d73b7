"""Checks of `moving_average(x, width)`: the mean of each window of neighbours."""

from statistics import fmean

import numpy as np
import pytest

from nbverdict.checks.diagnosis import Mistake, Wrong, compare, describe

EXERCISE = {"answer": "moving_average"}

CAUSE = "an entry is not the mean of `width` neighbours"
HINT = "By hand: 1, 2, 3, 4 with width 2 gives 1.5, 2.5, 3.5."


def expected(x, width):
    """Return the right answer, window by window."""
    values = x.tolist()
    return np.array([fmean(values[i : i + width]) for i in range(len(values) - width + 1)])


def call(answer, x, width):
    """Call the answer, and return its array."""
    result = answer(x.copy(), width)
    if not isinstance(result, np.ndarray):
        hint = "End it with `return` and the new array: np.array([...])."
        cause = "the function returns something other than an array"
        raise Wrong(expected="an array of N - width + 1 means", got=describe(result), cause=cause, hint=hint)
    if result.shape != (number := max(0, len(x) - width + 1),):
        raise Wrong(
            expected=f"{number} means of {width} neighbours in {len(x)} samples",
            got=describe(result),
            cause="the windows do not move on by one sample, or some are left out",
            hint=HINT,
        )
    return result


@pytest.mark.points(1)
def test_by_hand(moving_average):
    """1, 2, 3, 4 with width 2 gives 1.5, 2.5, 3.5."""
    compare("mean", call(moving_average, np.arange(1.0, 5.0), 2), np.array([1.5, 2.5, 3.5]), cause=CAUSE, hint=HINT)


@pytest.mark.points(2)
def test_windows(moving_average, rng):
    """Each entry is the mean of its window, for any width up to the length."""
    x = rng.normal(size=8)
    for width in (1, 3, 8):
        right = expected(x, width)
        medians = np.array([np.median(x[i : i + width]) for i in range(len(right))])
        mistakes = [
            Mistake("the windows are summed, not averaged", "Divide by the width.", right * width),
            Mistake("these are medians", "np.mean, not np.median.", medians),
        ]
        compare("mean", call(moving_average, x, width), right, mistakes=mistakes, cause=CAUSE, hint=HINT)


@pytest.mark.points(1)
def test_too_wide(moving_average, rng):
    """A window wider than the signal gives an empty array, not an error."""
    hint = "There are max(0, N - width + 1) windows."
    compare("result", call(moving_average, rng.normal(size=3), 5), np.empty(0), cause="there is no window", hint=hint)
