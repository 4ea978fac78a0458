"""Validation and scaling of the metrics' input arrays."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._data.arrays import as_array, check_array
from .._data.validation import check_real, check_size


def check_values(A: Any, name: str, *, allow_nan: bool = False) -> np.ndarray:
    """Validate real values in two dimensions or more."""
    A = as_array(A)
    if np.iscomplexobj(A):
        raise ValueError(f"{name} must hold real numbers, got complex ones.")
    finite: bool | str = "allow-nan" if allow_nan else True
    A = check_array(A, ensure_2d=False, allow_nd=True, ensure_all_finite=finite, ensure_min_samples=0, input_name=name)
    check_real(A, name)
    if A.ndim < 2 or A.size == 0:
        raise ValueError(f"{name} must have the shape (n_samples, ...), at least 2-D and not empty, got {A.shape}.")
    return check_size(A, name)  # the squares of larger values may overflow


def check_pair(X: Any, X_hat: Any, *, allow_nan: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Validate X and its reconstruction of the same shape."""
    X, X_hat = check_values(X, "X", allow_nan=allow_nan), check_values(X_hat, "X_hat", allow_nan=allow_nan)
    if X.shape != X_hat.shape:
        raise ValueError(f"X_hat must have the shape of X, {X.shape}, got {X_hat.shape}.")
    return X, X_hat


def check_codes_and_factors(Z: Any, factors: Any, *, whole: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Validate codes and factors of the same samples; with ``whole`` factors must be integers."""
    Z, factors = check_values(Z, "Z"), check_values(factors, "factors")
    if Z.ndim != 2:
        raise ValueError(f"Z must have the shape (n_samples, n_components), got {Z.shape}.")
    if factors.ndim != 2 or len(factors) != len(Z):
        raise ValueError(f"factors must have the shape ({len(Z)}, n_factors) to go with Z, got {factors.shape}.")
    constant = (factors == factors[0]).all(axis=0)
    if constant.any():
        raise ValueError(
            f"factors must have at least two values in every column, but column {constant.argmax()} has one."
        )
    if not whole:
        return Z.astype(np.float64), factors.astype(np.float64)
    broken = (factors != np.floor(factors)).any(axis=0)
    if broken.any():
        raise ValueError(
            f"factors must hold whole numbers, but column {broken.argmax()} has others. Number the values of a "
            "discrete factor (OrdinalEncoder); cut a continuous one into bins (KBinsDiscretizer)."
        )
    return Z.astype(np.float64), factors.astype(np.int64)


def standardized(A: np.ndarray) -> np.ndarray:
    """Standardize columns to mean 0 and standard deviation 1; constant columns become 0."""
    A = A - A[0]  # makes constant columns exactly 0
    A -= A.mean(axis=0)
    deviation = A.std(axis=0)
    return np.divide(A, deviation, out=np.zeros_like(A), where=deviation > 0)
