"""Assert cells become check files where they mean the same there; the others are named."""

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from nbverdict.notebooks.converting import converted
from support import commands
from support.classes import CONFIG, mark
from support.commands import nbgrader

SOLUTION = "def double(x):\n    ### BEGIN SOLUTION\n    return 2 * x\n    ### END SOLUTION\n\ndef half(x): return x / 2"
CONVERTED = {
    "compares": "assert double(2) == 4\nassert double(0) == 0, 'nothing twice'",
    "hidden": "### BEGIN HIDDEN TESTS\nassert double(-1) == -2\n### END HIDDEN TESTS",
    "prepared": "values = [1, 2]\nassert [double(v) for v in values] == [2, 4]",
    "arrays": "assert np.allclose(double(np.array([1.0])), [2.0])",
    "imported": "import math\nassert math.isclose(double(0.1), 0.2)",
}
LEFT = {
    "loop": ("for n in range(3):\n    assert double(n) == 2 * n", "line 1 is no assert"),
    "two": ("assert double(half(2)) == 2", "it calls 2 answers (double, half)"),
    "foreign": ("assert double(data) == 4", "data is not made in this cell"),
    "opens": ("assert double(len(open('x').read())) == 4", "open is used"),
    "shows": ("double(2)", "line 1 is no assert"),
    "nothing": ("x = 1", "it has no assert"),
    "magic": ("%time double(1)", "it is no plain Python"),
    "method": ("assert (lambda x: double(x))(1) == 2", "does more than call an answer and compare"),
    "lines": ('assert double("""a\nb""") == 2', "has a text of several lines"),
    "no-name": ("assert double(1) == 2", "cannot be the name of a check file"),
}


def graded(sources):
    cells = [mark(new_code_cell(text), name, grade=True, locked=True, points=2) for name, text in sources.items()]
    given = new_code_cell("import numpy as np\nfrom nbverdict import check\ndata = 2")
    kernel = {"name": "python3", "language": "python", "display_name": "Python 3"}
    answer = mark(new_code_cell(SOLUTION), "answers", solution=True)
    return new_notebook(cells=[given, answer, *cells], metadata={"kernelspec": kernel})


@pytest.mark.parametrize("name", LEFT)
def test_a_cell_that_does_more_is_left_and_named(name):
    (one,) = converted(graded({name: LEFT[name][0]}))
    assert one.text == ""
    assert LEFT[name][1] in one.reason


def test_converted_cells_earn_the_same_outside(tmp_path):
    (tmp_path / "nbgrader_config.py").write_text(CONFIG)
    source = tmp_path / "solutions" / "ps" / "one.ipynb"
    source.parent.mkdir(parents=True)
    nbformat.write(graded({**CONVERTED, "loop": LEFT["loop"][0]}), source)
    said = commands.run(tmp_path, "nbverdict", "convert", "solutions/ps/one.ipynb", "--in-place")
    assert said.returncode == 1
    assert "left: loop: line 1 is no assert" in said.stdout
    assert sorted(path.stem for path in (tmp_path / "checks" / "ps").iterdir()) == sorted(CONVERTED)
    book = nbformat.read(source, as_version=4)
    book.cells.pop()  # the one that was left
    nbformat.write(book, source)
    nbgrader(tmp_path, "generate_assignment", "ps")  # which grades the solution by the new checks
    wrong = nbformat.read(tmp_path / "assignments" / "ps" / "one.ipynb", as_version=4)
    wrong.cells[1].source = "def double(x):\n    return 4"
    (tmp_path / "submitted" / "ada" / "ps").mkdir(parents=True)
    nbformat.write(wrong, tmp_path / "submitted" / "ada" / "ps" / "one.ipynb")
    said = commands.run(tmp_path, "nbverdict", "grade", "ps").stdout
    assert "ada" in said
    assert " 0/10" in said
    assert "This does not hold: double(0) == 0" not in said  # the message of the assert is its own
    assert "nothing twice" in said
