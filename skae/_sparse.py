"""Sparse matrices: their rows, made dense when they are read, and what is computed of them without that."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from ._source import Blocks
from ._threads import one_blas_thread

_STORED = 2**19  # entries of the matrix handled at once: 4 MB in float64
_OVERSAMPLING = 10  # axes beyond those that are wanted, beside as many again
_TOLERANCE, _MAX_ITERATIONS = 1e-5, 50  # of the axes: how much less an iteration leaves unexplained


@dataclass(frozen=True, eq=False)
class SparseRows(Blocks):
    """Rows of a sparse matrix, which become dense when they are sliced; rows that lie apart are read as fast."""

    matrix: Any = None  #: in CSR format, each entry stored once; nobody writes into it

    @property
    def values(self) -> np.ndarray:
        """All values that occur: those stored, and 0 if there are others."""
        data = self.matrix.data
        n_others = self.matrix.shape[0] * self.matrix.shape[1] - len(data)
        return np.append(data, data.dtype.type(0)) if n_others else data


def sparse_rows(matrix: Any, name: str) -> SparseRows:
    """Return the rows of a CSR matrix or array, of which they are a view."""
    if not matrix.has_canonical_format:
        matrix = matrix.copy()
        matrix.sum_duplicates()
    return SparseRows(
        matrix.shape, matrix.dtype, [0, matrix.shape[0]], name, lambda index: matrix[index].toarray(), matrix=matrix
    )


def moments(X: SparseRows, sample_weight: np.ndarray | None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the weight of the known values of every feature, their mean, and their squared deviations from it.

    Of shape (n_features,) each, in float64. A feature without known values has the mean 0.
    """
    n_features = X.matrix.shape[1]
    missing, total = np.zeros(n_features), np.zeros(n_features)
    for piece, weight in _pieces(X, sample_weight):
        nan = np.isnan(piece.data)
        missing += np.bincount(piece.indices[nan], weight[nan], n_features)
        total += np.bincount(piece.indices[~nan], (weight * piece.data)[~nan], n_features)
    known = (len(X) if sample_weight is None else sample_weight.sum()) - missing
    known[known < 1e-9 * known.max()] = 0.0  # what rounding leaves
    mean = np.divide(total, known, out=np.zeros(n_features), where=known > 0)
    # Deviations from a mean that is not quite right yet; that of all zeros at once.
    rest, first, second = known.copy(), np.zeros(n_features), np.zeros(n_features)
    for piece, weight in _pieces(X, sample_weight):
        deviation = piece.data - mean[piece.indices]
        weight = np.where(np.isnan(deviation), 0.0, weight)
        deviation = np.nan_to_num(deviation)
        rest -= np.bincount(piece.indices, weight, n_features)
        first += np.bincount(piece.indices, weight * deviation, n_features)
        second += np.bincount(piece.indices, weight * deviation**2, n_features)
    rest = np.where(rest > 1e-9 * known, rest, 0.0)
    first -= rest * mean
    second += rest * mean**2
    shift = np.divide(first, known, out=np.zeros(n_features), where=known > 0)
    return known, mean + shift, np.maximum(second - shift * first, 0.0)


def principal_axes(
    X: SparseRows, sample_weight: np.ndarray | None, mean: np.ndarray, total: float, n_axes: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the first principal axes of the rows, (n_axes, n_features), and the squared deviations along them.

    By subspace iteration (Halko, Martinsson and Tropp, 2011), with ``mean`` subtracted from products and not from the
    matrix: of the size of the features there are only as many vectors as twice the axes. What is missing is ``mean``.
    It ends when what the axes leave of ``total``, all squared deviations, becomes no less.
    """
    n_features = X.matrix.shape[1]
    n_axes = min(n_axes, *X.matrix.shape)
    n_vectors = min(2 * n_axes + _OVERSAMPLING, *X.matrix.shape)
    basis = np.random.default_rng(seed).standard_normal((n_features, n_vectors))
    explained = -np.inf
    with one_blas_thread():
        for _ in range(_MAX_ITERATIONS):
            vectors, _ = np.linalg.qr(basis)
            basis = _scatter_times(X, sample_weight, mean, vectors)
            values, turn = np.linalg.eigh(vectors.T @ basis)
            before, explained = explained, float(values[-n_axes:].sum())
            if explained - before <= _TOLERANCE * max(total - explained, 0.0):
                break
        directions = (vectors @ turn[:, ::-1][:, :n_axes]).T
    return directions, np.maximum(values[::-1][:n_axes], 0.0)


def _scatter_times(X: SparseRows, sample_weight: np.ndarray | None, mean: np.ndarray, V: np.ndarray) -> np.ndarray:
    """Multiply the scatter matrix of the rows, (n_features, n_features), which is never made, by ``V``."""
    product, sums, shift = np.zeros(V.shape), np.zeros(V.shape[1]), mean @ V
    start = 0
    for piece, weight in _pieces(X, sample_weight):
        nan = np.isnan(piece.data)
        piece.data[nan] = mean[piece.indices[nan]]
        projected = piece @ V - shift
        if sample_weight is not None:
            projected *= sample_weight[start : start + len(projected), None]
        start += len(projected)
        product += piece.T @ projected
        sums += projected.sum(axis=0)
    return product - np.outer(mean, sums)


def _pieces(X: SparseRows, sample_weight: np.ndarray | None) -> Iterator[tuple[Any, np.ndarray]]:
    """Yield the matrix in float64 by several rows at once, a copy, and the weight of every entry that is stored."""
    n_rows, n_stored = X.matrix.shape[0], len(X.matrix.data)
    step = max(1, _STORED * n_rows // max(1, n_stored))
    for start in range(0, n_rows, step):
        piece = X.matrix[start : start + step].astype(np.float64)
        if sample_weight is None:
            yield piece, np.ones(len(piece.data))
        else:
            yield piece, np.repeat(sample_weight[start : start + step], np.diff(piece.indptr))
