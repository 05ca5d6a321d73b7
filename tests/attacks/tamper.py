"""Attacks on the notebook file itself: its cells, marks and format."""

import copy
import json
import re
from collections.abc import Callable
from pathlib import Path

from nbformat.v4 import new_code_cell, new_markdown_cell, new_output

from examples.make_class import ASSIGNMENT, Submission, find
from tests.attacks.common import (
    BYSTANDER,
    KILLED,
    LOST,
    NOTEBOOK,
    REPAIRED,
    Attack,
    Change,
    Place,
    altered,
    graded,
    notebook,
    placed,
)


def duplicate(submission: Submission) -> None:
    """The graded cell twice, once with an own source."""
    again = copy.deepcopy(graded(submission))
    again.id, again.source = "again", "15"
    notebook(submission).cells.append(again)


def delete(submission: Submission) -> None:
    """No graded cell."""
    notebook(submission).cells.remove(graded(submission))


def strip(submission: Submission) -> None:
    """No cell says what it is."""
    for cell in notebook(submission).cells:
        cell.metadata.pop("nbgrader", None)


def retype(submission: Submission) -> None:
    """The graded cell is text."""
    cells = notebook(submission).cells
    cell = graded(submission)
    metadata = {**cell.metadata, "nbgrader": {**cell.metadata.nbgrader, "cell_type": "markdown"}}
    cells[cells.index(cell)] = new_markdown_cell("15", metadata=metadata)


def bonus(submission: Submission) -> None:
    """One more graded cell."""
    marks = {"grade": True, "grade_id": "bonus", "points": 100, "locked": False, "solution": False}
    cell = new_code_cell("100", metadata={"nbgrader": {**marks, "schema_version": 3, "cell_type": "code"}})
    notebook(submission).cells.append(cell)


def mark(**marks: object) -> Change:
    """Return a change of what the graded cell says of itself."""
    return lambda submission: graded(submission).metadata.nbgrader.update(marks)


def grade_own_cell(submission: Submission) -> None:
    """The student's cell is the graded one and ends with 15."""
    cell = find(submission, "product_of_experts_answer")
    cell.metadata.nbgrader.update(grade=True, points=15, locked=False, solution=False)
    cell.source += "\n15"


def rewrite_graded(submission: Submission) -> None:
    """Another source in the locked cell."""
    graded(submission).source = "15"


def stored_outputs(submission: Submission) -> None:
    """The file holds outputs of 15, and the kernel ends before they are replaced."""
    cell = find(submission, "product_of_experts_answer")
    cell.source += "\nimport os, threading\nthreading.Timer(0.5, os._exit, (0,)).start()\nimport time\ntime.sleep(2)"
    graded(submission).outputs = [new_output("execute_result", {"text/plain": "15"}, execution_count=1)]
    graded(submission).execution_count = 1


def twice_named(submission: Submission) -> None:
    """The student's cell carries the name of the graded cell."""
    cell = find(submission, "product_of_experts_answer")
    cell.metadata.nbgrader.update(copy.deepcopy(graded(submission).metadata.nbgrader), points=15)
    cell.source += "\n15"


def kernelspec(**spec: str) -> Change:
    """Return a change of the kernel that the notebook asks for."""
    return lambda submission: notebook(submission).metadata.update(kernelspec=spec)


def many_cells(submission: Submission) -> None:
    """Two thousand cells."""
    notebook(submission).cells[1:1] = [new_code_cell(f"pass  # {i}") for i in range(2000)]


def slow_cells(submission: Submission) -> None:
    """Ten cells that each stay below the limit for one cell."""
    notebook(submission).cells[1:1] = [new_code_cell(f"import time; time.sleep(1.5)  # {i}") for i in range(10)]


def as_text(change: Callable[[str], str]) -> Place:
    """Return a place that rewrites the text of the notebook."""

    def place(folder: Path, course: Path) -> None:
        path = folder / NOTEBOOK
        path.write_bytes(change(path.read_text()).encode("utf-8", "surrogateescape"))

    return place


def third_format(text: str) -> str:
    """Return a notebook of 2014: worksheets, input instead of source."""
    cells = [
        {
            "cell_type": "code",
            "input": cell["source"],
            "language": "python",
            "outputs": [],
            "metadata": cell["metadata"],
        }
        for cell in json.loads(text)["cells"]
        if cell["cell_type"] == "code"
    ]
    return json.dumps({"metadata": {}, "nbformat": 3, "nbformat_minor": 0, "worksheets": [{"cells": cells}]})


def swollen(text: str) -> str:
    """Return the notebook with an output of 200 MB."""
    content = json.loads(text)
    cell = next(cell for cell in content["cells"] if cell["cell_type"] == "code")
    cell["outputs"] = [{"output_type": "stream", "name": "stdout", "text": "x" * 200_000_000}]
    return json.dumps(content)


def as_folder(folder: Path, course: Path) -> None:
    """A folder of the notebook's name."""
    (folder / NOTEBOOK).rename(folder / "notebook")
    (folder / NOTEBOOK).mkdir()
    (folder / "notebook").rename(folder / NOTEBOOK / NOTEBOOK)


def as_link(folder: Path, course: Path) -> None:
    """A link to another student's notebook."""
    (folder / NOTEBOOK).unlink()
    (folder / NOTEBOOK).symlink_to(course / "submitted" / BYSTANDER / ASSIGNMENT / NOTEBOOK)


def as_fifo(folder: Path, course: Path) -> None:
    """A link to a file that never ends."""
    (folder / NOTEBOOK).unlink()
    (folder / NOTEBOOK).symlink_to("/dev/zero")


def deep_metadata(text: str) -> str:
    """Return the notebook with metadata nested 100 000 deep."""
    return text.replace('"metadata": {', '"metadata": {"deep": ' + "[" * 100_000 + "]" * 100_000 + ", ", 1)


def surrogates(text: str) -> str:
    """Return the notebook with half of a character in a source."""
    return text.replace("import sys\\n", "import sys  # \\ud800\\n", 1)


TAMPER: dict[str, Attack] = {
    "duplicated_cell": altered("gain", "the graded cell twice, once with a source of its own", duplicate),
    "deleted_cell": altered("harm", "the graded cell deleted, the answer honest", delete, honest=True, status=REPAIRED),
    "deleted_cell_wrong": altered("gain", "the graded cell deleted, the answer wrong", delete),
    "renamed_cell": altered(
        "harm", "the graded cell renamed, the answer honest", mark(grade_id="mine"), honest=True, status=REPAIRED
    ),
    "retyped_cell": altered("gain", "the graded cell turned into text", retype),
    "stripped_metadata": altered(
        "harm", "nbgrader's metadata removed everywhere, the answer honest", strip, honest=True, status=REPAIRED
    ),
    "points_changed": altered("gain", "the graded cell says that it is worth 1500 points", mark(points=1500)),
    "points_absurd": altered("harm", "the graded cell's points are a text", mark(points="many"), status=("tampered",)),
    "manual_grading": altered("gain", "the graded cell says that it is a solution", mark(solution=True, locked=False)),
    "bonus_cell": altered("gain", "a graded cell of its own, worth 100 points", bonus),
    "own_cell_graded": altered("gain", "the answer's cell says that it is graded, and ends with 15", grade_own_cell),
    "twice_named": altered("gain", "the answer's cell takes the name of the graded cell", twice_named),
    "rewritten_cell": altered("gain", "the source of the graded cell is 15", rewrite_graded),
    "stored_outputs": altered("gain", "stored outputs of 15 and a kernel that dies", stored_outputs, status=KILLED),
    "unknown_kernel": altered(
        "harm",
        "another kernelspec, of a kernel that does not exist",
        kernelspec(name="bash-like", display_name="Bash", language="bash"),
        honest=True,
        status=REPAIRED,
    ),
    "many_cells": altered(
        "harm", "2000 cells more", many_cells, honest=True, status=("passed", "tampered", "timeout", "error")
    ),
    "slow_cells": altered(
        "harm", "10 cells that take 15 s together", slow_cells, honest=True, status=("passed", "timeout", "tampered")
    ),
    "nbformat_99": placed(
        "nbformat 99",
        as_text(lambda text: re.sub(r'"nbformat": 4', '"nbformat": 99', text)),
        status=("tampered", "error", "passed"),
        points=15,
    ),
    "nbformat_3": placed("the layout of nbformat 3", as_text(third_format), status=(*REPAIRED, "error"), points=15),
    "broken_json": placed("half of the JSON", as_text(lambda text: text[: len(text) // 2]), status=LOST),
    "empty_file": placed("an empty file", as_text(lambda text: ""), status=LOST),
    "other_json": placed("JSON that is no notebook", as_text(lambda text: "[15]"), status=LOST),
    "no_utf8": placed("bytes that are no text", as_text(lambda text: "\udcff\udcfe" + text), status=LOST),
    "half_character": placed(
        "half of a character in a source", as_text(surrogates), status=(*LOST, "passed", "wrong"), points=15
    ),
    "deep_json": placed("JSON nested 100 000 deep", as_text(deep_metadata), status=(*LOST, "passed"), points=15),
    "huge_notebook": placed("a notebook of 200 MB", as_text(swollen), status=(*LOST, "passed"), points=15),
    "notebook_is_folder": placed("a folder of the notebook's name", as_folder, status=LOST),
    "notebook_is_link": placed("a link to another student's notebook", as_link, status=LOST),
    "notebook_is_endless": placed("a link to /dev/zero", as_fifo, status=LOST),
}
