"""The part of grading that needs no gradebook: execute the notebooks of a submission and judge their graded cells.

It is one function of plain data, so that it can run in this process, in another, or on another machine.
"""

import concurrent.futures
import contextlib
import functools
import hashlib
import os
import platform
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import joblib
import nbformat
from jupyter_core.utils import ensure_event_loop
from traitlets.config import Config

from nbverdict.checks.assignments import Assignment, installed_assignments
from nbverdict.checks.report import Report
from nbverdict.notebooks.execute import ExecuteOutside
from nbverdict.notebooks.repair import LEFT_OUT
from nbverdict.remote.conversation import KernelLostError

_PACKAGE = Path(__file__).parent.parent


@dataclass(frozen=True)
class Work:
    """A submission to execute. `notebooks` have been repaired; `files` are those beside them."""

    assignment: str
    checks: Mapping[str, bytes]  # the files of the course's own checks; empty for those of an installed package
    notebooks: Mapping[str, str]  # name without suffix -> JSON text
    files: Mapping[str, bytes]  # path relative to the submission -> content
    config: Mapping[str, Any]  # sections of nbgrader's configuration
    code: str  # what `grading_code` returns where the work was given out


@dataclass(frozen=True)
class Executed:
    """A submission that was executed: its notebooks with outputs, and beside them what the checks found."""

    notebooks: Mapping[str, str]  # name without suffix -> JSON text
    reports: Mapping[str, Report]  # by the name of the graded cell
    longest: Mapping[str, float] = field(default_factory=dict)  # seconds of the longest call of its answer


def execute(work: Work, processors: int = 1) -> Executed:
    """Execute a submission on so many processors, several of its notebooks at the same time.

    A kernel that was lost by a failure of ours costs one more try. Raises KernelLostError if that fails, too, and
    RuntimeError if the code that grades here is not the same as where the work was given out.
    """
    try:
        return _execute(work, processors)
    except KernelLostError:
        return _execute(work, processors)


def _execute(work: Work, processors: int) -> Executed:
    # On two processors, three notebooks: one often waits, for example for its kernel.
    at_once = min(processors + 1, len(work.notebooks)) if processors > 1 and work.notebooks else 1
    # More threads than processors wait for each other, most of them at full speed.
    threads_of_each = os.environ.get("OMP_NUM_THREADS", str(max(1, processors // at_once)))
    config = Config(work.config)
    config.ConfinedProvisioner.environment = {
        **config.ConfinedProvisioner.get("environment", {}),
        "NBGRADER_EXECUTION": "autograde",  # nbgrader's sign that the run is automatic
        "OMP_NUM_THREADS": threads_of_each,
    }
    with tempfile.TemporaryDirectory() as name, _quiet():
        assignment = _assignment(work, Path(name) / "checks")
        if work.code != grading_code(assignment, work.config):
            host = platform.node()
            raise RuntimeError(f"{host} has another version of this package than the grader: install the same")
        folder = Path(name) / "submission"
        _write(work.files, folder)
        _write({f"{name}.ipynb": text.encode() for name, text in work.notebooks.items()}, folder)
        executors = {
            name: ExecuteOutside(nbformat.reads(text, as_version=4), assignment, config)
            for name, text in work.notebooks.items()
        }

        def executed(notebook: str) -> str:
            with contextlib.closing(ensure_event_loop()):  # of this thread
                return str(nbformat.writes(executors[notebook].run(folder)))

        with concurrent.futures.ThreadPoolExecutor(at_once) as threads:
            try:
                notebooks = dict(zip(executors, threads.map(executed, executors), strict=True))
            except BaseException:  # an interrupt, too
                for executor in executors.values():
                    executor.abandon()
                raise
    reports = {name: report for executor in executors.values() for name, report in executor.reports.items()}
    longest = {name: seconds for executor in executors.values() for name, seconds in executor.longest.items()}
    return Executed(notebooks, reports, longest)


def cores() -> int:
    """Return how many processors this process may use; the limit of a container counts, too."""
    return int(joblib.cpu_count())


def checks_of(assignment: Assignment) -> dict[str, bytes]:
    """Return the files of a course's own checks, which travel with the work; none for those of an installed package."""
    if assignment.installed:
        return {}
    files = (path for path in sorted(assignment.folder.rglob("*")) if _counts(path))
    return {str(path.relative_to(assignment.folder)): path.read_bytes() for path in files}


def _assignment(work: Work, folder: Path) -> Assignment:
    if not work.checks:
        return installed_assignments().get(work.assignment) or Assignment(work.assignment, folder)
    _write(work.checks, folder)
    return Assignment(work.assignment, folder)


def _write(files: Mapping[str, bytes], folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep to themselves what the checks of a block warn of: filters are those of the whole process."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def grading_code(assignment: Assignment, config: Mapping[str, Any]) -> str:
    """Return a hash of the code that decides a grade: this package, the checks, and what else kernels may import."""
    readable = map(Path, config.get("ConfinedProvisioner", {}).get("readable", []))
    # Packages only: a folder of data, or of all installed packages, may hold gigabytes.
    packages = [_PACKAGE, *(folder for folder in readable if (folder / "__init__.py").exists())]
    parts = [_digest_once(folder) for folder in packages]
    parts.append(_digest_once(assignment.folder) if assignment.installed else digest(assignment.folder))
    return hashlib.sha256("".join(parts).encode()).hexdigest()


@functools.cache
def _digest_once(folder: Path) -> str:
    """The digest of installed code, which does not change while it runs."""
    return digest(folder)


def digest(*roots: Path) -> str:
    """Return a hash of the files in some folders, and of some files."""
    hashed = hashlib.sha256()
    for root in roots:
        for path in [root] if root.is_file() else sorted(root.rglob("*")):
            if _counts(path):
                with path.open("rb") as file:
                    content = hashlib.file_digest(file, "sha256").digest()
                hashed.update(os.fsencode(path.relative_to(root)) + b"\0" + content)
    return hashed.hexdigest()


def _counts(path: Path) -> bool:
    kept = path.suffix != LEFT_OUT and "__pycache__" not in path.parts
    return kept and path.is_file() and not path.is_symlink()
