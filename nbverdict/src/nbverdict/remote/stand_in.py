"""A student's answer as the checks see it when it lives in another process: calls go there and back as data."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from nbverdict.checks.answers import AnswerError, error_class, not_run
from nbverdict.checks.assignments import Exercise
from nbverdict.clock import Clock
from nbverdict.remote import protocol
from nbverdict.remote.protocol import Mark, Reply, Request
from nbverdict.remote.wire import Sent, WireError, decode, encode

# A request and the seconds it may take -> what the kernel replied; raises AnswerError.
Ask = Callable[[Request, float], Reply]
Wanted = TypeVar("Wanted", bound=Reply)


class KernelAnswer:
    """A function or class in a student's kernel. The first call that ends in `timeout` or `died` is the last one."""

    def __init__(self, exercise: Exercise, ask: Ask) -> None:
        self._exercise = exercise
        self._ask = ask
        self._left = exercise.total_seconds
        self._ended: AnswerError | None = None
        self._sent = Sent()
        self.longest = 0.0  # seconds of the longest call
        self.returned_none = False

    @property
    def name(self) -> str:
        """What the answer is called in the student's notebook."""
        return self._exercise.answer

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self._exercise.constructs:
            data = (encode(part, sent=self._sent) for part in (args, kwargs))
            made = self.ask(protocol.Construct(self.name, *data), protocol.Constructed)
            return _KernelObject(self, made.instance)
        inputs: list[Any] = []

        def mark(value: Any) -> Mark:
            same = [number for number, known in enumerate(inputs) if known is value]
            if not same:
                inputs.append(value)
            return Mark((same or [len(inputs) - 1])[0], bool(getattr(value, "requires_grad", False)))

        given, named = (encode(part, mark, sent=self._sent) for part in (args, kwargs))
        called = self.ask(protocol.Call(self.name, given, named, self._exercise.items), protocol.Called)
        learned = {number: value for number, value in enumerate(inputs) if getattr(value, "requires_grad", False)}

        def connect(tensor: Any, result: Mark) -> Any:
            from nbverdict.remote.gradients import carried  # here, where there are tensors: it imports PyTorch

            if not learned:  # the answer has an input of its own, or has made one of ours learn
                return tensor.requires_grad_()
            return carried(tensor, lambda gradient: self._gradients(called.call, result, gradient, learned), learned)

        self.returned_none = called.value is None
        with self.reading():
            return decode(called.value, connect)

    def printed(self, *args: Any, **kwargs: Any) -> str:
        """Return what a call of the answer prints."""
        given, named = (encode(part, sent=self._sent) for part in (args, kwargs))
        called = self.ask(protocol.Call(self.name, given, named, printed=True), protocol.Called)
        with self.reading():
            text = decode(called.value)
            if not isinstance(text, str):
                raise TypeError
        return text

    def ask(self, request: Request, wanted: type[Wanted]) -> Wanted:
        """Ask the kernel; raise AnswerError for whatever comes back that is not a reply of the wanted kind."""
        reply = self._asked(request)
        with self.reading():
            if not isinstance(reply, wanted):
                raise TypeError(type(reply).__name__)
            return reply

    def _asked(self, request: Request) -> Reply:
        limit = self._exercise.seconds
        if self._ended:
            raise AnswerError(self._ended.status, not_run(self.name))
        clock = Clock(limit)
        try:
            if self._left <= 0:
                raise AnswerError("timeout", f"All calls of {self.name} together took too long.")
            reply = self._ask(request, min(limit, self._left))
        except AnswerError as error:
            if error.status in ("timeout", "died"):
                self._ended = error
            raise
        finally:
            self.longest = max(self.longest, taken := clock.seconds())
            self._left -= taken
        if isinstance(reply, protocol.Missing):
            raise AnswerError("missing", missing(self.name, reply))
        if isinstance(reply, protocol.Failed):
            raise error_class(*reply.raised)("error", reply.error[:2000], written=not reply.unwritten)
        return reply

    def _gradients(self, call: int, result: Mark, gradient: Any, learned: Iterable[int]) -> list[Any]:
        reply = self._asked(protocol.Backward(self.name, call, {result.number: encode(gradient)}))
        if isinstance(reply, protocol.NoGradients):
            raise RuntimeError(reply.problem[:2000])
        with self.reading():
            if not isinstance(reply, protocol.Gradients):
                raise TypeError(type(reply).__name__)
            return [decode(reply.gradients[number]) for number in learned]

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Turn what goes wrong in reading a reply into the answer's error."""
        try:
            yield
        except (WireError, LookupError, TypeError, ValueError, AttributeError, RuntimeError) as error:
            message = f"What {self.name} gave cannot be read as tensors and numbers."
            raise AnswerError("error", message) from error


def missing(name: str, reply: protocol.Missing) -> str:
    """Return what is wrong where an answer of that name is missing; what the kernel says it found is only a name."""
    instead = f" You defined {reply.instead}." if reply.instead.isidentifier() and len(reply.instead) < 100 else ""
    return f"{name} is not defined when the check runs.{instead}"


class _KernelObject:
    """An instance of a student's class, in the student's kernel."""

    def __init__(self, answer: KernelAnswer, number: int) -> None:
        self._answer = answer
        self._number = number

    def __len__(self) -> int:
        reply = self._answer.ask(protocol.Length(self._answer.name, self._number), protocol.Returned)
        with self._answer.reading():
            length = decode(reply.value)
            if type(length) is not int or not 0 <= length < 2**31:
                raise ValueError
        return int(length)

    def __getitem__(self, index: int) -> Any:
        return self.take([index])[0]

    def take(self, indices: Iterable[int], workers: int = 0) -> list[Any]:
        """Return the items at these indices: one call, however many there are, and perhaps read by workers."""
        wanted = list(indices)
        request = protocol.Items(self._answer.name, self._number, wanted, workers)
        reply = self._answer.ask(request, protocol.Returned)
        with self._answer.reading():
            items = decode(reply.value)
            if type(items) is not list or len(items) != len(wanted):
                raise ValueError
        return items
