"""Right and wrong answers to `product_with_prior`; each wrong one names the cause its message must give."""

import math

import torch


def textbook(mu, logvar, present):
    precision = torch.where(present, (-torch.where(present, logvar, 0.0)).exp(), 0.0)
    total = 1 + precision.sum(0)
    return (precision * torch.where(present, mu, 0.0)).sum(0) / total, -total.log()


def filled(mu, logvar, present):
    mu, logvar = mu.masked_fill(~present, 0.0), logvar.masked_fill(~present, math.inf)
    total = (-logvar).exp().sum(0) + 1
    return ((-logvar).exp() * mu).sum(0).div(total), total.reciprocal().log()


def softmax_weights(mu, logvar, present):
    mu, logvar = mu.masked_fill(~present, 0.0), logvar.masked_fill(~present, math.inf)
    log_precision = torch.cat([torch.zeros_like(mu[:1]), -logvar])
    weights = torch.softmax(log_precision, dim=0)[1:]
    return (weights * mu).sum(0), -torch.logsumexp(log_precision, dim=0)


def one_after_another(mu, logvar, present):
    joint_mu, precision = torch.zeros_like(mu[0]), torch.ones_like(mu[0])
    for mean, log_variance, there in zip(mu, logvar, present, strict=True):
        own = torch.where(there, (-torch.where(there, log_variance, 0.0)).exp(), 0.0)
        joint_mu = (precision * joint_mu + own * torch.where(there, mean, 0.0)) / (precision + own)
        precision = precision + own
    return joint_mu, -precision.log()


def in_double(mu, logvar, present):
    joint = textbook(mu.double(), logvar.double(), present)
    return joint[0].to(mu.dtype), joint[1].to(mu.dtype)


def prior_in_front(mu, logvar, present):
    everybody = torch.ones_like(present[:1])
    mu = torch.cat([torch.zeros_like(mu[:1]), mu.masked_fill(~present, 0.0)])
    logvar = torch.cat([torch.zeros_like(logvar[:1]), logvar.masked_fill(~present, 0.0)])
    precision = (-logvar).exp() * torch.cat([everybody, present])
    return (precision * mu).sum(0) / precision.sum(0), -precision.sum(0).log()


RIGHT = [textbook, filled, softmax_weights, one_after_another, in_double, prior_in_front]


def precisions(mu, logvar, present):
    return torch.where(present, (-torch.where(present, logvar, 0.0)).exp(), 0.0), torch.where(present, mu, 0.0)


def no_prior(mu, logvar, present):
    precision, mu = precisions(mu, logvar, present)
    return (precision * mu).sum(0) / precision.sum(0), -precision.sum(0).log()


def prior_for_each(mu, logvar, present):
    precision, mu = precisions(mu, logvar, present)
    total = (precision + present).sum(0)
    return (precision * mu).sum(0) / total, -total.log()


def prior_in_the_variance_only(mu, logvar, present):
    return no_prior(mu, logvar, present)[0], textbook(mu, logvar, present)[1]


def everybody_counts(mu, logvar, present):
    return textbook(mu, logvar, torch.ones_like(present))


def upside_down(mu, logvar, present):
    return textbook(mu, logvar, ~present)


def absent_as_standard(mu, logvar, present):
    precision = torch.where(present, (-logvar).exp(), 1.0)
    total = 1 + precision.sum(0)
    return (precision * torch.where(present, mu, 0.0)).sum(0) / total, -total.log()


def multiplied_mask(mu, logvar, present):
    precision = (-logvar).exp() * present
    total = 1 + precision.sum(0)
    return (precision * mu).sum(0) / total, -total.log()


def mean_precision(mu, logvar, present):
    joint_mu, joint_logvar = textbook(mu, logvar, present)
    return joint_mu, joint_logvar + (1 + present.sum(0)).log()


def log_precision(mu, logvar, present):
    joint_mu, joint_logvar = textbook(mu, logvar, present)
    return joint_mu, -joint_logvar


def returned_variance(mu, logvar, present):
    joint_mu, joint_logvar = textbook(mu, logvar, present)
    return joint_mu, joint_logvar.exp()


def exchanged(mu, logvar, present):
    return textbook(mu, logvar, present)[::-1]


def plain_mean(mu, logvar, present):
    _, mu = precisions(mu, logvar, present)
    return mu.sum(0) / present.sum(0).clamp(min=1), textbook(torch.zeros_like(mu), logvar, present)[1]


def not_divided(mu, logvar, present):
    precision, mu = precisions(mu, logvar, present)
    return (precision * mu).sum(0), -(1 + precision.sum(0)).log()


def logvar_as_log_precision(mu, logvar, present):
    return textbook(mu, -logvar, present)


def deviation_as_variance(mu, logvar, present):
    return textbook(mu, logvar / 2, present)


def sums_over_the_batch(mu, logvar, present):
    return textbook(mu.transpose(0, 1), logvar.transpose(0, 1), present.transpose(0, 1))


def first_two_only(mu, logvar, present):
    return textbook(mu[:2], logvar[:2], present[:2])


def overwrites(mu, logvar, present):
    mu[~present] = 0
    logvar[~present] = math.inf
    return textbook(mu, logvar, torch.ones_like(present))


def detached(mu, logvar, present):
    return tuple(part.detach() for part in textbook(mu, logvar, present))


def always_double(mu, logvar, present):
    return textbook(mu.double(), logvar.double(), present)


def clamped(mu, logvar, present):
    return textbook(mu, logvar.clamp(-6, 6), present)


def mean_over_experts(mu, logvar, present):
    precision, mu = precisions(mu, logvar, present)
    total = 1 + precision.mean(0)
    return (precision * mu).mean(0) / total, -total.log()


def squeezed(mu, logvar, present):
    return tuple(part.squeeze() for part in textbook(mu, logvar, present))


def only_the_mean(mu, logvar, present):
    return textbook(mu, logvar, present)[0]


def where_after_exp(mu, logvar, present):
    precision = torch.where(present, (-logvar).exp(), 0.0)
    total = 1 + precision.sum(0)
    return (precision * torch.where(present, mu, 0.0)).sum(0) / total, -total.log()


def narrows_the_mask(mu, logvar, present):
    present &= ~mu.isnan()
    return textbook(mu, logvar, present)


def mask_of_the_first_row(mu, logvar, present):
    first = present[:, :1].expand_as(present) if present.stride(1) == 0 else present
    return textbook(mu, logvar, first & (present.stride(2) != 0))


def eight_experts(mu, logvar, present):
    return textbook(mu[:8], logvar[:8], present[:8])


def sixty_four(mu, logvar, present):
    joint_mu, joint_logvar = textbook(mu, logvar, present)
    return torch.cat([joint_mu[:, :64], 0 * joint_mu[:, 64:]], 1), joint_logvar


def tidies_up(mu, logvar, present):
    result = textbook(mu, logvar, present)
    logvar.data[~present] = 0
    return result


def zero_is_absent(mu, logvar, present):
    return textbook(mu, logvar, present & (mu != 0))


def cut_where_all_are_present(mu, logvar, present):
    joint = textbook(mu, logvar, present)
    return tuple(part.detach() for part in joint) if present.all() else joint


def in_single(mu, logvar, present):
    return tuple(part.to(mu.dtype) for part in textbook(mu.float(), logvar.float(), present))


def infinite_means_stay(mu, logvar, present):
    mu = torch.where(mu.isnan() | (mu.abs() < 1e30) & ~present, torch.zeros_like(mu), mu)
    precision = torch.where(present, (-torch.where(present, logvar, 0.0)).exp(), 0.0)
    return (precision * mu).sum(0) / (1 + precision.sum(0)), -(1 + precision.sum(0)).log()


WRONG = {
    no_prior: "the prior is missing from the product",
    prior_for_each: "once for each expert",
    prior_in_the_variance_only: "the prior is missing from the product",
    everybody_counts: "experts that are not present count, too",
    upside_down: "upside down",
    absent_as_standard: "count as standard normal ones",
    multiplied_mask: "0 times the infinity or nan",
    mean_precision: "average of the precisions",
    log_precision: "log of the joint precision",
    returned_variance: "not its logarithm",
    exchanged: "in the wrong order",
    plain_mean: "plain average of the means",
    not_divided: "did not divide by the sum of the precisions",
    logvar_as_log_precision: "you took exp(logvar) for the precision",
    deviation_as_variance: "the standard deviation, for the variance",
    sums_over_the_batch: "does not go over the experts",
    first_two_only: "not every expert counts",
    overwrites: "in-place operation changes mu",
    detached: "is cut from the graph",
    always_double: "changes the dtype",
    clamped: "a clamp or a small constant",
    mean_over_experts: "the mean over the experts where their sum belongs",
    squeezed: "an axis of length 1 is kept or taken away",
    only_the_mean: "does not return two tensors",
    where_after_exp: "0 times inf",
    narrows_the_mask: "in-place operation",
    mask_of_the_first_row: "copies of the same numbers",
    eight_experts: "not the normalised product of the prior",
    sixty_four: "a size is fixed",
    tidies_up: "in-place operation changes logvar",
    zero_is_absent: "taken for absent",
    cut_where_all_are_present: "gradient",
    in_single: "computed in float32",
    infinite_means_stay: "0 times the infinity or nan",
}
