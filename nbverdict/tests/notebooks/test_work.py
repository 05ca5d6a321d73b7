"""One submission is executed, its notebooks side by side."""

import dataclasses
import os
import threading

import nbformat
import pytest

import nbverdict.classroom.scheduling
import nbverdict.notebooks.work
from nbverdict.classroom.course import AssignmentRun, Course
from nbverdict.classroom.gathering import gather
from nbverdict.notebooks.execute import ExecuteOutside
from nbverdict.notebooks.work import Work
from support.classes import ASSIGNMENT, EACH, solved


def test_other_code_on_a_worker_is_refused(course):
    work = dataclasses.replace(gather(AssignmentRun(Course(course), ASSIGNMENT), "a_right"), code="another")
    with pytest.raises(RuntimeError, match="another version of this package"):
        nbverdict.notebooks.work.execute(work)


def test_notebooks_of_a_submission_run_side_by_side(course, monkeypatch):
    """The checks of each notebook wait for those of the others; one notebook after the other, they would in vain."""
    for name, book in solved().items():
        book.cells = [cell for cell in book.cells if "nbgrader" in cell.metadata or cell.id == "imports"]
        (course / "submitted" / "f_right" / "gauss" / f"{name}.ipynb").write_text(nbformat.writes(book))
    work = gather(AssignmentRun(Course(course), ASSIGNMENT), "f_right")
    all_three = threading.Barrier(3, timeout=10)
    judge = ExecuteOutside._judge
    monkeypatch.setattr(ExecuteOutside, "_judge", lambda *args: (all_three.wait(), judge(*args))[1])
    executed = nbverdict.notebooks.work.execute(work, 2)
    assert list(executed.notebooks) == list(work.notebooks)
    assert {name: report.score for name, report in executed.reports.items()} == EACH
    with pytest.raises(threading.BrokenBarrierError):
        nbverdict.notebooks.work.execute(work, 1)


@pytest.mark.parametrize(
    ("notebooks", "given", "threads"), [(1, None, "4"), (3, None, "1"), (9, None, "1"), (3, "8", "8")]
)
def test_notebooks_that_run_side_by_side_share_the_processors(monkeypatch, notebooks, given, threads):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if given:
        monkeypatch.setenv("OMP_NUM_THREADS", given)
    seen = []

    class Told:
        def __init__(self, notebook, assignment, config):
            seen.append(config.ConfinedProvisioner.environment["OMP_NUM_THREADS"])
            raise ZeroDivisionError

    monkeypatch.setattr(nbverdict.notebooks.work, "ExecuteOutside", Told)
    monkeypatch.setattr(nbverdict.notebooks.work, "grading_code", lambda *_: "")
    empty = nbformat.writes(nbformat.v4.new_notebook())
    work = Work("course", {}, {f"{i}": empty for i in range(notebooks)}, {}, {}, "")
    with pytest.raises(ZeroDivisionError):
        nbverdict.notebooks.work.execute(work, 4)
    assert seen == [threads]
    assert os.environ.get("OMP_NUM_THREADS") == given
