"""Checks of `vae_loss(...) -> (loss, recon_mnist, recon_svhn, kl)`."""

import itertools
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any, TypedDict

import numpy as np
import pytest
import torch
from torch import Tensor

from autograder.multiview_vae import references
from autograder.multiview_vae.references import LossParts, pixel
from nbverdict.checks.answers import AnswerError
from nbverdict.checks.diagnosis import (
    NAN,
    NAN_HINT,
    Mistake,
    Wrong,
    backward,
    compare,
    compare_gradient,
    describe,
    keeps_precision,
    naming_layout,
    same,
    untouched,
)

EXERCISE = {"answer": "vae_loss"}

Answer = Callable[..., Any]

ORDER = "(loss, recon_mnist, recon_svhn, kl)"


class Inputs(TypedDict):
    """Everything `vae_loss` can be given: images (B, C, H, W) in [0, 1], mu and logvar (B, D)."""

    x_recon_mnist: Tensor
    x_mnist: Tensor
    x_recon_svhn: Tensor
    x_svhn: Tensor
    mu: Tensor
    logvar: Tensor


def draw(
    generator: torch.Generator,
    batch: int = 5,
    latent: int = 20,
    mnist: tuple[int, int] = (32, 32),
    svhn: tuple[int, int] = (32, 32),
) -> Inputs:
    """Return a random batch, of the lab's own sizes unless others are named.

    Reconstructions stay away from 0 and 1, where the cross entropy ends. An answer that knows no other sizes than the
    lab's loses the points of the check of sizes only.
    """

    def images(*shape: int) -> Tensor:
        return 0.001 + 0.998 * torch.rand(batch, *shape, generator=generator)

    mu, logvar = 4 * torch.rand(2, batch, latent, generator=generator) - 2
    return {
        "x_recon_mnist": images(1, *mnist),
        "x_mnist": images(1, *mnist),
        "x_recon_svhn": images(3, *svhn),
        "x_svhn": images(3, *svhn),
        "mu": mu,
        "logvar": logvar - 0.5,
    }


def extremes(generator: torch.Generator, part: str) -> Iterator[Inputs]:
    """Yield batches as a model gives them early and late: for the KL very sure and very unsure posteriors, and those
    that are the prior or nearly so; for the images black and white pixels, some of them badly rebuilt.

    Each has the furthest values in it, so that a bound changes the result for every seed.
    """
    for furthest in (-20.0, 20.0, 0.0, 0.01) if part == "kl" else (20.0,):
        inputs = draw(generator)
        inputs["logvar"] = furthest * torch.rand(5, 20, generator=generator)
        inputs["logvar"][:, ::4] = furthest
        if abs(furthest) < 1:
            inputs["mu"] = inputs["logvar"].flip(1)
        for image in (inputs["x_mnist"], inputs["x_svhn"]):
            chosen = torch.rand(image.shape, generator=generator) < 0.5
            image[chosen] = image[chosen].round()
        inputs["x_mnist"][0, 0, 0, :2] = torch.tensor([1.0, 0.0])
        for recon in (inputs["x_recon_mnist"], inputs["x_recon_svhn"]):
            recon[:, :, 0, :16] = torch.tensor([1e-6, 1 - 1e-6, 3e-4, 1 - 3e-4]).repeat(4)
        inputs["x_mnist"][:, :, 0, :16] = torch.tensor([1.0, 0.0, 1.0, 0.0]).repeat(4)
        yield inputs
    black = draw(generator)
    for name in ("x_mnist", "x_svhn", "mu"):
        black[name] = torch.zeros_like(black[name])
    yield black
    # Rounded as all its pixels are, this one is off by the same in each seed: rounding does not cancel in the sum.
    level = black.copy()
    level["x_recon_mnist"] = torch.full_like(black["x_recon_mnist"], 0.3003)
    level["x_recon_svhn"] = torch.full_like(black["x_recon_svhn"], 0.3003)
    yield level


def call(answer: Answer, **inputs: Any) -> LossParts:
    """Call the answer with copies of the inputs and return its four scalars."""
    return scalars(answer(**copied(inputs)))


def copied(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Return the inputs with copies of the tensors, so that no call can change what the next one is given."""
    return {name: value.clone() if isinstance(value, Tensor) else value for name, value in inputs.items()}


def scalars(result: object) -> LossParts:
    """Return a result as four scalars, or raise `Wrong`."""
    parts = []
    for name, part in zip(LossParts._fields, four(result), strict=True):
        if isinstance(part, int | float) and not isinstance(part, bool):
            part = torch.tensor(float(part))
        if not (isinstance(part, Tensor) and part.numel() == 1):
            raise Wrong(
                expected=f"{name} as a scalar",
                got=describe(part),
                cause="reduction='none', or a sum over some of the dimensions only"
                if isinstance(part, Tensor)
                else f"{name} is a NumPy number, not a tensor"
                if hasattr(part, "dtype")
                else f"{name} is not a number",
                hint="Sum over pixels or latent dimensions, then take the mean over the batch: one number remains.",
            )
        parts.append(part.reshape(()))
    return LossParts(*parts)


def four(result: object) -> tuple[Any, ...]:
    """Return a result as a tuple of four, or raise `Wrong` if it has not four parts."""
    if isinstance(result, Tensor) and result.ndim and len(result) == 4:
        return tuple(result)  # a stack of four, which unpacks as they do
    if not (isinstance(result, tuple | list) and len(result) == 4):
        raise Wrong(
            expected=f"a tuple of four scalars, {ORDER}",
            got=describe(result),
            cause="the function does not return four values",
            hint=f"End it with `return {ORDER.strip('()')}`.",
        )
    return tuple(result)


@contextmanager
def naming_order(result: object, inputs: Mapping[str, Any]) -> Iterator[None]:
    """Where a comparison fails because the right results stand in another order, say that."""
    try:
        yield
    except Wrong as wrong:
        right = references.vae_loss(**inputs)
        try:
            got = scalars(result)
        except Wrong:
            raise wrong from None
        orders = [o for o in itertools.permutations(range(4)) if all(same(got[i], right[k]) for i, k in enumerate(o))]
        if orders and (0, 1, 2, 3) not in orders:
            raise Wrong(
                expected=ORDER,
                got=f"({', '.join(LossParts._fields[k] for k in orders[0])})",
                cause="the four results are in another order",
                hint=f"End the function with `return {ORDER.strip('()')}`.",
            ) from None
        raise


def scaled(right: Tensor, batch: int, entries: int, channels: int) -> list[Mistake]:
    """Return the mistakes of scale that every term shares."""
    reduce = "Sum over pixels or latent dimensions, then take the mean over the batch: .sum() / len(x)."
    table = [
        Mistake("the sign is wrong: this is minus what it should be", "Every part is positive here.", -right),
        Mistake("you took the mean over the batch and over all entries", reduce, right / entries),
        Mistake("you summed over the batch too; it should be the mean over the batch", reduce, right * batch),
        Mistake("you divided by the batch size twice", reduce, right / batch),
        Mistake("you divided by the batch size less one", reduce, right * batch / (batch - 1) if batch > 1 else right),
        *(
            Mistake("you divided by a fixed batch size", reduce, right * batch / fixed)
            for fixed in (8, 16, 32, 64, 128, 256)
        ),
        *(
            Mistake("a fixed number of entries stands where that of the inputs should", reduce, right / entries * fixed)
            for fixed in (20, 784, 1024, 3072)
            if fixed not in (entries, entries // channels)
        ),
        Mistake("you took the mean over the entries but the sum over the batch", reduce, right * batch / entries),
    ]
    if channels > 1:
        table.append(Mistake("you took the mean over the colour channels", reduce, right / channels))
        per_pixel = right * channels / entries
        table.append(Mistake("you took the mean over the pixels and the sum over the channels", reduce, per_pixel))
    return [mistake for mistake in table if not torch.allclose(mistake.value, right)]


def mnist_mistakes(inputs: Inputs) -> list[Mistake]:
    """Return typical wrong values of the MNIST term, in float64."""
    p, x = inputs["x_recon_mnist"].double(), inputs["x_mnist"].double()
    n = len(x)
    right = references.vae_loss(x_recon_mnist=p, x_mnist=x).recon_mnist
    logits = torch.nn.functional.binary_cross_entropy_with_logits(p, x, reduction="sum") / n
    bce = "Use binary_cross_entropy(x_recon, x, reduction='sum')."
    return [
        *scaled(right, n, x[0].numel(), 1),
        Mistake("this is the squared error; MNIST takes the binary cross entropy", bce, (p - x).square().sum() / n),
        Mistake("this is the absolute error; MNIST takes the binary cross entropy", bce, (p - x).abs().sum() / n),
        Mistake(
            "the reconstruction is a probability already, but was taken for a logit (a second sigmoid)",
            "Use binary_cross_entropy, not binary_cross_entropy_with_logits.",
            logits,
        ),
        Mistake(
            "reconstruction and target are exchanged",
            "The reconstruction is the first argument of binary_cross_entropy, the image the second.",
            -(p * x.log() + (1 - p) * (1 - x).log()).sum() / n,
        ),
        Mistake("the term (1 - x) log(1 - x_recon) is missing", bce, -(x * p.log()).sum() / n),
        Mistake("the logarithm is the one to base 2", "torch.log is the natural logarithm.", right / math.log(2)),
        Mistake("the logarithm is the one to base 10", "torch.log is the natural logarithm.", right / math.log(10)),
        Mistake("this is half the cross entropy", bce, right / 2),
        Mistake(
            "this is the squared error of both views; MNIST takes the binary cross entropy",
            bce,
            (p - x).square().sum() / n / 2,
        ),
        Mistake(
            "the target is made black and white before it is compared",
            "Use x as it is; its grey values are probabilities.",
            references.vae_loss(x_recon_mnist=p, x_mnist=x.round()).recon_mnist,
        ),
        Mistake(
            "the entropy of the target is taken off: this is a KL divergence",
            bce,
            right + (torch.special.xlogy(x, x) + torch.special.xlogy(1 - x, 1 - x)).sum() / n,
        ),
        Mistake(
            "the two logarithms are exchanged: x belongs to log(x_recon), 1 - x to log(1 - x_recon)",
            bce,
            -(x * (1 - p).log() + (1 - x) * p.log()).sum() / n,
        ),
        Mistake("the term x log(x_recon) is missing", bce, -((1 - x) * (1 - p).log()).sum() / n),
        Mistake(
            "the minus sign reaches the first term only",
            "It stands before the whole sum: -(x log(x_recon) + (1 - x) log(1 - x_recon)).",
            (-x * p.log() + (1 - x) * (1 - p).log()).sum() / n,
        ),
    ]


def svhn_mistakes(inputs: Inputs) -> list[Mistake]:
    """Return typical wrong values of the SVHN term, in float64."""
    p, x = inputs["x_recon_svhn"].double(), inputs["x_svhn"].double()
    n = len(x)
    error = (p - x).square()
    mse = "Use mse_loss(x_recon, x, reduction='sum')."
    return [
        *scaled(error.sum() / n, n, x[0].numel(), 3),
        Mistake("this is twice the squared error", mse, 2 * error.sum() / n),
        Mistake("the difference is not squared", mse, (p - x).sum() / n),
        Mistake("the images are scaled to 0..255 first", "Use them as they are, in [0, 1].", 255**2 * error.sum() / n),
        Mistake(
            "you divided by the number of channels, not by the batch size", "len(x) is the batch.", error.sum() / 3
        ),
        Mistake(
            "the reconstruction went through a sigmoid once more",
            "It is a colour in [0, 1] already.",
            (p.sigmoid() - x).square().sum() / n,
        ),
        *(
            Mistake(
                "the constant of a Gaussian's log-density, log(2 pi) / 2 for each entry, is added",
                mse,
                factor * error.sum() / n + 0.5 * math.log(2 * math.pi) * x[0].numel(),
            )
            for factor in (1, 0.5)
        ),
        Mistake("this is half the squared error", "The factor is svhn_weight; leave out the 1/2.", error.sum() / n / 2),
        Mistake("this is the absolute error; SVHN takes the squared error", mse, (p - x).abs().sum() / n),
        Mistake(
            "this is the negative log-density of a Laplace distribution; SVHN takes the squared error",
            mse,
            (p - x).abs().sum() / n + math.log(2) * x[0].numel(),
        ),
        Mistake("this is the root of the squared error", "Leave out the square root.", error.sum().sqrt() / n),
        Mistake(
            "this is the norm of each image's error, not its square",
            "Leave out the square root.",
            error.flatten(1).sum(1).sqrt().mean(),
        ),
        Mistake(
            "this is the binary cross entropy; SVHN takes the squared error",
            mse,
            -(x * p.log() + (1 - x) * (1 - p).log()).sum() / n,
        ),
    ]


def kl_mistakes(inputs: Inputs) -> list[Mistake]:
    """Return typical wrong values of the KL term, in float64."""
    mu, logvar = inputs["mu"].double(), inputs["logvar"].double()
    n = len(mu)
    right = references.vae_loss(mu=mu, logvar=logvar).kl

    def half(terms: Tensor) -> Tensor:
        return 0.5 * terms.sum() / n

    square, var, softplus = mu.square(), logvar.exp(), torch.nn.functional.softplus(logvar)
    formula = "KL = -1/2 * sum(1 + logvar - mu^2 - exp(logvar)), mean over the batch."
    return [
        *scaled(right, n, mu.shape[1], 1),
        Mistake("the factor 1/2 is missing", formula, 2 * right),
        Mistake("the factor 1/2 counts twice, or the KL is halved for two views", formula, right / 2),
        Mistake(
            "the factor -1/2 reaches 1 + logvar only, not mu^2 and exp(logvar)",
            formula,
            half(2 * square + 2 * var - 1 - logvar),
        ),
        Mistake(
            "mu and logvar are averaged over the batch before the formula is applied",
            "Take the KL of each image, then the mean.",
            references.vae_loss(mu=mu.mean(0, keepdim=True), logvar=logvar.mean(0, keepdim=True)).kl,
        ),
        Mistake("mu^2 has the wrong sign", formula, half(var - square - 1 - logvar)),
        Mistake("the term exp(logvar) is missing", formula, half(square - 1 - logvar)),
        Mistake("exp(logvar) has the wrong sign", formula, half(square - 1 - logvar - var)),
        Mistake("logvar stands where exp(logvar) should", formula, half(square - 1)),
        Mistake("mu^2 counts twice", formula, half(var + 2 * square - 1 - logvar)),
        Mistake("exp(logvar) counts twice", formula, half(2 * var + square - 1 - logvar)),
        Mistake("exp(logvar) is squared", formula, half(var**2 + square - 1 - logvar)),
        Mistake("exp(-logvar) stands where exp(logvar) should", formula, half(1 / var + square - 1 - logvar)),
        Mistake("|mu| stands where mu^2 should", formula, half(var + mu.abs() - 1 - logvar)),
        Mistake("the constant 1 counts once, not in each dimension", formula, half(var + square - logvar) - 0.5),
        Mistake("the term mu^2 is missing", formula, half(var - 1 - logvar)),
        Mistake("mu is not squared", formula, half(var + mu - 1 - logvar)),
        Mistake("the constant 1 is missing", formula, half(var + square - logvar)),
        Mistake("the term logvar is missing", formula, half(var + square - 1)),
        Mistake("the sign of logvar is wrong", formula, half(var + square - 1 + logvar)),
        Mistake("logvar was taken for the variance", formula, half(logvar + square - 1 - logvar.abs().log())),
        Mistake(
            "logvar was taken for the standard deviation",
            formula,
            half(logvar**2 + square - 1 - 2 * logvar.abs().log()),
        ),
        Mistake(
            "the variance is softplus(logvar); it is exp(logvar)",
            formula,
            half(softplus + square - 1 - softplus.log()),
        ),
        Mistake(
            "the standard deviation is softplus(logvar); the variance is exp(logvar)",
            formula,
            half(softplus**2 + square - 1 - 2 * softplus.log()),
        ),
        Mistake(
            "logvar was taken for the log of the standard deviation", formula, half(var**2 + square - 1 - 2 * logvar)
        ),
        Mistake(
            "exp(logvar / 2), the standard deviation, stands where the variance should",
            formula,
            half(var.sqrt() + square - 1 - logvar),
        ),
        Mistake(
            "this is KL(prior || posterior); the posterior comes first",
            formula,
            half((1 + square) / var - 1 + logvar),
        ),
        Mistake(
            "you divided by the number of pixels",
            "The KL is summed over the latent dimensions only.",
            right / inputs["x_mnist"][0].numel(),
        ),
    ]


TABLES: Mapping[str, Callable[[Inputs], list[Mistake]]] = MappingProxyType(
    {"recon_mnist": mnist_mistakes, "recon_svhn": svhn_mistakes, "kl": kl_mistakes}
)


EDGES = {
    "recon_mnist": "right for usual pixels, wrong where they are black, white or badly rebuilt",
    "recon_svhn": "right for usual pixels, wrong where they are black or white",
    "kl": "right for usual posteriors, wrong where they are very sure, very unsure, or nearly the prior",
}
INPUT_OF = {"recon_mnist": "x_recon_mnist", "recon_svhn": "x_recon_svhn", "kl": "mu"}


def behaviour(answer: Answer, part: str) -> str | None:
    """Return a cause for a part that is no typical wrong formula, from how it behaves; None if it shows nothing."""
    inputs, others = (draw(torch.Generator().manual_seed(seed), batch=4) for seed in (1, 2))
    name = INPUT_OF[part]
    entries = "dimensions" if part == "kl" else "pixels"
    tensor: Tensor = inputs[name]  # type: ignore[literal-required]
    # Of SVHN, the same pixel in another channel.
    neighbour = -1 - tensor[0, 0].numel() if part == "recon_svhn" else -2

    def value(*places: int, given: Inputs = inputs) -> float:
        """Return the part where the entries at these places are others."""
        moved = given[name].clone().flatten()  # type: ignore[literal-required]
        for place in places:
            moved[place] = moved[place] + 3 if part == "kl" else 0.02 if moved[place] > 0.5 else 0.98
        changed = {**given, name: moved.view(tensor.shape)}
        return float(getattr(call(answer, **changed), part).detach())

    try:
        plain, again, other = value(), value(), value(given=others)
        first, last, near, both = value(0), value(-1), value(neighbour), value(-1, neighbour)
    except (Wrong, AnswerError):
        return None
    right = float(getattr(references.vae_loss(**inputs), part))
    if (times := constant(answer, part)) is not None:
        return f"{part} is {times:.4g} times what its definition gives, for every batch: a factor too many"
    if plain == 0 == other:
        return f"{part} is 0 where all inputs are given: it is not computed"
    if not math.isclose(plain, again, rel_tol=1e-6):
        return "the result is random, or depends on earlier calls"
    if math.isclose(plain, other, rel_tol=1e-6):
        return "the result of an earlier call is returned"
    if math.isclose(plain, right, rel_tol=0.02) and not math.isclose(plain, right, rel_tol=1e-4):
        return "nearly right everywhere: a small constant, a clamp, or numbers of fewer digits"
    if math.isclose(plain, last, rel_tol=1e-5) and math.isclose(plain, first, rel_tol=1e-5):
        return f"{name} is not used"
    if math.isclose(plain, last, rel_tol=1e-5):
        return f"{entries} are left out: the last of the last image does not count"
    if abs(both - last - near + plain) > 1e-2 * (abs(last - plain) + abs(near - plain)):
        return f"{entries} are put together before the formula is applied to each of them"
    return None


def constant(answer: Answer, part: str) -> float | None:
    """Return by what a part is too large if that is the same for batches of several sizes, else None."""
    factors = []
    for seed, batch in enumerate((2, 3, 5)):
        inputs = draw(torch.Generator().manual_seed(seed), batch=batch)
        right = float(getattr(references.vae_loss(**inputs), part))
        factors.append(float(getattr(call(answer, **inputs), part).detach()) / right)
    first = factors[0]
    return first if first and all(math.isclose(first, other, rel_tol=1e-4) for other in factors) else None


def edge(answer: Answer, part: str, inputs: Inputs) -> str:
    """Return a cause for a part that is right for usual inputs, and wrong for these."""
    usual = draw(torch.Generator().manual_seed(1), batch=len(inputs["mu"]))
    if same(getattr(call(answer, **usual), part), getattr(references.vae_loss(**usual), part)):
        return f"{EDGES[part]}: a clamp, a small constant or a special case"
    return "right at first, wrong when it is called again: something of an earlier call is kept"


def compare_with(
    answer: Answer, part: str, got: Tensor, right: Tensor, inputs: Inputs, cause: str | None = None
) -> None:
    """Compare one part, and name its mistake; `cause` is what is known of one that is no typical mistake."""
    if same(got, right):
        return  # without working out what the mistakes would give
    whole = Mistake(
        "this is the whole loss: += on the loss changed the part in place",
        "Write loss = a + b + c; `loss = a` gives the same tensor a second name.",
        references.vae_loss(**inputs).loss,
    )
    compare(
        part,
        got,
        right,
        mistakes=[*TABLES[part](inputs), whole],
        confirm=lambda fits: fits == whole.cause or explains(answer, part, fits),
        cause=NAN if got.isnan() else cause or f"{part} is not what its definition gives",
        hint=NAN_HINT
        if got.isnan()
        else "Compute it by hand for one image of two pixels (or one latent dimension), and compare.",
    )


def explains(answer: Answer, part: str, cause: str) -> bool:
    """Return whether a mistake with this cause also gives what the answer gives for a batch of other sizes."""
    others = draw(torch.Generator().manual_seed(3), 7, 6, (9, 8), (7, 6))
    try:
        got = getattr(call(answer, **others), part)
    except (Wrong, AnswerError):
        return False
    return any(mistake.cause == cause and same(got, mistake.value) for mistake in TABLES[part](others))


def loss_mistakes(right: LossParts, beta: float, svhn_weight: float) -> list[Mistake]:
    """Return typical wrong totals, in float64; of those that a weight of 1 makes equal, the first."""
    _, mnist, svhn, kl = right
    total = "loss = recon_mnist + svhn_weight * recon_svhn + beta * kl."
    table = [
        Mistake("beta is ignored in the total", total, mnist + svhn_weight * svhn + kl),
        Mistake("svhn_weight is ignored in the total", total, mnist + svhn + beta * kl),
        Mistake("beta and svhn_weight are both ignored in the total", total, mnist + svhn + kl),
        Mistake("beta multiplies more than the KL", total, beta * (mnist + svhn_weight * svhn + kl)),
        Mistake("beta multiplies the reconstruction, not the KL", total, beta * (mnist + svhn_weight * svhn) + kl),
        Mistake("svhn_weight multiplies more than the SVHN term", total, svhn_weight * (mnist + svhn) + beta * kl),
        Mistake("svhn_weight multiplies the MNIST term", total, svhn_weight * mnist + svhn + beta * kl),
        Mistake("svhn_weight multiplies the whole loss", total, svhn_weight * (mnist + svhn + beta * kl)),
        Mistake("beta and svhn_weight are exchanged", total, mnist + beta * svhn + svhn_weight * kl),
        Mistake(
            "the KL is subtracted; the loss is minus the ELBO, so it is added",
            total,
            mnist + svhn_weight * svhn - beta * kl,
        ),
        Mistake("this is the ELBO; the loss is minus the ELBO", total, -(mnist + svhn_weight * svhn + beta * kl)),
        Mistake("the KL is missing in the total", total, mnist + svhn_weight * svhn),
        Mistake("the MNIST term is missing in the total", total, svhn_weight * svhn + beta * kl),
        Mistake("the SVHN term is missing in the total", total, mnist + beta * kl),
        Mistake("the total is divided by the number of terms", total, (mnist + svhn_weight * svhn + beta * kl) / 3),
        Mistake("beta is applied twice", total, mnist + svhn_weight * svhn + beta**2 * kl),
        Mistake("svhn_weight is applied twice", total, mnist + svhn_weight**2 * svhn + beta * kl),
    ]
    return [m for i, m in enumerate(table) if not any(same(m.value, before.value) for before in table[:i])]


def belongs(name: str, present: tuple[str, ...]) -> bool:
    """Return whether an argument of `vae_loss` is needed for one of the parts."""
    part = {
        "x_recon_mnist": "recon_mnist",
        "x_mnist": "recon_mnist",
        "x_recon_svhn": "recon_svhn",
        "x_svhn": "recon_svhn",
    }
    return part.get(name, "kl") in present


def compare_loss(
    got: LossParts,
    inputs: Mapping[str, Any],
    beta: float = 1.0,
    svhn_weight: float = 1.0,
    present: tuple[str, ...] = LossParts._fields[1:],
    why: tuple[str, str] | None = None,
    answer: Answer | None = None,
) -> None:
    """Compare the total with the returned parts and with the right ones of these inputs; either will do.

    So a part that is wrong costs its own points only, whether the total counts what is returned or what is right.

    `why` is cause and hint where they are known; else those of a typical wrong total are looked for, and then what the
    total of the `answer` counts.
    """
    if got.loss.isnan():
        why = NAN, NAN_HINT
    cause, hint = why or (
        "the total is not the weighted sum of the three parts",
        "loss = recon_mnist + svhn_weight * recon_svhn + beta * kl.",
    )
    for name in present:
        if getattr(got, name).item() == 0:
            raise Wrong(
                expected=f"{name} of this random batch to be more than 0",
                got=f"{name} = 0",
                cause=f"{name} is not computed",
                hint="Compute the part first; the total follows.",
            )
    parts = LossParts(*(part.detach().double() for part in got))
    right = parts.recon_mnist + svhn_weight * parts.recon_svhn + beta * parts.kl
    needs = needed(inputs, present)
    if same(got.loss, right) or same(got.loss, references.vae_loss(**needs, beta=beta, svhn_weight=svhn_weight).loss):
        return  # without working out what the mistakes would give
    mistakes = [] if why else loss_mistakes(parts, beta, svhn_weight)
    only = "" if len(present) == 3 else f", given {' and '.join(present)} only"
    if answer and not why:
        cause = counted(answer, beta, svhn_weight, present) or cause

    def confirm(fits: str) -> bool:
        if answer is None:
            return True
        others = needed(draw(torch.Generator().manual_seed(3), batch=7), present)
        try:
            one = LossParts(*(p.detach().double() for p in call(answer, **others, beta=beta, svhn_weight=svhn_weight)))
        except (Wrong, AnswerError):
            return False
        return any(m.cause + only == fits and same(one.loss, m.value) for m in loss_mistakes(one, beta, svhn_weight))

    named = [mistake._replace(cause=mistake.cause + only) for mistake in mistakes]
    compare("loss", got.loss, right, mistakes=named, confirm=confirm, cause=cause, hint=hint)


def counted(answer: Answer, beta: float, svhn_weight: float, present: tuple[str, ...]) -> str | None:
    """Return in words what the total counts, from calls with the same weights; None if it is no sum of the parts."""
    generator, rows, totals = torch.Generator().manual_seed(2), [], []
    try:
        for share in (0.0, 0.2, 0.4, 0.6, 0.8, 0.5, 0.1):
            inputs = draw(generator)
            inputs["mu"] = inputs["mu"] * (1 + share)
            inputs["x_recon_svhn"] = torch.lerp(inputs["x_recon_svhn"], inputs["x_svhn"], share)
            inputs["x_recon_mnist"] = torch.lerp(inputs["x_recon_mnist"], torch.tensor(0.5), (3 * share) % 1)
            got = call(answer, **needed(inputs, present), beta=beta, svhn_weight=svhn_weight)
            rows.append([*(float(getattr(got, name).detach()) for name in present), 1.0])
            totals.append(float(got.loss.detach()))
    except (Wrong, AnswerError):
        return None
    if not np.isfinite(rows).all():
        return None  # LAPACK would print a line of its own about such numbers
    weights, *_ = np.linalg.lstsq(np.array(rows), np.array(totals), rcond=None)
    if not np.allclose(np.array(rows) @ weights, totals, rtol=1e-4):
        return None
    terms = [
        f"{weight:.3g} * {name}" for name, weight in zip((*present, "1"), weights, strict=True) if abs(weight) > 1e-2
    ]
    weighted = f"with beta = {beta:g} and svhn_weight = {svhn_weight:g} your total"
    return f"{weighted} of a batch of {len(inputs['mu'])} is {' + '.join(terms) or 0}"


def needed(inputs: Mapping[str, Any], present: tuple[str, ...]) -> dict[str, Any]:
    """Return the inputs that the named parts need."""
    return {name: value for name, value in inputs.items() if belongs(name, present)}


def only(answer: Answer, generator: torch.Generator, *present: str) -> None:
    """Call with only what the named parts need, and compare these, the absent ones and the total."""
    inputs = draw(generator)
    given = needed(inputs, present)
    got = call(answer, **given)
    # A wrong part costs its points elsewhere; here it must not depend on what else is given.
    own = call(answer, **inputs)
    with naming_order(got, given):
        compare_only(got, own, inputs, present, answer)


def compare_only(got: LossParts, own: LossParts, inputs: Inputs, present: tuple[str, ...], answer: Answer) -> None:
    """Compare the results of a call with what the present parts need; `own` are those of a call with everything."""
    for name in LossParts._fields[1:]:
        if name == "kl" and name in present:
            cause, hint = "the KL changes when a view is absent", "The KL depends on mu and logvar only."
            compare(name, got.kl, own.kl.detach(), cause=cause, hint=hint)
        elif name in present:
            cause = f"{name} is another one where a part is absent"
            if getattr(got, name).item() == 0:
                cause = f"{name} is 0 where only {' and '.join(present)} can be computed, though its inputs are there"
            whole = getattr(own, name).detach()
            compare(name, getattr(got, name), whole, cause=cause, hint="Each part needs its own inputs only.")
        else:
            compare(
                name,
                getattr(got, name),
                torch.zeros(()),
                cause=f"{name} is nan where its inputs are absent, not 0"
                if getattr(got, name).isnan()
                else f"{name} counts although its inputs are absent",
                hint="What is None contributes 0.",
            )
    compare_loss(got, inputs, present=present, answer=answer)


def stored_inputs(batch: int, latent: int) -> Inputs:
    """Return the made-up batch of the stored references."""

    def array(number: int, *shape: int) -> Tensor:
        size = torch.Size(shape).numel()
        values: Tensor = pixel(torch.arange(size), number)
        return values.view(shape)

    return {
        "x_recon_mnist": array(1, batch, 1, 32, 32),
        "x_mnist": array(2, batch, 1, 32, 32),
        "x_recon_svhn": array(3, batch, 3, 32, 32),
        "x_svhn": array(4, batch, 3, 32, 32),
        "mu": 4 * array(5, batch, latent) - 2,
        "logvar": 6 * array(6, batch, latent) - 4,
    }


def compare_part(answer: Answer, generator: torch.Generator, part: str) -> None:
    """Compare one part of joint calls with the formula on random inputs and with the stored references."""
    first = draw(generator)
    before = call(answer, **first)
    for number, inputs in enumerate((first, *extremes(generator, part))):
        got = call(answer, **inputs) if number else before
        found, right = getattr(got, part), getattr(references.vae_loss(**inputs), part)
        why = None
        if not same(found, right):
            why = edge(answer, part, inputs) if number else behaviour(answer, part)
        with naming_order(got, inputs):
            compare_with(answer, part, found, right, inputs, why)
    for case in references.golden()["vae_loss"]:
        inputs = stored_inputs(case["batch"], case["latent"])
        got = call(answer, **inputs)
        right = torch.tensor(float(case[part]), dtype=torch.float64)
        compare_with(answer, part, getattr(got, part), right, inputs)
    if not same(before.loss, sum(before[1:])) and same((again := call(answer, **first)).loss, sum(again[1:])):
        cause, hint = "the same call has another total after a few others", "The loss depends on its arguments alone."
        compare("loss", before.loss, again.loss.detach(), cause=cause, hint=hint)


@pytest.mark.points(2)
def test_recon_mnist(vae_loss: Answer, generator: torch.Generator) -> None:
    """recon_mnist is the binary cross entropy, summed over pixels, mean over the batch."""
    compare_part(vae_loss, generator, "recon_mnist")


@pytest.mark.points(2)
def test_recon_svhn(vae_loss: Answer, generator: torch.Generator) -> None:
    """recon_svhn is the squared error, summed over pixels and channels, mean over the batch."""
    compare_part(vae_loss, generator, "recon_svhn")


@pytest.mark.points(2)
def test_kl(vae_loss: Answer, generator: torch.Generator) -> None:
    """kl is KL(q || N(0, I)), summed over latent dimensions, mean over the batch."""
    compare_part(vae_loss, generator, "kl")


@pytest.mark.points(1)
def test_loss(vae_loss: Answer, generator: torch.Generator) -> None:
    """The loss of a joint call is the sum of its three parts; the inputs stay as they are."""
    inputs = draw(generator)
    inputs["x_mnist"][:, :, 0, :4] = inputs["x_svhn"][:, :, 0, :4] = torch.tensor([0.0, 1.0, 1e-6, 0.0])
    inputs["x_recon_mnist"][:, :, 0, :4] = inputs["x_recon_svhn"][:, :, 0, :4] = torch.tensor(
        [1e-6, 1 - 1e-6, 0.5, 1e-5]
    )
    given = copied(inputs)
    got, again = scalars(vae_loss(**given)), call(vae_loss, **inputs)
    with naming_order(got, inputs):
        if not same(got.loss, sum(got[1:])) and same(
            (one := call(vae_loss, **inputs, beta=1.0, svhn_weight=1.0)).loss, sum(one[1:])
        ):
            cause = "a weight that is not given is not 1: with beta = 1 and svhn_weight = 1 given, the total is right"
            compare_loss(got, inputs, why=(cause, "Leave the first line as it was given: beta=1.0, svhn_weight=1.0."))
        compare_loss(got, inputs, answer=vae_loss)
    for name in LossParts._fields:
        cause, hint = "the result is random", "The KL of two Gaussians has a formula; nothing here is drawn."
        compare(name, getattr(again, name), getattr(got, name).detach(), cause=cause, hint=hint)
    expect_untouched(vae_loss, inputs, given)
    views = needed(inputs, ("recon_mnist", "recon_svhn"))
    given = copied(views)
    vae_loss(**given)
    expect_untouched(vae_loss, views, given)
    expect_no_look_at_objects(vae_loss, inputs)
    # In the documented order, without names.
    compare_loss(by_position := scalars(vae_loss(*copied(inputs).values())), inputs)
    for name in LossParts._fields[1:]:
        named = getattr(got, name).detach()
        cause = "the parameters are in another order than x_recon_mnist, x_mnist, x_recon_svhn, x_svhn, mu, logvar"
        compare(name, getattr(by_position, name), named, cause=cause, hint="Leave the first line as it was given.")


def expect_no_look_at_objects(answer: Answer, inputs: Inputs) -> None:
    """Raise `Wrong` if images that are their own reconstructions, or one tensor for mu and logvar, are special."""
    own: dict[str, Any] = {**inputs, "x_mnist": inputs["x_recon_mnist"], "mu": inputs["logvar"]}
    copies = call(answer, **own)
    compare_loss(copies, own, answer=answer)
    fresh = {id(value): value.clone() for value in own.values()}
    same_objects = scalars(answer(**{name: fresh[id(value)] for name, value in own.items()}))
    for name in LossParts._fields:
        cause = "it is looked at which inputs are the same tensor; two copies of it give another result"
        hint = "Use the numbers of the inputs, whatever objects they come in."
        compare(name, getattr(same_objects, name), getattr(copies, name).detach(), cause=cause, hint=hint)


@pytest.mark.points(1)
def test_mnist_only(vae_loss: Answer, generator: torch.Generator) -> None:
    """MNIST alone: the SVHN term counts 0."""
    only(vae_loss, generator, "recon_mnist", "kl")


@pytest.mark.points(1)
def test_svhn_only(vae_loss: Answer, generator: torch.Generator) -> None:
    """SVHN alone: the MNIST term counts 0."""
    only(vae_loss, generator, "recon_svhn", "kl")


@pytest.mark.points(1)
def test_absent(vae_loss: Answer, generator: torch.Generator) -> None:
    """Without a posterior the KL counts 0; one part alone counts."""
    only(vae_loss, generator, "recon_mnist", "recon_svhn")
    for part in LossParts._fields[1:]:
        only(vae_loss, generator, part)


@pytest.mark.points(1)
def test_batch_sizes(vae_loss: Answer, generator: torch.Generator) -> None:
    """Any batch size, image size, number of latent dimensions and layout in memory: the mean over the batch."""
    usual = draw(generator)
    before = call(vae_loss, **usual)
    for batch, latent, mnist, svhn in (
        (1, 3, (9, 7), (6, 8)),
        (40, 130, (4, 4), (5, 3)),
        (300, 20, (2, 3), (3, 2)),
        (2, 1, (40, 33), (36, 50)),
        (3, 5, (4, 1), (1, 4)),
    ):
        inputs = draw(generator, batch, latent, mnist, svhn)
        what = f"{batch} images of {mnist[0]} x {mnist[1]} and of {svhn[0]} x {svhn[1]} pixels, and {latent} dimensions"
        with naming_layout(what):
            got = call(vae_loss, **inputs)
        with naming_order(got, inputs):
            expect_any_size(vae_loss, got, before, inputs, usual, what)
    for what, laid in layouts(draw(generator)):
        right = call(vae_loss, **packed(laid))
        with naming_layout(what):
            got = scalars(vae_loss(**laid))
        for name, one, other in zip(LossParts._fields, got, right, strict=True):
            cause = "copies of the same numbers, side by side in memory, give another result"
            compare(f"{name} of {what}", one, other.detach(), cause=cause, hint="Use flatten or reshape, and no view.")


def packed(inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return copies of the inputs whose numbers lie side by side in memory."""
    return {name: value.clone(memory_format=torch.contiguous_format) for name, value in inputs.items()}


def layouts(inputs: Inputs) -> Iterator[tuple[str, dict[str, Tensor]]]:
    """Yield inputs as the lab itself passes them, and as others may, with what they are called."""
    images = {name: value for name, value in inputs.items() if name.startswith("x")}
    last = {name: value.contiguous(memory_format=torch.channels_last) for name, value in images.items()}  # type: ignore[attr-defined]
    halves = torch.cat([inputs["mu"], inputs["logvar"]], 1)  # as an encoder's last layer gives them
    mu, logvar = halves.chunk(2, 1)
    yield "images in channels_last, mu and logvar as halves of one tensor", {**last, "mu": mu, "logvar": logvar}
    recon = {name: value for name, value in last.items() if "recon" in name}
    yield "reconstructions in channels_last, and images that are not", {**packed(inputs), **recon}  # type: ignore[arg-type]
    one = {name: value.mT.contiguous().mT for name, value in last.items() if "recon" in name}
    yield "reconstructions that lie column by column, and images that do not", {**packed(inputs), **one}  # type: ignore[arg-type]
    turned = {name: value.transpose(-1, -2) for name, value in inputs.items() if name.startswith("x")}  # type: ignore[attr-defined]
    row = {name: inputs[name][:1].expand(5, -1) for name in ("mu", "logvar")}
    yield "transposed images, and posteriors that are expanded from one", {**turned, **row}


def expect_any_size(
    answer: Answer, got: LossParts, before: LossParts, inputs: Inputs, usual: Inputs, what: str
) -> None:
    """Compare the parts of a batch of other sizes with the formula; a formula that is wrong anyway costs nothing here.

    That is one which is off by the same factor, or by the same mistake, for the `usual` sizes.
    """
    right, right_before = references.vae_loss(**inputs), references.vae_loss(**usual)
    for name in TABLES:
        one, two = getattr(got, name), getattr(before, name)
        expected, expected_before = getattr(right, name), getattr(right_before, name)
        if same(one, expected):
            continue
        factor = float(two.detach()) / float(expected_before)
        if not same(two, expected_before):
            if factor and same(one, factor * expected):
                continue
            scale = {mistake.cause for mistake in scaled(expected, 7, 7, 3)}
            causes = [
                {m.cause for m in TABLES[name](given) if same(part, m.value)} - scale
                for part, given in ((one, inputs), (two, usual))
            ]
            if causes[0] & causes[1]:
                continue
        cause = f"right for five images of 32 x 32 pixels and 20 latent dimensions, wrong for {what}: a size is fixed"
        compare_with(answer, name, one, expected, inputs, cause if same(two, expected_before) else None)


def expect_untouched(answer: Answer, inputs: Mapping[str, Any], given: Mapping[str, Tensor]) -> None:
    """Raise `Wrong` unless what an earlier call was `given` holds the numbers that it held before, those of `inputs`.

    The answer itself compares each with a copy: as two images of SVHN, whose squared error is 0 if they are equal.
    """

    def as_images(tensor: Tensor) -> Tensor:
        return tensor.view(len(tensor), 1, 1, -1)

    for name, value in inputs.items():
        copy = as_images(value.clone())

        def distance(one: Tensor, copy: Tensor = copy) -> Tensor:
            pairs = ((one, copy.clone()), (copy.clone(), one))
            found = [four(answer(x_recon_svhn=recon, x_svhn=image))[2] for recon, image in pairs]
            return torch.tensor([float(part) for part in found])

        untouched(name, distance, as_images(given[name]), copy.clone())


@pytest.mark.points(1)
def test_beta(vae_loss: Answer, generator: torch.Generator) -> None:
    """beta multiplies the KL in the total, and nothing else."""
    weighted(
        vae_loss,
        generator,
        "beta",
        (3.0, 1.5, 0.25, 0.0, 40.0),
        ("recon_mnist", "kl"),
        ("recon_mnist", "recon_svhn"),
        ("kl",),
    )
    inputs = draw(generator)
    by_position = scalars(vae_loss(*copied(inputs).values(), 3.0))  # in the documented order, without a name
    compare_loss(by_position, inputs, beta=3.0)


@pytest.mark.points(1)
def test_svhn_weight(vae_loss: Answer, generator: torch.Generator) -> None:
    """svhn_weight multiplies the SVHN term in the total, and nothing else."""
    presents = (("recon_svhn", "kl"), ("recon_mnist", "kl"), ("recon_mnist", "recon_svhn"), ("recon_svhn",))
    weighted(vae_loss, generator, "svhn_weight", (7.0, 1.5, 0.25, 0.0, 500.0), *presents)


def weighted(
    answer: Answer, generator: torch.Generator, name: str, values: tuple[float, ...], *presents: tuple[str, ...]
) -> None:
    """Compare weighted calls with an unweighted one: the parts stay, the total changes by the weighted part only.

    With the first of the weights, the total must be right also where only the parts named in one of `presents` are.
    """
    inputs = draw(generator)
    plain = call(answer, **inputs)
    found = {value: call(answer, **inputs, **{name: value}) for value in values}
    misused = {value: instead for value, got in found.items() if not same(instead := used(got, name), value)}
    for value, got in found.items():
        weight = {name: value}
        with naming_order(got, {**inputs, **weight}):
            compare_weighted(answer, inputs, plain, got, misused if len(misused) < len(values) else {}, **weight)
    weight = {name: values[0]}
    for present in presents:
        given = needed(inputs, present)
        got = call(answer, **given, **weight)
        with naming_order(got, {**given, **weight}):
            compare_loss(got, inputs, weight.get("beta", 1.0), weight.get("svhn_weight", 1.0), present, answer=answer)


def used(got: LossParts, name: str) -> float:
    """Return by what a total multiplies the part of a weight, if the rest of it is right."""
    _, mnist, svhn, kl = (float(part.detach()) for part in got)
    part, rest = (kl, mnist + svhn) if name == "beta" else (svhn, mnist + kl)
    return (float(got.loss.detach()) - rest) / part if part else math.nan


def misuse(name: str, misused: Mapping[float, float]) -> str:
    """Return what happens to a weight, from what the total uses in place of some values of it."""
    value, instead = next(iter(misused.items()))
    for what, rule in (
        (f"a bound keeps {name} at 1 or more", lambda v: max(v, 1.0)),
        (f"a bound keeps {name} at 1 or less", lambda v: min(v, 1.0)),
        (f"{name} is cut to a whole number", lambda v: float(int(v))),
    ):
        if len(misused) > 1 and all(same(taken, rule(given)) for given, taken in misused.items()):
            return f"{what}: with {name} = {value:g} the total takes {instead:.3g}"
    if [*misused] == [0.0]:
        return f"{name} = 0 is taken for a weight that was not given: the total takes {instead:.3g}"
    return f"{name} = {value:g} is not used as it is: the total takes {instead:.3g}"


def compare_weighted(
    answer: Answer,
    inputs: Inputs,
    plain: LossParts,
    got: LossParts,
    misused: Mapping[float, float],
    **weight: float,
) -> None:
    """Compare the results of a weighted call with those of one without a weight.

    `misused` says what the totals use in place of some of the weights, where they use others as they are.
    """
    name, value = next(iter(weight.items()))
    unweighted_hint = f"{name} belongs in the total only; the parts are returned unweighted."
    for part in LossParts._fields[1:]:
        unweighted = getattr(plain, part).detach()
        typical = [Mistake(f"the returned part is already multiplied by {name}", unweighted_hint, unweighted * value)]
        compare(
            part,
            getattr(got, part),
            unweighted,
            mistakes=typical if value else [],  # with the weight 0, a part that is 0 may have been left out
            cause=f"{part} is another one with {name} = {value:g}: a special case for that weight changes it",
            hint=unweighted_hint,
        )
    hint = "Multiply by the weight that is given; 0 and numbers below 1 need no line of their own."
    why = (misuse(name, misused), hint) if value in misused else None
    compare_loss(got, inputs, weight.get("beta", 1.0), weight.get("svhn_weight", 1.0), why=why, answer=answer)


@pytest.mark.points(1)
def test_gradients(vae_loss: Answer, generator: torch.Generator) -> None:
    """Gradients of the loss reach both reconstructions, mu and logvar, large ones whole."""
    usual = draw(generator, batch=2)
    expect_gradients(vae_loss, usual)
    far, level, single, alike = (draw(generator, batch=batch) for batch in (2, 2, 1, 2))
    far["mu"], far["logvar"] = 50 * far["mu"], 3 * far["logvar"]
    far["logvar"][:, :4] = torch.tensor([15.0, -15.0, 12.0, -12.0])
    far["x_recon_mnist"][:, :, 0] = torch.tensor([3e-4, 1 - 3e-4]).repeat(16)
    far["x_mnist"][:, :, 0] = 0.5
    level["mu"], level["logvar"] = torch.full((2, 20), 0.3), torch.full((2, 20), -0.2)
    single["mu"], single["logvar"] = single["mu"][:, :1], single["logvar"][:, :1]
    # Nearly the prior, with means of 0, and SVHN images that are reconstructed without an error.
    alike["mu"], alike["logvar"] = 0.01 * alike["mu"], 0.01 * alike["logvar"]
    alike["mu"][0], alike["x_recon_svhn"][0] = 0, alike["x_svhn"][0]
    perfect = {**alike, "x_recon_svhn": alike["x_svhn"]}
    # Nearer still, where each term of the KL is less than rounding; and reconstructions at the lower end.
    nearly = {**alike, "mu": 3e-2 * alike["mu"], "logvar": 3e-2 * alike["logvar"]}
    low = draw(generator, batch=2)
    low["x_recon_mnist"][:, :, 0], low["x_mnist"][:, :, 0] = 1e-6, 0.5
    double = {name: value.double() for name, value in usual.items()}  # type: ignore[attr-defined]
    for inputs in (far, level, single, alike, perfect, nearly, low, double):
        expect_gradients(vae_loss, inputs)
    for _, laid in layouts(draw(generator)):
        expect_gradients(vae_loss, laid, copies=False)
    expect_gradients(vae_loss, usual, ("mu", "logvar"))
    expect_gradients(vae_loss, usual, ("x_recon_mnist", "x_recon_svhn"), beta=0.0)
    for count in (1, 2):
        for present in itertools.combinations(LossParts._fields[1:], count):
            given = needed(usual, present)
            expect_gradients(vae_loss, given, tuple(name for name in given if name not in ("x_mnist", "x_svhn")))
    expect_gradients(vae_loss, usual, then=draw(generator, batch=2))


def expect_gradients(
    answer: Answer,
    inputs: Mapping[str, Any],
    learned: tuple[str, ...] = ("x_recon_mnist", "x_recon_svhn", "mu", "logvar"),
    *,
    beta: float = 2.0,
    copies: bool = True,
    then: Mapping[str, Any] | None = None,
) -> None:
    """Compare the gradients of a weighted loss at the learned inputs with those of the formula.

    Without `copies` the inputs keep their layout in memory. The answer is called with `then` before backward, as where
    the loss of a step has several terms.
    """
    weights = {"beta": beta, "svhn_weight": 3.0}
    wanted = {name: value.double().detach().requires_grad_(name in learned) for name, value in inputs.items()}
    references.vae_loss(**wanted, beta=beta, svhn_weight=3.0).loss.backward()
    given = {
        name: (value.clone() if copies else value.detach()).requires_grad_(name in learned)
        for name, value in inputs.items()
    }
    result = four(answer(**given, **weights))
    if then:
        answer(**{name: value.clone().requires_grad_(name in learned) for name, value in then.items()})
    with naming_order(result, {**inputs, **weights}):
        compare_gradients(result[0], given, wanted, learned)


def compare_gradients(
    loss: object, given: Mapping[str, Tensor], wanted: Mapping[str, Tensor], learned: tuple[str, ...]
) -> None:
    """Compare the gradients of a loss with those that are wanted, for the inputs that are learned."""
    backward(loss.sum() if isinstance(loss, Tensor) else loss)
    for name in learned:
        compare_gradient(name, given[name].grad, wanted[name].grad)


ZERO = "Begin each part with a zero made from an input: x.new_zeros(())."


@pytest.mark.points(1)
def test_scalars(vae_loss: Answer, generator: torch.Generator) -> None:
    """All four results are scalar tensors of the inputs' dtype, with its digits, also where a view is absent."""
    every = [p for n in (3, 2, 1) for p in itertools.combinations(LossParts._fields[1:], n)]
    for dtype, presents in ((torch.float32, [every[0], every[-1]]), (torch.float64, every)):
        inputs = {name: value.to(dtype) for name, value in draw(generator, batch=2).items()}  # type: ignore[attr-defined]
        if dtype == torch.float64:  # numbers that float32 does not have, and reconstructions at the lower end
            inputs = {name: value / 3 + 0.2 for name, value in inputs.items()}
            inputs["x_recon_mnist"][:, :, 0] = 1e-6
        for present in presents:
            result = four(vae_loss(**needed(inputs, present)))
            named = dict(zip(LossParts._fields, result, strict=True))
            for name, part in sorted(named.items(), key=lambda one: one[0] in ("loss", *present)):  # absent ones first
                if not (isinstance(part, Tensor) and part.shape == () and part.dtype == dtype):
                    raise Wrong(
                        expected=f"{name} as a tensor of shape () and dtype {str(dtype).removeprefix('torch.')}, "
                        f"given {' and '.join(present)}",
                        got=describe(part),
                        cause=unlike(part, dtype, absent=name not in present and name != "loss"),
                        hint=ZERO,
                    )
                if dtype == torch.float64 and name in present:
                    keeps_precision(name, part, getattr(references.vae_loss(**inputs), name))
    whole = {name: value.double() / 3 + 0.2 for name, value in draw(generator, 70, 20, (6, 5), (4, 7)).items()}  # type: ignore[attr-defined]
    right = references.vae_loss(**whole)
    got = scalars(vae_loss(**whole, beta=0.1, svhn_weight=0.3))
    for name in LossParts._fields[1:]:
        keeps_precision(name, getattr(got, name), getattr(right, name))
    total = right.recon_mnist + 0.3 * right.recon_svhn + 0.1 * right.kl
    keeps_precision("loss with beta = 0.1 and svhn_weight = 0.3", got.loss, total)


def unlike(part: object, dtype: torch.dtype, *, absent: bool) -> str:
    """Return what tells a part from a scalar tensor of a dtype, and how it came to that."""
    if not isinstance(part, Tensor):
        return "an absent part is a Python number" if absent else "item() or float() made a Python number of the tensor"
    if part.numel() == 1 and part.ndim:
        return (
            f"an axis of length 1 is left (keepdim, or a sum over some axes only): the result has {tuple(part.shape)}"
        )
    if part.shape != ():
        shape = f"has shape {tuple(part.shape)}"
        return f"the zero of an absent part {shape}" if absent else f"a sum or a mean is missing: the result {shape}"
    kind = str(part.dtype).removeprefix("torch.")
    return f"the zero of an absent part is {kind}, whatever the inputs are" if absent else f"a cast makes it {kind}"
