"""Bottlenecks: what happens to the code between encoder and decoder."""

from .base import Bottleneck, Latent
from .identity import Identity
from .k_sparse import KSparse
from .sparse import Sparse

__all__ = ["Bottleneck", "Identity", "KSparse", "Latent", "Sparse"]
