"""A linear map before a link function, for decoders initialized to PCA."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from .base import Loss

_STEEPEST = 2.0  # maximum slope: at the mean of a rare event the tangent is far steeper
_SHARES = 1.0, 0.5, 0.25, 0.125  # fractions of the slope to choose from at initialization


class Tangent(nn.Module):
    """``location + slope * raw``: the identity at first, then the first-order approximation at the mean of the data.

    Parameters
    ----------
    shape : tuple of int
        Shape of the parameters, which broadcast to that of a sample.
    """

    location: Tensor
    slope: Tensor

    def __init__(self, shape: Sequence[int]) -> None:
        super().__init__()
        self.register_buffer("location", torch.zeros(tuple(shape)))
        self.register_buffer("slope", torch.ones(tuple(shape)))

    def forward(self, raw: Tensor) -> Tensor:
        """Map the decoder's output."""
        return self.location + self.slope * raw

    def start(self, loss: Loss, mean: Tensor, scale: Tensor) -> None:
        """Set location and slope so that ``loss.link`` is ``mean + scale * raw`` to first order, up to slope 2."""
        location, derivative = loss.at_mean(mean)
        slope = scale / derivative
        self.location.copy_(location)
        self.slope.copy_(slope if loss.identity_link else slope.clamp(max=_STEEPEST))

    @torch.no_grad()
    def flatten(self, values: Callable[[Tensor], Tensor], raw: Tensor) -> None:
        """Reduce the slope of each parameter to the fraction that minimizes the sum of ``values``."""
        whole, best, least = self.slope.clone(), self.slope.clone(), None
        for share in _SHARES:
            total = values(self.location + share * whole * raw).double().sum_to_size(whole.shape)
            if least is None:
                least = total
            best = torch.where(total < least, share * whole, best)
            least = torch.minimum(total, least)
        self.slope.copy_(best)
