"""Arrays that are read block by block: memory maps, chunked arrays and torch Datasets."""

from __future__ import annotations

import contextlib
import math
import mmap
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, IterableDataset, TensorDataset

from .._utils.memory import hold_budget, read_budget
from .arrays import as_array

_BLOCK = 2**22  # values read at once: 32 MB in float64
_KEPT = 2**28  # largest chunk, in bytes, that is cached for its next block: twice dask's default chunk size


@dataclass(frozen=True, eq=False)
class LazyArray:
    """Array whose rows are read when it is sliced; the returned arrays may be read-only views."""

    shape: tuple[int, ...]
    dtype: np.dtype
    edges: list[int]  #: boundaries of blocks that are efficient to read, from 0 to the number of rows
    _name: str
    _read: Callable[[Any], np.ndarray]  # rows of a non-empty slice or index array
    _checks: tuple[Callable[[np.ndarray], None], ...] = ()
    _arrangements: tuple[Callable[[np.ndarray], np.ndarray], ...] = ()
    _chunk_edges: list[int] | None = None

    ndim = property(lambda self: len(self.shape), doc="The number of axes.")
    size = property(lambda self: math.prod(self.shape), doc="The number of values.")

    @property
    def chunk_edges(self) -> list[int]:
        """Edges of chunks, whose blocks should be read one after the other; the whole range if there are no chunks."""
        return [0, len(self)] if self._chunk_edges is None else self._chunk_edges

    def __len__(self) -> int:
        return self.shape[0]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        raise TypeError(f"{self._name} is read block by block and cannot be loaded as a whole: slice it.")

    def __getitem__(self, index: Any) -> np.ndarray:
        """Return the rows of a slice without a step, or of a 1-d integer array."""
        if isinstance(index, slice) and index.step in (None, 1):
            start, stop, _ = index.indices(len(self))
            n, index = max(0, stop - start), slice(start, stop)
        elif isinstance(index, np.ndarray) and index.ndim == 1 and index.dtype.kind in "iu":
            n = len(index)
            if n and not -len(self) <= index.min() <= index.max() < len(self):
                raise IndexError(f"{self._name} has {len(self)} rows, got indices {index.min()} to {index.max()}.")
            index = index.astype(np.intp) % max(1, len(self))
        else:
            raise IndexError(f"{self._name} takes slices without a step and 1-d integer arrays, got {index!r}.")
        if not n:  # checks and arrangements expect at least one row
            return np.empty((0, *self.shape[1:]), self.dtype)
        rows = self._read(index)
        for check in self._checks:
            check(rows)
        for arrange in self._arrangements:
            rows = arrange(rows)
        return rows

    def arranged(self, arrange: Callable[[np.ndarray], np.ndarray]) -> LazyArray:
        """Return a copy that applies ``arrange``, which keeps the number of rows, to all arrays read."""
        # The shape of an arranged row is that of a row of zeros: reading one may be expensive.
        row = arrange(np.zeros((1, *self.shape[1:]), self.dtype))
        arrangements = (*self._arrangements, arrange)
        return replace(self, shape=(len(self), *row.shape[1:]), dtype=row.dtype, _arrangements=arrangements)

    def checked(self, check: Callable[[np.ndarray], None]) -> LazyArray:
        """Return a copy that calls ``check`` on each array read, before arrangements; ``check`` may raise."""
        return replace(self, _checks=(*self._checks, check))


def as_lazy_array(X: Any, name: str = "X", block_values: int | None = None) -> LazyArray | None:
    """Return a `LazyArray` with blocks of about ``block_values`` values if ``X`` may exceed the memory, else None.

    This applies to memory maps and views of them, to arrays with shape, dtype and chunks (dask, zarr, h5py), and to
    map-style torch Datasets.
    """
    most = block_values or _BLOCK
    if isinstance(X, TensorDataset) and type(X).__getitem__ is TensorDataset.__getitem__:
        rows = X.tensors[0]  # faster than item by item
        edges, dtype = _edges([0, len(X)], rows.shape, most), as_array(rows[:0]).dtype
        return LazyArray(tuple(rows.shape), dtype, edges, name, lambda index: as_array(rows[index]))
    if isinstance(X, Dataset | DataLoader):
        return _from_dataset(X, name, most)
    if not (isinstance(getattr(X, "shape", None), tuple) and X.shape) or isinstance(X, Tensor) or hasattr(X, "iloc"):
        return None
    if isinstance(X, np.ndarray):
        return _from_memmap(X, name, most)
    return _from_chunks(X, name, most) if hasattr(X, "dtype") and hasattr(X, "chunks") else None


def load_if_small(X: Any, name: str = "X") -> Any:
    """Return ``X`` itself if it is in memory, an array if it fits into memory, or a `LazyArray`."""
    blocks = as_lazy_array(X, name, min(_BLOCK, max(1, read_budget() // 32)))  # several blocks are read at once
    if blocks is None or blocks.size * blocks.dtype.itemsize > hold_budget():
        return X if blocks is None else blocks
    return X if isinstance(X, np.ndarray) else blocks[:]


def arranged(X: Any, arrange: Callable[[Any], Any]) -> Any:
    """Return ``arrange(X)``, which a `LazyArray` applies when it is read."""
    return X.arranged(arrange) if isinstance(X, LazyArray) else arrange(X)


def _from_memmap(X: np.ndarray, name: str, most: int) -> LazyArray | None:
    owner: Any = X if type(X) in (np.ndarray, np.memmap) else None
    while owner is not None and getattr(owner, "_mmap", None) is None:  # copies and results of computations have no map
        owner = getattr(owner, "base", None)
    if owner is None:
        return None
    # Pages that were read stay in memory until they are released. Those of a shared map are kept in the file.
    give_back = owner.mode != "c" and hasattr(mmap, "MADV_DONTNEED")
    array = np.asarray(X)
    edges = _edges([0, len(array)], array.shape, most)

    def take(index: slice | np.ndarray) -> np.ndarray:
        rows = np.array(array[index], order="C")
        if give_back:
            with contextlib.suppress(OSError):  # locked pages are meant to stay
                owner._mmap.madvise(mmap.MADV_DONTNEED)
        return rows

    def read(index: slice | np.ndarray) -> np.ndarray:
        if isinstance(index, slice):
            return take(index)
        # Scattered rows may touch every page of the file.
        return _by_blocks(index, edges, np.empty((len(index), *array.shape[1:]), array.dtype), take)

    return LazyArray(array.shape, array.dtype, edges, name, read)


def _from_chunks(X: Any, name: str, most: int) -> LazyArray:
    if any(side != side for side in X.shape):
        raise ValueError(f"{name} has chunks of unknown size: call {name}.compute_chunk_sizes() first.")
    n, *row = shape = tuple(map(int, X.shape))
    dtype, sizes = np.dtype(X.dtype), X.chunks and X.chunks[0]  # a size per chunk, one for all chunks, or None
    bounds = [0, *np.cumsum(sizes).tolist()] if np.ndim(sizes) else [*range(0, n, int(sizes or n or 1)), n]
    edges, row_bytes = _edges(bounds, shape, most), math.prod(row) * dtype.itemsize
    kept: dict[int, np.ndarray] = {}  # at most one chunk, keyed by its start

    def load(start: int, stop: int) -> np.ndarray:
        low, high = bounds[(i := bisect_right(bounds, start)) - 1], bounds[i]
        is_cut = sizes and bisect_right(edges, low) < bisect_right(edges, high - 1)
        if not is_cut or stop > high or (start, stop) == (low, high) or (high - low) * row_bytes > _KEPT:
            return _expect(np.asarray(X[start:stop]), (stop - start, *row), dtype, f"Rows {start}:{stop} of {name}")
        if low not in kept:  # reading a part of a chunk takes as long as reading all of it
            kept.clear()  # before loading, so that only one chunk is in memory
            kept[low] = load(low, high).view()
            kept[low].flags.writeable = False
        return kept[low][start - low : stop - low]

    def read(index: slice | np.ndarray) -> np.ndarray:
        if isinstance(index, slice):
            return load(index.start, index.stop)
        out = np.empty((len(index), *row), dtype)
        return _by_blocks(index, edges, out, lambda some: load(int(some[0]), int(some[-1]) + 1)[some - some[0]])

    return LazyArray(shape, dtype, edges, name, read, _chunk_edges=sorted({*bounds} & {*edges}))


def _from_dataset(X: Any, name: str, most: int) -> LazyArray:
    if isinstance(X, IterableDataset | DataLoader) or not hasattr(X, "__len__"):
        raise TypeError(f"{name} must have a length and indexable rows: pass an array or a map-style torch Dataset.")
    first = _row(X[0], f"Row 0 of {name}") if len(X) else np.empty(0)
    shape = (len(X), *first.shape)

    def read(index: slice | np.ndarray) -> np.ndarray:
        numbers = list(range(index.start, index.stop)) if isinstance(index, slice) else index.tolist()
        items = X.__getitems__(numbers) if hasattr(X, "__getitems__") else map(X.__getitem__, numbers)
        out = np.empty((len(numbers), *first.shape), first.dtype)
        for k, (i, item) in enumerate(zip(numbers, items, strict=True)):
            what = f"Row {i} of {name}"
            out[k] = _expect(_row(item, what), first.shape, first.dtype, what)
        return out

    return LazyArray(shape, first.dtype, _edges([0, len(X)], shape, most), name, read)


def _row(item: Any, what: str) -> np.ndarray:
    """Return the row of a Dataset item: the item itself, or the first entry of a tuple."""
    is_pair = isinstance(item, tuple | list) and len(item) > 0 and not np.isscalar(item[0])  # not a list of numbers
    row = np.asarray(as_array(item[0] if is_pair else item))
    if row.dtype == object:
        raise TypeError(f"{what} must be an array, or come first in a tuple, got {type(item).__name__}.")
    return row


def _by_blocks(
    index: np.ndarray, edges: list[int], out: np.ndarray, take: Callable[[np.ndarray], np.ndarray]
) -> np.ndarray:
    """Fill ``out`` with the rows at ``index``; ``take`` is called with ascending indices within one block."""
    order = np.argsort(index, kind="stable")
    for a, b in pairwise(np.unique(np.searchsorted(index[order], edges)).tolist()):
        out[order[a:b]] = take(index[order[a:b]])
    return out


def _expect(rows: np.ndarray, shape: tuple[int, ...], dtype: np.dtype, what: str) -> np.ndarray:
    """Check the shape and the dtype of the rows read, and cast them."""
    if rows.shape != shape or not np.can_cast(rows.dtype, dtype, "same_kind"):
        raise ValueError(f"{what} must have shape {shape} and dtype {dtype}, got {rows.shape} and {rows.dtype}.")
    return rows.astype(dtype, copy=False)


def _edges(bounds: list[int], shape: Sequence[int], block_values: int) -> list[int]:
    """Return edges of blocks, each of which is several chunks between ``bounds``, one chunk, or a part of one."""
    most = max(1, block_values // max(1, math.prod(shape[1:])))
    edges = [0]
    for low, high in pairwise(bounds):
        if edges[-1] < low and high - edges[-1] > most:
            edges.append(low)
        if high - low > most:
            parts = -(-(high - low) // most)
            edges += [low + (high - low) * part // parts for part in range(1, parts + 1)]
    return edges if edges[-1] == bounds[-1] else [*edges, bounds[-1]]
