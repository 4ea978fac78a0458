"""Whitening: rows of mean 0 whose features are not correlated, and back."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .._utils.threads import one_blas_thread

_FLOOR = 1e-6  # of standard deviations, as a share of the largest one and of the mean's size


class Whitening(NamedTuple):
    """An affine map x = mean + white @ root.T, with a lower triangular root (d, d)."""

    mean: np.ndarray
    root: np.ndarray

    @classmethod
    def of(cls, X: np.ndarray, weight: np.ndarray, X_std: np.ndarray | None = None) -> Whitening:
        """Measure rows (n, d) of positive weights, which may each have standard deviations of their own.

        Covariances are shrunk to their diagonal, by as much as d further rows without correlations would do it.
        """
        n, d = X.shape
        share = weight / weight.sum()
        mean = share @ X
        away = X - mean
        with one_blas_thread():
            covariance = (away * share[:, None]).T @ away
        if X_std is not None:
            covariance[np.diag_indices(d)] += share @ X_std**2
        spread = np.sqrt(covariance.diagonal())
        # A constant feature gets a width, small enough not to be seen.
        floor = np.maximum(_FLOOR * np.maximum(spread.max(), np.abs(mean)), np.finfo(np.float32).tiny)
        spread = np.maximum(spread, floor)
        correlation = covariance / spread / spread[:, None] * (n / (n + d))
        correlation[np.diag_indices(d)] = 1.0
        return cls(mean, spread[:, None] * np.linalg.cholesky(correlation))

    @property
    def log_determinant(self) -> float:
        """Logarithm of the factor by which volumes grow on the way back."""
        return float(np.log(self.root.diagonal()).sum())

    def whiten(self, X: np.ndarray) -> np.ndarray:
        """Return white rows (n, d)."""
        with one_blas_thread():
            return (X - self.mean) @ np.linalg.inv(self.root).T

    def color(self, white: np.ndarray) -> np.ndarray:
        """Return rows in the units of those that were measured."""
        with one_blas_thread():
            return self.mean + white @ self.root.T
