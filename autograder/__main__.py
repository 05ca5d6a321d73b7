"""The command line: `autograder grade ASSIGNMENT`, or `python -m autograder grade ASSIGNMENT`."""

import argparse
import contextlib
import io
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import filelock
from sqlalchemy.exc import OperationalError
from tqdm import tqdm

from autograder.classroom.course import Course, CourseError
from autograder.classroom.pools import RETRIES, PoolError, WorkerLost, cores, pool
from autograder.classroom.publishing import publish
from autograder.classroom.results import Graded, as_line, as_text, json_schema, schema_page, to_json
from autograder.classroom.scheduling import grade_class
from autograder.confinement.layers import Confinement, ConfinementError
from autograder.files import write_whole


def main(arguments: list[str] | None = None) -> int:
    """Run the command line and return its exit status.

    The status is 0 if all went well, 1 if some submission could not be graded, 2 if the run could not go on, and 130 if
    it was interrupted.
    """
    parser = argparse.ArgumentParser(prog="autograder", description="Grade notebooks, and say why.")
    commands = parser.add_subparsers(dest="command", required=True)
    grade = commands.add_parser("grade", help="grade the submissions of an assignment and print who lost which points")
    grade.add_argument("assignment", help="name of the assignment, as in the folder of its release")
    grade.add_argument("--student", metavar="ID", help="grade this student only")
    grade.add_argument("--force", action="store_true", help="grade again what has not changed since the last time")
    grade.add_argument("--jobs", metavar="N", type=_jobs, help="execute N submissions at a time (default: the cores)")
    grade.add_argument("--scheduler", metavar="ADDRESS", help="execute on the Dask cluster of this scheduler")
    grade.add_argument("--seed", metavar="N", type=int, help="draw the inputs of the checks from N, to repeat a run")
    grade.add_argument(
        "--require-confinement", action="store_true", help="grade nothing unless every layer of confinement is active"
    )
    grade.add_argument("--json", metavar="FILE", type=Path, help="also write the results to FILE")
    commands.add_parser("doctor", help="print what this machine offers to keep students' code in, and how to get more")
    schema = commands.add_parser("schema", help="print the JSON Schema of the results that grading writes")
    schema.add_argument("--markdown", action="store_true", help="print tables for people instead")
    options = parser.parse_args(arguments)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a terminal may lack characters that students use
    if options.command == "doctor":
        print("\n".join(Confinement().advice()))
        return 0
    if options.command == "schema":
        print(schema_page() if options.markdown else json.dumps(json_schema(), indent=1))
        return 0
    try:
        return _grade(options)
    except (CourseError, ConfinementError, PoolError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except OperationalError as error:
        print(f"error: the gradebook cannot be used: {error.orig}. Is another program using it?", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nstopped; what was graded is recorded, and the next run grades the rest", file=sys.stderr)
        return 130


def _jobs(text: str) -> int:
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a positive whole number")
    return int(text)


def _grade(options: argparse.Namespace) -> int:
    if options.json and not options.json.resolve().parent.is_dir():
        raise CourseError(f"the folder of {options.json} does not exist")
    course = Course(Path.cwd(), options.assignment, seed=options.seed, require_confinement=options.require_confinement)
    everybody = course.students()
    students = everybody if options.student is None else [options.student]
    if not students:
        where = Path(course.coursedir.submitted_directory) / "STUDENT" / options.assignment
        raise CourseError(f"nobody has handed in anything: there is no folder {where}")
    jobs = min(options.jobs or cores(), len(students))
    force = options.force or options.seed is not None
    with _alone(course):
        graded = _graded(course, students, jobs, options.scheduler, force=force)
        found = list(_shown(graded, len(students)))
        page = publish(course)
    submissions = sorted((one.submission for one in found), key=lambda submission: submission.student)
    print("\n".join(as_text(submissions)))
    kept = sum(not one.fresh for one in found)
    print(f"\n{len(submissions)} submissions, {kept} of them unchanged since they were graded (--force grades all)")
    print(course.confinement.summary())
    print(f"the class on one page: {page}")
    if options.json:
        write_whole(options.json, to_json(submissions))
    if failed := [submission.student for submission in submissions if not submission.digest]:
        print(f"error: not graded, and tried again by the next run: {', '.join(failed)}", file=sys.stderr)
        return 1
    return 0


def _graded(
    course: Course, students: Sequence[str], jobs: int, scheduler: str | None, *, force: bool
) -> Iterator[Graded]:
    """Yield the students' submissions as they end; a lost process costs a retry."""
    left = list(students)
    for last in (*(False,) * RETRIES, True):
        try:
            with pool(jobs, scheduler) as executor:
                for graded in grade_class(course, tuple(left), executor, force=force):
                    left.remove(graded.submission.student)
                    yield graded
            return
        except WorkerLost:
            if last:
                raise


@contextlib.contextmanager
def _alone(course: Course) -> Iterator[None]:
    """Keep a second run out of the gradebook; raise CourseError if this is the second."""
    course.published.mkdir(parents=True, exist_ok=True)
    try:
        with filelock.FileLock(course.published / ".lock", timeout=0):
            yield
    except filelock.Timeout:
        raise CourseError(f"another run is grading {course.name}; wait until it has ended") from None
    except PermissionError as error:
        raise CourseError(f"{error.filename} belongs to another user, and cannot be written") from None


def _shown(submissions: Iterator[Graded], number: int) -> Iterator[Graded]:
    """Show a progress bar, and a line for each student."""
    with tqdm(total=number, unit="student", disable=not sys.stderr.isatty()) as bar:
        for graded in submissions:
            bar.write(as_line(graded), file=sys.stderr)
            bar.update()
            yield graded


if __name__ == "__main__":
    sys.exit(main())
