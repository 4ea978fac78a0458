"""Bottlenecks: regularization and transformation of the code between encoder and decoder."""

from .base import Bottleneck, Latent
from .fsq import FSQ
from .gaussian import Gaussian
from .identity import Identity
from .k_sparse import KSparse
from .mmd import MMD
from .nested import Nested
from .rounded import Rounded
from .sparse import Sparse
from .squared_norm import SquaredNorm
from .total_correlation import TotalCorrelation
from .vector_quantizer import VectorQuantizer

__all__ = [
    "FSQ",
    "MMD",
    "Bottleneck",
    "Gaussian",
    "Identity",
    "KSparse",
    "Latent",
    "Nested",
    "Rounded",
    "Sparse",
    "SquaredNorm",
    "TotalCorrelation",
    "VectorQuantizer",
]
