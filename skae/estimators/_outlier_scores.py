"""Scores of outliers from what an estimator says of rows: parts, their calibration on held-out rows, their sum."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ._code_density import distances
from ._readings import by_feature, codes_of, likelihood_of, mean_of_known, seen_by_last_step, squared_errors

CRITERIA = ("reconstruction", "standardized", "likelihood", "code", "combined")
_HALF = 0.4549  # the median of the square of a standard normal variable
_LEAST = 1e-3  # of the noise level of a feature, as a share of the mean one
_TINY = 1e-30


class Model(NamedTuple):
    """A fitted estimator, and what it is judged with."""

    estimator: Any
    density: Any = None  #: of its codes, if the criterion needs it
    typical: np.ndarray | None = None  #: the median of each feature, of the rows as the last step sees them


class Parts(NamedTuple):
    """What is known of rows before calibration; None where the criterion has no use for it."""

    errors: Any = None  #: ndarray of shape (n, n_features)
    likelihood: Any = None  #: ndarray of shape (n,)
    distance: Any = None  #: ndarray of shape (n,), of the codes

    def of(self, rows: np.ndarray) -> Parts:
        """Return the parts of some rows."""
        return Parts(*(None if part is None else part[rows] for part in self))


class PartsMean:
    """The mean of the parts of each of ``n`` rows over the splits that held it out; NaN for a row that none did."""

    def __init__(self, n: int) -> None:
        self._counts = np.zeros(n)
        self._sums: list[np.ndarray | None] | None = None

    def add(self, rows: np.ndarray, parts: Parts) -> None:
        """Add the parts of the rows that a split holds out."""
        n = len(self._counts)
        if self._sums is None:
            self._sums = [None if part is None else np.zeros((n, *part.shape[1:])) for part in parts]
        self._counts[rows] += 1
        for whole, part in zip(self._sums, parts, strict=True):
            if whole is not None:
                whole[rows] += part

    def parts(self) -> Parts:
        """Return the means."""
        if self._sums is None:
            raise ValueError("cv must give at least one split.")
        counts = np.where(self._counts > 0, self._counts, np.nan)
        means = (None if A is None else A / counts.reshape(-1, *[1] * (A.ndim - 1)) for A in self._sums)
        return Parts(*means)


class Calibration(NamedTuple):
    """What held-out rows say of the units of the parts."""

    levels: np.ndarray | None = None  #: mean squared error of each feature of usual rows
    error: float = 1.0  #: the median of the errors of rows
    distance: float = 1.0  #: the median of the distances of codes


def needs_errors(criterion: str) -> bool:
    """Whether a criterion is made of errors of features."""
    return criterion in ("reconstruction", "standardized", "combined")


def needs_density(criterion: str) -> bool:
    """Whether a criterion is made of the density of codes."""
    return criterion in ("code", "combined")


def read_parts(criterion: str, model: Model, X: Any) -> Parts:
    """Return what ``criterion`` is made of."""
    step, seen = seen_by_last_step(model.estimator, X)
    return Parts(
        by_feature(step, squared_errors(step, seen)) if needs_errors(criterion) else None,
        likelihood_of(step, seen) if criterion == "likelihood" else None,
        distances(model.density, codes_of(step, seen)) if needs_density(criterion) else None,
    )


def calibrate(criterion: str, parts: Parts) -> Calibration:
    """Return the units of the parts of held-out rows, robust to outliers among these."""
    levels = noise_levels(parts.errors) if criterion == "standardized" else None
    if criterion != "combined":
        return Calibration(levels)
    error, distance = (max(float(np.nanmedian(A)), _TINY) for A in (mean_of_known(parts.errors, 1), parts.distance))
    return Calibration(levels, error, distance)


def noise_levels(errors: np.ndarray) -> np.ndarray:
    """Return the mean squared error of each feature in usual rows: its median, as that of a normal error."""
    known = ~np.isnan(errors).all(axis=0)
    levels = np.zeros(errors.shape[1])
    levels[known] = np.nanmedian(errors[:, known], axis=0) / _HALF
    return np.maximum(levels, max(_LEAST * float(levels.mean()), _TINY))


def summed(criterion: str, parts: Parts, calibration: Calibration) -> np.ndarray:
    """Return the scores of rows (n,), the higher the more anomalous; NaN for a row without a known value."""
    if criterion == "likelihood":
        return -parts.likelihood
    if criterion == "code":
        return parts.distance
    errors = parts.errors if calibration.levels is None else parts.errors / calibration.levels
    errors = mean_of_known(errors, axis=1)
    return errors if criterion != "combined" else errors / calibration.error + parts.distance / calibration.distance
