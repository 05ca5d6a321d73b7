"""Gather what the documentation site is built from: `python docs/assemble.py FOLDER`.

The pages of this folder, the README as the first page, and the notebooks as students may see them: the text and the
cells of the release, with the figures and numbers that the solved notebooks showed, and without the answers.
"""

import re
import shutil
import sys
from pathlib import Path
from typing import Any

import nbformat

from nbverdict.classroom.feedback import LATEX, formula

ROOT = Path(__file__).resolve().parent.parent
EXAMPLE = "`examples/numpy_course`"  # a folder of the repository, not of the site
REFERENCE = {
    "nbverdict": "What a notebook calls.",
    "nbverdict.checks.diagnosis": "What a check file uses to compare, and to name causes.",
    "nbverdict.checks.report": "What a check found.",
    "nbverdict.configuration": "What a course's `nbgrader_config.py` calls.",
    "lab_utils.data": "The two views, and where they come from.",
    "lab_utils.metrics": "How a trained model is measured.",
    "lab_utils.training": "The recipe, and what watches over a training.",
}


def public(solved: Any, released: Any) -> Any:
    """Return a released notebook with the outputs of the solved one, save those of the answers themselves.

    Its formulas are MathML, which needs no script and no network.
    """
    outputs = {cell.id: cell for cell in solved.cells if cell.cell_type == "code"}
    for cell in released.cells:
        if cell.cell_type == "code" and not cell.metadata.get("nbgrader", {}).get("solution") and cell.id in outputs:
            cell.outputs = outputs[cell.id].outputs
            cell.execution_count = outputs[cell.id].execution_count
        cell.metadata.pop("tags", None)
        if cell.cell_type == "markdown":
            cell.source = LATEX.sub(_drawn, cell.source)
    return released


def _drawn(found: re.Match[str]) -> str:
    return formula(found["block"] or found["inline"], block=found["block"] is not None)


def main(folder: Path) -> int:
    """Write everything anew."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(ROOT / "docs", folder, ignore=shutil.ignore_patterns("*.py", "*.json", "__pycache__", "*.lock"))
    instructor = folder / "instructor.md"
    text = instructor.read_text(encoding="utf-8").replace("[examples/numpy_course](../examples/numpy_course)", EXAMPLE)
    instructor.write_text(text, encoding="utf-8")
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    (folder / "index.md").write_text(re.sub(r"\]\(docs/", "](", readme), encoding="utf-8")
    for path in sorted((ROOT / "assignments").glob("*/*.ipynb")):
        solved = nbformat.read(ROOT / "solutions" / path.relative_to(ROOT / "assignments"), as_version=4)
        to = folder / "notebooks" / path.relative_to(ROOT / "assignments")
        to.parent.mkdir(parents=True, exist_ok=True)
        nbformat.write(public(solved, nbformat.read(path, as_version=4)), to)
    (folder / "reference").mkdir()
    for module, about in REFERENCE.items():
        text = f"# {module}\n\n{about}\n\n::: {module}\n"
        (folder / "reference" / f"{module.replace('.', '_')}.md").write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
