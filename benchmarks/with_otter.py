"""Grade submissions with otter-grader, for `grading.py`: the same notebooks, the checks called in the kernel.

    python benchmarks/with_otter.py COURSE

Otter appends its tests to a notebook, so the graded cells are taken out; each exercise is one test, which calls the
checks and has no partial credit. Prints, as JSON, what each student earned by exercise.
"""

import json
import os
import sys
import tempfile
import zipfile
from pathlib import Path

import nbformat
from otter.api import grade_submission

from autograder.exercises import EXERCISES, Exercise

TEST = """
from otter.test_files import test_case

OK_FORMAT = False
name = "{0.name}"
points = {0.points}


@test_case(points={0.points})
def test_answer({0.answer}):
    from autograder import check

    report = check("{0.name}", {0.answer})
    assert report.score == report.max_score, str(report)
"""


def configuration(exercise: Exercise, folder: Path) -> Path:
    """Write what otter-grader calls the autograder of an exercise."""
    path = folder / f"{exercise.name}.zip"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("otter_config.json", json.dumps({"lang": "python", "pdf": False}))
        file.writestr(f"tests/{exercise.name}.py", TEST.format(exercise))
        file.writestr("files/", "")
    return path


def main(course: Path) -> None:
    """Grade every submission of the course."""
    os.environ["NBGRADER_EXECUTION"] = "autograde"  # notebooks train two steps, as in every automatic run
    earned: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as name:
        configurations = {exercise: configuration(exercise, Path(name)) for exercise in EXERCISES.values()}
        for student in sorted((course / "submitted").iterdir()):
            for exercise, zipped in configurations.items():
                (path,) = student.glob(f"*/{exercise.notebook}.ipynb")
                notebook = nbformat.read(path, as_version=4)
                notebook.cells = [c for c in notebook.cells if not c.metadata.get("nbgrader", {}).get("grade")]
                changed = Path(name) / path.name
                nbformat.write(notebook, changed)
                found = grade_submission(str(changed), str(zipped), quiet=True)
                earned.setdefault(student.name, {})[exercise.name] = float(found.total)
    print(json.dumps(earned))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
