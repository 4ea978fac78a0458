"""Runs a trained network on whole data sets, slice by slice, and on large images, tile by tile."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from .._data.chunked import check_finite, map_rows
from .._utils.threads import threads_for
from ..nn._sequence import ended
from .tiles import tile_side, tiles


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
        gives: str | None = None,
        size: Sequence[int] | None = None,
    ) -> Tensor:
        """Return ``function`` of the samples of ``arrays`` as one tensor, on the device of the first of them.

        Where the result is not finite an error names ``name``. NaN is allowed after the end of sequences, whose lengths
        are those of the array of number ``lengths_of``.

        Large images are cut into tiles where ``gives`` says what the function makes of a part: 'code' or 'image', or
        'sum' for one that has a parameter ``inner`` and sums over the pixels there. ``size`` is that of the images
        where the first array has their codes, (n, n_codes).
        """
        if any(layer.training for layer in self.module.modules()):  # to set it takes longer than to look
            self.module.eval()
        ends_at = lengths_of if self.module.reads_padding else None
        share = 1.0  # of the costs of an image as in training
        if self.module.any_size:
            size = arrays[0].shape[2:] if size is None else size
            share = math.prod(size) / math.prod(self.module.input_shape[1:])
            tiled = None if gives is None else self._tiling(function, size, gives)
            if tiled is not None:
                rows = [[A[i : i + 1] for A in arrays] for i in range(len(arrays[0]))]
                kept = [self._run(tiled, *row, name=name, ends_at=None, dtype=dtype, share=share) for row in rows]
                return torch.cat(kept)
        return self._run(function, *arrays, name=name, ends_at=ends_at, dtype=dtype, share=share)

    def _run(
        self,
        function: Callable[..., Tensor],
        *arrays: Any,
        name: str,
        ends_at: int | None,
        dtype: torch.dtype,
        share: float,
    ) -> Tensor:
        def run(*parts: Tensor) -> Tensor:
            with torch.no_grad():
                parts = tuple(part.to(self.device) for part in parts)
                return check_finite(function(*parts), name, None if ends_at is None else ended(parts[ends_at]))

        with threads_for(round(share * self.module.n_multiplications) * len(arrays[0])):
            costs = {"n_values": math.ceil(share * self.module.n_values), "n_weights": self.module.n_weights}
            return map_rows(run, *arrays, **costs, dtype=dtype)

    def _tiling(self, function: Callable[..., Tensor], size: Sequence[int], gives: str) -> Callable[..., Tensor] | None:
        """Return a function that computes ``function`` of one large image tile by tile; None where it is not large."""
        module, network = self.module, self.module.network
        halo = getattr(network, "halo", None)
        if halo is None:
            return None
        side = tile_side(module.n_values / math.prod(module.input_shape[1:]), network.stride, halo)
        if math.prod(size) <= side**2:
            return None
        parts = list(tiles(size, side, network.stride, halo))

        def tiled(A: Tensor, *others: Tensor) -> Tensor:
            is_code = A.ndim == 2
            A = A.unflatten(1, (-1, *module.code_size(size))) if is_code else A
            out: Any = None
            for tile in parts:
                coarse = tile.coarse(network.stride)
                seen = A[(..., *(coarse if is_code else tile).outer)]
                shape = [part.stop - part.start for part in tile.outer]
                if gives == "sum":
                    target, *rest = others
                    found = function(seen, target[(..., *tile.enlarged(module.factor).outer)], *rest, inner=tile.within)
                    out = found if out is None else out + found
                    continue
                if is_code:
                    found = function(seen.flatten(1), *others, size=shape)
                else:
                    found = function(seen, *others)
                place, whole = coarse, module.code_size(size)
                if gives == "image":
                    place, whole = tile.enlarged(module.factor), tuple(module.factor * side for side in size)
                if gives == "code":
                    found = found.unflatten(-1, (-1, *module.code_size(shape)))
                out = found.new_empty(*found.shape[:-2], *whole) if out is None else out
                out[(..., *place.inner)] = found[(..., *place.within)]
            return out.flatten(-3) if gives == "code" else out

        return tiled
