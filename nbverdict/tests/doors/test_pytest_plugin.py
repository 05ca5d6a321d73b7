"""`pytest CHECKS --answers NOTEBOOKS` runs the functions that grading runs, and finds the same."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from nbverdict import judge

COURSE = Path(__file__).parents[3] / "examples" / "numpy_course"


def run(*arguments, cwd=COURSE):
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-rA", "-q", "-c", "/dev/null", *arguments]
    return subprocess.run(list(map(str, command)), cwd=cwd, capture_output=True, text=True, check=False)


def found(output):
    """Return how each check ended, in the order of the report."""
    return re.findall(r"^(PASSED|FAILED|ERROR) \S+::(\w+)", output, flags=re.M)


@pytest.fixture(scope="module")
def wrong(tmp_path_factory):
    """A solved notebook of the example course with one answer that is wrong, in a folder of its own."""
    path = COURSE / "solutions" / "smoothing" / "1_smoothing.ipynb"
    book = json.loads(path.read_text())
    (cell,) = [cell for cell in book["cells"] if cell["metadata"].get("nbgrader", {}).get("grade_id") == "Windows"]
    cell["source"] = "class Windows:\n    def __init__(self, *_):\n        pass\n"
    folder = tmp_path_factory.mktemp("handed_in")
    (folder / path.name).write_text(json.dumps(book))
    return folder


@pytest.mark.parametrize("which", ["right", "wrong"])
def test_both_ways_give_the_same_verdicts(which, wrong):
    folder = COURSE / "solutions" / "smoothing" if which == "right" else wrong
    here = run(COURSE / "checks" / "smoothing", "--answers", folder, "--verdict-seed", 5)
    ended = {name: status for status, name in found(here.stdout)}
    verdict = judge(folder, COURSE / "solutions" / "smoothing", seed=5)
    checks = [check for outcome in verdict.outcomes for check in outcome.checks]
    assert len(ended) == len(checks) >= 5
    assert list(ended.values()).count("PASSED") == [check.status for check in checks].count("passed")
    assert ("FAILED" in ended.values()) == (which == "wrong")


def test_a_folder_that_is_not_there_and_one_without_the_answer(tmp_path):
    done = run(COURSE / "checks" / "smoothing", "--answers", tmp_path / "nowhere")
    assert (done.returncode, "is not a folder of notebooks" in done.stderr) == (4, True)
    done = run(COURSE / "checks" / "smoothing" / "windows.py", "--answers", tmp_path)
    assert re.search(r"no notebook in .* has a graded cell 'windows'", done.stdout)


def test_without_answers_it_only_knows_the_mark(tmp_path):
    (tmp_path / "test_it.py").write_text("import pytest\n\n@pytest.mark.points(1)\ndef test_it():\n    pass\n")
    done = run("--strict-markers", tmp_path, cwd=Path(tmp_path))
    assert "1 passed" in done.stdout, done.stdout
