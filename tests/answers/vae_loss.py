"""Right and wrong answers to `vae_loss`; each wrong one names the cause its message must give."""

import math

import torch
import torch.nn.functional as F
from torch.distributions import Independent, Normal, kl_divergence


def parts(x_recon_mnist, x_mnist, x_recon_svhn, x_svhn, mu, logvar):
    zero = next(x for x in (x_mnist, x_svhn, mu) if x is not None).new_zeros(())
    bce = mse = kl = zero
    if x_mnist is not None:
        bce = F.binary_cross_entropy(x_recon_mnist, x_mnist, reduction="sum") / len(x_mnist)
    if x_svhn is not None:
        mse = F.mse_loss(x_recon_svhn, x_svhn, reduction="sum") / len(x_svhn)
    if mu is not None:
        kl = -0.5 * (1 + logvar - mu**2 - logvar.exp()).sum() / len(mu)
    return bce, mse, kl


def functional(
    x_recon_mnist=None, x_mnist=None, x_recon_svhn=None, x_svhn=None, mu=None, logvar=None, beta=1.0, svhn_weight=1.0
):
    bce, mse, kl = parts(x_recon_mnist, x_mnist, x_recon_svhn, x_svhn, mu, logvar)
    return bce + svhn_weight * mse + beta * kl, bce, mse, kl


def written_out(
    x_recon_mnist=None, x_mnist=None, x_recon_svhn=None, x_svhn=None, mu=None, logvar=None, beta=1.0, svhn_weight=1.0
):
    given = [x for x in (x_mnist, x_svhn, mu) if x is not None]
    bce = mse = kl = torch.zeros((), dtype=given[0].dtype, device=given[0].device)
    if x_recon_mnist is not None:
        p = x_recon_mnist.clamp(1e-7, 1 - 1e-7)
        bce = -(x_mnist * torch.log(p) + (1 - x_mnist) * torch.log(1 - p)).flatten(1).sum(1).mean()
    if x_recon_svhn is not None:
        mse = (x_recon_svhn - x_svhn).pow(2).sum(dim=(1, 2, 3)).mean(dim=0)
    if logvar is not None:
        kl = (0.5 * (logvar.exp() + mu.pow(2) - 1 - logvar)).sum(dim=-1).mean()
    return bce + svhn_weight * mse + beta * kl, bce, mse, kl


def with_distributions(
    x_recon_mnist=None, x_mnist=None, x_recon_svhn=None, x_svhn=None, mu=None, logvar=None, beta=1.0, svhn_weight=1.0
):
    zero = sum(x.sum() * 0 for x in (x_recon_mnist, x_recon_svhn, mu) if x is not None)
    bce = zero if x_mnist is None else F.binary_cross_entropy(x_recon_mnist, x_mnist) * x_mnist[0].numel()
    mse = zero if x_svhn is None else F.mse_loss(x_recon_svhn, x_svhn) * x_svhn[0].numel()
    kl = zero
    if mu is not None:
        posterior = Independent(Normal(mu, torch.exp(0.5 * logvar)), 1)
        prior = Independent(Normal(torch.zeros_like(mu), torch.ones_like(mu)), 1)
        kl = kl_divergence(posterior, prior).mean()
    return bce + svhn_weight * mse + beta * kl, bce, mse, kl


def as_a_list(*images, **inputs):
    loss, *rest = functional(*images, **inputs)
    return [loss, *rest]


def zero_without_device(
    x_recon_mnist=None, x_mnist=None, x_recon_svhn=None, x_svhn=None, mu=None, logvar=None, beta=1.0, svhn_weight=1.0
):
    """Wrong where there are two devices, which no check can see: the grader has one."""
    dtype = next(x for x in (x_mnist, x_svhn, mu) if x is not None).dtype
    bce, mse, kl = parts(x_recon_mnist, x_mnist, x_recon_svhn, x_svhn, mu, logvar)
    bce, mse, kl = (
        torch.zeros((), dtype=dtype) if given is None else part
        for given, part in ((x_mnist, bce), (x_svhn, mse), (mu, kl))
    )
    return bce + svhn_weight * mse + beta * kl, bce, mse, kl


def stacked(*images, **inputs):
    return torch.stack(functional(*images, **inputs))


RIGHT = [functional, written_out, with_distributions, as_a_list, stacked, zero_without_device]


def changed(change):
    """Return an answer that takes the right parts and the inputs, and returns something else."""

    def answer(
        x_recon_mnist=None,
        x_mnist=None,
        x_recon_svhn=None,
        x_svhn=None,
        mu=None,
        logvar=None,
        beta=1.0,
        svhn_weight=1.0,
    ):
        bce, mse, kl = parts(x_recon_mnist, x_mnist, x_recon_svhn, x_svhn, mu, logvar)
        images = {"p": x_recon_mnist, "x": x_mnist, "q": x_recon_svhn, "y": x_svhn, "mu": mu, "logvar": logvar}
        result = change(bce, mse, kl, beta=beta, weight=svhn_weight, **images)
        return result if len(result) == 4 else (result[0] + svhn_weight * result[1] + beta * result[2], *result)

    return answer


def if_given(tensor, value):
    """Return value() if the tensor is given, else a zero."""
    return torch.zeros(()) if tensor is None else value()


def without_absent_views(x_recon_mnist, x_mnist, x_recon_svhn, x_svhn, mu, logvar, beta=1.0, svhn_weight=1.0):
    return functional(x_recon_mnist, x_mnist, x_recon_svhn, x_svhn, mu, logvar, beta, svhn_weight)


def crashes_on_absent_views(
    x_recon_mnist=None, x_mnist=None, x_recon_svhn=None, x_svhn=None, mu=None, logvar=None, beta=1.0, svhn_weight=1.0
):
    bce = F.binary_cross_entropy(x_recon_mnist, x_mnist, reduction="sum") / len(mu)
    mse = F.mse_loss(x_recon_svhn, x_svhn, reduction="sum") / len(mu)
    kl = -0.5 * (1 + logvar - mu**2 - logvar.exp()).sum() / len(mu)
    return bce + svhn_weight * mse + beta * kl, bce, mse, kl


def in_place_sum(*images, beta=1.0, svhn_weight=1.0, **inputs):
    _, bce, mse, kl = functional(*images, **inputs)
    loss = bce
    loss += svhn_weight * mse
    loss += beta * kl
    return loss, bce, mse, kl


def overwritten(*images, beta=1.0, svhn_weight=1.0, **inputs):
    _, bce, mse, kl = functional(*images, **inputs)
    if "mu" in inputs and inputs["mu"] is not None:
        var = inputs["logvar"].exp()
        kl = 0.5 * (var - 1 - inputs["logvar"]).sum() / len(var)
        var += inputs["mu"] ** 2  # the gradient of exp needs the var of before
        kl = kl + 0.5 * inputs["mu"].square().sum() / len(var)
    return bce + svhn_weight * mse + beta * kl, bce, mse, kl


def rounds_targets(x_recon_mnist=None, x_mnist=None, **others):
    """Makes the targets black and white, in place, once everything is computed."""
    results = functional(x_recon_mnist, x_mnist, **others)
    if x_mnist is not None:
        x_mnist.round_()
    return results


def zero_means_default(*images, beta=1.0, svhn_weight=1.0, **others):
    return functional(*images, beta=beta or 1.0, svhn_weight=svhn_weight or 1.0, **others)


def small_weights_cut(*images, beta=1.0, svhn_weight=1.0, **others):
    return functional(*images, beta=max(beta, 1.0), svhn_weight=max(svhn_weight, 1.0), **others)


def unweighted_without_views(*images, beta=1.0, svhn_weight=1.0, **others):
    loss, bce, mse, kl = functional(*images, beta=beta, svhn_weight=svhn_weight, **others)
    return (loss if mse.requires_grad or (bce > 0 and mse > 0 and kl > 0) else bce + mse + kl), bce, mse, kl


def other_order(
    x_mnist=None, x_recon_mnist=None, x_svhn=None, x_recon_svhn=None, mu=None, logvar=None, beta=1.0, svhn_weight=1.0
):
    return functional(x_recon_mnist, x_mnist, x_recon_svhn, x_svhn, mu, logvar, beta, svhn_weight)


def flattened_by_view(x_recon_svhn=None, x_svhn=None, **inputs):
    loss, bce, _, kl = functional(x_recon_svhn=x_recon_svhn, x_svhn=x_svhn, **inputs)
    mse = loss * 0
    if x_svhn is not None:
        mse = (x_recon_svhn - x_svhn).view(len(x_svhn), -1).square().sum(1).mean()
    weight, beta = inputs.get("svhn_weight", 1.0), inputs.get("beta", 1.0)
    return bce + weight * mse + beta * kl, bce, mse, kl


def of_32_pixels(x_recon_mnist=None, x_mnist=None, **inputs):
    if x_mnist is not None:
        x_recon_mnist, x_mnist = x_recon_mnist.reshape(-1, 32 * 32), x_mnist.reshape(-1, 32 * 32)
    return functional(x_recon_mnist, x_mnist, **inputs)


def clamps_the_images(*images, **inputs):
    result = functional(*images, **inputs)
    given = dict(zip(("x_recon_mnist", "x_mnist", "x_recon_svhn", "x_svhn"), images, strict=False)) | inputs
    if given.get("x_mnist") is not None:
        given["x_mnist"].data.clamp_(1e-6, 1 - 1e-6)
    return result


def clipped_by_a_hook(*images, **inputs):
    given = dict(zip(ORDER, images, strict=False)) | inputs
    if given.get("logvar") is not None and given["logvar"].requires_grad:
        given["logvar"].register_hook(lambda gradient: gradient.clamp(-5, 5))
    return functional(*images, **inputs)


ORDER = ("x_recon_mnist", "x_mnist", "x_recon_svhn", "x_svhn", "mu", "logvar", "beta", "svhn_weight")


WRONG = {
    "mean over everything": (
        changed(lambda b, m, k, p, x, **_: (if_given(x, lambda: F.binary_cross_entropy(p, x)), m, k)),
        "the mean over the batch and over all entries",
    ),
    "sum over the batch": (
        changed(lambda b, m, k, q, y, **_: (b, if_given(y, lambda: F.mse_loss(q, y, reduction="sum")), k)),
        "you summed over the batch too",
    ),
    "squared error for MNIST": (
        changed(lambda b, m, k, p, x, **_: (if_given(x, lambda: (p - x).square().sum() / len(x)), m, k)),
        "this is the squared error",
    ),
    "logits for MNIST": (
        changed(
            lambda b, m, k, p, x, **_: (
                if_given(x, lambda: F.binary_cross_entropy_with_logits(p, x, reduction="sum") / len(x)),
                m,
                k,
            )
        ),
        "was taken for a logit",
    ),
    "exchanged arguments": (
        changed(
            lambda b, m, k, p, x, **_: (
                if_given(x, lambda: F.binary_cross_entropy(x, p, reduction="sum") / len(x)),
                m,
                k,
            )
        ),
        "reconstruction and target are exchanged",
    ),
    "half a cross entropy": (
        changed(lambda b, m, k, p, x, **_: (if_given(x, lambda: -(x * p.log()).sum() / len(x)), m, k)),
        "the term (1 - x) log(1 - x_recon) is missing",
    ),
    "half the squared error": (changed(lambda b, m, k, **_: (b, m / 2, k)), "this is half the squared error"),
    "absolute error": (
        changed(lambda b, m, k, q, y, **_: (b, if_given(y, lambda: (q - y).abs().sum() / len(y)), k)),
        "this is the absolute error",
    ),
    "mean over channels": (changed(lambda b, m, k, **_: (b, m / 3, k)), "you took the mean over the colour channels"),
    "KL with the wrong sign": (changed(lambda b, m, k, **_: (b, m, -k)), "the sign is wrong"),
    "KL without 1/2": (changed(lambda b, m, k, **_: (b, m, 2 * k)), "the factor 1/2 is missing"),
    "KL mean over latent dimensions": (
        changed(lambda b, m, k, mu, **_: (b, m, k if mu is None else k / mu.shape[1])),
        "the mean over the batch and over all entries",
    ),
    "KL without mu": (
        changed(
            lambda b, m, k, mu, logvar, **_: (
                b,
                m,
                if_given(mu, lambda: -0.5 * (1 + logvar - logvar.exp()).sum() / len(mu)),
            )
        ),
        "the term mu^2 is missing",
    ),
    "KL with mu not squared": (
        changed(
            lambda b, m, k, mu, logvar, **_: (
                b,
                m,
                if_given(mu, lambda: -0.5 * (1 + logvar - mu - logvar.exp()).sum() / len(mu)),
            )
        ),
        "mu is not squared",
    ),
    "KL from the deviation": (
        changed(
            lambda b, m, k, mu, logvar, **_: (
                b,
                m,
                if_given(mu, lambda: -0.5 * (1 + logvar - mu**2 - (logvar / 2).exp()).sum() / len(mu)),
            )
        ),
        "the standard deviation, stands where the variance should",
    ),
    "reversed KL": (
        changed(
            lambda b, m, k, mu, logvar, **_: (
                b,
                m,
                if_given(mu, lambda: 0.5 * ((1 + mu**2) / logvar.exp() - 1 + logvar).sum() / len(mu)),
            )
        ),
        "KL(prior || posterior)",
    ),
    "beta forgotten": (changed(lambda b, m, k, weight, **_: (b + weight * m + k, b, m, k)), "beta is ignored"),
    "weight forgotten": (changed(lambda b, m, k, beta, **_: (b + m + beta * k, b, m, k)), "svhn_weight is ignored"),
    "beta on everything": (
        changed(lambda b, m, k, beta, weight, **_: (beta * (b + weight * m + k), b, m, k)),
        "beta multiplies more than the KL",
    ),
    "weight on everything": (
        changed(lambda b, m, k, beta, weight, **_: (weight * (b + m + beta * k), b, m, k)),
        "svhn_weight multiplies the whole loss",
    ),
    "weighted KL returned": (
        changed(lambda b, m, k, beta, weight, **_: (b + weight * m + beta * k, b, m, beta * k)),
        "already multiplied by beta",
    ),
    "weighted SVHN returned": (
        changed(lambda b, m, k, beta, weight, **_: (b + weight * m + beta * k, b, weight * m, k)),
        "already multiplied by svhn_weight",
    ),
    "minus the loss": (
        changed(lambda b, m, k, beta, weight, **_: (-(b + weight * m + beta * k), b, m, k)),
        "this is the ELBO",
    ),
    "KL subtracted": (
        changed(lambda b, m, k, beta, weight, **_: (b + weight * m - beta * k, b, m, k)),
        "the KL is subtracted",
    ),
    "loss only": (lambda **inputs: functional(**inputs)[0], "does not return four values"),
    "not reduced": (
        changed(lambda b, m, k, mu, **_: (b, m, k if mu is None else k + 0 * mu.sum(1))),
        "a sum over some of the dimensions only",
    ),
    "Python numbers": (
        lambda **inputs: (functional(**inputs)[0], *(part.item() for part in functional(**inputs)[1:])),
        "made a Python number of the tensor",
    ),
    "absent parts as 0": (
        lambda **inputs: (
            functional(**inputs)[0],
            *(0 if part == 0 and not part.requires_grad else part for part in functional(**inputs)[1:]),
        ),
        "an absent part is a Python number",
    ),
    "detached posterior": (
        lambda mu=None, logvar=None, **inputs: functional(
            mu=None if mu is None else mu.detach(), logvar=None if logvar is None else logvar.detach(), **inputs
        ),
        "is cut from the graph",
    ),
    "no defaults": (without_absent_views, "required positional arguments"),
    "absent views crash": (crashes_on_absent_views, "'NoneType' object"),
    "in-place sum": (in_place_sum, "+= on the loss changed the part in place"),
    "overwritten": (overwritten, "an in-place operation overwrote"),
    "zeros": (lambda *images, **inputs: (torch.zeros(()),) * 4, "is not computed"),
    "rounds its targets": (rounds_targets, "an in-place operation changes x_mnist"),
    "0 means the default": (zero_means_default, "beta = 0 is taken for a weight that was not given"),
    "small weights cut": (small_weights_cut, "a bound keeps beta at 1 or more"),
    "unweighted without views": (unweighted_without_views, "beta is ignored in the total"),
    "of 1024 pixels": (
        changed(lambda b, m, k, q, y, **_: (b, if_given(y, lambda: F.mse_loss(q, y) * 3 * 1024), k)),
        "a fixed number of entries",
    ),
    "of 20 dimensions": (
        changed(
            lambda b, m, k, mu, logvar, **_: (
                b,
                m,
                if_given(mu, lambda: -0.5 * 20 * (1 + logvar - mu**2 - logvar.exp()).mean()),
            )
        ),
        "a fixed number of entries",
    ),
    "clamped log-variance": (
        changed(
            lambda b, m, k, mu, logvar, **_: (
                b,
                m,
                if_given(mu, lambda: parts(None, None, None, None, mu, logvar.clamp(-6, 6))[2]),
            )
        ),
        "right for usual posteriors, wrong where they are very sure",
    ),
    "clamped at a thousandth": (
        changed(
            lambda b, m, k, p, x, **_: (
                if_given(x, lambda: F.binary_cross_entropy(p.clamp(0.001, 0.999), x, reduction="sum") / len(x)),
                m,
                k,
            )
        ),
        "right for usual pixels, wrong where",
    ),
    "nan for black pixels": (
        changed(
            lambda b, m, k, p, x, **_: (
                if_given(x, lambda: b + (x * x.log() - x * x.log()).sum()),
                m,
                k,
            )
        ),
        "not a number (nan)",
    ),
    "other order": (other_order, "the parameters are in another order"),
    "clamped": (
        changed(
            lambda b, m, k, p, x, **_: (
                if_given(x, lambda: F.binary_cross_entropy(p.clamp(0.01, 0.99), x, reduction="sum") / len(x)),
                m,
                k,
            )
        ),
        "nearly right everywhere",
    ),
    "loss over the batch again": (
        changed(lambda b, m, k, mu, y, **_: ((b + m + k) / len(y if mu is None else mu), b, m, k)),
        "of a batch of 5 is 0.2 * recon_mnist + 0.2 * recon_svhn + 0.2 * kl",
    ),
    "logarithms exchanged": (
        changed(
            lambda b, m, k, p, x, **_: (
                if_given(x, lambda: F.binary_cross_entropy(1 - p, x, reduction="sum") / len(x)),
                m,
                k,
            )
        ),
        "the two logarithms are exchanged",
    ),
    "difference not squared": (
        changed(lambda b, m, k, q, y, **_: (b, if_given(y, lambda: (q - y).sum() / len(y)), k)),
        "the difference is not squared",
    ),
    "0 to 255": (changed(lambda b, m, k, **_: (b, 255**2 * m, k)), "scaled to 0..255"),
    "half on the first": (
        changed(
            lambda b, m, k, mu, logvar, **_: (
                b,
                m,
                if_given(mu, lambda: (-0.5 * (1 + logvar) + mu**2 + logvar.exp()).sum() / len(mu)),
            )
        ),
        "reaches 1 + logvar only",
    ),
    "KL of the mean": (
        changed(
            lambda b, m, k, mu, logvar, **_: (
                b,
                m,
                if_given(mu, lambda: parts(None, None, None, None, mu.mean(0)[None], logvar.mean(0)[None])[2]),
            )
        ),
        "averaged over the batch before the formula",
    ),
    "both views or none": (
        changed(lambda b, m, k, x, y, **_: (b * (y is not None), m * (x is not None), k)),
        "though its inputs are there",
    ),
    "twice where alone": (
        changed(lambda b, m, k, x, y, **_: (b * (1 + (y is None)), m * (1 + (x is None)), k)),
        "is another one where a part is absent",
    ),
    "clamped at ten": (
        changed(
            lambda b, m, k, mu, logvar, **_: (
                b,
                m,
                if_given(mu, lambda: parts(None, None, None, None, mu, logvar.clamp(-10, 10))[2]),
            )
        ),
        "right for usual posteriors, wrong where they are very sure",
    ),
    "log of exp": (
        changed(
            lambda b, m, k, mu, logvar, **_: (
                b,
                m,
                if_given(mu, lambda: k + 0.5 * (logvar - (logvar.exp() + 1e-8).log()).sum() / len(mu)),
            )
        ),
        "right for usual posteriors, wrong where they are very sure",
    ),
    "view of the difference": (flattened_by_view, "view works only where entries lie side by side"),
    "images of 32 pixels": (of_32_pixels, "a size is fixed"),
    "images clamped in place": (clamps_the_images, "an in-place operation changes x_mnist"),
    "hook that clips": (clipped_by_a_hook, "gradient at logvar"),
    "free bits": (
        changed(
            lambda b, m, k, mu, logvar, **_: (
                b,
                m,
                k if mu is None else (0.5 * (mu**2 + logvar.exp() - 1 - logvar)).clamp(min=1e-3).sum() / len(mu),
            )
        ),
        "nearly the prior",
    ),
    "computed in float32": (
        changed(
            lambda b, m, k, mu, logvar, **_: (
                b,
                m,
                k if mu is None else functional(mu=mu.float(), logvar=logvar.float())[3].to(mu.dtype),
            )
        ),
        "computed in float32",
    ),
    "divided by 64": (
        changed(lambda b, m, k, q, **_: (b, m if q is None else m * len(q) / 64, k)),
        "you divided by a fixed batch size",
    ),
    "a thousand times": (changed(lambda b, m, k, **_: (1000 * b, m, k)), "recon_mnist is 1000 times"),
    "Laplace": (
        changed(
            lambda b, m, k, q, y, **_: (
                b,
                m if q is None else (q - y).abs().sum() / len(q) + math.log(2) * q[0].numel(),
                k,
            )
        ),
        "Laplace",
    ),
    "softplus": (
        changed(
            lambda b, m, k, mu, logvar, **_: (
                b,
                m,
                k if mu is None else 0.5 * (F.softplus(logvar) + mu**2 - 1 - F.softplus(logvar).log()).sum() / len(mu),
            )
        ),
        "softplus",
    ),
    "gradient cut where means are equal": (
        lambda mu=None, logvar=None, **inputs: functional(
            mu=mu.detach() if mu is not None and bool((mu == mu.flatten()[0]).all()) else mu, logvar=logvar, **inputs
        ),
        "is cut from the graph",
    ),
}
