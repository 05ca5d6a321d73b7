"""What the checks of an exercise found: the same results as text and as HTML."""

import html
import sys
from dataclasses import dataclass
from typing import Annotated, Literal

from msgspec import Meta

Status = Literal["passed", "wrong", "error", "timeout", "died", "missing", "tampered"]


@dataclass(frozen=True)
class Result:
    """What one check found."""

    name: Annotated[str, Meta(description="what was checked")]
    status: Annotated[Status, Meta(description="how it ended")]
    points: Annotated[float, Meta(description="points earned")]
    max_points: Annotated[float, Meta(description="points available")]
    message: Annotated[
        str, Meta(description="what was expected, what was found, the likely cause and a hint; empty where it passed")
    ] = ""


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

    def __str__(self) -> str:
        width = max((len(result.name) for result in self.results), default=0)
        lines = [f"{self.exercise}: {self.score:g} of {self.max_score:g} points"]
        for result in self.results:
            mark = "✓" if result.status == "passed" else "✗"
            lines.append(f"{mark} {result.name:<{width}}  {result.points:g}/{result.max_points:g}  {result.status}")
            lines += [f"    {line}" for line in result.message.splitlines()]
        return "\n".join(lines)

    __repr__ = __str__

    def to_html(self) -> str:
        """Return a small table: green or red, points, message."""
        cell = "padding:2px 10px;text-align:left;vertical-align:top"
        rows = []
        for result in self.results:
            passed = result.status == "passed"
            colour, mark = ("#1b7837", "✓") if passed else ("#b2182b", "✗")
            message = html.escape(result.message).replace("\n", "<br>")
            rows.append(
                f'<tr><td style="{cell};color:{colour};white-space:nowrap"><b>{mark} {result.status}</b></td>'
                f'<td style="{cell}">{result.points:g}/{result.max_points:g}</td>'
                f'<td style="{cell}">{html.escape(result.name)}'
                + (f'<div style="color:#555;margin:2px 0 6px">{message}</div>' if message else "")
                + "</td></tr>"
            )
        title = f"{html.escape(self.exercise)}: {self.score:g} of {self.max_score:g} points"
        return f'<table><caption style="text-align:left"><b>{title}</b></caption>{"".join(rows)}</table>'

    def as_output(self) -> dict[str, str]:
        """Return the data of a notebook's output: nbgrader reads text/plain with float(), people see the table."""
        return {"text/plain": f"{self.score:g}", "text/html": self.to_html()}

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        shown = self.as_output()
        return shown if "ipykernel" in sys.modules else {**shown, "text/plain": str(self)}
