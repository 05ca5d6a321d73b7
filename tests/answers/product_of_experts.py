"""Right and wrong answers to `product_of_experts`; each wrong one names the cause its message must give."""

import math

import numpy as np
import torch


def softmax_weights(mu1, logvar1, mu2, logvar2):
    weights = torch.softmax(torch.stack([-logvar1, -logvar2]), dim=0)
    return weights[0] * mu1 + weights[1] * mu2, -torch.logsumexp(torch.stack([-logvar1, -logvar2]), dim=0)


def sigmoid_weights(mu1, logvar1, mu2, logvar2):
    return mu2 + torch.sigmoid(logvar2 - logvar1) * (mu1 - mu2), -torch.logaddexp(-logvar1, -logvar2)


def softplus_difference(mu1, logvar1, mu2, logvar2):
    share = 1 / (1 + torch.exp(torch.clamp(logvar1 - logvar2, -80, 80)))
    smaller = torch.minimum(logvar1, logvar2)
    return share * mu1 + (1 - share) * mu2, smaller - torch.nn.functional.softplus(-(logvar1 - logvar2).abs())


def in_double(mu1, logvar1, mu2, logvar2):
    dtype = mu1.dtype
    precision1, precision2 = (-logvar1.double()).exp(), (-logvar2.double()).exp()
    total = precision1 + precision2
    return ((precision1 * mu1 + precision2 * mu2) / total).to(dtype), (-total.log()).to(dtype)


def stacked(mu1, logvar1, mu2, logvar2):
    return torch.stack(softmax_weights(mu1, logvar1, mu2, logvar2))


RIGHT = [softmax_weights, sigmoid_weights, softplus_difference, in_double, stacked]


def textbook(mu1, logvar1, mu2, logvar2):
    precision1, precision2 = 1 / logvar1.exp(), 1 / logvar2.exp()
    var = 1 / (precision1 + precision2)
    return var * (precision1 * mu1 + precision2 * mu2), var.log()


def small_constant(mu1, logvar1, mu2, logvar2, eps=1e-8):
    precision1, precision2 = 1 / (logvar1.exp() + eps), 1 / (logvar2.exp() + eps)
    var = 1 / (precision1 + precision2 + eps)
    return var * (precision1 * mu1 + precision2 * mu2), var.log()


def averaged_logvar(mu1, logvar1, mu2, logvar2):
    return textbook(mu1, logvar1, mu2, logvar2)[0], (logvar1 + logvar2) / 2


def averaged_variance(mu1, logvar1, mu2, logvar2):
    return textbook(mu1, logvar1, mu2, logvar2)[0], ((logvar1.exp() + logvar2.exp()) / 2).log()


def added_variances(mu1, logvar1, mu2, logvar2):
    return textbook(mu1, logvar1, mu2, logvar2)[0], (logvar1.exp() + logvar2.exp()).log()


def added_logvars(mu1, logvar1, mu2, logvar2):
    return textbook(mu1, logvar1, mu2, logvar2)[0], logvar1 + logvar2


def with_prior(mu1, logvar1, mu2, logvar2):
    precision1, precision2 = (-logvar1).exp(), (-logvar2).exp()
    total = precision1 + precision2 + 1
    return (precision1 * mu1 + precision2 * mu2) / total, -total.log()


def log_precision(mu1, logvar1, mu2, logvar2):
    mu, logvar = softmax_weights(mu1, logvar1, mu2, logvar2)
    return mu, -logvar


def returned_variance(mu1, logvar1, mu2, logvar2):
    mu, logvar = softmax_weights(mu1, logvar1, mu2, logvar2)
    return mu, logvar.exp()


def returned_deviation(mu1, logvar1, mu2, logvar2):
    mu, logvar = softmax_weights(mu1, logvar1, mu2, logvar2)
    return mu, (logvar / 2).exp()


def exchanged_results(mu1, logvar1, mu2, logvar2):
    return softmax_weights(mu1, logvar1, mu2, logvar2)[::-1]


def averaged_mean(mu1, logvar1, mu2, logvar2):
    return (mu1 + mu2) / 2, softmax_weights(mu1, logvar1, mu2, logvar2)[1]


def weighed_by_variance(mu1, logvar1, mu2, logvar2):
    var1, var2 = logvar1.exp(), logvar2.exp()
    return (mu1 * var1 + mu2 * var2) / (var1 + var2), softmax_weights(mu1, logvar1, mu2, logvar2)[1]


def not_divided(mu1, logvar1, mu2, logvar2):
    _, logvar = softmax_weights(mu1, logvar1, mu2, logvar2)
    return mu1 * (-logvar1).exp() + mu2 * (-logvar2).exp(), logvar


def logvar_as_variance(mu1, logvar1, mu2, logvar2):
    var = 1 / (1 / logvar1 + 1 / logvar2)
    return var * (mu1 / logvar1 + mu2 / logvar2), var


def deviation_as_variance(mu1, logvar1, mu2, logvar2):
    return softmax_weights(mu1, logvar1 / 2, mu2, logvar2 / 2)


def mean_precision(mu1, logvar1, mu2, logvar2):
    mu, logvar = softmax_weights(mu1, logvar1, mu2, logvar2)
    return mu, logvar + np.log(2)


def mixture(mu1, logvar1, mu2, logvar2):
    var = (logvar1.exp() + logvar2.exp()) / 2 + (mu1 - mu2) ** 2 / 4
    return (mu1 + mu2) / 2, var.log()


def first_only(mu1, logvar1, mu2, logvar2):
    return mu1, logvar1


def averaged_over_batch(mu1, logvar1, mu2, logvar2):
    mu, logvar = softmax_weights(mu1, logvar1, mu2, logvar2)
    return mu.mean(0), logvar.mean(0)


def detached(mu1, logvar1, mu2, logvar2):
    return softmax_weights(mu1, logvar1.detach(), mu2, logvar2.detach())


def through_numpy(mu1, logvar1, mu2, logvar2):
    a, b = (np.exp(-logvar.detach().numpy()) for logvar in (logvar1, logvar2))
    mu = (a * mu1.detach().numpy() + b * mu2.detach().numpy()) / (a + b)
    return torch.tensor(mu), torch.tensor(-np.log(a + b))


def in_place(mu1, logvar1, mu2, logvar2):
    with torch.no_grad():
        logvar1.neg_()
        logvar2.neg_()
    weights = torch.softmax(torch.stack([logvar1, logvar2]), dim=0)
    return weights[0] * mu1 + weights[1] * mu2, -torch.logsumexp(torch.stack([logvar1, logvar2]), dim=0)


def to_float32(mu1, logvar1, mu2, logvar2):
    return tuple(part.float() for part in softmax_weights(mu1, logvar1, mu2, logvar2))


def clamped(mu1, logvar1, mu2, logvar2):
    return softmax_weights(mu1, logvar1.clamp(-20, 20), mu2, logvar2.clamp(-20, 20))


def clamped_at_eight(mu1, logvar1, mu2, logvar2):
    return softmax_weights(mu1, logvar1.clamp(-8, 8), mu2, logvar2.clamp(-8, 8))


def of_a_batch(mu1, logvar1, mu2, logvar2):
    """Makes the exponentials safe by the surest expert of the whole batch."""
    surest = torch.minimum(logvar1, logvar2).amin().detach()
    precision1, precision2 = (surest - logvar1).exp(), (surest - logvar2).exp()
    total = precision1 + precision2
    return (precision1 * mu1 + precision2 * mu2) / total, surest - total.log()


def surest_not_added_back(mu1, logvar1, mu2, logvar2):
    most = torch.maximum(-logvar1, -logvar2)
    mu, _ = softmax_weights(mu1, logvar1, mu2, logvar2)
    return mu, -((-logvar1 - most).exp() + (-logvar2 - most).exp()).log()


def over_the_product(mu1, logvar1, mu2, logvar2):
    precision1, precision2 = (-logvar1).exp(), (-logvar2).exp()
    _, logvar = softmax_weights(mu1, logvar1, mu2, logvar2)
    return (precision1 * mu1 + precision2 * mu2) / (precision1 * precision2), logvar


def softmax_of_precisions(mu1, logvar1, mu2, logvar2):
    weights = torch.softmax(torch.stack([(-logvar1).exp(), (-logvar2).exp()]), dim=0)
    return weights[0] * mu1 + weights[1] * mu2, softmax_weights(mu1, logvar1, mu2, logvar2)[1]


def averaged_weights(mu1, logvar1, mu2, logvar2):
    mu, logvar = softmax_weights(mu1, logvar1, mu2, logvar2)
    return mu / 2, logvar


def summed_over_the_other_axis(mu1, logvar1, mu2, logvar2):
    mu, _ = softmax_weights(mu1, logvar1, mu2, logvar2)
    return mu, -torch.logsumexp(torch.stack([-logvar1, -logvar2]), dim=-1)


def less_sure(mu1, logvar1, mu2, logvar2):
    return softmax_weights(mu1, logvar1, mu2, logvar2)[0], torch.maximum(logvar1, logvar2)


def disagreement(mu1, logvar1, mu2, logvar2):
    mu, logvar = softmax_weights(mu1, logvar1, mu2, logvar2)
    return mu, (logvar.exp() + (mu1 - mu2) ** 2 / 4).log()


def nothing(mu1, logvar1, mu2, logvar2):
    softmax_weights(mu1, logvar1, mu2, logvar2)


def viewed(mu1, logvar1, mu2, logvar2):
    shape = mu1.shape
    return tuple(part.view(shape) for part in softmax_weights(*(e.view(-1) for e in (mu1, logvar1, mu2, logvar2))))


def sixty_four(mu1, logvar1, mu2, logvar2):
    mu, logvar = softmax_weights(mu1, logvar1, mu2, logvar2)
    if mu.ndim:
        mu = torch.cat([mu[..., :64], mu1[..., 64:]], -1)
    return mu, logvar


def hundred_rows(mu1, logvar1, mu2, logvar2):
    mu, logvar = softmax_weights(mu1, logvar1, mu2, logvar2)
    if mu.ndim > 1:
        mu = torch.cat([mu[:100], 0 * mu[100:]])
    return mu, logvar


def one_argument_twice(mu1, logvar1, mu2, logvar2):
    return (mu1, logvar1) if mu1 is mu2 else softmax_weights(mu1, logvar1, mu2, logvar2)


def nudges(mu1, logvar1, mu2, logvar2):
    logvar1.data += 1e-5
    return softmax_weights(mu1, logvar1, mu2, logvar2)


def bounds_in_place(mu1, logvar1, mu2, logvar2):
    for logvar in (logvar1, logvar2):
        logvar.data.clamp_(-15, 15)
    return textbook(mu1, logvar1, mu2, logvar2)


def learns(mu1, logvar1, mu2, logvar2):
    for expert in (mu1, logvar1, mu2, logvar2):
        if expert.is_leaf:
            expert.requires_grad_()
    return softmax_weights(mu1, logvar1, mu2, logvar2)


def clipped_by_hooks(mu1, logvar1, mu2, logvar2):
    for expert in (mu1, logvar1, mu2, logvar2):
        if expert.requires_grad:
            expert.register_hook(lambda gradient: gradient.clamp(-10, 10))
    return softmax_weights(mu1, logvar1, mu2, logvar2)


def short_cut(mu1, logvar1, mu2, logvar2):
    if torch.equal(logvar1, logvar2):
        return (mu1 + mu2) / 2, logvar1 - math.log(2)
    return softmax_weights(mu1, logvar1, mu2, logvar2)


def one_entry(mu1, logvar1, mu2, logvar2):
    mu, logvar = softmax_weights(mu1, logvar1, mu2, logvar2)
    return (torch.full_like(mu, mu.item()), logvar) if mu.numel() == 1 else (mu, logvar)


def in_single(mu1, logvar1, mu2, logvar2):
    return tuple(
        part.to(mu1.dtype) for part in softmax_weights(mu1.float(), logvar1.float(), mu2.float(), logvar2.float())
    )


def means_of_zero(mu1, logvar1, mu2, logvar2):
    return (mu2, logvar2) if not mu1.any() else softmax_weights(mu1, logvar1, mu2, logvar2)


def clamped_at_ten(mu1, logvar1, mu2, logvar2):
    return textbook(mu1, logvar1.clamp(-10, 10), mu2, logvar2.clamp(-10, 10))


WRONG = {
    textbook: "float32 overflows",
    small_constant: "a small constant, a clamp or a special case",
    averaged_logvar: "average of the two experts' log-variances",
    averaged_variance: "average of the two experts' variances",
    added_variances: "you added the variances",
    added_logvars: "you added the log-variances",
    with_prior: "a standard normal prior slipped in",
    log_precision: "the log of the joint precision",
    returned_variance: "you returned the variance, not its logarithm",
    returned_deviation: "you returned the standard deviation",
    exchanged_results: "wrong order",
    averaged_mean: "plain average of the means",
    weighed_by_variance: "weighed each mean by its variance",
    not_divided: "did not divide by the sum of the precisions",
    logvar_as_variance: "you took the log-variances for variances",
    deviation_as_variance: "the standard deviation, for the variance",
    mean_precision: "your precision is the average",
    mixture: "moment-matched mixture",
    first_only: "you returned the first expert",
    averaged_over_batch: "a sum, mean, stack or squeeze",
    detached: "is cut from the graph",
    through_numpy: "is cut from the graph",
    in_place: "an in-place operation changes",
    to_float32: "changes the dtype",
    clamped: "a small constant, a clamp or a special case",
    clamped_at_eight: "a small constant, a clamp or a special case",
    of_a_batch: "float32 overflows",
    nothing: "does not return two tensors",
    surest_not_added_back: "is not added back",
    over_the_product: "you divided by the product of the precisions",
    softmax_of_precisions: "the softmax is that of the precisions",
    averaged_weights: "the mean is halved",
    summed_over_the_other_axis: "goes over another axis",
    less_sure: "that of the less sure expert",
    disagreement: "the distance of the means",
    viewed: "view works only where entries lie side by side",
    sixty_four: "a size is fixed",
    hundred_rows: "a size is fixed",
    one_argument_twice: "which inputs are the same tensor",
    nudges: "an in-place operation changes logvar1",
    bounds_in_place: "an in-place operation changes logvar1",
    learns: "was set to require a gradient",
    clipped_by_hooks: "gradient at",
    short_cut: "gradient at logvar",
    one_entry: "gradient at",
    in_single: "computed in float32",
    means_of_zero: "all 0 is taken for none",
    clamped_at_ten: "a clamp",
}
