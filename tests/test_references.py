"""References: derived anew, held against the float64 formulas, and against the solutions."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from autograder.cross_view import references as extension
from autograder.cross_view.references import derive as derive_extension
from autograder.multiview_vae import references
from autograder.multiview_vae.references import derive
from lab_utils import load_definition
from tests.conftest import ROOT, SOLUTIONS

product_of_experts = load_definition(SOLUTIONS / "2_product_of_experts.ipynb", "product_of_experts")
vae_loss = load_definition(SOLUTIONS / "3_multiview_vae.ipynb", "vae_loss")


def test_golden_values_can_be_derived_again():
    assert derive.derive() == references.golden()
    assert derive_extension.derive() == extension.golden()


def solution(notebook, name):
    return load_definition(ROOT / "solutions" / "cross_view" / notebook, name)


@pytest.mark.parametrize(
    "product", [extension.product_with_prior, solution("1_missing_views.ipynb", "product_with_prior")]
)
def test_products_with_the_prior_equal_the_integrals(product):
    for case in extension.golden()["product_with_prior"]:
        experts = torch.tensor(case["experts"] or [[math.nan, math.nan]], dtype=torch.float64)
        mu, logvar = experts.T[:, :, None, None]
        got = product(mu, logvar, torch.full(mu.shape, bool(case["experts"])))
        assert [value.item() for value in got] == pytest.approx([float(v) for v in case["joint"]], rel=1e-13, abs=1e-13)


@pytest.mark.parametrize(
    "density", [extension.mixture_log_density, solution("2_any_posterior.ipynb", "mixture_log_density")]
)
def test_densities_of_mixtures_equal_the_definition(density):
    for case in extension.golden()["mixture_log_density"]:
        z, components = (torch.tensor(case[name], dtype=torch.float64) for name in ("z", "components"))
        mu, logvar = components.permute(2, 0, 1)[:, :, None]
        assert density(z[None], mu, logvar).item() == pytest.approx(float(case["log_density"]), rel=1e-13)


@pytest.mark.parametrize("scores", [extension.agreement_scores, solution("3_agreement.ipynb", "agreement_scores")])
def test_agreement_scores_equal_the_integrals(scores):
    for case in extension.golden()["agreement_scores"]:
        got = scores(*(torch.tensor([[value]], dtype=torch.float64) for value in case["pair"]))
        assert got.item() == pytest.approx(float(case["score"]), rel=1e-12, abs=1e-13)


@pytest.mark.parametrize("case", references.golden()["product_of_experts"], ids=str)
def test_formula_of_the_product_equals_the_integrals(case):
    experts = [torch.tensor(value, dtype=torch.float64) for value in case["experts"]]
    got = references.product_of_experts(*experts)
    assert [value.item() for value in got] == pytest.approx([float(v) for v in case["joint"]], rel=1e-14, abs=1e-14)


@pytest.mark.parametrize("case", references.golden()["vae_loss"], ids=str)
def test_formulas_of_the_loss_equal_the_definitions(case):
    def array(number, *shape):
        index = torch.arange(torch.Size(shape).numel(), dtype=torch.float64)
        return references.pixel(index, number).view(shape)

    batch, latent = case["batch"], case["latent"]
    mnist, svhn = (batch, 1, 32, 32), (batch, 3, 32, 32)
    images = array(1, *mnist), array(2, *mnist), array(3, *svhn), array(4, *svhn)
    got = references.vae_loss(*images, 4 * array(5, batch, latent) - 2, 6 * array(6, batch, latent) - 4)
    for name in ("recon_mnist", "recon_svhn", "kl"):
        assert getattr(got, name).item() == pytest.approx(float(case[name]), rel=1e-13)


mean = st.floats(-1e3, 1e3, width=32)


def joint_and_gradients(product, dtype, *experts):
    """Return mean and log-variance of the product, and the gradients of their sum at the four inputs, as floats."""
    experts = [torch.tensor([value], dtype=dtype, requires_grad=True) for value in experts]
    mu, logvar = product(*experts)
    (mu + logvar).backward()
    return mu.item(), logvar.item(), [expert.grad.item() for expert in experts]


@settings(deadline=None, max_examples=300)
@given(mean, st.floats(-1e4, 1e4, width=32), mean, st.floats(-1e4, 1e4, width=32))
def test_the_solution_is_exact_in_value_and_gradient(mu1, logvar1, mu2, logvar2):
    experts = (mu1, logvar1, mu2, logvar2)
    mu, logvar, gradients = joint_and_gradients(product_of_experts, torch.float32, *experts)
    right_mu, right_logvar, right_gradients = joint_and_gradients(
        references.product_of_experts, torch.float64, *experts
    )
    assert mu == pytest.approx(right_mu, rel=1e-3, abs=1e-2)
    assert logvar == pytest.approx(right_logvar, rel=1e-6, abs=1e-6)
    assert gradients == pytest.approx(right_gradients, rel=2e-3, abs=1e-2)


@settings(deadline=None, max_examples=300)
@given(
    mean, st.floats(width=32, allow_nan=False, allow_infinity=False), mean, st.floats(-(2.0**100), 2.0**100, width=32)
)
def test_the_solution_is_finite_for_any_logvar(mu1, logvar1, mu2, logvar2):
    mu, logvar, gradients = joint_and_gradients(product_of_experts, torch.float32, mu1, logvar1, mu2, logvar2)
    assert all(math.isfinite(value) for value in (mu, logvar, *gradients))
    assert min(mu1, mu2) - 1e-3 <= mu <= max(mu1, mu2) + 1e-3
    assert logvar <= min(logvar1, logvar2)


@settings(deadline=None, max_examples=50)
@given(st.integers(2, 6), mean, st.floats(-20, 20, width=32))
def test_n_equal_experts_divide_the_variance_by_n(n, mu, logvar):
    joint = torch.tensor([mu]), torch.tensor([logvar])
    for _ in range(n - 1):
        joint = product_of_experts(*joint, torch.tensor([mu]), torch.tensor([logvar]))
    assert joint[0].item() == pytest.approx(mu, rel=1e-5, abs=1e-5)
    assert joint[1].item() == pytest.approx(logvar - math.log(n), rel=1e-5, abs=1e-5)


def test_the_solution_of_the_loss_equals_the_references():
    generator = torch.Generator().manual_seed(3)
    inputs = {
        name: torch.rand(4, channels, 32, 32, generator=generator)
        for name, channels in (("x_recon_mnist", 1), ("x_mnist", 1), ("x_recon_svhn", 3), ("x_svhn", 3))
    }
    inputs |= {name: torch.randn(4, 20, generator=generator) for name in ("mu", "logvar")}
    got = vae_loss(**inputs, beta=2.0, svhn_weight=5.0)
    right = references.vae_loss(**inputs, beta=2.0, svhn_weight=5.0)
    assert [part.item() for part in got] == pytest.approx([part.item() for part in right], rel=1e-5)
