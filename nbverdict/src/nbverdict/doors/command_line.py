"""The commands that need no class: `judge`, the verdict on one submission, and `doctor`."""

import argparse
import contextlib
import sys
import tempfile
from pathlib import Path

from nbverdict.checks.assignments import AssignmentError
from nbverdict.configuration import ConfigurationError
from nbverdict.confinement.layers import Confinement, ConfinementError


def judge(options: argparse.Namespace) -> int:
    """Run the command and return its exit status: 0 with a verdict, whatever it says, and 2 where there is none."""
    if not options.assignment.is_dir():
        print(
            f"error: {options.assignment} is not a folder; --assignment names COURSE/assignments/NAME", file=sys.stderr
        )
        return 2
    if options.submission != "-" and not Path(options.submission).exists():
        print(f"error: {options.submission} does not exist", file=sys.stderr)
        return 2
    from nbverdict.notebooks import judge as judging  # here: a mistyped argument does not wait for its imports
    from nbverdict.remote.conversation import KernelLostError

    with tempfile.TemporaryDirectory() as folder:
        submission = Path(options.submission)
        if options.submission == "-":
            submission = Path(folder) / "submission.ipynb"
            submission.write_bytes(sys.stdin.buffer.read())
        try:
            with contextlib.redirect_stdout(sys.stderr):  # whatever a check prints is no part of the verdict
                verdict = judging.judge(submission, options.assignment, seed=options.seed)
        except (AssignmentError, ConfigurationError, ConfinementError, KernelLostError, OSError) as error:
            print(f"error: {error}", file=sys.stderr)
            return 2
    print(verdict.to_json().decode() if options.json else verdict, end="" if options.json else "\n")
    return 0


def doctor(options: argparse.Namespace) -> int:
    """Print what this machine offers to keep students' code in."""
    print("\n".join(Confinement().advice()))
    return 0
