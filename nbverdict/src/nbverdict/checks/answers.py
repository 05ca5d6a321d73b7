"""Answers as the checks see them: something to call that either returns a result or raises `AnswerError`."""

import difflib
import functools
import io
import linecache
import pickle
import signal
import sys
import sysconfig
import threading
import traceback
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, redirect_stdout, suppress
from itertools import islice
from pathlib import Path
from types import FrameType, FunctionType
from typing import Any, Protocol

import numpy as np

from nbverdict.checks.assignments import Exercise
from nbverdict.checks.report import Status

# Folders whose lines are not the student's: this package, installed packages, the standard library.
_NOT_THEIRS = [
    Path(__file__).parent.parent,
    *(Path(sysconfig.get_path(name)) for name in ("purelib", "platlib", "stdlib")),
]


class AnswerError(Exception):
    """A call of the answer did not end with a result.

    It is not `written` if it is as it was released, and not `judged` if the grader, not the answer, is at its limit.
    """

    def __init__(self, status: Status, message: str, *, written: bool = True, judged: bool = True) -> None:
        Exception.__init__(self, message)  # not that of another base, which may want other arguments
        self.message = message
        self.status: Status = status
        self.written = written
        self.judged = judged

    def __str__(self) -> str:
        return self.message


# Packages whose own exceptions a check may ask for; any other counts as the builtin exception that it derives from.
_KNOWN = frozenset(sys.stdlib_module_names) | {"numpy", "pandas", "scipy", "torch"}


def named_error(error: BaseException) -> tuple[str, str]:
    """Return module and name of the class by which a check may catch what an answer raised."""
    for kind in type(error).__mro__:
        if kind.__module__.partition(".")[0] in _KNOWN and kind.__module__ != "__main__":
            return kind.__module__, kind.__qualname__
    return "builtins", "Exception"


@functools.lru_cache(256)
def error_class(module: str, name: str) -> type[AnswerError]:
    """Return the class of the AnswerError for an answer that raised such an exception: it is one of these, too.

    So `pytest.raises(ValueError)` catches it. A name that means no exception here, or one that ends this process, gives
    AnswerError itself; nothing is imported for it.
    """
    kind: Any = sys.modules.get(module) if module.partition(".")[0] in _KNOWN else None
    for part in name.split("."):
        kind = getattr(kind, "__dict__", {}).get(part)  # an attribute of a module may import another
    if not isinstance(kind, type) or not issubclass(kind, Exception | SystemExit) or kind is Exception:
        return AnswerError
    try:
        made: Any = type(kind.__name__, (AnswerError, kind), {"__module__": __name__})
        made("error", "")
    except Exception:  # its instances are laid out in another way, or made of something else than a text
        return AnswerError
    return made  # type: ignore[no-any-return]


class CannotBeSentError(AnswerError, AttributeError, TypeError):
    """A value is of a kind that does not travel between a notebook and its check.

    It is the error of an attribute or an operation that an object lacks, too: asking whether it has one is allowed.
    """

    def __init__(self, name: str, why: str = "") -> None:
        reason = f" ({why})" if why else ""
        super().__init__(
            "error",
            f"A {name} cannot be sent between the notebook and this check{reason}. This is no fault of the answer: "
            "let the check ask for numbers, text, lists, dictionaries, arrays or tables instead.",
            judged=False,
        )


class Unsent:
    """What has come of a value that cannot be sent. Its class has the name of the value's; its use raises an error."""

    why = ""  # it cannot be sent; empty if no such kind can

    def _refuse(self, *given: Any, **named: Any) -> Any:
        raise CannotBeSentError(type(self).__name__, self.why)

    def __getattr__(self, name: str) -> Any:
        self._refuse()

    __call__ = __len__ = __iter__ = __getitem__ = __contains__ = __float__ = __int__ = __index__ = _refuse
    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __truediv__ = __rtruediv__ = __neg__ = _refuse
    __lt__ = __le__ = __gt__ = __ge__ = _refuse

    def __eq__(self, other: object) -> bool:
        self._refuse()
        return False

    __hash__ = object.__hash__


class _TimeUp(BaseException):
    """Not an Exception, so that an answer's own `except Exception` cannot swallow it."""


class AnswerObject(Protocol):
    """The object that an answer has constructed: it is asked for its length and its items."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> Any: ...

    def take(self, indices: Iterable[int], /, workers: int = 0) -> list[Any]:
        """Return the items at these indices: one call, however many there are.

        With workers, so many processes read them, as those of a `DataLoader` do, where the system has a fork.
        """
        ...


class Answer(Protocol):
    """A student's function or class as a check calls it, in this process or in another.

    A call returns what the student's code returned, or an `AnswerObject` if the exercise constructs one. Raises
    `AnswerError` where the student's own code does not end with a result.
    """

    returned_none: bool  # whether its last call returned None

    def __call__(self, *args: Any, **kwargs: Any) -> Any: ...

    def printed(self, *args: Any, **kwargs: Any) -> str:
        """Return what a call prints."""
        ...


NO_ITEMS = 'unless its check says how many items it takes: EXERCISE = {..., "items": 100}'


def bounded(items: Sequence[Any], *, more: bool) -> Iterator[Any]:
    """Yield these items of an iterator; a check that asks for one more where there were `more` is told so."""
    yield from items
    if more:
        raise AnswerError("error", f"The check takes {len(items)} items of an iterator, and asked for one more.")


class LocalAnswer:
    """A student's function or class in this process: exceptions and endless loops end as `AnswerError`."""

    def __init__(self, exercise: Exercise, answer: object) -> None:
        self._exercise = exercise
        self._answer = answer
        self._timed_out = False
        self.returned_none = False

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        result = self._result(*args, **kwargs)
        self.returned_none = result is None
        if isinstance(result, Iterator) and not self._exercise.constructs:
            return self._taken(result)
        return _LocalObject(result, self._guard) if self._exercise.constructs else result

    def printed(self, *args: Any, **kwargs: Any) -> str:
        """Return what a call of the answer prints."""
        said = io.StringIO()
        with redirect_stdout(said):
            self._result(*args, **kwargs)
        return said.getvalue()

    def _result(self, *args: Any, **kwargs: Any) -> Any:
        if not callable(self._answer):
            raise AnswerError("error", not_callable(self._exercise.answer, self._answer))
        return self._guard(self._answer, *args, **kwargs)

    def _taken(self, items: Iterator[Any]) -> Iterator[Any]:
        """Return an iterator as a check has it in grading: with as many items as it takes."""
        if not self._exercise.items:
            raise CannotBeSentError(type(items).__name__, NO_ITEMS)
        taken = self._guard(lambda: list(islice(items, self._exercise.items + 1)))
        return bounded(taken[: self._exercise.items], more=len(taken) > self._exercise.items)

    def _guard(self, call: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        name, seconds = self._exercise.answer, self._exercise.seconds
        if self._timed_out:
            raise AnswerError("timeout", not_run(name))
        try:
            with _time_limit(seconds):
                return call(*args, **kwargs)
        except _TimeUp:
            self._timed_out = True
            raise AnswerError("timeout", too_long(name, seconds)) from None
        except (Exception, SystemExit) as error:
            message = explain(name, error, self._exercise.checks.parent)
            raise error_class(*named_error(error))("error", message, written=not unwritten(error)) from None


class _LocalObject:
    """An instance of a student's class, guarded call by call."""

    def __init__(self, instance: Any, guard: Callable[..., Any]) -> None:
        self._instance = instance
        self._guard = guard

    def __len__(self) -> int:
        length: int = self._guard(len, self._instance)
        return length

    def __getitem__(self, index: int) -> Any:
        return self._guard(lambda: self._instance[index])

    def take(self, indices: Iterable[int], workers: int = 0) -> list[Any]:
        """Return the items at these indices: one call, however many there are."""
        return list(self._guard(items_of, self._instance, list(indices), workers))


def items_of(instance: Any, indices: Sequence[int], workers: int = 0) -> list[Any]:
    """Return items of an object, read here, or by worker processes of a `DataLoader` where the system forks them."""
    if not workers or sys.platform != "linux":
        return [instance[i] for i in indices]
    from torch.utils.data import DataLoader  # here: who asks for workers has PyTorch

    loader: Any = DataLoader(
        instance,
        batch_size=None,
        sampler=indices,
        num_workers=workers,
        collate_fn=_sendable,
        multiprocessing_context="fork",
    )
    return list(loader)


def _sendable(item: Any) -> Any:
    """Return an item as a worker can send it: a loader waits for ever for one that cannot be pickled."""
    item = tuple(item) if isinstance(item, tuple) else item  # a named tuple may be of a class that is not found again
    try:
        pickle.dumps(item)
    except Exception as error:
        return f"an item that a worker cannot send: {error}"
    return item


def too_long(name: str, seconds: float) -> str:
    """Return what is wrong with an answer of that name whose call did not end in time."""
    return f"A call of {name} took longer than {seconds:g} s. Is there a loop that never ends?"


def not_run(name: str) -> str:
    """Return why an answer of that name is not called again."""
    return f"Not run: an earlier call of {name} did not end."


def not_callable(name: str, answer: object) -> str:
    """Return what is wrong with an answer of that name that is neither a function nor a class."""
    return f"{name} must be something to call, but it is a {type(answer).__name__}."


def nearest(name: str, namespace: Mapping[str, object]) -> str:
    """Return the name of a function or class in a notebook that is nearly `name`; empty if there is none."""
    own = []
    for other, value in namespace.items():
        with suppress(Exception):  # a student's object may raise whatever it likes
            if isinstance(value, type | FunctionType) and value.__module__ == "__main__":
                own.append(other)
    return next(iter(difflib.get_close_matches(name, own, n=1)), "")


def suggest_names(shell: Any) -> None:
    """In a notebook, say after a NameError what was defined under nearly that name."""

    def suggest(result: Any) -> None:
        error = result.error_in_exec
        if isinstance(error, NameError) and (found := nearest(error.name or "", shell.user_ns)):
            print(f"You defined {found}. Should it be called {error.name}?")

    shell.events.register("post_run_cell", suggest)


def unwritten(error: BaseException) -> bool:
    """Return whether this is the error that a released stub raises."""
    return isinstance(error, NotImplementedError) and not str(error)


def explain(name: str, error: BaseException, checks: Path | None = None) -> str:
    """Return what an answer of that name raised, and the student's own line where it happened.

    Lines of the files in `checks`, which hand their own values to the answer, are not the student's.
    """
    if unwritten(error):
        return f"{name} is not written yet: it raises NotImplementedError."
    text = traceback.format_exception_only(error)[-1].strip()
    theirs = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if not any(folder in Path(frame.filename).parents for folder in (*_NOT_THEIRS, checks) if folder)
    ]
    line = linecache.getline(theirs[-1].filename, theirs[-1].lineno or 0).strip() if theirs else ""
    where = f"\nin line {theirs[-1].lineno} of its cell: {line}" if line else ""
    return f"{name} raised {text[:1500]}{where[:300]}"


@contextmanager
def usual_settings() -> Iterator[None]:
    """Let a block run with the settings of a new process, whatever the notebook has set; they come back at its end.

    These are PyTorch's default dtype and device, gradients and deterministic algorithms, what NumPy does where numbers
    overflow, and whether a warning is an error.
    """
    torch = sys.modules.get("torch")
    with warnings.catch_warnings(), np.errstate(all="warn"):
        warnings.simplefilter("ignore")
        if torch is None:
            yield
            return
        dtype, strict = torch.get_default_dtype(), torch.get_deterministic_debug_mode()
        try:
            torch.set_default_dtype(torch.float32)
            torch.set_deterministic_debug_mode("default")
            # Torch runs a function of Python at each operation while a device is set, so only where it has to be.
            elsewhere = torch.empty(0).device.type != "cpu"
            device = torch.device("cpu") if elsewhere else nullcontext()
            with device, torch.inference_mode(False), torch.enable_grad():
                yield
        finally:
            torch.set_default_dtype(dtype)
            torch.set_deterministic_debug_mode(strict)


@contextmanager
def _time_limit(seconds: float) -> Iterator[None]:
    """Raise `_TimeUp` in the block after that many seconds, where the platform has alarms (not on Windows)."""
    if not hasattr(signal, "setitimer") or threading.current_thread() is not threading.main_thread():
        yield
        return

    def ring(signum: int, frame: FrameType | None) -> None:
        raise _TimeUp

    previous = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)
