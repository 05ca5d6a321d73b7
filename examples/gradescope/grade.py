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
from pathlib import Path

STUDENT = "student"


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
        found = []
        for path in sorted((root / "submission").rglob("*")):
            name = re.sub(r"( ?\(\d+\)|-\d+)(?=\.ipynb$)", "", path.name)  # which a browser adds to a second download
            if path.is_file() and not path.is_symlink() and name in released:
                shutil.copy(path, submitted / name)
                found.append(name)
        command = ["autograder", "grade", assignment, "--jobs", "1"]
        done = subprocess.run(command, cwd=course, capture_output=True, text=True, check=False)
        print(done.stdout, done.stderr, sep="\n")  # Gradescope shows this to instructors only
        graded = course / "grades" / assignment / "gradescope" / STUDENT / "results.json"
        if done.returncode == 0 and graded.exists():
            content = json.loads(graded.read_text())
        else:
            content = {"score": 0, "output": "The grader failed; this is not your fault. Your instructor can see why."}
        if missing := sorted(released - set(found)):
            content["output"] = f"Not handed in: {', '.join(missing)}. " + content.get("output", "")
    results.write_text(json.dumps(content, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
