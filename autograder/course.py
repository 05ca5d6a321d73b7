"""Grade a class with nbgrader: executed here, by several processes or by a cluster, and recorded by one writer."""

import concurrent.futures
import contextlib
import json
import logging
import os
import re
import stat
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import nbformat
from jupyter_core.paths import jupyter_config_path
from nbgrader.api import Gradebook, MissingEntry
from nbgrader.converters import Autograde
from nbgrader.coursedir import CourseDirectory
from nbgrader.utils import capture_log, find_all_files, temp_attrs
from sqlalchemy.exc import SAWarning
from traitlets.config import Config
from traitlets.config.loader import PyFileConfigLoader

from autograder.confinement.layers import ConfinementError
from autograder.confinement.provisioner import ConfinedProvisioner
from autograder.exercises import EXERCISES, Exercise, find
from autograder.page import class_page
from autograder.report import METADATA_KEY, Report
from autograder.results import (
    Outcome,
    Submission,
    as_csv,
    as_gradescope,
    as_json,
    from_json,
    write_json,
    write_text,
)
from autograder.submission import forget, graded_form, release_of
from autograder.work import Work, digest, own_code, run

GRADES = "grades"  # folder of one JSON file per submission, beside nbgrader's own folders
_SECTIONS = ("Execute", "ExecuteOutside", "ConfinedProvisioner")  # what executing needs of the configuration


class CourseError(RuntimeError):
    """The course cannot be graded at all; the message says what is missing and what to do."""


class Course:
    """A folder with an `nbgrader_config.py`, and an assignment of it.

    `seed` repeats the inputs that an earlier run drew. Raises CourseError if there is nothing to grade here, and
    ConfinementError if every layer of confinement is required and this machine lacks one.
    """

    def __init__(
        self, folder: Path, assignment: str, *, seed: int | None = None, require_confinement: bool = False
    ) -> None:
        config_file = folder / "nbgrader_config.py"
        if not config_file.exists():
            raise CourseError(f"{config_file} is missing. Run this in the folder of the course.")
        # The configuration is code, and may name folders relative to its own; those of the user and of the machine
        # count as they do for nbgrader.
        places = [*map(Path, reversed(jupyter_config_path())), folder]
        self._config_files = [place / config_file.name for place in places if (place / config_file.name).exists()]
        config = Config()
        for file in self._config_files:
            config.merge(PyFileConfigLoader(file.name, path=str(file.parent)).load_config())
        config.CourseDirectory.root = str(folder.resolve())
        if seed is not None:
            config.ExecuteOutside.seed = seed
        if require_confinement:
            config.ConfinedProvisioner.require = True
        self._config = config
        self.assignment = assignment
        self.confinement = ConfinedProvisioner(config=config).confinement
        if require_confinement:
            self.confinement.require_all()
        self.coursedir = CourseDirectory(config=config)
        self.grades = folder / GRADES / assignment  # where results are written
        self._tried: Counter[bool] = Counter()  # submissions by whether executing them failed
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

    def folder(self, step: str, student: str) -> Path:
        """Return nbgrader's folder of a student; `step` is for example `coursedir.feedback_directory`."""
        return Path(self.coursedir.format_path(step, student, self.assignment))

    def students(self) -> list[str]:
        """Return the students who have a folder for the assignment, sorted."""
        root = Path(self.coursedir.format_path(self.coursedir.submitted_directory, ".", "."))
        names = sorted(path.parent.name for path in root.glob(f"*/{self.assignment}") if path.is_dir())
        if odd := [name for name in names if set("*?[") & set(name) or name != name.encode(errors="ignore").decode()]:
            # nbgrader takes these characters for patterns, and its database takes no bytes that are no UTF-8.
            raise CourseError(f"rename these students' folders, without *, ? and [, and in UTF-8: {odd!a}")
        return names

    def grade(self, student: str, *, force: bool = False) -> Submission:
        """Grade one student's submission; one that has not changed since is taken from its file unless `force`."""
        return next(self.grade_class([student], force=force))

    def grade_class(
        self, students: Sequence[str], executor: concurrent.futures.Executor | None = None, *, force: bool = False
    ) -> Iterator[Submission]:
        """Grade students and yield their submissions as they end; an executor executes several at a time.

        Whatever ends this, the gradebook holds whole submissions: what was not recorded is graded the next time.
        """
        waiting: dict[concurrent.futures.Future[dict[str, str]], tuple[str, str]] = {}
        for student in students:
            if not self.folder(self.coursedir.submitted_directory, student).is_dir():
                where = self.folder(self.coursedir.submitted_directory, student)
                raise CourseError(f"{student} has no folder {where}. The students are: {', '.join(self.students())}")
        for student in students:
            try:
                digest = self._digest(student)
                if not force and (known := self._read(student, digest)):
                    yield known
                    continue
                work = self._work(student)
            except (OSError, ValueError, RecursionError) as error:  # this student's trouble, nobody else's
                yield self._record(student, "", error)
                continue
            if executor is None:
                yield self._record_executed(student, digest, _run_here(work))
                continue
            waiting[executor.submit(run, work)] = student, digest
            # Enough to keep everybody busy; a class of any size takes the memory of these.
            while len(waiting) >= MOST_WAITING:
                yield self._record_first(waiting)
        while waiting:
            yield self._record_first(waiting)

    def _record_first(self, waiting: "dict[concurrent.futures.Future[dict[str, str]], tuple[str, str]]") -> Submission:
        done, _ = concurrent.futures.wait(waiting, return_when=concurrent.futures.FIRST_COMPLETED)
        future = done.pop()
        student, digest = waiting.pop(future)
        error = future.exception()
        if isinstance(error, concurrent.futures.BrokenExecutor | ConfinementError):
            raise error  # nobody is left to execute the others, or nobody may
        return self._record_executed(student, digest, error if isinstance(error, Exception) else future.result())

    def _record_executed(self, student: str, digest: str, executed: Mapping[str, str] | Exception) -> Submission:
        """Record a submission; raise CourseError if none can be graded, which is hardly the students' doing."""
        submission = self._record(student, digest, executed)
        self._tried[not submission.digest] += 1
        if self._tried[True] == MOST_IN_VAIN and not self._tried[False]:
            why = submission.outcomes[-1].problem
            if isinstance(executed, Exception):
                why = f"{type(executed).__name__}: {executed}"
            raise CourseError(f"none of the first {MOST_IN_VAIN} submissions could be graded ({why}).")
        return submission

    def _work(self, student: str) -> Work:
        """Gather what executing a submission needs."""
        submitted = self.folder(self.coursedir.submitted_directory, student)
        notebooks = {}
        for name in sorted({exercise.notebook for exercise in EXERCISES.values()}):
            if os.path.lexists(path := submitted / f"{name}.ipynb"):
                release = release_of(self.coursedir, self.assignment, name)
                notebooks[name] = nbformat.writes(graded_form(path, release))
        source = Path(self.coursedir.format_path(self.coursedir.source_directory, ".", self.assignment))
        ignored = [*self.coursedir.ignore, "*.ipynb"]
        # The instructor's files come first: they stand in place of a student's version.
        files: dict[str, bytes] = {}
        limits = self.confinement.limits
        room = limits.scratch // 2  # as much as a kernel would be given of it
        for root in (source, submitted):
            for path in map(Path, find_all_files(str(root), ignored)):
                status, name = path.lstat(), str(path.relative_to(root))
                if stat.S_ISREG(status.st_mode) and status.st_size <= min(limits.file_size, room) and name not in files:
                    files[name] = path.read_bytes()
                    room -= status.st_size
        return Work(notebooks, files, {name: dict(self._config[name]) for name in _SECTIONS}, own_code())

    def _record(self, student: str, digest: str, executed: Mapping[str, str] | Exception) -> Submission:
        """Let nbgrader write an executed submission to its folders and the gradebook, and remember the results."""
        self._path(student).unlink(missing_ok=True)
        forget(self.coursedir, self.assignment, student)
        config = Config({**self._config, "ExecuteOutside": {**self._config["ExecuteOutside"], "executed": executed}})
        converter = Autograde(coursedir=self.coursedir, config=config)
        converter.force = True
        converter.log = logging.getLogger(f"{__name__}.nbgrader")  # it comes back with the result
        converter.log.setLevel(logging.INFO)
        converter.log.propagate = False
        with temp_attrs(self.coursedir, assignment_id=self.assignment, student_id=student), warnings.catch_warnings():
            # nbgrader 0.9 adds rows in an order that newer SQLAlchemy releases warn about.
            warnings.simplefilter("ignore", SAWarning)
            result = capture_log(converter)
        if (result.get("error") or "").rstrip().endswith("KeyboardInterrupt"):
            raise KeyboardInterrupt  # which nbgrader keeps to itself
        outcomes = tuple(self._outcome(exercise, student, result) for exercise in EXERCISES.values())
        graded = result["success"] or not self._notebooks(student)
        submission = Submission(student, digest if graded else "", outcomes)
        self.grades.mkdir(parents=True, exist_ok=True)
        write_json(as_json(submission), self._path(student))
        return submission

    def write_results(self) -> Path:
        """Write what is known of the class for people and for other programs; return the page of the class."""
        found = []
        for student in self.students():
            with contextlib.suppress(OSError, ValueError, LookupError, TypeError):
                found.append(from_json(json.loads(self._path(student).read_text(encoding="utf-8"))))
        self.grades.mkdir(parents=True, exist_ok=True)
        for submission in found:
            folder = self.grades / "gradescope" / submission.student
            folder.mkdir(parents=True, exist_ok=True)
            write_json(as_gradescope(submission), folder / "results.json")
        write_text(as_csv(found), self.grades / "grades.csv")
        page = self.grades / "index.html"
        known = {submission.student for submission in found}
        ungraded = [student for student in self.students() if student not in known]
        write_text(class_page(self.assignment, found, ungraded, self._pending(), self._feedback_page), page)
        return page

    def _pending(self) -> dict[str, list[str]]:
        """Return the questions that wait for a grade by hand, by student."""
        pending: dict[str, list[str]] = {}
        with self._gradebook() as gradebook:
            for submission in gradebook.assignment_submissions(self.assignment):
                waiting = [g.name for n in submission.notebooks for g in n.grades if g.needs_manual_grade]
                if waiting:
                    pending[submission.student.id] = waiting
        return pending

    def _feedback_page(self, student: str, exercise: Exercise) -> str:
        """Return the address of a feedback page, which nbgrader may write later."""
        page = self.folder(self.coursedir.feedback_directory, student) / f"{exercise.notebook}.html"
        return quote(os.path.relpath(page, self.grades))

    def _notebooks(self, student: str) -> list[Path]:
        return list(self.folder(self.coursedir.submitted_directory, student).glob("*.ipynb"))

    def _outcome(self, exercise: Exercise, student: str, result: dict[str, Any]) -> Outcome:
        submitted = self.folder(self.coursedir.submitted_directory, student) / f"{exercise.notebook}.ipynb"
        graded = self.folder(self.coursedir.autograded_directory, student) / f"{exercise.notebook}.ipynb"
        points = self._score(exercise, student)
        if not os.path.lexists(submitted):
            problem = f"{submitted.name} was not handed in."
            return Outcome(exercise.name, "missing", points, exercise.points, problem=problem)
        report = _find_report(graded, exercise.name) if result["success"] and graded.exists() else None
        if report is None:
            problem = f"nbgrader stopped at this submission: {_cause(result)}"
            return Outcome(exercise.name, "error", points, exercise.points, problem=problem)
        return Outcome.of(report, points, exercise.points)

    def _score(self, exercise: Exercise, student: str) -> float:
        """Return what the gradebook holds; without a grade, nothing was earned."""
        with self._gradebook() as gradebook:
            try:
                grade = gradebook.find_grade(exercise.name, exercise.notebook, self.assignment, student)
            except MissingEntry:
                return 0.0
            return float(grade.score or 0.0)

    def _recorded(self, student: str) -> bool:
        """Return whether nbgrader's gradebook and its folder of graded notebooks have this student."""
        if not self.folder(self.coursedir.autograded_directory, student).is_dir():
            return False
        with self._gradebook() as gradebook, contextlib.suppress(MissingEntry):
            return bool(gradebook.find_submission(self.assignment, student))
        return False

    def _path(self, student: str) -> Path:
        return self.grades / f"{student}.json"

    def _digest(self, student: str) -> str:
        """Return a hash of what decides the grade: submission, assignment, configuration, and the code that grades."""
        release = Path(self.coursedir.format_path(self.coursedir.release_directory, ".", self.assignment))
        submitted = self.folder(self.coursedir.submitted_directory, student)
        return digest(submitted, release, *self._config_files) + own_code()

    def _read(self, student: str, digest: str) -> Submission | None:
        try:
            submission = from_json(json.loads(self._path(student).read_text(encoding="utf-8")))
        except (OSError, ValueError, LookupError, TypeError):
            return None
        # The gradebook may have been restored or deleted since, and so may the graded notebooks.
        if self._notebooks(student) and not self._recorded(student):
            return None
        if submission.digest != digest or any(
            self._score(find(outcome.exercise), student) != outcome.points for outcome in submission.outcomes
        ):
            return None
        return submission


MOST_IN_VAIN = 3  # submissions that cannot be graded before the run is given up, if no other could be
MOST_WAITING = 64  # submissions that are given to an executor before the first of them is recorded


def _run_here(work: Work) -> dict[str, str] | Exception:
    try:
        return run(work)
    except ConfinementError:
        raise
    except Exception as error:
        return error


def _cause(result: dict[str, Any]) -> str:
    """Return the exception behind a failed run of nbgrader; nbgrader wraps it in exceptions of its own."""
    lines = [line.strip() for line in f"{result.get('log') or ''}\n{result.get('error') or ''}".splitlines()]
    causes = [line for line in lines if re.match(r"[\w.]+(Error|Exception|Entry|Warning)\b", line)]
    return next((cause for cause in reversed(causes) if "NbGraderException" not in cause), "nbgrader gave no reason")


def _find_report(path: Path, grade_id: str) -> Report | None:
    """Return the report in a graded notebook."""
    for cell in nbformat.read(path, as_version=4).cells:
        if cell.metadata.get("nbgrader", {}).get("grade_id") == grade_id:
            for output in cell.get("outputs", []):
                if METADATA_KEY in output.get("metadata", {}):
                    return Report.from_dict(output.metadata[METADATA_KEY])
    return None
