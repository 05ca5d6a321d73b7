"""Values that travel between the grader and a student's kernel: tensors and plain data as JSON, never code.

What comes from the other side is only ever read as numbers and text: nothing is unpickled, evaluated or imported, and
sizes are compared with what was sent before anything of that size is made.
"""

import base64
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from autograder.answers import LabelledImages

MOST_BYTES = 8 << 20  # of one tensor; the largest that a check expects has 100 kB
_DEEPEST = 6
_MOST_PARTS = 10_000
_MOST_TEXT = 2_000
_DTYPES = {
    str(dtype).removeprefix("torch."): dtype
    for dtype in (
        *(torch.float16, torch.float32, torch.float64, torch.complex64, torch.complex128),
        *(torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64),
    )
}


class WireError(ValueError):
    """What came is not an encoded value, or is too large."""


def encode(value: Any, mark: Callable[[Tensor], int | None] = lambda tensor: None, depth: int = 0) -> Any:
    """Return a value as JSON-ready data.

    `mark` gives a tensor the number under which the other side may speak of it. What is neither a tensor, an array nor
    plain Python, or is too large, is carried as the name of its type.
    """
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, Tensor):
        return _encode_tensor(value, mark)
    if isinstance(value, np.ndarray | np.generic) and value.dtype.kind in "biuf" and value.nbytes <= MOST_BYTES:
        data = base64.b64encode(value.tobytes()).decode()
        return {"array": value.dtype.str, "shape": list(value.shape), "data": data}
    if isinstance(value, float):
        return {"float": float(value).hex()}
    if isinstance(value, int) and int(value).bit_length() <= 4096:
        return {"int": hex(int(value))}
    if isinstance(value, str):
        return {"text": value[:_MOST_TEXT]}
    if isinstance(value, LabelledImages):
        labels = [int(label) for label in (value.targets if value.attribute == "targets" else value.labels)]
        return {"images": _encode_tensor(value.images, mark), "labels": labels, "attribute": value.attribute}
    if isinstance(value, tuple | list) and depth < _DEEPEST and len(value) <= _MOST_PARTS:
        kind = "tuple" if isinstance(value, tuple) else "list"
        return {kind: [encode(part, mark, depth + 1) for part in value]}
    if isinstance(value, dict) and depth < _DEEPEST and len(value) <= _MOST_PARTS:
        return {"dict": [[str(key)[:_MOST_TEXT], encode(part, mark, depth + 1)] for key, part in value.items()]}
    return {"object": type(value).__name__[:_MOST_TEXT]}


def _encode_tensor(tensor: Tensor, mark: Callable[[Tensor], int | None]) -> dict[str, Any]:
    dtype = str(tensor.dtype).removeprefix("torch.")
    if dtype not in _DTYPES or tensor.layout != torch.strided or tensor.numel() * tensor.element_size() > MOST_BYTES:
        return {"object": f"Tensor (dtype {dtype}, shape {tuple(tensor.shape)})"}
    plain = tensor.detach().cpu().resolve_conj().resolve_neg().numpy()
    data = base64.b64encode(plain.tobytes()).decode()
    return {"tensor": dtype, "shape": list(plain.shape), "data": data, "mark": mark(tensor)}


def decode(data: Any, marked: Callable[[Tensor, int], Tensor] = lambda tensor, number: tensor, depth: int = 0) -> Any:
    """Return the value behind encoded data; `marked` may replace a tensor that came with a number.

    Raises WireError for anything that `encode` would not have written.
    """
    try:
        return _decode(data, marked, depth)
    except WireError:
        raise
    except Exception as error:  # a dozen kinds, for a thousand ways to be malformed
        raise WireError(f"not an encoded value ({type(error).__name__})") from None


def _decode(data: Any, marked: Callable[[Tensor, int], Tensor], depth: int) -> Any:
    if data is None or isinstance(data, bool):
        return data
    if not isinstance(data, dict) or depth > _DEEPEST + 1:
        raise WireError("not an encoded value")
    if "tensor" in data:
        dtype = _DTYPES[data["tensor"]]
        tensor = torch.from_numpy(_array(data, torch.empty(0, dtype=dtype).numpy().dtype))
        return tensor if data.get("mark") is None else marked(tensor, int(data["mark"]))
    if "array" in data:
        array_type = np.dtype(str(data["array"])[:4])
        if array_type.kind not in "biuf":
            raise WireError("not an array of numbers")
        array = _array(data, array_type)
        return array if array.ndim else array[()]
    if "float" in data:
        return float.fromhex(data["float"][:40])
    if "int" in data:
        return int(data["int"][:1100], 16)
    if "text" in data:
        return str(data["text"])[:_MOST_TEXT]
    if "object" in data:
        return type(str(data["object"])[:_MOST_TEXT].replace("\0", ""), (), {})()
    if "images" in data:
        images = _decode(data["images"], marked, depth + 1)
        if not isinstance(images, Tensor):
            raise WireError("images that are no tensor")
        return LabelledImages(images, [int(label) for label in data["labels"]], str(data["attribute"]))
    for kind, build in (("tuple", tuple), ("list", list), ("dict", list)):
        parts = data.get(kind)
        if isinstance(parts, list) and len(parts) <= _MOST_PARTS:
            if kind == "dict":
                return {str(key): _decode(part, marked, depth + 1) for key, part in parts}
            return build(_decode(part, marked, depth + 1) for part in parts)
    raise WireError("not an encoded value")


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
    # A byte that is neither 0 nor 1 is no bool; any other byte is some number.
    return array.view(np.uint8).astype(bool) if dtype.kind == "b" else array.copy()
