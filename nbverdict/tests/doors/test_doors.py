"""What students hand in, as people and systems make it: what each submission earns, the same at both doors, and why.

A class of a hundred submissions to the small NumPy course, each with one peculiarity. It is graded twice by
`autograder grade`, with other inputs of the checks, and once by stock `nbgrader autograde`.
"""

import codecs
import copy
import json
import random
import re
import shutil
from contextlib import suppress
from pathlib import Path

import msgspec
import nbformat
import pytest
from nbgrader.api import Gradebook

from examples.numpy_course.make_class import HERE as NUMPY
from nbverdict import judge
from nbverdict.classroom.course import AssignmentRun, Course
from nbverdict.classroom.recording import read_result
from support import commands
from support.commands import nbgrader

# nbgrader 0.9 adds rows in an order that newer SQLAlchemy releases warn about.
pytestmark = pytest.mark.filterwarnings("ignore:Object of type:sqlalchemy.exc.SAWarning")
NAME = "least_squares"
BOOK = "1_line"
FILE = f"{BOOK}.ipynb"
DATA = "data/springs.csv"
MOST = 10.0  # of both exercises
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
CLASS = {}  # student -> (what writes the submission, points, words of a reason)


def handed_in(points=MOST, words=""):
    """Add a submission to the class: a function that is given the solved notebook and the folder.

    It returns what is written as the notebook: a notebook, text, bytes, or None if it has written all by itself.
    """

    def add(function):
        CLASS[function.__name__] = (function, points, words)
        return function

    return add


def family(names, points=MOST, words=""):
    """Add a submission for each of these arguments."""

    def add(function):
        for key, argument in names.items():
            name = f"{function.__name__}_{key}"
            CLASS[name] = (lambda book, folder, argument=argument: function(book, folder, argument), points, words)
        return function

    return add


def marked(book, grade_id):
    return next(cell for cell in book.cells if cell.metadata.get("nbgrader", {}).get("grade_id") == grade_id)


def before_answers(book, source):
    place = book.cells.index(marked(book, "standardise_text"))
    book.cells.insert(place, nbformat.v4.new_code_cell(source))
    return book


def as_json(book):
    return json.dumps(book)


# --- cells that end, stop or disturb the notebook ---------------------------------------------------------------------


ENDS = {
    "exit": "exit()",
    "quit": "quit()",
    "shutdown": "get_ipython().kernel.do_shutdown(True)",
    "shutdown_for_good": "get_ipython().kernel.do_shutdown(False)",
    "ask_exit": "get_ipython().ask_exit()",
    "loop": "import asyncio\nloop = asyncio.get_event_loop()\nloop.call_later(0.05, loop.stop)",
    "tornado": "from tornado.ioloop import IOLoop\nIOLoop.current().stop()",
    "system_exit": "import sys\nsys.exit()",
    "raised": "raise SystemExit(3)",
    "at_exit": "import atexit\natexit.register(print, 'bye')",
    "threads": "import threading, time\nthreading.Thread(target=time.sleep, args=(30,), daemon=True).start()",
    "timer": "import threading\nthreading.Timer(0.05, print, ('later',)).start()",
    "task": "import asyncio\nasync def later():\n    await asyncio.sleep(0.05)\ntask = asyncio.ensure_future(later())",
    "interrupt": "raise KeyboardInterrupt",
    "error": "1 / 0",
    "clear": "%reset -f in",
}


@family(ENDS)
def cell(book, folder, source):
    return before_answers(book, source)


@handed_in(0, "ended by itself")
def dies(book, folder):
    return before_answers(book, "import os\nos._exit(0)")


# --- files as systems write them --------------------------------------------------------------------------------------


ENCODINGS = {
    "utf8_mark": lambda text: codecs.BOM_UTF8 + text.encode(),
    "utf16_le": lambda text: codecs.BOM_UTF16_LE + text.encode("utf-16-le"),
    "utf16_be": lambda text: codecs.BOM_UTF16_BE + text.encode("utf-16-be"),
    "utf32": lambda text: codecs.BOM_UTF32_LE + text.encode("utf-32-le"),
    "crlf": lambda text: text.replace("\n", "\r\n").encode(),
    "one_line": lambda text: json.dumps(json.loads(text)).encode(),
    "ascii": lambda text: json.dumps(json.loads(text), ensure_ascii=True).encode(),
    "latin1": lambda text: text.encode("latin-1", "replace"),
    "space_around": lambda text: f"\n\n{text}\n\n".encode(),
}


@family(ENCODINGS)
def encoded(book, folder, encode):
    book.cells.insert(1, nbformat.v4.new_markdown_cell("Fünf Federn"))
    return encode(nbformat.writes(book))


@family({"list": [], "text": "none", "null": None, "number": 3})
def metadata_of_a_cell(book, folder, value):
    book.cells.insert(1, nbformat.v4.new_code_cell("mine = 1"))
    book.cells[1].metadata = value
    return as_json(book)


@family({"list": [], "null": None})
def metadata_of_the_notebook(book, folder, value):
    book.metadata = value
    return as_json(book)


@family({str(minor): minor for minor in range(6)})
def format_4(book, folder, minor):
    book.nbformat_minor = minor
    if minor < 5:
        for one in book.cells:
            del one["id"]
    return as_json(book)


@handed_in(words="notebook format 3")
def format_3(book, folder):
    return as_json(nbformat.convert(book, 3))


@handed_in()
def ids_twice(book, folder):
    for one in book.cells:
        one.id = "same"
    return as_json(book)


@handed_in()
def no_kernel(book, folder):
    book.metadata.pop("kernelspec", None)
    book.metadata.pop("language_info", None)
    return book


@handed_in(words="asked for the kernel 'ir'")
def another_kernel(book, folder):
    book.metadata.kernelspec = {"name": "ir", "language": "R", "display_name": "R"}
    return as_json(book)


@handed_in()
def source_in_lines(book, folder):
    for one in book.cells:
        one.source = one.source.splitlines(keepends=True)
    return as_json(book)


NOT_NOTEBOOKS = {
    "empty": ("", "it is empty"),
    "spaces": ("  \n", "it is empty"),
    "web_page": ("<!DOCTYPE html>\n<html><body>Log in</body></html>", "it is a web page"),
    "binary": ("\x00\x01\x02", "not a readable notebook"),
    "list": ("[]", "not a readable notebook"),
    "python": ("import numpy as np\n", "not a readable notebook"),
}
for _name, (_text, _words) in NOT_NOTEBOOKS.items():
    CLASS[f"no_notebook_{_name}"] = (lambda book, folder, text=_text: text, 0, _words)


@handed_in(0, "conflict markers of git")
def conflict(book, folder):
    text = nbformat.writes(book)
    half = len(text) // 2
    return f"{text[:half]}\n<<<<<<< HEAD\n{text[half:]}\n=======\n{text[half:]}\n>>>>>>> mine\n"


@handed_in(0, "more text after its last brace")
def text_behind(book, folder):
    return nbformat.writes(book) + "\n}"


@handed_in(0, "it ends in the middle")
def half(book, folder):
    text = nbformat.writes(book)
    return text[: len(text) // 2]


# --- names of files ---------------------------------------------------------------------------------------------------


OTHER_NAMES = {
    "final": "Lab1_final.ipynb",
    "txt": f"{FILE}.txt",
    "json": f"{FILE}.json",
    "capital": f"{BOOK}.IPYNB",
    "folder": f"lab 1/{FILE}",
    "deep": f"a/b/c/{FILE}",
    "copy": f"{BOOK}-Copy1.ipynb",
    "browser": f"{BOOK} (1).ipynb",
    "umlauts": "Übung.ipynb",
    "case": "1_Line.ipynb",
}


@family(OTHER_NAMES, words=f"was graded as {FILE}. Hand it in under that name.")
def named(book, folder, name):
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(nbformat.writes(book))


@handed_in(words=f"{BOOK}.txt.ipynb was graded as {FILE}")
def named_twice_of_which_one_is_mine(book, folder):
    (folder / f"{BOOK}.txt.ipynb").write_text(nbformat.writes(book))
    other = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("scratch = 1")])
    (folder / "scratch.ipynb").write_text(nbformat.writes(other))


@handed_in(0, "There are first.ipynb, second.ipynb, and each of them may be meant")
def two_that_may_be_meant(book, folder):
    for name in ("first.ipynb", "second.ipynb"):
        (folder / name).write_text(nbformat.writes(book))


@handed_in(0, "There is scratch.ipynb, without its cells")
def another_notebook_only(book, folder):
    other = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("scratch = 1")])
    (folder / "scratch.ipynb").write_text(nbformat.writes(other))


@handed_in(0, f"{FILE} was not handed in")
def nothing(book, folder):
    (folder / "readme.txt").write_text("I was ill.")


@handed_in(0, f"{BOOK}-Copy1.ipynb holds an answer, and {FILE}, which counts, holds none")
def stub_and_copy(book, folder):
    (folder / f"{BOOK}-Copy1.ipynb").write_text(nbformat.writes(book))
    shutil.copy(RELEASED[0] / FILE, folder / FILE)


@handed_in()
def answer_and_checkpoint(book, folder):
    (folder / ".ipynb_checkpoints").mkdir()
    shutil.copy(RELEASED[0] / FILE, folder / ".ipynb_checkpoints" / f"{BOOK}-checkpoint.ipynb")
    return book


@handed_in(0, "is not a file (a link, or a folder)")
def link(book, folder):
    (folder / FILE).symlink_to(NUMPY / "solutions" / NAME / FILE)


# --- cells and marks --------------------------------------------------------------------------------------------------


@handed_in(words="had lost its name")
def marks_stripped(book, folder):
    for one in book.cells:
        one.metadata.clear()
    return book


@handed_in(words="had lost its name")
def marks_and_ids_stripped(book, folder):
    for i, one in enumerate(book.cells):
        one.metadata.clear()
        one.id = f"new-{i}"
    return book


@handed_in(words="the last one that is not as it was handed out counts")
def stub_below_the_answer(book, folder):
    release = nbformat.read(RELEASED[0] / FILE, as_version=4)
    place = book.cells.index(marked(book, "standardise_answer"))
    book.cells.insert(place + 1, copy.deepcopy(marked(release, "standardise_answer")))
    return as_json(book)


@handed_in(words="was there 2 times; the last one counts")
def answer_twice(book, folder):
    place = book.cells.index(marked(book, "standardise_answer"))
    wrong = copy.deepcopy(book.cells[place])
    wrong.source = "def standardise(x):\n    return x"
    book.cells.insert(place, wrong)
    return as_json(book)


@handed_in(words="had been deleted; it was put back")
def graded_cell_deleted(book, folder):
    book.cells.remove(marked(book, "standardise"))
    return book


@handed_in(words="had been changed; it was put back")
def graded_cell_changed(book, folder):
    marked(book, "standardise").source = "4"
    return book


@handed_in(6, "had been deleted; it was put back, empty")
def answer_deleted(book, folder):
    book.cells.remove(marked(book, "standardise_answer"))
    return book


@handed_in(words="had been turned into raw")
def answer_is_raw(book, folder):
    book.cells[book.cells.index(marked(book, "standardise_answer"))] = raw = nbformat.v4.new_raw_cell(
        marked(book, "standardise_answer").source
    )
    raw.metadata["nbgrader"] = {"grade_id": "standardise_answer", "solution": True, "grade": False, "locked": False}
    return book


@handed_in()
def cells_of_ones_own(book, folder):
    for _ in range(50):
        book.cells.append(nbformat.v4.new_code_cell("pass"))
    return book


# --- what a notebook reads --------------------------------------------------------------------------------------------


@handed_in()
def own_module(book, folder):
    answer = marked(book, "standardise_answer")
    (folder / "my_columns.py").write_text(f"import numpy as np\n\n{answer.source}\n")
    answer.source = "from my_columns import standardise"
    return book


@handed_in()
def own_module_that_would_hide_numpy(book, folder):
    (folder / "numpy.py").write_text("raise RuntimeError('this is not NumPy')")
    return book


@handed_in()
def reads_the_instructors_file(book, folder):
    return before_answers(book, f"assert open({DATA!r}).read() == '1,2\\n'")


@handed_in()
def own_version_of_the_instructors_file(book, folder):
    (folder / DATA).parent.mkdir()
    (folder / DATA).write_text("forged")
    return before_answers(book, f"assert open({DATA!r}).read() == '1,2\\n'")


# --- a pasted picture -------------------------------------------------------------------------------------------------


PICTURES = {
    "attached": ("![image.png](attachment:image.png)", "image.png"),
    "missing": ("![image.png](attachment:image.png)", None),
    "umlauts": ("![Bild](attachment:Bild-%C3%A4.png)", "Bild-ä.png"),
    "tag": ('<img src="attachment:image.png" width="20">', "image.png"),
}


@family(PICTURES)
def picture(book, folder, given):
    text, name = given
    book.cells.insert(2, pasted(nbformat.v4.new_markdown_cell(text), name))
    answer = marked(book, "trust")
    answer.source = f"About 30 cm, see {text}"
    pasted(answer, name)
    return book


def pasted(one, name):
    if name:
        one["attachments"] = {name: {"image/png": PIXEL}}
    return one


# --- times ------------------------------------------------------------------------------------------------------------


TIMES = {  # what the file says -> what is recorded, in UTC
    "nbgrader": ("2026-07-30 23:59:00.123456 UTC", "2026-07-30 23:59:00.123456"),
    "iso": ("2026-07-30T23:59:00Z", "2026-07-30 23:59:00"),
    "offset": ("2026-07-30 23:59:00.000000 +0200", "2026-07-30 21:59:00"),
    "colon": ("2026-11-30 23:59:00 +01:00", "2026-11-30 22:59:00"),
    "place": ("2026-07-30 23:59:00 Europe/Berlin", "2026-07-30 21:59:00"),
    "no_zone": ("2026-07-30 23:59", "2026-07-30 23:59:00"),
    "mark": ("\ufeff2026-07-30 23:59:00 UTC\n", "2026-07-30 23:59:00"),
    "empty": ("\n", None),
}
NO_TIMES = {
    "cest": "2026-07-30 23:59:00.000000 CEST",
    "german": "01.12.2026 23:59",
    "weekday": "Monday",
    "year": "2026",
    "impossible": "2026-13-45 99:99",
    "path": "2026-07-30 23:59:00 Europe/../../etc/passwd",
}


@family(TIMES)
def time(book, folder, given):
    (folder / "timestamp.txt").write_text(given[0])
    return book


@family(NO_TIMES, words="timestamp.txt is no date")
def no_time(book, folder, text):
    (folder / "timestamp.txt").write_text(text)
    return book


# --- names that code gives --------------------------------------------------------------------------------------------


@handed_in(6, "np is no longer numpy: cell 3 gave the name to something else, `np = 3`")
def np_is_3(book, folder):
    return before_answers(book, "np = 3")


@handed_in(6, "The line `import numpy as np` of the release is gone")
def import_cell_deleted(book, folder):
    book.cells = [one for one in book.cells if one.id not in ("imports", "data")]
    return book


@handed_in(6, "You defined columns, which takes as many parameters. Should it be called standardise?")
def another_name(book, folder):
    answer = marked(book, "standardise_answer")
    answer.source = answer.source.replace("def standardise(", "def columns(")
    return book


@handed_in(6, "You defined standardize.")
def nearly_the_name(book, folder):
    answer = marked(book, "standardise_answer")
    answer.source = answer.source.replace("def standardise(", "def standardize(")
    return book


@handed_in(6, "The cell of standardise has a syntax error in line 1")
def syntax_error(book, folder):
    marked(book, "standardise_answer").source = "def standardise(x)\n    return x"
    return book


# --- the class --------------------------------------------------------------------------------------------------------


RELEASED = []  # folder of the release
SEED = 7
MIXED = 24  # submissions with several peculiarities each, drawn from those above


def mixed(number, book, folder):
    """Write a submission with two or three peculiarities of the class, and in one of its encodings or under a name."""
    draw = random.Random(number)
    changes = [name for name in CLASS if name.startswith(("cell_", "picture_", "time_", "no_time_", "own_", "np_"))]
    changes += ["marks_stripped", "graded_cell_changed", "graded_cell_deleted", "cells_of_ones_own", "nearly_the_name"]
    for name in draw.sample(changes, draw.choice((2, 3))):
        with suppress(StopIteration, FileExistsError):  # what one has taken away, another cannot change
            book = CLASS[name][0](book, folder) or book
    name = draw.choice([FILE, FILE, *OTHER_NAMES.values()])
    text = nbformat.writes(book)
    encode = draw.choice([str.encode, *ENCODINGS.values()])
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(encode(text))


def write_class(course):
    """Write all submissions into a course that has released the assignment."""
    RELEASED[:] = [course / "assignments" / NAME]
    release = nbformat.read(RELEASED[0] / FILE, as_version=4)
    solution = nbformat.read(course / "solutions" / NAME / FILE, as_version=4)
    for one, solved in zip(release.cells, solution.cells, strict=True):
        if one.metadata.get("nbgrader", {}).get("solution"):
            one.source = solved.source
    for student, (make, _, _) in CLASS.items():
        folder = course / "submitted" / student / NAME
        folder.mkdir(parents=True)
        made = make(copy.deepcopy(release), folder)
        if made is not None:
            made = made if isinstance(made, str | bytes) else nbformat.writes(made)
            (folder / FILE).write_bytes(made if isinstance(made, bytes) else made.encode())
    for number in range(MIXED):
        folder = course / "submitted" / f"mixed_{number}" / NAME
        folder.mkdir(parents=True)
        mixed(number, copy.deepcopy(release), folder)


def scores(course):
    """Return the automatic points of each student, and when the submission was handed in."""
    points, times = {}, {}
    with Gradebook(f"sqlite:///{course}/gradebook.db", "numpy-course") as gradebook:
        for submission in gradebook.assignment_submissions(NAME):
            grades = [g for notebook in submission.notebooks for g in notebook.grades if g.name != "trust"]
            points[submission.student.id] = sum(grade.auto_score or 0.0 for grade in grades)
            times[submission.student.id] = submission.timestamp
    return points, times


@pytest.fixture(scope="module")
def graded(tmp_path_factory):
    """Two courses with the same class, one graded by each door."""
    one = Path(tmp_path_factory.mktemp("doors")) / "autograder"
    shutil.copytree(NUMPY, one, ignore=shutil.ignore_patterns("__pycache__", "smoothing"))
    (one / "solutions" / NAME / DATA).parent.mkdir()
    (one / "solutions" / NAME / DATA).write_text("1,2\n")
    nbgrader(one, "generate_assignment", NAME)
    write_class(one)
    other = one.with_name("nbgrader")
    for copy_of in (other, one.with_name("untouched")):
        shutil.copytree(one, copy_of, symlinks=True)
    # Whoever hands in no notebook at all makes no run fail.
    commands.run(one, "autograder", "grade", NAME, "--seed", str(SEED))
    commands.run(other, "nbgrader", "autograde", NAME, f"--ExecuteOutside.seed={SEED}")
    return one, other


def test_the_class_is_large_enough():
    assert len(CLASS) >= 96


def test_files_beside_the_notebook_are_released(graded):
    for course in graded:
        assert (course / "assignments" / NAME / DATA).read_text() == "1,2\n"


def test_each_submission_earns_what_it_should(graded):
    found = {student: points for student, points in scores(graded[0])[0].items() if student in CLASS}
    # Who hands in no notebook is not in nbgrader's gradebook.
    assert found | {"nothing": 0.0} == {s: float(points) for s, (_, points, _) in CLASS.items()}


def test_both_doors_give_the_same_points(graded):
    one, other = scores(graded[0])[0], scores(graded[1])[0]
    # Stock nbgrader does not see a student without any file of the name that it looks for, and gives no points either.
    assert {s for s in one if s not in other} <= {s for s, (_, points, _) in CLASS.items() if not points}
    assert {f"mixed_{number}" for number in range(MIXED)} <= one.keys() & other.keys()
    assert other == {student: points for student, points in one.items() if student in other}


def test_every_door_gives_the_same_verdict_byte_for_byte(graded, monkeypatch):
    """With one seed: the class, stock nbgrader, and the stateless call, as Gradescope, GitHub and `judge` make it."""
    untouched = graded[0].with_name("untouched")
    monkeypatch.chdir(untouched)
    found = [{} for _ in range(3)]
    by_hand = [student for student in CLASS if CLASS[student][1]][:25]
    for student in [*(f"mixed_{number}" for number in range(15)), *by_hand]:
        outcomes = [read_result(AssignmentRun(Course(course), NAME), student).outcomes for course in graded]
        outcomes.append(judge(Path("submitted", student, NAME), Path("assignments", NAME), seed=SEED).outcomes)
        for door, one in zip(found, outcomes, strict=True):
            door[student] = msgspec.json.encode(one)
    assert len(found[0]) == 40
    assert found[0] == found[1]
    assert found[0] == found[2]


def test_the_same_file_earns_the_same_again(graded):
    before = scores(graded[0])[0]
    result = commands.run(graded[0], "autograder", "grade", NAME, "--force", "--jobs", "2")
    assert scores(graded[0])[0] == before, result.stdout


@pytest.mark.parametrize("door", [0, 1], ids=["autograder", "nbgrader"])
def test_each_student_hears_why(graded, door):
    course = AssignmentRun(Course(graded[door]), NAME)
    seen = scores(graded[door])[0]
    for student, (_, points, words) in CLASS.items():
        if student not in seen:
            continue
        found = read_result(course, student)
        text = "\n".join(reason for outcome in found.outcomes for reason in outcome.reasons)
        assert words in text, (student, text)
        if points == MOST and not words:
            assert not text, (student, text)


@pytest.mark.parametrize("door", [0, 1], ids=["autograder", "nbgrader"])
def test_times_are_read_right_or_not_at_all(graded, door):
    times = scores(graded[door])[1]
    found = {key: times[f"time_{key}"] and str(times[f"time_{key}"]) for key in TIMES}
    assert found == {key: recorded for key, (_, recorded) in TIMES.items()}
    assert {times[f"no_time_{key}"] for key in NO_TIMES} == {None}


@pytest.mark.parametrize("door", [0, 1], ids=["autograder", "nbgrader"])
def test_pictures_are_on_the_pages(graded, door):
    for key, (_, name) in PICTURES.items():
        nbgrader(graded[door], "generate_feedback", NAME, "--student", f"picture_{key}", "--force")
        page = (graded[door] / "feedback" / f"picture_{key}" / NAME / f"{BOOK}.html").read_text()
        assert page.count(f"data:image/png;base64,{PIXEL}") == (2 if name else 0)
        assert page.count("[the picture image.png is missing]") == (0 if name else 2)


def test_pictures_are_on_the_page_of_written_answers(graded):
    from nbverdict.classroom.words import ManualGradingPage

    page = ManualGradingPage(AssignmentRun(Course(graded[0]), NAME)).page("/x/")
    articles = dict(re.findall(r'<article id="[^"]*/([^"/]+)">(.*?)</article>', page, re.DOTALL))
    for key, (_, name) in PICTURES.items():
        shown = articles[f"picture_{key}"]
        assert shown.count(f"data:image/png;base64,{PIXEL}") == (1 if name else 0)
        assert ("the picture image.png is missing" in shown) == (not name)


def test_written_answers_are_found_without_marks(graded):
    for student in ("marks_stripped", "marks_and_ids_stripped"):
        for course in graded:
            book = nbformat.read(course / "autograded" / student / NAME / FILE, as_version=4)
            assert "About 30 cm" in marked(book, "trust").source
