"""Checks of `fit_line(x, y) -> (slope, intercept)`: the line with the least squared error."""

from statistics import linear_regression

import numpy as np
import pytest

from nbverdict.checks.diagnosis import Mistake, Wrong, compare, describe, same, untouched

EXERCISE = {"answer": "fit_line", "seconds": 3}

CAUSE = "another line than this has a smaller squared error"
HINT = "The slope is the covariance of x and y over the variance of x; the line goes through the two means."


def draw(rng, n=9):
    """Return x and y of n points around a line, as two arrays (n,)."""
    x = rng.uniform(-4, 6, n)
    return x, rng.uniform(1, 3) * x + rng.uniform(2, 5) + rng.normal(size=n)


def call(answer, x, y):
    """Call the answer with copies, and return slope and intercept."""
    result = answer(x.copy(), y.copy())
    if not (isinstance(result, tuple | list) and len(result) == 2 and all(np.ndim(part) == 0 for part in result)):
        raise Wrong(
            expected="two numbers, (slope, intercept)",
            got=describe(result),
            cause="the function does not return two numbers",
            hint="End it with `return slope, intercept`.",
        )
    return np.array([float(part) for part in result])


def mistakes(x, y):
    """Return typical wrong lines, each as (slope, intercept)."""
    slope, intercept = linear_regression(x.tolist(), y.tolist())
    through_zero = (x * y).sum() / (x**2).sum()
    back_slope, back_intercept = linear_regression(y.tolist(), x.tolist())
    sample = np.cov(x, y)[0, 1] / x.var()
    return [
        Mistake("slope and intercept are exchanged", "Return (slope, intercept).", np.array([intercept, slope])),
        Mistake("the line goes through the origin", HINT, np.array([through_zero, 0.0])),
        Mistake("x is fitted to y", "y is what is predicted.", np.array([back_slope, back_intercept])),
        Mistake("the intercept is the mean of y", HINT, np.array([slope, y.mean()])),
        Mistake(
            "the covariance divides by N - 1 and the variance by N",
            "Use the same divisor in both: it cancels.",
            np.array([sample, y.mean() - sample * x.mean()]),
        ),
    ]


@pytest.mark.points(1)
def test_by_hand(fit_line):
    """The points (0, 1), (1, 3), (2, 5) lie on y = 2x + 1."""
    x, y = np.array([0.0, 1.0, 2.0]), np.array([1.0, 3.0, 5.0])
    right = np.array([2.0, 1.0])
    compare("(slope, intercept)", call(fit_line, x, y), right, mistakes=mistakes(x, y), cause=CAUSE, hint=HINT)


@pytest.mark.points(3)
def test_line(fit_line, rng):
    """Slope and intercept are those of the least squared error."""
    x, y = draw(rng)
    right = np.array(linear_regression(x.tolist(), y.tolist()))
    compare("(slope, intercept)", call(fit_line, x, y), right, mistakes=mistakes(x, y), cause=CAUSE, hint=HINT)


@pytest.mark.points(1)
def test_far_from_zero(fit_line, rng):
    """The line is exact where x is far from 0, for example a year."""
    x, y = draw(rng)
    year = 2000 + np.round(x)
    right = np.array(linear_regression(year.tolist(), y.tolist()))
    cause, hint = "the line is wrong where x is near 0, too", "Mend that first."
    if same(call(fit_line, x, y), linear_regression(x.tolist(), y.tolist())):
        cause, hint = "a difference of two large sums loses its digits", "Subtract the means before you multiply."
    compare("(slope, intercept)", call(fit_line, year, y), right, cause=cause, hint=hint, rtol=1e-8, atol=1e-6)


@pytest.mark.points(1)
def test_inputs(fit_line, rng):
    """x and y are left as they were."""
    x, y = draw(rng)
    given = x.copy(), y.copy()
    fit_line(*given)
    # A second call shows what the first has done to an input: each stands for the values y of another line.
    for name, now, before in zip("xy", given, (x, y), strict=True):
        untouched(name, lambda values: np.array(fit_line(np.arange(9.0), values)), now, before)
