"""Initialization of robust fits: distances of samples based on medians."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.sparse import issparse

from .._data.arrays import as_array, check_array

_MAD = 1.4826  # the standard deviation of a normal variable, in median absolute deviations
_QUARTILES = 1.349  # the distance of its quartiles, in standard deviations
_TINY = 1e-12
_MOST_ROWS = 10_000  # samples used to find directions
_MOST_FEATURES = 2_000
_LEAST = 0.1  # minimum robust scale of a feature, relative to its standard deviation


def outlyingness(X: Any, seed: int) -> np.ndarray | None:
    """Return a robust distance of each sample (n,), or None if X is not an array of numbers.

    Features are centered at their medians and divided by a robust scale. The principal axes of the directions of
    samples, normalized to length 1, are robust to a minority of outliers (Locantore et al., 1999), and the scale along
    each axis is a median absolute deviation, as in the deterministic starts of Hubert et al. (2012). The distance is
    the maximum over axes, so that a dense distant cluster has a large distance along its direction, instead of
    inflating the variance there.
    """
    X = as_array(X)
    if isinstance(X, list) or (issparse(X) and X.shape[1] > _MOST_FEATURES):
        return None
    try:
        X = X.toarray() if issparse(X) else X
        A = check_array(X, allow_nd=True, ensure_all_finite="allow-nan", dtype=np.float64, ensure_2d=False)
    except (ValueError, TypeError):  # tables that are not numerical
        return None
    A = A.reshape(len(A), -1)
    known = ~np.isnan(A)
    A = A[:, known.any(axis=0)]
    if not A.size:
        return None
    A = np.nan_to_num(_standardized(A))
    rng = np.random.default_rng(seed)
    if A.shape[1] > _MOST_FEATURES:
        A = A @ rng.choice([-1.0, 1.0], (A.shape[1], _MOST_FEATURES)) / np.sqrt(_MOST_FEATURES)
    some = A if len(A) <= _MOST_ROWS else A[rng.choice(len(A), _MOST_ROWS, replace=False)]
    length = np.linalg.norm(some, axis=1, keepdims=True)
    directions = some / np.where(length > 0, length, 1.0)
    axes = np.linalg.eigh(directions.T @ directions)[1]
    along = A @ axes
    along -= np.median(along, axis=0)
    spread = _MAD * np.median(np.abs(along), axis=0)
    # Axes with almost no variance must not dominate.
    return (np.abs(along) / np.maximum(spread, max(float(np.median(spread)), _TINY))).max(axis=1)


def _standardized(A: np.ndarray) -> np.ndarray:
    """Center at medians, and divide by the median absolute deviation or, with many equal values, by quartiles."""
    away = A - np.nanmedian(A, axis=0)
    lower, upper = np.nanquantile(A, [0.25, 0.75], axis=0)
    robust = np.maximum(_MAD * np.nanmedian(np.abs(away), axis=0), (upper - lower) / _QUARTILES)
    standard = np.nanstd(A, axis=0)
    spread = np.where(robust > 0, np.maximum(robust, _LEAST * standard), standard)
    return away / np.where(spread > 0, spread, 1.0)


def keep_lowest(scores: np.ndarray, share: float) -> np.ndarray:
    """Return a mask of the samples without the ``share`` with the highest scores; samples without a score are kept."""
    n_out = int(share * len(scores))
    keep = np.ones(len(scores), bool)
    if n_out:
        keep[np.argsort(np.nan_to_num(scores, nan=-np.inf), kind="stable")[-n_out:]] = False
    return keep
