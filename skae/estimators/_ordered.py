"""Ordered codes: the variance explained by their first components, and the smallest sufficient number."""

from __future__ import annotations

import numpy as np

from .._module.prefixes import explained_by_prefixes
from .._training.some_rows import some_batches
from .._training.truncation import truncated_net
from .._utils.threads import threads_for
from ._fit import Outcome
from ._warnings import warn

_MOST_DECODED = 2**17  # prefixes decoded; a sample has one for each component
_MOST_ROWS_OF_EPOCH = 256  # in `partial_fit`, where more would take longer than the training


def explained_shares(outcome: Outcome, *, one_epoch: bool) -> np.ndarray | None:
    """Return the explained variance of prefixes on the validation samples, (n_components,); None without an order."""
    net, module = outcome.net, outcome.net.module_
    if not module.bottleneck.ordered:
        return None
    rows = outcome.measured(least=2)
    n = max(2, min(len(rows), _MOST_DECODED // module.n_components, *([_MOST_ROWS_OF_EPOCH] if one_epoch else [])))
    with threads_for(module.n_multiplications * min(n, net.batch_size)):
        return explained_by_prefixes(module, some_batches(net, rows, n))


def smallest(outcome: Outcome, shares: np.ndarray, share: float) -> tuple[Outcome, np.ndarray]:
    """Return the outcome for the smallest sufficient number of components, and their explained variances."""
    enough = np.flatnonzero(shares >= share)
    if not len(enough):
        warn(
            f"n_components={share}: {len(shares)} components explain {shares[-1]:.3f} of the variance of the held-out "
            "samples, and all of them are kept. Train longer, or reduce n_components.",
            UserWarning,
        )
        return outcome, shares
    k = int(enough[0]) + 1
    return (outcome if k == len(shares) else outcome._replace(net=truncated_net(outcome.net, k))), shares[:k]
