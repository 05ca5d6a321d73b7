"""What several tests share."""

import os
from pathlib import Path

from nbverdict.checks.assignments import known_assignments
from nbverdict.imports import without_address_grammar
from nbverdict.notebooks.release import graded_cells_of
from support import commands
from support.asking import asking as asking_kernel

with without_address_grammar():
    import nbformat

# The notebooks that tests run take a single training step, on data that needs no download.
os.environ["LAB_STEPS"] = "1"
os.environ["LAB_DATA"] = "embedded"

ROOT = Path(__file__).parent.parent
commands.prepare(ROOT, imports=["torch"])
SOLUTIONS = ROOT / "solutions" / "multiview_vae"
RELEASE = ROOT / "assignments" / "multiview_vae"

ASSIGNMENT = known_assignments(ROOT)["multiview_vae"]
EXTENSION = known_assignments(ROOT)["cross_view"]
EXERCISES = ASSIGNMENT.exercises
ALL_EXERCISES = {**EXERCISES, **EXTENSION.exercises}


def graded_cells(assignment):
    """Return the graded cells of a release by name, in its order."""
    return {
        cell.name: cell
        for path in sorted((ROOT / "assignments" / assignment).glob("*.ipynb"))
        for cell in graded_cells_of(nbformat.read(path, as_version=4), path.stem)
    }


CELLS = graded_cells("multiview_vae")
ALL_CELLS = CELLS | graded_cells("cross_view")
MOST = sum(cell.points for cell in CELLS.values())


def asking(namespace, assignment=ASSIGNMENT):
    """Return an `ask` for a `KernelAnswer` in a kernel that knows the assignment's own values."""
    return asking_kernel(namespace, assignment.values)
