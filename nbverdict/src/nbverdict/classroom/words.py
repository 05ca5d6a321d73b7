"""The command `words`: grade the questions in words on one page, by clicks on the points of the mark scheme.

The page is served to this machine alone, under an address with a secret in it. What is clicked is written into
nbgrader's gradebook at once, as Formgrader does, and can be changed there. A mark scheme stands in the solved notebook,
between `### BEGIN MARK SCHEME` and `### END MARK SCHEME`, a paragraph for each point: "1 point: ...".
"""

import argparse
import json
import math
import re
import secrets
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock
from typing import Any, NamedTuple
from urllib.parse import parse_qs, quote, urlsplit

import jinja2
import nbformat

from nbverdict.classroom.command import open_run
from nbverdict.classroom.course import AssignmentRun, CourseError
from nbverdict.classroom.feedback import as_page_text
from nbverdict.classroom.releases import release_notebooks
from nbverdict.configuration import Configuration
from nbverdict.files import write_whole

_SCHEME = re.compile(r"### BEGIN MARK SCHEME\n(.*?)\n### END MARK SCHEME", flags=re.DOTALL)
_POINT = re.compile(r"(?P<points>\d+(?:\.\d+)?) points?: (?P<text>.+)", flags=re.DOTALL)
_MOST = 1 << 20  # bytes of a form


class Point(NamedTuple):
    """A paragraph of a mark scheme."""

    points: float
    text: str


class Question(NamedTuple):
    """A question in words: where it is, what it is worth, and what for."""

    name: str  # grade_id of its cell
    notebook: str
    max_points: float
    scheme: tuple[Point, ...]
    answer: str  # the solved notebook's


class ManualGradingPage:
    """The questions in words of an assignment, what students answered, and the grades."""

    def __init__(self, run: AssignmentRun) -> None:
        self.run = run
        self.questions = {question.name: question for question in _questions(run)}
        if not self.questions:
            raise CourseError(f"no notebook in {_source(run)} has a question in words: there is nothing to grade here")
        # What was clicked, and the comments so far; in a folder of its own, as any student may be called `words`.
        self._file = run.published / "by_hand" / "words.json"
        self._lock = Lock()

    def page(self, address: str) -> str:
        """Return the page; forms are sent to `address`."""
        kept, rows = self._kept(), []
        with self.run.course.gradebook() as gradebook:
            found = {
                (grade.name, submission.student.id): (grade.score, grade.needs_manual_grade)
                for submission in gradebook.assignment_submissions(self.run.assignment_name)
                for notebook in submission.notebooks
                for grade in notebook.grades
                if grade.name in self.questions
            }
        for question in self.questions.values():
            clicked, bank = kept["clicked"].get(question.name, {}), kept["comments"].get(question.name, [])
            students = [
                {
                    "name": student,
                    "answer": as_page_text(*self._answer(student, question)),
                    "score": score or 0.0,
                    "waiting": waiting,
                    "clicked": clicked.get(student, {"points": [], "comment": "", "other": 0}),
                }
                for (name, student), (score, waiting) in sorted(found.items())
                if name == question.name
            ]
            rows.append(
                {"question": question, "students": students, "bank": bank, "model": as_page_text(question.answer)}
            )
        environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
        template = environment.from_string((Path(__file__).parent / "words.html").read_text(encoding="utf-8"))
        return template.render(assignment=self.run.assignment_name, rows=rows, address=address)

    def give(self, name: str, student: str, clicked: Sequence[int], comment: str, other: float) -> float:
        """Write the grade of an answer: the points that were clicked, and `other`; return it.

        Raises LookupError for a question, a student or a point that is not there, and ValueError for what is no number.
        """
        question = self.questions[name]
        if not math.isfinite(other) or any(i < 0 for i in clicked):
            raise ValueError("not a number of points, or of a point")
        score = sum(question.scheme[i].points for i in clicked) + other
        score = min(max(score, 0.0), question.max_points)
        with self._lock, self.run.course.gradebook() as gradebook:
            grade = gradebook.find_grade(name, question.notebook, self.run.assignment_name, student)
            grade.manual_score, grade.needs_manual_grade = score, False
            gradebook.find_comment(name, question.notebook, self.run.assignment_name, student).manual_comment = (
                comment or None
            )
            gradebook.db.commit()
            kept = self._kept()
            entry = {"points": sorted(set(clicked)), "comment": comment, "other": other}
            kept["clicked"].setdefault(name, {})[student] = entry
            bank = kept["comments"].setdefault(name, [])
            for line in (line.strip() for line in comment.splitlines()):
                if line and line not in bank:
                    bank.append(line)
            self.run.published.mkdir(parents=True, exist_ok=True)
            write_whole(self._file, json.dumps(kept, indent=1, ensure_ascii=False) + "\n")
        return score

    def _kept(self) -> dict[str, dict[str, Any]]:
        kept: dict[str, dict[str, Any]] = {}
        # The second is where earlier versions kept it, unless it holds the results of a student who is called `words`.
        for path in (self._file, self.run.published / "words.json"):
            with suppress(OSError, ValueError):
                kept = kept or json.loads(path.read_text(encoding="utf-8"))
        return {"clicked": kept.get("clicked", {}), "comments": kept.get("comments", {})}

    def _answer(self, student: str, question: Question) -> tuple[str, dict[str, dict[str, str]]]:
        """Return what a student wrote, and the pictures in it, from the notebook that nbgrader has graded."""
        folder = self.run.folder(self.run.course.coursedir.autograded_directory, student)
        try:
            book = nbformat.read(folder / f"{question.notebook}.ipynb", as_version=4)
        except (OSError, ValueError):
            return "", {}
        cells = (c for c in book.cells if c.metadata.get("nbgrader", {}).get("grade_id") == question.name)
        return next(((cell.source, cell.get("attachments", {})) for cell in cells), ("", {}))


def words(options: argparse.Namespace, configuration: Configuration | None) -> int:
    """Serve the page until Ctrl-C, and return the exit status."""
    found = ManualGradingPage(open_run(options, configuration))
    secret = secrets.token_urlsafe(16)
    with ThreadingHTTPServer(("127.0.0.1", options.port), _handler(found, secret)) as server:
        print(f"http://127.0.0.1:{server.server_port}/{secret}/\nCtrl-C ends this", file=sys.stderr, flush=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            print("\nended; every grade is in the gradebook", file=sys.stderr)
    return 0


def _handler(found: ManualGradingPage, secret: str) -> type[BaseHTTPRequestHandler]:
    """Return what answers a browser: the page, and forms. Without the secret nothing is answered."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if urlsplit(self.path).path != f"/{secret}/":
                self.send_error(404)
                return
            self._send(200, {"Content-Type": "text/html; charset=utf-8"}, found.page(f"/{secret}/").encode())

        def do_POST(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            if urlsplit(self.path).path != f"/{secret}/" or length > _MOST:
                self.send_error(404)
                return
            form = parse_qs(self.rfile.read(length).decode("utf-8", "replace"))
            try:
                name, student = form["question"][0], form["student"][0]
                comment = "\n".join([*form.get("say", []), *form.get("comment", [])]).strip()
                other = float(form.get("other", ["0"])[0] or 0)
                found.give(name, student, [int(i) for i in form.get("point", [])], comment, other)
            except (LookupError, ValueError) as error:
                self.send_error(400, f"not graded: {type(error).__name__}")
                return
            self._send(303, {"Location": f"/{secret}/#{quote(f'{name}/{student}')}"}, b"")

        def _send(self, status: int, headers: Mapping[str, str], content: bytes) -> None:
            self.send_response(status)
            safe = {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer", "X-Frame-Options": "DENY"}
            for key, value in {**headers, **safe, "Content-Length": str(len(content))}.items():
                self.send_header(key, value)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing: the terminal belongs to the grader."""

    return Handler


def _source(run: AssignmentRun) -> Path:
    """Return the folder of the solved notebooks."""
    return Path(run.course.coursedir.format_path(run.course.coursedir.source_directory, ".", run.assignment_name))


def _questions(run: AssignmentRun) -> list[Question]:
    """Return the questions in words of the solved notebooks, with their mark schemes."""
    source, found = _source(run), []
    for notebook in release_notebooks(run.course.coursedir, run.assignment_name):
        if not (path := source / f"{notebook}.ipynb").exists():
            continue
        for cell in nbformat.read(path, as_version=4).cells:
            marks = cell.metadata.get("nbgrader", {})
            if cell.cell_type == "markdown" and marks.get("grade"):
                scheme = _SCHEME.search(cell.source)
                texts = re.split(r"\n\s*\n", scheme[1]) if scheme else []
                points = [match for text in texts if (match := _POINT.match(text.strip()))]
                parts = tuple(Point(float(p["points"]), " ".join(p["text"].split())) for p in points)
                answer = _SCHEME.sub("", cell.source).strip()
                found.append(Question(marks.grade_id, notebook, float(marks.points), parts, answer))
    return found
