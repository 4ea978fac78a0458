"""The contract that every noise keeps."""

from __future__ import annotations

from torch import Tensor

from .._utils.component import Component


class Noise(Component):
    """Base of the corruptions: ``corrupt(x)`` is applied in training mode only.

    Attributes
    ----------
    hidden_only : bool
        Whether the training loss counts only the values that the noise has masked.
    draws : bool
        Whether random numbers are drawn.
    """

    _abstract = True
    draws: bool = True
    hidden_only: bool = False

    def forward(self, x: Tensor) -> Tensor:
        """Return ``x``, corrupted in training mode; same shape."""
        return self.corrupt(x) if self.training else x

    def corrupt(self, x: Tensor) -> Tensor:
        """Return a corrupted copy of ``x``, (n, ...)."""
        raise NotImplementedError(f"{type(self).__name__} does not define corrupt(x)")
