"""Checks of `mixture_log_density(z, mu, logvar) -> log_density`."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from autograder.cross_view import references
from nbverdict.checks.diagnosis import (
    LAYOUTS,
    Mistake,
    Wrong,
    backward,
    compare,
    compare_gradient,
    describe,
    each_expanded,
    expect_any_layout,
    keeps_dtype,
    keeps_precision,
    naming_layout,
    needs_no_gradient,
    same,
    tensors,
    untouched,
)

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
    mu = torch.randn(count, batch, dimensions, generator=generator)
    logvar = 4 * torch.rand(count, batch, dimensions, generator=generator) - 2
    return torch.randn(batch, dimensions, generator=generator), mu, logvar


def draw_near(generator: torch.Generator, count: int, batch: int, dimensions: int, low: float, high: float) -> Inputs:
    """Return z as if drawn from the first component, with log-variances from `low` to `high`."""
    z, mu, logvar = draw(generator, count, batch, dimensions)
    logvar = low + (high - low) * torch.rand(logvar.shape, generator=generator)
    logvar[:, :2, 0], logvar[:, 1:3, -1] = low, high  # the ends themselves, so that a bound shows for every seed
    return mu[0] + (logvar[0] / 2).exp() * z, mu, logvar


def shifted(inputs: Inputs, by: float) -> Inputs:
    """Return the inputs with z and the means moved by a number."""
    z, mu, logvar = inputs
    return z + by, mu + by, logvar


def level(inputs: Inputs) -> Inputs:
    """Return the inputs with log-variances that are the same in all dimensions."""
    z, mu, logvar = inputs
    return z, mu, logvar[..., :1].expand_as(logvar)


def call(answer: Answer, *inputs: Tensor) -> Tensor:
    """Call the answer with copies of the inputs and return its tensor."""
    z, mu, logvar = (tensor.clone(memory_format=torch.contiguous_format) for tensor in inputs)
    (log_density,) = tensors(answer(z, mu, logvar), "log_density")
    found: Tensor = log_density
    return found


def mistakes(inputs: Inputs) -> list[Mistake]:
    """Return typical wrong formulas and their values, in float64."""
    z, mu, logvar = (tensor.double() for tensor in inputs)
    right = references.mixture_log_density(*inputs)
    count, dimensions = len(mu), z.shape[1]
    constant = math.log(2 * math.pi)
    square = (z - mu).square()
    each = -0.5 * (square / logvar.exp() + logvar + constant)  # (K, B, D)
    components = each.sum(-1)
    gaussian = "A Gaussian's log-density is -(log(2 pi) + logvar + (z - mu)^2 / exp(logvar)) / 2 in each dimension."
    mixture = "An even mixture is the mean of the densities: subtract log K, once."

    def mixed(log_densities: Tensor) -> Tensor:
        return log_densities.logsumexp(0) - math.log(count)

    return [
        Mistake(
            "the density is not divided by the number of components",
            mixture,
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
            gaussian,
            right + dimensions * math.log(2 * math.pi) / 2,
        ),
        Mistake(
            "the log-variance is missing: a wide Gaussian is lower",
            gaussian,
            mixed((each + logvar / 2).sum(-1)),
        ),
        Mistake(
            "the log-variance counts twice: half of it is the logarithm of the standard deviation",
            gaussian,
            mixed((each - logvar / 2).sum(-1)),
        ),
        Mistake(
            "the half before the squared distance is missing",
            gaussian,
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
        Mistake("log K is added, not subtracted", mixture, right + 2 * math.log(count)),
        *(
            Mistake(
                "the K of log K is not the number of components", mixture, right + math.log(count) - math.log(other)
            )
            for other in (2, 3, len(z), dimensions)
        ),
        Mistake("log K is taken to base 2", mixture, right + math.log(count) - math.log2(count)),
        Mistake("the half is missing altogether", gaussian, mixed(2 * components)),
        Mistake(
            "you took the likeliest component instead of the mean of all", STABLE, components.amax(0) - math.log(count)
        ),
        Mistake("the constant is 2 pi, not its logarithm", gaussian, right + dimensions * (constant / 2 - math.pi)),
        Mistake(
            "the normaliser has the variance in place of its logarithm",
            gaussian,
            mixed((each + logvar / 2 - logvar.exp() / 2).sum(-1)),
        ),
        Mistake(
            "not every component counts",
            "Mix all of the first dimension of mu.",
            references.mixture_log_density(z, mu[:-1], logvar[:-1]) if count > 1 else right,
        ),
        Mistake(
            "this is one Gaussian with the mean and variance of the mixture, not the mixture",
            "Average the densities, not the means and variances.",
            references.mixture_log_density(
                z, mu.mean(0, keepdim=True), (logvar.exp().mean(0) + mu.var(0, correction=0)).log()[None]
            ),
        ),
        Mistake("log K is subtracted twice", mixture, right - math.log(count)),
        Mistake("log K is subtracted in each dimension", mixture, right - (dimensions - 1) * math.log(count)),
        Mistake("K is subtracted, not log K", mixture, right + math.log(count) - count),
        Mistake("the logarithm is divided by K; the density is", mixture, (right + math.log(count)) / count),
        Mistake("the squared distance has the wrong sign", gaussian, mixed((each + square / logvar.exp()).sum(-1))),
        Mistake("the log-variance has the wrong sign", gaussian, mixed((each + logvar).sum(-1))),
        Mistake(
            "you took the log-variance for the log of the precision throughout",
            gaussian,
            references.mixture_log_density(z, mu, -logvar),
        ),
        Mistake(
            "the squared distance is divided by the standard deviation, not by the variance",
            gaussian,
            mixed((-0.5 * (square / (logvar / 2).exp() + logvar + constant)).sum(-1)),
        ),
        Mistake(
            "the squared distance is not divided by the variance",
            gaussian,
            mixed((-0.5 * (square + logvar + constant)).sum(-1)),
        ),
        Mistake(
            "the distance is not squared",
            gaussian,
            mixed((-0.5 * ((z - mu).abs() / logvar.exp() + logvar + constant)).sum(-1)),
        ),
        Mistake("the means are added to z, not subtracted", gaussian, references.mixture_log_density(z, -mu, logvar)),
        Mistake(
            "the constant log(2 pi) counts once, not once for each dimension",
            gaussian,
            right + (dimensions - 1) * constant / 2,
        ),
        Mistake("the half of log(2 pi) is missing", gaussian, right - dimensions * constant / 2),
        Mistake("the constant log(2 pi) has the wrong sign", gaussian, right + dimensions * constant),
        Mistake("the constant is log(pi), not log(2 pi)", gaussian, right + dimensions * math.log(2) / 2),
        Mistake("this is the logarithm to base 2", "Every logarithm here is the natural one.", right / math.log(2)),
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
    """Inputs of any size and layout give one number for each z, shape (B,); they and the dtype stay as they are."""
    for low, high in ((-2.0, 2.0), (-8.0, 8.0)):
        expect_untouched(mixture_log_density, draw_near(generator, 3, 4, 5, low, high))
    expect_untouched(mixture_log_density, draw(generator, 1, 4, 5))
    for count, batch, dimensions in (
        *((3, 7, 20), (1, 4, 3), (5, 1, 2), (2, 5, 1), (1, 1, 1), (4, 4, 4), (2, 300, 2)),
        *((64, 2, 3), (2, 3, 128), (40, 1, 1), (3, 4, 67)),
    ):
        inputs = draw(generator, count, batch, dimensions)
        with naming_layout(f"z of shape {(batch, dimensions)} and {count} components"):
            got = call(mixture_log_density, *inputs)
        if got.shape != (batch,):
            raise Wrong(
                expected=f"a tensor of shape ({batch},) from z of shape {(batch, dimensions)} and components of shape "
                f"{(count, batch, dimensions)}",
                got=describe(got),
                cause="the sum over the dimensions or the mean over the components is missing"
                if got.numel() > batch
                else "a squeeze or a sum takes the batch away, too",
                hint="Sum over the dimensions (dim=-1), then mix the components (dim=0).",
            )
    for count, batch, dimensions in ((3, 1500, 4), (5, 5, 5)):
        expect_rows_apart(mixture_log_density, draw(generator, count, batch, dimensions))
    inputs = draw(generator, 3, 4, 5)
    ways: tuple[tuple[str, Callable[..., Any]], ...] = (
        *LAYOUTS,
        ("components that are all the same, expanded", lambda z, m, v: (z, m[:1].expand_as(m), v[:1].expand_as(v))),
        *each_expanded("z", "means", "log-variances"),
        ("z that is the first mean, and one tensor for means and log-variances", lambda z, m, v: (m[0], m, m)),
    )
    expect_any_layout(
        ("log-density",), ways, inputs, lambda z, m, v: tensors(mixture_log_density(z, m, v), "log_density")
    )
    for count, batch, dimensions, scale in (
        (3, 4, 5, 3.0),
        (20, 4, 5, 3.0),
        (40, 4, 5, 3.0),
        (3, 8, 70, 3.0),
        (3, 8, 5, 1.0),
    ):
        double = tuple(tensor.double() / scale for tensor in draw(generator, count, batch, dimensions))
        got = call(mixture_log_density, double[0], double[1], double[2])
        keeps_dtype("log-density", got, torch.float64)
        keeps_precision("log-density", got, references.mixture_log_density(double[0], double[1], double[2]))
    zero = torch.zeros(4, 5, dtype=torch.float64)
    shares = torch.stack([zero, zero + 2.6]), torch.stack([zero, zero])  # the second component is 17 nats less likely
    got = call(mixture_log_density, zero, *shares)
    keeps_precision("log-density", got, references.mixture_log_density(zero, *shares))
    keeps_dtype("log-density", call(mixture_log_density, *inputs), torch.float32)


def expect_rows_apart(answer: Answer, inputs: Inputs) -> None:
    """Raise `Wrong` unless the first and the last z have alone the log-density that they have among the others."""
    z, mu, logvar = inputs
    whole = call(answer, *inputs)
    for rows in (slice(0, 1), slice(-2, None)):
        alone = call(answer, z[rows].clone(), mu[:, rows].contiguous(), logvar[:, rows].contiguous())
        cause = "the same z by itself has another log-density: a size is fixed, or others count, too"
        hint = "Each z has components of its own; no line needs to know how many there are."
        compare(f"log-density of some of {len(z)} z", whole[rows], alone.detach(), cause=cause, hint=hint)


def expect_untouched(answer: Answer, inputs: Inputs) -> None:
    """Raise `Wrong` unless a call leaves the numbers of its inputs as they were; the answer itself compares them."""
    z, mu, logvar = given = [tensor.clone() for tensor in inputs]
    needs_no_gradient(*tensors(answer(z, mu, logvar), "log_density"))
    flat = torch.zeros_like(inputs[1])

    def density(point: Tensor) -> Tensor:
        """Return the log-densities of one point in each row, under standard normals around 1."""
        return torch.stack([call_with(answer, row, flat + 1, flat) for row in point])

    def call_with(answer: Answer, *parts: Tensor) -> Tensor:
        return tensors(answer(parts[0], parts[1].clone(), parts[2].clone()), "log_density")[0].detach()  # type: ignore[no-any-return]

    for name, held, copy in zip(("z", "mu", "logvar"), given, inputs, strict=True):
        untouched(name, lambda one: density(one if one.ndim == 3 else one[None]), held, copy.clone())


@pytest.mark.points(2)
def test_one_component(mixture_log_density: Answer, generator: torch.Generator) -> None:
    """A mixture of one component is that Gaussian."""
    inputs = draw(generator, 1, 8, 5)
    compare_density(call(mixture_log_density, *inputs), inputs)


@pytest.mark.points(2)
def test_mixture(mixture_log_density: Answer, generator: torch.Generator) -> None:
    """Mixtures of three and of seven components, sharp and wide ones, and the stored values."""
    z, mu, logvar = usual = draw(generator, 3, 8, 4)
    compare_density(call(mixture_log_density, *usual), usual)
    for inputs in (
        draw_near(generator, 3, 8, 4, -8, 0),
        draw_near(generator, 3, 8, 4, 0, 8),
        draw_near(generator, 40, 8, 2, -1, 1),
        draw_near(generator, 64, 8, 2, -1, 1),
        draw_near(generator, 64, 8, 128, -2, 2),
        draw(generator, 4, 8, 67),
        draw(generator, 2, 1, 1),
        (mu[0], mu, logvar),  # each z is the first mean
        (mu[2], mu, logvar),
        draw_near(generator, 3, 8, 128, -8, -6),
        draw_near(generator, 3, 8, 128, 6, 8),
        draw_near(generator, 3, 8, 128, 7, 7),  # components that are about as likely, and all below float32
        *(
            shifted(draw_near(generator, *sizes, -6, -4), 300.0)
            for sizes in ((3, 8, 4), (40, 8, 4), (3, 100, 4), (3, 8, 128))
        ),
        shifted(level(draw_near(generator, 40, 8, 4, -6, -4)), 300.0),
        draw_near(generator, 7, 20, 30, -8, 0),
    ):
        compare_density(
            call(mixture_log_density, *inputs),
            inputs,
            cause="a clamp, a small constant or float16 changes the result where a component is very sharp or wide",
            hint="Leave it out: a density may be more than 1, and exp(±8) is an ordinary number.",
        )
    for case in references.golden()["mixture_log_density"]:
        z, components = torch.tensor([case["z"]]), torch.tensor(case["components"])[:, None]
        right = torch.tensor([float(case["log_density"])], dtype=torch.float64)
        got = call(mixture_log_density, z, components[..., 0], components[..., 1])
        compare("log-density", got, right, cause=CAUSE, hint=HINT)


@pytest.mark.points(1)
def test_equal_components(mixture_log_density: Answer, generator: torch.Generator) -> None:
    """Components that are all equal change nothing: a mixture of four copies is the one Gaussian."""
    z, mu, logvar = draw(generator, 1, 8, 4)
    for far in (0.0, 30.0):
        inputs = (z + far, mu.repeat(4, 1, 1), logvar.repeat(4, 1, 1))
        compare_density(call(mixture_log_density, *inputs), inputs)


@pytest.mark.points(1)
def test_far(mixture_log_density: Answer, generator: torch.Generator) -> None:
    """Far from all components the log-density is very low, and still a number, and so is its gradient."""
    z, mu, logvar = draw(generator, 3, 8, 20)
    ordinary = draw(generator, 3, 8, 20)
    usual = same(call(mixture_log_density, *ordinary), references.mixture_log_density(*ordinary))
    for far in (40, 3):  # the gradient is taken where float32 still tells the components apart
        inputs = (z + far, mu, logvar - 2)
        compare_density(
            call(mixture_log_density, *inputs),
            inputs,
            cause="a clamp or a small constant changes the result far from all components" if usual else CAUSE,
            hint=STABLE if usual else HINT,
        )
    compare_gradients(mixture_log_density, inputs)
    one_far = mu.clone()
    one_far[0] += 1000
    single = draw(generator, 1, 4, 3)
    for inputs in ((z, one_far, logvar), shifted_z(single, 300.0), shifted_z(single, 2000.0)):
        compare_density(
            call(mixture_log_density, *inputs),
            inputs,
            cause="a bound changes the result far from a component" if usual else CAUSE,
            hint=STABLE if usual else HINT,
        )
    compare_gradients(mixture_log_density, shifted_z(single, 300.0))


def shifted_z(inputs: Inputs, by: float) -> Inputs:
    """Return the inputs with z moved by a number."""
    z, mu, logvar = inputs
    return z + by, mu, logvar


@pytest.mark.points(1)
def test_gradients(mixture_log_density: Answer, generator: torch.Generator) -> None:
    """Gradients reach z, the means and the log-variances, large ones whole, also where z is a mean."""
    z, mu, logvar = usual = draw(generator, 3, 4, 5)
    level = torch.full_like(mu, 0.25)
    for inputs in (
        usual,
        (z, mu, level),
        (z, level, logvar),
        (z, mu, 0 * mu),
        (0 * z, mu, logvar),
        (z[:1].repeat(4, 1), mu, logvar),
        (z, mu[:, :1].repeat(1, 4, 1), logvar[:, :1].repeat(1, 4, 1)),
        (z, mu[:1].repeat(3, 1, 1), logvar[:1].repeat(3, 1, 1)),
        (z.double(), mu.double(), logvar.double()),
        draw(generator, 1, 4, 5),
        draw(generator, 3, 1, 5),
        draw(generator, 1, 1, 1),
        (mu[0], mu[:1], logvar[:1]),
        draw_near(generator, 3, 4, 5, -8, -6),
        draw_near(generator, 3, 4, 5, 6, 8),
    ):
        compare_gradients(mixture_log_density, inputs)
    for learned in range(3):
        compare_gradients(mixture_log_density, usual, (learned,))
    compare_gradients(mixture_log_density, draw_near(generator, 3, 4, 5, -8, -6), scale=1e3)
    compare_gradients(mixture_log_density, usual, then=draw(generator, 3, 4, 5))


def compare_gradients(
    answer: Answer,
    inputs: Inputs,
    learned: tuple[int, ...] = (0, 1, 2),
    *,
    scale: float = 1.0,
    then: Inputs | None = None,
) -> None:
    """Compare the gradients of a weighted sum of log-densities at the learned inputs with those of the formula.

    The answer is called with `then` before backward, as where one loss has several terms.
    """
    weights = scale * torch.linspace(1, 3, len(inputs[0]))
    z, mu, logvar = right = [tensor.double().clone().requires_grad_() for tensor in inputs]
    (weights * references.mixture_log_density(z, mu, logvar)).sum().backward()
    z, mu, logvar = given = [tensor.clone().requires_grad_(i in learned) for i, tensor in enumerate(inputs)]
    (got,) = tensors(answer(z, mu, logvar), "log_density")
    if then:
        answer(*(tensor.clone().requires_grad_() for tensor in then))
    if got.shape != weights.shape:
        raise Wrong(
            expected=f"log-densities of shape {tuple(weights.shape)}",
            got=describe(got),
            cause="the sum over the dimensions or the mean over the components is missing, or is one too many",
            hint="Sum over the dimensions (dim=-1), then mix the components (dim=0).",
        )
    backward((weights * got).sum())
    for i in learned:
        compare_gradient(("z", "mu", "logvar")[i], given[i].grad, right[i].grad, overflow=STABLE)
