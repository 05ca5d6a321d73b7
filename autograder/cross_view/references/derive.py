"""Derive `golden.json` in 50-digit arithmetic: `python -m nbverdict.cross_view.references.derive`.

Nothing here knows the formulas that are taught: products of Gaussians and agreement scores are integrals over the
densities, the density of a mixture is the definition.
"""

import json
from pathlib import Path
from typing import Any

import mpmath as mp

from autograder.multiview_vae.references.derive import DIGITS, integrate, log_normal, standardise

# Means and log-variances of the experts that are there: none to three.
EXPERTS: list[list[tuple[float, float]]] = [
    [],
    [(1.5, 0.0)],
    [(-2.0, -3.0)],
    [(1.5, 0.0), (-0.75, -1.0)],
    [(3.0, 2.0), (-1.0, -6.0)],
    [(0.5, 1.0), (2.0, -2.0), (-1.0, 0.25)],
]
# A point, and means and log-variances of the components, each in two dimensions.
MIXTURES: list[tuple[list[float], list[list[tuple[float, float]]]]] = [
    ([0.5, -1.0], [[(0.0, 0.0), (0.0, 0.0)]]),
    ([0.5, -1.0], [[(1.0, -1.0), (-2.0, 0.5)], [(-1.0, 1.0), (0.0, -2.0)]]),
    ([3.0, 2.0], [[(3.0, -4.0), (0.0, -4.0)], [(0.0, -4.0), (2.0, -4.0)], [(0.0, 0.0), (0.0, 0.0)]]),
]
# mu1, logvar1, mu2, logvar2; no log-variance is above that of the prior.
PAIRS = [
    (0.0, 0.0, 1.0, -2.0),
    (1.0, -1.0, 1.0, -1.0),
    (1.0, -1.0, -1.0, -1.0),
    (2.0, -5.0, 1.5, -0.25),
    (-1.5, -6.0, 1.5, -6.0),
]


def product_by_integration(experts: list[tuple[float, float]]) -> tuple[Any, Any]:
    """Return mean and log-variance of the normalised product of N(0, 1) and the experts, from its first moments."""
    logs = [log_normal(mp.mpf(mu), mp.mpf(logvar)) for mu, logvar in [(0.0, 0.0), *experts]]

    def log_product(x: Any) -> Any:
        return mp.fsum(log(x) for log in logs)

    means = [0.0, *(mu for mu, _ in experts)]
    peak, width = standardise(log_product, mp.mpf(min(means)) - 1, mp.mpf(max(means)) + 1)
    mass = integrate(lambda t: mp.mpf(1), log_product, peak, width)
    mean = integrate(lambda t: t, log_product, peak, width) / mass
    variance = integrate(lambda t: (t - mean) ** 2, log_product, peak, width) / mass
    return peak + mean * width, mp.log(variance) + 2 * mp.log(width)


def density_by_definition(z: list[float], components: list[list[tuple[float, float]]]) -> Any:
    """Return the log of the mean of the components' densities at z."""
    densities = [
        mp.fprod(
            mp.exp(log_normal(mp.mpf(mu), mp.mpf(logvar))(mp.mpf(x))) for x, (mu, logvar) in zip(z, c, strict=True)
        )
        for c in components
    ]
    return mp.log(mp.fsum(densities) / len(densities))


def score_by_integration(mu1: float, logvar1: float, mu2: float, logvar2: float) -> Any:
    """Return the log of the integral of q1 q2 / p."""
    q1, q2 = log_normal(mp.mpf(mu1), mp.mpf(logvar1)), log_normal(mp.mpf(mu2), mp.mpf(logvar2))
    p = log_normal(mp.mpf(0), mp.mpf(0))

    def log_overlap(x: Any) -> Any:
        return q1(x) + q2(x) - p(x)

    low, high = mp.mpf(min(mu1, mu2, 0)) - 3, mp.mpf(max(mu1, mu2, 0)) + 3
    peak, width = standardise(log_overlap, low, high)
    return mp.log(integrate(lambda t: mp.mpf(1), log_overlap, peak, width) * width) + log_overlap(peak)


def derive() -> dict[str, Any]:
    """Return what `golden.json` holds, numbers as decimal strings."""
    with mp.workdps(50):
        products = [
            {"experts": case, "joint": [mp.nstr(value, DIGITS) for value in product_by_integration(case)]}
            for case in EXPERTS
        ]
        mixtures = [
            {"z": z, "components": components, "log_density": mp.nstr(density_by_definition(z, components), DIGITS)}
            for z, components in MIXTURES
        ]
        scores = [{"pair": pair, "score": mp.nstr(score_by_integration(*pair), DIGITS)} for pair in PAIRS]
    plain: dict[str, Any] = json.loads(
        json.dumps({"product_with_prior": products, "mixture_log_density": mixtures, "agreement_scores": scores})
    )
    return plain


if __name__ == "__main__":
    path = Path(__file__).parent / "golden.json"
    path.write_text(json.dumps(derive(), indent=1) + "\n")
    print(f"wrote {path}")
