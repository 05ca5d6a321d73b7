"""Batches of fresh pairs; a run that was killed or interrupted goes on; a stop at the first NaN."""

import signal
import subprocess
import sys

import pytest
import torch
from torch import nn

from benchmarks.lab import OwnDimensionsVAE, PairedDataset, product_with_prior, recipe
from lab_utils import load_definition, load_views, training
from lab_utils.batches import PairBatches
from lab_utils.checkpoints import Checkpoint, CheckpointError
from lab_utils.data import MnistView, SvhnView, Views, hold_out
from lab_utils.training import DivergenceError, Training, autocast, checked, in_words
from tests.conftest import ROOT

agreement_loss, generation_loss = (
    load_definition(ROOT / "solutions" / "cross_view" / "3_agreement.ipynb", name)
    for name in ("agreement_loss", "generation_loss")
)


@pytest.fixture
def views():
    """Ten images of each digit and view; the brightness says which image it is."""
    digits = torch.arange(100) % 10
    grey = torch.arange(100, dtype=torch.uint8)[:, None, None, None]
    return Views(
        MnistView(grey.expand(-1, 1, 32, 32).clone(), digits), SvhnView(grey.expand(-1, 3, 32, 32).clone(), digits)
    )


def rows(batch):
    """Return which images a batch holds."""
    return [(images[:, 0, 0, 0] * 255).round().long() for images in batch]


def test_a_pass_pairs_equal_digits_and_uses_each_image_once(views):
    batches = PairBatches(PairedDataset, views, batch=16)
    assert len(batches) == 6
    passed = list(batches)
    assert [(tuple(m.shape), tuple(s.shape)) for m, s in passed] == [((16, 1, 32, 32), (16, 3, 32, 32))] * 6
    assert all(x.dtype == torch.float32 for batch in passed for x in batch)
    assert passed[0][1].is_contiguous(memory_format=torch.channels_last)
    mnist, svhn = (torch.cat(view) for view in zip(*map(rows, passed), strict=True))
    assert torch.equal(mnist % 10, svhn % 10)
    assert len(set(mnist.tolist())) == len(set(svhn.tolist())) == 96
    assert len(set((mnist[:16] % 10).tolist())) > 3  # shuffled, not digit by digit


def test_each_pass_pairs_anew(views):
    batches = PairBatches(PairedDataset, views, batch=50)
    passes = [{pair for b in batches for pair in zip(*(r.tolist() for r in rows(b)), strict=True)} for _ in range(2)]
    assert passes[0] != passes[1]


def test_held_out_images_are_not_in_the_rest(views):
    kept, held_out = hold_out(views)
    assert [len(view) for view in (*kept, *held_out)] == [90, 90, 10, 10]
    for whole, part, rest in zip(views, kept, held_out, strict=True):
        assert torch.equal(torch.cat([part.images, rest.images]), whole.images)
        assert torch.equal(torch.cat([part.digits, rest.digits]), whole.digits)


def test_autocast_is_bfloat16_only_where_the_processor_has_it(monkeypatch):
    for capabilities in ({}, {"avx512_bf16": False, "avx2": True}, {"avx512_bf16": True}, {"amx_bf16": True}):
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda found=capabilities: found, raising=False)
        with autocast("cpu"):
            product = torch.ones(2, 2) @ torch.ones(2, 2)
        fast = capabilities.get("avx512_bf16") or capabilities.get("amx_bf16")
        assert product.dtype == (torch.bfloat16 if fast else torch.float32)


RUN = """
import os, signal, sys
from pathlib import Path
import torch
from benchmarks.lab import OwnDimensionsVAE, PairedDataset, product_with_prior, recipe
from lab_utils import load_views
from lab_utils.batches import PairBatches
from lab_utils.checkpoints import Checkpoint
from lab_utils.training import Training

stop, *paths = sys.argv[1:]
torch.set_num_threads(1)
for path in paths:
    torch.manual_seed(0)
    model = OwnDimensionsVAE(product_with_prior)
    batches = PairBatches(PairedDataset, load_views("test"))
    run = Training(model, batches, recipe(), 3, 3, checkpoint=Checkpoint(Path(path), {"seed": 0}))
    for epoch in run:
        if epoch == int(stop):
            os.kill(os.getpid(), signal.SIGKILL)
    print(run.history[-1]["loss"], sum(weight.double().abs().sum().item() for weight in model.state_dict().values()))
"""


def test_a_killed_run_resumes_to_the_same_numbers(tmp_path):
    def run(stop, *names):
        command = [sys.executable, "-c", RUN, str(stop), *(tmp_path / name for name in names)]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    killed = run(2, "killed.pt")
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    both = run(0, "whole.pt", "killed.pt")
    assert both.returncode == 0, both.stderr
    whole, resumed = both.stdout.splitlines()
    assert resumed == whole
    assert sorted(path.name for path in tmp_path.iterdir()) == ["killed.pt", "whole.pt"]


@pytest.fixture
def saved(tmp_path):
    """A checkpoint of a small model after two epochs."""
    model = nn.Linear(2, 2)
    checkpoint = Checkpoint(tmp_path / "checkpoint.pt", {"epochs": 3, "beta": 0.5})
    checkpoint.save([{"loss": 2.0}, {"loss": 1.0}], model=model)
    return checkpoint, model


def test_a_checkpoint_brings_back_weights_generator_and_history(saved):
    checkpoint, model = saved
    drawn = torch.rand(3)
    other = nn.Linear(2, 2)
    assert checkpoint.resume(model=other) == [{"loss": 2.0}, {"loss": 1.0}]
    assert torch.equal(other.weight, model.weight)
    assert torch.equal(torch.rand(3), drawn)


def test_without_a_file_a_run_starts_anew(tmp_path):
    assert Checkpoint(tmp_path / "none.pt", {}).resume(model=nn.Linear(2, 2)) == []


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda content: content[:-100], "is damaged"),
        (lambda content: content[:200] + bytes([content[200] ^ 1]) + content[201:], "is damaged"),
        (lambda content: b"", "is damaged"),
    ],
)
def test_a_damaged_checkpoint_is_refused_and_changes_nothing(saved, damage, message):
    checkpoint, _ = saved
    checkpoint.path.write_bytes(damage(checkpoint.path.read_bytes()))
    other = nn.Linear(2, 2)
    before = other.weight.clone()
    with pytest.raises(CheckpointError, match=message) as caught:
        checkpoint.resume(model=other)
    assert str(checkpoint.path) in str(caught.value)
    assert torch.equal(other.weight, before)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"epochs": 3, "beta": 1.0}, r"beta 0.5 there, 1.0 here"),
        ({"epochs": 3}, r"beta 0.5 there, None here"),
    ],
)
def test_the_checkpoint_of_another_run_is_refused(saved, settings, message):
    checkpoint, _ = saved
    with pytest.raises(CheckpointError, match=message):
        Checkpoint(checkpoint.path, settings).resume(model=nn.Linear(2, 2))
    with pytest.raises(CheckpointError, match="other parts"):
        checkpoint.resume(model=nn.Linear(2, 2), optimizer=nn.Linear(2, 2))


def test_a_checkpoint_of_another_width_is_refused(saved):
    checkpoint, _ = saved
    with pytest.raises(CheckpointError, match="holds another model") as caught:
        checkpoint.resume(model=nn.Linear(3, 2))
    assert str(checkpoint.path) in str(caught.value)


def test_files_are_for_whoever_may_read_the_folder(saved):
    checkpoint, _ = saved
    (checkpoint.path.parent / "plain").touch()
    assert checkpoint.path.stat().st_mode == (checkpoint.path.parent / "plain").stat().st_mode


def test_an_interrupted_save_leaves_the_old_checkpoint(saved, monkeypatch):
    checkpoint, model = saved
    before = checkpoint.path.read_bytes()
    monkeypatch.setattr("os.replace", lambda *paths: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        checkpoint.save([], model=model)
    assert checkpoint.path.read_bytes() == before
    assert [path.name for path in checkpoint.path.parent.iterdir()] == ["checkpoint.pt"]


def test_nan_stops_with_the_step_and_the_term():
    assert checked(1, {"loss": torch.tensor(2.0), "KL": torch.tensor(0.5)}) == {"loss": 2.0, "KL": 0.5}
    terms = {"mnist": torch.tensor(1.0), "KL": torch.tensor(float("nan")), "loss": torch.tensor(float("inf"))}
    with pytest.raises(DivergenceError, match=r"step 7: KL is nan, loss is inf\b"):
        checked(7, terms)


def test_a_kl_of_the_wrong_sign_stops_and_rounding_does_not():
    assert checked(0, {"KL": torch.tensor(-1e-5), "loss": torch.tensor(-3.0)})["loss"] == -3
    with pytest.raises(DivergenceError, match=r"KL own is -2, and a KL divergence is never negative.*sign of the KL"):
        checked(3, {"KL own": torch.tensor(-2.0), "loss": torch.tensor(1.0)})


def test_what_stops_a_training_is_shown_in_one_line():
    assert DivergenceError("step 3")._render_traceback_() == ["DivergenceError: step 3"]


def test_agreement_is_the_integral_that_the_notebook_names():
    """For each pair of posteriors, log of the integral of q1 q2 / p, here by summing over a grid, in two dimensions."""
    torch.manual_seed(0)
    mu1, mu2 = torch.randn(2, 3, 2, dtype=torch.float64)
    logvar1, logvar2 = -torch.rand(2, 3, 2, dtype=torch.float64) - 0.1  # no expert is less sure than the prior
    z = torch.linspace(-12, 12, 4001, dtype=torch.float64)

    def density(mu, logvar):
        return torch.distributions.Normal(mu[..., None], (logvar / 2).exp()[..., None]).log_prob(z)  # (3, 2, 4001)

    prior = torch.distributions.Normal(0.0, 1.0).log_prob(z)
    products = density(mu1, logvar1)[:, None] + density(mu2, logvar2) - prior  # (3, 3, 2, 4001)
    scores = products.exp().sum(-1).mul(z[1] - z[0]).log().sum(-1)
    partner = torch.arange(3)
    both_ways = nn.functional.cross_entropy(scores, partner) + nn.functional.cross_entropy(scores.T, partner)
    torch.testing.assert_close(agreement_loss((mu1, logvar1), (mu2, logvar2)), both_ways / 2)


def test_generations_teach_the_decoders_only():
    torch.manual_seed(0)
    model = OwnDimensionsVAE(product_with_prior)
    before = {name: buffer.clone() for name, buffer in model.encode_svhn.named_buffers()}
    generation_loss(model, torch.randn(8, 20)).backward()
    for encoder in model.encode_mnist, model.encode_svhn:
        assert all(weight.grad is None and weight.requires_grad for weight in encoder.parameters())
        assert encoder.training
    for decoder in model.decode_mnist, model.decode_svhn:
        assert any(weight.grad is not None and weight.grad.abs().sum() > 0 for weight in decoder.parameters())
    assert all(torch.equal(buffer, before[name]) for name, buffer in model.encode_svhn.named_buffers())


def test_the_loop_stops_before_nan_reaches_the_weights():
    """With an objective that breaks in its fifth step."""
    steps = []

    def objective(model, x_mnist, x_svhn, t):
        mu, _ = model.posteriors(x_mnist, x_svhn)[0]
        kl = mu.square().sum() * (float("nan") if len(steps) == 4 else 1.0)
        steps.append([weight.detach().clone() for weight in model.parameters()])
        return {"loss": kl + 1.0, "MNIST": mu.sum(), "KL": kl}

    model = OwnDimensionsVAE(product_with_prior)
    run = iter(Training(model, PairBatches(PairedDataset, load_views("test")), objective, 2, 3))
    next(run)
    with pytest.raises(DivergenceError, match=r"step 4: loss is nan, KL is nan, gradient is nan") as caught:
        next(run)
    assert "MNIST" not in str(caught.value)
    assert all(torch.equal(now, then) for now, then in zip(model.parameters(), steps[-1], strict=True))


def test_an_interrupted_run_goes_on_where_it_stopped(capsys, monkeypatch):
    """In the middle of the second epoch; the steps that were taken count, and none is taken twice."""
    monkeypatch.setattr(training, "watched", lambda: True)
    times = []

    def objective(model, x_mnist, x_svhn, t):
        times.append(round(6 * t))
        if len(times) == 6:
            raise KeyboardInterrupt
        return {"loss": model.posteriors(x_mnist, x_svhn)[0][0].square().sum()}

    model = OwnDimensionsVAE(product_with_prior)
    run = Training(model, PairBatches(PairedDataset, load_views("test")), objective, 2, 3)
    seen = []
    with pytest.raises(KeyboardInterrupt):
        seen += iter(run)
    assert "not begun" not in str(run)
    assert times == [0, 1, 2, 3, 4, 5]
    assert list(run) == [2]
    assert times == [0, 1, 2, 3, 4, 5, 5]
    assert list(run) == []
    assert len(run.history) == 2
    assert list(run.losses.index) == [1, 2]
    shown = capsys.readouterr().out
    assert "epoch 2 of 2:  67%" in shown  # the bar begins where the epoch stopped


def test_nobody_sees_a_bar_in_an_automatic_run(capsys):
    model = OwnDimensionsVAE(product_with_prior)
    run = Training(model, PairBatches(PairedDataset, load_views("test")), recipe(), 1, 1)
    for _ in run:
        print(run)
    assert capsys.readouterr().out.startswith("epoch 1 of 1: loss ")
    assert in_words(3, 12, {"loss": 1.0, "seconds": 2.0}) == "epoch  3 of 12: loss 1.0"


def test_an_estimate_of_the_time_changes_nothing(views):
    def run(estimates):
        torch.manual_seed(0)
        model = OwnDimensionsVAE(product_with_prior, width=4)
        training = Training(model, PairBatches(PairedDataset, views, batch=16), recipe(), 2, 5)
        found = [training.minutes_left(tried=3)] if estimates else []
        for _ in training:
            found += [training.minutes_left(tried=3)] if estimates else []
        return found, training.history[-1]["loss"]

    minutes, loss = run(estimates=True)
    assert minutes[0] > 0 < minutes[1]
    assert minutes[2] == 0
    assert loss == run(estimates=False)[1]
