"""Bounds of the likelihood under a variational bottleneck."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from .._utils.rng import COMMON_SEED
from ..bottlenecks.gaussian import divergence_from_standard_normal
from .autoencoder import Autoencoder


def common_noise(n_draws: int, n_codes: int, *, antithetic: bool) -> Tensor:
    """Draw from N(0, I), (n_draws, n_codes), with a fixed seed: common random numbers for all samples.

    Errors shared by all samples do not average out, so antithetic draws, for means, match the moments of N(0, I): they
    are pairs of opposite sign, with unit variances, and uncorrelated if there are enough of them.
    """
    generator = torch.Generator().manual_seed(COMMON_SEED)
    if not antithetic:
        return torch.randn(n_draws, n_codes, generator=generator)
    half = torch.randn(math.ceil(n_draws / 2), n_codes, generator=generator, dtype=torch.float64)
    if len(half) >= n_codes:
        half = math.sqrt(len(half)) * torch.linalg.qr(half).Q
    else:
        half = half / half.square().mean(0).sqrt()
    return torch.cat([half, -half]).float()[:n_draws]


def lower_bound(
    module: Autoencoder, x: Tensor, target: Tensor, c: Tensor | None, noise: Tensor, *, importance: bool
) -> Tensor:
    r"""Return a lower bound of log p(``target``) for each sample, (n,), in units of the standardized data.

    ``-module.in_data_units(-bound, ...)`` converts it to the units of the data. Codes are those of ``x``.

    With ``importance`` it is that of Burda et al. (2016), :math:`\log \tfrac1k \sum_i p(x, z_i) / q(z_i | x)`;
    otherwise it is the evidence lower bound, :math:`\tfrac1k \sum_i \log p(x | z_i) - \mathrm{KL}(q(z|x) \| p(z))`.
    """
    mean, log_variance = module.posterior(x)
    target = module.target(target)
    total = torch.full((len(x),), -math.inf if importance else 0.0, dtype=torch.float64, device=mean.device)
    for epsilon in noise.to(mean):
        z = mean + (log_variance / 2).exp() * epsilon
        log_density = -module.loss_of_codes(z, x, target, c).double()
        if importance:
            ratio = 0.5 * (epsilon.square() + log_variance - z.square()).sum(1)  # log p(z) - log q(z|x)
            total = torch.logaddexp(total, log_density + ratio)
        else:
            total += log_density
    if importance:
        return total - math.log(len(noise))
    return total / len(noise) - divergence_from_standard_normal(mean, log_variance).sum(1)
