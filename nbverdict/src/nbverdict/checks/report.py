"""What the checks of an exercise found: the same results as text and as HTML."""

import html
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Literal

from msgspec import Meta

Status = Literal["passed", "wrong", "error", "timeout", "died", "missing", "tampered"]


def plain(text: str) -> str:
    """Return a text that any file and terminal accepts: what a student wrote may hold surrogates or control characters.

    Line breaks stay.
    """
    return "".join(
        c if c.isprintable() or c == "\n" else " " if c == "\t" else "\N{REPLACEMENT CHARACTER}" for c in text
    )


@dataclass(frozen=True)
class Finding:
    """What is wrong with an answer, in words for a student; as text, a line for each part."""

    expected: Annotated[str, Meta(description="what was expected")]
    got: Annotated[str, Meta(description="what came instead")]
    where: Annotated[str, Meta(description="where both differ most; empty if that is no matter of a place")]
    cause: Annotated[str, Meta(description="the likely cause")]
    hint: Annotated[str, Meta(description="what to do")]

    def __str__(self) -> str:
        where = (f"differs most: {self.where}",) if self.where else ()
        lines = (f"expected: {self.expected}", f"got: {self.got}", *where)
        return "\n".join((*lines, f"likely cause: {self.cause}", f"hint: {self.hint}"))


@dataclass(frozen=True)
class Result:
    """What one check found."""

    name: Annotated[str, Meta(description="what was checked")]
    status: Annotated[Status, Meta(description="how it ended")]
    points: Annotated[float, Meta(description="points earned")]
    max_points: Annotated[float, Meta(description="points available")]
    message: Annotated[str, Meta(description="what a student reads; empty where it passed without remark")] = ""
    finding: Annotated[
        Finding | None,
        Meta(description="what is wrong with a result; null where the answer gave none, or passed"),
    ] = None
    written: Annotated[bool, Meta(description="false if the answer is as it was handed out")] = True
    inside: Annotated[bool, Meta(description="true if the notebook's own process said so, which it can forge")] = False
    judged: Annotated[bool, Meta(description="false if the check, not the answer, was at its limit")] = True

    @property
    def cause(self) -> str:
        """What cost the points: the finding's cause, or the first line of the message; else the status."""
        if self.finding:
            return self.finding.cause
        return next(iter(self.message.splitlines()), self.status)

    @property
    def lost(self) -> float:
        """Points that it cost."""
        return self.max_points - self.points


def by_cause(results: Iterable[Result]) -> dict[str, list[Result]]:
    """Return the results that were not passed, or passed with a remark, by their cause, in their order."""
    found: dict[str, list[Result]] = {}
    for result in results:
        if result.status != "passed" or result.message:
            found.setdefault(result.cause, []).append(result)
    return found


@dataclass(frozen=True)
class Report:
    """All checks of one exercise. `seed` repeats the inputs that were drawn: `check(exercise, answer, seed=seed)`."""

    exercise: str
    results: tuple[Result, ...]
    seed: int

    @property
    def score(self) -> float:
        """Points earned."""
        return sum(result.points for result in self.results)

    @property
    def max_score(self) -> float:
        """Points available."""
        return sum(result.max_points for result in self.results)

    @property
    def causes(self) -> dict[str, list[Result]]:
        """The checks that cost points, by their cause, in the order of the checks."""
        return by_cause(result for result in self.results if result.status != "passed")

    def __str__(self) -> str:
        width = max((len(result.name) for result in self.results), default=0)
        first = {cause: results[0] for cause, results in self.causes.items()}
        lines = [f"{self.exercise}: {self.score:g} of {self.max_score:g} points"]
        for result in self.results:
            mark = "✓" if result.status == "passed" else "✗"
            lines.append(f"{mark} {result.name:<{width}}  {result.points:g}/{result.max_points:g}  {result.status}")
            if result.status == "passed":
                continue
            told = first[result.cause]
            message = result.message if told is result else f"same cause as in {told.name!r}"
            lines += [f"    {line}" for line in message.splitlines()]
        return "\n".join(lines)

    __repr__ = __str__

    def to_html(self) -> str:
        """Return a small table of the checks, in the colours of the notebook, and under it each cause, to unfold."""
        title = f"{html.escape(self.exercise)}: {self.score:g} of {self.max_score:g} points"
        cell = "padding:2px 10px;text-align:left;vertical-align:top"
        head = "".join(f'<th scope="col" style="{cell}">{name}</th>' for name in ("status", "points", "check"))
        rows = []
        for result in self.results:
            colour, mark = ("#1b7837", "✓") if result.status == "passed" else ("#b2182b", "✗")
            chip = f"background-color:{colour};color:#fff;padding:0 6px;border-radius:3px;white-space:nowrap"
            rows.append(
                f'<tr><td style="{cell}"><b style="{chip}">{mark} {result.status}</b></td>'
                f'<td style="{cell}">{result.points:g}/{result.max_points:g}</td>'
                f'<td style="{cell}">{html.escape(result.name)}</td></tr>'
            )
        caption = f'<caption style="text-align:left"><b>{title}</b></caption>'
        table = f"<table>{caption}<thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"
        return table + "".join(_cause(cause, results, i == 0) for i, (cause, results) in enumerate(self.causes.items()))

    def as_output(self) -> dict[str, str]:
        """Return the data of a notebook's output: nbgrader reads text/plain with float(), people see the table."""
        return {"text/plain": f"{self.score:g}", "text/html": self.to_html()}

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        shown = self.as_output()
        return shown if "ipykernel" in sys.modules else {**shown, "text/plain": str(self)}


def _cause(cause: str, results: list[Result], first: bool) -> str:
    """Return a cause that unfolds: which checks it costs, and the message of the first of them."""
    lost = sum(result.lost for result in results)
    checks = "; ".join(html.escape(result.name) for result in results)
    message = html.escape(results[0].message).replace("\n", "<br>")
    return (
        f'<details{" open" if first else ""} style="margin:4px 10px">'
        f'<summary style="cursor:pointer">-{lost:g} point{"s" * (lost != 1)}: {html.escape(cause)}</summary>'
        f'<div style="margin:2px 0 8px 16px">{message}<br><i>costs: {checks}</i></div></details>'
    )
