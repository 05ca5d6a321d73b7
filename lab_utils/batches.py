"""Fresh pairs as batches on the device, and pairs as whole tensors."""

from collections.abc import Callable, Iterator
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from lab_utils.automatic import scored
from lab_utils.data import DigitImages, Views


class Pairs(Protocol):
    """A dataset of (x_mnist, x_svhn, label)."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> Any: ...


def stack_pairs(pairs: Pairs, most: int | None = None) -> tuple[Tensor, Tensor, NDArray[np.int64]]:
    """Return all pairs, or `most` of them spread evenly, as tensors; in an automatic run there are fewer.

    They are float32 (N, 1, 32, 32), float32 (N, 3, 32, 32) and int64 labels (N,).
    """
    count = scored(min(len(pairs), most or len(pairs)))
    chosen = np.linspace(0, len(pairs) - 1, count).astype(int).tolist()
    mnist, svhn, labels = zip(*(pairs[i] for i in chosen), strict=True)
    return torch.stack(mnist), torch.stack(svhn), np.array([int(label) for label in labels])


def to_float(images: Tensor) -> Tensor:
    """Return bytes (B, C, 32, 32) as float32 in [0, 1], channels-last, on their device."""
    return (images.float() / 255).contiguous(memory_format=torch.channels_last)


class _Rows(Dataset[tuple[int, int]]):
    """A view, shuffled, with row numbers in place of images, so that pairing does not touch a pixel."""

    def __init__(self, view: DigitImages) -> None:
        self.rows = torch.randperm(len(view)).tolist()
        self.labels = view.digits.numpy()[self.rows]
        self.targets = torch.from_numpy(self.labels)  # whichever a pairing reads

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> tuple[int, int]:
        return self.rows[index], int(self.labels[index])


class PairBatches:
    """Batches of pairs in random order, paired anew in each pass; what does not fill a batch is left out.

    A batch is (x_mnist, x_svhn): float32 (B, 1, 32, 32) and (B, 3, 32, 32) in [0, 1], channels-last, on the device. The
    images lie there as bytes and become floats batch by batch. `pairing` is a class like the lab's `PairedDataset`; it
    pairs row numbers, so a pass starts in milliseconds. `alter`, if given, maps the house numbers of a batch to altered
    copies of them, such as `lab_utils.photographs.altered`. Randomness comes from torch's global generator.
    """

    def __init__(
        self,
        pairing: Callable[[Any, Any], Pairs],
        views: Views,
        batch: int = 64,
        device: str | torch.device = "cpu",
        alter: Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        self.pairing, self.views, self.batch, self.alter = pairing, views, batch, alter
        self.mnist, self.svhn = views.mnist.images.to(device), views.svhn.images.to(device)
        self.steps = len(self._pair()) // batch

    def __len__(self) -> int:
        return self.steps

    def _pair(self) -> Tensor:
        """Return the rows of both views in each pair, int64 (N, 2)."""
        pairs = self.pairing(*map(_Rows, self.views))
        return torch.tensor([pairs[i][:2] for i in range(len(pairs))])

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        rows = self._pair()
        order = torch.randperm(len(rows))[: self.steps * self.batch]
        for chosen in rows[order].to(self.mnist.device).split(self.batch):
            x_svhn = to_float(self.svhn[chosen[:, 1]])
            yield to_float(self.mnist[chosen[:, 0]]), self.alter(x_svhn) if self.alter else x_svhn
