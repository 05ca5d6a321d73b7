"""The command `grade`: grade students, print who lost which points, and publish."""

import argparse
import contextlib
import errno
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import filelock
from sqlalchemy.exc import DatabaseError
from tqdm import tqdm

from nbverdict.classroom.changes import as_diff, changes, summary
from nbverdict.classroom.course import AssignmentRun, Course, CourseError
from nbverdict.classroom.page import suspects
from nbverdict.classroom.pools import RETRIES, PoolError, WorkerLost, pool
from nbverdict.classroom.publishing import publish
from nbverdict.classroom.recording import previous_result
from nbverdict.classroom.results import Graded, as_line, as_text, counted, to_json
from nbverdict.classroom.scheduling import grade_class
from nbverdict.configuration import Configuration, ConfigurationError
from nbverdict.confinement.layers import ConfinementError
from nbverdict.files import NO_ROOM, write_whole
from nbverdict.notebooks.work import cores


def report_errors(command: Callable[[], int]) -> int:
    """Run a command and return its exit status; what prevents it is told in a line, and the status is 2."""
    try:
        return command()
    except (CourseError, ConfigurationError, ConfinementError, PoolError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except DatabaseError as error:
        print(f"error: the gradebook cannot be used: {error.orig}{_advice(str(error.orig))}", file=sys.stderr)
        return 2
    except OSError as error:
        if error.errno not in (*NO_ROOM, errno.EACCES):
            raise
        what = "opened" if error.errno == errno.EACCES else "written"
        print(f"error: {error.filename or 'a file'} cannot be {what}: {error.strerror}", file=sys.stderr)
        return 2


def _advice(reason: str) -> str:
    """Return what to do about a gradebook that cannot be used."""
    if "locked" in reason:
        return ". Another program is using it: wait until that has ended."
    if "readonly" in reason or "unable to open" in reason:
        return ". Its file, or the folder, belongs to another user or must not be written."
    if "not a database" in reason or "malformed" in reason:
        return ". Restore gradebook.db from a copy, or move it away, and release the assignment again."
    return "."


def open_run(options: argparse.Namespace, configuration: Configuration | None) -> AssignmentRun:
    """Return the assignment of the course in the current folder, as the options of a command want it."""
    course = Course(
        Path.cwd(),
        seed=options.seed,
        require_confinement=options.require_confinement,
        configuration=configuration,
    )
    return AssignmentRun(course, options.assignment, note=options.note)


def grade(options: argparse.Namespace, configuration: Configuration | None) -> int:
    """Run the command with its options, and return its exit status; `configuration` is that of the current folder."""
    if options.json and not options.json.resolve().parent.is_dir():
        raise CourseError(f"the folder of {options.json} does not exist")
    run = open_run(options, configuration)
    everybody = run.students()
    students = everybody if options.student is None else [options.student]
    if not students:
        where = Path(run.course.coursedir.submitted_directory) / "STUDENT" / options.assignment
        raise CourseError(f"nobody has handed in anything: there is no folder {where}")
    jobs = min(options.jobs or cores(), len(students))
    force = options.force or options.seed is not None
    if options.dry_run:
        if options.json:
            raise CourseError("--json writes what was graded, and a dry run grades nothing: leave one of them out")
        return _compare(run, students, jobs, options.scheduler, force=force)
    with grading_lock(run):
        graded = graded_by(run, students, jobs, options.scheduler, force=force)
        found = list(with_progress(graded, len(students)))
        page = publish(run)
    submissions = sorted((one.submission for one in found), key=lambda submission: submission.student)
    print("\n".join(as_text(submissions)))
    kept = sum(not one.fresh for one in found)
    number = counted(len(submissions), "submission")
    print(f"\n{number}, {kept} of them unchanged since they were graded (--force grades all)")
    print(run.course.confinement.summary())
    print(f"the class on one page: {page}")
    feedback = run.course.coursedir.feedback_directory
    if stale := [one for one in found if one.fresh and run.folder(feedback, one.submission.student).is_dir()]:
        print(
            f"the feedback pages of {counted(len(stale), 'student')} are older than their grades: "
            f"nbgrader generate_feedback {run.assignment_name} --force"
        )
    for line in suspects(submissions):
        print(f"this check may be wrong itself: {line}")
    if options.json:
        write_whole(options.json, to_json(submissions))
    odd = run.unusable_names() if options.student is None else []
    for line in odd:
        print(f"error: not graded: {line}", file=sys.stderr)
    if failed := [submission.student for submission in submissions if not submission.digest]:
        print(f"error: not graded, and tried again by the next run: {', '.join(failed)}", file=sys.stderr)
        return 1
    return 1 if odd else 0


def _compare(run: AssignmentRun, students: Sequence[str], jobs: int, scheduler: str | None, *, force: bool) -> int:
    """Print what grading would change, and change nothing."""
    graded = graded_by(run, students, jobs, scheduler, force=force, dry=True)
    found = sorted(
        (one.submission for one in with_progress(graded, len(students))), key=lambda submission: submission.student
    )
    diffs = [(previous_result(run, submission.student), submission) for submission in found]
    for before, after in diffs:
        print("\n".join(as_diff(before, after)), end="\n" if before is None or changes(before, after) else "")
    print(f"\n{summary(diffs)}. This was a dry run: nothing was changed.")
    return 0


def graded_by(
    run: AssignmentRun, students: Sequence[str], jobs: int, scheduler: str | None, *, force: bool, dry: bool = False
) -> Iterator[Graded]:
    """Yield the students' submissions as they end; a lost process costs a retry."""
    if len(students) == 1 and not scheduler:  # there is nothing to record meanwhile
        yield from grade_class(run, students, force=force, dry=dry)
        return
    processors = 1 if scheduler else max(1, cores() // jobs)
    left = list(students)
    for last in (*(False,) * RETRIES, True):
        try:
            with pool(jobs, scheduler, prepare=run.prepare) as executor:
                for graded in grade_class(run, tuple(left), executor, processors=processors, force=force, dry=dry):
                    left.remove(graded.submission.student)
                    yield graded
            return
        except WorkerLost:
            if last:
                raise


@contextlib.contextmanager
def grading_lock(run: AssignmentRun) -> Iterator[None]:
    """Keep a second run out of the gradebook; raise CourseError if this is the second."""
    run.published.mkdir(parents=True, exist_ok=True)
    try:
        with filelock.FileLock(run.published / ".lock", timeout=0):
            yield
    except filelock.Timeout:
        raise CourseError(f"another run is grading {run.assignment_name}; wait until it has ended") from None
    except PermissionError as error:
        raise CourseError(f"{error.filename} belongs to another user, and cannot be written") from None


def with_progress(submissions: Iterator[Graded], number: int) -> Iterator[Graded]:
    """Show a progress bar, and a line for each student."""
    with tqdm(total=number, unit="student", disable=not sys.stderr.isatty()) as bar:
        for graded in submissions:
            bar.write(as_line(graded), file=sys.stderr)
            bar.update()
            yield graded
