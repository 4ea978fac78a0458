"""Autoencoders for scikit-learn."""

from ._version import __version__ as __version__
from .estimators import AutoencoderTransformer, ConvAutoencoder, Reconstructor, VAEGenerator
from .persistence import load, save

__all__ = ["AutoencoderTransformer", "ConvAutoencoder", "Reconstructor", "VAEGenerator", "load", "save"]
