"""Codes whose components are in order of importance, so that one fit serves every smaller size."""

from __future__ import annotations

import numbers

import torch
from torch import Tensor

from .base import Bottleneck, Latent

_GOLDEN = (5**0.5 - 1) / 2  # multiples of it, modulo 1, cover [0, 1) evenly however many there are


class Nested(Bottleneck):
    r"""Nested dropout: the decoder learns to reconstruct from the first components alone, as many as there may be.

    In training each sample keeps the first k components of its code, and the others are 0 (Rippel, Gelbart and Adams,
    2014). With n_components = d,

    .. math:: P(k = d) = f + \frac{1 - f}{d}, \qquad P(k) = \frac{1 - f}{d} \quad \text{for } k < d,

    where f is ``full``. The components are then in order of importance, as in PCA, and any number of the first ones is
    a code: ``inverse_transform(Z[:, :k])`` decodes it, and `skae.truncate` makes an estimator of it. In linear networks
    the decoder's columns become the principal axes. The same ordering at many scales is that of Matryoshka
    representations (Kusupati et al., 2022).

    Codes of `code` and of ``transform`` are complete. Validation takes fixed prefixes, the same in each epoch: by the
    complete code alone the start (PCA) would win, and training would be discarded. The prefix of a spatial code is its
    first channels, the same number at all positions. With all components the error is larger than without the order,
    by 30 to 100 % with the default networks, so take it where several sizes are needed, and not for one.

    Parameters
    ----------
    full : float, default=0.2
        Share f of the samples that keep all components, in [0, 1]. The more, the better the complete code, and the
        worse its prefixes.

    References
    ----------
    O. Rippel, M. A. Gelbart and R. P. Adams, 2014. Learning ordered representations with nested dropout. ICML.

    A. Kusupati, G. Bhatt, A. Rege, M. Wallingford, A. Sinha, V. Ramanujan, W. Howard-Snyder, K. Chen, S. Kakade, P.
    Jain and A. Farhadi, 2022. Matryoshka representation learning. NeurIPS.

    Examples
    --------
    >>> import torch
    >>> part = Nested(full=0.0).eval()
    >>> part.setup(n_components=3)
    >>> part(torch.ones(4, 3)).z  # the prefixes that validate
    tensor([[1., 0., 0.],
            [1., 1., 1.],
            [1., 1., 0.],
            [1., 0., 0.]])
    >>> part.code(torch.ones(1, 3))
    tensor([[1., 1., 1.]])
    """

    ordered = True
    reads_maps = True
    has_penalty = False

    def __init__(self, full: float = 0.2) -> None:
        super().__init__()
        self.full = full

    def setup(self, n_components: int, n_positions: int = 1) -> None:
        self._check_number("full", numbers.Real, 0, 1)

    def forward(self, h: Tensor) -> Latent:
        """Set the components after a prefix of each sample to 0: a random one in training, else a fixed one."""
        n, d = h.shape[:2]
        rows = torch.arange(n, device=h.device, dtype=torch.float64) + 0.5
        # In training evenly spaced in a batch, from a random point on, so that any order of rows will do.
        u = rows / n + torch.rand((), device=h.device) if self.training else rows * _GOLDEN
        kept = self._prefixes(u % 1, d)
        mask = torch.arange(d, device=h.device) < kept[:, None]
        return Latent(h * mask.view(n, d, *[1] * (h.ndim - 2)).to(h.dtype), h.new_zeros(n))

    def _prefixes(self, u: Tensor, d: int) -> Tensor:
        """Return the lengths of prefixes of ``d`` components by the inverse of their distribution function."""
        share = 1 - float(self.full)
        if share == 0:
            return torch.full_like(u, d)
        return torch.where(u < share, (u * (d / share)).long() + 1, d).clamp(max=d)
