"""Check that samples have the shape seen in `fit`."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from torch import Tensor

from .sources import LazyArray


def same_shape(shape: tuple[int, ...], wanted: tuple[int, ...], free: int | None) -> bool:
    """Return whether two sample shapes agree, except along the axis ``free`` if given."""
    return len(shape) == len(wanted) and all(
        side == other or axis == free for axis, (side, other) in enumerate(zip(shape, wanted, strict=True))
    )


def as_fitted(estimator: Any, X: Any, free: int | None) -> Any:
    """Check the shape of samples, leaving tables to scikit-learn; add the sample axis to a single sample.

    ``free`` is the axis of a sample that may have any length.
    """
    shape, wanted = tuple(getattr(X, "shape", ())), estimator.input_shape_
    if len(shape) < 2 or max(len(shape) - 1, len(wanted)) < 2:
        return X
    if same_shape(shape, wanted, free) and not isinstance(X, LazyArray):
        return X[None] if isinstance(X, Tensor) else np.asarray(X)[None]
    if not same_shape(shape[1:], wanted, free):
        raise ValueError(of_other_shape(estimator, shape))
    return X


def _channels(shape: tuple[int, ...], axis: int | None) -> str:
    """Return the number and the place of channels in words."""
    if axis is None:
        return "no axis of channels"
    return f"{shape[axis]} channels on the {'last' if axis in (-1, len(shape) - 1) else 'first'} axis"


def of_other_shape(estimator: Any, shape: tuple[int, ...]) -> str:
    """Return the message for X of a ``shape`` that differs from fit."""
    row, wanted = shape[1:], estimator.input_shape_
    layout: Any = getattr(estimator, "layout_", None)
    fitted = f"X has rows of shape {row}, but {type(estimator).__name__} was fitted on"
    text = f"{fitted} rows of shape {wanted}"
    images = layout is not None and layout.is_image
    cut = "resize or crop to that size, or fit a network for images of any size (module__dense=False)"
    if images and layout.any_size:
        return (
            f"{fitted} images with {_channels(wanted, layout.channel_axis)}, of any size. Convert images with PIL's "
            "image.convert('RGB') or image.convert('L'), and move the axis of the channels with numpy.moveaxis."
        )
    if len(shape) > 1 and math.prod(row) == math.prod(wanted):
        return f"{text}. Reshape X, or move its axes (numpy.moveaxis)."
    if images and layout.channel_axis is not None and row == tuple(np.delete(wanted, layout.channel_axis)):
        return f"{text}: the channels are missing. Convert gray images to color, with PIL's image.convert('RGB')."
    if len(shape) == len(wanted):
        return f"{text}. If X is a single sample, its size differs: {cut if images else 'it must have that shape'}."
    if images and len(row) == len(layout.image_shape) and layout.row_shape == layout.image_shape:
        sides = [
            f"{side} {got} instead of {want}"
            for side, got, want in zip(layout.axes, row, wanted, strict=True)
            if got != want
        ]
        return f"{text}: {', '.join(sides)}. All images must have the same size: {cut}."
    return f"{text}."
