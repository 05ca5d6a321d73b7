"""Right and wrong answers to `agreement_scores`; each wrong one names the cause its message must give."""

import math

import torch


def log_a(precision, eta):
    return 0.5 * (eta**2 / precision - precision.log())


def parameters(mu1, logvar1, mu2, logvar2):
    """Return precisions and etas with axes of length 1, so that all pairs form: (N, 1, D) and (1, M, D)."""
    precision1, precision2 = (-logvar1).exp()[:, None], (-logvar2).exp()[None]
    return precision1, mu1[:, None] * precision1, precision2, mu2[None] * precision2


def scores_of(precision1, eta1, precision2, eta2, contained=1.0):
    both = log_a(precision1 + precision2 - contained, eta1 + eta2)
    return (both - log_a(precision1, eta1) - log_a(precision2, eta2)).sum(-1)


def broadcast(mu1, logvar1, mu2, logvar2):
    return scores_of(*parameters(mu1, logvar1, mu2, logvar2))


def early_sums(mu1, logvar1, mu2, logvar2):
    precision1, eta1, precision2, eta2 = parameters(mu1, logvar1, mu2, logvar2)
    both = log_a(precision1 + precision2 - 1, eta1 + eta2).sum(-1)
    return both - log_a(precision1, eta1).sum(-1) - log_a(precision2, eta2).sum(-1)


def row_by_row(mu1, logvar1, mu2, logvar2):
    rows = [broadcast(mu1[i : i + 1], logvar1[i : i + 1], mu2, logvar2)[0] for i in range(len(mu1))]
    return torch.stack(rows)


def completed_square(mu1, logvar1, mu2, logvar2):
    precision1, precision2 = (-logvar1).exp()[:, None], (-logvar2).exp()[None]
    precision = precision1 + precision2 - 1
    mean = (precision1 * mu1[:, None] + precision2 * mu2[None]) / precision
    exponent = precision * mean**2 - precision1 * mu1[:, None] ** 2 - precision2 * mu2[None] ** 2
    constant = -logvar1[:, None] - logvar2[None] - precision.log()
    return ((exponent + constant) / 2).sum(2)


def in_double(*posteriors):
    return broadcast(*[tensor.double() for tensor in posteriors]).to(posteriors[0].dtype)


def expanded(mu1, logvar1, mu2, logvar2):
    n, m = len(mu1), len(mu2)
    mu1, logvar1 = (tensor.unsqueeze(1).expand(-1, m, -1) for tensor in (mu1, logvar1))
    mu2, logvar2 = (tensor.unsqueeze(0).expand(n, -1, -1) for tensor in (mu2, logvar2))
    precision1, precision2 = torch.exp(-logvar1), torch.exp(-logvar2)
    return scores_of(precision1, mu1 * precision1, precision2, mu2 * precision2)


RIGHT = [broadcast, early_sums, row_by_row, completed_square, in_double, expanded]


def prior_left_in(*posteriors):
    return scores_of(*parameters(*posteriors), contained=0.0)


def overlap(mu1, logvar1, mu2, logvar2):
    variance = logvar1.exp()[:, None] + logvar2.exp()[None]
    square = (mu1[:, None] - mu2[None]) ** 2 / variance
    return (-0.5 * (math.log(2 * math.pi) + variance.log() + square)).sum(-1)


def prior_multiplied(*posteriors):
    return scores_of(*parameters(*posteriors), contained=-1.0)


def negative(*posteriors):
    return -broadcast(*posteriors)


def mean_over_dimensions(*posteriors):
    return broadcast(*posteriors) / posteriors[0].shape[1]


def not_subtracted(*posteriors):
    precision1, eta1, precision2, eta2 = parameters(*posteriors)
    return log_a(precision1 + precision2 - 1, eta1 + eta2).sum(-1)


def second_not_subtracted(*posteriors):
    precision1, eta1, precision2, eta2 = parameters(*posteriors)
    return (log_a(precision1 + precision2 - 1, eta1 + eta2) - log_a(precision1, eta1)).sum(-1)


def added(*posteriors):
    precision1, eta1, precision2, eta2 = parameters(*posteriors)
    return (log_a(precision1 + precision2 - 1, eta1 + eta2) + log_a(precision1, eta1) + log_a(precision2, eta2)).sum(-1)


def no_half(*posteriors):
    return 2 * broadcast(*posteriors)


def turned_log(*posteriors):
    precision1, _, precision2, _ = parameters(*posteriors)
    logs = (precision1 + precision2 - 1).log() - precision1.log() - precision2.log()
    return broadcast(*posteriors) + logs.sum(-1)


def no_log(*posteriors):
    precision1, _, precision2, _ = parameters(*posteriors)
    logs = (precision1 + precision2 - 1).log() - precision1.log() - precision2.log()
    return broadcast(*posteriors) + logs.sum(-1) / 2


def mean_as_eta(mu1, logvar1, mu2, logvar2):
    return scores_of((-logvar1).exp()[:, None], mu1[:, None], (-logvar2).exp()[None], mu2[None])


def deviation_as_variance(mu1, logvar1, mu2, logvar2):
    return broadcast(mu1, logvar1 / 2, mu2, logvar2 / 2)


def squared_distance(mu1, logvar1, mu2, logvar2):
    return ((mu1[:, None] - mu2[None]) ** 2).sum(-1)


def negative_distance(*posteriors):
    return -squared_distance(*posteriors)


def dot_product(mu1, logvar1, mu2, logvar2):
    return mu1 @ mu2.T


def integral(*posteriors):
    return broadcast(*posteriors).exp()


def transposed(*posteriors):
    return broadcast(*posteriors).T


def diagonal(*posteriors):
    return broadcast(*posteriors).diagonal()


def keeps_dimensions(*posteriors):
    precision1, eta1, precision2, eta2 = parameters(*posteriors)
    return log_a(precision1 + precision2 - 1, eta1 + eta2) - log_a(precision1, eta1) - log_a(precision2, eta2)


def normalised(*posteriors):
    return broadcast(*posteriors).log_softmax(1)


def detached(mu1, logvar1, mu2, logvar2):
    return broadcast(mu1.detach(), logvar1, mu2, logvar2)


def six_dimensions(*posteriors):
    return broadcast(*[tensor[:, :6] for tensor in posteriors])


def negates_its_input(mu1, logvar1, mu2, logvar2):
    found = broadcast(mu1, logvar1, mu2, logvar2)
    logvar1.data.neg_()
    return found


def first_not_subtracted(*posteriors):
    precision1, eta1, precision2, eta2 = parameters(*posteriors)
    return (log_a(precision1 + precision2 - 1, eta1 + eta2) - log_a(precision2, eta2)).sum(-1)


def half_of_the_square_only(*posteriors):
    precision1, _, precision2, _ = parameters(*posteriors)
    logs = (precision1 + precision2 - 1).log() - precision1.log() - precision2.log()
    return broadcast(*posteriors) - logs.sum(-1) / 2


def nothing(*posteriors):
    broadcast(*posteriors)


def by_view(mu1, logvar1, mu2, logvar2):
    n, d = mu1.shape
    return broadcast(mu1.view(n, d), logvar1.view(-1).view(n, d), mu2, logvar2)


def five_hundred_rows(*posteriors):
    scores = broadcast(*posteriors)
    return torch.cat([scores[:512], 0 * scores[512:]])


def sixty_four(mu1, logvar1, mu2, logvar2):
    return broadcast(mu1[:, :64], logvar1[:, :64], mu2[:, :64], logvar2[:, :64])


def cut_at_the_prior(mu1, logvar1, mu2, logvar2):
    scores = broadcast(mu1, logvar1, mu2, logvar2)
    return scores.detach() if not logvar1.any() else scores


def in_single(*posteriors):
    return broadcast(*(one.float() for one in posteriors)).to(posteriors[0].dtype)


def one_side_twice(mu1, logvar1, mu2, logvar2):
    return broadcast(mu1, logvar1, mu1, logvar1) if mu1 is mu2 else broadcast(mu1, logvar1, mu2, logvar2)


WRONG = {
    prior_left_in: "the prior is not divided out",
    overlap: "the prior is not divided out",
    prior_multiplied: "the prior is multiplied in",
    negative: "the sign is turned",
    mean_over_dimensions: "mean over the dimensions",
    not_subtracted: "A(P1, eta1) and A(P2, eta2) are not subtracted",
    second_not_subtracted: "A(P2, eta2) is not subtracted",
    added: "are added, not subtracted",
    no_half: "the half in A is missing",
    turned_log: "log P in A has the wrong sign",
    no_log: "log P in A is missing",
    mean_as_eta: "you took the mean for eta",
    deviation_as_variance: "one over the standard deviation",
    squared_distance: "you returned the squared distance",
    negative_distance: "minus the squared distance",
    dot_product: "the product of the means",
    integral: "not its logarithm",
    transposed: "rows and columns are exchanged",
    diagonal: "not every first posterior meets every second one",
    keeps_dimensions: "the sum over the dimensions is missing",
    normalised: "set against the others of its row",
    detached: "is cut from the graph",
    six_dimensions: "not the log of the integral",
    negates_its_input: "in-place operation changes logvar1",
    first_not_subtracted: "A(P1, eta1) is not subtracted",
    half_of_the_square_only: "the half before log P is missing",
    nothing: "does not return one tensor",
    by_view: "view works only where entries lie side by side",
    five_hundred_rows: "a size is fixed",
    sixty_four: "score",
    cut_at_the_prior: "gradient",
    in_single: "computed in float32",
    one_side_twice: "copies of the same numbers",
}
