"""What a regrade changes: shown before it is done, and kept on record when it is."""

import csv
import time
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from nbverdict.classroom.course import AssignmentRun
from nbverdict.classroom.gathering import what_differs
from nbverdict.classroom.results import Submission, cell
from nbverdict.notebooks.verdict import Outcome

COLUMNS = ("time", "student", "exercise", "before", "after", "what_changed", "note", "reasons")


class Change(NamedTuple):
    """One exercise of a student, as it was and as it is."""

    before: Outcome
    after: Outcome

    @property
    def points(self) -> float:
        """How many points more it earns."""
        return self.after.points - self.before.points


def changes(before: Submission | None, after: Submission) -> list[Change]:
    """Return the exercises whose points have changed; none if there was no grade before."""
    old = {outcome.exercise: outcome for outcome in before.outcomes} if before else {}
    pairs = [Change(old[outcome.exercise], outcome) for outcome in after.outcomes if outcome.exercise in old]
    return [change for change in pairs if abs(change.points) > 1e-9]


def keep(run: AssignmentRun, before: Submission | None, after: Submission) -> None:
    """Add what has changed to `grades/ASSIGNMENT/changes.csv`, with the time, and which part had changed."""
    found = changes(before, after)
    if not found or before is None:
        return
    path = run.published / "changes.csv"
    new, now = not path.exists(), time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    why = ", ".join(what_differs(before.digest, after.digest))
    with path.open("a", newline="", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        if new:
            table.writerow(COLUMNS)
        for one in found:
            points = (f"{one.before.points:g}", f"{one.after.points:g}")
            reasons = "; ".join(one.after.reasons)
            table.writerow(
                [now, *map(cell, (after.student, one.after.exercise)), *points, why, *map(cell, (run.note, reasons))]
            )


def as_diff(before: Submission | None, after: Submission) -> Iterator[str]:
    """Yield lines that tell what would change for a student: exercise by exercise, check by check."""
    if before is None:
        yield f"{after.student}  {after.points:g}/{after.max_points:g}, not graded before"
        return
    found = changes(before, after)
    if not found:
        return
    why = ", ".join(what_differs(before.digest, after.digest))
    total = f"{before.points:g} -> {after.points:g} of {after.max_points:g}"
    yield f"{after.student}  {total}" + f"  (changed: {why})" * bool(why)
    for one in found:
        yield f"    {one.after.exercise}  {one.before.points:g} -> {one.after.points:g}"
        yield from (f"      {line}" for line in _checks(one))


def _checks(change: Change) -> Iterator[str]:
    """Yield a line for each check whose points have changed, with the cause of the loss."""
    if change.before.problem or change.after.problem or not change.before.checks:
        yield from (f"was: {reason}" for reason in change.before.reasons)
        yield from (f"now: {reason}" for reason in change.after.reasons)
        return
    old = {check.name: check for check in change.before.checks}
    new = {check.name: check for check in change.after.checks}
    for name in [*old, *(name for name in new if name not in old)]:
        was, now = old.get(name), new.get(name)
        if was and now and was.points == now.points and was.max_points == now.max_points:
            continue
        points = [f"{check.points:g}/{check.max_points:g}" if check else "no check" for check in (was, now)]
        cause = next((check.cause for check in (now, was) if check and check.status != "passed"), "")
        yield f"{name}: {points[0]} -> {points[1]}" + f" ({cause})" * bool(cause)


def summary(diffs: Sequence[tuple[Submission | None, Submission]]) -> str:
    """Return how many submissions would change, in a sentence."""
    moves = [sum(change.points for change in found) for before, after in diffs if (found := changes(before, after))]
    more, less = [move for move in moves if move > 0], [move for move in moves if move < 0]
    new = sum(before is None for before, _ in diffs)
    words = f"{len(moves)} of {len(diffs)} submissions would change"
    words += f": {len(more)} gain {sum(more):g} points, {len(less)} lose {-sum(less):g}" if moves else ""
    return words + f"; {new} would be graded for the first time" * bool(new)
