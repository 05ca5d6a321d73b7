"""A release is tried before students get it: the solution is graded from outside, as a submission will be.

What an answer gives in the instructor's notebook need not be what reaches its check in grading: a value that cannot be
sent, a file that will not be there, a limit of time.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path

import nbformat
from nbformat import NotebookNode
from traitlets.config import Config

from nbverdict.checks.assignments import Assignment, AssignmentError
from nbverdict.checks.report import Report
from nbverdict.confinement.layers import ConfinementError
from nbverdict.notebooks.execute import option
from nbverdict.notebooks.gathering import files_in, work_of
from nbverdict.notebooks.release import graded_cells_of, with_ids
from nbverdict.notebooks.work import Executed, cores, execute
from nbverdict.remote.conversation import KernelLostError

_SHARE = 0.5  # of an exercise's limit that a call of its solution may take


def refuse_unsolved(
    assignment: Assignment, notebooks: Mapping[str, NotebookNode], folder: Path, ignored: Iterable[str], config: Config
) -> None:
    """Raise AssignmentError unless the solved notebooks earn all points when they are graded from outside.

    `folder` has the files beside the notebooks, of which those that match `ignored` are left out.
    """
    graded = {name: book for name, book in notebooks.items() if list(graded_cells_of(book, name))}
    for name, book in graded.items():
        language = book.metadata.get("kernelspec", {}).get("language", "python")
        if language != "python":
            raise AssignmentError(
                f"{name}.ipynb is a notebook in {language}, and only those in Python are graded. Choose a Python "
                "kernel in Jupyter (Kernel, Change Kernel), or leave its cells ungraded."
            )
    if not graded or not option(config, "rehearse"):
        return
    texts = {name: nbformat.writes(with_ids(book)) for name, book in graded.items()}
    try:
        executed = execute(work_of(assignment, texts, files_in(folder, ignored), config), cores())
    except (ConfinementError, KernelLostError) as error:
        raise AssignmentError(f"the solution could not be tried: {error}") from None
    problems = [
        problem
        for name, book in graded.items()
        for cell in graded_cells_of(book, name)
        for problem in _problems(cell.name, executed, assignment)
    ]
    if problems:
        raise AssignmentError(
            "the solution does not earn all points when it is graded from outside, as submissions are:\n"
            + "\n".join(problems)
            + "\nTo release it all the same, set c.ExecuteOutside.rehearse = False in nbgrader_config.py."
        )


def _problems(name: str, executed: Executed, assignment: Assignment) -> list[str]:
    report: Report | None = executed.reports.get(name)
    if report is None:
        return [f"  {name}: it was not graded"]
    found = []
    if report.score < report.max_score:
        found.append(f"  {name}: {report.score:g} of {report.max_score:g} points")
        for results in report.causes.values():
            found += [f"    {results[0].name}:", *(f"      {line}" for line in results[0].message.splitlines())]
    exercise, longest = assignment.exercises.get(name), executed.longest.get(name, 0.0)
    if exercise and longest > _SHARE * exercise.seconds:
        found.append(
            f"  {name}: a call of the solution took {longest:.1f} s, and the limit is {exercise.seconds:g} s. Give "
            f'students more, in {exercise.checks.name}: EXERCISE = {{..., "seconds": {4 * longest:.0f}}}'
        )
    return found
