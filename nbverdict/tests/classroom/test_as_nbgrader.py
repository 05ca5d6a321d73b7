"""A course as plain nbgrader has it, with assert cells and its folder names, earns here what it earns there."""

import shutil

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from nbgrader.api import Gradebook

from support import commands
from support.classes import mark
from support.commands import nbgrader

# nbgrader 0.9 adds rows in an order that newer SQLAlchemy releases warn about.
pytestmark = pytest.mark.filterwarnings("ignore:Object of type:sqlalchemy.exc.SAWarning")
PLAIN = """c = get_config()
c.CourseDirectory.course_id = "plain"
c.Execute.timeout = 4
c.Execute.interrupt_on_timeout = True
"""
OURS = """from nbverdict.configuration import configure

c = get_config()
configure(c)
c.CourseDirectory.course_id = "plain"
c.ExecuteOutside.stock = "nbgrader"
c.Execute.timeout = 4
"""
# Usual kinds of graded cell, each for the function `double`.
CELLS = {
    "asserts": "assert double(2) == 4\nassert double(0) == 0",
    "hidden": "### BEGIN HIDDEN TESTS\nassert double(-1) == -2\n### END HIDDEN TESTS",
    "message": "assert double(3) == 6, 'twice three is six'",
    "raises": "try:\n    double(None)\nexcept TypeError:\n    pass\nelse:\n    raise AssertionError('no error')",
    "loop": "for n in range(5):\n    assert double(n) == 2 * n",
    "numpy": "import numpy as np\nnp.testing.assert_allclose(double(np.array([1.0, 2.0])), [2.0, 4.0])",
    "prints": "print(double(4))\nassert double(4) == 8",
    "shows": "assert double(1) == 2\ndouble(1)",
    "text": "assert double('a') == 'aa'\n'well done'",
    "partial": "(double(1) == 2) + 0.5 * (double(5) == 10)",
    "stderr": "import sys\nif double(1) != 2:\n    print('wrong', file=sys.stderr)",
    "unittest": "import unittest\nunittest.TestCase().assertEqual(double(7), 14)",
    "nothing": "",
}
ANSWERS = {
    "right": "def double(x):\n    return 2 * x",
    "stub": None,
    "constant": "def double(x):\n    return 4",
    "numbers": "def double(x):\n    return float(x) * 2",
    "broken": "def double(x)\n    return 2 * x",
    "prints": "def double(x):\n    print('calling')\n    return x + x",
    "slow": "def double(x):\n    while x == 3:\n        pass\n    return x + x",
}


def source():
    graded = [
        mark(new_code_cell(text), name, grade=True, locked=True, points=2 if name != "partial" else 1.5)
        for name, text in CELLS.items()
    ]
    answer = "def double(x):\n    ### BEGIN SOLUTION\n    return 2 * x\n    ### END SOLUTION"
    return new_notebook(
        cells=[
            mark(new_code_cell(answer), "double", solution=True),
            *graded,
            mark(new_markdown_cell("Why?"), "why", grade=True, solution=True, points=1),
        ],
        metadata={"kernelspec": {"name": "python3", "language": "python", "display_name": "Python 3"}},
    )


def course_with(folder, config):
    (folder / "source" / "ps").mkdir(parents=True)
    (folder / "nbgrader_config.py").write_text(config)
    nbformat.write(source(), folder / "source" / "ps" / "one.ipynb")
    nbgrader(folder, "generate_assignment", "ps")
    released = folder / "release" / "ps" / "one.ipynb"
    for student, answer in ANSWERS.items():
        book = nbformat.read(released, as_version=4)
        if answer:
            book.cells[0].source = answer
        (folder / "submitted" / student / "ps").mkdir(parents=True)
        nbformat.write(book, folder / "submitted" / student / "ps" / "one.ipynb")
    return folder


def points(course):
    with Gradebook(f"sqlite:///{course}/gradebook.db", "plain") as gradebook:
        return {
            one.student.id: {grade.name: grade.auto_score for book in one.notebooks for grade in book.grades}
            for one in gradebook.assignment_submissions("ps")
        }


def test_each_usual_cell_earns_what_plain_nbgrader_gives_at_both_doors(tmp_path):
    plain = course_with(tmp_path / "plain", PLAIN)
    nbgrader(plain, "autograde", "ps")
    wanted = points(plain)
    assert sum(wanted["right"][name] for name in CELLS) == 2 * (len(CELLS) - 1) + 1.5
    ours = course_with(tmp_path / "ours", OURS)
    stock = shutil.copytree(ours, tmp_path / "stock")
    assert commands.run(ours, "nbverdict", "grade", "ps").returncode == 0
    assert points(ours) == wanted
    nbgrader(stock, "autograde", "ps")
    assert points(stock) == wanted
    page = (ours / "grades" / "ps" / "index.html").read_text()
    assert "are only as good as the student's own process" in page


def test_an_assert_without_words_says_its_line(tmp_path):
    ours = course_with(tmp_path / "ours", OURS)
    said = commands.run(ours, "nbverdict", "grade", "ps", "--student", "constant").stdout
    assert "AssertionError in the line assert double(0) == 0" in said
    assert "An earlier cell" not in said  # a graded cell that fails is no reason for the next one to
    said = commands.run(ours, "nbverdict", "grade", "ps", "--student", "broken").stdout
    assert "NameError: name 'double' is not defined. An earlier cell stopped with SyntaxError" in said


def test_an_option_on_the_command_line_is_read_as_what_it_is(tmp_path):
    folder = course_with(tmp_path / "ours", OURS)
    book = nbformat.read(folder / "source" / "ps" / "one.ipynb", as_version=4)
    book.cells[0].source = book.cells[0].source.replace("2 * x", "3 * x")
    nbformat.write(book, folder / "source" / "ps" / "one.ipynb")
    shutil.rmtree(folder / "submitted")
    words = ("generate_assignment", "ps", "--force")
    assert "the solution does not earn all points" in nbgrader(folder, *words, status=1)
    nbgrader(folder, *words, "--ExecuteOutside.rehearse=False")
