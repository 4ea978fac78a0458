"""Rows as images, and many images as one tiled picture."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from sklearn.utils import check_array

from .._conditioning import extremes
from ._common import new_axes, pyplot

_CHANNELS = (1, 3)
_UNKNOWN = (0.55, 0.7, 0.85)  # a pale blue, for values that are NaN


def as_images(X: Any, image_shape: tuple[int, ...] | None = None, name: str = "X") -> np.ndarray:
    """Rows of ``X`` as (n, height, width) or (n, height, width, 3); channels may come first or last."""
    X = check_array(X, allow_nd=True, ensure_all_finite="allow-nan", input_name=name)
    shape = X.shape[1:] if image_shape is None else tuple(image_shape)
    if len(shape) == 1 and image_shape is None:
        side = math.isqrt(shape[0])
        if side**2 != shape[0]:
            raise ValueError(
                f"{name} has rows of {shape[0]} values, which are no square grey image: pass "
                "image_shape=(height, width), (height, width, 3) or (3, height, width)."
            )
        shape = (side, side)
    if math.prod(shape) != X[0].size:
        raise ValueError(f"image_shape={shape} is of {math.prod(shape)} values, but rows of {name} have {X[0].size}.")
    images = X.reshape(len(X), *shape)
    if len(shape) == 3 and shape[0] in _CHANNELS and shape[2] not in _CHANNELS:
        images = np.moveaxis(images, 1, -1)
    if images.ndim == 4 and images.shape[-1] == 1:
        images = images[..., 0]
    if not (images.ndim == 3 or (images.ndim == 4 and images.shape[-1] == 3)):
        raise ValueError(
            f"Rows of {name} of shape {shape} are no images: these are (height, width), (height, width, channels) or "
            "(channels, height, width) with 1 or 3 channels. Pass image_shape if the values have another order."
        )
    height, width = images.shape[1:3]
    if image_shape is None and min(height, width) <= 4 and height != width:
        raise ValueError(
            f"Rows of {name} of shape {shape} look like sequences: pass image_shape={shape} to see them as images."
        )
    return images


def fitted_shape(estimator: Any) -> tuple[int, ...] | None:
    """The shape of an image as ``estimator`` has read it off its rows, if it has."""
    layout = getattr(estimator, "layout_", None)
    return None if layout is None else layout.image_shape


def value_range(X: np.ndarray) -> tuple[float, float]:
    """What is black and what is white: 0 and 255 for uint8, 0 and 1 for values between them, else the extremes."""
    if X.dtype == np.uint8:
        return 0.0, 255.0
    low, high = extremes(X)
    return (0.0, 1.0) if low >= 0 and high <= 1 else (low, high)


def draw_tiles(ax: Any, grid: np.ndarray, limits: tuple[float, float], cmap: Any, **kwargs: Any) -> tuple[Any, Any]:
    """Draw images of shape (n_rows, n_columns, height, width) or with colours as one picture with white gaps.

    The ticks, without marks, are where the middles of rows and columns are. Returns the axes, new ones when ``ax`` is
    None, and the `AxesImage`.
    """
    (n_rows, n_columns, height, width), (low, high) = grid.shape[:4], limits
    scaled = ((grid.astype(np.float64) - low) / ((high - low) or 1.0)).clip(0, 1)
    unknown, scaled = np.isnan(scaled), np.nan_to_num(scaled)
    if grid.ndim == 4:
        rgb = pyplot().get_cmap(cmap)(scaled)[..., :3]
    else:
        rgb, unknown = scaled, unknown.any(axis=-1)
    rgb[unknown] = _UNKNOWN
    gap = max(1, round(max(height, width) / 20))
    rgb = np.pad(rgb, ((0, 0), (0, 0), (0, gap), (0, gap), (0, 0)), constant_values=1.0)
    picture = rgb.swapaxes(1, 2).reshape(n_rows * (height + gap), n_columns * (width + gap), 3)[:-gap, :-gap]
    if ax is None:
        inches = min(10.0, max(3.4, 0.85 * n_columns))  # of the picture; the rest is room for labels
        ax = new_axes((inches + 1.1, inches * picture.shape[0] / picture.shape[1] + 0.6))
    if max(height, width) <= 64:  # small images show their pixels, large ones are smoothed as they are made smaller
        kwargs = {"interpolation": "nearest", **kwargs}
    image = ax.imshow(picture, **kwargs)
    ax.set_xticks(np.arange(n_columns) * (width + gap) + (width - 1) / 2)
    ax.set_yticks(np.arange(n_rows) * (height + gap) + (height - 1) / 2)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    return ax, image
