"""Images of textures as the metrics compute with them: (channels, height, width), in units of the exemplar."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from .._data.arrays import as_array
from .._data.collections import is_pil_image, sample_array
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
    images = _split(X, "X", axis)
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
    if _is_list(X):
        first = np.shape(X[0])
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


def check_fits(textures: Textures, name: str, size: int, *, halves: bool = False) -> None:
    """Check that patches or crops of a size fit into all images, or into halves of them."""
    side = textures.shortest_side // 2 if halves else textures.shortest_side
    if side < size:
        owner = "exemplar" if min(textures.exemplar.shape[1:]) == textures.shortest_side else "X"
        part = "half of the shortest side" if halves else "the shortest side"
        raise ValueError(f"{name}={size} must be at most {part} of all images, {side}, which is that of {owner}.")


def _read_exemplar(exemplar: Any, channel_axis: Any) -> tuple[np.ndarray, int | None]:
    """Return the exemplar (channels, height, width) and the axis of its channels."""
    if _is_list(exemplar) or np.ndim(as_array(exemplar)) == 4:
        if len(exemplar) != 1:
            raise ValueError(f"exemplar must be one image, got {len(exemplar)}: compare with one after the other.")
        exemplar = exemplar[0]
    exemplar = check_values(_unwrapped(exemplar, "exemplar"), "exemplar")
    if exemplar.ndim not in (2, 3):
        raise ValueError(f"exemplar must be one image with 2 axes, or 3 with channels, got the shape {exemplar.shape}.")
    if exemplar.ndim == 3 and channel_axis is None:
        raise ValueError(f"exemplar must be one image, but with channel_axis=None the shape {exemplar.shape} is many.")
    axis = find_channel_axis(exemplar.shape, channel_axis, "exemplar has the shape")
    return _channels_first(exemplar, axis), axis


def _split(X: Any, name: str, axis: int | None) -> dict[str, np.ndarray]:
    """Return the images of X, which have their channels on ``axis``, by their names in messages."""
    n_axes = 2 if axis is None else 3
    if _is_list(X):
        images = {f"{name}[{i}]": check_values(_unwrapped(x, f"{name}[{i}]"), f"{name}[{i}]") for i, x in enumerate(X)}
    else:
        A = check_values(_unwrapped(X, name), name)
        images = {name: A} if A.ndim == n_axes else {f"{name}[{i}]": image for i, image in enumerate(A)}
    for key, image in images.items():
        if image.ndim != n_axes:
            kind = "gray ones (height, width)" if axis is None else "with channels, of three axes"
            raise ValueError(f"{key} must be an image as the exemplar or the first is, {kind}, got {image.shape}.")
    return {key: _channels_first(image, axis) for key, image in images.items()}


def _channels_first(image: np.ndarray, axis: int | None) -> np.ndarray:
    image = image[None] if axis is None else np.moveaxis(image, axis, 0)
    return np.ascontiguousarray(image, dtype=np.float64)


def _is_list(X: Any) -> bool:
    """Whether X is a collection of images, rather than an array."""
    is_column = isinstance(X, np.ndarray) and X.dtype == object and X.ndim == 1
    return (isinstance(X, list | tuple) or is_column) and len(X) > 0 and _is_image(X[0])


def _is_image(item: Any) -> bool:
    return is_pil_image(item) or len(getattr(item, "shape", ())) > 1


def _unwrapped(X: Any, name: str) -> Any:
    return sample_array(X, name) if is_pil_image(X) else X
