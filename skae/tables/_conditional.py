"""Codes of rows conditioned on given columns, by sampling importance resampling."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..estimators._warnings import warn

_FIRST, _MOST = 10_000, 160_000  # proposals
_ENOUGH = 100.0  # effective proposals
_FEWEST = 10.0  # effective proposals below which a warning is given
_VALUES = 4_000_000  # weights computed at once, for different conditions


def draw_codes(
    estimator: Any, n_samples: int, given: np.ndarray, groups: list[int], rng: np.random.Generator
) -> np.ndarray:
    """Draw codes (n_samples, n_components) from the posterior given some columns.

    Codes are drawn from the prior, weighted by the likelihood of the given columns, and resampled by their weights
    (Rubin, 1987). Their number is increased until the effective number is large enough.

    Parameters
    ----------
    estimator : BaseAutoencoder
        Fitted with `skae.losses.Mixed`.
    n_samples : int
        Number of codes.
    given : ndarray of shape (1, n_features) or (n_samples, n_features)
        Encoded rows, NaN in columns that are not given.
    groups : list of int
        The given groups of the loss.
    rng : Generator
        Random number generator.
    """
    known = ~np.isnan(given[0])
    _, first, of_row = np.unique(given[:, known], axis=0, return_index=True, return_inverse=True)
    conditions, of_row = given[first], np.broadcast_to(of_row.ravel(), n_samples)
    n_proposals, most = _FIRST, _MOST
    if len(conditions) > 1:
        n_proposals = most = int(np.clip(_VALUES // len(conditions), 1_000, _FIRST))
    codes, log_weights = _propose(estimator, n_proposals, conditions, groups, rng)
    while len(codes) < most and _effective(log_weights).min() < _ENOUGH:
        more, their = _propose(estimator, len(codes), conditions, groups, rng)
        codes, log_weights = np.concatenate([codes, more]), np.concatenate([log_weights, their])
    _warn_of_few(_effective(log_weights), len(codes), len(conditions))
    found = np.empty((n_samples, codes.shape[1]), np.float32)
    for i, weight in enumerate(_weights(log_weights).T):
        rows = np.flatnonzero(of_row == i)
        found[rows] = codes[_systematic(weight, len(rows), rng)]
    return found


def _propose(estimator: Any, n: int, conditions: np.ndarray, groups: list[int], rng: np.random.Generator) -> tuple:
    """Return codes from the prior, and the logarithms of their weights for each of the conditions."""
    codes = estimator._draw_codes(n, None, int(rng.integers(2**31)))
    module = estimator.module_
    targets = torch.from_numpy(conditions.astype(np.float32))

    def log_likelihood(z: Tensor) -> Tensor:
        raw = module._decode(module.project(z.float()), None, None)
        columns = []
        for target in targets.to(raw):
            x = target.expand(len(raw), -1)
            columns.append(-module.loss.by_group(raw, x.nan_to_num(), ~x.isnan())[:, groups].sum(1))
        return torch.stack(columns, 1)

    return codes, estimator._runner.run(log_likelihood, codes, name="the codes").double().cpu().numpy()


def _weights(log_weights: np.ndarray) -> np.ndarray:
    weights = np.exp(log_weights - log_weights.max(axis=0))
    return weights / weights.sum(axis=0)


def _effective(log_weights: np.ndarray) -> np.ndarray:
    """Return the effective number of proposals for each condition (Kong, 1992)."""
    return 1 / np.square(_weights(log_weights)).sum(axis=0)


def _systematic(weight: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    """Return the indices of n draws by weight, by systematic resampling, in random order."""
    edges = np.cumsum(weight)
    drawn = np.searchsorted(edges, (np.arange(n) + rng.random()) / n * edges[-1])
    return rng.permutation(np.minimum(drawn, len(weight) - 1))


def _warn_of_few(effective: np.ndarray, n_proposals: int, n_conditions: int) -> None:
    if effective.min() < _FEWEST:
        which = "" if n_conditions == 1 else f" for {(effective < _FEWEST).sum()} of {n_conditions} conditions"
        warn(
            f"The effective number of codes is only {effective.min():.1f} of {n_proposals}{which}: rows with the given "
            "values are rare, so samples are similar to each other. Give fewer columns, or more common values.",
            UserWarning,
        )
