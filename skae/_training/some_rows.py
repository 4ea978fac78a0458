"""Subsets of data sets for measurements after training."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch

from .._data.batches import InMemoryDataset

SOME = 5_000  # samples used in a measurement


def some_batches(net: Any, rows: Any, n: int = SOME) -> Iterator[Any]:
    """Yield batches of about ``n`` samples: evenly spaced if they are in memory, else the first ones."""
    if isinstance(rows, InMemoryDataset) and n < len(rows):
        places = torch.arange(n, device=rows.u.device) * len(rows) // n
        yield from (rows[part] for part in places.split(net.batch_size))
        return
    for batch in net.get_iterator(rows, training=False):
        yield batch
        n -= len(batch.u)
        if n <= 0:
            return
