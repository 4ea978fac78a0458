"""Numbers in one column: standardized, or mapped by their quantiles to a normal distribution."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.special import ndtri

from ._codec import Codec

_MOST_KNOTS = 1000  # of the quantile map
_SPIKE = 0.01  # fraction of the rows above which a value is decoded exactly
_FEWEST = 3  # minimum number of rows of such a value
_DIGITS = 15  # decimal digits that float64 represents


class Number(Codec):
    """One column of float64, decoded within the bounds and with the decimals of `fit`."""

    @classmethod
    def fit(cls, values: np.ndarray, *, numbers: str = "quantile", dtype: Any = np.float64) -> Number:
        """Fit to observed, finite values in float64; ``dtype`` is their original dtype."""
        low, high = float(values.min()), float(values.max())
        state: dict[str, Any] = {"low": low, "high": high, "decimals": _decimals(values, dtype)}
        with np.errstate(over="ignore", invalid="ignore"):
            mean, scale = float(values.mean()), float(values.std())
        if not (np.isfinite(scale) and np.isfinite(mean)):
            raise ValueError("its values are too large for their standard deviation in float64: rescale the column.")
        state |= {"mean": mean if scale else low, "scale": scale or 1.0}
        if numbers == "quantile" and low < high:
            state |= _quantile_map(values)
        return cls(state)

    def encode(self, values: np.ndarray) -> np.ndarray:
        """Return (n, 1) of values."""
        if "knots" not in self.state:
            return ((values - self.state["mean"]) / self.state["scale"])[:, None]
        knots, normal = self.state["knots"], self.state["normal"]
        found = np.interp(values, knots, normal)
        spikes = self.state["spikes"]
        if len(spikes):
            index = np.minimum(np.searchsorted(spikes, values), len(spikes) - 1)
            found = np.where(spikes[index] == values, self.state["centers"][index], found)
        # Extrapolated with the mean slope, so that outliers remain outliers.
        slope = (normal[-1] - normal[0]) / (knots[-1] - knots[0]) if normal[-1] > normal[0] else 1 / self.state["scale"]
        found = found + slope * (np.minimum(values - knots[0], 0) + np.maximum(values - knots[-1], 0))
        return found[:, None]

    def decode(self, Z: np.ndarray, rng: Any = None) -> np.ndarray:
        """Return values of (n, 1)."""
        z = Z[:, 0]
        if "knots" in self.state:
            values = np.interp(z, self.state["normal"], self.state["knots"])
        else:
            values = z * self.state["scale"] + self.state["mean"]
        low, high, decimals = self.state["low"], self.state["high"], self.state["decimals"]
        values = np.clip(values, low, high)
        return values if decimals is None else np.round(values, decimals)

    def feature_names(self, name: str) -> list[str]:
        """Return the name of the column."""
        return [name]

    @property
    def loss(self) -> str:
        """The loss of the column; a constant has no density."""
        return "gaussian" if self.state["low"] < self.state["high"] else "squared_error"


def _decimals(values: np.ndarray, dtype: Any) -> int | None:
    """Return the number of decimals of all values, or None if float64 cannot represent them."""
    digits = _DIGITS - int(np.ceil(np.log10(max(np.abs(values).max(), 1.0)) + 1e-12))
    for decimals in range(max(digits, 0) + 1):
        if (np.round(values, decimals).astype(dtype) == values.astype(dtype)).all():
            return decimals
    return None


def _quantile_map(values: np.ndarray) -> dict[str, np.ndarray]:
    """Return the knots of a piecewise linear map to N(0, 1), constant at frequent values.

    A value with more than 1 % of the rows is mapped to an interval of the normal distribution with the same
    probability; it is encoded as the mean of the interval, and the entire interval is decoded to it.
    """
    distinct, counts = np.unique(values, return_counts=True)
    total = np.cumsum(counts) / len(values)
    before = total - counts / len(values)
    is_spike = counts >= max(_FEWEST, _SPIKE * len(values))
    single = np.flatnonzero(~is_spike)
    if len(single) > _MOST_KNOTS:
        wanted = np.linspace(total[single[0]], total[single[-1]], _MOST_KNOTS)
        single = np.unique(np.r_[single[0], single[np.searchsorted(total[single], wanted[1:-1])], single[-1]])
    spikes = np.flatnonzero(is_spike)
    # A knot on each side of a frequent value, unless it is the minimum or maximum.
    first, last = spikes[before[spikes] > 0], spikes[total[spikes] < 1 - 1e-12]
    knots = np.r_[distinct[single], distinct[first], distinct[last]]
    share = np.r_[(before + total)[single] / 2, before[first], total[last]]
    order = np.lexsort((share, knots))
    edges = ndtri(np.stack([before[spikes], np.where(total[spikes] < 1 - 1e-12, total[spikes], 1.0)]))
    density = np.exp(-(edges**2) / 2) / np.sqrt(2 * np.pi)
    centers = (density[0] - density[1]) / (counts[spikes] / len(values))
    return {"knots": knots[order], "normal": ndtri(share[order]), "spikes": distinct[spikes], "centers": centers}
