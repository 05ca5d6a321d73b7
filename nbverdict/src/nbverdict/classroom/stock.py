"""What `nbgrader autograde` itself grades reaches the class page, too: the exporter that it is given tells us."""

from pathlib import Path
from typing import Any

from nbformat import NotebookNode

from nbverdict.checks.report import Report
from nbverdict.classroom.course import Course, CourseError
from nbverdict.classroom.exporters import SubmissionExporter
from nbverdict.classroom.gathering import grade_digest
from nbverdict.classroom.nbgrader import JudgeOutside
from nbverdict.classroom.publishing import publish
from nbverdict.classroom.recording import begin, earlier, remember, remembered
from nbverdict.classroom.results import Submission


class RecordingExporter(SubmissionExporter):
    """Keeps what each submission earned and why, and writes the class page after the last one.

    Name it as `c.Autograde.exporter_class`.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        coursedir = self._converter.coursedir
        self._course: Course | None = None
        try:
            self._course = Course(Path(coursedir.root), coursedir.assignment_id)
        except CourseError as error:  # nbgrader may have its configuration from elsewhere
            self._converter.log.warning("no page of the class will be written: %s", error)
        self._only = coursedir.notebook_id != "*"
        self._before: Submission | None = None
        self._reports: dict[str, Report] = {}
        self._digest = ""

    def from_filename(self, filename: str, resources: Any = None, **kw: Any) -> tuple[NotebookNode, dict[str, Any]]:
        """Export a notebook, and keep the reports of the exercises that were judged in it."""
        exported = super().from_filename(filename, resources, **kw)
        for step in self._preprocessors:
            if isinstance(step, JudgeOutside):
                self._reports |= step.reports
        return exported

    def _begin(self, assignment: str, student: str) -> bool:
        """Take the digest now, so that what arrives while this is graded is graded the next time.

        Where an earlier run was killed, or was overtaken by another submission, its graded notebooks do not count.
        """
        if not self._course:
            return False
        self._before, self._reports = earlier(self._course, student), {}
        try:
            self._digest = grade_digest(self._course, student)
        except Exception:  # of a folder that cannot be read: the next step says so, and sets the scores
            self._digest = ""
            return True
        known = remembered(self._course, student)
        return known is not None and known.digest.partition("-")[0] != self._digest.partition("-")[0]

    def _start(self, assignment: str, student: str) -> None:
        if self._course:
            begin(self._course, student)

    def _end(self, assignment: str, student: str, problem: str | None) -> None:
        if not self._course:
            return
        try:
            if problem is not None:
                self._remember(self._course, student, problem)
            last = Path(max(self._converter.assignments))  # nbgrader takes them sorted
            if (last.parent.name, last.name) == (student, assignment):
                self._converter.log.info("Who lost which points, and why: %s", publish(self._course))
        except Exception as error:  # the grade is in the gradebook, and a page must not cost it
            self._converter.log.warning("the page of the class was not written: %s: %s", type(error).__name__, error)

    def _remember(self, course: Course, student: str, problem: str) -> None:
        taken = {Path(path).stem for path in self._converter.notebooks}  # --notebook may name some
        left = [cell.name for cell in course.cells if cell.notebook not in taken] if self._only else []
        reports, digest = ({}, "") if problem else (self._reports, self._digest)
        remember(course, student, self._before, reports, problem, digest, left)
