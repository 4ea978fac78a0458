"""Minimum-error cuts through the overlap of two blocks (Efros and Freeman, 2001)."""

from __future__ import annotations

import numpy as np


def min_cut(errors: np.ndarray) -> np.ndarray:
    """Return weights (h, w) that are 1 right of the cheapest path from top to bottom, 1/2 on it, and 0 left of it.

    ``errors`` (h, w) are the costs of the cells of a path, which moves by at most one column from row to row. Of equal
    paths it is the one furthest left at the bottom.
    """
    costs = np.empty((len(errors), errors.shape[1] + 2), errors.dtype)
    costs[:, [0, -1]] = np.inf
    costs[0, 1:-1] = errors[0]
    for above, row, error in zip(costs, costs[1:], errors[1:], strict=False):
        row[1:-1] = error + np.minimum(np.minimum(above[:-2], above[1:-1]), above[2:])
    path = np.empty(len(errors), int)
    path[-1] = costs[-1].argmin() - 1
    for i in range(len(errors) - 2, -1, -1):
        left = path[i + 1]  # of the three cells above, counted with the margin
        path[i] = left - 1 + costs[i, left : left + 3].argmin()
    columns = np.arange(errors.shape[1])
    return (columns > path[:, None]) + 0.5 * (columns == path[:, None])


def block_weights(errors: np.ndarray, overlaps: tuple[int, int, int, int]) -> np.ndarray:
    """Return the weights of a block that is cut along its sides, 1 inside, for the ``errors`` (b, b) of its cells.

    ``overlaps`` are the widths of the cut regions at the top, the bottom, the left and the right; 0 for no cut.
    """
    weights = np.ones_like(errors)
    top, bottom, left, right = overlaps
    # Turned so that each side in turn is at the left.
    sides = (
        (left, errors, weights),
        (top, errors.T, weights.T),
        (right, errors[:, ::-1], weights[:, ::-1]),
        (bottom, errors.T[:, ::-1], weights.T[:, ::-1]),
    )
    for width, E, W in sides:
        if width:
            W[:, :width] = np.minimum(W[:, :width], min_cut(E[:, :width]))
    return weights
