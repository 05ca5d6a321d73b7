"""Checks of `agreement_scores(mu1, logvar1, mu2, logvar2) -> scores`."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from autograder.cross_view import references
from nbverdict.checks.diagnosis import (
    LAYOUTS,
    NAN,
    Mistake,
    Wrong,
    backward,
    compare,
    compare_gradient,
    describe,
    each_expanded,
    expect_any_layout,
    keeps_dtype,
    keeps_precision,
    naming_layout,
    needs_no_gradient,
    same,
    tensors,
    untouched,
)

EXERCISE = {"answer": "agreement_scores"}

Answer = Callable[[Tensor, Tensor, Tensor, Tensor], Any]
Posteriors = tuple[Tensor, Tensor, Tensor, Tensor]  # mu1, logvar1 (N, D), mu2, logvar2 (M, D)

CAUSE = "the result is not the log of the integral of q1 q2 / p"
HINT = (
    "Do the case by hand: q1 = q2 = N(0, 1/2) in one dimension. Both have P = 2 and eta = 0, their product over the "
    "prior has P = 3, so the score is A(3, 0) - 2 A(2, 0) = (2 log 2 - log 3) / 2 = 0.144."
)
ROUNDING = 1e-3  # the terms of a score cancel: in float32 it is exact to some such number
EVERY = "Put an axis of length 1 into each, (N, 1, D) and (1, M, D): broadcasting then forms all pairs."


def draw(generator: torch.Generator, first: int, second: int, dimensions: int) -> Posteriors:
    """Return N and M posteriors of that many dimensions, none of them less sure than the prior."""
    mu1, mu2 = (torch.randn(n, dimensions, generator=generator) for n in (first, second))
    logvar1, logvar2 = (-0.1 - 2.4 * torch.rand(n, dimensions, generator=generator) for n in (first, second))
    return mu1, logvar1, mu2, logvar2


def call(answer: Answer, *posteriors: Tensor) -> Tensor:
    """Call the answer with copies of the posteriors and return its tensor."""
    mu1, logvar1, mu2, logvar2 = (tensor.clone(memory_format=torch.contiguous_format) for tensor in posteriors)
    (scores,) = tensors(answer(mu1, logvar1, mu2, logvar2), "scores")
    found: Tensor = scores
    return found


def mistakes(posteriors: Posteriors) -> list[Mistake]:
    """Return typical wrong formulas and their values, in float64."""
    right = references.agreement_scores(*posteriors)
    mu1, logvar1, mu2, logvar2 = (tensor.double() for tensor in posteriors)
    one1, one2 = (-logvar1).exp()[:, None], (-logvar2).exp()[None]
    eta1, eta2 = mu1[:, None] * one1, mu2[None] * one2

    def log_a(precision: Tensor, eta: Tensor) -> Tensor:
        return 0.5 * (eta.square() / precision - precision.log())

    single = log_a(one1, eta1) + log_a(one2, eta2)

    def pair(precision: Tensor, eta: Tensor) -> Tensor:
        return (log_a(precision, eta) - single).sum(-1)

    with_prior = log_a(one1 + one2 - 1, eta1 + eta2)
    prior = "Both posteriors contain the prior; dividing by it once leaves it in once: P1 + P2 - 1."
    overlap = pair(one1 + one2, eta1 + eta2)
    constant = math.log(2 * math.pi) / 2
    formula = "For each dimension: A(P1 + P2 - 1, eta1 + eta2) - A(P1, eta1) - A(P2, eta2)."
    distance = (mu1[:, None] - mu2[None]).square().sum(-1)

    def square(precision: Tensor, eta: Tensor) -> Tensor:
        return eta.square() / precision

    squares = (square(one1 + one2 - 1, eta1 + eta2) - square(one1, eta1) - square(one2, eta2)).sum(-1)
    logs = ((one1 + one2 - 1).log() - one1.log() - one2.log()).sum(-1)
    inside = "A(P, eta) = (eta^2 / P - log P) / 2."

    found = [
        Mistake("the prior is not divided out: this is the integral of q1 q2", prior, overlap),
        Mistake(
            "the prior is not divided out: this is the integral of q1 q2",
            prior,
            overlap - mu1.shape[1] * constant,
        ),
        Mistake(
            "the prior is multiplied in instead of divided out",
            prior,
            pair(one1 + one2 + 1, eta1 + eta2),
        ),
        Mistake("the sign is turned: pairs that agree must score high", formula, -right),
        Mistake(
            "you took the mean over the dimensions, not the sum",
            "The dimensions multiply: their logarithms add.",
            right / mu1.shape[1],
        ),
        Mistake("A(P1, eta1) and A(P2, eta2) are not subtracted", formula, with_prior.sum(-1)),
        Mistake("A(P1, eta1) and A(P2, eta2) are added, not subtracted", formula, (with_prior + single).sum(-1)),
        Mistake(
            "A(P2, eta2) is not subtracted",
            formula,
            (with_prior - log_a(one1, eta1)).sum(-1),
        ),
        Mistake("A(P1, eta1) is not subtracted", formula, (with_prior - log_a(one2, eta2)).sum(-1)),
        Mistake("the half in A is missing", inside, 2 * right),
        Mistake(
            "log P in A has the wrong sign",
            inside,
            right + logs,
        ),
        Mistake(
            "log P in A is missing",
            inside,
            right + 0.5 * logs,
        ),
        Mistake(
            "you took the mean for eta; eta is the mean times the precision",
            "eta = mu * P.",
            _with_eta(one1, mu1[:, None], one2, mu2[None], log_a),
        ),
        Mistake(
            "you took exp(logvar) for the precision",
            "The precision is exp(-logvar).",
            _scores((logvar1).exp()[:, None], mu1[:, None], logvar2.exp()[None], mu2[None], log_a),
        ),
        Mistake(
            "you took exp(-logvar / 2), one over the standard deviation, for the precision",
            "The precision is exp(-logvar).",
            _scores((-logvar1 / 2).exp()[:, None], mu1[:, None], (-logvar2 / 2).exp()[None], mu2[None], log_a),
        ),
        Mistake("you returned the squared distance of the means", formula, distance),
        Mistake("you returned minus the squared distance of the means", formula, -distance),
        Mistake("you returned minus half the squared distance of the means", formula, -distance / 2),
        Mistake("you returned the product of the means", formula, mu1 @ mu2.T),
        Mistake("you returned the integral, not its logarithm", "Leave out the exp at the end.", right.exp()),
        Mistake(
            "the half before eta^2 / P is missing",
            inside,
            right + 0.5 * squares,
        ),
        Mistake(
            "the half before log P is missing",
            inside,
            right - 0.5 * logs,
        ),
        Mistake(
            "eta^2 / P in A has the wrong sign",
            inside,
            right - squares,
        ),
        Mistake(
            "the term eta^2 / P in A is missing",
            inside,
            right - 0.5 * squares,
        ),
        Mistake(
            "the prior is divided out twice",
            prior,
            pair(one1 + one2 - 2, eta1 + eta2),
        ),
        Mistake(
            "eta is the mean times the variance here; it is the mean times the precision",
            "eta = mu * P.",
            _with_eta(one1, mu1[:, None] / one1, one2, mu2[None] / one2, log_a),
        ),
        Mistake(
            "eta^2 is multiplied by P in A, not divided",
            inside,
            _with_eta(one1, eta1, one2, eta2, lambda p, eta: 0.5 * (eta.square() * p - p.log())),
        ),
        Mistake(
            "eta is not squared in A",
            inside,
            _with_eta(one1, eta1, one2, eta2, lambda p, eta: 0.5 * (eta / p - p.log())),
        ),
        Mistake(
            "eta is the mean over the standard deviation here; it is the mean over the variance",
            "eta = mu * P.",
            _with_eta(one1, mu1[:, None] * one1.sqrt(), one2, mu2[None] * one2.sqrt(), log_a),
        ),
        Mistake(
            "you took exp(-2 logvar) for the precision",
            "The precision is exp(-logvar).",
            _scores(one1.square(), mu1[:, None], one2.square(), mu2[None], log_a),
        ),
        Mistake("eta2 is subtracted from eta1; in a product they add", formula, pair(one1 + one2 - 1, eta1 - eta2)),
        Mistake("the precisions are multiplied; in a product they add", formula, pair(one1 * one2 - 1, eta1 + eta2)),
        Mistake("the prior is taken from eta, too; its eta is 0", formula, pair(one1 + one2 - 1, eta1 + eta2 - 1)),
        Mistake("A(P2, eta2) is added, not subtracted", formula, right + 2 * log_a(one2, eta2).sum(-1)),
        Mistake("negative scores are cut off", "Pairs that disagree score below 0.", right.clamp(min=0)),
        Mistake("the absolute value is returned", "Pairs that disagree score below 0.", right.abs()),
        Mistake("a constant log(2 pi) is left; in A it cancels", formula, right - mu1.shape[1] * constant),
        Mistake("a constant log(2 pi) is left; in A it cancels", formula, right + mu1.shape[1] * constant),
        Mistake("this is the logarithm to base 2", "Every logarithm here is the natural one.", right / math.log(2)),
        Mistake(
            "each score is set against the others of its row or matrix (a softmax, a maximum or a mean)",
            "Return the plain scores; the notebook takes the softmax afterwards.",
            right.log_softmax(1),
        ),
    ]
    if right.shape[0] == right.shape[1]:
        found.append(
            Mistake(
                "rows and columns are exchanged: scores[i, j] is that of the i-th first and the j-th second posterior",
                EVERY,
                right.T,
            )
        )
    return found


def _with_eta(
    one1: Tensor, eta1: Tensor, one2: Tensor, eta2: Tensor, log_a: Callable[[Tensor, Tensor], Tensor]
) -> Tensor:
    return (log_a(one1 + one2 - 1, eta1 + eta2) - log_a(one1, eta1) - log_a(one2, eta2)).sum(-1)


def _scores(one1: Tensor, mu1: Tensor, one2: Tensor, mu2: Tensor, log_a: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    return _with_eta(one1, mu1 * one1, one2, mu2 * one2, log_a)


def compare_scores(
    got: Tensor, posteriors: Posteriors, *, cause: str = CAUSE, hint: str = HINT, rtol: float = 1e-4
) -> None:
    """Compare scores with the reference, and name the mistake."""
    right = references.agreement_scores(*posteriors)
    compare_values(got, right, mistakes(posteriors), cause=cause, hint=hint, rtol=rtol)


def compare_values(
    got: Tensor,
    right: Tensor,
    typical: list[Mistake],
    *,
    cause: str = CAUSE,
    hint: str = HINT,
    rtol: float = 1e-4,
) -> None:
    """Compare scores with the right ones, and name the mistake."""
    if got.shape == right.shape and got.isnan().any():
        cause, hint = (
            NAN,
            "P1 + P2 - 1 is at least 1 here; which of your terms takes the logarithm of something negative?",
        )
    compare("score", got, right, mistakes=typical, cause=cause, hint=hint, rtol=rtol, atol=ROUNDING)


@pytest.mark.points(1)
def test_shapes(agreement_scores: Answer, generator: torch.Generator) -> None:
    """N and M posteriors give scores, (N, M), with the digits of their dtype; the inputs stay as they are."""
    expect_untouched(agreement_scores, draw(generator, 8, 8, 30))
    for first, second, dimensions in (
        *((5, 5, 6), (4, 7, 6), (1, 3, 2), (6, 1, 1), (1, 1, 1), (3, 3, 3)),
        *((300, 2, 3), (2, 600, 2), (3, 2, 130)),
    ):
        with naming_layout(f"{first} and {second} posteriors of {dimensions} dimensions"):
            refuse_shape(call(agreement_scores, *draw(generator, first, second, dimensions)), first, second)
    for first, second, dimensions in ((1500, 3, 4), (3, 1500, 4), (5, 5, 5), (4, 4, 130)):
        expect_pairs_apart(agreement_scores, draw(generator, first, second, dimensions))
    posteriors = draw(generator, 4, 4, 4)
    ways: tuple[tuple[str, Callable[..., Any]], ...] = (
        *LAYOUTS,
        ("posteriors that are all the same, expanded", lambda *four: tuple(one[:1].expand(4, 4) for one in four)),
        *each_expanded("first means", "first log-variances", "second means", "second log-variances"),
        ("posteriors with themselves, as the same tensors", lambda mu, logvar, *_: (mu, logvar, mu, logvar)),
        ("the same means on both sides", lambda mu, logvar, _, other: (mu, logvar, mu, other)),
        ("posteriors that share memory", lambda mu, logvar, *_: (mu, logvar, mu.T, logvar.T)),
    )
    expect_any_layout(("score",), ways, posteriors, lambda a, b, c, d: tensors(agreement_scores(a, b, c, d), "scores"))
    for size in (4, 40):
        mu1, logvar1, mu2, logvar2 = (one.double() / 3 for one in draw(generator, size, size, 5))
        got = call(agreement_scores, mu1, logvar1, mu2, logvar2)
        keeps_dtype("scores", got, torch.float64)
        keeps_precision("score", got, references.agreement_scores(mu1, logvar1, mu2, logvar2))
    keeps_dtype("scores", call(agreement_scores, *posteriors), torch.float32)


def refuse_shape(got: Tensor, first: int, second: int) -> None:
    """Raise `Wrong` unless scores have the shape (N, M)."""
    if got.shape != (first, second):
        raise Wrong(
            expected=f"a tensor of shape {(first, second)} from {first} and {second} posteriors",
            got=describe(got),
            cause="rows and columns are exchanged"
            if got.shape == (second, first)
            else "not every first posterior meets every second one, or the sum over the dimensions is missing",
            hint=EVERY,
        )


def expect_pairs_apart(answer: Answer, posteriors: Posteriors) -> None:
    """Raise `Wrong` unless the first and the last pairs have alone the scores that they have among the others."""
    mu1, logvar1, mu2, logvar2 = posteriors
    whole = call(answer, *posteriors)
    for rows, columns in ((slice(0, 2), slice(-1, None)), (slice(-3, None), slice(0, 2))):
        alone = call(answer, mu1[rows].clone(), logvar1[rows].clone(), mu2[columns].clone(), logvar2[columns].clone())
        cause = "the same pairs by themselves have other scores: a size is fixed, or other pairs count, too"
        what = f"score of some of {len(mu1)} x {len(mu2)} pairs in {mu1.shape[1]} dimensions"
        compare(what, whole[rows, columns], alone.detach(), cause=cause, hint=EVERY, atol=ROUNDING)


def expect_untouched(answer: Answer, posteriors: Posteriors) -> None:
    """Raise `Wrong` unless a call leaves the numbers of its inputs as they were; the answer itself compares them."""
    before = list(posteriors)
    for one in before:
        one[0] = 0  # the prior itself, as some answers put right in place
    before[1][1, :2] = before[3][1, :2] = -8
    given = [one.clone() for one in before]
    needs_no_gradient(*tensors(answer(given[0], given[1], given[2], given[3]), "scores"))
    mu2, sharp = posteriors[2].clone(), torch.full_like(posteriors[1], -1.0)

    def scores(means: Tensor) -> Tensor:
        """Return the scores of posteriors that have these means with others."""
        return tensors(answer(means, sharp.clone(), mu2.clone(), sharp.clone()), "scores")[0].detach()  # type: ignore[no-any-return]

    for name, held, copy in zip(("mu1", "logvar1", "mu2", "logvar2"), given, before, strict=True):
        untouched(name, scores, held, copy.clone())


@pytest.mark.points(2)
def test_one_pair(agreement_scores: Answer) -> None:
    """One pair in one dimension is the stored integral."""
    found, right, typical = [], [], []
    for case in references.golden()["agreement_scores"]:
        mu1, logvar1, mu2, logvar2 = values = [torch.tensor([[value]]) for value in case["pair"]]
        found.append(call(agreement_scores, *values))
        right.append(references.agreement_scores(mu1, logvar1, mu2, logvar2))
        typical.append(mistakes((mu1, logvar1, mu2, logvar2)))
        if found[-1].shape != (1, 1):
            compare_values(found[-1], right[-1], [])
    # A mistake is named if it fits all of them: single pairs are often the same by two.
    fitting = [
        Mistake(one[0].cause, one[0].hint, torch.cat([m.value for m in one])) for one in zip(*typical, strict=True)
    ]
    compare_values(torch.cat(found), torch.cat(right), fitting)


@pytest.mark.points(2)
def test_every_pair(agreement_scores: Answer, generator: torch.Generator) -> None:
    """The score of every pair, in several dimensions."""
    mu1, logvar1, mu2, logvar2 = usual = draw(generator, 6, 6, 5)
    mu1[0, 0] = mu2[0, 0] = 4.0  # far from the prior, where agreement counts most
    twice = (mu1[[0, 1, 0, 2]], logvar1[[0, 1, 0, 2]], mu2[[3, 3, 4, 5, 4]], logvar2[[3, 3, 4, 5, 4]])
    for posteriors in (usual, twice, draw(generator, 7, 4, 30), draw(generator, 3, 4, 130)):
        compare_scores(call(agreement_scores, *posteriors), posteriors)


@pytest.mark.points(1)
def test_no_opinion(agreement_scores: Answer, generator: torch.Generator) -> None:
    """Whoever knows no more than the prior agrees with everybody just as well: score 0."""
    _, _, mu2, logvar2 = draw(generator, 4, 4, 5)
    nothing = torch.zeros_like(mu2)
    for posteriors in ((nothing, nothing, mu2, logvar2), (mu2, logvar2, nothing, nothing), (nothing,) * 4):
        compare_scores(
            call(agreement_scores, *posteriors),
            posteriors,
            cause="a posterior that equals the prior must score 0 with all: q1 / p is 1, and q2 integrates to 1",
        )


@pytest.mark.points(1)
def test_swapped(agreement_scores: Answer, generator: torch.Generator) -> None:
    """The views may be exchanged: then the matrix is transposed."""
    mu1, logvar1, mu2, logvar2 = draw(generator, 5, 5, 4)
    mu1[0, 0] = mu2[0, 0] = 4.0
    swapped = (mu2, logvar2, mu1, logvar1)
    compare_scores(call(agreement_scores, *swapped), swapped)


@pytest.mark.points(1)
def test_sure(agreement_scores: Answer, generator: torch.Generator) -> None:
    """Sure posteriors, near to each other and far apart: large scores of both signs, and never infinite."""
    mu1, _, mu2, _ = draw(generator, 5, 5, 6)
    sure = -8 + torch.rand(5, 6, generator=generator)
    # Those that are near each other lie near 0: large squares that cancel would leave too few digits in float32.
    posteriors = (torch.cat([mu1[:2], 3 * mu1[2:]]), sure, torch.cat([mu1[:2] + 0.01, 3 * mu2[2:]]), sure)
    many = draw(generator, 3, 3, 60)
    narrow = torch.full_like(many[1], -4.0)
    long = (many[0], narrow, torch.cat([many[0][:1] + 0.01, many[2][1:]]), narrow)
    ordinary = draw(generator, 5, 5, 6)
    usual = same(call(agreement_scores, *ordinary), references.agreement_scores(*ordinary), 1e-4, ROUNDING)
    for given in (posteriors, long):
        compare_scores(
            call(agreement_scores, *given),
            given,
            cause="a clamp, a small constant or float16 changes the result where posteriors are sure"
            if usual
            else CAUSE,
            hint="Leave it out: exp(8) is an ordinary number." if usual else HINT,
            rtol=1e-3,
        )


@pytest.mark.points(1)
def test_gradients(agreement_scores: Answer, generator: torch.Generator) -> None:
    """Gradients reach all four inputs, large ones whole, also where a posterior is the prior."""
    mu1, logvar1, mu2, logvar2 = usual = draw(generator, 4, 4, 3)
    level, nothing = torch.full_like(logvar1, -0.5), torch.zeros_like(mu1)
    for posteriors in (
        usual,
        (mu1, level, mu2, level),
        (level, logvar1, level, logvar2),
        (nothing, nothing, mu2, logvar2),
        (nothing, nothing, nothing, nothing),
        (30 * mu1, logvar1, 30 * mu2, logvar2),
        draw(generator, 2, 3, 1),
        draw(generator, 1, 1, 1),
    ):
        compare_gradients(agreement_scores, posteriors)
    for learned in range(4):
        compare_gradients(agreement_scores, usual, (learned,))
    compare_gradients(agreement_scores, usual, then=draw(generator, 4, 4, 3))
    compare_gradients(agreement_scores, (mu1.double(), logvar1.double(), mu2.double(), logvar2.double()))
    compare_gradients(agreement_scores, (30 * mu1, logvar1, 30 * mu2, logvar2), scale=100.0)
    narrow = torch.full_like(mu1[:2], -7.5)
    compare_gradients(agreement_scores, (mu1[:2], narrow, mu1[:2] + 1, narrow), rtol=1e-2)
    # The same posteriors on both sides, as the same two tensors.
    wanted = [mu1.double().requires_grad_(), logvar1.double().requires_grad_()]
    references.agreement_scores(wanted[0], wanted[1], wanted[0], wanted[1]).sum().backward()
    given = [mu1.clone().requires_grad_(), logvar1.clone().requires_grad_()]
    (scores,) = tensors(agreement_scores(given[0], given[1], given[0], given[1]), "scores")
    backward(scores.sum())
    for name, got, want in zip(("mu", "logvar"), given, wanted, strict=True):
        compare_gradient(f"{name}, which is given twice,", got.grad, want.grad, atol=ROUNDING)


def compare_gradients(
    answer: Answer,
    posteriors: Posteriors,
    learned: tuple[int, ...] = (0, 1, 2, 3),
    *,
    scale: float = 1.0,
    rtol: float = 1e-3,
    then: Posteriors | None = None,
) -> None:
    """Compare the gradients of a weighted sum of scores at the learned inputs with those of the formula.

    The answer is called with `then` before backward, as where one loss has several terms.
    """
    first, second = len(posteriors[0]), len(posteriors[2])
    weights = scale * torch.linspace(-1, 2, first * second).view(first, second)
    mu1, logvar1, mu2, logvar2 = right = [tensor.double().clone().requires_grad_() for tensor in posteriors]
    (references.agreement_scores(mu1, logvar1, mu2, logvar2) * weights).sum().backward()
    mu1, logvar1, mu2, logvar2 = given = [one.clone().requires_grad_(i in learned) for i, one in enumerate(posteriors)]
    (scores,) = tensors(answer(mu1, logvar1, mu2, logvar2), "scores")
    if then:
        answer(*(one.clone().requires_grad_() for one in then))
    refuse_shape(scores, first, second)
    backward((scores * weights).sum())
    for i in learned:
        compare_gradient(
            ("mu1", "logvar1", "mu2", "logvar2")[i], given[i].grad, right[i].grad, rtol=rtol, atol=ROUNDING
        )
