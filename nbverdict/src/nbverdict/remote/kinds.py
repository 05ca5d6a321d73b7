"""Kinds of values that are made of parts, such as a `Fraction` or a set: how each is taken apart and put together.

Parts are values that travel themselves. What comes from a student's kernel is put together from data alone: a class of
the student's, such as an enumeration or a dataclass, becomes one of the same name and fields here, without its code.
"""

import builtins
import collections
import dataclasses
import enum
import functools
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from fractions import Fraction
from operator import itemgetter
from pathlib import Path, PosixPath, PurePath, PurePosixPath
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from nbverdict.checks.figures import Axes, Drawn, Figure

_MOST_CLASSES = 100  # of each kind that are made for values of students
_FACTORIES = {kind.__name__: kind for kind in (int, float, complex, str, bytes, bool, list, tuple, dict, set)}


class Kind(NamedTuple):
    """One kind of value."""

    name: str
    parts: Callable[[Any], Sequence[Any]]  # what a value is made from
    build: Callable[..., Any]  # the value from these; raises some exception for parts that `parts` would not give


def kind_of(value: object) -> Kind | None:
    """Return the kind of a value, or None if it is none of these."""
    if found := _BY_TYPE.get(type(value)):
        return found
    return next((kind for fits, kind in _BY_FORM if fits(value)), None)


def kind_named(name: str) -> Kind | None:
    """Return the kind of that name, or None if there is none."""
    return _BY_NAME.get(name)


# --- classes that are made of names and fields -----------------------------------------------------------------------


def _name(value: object) -> str:
    return type(value).__name__


def _checked(name: str, fields: Sequence[str]) -> tuple[str, tuple[str, ...]]:
    own = [field for field in fields if field.isidentifier() and not field.startswith("__")]
    if not name.isidentifier() or len(set(own)) < len(fields):
        raise ValueError("not the names of a class and its fields")
    return name, tuple(fields)


@functools.lru_cache(_MOST_CLASSES)
def _tuple_class(name: str, fields: tuple[str, ...]) -> type:
    places = {field: property(itemgetter(place)) for place, field in enumerate(fields)}
    own = {"__slots__": (), "_fields": fields, "_asdict": lambda self: dict(zip(fields, self, strict=True))}
    return type(name, (tuple,), {**places, **own})


def _named_tuple(name: str, fields: Sequence[str], values: Sequence[Any]) -> Any:
    made = _tuple_class(*_checked(name, fields))(values)
    if len(made) != len(fields):
        raise ValueError("a value for each field")
    return made


@functools.lru_cache(_MOST_CLASSES)
def _data_class(name: str, fields: tuple[str, ...]) -> type:
    def equal(self: Any, other: object) -> Any:
        if type(other) is not type(self):
            return NotImplemented
        return all(getattr(self, field) == getattr(other, field) for field in fields)

    def show(self: Any) -> str:
        return f"{name}({', '.join(f'{field}={getattr(self, field)!r}' for field in fields)})"

    # No code is made from these names: the methods are the ones above.
    return dataclasses.make_dataclass(
        name, fields, init=False, repr=False, eq=False, namespace={"__eq__": equal, "__repr__": show, "__hash__": None}
    )


def _data(name: str, fields: Sequence[str], values: Sequence[Any]) -> Any:
    kind = _data_class(*_checked(name, fields))
    made = kind()
    for field, value in zip(fields, values, strict=True):
        setattr(made, field, value)
    return made


def _fields(value: Any) -> list[str]:
    return [field.name for field in dataclasses.fields(value)]


def _values(value: Any) -> list[Any]:
    return [getattr(value, name) for name in _fields(value)]


_ENUM_BASES: dict[str, type[enum.Enum]] = {
    kind.__name__: kind for kind in (enum.IntFlag, enum.Flag, enum.IntEnum, enum.StrEnum, enum.Enum)
}


def _enum_parts(value: enum.Enum) -> Sequence[Any]:
    kind = type(value)
    base = next(name for name, one in _ENUM_BASES.items() if issubclass(kind, one))
    members = [(name, member.value) for name, member in kind.__members__.items()]
    return type(value).__name__, base, members, value.value


def _enum(name: str, base: str, members: Sequence[tuple[str, Any]], value: Any) -> Any:
    _checked(name, [member for member, _ in members])
    return _enum_class(name, base, tuple((member, one) for member, one in members))(value)


@functools.lru_cache(_MOST_CLASSES)
def _enum_class(name: str, base: str, members: tuple[tuple[str, Any], ...]) -> Any:
    make: Any = _ENUM_BASES[base]
    return make(name, members)


def _exception_parts(error: BaseException) -> Sequence[Any]:
    known = next(kind for kind in type(error).__mro__ if getattr(builtins, kind.__name__, None) is kind)
    return type(error).__name__, known.__name__, list(error.args)


def _exception(name: str, base: str, args: Iterable[Any]) -> BaseException:
    kind = _exception_class(name, base)
    error: BaseException = kind.__new__(kind, *args)
    error.args = tuple(args)
    return error


@functools.lru_cache(_MOST_CLASSES)
def _exception_class(name: str, base: str) -> Any:
    known = getattr(builtins, base)
    if not issubclass(known, BaseException):
        raise TypeError(base)
    _checked(name, ())
    return known if name == base else type(name, (known,), {})


# --- the kinds -------------------------------------------------------------------------------------------------------


def _default_dictionary(factory: str | None, content: Mapping[Any, Any]) -> collections.defaultdict[Any, Any]:
    return collections.defaultdict(_FACTORIES[factory] if factory else None, content)


def _factory_name(value: collections.defaultdict[Any, Any]) -> str | None:
    name = getattr(value.default_factory, "__name__", "")
    return name if _FACTORIES.get(name) is value.default_factory else None


MOST_NUMBERS = 1 << 20  # of a range: a check may make a list of it


def _bounds(numbers: range) -> tuple[int, int, int]:
    if len(numbers) > MOST_NUMBERS:
        raise ValueError(f"it has more than {MOST_NUMBERS:,} numbers")
    return numbers.start, numbers.stop, numbers.step


def _on_the_clock(value: Any) -> list[Any]:
    return [value.hour, value.minute, value.second, value.microsecond, value.tzinfo, value.fold]


def _made_time(*parts: Any) -> time:
    return time(*parts[:-1], fold=parts[-1])


def _made_datetime(*parts: Any) -> datetime:
    return datetime(*parts[:-1], fold=parts[-1])


def _zone(offset: timedelta, name: str | None) -> timezone:
    return timezone(offset) if name is None else timezone(offset, name)


def _zone_parts(value: timezone) -> Sequence[Any]:
    offset = value.utcoffset(None)
    name = value.tzname(None)
    return offset, None if name == timezone(offset).tzname(None) else name


_BY_TYPE: dict[type, Kind] = {
    set: Kind("set", lambda v: [list(v)], set),
    frozenset: Kind("frozenset", lambda v: [list(v)], frozenset),
    bytearray: Kind("bytearray", lambda v: [bytes(v)], bytearray),
    complex: Kind("complex", lambda v: [v.real, v.imag], complex),
    Fraction: Kind("Fraction", lambda v: [v.numerator, v.denominator], Fraction),
    Decimal: Kind("Decimal", lambda v: [str(v)], Decimal),
    date: Kind("date", lambda v: [v.year, v.month, v.day], date),
    time: Kind("time", _on_the_clock, _made_time),
    datetime: Kind("datetime", lambda v: [v.year, v.month, v.day, *_on_the_clock(v)], _made_datetime),
    timedelta: Kind("timedelta", lambda v: [v.days, v.seconds, v.microseconds], timedelta),
    timezone: Kind("timezone", _zone_parts, _zone),
    ZoneInfo: Kind("ZoneInfo", lambda v: [v.key], ZoneInfo),
    range: Kind("range", lambda v: [*_bounds(v)], lambda *bounds: range(*_bounds(range(*bounds)))),
    slice: Kind("slice", lambda v: [v.start, v.stop, v.step], slice),
    uuid.UUID: Kind("UUID", lambda v: [v.hex], uuid.UUID),
    PurePosixPath: Kind("PurePath", lambda v: [str(v)], PurePath),
    PosixPath: Kind("Path", lambda v: [str(v)], Path),
    collections.Counter: Kind("Counter", lambda v: [dict(v)], collections.Counter),
    collections.OrderedDict: Kind("OrderedDict", lambda v: [dict(v)], collections.OrderedDict),
    collections.deque: Kind("deque", lambda v: [list(v), v.maxlen], collections.deque),
    collections.defaultdict: Kind("defaultdict", lambda v: [_factory_name(v), dict(v)], _default_dictionary),
    type(...): Kind("Ellipsis", lambda v: [], lambda: ...),
    Drawn: Kind("Drawn", _values, Drawn),
    Axes: Kind("Axes", _values, Axes),
    Figure: Kind("Figure", _values, Figure),
}


def _is_named_tuple(value: object) -> bool:
    fields = getattr(type(value), "_fields", None)
    return isinstance(value, tuple) and isinstance(fields, tuple) and len(fields) == len(value)


def _is_data(value: object) -> bool:
    return dataclasses.is_dataclass(value) and not isinstance(value, type)


_BY_FORM: tuple[tuple[Callable[[object], bool], Kind], ...] = (
    (lambda value: isinstance(value, enum.Enum), Kind("enumeration", _enum_parts, _enum)),
    (_is_named_tuple, Kind("namedtuple", lambda v: [_name(v), list(v._fields), list(v)], _named_tuple)),
    (
        _is_data,
        Kind("dataclass", lambda v: [_name(v), _fields(v), _values(v)], _data),
    ),
    (lambda value: isinstance(value, BaseException), Kind("exception", _exception_parts, _exception)),
)
_BY_NAME = {kind.name: kind for kind in (*_BY_TYPE.values(), *(kind for _, kind in _BY_FORM))}
