"""What was executed is written to nbgrader's folders and gradebook, and to a separate file for each student."""

import contextlib
import logging
import re
import warnings
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import msgspec
import nbformat
from nbconvert.exporters.exporter import ResourcesDict
from nbformat import NotebookNode
from nbgrader.api import MissingEntry
from nbgrader.converters.base import BaseConverter
from nbgrader.preprocessors import NbGraderPreprocessor
from nbgrader.utils import capture_log, temp_attrs
from sqlalchemy.exc import SAWarning
from traitlets.config import Config

from nbverdict.checks.report import Report
from nbverdict.classroom.changes import keep
from nbverdict.classroom.course import AssignmentRun
from nbverdict.classroom.exporters import SubmissionExporter
from nbverdict.classroom.nbgrader import ConfinedAutograde, JudgeOutside, forget
from nbverdict.classroom.releases import releases_of
from nbverdict.classroom.results import Submission, from_json, to_json
from nbverdict.files import write_whole
from nbverdict.notebooks.locating import locate
from nbverdict.notebooks.release import GradedCell
from nbverdict.notebooks.verdict import Outcome
from nbverdict.notebooks.work import Executed


class _Recording(ConfinedAutograde):
    """Writes a submission that was executed elsewhere; its notebooks were repaired for that, once."""

    executed: Executed | Exception

    def repaired(self, path: Path, assignment: str, name: str) -> NotebookNode:
        """Return the notebook that was executed, which nbgrader cleans; where there is none, repair it."""
        if isinstance(self.executed, Exception):
            return super().repaired(path, assignment, name)
        executed: NotebookNode = nbformat.reads(self.executed.notebooks[name], as_version=4)
        return executed


class _Executed(NbGraderPreprocessor):  # type: ignore[misc]  # nbgrader has no types
    """Takes the place of nbgrader's execution: returns the notebook as it was executed."""

    def preprocess(self, nb: NotebookNode, resources: ResourcesDict) -> tuple[NotebookNode, ResourcesDict]:
        """Return the executed notebook; raise the error that prevented it."""
        executed = self.parent.parent.executed  # of the converter, through its exporter
        if isinstance(executed, Exception):
            raise executed
        return nbformat.reads(executed.notebooks[resources["nbgrader"]["notebook"]], as_version=4), resources


def record(run: AssignmentRun, student: str, digest: str, executed: Executed | Exception) -> Submission:
    """Let nbgrader write a submission to its folders and the gradebook, and remember what it earned.

    `digest` is kept with it unless grading failed: then the next run grades again. Where points differ from those of an
    earlier run, the change is added to the record of changes.
    """
    before = previous_result(run, student)
    begin(run, student)
    result = _autograde(run, student, executed)
    if not result["success"]:
        forget(run.course.coursedir, run.assignment_name, student)
    reports = executed.reports if isinstance(executed, Executed) and result["success"] else {}
    problem = f"nbgrader stopped at this submission: {cause_of(result)}" if not reports else ""
    digest = digest if result["success"] or not _notebooks(run, student) else ""
    return remember(run, student, before, reports, problem, digest)


def begin(run: AssignmentRun, student: str) -> None:
    """Keep that a student is being graded: where the run is killed, the next one, at either door, grades again."""
    path = result_path(run, student)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, to_json(Submission(student, "", ())))


def remember(
    run: AssignmentRun,
    student: str,
    before: Submission | None,
    reports: Mapping[str, Report],
    problem: str,
    digest: str = "",
    left: Collection[str] = (),
) -> Submission:
    """Keep what the gradebook has of a student now, with the reports of the checks; `problem` says why there are none.

    `before` is what `earlier` gave; the exercises `left` out of this grading stay as they are there. Without a digest,
    the next run grades again.
    """
    old = before.outcomes if before else ()
    outcomes = {outcome.exercise: outcome for outcome in old if outcome.exercise in left}
    scores = _scores(run, student)
    for cell in run.cells:
        if cell.name not in outcomes:
            outcomes[cell.name] = _outcome(run, cell, student, scores[cell.name], reports, problem)
    submission = Submission(student, digest, tuple(outcomes[cell.name] for cell in run.cells))
    path = result_path(run, student)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, to_json(submission))
    keep(run, before, submission)
    return submission


def preview(run: AssignmentRun, student: str, digest: str, executed: Executed | Exception) -> Submission:
    """Return what `record` would, and record nothing. What was given by hand stays."""
    reports = executed.reports if isinstance(executed, Executed) else {}
    problem = "" if isinstance(executed, Executed) else f"nbgrader would stop at this submission: {executed}"
    outcomes = []
    with run.course.gradebook() as gradebook:
        for cell in run.cells:
            earned = reports[cell.name].score if cell.name in reports else 0.0
            with contextlib.suppress(MissingEntry):
                grade = gradebook.find_grade(cell.name, cell.notebook, run.assignment_name, student)
                earned = grade.manual_score if grade.manual_score is not None else earned
                earned += grade.extra_credit or 0.0
            outcomes.append(_outcome(run, cell, student, earned, reports, problem))
    return Submission(student, digest, tuple(outcomes))


def previous_result(run: AssignmentRun, student: str) -> Submission | None:
    """Return what the gradebook has of a student, with what an earlier run remembers of it; None if it has nothing."""
    if not _known(run, student):
        return None
    known = read_result(run, student) or Submission(student, "", ())
    old = {outcome.exercise: outcome for outcome in known.outcomes}
    outcomes = []
    scores = _scores(run, student)
    for cell in run.cells:
        points = scores[cell.name]
        outcome = old.get(cell.name) or Outcome(cell.name, "passed", points, cell.points)  # only its points are known
        outcomes.append(msgspec.structs.replace(outcome, points=points))
    return Submission(student, known.digest, tuple(outcomes))


def unchanged(run: AssignmentRun, student: str, digest: str) -> Submission | None:
    """Return what an earlier run recorded, if nothing that decides the grade has changed since."""
    if (submission := read_result(run, student)) is None:
        return None
    # The gradebook may have been restored or deleted since, and so may the graded notebooks.
    if _notebooks(run, student) and not _known(run, student):
        return None
    if submission.digest != digest:
        return None
    if {outcome.exercise: outcome.points for outcome in submission.outcomes} != _scores(run, student):
        return None
    return submission


def result_path(run: AssignmentRun, student: str) -> Path:
    """Return the file in which a student's results are kept."""
    return run.published / f"{student}.json"


def read_result(run: AssignmentRun, student: str) -> Submission | None:
    """Return the results in that file; None if there are none, or of another version of the format."""
    try:
        return from_json(result_path(run, student).read_bytes())
    except (OSError, msgspec.MsgspecError):
        return None


def _autograde(run: AssignmentRun, student: str, executed: Executed | Exception) -> dict[str, Any]:
    """Run nbgrader's autograde on one student, with the executed notebooks."""
    converter = _Recording(coursedir=run.course.coursedir, config=Config(run.course.config))
    converter.executed = executed
    converter.exporter_class = SubmissionExporter  # what it earned is remembered here, with its digest
    converter.autograde_preprocessors = [
        _Executed if _executes(step) else step for step in converter.autograde_preprocessors
    ]
    return run_nbgrader(run, converter, student)


def run_nbgrader(run: AssignmentRun, converter: BaseConverter, student: str) -> dict[str, Any]:
    """Run a step of nbgrader's on one student, whatever it did before; return what its log and errors say."""
    converter.force = True
    converter.log = logging.getLogger(f"{__name__}.nbgrader")  # it comes back with the result
    converter.log.setLevel(logging.INFO)
    converter.log.propagate = False
    with (
        temp_attrs(run.course.coursedir, assignment_id=run.assignment_name, student_id=student),
        warnings.catch_warnings(),
    ):
        # nbgrader 0.9 adds rows in an order that newer SQLAlchemy releases warn about.
        warnings.simplefilter("ignore", SAWarning)
        result: dict[str, Any] = capture_log(converter)
    if (result.get("error") or "").rstrip().endswith("KeyboardInterrupt"):
        raise KeyboardInterrupt  # which nbgrader does not pass on
    return result


def _executes(step: object) -> bool:
    return step is JudgeOutside or step == f"{JudgeOutside.__module__}.{JudgeOutside.__qualname__}"


def _outcome(
    run: AssignmentRun, cell: GradedCell, student: str, points: float, reports: Mapping[str, Report], problem: str
) -> Outcome:
    located = locate(run.submitted(student), releases_of(run.course.coursedir, run.assignment_name))
    return Outcome.found(cell, located[cell.notebook], reports, problem, points)


def _scores(run: AssignmentRun, student: str) -> dict[str, float]:
    """Return what the gradebook holds for each graded cell; without a grade, nothing was earned."""
    scores = {}
    with run.course.gradebook() as gradebook:
        for cell in run.cells:
            try:
                grade = gradebook.find_grade(cell.name, cell.notebook, run.assignment_name, student)
            except MissingEntry:
                scores[cell.name] = 0.0
            else:
                scores[cell.name] = float(grade.score or 0.0)
    return scores


def _known(run: AssignmentRun, student: str) -> bool:
    """Return whether nbgrader's gradebook and its folder of graded notebooks have this student."""
    if not run.folder(run.course.coursedir.autograded_directory, student).is_dir():
        return False
    with run.course.gradebook() as gradebook, contextlib.suppress(MissingEntry):
        return bool(gradebook.find_submission(run.assignment_name, student))
    return False


def _notebooks(run: AssignmentRun, student: str) -> list[Path]:
    """Return the files of the notebooks that a student handed in."""
    located = locate(run.submitted(student), releases_of(run.course.coursedir, run.assignment_name))
    return [found.path for found in located.values() if found.path]


def cause_of(result: dict[str, Any]) -> str:
    """Return the exception behind a failed run of nbgrader; nbgrader wraps it in exceptions of its own."""
    lines = [line.strip() for line in f"{result.get('log') or ''}\n{result.get('error') or ''}".splitlines()]
    causes = [line for line in lines if re.match(r"[\w.]+(Error|Exception|Entry|Warning)\b", line)]
    return next((cause for cause in reversed(causes) if "NbGraderException" not in cause), "nbgrader gave no reason")
