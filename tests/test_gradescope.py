"""Gradescope's zip, run as Gradescope runs it: in a folder of its own, for one submission."""

import json
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from examples.make_class import TEXTBOOK, fill, solved
from tests.attacks.making import write
from tests.conftest import MOST, ROOT

MAKE = [sys.executable, ROOT / "examples" / "gradescope" / "make_zip.py"]


@pytest.fixture(scope="module")
def container(tmp_path_factory):
    """What stands for the container; its Python is this one, which has what setup.sh installs."""
    root = tmp_path_factory.mktemp("gradescope")
    subprocess.run([*MAKE, "--to", root / "autograder.zip"], cwd=ROOT, check=True)
    with zipfile.ZipFile(root / "autograder.zip") as file:
        names = file.namelist()
        file.extractall(root / "source")
    assert not [name for name in names if "solutions" in name or "tests" in name]
    assert [name for name in names if name.endswith(".whl")]
    (root / "venv").symlink_to(sys.prefix)
    return root


def run(root, submission):
    shutil.rmtree(root / "submission", ignore_errors=True)
    write(submission, root / "submission")
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(root), "AUTOGRADER": str(root)}
    command = ["bash", root / "source" / "run_autograder"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return json.loads((root / "results" / "results.json").read_text()), done.stdout


def test_one_submission_earns_what_it_earns_here(container):
    submission = solved()
    fill(submission, product_of_experts_answer=TEXTBOOK)
    submission["1_paired_dataset (2)"] = submission.pop("1_paired_dataset")
    del submission["3_multiview_vae"]
    result, _ = run(container, submission)
    assert result["score"] == MOST - 15 - 1
    assert result["output"].startswith("Not handed in: 3_multiview_vae.ipynb.")
    lost = [test["name"] for test in result["tests"] if test["score"] < test["max_score"]]
    assert [name.partition(":")[0] for name in lost] == ["product_of_experts", "vae_loss"]


def test_a_grader_that_fails_says_so_and_gives_no_points(container):
    config = container / "source" / "course" / "nbgrader_config.py"
    text = config.read_text()
    config.write_text(text + "\nc.Execute.\n")
    try:
        result, printed = run(container, {})
    finally:
        config.write_text(text)
    assert result["score"] == 0
    assert "this is not your fault" in result["output"]
    assert "SyntaxError" in printed


def test_an_assignment_that_is_not_there(tmp_path):
    done = subprocess.run([*MAKE, "nothing"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "there is no solutions/nothing here" in done.stdout
    assert list(Path(tmp_path).iterdir()) == []
