"""Grade a class with nbgrader and gather who earned what, and why not more."""

import contextlib
import hashlib
import json
import logging
import os
import re
import tempfile
import warnings
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import nbformat
from nbgrader.api import Gradebook, MissingEntry
from nbgrader.apps import NbGraderAPI
from nbgrader.coursedir import CourseDirectory
from sqlalchemy.exc import SAWarning
from traitlets.config import Config
from traitlets.config.loader import PyFileConfigLoader

from autograder.exercises import EXERCISES, Exercise, find
from autograder.report import METADATA_KEY, Report, Result, Status

SCHEMA = 1  # version of the JSON of a submission
GRADES = "grades"  # folder of one JSON file per submission, beside nbgrader's own folders


class CourseError(RuntimeError):
    """The course cannot be graded at all; the message says what is missing and what to do."""


@dataclass(frozen=True)
class Outcome:
    """One exercise of one student. `reasons` has a line for each cause that cost points."""

    exercise: str
    status: Status
    points: float
    max_points: float
    reasons: tuple[str, ...] = ()
    seed: int | None = None


@dataclass(frozen=True)
class Submission:
    """What one student earned in the exercises that are graded automatically. `fresh`: graded in this run."""

    student: str
    digest: str
    outcomes: tuple[Outcome, ...]
    fresh: bool = True

    @property
    def points(self) -> float:
        """Points earned in all exercises."""
        return sum(outcome.points for outcome in self.outcomes)

    @property
    def max_points(self) -> float:
        """Points there are in all exercises."""
        return sum(outcome.max_points for outcome in self.outcomes)


class Course:
    """A folder with an `nbgrader_config.py`, and an assignment of it."""

    def __init__(self, folder: Path, assignment: str) -> None:
        config_file = folder / "nbgrader_config.py"
        if not config_file.exists():
            raise CourseError(f"{config_file} is missing. Run this in the folder of the course.")
        # The configuration is code, and may name folders relative to its own.
        config: Config = PyFileConfigLoader(config_file.name, path=str(folder)).load_config()
        config.CourseDirectory.root = str(folder.resolve())
        self._config_file = config_file
        self.assignment = assignment
        self.coursedir = CourseDirectory(config=config)
        self._api = NbGraderAPI(self.coursedir, config=config)
        self._api.log.setLevel(logging.CRITICAL)  # what goes wrong is in the report
        # nbgrader 0.9 adds rows in an order that newer SQLAlchemy releases warn about.
        warnings.filterwarnings("ignore", category=SAWarning, module="nbgrader")
        self._grades = folder / GRADES / assignment
        with self._gradebook() as gradebook:
            try:
                gradebook.find_assignment(assignment)
            except MissingEntry:
                released = ", ".join(sorted(a.name for a in gradebook.assignments)) or "none"
                raise CourseError(
                    f"no assignment is called {assignment!r} (released: {released}). "
                    f"Run `nbgrader generate_assignment {assignment}` first."
                ) from None

    def _gradebook(self) -> Gradebook:
        return Gradebook(self.coursedir.db_url, self.coursedir.course_id)

    def _folder(self, step: str, student: str) -> Path:
        return Path(self.coursedir.format_path(step, student, self.assignment))

    def students(self) -> list[str]:
        """Return the students who have a folder for the assignment, sorted."""
        root = Path(self.coursedir.format_path(self.coursedir.submitted_directory, ".", "."))
        return sorted(path.parent.name for path in root.glob(f"*/{self.assignment}") if path.is_dir())

    def grade(self, student: str, *, force: bool = False) -> Submission:
        """Grade one student's submission; one that has not changed since is taken from its file unless `force`."""
        folder = self._folder(self.coursedir.submitted_directory, student)
        if not folder.is_dir():
            raise CourseError(f"{student} has no folder {folder}. The students are: {', '.join(self.students())}")
        # What decides the grade: the submission, the assignment, its configuration, and the code that grades.
        package = Path(__file__).parent
        release = Path(self.coursedir.format_path(self.coursedir.release_directory, ".", self.assignment))
        digest = _digest(folder, release, self._config_file, package, package.parent / "lab_utils")
        if not force and (known := self._read(student, digest)):
            return known
        self._forget(student)
        result = self._api.autograde(self.assignment, student, force=True)
        outcomes = tuple(self._outcome(exercise, student, result) for exercise in EXERCISES.values())
        submission = Submission(student, digest, outcomes)
        self._write(submission)
        return submission

    def _outcome(self, exercise: Exercise, student: str, result: dict[str, Any]) -> Outcome:
        submitted = self._folder(self.coursedir.submitted_directory, student) / f"{exercise.notebook}.ipynb"
        graded = self._folder(self.coursedir.autograded_directory, student) / f"{exercise.notebook}.ipynb"
        points = self._score(exercise, student)

        def lost(status: Status, reason: str) -> Outcome:
            return Outcome(exercise.name, status, points, exercise.points, (reason,))

        if not submitted.exists():
            return lost("missing", f"{submitted.name} was not handed in.")
        if not result["success"]:
            if problem := _unreadable(submitted):
                return lost("error", problem)
            if points == exercise.points:
                return Outcome(exercise.name, "passed", points, exercise.points)
            return lost("error", f"nbgrader stopped at this submission: {_cause(result)}")
        report, problem = _find_report(graded, exercise.name)
        if report is None:
            return lost("error", problem or "The graded cell gave no report.")
        bad = [check for check in report.results if check.status != "passed"]
        status: Status = bad[0].status if bad else "passed"
        return Outcome(exercise.name, status, points, exercise.points, _reasons(bad), report.seed)

    def _score(self, exercise: Exercise, student: str) -> float:
        """Return what the gradebook holds; without a grade, nothing was earned."""
        with self._gradebook() as gradebook:
            try:
                grade = gradebook.find_grade(exercise.name, exercise.notebook, self.assignment, student)
            except MissingEntry:
                return 0.0
            return float(grade.score or 0.0)

    def _forget(self, student: str) -> None:
        """Set the automatic scores of a submission to 0; nbgrader leaves them where it fails. Manual ones stay."""
        with self._gradebook() as gradebook:
            with contextlib.suppress(MissingEntry):
                for notebook in gradebook.find_submission(self.assignment, student).notebooks:
                    for grade in notebook.grades:
                        if grade.name in EXERCISES:
                            grade.auto_score = 0.0
            gradebook.db.commit()

    def _path(self, student: str) -> Path:
        return self._grades / f"{student}.json"

    def _read(self, student: str, digest: str) -> Submission | None:
        try:
            stored = json.loads(self._path(student).read_text())
        except (OSError, ValueError):
            return None
        if stored.get("schema") != SCHEMA or stored.get("digest") != digest:
            return None
        outcomes = tuple(Outcome(**{**o, "reasons": tuple(o["reasons"])}) for o in stored["outcomes"])
        # The gradebook may have been restored or deleted since.
        if any(self._score(find(outcome.exercise), student) != outcome.points for outcome in outcomes):
            return None
        return Submission(student, digest, outcomes, fresh=False)

    def _write(self, submission: Submission) -> None:
        self._grades.mkdir(parents=True, exist_ok=True)
        write_json(as_json(submission), self._path(submission.student))


def _digest(*roots: Path) -> str:
    """Return a hash of the files in some folders, and of some files."""
    hashed = hashlib.sha256()
    for root in roots:
        for path in [root] if root.is_file() else sorted(root.rglob("*")):
            if path.is_file() and not path.is_symlink() and "__pycache__" not in path.parts:
                hashed.update(str(path.relative_to(root)).encode() + b"\0" + path.read_bytes() + b"\0")
    return hashed.hexdigest()


def _unreadable(path: Path) -> str | None:
    """Return why a notebook cannot be read, or None if it can."""
    try:
        nbformat.validate(nbformat.read(path, as_version=4))
    except Exception as error:  # nbformat raises many kinds: JSON, schema, encoding
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        return f"{path.name} is not a readable notebook ({first:.200})."
    return None


def _cause(result: dict[str, Any]) -> str:
    """Return the exception behind a failed run of nbgrader; nbgrader wraps it in exceptions of its own."""
    lines = f"{result.get('log') or ''}\n{result.get('error') or ''}".splitlines()
    causes = [line for line in lines if re.match(r"[\w.]+(Error|Exception|Entry)\b", line)]
    return next((cause for cause in reversed(causes) if "NbGraderException" not in cause), "nbgrader gave no reason")


def _find_report(path: Path, grade_id: str) -> tuple[Report | None, str | None]:
    """Return the report in a graded notebook, or the first error in it."""
    first_error = None
    for cell in nbformat.read(path, as_version=4).cells:
        mine = cell.metadata.get("nbgrader", {}).get("grade_id") == grade_id
        for output in cell.get("outputs", []):
            if mine and METADATA_KEY in output.get("metadata", {}):
                return Report.from_dict(output.metadata[METADATA_KEY]), None
            if output.output_type == "error" and first_error is None:
                first_error = f"{output.ename}: {output.evalue}" if output.evalue else output.ename
        if mine:
            break
    return None, f"A cell before the check stopped with {first_error}" if first_error else None


def _reasons(bad: list[Result]) -> tuple[str, ...]:
    """Return a line for each cause: the check (or how many), what it cost, and the cause."""
    by_cause: dict[str, list[Result]] = {}
    for check in bad:
        lines = check.message.splitlines()
        causes = [line.removeprefix("likely cause: ") for line in lines if line.startswith("likely cause: ")]
        by_cause.setdefault((causes or lines or [check.status])[0], []).append(check)
    return tuple(
        f"{checks[0].name if len(checks) == 1 else f'{len(checks)} checks'} "
        f"(-{sum(check.max_points - check.points for check in checks):g}): {cause}"
        for cause, checks in by_cause.items()
    )


def as_text(submissions: list[Submission]) -> Iterator[str]:
    """Yield the lines of a table of scores, with the reasons for each lost point under each student."""
    width = max([len("student"), *(len(submission.student) for submission in submissions)])
    names = list(EXERCISES)
    yield "  ".join([f"{'student':<{width}}", *names, "  total"])
    for submission in submissions:
        cells = [f"{o.points:g}/{o.max_points:g}".rjust(len(o.exercise)) for o in submission.outcomes]
        yield "  ".join(
            [f"{submission.student:<{width}}", *cells, f"{submission.points:g}/{submission.max_points:g}".rjust(7)]
        )
        for outcome in submission.outcomes:
            if outcome.status != "passed":
                yield f"    {outcome.exercise}: {outcome.status}"
                yield from (f"      {reason}" for reason in outcome.reasons)


def as_json(submission: Submission) -> dict[str, Any]:
    """Return a submission as plain numbers, strings and lists, with the version of this format as `schema`."""
    entry = {"schema": SCHEMA, **asdict(submission)}
    del entry["fresh"]
    return entry


def write_json(content: object, path: Path) -> None:
    """Write JSON to a file, whole or not at all."""
    with tempfile.NamedTemporaryFile("w", dir=path.parent, prefix=".grades-", delete=False) as file:
        json.dump(content, file, indent=1)
        file.write("\n")
    os.replace(file.name, path)
