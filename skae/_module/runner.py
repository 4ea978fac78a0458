"""Inference on data sets, slice by slice, and on large images, tile by tile."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from .._data.chunked import check_finite, map_rows, to_tensor
from .._utils.threads import threads_for
from ..nn._sequence import ended
from .tiles import Tile, tile_side, tiles


class BatchRunner:
    """Runs functions of an `Autoencoder` on arrays or tensors of any length in bounded memory.

    Parameters
    ----------
    module : Autoencoder
        Trained module; it is set to evaluation mode.
    device : str or torch.device
        Its device.
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
        """Apply ``function`` to the samples of ``arrays``; return one tensor on the device of the first array.

        If the result is not finite, the error refers to ``name``. NaN is allowed after the end of sequences, whose
        lengths are those of the array at index ``lengths_of``.

        Large images are processed in tiles if ``gives`` specifies the result for a part: 'code' or 'image', or 'sum'
        for a function with a parameter ``inner`` that sums over these pixels. ``size`` is that of the images if the
        first array has their codes, (n, n_codes).
        """
        if any(layer.training for layer in self.module.modules()):  # setting it takes longer than checking
            self.module.eval()
        ends_at = lengths_of if self.module.reads_padding else None
        share = 1.0  # relative cost compared with an image in training
        if self.module.any_size:
            size = arrays[0].shape[2:] if size is None else size
            share = math.prod(size) / math.prod(self.module.input_shape[1:])
            parts = [] if gives is None else self._tiles(size)
            if parts:
                with torch.no_grad(), threads_for(round(share * self.module.n_multiplications) * len(arrays[0])):
                    return self._run_tiles(function, parts, arrays, name=name, dtype=dtype, gives=gives, size=size)
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

    def _tiles(self, size: Sequence[int]) -> list[Tile]:
        """Return the tiles of images of a ``size``; none for small images."""
        module, network = self.module, self.module.network
        halo, fit_size = getattr(network, "halo", None), tuple(module.input_shape[1:])
        if halo is None or tuple(size) == fit_size:
            return []
        side = tile_side(module.n_values / math.prod(fit_size), network.stride, halo)
        if math.prod(size) <= side**2:
            return []
        parts = list(tiles(size, side, network.stride, halo))
        # In images of the size of `fit` missing values are replaced by pixelwise means, so tiles must not have that
        # size.
        while module.may_have_nan and any(tile.shape == fit_size for tile in parts):
            halo += network.stride
            parts = list(tiles(size, side, network.stride, halo))
        return parts

    def _run_tiles(
        self,
        function: Callable[..., Tensor],
        parts: Sequence[Tile],
        arrays: Sequence[Any],
        *,
        name: str,
        dtype: torch.dtype,
        gives: str | None,
        size: Sequence[int],
    ) -> Tensor:
        """Apply ``function`` to large images, tile by tile. Only the result is converted as a whole."""
        module, stride = self.module, self.module.network.stride
        shape = module.code_size(size) if gives == "code" else tuple(module.factor * side for side in size)
        is_code = arrays[0].ndim == 2
        out: Any = None
        for i in range(len(arrays[0])):
            A, *others = (array[i : i + 1] for array in arrays)
            A = A.reshape(1, -1, *module.code_size(size)) if is_code else A
            for tile in parts:
                coarse = tile.coarse(stride)
                seen = self._read(A[(..., *(coarse if is_code else tile).outer)])
                ways: dict[str, Any] = {}
                rest = others
                if gives == "sum":
                    target, *rest = others
                    rest = [target[(..., *tile.enlarged(module.factor).outer)], *rest]
                    ways = {"inner": tile.within}
                elif is_code:
                    seen, ways = seen.flatten(1), {"size": tile.shape}
                found = check_finite(function(seen, *map(self._read, rest), **ways), name)
                if gives == "sum":
                    out = found.new_zeros(len(arrays[0]), *found.shape[1:]) if out is None else out
                    out[i] += found[0]
                    continue
                place = coarse if gives == "code" else tile.enlarged(module.factor)
                if gives == "code":
                    found = found.unflatten(-1, (-1, *module.code_size(tile.shape)))
                if out is None:
                    device = getattr(arrays[0], "device", "cpu")
                    out = torch.empty((len(arrays[0]), *found.shape[1:-2], *shape), dtype=dtype, device=device)
                out[i][(..., *place.inner)] = found[0][(..., *place.within)]
        if gives == "sum":
            return out.to(getattr(arrays[0], "device", "cpu"), dtype)
        return out.flatten(-3) if gives == "code" else out

    def _read(self, A: Any) -> Tensor:
        return to_tensor(A).to(self.device)
