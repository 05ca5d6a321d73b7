"""`pytest --nbval` on the solutions: passes wherever they lie, and notices a changed result."""

import subprocess
import sys

import nbformat
import pytest

from tests.conftest import SOLUTIONS


def nbval(path):
    """Run nbval on a notebook and return its exit status and the names of the cells that failed."""
    command = [sys.executable, "-m", "pytest", "--nbval", "-q", "-p", "no:cacheprovider", "-rf", path]
    result = subprocess.run(command, cwd=path.parent, capture_output=True, text=True, check=False)
    failed = [line.split("::")[1].split(" - ")[0] for line in result.stdout.splitlines() if line.startswith("FAILED")]
    return result.returncode, failed


@pytest.fixture
def graded_part(tmp_path):
    """Return a function that writes a stored solution up to its graded cell, changed, into another folder."""

    def write(name, grade_id, change=lambda source: source):
        notebook = nbformat.read(SOLUTIONS / f"{name}.ipynb", as_version=4)
        ids = [cell.metadata.get("nbgrader", {}).get("grade_id") for cell in notebook.cells]
        notebook.cells = notebook.cells[: ids.index(grade_id) + 1]
        for cell in notebook.cells:
            cell.source = change(cell.source)
        nbformat.write(notebook, tmp_path / f"{name}.ipynb")
        code = [cell for cell in notebook.cells if cell.cell_type == "code"]
        return tmp_path / f"{name}.ipynb", [f"Cell {number}" for number in range(len(code))]

    return write


def test_outputs_are_the_same_in_another_folder(graded_part):
    path, _ = graded_part("1_paired_dataset", "paired_dataset")
    assert nbval(path) == (0, [])


@pytest.mark.parametrize(
    ("name", "grade_id", "old", "new"),
    [
        ("3_multiview_vae", "vae_loss", "kl = -0.5", "kl = 0.5"),
        ("2_product_of_experts", "product_of_experts", "-torch.logsumexp(", "torch.logsumexp("),
    ],
)
def test_a_wrong_sign_fails_the_self_check_and_the_graded_cell(graded_part, name, grade_id, old, new):
    path, cells = graded_part(name, grade_id, lambda source: source.replace(old, new))
    assert nbval(path) == (1, cells[-2:])
