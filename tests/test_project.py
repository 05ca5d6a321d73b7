"""The project's own files agree with each other."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from nbverdict.classroom.results import schema_page
from tests.conftest import ROOT

PROJECTS = ("pyproject.toml", "nbverdict/pyproject.toml")


def required(*extras):
    """Return the requirements of both distributions, with those of some extras; not that of one on the other."""
    lines = []
    for path in PROJECTS:
        project = tomllib.loads((ROOT / path).read_text())["project"]
        lines += project["dependencies"]
        lines += [line for name, more in project["optional-dependencies"].items() if name in extras for line in more]
    return [line for line in lines if not line.startswith("nbverdict")]


def test_environment_and_pyproject_list_the_same_packages_and_bounds():
    wanted = {re.sub(r"\s|\[.*\]", "", line) for line in required("dev", "nbgrader", "postgresql", "dask", "similar")}
    wanted.add("python>=3.11")
    listed = re.findall(r"^ +- ([a-z0-9-]+ *[><=][^\s#]*)", (ROOT / "environment.yml").read_text(), flags=re.M)
    # conda-forge has another name for it.
    conda_names = {"pytorch": "torch"}
    listed = {re.sub(r"^[a-z0-9-]+", lambda name: conda_names.get(name[0], name[0]), line) for line in listed}
    assert listed == wanted


def test_every_dependency_says_what_it_is_for():
    text = "\n".join((ROOT / path).read_text() for path in PROJECTS)
    lines = [line for line in text.splitlines() if re.match(r'^    "[a-z0-9-]+[><=\[]', line)]
    assert len(lines) > 40
    assert [line for line in lines if "#" not in line] == []


def test_readme_and_ci_run_the_same_commands():
    script = (ROOT / ".ci" / "run").read_text()
    commands = [line for line in script.splitlines() if line and not line.startswith(("#", "set ", "cd "))]
    readme = (ROOT / "README.md").read_text()
    assert commands == ["make sandbox", "make test"]
    assert all(f"\n{command}" in readme for command in commands)


def test_the_container_is_built_or_at_least_read():
    tools = [tool for tool in ("docker", "podman") if shutil.which(tool)]
    if tools and os.environ.get("CONTAINERS"):  # it takes minutes and gigabytes
        subprocess.run([tools[0], "build", "--tag", "multiview-vae-lab", "."], cwd=ROOT, check=True)
        run = [tools[0], "run", "--rm", "multiview-vae-lab", "autograder", "doctor"]
        assert "confinement" in subprocess.run(run, capture_output=True, text=True, check=True).stdout
    linter = Path(sys.executable).parent / "hadolint"
    if not linter.exists():
        pytest.skip("hadolint is not installed for this system")
    done = subprocess.run([linter, "Dockerfile"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_the_linter_sees_a_fault(tmp_path):
    linter = Path(sys.executable).parent / "hadolint"
    if not linter.exists():
        pytest.skip("hadolint is not installed for this system")
    (tmp_path / "Dockerfile").write_text("FROM python:latest\nRUN apt-get install -y sudo\n")
    assert subprocess.run([linter, tmp_path / "Dockerfile"], capture_output=True, check=False).returncode == 1


def test_the_lock_file_has_every_dependency_within_its_bounds():
    locked = {p["name"]: p.get("version") for p in tomllib.loads((ROOT / "uv.lock").read_text())["package"]}
    for line in required("dev", "site", "nbgrader", "postgresql", "dask", "similar"):
        requirement = Requirement(line.partition("#")[0])
        assert requirement.specifier.contains(locked[requirement.name]), f"{line}: run `uv lock`"


def test_the_schema_is_documented():
    assert schema_page() in (ROOT / "docs" / "results.md").read_text()
    for row in schema_page().splitlines():
        assert not row.endswith("|  |"), f"{row} says nothing"
