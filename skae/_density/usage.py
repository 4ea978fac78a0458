"""How many of the symbols of integer codes are in use."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np


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
