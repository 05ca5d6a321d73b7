"""Say what is wrong with an answer: expected, got, where it differs most, the likely cause and one hint."""

from collections.abc import Iterable
from typing import NamedTuple

import torch
from torch import Tensor


class Wrong(AssertionError):
    """A check failed; the message is written for the student."""

    def __init__(self, *, expected: object, got: object, cause: str, hint: str, where: str = "") -> None:
        lines = [f"expected: {expected}", f"got: {got}"]
        lines += [f"differs most: {where}"] if where else []
        lines += [f"likely cause: {cause}", f"hint: {hint}"]
        super().__init__("\n".join(lines))


class Mistake(NamedTuple):
    """A typical mistake and the value it would lead to."""

    cause: str
    hint: str
    value: Tensor


def backward(total: Tensor) -> None:
    """Run backward, and raise `Wrong` where the answer's own operations make that impossible."""
    try:
        total.backward()
    except RuntimeError as error:
        raise Wrong(
            expected="gradients of the result",
            got=f"RuntimeError: {str(error).splitlines()[0]:.200}",
            cause="an in-place operation overwrote a value that the gradient needs",
            hint="Write a = a + b instead of a += b, and methods without the underscore at the end.",
        ) from None


def describe(value: object) -> str:
    """Return a value as a student would name it: type, shape and dtype rather than its numbers."""
    if isinstance(value, Tensor):
        return f"a tensor of shape {tuple(value.shape)} and dtype {str(value.dtype).removeprefix('torch.')}"
    if isinstance(value, tuple | list):
        return f"a {type(value).__name__} of {len(value)}: ({', '.join(describe(part) for part in value[:5])})"
    if isinstance(value, bool | int | float | str) or value is None:
        return f"{type(value).__name__} {value!r:.60}"
    return f"an object of type {type(value).__name__}"


NAN = "the result is not a number (nan): the logarithm of a negative number, or infinity minus infinity"
NAN_HINT = "Print each value of your formula for small inputs, and look for the first nan."


def same(got: Tensor, expected: Tensor, rtol: float = 1e-4, atol: float = 1e-5) -> bool:
    """Return whether two tensors agree in shape and, within the tolerance, in value."""
    return got.shape == expected.shape and torch.allclose(got.double(), expected.double(), rtol=rtol, atol=atol)


def compare(
    what: str,
    got: Tensor,
    expected: Tensor,
    *,
    cause: str,
    hint: str,
    mistakes: Iterable[Mistake] = (),
    rtol: float = 1e-4,
    atol: float = 1e-5,
) -> None:
    """Raise `Wrong` unless `got` equals `expected`.

    A mistake whose value `got` equals names the cause; if several do, these inputs cannot tell them apart, and none
    does. `expected` may be another result of the same answer.
    """
    if got.shape != expected.shape:
        raise Wrong(
            expected=f"{what} of shape {tuple(expected.shape)}",
            got=describe(got),
            cause="the result has another shape than it should",
            hint="Print the shape after each line of your code, and look for a sum, a mean or a reshape too many.",
        )
    if same(got, expected, rtol, atol):
        return
    if expected.isnan().any():
        raise Wrong(expected=f"{what} to be a number", got="nan", cause=NAN, hint=NAN_HINT)
    error = (got.double() - expected.double()).abs().nan_to_num(nan=torch.inf)
    worst = int(error.argmax())
    place = tuple(int(i) for i in torch.unravel_index(torch.tensor(worst), expected.shape))
    entry = f"{what}{list(place)}" if place else what
    wrong_value, right_value = got.flatten()[worst].item(), expected.flatten()[worst].item()
    possible = [mistake for mistake in mistakes if not same(expected, mistake.value, rtol, atol)]
    fitting = [mistake for mistake in possible if same(got, mistake.value, rtol, atol)]
    if len({mistake.cause for mistake in fitting}) == 1:
        cause, hint, _ = fitting[0]
    difference = f"by {error.flatten()[worst].item():.3g}" if got.isfinite().all() else "which is not a finite number"
    raise Wrong(
        expected=f"{entry} = {right_value:.6g}",
        got=f"{entry} = {wrong_value:.6g}",
        where=f"{entry}, {difference} (tolerance {atol + rtol * abs(right_value):.1g})",
        cause=cause,
        hint=hint,
    )
