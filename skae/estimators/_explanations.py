"""The share that each feature has in a row's score."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.sparse import issparse

from .._data.arrays import as_array, check_array
from ._code_density import distances
from ._outlier_scores import Calibration, Model, needs_density, needs_errors
from ._readings import codes_of, gathered, likelihood_of, mean_of_known, seen_by_last_step, squared_errors


def shares(criterion: str, model: Model, X: Any, calibration: Calibration) -> Any:
    """Return the shares, of the shape of X as the last step sees it; a list for images of different sizes.

    Errors are sums over features. What is not is split by occlusion: a feature counts by how much the score falls when
    its value is replaced by the median of the rows of the fit.
    """
    step, seen = seen_by_last_step(model.estimator, X)
    if not needs_errors(criterion) and not hasattr(step, "feature_losses"):
        return _normalized(_occluded(criterion, step, model, seen))
    errors = squared_errors(step, seen)
    if isinstance(errors, list):
        if criterion != "reconstruction":
            raise ValueError(
                f"explain of images of different sizes needs criterion='reconstruction', got {criterion!r}: take that, or "
                "pass images of one size."
            )
        return [_normalized(error[None])[0] for error in errors]
    if calibration.levels is not None and calibration.levels.size == errors[0].size:
        errors = errors / calibration.levels.reshape(errors.shape[1:])
    found = _normalized(errors)
    if not needs_density(criterion) or model.typical is None:
        return found
    by_code = _normalized(_occluded("code", step, model, seen))
    error = mean_of_known(errors.reshape(len(errors), -1), 1) / calibration.error
    distance = distances(model.density, codes_of(step, seen)) / calibration.distance
    part = np.divide(error, error + distance, out=np.full(len(error), 0.5), where=error + distance > 0)
    part = part.reshape(-1, *[1] * (found.ndim - 1))
    return part * found + (1 - part) * by_code


def typical_of(step: Any, seen: Any) -> np.ndarray | None:
    """Return the median of each feature of rows as the last step sees them; None where they are no array."""
    if hasattr(step, "feature_losses"):
        return None
    A = gathered(step, seen)
    if isinstance(A, list | tuple):
        return None
    A = _dense(A)
    known = ~np.isnan(A).all(axis=0)
    found = np.zeros(A.shape[1:])
    found[known] = np.nanmedian(A[:, known], axis=0)
    return found


def _dense(A: Any) -> np.ndarray:
    A = as_array(A)
    A = A.toarray() if issparse(A) else A
    return check_array(A, allow_nd=True, ensure_all_finite="allow-nan", dtype=np.float64)


def _occluded(criterion: str, step: Any, model: Model, seen: Any) -> np.ndarray:
    """Return by how much the score falls, not below 0, when one feature after the other is replaced."""
    if model.typical is None or isinstance(seen, list):
        raise ValueError(
            f"explain with criterion={criterion!r} needs X as one array of numbers: take criterion='reconstruction'."
        )

    def score_of(rows: Any) -> np.ndarray:
        if hasattr(seen, "columns"):  # whose names the step knows
            rows = type(seen)(dict(zip(seen.columns, rows.T, strict=True)))
        if criterion == "likelihood":
            return -likelihood_of(step, rows)
        return distances(model.density, codes_of(step, rows))

    A = _dense(gathered(step, seen))
    flat, middle = A.reshape(len(A), -1), model.typical.ravel()
    whole, found = score_of(A), np.zeros(flat.shape)
    for j in range(flat.shape[1]):
        changed = flat.copy()
        changed[:, j] = np.where(np.isnan(flat[:, j]), np.nan, middle[j])
        found[:, j] = np.maximum(whole - score_of(changed.reshape(A.shape)), 0.0)
    return found.reshape(A.shape)


def _normalized(values: np.ndarray) -> np.ndarray:
    """Divide each row by its sum; a row without any is shared equally by what is known."""
    flat = values.reshape(len(values), -1)
    known = ~np.isnan(flat)
    flat = np.where(known, flat, 0.0)
    total = flat.sum(axis=1, keepdims=True)
    equal = known / np.maximum(known.sum(axis=1, keepdims=True), 1)
    return np.where(total > 0, flat / np.where(total > 0, total, 1.0), equal).reshape(values.shape)
