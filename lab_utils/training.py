"""Helpers around a training loop: a short run on demand, all pairs as tensors."""

import os
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


class Pairs(Protocol):
    """A dataset of (x_mnist, x_svhn, label)."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> Any: ...


def training_length(epochs: int, steps: int) -> tuple[int, int]:
    """Return for how many epochs, and how many steps in each, to train: as asked, or fewer in an automatic run.

    That is where `LAB_STEPS` is set to a small number (2 where nbgrader says that it grades or validates): then there
    are at most two epochs of at most that many steps. The code that runs is the same.
    Raises ValueError if `LAB_STEPS` is not a positive whole number.
    """
    text = os.environ.get("LAB_STEPS", "2" if "NBGRADER_EXECUTION" in os.environ else "")
    if not text:
        return epochs, steps
    if not text.isdecimal() or int(text) == 0:
        raise ValueError(f"LAB_STEPS must be a positive whole number of steps, or not set; it is {text!r}")
    return min(epochs, 2), min(steps, int(text))


def stack_pairs(pairs: Pairs) -> tuple[Tensor, Tensor, NDArray[np.int64]]:
    """Return all pairs as float32 (N, 1, 32, 32), float32 (N, 3, 32, 32) and int64 labels (N,)."""
    mnist, svhn, labels = zip(*(pairs[i] for i in range(len(pairs))), strict=True)
    return torch.stack(mnist), torch.stack(svhn), np.array([int(label) for label in labels])
