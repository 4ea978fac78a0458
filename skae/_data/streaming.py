"""A training set that is read from its source batch by batch."""

from __future__ import annotations

import copy
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from .batches import Batch, InMemoryDataset, is_in_part, row_numbers
from .chunked import map_rows
from .sources import LazyArray
from .sparse import SparseRows


class StreamingDataset(Dataset):
    """Training set that is read while it is used, one window of samples at a time.

    Arrays and sparse matrices are shuffled sample by sample, like an `InMemoryDataset`, and read a batch at a time. For
    any other `LazyArray` the order of blocks is shuffled, and the blocks of a window are shuffled together.

    Parameters
    ----------
    X : ndarray or LazyArray
        Samples in the data's own units.
    standardize, find_target : callable
        Compute standardized samples from ``X``, and targets from ``X_target``.
    window : int
        Number of samples in memory at once; at least 1.
    device : torch.device
        Device of the batches.
    X_target : ndarray, LazyArray or None
        Source of the targets. If None, ``X``.
    weight, condition : Tensor or None
        As in `InMemoryDataset`, on the CPU.
    index : ndarray of int or None
        Indices of the selected samples. If None, all.
    """

    def __init__(
        self,
        X: Any,
        standardize: Callable[[Tensor], Tensor],
        find_target: Callable[[Tensor], Tensor] | None,
        window: int,
        device: torch.device,
        X_target: Any = None,
        weight: Tensor | None = None,
        condition: Tensor | None = None,
        index: np.ndarray | None = None,
    ) -> None:
        self.X, self.X_target, self.weight, self.condition = X, X_target, weight, condition
        index = row_numbers(len(X)) if index is None else index
        self.is_sparse = isinstance(X, SparseRows)
        self.in_blocks = isinstance(X, LazyArray) and not self.is_sparse
        self.index: Any = np.sort(index) if self.in_blocks else index  # keeps the samples of a block together
        self.standardize, self.find_target = standardize, find_target
        self.window, self.device = window, device

    def __len__(self) -> int:
        return len(self.index)

    def at(self, index: np.ndarray) -> InMemoryDataset:
        """Load the samples of X at ``index`` onto the device."""
        return self._read(index).in_memory()

    def whole(self) -> StreamingDataset:
        """Return the dataset of all samples, selected or not."""
        other = copy.copy(self)
        other.index = range(len(self.X))  # a range needs no memory
        return other

    def in_memory(self) -> InMemoryDataset:
        """Load the selected samples onto the device."""
        return self.at(self.index)

    def part(self, index: np.ndarray) -> StreamingDataset:
        """Return a streaming dataset of the samples of X at ``index``, with weights of mean 1."""
        weight = None if self.weight is None else self.weight / self.weight[torch.from_numpy(index)].mean()
        ways = self.standardize, self.find_target, self.window, self.device
        return StreamingDataset(self.X, *ways, self.X_target, weight, self.condition, index)

    def _read(self, index: np.ndarray) -> InMemoryDataset:
        """Load the samples of X at ``index``, stored in ascending order and indexed in the given one.

        Rows of a sparse matrix are stored in the given order, which avoids a second copy.
        """
        order = slice(None) if self.is_sparse else np.argsort(index, kind="stable")
        X, target = _Picked(self.X, index[order]), None
        if self.find_target is None:
            u = map_rows(self.standardize, X)
        elif self.X_target is not None:
            u = map_rows(self.standardize, X)
            target = map_rows(self.find_target, _Picked(self.X_target, index[order]))
        else:  # X is read only once for both
            find_target = self.find_target
            u, target = map_rows(lambda x: torch.stack([self.standardize(x), find_target(x)], 1), X).unbind(1)
        where, back = torch.from_numpy(index[order]), None
        if not self.is_sparse:
            back = torch.empty(len(index), dtype=torch.int64)
            back[torch.from_numpy(order)] = torch.arange(len(index))
        others = (None if t is None else t[where] for t in (self.weight, self.condition))
        found = (u, target, *others, back)
        return InMemoryDataset(*(None if t is None else self._send(t) for t in found))  # type: ignore[arg-type]

    def _send(self, t: Tensor) -> Tensor:
        if self.device.type == "cpu":
            return t
        return t.pin_memory().to(self.device, non_blocking=True)

    def _windows(self, generator: torch.Generator | None) -> Iterator[np.ndarray]:
        """Yield the indices of each window, in the order of use."""
        index = self.index
        if generator is None or not self.in_blocks:
            if generator is not None:
                index = _shuffled([index], generator)
            yield from (np.asarray(index[start : start + self.window]) for start in range(0, len(index), self.window))
            return
        together: list[np.ndarray] = []
        for low, high in _drawn(self.X.chunk_edges, generator):
            edges = self.X.edges[bisect_left(self.X.edges, low) : bisect_right(self.X.edges, high)]
            # A chunk of several blocks shares no window with other chunks, so that it is read only once.
            is_cut = len(edges) > 2 and len(self.X.chunk_edges) > 2
            if is_cut and together:
                yield _shuffled(together, generator)
                together = []
            for start, stop in _drawn(edges, generator):
                first, last = np.searchsorted(index, np.array([start, stop], index.dtype))  # of another it is copied
                together += [index[first:last]] if first < last else []
                if sum(map(len, together)) >= self.window:
                    yield _shuffled(together, generator)
                    together = []
            if is_cut and together:
                yield _shuffled(together, generator)
                together = []
        if together:
            yield _shuffled(together, generator)

    def batches(
        self, sizes: Sequence[int], generator: torch.Generator | None, part: tuple[int, int] = (0, 1)
    ) -> Iterator[Batch]:
        """Yield the ``part`` of batches of ``sizes``, shuffled by ``generator``, or in order if it is None.

        Nothing is read but the samples of the part, which is that of `InMemoryDataset.batches`.
        """
        if self.is_sparse:
            index, stop = self.index if generator is None else _shuffled([self.index], generator), 0
            for size in sizes:
                start, stop = stop, stop + size
                own = np.asarray(index[start:stop][part[0] :: part[1]])
                if len(own):
                    yield self._read(own)[:]
            return
        left = iter([len(range(part[0], size, part[1])) for size in sizes])
        size = next(left, 0)
        rest: InMemoryDataset | None = None  # start of a batch that continues in the next window
        n_seen = 0
        for index in self._windows(generator):
            own = index if part[1] == 1 else index[is_in_part(n_seen, len(index), sizes, part)]
            n_seen += len(index)
            if not len(own):
                continue
            rows, start = self._read(own), 0
            if rest is not None:
                start = min(size - len(rest), len(rows))
                rest = _joined(rest, _part(rows, 0, start))
                if len(rest) == size:
                    yield rest[:]
                    size, rest = next(left, 0), None
            while size and start + size <= len(rows):
                yield rows[start : start + size]
                start += size
                size = next(left, 0)
            if not size:
                return
            if start < len(rows):
                rest = _part(rows, start, len(rows))
            del rows  # free memory before the next window is read


def _part(rows: InMemoryDataset, start: int, stop: int) -> InMemoryDataset:
    """Return a slice of the samples as a dataset of its own."""
    return InMemoryDataset(*rows[start:stop].tensors())  # type: ignore[arg-type]


def _joined(a: InMemoryDataset, b: InMemoryDataset) -> InMemoryDataset:
    pairs = zip(a.tensors(), b.tensors(), strict=True)
    return InMemoryDataset(*(None if s is None or t is None else torch.cat([s, t]) for s, t in pairs))  # type: ignore[arg-type]


def _drawn(edges: Sequence[int], generator: torch.Generator) -> Iterator[tuple[int, int]]:
    """Yield the intervals between consecutive edges in random order."""
    for i in torch.randperm(len(edges) - 1, generator=generator).tolist():
        yield edges[i], edges[i + 1]


class _Picked:
    """View of the samples of ``X`` at an ascending ``index``, read slice by slice."""

    def __init__(self, X: Any, index: np.ndarray) -> None:
        self.X, self.index = X, index
        self.shape, self.dtype = (len(index), *X.shape[1:]), X.dtype

    def __len__(self) -> int:
        return len(self.index)

    def __getitem__(self, rows: slice) -> np.ndarray:
        return self.X[self.index[rows]]


def _shuffled(parts: list[np.ndarray], generator: torch.Generator) -> np.ndarray:
    index = np.concatenate(parts) if len(parts) > 1 else parts[0]
    small = len(index) <= np.iinfo(np.int32).max  # int32 halves the memory
    order = torch.randperm(len(index), generator=generator, dtype=torch.int32 if small else torch.int64)
    return index[order.numpy()]
