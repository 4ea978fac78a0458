"""Base of likelihoods of counts, with the log of the mean as the decoder's output."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from .base import RARE, Likelihood, parameter_shape

_STRAIGHT = 30.0  # from here on the mean grows linearly with raw, so that it cannot overflow
_MOST = 1e9  # largest mean that counts are drawn with


class Counts(Likelihood):
    """Likelihood of 0, 1, 2, ...

    The decoder's output is the log of the mean, less that of the training data once `set_units` has told it. Values are
    computed in float64, since the terms of a large count cancel.
    """

    _abstract = True
    domain = (0.0, float("inf"))
    integer = True
    identity_link = False

    def setup(self, n_components: int, target_shape: Sequence[int] | None = None) -> None:
        self.register_buffer("location", torch.zeros(parameter_shape(target_shape)))

    def set_units(self, mean: Any, scale: Any) -> None:
        mean = torch.as_tensor(mean, dtype=torch.float64)
        self.location.copy_(self.at_mean(_of_parameters(mean, self.location.shape))[0])

    def at_mean(self, mean: Tensor) -> tuple[Tensor, Tensor]:
        mean = mean.clamp(min=RARE)
        return mean.log(), mean

    def elementwise(self, raw: Tensor, x: Tensor) -> Tensor:
        return self.negative_log_probability(self._log_mean(raw).double(), x.double()).to(raw.dtype)

    def link(self, raw: Tensor) -> Tensor:
        return self._log_mean(raw).exp()

    def _log_mean(self, raw: Tensor) -> Tensor:
        raw = raw + self.location if hasattr(self, "location") else raw  # which a recipe has not
        return raw.clamp(max=_STRAIGHT) + torch.log1p((raw - _STRAIGHT).clamp(min=0))

    def sample(self, raw: Tensor) -> Tensor:
        return self.draw(self.link(raw).double().clamp(max=_MOST)).to(raw.dtype)

    def negative_log_probability(self, log_mean: Tensor, x: Tensor) -> Tensor:
        """Compute minus the log-probability of each count."""
        raise NotImplementedError

    def draw(self, mean: Tensor) -> Tensor:
        """Draw counts of a ``mean``."""
        raise NotImplementedError


def _of_parameters(mean: Tensor, shape: torch.Size) -> Tensor:
    """Average the ``mean`` of each feature over those that share a parameter: of a channel, or all."""
    if mean.ndim == 0 or mean.shape == shape:
        return mean.expand(shape)
    channel = {3: 0, 1: mean.ndim - 1}.get(len(shape))
    return mean.mean([axis for axis in range(mean.ndim) if axis != channel]).reshape(shape)
