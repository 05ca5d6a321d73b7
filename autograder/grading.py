"""Run the checks of an exercise with pytest, wherever its answer lives, and report."""

import contextlib
import io
import os
import secrets
from collections.abc import Callable, Generator, Iterator
from types import ModuleType
from typing import Any

import pytest
import torch

from autograder.answers import Answer, AnswerError
from autograder.checks.diagnosis import Wrong
from autograder.exercises import Exercise, find
from autograder.report import Report, Result, Status

# Only what the checks need: an instructor's plugins, or a student's, must not take part in grading, and two of pytest's
# own collect garbage ten times a run, which takes longer than the checks.
_WITHOUT = (
    *("cacheprovider", "terminal", "logging", "doctest", "unittest", "faulthandler", "junitxml", "pastebin"),
    *("unraisableexception", "threadexception"),
)


def check_here(exercise: str, answer: object, *, seed: int | None = None) -> Report:
    """Grade an answer that lives in this process; see `autograder.check`."""
    found = find(exercise)
    return run_checks(found, Answer(found, answer), seed=seed, cut_off=True)


def run_checks(
    exercise: Exercise,
    answer: Callable[..., Any],
    *,
    seed: int | None = None,
    more: tuple[Result, ...] = (),
    cut_off: bool = False,
) -> Report:
    """Grade a callable that raises `AnswerError` where the student's own code fails; `more` opens the report.

    Raises KeyboardInterrupt if that comes while the checks run; with `cut_off`, where it is how a cell ends that is out
    of time, returns what was found before.
    """
    seed = secrets.randbits(32) if seed is None else seed
    plugin = _Checks(seed)
    # The fixture is named after the exercise, so that a check reads as a call of what it grades.
    fixtures = ModuleType("answer")
    setattr(fixtures, exercise.name, pytest.fixture(lambda: answer, name=exercise.name))
    options = [f"-pno:{name}" for name in _WITHOUT]
    options += ["--disable-plugin-autoload", "--import-mode=importlib", "--noconftest", "--capture=sys", "-Wignore"]
    with _no_pytest_environment(), contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        status = pytest.main(
            [*options, "-c", os.devnull, f"--rootdir={exercise.checks.parent}", str(exercise.checks)],
            plugins=[plugin, fixtures],
        )
    if status == pytest.ExitCode.INTERRUPTED and not cut_off:
        raise KeyboardInterrupt  # which pytest keeps to itself
    results = tuple(plugin.results())
    if not results:  # a report without any would look like one of checks that all passed
        raise RuntimeError(f"pytest found no check in {exercise.checks} ({status!r})")
    return Report(exercise.name, (*more, *results), seed)


class _Checks:
    """The pytest plugin behind one run: draws the inputs of the checks and keeps what they found."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._found: dict[str, Result] = {}
        self._items: list[pytest.Function] = []

    @pytest.fixture
    def generator(self, request: pytest.FixtureRequest) -> torch.Generator:
        """A generator for a check's inputs: the same for the same seed and check, whatever ran before."""
        position = [item.name for item in self._items].index(request.node.name)
        return torch.Generator().manual_seed((self._seed << 8) + position)

    def pytest_configure(self, config: pytest.Config) -> None:
        config.option.tbstyle = "native"  # nobody reads it, and pytest's own parses the checks at each failure
        config.addinivalue_line("markers", "points(n): what passing this check earns")

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        self._items = [item for item in session.items if isinstance(item, pytest.Function)]

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Function, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        outcome = yield
        if call.excinfo is not None:
            status, message = _failure(call.excinfo.value)
            self._found[item.name] = _result(item, status, message)
        elif call.when == "call":
            self._found[item.name] = _result(item, "passed")
        return outcome

    def results(self) -> Iterator[Result]:
        """Yield one result per check; a check that was cut off (the cell was interrupted) counts as out of time."""
        for item in self._items:
            yield self._found.get(item.name) or _result(item, "timeout", "Not run: the grading was interrupted.")


def _failure(error: BaseException) -> tuple[Status, str]:
    if isinstance(error, Wrong):
        return "wrong", str(error)
    if isinstance(error, AnswerError):
        return error.status, str(error)
    return "error", f"The check could not judge this answer ({type(error).__name__}: {error})."


def _result(item: pytest.Function, status: Status, message: str = "") -> Result:
    marker = item.get_closest_marker("points")
    assert marker is not None, f"{item.name} has no points"
    points = float(marker.args[0])
    title = (item.obj.__doc__ or item.name).strip().splitlines()[0].rstrip(".")
    return Result(title, status, points if status == "passed" else 0.0, points, _plain(message))


def _plain(text: str) -> str:
    """Return a text that any file and terminal takes: an answer's own words may hold half characters or commands."""
    return "".join(
        c if c.isprintable() or c == "\n" else " " if c == "\t" else "\N{REPLACEMENT CHARACTER}" for c in text
    )


@contextlib.contextmanager
def _no_pytest_environment() -> Iterator[None]:
    """Hide the options that pytest takes from the environment."""
    hidden = {name: os.environ.pop(name) for name in ("PYTEST_ADDOPTS", "PYTEST_PLUGINS") if name in os.environ}
    try:
        yield
    finally:
        os.environ.update(hidden)
