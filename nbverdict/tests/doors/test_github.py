"""What GitHub Actions and Classroom 50 are told."""

import json
import os
import subprocess

from nbverdict.checks.report import Result
from nbverdict.doors import github
from nbverdict.doors.gradescope import as_gradescope
from nbverdict.notebooks.verdict import Outcome


def test_classroom_50_is_told_in_its_own_form(monkeypatch, tmp_path):
    """Its runner names the push in the environment, and reads whole points by test."""
    told = {
        **{"CLASSROOM": "vae", "ASSIGNMENT": "lab", "USERNAME": "ada", "SUBMISSION_TAG": "submit/20261130-abc"},
        **{"COMMIT_URL": "https://example.org/c", "RELEASE_URL": "https://example.org/r"},
    }
    for name, value in told.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary.md"))
    monkeypatch.chdir(tmp_path)
    who = (f"GIT_{role}_{what}" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL"))
    dated = {"GIT_COMMITTER_DATE": "2026-11-30T10:00:00Z", **dict.fromkeys(who, "a")}
    for words in (["init", "--quiet"], ["commit", "--quiet", "--allow-empty", "--message", "x"]):
        subprocess.run(["git", *words], env={**os.environ, **dated}, check=True)
    monkeypatch.delenv("GITHUB_SHA", raising=False)
    outcome = Outcome("poe", "wrong", 2.5, 4.0, (Result("a", "passed", 2, 2), Result("b", "wrong", 0.5, 2)))
    (tmp_path / "results.json").write_text(json.dumps(as_gradescope([outcome])))
    assert github.main(tmp_path / "results.json") == 0
    found = json.loads((tmp_path / "result.json").read_text())
    assert found["schema"] == "classroom50/result/v1"
    assert (found["owner"], found["assignment"], found["review"]) == ("ada", "lab", "https://example.org/c")
    assert found["datetime"] == "2026-11-30T10:00:00Z"  # not that of this run
    assert (found["score"], found["max-score"]) == (2, 4)
    assert found["tests"] == [
        {"test-name": "poe: a", "passed": True, "score": 2, "max-score": 2},
        {"test-name": "poe: b", "passed": False, "score": 0, "max-score": 2},
    ]
