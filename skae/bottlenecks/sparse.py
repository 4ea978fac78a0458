"""An L1 penalty on the code."""

from __future__ import annotations

import numbers

from torch import Tensor

from .base import Bottleneck, Latent


class Sparse(Bottleneck):
    r"""Penalize the L1 norm of the code, :math:`\lambda \sum_k |z_k|` (Ng, 2011).

    The codes shrink toward 0 without reaching it; `KSparse` gives exact zeros. A network may compensate by larger
    weights in its decoder: ``alpha`` in the estimator penalizes them.

    Parameters
    ----------
    weight : float, default=0.1
        Weight λ of the penalty relative to the loss, which is summed over features; at least 0.

    References
    ----------
    A. Ng, 2011. Sparse autoencoder. CS294A lecture notes, Stanford University.

    Examples
    --------
    >>> import torch
    >>> Sparse(weight=0.5)(torch.tensor([[1.0, -3.0]])).penalty
    tensor([2.])
    """

    draws = False

    def __init__(self, weight: float = 0.1) -> None:
        super().__init__()
        self.weight = weight

    def setup(self, n_components: int, n_positions: int = 1) -> None:
        self._check_number("weight", numbers.Real, 0)

    def forward(self, h: Tensor) -> Latent:
        return Latent(h, self.weight * h.abs().sum(1))
