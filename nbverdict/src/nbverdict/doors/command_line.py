"""The command `judge`: the verdict on one submission, as a table or as JSON."""

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Any

from nbverdict.checks.assignments import AssignmentError
from nbverdict.configuration import ConfigurationError
from nbverdict.confinement.layers import ConfinementError


def add_parser(commands: Any) -> None:
    """Add the command to a parser's subcommands."""
    parser = commands.add_parser(
        "judge", help="judge one submission and print the verdict; nothing is recorded, and nbgrader is not needed"
    )
    parser.add_argument("submission", metavar="NOTEBOOK_OR_FOLDER", help="what was handed in; - reads a notebook here")
    parser.add_argument(
        "--assignment", metavar="DIR", type=Path, required=True, help="COURSE/assignments/NAME: what was handed out"
    )
    parser.add_argument("--seed", metavar="N", type=int, help="draw the inputs of the checks from N, to repeat a run")
    parser.add_argument("--json", action="store_true", help="print the verdict as JSON")


def run(options: argparse.Namespace) -> int:
    """Run the command and return its exit status: 0 with a verdict, whatever it says, and 2 where there is none."""
    if not options.assignment.is_dir():
        print(
            f"error: {options.assignment} is not a folder; --assignment names COURSE/assignments/NAME", file=sys.stderr
        )
        return 2
    if options.submission != "-" and not Path(options.submission).exists():
        print(f"error: {options.submission} does not exist", file=sys.stderr)
        return 2
    from nbverdict.notebooks.judge import judge  # here: a mistyped argument does not wait for its imports
    from nbverdict.remote.conversation import KernelLostError

    with tempfile.TemporaryDirectory() as folder:
        submission = Path(options.submission)
        if options.submission == "-":
            submission = Path(folder) / "submission.ipynb"
            submission.write_bytes(sys.stdin.buffer.read())
        try:
            verdict = judge(submission, options.assignment, seed=options.seed)
        except (AssignmentError, ConfigurationError, ConfinementError, KernelLostError, OSError) as error:
            print(f"error: {error}", file=sys.stderr)
            return 2
    print(verdict.to_json().decode() if options.json else verdict, end="" if options.json else "\n")
    return 0
