"""What `nbgrader autograde` itself grades reaches the class page, too: the exporter that it is given tells us."""

from pathlib import Path
from typing import Any

from nbformat import NotebookNode

from autograder.checking.report import Report
from autograder.classroom.course import Course
from autograder.classroom.gathering import grade_digest
from autograder.classroom.publishing import publish
from autograder.classroom.recording import earlier, remember
from autograder.classroom.results import Submission
from autograder.notebooks.execute import ExecuteOutside
from autograder.notebooks.exporters import SubmissionExporter


class RecordingExporter(SubmissionExporter):
    """Keeps what each submission earned and why, and writes the class page after the last one.

    Name it as `c.Autograde.exporter_class`.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        coursedir = self._converter.coursedir
        self._course = Course(Path(coursedir.root), coursedir.assignment_id)
        self._only = coursedir.notebook_id != "*"
        self._before: Submission | None = None
        self._reports: dict[str, Report] = {}

    def from_filename(self, filename: str, resources: Any = None, **kw: Any) -> tuple[NotebookNode, dict[str, Any]]:
        """Export a notebook, and keep the reports of the exercises that were judged in it."""
        exported = super().from_filename(filename, resources, **kw)
        for step in self._preprocessors:
            if isinstance(step, ExecuteOutside):
                self._reports |= step.reports
        return exported

    def _begin(self, assignment: str, student: str) -> None:
        self._before, self._reports = earlier(self._course, student), {}

    def _end(self, assignment: str, student: str, problem: str | None) -> None:
        if problem is not None:
            taken = {Path(path).stem for path in self._converter.notebooks}  # --notebook may name some
            left = [cell.name for cell in self._course.cells if cell.notebook not in taken] if self._only else []
            reports = {} if problem else self._reports
            digest = "" if problem else grade_digest(self._course, student)
            remember(self._course, student, self._before, reports, problem, digest, left)
        last = max(self._converter.assignments)  # nbgrader takes them sorted
        if (Path(last).parent.name, Path(last).name) == (student, assignment):
            self._converter.log.info("Who lost which points, and why: %s", publish(self._course))
