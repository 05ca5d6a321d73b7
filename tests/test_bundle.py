"""The bundle for students: it holds no solution, and its notebooks run where only its wheel is."""

import subprocess
import sys
import zipfile

import pytest

from tests.conftest import ROOT


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bundle")
    command = [sys.executable, ROOT / "examples" / "make_bundle.py", "--to", folder / "lab.zip"]
    subprocess.run(command, check=True, capture_output=True)
    with zipfile.ZipFile(folder / "lab.zip") as file:
        file.extractall(folder)
    return folder / "multiview_vae_lab"


def test_it_holds_releases_a_wheel_and_a_readme(bundle):
    released = {str(path.relative_to(ROOT / "assignments")) for path in (ROOT / "assignments").glob("*/*.ipynb")}
    (wheel,) = bundle.glob("*.whl")
    names = {str(path.relative_to(bundle)) for path in bundle.rglob("*") if path.is_file()}
    assert names == released | {wheel.name, "README.md"}
    assert wheel.name in (bundle / "README.md").read_text()
    with zipfile.ZipFile(wheel) as file:
        assert not [name for name in file.namelist() if "solution" in name or name.startswith(("tests", "examples"))]


def test_a_check_runs_from_the_wheel_alone(bundle, tmp_path):
    (wheel,) = bundle.glob("*.whl")
    with zipfile.ZipFile(wheel) as file:
        file.extractall(tmp_path / "installed")
    code = (
        "import sys; sys.path.insert(0, 'installed'); import autograder, lab_utils; from autograder import check\n"
        "assert 'installed' in autograder.__file__ and 'installed' in lab_utils.__file__\n"
        "print(check('product_of_experts', lambda *experts: experts[:2]).max_score)"
    )
    done = subprocess.run([sys.executable, "-P", "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.stdout == "15.0\n", done.stderr
