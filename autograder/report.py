"""What a check found: the same results as text, as HTML and as JSON."""

import html
import sys
from dataclasses import asdict, dataclass
from typing import Any, Literal

Status = Literal["passed", "wrong", "error", "timeout", "died", "missing", "tampered"]

# Key of a report in the metadata of a notebook output; metadata, because outputs themselves are shown and compared.
METADATA_KEY = "multiview_vae_report"


@dataclass(frozen=True)
class Result:
    """One check: `points` of `max_points` earned; `message` says why points are missing and is empty otherwise."""

    name: str
    status: Status
    points: float
    max_points: float
    message: str = ""


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
        """Points there are."""
        return sum(result.max_points for result in self.results)

    def as_dict(self) -> dict[str, Any]:
        """Return the report as plain numbers, strings and lists, ready for JSON."""
        return {"score": self.score, "max_score": self.max_score, **asdict(self)}

    @classmethod
    def from_dict(cls, stored: dict[str, Any]) -> "Report":
        """Rebuild a report from `as_dict()`."""
        return cls(stored["exercise"], tuple(Result(**result) for result in stored["results"]), stored["seed"])

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

    def as_output(self) -> tuple[dict[str, str], dict[str, Any]]:
        """Return data and metadata of a notebook's output: nbgrader reads text/plain with float(), people the table."""
        return {"text/plain": f"{self.score:g}", "text/html": self.to_html()}, {METADATA_KEY: self.as_dict()}

    def _repr_mimebundle_(
        self, include: object = None, exclude: object = None
    ) -> tuple[dict[str, str], dict[str, Any]]:
        data, metadata = self.as_output()
        return data if "ipykernel" in sys.modules else {**data, "text/plain": str(self)}, metadata
