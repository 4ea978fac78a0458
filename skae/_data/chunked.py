"""Slice-wise processing of arrays: functions of torch, extremes, missing values."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .._utils.memory import read_budget, working_memory
from .._utils.torch_compat import is_out_of_memory
from .arrays import as_type_of, is_float

_SLICE = 2**22  # values processed at once: 32 MB in float64
# Bytes per slice of `map_rows`. 4 to 32 MB are equally fast: less means many calls, more does not fit into the caches.
# Weights larger than that exceed the caches in any case and are read once per slice, so slices then grow with them.
_BUDGET = 2**24


def slices(X: np.ndarray | Tensor, n_values: int = 1) -> Iterator[slice]:
    """Yield slices of ``X`` with a bounded number of values, counting at least ``n_values`` per row."""
    step = max(1, min(_SLICE, read_budget() // 8) // max(n_values, _row_size(X), 1))
    for start in range(0, len(X), step):
        yield slice(start, min(start + step, len(X)))


def to_tensor(X: np.ndarray | Tensor) -> Tensor:
    """Convert ``X`` to a float tensor, float64 where float32 would lose digits; shares memory if possible."""
    double = is_double(X)
    if isinstance(X, Tensor):
        return X.to(torch.float64 if double else torch.float32)
    # torch supports no negative strides and no foreign byte order, and warns of read-only arrays.
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
    """Apply ``function`` to slices of ``arrays`` and collect the results in one tensor of ``dtype``.

    The result is on ``device``, or that of the first of ``arrays``. ``n_values`` is the largest number of intermediate
    values per row, ``n_weights`` the number of weights of ``function``. The size of slices follows from `_BUDGET`, the
    weights and scikit-learn's ``working_memory``; when memory runs out it is halved, down to a single row.
    """
    n_rows, step, start = len(arrays[0]), _rows_at_once(arrays, n_values, n_weights), 0
    out = None
    while start < n_rows:
        s = slice(start, min(start + step, n_rows))
        part = read = None
        try:
            read = {id(A): to_tensor(A[s]) for A in arrays}  # an array passed twice is read once
            part = function(*(read[id(A)] for A in arrays))
        except (MemoryError, RuntimeError) as error:
            if s.stop - start == 1 or not is_out_of_memory(error):
                raise
        if part is None:  # outside of `except` the traceback no longer keeps tensors alive
            read = None
            step = (s.stop - start) // 2
            continue
        if out is None:
            device = getattr(arrays[0], "device", "cpu") if device is None else device
            out = torch.empty((n_rows, *part.shape[1:]), dtype=dtype, device=device)
        out[s] = part.detach()  # a custom network may enable gradients
        start = s.stop
    assert out is not None, "there is at least one row"
    return out


def check_finite(result: Tensor, name: str, padding: Tensor | None = None) -> Tensor:
    """Check that the network's output for ``name`` is finite, except for NaN where ``padding`` is True.

    float32 may represent the input but not the output. The sum is checked first: it needs one pass and no memory, and
    is not finite if any value is not.
    """
    if not result.sum().isfinite():
        finite = result.isfinite()
        if padding is not None:
            finite |= result.isnan() & padding
        if not finite.all():
            raise ValueError(
                f"The network produced non-finite values for {name}, which may be far outside the range of the "
                "training data. Scale new data as the training data, or remove outliers."
            )
    return result


def _rows_at_once(arrays: tuple[np.ndarray | Tensor, ...], n_values: int, n_weights: int) -> int:
    """Return the number of rows that fit into the budget."""
    # Per row: a copy for torch, a centered and a scaled one. Then the largest layer with its input and its activation,
    # and as much again for networks that keep more.
    own = sum(3 * (8 if is_double(A) else 4) * _row_size(A) for A in arrays)
    widest = max(n_values, *map(_row_size, arrays))
    budget = max(min(_BUDGET, working_memory()), min(8 * n_weights, working_memory(1 / 8)))
    return max(1, budget // (own + 4 * 4 * widest))


def _row_size(X: np.ndarray | Tensor) -> int:
    return math.prod(X.shape[1:])


def is_double(X: Any) -> bool:
    """Return whether float32 would lose digits of the values."""
    is_bool = X.dtype is torch.bool if isinstance(X, Tensor) else X.dtype.kind == "b"
    return X.dtype.itemsize > (4 if is_float(X) or is_bool else 2)


def fill_missing(X: Any, X_hat: Any) -> Any:
    """Return ``X`` with NaN replaced by the values of ``X_hat``, with X's dtype and array type."""
    X_hat = as_type_of(X_hat, X)
    kept: Any = torch.empty_like(X) if isinstance(X, Tensor) else np.empty(X.shape, X.dtype)
    for s in slices(X):
        rows = X[s]
        if not is_float(rows):  # integers have no NaN
            kept[s] = rows
        elif isinstance(rows, Tensor):
            kept[s] = torch.where(rows.isnan(), X_hat[s].to(rows.dtype), rows)
        else:
            kept[s] = np.where(np.isnan(rows), X_hat[s], rows)
    return kept


def extremes(X: np.ndarray | Tensor) -> tuple[float, float]:
    """Return the minimum and maximum of ``X``, ignoring NaN; NaN if all values are NaN."""
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
    """Return the minimum and maximum of a tensor, NaN if any; with ``skip_nan`` ignore NaN, (inf, -inf) if all are."""
    found = []
    for s in slices(X, 16 * _row_size(X)):  # 2 MB, since torch may make copies
        part = to_tensor(X[s])
        if skip_nan:
            nan = part.isnan()
            ends = part.masked_fill(nan, math.inf).amin(), part.masked_fill(nan, -math.inf).amax()
        else:
            ends = torch.aminmax(part)
        found.append(torch.stack([ends[0], -ends[1]]))
    low, minus_high = torch.stack(found).amin(0).tolist()  # the only synchronization with the device
    return low, -minus_high
