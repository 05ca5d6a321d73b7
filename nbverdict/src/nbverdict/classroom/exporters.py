"""How nbgrader reads notebooks: one exporter refuses a faulty release, one repairs what a student handed in."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
from nbconvert.exporters import NotebookExporter
from nbformat import NotebookNode
from nbgrader.api import Gradebook, MissingEntry
from nbgrader.converters.base import NbGraderException
from nbgrader.coursedir import CourseDirectory

from nbverdict.checks.assignments import AssignmentError
from nbverdict.classroom.nbgrader import ConfinedAutograde, adopt
from nbverdict.classroom.releases import graded_cells
from nbverdict.configuration import ConfigurationError
from nbverdict.notebooks.execute import option
from nbverdict.notebooks.refusing import refuse_other_checkout, refuse_unknown
from nbverdict.notebooks.rehearsal import refuse_unsolved
from nbverdict.notebooks.release import GradedCell, assignment_of, graded_cells_of, refuse_mistaken, refuse_unchecked


class _CarefulExporter(NotebookExporter):
    """nbgrader makes it before it deletes, copies or grades anything: the place to refuse."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[no-untyped-call]
        self._converter: Any = kwargs["parent"]
        coursedir = self._converter.coursedir
        try:
            refuse_unknown(self._converter.config)
            refuse_other_checkout(Path(coursedir.root))
            self._refuse(coursedir, coursedir.assignment_id, bool(option(self._converter.config, "stock")))
        except (AssignmentError, ConfigurationError) as error:
            self._converter.log.error("%s", error)
            raise NbGraderException(str(error)) from None

    def _refuse(self, coursedir: CourseDirectory, assignment: str, stock: bool) -> None:
        """Raise AssignmentError if nbgrader must not go on."""
        raise NotImplementedError


class SourceExporter(_CarefulExporter):
    """Reads a source notebook. Name it as `c.GenerateAssignment.exporter_class`.

    A release is refused, before the old one is deleted, if a graded code cell lacks checks or differs in points, or if
    it has other notebooks or cells than what students have handed in already.
    """

    def _refuse(self, coursedir: CourseDirectory, assignment: str, stock: bool) -> None:
        paths = [Path(path) for paths in self._converter.assignments.values() for path in sorted(paths)]
        _refuse_new_cells(coursedir, assignment, paths)
        cells: list[GradedCell] = []
        for path in paths:
            cells += graded_cells_of(nbformat.read(path, as_version=4), path.stem)
        course = Path(coursedir.root)
        found = assignment_of(course, assignment)
        refuse_unchecked(found, cells, stock=stock)
        refuse_mistaken(found, cells, course)
        books = {path.stem: nbformat.read(path, as_version=4) for path in paths}
        source = Path(coursedir.format_path(coursedir.source_directory, ".", assignment))
        refuse_unsolved(found, books, source, coursedir.ignore, self._converter.config)


def _refuse_new_cells(coursedir: CourseDirectory, assignment: str, paths: list[Path]) -> None:
    """Raise AssignmentError where nbgrader would, after it had deleted the release: submissions fit the old cells."""
    with Gradebook(coursedir.db_url, coursedir.course_id) as gradebook:
        try:
            known = gradebook.find_assignment(assignment)
        except MissingEntry:
            return
        old = {
            book.name: {
                (kind, cell.name)
                for kind in ("grade", "solution", "task", "source")
                for cell in getattr(book, f"{kind}_cells")
            }
            for book in known.notebooks
        }
        submissions = len(known.submissions)
    new = {path.stem: _cells_of(path) for path in paths}
    gone = set(old) - set(new) if coursedir.notebook_id == "*" else set()
    differing = sorted(gone | {name for name in new if new[name] != old.get(name)})
    if submissions and differing:
        raise AssignmentError(
            f"{', '.join(differing)}: other notebooks, or other marked cells, than in the release that {submissions} "
            "submissions belong to. The release stays as it is. Give the new version a name of its own; or, to give up "
            f"everybody's grades: nbgrader db assignment remove {assignment} --force"
        )


def _cells_of(path: Path) -> set[tuple[str, str]]:
    """Return the kinds and names of a notebook's cells, as nbgrader keeps them; those of the source are all of them."""
    marks = [cell.metadata.get("nbgrader", {}) for cell in nbformat.read(path, as_version=4).cells]
    return {
        (kind, mark["grade_id"])
        for mark in marks
        for kind in ("grade", "solution", "task", "source")
        if mark.get(kind) or (kind == "source" and any(map(mark.get, ("grade", "solution", "locked", "task"))))
    }


class SubmissionExporter(_CarefulExporter):
    """Reads a submitted notebook: whatever the file holds, the result is a notebook that can be graded.

    Name it, or a subclass, as `c.Autograde.exporter_class`. nbgrader's converter becomes one of ours with it
    (`nbverdict.classroom.nbgrader.adopt`), because its applications name their own.
    """

    converter_class: type[ConfinedAutograde] = ConfinedAutograde

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        adopt(self._converter, self.converter_class)

    def _refuse(self, coursedir: CourseDirectory, assignment: str, stock: bool) -> None:
        if not self._converter.config.Execute.get("enabled", True):
            raise AssignmentError("without executing, nbgrader would give everybody full marks; leave --no-execute out")
        cells = graded_cells(coursedir, assignment)
        refuse_unchecked(assignment_of(Path(coursedir.root), assignment), cells, stock=stock)

    def from_filename(self, filename: str, resources: Any = None, **kw: Any) -> tuple[NotebookNode, dict[str, Any]]:
        """Export a notebook; one that a student handed in is repaired first."""
        read: Callable[..., Any] = super().from_filename
        if not self._converter._sanitizing:
            return read(filename, resources, **kw)  # type: ignore[no-any-return]
        names = resources["nbgrader"]
        notebook = self._converter.read(Path(filename), names["assignment"], names["student"], names["notebook"])
        resources["metadata"] = {"name": names["notebook"], "path": str(Path(filename).parent)}
        return self.from_notebook_node(notebook, resources, **kw)  # type: ignore[no-untyped-call, no-any-return]
