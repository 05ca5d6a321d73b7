"""Values of this assignment's own that its checks send to answers.

A student's kernel is given the source of this file, so it imports nothing of the checks.
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset


class LabelledImages(Dataset[tuple[Tensor, int]]):
    """A small map dataset with `.targets` (like MNIST) or `.labels` (like SVHN), an int64 tensor or array.

    `attribute` names it: "targets" is a tensor, "labels" an array; "targets array" and "labels tensor" are the others.
    `guarded` by "labels" it gives no image any more once its labels were changed, and by "images" it never gives one.
    """

    targets: Any
    labels: Any

    def __init__(self, images: Tensor, labels: list[int], attribute: str, guarded: str = "") -> None:
        self.images = images
        self.attribute = attribute
        self.guarded = guarded
        self._labels = labels
        array = attribute in ("labels", "targets array")
        self.name = attribute.split()[0]
        setattr(self, self.name, np.array(labels, dtype=np.int64) if array else torch.tensor(labels, dtype=torch.int64))

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        if self.guarded == "images":
            raise RuntimeError("an image was read to make the pairs; the labels are enough")
        if self.guarded and not np.array_equal(np.asarray(getattr(self, self.name)), self._labels):
            raise RuntimeError(f".{self.name} of a given dataset was changed in place; leave it as it is")
        return self.images[index], self._labels[index]

    def made_from(self) -> tuple[Tensor, list[int], str, str]:
        """Return what its class is called with to make it again, in another process."""
        return self.images, self._labels, self.attribute, self.guarded
