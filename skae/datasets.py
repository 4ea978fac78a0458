"""Synthetic data with known factors of variation."""

from __future__ import annotations

import numbers
from typing import Any

import numpy as np

from ._data.chunked import slices
from ._utils.checks import check_number
from ._utils.rng import draw_seed

__all__ = ["make_sprites"]

_COUNTS = (3, 4, 6, 12, 12)  # shapes, scales, rotations, columns, rows
_N_ALL = int(np.prod(_COUNTS))
_RADIUS = 0.22  # of the largest sprite, in sides of the image
_SCALES = np.linspace(0.55, 1, _COUNTS[1])
_ANGLES = np.deg2rad(15) * np.arange(_COUNTS[2])


def make_sprites(
    n_samples: int | None = None, *, image_size: int = 32, random_state: Any = None
) -> tuple[np.ndarray, np.ndarray]:
    """Generate small images of a white shape from five known factors of variation.

    The columns of ``factors`` are, in this order:

    - shape: square, ellipse, heart (0 to 2), an unordered factor;
    - scale: 4 sizes (0 to 3), from 0.55 of the largest, in equal steps;
    - rotation: 6 angles (0 to 5), from 0° to 75° counterclockwise in steps of 15°;
    - x: 12 columns of the center (0 to 11), from left to right;
    - y: 12 rows of the center (0 to 11), from top to bottom.

    There are 10,368 combinations, each with a different image. Angles are below 90° because squares are invariant to
    rotations by 90°, and ellipses by 180°. Still, a square at 75° is as similar to one at 0° as one at 15° is, so a
    one-dimensional code cannot represent the angle of squares as it does that of hearts. A small square rotated by 15°
    differs from an upright one in only a few gray values at its edges.

    The data resemble dSprites (Matthey et al., 2017), in a size for experiments of minutes.

    Parameters
    ----------
    n_samples : int, default=None
        Number of different images to draw at random, from 1 to 10,368. If None, all images in order, the last factor
        varying fastest.
    image_size : int, default=32
        Height and width in pixels; at least 16.
    random_state : int or RandomState instance, default=None
        Seed of the random draw.

    Returns
    -------
    X : ndarray of shape (n_samples, image_size, image_size), float32
        Gray values in [0, 1]: approximately the fraction of the pixel that the shape covers. The background is 0. No
        shape touches the edge of its image.
    factors : ndarray of shape (n_samples, 5), int64
        Factors of each image, numbered from 0.

    Raises
    ------
    TypeError
        If ``n_samples`` or ``image_size`` is not an integer.
    ValueError
        If ``n_samples`` or ``image_size`` is out of bounds.

    References
    ----------
    L. Matthey, I. Higgins, D. Hassabis and A. Lerchner, 2017. dSprites: disentanglement testing sprites dataset.

    Examples
    --------
    >>> from skae.datasets import make_sprites
    >>> X, factors = make_sprites(100, random_state=0)
    >>> X.shape, factors.shape
    ((100, 32, 32), (100, 5))
    """
    if n_samples is not None:
        check_number("n_samples", n_samples, numbers.Integral, 1, _N_ALL)
    check_number("image_size", image_size, numbers.Integral, 16)
    factors = np.indices(_COUNTS).reshape(len(_COUNTS), -1).T.astype(np.int64)
    if n_samples is not None:
        factors = factors[np.random.default_rng(draw_seed(random_state)).permutation(_N_ALL)[:n_samples]]
    X = np.empty((len(factors), image_size, image_size), np.float32)
    for shape, distance in enumerate((_to_square, _to_ellipse, _to_heart)):
        rows = np.flatnonzero(factors[:, 0] == shape)
        for s in slices(rows, image_size**2):
            X[rows[s]] = _draw(distance, factors[rows[s], 1:], image_size)
    return X, np.ascontiguousarray(factors)


def _draw(distance: Any, factors: np.ndarray, size: int) -> np.ndarray:
    """Draw images of one shape; pixel values follow from the signed distance of the pixel's center to the outline."""
    scale, rotation, column, row = factors.T
    radius = (size * _RADIUS * _SCALES).astype(np.float32)[scale][:, np.newaxis, np.newaxis]
    reach = size * _RADIUS + 1.5  # minimum distance of a center from the edge of the image, antialiasing included
    x = np.linspace(reach, size - reach, _COUNTS[3], dtype=np.float32)[column]
    y = np.linspace(reach, size - reach, _COUNTS[4], dtype=np.float32)[row]
    pixels = np.arange(size, dtype=np.float32) + np.float32(0.5)
    right = (pixels - x[:, np.newaxis])[:, np.newaxis, :]
    up = (y[:, np.newaxis] - pixels)[:, :, np.newaxis]
    cos, sin = (f(_ANGLES).astype(np.float32)[rotation][:, np.newaxis, np.newaxis] for f in (np.cos, np.sin))
    outside = radius * distance((right * cos + up * sin) / radius, (up * cos - right * sin) / radius)
    return np.clip(0.5 - outside, 0, 1)


# Signed distances of the point (u, v) to the outline of a shape in the unit circle, negative inside.


def _to_square(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    return np.maximum(abs(u), abs(v)) - np.float32(np.sqrt(0.5))


def _to_ellipse(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Compute the distance to first order, which suffices for pixels at the outline."""
    wide, high = np.float32(1), np.float32(0.5)
    level = np.hypot(u / wide, v / high)
    slope = np.hypot(u / wide**2, v / high**2)
    return level * (level - 1) / np.maximum(slope, np.float32(1e-6))


def _to_heart(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Compute the distance to a square on its corner with a half disc on each upper side."""
    side = np.float32(0.98)
    v = v + np.float32(0.2)  # the square's center is below that of the unit circle
    a, b = (u + v) * np.float32(np.sqrt(0.5)), (v - u) * np.float32(np.sqrt(0.5))
    square = np.maximum(abs(a), abs(b)) - side / 2
    discs = np.minimum(np.hypot(a - side / 2, b), np.hypot(a, b - side / 2)) - side / 2
    return np.minimum(square, discs)
