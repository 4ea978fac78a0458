"""Means of features, and a single scale for X."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .._utils.threads import one_blas_thread
from .chunked import slices
from .sparse import SparseRows, moments

_EPS = float(np.finfo(np.float64).eps)


def mean_and_scale(
    X: Any, sample_weight: np.ndarray | None = None, *, by_channel: bool = False, by_feature: bool = False
) -> tuple[np.ndarray, Any]:
    """Compute the mean of each feature and the standard deviation about these means, without NaN, in one pass.

    Computed in float64, so that large offsets of features lose no precision. Slices are combined as in Chan, Golub and
    LeVeque (1983).

    Parameters
    ----------
    X : ndarray or LazyArray of shape (n_samples, ...)
        Real numbers and NaN.
    sample_weight : ndarray of shape (n_samples,), default=None
        Sample weights.
    by_channel : bool, default=False
        Whether X contains sequences (n_samples, length) or (n_samples, length, n_channels), with one mean per channel.

    by_feature : bool, default=False
        Whether each feature has a scale of its own.

    Returns
    -------
    mean : ndarray of shape X.shape[1:] or (n_channels,), float64
        0 for features without known values; exact for constant features.
    scale : float, or ndarray of the shape of ``mean``
        Root mean squared deviation over all known values, or those of a feature; 1 if these are all equal.
    """
    shape = (X.shape[2:] or (1,)) if by_channel else X.shape[1:]
    n_features = math.prod(shape)
    count, mean, square = np.zeros(n_features), np.zeros(n_features), np.zeros(n_features)
    low, high = np.full(n_features, math.inf), np.full(n_features, -math.inf)
    is_sparse = isinstance(X, SparseRows) and not by_channel
    if is_sparse:
        count, mean, square, low, high = moments(X, sample_weight)
    for s in () if is_sparse else slices(X):
        rows = X[s].reshape(-1, n_features)
        np.fmin(low, np.fmin.reduce(rows, axis=0), out=low)
        np.fmax(high, np.fmax.reduce(rows, axis=0), out=high)
        weight = None if sample_weight is None else np.repeat(sample_weight[s], len(rows) // (s.stop - s.start))
        with one_blas_thread():
            new, new_mean, new_square = _moments(rows.astype(np.float64, order="C"), weight)
        total = count + new
        share = np.divide(new, total, out=np.zeros(n_features), where=total > 0)
        square += new_square + (new_mean - mean) ** 2 * count * share
        mean += (new_mean - mean) * share
        count = total
    if not count.any():
        raise ValueError("X must have at least one value that is not NaN.")
    # The sum of many equal values is subject to rounding.
    constant = (low == high) & (count > 0)
    mean[constant], square[constant] = low[constant], 0.0
    if by_feature:
        scales = np.sqrt(np.divide(square, count, out=np.zeros(n_features), where=count > 0))
        scales[scales <= np.maximum(10 * _EPS * np.abs(mean), float(np.finfo(np.float32).tiny))] = 1.0
        return mean.reshape(shape), scales.reshape(shape)
    scale = math.sqrt(square.sum() / count.sum())
    rounding = math.sqrt(((10 * _EPS * mean) ** 2 * count * ~constant).sum() / count.sum())
    if scale <= rounding or scale < float(np.finfo(np.float32).tiny):
        scale = 1.0
    return mean.reshape(shape), scale


def _moments(rows: np.ndarray, weight: np.ndarray | None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the sum of weights, mean and sum of squared deviations of each column; overwrites ``rows``.

    The mean is corrected by the mean of the deviations, since a sum of large values loses their last digits.
    """
    known = None
    if np.isnan(rows.sum()):
        known = ~np.isnan(rows)
        np.copyto(rows, 0.0, where=~known)
    weight = np.ones(len(rows)) if weight is None else weight
    count = np.full(rows.shape[1], weight.sum()) if known is None else weight @ known
    divisor = np.where(count > 0, count, 1.0)
    mean = weight @ rows / divisor
    rows -= mean
    if known is not None:
        np.copyto(rows, 0.0, where=~known)
    shift = weight @ rows / divisor
    np.multiply(rows, rows, out=rows)
    return count, mean + shift, np.maximum(weight @ rows - count * shift**2, 0.0)
