"""Commands that grade the course of `classes.py`, and what they leave in its gradebook."""

import json
import signal
import socket
import subprocess
import sys
import time

import psutil
from nbgrader.api import Gradebook

from support import commands
from support.classes import EACH, MOST, NAME, POINTS, STATUS

GRADED = list(EACH)


def free_port():
    """Return a port of this machine that is free now."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def wait_until(true, seconds=60):
    until = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < until
        time.sleep(0.1)


def run(course, *options):
    return commands.run(course, "autograder", "grade", "gauss", *options)


def expect_all(course, url=None):
    """Expect every student once in the gradebook, with the points and the status of the table above."""
    with Gradebook(url or f"sqlite:///{course}/gradebook.db", "of-the-tests") as gradebook:
        submissions = gradebook.assignment_submissions("gauss")
        assert sorted(s.student.id for s in submissions) == sorted(POINTS)
        for submission in submissions:
            grades = [g for n in submission.notebooks for g in n.grades if g.name in GRADED]
            assert sorted(g.name for g in grades) == sorted(GRADED)
            assert sum(g.score for g in grades) == POINTS[submission.student.id], submission.student.id
    for student in POINTS:
        entry = json.loads((course / "grades" / "gauss" / f"{student}.json").read_text())
        (outcome,) = [o for o in entry["outcomes"] if o["exercise"] == "product"]
        assert outcome["status"] == STATUS.get(student, "passed"), outcome


def family(pid):
    """Return the living processes that descend from a process."""
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def gone(processes):
    _, alive = psutil.wait_procs(processes, timeout=30)
    return [process for process in alive if process.status() != psutil.STATUS_ZOMBIE] == []


def start(course, *options, wait_for=f"/{MOST:g}"):
    """Start grading, and return as soon as the first student is graded."""
    command = [sys.executable, "-m", "nbverdict", "grade", "gauss", *options]
    streams = {"stderr": subprocess.PIPE, "stdout": subprocess.DEVNULL, "text": True}
    # Whoever runs the tests in the background may ignore Ctrl-C, and a child would do as it does.
    process = subprocess.Popen(
        command, cwd=course, **streams, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)
    )
    if wait_for:
        line = process.stderr.readline()
        assert wait_for in line, line + process.stderr.read()
    return process


def finished(process, status, seconds=300):
    """Expect an exit status, and return what the process said from now on."""
    said = process.stderr.read()
    process.stderr.close()
    assert process.wait(seconds) == status, said
    return said


def everything(course):
    """Return what there is in a course, the gradebook among it."""
    return {
        str(path.relative_to(course)): path.read_bytes()
        for path in course.rglob("*")
        if path.is_file() and path.name != ".nbgrader.log" and "__pycache__" not in path.parts
    }


def manual_score(course, student, points):
    with Gradebook(f"sqlite:///{course / 'gradebook.db'}") as gradebook:
        grade = gradebook.find_grade("product", NAME, "gauss", student)
        grade.manual_score, grade.needs_manual_grade = points, False
        gradebook.db.commit()


def scores(course, *students):
    with Gradebook(f"sqlite:///{course / 'gradebook.db'}") as gradebook:
        return [gradebook.find_submission("gauss", student).score for student in students]
