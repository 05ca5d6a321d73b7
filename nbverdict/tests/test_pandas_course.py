"""The example course in pandas: cleaning, groups, dates, a plot, an exception and a text, graded at each door."""

import json
import shutil
from pathlib import Path

import pytest
from nbgrader.api import Gradebook

from examples.pandas_course.make_class import ASSIGNMENT, CAUSES, EXPECTED, POINTS, make_class
from nbverdict import judge
from support import commands
from support.commands import nbgrader

pytest.importorskip("pandas", reason="pandas is not installed")
# nbgrader 0.9 adds rows in an order that newer SQLAlchemy releases warn about.
pytestmark = pytest.mark.filterwarnings("ignore:Object of type:sqlalchemy.exc.SAWarning")
COURSE = Path(__file__).parents[2] / "examples" / "pandas_course"


@pytest.fixture(scope="module")
def released(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pandas") / "course"
    shutil.copytree(COURSE, folder, ignore=shutil.ignore_patterns("__pycache__"))
    nbgrader(folder, "generate_assignment", ASSIGNMENT)  # which grades the solution from outside
    make_class(folder)
    return folder


def test_right_answers_earn_everything_and_wrong_ones_are_named(released):
    said = commands.run(released, "nbverdict", "grade", ASSIGNMENT, "--seed", "1", "--json", "found.json")
    assert said.returncode == 0, said.stderr
    found = {one["student"]: one for one in json.loads((released / "found.json").read_text())}
    for student, expected in EXPECTED.items():
        outcomes = found[student]["outcomes"]
        assert {one["exercise"]: one["points"] for one in outcomes} == expected, (student, outcomes)
        text = json.dumps(outcomes, ensure_ascii=False)
        assert [cause for cause in CAUSES[student] if cause not in text] == [], (student, outcomes)
        assert all(check["judged"] for one in outcomes for check in one["checks"]), (student, outcomes)
    assert "this check may be wrong itself" not in said.stdout


def test_the_other_doors_give_the_same(released, tmp_path):
    course = shutil.copytree(released, tmp_path / "course")
    nbgrader(course, "autograde", ASSIGNMENT, "--force", "--ExecuteOutside.seed=1")
    with Gradebook(f"sqlite:///{course}/gradebook.db", "pandas-course") as gradebook:
        for student, expected in EXPECTED.items():
            (notebook,) = gradebook.find_submission(ASSIGNMENT, student).notebooks
            assert {grade.name: grade.auto_score for grade in notebook.grades} == expected
    for student in ("ada_right", "dan_twice"):
        verdict = judge(course / "submitted" / student / ASSIGNMENT, course / "assignments" / ASSIGNMENT, seed=1)
        assert {one.exercise: one.points for one in verdict.outcomes} == EXPECTED[student]
        assert verdict.max_points == sum(POINTS.values())
