"""The course under attack: attackers, a bystander and canaries are put in, and what became of them is found out."""

import copy
import hashlib
import re
import selectors
import shutil
import socket
import threading
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import nbformat
from nbformat.v4 import new_code_cell
from nbgrader.api import Gradebook

from examples.make_class import ASSIGNMENT, Submission, find, solved
from tests.attacks import ATTACKS
from tests.attacks.common import (
    ANSWERS,
    BYSTANDER,
    DAEMON,
    IMPORTS,
    PORT,
    PRELUDE,
    SECRET,
    Snapshot,
)


def reduced(submission: Submission, exercise: str, student: str, course: Path) -> Submission:
    """Return a submission with the notebook of one exercise, and in that what nbgrader knows of."""
    name = next(name for name, book in submission.items() if find(submission, ANSWERS[exercise]) in book.cells)
    only = copy.deepcopy(submission[name])
    prelude = PRELUDE.format(
        course=str(course), student=student, bystander=BYSTANDER, secret=SECRET, port=PORT, daemon=DAEMON
    )
    known = [cell for cell in only.cells if "nbgrader" in cell.metadata]
    only.cells = [new_code_cell(prelude, id="prelude"), new_code_cell(IMPORTS, id="imports"), *known]
    return {name: only}


def write(submission: Submission, folder: Path) -> None:
    """Write notebooks."""
    folder.mkdir(parents=True)
    for name, content in submission.items():
        (folder / f"{name}.ipynb").write_text(nbformat.writes(content) + "\n")


def make_attackers(into: Path, course: Path) -> None:
    """Write the attackers to `into`/STUDENT/ASSIGNMENT; they attack that course (an absolute path)."""
    right = solved()
    for student, attack in ATTACKS.items():
        submission = reduced(right, attack.exercise, student, course)
        attack.change(submission)
        folder = into / student / ASSIGNMENT
        write(submission, folder)
        if attack.place:
            attack.place(folder, course)


def make_bystander(into: Path, course: Path) -> None:
    """Write the honest student, who earns all points."""
    right = solved()
    whole: Submission = {}
    for exercise in ANSWERS:
        whole |= reduced(right, exercise, BYSTANDER, course)
    write(whole, into / BYSTANDER / ASSIGNMENT)


def make_canary(course: Path) -> None:
    """Write the folder that stands for the grader's home."""
    (course / "canary").mkdir()
    (course / "canary" / "secret").write_text("the canary's secret, which nobody is to read\n")
    (course / "canary" / ".bashrc").write_text("# nothing yet\n")


def snapshot(course: Path) -> Snapshot:
    """Return what must not change: all files of the course but the attackers' own, and other students' grades."""
    state: Snapshot = {}
    for path in course.rglob("*"):
        name = path.relative_to(course)
        own = {*name.parts, path.stem} & set(ATTACKS)
        if own or "__pycache__" in name.parts or name.name.startswith(("gradebook.db", ".nbgrader")):
            continue
        if path.is_symlink():
            state[str(name)] = f"link to {path.readlink()}"
        elif path.is_file():
            state[str(name)] = hashlib.sha256(path.read_bytes()).hexdigest()
    try:
        with closing(Gradebook(f"sqlite:///{course}/gradebook.db")) as book:
            state["the gradebook"] = "readable"
            state["the exercises' points"] = str(sorted((a.name, a.max_score) for a in book.assignments))
            for student in book.students:
                if student.id not in ATTACKS:
                    state[f"the grades of {student.id}"] = str(student.score)
    except Exception as error:  # whatever an attack left of the gradebook
        state["the gradebook"] = f"unreadable: {type(error).__name__}"
    return state


def harm(course: Path, before: Snapshot) -> list[str]:
    """Return what was harmed since a snapshot: other students' files and grades, the checks, the canary."""
    now = snapshot(course)
    changed = [f"changed {name}" for name in before if name in now and before[name] != now[name]]
    removed = [f"removed {name}" for name in before if name not in now]
    added = [f"added {name}" for name in now if name not in before]
    running = [f"{DAEMON} still runs"] if daemons() else []
    return sorted(changed + removed + added) + running


def daemons() -> list[int]:
    """Return the processes that try to outlive the grading."""
    found = []
    for path in Path("/proc").glob("[0-9]*/comm"):
        with suppress(OSError):
            if path.read_text().strip() == DAEMON and "State:\tZ" not in (path.parent / "status").read_text():
                found.append(int(path.parent.name))
    return found


def learned(course: Path, student: str) -> list[str]:
    """Return what a submission could read, as far as its graded files show."""
    return sorted({text for path in _graded(course, student) for text in _marked(path, "LEARNED ")})


def took(course: Path, student: str) -> list[str]:
    """Return which bounds a submission could exhaust without being stopped."""
    return sorted({text for path in _graded(course, student) for text in _marked(path, "TOOK ")})


def _graded(course: Path, student: str) -> Iterator[Path]:
    for step in ("autograded", "feedback"):
        yield from (path for path in (course / step / student).rglob("*") if path.suffix in (".ipynb", ".html"))
    yield from course.glob(f"grades/*/{student}.json")


def _marked(path: Path, mark: str) -> Iterator[str]:
    if path.is_file() and path.stat().st_size < 10**9:  # not /dev/zero
        for found in re.findall(re.escape(mark) + r"([^\n<]{1,70})", path.read_text(errors="replace")):
            yield found.split("\\n")[0].replace('\\"', '"')


class Neighbour:
    """Services on the grader's machine, and a client of the student's: what reaches them is written to the canary."""

    def __init__(self, course: Path) -> None:
        self._canary = course / "canary"
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> "Neighbour":
        self._sockets = [socket.create_server(("127.0.0.1", PORT)), socket.socket(type=socket.SOCK_DGRAM)]
        self._sockets[1].bind(("127.0.0.1", PORT))
        for address in (f"\0canary-{PORT}", str(self._canary / "socket")):
            self._sockets.append(socket.socket(socket.AF_UNIX))
            self._sockets[-1].bind(address)
            self._sockets[-1].listen()
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._ended.set()
        self._thread.join()
        for opened in self._sockets:
            opened.close()
        (self._canary / "socket").unlink(missing_ok=True)

    def _serve(self) -> None:
        ready = selectors.DefaultSelector()
        for opened in self._sockets:
            opened.setblocking(False)
            ready.register(opened, selectors.EVENT_READ)
        while not self._ended.is_set():
            for key, _ in ready.select(timeout=0.3):
                with suppress(OSError):
                    kind = key.fileobj
                    assert isinstance(kind, socket.socket)
                    if kind.type == socket.SOCK_DGRAM:
                        kind.recv(100)
                    else:
                        kind.accept()[0].close()
                    self._received(f"{kind.family.name} {kind.type.name}")
            with suppress(OSError):
                socket.create_connection(("127.0.0.1", PORT + 1), 0.1).close()
                self._received("the student's own service")

    def _received(self, what: str) -> None:
        with (self._canary / f"reached by {what}").open("a") as file:
            file.write(what)


def copy_submission(student: str, from_class: Path, submitted: Path) -> None:
    """Copy one student's folder, links as links."""
    shutil.copytree(from_class / student, submitted / student, symlinks=True)
