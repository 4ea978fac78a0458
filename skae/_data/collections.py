"""Stack collections of samples into one array: lists and columns of sequences or images, PIL images.

Arrays and anything that is not a collection of arrays pass through unchanged; file names are rejected.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
from torch import Tensor

from .arrays import as_array

_ONE_SIZE = (
    "use a network for images of any size, ConvAutoencoder or VAEGenerator with module='conv' and "
    "module__dense=False, or resize the images to one size"
)


def one_array(
    X: Any, name: str = "X", *, step_axis: int | None = None, takes_images: Callable[[], bool] = lambda: False
) -> Any:
    """Stack ``X`` into one array if it is a collection of arrays: a list, column, object array, or one PIL image.

    With ``step_axis``, the time axis of a sample, shorter sequences are padded with NaN. Without it, samples of unequal
    length raise an error, whose remedy depends on ``takes_images``.
    """
    if isinstance(X, Tensor) or (isinstance(X, np.ndarray) and X.dtype.kind not in "OUS"):
        return X
    _refuse_files(X, name)
    items = _items(X)
    if items is None:
        return X
    if isinstance(items[0], list | tuple):
        whole = _whole(items)
        if whole is not None:
            return whole if whole.dtype.kind in "biuf" else X
    arrays = [sample_array(item, f"{name}[{i}]") for i, item in enumerate(items)]
    shapes = [A.shape for A in arrays]
    if len(set(shapes)) == 1:
        return np.stack(arrays)
    if step_axis is None:
        raise ValueError(_of_unequal_shape(shapes, name, takes_images()))
    if len({_channels(shape, step_axis) for shape in shapes}) > 1 or len(shapes[0]) > 2:
        raise ValueError(_of_unequal_channels(shapes, name, step_axis))
    return _padded(arrays, step_axis)


def _items(X: Any) -> list[Any] | None:
    """Return the samples of a collection, or None if ``X`` is not one."""
    if is_pil_image(X):
        return [X]
    if isinstance(X, np.ndarray):
        X = list(X.ravel()) if X.ndim == 1 or (X.ndim == 2 and X.shape[1] == 1) else []
    elif not isinstance(X, list | tuple):
        X = column(X)
    return list(X) if len(X) and _is_sample(X[0]) else None


def column(X: Any) -> list[Any]:
    """Return the arrays or lists in a Series or a DataFrame of one column; empty for anything else."""
    columns = getattr(X, "columns", None) if hasattr(X, "to_numpy") else None  # not a lazy frame, which would compute
    if columns is not None and len(columns) == 1:
        X = X[columns[0]]
    elif columns is not None:
        return []
    if not hasattr(X, "to_list") or not len(X):
        return []
    first = X.iloc[0] if hasattr(X, "iloc") else X[0]
    return X.to_list() if _is_sample(first) else []


def _is_sample(item: Any) -> bool:
    return isinstance(item, list | tuple) or is_pil_image(item) or len(getattr(item, "shape", ())) > 0


def is_pil_image(item: Any) -> bool:
    """Return whether an object is a PIL image."""
    pil = sys.modules.get("PIL.Image")  # an image exists only if PIL was imported
    return pil is not None and isinstance(item, pil.Image)


def _whole(items: list[Any]) -> np.ndarray | None:
    """Convert nested lists to one array, which is faster than one by one; None if they are ragged."""
    try:
        return np.asarray(items)
    except (ValueError, TypeError):
        return None


def sample_array(item: Any, name: str) -> np.ndarray:
    """Return one sample of a collection as an array; palette images as color."""
    if is_pil_image(item) and item.mode in ("P", "PA"):  # pixels are palette indices
        item = item.convert("RGBA" if item.mode == "PA" or "transparency" in item.info else "RGB")
    try:
        return np.asarray(as_array(item))
    except ValueError as error:
        raise ValueError(f"{name} must be one array, got a {type(item).__name__} of parts of unequal shape.") from error


def _padded(arrays: list[np.ndarray], axis: int) -> np.ndarray:
    """Stack sequences padded with NaN; integers become float64."""
    dtype = np.result_type(*arrays)
    longest = max(A.shape[axis] for A in arrays)
    shape = [longest if i == axis else side for i, side in enumerate(arrays[0].shape)]
    out = np.full((len(arrays), *shape), np.nan, dtype if dtype.kind == "f" else np.float64)
    for row, A in zip(out, arrays, strict=True):
        row[(slice(None),) * axis + (slice(A.shape[axis]),)] = A
    return out


def _channels(shape: tuple[int, ...], axis: int) -> tuple[int, ...]:
    """Return the properties shared by sequences along ``axis``: the number of axes and all other dimensions."""
    return (len(shape), *shape[:axis], *shape[axis + 1 :])


def _two_of(shapes: list[tuple[int, ...]], name: str, axis: int | None = None) -> str:
    """Describe the first of ``shapes`` and one that differs, not counting the length along ``axis``."""
    kinds: list[Any] = shapes if axis is None else [_channels(shape, axis) for shape in shapes]
    other = next((i for i, kind in enumerate(kinds) if kind != kinds[0]), 1)
    return f"{name}[0] has the shape {shapes[0]} and {name}[{other}] the shape {shapes[other]}"


def _of_unequal_shape(shapes: list[tuple[int, ...]], name: str, images: bool) -> str:
    sequences = not images and len({(len(shape), *shape[1:]) for shape in shapes}) == 1 and len(shapes[0]) <= 2
    remedy = (
        "sequences of unequal length need a network that reads sequences, module='gru' or module='tcn'"
        if sequences
        else _ONE_SIZE
    )
    return f"Samples must have one shape, but {_two_of(shapes, name)}: {remedy}."


def _of_unequal_channels(shapes: list[tuple[int, ...]], name: str, axis: int) -> str:
    layout, other = ("(length, channels)", 0) if axis == 0 else ("(channels, length)", -1)
    layout += ", or (length,)" * (axis == 0)
    text = f"Sequences must have the shape {layout} and the same channels, but {_two_of(shapes, name, axis)}."
    if all(len(shape) == 2 for shape in shapes) and len({shape[axis] for shape in shapes}) == 1:
        text += f" If their channels are on the other axis, pass channel_axis={other}."
    return text


def _refuse_files(X: Any, name: str) -> None:
    """Reject file names, given in place of data."""
    first = X
    if isinstance(X, list | tuple) or (isinstance(X, np.ndarray) and X.ndim == 1):
        first = X[0] if len(X) else None
    elif hasattr(X, "iloc") and getattr(X, "ndim", 0) == 1 and len(X):
        first = X.iloc[0]
    if isinstance(first, str | bytes | os.PathLike):
        raise ValueError(
            f"{name} must hold numbers, got {'the' if first is X else 'a list that begins with the'} "
            f"{type(first).__name__} {os.fspath(first)[:80]!r}. Files are not opened: read them first, for example "
            "np.stack([np.asarray(PIL.Image.open(path)) for path in paths]), or pass a torch Dataset that reads them "
            "one by one."
        )
