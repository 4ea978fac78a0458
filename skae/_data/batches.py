"""Rows on their way to training, held on the device, and cut into batches."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset


def row_numbers(n: int, weight: np.ndarray | None = None) -> np.ndarray:
    """Return the numbers of ``n`` rows, those of weight 0 left out, in 4 bytes each where they fit."""
    dtype = np.int32 if n <= np.iinfo(np.int32).max else np.int64
    numbers = np.arange(n, dtype=dtype)
    return numbers if weight is None else numbers[weight > 0]


class Inputs(NamedTuple):
    """Rows of which more is known than their values; skorch hands it around as X."""

    u: Tensor  #: standardized samples
    weight: Tensor | None  #: their weights, if they have any
    condition: Tensor | None  #: what the decoder is told of them, if anything


class Batch(NamedTuple):
    """What skorch unpacks as ``X, y``."""

    X: Tensor | Inputs  #: standardized samples, alone where there is nothing else
    y: Tensor  #: the loss's target

    @classmethod
    def of(cls, u: Tensor, target: Tensor | None, weight: Tensor | None, condition: Tensor | None) -> Batch:
        """The batch of what `tensors` gives."""
        X = u if weight is None and condition is None else Inputs(u, weight, condition)
        return cls(X, u if target is None else target)

    @property
    def u(self) -> Tensor:
        """The rows alone."""
        return self.X.u if isinstance(self.X, Inputs) else self.X

    @property
    def weight(self) -> Tensor | None:
        """The weights alone, or None."""
        return self.X.weight if isinstance(self.X, Inputs) else None

    @property
    def condition(self) -> Tensor | None:
        """What the decoder is told, or None."""
        return self.X.condition if isinstance(self.X, Inputs) else None

    def tensors(self) -> tuple[Tensor | None, ...]:
        """Rows, targets if they are others, weights and conditions."""
        return self.u, None if self.y is self.u else self.y, self.weight, self.condition


class InMemoryDataset(Dataset):
    """Rows held as tensors, cut by index rather than collected one by one.

    Parameters
    ----------
    u : Tensor of shape (n, *input_shape)
        Standardized samples.
    target : Tensor or None
        What the loss compares with; ``u`` when None.
    weight : Tensor of shape (n,) or None
        Weights of mean 1.
    condition : Tensor of shape (n, n_conditions) or None
        What the decoder is told of each row.
    index : Tensor of int64 or None
        Which of the rows are meant; all when None. So a share of them needs no copy.
    """

    def __init__(
        self,
        u: Tensor,
        target: Tensor | None = None,
        weight: Tensor | None = None,
        condition: Tensor | None = None,
        index: Tensor | None = None,
    ) -> None:
        self.u, self.weight, self.condition, self.index = u, weight, condition, index
        self.target = u if target is None else target

    def __len__(self) -> int:
        return len(self.u if self.index is None else self.index)

    def __getitem__(self, index: Any) -> Batch:
        return self._cut(index if self.index is None else self.index[index])

    def _cut(self, index: Any) -> Batch:
        # Twice as fast as the general way, where it will do.
        take = Tensor.index_select if isinstance(index, Tensor) and index.ndim == 1 else None
        cut = (None if t is None else t[index] if take is None else take(t, 0, index) for t in self.tensors())
        return Batch.of(*cut)  # type: ignore[arg-type]

    def tensors(self) -> tuple[Tensor | None, ...]:
        """Rows, targets if they are others, weights and conditions."""
        return self.u, None if self.target is self.u else self.target, self.weight, self.condition

    def at(self, index: np.ndarray) -> InMemoryDataset:
        """The rows at ``index`` of ``u``, whether they are among those meant or not."""
        return self._picked(torch.from_numpy(index).to(self.u.device))

    def whole(self) -> InMemoryDataset:
        """All rows, whether they are among those meant or not."""
        return InMemoryDataset(*self.tensors())  # type: ignore[arg-type]

    def repeated(self, times: int) -> InMemoryDataset:
        """All rows one after the other, so many times."""
        return InMemoryDataset(*(None if t is None else t.repeat(times, *[1] * (t.ndim - 1)) for t in self.tensors()))  # type: ignore[arg-type]

    def in_memory(self) -> InMemoryDataset:
        """All that are meant, as they are meant."""
        return self if self.index is None else self._picked(self.index)

    def _picked(self, where: Tensor) -> InMemoryDataset:
        return InMemoryDataset(*(None if t is None else t[where] for t in self.tensors()))  # type: ignore[arg-type]

    def batches(self, sizes: Sequence[int], generator: torch.Generator | None) -> Iterator[Batch]:
        """Batches of ``sizes``, in an order drawn from ``generator``; as the rows come where that is None."""
        if generator is None:
            yield from in_order(self, sizes)
            return
        order = torch.randperm(len(self), generator=generator)[: sum(sizes)].to(self.u.device)
        if self.index is not None:
            order = self.index[order]
        for index in order.split(list(sizes)):
            yield self._cut(index)


def in_order(rows: Any, sizes: Sequence[int]) -> Iterator[Any]:
    """Slices of ``sizes``, one after the other."""
    stop = 0
    for size in sizes:
        start, stop = stop, stop + size
        yield rows[start:stop]


class BatchIterator:
    """Batches of nearly equal size, none larger than ``batch_size``.

    Equal sizes leave no last batch of a single row, on which batch normalisation would fail.

    Parameters
    ----------
    rows : Rows, RowBlocks, or whatever has a length, where only the number of batches is asked for
    batch_size : int
    shuffle : bool, default=False
        A new order at every iteration.
    drop_last : bool, default=False
        Cut batches of exactly ``batch_size`` and leave out the rest, if there is a full one.
    seed : int, default=0
        Of the orders; no global stream is read.
    """

    def __init__(
        self, rows: Any, batch_size: int, shuffle: bool = False, drop_last: bool = False, seed: int = 0
    ) -> None:
        self.rows = rows
        self.generator = torch.Generator().manual_seed(seed) if shuffle else None
        n = len(rows)
        if drop_last and n >= batch_size:
            self.sizes = [batch_size] * (n // batch_size)
        else:
            n_batches = math.ceil(n / batch_size)
            self.sizes = [(n + i) // n_batches for i in range(n_batches)][::-1]  # the larger ones first

    def __len__(self) -> int:
        return len(self.sizes)

    def __iter__(self) -> Iterator[Batch]:
        if hasattr(self.rows, "batches"):
            return self.rows.batches(self.sizes, self.generator)
        return in_order(self.rows, self.sizes)  # a dataset of skorch's own, for its `predict`
