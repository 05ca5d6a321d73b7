"""How nbgrader reads notebooks: one exporter refuses a faulty release, one repairs what a student handed in."""

import fnmatch
import glob
import os
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import nbformat
from nbconvert.exporters import NotebookExporter
from nbformat import NotebookNode
from nbgrader.api import Gradebook, MissingEntry
from nbgrader.converters.base import NbGraderException
from nbgrader.coursedir import CourseDirectory

from nbverdict.checks.assignments import AssignmentError
from nbverdict.classroom.by_hand import Settled, settle, settled
from nbverdict.classroom.refusing import refuse_other_checkout, refuse_unknown
from nbverdict.classroom.releases import graded_cells, releases_of
from nbverdict.configuration import ConfigurationError
from nbverdict.files import write_whole
from nbverdict.notebooks.locating import Located, locate, unusable
from nbverdict.notebooks.release import GradedCell, assignment_of, graded_cells_of, refuse_mistaken, refuse_unchecked
from nbverdict.notebooks.repair import LEFT_OUT, TIMESTAMP, graded_form, handed_in, put_aside, refuse_too_many


class _CarefulExporter(NotebookExporter):
    """nbgrader makes it before it deletes, copies or grades anything: the place to refuse."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[no-untyped-call]
        self._converter: Any = kwargs["parent"]
        coursedir = self._converter.coursedir
        try:
            refuse_unknown(self._converter.config)
            refuse_other_checkout(Path(coursedir.root))
            self._refuse(coursedir, coursedir.assignment_id, bool(self._converter.config.ExecuteOutside.get("stock")))
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


def _refuse_new_cells(coursedir: CourseDirectory, assignment: str, paths: list[Path]) -> None:
    """Raise AssignmentError where nbgrader would, after it had deleted the release: submissions fit the old cells."""
    with Gradebook(coursedir.db_url, coursedir.course_id) as gradebook:
        try:
            known = gradebook.find_assignment(assignment)
        except MissingEntry:
            return
        old = {
            book.name: {cell.name for cell in (*book.grade_cells, *book.solution_cells, *book.task_cells)}
            for book in known.notebooks
        }
        submissions = len(known.submissions)
    new = {path.stem: _cells_of(path) for path in paths}
    gone = set(old) - set(new) if coursedir.notebook_id == "*" else set()
    differing = sorted(gone | {name for name in new if new[name] != old.get(name)})
    if submissions and differing:
        raise AssignmentError(
            f"{', '.join(differing)}: other notebooks or graded cells than in the release that {submissions} "
            "submissions belong to. The release stays as it is. Give the new version a name of its own; or, to give up "
            f"everybody's grades: nbgrader db assignment remove {assignment} --force"
        )


def _cells_of(path: Path) -> set[str]:
    marks = [cell.metadata.get("nbgrader", {}) for cell in nbformat.read(path, as_version=4).cells]
    return {mark["grade_id"] for mark in marks if mark.get("grade") or mark.get("solution") or mark.get("task")}


class SubmissionExporter(_CarefulExporter):
    """Reads a submitted notebook: whatever the file holds, the result is a notebook that can be graded.

    Name it as `c.Autograde.exporter_class`. Before a submission is touched, links and devices are put aside (nbgrader
    would copy what they point to). Where a step fails, its automatic scores are set to 0 (nbgrader leaves those of
    an earlier run); until the new ones are there, and where a run is killed, the old ones stay. A timestamp that is no
    date counts as none. A folder of too many files is refused before it is copied. A grade given by hand is asked for
    again only where the answer has changed.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._take_other_names()
        self._converter.coursedir.get_existing_timestamp = self._handed_in
        copy, convert = self._converter.init_assignment, self._converter.convert_single_notebook
        converter, begin, coursedir = self._converter, self._converter.init_destination, self._converter.coursedir
        by_hand: dict[str, list[Settled]] = {}

        def begin_knowing(assignment: str, student: str) -> Any:
            by_hand[student] = settled(coursedir, assignment, student)  # before the graded notebooks are removed
            forced = converter.force
            try:
                converter.force = self._begin(assignment, student) or forced
                wanted = begin(assignment, student)
            finally:
                converter.force = forced
            if wanted:
                self._start(assignment, student)
            else:
                self._end(assignment, student, None)
            return wanted

        def convert_and_settle(path: str) -> None:
            convert(path)
            notebook, assignment, student = Path(path).stem, Path(path).parent.name, Path(path).parent.parent.name
            settle(
                coursedir, assignment, student, [old for old in by_hand.get(student, []) if old.notebook == notebook]
            )
            if path == self._converter.notebooks[-1]:
                self._end(assignment, student, "")

        def copy_few(assignment: str, student: str) -> None:
            submitted = Path(coursedir.format_path(coursedir.submitted_directory, student, assignment))
            refuse_too_many(submitted)
            put_aside(submitted)  # whatever a hook of the course's own has done before
            copy(assignment, student)

        self._converter.init_assignment = self._forgetting(copy_few, 1)
        self._converter.convert_single_notebook = self._forgetting(convert_and_settle, 0)
        self._converter.init_destination = begin_knowing

    def _take_other_names(self) -> None:
        """Let nbgrader also take notebooks whose files have other names, and none of a folder that it cannot read."""
        coursedir, found = self._converter.coursedir, self._converter.assignments
        releases = releases_of(coursedir, coursedir.assignment_id)
        for folder in glob.glob(self._converter._format_source(coursedir.assignment_id, coursedir.student_id)):
            if not os.path.isdir(folder):
                continue
            located = locate(Path(folder), releases)
            names = [n for n, one in located.items() if one.path and fnmatch.fnmatch(n, coursedir.notebook_id)]
            if paths := {*found.get(folder, ()), *(os.path.join(folder, f"{name}.ipynb") for name in names)}:
                found[folder] = sorted(paths)
        odd = {folder: why for folder in found if (why := unusable(Path(folder).parent.name))}
        for folder, why in odd.items():
            del found[folder]  # nbgrader would stop there, for all students after it, or grade under another name
            self._converter.log.error("not graded: %a: %s. Rename this folder.", Path(folder).parent.name, why)
        convert_all = self._converter.convert_notebooks

        def convert_usable() -> None:
            convert_all()
            if odd:
                raise NbGraderException(f"{len(odd)} folders were not graded because of their names")

        self._converter.convert_notebooks = convert_usable

    def _begin(self, assignment: str, student: str) -> bool:
        """Hear that a student's turn has come; return whether what nbgrader finds graded must be graded again."""
        return False

    def _start(self, assignment: str, student: str) -> None:
        """Hear that a student is graded now."""

    def _end(self, assignment: str, student: str, problem: str | None) -> None:
        """Hear that it is over: "" for a student who was graded, else why not; None if there was nothing to do."""

    def _forgetting(self, step: Callable[..., Any], place: int) -> Callable[..., Any]:
        """Return a step of nbgrader's that forgets the scores of an earlier run if it fails.

        The argument in that place is the student, or the path of a notebook in the student's folder.
        """

        def run(*arguments: str) -> Any:
            try:
                return step(*arguments)
            except Exception as error:
                named, assignment = Path(arguments[place]), self._converter.coursedir.assignment_id
                student = named.parent.parent.name if named.suffix == ".ipynb" else arguments[place]
                forget(self._converter.coursedir, assignment, student)
                self._end(assignment, student, f"nbgrader stopped at this submission: {error}")
                raise

        return run

    def _handed_in(self, folder: str) -> datetime | None:
        """Take the place of nbgrader's own, which fails at what is no date, and reads a file of any size."""
        try:
            return handed_in(Path(folder))
        except ValueError as error:
            self._converter.log.warning("%s: %s", folder, error)
            return None

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
        coursedir, names = self._converter.coursedir, resources["nbgrader"]
        releases = releases_of(coursedir, names["assignment"])
        found = locate(Path(filename).parent, releases).get(names["notebook"], Located(Path(filename)))
        notebook = graded_form(found.path or Path(filename), releases[names["notebook"]], found.remarks)
        copied = Path(self._converter._format_dest(names["assignment"], names["student"])) / TIMESTAMP
        if copied.exists():  # nbgrader reads it again, for feedback, and would fail at some and take others for UTC
            if date := self._handed_in(str(copied.parent)):
                write_whole(copied, f"{date:%Y-%m-%d %H:%M:%S.%f} UTC\n")
            else:
                copied.rename(copied.with_name(TIMESTAMP + LEFT_OUT))
        resources["metadata"] = {"name": names["notebook"], "path": str(Path(filename).parent)}
        return self.from_notebook_node(notebook, resources, **kw)  # type: ignore[no-untyped-call, no-any-return]


def forget(coursedir: CourseDirectory, assignment: str, student: str) -> None:
    """Set a student's automatic scores to 0; scores given by hand stay."""
    names = {cell.name for cell in graded_cells(coursedir, assignment)}
    with Gradebook(coursedir.db_url, coursedir.course_id) as gradebook:
        try:
            notebooks = gradebook.find_submission(assignment, student).notebooks
        except MissingEntry:
            return
        for grade in (grade for notebook in notebooks for grade in notebook.grades):
            if grade.name in names:
                grade.auto_score = 0.0
        gradebook.db.commit()
