"""The command `similar`: pairs of students whose answers, in code or words, share what few others wrote.

Answers are compared on this machine by copydetect, which finds passages of tokens that two texts share (Schleimer,
Wilkerson and Aiken 2003, "Winnowing: local algorithms for document fingerprinting"). Names of variables, comments and
spaces do not count. What the release has, and what many students wrote, is left out: a short right answer is written by
many, and says nothing.
"""

import argparse
import io
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib.util import find_spec
from itertools import combinations
from pathlib import Path
from typing import Any, NamedTuple

import jinja2
import numpy as np

from nbverdict.classroom.command import open_run
from nbverdict.classroom.course import AssignmentRun, CourseError
from nbverdict.classroom.releases import releases_of
from nbverdict.configuration import Configuration
from nbverdict.files import write_whole
from nbverdict.notebooks.locating import locate
from nbverdict.notebooks.repair import graded_form, refuse_too_many

LENGTH = {"code": 30, "words": 40}  # of a passage that can be found: tokens' characters in code, characters in words
MANY = 4  # students at least, and
SHARE = 0.2  # of the class, who wrote a passage, make it a common one
ENOUGH = {"code": 45, "words": 80}  # characters shared, at least, in a pair worth a look
PART = {"code": 0.6, "words": 0.3}  # ... and part of the shorter answer, as far as it is not common


class Answer(NamedTuple):
    """What a student wrote in one cell."""

    student: str
    question: str  # the cell's grade_id
    kind: str  # "code" or "words"
    text: str


class Pair(NamedTuple):
    """Two answers worth a look; passages are pairs of places in the text, start and end."""

    first: Answer
    second: Answer
    shared: int  # characters, of tokens in code
    part: float  # of the shorter answer
    passages: tuple[list[tuple[int, int]], list[tuple[int, int]]]


def similar(options: argparse.Namespace, configuration: Configuration | None) -> int:
    """Run the command with its options, and return its exit status."""
    if find_spec("copydetect") is None:
        raise CourseError("comparing needs copydetect: pip install 'nbverdict[similar]'")
    run = open_run(options, configuration)
    students = run.students()
    if len(students) < 2:
        raise CourseError("nobody can be compared: fewer than two students have handed in")
    answers, released = list(_answers(run, students)), dict(_released(run))
    pairs = find_pairs(answers, released)
    page = run.published / "similarity.html"
    run.published.mkdir(parents=True, exist_ok=True)
    write_whole(page, similarity_page(run.assignment_name, pairs, len(students)))
    for pair in pairs:
        who = f"{pair.first.student}, {pair.second.student}"
        print(f"{who}  {pair.first.question}: {pair.part:.0%} of the shorter answer, {pair.shared} characters")
    print(f"{len(pairs)} {'pair' if len(pairs) == 1 else 'pairs'} worth a look, of {len(students)} students: {page}")
    return 0


def find_pairs(answers: Iterable[Answer], released: Mapping[str, str]) -> list[Pair]:
    """Return the pairs of answers that share what few wrote, most first; `released` is the text of each empty cell."""
    from copydetect.detector import compare_files

    by_question: dict[str, list[Answer]] = defaultdict(list)
    for answer in answers:
        by_question[answer.question].append(answer)
    found: list[Pair] = []
    for question, given in by_question.items():
        plain = [_fingerprint(answer.text, answer.kind) for answer in given]
        count = Counter(value for one in plain for value in set(one.hashes))
        common = {value for value, n in count.items() if n >= max(MANY, SHARE * len(given))}
        common |= set(_fingerprint(released.get(question, ""), given[0].kind).hashes)
        own = [_fingerprint(answer.text, answer.kind, common) for answer in given]
        for (a, print_a), (b, print_b) in combinations(zip(given, own, strict=True), 2):
            shared, parts, passages = compare_files(print_a, print_b)
            if shared >= ENOUGH[a.kind] and max(parts) >= PART[a.kind]:
                places = [[(int(i), int(j)) for i, j in one.T] for one in passages]
                found.append(Pair(a, b, int(shared), min(1.0, float(max(parts))), (places[0], places[1])))
    return sorted(found, key=lambda pair: (-pair.part, -pair.shared, pair.first.student, pair.second.student))


def similarity_page(assignment: str, pairs: Sequence[Pair], students: int) -> str:
    """Return a page with the passages of each pair side by side."""
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    template = environment.from_string((Path(__file__).parent / "similarity.html").read_text(encoding="utf-8"))
    rows = [
        {
            **{"question": pair.first.question, "part": f"{pair.part:.0%}", "shared": pair.shared},
            "sides": [
                {"name": answer.student, "pieces": list(_pieces(answer.text, places))}
                for answer, places in zip((pair.first, pair.second), pair.passages, strict=True)
            ],
        }
        for pair in pairs
    ]
    most = {"many": MANY, "share": f"{SHARE:.0%}", "students": students}
    return template.render(assignment=assignment, pairs=rows, **most)


def _fingerprint(text: str, kind: str, common: Iterable[int] = ()) -> Any:
    """Return copydetect's fingerprint of a text: every passage of it, but the common ones."""
    from copydetect.detector import CodeFingerprint  # here: it is an extra, and imports matplotlib

    boilerplate = np.array(sorted(common), dtype=np.int64)
    code = kind == "code"
    return CodeFingerprint(
        "answer.py" if code else "answer.txt", LENGTH[kind], 1, boilerplate, filter=code, fp=io.StringIO(text)
    )


def _answers(run: AssignmentRun, students: Sequence[str]) -> Iterator[Answer]:
    """Yield what students wrote in the cells that the release left to them, and changed."""
    released = dict(_released(run))
    releases = releases_of(run.course.coursedir, run.assignment_name)
    for student in students:
        try:
            refuse_too_many(run.submitted(student))
            books = [
                graded_form(found.path, releases[name])
                for name, found in locate(run.submitted(student), releases).items()
                if found.path and found.path.is_file() and not found.path.is_symlink()
            ]
        except Exception as error:  # this student's problem, nobody else's
            print(f"{student}: not compared ({type(error).__name__}: {error})", file=sys.stderr)
            continue
        for cell in (cell for book in books for cell in book.cells):
            marks = cell.metadata.get("nbgrader", {})
            if marks.get("solution") and cell.source.strip() != released.get(marks.grade_id, "").strip():
                kind = "code" if cell.cell_type == "code" else "words"
                yield Answer(student, marks.grade_id, kind, cell.source)


def _released(run: AssignmentRun) -> Iterator[tuple[str, str]]:
    for release in releases_of(run.course.coursedir, run.assignment_name).values():
        for cell in release.cells:
            if cell.metadata.get("nbgrader", {}).get("solution"):
                yield cell.metadata.nbgrader.grade_id, cell.source


def _pieces(text: str, places: Sequence[tuple[int, int]]) -> Iterator[tuple[str, bool]]:
    """Yield the pieces of a text, and whether each is shared."""
    end = 0
    for start, stop in sorted(places):
        start = max(start, end)
        if stop <= start:
            continue
        yield text[end:start], False
        yield text[start:stop], True
        end = stop
    yield text[end:], False
