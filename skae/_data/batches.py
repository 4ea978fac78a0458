"""A training set in memory, and its batches."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset


def row_numbers(n: int, weight: np.ndarray | None = None) -> np.ndarray:
    """Return the indices of ``n`` samples, without those of weight 0, as int32 if they fit."""
    dtype = np.int32 if n <= np.iinfo(np.int32).max else np.int64
    numbers = np.arange(n, dtype=dtype)
    return numbers if weight is None else numbers[weight > 0]


class Inputs(NamedTuple):
    """Samples with weights or conditions; skorch passes it as X."""

    u: Tensor  #: standardized samples
    weight: Tensor | None  #: sample weights, if any
    condition: Tensor | None  #: conditions of the decoder, if any


class Batch(NamedTuple):
    """A batch, which skorch unpacks as ``X, y``."""

    X: Tensor | Inputs  #: standardized samples, as `Inputs` if they have weights or conditions
    y: Tensor  #: target of the loss

    @classmethod
    def of(cls, u: Tensor, target: Tensor | None, weight: Tensor | None, condition: Tensor | None) -> Batch:
        """Create a batch from the result of `tensors`."""
        X = u if weight is None and condition is None else Inputs(u, weight, condition)
        return cls(X, u if target is None else target)

    @property
    def u(self) -> Tensor:
        """Standardized samples."""
        return self.X.u if isinstance(self.X, Inputs) else self.X

    @property
    def weight(self) -> Tensor | None:
        """Sample weights, or None."""
        return self.X.weight if isinstance(self.X, Inputs) else None

    @property
    def condition(self) -> Tensor | None:
        """Conditions of the decoder, or None."""
        return self.X.condition if isinstance(self.X, Inputs) else None

    def tensors(self) -> tuple[Tensor | None, ...]:
        """Return the samples, the targets unless they are the samples, weights and conditions."""
        return self.u, None if self.y is self.u else self.y, self.weight, self.condition


class InMemoryDataset(Dataset):
    """Training set in memory, whose batches are indexed as a whole rather than collated sample by sample.

    Parameters
    ----------
    u : Tensor of shape (n, *input_shape)
        Standardized samples.
    target : Tensor or None
        Targets of the loss. If None, ``u``.
    weight : Tensor of shape (n,) or None
        Sample weights of mean 1.
    condition : Tensor of shape (n, n_conditions) or None
        Conditions of the decoder.
    index : Tensor of int64 or None
        Indices of the selected samples, which are not copied. If None, all.
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
        # index_select is twice as fast as indexing.
        take = Tensor.index_select if isinstance(index, Tensor) and index.ndim == 1 else None
        cut = (None if t is None else t[index] if take is None else take(t, 0, index) for t in self.tensors())
        return Batch.of(*cut)  # type: ignore[arg-type]

    def tensors(self) -> tuple[Tensor | None, ...]:
        """Return the samples, the targets unless they are the samples, weights and conditions."""
        return self.u, None if self.target is self.u else self.target, self.weight, self.condition

    def at(self, index: np.ndarray) -> InMemoryDataset:
        """Return the samples at ``index`` of ``u``, selected or not."""
        return self._picked(torch.from_numpy(index).to(self.u.device))

    def whole(self) -> InMemoryDataset:
        """Return the dataset of all samples, selected or not."""
        return InMemoryDataset(*self.tensors())  # type: ignore[arg-type]

    def repeated(self, times: int) -> InMemoryDataset:
        """Return all samples repeated so many times."""
        return InMemoryDataset(*(None if t is None else t.repeat(times, *[1] * (t.ndim - 1)) for t in self.tensors()))  # type: ignore[arg-type]

    def in_memory(self) -> InMemoryDataset:
        """Return a dataset of only the selected samples."""
        return self if self.index is None else self._picked(self.index)

    def _picked(self, where: Tensor) -> InMemoryDataset:
        return InMemoryDataset(*(None if t is None else t[where] for t in self.tensors()))  # type: ignore[arg-type]

    def batches(
        self, sizes: Sequence[int], generator: torch.Generator | None, part: tuple[int, int] = (0, 1)
    ) -> Iterator[Batch]:
        """Yield the ``part`` of batches of ``sizes``, shuffled by ``generator``, or in order if it is None.

        The part (k, n), of one of n processes, has every n-th sample from the k-th on.
        """
        if generator is None:
            yield from in_order(self, sizes, part)
            return
        order = torch.randperm(len(self), generator=generator)[: sum(sizes)].to(self.u.device)
        if self.index is not None:
            order = self.index[order]
        for index in order.split(list(sizes)):
            yield self._cut(index[part[0] :: part[1]])


def in_order(rows: Any, sizes: Sequence[int], part: tuple[int, int] = (0, 1)) -> Iterator[Any]:
    """Yield the ``part`` of consecutive slices of ``sizes``, as in `InMemoryDataset.batches`."""
    stop = 0
    for size in sizes:
        start, stop = stop, stop + size
        yield rows[start + part[0] : stop : part[1]]


def is_in_part(first: int, n: int, sizes: Sequence[int], part: tuple[int, int]) -> np.ndarray:
    """Return whether each of ``n`` samples, from the ``first`` on, is in the ``part`` of its batch, (n,)."""
    edges = np.cumsum([0, *sizes])
    place = np.arange(first, first + n)
    batch = np.searchsorted(edges, place, side="right") - 1
    return ((place - edges[batch]) % part[1] == part[0]) & (batch < len(sizes))


class BatchIterator:
    """Batches of nearly equal size, none larger than ``batch_size``.

    Equal sizes leave no last batch of a single sample, on which batch normalization would fail.

    Parameters
    ----------
    rows : InMemoryDataset, StreamingDataset or sized object
        The training set; any object with a length, if only the number of batches is needed.
    batch_size : int
        Maximum number of samples in a batch.
    shuffle : bool, default=False
        Whether to shuffle at every iteration.
    drop_last : bool, default=False
        Whether all batches have exactly ``batch_size`` samples, and the rest is dropped; if there is a full batch.
    seed : int, default=0
        Seed of the shuffling, which does not use the global random state.

    Attributes
    ----------
    part : (int, int)
        The part of each batch to yield, as in `InMemoryDataset.batches`; entire batches by default.
    """

    part = (0, 1)

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
            return self.rows.batches(self.sizes, self.generator, self.part)
        return in_order(self.rows, self.sizes)  # skorch's own dataset, in its `predict`
