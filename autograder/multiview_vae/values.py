"""Values of this assignment's own that its checks send to answers.

A student's kernel is given the source of this file, so it imports nothing of the checks.
"""

from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Dataset


class LabelledImages(Dataset[tuple[Tensor, int]]):
    """A small map dataset with `.targets` (like MNIST) or `.labels` (like SVHN), a tensor or an array.

    An image, (channels, 2, 2), says where it is from: its first row is the number of the dataset, its second its index
    plus `start`. `attribute` says where the labels are and as what: "targets tensor int64", "labels array uint8". With
    a fourth word, "strided", they are every second entry of a larger one. Where `blank`, there are labels
    and no images.
    """

    targets: Any
    labels: Any

    def __init__(self, number: int, labels: Tensor, attribute: str, start: int = 0, blank: bool = False) -> None:
        self.number, self.start, self.blank, self.attribute = number, start, blank, attribute
        name, kind, dtype, *strided = attribute.split()
        self.given = labels.clone()
        self.places = torch.arange(start, start + len(labels))
        own: Any = labels.clone().to(getattr(torch, dtype)) if kind == "tensor" else labels.numpy().astype(dtype)
        if strided:
            own = torch.stack([own, own], 1).flatten()[1::2] if kind == "tensor" else own.repeat(2)[::2]
        setattr(self, name, own)

    def __len__(self) -> int:
        return len(self.given)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        place = self.places[index]  # refuses what the images of MNIST and SVHN refuse as an index
        if self.blank:
            raise RuntimeError("this dataset has labels and no images: the labels are enough to make the pairs")
        image = torch.empty(*place.shape, self.number * 2 - 1, 2, 2)
        image[..., 0, :], image[..., 1, :] = self.number, place[..., None, None]
        return image, int(self.given[index])

    def made_from(self) -> tuple[int, Tensor, str, int, bool]:
        """Return what its class is called with to make it again, in another process."""
        return self.number, self.given, self.attribute, self.start, self.blank
