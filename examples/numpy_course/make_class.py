"""Write a made-up class to `submitted/`: `python make_class.py [FOLDER OF THE COURSE]`, after the release was made.

Each student hands in the assignments of which there are answers of their own, and who has none hands in both.
`EXPECTED` says what each should earn.
"""

import copy
import sys
from pathlib import Path

import nbformat

HERE = Path(__file__).parent
ASSIGNMENTS = {"least_squares": ("standardise", "fit_line"), "smoothing": ("moving_average", "windows")}
POINTS = {"standardise": 4.0, "fit_line": 6.0, "moving_average": 4.0, "windows": 5.0}

UNBIASED = """def standardise(x):
    return (x - x.mean(0)) / x.std(0, ddof=1)
"""
IN_PLACE = """def fit_line(x, y):
    x -= x.mean()
    slope = (x * (y - y.mean())).sum() / (x**2).sum()
    return slope, y.mean()
"""
SUMS = """def fit_line(x, y):
    x, y, n = x.astype(np.float32), y.astype(np.float32), len(x)
    slope = (n * (x * y).sum() - x.sum() * y.sum()) / (n * (x**2).sum() - x.sum() ** 2)
    return slope, y.mean() - slope * x.mean()
"""
ENDLESS = """def fit_line(x, y):
    while True:
        pass
"""
JUMPS = """def moving_average(x, width):
    return np.array([x[i : i + width].mean() for i in range(0, len(x) - width + 1, width)])
"""
SHORT = """class Windows:
    def __init__(self, recording, width):
        self.x, self.width, self.rate = recording.samples, width, recording.rate

    def __len__(self):
        return max(0, len(self.x) - self.width)

    def __getitem__(self, i):
        return i / self.rate, self.x[i : i + self.width]
"""
FORGED = """import nbverdict
check = nbverdict.check = lambda *arguments: 6
def fit_line(x, y):
    return 0.0, 0.0
"""

# Student -> (source by grade_id of the answer, or None for the untouched release; points that are not all of them)
CLASS: dict[str, tuple[dict[str, str] | None, dict[str, float]]] = {
    "anna_all": ({}, {}),
    "ben_untouched": (None, dict.fromkeys(POINTS, 0.0)),
    "cara_unbiased": ({"standardise_answer": UNBIASED}, {"standardise": 0.0}),
    "dino_in_place": ({"fit_line_answer": IN_PLACE}, {"fit_line": 0.0}),
    "ella_sums": ({"fit_line_answer": SUMS}, {"fit_line": 5.0}),
    "finn_endless": ({"fit_line_answer": ENDLESS}, {"fit_line": 0.0}),
    "gina_jumps": ({"moving_average_answer": JUMPS}, {"moving_average": 1.0}),
    "hugo_short": ({"Windows": SHORT}, {"windows": 3.0}),
    "iris_forged": ({"fit_line_answer": FORGED}, {"fit_line": 0.0}),
}


def handed_in(student: str) -> list[str]:
    """Return the assignments that a student hands in."""
    lost = CLASS[student][1]
    return [name for name, exercises in ASSIGNMENTS.items() if not lost or lost.keys() & set(exercises)]


EXPECTED = {
    student: {e: lost.get(e, POINTS[e]) for name in handed_in(student) for e in ASSIGNMENTS[name]}
    for student, (_, lost) in CLASS.items()
}


def make_class(course: Path) -> None:
    """Write the submissions of every student to a course whose assignments are released."""
    for assignment in ASSIGNMENTS:
        for released in sorted((course / "assignments" / assignment).glob("*.ipynb")):
            release = nbformat.read(released, as_version=4)
            solution = nbformat.read(course / "solutions" / assignment / released.name, as_version=4)
            for student, (answers, _) in CLASS.items():
                if assignment not in handed_in(student):
                    continue
                book = copy.deepcopy(release)
                for cell, solved in zip(book.cells, solution.cells, strict=True):
                    marks = cell.metadata.get("nbgrader", {})
                    if marks.get("solution") and answers is not None:
                        cell.source = answers.get(marks["grade_id"], solved.source)
                folder = course / "submitted" / student / assignment
                folder.mkdir(parents=True, exist_ok=True)
                nbformat.write(book, folder / released.name)


if __name__ == "__main__":
    make_class(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE)
