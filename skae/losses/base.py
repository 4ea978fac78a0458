"""Interface of losses."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from .._utils.component import Component

RARE = 1e-4  # smallest initial probability or mean count
Values = TypeVar("Values", Tensor, np.ndarray)


class Loss(Component):
    """Base class of losses: ``forward(raw, x)`` returns one value per sample, ``link(raw)`` the reconstruction.

    A subclass defines `elementwise`, or `forward` itself if the loss is not a sum over values.

    Attributes
    ----------
    domain : tuple of (float, float) or None
        Closed interval that must contain all targets. A loss with a domain compares values in the units of the data; a
        loss without one compares standardized values.
    integer : bool
        Whether targets must be integers.
    sums_to_one : bool
        Whether the features of a target must sum to 1.
    identity_link : bool
        Whether `link` is the identity, so that the decoder can be initialized as a linear map to the data.
    linear_start : bool
        Whether the decoder can be initialized as a linear map to the data; by default the same as ``identity_link``.
    """

    _abstract = True
    domain: tuple[float, float] | None = None
    integer: bool = False
    sums_to_one: bool = False
    identity_link: bool = True

    @property
    def linear_start(self) -> bool:
        return self.identity_link

    # ---------------------------------------------------------------- before training

    def setup(self, n_components: int, target_shape: Sequence[int] | None = None) -> None:
        """Check the parameters, and create weights and buffers.

        ``n_components`` is the width of the code, ``target_shape`` the shape of a target, or None if unknown. A
        subclass may omit ``target_shape``.
        """

    def feature_scales(self, std: np.ndarray) -> np.ndarray | None:
        """Return the scales of the features at the input of the network, from their standard deviations (n_features,).

        None, the default, means one scale for all features.
        """
        return None

    @property
    def scales_features(self) -> bool:
        """Whether each feature has its own scale, by `feature_scales`."""
        return type(self).feature_scales is not Loss.feature_scales

    def set_units(self, mean: Tensor, scale: Tensor) -> None:
        """Store the standardization of samples, (X - ``mean``) / ``scale``; does nothing by default.

        Both are float64 and broadcast to the shape of a target.
        """

    def init_from(self, raw: Tensor, x: Tensor, observed: Tensor | None = None) -> None:
        """Initialize from the decoder's output ``raw`` for the data ``x``; does nothing by default."""

    def refit_scale(self, raw: Tensor, x: Tensor, observed: Tensor | None = None) -> None:
        """Re-estimate the scale or dispersion of the distribution from the output ``raw`` for the data ``x``.

        It is called after a decoder was changed without the loss; does nothing by default.
        """

    def at_mean(self, mean: Tensor) -> tuple[Tensor, Tensor]:
        """Return the value of raw at which `link` gives ``mean``, and the derivative of the link there.

        By default for an identity link; 0 and 1 for other links.
        """
        return (mean if self.identity_link else torch.zeros_like(mean)), torch.ones_like(mean)

    def by_columns(self) -> list[tuple[Loss, Any]]:
        """Return losses and their columns, to check targets; by default the loss itself, with None for all columns."""
        return [(self, None)]

    def joint_columns(self) -> list[list[int]]:
        """Return groups of mutually dependent columns, for a noise to mask together; none by default."""
        return []

    # ---------------------------------------------------------------- values

    def forward(self, raw: Tensor, x: Tensor, observed: Tensor | None = None) -> Tensor:
        """Compute the loss of the decoder's output ``raw`` for the targets ``x``, both (n, ...); return (n,).

        Values that are not ``observed``, a bool tensor of the same shape, are ignored.
        """
        return self.values(raw, x, observed).flatten(1).sum(1)

    def values(self, raw: Tensor, x: Tensor, observed: Tensor | None = None) -> Tensor:
        """Compute the loss of each value, of the shape of ``x``: 0 where it is not ``observed``."""
        values = self.elementwise(raw, x)
        return values if observed is None else torch.where(observed, values, 0)

    def total(self, raw: Tensor, x: Tensor) -> Tensor:
        """Compute the sum of `forward` over fully observed samples, in fewer operations if possible."""
        if type(self).forward is not Loss.forward or type(self).values is not Loss.values:
            return self(raw, x).sum()
        return self.elementwise(raw, x).sum()

    def elementwise(self, raw: Tensor, x: Tensor) -> Tensor:
        """Compute the loss of each value; return the shape of ``x``."""
        raise NotImplementedError(f"{type(self).__name__} does not define elementwise(raw, x)")

    def link(self, raw: Tensor) -> Tensor:
        """Map the decoder's output to the space of the target."""
        return raw

    def rescale(self, value: Values, scale: float, n_values: Any) -> Values:
        """Convert ``value``, computed on data divided by ``scale``, to the units of the data.

        ``n_values`` is the number of values in the sum, on which the change of a density depends.
        """
        return value


def parameter_shape(target_shape: Sequence[int] | None) -> tuple[int, ...]:
    """Return the shape of a parameter per feature, or per channel of images and sequences; () if unknown."""
    if not target_shape:
        return ()
    return (target_shape[0], 1, 1) if len(target_shape) == 3 else (target_shape[-1],)


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
