"""What a release asks for, and what is refused because nothing could be graded by it."""

import json

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from nbverdict.checks.assignments import AssignmentError
from nbverdict.notebooks.release import HIDDEN, GradedCell, graded_cells_in, read_releases, refuse_unchecked
from support.classes import ASSIGNMENT, EACH, assignment_in, mark


def cell(name, source, points=15.0):
    return GradedCell(name, "2_product", points, source)


def test_the_graded_cells_of_a_release_are_found(released):
    cells = graded_cells_in(read_releases(released / "assignments" / ASSIGNMENT))
    assert {one.name: one.points for one in cells} == EACH


@pytest.mark.parametrize(
    ("name", "source", "problem"),
    [
        ("check_product", 'check("product", product)', r"its ID \(grade_id\) must be 'product', too"),
        ("bonus", "2", "nobody has checks for the graded code cell 'bonus'"),
        ("product", 'check("product", produkt)', r'must be the one line check\("product", product\)'),
    ],
)
def test_a_cell_without_its_check_is_refused_and_what_to_do_is_said(released, name, source, problem):
    with pytest.raises(AssignmentError, match=problem):
        refuse_unchecked(assignment_in(released), [cell(name, source)], stock=False)


def test_what_locked_cells_held_is_put_back(tmp_path):
    book = new_notebook(cells=[mark(new_code_cell("2"), "tests", grade=True, locked=True, points=2)])
    nbformat.write(book, tmp_path / "one.ipynb")
    (tmp_path / HIDDEN).write_text(json.dumps({"one": {"tests": "assert x == 1\n2"}}))
    (release,) = read_releases(tmp_path).values()
    assert release.cells[0].source == "2"
    assert release.to_be_graded().cells[0].source == "assert x == 1\n2"
