"""One submission, one verdict: what is refused, and what does not count."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from nbverdict import judge
from nbverdict.configuration import ConfigurationError

COURSE = Path(__file__).parents[3] / "examples" / "numpy_course"


@pytest.fixture
def course(tmp_path):
    ignored = shutil.ignore_patterns("__pycache__", ".*_cache")
    return Path(shutil.copytree(COURSE, tmp_path / "course", ignore=ignored))


def test_a_mistyped_option_is_refused(course):
    """Else a submission would be run with less protection than was asked for."""
    config = course / "nbgrader_config.py"
    config.write_text(config.read_text() + "c.ConfinedProvisioner.requier = True\n")
    solved = course / "solutions" / "smoothing"
    with pytest.raises(ConfigurationError, match="did you mean require"):
        judge(solved, solved)


def test_a_link_to_a_solved_notebook_earns_nothing(course, tmp_path):
    solved = course / "solutions" / "smoothing"
    (tmp_path / "1_smoothing.ipynb").symlink_to(solved / "1_smoothing.ipynb")
    verdict = judge(tmp_path / "1_smoothing.ipynb", solved)
    assert verdict.points == 0
    assert {outcome.status for outcome in verdict.outcomes} == {"tampered"}


def test_what_a_check_prints_is_no_part_of_the_json(course):
    for path in (course / "checks" / "smoothing").glob("*.py"):
        path.write_text("print('hello')\n" + path.read_text())
    solved = course / "solutions" / "smoothing"
    command = [sys.executable, "-m", "nbverdict", "judge", solved, "--assignment", solved, "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert json.loads(done.stdout)["points"] > 0
    assert "hello" in done.stderr
