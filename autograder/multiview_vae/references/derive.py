"""Derive `golden.json` in 50-digit arithmetic: `python -m nbverdict.multiview_vae.references.derive`.

Nothing here knows the formulas that are taught: products of Gaussians and the Kullback-Leibler divergence are
integrals over the densities, the cross entropy is the definition, pixel by pixel.
"""

import functools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mpmath as mp

from autograder.multiview_vae.references import pixel

DIGITS = 30  # digits that are stored

EXPERTS = [
    (mu1, logvar1, mu2, logvar2)
    for mu1, mu2 in ((1.5, -0.75), (-3.0, 2.0), (0.25, 0.25))
    for logvar1, logvar2 in ((0.0, 0.0), (-1.0, 1.0), (2.5, 0.5), (-6.0, -2.0), (-100.0, 100.0), (100.0, 100.0))
] + [(1.0, -100.0, 1.0, -100.0), (2.0, 0.0, -1.0, -100.0), (0.5, -45.0, 0.5, -60.0), (1.0, 88.0, -1.0, 90.0)]

BATCHES = [{"batch": 1, "latent": 20}, {"batch": 7, "latent": 4}]

Log = Callable[[Any], Any]


def log_normal(mean: Any, logvar: Any) -> Log:
    two_variances, constant = 2 * mp.exp(logvar), logvar / 2 + mp.log(2 * mp.pi) / 2
    # Remembered: a quadrature takes the same points for each moment of a density.
    return functools.cache(lambda x: -((x - mean) ** 2) / two_variances - constant)


def standardise(log_density: Log, low: Any, high: Any) -> tuple[Any, Any]:
    """Return peak and width of a concave log density that peaks between `low` and `high`: it falls by 1/2 in a width.

    Integrals are taken in units of the width: a quadrature's error is absolute, and a density can be 1e-22 wide.
    """
    golden = (mp.sqrt(5) - 1) / 2
    for _ in range(240):
        left, right = high - golden * (high - low), low + golden * (high - low)
        low, high = (low, right) if log_density(left) > log_density(right) else (left, high)
    peak = (low + high) / 2
    near, far = mp.mpf(0), mp.mpf(10) ** -30
    while log_density(peak) - log_density(peak + far) < 0.5:
        far *= 2
    for _ in range(30):
        middle = (near + far) / 2
        near, far = (middle, far) if log_density(peak) - log_density(peak + middle) < 0.5 else (near, middle)
    return peak, far


def integrate(f: Log, log_density: Log, peak: Any, width: Any) -> Any:
    """Return the integral of f(t) exp(log_density(peak + t width) - log_density(peak)) over t."""
    top = log_density(peak)
    edges = [-14, -7, 0, 7, 14]  # the density is 1e-42 of its peak there
    return mp.quad(lambda t: f(t) * mp.exp(log_density(peak + t * width) - top), edges)


def product_by_integration(mu1: float, logvar1: float, mu2: float, logvar2: float) -> tuple[Any, Any]:
    """Return mean and log-variance of the normalised product density, from its first three moments."""
    first, second = log_normal(mp.mpf(mu1), mp.mpf(logvar1)), log_normal(mp.mpf(mu2), mp.mpf(logvar2))

    def log_product(x: Any) -> Any:
        return first(x) + second(x)

    peak, width = standardise(log_product, mp.mpf(min(mu1, mu2)) - 1, mp.mpf(max(mu1, mu2)) + 1)
    mass = integrate(lambda t: mp.mpf(1), log_product, peak, width)
    mean = integrate(lambda t: t, log_product, peak, width) / mass
    variance = integrate(lambda t: (t - mean) ** 2, log_product, peak, width) / mass
    return peak + mean * width, mp.log(variance) + 2 * mp.log(width)


@functools.cache
def kl_by_integration(mean: Any, logvar: Any) -> Any:
    """Return KL(N(mean, exp(logvar)) || N(0, 1)) in nats as the mean of log(q / p) under q."""
    q, p = log_normal(mean, logvar), log_normal(mp.mpf(0), mp.mpf(0))
    peak, width = standardise(q, mean - 1, mean + 1)
    mass = integrate(lambda t: mp.mpf(1), q, peak, width)
    return integrate(lambda t: q(peak + t * width) - p(peak + t * width), q, peak, width) / mass


def loss_by_definition(batch: int, latent: int) -> dict[str, Any]:
    """Return cross entropy, squared error and KL of the made-up batch, each summed and divided by the batch size."""
    grey, colour = batch * 1024, batch * 3072
    bce = mp.fsum(
        -(mp.mpf(pixel(i, 2)) * mp.log(pixel(i, 1)) + (1 - mp.mpf(pixel(i, 2))) * mp.log(1 - mp.mpf(pixel(i, 1))))
        for i in range(grey)
    )
    mse = mp.fsum((mp.mpf(pixel(i, 3)) - mp.mpf(pixel(i, 4))) ** 2 for i in range(colour))
    kl = mp.fsum(
        kl_by_integration(4 * mp.mpf(pixel(i, 5)) - 2, 6 * mp.mpf(pixel(i, 6)) - 4) for i in range(batch * latent)
    )
    return {"recon_mnist": bce / batch, "recon_svhn": mse / batch, "kl": kl / batch}


def derive() -> dict[str, Any]:
    """Return what `golden.json` holds, numbers as decimal strings."""
    with mp.workdps(50):
        experts = [
            {"experts": list(case), "joint": [mp.nstr(value, DIGITS) for value in product_by_integration(*case)]}
            for case in EXPERTS
        ]
        losses = [
            {**sizes, **{name: mp.nstr(value, DIGITS) for name, value in loss_by_definition(**sizes).items()}}
            for sizes in BATCHES
        ]
    return {"product_of_experts": experts, "vae_loss": losses}


if __name__ == "__main__":
    path = Path(__file__).parent / "golden.json"
    path.write_text(json.dumps(derive(), indent=1) + "\n")
    print(f"wrote {path}")
