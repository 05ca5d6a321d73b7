"""The grader's hand in a student's kernel: calls the answer there and sends what it returned back as data.

Nothing is decided here, and nothing here is believed: the student's code may change every line of it. What it says is
read by `autograder.remote`, in the grader's process.
"""

import itertools
import json
from collections.abc import Callable
from typing import Any

import torch
from IPython import get_ipython
from torch import Tensor

from autograder.answers import explain, not_callable
from autograder.wire import decode, encode

MIME = "application/vnd.multiview-vae.reply+json"
_instances: dict[int, Any] = {}
_graphs: dict[int, tuple[dict[int, Tensor], list[Tensor]]] = {}  # call -> inputs by mark, outputs by mark
_numbers = itertools.count()


class Reply:
    """What Jupyter displays as JSON text."""

    def __init__(self, content: dict[str, Any]) -> None:
        self._content = content

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        return {"text/plain": "reply", MIME: json.dumps(self._content)}


def serve(request: str) -> Reply:
    """Do what the grader asks with the names of the student's notebook."""
    asked = json.loads(request)
    name, namespace = asked["name"], get_ipython().user_ns
    if name not in namespace:
        return Reply({"missing": True})
    if not callable(namespace[name]):
        return Reply({"error": not_callable(name, namespace[name])})
    try:
        return Reply(_WORK[asked["do"]](namespace[name], asked))
    except BaseException as error:  # an interrupt too: the grader knows whether it sent one
        return Reply({"error": explain(name, error)})


def _construct(answer: Any, asked: dict[str, Any]) -> dict[str, Any]:
    """Call the answer and keep what it made here."""
    number = next(_numbers)
    _instances[number] = answer(*decode(asked["args"]), **decode(asked["kwargs"]))
    return {"instance": number}


def _call(answer: Any, asked: dict[str, Any]) -> dict[str, Any]:
    """Call the answer; carry its result, the inputs that it overwrote, and keep its graph for `backward`."""
    inputs: dict[int, Tensor] = {}
    before: dict[int, Tensor] = {}

    def keep(tensor: Tensor, number: int) -> Tensor:
        learned, position = number & 1, number >> 1
        before[position] = tensor.clone()
        inputs[position] = tensor.requires_grad_(bool(learned))
        return inputs[position]

    args, kwargs = decode(asked["args"], keep), decode(asked["kwargs"], keep)
    result = answer(*args, **kwargs)
    number = next(_numbers)
    outputs: list[Tensor] = []

    def mark(tensor: Tensor) -> int | None:
        if not tensor.requires_grad:
            return None
        outputs.append(tensor)
        return len(outputs) - 1

    value = encode(result, mark)
    if outputs:
        _graphs[number] = inputs, outputs
    changed = {i: encode(inputs[i].detach()) for i in inputs if not _same(inputs[i], before[i])}
    return {"value": value, "call": number, "changed": changed}


def _same(one: Tensor, two: Tensor) -> bool:
    return one.shape == two.shape and torch.equal(one.detach().nan_to_num(), two.nan_to_num())


def _backward(answer: Any, asked: dict[str, Any]) -> dict[str, Any]:
    """Carry the gradients of the inputs of an earlier call, given those of its outputs."""
    inputs, outputs = _graphs[asked["call"]]
    given = [(outputs[int(i)], decode(gradient)) for i, gradient in asked["gradients"].items()]
    learned = {i: tensor for i, tensor in inputs.items() if tensor.requires_grad}
    try:
        found = torch.autograd.grad(
            [output for output, _ in given],
            list(learned.values()),
            [gradient for _, gradient in given],
            retain_graph=True,
            allow_unused=True,
        )
    except RuntimeError as error:  # the answer's operations allow no gradient; the check has words for it
        return {"problem": str(error)}
    return {"gradients": {i: encode(gradient) for i, gradient in zip(learned, found, strict=True)}}


def _length(answer: Any, asked: dict[str, Any]) -> dict[str, Any]:
    return {"value": encode(len(_instances[asked["instance"]]))}


def _items(answer: Any, asked: dict[str, Any]) -> dict[str, Any]:
    instance = _instances[asked["instance"]]
    return {"value": encode([instance[i] for i in asked["indices"]])}


_WORK: dict[str, Callable[[Any, dict[str, Any]], dict[str, Any]]] = {
    "construct": _construct,
    "call": _call,
    "backward": _backward,
    "length": _length,
    "items": _items,
}
