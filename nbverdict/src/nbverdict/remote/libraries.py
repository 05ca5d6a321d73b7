"""Kinds of values of other libraries, as parts that travel: pandas, SciPy's sparse matrices, PIL, matplotlib.

A library is imported where a value of it is taken apart, which is where it has been imported, or is put together.
"""

import functools
import importlib
import math
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from typing import Any

import numpy as np

from nbverdict.checks.figures import Axes, Figure
from nbverdict.remote.kinds import Kind

_MOST_CELLS = 10**8  # of a sparse matrix: a check may make a dense one of it


def kind_of(value: object) -> Kind | None:
    """Return the kind of a value of one of these libraries, or None."""
    library = type(value).__module__.partition(".")[0]
    if library not in _LIBRARIES:
        return None
    kinds = _kinds(library)
    return next((found for kind, found in kinds if isinstance(value, kind)), None)


def kind_named(name: str) -> Kind | None:
    """Return the kind of that name, such as "pandas.Series"; None if there is none, or its library is not here."""
    library = name.partition(".")[0]
    if library not in _LIBRARIES or find_spec(library) is None:
        return None
    return next((kind for _, kind in _kinds(library) if kind.name == name), None)


@functools.cache
def _kinds(library: str) -> list[tuple[Any, Kind]]:
    return _LIBRARIES[library]()


# --- pandas ----------------------------------------------------------------------------------------------------------


def _pandas() -> list[tuple[Any, Kind]]:
    pd: Any = importlib.import_module("pandas")

    def array_parts(values: Any) -> Sequence[Any]:
        """Return a column as the form of its dtype and what that is made from."""
        dtype = values.dtype
        match type(dtype).__name__:
            case "CategoricalDtype":
                return ["categories", np.asarray(values.codes), pd.Index(dtype.categories), bool(dtype.ordered)]
            case "DatetimeTZDtype":
                return ["zoned", values.asi8, dtype.unit, dtype.tz]
            case "PeriodDtype":
                return ["periods", values.asi8, dtype.name.removeprefix("period[").removesuffix("]")]
            case "IntervalDtype":
                return ["intervals", pd.Index(values.left), pd.Index(values.right), dtype.closed]
            case "StringDtype":
                known = [None if missing else str(one) for one, missing in zip(values, values.isna(), strict=True)]
                return ["strings", known, dtype.na_value is pd.NA]
            case "BooleanDtype" | "SparseDtype" | "ArrowDtype":
                if type(dtype).__name__ != "BooleanDtype":
                    raise TypeError(f"a column of dtype {dtype}")
        if hasattr(values, "_mask"):  # Int64 and its like, boolean
            return ["masked", np.asarray(values._data), np.asarray(values._mask)]
        return ["plain", np.asarray(values)]

    def made_array(form: str, *parts: Any) -> Any:
        match form:
            case "plain":
                return parts[0]
            case "masked":
                data, mask = parts
                if data.dtype.kind == "b":
                    return pd.arrays.BooleanArray(data, mask)
                kind = pd.arrays.FloatingArray if data.dtype.kind == "f" else pd.arrays.IntegerArray
                return kind(data, mask)
            case "categories":
                codes, categories, ordered = parts
                return pd.Categorical.from_codes(codes, categories, ordered)
            case "zoned":
                stamps, unit, zone = parts
                return pd.array(stamps.view(f"M8[{unit}]"), dtype=f"M8[{unit}]").tz_localize("UTC").tz_convert(zone)
            case "periods":
                stamps, frequency = parts
                return pd.arrays.PeriodArray(stamps, dtype=pd.PeriodDtype(frequency))
            case "intervals":
                left, right, closed = parts
                return pd.arrays.IntervalArray.from_arrays(left, right, closed)
            case "strings":
                known, marked = parts
                missing = pd.NA if marked else np.nan
                filled = [missing if one is None else one for one in known]
                return pd.array(filled, dtype=pd.StringDtype(na_value=missing))
        raise ValueError(form)

    def typed(array: Any) -> dict[str, Any]:
        """Return what keeps pandas from guessing another dtype for an array of objects."""
        return {"dtype": object} if isinstance(array, np.ndarray) and array.dtype.kind == "O" else {}

    def index_parts(index: Any) -> Sequence[Any]:
        return [list(index.names), getattr(index, "freqstr", None), *array_parts(index.array)]

    def made_index(names: list[Any], frequency: str | None, form: str, *parts: Any) -> Any:
        values = made_array(form, *parts)
        made = pd.Index(values, name=names[0], **typed(values))
        if frequency is not None and hasattr(made, "freq") and form != "periods":
            made.freq = frequency
        return made

    def made_multiple(levels: Any, codes: Any, names: Any) -> Any:
        return pd.MultiIndex(levels=levels, codes=codes, names=names)

    def stamp_parts(stamp: Any) -> Sequence[Any]:
        return [stamp.asm8, stamp.tz, stamp.fold]

    def made_stamp(value: Any, zone: Any, fold: int) -> Any:
        made = pd.Timestamp(value)
        return made if zone is None else made.tz_localize("UTC").tz_convert(zone)

    def made_series(index: Any, name: Any, form: str, *parts: Any) -> Any:
        values = made_array(form, *parts)
        return pd.Series(values, index=index, name=name, **typed(values))

    def frame_parts(frame: Any) -> Sequence[Any]:
        return [frame.index, frame.columns, [list(array_parts(frame.iloc[:, i].array)) for i in range(frame.shape[1])]]

    def made_frame(index: Any, columns: Any, parts: Any) -> Any:
        made = pd.DataFrame({i: made_series(index, None, *one) for i, one in enumerate(parts)}, index=index)
        made.columns = columns
        return made

    return [
        (type(pd.NA), Kind("pandas.NA", lambda v: [], lambda: pd.NA)),
        (type(pd.NaT), Kind("pandas.NaT", lambda v: [], lambda: pd.NaT)),
        (pd.Timestamp, Kind("pandas.Timestamp", stamp_parts, made_stamp)),
        (pd.Timedelta, Kind("pandas.Timedelta", lambda v: [v.asm8], pd.Timedelta)),
        (
            pd.Period,
            Kind(
                "pandas.Period",
                lambda v: [v.ordinal, v.freqstr],
                lambda ordinal, frequency: pd.Period(ordinal=ordinal, freq=frequency),
            ),
        ),
        (pd.Interval, Kind("pandas.Interval", lambda v: [v.left, v.right, v.closed], pd.Interval)),
        (pd.DataFrame, Kind("pandas.DataFrame", frame_parts, made_frame)),
        (pd.Series, Kind("pandas.Series", lambda v: [v.index, v.name, *array_parts(v.array)], made_series)),
        (
            pd.RangeIndex,
            Kind(
                "pandas.RangeIndex",
                lambda v: [range(v.start, v.stop, v.step), v.name],
                lambda numbers, name: pd.RangeIndex(numbers, name=name),
            ),
        ),
        (
            pd.MultiIndex,
            Kind(
                "pandas.MultiIndex",
                lambda v: [list(v.levels), [np.asarray(codes) for codes in v.codes], list(v.names)],
                made_multiple,
            ),
        ),
        (pd.Index, Kind("pandas.Index", index_parts, made_index)),
        (pd.api.extensions.ExtensionArray, Kind("pandas.array", lambda v: array_parts(v), made_array)),
    ]


# --- other libraries -------------------------------------------------------------------------------------------------


def _scipy() -> list[tuple[Any, Kind]]:
    sparse: Any = importlib.import_module("scipy.sparse")

    def parts(matrix: Any) -> Sequence[Any]:
        if math.prod(matrix.shape) > _MOST_CELLS:
            raise TypeError(f"it has more than {_MOST_CELLS:,} cells")
        plain = matrix.tocoo()
        return [matrix.format, isinstance(matrix, sparse.sparray), list(matrix.shape), plain.data, list(plain.coords)]

    def build(form: str, as_array: bool, shape: list[int], data: Any, coordinates: list[Any]) -> Any:
        if math.prod(shape) > _MOST_CELLS:
            raise ValueError("too many cells")
        kind = sparse.coo_array if as_array else sparse.coo_matrix
        return kind((data, tuple(coordinates)), shape=tuple(shape)).asformat(form)

    return [((sparse.sparray, sparse.spmatrix), Kind("scipy.sparse", parts, build))]


def _pillow() -> list[tuple[Any, Kind]]:
    image: Any = importlib.import_module("PIL.Image")

    def build(mode: str, size: Sequence[int], data: bytes) -> Any:
        return image.frombytes(mode, tuple(size), data)

    return [(image.Image, Kind("PIL.Image", lambda v: [v.mode, list(v.size), v.tobytes()], build))]


def _matplotlib() -> list[tuple[Any, Kind]]:
    figure: Any = importlib.import_module("matplotlib.figure")
    axes: Any = importlib.import_module("matplotlib.axes")

    def given(seen: Any) -> Any:
        return seen

    return [
        (figure.Figure, Kind("matplotlib.Figure", lambda v: [Figure.of(v)], given)),
        (axes.Axes, Kind("matplotlib.Axes", lambda v: [Axes.of(v)], given)),
    ]


_LIBRARIES: dict[str, Callable[[], list[tuple[Any, Kind]]]] = {
    "pandas": _pandas,
    "scipy": _scipy,
    "PIL": _pillow,
    "matplotlib": _matplotlib,
}
