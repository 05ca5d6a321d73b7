"""What a class earned: for people as text, for machines as JSON, CSV and Gradescope's format."""

import csv
import io
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from autograder.exercises import EXERCISES
from autograder.report import Report, Result, Status

SCHEMA = 2  # version of the JSON of a submission, which docs/results.md describes


@dataclass(frozen=True)
class Outcome:
    """One exercise of one student: what each check found, or the `problem` that kept the checks from running."""

    exercise: str
    status: Status
    points: float
    max_points: float
    checks: tuple[Result, ...] = ()
    problem: str = ""
    seed: int | None = None

    @classmethod
    def of(cls, report: Report, points: float, max_points: float) -> "Outcome":
        """Return the outcome of a report; `points` are those in the gradebook."""
        bad: list[Status] = [check.status for check in report.results if check.status != "passed"]
        status: Status = "tampered" if "tampered" in bad else (bad or ["passed"])[0]
        return cls(report.exercise, status, points, max_points, report.results, seed=report.seed)

    @property
    def reasons(self) -> tuple[str, ...]:
        """A line for each cause that cost points or was put right: the check (or how many), what it cost, the cause."""
        by_cause: dict[str, list[Result]] = {}
        for check in self.checks:
            if check.status != "passed" or check.message:
                by_cause.setdefault(cause(check), []).append(check)
        return (self.problem,) * bool(self.problem) + tuple(
            f"{checks[0].name if len(checks) == 1 else f'{len(checks)} checks'} "
            f"(-{sum(check.max_points - check.points for check in checks):g}): {cause}"
            for cause, checks in by_cause.items()
        )


@dataclass(frozen=True)
class Submission:
    """What one student earned in the exercises that are graded automatically. `fresh`: graded in this run.

    `digest` says what decided the grade; it is empty if the grader failed, and then the next run grades again.
    """

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


def cause(check: Result) -> str:
    """Return the line of a message that says why: the likely cause, or the first one."""
    lines = check.message.splitlines()
    causes = [line.removeprefix("likely cause: ") for line in lines if line.startswith("likely cause: ")]
    return (causes or lines or [check.status])[0]


def as_line(submission: Submission) -> str:
    """Return a student's points, and the exercises that were not passed, on one line."""
    bad = [f"{o.exercise} {o.status}" for o in submission.outcomes if o.status != "passed"]
    kept = "" if submission.fresh else " (unchanged)"
    return f"{submission.student}  {submission.points:g}/{submission.max_points:g}{kept}  {', '.join(bad)}".rstrip()


def as_text(submissions: Sequence[Submission]) -> Iterator[str]:
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
    for stored, outcome in zip(entry["outcomes"], submission.outcomes, strict=True):
        stored["reasons"] = list(outcome.reasons)
    return {**entry, "points": submission.points, "max_points": submission.max_points}


def from_json(entry: dict[str, Any]) -> Submission:
    """Rebuild a submission from `as_json()`. Raises ValueError for another schema, KeyError for another content."""
    if entry["schema"] != SCHEMA:
        raise ValueError(f"the results have schema {entry['schema']}, not {SCHEMA}")
    outcomes = [
        Outcome(**{**o, "checks": tuple(Result(**check) for check in o["checks"])})
        for o in ({key: value for key, value in o.items() if key != "reasons"} for o in entry["outcomes"])
    ]
    return Submission(entry["student"], entry["digest"], tuple(outcomes), fresh=False)


def as_csv(submissions: Iterable[Submission]) -> str:
    """Return a table with a row per student: points and status of each exercise, and the sum."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(["student", *(f"{name}{what}" for name in EXERCISES for what in ("", "_status")), "points", "of"])
    for submission in submissions:
        cells = [value for o in submission.outcomes for value in (f"{o.points:g}", o.status)]
        table.writerow([_cell(submission.student), *cells, f"{submission.points:g}", f"{submission.max_points:g}"])
    return text.getvalue()


def _cell(text: str) -> str:
    """Return a text that no spreadsheet takes for a formula."""
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t")) else text


def as_gradescope(submission: Submission) -> dict[str, Any]:
    """Return a submission as the `results.json` of a Gradescope autograder."""
    tests = []
    for outcome in submission.outcomes:
        if not outcome.checks:
            tests.append(
                {"name": outcome.exercise, "score": 0.0, "max_score": outcome.max_points, "output": outcome.problem}
            )
        for check in outcome.checks:
            tests.append(
                {
                    "name": f"{outcome.exercise}: {check.name}",
                    "score": check.points,
                    "max_score": check.max_points,
                    "status": "passed" if check.status == "passed" else "failed",
                    "output": check.message or check.status,
                }
            )
    return {"score": submission.points, "visibility": "visible", "output_format": "text", "tests": tests}


def write_text(text: str, path: Path) -> None:
    """Write a file, whole or not at all."""
    beside = path.with_name(f".{path.name}.new")  # one process writes; not from `tempfile`, for others may read it
    beside.write_text(text, encoding="utf-8")
    beside.replace(path)


def write_json(content: object, path: Path) -> None:
    """Write JSON to a file, whole or not at all."""
    write_text(json.dumps(content, indent=1) + "\n", path)
