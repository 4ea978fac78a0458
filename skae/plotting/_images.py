"""Conversion of samples to images, and their range of values."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._data.arrays import as_array, check_array
from .._data.chunked import extremes
from .._data.collections import is_pil_image, one_array
from .._data.image_list import is_image_list, listed
from .._data.images import LIKELY_CHANNELS, ImageLayout, find_layout, is_auto


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


def image_list(X: Any, input_shape: Any = None, channel_axis: Any = "auto", name: str = "X") -> list[np.ndarray]:
    """Convert samples of ``X`` to a list, each as in `as_images`; a list or column may hold images of several sizes."""
    if isinstance(X, list | tuple) or (getattr(getattr(X, "dtype", None), "kind", "") == "O" and X.ndim == 1):
        shapes = {np.shape(as_array(item)) for item in X if not isinstance(item, list | tuple)}
        if len(shapes) > 1:
            return [as_images([item], input_shape, channel_axis, f"{name}[{i}]")[0] for i, item in enumerate(X)]
    return list(as_images(X, input_shape, channel_axis, name))


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
    if len(layout.row_shape) == 1:  # rows that are images have shapes of their own, which need not be that seen in fit
        input_shape = layout.image_shape
    return input_shape, layout.channel_axis if is_auto(channel_axis) else channel_axis


def value_range(images: Any) -> tuple[float, float]:
    """Return the values drawn black and white: (0, 255) for uint8, (0, 1) for values in [0, 1], else the extremes."""
    if all(image.dtype == np.uint8 for image in images):
        return 0.0, 255.0
    low, high = extremes(np.array([extremes(image) for image in images]))
    return (0.0, 1.0) if low >= 0 and high <= 1 else (low, high)


def picture_list(X: Any, channel_axis: Any, name: str, n_axes: int | None = None) -> list[np.ndarray]:
    """Convert one image or several to a list, each as in `as_images`; ``n_axes`` as in `split_images`."""
    return image_list(split_images(X, channel_axis, name, n_axes), None, channel_axis, name)


def split_images(X: Any, channel_axis: Any, name: str, n_axes: int | None = None) -> list[Any]:
    """Return the images of X, one or several, as they are.

    An array of ``n_axes`` axes is one image. If None, one of two axes is, and one of three if it may have channels.
    """
    X = listed(X)
    if is_pil_image(X):
        return [X]
    if is_image_list(X):
        return list(X)
    A = np.asarray(as_array(X))
    if A.ndim not in (2, 3, 4):
        raise ValueError(
            f"{name} must be an image, (height, width) or with channels, or several, got an array of shape {A.shape}."
        )
    if n_axes is None:
        may_have_channels = A.ndim == 3 and bool({A.shape[0], A.shape[-1]} & set(LIKELY_CHANNELS))
        n_axes = 3 if (may_have_channels if is_auto(channel_axis) else channel_axis is not None) else 2
    if A.ndim < n_axes or not len(A):
        raise ValueError(f"{name} must hold at least one image, of {n_axes} axes, got an array of shape {A.shape}.")
    return [A] if A.ndim == n_axes else list(A)
