"""A codec for images: the choice of parts of a `ConvAutoencoder` that compresses to bytes."""

from __future__ import annotations

from typing import Any

from ..bottlenecks import Rounded
from ..estimators import ConvAutoencoder

# Three stages to blocks of 8 × 8 pixels, which start as their PCA.
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
    "optimizer__betas": (0.9, 0.95),  # the usual 0.999 follows too slowly as gradients grow, and trainings diverged
}


def make_codec(**params: Any) -> ConvAutoencoder:
    """Make a `ConvAutoencoder` for the compression of images to bytes.

    It is the short spelling of a choice of parts: a convolutional network with a spatial code that starts as the PCA
    of blocks of 8 × 8 pixels, the Karhunen-Loève transform; integers with a price on their information, `Rounded`; and
    training on crops at random scales. For images in color the PCA is that of blocks with all channels, so that luma
    and chroma are learned. One fitted codec serves a range of qualities.

    Parameters
    ----------
    **params : dict
        Parameters of `ConvAutoencoder`, those of its parts as ``module__*``; they replace the choices made here.

    Returns
    -------
    codec : ConvAutoencoder
        Not fitted.

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
