"""A variational bottleneck with independent components."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from .base import Latent
from .gaussian import Gaussian, divergence_from_standard_normal, log_density


class TotalCorrelation(Gaussian):
    r"""`Gaussian` with a penalty on the dependence between components: the β-TCVAE (Chen et al., 2018).

    The mean divergence of `Gaussian` includes the total correlation of the codes, which is 0 if the components are
    independent. β is the weight of this term only, and not of the information about the sample:

    .. math:: \mathrm{KL}\left(q(z|x) \,\|\, p(z)\right)
              + (\beta - 1) \, \mathrm{KL}\left(q(z) \,\|\, \prod_k q(z_k)\right)

    q(z) is estimated by the mixture of the posteriors of the batch. This shifts the penalty by a constant that depends
    on the batch size, and needs memory for n² · n_components values for a batch of n samples; gradients are those of
    the estimate in the paper, whose constant depends on the number of samples. The estimate may be negative.

    Parameters
    ----------
    beta : float, default=6.0
        Weight β of the total correlation; at least 0.
    warmup : float, default=0.2
        Fraction of the training, in [0, 1], in which the weight of the penalty grows from 0 to 1.

    References
    ----------
    R. T. Q. Chen, X. Li, R. Grosse and D. Duvenaud, 2018. Isolating sources of disentanglement in variational
    autoencoders. NeurIPS.

    Examples
    --------
    >>> import torch
    >>> part = TotalCorrelation()
    >>> part.setup(n_components=2)
    >>> latent = part.eval()(torch.zeros(3, 4))
    >>> latent.z.shape, latent.penalty.shape
    (torch.Size([3, 2]), torch.Size([3]))
    """

    whole_batch = True

    def __init__(self, beta: float = 6.0, warmup: float = 0.2) -> None:
        super().__init__(beta, warmup)

    def forward(self, h: Tensor) -> Latent:
        mean, log_variance = self.distribution(h)
        z = mean + (log_variance / 2).exp() * self.draw_like(mean)
        density = log_density(z[:, None], mean, log_variance)  # of every code under every sample's posterior
        joint = torch.logsumexp(density.sum(2), dim=1)
        apart = torch.logsumexp(density, dim=1).sum(1)
        # In export the number is symbolic, and not accepted by math.log.
        log_n = z.new_ones(z.shape[0]).sum().log() if torch.compiler.is_exporting() else math.log(z.shape[0])
        correlation = joint - apart + (z.shape[1] - 1) * log_n
        penalty = divergence_from_standard_normal(mean, log_variance).sum(1) + (self.beta - 1) * correlation
        return Latent(z, self._warmth() * penalty)
