"""Values that travel between the grader and a student's kernel: tensors, arrays and plain data as JSON, never code.

What the grader sends has in the kernel the layout in memory that it has here: strides, and memory that several tensors
share; what was sent before is not sent again (`Sent`). What comes from the other side is only ever read as numbers and
text: nothing is unpickled, evaluated or imported, and sizes are compared with what was sent before anything of that
size is made. PyTorch is imported when a tensor arrives.
"""

import base64
import functools
import hashlib
import re
import sys
from collections.abc import Callable, Hashable, Mapping
from typing import Any

import msgspec
import numpy as np

from nbverdict.remote.protocol import Data, Mark

MOST_BYTES = 8 << 20  # of one tensor; the largest that a check expects has 100 kB
_DEEPEST = 6
_MOST_PARTS = 10_000
_MOST_TEXT = 2_000
_MOST_IN_ALL = 200_000  # parts of one value, and of the parts of those
MOST_HELD = 64  # storages, and as many objects, that a kernel holds for later calls
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


class Sent:
    """What a kernel was sent and still holds: there, too, an object that is sent again is the same object.

    So an answer that writes into its inputs gives other results when it is called with them again.
    """

    def __init__(self) -> None:
        self._known: dict[Hashable, tuple[int, bytes, object]] = {}  # key -> number, hash of its content, its owner
        self._keys: list[Hashable] = []  # key of what was sent, in order; a number is a place in it, modulo MOST_HELD

    def times_used(self, number: int) -> int:
        """Return how often a number was given to something new."""
        return (len(self._keys) - 1 - number) // MOST_HELD + 1

    def number(self, key: Hashable, content: bytes, owner: object) -> tuple[int, bool]:
        """Return the number by which the kernel knows an object, and whether it has the number, and the content, yet.

        The owner is kept, so that no other object gets its key meanwhile.
        """
        digest = hashlib.blake2b(content, digest_size=16).digest()
        known = self._known.get(key)
        if known and known[1] == digest:
            return known[0], True
        number = len(self._keys) % MOST_HELD
        before = self._keys[-MOST_HELD] if len(self._keys) >= MOST_HELD else None
        if before in self._known and self._known[before][0] == number:
            del self._known[before]  # whose number this was
        self._keys.append(key)
        self._known[key] = number, digest, owner
        return number, False


class Held:
    """The kernel's side of `Sent`: storages and objects by their numbers."""

    def __init__(self) -> None:
        self.storages: dict[int, bytearray] = {}
        self.objects: dict[int, Any] = {}


def encode(
    value: Any, mark: Callable[[Any], Mark | None] = _no_mark, depth: int = 0, *, sent: Sent | None = None
) -> Data:
    """Return a value as JSON-ready data.

    `mark` numbers a tensor or an array, so that both sides can refer to it later; `sent` is given where a grader
    encodes for a kernel. An object with a method `made_from`, one of the assignment's own values, is carried as the
    name of its class and what it is made from. Whatever else is not a tensor, an array or plain Python data, or is too
    large, is carried as the name of its type.
    """
    if value is None or isinstance(value, bool):
        return value
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(value, torch.Tensor):
        return _encode_tensor(value, mark, sent)
    if isinstance(value, np.ndarray | np.generic) and value.dtype.kind in "biuf" and value.nbytes <= MOST_BYTES:
        if sent and isinstance(value, np.ndarray) and (laid := _laid_out_array(value, sent)):
            return {"array": value.dtype.str, **laid, "mark": mark(value)}
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
        return {kind: [encode(part, mark, depth + 1, sent=sent) for part in value]}
    if isinstance(value, dict) and depth < _DEEPEST and len(value) <= _MOST_PARTS:
        parts = value.items()
        return {
            "dict": [
                [plain_text(str(key)[:_MOST_TEXT]), encode(part, mark, depth + 1, sent=sent)] for key, part in parts
            ]
        }
    if callable(made_from := getattr(type(value), "made_from", None)):
        made = {"value": type(value).__name__, "parts": [encode(part, mark, depth + 1) for part in made_from(value)]}
        if sent:
            place, known = sent.number(("value", id(value)), msgspec.json.encode(made), value)
            return {"again": place} if known else {**made, "object_number": place}
        return made
    return {"object": plain_text(type(value).__name__[:_MOST_TEXT])}


def _encode_tensor(tensor: Any, mark: Callable[[Any], Mark | None], sent: Sent | None) -> Data:
    import torch

    dtype = str(tensor.dtype).removeprefix("torch.")
    too_large = tensor.numel() * tensor.element_size() > MOST_BYTES
    if dtype not in _DTYPES or tensor.layout != torch.strided or too_large or tensor.is_meta:
        return {"object": f"Tensor (dtype {dtype}, shape {tuple(tensor.shape)})"}
    if sent and (laid := _laid_out_tensor(tensor, sent)):
        return {"tensor": dtype, **laid, "mark": mark(tensor)}
    plain = tensor.detach().cpu().resolve_conj().resolve_neg().numpy()
    data = base64.b64encode(plain.tobytes()).decode()
    return {"tensor": dtype, "shape": list(plain.shape), "data": data, "mark": mark(tensor)}


def _laid_out_tensor(tensor: Any, sent: Sent) -> dict[str, Any] | None:
    """Return a tensor as a view of its storage, which is sent once; None where that is too large, or elsewhere."""
    import torch

    storage = tensor.untyped_storage()
    if storage.device.type != "cpu" or not 0 < storage.nbytes() <= MOST_BYTES or tensor.is_conj() or tensor.is_neg():
        return None
    content = torch.empty(0, dtype=torch.uint8).set_(storage).numpy().tobytes()
    return _laid_out(
        sent,
        ("storage", storage.data_ptr()),
        content,
        tensor,
        shape=list(tensor.shape),
        strides=list(tensor.stride()),
        offset=tensor.storage_offset(),
    )


def _laid_out_array(array: "np.ndarray[Any, Any]", sent: Sent) -> dict[str, Any] | None:
    """Return an array as a view of the one that owns its memory, as `_laid_out_tensor` does a tensor."""
    owner = array
    while isinstance(owner.base, np.ndarray):
        owner = owner.base
    if not (owner.flags.c_contiguous or owner.flags.f_contiguous) or not 0 < owner.nbytes <= MOST_BYTES:
        return None
    return _laid_out(
        sent,
        ("memory", owner.ctypes.data),
        owner.tobytes("A"),
        array,
        shape=list(array.shape),
        strides=list(array.strides),
        offset=array.ctypes.data - owner.ctypes.data,
    )


def _laid_out(sent: Sent, key: Hashable, content: bytes, value: Any, **layout: Any) -> dict[str, Any]:
    number, known = sent.number(key, content, value)
    view, seen = sent.number(("view", id(value), number), repr((layout, sent.times_used(number))).encode(), value)
    if seen:
        return {"again": view}
    made = {**layout, "storage": number, "object_number": view}
    return made if known else {**made, "data": base64.b64encode(content).decode()}


def _unchanged(value: Any, mark: Mark) -> Any:
    return value


def decode(
    data: Data,
    marked: Callable[[Any, Mark], Any] = _unchanged,
    *,
    values: Mapping[str, Any] | None = None,
    held: Held | None = None,
) -> Any:
    """Return the value behind encoded data.

    `marked` may replace a tensor or an array that came with a mark. `values` are the assignment's own classes by name,
    `held` what was sent before; they are given in a student's kernel only: what comes back from there is never made
    into one of them, and has no layout.

    Raises WireError for anything that `encode` would not have written.
    """
    try:
        return _decode(data, marked, values or {}, held, 0, [_MOST_IN_ALL])
    except WireError:
        raise
    except Exception as error:  # a dozen kinds, for a thousand ways to be malformed
        raise WireError(f"not an encoded value ({type(error).__name__})") from None


def _decode(
    data: Any,
    marked: Callable[[Any, Mark], Any],
    values: Mapping[str, Any],
    held: Held | None,
    depth: int,
    room: list[int],
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
        return _decode(inner, marked, values, held, depth + 1, room)

    if held and "again" in data:
        return _replaced(held.objects[data["again"]], data, marked)
    if held and "storage" in data:
        value = held.objects[data["object_number"]] = _view(data, held)
        return _replaced(value, data, marked)
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
        made = values[data["value"]](*map(part, data["parts"]))
        if held and "object_number" in data:
            held.objects[data["object_number"]] = made
        return made
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


def _view(data: dict[str, Any], held: Held) -> Any:
    """Return a tensor or an array of a kernel's, as a view of the memory that it shares with others."""
    if "data" in data:
        held.storages[data["storage"]] = bytearray(base64.b64decode(data["data"]))
    memory = held.storages[data["storage"]]
    if "array" in data:
        return np.ndarray(data["shape"], np.dtype(data["array"]), memory, data["offset"], data["strides"])
    import torch

    flat = torch.frombuffer(memory, dtype=getattr(torch, data["tensor"]))
    return flat.as_strided(data["shape"], data["strides"], data["offset"]).detach()


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
