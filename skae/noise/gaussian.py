"""Additive Gaussian noise."""

from __future__ import annotations

import numbers

import torch
from torch import Tensor

from .base import Noise


class GaussianNoise(Noise):
    """Add independent Gaussian noise to every value.

    Parameters
    ----------
    scale : float, default=0.1
        Standard deviation of the noise, in units of the root mean variance of the features,
        ``sqrt(X.var(axis=0).mean())``; at least 0.

    Examples
    --------
    >>> import torch
    >>> GaussianNoise(scale=0.1).eval()(torch.ones(1, 2))
    tensor([[1., 1.]])
    """

    def __init__(self, scale: float = 0.1) -> None:
        super().__init__()
        self.scale = scale

    def setup(self, n_components: int) -> None:
        self._check_number("scale", numbers.Real, 0)

    def corrupt(self, x: Tensor) -> Tensor:
        return torch.add(x, torch.randn_like(x), alpha=self.scale)
