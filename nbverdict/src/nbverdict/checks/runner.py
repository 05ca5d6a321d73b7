"""Run the checks of an exercise, wherever its answer lives, and report.

A check is a function of pytest's kind, `test_...`, whose parameters are named after what they are given: the answer by
its own name or by that of its exercise, `rng` and `generator`.
"""

import contextlib
import importlib
import importlib.util
import inspect
import io
import itertools
import re
import secrets
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from nbverdict.checks.answers import Answer, AnswerError, LocalAnswer, usual_settings
from nbverdict.checks.assignments import AssignmentError, Exercise, find_exercise
from nbverdict.checks.diagnosis import RETURNED_NOTHING, Wrong
from nbverdict.checks.report import Report, Result, Status, plain

if TYPE_CHECKING:
    import torch

INPUTS = ("rng", "generator")  # parameters of a check besides the answer


class Check(NamedTuple):
    """One check of an exercise."""

    name: str  # of its function
    title: str  # the first line of its docstring
    points: float
    call: Callable[..., object]
    parameters: tuple[str, ...]
    given: Mapping[str, object]  # parameters that `pytest.mark.parametrize` gives

    def run(self, exercise: Exercise, answer: Answer, seed: int) -> None:
        """Call the function; `seed` is that of this check. Raises whatever it raises."""
        values: dict[str, object] = {**self.given}
        for name in self.parameters:
            if name in (exercise.name, exercise.answer):
                values[name] = answer
            elif name == "rng":
                values[name] = rng(seed)
            elif name == "generator":
                values[name] = generator(seed)
        self.call(**values)

    def result(self, status: Status, message: str = "", **more: Any) -> Result:
        """Return a result of this check."""
        return Result(self.title, status, self.points * (status == "passed"), self.points, plain(message), **more)


def rng(seed: int) -> np.random.Generator:
    """Return NumPy's generator for the inputs of a check."""
    return np.random.default_rng(seed)


def generator(seed: int) -> "torch.Generator":
    """Return PyTorch's generator for the inputs of a check."""
    import torch  # here: checks without tensors do not wait for it

    return torch.Generator().manual_seed(seed)


def seed_of(seed: int, place: int) -> int:
    """Return the seed of the check in that place: the same for the same seed and check, whatever ran before."""
    return (seed << 8) + place


def check_here(exercise: str, answer: object, *, seed: int | None = None) -> Report:
    """Grade an answer that lives in this process; see `nbverdict.check`."""
    found, said = find_exercise(exercise), io.StringIO()
    with usual_settings(), contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        return run_checks(found, LocalAnswer(found, answer), seed=seed, cut_off=True)


def points_of(exercise: Exercise) -> float:
    """Return what all checks of an exercise earn together. Raises as `checks_of` does."""
    with own_modules(exercise.checks.parent):
        return sum(check.points for check in checks_of(exercise))


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
    because it ran out of time, the checks that did not end count as out of time. Raises AssignmentError as `checks_of`
    does.
    """
    seed = secrets.randbits(32) if seed is None else seed
    results: list[Result] = []
    with own_modules(exercise.checks.parent):
        checks = checks_of(exercise)
        try:
            for place, check in enumerate(checks):
                results.append(result_of(check, exercise, answer, seed_of(seed, place)))
        except KeyboardInterrupt:
            if not cut_off:
                raise
            late = "Not run: the grading was interrupted."
            results += [check.result("timeout", late) for check in checks[len(results) :]]
    return Report(exercise.name, (*more, *results), seed)


def result_of(check: Check, exercise: Exercise, answer: Answer, seed: int) -> Result:
    """Run one check and return what it found; whatever it raises but KeyboardInterrupt is a result."""
    try:
        with np.errstate(all="ignore"):  # a result may be infinite, or not a number
            check.run(exercise, answer, seed)
    except KeyboardInterrupt:
        raise
    except Wrong as wrong:
        return check.result("wrong", str(wrong), finding=wrong.finding)
    except AnswerError as error:
        return check.result(error.status, str(error), written=error.written, judged=error.judged)
    except AssertionError as error:
        return check.result("wrong", _assertion(error, exercise))
    except BaseException as error:
        if known := _no_result(error, answer) or _not_raised(error):
            return check.result("wrong", str(known), finding=known.finding)
        message = f"The check could not judge this answer ({type(error).__name__}: {error})."
        return check.result("error", message, judged=False)
    return check.result("passed")


def _no_result(error: BaseException, answer: Answer) -> Wrong | None:
    """Return what is wrong where a check failed on the None that an answer returned; None if it did not."""
    if not answer.returned_none or not isinstance(error, TypeError | AttributeError) or "NoneType" not in str(error):
        return None
    hint = "End the function with a line that says return."
    return Wrong(expected="a result", got="None", cause=RETURNED_NOTHING, hint=hint)


def _not_raised(error: BaseException) -> Wrong | None:
    """Return what is wrong where `pytest.raises` in a check, or `pytest.fail`, failed; None for another error."""
    pytest: Any = sys.modules.get("pytest")
    if not pytest or not isinstance(error, pytest.fail.Exception):
        return None
    found = re.fullmatch(r"DID NOT RAISE (?:<class ')?(?:\w+\.)*(\w+)(?:'>)?", str(error))
    if not found:
        return Wrong(expected="what the check asks for", got=str(error), cause=str(error), hint="See the exercise.")
    name = found[1]
    return Wrong(
        expected=f"{name} is raised", got="no exception", cause=f"no {name} is raised", hint=f"raise {name}(...)"
    )


def _assertion(error: AssertionError, exercise: Exercise) -> str:
    """Return what a plain `assert` in a check says: its own message, or its line."""
    frames = [one for one in traceback.extract_tb(error.__traceback__) if Path(one.filename) == exercise.checks]
    line = (frames[-1].line or "") if frames else ""
    return str(error) or f"This does not hold: {line.removeprefix('assert ').strip()}"


def checks_of(exercise: Exercise) -> tuple[Check, ...]:
    """Return the checks of an exercise in the order of its file.

    Raises AssignmentError if the file cannot be imported or has no check, and for a check that does not say what it
    earns or has a parameter that nothing provides: it would fail every answer.
    """
    path = exercise.checks
    module = _module(path)
    checks: list[Check] = []
    for name, function in vars(module).items():
        if name.startswith("test") and inspect.isfunction(function):
            checks += _checks_in(exercise, name, function)
    if not checks:  # an empty report would look as if every check had passed
        raise AssignmentError(f"there is no check in {path}: a function whose name begins with test_")
    return tuple(checks)


def _checks_in(exercise: Exercise, name: str, function: Callable[..., object]) -> Iterator[Check]:
    """Yield a function as one check, or as several if `pytest.mark.parametrize` makes it several."""
    marks = [mark for mark in getattr(function, "pytestmark", ()) if mark.name in ("points", "parametrize")]
    earned = [mark.args[0] for mark in marks if mark.name == "points" and len(mark.args) == 1]
    if len(earned) != 1:
        raise AssignmentError(f"{name} in {exercise.checks} does not say what it earns: @pytest.mark.points(1)")
    title = (function.__doc__ or name).strip().splitlines()[0].rstrip(".")
    parameters = tuple(inspect.signature(function).parameters)
    varied = [list(_variants(*mark.args[:2])) for mark in marks if mark.name == "parametrize"]
    for choice in itertools.product(*varied):
        given = {key: value for one in choice for key, value in one.items()}
        for parameter in parameters:
            if parameter not in (exercise.name, exercise.answer, *INPUTS, *given):
                raise AssignmentError(
                    f"{name} in {exercise.checks} asks for {parameter!r}; it may ask for {exercise.answer}, "
                    f"{INPUTS[0]} and {INPUTS[1]}"
                )
        yield Check(name, title, float(earned[0]), function, parameters, given)


def _variants(names: str | Sequence[str], values: Sequence[Any]) -> Iterator[dict[str, object]]:
    listed = [name.strip() for name in names.split(",")] if isinstance(names, str) else list(names)
    for value in values:
        parts = getattr(value, "values", (value,) if len(listed) == 1 else value)  # `pytest.param` has `values`
        yield dict(zip(listed, parts, strict=True))


def _module(path: Path) -> ModuleType:
    """Import a check file. One of an installed package is imported once; another one each time, as it is then."""
    try:
        if package := package_of(path.parent):
            return importlib.import_module(f"{package}.{path.stem}")
        spec = importlib.util.spec_from_file_location(f"_checks_{path.stem}", path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module
        spec.loader.exec_module(module)
        return module
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # whatever its code raises
        raise AssignmentError(f"{path} cannot be imported: {type(error).__name__}: {error}") from error


def package_of(folder: Path) -> str:
    """Return the name of the package that a folder is; empty if it is none."""
    names = []
    while (folder / "__init__.py").exists():
        names.append(folder.name)
        folder = folder.parent
    return ".".join(reversed(names))


class _Folders:
    """Who imports from which folder of checks: several may use one at a time, and no other meanwhile.

    Another assignment may have files of the same names.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._folder: Path | None = None
        self._users = 0

    def enter(self, folder: Path) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._folder in (None, folder))
            if not self._users:
                sys.path.insert(0, str(folder))
            self._folder, self._users = folder, self._users + 1

    def leave(self, folder: Path) -> None:
        with self._changed:
            self._users -= 1
            if self._users:
                return
            self._folder = None
            sys.path.remove(str(folder))
            for name, module in list(sys.modules.items()):
                if folder in Path(getattr(module, "__file__", None) or "/").parents:
                    del sys.modules[name]
            self._changed.notify_all()


_folders = _Folders()


@contextlib.contextmanager
def own_modules(folder: Path) -> Iterator[None]:
    """Let check files that are not a package import what lies beside them, and forget it afterwards.

    An instructor may edit these files while a kernel runs.
    """
    if package_of(folder):
        yield
        return
    _folders.enter(folder)
    try:
        yield
    finally:
        _folders.leave(folder)
