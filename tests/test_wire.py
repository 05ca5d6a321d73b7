"""What travels between grader and kernel: values come back as they were, and nothing else comes at all."""

import json
from dataclasses import replace

import msgspec
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from autograder.multiview_vae.values import LabelledImages
from nbverdict.checks.answers import AnswerError
from nbverdict.checks.diagnosis import describe
from nbverdict.checks.runner import run_checks
from nbverdict.remote import protocol
from nbverdict.remote.stand_in import KernelAnswer
from nbverdict.remote.wire import MOST_BYTES, MOST_HELD, WireError, decode, encode
from tests.conftest import EXERCISES, asking


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


plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda part: st.lists(part, max_size=4) | st.tuples(part, part),
    max_leaves=8,
)


@given(plain)
def test_plain_values_come_back(value):
    def depth(part):
        return 1 + max(map(depth, part), default=0) if isinstance(part, list | tuple) else 0

    if depth(value) <= 6:
        assert there_and_back(value) == value
        assert type(there_and_back(value)) is type(value)


def test_arrays_come_back():
    array = np.arange(6, dtype=np.int16).reshape(2, 3)
    assert np.array_equal(there_and_back(array), array)
    assert there_and_back(np.float32(0.5)).dtype == np.float32


@pytest.mark.parametrize("attribute", ["targets tensor int64", "labels array uint8"])
def test_values_of_the_assignments_own_reach_a_kernel_and_never_come_back(attribute):
    def answer(images):
        assert not hasattr(images, {"targets": "labels", "labels": "targets"}[name_of])
        return getattr(images, name_of), images[2][1], type(images).__name__, images

    name_of = attribute.split()[0]
    given = LabelledImages(1, torch.tensor([5, 0, 4]), attribute)
    labels, last, name, back = remote(answer)(given)
    assert (list(labels), last, name) == ([5, 0, 4], 4, "LabelledImages")
    assert type(back) is not LabelledImages
    assert describe(back) == "an object of type LabelledImages"
    assert not hasattr(back, name_of)


class Equal:
    def __eq__(self, other):
        return True

    __hash__ = None


@pytest.mark.parametrize(
    ("value", "described"),
    [
        (Equal(), "an object of type Equal"),
        ((i for i in range(3)), "an object of type generator"),
        (torch.zeros(1).expand(10**12), "Tensor (dtype float32, shape (1000000000000,))"),
        (torch.zeros(2, dtype=torch.bfloat16), "Tensor (dtype bfloat16, shape (2,))"),
        (torch.zeros(2).to_sparse(), "Tensor (dtype float32, shape (2,))"),
        (torch.zeros(2, device="meta"), "Tensor (dtype float32, shape (2,))"),
        pytest.param(10**5000, "an object of type int", id="a huge int"),
        ([0] * 20_000, "an object of type list"),
        (np.array(["text"]), "an object of type ndarray"),
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
        {"float": "nonsense"},
        {"int": "f" * 10**6},
        {"list": [{}] * 3},
        {"list": [None] * 20_000},
        {"dict": [[1]]},
        {"tensor": "float32", "shape": [1], "data": "AAAAAA==", "mark": {"number": "x"}},
        {"tensor": "float32", "shape": [1], "data": "AAAAAA==", "mark": 3},
    ],
    ids=str,
)
def test_forged_data_is_refused(forged):
    if forged == {"int": "f" * 10**6}:
        assert decode(forged).bit_length() < 5000  # cut, not refused
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
    forged = {"list": [{"list": [{"object": "Thing"}] * 10_000}] * 30}
    with pytest.raises(WireError, match="too many parts"):
        decode(forged)
    one, two = decode({"list": [{"object": "Thing"}] * 2})
    assert type(one) is type(two)
    assert type(one).__name__ == "Thing"


# --- an answer behind the wire ---------------------------------------------------------------------------------------

POE = EXERCISES["product_of_experts"]


def remote(answer, exercise=POE):
    return KernelAnswer(exercise, asking({exercise.answer: answer}))


def test_gradients_come_back():
    def answer(one, two, scale=1.0):
        return scale * one**2 + two, one.detach(), torch.ones(2)

    one, two = torch.tensor([2.0, 3.0], requires_grad=True), torch.zeros(2, requires_grad=True)
    result, detached, constant = remote(answer)(one, two, scale=5.0)
    assert (result.requires_grad, detached.requires_grad, constant.requires_grad) == (True, False, False)
    (result.sum() * 2).backward()
    assert torch.equal(one.grad, torch.tensor([40.0, 60.0]))
    assert torch.equal(two.grad, torch.full((2,), 2.0))


def test_a_result_of_inputs_without_gradient_may_still_require_one():
    one = torch.ones(2)
    assert not remote(lambda x: x * 2)(one).requires_grad
    assert remote(lambda x: x.requires_grad_() * 2)(one).requires_grad


@pytest.mark.parametrize("kind", ["tensor", "array"])
def test_an_object_that_is_sent_again_is_the_same_object_there(kind):
    """So what an answer has written into it shows in the next call; a copy is another object."""

    def answer(x, keep):
        seen.append(x)
        result = x.sum() + 0
        if not keep:
            x += 1
        return result

    seen = []
    ask = remote(answer)
    x = torch.zeros(3) if kind == "tensor" else np.zeros(3)
    copy = x.clone() if kind == "tensor" else x.copy()
    assert [float(ask(x, False)), float(ask(x, False)), float(ask(x, True))] == [0, 3, 6]
    assert seen[0] is seen[1] is seen[2]
    assert float(ask(copy, True)) == 0
    assert float(x.sum()) == 0  # here nothing has changed
    x += 5  # now it has, so that it is sent anew
    assert float(ask(x, True)) == 15


def test_objects_that_share_memory_share_it_there():
    def answer(x, row, again, same):
        row.fill_(7.0)
        return x, again, x is same, x.stride(), row.storage_offset()

    x = torch.arange(6.0).view(2, 3)
    changed, again, same, strides, offset = remote(answer)(x.T, x[1], x[1:], x.T)
    assert torch.equal(changed, torch.tensor([[0.0, 7.0], [1.0, 7.0], [2.0, 7.0]]))
    assert torch.equal(again, torch.full((1, 3), 7.0))
    assert not same  # two objects, though of one memory
    assert (strides, offset) == ((1, 3), 3)
    column = x.T
    assert remote(lambda one, two: one is two)(column, column)


@pytest.mark.parametrize(
    "array",
    [
        np.arange(6.0).reshape(2, 3).T,
        np.arange(8)[1::2],
        np.asfortranarray(np.eye(3)),
        np.arange(4)[::-1],
        np.array(3.0),
    ],
    ids=["transposed", "every second", "Fortran", "reversed", "scalar"],
)
def test_arrays_arrive_as_they_lie_here(array):
    flags, values = remote(lambda a: ([a.strides, a.flags.c_contiguous], a))(array)
    assert flags == [array.strides, array.flags.c_contiguous]
    assert np.array_equal(values, array)


@given(st.integers(1, 4), st.integers(1, 4), st.booleans(), st.booleans(), st.integers(0, 2))
def test_tensors_arrive_as_they_lie_here(rows, columns, turned, expanded, start):
    base = torch.arange(float((rows + start) * (columns + 2))).view(rows + start, columns + 2)
    tensor = base[start:, :columns]
    tensor = tensor.T if turned else tensor
    tensor = tensor[:1].expand(3, -1) if expanded else tensor
    values, strides, offset = remote(lambda x: (x, x.stride(), x.storage_offset()))(tensor)
    assert torch.equal(values, tensor)
    assert (strides, offset) == (tensor.stride(), tensor.storage_offset())


def test_a_kernel_holds_a_bounded_number_of_objects():
    ask = asking({POE.answer: lambda x: x.sum()})
    answer = KernelAnswer(POE, ask)
    many = [torch.full((2,), float(i)) for i in range(3 * MOST_HELD)]
    for _ in range(2):
        assert [float(answer(x)) for x in many] == [2.0 * i for i in range(len(many))]
    assert len(ask.session.held.storages) <= MOST_HELD
    assert len(ask.session.held.objects) <= MOST_HELD


def test_a_value_that_is_sent_again_is_the_same_object_there():
    seen = []
    given = LabelledImages(1, torch.tensor([5, 0, 4]), "targets tensor int64")
    ask = remote(lambda images: seen.append(images) or len(seen))
    ask(given)
    ask(given)
    assert seen[0] is seen[1]


def test_an_unused_input_has_no_gradient():
    one, two = torch.ones(2, requires_grad=True), torch.ones(2, requires_grad=True)
    remote(lambda one, two: one * 2)(one, two).sum().backward()
    assert two.grad is None


def test_an_input_that_is_returned_keeps_its_gradient():
    one = torch.ones(2, requires_grad=True)
    (remote(lambda one: one)(one) * 3).sum().backward()
    assert torch.equal(one.grad, torch.full((2,), 3.0))


def test_a_misspelt_name_is_met_by_what_was_defined():
    def product_of_expert(*experts):
        return experts

    class Odd:
        @property
        def __class__(self):
            raise RuntimeError

    product_of_expert.__module__ = "__main__"
    namespace = {"product_of_expert": product_of_expert, "product_of_experts_": "a text", "odd": Odd()}
    with pytest.raises(AnswerError, match=r"when the check runs\. You defined product_of_expert\.$"):
        KernelAnswer(POE, asking(namespace))(torch.ones(1))
    hostile = KernelAnswer(POE, lambda request, seconds: protocol.Missing("no name\n" * 1000))
    with pytest.raises(AnswerError, match=r"when the check runs\.$"):
        hostile(torch.ones(1))


@pytest.mark.parametrize(
    ("namespace", "status", "message"),
    [
        ({}, "missing", "product_of_experts is not defined when the check runs"),
        ({"product_of_experts": 3}, "error", "must be something to call, but it is a int"),
        ({"product_of_experts": lambda *x: 1 / 0}, "error", "ZeroDivisionError"),
    ],
)
def test_what_is_no_answer_has_a_status(namespace, status, message):
    with pytest.raises(AnswerError, match=message) as caught:
        KernelAnswer(POE, asking(namespace))(torch.ones(1))
    assert caught.value.status == status


@pytest.mark.parametrize(
    "reply",
    [
        protocol.Returned(1),
        protocol.Returned(None),
        protocol.Constructed(7),
        protocol.Called({"tensor": "float32"}, 0),
        protocol.Called({"again": 0}, 0),
        protocol.Called({"tensor": "float32", "shape": [2], "strides": [0], "offset": 0, "storage": 0, "data": ""}, 0),
        protocol.Gradients({}),
        protocol.NoGradients(""),
    ],
    ids=str,
)
@pytest.mark.parametrize("exercise", EXERCISES.values(), ids=lambda exercise: exercise.name)
def test_a_forged_reply_earns_nothing_and_stops_nothing(reply, exercise):
    report = run_checks(exercise, KernelAnswer(exercise, lambda request, seconds: reply))
    assert report.score == 0
    assert {result.status for result in report.results} <= {"error", "wrong"}
    assert "The check could not judge" not in str(report)


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            "[]",
            "{}",
            "null",
            '{"type": "Nothing"}',
            '{"type": "Returned"}',
            '{"type": "Constructed", "instance": {}}',
        ),
        *('{"type": "Called", "value": 1, "call": "x"}', '{"type": "Failed", "error": {"a": 1}}'),
        *('{"type": "Failed", "error": "\\ud800"}', "[" * 100_000, '{"type": "Returned", "value": NaN}'),
    ],
    ids=lambda text: text[:40],
)
def test_what_is_no_reply_is_refused(text):
    with pytest.raises((msgspec.MsgspecError, RecursionError)):
        protocol.reply_from(text)


def test_messages_come_back():
    request = protocol.Backward("f", 3, {0: encode(1.5)})
    assert protocol.request_from(protocol.to_json(request)) == request
    for reply in (protocol.Missing(), protocol.Called(encode([1]), 2), protocol.Failed("ValueError: λ")):
        assert protocol.reply_from(protocol.to_json(reply)) == reply


@pytest.mark.parametrize("length", [-1, 2**40, 1.5, "3", None, True])
def test_a_lying_length_is_an_error(length):
    answer = KernelAnswer(PAIRED, lying(length))
    with pytest.raises(AnswerError, match="cannot be read"):
        len(answer())


PAIRED = EXERCISES["paired_dataset"]


def lying(value):
    """Return an `ask` for a kernel that makes an object, and gives this value whatever it is asked for."""

    def ask(request, seconds):
        made = isinstance(request, protocol.Construct)
        return protocol.Constructed(0) if made else protocol.Returned(encode(value))

    return ask


def test_a_short_list_of_items_is_an_error():
    answer = KernelAnswer(PAIRED, lying([1, 2]))
    with pytest.raises(AnswerError, match="cannot be read"):
        answer().take([0, 1, 2])


@pytest.mark.parametrize("status", ["timeout", "died"])
def test_after_a_call_that_did_not_end_none_is_made(status):
    calls = []

    def ask(request, seconds):
        calls.append(request)
        raise AnswerError(status, "it did not end")

    report = run_checks(POE, KernelAnswer(POE, ask))
    assert len(calls) == 1
    assert {result.status for result in report.results} == {status}
    assert "Not run" in report.results[1].message


def test_calls_that_are_slow_each_end_together():
    slow = replace(POE, total_seconds=0.0)
    with pytest.raises(AnswerError, match="All calls of product_of_experts together took too long"):
        remote(lambda: 1, slow)()
