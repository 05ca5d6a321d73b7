"""A release, and what was handed in for it, are refused where they cannot be graded, at every door."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell
from nbgrader.api import Gradebook

from nbverdict.classroom.course import AssignmentRun, Course
from nbverdict.classroom.scheduling import grade_class
from support import commands
from support.classes import ASSIGNMENT, NAME
from support.commands import nbgrader

NUMPY = Path(__file__).parents[3] / "examples" / "numpy_course"


def output_of(cell):
    return "".join(output.get("text", "") for output in cell.outputs if output.output_type == "stream")


@pytest.fixture(scope="session")
def example(tmp_path_factory):
    """The example course, both assignments released, with its made-up class."""
    folder = tmp_path_factory.mktemp("example") / "course"
    shutil.copytree(NUMPY, folder, ignore=shutil.ignore_patterns("__pycache__"))
    for assignment in ("least_squares", "smoothing"):
        nbgrader(folder, "generate_assignment", assignment)
    subprocess.run([sys.executable, NUMPY / "make_class.py", folder], check=True)
    return folder


@pytest.fixture
def numpy_course(example, tmp_path):
    return shutil.copytree(example, tmp_path / "numpy")


def sources(course, assignment, change):
    """Change the solved notebook of an assignment."""
    (path,) = (course / "solutions" / assignment).glob("*.ipynb")
    book = nbformat.read(path, as_version=4)
    change(book)
    nbformat.write(book, path)


def add_cell(source, grade_id="bonus", points=2):
    """Return a change that adds a graded code cell."""

    def change(book):
        marks = {"grade": True, "solution": False, "locked": True, "task": False, "points": points}
        cell = new_code_cell(source, id=grade_id)
        cell.metadata["nbgrader"] = {**marks, "grade_id": grade_id, "schema_version": 3}
        book.cells.append(cell)

    return change


def allow_stock(course, stock=True):
    config = course / "nbgrader_config.py"
    lines = [line for line in config.read_text().splitlines() if "ExecuteOutside" not in line]
    more = [f"c.ExecuteOutside.stock = {stock!r}", "c.ExecuteOutside.rehearse = False"]
    config.write_text("\n".join([*lines, *more, ""]))


def autograder(course, *arguments):
    return commands.run(course, "autograder", *arguments)


def earned(course, assignment, student):
    """Return a student's automatic scores by grade_id."""
    with Gradebook(f"sqlite:///{course}/gradebook.db", "numpy-course") as gradebook:
        notebooks = gradebook.find_submission(assignment, student).notebooks
        return {g.name: g.auto_score for notebook in notebooks for g in notebook.grades if g.auto_score is not None}


UNCHECKED = "nobody has checks for the graded code cell 'bonus'"


def test_a_release_with_a_cell_that_nobody_checks_is_refused_and_the_old_one_stays(numpy_course):
    before = {path: path.read_bytes() for path in (numpy_course / "assignments").rglob("*.ipynb")}
    sources(numpy_course, "smoothing", add_cell("2"))
    said = nbgrader(numpy_course, "generate_assignment", "smoothing", "--force", status=1)
    assert UNCHECKED in said
    assert "checks/smoothing/bonus.py, or" in said
    assert "Traceback" not in said
    (numpy_course / "checks" / "smoothing" / "bonus.py").write_text("import pytest\n")
    said = nbgrader(numpy_course, "generate_assignment", "smoothing", "--force", status=1)
    assert 'bonus.py does not say what it grades. Add a line like EXERCISE = {"answer": "bonus"}' in said
    assert before == {path: path.read_bytes() for path in (numpy_course / "assignments").rglob("*.ipynb")}


def test_validation_lets_a_cell_fail_that_nobody_checks_and_does_not_run_it(numpy_course):
    sources(numpy_course, "smoothing", add_cell("open('ran', 'w')"))
    notebook = "solutions/smoothing/1_smoothing.ipynb"

    def validate():
        return commands.run(numpy_course, "nbgrader", "validate", notebook).stdout

    said = validate()
    assert "VALIDATION FAILED ON 1 CELL(S)" in said
    assert "NoChecks: nobody has checks for the graded code cell 'bonus' in smoothing" in said
    assert not (numpy_course / "solutions" / "smoothing" / "ran").exists()
    allow_stock(numpy_course)
    validate()
    assert (numpy_course / "solutions" / "smoothing" / "ran").exists()


def test_grading_refuses_a_cell_that_nobody_checks_at_both_doors_and_touches_no_grade(numpy_course):
    allow_stock(numpy_course)
    sources(numpy_course, "smoothing", add_cell("2"))
    nbgrader(numpy_course, "generate_assignment", "smoothing", "--force")
    assert autograder(numpy_course, "grade", "smoothing", "--student", "anna_all").returncode == 0
    before = earned(numpy_course, "smoothing", "anna_all")
    assert before == {"moving_average": 4, "windows": 5, "bonus": 2}
    allow_stock(numpy_course, False)
    said = nbgrader(numpy_course, "autograde", "smoothing", "--force", status=1)
    assert UNCHECKED in said
    assert "Traceback" not in said
    ours = autograder(numpy_course, "grade", "smoothing")
    assert ours.returncode == 2
    assert ours.stderr.startswith(f"error: {UNCHECKED}")
    assert earned(numpy_course, "smoothing", "anna_all") == before


STOCK_CELLS = {  # source of the cell -> points of 2, and what the report says
    "2": (2, ""),
    "0.5": (0.5, "It showed 0.5."),
    "assert True": (0, "It showed nothing; its last line must be a number from 0 to 2."),
    "3": (0, "It showed 3, which is no number from 0 to 2."),
    "float('nan')": (0, "It showed nan, which is no number from 0 to 2."),
    "'two'": (0, "It showed 'two', which is no number from 0 to 2."),
    "1 / 0": (0, "ZeroDivisionError: division by zero"),
    "import sys; print('x', file=sys.stderr)\n2": (0, "It printed to stderr: x"),
    "import os; os._exit(0)": (0, "The notebook's process ended by itself"),
}


def test_cells_without_checks_are_graded_by_what_they_show_where_the_course_says_so(numpy_course):
    allow_stock(numpy_course)
    cells = {f"bonus_{i}": source for i, source in enumerate(STOCK_CELLS)}
    for name, source in cells.items():
        sources(numpy_course, "smoothing", add_cell(source, name))
    nbgrader(numpy_course, "generate_assignment", "smoothing", "--force")
    wanted = {name: STOCK_CELLS[source][0] for name, source in cells.items()}
    shutil.rmtree(numpy_course / "submitted")
    subprocess.run([sys.executable, NUMPY / "make_class.py", numpy_course], check=True)
    result = autograder(numpy_course, "grade", "smoothing", "--student", "anna_all", "--json", "found.json")
    assert result.returncode == 0, result.stderr
    (found,) = json.loads((numpy_course / "found.json").read_text())
    outcomes = {outcome["exercise"]: outcome for outcome in found["outcomes"]}
    assert outcomes["moving_average"]["points"] == 4
    for name, source in cells.items():
        points, message = STOCK_CELLS[source]
        assert outcomes[name]["points"] == points, source
        assert message in outcomes[name]["checks"][0]["message"], outcomes[name]
    ours = earned(numpy_course, "smoothing", "anna_all")
    assert {name: ours[name] for name in wanted} == wanted
    nbgrader(numpy_course, "autograde", "smoothing", "--student", "anna_all", "--force")
    assert earned(numpy_course, "smoothing", "anna_all") == ours


def more_points(book):
    marked(book, "windows").metadata.nbgrader.points = 7


def more_lines(book):
    marked(book, "windows").source = "assert True\ncheck('windows', Windows)"


@pytest.mark.parametrize(
    ("change", "problem"),
    [(more_points, "7 points, but the checks in .* add up to 5"), (more_lines, "must be the one line")],
)
def test_a_release_that_disagrees_with_its_checks_is_refused(numpy_course, change, problem):
    sources(numpy_course, "smoothing", change)
    said = nbgrader(numpy_course, "generate_assignment", "smoothing", "--force", status=1)
    assert re.search(problem, said), said
    assert "Traceback" not in said
    assert list((numpy_course / "assignments" / "smoothing").iterdir())


def test_a_release_is_refused_whose_exercise_another_assignment_has(numpy_course):
    shutil.copy(numpy_course / "checks/smoothing/moving_average.py", numpy_course / "checks/least_squares")
    said = nbgrader(numpy_course, "generate_assignment", "smoothing", "--force", status=1)
    assert "'moving_average' is an exercise of two assignments" in said


def test_a_run_without_executing_is_refused(numpy_course):
    """nbgrader would give full marks to cells that show nothing."""
    said = nbgrader(numpy_course, "autograde", "smoothing", "--no-execute", "--force", status=1)
    assert "leave --no-execute out" in said


def marked(book, grade_id):
    return next(cell for cell in book.cells if cell.metadata.get("nbgrader", {}).get("grade_id") == grade_id)


def test_the_checks_of_a_course_are_out_of_sight_of_its_kernels_and_a_check_there_counts_nothing(numpy_course):
    places = [numpy_course / "checks/smoothing/windows.py", numpy_course / "solutions/smoothing/1_smoothing.ipynb"]
    code = f"""
for place in {[str(place) for place in places]!r}:
    try: print("re" + "ad", open(place).read()[:20])
    except OSError as error: print(type(error).__name__)
print(check("windows", Windows))
"""
    path = numpy_course / "submitted" / "anna_all" / "smoothing" / "1_smoothing.ipynb"
    book = nbformat.read(path, as_version=4)
    marked(book, "Windows").source += code
    nbformat.write(book, path)
    result = autograder(numpy_course, "grade", "smoothing", "--student", "anna_all")
    assert re.search(r"anna_all +9/9", result.stderr), result.stderr
    graded = nbformat.read(numpy_course / "autograded" / "anna_all" / "smoothing" / "1_smoothing.ipynb", as_version=4)
    said = output_of(marked(graded, "Windows"))
    assert "read" not in said
    assert "Not checked here" in said
    assert "windows: 0 of 0 points" in said


def test_a_release_with_other_notebooks_than_those_handed_in_is_refused_before_the_old_one_is_deleted(course):
    list(grade_class(AssignmentRun(Course(course), ASSIGNMENT), ["f_right"]))
    release, source = course / "assignments" / "gauss", course / "solutions" / "gauss"
    before = {path.name: path.read_bytes() for path in release.iterdir()}
    nbformat.write(nbformat.v4.new_notebook(), source / "4_new.ipynb")
    said = nbgrader(course, "generate_assignment", "gauss", "--force", status=1)
    assert "4_new: other notebooks, or other marked cells, than in the release that 1 submissions belong to" in said
    assert {path.name: path.read_bytes() for path in release.iterdir()} == before
    (source / "4_new.ipynb").unlink()
    nbgrader(course, "generate_assignment", "gauss", "--force")
    # nbgrader itself deletes the release before it refuses a new read-only cell, or a cell of another kind.
    whole = (source / f"{NAME}.ipynb").read_text()
    for change in ({"locked": True, "grade_id": "adapter"}, {"solution": True, "grade_id": "product"}):
        book = nbformat.reads(whole, as_version=4)
        cell = new_code_cell("pass", id="new")
        if change["grade_id"] == "product":
            cell = next(one for one in book.cells if one.metadata.get("nbgrader", {}).get("grade_id") == "product")
        else:
            book.cells.append(cell)
        usual = {"grade": False, "solution": False, "locked": False, "task": False, "schema_version": 3}
        cell.metadata["nbgrader"] = {**usual, **cell.metadata.get("nbgrader", {}), **change}
        nbformat.write(book, source / f"{NAME}.ipynb")
        said = nbgrader(course, "generate_assignment", "gauss", "--force", status=1)
        assert f"{NAME}: other notebooks, or other marked cells," in said
        assert (release / f"{NAME}.ipynb").read_bytes() == before[f"{NAME}.ipynb"]
    (source / f"{NAME}.ipynb").write_text(whole)
    (source / f"{NAME}.ipynb").unlink()
    said = nbgrader(course, "generate_assignment", "gauss", "--force", status=1)
    assert f"{NAME}: other notebooks" in said
