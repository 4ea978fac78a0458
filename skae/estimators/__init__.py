"""The estimators."""

from .conv import ConvAutoencoder
from .outlier_detector import OutlierDetector
from .reconstructor import Reconstructor
from .transformer import AutoencoderTransformer
from .vae import VAEGenerator

__all__ = ["AutoencoderTransformer", "ConvAutoencoder", "OutlierDetector", "Reconstructor", "VAEGenerator"]
