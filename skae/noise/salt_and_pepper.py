"""Salt-and-pepper noise."""

from __future__ import annotations

import numbers

import torch
from torch import Tensor

from .base import Noise


class SaltAndPepper(Noise):
    """Set a random fraction of the values to the smallest or the largest value of X.

    Parameters
    ----------
    fraction : float, default=0.1
        Probability of each value to be replaced, by either extreme with equal probability; in [0, 1].

    Examples
    --------
    >>> import torch
    >>> noise = SaltAndPepper(fraction=1.0)
    >>> noise.setup(n_components=1)
    >>> noise.init_from(torch.tensor([[-2.0, 3.0]]))
    >>> sorted(noise(torch.zeros(1, 100)).unique().tolist())
    [-2.0, 3.0]
    """

    low: Tensor
    high: Tensor

    def __init__(self, fraction: float = 0.1) -> None:
        super().__init__()
        self.fraction = fraction

    def setup(self, n_components: int) -> None:
        self._check_number("fraction", numbers.Real, 0, 1)
        self.register_buffer("low", torch.tensor(0.0))
        self.register_buffer("high", torch.tensor(0.0))

    def init_from(self, x: Tensor) -> None:
        """Store the extremes of the standardized samples ``x``, (n, ...)."""
        self.low.copy_(x.min())
        self.high.copy_(x.max())

    def corrupt(self, x: Tensor) -> Tensor:
        draw = torch.rand_like(x)
        hit = torch.where(draw < self.fraction / 2, self.low, self.high)
        return torch.where(draw < self.fraction, hit, x)
