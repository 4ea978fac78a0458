"""Tables of numbers, categories and missing values: encoded, reconstructed, and synthesized."""

from ._autoencoder import TableAutoencoder
from ._encoder import TableEncoder

__all__ = ["TableAutoencoder", "TableEncoder"]
