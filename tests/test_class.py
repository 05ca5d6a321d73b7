"""A class graded by one process, by several, by a cluster: the same results, whatever happens on the way."""

import copy
import csv
import dataclasses
import json
import os
import re
import shutil
import signal
import socket
import sqlite3
import stat
import subprocess
import sys
import textwrap
import threading
import time
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

import msgspec
import nbformat
import psutil
import pytest
from filelock import FileLock
from nbgrader.api import Gradebook

import nbverdict.classroom.scheduling
import nbverdict.notebooks.work
from examples.make_class import AVERAGED, PRODUCT, TEXTBOOK, find, solved
from examples.make_class import POINTS as EACH
from nbverdict.__main__ import main
from nbverdict.checks.report import Finding, Result
from nbverdict.classroom.command import graded_by
from nbverdict.classroom.course import AssignmentRun, Course, CourseError
from nbverdict.classroom.feedback import FeedbackExporter
from nbverdict.classroom.gathering import gather, grade_digest, what_differs
from nbverdict.classroom.page import class_page
from nbverdict.classroom.pools import PoolError, pool
from nbverdict.classroom.publishing import give_feedback, publish
from nbverdict.classroom.results import (
    InWords,
    Outcome,
    Submission,
    as_csv,
    from_json,
    schema_page,
    to_json,
)
from nbverdict.classroom.scheduling import grade, grade_class
from nbverdict.classroom.words import ManualGradingPage
from nbverdict.clock import Clock
from nbverdict.configuration import ConfigurationError
from nbverdict.confinement.layers import ConfinementError
from nbverdict.doors.gradescope import as_gradescope
from nbverdict.files import write_whole
from nbverdict.notebooks.execute import ExecuteOutside
from nbverdict.notebooks.work import Work
from nbverdict.remote.conversation import Conversation, KernelLostError
from support import commands
from support.commands import BIN, nbgrader
from tests.conftest import CELLS as GRADED
from tests.conftest import MOST, ROOT
from tests.test_course import free_port, make_course

NAME = PRODUCT
POINTS = {"a_right": 15, "b_textbook": 14, "c_averages": 5, "d_loops": 0, "e_exits": 0, "f_right": 15, "g_right": 15}
STATUS = {"b_textbook": "wrong", "c_averages": "wrong", "d_loops": "timeout", "e_exits": "died"}
# Without end, and without work: one that keeps a processor busy is in the made-up class, and among the attacks.
ENDLESS = "import time\ndef product_of_experts(*experts):\n    while True:\n        time.sleep(1)\n"
EXITS = "import os\ndef product_of_experts(*experts):\n    os._exit(1)\n"


@pytest.fixture(scope="module")
def released(tmp_path_factory):
    """A course whose students handed in notebook 2 alone, without its figures."""
    course = make_course(tmp_path_factory.mktemp("class") / "course", "multiview_vae")
    answers = {"b_textbook": TEXTBOOK, "c_averages": AVERAGED, "d_loops": ENDLESS, "e_exits": EXITS}
    right = solved()
    for student in POINTS:
        submission = {NAME: copy.deepcopy(right[NAME])}
        if student in answers:
            find(submission, "product_of_experts_answer").source = answers[student]
        book = submission[NAME]
        book.cells = [c for c in book.cells if "nbgrader" in c.metadata or c.id == "imports"]
        folder = course / "submitted" / student / "multiview_vae"
        folder.mkdir(parents=True)
        (folder / f"{NAME}.ipynb").write_text(nbformat.writes(book))
    return course


@pytest.fixture
def course(released, tmp_path):
    return Path(shutil.copytree(released, tmp_path / "course"))


def wait_for_port(address, seconds=30):
    """Return when something listens at an address such as tcp://127.0.0.1:80."""
    host, port = address.removeprefix("tcp://").split(":")
    until = time.monotonic() + seconds
    while True:
        try:
            return socket.create_connection((host, int(port))).close()
        except ConnectionRefusedError:
            assert time.monotonic() < until, address
            time.sleep(0.1)


def wait_until(true, seconds=60):
    until = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < until
        time.sleep(0.1)


def run(course, *options):
    return commands.run(course, "autograder", "grade", "multiview_vae", *options)


def expect_all(course, url=None):
    """Expect every student once in the gradebook, with the points and the status of the table above."""
    with Gradebook(url or f"sqlite:///{course}/gradebook.db", "multiview-vae-lab") as gradebook:
        submissions = gradebook.assignment_submissions("multiview_vae")
        assert sorted(s.student.id for s in submissions) == sorted(POINTS)
        for submission in submissions:
            grades = [g for n in submission.notebooks for g in n.grades if g.name in GRADED]
            assert sorted(g.name for g in grades) == sorted(GRADED)
            assert sum(g.score for g in grades) == POINTS[submission.student.id], submission.student.id
    for student in POINTS:
        entry = json.loads((course / "grades" / "multiview_vae" / f"{student}.json").read_text())
        (outcome,) = [o for o in entry["outcomes"] if o["exercise"] == "product_of_experts"]
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
    command = [sys.executable, "-m", "nbverdict", "grade", "multiview_vae", *options]
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


def test_two_jobs_earn_what_one_does_and_killed_at_any_moment_the_next_run_grades_the_rest(course):
    process = start(course, "--jobs", "2")
    below = family(process.pid)
    process.kill()
    process.wait()
    process.stderr.close()
    assert gone(below)
    entries = [json.loads(path.read_text()) for path in (course / "grades" / "multiview_vae").glob("*.json")]
    recorded = [entry for entry in entries if entry["digest"]]  # without one: killed while it was recorded
    assert 1 <= len(recorded) < len(POINTS)
    again = run(course, "--jobs", "2")
    assert again.returncode == 0, again.stderr
    assert f"{len(recorded)} of them unchanged" in again.stdout
    expect_all(course)
    alone = run(course, "--jobs", "1", "--force")
    assert alone.returncode == 0, alone.stderr
    assert "0 of them unchanged" in alone.stdout
    expect_all(course)


def test_ctrl_c_stops_cleanly(course):
    process = start(course, "--jobs", "2")
    below = family(process.pid)
    process.send_signal(signal.SIGINT)
    said = finished(process, 130, seconds=60)
    assert "the next run grades the rest" in said
    assert "Traceback" not in said
    assert gone(below)


def test_an_interrupt_that_python_drops_is_sent_again(monkeypatch, capsys):
    """It drops one that comes while an object is being deleted."""

    class Last:
        def __del__(self):
            signal.raise_signal(signal.SIGINT)

    def interrupted(folder):
        Last()
        time.sleep(20)

    monkeypatch.setattr("nbverdict.__main__.read_configuration", interrupted)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # these tests may run where it is ignored
    try:
        assert main(["grade", "multiview_vae"]) == 130
    finally:
        signal.signal(signal.SIGINT, before)
    assert "the next run grades the rest" in capsys.readouterr().err


def test_ctrl_c_with_one_job_costs_nobody_a_grade(course):
    """The checks run in the process that is interrupted, and pytest keeps Ctrl-C to itself."""
    (course / "grades" / "multiview_vae").mkdir(parents=True)
    for student in "abcefg":
        shutil.rmtree(next((course / "submitted").glob(f"{student}_*")))
    process = start(course, "--jobs", "1", wait_for=None)
    while not family(process.pid):
        time.sleep(0.1)
    time.sleep(12)  # by now the endless answer is called; its own limit would end the check later
    process.send_signal(signal.SIGINT)
    finished(process, 130, seconds=60)
    assert list((course / "grades" / "multiview_vae").glob("*.json")) == []


def test_a_second_run_waits_for_nobody_and_harms_nobody(course):
    with FileLock(course / "grades" / "multiview_vae" / ".lock"):
        result = run(course)
    assert result.returncode == 2
    assert "another run is grading multiview_vae" in result.stderr
    assert not (course / "autograded").exists()


def test_what_arrives_is_graded_as_it_comes_and_feedback_is_written_for_who_changed(course, tmp_path):
    """And an odd folder stops nothing."""
    submitted, later = course / "submitted", tmp_path / "later"
    submitted.rename(later)
    shutil.copytree(later / "b_textbook", submitted / "b_textbook")
    command = [sys.executable, "-m", "nbverdict", "watch", "multiview_vae", "--every", "0.2"]
    process = subprocess.Popen(command, cwd=course, stderr=subprocess.PIPE, text=True)
    limit = threading.Timer(300, process.kill)  # no line would come any more, and the test would wait for one
    limit.start()
    assert "waiting for" in process.stderr.readline()
    assert process.stderr.readline().split()[:2] == ["b_textbook", "14/42"]
    shutil.copytree(later / "f_right", submitted / "f_right")
    assert process.stderr.readline().split()[:2] == ["f_right", "15/42"]
    pages = [course / "feedback" / s / "multiview_vae" / f"{NAME}.html" for s in ("b_textbook", "f_right")]
    page = course / "grades" / "multiview_vae" / "index.html"
    wait_until(lambda: pages[1].exists() and "f_right" in page.read_text())
    before = [page.stat().st_mtime_ns for page in pages]
    (submitted / "a*b" / "multiview_vae").mkdir(parents=True)
    assert "not graded: 'a*b'" in process.stderr.readline()
    assert process.stderr.readline() == "still waiting\n"
    shutil.rmtree(submitted / "a*b")
    with (course / "nbgrader_config.py").open("a") as half:
        half.write("\nc.Execute.")
    assert "SyntaxError" in process.stderr.readline()
    assert process.stderr.readline() == "still waiting\n"
    shutil.copy(ROOT / "nbgrader_config.py", course)
    worse = later / "c_averages" / "multiview_vae" / f"{NAME}.ipynb"
    shutil.copy(worse, submitted / "b_textbook" / "multiview_vae")
    assert process.stderr.readline().split()[:2] == ["b_textbook", "5/42"]
    wait_until(lambda: pages[0].exists() and pages[0].stat().st_mtime_ns != before[0])
    assert pages[1].stat().st_mtime_ns == before[1]
    children = family(process.pid)
    process.terminate()
    assert "ended; what was graded is recorded" in finished(process, 0)
    limit.cancel()
    assert children
    assert gone(children)


def test_where_nobody_can_be_executed_the_run_is_given_up(course, monkeypatch):
    def broken(work, at_once=1):
        raise ModuleNotFoundError("No module named 'autograder'")

    monkeypatch.setattr("nbverdict.classroom.scheduling.execute", broken)
    graded = []
    with pytest.raises(CourseError, match=r"none of the first 3 .* \(ModuleNotFoundError: No module"):
        graded.extend(grade_class(AssignmentRun(Course(course), "multiview_vae"), sorted(POINTS)))
    assert [one.submission.student for one in graded] == sorted(POINTS)[:2]


def test_three_that_cannot_be_executed_stop_nobody_either(course, monkeypatch):
    """The release can be: so it is those three."""

    def broken(work, at_once=1, execute=nbverdict.classroom.scheduling.execute):
        if any(sign in work.notebooks[NAME] for sign in ("precision1, precision2 = 1", "os._exit", "while True:")):
            raise UnicodeEncodeError("utf-8", "\ud800", 0, 1, "surrogates not allowed")
        return execute(work)

    monkeypatch.setattr("nbverdict.classroom.scheduling.execute", broken)
    students = ["d_loops", "e_exits", "b_textbook", "f_right"]
    graded = [one.submission for one in grade_class(AssignmentRun(Course(course), "multiview_vae"), students)]
    assert [bool(submission.digest) for submission in graded] == [False, False, False, True]
    assert graded[-1].points == 15


ODD_DATES = ("sometime on Monday", "9" * 5_000_000, "2026-13-45 99:99", "\x1b]0;title\x07")


def test_a_timestamp_that_is_no_date_costs_nobody_anything(course):
    students = ["a_right", "b_textbook", "c_averages", "f_right"]
    for student, text in zip(students, ODD_DATES, strict=True):
        (course / "submitted" / student / "multiview_vae" / "timestamp.txt").write_text(text)
    graded = [one.submission for one in grade_class(AssignmentRun(Course(course), "multiview_vae"), students)]
    assert {submission.student: submission.points for submission in graded} == {name: POINTS[name] for name in students}
    reasons = [reason for submission in graded for outcome in submission.outcomes for reason in outcome.reasons]
    assert any("timestamp.txt is no date ('sometime on Monday'), so that nobody knows when" in r for r in reasons)
    assert any("timestamp.txt is longer than a date" in reason for reason in reasons)
    assert "\x1b" not in str(reasons)
    # nbgrader's own door, and its feedback, over what is there.
    assert "timestamp" in nbgrader(course, "autograde", "multiview_vae", "--student", "b_textbook", "--force")
    for _ in range(2):
        nbgrader(course, "generate_feedback", "multiview_vae", "--student", "b_textbook")
    assert scores(course, "b_textbook") == [14]


def test_one_that_cannot_be_executed_stops_nobody_and_is_told(course, monkeypatch, capsys):
    def full(files, folder, write=nbverdict.notebooks.work._write):
        if any(b"os._exit" in content for content in files.values()):
            raise OSError(28, "No space left on device")
        write(files, folder)

    monkeypatch.setattr(nbverdict.notebooks.work, "_write", full)
    monkeypatch.chdir(course)
    for student in "bcdg":
        shutil.rmtree(next((course / "submitted").glob(f"{student}_*")))
    assert main(["grade", "multiview_vae", "--jobs", "1"]) == 1
    out, err = capsys.readouterr()
    assert "not graded, and tried again by the next run: e_exits\n" in err
    assert "No space left on device" in out
    monkeypatch.undo()
    monkeypatch.chdir(course)
    assert main(["grade", "multiview_vae", "--jobs", "1"]) == 0
    assert "3 submissions, 2 of them unchanged" in capsys.readouterr().out


def test_where_nothing_can_be_recorded_the_run_is_given_up(course):
    """Not the students' doing: a full disk, or a folder of another user."""
    (course / "autograded").write_text("no folder")
    with pytest.raises(CourseError, match="none of the first 3 submissions could be graded"):
        list(
            grade_class(AssignmentRun(Course(course), "multiview_vae"), ["a_right", "f_right", "g_right", "b_textbook"])
        )


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("c.Execute.timeout = (", r"nbgrader_config.py, line \d+: SyntaxError: '\(' was never closed"),
        ("c.Execute.timeout = 1 / 0", r"nbgrader_config.py, line \d+: ZeroDivisionError: division by zero"),
        ("c.ConfinedProvisioner.require = 'yes'", "does not fit: The 'require' trait .* expected a boolean"),
        ("c.ConfinedProvisioner.requires = True", "c.ConfinedProvisioner.requires is no option; did you mean require"),
        ("c.ExecuteOutside.evrything = True", "c.ExecuteOutside.evrything is no option; did you mean everything"),
        ("c.ConfinedProvisionner.require = True", r"unknown; did you mean c.ConfinedProvisioner\?"),
        (
            "c.ConfinedProvisioner.folders = {'LAB_DATA_DIR': 'lab_utils.shared.no_such_function'}",
            "c.ConfinedProvisioner.folders: lab_utils.shared.no_such_function made no folder",
        ),
        (
            "c.ConfinedProvisioner.preload += ['no_such_module']",
            "preload names 'no_such_module', which is not installed",
        ),
    ],
)
def test_a_mistaken_configuration_is_told_in_a_line_and_grades_nobody(course, line, told, monkeypatch, capsys):
    with (course / "nbgrader_config.py").open("a") as file:
        file.write(f"\n{line}\n")
    monkeypatch.chdir(course)
    assert main(["grade", "multiview_vae", "--jobs", "1"]) == 2
    out, err = capsys.readouterr()
    (said,) = err.splitlines()
    assert re.match(f"error: .*{told}", said)
    assert not out
    assert not list(course.glob("grades/*/*.json"))


def test_stock_nbgrader_refuses_an_option_that_does_not_exist(course):
    with (course / "nbgrader_config.py").open("a") as file:
        file.write("\nc.ConfinedProvisioner.requires = True\n")
    assert "requires is no option" in nbgrader(course, "autograde", "multiview_vae", "--student", "f_right", status=1)
    assert not (course / "autograded").exists()


@pytest.mark.parametrize(
    ("content", "told"), [(b"", "no assignment is called"), (b"no database" * 100, "file is not a database. Restore")]
)
def test_a_gradebook_that_is_none_is_told_in_a_line(course, content, told, monkeypatch, capsys):
    (course / "gradebook.db").write_bytes(content)
    monkeypatch.chdir(course)
    assert main(["grade", "multiview_vae", "--jobs", "1"]) == 2
    (said,) = capsys.readouterr().err.splitlines()
    assert told in said


def test_a_full_disk_is_told_in_a_line(course, monkeypatch, capsys):
    def full(path, content):
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr("nbverdict.classroom.recording.write_whole", full)
    monkeypatch.chdir(course)
    assert main(["grade", "multiview_vae", "--student", "f_right"]) == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert re.fullmatch(r"error: .*f_right.json cannot be written: No space left on device", last)


def test_sigterm_ends_a_run_like_an_interrupt(course):
    command = [sys.executable, "-m", "nbverdict", "grade", "multiview_vae", "--jobs", "1"]
    with subprocess.Popen(command, cwd=course, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr.readline().startswith("a_right")
        process.send_signal(signal.SIGTERM)
        assert "stopped; what was graded is recorded" in process.stderr.read()
    assert process.returncode == 130


def everything(course):
    """Return what there is in a course, the gradebook among it."""
    return {
        str(path.relative_to(course)): path.read_bytes()
        for path in course.rglob("*")
        if path.is_file() and path.name != ".nbgrader.log" and "__pycache__" not in path.parts
    }


def manual_score(course, student, points):
    with Gradebook(f"sqlite:///{course / 'gradebook.db'}") as gradebook:
        grade = gradebook.find_grade("product_of_experts", NAME, "multiview_vae", student)
        grade.manual_score, grade.needs_manual_grade = points, False
        gradebook.db.commit()


def test_a_dry_run_shows_what_would_change_and_changes_nothing(course, monkeypatch, capsys):
    monkeypatch.chdir(course)
    for student in "adeg":
        shutil.rmtree(next((course / "submitted").glob(f"{student}_*")))
    assert main(["grade", "multiview_vae", "--jobs", "1"]) == 0
    assert not (course / "grades" / "multiview_vae" / "changes.csv").exists()
    files = {student: course / "submitted" / student / "multiview_vae" / f"{NAME}.ipynb" for student in POINTS}
    manual_score(course, "c_averages", 7)
    right = files["f_right"].read_bytes()
    files["f_right"].write_bytes(files["c_averages"].read_bytes())
    for student in ("b_textbook", "c_averages"):
        files[student].write_bytes(right)
    shutil.copytree(course / "submitted" / "f_right", course / "submitted" / "new")
    (course / "submitted" / "f_right" / "multiview_vae" / "link").symlink_to("nothing")
    before = everything(course)
    capsys.readouterr()
    assert main(["grade", "multiview_vae", "--jobs", "1", "--dry-run"]) == 0
    assert everything(course) == before
    said = capsys.readouterr().out
    assert "b_textbook  14 -> 15 of 42  (changed: submission)\n    product_of_experts  14 -> 15\n      Finite" in said
    assert "f_right  15 -> 5 of 42" in said
    assert "average of the two experts' log-variances" in said
    assert "c_averages" not in said  # 7 points were given by hand, and stay
    assert "new  5/42, not graded before" in said
    words = "2 of 4 submissions would change: 1 gain 1 points, 1 lose 10; 1 would be graded for the first time."
    assert f"{words} This was a dry run: nothing was changed." in said
    assert main(["grade", "multiview_vae", "--jobs", "1", "--note", "=after the lecture"]) == 0
    with (course / "grades" / "multiview_vae" / "changes.csv").open() as file:
        rows = {row.pop("student"): row for row in csv.DictReader(file)}
    assert sorted(rows) == ["b_textbook", "f_right"]
    kept = {key: rows["f_right"][key] for key in ("exercise", "before", "after", "what_changed", "note")}
    assert list(kept.values()) == ["product_of_experts", "15", "5", "submission", "'=after the lecture"]
    assert "average of the two experts" in rows["f_right"]["reasons"]
    assert scores(course, "c_averages", "b_textbook") == [7, 15]


def test_a_grade_by_hand_is_asked_for_again_only_where_the_answer_changed(course):
    def waiting(student):
        with Gradebook(f"sqlite:///{course / 'gradebook.db'}") as gradebook:
            return gradebook.find_grade("product_of_experts", NAME, "multiview_vae", student).needs_manual_grade

    students = ["b_textbook", "c_averages"]
    list(grade_class(AssignmentRun(Course(course), "multiview_vae"), students))
    for student in students:
        manual_score(course, student, 3)
    shutil.copy(
        course / "submitted" / "f_right" / "multiview_vae" / f"{NAME}.ipynb",
        course / "submitted" / "c_averages" / "multiview_vae",
    )
    list(grade_class(AssignmentRun(Course(course), "multiview_vae"), students, force=True))
    assert [waiting(student) for student in students] == [False, True]
    nbgrader(course, "autograde", "multiview_vae", "--student", "b_textbook", "--force")
    assert not waiting("b_textbook")


def test_a_release_with_other_notebooks_than_those_handed_in_is_refused_before_the_old_one_is_deleted(course):
    list(grade_class(AssignmentRun(Course(course), "multiview_vae"), ["f_right"]))
    release, source = course / "assignments" / "multiview_vae", course / "solutions" / "multiview_vae"
    before = {path.name: path.read_bytes() for path in release.iterdir()}
    nbformat.write(nbformat.v4.new_notebook(), source / "4_new.ipynb")
    said = nbgrader(course, "generate_assignment", "multiview_vae", "--force", status=1)
    assert "4_new: other notebooks or graded cells than in the release that 1 submissions belong to" in said
    assert {path.name: path.read_bytes() for path in release.iterdir()} == before
    (source / "4_new.ipynb").unlink()
    nbgrader(course, "generate_assignment", "multiview_vae", "--force")
    (source / f"{NAME}.ipynb").unlink()
    said = nbgrader(course, "generate_assignment", "multiview_vae", "--force", status=1)
    assert f"{NAME}: other notebooks" in said


def test_a_course_with_another_copy_of_this_package_is_not_graded_by_both(course):
    generated = shutil.ignore_patterns("__pycache__")
    for package, file in (("nbverdict/src/nbverdict", "files.py"), ("autograder", "multiview_vae/vae_loss.py")):
        own = course / Path(package).name
        shutil.copytree(ROOT / package, own, ignore=generated)
        AssignmentRun(Course(course), "multiview_vae")  # the same: nothing to choose between
        with (own / file).open("a") as content:
            content.write("# mended here\n")
        with pytest.raises(ConfigurationError, match=rf"{own} differs from the installed package, .*pip install -e"):
            AssignmentRun(Course(course), "multiview_vae")
        if package != "autograder":
            shutil.rmtree(own)
    said = nbgrader(course, "autograde", "multiview_vae", "--student", "f_right", status=1)
    assert "differs from the installed package" in said


def test_an_interrupt_ends_the_writing_of_feedback_too(course, monkeypatch):
    """nbgrader takes it for a page that could not be written, and a watch would go on."""
    found = AssignmentRun(Course(course), "multiview_vae")
    list(grade_class(found, ["f_right"]))

    def interrupted(*given, **named):
        raise KeyboardInterrupt

    monkeypatch.setattr(FeedbackExporter, "from_notebook_node", interrupted)
    with pytest.raises(KeyboardInterrupt):
        give_feedback(found, "f_right")


def scores(course, *students):
    with Gradebook(f"sqlite:///{course / 'gradebook.db'}") as gradebook:
        return [gradebook.find_submission("multiview_vae", student).score for student in students]


def test_the_old_grade_stays_until_the_new_one_is_there(course, monkeypatch):
    students = ["b_textbook", "f_right"]
    list(grade_class(AssignmentRun(Course(course), "multiview_vae"), students))

    def killed(self, nb, resources):
        raise KeyboardInterrupt

    monkeypatch.setattr("nbverdict.classroom.recording._Executed.preprocess", killed)
    with pytest.raises(KeyboardInterrupt):
        list(grade_class(AssignmentRun(Course(course), "multiview_vae"), students, force=True))
    assert scores(course, *students) == [14, 15]
    monkeypatch.undo()
    assert [one.fresh for one in grade_class(AssignmentRun(Course(course), "multiview_vae"), students)] == [True, False]
    # Killed in nbgrader's own door.
    command = [BIN / "nbgrader", "autograde", "multiview_vae", "--student", "f_right", "--force"]
    with subprocess.Popen(command, cwd=course, stderr=subprocess.PIPE, text=True) as process:
        assert any("Autograding" in line for line in process.stderr)
        process.kill()
    assert scores(course, *students) == [14, 15]


def test_where_a_new_submission_fails_nothing_of_the_old_one_counts(course, monkeypatch):
    students = ["b_textbook", "f_right"]
    list(grade_class(AssignmentRun(Course(course), "multiview_vae"), students))

    def fails(self, nb, resources):
        raise OSError("nothing")

    monkeypatch.setattr("nbverdict.classroom.recording._Executed.preprocess", fails)
    list(grade_class(AssignmentRun(Course(course), "multiview_vae"), students[:1], force=True))
    assert scores(course, *students) == [0, 15]


def test_who_is_no_longer_in_the_gradebook_is_graded_again(course):
    """Also who earned nothing, like who is not there."""
    students = ["e_exits", "f_right"]

    def graded():
        return list(grade_class(AssignmentRun(Course(course), "multiview_vae"), students))

    assert [one.submission.points for one in graded()] == [0, 15]
    (course / "gradebook.db").unlink()
    nbgrader(course, "generate_assignment", "multiview_vae", "--force")
    assert [one.fresh for one in graded()] == [True, True]
    assert [one.fresh for one in graded()] == [False, False]
    shutil.rmtree(course / "autograded" / "f_right")
    assert [one.fresh for one in graded()] == [False, True]


LOOK = """
import sys
from nbverdict.__main__ import main
assert main(["grade", "multiview_vae", "--student", "f_right"]) == 0
print("imported:", [name for name in ("torch", "sklearn", "lark") if name in sys.modules])
"""


def test_a_run_in_which_nothing_changed_imports_no_pytorch(course):
    assert run(course, "--student", "f_right").returncode == 0
    said = subprocess.run([sys.executable, "-c", LOOK], cwd=course, capture_output=True, text=True, check=True).stdout
    assert "1 of them unchanged" in said
    assert "imported: []" in said


def test_odd_files_of_one_student_stop_nobody(course):
    folder = course / "submitted" / "f_right" / "multiview_vae"
    Path(os.fsdecode(os.fsencode(folder) + b"/\xdcbung.txt")).write_text("")
    deep = course / "submitted" / "g_right" / "multiview_vae"
    here = os.getcwd()
    os.chdir(deep)
    for _ in range(1500):
        os.mkdir("d")
        os.chdir("d")
    os.chdir(here)
    for student in "bcde":
        shutil.rmtree(next((course / "submitted").glob(f"{student}_*")))
    result = run(course, "--jobs", "1")
    subprocess.run(["rm", "-rf", deep], check=True)
    assert f"a_right  15/{MOST:g}" in result.stderr
    assert f"f_right  15/{MOST:g}" in result.stderr
    assert "g_right  " in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    "name",
    ["x[1]", os.fsdecode(b"m\xfcller"), " anna", "anna ", "two\nlines", "x" * 242],
    ids=["pattern", "half a character", "space before", "space after", "line break", "too long"],
)
def test_names_that_nbgrader_takes_for_something_else_are_refused(course, name):
    shutil.copytree(course / "submitted" / "f_right", course / "submitted" / name)
    shutil.copytree(course / "submitted" / "f_right", course / "submitted" / "Jürgen\xa0O'Neill")
    of_the_class = AssignmentRun(Course(course), "multiview_vae")
    assert name not in of_the_class.students()
    (line,) = of_the_class.unusable_names()
    assert line.startswith(f"{name!a}: its name ")
    assert line.endswith("Rename this folder")


def test_a_halted_machine_costs_nobody_a_call(course, monkeypatch):
    """While calls are answered, the clock leaps by a minute again and again."""
    answering = []

    class Leaping(Clock):
        def seconds(self):
            self._before -= 20 if answering else 0
            return super().seconds()

    ask = Conversation.ask
    monkeypatch.setattr("nbverdict.remote.conversation.Clock", Leaping)
    monkeypatch.setattr(Conversation, "ask", lambda *args: (answering.append(1), ask(*args))[1])
    assert grade(AssignmentRun(Course(course), "multiview_vae"), "f_right").points == 15
    assert answering


def test_the_configuration_of_the_user_counts_and_that_of_the_course_more(course, tmp_path, monkeypatch):
    (tmp_path / "jupyter").mkdir()
    (tmp_path / "jupyter" / "nbgrader_config.py").write_text(
        "c.ConfinedProvisioner.limits = {'scratch': 2000}\nc.CourseDirectory.course_id = 'of the user'\n"
    )
    monkeypatch.setenv("JUPYTER_CONFIG_DIR", str(tmp_path / "jupyter"))
    found = AssignmentRun(Course(course), "multiview_vae")
    assert found.course.confinement.limits.scratch == 2000
    assert found.course.coursedir.course_id == "multiview-vae-lab"
    before = grade_digest(found, "f_right")
    (tmp_path / "jupyter" / "nbgrader_config.py").write_text("c.ExecuteOutside.everything = True\n")
    assert grade_digest(AssignmentRun(Course(course), "multiview_vae"), "f_right") != before


def test_a_terminal_of_few_characters_and_a_folder_of_another_user(course, monkeypatch, capsys):
    path = course / "submitted" / "g_right" / "multiview_vae" / f"{NAME}.ipynb"
    book = nbformat.read(path, as_version=4)
    find({NAME: book}, "product_of_experts_answer").source = "def product_of_experts(*e):\n    raise ValueError('λ²')\n"
    path.write_text(nbformat.writes(book))
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    command = [sys.executable, "-m", "nbverdict", "grade", "multiview_vae", "--student", "g_right"]
    result = subprocess.run(command, cwd=course, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert "ValueError: \\u03bb" in result.stdout
    monkeypatch.chdir(course)

    def refused(*args, **options):
        raise PermissionError(13, "Permission denied", "/course/grades/.lock")

    monkeypatch.setattr("nbverdict.classroom.command.filelock.FileLock", refused)
    assert main(["grade", "multiview_vae"]) == 2
    assert "grades/.lock belongs to another user" in capsys.readouterr().err
    assert main(["grade", "multiview_vae", "--student", ""]) == 2


def test_other_code_on_a_worker_is_refused(course):
    work = dataclasses.replace(gather(AssignmentRun(Course(course), "multiview_vae"), "a_right"), code="another")
    with pytest.raises(RuntimeError, match="another version of this package"):
        nbverdict.notebooks.work.execute(work)


def test_notebooks_of_a_submission_run_side_by_side(course, monkeypatch):
    """The checks of each notebook wait for those of the others; one notebook after the other, they would in vain."""
    for name, book in solved().items():
        book.cells = [cell for cell in book.cells if "nbgrader" in cell.metadata or cell.id == "imports"]
        (course / "submitted" / "f_right" / "multiview_vae" / f"{name}.ipynb").write_text(nbformat.writes(book))
    work = gather(AssignmentRun(Course(course), "multiview_vae"), "f_right")
    all_three = threading.Barrier(3, timeout=10)
    judge = ExecuteOutside._judge
    monkeypatch.setattr(ExecuteOutside, "_judge", lambda *args: (all_three.wait(), judge(*args))[1])
    executed = nbverdict.notebooks.work.execute(work, 2)
    assert list(executed.notebooks) == list(work.notebooks)
    assert {name: report.score for name, report in executed.reports.items()} == EACH
    with pytest.raises(threading.BrokenBarrierError):
        nbverdict.notebooks.work.execute(work, 1)


def test_half_characters_and_terminal_commands_cost_one_exercise_and_harm_no_file(course):
    """A lone surrogate cannot be written to a file, and an escape changes an instructor's terminal."""
    path = course / "submitted" / "g_right" / "multiview_vae" / f"{NAME}.ipynb"
    book = nbformat.read(path, as_version=4)
    find({NAME: book}, "product_of_experts_answer").source = (
        'import sys\nprint("\\ud800 \\x1b[2J")\ndef product_of_experts(*experts):\n'
        '    raise ValueError("\\ud800 and \\x1b[31m red")\n'
    )
    path.write_text(nbformat.writes(book))
    result = run(course, "--student", "g_right")
    assert result.returncode == 0, result.stderr
    (outcome,) = [
        o for o in json.loads((course / "grades/multiview_vae/g_right.json").read_text())["outcomes"] if o["checks"]
    ]
    assert outcome["status"] == "error"
    assert "ValueError: � and �[31m red" in outcome["checks"][0]["message"]
    assert "\x1b" not in result.stdout


def test_a_submission_of_too_many_files_costs_its_own_student(course):
    """nbgrader looks through the whole folder for each of them: 30,000 would take it hours."""
    folder = course / "submitted" / "a_right" / "multiview_vae"
    (folder / "cache").mkdir()
    for i in range(2000):
        (folder / "cache" / f"{i}.txt").touch()
    for student in "bcdeg":
        shutil.rmtree(next((course / "submitted").glob(f"{student}_*")))
    result = run(course, "--jobs", "1")
    assert result.returncode == 1
    assert scores(course, "f_right") == [15]
    assert "has more than 2,000 files and folders" in (course / "grades/multiview_vae/a_right.json").read_text()
    (course / "gradebook.db").unlink()
    nbgrader(course, "generate_assignment", "multiview_vae", "--force")
    nbgrader(course, "autograde", "multiview_vae", "--force", status=1)
    assert scores(course, "f_right") == [15]
    assert not (course / "autograded" / "a_right" / "multiview_vae").exists()


MESSAGES = """
import json
kernel = get_ipython().kernel
pack, kernel.session.pack = kernel.session.pack, lambda content: json.dumps(content, default=str).encode()
kernel.send_response(kernel.iopub_socket, "stream", {"name": "stdout", "text": "half \\ud800 of it"})
nested = []
for _ in range(400):
    nested = [nested]
wide = {"data": {"application/json": [nested] * 100, "text/plain": "nested"}, "metadata": {"\\udc00": [nested] * 100}}
kernel.send_response(kernel.iopub_socket, "display_data", wide)
kernel.session.pack = pack

"""


def test_messages_that_cannot_be_written_cost_nobody_an_exercise(course):
    """Half a character, and a display that takes two hundred times as much when it is written."""
    path = course / "submitted" / "f_right" / "multiview_vae" / f"{NAME}.ipynb"
    book = nbformat.read(path, as_version=4)
    cell = find({NAME: book}, "product_of_experts_answer")
    cell.source = MESSAGES + cell.source
    path.write_text(nbformat.writes(book))
    for door in ("autograder", "nbgrader"):
        if door == "autograder":
            assert run(course, "--student", "f_right").returncode == 0
        else:
            nbgrader(course, "autograde", "multiview_vae", "--force", "--student", "f_right")
        assert scores(course, "f_right") == [15]
        graded = course / "autograded" / "f_right" / "multiview_vae" / f"{NAME}.ipynb"
        written = graded.read_text()
        assert graded.stat().st_size < 1 << 20
        assert "half ? of it" in written
        assert "Left out: application/json, more than 4 MiB" in written


def test_stock_nbgrader_gives_the_same_scores_and_the_same_class_page(course):
    published = course / "grades" / "multiview_vae"

    def shown():
        page = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d \w+", "today", (published / "index.html").read_text())
        return [*page.splitlines(), *(published / "grades.csv").read_text().splitlines()]

    def earned():
        found = (from_json(path.read_bytes()) for path in sorted(published.glob("*.json")))
        return {
            one.student: [[(check.name, check.status, check.points) for check in o.checks] or o for o in one.outcomes]
            for one in found
        }

    assert run(course, "--jobs", "1", "--seed", "7").returncode == 0
    before, table = earned(), shown()
    (course / "gradebook.db").unlink()
    shutil.rmtree(published)
    nbgrader(course, "generate_assignment", "multiview_vae", "--force")
    nbgrader(course, "autograde", "multiview_vae", "--force", "--ExecuteOutside.seed=7")
    assert earned() == before
    assert shown() == table
    expect_all(course)
    # One notebook of one student: the others stay as they are.
    nbgrader(course, "autograde", "multiview_vae", "--force", "--student", "a_right", "--notebook", NAME)
    assert earned() == before
    assert f"{len(POINTS)} of them unchanged" in run(course).stdout
    # A page that cannot be written costs no grade.
    (published / "index.html").unlink()
    (published / "index.html").mkdir()
    said = nbgrader(course, "autograde", "multiview_vae", "--force", "--student", "a_right")
    assert "the page of the class was not written: IsADirectoryError" in said
    expect_all(course)


def test_a_file_that_cannot_be_read_costs_nobody_else(course, monkeypatch):
    def unreadable(course, student):
        if student == "a_right":
            raise PermissionError(13, "Permission denied", "data.csv")
        return gather(course, student)

    monkeypatch.setattr("nbverdict.classroom.scheduling.gather", unreadable)
    both = grade_class(AssignmentRun(Course(course), "multiview_vae"), ["a_right", "f_right"])
    first, second = (one.submission for one in both)
    assert (first.points, second.points) == (0, 15)
    assert "Permission denied: 'data.csv'" in first.outcomes[1].problem
    assert (first.digest, bool(second.digest)) == ("", True)  # the next run tries the first one again
    page = publish(AssignmentRun(Course(course), "multiview_vae")).read_text()
    people = page.split("Who needs a human")[1].split("<h2>")[0]
    assert "a_right</a><td>not graded" in people
    assert "b_textbook</a><td>not graded" in people
    assert "f_right" not in people
    assert "../../feedback/f_right/multiview_vae/2_product_of_experts.html" in page


def test_confinement_that_is_required_and_missing_stops_the_run(course, monkeypatch):
    def refused(work, at_once=1):
        raise ConfinementError("this machine lacks landlock")

    monkeypatch.setattr("nbverdict.classroom.scheduling.execute", refused)
    with pytest.raises(ConfinementError, match="lacks landlock"):
        grade(AssignmentRun(Course(course), "multiview_vae"), "a_right", force=True)


@pytest.fixture
def dask(tmp_path):
    """A function that starts a Dask scheduler or worker as a process of its own."""
    pytest.importorskip("distributed", reason="Dask is not installed")
    environment = {**os.environ, "DASK_DISTRIBUTED__WORKER__DAEMON": "False"}
    processes = []
    with (tmp_path / "dask.log").open("w") as log:

        def run(kind, *words):
            command = [sys.executable, "-m", f"distributed.cli.dask_{kind}", *words, "--no-dashboard"]
            streams = {"stdout": log, "stderr": log, "start_new_session": True}
            processes.append(subprocess.Popen(command, cwd=tmp_path, env=environment, **streams))
            return processes[-1]

        yield run
        for process in processes:
            process.kill()
            process.wait()


@pytest.fixture
def scheduler(dask):
    """The address of a Dask scheduler, and its process."""
    port = free_port()
    return f"tcp://127.0.0.1:{port}", dask("scheduler", "--host", "127.0.0.1", "--port", str(port))


@pytest.fixture
def workers(dask, scheduler):
    """Two workers of that scheduler."""
    words = (scheduler[0], "--nthreads", "1", "--no-nanny", "--death-timeout", "60")
    return [dask("worker", *words) for _ in range(2)]


def test_a_cluster_gives_the_same_and_a_lost_worker_costs_a_retry(course, scheduler, workers):
    process = start(course, "--scheduler", scheduler[0])
    workers[0].kill()
    finished(process, 0)
    expect_all(course)


def test_a_lost_process_of_this_machine_costs_a_retry(course):
    process = start(course, "--jobs", "2")
    grader = psutil.Process(process.pid)
    next(p for p in grader.children() if p.cmdline() == grader.cmdline()).kill()  # a fork of it
    finished(process, 0)
    expect_all(course)


def test_a_missing_scheduler_is_named(course):
    pytest.importorskip("distributed", reason="Dask is not installed")
    with pytest.raises(PoolError, match="no Dask scheduler answers at tcp://127"), pool(1, "tcp://127.0.0.1:1", wait=1):
        pass


def test_a_scheduler_without_workers_is_named(scheduler):
    address, _ = scheduler
    wait_for_port(address)
    wanted = f"has no worker; start one with: dask worker {address}"
    with pytest.raises(PoolError, match=wanted), pool(1, address, wait=3):
        pass


def test_a_lost_scheduler_ends_the_run_and_what_was_graded_stays(course, scheduler, workers):
    process = start(course, "--scheduler", scheduler[0])
    scheduler[1].kill()
    said = finished(process, 2)
    assert f"lost the scheduler at {scheduler[0]}" in said
    assert "Traceback" not in said
    recorded = list((course / "grades" / "multiview_vae").glob("*.json"))
    assert 1 <= len(recorded) < len(POINTS)
    assert f"{len(recorded)} of them unchanged" in run(course, "--jobs", "1").stdout
    expect_all(course)


def test_a_gradebook_that_another_program_holds_is_named(course, monkeypatch, capsys):
    monkeypatch.chdir(course)
    with closing(sqlite3.connect(course / "gradebook.db")) as other:
        other.execute("BEGIN EXCLUSIVE")
        assert main(["grade", "multiview_vae", "--student", "f_right"]) == 2
    assert "the gradebook cannot be used: database is locked" in capsys.readouterr().err
    assert main(["grade", "multiview_vae", "--student", "f_right"]) == 0


def test_workers_are_forks_that_share_what_was_prepared_and_compare_on_one_thread():
    import torch

    before = torch.get_num_threads()
    try:
        with pool(2, prepare=lambda: torch.set_num_threads(2)) as executor:
            assert executor.submit(torch.get_num_threads).result() == 1
            assert executor.submit(os.getppid).result() == os.getpid()
            assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_jobs_share_the_processors(course, monkeypatch):
    seen = []
    monkeypatch.setattr("nbverdict.classroom.command.cores", lambda: 8)
    monkeypatch.setattr("nbverdict.classroom.command.grade_class", lambda *_, **how: seen.append(how) or [])
    for jobs in (1, 3, 16):
        list(graded_by(AssignmentRun(Course(course), "multiview_vae"), sorted(POINTS), jobs, None, force=True))
    assert [how["processors"] for how in seen] == [8, 2, 1]


@pytest.mark.parametrize(
    ("notebooks", "given", "threads"), [(1, None, "4"), (3, None, "1"), (9, None, "1"), (3, "8", "8")]
)
def test_notebooks_that_run_side_by_side_share_the_processors(monkeypatch, notebooks, given, threads):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if given:
        monkeypatch.setenv("OMP_NUM_THREADS", given)
    seen = []

    class Told:
        def __init__(self, notebook, assignment, config):
            seen.append(config.ConfinedProvisioner.environment["OMP_NUM_THREADS"])
            raise ZeroDivisionError

    monkeypatch.setattr(nbverdict.notebooks.work, "ExecuteOutside", Told)
    monkeypatch.setattr(nbverdict.notebooks.work, "grading_code", lambda *_: "")
    empty = nbformat.writes(nbformat.v4.new_notebook())
    work = Work("course", {}, {f"{i}": empty for i in range(notebooks)}, {}, {}, "")
    with pytest.raises(ZeroDivisionError):
        nbverdict.notebooks.work.execute(work, 4)
    assert seen == [threads]
    assert os.environ.get("OMP_NUM_THREADS") == given


def test_what_is_handed_in_is_read_up_to_a_bound(course):
    folder = course / "submitted" / "f_right" / "multiview_vae"
    for name in "abc":
        (folder / f"{name}.bin").write_bytes(bytes(400))
    (folder / "large.bin").write_bytes(bytes(2000))
    (folder / "elsewhere.bin").symlink_to(course / "gradebook.db")
    with (course / "nbgrader_config.py").open("a") as config:
        config.write('\nc.ConfinedProvisioner.limits = {"scratch": 2000}\n')
    files = gather(AssignmentRun(Course(course), "multiview_vae"), "f_right").files
    assert [name for name in sorted(files) if name.endswith(".bin")] == ["a.bin", "b.bin"]


@pytest.mark.parametrize("jobs", ["0", "-1", "many"])
def test_mistyped_jobs_are_named(course, jobs):
    result = run(course, f"--jobs={jobs}")
    assert result.returncode == 2
    assert f"{jobs!r} is not a positive whole number" in result.stderr


def test_a_postgresql_gradebook(course, tmp_path):
    pytest.importorskip("psycopg", reason="the driver psycopg is not installed")
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not found:
        pytest.skip("no PostgreSQL server is installed")
    data, port = tmp_path / "data", free_port()
    account = {"user": "nobody"} if os.geteuid() == 0 else {}  # PostgreSQL refuses to run as root
    data.mkdir()
    for folder in (tmp_path, *tmp_path.parents[:3]):
        folder.chmod(0o755)
    if account:
        shutil.chown(data, "nobody")
    how = {"check": True, "capture_output": True, "cwd": "/"}
    subprocess.run([found[-1], "-D", data, "-U", "lab", "--auth=trust"], **how, **account)
    options = f"-p {port} -k {data} -c listen_addresses=127.0.0.1"
    server = found[-1].with_name("pg_ctl")
    subprocess.run([server, "-D", data, "-o", options, "-w", "-l", data / "log", "start"], **how, **account)
    try:
        subprocess.run([found[-1].with_name("createdb"), "-h", "127.0.0.1", "-p", str(port), "-U", "lab", "lab"], **how)
        url = f"postgresql+psycopg://lab@127.0.0.1:{port}/lab"
        with (course / "nbgrader_config.py").open("a") as config:
            config.write(f"\nc.CourseDirectory.db_url = {url!r}\n")
        nbgrader(course, "generate_assignment", "multiview_vae", "--force")
        result = run(course, "--jobs", "2")
        assert result.returncode == 0, result.stderr
        expect_all(course, url)
    finally:
        subprocess.run([server, "-D", data, "-m", "immediate", "stop"], **how, **account)


def test_a_class_is_graded_in_the_memory_of_a_few(released, monkeypatch):
    monkeypatch.setattr("nbverdict.classroom.scheduling.MOST_WAITING", 3)
    monkeypatch.setattr(
        "nbverdict.classroom.scheduling.record",
        lambda course, student, digest, executed: Submission(student, digest, ()),
    )
    seen = []

    class Executor:
        def submit(self, function, work, processors):
            from concurrent.futures import Future

            seen.append(work)
            future = Future()
            future.set_result({})
            return future

    waiting = []
    for _ in grade_class(AssignmentRun(Course(released), "multiview_vae"), sorted(POINTS), Executor(), force=True):
        waiting.append(len(seen))
    assert waiting[0] == 3
    assert len(waiting) == len(POINTS)


# --- results ---------------------------------------------------------------------------------------------------------

FINDING = Finding("0", "1", "", "a <script>", "no")
CHECKS = (
    Result("good", "passed", 2, 2),
    Result("bad <b>", "wrong", 0, 1, str(FINDING), FINDING),
)
CLASS = [
    Submission(
        "=cmd",
        "d",
        (
            Outcome("paired_dataset", "wrong", 2, 12, CHECKS, seed=3),
            Outcome("product_of_experts", "died", 0, 15, (Result("one", "died", 0, 15, "It ended."),), seed=4),
            Outcome("vae_loss", "missing", 0, 15, problem="3_multiview_vae.ipynb was not handed in."),
        ),
    ),
    Submission("zoe", "d", tuple(Outcome(c.name, "passed", c.points, c.points) for c in GRADED.values())),
]


def test_json_comes_back():
    for submission in CLASS:
        text = to_json(submission)
        assert from_json(text) == submission
        entry = json.loads(text)
        assert entry["points"] == submission.points
        assert entry["outcomes"][0]["reasons"] == list(submission.outcomes[0].reasons)
        for other in ({**entry, "schema": 1}, {**entry, "outcomes": [{}]}, []):
            with pytest.raises(msgspec.ValidationError):
                from_json(json.dumps(other).encode())


def test_the_schema_is_documented():
    assert schema_page() in (ROOT / "docs" / "results.md").read_text()
    for row in schema_page().splitlines():
        assert not row.endswith("|  |"), f"{row} says nothing"


def test_others_may_read_what_is_written(tmp_path):
    before = os.umask(0o022)
    try:
        write_whole(tmp_path / "results.json", to_json(CLASS[0]))
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "results.json").stat().st_mode) == 0o644
    assert list(tmp_path.iterdir()) == [tmp_path / "results.json"]


def test_which_part_has_changed_is_told_where_both_digests_are_known():
    assert what_differs("a-b-c-d", "a-B-c-D") == ["release", "checks or grader"]
    assert [what_differs(*pair) for pair in (("", ""), ("", "a-b-c-d"), ("older", "older form"))] == [[], [], []]


def test_csv_has_points_and_status_and_no_formula():
    rows = list(csv.DictReader(as_csv(list(GRADED), CLASS).splitlines()))
    assert rows[0]["student"] == "'=cmd"
    assert (rows[0]["paired_dataset"], rows[0]["paired_dataset_status"]) == ("2", "wrong")
    assert (rows[1]["points"], rows[1]["of"]) == (f"{MOST:g}", f"{MOST:g}")


def test_csv_has_the_questions_in_words_and_both_sums():
    in_words = {"=cmd": {"why": InWords(2, 4, waiting=False)}, CLASS[1].student: {"why": InWords(0, 4, waiting=True)}}
    rows = list(csv.DictReader(as_csv(list(GRADED), CLASS, in_words).splitlines()))
    names = ("why", "why_status", "points", "of", "total", "total_of")
    assert [rows[0][name] for name in names] == ["2", "graded", "2", f"{MOST:g}", "4", f"{MOST + 4:g}"]
    assert [rows[1][name] for name in names] == ["0", "waiting", *[f"{MOST:g}"] * 3, f"{MOST + 4:g}"]


def test_gradescope_has_a_test_for_each_check():
    result = as_gradescope(CLASS[0].outcomes)
    assert result["score"] == 2
    assert [test["score"] for test in result["tests"]] == [2, 0, 0, 0]
    assert sum(test["max_score"] for test in result["tests"]) == 3 + 15 + 15
    assert result["tests"][1]["status"] == "failed"
    assert "likely cause" in result["tests"][1]["output"]


def test_the_page_of_a_class():
    pending = {"zoe": ["a question"], "=cmd": ["a question"]}
    points = {name: cell.points for name, cell in GRADED.items()}
    page = class_page("lab", points, CLASS, ["a late one"], pending, lambda s, e: f"../{quote(s)}/{e}.html")
    assert "bad &lt;b&gt;" in page
    assert "a &lt;script&gt;" in page
    assert "<script" not in page
    assert "http" not in page.replace("http-equiv", "")
    assert """<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src""" in page
    assert 'href="../zoe/vae_loss.html"' in page
    assert "@media print" in page
    people = page.split("Who needs a human")[1].split("<h2>")[0]
    assert "product_of_experts died: one (-15): It ended." in people
    assert '<a href="#a%20late%20one">a late one</a><td>not graded' in people
    assert "zoe</a>" not in people  # who only waits for a grade by hand is counted
    assert "a question (2)" in people
    assert "mean 22" in page


def test_who_wrote_no_answer_fails_no_check():
    text = "product_of_experts is not written yet: it raises NotImplementedError."
    unwritten = Result("one", "error", 0, 15, text, written=False)
    wrong = Result("two", "wrong", 0, 15, str(FINDING), FINDING)
    outcomes = [Outcome("product_of_experts", "wrong", 0, 15, (check,)) for check in (unwritten, wrong)]
    students = [Submission(name, "x", (outcome,)) for name, outcome in zip("ab", outcomes, strict=True)]
    page = class_page("lab", {"product_of_experts": 15}, students, [], {}, lambda student, exercise: "")
    most = page.split("fail most")[1].split("<h2>")[0]
    assert ">two<" in most
    assert ">one<" not in most


def test_the_page_of_nobody():
    assert "0 submissions" in class_page("lab", {}, [], [], {}, lambda student, exercise: "")


def test_a_stock_run_that_was_killed_is_graded_by_the_next_one_at_either_door(course):
    """nbgrader itself takes the folder that a killed run leaves for a graded one."""
    for again in ("nbgrader", "autograder"):
        command = [BIN / "nbgrader", "autograde", "multiview_vae", "--student", "b_textbook", "--force"]
        process = subprocess.Popen(command, cwd=course, stderr=subprocess.DEVNULL, start_new_session=True)
        marker = course / "grades" / "multiview_vae" / "b_textbook.json"
        made = course / "autograded" / "b_textbook"
        wait_until(
            lambda made=made, marker=marker: (
                made.exists() and marker.exists() and not from_json(marker.read_bytes()).digest
            )
        )
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        if again == "nbgrader":
            nbgrader(course, "autograde", "multiview_vae", "--student", "b_textbook")
        else:
            assert run(course, "--student", "b_textbook").returncode == 0
        assert scores(course, "b_textbook") == [14]
        assert from_json(marker.read_bytes()).digest


def test_a_submission_that_arrives_while_an_older_one_is_graded_is_graded_next(course):
    submitted = course / "submitted" / "c_averages" / "multiview_vae" / f"{NAME}.ipynb"
    later = course / "submitted" / "f_right" / "multiview_vae" / f"{NAME}.ipynb"
    with (course / "nbgrader_config.py").open("a") as config:
        config.write(
            "\nimport shutil\n\ndef arrives(**names):\n"
            f"    shutil.copy({str(later)!r}, {str(submitted)!r})\n\nc.Autograde.post_convert_hook = arrives\n"
        )
    nbgrader(course, "autograde", "multiview_vae", "--student", "c_averages")
    assert scores(course, "c_averages") == [5]
    nbgrader(course, "autograde", "multiview_vae", "--student", "c_averages")
    assert scores(course, "c_averages") == [15]
    said = nbgrader(course, "autograde", "multiview_vae", "--student", "c_averages")
    assert "Skipping existing assignment" in said


def test_a_hook_of_the_courses_own_lets_no_link_through(course):
    secret = course / "secret.txt"
    secret.write_text("nobody's business")
    (course / "submitted" / "f_right" / "multiview_vae" / "peek.txt").symlink_to(secret)
    with (course / "nbgrader_config.py").open("a") as config:
        config.write("\nc.Autograde.pre_convert_hook = lambda **names: None\n")
    nbgrader(course, "autograde", "multiview_vae", "--student", "f_right")
    assert scores(course, "f_right") == [15]
    copies = [path for path in (course / "autograded").rglob("*") if path.is_file()]
    assert not [path for path in copies if b"nobody's business" in path.read_bytes()]


def test_a_kernel_that_is_lost_costs_one_more_try_and_no_points(course, monkeypatch):
    """Its reason is ours: the grade is not that of a notebook that died."""
    lost = iter([True])

    def ask(self, request, seconds, real=Conversation.ask):
        if next(lost, False):  # of the test, below
            raise KernelLostError("the process that kernels are forked from has ended")
        return real(self, request, seconds)

    monkeypatch.setattr(Conversation, "ask", ask)
    of_the_class = AssignmentRun(Course(course), "multiview_vae")
    assert grade(of_the_class, "f_right").points == 15
    lost = iter([True] * 100)
    failed = grade(of_the_class, "g_right")
    assert not failed.digest
    assert {outcome.status for outcome in failed.outcomes if outcome.exercise == "product_of_experts"} == {"error"}
    assert "forked from has ended" in str(failed)
    monkeypatch.undo()
    assert grade(of_the_class, "g_right").points == 15


@pytest.mark.parametrize("header", [[], "text", 3, None, {"msg_id": []}])
def test_a_reply_with_a_strange_header_is_no_failure_of_the_grader(course, header):
    """The student's kernel sends it instead of each reply; it costs the student's own points, once."""
    code = f"""
        import json
        from jupyter_client.session import Session
        real = Session.send
        def send(self, stream, message, *args, **kwargs):
            if isinstance(message, dict) and message.get("msg_type") == "execute_reply":
                message["parent_header"] = {header!r}
            return real(self, stream, message, *args, **kwargs)
        Session.send = send
    """
    folder = course / "submitted" / "f_right" / "multiview_vae"
    book = nbformat.read(folder / f"{NAME}.ipynb", as_version=4)
    book.cells.insert(1, nbformat.v4.new_code_cell(textwrap.dedent(code)))
    nbformat.write(book, folder / f"{NAME}.ipynb")
    graded = grade(AssignmentRun(Course(course), "multiview_vae"), "f_right")
    assert graded.digest
    assert grade(AssignmentRun(Course(course), "multiview_vae"), "f_right").digest == graded.digest


def test_an_exception_of_any_kind_is_one_students_only(course, monkeypatch, capsys):
    """Whatever the reason, and wherever it is raised: the others are graded."""

    def odd(of, student, real=nbverdict.classroom.scheduling.gather):
        if student == "b_textbook":
            raise AssertionError("nobody has thought of this")
        return real(of, student)

    def unwritable(of, student, *rest, real=nbverdict.classroom.scheduling.record):
        if student == "c_averages":
            raise KeyError("nor of this")
        return real(of, student, *rest)

    monkeypatch.setattr(nbverdict.classroom.scheduling, "gather", odd)
    monkeypatch.setattr(nbverdict.classroom.scheduling, "record", unwritable)
    students = ["a_right", "b_textbook", "c_averages", "f_right"]
    found = {
        one.submission.student: one.submission
        for one in grade_class(AssignmentRun(Course(course), "multiview_vae"), students)
    }
    assert [found[student].points for student in students] == [15, 0, 0, 15]
    assert [bool(found[student].digest) for student in students] == [True, False, False, True]
    assert "nobody has thought of this" in str(found["b_textbook"])
    assert "nor of this" in str(found["c_averages"])


def test_a_student_may_be_called_words(course):
    (course / "submitted" / "f_right").rename(course / "submitted" / "words")
    of_the_class = AssignmentRun(Course(course), "multiview_vae")
    grade(of_the_class, "words")
    stored = (course / "grades" / "multiview_vae" / "words.json").read_bytes()
    page = ManualGradingPage(of_the_class)
    name = next(name for name, question in page.questions.items() if question.notebook == NAME)
    assert page.give(name, "words", [], "well said", 1.0) == 1.0
    assert (course / "grades" / "multiview_vae" / "words.json").read_bytes() == stored
    assert "well said" in ManualGradingPage(of_the_class).page("/x/")
