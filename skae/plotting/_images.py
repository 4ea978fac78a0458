"""Conversion of samples to images, and tiled plots of images."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._data.arrays import as_array, check_array
from .._data.chunked import extremes
from .._data.collections import one_array
from .._data.images import ImageLayout, find_layout, is_auto
from ._common import new_axes, pyplot

_UNKNOWN = (0.55, 0.7, 0.85)  # pale blue, for NaN


def as_images(X: Any, input_shape: Any = None, channel_axis: Any = "auto", name: str = "X") -> np.ndarray:
    """Convert samples of ``X`` to (n, height, width), or color images to (n, height, width, 3) without alpha."""
    X = check_array(as_array(one_array(X, name)), allow_nd=True, ensure_all_finite="allow-nan", input_name=name)
    layout = find_layout(X.shape[1:], input_shape, channel_axis, name)
    is_explicit = input_shape is not None or not is_auto(channel_axis)
    if not is_explicit and X.ndim == 3 and min(X.shape[1:]) <= 4 and X.shape[1] != X.shape[2]:
        raise ValueError(
            f"{name} has rows of shape {X.shape[1:]}, which look like sequences: pass input_shape={X.shape[1:]} to see "
            "them as images."
        )
    images = layout.arrange(X)
    n_channels = images.shape[1]
    if n_channels == 1:
        return images[:, 0]
    if n_channels not in (3, 4):
        raise ValueError(
            f"{name} has images of {n_channels} channels (shape {layout.image_shape}, channel_axis="
            f"{layout.channel_axis}), but only 1, 3 or 4 channels can be drawn."
        )
    return np.moveaxis(images[:, :3], 1, -1)


def fitted_layout(estimator: Any) -> ImageLayout | None:
    """Return the fitted image layout of ``estimator`` or of its inner estimator, or None."""
    layout = getattr(estimator, "layout_", None)
    if isinstance(layout, ImageLayout):
        return layout
    for name in ("estimator_", "best_estimator_"):  # Reconstructor and hyperparameter searches
        if hasattr(estimator, name):
            return fitted_layout(getattr(estimator, name))
    return None


def layout_params(estimator: Any, input_shape: Any, channel_axis: Any) -> tuple[Any, Any]:
    """Return ``input_shape`` and ``channel_axis`` as given, with defaults from the fitted layout."""
    layout = fitted_layout(estimator)
    if layout is None or input_shape is not None:
        return input_shape, channel_axis
    return layout.image_shape, layout.channel_axis if is_auto(channel_axis) else channel_axis


def value_range(X: np.ndarray) -> tuple[float, float]:
    """Return the values drawn black and white: (0, 255) for uint8, (0, 1) for values in [0, 1], else the extremes."""
    if X.dtype == np.uint8:
        return 0.0, 255.0
    low, high = extremes(X)
    return (0.0, 1.0) if low >= 0 and high <= 1 else (low, high)


def draw_tiles(ax: Any, grid: np.ndarray, limits: tuple[float, float], cmap: Any, **kwargs: Any) -> tuple[Any, Any]:
    """Draw gray or color images of shape (n_rows, n_columns, height, width[, 3]) as one picture with white gaps.

    Ticks, without marks, are at the centers of rows and columns. Return the axes, created if ``ax`` is None, and the
    `AxesImage`.
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
        inches = min(10.0, max(3.4, 0.85 * n_columns))  # width of the images, without labels
        ax = new_axes((inches + 1.1, inches * picture.shape[0] / picture.shape[1] + 0.6))
    if max(height, width) <= 64:  # show pixels of small images, smooth large ones
        kwargs = {"interpolation": "nearest", **kwargs}
    image = ax.imshow(picture, **kwargs)
    ax.set_xticks(np.arange(n_columns) * (width + gap) + (width - 1) / 2)
    ax.set_yticks(np.arange(n_rows) * (height + gap) + (height - 1) / 2)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    return ax, image
