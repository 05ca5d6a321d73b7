"""The page on which answers in words are graded."""

from nbverdict.classroom.course import AssignmentRun, Course
from nbverdict.classroom.scheduling import grade
from nbverdict.classroom.words import ManualGradingPage
from support.classes import ASSIGNMENT, NAME


def test_a_student_may_be_called_words(course):
    (course / "submitted" / "f_right").rename(course / "submitted" / "words")
    of_the_class = AssignmentRun(Course(course), ASSIGNMENT)
    grade(of_the_class, "words")
    stored = (course / "grades" / "gauss" / "words.json").read_bytes()
    page = ManualGradingPage(of_the_class)
    name = next(name for name, question in page.questions.items() if question.notebook == NAME)
    assert page.give(name, "words", [], "well said", 1.0) == 1.0
    assert (course / "grades" / "gauss" / "words.json").read_bytes() == stored
    assert "well said" in ManualGradingPage(of_the_class).page("/x/")
