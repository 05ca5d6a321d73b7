"""What a class earned: the model of what is stored, and the same as text, CSV and Gradescope's format."""

import argparse
import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal, NamedTuple

import msgspec
from msgspec import Meta

from nbverdict.notebooks.verdict import Outcome

SCHEMA: Literal[3] = 3


class Submission(msgspec.Struct, frozen=True):
    """What one student earned in the exercises that are graded automatically."""

    student: Annotated[str, Meta(description="nbgrader's id of the student")]
    digest: Annotated[
        str,
        Meta(
            description="SHA-256 of each part that decided the grade: submission, release, configuration, grading "
            "code; empty if the grader failed, and the next run grades again"
        ),
    ]
    outcomes: Annotated[tuple[Outcome, ...], Meta(description="one entry for each exercise")]
    points: Annotated[float, Meta(description="sum over the exercises")] = 0.0
    max_points: Annotated[float, Meta(description="sum over the exercises of the points available")] = 0.0
    schema: Annotated[Literal[3], Meta(description="version of this format; another number means another meaning")] = (
        SCHEMA
    )

    def __post_init__(self) -> None:
        msgspec.structs.force_setattr(self, "points", float(sum(o.points for o in self.outcomes)))
        msgspec.structs.force_setattr(self, "max_points", float(sum(o.max_points for o in self.outcomes)))


class Graded(NamedTuple):
    """A submission, and whether it was graded in this run or had not changed since an earlier one."""

    submission: Submission
    fresh: bool


def to_json(content: Submission | Sequence[Submission]) -> bytes:
    """Return submissions as JSON text."""
    return msgspec.json.format(msgspec.json.encode(content), indent=1) + b"\n"


def from_json(text: bytes) -> Submission:
    """Return the submission behind JSON text; raise msgspec.MsgspecError for another schema or content."""
    return msgspec.json.decode(text, type=Submission)


def schema(options: argparse.Namespace) -> int:
    """Run the command `schema`."""
    print(schema_page() if options.markdown else json.dumps(json_schema(), indent=1))
    return 0


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of a stored submission."""
    return msgspec.json.schema(Submission)


def schema_page() -> str:
    """Return the fields of a stored submission as tables in Markdown."""
    lines = []
    definitions = json_schema()["$defs"]
    for name in ("Submission", "Outcome", "Result", "Finding"):
        definition = definitions[name]
        lines += [f"## {name}", "", definition["description"].split("\n")[0], ""]
        lines += ["| key | type | meaning |", "| --- | --- | --- |"]
        for key, field in definition["properties"].items():
            lines.append(f"| `{key}` | {_type_of(field)} | {field.get('description', '')} |")
        lines.append("")
    return "\n".join(lines)


def _type_of(field: dict[str, Any]) -> str:
    """Return the type of a field of a JSON Schema in words."""
    if "enum" in field:
        return "one of " + ", ".join(f"`{json.dumps(value)}`" for value in field["enum"])
    if "anyOf" in field:
        return " or ".join(_type_of(choice) for choice in field["anyOf"])
    if "$ref" in field:
        return str(field["$ref"].rsplit("/", 1)[1])
    return f"list of {_type_of(field['items'])}" if field["type"] == "array" else str(field["type"])


def counted(number: int, what: str) -> str:
    """Return a number of things, such as "1 submission" or "2 submissions"."""
    return f"{number} {what}{'s' * (number != 1)}"


def as_line(graded: Graded) -> str:
    """Return a student's points, and the exercises that were not passed, on one line."""
    submission, fresh = graded
    bad = [f"{o.exercise} {o.status}" for o in submission.outcomes if o.status != "passed"]
    kept = "" if fresh else " (unchanged)"
    return f"{submission.student}  {submission.points:g}/{submission.max_points:g}{kept}  {', '.join(bad)}".rstrip()


def as_text(submissions: Sequence[Submission]) -> Iterator[str]:
    """Yield the lines of a table of scores, with the reasons for each lost point under each student."""
    width = max([len("student"), *(len(submission.student) for submission in submissions)])
    names = [outcome.exercise for outcome in submissions[0].outcomes] if submissions else []
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


class InWords(NamedTuple):
    """A question that a person grades, as the gradebook has it for one student."""

    points: float
    max_points: float
    waiting: bool  # for that person


def as_csv(
    exercises: Sequence[str],
    submissions: Iterable[Submission],
    in_words: Mapping[str, Mapping[str, InWords]] | None = None,
) -> str:
    """Return a table with a row per student: points and status of each exercise, and their sum.

    `in_words` maps students to the questions that people grade, by name; then there are columns for these, and `total`,
    which includes them, out of `total_of`: the score and max_score of nbgrader's own export, before late penalties.
    """
    in_words = in_words or {}
    questions = sorted({name for found in in_words.values() for name in found})
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    columns = [f"{name}{what}" for name in (*exercises, *questions) for what in ("", "_status")]
    table.writerow(["student", *columns, "points", "of", *("total", "total_of") * bool(questions)])
    for submission in submissions:
        found = in_words.get(submission.student, {})
        row = [value for o in submission.outcomes for value in (f"{o.points:g}", o.status)]
        for name in questions:
            answer = found.get(name)
            row += [f"{answer.points:g}", "waiting" if answer.waiting else "graded"] if answer else ["", ""]
        sums = [submission.points, submission.max_points]
        if questions:
            sums.append(submission.points + sum(answer.points for answer in found.values()))
            sums.append(submission.max_points + sum(answer.max_points for answer in found.values()))
        table.writerow([cell(submission.student), *row, *(f"{points:g}" for points in sums)])
    return text.getvalue()


def cell(text: str) -> str:
    """Return a text for a table, one that no spreadsheet takes for a formula."""
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t")) else text
