"""The estimators."""

from .conv import ConvAutoencoder
from .reconstructor import Reconstructor
from .transformer import AutoencoderTransformer
from .vae import VAEGenerator

__all__ = ["AutoencoderTransformer", "ConvAutoencoder", "Reconstructor", "VAEGenerator"]
