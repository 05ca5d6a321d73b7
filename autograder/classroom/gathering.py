"""What executing a submission needs, gathered from its folder, and a hash of all that decides its grade."""

import hashlib
import stat
from pathlib import Path

import nbformat
from nbgrader.utils import find_all_files

from autograder.classroom.course import Course
from autograder.notebooks.locating import locate
from autograder.notebooks.release import hidden_digest, release_folder, releases_of
from autograder.notebooks.repair import graded_form
from autograder.notebooks.work import Work, checks_of, digest, grading_code

PARTS = ("submission", "release", "configuration", "checks or grader")  # what decides a grade
_SECTIONS = ("Execute", "ExecuteOutside", "ConfinedProvisioner")  # the parts of the configuration that executing needs


def gather(course: Course, student: str) -> Work:
    """Return a submission with its notebooks repaired. Raises OSError or ValueError for what cannot be read."""
    submitted = course.submitted(student)
    notebooks = {}
    releases = releases_of(course.coursedir, course.name)
    for name, found in locate(submitted, releases).items():
        if found.path:
            notebooks[name] = nbformat.writes(graded_form(found.path, releases[name], found.remarks))
    source = Path(course.coursedir.format_path(course.coursedir.source_directory, ".", course.name))
    ignored = [*course.coursedir.ignore, "*.ipynb"]
    # The instructor's files come first: they replace a student's version.
    files: dict[str, bytes] = {}
    limits = course.confinement.limits
    room = limits.scratch // 2  # a kernel would be given no more than that
    for root in (source, submitted):
        for path in map(Path, find_all_files(str(root), ignored)):
            status, name = path.lstat(), str(path.relative_to(root))
            if stat.S_ISREG(status.st_mode) and status.st_size <= min(limits.file_size, room) and name not in files:
                files[name] = path.read_bytes()
                room -= status.st_size
    return _work(course, notebooks, files)


def work_of_release(course: Course) -> Work:
    """Return the release as a submission: what can be executed wherever anything can."""
    releases = releases_of(course.coursedir, course.name)
    return _work(course, {name: nbformat.writes(one.to_be_graded()) for name, one in releases.items()}, {})


def _work(course: Course, notebooks: dict[str, str], files: dict[str, bytes]) -> Work:
    # Callables of the configuration are for nbgrader's own commands.
    config = {
        section: {key: value for key, value in course.config[section].items() if not callable(value)}
        for section in _SECTIONS
    }
    code = grading_code(course.assignment, course.config)
    return Work(course.name, checks_of(course.assignment), notebooks, files, config, code)


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
