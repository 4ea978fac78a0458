"""Sparse matrices: rows densified on access, and statistics computed without a dense copy."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from .pca import Samples
from .sources import LazyArray

_STORED = 2**19  # entries handled at once: 4 MB in float64


@dataclass(frozen=True, eq=False)
class SparseRows(LazyArray):
    """Rows of a sparse matrix, densified when sliced; scattered rows are read as fast as contiguous ones."""

    matrix: Any = None  #: in canonical CSR format; never modified

    @property
    def values(self) -> np.ndarray:
        """The stored values, and a 0 if some entries are not stored."""
        data = self.matrix.data
        n_others = self.matrix.shape[0] * self.matrix.shape[1] - len(data)
        return np.append(data, data.dtype.type(0)) if n_others else data

    @property
    def feature_order(self) -> np.ndarray:
        """The column of the matrix that each value of an arranged, flattened row comes from."""
        columns = np.arange(self.matrix.shape[1])[None]
        for arrange in self._arrangements:
            columns = arrange(columns)
        return columns.reshape(-1)


def sparse_rows(matrix: Any, name: str) -> SparseRows:
    """Return a view of the rows of a CSR matrix or array."""
    if not matrix.has_canonical_format:
        matrix = matrix.copy()
        matrix.sum_duplicates()
    return SparseRows(
        matrix.shape, matrix.dtype, [0, matrix.shape[0]], name, lambda index: matrix[index].toarray(), matrix=matrix
    )


def moments(X: SparseRows, sample_weight: np.ndarray | None) -> tuple[np.ndarray, ...]:
    """Compute statistics of the known values of each feature, zeros included, without a dense matrix.

    Returns
    -------
    count, mean, square : ndarray of shape (n_features,), float64
        The sum of weights, the mean and the sum of squared deviations from it; 0 for features without known values.
    low, high : ndarray of shape (n_features,), float64
        The minimum and maximum; infinite for features without known values. All in the order of arranged rows.
    """
    n_rows, n_features = X.matrix.shape
    missing, total = np.zeros(n_features), np.zeros(n_features)
    low, high = np.full(n_features, np.inf), np.full(n_features, -np.inf)
    n_stored = np.zeros(n_features, dtype=np.int64)
    for piece, row_weight in _pieces(X, sample_weight):
        nan, weight = np.isnan(piece.data), np.repeat(row_weight, np.diff(piece.indptr))
        missing += np.bincount(piece.indices[nan], weight[nan], n_features)
        total += np.bincount(piece.indices[~nan], (weight * piece.data)[~nan], n_features)
        n_stored += np.bincount(piece.indices, minlength=n_features)
        np.fmin.at(low, piece.indices, piece.data)
        np.fmax.at(high, piece.indices, piece.data)
    has_zeros = n_stored < n_rows
    low, high = np.where(has_zeros, np.fmin(low, 0), low), np.where(has_zeros, np.fmax(high, 0), high)
    weights = n_rows if sample_weight is None else sample_weight.sum()
    count = np.where(low <= high, np.maximum(weights - missing, 0.0), 0.0)
    mean = np.divide(total, count, out=np.zeros(n_features), where=count > 0)
    # The mean is corrected by the mean of the deviations, since a sum of large values loses their last digits.
    zeros, first, second = count.copy(), np.zeros(n_features), np.zeros(n_features)
    for piece, row_weight in _pieces(X, sample_weight):
        deviation = piece.data - mean[piece.indices]
        weight = np.where(np.isnan(deviation), 0.0, np.repeat(row_weight, np.diff(piece.indptr)))
        deviation = np.nan_to_num(deviation)
        zeros -= np.bincount(piece.indices, weight, n_features)
        first += np.bincount(piece.indices, weight * deviation, n_features)
        second += np.bincount(piece.indices, weight * deviation**2, n_features)
    zeros = np.where(has_zeros, np.maximum(zeros, 0.0), 0.0)
    first -= zeros * mean
    second += zeros * mean**2
    shift = np.divide(first, count, out=np.zeros(n_features), where=count > 0)
    found = count, mean + shift, np.maximum(second - shift * first, 0.0), low, high
    return tuple(values[X.feature_order] for values in found)


class SparseSamples(Samples):
    """Standardized samples for PCA; means are subtracted from products with the matrix, not from the matrix.

    Parameters
    ----------
    X : SparseRows
        Samples in the data's own units.
    weight : ndarray of shape (n_samples,), default=None
        Sample weights.
    mean : ndarray of shape (n_features,)
        Subtracted from the samples; near their mean.
    fill : ndarray of shape (n_features,)
        Standardized value that replaces NaN.
    scale : float
        Divisor of the centered samples.
    """

    def __init__(
        self, X: SparseRows, weight: np.ndarray | None, mean: np.ndarray, fill: np.ndarray, scale: float
    ) -> None:
        n_present = None if weight is None else int(np.count_nonzero(weight))
        super().__init__(len(X), X.matrix.shape[1], self._dense, fill, n_present)
        self.X, self.weight, self.mean, self.fill, self.scale = X, weight, mean, fill, scale

    def _dense(self) -> Iterator[tuple[np.ndarray, np.ndarray | None]]:
        """Yield dense batches of samples, for a covariance matrix of few features."""
        step = max(1, _STORED // self.n_features)
        for start in range(0, self.n_samples, step):
            s = slice(start, start + step)
            u = (self.X[s].reshape(-1, self.n_features) - self.mean) / self.scale
            np.copyto(u, self.fill, where=np.isnan(u))
            yield u, None if self.weight is None else self.weight[s]

    @cached_property
    def _filled(self) -> tuple[np.ndarray, np.ndarray, float, float]:
        """Fill values and means after filling, in the data's own units; the total variance and its divisor."""
        count, mean, square, *_ = moments(self.X, self.weight)
        total = self.n_samples if self.weight is None else self.weight.sum()
        fill = self.mean + self.fill * self.scale
        shift = count * (mean - fill) / total
        square = square + count * (mean - fill) ** 2 - total * shift**2
        divisor = total * max(self.n_present - 1, 1) / self.n_present * self.scale**2
        return fill, fill + shift, float(np.maximum(square, 0.0).sum()) / divisor, divisor

    def covariance_times(self, V: np.ndarray | None) -> tuple[np.ndarray, np.ndarray, float]:
        """Compute `Samples.covariance_times`, without a dense matrix if ``V`` is given."""
        if V is None:
            return super().covariance_times(None)
        fill, mean, variance, divisor = self._filled
        as_stored = np.argsort(self.X.feature_order)
        V, fill_stored, mean_stored = V[as_stored], fill[as_stored], mean[as_stored]
        product, sums, offset = np.zeros(V.shape), np.zeros(V.shape[1]), mean_stored @ V
        for piece, weight in _pieces(self.X, self.weight):
            nan = np.isnan(piece.data)
            piece.data[nan] = fill_stored[piece.indices[nan]]
            projected = piece @ V - offset
            projected *= weight[:, None]
            product += piece.T @ projected
            sums += projected.sum(axis=0)
        product -= np.outer(mean_stored, sums)
        return product[self.X.feature_order] / divisor, (mean - self.mean) / self.scale, variance


def _pieces(X: SparseRows, sample_weight: np.ndarray | None) -> Iterator[tuple[Any, np.ndarray]]:
    """Yield float64 copies of consecutive rows of the matrix, with their weights."""
    n_rows, n_stored = X.matrix.shape[0], len(X.matrix.data)
    step = max(1, _STORED * n_rows // max(1, n_stored))
    for start in range(0, n_rows, step):
        piece = X.matrix[start : start + step].astype(np.float64, copy=True)
        yield piece, np.ones(piece.shape[0]) if sample_weight is None else sample_weight[start : start + step]
