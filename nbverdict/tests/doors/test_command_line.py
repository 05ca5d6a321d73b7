"""`nbverdict judge` and `doctor`: a verdict, or a line that says what is wrong."""

import json
import sys
from types import SimpleNamespace

import pytest

from nbverdict.__main__ import main
from support.classes import ASSIGNMENT, NAME


def test_one_notebook_is_judged_from_a_file_and_from_standard_input(released, monkeypatch, capsys):
    path = released / "submitted" / "b_textbook" / ASSIGNMENT / f"{NAME}.ipynb"
    assignment = ["--assignment", str(released / "assignments" / ASSIGNMENT)]
    assert main(["judge", str(path), *assignment, "--seed", "3"]) == 0
    table = capsys.readouterr().out
    assert "product   14/15" in table
    assert main(["judge", str(path), *assignment, "--seed", "3", "--json"]) == 0
    verdict = capsys.readouterr().out
    assert json.loads(verdict)["points"] == 14
    with path.open("rb") as file:
        monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=file))
        assert main(["judge", "-", *assignment, "--seed", "3"]) == 0
    assert "product   14/15" in capsys.readouterr().out  # by the marks of its cells, as it has no name


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["none.ipynb", "--assignment", "."], "none.ipynb does not exist"),
        ([".", "--assignment", "none"], "none is not a folder; --assignment names COURSE/assignments/NAME"),
        ([".", "--assignment", "."], "has no notebook: it should have those that were handed out"),
    ],
)
def test_a_mistyped_argument_is_told_in_a_line(words, told, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["judge", *words]) == 2
    (said,) = capsys.readouterr().err.splitlines()
    assert said.startswith("error: ")
    assert told in said


def test_doctor_names_each_layer(capsys):
    assert main(["doctor"]) == 0
    said = capsys.readouterr().out
    assert "namespaces" in said
    assert "landlock" in said
