"""A run of training: its progress, its precision, and a stop at the first term that cannot be right."""

import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from copy import deepcopy
from itertools import islice
from typing import Any, TypeVar

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from tqdm import tqdm

from lab_utils.automatic import watched
from lab_utils.batches import PairBatches
from lab_utils.checkpoints import Checkpoint

Item = TypeVar("Item")
Objective = Callable[[Any, Tensor, Tensor, float], Mapping[str, Tensor]]
ROUNDING = 1e-3  # nats: what rounding may make of a KL divergence of 0


class DivergenceError(RuntimeError):
    """A term of the loss is NaN, infinite, or a negative KL divergence; the message names the step and the term."""

    def _render_traceback_(self) -> list[str]:
        """Return what a notebook shows: the message says what to do, and no line of ours would say more."""
        return [f"{type(self).__name__}: {self}"]


def autocast(device: str | torch.device) -> torch.autocast:
    """Return a context of bfloat16 arithmetic where the device computes in it, and of float32 where it does not.

    A processor without bfloat16 instructions emulates them, slower than float32.
    """
    kind = torch.device(device).type
    if kind == "cuda":
        fast = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        able: dict[str, Any] = getattr(
            torch.cpu, "get_capabilities", dict
        )()  # older PyTorch does not say: then float32
        fast = kind == "cpu" and bool(able.get("avx512_bf16") or able.get("amx_bf16"))
    return torch.autocast(kind, torch.bfloat16, enabled=fast)


def progress(items: Iterable[Item], count: int, title: str, done: int = 0) -> Iterator[Item]:
    """Yield items until there were `count`, `done` of them earlier, with a progress bar if somebody watches."""
    left = islice(items, count - done)
    bar = tqdm(left, title, count, initial=done, file=sys.stdout, leave=False, disable=not watched(), mininterval=0.3)
    yield from bar


def checked(step: int, terms: Mapping[str, Tensor]) -> dict[str, float]:
    """Return the values of scalar terms by name, in one transfer from the device.

    Raises DivergenceError with the step and each term that is NaN or infinite, or whose name begins with "KL" and whose
    value is negative. Call it before the optimiser's step, and the weights are still those of the step before.
    """
    values: list[float] = torch.stack([term.detach().float() for term in terms.values()]).tolist()
    found = dict(zip(terms, values, strict=True))
    broken = [f"{name} is {value}" for name, value in found.items() if not np.isfinite(value)]
    if broken:
        raise DivergenceError(
            f"Training stopped in step {step}: {', '.join(broken)}. The weights are those before this step; "
            "look at what feeds that term (is product_of_experts right?), or lower the learning rate."
        )
    negative = [f"{name} is {value:.3g}" for name, value in found.items() if name[:2] == "KL" and value < -ROUNDING]
    if negative:
        raise DivergenceError(
            f"Training stopped in step {step}: {', '.join(negative)}, and a KL divergence is never negative. "
            "The weights are those before this step; look at the sign of the KL in vae_loss."
        )
    return found


def means(seen: Iterable[Mapping[str, float]]) -> dict[str, float]:
    """Return the mean of each term over the steps of an epoch in which it was there."""
    return {str(name): float(value) for name, value in pd.DataFrame(list(seen)).mean().items()}


def in_words(epoch: int, epochs: int, terms: Mapping[str, float]) -> str:
    """Return a line that says how an epoch went, such as "epoch  2 of 12: loss 812.4, MNIST 201.3"."""
    shown = ", ".join(f"{name} {value:.1f}" for name, value in terms.items() if name not in ("gradient", "seconds"))
    return f"epoch {epoch:{len(str(epochs))}} of {epochs}: {shown}"


class Training:
    """A run of training that may be interrupted and goes on: `for epoch in run:` trains, and gives each finished epoch.

    `objective(model, x_mnist, x_svhn, t)` returns scalar terms by name, of which "loss" is minimised; t, from 0 to 1,
    says how much of the training is done. Adam, whose learning rate rises to `learning_rate` and falls again
    (one-cycle, Smith and Topin 2018); a gradient whose norm is above 1000 is scaled down.

    After an interrupt, in the middle of an epoch too, model and run are as they were at the last whole step, and
    another `for epoch in run:` does what is left. `history` has the mean terms of each epoch, `seconds` among them.
    With a checkpoint, a run whose process was killed continues after its last whole epoch, with the same numbers.

    Raises DivergenceError if a term cannot be right (see `checked`), CheckpointError for a checkpoint of another run.
    """

    def __init__(
        self,
        model: nn.Module,
        batches: PairBatches,
        objective: Objective,
        epochs: int,
        steps: int,
        *,
        learning_rate: float = 3e-3,
        checkpoint: Checkpoint | None = None,
    ) -> None:
        self.model, self.batches, self.objective = model, batches, objective
        self.epochs, self.steps, self.checkpoint = epochs, steps, checkpoint
        self.optimizer = torch.optim.Adam(model.parameters(), lr=learning_rate, fused=True)
        self.schedule = torch.optim.lr_scheduler.OneCycleLR(
            self.optimizer, learning_rate, epochs * steps, pct_start=0.15
        )
        self._parts: dict[str, Any] = {"model": model, "optimizer": self.optimizer, "schedule": self.schedule}
        self.history: list[dict[str, float]] = checkpoint.resume(**self._parts) if checkpoint else []
        self._seen: list[dict[str, float]] = []  # the steps of an unfinished epoch
        self._seconds = 0.0  # that they took

    def __iter__(self) -> Iterator[int]:
        """Train what is left, and yield the number of each epoch that ends."""
        while len(self.history) < self.epochs:
            epoch = len(self.history) + 1
            title = f"epoch {epoch} of {self.epochs}"
            self.model.train()
            started = time.perf_counter()
            try:
                for pair in progress(self.batches, self.steps, title, done=len(self._seen)):
                    self._step(*pair)
            finally:
                self._seconds += time.perf_counter() - started
            self.history.append(means(self._seen) | {"seconds": self._seconds})
            self._seen, self._seconds = [], 0.0
            if self.checkpoint:
                self.checkpoint.save(self.history, **self._parts)
            yield epoch

    def _step(self, x_mnist: Tensor, x_svhn: Tensor) -> None:
        step = len(self.history) * self.steps + len(self._seen)
        terms = dict(self.objective(self.model, x_mnist, x_svhn, step / (self.epochs * self.steps)))
        self.optimizer.zero_grad()
        terms["loss"].backward()
        terms["gradient"] = nn.utils.clip_grad_norm_(self.model.parameters(), max_norm=1000.0)
        self._seen.append(checked(step, terms))
        self.optimizer.step()
        self.schedule.step()

    def minutes_left(self, tried: int = 10) -> float:
        """Return about how many minutes the rest will take, from some steps of a copy of the model, spread over t.

        The run, its model and torch's generators stay as they are.
        """
        model = deepcopy(self.model)
        with torch.random.fork_rng():
            for i, pair in enumerate(islice(self.batches, tried + 1)):
                if i == 1:  # the first step takes longer
                    started = time.perf_counter()
                self.objective(model, *pair, max(i - 0.5, 0) / tried)["loss"].backward()
        done = len(self.history) * self.steps + len(self._seen)
        return (time.perf_counter() - started) / tried * (self.epochs * self.steps - done) / 60

    def __str__(self) -> str:
        return in_words(len(self.history), self.epochs, self.history[-1]) if self.history else "not begun"

    @property
    def losses(self) -> pd.DataFrame:
        """The history as a table, with a row for each epoch, numbered from 1."""
        return pd.DataFrame(self.history, index=pd.RangeIndex(1, len(self.history) + 1, name="epoch"))
