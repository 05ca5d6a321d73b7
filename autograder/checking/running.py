"""Run the checks of an exercise with pytest, wherever its answer lives, and report."""

import contextlib
import io
import os
import secrets
import sys
import threading
from collections.abc import Generator, Iterator
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np
import pytest

from autograder.assignments import AssignmentError, Exercise, find_exercise
from autograder.checking.answers import Answer, AnswerError, LocalAnswer, usual_settings
from autograder.checking.diagnosis import Wrong
from autograder.checking.report import Report, Result, Status, plain

if TYPE_CHECKING:
    import torch

# Only what the checks need: an instructor's plugins, or a student's, must not take part in grading, and two of pytest's
# own plugins run the garbage collector ten times per run, which takes longer than the checks. The last ones have
# nothing to do here; making them takes a quarter of a run.
_WITHOUT = (
    *("cacheprovider", "terminal", "logging", "doctest", "unittest", "faulthandler", "junitxml", "pastebin"),
    *("unraisableexception", "threadexception"),
    *("setuponly", "setupplan", "stepwise", "legacypath", "debugging"),
)


_one_at_a_time = threading.RLock()  # pytest takes a process for itself


def check_here(exercise: str, answer: object, *, seed: int | None = None) -> Report:
    """Grade an answer that lives in this process; see `autograder.check`."""
    found = find_exercise(exercise)
    with usual_settings():
        return run_checks(found, LocalAnswer(found, answer), seed=seed, cut_off=True)


def points_of(exercise: Exercise) -> float:
    """Return what all checks of an exercise earn together.

    Raises AssignmentError if there are none, or if one has a parameter that is no fixture: it would fail every answer.
    """
    checks = _Checks(0)
    fixtures = ModuleType("answer")
    setattr(fixtures, exercise.name, pytest.fixture(lambda: None, name=exercise.name))
    _pytest(exercise, checks, "--collect-only", plugins=(fixtures,))
    for name, unknown in checks.unknown_fixtures():
        raise AssignmentError(
            f"{name} in {exercise.checks} asks for {unknown!r}; it may ask for {exercise.name}, rng and generator"
        )
    return sum(result.max_points for result in checks.results())


def run_checks(
    exercise: Exercise,
    answer: Answer,
    *,
    seed: int | None = None,
    more: tuple[Result, ...] = (),
    cut_off: bool = False,
) -> Report:
    """Grade an answer; the results in `more` open the report.

    Raises KeyboardInterrupt if the checks are interrupted. With `cut_off`, for a notebook cell that is interrupted
    because it ran out of time, it returns what was found until then. Raises AssignmentError if pytest finds no
    check.
    """
    seed = secrets.randbits(32) if seed is None else seed
    checks = _Checks(seed)
    # The fixture is named after the exercise, so that a check reads as a call of what it grades.
    fixtures = ModuleType("answer")
    setattr(fixtures, exercise.name, pytest.fixture(lambda: answer, name=exercise.name))
    _pytest(exercise, checks, plugins=(fixtures,), cut_off=cut_off)
    return Report(exercise.name, (*more, *checks.results()), seed)


def _pytest(
    exercise: Exercise, checks: "_Checks", *options: str, plugins: tuple[object, ...] = (), cut_off: bool = False
) -> None:
    """Run pytest on the checks of an exercise, in silence; raise as `run_checks` does."""
    options += (*(f"-pno:{name}" for name in _WITHOUT), "--disable-plugin-autoload", "--import-mode=importlib")
    options += ("--noconftest", "--capture=sys", "-Wignore", "-c", os.devnull, f"--rootdir={exercise.checks.parent}")
    said = io.StringIO()
    with (
        _one_at_a_time,
        _no_pytest_environment(),
        _own_modules(exercise.checks.parent),
        contextlib.redirect_stdout(said),
        contextlib.redirect_stderr(said),
    ):
        status = pytest.main([*options, str(exercise.checks)], plugins=[checks, *plugins])
    if checks.problem:
        raise AssignmentError(f"{exercise.checks} cannot be read by pytest: {checks.problem}")
    if status == pytest.ExitCode.INTERRUPTED and not cut_off:
        raise KeyboardInterrupt  # which pytest does not pass on
    if not any(checks.results()):  # an empty report would look as if every check had passed
        raise AssignmentError(f"pytest found no check in {exercise.checks} ({status!r})")


@contextlib.contextmanager
def _own_modules(folder: Path) -> Iterator[None]:
    """Let check files that are not a package import what lies beside them, and forget it afterwards.

    Another assignment may have files of the same names, and an instructor may edit them while a kernel runs.
    """
    if (folder / "__init__.py").exists():
        yield
        return
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.path.remove(str(folder))
        for name, module in list(sys.modules.items()):
            if folder in Path(getattr(module, "__file__", None) or "/").parents:
                del sys.modules[name]


class _Checks:
    """The pytest plugin behind one run: draws the inputs of the checks and keeps what they found."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._found: dict[str, Result] = {}
        self._items: list[pytest.Function] = []
        self.problem = ""  # why the check file could not be read

    @pytest.fixture
    def rng(self, request: pytest.FixtureRequest) -> np.random.Generator:
        """NumPy's generator for a check's inputs: the same for the same seed and check, whatever ran before."""
        return np.random.default_rng(self._seed_of(request))

    @pytest.fixture
    def generator(self, request: pytest.FixtureRequest) -> "torch.Generator":
        """PyTorch's generator for a check's inputs: the same for the same seed and check, whatever ran before."""
        import torch  # here: checks without tensors do not wait for it

        return torch.Generator().manual_seed(self._seed_of(request))

    def _seed_of(self, request: pytest.FixtureRequest) -> int:
        return (self._seed << 8) + [item.name for item in self._items].index(request.node.name)

    def pytest_configure(self, config: pytest.Config) -> None:
        config.option.tbstyle = "native"  # nobody reads it, and pytest's own style parses the checks at each failure
        config.addinivalue_line("markers", "points(n): what passing this check earns")

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self.problem = (str(report.longrepr).strip().splitlines() or [""])[-1].removeprefix("E ").strip()

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

    def unknown_fixtures(self) -> Iterator[tuple[str, str]]:
        """Yield the name of a check, and of a parameter of it that nothing provides."""
        for item in self._items:
            known = {
                "request",
                *item._fixtureinfo.name2fixturedefs,
                *getattr(getattr(item, "callspec", None), "params", ()),
            }
            yield from ((item.name, name) for name in item.fixturenames if name not in known)

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
    if marker is None or len(marker.args) != 1:
        raise AssignmentError(f"{item.name} in {item.path} does not say what it earns: @pytest.mark.points(1)")
    points = float(marker.args[0])
    title = (item.obj.__doc__ or item.name).strip().splitlines()[0].rstrip(".")
    return Result(title, status, points if status == "passed" else 0.0, points, plain(message))


@contextlib.contextmanager
def _no_pytest_environment() -> Iterator[None]:
    """Hide the options that pytest takes from the environment."""
    hidden = {name: os.environ.pop(name) for name in ("PYTEST_ADDOPTS", "PYTEST_PLUGINS") if name in os.environ}
    try:
        yield
    finally:
        os.environ.update(hidden)
