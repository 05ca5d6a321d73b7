"""Figures carry their alternative text, and go to the notebook and to a file alike."""

import re

import numpy as np
import pandas as pd
import pytest
import torch

from lab_utils import figures
from lab_utils.batches import stack_pairs
from tests.test_metrics import JUDGES, Toy, toy_pairs


@pytest.fixture
def shown(monkeypatch):
    images = []
    monkeypatch.setattr(figures, "display", images.append)
    return images


LABELLED = toy_pairs()
PAIRS = [(torch.rand(1, 32, 32), torch.rand(3, 32, 32), i % 10) for i in range(30)]


@pytest.mark.parametrize(
    ("draw", "alt"),
    [
        (
            lambda: figures.show_rows({"a": torch.rand(3, 1, 32, 32), "b": torch.rand(3, 3, 32, 32)}, "T", "rows"),
            "a, b",
        ),
        (lambda: figures.show_pairs(PAIRS), "MNIST, SVHN"),
        (lambda: figures.show_pairs_per_digit(range(10), range(10), range(10)), "as many pairs as its rarer view"),
        (lambda: figures.show_pairs_per_digit(range(10), range(10), [0] * 10), "Not as many pairs .* digit 1, 2, 3"),
        (lambda: figures.show_product_1d((0, 1, 3, 0.5), (0, 1, 0, 1)), "product"),
        (lambda: figures.show_product_2d(), "ellipse"),
        (lambda: figures.show_product_live(), "product"),  # nobody watches: a still figure
        (lambda: figures.show_curves(pd.DataFrame({"loss": [3.0, 2.0], "KL": [1.0, 2.0]})), "loss, KL"),
        (
            lambda: figures.show_tsne({"a": torch.randn(40, 6), "b": torch.randn(40, 6)}, np.arange(40) % 10, "T"),
            "a, b",
        ),
        (lambda: figures.show_cross_domain(Toy(), JUDGES, LABELLED), "digit read"),
        (lambda: figures.show_interpolation(Toy(), LABELLED), "handwriting above house numbers"),
        (lambda: figures.show_dimensions(Toy(), LABELLED, shared=1), "each latent dimension"),
    ],
)
def test_figures_are_shown_with_alternative_text_and_written(draw, alt, shown, tmp_path, monkeypatch):
    monkeypatch.setenv("LAB_RESULTS", str(tmp_path / "results"))
    draw()
    (image,) = shown
    assert re.search(alt, image.alt)
    (path,) = (tmp_path / "results").glob("*.png")
    assert path.read_bytes() == image.data


def test_whoever_watches_gets_an_alternative_text_that_jupyterlab_shows_and_sliders(shown, monkeypatch):
    monkeypatch.setattr(figures, "watched", lambda: True)
    figures.show_rows({"<a>": torch.rand(3, 1, 32, 32)}, "T", "rows")
    assert 'alt="T. Rows from top to bottom: &lt;a&gt;."' in shown.pop().data
    figures.show_product_live()
    box = shown.pop()
    sliders = [slider for column in box.children[0].children for slider in column.children]
    assert [slider.description for slider in sliders] == ["mean 1", "variance 1", "mean 2", "variance 2"]
    titles = []
    monkeypatch.setattr(figures, "show", lambda figure, name, alt: titles.append(figure.axes[0].lines[0].get_label()))
    sliders[0].value = 2.0
    assert titles == ["N(2, 1)"]


def test_pictures_say_when_and_leave_the_training_alone(shown, monkeypatch):
    model = Toy().train()
    state = torch.get_rng_state()
    figures.show_pictures(model, JUDGES, LABELLED, "after epoch 3")
    assert [image.alt.split(".")[0] for image in shown] == [
        "Joint reconstructions after epoch 3",
        "Random generations after epoch 3: both views from one z",
        "Two grids of images",
    ]
    assert torch.equal(torch.get_rng_state(), state)
    assert model.training


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


def test_stack_pairs_keeps_the_order():
    mnist, svhn, labels = stack_pairs(PAIRS)
    assert torch.equal(mnist[7], PAIRS[7][0])
    assert torch.equal(svhn[7], PAIRS[7][1])
    assert labels.tolist() == [label for _, _, label in PAIRS]


def test_stack_pairs_spreads_what_it_leaves_out():
    _, _, labels = stack_pairs([(torch.zeros(1), torch.zeros(1), i) for i in range(30)], most=3)
    assert labels.tolist() == [0, 14, 29]


def test_titles_count_the_draws_in_which_the_judge_reads_the_given_digit(monkeypatch):
    counts = []

    def count(figure, name, alt):
        titles = [axis.get_title() for axis in figure.axes if axis.get_title()]
        counts.append([int(title.split("alone: ")[1].split()[0]) for title in titles])

    monkeypatch.setattr(figures, "show", count)
    torch.manual_seed(0)
    figures.show_cross_domain(Toy(), JUDGES, LABELLED, draws=3)
    figures.show_cross_domain(Toy(blind=("mnist",)), JUDGES, LABELLED, draws=3)
    assert counts[0] == [30, 30]
    assert counts[1][0] < 15  # drawn from MNIST: by chance
    assert counts[1][1] == 30


def test_dimensions_stand_under_the_views_they_change(monkeypatch):
    drawn = []
    monkeypatch.setattr(figures, "show", lambda figure, name, alt: drawn.append(figure))
    figures.show_dimensions(Toy(), LABELLED, shared=1)
    shown = [axis.get_ylabel() for axis in drawn[0].axes if axis.get_visible()]
    assert shown == ["shared 0", "shared 0"]  # z[1] changes nothing in this model
