"""Held-out scores of samples, and thresholds computed from them."""

from __future__ import annotations

import numbers
from collections.abc import Iterator
from typing import Any

import numpy as np
from scipy.sparse import issparse
from sklearn.model_selection import KFold, check_cv

from .._data.arrays import as_array
from .._utils.checks import check_number


def find_splitter(cv: Any, n: int, seed: int) -> Any:
    """Return the splitter for ``cv``, with shuffled folds for an int; None for no splits."""
    if cv is None:
        return None
    if isinstance(cv, numbers.Integral):
        check_number("cv", cv, numbers.Integral, 2)
        if n < 2:
            raise ValueError(f"cv={cv} needs at least 2 samples, got n_samples={n}.")
        return KFold(min(int(cv), n), shuffle=True, random_state=seed % 2**32)
    if isinstance(cv, str):
        raise ValueError(f"cv must be None, an int, a splitter or an iterable of (train, test) pairs, got {cv!r}.")
    return check_cv(cv)


def splits_of(splitter: Any, n: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield the indices of training and held-out samples."""
    for train, held_out in splitter.split(np.zeros((n, 1))):
        yield _indices(train, n), _indices(held_out, n)


def _indices(rows: Any, n: int) -> np.ndarray:
    """Return checked indices of samples from indices or a mask."""
    rows = np.asarray(rows)
    if rows.dtype == bool and rows.shape == (n,):
        return np.flatnonzero(rows)
    if rows.ndim != 1 or not len(rows) or rows.dtype.kind not in "iu" or rows.min() < -n or rows.max() >= n:
        raise ValueError(
            f"cv must give pairs (train, held out) of non-empty indices from 0 to {n - 1}, or masks of the {n} samples "
            f"of X, got {rows!r}."
        )
    return rows


def with_rows(A: Any) -> Any:
    """Return an argument of `fit` in a form that can be indexed: tensors and array-likes as arrays."""
    A = as_array(A)
    return np.asarray(A) if hasattr(A, "__array__") and not hasattr(A, "__len__") else A


def count_rows(X: Any) -> int:
    """Return the number of samples, also of objects without a shape."""
    shape = getattr(X, "shape", None)
    if shape is not None and len(shape):
        return int(shape[0])
    if not hasattr(X, "__len__"):
        raise TypeError(f"X must be a collection of samples with a length, got {type(X).__name__}.")
    return len(X)


def take_params(params: dict[str, Any], rows: np.ndarray, n: int) -> dict[str, Any]:
    """Return the arguments of `fit` for a subset: index those with one entry per sample, except validation data."""

    def cut(name: str, value: Any) -> Any:
        is_of_rows = not name.startswith("X_val") and hasattr(value, "__len__") and not isinstance(value, str | dict)
        return take(value, rows) if is_of_rows and count_rows(value) == n else value

    return {name: cut(name, value) for name, value in params.items()}


def take(X: Any, rows: np.ndarray) -> Any:
    """Return a subset of X, with the type of X."""
    if X is None:
        return None
    if issparse(X):
        return (X if hasattr(X, "__getitem__") and X.format == "csr" else X.tocsr())[rows]
    if hasattr(X, "iloc"):
        return X.iloc[rows]
    if isinstance(X, np.ndarray) or hasattr(X, "columns") or hasattr(X, "shape"):
        return X[rows]
    return [X[int(i)] for i in rows]


def threshold_of(scores: np.ndarray, share: float) -> float:
    """Return the score above which a ``share`` of new samples is expected.

    For exchangeable samples, the i-th largest of n scores is exceeded with probability i / (n + 1), for any
    distribution; in between it is interpolated. A share below 1 / (n + 1) cannot be resolved by n scores.
    """
    return float(np.quantile(scores, 1 - share, method="weibull"))


def tail_probabilities(reference: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Return conformal p-values: the fraction of scores that are at least as high, including the new one."""
    reference = np.sort(reference)
    higher = len(reference) - np.searchsorted(reference, scores, side="left")
    return np.where(np.isnan(scores), np.nan, (1 + higher) / (len(reference) + 1))
