"""Which part of the recipe earns what? The core's objective, then one part of the extension more in each row.

python -m benchmarks.ablation [--seeds 3]

Each finished run is kept in docs/ablation.json, and is not run again, so the script may be interrupted and restarted at
will. The table and the figure, docs/ablation.md and docs/ablation.png, follow from that file; `--seeds 0` only draws
them anew. After a change of the models, the recipe or the data, delete it. `LAB_DATA` chooses the data; those that are
not embedded have files of their own, such as docs/ablation-torchvision.json.
"""

import argparse
import json
import os
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from matplotlib.figure import Figure

from benchmarks.lab import (
    CORE_BATCH,
    CORE_RATE,
    MultiViewVAE,
    OwnDimensionsVAE,
    PairedDataset,
    PartialVAE,
    Recipe,
    any_posterior_elbo,
    product_of_experts,
    product_with_prior,
    recipe,
    three_elbos,
)
from lab_utils import load_views, photographs
from lab_utils.batches import PairBatches, stack_pairs
from lab_utils.data import Views
from lab_utils.figures import GREY, JOINT_COLOUR, MNIST_COLOUR, SVHN_COLOUR
from lab_utils.judges import Judges, load_judges
from lab_utils.metrics import LabelledPairs, evaluate
from lab_utils.training import Training
from nbverdict.files import write_whole

DOCS = Path(__file__).parent.parent / "docs"
METRICS = {"mnist_to_svhn": "MNIST→SVHN", "svhn_to_mnist": "SVHN→MNIST", "joint": "joint"}
REBUILT = {  # from a draw, not from the mean
    **{"mnist_to_mnist": "MNIST→MNIST", "svhn_to_svhn": "SVHN→SVHN"},
    **{"joint_to_mnist": "both→MNIST", "joint_to_svhn": "both→SVHN"},
}
PUBLISHED = {"MMVAE": (0.86, 0.69, 0.42), "DMVAE": (0.88, 0.84, 0.45)}  # as MultiVae's documentation gives them
EMBEDDED = ", of embedded data, whose house numbers are drawn, and plainer than photographs"
NEVER = 2.0  # a time after the end of the training
NO_RAMP = 1e-9


EVEN = (Recipe().beta, Recipe().beta)  # own dimensions cost what shared ones cost
LATENT = 20  # dimensions, shared and own
WIDE = 32  # twice the width of the core, as the notebook trains the whole recipe
core = partial(MultiViewVAE, product_of_experts)
prior = partial(PartialVAE, product_with_prior, width=WIDE)
own = partial(OwnDimensionsVAE, product_with_prior, width=WIDE)


def for_photographs() -> Any:
    """Return the extension's model with the encoder that photographs need."""
    model = own()
    model.encode_svhn = photographs.PhotographEncoder(LATENT, width=WIDE)
    return model


recipe_weights = partial(three_elbos, beta=Recipe().beta, svhn_weight=Recipe().svhn_weight)


class Row(NamedTuple):
    """A model, an objective, and how they are trained."""

    model: Callable[[], Any]
    objective: Callable[..., Any]
    epochs: int = 20
    batch: int = 64
    learning_rate: float = 3e-3
    altered: bool = False  # train on altered copies of the house numbers


AS_IN_THE_CORE = {"epochs": 12, "batch": CORE_BATCH, "learning_rate": CORE_RATE}
ROWS = {
    "three ELBOs, unweighted": Row(core, partial(three_elbos, beta=1.0, svhn_weight=1.0), **AS_IN_THE_CORE),
    "three ELBOs, weighted (the core)": Row(core, three_elbos, **AS_IN_THE_CORE),
    "the same, as the next rows are trained": Row(partial(core, width=WIDE), recipe_weights),
    "+ the prior as an expert": Row(prior, recipe_weights),
    "+ own dimensions": Row(own, recipe_weights),
    "+ any posterior must do": Row(own, any_posterior_elbo),
    "+ agreement": Row(own, recipe(own_beta=EVEN, ramp=NO_RAMP, generations_from=NEVER)),
    "+ ELBO ramped in": Row(own, recipe(own_beta=EVEN, generations_from=NEVER)),
    "+ own dimensions cost more": Row(own, recipe(generations_from=NEVER)),
    "+ re-encoded generations (the recipe)": Row(own, recipe()),
    "the recipe, 45 epochs": Row(own, recipe(), epochs=45),
    "the recipe for photographs": Row(
        for_photographs, recipe(**photographs.RECIPE), 45, learning_rate=photographs.LEARNING_RATE, altered=True
    ),
}


def run(row: str, seed: int, train_views: Views, judges: Judges, test: LabelledPairs) -> dict[str, Any]:
    """Train and evaluate one row with one seed."""
    make, objective, epochs, batch, learning_rate, altered = ROWS[row]
    torch.manual_seed(seed)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model = make().to(device, memory_format=torch.channels_last)
    batches = PairBatches(PairedDataset, train_views, batch, device, photographs.altered if altered else None)
    training = Training(model, batches, objective, epochs, len(batches), learning_rate=learning_rate)
    started, processor = time.perf_counter(), time.process_time()
    for _ in training:
        pass
    seconds = {"seconds": time.perf_counter() - started, "processor_seconds": time.process_time() - processor}
    probe = LabelledPairs(*stack_pairs(PairedDataset(*train_views), most=2000))
    where = {"threads": torch.get_num_threads(), "device": device, "torch": torch.__version__}
    return {**evaluate(model, judges, probe, test), "last_epoch": training.history[-1], **seconds, **where}


def table(runs: dict[str, Any], rows: Mapping[str, int]) -> str:
    """Return the rows as Markdown: mean ± standard deviation over seeds."""
    columns = {**METRICS, "linear_probe": "linear probe", **REBUILT}
    lines = [f"| objective | epochs | seeds | {' | '.join(columns.values())} |"]
    lines.append("| --- " * (len(columns) + 3) + "|")
    for row, epochs in rows.items():
        found = select(runs, row, epochs)
        cells = [spread([run[name] for run in found]) for name in columns]
        lines.append(f"| {row} | {epochs} | {len(found)} | {' | '.join(cells)} |")
    return "\n".join(lines)


def select(runs: dict[str, Any], row: str, epochs: int) -> list[dict[str, Any]]:
    """Return the finished runs of a row, one for each seed."""
    return [metrics for key, metrics in runs.items() if key.startswith(f"{row} | {epochs} epochs | seed ")]


def spread(values: list[float]) -> str:
    """Return mean ± standard deviation over seeds, as text."""
    return f"{np.mean(values):.3f}" + (f" ± {np.std(values, ddof=1):.3f}" if len(values) > 1 else "")


def figure(runs: dict[str, Any], rows: dict[str, int]) -> Figure:
    """Return the three coherences of each row: a dot for each seed, a bar for the mean, lines for published models."""
    picture = Figure(figsize=(11, 0.42 * len(rows) + 1.3), layout="constrained")
    axes = picture.subplots(1, 3, sharey=True)
    for i, (axis, (metric, title), colour) in enumerate(
        zip(axes, METRICS.items(), (MNIST_COLOUR, SVHN_COLOUR, JOINT_COLOUR), strict=True)
    ):
        for y, (row, epochs) in enumerate(rows.items()):
            values = [metrics[metric] for metrics in select(runs, row, epochs)]
            axis.barh(y, np.mean(values), height=0.6, color=colour, alpha=0.25)
            axis.plot(values, [y] * len(values), "o", color=colour, markersize=4)
        axis.axvline(0.1, color=GREY, linestyle=":", linewidth=1)
        for (name, published), style in zip(PUBLISHED.items(), ("--", "-."), strict=True):
            axis.axvline(published[i], color=GREY, linestyle=style, linewidth=1, label=f"{name}, real data")
        axis.set(xlim=(0, 1), title=title)
        axis.spines[["top", "right"]].set_visible(False)
    axes[0].axvline(0.1, color=GREY, linestyle=":", linewidth=1, label="chance")
    axes[0].set_yticks(range(len(rows)), [f"{row}, {epochs} epochs" for row, epochs in rows.items()], fontsize=9)
    axes[0].invert_yaxis()
    picture.legend(*axes[0].get_legend_handles_labels(), loc="outside lower right", ncols=3, frameon=False, fontsize=9)
    return picture


def page(runs: dict[str, Any], rows: dict[str, int], source: str, pairs: int, file: Path) -> str:
    """Return the page around the table, for runs that lie in a file."""
    read = {view: [run["judges"][view] for run in runs.values()] for view in ("mnist", "svhn")}
    judges = ", ".join(f"{view.upper()} at least {min(accuracies):.3f}" for view, accuracies in read.items())
    machines = sorted({(run["torch"], {"cuda": "a GPU", "cpu": "a processor"}[run["device"]]) for run in runs.values()})
    where = " or ".join(f"{device} with PyTorch {version}" for version, device in machines)
    published = "\n".join(
        f"| {name} | {' | '.join(f'{v:.2f}' for v in values)} |" for name, values in PUBLISHED.items()
    )
    return f"""# What each part of the recipe earns

Generated by `python -m benchmarks.ablation` from `docs/{file.name}`; data: `{source}`, held-out pairs; mean ±
standard deviation over seeds. The first row is the core's objective without its weights, the second the core as its
notebook trains it. The third is the core's objective in networks twice as wide, with the recipe's weights, batch and
learning rate, and every row below adds a part of the extension to the one above; the notebooks of
`solutions/cross_view/` explain the parts. The last row is the recipe that [photographs](real.md) need, trained on these
data. Trained on {where}.

{table(runs, rows)}

![For each row, a dot per seed and a bar for the mean of the three coherences]({file.stem}.png)

A classifier of its own for each view reads the generated digit; its accuracy on that view's own test images: {judges}.
Coherences are shares of all images (micro); the linear probe reads the mean of the joint posterior. The parts of the
recipe and some of its weights were found in trials that were read on the test data; the other weights, those of the
core, and the length of the training on a tenth of the training data. So the numbers of the recipe may be a little too
good.

Not every row is better than the one before: a part may cost coherence and gain something else (compare SVHN→SVHN), or
gain nothing until a later part is added.

A view is rebuilt from itself in MNIST→MNIST and SVHN→SVHN, and from both in both→MNIST and both→SVHN. Where the spreads
of two rows overlap, this table does not rank them.

## Beside published numbers

| real MNIST-SVHN | {" | ".join(METRICS.values())} |
| --- | --- | --- | --- |
{published}

The figures of their authors, as MultiVae's documentation gives them. They are *not* comparable one to one: those models
saw 1.1 to 1.7 million pairs of the real MNIST and SVHN an epoch for 10 to 30 epochs; the rows above saw {pairs:,} pairs
an epoch{EMBEDDED if source == "embedded" else ""}.
"""


def main() -> None:
    """Run what is missing, then write the page and the figure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    source = os.environ.get("LAB_DATA") or "embedded"
    file = DOCS / ("ablation.json" if source == "embedded" else f"ablation-{source}.json")
    runs: dict[str, Any] = json.loads(file.read_text()) if file.exists() else {}
    train_views, test_views = load_views("train"), load_views("test")
    judges = load_judges(train_views, test_views, "cuda" if torch.cuda.is_available() else "cpu")
    test = LabelledPairs(*stack_pairs(PairedDataset(*test_views)))
    rows = {name: row.epochs for name, row in ROWS.items()}
    for row, seed in ((row, seed) for seed in range(options.seeds) for row in rows):
        key = f"{row} | {rows[row]} epochs | seed {seed}"
        if key not in runs:
            runs[key] = run(row, seed, train_views, judges, test)
            write_whole(file, json.dumps(runs, indent=1).encode() + b"\n")
            shown = {name: round(runs[key][name], 3) for name in METRICS}
            print(key, shown, f"{runs[key]['seconds']:.0f} s", flush=True)
    finished = {row: epochs for row, epochs in rows.items() if select(runs, row, epochs)}
    write_whole(file.with_suffix(".md"), page(runs, finished, source, len(PairedDataset(*train_views)), file).encode())
    figure(runs, finished).savefig(file.with_suffix(".png"), dpi=100, bbox_inches="tight")


if __name__ == "__main__":
    main()
