"""Arrays slice by slice: their way through torch, their extremes, what of them is known."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .._utils.memory import read_budget, working_memory
from .._utils.torch_compat import is_out_of_memory
from .arrays import alike, is_float

_SLICE = 2**22  # values handled at once: 32 MB in float64
# Bytes that `map_rows` takes at once. From 4 to 32 MB are equally fast: less are many calls, more leave the caches.
# Weights that are more than that leave them in any case: they are read once for each slice, which takes twice as many.
_BUDGET = 2**24


def slices(X: np.ndarray | Tensor, n_values: int = 1) -> Iterator[slice]:
    """Cut the rows of ``X`` into slices of a bounded number of values, of which a row has ``n_values`` at least."""
    step = max(1, min(_SLICE, read_budget() // 8) // max(n_values, _row_size(X), 1))
    for start in range(0, len(X), step):
        yield slice(start, min(start + step, len(X)))


def to_tensor(X: np.ndarray | Tensor) -> Tensor:
    """A float tensor of ``X``: float64 where float32 would lose digits, sharing memory if it can, on its device."""
    double = is_double(X)
    if isinstance(X, Tensor):
        return X.to(torch.float64 if double else torch.float32)
    # torch reads neither read-only arrays (without a warning) nor negative strides nor foreign byte orders.
    strides = all(stride >= 0 and stride % X.itemsize == 0 for stride in X.strides)
    readable = X.flags.writeable and X.dtype.isnative and strides
    return torch.from_numpy(X.astype(np.float64 if double else np.float32, copy=not readable))


def map_rows(
    function: Callable[..., Tensor],
    *arrays: Any,
    n_values: int = 1,
    n_weights: int = 0,
    device: torch.device | str | None = None,
    dtype: torch.dtype = torch.float32,
) -> Tensor:
    """``function`` of the rows of ``arrays``, as one tensor of ``dtype`` that is filled slice by slice.

    It is on ``device``, or that of the first of ``arrays``. ``n_values`` is what ``function`` makes of a row on its
    way, if that is more than the row has; ``n_weights`` the number of its weights. Slices take so much memory as
    `_BUDGET`, the weights and scikit-learn's ``working_memory`` allow. Where that is not there, they are halved until a
    single row is too much.
    """
    n_rows, step, start = len(arrays[0]), _rows_at_once(arrays, n_values, n_weights), 0
    out = None
    while start < n_rows:
        s = slice(start, min(start + step, n_rows))
        part = read = None
        try:
            read = {id(A): to_tensor(A[s]) for A in arrays}  # what is given twice is read once
            part = function(*(read[id(A)] for A in arrays))
        except (MemoryError, RuntimeError) as error:
            if s.stop - start == 1 or not is_out_of_memory(error):
                raise
        if part is None:  # out here the error is gone, and with it the tensors that its frames hold
            read = None
            step = (s.stop - start) // 2
            continue
        if out is None:
            device = getattr(arrays[0], "device", "cpu") if device is None else device
            out = torch.empty((n_rows, *part.shape[1:]), dtype=dtype, device=device)
        out[s] = part.detach()  # a network of the user's may switch gradients on
        start = s.stop
    assert out is not None, "there is at least one row"
    return out


def check_finite(result: Tensor, name: str, ended: Tensor | None = None) -> Tensor:
    """Check what a network makes of rows of ``name``: finite, but for NaN where sequences have ``ended``.

    float32 may hold the rows and not what they become. The sum tells in one pass, which makes nothing: it is not
    finite where a value is not.
    """
    if not result.sum().isfinite():
        finite = result.isfinite()
        if ended is not None:
            finite |= result.isnan() & ended
        if not finite.all():
            raise ValueError(
                f"What the network makes of {name} is not finite in float32. Values of {name} may lie too far from "
                "those that were fitted: scale them as those, or remove outliers."
            )
    return result


def _rows_at_once(arrays: tuple[np.ndarray | Tensor, ...], n_values: int, n_weights: int) -> int:
    """How many rows fit into the budget."""
    # Of each row: a copy that torch can read, what is centred, what is scaled. Then a layer, what it was made of, what
    # is done to it, and as much again for whoever keeps more.
    own = sum(3 * (8 if is_double(A) else 4) * _row_size(A) for A in arrays)
    widest = max(n_values, *map(_row_size, arrays))
    budget = max(min(_BUDGET, working_memory()), min(8 * n_weights, working_memory(1 / 8)))
    return max(1, budget // (own + 4 * 4 * widest))


def _row_size(X: np.ndarray | Tensor) -> int:
    return math.prod(X.shape[1:])


def is_double(X: Any) -> bool:
    """Whether float32 would lose digits of an array's values."""
    is_bool = X.dtype is torch.bool if isinstance(X, Tensor) else X.dtype.kind == "b"
    return X.dtype.itemsize > (4 if is_float(X) or is_bool else 2)


def fill_missing(X: Any, X_hat: Any) -> Any:
    """``X`` with its NaN replaced by what ``X_hat`` has there, in its own dtype and of its own kind."""
    X_hat = alike(X_hat, X)
    kept: Any = torch.empty_like(X) if isinstance(X, Tensor) else np.empty(X.shape, X.dtype)
    for s in slices(X):
        rows = X[s]
        if not is_float(rows):  # nothing can be missing
            kept[s] = rows
        elif isinstance(rows, Tensor):
            kept[s] = torch.where(rows.isnan(), X_hat[s].to(rows.dtype), rows)
        else:
            kept[s] = np.where(np.isnan(rows), X_hat[s], rows)
    return kept


def extremes(X: np.ndarray | Tensor) -> tuple[float, float]:
    """The smallest and the largest value of ``X`` but NaN; NaN where there is no other."""
    if isinstance(X, Tensor):
        low, high = tensor_extremes(X)
        if low != low:
            low, high = tensor_extremes(X, skip_nan=True)
        return (low, high) if low <= high else (math.nan, math.nan)
    low, high = X.min(), X.max()
    if low != low:
        low, high = np.fmin.reduce(X, axis=None), np.fmax.reduce(X, axis=None)
    return float(low), float(high)


def tensor_extremes(X: Tensor, *, skip_nan: bool = False) -> tuple[float, float]:
    """The same for a tensor, NaN included; with ``skip_nan`` (inf, -inf) where there is no other."""
    found = []
    for s in slices(X, 16 * _row_size(X)):  # 2 MB, of which torch may make copies
        part = to_tensor(X[s])
        if skip_nan:
            nan = part.isnan()
            ends = part.masked_fill(nan, math.inf).amin(), part.masked_fill(nan, -math.inf).amax()
        else:
            ends = torch.aminmax(part)
        found.append(torch.stack([ends[0], -ends[1]]))
    low, minus_high = torch.stack(found).amin(0).tolist()  # the one wait for the device
    return low, -minus_high
