"""The command `grade`: jobs, interrupts, a dry run, and what stops it before it begins."""

import csv
import json
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing

import nbformat
import pytest
from filelock import FileLock

from nbverdict.__main__ import main
from nbverdict.classroom.command import graded_by
from nbverdict.classroom.course import AssignmentRun, Course
from support.classes import ASSIGNMENT, NAME, POINTS, find
from support.grading import everything, expect_all, family, finished, gone, manual_score, run, scores, start, wait_until


def test_two_jobs_earn_what_one_does_and_killed_at_any_moment_the_next_run_grades_the_rest(course):
    process = start(course, "--jobs", "2")
    below = family(process.pid)
    process.kill()
    process.wait()
    process.stderr.close()
    assert gone(below)
    entries = [json.loads(path.read_text()) for path in (course / "grades" / "gauss").glob("*.json")]
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


def test_ctrl_c_with_one_job_costs_nobody_a_grade(course):
    """The checks run in the process that is interrupted, and pytest keeps Ctrl-C to itself."""
    (course / "grades" / "gauss").mkdir(parents=True)
    for student in "abcefg":
        shutil.rmtree(next((course / "submitted").glob(f"{student}_*")))
    answer = course / "submitted" / "d_loops" / ASSIGNMENT / f"{NAME}.ipynb"
    answer.write_text(answer.read_text().replace("import time", "import time, subprocess"))
    answer.write_text(answer.read_text().replace("time.sleep(1)", "subprocess.run(['sleep', '100'])"))
    process = start(course, "--jobs", "1", wait_for=None)
    wait_until(lambda: any(one.name() == "sleep" for one in family(process.pid)))  # the answer is being called
    process.send_signal(signal.SIGINT)
    finished(process, 130, seconds=60)
    assert list((course / "grades" / "gauss").glob("*.json")) == []


def test_sigterm_ends_a_run_like_an_interrupt(course):
    command = [sys.executable, "-m", "nbverdict", "grade", "gauss", "--jobs", "1"]
    with subprocess.Popen(command, cwd=course, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr.readline().startswith("a_right")
        process.send_signal(signal.SIGTERM)
        assert "stopped; what was graded is recorded" in process.stderr.read()
    assert process.returncode == 130


def test_a_second_run_waits_for_nobody_and_harms_nobody(course):
    with FileLock(course / "grades" / "gauss" / ".lock"):
        result = run(course)
    assert result.returncode == 2
    assert "another run is grading gauss" in result.stderr
    assert not (course / "autograded").exists()


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
            "c.ConfinedProvisioner.folders = {'DATA': 'nbverdict.files.no_such_function'}",
            "c.ConfinedProvisioner.folders: nbverdict.files.no_such_function made no folder",
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
    assert main(["grade", "gauss", "--jobs", "1"]) == 2
    out, err = capsys.readouterr()
    (said,) = err.splitlines()
    assert re.match(f"error: .*{told}", said)
    assert not out
    assert not list(course.glob("grades/*/*.json"))


@pytest.mark.parametrize(
    ("content", "told"), [(b"", "no assignment is called"), (b"no database" * 100, "file is not a database. Restore")]
)
def test_a_gradebook_that_is_none_is_told_in_a_line(course, content, told, monkeypatch, capsys):
    (course / "gradebook.db").write_bytes(content)
    monkeypatch.chdir(course)
    assert main(["grade", "gauss", "--jobs", "1"]) == 2
    (said,) = capsys.readouterr().err.splitlines()
    assert told in said


def test_a_gradebook_that_another_program_holds_is_named(course, monkeypatch, capsys):
    monkeypatch.chdir(course)
    with closing(sqlite3.connect(course / "gradebook.db")) as other:
        other.execute("BEGIN EXCLUSIVE")
        assert main(["grade", "gauss", "--student", "f_right"]) == 2
    assert "the gradebook cannot be used: database is locked" in capsys.readouterr().err
    assert main(["grade", "gauss", "--student", "f_right"]) == 0


def test_a_full_disk_is_told_in_a_line(course, monkeypatch, capsys):
    def full(path, content):
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr("nbverdict.classroom.recording.write_whole", full)
    monkeypatch.chdir(course)
    assert main(["grade", "gauss", "--student", "f_right"]) == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert re.fullmatch(r"error: .*f_right.json cannot be written: No space left on device", last)


def test_a_dry_run_shows_what_would_change_and_changes_nothing(course, monkeypatch, capsys):
    monkeypatch.chdir(course)
    for student in "adeg":
        shutil.rmtree(next((course / "submitted").glob(f"{student}_*")))
    assert main(["grade", "gauss", "--jobs", "1"]) == 0
    assert not (course / "grades" / "gauss" / "changes.csv").exists()
    files = {student: course / "submitted" / student / "gauss" / f"{NAME}.ipynb" for student in POINTS}
    manual_score(course, "c_averages", 7)
    right = files["f_right"].read_bytes()
    files["f_right"].write_bytes(files["c_averages"].read_bytes())
    for student in ("b_textbook", "c_averages"):
        files[student].write_bytes(right)
    shutil.copytree(course / "submitted" / "f_right", course / "submitted" / "new")
    (course / "submitted" / "f_right" / "gauss" / "link").symlink_to("nothing")
    before = everything(course)
    capsys.readouterr()
    assert main(["grade", "gauss", "--jobs", "1", "--dry-run"]) == 0
    assert everything(course) == before
    said = capsys.readouterr().out
    assert "b_textbook  14 -> 15 of 42  (changed: submission)\n    product  14 -> 15\n      Finite" in said
    assert "f_right  15 -> 5 of 42" in said
    assert "average of the two experts' log-variances" in said
    assert "c_averages" not in said  # 7 points were given by hand, and stay
    assert "new  5/42, not graded before" in said
    words = "2 of 4 submissions would change: 1 gain 1 points, 1 lose 10; 1 would be graded for the first time."
    assert f"{words} This was a dry run: nothing was changed." in said
    assert main(["grade", "gauss", "--jobs", "1", "--note", "=after the lecture"]) == 0
    with (course / "grades" / "gauss" / "changes.csv").open() as file:
        rows = {row.pop("student"): row for row in csv.DictReader(file)}
    assert sorted(rows) == ["b_textbook", "f_right"]
    kept = {key: rows["f_right"][key] for key in ("exercise", "before", "after", "what_changed", "note")}
    assert list(kept.values()) == ["product", "15", "5", "submission", "'=after the lecture"]
    assert "average of the two experts" in rows["f_right"]["reasons"]
    assert scores(course, "c_averages", "b_textbook") == [7, 15]


LOOK = """
import sys
from nbverdict.__main__ import main
assert main(["grade", "gauss", "--student", "f_right"]) == 0
print("imported:", [name for name in ("torch", "sklearn", "lark") if name in sys.modules])
"""


def test_a_run_in_which_nothing_changed_imports_no_pytorch(course):
    assert run(course, "--student", "f_right").returncode == 0
    said = subprocess.run([sys.executable, "-c", LOOK], cwd=course, capture_output=True, text=True, check=True).stdout
    assert "1 of them unchanged" in said
    assert "imported: []" in said


def test_a_terminal_of_few_characters_and_a_folder_of_another_user(course, monkeypatch, capsys):
    path = course / "submitted" / "g_right" / "gauss" / f"{NAME}.ipynb"
    book = nbformat.read(path, as_version=4)
    find({NAME: book}, "product_answer").source = "def product(*e):\n    raise ValueError('λ²')\n"
    path.write_text(nbformat.writes(book))
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    command = [sys.executable, "-m", "nbverdict", "grade", "gauss", "--student", "g_right"]
    result = subprocess.run(command, cwd=course, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert "ValueError: \\u03bb" in result.stdout
    monkeypatch.chdir(course)

    def refused(*args, **options):
        raise PermissionError(13, "Permission denied", "/course/grades/.lock")

    monkeypatch.setattr("nbverdict.classroom.command.filelock.FileLock", refused)
    assert main(["grade", "gauss"]) == 2
    assert "grades/.lock belongs to another user" in capsys.readouterr().err
    assert main(["grade", "gauss", "--student", ""]) == 2


def test_half_characters_and_terminal_commands_cost_one_exercise_and_harm_no_file(course):
    """A lone surrogate cannot be written to a file, and an escape changes an instructor's terminal."""
    path = course / "submitted" / "g_right" / "gauss" / f"{NAME}.ipynb"
    book = nbformat.read(path, as_version=4)
    find({NAME: book}, "product_answer").source = (
        'import sys\nprint("\\ud800 \\x1b[2J")\ndef product(*experts):\n'
        '    raise ValueError("\\ud800 and \\x1b[31m red")\n'
    )
    path.write_text(nbformat.writes(book))
    result = run(course, "--student", "g_right")
    assert result.returncode == 0, result.stderr
    (outcome,) = [o for o in json.loads((course / "grades/gauss/g_right.json").read_text())["outcomes"] if o["checks"]]
    assert outcome["status"] == "error"
    assert "ValueError: � and �[31m red" in outcome["checks"][0]["message"]
    assert "\x1b" not in result.stdout


def test_jobs_share_the_processors(course, monkeypatch):
    seen = []
    monkeypatch.setattr("nbverdict.classroom.command.cores", lambda: 8)
    monkeypatch.setattr("nbverdict.classroom.command.grade_class", lambda *_, **how: seen.append(how) or [])
    for jobs in (1, 3, 16):
        list(graded_by(AssignmentRun(Course(course), ASSIGNMENT), sorted(POINTS), jobs, None, force=True))
    assert [how["processors"] for how in seen] == [8, 2, 1]


@pytest.mark.parametrize("jobs", ["0", "-1", "many"])
def test_mistyped_jobs_are_named(course, jobs):
    result = run(course, f"--jobs={jobs}")
    assert result.returncode == 2
    assert f"{jobs!r} is not a positive whole number" in result.stderr
