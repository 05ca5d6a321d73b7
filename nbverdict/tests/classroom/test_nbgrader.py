"""Stock `nbgrader autograde` with our converter: the same grades, and its own habits kept."""

import nbformat

from nbverdict.classroom.course import AssignmentRun, Course
from nbverdict.classroom.scheduling import grade_class
from support.classes import ASSIGNMENT, NAME, POINTS, find
from support.commands import nbgrader
from support.grading import run, scores

ODD_DATES = ("sometime on Monday", "9" * 5_000_000, "2026-13-45 99:99", "\x1b]0;title\x07")


def test_a_timestamp_that_is_no_date_costs_nobody_anything(course):
    students = ["a_right", "b_textbook", "c_averages", "f_right"]
    for student, text in zip(students, ODD_DATES, strict=True):
        (course / "submitted" / student / "gauss" / "timestamp.txt").write_text(text)
    graded = [one.submission for one in grade_class(AssignmentRun(Course(course), ASSIGNMENT), students)]
    assert {submission.student: submission.points for submission in graded} == {name: POINTS[name] for name in students}
    reasons = [reason for submission in graded for outcome in submission.outcomes for reason in outcome.reasons]
    assert any("timestamp.txt is no date ('sometime on Monday'), so that nobody knows when" in r for r in reasons)
    assert any("timestamp.txt is longer than a date" in reason for reason in reasons)
    assert "\x1b" not in str(reasons)
    # nbgrader's own door, and its feedback, over what is there.
    assert "timestamp" in nbgrader(course, "autograde", "gauss", "--student", "b_textbook", "--force")
    for _ in range(2):
        nbgrader(course, "generate_feedback", "gauss", "--student", "b_textbook")
    assert scores(course, "b_textbook") == [14]


def test_stock_nbgrader_refuses_an_option_that_does_not_exist(course):
    with (course / "nbgrader_config.py").open("a") as file:
        file.write("\nc.ConfinedProvisioner.requires = True\n")
    assert "requires is no option" in nbgrader(course, "autograde", "gauss", "--student", "f_right", status=1)
    assert not (course / "autograded").exists()


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
    path = course / "submitted" / "f_right" / "gauss" / f"{NAME}.ipynb"
    book = nbformat.read(path, as_version=4)
    cell = find({NAME: book}, "product_answer")
    cell.source = MESSAGES + cell.source
    path.write_text(nbformat.writes(book))
    for door in ("autograder", "nbgrader"):
        if door == "autograder":
            assert run(course, "--student", "f_right").returncode == 0
        else:
            nbgrader(course, "autograde", "gauss", "--force", "--student", "f_right")
        assert scores(course, "f_right") == [15]
        graded = course / "autograded" / "f_right" / "gauss" / f"{NAME}.ipynb"
        written = graded.read_text()
        assert graded.stat().st_size < 1 << 20
        assert "half ? of it" in written
        assert "Left out: application/json, more than 4 MiB" in written


def test_a_hook_of_the_courses_own_lets_no_link_through(course):
    secret = course / "secret.txt"
    secret.write_text("nobody's business")
    (course / "submitted" / "f_right" / "gauss" / "peek.txt").symlink_to(secret)
    with (course / "nbgrader_config.py").open("a") as config:
        config.write("\nc.Autograde.pre_convert_hook = lambda **names: None\n")
    nbgrader(course, "autograde", "gauss", "--student", "f_right")
    assert scores(course, "f_right") == [15]
    copies = [path for path in (course / "autograded").rglob("*") if path.is_file()]
    assert not [path for path in copies if b"nobody's business" in path.read_bytes()]
