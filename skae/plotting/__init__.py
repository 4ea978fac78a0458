"""Plots of fitted autoencoders with scikit-learn's Display API: ``SomeDisplay.from_estimator(estimator, X)``."""

from ._latent import LatentDisplay
from ._reconstruction import ReconstructionDisplay
from ._styles import StyleDisplay
from ._textures import TextureDisplay
from ._training_curve import TrainingCurveDisplay
from ._traversal import TraversalDisplay

__all__ = [
    "LatentDisplay",
    "ReconstructionDisplay",
    "StyleDisplay",
    "TextureDisplay",
    "TrainingCurveDisplay",
    "TraversalDisplay",
]
