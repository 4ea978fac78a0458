"""An L2 penalty on the code."""

from __future__ import annotations

import numbers

from torch import Tensor

from .base import Bottleneck, Latent


class SquaredNorm(Bottleneck):
    r"""Penalize the squared L2 norm of the code, :math:`\lambda \tfrac12 \sum_k z_k^2`.

    It defines the regularized autoencoder of Ghosh et al. (2020): codes are concentrated, so that a density fitted to
    them after training (``prior='mixture'``) generates samples like a variational autoencoder, without noise in
    training. ``alpha`` in the estimator penalizes the weights of the network, as in the paper.

    Parameters
    ----------
    weight : float, default=0.01
        Weight λ of the penalty relative to the loss, which is summed over features; at least 0.

    References
    ----------
    P. Ghosh, M. S. M. Sajjadi, A. Vergari, M. Black and B. Schölkopf, 2020. From variational to deterministic
    autoencoders. ICLR.

    Examples
    --------
    >>> import torch
    >>> SquaredNorm(weight=0.5)(torch.tensor([[1.0, -3.0]])).penalty
    tensor([2.5000])
    """

    draws = False

    def __init__(self, weight: float = 0.01) -> None:
        super().__init__()
        self.weight = weight

    def setup(self, n_components: int, n_positions: int = 1) -> None:
        self._check_number("weight", numbers.Real, 0)

    def forward(self, h: Tensor) -> Latent:
        return Latent(h, 0.5 * self.weight * h.square().sum(1))
