"""The lab's own values reach a kernel; what a kernel says that it must not earns nothing in any exercise."""

import pytest
import torch

from autograder.multiview_vae.values import LabelledImages
from nbverdict.checks.answers import AnswerError
from nbverdict.checks.diagnosis import describe
from nbverdict.checks.runner import run_checks
from nbverdict.remote import protocol
from nbverdict.remote.stand_in import KernelAnswer
from tests.conftest import EXERCISES, asking

POE = EXERCISES["product_of_experts"]


def remote(answer, exercise=POE):
    return KernelAnswer(exercise, asking({exercise.answer: answer}))


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


def test_a_value_that_is_sent_again_is_the_same_object_there():
    seen = []
    given = LabelledImages(1, torch.tensor([5, 0, 4]), "targets tensor int64")
    ask = remote(lambda images: seen.append(images) or len(seen))
    ask(given)
    ask(given)
    assert seen[0] is seen[1]


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
