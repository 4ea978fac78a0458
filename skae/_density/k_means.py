"""Weighted k-means, which tools that record every call of `fit` do not see."""

from __future__ import annotations

import numpy as np
from sklearn.cluster import kmeans_plusplus

_MAX_MOVES = 30  # iterations


def k_means(rows: np.ndarray, weight: np.ndarray, n_clusters: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Cluster rows (n, d), in float64, with positive weights (n,).

    Returns
    -------
    centers : ndarray of shape (n_clusters, d)
        Those of clusters that have lost all their rows are where they were.
    shares : ndarray of shape (n, n_clusters)
        One-hot assignments.
    """
    centers, _ = kmeans_plusplus(rows, n_clusters, sample_weight=weight, random_state=seed)
    norms, labels = np.einsum("ij,ij->i", rows, rows), np.full(len(rows), -1)
    for _ in range(_MAX_MOVES):
        squares = norms[:, np.newaxis] + np.einsum("ij,ij->i", centers, centers) - 2 * rows @ centers.T
        before, labels = labels, squares.argmin(axis=1)
        if np.array_equal(labels, before):
            break
        shares = np.equal.outer(labels, np.arange(n_clusters)) * weight[:, np.newaxis]
        counts = shares.sum(axis=0)
        occupied = counts > 0  # centers of empty clusters are kept
        centers[occupied] = (shares.T @ rows)[occupied] / counts[occupied, np.newaxis]
    return centers, np.equal.outer(labels, np.arange(n_clusters)).astype(np.float64)
