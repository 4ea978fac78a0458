"""The estimators."""

from .conv import ConvAutoencoder
from .reconstructor import Reconstructor
from .transformer import AutoencoderTransformer

__all__ = ["AutoencoderTransformer", "ConvAutoencoder", "Reconstructor"]
