"""What is wrong with a result is said with the right place, cause and size."""

import numpy as np
import pytest

from nbverdict.checks.diagnosis import Mistake, Wrong, compare, describe


@pytest.mark.parametrize(
    ("got", "right", "named"),
    [
        ([1.0, 1e6 + 50], [2.0, 1e6], "x[0], by 1 "),  # 50 of a million is tolerated
        ([1.0, 5.0], [2.0, 9.0], "x[1], by 4 "),
        ([np.inf, 1.0], [np.inf, 2.0], "x[1], "),
        ([0.0, np.nan], [0.0, 1.0], "x[1], "),
    ],
)
def test_a_comparison_names_an_entry_that_is_not_tolerated(got, right, named):
    with pytest.raises(Wrong) as raised:
        compare("x", np.array(got), np.array(right), cause="cause", hint="hint")
    assert f"differs most: {named}" in str(raised.value)


def cause_of(got, right, **how):
    with pytest.raises(Wrong) as raised:
        compare("x", got, right, **{"cause": "unknown", "hint": "hint", **how})
    return raised.value.finding.cause


def test_a_cause_is_named_where_one_mistake_fits_and_where_it_is_confirmed():
    twice, added = Mistake("doubled", "halve it", 4.0), Mistake("added", "do not add", 4.0)
    assert cause_of(4.0, 2.0, mistakes=[twice]) == "doubled"
    assert cause_of(4.0, 2.0, mistakes=[twice, added]) == "unknown"
    assert cause_of(4.0, 2.0, mistakes=[twice, added], confirm=lambda cause: cause == "added") == "added"
    assert cause_of(4.0, 2.0, mistakes=[twice], confirm=lambda cause: False) == "unknown"


@pytest.mark.parametrize("unit", [1e-34, 1e-9, 1e-5, 1.0, 1e9])
def test_values_in_any_unit_are_compared(unit):
    right = unit * np.array([1.0, 0.5])
    compare("x", right * (1 + 1e-6), right, cause="", hint="")
    assert cause_of(2 * right, right) == "unknown"


def test_what_is_no_number_or_nearly_zero_has_a_tolerance():
    compare("x", np.zeros(2), np.array([0.0, 1e-58]), cause="", hint="")
    assert cause_of(np.array([1.0]), np.array([np.nan])).startswith("the result is not a number")
    assert cause_of(np.array([1.0, 2.0]), np.array([np.inf, 2.0])) == "unknown"


@pytest.mark.parametrize(
    ("value", "described"),
    [
        (np.zeros((2, 3), dtype=np.int32), "an array of shape (2, 3) and dtype int32"),
        ((1, "a"), "a tuple of 2: (int 1, str 'a')"),
        (None, "NoneType None"),
        (object(), "an object of type object"),
    ],
)
def test_a_value_is_described_by_its_kind(value, described):
    assert describe(value) == described
