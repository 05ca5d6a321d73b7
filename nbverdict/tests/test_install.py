"""The wheel by itself, in environments that hold nothing else: what it brings, and what it does there."""

import json
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from examples.numpy_course.make_class import EXPECTED, make_class

ENGINE = Path(__file__).parents[1]
COURSE = ENGINE.parent / "examples" / "numpy_course"
GENERATED = shutil.ignore_patterns("__pycache__", ".*_cache", "*.egg-info", "build")


def run(*command, cwd):
    done = subprocess.run(list(map(str, command)), cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-3000:]
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    shutil.copytree(ENGINE, folder / "source", ignore=GENERATED)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", "wheel", "--no-deps"]
    run(*pip, "--no-build-isolation", "--wheel-dir", folder, folder / "source", cwd=folder)
    (found,) = folder.glob("*.whl")
    return found


def installed(folder, wheel, extra=""):
    """Make an environment with the wheel alone; return its folder of commands, names of packages, and size in MB."""
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    pip = [python, "-m", "pip", "--disable-pip-version-check", "--quiet", "install"]
    done = subprocess.run([*pip, f"{wheel}{extra}"], capture_output=True, text=True, check=False)
    if done.returncode and "NewConnectionError" in done.stderr:
        pytest.skip("there is no package index: a fresh environment cannot be made here")
    assert done.returncode == 0, done.stderr[-3000:]
    names = {one["name"].lower() for one in json.loads(run(python, "-m", "pip", "list", "--format=json", cwd=folder))}
    (packages,) = folder.glob("lib/python*/site-packages")
    own = ("pip", "setuptools", "pkg_resources")
    files = (path for path in packages.rglob("*") if path.relative_to(packages).parts[0].partition("-")[0] not in own)
    return python.parent, names, sum(path.lstat().st_size for path in files) / 1e6


def test_the_wheel_is_small(wheel):
    assert wheel.stat().st_size < 1e6


def test_one_submission_is_judged_without_nbgrader(wheel, tmp_path):
    commands, names, size = installed(tmp_path / "core", wheel)
    assert not names & {"nbgrader", "torch", "jupyterlab", "notebook", "sqlalchemy", "nbconvert", "matplotlib", "scipy"}
    assert size < 200
    course = Path(shutil.copytree(COURSE, tmp_path / "course", ignore=GENERATED))
    solved = course / "solutions" / "smoothing"
    book = solved / "1_smoothing.ipynb"
    book.write_text(book.read_text().replace("import matplotlib.pyplot as plt", "plt = None"))  # figures are not graded
    config = course / "nbgrader_config.py"
    config.write_text(config.read_text().replace(', "matplotlib.pyplot"', ""))
    said = run(commands / "nbverdict", "judge", solved, "--assignment", solved, "--json", cwd=tmp_path)
    verdict = json.loads(said)
    assert verdict["points"] == verdict["max_points"] > 0


def test_a_class_is_graded_without_the_lab_and_what_it_needs(wheel, tmp_path):
    commands, names, size = installed(tmp_path / "class", wheel, "[nbgrader]")
    assert not names & {"torch", "torchvision", "scikit-learn", "scipy", "pandas", "matplotlib", "multiview-vae-lab"}
    assert size < 350  # nbgrader itself brings JupyterLab
    course = Path(shutil.copytree(COURSE, tmp_path / "course", ignore=GENERATED))
    python = commands / "python"
    run(python, "-m", "pip", "--quiet", "install", "matplotlib", cwd=course)  # which the course's notebooks import
    run(python, "-m", "nbgrader", "generate_assignment", "smoothing", cwd=course)
    make_class(course)
    run(commands / "nbverdict", "grade", "smoothing", "--json", "f.json", cwd=course)
    found = json.loads((course / "f.json").read_text())
    for submission in found:
        for outcome in submission["outcomes"]:
            assert outcome["points"] == EXPECTED[submission["student"]][outcome["exercise"]], submission["student"]
    assert len(found) >= 4
