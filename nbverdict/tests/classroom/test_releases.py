"""Hidden tests and mark schemes: students never get them, and both doors grade and show with them."""

import shutil

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from nbgrader.api import Gradebook

from support import commands
from support.commands import nbgrader

# nbgrader 0.9 adds rows in an order that newer SQLAlchemy releases warn about.
pytestmark = pytest.mark.filterwarnings("ignore:Object of type:sqlalchemy.exc.SAWarning")
CONFIG = """
from nbverdict.configuration import configure
c = get_config()
configure(c)
c.CourseDirectory.course_id = "hidden"
c.ExecuteOutside.stock = True
"""
TESTS = "### BEGIN HIDDEN TESTS\nassert x == {x}\n### END HIDDEN TESTS\n2"
ANSWERS = {"a_stub": None, "b_right": "x = 1", "c_wrong": "x = 3"}


def mark(cell, name, **marks):
    usual = {"grade": False, "solution": False, "locked": False, "task": False, "schema_version": 3}
    cell.metadata["nbgrader"] = {**usual, "grade_id": name, **marks}
    return cell


def source(x=1):
    """Return the instructor's notebook, whose hidden test wants this value."""
    task = "Draw something.\n### BEGIN MARK SCHEME\n1 point: it is a circle\n### END MARK SCHEME"
    return new_notebook(
        cells=[
            mark(new_code_cell(f"### BEGIN SOLUTION\nx = {x}\n### END SOLUTION"), "answer", solution=True),
            mark(new_code_cell(TESTS.format(x=x)), "tests", grade=True, locked=True, points=2),
            mark(new_markdown_cell(task), "drawing", task=True, locked=True, points=3),
        ],
        metadata={"kernelspec": {"name": "python3", "language": "python", "display_name": "Python 3"}},
    )


@pytest.fixture
def course(tmp_path):
    """A course whose only graded cell has nothing but hidden tests, with three submissions."""
    folder = tmp_path / "course"
    (folder / "solutions" / "ps").mkdir(parents=True)
    (folder / "nbgrader_config.py").write_text(CONFIG)
    nbformat.write(source(), folder / "solutions" / "ps" / "one.ipynb")
    nbgrader(folder, "generate_assignment", "ps")
    released = folder / "assignments" / "ps" / "one.ipynb"
    assert "HIDDEN" not in released.read_text()
    assert "circle" not in released.read_text()
    for student, answer in ANSWERS.items():
        book = nbformat.read(released, as_version=4)
        if answer:
            book.cells[0].source = answer
        (folder / "submitted" / student / "ps").mkdir(parents=True)
        nbformat.write(book, folder / "submitted" / student / "ps" / "one.ipynb")
    return folder


def scores(course):
    with Gradebook(f"sqlite:///{course}/gradebook.db", "hidden") as gradebook:
        return {s: gradebook.find_grade("tests", "one", "ps", s).auto_score for s in ANSWERS}


def grade(course):
    result = commands.run(course, "autograder", "grade", "ps")
    assert result.returncode == 0, result.stderr
    return result.stdout


@pytest.mark.parametrize("door", ["autograder", "nbgrader"])
def test_hidden_tests_decide_and_mark_schemes_are_shown(course, door):
    grade(course) if door == "autograder" else nbgrader(course, "autograde", "ps")
    assert scores(course) == {"a_stub": 0, "b_right": 2, "c_wrong": 0}
    book = nbformat.read(course / "autograded" / "b_right" / "ps" / "one.ipynb", as_version=4)
    assert "assert x == 1" in book.cells[1].source
    assert "1 point: it is a circle" in book.cells[2].source
    # An honest student, whose copy has no hidden lines, has changed nothing.
    assert "had been changed" not in (course / "grades" / "ps" / "b_right.json").read_text()
    nbgrader(course, "generate_feedback", "ps", "--student", "b_right")
    assert "it is a circle" in (course / "feedback" / "b_right" / "ps" / "one.html").read_text()


def test_a_change_of_hidden_tests_alone_is_graded_anew(course):
    grade(course)
    released = (course / "assignments" / "ps" / "one.ipynb").read_bytes()
    assert "3 of them unchanged" in grade(course)
    shutil.rmtree(course / "assignments")
    nbformat.write(source(x=3), course / "solutions" / "ps" / "one.ipynb")
    nbgrader(course, "generate_assignment", "ps", "--force")
    assert nbformat.reads(released.decode(), as_version=4).cells[1].source == "2"
    assert "0 of them unchanged" in grade(course)
    assert scores(course) == {"a_stub": 0, "b_right": 0, "c_wrong": 2}


@pytest.mark.parametrize("minor", [0, 2, 4])
def test_a_release_without_cell_ids_is_graded(course, minor):
    """As Colab, older editors and nbgrader's own example write it."""
    paths = [course / "assignments" / "ps" / "one.ipynb", *course.glob("submitted/*/ps/one.ipynb")]
    for path in paths:
        book = nbformat.read(path, as_version=4)
        book.nbformat_minor = minor
        for cell in book.cells:
            del cell["id"]
        path.write_text(nbformat.v4.writes(book))
    grade(course)
    assert scores(course) == {"a_stub": 0, "b_right": 2, "c_wrong": 0}
    nbgrader(course, "autograde", "ps", "--force")
    assert scores(course) == {"a_stub": 0, "b_right": 2, "c_wrong": 0}
