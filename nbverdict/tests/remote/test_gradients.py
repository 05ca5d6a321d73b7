"""Gradients come back from an answer behind the wire."""

from pathlib import Path

import torch

from nbverdict.checks.assignments import Exercise
from nbverdict.remote.stand_in import KernelAnswer
from support.asking import asking

PRODUCT = Exercise("product", Path("product.py"), "product")


def remote(answer):
    return KernelAnswer(PRODUCT, asking({"product": answer}))


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


def test_an_unused_input_has_no_gradient():
    one, two = torch.ones(2, requires_grad=True), torch.ones(2, requires_grad=True)
    remote(lambda one, two: one * 2)(one, two).sum().backward()
    assert two.grad is None


def test_an_input_that_is_returned_keeps_its_gradient():
    one = torch.ones(2, requires_grad=True)
    (remote(lambda one: one)(one) * 3).sum().backward()
    assert torch.equal(one.grad, torch.full((2,), 3.0))
