"""The bundle for students: it holds no solution, and its notebooks run where only its wheel is."""

import subprocess
import sys
import zipfile

import nbformat
import pytest
from IPython.core.interactiveshell import InteractiveShell

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
    lab, engine = wheels = sorted(bundle.glob("*.whl"))
    assert (lab.name.split("-")[0], engine.name.split("-")[0]) == ("multiview_vae_lab", "nbverdict")
    names = {str(path.relative_to(bundle)) for path in bundle.rglob("*") if path.is_file()}
    assert names == released | {lab.name, engine.name, "README.md"}
    assert f"{lab.name} {engine.name}" in (bundle / "README.md").read_text()
    for wheel in wheels:
        with zipfile.ZipFile(wheel) as file:
            assert not [
                name for name in file.namelist() if "solution" in name or "tests/" in name or "examples" in name
            ]
    assert engine.stat().st_size < 1e6


def test_a_check_runs_from_the_wheels_alone(bundle, tmp_path):
    for wheel in bundle.glob("*.whl"):
        with zipfile.ZipFile(wheel) as file:
            file.extractall(tmp_path / "installed")
    code = (
        "import sys; sys.path.insert(0, 'installed'); import autograder, lab_utils, nbverdict\n"
        "from autograder import check\n"
        "assert all('installed' in package.__file__ for package in (autograder, lab_utils, nbverdict))\n"
        "print(check('product_of_experts', lambda *experts: experts[:2]).max_score)"
    )
    done = subprocess.run([sys.executable, "-P", "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.stdout == "15.0\n", done.stderr


def install_cell(notebook):
    (cell,) = [cell for cell in nbformat.read(notebook, as_version=4).cells if cell.id == "install"]
    return cell.source


@pytest.mark.parametrize("name", ["multiview_vae/1_paired_dataset.ipynb", "cross_view/3_agreement.ipynb"])
def test_the_first_cell_installs_the_wheels_only_where_the_lab_is_missing(bundle, name, monkeypatch):
    lab, engine = sorted(bundle.glob("*.whl"))
    shell, asked = InteractiveShell(), []
    shell.register_magic_function(asked.append, magic_name="pip")
    monkeypatch.chdir((bundle / name).parent)

    def run():
        return shell.run_cell(install_cell(bundle / name))

    assert run().success
    assert asked == []
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert run().success
    assert asked == [f"install --quiet ../{engine.name} ../{lab.name}"]
    monkeypatch.chdir(bundle.parent)
    with pytest.raises(FileNotFoundError, match="beside this notebook first"):
        run().raise_error()


def test_every_notebook_has_that_cell_before_any_import(bundle):
    sources = {install_cell(path): nbformat.read(path, as_version=4).cells[1].id for path in bundle.glob("*/*.ipynb")}
    assert list(sources.values()) == ["install"]  # and all are the same
