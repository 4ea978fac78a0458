"""Data as bytes: `compress` and `decompress` with a fitted autoencoder of integer codes."""

from ._compress import compress, decompress, n_bits

__all__ = ["compress", "decompress", "n_bits"]
