"""What `nbgrader autograde` itself grades is remembered, too, and reaches the class page."""

from pathlib import Path

from nbverdict.classroom.course import AssignmentRun, Course, CourseError
from nbverdict.classroom.exporters import SubmissionExporter
from nbverdict.classroom.gathering import grade_digest
from nbverdict.classroom.nbgrader import ConfinedAutograde
from nbverdict.classroom.publishing import publish
from nbverdict.classroom.recording import begin, previous_result, read_result, remember
from nbverdict.classroom.results import Submission


class RememberingAutograde(ConfinedAutograde):
    """Keeps what each submission earned and why, and writes the class page after the last one."""

    _run: AssignmentRun | None
    _before: Submission | None
    _digest: str

    def _adopted(self) -> None:
        super()._adopted()
        self._run, self._before, self._digest = None, None, ""
        try:
            self._run = AssignmentRun(Course(Path(self.coursedir.root)), self.coursedir.assignment_id)
        except CourseError as error:  # nbgrader may have its configuration from elsewhere
            self.log.warning("no page of the class will be written: %s", error)

    def begin(self, assignment: str, student: str) -> bool:
        """Take the digest now, so that what arrives while this is graded is graded the next time.

        Where an earlier run was killed, or was overtaken by another submission, its graded notebooks do not count.
        """
        if not self._run:
            return False
        self._before = previous_result(self._run, student)
        try:
            self._digest = grade_digest(self._run, student)
        except Exception:  # of a folder that cannot be read: the next step says so, and sets the scores
            self._digest = ""
            return True
        known = read_result(self._run, student)
        return known is not None and known.digest.partition("-")[0] != self._digest.partition("-")[0]

    def started(self, student: str) -> None:
        """Keep that a student is being graded, for the case that this run is killed."""
        if self._run:
            begin(self._run, student)

    def ended(self, assignment: str, student: str, problem: str | None) -> None:
        """Remember what the gradebook has now; after the last student, write the class page."""
        if not self._run:
            return
        try:
            if problem is not None:
                self._remember(self._run, student, problem)
            last = Path(max(self.assignments))  # nbgrader takes them sorted
            if (last.parent.name, last.name) == (student, assignment):
                self.log.info("Who lost which points, and why: %s", publish(self._run))
        except Exception as error:  # the grade is in the gradebook, and a page must not cost it
            self.log.warning("the page of the class was not written: %s: %s", type(error).__name__, error)

    def _remember(self, run: AssignmentRun, student: str, problem: str) -> None:
        left: list[str] = []
        if self.coursedir.notebook_id != "*":  # --notebook may name some
            taken = {Path(path).stem for path in self.notebooks}
            left = [cell.name for cell in run.cells if cell.notebook not in taken]
        reports, digest = ({}, "") if problem else (self.reports, self._digest)
        remember(run, student, self._before, reports, problem, digest, left)


class RecordingExporter(SubmissionExporter):
    """Name it as `c.Autograde.exporter_class`: the converter remembers what it grades."""

    converter_class = RememberingAutograde
