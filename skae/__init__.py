"""Autoencoders for scikit-learn."""

from .estimators import AutoencoderTransformer, ConvAutoencoder, Reconstructor, VAEGenerator

__version__ = "0.1.0"
__all__ = ["AutoencoderTransformer", "ConvAutoencoder", "Reconstructor", "VAEGenerator"]
