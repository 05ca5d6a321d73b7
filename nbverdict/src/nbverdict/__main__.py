"""The command line: `autograder grade ASSIGNMENT`, `watch` and others, or `python -m nbverdict grade ASSIGNMENT`."""

import argparse
import importlib
import io
import json
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nbverdict import ahead
from nbverdict.configuration import ConfigurationError, read_configuration
from nbverdict.confinement.layers import Confinement
from nbverdict.doors import command_line
from nbverdict.imports import uncollected

GRADING = ("grade", "watch")
RUNS = {  # command -> module of nbverdict.classroom, and function of the options and the configuration
    "grade": ("command", "grade"),
    "watch": ("watching", "watch"),
    "words": ("words", "words"),
    "collect": ("lms", "collect"),
    "return": ("lms", "give_back"),
    "similar": ("similarity", "similar"),
}


def main(arguments: list[str] | None = None) -> int:
    """Run the command line and return its exit status.

    The status is 0 if all went well, 1 if some submission could not be graded, 2 if the run could not go on, and 130 if
    it was interrupted.
    """
    parser = argparse.ArgumentParser(prog="autograder", description="Grade notebooks, and say why.")
    commands = parser.add_subparsers(dest="command", required=True)
    grade = commands.add_parser("grade", help="grade the submissions of an assignment and print who lost which points")
    grade.add_argument("assignment", help="name of the assignment, as in the folder of its release")
    grade.add_argument("--student", metavar="ID", help="grade this student only")
    grade.add_argument("--force", action="store_true", help="grade again what has not changed since the last time")
    grade.add_argument("--dry-run", action="store_true", help="show whose points would change, and change nothing")
    grade.add_argument("--note", metavar="TEXT", default="", help="kept with each grade that changes: why you regrade")
    grade.add_argument("--jobs", metavar="N", type=_jobs, help="execute N submissions at a time (default: the cores)")
    grade.add_argument("--scheduler", metavar="ADDRESS", help="execute on the Dask cluster of this scheduler")
    grade.add_argument("--seed", metavar="N", type=int, help="draw the inputs of the checks from N, to repeat a run")
    grade.add_argument(
        "--require-confinement", action="store_true", help="grade nothing unless every layer of confinement is active"
    )
    grade.add_argument("--json", metavar="FILE", type=Path, help="also write the results to FILE")
    watch = commands.add_parser("watch", help="grade what is handed in as it comes, with feedback, until interrupted")
    watch.add_argument("assignment", help="name of the assignment, as in the folder of its release")
    watch.add_argument("--jobs", metavar="N", type=_jobs, help="execute N submissions at a time (default: the cores)")
    watch.add_argument("--every", metavar="SECONDS", type=_seconds, default=2.0, help="between two looks (default: 2)")
    watch.add_argument(
        "--require-confinement", action="store_true", help="grade nothing unless every layer of confinement is active"
    )
    watch.set_defaults(student=None, seed=None, scheduler=None, note="")
    collect = commands.add_parser("collect", help="put what Canvas or Moodle let you download where it is graded")
    collect.add_argument("assignment", help="name of the assignment, as in the folder of its release")
    collect.add_argument("archives", nargs="+", type=Path, metavar="DOWNLOAD", help="zip file, or folder of its files")
    collect.add_argument("--roster", metavar="CSV", type=Path, help="the system's table of grades, or ID,student")
    collect.add_argument("--groups", metavar="CSV", type=Path, help="Canvas' table of groups, where groups hand in")
    back = commands.add_parser("return", help="fill in the table of grades of Canvas or Moodle, and zip the feedback")
    back.add_argument("assignment", help="name of the assignment, as in the folder of its release")
    back.add_argument("table", type=Path, metavar="TABLE", help="table of grades, or grading worksheet, as exported")
    back.add_argument("--column", metavar="NAME", help="to fill in (default: Moodle's Grade)")
    back.add_argument("--to", metavar="CSV", type=Path, required=True, help="where to write the table")
    back.add_argument("--feedback", metavar="ZIP", type=Path, help="where to write the feedback pages")
    back.add_argument("--scale", action="store_true", help="convert points where the table has another maximum")
    back.add_argument("--waiting", action="store_true", help="also fill in who waits for a grade by hand")
    alike = commands.add_parser("similar", help="compare answers with each other, and show pairs that are worth a look")
    alike.add_argument("assignment", help="name of the assignment, as in the folder of its release")
    words = commands.add_parser("words", help="grade questions in words on a page, by clicks on the mark scheme")
    words.add_argument("assignment", help="name of the assignment, as in the folder of its release")
    words.add_argument("--port", type=int, default=0, help="of this machine (default: a free one)")
    for other in (collect, back, alike, words):
        other.set_defaults(seed=None, require_confinement=False, note="")
    command_line.add_parser(commands)
    commands.add_parser("doctor", help="print what this machine offers to keep students' code in, and how to get more")
    schema = commands.add_parser("schema", help="print the JSON Schema of the results that grading writes")
    schema.add_argument("--markdown", action="store_true", help="print tables for people instead")
    options = parser.parse_args(arguments)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a terminal may lack characters that students use
    if options.command == "judge":
        return command_line.run(options)
    if options.command == "doctor":
        print("\n".join(Confinement().advice()))
        return 0
    # The imports below take seconds: only the commands that need them wait, and what can run beside them starts first.
    if options.command == "schema":
        from nbverdict.classroom.results import json_schema, schema_page

        print(schema_page() if options.markdown else json.dumps(json_schema(), indent=1))
        return 0
    try:
        with _interruptible():
            configuration = read_configuration(Path.cwd())
            if configuration and options.command in GRADING and not options.scheduler:
                ahead.start(Path.cwd(), configuration.config, options)
            module, function = RUNS[options.command]
            with uncollected():
                from nbverdict.classroom.command import reported

                run = getattr(importlib.import_module(f"nbverdict.classroom.{module}"), function)
            return reported(lambda: run(options, configuration))
    except ConfigurationError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        more = "; what was graded is recorded, and the next run grades the rest" * (options.command in GRADING)
        print(f"\nstopped{more}", file=sys.stderr)
        return 130


@contextmanager
def _interruptible() -> Iterator[None]:
    """Let SIGTERM, which ends a service, interrupt like Ctrl-C, and let neither be lost.

    Python drops an exception that is raised while an object is being deleted; an interrupt is then sent again.
    """
    before, hook = signal.signal(signal.SIGTERM, signal.default_int_handler), sys.unraisablehook

    def send_again(unraisable: "sys.UnraisableHookArgs") -> None:
        if issubclass(unraisable.exc_type, KeyboardInterrupt):
            threading.Timer(0.01, os.kill, (os.getpid(), signal.SIGINT)).start()
        else:
            hook(unraisable)

    sys.unraisablehook = send_again
    try:
        yield
    finally:
        sys.unraisablehook = hook
        signal.signal(signal.SIGTERM, before)


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


if __name__ == "__main__":
    sys.exit(main())
