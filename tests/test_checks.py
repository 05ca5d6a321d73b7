"""Right answers earn everything; wrong answers lose points and hear why; wherever the answer lives."""

import importlib
import warnings
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest
import torch

from autograder import check
from nbverdict.checks.assignments import AssignmentError
from nbverdict.checks.runner import run_checks
from nbverdict.remote.stand_in import KernelAnswer
from tests.conftest import ALL_CELLS, ALL_EXERCISES, ASSIGNMENT, EXERCISES, EXTENSION, asking

ANSWERS = {name: importlib.import_module(f"tests.answers.{name}") for name in ALL_EXERCISES}


def wrong_answers():
    for exercise, module in ANSWERS.items():
        for key, value in module.WRONG.items():
            answer, cause = (key, value) if isinstance(value, str) else value
            name = key if isinstance(key, str) else key.__name__
            yield pytest.param(exercise, answer, cause, id=f"{exercise}-{name}")


def judge(exercise, answer, seed):
    """Return the report, after making sure that an answer behind the wire gets the same one."""
    torch.manual_seed(0)  # an answer that draws numbers draws the same ones both times
    report = check(exercise, answer, seed=seed)
    found = ALL_EXERCISES[exercise]
    ask = asking({found.answer: answer}, ASSIGNMENT if exercise in EXERCISES else EXTENSION)
    torch.manual_seed(0)
    remote = run_checks(found, KernelAnswer(found, ask), seed=report.seed)
    assert [(r.name, r.status, r.points) for r in remote.results] == [
        (r.name, r.status, r.points) for r in report.results
    ]
    return report


@pytest.mark.parametrize(
    ("exercise", "answer"), [(name, answer) for name, module in ANSWERS.items() for answer in module.RIGHT]
)
@pytest.mark.parametrize("seed", [0, None])
def test_right_answers_earn_everything(exercise, answer, seed):
    report = judge(exercise, answer, seed)
    assert report.score == report.max_score == ALL_CELLS[exercise].points, str(report)
    assert {result.status for result in report.results} == {"passed"}


@pytest.mark.parametrize(("exercise", "answer", "cause"), list(wrong_answers()))
def test_wrong_answers_lose_points_and_hear_why(exercise, answer, cause):
    report = judge(exercise, answer, None)
    assert report.score < report.max_score
    messages = "\n".join(result.message for result in report.results)
    assert cause in messages, str(report)
    assert "The check could not judge" not in messages, str(report)
    for result in report.results:
        assert (result.status == "passed") == (result.points == result.max_points) == (result.message == "")
        if result.status == "wrong":
            heads = [line.split(":")[0] for line in result.message.splitlines()]
            assert [head for head in heads if head != "differs most"] == ["expected", "got", "likely cause", "hint"]


def in_order(*order):
    return lambda *args, **kwargs: tuple(ANSWERS["vae_loss"].RIGHT[0](*args, **kwargs)[i] for i in order)


def swapped(*experts):
    return textbook(*experts)[::-1]


def first_expert(mu1, logvar1, mu2, logvar2):
    return mu1, logvar1


def constant_within(mu1, logvar1, mu2, logvar2):
    precision1, precision2 = 1 / (logvar1.exp() + 1e-8), 1 / (logvar2.exp() + 1e-8)
    total = precision1 + precision2
    return (mu1 * precision1 + mu2 * precision2) / total, (1 / total + 1e-8).log()


def logarithm_of_logvar(*args, mu=None, logvar=None, **others):
    loss, mnist, svhn, kl = ANSWERS["vae_loss"].RIGHT[0](*args, mu=mu, logvar=logvar, **others)
    wrong = kl + (logvar.log().sum() if logvar is not None else 0)
    return loss - kl + wrong, mnist, svhn, wrong


def sampled_kl(*args, mu=None, logvar=None, **others):
    loss, mnist, svhn, kl = ANSWERS["vae_loss"].RIGHT[0](*args, mu=mu, logvar=logvar, **others)
    noise = torch.rand(()) if mu is not None else 0
    return loss + noise, mnist, svhn, kl + noise


def in_numpy(*args, **others):
    return tuple(part.detach().numpy()[()] for part in ANSWERS["vae_loss"].RIGHT[0](*args, **others))


class AllCombinations(ANSWERS["paired_dataset"].RIGHT[0]):
    def __init__(self, first, second):
        one, two = (np.asarray(d.targets if hasattr(d, "targets") else d.labels) for d in (first, second))
        self.all = [(first[i][0], second[j][0], int(one[i])) for i, j in np.argwhere(one[:, None] == two)]

    def __len__(self):
        return len(self.all)

    def __getitem__(self, i):
        return self.all[i]


class WithoutLabel(AllCombinations):
    def __getitem__(self, i):
        return self.all[i][:2]


averaged_variance = ANSWERS["product_of_experts"].averaged_variance
textbook = ANSWERS["product_of_experts"].textbook
SECOND_HAND = {
    "vae_loss": [
        (in_order(1, 2, 3, 0), "in another order", ["cut from the graph", "+= on the loss", "are absent"]),
        (in_order(0, 2, 1, 3), "in another order", ["svhn_weight multiplies", "are absent"]),
        (in_order(0, 3, 1, 2), "in another order", ["exchanged"]),
        (logarithm_of_logvar, "not a number (nan)", ["the KL changes", "beta changes", "weighted sum"]),
        (sampled_kl, "the result is random", ["parameters are in another order"]),
        (in_numpy, "a NumPy number", ["is not a number"]),
    ],
    "product_of_experts": [
        (averaged_variance, "average of the two experts' variances", ["average of the two experts' log-variances"]),
        (swapped, "in the wrong order", ["small constant", "overflows"]),
        (first_expert, "returned the first expert", ["squared the variance", "small constant", "log-variances don't"]),
        (constant_within, "small constant", ["Do the case by hand"]),
    ],
    "paired_dataset": [
        (AllCombinations, "every image is paired with every image", ["counts twice", "longer dataset"]),
        (WithoutLabel, "the label is missing", ["each view's own"]),
    ],
}


@pytest.mark.parametrize(
    ("exercise", "answer", "cause", "untrue"),
    [
        pytest.param(name, *case, id=f"{name}-{i}")
        for name, cases in SECOND_HAND.items()
        for i, case in enumerate(cases)
    ],
)
def test_no_cause_is_named_that_is_not_the_cause(exercise, answer, cause, untrue):
    text = "\n".join(result.message for result in judge(exercise, answer, None).results)
    assert cause in text
    assert not [words for words in untrue if words in text], text


@contextmanager
def of_a_notebook():
    """Set what a student's notebook may set for itself."""
    torch.set_default_dtype(torch.float64)
    torch.set_default_device("meta")
    torch.set_grad_enabled(False)
    torch.use_deterministic_algorithms(True)
    with np.errstate(all="raise"), warnings.catch_warnings(action="error"):
        try:
            yield
            assert torch.get_default_dtype() == torch.float64
            assert torch.get_default_device().type == "meta"
            assert not torch.is_grad_enabled()
            assert torch.are_deterministic_algorithms_enabled()
        finally:
            torch.set_default_dtype(torch.float32)
            torch.set_default_device(None)
            torch.set_grad_enabled(True)
            torch.use_deterministic_algorithms(False)


@pytest.mark.parametrize("exercise", ALL_EXERCISES)
def test_what_a_notebook_has_set_for_itself_costs_no_point(exercise):
    found, answer = ALL_EXERCISES[exercise], ANSWERS[exercise].RIGHT[0]
    ask = asking({found.answer: answer}, ASSIGNMENT if exercise in EXERCISES else EXTENSION)

    def ask_there(request, seconds):
        with of_a_notebook():
            return ask(request, seconds)

    with of_a_notebook():
        here = check(exercise, answer)
    there = run_checks(found, KernelAnswer(found, ask_there))
    assert here.score == there.score == ALL_CELLS[exercise].points, f"{here}\n{there}"


def test_a_function_that_returns_a_dataset_is_as_good_as_a_class():
    def paired(first, second):
        return ANSWERS["paired_dataset"].RIGHT[0](first, second)

    assert judge("paired_dataset", paired, None).score == 12


def test_a_product_that_unpacks_a_batch_loses_the_points_of_other_shapes_only():
    def unpacks(mu1, logvar1, mu2, logvar2):
        _batch, _latent = mu1.shape
        return ANSWERS["product_of_experts"].RIGHT[0](mu1, logvar1, mu2, logvar2)

    assert [r.name for r in judge("product_of_experts", unpacks, None).results if r.status != "passed"] == [
        "Vectors of 20 latent dimensions give vectors of 20",
        "Batches keep their shape, for any batch size, number of latent dimensions and layout in memory",
    ]


@pytest.mark.parametrize("exercise", ALL_EXERCISES)
def test_there_are_enough_answers(exercise):
    assert len(ANSWERS[exercise].RIGHT) >= 4
    assert len(ANSWERS[exercise].WRONG) >= 12


def test_a_run_that_finds_no_check_is_an_error_and_no_perfect_report(tmp_path, monkeypatch):
    empty = tmp_path / "empty.py"
    empty.write_text("")
    nothing = replace(EXERCISES["vae_loss"], checks=empty)
    monkeypatch.setattr("nbverdict.checks.runner.find_exercise", lambda name: nothing)
    with pytest.raises(AssignmentError, match=r"no check in .*empty\.py.*a function whose name begins with test_"):
        check("vae_loss", lambda *parts: None)


def test_nan_is_named_and_what_is_not_finite_makes_no_noise(capfd):
    def nothing(*args, **kwargs):
        loss, *parts = ANSWERS["vae_loss"].RIGHT[0](*args, **kwargs)
        return loss * float("nan"), *parts

    def endless_part(*args, **kwargs):
        loss, mnist, svhn, kl = ANSWERS["vae_loss"].RIGHT[0](*args, **kwargs)
        return loss, mnist, svhn, kl + float("inf")

    def endless_total(*args, **kwargs):
        loss, *parts = ANSWERS["vae_loss"].RIGHT[0](*args, **kwargs)
        return loss + float("inf"), *parts

    said = "\n".join(result.message for result in judge("vae_loss", nothing, 0).results)
    assert "likely cause: the result is not a number (nan)" in said
    assert "not the weighted sum" not in said
    for answer in (endless_part, endless_total):
        assert judge("vae_loss", answer, 0).score < 15
    assert capfd.readouterr() == ("", "")  # LAPACK writes there of what is not finite
