"""Right answers earn everything; wrong answers lose points and hear why; wherever the answer lives."""

import importlib

import pytest

from autograder import check
from autograder.exercises import EXERCISES, Exercise
from autograder.grading import run_checks
from autograder.remote import KernelAnswer
from tests.conftest import asking

ANSWERS = {name: importlib.import_module(f"tests.answers.{name}") for name in EXERCISES}


def wrong_answers():
    for exercise, module in ANSWERS.items():
        for key, value in module.WRONG.items():
            answer, cause = (key, value) if isinstance(value, str) else value
            name = key if isinstance(key, str) else key.__name__
            yield pytest.param(exercise, answer, cause, id=f"{exercise}-{name}")


def judge(exercise, answer, seed):
    """Return the report, after making sure that an answer behind the wire gets the same one."""
    report = check(exercise, answer, seed=seed)
    found = EXERCISES[exercise]
    remote = run_checks(found, KernelAnswer(found, asking({found.answer: answer})), seed=report.seed)
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
    assert report.score == report.max_score == EXERCISES[exercise].points, str(report)
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


@pytest.mark.parametrize("exercise", EXERCISES)
def test_there_are_enough_answers(exercise):
    assert len(ANSWERS[exercise].RIGHT) >= 4
    assert len(ANSWERS[exercise].WRONG) >= 12


def test_a_run_that_finds_no_check_is_an_error_and_no_perfect_report(tmp_path, monkeypatch):
    empty = tmp_path / "empty.py"
    empty.write_text("")
    monkeypatch.setattr(Exercise, "checks", empty)
    with pytest.raises(RuntimeError, match=r"no check in .*empty\.py.*NO_TESTS_COLLECTED"):
        check("vae_loss", lambda *parts: None)
