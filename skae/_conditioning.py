"""One mean and one scale for the whole of X, and its way into torch."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor

_SLICE = 2**22  # values handled at once: 32 MB in float64


def slices(X: np.ndarray, n_values: int = 1) -> Iterator[slice]:
    """Cut the rows of ``X`` into slices of a bounded number of values, of which a row has ``n_values`` at least."""
    step = max(1, _SLICE // max(n_values, X[:1].size))
    for start in range(0, len(X), step):
        yield slice(start, min(start + step, len(X)))


def to_tensor(X: np.ndarray) -> Tensor:
    """A float tensor of ``X``: float64 where float32 would lose digits, sharing memory if it can."""
    fits = (X.dtype.kind in "bf" and X.dtype.itemsize <= 4) or (X.dtype.kind in "iu" and X.dtype.itemsize <= 2)
    # torch reads neither read-only arrays (without a warning) nor negative strides nor foreign byte orders.
    strides = all(stride >= 0 and stride % X.itemsize == 0 for stride in X.strides)
    readable = X.flags.writeable and X.dtype.isnative and strides
    dtype = np.float32 if fits else np.float64
    return torch.from_numpy(X.astype(dtype, copy=not readable))


def map_rows(function: Callable[..., Tensor], *arrays: np.ndarray, n_values: int = 1) -> Tensor:
    """``function`` of the rows of ``arrays``, as one float32 tensor that is filled slice by slice.

    ``n_values`` is what ``function`` makes of a row on its way, if that is more than the row has.
    """
    out = None
    for s in slices(arrays[0], n_values):
        part = function(*(to_tensor(A[s]) for A in arrays))
        if out is None:
            out = torch.empty((len(arrays[0]), *part.shape[1:]))
        out[s] = part
    assert out is not None, "there is at least one row"
    return out


def keep_known(X: np.ndarray, X_hat: np.ndarray) -> np.ndarray:
    """``X`` with its NaN replaced by what ``X_hat`` has there, in its own dtype."""
    if X.dtype.kind != "f":  # nothing can be missing
        return X.copy()
    return np.where(np.isnan(X), X_hat, X).astype(X.dtype, copy=False)


def extremes(X: np.ndarray) -> tuple[float, float]:
    """The smallest and the largest value of ``X`` but NaN; NaN where there is no other."""
    low, high = X.min(), X.max()
    if low != low:
        low, high = np.fmin.reduce(X, axis=None), np.fmax.reduce(X, axis=None)
    return float(low), float(high)


def mean_and_scale(X: np.ndarray, sample_weight: np.ndarray | None = None) -> tuple[float, float]:
    """The mean and the standard deviation over all values of ``X`` but NaN, in double precision.

    Constant data get the scale 1.
    """
    low, high = extremes(X)
    if low == high:  # exactly: a sum of many equal values is not quite a multiple of one
        return low, 1.0
    weight = np.ones(len(X)) if sample_weight is None else sample_weight
    has_nan = bool(np.isnan(X.min()))
    count = total = square = 0.0
    for s in slices(X):
        rows = X[s].reshape(len(X[s]), -1)
        known = np.isfinite(rows).sum(axis=1) if has_nan else np.full(len(rows), rows.shape[1])
        total += float(weight[s] @ (np.nansum if has_nan else np.sum)(rows, axis=1, dtype=np.float64))
        count += float(weight[s] @ known)
    mean = total / count
    for s in slices(X):
        centred = X[s].reshape(len(X[s]), -1).astype(np.float64) - mean
        if has_nan:
            np.nan_to_num(centred, copy=False)
        square += float(weight[s] @ np.einsum("ij,ij->i", centred, centred))
    scale = float(np.sqrt(square / count))
    if scale <= 10 * float(np.finfo(np.float64).eps) * abs(mean) or scale < float(np.finfo(np.float32).tiny):
        scale = 1.0
    return mean, scale
