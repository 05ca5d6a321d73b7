"""GitHub Actions: show what a student's push has earned.

    python -m nbverdict.doors.github results.json

The file is what `nbverdict.doors.gradescope` writes. The page of the run gets a table of the checks and the messages of
those that failed; the log gets the points as the two notices that GitHub Classroom read. Ends with 1 where points were
lost, so that the push is marked.

Where Classroom 50 runs this, its `result.json` is written, too (`classroom50/result/v1`); then losing points is no
error, because Classroom 50 marks the push itself.
"""

import html
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
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


def as_classroom50(tests: Sequence[Mapping[str, Any]], environment: Mapping[str, str]) -> dict[str, Any]:
    """Return tests of a `results.json` as the `result.json` of Classroom 50, with what its runner says of the push.

    It counts whole points: a check that earned a part of a point counts without it.
    """
    now, form = datetime.now(UTC), "%Y-%m-%dT%H:%M:%SZ"
    # When the commit was made, which a later run must not change: by it Classroom 50 says what is late.
    asked = ["git", "show", "--no-patch", "--format=%ct", environment.get("GITHUB_SHA", "HEAD")]
    committed = subprocess.run(asked, capture_output=True, text=True, check=False).stdout.strip()
    submitted = datetime.fromtimestamp(int(committed), UTC) if committed else now
    rows = [
        {
            "test-name": test["name"],
            "passed": test["score"] == test["max_score"],
            "score": int(test["score"]),
            "max-score": int(test["max_score"]),
        }
        for test in tests
    ]
    return {
        "schema": "classroom50/result/v1",
        "classroom": environment["CLASSROOM"],
        "assignment": environment["ASSIGNMENT"],
        "assignment_type": environment.get("ASSIGNMENT_TYPE", "individual"),
        "owner": environment["USERNAME"],
        "submission": environment["SUBMISSION_TAG"],
        "commit": environment["COMMIT_URL"],
        "release": environment["RELEASE_URL"],
        "review": environment.get("REVIEW_URL") or environment["COMMIT_URL"],
        "datetime": submitted.strftime(form),
        "graded_at": now.strftime(form),
        "score": sum(row["score"] for row in rows),
        "max-score": sum(row["max-score"] for row in rows),
        "tests": rows,
    }


def main(file: Path) -> int:
    """Write the page, and the notices or the file."""
    results = json.loads(file.read_text())
    tests = results.get("tests", [])
    points, most = (sum(test[key] for test in tests) for key in ("score", "max_score"))
    with Path(os.environ["GITHUB_STEP_SUMMARY"]).open("a", encoding="utf-8") as summary:
        summary.write(page(results, points, most))
    if "SUBMISSION_TAG" in os.environ:
        Path("result.json").write_text(json.dumps(as_classroom50(tests, os.environ), indent=1) + "\n", encoding="utf-8")
        return 0
    print(f"::notice title=Autograding complete::Points {points:g}/{most:g}")
    print(f"::notice title=Autograding report::{json.dumps({'totalPoints': points, 'maxPoints': most})}")
    return int(points < most or not tests)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
