"""Checks of `standardise(x)`: each column with mean 0 and standard deviation 1."""

from statistics import fmean, pstdev

import numpy as np
import pytest

from nbverdict.checks.diagnosis import Mistake, Wrong, compare, describe

EXERCISE = {"answer": "standardise"}

HINT = "Do one column by hand: 1, 2, 3 has mean 2 and standard deviation sqrt(2/3)."


def draw(rng, rows=7, columns=3):
    """Return an array (rows, columns) whose columns have different means and spreads."""
    return rng.normal(size=(rows, columns)) * rng.uniform(1, 5, columns) + rng.uniform(-9, 9, columns)


def expected(x):
    """Return the right answer, column by column, by Python's own statistics."""
    columns = [[(value - fmean(column)) / pstdev(column) for value in column] for column in x.T.tolist()]
    return np.array(columns).T


def call(answer, x):
    """Call the answer with a copy of the array, and return its array."""
    result = answer(x.copy())
    if not isinstance(result, np.ndarray):
        raise Wrong(
            expected=f"an array of shape {x.shape}",
            got=describe(result),
            cause="the function returns something other than an array",
            hint="End it with `return` and the new array.",
        )
    return result


@pytest.mark.points(1)
def test_by_hand(standardise):
    """The column 1, 2, 3 becomes -1.2247, 0, 1.2247."""
    x = np.array([[1.0], [2.0], [3.0]])
    compare(
        "x", call(standardise, x), expected(x), cause="the result is not (x - mean) / standard deviation", hint=HINT
    )


@pytest.mark.points(2)
def test_columns(standardise, rng):
    """Each column is standardised by its own mean and standard deviation."""
    x = draw(rng)
    mean, spread = x.mean(0), x.std(0)
    mistakes = [
        Mistake("the mean is not subtracted", HINT, x / spread),
        Mistake("the result is divided by the variance", "Divide by the standard deviation.", (x - mean) / spread**2),
        Mistake("the result is not divided by anything", "Divide by the standard deviation.", x - mean),
        Mistake("the standard deviation divides by N - 1", "np.std divides by N.", (x - mean) / x.std(0, ddof=1)),
        Mistake("one mean and spread are taken over the whole array", "Give axis=0.", (x - x.mean()) / x.std()),
        Mistake(
            "rows are standardised, not columns",
            "axis=0 runs down a column.",
            (x - x.mean(1, keepdims=True)) / x.std(1, keepdims=True),
        ),
    ]
    cause = "the columns do not have mean 0 and standard deviation 1"
    compare("x", call(standardise, x), expected(x), mistakes=mistakes, cause=cause, hint=HINT)


@pytest.mark.points(1)
def test_constant_column(standardise, rng):
    """A constant column becomes 0, not nan."""
    x = draw(rng)
    x[:, 1] = 4.0
    right = np.zeros_like(x)
    right[:, [0, 2]] = expected(x[:, [0, 2]])
    got = call(standardise, x)
    cause = "0 is divided by 0" if np.isnan(got).any() else "the other columns are wrong, or the constant one is not 0"
    compare("x", got, right, cause=cause, hint="Divide by 1 where the standard deviation is 0: np.where.")
