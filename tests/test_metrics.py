"""The metrics know a good model from a bad one, one view from the other, and chance from skill."""

import subprocess

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.distributions import Bernoulli, Normal, kl_divergence

from lab_utils import load_views, shared
from lab_utils.data import hold_out
from lab_utils.errors import LabError
from lab_utils.judges import Judge, Judges, load_judges
from lab_utils.metrics import (
    LabelledPairs,
    active_dimensions,
    coherence,
    cross_coherence,
    decode,
    draw_from_learned_prior,
    elbo_terms,
    evaluate,
    joint_coherence,
    linear_probe,
    posteriors,
    read_reconstructions,
)


class Reader(nn.Module):
    """A classifier of images whose brightness is their digit: (digit + 1/2) / 10."""

    def forward(self, images):
        return -(images.mean((1, 2, 3))[:, None] * 10 - 0.5 - torch.arange(10.0)).abs()  # (N, 10)


JUDGES = Judges(Judge(nn.Sequential(Reader()), 1.0), Judge(nn.Sequential(Reader()), 1.0))


class Toy(nn.Module):
    """A model that writes the digit into z[0]: (digit - 4.5) / 2. Each of its parts can be broken."""

    def __init__(self, blind=(), deaf=()):
        super().__init__()
        self.blind, self.deaf = blind, deaf  # views whose encoder, whose decoder knows nothing of the digit
        self.weight = nn.Parameter(torch.zeros(1))

    def encode(self, view, x):
        brightness = x.mean((1, 2, 3)) if view not in self.blind else torch.rand(len(x))
        return torch.stack([(brightness * 10 - 5) / 2, torch.zeros(len(x))], 1), torch.full((len(x), 2), -12.0)

    def posteriors(self, x_mnist, x_svhn):
        mnist, svhn = self.encode("mnist", x_mnist), self.encode("svhn", x_svhn)
        return mnist, mnist, svhn

    def draw(self, view, channels, z):
        brightness = z[:, 0] * 2 + 5 if view not in self.deaf else 10 * torch.rand(len(z))
        return (brightness / 10).clamp(0.01, 0.99)[:, None, None, None].expand(-1, channels, 32, 32)

    def decode_mnist(self, z):
        return self.draw("mnist", 1, z)

    def decode_svhn(self, z):
        return self.draw("svhn", 3, z)


def toy_pairs(count=2000):
    """Return pairs of plain images: the digit is the brightness."""
    labels = torch.arange(count) % 10
    brightness = ((labels + 0.5) / 10)[:, None, None, None]
    mnist, svhn = (brightness.expand(-1, channels, 32, 32).clone() for channels in (1, 3))
    return LabelledPairs(mnist, svhn, labels.numpy())


@pytest.fixture
def pairs():
    torch.manual_seed(0)
    return toy_pairs()


def test_a_model_that_keeps_the_digit_is_coherent(pairs):
    results = cross_coherence(Toy(), JUDGES, pairs)
    assert {name: value.micro for name, value in results.items()} == dict.fromkeys(
        [f"{source}_to_{target}" for source in ("mnist", "svhn", "joint") for target in ("mnist", "svhn")], 1.0
    )
    assert joint_coherence(Toy(), JUDGES, torch.randn(1000, 2)).coherence == 1.0


def test_shuffled_labels_are_at_chance(pairs):
    shuffled = pairs._replace(labels=np.random.default_rng(0).permutation(pairs.labels))
    for value in cross_coherence(Toy(), JUDGES, shuffled).values():
        assert value.micro == pytest.approx(0.1, abs=0.03)
        assert value.macro == pytest.approx(0.1, abs=0.03)


@pytest.mark.parametrize(
    ("broken", "at_chance"),
    [
        ({"blind": ("mnist",)}, {f"{source}_to_{view}" for source in ("mnist", "joint") for view in ("mnist", "svhn")}),
        ({"blind": ("svhn",)}, {"svhn_to_mnist", "svhn_to_svhn"}),
        ({"deaf": ("mnist",)}, {"svhn_to_mnist", "mnist_to_mnist", "joint_to_mnist"}),
        ({"deaf": ("svhn",)}, {"mnist_to_svhn", "svhn_to_svhn", "joint_to_svhn"}),
    ],
)
def test_each_coherence_looks_at_its_own_encoder_and_decoder(pairs, broken, at_chance):
    results = cross_coherence(Toy(**broken), JUDGES, pairs)
    assert {name for name, value in results.items() if value.micro < 0.2} == at_chance
    assert all(value.micro == 1.0 for name, value in results.items() if name not in at_chance)


def test_joint_coherence_sees_decoders_that_do_not_agree():
    torch.manual_seed(0)
    value = joint_coherence(Toy(deaf=("svhn",)), JUDGES, torch.randn(10_000, 2)).coherence
    assert value == pytest.approx(0.1, abs=0.03)


def test_a_model_that_draws_one_digit_is_coherent_and_has_no_variety():
    always = joint_coherence(Toy(), JUDGES, torch.tensor([[1.25, 0.0]]).expand(500, 2))  # (7 - 4.5) / 2
    assert always.coherence == 1.0
    assert always.digits == (0,) * 7 + (1.0, 0, 0)
    assert always.variety == 0.0
    each = joint_coherence(Toy(), JUDGES, torch.stack([(torch.arange(500) % 10 - 4.5) / 2, torch.zeros(500)], 1))
    assert each.variety == pytest.approx(1.0)
    assert sum(each.digits) == pytest.approx(1.0)


def test_a_learned_prior_draws_shared_dimensions_where_the_codes_are_and_the_others_from_the_prior():
    torch.manual_seed(0)
    corners = torch.tensor([[2.0, 2.0], [-2.0, 2.0], [0.0, -3.0]])
    means = corners.repeat(200, 1) + 0.1 * torch.randn(600, 2)
    z = draw_from_learned_prior(means, dimensions=4, draws=4000)
    nearest = torch.cdist(z[:, :2], corners).min(1)
    assert nearest.values.max() < 1.0  # N(0, I) would put most of its draws between them
    assert np.bincount(nearest.indices) / 4000 == pytest.approx([1 / 3] * 3, abs=0.05)
    assert z[:, 2:].mean(0).tolist() == pytest.approx([0, 0], abs=0.1)
    assert z[:, 2:].std(0).tolist() == pytest.approx([1, 1], abs=0.1)
    assert draw_from_learned_prior(means[:20], 4, 10).shape == (10, 4)  # too few for three Gaussians: one


def test_micro_counts_images_and_macro_counts_digits():
    labels = np.array([0] * 8 + [1] * 2)
    read = np.array([0] * 8 + [7] * 2)  # right for all eight zeros and for neither one
    value = coherence(read, labels)
    assert value.micro == 0.8
    assert value.macro == 0.5
    assert value.per_class[:2] == (1.0, 0.0)
    assert all(np.isnan(value.per_class[2:]))


def test_each_judge_reads_its_own_view(pairs):
    class Confused(nn.Module):
        def forward(self, images):
            return F.one_hot(torch.full((len(images),), images.shape[1]), 10).float()  # the number of channels

    judges = Judges(Judge(nn.Sequential(Confused()), 1.0), JUDGES.svhn)
    ones = LabelledPairs(pairs.mnist[1::10], pairs.svhn[1::10], pairs.labels[1::10])
    results = cross_coherence(Toy(), judges, ones)
    assert {value.micro for value in results.values()} == {1.0}  # a swapped judge would read 3, or stop
    assert joint_coherence(Toy(), judges, torch.randn(1000, 2)).coherence < 0.2


def test_elbo_terms_are_those_of_torch_distributions(pairs):
    model, few = Toy(), LabelledPairs(pairs.mnist[:10], pairs.svhn[:10], pairs.labels[:10])
    terms = elbo_terms(model, few)["svhn"]
    mu, logvar = posteriors(model, few)["svhn"]
    torch.testing.assert_close(
        terms["kl"], float(kl_divergence(Normal(mu, (logvar / 2).exp()), Normal(0, 1)).sum() / 10), rtol=1e-4, atol=0
    )
    drawn = decode(model, mu)  # the posterior is narrow: a draw is its mean, nearly
    expected = -Bernoulli(drawn["mnist"], validate_args=False).log_prob(few.mnist).sum() / 10
    assert terms["mnist"] == pytest.approx(float(expected), rel=0.01)
    assert terms["svhn"] == pytest.approx(float((drawn["svhn"] - few.svhn).square().sum() / 10), abs=0.5)


def test_active_dimensions_are_those_that_vary():
    mu = torch.zeros(100, 5)
    mu[:, 1] = torch.linspace(-1, 1, 100)
    mu[:, 3] = 7.0  # far from zero, and always the same
    assert active_dimensions(mu) == 1


def test_linear_probe_reads_what_is_linear_and_not_what_is_absent():
    generator = torch.Generator().manual_seed(0)
    labels = np.arange(600) % 10
    means = torch.eye(20)[labels] + 0.1 * torch.randn(600, 20, generator=generator)
    assert linear_probe(means[:400], labels[:400], means[400:], labels[400:]) == 1.0
    noise = torch.randn(600, 20, generator=generator)
    assert linear_probe(noise[:400], labels[:400], noise[400:], labels[400:]) < 0.3


def test_joint_reconstructions_decode_the_mean_and_are_read_for_each_view(pairs):
    class Vague(Toy):
        def posteriors(self, x_mnist, x_svhn):
            return tuple((mu, torch.full_like(mu, 2.0)) for mu, _ in super().posteriors(x_mnist, x_svhn))

    assert read_reconstructions(Vague(), JUDGES, pairs) == {"mnist": 1.0, "svhn": 1.0}
    assert cross_coherence(Vague(), JUDGES, pairs)["joint_to_mnist"].micro < 0.5
    assert read_reconstructions(Vague(deaf=("svhn",)), JUDGES, pairs)["svhn"] < 0.2


def test_evaluate_gives_the_same_numbers_and_leaves_model_and_generator_alone(pairs):
    model = Toy(blind=("mnist",)).train()
    state = torch.get_rng_state()
    first, second = (evaluate(model, JUDGES, pairs, pairs) for _ in range(2))
    assert first == second
    assert first["linear_probes"]["svhn"] > 0.9 > 0.2 > first["linear_probes"]["mnist"]
    assert first["judges"] == {"mnist": 1.0, "svhn": 1.0}
    assert first["joint"] == first["joint_learned_prior"] == 1.0
    # N(0, 1) in z[0] draws the digits in the middle most; the codes of the pairs have all ten alike.
    assert first["variety"]["joint"] < 0.95 < first["variety"]["joint_learned_prior"]
    assert first["digits_drawn"]["joint"][0] < 0.03
    assert model.training
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("steps", ["", "1"], ids=["trained", "kept, in a short run"])
def test_judges_read_real_held_out_digits(steps, tmp_path_factory, monkeypatch):
    monkeypatch.setenv("LAB_STEPS", steps)
    monkeypatch.setenv("LAB_DATA_DIR", str(tmp_path_factory.getbasetemp() / "judges"))
    state = torch.get_rng_state()
    judges = load_judges(load_views("train"), load_views("test"))
    assert judges.mnist.accuracy >= 0.97
    assert judges.svhn.accuracy >= 0.98
    assert torch.equal(torch.get_rng_state(), state)
    assert not any(weight.requires_grad for judge in judges for weight in judge.network.parameters())
    assert not any(judge.network.training for judge in judges)


def test_judges_of_a_short_run_are_not_kept(tmp_path, monkeypatch):
    views, _ = hold_out(load_views("test"), share=0.8)
    monkeypatch.setenv("LAB_DATA_DIR", str(tmp_path))
    load_judges(views, views)
    assert list(tmp_path.iterdir()) == []


def test_judges_for_all_kernels_are_trained_once_and_in_full(tmp_path, monkeypatch):
    started, statuses = [], [1, 0]

    def run(command, **how):
        started.append((command[-1], how["env"]))
        return subprocess.CompletedProcess(command, statuses.pop(0), "", "Traceback\nOSError: no space")

    monkeypatch.setattr(shared, "drawn_data", lambda: tmp_path)
    monkeypatch.setattr(shared.subprocess, "run", run)
    monkeypatch.setenv("NBGRADER_EXECUTION", "autograde")
    with pytest.raises(LabError, match="the judges could not be trained: OSError: no space"):
        shared.drawn_data_and_judges()
    assert shared.drawn_data_and_judges() == shared.drawn_data_and_judges() == tmp_path
    _, (code, environment) = started
    assert environment["LAB_DATA_DIR"] == str(tmp_path)
    assert not {"LAB_STEPS", "NBGRADER_EXECUTION"} & environment.keys()
    given = []
    monkeypatch.setattr("lab_utils.load_views", lambda split: split)
    monkeypatch.setattr("lab_utils.judges.load_judges", lambda *views: given.append(views))
    exec(code)
    assert given == [("train", "test")]
