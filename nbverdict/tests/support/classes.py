"""A course of the tests' own, and a class of seven: three notebooks, NumPy alone, 42 points."""

import copy

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from nbverdict.checks.assignments import Assignment

ASSIGNMENT, COURSE_ID = "gauss", "of-the-tests"
NAME = "2_product"  # the notebook that the class hands in
CONFIG = f"""from nbverdict.configuration import configure

c = get_config()
configure(c)
c.CourseDirectory.course_id = "{COURSE_ID}"
c.ConfinedProvisioner.preload += ["numpy"]
"""

HEAD = '''"""Checks."""
import numpy as np
import pytest
from nbverdict.checks.diagnosis import Mistake, Wrong, compare, describe

'''
CHECKS = {
    "pairs": HEAD
    + '''
EXERCISE = {"answer": "pairs"}


@pytest.mark.points(12)
def test_pairs(pairs, rng):
    """Each item stands beside the one in the same place."""
    one, two = rng.normal(size=(2, 4)).tolist()
    for first, second in zip(pairs(one, two), zip(one, two), strict=True):
        compare("pair", first, second, cause="another pair", hint="zip")
''',
    "product": HEAD
    + '''
EXERCISE = {"answer": "product"}


def right(mu1, logvar1, mu2, logvar2):
    logvar = -np.logaddexp(-logvar1, -logvar2)
    return np.exp(logvar - logvar1) * mu1 + np.exp(logvar - logvar2) * mu2, logvar


def two(result):
    if isinstance(result, tuple) and len(result) == 2 and all(isinstance(one, np.ndarray) for one in result):
        return result
    cause, hint = "the function does not return two arrays", "return mu, logvar"
    raise Wrong(expected="a tuple of two arrays", got=describe(result), cause=cause, hint=hint)


def expect(product, inputs):
    found = two(product(*(value.copy() for value in inputs)))
    cause = "this is the average of the two experts' log-variances"
    mistakes = [Mistake(cause, "Precisions add.", (inputs[1] + inputs[3]) / 2)]
    for name, got, wanted in zip(("mu", "logvar"), found, right(*inputs), strict=True):
        compare(name, got, wanted, mistakes=mistakes * (name == "logvar"), cause="wrong", hint="Precisions add.")


@pytest.mark.points(9)
def test_formula(product, rng):
    """The product of two Gaussians: log-variance and mean."""
    inputs = rng.normal(size=(4, 3))
    inputs[0] = inputs[2] = 1.0
    expect(product, inputs)


@pytest.mark.points(1)
def test_finite(product, rng):
    """Finite where exp overflows."""
    expect(product, np.array([[1.0], [-800.0], [2.0], [-700.0]]))


@pytest.mark.points(3)
def test_symmetric(product, rng):
    """The order of the experts does not matter."""
    mu1, logvar1, mu2, logvar2 = rng.normal(size=(4, 3))
    one, other = two(product(mu1, logvar1, mu2, logvar2)), two(product(mu2, logvar2, mu1, logvar1))
    for place in range(2):
        compare("exchanged", one[place], other[place], cause="the order matters", hint="Exchange them.")


@pytest.mark.points(2)
def test_shapes(product, rng):
    """The results have the shape of the inputs."""
    for one in two(product(*rng.normal(size=(4, 2, 3)))):
        assert one.shape == (2, 3)
''',
    "entropy": HEAD
    + '''
EXERCISE = {"answer": "entropy"}


@pytest.mark.points(15)
def test_entropy(entropy, rng):
    """The entropy of a Gaussian in nats."""
    logvar = float(rng.normal())
    compare("entropy", entropy(logvar), 0.5 * (np.log(2 * np.pi * np.e) + logvar), cause="wrong", hint="See the text.")
''',
}
ANSWERS = {
    "pairs": "def pairs(one, two):\n    return list(zip(one, two))",
    "product": """def product(mu1, logvar1, mu2, logvar2):
    logvar = -np.logaddexp(-logvar1, -logvar2)
    return np.exp(logvar - logvar1) * mu1 + np.exp(logvar - logvar2) * mu2, logvar""",
    "entropy": "def entropy(logvar):\n    return 0.5 * (np.log(2 * np.pi * np.e) + logvar)",
}
EACH = {"pairs": 12.0, "product": 15.0, "entropy": 15.0}
MOST = sum(EACH.values())
WORDS = {"pairs": 3, "product": 3, "entropy": 4}  # points of the question in words of each notebook
TEXTBOOK = """def product(mu1, logvar1, mu2, logvar2):
    precision1, precision2 = 1 / np.exp(logvar1), 1 / np.exp(logvar2)
    var = 1 / (precision1 + precision2)
    return var * (precision1 * mu1 + precision2 * mu2), np.log(var)
"""
AVERAGED = """def product(mu1, logvar1, mu2, logvar2):
    return (mu1 + mu2) / 2, (logvar1 + logvar2) / 2
"""
# Without end, and without work: one that keeps a processor busy is among the attacks.
ENDLESS = "import time\ndef product(*experts):\n    while True:\n        time.sleep(1)\n"
EXITS = "import os\ndef product(*experts):\n    os._exit(1)\n"
WRONG = {"b_textbook": TEXTBOOK, "c_averages": AVERAGED, "d_loops": ENDLESS, "e_exits": EXITS}
POINTS = {"a_right": 15, "b_textbook": 14, "c_averages": 5, "d_loops": 0, "e_exits": 0, "f_right": 15, "g_right": 15}
STATUS = {"b_textbook": "wrong", "c_averages": "wrong", "d_loops": "timeout", "e_exits": "died"}


def mark(cell, name, **marks):
    """Return a cell with nbgrader's marks."""
    usual = {"grade": False, "solution": False, "locked": False, "task": False, "schema_version": 3}
    cell.metadata["nbgrader"] = {**usual, "grade_id": name, **marks}
    return cell


def source(name):
    """Return the instructor's notebook of an exercise."""
    first, *rest = ANSWERS[name].splitlines()
    answer = "\n".join([first, "    ### BEGIN SOLUTION", *rest, "    ### END SOLUTION"])
    question = new_markdown_cell(
        "Because it is.\n### BEGIN MARK SCHEME\n1 point: a reason\n### END MARK SCHEME", id="why"
    )
    cells = [
        new_markdown_cell(f"# {name}", id="title"),
        new_code_cell("import numpy as np\n\nfrom nbverdict import check", id="imports"),
        mark(new_code_cell(answer, id="answer"), f"{name}_answer", solution=True),
        mark(new_code_cell(f'check("{name}", {name})', id="check"), name, grade=True, locked=True, points=EACH[name]),
        mark(question, f"{name}_why", grade=True, solution=True, points=WORDS[name]),
    ]
    kernel = {"name": "python3", "language": "python", "display_name": "Python 3"}
    return new_notebook(cells=cells, metadata={"kernelspec": kernel})


SOURCES = {f"{place}_{name}": source(name) for place, name in enumerate(EACH, 1)}


def solved():
    """Return the solved notebooks by name."""
    return copy.deepcopy(SOURCES)


def find(submission, grade_id):
    """Return the cell of that grade_id."""
    cells = (cell for book in submission.values() for cell in book.cells)
    return next(cell for cell in cells if cell.metadata.get("nbgrader", {}).get("grade_id") == grade_id)


def write_course(folder):
    """Write the course: configuration, checks, solved notebooks."""
    checks, solutions = folder / "checks" / ASSIGNMENT, folder / "solutions" / ASSIGNMENT
    for path in (checks, solutions):
        path.mkdir(parents=True)
    (folder / "nbgrader_config.py").write_text(CONFIG)
    for name, text in CHECKS.items():
        (checks / f"{name}.py").write_text(text)
    for name, book in SOURCES.items():
        nbformat.write(book, solutions / f"{name}.ipynb")
    return folder


def write_class(course):
    """Hand in notebook 2 of seven students."""
    for student in POINTS:
        submission = {NAME: solved()[NAME]}
        if student in WRONG:
            find(submission, "product_answer").source = WRONG[student]
        folder = course / "submitted" / student / ASSIGNMENT
        folder.mkdir(parents=True)
        nbformat.write(submission[NAME], folder / f"{NAME}.ipynb")


def assignment_in(course):
    """Return the assignment of the course."""
    return Assignment(ASSIGNMENT, course / "checks" / ASSIGNMENT)
