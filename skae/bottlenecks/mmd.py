"""A penalty on the distance between the distribution of codes and N(0, I)."""

from __future__ import annotations

import numbers
from typing import Any

import torch
from torch import Tensor

from .base import Bottleneck, Latent

_SCALES = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)


class MMD(Bottleneck):
    r"""Match the distribution of deterministic codes to N(0, I): the Wasserstein autoencoder.

    The penalty is the maximum mean discrepancy between the codes of a batch and as many draws of N(0, I), in the
    inverse multiquadratic kernel (Tolstikhin et al., 2018), summed over seven scales c:

    .. math:: \lambda \, \mathrm{MMD}^2, \qquad k(a, b) = \sum_c \frac{2 d c}{2 d c + |a - b|^2}.

    It is the unbiased estimate, so it may be negative. It is 0 for a batch of one sample, and more precise for large
    batches. Unlike with `Gaussian`, codes are points instead of distributions, so reconstructions are sharper and there
    is no likelihood.

    Parameters
    ----------
    weight : float, default=100.0
        Weight λ of the penalty relative to the loss, which is summed over features; at least 0.

    References
    ----------
    I. Tolstikhin, O. Bousquet, S. Gelly and B. Schölkopf, 2018. Wasserstein auto-encoders. ICLR.

    Examples
    --------
    >>> import torch
    >>> part = MMD(weight=1.0)
    >>> part.setup(n_components=2)
    >>> far = part.eval()(torch.full((64, 2), 10.0)).penalty
    >>> near = part(torch.randn(64, 2, generator=torch.Generator().manual_seed(1))).penalty
    >>> bool(far[0] > 3 > 0.5 > near[0])
    True
    """

    standard_normal = True
    whole_batch = True

    def __init__(self, weight: float = 100.0) -> None:
        super().__init__()
        self.weight = weight

    def setup(self, n_components: int, n_positions: int = 1) -> None:
        self._check_number("weight", numbers.Real, 0)

    def forward(self, h: Tensor) -> Latent:
        n = h.shape[0]
        if n < 2:
            return super().forward(h)
        drawn = self.draw_like(h)
        others = 1 - torch.eye(n, dtype=h.dtype, device=h.device)
        within = ((self._kernel(h, h) + self._kernel(drawn, drawn)) * others).sum() / (n * (n - 1))
        penalty = within - 2 * self._kernel(h, drawn).mean()
        if torch.compiler.is_exporting():  # for any n, including 1
            penalty = torch.where(others.any(), penalty, 0)
        return Latent(h, self.weight * penalty.expand(n))

    @staticmethod
    def _kernel(a: Tensor, b: Tensor) -> Tensor:
        squares = a.square().sum(1)[:, None] + b.square().sum(1) - 2 * a @ b.T
        return sum(2 * a.shape[1] * c / (2 * a.shape[1] * c + squares.clamp(min=0)) for c in _SCALES)  # type: ignore

    @torch.no_grad()
    def init_skip(self, skip: Any, x: Tensor) -> None:
        """Initialize linear maps to the whitened PCA of the samples ``x``; components without variance stay 0."""
        axes = skip.principal_axes(x, skip.encoder.out_features)
        spread = axes.variances.sqrt()
        # Along directions without variance in training, new samples would have huge codes.
        varies = axes.variances > 1e-6 * axes.variances.max().clamp(min=1e-12)
        skip.set_axes(axes, to_code=torch.where(varies, 1 / spread, 0), to_data=torch.where(varies, spread, 0))
