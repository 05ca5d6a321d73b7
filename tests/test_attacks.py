"""The attack class against this grader: no point gained, nothing hidden read, nobody else harmed."""

import shutil
from dataclasses import replace

import pytest

from nbverdict.checks import assignments
from nbverdict.classroom.course import AssignmentRun, Course
from nbverdict.classroom.scheduling import grade
from nbverdict.confinement.layers import Confinement
from tests.attacks import ATTACKS, making
from tests.attacks.common import BYSTANDER, SECRET
from tests.conftest import MOST, ROOT
from tests.test_course import nbgrader

# Bounds at which an attack ends soon; the mechanisms are those of every day.
BOUNDS = """
c.Execute.timeout = 8
c.ConfinedProvisioner.limits = {
    "memory": 2 << 30, "scratch": 64 << 20, "file_size": 32 << 20, "output": 16 << 20, "files": 2000, "wall": 60,
}
"""
SECONDS = 3  # for one call of an answer; exercises allow more


@pytest.fixture(scope="module")
def attacked(tmp_path_factory):
    """Yield a course with all attackers in it, and what grades it."""
    if lacking := [layer.name for layer in Confinement().layers() if layer.needed and not layer.active]:
        pytest.skip(f"this machine cannot keep the attackers in: it lacks {', '.join(lacking)}")
    course = tmp_path_factory.mktemp("attacked") / "course"
    for name in ("autograder", "lab_utils", "nbverdict", "solutions", "tests/answers"):
        shutil.copytree(ROOT / name, course / name, ignore=shutil.ignore_patterns("__pycache__"))
    (course / "nbgrader_config.py").write_text((ROOT / "nbgrader_config.py").read_text() + BOUNDS)
    nbgrader(course, "generate_assignment", "multiview_vae")
    making.make_canary(course)
    making.make_bystander(course / "submitted", course)
    making.make_attackers(course / "submitted", course)

    def quick(path, read=assignments._exercise):
        exercise = read(path)
        return exercise and replace(exercise, seconds=SECONDS, total_seconds=4 * SECONDS)

    with pytest.MonkeyPatch.context() as patch, making.Neighbour(course):
        patch.setattr(assignments, "_exercise", quick)
        patch.setenv(SECRET, "nobody's business")
        grader = AssignmentRun(Course(course), "multiview_vae")
        assert grade(grader, BYSTANDER).points == MOST
        yield course, grader


@pytest.mark.parametrize("student", ATTACKS)
def test_an_attack_gains_nothing_learns_nothing_and_harms_nobody(attacked, student):
    (course, grader), attack = attacked, ATTACKS[student]
    before = making.snapshot(course)
    outcomes = {outcome.exercise: outcome for outcome in grade(grader, student).outcomes}
    outcome = outcomes[attack.exercise]
    assert outcome.points <= attack.points, outcome
    assert outcome.status in attack.status, outcome
    assert outcome.reasons or outcome.status == "passed"
    assert making.learned(course, student) == []
    assert making.took(course, student) == []
    assert making.harm(course, before) == []


def test_the_class_is_large_and_of_all_kinds():
    assert len(ATTACKS) >= 40
    assert {attack.aim for attack in ATTACKS.values()} == {"gain", "learn", "harm"}
