"""What executing a submission needs, gathered from its folder, and a hash of all that decides its grade."""

import hashlib
from pathlib import Path

import nbformat

from nbverdict.classroom.course import Course
from nbverdict.classroom.releases import hidden_digest, release_folder, releases_of
from nbverdict.notebooks import gathering
from nbverdict.notebooks.locating import locate
from nbverdict.notebooks.work import Work, digest, grading_code

PARTS = ("submission", "release", "configuration", "checks or grader")  # what decides a grade


def gather(course: Course, student: str) -> Work:
    """Return a submission with its notebooks repaired. Raises OSError or ValueError for what cannot be read."""
    submitted, releases = course.submitted(student), releases_of(course.coursedir, course.name)
    source = Path(course.coursedir.format_path(course.coursedir.source_directory, ".", course.name))
    return gathering.gather(
        course.assignment,
        releases,
        locate(submitted, releases),
        [source, release_folder(course.coursedir, course.name), submitted],  # the instructor's files win
        ignored=course.coursedir.ignore,
        limits=course.confinement.limits,
        config=course.config,
    )


def work_of_release(course: Course) -> Work:
    """Return the release as a submission: what can be executed wherever anything can."""
    releases = releases_of(course.coursedir, course.name)
    notebooks = {name: nbformat.writes(one.to_be_graded()) for name, one in releases.items()}
    return gathering.work_of(course.assignment, notebooks, {}, course.config)


def grade_digest(course: Course, student: str) -> str:
    """Return a hash of each part that decides a grade, in the order of `PARTS`."""
    handed_out = digest(release_folder(course.coursedir, course.name)), hidden_digest(course.coursedir, course.name)
    parts = [
        digest(course.submitted(student)),
        hashlib.sha256("".join(handed_out).encode()).hexdigest(),
        digest(*course.config_files),
        grading_code(course.assignment, course.config),
    ]
    return "-".join(parts)


def what_differs(before: str, after: str) -> list[str]:
    """Return which parts have changed between two digests; none if one of them is empty or of another form."""
    old, new = before.split("-"), after.split("-")
    if not len(old) == len(new) == len(PARTS):
        return []
    return [part for part, one, other in zip(PARTS, old, new, strict=True) if one != other]
