"""The part of grading that needs no gradebook: execute the notebooks of a submission and judge their graded cells.

It is one function of plain data, so that it can run in this process, in another, or on another machine.
"""

import contextlib
import functools
import hashlib
import os
import platform
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
from traitlets.config import Config

from autograder.execute import ExecuteOutside

_one_at_a_time = threading.Lock()  # pytest, which runs the checks, takes a process for itself


@dataclass(frozen=True)
class Work:
    """A submission to execute. `notebooks` have been repaired; `files` are those beside them."""

    notebooks: dict[str, str]  # name without suffix -> JSON text
    files: dict[str, bytes]  # path relative to the submission -> content
    config: dict[str, Any]  # sections of nbgrader's configuration
    code: str  # what `own_code` returns where the work was given out


def run(work: Work) -> dict[str, str]:
    """Execute a submission; return its notebooks with outputs, scores and reports, as JSON text by name.

    Raises RuntimeError where the code that grades is another than where the work was given out.
    """
    if work.code != own_code():
        raise RuntimeError(f"{platform.node()} has another version of this package than the grader: install the same")
    executed = {}
    with _one_at_a_time, tempfile.TemporaryDirectory() as name, environment(NBGRADER_EXECUTION="autograde"):
        folder = Path(name)
        for path, content in work.files.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(content)
        for notebook, text in work.notebooks.items():
            (folder / f"{notebook}.ipynb").write_text(text, encoding="utf-8")
        for notebook, text in work.notebooks.items():
            execute = ExecuteOutside(config=Config(work.config))
            book, _ = execute.preprocess(nbformat.reads(text, as_version=4), {"metadata": {"path": name}})
            executed[notebook] = nbformat.writes(book)
    return executed


@contextlib.contextmanager
def environment(**values: str) -> Iterator[None]:
    """Set variables of the environment for a block; `nbgrader.utils.setenv` leaves them set after an error."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@functools.cache
def own_code() -> str:
    """Return a hash of the code that grades."""
    package = Path(__file__).parent
    return digest(package, package.parent / "lab_utils")


def digest(*roots: Path) -> str:
    """Return a hash of the files in some folders, and of some files."""
    hashed = hashlib.sha256()
    for root in roots:
        for path in [root] if root.is_file() else sorted(root.rglob("*")):
            if path.is_file() and not path.is_symlink() and "__pycache__" not in path.parts:
                with path.open("rb") as file:
                    content = hashlib.file_digest(file, "sha256").digest()
                hashed.update(os.fsencode(path.relative_to(root)) + b"\0" + content)
    return hashed.hexdigest()
