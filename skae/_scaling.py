"""One mean and one scale for the whole of X."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ._slices import extremes, slices


def mean_and_scale(X: Any, sample_weight: np.ndarray | None = None) -> tuple[float, float]:
    """The mean and the standard deviation over all values of ``X`` but NaN, in double precision, in one pass.

    Constant data get the scale 1. Slices are put together as Chan, Golub and LeVeque (1983) do.
    """
    low, high, count, mean, square = math.inf, -math.inf, 0.0, 0.0, 0.0
    for s in slices(X):
        rows = X[s]
        rows = rows.reshape(len(rows), -1)
        smallest, largest = rows.min(), rows.max()
        has_nan = bool(smallest != smallest)
        ends = extremes(rows) if has_nan else (float(smallest), float(largest))
        low, high = min(low, ends[0]), max(high, ends[1])  # of all rows, those of weight 0 too
        weight = np.ones(len(rows)) if sample_weight is None else sample_weight[s]
        known = (~np.isnan(rows)).sum(axis=1) if has_nan else np.full(len(rows), rows.shape[1])
        new = float(weight @ known)
        if not new > 0:
            continue
        total = float(weight @ (np.nansum if has_nan else np.sum)(rows, axis=1, dtype=np.float64))
        centre = total / new
        centred = rows.astype(np.float64) - centre
        if has_nan:
            np.nan_to_num(centred, copy=False)
        square += float(weight @ np.einsum("ij,ij->i", centred, centred))
        square += (centre - mean) ** 2 * count * new / (count + new)
        mean += (centre - mean) * new / (count + new)
        count += new
    if not count > 0:
        raise ValueError("X must hold at least one value that is not NaN.")
    if low == high:  # exactly: a sum of many equal values is not quite a multiple of one
        return low, 1.0
    scale = float(np.sqrt(square / count))
    if scale <= 10 * float(np.finfo(np.float64).eps) * abs(mean) or scale < float(np.finfo(np.float32).tiny):
        scale = 1.0
    return mean, scale
