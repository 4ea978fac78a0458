"""Code maps of an image and its shifts, by a fitted autoencoder, with their residuals and periodic decoding."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from sklearn.base import clone

from .._data.images import ImageLayout
from .._utils.rng import draw_seed
from .._utils.slots import unwrapped
from ..estimators._base import BaseAutoencoder
from ..estimators._crops import takes_any_size
from ..estimators._resolve import find_network
from ..nn import Conv

RIM = 2  # cells along the border of a code map that are affected by padding


class Source(NamedTuple):
    """Code map of a shifted image, without its rim."""

    codes: np.ndarray  #: float32 (C, h, w)
    residual: np.ndarray  #: image minus reconstruction: float32 (channels, h * stride, w * stride)
    offset: tuple[int, int]  #: row and column, in pixels, of the first cell in the image


class CodeMaps:
    """Code maps of a fitted estimator with a spatial code.

    Parameters
    ----------
    estimator : BaseAutoencoder
        Fitted; see `fitted_on`.
    """

    def __init__(self, estimator: BaseAutoencoder) -> None:
        self._estimator = estimator
        network = estimator.module_.network
        self.stride: int = network.stride
        self.layout: ImageLayout = estimator.layout_
        # In cells, so that the values that are kept do not depend on the border.
        self._margin = math.ceil(network.halo / self.stride)

    def encode(self, image: np.ndarray) -> np.ndarray:
        """Return the code map (C, h, w) of an image in the user's layout."""
        found = self._estimator.transform([image])[0]
        if found.ndim == 1:  # for an image of the size of fit
            size = self._estimator.module_.code_size(self._in_network_layout(image).shape[1:])
            found = found.reshape(-1, *size)
        return np.ascontiguousarray(found, np.float32)

    def decode(self, codes: np.ndarray, *, wrap: bool = False) -> np.ndarray:
        """Return the image (channels, h * stride, w * stride) of a code map (C, h, w), with ``wrap`` on a torus."""
        margin = self._margin if wrap else 0
        codes = np.pad(codes, ((0, 0), (margin, margin), (margin, margin)), mode="wrap")
        size = codes.shape[1] * self.stride, codes.shape[2] * self.stride
        image = self._in_network_layout(self._estimator.inverse_transform(codes[None], size=size)[0])
        cut = slice(margin * self.stride, -margin * self.stride or None)
        return image[:, cut, cut]

    def sources(self, image: np.ndarray, step: int) -> list[Source]:
        """Return the code maps of an image in the user's layout, at shifts of multiples of ``step`` pixels.

        Shifts give blocks that begin between the cells of a code, and match others better.
        """
        pixels = self._in_network_layout(image)
        shifts = range(0, self.stride, step)
        return [self._source(pixels, row, column) for row in shifts for column in shifts]

    def _source(self, pixels: np.ndarray, row: int, column: int) -> Source:
        stride = self.stride
        height, width = (
            (side - shift) // stride * stride for side, shift in zip(pixels.shape[1:], (row, column), strict=True)
        )
        shifted = pixels[:, row : row + height, column : column + width]
        codes = self.encode(self.layout.restore(shifted[None])[0])
        residual = (shifted - self.decode(codes)).astype(np.float32)
        inner, rim = slice(RIM, -RIM), slice(RIM * stride, -RIM * stride)
        offset = row + RIM * stride, column + RIM * stride
        return Source(np.ascontiguousarray(codes[:, inner, inner]), residual[:, rim, rim], offset)

    def _in_network_layout(self, image: np.ndarray) -> np.ndarray:
        return self.layout.arrange(image[None])[0]


def fitted_on(estimator: Any, images: Sequence[np.ndarray], channel_axis: Any, random_state: Any) -> BaseAutoencoder:
    """Return a clone of ``estimator``, fitted on crops of images in the user's layout."""
    if not isinstance(estimator, BaseAutoencoder):
        raise TypeError(f"estimator must be an autoencoder of skae, such as ConvAutoencoder, got {estimator!r}.")
    if not takes_any_size(find_network(estimator.module), estimator._network_params()):
        raise ValueError(
            f"estimator must have a spatial code for images of any size, got {estimator!r}: pass "
            "module__dense=False to ConvAutoencoder, or to VAEGenerator with module='conv'."
        )
    if getattr(estimator, "conditional", False):
        raise ValueError(f"estimator must have conditional=False, since there is no y, got {estimator!r}.")
    # The layout is that of the images, and codes are maps.
    layout = {"channel_axis": channel_axis, "input_shape": None, "pooling": None}
    fresh = clone(estimator)
    fresh.set_params(**{name: value for name, value in layout.items() if name in fresh.get_params(deep=False)})
    if fresh.random_state is None:
        fresh.set_params(random_state=draw_seed(random_state))
    _, given = unwrapped(find_network(estimator.module))
    params = given | estimator._network_params()
    _check_halo(params.get("normalization") != "group")  # raise errors before the training
    fresh.fit(list(images))
    _check_halo(getattr(fresh.module_.network, "halo", None) is not None)
    return fresh


def _check_halo(has_halo: bool) -> None:
    if not has_halo:
        raise ValueError(
            "estimator must have a network in which each pixel depends on its surroundings only, got one without a "
            "halo: remove module__normalization='group', or define the attribute halo of your own network."
        )


def find_stride(estimator: Any) -> int | None:
    """Return the stride of an estimator's code before a fit, or None if it is unknown."""
    if not isinstance(estimator, BaseAutoencoder):
        return None  # `fitted_on` raises the error
    cls, given = unwrapped(find_network(estimator.module))
    if not (isinstance(cls, type) and issubclass(cls, Conv)):
        return None
    params = given | estimator._network_params()
    channels = params.get("channels", (16, 32))
    if params.get("downsampling", "stride") is None:
        return 1
    return 2 ** (len(channels) if isinstance(channels, Sequence) else 1)


def lay(residuals: Sequence[np.ndarray], origins: np.ndarray, stride: int) -> np.ndarray:
    """Arrange residuals (channels, h * stride, w * stride) of sources by the ``origins`` (3, H, W) of a quilt's cells.

    Return (channels, H * stride, W * stride).
    """
    _, height, width = origins.shape
    laid = np.zeros((len(residuals[0]), height, stride, width, stride), np.float32)
    for source in np.unique(origins[0]):
        rows, columns = np.nonzero(origins[0] == source)
        channels, h, w = residuals[source].shape
        cells = residuals[source].reshape(channels, h // stride, stride, w // stride, stride)
        _, from_rows, from_columns = origins[:, rows, columns]
        # NumPy puts axes of several index arrays first.
        laid[:, rows, :, columns] = cells[:, from_rows, :, from_columns]
    return laid.reshape(len(laid), height * stride, width * stride)
