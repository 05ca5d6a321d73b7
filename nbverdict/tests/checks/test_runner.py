"""The checks of an exercise are run, whatever they find."""

import os
import subprocess
import sys

import pytest
import torch

from nbverdict import check
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
