"""Rows on their way to training, read while they are used."""

from __future__ import annotations

import copy
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from .batches import Batch, InMemoryDataset, row_numbers
from .chunked import map_rows
from .sources import LazyArray
from .sparse import SparseRows


class StreamingDataset(Dataset):
    """Rows that are read while they are used, a window of them at a time.

    An array is read in one order of all its samples, as an `InMemoryDataset` is, and a sparse matrix too, a batch at a
    time. Of another `LazyArray` the order of the blocks is drawn, and as many as a window holds are shuffled together.

    Parameters
    ----------
    X : ndarray or Blocks
        Rows in the data's own units.
    standardize, find_target : callable
        Make standardized samples of those of ``X``, and targets of those of ``X_target``.
    window : int
        Rows to hold at once; at least 1.
    device : torch.device
        Where batches are wanted.
    X_target : ndarray, Blocks or None
        What targets are made of; ``X`` when None.
    weight, condition : Tensor or None
        As in `InMemoryDataset`, on the CPU.
    index : ndarray of int or None
        Which rows are meant; all when None.
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
        self.index: Any = np.sort(index) if self.in_blocks else index  # rows of a block lie together
        self.standardize, self.find_target = standardize, find_target
        self.window, self.device = window, device

    def __len__(self) -> int:
        return len(self.index)

    def at(self, index: np.ndarray) -> InMemoryDataset:
        """The rows at ``index`` of X, read and held on the device."""
        return self._read(index).in_memory()

    def whole(self) -> StreamingDataset:
        """All rows, whether they are among those meant or not."""
        other = copy.copy(self)
        other.index = range(len(self.X))  # which are numbers in order, and no array of them
        return other

    def in_memory(self) -> InMemoryDataset:
        """All that are meant, as they are meant, held on the device."""
        return self.at(self.index)

    def part(self, index: np.ndarray) -> StreamingDataset:
        """Return the rows at ``index`` of X, to be read while they are used; the mean of their weights is 1."""
        weight = None if self.weight is None else self.weight / self.weight[torch.from_numpy(index)].mean()
        ways = self.standardize, self.find_target, self.window, self.device
        return StreamingDataset(self.X, *ways, self.X_target, weight, self.condition, index)

    def _read(self, index: np.ndarray) -> InMemoryDataset:
        """The rows at ``index`` of X on the device: they lie there in ascending order, and are meant in that given.

        Those of a sparse matrix lie there in the order given, which needs no second copy of them.
        """
        order = slice(None) if self.is_sparse else np.argsort(index, kind="stable")
        X, target = _Picked(self.X, index[order]), None
        if self.find_target is None:
            u = map_rows(self.standardize, X)
        elif self.X_target is not None:
            u = map_rows(self.standardize, X)
            target = map_rows(self.find_target, _Picked(self.X_target, index[order]))
        else:  # both of what is read once
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
        """Row numbers, as many as are read at once, in the order of their use."""
        index = self.index
        if generator is None or not self.in_blocks:
            if generator is not None:
                index = _shuffled([index], generator)
            yield from (np.asarray(index[start : start + self.window]) for start in range(0, len(index), self.window))
            return
        together: list[np.ndarray] = []
        for low, high in _drawn(self.X.chunk_edges, generator):
            edges = self.X.edges[bisect_left(self.X.edges, low) : bisect_right(self.X.edges, high)]
            # A chunk of several parts shares no window with others: it is read once for all of its own.
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

    def batches(self, sizes: Sequence[int], generator: torch.Generator | None) -> Iterator[Batch]:
        """Batches of ``sizes``, in an order drawn from ``generator``; as the rows come where that is None."""
        if self.is_sparse:
            index, stop = self.index if generator is None else _shuffled([self.index], generator), 0
            for size in sizes:
                start, stop = stop, stop + size
                yield self._read(np.asarray(index[start:stop]))[:]
            return
        left = iter(sizes)
        size = next(left, 0)
        rest: InMemoryDataset | None = None  # the begin of a batch whose end is in the next window
        for index in self._windows(generator):
            rows, start = self._read(index), 0
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
            del rows  # before the next window comes


def _part(rows: InMemoryDataset, start: int, stop: int) -> InMemoryDataset:
    """Some of the rows, without the others."""
    return InMemoryDataset(*rows[start:stop].tensors())  # type: ignore[arg-type]


def _joined(a: InMemoryDataset, b: InMemoryDataset) -> InMemoryDataset:
    pairs = zip(a.tensors(), b.tensors(), strict=True)
    return InMemoryDataset(*(None if s is None or t is None else torch.cat([s, t]) for s, t in pairs))  # type: ignore[arg-type]


def _drawn(edges: Sequence[int], generator: torch.Generator) -> Iterator[tuple[int, int]]:
    """What lies between neighbouring edges, in an order that is drawn."""
    for i in torch.randperm(len(edges) - 1, generator=generator).tolist():
        yield edges[i], edges[i + 1]


class _Picked:
    """The rows at an ascending ``index`` of ``X``, slice by slice."""

    def __init__(self, X: Any, index: np.ndarray) -> None:
        self.X, self.index = X, index
        self.shape, self.dtype = (len(index), *X.shape[1:]), X.dtype

    def __len__(self) -> int:
        return len(self.index)

    def __getitem__(self, rows: slice) -> np.ndarray:
        return self.X[self.index[rows]]


def _shuffled(parts: list[np.ndarray], generator: torch.Generator) -> np.ndarray:
    index = np.concatenate(parts) if len(parts) > 1 else parts[0]
    small = len(index) <= np.iinfo(np.int32).max  # 4 bytes for each, and the same order
    order = torch.randperm(len(index), generator=generator, dtype=torch.int32 if small else torch.int64)
    return index[order.numpy()]
