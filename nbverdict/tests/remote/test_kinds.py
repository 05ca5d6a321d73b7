"""Every value travels unchanged, its type too: drawn values of each kind, and one of each by hand."""

import collections
import dataclasses
import enum
import json
import math
import string
import zoneinfo
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from fractions import Fraction
from pathlib import Path, PurePosixPath

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as nps

from nbverdict.remote.wire import decode, encode


def there_and_back(value):
    return decode(json.loads(json.dumps(encode(value))))


def same(one, two):
    """Return whether two values are equal in type, size and each part; nan equals nan, and order counts in lists."""
    if type(one).__name__ != type(two).__name__:
        return False
    if isinstance(one, np.ma.MaskedArray):
        return same(np.ma.getmaskarray(one), np.ma.getmaskarray(two)) and same(one.filled(0), two.filled(0))
    if isinstance(one, np.ndarray):
        if (one.dtype, one.shape) != (two.dtype, two.shape):
            return False
        if one.dtype.kind == "O":
            return all(map(same, one.flat, two.flat))
        return one.tobytes() == two.tobytes()
    if isinstance(one, enum.Enum):
        return (one.name, one.value) == (two.name, two.value)
    if dataclasses.is_dataclass(one):
        return same(dataclasses.asdict(one), dataclasses.asdict(two))
    if isinstance(one, BaseException):
        return same(one.args, two.args)
    if isinstance(one, float | complex | Decimal):
        return repr(one) == repr(two)
    if isinstance(one, dict):
        return len(one) == len(two) and all(key in two and same(value, two[key]) for key, value in one.items())
    if isinstance(one, list | tuple | collections.deque):
        return len(one) == len(two) and all(map(same, one, two))
    return one == two


zones = st.sampled_from([None, UTC, timezone(timedelta(hours=-3)), zoneinfo.ZoneInfo("Europe/Berlin")])
hashable = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False),
    st.text(max_size=20),
    st.text(st.characters(categories=["Cs", "L"]), max_size=5),
    st.binary(max_size=20),
    st.complex_numbers(allow_nan=False),
    st.fractions(),
    st.decimals(allow_nan=False),
    st.dates(),
    st.times(timezones=zones.filter(lambda zone: not isinstance(zone, zoneinfo.ZoneInfo))),
    st.datetimes(timezones=zones),
    st.timedeltas(),
    st.uuids(),
    st.builds(range, st.integers(-9, 9), st.integers(-9, 9), st.integers(1, 3)),
    st.builds(Path, st.text(string.ascii_letters + "/.", min_size=1)),
)
arrays = nps.arrays(
    st.one_of(
        nps.scalar_dtypes().filter(lambda dtype: dtype.itemsize <= 16 and dtype.kind != "V" and dtype.char not in "gG"),
        nps.unicode_string_dtypes(max_len=4),
    ),
    nps.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3),
)
values = st.recursive(
    hashable | arrays,
    lambda part: st.one_of(
        st.lists(part, max_size=4),
        st.tuples(part, part),
        st.dictionaries(hashable, part, max_size=4),
        st.frozensets(hashable, max_size=4),
        st.sets(hashable, max_size=4),
        st.builds(collections.Counter, st.text("abc", max_size=9)),
        st.builds(collections.deque, st.lists(part, max_size=3)),
    ),
    max_leaves=12,
)


@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow])
@given(values)
def test_drawn_values_come_back_as_they_were(value):
    assert same(there_and_back(value), value)


Point = collections.namedtuple("Point", "x y")


class Colour(enum.Enum):
    RED = 1
    BLUE = "b"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Access(enum.Flag):
    READ = 1
    WRITE = 2


@dataclasses.dataclass
class Reading:
    place: str
    values: list


class TooCold(ValueError):
    pass


@pytest.mark.parametrize(
    "value",
    [
        {1: 1, (1, 2): {3}, None: "x"},
        collections.defaultdict(list, {1: [2]}),
        collections.OrderedDict([(2, 1), (1, 2)]),
        collections.deque([1, 2], 5),
        Point(1, [2]),
        bytearray(b"q"),
        slice(1, None),
        ...,
        math.nan,
        Colour.BLUE,
        Level.HIGH,
        Access.READ | Access.WRITE,
        Reading("a", [1.5]),
        PurePosixPath("a/b"),
        TooCold("it is", -3),
        KeyError("x"),
        datetime(2020, 10, 25, 2, 30, tzinfo=zoneinfo.ZoneInfo("Europe/Berlin"), fold=1),
        [[[[[[[[[["deep"]]]]]]]]]],
        "x" * 100_000,
        10**1000,
        np.float32(0.1),
        np.str_("hi"),
        np.datetime64("2020-01-01", "D"),
        np.array(3.5),
        np.array(["2020", "NaT"], dtype="M8[ns]"),
        np.array([1, "a", None, [2]], dtype=object),
        np.array([(1, 2.5, "a"), (3, 4.5, "b")], dtype=[("i", "i4"), ("f", "f8"), ("t", "U3")]),
        np.ma.array([1, 2, 3], mask=[False, True, False]),
    ],
    ids=lambda value: f"{type(value).__name__} {value!r:.30}",
)
def test_a_value_of_each_kind_comes_back_as_it_was(value):
    back = there_and_back(value)
    assert same(back, value)
    assert same(there_and_back([value, {"again": value}]), [value, {"again": value}])


def test_what_a_check_asks_of_them_works():
    assert there_and_back(Point(1, 2)).y == 2
    assert there_and_back(Level.HIGH) > 1
    assert there_and_back(Reading("a", [1])).values == [1]
    assert there_and_back([Reading("a", [1])] * 2)[0] == there_and_back(Reading("a", [1]))
    assert there_and_back(collections.defaultdict(list))[3] == []
    with pytest.raises(ValueError, match="cold"):
        raise there_and_back(TooCold("cold"))


def test_times_are_kept():
    for value in (date(2020, 1, 2), time(1, 2, 3, 4), Fraction(1, 3), Decimal("1.10")):
        assert there_and_back(value) == value
