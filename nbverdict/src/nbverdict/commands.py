"""The commands: what each is called with, and which function runs it. Nothing that is slow is imported here."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple


class Command(NamedTuple):
    """One command. Its `module` is imported when it runs, and its `function` called with the parsed options."""

    name: str
    help: str
    module: str
    function: str
    add_arguments: Callable[[argparse.ArgumentParser], None]
    grades: bool = False  # it executes submissions
    of_a_course: bool = True  # it works in the folder of a course, whose configuration it is given, too


COMMANDS: list[Command] = []
_Adding = Callable[[argparse.ArgumentParser], None]


def _command(
    name: str, help: str, runs: str, *, grades: bool = False, of_a_course: bool = True
) -> Callable[[_Adding], _Adding]:
    """Register a command; `runs` is "module:function" below `nbverdict`."""

    def register(add_arguments: _Adding) -> _Adding:
        module, function = runs.split(":")
        found = Command(name, help, f"nbverdict.{module}", function, add_arguments, grades, of_a_course)
        COMMANDS.append(found)
        return add_arguments

    return register


def _assignment(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("assignment", help="name of the assignment, as in the folder of its release")
    parser.set_defaults(student=None, seed=None, scheduler=None, require_confinement=False, force=False, note="")


def _executing(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--jobs", metavar="N", type=_jobs, help="execute N submissions at a time (default: the cores)")
    parser.add_argument(
        "--require-confinement", action="store_true", help="grade nothing unless every layer of confinement is active"
    )


@_command("grade", "grade submissions and print who lost which points", "classroom.command:grade", grades=True)
def _grade(parser: argparse.ArgumentParser) -> None:
    _assignment(parser)
    _executing(parser)
    parser.add_argument("--student", metavar="ID", help="grade this student only")
    parser.add_argument("--force", action="store_true", help="grade again what has not changed since the last time")
    parser.add_argument("--dry-run", action="store_true", help="show whose points would change, and change nothing")
    parser.add_argument("--note", metavar="TEXT", default="", help="kept with each grade that changes: why you regrade")
    parser.add_argument("--scheduler", metavar="ADDRESS", help="execute on the Dask cluster of this scheduler")
    parser.add_argument("--seed", metavar="N", type=int, help="draw the inputs of the checks from N, to repeat a run")
    parser.add_argument("--json", metavar="FILE", type=Path, help="also write the results to FILE")


@_command(
    "watch",
    "grade what is handed in as it comes, with feedback, until interrupted",
    "classroom.watching:watch",
    grades=True,
)
def _watch(parser: argparse.ArgumentParser) -> None:
    _assignment(parser)
    _executing(parser)
    parser.add_argument("--every", metavar="SECONDS", type=_seconds, default=2.0, help="between two looks (default: 2)")


@_command("collect", "put what Canvas or Moodle let you download where it is graded", "classroom.lms:collect")
def _collect(parser: argparse.ArgumentParser) -> None:
    _assignment(parser)
    parser.add_argument("archives", nargs="+", type=Path, metavar="DOWNLOAD", help="zip file, or folder of its files")
    parser.add_argument("--roster", metavar="CSV", type=Path, help="the system's table of grades, or ID,student")
    parser.add_argument("--groups", metavar="CSV", type=Path, help="Canvas' table of groups, where groups hand in")


@_command("return", "fill in the table of grades of Canvas or Moodle, and zip the feedback", "classroom.lms:give_back")
def _return(parser: argparse.ArgumentParser) -> None:
    _assignment(parser)
    parser.add_argument("table", type=Path, metavar="TABLE", help="table of grades, or grading worksheet, as exported")
    parser.add_argument("--column", metavar="NAME", help="to fill in (default: Moodle's Grade)")
    parser.add_argument("--to", metavar="CSV", type=Path, required=True, help="where to write the table")
    parser.add_argument("--feedback", metavar="ZIP", type=Path, help="where to write the feedback pages")
    parser.add_argument("--scale", action="store_true", help="convert points where the table has another maximum")
    parser.add_argument("--waiting", action="store_true", help="also fill in who waits for a grade by hand")


@_command("similar", "compare answers, and show pairs that are worth a look", "classroom.similarity:similar")
def _similar(parser: argparse.ArgumentParser) -> None:
    _assignment(parser)


@_command("words", "grade questions in words on a page, by clicks on the mark scheme", "classroom.words:words")
def _words(parser: argparse.ArgumentParser) -> None:
    _assignment(parser)
    parser.add_argument("--port", type=int, default=0, help="of this machine (default: a free one)")


@_command(
    "convert",
    "write check files from the assert cells of an instructor's notebook",
    "notebooks.converting:convert",
    of_a_course=False,
)
def _convert(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("notebook", metavar="NOTEBOOK", type=Path, help="COURSE/solutions/ASSIGNMENT/NAME.ipynb")
    parser.add_argument("--in-place", action="store_true", help="also put the line that calls the check into its cell")


@_command("new", "write a small course into a new folder, to start from", "classroom.starting:new", of_a_course=False)
def _new(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", metavar="FOLDER", type=Path, help="where to write it; it must not exist, or be empty")


@_command(
    "judge",
    "judge one submission and print the verdict; nothing is recorded, and nbgrader is not needed",
    "doors.command_line:judge",
    of_a_course=False,
)
def _judge(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("submission", metavar="NOTEBOOK_OR_FOLDER", help="what was handed in; - reads a notebook here")
    parser.add_argument(
        "--assignment", metavar="DIR", type=Path, required=True, help="COURSE/assignments/NAME: what was handed out"
    )
    parser.add_argument("--seed", metavar="N", type=int, help="draw the inputs of the checks from N, to repeat a run")
    parser.add_argument("--json", action="store_true", help="print the verdict as JSON")


@_command(
    "doctor",
    "print what this machine offers to keep students' code in, and how to get more",
    "doors.command_line:doctor",
    of_a_course=False,
)
def _doctor(parser: argparse.ArgumentParser) -> None:
    pass


@_command(
    "schema", "print the JSON Schema of the results that grading writes", "classroom.results:schema", of_a_course=False
)
def _schema(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--markdown", action="store_true", help="print tables for people instead")


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0.1 <= seconds <= 3600:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds from 0.1 to 3600")
    return seconds


def _jobs(text: str) -> int:
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a positive whole number")
    return int(text)
