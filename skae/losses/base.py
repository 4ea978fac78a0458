"""The contract that every loss keeps."""

from __future__ import annotations

import math
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from .._utils.component import Component

Values = TypeVar("Values", Tensor, np.ndarray)


class Loss(Component):
    """Base of the losses: ``forward(raw, x)`` gives one value a row, ``link(raw)`` the data.

    A subclass defines `elementwise`, or `forward` itself if its value is no sum over values.

    Attributes
    ----------
    domain : tuple of (float, float) or None
        The closed range that targets must lie in. A loss with a domain compares in the data's own
        units; one without compares values that were conditioned to mean 0 and scale 1.
    integer : bool
        Whether targets must be whole numbers.
    identity_link : bool
        Whether `link` returns its argument, so that a decoder may start as a linear map to the data.
    """

    _abstract = True
    domain: tuple[float, float] | None = None
    integer: bool = False
    identity_link: bool = True

    def forward(self, raw: Tensor, x: Tensor, observed: Tensor | None = None) -> Tensor:
        """Compare the decoder's output ``raw`` with ``x``, both (n, ...); return (n,).

        Values that are not ``observed``, a bool tensor of the same shape, are left out.
        """
        return row_sums(self.elementwise(raw, x), observed)

    def total(self, raw: Tensor, x: Tensor) -> Tensor:
        """Add up `forward` over all rows, where all values are observed; with fewer operations where it can."""
        if type(self).forward is not Loss.forward:
            return self(raw, x).sum()
        return self.elementwise(raw, x).sum()

    def elementwise(self, raw: Tensor, x: Tensor) -> Tensor:
        """Compare value by value; return the shape of ``x``."""
        raise NotImplementedError(f"{type(self).__name__} does not define elementwise(raw, x)")

    def link(self, raw: Tensor) -> Tensor:
        """Map the decoder's output to the space of its target."""
        return raw

    def init_from(self, raw: Tensor, x: Tensor, observed: Tensor | None = None) -> None:
        """Start from decoded rows ``raw`` of the data ``x``; nothing by default."""

    def rescale(self, value: Values, scale: float, n_values: Any) -> Values:
        """Express ``value``, computed on rows divided by ``scale``, in the rows' own units.

        ``n_values`` is the number of values that it sums up: a density of many values changes with each of them.
        """
        return value


def row_sums(values: Tensor, observed: Tensor | None) -> Tensor:
    """The sum of each row's ``values``, (n,), without those that are not ``observed``."""
    return (values if observed is None else torch.where(observed, values, 0)).flatten(1).sum(1)


class Likelihood(Loss):
    """Base of the losses that are minus a log-density of the row, in nats.

    With one of them and `skae.bottlenecks.Gaussian` the objective is minus the evidence lower bound. A density of
    values divided by ``scale`` is that of the values times ``scale``, for each value.
    """

    _abstract = True

    def sample(self, raw: Tensor) -> Tensor:
        """Draw values from the density that the decoder's output ``raw`` describes, in the space of `link`."""
        raise NotImplementedError(f"{type(self).__name__} does not define sample(raw)")

    def rescale(self, value: Values, scale: float, n_values: Any) -> Values:
        return value + n_values * math.log(scale)
