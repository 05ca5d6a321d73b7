"""Grade the attack class with stock nbgrader and with this grader, and write a table of both.

    python benchmarks/attacks.py [--markdown FILE] [--only STUDENT ...] [--graders stock this]

Stock nbgrader runs inside bubblewrap (the system read-only, only the made-up course writable, no network, a process
tree of its own), because its attackers succeed. This grader confines by itself and runs without; both stop an attacker
after the times of their usual configuration.
"""

import argparse
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import closing, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from nbgrader.api import Gradebook  # noqa: E402
from nbgrader.apps import NbGraderApp  # noqa: E402

from autograder.course import Course  # noqa: E402
from examples.make_class import ASSIGNMENT  # noqa: E402
from tests import attacks as those  # noqa: E402
from tests.attacks import ATTACKS, BYSTANDER, SECRET  # noqa: E402

STOCK_CONFIG = """
c = get_config()
c.CourseDirectory.course_id = "multiview-vae-lab"
c.CourseDirectory.source_directory = "solutions"
c.CourseDirectory.release_directory = "assignments"
c.CourseDirectory.ignore = ["*.pyc", "__pycache__", ".ipynb_checkpoints", ".pytest_cache", "conftest.py", "results"]
c.Execute.timeout = 20
"""
COPIED = ("autograder", "lab_utils", "solutions", "tests/answers")  # what a course holds here
GRADERS = ("stock", "this")
LIMIT = 100.0  # seconds for one student of stock nbgrader, after which all is killed
LATE = 12.0  # seconds that are waited for processes that a submission left behind


@dataclass
class Row:
    """What became of one attack."""

    student: str
    points: float | None = None  # all points in the gradebook; None if there is no grade
    status: str = ""
    read: list[str] = field(default_factory=list)
    harmed: list[str] = field(default_factory=list)
    ended: str = ""  # how the grader ended where it did not end well
    seconds: float = 0.0

    @property
    def gained(self) -> float:
        """Points beyond what the answer deserves."""
        return max(0.0, (self.points or 0.0) - ATTACKS[self.student].points)


def environment(course: Path) -> dict[str, str]:
    """Return the environment of a grader: the course's own copy of the package, and a secret."""
    path = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "PYTHONPATH": str(course)}
    return {**os.environ, **path, "HOME": f"{course.parent}/home", "OMP_NUM_THREADS": "1", SECRET: "nobody's business"}


def confined(course: Path, command: list[str]) -> list[str]:
    """Return a command that can change nothing but the course."""
    bwrap = "bwrap --ro-bind / / --dev /dev --proc /proc --tmpfs /tmp --tmpfs /dev/shm --unshare-pid --unshare-net"
    binds = ["--ro-bind", str(ROOT), str(ROOT), "--bind", str(course), str(course)]
    return [*bwrap.split(), *binds, "--unshare-ipc", "--die-with-parent", "--new-session", *command]


def run(course: Path, grader: str, *arguments: str) -> tuple[int | None, str]:
    """Run `nbgrader` in a course, for stock inside bubblewrap; return its status (None: out of time) and its log."""
    command = [sys.executable, __file__, "--inside", str(course), *arguments]
    command = confined(course, command) if grader == "stock" else command
    with tempfile.TemporaryFile() as log:
        streams: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": log, "stderr": log}
        bounds: dict[str, Any] = {"start_new_session": True, "preexec_fn": _bounded}
        process = subprocess.Popen(command, cwd=course, env=environment(course), **streams, **bounds)
        try:
            status: int | None = process.wait(LIMIT)
        except subprocess.TimeoutExpired:
            status = None
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # bubblewrap takes all its processes with it
            process.wait()
        log.seek(max(0, log.seek(0, os.SEEK_END) - 20_000))
        return status, log.read().decode(errors="replace")


def _bounded() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (16 << 30, 16 << 30))
    resource.setrlimit(resource.RLIMIT_FSIZE, (3 << 29, 3 << 29))


def inside(course: Path, arguments: list[str]) -> int:
    """Run nbgrader beside services that must not be reached, and wait for what a submission leaves behind."""
    Path(environment(course)["HOME"]).mkdir(exist_ok=True)
    child = os.fork()  # nbgrader is imported already
    if child == 0:
        sys.argv = ["nbgrader", *arguments]
        sys.exit(NbGraderApp.launch_instance())
    with those.Neighbour(course):
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        end = time.monotonic() + LATE
        while those.daemons() and time.monotonic() < end:
            time.sleep(0.5)
    if those.daemons():
        (course / "canary" / "processes that still run").write_text(str(those.daemons()))
    return status if status >= 0 else 128 - status


def make_course(folder: Path, grader: str) -> None:
    """Write a course with a release and the graded bystander."""
    for name in COPIED:
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    config = STOCK_CONFIG if grader == "stock" else (ROOT / "nbgrader_config.py").read_text()
    (folder / "nbgrader_config.py").write_text(config)
    those.make_canary(folder)
    those.make_bystander(folder / "submitted", folder)
    for arguments in (["generate_assignment", ASSIGNMENT], ["autograde", ASSIGNMENT, "--student", BYSTANDER]):
        status, log = run(folder, grader, *arguments)
        if status != 0:
            raise RuntimeError(f"{' '.join(arguments)} ended with {status}:\n{log[-2000:]}")
    if score(folder, BYSTANDER) != 42:
        raise RuntimeError(f"the honest student earned {score(folder, BYSTANDER)} of 42 points")


def score(course: Path, student: str) -> float | None:
    """Return the points of a submission that the gradebook holds, if it holds any."""
    try:
        with closing(Gradebook(f"sqlite:///{course}/gradebook.db", "multiview-vae-lab")) as book:
            return float(book.find_submission(ASSIGNMENT, student).score)
    except Exception:  # no such submission, or whatever an attack left of the gradebook
        return None


def attack(student: str, grader: str, template: Path, attackers: Path, course: Path) -> Row:
    """Grade one attacker in a fresh copy of the course."""
    shutil.rmtree(course, ignore_errors=True)
    shutil.copytree(template, course, symlinks=True)
    those.copy_submission(student, attackers, course / "submitted")
    row, before, start = Row(student), those.snapshot(course), time.monotonic()
    status, log = run(course, grader, "autograde", ASSIGNMENT, "--student", student)
    row.seconds = round(time.monotonic() - start, 1)
    problems = [line for line in log.splitlines() if "Error" in line and "NbGrader" not in line]
    failed = f"failed: {problems[-1][:80] if problems else status}" if status == 1 else f"killed ({status})"
    row.ended = {0: "", None: "hung"}.get(status, failed)
    row.read = those.learned(course, student)
    row.harmed = those.harm(course, before) + [f"used {what}" for what in those.took(course, student)]
    row.points = score(course, student)
    return row


def attack_this(student: str, course: Path, grader: Course) -> Row:
    """Grade one attacker with this grader, in this process: what it is not to reach is here."""
    row, before, start = Row(student), those.snapshot(course), time.monotonic()
    outcomes = grader.grade(student, force=True).outcomes
    row.seconds = round(time.monotonic() - start, 1)
    row.status = next(o.status for o in outcomes if o.exercise == ATTACKS[student].exercise)
    row.points = score(course, student)
    row.read = those.learned(course, student)
    row.harmed = those.harm(course, before) + [f"used {what}" for what in those.took(course, student)]
    return row


def table(rows: dict[str, dict[str, Row]]) -> str:
    """Return both graders' rows and totals as Markdown."""
    lines = [
        "| attack | aim | stock: points (deserved) | read | harmed | this grader: status | points | read | harmed |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    nothing = Row("")
    for student, row in ((s, a) for s, a in ATTACKS.items() if any(s in found for found in rows.values())):
        stock, this = (rows.get(grader, {}).get(student, nothing) for grader in ("stock", "this"))
        cells = [row.about, row.aim, f"{_points(stock)} ({row.points:g})", _short(stock.read), _short(_harmed(stock))]
        cells += [this.status, _points(this), _short(this.read), _short(_harmed(this))]
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    for grader, found in rows.items():
        lines += ["", f"{grader}: {totals(found)}"]
    return "\n".join(lines) + "\n"


def totals(rows: dict[str, Row]) -> str:
    """Return how many attacks did what."""
    gained = [row.gained for row in rows.values() if row.gained]
    read, harmed = (
        sum(bool(what) for what in found) for found in zip(*((r.read, r.harmed) for r in rows.values()), strict=True)
    )
    ends = [row.ended.split()[0].rstrip(":") for row in rows.values() if row.ended]
    ended = ", ".join(f"{ends.count(end)} {end}" for end in sorted(set(ends))) or "none"
    words = f"{len(rows)} attacks; {len(gained)} gained {sum(gained):g} points; {read} read what is hidden"
    return f"{words}; {harmed} harmed; runs that did not end well: {ended}"


def _points(row: Row) -> str:
    return "" if row.points is None else f"**{row.points:g}**" if row.student and row.gained else f"{row.points:g}"


def _harmed(row: Row) -> list[str]:
    return row.harmed + ([f"grader {row.ended.split(':')[0]}"] if row.ended else [])


def _short(found: list[str]) -> str:
    more = f" and {len(found) - 1} more" if len(found) > 1 else ""
    return f"{found[0][:50].rstrip()}{more}" if found else ""


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--markdown", type=Path, help="write the table to this file")
    parser.add_argument("--json", type=Path, help="keep the rows in this file, and take those that are there from it")
    parser.add_argument("--only", nargs="+", choices=sorted(ATTACKS), default=list(ATTACKS), metavar="STUDENT")
    parser.add_argument("--graders", nargs="+", choices=GRADERS, default=GRADERS)
    options = parser.parse_args()
    if shutil.which("bwrap") is None:
        print("error: this needs bubblewrap (bwrap), because the attacks on stock nbgrader succeed", file=sys.stderr)
        return 2
    kept: dict[str, Any] = json.loads(options.json.read_text()) if options.json and options.json.exists() else {}
    rows = {grader: {s: Row(**row) for s, row in kept.get(grader, {}).items()} for grader in options.graders}
    for grader in options.graders:
        with tempfile.TemporaryDirectory(prefix="attacks-") as name:
            folder = Path(name)
            course, template, attackers = folder / "course", folder / "template", folder / "class"
            make_course(course, grader)  # at its final place, which the attackers know
            if grader == "stock":
                course.rename(template)
                those.make_attackers(attackers, course)
            else:
                those.make_attackers(course / "submitted", course)
                os.environ[SECRET] = "nobody's business"
            for student in (s for s in options.only if s not in rows[grader]):
                if grader == "stock":
                    row = attack(student, grader, template, attackers, course)
                else:
                    with those.Neighbour(course):
                        row = attack_this(student, course, Course(course, ASSIGNMENT))
                rows[grader][student] = row
                print(grader, student, row.points, row.status, row.read, _harmed(row), row.seconds, flush=True)
                if options.json:
                    kept[grader] = {name: asdict(row) for name, row in rows[grader].items()}
                    options.json.write_text(json.dumps(kept, indent=1))
        print(f"{grader}: {totals(rows[grader])}")
    if options.markdown:
        options.markdown.write_text(table(rows))
    return 0


if __name__ == "__main__":
    if sys.argv[1:2] == ["--inside"]:
        sys.exit(inside(Path(sys.argv[2]), sys.argv[3:]))
    sys.exit(main())
