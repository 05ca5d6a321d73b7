"""What a training loop needs around it: fresh pairs as batches on the device, checkpoints, a stop at the first NaN."""

import hashlib
import io
import os
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from lab_utils.data import DigitImages, Views


class Pairs(Protocol):
    """A dataset of (x_mnist, x_svhn, label)."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> Any: ...


class Stateful(Protocol):
    """A model, an optimiser, a schedule: what can be written down and taken up again."""

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state_dict: dict[str, Any], /) -> Any: ...


class CheckpointError(RuntimeError):
    """A checkpoint cannot be used; the message says which file, why, and what to do."""


class DivergenceError(RuntimeError):
    """A term of the loss is no number any more; the message says in which step, and which term."""


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


def stack_pairs(pairs: Pairs, most: int | None = None) -> tuple[Tensor, Tensor, NDArray[np.int64]]:
    """Return all pairs, or `most` of them spread evenly, as tensors.

    They are float32 (N, 1, 32, 32), float32 (N, 3, 32, 32) and int64 labels (N,).
    """
    chosen = np.linspace(0, len(pairs) - 1, min(len(pairs), most or len(pairs))).astype(int).tolist()
    mnist, svhn, labels = zip(*(pairs[i] for i in chosen), strict=True)
    return torch.stack(mnist), torch.stack(svhn), np.array([int(label) for label in labels])


def to_float(images: Tensor) -> Tensor:
    """Return bytes (B, C, 32, 32) as float32 in [0, 1], channels-last, on their device."""
    return (images.float() / 255).contiguous(memory_format=torch.channels_last)


class _Rows(Dataset[tuple[int, int]]):
    """A view, shuffled, with row numbers in place of images: what pairs rows need not touch a pixel."""

    def __init__(self, view: DigitImages) -> None:
        self.rows = torch.randperm(len(view)).tolist()
        self.labels = view.digits.numpy()[self.rows]
        self.targets = torch.from_numpy(self.labels)  # whichever a pairing reads

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> tuple[int, int]:
        return self.rows[index], int(self.labels[index])


class PairBatches:
    """Batches of pairs in random order, paired anew in each pass if `fresh`; what does not fill a batch is left out.

    A batch is (x_mnist, x_svhn): float32 (B, 1, 32, 32) and (B, 3, 32, 32) in [0, 1], channels-last, on the device. The
    images lie there as bytes and become floats by the batch. `pairing` is a class like the lab's `PairedDataset`; it
    pairs row numbers, so a pass starts in milliseconds. Randomness comes from torch's global generator.
    """

    def __init__(
        self,
        pairing: Callable[[Any, Any], Pairs],
        views: Views,
        batch: int = 64,
        device: str | torch.device = "cpu",
        *,
        fresh: bool = True,
    ) -> None:
        self.pairing, self.views, self.batch, self.fresh = pairing, views, batch, fresh
        self.mnist, self.svhn = views.mnist.images.to(device), views.svhn.images.to(device)
        self.rows = self._pair()
        self.steps = len(self.rows) // batch

    def __len__(self) -> int:
        return self.steps

    def _pair(self) -> Tensor:
        """Return the rows of both views in each pair, int64 (N, 2)."""
        pairs = self.pairing(*map(_Rows, self.views))
        return torch.tensor([pairs[i][:2] for i in range(len(pairs))])

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        rows = self._pair() if self.fresh else self.rows
        order = torch.randperm(len(rows))[: self.steps * self.batch]
        for chosen in rows[order].to(self.mnist.device).split(self.batch):
            yield to_float(self.mnist[chosen[:, 0]]), to_float(self.svhn[chosen[:, 1]])


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


def finite(step: int, **terms: Tensor) -> list[float]:
    """Return the values of scalar terms, in one transfer from the device.

    Raises DivergenceError with the step and each term that is NaN or infinite; call it before the optimiser's step, and
    the weights are still those of the step before.
    """
    values: list[float] = torch.stack([term.detach().float() for term in terms.values()]).tolist()
    broken = [f"{name} is {value}" for name, value in zip(terms, values, strict=True) if not np.isfinite(value)]
    if broken:
        raise DivergenceError(
            f"Training stopped in step {step}: {', '.join(broken)}. The weights are those before this step; "
            "look at what feeds that term (is product_of_experts right?), or lower the learning rate."
        )
    return values


def write_whole(path: Path, content: bytes) -> None:
    """Write a file so that, whenever the process or the machine stops, the old or the new content is there, whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}-{secrets.token_hex(4)}")  # not from `tempfile`: others may read the file
    try:
        with beside.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


def save_state(path: Path, state: Mapping[str, Any]) -> None:
    """Write tensors, numbers and text, in dicts and lists, with a checksum before them."""
    buffer = io.BytesIO()
    torch.save(dict(state), buffer)
    write_whole(path, hashlib.sha256(buffer.getbuffer()).digest() + buffer.getbuffer())


def load_state(path: Path) -> dict[str, Any]:
    """Return what `save_state` wrote, on the CPU; runs no code from the file.

    Raises FileNotFoundError, and CheckpointError for a file that is cut off or changed.
    """
    content = path.read_bytes()
    checksum, payload = content[:32], content[32:]
    if hashlib.sha256(payload).digest() != checksum:
        raise CheckpointError(f"{path} is damaged: its checksum is wrong. Delete it to start anew.")
    state: dict[str, Any] = torch.load(io.BytesIO(payload), map_location="cpu", weights_only=True)
    return state


@dataclass(frozen=True)
class Checkpoint:
    """A run of training in one file: its parts, the generators, and the history, from which the epoch follows.

    `settings` says which run it is, in numbers and text; the checkpoint of another run is refused.
    """

    path: Path
    settings: Mapping[str, Any]

    def save(self, history: Sequence[Mapping[str, float]], **parts: Stateful) -> None:
        """Write the state after an epoch, whole or not at all."""
        state = {
            "settings": dict(self.settings),
            "history": [dict(row) for row in history],
            "generators": {"cpu": torch.get_rng_state(), "cuda": torch.cuda.get_rng_state_all()},
            "parts": {name: part.state_dict() for name, part in parts.items()},
        }
        save_state(self.path, state)

    def resume(self, **parts: Stateful) -> list[dict[str, float]]:
        """Put parts and generators into the saved state and return the history; without a file change nothing: [].

        Raises CheckpointError if the file is damaged or of another run; then nothing has been changed. Raises it, too,
        if a part does not fit, for example a model of another width; then no part is of use any more.
        """
        try:
            state = load_state(self.path)
        except FileNotFoundError:
            return []
        wanted, found = dict(self.settings), state["settings"]
        different = [name for name in wanted | found if wanted.get(name) != found.get(name)]
        if different or state["parts"].keys() != parts.keys():
            differences = ", ".join(f"{name} {found.get(name)} there, {wanted.get(name)} here" for name in different)
            raise CheckpointError(
                f"{self.path} is of another run ({differences or 'other parts'}). Delete it, or give this run a file "
                "of its own."
            )
        for name, part in parts.items():
            try:
                part.load_state_dict(state["parts"][name])
            except (RuntimeError, ValueError, LookupError) as error:
                problem = f"{self.path} holds another {name} ({error})"
                raise CheckpointError(f"{problem}. Delete it, or give this run a file of its own.") from error
        torch.set_rng_state(state["generators"]["cpu"])
        if torch.cuda.is_available():
            torch.cuda.set_rng_state_all(state["generators"]["cuda"])
        history: list[dict[str, float]] = state["history"]
        return history
