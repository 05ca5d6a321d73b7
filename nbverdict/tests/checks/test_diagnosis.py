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


def finding(got, right, **how):
    with pytest.raises(Wrong) as raised:
        compare("x", got, right, **{"cause": "unknown", "hint": "hint", **how})
    return raised.value.finding


def cause_of(got, right, **how):
    return finding(got, right, **how).cause


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


def test_a_text_is_compared_line_by_line():
    compare("x", "a\nb", "a\nb", cause="", hint="")
    found = finding("a\nc\n", "a\nb\n")
    assert (found.expected, found.got, found.where) == (
        "line 2 of x: 'b\\n'",
        "line 2 of x: 'c\\n'",
        "line 2 of x",
    )
    assert finding("a", "a\nb").got == "line 1 of x: 'a'"
    assert cause_of("a  b", "a b\n") == "only spaces or line breaks differ"
    assert cause_of("Ada", "ada") == "only capital and small letters differ"
    assert cause_of(None, "ada").startswith("nothing is returned; print shows")
    assert cause_of("adda", "ada", mistakes=[Mistake("twice d", "", "adda")]) == "twice d"


def test_other_values_are_compared_part_by_part():
    compare("x", {1: {2}, "a": [3]}, {1: {2}, "a": [3]}, cause="", hint="")
    compare("x", {"a": [0.1 + 0.2, "b"]}, {"a": [0.3, "b"]}, cause="", hint="")
    found = finding({1: 2, "a": "c"}, {1: 2, "a": "b"})
    assert (found.expected, found.where) == ("x = {1: 2, 'a': 'b'}", "x['a']")
    assert finding({}, {"a": "b"}).where == "x['a']"
    assert finding({"a": "b", "c": 1}, {"a": "b"}).where == "x['c']"
    assert finding(["a", "b"], ["a"]).where == "x: 2 items, not 1"
    assert cause_of([("a", 1)], {"a": "b"}) == "the result is no dict"
    assert cause_of({"b"}, {"a"}) == "unknown"
    assert finding({"a": np.zeros(2)}, {"a": "b"}).where == "x['a']"
    assert finding({"a": "b"}, {"a": np.zeros(2)}).where == "x['a']"
    assert cause_of({"a": np.zeros(2)}, {"a": np.ones(2), "b": "c"}) == "unknown"


def test_tables_are_compared_as_pandas_does():
    pd = pytest.importorskip("pandas", reason="pandas is not installed")
    table = pd.DataFrame({"a": [1, None]})
    compare("x", table * (1 + 1e-9), table, cause="", hint="")
    zeros = Mistake("zeros for gaps", "", table.fillna(0))
    assert cause_of(table.fillna(0), table, mistakes=[zeros]) == "zeros for gaps"
    assert 'column name="a"' in finding(table.fillna(0), table).where
    assert cause_of(table["a"], table) == "the result is no DataFrame"
    compare("x", table["a"], table["a"], cause="", hint="")
    compare("x", table.columns, table.columns, cause="", hint="")
