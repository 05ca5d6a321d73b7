"""Show what a student's push has earned, in GitHub Actions: `python summary.py results.json`.

The page of the run gets a table of the checks and the messages of those that failed; the log gets the points as the two
notices that GitHub Classroom read. Ends with 1 where points were lost, so that the push is marked.
"""

import html
import json
import os
import sys
from pathlib import Path
from typing import Any


def page(results: dict[str, Any], points: float, most: float) -> str:
    """Return the results as Markdown; what may be the student's own words is escaped."""
    lines = [f"## {points:g} of {most:g} points by checks", ""]
    if "output" in results:
        lines += [html.escape(results["output"]), ""]
    lines += ["| | points | check |", "| --- | --- | --- |"]
    failed = []
    for test in results.get("tests", []):
        right = test["score"] == test["max_score"]
        name = html.escape(test["name"]).replace("|", "&#124;")
        lines.append(f"| {'✓' if right else '✗'} | {test['score']:g}/{test['max_score']:g} | {name} |")
        if not right:
            message = html.escape(test["output"]).replace("\n", "<br>")
            failed.append(f"<details><summary>{html.escape(test['name'])}</summary><p>{message}</p></details>")
    return "\n".join([*lines, "", *failed]) + "\n"


def main(file: Path) -> int:
    """Write the page and the notices."""
    results = json.loads(file.read_text())
    tests = results.get("tests", [])
    points, most = (sum(test[key] for test in tests) for key in ("score", "max_score"))
    with Path(os.environ["GITHUB_STEP_SUMMARY"]).open("a", encoding="utf-8") as summary:
        summary.write(page(results, points, most))
    print(f"::notice title=Autograding complete::Points {points:g}/{most:g}")
    print(f"::notice title=Autograding report::{json.dumps({'totalPoints': points, 'maxPoints': most})}")
    return int(points < most or not tests)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
