"""Write a made-up class of eight to `submitted/`: `python make_class.py [FOLDER OF THE COURSE]`, after the release.

`EXPECTED` says what each should earn, and `CAUSES` what each should read.
"""

import sys
from pathlib import Path

import nbformat

HERE = Path(__file__).parent
ASSIGNMENT, NOTEBOOK = "orders", "1_orders"
POINTS = {"price": 4.0, "clean": 4.0, "dates": 3.0, "revenue": 3.0, "chart": 3.0, "summary": 2.0}

NAN = """def parse_price(text):
    try:
        return float(text.replace("€", "").replace(",", "."))
    except ValueError:
        return float("nan")
"""
TWICE = """def clean(orders):
    orders = orders.assign(town=orders["town"].str.strip().str.title())
    return orders.dropna(subset="item").reset_index(drop=True)
"""
MONTH_FIRST = """def to_dates(texts):
    return pd.to_datetime(texts, format="%m.%d.%Y", errors="coerce")
"""
MEANS = """def revenue_per_town(orders):
    total = orders["price"] * orders["count"]
    return total.groupby(orders["town"]).mean().sort_values(ascending=False)
"""
LINE = """def chart(revenue):
    figure = Figure()
    axes = figure.subplots()
    axes.plot(list(revenue.index), list(revenue))
    return figure
"""
PRINTED = """def summary(revenue):
    for town, value in revenue.items():
        print(f"{town}: {value:.2f} €")
    print(f"total: {revenue.sum():.2f} €")
"""
# Student -> (source by grade_id of the answer, None for the release; points that are not all of them; causes)
CLASS: dict[str, tuple[dict[str, str] | None, dict[str, float], tuple[str, ...]]] = {
    "ada_right": ({}, {}, ()),
    "ben_untouched": (None, dict.fromkeys(POINTS, 0.0), ("parse_price is not written yet",)),
    "cleo_nan": ({"parse_price": NAN}, {"price": 1.0}, ("nan is returned where there is no price",)),
    "dan_twice": ({"clean_answer": TWICE}, {"clean": 1.0}, ("rows that are there twice are kept",)),
    "eva_month": ({"to_dates": MONTH_FIRST}, {"dates": 0.0}, ("the month is read first",)),
    "finn_means": ({"revenue_per_town": MEANS}, {"revenue": 0.0}, ("this is the mean of each town, not the sum",)),
    "gita_line": ({"chart_answer": LINE}, {"chart": 0.0}, ("the figure shows line, and no bars", "has no unit")),
    "hugo_prints": ({"summary_answer": PRINTED}, {"summary": 0.0}, ("nothing is returned; print shows a value",)),
}
EXPECTED = {student: {**POINTS, **lost} for student, (_, lost, _) in CLASS.items()}
CAUSES = {student: causes for student, (_, _, causes) in CLASS.items()}


def make_class(course: Path) -> None:
    """Write the submissions of every student to a course whose assignment is released."""
    solved = nbformat.read(course / "solutions" / ASSIGNMENT / f"{NOTEBOOK}.ipynb", as_version=4)
    for student, (answers, _, _) in CLASS.items():
        book = nbformat.read(course / "assignments" / ASSIGNMENT / f"{NOTEBOOK}.ipynb", as_version=4)
        for cell, solution in zip(book.cells, solved.cells, strict=True):
            marks = cell.metadata.get("nbgrader", {})
            if marks.get("solution") and answers is not None:
                cell.source = answers.get(marks["grade_id"], solution.source)
        folder = course / "submitted" / student / ASSIGNMENT
        folder.mkdir(parents=True, exist_ok=True)
        nbformat.write(book, folder / f"{NOTEBOOK}.ipynb")


if __name__ == "__main__":
    make_class(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE)
