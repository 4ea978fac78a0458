"""Images of textures as the metrics compute with them: (channels, height, width), in units of the exemplar."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from .._data.arrays import as_array
from .._data.collections import is_pil_image, sample_array
from .._data.image_list import is_image_list, listed
from .._data.images import find_channel_axis, is_auto
from .._utils.checks import LARGEST
from ._checks import check_values


class Textures(NamedTuple):
    """Images and their exemplar, float64, less its mean and divided by its standard deviation."""

    images: list[np.ndarray]  #: each (channels, height, width)
    exemplar: np.ndarray  #: (channels, height, width)

    @property
    def shortest_side(self) -> int:
        """Of all images and the exemplar."""
        return min(min(image.shape[1:]) for image in (*self.images, self.exemplar))


def read_textures(X: Any, exemplar: Any, channel_axis: Any) -> Textures:
    """Check images X, one or several, and their exemplar, whose layout is that of X."""
    found, axis = _read_exemplar(exemplar, channel_axis)
    images = _split(_given(X), "X", axis, "exemplar")
    for name, image in images.items():
        if len(image) != len(found):
            raise ValueError(
                f"{name} has {len(image)} channels, but exemplar has {len(found)}: both must have the same. Color "
                "images have their channels where exemplar has them: channel_axis says on which axis."
            )
    center = found.mean()
    found = found - center
    size = abs(found).max()
    deviation = size and size * (found / size).std()  # squares of values near 0 would be 0
    if not deviation > 1e-12 * abs(center):  # otherwise rounding errors
        raise ValueError("exemplar must be a texture, but is constant: all its values are equal.")
    with np.errstate(over="ignore"):
        scaled = {name: (image - center) / deviation for name, image in images.items()}
    for name, image in scaled.items():
        if not abs(image).max() <= LARGEST:
            raise ValueError(f"{name} holds values too far from those of exemplar: give both in the same units.")
    return Textures(list(scaled.values()), found / deviation)


def read_images(X: Any, channel_axis: Any) -> dict[str, np.ndarray]:
    """Return images X, one or several, as arrays (channels, height, width) of float64, by their names in messages.

    Three axes are one color image if the last has 3 or 4 entries or ``channel_axis`` is given, else a stack.
    """
    X = _given(X)
    if is_image_list(X):
        first = np.shape(as_array(X[0]))
        axis = find_channel_axis(first, channel_axis, "X[0] has the shape") if len(first) in (2, 3) else None
        return _split(X, "X", axis)
    X = check_values(X, "X")
    if X.ndim == 4:
        axis = find_channel_axis(X.shape[1:], channel_axis, "X has rows of shape")
    elif X.ndim == 3 and (X.shape[-1] in (3, 4) if is_auto(channel_axis) else channel_axis is not None):
        axis = find_channel_axis(X.shape, -1 if is_auto(channel_axis) else channel_axis, "X has the shape")
    else:
        axis = None if is_auto(channel_axis) else find_channel_axis(X.shape[-2:], channel_axis, "X has the shape")
    return _split(X, "X", axis)


def check_fits(textures: Textures, name: str, size: int, *, within: str = "at most the shortest side") -> None:
    """Check that patches or crops of a size are ``within`` all images, which may be "at most half of ..."."""
    shortest = textures.shortest_side
    largest = shortest // 2 if "half" in within else shortest - ("less" in within)
    if size > largest:
        owner = "exemplar" if min(textures.exemplar.shape[1:]) == shortest else "X"
        shown = shortest // 2 if "half" in within else shortest
        raise ValueError(f"{name}={size} must be {within} of all images, {shown}, which is that of {owner}.")


def _read_exemplar(exemplar: Any, channel_axis: Any) -> tuple[np.ndarray, int | None]:
    """Return the exemplar (channels, height, width) and the axis of its channels."""
    exemplar = _given(exemplar)
    if is_image_list(exemplar) or np.ndim(exemplar) == 4:
        if len(exemplar) != 1:
            raise ValueError(f"exemplar must be one image, got {len(exemplar)}: compare with one after the other.")
        exemplar = _given(exemplar[0])
    exemplar = check_values(exemplar, "exemplar")
    if exemplar.ndim not in (2, 3):
        raise ValueError(f"exemplar must be one image with 2 axes, or 3 with channels, got the shape {exemplar.shape}.")
    if exemplar.ndim == 3 and channel_axis is None:
        raise ValueError(f"exemplar must be one image, but with channel_axis=None the shape {exemplar.shape} is many.")
    axis = find_channel_axis(exemplar.shape, channel_axis, "exemplar has the shape")
    return _channels_first(exemplar, axis), axis


def _split(X: Any, name: str, axis: int | None, reference: str = "the first") -> dict[str, np.ndarray]:
    """Return the images of X, which have their channels on ``axis``, by their names in messages."""
    n_axes = 2 if axis is None else 3
    if is_image_list(X):
        images = {f"{name}[{i}]": check_values(_given(image), f"{name}[{i}]") for i, image in enumerate(X)}
    else:
        A = check_values(X, name)
        if reference == "exemplar" and axis is None and A.ndim == 3 and A.shape[-1] in (3, 4):
            raise ValueError(f"{name} has the shape {A.shape}, that of a color image, but exemplar is gray.")
        is_stack = A.ndim == n_axes + 1
        images = {f"{name}[{i}]": image for i, image in enumerate(A)} if is_stack else {name: A}
    for key, image in images.items():
        if image.ndim != n_axes:
            kind = "a gray one (height, width)" if axis is None else "one with channels, of three axes"
            raise ValueError(f"{key} must be an image as {reference} is, {kind}; got the shape {image.shape}.")
    return {key: _channels_first(image, axis) for key, image in images.items()}


def _channels_first(image: np.ndarray, axis: int | None) -> np.ndarray:
    image = image[None] if axis is None else np.moveaxis(image, axis, 0)
    return np.ascontiguousarray(image, dtype=np.float64)


def _given(X: Any) -> Any:
    """Return tensors and PIL images as arrays, and a column of images as a list; anything else unchanged."""
    return sample_array(X, "X") if is_pil_image(X) else listed(as_array(X))
