"""Principal axes of weighted samples, computed block by block in float64.

scikit-learn's PCA is not used: it computes in float32 for float32 X, and supports neither sample weights nor blocks.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import torch
from scipy.linalg import eigh
from torch import Tensor

from .._utils.threads import one_blas_thread

_BLOCK = 2**21  # values processed at once: 16 MB
_COVARIANCE = 1024  # features up to which the covariance matrix is computed
_RANGE = 512  # samples up to which the subspace has as many dimensions as there are samples
_N_ITER = 8  # iterations of the subspace iteration


class Axes(NamedTuple):
    """The axes of a PCA, as float64 tensors."""

    mean: Tensor  #: (n_features,)
    directions: Tensor  #: unit vectors, (n_axes, n_features)
    variances: Tensor  #: along the directions, (n_axes,)
    rest: Tensor  #: remaining variance, ()


class Samples:
    """Samples for PCA, iterated block by block as often as needed.

    Parameters
    ----------
    n_samples, n_features : int
        Number of samples and of features.
    blocks : callable
        Returns an iterator over pairs of an array (m, n_features) and its weights (m,) or None.
    center : ndarray of shape (n_features,), default=None
        Point near the mean, subtracted first for precision. If None, 0.
    n_present : int, default=None
        Number of samples with a positive weight. If None, all.
    """

    def __init__(
        self,
        n_samples: int,
        n_features: int,
        blocks: Callable[[], Iterator[tuple[np.ndarray, np.ndarray | None]]],
        center: np.ndarray | None = None,
        n_present: int | None = None,
    ) -> None:
        self.n_samples, self.n_features = n_samples, n_features
        self.n_present = n_samples if n_present is None else n_present
        self.blocks, self.center = blocks, center

    @classmethod
    def of(cls, x: Tensor, weight: Tensor | None = None) -> Samples:
        """Return the samples of a tensor (n, ...)."""
        rows = x.flatten(1)
        step = max(1, _BLOCK // max(1, rows.shape[1]))

        def blocks() -> Iterator[tuple[np.ndarray, np.ndarray | None]]:
            for start in range(0, len(rows), step):
                s = slice(start, start + step)
                yield rows[s].cpu().numpy(), None if weight is None else weight[s].cpu().numpy()

        return cls(len(rows), rows.shape[1], blocks, rows.double().mean(0).cpu().numpy())

    def covariance_times(self, V: np.ndarray | None) -> tuple[np.ndarray, np.ndarray, float]:
        """Return the covariance matrix, times ``V`` (n_features, k) if given; the mean; the total variance.

        The number of samples is the number of positive weights, so that equal weights give the usual covariance with
        the divisor n - 1.
        """
        center = np.zeros(self.n_features) if self.center is None else self.center
        product = np.zeros((self.n_features, self.n_features if V is None else V.shape[1]))
        first, square, total, n = np.zeros(self.n_features), 0.0, 0.0, 0
        for rows, weight in self.blocks():
            A = rows.astype(np.float64) - center
            root = np.ones(len(A)) if weight is None else np.sqrt(weight.astype(np.float64))
            if weight is not None:
                A *= root[:, None]
            product += A.T @ (A if V is None else A @ V)
            first += root @ A
            square += float(np.vdot(A, A))
            total += float(root @ root)
            n += int(np.count_nonzero(root))
        if not n:
            raise ValueError("PCA initialization needs at least one sample of positive weight.")
        divisor = total * max(n - 1, 1) / n
        shift = first / total
        product -= total * np.outer(shift, shift if V is None else shift @ V)
        return product / divisor, center + shift, max(0.0, square - total * float(shift @ shift)) / divisor


def principal_axes(samples: Samples, n_components: int, seed: int) -> Axes:
    """Compute at most ``n_components`` axes of largest variance, in descending order.

    They are eigenvectors of the covariance matrix or, for many features, of its restriction to a subspace found by
    randomized subspace iteration (Halko, Martinsson and Tropp, 2011, section 4.5; exact for few samples). The largest
    entry of each direction is positive.
    """
    n_features = samples.n_features
    k = min(n_components, samples.n_present, n_features)
    with one_blas_thread():
        if n_features <= _COVARIANCE:
            covariance, mean, total = samples.covariance_times(None)
            variances, vectors = eigh(covariance, subset_by_index=[n_features - k, n_features - 1])
        else:
            few = samples.n_samples <= _RANGE
            width = samples.n_samples if few else min(2 * k + 10, n_features)
            Q = np.random.default_rng(seed).standard_normal((n_features, min(width, n_features)))
            for _ in range(1 if few else _N_ITER):
                product, mean, total = samples.covariance_times(Q)
                Q = np.linalg.qr(product).Q
            variances, inner = eigh(Q.T @ samples.covariance_times(Q)[0])
            variances, vectors = variances[-k:], Q @ inner[:, -k:]
    variances, directions = np.clip(variances[::-1], 0.0, None), vectors.T[::-1]
    largest = directions[np.arange(k), np.abs(directions).argmax(axis=1)]
    directions = directions * np.where(largest < 0, -1.0, 1.0)[:, None]
    rest = max(0.0, total - math.fsum(variances))
    return Axes(*(torch.tensor(found) for found in (mean, directions, variances, rest)))
