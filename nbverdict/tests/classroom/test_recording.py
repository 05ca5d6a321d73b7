"""What is recorded of a submission, and what stays if recording ends halfway."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from nbverdict.classroom.course import AssignmentRun, Course
from nbverdict.classroom.scheduling import grade_class
from support.classes import ASSIGNMENT
from support.commands import BIN, nbgrader
from support.grading import expect_all, free_port, run, scores


def test_the_old_grade_stays_until_the_new_one_is_there(course, monkeypatch):
    students = ["b_textbook", "f_right"]
    list(grade_class(AssignmentRun(Course(course), ASSIGNMENT), students))

    def killed(self, nb, resources):
        raise KeyboardInterrupt

    monkeypatch.setattr("nbverdict.classroom.recording._Executed.preprocess", killed)
    with pytest.raises(KeyboardInterrupt):
        list(grade_class(AssignmentRun(Course(course), ASSIGNMENT), students, force=True))
    assert scores(course, *students) == [14, 15]
    monkeypatch.undo()
    assert [one.fresh for one in grade_class(AssignmentRun(Course(course), ASSIGNMENT), students)] == [True, False]
    # Killed in nbgrader's own door.
    command = [BIN / "nbgrader", "autograde", "gauss", "--student", "f_right", "--force"]
    with subprocess.Popen(command, cwd=course, stderr=subprocess.PIPE, text=True) as process:
        assert any("Autograding" in line for line in process.stderr)
        process.kill()
    assert scores(course, *students) == [14, 15]


def test_where_a_new_submission_fails_nothing_of_the_old_one_counts(course, monkeypatch):
    students = ["b_textbook", "f_right"]
    list(grade_class(AssignmentRun(Course(course), ASSIGNMENT), students))

    def fails(self, nb, resources):
        raise OSError("nothing")

    monkeypatch.setattr("nbverdict.classroom.recording._Executed.preprocess", fails)
    list(grade_class(AssignmentRun(Course(course), ASSIGNMENT), students[:1], force=True))
    assert scores(course, *students) == [0, 15]


def test_who_is_no_longer_in_the_gradebook_is_graded_again(course):
    """Also who earned nothing, like who is not there."""
    students = ["e_exits", "f_right"]

    def graded():
        return list(grade_class(AssignmentRun(Course(course), ASSIGNMENT), students))

    assert [one.submission.points for one in graded()] == [0, 15]
    (course / "gradebook.db").unlink()
    nbgrader(course, "generate_assignment", "gauss", "--force")
    assert [one.fresh for one in graded()] == [True, True]
    assert [one.fresh for one in graded()] == [False, False]
    shutil.rmtree(course / "autograded" / "f_right")
    assert [one.fresh for one in graded()] == [False, True]


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
        nbgrader(course, "generate_assignment", "gauss", "--force")
        result = run(course, "--jobs", "2")
        assert result.returncode == 0, result.stderr
        expect_all(course, url)
    finally:
        subprocess.run([server, "-D", data, "-m", "immediate", "stop"], **how, **account)
