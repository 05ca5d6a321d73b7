"""What is known of a class, written for people and for other programs."""

import json
import os
from pathlib import Path
from urllib.parse import quote

from nbgrader.converters import GenerateFeedback
from traitlets.config import Config

from nbverdict.classroom.course import AssignmentRun
from nbverdict.classroom.page import class_page
from nbverdict.classroom.recording import cause_of, read_result, run_nbgrader
from nbverdict.classroom.results import InWords, as_csv
from nbverdict.doors.gradescope import as_gradescope
from nbverdict.files import write_whole


def publish(run: AssignmentRun) -> Path:
    """Write the results of all students whose results are stored; return the path of the class page."""
    names = {cell.name for cell in run.cells}
    students, known = run.students(), []
    for student in students:
        if (found := read_result(run, student)) and {outcome.exercise for outcome in found.outcomes} == names:
            known.append(found)
    for submission in known:
        path = run.published / "gradescope" / submission.student / "results.json"
        write_whole(path, json.dumps(as_gradescope(submission.outcomes), indent=1) + "\n")
    in_words, pending = _by_hand(run)
    write_whole(run.published / "grades.csv", as_csv([cell.name for cell in run.cells], known, in_words))
    page, graded = run.published / "index.html", {submission.student for submission in known}
    pages = {cell.name: f"{cell.notebook}.html" for cell in run.cells}

    def feedback(student: str, exercise: str) -> str:
        """Return the address of a feedback page, which nbgrader may write later."""
        folder = run.folder(run.course.coursedir.feedback_directory, student)
        return quote(os.path.relpath(folder / pages[exercise], run.published))

    ungraded = [student for student in students if student not in graded]
    points = {cell.name: cell.points for cell in run.cells}
    write_whole(page, class_page(run.assignment_name, points, known, ungraded, pending, feedback))
    return page


def give_feedback(run: AssignmentRun, student: str) -> str:
    """Let nbgrader write the feedback pages of a student; return why it could not, or nothing."""
    result = run_nbgrader(
        run, GenerateFeedback(coursedir=run.course.coursedir, config=Config(run.course.config)), student
    )
    return "" if result["success"] else cause_of(result)


def _by_hand(run: AssignmentRun) -> tuple[dict[str, dict[str, InWords]], dict[str, list[str]]]:
    """Return, by student, the questions that people grade, and what waits for a grade by hand."""
    automatic = {cell.name for cell in run.cells}
    in_words: dict[str, dict[str, InWords]] = {}
    pending: dict[str, list[str]] = {}
    with run.course.gradebook() as gradebook:
        for submission in gradebook.assignment_submissions(run.assignment_name):
            for grade in (grade for notebook in submission.notebooks for grade in notebook.grades):
                waiting = bool(grade.needs_manual_grade)
                if waiting:
                    pending.setdefault(submission.student.id, []).append(grade.name)
                if grade.name not in automatic:
                    answer = InWords(float(grade.score or 0.0), float(grade.max_score), waiting)
                    in_words.setdefault(submission.student.id, {})[grade.name] = answer
    return in_words, pending
