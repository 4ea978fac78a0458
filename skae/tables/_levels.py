"""Numbers with few distinct values, such as ratings: ordered categories, one-hot encoded."""

from __future__ import annotations

from typing import Any

import numpy as np

from ._categories import Category

MOST = 20  # values
FEWEST = 5  # rows of each value, so that all folds of a cross-validation have it
_EXACT = 2**53


class Level(Category):
    """Numbers with few distinct values; other values are rounded to the nearest."""

    @classmethod
    def fit_levels(cls, values: np.ndarray) -> Level:
        """Fit to known, finite numbers."""
        return cls({"labels": np.unique(values).tolist(), "rare": [], "shares": []})

    def encode(self, values: np.ndarray) -> np.ndarray:
        """Return (n, n_columns) of 0 and 1, and NaN for numbers beyond those of `fit`."""
        levels = np.array(self.state["labels"], np.float64)
        found = super().encode(levels[_nearest(levels, values)])
        found[(values < levels[0]) | (values > levels[-1])] = np.nan
        return found

    def decode(self, Z: np.ndarray, rng: np.random.Generator | None = None) -> np.ndarray:
        """Return the level nearest to the mean of the probabilities."""
        weights = np.maximum(Z, 0)
        if weights.shape[1] == 1 or not (weights.sum(axis=1) > 0).all():
            return super().decode(Z, rng)
        levels = np.array(self.state["labels"], np.float64)
        found = np.empty(len(levels), object)
        found[:] = self.state["labels"]
        return found[_nearest(levels, weights @ levels / weights.sum(axis=1))]


def are_levels(values: np.ndarray) -> bool:
    """Return whether numbers have few distinct values, each in several rows."""
    distinct, counts = np.unique(values, return_counts=True)
    few = 2 <= len(distinct) <= MOST and counts.min() >= FEWEST
    return bool(few and np.abs(distinct.astype(np.float64)).max() < _EXACT)


def _nearest(levels: np.ndarray, values: Any) -> np.ndarray:
    return np.searchsorted((levels[1:] + levels[:-1]) / 2, values)
