"""Integers and dates as multiples of a step from an origin, encoded as numbers; counts are left unchanged."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ._codec import Codec
from ._numbers import Number

_EXACT = 2**53  # float64 represents all integers up to here
# Usual resolutions of dates and times, in seconds, and those of the units of ticks.
_PERIODS = (86_400, 3_600, 60, 1)
_TICKS_PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}


class Integer(Codec):
    """Integers: their differences from an origin, in steps, encoded by `Number`."""

    @classmethod
    def fit(cls, values: np.ndarray, *, numbers: str = "quantile", unit: str | None = None) -> Integer:
        """Fit to int64 or uint64; with the ``unit`` of ticks the step is the coarsest resolution of all dates."""
        low, high = int(values.min()), int(values.max())
        step = 1
        if unit is not None:
            step = next(step for step in _steps(unit) if not (values % step).any())
            step *= math.ceil(max((high - low) // step, 1) / _EXACT)
        elif high - low >= _EXACT:
            raise ValueError(
                f"its integers range from {low} to {high}, beyond the precision of float64: drop it if it has "
                "identifiers, or convert it to floats or to a category."
            )
        origin = 0 if unit is None and max(abs(low), abs(high)) < _EXACT else low
        number = Number.fit(_multiples(values, origin, step), numbers=numbers)
        return cls({"origin": origin, "step": step, "dtype": values.dtype.str, **number.state, "decimals": 0})

    @property
    def loss(self) -> str:
        """The loss of the numbers."""
        return Number(self.state).loss

    def feature_names(self, name: str) -> list[str]:
        """Return the name of the column."""
        return [name]

    def encode(self, values: np.ndarray) -> np.ndarray:
        """Return (n, 1) of integers."""
        return Number(self.state).encode(_multiples(values, self.state["origin"], self.state["step"]))

    def decode(self, Z: np.ndarray, rng: Any = None) -> np.ndarray:
        """Return integers of (n, 1)."""
        dtype = np.dtype(self.state["dtype"])
        steps = Number(self.state).decode(Z).astype(np.int64)
        # Unsigned arithmetic wraps around, so that the sum is right if it fits.
        with np.errstate(over="ignore"):
            offset = np.uint64(int(self.state["origin"]) % 2**64)
            return (steps.astype(np.uint64) * np.uint64(self.state["step"]) + offset).view(dtype)


class Count(Codec):
    """Counts: non-negative integers, left unchanged."""

    @classmethod
    def fit(cls, values: np.ndarray) -> Count:
        """Fit to whole numbers in float64."""
        if (values < 0).any() or (values != np.round(values)).any() or values.max() >= _EXACT:
            raise ValueError("counts must be non-negative integers.")
        over = float(values.var()) > float(values.mean())
        return cls({"low": float(values.min()), "high": float(values.max()), "overdispersed": over})

    @property
    def loss(self) -> str:
        """The likelihood: negative binomial for overdispersed counts, Poisson otherwise."""
        return "negative_binomial" if self.state["overdispersed"] else "poisson"

    def feature_names(self, name: str) -> list[str]:
        """Return the name of the column."""
        return [name]

    def encode(self, values: np.ndarray) -> np.ndarray:
        """Return (n, 1) of counts."""
        if (values < 0).any() or (values != np.round(values)).any():
            raise ValueError("counts must be non-negative integers.")
        return values.astype(np.float64)[:, None]

    def decode(self, Z: np.ndarray, rng: Any = None) -> np.ndarray:
        """Return whole numbers of (n, 1), within the bounds seen."""
        return np.clip(np.round(Z[:, 0]), self.state["low"], self.state["high"])


def _steps(unit: str) -> list[int]:
    """Return the candidate steps of ticks, the coarsest first; the last is 1."""
    if unit not in _TICKS_PER_SECOND:
        return [1]
    ticks = _TICKS_PER_SECOND[unit]
    return [period * ticks for period in _PERIODS] + [ticks // n for n in (10**3, 10**6, 10**9) if ticks >= n]


def _multiples(values: np.ndarray, origin: int, step: int) -> np.ndarray:
    """Return (values - origin) / step in float64, exact if it is an integer that float64 represents."""
    if origin == 0 and step == 1:
        return values.astype(np.float64)
    rough = (values.astype(np.float64) - float(origin)) / step
    near = np.abs(rough) * step < 2.0**62
    with np.errstate(over="ignore"):
        exact = (values.astype(np.uint64) - np.uint64(origin % 2**64)).view(np.int64)
    return np.where(near, (exact // step).astype(np.float64) + (exact % step) / step, rough)
