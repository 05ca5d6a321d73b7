"""A student's answer as the checks see it when it lives in another process: calls go there and back as data."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from autograder.answers import AnswerError
from autograder.exercises import Exercise
from autograder.wire import WireError, decode, encode

# A request to `autograder.kernel` and the seconds it may take -> what came back, as JSON data; raises AnswerError.
Ask = Callable[[dict[str, Any], float], dict[str, Any]]


class KernelAnswer:
    """A function or class in a student's kernel. The first call that ends in `timeout` or `died` is the last one."""

    def __init__(self, exercise: Exercise, ask: Ask) -> None:
        self._exercise = exercise
        self._ask = ask
        self._left = exercise.total_seconds
        self._ended: AnswerError | None = None

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self._exercise.constructs:
            reply = self.request("construct", args=encode(args), kwargs=encode(kwargs))
            return _KernelObject(self, reply.get("instance"))
        inputs: list[Tensor] = []

        def mark(tensor: Tensor) -> int:
            inputs.append(tensor)
            return 2 * len(inputs) - 2 + tensor.requires_grad

        reply = self.request("call", args=encode(args, mark), kwargs=encode(kwargs, mark))
        with self.reading(), torch.no_grad():
            for position, data in reply["changed"].items():  # the answer wrote into its inputs
                inputs[int(position)].copy_(decode(data))
        learned = {i: tensor for i, tensor in enumerate(inputs) if tensor.requires_grad}

        def connect(tensor: Tensor, number: int) -> Tensor:
            def gradients(gradient: Tensor) -> list[Tensor | None]:
                return self._gradients(reply["call"], number, gradient, list(learned))

            connected: Tensor = _Carried.apply(tensor, gradients, *learned.values())
            return connected

        with self.reading():
            return decode(reply["value"], connect)

    def request(self, do: str, **asked: Any) -> dict[str, Any]:
        """Ask the kernel; raise AnswerError for whatever does not come back as a result."""
        name, limit = self._exercise.answer, self._exercise.seconds
        if self._ended:
            raise AnswerError(self._ended.status, f"Not run: an earlier call of {name} did not end.")
        began = time.monotonic()
        try:
            if self._left <= 0:
                raise AnswerError("timeout", f"All calls of {name} together took too long.")
            reply = self._ask({"do": do, "name": name, **asked}, min(limit, self._left))
        except AnswerError as error:
            if error.status in ("timeout", "died"):
                self._ended = error
            raise
        finally:
            self._left -= min(time.monotonic() - began, limit)  # the grader may have been halted
        if reply.get("missing"):
            raise AnswerError("missing", f"{name} is not defined when the check runs.")
        if "error" in reply:
            raise AnswerError("error", str(reply["error"])[:2000])
        return reply

    def _gradients(self, call: int, number: int, gradient: Tensor, learned: list[int]) -> list[Tensor | None]:
        reply = self.request("backward", call=call, gradients={number: encode(gradient)})
        if "problem" in reply:
            raise RuntimeError(str(reply["problem"])[:2000])
        with self.reading():
            found = {int(i): decode(data) for i, data in reply["gradients"].items()}
            return [found[i] for i in learned]

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Turn what goes wrong in reading a reply into the answer's error."""
        try:
            yield
        except (WireError, LookupError, TypeError, ValueError, AttributeError, RuntimeError) as error:
            message = f"What {self._exercise.answer} gave cannot be read as tensors and numbers."
            raise AnswerError("error", message) from error


class _KernelObject:
    """An instance of a student's class, in the student's kernel."""

    def __init__(self, answer: KernelAnswer, number: object) -> None:
        self._answer = answer
        self._number = number

    def __len__(self) -> int:
        reply = self._answer.request("length", instance=self._number)
        with self._answer.reading():
            length = decode(reply["value"])
            if type(length) is not int or not 0 <= length < 2**31:
                raise ValueError
        return int(length)

    def __getitem__(self, index: int) -> Any:
        return self.take([index])[0]

    def take(self, indices: Iterable[int]) -> list[Any]:
        """Return the items at these indices: one call, however many there are."""
        wanted = list(indices)
        reply = self._answer.request("items", instance=self._number, indices=wanted)
        with self._answer.reading():
            items = decode(reply["value"])
            if type(items) is not list or len(items) != len(wanted):
                raise ValueError
        return items


class _Carried(torch.autograd.Function):
    """A result whose graph is in another process: backward asks there."""

    @staticmethod
    def forward(
        ctx: Any, result: Tensor, gradients: Callable[[Tensor], Sequence[Tensor | None]], *learned: Tensor
    ) -> Tensor:
        """Return the result."""
        ctx.gradients = gradients
        return result.clone()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradients of the inputs that require one."""
        return (None, None, *ctx.gradients(gradient))
