"""The lab's figures, in one style: shown in the notebook, and written to `LAB_RESULTS` where that is set.

Every function draws one figure, shows it with its alternative text, and returns nothing.
"""

import base64
import html
import io
from collections.abc import Mapping, Sequence
from itertools import zip_longest
from typing import Any

import numpy as np
import pandas as pd
import torch
from IPython.display import HTML, Image, display
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray
from torch import Tensor

from lab_utils.automatic import watched
from lab_utils.batches import Pairs
from lab_utils.judges import Judges
from lab_utils.metrics import LabelledPairs, MultiViewModel, decode, posteriors, sample
from lab_utils.outputs import results_folder
from nbverdict.files import write_whole

MNIST_COLOUR, SVHN_COLOUR, JOINT_COLOUR, GREY = "#0072B2", "#D55E00", "#000000", "#999999"  # Okabe and Ito 2008
VISIBLE = 0.02  # standard deviation of a pixel in 0..1, above which one sees it change
# Ten colours that differ for all common kinds of colour vision (Paul Tol's "muted", plus black).
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
    figure.savefig(buffer, format="png", dpi=100, metadata={"Description": alt})
    folder = results_folder()
    if folder:
        write_whole(folder / f"{name}.png", buffer.getvalue())
    if watched():  # JupyterLab shows the alternative text of HTML only; nbconvert and GitHub that of an image
        source = base64.b64encode(buffer.getvalue()).decode()
        image = f'<img src="data:image/png;base64,{source}" alt="{html.escape(alt)}" style="max-width:100%">'
        display(HTML(image))
    else:
        display(Image(data=buffer.getvalue(), alt=alt))


def _figure(
    panel: tuple[float, float],
    rows: int = 1,
    columns: int = 1,
    *,
    title: str = "",
    left: float = 0.15,
    right: float = 0.15,
    bottom: float = 0.15,
    top: float = 0.15,
    gap: tuple[float, float] = (0.0, 0.0),
) -> tuple[Figure, list[Axes]]:
    """Return a figure of panels of one size, and its axes row by row; width, height, margins and gaps are in inches.

    A title takes a line above the margin. matplotlib could find the margins itself, but takes as long for that as for
    the drawing.
    """
    width = left + columns * panel[0] + (columns - 1) * gap[0] + right
    more = max(0.0, 0.09 * len(title) - width)  # a title may be longer than what it stands over
    width, top = width + more, top + (0.25 if title else 0)
    height = bottom + rows * panel[1] + (rows - 1) * gap[1] + top
    figure = Figure(figsize=(width, height))
    if title:
        figure.suptitle(title, fontsize=11, y=1 - 0.08 / height)
    margins = {"left": left / width, "right": 1 - (right + more) / width, "bottom": bottom / height}
    margins |= {"top": 1 - top / height, "wspace": gap[0] / panel[0], "hspace": gap[1] / panel[1]}
    grid = figure.subplots(rows, columns, squeeze=False, gridspec_kw=margins)
    for axis in grid.flat:
        axis.spines[["top", "right"]].set_visible(False)
    return figure, list(grid.flat)


def mosaic(images: Tensor) -> NDArray[np.float32]:
    """Return images (N, C, 32, 32) in [0, 1] side by side as one (32, 32 N, 3) picture."""
    rgb = images.detach().float().cpu().clamp(0, 1).expand(-1, 3, -1, -1)  # (N, 3, 32, 32)
    return rgb.permute(2, 0, 3, 1).reshape(rgb.shape[2], -1, 3).numpy()


def _strip(axis: Axes, images: Tensor, label: str = "") -> None:
    """Fill an axis with images (N, C, 32, 32) side by side, and write `label` to their left."""
    axis.imshow(mosaic(images), interpolation="nearest")
    axis.set_ylabel(label, rotation=0, ha="right", va="center", fontsize=9)
    axis.set_xticks([]), axis.set_yticks([])
    axis.spines[:].set_visible(False)


def show_rows(rows: Mapping[str, Tensor], title: str, name: str, headings: Sequence[object] = ()) -> None:
    """Show rows of images, each (N, 1 or 3, 32, 32) in [0, 1], under a title; `headings` stand over the columns."""
    panel = 0.55 * max(len(images) for images in rows.values()), 0.55
    left, top = 0.2 + 0.08 * max(map(len, rows)), 0.3 if headings else 0.1
    figure, axes = _figure(panel, len(rows), title=title, left=left, top=top, gap=(0, 0.05))
    for axis, (label, images) in zip(axes, rows.items(), strict=True):
        _strip(axis, images, label)
    for i, heading in enumerate(headings):
        axes[0].text(32 * i + 16, -4, str(heading), ha="center", va="bottom", fontsize=9)
    show(figure, name, f"{title}. Rows from top to bottom: {', '.join(rows)}.")


def show_pairs(pairs: Pairs, count: int = 12, *, name: str = "pairs") -> None:
    """Show pairs spread over the dataset: the MNIST image above its SVHN image, and the label that the pair gives."""
    chosen = [pairs[i] for i in np.linspace(0, len(pairs) - 1, count).astype(int).tolist()]
    show_rows(
        {"MNIST": torch.stack([x for x, _, _ in chosen]), "SVHN": torch.stack([x for _, x, _ in chosen])},
        f"{count} of {len(pairs)} pairs, each with its label",
        name,
        headings=[int(label) for _, _, label in chosen],
    )


def show_pairs_per_digit(first: Sequence[int], second: Sequence[int], pairs: Sequence[int]) -> None:
    """Show, per digit, the images of both views and the pairs, each a sequence of ten counts."""
    figure, (axis,) = _figure((7.1, 2.2), left=0.8, bottom=0.5, top=0.35)
    digits = np.arange(10)
    axis.bar(digits - 0.27, first, 0.27, color=MNIST_COLOUR, label="MNIST images")
    axis.bar(digits, second, 0.27, color=SVHN_COLOUR, label="SVHN images")
    axis.bar(digits + 0.27, pairs, 0.27, color=JOINT_COLOUR, label="pairs")
    wrong = [digit for digit in range(10) if pairs[digit] != min(first[digit], second[digit])]
    title = "Each digit makes as many pairs as its rarer view has images"
    if wrong:
        title = f"Not as many pairs as the rarer view has images: digit {', '.join(map(str, wrong))}"
    axis.set(xticks=digits, xlabel="digit", ylabel="count")
    axis.set_title(title, fontsize=11)
    axis.legend(frameon=False, fontsize=9)
    show(figure, "pairs_per_digit", f"Bar chart, per digit, of both views' images and of the pairs. {title}.")


def _normal(x: NDArray[np.float64], mean: float, var: float) -> NDArray[np.float64]:
    density: NDArray[np.float64] = np.exp(-((x - mean) ** 2) / (2 * var)) / np.sqrt(2 * np.pi * var)
    return density


def show_product_1d(*cases: tuple[float, ...]) -> None:
    """Show products of two Gaussians (mean1, var1, mean2, var2) side by side, multiplied point by point."""
    title = "The product is sharper than either expert, and the surer one counts more" if len(cases) > 1 else ""
    figure, axes = _figure((3.8, 2.0), 1, len(cases), title=title, bottom=0.5, gap=(0.2, 0))
    x = np.linspace(-6, 8, 1401)
    for axis, (mean1, var1, mean2, var2) in zip(axes, cases, strict=True):
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


def show_product_live() -> None:
    """Show sliders for the means and variances of two experts, with their product; one still case if nobody watches."""
    if not watched():
        show_product_1d((0, 1, 3, 0.5))
        return
    import ipywidgets  # which only whoever moves a slider needs

    def slider(label: str, low: float, high: float, value: float) -> Any:
        return ipywidgets.FloatSlider(value, min=low, max=high, step=0.05, description=label)

    sliders = {
        "mean1": slider("mean 1", -4, 6, 0),
        "var1": slider("variance 1", 0.1, 6, 1),
        "mean2": slider("mean 2", -4, 6, 3),
        "var2": slider("variance 2", 0.1, 6, 0.5),
    }
    picture = ipywidgets.interactive_output(lambda **case: show_product_1d(tuple(case.values())), sliders)
    first, second = list(sliders.values())[:2], list(sliders.values())[2:]
    display(ipywidgets.VBox([ipywidgets.HBox([*map(ipywidgets.VBox, (first, second))]), picture]))


def show_product_2d() -> None:
    """Show two Gaussians over the plane, each sure of one direction, and their product."""
    z1, z2 = np.meshgrid(np.linspace(-4, 4, 161), np.linspace(-4, 4, 161))
    first = _normal(z1, -1.0, 0.15) * _normal(z2, 0.5, 3.0)
    second = _normal(z1, 0.5, 3.0) * _normal(z2, 1.0, 0.15)
    title = "Where one expert is unsure, the other decides"
    figure, axes = _figure((2.3, 2.3), 1, 3, title=title, left=0.6, bottom=0.5, top=0.35, gap=(0.7, 0))
    titles = ("first expert: sure of z1", "second expert: sure of z2", "product: sure of both")
    for axis, density, what in zip(axes, (first, second, first * second), titles, strict=True):
        axis.contourf(z1, z2, density, levels=12, cmap="Greys")
        axis.set(title=what, xlabel="z1", ylabel="z2", aspect="equal", xticks=(-4, 0, 4), yticks=(-4, 0, 4))
        axis.title.set_fontsize(9)
    show(figure, "product_2d", "Contours: a tall ellipse, a wide ellipse, and their product, a small round spot.")


def show_curves(history: pd.DataFrame | Sequence[Mapping[str, float]]) -> None:
    """Show the training curves: one panel per term (in nats or squared error, per pair) over the epochs."""
    table = pd.DataFrame(history)
    figure, axes = _figure((2.3, 1.7), 1, table.shape[1], left=0.65, bottom=0.5, top=0.3, gap=(0.65, 0))
    for axis, column in zip(axes, table, strict=True):
        axis.plot(range(1, len(table) + 1), table[column], color=JOINT_COLOUR, marker=".")
        axis.set_title(str(column), fontsize=9)
        axis.set_xlabel("epoch")
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    show(figure, "training_curves", f"Training curves over the epochs: {', '.join(map(str, table.columns))}.")


def _one_of_each(pairs: LabelledPairs) -> LabelledPairs:
    """Return the first pair of each digit."""
    chosen = [int((pairs.labels == digit).nonzero()[0][0]) for digit in range(10)]
    return LabelledPairs(pairs.mnist[chosen], pairs.svhn[chosen], pairs.labels[chosen])


def show_pictures(model: MultiViewModel, judges: Judges, pairs: LabelledPairs, when: str) -> None:
    """Show what a model draws of a pair of each digit: from both views, from chance, and from each view alone.

    Joint reconstructions decode the mean of the joint posterior, random generations one z from the prior; for the third
    figure see `show_cross_domain`. The global generator stays as it was: pictures change nothing in a training.
    """
    ten, suffix = _one_of_each(pairs), when.replace(" ", "_")
    with torch.random.fork_rng():
        mean, _ = posteriors(model, ten)["joint"]
        rebuilt = decode(model, mean)
        rows = {"MNIST": ten.mnist, "rebuilt": rebuilt["mnist"], "SVHN": ten.svhn, "rebuilt ": rebuilt["svhn"]}
        show_rows(rows, f"Joint reconstructions {when}", f"reconstructions_{suffix}")
        drawn = decode(model, torch.randn_like(mean))
        rows = {"MNIST": drawn["mnist"], "SVHN": drawn["svhn"]}
        show_rows(rows, f"Random generations {when}: both views from one z", f"generations_{suffix}")
        show_cross_domain(model, judges, pairs, name=f"cross_domain_{suffix}")


def show_cross_domain(
    model: MultiViewModel, judges: Judges, pairs: LabelledPairs, draws: int = 4, name: str = "cross_domain"
) -> None:
    """Show, for one pair of each digit, `draws` images of the other view drawn from each view alone.

    In the corner of each drawn image stands the digit that the view's judge reads there, on orange where it is wrong.
    """
    ten = _one_of_each(pairs)
    given = posteriors(model, ten)
    title = "One view given, the other drawn, and the digit a classifier reads (orange: another)"
    figure, axes = _figure((5.5, 0.55), draws + 1, 2, title=title, left=0.65, top=0.35, gap=(0.7, 0.05))
    for column, (source, target) in zip((axes[::2], axes[1::2]), (("mnist", "svhn"), ("svhn", "mnist")), strict=True):
        right = 0
        _strip(column[0], getattr(ten, source), f"{source.upper()}\ngiven")
        for axis in column[1:]:
            images = decode(model, sample(given[source]))[target]
            _strip(axis, images, f"{target.upper()}\ndrawn" if axis is column[1] else "")
            for i, (read, digit) in enumerate(zip(getattr(judges, target).read(images), ten.labels, strict=True)):
                right += int(read == digit)
                box = {"facecolor": "white" if read == digit else SVHN_COLOUR, "edgecolor": "none", "pad": 0.8}
                colour = "black" if read == digit else "white"
                axis.text(32 * i + 30, 30, str(read), ha="right", va="bottom", fontsize=7, color=colour, bbox=box)
        heading = f"{target.upper()} drawn from {source.upper()} alone: {right} of {10 * draws} read as the given digit"
        column[0].set_title(heading, fontsize=10)
    alt = (
        "Two grids of images. Above, one given image of each digit; below, draws of the other view with the digit read."
    )
    show(figure, name, alt)


def show_interpolation(
    model: MultiViewModel,
    pairs: LabelledPairs,
    ends: Sequence[tuple[int, int]] = ((1, 7), (3, 8), (4, 9)),
    steps: int = 11,
) -> None:
    """Show both views on the straight line between the joint means of a pair of one digit and a pair of another."""
    means = posteriors(model, pairs)["joint"][0]  # (N, D)
    weight = torch.linspace(0, 1, steps, device=means.device)[:, None]
    title = "Both views on the straight line between two latent means"
    figure, panels = _figure((0.55 * steps, 0.55), 2 * len(ends), title=title, left=0.7, top=0.1, gap=(0, 0.08))
    axes = iter(panels)
    for start, end in ends:
        first, last = (means[int((pairs.labels == digit).nonzero()[0][1])] for digit in (start, end))
        drawn = decode(model, (1 - weight) * first + weight * last)
        _strip(next(axes), drawn["mnist"], f"{start} to {end}")
        _strip(next(axes), drawn["svhn"])
    show(
        figure,
        "interpolation",
        "Rows of images in pairs, handwriting above house numbers, changing from left to right.",
    )


def show_dimensions(
    model: MultiViewModel, pairs: LabelledPairs, shared: int, digit: int = 5, steps: int = 9, reach: float = 2.5
) -> None:
    """Show what each latent dimension does: it goes from -reach to reach, and the others stay at the joint mean.

    A dimension appears in the column of each view that it changes; the first `shared` are labelled as shared. The pair
    is the one of that digit whose house number has the most contrast.
    """
    contrast = pairs.svhn.flatten(1).std(1) * torch.from_numpy(pairs.labels == digit)
    start = posteriors(model, pairs)["joint"][0][int(contrast.argmax())]  # (D,)
    size = len(start)
    z = start.repeat(size, steps, 1)  # (D, steps, D)
    z[range(size), :, range(size)] = torch.linspace(-reach, reach, steps, device=start.device)
    drawn = decode(model, z.flatten(0, 1))
    columns = {view: images.unflatten(0, (size, steps)) for view, images in drawn.items()}  # (D, steps, C, 32, 32)
    changed = {view: [d for d in range(size) if images[d].std(0).max() > VISIBLE] for view, images in columns.items()}
    rows = max(1, *map(len, changed.values()))
    title = "What each latent dimension changes in each view, from low to high"
    figure, axes = _figure((0.5 * steps, 0.5), rows, 2, title=title, left=0.85, top=0.35, gap=(0.85, 0.04))
    sides = axes[::2], axes[1::2]
    for column, (view, images), colour in zip(sides, columns.items(), (MNIST_COLOUR, SVHN_COLOUR), strict=True):
        column[0].set_title(view.upper(), fontsize=10)
        for axis, d in zip_longest(column, changed[view]):
            if d is None:
                axis.set_visible(False)
                continue
            _strip(axis, images[d], f"shared {d}" if d < shared else f"own {d}")
            axis.yaxis.label.set_color(JOINT_COLOUR if d < shared else colour)
    alt = "Two columns of image rows, one row for each latent dimension that changes the view, from low to high values."
    show(figure, "dimensions", alt)


def show_tsne(
    means: Mapping[str, Tensor], labels: NDArray[np.int64], title: str, *, most: int = 400, seed: int = 0
) -> None:
    """Show latent means, each (N, D) under its name, in one t-SNE, coloured by digit (N,), with a marker for each name.

    At most `most` rows of each, spread evenly.
    """
    from sklearn.manifold import TSNE  # here: it takes a second, and most notebooks draw none

    n = min(len(labels), most)
    spread = np.linspace(0, len(labels) - 1, n).astype(int)  # pairs may be sorted by digit
    digits = labels[spread]
    stacked = torch.cat([rows[spread] for rows in means.values()]).detach().cpu().numpy()
    # The perplexity must stay below the number of points; 30 is scikit-learn's default.
    projection = TSNE(perplexity=min(30, (len(stacked) - 1) / 3), init="pca", random_state=seed)
    points = projection.fit_transform(stacked).reshape(len(means), n, 2)
    figure, (axis,) = _figure((5.6, 5.1), right=0.5 + 0.09 * max(map(len, means)), top=0.4)
    colours = ListedColormap(DIGIT_COLOURS)
    markers = (("o", 9), ("^", 11), ("s", 9))
    for (name, marked), (marker, size) in zip(zip(means, points, strict=True), markers, strict=False):
        axis.scatter(
            marked[:, 0],
            marked[:, 1],
            s=size,
            c=digits,
            cmap=colours,
            vmin=-0.5,
            vmax=9.5,
            marker=marker,
            alpha=0.65,
            linewidths=0,
        )
        axis.scatter([], [], c=GREY, marker=marker, s=25, label=name)  # for the legend, in no digit's colour
    for digit in np.unique(digits).tolist():
        mine = points[:, digits == digit].reshape(-1, 2)
        # The label stands in the digit's main cluster: a digit may have several, with nothing between them.
        distances = np.linalg.norm(mine[:, None] - mine[None], axis=-1)
        x_label, y_label = mine[np.median(distances, axis=1).argmin()]
        box = {"facecolor": "white", "edgecolor": DIGIT_COLOURS[digit], "boxstyle": "circle,pad=0.2"}
        axis.text(x_label, y_label, str(digit), ha="center", va="center", fontsize=10, bbox=box)
    axis.set(xticks=[], yticks=[], title=title)
    axis.spines[:].set_visible(False)
    axis.legend(frameon=False, fontsize=9, loc="center left", bbox_to_anchor=(1, 0.5))
    show(figure, "tsne", f"Scatter plot in two dimensions, coloured by digit; markers: {', '.join(means)}.")
