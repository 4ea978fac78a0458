"""Reconstruction losses: how far a reconstruction lies from its target, row by row.

Every loss is a sum over the features of a row, never a mean, so that a penalty on the code
(a KL divergence, an L1 norm) keeps the weight that its paper gives it.
"""

from __future__ import annotations

import numbers
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from ._component import Component
from ._validation import check_number

_Values = TypeVar("_Values", Tensor, np.ndarray)

__all__ = ["AbsoluteError", "Bernoulli", "Huber", "Loss", "SquaredError"]


class Loss(Component):
    """Base of the losses: ``forward(raw, x)`` gives one value a row, ``link(raw)`` the data.

    A subclass defines `elementwise`, or `forward` itself if its value is no sum over values.

    Attributes
    ----------
    domain : tuple of (float, float) or None
        The closed range that targets must lie in. A loss with a domain compares in the data's own
        units; one without compares values that were conditioned to mean 0 and scale 1.
    identity_link : bool
        Whether `link` returns its argument, so that a decoder may start as a linear map to the data.
    """

    domain: tuple[float, float] | None = None
    identity_link: bool = True

    def forward(self, raw: Tensor, x: Tensor, observed: Tensor | None = None) -> Tensor:
        """Compare the decoder's output ``raw`` with ``x``, both (n, ...); return (n,).

        Values that are not ``observed``, a bool tensor of the same shape, are left out.
        """
        values = self.elementwise(raw, x)
        return (values if observed is None else torch.where(observed, values, 0)).flatten(1).sum(1)

    def elementwise(self, raw: Tensor, x: Tensor) -> Tensor:
        """Compare value by value; return the shape of ``x``."""
        raise NotImplementedError(f"{type(self).__name__} does not define elementwise(raw, x)")

    def link(self, raw: Tensor) -> Tensor:
        """Map the decoder's output to the space of its target."""
        return raw

    def rescale(self, value: _Values, scale: float) -> _Values:
        """Express ``value``, computed on rows divided by ``scale``, in the rows' own units."""
        return value


class SquaredError(Loss):
    r"""Squared error, :math:`\sum_j (\hat x_j - x_j)^2`: what PCA minimises.

    Examples
    --------
    >>> import torch
    >>> SquaredError()(torch.tensor([[1.0, 3.0]]), torch.tensor([[0.0, 1.0]]))
    tensor([5.])
    """

    def elementwise(self, raw: Tensor, x: Tensor) -> Tensor:
        return (raw - x).square()

    def rescale(self, value: _Values, scale: float) -> _Values:
        return value * scale**2


class AbsoluteError(Loss):
    r"""Absolute error, :math:`\sum_j |\hat x_j - x_j|`: the median; outliers weigh less.

    Examples
    --------
    >>> import torch
    >>> AbsoluteError()(torch.tensor([[1.0, 3.0]]), torch.tensor([[0.0, 1.0]]))
    tensor([3.])
    """

    def elementwise(self, raw: Tensor, x: Tensor) -> Tensor:
        return (raw - x).abs()

    def rescale(self, value: _Values, scale: float) -> _Values:
        return value * scale


class Huber(Loss):
    r"""Huber's loss: squared for small residuals, linear for large ones (Huber, 1964).

    .. math:: \sum_j \tfrac12 r_j^2 \text{ where } |r_j| \le \delta,
              \quad \delta (|r_j| - \tfrac12 \delta) \text{ elsewhere}, \qquad r = \hat x - x

    Parameters
    ----------
    delta : float, default=1.0
        Where the loss turns linear, in global standard deviations of X; above 0.

    References
    ----------
    P. J. Huber, 1964. Robust estimation of a location parameter. Annals of Mathematical
    Statistics 35.

    Examples
    --------
    >>> import torch
    >>> Huber(delta=1.0)(torch.tensor([[0.5, 3.0]]), torch.zeros(1, 2))
    tensor([2.6250])
    """

    def __init__(self, delta: float = 1.0) -> None:
        super().__init__()
        self.delta = delta

    def setup(self, n_components: int) -> None:
        check_number("Huber: delta", self.delta, numbers.Real, 0, bounds="neither")

    def elementwise(self, raw: Tensor, x: Tensor) -> Tensor:
        return F.huber_loss(raw, x, reduction="none", delta=self.delta)

    def rescale(self, value: _Values, scale: float) -> _Values:
        return value * scale**2  # delta is in units of the scale, so s² H_δ(r) = H_{δs}(s r)


class Bernoulli(Loss):
    r"""Cross-entropy of X in [0, 1] against a decoder that gives logits, in nats.

    .. math:: -\sum_j x_j \log \hat x_j + (1 - x_j) \log (1 - \hat x_j),
              \qquad \hat x = 1 / (1 + e^{-\mathrm{raw}})

    For grey values its minimum is not 0 but the entropy of the values themselves.

    Examples
    --------
    >>> import torch
    >>> Bernoulli()(torch.zeros(1, 2), torch.tensor([[0.0, 1.0]]))
    tensor([1.3863])
    """

    domain = (0.0, 1.0)
    identity_link = False

    def elementwise(self, raw: Tensor, x: Tensor) -> Tensor:
        return F.binary_cross_entropy_with_logits(raw, x, reduction="none")

    def link(self, raw: Tensor) -> Tensor:
        return torch.sigmoid(raw)
