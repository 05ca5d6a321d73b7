"""What a kernel holds of what it was sent."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nbverdict.checks.assignments import Exercise
from nbverdict.remote.stand_in import KernelAnswer
from nbverdict.remote.wire import MOST_HELD
from support.asking import asking

PRODUCT = Exercise("product", Path("product.py"), "product")


def remote(answer):
    return KernelAnswer(PRODUCT, asking({"product": answer}))


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
    ask = asking({PRODUCT.answer: lambda x: x.sum()})
    answer = KernelAnswer(PRODUCT, ask)
    many = [torch.full((2,), float(i)) for i in range(3 * MOST_HELD)]
    for _ in range(2):
        assert [float(answer(x)) for x in many] == [2.0 * i for i in range(len(many))]
    assert len(ask.session.held.storages) <= MOST_HELD
    assert len(ask.session.held.objects) <= MOST_HELD
