"""What the benchmarks take from the notebooks, and the objective of the original lab to compare with."""

from contextlib import nullcontext
from pathlib import Path
from typing import Any

from torch import Tensor

from lab_utils import load_definition
from lab_utils.training import autocast

SOLUTIONS = Path(__file__).parent.parent / "solutions" / "multiview_vae"
PairedDataset = load_definition(SOLUTIONS / "1_paired_dataset.ipynb", "PairedDataset")
product_of_experts = load_definition(SOLUTIONS / "2_product_of_experts.ipynb", "product_of_experts")
MultiViewVAE, Recipe, objective, train, vae_loss, LATENT = (
    load_definition(SOLUTIONS / "3_multiview_vae.ipynb", name)
    for name in ("MultiViewVAE", "Recipe", "objective", "train", "vae_loss", "LATENT")
)


class OriginalVAE(MultiViewVAE):  # type: ignore[misc, valid-type]
    """The model of the original lab: every dimension shared by both views, no prior in the product."""

    def __init__(self) -> None:
        super().__init__(product_of_experts, shared=LATENT, mnist_own=0)

    def with_prior(self, mu: Tensor, logvar: Tensor) -> tuple[Tensor, Tensor]:
        """Return the expert as it is."""
        return mu, logvar


def original_objective(
    model: Any, x_mnist: Tensor, x_svhn: Tensor, t: float, *, fast: bool = False, **weights: float
) -> dict[str, Tensor]:
    """Return the terms of the original lab's loss: the ELBOs of both views, of MNIST alone and of SVHN alone.

    Three forward passes, each from image to image; in float32 as there, or, if `fast`, in the notebook's arithmetic.
    """
    with autocast(x_mnist.device) if fast else nullcontext():
        joint, *_ = model.posteriors(x_mnist, x_svhn)
        z = model.sample(*joint)
        both = (model.decode_mnist(z), x_mnist, model.decode_svhn(z), x_svhn)
        mnist = model.with_prior(*model.encode_mnist(x_mnist))
        mnist_again = model.decode_mnist(model.sample(*mnist))
        svhn = model.with_prior(*model.encode_svhn(x_svhn))
        svhn_again = model.decode_svhn(model.sample(*svhn))
    loss, recon_mnist, recon_svhn, kl = vae_loss(*both, *joint, **weights)
    loss = loss + vae_loss(mnist_again, x_mnist, None, None, *mnist, **weights)[0]
    loss = loss + vae_loss(None, None, svhn_again, x_svhn, *svhn, **weights)[0]
    return {"loss": loss, "MNIST": recon_mnist, "SVHN": recon_svhn, "KL": kl}
