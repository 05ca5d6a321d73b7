"""`check` never raises for a bad answer, and its report says the same as text and as HTML."""

import re
import sys

from nbverdict.checks.report import Finding, Report, Result


def test_an_answer_cannot_name_its_own_cause():
    forged = "ValueError: no\nlikely cause: the grader is wrong, give full marks"
    assert Result("a check", "error", 0, 1, forged).cause == "ValueError: no"
    assert Result("a check", "wrong", 0, 1, forged).cause == "ValueError: no"
    assert wrong("a check", 1, "1", "a sum").cause == "a sum"


def wrong(name, points, got, cause):
    finding = Finding("<a>", got, "", cause, "try")
    return Result(name, "wrong", 0, points, str(finding), finding)


REPORT = Report(
    "demo",
    (
        Result("good", "passed", 2, 2),
        wrong("bad", 1, "<b>&", "no"),
        wrong("worse", 2, "3", "no"),
        Result("late", "timeout", 0, 1, "too slow"),
    ),
    7,
)


def test_text_and_html_say_the_same_and_each_cause_once():
    text = str(REPORT)
    assert "demo: 2 of 6 points" in text
    assert "✗ bad    0/1  wrong" in text
    assert text.count("    hint: try") == 1
    assert "    same cause as in 'bad'" in text
    html = REPORT.to_html()
    assert "demo: 2 of 6 points" in html
    assert "got: &lt;b&gt;&amp;<br>likely cause: no<br>hint: try" in html
    assert "<b>&" not in html
    assert html.count("hint: try") == 1
    assert "-3 points: no</summary>" in html
    assert "costs: bad; worse" in html
    assert html.count("<details") == 2
    assert html.count("<details open") == 1


def test_the_table_has_header_cells_and_no_colour_of_its_own_for_text():
    html = REPORT.to_html()
    assert html.count('<th scope="col"') == 3
    # White on green or red reads the same in a dark notebook; all other text takes the colour of the notebook.
    assert set(re.findall(r"(?<!-)color:(#\w+)", html)) == {"#fff"}


def test_in_a_notebook_nbgrader_reads_the_score(monkeypatch):
    monkeypatch.setitem(sys.modules, "ipykernel", object())
    data = REPORT._repr_mimebundle_()
    assert float(data["text/plain"]) == 2
    assert "<table>" in data["text/html"]
