"""An answer in this process either returns a result or ends as an `AnswerError`."""

import sys
import time
import warnings
from dataclasses import replace

import pytest

from nbverdict import check
from nbverdict.checks import answers
from support.classes import assignment_in
from support.functions import right

pytestmark = pytest.mark.usefixtures("around")


def loops(*experts):
    while True:
        pass


def swallows_exceptions(*experts):
    while True:
        try:
            time.sleep(0.01)
        except Exception:
            continue


def exits(*experts):
    sys.exit()


def is_a_stub(*experts):
    raise NotImplementedError


def divides_by_zero(*experts):
    return 1 / 0


@pytest.mark.parametrize(
    ("answer", "status", "message"),
    [
        (exits, "error", "SystemExit"),
        (is_a_stub, "error", "not written yet"),
        (divides_by_zero, "error", "return 1 / 0"),
        (None, "error", "must be something to call, but it is a NoneType"),
        (lambda: None, "error", "TypeError"),
        (lambda *experts: "no", "wrong", "str 'no'"),
        (lambda *experts: (float("nan"), None), "wrong", "a tuple of 2"),
        (type("Evil", (), {"__init__": lambda *args: None}), "wrong", "an object of type Evil"),
    ],
)
def test_bad_answers_are_graded(answer, status, message):
    report = check("product", answer)
    assert report.score == 0
    assert {result.status for result in report.results} == {status}
    assert message in report.results[0].message


@pytest.mark.parametrize("answer", [loops, swallows_exceptions])
def test_endless_loops_end_and_cost_their_limit_once(answer, around, monkeypatch):
    short = replace(assignment_in(around).exercises["product"], seconds=0.3)
    monkeypatch.setattr("nbverdict.checks.runner.find_exercise", lambda name: short)
    start = time.monotonic()
    report = check("product", answer)
    assert time.monotonic() - start < 5
    assert {result.status for result in report.results} == {"timeout"}
    assert "longer than 0.3 s" in report.results[0].message
    assert "Not run" in report.results[1].message


def test_prints_and_warnings_cost_nothing(capfd):
    def loud(*experts):
        print("out")
        print("err", file=sys.stderr)
        warnings.warn("careful", stacklevel=1)
        return right(*experts)

    assert check("product", loud).score == 15
    assert capfd.readouterr() == ("", "")


def test_where_there_is_no_alarm_the_answer_still_runs(monkeypatch):
    monkeypatch.delattr(answers.signal, "setitimer")
    assert check("product", right).score == 15
