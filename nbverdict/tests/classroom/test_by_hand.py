"""Grades by hand are asked for again where the answer changed."""

import shutil

from nbgrader.api import Gradebook

from nbverdict.classroom.course import AssignmentRun, Course
from nbverdict.classroom.scheduling import grade_class
from support.classes import ASSIGNMENT, NAME
from support.commands import nbgrader
from support.grading import manual_score


def test_a_grade_by_hand_is_asked_for_again_only_where_the_answer_changed(course):
    def waiting(student):
        with Gradebook(f"sqlite:///{course / 'gradebook.db'}") as gradebook:
            return gradebook.find_grade("product", NAME, "gauss", student).needs_manual_grade

    students = ["b_textbook", "c_averages"]
    list(grade_class(AssignmentRun(Course(course), ASSIGNMENT), students))
    for student in students:
        manual_score(course, student, 3)
    shutil.copy(
        course / "submitted" / "f_right" / "gauss" / f"{NAME}.ipynb",
        course / "submitted" / "c_averages" / "gauss",
    )
    list(grade_class(AssignmentRun(Course(course), ASSIGNMENT), students, force=True))
    assert [waiting(student) for student in students] == [False, True]
    nbgrader(course, "autograde", "gauss", "--student", "b_textbook", "--force")
    assert not waiting("b_textbook")
