"""Data as bytes: `compress` and `decompress` with a fitted autoencoder of integer codes."""

from .._density.autoregressive import Autoregressive
from .._density.factorized import Factorized
from ._compress import compress, decompress, n_bits

__all__ = ["Autoregressive", "Factorized", "compress", "decompress", "n_bits"]
