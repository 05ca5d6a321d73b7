"""What a student hands in, made fit for grading: read with care, and given back the marks of the release."""

import copy
import json
import os
import re
import stat
import subprocess
import sys
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import nbformat
from nbformat import NotebookNode
from nbgrader.utils import parse_utc

from autograder.checking.report import plain

STATE = "autograder"  # key in the metadata of a notebook between its repair and its execution
LEFT_OUT = ".not-graded"  # suffix of what was put aside; nbgrader's configuration ignores it
MOST_BYTES = 20 << 20  # of a notebook that is read here; a larger one is stripped of its outputs elsewhere
TIMESTAMP = "timestamp.txt"  # in which nbgrader's exchange keeps when a submission was handed in
MOST_FILES = 2000  # of a submission, folders included
MOST_COPIED = 256 << 20  # bytes of the files beside its notebooks
_MOST_TIMESTAMP = 100
_MOST_CELLS = 2000
_TYPES = ("code", "markdown", "raw")
_MARKS = ("cell_type", "checksum", "grade", "grade_id", "locked", "points", "schema_version", "solution", "task")
_LONGEST_MARK = 200  # characters


class Unreadable(ValueError):
    """The file is not a readable notebook; `status` and the message say what it is."""

    def __init__(self, status: str, message: str) -> None:
        super().__init__(plain(message))
        self.status = status


def refuse_too_many(folder: Path) -> None:
    """Raise ValueError if a submission has more files than nbgrader can copy: its time grows with their square."""
    count = 0
    for _, folders, files in os.walk(folder):
        count += len(folders) + len(files)
        if count > MOST_FILES:
            raise ValueError(
                f"{folder} has more than {MOST_FILES:,} files and folders. Keep the notebooks, and what they read"
            )


def put_aside(folder: Path) -> None:
    """Rename what nbgrader must not follow or copy: links, devices, and files that together are too large.

    Notebooks keep their names. A sparse file counts with the size that its copy would have.
    """
    room = MOST_COPIED
    for here, folders, files in os.walk(folder):
        for path in (Path(here, name) for name in (*folders, *files)):
            if path.suffix in (".ipynb", LEFT_OUT):
                continue
            status = path.lstat()
            size = status.st_size if stat.S_ISREG(status.st_mode) else 0
            if size > room or not (stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode)):
                path.rename(path.with_name(path.name + LEFT_OUT))
            else:
                room -= size


def handed_in(folder: Path) -> datetime | None:
    """Return when a submission was handed in, in UTC, as its timestamp.txt says; None if there is none, or it is empty.

    Raises ValueError for what is no date; no more of the file is read than a date has.
    """
    path = folder / TIMESTAMP
    if path.is_symlink() or not path.is_file():
        return None
    with path.open("rb") as file:
        content = file.read(_MOST_TIMESTAMP + 1)
    if len(content) > _MOST_TIMESTAMP:
        raise ValueError(f"{TIMESTAMP} is longer than a date")
    text = content.decode(errors="replace").strip()
    try:
        date: datetime | None = parse_utc(text) if text else None
    except (ValueError, OverflowError, TypeError) as error:
        raise ValueError(f"{TIMESTAMP} is no date ({text!a})") from error
    return date


def graded_form(path: Path, release: NotebookNode) -> NotebookNode:
    """Return the notebook to grade, with what was found in its metadata under `STATE`.

    If it cannot be read at all, the release takes its place, marked as refused, and none of its cells will run.
    """
    try:
        cells, found = read(path)
        notebook, repairs = repair(cells, release)
        try:
            handed_in(path.parent)
        except ValueError as error:
            found.append(f"{error}, so that nobody knows when this was handed in; it was graded without.")
        if aside := sorted(left.name.removesuffix(LEFT_OUT) for left in path.parent.rglob(f"*{LEFT_OUT}")):
            names = ", ".join(aside[:5]) + (f" and {len(aside) - 5} more" if len(aside) > 5 else "")
            found.append(f"Graded without {names}: no file, or more than {MOST_COPIED >> 20} MiB in all.")
    except Unreadable as error:
        notebook = copy.deepcopy(release)
        notebook.cells.insert(0, nbformat.v4.new_markdown_cell(f"**Not graded:** {error}"))
        notebook.metadata[STATE] = {"refused": [error.status, str(error)]}
        return notebook
    rows = [_row("tampered", text) for text in repairs] + [_row("passed", text) for text in found]
    notebook.metadata[STATE] = {"repairs": rows}
    return notebook


def _row(status: str, text: str) -> dict[str, Any]:
    name = "Put right before grading"
    return {"name": name, "status": status, "points": 0.0, "max_points": 0.0, "message": plain(text)}


def read(path: Path) -> tuple[list[NotebookNode], list[str]]:
    """Return the cells of a notebook file, and what is unusual about the file.

    Of each cell only type, id, source and the nbgrader marks are kept. Raises Unreadable.
    """
    again = "Open it in Jupyter, run it from top to bottom, save it and hand it in again."
    if path.is_symlink() or not path.is_file():
        raise Unreadable("tampered", f"{path.name} is not a file (a link, or a folder). Hand in the notebook itself.")
    found = []
    try:
        if (size := path.stat().st_size) > MOST_BYTES:
            found.append(f"{path.name} had {size >> 20} MiB; its outputs were not read.")
            text = _stripped(path)
        else:
            text = path.read_text(encoding="utf-8", errors="replace")
        content = json.loads(text)
        if content.get("nbformat") != 4:
            found.append(f"{path.name} says that it has notebook format {str(content.get('nbformat'))[:20]}, not 4.")
        cells = content["cells"] if "cells" in content else content["worksheets"][0]["cells"]
        kernel = content.get("metadata", {}).get("kernelspec", {})
        if kernel.get("language", "python") != "python":
            found.append(f"{path.name} asked for the kernel {str(kernel.get('name'))[:40]!r}; it ran in Python.")
        return [_plain(cell) for cell in cells[:_MOST_CELLS]], found
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        reason = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        raise Unreadable("error", f"{path.name} is not a readable notebook ({reason}). {again}") from None


def _stripped(path: Path) -> str:
    """Return the JSON text of a large notebook without its outputs, read by a process with limited memory."""
    code = (
        "import json, sys\n"
        "book = json.load(open(sys.argv[1], encoding='utf-8', errors='replace'))\n"
        "for cell in book['cells']: cell.pop('outputs', None); cell.pop('attachments', None)\n"
        "json.dump(book, sys.stdout)\n"
    )
    limited = f"import resource; resource.setrlimit(resource.RLIMIT_AS, (3 << 30, 3 << 30))\n{code}"
    command = [sys.executable, "-I", "-c", limited if os.name == "posix" else code, str(path)]
    try:
        text = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    except (subprocess.SubprocessError, UnicodeDecodeError):
        raise ValueError(f"it has {path.stat().st_size >> 20} MiB and cannot be read") from None
    if len(text) > MOST_BYTES:
        raise ValueError(f"it has {len(text) >> 20} MiB even without its outputs")
    return text


def _plain(cell: dict[str, Any]) -> NotebookNode:
    """Return a cell that keeps only what a student writes, its cell id, and the marks by which nbgrader knows it."""
    kind = cell["cell_type"] if cell["cell_type"] in _TYPES else "raw"
    source = cell.get("source", cell.get("input", ""))
    source = source if isinstance(source, str) else "".join(map(str, source))
    source = source.encode("utf-8", "replace").decode()  # a lone surrogate cannot be written again
    plain: NotebookNode = getattr(nbformat.v4, f"new_{kind}_cell")(source)
    marks = cell.get("metadata", {}).get("nbgrader")
    if isinstance(marks, dict):
        short = {key: marks[key] for key in _MARKS if key in marks and _is_short(marks[key])}
        plain.metadata["nbgrader"] = NotebookNode(short)
    if isinstance(cell.get("id"), str) and re.fullmatch(r"[a-zA-Z0-9-_]{1,64}", cell["id"]):
        plain.id = cell["id"]
    return plain


def _is_short(mark: Any) -> bool:
    return isinstance(mark, bool | int | float) or (isinstance(mark, str) and len(mark) <= _LONGEST_MARK)


def repair(cells: Sequence[NotebookNode], release: NotebookNode) -> tuple[NotebookNode, list[str]]:
    """Return the student's cells with the marks and the locked cells of the release, and a sentence for each change.

    A cell of the release is found by its grade_id; where that is gone, by its cell id, or by what it defines.
    """
    marked = [cell for cell in release.cells if "nbgrader" in cell.metadata]
    places = _places(cells, marked)
    repairs: list[str] = []
    result: list[NotebookNode | None] = []
    for cell in cells:
        cell = copy.deepcopy(cell)
        cell.metadata.pop("nbgrader", None)
        result.append(cell)
    put: dict[int, list[NotebookNode]] = {}  # place -> cells of the release that follow it
    last = -1
    for wanted in marked:
        name, marks = wanted.metadata.nbgrader.grade_id, wanted.metadata.nbgrader
        found = places.get(name, [])
        repairs += _differences(wanted, [cells[i] for i in found])
        new = copy.deepcopy(wanted)
        if not found:
            put.setdefault(last if last >= 0 or not marks.grade else len(cells) - 1, []).append(new)
            continue
        last = max(last, found[-1])
        for i in found if marks.locked else found[-1:]:
            result[i] = None
        if not marks.locked:
            new.source = cells[found[-1]].source
        put.setdefault(last if marks.locked else found[-1], []).append(new)
    notebook = copy.deepcopy(release)
    notebook.cells = list(_joined(result, put))
    seen: set[str] = set()
    for cell in notebook.cells:
        while cell.id in seen:
            cell.id = nbformat.v4.new_raw_cell().id
        seen.add(cell.id)
    return notebook, repairs


def _places(cells: Sequence[NotebookNode], marked: Sequence[NotebookNode]) -> dict[str, list[int]]:
    """Return where the cells of the release stand among the student's cells, by grade_id."""
    names = {cell.metadata.nbgrader.grade_id for cell in marked}
    places: dict[str, list[int]] = {}
    for i, cell in enumerate(cells):
        name = cell.metadata.get("nbgrader", {}).get("grade_id")
        if isinstance(name, str) and name in names:
            places.setdefault(name, []).append(i)
    for wanted in marked:
        taken = {i for found in places.values() for i in found}
        free = [i for i in range(len(cells)) if i not in taken]
        if wanted.metadata.nbgrader.grade_id not in places:
            found = [i for i in free if cells[i].id == wanted.id]
            if not found and wanted.metadata.nbgrader.solution:
                defines = re.compile(rf"^(?:def|class) (?:{'|'.join(_defined(wanted)) or '$'})\b", flags=re.M)
                found = [i for i in free if defines.search(cells[i].source)][-1:]
            if found:
                places[wanted.metadata.nbgrader.grade_id] = found
    return places


def _defined(cell: NotebookNode) -> list[str]:
    return re.findall(r"^(?:def|class) (\w+)", cell.source, flags=re.M)


def _differences(wanted: NotebookNode, found: list[NotebookNode]) -> Iterator[str]:
    """Yield a sentence for each change to the student's copies of a graded cell or of an answer's cell."""
    marks = wanted.metadata.nbgrader
    if not (marks.grade or marks.solution):
        return
    what = f"the {'graded cell' if marks.grade else 'cell of the answer'} {marks.grade_id!r}"
    if not found:
        yield f"{what} had been deleted; it was put back{', empty' if marks.solution else ''}."
        return
    if len(found) > 1:
        yield f"{what} was there {len(found)} times; the last one counts."
    theirs = found[-1].metadata.get("nbgrader", {})
    if theirs.get("grade_id") != marks.grade_id:
        yield f"{what} had lost its name; it was found by its place and content."
    elif any(theirs.get(key) != marks.get(key) for key in ("points", "grade", "solution", "locked")):
        yield f"the points or other marks of {what} had been changed; they were put right."
    if found[-1].cell_type != wanted.cell_type:
        yield f"{what} had been turned into {found[-1].cell_type}; it was turned back."
    if marks.locked and found[-1].source.strip() != wanted.source.strip():
        yield f"{what} had been changed; it was put back."


def _joined(result: list[NotebookNode | None], put: dict[int, list[NotebookNode]]) -> Iterator[NotebookNode]:
    for i in range(-1, len(result)):
        if i >= 0 and (cell := result[i]) is not None:
            yield cell
        yield from put.get(i, [])
