"""Laplace likelihood, for real values with outliers."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ._location_scale import LocationScale


class Laplace(LocationScale):
    r"""Negative log-density of a Laplace distribution around the decoder's output, in nats.

    .. math:: \sum_j \left[ |\hat x_j - x_j| / b + \log 2 b \right]

    The decoder estimates medians, which are less sensitive to outliers than under `Gaussian`; in images edges are
    sharper.

    Parameters
    ----------
    scale : {'optimal', 'learned'} or float, default='optimal'
        The scale b. 'optimal' is the mean absolute error of each batch, and a moving mean of these outside of training;
        'learned' trains it as a parameter; a float is a fixed value, in units of the root mean variance of the
        features, ``sqrt(X.var(axis=0).mean())``.
    floor : float, default=1e-3
        Lower bound of b, in the same unit; above 0.
    per_feature : bool, default=False
        Whether each feature (of images and sequences, each channel) has its own b, so that accurately reconstructed
        features have a larger weight than noisy ones. An 'optimal' b is then the moving mean in training, too.

    Examples
    --------
    >>> import torch
    >>> loss = Laplace(scale=1.0)
    >>> loss.setup(n_components=1)
    >>> loss(torch.tensor([[1.0, 0.0]]), torch.zeros(1, 2))
    tensor([2.3863])
    """

    def __init__(self, scale: str | float = "optimal", floor: float = 1e-3, per_feature: bool = False) -> None:
        super().__init__(scale, floor)
        self.per_feature = per_feature

    def statistic(self, raw: Tensor, x: Tensor) -> Tensor:
        return (raw - x).abs()

    def scale_of(self, mean: Tensor) -> Tensor:
        return mean

    def negative_log_density(self, raw: Tensor, x: Tensor, scale: Tensor) -> Tensor:
        return (raw - x).abs() / scale + scale.log() + math.log(2)

    def sample(self, raw: Tensor) -> Tensor:
        uniform = torch.rand_like(raw) - 0.5
        # rand may return exactly 0, whose quantile is infinite
        tails = torch.log1p(-2 * uniform.abs()).clamp(min=-40)
        return raw - self.current_scale * uniform.sign() * tails
