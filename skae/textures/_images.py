"""Images that users bring as exemplars or styles, and images that are returned like these."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .._data.arrays import as_array
from .._data.collections import is_pil_image
from .._data.image_list import ImageList, is_image_list, listed
from .._data.images import is_auto

_LIKELY_CHANNELS = (1, 3, 4)


def read_images(X: Any, name: str, channel_axis: Any) -> ImageList:
    """Return the images of X: one, a list or a column of them, or an array (n, height, width, channels), checked."""
    X = listed(X)
    if is_pil_image(X):
        X = [X]
    elif not is_image_list(X):
        X = _as_list(as_array(X), name, channel_axis)
    images = ImageList(X, name, channel_axis)
    images.scan()
    return images


def _as_list(X: Any, name: str, channel_axis: Any) -> Sequence[Any]:
    shape = getattr(X, "shape", None)
    if shape is None or len(shape) not in (2, 3, 4):
        got = f"a {type(X).__name__}" if shape is None else f"an array of shape {shape}"
        raise TypeError(f"{name} must be an image, (height, width) or with channels, or a list of images, got {got}.")
    if len(shape) == 4:
        return list(X)
    if len(shape) == 3 and is_auto(channel_axis) and not {shape[0], shape[-1]} & set(_LIKELY_CHANNELS):
        raise ValueError(
            f"{name} has the shape {shape}, which is no color image: pass several gray images as a list, or "
            "channel_axis for an image of other channels than 1, 3 or 4."
        )
    return [X]


def value_range(images: Sequence[np.ndarray]) -> tuple[float, float]:
    """Return the lowest and the highest value of images."""
    return float(min(image.min() for image in images)), float(max(image.max() for image in images))


def as_dtype(values: np.ndarray, dtype: np.dtype, low: float, high: float) -> np.ndarray:
    """Return values within [low, high] in the dtype of the user's images; integers are rounded."""
    values = np.clip(values, low, high)
    if dtype.kind == "b":
        return values >= 0.5
    return (np.rint(values) if dtype.kind in "iu" else values).astype(dtype)
