"""A classifier that tries to distinguish textures from their exemplar."""

from __future__ import annotations

import numbers
from typing import Any

import numpy as np
import torch
from scipy.optimize import minimize
from scipy.special import expit
from scipy.stats import rankdata
from torch.nn import functional as F

from .._utils.checks import check_number
from .._utils.rng import draw_seed
from ._texture_images import Textures, check_fits, read_textures

_N_FILTERS = (48, 96)  # of the two layers
_FARTHEST = 1e6  # standard deviations, of features in single precision
_C = 0.01  # inverse strength of regularization, as in scikit-learn
_CELL = 4  # side in pixels; patches are of whole cells, at every second one


def two_sample_auc(
    X: Any,
    exemplar: Any,
    *,
    patch_size: int = 32,
    channel_axis: Any = "auto",
    random_state: Any = 0,
) -> float:
    r"""Compute how well a classifier distinguishes patches of a texture from those of its exemplar.

    A classifier two-sample test (Lopez-Paz and Oquab, 2017): a logistic regression is trained on patches from one half
    of the images, and evaluated on those from the other half by the area under the ROC curve. Its features are the
    mean, standard deviation and maximum over a patch of the outputs of random convolutional filters, in two layers with
    rectification and a mean of 2 × 2 between: filters that were never trained distinguish textures well (Ustyuzhaninov
    et al., 2017).

    0.5 means that they cannot be distinguished, 1 that they always can. The areas of an image differ from each other:
    neighboring parts of one photograph have values from 0.3 to 0.8, and up to 1 where the light changes across it. The
    mean over halves (left and right, upper and lower, each in both ways) lessens this a little; other filters change
    values by about 0.03. So below about 0.65 this test finds no difference, and does not say which image is better.

    Parameters
    ----------
    X : array-like of shape (height, width), (n, height, width) or with channels, or list of images
        One image or several, in the layout and units of ``exemplar``.
    exemplar : array-like of shape (height, width) or with channels
        The real texture.
    patch_size : int, default=32
        Side of the patches in pixels; from 12 to half of the shortest side. Patches overlap.
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
    >>> from skimage.data import gravel
    >>> from skae.metrics import two_sample_auc
    >>> exemplar, other = gravel()[:192, :192], gravel()[192:384, 192:384]
    >>> two_sample_auc(other, exemplar) < 0.7
    True
    >>> round(two_sample_auc(gaussian_filter(other, 1), exemplar), 1)
    1.0
    """
    check_number("patch_size", patch_size, numbers.Integral, 12)
    rng = np.random.default_rng(draw_seed(random_state))
    textures = read_textures(X, exemplar, channel_axis)
    check_fits(textures, "patch_size", patch_size, within="at most half of the shortest side")
    filters, found = _random_filters(rng, len(textures.exemplar)), []
    for axis in (1, 2):
        halves = [_labeled_features(textures, axis, end, filters, patch_size) for end in (0, 1)]
        found += [_auc(halves[0], halves[1]), _auc(halves[1], halves[0])]
    return float(np.mean(found))


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
        pooled = [*_pool(fine, patch_size - 4, _CELL), *_pool(coarse, patch_size // 2 - 4, _CELL // 2)]
        height, width = (min(maps.shape[i] for maps in pooled) for i in (2, 3))
        maps = torch.cat([maps[0, :, :height, :width] for maps in pooled])
    return maps.flatten(1).T.double().numpy()


def _pool(x: torch.Tensor, size: int, cell: int) -> tuple[torch.Tensor, ...]:
    """Return mean, standard deviation and maximum over windows of whole cells, at every second cell."""
    height, width, n_cells = x.shape[2] // cell, x.shape[3] // cell, size // cell
    cells = x[..., : height * cell, : width * cell].reshape(*x.shape[:2], height, cell, width, cell)
    mean, square = (F.avg_pool2d(values.mean((3, 5)), n_cells, 2) for values in (cells, cells**2))
    largest = F.max_pool2d(cells.amax((3, 5)), n_cells, 2)
    return mean, (square - mean**2).clamp_min(0).sqrt(), largest


def _auc(train: tuple[np.ndarray, np.ndarray], test: tuple[np.ndarray, np.ndarray]) -> float:
    """Return the area under the ROC curve of a regression trained on one half."""
    center, deviation = train[0].mean(axis=0), train[0].std(axis=0)
    scale = np.divide(1, deviation, out=np.zeros_like(deviation), where=deviation > 0)
    weight = _logistic_regression((train[0] - center) * scale, train[1])
    of_x = test[1]
    ranks = rankdata(((test[0] - center) * scale) @ weight)[of_x].sum()
    n, m = of_x.sum(), (~of_x).sum()
    return float((ranks - n * (n + 1) / 2) / (n * m))


def _logistic_regression(features: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return the coefficients of a regularized logistic regression with classes of equal weight.

    That of scikit-learn is recorded as the user's model by tools that watch `fit`, such as mlflow's autologging.
    """
    sign = np.where(labels, 1.0, -1.0)
    share = _C * len(labels) / 2 / np.where(labels, labels.sum(), (~labels).sum())

    def loss(weight: np.ndarray) -> tuple[float, np.ndarray]:
        margin = sign * (features @ weight[:-1] + weight[-1])
        slope = -share * sign * expit(-margin)
        gradient = np.append(features.T @ slope + weight[:-1], slope.sum())
        return float(share @ np.logaddexp(0, -margin) + weight[:-1] @ weight[:-1] / 2), gradient

    found = minimize(loss, np.zeros(features.shape[1] + 1), jac=True, method="L-BFGS-B", options={"maxiter": 300})
    return found.x[:-1]
