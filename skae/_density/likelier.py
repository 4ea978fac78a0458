"""A mixture or a flow, by the likelihood of codes that were held out."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

_FEWEST = 100  # codes; of fewer a mixture is always better
_HELD_OUT = 0.1
_MOST_HELD_OUT = 10_000


def fit_likelier(
    mixture: Any,
    flow: Any,
    codes: np.ndarray,
    c: np.ndarray | None,
    sample_weight: np.ndarray | None,
    seed: int,
    earlier: Any,
) -> Any:
    """Fit two densities to nine tenths of the codes, and return the one that the others are likelier by.

    The flow stays as it was fitted, since it takes long and holds codes out in any case; the mixture is fitted to all.

    Parameters
    ----------
    mixture, flow : LatentPrior
        Densities to choose from.
    codes, c, sample_weight, seed, earlier
        As `LatentPrior.fit` takes them.
    """
    weight = np.ones(len(codes)) if sample_weight is None else sample_weight
    rng = np.random.default_rng(seed)
    order = rng.permutation(np.flatnonzero(weight > 0))
    n_held_out = min(math.ceil(_HELD_OUT * len(order)), _MOST_HELD_OUT)
    held_out, seen = order[:n_held_out], order[n_held_out:]
    if mixture.condition.classes is not None:
        assert c is not None
        known = (c[held_out] > 0) @ c[seen].any(axis=0)  # rows of classes that are among those seen
        held_out, seen = held_out[known], np.concatenate([seen, held_out[~known]])
    if len(order) >= _FEWEST and len(held_out):
        drawn = codes[held_out].astype(np.float64)
        if drawn.ndim == 3:
            drawn = drawn[:, 0] + drawn[:, 1] * rng.standard_normal(drawn[:, 0].shape)
        scores, fitted = [], []
        for prior in (mixture, flow):
            parts = (None if A is None else A[seen] for A in (codes, c, sample_weight))
            fitted.append(prior.fit(*parts, seed, earlier))
            given = None if c is None else c[held_out]
            scores.append(np.average(prior.log_density(fitted[-1], drawn, given), weights=weight[held_out]))
        if scores[1] > scores[0]:
            return fitted[1]
    return mixture.fit(codes, c, sample_weight, seed, earlier)
