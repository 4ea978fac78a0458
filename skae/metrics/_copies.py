"""How much of an image is copied from its exemplar."""

from __future__ import annotations

import numbers
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from .._data.chunked import slices
from .._utils.checks import check_number
from ._texture_images import check_fits, read_textures

_N_COMPONENTS = 20  # of patches, for distances


class CopiedShare(NamedTuple):
    """Result of `~skae.metrics.copied_share`."""

    share: float
    largest: int


def copied_share(
    X: Any, exemplar: Any, *, patch_size: int = 9, crop_size: int | None = 128, channel_axis: Any = "auto"
) -> CopiedShare:
    """Measure how much of images lies in pieces of the exemplar, copied as they are.

    The nearest patch of the exemplar is found for every patch of the image. Where the nearest patches of a patch and of
    its right, lower and diagonal neighbors are at the same offset from them (they are coherent, as Ashikhmin, 2001,
    calls it), all four come from one piece of the exemplar. The share of such patches and the largest square of them
    are returned.

    Textures made by quilting consist of copied pieces by construction; another photograph of the same material has
    almost none. Neither is better by itself: state the share beside a picture. Small
    changes of values, such as noise or blur, leave the offsets as they are, so what is copied and then changed counts
    too; what is mirrored, rotated or enlarged does not. In flat regions and those that repeat there are many equally
    near patches, which do not count.

    Parameters
    ----------
    X : array-like of shape (height, width), (n, height, width) or with channels, or list of images
        One image or several, in the layout and units of ``exemplar``.
    exemplar : array-like of shape (height, width) or with channels
        The image that they may be copied from.
    patch_size : int, default=9
        Side of the patches in pixels; at least 2.
    crop_size : int, default=128
        Only the central part of each image, of so many pixels a side, is looked at, since time grows with the number
        of patches of X times that of the exemplar: about a second for 128 × 128 pixels and 256 × 256. None takes all
        of it. ``largest`` is at most ``crop_size``.
    channel_axis : {'auto', 0, -1, None}, default='auto'
        Axis of the channels in one image, as in `skae.ConvAutoencoder`.

    Returns
    -------
    result : named tuple
        ``share`` : float, of patches in copied pieces, in [0, 1]; the mean over images.

        ``largest`` : int, the side in pixels of the largest square that was copied as one piece, over all images; 0 if
        there is none, else above ``patch_size``.

    Raises
    ------
    ValueError
        If an array holds no images, or NaN, infinity or values that are not real; if their channels differ; if an image
        is not larger than a patch; if ``exemplar`` is constant or more than one image.

    See Also
    --------
    memorization : The same question for samples of fixed size.

    Notes
    -----
    Distances are taken in the first 20 principal axes of the exemplar's patches, in single precision.

    References
    ----------
    M. Ashikhmin, 2001. Synthesizing natural textures. Symposium on Interactive 3D Graphics.

    Examples
    --------
    >>> import numpy as np
    >>> from skae.metrics import copied_share
    >>> exemplar = np.random.default_rng(0).normal(size=(64, 64))
    >>> copied_share(exemplar[10:42, 20:52], exemplar)
    CopiedShare(share=1.0, largest=32)
    >>> mirrored = exemplar[10:42, 20:52][:, ::-1]
    >>> copied_share(mirrored, exemplar)
    CopiedShare(share=0.0, largest=0)
    """
    check_number("patch_size", patch_size, numbers.Integral, 2)
    if crop_size is not None:
        check_number("crop_size", crop_size, numbers.Integral, 3)
        if crop_size <= patch_size:
            raise ValueError(f"crop_size must be above patch_size={patch_size}, got {crop_size}.")
    textures = read_textures(X, exemplar, channel_axis)
    if textures.shortest_side <= patch_size:
        check_fits(textures, "patch_size + 1", patch_size + 1)
    moments = sum(patches.T @ patches for patches in _patches(textures.exemplar, patch_size))
    axes = np.linalg.eigh(moments)[1][:, -_N_COMPONENTS:]
    known = _projected(textures.exemplar, patch_size, axes)
    found = []
    for image in textures.images:
        crop = image if crop_size is None else _central(image, crop_size)
        shape = tuple(side - patch_size + 1 for side in crop.shape[1:])
        nearest = _nearest(_projected(crop, patch_size, axes), known).reshape(shape)
        together = _moves_together(nearest, textures.exemplar.shape[2] - patch_size + 1)
        side = _largest_square(together)
        found.append((together.mean(), side + patch_size if side else 0))
    return CopiedShare(float(np.mean([share for share, _ in found])), max(side for _, side in found))


def _central(image: np.ndarray, size: int) -> np.ndarray:
    top, left = (max(0, side - size) // 2 for side in image.shape[1:])
    return image[:, top : top + size, left : left + size]


def _patches(image: np.ndarray, size: int) -> Iterator[np.ndarray]:
    """Yield all patches of an image (channels, height, width) as rows in single precision, band by band."""
    windows = np.lib.stride_tricks.sliding_window_view(image.astype(np.float32), (size, size), axis=(1, 2))
    windows = windows.transpose(1, 2, 0, 3, 4)
    for s in slices(windows):
        yield windows[s].reshape(-1, image.shape[0] * size**2)


def _projected(image: np.ndarray, size: int, axes: np.ndarray) -> np.ndarray:
    """Return the coordinates of all patches."""
    return np.concatenate([patches @ axes for patches in _patches(image, size)])


def _nearest(A: np.ndarray, B: np.ndarray) -> np.ndarray:
    """Return the index of the row of B nearest to each row of A."""
    # ‖a - b‖² less ‖a‖², which is the same for all b, as one product.
    A = np.column_stack([-2 * A, np.ones(len(A), A.dtype)])
    B = np.column_stack([B, np.einsum("ij,ij->i", B, B)]).T
    return np.concatenate([(A[s] @ B).argmin(axis=1) for s in slices(A, B.shape[1])])


def _moves_together(nearest: np.ndarray, width: int) -> np.ndarray:
    """Return where the right, lower and diagonal neighbors have the same offset, (height - 1, width - 1)."""
    rows, columns = np.indices(nearest.shape)
    offset = np.stack([nearest // width - rows, nearest % width - columns])
    here = offset[:, :-1, :-1]
    others = offset[:, :-1, 1:], offset[:, 1:, :-1], offset[:, 1:, 1:]
    return np.logical_and.reduce([(here == other).all(axis=0) for other in others])


def _largest_square(mask: np.ndarray) -> int:
    """Return the side of the largest square that is True."""
    table = np.pad(mask.cumsum(axis=0).cumsum(axis=1), ((1, 0), (1, 0)))
    low, high = 0, min(mask.shape)
    while low < high:  # a square contains all smaller ones
        k = (low + high + 1) // 2
        counts = table[k:, k:] - table[:-k, k:] - table[k:, :-k] + table[:-k, :-k]
        low, high = (k, high) if (counts == k * k).any() else (low, k - 1)
    return low
