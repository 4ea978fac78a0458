"""The Fréchet distance of Gaussians that are fitted to two arrays."""

from __future__ import annotations

from typing import Any

import numpy as np


def frechet(
    F: np.ndarray, G: np.ndarray, weight: np.ndarray | None = None, weight_other: np.ndarray | None = None
) -> float:
    """Return the squared distance of the Gaussians fitted to ``F`` (n, d) and ``G``, by the weights of their rows."""
    mean, root = _mean_and_root(F, weight)
    mean_other, root_other = _mean_and_root(G, weight_other)
    shift = mean - mean_other
    # The trace of (C C')^½ is the sum of the singular values of R R'ᵀ where C = RᵀR and C' = R'ᵀR'. Square roots of
    # eigenvalues of C C' would be less precise: a rounding error of 1e-16 becomes 1e-8 where one of them is 0.
    common = np.linalg.svd(root @ root_other.T, compute_uv=False).sum()
    return max(0.0, float(shift @ shift + np.sum(root**2) + np.sum(root_other**2) - 2 * common))


def _mean_and_root(F: np.ndarray, weight: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean, and a matrix R of at most d rows such that RᵀR is the covariance of the columns of F.

    That of a single row is 0.
    """
    if weight is None:
        mean = F.mean(axis=0)
        root: Any = np.linalg.qr(F - mean, mode="r")
        return mean, root / np.sqrt(max(len(F) - 1, 1))
    share = weight / weight.sum()
    mean = share @ F
    spread = np.sqrt(share / max(1 - share @ share, 1e-12))  # unbiased for weights that say how reliable a row is
    root = np.linalg.qr(spread[:, None] * (F - mean), mode="r")
    return mean, root
