"""Colors of places in images: hue runs along columns, lightness along rows."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

_LIGHTNESS = (0.45, 0.9)  # from the first row to the last
_CHROMA = 0.11
_HUES = (0.4, 5.4)  # from the first column to the last, in radians; less than a turn, so that the ends differ
# B. Ottosson, 2020. A perceptual color space for image processing (OKLab).
_TO_CONES = np.array(
    [[1, 0.3963377774, 0.2158037573], [1, -0.1055613458, -0.0638541728], [1, -0.0894841775, -1.2914855480]]
)
_TO_RGB = np.array(
    [
        [4.0767416621, -3.3077115913, 0.2309699292],
        [-1.2684380046, 2.6097574011, -0.3413193965],
        [-0.0041960863, -0.7034186147, 1.7076147010],
    ]
)


def place_colors(sources: np.ndarray, shapes: Sequence[tuple[int, ...]]) -> np.ndarray:
    """Return colors (..., 3) of places (3, ...): the index of an image, a row and a column, in pixels.

    Images of the ``shapes`` are colored as if they stood one below the other, so that no two places look the same.
    """
    index, row, column = (np.asarray(part, dtype=np.float64) for part in sources)
    index = index.astype(int).clip(0, len(shapes) - 1)
    heights, widths = np.array([shape[:2] for shape in shapes]).T
    down = ((heights.cumsum() - heights)[index] + row.clip(0, heights[index] - 1) + 0.5) / heights.sum()
    across = (column.clip(0, widths[index] - 1) + 0.5) / widths[index]
    lightness = _LIGHTNESS[0] + down * (_LIGHTNESS[1] - _LIGHTNESS[0])
    hue = _HUES[0] + across * (_HUES[1] - _HUES[0])
    lab = np.stack([lightness, _CHROMA * np.cos(hue), _CHROMA * np.sin(hue)], axis=-1)
    linear = ((lab @ _TO_CONES.T) ** 3 @ _TO_RGB.T).clip(0, 1)
    return np.where(linear > 0.0031308, 1.055 * linear ** (1 / 2.4) - 0.055, 12.92 * linear).astype(np.float32)


def legends(images: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Return images (height, width, 3) in the colors of their places."""
    shapes = [image.shape for image in images]
    pixels = (np.indices(shape[:2]) for shape in shapes)
    places = [np.stack([np.full_like(p[0], i), *p]) for i, p in enumerate(pixels)]
    return [_tinted(image, place_colors(p, shapes)) for image, p in zip(images, places, strict=True)]


def source_picture(
    image: np.ndarray, sources: np.ndarray, shapes: Sequence[tuple[int, ...]], stride: int
) -> np.ndarray:
    """Return an image (height, width, 3) in the colors of the places that its cells of ``stride`` pixels come from."""
    colors = place_colors(sources, shapes).repeat(stride, axis=0).repeat(stride, axis=1)
    return _tinted(image, colors[: image.shape[0], : image.shape[1]])


def _tinted(image: np.ndarray, colors: np.ndarray) -> np.ndarray:
    """Return colors with the light and shade of an image, so that the same pixel is known in both."""
    return colors * (0.6 + 0.4 * image.mean(axis=2, keepdims=True))


def find_stride(sources: np.ndarray, size: tuple[int, ...]) -> int:
    """Return the side of the cells of ``sources`` (3, h, w) in a sample of a size."""
    return max(math.ceil(side / n) for side, n in zip(size, sources.shape[1:], strict=False))
