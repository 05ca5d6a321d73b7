"""What a release asks for: its graded cells, and whether there are checks for each of them."""

import copy
import functools
import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import nbformat
from nbformat import NotebookNode
from nbgrader.api import Gradebook, MissingEntry
from nbgrader.coursedir import CourseDirectory

from autograder.assignments import CHECKS, DECLARATION, Assignment, AssignmentError, find_exercise, known_assignments
from autograder.checking.running import points_of


@dataclass(frozen=True)
class GradedCell:
    """A code cell that is graded automatically, as nbgrader's metadata in the release describes it."""

    name: str  # its grade_id
    notebook: str  # without suffix
    points: float
    source: str


def is_graded_code(cell: NotebookNode) -> bool:
    """Return whether a cell is code that is graded automatically; a graded cell that students fill in is not."""
    marks = cell.metadata.get("nbgrader", {})
    return cell.cell_type == "code" and bool(marks.get("grade")) and not marks.get("solution")


def graded_cells_of(notebook: NotebookNode, name: str) -> Iterator[GradedCell]:
    """Yield the graded code cells of a notebook of that name, from top to bottom."""
    for cell in filter(is_graded_code, notebook.cells):
        marks = cell.metadata.nbgrader
        yield GradedCell(marks.grade_id, name, float(marks.get("points", 0)), cell.source)


def release_folder(coursedir: CourseDirectory, assignment: str) -> Path:
    """Return the folder of a release."""
    return Path(os.path.normpath(coursedir.format_path(coursedir.release_directory, ".", assignment)))


class Release(NamedTuple):
    """A notebook as it was handed out, and what its locked cells held before that.

    nbgrader cuts hidden tests and mark schemes out of what students get, and keeps them in the gradebook.
    """

    notebook: NotebookNode  # shared: it must not be changed
    whole: Mapping[str, str]  # grade_id of a locked cell -> its source with hidden tests and mark scheme

    @property
    def cells(self) -> list[NotebookNode]:
        """The cells as they were handed out."""
        cells: list[NotebookNode] = self.notebook.cells
        return cells

    @property
    def names(self) -> set[str]:
        """The grade_ids of its cells."""
        return {cell.metadata.nbgrader.grade_id for cell in self.cells if "nbgrader" in cell.metadata}

    def to_be_graded(self) -> NotebookNode:
        """Return a copy whose locked cells are whole."""
        notebook = NotebookNode({**self.notebook, "cells": []})
        for cell in self.cells:
            name = cell.metadata.get("nbgrader", {}).get("grade_id")
            notebook.cells.append(NotebookNode({**cell, "source": self.whole.get(name, cell.source)}))
        return copy.deepcopy(notebook)


def release_of(coursedir: CourseDirectory, assignment: str, notebook: str) -> Release:
    """Return a notebook as it was handed out; it is shared, and must not be changed."""
    path = release_folder(coursedir, assignment) / f"{notebook}.ipynb"
    status = path.stat()
    return _read(path, status.st_mtime_ns, status.st_size, coursedir.db_url, coursedir.course_id, assignment)


@functools.lru_cache(maxsize=64)
def _read(path: Path, changed: int, size: int, db_url: str, course: str, assignment: str) -> Release:
    with Gradebook(db_url, course) as gradebook:
        try:
            saved = gradebook.find_notebook(path.stem, assignment).source_cells
            whole = {cell.name: cell.source or "" for cell in saved if cell.locked}
        except MissingEntry:
            whole = {}
    return Release(with_ids(nbformat.read(path, as_version=4)), whole)


def with_ids(notebook: NotebookNode) -> NotebookNode:
    """Give each cell that lacks one an id, and return the notebook; formats before 4.5 have none.

    The ids depend on what the cells hold, so that they are the same each time.
    """
    for place, cell in enumerate(notebook.cells):
        if "id" not in cell:
            cell.id = hashlib.sha256(f"{place} {cell.source}".encode(errors="replace")).hexdigest()[:16]
    notebook.nbformat_minor = max(notebook.nbformat_minor, 5)
    return notebook


def releases_of(coursedir: CourseDirectory, assignment: str) -> dict[str, Release]:
    """Return all notebooks of a release by name, as they were handed out."""
    return {name: release_of(coursedir, assignment, name) for name in release_notebooks(coursedir, assignment)}


def hidden_digest(coursedir: CourseDirectory, assignment: str) -> str:
    """Return a hash of what locked cells hold beyond what was handed out; a new release may differ in nothing else."""
    whole = {name: dict(release.whole) for name, release in releases_of(coursedir, assignment).items()}
    return hashlib.sha256(json.dumps(whole, sort_keys=True).encode()).hexdigest()


def release_notebooks(coursedir: CourseDirectory, assignment: str) -> list[str]:
    """Return the names of a release's notebooks, without suffix. Raises AssignmentError if there are none."""
    folder = release_folder(coursedir, assignment)
    if not (names := sorted(path.stem for path in folder.glob("*.ipynb"))):
        raise AssignmentError(f"{folder} has no notebook. Run `nbgrader generate_assignment {assignment}` first.")
    return names


def graded_cells(coursedir: CourseDirectory, assignment: str) -> tuple[GradedCell, ...]:
    """Return a release's graded code cells, in the order of its notebooks. Raises AssignmentError if there is none."""
    releases = releases_of(coursedir, assignment)
    return tuple(cell for name, release in releases.items() for cell in graded_cells_of(release.notebook, name))


def assignment_of(course: Path, name: str) -> Assignment:
    """Return the assignment of that name, with no exercises if nobody has checks for it."""
    return known_assignments(course).get(name) or Assignment(name, course / CHECKS / name)


def refuse_unchecked(assignment: Assignment, cells: Sequence[GradedCell], *, stock: bool) -> None:
    """Raise AssignmentError, with their names, if there are graded cells without checks, unless `stock` allows them."""
    names = [cell.name for cell in cells if cell.name not in assignment.exercises]
    if not names or stock:
        return
    who = f"the graded code cell{'s' * (len(names) > 1)} {', '.join(map(repr, names))} of {assignment.name!r}"
    if (path := assignment.folder / f"{names[0]}.py").exists():
        raise AssignmentError(
            f"nobody has checks for {who}: {path} does not say what it grades. Add a line like "
            f'{DECLARATION} = {{"answer": "{names[0]}"}}, with the name of what students write.'
        )
    raise AssignmentError(
        f"nobody has checks for {who}. Write {path}, or let the course grade such cells by what they show: "
        "c.ExecuteOutside.stock = True."
    )


def refuse_mistaken(assignment: Assignment, cells: Sequence[GradedCell], course: Path) -> None:
    """Raise AssignmentError if a graded cell and its checks disagree on the points or on what is called."""
    for cell in cells:
        if not (exercise := assignment.exercises.get(cell.name)):
            continue
        where = f"the graded cell {cell.name!r} of {cell.notebook}.ipynb"
        if (points := points_of(exercise)) != cell.points:
            raise AssignmentError(
                f"{where} has {cell.points:g} points, but the checks in {exercise.checks} add up to {points:g}. "
                "Change one of them."
            )
        wanted = f'check("{exercise.name}", {exercise.answer})'
        if cell.source.strip() != wanted:
            raise AssignmentError(f"{where} must be the one line {wanted}: nothing else in it is executed.")
        try:
            find_exercise(cell.name, course)
        except ValueError as error:
            raise AssignmentError(f"check() in {where} cannot find its exercise: {error}") from None
