"""Grade the one submission that Gradescope has put into its folder, and write its results.json.

    python grade.py /autograder

The course beside this file has its release and a gradebook; it is copied, so that each run starts from the same.
"""

import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Collection
from pathlib import Path

STUDENT = "student"
MOST_FILES = 1500  # of a submission; the grader takes some more


def main(root: Path) -> int:
    """Grade, and write what Gradescope shows; whatever goes wrong is told there too."""
    results = root / "results" / "results.json"
    results.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        course = Path(folder) / "course"
        shutil.copytree(Path(__file__).parent / "course", course)
        assignment = next((course / "assignments").iterdir()).name
        released = {path.name for path in (course / "assignments" / assignment).glob("*.ipynb")}
        submitted = course / "submitted" / STUDENT / assignment
        submitted.mkdir(parents=True)
        copy_files(root / "submission", submitted, released)
        command = ["autograder", "grade", assignment, "--jobs", "1"]
        done = subprocess.run(command, cwd=course, capture_output=True, text=True, check=False)
        print(done.stdout, done.stderr, sep="\n")  # Gradescope shows this to instructors only
        graded = course / "grades" / assignment / "gradescope" / STUDENT / "results.json"
        if done.returncode == 0 and graded.exists():
            content = json.loads(graded.read_text())
        else:
            content = {"score": 0, "output": "The grader failed; this is not your fault. Your instructor can see why."}
        said = [test["output"] for test in content.get("tests", [])]
        if missing := [n for n in sorted(released) if any(text.startswith(f"{n} was not handed in") for text in said)]:
            content["output"] = f"Not handed in: {', '.join(missing)}. " + content.get("output", "")
    results.write_text(json.dumps(content, indent=1) + "\n")
    return 0


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
