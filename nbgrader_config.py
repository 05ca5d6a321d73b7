"""nbgrader's configuration: `nbgrader` commands work from this folder."""

from importlib.util import find_spec

from nbconvert.preprocessors import ClearMetadataPreprocessor
from nbgrader.preprocessors import AssignLatePenalties, CheckCellMetadata, IgnorePattern, LimitOutput, SaveAutoGrades

from autograder.execute import ExecuteOutside
from autograder.submission import LEFT_OUT, SubmissionExporter
from lab_utils.data import drawn_data

c = get_config()  # noqa: F821  (put here by the configuration loader)

c.CourseDirectory.course_id = "multiview-vae-lab"
c.CourseDirectory.source_directory = "solutions"
c.CourseDirectory.release_directory = "assignments"
# Only notebooks go to students; pytest's settings for the solutions and what running leaves behind do not.
c.CourseDirectory.ignore = [
    *("*.pyc", "__pycache__", ".ipynb_checkpoints", ".pytest_cache", "conftest.py", "results"),
    f"*{LEFT_OUT}",
]

# Whatever a student handed in is read with care and repaired; then it is executed in a confined kernel, and its graded
# cells are judged from nbgrader's own process.
c.Autograde.exporter_class = SubmissionExporter
c.Autograde.autograde_preprocessors = [
    ExecuteOutside,
    IgnorePattern,
    ClearMetadataPreprocessor,
    LimitOutput,
    SaveAutoGrades,
    AssignLatePenalties,
    CheckCellMetadata,
]

# A kernel sees Python, the system, its own copy of the submission, and what notebooks use, with the embedded data drawn
# already: each would take seconds to draw them again.
c.ConfinedProvisioner.readable = [*find_spec("lab_utils").submodule_search_locations, str(drawn_data())]
c.ConfinedProvisioner.environment = {"LAB_DATA_DIR": str(drawn_data())}
# ... nbgrader's word that this is an automatic run (lab_utils.training.training_length).
c.ConfinedProvisioner.keep = ["NBGRADER_EXECUTION"]
# Kernels are forked from a process that has imported what the notebooks import.
c.ConfinedProvisioner.preload = [
    *("torch", "torchvision", "numpy", "pandas", "matplotlib.pyplot", "sklearn.manifold", "sklearn.linear_model"),
    *("lab_utils", "lab_utils.figures", "autograder.kernel"),
]
# True: no submission is run with less than every layer that keeps students' code in (python -m autograder doctor).
c.ConfinedProvisioner.require = False

# One cell may import torch, draw the data and, in notebook 3, take a few training steps, on a machine under load.
# An endless loop in an answer ends much earlier: each call of an answer has its own limit (autograder/exercises.py).
c.Execute.timeout = 60
c.Execute.raise_on_iopub_timeout = False  # too much output is the watchdog's to end
# No history file, and no line on stderr for each kernel that listens on this machine's loopback.
c.Execute.extra_arguments = ["--HistoryManager.hist_file=:memory:", "--IPKernelApp.log_level=ERROR"]
c.Execute.shutdown_kernel = "immediate"  # nothing in a student's kernel is worth waiting for
