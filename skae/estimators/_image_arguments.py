"""Images of any size, and their codes, as arguments of a fitted estimator."""

from __future__ import annotations

import math
import numbers
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .._data.arrays import as_tensor, check_array
from .._data.image_list import ImageList, as_image_list, is_image_list, listed
from .._data.layout import NO_LAYOUT
from .._data.sources import LazyArray, load_if_small
from .._data.validation import check_values
from .._utils.checks import check_number


def as_any_size(est: Any, X: Any, name: str = "X") -> Any:
    """Return images of another size than that of `fit`, or a list of images; None if X is like the X of `fit`.

    An array of images, one image or one PIL image becomes an array or a tensor (n, ...), a sequence an `ImageList`.
    """
    layout = est._layout
    if layout is NO_LAYOUT or layout.row_shape != layout.image_shape:
        return None
    X = listed(X)
    if is_image_list(X) and not _is_one_pil_image(X):
        if not layout.any_size and _all_as_fitted(est, X):
            return None
        images = as_image_list(X, name, layout.channel_axis, nan=est.module_.missing)
        if images.n_channels != est.module_.input_shape[0]:
            raise ValueError(f"{name} must have images of {_channels(est)}, got {images.n_channels}.")
        return images
    if _is_one_pil_image(X):
        X = np.asarray(X)
    X = load_if_small(as_tensor(X))
    shape, wanted = tuple(getattr(X, "shape", ())), layout.row_shape
    if len(shape) == len(wanted) and not isinstance(X, LazyArray):
        X = X[None]
    elif len(shape) != len(wanted) + 1:
        return None  # an error in other checks
    if tuple(X.shape[1:]) == tuple(wanted):
        return None
    axis = layout.channel_axis
    if axis is not None and X.shape[1:][axis] != wanted[axis]:
        return None
    if not X.shape[0] or 0 in X.shape:
        raise ValueError(f"{name} must hold at least one image with at least one pixel, got the shape {shape}.")
    return check_values(X, name, est._nan)


def _is_one_pil_image(X: Any) -> bool:
    return is_image_list(X) and not hasattr(X, "__len__")


def _channels(est: Any) -> str:
    n = est.module_.input_shape[0]
    return f"{n} channel{'s' * (n > 1)}, as in fit"


def _all_as_fitted(est: Any, X: Any) -> bool:
    """Return whether all images of a list have the size of `fit`."""
    if not isinstance(X, list | tuple | np.ndarray):
        return False
    wanted = est._layout.row_shape
    return all(tuple(np.shape(item) if _is_one_pil_image(item) else item.shape) == wanted for item in X)


def check_image_size(size: Any) -> tuple[int, int]:
    """Check a height and width; an int is both."""
    size = size.tolist() if isinstance(size, np.ndarray) else size
    sides = size if isinstance(size, tuple | list) else (size, size)
    if len(sides) != 2:
        raise ValueError(f"size must be an int or (height, width), got {size!r}.")
    for side in sides:
        check_number("size", side, numbers.Integral, 1)
    return int(sides[0]), int(sides[1])


def code_maps(est: Any, Z: Any, size: Any) -> list[tuple[Any, tuple[int, int]]] | None:
    """Return flat codes of maps (n, n_components, h, w), and the size of their images; None for codes as in `fit`.

    ``size`` is the size of all images, or a list with one size for each map of a list.
    """
    is_list = isinstance(Z, list | tuple) and len(Z) > 0 and len(getattr(Z[0], "shape", ())) == 3
    if not is_list and len(getattr(Z, "shape", ())) != 4 and size is None:
        return None
    if not is_list:
        Z, size = [Z], [size]
    elif size is None or not isinstance(size, list | tuple) or not isinstance(size[0], list | tuple):
        size = [size] * len(Z)
    if len(size) != len(Z):
        raise ValueError(f"size must have a size for each of the {len(Z)} code maps of X, got {len(size)}.")
    names = [f"X[{i}]" for i in range(len(Z))] if is_list else ["X"]
    maps = [as_tensor(A)[None] if is_list else as_tensor(A) for A in Z]
    own = [None if one is None else check_image_size(one) for one in size]
    return [_as_flat_codes(est, *parts) for parts in zip(maps, own, names, strict=True)]


def _as_flat_codes(est: Any, maps: Any, size: tuple[int, int] | None, name: str) -> tuple[Any, tuple[int, int]]:
    """Check maps (n, n_components, h, w), or flat codes where ``size`` is given; return flat codes, and a size."""
    module = est.module_
    n_components, stride = module.n_components, module.network.stride

    def has_components(width: int, n_positions: int = 1) -> bool:
        n, rest = divmod(width, n_positions)
        return not rest and (n == n_components or (module.bottleneck.ordered and 0 < n < n_components))

    fewer = ", or its first channels" if module.bottleneck.ordered else ""
    if maps.ndim == 2 and size is not None:
        n_positions = math.prod(module.code_size(size))
        width = n_components * n_positions
        if not has_components(maps.shape[1], n_positions):
            raise ValueError(f"{name} must have {width} columns for images of size {size}{fewer}, got {maps.shape[1]}.")
    elif maps.ndim != 4 or not has_components(maps.shape[1]):
        raise ValueError(
            f"{name} must be a code map of {n_components} channels, ({n_components}, height, width), as returned by "
            f"transform for a list{fewer}, got the shape {tuple(maps.shape[-3:])}."
        )
    else:
        places = tuple(maps.shape[2:])
        if size is None:
            of_fit = module.input_shape[1:]
            is_of_fit = module.code_size(of_fit) == places and not est._layout.any_size
            size = of_fit if is_of_fit else (places[0] * stride, places[1] * stride)
        if module.code_size(size) != places:
            raise ValueError(f"{name} has {places} positions, but images of size {size} have {module.code_size(size)}.")
        maps = maps.reshape(len(maps), -1)
    check_array(maps.cpu().numpy() if isinstance(maps, Tensor) else maps, input_name=name)
    assert size is not None
    return maps, size


def width_of_draws(module: Any, layout: Any) -> int | None:
    """Return the width of draws from the density of codes: one position after training on crops; None for all."""
    return module.n_components if getattr(layout, "any_size", False) and module.any_size else None


def pooled(Z: Tensor, n_components: int, pooling: str) -> Tensor:
    """Return the mean or the maximum over the positions of flat codes (n, n_components * n_positions)."""
    maps = Z.unflatten(1, (n_components, -1))
    return maps.mean(2) if pooling == "mean" else maps.amax(2)


def by_image(run: Any, images: ImageList, *others: Any) -> list[Tensor]:
    """Apply ``run`` to images of each size with the entries of ``others``, and return the results by image."""
    found: list[Any] = [None] * len(images)
    for index, stack in images.runs():
        rest = [_rows(A, index) for A in others]
        for i, result in zip(index, run(stack, *rest), strict=True):
            found[i] = result
    return found


def _rows(A: Any, index: Sequence[int]) -> Any:
    if isinstance(A, ImageList):
        return np.stack([A[i] for i in index])
    return None if A is None else A[index]


def count_values(target: Any) -> Any:
    """Return the number of values per sample, as a number, or as a tensor for a list of images."""
    if isinstance(target, ImageList):
        return torch.tensor([target.read(i).size for i in range(len(target))], dtype=torch.float64)
    return math.prod(target.shape[1:])
