"""Layouts of images in X, and their conversion to and from (n, channels, height, width)."""

from __future__ import annotations

import math
import numbers
import operator
from typing import Any, NamedTuple

import numpy as np
from torch import Tensor

LIKELY_CHANNELS = (1, 3, 4)  # gray, RGB, RGBA
_NARROW = 16  # a stack of gray images with 3 or 4 columns and at most this height is not mistaken for one color image


class ImageLayout(NamedTuple):
    """Shape of a sample of X and of the image that it contains."""

    row_shape: tuple[int, ...]  #: shape of a sample of X: flat, or that of the image
    image_shape: tuple[int, ...]  #: (height, width), or with the channels first or last
    channel_axis: int | None  #: 0, -1 or None, an axis of ``image_shape``
    any_size: bool = False  #: whether images may have any size; then these are the shapes of crops

    @property
    def is_image(self) -> bool:
        """Whether samples are images."""
        return True

    @property
    def axes(self) -> tuple[str, ...]:
        """Names of the axes of ``image_shape``."""
        if self.channel_axis is None:
            return "height", "width"
        return ("channels", "height", "width") if self.channel_axis == 0 else ("height", "width", "channels")

    def arrange(self, X: Any) -> Any:
        """Rearrange samples of X, an array or a tensor, to (n, channels, height, width), as a view if possible.

        Images that are not flat may have any size.
        """
        flat = self.row_shape != self.image_shape
        images = X.reshape(X.shape[0], *self.image_shape) if flat else X  # X.shape[0] may be symbolic in an export
        if self.channel_axis is None:
            return images[:, None]
        return images if self.channel_axis == 0 else _move_axis(images, -1, 1)

    def restore(self, images: Any) -> Any:
        """Rearrange images (n, channels, height, width) to samples of X."""
        if self.channel_axis is None:
            images = images[:, 0]
        elif self.channel_axis == -1:
            images = _move_axis(images, 1, -1)
        images = images.contiguous() if isinstance(images, Tensor) else np.ascontiguousarray(images)
        flat = self.row_shape != self.image_shape
        return images.reshape(images.shape[0], *self.row_shape) if flat else images


def find_layout(row_shape: tuple[int, ...], input_shape: Any, channel_axis: Any, name: str = "X") -> ImageLayout:
    """Infer the layout from the shape of the samples of ``name`` and the user's parameters."""
    source = f"{name} has rows of shape"  # start of messages about the image shape
    if input_shape is not None:
        image_shape, source = _fill(input_shape, row_shape, name), "input_shape is"
    elif len(row_shape) > 1:
        image_shape = row_shape
    else:
        side = math.isqrt(row_shape[0])
        if side**2 != row_shape[0]:
            raise ValueError(
                f"{name} has flattened samples of {row_shape[0]} values, not square gray images: pass input_shape, "
                "the shape of one image, such as (height, width), (height, width, channels) or (channels, height, "
                f"width). If {name} is a single image, pass it as a list, [{name}], to a network for images of any "
                "size (module__dense=False)."
            )
        image_shape, source = (side, side), f"{name} has flat rows, taken for images of shape"
    if len(image_shape) not in (2, 3):
        raise ValueError(f"{source} {image_shape}, but an image has 2 axes, or 3 with channels.")
    return ImageLayout(row_shape, image_shape, find_channel_axis(image_shape, channel_axis, source))


def refuse_one_image(row_shape: tuple[int, ...], name: str = "X") -> None:
    """Reject one color image (height, width, 3), which would be read as a stack of gray images with 3 columns."""
    if len(row_shape) == 2 and row_shape[1] in (3, 4) and row_shape[0] > _NARROW:
        raise ValueError(
            f"{name} has rows of shape {row_shape}, as a single color image has. Images are stacked, (n, height, "
            f"width, channels): pass a single one as a list, [{name}], to a network for images of any size "
            "(module__dense=False). "
            f"Pass channel_axis=None if these are gray images of height {row_shape[0]} and width {row_shape[1]}."
        )


def _move_axis(images: Any, source: int, target: int) -> Any:
    return images.movedim(source, target) if isinstance(images, Tensor) else np.moveaxis(images, source, target)


def is_auto(channel_axis: Any) -> bool:
    """Return whether ``channel_axis`` is to be inferred from the image shape."""
    return isinstance(channel_axis, str) and channel_axis == "auto"


def _fill(input_shape: Any, row_shape: tuple[int, ...], name: str) -> tuple[int, ...]:
    """Check ``input_shape`` and infer a dimension of -1, like `numpy.reshape`."""
    try:
        shape = tuple(operator.index(side) for side in input_shape)
    except TypeError:
        raise TypeError(f"input_shape must be None or a tuple of integers, got {input_shape!r}.") from None
    size = math.prod(row_shape)
    known = math.prod(side for side in shape if side != -1)
    filled = tuple(size // known if side == -1 and known else side for side in shape)
    if shape.count(-1) > 1 or min(filled, default=0) < 1 or math.prod(filled) != size:
        raise ValueError(f"input_shape={input_shape} does not hold the {size} values that a row of {name} has.")
    if len(row_shape) > 1 and filled != row_shape:
        raise ValueError(
            f"input_shape={input_shape} does not fit the rows of {name}, which have the shape {row_shape}."
        )
    return filled


def find_channel_axis(image_shape: tuple[int, ...], channel_axis: Any, source: str) -> int | None:
    """Return which axis of an image holds its channels; ``source`` begins messages about its shape."""
    automatic = is_auto(channel_axis)
    is_integer = isinstance(channel_axis, numbers.Integral) and not isinstance(channel_axis, bool)
    if not (automatic or channel_axis is None or is_integer):
        raise TypeError(f"channel_axis must be 'auto', None or an integer, got {channel_axis!r}.")
    if len(image_shape) == 2:
        if automatic or channel_axis is None:
            return None
        raise ValueError(
            f"channel_axis={channel_axis} needs images with three axes, but {source} {image_shape}. For flat rows "
            "pass input_shape."
        )
    if automatic:
        first, last = (image_shape[axis] in LIKELY_CHANNELS for axis in (0, -1))
        if first == last and image_shape != (1, 1, 1):  # only an image of one pixel is the same either way
            raise ValueError(
                f"{source} {image_shape}, and such images may have their channels first or last: pass channel_axis=0 "
                "or channel_axis=-1."
            )
        return -1 if last else 0
    if channel_axis not in (0, -1, 2, -3):
        raise ValueError(
            f"channel_axis must be 'auto', 0 or -1 for images of shape {image_shape}, got {channel_axis!r}."
        )
    return 0 if channel_axis in (0, -3) else -1
