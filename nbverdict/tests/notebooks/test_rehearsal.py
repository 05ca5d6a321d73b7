"""The solution is graded from outside before students get the release."""

import nbformat
import pytest

from support.classes import ASSIGNMENT, NAME
from support.commands import nbgrader

CHECKS = """
import pytest

EXERCISE = {"answer": "product"%s}


@pytest.mark.points(15)
def test_it(product):
    \"\"\"It is right.\"\"\"
    %s
"""


def released_with(course, options, check, answer, status=1):
    """Release the course with another check and solution of notebook 2; return what was logged."""
    (course / "checks" / ASSIGNMENT / "product.py").write_text(CHECKS % (options, check))
    path = course / "solutions" / ASSIGNMENT / f"{NAME}.ipynb"
    book = nbformat.read(path, as_version=4)
    book.cells[2].source = f"### BEGIN SOLUTION\n{answer}\n### END SOLUTION"
    nbformat.write(book, path)
    return nbgrader(course, "generate_assignment", ASSIGNMENT, "--force", status=status)


@pytest.mark.parametrize(
    ("options", "check", "answer", "told"),
    [
        ("", "assert product() == 3", "def product(): return 4", "This does not hold: product() == 3"),
        ("", "assert product().real == 3", "def product(): return lambda: 3", "A function cannot be sent"),
        ("", "assert list(product()) == [1]", "def product(): yield 1", 'EXERCISE = {..., "items": 100}'),
        ("", "open('no such file')\n    product()", "def product(): return 1", "The check could not judge this answer"),
        (
            ', "seconds": 1',
            "assert product() == 3",
            "import time\ndef product():\n    time.sleep(0.7)\n    return 3",
            'EXERCISE = {..., "seconds": 3}',
        ),
    ],
)
def test_a_solution_that_does_not_earn_everything_is_refused_with_the_reason(course, options, check, answer, told):
    release = course / "assignments" / ASSIGNMENT / f"{NAME}.ipynb"
    before = release.read_bytes()
    said = released_with(course, options, check, answer)
    assert told in said
    assert "Traceback" not in said
    assert release.read_bytes() == before


def test_an_iterator_is_taken_up_to_what_the_check_says(course):
    answer = "def product():\n    n = 0\n    while True:\n        yield n\n        n += 1"
    check = "from itertools import islice\n    assert list(islice(product(), 3)) == [0, 1, 2]"
    released_with(course, ', "items": 3', check, answer, status=0)


def test_a_notebook_in_another_language_is_refused(course):
    path = course / "solutions" / ASSIGNMENT / f"{NAME}.ipynb"
    book = nbformat.read(path, as_version=4)
    book.metadata.kernelspec = {"name": "ir", "language": "R", "display_name": "R"}
    nbformat.write(book, path)
    said = nbgrader(course, "generate_assignment", ASSIGNMENT, "--force", status=1)
    assert f"{NAME}.ipynb is a notebook in R" in said
