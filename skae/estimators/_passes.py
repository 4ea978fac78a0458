"""Rows on their way through a trained network."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .._data.chunked import check_finite, map_rows
from .._data.sources import arranged
from .._utils.threads import threads_for
from ..nn._sequence import ended


class Passes:
    """Passes of all rows through the network; `fit` gives it ``net_``."""

    net_: Any

    @property
    def module_(self) -> Any:
        """The trained `Autoencoder`, a torch module."""
        return self.net_.module_

    def _map(self, function: Callable[..., Tensor], *arrays: Any) -> np.ndarray:
        """``function`` of all rows of ``arrays``, slice by slice, as one float32 array."""
        return self._run(function, *arrays).numpy()

    def _run(
        self,
        function: Callable[..., Tensor],
        *arrays: Any,
        name: str = "X",
        like: int | None = None,
        dtype: torch.dtype = torch.float32,
    ) -> Tensor:
        """The same of arrays and tensors, as a tensor where the first of them is.

        Where the result is not finite ``name``, which it is made of, is refused. NaN may be after the end of sequences,
        of which the array of number ``like`` tells the length.
        """
        if any(layer.training for layer in self.module_.modules()):  # to set it takes longer than to look
            self.module_.eval()
        device, ends_at = self.net_.device, like if self.module_.reads_padding else None

        def run(*parts: Tensor) -> Tensor:
            with torch.no_grad():
                parts = tuple(part.to(device) for part in parts)
                return check_finite(function(*parts), name, None if ends_at is None else ended(parts[ends_at]))

        with threads_for(self.module_.n_multiplications * len(arrays[0])):
            costs = {"n_values": self.module_.n_values, "n_weights": self.module_.n_weights}
            return map_rows(run, *arrays, **costs, dtype=dtype)

    def _map_rows(
        self,
        function: Callable[..., Tensor],
        *arrays: Any,
        c: np.ndarray | None = None,
        like: int | None = None,
        dtype: torch.dtype = torch.float32,
    ) -> Tensor:
        """``function`` of rows as they came in, and of what the decoder is told of them."""
        ways = {id(A): arranged(A, self._arrange) for A in arrays}  # so that what is given twice stays one
        return self._run(function, *(ways[id(A)] for A in arrays), *(() if c is None else (c,)), like=like, dtype=dtype)

    def _arrange(self, X: Any) -> Any:
        """Bring rows into the shape that the network takes; nothing by default."""
        return X

    def _restore(self, A: Any) -> Any:
        """Bring what the network gives into the shape of X's rows; nothing by default."""
        return A
