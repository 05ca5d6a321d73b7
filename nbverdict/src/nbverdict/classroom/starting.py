"""A new course: a folder with one small assignment in it, to change into one's own."""

import argparse
import sys
from pathlib import Path

import nbformat
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

CONFIG = """from nbverdict.configuration import configure

c = get_config()
configure(c)
c.CourseDirectory.course_id = "my-course"
"""

CHECKS = '''"""Checks of the exercise `mean`.

It is called so in three places: this file, the ID of its graded cell, and the cell's line check("mean", average).
"""

from statistics import fmean

import pytest

from nbverdict.checks.diagnosis import Mistake, compare

EXERCISE = {"answer": "average"}  # the function that students write; each check asks for it by this name


@pytest.mark.points(2)
def test_value(average, rng):
    """The mean is the sum over the number of values."""
    values = rng.normal(size=5).tolist()
    hint = "How often does each value count?"
    compare(
        "average",
        average(values),
        fmean(values),
        mistakes=[Mistake("this is the sum", hint, sum(values)), Mistake("divided by n - 1", hint, sum(values) / 4)],
        cause="this is not the sum over the number of values",
        hint=hint,
    )


@pytest.mark.points(1)
def test_one_value(average, rng):
    """Of one value, the mean is that value."""
    value = float(rng.normal())
    compare("average", average([value]), value, cause="wrong for a single value", hint="Try average([3.0]).")
'''

ANSWER = """def average(values):
    \"\"\"Return the mean of a list of numbers.\"\"\"
    ### BEGIN SOLUTION
    return sum(values) / len(values)
    ### END SOLUTION"""


def new(options: argparse.Namespace) -> int:
    """Write a course into the folder that the options name, and say what to do next; return the exit status."""
    folder: Path = options.folder
    if folder.exists() and any(folder.iterdir()):
        print(f"error: {folder} is not empty; name a folder that does not exist yet", file=sys.stderr)
        return 2
    notebook = folder / "solutions" / "statistics" / "1_mean.ipynb"
    checks = folder / "checks" / "statistics" / "mean.py"
    for path in (notebook, checks):
        path.parent.mkdir(parents=True)
    (folder / "nbgrader_config.py").write_text(CONFIG, encoding="utf-8")
    checks.write_text(CHECKS, encoding="utf-8")
    nbformat.write(solved(), notebook)
    print(
        f"{notebook}: the solved notebook\n{checks}: its checks\n\n"
        f"cd {folder}\n"
        "nbgrader generate_assignment statistics    # what students get: assignments/statistics\n"
        "nbverdict judge solutions/statistics --assignment assignments/statistics\n"
        "nbverdict grade statistics                 # what is in submitted/STUDENT/statistics"
    )
    return 0


def solved() -> NotebookNode:
    """Return the solved notebook; its marks are those of nbgrader's *Create Assignment* bar."""
    # Ids are fixed, so that two new courses are the same.
    cells = [
        new_markdown_cell("# The mean", id="title"),
        new_code_cell("from nbverdict import check", id="imports"),
        _marked(new_code_cell(ANSWER, id="mean_answer"), "mean_answer", solution=True),
        _marked(new_code_cell('check("mean", average)', id="mean"), "mean", grade=True, points=3),
    ]
    notebook: NotebookNode = new_notebook(cells=cells)
    notebook.metadata.kernelspec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return notebook


def _marked(
    cell: NotebookNode, grade_id: str, *, solution: bool = False, grade: bool = False, points: int | None = None
) -> NotebookNode:
    marks = {"schema_version": 3, "grade_id": grade_id, "solution": solution, "grade": grade, "task": False}
    cell.metadata.nbgrader = NotebookNode({**marks, "locked": grade} | ({"points": points} if points else {}))
    return cell
