"""An answer behind the wire: calls go there, gradients and errors come back."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from nbverdict.checks.answers import AnswerError
from nbverdict.checks.assignments import Exercise
from nbverdict.remote import protocol
from nbverdict.remote.stand_in import KernelAnswer
from nbverdict.remote.wire import encode
from support.asking import asking

PRODUCT = Exercise("product", Path("product.py"), "product")


PAIRS = Exercise("pairs", Path("pairs.py"), "pairs", constructs=True)


def remote(answer, exercise=PRODUCT):
    return KernelAnswer(exercise, asking({exercise.answer: answer}))


def test_a_misspelt_name_is_met_by_what_was_defined():
    def produc(*experts):
        return experts

    class Odd:
        @property
        def __class__(self):
            raise RuntimeError

    produc.__module__ = "__main__"
    namespace = {"produc": produc, "product_": "a text", "odd": Odd()}
    with pytest.raises(AnswerError, match=r"when the check runs\. You defined produc\.$"):
        KernelAnswer(PRODUCT, asking(namespace))(torch.ones(1))
    hostile = KernelAnswer(PRODUCT, lambda request, seconds: protocol.Missing("no name\n" * 1000))
    with pytest.raises(AnswerError, match=r"when the check runs\.$"):
        hostile(torch.ones(1))


@pytest.mark.parametrize(
    ("namespace", "status", "message"),
    [
        ({}, "missing", "product is not defined when the check runs"),
        ({"product": 3}, "error", "must be something to call, but it is a int"),
        ({"product": lambda *x: 1 / 0}, "error", "ZeroDivisionError"),
    ],
)
def test_what_is_no_answer_has_a_status(namespace, status, message):
    with pytest.raises(AnswerError, match=message) as caught:
        KernelAnswer(PRODUCT, asking(namespace))(torch.ones(1))
    assert caught.value.status == status


@pytest.mark.parametrize("length", [-1, 2**40, 1.5, "3", None, True])
def test_a_lying_length_is_an_error(length):
    answer = KernelAnswer(PAIRS, lying(length))
    with pytest.raises(AnswerError, match="cannot be read"):
        len(answer())


def lying(value):
    """Return an `ask` for a kernel that makes an object, and gives this value whatever it is asked for."""

    def ask(request, seconds):
        made = isinstance(request, protocol.Construct)
        return protocol.Constructed(0) if made else protocol.Returned(encode(value))

    return ask


def test_a_short_list_of_items_is_an_error():
    answer = KernelAnswer(PAIRS, lying([1, 2]))
    with pytest.raises(AnswerError, match="cannot be read"):
        answer().take([0, 1, 2])


def test_calls_that_are_slow_each_end_together():
    slow = replace(PRODUCT, total_seconds=0.0)
    with pytest.raises(AnswerError, match="All calls of product together took too long"):
        remote(lambda: 1, slow)()
