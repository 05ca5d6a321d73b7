"""`load_definition` takes definitions, runs nothing else, and says what is wrong with a notebook."""

import os
import subprocess
import sys

import nbformat
import pytest

from lab_utils import load_definition
from lab_utils.automatic import scored, training_length
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


def test_what_a_notebook_takes_from_another_is_found_from_anywhere(notebook, tmp_path, monkeypatch):
    (tmp_path / "core").mkdir()
    notebook("def f(x):\n    return x + SHIFT\nSHIFT = 3").rename(tmp_path / "core" / "first.ipynb")
    notebook('from lab_utils import load_definition\nf = load_definition("first.ipynb", "f")').rename(
        tmp_path / "core" / "second.ipynb"
    )
    path = notebook(
        "from lab_utils import load_definition",
        'f = load_definition("core/second.ipynb", "f")\nnothing = load_definition("gone" + ".ipynb", "g")',
        "def twice(x):\n    return 2 * f(x)",
    )
    monkeypatch.chdir("/")
    assert load_definition(path, "twice")(1) == 8


def test_a_call_runs_each_notebook_once_and_the_next_call_sees_what_was_changed(notebook, tmp_path):
    shared = tmp_path / "shared.ipynb"
    notebook("class A:\n    pass", "def make():\n    return A()").rename(shared)
    path = notebook(
        "from lab_utils import load_definition",
        'A = load_definition("shared.ipynb", "A")\nmake = load_definition("shared.ipynb", "make")',
        "def same():\n    return isinstance(make(), A)",
    )
    assert load_definition(path, "same")()
    edited = nbformat.read(shared, as_version=4)
    edited.cells[1].source = "def make():\n    return 5"
    nbformat.write(edited, shared)
    assert not load_definition(path, "same")()


def test_a_function_that_may_raise_is_no_stub(notebook):
    path = notebook(
        "def f(x):\n    if x:\n        raise NotImplementedError()\n    return 1",
        "def g():\n    raise NotImplementedError()",
    )
    assert load_definition(path, "f")(0) == 1


def test_a_notebook_that_does_not_serve_is_shown_in_one_line():
    assert NotebookError("what to do")._render_traceback_() == ["NotebookError: what to do"]


def test_tracebacks_show_the_students_own_line(notebook):
    f = load_definition(notebook("def f():\n    return 1 / 0  # mine"), "f")
    with pytest.raises(ZeroDivisionError) as caught:
        f()
    assert "# mine" in str(caught.traceback[-1].statement)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("def g(): pass", "does not define f"),
        ("def f(x):\n    # YOUR CODE HERE\n    raise NotImplementedError()", "f is not written yet in .*work.ipynb"),
        ("class f:\n    def g(self):\n        'What.'\n        raise NotImplementedError()", "f is not written yet"),
        ("def f(:\n    pass", "syntax error"),
        ("import no_such_module\ndef f(): pass", r"work.ipynb\[cell 0\] raised ModuleNotFoundError"),
    ],
)
def test_a_notebook_that_does_not_serve_is_named(notebook, source, message):
    with pytest.raises(NotebookError, match=message):
        load_definition(notebook(source), "f")


def test_a_missing_or_broken_notebook_is_named(tmp_path):
    with pytest.raises(NotebookError, match="Keep the notebooks where you were given them"):
        load_definition(tmp_path / "gone.ipynb", "f")
    (tmp_path / "half.ipynb").write_text('{"cells": [')
    with pytest.raises(NotebookError, match="not a readable notebook"):
        load_definition(tmp_path / "half.ipynb", "f")


def test_lab_steps_shortens_the_training_and_nothing_else(monkeypatch):
    monkeypatch.delenv("LAB_STEPS")
    assert training_length(14, 90) == (14, 90)
    assert scored(2000) == 2000
    monkeypatch.setenv("LAB_STEPS", "3")
    assert training_length(14, 90) == (2, 3)
    assert (scored(2000), scored(100)) == (200, 100)
    assert training_length(1, 2) == (1, 2)
    for wrong in ("0", "-1", "few", "2.5"):
        monkeypatch.setenv("LAB_STEPS", wrong)
        with pytest.raises(ValueError, match="LAB_STEPS must be a positive whole number"):
            training_length(14, 90)


def test_a_wrong_setting_is_told_in_a_line_of_the_notebook():
    code = "from lab_utils.automatic import training_length; training_length(12, 100)"
    command = [sys.executable, "-m", "IPython", "--no-banner", "--colors=nocolor", "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "LAB_STEPS": "two"}, check=False)
    said = (done.stdout + done.stderr).strip()
    assert said == "SettingError: LAB_STEPS must be a positive whole number of steps, or not set; it is 'two'"
