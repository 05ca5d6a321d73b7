"""The command line: `nbverdict grade ASSIGNMENT`, `judge` and others; a lab's graders may type `autograder` for it."""

import argparse
import importlib
import io
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import cast

from nbverdict import ahead
from nbverdict.commands import COMMANDS, Command
from nbverdict.configuration import ConfigurationError, read_configuration
from nbverdict.imports import uncollected


def main(arguments: list[str] | None = None) -> int:
    """Run the command line and return its exit status.

    The status is 0 if all went well, 1 if some submission could not be graded, 2 if the run could not go on, and 130 if
    it was interrupted.
    """
    name = Path(sys.argv[0]).stem
    parser = argparse.ArgumentParser(
        prog=name if name in ("autograder", "nbverdict") else "nbverdict", description="Grade notebooks, and say why."
    )
    commands = parser.add_subparsers(required=True)
    for command in COMMANDS:
        own = commands.add_parser(command.name, help=command.help)
        command.add_arguments(own)
        own.set_defaults(command=command)
    options = parser.parse_args(arguments)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a terminal may lack characters that students use
    return _run(options.command, options)


def _run(command: Command, options: argparse.Namespace) -> int:
    # The imports below take seconds: only the commands that need them wait, and what can run beside them starts first.
    try:
        with _interruptible():
            if not command.of_a_course:
                return cast(int, getattr(importlib.import_module(command.module), command.function)(options))
            configuration = read_configuration(Path.cwd())
            if configuration and command.grades and not options.scheduler:
                ahead.start(Path.cwd(), configuration.config, options)
            with uncollected():
                from nbverdict.classroom.command import report_errors

                run = getattr(importlib.import_module(command.module), command.function)
            return report_errors(lambda: run(options, configuration))
    except ConfigurationError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        more = "; what was graded is recorded, and the next run grades the rest" * command.grades
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


if __name__ == "__main__":
    sys.exit(main())
