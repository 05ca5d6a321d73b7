"""The two views of a digit, the same for notebooks, checks and tests: `load_views()`.

`LAB_DATA` chooses the source: `embedded` (default: offline, drawn in seconds), `torchvision` (MNIST and SVHN,
downloaded once) or `files` (two views of your own, in `train.npz` and `test.npz`). `LAB_DATA_DIR` chooses the folder
for files; the default is the user's cache folder.

torchvision, which takes two seconds to import, and what draws the embedded data are imported when they are needed.
"""

import io
import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, Self, get_args
from urllib.error import URLError

import numpy as np
import torch
import torch.nn.functional as F
from filelock import FileLock
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from lab_utils.cache import Split, cache_folder, embedded_file
from lab_utils.errors import LabError, SettingError
from nbverdict.files import write_whole

SOURCES = ("embedded", "torchvision", "files")

# MD5 of the unpacked files; torchvision checks only the archives, so a half-unpacked file would pass it.
MNIST_FILES = {
    "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
    "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
    "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
    "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
}

FILE_ARRAYS = ("mnist", "mnist_labels", "svhn", "svhn_labels")  # of a file of one's own

Transform = Callable[[Tensor], Any]


class DataError(LabError, RuntimeError):
    """The data are not available; the message says which file, why, and what to do."""


class DigitImages(Dataset[tuple[Any, int]]):
    """Digit images held as bytes; an item is (image, label) like an item of torchvision's datasets.

    `images` is uint8 (N, C, 32, 32). An item's image is float32 (C, 32, 32) in [0, 1], passed through `transform` if
    one is given; its label is an int in 0..9.
    """

    def __init__(self, images: Tensor, digits: Tensor, transform: Transform | None = None) -> None:
        if images.dtype != torch.uint8 or images.ndim != 4 or images.shape[-2:] != (32, 32):
            raise ValueError(f"images must be uint8 (N, C, 32, 32), not {images.dtype} {tuple(images.shape)}")
        if len(images) != len(digits):
            raise ValueError(f"{len(images)} images but {len(digits)} labels")
        self.images = images
        self.transform = transform
        self.digits = digits.long()

    def shuffled(self, generator: torch.Generator | None = None) -> Self:
        """Return the same images in random order, so that the same pairing makes new pairs."""
        return self.rows(torch.randperm(len(self), generator=generator))

    def rows(self, chosen: slice | Tensor) -> Self:
        """Return the chosen rows as a view of their own."""
        return type(self)(self.images[chosen], self.digits[chosen], self.transform)

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Any, int]:
        image = self.images[index].float() / 255
        return (image if self.transform is None else self.transform(image)), int(self.digits[index])


class MnistView(DigitImages):
    """Handwriting, (1, 32, 32), white on black; `targets` is an int64 tensor (N,), as in torchvision's MNIST."""

    def __init__(self, images: Tensor, digits: Tensor, transform: Transform | None = None) -> None:
        super().__init__(images, digits, transform)
        self.targets = self.digits


class SvhnView(DigitImages):
    """Colour house numbers, (3, 32, 32); `labels` is an int64 array (N,), as in torchvision's SVHN."""

    def __init__(self, images: Tensor, digits: Tensor, transform: Transform | None = None) -> None:
        super().__init__(images, digits, transform)
        self.labels: NDArray[np.int64] = self.digits.numpy()


class Views(NamedTuple):
    """The two views of one split; each has its own number of images, and nothing is paired yet."""

    mnist: MnistView
    svhn: SvhnView


def data_source(source: str | None = None) -> str:
    """Return the source of the data: `source`, else `LAB_DATA`, else "embedded"; SettingError if there is none such."""
    origin = source or os.environ.get("LAB_DATA") or "embedded"
    if origin not in SOURCES:
        given = "source" if source else "the environment variable LAB_DATA"
        raise SettingError(f"{given} must be one of {SOURCES}, not {origin!r}")
    return origin


def load_views(
    split: Split = "train",
    source: str | None = None,
    *,
    root: str | Path | None = None,
    transform: Transform | None = None,
) -> Views:
    """Return both views of a split: the embedded data, the real MNIST and SVHN, or files of your own.

    `source` is "embedded", "torchvision" or "files" (see `read_views`); None takes `LAB_DATA`, or "embedded" if it is
    not set. `root` is the folder for files; None takes `LAB_DATA_DIR`, or the user's cache folder if it is not set.
    `transform` maps a float32 (C, 32, 32) image in [0, 1] of either view.

    Raises ValueError for an unknown split, SettingError for an unknown source, and DataError if the data are not here
    and cannot be downloaded, if one of their files is damaged, or if a file of your own does not fit.
    """
    if split not in get_args(Split):
        raise ValueError(f"split must be one of {get_args(Split)}, not {split!r}")
    folder = cache_folder(root)
    match data_source(source):
        case "embedded":
            arrays = _embedded(split, folder)
        case "torchvision":
            arrays = _torchvision(split, folder)
        case _:
            arrays = read_views(folder / f"{split}.npz")
    mnist, mnist_digits, svhn, svhn_digits = arrays
    return Views(MnistView(mnist, mnist_digits, transform), SvhnView(svhn, svhn_digits, transform))


def hold_out(views: Views, share: float = 0.1) -> tuple[Views, Views]:
    """Return the views without the last `share` of each, and that part: a validation split, to choose settings on.

    The views come in random order. The same scan may be on both sides, rewritten differently, which never happens
    between training and test: numbers on the validation split are a little too good, and serve only for comparison.
    """
    mnist, svhn = views
    i, j = (round(len(view) * (1 - share)) for view in views)
    kept = Views(mnist.rows(slice(i)), svhn.rows(slice(j)))
    return kept, Views(mnist.rows(slice(i, None)), svhn.rows(slice(j, None)))


def read_views(path: Path) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return the images and labels of both views from a file of your own, as bytes of the common shape.

    The file is what `numpy.savez_compressed(path, mnist=..., mnist_labels=..., svhn=..., svhn_labels=...)` writes: the
    first view grey, uint8 (N, S, S), or (N, 1, S, S); the second in colour, uint8 (M, S, S, 3), as images are stored,
    or (M, 3, S, S), as PyTorch has them; labels whole numbers 0..9, (N,) and (M,). Images of another side S than 32 are
    scaled to it (bilinear). Each of the ten classes must be in both views.

    Raises DataError, with the file, what was expected and what was found.
    """
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in FILE_ARRAYS if name in stored}
    except FileNotFoundError:
        raise DataError(
            f"{path} is not there. LAB_DATA=files wants train.npz and test.npz in {path.parent}; "
            "LAB_DATA_DIR names another folder."
        ) from None
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise DataError(f"{path} is not a readable .npz file of arrays: {error}") from error
    missing = [name for name in FILE_ARRAYS if name not in arrays]
    if missing:
        raise DataError(f"{path} has no array {', '.join(missing)}; it needs {', '.join(FILE_ARRAYS)}.")
    views = []
    for view, channels in (("mnist", 1), ("svhn", 3)):
        images, labels = arrays[view], arrays[f"{view}_labels"]
        views += [_as_images(path, view, images, channels), _as_labels(path, view, labels, len(images))]
    return views[0], views[1], views[2], views[3]


def _as_images(path: Path, view: str, images: NDArray[Any], channels: int) -> Tensor:
    """Return stored images as uint8 (N, channels, 32, 32)."""
    shape = images.shape
    if images.ndim == 3 and channels == 1:
        images = images[:, None]
    elif images.ndim == 4 and shape[1] != channels and shape[3] == channels:
        images = images.transpose(0, 3, 1, 2)
    fits = images.ndim == 4 and images.shape[1] == channels and images.shape[2] == images.shape[3] and images.size
    if images.dtype != np.uint8 or not fits:
        wanted = "(N, S, S)" if channels == 1 else "(N, S, S, 3)"
        raise DataError(f"{path}: {view} must be uint8 {wanted}, bytes in 0..255; it is {images.dtype} {shape}.")
    return _resized(torch.from_numpy(np.ascontiguousarray(images)))


def _as_labels(path: Path, view: str, labels: NDArray[Any], count: int) -> Tensor:
    """Return stored labels as int64 (count,)."""
    if labels.dtype.kind not in "iu" or labels.shape != (count,):
        found = f"{labels.dtype} {labels.shape}"
        raise DataError(f"{path}: {view}_labels must be whole numbers, one for each of {count} images; it is {found}.")
    if set(np.unique(labels).tolist()) != set(range(10)):
        found = ", ".join(map(str, np.unique(labels)[:12].tolist()))
        raise DataError(f"{path}: {view}_labels must have each of 0 to 9, and no other; it has {found}.")
    return torch.from_numpy(labels.astype(np.int64))


def _resized(images: Tensor) -> Tensor:
    """Return bytes (N, C, S, S) as bytes (N, C, 32, 32)."""
    if images.shape[-2:] == (32, 32):
        return images
    scaled = [
        F.interpolate(chunk.float(), size=(32, 32), mode="bilinear", align_corners=False).round().to(torch.uint8)
        for chunk in images.split(1000)  # floats take four times the memory
    ]
    return torch.cat(scaled)


def _embedded(split: Split, folder: Path) -> tuple[Tensor, ...]:
    """Return the embedded views, from the cache if it is there and complete; the cache only saves time."""
    path = embedded_file(split, folder)
    try:
        with path.open("rb") as cache, np.load(cache, allow_pickle=False) as stored:
            return tuple(torch.from_numpy(stored[f"arr_{i}"]) for i in range(4))
    except (OSError, KeyError, ValueError, EOFError, zipfile.BadZipFile):
        from lab_utils import embedded

        arrays = (*embedded.handwriting(split), *embedded.house_numbers(split))
    try:
        buffer = io.BytesIO()
        np.savez(buffer, *arrays)
        write_whole(path, buffer.getvalue())
        path.chmod(0o644)  # kernels of other users read it, too
    except OSError:
        pass  # a read-only or full disk costs seconds at the next start, nothing else
    return tuple(torch.from_numpy(array) for array in arrays)


def _torchvision(split: Split, folder: Path) -> tuple[Tensor, ...]:
    """Return the real MNIST and SVHN as bytes of the common shape, downloading what is missing."""
    from torchvision.datasets import MNIST, SVHN

    svhn_file, svhn_md5 = SVHN.split_list[split][1:]
    files = {folder / "MNIST" / "raw" / name: md5 for name, md5 in MNIST_FILES.items()}
    files[folder / svhn_file] = svhn_md5
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / ".lock"):
            if not all(path.exists() for path in files):
                _download(split, folder, files)
            for path, md5 in files.items():
                _verify(path, md5)
    except OSError as error:
        raise DataError(f"Cannot use the data folder {folder}: {error}. Set LAB_DATA_DIR to another one.") from error
    mnist = MNIST(folder, train=split == "train")
    svhn = SVHN(folder, split=split)
    return (
        _resized(mnist.data[:, None]),
        mnist.targets,
        torch.from_numpy(np.ascontiguousarray(svhn.data)),
        torch.from_numpy(svhn.labels),
    )


def _download(split: Split, folder: Path, files: dict[Path, str]) -> None:
    """Download into a folder beside the final one; a file takes its final name only when its checksum is right.

    What arrived whole is kept for the next try, so an interrupted download goes on with the file it stopped at.
    """
    from torchvision.datasets import MNIST, SVHN
    from torchvision.datasets.utils import check_integrity

    incomplete = folder / "incomplete"
    try:
        for name, md5 in MNIST_FILES.items():
            # torchvision takes an unpacked file that exists for a good one.
            if not check_integrity(incomplete / "MNIST" / "raw" / name, md5):
                (incomplete / "MNIST" / "raw" / name).unlink(missing_ok=True)
        if not all(path.exists() for path in files if path.parent.name == "raw"):
            MNIST(incomplete, download=True)
        if not (folder / SVHN.split_list[split][1]).exists():
            SVHN(incomplete, split=split, download=True)
    except (URLError, RuntimeError, EOFError, OSError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DataError(
            f"Could not download MNIST and SVHN into {folder}: {reason}\n"
            "Check the network and run this again; files that arrived whole are not downloaded twice. "
            f"Without a network, put {', '.join(str(path.relative_to(folder)) for path in files)} into that folder, "
            "or use the embedded data: LAB_DATA=embedded."
        ) from error
    for path in files:
        arrived = incomplete / path.relative_to(folder)
        if arrived.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            os.replace(arrived, path)


def _verify(path: Path, md5: str) -> None:
    """Raise DataError for a file with a wrong checksum, and set it aside so that the next run can replace it."""
    from torchvision.datasets.utils import check_integrity

    if check_integrity(path, md5):
        return
    aside = path.with_name(path.name + ".damaged")
    os.replace(path, aside)
    raise DataError(
        f"{path} is damaged: its checksum is not {md5}. It now lies in {aside.name}. "
        "Run this again to download a good copy, or put one there yourself."
    )
