"""Assignment of the cells of a texture to exemplars."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.ndimage import gaussian_filter
from sklearn.utils import check_array


def check_weights(weights: Any, n: int, what: str) -> np.ndarray:
    """Return ``weights`` of ``n`` exemplars or styles as proportions; equal ones for None."""
    if weights is None:
        return np.full(n, 1 / n)
    try:
        shares = np.asarray(weights, dtype=np.float64)
    except (TypeError, ValueError):
        shares = np.empty(0)  # not numbers, an error below
    if shares.shape == (n,):
        check_array(shares, ensure_2d=False, input_name="weights")
    if shares.shape != (n,) or shares.min() < 0 or not shares.max() > 0:
        raise ValueError(
            f"weights must have a non-negative number for each of the {n} {what}, not all 0, got {weights!r}."
        )
    shares = shares / shares.max()  # the sum of large ones may overflow
    return shares / shares.sum()


def check_mask(mask: Any, n: int, what: str) -> np.ndarray:
    """Return ``mask`` as the proportions (n, height, width) of exemplars or styles at each position."""
    if n < 2:
        raise ValueError(f"mask needs at least two {what}, got {n} in fit.")
    try:
        values = np.asarray(mask, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise TypeError(f"mask must hold numbers in [0, 1], got {mask!r:.80}.") from error
    found = check_array(values, ensure_2d=False, allow_nd=True, input_name="mask")
    if n == 2 and found.ndim == 2:
        found = np.stack([1 - found, found])
    if found.ndim != 3 or len(found) != n or not found.size:
        first = "(height, width), the share of the second, or " * (n == 2)
        raise ValueError(
            f"mask must have the shape {first}({n}, height, width), the shares of the {n} {what}, got {np.shape(mask)}."
        )
    if found.min() < 0 or found.max() > 1:
        remedy = ": divide it by 255" if found.min() >= 0 and found.max() == 255 else ""
        raise ValueError(f"mask must lie in [0, 1], got values from {values.min():g} to {values.max():g}{remedy}.")
    total = found.sum(axis=0)
    if total.min() <= 0:
        row, column = np.unravel_index(total.argmin(), total.shape)
        raise ValueError(
            f"mask must be positive for one of the {n} {what} at each pixel, got zeros at [{row}, {column}]."
        )
    return found / total


def stretched(shares: np.ndarray, size: Sequence[int]) -> np.ndarray:
    """Resize proportions (n, height, width) to ``size`` cells, each with that of the pixel at its center."""
    height, width = (
        ((np.arange(cells) + 0.5) * pixels / cells).astype(int)
        for cells, pixels in zip(size, shares.shape[1:], strict=True)
    )
    return shares[:, height[:, None], width]


def draw_labels(shares: np.ndarray, patch: float, rng: np.random.Generator) -> np.ndarray:
    """Return random labels (H, W) with proportions (n, H, W), in patches about ``patch`` cells wide.

    A periodic smooth field with exactly uniform values on (0, 1) is compared with the cumulative proportions, so that
    constant proportions are met up to one cell, and proportions of 0 and 1 exactly.
    """
    noise = gaussian_filter(rng.standard_normal(shares.shape[1:]), patch, mode="wrap")
    uniform = np.empty(noise.size)
    uniform[noise.argsort(axis=None)] = (np.arange(noise.size) + 0.5) / noise.size
    return (uniform.reshape(noise.shape) >= shares.cumsum(axis=0)[:-1]).sum(axis=0)
