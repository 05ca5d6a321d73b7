"""What kernels need takes seconds to import: another process does so while this one imports what it needs itself.

Nothing here decides what is graded: a process that turns out not to be needed ends unused.
"""

import argparse
from contextlib import suppress
from pathlib import Path

from traitlets import TraitError
from traitlets.config import Config

from nbverdict.configuration import GRADES
from nbverdict.confinement.provisioner import start_warm


def start(folder: Path, config: Config, options: argparse.Namespace) -> None:
    """Start the process from which a command forks kernels, if with these options it seems to have anything to do."""
    if _has_work(folder, config, options):
        with suppress(TraitError):  # whoever grades will tell what does not fit
            start_warm(config)


def _has_work(folder: Path, config: Config, options: argparse.Namespace) -> bool:
    """Whether somebody has handed in anything since the last run, as far as the times of files tell."""
    if options.command.name == "watch" or options.force or options.seed is not None:
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
