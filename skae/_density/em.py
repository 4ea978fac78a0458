"""Gaussian mixtures with full covariances, fitted to weighted samples by expectation-maximization (EM).

scikit-learn's mixtures do not support sample weights. Also, tools that record every call of `fit`, such as mlflow's
autologging, would record a mixture fitted here as the user's model.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.linalg import solve_triangular
from scipy.special import logsumexp
from sklearn.mixture import GaussianMixture

from .k_means import k_means

_MAX_ITER, _TOL = 50, 1e-3  # of EM; the tolerance is that of GaussianMixture


class Mixture(NamedTuple):
    """Parameters of a mixture: weights (k,), means (k, d), covariances and Cholesky factors of precisions (k, d, d)."""

    weights: np.ndarray
    means: np.ndarray
    covariances: np.ndarray
    roots: np.ndarray
    bounds: tuple[float, ...] = ()  # the mean log-likelihood before every step
    converged: bool = False

    def joint_log_density(self, rows: np.ndarray) -> np.ndarray:
        """Return the joint log-density of each row and each component, (n, k)."""
        found = np.empty((len(rows), len(self.means)))
        constant = np.log(self.weights) - 0.5 * rows.shape[1] * np.log(2 * np.pi)
        for index, (mean, root) in enumerate(zip(self.means, self.roots, strict=True)):
            away = (rows - mean) @ root
            found[:, index] = np.log(root.diagonal()).sum() - 0.5 * np.einsum("ij,ij->i", away, away)
        return found + constant

    def score(self, rows: np.ndarray, weight: np.ndarray) -> float:
        """Return the weighted mean log-density."""
        return float(weight @ logsumexp(self.joint_log_density(rows), axis=1) / weight.sum())

    def as_estimator(self, origin: np.ndarray, **params: float) -> GaussianMixture:
        """Return the mixture, shifted by ``origin``, as a fitted scikit-learn estimator."""
        mixture = GaussianMixture(len(self.weights), max_iter=_MAX_ITER, tol=_TOL, **params)
        mixture.weights_, mixture.means_, mixture.covariances_ = self.weights, self.means + origin, self.covariances
        mixture.precisions_cholesky_ = self.roots
        mixture.precisions_ = self.roots @ self.roots.transpose(0, 2, 1)
        mixture.converged_, mixture.n_iter_ = self.converged, len(self.bounds)
        mixture.lower_bound_, mixture.lower_bounds_ = self.bounds[-1], list(self.bounds)
        mixture.n_features_in_ = self.means.shape[1]
        return mixture


def fit_mixture(
    rows: np.ndarray,
    weight: np.ndarray,
    n_components: int,
    reg_covar: float,
    seed: int,
    start: Mixture | None = None,
    max_iter: int = _MAX_ITER,
) -> Mixture:
    """Fit a mixture to rows (n, d) with positive weights (n,), starting from ``start`` or from k-means.

    ``reg_covar`` is added to all variances. Rows should be centered, since densities far from 0 lose precision.
    """
    mixture = start or _maximized(rows, weight, _clusters(rows, weight, n_components, seed), reg_covar)
    bounds: list[float] = []
    while True:
        joint = mixture.joint_log_density(rows)
        log_density = logsumexp(joint, axis=1)
        bounds.append(float(weight @ log_density / weight.sum()))
        converged = len(bounds) > 1 and abs(bounds[-1] - bounds[-2]) < _TOL
        mixture = _maximized(rows, weight, np.exp(joint - log_density[:, np.newaxis]), reg_covar)
        if converged or len(bounds) == max_iter:
            return mixture._replace(bounds=tuple(bounds), converged=converged)


def _maximized(rows: np.ndarray, weight: np.ndarray, shares: np.ndarray, reg_covar: float) -> Mixture:
    """Compute the M-step for responsibilities ``shares``, (n, k)."""
    shares = shares * weight[:, np.newaxis]
    # An empty cluster keeps a positive weight, whose logarithm is finite.
    counts = shares.sum(axis=0) + 10 * np.finfo(np.float64).eps * weight.mean()
    means = shares.T @ rows / counts[:, np.newaxis]
    d = rows.shape[1]
    covariances, roots = np.empty((2, len(means), d, d))
    for index, mean in enumerate(means):
        away = rows - mean
        covariances[index] = (shares[:, index] * away.T) @ away / counts[index] + reg_covar * np.eye(d)
        roots[index] = solve_triangular(np.linalg.cholesky(covariances[index]), np.eye(d), lower=True).T
    return Mixture(counts / counts.sum(), means, covariances, roots)


def _clusters(rows: np.ndarray, weight: np.ndarray, n_clusters: int, seed: int) -> np.ndarray:
    """Return one-hot assignments of k-means, (n, k)."""
    return np.ones((len(rows), 1)) if n_clusters == 1 else k_means(rows, weight, n_clusters, seed)[1]
