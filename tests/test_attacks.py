"""The attack class against this grader: no point gained, nothing hidden read, nobody else harmed."""

import shutil
from dataclasses import replace

import pytest

from autograder.confinement.layers import Confinement
from autograder.course import Course
from autograder.exercises import EXERCISES
from tests import attacks
from tests.attacks import ATTACKS, BYSTANDER
from tests.conftest import ROOT
from tests.test_course import nbgrader

# Bounds at which an attack ends soon; the mechanisms are those of every day.
BOUNDS = """
c.Execute.timeout = 8
c.ConfinedProvisioner.limits = {
    "memory": 2 << 30, "scratch": 64 << 20, "file_size": 32 << 20, "output": 16 << 20, "files": 2000, "wall": 60,
}
"""
SECONDS = 3  # for one call of an answer, as in the table of exercises


@pytest.fixture(scope="module")
def attacked(tmp_path_factory):
    """Yield a course with all attackers in it, and what grades it."""
    if lacking := [layer.name for layer in Confinement().layers() if layer.needed and not layer.active]:
        pytest.skip(f"this machine cannot keep the attackers in: it lacks {', '.join(lacking)}")
    course = tmp_path_factory.mktemp("attacked") / "course"
    for name in ("autograder", "lab_utils", "solutions", "tests/answers"):
        shutil.copytree(ROOT / name, course / name, ignore=shutil.ignore_patterns("__pycache__"))
    (course / "nbgrader_config.py").write_text((ROOT / "nbgrader_config.py").read_text() + BOUNDS)
    nbgrader(course, "generate_assignment", "multiview_vae")
    attacks.make_canary(course)
    attacks.make_bystander(course / "submitted", course)
    attacks.make_attackers(course / "submitted", course)
    quick = {name: replace(exercise, seconds=SECONDS, total_seconds=20) for name, exercise in EXERCISES.items()}
    with pytest.MonkeyPatch.context() as patch, attacks.Neighbour(course):
        patch.setattr("autograder.execute.EXERCISES", quick)
        patch.setenv(attacks.SECRET, "nobody's business")
        grader = Course(course, "multiview_vae")
        assert grader.grade(BYSTANDER).points == 42
        yield course, grader


@pytest.mark.parametrize("student", ATTACKS)
def test_an_attack_gains_nothing_learns_nothing_and_harms_nobody(attacked, student):
    (course, grader), attack = attacked, ATTACKS[student]
    before = attacks.snapshot(course)
    outcomes = {outcome.exercise: outcome for outcome in grader.grade(student).outcomes}
    outcome = outcomes[attack.exercise]
    assert outcome.points <= attack.points, outcome
    assert outcome.status in attack.status, outcome
    assert outcome.reasons or outcome.status == "passed"
    assert attacks.learned(course, student) == []
    assert attacks.took(course, student) == []
    assert attacks.harm(course, before) == []


def test_the_class_is_large_and_of_all_kinds():
    assert len(ATTACKS) >= 40
    assert {attack.aim for attack in ATTACKS.values()} == {"gain", "learn", "harm"}
