"""Which of several maps each cell is to come from, by shares and by how well they fit."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import uniform_filter


def assign(costs: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """Return a label for each cell, int (h, w), where the costs (n, h, w) of labels are low in comparison with others.

    ``shares`` (n, h, w) sum to 1 in each cell. Where they are the same in all cells each label gets its share exactly,
    up to one cell. The last label chooses first: it gets the cells in which it gains most, up to the quantile that its
    share says; then the label before, among the cells left.
    """
    smooth = np.stack([uniform_filter(cost, 3) for cost in costs])  # regions rather than single cells
    labels = np.zeros(costs.shape[1:], int)
    free = np.ones(labels.shape, bool)
    for i in range(len(costs) - 1, 0, -1):
        gains = (smooth[:i].min(0) - smooth[i])[free]
        ranks = np.empty(len(gains))
        ranks[np.argsort(gains, kind="stable")] = (np.arange(len(gains)) + 0.5) / max(1, len(gains))
        left = shares[: i + 1].sum(0)[free]
        wanted = np.where(left > 1e-6, shares[i][free] / np.maximum(left, 1e-6), 0)
        taken = free.copy()
        taken[free] = ranks > 1 - wanted
        labels[taken] = i
        free &= ~taken
    return labels
