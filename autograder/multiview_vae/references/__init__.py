"""What right answers are: stored golden values, and float64 formulas for inputs drawn afresh.

`golden.json` comes from `derive.py`, which integrates the densities in 50-digit arithmetic and uses none of the
formulas below or in the lab; the tests derive it again and hold the formulas against it.
"""

import functools
import json
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.distributions import Normal, kl_divergence


@functools.cache
def golden() -> dict[str, Any]:
    """Return the stored references: {"product_of_experts": [...], "vae_loss": [...]}."""
    stored: dict[str, Any] = json.loads((Path(__file__).parent / "golden.json").read_text())
    return stored


def pixel(index: Any, start: int) -> Any:
    """Return the made-up value in (0, 1) of entry `index` (int, or int64 tensor) of the array called number `start`."""
    return ((37 * index + 11 * start) % 101 + 1) / 103


def product_of_experts(mu1: Tensor, logvar1: Tensor, mu2: Tensor, logvar2: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean and log-variance, float64, of the normalised product of two Gaussians (any equal shapes).

    Precisions add, and the mean is the precision-weighted mean (Hinton 2002; Cao and Fleet 2014).
    """
    mu1, logvar1, mu2, logvar2 = mu1.double(), logvar1.double(), mu2.double(), logvar2.double()
    share1 = torch.sigmoid(logvar2 - logvar1)  # precision of the first expert over the sum of precisions
    share2 = torch.sigmoid(logvar1 - logvar2)
    return share1 * mu1 + share2 * mu2, -torch.logaddexp(-logvar1, -logvar2)


class LossParts(NamedTuple):
    """Loss and its three parts: float64 scalars in nats, the parts unweighted."""

    loss: Tensor
    recon_mnist: Tensor
    recon_svhn: Tensor
    kl: Tensor


def vae_loss(
    x_recon_mnist: Tensor | None = None,
    x_mnist: Tensor | None = None,
    x_recon_svhn: Tensor | None = None,
    x_svhn: Tensor | None = None,
    mu: Tensor | None = None,
    logvar: Tensor | None = None,
    beta: float = 1.0,
    svhn_weight: float = 1.0,
) -> LossParts:
    """Return the negative evidence lower bound, summed over pixels and latent dimensions, mean over the batch.

    Images are (B, C, H, W), `mu` and `logvar` (B, D); what is absent counts 0 (Kingma and Welling 2014, appendix B).
    """
    bce = mse = kl = torch.zeros((), dtype=torch.float64)
    if x_recon_mnist is not None and x_mnist is not None:
        p, x = x_recon_mnist.double(), x_mnist.double()
        bce = -(x * p.log() + (1 - x) * torch.log1p(-p)).sum() / len(x)
    if x_recon_svhn is not None and x_svhn is not None:
        mse = (x_recon_svhn.double() - x_svhn.double()).square().sum() / len(x_svhn)
    if mu is not None and logvar is not None:
        posterior = Normal(mu.double(), (logvar.double() / 2).exp())
        prior = Normal(torch.zeros_like(posterior.loc), torch.ones_like(posterior.scale))
        kl = kl_divergence(posterior, prior).sum() / len(mu)
    return LossParts(bce + svhn_weight * mse + beta * kl, bce, mse, kl)
