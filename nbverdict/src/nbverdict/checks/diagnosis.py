"""Say what is wrong with an answer: expected, got, where it differs most, the likely cause and one hint.

Results may be PyTorch tensors, NumPy arrays or plain numbers; PyTorch is not imported where there are no tensors.
"""

import re
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nbverdict.checks.answers import AnswerError, CannotBeSentError
from nbverdict.checks.report import Finding, plain


class Wrong(AssertionError):
    """A check failed. `finding` says what it found; the message is the same as text, written for the student."""

    def __init__(self, *, expected: object, got: object, cause: str, hint: str, where: str = "") -> None:
        self.finding = Finding(*map(plain, (str(expected), str(got), where, cause, hint)))
        super().__init__(str(self.finding))


class Mistake(NamedTuple):
    """A typical mistake and the value it would lead to."""

    cause: str
    hint: str
    value: Any  # tensor, array or number


def backward(total: Any) -> None:
    """Run backward from a scalar; raise `Wrong` where the answer's own operations make that impossible."""
    if not getattr(total, "requires_grad", False):
        raise Wrong(
            expected="gradients of the result at the inputs",
            got=f"{describe(total)} that no gradient comes back from",
            cause="the whole result is cut from the graph: detach, numpy or a number, or torch.no_grad()",
            hint="Compute with torch operations on the inputs: the encoders learn through this function.",
        )
    try:
        total.backward()
    except RuntimeError as error:
        raise Wrong(
            expected="gradients of the result",
            got=f"RuntimeError: {str(error).splitlines()[0]:.200}",
            cause="an in-place operation overwrote a value that the gradient needs",
            hint="Write a = a + b instead of a += b, and methods without the underscore at the end.",
        ) from None


def compare_gradient(
    name: str,
    got: Any,
    expected: Any,
    *,
    overflow: str = "Print each value of your formula, and look for the first that is infinite.",
    rtol: float = 1e-3,
    atol: float = 1e-5,
) -> None:
    """Raise `Wrong` unless the gradient (tensor, or None) that an answer gave its input `name` is the expected one.

    `overflow` is the hint where the gradient is not finite. Small entries beside large ones need not be as exact; in
    float64 seven digits more are asked for.
    """
    if got is None:
        raise Wrong(
            expected=f"a gradient at {name}",
            got="no gradient",
            cause=f"{name} is cut from the graph: it passes through detach, numpy or a number, or under no_grad",
            hint="Compute with torch operations on the inputs: the encoders learn through this function.",
        )
    if str(got.dtype) == "torch.float64":
        rtol, atol = 1e-7 * rtol, 1e-7 * atol
    finite = bool(got.isfinite().all())
    largest = float(expected.abs().max()) if expected.numel() else 0.0
    compare(
        f"gradient at {name}",
        got,
        expected,
        cause="part of the result is cut from the graph, or the value itself is wrong"
        if finite
        else "exp overflows: its value or its gradient is infinite",
        hint="Look for detach, .data or no_grad; if the value is wrong, too, mend that first." if finite else overflow,
        rtol=rtol,
        atol=max(atol, (1e-2 * rtol) * largest),  # where large terms cancel, the digits of float32 end
    )


def keeps_dtype(name: str, got: Any, dtype: Any) -> None:
    """Raise `Wrong` unless a result (tensor) has the dtype of the inputs."""
    if got.dtype != dtype:
        raise Wrong(
            expected=f"{name} of dtype {dtype}, the dtype of the inputs",
            got=describe(got),
            cause="a constant tensor, numpy or a cast changes the dtype",
            hint="Use Python numbers for constants, and torch.zeros_like or torch.ones_like for tensors.",
        )


def untouched(name: str, result: Callable[[Any], Any], held: Any, copy: Any) -> None:
    """Raise `Wrong` unless an input of an answer is, to the last bit, what it was before an earlier call.

    `held` is the object that the earlier call was given, `copy` one that was made before it. `result` calls the answer
    with either as one of its inputs; so it is the answer that shows a difference, wherever it lives, and nothing beside
    it has to be believed. An answer that is random, or shows no difference for other numbers either, proves nothing.
    """

    def of_a_copy(*, other: bool = False) -> NDArray[np.float64]:
        one = copy.clone() if _is_tensor(copy) else copy.copy()
        if other:  # logical for a mask
            one = ~one if str(one.dtype).endswith("bool") else one + 1
        return _numbers(result(one))

    after, before = _numbers(result(held)), of_a_copy()
    if np.array_equal(after, before, equal_nan=True):
        if np.array_equal(of_a_copy(other=True), before, equal_nan=True):
            raise Wrong(
                expected=f"a result that shows what {name} holds after a call",
                got="the same result for other numbers, too",
                cause="the result does not depend on the input, so that nothing shows whether that was changed",
                hint="Compute the result from the inputs first.",
            )
        return
    if not np.array_equal(of_a_copy(), before, equal_nan=True):
        return
    raise Wrong(
        expected=f"{name} to be after a call what it was before",
        got=f"another result from it, in a later call, than from a copy of {name} that was made before",
        cause=f"an in-place operation changes {name}",
        hint="Avoid +=, assignments to entries, and methods that end in an underscore (exp_, add_) on the inputs.",
    )


def _every_second(*inputs: Any) -> list[Any]:
    import torch  # here: who asks has tensors

    # Others lie before, so that the first entry is not where the memory begins.
    return [torch.stack([one.roll(1), one], -1).flatten(-2)[..., 1::2] for one in inputs]


def _transposed(*inputs: Any) -> list[Any]:
    return [one.mT.contiguous().mT for one in inputs]


# Ways to lay out the same tensors in memory, with what they are called.
LAYOUTS: tuple[tuple[str, Callable[..., Any]], ...] = (
    ("inputs that are every second entry of larger tensors", _every_second),
    ("inputs that are transposes", _transposed),
)


def each_expanded(*names: str) -> Iterator[tuple[str, Callable[..., list[Any]]]]:
    """Yield ways to lay out inputs of these names: in each, one of them is expanded from the first of its parts."""
    for place, name in enumerate(names):
        yield (
            f"{name} that are expanded from the first",
            lambda *inputs, i=place: [*inputs[:i], inputs[i][:1].expand_as(inputs[i]), *inputs[i + 1 :]],
        )


def expect_any_layout(
    names: Iterable[str],
    ways: Iterable[tuple[str, Callable[..., Any]]],
    inputs: Iterable[Any],
    result: Callable[..., tuple[Any, ...]],
) -> None:
    """Raise `Wrong` unless inputs (tensors) that are laid out in other ways give what packed copies of them give.

    `result` calls the answer with the inputs and returns the tensors called `names`; `ways` are as `LAYOUTS`.
    """
    import torch

    given = list(inputs)
    for what, lay_out in ways:
        laid = lay_out(*(one.clone() for one in given))
        right = result(*(one.clone(memory_format=torch.contiguous_format) for one in laid))
        with naming_layout(what):
            got = result(*laid)
        for name, one, other in zip(names, got, right, strict=True):
            compare(
                f"{name} of {what}",
                one,
                other.detach(),
                cause="copies of the same numbers, side by side in memory, give another result",
                hint="Use flatten or reshape, and neither view, strides nor operations that work in place.",
            )


def needs_no_gradient(*results: Any) -> None:
    """Raise `Wrong` if a result of inputs that require no gradient (tensors) requires one."""
    if any(result.requires_grad for result in results):
        raise Wrong(
            expected="results without a gradient, as no input requires one",
            got="a result that requires a gradient",
            cause="an input was set to require a gradient (requires_grad_), or a constant does",
            hint="Leave the inputs as they are; whoever calls the function decides what is learned.",
        )


def keeps_precision(name: str, got: Any, right: Any) -> None:
    """Raise `Wrong` if a float64 result (tensor) that is right to three digits is not right to ten."""

    def of_float32(numbers: Any) -> bool:
        return bool((numbers.detach().float().double() == numbers.detach()).all())

    if not same(got, right, 1e-3, 1e-3):
        return  # another mistake, which other checks name
    if (of_float32(got) and not of_float32(right)) or not same(got, right, 1e-10, 1e-10):
        raise Wrong(
            expected=f"{name} with the digits of float64, as the inputs have",
            got="a result that is right to its first digits only",
            cause="the result is computed in float32, or a small constant changes it",
            hint="Leave out .float(), dtypes by name, and small constants.",
        )


@contextmanager
def naming_layout(what: str) -> Iterator[None]:
    """In a block that calls an answer, name the cause where it ends because of the size or the layout of a tensor."""
    try:
        yield
    except AnswerError as error:
        text = str(error)
        if "view size is not compatible" in text:
            cause, hint = "view works only where entries lie side by side in memory", "Use flatten or reshape."
        elif re.search(r"is invalid for input of size|must match|size of tensor|expand|inconsistent|mat1", text):
            cause, hint = "a size is fixed in the code, and another one came", "Ask for sizes: x.shape, len(x)."
        elif "single memory location" in text or "overlapping" in text:
            cause, hint = "an in-place operation on an expanded input", "Write a = a + b instead of a += b."
        else:
            raise
        raise Wrong(
            expected=f"a result for {what}", got=text.replace("\n", " ")[:300], cause=cause, hint=hint
        ) from None


def tensors(result: Any, *names: str) -> tuple[Any, ...]:
    """Return a result as a tuple of one to four tensors, or raise `Wrong`; one name means a tensor by itself.

    Several may also come as a list, or as one tensor of which they are the parts.
    """
    found: Any = (result,) if len(names) == 1 else result
    if _is_tensor(found) and found.ndim and len(found) == len(names):
        found = tuple(found)  # a stack of tensors, which unpacks as they do
    if isinstance(found, tuple | list) and len(found) == len(names) and all(map(_is_tensor, found)):
        return tuple(found)
    listed = ", ".join(names)
    count = ("one tensor", "two tensors", "three tensors", "four tensors")[len(names) - 1]
    raise Wrong(
        expected=f"one tensor, {listed}" if len(names) == 1 else f"a tuple of {count}, ({listed})",
        got=describe(result),
        cause=f"the function does not return {count}",
        hint=f"End it with `return {listed}`.",
    )


def describe(value: object) -> str:
    """Return a value as a student would name it: type, shape and dtype rather than its numbers."""
    if _is_tensor(value) or isinstance(value, np.ndarray):
        kind = "an array" if isinstance(value, np.ndarray) else "a tensor"
        tensor: Any = value
        return f"{kind} of shape {tuple(tensor.shape)} and dtype {str(tensor.dtype).removeprefix('torch.')}"
    if isinstance(value, tuple | list):
        return f"a {type(value).__name__} of {len(value)}: ({', '.join(describe(part) for part in value[:5])})"
    if isinstance(value, bool | int | float | str) or value is None:
        return f"{type(value).__name__} {value!r:.60}"
    return f"an object of type {type(value).__name__}"


NAN = "the result is not a number (nan): the logarithm of a negative number, 0 / 0, or infinity minus infinity"
RETURNED_NOTHING = "nothing is returned; print shows a value, and return gives it back"
NAN_HINT = "Print each value of your formula for small inputs, and look for the first nan."


def _is_tensor(value: object) -> bool:
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, torch.Tensor)


def _numbers(value: Any) -> "NDArray[np.float64]":
    """Return a tensor, an array or a number as float64."""
    return np.asarray(value.detach().cpu().double() if _is_tensor(value) else value, dtype=np.float64)


def _shape_cause(found: tuple[int, ...], right: tuple[int, ...]) -> str:
    if sorted(found) == sorted(right):
        return "a transpose exchanges the axes of the result"
    if [n for n in found if n != 1] == [n for n in right if n != 1]:
        return "an axis of length 1 is left or lost: keepdim, squeeze, or a sum or mean that is missing or one too many"
    if np.prod(found) == np.prod(right):
        return "a reshape changes the shape of the result"
    if len(found) > len(right):
        return "an axis is left over: a sum or a mean over it is missing"
    if len(found) < len(right):
        return "a sum, a mean or an index takes away an axis too many"
    return "the result has another shape than it should: a sum or a mean goes over another axis"


def same(got: Any, expected: Any, rtol: float = 1e-4, atol: float = 1e-5) -> bool:
    """Return whether two results agree in shape and, within atol + rtol * |expected|, in each entry."""
    one, two = _numbers(got), _numbers(expected)
    return one.shape == two.shape and np.allclose(one, two, rtol=rtol, atol=atol)


def compare(
    what: str,
    got: Any,
    expected: Any,
    *,
    cause: str,
    hint: str,
    mistakes: Iterable[Mistake] = (),
    confirm: Callable[[str], bool] | None = None,
    rtol: float = 1e-4,
    atol: float | None = None,
) -> None:
    """Raise `Wrong` unless `got` equals `expected`, both of them tensors, arrays or numbers.

    Each entry may differ by atol + rtol * |expected|. Without `atol`, that is 1e-5, or a hundredth of the largest
    expected entry where all of them are below 1e-3 in size: values in small units are compared, too.

    If `got` equals the value of a mistake, that mistake names the cause. If mistakes with different causes fit, these
    inputs cannot tell them apart, and none of them does. `expected` may be another result of the same answer.

    Texts are compared line by line; dictionaries, lists, dates and other values part by part; tables of pandas as its
    own `testing` does. Numbers in them have the default tolerance.

    A single number may equal the value of a mistake by coincidence. `confirm` is then called with the cause, and
    returns whether it also explains the results of other inputs.
    """
    if (compare_as := _other_kind(expected)) is not None:
        compare_as(what, got, expected, cause, hint, mistakes)
        return
    right = _numbers(expected)
    try:
        found = _numbers(got if got is not None else "")
    except CannotBeSentError:
        raise
    except (TypeError, ValueError):
        raise Wrong(
            expected=f"{what} as {describe(expected)}",
            got=describe(got),
            cause="the result is not made of numbers",
            hint="Look at what the function returns, and whether it returns anything.",
        ) from None
    if found.shape != right.shape:
        raise Wrong(
            expected=f"{what} of shape {right.shape}",
            got=describe(got),
            cause=_shape_cause(found.shape, right.shape),
            hint="Print the shape after each line of your code, and look for a sum, a mean or a reshape too many.",
        )
    if atol is None:
        largest = float(np.abs(right[np.isfinite(right)]).max(initial=0.0))
        atol = min(1e-5, 0.01 * largest) if largest > 1e-40 else 1e-5  # the rounding of a zero is none
    if same(found, right, rtol, atol):
        return
    if np.isnan(right).any():
        raise Wrong(expected=f"{what} to be a number", got="nan", cause=NAN, hint=NAN_HINT)
    allowed = atol + rtol * np.abs(right)
    with np.errstate(invalid="ignore", divide="ignore"):
        error = np.nan_to_num(np.abs(found - right), nan=np.inf)
        excess = np.nan_to_num(error / allowed, nan=0.0, posinf=np.inf)
    most = int(error.argmax())
    if error.flat[most] <= allowed.flat[most]:  # a large number, and tolerated: show what is not
        most = int(excess.argmax())
    place = np.unravel_index(most, right.shape)
    entry = f"{what}{[int(i) for i in place]}" if place else what
    possible = [mistake for mistake in mistakes if not same(right, mistake.value, rtol, atol)]
    fitting = [mistake for mistake in possible if same(found, mistake.value, rtol, atol)]
    causes = {mistake.cause: mistake.hint for mistake in fitting}
    told = [fits for fits in causes if confirm is None or confirm(fits)]
    if len(told) == 1:
        cause, hint = told[0], causes[told[0]]
    difference = f"by {error[place]:.3g}" if np.isfinite(found).all() else "which is not a finite number"
    raise Wrong(
        expected=f"{entry} = {right[place]:.6g}",
        got=f"{entry} = {found[place]:.6g}",
        where=f"{entry}, {difference} (tolerance {allowed[place]:.1g})",
        cause=cause,
        hint=hint,
    )


def _other_kind(expected: Any) -> Callable[..., None] | None:
    """Return what compares a value that is not made of numbers; None for numbers."""
    if isinstance(expected, str):
        return _compare_text
    if _is_tensor(expected) or isinstance(expected, int | float):
        return None
    if _tables(expected):
        return _compare_value
    try:
        _numbers(expected)
    except (TypeError, ValueError):
        return _compare_value
    return None


def _tables(value: object) -> Callable[..., None] | None:
    """Return pandas' own comparison for a table, a column or an index; None for anything else."""
    if type(value).__module__.partition(".")[0] != "pandas":
        return None
    import pandas as pd

    kinds = {"frame": pd.DataFrame, "series": pd.Series, "index": pd.Index}
    name = next((name for name, kind in kinds.items() if isinstance(value, kind)), "")
    return getattr(pd.testing, f"assert_{name}_equal", None)


def _difference(one: Any, two: Any) -> str | None:
    """Return where two values of any kind differ, as text that may be empty; None if they do not.

    Numbers have the tolerance of `same`, wherever they are.
    """
    if compare_tables := _tables(two):
        try:
            exact = {"exact": False} if type(two).__name__.endswith("Index") else {"check_dtype": False}
            compare_tables(one, two, rtol=1e-4, atol=1e-5, **exact)
        except AssertionError as error:
            return "; ".join(line.strip() for line in str(error).splitlines() if line.strip())[:300]
        return None
    if isinstance(two, dict) and isinstance(one, dict):
        for key in (*two, *(key for key in one if key not in two)):
            if key not in one or key not in two or _difference(one[key], two[key]) is not None:
                return f"[{key!r}]"
        return None
    if isinstance(two, list | tuple) and isinstance(one, list | tuple):
        places = (i for i, pair in enumerate(zip(one, two, strict=False)) if _difference(*pair) is not None)
        if len(one) != len(two):
            return f": {len(one)} items, not {len(two)}"
        place = next(places, None)
        return None if place is None else f"[{place}]"
    numbers = isinstance(two, int | float) and isinstance(one, int | float)
    try:
        equal = same(one, two) if numbers or _is_tensor(two) or isinstance(two, np.ndarray) else bool(one == two)
    except CannotBeSentError:
        raise
    except (TypeError, ValueError):  # values of two kinds, such as an array and a text
        equal = False
    return None if equal else ""


def _named(got: Any, mistakes: Iterable[Mistake], cause: str, hint: str) -> tuple[str, str]:
    """Return cause and hint of the one mistake whose value this is, else those that are given."""
    fitting = {mistake.cause: mistake.hint for mistake in mistakes if _difference(got, mistake.value) is None}
    return next(iter(fitting.items())) if len(fitting) == 1 else (cause, hint)


def _compare_text(what: str, got: Any, expected: str, cause: str, hint: str, mistakes: Iterable[Mistake]) -> None:
    if got == expected:
        return
    if not isinstance(got, str):
        raise Wrong(
            expected=f"{what} as text",
            got=describe(got),
            cause=RETURNED_NOTHING if got is None else f"the result is of type {type(got).__name__}, not text",
            hint=hint,
        )
    lines = [text.splitlines(keepends=True) or [""] for text in (expected, got)]
    place = next((i for i, pair in enumerate(zip(*lines, strict=False)) if pair[0] != pair[1]), min(map(len, lines)))
    wanted, found = (repr(text[place])[:200] if place < len(text) else "no such line" for text in lines)
    cause, hint = _named(got, mistakes, cause, hint)
    if got.split() == expected.split():
        cause, hint = "only spaces or line breaks differ", "Compare both texts with repr(), which shows them."
    elif got.casefold() == expected.casefold():
        cause, hint = "only capital and small letters differ", "Read the exercise once more, letter by letter."
    where = f"line {place + 1} of {what}"
    raise Wrong(expected=f"{where}: {wanted}", got=f"{where}: {found}", where=where, cause=cause, hint=hint)


def _compare_value(what: str, got: Any, expected: Any, cause: str, hint: str, mistakes: Iterable[Mistake]) -> None:
    name = type(expected).__name__
    if type(got).__name__ != name:
        raise Wrong(expected=f"{what} as {name}", got=describe(got), cause=f"the result is no {name}", hint=hint)
    if (where := _difference(got, expected)) is None:
        return
    cause, hint = _named(got, mistakes, cause, hint)
    raise Wrong(
        expected=f"{what} = {expected!r:.500}",
        got=f"{what} = {got!r:.500}",
        where=f"{what}{where}" if where.startswith(("[", ":")) else where,
        cause=cause,
        hint=hint,
    )
