"""Outlier scores: the parts of the criterion, their calibration by held-out samples, and their maximum."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from .._utils.slots import did_you_mean
from ._code_density import distances
from ._readings import (
    by_feature,
    codes_of,
    deviations,
    likelihood_of,
    mean_of_known,
    seen_by_last_step,
    squared_errors,
)

PARTS = ("reconstruction", "standardized", "code", "distance", "likelihood")
COMBINED = ("reconstruction", "code", "distance")
_HALF = 0.4549  # the median of the square of a standard normal variable
_LEAST = 1e-3  # minimum noise level of a feature, relative to the mean
_TINY = 1e-30

#: Values of samples before calibration, by the name of the part: (n,), or (n, n_features) for 'standardized'.
Parts = dict[str, np.ndarray]


class Model(NamedTuple):
    """A fitted estimator, with the density and the center for its scores."""

    estimator: Any
    density: Any = None  #: of its codes, if the criterion needs it
    center: np.ndarray | None = None  #: the mean of the inputs of the last step; None if they are not an array


class Calibration(NamedTuple):
    """Units of the parts, estimated from held-out samples."""

    levels: np.ndarray | None  #: mean squared error of each feature for inliers, for 'standardized'
    units: dict[str, tuple[float, float]]  #: median and interquartile range of each part, if there are several


def parts_of(criterion: Any) -> tuple[str, ...]:
    """Return the parts of a criterion, a name or several."""
    names = COMBINED if isinstance(criterion, str) and criterion == "combined" else criterion
    names = (names,) if isinstance(names, str) else names
    known = isinstance(names, list | tuple) and all(isinstance(name, str) and name in PARTS for name in names)
    if not (known and 0 < len({*names}) == len(names)):
        hint = did_you_mean(criterion, (*PARTS, "combined", "auto"))
        raise ValueError(
            f"criterion must be 'auto', 'combined', one of {', '.join(map(repr, PARTS))}, or a list of different ones, "
            f"got {criterion!r}.{hint}"
        )
    return tuple(map(str, names))


def read_parts(names: tuple[str, ...], model: Model, X: Any) -> Parts:
    """Return the values of the parts before calibration."""
    step, seen = seen_by_last_step(model.estimator, X)
    found: Parts = {}
    if "reconstruction" in names or "standardized" in names:
        errors = by_feature(step, squared_errors(step, seen))
        if "standardized" in names:
            found["standardized"] = errors
        if "reconstruction" in names:
            found["reconstruction"] = mean_of_known(errors, axis=1)
    if "code" in names:
        found["code"] = distances(model.density, codes_of(step, seen))
    if "distance" in names:
        terms = squared_errors(step, seen) if model.center is None else deviations(step, seen, model.center)
        found["distance"] = mean_of_known(by_feature(step, terms), axis=1)
    if "likelihood" in names:
        found["likelihood"] = -likelihood_of(step, seen)
    return found


def calibrate(parts: Parts) -> Calibration:
    """Return robust units of the parts, from held-out samples."""
    levels = noise_levels(parts["standardized"]) if "standardized" in parts else None
    if len(parts) == 1:
        return Calibration(levels, {})
    units = {}
    for name, values in by_row(parts, levels).items():
        low, middle, high = np.nanquantile(values, [0.25, 0.5, 0.75]) if not np.isnan(values).all() else (0.0, 0.0, 1.0)
        units[name] = float(middle), max(float(high - low), 1e-9 * abs(float(middle)), _TINY)
    return Calibration(levels, units)


def noise_levels(errors: np.ndarray) -> np.ndarray:
    """Return the mean squared error of each feature for inliers, from the median of a normal error."""
    known = ~np.isnan(errors).all(axis=0)
    levels = np.zeros(errors.shape[1])
    levels[known] = np.nanmedian(errors[:, known], axis=0) / _HALF
    return np.maximum(levels, max(_LEAST * float(levels.mean()), _TINY))


def by_row(parts: Parts, levels: np.ndarray | None) -> Parts:
    """Return parts with one value for each sample."""
    if "standardized" not in parts:
        return parts
    return parts | {"standardized": mean_of_known(parts["standardized"] / levels, axis=1)}


def in_units(parts: Parts, calibration: Calibration) -> np.ndarray:
    """Return the parts in comparable units, (n_parts, n); a single part unchanged."""
    values = by_row(parts, calibration.levels)
    if len(values) == 1:
        return np.stack([*values.values()])
    return np.stack([(A - calibration.units[name][0]) / calibration.units[name][1] for name, A in values.items()])


def largest(parts: Parts, calibration: Calibration) -> np.ndarray:
    """Return the scores of samples (n,), the higher the more anomalous; NaN for samples without observed values."""
    return in_units(parts, calibration).max(axis=0)


class PartsMean:
    """Mean of the parts of ``n`` samples over the splits that hold them out; NaN for samples never held out."""

    def __init__(self, n: int) -> None:
        self._counts = np.zeros(n)
        self._sums: Parts = {}

    def add(self, rows: np.ndarray, parts: Parts) -> None:
        """Add the parts of the held-out samples of a split."""
        self._counts[rows] += 1
        for name, part in parts.items():
            self._sums.setdefault(name, np.zeros((len(self._counts), *part.shape[1:])))[rows] += part

    def parts(self) -> Parts:
        """Return the means."""
        if not self._sums:
            raise ValueError("cv must give at least one split.")
        counts = np.where(self._counts > 0, self._counts, np.nan)
        return {name: A / counts.reshape(-1, *[1] * (A.ndim - 1)) for name, A in self._sums.items()}
