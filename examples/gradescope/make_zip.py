"""Write the autograder.zip of an assignment, for Gradescope: `python examples/gradescope/make_zip.py [ASSIGNMENT]`.

Run it in the folder of the course. The zip has what is handed out, what its locked cells held before, nbverdict as a
wheel (and this lab, if the assignment is one of its own), and the two scripts beside this file. It has no solutions and
no gradebook. The course's own checks are in it: who may not read them may not have it.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import zipfile
from contextlib import chdir
from pathlib import Path

from nbgrader.coursedir import CourseDirectory

from nbverdict.classroom.releases import releases_of
from nbverdict.configuration import read_configuration
from nbverdict.notebooks.release import HIDDEN

HERE = Path(__file__).parent
SCRIPTS = tuple(HERE / name for name in ("setup.sh", "run_autograder"))


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("assignment", nargs="?", default="multiview_vae")
    parser.add_argument("--to", type=Path, default=Path("results/gradescope/autograder.zip"))
    options = parser.parse_args()
    if not (Path("solutions") / options.assignment).is_dir():
        print(f"error: there is no solutions/{options.assignment} here; run this in the folder of the course")
        return 2
    with tempfile.TemporaryDirectory() as name:
        folder, course = Path(name), Path(name) / "course"
        shutil.copytree("solutions", course / "solutions", ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy("nbgrader_config.py", course)
        if Path("checks").is_dir():
            shutil.copytree("checks", course / "checks", ignore=shutil.ignore_patterns("__pycache__"))
        run = [sys.executable, "-m", "nbgrader", "generate_assignment", options.assignment, "--log-level=WARN"]
        subprocess.run(run, cwd=course, check=True)
        released = course / "assignments" / options.assignment
        with chdir(course):
            read = read_configuration(course)
            assert read is not None
            releases = releases_of(CourseDirectory(config=read.config), options.assignment)
        hidden = {notebook: dict(release.whole) for notebook, release in releases.items()}
        (released / HIDDEN).write_text(json.dumps(hidden, indent=1) + "\n", encoding="utf-8")
        shutil.rmtree(course / "solutions")
        (course / "gradebook.db").unlink()
        root = HERE.parents[1]
        packages = [root / "nbverdict", *([] if (Path("checks") / options.assignment).is_dir() else [root])]
        pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", name]
        subprocess.run([*pip, *packages], check=True)
        for script in SCRIPTS:
            shutil.copy(script, folder)
        options.to.parent.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(options.to, "w", zipfile.ZIP_DEFLATED) as file:
            for path in sorted(folder.rglob("*")):
                if path.is_file() and not path.name.startswith(".nbgrader"):
                    file.write(path, str(path.relative_to(folder)))
    print(f"{options.to}: upload it under Configure Autograder, in Gradescope, or see examples/github")
    return 0


if __name__ == "__main__":
    sys.exit(main())
