"""Sums of squared errors over samples and over features, slice by slice in float64."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from .._data.chunked import slices


def errors_of_samples(X: np.ndarray, X_hat: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Compute the sum of squared errors of each sample and its number of known values."""
    squares, counts = np.empty(len(X)), np.empty(len(X))
    for s, error, known in errors(X, X_hat):
        squares[s] = np.einsum("ij,ij->i", error, error)
        counts[s] = known.sum(axis=1)
    if np.isnan(squares).any():
        raise ValueError("X_hat contains NaN where X has a value.")
    return squares, counts


def errors_of_features(X: np.ndarray, X_hat: np.ndarray, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Compute the weighted sum of squared errors of each feature and the sum of weights of its known values."""
    squares, counts = np.zeros((2, *X.shape[1:])).reshape(2, -1)
    for s, error, known in errors(X, X_hat):
        squares += weight[s] @ error**2
        counts += weight[s] @ known
    if np.isnan(squares).any():
        raise ValueError("X_hat contains NaN where X has a value.")
    return squares, counts


def errors(X: np.ndarray, X_hat: np.ndarray) -> Iterator[tuple[slice, np.ndarray, np.ndarray]]:
    """Yield slices, X_hat - X (0 where X is missing) and the mask of known values; X_hat may be a single row."""
    X_hat = np.broadcast_to(X_hat, X.shape)
    for s in slices(X):
        error = np.subtract(X_hat[s], X[s], dtype=np.float64).reshape(len(X[s]), -1)
        known = ~np.isnan(X[s]).reshape(error.shape)
        error[~known] = 0
        yield s, error, known
