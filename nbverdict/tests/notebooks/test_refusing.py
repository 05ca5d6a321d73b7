"""A configuration, and a copy of the code, with which nothing should be graded."""

import shutil
from pathlib import Path

import pytest

import nbverdict
from nbverdict.classroom.course import Course
from nbverdict.configuration import ConfigurationError
from support.commands import nbgrader


def test_a_course_with_another_copy_of_this_package_is_not_graded_by_both(course):
    own = course / "nbverdict"
    shutil.copytree(Path(nbverdict.__file__).parent, own, ignore=shutil.ignore_patterns("__pycache__"))
    Course(course)  # the same: nothing to choose between
    with (own / "files.py").open("a") as content:
        content.write("# mended here\n")
    with pytest.raises(ConfigurationError, match=rf"{own} differs from the installed package, .*pip install -e"):
        Course(course)
    said = nbgrader(course, "autograde", "gauss", "--student", "f_right", status=1)
    assert "differs from the installed package" in said
