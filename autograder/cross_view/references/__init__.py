"""What right answers are: stored golden values, and float64 formulas for inputs drawn afresh.

`golden.json` comes from `derive.py`, which integrates the densities in 50-digit arithmetic and uses none of the
formulas below or in the lab; the tests derive it again and hold the formulas against it.
"""

import functools
import json
import math
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.distributions import Categorical, Independent, MixtureSameFamily, Normal


@functools.cache
def golden() -> dict[str, Any]:
    """Return the stored references, a list of cases for each exercise."""
    stored: dict[str, Any] = json.loads((Path(__file__).parent / "golden.json").read_text())
    return stored


def product_with_prior(mu: Tensor, logvar: Tensor, present: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean and log-variance (B, D), float64, of N(0, I) times the experts (V, B, D) that are present.

    Precisions add, and the mean is the precision-weighted mean (Wu and Goodman 2018, section 2.2). What an expert that
    is not present holds has no influence.
    """
    logvar = logvar.double().masked_fill(~present, math.inf)
    mu = mu.double().masked_fill(~present, 0.0)
    precision = 1 + (-logvar).exp().sum(0)
    return ((-logvar).exp() * mu).sum(0) / precision, -precision.log()


def mixture_log_density(z: Tensor, mu: Tensor, logvar: Tensor) -> Tensor:
    """Return the log-density (B,), float64, in nats, of z (B, D) under the even mixture of K Gaussians (K, B, D).

    PyTorch's own mixture of distributions.
    """
    mu, scale = mu.double().transpose(0, 1), (logvar.double() / 2).exp().transpose(0, 1)  # (B, K, D)
    even = Categorical(logits=torch.zeros(mu.shape[:2], dtype=torch.float64))
    density: Tensor = MixtureSameFamily(even, Independent(Normal(mu, scale), 1)).log_prob(z.double())
    return density


def agreement_scores(mu1: Tensor, logvar1: Tensor, mu2: Tensor, logvar2: Tensor) -> Tensor:
    """Return log of the integral of q1_i q2_j / p, float64, in nats, for all rows of (N, D) and (M, D): (N, M).

    p is N(0, I); every precision must be at least 1. The exponent is completed to a square: with P = P1 + P2 - 1 and
    m = (P1 mu1 + P2 mu2) / P, a dimension gives (log(P1 P2 / P) - P1 mu1^2 - P2 mu2^2 + P m^2) / 2.
    """
    mu1, mu2 = mu1.double()[:, None], mu2.double()[None]
    precision1, precision2 = (-logvar1.double()).exp()[:, None], (-logvar2.double()).exp()[None]
    precision = precision1 + precision2 - 1
    mean = (precision1 * mu1 + precision2 * mu2) / precision
    square = precision * mean.square() - precision1 * mu1.square() - precision2 * mu2.square()
    return ((precision1 * precision2 / precision).log() + square).sum(-1) / 2
