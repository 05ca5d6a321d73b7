"""Values that travel between the grader and a student's kernel: tensors, arrays and plain data as JSON, never code.

What comes from the other side is only ever read as numbers and text: nothing is unpickled, evaluated or imported, and
sizes are compared with what was sent before anything of that size is made. PyTorch is imported when a tensor arrives.
"""

import base64
import functools
import re
import sys
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
import numpy as np

from autograder.remote.protocol import Data, Mark

MOST_BYTES = 8 << 20  # of one tensor; the largest that a check expects has 100 kB
_DEEPEST = 6
_MOST_PARTS = 10_000
_MOST_TEXT = 2_000
_MOST_IN_ALL = 200_000  # parts of one value, and of the parts of those
_MOST_KINDS = 100  # of objects that came as no more than a name
# Of tensors that travel; NumPy has the same names for them.
_DTYPES = frozenset(
    ("float16", "float32", "float64", "complex64", "complex128", "bool", "uint8", "int8", "int16", "int32", "int64")
)


class WireError(ValueError):
    """What came is not an encoded value, or is too large."""


def plain_text(text: str) -> str:
    """Return a text that can be written as UTF-8: lone surrogates are replaced."""
    return re.sub("[\ud800-\udfff]", "\N{REPLACEMENT CHARACTER}", text)


def _no_mark(value: Any) -> Mark | None:
    return None


def encode(value: Any, mark: Callable[[Any], Mark | None] = _no_mark, depth: int = 0) -> Data:
    """Return a value as JSON-ready data.

    `mark` numbers a tensor or an array, so that both sides can refer to it later. An object with a method `made_from`,
    one of the assignment's own values, is carried as the name of its class and what it is made from. Whatever
    else is not a tensor, an array or plain Python data, or is too large, is carried as the name of its type.
    """
    if value is None or isinstance(value, bool):
        return value
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(value, torch.Tensor):
        return _encode_tensor(value, mark)
    if isinstance(value, np.ndarray | np.generic) and value.dtype.kind in "biuf" and value.nbytes <= MOST_BYTES:
        data = base64.b64encode(value.tobytes()).decode()
        number = mark(value) if isinstance(value, np.ndarray) else None
        return {"array": value.dtype.str, "shape": list(value.shape), "data": data, "mark": number}
    if isinstance(value, float):
        return {"float": float(value).hex()}
    if isinstance(value, int) and int(value).bit_length() <= 4096:
        return {"int": hex(int(value))}
    if isinstance(value, str):
        return {"text": plain_text(value[:_MOST_TEXT])}
    if isinstance(value, tuple | list) and depth < _DEEPEST and len(value) <= _MOST_PARTS:
        kind = "tuple" if isinstance(value, tuple) else "list"
        return {kind: [encode(part, mark, depth + 1) for part in value]}
    if isinstance(value, dict) and depth < _DEEPEST and len(value) <= _MOST_PARTS:
        parts = value.items()
        return {"dict": [[plain_text(str(key)[:_MOST_TEXT]), encode(part, mark, depth + 1)] for key, part in parts]}
    if callable(made_from := getattr(type(value), "made_from", None)):
        return {"value": type(value).__name__, "parts": [encode(part, mark, depth + 1) for part in made_from(value)]}
    return {"object": plain_text(type(value).__name__[:_MOST_TEXT])}


def _encode_tensor(tensor: Any, mark: Callable[[Any], Mark | None]) -> Data:
    import torch

    dtype = str(tensor.dtype).removeprefix("torch.")
    too_large = tensor.numel() * tensor.element_size() > MOST_BYTES
    if dtype not in _DTYPES or tensor.layout != torch.strided or too_large or tensor.is_meta:
        return {"object": f"Tensor (dtype {dtype}, shape {tuple(tensor.shape)})"}
    plain = tensor.detach().cpu().resolve_conj().resolve_neg().numpy()
    data = base64.b64encode(plain.tobytes()).decode()
    return {"tensor": dtype, "shape": list(plain.shape), "data": data, "mark": mark(tensor)}


def _unchanged(value: Any, mark: Mark) -> Any:
    return value


def decode(
    data: Data, marked: Callable[[Any, Mark], Any] = _unchanged, *, values: Mapping[str, Any] | None = None
) -> Any:
    """Return the value behind encoded data.

    `marked` may replace a tensor or an array that came with a mark. `values` are the assignment's own classes by name;
    they are given in a student's kernel only: what comes back from there is never made into one of them.

    Raises WireError for anything that `encode` would not have written.
    """
    try:
        return _decode(data, marked, values or {}, 0, [_MOST_IN_ALL])
    except WireError:
        raise
    except Exception as error:  # a dozen kinds, for a thousand ways to be malformed
        raise WireError(f"not an encoded value ({type(error).__name__})") from None


def _decode(
    data: Any, marked: Callable[[Any, Mark], Any], values: Mapping[str, Any], depth: int, room: list[int]
) -> Any:
    """Return a value; `room` holds how many parts there may still be."""
    room[0] -= 1
    if room[0] < 0:
        raise WireError("too many parts")
    if data is None or isinstance(data, bool):
        return data
    if not isinstance(data, dict) or depth > _DEEPEST + 1:
        raise WireError("not an encoded value")

    def part(inner: Any) -> Any:
        return _decode(inner, marked, values, depth + 1, room)

    if "tensor" in data:
        if data["tensor"] not in _DTYPES:
            raise WireError("not a tensor of numbers")
        import torch

        return _replaced(torch.from_numpy(_array(data, np.dtype(data["tensor"]))), data, marked)
    if "array" in data:
        array_type = np.dtype(str(data["array"])[:4])
        if array_type.kind not in "biuf":
            raise WireError("not an array of numbers")
        array = _array(data, array_type)
        return _replaced(array, data, marked) if array.ndim else array[()]
    if "float" in data:
        return float.fromhex(data["float"][:40])
    if "int" in data:
        return int(data["int"][:1100], 16)
    if "text" in data:
        return str(data["text"])[:_MOST_TEXT]
    if "value" in data and values:
        return values[data["value"]](*map(part, data["parts"]))
    if "value" in data or "object" in data:
        name = str(data.get("object", data.get("value")))[:_MOST_TEXT]
        return _kind(name.replace("\0", ""))()
    for kind, build in (("tuple", tuple), ("list", list)):
        parts = data.get(kind)
        if isinstance(parts, list) and len(parts) <= _MOST_PARTS:
            return build(map(part, parts))
    pairs = data.get("dict")
    if isinstance(pairs, list) and len(pairs) <= _MOST_PARTS:
        return {str(key): part(inner) for key, inner in pairs}
    raise WireError("not an encoded value")


@functools.lru_cache(_MOST_KINDS)
def _kind(name: str) -> type:
    """Return a class that is no more than its name; one takes a kilobyte, and there may be many objects."""
    return type(name, (), {})


def _replaced(value: Any, data: dict[str, Any], marked: Callable[[Any, Mark], Any]) -> Any:
    mark = data.get("mark")
    return value if mark is None else marked(value, msgspec.convert(mark, Mark))


def _array(data: dict[str, Any], dtype: "np.dtype[Any]") -> "np.ndarray[Any, Any]":
    shape = [int(size) for size in data["shape"]]
    if len(shape) > 32 or any(not 0 <= size <= MOST_BYTES for size in shape):
        raise WireError("an impossible shape")
    count = 1
    for size in shape:
        count *= size
    text = data["data"]
    if count * dtype.itemsize > MOST_BYTES or len(text) > 2 * MOST_BYTES:
        raise WireError("too large")
    raw = base64.b64decode(text, validate=True)
    if len(raw) != count * dtype.itemsize:
        raise WireError("the data do not fit the shape")
    array = np.frombuffer(raw, dtype).reshape(shape)
    # A byte that is neither 0 nor 1 is not a bool; in the other dtypes all bytes are valid.
    return array.view(np.uint8).astype(bool) if dtype.kind == "b" else array.copy()
