"""What takes seconds to import is imported in processes of its own, while this one imports what it needs itself.

Kernels are forked from one such process, and with several jobs the processes that execute submissions from another.
Nothing here decides what is graded: a process that turns out not to be needed ends unused.
"""

import argparse
import multiprocessing
import multiprocessing.forkserver
import signal
import sys
from contextlib import suppress
from pathlib import Path

from joblib import cpu_count
from traitlets import TraitError
from traitlets.config import Config

from autograder.assignments import known_assignments
from autograder.configuration import GRADES
from autograder.confinement.provisioner import start_warm

EXECUTING = "autograder.notebooks.work"  # the module that executes submissions


def start(folder: Path, config: Config, options: argparse.Namespace) -> None:
    """Start the processes that a command with these options will need, if it seems to have anything to do."""
    if _has_work(folder, config, options):
        with suppress(TraitError):  # whoever grades will tell what does not fit
            start_warm(config)
        several = options.command == "grade" and options.student is None and (options.jobs or cpu_count()) > 1
        if several and sys.platform == "linux":
            found = known_assignments(folder).get(options.assignment)
            _start_workers([EXECUTING, *(found.imports if found else ())])


def _start_workers(modules: list[str]) -> None:
    """Start the process that workers are forked from, with these modules."""
    multiprocessing.get_context("forkserver").set_forkserver_preload(modules)
    # Ctrl-C belongs to the grader; while it imports, the new process has no handler of its own yet.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        multiprocessing.forkserver.ensure_running()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _has_work(folder: Path, config: Config, options: argparse.Namespace) -> bool:
    """Whether somebody has handed in anything since the last run, as far as the times of files tell."""
    if options.command == "watch" or options.force or options.seed is not None:
        return True
    submitted = folder / config.CourseDirectory.get("submitted_directory", "submitted")
    students = [submitted / options.student] if options.student else submitted.glob("*")
    with suppress(OSError):  # whoever grades will tell what cannot be read
        for work in (student / options.assignment for student in students):
            known = folder / GRADES / options.assignment / f"{work.parent.name}.json"
            if work.is_dir() and (not known.exists() or _changed(work) > known.stat().st_mtime):
                return True
    return False


def _changed(folder: Path) -> float:
    return max(path.lstat().st_mtime for path in (folder, *folder.iterdir()))
