"""Which file is which notebook of the release, where students or systems renamed it."""

import pytest

from nbverdict.notebooks.locating import locate, unusable
from nbverdict.notebooks.release import read_releases
from support.classes import ASSIGNMENT, NAME


@pytest.fixture
def releases(released):
    return read_releases(released / "assignments" / ASSIGNMENT)


@pytest.fixture
def right(released):
    return (released / "submitted" / "a_right" / ASSIGNMENT / f"{NAME}.ipynb").read_text()


@pytest.mark.parametrize("name", ["2_product (1).ipynb", "mine.ipynb", "deep/er/2_product-copy1.ipynb"])
def test_a_renamed_notebook_is_found_and_its_name_told(releases, right, tmp_path, name):
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).write_text(right)
    found = locate(tmp_path, releases)[NAME]
    assert found.path == tmp_path / name
    assert found.remarks == (f"{name} was graded as {NAME}.ipynb. Hand it in under that name.",)


def test_of_two_that_may_be_meant_none_is_taken(releases, right, tmp_path):
    for name in ("one.ipynb", "two.ipynb"):
        (tmp_path / name).write_text(right)
    found = locate(tmp_path, releases)[NAME]
    assert found.path is None
    assert "There are one.ipynb, two.ipynb, and each of them may be meant" in found.remarks[0]


def test_a_name_that_nbgrader_cannot_use_is_told():
    assert "pattern" in unusable("x[1]")
    assert unusable("Jürgen O'Neill") == ""
