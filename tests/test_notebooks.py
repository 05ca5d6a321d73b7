"""`load_definition` takes definitions, runs nothing else, and says what is wrong with a notebook."""

import nbformat
import pytest

from lab_utils import load_definition
from lab_utils.automatic import training_length
from lab_utils.definitions import NotebookError


@pytest.fixture
def notebook(tmp_path):
    def write(*sources):
        cells = [nbformat.v4.new_code_cell(source) for source in sources]
        path = tmp_path / "work.ipynb"
        nbformat.write(nbformat.v4.new_notebook(cells=cells), path)
        return path

    return write


def test_the_last_definition_counts_and_nothing_else_runs(notebook):
    path = notebook(
        "%matplotlib inline\n!ls\nimport math\nSCALE = 3\nDERIVED = SCALE * 2",
        "def f(x):\n    return x",
        "raise RuntimeError('training')",
        "def f(x):\n    return math.floor(x) * SCALE",
        "f(undefined)",
    )
    assert load_definition(path, "f")(2.5) == 6


def test_tracebacks_show_the_students_own_line(notebook):
    f = load_definition(notebook("def f():\n    return 1 / 0  # mine"), "f")
    with pytest.raises(ZeroDivisionError) as caught:
        f()
    assert "# mine" in str(caught.traceback[-1].statement)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("def g(): pass", "does not define f"),
        ("def f(:\n    pass", "syntax error"),
        ("import no_such_module\ndef f(): pass", r"work.ipynb\[cell 0\] raised ModuleNotFoundError"),
    ],
)
def test_a_notebook_that_does_not_serve_is_named(notebook, source, message):
    with pytest.raises(NotebookError, match=message):
        load_definition(notebook(source), "f")


def test_a_missing_or_broken_notebook_is_named(tmp_path):
    with pytest.raises(NotebookError, match="Keep the notebooks of the lab in one folder"):
        load_definition(tmp_path / "gone.ipynb", "f")
    (tmp_path / "half.ipynb").write_text('{"cells": [')
    with pytest.raises(NotebookError, match="not a readable notebook"):
        load_definition(tmp_path / "half.ipynb", "f")


def test_lab_steps_shortens_the_training_and_nothing_else(monkeypatch):
    monkeypatch.delenv("LAB_STEPS")
    assert training_length(14, 90) == (14, 90)
    monkeypatch.setenv("LAB_STEPS", "3")
    assert training_length(14, 90) == (2, 3)
    assert training_length(1, 2) == (1, 2)
    for wrong in ("0", "-1", "few", "2.5"):
        monkeypatch.setenv("LAB_STEPS", wrong)
        with pytest.raises(ValueError, match="LAB_STEPS must be a positive whole number"):
            training_length(14, 90)
