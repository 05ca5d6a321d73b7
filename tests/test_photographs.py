"""What photographs need: altered copies that keep the digit, a deeper encoder, and the benchmark that measures them."""

import argparse
import json
import os
import subprocess
import sys

import numpy as np
import pytest
import torch

from benchmarks import real
from lab_utils import load_views, photographs
from lab_utils.batches import PairBatches
from lab_utils.checkpoints import load_state
from lab_utils.data import hold_out
from lab_utils.judges import load_judges
from lab_utils.photographs import PhotographEncoder, altered
from tests.conftest import ROOT


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


def centres(images):
    """Return where the bright spot of each grey image (N, 3, 32, 32) is: row and column, (N, 2)."""
    weight = images.mean(1) ** 4
    weight = weight / weight.sum((1, 2), keepdim=True)
    place = torch.arange(32.0)
    return torch.stack([(weight.sum(2) * place).sum(1), (weight.sum(1) * place).sum(1)], 1)


def spot(count, row, column):
    """Return dark images with one bright spot of three by three pixels."""
    images = torch.zeros(count, 3, 32, 32)
    images[:, :, row - 1 : row + 2, column - 1 : column + 2] = 1.0
    return images


def test_altered_copies_are_images_of_the_same_kind_and_differ():
    images = load_views("test").svhn.images[:64].float() / 255
    copies = altered(images)
    assert copies.shape == images.shape
    assert copies.dtype == torch.float32
    assert copies.is_contiguous(memory_format=torch.channels_last)
    assert 0 <= copies.min() < copies.max() <= 1
    assert not torch.equal(altered(images), copies)
    torch.manual_seed(0)
    assert torch.equal(altered(images), copies)


def test_half_of_the_copies_are_inverted():
    light = altered(torch.full((2000, 3, 32, 32), 0.9)).mean((1, 2, 3))
    assert ((light > 0.5).float().mean() - 0.5).abs() < 0.05


def test_copies_are_moved_a_little_and_never_mirrored():
    # Far from the middle, where a mirrored spot would be on the other side.
    copies = altered(spot(500, 8, 10))
    copies = torch.where(copies.mean((1, 2, 3), keepdim=True) > 0.5, 1 - copies, copies)
    moved = centres(copies) - torch.tensor([8.0, 10.0])
    assert moved.abs().max() < 2 + 0.2 * 8 + 0.5  # the shift, and what scaling moves 8 pixels from the middle
    assert moved.std(0).min() > 0.5


@pytest.mark.parametrize("width", [8, 32])
def test_the_deeper_encoder_gives_an_expert(width):
    encoder = PhotographEncoder(20, width=width)
    mu, logvar = encoder(torch.rand(4, 3, 32, 32))
    assert mu.shape == logvar.shape == (4, 20)
    assert mu.dtype == logvar.dtype == torch.float32
    assert logvar.abs().max() <= 8
    (mu.sum() + logvar.sum()).backward()
    assert all(parameter.grad is not None for parameter in encoder.parameters())


def test_long_epochs_are_fewer():
    assert photographs.epochs(141) == photographs.EPOCHS
    assert photographs.epochs(876) * 876 == pytest.approx(photographs.STEPS, rel=0.02)
    assert photographs.epochs(10**6) == 1


def test_batches_alter_the_house_numbers_and_nothing_else():
    views, _ = hold_out(load_views("test"), share=0.5)

    def first(alter):
        torch.manual_seed(0)
        return next(iter(PairBatches(real.PairedDataset, views, 16, alter=alter)))

    (mnist, svhn), (same, inverted) = first(None), first(lambda images: 1 - images)
    assert torch.equal(mnist, same)
    torch.testing.assert_close(1 - svhn, inverted)


def test_judges_of_photographs_are_deeper_and_kept_apart(tmp_path, monkeypatch):
    views, _ = hold_out(load_views("test"), share=0.5)
    monkeypatch.setenv("LAB_DATA_DIR", str(tmp_path))
    drawn, photographed = (load_judges(views, views, photographs=which) for which in (False, True))
    sizes = [[len(list(judge.network)) for judge in judges] for judges in (drawn, photographed)]
    assert sizes[0][0] == sizes[1][0]  # handwriting is read as before
    assert sizes[0][1] < sizes[1][1]


# The benchmark


@pytest.fixture
def files(tmp_path):
    """Return the arguments of the benchmark for made-up data: 4,000 digits of 1,000 photographs, each of one grey."""
    rng = np.random.default_rng(0)
    house = np.repeat(np.arange(1000), 4)
    grey = (house % 250).astype(np.uint8)
    images = np.broadcast_to(grey[:, None, None, None], (4000, 32, 32, 3))
    labels = rng.permutation(np.arange(4000) % 10) + 1  # 10 means zero
    np.savez(tmp_path / "svhn.npz", X=images, y=labels, house=house, official_file=np.full(4000, "train"))
    folder = tmp_path / "MNIST" / "raw"
    folder.mkdir(parents=True)
    for name, count in (("train", 60_000), ("t10k", 100)):
        for kind, array in (
            ("images-idx3", np.zeros((count, 28, 28), np.uint8)),
            ("labels-idx1", (np.arange(count) % 10).astype(np.uint8)),
        ):
            head = bytes([0, 0, 8, array.ndim]) + b"".join(n.to_bytes(4, "big") for n in array.shape)
            (folder / f"{name}-{kind}-ubyte").write_bytes(head + array.tobytes())
    return {"mnist": tmp_path, "svhn": tmp_path / "svhn.npz"}


def test_no_photograph_is_on_both_sides(files):
    _, digits, house = real.houses(files["svhn"])
    assert set(digits) == set(range(10))
    part = real.parts_by_house(house)
    sides = [set(house[part == i]) for i in range(3)]
    assert not any(first & second for first in sides for second in sides if first is not second)
    assert [int((part == i).sum()) for i in (1, 2)] == [real.HELD_OUT] * 2
    alone = real.parts_by_house(np.arange(4000))  # what a split by row would be: a house on both sides
    assert set(house[alone == 0]) & set(house[alone == 2])


def test_what_chooses_settings_never_sees_the_test_photographs(files, tmp_path):
    written = {}
    for validate in (False, True):
        folder = tmp_path / f"views-{validate}"
        real.write_views(folder, files["mnist"], files["svhn"], None, validate)
        for split in ("train", "test"):
            written[validate, split] = load_views(split, "files", root=folder)
    _, _, house = real.houses(files["svhn"])
    part = real.parts_by_house(house)
    for (validate, split), wanted in {
        (False, "train"): part != 2,
        (False, "test"): part == 2,
        (True, "train"): part == 0,
        (True, "test"): part == 1,
    }.items():
        greys = written[validate, split].svhn.images[:, 0, 0, 0].numpy()
        assert np.array_equal(greys, house[wanted] % 250)
    assert [len(written[True, split].mnist) for split in ("train", "test")] == [50_000, 10_000]
    assert [len(written[False, split].mnist) for split in ("train", "test")] == [60_000, 100]


def test_a_test_file_is_tested_on_and_the_other_trained_on_as_a_whole(files, tmp_path):
    real.write_views(tmp_path / "views", files["mnist"], files["svhn"], files["svhn"], validate=False)
    train, test = (load_views(split, "files", root=tmp_path / "views") for split in ("train", "test"))
    assert len(train.svhn) == len(test.svhn) == 4000


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--models", "recpe"], "no model recpe; there are recipe"),
        (["--change", "bta=1", "--validate"], "'bta' is no setting; they are beta"),
        (["--change", "beta=much", "--validate"], "beta takes a number"),
        (["--change", "beta=1"], "--change goes with --validate"),
        (["--validate"], "name a file of its own with --json"),
        (["--svhn-test", __file__], "name a file of its own with --json"),
        (["--validate", "--json", "runs.json", "--docs"], "--docs goes without --validate"),
    ],
)
def test_mistyped_arguments_say_what_was_expected(files, arguments, message, monkeypatch, capsys):
    given = ["real", "--mnist", str(files["mnist"]), "--svhn", str(files["svhn"]), *arguments]
    monkeypatch.setattr("sys.argv", given)
    with pytest.raises(SystemExit):
        real.arguments()
    assert message in capsys.readouterr().err


def test_missing_files_are_named(files, monkeypatch, capsys, tmp_path):
    for wrong in ({"svhn": tmp_path / "gone.npz"}, {"mnist": tmp_path / "nowhere"}):
        options = [f"--{name}={path}" for name, path in (files | wrong).items()]
        monkeypatch.setattr("sys.argv", ["real", *options])
        with pytest.raises(SystemExit):
            real.arguments()
        assert str(next(iter(wrong.values()))) in capsys.readouterr().err
    np.savez(tmp_path / "other.npz", X=np.zeros(3), y=np.zeros(3))
    with pytest.raises(SystemExit, match="has no array house; it needs X, y, house"):
        real.houses(tmp_path / "other.npz")  # rows are not photographs


def test_settings_are_read_as_what_they_are():
    assert real.change("beta=0.1") == ("beta", 0.1)
    assert real.change("epochs=45") == ("epochs", 45)
    assert real.change("altered=0") == ("altered", False)
    with pytest.raises(argparse.ArgumentTypeError):
        real.change("altered")


def test_runs_of_several_processes_are_kept_and_stand_in_order(tmp_path):
    file = tmp_path / "real.json"
    assert real.finished(file) == {}
    for key in ("dmvae | seed 0", "recipe | seed 1", "core | seed 0", "recipe | seed 0"):
        real.finished(file, {key: {"key": key}})
    assert list(real.finished(file)) == ["recipe | seed 0", "recipe | seed 1", "core | seed 0", "dmvae | seed 0"]


def test_the_page_has_means_spreads_and_cost():
    run = dict.fromkeys(real.COLUMNS, 0.5) | {"pairs": 10_000, "seconds": 90.0}
    run |= {"joint_variety": 0.9, "joint_learned_prior_variety": 0.95, "joint_learned_prior_digits": [0.1] * 9 + [0.05]}
    runs = {f"recipe | seed {seed}": run | {"joint": 0.2 * seed} for seed in range(3)} | {"core | seed 0": run}
    assert "| recipe | 3 | 0.500 ± 0.000 | 0.500 ± 0.000 | 0.200 ± 0.200 |" in real.table(runs)
    assert real.table(runs).endswith("| core | 1 |" + 7 * " 0.500 |" + " 10,000 | 1.5 |")
    assert "| core | 0.900 | 0.950 | 0.050 |" in real.variety(runs)


def test_the_tables_of_the_page_are_those_of_its_runs():
    runs = json.loads((ROOT / "docs" / "real.json").read_text())
    text = (ROOT / "docs" / "real.md").read_text()
    assert real.filled(text, runs) == text
    assert real.filled(text, {key: run | {"joint": 0.0} for key, run in runs.items()}) != text


def test_the_recipe_is_ahead_of_each_peer_with_every_seed_as_the_page_says():
    text = " ".join((ROOT / "docs" / "real.md").read_text().split())
    assert "In each of the three coherences the recipe's lowest seed is above every peer's highest." in text
    runs = json.loads((ROOT / "docs" / "real.json").read_text())
    for name in ("mnist_to_svhn", "svhn_to_mnist", "joint"):
        found = {}
        for key, run in runs.items():
            found.setdefault(key.split(" | ")[0], []).append(run[name])
        recipe = found.pop("recipe")
        assert {len(recipe), *map(len, found.values())} == {3}
        assert min(recipe) > max(max(values) for values in found.values()), name


def test_the_recipe_of_the_notebook_runs_on_two_views_of_ones_own(tmp_path):
    for split in ("train", "test"):
        views = load_views(split)
        rows = torch.arange(0, 1000, 2)
        arrays = {
            "mnist": views.mnist.images[rows, 0].numpy(),
            "mnist_labels": views.mnist.digits[rows].numpy(),
            "svhn": views.svhn.images[rows].numpy(),
            "svhn_labels": views.svhn.digits[rows].numpy(),
        }
        np.savez(tmp_path / f"{split}.npz", **arrays)
    folder = ROOT / "solutions"
    command = [sys.executable, folder / "execute.py", "--to", tmp_path, folder / "cross_view" / "3_agreement.ipynb"]
    there = {"LAB_DATA": "files", "LAB_DATA_DIR": str(tmp_path), "LAB_STEPS": "2", "LAB_RESULTS": str(tmp_path)}
    subprocess.run(command, env=os.environ | there, check=True, capture_output=True)
    text = (tmp_path / "3_agreement.ipynb").read_text()
    assert "2 epochs of 2 steps: about" in text
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert metrics.keys() >= {"joint", "joint_learned_prior", "variety"}
    state = load_state(tmp_path / "checkpoint.pt")
    assert state["settings"]["beta"] == photographs.RECIPE["beta"]
    assert any("encode_svhn.layers.6" in name for name in state["parts"]["model"])  # the second stage's residual block
