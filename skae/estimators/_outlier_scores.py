"""Scores of outliers from what an estimator says of rows: parts, their calibration on held-out rows, their sum."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ._code_density import distances
from ._readings import by_feature, codes_of, likelihood_of, mean_of_known, seen_by_last_step, squared_errors

SCORES = ("reconstruction", "standardized", "likelihood", "code", "combined")
_HALF = 0.4549  # the median of the square of a standard normal variable
_LEAST = 1e-3  # of the noise level of a feature, as a share of the mean one
_TINY = 1e-30


class Model(NamedTuple):
    """A fitted estimator and the density of its codes, or None."""

    estimator: Any
    density: Any


class Parts(NamedTuple):
    """What is known of rows before calibration; None where the score has no use for it."""

    errors: np.ndarray | None = None  #: (n, n_features)
    likelihood: np.ndarray | None = None  #: (n,)
    distance: np.ndarray | None = None  #: (n,), of the codes

    def __len__(self) -> int:
        return len(next(part for part in self if part is not None))

    def scattered(self, rows: np.ndarray, n: int) -> Parts:
        """Return parts of ``n`` rows that are NaN but at ``rows``."""

        def scatter(part: np.ndarray | None) -> np.ndarray | None:
            if part is None:
                return None
            found = np.full((n, *part.shape[1:]), np.nan)
            found[rows] = part
            return found

        return Parts(*map(scatter, self))


class Calibration(NamedTuple):
    """What held-out rows say of the units of the parts."""

    levels: np.ndarray | None = None  #: mean squared error of each feature of usual rows
    error: float = 1.0  #: the median of the errors of rows
    distance: float = 1.0  #: the median of the distances of codes


def needs_errors(score: str) -> bool:
    """Whether a score is made of errors of features."""
    return score in ("reconstruction", "standardized", "combined")


def needs_density(score: str) -> bool:
    """Whether a score is made of the density of codes."""
    return score in ("code", "combined")


def read_parts(score: str, model: Model, X: Any) -> Parts:
    """Return what ``score`` is made of."""
    step, seen = seen_by_last_step(model.estimator, X)
    return Parts(
        by_feature(step, squared_errors(step, seen)) if needs_errors(score) else None,
        likelihood_of(step, seen) if score == "likelihood" else None,
        distances(model.density, codes_of(step, seen)) if needs_density(score) else None,
    )


def calibrate(score: str, parts: Parts) -> Calibration:
    """Return the units of the parts of held-out rows, robust to outliers among these."""
    levels = noise_levels(parts.errors) if score == "standardized" else None
    if score != "combined":
        return Calibration(levels)
    error, distance = (max(float(np.nanmedian(A)), _TINY) for A in (mean_of_known(parts.errors, 1), parts.distance))
    return Calibration(levels, error, distance)


def noise_levels(errors: np.ndarray) -> np.ndarray:
    """Return the mean squared error of each feature in usual rows: its median, as that of a normal error."""
    known = ~np.isnan(errors).all(axis=0)
    levels = np.zeros(errors.shape[1])
    levels[known] = np.nanmedian(errors[:, known], axis=0) / _HALF
    return np.maximum(levels, max(_LEAST * float(levels.mean()), _TINY))


def summed(score: str, parts: Parts, calibration: Calibration) -> np.ndarray:
    """Return the scores of rows (n,), the higher the more anomalous; NaN for a row without a known value."""
    if score == "likelihood":
        return -parts.likelihood
    if score == "code":
        return parts.distance
    errors = parts.errors if calibration.levels is None else parts.errors / calibration.levels
    errors = mean_of_known(errors, axis=1)
    return errors if score != "combined" else errors / calibration.error + parts.distance / calibration.distance
