"""Whether images tile."""

from __future__ import annotations

from typing import Any

import numpy as np

from ._texture_images import read_images


def seam_ratio(X: Any, *, channel_axis: Any = "auto") -> float:
    r"""Compute how much larger the step from an image to its next copy is than steps inside, when it is tiled.

    .. math:: \frac{\overline{|x_{i, 0} - x_{i, w - 1}|} + \overline{|x_{0, j} - x_{h - 1, j}|}}
                   {\overline{|x_{i, j + 1} - x_{i, j}|} + \overline{|x_{i + 1, j} - x_{i, j}|}}

    with means over all places and channels of an image. An image that tiles without a visible seam has about 1; a
    cut-out of a photograph has more. As few rows and columns meet at the border, values from 0.8 to 1.25 are seamless,
    where the texture's elements are small compared with the image. It sees steps between neighbors, and no brick that
    is cut at the border and continues elsewhere: also look at the image tiled 2 × 2, for which there is
    `~skae.plotting.TextureDisplay`.

    Parameters
    ----------
    X : array-like of shape (height, width), (n, height, width) or with channels, or list of images
        One image or several, with sides of 2 pixels or more.
    channel_axis : {'auto', 0, -1, None}, default='auto'
        Axis of the channels in one image, as in `skae.ConvAutoencoder`. With 'auto' an array of three axes is one color
        image if its last axis has 3 or 4 entries, else a stack of gray ones.

    Returns
    -------
    ratio : float
        At least 0; the mean over images. 1 for a constant image.

    Raises
    ------
    ValueError
        If X holds no images, or NaN, infinity or values that are not real; if a side has less than 2 pixels.

    Examples
    --------
    >>> import numpy as np
    >>> from skae.metrics import seam_ratio
    >>> waves = np.sin(np.arange(32) * 2 * np.pi / 16)
    >>> round(seam_ratio(waves + waves[:, None]), 2)
    1.0
    >>> round(seam_ratio(np.add.outer(np.arange(32), np.arange(32))), 2)
    31.0
    """
    images = read_images(X, channel_axis)
    for name, image in images.items():
        if min(image.shape[1:]) < 2:
            raise ValueError(f"{name} must have at least 2 pixels a side, got {image.shape[1]} x {image.shape[2]}.")
    return float(np.mean([_ratio(image) for image in images.values()]))


def _ratio(image: np.ndarray) -> float:
    """Return the ratio of one image (channels, height, width)."""
    size = abs(image).max()
    image = image / (size or 1.0)  # neither small nor large values lose digits
    inside = sum(abs(np.diff(image, axis=axis)).mean() for axis in (1, 2))
    border = sum(abs(image.take(0, axis) - image.take(-1, axis)).mean() for axis in (1, 2))
    return border / inside if inside > 0 else 1.0
