"""Sparsity by keeping the k largest entries of the code."""

from __future__ import annotations

import numbers

import torch
from torch import Tensor

from .._utils.checks import check_number
from .base import Bottleneck


class KSparse(Bottleneck):
    """Keep only the ``k`` entries of the code with the largest magnitude (Makhzani and Frey, 2014).

    There is no penalty weight to tune and no shrinkage: the other entries are exactly 0, also in codes decoded by
    ``sample`` and ``interpolate``.

    Parameters
    ----------
    k : int, default=8
        Number of entries kept in training; from 1 to the width of the code, which is ``n_components``, times the number
        of positions of a spatial code.
    ratio : float, default=1.0
        After training ``ratio * k`` entries are kept (rounded, at most the width); the paper uses up to 3 for feature
        extraction. At least 1.

    References
    ----------
    A. Makhzani and B. Frey, 2014. k-sparse autoencoders. ICLR.

    Examples
    --------
    >>> import torch
    >>> part = KSparse(k=1)
    >>> part.setup(n_components=3)
    >>> part.code(torch.tensor([[1.0, -3.0, 2.0]]))
    tensor([[ 0., -3.,  0.]])
    """

    draws = False

    def __init__(self, k: int = 8, ratio: float = 1.0) -> None:
        super().__init__()
        self.k = k
        self.ratio = ratio

    def setup(self, n_components: int, n_positions: int = 1) -> None:
        name = f"{type(self).__name__}: k (at most the width of the code)"
        check_number(name, self.k, numbers.Integral, 1, n_components * n_positions)
        self._check_number("ratio", numbers.Real, 1)

    def code(self, h: Tensor) -> Tensor:
        k = self.k if self.training else min(round(self.ratio * self.k), h.shape[1])
        kept = h.abs().topk(k, dim=1).indices
        return torch.zeros_like(h).scatter(1, kept, h.gather(1, kept))

    def project(self, z: Tensor) -> Tensor:
        return self.code(z)
