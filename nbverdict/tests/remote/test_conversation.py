"""Asking a kernel that is late, lost, or says what no kernel says."""

import textwrap

import nbformat
import pytest

from nbverdict.classroom.course import AssignmentRun, Course
from nbverdict.classroom.scheduling import grade
from nbverdict.clock import Clock
from nbverdict.remote.conversation import Conversation, KernelLostError
from support.classes import ASSIGNMENT, NAME


def test_a_kernel_that_is_lost_costs_one_more_try_and_no_points(course, monkeypatch):
    """Its reason is ours: the grade is not that of a notebook that died."""
    lost = iter([True])

    def ask(self, request, seconds, real=Conversation.ask):
        if next(lost, False):  # of the test, below
            raise KernelLostError("the process that kernels are forked from has ended")
        return real(self, request, seconds)

    monkeypatch.setattr(Conversation, "ask", ask)
    of_the_class = AssignmentRun(Course(course), ASSIGNMENT)
    assert grade(of_the_class, "f_right").points == 15
    lost = iter([True] * 100)
    failed = grade(of_the_class, "g_right")
    assert not failed.digest
    assert {outcome.status for outcome in failed.outcomes if outcome.exercise == "product"} == {"error"}
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
    folder = course / "submitted" / "f_right" / "gauss"
    book = nbformat.read(folder / f"{NAME}.ipynb", as_version=4)
    book.cells.insert(1, nbformat.v4.new_code_cell(textwrap.dedent(code)))
    nbformat.write(book, folder / f"{NAME}.ipynb")
    graded = grade(AssignmentRun(Course(course), ASSIGNMENT), "f_right")
    assert graded.digest
    assert grade(AssignmentRun(Course(course), ASSIGNMENT), "f_right").digest == graded.digest


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
    assert grade(AssignmentRun(Course(course), ASSIGNMENT), "f_right").points == 15
    assert answering
