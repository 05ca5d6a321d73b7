"""What the engine's tests share: a course of their own, released, with a class that has handed in."""

import shutil
from pathlib import Path

import pytest

from nbverdict.imports import without_address_grammar
from support import commands
from support.classes import ASSIGNMENT, CONFIG, write_class, write_course

with without_address_grammar():
    import nbformat  # noqa: F401  (before anything else imports it, without the seconds that its grammar takes)


def pytest_configure(config):
    """Let commands fork kernels that have imported what this course imports."""
    folder = Path(config.rootpath, ".pytest_cache", "gauss")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "nbgrader_config.py").write_text(CONFIG)
    commands.prepare(folder)


@pytest.fixture(scope="session")
def released(tmp_path_factory):
    """A course whose students handed in notebook 2 alone."""
    folder = write_course(tmp_path_factory.mktemp("class") / "course")
    commands.nbgrader(folder, "generate_assignment", ASSIGNMENT)
    write_class(folder)
    return folder


@pytest.fixture
def course(released, tmp_path):
    return Path(shutil.copytree(released, tmp_path / "course"))
