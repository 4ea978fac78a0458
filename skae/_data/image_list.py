"""Images of different sizes: a list, or any sequence that reads them one by one."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from scipy.sparse import issparse
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset

from .._utils.checks import LARGEST
from .._utils.memory import hold_budget
from .arrays import is_float
from .chunked import extremes
from .collections import column, is_pil_image, sample_array
from .images import ImageLayout, find_channel_axis, is_auto

_RUN = 2**22  # maximum number of values of images of equal size that are stacked
_MASK = "Set missing='mask' to treat NaN as missing values, or impute them first."


class ImageList:
    """Images of any height and width, as arrays (channels, height, width), validated when they are read.

    Parameters
    ----------
    source : sequence
        Arrays, tensors or PIL images, or a sequence that reads them, such as a torch Dataset or a
        `skimage.io.ImageCollection`; in a tuple the first entry is the image.
    name : str
        Name of the argument, for messages.
    channel_axis : 'auto', 0, -1 or None
        Axis of the channels; 'auto' is resolved for the first image.
    nan : bool
        Whether values may be NaN.
    remedy : str
        Last sentence of the message about NaN, if these are not allowed.
    """

    def __init__(
        self, source: Any, name: str = "X", channel_axis: Any = "auto", *, nan: bool = False, remedy: str = _MASK
    ) -> None:
        self._source, self.name, self._nan, self._remedy = source, name, nan, remedy
        self._kept: list[np.ndarray] | None = None
        if not len(source):
            raise ValueError(f"{name} must have at least one image, got none.")
        first = self._read(0)
        self.layout = _layout_of(first.shape, channel_axis, f"{name}[0]")
        self.dtype = first.dtype
        self.n_channels = self._as_network_takes_it(first, 0).shape[0]
        self.shapes: list[tuple[int, ...]] = []  #: (height, width) of each image, after `scan`

    def __len__(self) -> int:
        return len(self._source)

    def __getitem__(self, index: Any) -> np.ndarray:
        return self.check(self.read(index), index)

    def read(self, index: int) -> np.ndarray:
        """Return the image (channels, height, width) at ``index``, without validation of its values."""
        return self._as_network_takes_it(self._read(index), index) if self._kept is None else self._kept[index]

    def scan(self) -> None:
        """Read all images once: validate them, determine sizes and dtype, and keep them if they fit into memory."""
        # Arrays in memory and memory maps are kept as views.
        are_views = isinstance(self._source, list | tuple | np.ndarray) and not is_pil_image(self._source[0])
        kept, n_bytes, dtypes = [], 0, {self.dtype: 0}
        for i in range(len(self)):
            image = self[i]
            self.shapes.append(image.shape[1:])
            dtypes.setdefault(image.dtype, i)
            n_bytes += 0 if are_views else image.nbytes
            if n_bytes <= hold_budget():
                kept.append(image)
            else:
                kept.clear()
        self._check_dtypes(dtypes)
        self._kept = kept if len(kept) == len(self) else None

    @property
    def is_held(self) -> bool:
        """Whether images are in memory, after `scan`."""
        return self._kept is not None

    def check(self, image: np.ndarray, index: int) -> np.ndarray:
        """Check the values of an image."""
        if not is_float(image):
            return image
        low, high = extremes(image)
        place = f"{self.name}[{index}]"
        if math.isnan(low) or (not self._nan and np.isnan(image).any()):
            advice = "must have at least one value that is not NaN" if self._nan else "contains NaN"
            raise ValueError(f"{place} {advice}.{'' if self._nan else ' ' + self._remedy}")
        if max(-low, high) > LARGEST:
            what = "infinity" if math.isinf(max(-low, high)) else f"values up to {max(-low, high):g}"
            raise ValueError(f"{place} contains {what}, beyond the range of float32: remove or rescale it first.")
        return image

    def digests(self) -> list[str]:
        """Return a digest of each image."""
        images = (self.read(i) for i in range(len(self)))
        return [hashlib.sha256(np.ascontiguousarray(image).data).hexdigest() for image in images]

    def runs(self) -> Iterator[tuple[list[int], np.ndarray]]:
        """Yield the indices of consecutive images of equal size and dtype, and an array (n, C, H, W) of these."""
        index: list[int] = []
        images: list[np.ndarray] = []
        for i in range(len(self)):
            image = self[i]
            full = bool(images) and image.size * (len(images) + 1) > _RUN
            if images and (full or (image.shape, image.dtype) != (images[0].shape, images[0].dtype)):
                yield index, np.stack(images) if len(images) > 1 else images[0][None]
                index, images = [], []
            index.append(i)
            images.append(image)
        yield index, np.stack(images) if len(images) > 1 else images[0][None]

    def restore(self, image: Any) -> Any:
        """Return an image (channels, height, width) in the user's layout."""
        return self.layout.restore(image[None])[0]

    def _read(self, index: int) -> np.ndarray:
        item = self._source[index]
        if isinstance(item, tuple | list) and len(item) and not np.isscalar(item[0]) and _is_image_like(item[0]):
            item = item[0]  # a torch Dataset may return an image and its label
        name = f"{self.name}[{index}]"
        image = sample_array(item, name)
        if image.dtype.kind not in "biuf":
            raise ValueError(f"{name} must be an image of real numbers, got {_described(item, image)}.")
        if image.ndim not in (2, 3) or not image.size:
            raise ValueError(
                f"{name} must be an image (height, width), or of three axes with channels, got an array of shape "
                f"{image.shape}."
            )
        return image

    def _as_network_takes_it(self, image: np.ndarray, index: int) -> np.ndarray:
        name, axis = f"{self.name}[{index}]", self.layout.channel_axis
        if (image.ndim == 2) is not (axis is None):
            raise ValueError(
                f"{name} has the shape {image.shape}, but {self.name}[0] is {'gray' if axis is None else 'color'}: "
                "convert all images to gray or all to color, with PIL's image.convert('L') or image.convert('RGB')."
            )
        image = self.layout.arrange(image[None])[0]
        n = getattr(self, "n_channels", image.shape[0])
        if image.shape[0] != n:
            raise ValueError(
                f"{name} has {image.shape[0]} channels, but {self.name}[0] has {n}: all images must have the same."
            )
        return image

    def _check_dtypes(self, dtypes: dict[np.dtype, int]) -> None:
        """Raise an error for dtypes with different ranges of values."""
        (first, _), *others = dtypes.items()
        for dtype, i in others:
            if not first.kind == dtype.kind == "f":
                raise ValueError(
                    f"{self.name}[{i}] has the dtype {dtype} and {self.name}[0] the dtype {first}: convert all images "
                    "to the same dtype, for example by skimage.util.img_as_float32."
                )
        self.dtype = np.result_type(*dtypes)


def listed(X: Any) -> Any:
    """Return a column of images as a list; anything else unchanged."""
    return column(X) or X if hasattr(X, "iloc") else X


def is_image_list(X: Any) -> bool:
    """Return whether X is a sequence of images, of any sizes, rather than an array or a table."""
    if is_pil_image(X):
        return True
    if isinstance(X, list | tuple) or (isinstance(X, np.ndarray) and X.dtype == object):
        return len(X) > 0 and _is_image_like(X[0]) and getattr(X, "ndim", 1) == 1
    reads = hasattr(X, "__getitem__") and hasattr(X, "__len__")
    is_other = isinstance(X, str | bytes | dict | Tensor | np.ndarray | DataLoader | IterableDataset) or issparse(X)
    return reads and not is_other and not hasattr(X, "dtype") and not hasattr(X, "shape") and not hasattr(X, "iloc")


def as_image_list(X: Any, name: str, channel_axis: Any, *, nan: bool) -> ImageList:
    """Return the images of X: one PIL image, a sequence, a DataFrame column, or an array of images."""
    X = listed(X)
    return ImageList([X] if is_pil_image(X) else X, name, channel_axis, nan=nan)


def _is_image_like(item: Any) -> bool:
    return is_pil_image(item) or len(getattr(item, "shape", ())) in (2, 3)


def _described(item: Any, image: np.ndarray) -> str:
    return f"dtype {image.dtype}" if image.dtype != object else f"a {type(item).__name__}"


def _layout_of(shape: tuple[int, ...], channel_axis: Any, name: str) -> ImageLayout:
    """Return the layout of images from the shape of the first one."""
    if len(shape) == 2 and is_auto(channel_axis):
        channel_axis = None
    if len(shape) == 2 and channel_axis is not None:
        raise ValueError(f"channel_axis={channel_axis} needs images with three axes, but {name} has the shape {shape}.")
    return ImageLayout(shape, shape, find_channel_axis(shape, channel_axis, f"{name} has the shape"))
