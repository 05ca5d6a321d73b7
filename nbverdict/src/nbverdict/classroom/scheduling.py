"""Who is graded, and in what order: unchanged submissions are left alone, the others executed and recorded."""

import concurrent.futures
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from sqlalchemy.exc import DatabaseError

from nbverdict.checks.report import plain
from nbverdict.classroom.course import AssignmentRun, CourseError
from nbverdict.classroom.gathering import gather, grade_digest, work_of_release
from nbverdict.classroom.recording import preview, record, unchanged
from nbverdict.classroom.results import Graded, Submission
from nbverdict.confinement.layers import ConfinementError
from nbverdict.files import NO_ROOM
from nbverdict.notebooks.repair import put_aside, refuse_too_many
from nbverdict.notebooks.verdict import Outcome
from nbverdict.notebooks.work import Executed, Work, cores, execute

MOST_IN_VAIN = 3  # failed submissions after which is asked whether it is they who are at fault
MOST_WAITING = 64  # submissions that wait in an executor at the same time, at most

_EVERYBODYS = (ConfinementError, CourseError, DatabaseError)  # what no other submission escapes either

_Waiting = dict["concurrent.futures.Future[Executed]", tuple[str, str]]  # -> student, digest


def grade(run: AssignmentRun, student: str, *, force: bool = False) -> Submission:
    """Grade one student's submission; one that has not changed since is taken from its file unless `force`."""
    return next(grade_class(run, [student], force=force)).submission


def grade_class(
    run: AssignmentRun,
    students: Sequence[str],
    executor: concurrent.futures.Executor | None = None,
    *,
    processors: int = 1,
    force: bool = False,
    dry: bool = False,
) -> Iterator[Graded]:
    """Grade students and yield their submissions as they end; an executor executes several at a time.

    With an executor, one submission is recorded while others are executed, each on so many processors; without, this
    process does one after the other, on all processors.

    However this ends, the gradebook holds only whole submissions: what was not recorded is graded the next time. With
    `dry` nothing is changed anywhere; the submissions are what grading would record.
    """
    for student in students:
        if not (where := run.submitted(student)).is_dir():
            raise CourseError(f"{student} has no folder {where}. The students are: {', '.join(run.students())}")
    write = preview if dry else record
    waiting: _Waiting = {}
    tried: Counter[bool] = Counter()  # submissions by whether executing them failed

    def recorded(student: str, digest: str, executed: Executed | Exception) -> Graded:
        submission = _written(write, run, student, digest, executed)
        tried[not submission.digest] += 1
        if tried[True] == MOST_IN_VAIN and not tried[False] and (why := _fault(run, executor)):
            raise CourseError(f"none of the first {MOST_IN_VAIN} submissions could be graded ({why}).")
        return Graded(submission, fresh=True)

    for student in students:
        try:
            refuse_too_many(run.submitted(student))  # before anything is read
            if not dry:
                put_aside(run.submitted(student))
            digest = grade_digest(run, student)
            known = None if force else unchanged(run, student, digest)
            work = None if known else gather(run, student)
        except _EVERYBODYS:
            raise
        except Exception as error:  # this student's problem, nobody else's
            yield Graded(_written(write, run, student, "", error), fresh=True)
            continue
        if known:
            yield Graded(known, fresh=False)
            continue
        assert work is not None
        if executor is None:
            run.prepare()
            yield recorded(student, digest, _execute_here(work))
            continue
        waiting[executor.submit(execute, work, processors)] = student, digest
        # Enough to keep every worker busy; a class of any size takes no more memory than these.
        while len(waiting) >= MOST_WAITING:
            yield recorded(*_first_of(waiting))
    while waiting:
        yield recorded(*_first_of(waiting))


def _written(
    write: Callable[[AssignmentRun, str, str, Executed | Exception], Submission],
    run: AssignmentRun,
    student: str,
    digest: str,
    executed: Executed | Exception,
) -> Submission:
    """Write what a submission earned; where that fails, return a submission that says so and is graded again."""
    try:
        return write(run, student, digest, executed)
    except _EVERYBODYS:
        raise
    except OSError as error:
        if error.errno in NO_ROOM:
            raise
        why: Exception = error
    except Exception as error:
        why = error
    problem = plain(f"the grader stopped at this submission: {type(why).__name__}: {why}")
    outcomes = (Outcome(cell.name, "error", 0.0, cell.points, problem=problem) for cell in run.cells)
    return Submission(student, "", tuple(outcomes))


def _fault(run: AssignmentRun, executor: concurrent.futures.Executor | None) -> str:
    """Return what keeps every submission from being graded, or "": then the release itself can be, and be recorded."""
    work = work_of_release(run)
    autograded = Path(run.course.coursedir.format_path(run.course.coursedir.autograded_directory, ".", "."))
    try:
        executed = executor.submit(execute, work).result() if executor else _execute_here(work)
        if isinstance(executed, Exception):
            raise executed
        autograded.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=autograded) as file:
            file.write(bytes(1 << 20))
    except (ConfinementError, concurrent.futures.BrokenExecutor):
        raise  # a lost process may be replaced
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return ""


def _first_of(waiting: _Waiting) -> tuple[str, str, Executed | Exception]:
    """Wait for the first submission that was executed, and take it out: student, digest, what came of it."""
    done, _ = concurrent.futures.wait(waiting, return_when=concurrent.futures.FIRST_COMPLETED)
    future = done.pop()
    student, digest = waiting.pop(future)
    error = future.exception()
    if isinstance(error, concurrent.futures.BrokenExecutor | ConfinementError):
        raise error  # nobody is left to execute the others, or nobody may
    return student, digest, error if isinstance(error, Exception) else future.result()


def _execute_here(work: Work) -> Executed | Exception:
    try:
        return execute(work, cores())
    except ConfinementError:
        raise
    except Exception as error:
        return error
