"""Corruptions: what is done to a row before it is encoded, while training.

The target stays clean, so the network learns to undo the damage (Vincent et al., 2010). Noise acts
on conditioned values, whose mean is 0 and whose scale is 1 over the whole of X: its strength means
the same for pixels in 0..255 and for standardised columns. Outside training it does nothing.

References
----------
P. Vincent, H. Larochelle, I. Lajoie, Y. Bengio and P.-A. Manzagol, 2010. Stacked denoising
autoencoders. Journal of Machine Learning Research 11.
"""

from __future__ import annotations

import numbers

import torch
from torch import Tensor

from ._component import Component
from ._validation import check_number

__all__ = ["GaussianNoise", "MaskingNoise", "Noise", "SaltAndPepper"]


class Noise(Component):
    """Base of the corruptions: ``corrupt(x)`` is applied in training mode only."""

    def forward(self, x: Tensor) -> Tensor:
        """Return ``x``, corrupted in training mode; same shape."""
        return self.corrupt(x) if self.training else x

    def corrupt(self, x: Tensor) -> Tensor:
        """Return a corrupted copy of ``x``, (n, ...)."""
        raise NotImplementedError(f"{type(self).__name__} does not define corrupt(x)")


class GaussianNoise(Noise):
    """Add independent normal noise to every value.

    Parameters
    ----------
    scale : float, default=0.1
        Standard deviation of the noise, in global standard deviations of X; at least 0.

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
        check_number("GaussianNoise: scale", self.scale, numbers.Real, 0)

    def corrupt(self, x: Tensor) -> Tensor:
        return torch.add(x, torch.randn_like(x), alpha=self.scale)


class MaskingNoise(Noise):
    """Set a random fraction of the values to the global mean of X.

    Parameters
    ----------
    fraction : float, default=0.3
        Share of the values that are masked, each independently; in [0, 1].

    Examples
    --------
    >>> import torch
    >>> MaskingNoise(fraction=1.0)(torch.ones(1, 2))
    tensor([[0., 0.]])
    """

    def __init__(self, fraction: float = 0.3) -> None:
        super().__init__()
        self.fraction = fraction

    def setup(self, n_components: int) -> None:
        check_number("MaskingNoise: fraction", self.fraction, numbers.Real, 0, 1)

    def corrupt(self, x: Tensor) -> Tensor:
        return x * (torch.rand_like(x) >= self.fraction)


class SaltAndPepper(Noise):
    """Set a random fraction of the values to the smallest or the largest value of X.

    Parameters
    ----------
    fraction : float, default=0.1
        Share of the values that are hit, half of them with either; in [0, 1].

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
        check_number("SaltAndPepper: fraction", self.fraction, numbers.Real, 0, 1)
        self.register_buffer("low", torch.tensor(0.0))
        self.register_buffer("high", torch.tensor(0.0))

    def init_from(self, x: Tensor) -> None:
        """Read the extremes of the data off the conditioned rows ``x``, (n, ...)."""
        self.low.copy_(x.min())
        self.high.copy_(x.max())

    def corrupt(self, x: Tensor) -> Tensor:
        draw = torch.rand_like(x)
        hit = torch.where(draw < self.fraction / 2, self.low, self.high)
        return torch.where(draw < self.fraction, hit, x)
