"""Which file of a submission is which notebook of the release, also where students or systems renamed it."""

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from nbformat import NotebookNode

from nbverdict.notebooks.release import Release
from nbverdict.notebooks.repair import MOST_BYTES, MOST_FILES, Unreadable, read

_LONGEST_NAME = 128  # of a student in nbgrader's gradebook
_DEEPEST = 4  # folders in which a notebook is looked for
_NOTEBOOK = re.compile(r"\.ipynb(\.(txt|json))?$", flags=re.IGNORECASE)
_NOT_THEIRS = (".ipynb_checkpoints", "__MACOSX")  # folders that programs make beside notebooks
# What browsers, Jupyter and learning management systems add to the name of a copy.
_COPY = re.compile(r"([ _-]?\(\d+\)|[ _-]copy\d*|-\d+)+$", flags=re.IGNORECASE)


def unusable(student: str) -> str:
    """Return why a folder's name cannot be that of a student in nbgrader's gradebook; empty if it can."""
    if set("*?[") & set(student):
        return "its name has *, ? or [, which nbgrader takes for a pattern"
    if student != student.encode(errors="ignore").decode():
        return "its name is not in UTF-8"
    if re.search(r"[\x00-\x1f\x7f\x85\u2028\u2029]", student):
        return "its name has a line break or another control character"
    if student != student.strip():
        return "its name begins or ends with a space, which nbgrader cuts off"
    if len(student) > _LONGEST_NAME:
        return f"its name has more than {_LONGEST_NAME} characters"
    return ""


class Located(NamedTuple):
    """The file of a notebook, None if there is none, and what a student should know of it."""

    path: Path | None
    remarks: tuple[str, ...] = ()


def locate(folder: Path, releases: Mapping[str, Release]) -> dict[str, Located]:
    """Return the file for each notebook of a release, by its name.

    A file of another name is taken only where it alone can be meant: it holds cells of the release, or has nearly its
    name, and no other file does.
    """
    strays = sorted(_strays(folder, releases))
    read_once: dict[Path, list[NotebookNode] | None] = {}

    def cells_of(path: Path) -> list[NotebookNode] | None:
        if path not in read_once:
            read_once[path] = _cells(path)
        return read_once[path]

    found = {}
    for name, release in releases.items():
        path = folder / f"{name}.ipynb"
        mine = [stray for stray in strays if _belongs(stray, name, cells_of(stray), release, releases)]
        if os.path.lexists(path):
            better = []
            if mine and not _answered(cells_of(path), release):
                better = [stray for stray in mine if _answered(cells_of(stray), release)]
            remarks = tuple(
                f"{_shown(stray, folder)} holds an answer, and {path.name}, which counts, holds none. Hand in the "
                f"answer as {path.name}."
                for stray in better
            )
            found[name] = Located(path, remarks)
        elif len(mine) == 1:
            shown = _shown(mine[0], folder)
            found[name] = Located(mine[0], (f"{shown} was graded as {path.name}. Hand it in under that name.",))
        else:
            there = [_shown(stray, folder) for stray in mine or strays]
            listed = ", ".join(there[:5]) + (f" and {len(there) - 5} more" if len(there) > 5 else "")
            missing = f"{path.name} was not handed in"
            if mine:
                missing += f". There are {listed}, and each of them may be meant: hand in one, as {path.name}"
            elif strays:
                missing += f". There is {listed}, without its cells"
            found[name] = Located(None, (f"{missing}.",))
    return found


def _strays(folder: Path, releases: Mapping[str, Release]) -> Iterator[Path]:
    """Yield the files in a folder that look like notebooks, and have the name of none of the release."""
    count = 0
    for here, folders, files in os.walk(folder):
        place = Path(here)
        depth = len(place.relative_to(folder).parts)
        folders[:] = [name for name in sorted(folders) if name not in _NOT_THEIRS and depth < _DEEPEST]
        for name in files:
            count += 1
            if count > MOST_FILES:
                return
            path = place / name
            expected = not depth and name.removesuffix(".ipynb") in releases and name.endswith(".ipynb")
            if _NOTEBOOK.search(name) and not expected and not name.startswith("._") and not path.is_symlink():
                yield path


def _cells(path: Path) -> list[NotebookNode] | None:
    try:
        if path.stat().st_size > MOST_BYTES:
            return None
        return read(path)[0]
    except (OSError, Unreadable):
        return None


def _belongs(
    path: Path, name: str, cells: list[NotebookNode] | None, release: Release, releases: Mapping[str, Release]
) -> bool:
    """Return whether a file seems to be this notebook of the release: by the marks of its cells, else by its name."""
    marks = {cell.metadata.get("nbgrader", {}).get("grade_id") for cell in cells or ()}
    if any(marks & other.names for other in releases.values()):
        return bool(marks & release.names)
    return _COPY.sub("", _NOTEBOOK.sub("", path.name)).lower() == name.lower()


def _answered(cells: list[NotebookNode] | None, release: Release) -> bool:
    """Return whether a cell that the release left to the student is another one than it was."""
    stubs = {
        cell.metadata.nbgrader.grade_id: cell.source.strip()
        for cell in release.cells
        if cell.metadata.get("nbgrader", {}).get("solution")
    }
    written = {cell.metadata.get("nbgrader", {}).get("grade_id"): cell.source.strip() for cell in cells or ()}
    return any(name in written and written[name] != stub for name, stub in stubs.items())


def _shown(path: Path, folder: Path) -> str:
    return str(path.relative_to(folder))
