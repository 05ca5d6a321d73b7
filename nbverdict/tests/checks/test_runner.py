"""The checks of an exercise are run, whatever they find."""

import builtins
import json
import os
import subprocess
import sys

import pytest
import torch

from nbverdict import check
from nbverdict.checks.answers import AnswerError, error_class, named_error
from nbverdict.checks.assignments import find_exercise
from nbverdict.checks.runner import run_checks
from nbverdict.remote.stand_in import KernelAnswer
from support.asking import asking
from support.classes import EACH
from support.functions import averaged, right

pytestmark = pytest.mark.usefixtures("around")


def test_an_interrupt_leaves_a_report():
    def interrupted(*experts):
        raise KeyboardInterrupt

    report = check("product", interrupted)
    assert len(report.results) == 4
    assert report.score == 0


def test_an_unknown_exercise_is_a_clear_error():
    with pytest.raises(ValueError, match=r"no exercise is called 'poe'; the exercises are .*pairs"):
        check("poe", right)


def test_a_seed_repeats_the_inputs_and_stays_in_the_report():
    first = check("product", averaged)
    again = check("product", averaged, seed=first.seed)
    other = check("product", averaged, seed=first.seed + 1)
    assert first == again
    assert first != other


def test_checking_leaves_the_random_state_and_the_environment_alone(monkeypatch):
    monkeypatch.setenv("PYTEST_ADDOPTS", "--no-such-option")
    torch.manual_seed(1)
    before = torch.get_rng_state()
    assert check("product", right).score == 15
    assert torch.equal(before, torch.get_rng_state())
    assert os.environ["PYTEST_ADDOPTS"] == "--no-such-option"


def test_in_a_terminal_the_report_is_text():
    code = "from nbverdict import check; print(repr(check('product', None)))"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "product: 0 of 15 points" in shown


@pytest.mark.parametrize("exercise", EACH)
def test_the_checks_add_up_to_the_points_of_the_cell(exercise):
    report = check(exercise, None)
    assert report.max_score == EACH[exercise]
    assert len({result.name for result in report.results}) == len(report.results)


CHECK = """
import pytest
EXERCISE = {{"answer": "root"}}


@pytest.mark.points(1)
def test_it(root):
    {line}
"""


@pytest.mark.parametrize(
    ("line", "answer", "status", "message"),
    [
        ("with pytest.raises(ValueError, match='below'): root(-1)", lambda x: int("below"), "passed", ""),
        ("with pytest.raises(ValueError): root(-1)", lambda x: 1, "wrong", "no ValueError is raised"),
        ("with pytest.raises(KeyError): root(-1)", lambda x: int("x"), "error", "root raised ValueError"),
        ("assert root.printed(3) == '3\\n'", print, "passed", ""),
        ("assert len(root(3)) == 1", lambda x: None, "wrong", "nothing is returned"),
        ("assert len(root(3)) == 1", lambda x: 3, "error", "The check could not judge"),
    ],
)
def test_what_checks_do_in_plain_python_is_told_in_words(tmp_path, monkeypatch, line, answer, status, message):
    (tmp_path / "checks" / "own").mkdir(parents=True)
    (tmp_path / "checks" / "own" / "root.py").write_text(CHECK.format(line=line))
    monkeypatch.chdir(tmp_path)
    here = check("root", answer).results[0]
    exercise = find_exercise("root")
    there = run_checks(exercise, KernelAnswer(exercise, asking({"root": answer}))).results[0]
    assert here.status == there.status == status
    assert message in here.message
    assert message in there.message
    assert here.judged == there.judged == ("could not judge" not in message)


def test_an_exception_of_a_students_own_class_is_caught_by_its_builtin_base():
    class TooCold(ValueError):
        pass

    assert named_error(TooCold("x")) == ("builtins", "ValueError")
    assert issubclass(error_class("builtins", "ValueError"), ValueError)
    for module, name in (("builtins", "KeyboardInterrupt"), ("nbverdict.checks.diagnosis", "Wrong"), ("os", "system")):
        assert error_class(module, name) is AnswerError


def test_an_exception_of_any_kind_keeps_its_message():
    kinds = [kind for kind in vars(builtins).values() if isinstance(kind, type) and issubclass(kind, Exception)]
    for kind in (*kinds, json.JSONDecodeError, subprocess.CalledProcessError):
        made = error_class(kind.__module__, kind.__qualname__)("error", "f raised it", written=False)
        assert (str(made), made.status, made.written) == ("f raised it", "error", False), kind
    assert issubclass(error_class("builtins", "UnicodeDecodeError"), UnicodeDecodeError)
    assert issubclass(error_class("json.decoder", "JSONDecodeError"), ValueError)
