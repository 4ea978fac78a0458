"""Ordered codes: the variance that their first components explain, and a number of components from a share of it."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

from .._data.batches import InMemoryDataset, row_numbers
from .._data.pca import Samples, principal_axes
from .._module.prefixes import explained_by_prefixes
from .._training.truncation import truncated_net
from .._utils.threads import threads_for
from ._build import build_net, find_scaling
from ._fit import Outcome, without_observers
from ._fit_data import FitData
from ._initialize import sample_for_parts
from ._resolve import ModelSpec, is_share
from ._training_data import training_data
from ._warnings import warn

_MOST_DECODED = 2**17  # prefixes, of which a sample has as many as components
_MOST_ROWS_OF_EPOCH = 256  # in `partial_fit`, which would otherwise take longer to measure than to train
_MARGIN, _LEAST_MORE = 1.25, 3  # times the number of components of PCA, and at least so many more
_MOST_AXES, _PCA_ROWS = 256, 10_000  # of the PCA whose number of components that is


def explained_shares(outcome: Outcome, *, one_epoch: bool) -> np.ndarray | None:
    """Return what prefixes explain of the rows that validate, (n_components,); None without an order."""
    net, module = outcome.net, outcome.net.module_
    if not module.bottleneck.ordered:
        return None
    rows = outcome.rows if outcome.held_out is None or len(outcome.held_out) < 2 else outcome.held_out
    n = max(2, min(len(rows), _MOST_DECODED // module.n_components, *([_MOST_ROWS_OF_EPOCH] if one_epoch else [])))
    with threads_for(module.n_multiplications * n * module.n_components):
        return explained_by_prefixes(module, _some_batches(net, rows, n))


def _some_batches(net: Any, rows: Any, n: int) -> Iterator[Any]:
    """Yield batches of about ``n`` of the rows, evenly spaced where they are in memory."""
    if isinstance(rows, InMemoryDataset) and n < len(rows):
        places = torch.arange(n, device=rows.u.device) * len(rows) // n
        yield from (rows[part] for part in places.split(net.batch_size))
        return
    for batch in net.get_iterator(rows, training=False):
        yield batch
        n -= len(batch.u)
        if n <= 0:
            return


def with_number(est: Any, spec: ModelSpec, data: FitData, earlier: Any, *, one_epoch: bool) -> Any:
    """Return the estimator to train: itself, or for a share of the variance a copy with a number of components.

    Training that goes on has the number of before. A new one has a quarter more than PCA needs for the share in X, as
    an estimate of what is enough; `smallest` cuts what is not needed.
    """
    share = est.n_components
    if not is_share(share):
        return est
    if one_epoch and earlier is None:
        raise ValueError(
            f"n_components={share} is found by fit, and partial_fit goes on from there: call fit first, or set "
            "n_components to an int."
        )
    n = _n_for_share(est, spec, data, float(share)) if earlier is None else earlier.module_.n_components
    sized = copy.copy(est)
    sized.n_components = n
    return sized


def _n_for_share(est: Any, spec: ModelSpec, data: FitData, share: float) -> int:
    one = without_observers(est)
    one.n_components = 1
    with threads_for(0):
        net = build_net(one, spec, data, find_scaling(spec, data, None), None, 0, [])
        dataset = training_data(net, data, row_numbers(len(data.X), data.sample_weight))
    module = net.module_
    if module.n_positions > 1 or module.any_size:
        raise ValueError(
            f"n_components={share} needs a dense code, and that of module={est.module!r} is spatial: set n_components "
            "to an int, the number of its channels."
        )
    rng = np.random.default_rng(0)
    index = sample_for_parts(net, data, dataset, rng)
    index = np.arange(len(data.X)) if index is None else index
    index = index[:: math.ceil(len(index) / _PCA_ROWS)]
    samples = Samples.of(module._fill(dataset.at(index).u))
    axes = principal_axes(samples, _MOST_AXES, seed=0)
    total = float(axes.variances.sum() + axes.rest)
    explained = axes.variances.cumsum(0) / total if total > 0 else torch.ones(1)
    n_of_pca = min(int((explained < share).sum()) + 1, len(axes.variances))
    return min(max(n_of_pca + _LEAST_MORE, math.ceil(_MARGIN * n_of_pca)), samples.n_features)


def smallest(outcome: Outcome, shares: np.ndarray, share: float) -> tuple[Outcome, np.ndarray]:
    """Return the outcome for the smallest number of components that explains the share, and what its prefixes do."""
    enough = np.flatnonzero(shares >= share)
    if not len(enough):
        warn(
            f"n_components={share}: {len(shares)} components explain {shares[-1]:.3f} of the variance of the rows held "
            "out, and all of them are kept. Train longer, or ask for less.",
            UserWarning,
        )
        return outcome, shares
    k = int(enough[0]) + 1
    return (outcome if k == len(shares) else outcome._replace(net=truncated_net(outcome.net, k))), shares[:k]
