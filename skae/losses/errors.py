"""Error losses: squared, absolute and Huber."""

from __future__ import annotations

import numbers
from collections.abc import Sequence
from typing import Any

from torch import Tensor
from torch.nn import functional as F

from .base import Loss, Values


class SquaredError(Loss):
    r"""Squared error, :math:`\sum_j (\hat x_j - x_j)^2`, which PCA minimizes.

    Examples
    --------
    >>> import torch
    >>> SquaredError()(torch.tensor([[1.0, 3.0]]), torch.tensor([[0.0, 1.0]]))
    tensor([5.])
    """

    def elementwise(self, raw: Tensor, x: Tensor) -> Tensor:
        return F.mse_loss(raw, x, reduction="none")  # one operation instead of two

    def total(self, raw: Tensor, x: Tensor) -> Tensor:
        if type(self).elementwise is not SquaredError.elementwise:
            return super().total(raw, x)
        return F.mse_loss(raw, x, reduction="sum")

    def rescale(self, value: Values, scale: float, n_values: Any) -> Values:
        return value * scale**2


class AbsoluteError(Loss):
    r"""Absolute error, :math:`\sum_j |\hat x_j - x_j|`, minimized by the median; less sensitive to outliers.

    Examples
    --------
    >>> import torch
    >>> AbsoluteError()(torch.tensor([[1.0, 3.0]]), torch.tensor([[0.0, 1.0]]))
    tensor([3.])
    """

    def elementwise(self, raw: Tensor, x: Tensor) -> Tensor:
        return F.l1_loss(raw, x, reduction="none")

    def rescale(self, value: Values, scale: float, n_values: Any) -> Values:
        return value * scale


class Huber(Loss):
    r"""Huber's loss: squared for small residuals, linear for large ones (Huber, 1964).

    .. math:: \sum_j \tfrac12 r_j^2 \text{ where } |r_j| \le \delta,
              \quad \delta (|r_j| - \tfrac12 \delta) \text{ elsewhere}, \qquad r = \hat x - x

    Parameters
    ----------
    delta : float, default=1.0
        Residual at which the loss becomes linear, in units of the root mean variance of the features,
        ``sqrt(X.var(axis=0).mean())``; above 0.

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

    def setup(self, n_components: int, target_shape: Sequence[int] | None = None) -> None:
        self._check_number("delta", numbers.Real, 0, bounds="neither")

    def elementwise(self, raw: Tensor, x: Tensor) -> Tensor:
        return F.huber_loss(raw, x, reduction="none", delta=self.delta)

    def rescale(self, value: Values, scale: float, n_values: Any) -> Values:
        return value * scale**2  # delta is relative to the scale: s² H_δ(r) = H_{δs}(s r)
