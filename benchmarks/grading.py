"""How long it takes to grade a submission: stock nbgrader, this grader with one and with two jobs, and otter-grader.

    python benchmarks/grading.py [--students 20] [--json FILE] [--figure FILE] [--growth 10 100 500]

All grade the same made-up class. Stock nbgrader calls the checks in the student's kernel, as a course without this
grader would. Each has a start of its own (imports, the first kernel), measured with one student and shown apart; the
rest is divided by the number of the other students. The rounds are interleaved, and the ratios are of one run.
"""

import argparse
import json
import os
import platform
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from stock import STOCK_CONFIG  # noqa: E402

from examples.make_class import ASSIGNMENT, CLASS, EXPECTED, make_class  # noqa: E402

# The students whose grading ends by a limit or not at all measure the limit, not the grader.
LEFT_OUT = ("ivo_endless_loop", "pia_nothing", "mats_broken_json", "lea_no_notebook")
USUAL = [student for student in CLASS if student not in LEFT_OUT]


class Cost(NamedTuple):
    """Seconds of one run: on the clock, and of all processors together."""

    wall: float
    cpu: float


def command(*words: str, course: Path) -> tuple[Cost, float]:
    """Run a command in a course; return its cost, and the most memory that one of its processes had, in MiB."""
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(words, cwd=course, env=environment, capture_output=True, text=True, check=False)
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(words)} ended with {done.returncode}:\n{done.stderr[-3000:]}")
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Cost(wall, cpu), after.ru_maxrss / 1024


def make_course(folder: Path, config: str, students: int) -> Path:
    """Write a course with that many students of the made-up class."""
    folder.mkdir()
    (folder / "nbgrader_config.py").write_text(config)
    shutil.copytree(ROOT / "solutions", folder / "solutions", ignore=shutil.ignore_patterns("__pycache__"))
    command(sys.executable, "-m", "nbgrader", "generate_assignment", ASSIGNMENT, course=folder)
    make_class(folder / "made")
    for i in range(students):
        student = USUAL[i % len(USUAL)]
        shutil.copytree(folder / "made" / student, folder / "submitted" / f"{student}-{i:03}")
    return folder


def stock(course: Path) -> list[str]:
    """Return the command that grades all students with stock nbgrader."""
    return [sys.executable, "-m", "nbgrader", "autograde", ASSIGNMENT, "--force"]


def ours(jobs: int) -> Callable[[Path], list[str]]:
    """Return what returns the command that grades all students with this grader."""
    return lambda course: [sys.executable, "-m", "autograder", "grade", ASSIGNMENT, "--force", "--jobs", str(jobs)]


def scores(course: Path) -> dict[str, float]:
    """Return the points of each student in the gradebook."""
    from nbgrader.api import Gradebook

    with Gradebook(f"sqlite:///{course}/gradebook.db", "multiview-vae-lab") as gradebook:
        return {s.student.id: float(s.score) for s in gradebook.assignment_submissions(ASSIGNMENT)}


def measure(folder: Path, students: int, rounds: int) -> tuple[dict[str, dict[str, float]], dict[str, str]]:
    """Return seconds per submission by grader, and what was left out with the reason."""
    full = (ROOT / "nbgrader_config.py").read_text()
    everything = f"{full}\nc.ExecuteOutside.everything = True\n"
    graders: dict[str, tuple[str, Callable[[Path], list[str]]]] = {
        "stock": (f"{STOCK_CONFIG}c.Execute.timeout = 60\n", stock),
        "one_job": (full, ours(1)),
        "two_jobs": (full, ours(2)),
        "one_job_all_cells": (everything, ours(1)),
    }
    left_out = {"otter": _otter_missing()} if _otter_missing() else {}
    small = {name: make_course(folder / f"{name}-1", config, 1) for name, (config, _) in graders.items()}
    large = {name: make_course(folder / name, config, students) for name, (config, _) in graders.items()}
    costs: dict[str, list[tuple[Cost, Cost]]] = {name: [] for name in graders}
    for round_ in range(rounds):
        for name, (_, grade) in graders.items():
            one, _ = command(*grade(small[name]), course=small[name])
            many, _ = command(*grade(large[name]), course=large[name])
            costs[name].append((one, many))
            print(f"round {round_ + 1}: {name} {many.wall:.1f} s, with one student {one.wall:.1f} s", flush=True)
    found = {name: scores(course) for name, course in large.items()}
    for student in found["stock"]:
        expected = sum(EXPECTED[student.rsplit("-", 1)[0]])
        if any(abs(other[student] - expected) > 1e-9 for other in found.values()):
            # Stock grading runs the student's own code in the check's process: the same notebooks, the same points.
            raise RuntimeError(
                f"{student}: expected {expected}, got { {name: s[student] for name, s in found.items()} }"
            )
    rows = {}
    for name, pairs in costs.items():
        rest = students - 1
        rows[name] = {
            "wall": statistics.median((many.wall - one.wall) / rest for one, many in pairs),
            "cpu": statistics.median((many.cpu - one.cpu) / rest for one, many in pairs),
            "start": statistics.median(one.wall for one, _ in pairs),
        }
        rows[name]["start"] -= rows[name]["wall"]
    return rows, left_out


def _otter_missing() -> str:
    try:
        version("otter-grader")
    except PackageNotFoundError:
        return "otter-grader is not installed"
    return "otter-grader has no equal notebook here"


def growth(folder: Path, sizes: list[int]) -> list[dict[str, float]]:
    """Return wall seconds per submission and the largest process for classes of several sizes, with two jobs."""
    rows = []
    for size in sizes:
        course = make_course(folder / f"growth-{size}", (ROOT / "nbgrader_config.py").read_text(), size)
        watched = [sys.executable, __file__, "--watched", str(course)]
        cost, _ = command(*watched, course=course)
        peak = json.loads((course / "peak.json").read_text())
        graded = scores(course)
        faults = sum(graded[s] != sum(EXPECTED[s.rsplit("-", 1)[0]]) for s in graded) + size - len(graded)
        rows.append({"students": size, "seconds": cost.wall, "grader_mib": peak, "faults": faults})
        print(f"{size} students: {cost.wall:.0f} s, grader {peak:.0f} MiB, {faults} faults", flush=True)
        shutil.rmtree(course)
    return rows


def watched(course: Path) -> int:
    """Grade a class in this process and write down the most memory it had."""
    os.chdir(course)
    from autograder.__main__ import main

    status = main(["grade", ASSIGNMENT, "--force", "--jobs", "2"])
    (course / "peak.json").write_text(str(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024))
    return status


def table(rows: dict[str, dict[str, float]]) -> str:
    """Return the rows as Markdown, with how many times faster than stock each is."""
    names = {
        "stock": "stock nbgrader, checks in the student's kernel",
        "one_job": "this grader, one job",
        "two_jobs": "this grader, two jobs",
        "one_job_all_cells": "this grader, one job, with the cells after the last graded one",
    }
    lines = ["| grader | wall s | CPU s | times faster than stock | start s |", "| --- | --- | --- | --- | --- |"]
    for name, row in rows.items():
        faster = rows["stock"]["wall"] / row["wall"]
        lines.append(f"| {names[name]} | {row['wall']:.2f} | {row['cpu']:.2f} | {faster:.1f} | {row['start']:.1f} |")
    return "\n".join(lines)


def figure(rows: dict[str, dict[str, float]], grown: list[dict[str, float]], path: Path) -> None:
    """Draw seconds per submission, and how time and memory grow."""
    import matplotlib

    matplotlib.use("agg")
    import matplotlib.pyplot as plt

    fig, axes = plt.subplots(1, 2 if grown else 1, figsize=(9 if grown else 5, 3), squeeze=False, layout="constrained")
    labels = {"stock": "stock nbgrader", "one_job": "one job", "two_jobs": "two jobs"}
    bars = axes[0][0].barh(list(labels.values()), [rows[name]["wall"] for name in labels], color="#2166ac")
    axes[0][0].bar_label(bars, fmt="%.2f", padding=3)
    axes[0][0].invert_yaxis()
    axes[0][0].set(xlabel="seconds per submission, without the start", title="Grading a submission")
    axes[0][0].spines[["top", "right"]].set_visible(False)
    axes[0][0].margins(x=0.15)
    if grown:
        sizes = [row["students"] for row in grown]
        axes[0][1].plot(sizes, [row["seconds"] / 60 for row in grown], "o-", color="#2166ac", label="minutes")
        axes[0][1].plot(sizes, [row["grader_mib"] / 100 for row in grown], "s--", color="#b2182b", label="100 MiB")
        axes[0][1].set(xlabel="submissions", title="A growing class, two jobs", ylim=(0, None))
        axes[0][1].legend(frameon=False)
        axes[0][1].spines[["top", "right"]].set_visible(False)
    fig.savefig(path, dpi=150)


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--students", type=int, default=20, help="size of the class (default: 20)")
    parser.add_argument("--rounds", type=int, default=3, help="how often each grades the class (default: 3)")
    parser.add_argument("--json", type=Path, help="write wall seconds per submission, without the start, to this file")
    parser.add_argument("--figure", type=Path, help="draw to this file")
    parser.add_argument("--growth", type=int, nargs="*", default=[], help="also grade classes of these sizes")
    parser.add_argument("--watched", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.watched:
        return watched(options.watched)
    if options.students < 2:
        parser.error("--students must be 2 or more: the start is measured with one")
    packages = ", ".join(f"{name} {version(name)}" for name in ("nbgrader", "nbclient", "ipykernel", "torch"))
    print(f"{platform.platform()}, {os.cpu_count()} cores, Python {platform.python_version()}, {packages}")
    with tempfile.TemporaryDirectory(prefix="grading-") as name:
        rows, left_out = measure(Path(name), options.students, options.rounds)
        grown = growth(Path(name), options.growth)
    print(f"\nMedian of {options.rounds} interleaved rounds of {options.students} submissions, per submission:\n")
    print(table(rows))
    for grader, reason in left_out.items():
        print(f"{grader}: not measured, {reason}")
    if options.json:
        result: dict[str, Any] = {name: rows[name]["wall"] for name in ("stock", "one_job", "two_jobs")}
        options.json.write_text(json.dumps({**result, "otter": None, "growth": grown}, indent=1) + "\n")
    if options.figure:
        figure(rows, grown, options.figure)
    return 0


if __name__ == "__main__":
    sys.exit(main())
