"""What a release asks for: its graded cells, and whether there are checks for each of them."""

import ast
import copy
import functools
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import nbformat
from nbformat import NotebookNode

from nbverdict.checks.assignments import (
    CHECKS,
    DECLARATION,
    Assignment,
    AssignmentError,
    find_exercise,
    known_assignments,
)
from nbverdict.checks.runner import points_of


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


HIDDEN = "hidden.json"  # in a folder of released notebooks: what their locked cells held before


def read_releases(folder: Path) -> dict[str, Release]:
    """Return the notebooks of a folder by name, as they were handed out; they are shared, and must not be changed.

    What their locked cells held before stands in `hidden.json` beside them, {notebook: {grade_id: source}}, where there
    was more. Raises AssignmentError if there is no notebook.
    """
    if not (paths := sorted(folder.glob("*.ipynb"))):
        raise AssignmentError(f"{folder} has no notebook: it should have those that were handed out")
    hidden = json.loads((folder / HIDDEN).read_text(encoding="utf-8")) if (folder / HIDDEN).exists() else {}
    return {path.stem: Release(read_release(path), hidden.get(path.stem, {})) for path in paths}


def read_release(path: Path) -> NotebookNode:
    """Return a notebook as it was handed out; it is shared, and must not be changed."""
    status = path.stat()
    return _read(path, status.st_mtime_ns, status.st_size)


@functools.lru_cache(maxsize=64)
def _read(path: Path, changed: int, size: int) -> NotebookNode:
    return with_ids(nbformat.read(path, as_version=4))


def graded_cells_in(releases: Mapping[str, Release]) -> tuple[GradedCell, ...]:
    """Return the graded code cells of a release, in the order of its notebooks."""
    return tuple(cell for name, release in releases.items() for cell in graded_cells_of(release.notebook, name))


def is_locked(cell: NotebookNode) -> bool:
    """Return whether nbgrader puts back the source of a cell that a student has changed."""
    marks = cell.metadata.get("nbgrader", {})
    return not marks.get("solution") and bool(marks.get("grade") or marks.get("locked"))


def with_ids(notebook: NotebookNode) -> NotebookNode:
    """Give each cell that lacks one an id, and return the notebook; formats before 4.5 have none.

    The ids depend on what the cells hold, so that they are the same each time.
    """
    for place, cell in enumerate(notebook.cells):
        if "id" not in cell:
            cell.id = hashlib.sha256(f"{place} {cell.source}".encode(errors="replace")).hexdigest()[:16]
    notebook.nbformat_minor = max(notebook.nbformat_minor, 5)
    return notebook


def assignment_of(course: Path, name: str) -> Assignment:
    """Return the assignment of that name, with no exercises if nobody has checks for it."""
    return known_assignments(course).get(name) or Assignment(name, course / CHECKS / name)


def refuse_unchecked(assignment: Assignment, cells: Sequence[GradedCell], *, stock: bool) -> None:
    """Raise AssignmentError, with their names, if there are graded cells without checks, unless `stock` allows them.

    So it does for a cell that calls its check with another answer than the one that the check says it grades.
    """
    for cell in cells:
        if exercise := assignment.exercises.get(cell.name):
            wanted = f'check("{exercise.name}", {exercise.answer})'
            if cell.source.strip() != wanted:
                where = f"the graded cell {cell.name!r} of {cell.notebook}.ipynb"
                raise AssignmentError(f"{where} must be the one line {wanted}: nothing else in it is executed.")
        elif (called := _called(cell.source)) in assignment.exercises:
            raise AssignmentError(
                f"the graded cell {cell.name!r} of {cell.notebook}.ipynb calls check({called!r}, ...), so that its ID "
                f"(grade_id) must be {called!r}, too."
            )
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
        f"nobody has checks for {who}. Write {path}, or let the notebook's own process grade such cells, in "
        "nbgrader_config.py: c.ExecuteOutside.stock = 'nbgrader' as nbgrader does (all points unless the cell raises "
        "an error, as where an assert fails), or True by the number of points that the cell shows (nothing, if it "
        "shows none)."
    )


def _called(source: str) -> str:
    """Return the exercise that a cell of one line, `check("EXERCISE", answer)`, names; empty if it is another one."""
    try:
        match ast.parse(source.strip(), mode="eval").body:
            case ast.Call(func=ast.Name(id="check"), args=[ast.Constant(value=str(name)), *_]):
                return name
    except (SyntaxError, ValueError):
        pass
    return ""


def refuse_mistaken(assignment: Assignment, cells: Sequence[GradedCell], course: Path) -> None:
    """Raise AssignmentError if a graded cell and its checks disagree on the points, or its exercise is not found."""
    for cell in cells:
        if not (exercise := assignment.exercises.get(cell.name)):
            continue
        where = f"the graded cell {cell.name!r} of {cell.notebook}.ipynb"
        if (points := points_of(exercise)) != cell.points:
            raise AssignmentError(
                f"{where} has {cell.points:g} points, but the checks in {exercise.checks} add up to {points:g}. "
                "Change one of them."
            )
        try:
            find_exercise(cell.name, course)
        except ValueError as error:
            raise AssignmentError(f"check() in {where} cannot find its exercise: {error}") from None
