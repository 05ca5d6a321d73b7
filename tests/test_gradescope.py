"""Gradescope's zip, run as Gradescope and GitHub run it: in a folder of its own, for one submission."""

import json
import shutil
import subprocess
import sys
import textwrap
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


def run(root, submission, files=None):
    shutil.rmtree(root / "submission", ignore_errors=True)
    write(submission, root / "submission")
    for name, text in (files or {}).items():
        (root / "submission" / name).parent.mkdir(exist_ok=True)
        (root / "submission" / name).write_text(text)
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(root), "AUTOGRADER": str(root)}
    command = ["bash", root / "source" / "run_autograder"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return json.loads((root / "results" / "results.json").read_text()), done.stdout


def test_one_submission_earns_what_it_earns_here(container):
    submission = solved()
    fill(submission, product_of_experts_answer="from textbook import product_of_experts")
    submission["1_paired_dataset (2)"] = submission.pop("1_paired_dataset")
    del submission["3_multiview_vae"]
    files = {"textbook.py": TEXTBOOK, ".git/1_paired_dataset.ipynb": "no notebook"}
    files |= {f"{folder}/{i}": "" for folder in (".git", "0_data") for i in range(1600 if folder == ".git" else 900)}
    result, _ = run(container, submission, files)
    assert result["score"] == MOST - 15 - 1
    assert result["output"].startswith("Not handed in: 3_multiview_vae.ipynb.")
    lost = [test["name"] for test in result["tests"] if test["score"] < test["max_score"]]
    assert [name.partition(":")[0] for name in lost] == ["product_of_experts", "vae_loss"]


def test_a_push_to_github_shows_points_and_messages_and_no_command_of_the_students(container, tmp_path):
    (workflow,) = (ROOT / "examples" / "github").glob("*.yml")
    install, grade = map(textwrap.dedent, workflow.read_text().split("        run: |\n")[1:])
    assert '"$RUNNER_TEMP/source"' in install
    (tmp_path / "source").symlink_to(container / "source")
    submission = solved()
    raising = 'raise ValueError("</details>\\n::error::|<b>")'
    fill(submission, product_of_experts_answer=f"def product_of_experts(*experts):\n    {raising}\n")
    write({name: submission[name] for name in ("2_product_of_experts",)}, tmp_path / "repository" / "multiview_vae")
    environment = {
        **{"PATH": f"{sys.prefix}/bin:/usr/bin:/bin", "HOME": str(tmp_path), "RUNNER_TEMP": str(tmp_path)},
        **{"GITHUB_WORKSPACE": str(tmp_path / "repository"), "GITHUB_STEP_SUMMARY": str(tmp_path / "summary.md")},
    }
    done = subprocess.run(["bash", "-e", "-c", grade], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr  # points were lost
    commands = [line for line in done.stdout.splitlines() if line.lstrip().startswith("::")]
    assert [line.partition("::")[2] for line in commands] == [
        f"notice title=Autograding complete::Points 0/{MOST:g}",
        f'notice title=Autograding report::{{"totalPoints": 0.0, "maxPoints": {MOST}}}',
    ]
    summary = (tmp_path / "summary.md").read_text()
    assert summary.startswith(
        f"## 0 of {MOST:g} points by checks\n\nNot handed in: 1_paired_dataset.ipynb, 3_multiview"
    )
    assert "product_of_experts raised ValueError: &lt;/details&gt;<br>::error::|&lt;b&gt;" in summary


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
