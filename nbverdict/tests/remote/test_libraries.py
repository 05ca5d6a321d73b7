"""Values of pandas, SciPy, PIL and matplotlib travel, where these libraries are."""

import json

import numpy as np
import pytest

from nbverdict.checks.answers import CannotBeSentError
from nbverdict.checks.figures import seen
from nbverdict.remote.wire import Sent, decode, encode

pd = pytest.importorskip("pandas", reason="pandas is not installed")


def there_and_back(value):
    return decode(json.loads(json.dumps(encode(value))))


TABLE = pd.DataFrame(
    {
        "whole": [1, 2, 3],
        "text": ["x", None, "z"],
        "whole or missing": pd.array([1, None, 3], dtype="Int64"),
        "true or missing": pd.array([True, None, False], dtype="boolean"),
        "marked text": pd.array(["x", None, "y"], dtype="string"),
        "category": pd.Categorical(["u", "v", "u"], ordered=True),
        "date": pd.to_datetime(["2020", "2021", None]),
        "zoned": pd.to_datetime(["2020", "2021", None]).tz_localize("Europe/Berlin"),
        "span": pd.to_timedelta([1, 2, None], unit="s"),
        "period": pd.period_range("2020", periods=3, freq="M"),
        "interval": pd.interval_range(0, 3),
        "number": [1.5, None, 2],
        "object": [[1], {2: 3}, None],
    },
    index=pd.Index(["p", "q", "r"], name="n"),
)


@pytest.mark.parametrize("column", TABLE.columns)
def test_a_column_of_each_dtype_comes_back(column):
    pd.testing.assert_series_equal(there_and_back(TABLE[column]), TABLE[column])
    pd.testing.assert_frame_equal(there_and_back(TABLE[[column]]), TABLE[[column]])


@pytest.mark.parametrize(
    "table",
    [
        TABLE,
        TABLE.T,
        TABLE.set_index(["whole", "text"]),
        TABLE.describe(),
        TABLE.groupby("category", observed=True)[["whole"]].agg(["min", "max"]),
        pd.crosstab(TABLE["whole"], TABLE["category"]),
        pd.DataFrame(),
        pd.DataFrame([[1, 2]], columns=["x", "x"]),
        pd.DataFrame({1: [2], ("a", "b"): [3]}),
    ],
    ids=range(9),
)
def test_a_table_comes_back(table):
    back = there_and_back(table)
    pd.testing.assert_frame_equal(back, table)
    assert type(back.columns) is type(table.columns)


@pytest.mark.parametrize(
    "index",
    [
        pd.RangeIndex(1, 9, 2, name="i"),
        pd.date_range("2020", periods=3, freq="D", tz="UTC"),
        pd.timedelta_range("1D", periods=3),
        pd.MultiIndex.from_product([[1, 2], ["a"]], names=["x", None]),
        pd.CategoricalIndex(["a", "b"]),
        pd.Index([1, "a"]),
    ],
    ids=lambda index: type(index).__name__,
)
def test_an_index_comes_back(index):
    back = there_and_back(index)
    pd.testing.assert_index_equal(back, index)
    assert getattr(back, "freq", None) == getattr(index, "freq", None)


@pytest.mark.parametrize(
    "value",
    [
        pd.Timestamp("2020-06-01 03:00", tz="Europe/Berlin"),
        pd.Timestamp("2020"),
        pd.Timedelta("1D"),
        pd.Period("2020", "M"),
        pd.Interval(0, 1, closed="left"),
    ],
    ids=str,
)
def test_a_single_value_comes_back(value):
    back = there_and_back(value)
    assert back == value
    assert type(back) is type(value)


def test_missing_values_come_back():
    assert there_and_back(pd.NA) is pd.NA
    assert there_and_back(pd.NaT) is pd.NaT


def test_a_column_that_does_not_travel_is_named():
    table = pd.DataFrame({"a": pd.arrays.SparseArray([0, 1])})
    with pytest.raises(CannotBeSentError, match=r"A DataFrame cannot be sent .*a column of dtype Sparse"):
        encode(table, sent=Sent())
    with pytest.raises(CannotBeSentError, match="a column of dtype Sparse"):
        there_and_back(table).dropna()


def test_a_cell_that_does_not_travel_is_named_where_a_check_sends_it():
    with pytest.raises(CannotBeSentError, match="A function cannot be sent"):
        encode(pd.DataFrame({"a": [lambda: 1]}), sent=Sent())


@pytest.mark.parametrize("form", ["csr_array", "csc_matrix", "coo_array", "dok_array"])
def test_a_sparse_matrix_comes_back(form):
    sparse = pytest.importorskip("scipy.sparse", reason="SciPy is not installed")
    matrix = getattr(sparse, form)(np.array([[0.0, 1.0], [0.0, 2.0]]))
    back = there_and_back(matrix)
    assert type(back) is type(matrix)
    assert (back != matrix).nnz == 0


def test_a_picture_comes_back():
    image = pytest.importorskip("PIL.Image", reason="Pillow is not installed")
    picture = image.new("RGBA", (3, 2), (1, 2, 3, 4))
    back = there_and_back(picture)
    assert (back.mode, back.size, back.tobytes()) == (picture.mode, picture.size, picture.tobytes())


def test_a_plot_comes_as_what_a_check_asks_of_it():
    figure = pytest.importorskip("matplotlib.figure", reason="matplotlib is not installed").Figure()
    axes = figure.subplots()
    axes.plot([1, 2], [3, 4], label="heights")
    axes.set(title="T", xlabel="x in m", yscale="log")
    axes.legend()
    assert there_and_back(figure) == seen(figure)
    assert there_and_back(axes) == seen(axes)
    assert there_and_back(axes).all("line")[0].y == (3.0, 4.0)
