"""Values that travel between the grader and a student's kernel: plain data, arrays, tables as JSON, never code.

What the grader sends has in the kernel the layout in memory that it has here: strides, and memory that several tensors
share; what was sent before is not sent again (`Sent`). What comes from the other side is only ever read as numbers and
text: nothing is unpickled, evaluated or imported, and sizes are compared with what was sent before anything of that
size is made. PyTorch is imported when a tensor arrives.
"""

import base64
import functools
import hashlib
import itertools
import math
import re
import sys
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import msgspec
import numpy as np

from nbverdict.checks.answers import NO_ITEMS, CannotBeSentError, Unsent, bounded
from nbverdict.remote import kinds
from nbverdict.remote.protocol import Data, Mark

MOST_BYTES = 8 << 20  # of one tensor; the largest that a check expects has 100 kB
_DEEPEST = 20
_MOST_PARTS = 100_000
_MOST_TEXT = 1 << 20  # characters
_LONGEST_NAME = 2_000  # of a type that is all that is left of an object
_MOST_BITS = 1 << 16  # of an integer
_MOST_IN_ALL = 400_000  # parts of one value, and of the parts of those
MOST_HELD = 64  # storages, and as many objects, that a kernel holds for later calls
_MOST_KINDS = 100  # of objects that came as no more than a name
# Of tensors that travel; NumPy has the same names for them.
_DTYPES = frozenset(
    ("float16", "float32", "float64", "complex64", "complex128", "bool", "uint8", "int8", "int16", "int32", "int64")
)


_LIBRARIES = ("pandas", "scipy", "PIL", "matplotlib")  # whose values `nbverdict.remote.libraries` takes apart
_ARRAYS = re.compile(r"[<>|=]([biuf][1248]|c8|c16|[mM]8(\[\d*(Y|M|W|D|h|m|s|ms|us|ns|ps|fs|as)\])?|[US]\d{1,5})")


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
    value: Any,
    mark: Callable[[Any], Mark | None] = _no_mark,
    *,
    sent: Sent | None = None,
    items: int = 0,
) -> Data:
    """Return a value as JSON-ready data.

    `mark` numbers a tensor or an array, so that both sides can refer to it later. `sent` is given where a grader
    encodes for a kernel. `items` bounds what is taken of an iterator; without it, an iterator cannot be sent. An object
    with a method `made_from`, one of the assignment's own values, is carried as the name of its class and what it is
    made from.

    A value that cannot be sent, or is too large, comes from a kernel as the name of its type and the reason; for a
    kernel, CannotBeSentError is raised.
    """
    return _Encoder(mark, sent, items, refuses=sent is not None).encode(value, 0)


class _Encoder(NamedTuple):
    """How one value, with its parts, is encoded."""

    mark: Callable[[Any], Mark | None]
    sent: Sent | None
    items: int
    refuses: bool  # raise an error for a value that cannot be sent

    def encode(self, value: Any, depth: int) -> Data:
        if value is None or isinstance(value, bool):
            return value
        torch = sys.modules.get("torch")
        if torch is not None and isinstance(value, torch.Tensor):
            return self._tensor(value)
        if isinstance(value, np.ndarray | np.generic):
            return self._array(value, depth)
        if type(value) in (float, int, str, bytes):
            return self._plain(value)
        if depth > _DEEPEST:
            return self._unsent(value, f"it lies more than {_DEEPEST} levels deep")
        if callable(made_from := getattr(type(value), "made_from", None)):
            copies = self._replace(sent=None)._all(made_from(value), depth)  # made anew each time
            return self._held(value, {"value": type(value).__name__, "parts": copies})
        if kind := kinds.kind_of(value):
            try:
                parts = kind.parts(value)
            except ValueError as error:  # it is too large
                return self._unsent(value, str(error))
            return {"kind": kind.name, "parts": self._all(parts, depth)}
        if type(value).__module__.partition(".")[0] in _LIBRARIES:
            return self._of_library(value, depth)
        if isinstance(value, float | int | str | bytes):  # of a class of the student's own: as what it is
            return self._plain(value)
        if isinstance(value, tuple | list | dict):
            if len(value) > _MOST_PARTS:
                return self._unsent(value, f"it has more than {_MOST_PARTS:,} parts")
            if isinstance(value, dict):
                return {"dict": [self._all(pair, depth) for pair in value.items()]}
            return {"tuple" if isinstance(value, tuple) else "list": self._all(value, depth)}
        if isinstance(value, Iterator):
            return self._iterator(value, depth)
        return self._unsent(value)

    def _all(self, parts: Iterable[Any], depth: int) -> list[Data]:
        return [self.encode(part, depth + 1) for part in parts]

    def _unsent(self, value: object, why: str = "") -> Data:
        """Return all that is carried of a value that cannot be sent: the name of its type, and the reason."""
        name = type(value).__name__[:_LONGEST_NAME]
        if self.refuses:
            raise CannotBeSentError(name, why)
        return {"object": plain_text(name), "why": plain_text(why[:_LONGEST_NAME])}

    def _held(self, value: object, made: dict[str, Any]) -> Data:
        """Return a value that a kernel keeps: sent again, it is the same object there."""
        if self.sent is None:
            return made
        place, known = self.sent.number(("value", id(value)), msgspec.json.encode(made), value)
        return {"again": place} if known else {**made, "object_number": place}

    def _plain(self, value: Any) -> Data:
        if isinstance(value, float):
            return {"float": float(value).hex()}
        if isinstance(value, int):
            if int(value).bit_length() > _MOST_BITS:
                return self._unsent(value, f"it has more than {_MOST_BITS:,} bits")
            return {"int": hex(int(value))}
        if len(value) > _MOST_TEXT:
            return self._unsent(value, f"it is longer than {_MOST_TEXT:,}")
        if isinstance(value, bytes):
            return {"bytes": base64.b64encode(value).decode()}
        if re.search("[\ud800-\udfff]", value):
            return {"half": base64.b64encode(value.encode("utf-16-le", "surrogatepass")).decode()}
        return {"text": str(value)}

    def _iterator(self, value: Iterator[Any], depth: int) -> Data:
        if not self.items:
            return self._unsent(value, NO_ITEMS)
        taken = list(itertools.islice(value, self.items + 1))
        return {"iterator": self._all(taken[: self.items], depth), "more": len(taken) > self.items}

    def _of_library(self, value: object, depth: int) -> Data:
        from nbverdict.remote import libraries  # here: few values are of one

        if not (kind := libraries.kind_of(value)):
            return self._unsent(value)
        try:
            parts = kind.parts(value)
        except TypeError as error:  # a column of a dtype that does not travel
            return self._unsent(value, str(error))
        copies = self._replace(mark=_no_mark, sent=None)._all(parts, depth)  # made anew each time
        return self._held(value, {"kind": kind.name, "parts": copies})

    def _array(self, value: Any, depth: int) -> Data:
        """Return an array, or a scalar of NumPy's."""
        dtype = value.dtype
        if isinstance(value, np.ma.MaskedArray):
            return {"masked": self._all((np.asarray(value.data), np.ma.getmaskarray(value)), depth)}
        if value.nbytes > MOST_BYTES:
            return self._unsent(value, f"it has {value.nbytes:,} bytes, more than {MOST_BYTES:,}")
        if dtype.names:
            columns = [[name, self.encode(np.ascontiguousarray(value[name]), depth + 1)] for name in dtype.names]
            return {"structured": columns, "shape": list(value.shape)}  # of columns, each an array
        if dtype.kind == "O" and value.size <= _MOST_PARTS and depth < _DEEPEST:
            return {"objects": self._all(value.flat, depth), "shape": list(value.shape)}
        if not _ARRAYS.fullmatch(dtype.str):
            return self._unsent(value, f"its dtype is {dtype}")
        if not isinstance(value, np.ndarray):
            return {"scalar": dtype.str, "shape": [], "data": base64.b64encode(value.tobytes()).decode()}
        if self.sent and dtype.kind in "biufc" and (laid := _laid_out_array(value, self.sent)):
            return {"array": dtype.str, **laid, "mark": self.mark(value)}
        data = base64.b64encode(value.tobytes()).decode()
        return {"array": dtype.str, "shape": list(value.shape), "data": data, "mark": self.mark(value)}

    def _tensor(self, tensor: Any) -> Data:
        import torch

        dtype = str(tensor.dtype).removeprefix("torch.")
        too_large = tensor.numel() * tensor.element_size() > MOST_BYTES
        if dtype not in _DTYPES or tensor.layout != torch.strided or too_large or tensor.is_meta:
            return {"object": f"Tensor (dtype {dtype}, shape {tuple(tensor.shape)})", "why": ""}
        if self.sent and (laid := _laid_out_tensor(tensor, self.sent)):
            return {"tensor": dtype, **laid, "mark": self.mark(tensor)}
        plain = tensor.detach().cpu().resolve_conj().resolve_neg().numpy()
        data = base64.b64encode(plain.tobytes()).decode()
        return {"tensor": dtype, "shape": list(plain.shape), "data": data, "mark": self.mark(tensor)}


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
    if "scalar" in data:
        return part({"array": data["scalar"], "shape": [], "data": data["data"]})[()]
    if "array" in data:
        if not _ARRAYS.fullmatch(str(data["array"])):
            raise WireError("not an array of numbers, text or times")
        array = _array(data, np.dtype(str(data["array"])))
        if array.dtype.kind == "U" and array.size and int(array.ravel().view(_code_points(array)).max()) > 0x10FFFF:
            raise WireError("no characters")
        return _replaced(array, data, marked)
    if "masked" in data:
        content, mask = map(part, data["masked"])
        return np.ma.MaskedArray(content, mask)
    if "structured" in data:
        return _structured(_shape(data), [(str(name), part(one)) for name, one in data["structured"]])
    if "objects" in data:
        objects = np.empty(_shape(data), object)
        for place, one in zip(range(objects.size), data["objects"], strict=True):
            objects.flat[place] = part(one)
        return objects
    if "float" in data:
        return float.fromhex(data["float"][:40])
    if "int" in data:
        return int(data["int"][: _MOST_BITS // 4 + 3], 16)
    if "text" in data:
        return str(data["text"])[:_MOST_TEXT]
    if "bytes" in data:
        return base64.b64decode(data["bytes"][: 2 * _MOST_TEXT], validate=True)
    if "half" in data:
        return base64.b64decode(data["half"][: 4 * _MOST_TEXT], validate=True).decode("utf-16-le", "surrogatepass")
    if "value" in data and values:
        return _kept(values[data["value"]](*map(part, data["parts"])), data, held)
    if "kind" in data:
        parts = list(map(part, data["parts"]))
        if data["kind"] == "dataclass" and parts[0] in values:  # one of the assignment's own
            return values[parts[0]](**dict(zip(parts[1], parts[2], strict=True)))
        return _kept(_kind(str(data["kind"])).build(*parts), data, held)
    if "iterator" in data:
        return bounded(list(map(part, data["iterator"])), more=bool(data["more"]))
    if "value" in data or "object" in data:
        name = str(data.get("object", data.get("value")))[:_LONGEST_NAME]
        return _unsent_class(name.replace("\0", ""), str(data.get("why", ""))[:_LONGEST_NAME])()
    for kind, build in (("tuple", tuple), ("list", list)):
        listed = data.get(kind)
        if isinstance(listed, list) and len(listed) <= _MOST_PARTS:
            return build(map(part, listed))
    pairs = data.get("dict")
    if isinstance(pairs, list) and len(pairs) <= _MOST_PARTS:
        return {part(key): part(inner) for key, inner in pairs}
    raise WireError("not an encoded value")


def _kept(value: Any, data: dict[str, Any], held: Held | None) -> Any:
    if held and "object_number" in data:
        held.objects[data["object_number"]] = value
    return value


def _structured(shape: list[int], columns: list[tuple[str, Any]]) -> Any:
    """Return a structured array, or a scalar of one, from its columns."""
    fields = []
    for name, column in columns:
        array = np.asarray(column)
        if list(array.shape[: len(shape)]) != shape:
            raise WireError("a column of another length")
        fields.append((name, array.dtype, array.shape[len(shape) :]))
    made = np.empty(shape, fields)
    for name, column in columns:
        made[name] = column
    return made if shape else made[()]


def _kind(name: str) -> kinds.Kind:
    found = kinds.kind_named(name)
    if not found and "." in name:
        from nbverdict.remote import libraries  # here: few values are of one

        found = libraries.kind_named(name)
    if not found:
        raise WireError(f"no kind of value is called {name[:100]!r}")
    return found


@functools.lru_cache(_MOST_KINDS)
def _unsent_class(name: str, why: str) -> type:
    """Return a class that is no more than its name; one takes a kilobyte, and there may be many objects."""
    return type(name, (Unsent,), {"why": why})


def _code_points(array: "np.ndarray[Any, Any]") -> str:
    """Return the dtype by which the characters of an array of text are numbers."""
    return str(array.dtype.str[0]) + "u4"


def _shape(data: dict[str, Any]) -> list[int]:
    shape = [int(size) for size in data["shape"]]
    if len(shape) > 32 or any(size < 0 for size in shape) or math.prod(shape) > MOST_BYTES // 8:
        raise WireError("an impossible shape")
    return shape


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
