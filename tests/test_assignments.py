"""The lab's assignments are found, and its checks add up."""

import shutil
import subprocess
import sys

import pytest

from nbverdict.checks.assignments import Assignment
from nbverdict.checks.runner import points_of
from nbverdict.configuration import ConfigurationError
from nbverdict.notebooks.refusing import refuse_other_checkout
from tests.conftest import ASSIGNMENT, CELLS, EXERCISES, ROOT

NUMPY = ROOT / "examples" / "numpy_course"


def test_an_installed_assignment_is_found_without_importing_it():
    code = """
import sys
from nbverdict.checks.assignments import known_assignments
print(list(known_assignments()["multiview_vae"].exercises))
print([name for name in sys.modules if name in ("torch", "pytest", "autograder.multiview_vae")])
"""
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd="/").stdout
    assert said.splitlines() == [str(list(EXERCISES)), "[]"]


@pytest.mark.parametrize("name", CELLS)
def test_points_of_the_checks(name):
    assert points_of(EXERCISES[name]) == CELLS[name].points
    assert ASSIGNMENT.exercises == Assignment("multiview_vae", ASSIGNMENT.folder).exercises


def test_a_course_with_another_copy_of_the_installed_checks_is_refused(tmp_path):
    own = tmp_path / "autograder"
    shutil.copytree(ROOT / "autograder", own, ignore=shutil.ignore_patterns("__pycache__"))
    refuse_other_checkout(tmp_path)
    with (own / "multiview_vae" / "vae_loss.py").open("a") as content:
        content.write("# mended here\n")
    with pytest.raises(ConfigurationError, match=rf"{own} differs from the installed package"):
        refuse_other_checkout(tmp_path)
