"""Grade submissions with otter-grader, for `grading.py`: the same notebooks, the checks called in the kernel.

    python -m benchmarks.with_otter COURSE

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
from nbformat import NotebookNode

from examples.make_class import POINTS, SOLUTION, graded
from nbverdict.checks.assignments import find_exercise

TEST = """
from otter.test_files import test_case

OK_FORMAT = False
name = "{name}"
points = {points}


@test_case(points={points})
def test_answer({answer}):
    from autograder import check

    report = check("{name}", {answer})
    assert report.score == report.max_score, str(report)
"""


def configuration(name: str, folder: Path) -> Path:
    """Write what otter-grader calls the autograder of an exercise."""
    path = folder / f"{name}.zip"
    test = TEST.format(name=name, points=POINTS[name], answer=find_exercise(name).answer)
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("otter_config.json", json.dumps({"lang": "python", "pdf": False}))
        file.writestr(f"tests/{name}.py", test)
        file.writestr("files/", "")
    return path


def notebook_of(exercise: str) -> str:
    """Return the name of the notebook that an exercise is in."""
    return next(name for name, book in SOLUTION.items() if exercise in graded({name: book}))


def without_checks(notebook: NotebookNode) -> NotebookNode:
    """Take out the graded cells, and return the notebook."""
    notebook.cells = [c for c in notebook.cells if not c.metadata.get("nbgrader", {}).get("grade")]
    return notebook


def main(course: Path) -> None:
    """Grade every submission of the course."""
    from otter.api import grade_submission  # installed only where it is compared with

    os.environ["NBGRADER_EXECUTION"] = "autograde"  # notebooks train two steps, as in every automatic run
    earned: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as name:
        configurations = {exercise: configuration(exercise, Path(name)) for exercise in POINTS}
        notebooks = {exercise: notebook_of(exercise) for exercise in POINTS}
        for student in sorted((course / "submitted").iterdir()):
            for exercise, zipped in configurations.items():
                (path,) = student.glob(f"*/{notebooks[exercise]}.ipynb")
                changed = Path(name) / path.name
                nbformat.write(without_checks(nbformat.read(path, as_version=4)), changed)
                found = grade_submission(str(changed), str(zipped), quiet=True)
                earned.setdefault(student.name, {})[exercise] = float(found.total)
    print(json.dumps(earned))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
