"""Base of likelihoods of counts, with the log of the mean as the decoder's output."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from ._tangent import Tangent
from .base import RARE, Likelihood, parameter_shape

_STRAIGHT = 30.0  # log-mean above which the mean is linear in it, unless set from the data
_MOST = 1e9  # largest mean of drawn counts


class Counts(Likelihood):
    """Likelihood of 0, 1, 2, ...

    The decoder's output is the log of the mean; after `set_units` a linear function of it, so that a decoder
    initialized to PCA is a good initialization. Values are computed in float64, since the terms of a large count
    cancel.
    """

    _abstract = True
    domain = (0.0, math.inf)
    integer = True
    identity_link = False
    linear_start = True

    straight: Tensor
    tangent: Tangent

    def setup(self, n_components: int, target_shape: Sequence[int] | None = None) -> None:
        shape = parameter_shape(target_shape)
        self.tangent = Tangent(shape)
        self.register_buffer("straight", torch.full(shape, _STRAIGHT))

    def feature_scales(self, std: np.ndarray) -> np.ndarray | None:
        return std if std.ndim == 1 else None  # images and sequences have one unit

    def set_units(self, mean: Tensor, scale: Tensor) -> None:
        shape = self.straight.shape
        self.tangent.start(self, _of_parameters(mean, shape), _of_parameters(scale, shape))

    @torch.no_grad()
    def init_from(self, raw: Tensor, x: Tensor, observed: Tensor | None = None) -> None:
        """Reduce the initial slope where it overshoots; above twice the largest count the mean is linear in raw."""
        known = x if observed is None else torch.where(observed, x, 0)
        self.straight.copy_((2 * _largest(known, self.straight.shape)).clamp(min=1).log())

        def values(log_mean: Tensor) -> Tensor:
            values = self._of_log_mean(self._bounded(log_mean), x)
            return values if observed is None else torch.where(observed, values, 0)

        self.tangent.flatten(values, raw)

    def at_mean(self, mean: Tensor) -> tuple[Tensor, Tensor]:
        mean = mean.clamp(min=RARE)
        return mean.log(), mean

    def elementwise(self, raw: Tensor, x: Tensor) -> Tensor:
        return self._of_log_mean(self._log_mean(raw), x)

    def _of_log_mean(self, log_mean: Tensor, x: Tensor) -> Tensor:
        return self.negative_log_probability(log_mean.double(), x.double()).to(log_mean.dtype)

    def link(self, raw: Tensor) -> Tensor:
        return self._log_mean(raw).exp()

    def _log_mean(self, raw: Tensor) -> Tensor:
        # Without `setup` there are no parameters.
        return self._bounded(self.tangent(raw)) if hasattr(self, "tangent") else raw

    def _bounded(self, log_mean: Tensor) -> Tensor:
        return torch.minimum(log_mean, self.straight) + torch.log1p((log_mean - self.straight).clamp(min=0))

    def sample(self, raw: Tensor) -> Tensor:
        return self.draw(self.link(raw).double().clamp(max=_MOST)).to(raw.dtype)

    def negative_log_probability(self, log_mean: Tensor, x: Tensor) -> Tensor:
        """Compute the negative log-probability of each count."""
        raise NotImplementedError

    def draw(self, mean: Tensor) -> Tensor:
        """Draw counts with the given ``mean``."""
        raise NotImplementedError


def _of_parameters(values: Tensor, shape: torch.Size) -> Tensor:
    """Average ``values`` over the features that share a parameter: those of a channel, or all."""
    if values.ndim == 0 or values.shape == shape:
        return values.expand(shape)
    channel = {3: 0, 1: values.ndim - 1}.get(len(shape))
    return values.mean([axis for axis in range(values.ndim) if axis != channel]).reshape(shape)


def _largest(x: Tensor, shape: torch.Size) -> Tensor:
    """Return the maximum over the values that share a parameter."""
    aligned = [1] * (x.ndim - len(shape)) + [*shape]
    return x.amax([axis for axis in range(x.ndim) if aligned[axis] == 1], keepdim=True).reshape(shape)
