"""Runs a trained network on whole data sets, slice by slice."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from .._data.chunked import check_finite, map_rows
from .._utils.threads import threads_for
from ..nn._sequence import ended


class BatchRunner:
    """Runs functions of an `Autoencoder` on arrays or tensors of any length, in as much memory as there is.

    Parameters
    ----------
    module : Autoencoder
        Trained; it is set to evaluation mode.
    device : str or torch.device
        Where it is.
    """

    def __init__(self, module: Any, device: Any) -> None:
        self.module, self.device = module, device

    def run(
        self,
        function: Callable[..., Tensor],
        *arrays: Any,
        name: str = "X",
        lengths_of: int | None = None,
        dtype: torch.dtype = torch.float32,
    ) -> Tensor:
        """Return ``function`` of the samples of ``arrays`` as one tensor, on the device of the first of them.

        Where the result is not finite an error names ``name``. NaN is allowed after the end of sequences, whose lengths
        are those of the array of number ``lengths_of``.
        """
        if any(layer.training for layer in self.module.modules()):  # to set it takes longer than to look
            self.module.eval()
        ends_at = lengths_of if self.module.reads_padding else None

        def run(*parts: Tensor) -> Tensor:
            with torch.no_grad():
                parts = tuple(part.to(self.device) for part in parts)
                return check_finite(function(*parts), name, None if ends_at is None else ended(parts[ends_at]))

        with threads_for(self.module.n_multiplications * len(arrays[0])):
            costs = {"n_values": self.module.n_values, "n_weights": self.module.n_weights}
            return map_rows(run, *arrays, **costs, dtype=dtype)
