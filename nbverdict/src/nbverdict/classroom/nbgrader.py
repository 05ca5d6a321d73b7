"""The one file that knows nbgrader's converters: subclasses that override a step and call `super()`."""

import fnmatch
import functools
import glob
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import nbgrader.api
from nbformat import NotebookNode
from nbgrader.api import Gradebook, MissingEntry
from nbgrader.converters import Autograde
from nbgrader.converters.base import NbGraderException
from nbgrader.coursedir import CourseDirectory
from nbgrader.preprocessors import NbGraderPreprocessor

from nbverdict.checks.report import Report
from nbverdict.classroom.by_hand import ManualGrade, finished_grades, restore_grades
from nbverdict.classroom.releases import graded_cells, releases_of
from nbverdict.files import write_whole
from nbverdict.notebooks.execute import ExecuteOutside
from nbverdict.notebooks.locating import Located, locate, unusable
from nbverdict.notebooks.release import assignment_of
from nbverdict.notebooks.repair import LEFT_OUT, TIMESTAMP, graded_form, handed_in, put_aside, refuse_too_many


class JudgeOutside(NbGraderPreprocessor):  # type: ignore[misc]  # nbgrader has no types
    """Takes the place of nbgrader's execution, and tells the converter what was found."""

    def preprocess(self, nb: NotebookNode, resources: Any) -> tuple[NotebookNode, Any]:
        """Execute a notebook in a confined kernel, and judge its graded cells from this process."""
        # nbgrader converts notebooks in the folder of the course.
        assignment = assignment_of(Path.cwd(), resources["nbgrader"]["assignment"])
        executor = ExecuteOutside(nb, assignment, self.config)
        executor.run(Path(resources["metadata"]["path"]))
        converter = getattr(self.parent, "parent", None)  # of the exporter; a course may name one of its own
        if isinstance(converter, ConfinedAutograde):
            converter.reports |= executor.reports
        return nb, resources


class ConfinedAutograde(Autograde):  # type: ignore[misc]
    """nbgrader's converter, for submissions that nobody can trust.

    Before a submission is touched, links and devices are put aside (nbgrader would copy what they point to), and a
    folder of too many files is refused. Where a step fails, the student's automatic scores are set to 0 (nbgrader
    leaves those of an earlier run); until the new ones are there, and where a run is killed, the old ones stay. A
    timestamp that is no date counts as none. A grade given by hand is asked for again only where the answer changed.
    """

    force: bool
    _by_hand: list[ManualGrade]
    _odd: dict[str, str]  # folder -> why it cannot be graded
    reports: dict[str, Report]  # of the submission that is being graded, by graded cell

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._adopted()

    def _adopted(self) -> None:
        """Prepare what the overridden steps need."""
        self._by_hand, self._odd, self.reports = [], {}, {}
        if type(self.coursedir) is CourseDirectory:
            self.coursedir.__class__ = _CarefulDirectory

    def init_notebooks(self) -> None:
        """Find the notebooks, those under other names too, and leave out folders that cannot be a student's."""
        try:
            super().init_notebooks()
        except NbGraderException:
            folder = self._format_source(self.coursedir.assignment_id, self.coursedir.student_id)
            releases = releases_of(self.coursedir, self.coursedir.assignment_id)
            if not any(found.path for found in locate(Path(folder), releases).values()):
                raise

    def take_other_names(self) -> None:
        """Let nbgrader also take notebooks whose files have other names, and none of a folder that it cannot read."""
        coursedir, found = self.coursedir, self.assignments
        releases = releases_of(coursedir, coursedir.assignment_id)
        for folder in glob.glob(self._format_source(coursedir.assignment_id, coursedir.student_id)):
            if not os.path.isdir(folder):
                continue
            located = locate(Path(folder), releases)
            names = [n for n, one in located.items() if one.path and fnmatch.fnmatch(n, coursedir.notebook_id)]
            if paths := {*found.get(folder, ()), *(os.path.join(folder, f"{name}.ipynb") for name in names)}:
                found[folder] = sorted(paths)
        self._odd = {folder: why for folder in found if (why := unusable(Path(folder).parent.name))}
        for folder, why in self._odd.items():
            del found[folder]  # nbgrader would stop there, for all students after it, or grade under another name
            self.log.error("not graded: %a: %s. Rename this folder.", Path(folder).parent.name, why)

    def convert_notebooks(self) -> None:
        """Grade all submissions, and say at the end if folders were left out."""
        super().convert_notebooks()
        if self._odd:
            raise NbGraderException(f"{len(self._odd)} folders were not graded because of their names")

    def init_destination(self, assignment_id: str, student_id: str) -> bool:
        """Return whether there is anything to do for a student, and remember what was given by hand."""
        self._by_hand = finished_grades(
            self.coursedir, assignment_id, student_id
        )  # before the graded notebooks are removed
        self.reports, forced = {}, bool(self.force)
        try:
            self.force = self.begin(assignment_id, student_id) or forced
            wanted: bool = super().init_destination(assignment_id, student_id)
        finally:
            self.force = forced
        if wanted:
            self.started(student_id)
        else:
            self.ended(assignment_id, student_id, None)
        return wanted

    def init_assignment(self, assignment_id: str, student_id: str) -> None:
        """Copy what is neither too much nor a link."""
        with self._forgetting(assignment_id, student_id):
            submitted = Path(self.coursedir.format_path(self.coursedir.submitted_directory, student_id, assignment_id))
            refuse_too_many(submitted)
            put_aside(submitted)  # whatever a hook of the course's own has done before
            super().init_assignment(assignment_id, student_id)

    def convert_single_notebook(self, notebook_filename: str) -> None:
        """Grade a notebook; what was given by hand for an answer that has not changed stays settled."""
        path = Path(notebook_filename)
        assignment, student = path.parent.name, path.parent.parent.name
        with self._forgetting(assignment, student):
            super().convert_single_notebook(notebook_filename)
            before = [old for old in self._by_hand if old.notebook == path.stem]
            restore_grades(self.coursedir, assignment, student, before)
        if notebook_filename == self.notebooks[-1]:
            self.ended(assignment, student, "")

    def read(self, path: Path, assignment: str, student: str, name: str) -> NotebookNode:
        """Return a submitted notebook in the form in which it is graded, and put its timestamp right."""
        copied = Path(self._format_dest(assignment, student)) / TIMESTAMP
        if copied.exists():  # nbgrader reads it again, for feedback, and would fail at some and take others for UTC
            if date := self.coursedir.get_existing_timestamp(str(copied.parent)):
                write_whole(copied, f"{date:%Y-%m-%d %H:%M:%S.%f} UTC\n")
            else:
                copied.rename(copied.with_name(TIMESTAMP + LEFT_OUT))
        return self.repaired(path, assignment, name)

    def repaired(self, path: Path, assignment: str, name: str) -> NotebookNode:
        """Repair a submitted notebook."""
        releases = releases_of(self.coursedir, assignment)
        found = locate(path.parent, releases).get(name, Located(path))
        return graded_form(found.path or path, releases[name], found.remarks)

    def begin(self, assignment: str, student: str) -> bool:
        """Hear that a student's turn has come; return whether what nbgrader finds graded must be graded again."""
        return False

    def started(self, student: str) -> None:
        """Hear that a student is graded now."""

    def ended(self, assignment: str, student: str, problem: str | None) -> None:
        """Hear that it is over: "" for a student who was graded, else why not; None if there was nothing to do."""

    @contextmanager
    def _forgetting(self, assignment: str, student: str) -> Iterator[None]:
        """Forget the scores of an earlier run if a step fails."""
        try:
            yield
        except Exception as error:
            forget(self.coursedir, assignment, student)
            self.ended(assignment, student, f"nbgrader stopped at this submission: {error}")
            raise


class _CarefulDirectory(CourseDirectory):  # type: ignore[misc]
    """Reads a timestamp with care: nbgrader's own fails at what is no date, and reads a file of any size."""

    def get_existing_timestamp(self, dest_path: str) -> datetime | None:
        """Return when a submission was handed in, in UTC; None if its timestamp is no date."""
        try:
            return handed_in(Path(dest_path))
        except ValueError as error:
            self.log.warning("%s: %s", dest_path, error)
            return None


def adopt(converter: Autograde, kind: type[ConfinedAutograde]) -> None:
    """Make a converter of nbgrader's one of that kind.

    `nbgrader autograde`, its API and formgrader name `Autograde` in their code, and offer no option for another class.
    """
    if not isinstance(converter, ConfinedAutograde):
        converter.__class__ = kind
        converter._adopted()
    converter.take_other_names()


def keep_engine() -> None:
    """Let nbgrader's gradebook keep its connection: it is opened some twenty times for a submission.

    With an engine that stays, each statement is compiled once in a run, not each time.
    """
    if not hasattr(nbgrader.api.create_engine, "cache_info"):
        nbgrader.api.create_engine = functools.lru_cache(1)(nbgrader.api.create_engine)


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
