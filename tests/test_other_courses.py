"""Other courses: one from a wheel outside the repository, two assignments side by side, and the recipes of the docs."""

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook
from nbgrader.api import Gradebook

from examples.numpy_course.make_class import ASSIGNMENTS, EXPECTED, make_class
from tests.conftest import MOST, RELEASE, ROOT

NUMPY = ROOT / "examples" / "numpy_course"
GENERATED = shutil.ignore_patterns("__pycache__", ".*_cache", "*.egg-info")


def run(command, cwd, environment=None, status=0):
    """Run a command, expect its status, and return all that it printed."""
    result = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == status, result.stdout[-2000:] + result.stderr[-3000:]
    return result.stdout + result.stderr


def scores(course):
    """Return what the gradebook holds: points by student and exercise."""
    found = {}
    with Gradebook(f"sqlite:///{course}/gradebook.db", "numpy-course") as gradebook:
        for assignment in gradebook.assignments:
            for submission in gradebook.assignment_submissions(assignment.name):
                grades = [g for notebook in submission.notebooks for g in notebook.grades if g.cell.cell_type == "code"]
                found.setdefault(submission.student.id, {}).update({g.name: g.auto_score for g in grades})
    return found


def files(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.name != ".lock"}


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The environment of a Python that has this package from a wheel, and all others from here."""
    folder = tmp_path_factory.mktemp("installed")
    for name in ("autograder", "lab_utils"):
        shutil.copytree(ROOT / name, folder / "source" / name, ignore=GENERATED)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder / "source")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    run([*pip, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", folder, folder / "source"], folder)
    (wheel,) = folder.glob("*.whl")
    shutil.rmtree(folder / "source")
    venv.create(folder / "venv", symlinks=True)
    python = folder / "venv" / "bin" / "python"
    run([*pip, f"--python={python}", "install", "--no-deps", wheel], folder)
    here = sysconfig.get_path("purelib")
    (purelib,) = (folder / "venv").glob("lib/python*/site-packages")
    (purelib / "others.pth").write_text(f"{here}\n")  # but not what is installed there by a link to its source
    # Students' kernels may read the packages there, too.
    (folder / "nbgrader_config.py").write_text(f"c.ConfinedProvisioner.readable = [{here!r}]\n")
    path = os.pathsep.join([str(python.parent), str(Path(sys.executable).parent), os.environ["PATH"]])
    return {**os.environ, "PATH": path, "JUPYTER_CONFIG_DIR": str(folder), "PYTHONPATH": ""}


def test_a_course_of_another_subject_is_graded_by_both_doors_with_the_package_from_a_wheel(installed, tmp_path):
    course = Path(shutil.copytree(NUMPY, tmp_path / "course", ignore=GENERATED))
    lines = (course / "nbgrader_config.py").read_text().splitlines()
    assert len(lines) <= 10
    python = shutil.which("python", path=installed["PATH"])
    nbgrader = [python, "-m", "nbgrader"]
    where = run([python, "-c", "import autograder, torch; print(autograder.__file__)"], course, installed)
    assert Path(where.strip()).is_relative_to(Path(python).parent.parent)
    for assignment in ASSIGNMENTS:
        run([*nbgrader, "generate_assignment", assignment], course, installed)
    make_class(course)
    assert len(EXPECTED) >= 8
    for assignment in ASSIGNMENTS:
        said = run(["autograder", "grade", assignment, "--jobs", "2"], course, installed)
        assert "confinement: environment" in said
    assert scores(course) == EXPECTED

    # Regraded and published, one leaves the other alone.
    other, graded = files(course / "grades" / "least_squares"), scores(course)
    said = run(["autograder", "grade", "smoothing", "--force", "--jobs", "2"], course, installed)
    assert "standardise" not in said
    assert files(course / "grades" / "least_squares") == other
    assert scores(course) == graded
    assert f"{len(EXPECTED)} of them unchanged" in run(["autograder", "grade", "least_squares"], course, installed)

    # Stock nbgrader gives the same, from an empty gradebook.
    (course / "gradebook.db").unlink()
    for assignment in ASSIGNMENTS:
        run([*nbgrader, "generate_assignment", assignment, "--force"], course, installed)
        run([*nbgrader, "autograde", assignment, "--force"], course, installed)
    assert scores(course) == EXPECTED
    assert files(course / "grades" / "smoothing").keys() == {
        *(course / "grades" / "smoothing" / f"{student}.json" for student in EXPECTED),
        *(course / "grades" / "smoothing" / "gradescope" / student / "results.json" for student in EXPECTED),
        course / "grades" / "smoothing" / "grades.csv",
        course / "grades" / "smoothing" / "index.html",
    }


# --- the recipes -----------------------------------------------------------------------------------------------------


def recipe(title):
    """Return the blocks of a section of docs/instructor.md, by the name that stands before each."""
    text = (ROOT / "docs" / "instructor.md").read_text().split(f"## {title}\n")[1].split("\n## ")[0]
    return dict(re.findall(r"^`([^`]+)`:\n\n```\w+\n(.*?)```$", text, flags=re.M | re.S))


def cells(blocks, name, points):
    """Return the two cells of a recipe, as the Create Assignment toolbar marks them."""
    made = []
    for block, marks in (
        ("answer", {"grade_id": f"{name}_answer", "grade": False, "solution": True, "locked": False}),
        ("graded cell", {"grade_id": name, "grade": True, "solution": False, "locked": True, "points": points}),
    ):
        made.append(new_code_cell(blocks[block].rstrip(), id=marks["grade_id"]))
        made[-1].metadata["nbgrader"] = {**marks, "task": False, "schema_version": 3}
    return made


def test_the_recipe_for_a_new_assignment(tmp_path):
    course = Path(shutil.copytree(NUMPY, tmp_path / "course", ignore=GENERATED))
    blocks = recipe("Write a new assignment")
    assert (course / "nbgrader_config.py").read_text() == blocks["nbgrader_config.py"]
    (course / "checks" / "probability").mkdir()
    (course / "checks" / "probability" / "mean.py").write_text(blocks["checks/probability/mean.py"])
    solved = course / "solutions" / "probability" / "1_mean.ipynb"
    solved.parent.mkdir()
    nbformat.write(new_notebook(cells=cells(blocks, "mean", 3)), solved)
    nbgrader = [sys.executable, "-m", "nbgrader"]
    run([*nbgrader, "generate_assignment", "probability"], course)
    released = course / "assignments" / "probability" / "1_mean.ipynb"
    assert "BEGIN SOLUTION" not in released.read_text()
    for student, notebook in (("ada", solved), ("gus", released)):
        folder = course / "submitted" / student / "probability"
        folder.mkdir(parents=True)
        shutil.copy(notebook, folder)
    said = run([sys.executable, "-m", "autograder", "grade", "probability"], course)
    assert re.search(r"ada +3/3", said)
    assert re.search(r"gus +0/3", said)
    assert scores(course) == {"ada": {"mean": 3}, "gus": {"mean": 0}}
    run([*nbgrader, "generate_feedback", "probability"], course)
    assert "mean: 3 of 3 points" in (course / "feedback" / "ada" / "probability" / "1_mean.html").read_text()


def test_the_recipe_for_a_new_exercise_of_the_lab(tmp_path):
    """In a copy of the repository, whose own tests then pass without a word about the new exercise."""
    lab = tmp_path / "lab"
    tracked = run(["git", "ls-files", "-co", "--exclude-standard"], ROOT).splitlines()
    for path in (Path(name) for name in tracked if (ROOT / name).is_file()):
        (lab / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / path, lab / path)
    environment = {**os.environ, "PYTHONPATH": str(lab)}
    blocks = recipe("Write a new exercise")
    for name in ("autograder/multiview_vae/standard_deviation.py", "tests/answers/standard_deviation.py"):
        (lab / name).write_text(blocks[name])
    notebook = lab / "solutions" / "multiview_vae" / "2_product_of_experts.ipynb"
    book = nbformat.read(notebook, as_version=4)
    after = next(i for i, cell in enumerate(book.cells) if cell.id == "product_of_experts")
    book.cells[after + 1 : after + 1] = cells(blocks, "standard_deviation", 2)
    book.cells[0].source = book.cells[0].source.replace("| a question", f"{blocks['row']}| a question")
    nbformat.write(book, notebook)

    run([sys.executable, "solutions/execute.py", notebook], lab, environment)
    run([sys.executable, "-m", "nbgrader", "generate_assignment", "multiview_vae", "--force"], lab, environment)
    run(["ruff", "check", "."], lab)
    named = "standard_deviation or 2_product or project or enough or add_up or recipe"
    tests = ["tests/test_checks.py", "tests/test_report.py", "tests/test_project.py", "tests/test_course.py"]
    said = run([sys.executable, "-m", "pytest", "-q", *tests, "-k", f"({named}) and not copy"], lab, environment)
    assert re.search(r"\d\d passed", said)
    run([sys.executable, "examples/make_class.py"], lab, environment)
    grade = [sys.executable, "-m", "autograder", "grade", "multiview_vae"]
    for student, points in (("bao_textbook_product", MOST + 1), ("lea_no_notebook", MOST - 15)):
        run([*grade, "--student", student, "--json", "found.json"], lab, environment)
        assert json.loads((lab / "found.json").read_text())[0]["points"] == points


# --- the configuration -----------------------------------------------------------------------------------------------

LOOK = """
import sys
from pathlib import Path
{start}
heavy = ("torch", "lab_utils", "sklearn", "pytest", "autograder.notebooks.execute")
print("imported:", [name for name in heavy if name in sys.modules], Path("cache").exists())
"""
COMMAND = """
from nbgrader.apps import NbGraderApp
sys.argv = ["nbgrader", *{arguments!r}]
try: NbGraderApp.launch_instance()
except SystemExit as ended: assert not ended.code, ended.code
"""
SERVER = """
from jupyter_server.serverapp import ServerApp
app = ServerApp.instance()
app.initialize(["--no-browser", "--allow-root", "--port=0", "--ServerApp.jpserver_extensions={extensions}"])
assert "nbgrader.server_extensions.formgrader" in app.extension_manager.extension_points
"""


# nbgrader 0.9 adds rows in an order that newer SQLAlchemy releases warn about.
@pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SAWarning")
@pytest.mark.parametrize(
    "start",
    [
        COMMAND.format(arguments=["list"]),
        COMMAND.format(arguments=["generate_feedback", "multiview_vae"]),
        COMMAND.format(arguments=["export"]),
        SERVER.format(extensions='{\\"nbgrader.server_extensions.formgrader\\": True}'),
    ],
    ids=["list", "generate_feedback", "export", "server"],
)
def test_the_configuration_imports_nothing_heavy_and_draws_nothing(tmp_path, start):
    shutil.copy(ROOT / "nbgrader_config.py", tmp_path)
    (tmp_path / "exchange").mkdir()
    with (tmp_path / "nbgrader_config.py").open("a") as config:
        config.write(f"c.Exchange.root = {str(tmp_path / 'exchange')!r}\n")
    folder = tmp_path / "autograded" / "ada" / "multiview_vae"
    folder.mkdir(parents=True)
    with Gradebook(f"sqlite:///{tmp_path}/gradebook.db", "multiview-vae-lab") as gradebook:
        gradebook.update_or_create_assignment("multiview_vae")
        gradebook.update_or_create_notebook("1_paired_dataset", "multiview_vae")
        gradebook.update_or_create_student("ada")
        gradebook.update_or_create_submission("multiview_vae", "ada")
    (tmp_path / "exchange").chmod(0o777)
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path / "cache")}
    if "generate_feedback" in start:
        notebook = nbformat.read(RELEASE / "1_paired_dataset.ipynb", as_version=4)
        notebook.cells = [cell for cell in notebook.cells if "nbgrader" not in cell.metadata]
        nbformat.write(notebook, folder / "1_paired_dataset.ipynb")
    said = run([sys.executable, "-c", LOOK.format(start=start)], tmp_path, environment)
    assert "imported: [] False" in said, said
