"""What a submission earned: plain data, and the same as JSON and as a table."""

from collections.abc import Mapping
from typing import Annotated

import msgspec
from msgspec import Meta

from nbverdict.checks.report import Report, Result, Status, by_cause, plain
from nbverdict.notebooks.locating import Located
from nbverdict.notebooks.release import GradedCell


class Outcome(msgspec.Struct, frozen=True):
    """One exercise of one student."""

    exercise: Annotated[str, Meta(description="name of the exercise, the `grade_id` of its graded cell")]
    status: Annotated[
        Status,
        Meta(description="`passed`, `tampered` if anything was put right, or the status of the first failed check"),
    ]
    points: Annotated[
        float, Meta(description="points earned; of a class, those in the gradebook, which a grader may have changed")
    ]
    max_points: Annotated[float, Meta(description="points available")]
    checks: Annotated[tuple[Result, ...], Meta(description="what each check found; empty where none could run")] = ()
    problem: Annotated[str, Meta(description="why no check could run; empty otherwise")] = ""
    seed: Annotated[int | None, Meta(description="repeats the inputs of the checks: `--seed`")] = None
    reasons: Annotated[
        tuple[str, ...], Meta(description="a line for each cause that cost points or was put right")
    ] = ()

    def __post_init__(self) -> None:
        msgspec.structs.force_setattr(self, "reasons", self._reasons())

    @classmethod
    def of(cls, report: Report, points: float, max_points: float) -> "Outcome":
        """Return the outcome of a report that earned these points."""
        bad: list[Status] = [check.status for check in report.results if check.status != "passed"]
        status: Status = "tampered" if "tampered" in bad else (bad or ["passed"])[0]
        return cls(report.exercise, status, points, max_points, report.results, seed=report.seed)

    @classmethod
    def found(
        cls,
        cell: GradedCell,
        located: Located,
        reports: Mapping[str, Report],
        problem: str,
        points: float | None = None,
    ) -> "Outcome":
        """Return the outcome of a graded cell: by its report, or by why there is none.

        Without `points`, it earns those of the report.
        """
        if not located.path:
            return cls(cell.name, "missing", points or 0.0, cell.points, problem=" ".join(located.remarks))
        if cell.name not in reports:
            return cls(cell.name, "error", points or 0.0, cell.points, problem=plain(problem))
        report = reports[cell.name]
        return cls.of(report, report.score if points is None else points, cell.points)

    def _reasons(self) -> tuple[str, ...]:
        """A line for each cause: the check (or how many), what it cost, the cause."""
        return (self.problem,) * bool(self.problem) + tuple(
            f"{checks[0].name if len(checks) == 1 else f'{len(checks)} checks'} "
            f"(-{sum(check.lost for check in checks):g}): {cause}"
            for cause, checks in by_cause(self.checks).items()
        )


class Verdict(msgspec.Struct, frozen=True):
    """What one submission earned in the exercises of an assignment."""

    assignment: Annotated[str, Meta(description="name of the assignment")]
    outcomes: Annotated[tuple[Outcome, ...], Meta(description="one entry for each exercise")]
    missing: Annotated[tuple[str, ...], Meta(description="notebooks that were not handed in, without suffix")] = ()
    points: Annotated[float, Meta(description="sum over the exercises")] = 0.0
    max_points: Annotated[float, Meta(description="sum over the exercises of the points available")] = 0.0

    def __post_init__(self) -> None:
        msgspec.structs.force_setattr(self, "points", float(sum(o.points for o in self.outcomes)))
        msgspec.structs.force_setattr(self, "max_points", float(sum(o.max_points for o in self.outcomes)))

    def to_json(self) -> bytes:
        """Return the verdict as JSON text."""
        return msgspec.json.format(msgspec.json.encode(self), indent=1) + b"\n"

    def __str__(self) -> str:
        width = max([len("exercise"), *(len(outcome.exercise) for outcome in self.outcomes)])
        lines = [f"{'exercise':<{width}}  points   status"]
        for outcome in self.outcomes:
            points, found = f"{outcome.points:g}/{outcome.max_points:g}", by_cause(outcome.checks)
            lines.append(f"{outcome.exercise:<{width}}  {points:<7}  {outcome.status}")
            lines += [f"    {line}" for line in outcome.problem.splitlines()]
            reasons = outcome.reasons[len(outcome.reasons) - len(found) :]
            for reason, (cause, checks) in zip(reasons, found.items(), strict=True):
                lines += [f"    {line}" for line in reason.splitlines()]
                if checks[0].message != cause:
                    lines += [f"        {line}" for line in checks[0].message.splitlines()]
        return "\n".join([*lines, f"{'total':<{width}}  {self.points:g}/{self.max_points:g}"])
