"""Checks of `mixture_log_density(z, mu, logvar) -> log_density`."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from autograder.checking.diagnosis import Mistake, Wrong, backward, compare, compare_gradient, describe, tensors
from autograder.cross_view import references

EXERCISE = {"answer": "mixture_log_density"}

Answer = Callable[[Tensor, Tensor, Tensor], Any]
Inputs = tuple[Tensor, Tensor, Tensor]  # z, mu, logvar

CAUSE = "the result is not the log-density of the even mixture"
HINT = (
    "Do the case by hand: at z = 0 in one dimension, the standard normal density is 0.3989, its logarithm -0.9189. "
    "Mixed with N(2, 1), whose density there is 0.0540, it is log((0.3989 + 0.0540) / 2) = -1.485."
)
STABLE = "torch.logsumexp over the components is log(sum(exp(...))) without leaving the logarithms."


def draw(generator: torch.Generator, count: int, batch: int, dimensions: int) -> Inputs:
    """Return z (B, D) and the means and log-variances (K, B, D) of components around it."""
    mu, logvar = torch.randn(2, count, batch, dimensions, generator=generator)
    return torch.randn(batch, dimensions, generator=generator), mu, logvar


def call(answer: Answer, *inputs: Tensor) -> Tensor:
    """Call the answer with copies of the inputs and return its tensor."""
    z, mu, logvar = (tensor.clone() for tensor in inputs)
    (log_density,) = tensors(answer(z, mu, logvar), "log_density")
    found: Tensor = log_density
    return found


def mistakes(inputs: Inputs) -> list[Mistake]:
    """Return typical wrong formulas and their values, in float64."""
    z, mu, logvar = (tensor.double() for tensor in inputs)
    right = references.mixture_log_density(*inputs)
    count, dimensions = len(mu), z.shape[1]
    square = (z - mu).square()
    each = -0.5 * (square / logvar.exp() + logvar + math.log(2 * math.pi))  # (K, B, D)
    components = each.sum(-1)

    def mixed(log_densities: Tensor) -> Tensor:
        return log_densities.logsumexp(0) - math.log(count)

    return [
        Mistake(
            "the density is not divided by the number of components",
            "An even mixture is the mean of the densities: subtract log K.",
            right + math.log(count),
        ),
        Mistake(
            "you averaged the log-densities; a mixture averages the densities",
            STABLE,
            components.mean(0),
        ),
        Mistake("you added the log-densities: that is a product, not a mixture", STABLE, components.sum(0)),
        Mistake(
            "you mixed each dimension on its own; a component is a density over all dimensions",
            "Sum over the dimensions first, then mix the components.",
            mixed(each).sum(-1),
        ),
        Mistake(
            "you took the likeliest component instead of the mean of all",
            STABLE,
            components.amax(0),
        ),
        Mistake("you returned the density, not its logarithm", STABLE, right.exp()),
        Mistake("the sign is turned: this is minus the log-density", "A log-density is log p, not -log p.", -right),
        Mistake(
            "the constant log(2 pi) of the Gaussian is missing",
            "A Gaussian's log-density is -(log(2 pi) + logvar + (z - mu)^2 / exp(logvar)) / 2 in each dimension.",
            right + dimensions * math.log(2 * math.pi) / 2,
        ),
        Mistake(
            "the log-variance is missing: a wide Gaussian is lower",
            "A Gaussian's log-density is -(log(2 pi) + logvar + (z - mu)^2 / exp(logvar)) / 2 in each dimension.",
            mixed((each + logvar / 2).sum(-1)),
        ),
        Mistake(
            "the log-variance counts twice: half of it is the logarithm of the standard deviation",
            "A Gaussian's log-density is -(log(2 pi) + logvar + (z - mu)^2 / exp(logvar)) / 2 in each dimension.",
            mixed((each - logvar / 2).sum(-1)),
        ),
        Mistake(
            "the half before the squared distance is missing",
            "A Gaussian's log-density is -(log(2 pi) + logvar + (z - mu)^2 / exp(logvar)) / 2 in each dimension.",
            mixed((each - 0.5 * square / logvar.exp()).sum(-1)),
        ),
        Mistake(
            "you took exp(logvar) for the standard deviation",
            "The variance is exp(logvar), the standard deviation exp(logvar / 2).",
            references.mixture_log_density(z, mu, 2 * logvar),
        ),
        Mistake(
            "you took the log-variance for the log of the precision",
            "The squared distance is divided by exp(logvar).",
            mixed((-0.5 * (square * logvar.exp() + logvar + math.log(2 * math.pi))).sum(-1)),
        ),
        Mistake(
            "you took the mean over the dimensions, not the sum",
            "The dimensions are independent: their densities multiply, their logarithms add.",
            mixed(each.mean(-1)),
        ),
        Mistake("you returned the log-density of the first component only", "All components count.", components[0]),
        Mistake("you returned the log-density of the last component only", "All components count.", components[-1]),
        Mistake(
            "this is one Gaussian with the components' average mean and log-variance, not a mixture",
            "Average the densities, not the means and variances.",
            references.mixture_log_density(z, mu.mean(0, keepdim=True), logvar.mean(0, keepdim=True)),
        ),
    ]


def compare_density(got: Tensor, inputs: Inputs, *, cause: str = CAUSE, hint: str = HINT) -> None:
    """Compare log-densities with the reference, and name the mistake."""
    right = references.mixture_log_density(*inputs)
    if got.shape == right.shape and not got.isfinite().all():
        cause, hint = "the densities are so small that exp makes them 0, and the logarithm of 0 is infinite", STABLE
    compare("log-density", got, right, mistakes=mistakes(inputs), cause=cause, hint=hint)


@pytest.mark.points(1)
def test_shapes(mixture_log_density: Answer, generator: torch.Generator) -> None:
    """Any number of components gives one number for each z: shape (B,)."""
    for count, batch, dimensions in ((3, 7, 20), (1, 4, 3), (5, 1, 2), (2, 5, 1)):
        got = call(mixture_log_density, *draw(generator, count, batch, dimensions))
        if got.shape != (batch,):
            raise Wrong(
                expected=f"a tensor of shape ({batch},) from z of shape {(batch, dimensions)} and components of shape "
                f"{(count, batch, dimensions)}",
                got=describe(got),
                cause="the sum over the dimensions or the mean over the components is missing",
                hint="Sum over the dimensions (dim=-1), then mix the components (dim=0).",
            )


@pytest.mark.points(2)
def test_one_component(mixture_log_density: Answer, generator: torch.Generator) -> None:
    """A mixture of one component is that Gaussian."""
    inputs = draw(generator, 1, 8, 5)
    compare_density(call(mixture_log_density, *inputs), inputs)


@pytest.mark.points(2)
def test_mixture(mixture_log_density: Answer, generator: torch.Generator) -> None:
    """A mixture of three components, and the stored values."""
    inputs = draw(generator, 3, 8, 4)
    compare_density(call(mixture_log_density, *inputs), inputs)
    for case in references.golden()["mixture_log_density"]:
        z, components = torch.tensor([case["z"]]), torch.tensor(case["components"])[:, None]
        right = torch.tensor([float(case["log_density"])], dtype=torch.float64)
        got = call(mixture_log_density, z, components[..., 0], components[..., 1])
        compare("log-density", got, right, cause=CAUSE, hint=HINT)


@pytest.mark.points(1)
def test_equal_components(mixture_log_density: Answer, generator: torch.Generator) -> None:
    """Components that are all equal change nothing: a mixture of four copies is the one Gaussian."""
    z, mu, logvar = draw(generator, 1, 8, 4)
    inputs = (z, mu.repeat(4, 1, 1), logvar.repeat(4, 1, 1))
    compare_density(call(mixture_log_density, *inputs), inputs)


@pytest.mark.points(1)
def test_far(mixture_log_density: Answer, generator: torch.Generator) -> None:
    """Far from all components the log-density is very low, and still a number."""
    z, mu, logvar = draw(generator, 3, 8, 20)
    inputs = (z + 40, mu, logvar - 2)
    compare_density(call(mixture_log_density, *inputs), inputs)


@pytest.mark.points(1)
def test_gradients(mixture_log_density: Answer, generator: torch.Generator) -> None:
    """Gradients reach z, the means and the log-variances."""
    inputs = draw(generator, 3, 4, 5)
    z, mu, logvar = right = [tensor.double().requires_grad_() for tensor in inputs]
    references.mixture_log_density(z, mu, logvar).sum().backward()
    z, mu, logvar = given = [tensor.clone().requires_grad_() for tensor in inputs]
    total = tensors(mixture_log_density(z, mu, logvar), "log_density")[0].sum()
    if total.requires_grad:
        backward(total)
    for name, got, want in zip(("z", "mu", "logvar"), given, right, strict=True):
        compare_gradient(name, got.grad, want.grad)
