"""Corruptions: what is done to a row before it is encoded, while training.

The target stays clean, so the network learns to undo the damage (Vincent et al., 2010). Noise acts
on standardized values, each feature minus its mean, divided by one scale for all: its strength means
the same for pixels in 0..255 and for standardized columns. Outside training it does nothing.

What is masked becomes NaN, the mark of a missing value, and enters the network as one does: as the
mean of its feature over X (in sequences, of its channel). So a network that was trained under a
mask fills holes (``missing="mask"``).

References
----------
P. Vincent, H. Larochelle, I. Lajoie, Y. Bengio and P.-A. Manzagol, 2010. Stacked denoising
autoencoders. Journal of Machine Learning Research 11.

D. Pathak, P. Krähenbühl, J. Donahue, T. Darrell and A. A. Efros, 2016. Context encoders: feature
learning by inpainting. CVPR.
"""

from .base import Noise
from .compose import Compose
from .gaussian import GaussianNoise
from .masking import BlockMasking, MaskingNoise
from .salt_and_pepper import SaltAndPepper

__all__ = ["BlockMasking", "Compose", "GaussianNoise", "MaskingNoise", "Noise", "SaltAndPepper"]
