"""What the benchmarks take from the notebooks: the core's model and objective, and the extension's."""

from functools import partial
from pathlib import Path
from typing import Any

from lab_utils import load_definition

SOLUTIONS = Path(__file__).parent.parent / "solutions"
CORE = SOLUTIONS / "multiview_vae" / "3_multiview_vae.ipynb"
EXTENSION = SOLUTIONS / "cross_view"

PairedDataset = load_definition(SOLUTIONS / "multiview_vae" / "1_paired_dataset.ipynb", "PairedDataset")
product_of_experts = load_definition(SOLUTIONS / "multiview_vae" / "2_product_of_experts.ipynb", "product_of_experts")
MultiViewVAE, core_objective, CORE_RATE, CORE_BATCH = (
    load_definition(CORE, name) for name in ("MultiViewVAE", "objective", "LEARNING_RATE", "BATCH")
)
product_with_prior, PartialVAE, OwnDimensionsVAE = (
    load_definition(EXTENSION / "1_missing_views.ipynb", name)
    for name in ("product_with_prior", "PartialVAE", "OwnDimensionsVAE")
)
any_posterior_elbo = load_definition(EXTENSION / "2_any_posterior.ipynb", "any_posterior_elbo")
Recipe, recipe_objective = (
    load_definition(EXTENSION / "3_agreement.ipynb", name) for name in ("Recipe", "recipe_objective")
)


def three_elbos(model: Any, x_mnist: Any, x_svhn: Any, t: float, **weights: float) -> Any:
    """Return the terms of the core's objective."""
    return core_objective(model, x_mnist, x_svhn, **weights)


def recipe(**changes: Any) -> Any:
    """Return the extension's objective, with a changed recipe."""
    return partial(recipe_objective, recipe=Recipe(**changes))
