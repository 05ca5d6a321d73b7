"""nbgrader's configuration for a course that grades with this package: one call in its `nbgrader_config.py`.

Every nbgrader command and Jupyter's server read that file, so nothing heavy is imported here: nbgrader is given names,
and imports what it uses.
"""

import difflib
import functools
import importlib.util
import os
import subprocess
import sys
import traceback
from pathlib import Path
from typing import Any, NamedTuple

from jupyter_core.paths import jupyter_config_path
from traitlets import TraitError
from traitlets.config import Config
from traitlets.config.loader import PyFileConfigLoader

CONFIG_FILE = "nbgrader_config.py"
GRADES = "grades"  # folder of what is published, beside nbgrader's own folders
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


def refuse_other_checkout(folder: Path) -> None:
    """Raise ConfigurationError if a course has a copy of this package that differs from the installed one.

    Depending on how it is started, the grader would be the one, and the kernels' side of it the other.
    """
    own = folder.resolve() / "autograder"
    if not (own / Path(__file__).name).is_file():
        return
    for other in {Path(__file__).parent, _installed()} - {own}:
        one, another = (
            {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*.py")} for root in (own, other)
        )
        if one != another:
            raise ConfigurationError(
                f"{own} differs from the installed package, {other}. Install the one that is meant "
                f"(pip install -e {own.parent}), or remove the other."
            )


@functools.cache
def _installed() -> Path:
    """Return the folder of the installed package, which a kernel imports; where there is none, of the one that runs."""
    code = "from importlib.util import find_spec; print(getattr(find_spec('autograder'), 'origin', ''))"
    asked = subprocess.run([sys.executable, "-P", "-c", code], cwd=os.sep, capture_output=True, text=True, check=False)
    return Path(asked.stdout.strip() or __file__).parent


def refuse_unknown(config: Config) -> None:
    """Raise ConfigurationError for an option of this package's that does not exist, and for a module that is not there.

    traitlets takes no notice of a misspelt option: a class would be graded with less protection than was asked for.
    """
    from autograder.confinement.provisioner import ConfinedProvisioner
    from autograder.notebooks.execute import ExecuteOutside

    known = {kind.__name__: kind.class_trait_names(config=True) for kind in (ConfinedProvisioner, ExecuteOutside)}
    for section, options in config.items():
        if section not in known:
            if near := difflib.get_close_matches(section, known, 1, 0.8):
                raise ConfigurationError(f"c.{section} is unknown; did you mean c.{near[0]}?")
            continue
        for option in options:
            if option not in known[section]:
                near = difflib.get_close_matches(option, known[section], 1, 0.0)
                raise ConfigurationError(f"c.{section}.{option} is no option; did you mean {near[0]}?")
    try:
        modules = ConfinedProvisioner(config=config).preload
    except TraitError as error:
        raise ConfigurationError(f"a value in {CONFIG_FILE} does not fit: {error}") from error
    for module in modules:  # their packages: looking for more would import them
        if importlib.util.find_spec(module.partition(".")[0]) is None:
            raise ConfigurationError(f"c.ConfinedProvisioner.preload names {module!r}, which is not installed")


def configure(c: Any) -> None:
    """Set nbgrader's configuration `c` so that submissions are repaired, confined, and judged from outside.

    Settings that follow in `nbgrader_config.py` win. The source is `solutions/`, the release `assignments/`, and the
    checks of the course's own assignments lie in `checks/`.
    """
    c.CourseDirectory.source_directory = "solutions"
    c.CourseDirectory.release_directory = "assignments"
    # What running leaves behind does not go to students.
    c.CourseDirectory.ignore = [
        *("*.pyc", "__pycache__", ".ipynb_checkpoints", ".pytest_cache", "conftest.py"),
        "*.not-graded",  # what was put aside: links, devices, huge files (autograder.notebooks.repair)
    ]
    # A release is refused if it has graded cells that nobody has checks for.
    c.GenerateAssignment.exporter_class = "autograder.notebooks.exporters.SourceExporter"
    # Whatever a student handed in is read with care and repaired; then it is executed in a confined kernel, and its
    # graded cells are judged from nbgrader's own process.
    c.Autograde.exporter_class = "autograder.classroom.stock.RecordingExporter"
    c.Autograde.autograde_preprocessors = [
        "autograder.notebooks.execute.ExecuteOutside",
        "nbgrader.preprocessors.IgnorePattern",
        "nbconvert.preprocessors.ClearMetadataPreprocessor",
        "nbgrader.preprocessors.LimitOutput",
        "nbgrader.preprocessors.SaveAutoGrades",
        "nbgrader.preprocessors.AssignLatePenalties",
        "nbgrader.preprocessors.CheckCellMetadata",
    ]
    # Others open what students wrote in a browser.
    c.GenerateFeedback.exporter_class = "autograder.notebooks.feedback.FeedbackExporter"
    # What kernels see of this environment beyond language and threads: nbgrader's sign that the run is automatic.
    c.ConfinedProvisioner.keep = ["NBGRADER_EXECUTION"]
    # Kernels are forked from a process that has imported this.
    c.ConfinedProvisioner.preload = ["autograder.remote.kernel"]
    # For an ordinary cell. Calls of an answer have limits of their own, set in their check files.
    c.Execute.timeout = 60
    c.Execute.raise_on_iopub_timeout = False  # the watchdog ends a kernel that prints too much
    # No history file, and no line on stderr for each kernel that listens on this machine's loopback.
    c.Execute.extra_arguments = ["--HistoryManager.hist_file=:memory:", "--IPKernelApp.log_level=ERROR"]
    c.Execute.shutdown_kernel = "immediate"  # nothing in a student's kernel is worth waiting for
    # `nbgrader validate` offers no other place to refuse cells without checks.
    c.Execute.on_cell_start = functools.partial(_refuse_unchecked, c)


def _refuse_unchecked(c: Any, cell: Any, cell_index: int) -> None:
    """Let a graded cell without checks fail, and do not run it, unless the course grades such cells by their output."""
    from nbformat.v4 import new_output

    from autograder.assignments import known_assignments
    from autograder.notebooks.release import is_graded_code

    if not is_graded_code(cell) or c.ExecuteOutside.get("stock"):
        return
    name = cell.metadata.nbgrader.grade_id
    if not any(name in assignment.exercises for assignment in known_assignments().values()):
        problem = f"nobody has checks for the graded code cell {name!r} in {Path.cwd().name}: it cannot be graded"
        cell.outputs = [new_output("error", ename="NoChecks", evalue=problem, traceback=[f"NoChecks: {problem}"])]
        cell.metadata.setdefault("tags", []).append(NO_CHECKS)
