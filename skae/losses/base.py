"""Interface of losses."""

from __future__ import annotations

import math
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from .._utils.component import Component

Values = TypeVar("Values", Tensor, np.ndarray)


class Loss(Component):
    """Base class of losses: ``forward(raw, x)`` returns one value per sample, ``link(raw)`` the reconstruction.

    A subclass defines `elementwise`, or `forward` itself if the loss is not a sum over values.

    Attributes
    ----------
    domain : tuple of (float, float) or None
        Closed interval that must contain all targets. A loss with a domain compares values in the data's
        own units; a loss without one compares standardized values.
    integer : bool
        Whether targets must be integers.
    identity_link : bool
        Whether `link` is the identity, so that the decoder can be initialized as a linear map to the data.
    """

    _abstract = True
    domain: tuple[float, float] | None = None
    integer: bool = False
    identity_link: bool = True

    def forward(self, raw: Tensor, x: Tensor, observed: Tensor | None = None) -> Tensor:
        """Compute the loss of the decoder's output ``raw`` for the targets ``x``, both (n, ...); return (n,).

        Values that are not ``observed``, a bool tensor of the same shape, are ignored.
        """
        return row_sums(self.elementwise(raw, x), observed)

    def total(self, raw: Tensor, x: Tensor) -> Tensor:
        """Compute the sum of `forward` over fully observed samples, in fewer operations if possible."""
        if type(self).forward is not Loss.forward:
            return self(raw, x).sum()
        return self.elementwise(raw, x).sum()

    def elementwise(self, raw: Tensor, x: Tensor) -> Tensor:
        """Compute the loss of each value; return the shape of ``x``."""
        raise NotImplementedError(f"{type(self).__name__} does not define elementwise(raw, x)")

    def link(self, raw: Tensor) -> Tensor:
        """Map the decoder's output to the space of its target."""
        return raw

    def init_from(self, raw: Tensor, x: Tensor, observed: Tensor | None = None) -> None:
        """Initialize from the decoder's output ``raw`` for the data ``x``; does nothing by default."""

    def rescale(self, value: Values, scale: float, n_values: Any) -> Values:
        """Convert ``value``, computed on data divided by ``scale``, to the data's own units.

        ``n_values`` is the number of values in the sum, on which the change of a density depends.
        """
        return value


def row_sums(values: Tensor, observed: Tensor | None) -> Tensor:
    """Sum the ``values`` of each sample, (n,), ignoring those that are not ``observed``."""
    return (values if observed is None else torch.where(observed, values, 0)).flatten(1).sum(1)


class Likelihood(Loss):
    """Base class of losses that are negative log-likelihoods, in nats.

    With a likelihood and `skae.bottlenecks.Gaussian` the objective is the negative evidence lower bound.
    """

    _abstract = True

    def sample(self, raw: Tensor) -> Tensor:
        """Sample from the distribution with the decoder's output ``raw`` as its parameters, in the space of `link`."""
        raise NotImplementedError(f"{type(self).__name__} does not define sample(raw)")

    def rescale(self, value: Values, scale: float, n_values: Any) -> Values:
        return value + n_values * math.log(scale)
