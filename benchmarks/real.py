"""How well do views cross on real MNIST and SVHN? The recipe, the core, and three models of MultiVae, side by side.

python -m benchmarks.real --mnist DIR --svhn FILE [--svhn-test FILE] [--seeds 3] [--models recipe,core,...]
                          [--json FILE] [--validate [--change beta=0.1 ...]] [--views DIR] [--docs]

DIR holds MNIST as torchvision lays it out (DIR/MNIST/raw). FILE is an .npz with X, uint8 (N, 32, 32, 3), y, the digits
(N,), where 10 counts as 0, and house, the number of the photograph that each digit was cut from; `official_file`, if
there, tells photographs of the same number apart. Digits of one photograph overlap, so some 1,500 digits are held out
by photograph. With a test file, FILE is trained on as a whole, and the test file is read once, after the training.

Settings are chosen with `--validate`: then the digits held out above stay aside, others are held out in their place,
and the handwriting to read comes from the training set, too. `--change` trains a recipe with other settings.

Each finished run is kept in the JSON file, and is not run again; with `--validate` or a test file, name one with
`--json`, since runs that are read on other digits are other runs. `--views DIR` only writes train.npz and test.npz,
with which the notebooks run: LAB_DATA=files LAB_DATA_DIR=DIR. `--docs` writes docs/real.md from the runs in the JSON
file, and draws its pictures when the recipe is trained with the first seed.

A model of MultiVae is trained with the settings published for it, with the same encoders, decoders and pairs, for as
long as the recipe took (processor seconds), and takes part if it is installed; this project does not depend on it.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from filelock import FileLock
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch import Tensor, nn
from torchvision.datasets import MNIST

from benchmarks.ablation import spread
from benchmarks.lab import (
    CORE_BATCH,
    CORE_RATE,
    MultiViewVAE,
    OwnDimensionsVAE,
    PairedDataset,
    product_of_experts,
    product_with_prior,
    recipe,
    three_elbos,
)
from lab_utils import load_views, photographs
from lab_utils.batches import PairBatches, stack_pairs
from lab_utils.data import Views
from lab_utils.figures import SVHN_COLOUR, mosaic
from lab_utils.judges import Judges, load_judges
from lab_utils.metrics import (
    LabelledPairs,
    coherence,
    decode,
    draw_from_learned_prior,
    joint_coherence,
    linear_probe,
    posteriors,
    sample,
)
from lab_utils.training import Training
from nbverdict.files import write_whole

HELD_OUT = 1500  # digits, as many as whole photographs have
LATENT, WIDTH, BATCH, DRAWS = 20, 32, 64, 10_000
CORE_EPOCHS = 20
DOCS = Path(__file__).parent.parent / "docs"
COLUMNS = {
    **{"mnist_to_svhn": "MNIST→SVHN", "svhn_to_mnist": "SVHN→MNIST", "joint": "joint"},
    **{"joint_learned_prior": "joint, learned prior", "linear_probe": "linear probe"},
    **{"mnist_to_mnist": "MNIST→MNIST", "svhn_to_svhn": "SVHN→SVHN"},
}
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


# The data


def stored_digits(file: Path, *names: str) -> list[NDArray[Any]]:
    """Return images (N, 32, 32, 3), digits 0..9 (N,), and the arrays of these names."""
    with np.load(file, allow_pickle=False) as stored:
        missing = [name for name in ("X", "y", *names) if name not in stored]
        if missing:
            raise SystemExit(f"{file} has no array {', '.join(missing)}; it needs {', '.join(('X', 'y', *names))}.")
        return [stored["X"], stored["y"].astype(np.int64) % 10, *(stored[name] for name in names)]


def houses(file: Path) -> tuple[NDArray[np.uint8], NDArray[np.int64], NDArray[np.int64]]:
    """Return images (N, 32, 32, 3), digits 0..9 (N,), and a number for the photograph of each (N,)."""
    images, digits, house = stored_digits(file, "house")
    with np.load(file, allow_pickle=False) as stored:
        official = stored.get("official_file", np.zeros(len(house)))  # numbers start anew in each
    return images, digits, house.astype(np.int64) + (int(house.max()) + 1) * (official != official[0])


def parts_by_house(house: NDArray[np.int64], seed: int = 0) -> NDArray[np.int64]:
    """Return 2 for digits to test on, 1 for digits to choose settings on, 0 for the others, by whole photographs."""
    found, counts = np.unique(house, return_counts=True)
    order = np.random.default_rng(seed).permutation(len(found))
    before = np.cumsum(counts[order])  # digits of the photographs up to this one
    part = np.empty(len(found), dtype=np.int64)
    part[order] = np.where(before <= HELD_OUT, 2, np.where(before <= 2 * HELD_OUT, 1, 0))
    return part[np.searchsorted(found, house)]


def write_views(folder: Path, mnist: Path, svhn: Path, svhn_test: Path | None, validate: bool) -> None:
    """Write train.npz and test.npz, as `LAB_DATA=files` reads them."""
    writing = {"train": MNIST(str(mnist), train=True), "test": MNIST(str(mnist), train=False)}
    written = {name: (view.data.numpy(), view.targets.numpy()) for name, view in writing.items()}
    images, digits, house = houses(svhn)
    part = parts_by_house(house)
    if validate:
        rows = {"train": part == 0, "test": part == 1}
        known, labels = written["train"]
        written = {"train": (known[:50_000], labels[:50_000]), "test": (known[50_000:], labels[50_000:])}
    elif svhn_test is None:
        rows = {"train": part != 2, "test": part == 2}
    else:
        rows = {"train": np.full(len(part), True)}
    views = {split: (images[chosen], digits[chosen]) for split, chosen in rows.items()}
    if svhn_test and not validate:
        views["test"] = (*stored_digits(svhn_test),)
    folder.mkdir(parents=True, exist_ok=True)
    for split, (x_svhn, y_svhn) in views.items():
        x_mnist, y_mnist = written[split]
        arrays = {"mnist": x_mnist, "mnist_labels": y_mnist, "svhn": x_svhn, "svhn_labels": y_svhn}
        np.savez_compressed(folder / f"{split}.npz", **arrays)


# The models


class Trained(NamedTuple):
    """A model that was trained, and what it takes to draw from it.

    `encode` maps pairs to a mean and a draw, each (N, D), for "joint", "mnist" and "svhn"; `prior` returns so many z.
    """

    model: Any
    encode: Callable[[Any, LabelledPairs], Mapping[str, tuple[Tensor, Tensor]]]
    prior: Callable[[Any, int], Tensor]
    shared: int
    pairs: int
    seconds: float


def encode_lab(model: Any, pairs: LabelledPairs) -> dict[str, tuple[Tensor, Tensor]]:
    """Return mean and draw of a model of the lab."""
    return {name: (posterior[0], sample(posterior)) for name, posterior in posteriors(model, pairs).items()}


def standard_normal(model: Any, count: int) -> Tensor:
    """Return z (count, D) from N(0, I)."""
    return torch.randn(count, LATENT, device=DEVICE)


def trained(training: Training, shared: int) -> Trained:
    """Run a training of the lab, and return what it made."""
    started = time.process_time()
    for _ in training:
        print(training, flush=True)
    pairs = training.epochs * training.steps * training.batches.batch
    seconds = time.process_time() - started
    return Trained(training.model, encode_lab, standard_normal, shared, pairs, seconds)


class Settings(NamedTuple):
    """Those of the recipe that differ between photographs and drawn house numbers."""

    beta: float = photographs.RECIPE["beta"]
    learning_rate: float = photographs.LEARNING_RATE
    epochs: int = 0  # 0: as many as `photographs.epochs` says
    altered: bool = True
    deep: bool = True


def train_recipe(views: Views, settings: Settings) -> Trained:
    """Train the extension's recipe, as its notebook does on photographs."""
    model = OwnDimensionsVAE(product_with_prior, width=WIDTH)
    if settings.deep:
        model.encode_svhn = photographs.PhotographEncoder(LATENT, width=WIDTH)
    model = model.to(DEVICE, memory_format=torch.channels_last)
    batches = PairBatches(PairedDataset, views, BATCH, DEVICE, photographs.altered if settings.altered else None)
    epochs, steps = settings.epochs or photographs.epochs(len(batches)), len(batches)
    objective = recipe(beta=settings.beta)
    return trained(
        Training(model, batches, objective, epochs, steps, learning_rate=settings.learning_rate), model.shared
    )


def train_core(views: Views) -> Trained:
    """Train the core's model and objective, as its notebook does."""
    model = MultiViewVAE(product_of_experts).to(DEVICE, memory_format=torch.channels_last)
    batches = PairBatches(PairedDataset, views, CORE_BATCH, DEVICE)
    return trained(Training(model, batches, three_elbos, CORE_EPOCHS, len(batches), learning_rate=CORE_RATE), LATENT)


class Peer(NamedTuple):
    """A model of MultiVae: its name, its settings, its batch, and the dimensions that its views share and own."""

    name: str
    settings: Mapping[str, Any]
    batch: int
    shared: int
    own: tuple[int, int] = (0, 0)


# DMVAE: as MultiVae's script reproduces it. MMVAE: Shi et al. 2019, with MultiVae's K. MVTCAE: MultiVae's defaults.
PEERS = {
    "dmvae": Peer(
        "DMVAE",
        {
            "latent_dim": 10,
            "modalities_specific_dim": {"mnist": 1, "svhn": 4},
            "uses_likelihood_rescaling": True,
            "rescale_factors": {"mnist": 50, "svhn": 1},
        },
        batch=100,
        shared=10,
        own=(1, 4),
    ),
    "mmvae": Peer(
        "MMVAE",
        {
            "latent_dim": 20,
            "K": 10,
            "decoders_dist": {"mnist": "laplace", "svhn": "laplace"},
            "decoder_dist_params": {"mnist": {"scale": 0.75}, "svhn": {"scale": 0.75}},
            "uses_likelihood_rescaling": True,
        },
        batch=128,
        shared=20,
    ),
    "mvtcae": Peer("MVTCAE", {"latent_dim": 20, "uses_likelihood_rescaling": True}, batch=128, shared=20),
}


def train_peer(peer: Peer, views: Views, seconds: float) -> Trained:
    """Train a model of MultiVae for so many seconds of processor time, at Adam's 1e-3 with AMSGrad, as published."""
    from multivae.data.datasets import MultimodalBaseDataset

    model = peer_model(peer).to(DEVICE, memory_format=torch.channels_last)
    batches = PairBatches(PairedDataset, views, peer.batch, DEVICE)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, amsgrad=True)

    def steps() -> Iterator[tuple[Tensor, Tensor]]:
        while True:
            yield from batches

    started, taken = time.process_time(), 0
    model.train()
    for taken, (x_mnist, x_svhn) in enumerate(steps(), 1):
        loss = model(MultimodalBaseDataset({"mnist": x_mnist, "svhn": x_svhn})).loss
        if not torch.isfinite(loss):
            raise SystemExit(f"{peer.name}: the loss of step {taken} is {loss.item()}.")
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if taken % 500 == 0:
            print(f"{peer.name}: step {taken}, loss {loss.item():.1f}", flush=True)
        if time.process_time() - started > seconds:
            break
    spent = time.process_time() - started
    return Trained(model, encode_peer, peer_prior, peer.shared, taken * peer.batch, spent)


def peer_model(peer: Peer) -> Any:
    """Return a model of MultiVae with the recipe's encoders and decoders, and the lab's names for the latter."""
    import multivae.models as library
    from multivae.models.base import BaseDecoder, BaseEncoder
    from pythae.models.base.base_utils import ModelOutput

    shell = MultiViewVAE(product_of_experts, width=WIDTH)
    shell.encode_svhn = photographs.PhotographEncoder(LATENT, width=WIDTH)

    class Encoder(BaseEncoder):
        def __init__(self, encoder: nn.Module, own: int) -> None:
            super().__init__()
            self.encoder, self.latent_dim, self.style_dim = encoder, peer.shared, own

        def forward(self, x: Tensor) -> Any:
            mu, logvar = self.encoder(x)
            end = peer.shared + self.style_dim
            style = {"style_embedding": mu[:, peer.shared : end], "style_log_covariance": logvar[:, peer.shared : end]}
            found = {"embedding": mu[:, : peer.shared], "log_covariance": logvar[:, : peer.shared]}
            return ModelOutput(**found, **(style if self.style_dim else {}))

    class Decoder(BaseDecoder):
        def __init__(self, decoder: nn.Module) -> None:
            super().__init__()
            self.decoder, self.latent_dim = decoder, LATENT

        def forward(self, z: Tensor) -> Any:
            return ModelOutput(reconstruction=self.decoder(nn.functional.pad(z, (0, LATENT - z.shape[1]))))

    config = getattr(library, f"{peer.name}Config")(
        n_modalities=2, input_dims={"mnist": (1, 32, 32), "svhn": (3, 32, 32)}, **peer.settings
    )
    encoders = {"mnist": Encoder(shell.encode_mnist, peer.own[0]), "svhn": Encoder(shell.encode_svhn, peer.own[1])}
    decoders = {"mnist": Decoder(shell.decode_mnist), "svhn": Decoder(shell.decode_svhn)}
    model = getattr(library, peer.name)(config, encoders, decoders)
    own_mnist = peer.shared + peer.own[0]
    # The lab's z: shared dimensions, then MNIST's own, then SVHN's.
    model.decode_mnist = lambda z: model.decoders["mnist"](z[:, :own_mnist]).reconstruction
    model.decode_svhn = lambda z: (
        model.decoders["svhn"](torch.cat([z[:, : peer.shared], z[:, own_mnist:]], 1)).reconstruction
    )
    return model


def peer_z(found: Any, count: int) -> Tensor:
    """Return what a model of MultiVae has drawn as z (count, D): shared dimensions, then those of either view."""
    own = () if found.one_latent_space else (found.modalities_z["mnist"], found.modalities_z["svhn"])
    return torch.cat([part.reshape(count, -1) for part in (found.z, *own)], 1)


@torch.no_grad()
def encode_peer(model: Any, pairs: LabelledPairs) -> dict[str, tuple[Tensor, Tensor]]:
    """Return mean and draw of a model of MultiVae."""
    from multivae.data.datasets import MultimodalBaseDataset

    model.eval()
    found: dict[str, tuple[list[Tensor], list[Tensor]]] = {name: ([], []) for name in ("joint", "mnist", "svhn")}
    for x_mnist, x_svhn in zip(pairs.mnist.split(500), pairs.svhn.split(500), strict=True):
        inputs = MultimodalBaseDataset({"mnist": x_mnist.to(DEVICE), "svhn": x_svhn.to(DEVICE)})
        for name, (means, draws) in found.items():
            given = ["mnist", "svhn"] if name == "joint" else name
            means.append(peer_z(model.encode(inputs, cond_mod=given, return_mean=True), len(x_mnist)))
            draws.append(peer_z(model.encode(inputs, cond_mod=given), len(x_mnist)))
    return {name: (torch.cat(means), torch.cat(draws)) for name, (means, draws) in found.items()}


@torch.no_grad()
def peer_prior(model: Any, count: int) -> Tensor:
    """Return z (count, D) from the prior of a model of MultiVae, which may be learned."""
    return peer_z(model.generate_from_prior(count), count).to(DEVICE)


# The measurements


def measure(of: Trained, judges: Judges, train: LabelledPairs, test: LabelledPairs) -> dict[str, Any]:
    """Return the numbers of a trained model, read on held-out pairs."""
    torch.manual_seed(0)
    np.random.seed(0)  # MultiVae's MMVAE chooses an expert by it
    known, held_out = of.encode(of.model, train), of.encode(of.model, test)
    results: dict[str, Any] = {}
    for source, (_, z) in held_out.items():
        drawn = decode(of.model, z)
        for target, judge in judges._asdict().items():
            results[f"{source}_to_{target}"] = coherence(judge.read(drawn[target]), test.labels).micro
    z = of.prior(of.model, DRAWS)
    joint = {"joint": joint_coherence(of.model, judges, z)}
    # Own dimensions stay as the prior has them.
    z[:, : of.shared] = draw_from_learned_prior(known["joint"][0][:, : of.shared], of.shared, DRAWS)
    joint["joint_learned_prior"] = joint_coherence(of.model, judges, z)
    for name, found in joint.items():
        results |= {name: found.coherence, f"{name}_variety": found.variety, f"{name}_digits": list(found.digits)}
    results["linear_probe"] = linear_probe(known["joint"][0], train.labels, held_out["joint"][0], test.labels)
    results |= {"seconds": of.seconds, "pairs": of.pairs}
    results["judges"] = {view: judge.accuracy for view, judge in judges._asdict().items()}
    results |= {"tested_on": len(test.labels), "device": DEVICE, "threads": torch.get_num_threads()}
    return results | {"torch": torch.__version__}


def pictures(of: Trained, judges: Judges, train: LabelledPairs, test: LabelledPairs) -> None:
    """Draw docs/real_crossings.png and docs/real_draws.png: generated images only, none of the data."""
    torch.manual_seed(0)
    chosen = [int(np.flatnonzero(test.labels == digit)[0]) for digit in range(10)]
    ten = LabelledPairs(test.mnist[chosen], test.svhn[chosen], test.labels[chosen])
    digits = list(range(10))
    rows: list[tuple[str, str, Tensor]] = []
    for source, target in (("mnist", "svhn"), ("svhn", "mnist")):
        draws = [decode(of.model, of.encode(of.model, ten)[source][1])[target] for _ in range(4)]
        label = f"{target.upper()} drawn\nfrom {source.upper()}"
        rows += [(label if images is draws[0] else "", target, images) for images in draws]
    rebuilt = decode(of.model, of.encode(of.model, ten)["joint"][0])
    rows += [(f"{view.upper()} rebuilt\nfrom both", view, images) for view, images in rebuilt.items()]
    draw_rows(rows, judges, "Column by column, the digit that was given", "real_crossings", digits)
    rows = []
    codes = of.encode(of.model, train)["joint"][0][:, : of.shared]
    for label in ("drawn from\nN(0, I)", "drawn from the\nlearned prior"):
        z = of.prior(of.model, 14)
        if rows:
            z[:, : of.shared] = draw_from_learned_prior(codes, of.shared, 14)
        rows += [(label if view == "mnist" else "", view, images) for view, images in decode(of.model, z).items()]
    draw_rows(rows, judges, "Column by column, both views of one z", "real_draws")


def draw_rows(
    rows: list[tuple[str, str, Tensor]], judges: Judges, title: str, name: str, given: list[int] | None = None
) -> None:
    """Draw rows of images, each (label, view, images), with the digit that a judge reads in the corner of each.

    The digit stands on orange where it is not the given one, or, where none was given, not that of the row above.
    """
    columns = len(rows[0][2])
    figure = Figure(figsize=(0.62 * columns + 1.4, 0.62 * len(rows) + 0.5), layout="constrained")
    figure.suptitle(title, fontsize=11)
    wanted = given
    for i, (axis, (label, view, images)) in enumerate(zip(figure.subplots(len(rows), 1), rows, strict=True)):
        axis.imshow(mosaic(images), interpolation="nearest")
        axis.set_ylabel(label, rotation=0, ha="right", va="center", fontsize=8)
        axis.set(xticks=[], yticks=[])
        axis.spines[:].set_visible(False)
        read = getattr(judges, view).read(images).tolist()
        wanted = given or (read if i % 2 == 0 else wanted)
        for column, (digit, right) in enumerate(zip(read, wanted or read, strict=True)):
            box = {"facecolor": "white" if digit == right else SVHN_COLOUR, "edgecolor": "none", "pad": 0.8}
            axis.text(32 * column + 30, 30, str(digit), ha="right", va="bottom", fontsize=7, bbox=box)
        if i == 0 and given:
            for column, digit in enumerate(given):
                axis.text(32 * column + 16, -4, str(digit), ha="center", va="bottom", fontsize=9)
    figure.savefig(DOCS / f"{name}.png", dpi=100, bbox_inches="tight")


# The page


def table(runs: Mapping[str, Any]) -> str:
    """Return the runs as Markdown: mean ± standard deviation over seeds, a row for each model."""
    lines = [f"| model | seeds | {' | '.join(COLUMNS.values())} | pairs seen | processor minutes |"]
    lines.append("| --- " * (len(COLUMNS) + 4) + "|")
    for model in dict.fromkeys(key.split(" | ")[0] for key in runs):
        found = [run for key, run in runs.items() if key.startswith(f"{model} | ")]
        cells = [spread([run[name] for run in found]) for name in COLUMNS]
        pairs, minutes = np.mean([run["pairs"] for run in found]), np.mean([run["seconds"] for run in found]) / 60
        lines.append(f"| {model} | {len(found)} | {' | '.join(cells)} | {pairs:,.0f} | {minutes:.1f} |")
    return "\n".join(lines)


def variety(runs: Mapping[str, Any]) -> str:
    """Return how varied the digits are that a model draws, as Markdown."""
    lines = [
        "| model | variety, N(0, I) | variety, learned prior | rarest digit, learned prior |",
        "| --- | --- | --- | --- |",
    ]
    for model in dict.fromkeys(key.split(" | ")[0] for key in runs):
        found = [run for key, run in runs.items() if key.startswith(f"{model} | ")]
        cells = [spread([run[f"{name}_variety"] for run in found]) for name in ("joint", "joint_learned_prior")]
        cells.append(spread([min(run["joint_learned_prior_digits"]) for run in found]))
        lines.append(f"| {model} | {' | '.join(cells)} |")
    return "\n".join(lines)


def filled(text: str, runs: Mapping[str, Any]) -> str:
    """Return a page with the tables of these runs between its markers; the words around them are written by hand."""
    for name, lines in (("table", table(runs)), ("variety", variety(runs))):
        before, rest = text.split(f"<!-- {name} -->\n")
        after = rest.split(f"<!-- end of {name} -->")[1]
        text = f"{before}<!-- {name} -->\n{lines}\n<!-- end of {name} -->{after}"
    return text


def finished(file: Path, new: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return the runs that a file has, after new ones were added to it; several processes may do so at a time."""
    with FileLock(file.with_suffix(".lock")):
        runs: dict[str, Any] = json.loads(file.read_text()) if file.exists() else {}
        if new:
            runs = dict(sorted((runs | dict(new)).items(), key=lambda run: place(run[0])))
            write_whole(file, json.dumps(runs, indent=1).encode() + b"\n")
    return runs


def place(key: str) -> tuple[int, str]:
    """Return where a run stands in the tables: the recipe first, the models of MultiVae last."""
    order = ("recipe", "core", *PEERS)
    return order.index(key.split(" | ")[0].split(",")[0]), key


def change(text: str) -> tuple[str, Any]:
    """Return a setting of the recipe from "name=value"."""
    name, _, value = text.partition("=")
    if name not in Settings._fields:
        raise argparse.ArgumentTypeError(f"{name!r} is no setting; they are {', '.join(Settings._fields)}")
    try:
        return name, type(getattr(Settings(), name))(float(value))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{name} takes a number (0 or 1 for no or yes), not {value!r}") from None


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mnist", type=Path, required=True, help="folder with MNIST/raw")
    parser.add_argument("--svhn", type=Path, required=True, help=".npz with X, y and house")
    parser.add_argument("--svhn-test", type=Path, help="the same, to be read once, after the training")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--first-seed", type=int, default=0, help="another process does the seeds before it")
    parser.add_argument("--models", default="recipe,core,dmvae,mmvae,mvtcae", help="separated by commas")
    parser.add_argument("--json", type=Path, help="finished runs; default docs/real.json")
    parser.add_argument("--validate", action="store_true", help="hold out others, to choose settings")
    parser.add_argument("--change", type=change, action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--minutes", type=float, help="for each model of MultiVae, if the recipe has no run yet")
    parser.add_argument("--views", type=Path, help="only write train.npz and test.npz into this folder")
    parser.add_argument("--docs", action="store_true", help="write docs/real.md and its pictures")
    options = parser.parse_args()
    options.models = options.models.split(",")
    unknown = set(options.models) - {"recipe", "core", *PEERS}
    if unknown:
        parser.error(f"no model {', '.join(sorted(unknown))}; there are recipe, core, {', '.join(PEERS)}")
    if options.change and not options.validate:
        parser.error("--change goes with --validate: settings are chosen on photographs that the result is not read on")
    if options.json is None:
        if options.validate or options.svhn_test:
            parser.error(
                "name a file of its own with --json: docs/real.json has the runs that were read by other digits"
            )
        options.json = DOCS / "real.json"
    if options.validate and options.docs:
        parser.error("--docs goes without --validate: the page shows what was read on the test photographs")
    for file in filter(None, (options.svhn, options.svhn_test)):
        if not file.is_file():
            parser.error(f"{file} is not there")
    if not (options.mnist / "MNIST" / "raw").is_dir():
        parser.error(f"{options.mnist} has no folder MNIST/raw")
    return options


def main() -> None:
    """Run what is missing, one model after the other, and write the results."""
    options = arguments()
    if options.views:
        write_views(options.views, options.mnist, options.svhn, options.svhn_test, options.validate)
        return
    runs = finished(options.json)
    with tempfile.TemporaryDirectory() as folder:
        write_views(Path(folder), options.mnist, options.svhn, options.svhn_test, options.validate)
        train_views, test_views = (load_views(split, "files", root=folder) for split in ("train", "test"))
    settings = Settings(**dict(options.change))
    changes = "".join(f", {name} {value:g}" for name, value in options.change) + ", validation" * options.validate
    for seed in range(options.first_seed, options.seeds):
        for name in options.models:
            key = f"{name}{changes} | seed {seed}"
            if key in runs:
                continue
            if name in PEERS and find_spec("multivae") is None:
                print(f"{name}: MultiVae is not installed (pip install multivae)")
                continue
            torch.manual_seed(seed)
            if name == "recipe":
                result = train_recipe(train_views, settings)
            elif name == "core":
                result = train_core(train_views)
            else:
                recipe_run = runs.get(f"recipe{changes} | seed {seed}")
                seconds = 60 * options.minutes if options.minutes else recipe_run and recipe_run["seconds"]
                if not seconds:
                    raise SystemExit("A model of MultiVae trains as long as the recipe: run that first, or --minutes.")
                result = train_peer(PEERS[name], train_views, seconds)
            # After the training: nothing before reads the photographs that are held out.
            judges = load_judges(train_views, test_views, DEVICE, photographs=True)
            train = LabelledPairs(*stack_pairs(PairedDataset(*train_views), most=3000))
            test = LabelledPairs(*stack_pairs(PairedDataset(*test_views)))
            runs = finished(options.json, {key: measure(result, judges, train, test)})
            print(key, {column: round(runs[key][column], 3) for column in COLUMNS}, flush=True)
            if options.docs and name == "recipe" and seed == 0:
                pictures(result, judges, train, test)
    if options.docs:
        page = DOCS / "real.md"
        write_whole(page, filled(page.read_text(), runs).encode())


if __name__ == "__main__":
    main()
