"""What executing a submission needs, gathered from its folder, and a hash of all that decides its grade."""

import hashlib
from pathlib import Path

import nbformat

from nbverdict.classroom.course import AssignmentRun
from nbverdict.classroom.releases import hidden_digest, release_folder, releases_of
from nbverdict.notebooks import gathering
from nbverdict.notebooks.locating import locate
from nbverdict.notebooks.work import Work, digest, grading_code

PARTS = ("submission", "release", "configuration", "checks or grader")  # what decides a grade


def gather(run: AssignmentRun, student: str) -> Work:
    """Return a submission with its notebooks repaired. Raises OSError or ValueError for what cannot be read."""
    submitted, releases = run.submitted(student), releases_of(run.course.coursedir, run.assignment_name)
    source = Path(run.course.coursedir.format_path(run.course.coursedir.source_directory, ".", run.assignment_name))
    return gathering.gather(
        run.assignment,
        releases,
        locate(submitted, releases),
        [source, release_folder(run.course.coursedir, run.assignment_name), submitted],  # the instructor's files win
        ignored=run.course.coursedir.ignore,
        limits=run.course.confinement.limits,
        config=run.course.config,
    )


def work_of_release(run: AssignmentRun) -> Work:
    """Return the release as a submission: what can be executed wherever anything can."""
    releases = releases_of(run.course.coursedir, run.assignment_name)
    notebooks = {name: nbformat.writes(one.to_be_graded()) for name, one in releases.items()}
    return gathering.work_of(run.assignment, notebooks, {}, run.course.config)


def grade_digest(run: AssignmentRun, student: str) -> str:
    """Return a hash of each part that decides a grade, in the order of `PARTS`."""
    handed_out = (
        digest(release_folder(run.course.coursedir, run.assignment_name)),
        hidden_digest(run.course.coursedir, run.assignment_name),
    )
    parts = [
        digest(run.submitted(student)),
        hashlib.sha256("".join(handed_out).encode()).hexdigest(),
        digest(*run.course.config_files),
        grading_code(run.assignment, run.course.config),
    ]
    return "-".join(parts)


def what_differs(before: str, after: str) -> list[str]:
    """Return which parts have changed between two digests; none if one of them is empty or of another form."""
    old, new = before.split("-"), after.split("-")
    if not len(old) == len(new) == len(PARTS):
        return []
    return [part for part, one, other in zip(PARTS, old, new, strict=True) if one != other]
