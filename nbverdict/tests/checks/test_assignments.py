"""Assignments are found in a course and in packages; check files that cannot be used are named."""

import os
import shutil
import subprocess
import sys

import pytest

from nbverdict import check
from nbverdict.checks.assignments import AssignmentError, assignments_in, find_exercise, known_assignments
from nbverdict.checks.runner import points_of

CHECK = '''"""Checks."""
import pytest
from helper import RIGHT
{declaration}
@pytest.mark.points(2)
def test_it({name}):
    """It is right."""
    assert {name}() == RIGHT
'''


def write_checks(course, assignment, name, declaration=None, right=1):
    """Write a check file, and a helper that it imports."""
    folder = course / "checks" / assignment
    folder.mkdir(parents=True, exist_ok=True)
    declaration = declaration if declaration is not None else f'EXERCISE = {{"answer": "{name}"}}'
    (folder / f"{name}.py").write_text(CHECK.format(declaration=declaration, name=name))
    (folder / "helper.py").write_text(f"RIGHT = {right}\n")
    return folder / f"{name}.py"


@pytest.fixture
def course(tmp_path, monkeypatch):
    """An empty course in which notebooks are run."""
    (tmp_path / "solutions" / "lab").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "solutions" / "lab")
    return tmp_path


def test_another_package_offers_an_assignment_by_its_entry_point(tmp_path):
    write_checks(tmp_path, "ours", "warm_up")
    package = shutil.move(tmp_path / "checks" / "ours", tmp_path / "their_checks")
    (package / "__init__.py").touch()
    (package / "warm_up.py").write_text((package / "warm_up.py").read_text().replace("helper", "their_checks.helper"))
    (tmp_path / "theirs-1.0.dist-info").mkdir()
    (tmp_path / "theirs-1.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: theirs\nVersion: 1.0\n")
    (tmp_path / "theirs-1.0.dist-info" / "entry_points.txt").write_text(
        "[nbverdict.assignments]\nours = their_checks\n"
    )
    code = "from nbverdict import check; print(check('warm_up', lambda: 1).score, check('warm_up', lambda: 2).score)"
    command, environment = [sys.executable, "-c", code], {**os.environ, "PYTHONPATH": str(tmp_path)}
    said = subprocess.run(command, capture_output=True, text=True, check=True, cwd="/", env=environment).stdout
    assert said == "2.0 0.0\n"


def test_check_finds_the_exercises_of_the_course_around_a_notebook(course):
    write_checks(course, "one", "warm_up")
    assert "one" in known_assignments()
    assert check("warm_up", lambda: 1).score == 2
    assert check("warm_up", lambda: 2).score == 0
    with pytest.raises(ValueError, match=r"no exercise is called 'cool_down'; the exercises are .*warm_up"):
        check("cool_down", lambda: 1)


def test_two_exercises_of_one_name_are_an_error_and_their_files_stay_apart(course):
    one, two = write_checks(course, "one", "warm_up", right=1), write_checks(course, "two", "warm_up", right=2)
    with pytest.raises(
        ValueError, match=rf"'warm_up' is an exercise of two assignments, one \({one}\) and two \({two}\)"
    ):
        check("warm_up", lambda: 1)
    # Two assignments may have files of one name: each imports its own helper.
    for right, assignment in ((1, "one"), (2, "two")):
        shutil.move(course / "checks" / assignment, course / f"only_{right}" / "checks" / assignment)
        exercise = assignments_in(course / f"only_{right}")[assignment].exercises["warm_up"]
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("nbverdict.checks.runner.find_exercise", lambda name, exercise=exercise: exercise)
            assert check("warm_up", lambda right=right: right).score == 2
    assert "helper" not in sys.modules


def test_a_check_file_that_is_edited_counts_at_once(course):
    path = write_checks(course, "one", "warm_up", right=1)
    assert check("warm_up", lambda: 2).score == 0
    path.with_name("helper.py").write_text("RIGHT = 2  # another size, for the time stamp may be the same\n")
    assert check("warm_up", lambda: 2).score == 2


@pytest.mark.parametrize(
    ("declaration", "problem"),
    [
        ('EXERCISE = {"name": "x"}', "must say how its answer is called"),
        ('EXERCISE = {"answer": "x", "second": 3}', "must say how its answer is called"),
        ('EXERCISE = {"answer": "x", "seconds": "3"}', "must say how its answer is called"),
        ('EXERCISE = {"answer": "x", "seconds": 0}', "must say how its answer is called"),
        ('EXERCISE = {"answer": ""}', "must say how its answer is called"),
        ("EXERCISE = dict(answer=1)", "must say how its answer is called"),
        ("EXERCISE = [", "has a syntax error in line"),
    ],
)
def test_a_check_file_that_does_not_say_what_it_grades_is_named(course, declaration, problem):
    path = write_checks(course, "one", "warm_up", declaration)
    with pytest.raises(AssignmentError, match=problem) as caught:
        find_exercise("warm_up")
    assert str(path) in str(caught.value)


def test_a_file_without_a_declaration_is_a_helper(course):
    write_checks(course, "one", "warm_up", declaration="")
    assert list(assignments_in(course)["one"].exercises) == []


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("import no_such_module\n", "cannot be imported: .*no_such_module"),
        ("def test_it(warm_up):\n    pass\n", "test_it in .*warm_up.py does not say what it earns"),
        ("", "there is no check in .*warm_up.py"),
    ],
)
def test_checks_that_cannot_run_are_an_error_and_no_perfect_report(course, text, problem):
    path = write_checks(course, "one", "warm_up")
    path.write_text('EXERCISE = {"answer": "warm_up"}\n' + text)
    with pytest.raises(AssignmentError, match=problem):
        check("warm_up", lambda: 1)


def test_a_parameter_of_a_check_that_is_no_fixture_is_named(course):
    path = write_checks(course, "one", "warm_up")
    assert points_of(find_exercise("warm_up")) == 2
    path.write_text(path.read_text().replace("test_it(warm_up)", "test_it(warm_upp, rng)"))
    with pytest.raises(AssignmentError, match=r"test_it in .* asks for 'warm_upp'; it may ask for warm_up, rng and"):
        points_of(find_exercise("warm_up"))
