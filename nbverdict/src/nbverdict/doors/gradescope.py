"""Gradescope: grade the submission that it has put into its folder, and write its `results.json`.

    python -m nbverdict.doors.gradescope /autograder

`/autograder/source/course` is a folder of a course: `assignments/NAME/` with what was handed out, its configuration,
and its checks, unless these are installed. Gradescope's form: https://gradescope-autograders.readthedocs.io/en/latest/specs/
"""

import json
import re
import shutil
import sys
import tempfile
import traceback
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any

from nbverdict.notebooks.verdict import Outcome

MOST_FILES = 1500  # of a submission; the grader takes some more


def as_gradescope(outcomes: Iterable[Outcome]) -> dict[str, Any]:
    """Return what a submission earned as the `results.json` of a Gradescope autograder."""
    tests, score = [], 0.0
    for outcome in outcomes:
        score += outcome.points
        if not outcome.checks:
            tests.append(
                {"name": outcome.exercise, "score": 0.0, "max_score": outcome.max_points, "output": outcome.problem}
            )
        for check in outcome.checks:
            tests.append(
                {
                    "name": f"{outcome.exercise}: {check.name}",
                    "score": check.points,
                    "max_score": check.max_points,
                    "status": "passed" if check.status == "passed" else "failed",
                    "output": check.message or check.status,
                }
            )
    return {"score": score, "visibility": "visible", "output_format": "text", "tests": tests}


def main(root: Path) -> int:
    """Grade, and write what Gradescope shows; whatever goes wrong is told there too."""
    results = root / "results" / "results.json"
    results.parent.mkdir(parents=True, exist_ok=True)
    try:
        content = _graded(root)
    except Exception:
        traceback.print_exc(file=sys.stdout)  # Gradescope shows this to instructors only
        content = {"score": 0, "output": "The grader failed; this is not your fault. Your instructor can see why."}
    results.write_text(json.dumps(content, indent=1) + "\n")
    return 0


def _graded(root: Path) -> dict[str, Any]:
    from nbverdict.notebooks.judge import judge  # here: what its imports say is said as the rest is

    (released,) = (root / "source" / "course" / "assignments").iterdir()
    names = {path.name for path in released.glob("*.ipynb")}
    with tempfile.TemporaryDirectory() as folder:
        copy_files(root / "submission", Path(folder), names)
        verdict = judge(Path(folder), released)
    print(verdict)
    content = as_gradescope(verdict.outcomes)
    if verdict.missing:
        content["output"] = f"Not handed in: {', '.join(f'{name}.ipynb' for name in verdict.missing)}."
    return content


def copy_files(source: Path, target: Path, released: Collection[str]) -> None:
    """Copy what a student has submitted, without links and hidden folders; released notebooks to the top.

    Other notebooks and files stay where they are: the grader finds which notebook is meant, and answers import modules.
    Notebooks come first, so that no number of other files leaves one out.
    """
    found = [path.relative_to(source) for path in source.rglob("*") if path.is_file() and not path.is_symlink()]
    shown = [path for path in found if not any(part.startswith(".") for part in path.parts)]
    for relative in sorted(shown, key=lambda path: (path.suffix != ".ipynb", path))[:MOST_FILES]:
        path = source / relative
        name = re.sub(r"( ?\(\d+\)|-\d+)(?=\.ipynb$)", "", path.name)  # which a browser adds to a second download
        place = target / (name if name in released else relative)
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, place)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
