"""The command line: `python -m autograder grade multiview_vae`."""

import argparse
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from tqdm import tqdm

from autograder.confinement.layers import Confinement, ConfinementError
from autograder.course import Course, CourseError
from autograder.pools import PoolError, pool
from autograder.results import Submission, as_json, as_line, as_text, write_json


def main(arguments: list[str] | None = None) -> int:
    """Run the command line and return its exit status: 0, 2 if nothing could be graded, 130 if it was interrupted."""
    parser = argparse.ArgumentParser(prog="python -m autograder", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    grade = commands.add_parser("grade", help="grade the submissions of an assignment and print who lost which points")
    grade.add_argument("assignment", help="name of the assignment, for example multiview_vae")
    grade.add_argument("--student", metavar="ID", help="grade this student only")
    grade.add_argument("--force", action="store_true", help="grade again what has not changed since the last time")
    grade.add_argument("--jobs", metavar="N", type=_jobs, help="execute N submissions at a time (default: the cores)")
    grade.add_argument("--scheduler", metavar="ADDRESS", help="execute on the Dask cluster of this scheduler")
    grade.add_argument("--seed", metavar="N", type=int, help="draw the inputs of the checks from N, to repeat a run")
    grade.add_argument(
        "--require-confinement", action="store_true", help="grade nothing with less than every layer of confinement"
    )
    grade.add_argument("--json", metavar="FILE", type=Path, help="write the results to FILE, too")
    commands.add_parser("doctor", help="print what this machine offers to keep students' code in, and how to get more")
    options = parser.parse_args(arguments)
    if options.command == "doctor":
        print("\n".join(Confinement().advice()))
        return 0
    try:
        return _grade(options)
    except (CourseError, ConfinementError, PoolError) as error:
        print(f"error: {error}", file=sys.stderr)
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
    students = [options.student] if options.student else course.students()
    if not students:
        where = Path(course.coursedir.submitted_directory) / "STUDENT" / options.assignment
        raise CourseError(f"nobody has handed in anything: there is no folder {where}")
    jobs = min(options.jobs or os.cpu_count() or 1, len(students))
    force = options.force or options.seed is not None
    with pool(jobs, options.scheduler) as executor:
        submissions = list(_shown(course.grade_class(students, executor, force=force), len(students)))
    submissions.sort(key=lambda submission: submission.student)
    print("\n".join(as_text(submissions)))
    kept = sum(not submission.fresh for submission in submissions)
    print(f"\n{len(submissions)} submissions, {kept} of them unchanged since they were graded (--force grades all)")
    print(course.confinement.summary())
    print(f"the class on one page: {course.write_results()}")
    if options.json:
        write_json([as_json(submission) for submission in submissions], options.json)
    return 0


def _shown(submissions: Iterator[Submission], number: int) -> Iterator[Submission]:
    """Show a progress bar, and a line for each student."""
    with tqdm(total=number, unit="student", disable=not sys.stderr.isatty()) as bar:
        for submission in submissions:
            bar.write(as_line(submission), file=sys.stderr)
            bar.update()
            yield submission


if __name__ == "__main__":
    sys.exit(main())
