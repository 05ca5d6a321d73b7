"""Judges: classifiers of one view each that read the digit in an image, and have nothing to do with any model."""

import hashlib
import inspect
from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from lab_utils.automatic import scored, training_length
from lab_utils.batches import to_float
from lab_utils.cache import cache_folder
from lab_utils.checkpoints import CheckpointError, load_state, save_state
from lab_utils.data import DigitImages, Views, data_source
from lab_utils.photographs import altered
from lab_utils.training import autocast, progress

PHOTOGRAPHS_SEEN = 300_000  # by the judge of photographs in its training, each an altered copy
CHUNK = 500  # images at a time, so that a large test set fits into memory


class Judge(NamedTuple):
    """A frozen classifier of one view that has seen real images and labels only, never a generated image."""

    network: nn.Sequential
    accuracy: float  # on the view's own test images

    @torch.no_grad()
    def read(self, images: Tensor) -> NDArray[np.int64]:
        """Return the digit (N,) that the classifier reads in images (N, C, 32, 32)."""
        chunks = [self.network(chunk).argmax(1) for chunk in images.split(CHUNK)]
        digits: NDArray[np.int64] = torch.cat(chunks).cpu().numpy()
        return digits


class Judges(NamedTuple):
    """One judge for each view."""

    mnist: Judge
    svhn: Judge


def load_judges(
    train: Views, test: Views, device: str | torch.device = "cpu", photographs: bool | None = None
) -> Judges:
    """Return a judge for each view, trained on `train` and scored on `test`.

    The first call trains them, in about a minute on two cores, with a progress bar, from a seed of their own, and
    keeps them in the cache folder; torch's global generator is left as it was. With `LAB_STEPS` set they are scored on
    few images, and if they are not in the cache folder already, they train a few steps only, are worth nothing, and
    are not kept.

    If the house numbers are `photographs` (None: unless the data are the embedded ones), their judge is a deeper
    network that trains longer, on altered copies, which takes some ten minutes.
    """
    deep = data_source() != "embedded" if photographs is None else photographs
    device = torch.device(device)
    return Judges(_load_judge(train.mnist, test.mnist, device), _load_judge(train.svhn, test.svhn, device, deep))


def _load_judge(train: DigitImages, test: DigitImages, device: torch.device, photographs: bool = False) -> Judge:
    epochs = max(6, round(PHOTOGRAPHS_SEEN / len(train))) if photographs else 6
    whole = (epochs, len(train) // 100)
    # What determines the weights: the images, the labels and the code.
    key = hashlib.sha256((inspect.getsource(_classifier) + inspect.getsource(_train_classifier)).encode())
    key.update(f"{photographs} {epochs}".encode() + inspect.getsource(altered).encode())
    key.update(train.images.numpy().tobytes() + train.digits.numpy().tobytes())
    path = cache_folder() / f"judge-{type(train).__name__}-{key.hexdigest()[:12]}.pt"
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.manual_seed(0)
        network = _classifier(train.images.shape[1], photographs).to(device)
        try:
            network.load_state_dict(load_state(path))
        except (FileNotFoundError, CheckpointError):
            length = training_length(*whole)
            _train_classifier(network, train, *length, altered if photographs else None)
            if length == whole:
                with suppress(OSError):  # a read-only or full disk costs a minute at the next start, nothing else
                    save_state(path, network.state_dict())
    judge = Judge(network.to(memory_format=torch.channels_last).eval().requires_grad_(False), float("nan"))
    most = scored(len(test))
    read = judge.read(to_float(test.images[:most].to(device)))
    return judge._replace(accuracy=float((read == test.digits[:most].numpy()).mean()))


def _classifier(channels: int, deep: bool = False) -> nn.Sequential:
    """Return a plain convolutional network from images (N, C, 32, 32) to logits (N, 10)."""
    layers: list[nn.Module] = []
    for width_in, width in ((channels, 32), (32, 64), (64, 96)):  # each halves the side: 32, 16, 8, 4
        layers += [nn.Conv2d(width_in, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU()]
        if deep:
            layers += [nn.Conv2d(width, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU()]
        layers.append(nn.MaxPool2d(2))
    return nn.Sequential(*layers, nn.Flatten(), nn.Dropout(0.3), nn.Linear(96 * 4 * 4, 10))


def _train_classifier(
    network: nn.Sequential,
    train: DigitImages,
    epochs: int,
    steps: int,
    alter: Callable[[Tensor], Tensor] | None = None,
) -> None:
    name = "MNIST" if train.images.shape[1] == 1 else "SVHN"
    device = next(network.parameters()).device
    images, digits = train.images.to(device), train.digits.to(device)
    network.to(memory_format=torch.channels_last).train()
    optimizer = torch.optim.Adam(network.parameters())
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=4e-3, total_steps=epochs * steps)
    for epoch in range(1, epochs + 1):
        order = torch.randperm(len(train)).to(device).split(100)
        for rows in progress(order, min(steps, len(order)), f"training the judge of {name}, epoch {epoch} of {epochs}"):
            x = to_float(images[rows])
            with autocast(device):
                logits = network(alter(x) if alter else x)
            # Photographs show neighbours, too, so that no label is certain (Szegedy et al. 2016).
            loss = F.cross_entropy(logits.float(), digits[rows], label_smoothing=0.1 if alter else 0.0)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
