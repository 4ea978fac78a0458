"""Gaussian likelihood, for real values."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ._location_scale import LocationScale


class Gaussian(LocationScale):
    r"""Negative log-density of a normal distribution around the decoder's output, in nats.

    .. math:: \sum_j \left[ \frac{(\hat x_j - x_j)^2}{2 \sigma^2} + \log \sigma + \tfrac12 \log 2 \pi \right]

    All values share one σ. With its optimal value, the root mean squared error, reconstruction and KL divergence are
    balanced without a weight to tune (Rybkin et al., 2021).

    Parameters
    ----------
    scale : {'optimal', 'learned'} or float, default='optimal'
        The scale σ. 'optimal' estimates it from each batch, and uses a moving mean of these outside of training;
        'learned' trains it as a parameter; a float is a fixed value, in units of the root mean variance of the
        features, ``sqrt(X.var(axis=0).mean())``.
    floor : float, default=1e-3
        Lower bound of σ, in the same unit; above 0. Without it memorized samples would have an infinite likelihood.
    per_feature : bool, default=False
        Whether each feature (of images and sequences, each channel) has its own σ, so that accurately reconstructed
        features have a larger weight than noisy ones. An 'optimal' σ is then the moving mean in training, too.

    References
    ----------
    O. Rybkin, K. Daniilidis and S. Levine, 2021. Simple and effective VAE training with calibrated decoders. ICML.

    Examples
    --------
    >>> import torch
    >>> loss = Gaussian(scale=1.0)
    >>> loss.setup(n_components=1)
    >>> loss(torch.tensor([[1.0, 0.0]]), torch.zeros(1, 2))
    tensor([2.3379])
    """

    def __init__(self, scale: str | float = "optimal", floor: float = 1e-3, per_feature: bool = False) -> None:
        super().__init__(scale, floor)
        self.per_feature = per_feature

    def statistic(self, raw: Tensor, x: Tensor) -> Tensor:
        return (raw - x).square()

    def scale_of(self, mean: Tensor) -> Tensor:
        return mean.sqrt()

    def negative_log_density(self, raw: Tensor, x: Tensor, scale: Tensor) -> Tensor:
        return 0.5 * ((raw - x) / scale).square() + scale.log() + 0.5 * math.log(2 * math.pi)

    def sample(self, raw: Tensor) -> Tensor:
        return raw + self.current_scale * torch.randn_like(raw)
