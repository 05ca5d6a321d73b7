"""How good a multi-view model is: coherence read by independent classifiers, linear probes, ELBO terms.

Everything takes any `MultiViewModel` and held-out pairs. Where MultiVae (Senellart et al. 2025) has the same
metric, the docstring says how the two relate.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from lab_utils.judges import CHUNK, Judges

Gaussian = tuple[Tensor, Tensor]  # mean and log-variance, each (N, D)
POSTERIORS = ("joint", "mnist", "svhn")


class MultiViewModel(Protocol):
    """The lab's model, as far as the metrics know it. A decoder maps z (N, D) to images (N, C, 32, 32) in (0, 1)."""

    decode_mnist: Callable[[Tensor], Tensor]
    decode_svhn: Callable[[Tensor], Tensor]
    training: bool

    def posteriors(self, x_mnist: Tensor, x_svhn: Tensor, /) -> tuple[Gaussian, Gaussian, Gaussian]:
        """Return the joint, the MNIST and the SVHN posterior of images (N, C, 32, 32)."""
        ...

    def train(self, mode: bool = True, /) -> Any: ...

    def parameters(self) -> Iterator[nn.Parameter]: ...


class LabelledPairs(NamedTuple):
    """Pairs as tensors, as `lab_utils.batches.stack_pairs` returns them."""

    mnist: Tensor  # (N, 1, 32, 32), float32 in [0, 1]
    svhn: Tensor  # (N, 3, 32, 32), float32 in [0, 1]
    labels: NDArray[np.int64]  # (N,)


class Coherence(NamedTuple):
    """The share (0..1) of generated images in which a judge reads the digit that was given."""

    micro: float  # of all images
    per_class: tuple[float, ...]  # of the images of each given digit 0..9; NaN for a digit that was never given

    @property
    def macro(self) -> float:
        """The mean over the digits that were given, each counting the same."""
        return float(np.nanmean(self.per_class))


class JointCoherence(NamedTuple):
    """How often both views of one z are read as the same digit, and which digits these are."""

    coherence: float  # share (0..1) of the draws
    digits: tuple[float, ...]  # share (0..1) of each digit 0..9 among the draws that are coherent; zeros if none is

    @property
    def variety(self) -> float:
        """The entropy of the digits drawn, as a share (0..1) of the most that ten can have, log 10."""
        shares = np.array([share for share in self.digits if share > 0])
        return float(-(shares * np.log(shares)).sum() / np.log(10)) + 0.0  # of one digit 0, not -0


def sample(posterior: Gaussian) -> Tensor:
    """Draw z (N, D) from N(mu, exp(logvar)), one for each row."""
    mu, logvar = posterior
    return mu + (logvar / 2).exp() * torch.randn_like(mu)


@contextmanager
def _evaluating(model: MultiViewModel) -> Iterator[torch.device]:
    """Put the model into evaluation mode, without gradients, and give its device."""
    training = model.training
    model.train(False)
    try:
        with torch.no_grad():
            yield next(model.parameters()).device
    finally:
        model.train(training)


def posteriors(model: MultiViewModel, pairs: LabelledPairs) -> dict[str, Gaussian]:
    """Return the joint, MNIST and SVHN posterior of pairs, each (mu, logvar) of shape (N, D), by name."""
    with _evaluating(model) as device:
        chunks = zip(pairs.mnist.split(CHUNK), pairs.svhn.split(CHUNK), strict=True)
        parts = [model.posteriors(x_mnist.to(device), x_svhn.to(device)) for x_mnist, x_svhn in chunks]
    gaussians = [tuple(map(torch.cat, zip(*posterior, strict=True))) for posterior in zip(*parts, strict=True)]
    return {name: (mu, logvar) for name, (mu, logvar) in zip(POSTERIORS, gaussians, strict=True)}


def decode(model: MultiViewModel, z: Tensor) -> dict[str, Tensor]:
    """Return both views drawn from each z (N, D): {"mnist": (N, 1, 32, 32), "svhn": (N, 3, 32, 32)}."""
    with _evaluating(model):
        return {
            view: torch.cat([decoder(chunk) for chunk in z.split(CHUNK)])
            for view, decoder in (("mnist", model.decode_mnist), ("svhn", model.decode_svhn))
        }


def coherence(read: NDArray[np.int64], labels: NDArray[np.int64]) -> Coherence:
    """Return how often the digits (N,) read in generated images are the labels (N,) of the images they came from."""
    right = read == labels
    per_class = (right[labels == digit] for digit in range(10))
    return Coherence(float(right.mean()), tuple(float(r.mean()) if len(r) else float("nan") for r in per_class))


def cross_coherence(model: MultiViewModel, judges: Judges, pairs: LabelledPairs) -> dict[str, Coherence]:
    """Return the coherence of each view drawn from each posterior: "mnist_to_svhn" and so on.

    One z is drawn for each input, and one image of either view from it, as MultiVae does by default; its evaluator has
    reported the macro average in some releases, and the micro average in others. "mnist_to_mnist" and "svhn_to_svhn"
    say whether a view rebuilt from itself stays recognisable, "joint_to_mnist" and "joint_to_svhn" the same of a view
    rebuilt from both.
    """
    given = posteriors(model, pairs)
    results = {}
    for source in ("mnist", "svhn", "joint"):
        drawn = decode(model, sample(given[source]))
        for target, judge in judges._asdict().items():
            results[f"{source}_to_{target}"] = coherence(judge.read(drawn[target]), pairs.labels)
    return results


def read_reconstructions(model: MultiViewModel, judges: Judges, pairs: LabelledPairs) -> dict[str, float]:
    """Return the share (0..1) of joint reconstructions in which a judge reads the digit, for each view.

    A joint reconstruction decodes the mean of the joint posterior; `cross_coherence` decodes a draw from it.
    """
    rebuilt = decode(model, posteriors(model, pairs)["joint"][0])
    return {view: coherence(judge.read(rebuilt[view]), pairs.labels).micro for view, judge in judges._asdict().items()}


def joint_coherence(model: MultiViewModel, judges: Judges, z: Tensor) -> JointCoherence:
    """Return how often the two views of each z (N, D) are read as the same digit, and how the digits are spread.

    For z from N(0, I) the first is what MultiVae calls joint coherence. A model that only ever draws one digit would
    score 1 there, and 0 in `variety`.
    """
    drawn = decode(model, z)
    mnist, svhn = judges.mnist.read(drawn["mnist"]), judges.svhn.read(drawn["svhn"])
    agreed = np.bincount(mnist[mnist == svhn], minlength=10)
    shares = agreed / max(agreed.sum(), 1)
    return JointCoherence(float((mnist == svhn).mean()), tuple(map(float, shares)))


def draw_from_learned_prior(means: Tensor, dimensions: int, draws: int, components: int = 30, seed: int = 0) -> Tensor:
    """Return z (draws, dimensions) whose shared dimensions come from a density learned after training.

    `means` (N, S) are the joint means of training pairs in the S shared dimensions, which come first; a mixture of at
    most `components` Gaussians is fitted to them by expectation maximisation, without labels (a density fitted to the
    codes after training, as Ghosh et al. 2020 do for a deterministic autoencoder). The other dimensions come from
    N(0, 1), and from torch's global generator.
    """
    from sklearn.mixture import GaussianMixture  # here: it takes a second

    points = means.detach().cpu().double().numpy()
    # With fewer than 60 points for each, a component would describe single points.
    components = max(1, min(components, len(points) // 60))
    mixture = GaussianMixture(components, reg_covar=1e-4, max_iter=1000, random_state=seed).fit(points)
    z = torch.randn(draws, dimensions, device=means.device)
    z[:, : points.shape[1]] = torch.from_numpy(mixture.sample(draws)[0])
    return z


def linear_probe(train: Tensor, train_labels: NDArray[np.int64], test: Tensor, test_labels: NDArray[np.int64]) -> float:
    """Return the accuracy (0..1) with which a linear classifier reads the digit of held-out latent means.

    `train` and `test` are latent means (N, D); multinomial logistic regression on standardised dimensions (Alain and
    Bengio 2016).
    """
    from sklearn.linear_model import LogisticRegression  # here: these take a second
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    classifier = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    classifier.fit(train.detach().cpu().numpy(), train_labels)
    return float(classifier.score(test.detach().cpu().numpy(), test_labels))


def active_dimensions(mu: Tensor, threshold: float = 0.01) -> int:
    """Return how many dimensions of posterior means (N, D) vary with the input: variance above `threshold`.

    Burda, Grosse and Salakhutdinov 2016, section 5.2.
    """
    return int((mu.var(0) > threshold).sum())


def kl_per_dimension(posterior: Gaussian) -> Tensor:
    """Return KL(q || N(0, 1)) of each dimension (D,), in nats, mean over the inputs."""
    mu, logvar = posterior
    return 0.5 * (mu.square() + logvar.exp() - 1 - logvar).mean(0)


def elbo_terms(model: MultiViewModel, pairs: LabelledPairs) -> dict[str, dict[str, float]]:
    """Return the terms of the ELBO under each posterior: {"joint": {"mnist": ..., "svhn": ..., "kl": ...}, ...}.

    One z is drawn for each pair. "mnist" is the binary cross entropy in nats, "svhn" the squared error, both summed
    over pixels, "kl" in nats, all as unweighted means over the pairs. Under the posterior of one view, the other
    view's term is the error of a guess that has seen one view only.
    """
    terms = {}
    for name, posterior in posteriors(model, pairs).items():
        drawn = decode(model, sample(posterior))
        mnist = F.binary_cross_entropy(drawn["mnist"], pairs.mnist.to(drawn["mnist"].device), reduction="sum")
        svhn = F.mse_loss(drawn["svhn"], pairs.svhn.to(drawn["svhn"].device), reduction="sum")
        n, kl = len(pairs.labels), kl_per_dimension(posterior).sum()
        terms[name] = {"mnist": float(mnist) / n, "svhn": float(svhn) / n, "kl": float(kl)}
    return terms


def evaluate(
    model: MultiViewModel,
    judges: Judges,
    train: LabelledPairs,
    test: LabelledPairs,
    draws: int = 10_000,
    seed: int = 0,
) -> dict[str, Any]:
    """Return every metric of the model on held-out pairs; the linear classifiers are fitted on `train`.

    These are the coherences by name (micro, with `macro` and `per_class` beside them), `joint` of that many draws from
    N(0, I), `joint_learned_prior` of as many from `draw_from_learned_prior`, fitted on `train`, the `variety` and the
    `digits_drawn` of both, `reconstructions` of both views, `linear_probe` (of the joint mean) and `linear_probes` (of
    each posterior's mean), `elbo_terms`, `active_dimensions`, and `judges`, the accuracy of the classifiers, beyond
    which a higher coherence means nothing. All dimensions are shared, unless the model says how many are: `shared`.
    `seed` fixes what is drawn; the global generator stays as it was.
    """
    device = next(model.parameters()).device
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        known, held_out = posteriors(model, train), posteriors(model, test)
        cross = cross_coherence(model, judges, test)
        probes = {
            name: linear_probe(known[name][0], train.labels, held_out[name][0], test.labels) for name in POSTERIORS
        }
        dimensions = held_out["joint"][0].shape[1]
        shared = known["joint"][0][:, : getattr(model, "shared", dimensions)]
        joint = {
            "joint": joint_coherence(model, judges, torch.randn(draws, dimensions, device=device)),
            "joint_learned_prior": joint_coherence(
                model, judges, draw_from_learned_prior(shared, dimensions, draws, seed=seed)
            ),
        }
        return {
            **{name: value.micro for name, value in cross.items()},
            **{name: value.coherence for name, value in joint.items()},
            "variety": {name: value.variety for name, value in joint.items()},
            "digits_drawn": {name: list(value.digits) for name, value in joint.items()},
            "reconstructions": read_reconstructions(model, judges, test),
            "linear_probe": probes["joint"],
            "linear_probes": probes,
            "macro": {name: value.macro for name, value in cross.items()},
            "per_class": {name: list(value.per_class) for name, value in cross.items()},
            "elbo_terms": elbo_terms(model, test),
            "active_dimensions": {name: active_dimensions(mu) for name, (mu, _) in held_out.items()},
            "judges": {view: judge.accuracy for view, judge in judges._asdict().items()},
        }


def in_a_row(metrics: Mapping[str, Any]) -> str:
    """Return the numbers by which models are compared as one line: coherences and linear probe (0..1)."""
    names = {"mnist_to_svhn": "MNIST→SVHN", "svhn_to_mnist": "SVHN→MNIST", "joint": "joint", "linear_probe": "probe"}
    return "   ".join(f"{label} {metrics[name]:.3f}" for name, label in names.items())
