"""What a course has released, as nbgrader's folders and gradebook have it."""

import functools
import hashlib
import json
import os
from pathlib import Path

from nbgrader.api import Gradebook, MissingEntry
from nbgrader.coursedir import CourseDirectory

from nbverdict.checks.assignments import AssignmentError
from nbverdict.notebooks.release import GradedCell, Release, graded_cells_in, read_release


def release_folder(coursedir: CourseDirectory, assignment: str) -> Path:
    """Return the folder of a release."""
    return Path(os.path.normpath(coursedir.format_path(coursedir.release_directory, ".", assignment)))


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
    return Release(read_release(path), whole)


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
    return graded_cells_in(releases_of(coursedir, assignment))
