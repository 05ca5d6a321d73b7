"""A tensor whose graph is in another process: backward asks there."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

Ask = Callable[[Tensor], Sequence[Tensor | None]]  # gradient of a result -> gradients of the learned inputs


def carried(result: Tensor, ask: Ask, learned: Mapping[int, Tensor]) -> Tensor:
    """Return a result as a function of the learned inputs; its backward calls `ask`."""
    connected: Tensor = _Carried.apply(result, ask, *learned.values())
    return connected


class _Carried(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, result: Tensor, ask: Ask, *learned: Tensor) -> Tensor:
        """Return the result."""
        ctx.ask = ask
        return result.clone()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradients of the inputs that require one."""
        return (None, None, *ctx.ask(gradient))
