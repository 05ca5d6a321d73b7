"""What a student hands in, made fit for grading: read with care, and given back the marks of the release."""

import codecs
import copy
import difflib
import json
import os
import re
import stat
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import nbformat
from nbformat import NotebookNode

from nbverdict.checks.report import plain
from nbverdict.notebooks.explaining import given_by
from nbverdict.notebooks.release import Release, is_locked

STATE = "nbverdict"  # key in the metadata of a notebook between its repair and its execution
LEFT_OUT = ".not-graded"  # suffix of what was put aside; nbgrader's configuration ignores it
MOST_BYTES = 20 << 20  # of a notebook that is read here; a larger one is stripped of its outputs elsewhere
TIMESTAMP = "timestamp.txt"  # in which nbgrader's exchange keeps when a submission was handed in
DEEPEST = 50  # folders in each other, in a submission
MOST_FILES = 2000  # of a submission, folders included
MOST_COPIED = 256 << 20  # bytes of the files beside its notebooks
_MOST_TIMESTAMP = 100
_MOST_CELLS = 2000
_TYPES = ("code", "markdown", "raw")
_PICTURES = ("image/png", "image/jpeg", "image/gif")  # of those that a student pastes into a cell
_MARKS = ("cell_type", "checksum", "grade", "grade_id", "locked", "points", "schema_version", "solution", "task")
_LONGEST_MARK = 200  # characters


class Unreadable(ValueError):
    """The file is not a readable notebook; `status` and the message say what it is."""

    def __init__(self, status: str, message: str) -> None:
        super().__init__(plain(message))
        self.status = status


def refuse_too_many(folder: Path) -> None:
    """Raise ValueError if a submission has more files than nbgrader can copy: its time grows with their square."""
    count, start = 0, len(folder.parts)
    for here, folders, files in os.walk(folder):
        count += len(folders) + len(files)
        if len(Path(here).parts) - start > DEEPEST:
            raise ValueError(
                f"{folder} has more than {DEEPEST} folders in each other. Hand in the notebooks' own folder"
            )
        if count > MOST_FILES:
            raise ValueError(
                f"{folder} has more than {MOST_FILES:,} files and folders. Keep the notebooks, and what they read"
            )


def put_aside(folder: Path) -> None:
    """Rename what nbgrader must not follow or copy: what `left_out` yields."""
    for path in list(left_out(folder)):
        path.rename(path.with_name(path.name + LEFT_OUT))


def left_out(folder: Path) -> Iterator[Path]:
    """Yield what is neither followed nor copied: links, devices, and files that together are too large.

    Notebooks are not among them. A sparse file counts with the size that its copy would have.
    """
    room = MOST_COPIED
    for here, folders, files in os.walk(folder):
        for path in (Path(here, name) for name in (*folders, *files)):
            if path.suffix in (".ipynb", LEFT_OUT):
                continue
            status = path.lstat()
            size = status.st_size if stat.S_ISREG(status.st_mode) else 0
            if size > room or not (stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode)):
                yield path
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
    return utc(_decoded(content).strip())


# A date, a time, and perhaps a zone, as nbgrader's exchange and ISO 8601 write them.
_DATE = re.compile(
    r"(?P<date>\d{4}-\d{2}-\d{2})[ T](?P<time>\d{2}:\d{2}(:\d{2}([.,]\d{1,9})?)?) ?"
    r"(?P<zone>Z|[+-]\d{2}(:?\d{2})?|[A-Za-z]\S*)?"
)
_AS = "A date is written like 2026-07-30 23:59:00 UTC or 2026-07-30 23:59:00 +0200."
_ZONES = ("UTC", "GMT", "UT")  # names that mean one thing everywhere; CEST and EST do not


def utc(text: str) -> datetime | None:
    """Return a date and time as UTC without zone, as nbgrader has them; None for an empty text.

    It is read as nbgrader's exchange writes it, `2026-07-30 23:59:00.123456 UTC`, or by ISO 8601. A zone may be a
    distance from UTC (`+0200`) or a name of the time zone database (`Europe/Berlin`); without one, it is UTC.

    Raises ValueError for anything else: a guess may be off by hours, or by months.
    """
    if not text:
        return None
    wrong = f"{TIMESTAMP} is no date ({text!a})"
    if not (found := _DATE.fullmatch(text)):
        raise ValueError(wrong)
    zone = found["zone"] or "UTC"
    if zone[0].isalpha() and zone.upper() not in ("Z", *_ZONES) and "/" not in zone:
        wrong += f", as {zone} is the name of more than one time zone"
    try:
        if zone[0] in "+-" or zone == "Z":
            read = datetime.fromisoformat(f"{found['date']}T{found['time'].replace(',', '.')}{zone}")
        else:
            place = UTC if zone.upper() in _ZONES else ZoneInfo(zone) if "/" in zone else None
            if place is None:
                raise ValueError(wrong)
            read = datetime.fromisoformat(f"{found['date']}T{found['time'].replace(',', '.')}").replace(tzinfo=place)
        return read.astimezone(UTC).replace(tzinfo=None)
    except (ValueError, OverflowError, ZoneInfoNotFoundError) as error:
        raise ValueError(wrong) from error


def graded_form(
    path: Path, release: Release, remarks: Iterable[str] = (), without: Iterable[Path] = ()
) -> NotebookNode:
    """Return the notebook to grade, with what was found in its metadata under `STATE`, the remarks among it.

    What is left out of its folder is told: what was put aside there, and the paths `without` which it is graded.
    If it cannot be read at all, the release takes its place, marked as refused, and none of its cells will run.
    """
    try:
        cells, found = read(path)
        found += remarks
        notebook, repairs = repair(cells, release)
        try:
            handed_in(path.parent)
        except ValueError as error:
            found.append(f"{error}, so that nobody knows when this was handed in; it was graded without. {_AS}")
        left = [*path.parent.rglob(f"*{LEFT_OUT}"), *(other for other in without if path.parent in other.parents)]
        if aside := sorted(one.name.removesuffix(LEFT_OUT) for one in left):
            names = ", ".join(aside[:5]) + (f" and {len(aside) - 5} more" if len(aside) > 5 else "")
            found.append(f"Graded without {names}: no file, or more than {MOST_COPIED >> 20} MiB in all.")
    except Unreadable as error:
        notebook = release.to_be_graded()
        notebook.cells.insert(0, nbformat.v4.new_markdown_cell(f"**Not graded:** {error}"))
        notebook.metadata[STATE] = {"refused": [error.status, str(error)]}
        return notebook
    handed = given_by(release.cells)
    rows = [_row("tampered", text) for text in repairs] + [_row("passed", text) for text in found]
    notebook.metadata[STATE] = {"repairs": rows, "imports": handed.imports, "parameters": handed.parameters}
    return notebook


def _row(status: str, text: str) -> dict[str, Any]:
    name = "Put right before grading"
    return {"name": name, "status": status, "points": 0.0, "max_points": 0.0, "message": plain(text)}


def read(path: Path) -> tuple[list[NotebookNode], list[str]]:
    """Return the cells of a notebook file, and what is unusual about the file.

    Of each cell only type, id, source, pasted pictures and the nbgrader marks are kept. Raises Unreadable.
    """
    if path.is_symlink() or not path.is_file():
        raise Unreadable("tampered", f"{path.name} is not a file (a link, or a folder). Hand in the notebook itself.")
    found = []
    text = ""
    try:
        if (size := path.stat().st_size) > MOST_BYTES:
            found.append(f"{path.name} had {size >> 20} MiB; its outputs were not read.")
            text = _stripped(path)
        else:
            text = _decoded(path.read_bytes())
        content = json.loads(text)
        if content.get("nbformat") != 4:
            found.append(f"{path.name} says that it has notebook format {str(content.get('nbformat'))[:20]}, not 4.")
        cells = content["cells"] if "cells" in content else content["worksheets"][0]["cells"]
        kernel = _mapping(_mapping(content.get("metadata")).get("kernelspec"))
        if kernel.get("language", "python") != "python":
            found.append(f"{path.name} asked for the kernel {str(kernel.get('name'))[:40]!r}; it ran in Python.")
        return [_plain(cell, place) for place, cell in enumerate(cells[:_MOST_CELLS])], found
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        reason = _no_notebook(text) or (str(error).splitlines()[0][:200] if str(error) else type(error).__name__)
        again = "Open it in Jupyter, run it from top to bottom, save it and hand it in again."
        raise Unreadable("error", f"{path.name} is not a readable notebook ({reason}). {again}") from None


_MARKS_OF_ENCODINGS = {  # longest first: UTF-32's begins with UTF-16's
    **{codecs.BOM_UTF32_LE: "utf-32", codecs.BOM_UTF32_BE: "utf-32"},
    **{codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16", codecs.BOM_UTF8: "utf-8-sig"},
}


def _decoded(content: bytes) -> str:
    """Return the text of a file, in UTF-8 or in what its byte order mark says."""
    encodings = (encoding for mark, encoding in _MARKS_OF_ENCODINGS.items() if content.startswith(mark))
    return content.decode(next(encodings, "utf-8"), errors="replace")


def _no_notebook(text: str) -> str:
    """Return what a text is that is no notebook, as far as its look tells."""
    start = text[:1000].lstrip()
    if not start:
        return "it is empty: perhaps it was handed in before it was saved"
    if re.match(r"<!doctype html|<html", start, flags=re.IGNORECASE):
        return "it is a web page: perhaps that of a login, saved under the name of the notebook"
    if re.search(r"^(<<<<<<<|>>>>>>>) ", text, flags=re.MULTILINE):
        return "it holds the conflict markers of git, <<<<<<< and >>>>>>>: choose one of both versions first"
    if start.startswith("{"):
        try:
            _, end = json.JSONDecoder().raw_decode(text.lstrip())
        except (ValueError, RecursionError) as error:
            said = error if isinstance(error, json.JSONDecodeError) else None
            beyond = said and (said.pos >= len(text.strip()) - 1 or said.msg.startswith("Unterminated string"))
            return "it ends in the middle: perhaps it was handed in before it was all there" if beyond else ""
        if text.lstrip()[end:].strip():
            return "there is more text after its last brace: delete that, or save it anew"
    return ""


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _stripped(path: Path) -> str:
    """Return the JSON text of a large notebook without its outputs, read by a process with limited memory."""
    code = (
        "import json, sys\n"
        "book = json.load(open(sys.argv[1], encoding='utf-8-sig', errors='replace'))\n"
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


def _plain(cell: dict[str, Any], place: int) -> NotebookNode:
    """Return a cell that keeps only what a student writes, its cell id, and the marks by which nbgrader knows it."""
    kind = cell["cell_type"] if cell.get("cell_type") in _TYPES else "raw"
    source = cell.get("source", cell.get("input", ""))
    source = source if isinstance(source, str) else "".join(map(str, source))
    source = source.encode("utf-8", "replace").decode()  # a lone surrogate cannot be written again
    plain: NotebookNode = getattr(nbformat.v4, f"new_{kind}_cell")(source, id=f"unnamed-{place}")
    if kind != "code" and (pictures := _pictures(cell.get("attachments"))):
        plain.attachments = pictures
    marks = _mapping(cell.get("metadata")).get("nbgrader")
    if isinstance(marks, dict):
        short = {key: marks[key] for key in _MARKS if key in marks and _is_short(marks[key])}
        plain.metadata["nbgrader"] = NotebookNode(short)
    if isinstance(cell.get("id"), str) and re.fullmatch(r"[a-zA-Z0-9-_]{1,64}", cell["id"]):
        plain.id = cell["id"]
    return plain


def _pictures(attachments: Any) -> NotebookNode:
    """Return the pictures that were pasted into a cell: name -> type -> base64."""
    found = NotebookNode()
    for name, kinds in _mapping(attachments).items():
        data = {
            kind: "".join(content) if isinstance(content, list) else content
            for kind, content in _mapping(kinds).items()
            if kind in _PICTURES and (isinstance(content, str) or _are_texts(content))
        }
        if data and len(name) <= _LONGEST_MARK:
            found[name.encode("utf-8", "replace").decode()] = NotebookNode(data)
    return found


def _are_texts(content: Any) -> bool:
    return isinstance(content, list) and all(isinstance(line, str) for line in content)


def _is_short(mark: Any) -> bool:
    return isinstance(mark, bool | int | float) or (isinstance(mark, str) and len(mark) <= _LONGEST_MARK)


def repair(cells: Sequence[NotebookNode], release: Release) -> tuple[NotebookNode, list[str]]:
    """Return the student's cells with the marks and the locked cells of the release, and a sentence for each change.

    A cell of the release is found by its grade_id; where that is gone, by its cell id, by what it defines or says, or
    by where it stands. Of several copies of an answer's cell, the last one that is not as it was handed out counts.
    """
    marked = [cell for cell in release.cells if "nbgrader" in cell.metadata]
    places = _places(cells, release.cells)
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
        new, locked = copy.deepcopy(wanted), is_locked(wanted)
        if locked:
            new.source = release.whole.get(name, wanted.source)
        if not found:
            put.setdefault(last if last >= 0 or not marks.grade else len(cells) - 1, []).append(new)
            continue
        stubs = [i for i in found if not locked and cells[i].source.strip() == wanted.source.strip()]
        kept = [i for i in found if i not in stubs] or found
        last = max(last, kept[-1])
        for i in found if locked else {*stubs, kept[-1]}:
            result[i] = None
        if not locked:
            new.source = cells[kept[-1]].source
            if pictures := cells[kept[-1]].get("attachments"):
                new.attachments = copy.deepcopy(pictures)
        put.setdefault(last if locked else kept[-1], []).append(new)
    notebook = NotebookNode({**release.notebook, "cells": list(_joined(result, put))})
    notebook.metadata = copy.deepcopy(notebook.metadata)
    seen: set[str] = set()
    for place, cell in enumerate(notebook.cells):
        if cell.id in seen:
            cell.id = f"{cell.id[:50]}-{place}"
        seen.add(cell.id)
    return notebook, repairs


def _places(cells: Sequence[NotebookNode], released: Sequence[NotebookNode]) -> dict[str, list[int]]:
    """Return where the marked cells of the release stand among the student's cells, by grade_id."""
    marked = [cell for cell in released if "nbgrader" in cell.metadata]
    names = {cell.metadata.nbgrader.grade_id for cell in marked}
    places: dict[str, list[int]] = {}
    for i, cell in enumerate(cells):
        name = cell.metadata.get("nbgrader", {}).get("grade_id")
        if isinstance(name, str) and name in names:
            places.setdefault(name, []).append(i)
    for wanted in marked:
        if wanted.metadata.nbgrader.grade_id in places:
            continue
        taken = {i for found in places.values() for i in found}
        free = [i for i in range(len(cells)) if i not in taken]
        found = [i for i in free if cells[i].id == wanted.id]
        if not found and wanted.metadata.nbgrader.solution:
            defines = re.compile(rf"^(?:def|class) (?:{'|'.join(_defined(wanted)) or '$'})\b", flags=re.M)
            found = [i for i in free if defines.search(cells[i].source)][-1:]
        if not found and not wanted.metadata.nbgrader.solution and wanted.source.strip():
            found = [i for i in free if cells[i].source.strip() == wanted.source.strip()][-1:]
        if found:
            places[wanted.metadata.nbgrader.grade_id] = found
    if lost := [cell for cell in marked if cell.metadata.nbgrader.grade_id not in places]:
        places |= _by_neighbours(cells, released, places, lost)
    return places


def _by_neighbours(
    cells: Sequence[NotebookNode],
    released: Sequence[NotebookNode],
    places: Mapping[str, list[int]],
    lost: Sequence[NotebookNode],
) -> dict[str, list[int]]:
    """Return where cells stand that a student writes in and that nothing marks: between the cells around them."""
    old, new = ([cell.source.strip() for cell in some] for some in (released, cells))
    anchors: dict[int, int] = {}  # cell of the release -> the student's cell
    for one, two, size in difflib.SequenceMatcher(None, old, new, autojunk=False).get_matching_blocks():
        anchors |= {one + i: two + i for i in range(size)}
    for i, cell in enumerate(released):
        if known := places.get(cell.metadata.get("nbgrader", {}).get("grade_id", "")):
            anchors[i] = known[-1]
    taken = {*anchors.values(), *(i for found in places.values() for i in found)}
    found: dict[str, list[int]] = {}
    for i, wanted in enumerate(released):
        if not any(wanted is cell for cell in lost) or not wanted.metadata.nbgrader.solution:
            continue
        before = max((anchors[j] for j in range(i) if j in anchors), default=-1)
        after = min((anchors[j] for j in range(i + 1, len(released)) if j in anchors), default=len(cells))
        between = [j for j in range(before + 1, after) if j not in taken and cells[j].cell_type == wanted.cell_type]
        if between:
            found[wanted.metadata.nbgrader.grade_id] = between[:1]
            taken.add(between[0])
            anchors[i] = between[0]
    return found


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
        stubs = [] if is_locked(wanted) else [cell for cell in found if cell.source.strip() == wanted.source.strip()]
        which = "the last one that is not as it was handed out" if 0 < len(stubs) < len(found) else "the last one"
        yield f"{what} was there {len(found)} times; {which} counts."
    theirs = found[-1].metadata.get("nbgrader", {})
    if theirs.get("grade_id") != marks.grade_id:
        yield f"{what} had lost its name; it was found by its place and content."
    elif any(theirs.get(key) != marks.get(key) for key in ("points", "grade", "solution", "locked")):
        yield f"the points or other marks of {what} had been changed; they were put right."
    if found[-1].cell_type != wanted.cell_type:
        yield f"{what} had been turned into {found[-1].cell_type}; it was turned back."
    if is_locked(wanted) and found[-1].source.strip() != wanted.source.strip():
        yield f"{what} had been changed; it was put back."


def _joined(result: list[NotebookNode | None], put: dict[int, list[NotebookNode]]) -> Iterator[NotebookNode]:
    for i in range(-1, len(result)):
        if i >= 0 and (cell := result[i]) is not None:
            yield cell
        yield from put.get(i, [])
