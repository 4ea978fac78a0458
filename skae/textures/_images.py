"""Validation of exemplars and styles, and conversion of results to their layout."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .._data.arrays import as_array
from .._data.collections import is_pil_image, sample_array
from .._data.image_list import ImageList, is_image_list, listed
from .._data.images import LIKELY_CHANNELS, ImageLayout, is_auto

_FILL = "Impute it first, for example with skimage.restoration.inpaint_biharmonic."
_CONVERT = "convert both to gray or both to color, as PIL's image.convert('L') and image.convert('RGB') do"


def read_images(X: Any, name: str, channel_axis: Any) -> ImageList:
    """Return the images of X: one, a list or a column of them, or an array (n, height, width, channels), checked."""
    X = listed(X)
    if is_pil_image(X):
        X = [X]
    elif not is_image_list(X):
        X = _as_list(sample_array(X, name) if isinstance(X, list | tuple) else as_array(X), name, channel_axis)
    images = ImageList(X, name, channel_axis, remedy=_FILL)
    images.scan()
    return images


def _as_list(X: Any, name: str, channel_axis: Any) -> Sequence[Any]:
    shape = getattr(X, "shape", None)
    if shape is None or len(shape) not in (2, 3, 4):
        got = f"a {type(X).__name__}" if shape is None else f"an array of shape {shape}"
        raise TypeError(f"{name} must be an image, (height, width) or with channels, or a list of images, got {got}.")
    if len(shape) == 4 or (len(shape) == 3 and channel_axis is None):
        return list(X)
    if len(shape) == 3 and is_auto(channel_axis) and not {shape[0], shape[-1]} & set(LIKELY_CHANNELS):
        raise ValueError(
            f"{name} has the shape {shape}, which is not a color image: pass several gray images as a list, or "
            "channel_axis for an image with other than 1, 3 or 4 channels."
        )
    return [X]


def read_contents(X: Any, layout: ImageLayout) -> tuple[ImageList, bool]:
    """Return the images of X, and whether X is a list."""
    X = listed(X)
    axis, n_channels = layout.channel_axis, layout.image_shape[layout.channel_axis or 0]
    n_axes = 2 if axis is None else 3
    is_list = isinstance(X, list | tuple) or (is_image_list(X) and not is_pil_image(X))
    if not is_list:
        X = np.asarray(X) if is_pil_image(X) else as_array(X)
        if not hasattr(X, "ndim"):
            raise TypeError(f"X must be an image, an array (n, ...) or a list of images, got a {type(X).__name__}.")
        is_color = axis is None and X.ndim == 3 and X.shape[-1] in (3, 4)
        if X.ndim not in (n_axes, n_axes + 1) or is_color:
            what = "gray" if axis is None else f"of {n_channels} channels"
            raise ValueError(
                f"X must be an image like the styles, which are {what}, or an array (n, ...) of these, got an array "
                f"of shape {X.shape}: {_CONVERT}."
            )
        X = [X] if X.ndim == n_axes else list(X)
    if len(X) and (first := sample_array(X[0], "X[0]")).ndim in (2, 3) and first.ndim != n_axes:
        kinds = ["gray", "color"] if first.ndim == 2 else ["color", "gray"]
        raise ValueError(f"X[0], of shape {first.shape}, is {kinds[0]}, and the styles are {kinds[1]}: {_CONVERT}.")
    images = ImageList(X, "X", axis, remedy=_FILL)
    images.scan()
    return images, is_list


def check_alike(images: ImageList, name: str, styles: ImageList, of: str) -> None:
    """Raise an error for images with other channels or another dtype than the styles."""
    if images.n_channels != styles.n_channels:
        raise ValueError(
            f"{name} must have the channels of {of}, got {images.n_channels} and {styles.n_channels}: {_CONVERT}."
        )
    if images.dtype != styles.dtype and not images.dtype.kind == styles.dtype.kind == "f":
        raise ValueError(
            f"{name} has the dtype {images.dtype} and {of} {styles.dtype}: convert both to the same, for example "
            "with skimage.util.img_as_float32."
        )


def value_range(images: Sequence[np.ndarray]) -> tuple[float, float]:
    """Return the lowest and the highest value of images."""
    return float(min(image.min() for image in images)), float(max(image.max() for image in images))


def as_dtype(values: np.ndarray, dtype: np.dtype, low: float, high: float) -> np.ndarray:
    """Return values within [low, high] in the dtype of the user's images; integers are rounded."""
    if dtype.kind in "iu":
        values = values.astype(np.float64)
        if high > np.iinfo(dtype).max:  # the nearest float64 of 64-bit bounds may exceed them
            high = np.nextafter(high, 0)
    values = np.clip(values, low, high)
    if dtype.kind == "b":
        return values >= 0.5
    return (np.rint(values) if dtype.kind in "iu" else values).astype(dtype)
