"""The distance between patches of textures and those of their exemplar."""

from __future__ import annotations

import numbers
from collections.abc import Iterator
from itertools import product
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F

from .._utils.checks import check_number
from .._utils.rng import draw_seed
from ._texture_images import Textures, check_fits, read_textures

_CROP_SIZE = 96
_N_CROPS = 4  # along each axis
_N_QUANTILES = 512
_LEAST_DISTANCE = 1e-9  # in squared standard deviations; real crops have 1e-3 and more


def patch_distance(
    X: Any,
    exemplar: Any,
    *,
    patch_size: int = 7,
    n_scales: int = 4,
    n_projections: int = 64,
    crop_size: int | None = None,
    channel_axis: Any = "auto",
    random_state: Any = 0,
) -> float:
    r"""Compute how far the patches of a texture's crops are from those of its exemplar, relative to real crops.

    .. math:: \frac{1}{S} \sum_{s=1}^S \frac{\overline{d_s(c, e)}}{\overline{d_s(c', e)}}, \qquad
              d_s(c, e) = \frac{1}{p} \sum_{i=1}^p W_2^2(P_{si} c, P_{si} e)

    with means over crops c of X and c' of the exemplar e, of the same size at regular places. :math:`W_2` is the
    Wasserstein distance between the values of all patches on a random direction :math:`P_{si}` (the sliced Wasserstein
    distance of Rabin et al., 2011), at scales s each of half the size of the one before, by the mean of 2 × 2 pixels.
    Directions have mean 0 but for the coarsest scale: brightness is compared there, and would hide details elsewhere.

    1 means that crops of X differ from the exemplar as much as its own crops do; other parts of the same photograph
    have values from 1 to 2.5. Values below 1 are possible: a crop of
    X that mixes material from everywhere in the exemplar has its statistics more closely than one place of it has,
    above all where the exemplar is not uniform.

    It sees patches and not how they are arranged. Images whose pixels were optimized for such a distance have low
    values, and may look like noise or confetti. Pair it with `two_sample_auc`, and look at the picture.

    Parameters
    ----------
    X : array-like of shape (height, width), (n, height, width) or with channels, or list of images
        One image or several, in the layout and units of ``exemplar``.
    exemplar : array-like of shape (height, width) or with channels
        The real texture. Values of both are divided by its standard deviation.
    patch_size : int, default=7
        Side of the patches in pixels, at each scale; at least 2.
    n_scales : int, default=4
        Number of scales. Those at which crops are smaller than a patch are left out.
    n_projections : int, default=64
        Number p of random directions at each scale.
    crop_size : int, default=None
        Side of crops in pixels; smaller than the longer side of ``exemplar``, at most its shorter side and those of X.
        If None, 96, or less where images are small: at most half of the exemplar's shorter side.
    channel_axis : {'auto', 0, -1, None}, default='auto'
        Axis of the channels in one image, as in `skae.ConvAutoencoder`.
    random_state : int, RandomState instance or None, default=0
        Seed of the directions; the same for all values to compare.

    Returns
    -------
    distance : float
        At least 0. 10⁻⁹ is added to all means, for exemplars all of whose crops are alike.

    Raises
    ------
    ValueError
        If an array holds no images, or NaN, infinity or values that are not real; if their channels differ; if an image
        is smaller than a patch or a crop; if ``exemplar`` is constant or more than one image.

    References
    ----------
    J. Rabin, G. Peyré, J. Delon and M. Bernot, 2011. Wasserstein barycenter and its application to texture mixing.
    Scale Space and Variational Methods in Computer Vision.

    Examples
    --------
    >>> from scipy.ndimage import gaussian_filter
    >>> from skimage.data import gravel
    >>> from skae.metrics import patch_distance
    >>> exemplar, other = gravel()[:192, :192], gravel()[192:384, 192:384]
    >>> round(patch_distance(other, exemplar), 1)
    1.7
    >>> patch_distance(gaussian_filter(other, 1), exemplar) > 5
    True
    """
    for name, value in (("n_scales", n_scales), ("n_projections", n_projections)):
        check_number(name, value, numbers.Integral, 1)
    check_number("patch_size", patch_size, numbers.Integral, 2)
    if crop_size is not None:
        check_number("crop_size", crop_size, numbers.Integral, patch_size)
    rng = np.random.default_rng(draw_seed(random_state))
    textures = read_textures(X, exemplar, channel_axis)
    crop_size = _check_crop_size(textures, patch_size, crop_size)

    n_scales = min(n_scales, int(np.log2(crop_size // patch_size)) + 1)
    n_channels = len(textures.exemplar)
    directions = rng.normal(size=(n_scales, n_projections, n_channels, patch_size, patch_size))
    directions[:-1] -= directions[:-1].mean(axis=(3, 4), keepdims=True)
    directions /= np.sqrt((directions**2).sum(axis=(2, 3, 4), keepdims=True))
    real = _projected(textures.exemplar, directions)
    whole = [_quantiles(projected) for projected in real]

    def mean_distances(projected: list[np.ndarray], sides: tuple[int, ...]) -> np.ndarray:
        crops = _crops(projected, sides, crop_size, patch_size)
        return np.mean([_distances(crop, whole) for crop in crops], axis=0)

    made = np.mean([mean_distances(_projected(x, directions), x.shape[1:]) for x in textures.images], axis=0)
    expected = mean_distances(real, textures.exemplar.shape[1:])
    return float(np.mean((made + _LEAST_DISTANCE) / (expected + _LEAST_DISTANCE)))


def _check_crop_size(textures: Textures, patch_size: int, crop_size: int | None) -> int:
    """Return the side of crops, which fit into all images."""
    check_fits(textures, "patch_size", patch_size)
    sides = textures.exemplar.shape[1:]
    if crop_size is None:
        crop_size = max(patch_size, min(_CROP_SIZE, min(sides) // 2, textures.shortest_side))
    else:
        check_fits(textures, "crop_size", crop_size)
    if max(sides) <= crop_size:
        raise ValueError(f"exemplar must be larger than one crop of {crop_size} x {crop_size}, got {sides}.")
    return crop_size


def _projected(image: np.ndarray, directions: np.ndarray) -> list[np.ndarray]:
    """Return the values of all patches on the directions at each scale, (n_projections, height, width)."""
    x, found = torch.from_numpy(image)[None], []
    with torch.no_grad():
        for weight in torch.from_numpy(directions):
            found.append(F.conv2d(x, weight)[0].numpy())
            x = F.avg_pool2d(x, 2) if min(x.shape[2:]) > 1 else x
    return found


def _quantiles(values: np.ndarray) -> np.ndarray:
    """Return quantiles of the values on each direction."""
    values = np.sort(values.reshape(len(values), -1), axis=1)
    at = (np.arange(_N_QUANTILES) + 0.5) / _N_QUANTILES * values.shape[1]
    return values[:, at.astype(int)]


def _crops(
    projected: list[np.ndarray], sides: tuple[int, ...], size: int, patch_size: int
) -> Iterator[list[np.ndarray]]:
    """Yield the quantiles at each scale of crops at regular places of an image."""
    coarsest = 2 ** (len(projected) - 1)  # pixels at the coarsest scale; crops begin with a whole one
    places = [sorted(set((np.linspace(0, side - size, _N_CROPS) / coarsest).astype(int) * coarsest)) for side in sides]
    for top, left in product(*places):
        parts = []
        for scale, values in enumerate(projected):
            rows, columns = (slice(p := place >> scale, p + (size >> scale) - patch_size + 1) for place in (top, left))
            parts.append(_quantiles(values[:, rows, columns]))
        yield parts


def _distances(one: list[np.ndarray], other: list[np.ndarray]) -> np.ndarray:
    """Return the mean squared difference of quantiles at each scale."""
    return np.array([np.mean((a - b) ** 2) for a, b in zip(one, other, strict=True)])
