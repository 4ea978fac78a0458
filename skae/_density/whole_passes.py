"""The probability model of `ContextModel` in whole numbers, from which codes are coded on any machine."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from functools import cached_property
from typing import Any

import numpy as np
import torch
from sklearn.base import BaseEstimator
from torch import Tensor

from .passes import LARGEST_ACTIVATION, LARGEST_KNOWN, LARGEST_LOG_SCALE, LEAST_LOG_SCALE, ContextModel, Pass, passes_of
from .tables import Step, Tables, frequencies_of, sample_bits
from .whole_numbers import WholeConv2d, shift

QUALITY_STEPS = 8  # to which qualities are rounded, of 1
_WEIGHT, _ACTIVATION, _FACTOR = 12, 8, 16  # binary digits after the point
_SUM = _WEIGHT + _ACTIVATION
_MEANS, _SCALES = 8, 8  # means and log-scales are rounded to so many steps of 1
_MOST_VALUES = 200  # of a table, on each side of its mean
_AT_ONCE = 2**14  # positions


class Passes(BaseEstimator):
    """Distribution of integer codes, coded in a few passes, each for many of them at once.

    It is what `skae.bottlenecks.Rounded` has learned, with weights and tables rounded to whole numbers, and is not
    fitted by itself.

    Attributes
    ----------
    alphabet_ : tuple
        None for each channel: its integers have no bounds.
    qualities_ : tuple of float
        Lowest and highest quality.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> import skae
    >>> X = load_digits().data
    >>> ae = skae.AutoencoderTransformer(4, bottleneck="rounded", max_epochs=1, random_state=0).fit(X)
    >>> ae.code_model_
    Passes()
    """

    alphabet_: tuple[None, ...]
    qualities_: tuple[float, float]

    @classmethod
    def of(cls, context: ContextModel, qualities: tuple[float, float]) -> Passes:
        """Return the model of a trained network.

        Parameters
        ----------
        context : ContextModel
            The network.
        qualities : tuple of float
            Lowest and highest quality.

        Returns
        -------
        model : Passes
            The same in whole numbers.
        """
        found = cls()
        found.n_channels_, found.dense_ = len(context.unit), context.dense
        found.alphabet_ = (None,) * found.n_channels_
        found.qualities_ = (float(qualities[0]), float(qualities[1]))
        found.weights_ = {
            f"{p.name}_{i}_{kind}": _whole(values, _WEIGHT if kind == "weight" else _SUM)
            for p in context.passes
            for i, layer in enumerate(context.layers_of(p))
            for kind, values in zip(("weight", "bias"), layer, strict=True)
        }
        found.unit_bits_ = context.unit.cpu().double().log2().round().long().numpy()
        found.base_ = _whole(context.base, _SUM)
        # Powers of 2 and logarithms are computed once, as other machines may round them differently.
        grid = np.arange(found._lowest, round(QUALITY_STEPS * found.qualities_[1]) + 1) / QUALITY_STEPS
        found.to_base_ = np.rint(np.exp2(_FACTOR - grid / 4)).astype(np.int64)
        found.from_base_ = np.rint(np.exp2(_FACTOR + grid / 4)).astype(np.int64)
        found.log_factors_ = np.rint(grid * (math.log(2) / 4) * 2**_SUM).astype(np.int64)
        frequencies, found.reach_ = _logistic_tables()
        found.frequencies_ = frequencies[frequencies > 0].astype(np.uint16)  # one table after the other: a tenth of it
        _ = found._nets  # which checks the bounds of their sums
        for name in ("_nets", "_passes"):
            delattr(found, name)
        return found

    def digest(self) -> bytes:
        """Return a digest of all numbers that codes depend on.

        Returns
        -------
        digest : bytes
            16 bytes.
        """
        found = hashlib.blake2b(digest_size=16)
        for name in sorted(vars(self)):
            value = vars(self)[name]
            for part in value.items() if isinstance(value, dict) else [(name, value)]:
                if isinstance(part[1], np.ndarray):
                    found.update(part[0].encode() + np.ascontiguousarray(part[1], dtype="<i8").tobytes())
        return found.digest()

    @property
    def _lowest(self) -> int:
        """The lowest quality, in steps of 1 / `QUALITY_STEPS`."""
        return round(QUALITY_STEPS * self.qualities_[0])

    @cached_property
    def _tables(self) -> Tables:
        lengths = np.repeat(2 * self.reach_ + 2, _MEANS)
        return Tables(np.split(self.frequencies_, np.cumsum(lengths)[:-1]))

    @cached_property
    def _passes(self) -> list[Pass]:
        return passes_of(self.n_channels_, dense=self.dense_)

    @cached_property
    def _nets(self) -> dict[str, list[WholeConv2d]]:
        """The layers of each network; their sums have bounds, which are checked."""
        nets: dict[str, list[WholeConv2d]] = {}
        largest = int(LARGEST_KNOWN) << _ACTIVATION
        for name in {p.name for p in self._passes}:
            layers = []
            for i in range(3):
                weight = self.weights_[f"{name}_{i}_weight"] / 2.0**_WEIGHT
                bias = self.weights_[f"{name}_{i}_bias"] / 2.0**_SUM
                bound = largest if i == 0 else int(LARGEST_ACTIVATION) << _ACTIVATION
                layers.append(
                    WholeConv2d(weight, bias, n_bits_weight=_WEIGHT, n_bits_in=_ACTIVATION, largest_input=bound)
                )
            nets[name] = layers
        return nets

    def __getstate__(self) -> dict[str, Any]:
        state = super().__getstate__()
        return {name: value for name, value in state.items() if not name.startswith("_") or name == "_sklearn_version"}

    def steps(self, codes: np.ndarray, quality: float = 0.0) -> Iterator[Step]:
        """Yield what is coded together, and the tables; what is not yet known of ``codes`` is not read.

        Parameters
        ----------
        codes : ndarray of int64 of shape (n, n_channels, h, w)
            The integers.
        quality : float, default=0.0
            Their quality, a multiple of 1/8.

        Yields
        ------
        step : Step
            The integers of a pass.
        """
        at = round(QUALITY_STEPS * quality) - self._lowest
        height, width = codes.shape[2:]
        index = np.arange(codes.size).reshape(codes.shape)
        for p in self._passes:
            every = 2**p.level
            rows, columns = -(-height // every), -(-width // every)
            mask = p.mask(rows, columns).numpy()
            if not mask.any():
                continue
            sums = self._sums(p, codes[:, :, ::every, ::every], at, mask)
            mean, log_scale = sums[:, : p.last - p.first], sums[:, p.last - p.first :]
            mean = (mean >> _ACTIVATION).clip(-(2**31), 2**31) << self.unit_bits_[p.first : p.last, None]
            n_digits = _SUM - _ACTIVATION + _FACTOR
            mean = _rounded(mean * self.from_base_[at] * _MEANS, n_digits)
            log_scale = log_scale + self.base_[p.first : p.last, None] + self.log_factors_[at]
            scale = _rounded((log_scale - round(LEAST_LOG_SCALE * 2**_SUM)) * _SCALES, _SUM).clip(
                0, len(self.reach_) - 1
            )
            yield Step(
                index[:, p.first : p.last, ::every, ::every][:, :, mask].ravel(),
                self._tables,
                (scale * _MEANS + mean % _MEANS).ravel(),
                (mean // _MEANS - self.reach_[scale]).ravel(),
                (2 * self.reach_[scale] + 2).ravel(),
            )

    def score_samples(self, codes: np.ndarray, quality: float = 0.0) -> np.ndarray:
        """Compute the log-probabilities of codes, as they are coded.

        Parameters
        ----------
        codes : ndarray of int64 of shape (n, n_channels, h, w)
            The integers.
        quality : float, default=0.0
            Their quality, a multiple of 1/8.

        Returns
        -------
        log_probability : ndarray of shape (n,), float64
            In nats.
        """
        return -math.log(2) * sample_bits(self.steps(codes, quality), codes)

    def _sums(self, p: Pass, codes: np.ndarray, at: int, mask: np.ndarray) -> np.ndarray:
        """Return the sums of the last layer at the positions of ``mask``, int64 (n, n_outputs, n_positions)."""
        n, _, height, width = codes.shape
        every_row = np.concatenate([[0], np.cumsum(mask.sum(1))])
        out = np.empty((n, 2 * (p.last - p.first), int(every_row[-1])), np.int64)
        margin = self._nets[p.name][0].weight.shape[2] // 2
        # Several images at once, or strips of a large one: whole numbers are the same in any part.
        n_rows = max(1, min(height, _AT_ONCE // width))
        n_images = max(1, _AT_ONCE // (n_rows * width))
        for start in range(0, n, n_images):
            for top in range(0, height, n_rows):
                bottom = min(top + n_rows, height)
                above, below = max(0, top - margin), min(height, bottom + margin)
                x = self._inputs(p, codes[start : start + n_images, :, above:below], at, above)
                inner = self._run(p, x)[:, :, top - above : bottom - above].long().numpy()
                out[start : start + n_images, :, every_row[top] : every_row[bottom]] = inner[:, :, mask[top:bottom]]
        return out

    def _inputs(self, p: Pass, codes: np.ndarray, at: int, top: int) -> Tensor:
        """Return what the network of a pass sees of rows from ``top`` on, see `ContextModel.inputs`."""
        n, _, height, width = codes.shape
        limit = int(LARGEST_KNOWN) << _ACTIVATION
        seen = codes[:, p.begin : p.last if p.refines else p.first].clip(-(2**31), 2**31) * self.to_base_[at]
        seen = _rounded(seen, _FACTOR - _ACTIVATION).clip(-limit, limit)
        seen = _rounded(seen, self.unit_bits_[p.begin : p.begin + seen.shape[1], None, None])
        if p.refines:
            seen[:, p.first :] *= p.known(top + height, width).numpy()[top:]
        one = 1 << _ACTIVATION
        beside = [round(one * (self._lowest + at) / (4 * QUALITY_STEPS)), p.level * one, one]
        planes = np.broadcast_to(np.array(beside)[:, None, None], (n, len(beside), height, width))
        return torch.from_numpy(np.concatenate([seen, planes], 1)).double()

    def _run(self, p: Pass, x: Tensor) -> Tensor:
        """Apply the network of a pass to whole numbers."""
        first, second, last = self._nets[p.name]
        limit = int(LARGEST_ACTIVATION) << _ACTIVATION
        x = shift(first(x), _WEIGHT, 0, limit)
        return last(shift(second(x), _WEIGHT, 0, limit))


def _whole(values: Tensor, n_digits: int) -> np.ndarray:
    """Return values as multiples of ``2 ** -n_digits``, int64."""
    found = np.rint(values.detach().cpu().double().numpy() * 2.0**n_digits)
    if not np.isfinite(found).all():
        raise ValueError("The weights of the probability model must be finite, got NaN or infinity: try a lower lr.")
    return found.astype(np.int64)


def _rounded(values: np.ndarray, n_digits: Any) -> np.ndarray:
    """Return whole numbers divided by ``2 ** n_digits``, rounded to the nearest."""
    return (values + ((1 << np.asarray(n_digits)) >> 1)) >> n_digits


def _logistic_tables() -> tuple[np.ndarray, np.ndarray]:
    """Return frequencies of each scale and fraction of the mean, (n_tables, n_symbols), and the reach of the scales."""
    n_scales = round((LARGEST_LOG_SCALE - LEAST_LOG_SCALE) * _SCALES) + 1
    scales = np.exp(LEAST_LOG_SCALE + np.arange(n_scales) / _SCALES)
    reach = np.clip(np.ceil(7 * scales), 2, _MOST_VALUES).astype(np.int64)
    frequencies = np.zeros((n_scales * _MEANS, 2 * _MOST_VALUES + 2), np.int64)
    for i, (scale, r) in enumerate(zip(scales, reach, strict=True)):
        for j in range(_MEANS):
            edges = (np.arange(-r, r + 1) + 0.5 - j / _MEANS) / scale
            # From the nearer side, where differences keep their digits; the outermost symbols have the tails.
            edges = np.concatenate([[-np.inf], edges, [np.inf]])
            below, above = 1 / (1 + np.exp(-edges)), 1 / (1 + np.exp(edges))
            p = np.where(below[1:] < 0.5, np.diff(below), -np.diff(above))
            frequencies[i * _MEANS + j, : 2 * r + 2] = frequencies_of(p)
    return frequencies, reach
