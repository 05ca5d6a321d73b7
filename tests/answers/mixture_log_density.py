"""Right and wrong answers to `mixture_log_density`; each wrong one names the cause its message must give."""

import math

import torch
from torch.distributions import Categorical, Independent, MixtureSameFamily, Normal

LOG_2_PI = math.log(2 * math.pi)


def each(z, mu, logvar):
    """Return the log-density of each dimension under each component, (K, B, D)."""
    return -0.5 * (LOG_2_PI + logvar + (z - mu) ** 2 / logvar.exp())


def logsumexp(z, mu, logvar):
    return each(z, mu, logvar).sum(-1).logsumexp(0) - math.log(len(mu))


def with_distributions(z, mu, logvar):
    components = Normal(mu, (logvar / 2).exp()).log_prob(z).sum(-1)
    return torch.logsumexp(components, dim=0) - torch.tensor(float(len(mu)), dtype=mu.dtype).log()


def as_a_mixture(z, mu, logvar):
    components = Independent(Normal(mu.transpose(0, 1), (logvar / 2).exp().transpose(0, 1)), 1)
    return MixtureSameFamily(Categorical(torch.ones(len(z), len(mu), dtype=mu.dtype)), components).log_prob(z)


def largest_first(z, mu, logvar):
    components = each(z, mu, logvar).sum(-1)
    largest = components.amax(0)
    return largest + (components - largest).exp().mean(0).log()


def pairwise(z, mu, logvar):
    total = each(z, mu[0], logvar[0]).sum(-1)
    for mean, log_variance in zip(mu[1:], logvar[1:], strict=True):
        total = torch.logaddexp(total, each(z, mean, log_variance).sum(-1))
    return total - math.log(len(mu))


def stacked(z, mu, logvar):
    rows = []
    for i in range(len(z)):
        components = [each(z[i], mu[k, i], logvar[k, i]).sum() for k in range(len(mu))]
        rows.append(torch.stack(components).logsumexp(0) - math.log(len(mu)))
    return torch.stack(rows)


RIGHT = [logsumexp, with_distributions, as_a_mixture, largest_first, pairwise, stacked]


def mixed(components):
    return components.logsumexp(0) - math.log(len(components))


def not_divided(z, mu, logvar):
    return each(z, mu, logvar).sum(-1).logsumexp(0)


def averaged_logs(z, mu, logvar):
    return each(z, mu, logvar).sum(-1).mean(0)


def product(z, mu, logvar):
    return each(z, mu, logvar).sum(-1).sum(0)


def dimension_by_dimension(z, mu, logvar):
    return mixed(each(z, mu, logvar)).sum(-1)


def likeliest(z, mu, logvar):
    return each(z, mu, logvar).sum(-1).amax(0)


def density(z, mu, logvar):
    return logsumexp(z, mu, logvar).exp()


def negative(z, mu, logvar):
    return -logsumexp(z, mu, logvar)


def no_constant(z, mu, logvar):
    return mixed((each(z, mu, logvar) + LOG_2_PI / 2).sum(-1))


def no_logvar(z, mu, logvar):
    return mixed((each(z, mu, logvar) + logvar / 2).sum(-1))


def whole_logvar(z, mu, logvar):
    return mixed((each(z, mu, logvar) - logvar / 2).sum(-1))


def no_half(z, mu, logvar):
    return mixed((each(z, mu, logvar) - 0.5 * (z - mu) ** 2 / logvar.exp()).sum(-1))


def variance_as_deviation(z, mu, logvar):
    return mixed(Normal(mu, logvar.exp()).log_prob(z).sum(-1))


def multiplied_variance(z, mu, logvar):
    return mixed((-0.5 * (LOG_2_PI + logvar + (z - mu) ** 2 * logvar.exp())).sum(-1))


def mean_over_dimensions(z, mu, logvar):
    return mixed(each(z, mu, logvar).mean(-1))


def first_component(z, mu, logvar):
    return each(z, mu[0], logvar[0]).sum(-1)


def averaged_parameters(z, mu, logvar):
    return each(z, mu.mean(0), logvar.mean(0)).sum(-1)


def overflows(z, mu, logvar):
    return each(z, mu, logvar).sum(-1).exp().mean(0).log()


def mean_over_the_batch(z, mu, logvar):
    return logsumexp(z, mu, logvar).mean()


def keeps_dimensions(z, mu, logvar):
    return mixed(each(z, mu, logvar))


def detached(z, mu, logvar):
    return logsumexp(z, mu.detach(), logvar)


def at_most_zero(z, mu, logvar):
    return logsumexp(z, mu, logvar).clamp(max=0)


def right_where_nothing_underflows(z, mu, logvar):
    """Right in value, but the gradient of what is not chosen is nan."""
    plain = overflows(z, mu, logvar)
    return torch.where(plain.isfinite(), plain, logsumexp(z, mu, logvar))


def centres_its_input(z, mu, logvar):
    found = logsumexp(z, mu, logvar)
    z.data -= z.data.mean(0)
    return found


def added_log_k(z, mu, logvar):
    return each(z, mu, logvar).sum(-1).logsumexp(0) + math.log(len(mu))


def deviation_in_the_quotient(z, mu, logvar):
    return mixed((-0.5 * (LOG_2_PI + logvar + (z - mu) ** 2 / (logvar / 2).exp())).sum(-1))


def a_list(z, mu, logvar):
    return logsumexp(z, mu, logvar).tolist()


def by_view(z, mu, logvar):
    return logsumexp(z.view(-1).view(z.shape), mu, logvar)


def two_hundred_and_fifty_six(z, mu, logvar):
    density = logsumexp(z, mu, logvar)
    return torch.cat([density[:256], 0 * density[256:]])


def at_most_32_components(z, mu, logvar):
    return logsumexp(z, mu[:32], logvar[:32])


def expanded_square(z, mu, logvar):
    square = z * z - 2 * z * mu + mu * mu
    each = -0.5 * (math.log(2 * math.pi) + logvar + square / logvar.exp())
    return torch.logsumexp(each.sum(-1), dim=0) - math.log(len(mu))


def clips_in_place(z, mu, logvar):
    density = logsumexp(z, mu, logvar)
    logvar.data.clamp_(-7.9, 7.9)
    return density


def cut_for_one_component(z, mu, logvar):
    density = logsumexp(z, mu, logvar)
    return density.detach() if len(mu) == 1 else density


def in_single(z, mu, logvar):
    return logsumexp(z.float(), mu.float(), logvar.float()).to(z.dtype)


def distance_bounded(z, mu, logvar):
    return logsumexp((z - mu).clamp(-100, 100), torch.zeros_like(mu), logvar)


WRONG = {
    not_divided: "not divided by the number of components",
    averaged_logs: "averaged the log-densities",
    product: "that is a product, not a mixture",
    dimension_by_dimension: "mixed each dimension on its own",
    likeliest: "likeliest component",
    density: "you returned the density",
    negative: "the sign is turned",
    no_constant: "log(2 pi) of the Gaussian is missing",
    no_logvar: "the log-variance is missing",
    whole_logvar: "the log-variance counts twice",
    no_half: "the half before the squared distance",
    variance_as_deviation: "for the standard deviation",
    multiplied_variance: "the log of the precision",
    mean_over_dimensions: "mean over the dimensions",
    first_component: "first component only",
    averaged_parameters: "one Gaussian with the components' average",
    overflows: "exp makes them 0",
    mean_over_the_batch: "takes the batch away",
    keeps_dimensions: "is missing",
    detached: "is cut from the graph",
    at_most_zero: "a clamp, a small constant or float16",
    right_where_nothing_underflows: "its value or its gradient is infinite",
    centres_its_input: "in-place operation changes z",
    added_log_k: "log K is added",
    deviation_in_the_quotient: "divided by the standard deviation",
    a_list: "does not return one tensor",
    by_view: "view works only where entries lie side by side",
    two_hundred_and_fifty_six: "a size is fixed",
    at_most_32_components: "log-density",
    expanded_square: "log-density",
    clips_in_place: "an in-place operation changes logvar",
    cut_for_one_component: "gradient",
    in_single: "computed in float32",
    distance_bounded: "a bound changes the result",
}
