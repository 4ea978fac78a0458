"""Compression to bytes: `compress` and `decompress` with a fitted autoencoder with integer codes."""

from .._density.autoregressive import Autoregressive
from .._density.factorized import Factorized
from .._density.whole_passes import Passes
from ._codec import make_codec
from ._compress import compress, decompress, n_bits

__all__ = ["Autoregressive", "Factorized", "Passes", "compress", "decompress", "make_codec", "n_bits"]
