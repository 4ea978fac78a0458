"""Tables of numbers, categories and missing values: encoding, reconstruction and synthesis."""

from ._autoencoder import TableAutoencoder
from ._encoder import TableEncoder

__all__ = ["TableAutoencoder", "TableEncoder"]
