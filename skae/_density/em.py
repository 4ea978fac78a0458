"""Gaussian mixtures with full covariances, fitted to weighted rows by expectation-maximization (EM).

scikit-learn's mixtures take no weights. No estimator is fitted on the way either, which tools that record every call
of `fit` would take for a model of the user's.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.linalg import solve_triangular
from scipy.special import logsumexp
from sklearn.cluster import kmeans_plusplus
from sklearn.mixture import GaussianMixture

_MAX_ITER, _TOL = 50, 1e-3  # of EM; the gain in the mean log-likelihood that ends it is GaussianMixture's
_MAX_MOVES = 30  # of k-means, where EM starts


class Mixture(NamedTuple):
    """Shares (k,), means (k, d), covariances and the roots of their inverses (k, d, d), and how EM got there."""

    weights: np.ndarray
    means: np.ndarray
    covariances: np.ndarray
    roots: np.ndarray
    bounds: tuple[float, ...] = ()  # the mean log-likelihood before every step
    converged: bool = False

    def joint_log_density(self, rows: np.ndarray) -> np.ndarray:
        """The log-density of every row together with each component, (n, k)."""
        found = np.empty((len(rows), len(self.means)))
        constant = np.log(self.weights) - 0.5 * rows.shape[1] * np.log(2 * np.pi)
        for index, (mean, root) in enumerate(zip(self.means, self.roots, strict=True)):
            away = (rows - mean) @ root
            found[:, index] = np.log(root.diagonal()).sum() - 0.5 * np.einsum("ij,ij->i", away, away)
        return found + constant

    def score(self, rows: np.ndarray, weight: np.ndarray) -> float:
        """The mean log-density of weighted rows."""
        return float(weight @ logsumexp(self.joint_log_density(rows), axis=1) / weight.sum())

    def as_estimator(self, origin: np.ndarray, **params: float) -> GaussianMixture:
        """The fitted scikit-learn estimator of codes less ``origin``, ready to be scored, sampled and cloned."""
        mixture = GaussianMixture(len(self.weights), max_iter=_MAX_ITER, tol=_TOL, **params)
        mixture.weights_, mixture.means_, mixture.covariances_ = self.weights, self.means + origin, self.covariances
        mixture.precisions_cholesky_ = self.roots
        mixture.precisions_ = self.roots @ self.roots.transpose(0, 2, 1)
        mixture.converged_, mixture.n_iter_ = self.converged, len(self.bounds)
        mixture.lower_bound_, mixture.lower_bounds_ = self.bounds[-1], list(self.bounds)
        mixture.n_features_in_ = self.means.shape[1]
        return mixture


def fit_mixture(
    rows: np.ndarray, weight: np.ndarray, n_components: int, reg_covar: float, seed: int, start: Mixture | None = None
) -> Mixture:
    """Fit a mixture to rows (n, d) of positive weights (n,), from ``start`` or from k-means.

    ``reg_covar`` is added to all variances. Rows should lie around 0: densities far from it lose digits.
    """
    mixture = start or _maximized(rows, weight, _clusters(rows, weight, n_components, seed), reg_covar)
    bounds: list[float] = []
    while True:
        joint = mixture.joint_log_density(rows)
        log_density = logsumexp(joint, axis=1)
        bounds.append(float(weight @ log_density / weight.sum()))
        converged = len(bounds) > 1 and abs(bounds[-1] - bounds[-2]) < _TOL
        mixture = _maximized(rows, weight, np.exp(joint - log_density[:, np.newaxis]), reg_covar)
        if converged or len(bounds) == _MAX_ITER:
            return mixture._replace(bounds=tuple(bounds), converged=converged)


def _maximized(rows: np.ndarray, weight: np.ndarray, shares: np.ndarray, reg_covar: float) -> Mixture:
    """The most likely mixture where every row belongs to the components by ``shares``, (n, k)."""
    shares = shares * weight[:, np.newaxis]
    # A cluster of no rows keeps a share that has a logarithm.
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
    """The clusters of weighted k-means, as shares of 0 and 1, (n, k)."""
    if n_clusters == 1:
        return np.ones((len(rows), 1))
    centers, _ = kmeans_plusplus(rows, n_clusters, sample_weight=weight, random_state=seed)
    norms, labels = np.einsum("ij,ij->i", rows, rows), np.full(len(rows), -1)
    for _ in range(_MAX_MOVES):
        squares = norms[:, np.newaxis] + np.einsum("ij,ij->i", centers, centers) - 2 * rows @ centers.T
        before, labels = labels, squares.argmin(axis=1)
        if np.array_equal(labels, before):
            break
        shares = np.equal.outer(labels, np.arange(n_clusters)) * weight[:, np.newaxis]
        counts = shares.sum(axis=0)
        occupied = counts > 0  # other centers stay where they are
        centers[occupied] = (shares.T @ rows)[occupied] / counts[occupied, np.newaxis]
    return np.equal.outer(labels, np.arange(n_clusters)).astype(np.float64)
