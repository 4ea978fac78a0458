"""Interface of corruptions."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from .._utils.component import Component


class Noise(Component):
    """Base class of corruptions: ``corrupt(x)`` is applied in training mode only.

    Attributes
    ----------
    hidden_only : bool
        Whether the training loss includes only masked values.
    draws : bool
        Whether the noise uses random numbers.
    data_scale : float, or ndarray of shape (n_features,)
        Divisor of X in standardization, set before training: a level ``s`` in the units of X is ``s / data_scale`` in
        the input of `corrupt`. With some losses each feature has its own scale.
    """

    _abstract = True
    draws: bool = True
    hidden_only: bool = False
    data_scale: float | np.ndarray = 1.0

    def forward(self, x: Tensor) -> Tensor:
        """Corrupt ``x`` in training mode; return the same shape."""
        return self.corrupt(x) if self.training else x

    def init_from(self, x: Tensor) -> None:
        """Initialize from standardized samples ``x`` (n, ...); does nothing by default."""

    def mask_together(self, groups: list[list[int]]) -> None:
        """Mask the columns of each group together, as required by the loss; does nothing by default."""

    def corrupt(self, x: Tensor) -> Tensor:
        """Return a corrupted copy of ``x``, (n, ...)."""
        raise NotImplementedError(f"{type(self).__name__} does not define corrupt(x)")
