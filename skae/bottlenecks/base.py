"""The contract that every bottleneck keeps."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

from .._component import Component


class Latent(NamedTuple):
    """What a bottleneck hands to the decoder and to the loss."""

    z: Tensor  #: the code that is decoded, (n, n_components)
    penalty: Tensor  #: what the code costs, (n,), in the unit of the loss


class Bottleneck(Component):
    """Base of the bottlenecks.

    ``forward`` is used while training and may be random; ``code`` is deterministic and is what
    ``transform`` returns.
    """

    def n_outputs(self, n_components: int) -> int:
        """Width that the encoder must have for a code of ``n_components``."""
        return n_components

    def forward(self, h: Tensor) -> Latent:
        """Turn the encoder's output (n, n_outputs) into a code and its penalty."""
        z = self.code(h)
        return Latent(z, z.new_zeros(len(z)))

    def code(self, h: Tensor) -> Tensor:
        """Return the code (n, n_components) of the encoder's output (n, n_outputs)."""
        return h
