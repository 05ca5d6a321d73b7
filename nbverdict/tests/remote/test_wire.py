"""What travels between grader and kernel: values come back as they were, and nothing else comes at all."""

import json

import numpy as np
import pytest
import torch

from nbverdict.checks.diagnosis import describe
from nbverdict.remote.wire import MOST_BYTES, WireError, decode, encode


def there_and_back(value):
    return decode(json.loads(json.dumps(encode(value))))


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64, torch.int64, torch.uint8, torch.bool])
@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 0, 3), (4, 1, 2, 3)])
def test_tensors_come_back(dtype, shape):
    tensor = (torch.rand(shape, generator=torch.Generator().manual_seed(1)) * 100).to(dtype)
    back = there_and_back(tensor)
    assert back.dtype == dtype
    assert back.shape == tensor.shape
    assert torch.equal(back, tensor)


def test_strides_and_special_values_come_back():
    tensor = torch.tensor([[float("nan"), float("inf")], [-0.0, -float("inf")]]).t().expand(3, 2, 2)
    assert np.array_equal(there_and_back(tensor).numpy(), tensor.numpy(), equal_nan=True)


def test_arrays_come_back():
    array = np.arange(6, dtype=np.int16).reshape(2, 3)
    assert np.array_equal(there_and_back(array), array)
    assert there_and_back(np.float32(0.5)).dtype == np.float32


class Equal:
    def __eq__(self, other):
        return True

    __hash__ = None


@pytest.mark.parametrize(
    ("value", "described"),
    [
        (Equal(), "an object of type Equal"),
        (lambda: 1, "an object of type function"),
        ((i for i in range(3)), "an object of type generator"),
        (torch.zeros(1).expand(10**12), "Tensor (dtype float32, shape (1000000000000,))"),
        (torch.zeros(2, dtype=torch.bfloat16), "Tensor (dtype bfloat16, shape (2,))"),
        (torch.zeros(2).to_sparse(), "Tensor (dtype float32, shape (2,))"),
        (torch.zeros(2, device="meta"), "Tensor (dtype float32, shape (2,))"),
        pytest.param(10**50_000, "an object of type int", id="a huge int"),
        pytest.param("x" * (1 << 21), "an object of type str", id="a huge text"),
        ([0] * 200_000, "an object of type list"),
        (range(10**12), "an object of type range"),
        (np.zeros(2, dtype=np.longdouble), "an object of type ndarray"),
    ],
)
def test_what_is_no_data_is_carried_by_name(value, described):
    assert described in describe(there_and_back(value))


@pytest.mark.parametrize(
    "forged",
    [
        *("text", 1, [], {}, {"tensor": "float32"}, {"tensor": "object", "shape": [1], "data": "AAAA"}),
        {"tensor": "float32", "shape": [10**12], "data": ""},
        {"tensor": "float32", "shape": [2**21, 2**21], "data": ""},
        {"tensor": "float32", "shape": [-1], "data": ""},
        {"tensor": "float32", "shape": [1] * 100, "data": "AAAAAA=="},
        {"tensor": "float32", "shape": [2], "data": "AAAAAA=="},
        {"tensor": "float32", "shape": [1], "data": "§"},
        {"array": "|O", "shape": [1], "data": "AAAAAAAAAAA="},
        {"array": "<U9", "shape": [1], "data": "AAAAAAAAAAA="},
        {"array": "<U1", "shape": [1], "data": "/////w=="},
        {"array": "|V8", "shape": [1], "data": "AAAAAAAAAAA="},
        {"objects": [None], "shape": [2]},
        {"objects": [], "shape": [10**12]},
        {"structured": [["a", {"list": []}]], "shape": [1000]},
        {"kind": "no such kind", "parts": []},
        {"kind": "range", "parts": [{"int": "0x0"}, {"int": "0xfffffffffff"}, {"int": "0x1"}]},
        {"kind": "namedtuple", "parts": [{"text": "P"}, {"list": [{"text": "__class__"}]}, {"list": [None]}]},
        {"kind": "namedtuple", "parts": [{"text": "a b"}, {"list": []}, {"list": []}]},
        {"kind": "dataclass", "parts": [{"text": "D"}, {"list": [{"text": "x = 1"}]}, {"list": [None]}]},
        {"kind": "exception", "parts": [{"text": "E"}, {"text": "print"}, {"list": []}]},
        {"kind": "scipy.sparse", "parts": [{"text": "csr"}, True, {"list": [{"int": "0xfffff"}] * 2}, None, None]},
        {"kind": "os.system", "parts": [{"text": "true"}]},
        {"dict": [[{"list": []}, None]]},
        {"float": "nonsense"},
        {"int": "f" * 10**6},
        {"list": [{}] * 3},
        {"list": [None] * 500_000},
        {"dict": [[1]]},
        {"tensor": "float32", "shape": [1], "data": "AAAAAA==", "mark": {"number": "x"}},
        {"tensor": "float32", "shape": [1], "data": "AAAAAA==", "mark": 3},
    ],
    ids=str,
)
def test_forged_data_is_refused(forged):
    if forged == {"int": "f" * 10**6}:
        assert decode(forged).bit_length() < 70_000  # cut, not refused
        return
    with pytest.raises(WireError):
        decode(forged)


def test_deep_nesting_is_refused():
    forged = None
    for _ in range(50):
        forged = {"list": [forged]}
    with pytest.raises(WireError):
        decode(forged)


def test_nothing_large_is_made_before_it_is_refused(monkeypatch):
    monkeypatch.setattr("nbverdict.remote.wire.np.frombuffer", lambda *a: pytest.fail("read"))
    with pytest.raises(WireError):
        decode({"tensor": "uint8", "shape": [MOST_BYTES + 1], "data": "A"})


def test_a_million_objects_are_refused_and_those_of_a_name_share_a_class():
    forged = {"list": [{"list": [{"object": "Thing"}] * 10_000}] * 50}
    with pytest.raises(WireError, match="too many parts"):
        decode(forged)
    one, two = decode({"list": [{"object": "Thing"}] * 2})
    assert type(one) is type(two)
    assert type(one).__name__ == "Thing"
