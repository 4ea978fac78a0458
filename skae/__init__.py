"""Autoencoders for scikit-learn."""

from .estimators import AutoencoderTransformer, ConvAutoencoder, Reconstructor, VAEGenerator
from .persistence import load, save

__version__ = "0.1.0"
__all__ = ["AutoencoderTransformer", "ConvAutoencoder", "Reconstructor", "VAEGenerator", "load", "save"]
