"""nbgrader's configuration for a course that grades with this package: one call in its `nbgrader_config.py`.

Every nbgrader command and Jupyter's server read that file, so nothing heavy is imported here: nbgrader is given names,
and imports what it uses.
"""

import functools
import sys
import traceback
from pathlib import Path
from typing import Any, NamedTuple

from jupyter_core.paths import jupyter_config_path
from traitlets.config import Config
from traitlets.config.loader import PyFileConfigLoader

from nbverdict.checks.assignments import known_assignments

CONFIG_FILE = "nbgrader_config.py"
GRADES = "grades"  # folder of what is published, beside nbgrader's own folders
# What running leaves behind, and what was put aside: links, devices, huge files (`nbverdict.notebooks.repair`).
IGNORED = ("*.pyc", "__pycache__", ".ipynb_checkpoints", ".pytest_cache", "conftest.py", "*.not-graded")
NO_CHECKS = "skip-execution"  # the tag that makes nbclient skip a cell


class ConfigurationError(Exception):
    """A course's configuration cannot be used; the message says which file or option, and why."""


class Configuration(NamedTuple):
    """A course's configuration, and the files that it was read from."""

    config: Config
    files: tuple[Path, ...]


def read_configuration(folder: Path) -> Configuration | None:
    """Read the configuration of a course; None if the folder has none.

    The files are code, and may name folders relative to their own. Those of the user and of the machine count as they
    do for nbgrader, and that of the course more. Raises ConfigurationError if one cannot be run.
    """
    if not (folder / CONFIG_FILE).exists():
        return None
    places = [*map(Path, reversed(jupyter_config_path())), folder]
    files = tuple(path for path in (place / CONFIG_FILE for place in places) if path.exists())
    config = Config()
    for file in files:
        try:
            config.merge(PyFileConfigLoader(file.name, path=str(file.parent)).load_config())
        except Exception as error:  # whatever its code raises
            lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(file)]
            line = error.lineno if isinstance(error, SyntaxError) else lines[-1] if lines else None
            reason = error.msg if isinstance(error, SyntaxError) else error
            raise ConfigurationError(f"{file}, line {line}: {type(error).__name__}: {reason}") from error
    config.CourseDirectory.root = str(folder.resolve())
    return Configuration(config, files)


def course_configuration(folder: Path) -> Config:
    """Return the configuration of a course, or that of one which sets nothing; raise as `read_configuration` does."""
    if read := read_configuration(folder):
        return read.config
    config = Config()
    configure_kernels(config)
    return config


def configure(c: Any) -> None:
    """Set nbgrader's configuration `c` so that submissions are repaired, confined, and judged from outside.

    Settings that follow in `nbgrader_config.py` win. The source is `solutions/`, the release `assignments/`; a course
    that has a folder `source/`, and no `solutions/`, keeps nbgrader's names, `source/` and `release/`. The checks of
    the course's own assignments lie in `checks/`.
    """
    # The file that is being read, where it is one, lies in the folder of the course.
    caller = sys._getframe(1).f_globals.get("__file__", "")
    course = Path(caller).parent if Path(caller).name == CONFIG_FILE else Path.cwd()
    if (course / "solutions").exists() or not (course / "source").exists():
        c.CourseDirectory.source_directory = "solutions"
        c.CourseDirectory.release_directory = "assignments"
    # What running leaves behind does not go to students.
    c.CourseDirectory.ignore = list(IGNORED)
    # A release is refused if it has graded cells that nobody has checks for.
    c.GenerateAssignment.exporter_class = "nbverdict.classroom.exporters.SourceExporter"
    # Whatever a student handed in is read with care and repaired; then it is executed in a confined kernel, and its
    # graded cells are judged from nbgrader's own process.
    c.Autograde.exporter_class = "nbverdict.classroom.stock.RecordingExporter"
    c.Autograde.autograde_preprocessors = [
        "nbverdict.classroom.nbgrader.JudgeOutside",
        "nbgrader.preprocessors.IgnorePattern",
        "nbconvert.preprocessors.ClearMetadataPreprocessor",
        "nbgrader.preprocessors.LimitOutput",
        "nbgrader.preprocessors.SaveAutoGrades",
        "nbgrader.preprocessors.AssignLatePenalties",
        "nbgrader.preprocessors.CheckCellMetadata",
    ]
    # Others open what students wrote in a browser.
    c.GenerateFeedback.exporter_class = "nbverdict.classroom.feedback.FeedbackExporter"
    configure_kernels(c)
    # `nbgrader validate` offers no other place to refuse cells without checks.
    c.Execute.on_cell_start = functools.partial(_refuse_unchecked, c)


def configure_kernels(c: Any) -> None:
    """Set the options of the kernels in which submissions are executed, as far as they differ from their defaults."""
    # What kernels see of this environment beyond language and threads: nbgrader's sign that the run is automatic.
    c.ConfinedProvisioner.keep = ["NBGRADER_EXECUTION"]
    # Kernels are forked from a process that has imported this.
    c.ConfinedProvisioner.preload = ["nbverdict.remote.kernel"]
    # For an ordinary cell. Calls of an answer have limits of their own, set in their check files.
    c.Execute.timeout = 60
    c.Execute.interrupt_on_timeout = True
    c.Execute.error_on_timeout = {
        "ename": "CellTimeoutError",
        "evalue": "",
        "traceback": ["\x1b[0;31mCellTimeoutError\x1b[0m: No reply from kernel before timeout"],
    }
    c.Execute.raise_on_iopub_timeout = False  # the watchdog ends a kernel that prints too much
    # No history file, and no line on stderr for each kernel that listens on this machine's loopback.
    c.Execute.extra_arguments = ["--HistoryManager.hist_file=:memory:", "--IPKernelApp.log_level=ERROR"]
    c.Execute.shutdown_kernel = "immediate"  # nothing in a student's kernel is worth waiting for


def _refuse_unchecked(c: Any, cell: Any, cell_index: int) -> None:
    """Let a graded cell without checks fail, and do not run it, unless the course grades such cells by their output."""
    from nbformat.v4 import new_output

    marks = cell.metadata.get("nbgrader", {})
    if not (cell.cell_type == "code" and marks.get("grade") and not marks.get("solution")):
        return
    if c.ExecuteOutside.get("stock"):
        return
    name = cell.metadata.nbgrader.grade_id
    if not any(name in assignment.exercises for assignment in known_assignments().values()):
        problem = f"nobody has checks for the graded code cell {name!r} in {Path.cwd().name}: it cannot be graded"
        cell.outputs = [new_output("error", ename="NoChecks", evalue=problem, traceback=[f"NoChecks: {problem}"])]
        cell.metadata.setdefault("tags", []).append(NO_CHECKS)
