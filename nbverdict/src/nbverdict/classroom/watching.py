"""The command `watch`: grade what is handed in as soon as it lies still, for as long as the command runs."""

import argparse
import sys
import time
from contextlib import suppress
from pathlib import Path

from nbverdict.classroom.command import graded_by, grading_lock, open_run, with_progress
from nbverdict.classroom.course import AssignmentRun, CourseError
from nbverdict.classroom.publishing import give_feedback, publish
from nbverdict.configuration import Configuration, ConfigurationError
from nbverdict.confinement.layers import ConfinementError
from nbverdict.notebooks.repair import refuse_too_many
from nbverdict.notebooks.work import cores

Files = tuple[tuple[str, int, int], ...]  # of a student: path, time of the last change, bytes


def watch(options: argparse.Namespace, configuration: Configuration | None) -> int:
    """Run the command with its options until it is interrupted or terminated, and return its exit status.

    `configuration` is that of the current folder as it is now; it is read again at each look.
    """
    run = open_run(options, configuration)
    print(f"waiting for {run.submitted('STUDENT')}; Ctrl-C ends this", file=sys.stderr)
    looked: dict[str, Files] = {}  # at the last look
    known: dict[str, Files] = {}  # when they were graded
    said = ""
    with suppress(KeyboardInterrupt):
        while True:
            problem = ""
            try:
                run = open_run(options, None)  # configuration and release may have changed
                now = {student: _files(run.submitted(student)) for student in run.students()}
                # What has just changed may still be on its way: it is graded when two looks find the same.
                arrived = [s for s, files in now.items() if files != known.get(s) and files == looked.get(s)]
                looked = now
                problem = "\n".join(f"not graded: {line}" for line in run.unusable_names())
                if arrived:
                    _grade(run, arrived, options)
                    known |= {student: now[student] for student in arrived}
            except ConfinementError:
                raise
            except Exception as error:  # a gradebook that is locked, a configuration half written: it may pass
                told = isinstance(error, CourseError | ConfigurationError)
                problem = f"error: {error}" if told else f"{type(error).__name__}: {error}"
            if problem and problem != said:
                print(f"{problem}\nstill waiting", file=sys.stderr)
            said = problem
            time.sleep(options.every)
    print("\nended; what was graded is recorded", file=sys.stderr)
    return 0


def _grade(run: AssignmentRun, students: list[str], options: argparse.Namespace) -> None:
    """Grade these students, give feedback to those whose work has changed, and publish."""
    jobs = min(options.jobs or cores(), len(students))
    with grading_lock(run):
        for one in with_progress(graded_by(run, students, jobs, None, force=False), len(students)):
            student = one.submission.student
            if one.fresh and (problem := give_feedback(run, student)):
                print(f"{student}: no feedback page was written: {problem}", file=sys.stderr)
        publish(run)


def _files(folder: Path) -> Files:
    """Return what a look at a folder tells of its files."""
    found = []
    try:
        refuse_too_many(folder)
    except (OSError, ValueError) as error:  # who grades will tell
        return ((str(error), 0, 0),)
    for path in sorted(folder.rglob("*")):
        with suppress(OSError):  # it has just been removed
            status = path.lstat()
            found.append((str(path), status.st_mtime_ns, status.st_size))
    return tuple(found)
