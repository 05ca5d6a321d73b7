"""What executing a submission needs, read from its folder: repaired notebooks, and the files beside them."""

import fnmatch
import os
import stat
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import nbformat

from nbverdict.checks.assignments import Assignment
from nbverdict.confinement.layers import Limits
from nbverdict.notebooks.locating import Located
from nbverdict.notebooks.release import Release
from nbverdict.notebooks.repair import graded_form
from nbverdict.notebooks.work import Work, checks_of, grading_code

SECTIONS = ("Execute", "ExecuteOutside", "ConfinedProvisioner")  # the parts of a configuration that executing needs


def gather(
    assignment: Assignment,
    releases: Mapping[str, Release],
    located: Mapping[str, Located],
    folders: Iterable[Path],
    *,
    ignored: Iterable[str],
    limits: Limits,
    config: Mapping[str, Any],
    without: Collection[Path] = (),
) -> Work:
    """Return a submission with its notebooks repaired. Raises OSError or ValueError for what cannot be read.

    `located` says which file is which notebook. Of the files in `folders`, one of an earlier folder replaces one of the
    same name in a later one; notebooks, names that match `ignored`, and the paths in `without` are left out.
    """
    notebooks = {
        name: nbformat.writes(graded_form(found.path, releases[name], found.remarks, without))
        for name, found in located.items()
        if found.path
    }
    files: dict[str, bytes] = {}
    room = limits.scratch // 2  # a kernel would be given no more than that
    for root in folders:
        for path in _files(root, [*ignored, "*.ipynb"]):
            status, name = path.lstat(), str(path.relative_to(root))
            if path in without:
                continue
            if stat.S_ISREG(status.st_mode) and status.st_size <= min(limits.file_size, room) and name not in files:
                files[name] = path.read_bytes()
                room -= status.st_size
    return work_of(assignment, notebooks, files, config)


def files_in(folder: Path, ignored: Iterable[str]) -> dict[str, bytes]:
    """Return the files of a folder that we trust by their paths in it, but for notebooks and what matches a pattern."""
    found = ((path, str(path.relative_to(folder))) for path in _files(folder, [*ignored, "*.ipynb"]))
    return {name: path.read_bytes() for path, name in found if path.is_file()}


def work_of(
    assignment: Assignment, notebooks: Mapping[str, str], files: Mapping[str, bytes], config: Mapping[str, Any]
) -> Work:
    """Return notebooks (JSON text by name) and the files beside them as work to execute here or elsewhere."""
    # Callables of the configuration are for nbgrader's own commands.
    sections = {
        section: {key: value for key, value in config.get(section, {}).items() if not callable(value)}
        for section in SECTIONS
    }
    return Work(assignment.name, checks_of(assignment), notebooks, files, sections, grading_code(assignment, config))


def _files(root: Path, ignored: Iterable[str]) -> Iterator[Path]:
    """Yield the files below a folder, without those, and those in folders, whose names match a pattern."""
    patterns = list(ignored)

    def kept(names: list[str]) -> list[str]:
        return sorted(name for name in names if not any(fnmatch.fnmatch(name, pattern) for pattern in patterns))

    for here, folders, files in os.walk(root):
        folders[:] = kept(folders)
        yield from (Path(here, name) for name in kept(files))
