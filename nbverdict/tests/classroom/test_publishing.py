"""Feedback is written, or its writing ends."""

import pytest

from nbverdict.classroom.course import AssignmentRun, Course
from nbverdict.classroom.feedback import FeedbackExporter
from nbverdict.classroom.publishing import give_feedback
from nbverdict.classroom.scheduling import grade_class
from support.classes import ASSIGNMENT


def test_an_interrupt_ends_the_writing_of_feedback_too(course, monkeypatch):
    """nbgrader takes it for a page that could not be written, and a watch would go on."""
    found = AssignmentRun(Course(course), ASSIGNMENT)
    list(grade_class(found, ["f_right"]))

    def interrupted(*given, **named):
        raise KeyboardInterrupt

    monkeypatch.setattr(FeedbackExporter, "from_notebook_node", interrupted)
    with pytest.raises(KeyboardInterrupt):
        give_feedback(found, "f_right")
