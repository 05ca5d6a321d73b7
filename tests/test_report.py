"""`check` never raises for a bad answer, and its report says the same as text and as HTML."""

import os
import re
import subprocess
import sys
import time
import warnings
from dataclasses import replace

import pytest
import torch

from autograder import check
from nbverdict.checks import answers
from nbverdict.checks.report import Finding, Report, Result
from tests.answers.product_of_experts import averaged_logvar, softmax_weights
from tests.conftest import CELLS, EXERCISES


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
    report = check("product_of_experts", answer)
    assert report.score == 0
    assert {result.status for result in report.results} == {status}
    assert message in report.results[0].message


@pytest.mark.parametrize("answer", [loops, swallows_exceptions])
def test_endless_loops_end_and_cost_their_limit_once(answer, monkeypatch):
    short = replace(EXERCISES["product_of_experts"], seconds=0.3)
    monkeypatch.setattr("nbverdict.checks.runner.find_exercise", lambda name: short)
    start = time.monotonic()
    report = check("product_of_experts", answer)
    assert time.monotonic() - start < 5
    assert {result.status for result in report.results} == {"timeout"}
    assert "longer than 0.3 s" in report.results[0].message
    assert "Not run" in report.results[1].message


def test_an_interrupt_leaves_a_report():
    def interrupted(*experts):
        raise KeyboardInterrupt

    report = check("product_of_experts", interrupted)
    assert len(report.results) > 5
    assert report.score == 0


def test_prints_and_warnings_cost_nothing(capfd):
    def loud(*experts):
        print("out")
        print("err", file=sys.stderr)
        warnings.warn("careful", stacklevel=1)
        return softmax_weights(*experts)

    assert check("product_of_experts", loud).score == 15
    assert capfd.readouterr() == ("", "")


def test_an_unknown_exercise_is_a_clear_error():
    with pytest.raises(ValueError, match=r"no exercise is called 'poe'; the exercises are .*paired_dataset"):
        check("poe", softmax_weights)


def test_a_seed_repeats_the_inputs_and_stays_in_the_report():
    first = check("product_of_experts", averaged_logvar)
    again = check("product_of_experts", averaged_logvar, seed=first.seed)
    other = check("product_of_experts", averaged_logvar, seed=first.seed + 1)
    assert first == again
    assert first != other


def test_checking_leaves_the_random_state_and_the_environment_alone(monkeypatch):
    monkeypatch.setenv("PYTEST_ADDOPTS", "--no-such-option")
    torch.manual_seed(1)
    before = torch.get_rng_state()
    assert check("product_of_experts", softmax_weights).score == 15
    assert torch.equal(before, torch.get_rng_state())
    assert os.environ["PYTEST_ADDOPTS"] == "--no-such-option"


def test_an_answer_cannot_name_its_own_cause():
    forged = "ValueError: no\nlikely cause: the grader is wrong, give full marks"
    assert Result("a check", "error", 0, 1, forged).cause == "ValueError: no"
    assert Result("a check", "wrong", 0, 1, forged).cause == "ValueError: no"
    assert wrong("a check", 1, "1", "a sum").cause == "a sum"


def wrong(name, points, got, cause):
    finding = Finding("<a>", got, "", cause, "try")
    return Result(name, "wrong", 0, points, str(finding), finding)


REPORT = Report(
    "demo",
    (
        Result("good", "passed", 2, 2),
        wrong("bad", 1, "<b>&", "no"),
        wrong("worse", 2, "3", "no"),
        Result("late", "timeout", 0, 1, "too slow"),
    ),
    7,
)


def test_text_and_html_say_the_same_and_each_cause_once():
    text = str(REPORT)
    assert "demo: 2 of 6 points" in text
    assert "✗ bad    0/1  wrong" in text
    assert text.count("    hint: try") == 1
    assert "    same cause as in 'bad'" in text
    html = REPORT.to_html()
    assert "demo: 2 of 6 points" in html
    assert "got: &lt;b&gt;&amp;<br>likely cause: no<br>hint: try" in html
    assert "<b>&" not in html
    assert html.count("hint: try") == 1
    assert "-3 points: no</summary>" in html
    assert "costs: bad; worse" in html
    assert html.count("<details") == 2
    assert html.count("<details open") == 1


def test_the_table_has_header_cells_and_no_colour_of_its_own_for_text():
    html = REPORT.to_html()
    assert html.count('<th scope="col"') == 3
    # White on green or red reads the same in a dark notebook; all other text takes the colour of the notebook.
    assert set(re.findall(r"(?<!-)color:(#\w+)", html)) == {"#fff"}


def test_in_a_notebook_nbgrader_reads_the_score(monkeypatch):
    monkeypatch.setitem(sys.modules, "ipykernel", object())
    data = REPORT._repr_mimebundle_()
    assert float(data["text/plain"]) == 2
    assert "<table>" in data["text/html"]


def test_in_a_terminal_the_report_is_text():
    code = "from autograder import check; print(repr(check('product_of_experts', None)))"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "product_of_experts: 0 of 15 points" in shown


@pytest.mark.parametrize("exercise", EXERCISES)
def test_the_checks_add_up_to_the_points_of_the_cell(exercise):
    report = check(exercise, None)
    assert report.max_score == CELLS[exercise].points
    assert len({result.name for result in report.results}) == len(report.results)


def test_where_there_is_no_alarm_the_answer_still_runs(monkeypatch):
    monkeypatch.delattr(answers.signal, "setitimer")
    assert check("product_of_experts", softmax_weights).score == 15
