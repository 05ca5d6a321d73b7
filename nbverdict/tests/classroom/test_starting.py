"""`nbverdict new` writes a course that works as it stands."""

import json

import nbformat

from nbverdict.__main__ import main
from support import commands


def test_a_new_course_is_released_and_graded(tmp_path):
    course = tmp_path / "mine"
    said = commands.run(tmp_path, "nbverdict", "new", "mine")
    assert said.returncode == 0
    for line in said.stdout.splitlines()[4:]:  # the commands that it names, as they stand
        words = line.partition("#")[0].split()
        if words[1] == "judge":
            assert commands.run(course, *words).stdout.split()[-2:] == ["total", "3/3"]
        elif words[1] == "generate_assignment":
            assert commands.run(course, *words).returncode == 0
            released = nbformat.read(course / "assignments" / "statistics" / "1_mean.ipynb", as_version=4)
            released.cells[2].source = "def average(values):\n    return sum(values)\n"
            (course / "submitted" / "ada" / "statistics").mkdir(parents=True)
            nbformat.write(released, course / "submitted" / "ada" / "statistics" / "1_mean.ipynb")
        else:
            assert commands.run(course, *words, "--json", "found.json").returncode == 0
            (found,) = json.loads((course / "found.json").read_text())
            assert (found["points"], found["outcomes"][0]["checks"][0]["finding"]["cause"]) == (1, "this is the sum")


def test_a_folder_with_files_is_left_alone(tmp_path, capsys):
    (tmp_path / "mine.txt").write_text("mine")
    assert main(["new", str(tmp_path)]) == 2
    assert "is not empty" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
