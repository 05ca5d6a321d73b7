"""Draw the embedded data: two views of a digit, offline and in seconds.

Handwriting is enlarged from the 1,797 scans inside scikit-learn; house numbers are drawn with the fonts inside
matplotlib. Every image follows from `SEED` and its split.
"""

import functools
from pathlib import Path
from typing import NamedTuple

import matplotlib
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from sklearn.datasets import load_digits
from torch import Tensor

from lab_utils.cache import Split

SEED = 20
SIZE = 32

# Images per split. House numbers follow the digit frequencies of real ones (few zeros, many ones), so that the two
# views disagree on how many images each digit has, as MNIST and SVHN do.
HANDWRITING = {"train": 6000, "test": 1000}
HOUSE_NUMBERS = {"train": 8000, "test": 1300}
HANDWRITING_FREQUENCY = (0.099, 0.112, 0.099, 0.102, 0.098, 0.090, 0.099, 0.104, 0.098, 0.099)
HOUSE_NUMBER_FREQUENCY = (0.068, 0.189, 0.144, 0.116, 0.102, 0.094, 0.078, 0.076, 0.069, 0.064)

# Fourteen fonts of eight typefaces.
FONTS = (
    "DejaVuSans.ttf",
    "DejaVuSans-Bold.ttf",
    "DejaVuSans-Oblique.ttf",
    "DejaVuSansMono.ttf",
    "DejaVuSansMono-Bold.ttf",
    "DejaVuSerif.ttf",
    "DejaVuSerif-Bold.ttf",
    "STIXGeneral.ttf",
    "STIXGeneralBol.ttf",
    "STIXGeneralItalic.ttf",
    "cmr10.ttf",
    "cmss10.ttf",
    "cmtt10.ttf",
    "cmb10.ttf",
)
_GLYPH = 64  # side of a drawn glyph, in pixels
_GLYPH_HEIGHT = 44  # height of the digit inside it

Arrays = tuple[NDArray[np.uint8], NDArray[np.int64]]


class Glyphs(NamedTuple):
    """The ten digits in every font."""

    images: Tensor  # (fonts, 10, 64, 64), float32 in [0, 1], each digit centred
    widths: Tensor  # (fonts, 10), ink width in glyph pixels


def handwriting(split: Split) -> Arrays:
    """Return handwritten digits that look like MNIST, from scans that the other split never sees.

    Returns images uint8 (N, 1, 32, 32), white on black, and labels int64 (N,).
    """
    rng = np.random.default_rng([SEED, 1, split == "test"])
    scans, digits = _scans(split)
    labels = rng.permutation(_labels(HANDWRITING[split], HANDWRITING_FREQUENCY))
    chosen = np.empty(len(labels), dtype=np.int64)
    for digit in range(10):
        # Every scan serves equally often (within one).
        here = np.flatnonzero(labels == digit)
        chosen[here] = rng.permutation(np.resize(rng.permutation(np.flatnonzero(digits == digit)), len(here)))
    images = [_rewrite(scans[part], rng) for part in np.array_split(chosen, -(-len(chosen) // 1000))]
    return np.concatenate(images), labels


def house_numbers(split: Split) -> Arrays:
    """Return drawn colour house numbers that look like SVHN.

    Returns images uint8 (N, 3, 32, 32) and labels int64 (N,), the digit in the middle.
    """
    rng = np.random.default_rng([SEED, 2, split == "test"])
    labels = rng.permutation(_labels(HOUSE_NUMBERS[split], HOUSE_NUMBER_FREQUENCY))
    images = [_draw(part, rng) for part in np.array_split(labels, -(-len(labels) // 1000))]
    return np.concatenate(images), labels


def _labels(total: int, frequency: tuple[float, ...]) -> NDArray[np.int64]:
    """Return `total` sorted labels whose counts come closest to the frequencies (largest remainder)."""
    share = np.asarray(frequency) / np.sum(frequency) * total
    counts = np.floor(share).astype(np.int64)
    counts[np.argsort(counts - share, kind="stable")[: total - counts.sum()]] += 1
    return np.repeat(np.arange(10), counts)


def _scans(split: Split) -> tuple[Tensor, NDArray[np.int64]]:
    """Return the scans of a split, enlarged from 8x8 ink counts to float32 (N, 1, 32, 32), and their digits."""
    raw, digits = load_digits(return_X_y=True)
    held_out = np.random.default_rng([SEED, 0]).permutation(len(digits)) < len(digits) // 5
    mine = held_out if split == "test" else ~held_out
    small = torch.from_numpy(raw[mine].astype(np.float32) / 16).view(-1, 1, 8, 8)
    large = F.interpolate(small, size=(SIZE, SIZE), mode="bicubic", align_corners=False)
    return large.clamp(0, 1), digits[mine].astype(np.int64)


def _uniform(rng: np.random.Generator, low: float, high: float, *shape: int) -> Tensor:
    return torch.from_numpy(rng.uniform(low, high, shape).astype(np.float32))


def _normal(rng: np.random.Generator, *shape: int) -> Tensor:
    return torch.from_numpy(rng.standard_normal(shape, dtype=np.float32))


def _plane(n: int) -> Tensor:
    """Return pixel positions (n, 32, 32, 2) as (x, y) in pixels from the centre."""
    axis = torch.arange(SIZE, dtype=torch.float32) - (SIZE - 1) / 2
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    return torch.stack([x, y], dim=-1).expand(n, SIZE, SIZE, 2)


def _affine(angle: Tensor, shear: Tensor, width: Tensor, height: Tensor) -> Tensor:
    """Return (N, 2, 2) maps from image pixels to source pixels: rotate, shear, then scale each axis."""
    cos, sin = torch.cos(angle), torch.sin(angle)
    rotate = torch.stack([torch.stack([cos, sin], -1), torch.stack([-sin, cos], -1)], -2)
    one, zero = torch.ones_like(shear), torch.zeros_like(shear)
    skew = torch.stack([torch.stack([one, shear], -1), torch.stack([zero, one], -1)], -2)
    scale = torch.stack([torch.stack([1 / width, zero], -1), torch.stack([zero, 1 / height], -1)], -2)
    return scale @ skew @ rotate


def _sample(source: Tensor, positions: Tensor) -> Tensor:
    """Read source (N, 1, S, S) at positions (N, 32, 32, 2) given in source pixels from its centre; 0 outside."""
    return F.grid_sample(source, positions / (source.shape[-1] / 2), mode="bilinear", align_corners=False)


def _rewrite(scans: Tensor, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Write each scan (N, 1, 32, 32) again with another slant, size, place, wobble and pen."""
    n = len(scans)
    matrix = _affine(
        angle=torch.deg2rad(_uniform(rng, -9, 9, n)),
        shear=_uniform(rng, -0.18, 0.18, n),
        width=_uniform(rng, 0.70, 0.92, n),  # MNIST digits are 20 of 28 pixels high, so 23 of 32
        height=_uniform(rng, 0.72, 0.88, n),
    )
    shift = _uniform(rng, -1.8, 1.8, n, 1, 1, 2)
    wobble = F.interpolate(_uniform(rng, -1.3, 1.3, n, 2, 4, 4), size=(SIZE, SIZE), mode="bicubic", align_corners=True)
    positions = (_plane(n) - shift + wobble.permute(0, 2, 3, 1)) @ matrix.transpose(1, 2)[:, None]
    ink = _sample(scans, positions)
    threshold = _uniform(rng, 0.45, 0.68, n, 1, 1, 1)  # a low threshold is a broad pen
    sharpness = _uniform(rng, 10, 16, n, 1, 1, 1)
    ink = torch.sigmoid(sharpness * (ink - threshold)) - torch.sigmoid(-sharpness * threshold)
    return _to_bytes(ink / ink.amax(dim=(1, 2, 3), keepdim=True))


@functools.cache
def _glyphs() -> Glyphs:
    folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    images = np.zeros((len(FONTS), 10, _GLYPH, _GLYPH), dtype=np.uint8)
    widths = np.zeros((len(FONTS), 10), dtype=np.float32)
    for f, name in enumerate(FONTS):
        font = ImageFont.truetype(folder / name, 100)
        top, bottom = font.getbbox("8")[1], font.getbbox("8")[3]
        font = ImageFont.truetype(folder / name, round(100 * _GLYPH_HEIGHT / (bottom - top)))
        for digit in range(10):
            left, top, right, bottom = font.getbbox(str(digit))
            canvas = Image.new("L", (_GLYPH, _GLYPH))
            corner = ((_GLYPH - left - right) / 2, (_GLYPH - top - bottom) / 2)
            ImageDraw.Draw(canvas).text(corner, str(digit), fill=255, font=font)
            images[f, digit] = np.asarray(canvas)
            widths[f, digit] = right - left
    return Glyphs(torch.from_numpy(images).float() / 255, torch.from_numpy(widths))


def _draw(labels: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Draw one house number for each label (N,): the digit, its neighbours, colours, light, blur and noise."""
    n = len(labels)
    glyphs = _glyphs()
    font = torch.from_numpy(rng.integers(0, len(FONTS), n))
    row = torch.from_numpy(rng.integers(0, 10, (3, n)))  # left neighbour, the digit itself, right neighbour
    row[1] = torch.from_numpy(labels)
    height = _uniform(rng, 21, 29, n) / _GLYPH_HEIGHT
    matrix = _affine(
        angle=torch.deg2rad(_uniform(rng, -10, 10, n)),
        shear=_uniform(rng, -0.15, 0.15, n),
        width=height * _uniform(rng, 0.65, 1.05, n),
        height=height,
    )
    positions = (_plane(n) - _uniform(rng, -2, 2, n, 1, 1, 2)) @ matrix.transpose(1, 2)[:, None]
    gap = _uniform(rng, 2, 9, n)
    present = torch.from_numpy(rng.random((3, n)) < 0.65)
    present[1] = True
    mask = torch.zeros(n, 1, SIZE, SIZE)
    for place in range(3):
        step = (glyphs.widths[font, row[1]] + glyphs.widths[font, row[place]]) / 2 + gap
        offset = torch.stack([(place - 1) * step, torch.zeros(n)], -1)[:, None, None]
        drawn = _sample(glyphs.images[font, row[place]][:, None], positions - offset)
        mask = torch.maximum(mask, drawn * present[place][:, None, None, None])

    number, wall = _colours(n, rng)
    image = wall + (number - wall) * mask  # (n, 3, 32, 32)
    direction = _uniform(rng, 0, 2 * np.pi, n)
    slope = torch.stack([torch.cos(direction), torch.sin(direction)], -1)[:, None, None]
    ramp = (_plane(n) * slope).sum(-1)[:, None] / SIZE  # (n, 1, 32, 32), about -0.5 .. 0.5
    stains = F.interpolate(_normal(rng, n, 1, 5, 5), size=(SIZE, SIZE), mode="bicubic", align_corners=True)
    image = image * (1 + _uniform(rng, 0, 0.5, n, 1, 1, 1) * ramp + 0.05 * stains)
    image = _blur(image, _uniform(rng, 0.4, 1.6, n))
    image = image + _uniform(rng, 0.005, 0.03, n, 1, 1, 1) * _normal(rng, n, 3, SIZE, SIZE)
    return _to_bytes(image)


def _colours(n: int, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Return n muted colours each for number and wall, (n, 3, 1, 1); half of the pairs are light on dark."""
    dark = rng.uniform(0.08, 0.50, n)
    light = np.minimum(dark + rng.uniform(0.25, 0.55, n), 0.95)
    light_number = rng.random(n) < 0.5
    pair = []
    for brightness in (np.where(light_number, light, dark), np.where(light_number, dark, light)):
        # Mostly the blues and browns of painted plates and brick, sometimes anything.
        hue = np.where(rng.random(n) < 0.5, 0.62, 0.06) + rng.normal(0, np.where(rng.random(n) < 0.8, 0.05, 0.4), n)
        saturation = rng.beta(1.2, 4, n) * 0.9
        # A colour of given mean brightness: grey plus a tint whose three channels sum to nothing.
        tint = np.cos(2 * np.pi * (hue[:, None] - np.arange(3) / 3))
        colour = brightness[:, None] * (1 + saturation[:, None] * tint)
        pair.append(torch.from_numpy(colour.astype(np.float32))[:, :, None, None])
    return pair[0], pair[1]


def _blur(images: Tensor, sigma: Tensor) -> Tensor:
    """Blur each image (N, C, 32, 32) with its own Gaussian, sigma (N,) in pixels."""
    n, channels = images.shape[:2]
    taps = torch.arange(-4, 5, dtype=torch.float32)
    kernel = torch.exp(-0.5 * (taps / sigma[:, None]) ** 2)
    kernel = (kernel / kernel.sum(1, keepdim=True)).repeat_interleave(channels, 0)
    flat = F.pad(images.reshape(1, n * channels, SIZE, SIZE), (4, 4, 4, 4), mode="replicate")
    flat = F.conv2d(flat, kernel[:, None, None, :], groups=n * channels)
    return F.conv2d(flat, kernel[:, None, :, None], groups=n * channels).view_as(images)


def _to_bytes(images: Tensor) -> NDArray[np.uint8]:
    return (images.clamp(0, 1) * 255).round().to(torch.uint8).numpy()
