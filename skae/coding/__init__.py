"""Data as bytes: `compress` and `decompress` with a fitted autoencoder of integer codes."""

from .._density.factorized import Factorized
from ._compress import compress, decompress, n_bits

__all__ = ["Factorized", "compress", "decompress", "n_bits"]
