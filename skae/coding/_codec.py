"""A codec for images: a `ConvAutoencoder` configured for compression to bytes."""

from __future__ import annotations

from typing import Any

from ..bottlenecks import Rounded
from ..estimators import ConvAutoencoder

# Three stages give blocks of 8 × 8 pixels, initialized to their PCA.
_PARTS: dict[str, Any] = {
    "n_components": 64,
    "module__dense": False,
    "module__channels": (16, 64, 128),
    "module__n_residual_blocks": 1,
    "module__downsampling": "unshuffle",
    "module__upsampling": "shuffle",
    "crop_size": 128,
    "n_crops": 800,
    "augmentation": "flip_rotate_scale",
    "batch_size": 8,
    "lr": 1e-3,
    "optimizer__betas": (0.9, 0.95),  # the usual 0.999 adapts too slowly to growing gradients, and training diverged
}


def make_codec(**params: Any) -> ConvAutoencoder:
    """Create a `ConvAutoencoder` for the compression of images to bytes.

    It combines a convolutional network with a spatial code, initialized to the PCA of blocks of 8 × 8 pixels (the
    Karhunen-Loève transform); integer codes trained for rate and distortion, `Rounded`; and training on crops at random
    scales. For color images the PCA is that of blocks with all channels, so that luma and chroma are learned. One
    fitted codec supports a range of qualities.

    Parameters
    ----------
    **params : dict
        Parameters of `ConvAutoencoder` and, as ``module__*``, of its parts; they replace those set here.

    Returns
    -------
    codec : ConvAutoencoder
        The unfitted estimator.

    See Also
    --------
    compress : Compress images to bytes.

    Examples
    --------
    >>> from skae.coding import compress, decompress, make_codec
    >>> from sklearn.datasets import load_sample_images
    >>> photographs = [image[::4, ::4] for image in load_sample_images().images]
    >>> codec = make_codec(crop_size=64, max_epochs=0, random_state=0).fit(photographs)
    >>> data = compress(codec, photographs)
    >>> [image.shape for image in decompress(codec, data)]
    [(107, 160, 3), (107, 160, 3)]
    """
    bottleneck = Rounded(step=0.35, qualities=(-6, 6))
    return ConvAutoencoder(**_PARTS | {"bottleneck": bottleneck} | params)
