"""Figures carry their alternative text, and go to the notebook and to a file alike."""

import numpy as np
import pandas as pd
import pytest
import torch

from lab_utils import figures
from lab_utils.metrics import linear_probe
from lab_utils.training import stack_pairs


@pytest.fixture
def shown(monkeypatch):
    images = []
    monkeypatch.setattr(figures, "display", images.append)
    return images


PAIRS = [(torch.rand(1, 32, 32), torch.rand(3, 32, 32), i % 10) for i in range(30)]


@pytest.mark.parametrize(
    ("draw", "alt"),
    [
        (
            lambda: figures.show_rows({"a": torch.rand(3, 1, 32, 32), "b": torch.rand(3, 3, 32, 32)}, "T", "rows"),
            "a, b",
        ),
        (lambda: figures.show_pairs(PAIRS), "MNIST, SVHN"),
        (lambda: figures.show_pairs_per_digit(range(10), range(10), range(10)), "per digit"),
        (lambda: figures.show_product_1d((0, 1, 3, 0.5), (0, 1, 0, 1)), "product"),
        (lambda: figures.show_product_2d(), "ellipse"),
        (lambda: figures.show_curves(pd.DataFrame({"loss": [3.0, 2.0], "KL": [1.0, 2.0]})), "loss, KL"),
        (lambda: figures.show_tsne(torch.randn(40, 20), np.arange(40) % 10), "digit"),
    ],
)
def test_figures_are_shown_with_alternative_text_and_written(draw, alt, shown, tmp_path, monkeypatch):
    monkeypatch.setenv("LAB_RESULTS", str(tmp_path / "results"))
    draw()
    (image,) = shown
    assert alt in image.alt
    (path,) = (tmp_path / "results").glob("*.png")
    assert path.read_bytes() == image.data


def test_without_lab_results_nothing_is_written(shown, tmp_path, monkeypatch):
    monkeypatch.delenv("LAB_RESULTS", raising=False)
    monkeypatch.chdir(tmp_path)
    figures.show_product_2d()
    assert not list(tmp_path.iterdir())


def test_mosaic_puts_images_side_by_side():
    images = torch.zeros(2, 1, 32, 32)
    images[1] = 1
    picture = figures.mosaic(images)
    assert picture.shape == (32, 64, 3)
    assert picture[:, :32].max() == 0
    assert picture[:, 32:].min() == 1


def test_linear_probe_reads_what_is_linear_and_not_what_is_absent():
    generator = torch.Generator().manual_seed(0)
    labels = np.arange(600) % 10
    means = torch.eye(20)[labels] + 0.1 * torch.randn(600, 20, generator=generator)
    assert linear_probe(means[:400], labels[:400], means[400:], labels[400:]) == 1.0
    noise = torch.randn(600, 20, generator=generator)
    assert linear_probe(noise[:400], labels[:400], noise[400:], labels[400:]) < 0.3


def test_stack_pairs_keeps_the_order():
    mnist, svhn, labels = stack_pairs(PAIRS)
    assert torch.equal(mnist[7], PAIRS[7][0])
    assert torch.equal(svhn[7], PAIRS[7][1])
    assert labels.tolist() == [label for _, _, label in PAIRS]
