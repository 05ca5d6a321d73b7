"""How fast does it train? The extension's recipe, the core's objective in a plain loop, and MultiVae's trainer.

python -m benchmarks.training [--steps 360] [--elbo -650] [--threads 1] [--compile] [--docs] [--json FILE]

The three take turns of 30 steps, with the same encoders, decoders, batch size and threads, so that whatever else
the machine does affects all alike. The ELBO of held-out pairs is computed between the turns, and not timed. MultiVae
takes part if it is installed; it is not a dependency of this project.
"""

import argparse
import json
import logging
import platform
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import nn
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from benchmarks.lab import (
    CORE_RATE,
    MultiViewVAE,
    OwnDimensionsVAE,
    PairedDataset,
    Recipe,
    core_objective,
    product_of_experts,
    product_with_prior,
    recipe,
)
from lab_utils import load_views
from lab_utils.batches import PairBatches, stack_pairs
from lab_utils.data import DigitImages, Views, hold_out
from lab_utils.metrics import LabelledPairs, elbo_terms
from lab_utils.training import Training, autocast
from nbverdict.files import write_whole

BATCH, TURN = 64, 30
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
WEIGHT = Recipe().svhn_weight
DOCS = Path(__file__).parent.parent / "docs" / "training.md"
LABELS = {
    "ours": "the extension's recipe",
    "original": "a loop like the original lab's",
    "multivae": "MultiVae's trainer",
    "compiled": "the recipe, encoders and decoders through `torch.compile`",
}
Turns = Iterator[Any]  # each `next` trains for TURN steps


class PillowView(Dataset[tuple[Any, int]]):
    """A view as torchvision's datasets give it: each item an image of Pillow's, put through transforms one by one."""

    def __init__(self, view: DigitImages) -> None:
        self.labels = view.digits.numpy()
        self.images = [Image.fromarray(image.permute(1, 2, 0).squeeze(2).numpy()) for image in view.images]
        self.transform = transforms.Compose([transforms.Resize((32, 32)), transforms.ToTensor()])

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Any, int]:
        return self.transform(self.images[index]), int(self.labels[index])


def original(views: Views, steps: int) -> tuple[nn.Module, Turns]:
    """Return model and turns of a plain loop: the core's model and objective, images one by one through Pillow."""
    model = MultiViewVAE(product_of_experts).to(DEVICE)
    optimizer = torch.optim.Adam(model.parameters(), lr=CORE_RATE)
    pairs = PairedDataset(*map(PillowView, views))

    def turns() -> Turns:
        taken = 0
        while True:
            for x_mnist, x_svhn, _ in DataLoader(pairs, BATCH, shuffle=True, drop_last=True):
                model.train()
                optimizer.zero_grad()
                terms = core_objective(model, x_mnist.to(DEVICE), x_svhn.to(DEVICE), svhn_weight=WEIGHT)
                terms["loss"].backward()
                optimizer.step()
                taken += 1
                if taken % TURN == 0:
                    yield {name: term.item() for name, term in terms.items()}

    return model, turns()


def ours(views: Views, steps: int) -> tuple[nn.Module, Turns]:
    """Return model and turns of the extension's training, the whole recipe over `steps` steps."""
    model = OwnDimensionsVAE(product_with_prior).to(DEVICE, memory_format=torch.channels_last)
    batches = PairBatches(PairedDataset, views, BATCH, DEVICE)
    return model, iter(Training(model, batches, recipe(), steps // TURN, TURN))


def compiled(views: Views, steps: int) -> tuple[nn.Module, Turns]:
    """Return `ours` with encoders and decoders compiled, which happens inside the turns that need it."""
    model, turns = ours(views, steps)
    for part in model.children():
        part.compile()
    return model, turns


def multivae(views: Views, steps: int) -> tuple[nn.Module, Turns]:
    """Return model and turns of MultiVae's trainer with its MVAE (Wu and Goodman 2018): the ELBOs of `original`."""
    from multivae.data.datasets import MultimodalBaseDataset
    from multivae.models import MVAE, MVAEConfig
    from multivae.models.base import BaseDecoder, BaseEncoder
    from multivae.trainers import BaseTrainer, BaseTrainerConfig
    from pythae.models.base.base_utils import ModelOutput

    class Encoder(BaseEncoder):
        def __init__(self, encoder: nn.Module) -> None:
            super().__init__()
            self.latent_dim, self.encoder = 20, encoder

        def forward(self, x: torch.Tensor) -> Any:
            mu, logvar = self.encoder(x)
            return ModelOutput(embedding=mu, log_covariance=logvar)

    class Decoder(BaseDecoder):
        def __init__(self, decoder: nn.Module, logits: bool) -> None:
            super().__init__()
            self.latent_dim, self.decoder, self.logits = 20, decoder, logits

        def forward(self, z: torch.Tensor) -> Any:
            image = self.decoder(z)
            return ModelOutput(reconstruction=image.logit(1e-6) if self.logits else image)

    logging.disable(logging.INFO)
    torch.distributions.Distribution.set_default_validate_args(False)  # grey pixels are neither 0 nor 1
    shell = MultiViewVAE(product_of_experts)
    config = MVAEConfig(
        n_modalities=2,
        latent_dim=20,
        input_dims={"mnist": (1, 32, 32), "svhn": (3, 32, 32)},
        decoders_dist={"mnist": "bernoulli", "svhn": "normal"},
        decoder_dist_params={"svhn": {"scale": (2 * WEIGHT) ** -0.5}},
        use_subsampling=True,
        warmup=0,
        k=0,
    )
    encoders = {"mnist": Encoder(shell.encode_mnist), "svhn": Encoder(shell.encode_svhn)}
    decoders = {"mnist": Decoder(shell.decode_mnist, True), "svhn": Decoder(shell.decode_svhn, False)}
    mnist, svhn, labels = stack_pairs(PairedDataset(*views))
    data = MultimodalBaseDataset({"mnist": mnist, "svhn": svhn}, torch.from_numpy(labels))
    settings = BaseTrainerConfig(
        output_dir=tempfile.mkdtemp(), per_device_train_batch_size=BATCH, learning_rate=1e-3, drop_last=True
    )
    trainer = BaseTrainer(MVAE(config, encoders=encoders, decoders=decoders), data, training_config=settings)

    def turns() -> Turns:
        loader = trainer.train_loader
        for turn in range(1, steps // TURN + 1):
            rows = torch.randperm(len(data))[: TURN * BATCH].tolist()
            trainer.train_loader = DataLoader(data, sampler=rows, batch_size=BATCH, collate_fn=loader.collate_fn)
            yield trainer.train_step(turn)

    return shell, turns()


def measure(ways: dict[str, Any], views: Views, steps: int) -> dict[str, list[tuple[float, float]]]:
    """Return for each way, after each turn, its seconds so far and the ELBO of held-out pairs (nats)."""
    train_views, validation = hold_out(views)
    pairs = LabelledPairs(*stack_pairs(PairedDataset(*validation)))
    running = {}
    for name, way in ways.items():
        torch.manual_seed(0)
        running[name] = way(train_views, steps)
    measured: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    for _ in range(steps // TURN):
        for name, (model, turns) in running.items():
            started = time.perf_counter()
            next(turns)
            if DEVICE == "cuda":
                torch.cuda.synchronize()
            seconds = time.perf_counter() - started + (measured[name][-1][0] if measured[name] else 0.0)
            terms = elbo_terms(model, pairs)["joint"]
            measured[name].append((seconds, -(terms["mnist"] + WEIGHT * terms["svhn"] + terms["kl"])))
    return measured


def report(measured: dict[str, list[tuple[float, float]]], rates: dict[str, float], options: argparse.Namespace) -> str:
    """Return what was measured as a page of Markdown."""
    name = torch.cuda.get_device_name() if DEVICE == "cuda" else platform.processor() or platform.machine()
    versions = [f"torch {torch.__version__}"]
    for package in ("torchvision", "multivae"):
        with suppress(PackageNotFoundError):
            versions.append(f"{package} {version(package)}")
    with autocast(DEVICE):
        arithmetic = "bfloat16" if torch.is_autocast_enabled(DEVICE) else "float32"
    lines = []
    for way, points in measured.items():
        turns = np.diff([0.0, *(seconds for seconds, _ in points)])
        reached = next((f"{seconds:.1f}" for seconds, elbo in points if elbo >= options.elbo), "not reached")
        cells = (f"{rates[way]:.0f}", f"{rates['ours'] / rates[way]:.2f}", f"{turns[0]:.1f}", f"{np.median(turns):.1f}")
        lines.append(f"| {LABELS[way]} | {' | '.join(cells)} | {reached} | {points[-1][1]:.0f} |")
    rows = "\n".join(lines)
    command = f"--steps {options.steps} --threads {options.threads}{' --compile' * options.compile}"
    return f"""# How fast it trains

Written by `python -m benchmarks.training {command} --docs`: {name}, {options.threads} thread(s), batches of {BATCH},
{options.steps} steps of each in turns of {TURN}, so that whatever else the machine does affects all alike;
{", ".join(versions)}.
The recipe computes in {arithmetic} and channels-last. Its steps are those of the whole training, including its
re-encoded generations (see `solutions/cross_view/3_agreement.ipynb`). The loop like the original lab's trains the
core's objective, pairs once, and loads image by image.

| | pairs per second | recipe / this | first turn, s | median turn, s | s to ELBO {options.elbo:.0f} | last ELBO |
| --- | --- | --- | --- | --- | --- | --- |
{rows}

The ELBO (nats, the house number's squared error weighted by {WEIGHT:g}) is that of held-out pairs after each turn. It
favours the others: the recipe brings the ELBO in late, and asks for more than the ELBO.
Pairs per second are over all turns, including the first, in which `torch.compile` compiles; the median turn shows the
speed without that.

{on_a_gpu()}
"""


def on_a_gpu() -> str:
    """Return what the runs of docs/ablation.json took with a GPU and without."""
    runs = json.loads(DOCS.with_name("ablation.json").read_text())
    took: dict[str, list[float]] = {"cuda": [], "cpu": []}
    for name, run in runs.items():
        if " | 20 epochs | " in name:
            took[run["device"]].append(run["seconds"])
    fast, slow = (f"{min(seconds):.0f} to {max(seconds):.0f}" for seconds in took.values())
    return f"""A GPU runs the same loop; nothing needs one. The rows of 20 epochs in `docs/ablation.json` took {fast}
processor seconds where there was a GPU, and {slow} on processors of several kinds without."""


def main() -> None:
    """Measure, print, and write pairs per second if asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=360, help="training steps of each way, a multiple of 30")
    parser.add_argument(
        "--elbo", type=float, default=-650.0, help="time how long it takes to reach this held-out ELBO (nats)"
    )
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--compile", action="store_true", help="measure ours with torch.compile, too")
    parser.add_argument("--docs", action="store_true", help="write what is printed to docs/training.md")
    parser.add_argument("--json", type=Path, help="write pairs per second to this file")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    ways = {"original": original, "ours": ours} | ({"multivae": multivae} if find_spec("multivae") else {})
    ways |= {"compiled": compiled} if options.compile else {}
    measured = measure(ways, load_views("train"), options.steps)

    rates = {way: TURN * BATCH * len(points) / points[-1][0] for way, points in measured.items()}
    text = report(measured, rates, options)
    print(text)
    if options.json:
        options.json.write_text(json.dumps(rates, indent=2) + "\n")
    if options.docs:
        write_whole(DOCS, text.encode())


if __name__ == "__main__":
    main()
