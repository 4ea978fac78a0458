"""Distances between the patches of made textures and those of their exemplar."""

from __future__ import annotations

import numbers
from collections.abc import Iterator
from itertools import product
from typing import Any

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.preprocessing import StandardScaler
from torch.nn import functional as F

from .._utils.checks import check_number
from .._utils.rng import draw_seed
from ._texture_images import Textures, check_fits, read_textures

_CROP_SIZE = 96
_N_CROPS = 4  # along each axis
_N_QUANTILES = 512
_LEAST_DISTANCE = 1e-9  # in squared standard deviations; real crops have 1e-3 and more
_N_FILTERS = (48, 96)  # of the two layers
_FARTHEST = 1e6  # standard deviations, of features in single precision
_STEP = 4  # pixels between patches


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

    .. math:: \frac{\overline{d(c, e)}}{\overline{d(c', e)}}, \qquad
              d(c, e) = \sum_s \frac{1}{p} \sum_{i=1}^p W_2^2(P_{si} c, P_{si} e)

    for crops c of X and c' of the exemplar e, of the same size at regular places. :math:`W_2` is the Wasserstein
    distance between the values of all patches on one random direction :math:`P_{si}` (the sliced Wasserstein distance
    of Rabin et al., 2011), at scales s each of half the size of the one before, by the mean of 2 × 2 pixels.

    1 means that crops of X differ from the exemplar as much as its own crops do. Values below 1 are possible: a crop of
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
        Side of the patches in pixels, at each scale.
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
        At least 0. 10⁻⁹ is added to both means, for exemplars all of whose crops are alike.

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
    >>> from skimage.data import grass
    >>> from skae.metrics import patch_distance
    >>> exemplar, other = grass()[:128, :128], grass()[:128, 128:256]
    >>> round(patch_distance(other, exemplar))
    1
    >>> patch_distance(gaussian_filter(other, 1.5), exemplar) > 10
    True
    """
    for name, value in (("patch_size", patch_size), ("n_scales", n_scales), ("n_projections", n_projections)):
        check_number(name, value, numbers.Integral, 1)
    if crop_size is not None:
        check_number("crop_size", crop_size, numbers.Integral, patch_size)
    rng = np.random.default_rng(draw_seed(random_state))
    textures = read_textures(X, exemplar, channel_axis)
    crop_size = _check_crop_size(textures, patch_size, crop_size)

    n_scales = min(n_scales, int(np.log2(crop_size // patch_size)) + 1)
    n_channels = len(textures.exemplar)
    directions = rng.normal(size=(n_scales, n_projections, n_channels, patch_size, patch_size))
    directions /= np.sqrt((directions**2).sum(axis=(2, 3, 4), keepdims=True))
    real = _projected(textures.exemplar, directions)
    whole = [_quantiles(projected) for projected in real]

    def mean_distance(projected: list[np.ndarray], sides: tuple[int, ...]) -> float:
        return float(np.mean([_distance(crop, whole) for crop in _crops(projected, sides, crop_size, patch_size)]))

    made = [mean_distance(_projected(image, directions), image.shape[1:]) for image in textures.images]
    expected = mean_distance(real, textures.exemplar.shape[1:])
    return (float(np.mean(made)) + _LEAST_DISTANCE) / (expected + _LEAST_DISTANCE)


def two_sample_auc(
    X: Any,
    exemplar: Any,
    *,
    patch_size: int = 32,
    n_draws: int = 2,
    channel_axis: Any = "auto",
    random_state: Any = 0,
) -> float:
    r"""Compute how well a classifier distinguishes patches of a texture from those of its exemplar.

    A classifier two-sample test (Lopez-Paz and Oquab, 2017): a logistic regression is trained on patches from one half
    of the images, and evaluated on those from the other half by the area under the ROC curve. Its features are the
    mean, standard deviation and maximum over a patch of the outputs of random convolutional filters, in two layers with
    rectification and a mean of 2 × 2 between: filters that were never trained distinguish textures well (Ustyuzhaninov
    et al., 2017).

    0.5 means that they cannot be told apart, 1 that they always can. The areas of an image differ from each other: two
    real images of the same material have values from 0.3 to 0.7, where an exemplar has few elements even more. The mean
    over halves (left and right, upper and lower, each in both ways) and over draws of the filters lessens this a
    little. So values below about 0.65 say that this test finds no difference, not which one is better.

    Parameters
    ----------
    X : array-like of shape (height, width), (n, height, width) or with channels, or list of images
        One image or several, in the layout and units of ``exemplar``.
    exemplar : array-like of shape (height, width) or with channels
        The real texture.
    patch_size : int, default=32
        Side of the patches in pixels; from 12 to half of the shortest side. Patches overlap.
    n_draws : int, default=2
        Number of draws of the filters; time is proportional to it.
    channel_axis : {'auto', 0, -1, None}, default='auto'
        Axis of the channels in one image, as in `skae.ConvAutoencoder`.
    random_state : int, RandomState instance or None, default=0
        Seed of the filters; the same for all values to compare.

    Returns
    -------
    auc : float
        In [0, 1].

    Raises
    ------
    ValueError
        If an array holds no images, or NaN, infinity or values that are not real; if their channels differ; if half of
        an image is smaller than a patch; if ``exemplar`` is constant or more than one image.

    See Also
    --------
    patch_distance : Of smaller patches, at several scales.

    References
    ----------
    D. Lopez-Paz and M. Oquab, 2017. Revisiting classifier two-sample tests. ICLR.

    I. Ustyuzhaninov, W. Brendel, L. Gatys and M. Bethge, 2017. What does it take to generate natural textures? ICLR.

    Examples
    --------
    >>> from scipy.ndimage import gaussian_filter
    >>> from skimage.data import grass
    >>> from skae.metrics import two_sample_auc
    >>> exemplar, other = grass()[:128, :128], grass()[:128, 128:256]
    >>> two_sample_auc(other, exemplar) < 0.7
    True
    >>> round(two_sample_auc(gaussian_filter(other, 1), exemplar), 1)
    1.0
    """
    check_number("patch_size", patch_size, numbers.Integral, 12)
    check_number("n_draws", n_draws, numbers.Integral, 1, 1000)
    rng = np.random.default_rng(draw_seed(random_state))
    textures = read_textures(X, exemplar, channel_axis)
    check_fits(textures, "patch_size", patch_size, halves=True)
    found = []
    for _ in range(n_draws):
        filters = _random_filters(rng, len(textures.exemplar))
        for axis in (1, 2):
            halves = [_labeled_features(textures, axis, end, filters, patch_size) for end in (0, 1)]
            found += [_auc(halves[0], halves[1]), _auc(halves[1], halves[0])]
    return float(np.mean(found))


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
    places = [
        sorted(set((np.linspace(0, side - size, _N_CROPS) / coarsest).astype(int) * coarsest)) for side in sides
    ]
    for top, left in product(*places):
        parts = []
        for scale, values in enumerate(projected):
            rows, columns = (slice(p := place >> scale, p + (size >> scale) - patch_size + 1) for place in (top, left))
            parts.append(_quantiles(values[:, rows, columns]))
        yield parts


def _distance(one: list[np.ndarray], other: list[np.ndarray]) -> float:
    return sum(float(np.mean((a - b) ** 2)) for a, b in zip(one, other, strict=True))


def _random_filters(rng: np.random.Generator, n_channels: int) -> list[torch.Tensor]:
    shapes = (_N_FILTERS[0], n_channels, 5, 5), (_N_FILTERS[1], _N_FILTERS[0], 3, 3)
    weights = (rng.normal(size=shape) / np.sqrt(np.prod(shape[1:])) for shape in shapes)
    return [torch.from_numpy(weight.astype(np.float32)) for weight in weights]


def _labeled_features(
    textures: Textures, axis: int, end: int, filters: list[torch.Tensor], patch_size: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the features of patches from one half of all images, and whether they are of X."""
    features = []
    for image in (textures.exemplar, *textures.images):
        half = np.array_split(image, [image.shape[axis] // 2], axis=axis)[end]
        x = torch.from_numpy(half.clip(-_FARTHEST, _FARTHEST).astype(np.float32))[None]
        features.append(_features(x, filters, patch_size))
    return np.concatenate(features), np.arange(len(features)).repeat([len(rows) for rows in features]) > 0


def _features(x: torch.Tensor, filters: list[torch.Tensor], patch_size: int) -> np.ndarray:
    """Return mean, standard deviation and maximum of the filters' outputs over all patches of an image, as rows."""
    first, second = filters
    with torch.no_grad():
        fine = F.conv2d(x, first).relu()
        coarse = F.conv2d(F.avg_pool2d(fine, 2), second).relu()
        pooled = [*_pool(fine, patch_size - 4, _STEP), *_pool(coarse, (patch_size - 4) // 2 - 2, _STEP // 2)]
        height, width = (min(maps.shape[i] for maps in pooled) for i in (2, 3))
        maps = torch.cat([maps[0, :, :height, :width] for maps in pooled])
    return maps.flatten(1).T.double().numpy()


def _pool(x: torch.Tensor, size: int, step: int) -> tuple[torch.Tensor, ...]:
    mean = F.avg_pool2d(x, size, step)
    variance = F.avg_pool2d(x**2, size, step) - mean**2
    return mean, variance.clamp_min(0).sqrt(), F.max_pool2d(x, size, step)


def _auc(train: tuple[np.ndarray, np.ndarray], test: tuple[np.ndarray, np.ndarray]) -> float:
    """Return the area under the ROC curve of a regression trained on one half."""
    scaler = StandardScaler().fit(train[0])
    model = LogisticRegression(C=0.01, max_iter=300, class_weight="balanced")
    model.fit(scaler.transform(train[0]), train[1])
    return roc_auc_score(test[1], model.decision_function(scaler.transform(test[0])))
