"""How sharp images are."""

from __future__ import annotations

from typing import Any

import numpy as np

from ._texture_images import read_images


def sharpness(X: Any, *, channel_axis: Any = "auto") -> float:
    r"""Compute the variance of the Laplacian of images, the mean over images.

    .. math:: \mathrm{Var}_{ij}\bigl(x_{i-1,j} + x_{i+1,j} + x_{i,j-1} + x_{i,j+1} - 4 x_{ij}\bigr)

    over the pixels inside the border and the channels (Pech-Pacheco et al., 2000). Compare generated images with real
    ones of the same size and unit: a ratio below 1 means blur, one above 1 noise. It does not tell detail from noise,
    so it is no measure of quality by itself.

    Parameters
    ----------
    X : array-like of shape (height, width), (n, height, width) or with channels, or list of images
        One image or several, with sides of 3 pixels or more.
    channel_axis : {'auto', 0, -1, None}, default='auto'
        Axis of the channels in one image, as in `skae.ConvAutoencoder`. With 'auto' an array of three axes is one color
        image if its last axis has 3 or 4 entries, else a stack of gray ones.

    Returns
    -------
    variance : float
        At least 0, in the units of X squared.

    Raises
    ------
    ValueError
        If X holds no images, or NaN, infinity or values that are not real; if a side has less than 3 pixels.

    References
    ----------
    J. L. Pech-Pacheco, G. Cristóbal, J. Chamorro-Martínez and J. Fernández-Valdivia, 2000. Diatom autofocusing in
    brightfield microscopy: a comparative study. International Conference on Pattern Recognition.

    Examples
    --------
    >>> from scipy.ndimage import gaussian_filter
    >>> from sklearn.datasets import load_digits
    >>> from skae.metrics import sharpness
    >>> X = load_digits().images
    >>> blurred = [gaussian_filter(image, 0.5) for image in X]
    >>> round(sharpness(blurred) / sharpness(X), 2)
    0.37
    """
    images = read_images(X, channel_axis)
    for name, image in images.items():
        if min(image.shape[1:]) < 3:
            raise ValueError(f"{name} must have at least 3 pixels a side, got {image.shape[1]} x {image.shape[2]}.")
    return float(np.mean([_variance(image) for image in images.values()]))


def _variance(image: np.ndarray) -> np.floating:
    """Return the variance of one image (channels, height, width)."""
    vertical = image[:, :-2, 1:-1] + image[:, 2:, 1:-1]
    horizontal = image[:, 1:-1, :-2] + image[:, 1:-1, 2:]
    return (vertical + horizontal - 4 * image[:, 1:-1, 1:-1]).var()
