"""The command line: `python -m autograder grade multiview_vae`."""

import argparse
import sys
from pathlib import Path

from tqdm import tqdm

from autograder.course import Course, CourseError, as_json, as_text, write_json


def main(arguments: list[str] | None = None) -> int:
    """Run the command line and return its exit status: 0, or 2 if nothing could be graded."""
    parser = argparse.ArgumentParser(prog="python -m autograder", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    grade = commands.add_parser("grade", help="grade the submissions of an assignment and print who lost which points")
    grade.add_argument("assignment", help="name of the assignment, for example multiview_vae")
    grade.add_argument("--student", metavar="ID", help="grade this student only")
    grade.add_argument("--force", action="store_true", help="grade again what has not changed since the last time")
    grade.add_argument("--json", metavar="FILE", type=Path, help="write the results to FILE, too")
    options = parser.parse_args(arguments)
    try:
        if options.json and not options.json.resolve().parent.is_dir():
            raise CourseError(f"the folder of {options.json} does not exist")
        course = Course(Path.cwd(), options.assignment)
        students = [options.student] if options.student else course.students()
        if not students:
            where = Path(course.coursedir.submitted_directory) / "STUDENT" / options.assignment
            raise CourseError(f"nobody has handed in anything: there is no folder {where}")
        progress = tqdm(students, unit="student", disable=not sys.stderr.isatty())
        submissions = [course.grade(student, force=options.force) for student in progress]
    except CourseError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print("\n".join(as_text(submissions)))
    kept = sum(not submission.fresh for submission in submissions)
    print(f"\n{len(submissions)} submissions, {kept} of them unchanged since they were graded (--force grades all)")
    if options.json:
        write_json([as_json(submission) for submission in submissions], options.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
