"""Integer codes: checks, and how many of their symbols are in use."""

from __future__ import annotations

import math
import numbers
from collections.abc import Sequence
from typing import Any

import numpy as np

from .._utils.checks import check_number
from .tables import LARGEST_ALPHABET


def check_integer_codes(
    codes: Any, alphabet: Sequence[int | None] | None, name: str = "codes"
) -> tuple[np.ndarray, tuple[int | None, ...]]:
    """Return codes as int64 (n, n_integers, h, w), and the alphabet; None stands for integers without bounds."""
    codes = np.asarray(codes)
    if codes.dtype.kind not in "iu":
        raise TypeError(f"{name} must be integers, got {codes.dtype}.")
    if codes.ndim != 4 or not codes.size:
        raise ValueError(f"{name} must be of shape (n, n_integers, h, w), none of them 0, got {codes.shape}.")
    alphabet = (None,) * codes.shape[1] if alphabet is None else tuple(alphabet)
    if len(alphabet) != codes.shape[1]:
        raise ValueError(f"{name} must have {len(alphabet)} integers at each position, got {codes.shape[1]}.")
    for k, n_levels in enumerate(alphabet):
        if n_levels is None:
            continue
        check_number(f"alphabet[{k}]", n_levels, numbers.Integral, 1, LARGEST_ALPHABET)
        low, high = int(codes[:, k].min()), int(codes[:, k].max())
        if low < 0 or high >= n_levels:
            raise ValueError(f"{name}[:, {k}] must be from 0 to {n_levels - 1}, got values from {low} to {high}.")
    # Digests are of the alphabet too, which must not depend on the type of its numbers.
    return codes.astype(np.int64, copy=False), tuple(None if n is None else int(n) for n in alphabet)


def check_weights(sample_weight: Any, n: int) -> np.ndarray:
    """Return weights of n codes, float64, ones when None."""
    weight = np.ones(n) if sample_weight is None else np.asarray(sample_weight, dtype=np.float64)
    if weight.shape != (n,) or not np.isfinite(weight).all() or (weight < 0).any():
        raise ValueError(f"sample_weight must be {n} finite numbers, none negative, got {sample_weight!r}.")
    return weight


def check_shape(shape: Any) -> tuple[int, int]:
    """Return height and width of codes."""
    if not isinstance(shape, Sequence) or isinstance(shape, str) or len(shape) != 2:
        raise TypeError(f"shape must be (height, width), got {shape!r}.")
    for side in shape:
        check_number("shape", side, numbers.Integral, 1)
    return int(shape[0]), int(shape[1])


def table_ranges(codes: np.ndarray, alphabet: Sequence[int | None]) -> tuple[np.ndarray, np.ndarray]:
    """Return for each integer of codes the value of the first symbol of its table, and the number of its symbols.

    For an integer without bounds these are the values that occur, and one on either side, for what lies beyond.
    """
    ranges = []
    for values, n_levels in zip(codes.swapaxes(0, 1), alphabet, strict=True):
        if n_levels is not None:
            ranges.append((0, n_levels))
            continue
        first, last = int(values.min()) - 1, int(values.max()) + 1  # what lies beyond costs extra
        if last - first >= LARGEST_ALPHABET:
            middle = int(np.median(values))
            first = max(first, middle - LARGEST_ALPHABET // 2)
            last = min(last, first + LARGEST_ALPHABET - 1)
        ranges.append((first, last - first + 1))
    low, span = np.array(ranges, np.int64).T
    return low, span


def count_symbols(codes: np.ndarray, alphabet: Sequence[int | None]) -> list[np.ndarray]:
    """Count the values of each integer of codes (n, n_integers, ...).

    The counts of an integer are those of all its levels, or of the values that occur where its alphabet is None.
    """
    found = []
    for values, n_levels in zip(codes.swapaxes(0, 1), alphabet, strict=True):
        if n_levels is None:
            found.append(np.unique(values, return_counts=True)[1])
        else:
            found.append(np.bincount(values.ravel(), minlength=n_levels))
    return found


def usage_and_perplexity(counts: Sequence[np.ndarray], alphabet: Sequence[int | None]) -> tuple[float, float]:
    """Return the share of the symbols in use, and the perplexity of a symbol.

    The perplexity is exp(H), where H is the mean over the integers of their entropies in nats: so many levels, used
    equally often, would tell as much. An integer without bounds has no number of levels: it counts as one symbol, in
    use where it takes more than one value.
    """
    n_used = n_symbols = 0
    entropies = []
    for of_one, n_levels in zip(counts, alphabet, strict=True):
        occurring = of_one[of_one > 0]
        n_used += len(occurring) if n_levels is not None else int(len(occurring) > 1)
        n_symbols += 1 if n_levels is None else n_levels
        p = occurring / max(occurring.sum(), 1)
        entropies.append(float(-(p * np.log(p)).sum()))
    return n_used / n_symbols, math.exp(sum(entropies) / len(entropies))
