"""A linear map into a link, with which a decoder that starts as PCA starts well."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from .base import Loss

_STEEPEST = 2.0  # slope at most: at the mean of a rare event the tangent is far steeper
_SHARES = 1.0, 0.5, 0.25, 0.125  # of the slope, from which the start is taken


class Tangent(nn.Module):
    """``location + slope * raw``: the identity at first, then what is right to first order about the mean of the data.

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
        """Go where the link of ``loss`` gives ``mean + scale * raw`` for a small ``raw``; no steeper than 2."""
        location, derivative = loss.at_mean(mean)
        slope = scale / derivative
        self.location.copy_(location)
        self.slope.copy_(slope if loss.identity_link else slope.clamp(max=_STEEPEST))

    @torch.no_grad()
    def flatten(self, values: Callable[[Tensor], Tensor], raw: Tensor) -> None:
        """Take the share of the slope, for each parameter, of which ``values`` of what is mapped have the least sum."""
        whole, best, least = self.slope.clone(), self.slope.clone(), None
        for share in _SHARES:
            total = values(self.location + share * whole * raw).double().sum_to_size(whole.shape)
            if least is None:
                least = total
            best = torch.where(total < least, share * whole, best)
            least = torch.minimum(total, least)
        self.slope.copy_(best)
