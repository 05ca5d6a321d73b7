"""A class graded in its order: whose failure it is, and what it costs the others."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

import nbverdict.classroom.scheduling
import nbverdict.notebooks.work
from nbverdict.__main__ import main
from nbverdict.classroom.course import AssignmentRun, Course, CourseError
from nbverdict.classroom.gathering import gather
from nbverdict.classroom.publishing import publish
from nbverdict.classroom.results import Submission
from nbverdict.classroom.scheduling import grade, grade_class
from nbverdict.confinement.layers import ConfinementError
from support.classes import ASSIGNMENT, MOST, NAME, POINTS
from support.commands import nbgrader
from support.grading import run, scores


def test_where_nobody_can_be_executed_the_run_is_given_up(course, monkeypatch):
    def broken(work, at_once=1):
        raise ModuleNotFoundError("No module named 'autograder'")

    monkeypatch.setattr("nbverdict.classroom.scheduling.execute", broken)
    graded = []
    with pytest.raises(CourseError, match=r"none of the first 3 .* \(ModuleNotFoundError: No module"):
        graded.extend(grade_class(AssignmentRun(Course(course), ASSIGNMENT), sorted(POINTS)))
    assert [one.submission.student for one in graded] == sorted(POINTS)[:2]


def test_three_that_cannot_be_executed_stop_nobody_either(course, monkeypatch):
    """The release can be: so it is those three."""

    def broken(work, at_once=1, execute=nbverdict.classroom.scheduling.execute):
        if any(sign in work.notebooks[NAME] for sign in ("precision1, precision2 = 1", "os._exit", "while True:")):
            raise UnicodeEncodeError("utf-8", "\ud800", 0, 1, "surrogates not allowed")
        return execute(work)

    monkeypatch.setattr("nbverdict.classroom.scheduling.execute", broken)
    students = ["d_loops", "e_exits", "b_textbook", "f_right"]
    graded = [one.submission for one in grade_class(AssignmentRun(Course(course), ASSIGNMENT), students)]
    assert [bool(submission.digest) for submission in graded] == [False, False, False, True]
    assert graded[-1].points == 15


def test_one_that_cannot_be_executed_stops_nobody_and_is_told(course, monkeypatch, capsys):
    def full(files, folder, write=nbverdict.notebooks.work._write):
        if any(b"os._exit" in content for content in files.values()):
            raise OSError(28, "No space left on device")
        write(files, folder)

    monkeypatch.setattr(nbverdict.notebooks.work, "_write", full)
    monkeypatch.chdir(course)
    for student in "bcdg":
        shutil.rmtree(next((course / "submitted").glob(f"{student}_*")))
    assert main(["grade", "gauss", "--jobs", "1"]) == 1
    out, err = capsys.readouterr()
    assert "not graded, and tried again by the next run: e_exits\n" in err
    assert "No space left on device" in out
    monkeypatch.undo()
    monkeypatch.chdir(course)
    assert main(["grade", "gauss", "--jobs", "1"]) == 0
    assert "3 submissions, 2 of them unchanged" in capsys.readouterr().out


def test_where_nothing_can_be_recorded_the_run_is_given_up(course):
    """Not the students' doing: a full disk, or a folder of another user."""
    (course / "autograded").write_text("no folder")
    with pytest.raises(CourseError, match="none of the first 3 submissions could be graded"):
        list(grade_class(AssignmentRun(Course(course), ASSIGNMENT), ["a_right", "f_right", "g_right", "b_textbook"]))


def test_odd_files_of_one_student_stop_nobody(course):
    folder = course / "submitted" / "f_right" / "gauss"
    Path(os.fsdecode(os.fsencode(folder) + b"/\xdcbung.txt")).write_text("")
    deep = course / "submitted" / "g_right" / "gauss"
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


def test_a_submission_of_too_many_files_costs_its_own_student(course):
    """nbgrader looks through the whole folder for each of them: 30,000 would take it hours."""
    folder = course / "submitted" / "a_right" / "gauss"
    (folder / "cache").mkdir()
    for i in range(2000):
        (folder / "cache" / f"{i}.txt").touch()
    for student in "bcdeg":
        shutil.rmtree(next((course / "submitted").glob(f"{student}_*")))
    result = run(course, "--jobs", "1")
    assert result.returncode == 1
    assert scores(course, "f_right") == [15]
    assert "has more than 2,000 files and folders" in (course / "grades/gauss/a_right.json").read_text()
    (course / "gradebook.db").unlink()
    nbgrader(course, "generate_assignment", "gauss", "--force")
    nbgrader(course, "autograde", "gauss", "--force", status=1)
    assert scores(course, "f_right") == [15]
    assert not (course / "autograded" / "a_right" / "gauss").exists()


def test_a_file_that_cannot_be_read_costs_nobody_else(course, monkeypatch):
    def unreadable(course, student):
        if student == "a_right":
            raise PermissionError(13, "Permission denied", "data.csv")
        return gather(course, student)

    monkeypatch.setattr("nbverdict.classroom.scheduling.gather", unreadable)
    both = grade_class(AssignmentRun(Course(course), ASSIGNMENT), ["a_right", "f_right"])
    first, second = (one.submission for one in both)
    assert (first.points, second.points) == (0, 15)
    assert "Permission denied: 'data.csv'" in first.outcomes[1].problem
    assert (first.digest, bool(second.digest)) == ("", True)  # the next run tries the first one again
    page = publish(AssignmentRun(Course(course), ASSIGNMENT)).read_text()
    people = page.split("Who needs a human")[1].split("<h2>")[0]
    assert "a_right</a><td>not graded" in people
    assert "b_textbook</a><td>not graded" in people
    assert "f_right" not in people
    assert "../../feedback/f_right/gauss/2_product.html" in page


def test_confinement_that_is_required_and_missing_stops_the_run(course, monkeypatch):
    def refused(work, at_once=1):
        raise ConfinementError("this machine lacks landlock")

    monkeypatch.setattr("nbverdict.classroom.scheduling.execute", refused)
    with pytest.raises(ConfinementError, match="lacks landlock"):
        grade(AssignmentRun(Course(course), ASSIGNMENT), "a_right", force=True)


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
    for _ in grade_class(AssignmentRun(Course(released), ASSIGNMENT), sorted(POINTS), Executor(), force=True):
        waiting.append(len(seen))
    assert waiting[0] == 3
    assert len(waiting) == len(POINTS)


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
        for one in grade_class(AssignmentRun(Course(course), ASSIGNMENT), students)
    }
    assert [found[student].points for student in students] == [15, 0, 0, 15]
    assert [bool(found[student].digest) for student in students] == [True, False, False, True]
    assert "nobody has thought of this" in str(found["b_textbook"])
    assert "nor of this" in str(found["c_averages"])
