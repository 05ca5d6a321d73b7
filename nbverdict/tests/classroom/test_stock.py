"""What plain `nbgrader autograde` grades is recorded and published, too."""

import os
import re
import shutil
import signal
import subprocess

from nbverdict.classroom.results import from_json
from support.classes import NAME, POINTS
from support.commands import BIN, nbgrader
from support.grading import expect_all, run, scores, wait_until


def test_stock_nbgrader_gives_the_same_scores_and_the_same_class_page(course):
    published = course / "grades" / "gauss"

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
    nbgrader(course, "generate_assignment", "gauss", "--force")
    nbgrader(course, "autograde", "gauss", "--force", "--ExecuteOutside.seed=7")
    assert earned() == before
    assert shown() == table
    expect_all(course)
    # One notebook of one student: the others stay as they are.
    nbgrader(course, "autograde", "gauss", "--force", "--student", "a_right", "--notebook", NAME)
    assert earned() == before
    assert f"{len(POINTS)} of them unchanged" in run(course).stdout
    # A page that cannot be written costs no grade.
    (published / "index.html").unlink()
    (published / "index.html").mkdir()
    said = nbgrader(course, "autograde", "gauss", "--force", "--student", "a_right")
    assert "the page of the class was not written: IsADirectoryError" in said
    expect_all(course)


def test_a_stock_run_that_was_killed_is_graded_by_the_next_one_at_either_door(course):
    """nbgrader itself takes the folder that a killed run leaves for a graded one."""
    for again in ("nbgrader", "autograder"):
        command = [BIN / "nbgrader", "autograde", "gauss", "--student", "b_textbook", "--force"]
        process = subprocess.Popen(command, cwd=course, stderr=subprocess.DEVNULL, start_new_session=True)
        marker = course / "grades" / "gauss" / "b_textbook.json"
        made = course / "autograded" / "b_textbook"
        wait_until(
            lambda made=made, marker=marker: (
                made.exists() and marker.exists() and not from_json(marker.read_bytes()).digest
            )
        )
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        if again == "nbgrader":
            nbgrader(course, "autograde", "gauss", "--student", "b_textbook")
        else:
            assert run(course, "--student", "b_textbook").returncode == 0
        assert scores(course, "b_textbook") == [14]
        assert from_json(marker.read_bytes()).digest


def test_a_submission_that_arrives_while_an_older_one_is_graded_is_graded_next(course):
    submitted = course / "submitted" / "c_averages" / "gauss" / f"{NAME}.ipynb"
    later = course / "submitted" / "f_right" / "gauss" / f"{NAME}.ipynb"
    with (course / "nbgrader_config.py").open("a") as config:
        config.write(
            "\nimport shutil\n\ndef arrives(**names):\n"
            f"    shutil.copy({str(later)!r}, {str(submitted)!r})\n\nc.Autograde.post_convert_hook = arrives\n"
        )
    nbgrader(course, "autograde", "gauss", "--student", "c_averages")
    assert scores(course, "c_averages") == [5]
    nbgrader(course, "autograde", "gauss", "--student", "c_averages")
    assert scores(course, "c_averages") == [15]
    said = nbgrader(course, "autograde", "gauss", "--student", "c_averages")
    assert "Skipping existing assignment" in said
