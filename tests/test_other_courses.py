"""Other courses: one with the package from a wheel, two assignments side by side, and what a configuration imports."""

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
import warnings
from pathlib import Path

import nbformat
import pytest
from nbgrader.api import Gradebook
from sqlalchemy.exc import SAWarning

from examples.numpy_course.make_class import ASSIGNMENTS, EXPECTED, handed_in, make_class
from support import commands
from tests.conftest import RELEASE, ROOT

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
    shutil.copytree(ROOT / "nbverdict", folder / "source", ignore=GENERATED)
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
    where = run([python, "-c", "import nbverdict; print(nbverdict.__file__)"], course, installed)
    assert Path(where.strip()).is_relative_to(Path(python).parent.parent)

    def said(*words):
        done = commands.run(course, *words, python=python, environment=installed)
        assert done.returncode == 0, done.stderr[-3000:]
        return done.stdout + done.stderr

    for assignment in ASSIGNMENTS:
        said("nbgrader", "generate_assignment", assignment)
    make_class(course)
    assert len(EXPECTED) >= 8
    who = {name: [student for student in EXPECTED if name in handed_in(student)] for name in ASSIGNMENTS}
    for assignment in ASSIGNMENTS:
        assert "confinement: environment" in said("autograder", "grade", assignment, "--jobs", "2")
    assert scores(course) == EXPECTED

    # Regraded and published, one leaves the other alone.
    other, graded = files(course / "grades" / "least_squares"), scores(course)
    assert "standardise" not in said("autograder", "grade", "smoothing", "--force", "--jobs", "1")
    assert files(course / "grades" / "least_squares") == other
    assert scores(course) == graded
    unchanged = f"{len(who['least_squares'])} of them unchanged"
    assert unchanged in run(["autograder", "grade", "least_squares"], course, installed)  # the wheel's own command

    # Stock nbgrader gives the same, from an empty gradebook.
    (course / "gradebook.db").unlink()
    for assignment in ASSIGNMENTS:
        said("nbgrader", "generate_assignment", assignment, "--force")
        said("nbgrader", "autograde", assignment, "--force")
    assert scores(course) == EXPECTED
    assert files(course / "grades" / "smoothing").keys() == {
        *(course / "grades" / "smoothing" / f"{student}.json" for student in who["smoothing"]),
        *(course / "grades" / "smoothing" / "gradescope" / student / "results.json" for student in who["smoothing"]),
        course / "grades" / "smoothing" / "grades.csv",
        course / "grades" / "smoothing" / "index.html",
    }


# --- the configuration -----------------------------------------------------------------------------------------------

LOOK = """
import sys
from pathlib import Path
{start}
heavy = ("torch", "lab_utils", "sklearn", "pytest", "nbverdict.notebooks.execute")
print("imported:", [name for name in heavy if name in sys.modules], Path("cache").exists())
"""
COMMANDS = """
from nbgrader.apps import NbGraderApp
from traitlets.config import Application
for arguments in (["list"], ["generate_feedback", "multiview_vae"], ["export"]):
    sys.argv = ["nbgrader", *arguments]
    try: NbGraderApp.launch_instance()
    except SystemExit as ended: assert not ended.code, ended.code
    type(Application.instance()).clear_instance()
"""
SERVER = """
from jupyter_server.serverapp import ServerApp
app = ServerApp.instance()
app.initialize(["--no-browser", "--allow-root", "--port=0", "--ServerApp.jpserver_extensions={extensions}"])
assert "nbgrader.server_extensions.formgrader" in app.extension_manager.extension_points
"""


@pytest.fixture(scope="module")
def handed_back(tmp_path_factory):
    """A course with this repository's configuration and one submission; a new gradebook takes nbgrader seconds."""
    folder = tmp_path_factory.mktemp("configured")
    shutil.copy(ROOT / "nbgrader_config.py", folder)
    (folder / "exchange").mkdir(mode=0o777)
    (folder / "autograded" / "ada" / "multiview_vae").mkdir(parents=True)
    with warnings.catch_warnings(), Gradebook(f"sqlite:///{folder}/gradebook.db", "multiview-vae-lab") as gradebook:
        # nbgrader 0.9 adds rows in an order that newer SQLAlchemy releases warn about.
        warnings.simplefilter("ignore", SAWarning)
        gradebook.update_or_create_assignment("multiview_vae")
        gradebook.update_or_create_notebook("1_paired_dataset", "multiview_vae")
        gradebook.update_or_create_student("ada")
        gradebook.update_or_create_submission("multiview_vae", "ada")
    return folder


@pytest.mark.parametrize(
    "start",
    [COMMANDS, SERVER.format(extensions='{\\"nbgrader.server_extensions.formgrader\\": True}')],
    ids=["list, generate_feedback and export", "server"],
)
def test_the_configuration_imports_nothing_heavy_and_draws_nothing(handed_back, tmp_path, start):
    shutil.copytree(handed_back, tmp_path, dirs_exist_ok=True)
    with (tmp_path / "nbgrader_config.py").open("a") as config:
        config.write(f"c.Exchange.root = {str(tmp_path / 'exchange')!r}\n")
    folder = tmp_path / "autograded" / "ada" / "multiview_vae"
    (tmp_path / "exchange").chmod(0o777)
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path / "cache")}
    notebook = nbformat.read(RELEASE / "1_paired_dataset.ipynb", as_version=4)
    notebook.cells = [cell for cell in notebook.cells if "nbgrader" not in cell.metadata]
    nbformat.write(notebook, folder / "1_paired_dataset.ipynb")
    said = run([sys.executable, "-c", LOOK.format(start=start)], tmp_path, environment)
    assert "imported: [] False" in said, said
