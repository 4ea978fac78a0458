"""Corruptions, applied to samples before they are encoded during training.

The target is not corrupted, so that the network learns to denoise (Vincent et al., 2010). Noise acts on standardized
values, each feature minus its mean, divided by one scale for all: its strength has the same meaning for pixels in
0..255 and for standardized columns, unless it is given in the units of X. Outside of training it has no effect.

Masked values become NaN and are treated as missing: the network sees the mean of the feature (in
sequences, of the channel) instead. A network trained with masking can therefore impute missing
values (``missing="mask"``).

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
