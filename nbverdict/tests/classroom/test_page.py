"""The page of a class."""

from urllib.parse import quote

from nbverdict.checks.report import Result
from nbverdict.classroom.page import class_page, suspects
from nbverdict.classroom.results import Outcome, Submission
from support.classes import EACH
from support.results import CLASS, FINDING


def test_the_page_of_a_class():
    pending = {"zoe": ["a question"], "=cmd": ["a question"]}
    points = EACH
    page = class_page("lab", points, CLASS, ["a late one"], pending, lambda s, e: f"../{quote(s)}/{e}.html")
    assert "bad &lt;b&gt;" in page
    assert "a &lt;script&gt;" in page
    assert "<script" not in page
    assert "http" not in page.replace("http-equiv", "")
    assert """<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src""" in page
    assert 'href="../zoe/entropy.html"' in page
    assert "@media print" in page
    people = page.split("Who needs a human")[1].split("<h2>")[0]
    assert "product died: one (-15): It ended." in people
    assert '<a href="#a%20late%20one">a late one</a><td>not graded' in people
    assert "zoe</a>" not in people  # who only waits for a grade by hand is counted
    assert "a question (2)" in people
    assert "mean 22" in page


def test_who_wrote_no_answer_fails_no_check():
    text = "product is not written yet: it raises NotImplementedError."
    unwritten = Result("one", "error", 0, 15, text, written=False)
    wrong = Result("two", "wrong", 0, 15, str(FINDING), FINDING)
    outcomes = [Outcome("product", "wrong", 0, 15, (check,)) for check in (unwritten, wrong)]
    students = [Submission(name, "x", (outcome,)) for name, outcome in zip("ab", outcomes, strict=True)]
    page = class_page("lab", {"product": 15}, students, [], {}, lambda student, exercise: "")
    most = page.split("fail most")[1].split("<h2>")[0]
    assert ">two<" in most
    assert ">one<" not in most


def test_the_page_of_nobody():
    assert "0 submissions" in class_page("lab", {}, [], [], {}, lambda student, exercise: "")


def test_a_check_that_may_be_wrong_itself_stands_on_top_and_its_students_are_listed():
    def submission(student, first, second):
        return Submission(student, "x", (Outcome("product", "wrong", 0, 15, (first, second)),))

    unjudged = Result("one", "error", 0, 5, "A Foo cannot be sent.", judged=False)
    failed = Result("two", "wrong", 0, 10, str(FINDING), FINDING)
    students = [submission(name, unjudged, failed) for name in ("ada", "bob", "eve")]
    assert suspects(students) == [
        "product, one: it judged nobody. A Foo cannot be sent.",
        "product, two: all 3 answers fail it",
    ]
    assert suspects(students[:2]) == ["product, one: it judged nobody. A Foo cannot be sent."]
    page = class_page("lab", {"product": 15}, students, [], {}, lambda student, exercise: "")
    assert page.index("Checks that may be wrong themselves") < page.index("<h2>Points</h2>")
    assert "ada</a>" in page.split("Who needs a human")[1].split("<h2>")[0]
    passed = [submission(name, Result("one", "passed", 5, 5), failed) for name in ("ada", "bob")]
    assert suspects(passed) == []
