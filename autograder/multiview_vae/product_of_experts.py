"""Checks of `product_of_experts(mu1, logvar1, mu2, logvar2) -> (mu, logvar)`."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor

from autograder.multiview_vae import references
from nbverdict.checks.answers import AnswerError
from nbverdict.checks.diagnosis import (
    LAYOUTS,
    NAN,
    NAN_HINT,
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

EXERCISE = {"answer": "product_of_experts"}

Answer = Callable[[Tensor, Tensor, Tensor, Tensor], Any]
Experts = tuple[Tensor, Tensor, Tensor, Tensor]  # mu1, logvar1, mu2, logvar2

CAUSE = "the result is not the normalised product of the two Gaussians"
HINT = (
    "Do the case by hand: N(0, 1) times N(3, 1/2). The precisions are 1 and 2, so the product has precision 3 and mean "
    "(1*0 + 2*3)/3 = 2."
)


def draw(generator: torch.Generator, *shape: int) -> Experts:
    """Return two experts with means about 2, and log-variances within 2."""
    mu1, mu2 = 2 * torch.randn(2, *shape, generator=generator)
    logvar1, logvar2 = 4 * torch.rand(2, *shape, generator=generator) - 2
    return mu1, logvar1, mu2, logvar2


def draw_far(generator: torch.Generator) -> Experts:
    """Return experts with log-variances within 8, and both ends of that on either side in every combination.

    A bound that changes some of them costs the same for every seed.
    """
    mu1, _, mu2, _ = draw(generator, 40, 33)
    logvar1, logvar2 = 16 * torch.rand(2, 40, 33, generator=generator) - 8
    for row, ends in enumerate(((-8.0, -8.0), (-8.0, 8.0), (8.0, -8.0), (8.0, 8.0))):
        logvar1[row, :8], logvar2[row, :8] = ends
    return mu1, logvar1, mu2, logvar2


def call(answer: Answer, *experts: Tensor) -> tuple[Tensor, Tensor]:
    """Call the answer with copies of the experts and return its pair of tensors."""
    mu1, logvar1, mu2, logvar2 = (expert.clone(memory_format=torch.contiguous_format) for expert in experts)
    mu, logvar = tensors(answer(mu1, logvar1, mu2, logvar2), "mu", "logvar")
    return mu, logvar


def mistakes(experts: Experts) -> list[tuple[str, str, Tensor, Tensor]]:
    """Return (cause, hint, mu, logvar) of typical wrong formulas, in float64."""
    mu1, logvar1, mu2, logvar2 = (expert.double() for expert in experts)
    var1, var2 = logvar1.exp(), logvar2.exp()
    right_mu, right_logvar = references.product_of_experts(*experts)
    right_var = right_logvar.exp()
    precisions = "Add the precisions, 1/variance = exp(-logvar), then turn the sum back into a log-variance."
    weights = "Weigh each mean by its precision and divide by the sum of the precisions."
    nothing = torch.full_like(mu1, torch.nan)
    surest = torch.maximum(-logvar1, -logvar2)
    with_prior = references.product_of_experts(right_mu, right_logvar, torch.zeros_like(mu1), torch.zeros_like(mu1))
    return [
        ("your mean and log-variance are in the wrong order", "Return (mu, logvar).", right_logvar, right_mu),
        ("a standard normal prior slipped in as a third expert", "Multiply the two experts only.", *with_prior),
        (
            "your log-variance is the average of the two experts' log-variances; precisions add, log-variances don't",
            precisions,
            nothing,
            (logvar1 + logvar2) / 2,
        ),
        (
            "your variance is the average of the two experts' variances; precisions add, variances don't",
            precisions,
            nothing,
            ((var1 + var2) / 2).log(),
        ),
        ("you added the variances; precisions add, variances don't", precisions, nothing, (var1 + var2).log()),
        ("you added the log-variances; precisions add, log-variances don't", precisions, nothing, logvar1 + logvar2),
        (
            "your result is the log of the joint precision, not of the joint variance",
            "The variance is one over the precision, so the logarithm changes its sign.",
            nothing,
            -right_logvar,
        ),
        ("you returned the variance, not its logarithm", "Take the logarithm at the end.", nothing, right_var),
        ("you returned the precision, not the log-variance", precisions, nothing, 1 / right_var),
        (
            "you returned the standard deviation, not the log-variance",
            "The log-variance is twice the logarithm of the standard deviation.",
            nothing,
            right_var.sqrt(),
        ),
        (
            "you returned the log of the standard deviation, not of the variance",
            "The log-variance is twice the logarithm of the standard deviation.",
            nothing,
            right_logvar / 2,
        ),
        (
            "your precision is the average of the precisions; in a product they add",
            "Don't divide by the number of experts.",
            nothing,
            right_logvar + torch.log(torch.tensor(2.0)),
        ),
        (
            "your log-variance is that of the less sure expert; the product is surer than either",
            precisions,
            nothing,
            torch.maximum(logvar1, logvar2),
        ),
        (
            "you added the log-variances and changed the sign; precisions add, log-variances don't",
            precisions,
            nothing,
            -(logvar1 + logvar2),
        ),
        (
            "your log-variance is a weighted mean of the two; precisions add, log-variances don't",
            precisions,
            nothing,
            (logvar1 / var1 + logvar2 / var2) * right_var,
        ),
        ("the log-variance is doubled", "One over the precision is the variance.", nothing, 2 * right_logvar),
        (
            "the variance is halved once more",
            "The precisions add, and that is all.",
            nothing,
            right_logvar - math.log(2),
        ),
        (
            "the log-variances went into the sum of exponentials without their minus sign",
            precisions,
            nothing,
            -(var1 + var2).log(),
        ),
        (
            "the normalising constant of a Gaussian, log(2 pi), slipped into the log-variance",
            precisions,
            nothing,
            right_logvar + math.log(2 * math.pi),
        ),
        (
            "the distance of the means slipped into the variance",
            "How sure the product is depends on the two variances alone.",
            nothing,
            (right_var + (mu1 - mu2).square() / 4).log(),
        ),
        (
            "the maximum that was taken off before exp is not added back",
            "logsumexp(a) = m + log(sum(exp(a - m))).",
            nothing,
            right_logvar + surest,
        ),
        (
            "the maximum that was taken off before exp comes back with the wrong sign",
            "logsumexp(a) = m + log(sum(exp(a - m))).",
            nothing,
            right_logvar + 2 * surest,
        ),
        (
            "you took the log-variances for variances",
            "The variance of an expert is exp(logvar).",
            (mu1 / logvar1 + mu2 / logvar2) / (1 / logvar1 + 1 / logvar2),
            (1 / (1 / logvar1 + 1 / logvar2)),
        ),
        (
            "you took the log-variances for precisions",
            "The precision of an expert is exp(-logvar).",
            (mu1 * logvar1 + mu2 * logvar2) / (logvar1 + logvar2),
            -(logvar1 + logvar2).log(),
        ),
        (
            "you took exp(logvar / 2), the standard deviation, for the variance",
            "The variance of an expert is exp(logvar), without the half.",
            references.product_of_experts(mu1, logvar1 / 2, mu2, logvar2 / 2)[0],
            references.product_of_experts(mu1, logvar1 / 2, mu2, logvar2 / 2)[1],
        ),
        (
            "you squared the variance: logvar is already the logarithm of the variance",
            "The variance of an expert is exp(logvar), without the factor two.",
            *references.product_of_experts(mu1, 2 * logvar1, mu2, 2 * logvar2),
        ),
        ("your mean is the plain average of the means", weights, (mu1 + mu2) / 2, nothing),
        ("your mean is the plain sum of the means", weights, mu1 + mu2, nothing),
        ("the sign of the mean is wrong", weights, -right_mu, nothing),
        ("the mean is halved: an average over the experts besides the weights", weights, right_mu / 2, nothing),
        ("this is the absolute value of the mean", weights, right_mu.abs(), nothing),
        (
            "the absolute values of the means are averaged",
            weights,
            (mu1.abs() / var1 + mu2.abs() / var2) * right_var,
            nothing,
        ),
        ("you divided by 2, not by the sum of the precisions", weights, (mu1 / var1 + mu2 / var2) / 2, nothing),
        ("you multiplied the two means", weights, mu1 * mu2, nothing),
        (
            "you added the means without weights and multiplied by the joint variance",
            weights,
            (mu1 + mu2) * right_var,
            nothing,
        ),
        (
            "you multiplied by the sum of the precisions where you should divide",
            weights,
            right_mu / right_var**2,
            nothing,
        ),
        ("you divided by the product of the precisions, not by their sum", weights, mu1 * var2 + mu2 * var1, nothing),
        (
            "the softmax is that of the precisions; it takes their logarithms, -logvar",
            "The softmax of -logvar gives weights in proportion to the precisions.",
            (torch.stack([1 / var1, 1 / var2]).softmax(0) * torch.stack([mu1, mu2])).sum(0),
            nothing,
        ),
        ("your mean is that of the surer expert alone", weights, torch.where(logvar1 < logvar2, mu1, mu2), nothing),
        ("the mean is divided by the sum of the precisions twice", weights, right_mu * right_var, nothing),
        (
            "your log-variance is that of the surer expert alone; the product is surer than either",
            precisions,
            nothing,
            torch.minimum(logvar1, logvar2),
        ),
        ("this is the logarithm to base 2", "torch.log is the natural one.", nothing, right_logvar / math.log(2)),
        ("this is the logarithm to base 10", "torch.log is the natural one.", nothing, right_logvar / math.log(10)),
        (
            "the weights add up to 1, but not over the two experts",
            "Take the softmax over the experts, dim=0 of the stacked pair.",
            (torch.stack([-logvar1, -logvar2]).softmax(-1) * torch.stack([mu1, mu2])).sum(0) if mu1.ndim else nothing,
            nothing,
        ),
        (
            "you weighed each mean by its variance (or by the other's precision), so the unsure expert counts most",
            weights,
            (mu1 * var1 + mu2 * var2) / (var1 + var2),
            nothing,
        ),
        (
            "you weighed the means by their precisions but did not divide by the sum of the precisions",
            weights,
            mu1 / var1 + mu2 / var2,
            nothing,
        ),
        ("you returned the first expert", "Both experts count.", mu1, logvar1),
        ("you returned the second expert", "Both experts count.", mu2, logvar2),
        (
            "this is the moment-matched mixture (sum) of the experts, not their product",
            precisions,
            nothing,  # its mean is the plain average
            ((var1 + var2) / 2 + (mu1 - mu2).square() / 4).log(),
        ),
    ]


def usual(answer: Answer) -> bool:
    """Return whether an answer is right for two experts that are about equally sure."""
    experts = [torch.tensor([[value]]) for value in (2.0, 0.5, -1.0, -0.5)]
    mu1, logvar1, mu2, logvar2 = experts
    return all(map(same, call(answer, *experts), references.product_of_experts(mu1, logvar1, mu2, logvar2)))


SMALL = "the usual case is right, but here rounding, a small constant, a clamp or a special case changes the result"
STABLE = "Weights that sum to one: torch.softmax of the stacked -logvar; the log of a sum: torch.logsumexp."


def compare_far(answer: Answer, experts: Experts, *, mean: bool = True, logvar: bool = True) -> None:
    """Compare mean, log-variance or both with the product where one expert is much surer than the other."""
    got = call(answer, *experts)
    if all(map(same, got, references.product_of_experts(*experts))):
        return  # without another call
    mu1, logvar1, mu2, logvar2 = draw(torch.Generator().manual_seed(1), *experts[0].shape)
    near = (mu1, logvar1.clamp(-1, 1), mu2, logvar2.clamp(-1, 1))
    if not usual(answer):
        cause, hint = CAUSE, HINT
    elif not all(map(same, call(answer, *near), references.product_of_experts(*near))):
        cause, hint = f"right for some shapes, but not for {tuple(experts[0].shape)}: a size is fixed", HINT
    elif not all(part.isfinite().all() for part in got):
        cause, hint = "a number is rounded to 0, or infinite, before its logarithm or a quotient is taken", STABLE
    else:
        cause, hint = SMALL, STABLE
    compare_joint(got[0] if mean else None, got[1] if logvar else None, experts, cause=cause, hint=hint)


def behaviour(answer: Answer) -> tuple[str, str]:
    """Return cause and hint for a result that is no typical wrong formula, from how the answer behaves."""
    experts, others = (draw(torch.Generator().manual_seed(seed), 5, 4) for seed in (1, 2))
    moved = [expert.clone() for expert in experts]
    for step, expert in enumerate(moved, 1):
        expert[-1, -1] += step

    def found(*given: Tensor) -> Tensor:
        return torch.stack(call(answer, *given)).detach()

    try:
        first, again, other, after = (found(*given) for given in (experts, experts, others, moved))
        swapped = found(*experts[2:], *experts[:2])
        reordered = found(*(experts[i] for i in (0, 2, 1, 3)))
    except (Wrong, AnswerError, RuntimeError):  # the last: mean and log-variance have different shapes
        return CAUSE, HINT
    right = torch.stack(references.product_of_experts(*experts))
    if first.shape != right.shape:
        return CAUSE, HINT
    if not same(again, first):
        return "the result is random, or depends on earlier calls", "Compute it from the four inputs alone."
    if same(other, first):
        return "the result of an earlier call is returned", "Compute it from the four inputs alone."
    touched = ~torch.isclose(after, first, rtol=1e-4, atol=1e-5).all(0)
    if not touched[-1, -1]:
        return (
            "entries are left out: the last one does not count",
            "The product is taken for each entry, by one formula.",
        )
    touched[-1, -1] = False
    if touched.any():
        axis = "the latent dimensions" if touched[-1].any() and not touched[:-1].any() else "the batch"
        return (
            f"entries influence each other: a sum, mean, maximum or softmax goes over {axis}",
            "Each entry has a product of its own: only the two experts are put together.",
        )
    if same(reordered, right):
        return "the parameters are in another order than mu1, logvar1, mu2, logvar2", "Leave the first line as it was."
    if not same(swapped, first):
        return "the formula treats the two experts differently", "Exchange 1 and 2 everywhere: it should stay the same."
    if same(first, right):
        return "right for most experts: a special case or a bound changes some", HINT
    if same(first, right, rtol=0.02, atol=0.02):
        return "nearly right everywhere: a small constant, or numbers of fewer digits than float32", STABLE
    return CAUSE, HINT


def compare_joint(
    mu: Tensor | None,
    logvar: Tensor | None,
    experts: Experts,
    *,
    cause: str = CAUSE,
    hint: str = HINT,
    answer: Answer | None = None,
) -> None:
    """Compare a mean, a log-variance or both with the product of the experts, and name the mistake.

    Where it is no typical one, the cause is what the `answer` shows in other calls.
    """
    if answer and not all(
        part is None or same(part, right)
        for part, right in zip((mu, logvar), references.product_of_experts(*experts), strict=True)
    ):
        cause, hint = behaviour(answer)
    if any(part is not None and part.isnan().any() for part in (mu, logvar)):
        cause, hint = NAN, NAN_HINT
    right_mu, right_logvar = references.product_of_experts(*experts)
    if mu is not None and not same(mu, right_mu):
        means = [Mistake(why, help_, wrong) for why, help_, wrong, _ in mistakes(experts)]
        compare("mean", mu, right_mu, mistakes=means, cause=cause, hint=hint)
    if logvar is not None and not same(logvar, right_logvar):
        logvars = [Mistake(why, help_, wrong) for why, help_, _, wrong in mistakes(experts)]
        compare("log-variance", logvar, right_logvar, mistakes=logvars, cause=cause, hint=hint)


def stored_references() -> tuple[Experts, Tensor, Tensor]:
    """Return the stored experts of moderate log-variance, and their joint mean and log-variance, all (1, N)."""
    cases = [case for case in references.golden()["product_of_experts"] if max(map(abs, case["experts"])) < 10]
    experts = torch.tensor([case["experts"] for case in cases])
    joint = torch.tensor([[float(value) for value in case["joint"]] for case in cases], dtype=torch.float64)
    mu1, logvar1, mu2, logvar2 = experts.T[:, None]
    return (mu1, logvar1, mu2, logvar2), joint[None, :, 0], joint[None, :, 1]


@pytest.mark.points(1)
def test_vectors(product_of_experts: Answer, generator: torch.Generator) -> None:
    """Vectors of 20 latent dimensions give vectors of 20."""
    expect_shape(product_of_experts, draw(generator, 20))


@pytest.mark.points(1)
def test_batches(product_of_experts: Answer, generator: torch.Generator) -> None:
    """Batches keep their shape, for any batch size, number of latent dimensions and layout in memory."""
    experts = draw(generator, 7, 20)
    first, single = call(product_of_experts, *experts), [expert.double() for expert in draw(generator)]
    for shape in ((7, 20), (1, 20), (4, 1), (64, 50), (2, 3, 5), (2, 1, 3, 4), (), (600, 3), (3, 300)):
        with naming_layout(f"inputs of shape {shape}"):
            expect_shape(product_of_experts, draw(generator, *shape))
    for name, got in zip(("mean", "log-variance"), call(product_of_experts, *single), strict=True):
        keeps_dtype(name, got, torch.float64)
    for shape in ((260, 66), (1500, 2), (6, 6), (2, 3, 5), (2, 2, 3, 4)):
        expect_entries_apart(product_of_experts, draw(generator, *shape))
    expect_experts_in_any_layout(product_of_experts, draw(generator, 6, 6))
    for name, before, now in zip(("mean", "log-variance"), first, call(product_of_experts, *experts), strict=True):
        compare(
            f"{name} of the same experts, asked again",
            now,
            before.detach(),
            cause="the result is random, or depends on earlier calls",
            hint="Compute it from the four inputs alone.",
        )


def expect_entries_apart(answer: Answer, experts: Experts) -> None:
    """Raise `Wrong` unless the first and the last entries of experts give alone what they give among the others."""
    shape = tuple(experts[0].shape)
    whole = call(answer, *experts)
    for rows, columns in ((slice(0, 1), slice(None)), (slice(-2, None), slice(-3, None))):
        chosen = [expert[rows, ..., columns].flatten(1).contiguous() for expert in experts]
        for name, one, other in zip(("mean", "log-variance"), whole, call(answer, *chosen), strict=True):
            compare(
                f"{name} of some entries of experts of shape {shape}",
                one[rows, ..., columns].flatten(1),
                other.detach(),
                cause="the same entries by themselves give another result: a size is fixed, or others count, too",
                hint="The product is taken for each entry, by one formula; no line needs to know the shape.",
            )


def expect_experts_in_any_layout(answer: Answer, experts: Experts) -> None:
    """Raise `Wrong` unless square experts (D, D) give what copies of them do when they are laid out in other ways."""
    ways: tuple[tuple[str, Callable[..., Any]], ...] = (
        *LAYOUTS,
        ("inputs that are expanded, so that their rows share memory", lambda *four: [e[:1].expand(6, 6) for e in four]),
        *each_expanded("first means", "first log-variances", "second means", "second log-variances"),
        ("inputs that share memory with each other", lambda mu, logvar, *_: (mu, logvar, mu.T, logvar.T)),
    )
    expect_any_layout(("mean", "log-variance"), ways, experts, lambda *four: tensors(answer(*four), "mu", "logvar"))


def expect_shape(answer: Answer, experts: Experts) -> None:
    """Raise `Wrong` unless mean and log-variance have the experts' shape."""
    mu, logvar = call(answer, *experts)
    refuse_shape(("mean", mu), ("log-variance", logvar), expected=experts[0].shape)


def refuse_shape(*parts: tuple[str, Tensor], expected: torch.Size) -> None:
    """Raise `Wrong` unless each part has the expected shape."""
    for name, got in parts:
        if got.shape != expected:
            raise Wrong(
                expected=f"{name} of shape {tuple(expected)}, the shape of every input",
                got=describe(got),
                cause="a sum, mean, stack or squeeze changes the shape"
                if got.numel() != expected.numel()
                else "a reshape or transpose changes the shape",
                hint="The product is taken entry by entry; no line needs to know the shape.",
            )


@pytest.mark.points(2)
def test_mean(product_of_experts: Answer, generator: torch.Generator) -> None:
    """The mean is that of the product of the densities."""
    experts = draw(generator, 16, 20)
    experts[0][0], experts[2][1], experts[2][0, :5] = 0, 0, 0  # experts may well have the mean 0
    compare_joint(call(product_of_experts, *experts)[0], None, experts, answer=product_of_experts)
    centred = (torch.zeros_like(experts[0]), *experts[1:])
    why = "an expert whose means are all 0 is taken for none", HINT
    compare_joint(call(product_of_experts, *centred)[0], None, centred, cause=why[0], hint=why[1])
    compare_far(product_of_experts, draw_far(generator), logvar=False)
    stored, mean, _ = stored_references()
    compare("mean", call(product_of_experts, *stored)[0], mean, cause=CAUSE, hint=HINT)


@pytest.mark.points(2)
def test_logvar(product_of_experts: Answer, generator: torch.Generator) -> None:
    """The log-variance is that of the product of the densities."""
    experts = draw(generator, 16, 20)
    compare_joint(None, call(product_of_experts, *experts)[1], experts, answer=product_of_experts)
    compare_far(product_of_experts, draw_far(generator), mean=False)
    stored, _, logvar = stored_references()
    compare("log-variance", call(product_of_experts, *stored)[1], logvar, cause=CAUSE, hint=HINT)


@pytest.mark.points(1)
def test_equal_experts(product_of_experts: Answer, generator: torch.Generator) -> None:
    """Two equal experts keep their mean and halve the variance, also if both are the same tensors."""
    mu, logvar, _, _ = draw(generator, 4, 20)
    experts = (mu, logvar, mu, logvar)
    compare_joint(*call(product_of_experts, *experts), experts)
    other = draw(generator, 4, 20)
    for one, two, three, four in ((mu, logvar, mu, logvar), (mu, logvar, mu, other[3]), (logvar, logvar, mu, other[3])):
        copies = call(product_of_experts, one, two, three, four)
        fresh = {id(expert): expert.clone() for expert in (one, two, three, four)}
        twice = product_of_experts(*(fresh[id(expert)] for expert in (one, two, three, four)))
        for name, got, copy in zip(("mean", "log-variance"), tensors(twice, "mu", "logvar"), copies, strict=True):
            compare(
                f"{name} where the same tensor is given twice",
                got,
                copy.detach(),
                cause="it is looked at which inputs are the same tensor; two copies of it give another result",
                hint="Use the numbers of the four inputs, whatever objects they come in.",
            )


@pytest.mark.points(1)
def test_order(product_of_experts: Answer, generator: torch.Generator) -> None:
    """The order of the experts does not matter."""
    mu1, logvar1, mu2, logvar2 = draw(generator, 4, 20)
    one = call(product_of_experts, mu1, logvar1, mu2, logvar2)
    other = call(product_of_experts, mu2, logvar2, mu1, logvar1)
    for name, got, swapped in zip(("mean", "log-variance"), one, other, strict=True):
        compare(
            f"{name} with the experts swapped",
            swapped,
            got.detach(),
            cause="the formula treats the two experts differently",
            hint="Exchange 1 and 2 everywhere in your code: the formula should stay the same.",
            rtol=2e-5,
            atol=5e-6,
        )
    # An answer that ignores its inputs would pass the comparison above.
    earlier = [part.clone() for part in one]
    after = call(product_of_experts, mu1 + 1, logvar1, mu2 + 1, logvar2)[0]
    if not all(map(torch.equal, one, earlier)):
        raise Wrong(
            expected="the results of an earlier call to stay as they were",
            got="results that changed with the next call",
            cause="all calls write into the same tensor",
            hint="Make a new tensor in each call.",
        )
    if torch.equal(earlier[0], after):
        raise Wrong(
            expected="a mean that moves by 1 when both means move by 1",
            got="the same mean",
            cause="the result does not depend on the means of the experts",
            hint=HINT,
        )


@pytest.mark.points(1)
def test_sure_expert(product_of_experts: Answer, generator: torch.Generator) -> None:
    """A sure expert (log-variance -12) wins."""
    mu1, _, mu2, logvar2 = draw(generator, 4, 20)
    compare_far(product_of_experts, (mu1, torch.full_like(mu1, -12.0), mu2, logvar2))


@pytest.mark.points(1)
def test_unsure_expert(product_of_experts: Answer, generator: torch.Generator) -> None:
    """An unsure expert (log-variance +12) is ignored."""
    mu1, logvar1, mu2, _ = draw(generator, 4, 20)
    compare_far(product_of_experts, (mu1, logvar1, mu2, torch.full_like(mu2, 12.0)))


@pytest.mark.points(1)
def test_no_prior(product_of_experts: Answer, generator: torch.Generator) -> None:
    """No prior slipped in: two unsure experts stay unsure, and far means stay far."""
    mu = 20 + torch.rand(4, 20, generator=generator)
    logvar = 3 + torch.rand(4, 20, generator=generator)
    experts = (mu, logvar, mu + 2, logvar.flip(0))
    compare_joint(*call(product_of_experts, *experts), experts)


@pytest.mark.points(1)
def test_dtype(product_of_experts: Answer, generator: torch.Generator) -> None:
    """float32 in gives float32 out, float64 gives float64, with its digits."""
    for dtype in (torch.float32, torch.float64):
        one, two, three, four = (expert.to(dtype) / 3 for expert in draw(generator, 3, 20))
        for name, got, right in zip(
            ("mean", "log-variance"),
            call(product_of_experts, one, two, three, four),
            references.product_of_experts(one, two, three, four),
            strict=True,
        ):
            keeps_dtype(name, got, dtype)
            if dtype == torch.float64:
                keeps_precision(name, got, right)
    wide = [expert.double() for expert in draw(generator, 3, 20)]
    wide[1][:, ::2], wide[3][:, ::3] = 10.2, -10.2  # so far apart that short cuts begin
    for name, got, right in zip(
        ("mean", "log-variance"), call(product_of_experts, *wide), references.product_of_experts(*wide), strict=True
    ):
        keeps_precision(name, got, right)
    in_double = call(product_of_experts, *(expert.double() for expert in (one, two, three, four)))
    in_single = call(product_of_experts, *(expert.float() for expert in (one, two, three, four)))
    for name, double, single in zip(("mean", "log-variance"), in_double, in_single, strict=True):
        cause = "the result in float64 is less exact than in float32: numbers of fewer digits are used inside"
        compare(f"{name} in float64", double, single.detach(), cause=cause, hint="Name no dtype.", rtol=1e-3, atol=1e-4)


@pytest.mark.points(1)
def test_inputs_untouched(product_of_experts: Answer, generator: torch.Generator) -> None:
    """The four inputs are left as they were."""
    before = draw(generator, 3, 20)
    before[0][0, :4] = torch.tensor([1e4, -1e4, 0.0, 1e-6])
    before[1][1, :6], before[3][2, :6] = (torch.tensor([-12.0, 12.0, 0.0, 9.0, 100.0, -100.0]) for _ in range(2))
    expect_untouched(product_of_experts, generator, before)
    expect_untouched(product_of_experts, generator, [expert.double() for expert in before])


def expect_untouched(answer: Answer, generator: torch.Generator, before: Sequence[Tensor]) -> None:
    """Raise `Wrong` unless a call leaves the numbers of its inputs as they were; the answer itself compares them."""
    given = [expert.clone() for expert in before]
    needs_no_gradient(*tensors(answer(*given), "mu", "logvar"))
    _, logvar1, mu2, logvar2 = (expert.to(before[0].dtype) for expert in draw(generator, 3, 20))

    def mean(expert: Tensor) -> Tensor:
        """Return the joint mean where an input stands for the first mean: each of its entries counts there."""
        found: Tensor = tensors(answer(expert, logvar1.clone(), mu2.clone(), logvar2.clone()), "mu", "logvar")[0]
        return found.detach()

    for name, original, now in zip(("mu1", "logvar1", "mu2", "logvar2"), before, given, strict=True):
        untouched(name, mean, now, original.clone())


@pytest.mark.points(1)
def test_gradients(product_of_experts: Answer, generator: torch.Generator) -> None:
    """Gradients reach all four inputs, large ones whole, and also where experts are alike or there is one entry."""
    mu1, logvar1, mu2, logvar2 = experts = draw(generator, 3, 20)
    level = torch.full_like(logvar1, 0.25)
    for given in (
        experts,
        (1000 * mu1, logvar1, 1000 * mu2, logvar2),
        (mu1, level, mu2, level),
        (level, logvar1, level, logvar2),
        (mu1, logvar1, mu1, logvar1),
        (mu1, torch.full_like(mu1, 12.0), mu2, torch.full_like(mu1, 12.0)),
        (mu1, torch.full_like(mu1, -12.0), mu2, torch.full_like(mu1, -12.0)),
        [expert.double() for expert in experts],
        draw(generator, 1, 1),
        draw(generator, 1, 20),
        draw(generator, 70, 80),
    ):
        gradients(product_of_experts, given, rtol=1e-3)
    for number in range(4):
        gradients(product_of_experts, draw(generator, 2, 3), rtol=1e-3, learned=(number,))
    gradients(product_of_experts, experts, rtol=1e-3, then=draw(generator, 3, 20))
    gradients_of_one_expert(product_of_experts, mu1, logvar1)


def gradients_of_one_expert(answer: Answer, mu: Tensor, logvar: Tensor) -> None:
    """Compare the gradients at an expert that is given twice, as the same two tensors, with those of the formula."""
    wanted = [mu.double().requires_grad_(), logvar.double().requires_grad_()]
    torch.stack([part.sum() for part in references.product_of_experts(*wanted, *wanted)]).sum().backward()
    given = [mu.clone().requires_grad_(), logvar.clone().requires_grad_()]
    joint_mu, joint_logvar = tensors(answer(*given, *given), "mu", "logvar")
    backward(joint_mu.sum() + joint_logvar.sum())
    for name, got, want in zip(("mu", "logvar"), given, wanted, strict=True):
        compare_gradient(f"{name}, which is given twice,", got.grad, want.grad)


def gradients(
    answer: Answer,
    experts: Sequence[Tensor],
    rtol: float,
    learned: tuple[int, ...] = (0, 1, 2, 3),
    *,
    then: Sequence[Tensor] = (),
) -> None:
    """Compare the gradients of weighted sums of mean and log-variance at the learned inputs with the formula's.

    The answer is called with `then` before backward, as where one loss has several terms.
    """
    weights = torch.linspace(1, 5, experts[0].numel()).view(experts[0].shape)
    wanted = [expert.double().clone().requires_grad_() for expert in experts]
    torch.stack([(weights * part).sum() for part in references.product_of_experts(*wanted)]).sum().backward()
    given = [expert.clone().requires_grad_(number in learned) for number, expert in enumerate(experts)]
    mu, logvar = tensors(answer(*given), "mu", "logvar")
    if then:
        answer(*(expert.clone().requires_grad_() for expert in then))
    refuse_shape(("mean", mu), ("log-variance", logvar), expected=weights.shape)
    backward((weights * mu).sum() + (weights * logvar).sum())
    for number in learned:
        name = ("mu1", "logvar1", "mu2", "logvar2")[number]
        compare_gradient(name, given[number].grad, wanted[number].grad, overflow=STABLE, rtol=rtol)


@pytest.mark.points(1)
def test_stable(product_of_experts: Answer) -> None:
    """Finite and exact for log-variances of +100 and -100, in value and gradient."""
    values = (0.0, -100.0, 100.0)
    pairs = torch.tensor([(a, b) for a in values for b in values])
    logvar1, logvar2 = torch.stack([pairs, pairs.roll(4, 0)], 1).permute(2, 1, 0)  # each (2, 9)
    experts = (torch.full_like(logvar1, 2.0), logvar1, torch.full_like(logvar2, -1.0), logvar2)
    right_mu, right_logvar = references.product_of_experts(*experts)
    ordinary = usual(product_of_experts)
    for name, got, right in zip(
        ("mean", "log-variance"), call(product_of_experts, *experts), (right_mu, right_logvar), strict=True
    ):
        compare(
            name,
            got,
            right,
            cause="the result is wrong where the experts are about equally sure, too"
            if not ordinary
            else SMALL
            if got.isfinite().all()
            else "float32 overflows: exp(100) is infinite and exp(-100) is zero",
            hint=STABLE if ordinary else "Mend the mean and the log-variance first.",
            rtol=1e-5,
        )
    gradients(product_of_experts, experts, rtol=1e-3)
