"""The lab's figures, in one style: shown in the notebook, and written to `LAB_RESULTS` where that is set.

Every function draws one figure, shows it with its alternative text, and returns nothing.
"""

import io
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from IPython.display import Image, display
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray
from sklearn.manifold import TSNE
from torch import Tensor

from lab_utils.training import Pairs

MNIST_COLOUR, SVHN_COLOUR, JOINT_COLOUR, GREY = "#0072B2", "#D55E00", "#000000", "#999999"  # Okabe and Ito 2008
# Ten colours apart for all common kinds of colour vision (Paul Tol's "muted", plus black).
DIGIT_COLOURS = (
    "#000000",
    "#332288",
    "#88CCEE",
    "#44AA99",
    "#117733",
    "#999933",
    "#DDCC77",
    "#CC6677",
    "#882255",
    "#AA4499",
)


def show(figure: Figure, name: str, alt: str) -> None:
    """Show a figure with its alternative text; write it to the folder `LAB_RESULTS`, if set, as `name`.png."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=100, bbox_inches="tight", metadata={"Description": alt})
    folder = os.environ.get("LAB_RESULTS")
    if folder:
        Path(folder).mkdir(parents=True, exist_ok=True)
        (Path(folder) / f"{name}.png").write_bytes(buffer.getvalue())
    display(Image(data=buffer.getvalue(), alt=alt))


def _axes(figure: Figure, rows: int = 1, columns: int = 1) -> list[Axes]:
    grid = figure.subplots(rows, columns, squeeze=False)
    for axis in grid.flat:
        axis.spines[["top", "right"]].set_visible(False)
    return list(grid.flat)


def mosaic(images: Tensor) -> NDArray[np.float32]:
    """Return images (N, C, 32, 32) in [0, 1] side by side as one (32, 32 N, 3) picture."""
    rgb = images.detach().float().cpu().clamp(0, 1).expand(-1, 3, -1, -1)  # (N, 3, 32, 32)
    return rgb.permute(2, 0, 3, 1).reshape(rgb.shape[2], -1, 3).numpy()


def show_rows(rows: Mapping[str, Tensor], title: str, name: str, headings: Sequence[object] = ()) -> None:
    """Show rows of images, each (N, 1 or 3, 32, 32) in [0, 1], under a title; `headings` stand over the columns."""
    columns = max(len(images) for images in rows.values())
    figure = Figure(figsize=(0.55 * columns + 1.6, 0.6 * len(rows) + 0.5), layout="constrained")
    figure.suptitle(title, fontsize=11)
    for axis, (label, images) in zip(_axes(figure, len(rows)), rows.items(), strict=True):
        axis.imshow(mosaic(images), interpolation="nearest")
        axis.set_ylabel(label, rotation=0, ha="right", va="center", fontsize=9)
        axis.set_xticks([]), axis.set_yticks([])
        axis.spines[:].set_visible(False)
    top = figure.axes[0]
    for i, heading in enumerate(headings):
        top.text(32 * i + 16, -4, str(heading), ha="center", va="bottom", fontsize=9)
    show(figure, name, f"{title}. Rows from top to bottom: {', '.join(rows)}.")


def show_pairs(pairs: Pairs, count: int = 12, *, name: str = "pairs") -> None:
    """Show pairs spread over the dataset: the MNIST image above its SVHN image, with the label."""
    chosen = [pairs[i] for i in np.linspace(0, len(pairs) - 1, count).astype(int).tolist()]
    show_rows(
        {"MNIST": torch.stack([x for x, _, _ in chosen]), "SVHN": torch.stack([x for _, x, _ in chosen])},
        "Each pair shows one digit in both views",
        name,
        headings=[int(label) for _, _, label in chosen],
    )


def show_pairs_per_digit(first: Sequence[int], second: Sequence[int], pairs: Sequence[int]) -> None:
    """Show, per digit, the images of both views and the pairs, each a sequence of ten counts."""
    figure = Figure(figsize=(8, 3), layout="constrained")
    (axis,) = _axes(figure)
    digits = np.arange(10)
    axis.bar(digits - 0.27, first, 0.27, color=MNIST_COLOUR, label="MNIST images")
    axis.bar(digits, second, 0.27, color=SVHN_COLOUR, label="SVHN images")
    axis.bar(digits + 0.27, pairs, 0.27, color=JOINT_COLOUR, label="pairs")
    axis.set(xticks=digits, xlabel="digit", ylabel="count", title="Each digit makes as many pairs as its rarer view")
    axis.legend(frameon=False, fontsize=9)
    show(figure, "pairs_per_digit", "Bar chart: per digit, the pairs are as many as the smaller of both counts.")


def _normal(x: NDArray[np.float64], mean: float, var: float) -> NDArray[np.float64]:
    density: NDArray[np.float64] = np.exp(-((x - mean) ** 2) / (2 * var)) / np.sqrt(2 * np.pi * var)
    return density


def show_product_1d(*cases: tuple[float, float, float, float]) -> None:
    """Show products of two Gaussians (mean1, var1, mean2, var2) side by side, multiplied point by point."""
    figure = Figure(figsize=(4 * len(cases), 2.8), layout="constrained")
    figure.suptitle("The product is sharper than either expert, and the surer one counts more", fontsize=11)
    x = np.linspace(-6, 8, 1401)
    for axis, (mean1, var1, mean2, var2) in zip(_axes(figure, 1, len(cases)), cases, strict=True):
        first, second = _normal(x, mean1, var1), _normal(x, mean2, var2)
        product = first * second
        product /= np.trapezoid(product, x)  # a density again: its integral is one
        axis.plot(x, first, color=MNIST_COLOUR, label=f"N({mean1:g}, {var1:g})")
        axis.plot(x, second, color=SVHN_COLOUR, label=f"N({mean2:g}, {var2:g})")
        axis.fill_between(x, product, color=JOINT_COLOUR, alpha=0.15)
        axis.plot(x, product, color=JOINT_COLOUR, label="product, normalised")
        axis.set(xlabel="z", yticks=[])
        axis.legend(frameon=False, fontsize=8, loc="upper left")
    show(figure, "product_1d", "Curves of two Gaussian densities and of their normalised product.")


def show_product_2d() -> None:
    """Show two Gaussians over the plane, each sure of one direction, and their product."""
    z1, z2 = np.meshgrid(np.linspace(-4, 4, 161), np.linspace(-4, 4, 161))
    first = _normal(z1, -1.0, 0.15) * _normal(z2, 0.5, 3.0)
    second = _normal(z1, 0.5, 3.0) * _normal(z2, 1.0, 0.15)
    figure = Figure(figsize=(9, 3.2), layout="constrained")
    figure.suptitle("Where one expert is unsure, the other decides", fontsize=11)
    titles = ("first expert: sure of z1", "second expert: sure of z2", "product: sure of both")
    for axis, density, title in zip(_axes(figure, 1, 3), (first, second, first * second), titles, strict=True):
        axis.contourf(z1, z2, density, levels=12, cmap="Greys")
        axis.set(title=title, xlabel="z1", ylabel="z2", aspect="equal")
        axis.title.set_fontsize(9)
    show(figure, "product_2d", "Contours: a tall ellipse, a wide ellipse, and their product, a small round spot.")


def show_curves(history: pd.DataFrame) -> None:
    """Show the training curves: one panel per column (in nats or squared error, per pair) over the epochs."""
    figure = Figure(figsize=(3 * history.shape[1], 2.5), layout="constrained")
    for axis, column in zip(_axes(figure, 1, history.shape[1]), history, strict=True):
        axis.plot(range(1, len(history) + 1), history[column], color=JOINT_COLOUR, marker=".")
        axis.set_title(str(column), fontsize=9)
        axis.set_xlabel("epoch")
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    show(figure, "training_curves", f"Training curves over the epochs: {', '.join(map(str, history.columns))}.")


def show_tsne(means: Tensor, labels: NDArray[np.int64], *, most: int = 5000, seed: int = 0) -> None:
    """Show the t-SNE of latent means (N, D), coloured by digit (N,); at most `most` points."""
    n = min(len(means), most)
    # The perplexity must stay below the number of points; 30 is scikit-learn's default.
    projection = TSNE(perplexity=min(30, (n - 1) / 3), init="pca", random_state=seed)
    points = projection.fit_transform(means[:n].detach().cpu().numpy())
    figure = Figure(figsize=(5.6, 5), layout="constrained")
    (axis,) = _axes(figure)
    colours = ListedColormap(DIGIT_COLOURS)
    x, y = points.T
    axis.scatter(x, y, c=labels[:n], cmap=colours, vmin=-0.5, vmax=9.5, s=6, alpha=0.7, linewidths=0)
    for digit in np.unique(labels[:n]).tolist():
        mine = points[labels[:n] == digit]
        # The label stands where the digit is densest: a digit may have several clusters, and nothing between them.
        distances = np.sort(np.linalg.norm(mine[:, None] - mine[None], axis=-1), axis=1)
        x_label, y_label = mine[distances[:, min(10, len(mine) - 1)].argmin()]
        box = {"facecolor": "white", "edgecolor": DIGIT_COLOURS[digit], "boxstyle": "circle,pad=0.2"}
        axis.text(x_label, y_label, str(digit), ha="center", va="center", fontsize=10, bbox=box)
    axis.set(xticks=[], yticks=[], title=f"t-SNE of the joint latent means of {n} held-out pairs")
    axis.spines[:].set_visible(False)
    show(figure, "tsne", "Scatter plot of latent means in two dimensions, coloured and labelled by digit.")
