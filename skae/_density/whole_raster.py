"""`RasterNet` in whole numbers, for all positions at once and for one after the other, with the same results."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from .raster_net import RasterNet
from .tables import PRECISION
from .whole_numbers import WholeConv2d, shift

_WEIGHT_BITS = 14  # weights are multiples of 2 ** -14
_VALUE_BITS = 10  # what layers give are multiples of 2 ** -10
_LARGEST_VALUE = 1 << (_VALUE_BITS + 7)
_LOGIT_BITS = 6  # logits are multiples of 1 / 64
_LARGEST_LOGIT = 1 << (_LOGIT_BITS + 7)
_SHARE_BITS = 24  # of an exponential, so that products and sums of them are far below 2 ** 63


def whole_weights(net: RasterNet) -> dict[str, np.ndarray]:
    """Return the weights of a network as whole numbers, in the smallest dtype that holds them."""
    masks = {f"{name}.weight": layer.mask for name, layer in net.named_modules() if hasattr(layer, "mask")}
    found = {}
    for name, value in net.state_dict().items():
        n_bits = _VALUE_BITS + _WEIGHT_BITS if name.endswith("bias") else _WEIGHT_BITS
        if name.startswith(("embeddings.", "positions")):
            n_bits = _VALUE_BITS
        value = value * masks[name] if name in masks else value
        if not value.isfinite().all():
            raise FloatingPointError(f"The weights {name!r} of the network are not finite: try a lower lr.")
        whole = (value.double() * 2.0**n_bits).round().clamp(-(2.0**52), 2.0**52).numpy().astype(np.int64)
        dtypes = (dtype for dtype in (np.int16, np.int32) if np.abs(whole).max(initial=0) <= np.iinfo(dtype).max)
        found[name] = whole.astype(next(dtypes, np.int64))
    return found


def exponentials() -> np.ndarray:
    """Return the table of :math:`2^{24} e^{-d/64}` for d = 0, 1, ... in whole numbers, down to 0."""
    d = np.arange(int((_SHARE_BITS + 1) * np.log(2) * 2**_LOGIT_BITS) + 2)
    return np.rint(2.0**_SHARE_BITS * np.exp(-d / 2**_LOGIT_BITS)).astype(np.int64)


def frequencies(logits: np.ndarray, table: np.ndarray) -> np.ndarray:
    """Return integer frequencies, of sum ``2 ** PRECISION``, for whole ``logits`` (m, n_levels), by whole numbers."""
    n_levels = logits.shape[1]
    shares = table[np.minimum(logits.max(1, keepdims=True) - logits, len(table) - 1)]
    found = shares * ((1 << PRECISION) - n_levels) // shares.sum(1, keepdims=True) + 1
    found[np.arange(len(found)), shares.argmax(1)] += (1 << PRECISION) - found.sum(1)
    return found


class WholeRaster:
    """`RasterNet` in whole numbers.

    Parameters
    ----------
    weights : mapping of str to ndarray of ints
        What `whole_weights` returned.

    Raises
    ------
    ValueError
        If sums might be rounded.
    """

    def __init__(self, weights: Mapping[str, np.ndarray]) -> None:
        self._weights = weights
        numbers = {name: torch.from_numpy(value.astype(np.float64)) for name, value in weights.items()}
        self.n_integers = sum(name.startswith("embeddings.") for name in weights)
        n_layers = sum(name.endswith(".context.weight") for name in weights)
        self.embeddings = [numbers[f"embeddings.{k}"] for k in range(self.n_integers)]
        self.positions = numbers.get("positions")
        largest = max(1 << _VALUE_BITS, *(int(table.abs().max()) for table in self.embeddings))
        self.first = self._layer("first", largest)
        width = len(self.first.weight)
        self.blocks = [
            (
                self._layer(f"blocks.{i}.context", _LARGEST_VALUE, width),
                self._layer(f"blocks.{i}.hidden", _LARGEST_VALUE),
                self._layer(f"blocks.{i}.out", _LARGEST_VALUE),
            )
            for i in range(n_layers)
        ]
        self.from_context = self._layer("from_context", _LARGEST_VALUE)
        self.heads = self._layer("heads", largest)
        self.logits = [self._layer(f"logits.{k}", _LARGEST_VALUE) for k in range(self.n_integers)]
        self.n_features = [table.shape[1] for table in self.embeddings]

    def _layer(self, name: str, largest_input: int, groups: int = 1) -> WholeConv2d:
        weight = self._weights[f"{name}.weight"] / 2.0**_WEIGHT_BITS
        bias = self._weights.get(f"{name}.bias", np.zeros(len(weight))) / 2.0 ** (_WEIGHT_BITS + _VALUE_BITS)
        return WholeConv2d(
            torch.from_numpy(weight),
            torch.from_numpy(bias),
            n_bits_weight=_WEIGHT_BITS,
            n_bits_in=_VALUE_BITS,
            largest_input=largest_input,
            groups=groups,
        )

    # ---------------------------------------------------------------- all positions at once

    def all_logits(self, symbols: np.ndarray) -> Iterator[np.ndarray]:
        """Yield the logits of each integer, int64 of shape (n, h, w, n_levels), given all ``symbols``."""
        embedded = self._embed(symbols)
        x = self._placed(self.first(embedded), symbols.shape[2:])
        for context, hidden, out in self.blocks:
            x = _added(x, self._transformed(_values(context(x)), hidden, out))
        for k in range(self.n_integers):
            yield self._logits(x, embedded, k).movedim(1, 3).numpy().astype(np.int64)

    def _embed(self, symbols: np.ndarray) -> Tensor:
        given = torch.from_numpy(symbols)
        parts = [table[given[:, k]].movedim(3, 1) for k, table in enumerate(self.embeddings)]
        return torch.cat([*parts, torch.full_like(parts[0][:, :1], 1 << _VALUE_BITS)], 1)

    def _placed(self, sums: Tensor, size: tuple[int, ...], at: tuple[int, int] | None = None) -> Tensor:
        """Return values, with the biases of their positions where codes have the size of `fit`."""
        x = _values(sums)
        if self.positions is None or self.positions.shape[2:] != size:
            return x
        here = self.positions if at is None else self.positions[:, :, at[0], at[1], None, None]
        return _added(x, here)

    def _transformed(self, x: Tensor, hidden: WholeConv2d, out: WholeConv2d) -> Tensor:
        return _values(out(_values(hidden(x), low=0)))

    def _logits(self, x: Tensor, embedded: Tensor, k: int) -> Tensor:
        """Return the logits of an integer for values ``x``, given the integers before it."""
        n = self.logits[k].weight.shape[1]
        own = slice(k * n, (k + 1) * n)
        sums = F.conv2d(x, self.from_context.weight[own])
        sums = sums + F.conv2d(embedded, self.heads.weight[own], self.heads.bias[own])
        logits = self.logits[k](_values(sums, low=0))
        return shift(logits, _WEIGHT_BITS + _VALUE_BITS - _LOGIT_BITS, -_LARGEST_LOGIT, _LARGEST_LOGIT)

    # ---------------------------------------------------------------- one position after the other

    def walk(
        self, symbols: Callable[[int, int, int], np.ndarray], n: int, size: tuple[int, int]
    ) -> Iterator[tuple[int, int, int, np.ndarray]]:
        """Yield index, row and column of each integer of ``n`` codes in raster order, and logits (n, n_levels).

        ``symbols(k, i, j)`` returns the symbols (n,) of one. It is called when the next one is asked for. Of each map
        only the rows that convolutions see are kept.
        """
        height, width = size
        starts = np.cumsum([0, *self.n_features])
        first = _Rows(self.first, width, n)
        contexts = [_Rows(context, width, n) for context, _, _ in self.blocks]
        for i in range(height):
            for rows in (first, *contexts):
                rows.next()
            for j in range(width):
                x = self._placed(first.sums(j), size, (i, j))
                for rows, (_, hidden, out) in zip(contexts, self.blocks, strict=True):
                    rows.put(j, x)
                    x = _added(x, self._transformed(_values(rows.sums(j)), hidden, out))
                embedded = torch.zeros(1, int(starts[-1]) + 1, n, 1, dtype=torch.float64)
                embedded[:, -1] = 1 << _VALUE_BITS
                for k, table in enumerate(self.embeddings):
                    yield k, i, j, self._logits(x, embedded, k)[0, :, :, 0].T.numpy().astype(np.int64)
                    found = table[torch.from_numpy(symbols(k, i, j))]
                    embedded[0, starts[k] : starts[k + 1], :, 0] = found.T
                first.put(j, embedded)

    def n_cached(self, width: int) -> int:
        """Return how many numbers `walk` keeps for a code of a width."""
        convs = (self.first, *(context for context, _, _ in self.blocks))
        return sum(math.prod(_Rows.shape_for(conv, width, 1)) for conv in convs)


class _Rows:
    """The last rows of a map, with zeros around them, that a masked convolution sees."""

    def __init__(self, conv: WholeConv2d, width: int, n: int) -> None:
        self._conv, self._kernel_size = conv, conv.weight.shape[2]
        self._center = self._kernel_size // 2
        self._rows = torch.zeros(self.shape_for(conv, width, n), dtype=torch.float64)
        self._weight = conv.weight[:, :, : self._center + 1]

    @staticmethod
    def shape_for(conv: WholeConv2d, width: int, n: int) -> tuple[int, int, int, int]:
        """Return the shape of the rows of ``n`` codes of a width: channels, rows, columns, codes."""
        center = conv.weight.shape[2] // 2
        return conv.weight.shape[1] * conv.groups, center + 1, width + 2 * center, n

    def next(self) -> None:
        """Begin a row."""
        self._rows = torch.cat([self._rows[:, 1:], torch.zeros_like(self._rows[:, :1])], 1)

    def put(self, j: int, x: Tensor) -> None:
        """Set the values (1, n_channels, n, 1) at a column of the row."""
        self._rows[:, -1, self._center + j] = x[0, :, :, 0]

    def sums(self, j: int) -> Tensor:
        """Return the sums (1, n_out, n, 1) at a column of the row."""
        window = self._rows[:, :, j : j + self._kernel_size]
        if self._conv.groups == 1:
            found = self._weight.flatten(1) @ window.flatten(0, 2)
        else:  # of each channel by itself
            found = (self._weight[:, 0, :, :, None] * window).sum((1, 2))
        return (found + self._conv.bias[:, None])[None, ..., None]


def _values(sums: Tensor, low: int = -_LARGEST_VALUE) -> Tensor:
    """Return what sums stand for, as multiples of ``2 ** -_VALUE_BITS``."""
    return shift(sums, _WEIGHT_BITS, low, _LARGEST_VALUE)


def _added(x: Tensor, y: Tensor) -> Tensor:
    return (x + y).clamp(-_LARGEST_VALUE, _LARGEST_VALUE)
