"""Contributions of the features to the scores of samples."""

from __future__ import annotations

from typing import Any

import numpy as np

from ._code_density import distances
from ._outlier_scores import Calibration, Model, in_units, read_parts
from ._readings import (
    as_numbers,
    codes_of,
    deviations,
    gathered,
    likelihood_of,
    of_values,
    seen_by_last_step,
    squared_errors,
)


def shares(names: tuple[str, ...], model: Model, X: Any, calibration: Calibration) -> Any:
    """Return the contributions, in the shape of the input of the last step; a list for images of different sizes.

    With several parts these are the contributions to the largest.
    """
    if len(names) == 1:
        return _shares_in(names[0], model, X, calibration)
    parts = read_parts(names, model, X)
    largest = in_units(parts, calibration).argmax(axis=0)
    found = [_shares_in(name, model, X, calibration) for name in parts]
    if isinstance(found[0], list):
        return [found[part][i] for i, part in enumerate(largest)]
    return np.stack(found)[largest, np.arange(len(largest))]


def _shares_in(name: str, model: Model, X: Any, calibration: Calibration) -> Any:
    """Return the contributions to one part.

    Squared errors are sums over features. Other parts are attributed by occlusion: the contribution of a feature is the
    decrease of the part if its value is replaced by the mean of the training samples.
    """
    step, seen = seen_by_last_step(model.estimator, X)
    if name == "distance" and model.center is not None:
        terms = deviations(step, seen, model.center)
    elif name in ("reconstruction", "standardized", "distance") or hasattr(step, "feature_losses"):
        terms = squared_errors(step, seen)
    else:
        terms = _occluded(name, step, model, seen)
    levels = calibration.levels if name == "standardized" else None
    if isinstance(terms, list):
        return [_normalized(_divided(step, term[None], levels))[0] for term in terms]
    return _normalized(_divided(step, terms, levels))


def _divided(step: Any, terms: np.ndarray, levels: np.ndarray | None) -> np.ndarray:
    """Divide by the noise levels of features, if there are any."""
    return terms if levels is None else terms / of_values(step, levels, terms.shape[1:])


def _occluded(name: str, step: Any, model: Model, seen: Any) -> np.ndarray:
    """Return the decrease of a part, at least 0, when each feature is replaced in turn."""
    A = None if model.center is None else as_numbers(gathered(step, seen))
    if A is None or model.center is None:
        raise ValueError(
            f"explain needs X as one array of numbers for the part {name!r} of the criterion: use "
            "criterion='reconstruction'."
        )

    def part_of(rows: Any) -> np.ndarray:
        if hasattr(seen, "columns"):  # a DataFrame, since the step expects names
            rows = type(seen)(dict(zip(seen.columns, rows.T, strict=True)))
        if name == "likelihood":
            return -likelihood_of(step, rows)
        return distances(model.density, codes_of(step, rows))

    flat, middle = A.reshape(len(A), -1), np.broadcast_to(model.center, A.shape[1:]).ravel()
    whole, found = part_of(A), np.zeros(flat.shape)
    for j in range(flat.shape[1]):
        changed = flat.copy()
        changed[:, j] = np.where(np.isnan(flat[:, j]), np.nan, middle[j])
        found[:, j] = np.maximum(whole - part_of(changed.reshape(A.shape)), 0.0)
    return found.reshape(A.shape)


def _normalized(values: np.ndarray) -> np.ndarray:
    """Divide each row by its sum; rows with sum 0 are shared equally among the observed values."""
    flat = values.reshape(len(values), -1)
    known = ~np.isnan(flat)
    flat = np.where(known, flat, 0.0)
    total = flat.sum(axis=1, keepdims=True)
    equal = known / np.maximum(known.sum(axis=1, keepdims=True), 1)
    return np.where(total > 0, flat / np.where(total > 0, total, 1.0), equal).reshape(values.shape)
