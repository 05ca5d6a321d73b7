"""Checks of `product_with_prior(mu, logvar, present) -> (mu, logvar)`."""

import itertools
import math
from collections.abc import Callable, Sequence
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
    expect_any_layout,
    keeps_dtype,
    keeps_precision,
    naming_layout,
    needs_no_gradient,
    same,
    tensors,
    untouched,
)

EXERCISE = {"answer": "product_with_prior"}

Answer = Callable[[Tensor, Tensor, Tensor], Any]
Experts = tuple[Tensor, Tensor, Tensor]  # mu, logvar, present

CAUSE = "the result is not the normalised product of the prior and the experts that are present"
HINT = (
    "Do the case by hand: one expert N(3, 1/2) and the prior N(0, 1). The precisions are 2 and 1, so the product has "
    "precision 3 and mean (2*3 + 1*0)/3 = 2."
)
MASK_HINT = "An expert that is not present has precision 0: torch.where(present, ..., 0.0), entry by entry."


def draw(generator: torch.Generator, *shape: int, share: float = 1.0) -> Experts:
    """Return experts (V, B, D) of which about `share` are present, entry by entry."""
    mu = 2 * torch.randn(*shape, generator=generator)
    logvar = 4 * torch.rand(*shape, generator=generator) - 2
    return mu, logvar, torch.rand(*shape, generator=generator) < share


def call(answer: Answer, *experts: Tensor) -> tuple[Tensor, Tensor]:
    """Call the answer with copies of the experts and return its pair of tensors."""
    mu, logvar, present = (expert.clone(memory_format=torch.contiguous_format) for expert in experts)
    joint_mu, joint_logvar = tensors(answer(mu, logvar, present), "mu", "logvar")
    return joint_mu, joint_logvar


def mistakes(experts: Experts) -> list[tuple[str, str, Tensor, Tensor]]:
    """Return (cause, hint, mu, logvar) of typical wrong formulas, in float64."""
    mu, logvar, present = experts[0].double(), experts[1].double(), experts[2]
    right_mu, right_logvar = references.product_with_prior(*experts)
    precision = torch.where(present, (-logvar).exp(), 0.0)
    weighed = torch.where(present, mu, 0.0)
    alone, count = precision.sum(0), present.sum(0)
    nothing = torch.full_like(right_mu, math.nan)
    everybody = torch.ones_like(present)
    prior_each = alone + count
    mean = 1 + alone / len(mu)
    weights = "Weigh each mean by its precision and divide by the sum of the precisions, the prior's among them."
    prior = "The prior N(0, 1) is one expert, of precision 1 and mean 0, however many others there are."
    return [
        ("your mean and log-variance are in the wrong order", "Return (mu, logvar).", right_logvar, right_mu),
        ("the prior is missing from the product", prior, (precision * weighed).sum(0) / alone, -alone.log()),
        (
            "the prior counts more than once, perhaps once for each expert",
            prior,
            (precision * weighed).sum(0) / prior_each,
            -prior_each.log(),
        ),
        (
            "experts that are not present count, too",
            MASK_HINT,
            *references.product_with_prior(mu, logvar, everybody),
        ),
        (
            "the mask is upside down: the experts that are not present count",
            "present is True where an expert counts.",
            *references.product_with_prior(mu, logvar, ~present),
        ),
        (
            "experts that are not present count as standard normal ones, with precision 1",
            MASK_HINT,
            (precision * weighed).sum(0) / (1 + alone + (~present).sum(0)),
            -(1 + alone + (~present).sum(0)).log(),
        ),
        (
            "your precision is the average of the precisions; in a product they add",
            "Don't divide by the number of experts.",
            nothing,
            -((1 + alone) / (1 + count)).log(),
        ),
        (
            "your result is the log of the joint precision, not of the joint variance",
            "The variance is one over the precision, so the logarithm changes its sign.",
            nothing,
            -right_logvar,
        ),
        ("you returned the variance, not its logarithm", "Take the logarithm at the end.", nothing, right_logvar.exp()),
        (
            "you returned the precision, not the log-variance",
            "Minus the logarithm of the precision is the log-variance.",
            nothing,
            (-right_logvar).exp(),
        ),
        (
            "your mean is the plain average of the means",
            weights,
            weighed.sum(0) / count,
            nothing,
        ),
        (
            "the means are not weighed by their precisions before they are added",
            weights,
            weighed.sum(0) / (1 + alone),
            nothing,
        ),
        (
            "you took the mean over the experts where their sum belongs",
            "In a product the precisions add.",
            (precision * weighed).mean(0) / mean,
            -mean.log(),
        ),
        (
            "you returned the log of the standard deviation, not of the variance",
            "The log-variance is minus the logarithm of the precision, without the half.",
            nothing,
            right_logvar / 2,
        ),
        (
            "this is the logarithm to base 2",
            "Every logarithm here is the natural one.",
            nothing,
            right_logvar / math.log(2),
        ),
        (
            "the variances are added; in a product the precisions add",
            "Add the precisions, exp(-logvar), the prior's 1 among them.",
            nothing,
            (1 + torch.where(present, logvar.exp(), 0.0).sum(0)).log(),
        ),
        (
            "the log-variances are added; in a product the precisions add",
            "Add the precisions, exp(-logvar), the prior's 1 among them.",
            nothing,
            torch.where(present, logvar, 0.0).sum(0),
        ),
        ("the sign of the mean is wrong", weights, -right_mu, nothing),
        ("the mean is divided by the sum of the precisions twice", weights, right_mu / (1 + alone), nothing),
        ("your mean is the plain average of the means", weights, weighed.sum(0) / (1 + count), nothing),
        (
            "the prior has mean 1 here; its mean is 0",
            prior,
            ((precision * weighed).sum(0) + 1) / (1 + alone),
            nothing,
        ),
        (
            "the prior has another precision than 1",
            prior,
            (precision * weighed).sum(0) / (math.exp(-1) + alone),
            -(math.exp(-1) + alone).log(),
        ),
        (
            "the prior has another precision than 1",
            prior,
            (precision * weighed).sum(0) / (0.5 + alone),
            -(0.5 + alone).log(),
        ),
        (
            "this is the logarithm to base 10",
            "Every logarithm here is the natural one.",
            nothing,
            right_logvar / math.log(10),
        ),
        (
            "you squared the variance: logvar is already the logarithm of the variance",
            "The variance of an expert is exp(logvar), without the factor two.",
            *references.product_with_prior(mu, 2 * logvar, present),
        ),
        (
            "not every expert counts",
            "Sum over all experts, the first dimension.",
            *references.product_with_prior(mu[:1], logvar[:1], present[:1]),
        ),
        (
            "not every expert counts",
            "Sum over all experts, the first dimension.",
            *references.product_with_prior(mu[:-1], logvar[:-1], present[:-1]),
        ),
        (
            "you weighed the means by their precisions but did not divide by the sum of the precisions",
            "Divide by the sum of the precisions, the prior's among them.",
            (precision * weighed).sum(0),
            nothing,
        ),
        (
            "you took exp(logvar) for the precision",
            "The precision of an expert is exp(-logvar).",
            *references.product_with_prior(mu, -logvar, present),
        ),
        (
            "you took exp(logvar / 2), the standard deviation, for the variance",
            "The variance of an expert is exp(logvar), without the half.",
            *references.product_with_prior(mu, logvar / 2, present),
        ),
    ]


def compare_joint(result: tuple[Tensor, Tensor], experts: Experts, *, cause: str = CAUSE, hint: str = HINT) -> None:
    """Compare a log-variance and a mean with the product, and name the mistake.

    The log-variance comes first: there are means that two mistakes share.
    """
    wanted = references.product_with_prior(*experts)
    for name, part, place in (("log-variance", 1, 3), ("mean", 0, 2)):
        got, right = result[part], wanted[part]
        if same(got, right):
            continue
        if got.shape == right.shape and got.isnan().any():
            cause = "the result is not a number (nan): " + (
                "0 / 0 where nobody is present, or 0 times the infinity or nan of an expert that is not present"
                if not experts[2].all()
                else "the logarithm of a negative number, or infinity minus infinity"
            )
            hint = (
                "Add the prior's precision 1 before you divide, and replace what is not present: 0 times nan is nan."
                if not experts[2].all()
                else "Print each value of your formula, and look for the first nan."
            )
        typical = [Mistake(entry[0], entry[1], entry[place]) for entry in mistakes(experts)]
        compare(name, got, right, mistakes=typical, cause=cause, hint=hint)


def stored_references() -> list[tuple[Experts, Tensor, Tensor]]:
    """Return the stored cases, each with one row and one dimension: experts (V, 1, 1), mean and log-variance (1, 1)."""
    cases = []
    for case in references.golden()["product_with_prior"]:
        given = case["experts"] or [[1.0, 0.0]]
        mu, logvar = torch.tensor(given).T[:, :, None, None]
        mean, log_variance = (torch.tensor([[float(value)]], dtype=torch.float64) for value in case["joint"])
        cases.append(((mu, logvar, torch.full(mu.shape, bool(case["experts"]))), mean, log_variance))
    return cases


@pytest.mark.points(1)
def test_shapes(product_with_prior: Answer, generator: torch.Generator) -> None:
    """Any number of experts of shape (V, B, D) gives a mean and a log-variance of shape (B, D)."""
    for shape in (
        (2, 7, 20),
        (1, 4, 3),
        (3, 1, 5),
        (5, 2, 1),
        (1, 1, 1),
        (3, 3, 3),
        (2, 300, 2),
        (2, 2, 80),
    ):
        with naming_layout(f"experts of shape {shape}"):
            refuse_shape(call(product_with_prior, *draw(generator, *shape)), shape)
    for shape in ((2, 260, 66), (3, 3, 3), (2, 1500, 2)):
        expect_entries_apart(product_with_prior, draw(generator, *shape, share=0.7))
    expect_experts_in_any_layout(product_with_prior, draw(generator, 2, 5, 6, share=0.7))


def refuse_shape(joint: tuple[Any, ...], shape: Sequence[int]) -> None:
    """Raise `Wrong` unless mean and log-variance have the shape (B, D) of experts (V, B, D)."""
    for name, got in zip(("mean", "log-variance"), joint, strict=True):
        if got.shape != tuple(shape[1:]):
            raise Wrong(
                expected=f"{name} of shape {tuple(shape[1:])} from experts of shape {tuple(shape)}",
                got=describe(got),
                cause="an axis of length 1 is kept or taken away, by keepdim, squeeze or a reshape"
                if got.numel() == shape[1] * shape[2]
                else "the sum does not go over the experts, which are the first dimension, and over nothing else",
                hint="Sum over dim=0 only.",
            )


def expect_entries_apart(answer: Answer, experts: Experts) -> None:
    """Raise `Wrong` unless the first and the last entries give alone what they give among the others."""
    whole = call(answer, *experts)
    for rows, columns in ((slice(0, 1), slice(None)), (slice(-2, None), slice(-3, None))):
        mu, logvar, present = (expert[:, rows, columns].contiguous() for expert in experts)
        for name, one, other in zip(("mean", "log-variance"), whole, call(answer, mu, logvar, present), strict=True):
            compare(
                f"{name} of some entries of experts of shape {tuple(experts[0].shape)}",
                one[rows, columns],
                other.detach(),
                cause="the same entries by themselves give another result: a size is fixed, or others count, too",
                hint="The product is taken for each entry, by one formula; no line needs to know the shape.",
            )


def expect_experts_in_any_layout(answer: Answer, experts: Experts) -> None:
    """Raise `Wrong` unless experts give what copies of them do when they are laid out in memory in other ways."""
    ways: tuple[tuple[str, Callable[..., Any]], ...] = (
        *LAYOUTS,
        (
            "a mask that is expanded, so that its rows share memory",
            lambda m, v, p: (m, v, p[:, :1].expand_as(m)),
        ),
        ("a mask of one row for all experts, expanded", lambda m, v, p: (m, v, p[:1].expand_as(m))),
        ("a mask that is expanded from one entry for each expert", lambda m, v, p: (m, v, p[:, :1, :1].expand_as(m))),
        ("means and log-variances as the same tensor", lambda m, v, p: (v, v, p)),
        ("experts that are all the same, expanded", lambda m, v, p: (m[:1].expand_as(m), v[:1].expand_as(v), p)),
    )
    expect_any_layout(
        ("mean", "log-variance"),
        ways,
        (experts[0], experts[1], uneven(experts[2])),
        lambda m, v, p: tensors(answer(m, v, p), "mu", "logvar"),
    )


def uneven(present: Tensor) -> Tensor:
    """Return a mask that differs in the first two dimensions of its first row."""
    present[:, 0, 0], present[:, 0, 1] = True, False
    return present


@pytest.mark.points(2)
def test_two_views(product_with_prior: Answer, generator: torch.Generator) -> None:
    """Two experts that are present, and the prior."""
    experts = draw(generator, 2, 16, 20)
    compare_joint(call(product_with_prior, *experts), experts)
    centred = (0 * experts[0], *experts[1:])
    prior = (0 * experts[0], 0 * experts[1], experts[2])
    for given in (centred, prior):
        compare_joint(call(product_with_prior, *given), given, cause="experts with means of 0 are taken for absent")
    mu, logvar, present = draw(generator, 2, 40, 30)
    logvar = 16 * torch.rand(logvar.shape, generator=generator) - 8
    logvar[:, 0], logvar[:, 1], logvar[0, 2] = -8, 8, -8
    wide = 30 * mu, logvar, present
    compare_joint(
        call(product_with_prior, *wide),
        wide,
        cause="a clamp or a small constant changes the result where an expert is very sure or very unsure",
        hint="Leave it out: with the prior's 1 in the sum, nothing here is divided by zero.",
    )


@pytest.mark.points(1)
def test_any_number(product_with_prior: Answer, generator: torch.Generator) -> None:
    """One expert and the prior, three, five, twelve; and the stored integrals."""
    for count in (1, 3, 5, 12):
        experts = draw(generator, count, 4, 6)
        compare_joint(call(product_with_prior, *experts), experts)
    alike = draw(generator, 3, 3, 1)
    compare_joint(call(product_with_prior, *alike), alike)
    for count, vague in itertools.product((1, 16), (8.0, -4.0, -8.0)):  # the product of 16 such variances overflows
        mu, logvar, present = draw(generator, count, 4, 6)
        compare_joint(call(product_with_prior, mu, 0 * logvar + vague, present), (mu, 0 * logvar + vague, present))
    compare_stored(product_with_prior, somebody=True)


def compare_stored(answer: Answer, *, somebody: bool) -> None:
    """Compare with the stored cases in which somebody, or nobody, is present."""
    for experts, mean, log_variance in stored_references():
        if bool(experts[2].any()) == somebody:
            got = call(answer, *experts)
            for name, value, right in zip(("mean", "log-variance"), got, (mean, log_variance), strict=True):
                compare(name, value, right, cause=CAUSE, hint=HINT)


@pytest.mark.points(1)
def test_nobody(product_with_prior: Answer, generator: torch.Generator) -> None:
    """Where nobody is present only the prior is left: mean 0 and log-variance 0, never nan."""
    experts = draw(generator, 2, 4, 20, share=0.0)
    compare_joint(
        call(product_with_prior, *experts),
        experts,
        cause="with nobody present the result is not the prior N(0, I)",
        hint="The prior's precision is 1 and its mean 0; both sums begin with it.",
    )
    compare_stored(product_with_prior, somebody=False)


@pytest.mark.points(1)
def test_mask(product_with_prior: Answer, generator: torch.Generator) -> None:
    """Each entry has a mask of its own: an expert counts where it is present, and nowhere else."""
    experts = draw(generator, 3, 16, 20, share=0.6)
    experts[2][:, 0], experts[2][:, 1:, -1] = False, False  # a row, and nearly a column, in which nobody is
    experts[2][0, 1] = True
    compare_joint(call(product_with_prior, *experts), experts, hint=MASK_HINT)


@pytest.mark.points(1)
def test_absent_numbers(product_with_prior: Answer, generator: torch.Generator) -> None:
    """What an absent expert holds does not matter: not large numbers, not infinity, not nan."""
    mu, logvar, present = draw(generator, 2, 8, 20, share=0.5)
    # Whoever gets the mask wrong has heard so above: this is about an answer that is right for plain numbers.
    plain = all(
        map(same, call(product_with_prior, mu, logvar, present), references.product_with_prior(mu, logvar, present))
    )
    for wild, where in itertools.product(
        (1e4, -1e4, math.nan, math.inf, -math.inf, 200.0, -200.0), ("both", "mu", "logvar")
    ):
        experts = (
            mu.masked_fill(~present, wild) if where != "logvar" else mu,
            logvar.masked_fill(~present, wild) if where != "mu" else logvar,
            present,
        )
        compare_joint(
            call(product_with_prior, *experts),
            experts,
            cause="a number of an absent expert gets into the result" if plain else CAUSE,
            hint="Replace mean and log-variance of an absent expert; 0 times infinity, or times nan, is nan."
            if plain
            else MASK_HINT,
        )


@pytest.mark.points(1)
def test_types(product_with_prior: Answer, generator: torch.Generator) -> None:
    """The dtype is kept, with its digits, and the inputs are left as they were."""
    for dtype, count, share in itertools.product((torch.float32, torch.float64), (2, 12), (0.7, 0.0)):
        mu, logvar, present = draw(generator, count, 3, 20, share=share)
        experts = (mu.to(dtype) / 3, logvar.to(dtype) / 3, present)
        for name, got, right in zip(
            ("mean", "log-variance"),
            call(product_with_prior, *experts),
            references.product_with_prior(*experts),
            strict=True,
        ):
            keeps_dtype(name, got, dtype)
            if dtype == torch.float64:
                keeps_precision(name, got, right)
    for count, share in ((2, 0.6), (1, 1.0), (2, 1.0)):
        expect_untouched(product_with_prior, draw(generator, count, 4, 20, share=share))


def expect_untouched(answer: Answer, experts: Experts) -> None:
    """Raise `Wrong` unless a call leaves the numbers of its inputs as they were, those of absent experts among them."""
    mu, logvar, present = experts
    logvar[:, 0, :2] = torch.tensor([8.0, -8.0])
    # Finite numbers, for below they stand for experts that are present.
    wild = torch.tensor([300.0, 1e4, 200.0, -200.0, 0.0]).repeat(4).expand_as(mu)
    before = (torch.where(present, mu, wild), torch.where(present, logvar, wild), present)
    given = [expert.clone() for expert in before]
    needs_no_gradient(*tensors(answer(given[0], given[1], given[2]), "mu", "logvar"))
    everybody = torch.ones_like(present)

    def mean(expert: Tensor) -> Tensor:
        """Return the joint mean where an input stands for the means of experts that are present."""
        return tensors(answer(expert, logvar.clone(), everybody.clone()), "mu", "logvar")[0].detach()  # type: ignore[no-any-return]

    def masked(mask: Tensor) -> Tensor:
        return tensors(answer(mu.clone(), logvar.clone(), mask), "mu", "logvar")[0].detach()  # type: ignore[no-any-return]

    untouched("mu", mean, given[0], before[0].clone())
    untouched("logvar", mean, given[1], before[1].clone())
    untouched("present", masked, given[2], before[2].clone())


@pytest.mark.points(1)
def test_gradients(product_with_prior: Answer, generator: torch.Generator) -> None:
    """Gradients reach the experts that are present, large ones whole, and are 0 at absent ones, whatever these hold."""
    mu, logvar, present = draw(generator, 2, 5, 6, share=0.7)
    present[0, 0, 0] = True
    present[:, 0, 1] = False
    everybody = torch.ones_like(present)
    compare_gradients(product_with_prior, (mu, logvar, present))
    for wild in (math.nan, math.inf, -math.inf, 200.0, -200.0):
        compare_gradients(product_with_prior, (mu.masked_fill(~present, wild), logvar, present))
        compare_gradients(product_with_prior, (mu, logvar.masked_fill(~present, wild), present))
    level = torch.full_like(mu, 0.25)
    for experts in (
        (mu, logvar, everybody),
        (1000 * mu, logvar, everybody),
        (mu, level, everybody),
        (0 * mu, logvar, everybody),
        (mu, torch.full_like(mu, 8.0), everybody),
        (mu, torch.full_like(mu, -8.0), everybody),
        draw(generator, 1, 5, 6),
        draw(generator, 2, 1, 6),
        draw(generator, 1, 1, 1),
    ):
        compare_gradients(product_with_prior, experts)
    for learned in ((0,), (1,)):
        compare_gradients(product_with_prior, draw(generator, 2, 3, 4), learned)
    compare_gradients(product_with_prior, (mu, logvar, present), then=draw(generator, 2, 5, 6))


def compare_gradients(
    answer: Answer, experts: Experts, learned: tuple[int, ...] = (0, 1), *, then: Experts | None = None
) -> None:
    """Compare the gradients of a weighted sum of mean and log-variance with the formula's, 0 at absent experts.

    The answer is called with `then` before backward, as where one loss has several terms.
    """
    mu, logvar, present = experts
    weights = torch.linspace(1, 3, mu[0].numel()).view(mu[0].shape)
    right = [expert.masked_fill(~present, 0.0).double().requires_grad_() for expert in (mu, logvar)]
    torch.stack(
        [(weights * p).sum() for p in references.product_with_prior(right[0], right[1], present)]
    ).sum().backward()
    given = [expert.clone().requires_grad_(i in learned) for i, expert in enumerate((mu, logvar))]
    joint = tensors(answer(given[0], given[1], present.clone()), "mu", "logvar")
    if then:
        answer(then[0].clone().requires_grad_(), then[1].clone().requires_grad_(), then[2].clone())
    refuse_shape(joint, mu.shape)
    backward((weights * joint[0]).sum() + (weights * joint[1]).sum())
    for i in learned:
        name, got, want = ("mu", "logvar")[i], given[i].grad, right[i].grad
        assert want is not None
        if got is not None and not got[~present].eq(0).all():
            raise Wrong(
                expected=f"a gradient of 0 at {name} of experts that are not present",
                got="nan" if got[~present].isnan().any() else "another gradient",
                cause="what an absent expert holds goes through exp or a product before it is left out: 0 times inf"
                if got[~present].isnan().any()
                else "experts that are not present count in the gradient",
                hint="Replace mean and log-variance of an absent expert by ordinary numbers first, then compute.",
            )
        compare_gradient(name, got, want.masked_fill(~present, 0.0))
