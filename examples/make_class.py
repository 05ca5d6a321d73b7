"""Write a class of made-up submissions to `submitted/`: right, wrong, broken and hostile to the grader's patience.

    python examples/make_class.py [--into FOLDER]

Each student is the release of the assignment with other answers in it; `EXPECTED` says what each should earn.
"""

import argparse
import copy
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat

ROOT = Path(__file__).parent.parent
ASSIGNMENT = "multiview_vae"
PAIRED, PRODUCT, MODEL = "1_paired_dataset", "2_product_of_experts", "3_multiview_vae"
Submission = dict[str, Any]  # notebook name -> notebook, or text that is no notebook

TEXTBOOK = """def product_of_experts(mu1, logvar1, mu2, logvar2):
    precision1, precision2 = 1 / logvar1.exp(), 1 / logvar2.exp()
    var = 1 / (precision1 + precision2)
    return var * (precision1 * mu1 + precision2 * mu2), var.log()
"""
AVERAGED = """def product_of_experts(mu1, logvar1, mu2, logvar2):
    return (mu1 + mu2) / 2, (logvar1 + logvar2) / 2
"""
SIDE_BY_SIDE = """class PairedDataset(Dataset):
    def __init__(self, first, second):
        self.first, self.second = first, second

    def __len__(self):
        return min(len(self.first), len(self.second))

    def __getitem__(self, i):
        return self.first[i][0], self.second[i][0], self.first[i][1]
"""
ENDLESS = """def product_of_experts(mu1, logvar1, mu2, logvar2):
    while True:
        pass
"""
SHARED = """Both images show the same digit, and that is all they share: slant and stroke belong to the handwriting,
colours and typeface to the house number. So a latent that both views use should hold the digit; the style of one view
does not help to draw the other, which can only be guessed.
"""
PRODUCT_OR_MIXTURE = """The product follows the expert that is sure, since it weighs means by $1/\\sigma^2$. The mixture
keeps the unsure one, too.
"""
SYNTAX_ERROR = """def product_of_experts(mu1, logvar1, mu2, logvar2)
    return mu1, logvar1
"""


def read(folder: Path) -> Submission:
    """Return the notebooks of a folder."""
    return {path.stem: nbformat.read(path, as_version=4) for path in sorted(folder.glob("*.ipynb"))}


def graded(submission: Submission) -> dict[str, float]:
    """Return the points of each code cell that is graded automatically, by grade_id."""
    marks = [c.metadata.get("nbgrader", {}) for b in submission.values() for c in b.cells if c.cell_type == "code"]
    return {mark["grade_id"]: float(mark["points"]) for mark in marks if mark.get("grade") and not mark["solution"]}


def fill(submission: Submission, **answers: str | Callable[[str], str]) -> None:
    """Replace the student's cells of these grade_ids by a source, or by what a function makes of their source."""
    for grade_id, answer in answers.items():
        cell = find(submission, grade_id)
        cell.source = answer(cell.source) if callable(answer) else answer


def find(submission: Submission, grade_id: str) -> Any:
    """Return the cell with that grade_id."""
    cells = (cell for notebook in submission.values() for cell in notebook.cells)
    return next(cell for cell in cells if cell.metadata.get("nbgrader", {}).get("grade_id") == grade_id)


def replaced(old: str, new: str) -> Callable[[str], str]:
    """Return a function that replaces text that must be there."""

    def change(source: str) -> str:
        if old not in source:
            raise ValueError(f"the solution has no {old!r} any more")
        return source.replace(old, new)

    return change


def in_words(submission: Submission) -> None:
    """All right, and two questions answered in words, one of them in part."""
    fill(submission, paired_dataset_question=SHARED, product_of_experts_question=PRODUCT_OR_MIXTURE)


def untouched(submission: Submission) -> None:
    """The release, as it was handed out."""
    release = read(ROOT / "assignments" / ASSIGNMENT)
    submission.update(release)


def delete_graded_cell(submission: Submission) -> None:
    """The student removed the locked cell with the check of notebook 1."""
    notebook = submission[PAIRED]
    notebook.cells = [c for c in notebook.cells if c.metadata.get("nbgrader", {}).get("grade_id") != "paired_dataset"]


def break_json(submission: Submission) -> None:
    """Half of notebook 3 was uploaded."""
    text = nbformat.writes(submission[MODEL])
    submission[MODEL] = text[: len(text) // 2]


SOLUTION = read(ROOT / "solutions" / ASSIGNMENT)
POINTS = graded(SOLUTION)  # of each exercise
NOTHING = dict.fromkeys(POINTS, 0.0)


def nothing_in(notebook: str) -> dict[str, float]:
    """Return 0 points for each exercise of a notebook."""
    return dict.fromkeys(graded({notebook: SOLUTION[notebook]}), 0.0)


# Student -> (what is wrong with the submission, points of the exercises that are not all right).
CLASS: dict[str, tuple[Callable[[Submission], None], dict[str, float]]] = {
    "ada_full_marks": (in_words, {}),
    "bao_textbook_product": (lambda s: fill(s, product_of_experts_answer=TEXTBOOK), {"product_of_experts": 14}),
    "cleo_averages": (lambda s: fill(s, product_of_experts_answer=AVERAGED), {"product_of_experts": 5}),
    "dev_side_by_side": (lambda s: fill(s, PairedDataset=SIDE_BY_SIDE), {"paired_dataset": 4}),
    "emil_kl_sign": (lambda s: fill(s, vae_loss_answer=replaced("kl = -0.5", "kl = 0.5")), {"vae_loss": 12}),
    "fay_beta_everywhere": (
        lambda s: fill(
            s,
            vae_loss_answer=replaced(
                "recon_mnist + svhn_weight * recon_svhn + beta * kl,", "beta * (recon_mnist + recon_svhn + kl),"
            ),
        ),
        {"vae_loss": 12},
    ),
    "gus_untouched": (untouched, NOTHING),
    "hana_syntax_error": (lambda s: fill(s, product_of_experts_answer=SYNTAX_ERROR), {"product_of_experts": 0}),
    "ivo_endless_loop": (lambda s: fill(s, product_of_experts_answer=ENDLESS), {"product_of_experts": 0}),
    "june_exits": (
        lambda s: fill(s, vae_loss_answer=replaced("    given =", "    import sys\n    sys.exit()\n    given =")),
        {"vae_loss": 0},
    ),
    "kofi_deleted_cell": (delete_graded_cell, {}),
    "lea_no_notebook": (lambda s: s.pop(PRODUCT), nothing_in(PRODUCT)),
    "mats_broken_json": (break_json, nothing_in(MODEL)),
    "nina_prints_and_warns": (
        lambda s: fill(
            s,
            product_of_experts_answer=lambda source: source.replace(
                "    log_precision =",
                "    import sys, warnings\n    print('here')\n    print('there', file=sys.stderr)\n"
                "    warnings.warn('careful')\n    log_precision =",
            ),
        ),
        {},
    ),
    "omar_wrong_name": (
        lambda s: fill(s, PairedDataset=replaced("class PairedDataset(Dataset)", "class PairDataset(Dataset)")),
        {"paired_dataset": 0},
    ),
    "pia_nothing": (lambda s: s.clear(), NOTHING),
}
EXPECTED = {student: POINTS | points for student, (_, points) in CLASS.items()}


def solved() -> Submission:
    """Return the release with the solutions' answers filled in, as a student would hand it in."""
    submission = read(ROOT / "assignments" / ASSIGNMENT)
    for cell in (cell for notebook in submission.values() for cell in notebook.cells):
        marks = cell.metadata.get("nbgrader", {})
        if cell.cell_type == "code" and marks.get("solution"):
            cell.source = find(SOLUTION, marks["grade_id"]).source
    return submission


def make_class(into: Path) -> None:
    """Write the class; a submission that is already there, unchanged, is left alone."""
    right = solved()
    for student, (change, _) in CLASS.items():
        submission = copy.deepcopy(right)
        change(submission)
        folder = into / student / ASSIGNMENT
        folder.mkdir(parents=True, exist_ok=True)
        files = {
            f"{name}.ipynb": content if isinstance(content, str) else nbformat.writes(content) + "\n"
            for name, content in submission.items()
        }
        for path in folder.iterdir():
            if path.name not in files:
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        for name, text in files.items():
            if not (folder / name).exists() or (folder / name).read_text() != text:
                (folder / name).write_text(text)


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--into", type=Path, default=ROOT / "submitted", help="default: submitted/")
    into = parser.parse_args().into
    others = sorted({path.name for path in into.glob("*") if path.is_dir()} - set(CLASS)) if into.exists() else []
    if others:
        print(f"error: {into} holds other students ({', '.join(others[:3])} ...); name another folder with --into")
        return 2
    if not (ROOT / "assignments" / ASSIGNMENT).is_dir():
        print(f"error: there is no release yet; run: nbgrader generate_assignment {ASSIGNMENT}")
        return 2
    make_class(into)
    print(f"{len(CLASS)} made-up submissions in {into}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
