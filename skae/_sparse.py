"""Sparse matrices: their rows, made dense when they are read, and what is computed of them without that."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ._source import Blocks


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
