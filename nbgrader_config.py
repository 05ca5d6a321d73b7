"""nbgrader's configuration: `nbgrader` commands work from this folder."""

import os

from nbconvert.preprocessors import ClearMetadataPreprocessor
from nbgrader.preprocessors import AssignLatePenalties, CheckCellMetadata, IgnorePattern, LimitOutput, SaveAutoGrades

from autograder.execute import ExecuteOnceOutOfTime

c = get_config()  # noqa: F821  (put here by the configuration loader)

c.CourseDirectory.course_id = "multiview-vae-lab"
c.CourseDirectory.source_directory = "solutions"
c.CourseDirectory.release_directory = "assignments"
# Only notebooks go to students; pytest's settings for the solutions and what running leaves behind do not.
c.CourseDirectory.ignore = ["*.pyc", "__pycache__", ".ipynb_checkpoints", ".pytest_cache", "conftest.py", "results"]

# A cell deleted by a student comes back before grading, so that it is graded and not forgotten.
c.OverwriteCells.add_missing_cells = True

# One cell may import torch, draw the data and, in notebook 3, take a few training steps, on a machine under load.
# An endless loop in an answer ends much earlier: each call of an answer has its own limit (autograder/exercises.py).
c.Execute.timeout = 60
c.Execute.interrupt_on_timeout = True
# No history file, and no line on stderr for each kernel that listens on this machine's loopback.
c.Execute.extra_arguments = ["--HistoryManager.hist_file=:memory:", "--IPKernelApp.log_level=ERROR"]
c.Autograde.autograde_preprocessors = [
    ExecuteOnceOutOfTime,
    IgnorePattern,
    ClearMetadataPreprocessor,
    LimitOutput,
    SaveAutoGrades,
    AssignLatePenalties,
    CheckCellMetadata,
]
c.Execute.shutdown_kernel = "immediate"  # nothing in a student's kernel is worth waiting for

# Automatic runs take a few training steps (lab_utils.training.training_length) and need no download.
os.environ.setdefault("LAB_STEPS", "2")
os.environ["LAB_DATA"] = "embedded"
