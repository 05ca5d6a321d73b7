"""One HTML page for a class: what it earned, what it lost points for, and who needs a human."""

import math
import statistics
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import jinja2

from nbverdict.checks.report import Result
from nbverdict.classroom.results import Submission
from nbverdict.notebooks.verdict import Outcome

_MOST_BARS = 12
_MOST_CHECKS = 15
_HUMAN = ("died", "tampered")
_ENOUGH = 3  # answers that fail a check, until the check is suspected
_NOT_GRADED = "not graded; the next run tries again"


def class_page(
    assignment: str,
    exercises: Mapping[str, float],
    submissions: Sequence[Submission],
    ungraded: Sequence[str],
    pending: Mapping[str, Sequence[str]],
    feedback: Callable[[str, str], str],
) -> str:
    """Return the page.

    `exercises` maps the name of each automatically graded exercise to the points available. `ungraded` are students who
    handed in and have no grade; `pending` names, by student, the questions that wait for a grade by hand;
    `feedback` gives the address of the feedback page for a student and an exercise.
    """
    points = [submission.points for submission in submissions]
    people = {
        submission.student: [
            *(_NOT_GRADED,) * (not submission.digest),
            *(f"{o.exercise} {o.status}: {'; '.join(o.reasons)}" for o in submission.outcomes if _needs_human(o)),
        ]
        for submission in submissions
    } | {student: [_NOT_GRADED] for student in ungraded}
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    environment.filters["points"] = lambda value: f"{round(value, 1):g}"
    template = environment.from_string((Path(__file__).parent / "class_page.html").read_text(encoding="utf-8"))
    return template.render(
        assignment=assignment,
        max_points=sum(exercises.values()),
        mean=statistics.fmean(points) if points else 0.0,
        median=statistics.median(points) if points else 0.0,
        bars=_bars(points, sum(exercises.values())),
        exercises=_exercises(exercises, submissions),
        checks=_checks(submissions),
        suspects=suspects(submissions),
        inside=sorted({o.exercise for s in submissions for o in s.outcomes if any(check.inside for check in o.checks)}),
        people=sorted((student, reasons) for student, reasons in people.items() if reasons),
        by_hand=sorted(Counter(question for questions in pending.values() for question in questions).items()),
        date=datetime.now().astimezone().strftime("%Y-%m-%d %H:%M %Z"),
        students=[
            {
                "name": submission.student,
                "points": submission.points,
                "cells": [
                    {
                        "points": outcome.points,
                        "status": outcome.status,
                        "reasons": "\n".join(outcome.reasons),
                        "page": feedback(submission.student, outcome.exercise),
                    }
                    for outcome in submission.outcomes
                ],
            }
            for submission in submissions
        ],
    )


def _needs_human(outcome: Outcome) -> bool:
    return outcome.status in _HUMAN or any(check.status in _HUMAN or not check.judged for check in outcome.checks)


def suspects(submissions: Sequence[Submission]) -> list[str]:
    """Return a line for each check that may itself be at fault: it could not judge an answer, or fails everybody.

    Who wrote no answer is not counted; of fewer than three, it is no sign that all of them fail.
    """
    found: dict[tuple[str, str], list[Result]] = {}
    for submission in submissions:
        for outcome in submission.outcomes:
            for check in outcome.checks:
                if check.status != "missing" and check.written:
                    found.setdefault((outcome.exercise, check.name), []).append(check)
    lines = []
    for (exercise, name), results in found.items():
        unjudged = [result for result in results if not result.judged]
        if unjudged:
            how = "nobody" if len(unjudged) == len(results) else f"{len(results) - len(unjudged)} of {len(results)}"
            lines.append(f"{exercise}, {name}: it judged {how}. {unjudged[0].cause}")
        elif len(results) >= _ENOUGH and all(result.lost for result in results):
            lines.append(f"{exercise}, {name}: all {len(results)} answers fail it")
    return lines


def _bars(points: Sequence[float], most: float) -> list[dict[str, float]]:
    """Return the histogram of the points as boxes in a drawing that is 600 units wide."""
    bars = max(1, min(_MOST_BARS, math.ceil(most)))
    counts = Counter(min(int(p * bars / (most or 1)), bars - 1) for p in points)
    width, tallest = 580 / bars, max(counts.values(), default=1)
    return [
        {
            **{"x": round(10 + i * width, 1), "width": round(width - 2, 1), "count": counts[i]},
            **{"height": round(120 * counts[i] / tallest, 1), "low": i * most / bars, "high": (i + 1) * most / bars},
        }
        for i in range(bars)
    ]


def _exercises(exercises: Mapping[str, float], submissions: Sequence[Submission]) -> list[dict[str, Any]]:
    rows = []
    for name, most in exercises.items():
        outcomes = [o for submission in submissions for o in submission.outcomes if o.exercise == name]
        mean = statistics.fmean(o.points for o in outcomes) if outcomes else 0.0
        statuses = Counter(_how_it_ended(o) for o in outcomes).most_common()
        rows.append({"name": name, "mean": mean, "max_points": most, "statuses": statuses})
    return rows


def _how_it_ended(outcome: Outcome) -> str:
    unwritten = any(not check.written for check in outcome.checks)
    return "not written" if unwritten and outcome.status == "error" else outcome.status


def _checks(submissions: Sequence[Submission]) -> list[dict[str, Any]]:
    """Return the checks that most students failed, most first; who wrote no answer has failed none."""
    failed: dict[tuple[str, str], list[tuple[float, str]]] = {}
    for submission in submissions:
        for outcome in submission.outcomes:
            for check in outcome.checks:
                if check.status != "missing" and check.written and check.lost:
                    failed.setdefault((outcome.exercise, check.name), []).append((check.lost, check.cause))
    rows: list[dict[str, Any]] = []
    for (exercise, name), found in failed.items():
        [(why, times)] = Counter(why for _, why in found).most_common(1)
        lost = sum(lost for lost, _ in found)
        rows.append(
            {"exercise": exercise, "name": name, "count": len(found), "lost": lost, "cause": why, "times": times}
        )
    return sorted(rows, key=lambda row: (-row["count"], -row["lost"], row["name"]))[:_MOST_CHECKS]
