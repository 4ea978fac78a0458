"""The likelihood of real values with outliers."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ._location_scale import LocationScale


class Laplace(LocationScale):
    r"""Minus the log-density of a Laplace distribution around the decoder's output, in nats.

    .. math:: \sum_j \left[ |\hat x_j - x_j| / b + \log 2 b \right]

    The decoder learns medians, so outliers weigh less than under `Gaussian`; in images edges stay sharper.

    Parameters
    ----------
    scale : {'optimal', 'learned'} or float, default='optimal'
        b: while training the best for each batch, the mean absolute error, and afterwards a moving mean of these; a
        parameter that is trained; or fixed, in standard deviations of X about the means of its features,
        ``sqrt(X.var(axis=0).mean())``.
    floor : float, default=1e-3
        The least b, in the same unit; above 0.

    Examples
    --------
    >>> import torch
    >>> loss = Laplace(scale=1.0)
    >>> loss.setup(n_components=1)
    >>> loss(torch.tensor([[1.0, 0.0]]), torch.zeros(1, 2))
    tensor([2.3863])
    """

    def statistic(self, raw: Tensor, x: Tensor) -> Tensor:
        return (raw - x).abs()

    def scale_of(self, mean: Tensor) -> Tensor:
        return mean

    def negative_log_density(self, raw: Tensor, x: Tensor, scale: Tensor) -> Tensor:
        return (raw - x).abs() / scale + scale.log() + math.log(2)

    def sample(self, raw: Tensor) -> Tensor:
        uniform = torch.rand_like(raw) - 0.5
        # rand may give 0 exactly, which stands for infinity
        tails = torch.log1p(-2 * uniform.abs()).clamp(min=-40)
        return raw - self.current_scale * uniform.sign() * tails
