"""Grades given by hand: a regrade asks for one again only where what was graded has changed."""

from pathlib import Path
from typing import NamedTuple

import nbformat
from nbgrader.api import Gradebook, MissingEntry
from nbgrader.coursedir import CourseDirectory


class ManualGrade(NamedTuple):
    """A grade given by hand that nobody has to look at again, and what it was given for."""

    notebook: str
    name: str  # of the graded cell
    auto_score: float | None
    answer: tuple[str, ...]


def finished_grades(coursedir: CourseDirectory, assignment: str, student: str) -> list[ManualGrade]:
    """Return a student's grades by hand that are settled, with the answers in the graded notebooks as they are now."""
    found = []
    with Gradebook(coursedir.db_url, coursedir.course_id) as gradebook:
        try:
            notebooks = gradebook.find_submission(assignment, student).notebooks
        except MissingEntry:
            return []
        for notebook in notebooks:
            for grade in notebook.grades:
                if grade.manual_score is not None and not grade.needs_manual_grade:
                    answer = _answer(coursedir, assignment, student, notebook.name, grade.name)
                    found.append(ManualGrade(notebook.name, grade.name, grade.auto_score, answer))
    return found


def restore_grades(coursedir: CourseDirectory, assignment: str, student: str, before: list[ManualGrade]) -> None:
    """After a regrade, which marks each grade by hand as waiting, settle those whose answer is as it was."""
    with Gradebook(coursedir.db_url, coursedir.course_id) as gradebook:
        for old in before:
            grade = gradebook.find_grade(old.name, old.notebook, assignment, student)
            answer = _answer(coursedir, assignment, student, old.notebook, old.name)
            if answer and answer == old.answer and grade.auto_score == old.auto_score:
                grade.needs_manual_grade = False
        gradebook.db.commit()


def _answer(coursedir: CourseDirectory, assignment: str, student: str, notebook: str, name: str) -> tuple[str, ...]:
    """Return what a grade is for: the cell, if the student writes in it, else all cells that the student writes in."""
    path = Path(coursedir.format_path(coursedir.autograded_directory, student, assignment), f"{notebook}.ipynb")
    try:
        cells = [c for c in nbformat.read(path, as_version=4).cells if c.metadata.get("nbgrader", {}).get("solution")]
    except (OSError, ValueError):
        return ()
    own = tuple(cell.source for cell in cells if cell.metadata.nbgrader.grade_id == name)
    return own or tuple(cell.source for cell in cells)
