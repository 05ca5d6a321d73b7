"""A course's configuration, and the students of an assignment."""

import os
import shutil

import pytest

from nbverdict.classroom.course import AssignmentRun, Course
from nbverdict.classroom.gathering import grade_digest
from support.classes import ASSIGNMENT


def test_the_configuration_of_the_user_counts_and_that_of_the_course_more(course, tmp_path, monkeypatch):
    (tmp_path / "jupyter").mkdir()
    (tmp_path / "jupyter" / "nbgrader_config.py").write_text(
        "c.ConfinedProvisioner.limits = {'scratch': 2000}\nc.CourseDirectory.course_id = 'of the user'\n"
    )
    monkeypatch.setenv("JUPYTER_CONFIG_DIR", str(tmp_path / "jupyter"))
    found = AssignmentRun(Course(course), ASSIGNMENT)
    assert found.course.confinement.limits.scratch == 2000
    assert found.course.coursedir.course_id == "of-the-tests"
    before = grade_digest(found, "f_right")
    (tmp_path / "jupyter" / "nbgrader_config.py").write_text("c.ExecuteOutside.everything = True\n")
    assert grade_digest(AssignmentRun(Course(course), ASSIGNMENT), "f_right") != before


@pytest.mark.parametrize(
    "name",
    ["x[1]", os.fsdecode(b"m\xfcller"), " anna", "anna ", "two\nlines", "x" * 242],
    ids=["pattern", "half a character", "space before", "space after", "line break", "too long"],
)
def test_names_that_nbgrader_takes_for_something_else_are_refused(course, name):
    shutil.copytree(course / "submitted" / "f_right", course / "submitted" / name)
    shutil.copytree(course / "submitted" / "f_right", course / "submitted" / "Jürgen\xa0O'Neill")
    of_the_class = AssignmentRun(Course(course), ASSIGNMENT)
    assert name not in of_the_class.students()
    (line,) = of_the_class.unusable_names()
    assert line.startswith(f"{name!a}: its name ")
    assert line.endswith("Rename this folder")
