"""Quilting of blocks that resemble a guide (texture transfer; Efros and Freeman, 2001)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from .cuts import block_weights
from .quilting import block_side
from .search import Patches

_N_CANDIDATES = 48  # blocks nearest to the guide, among which overlaps decide


def guided_quilt(
    sources: Sequence[np.ndarray],
    guide: np.ndarray,
    blocks: Patches,
    rng: np.random.Generator,
    *,
    overlap: float = 0.5,
    guidance: float = 6.0,
    tolerance: float = 0.05,
    reuse: float = 0.3,
) -> np.ndarray:
    """Return the origins int (3, H, W) of the cells of a quilt of ``blocks`` that resembles a ``guide`` (C, H, W).

    The cost of a block is its mean squared difference from what lies there already, plus ``guidance`` times that from
    the guide, in units of the variance of the sources, plus ``reuse`` for each time that its middle was used. Only the
    blocks nearest to the guide are compared, found by one product of matrices, and those that continue their neighbors.

    Parameters
    ----------
    sources : sequence of ndarray (C, h, w)
        Maps that blocks are taken from, float32.
    guide : ndarray (C, H, W)
        What the quilt is to resemble.
    blocks : Patches
        The blocks of the sources.
    rng : Generator
        Chooses among blocks that fit.
    overlap : float
        Share of a block's side that overlaps the next.
    guidance, tolerance, reuse : float
        See above; blocks whose cost is at most so much larger, relatively, than the lowest are chosen from.
    """
    size, side = guide.shape[1:], blocks.side
    _, shared = block_side(side, overlap, size, tile=False)
    step = max(1, side - shared)
    starts = [_starts(length, side, step) for length in size]
    query = blocks.query(guide).reshape(*blocks.grid(size), -1)[np.ix_(*starts)]
    rows, columns = query.shape[:2]
    query = query.flatten(0, 1)
    nearest, costs = blocks.nearest(query, _N_CANDIDATES)
    candidates = nearest.numpy().reshape(rows, columns, -1)
    guide_costs = costs.numpy().reshape(rows, columns, -1) / blocks.variance
    query = query.reshape(rows, columns, -1)
    places = blocks.places.numpy()
    # The sources are shifts of one picture, so that a use counts in all of them.
    used = np.zeros(np.max([source.shape[1:] for source in sources], axis=0), np.float32)
    layered = [np.ascontiguousarray(np.moveaxis(source, 0, -1)) for source in sources]
    variance = blocks.variance / side**2  # of a cell
    values = np.zeros((*size, len(guide)), np.float32)
    origins = np.zeros((3, *size), int)
    chosen = np.full((rows, columns), -1)
    inside = np.indices((side, side))
    for i, row in enumerate(starts[0]):
        for j, column in enumerate(starts[1]):
            top = starts[0][i - 1] + side - row if i else 0
            left = starts[1][j - 1] + side - column if j else 0
            found, cost = candidates[i, j], guidance * guide_costs[i, j]
            before = [(chosen[i, j - 1], 0, side - left)] * (j > 0) + [(chosen[i - 1, j], side - top, 0)] * (i > 0)
            going_on = [int(blocks.moved(torch.tensor(int(b)), down, right)) for b, down, right in before]
            going_on = [b for b in going_on if b >= 0]
            if going_on:
                index = torch.tensor(going_on)
                more = blocks.distances(query[i, j], index).numpy() * (guidance / blocks.variance)
                found, cost = np.concatenate([found, going_on]), np.concatenate([cost, more])
            here = values[row : row + side, column : column + side]
            source, y, x = places[found].T
            patches = np.stack([layered[s][r : r + side, c : c + side] for s, r, c in zip(source, y, x, strict=True)])
            errors = np.square(patches - here).sum(-1) / variance
            known = side * side - (side - top) * (side - left)
            if known:
                seam = errors[:, :top].sum((1, 2)) + errors[:, top:, :left].sum((1, 2))
                cost = cost + seam / known
            cost = cost + reuse * used[y + side // 2, x + side // 2]
            cost = np.maximum(cost, 0)
            pick = int(rng.choice(np.flatnonzero(cost <= cost.min() * (1 + tolerance) + 1e-9)))
            s, r, c = source[pick], y[pick], x[pick]
            chosen[i, j] = found[pick]
            _note(used, r + side // 2, c + side // 2, max(1, side // 4))
            weights = block_weights(errors[pick], (top, 0, left, 0))
            values[row : row + side, column : column + side] = (
                weights[..., None] * patches[pick] + (1 - weights[..., None]) * here
            )
            at = slice(None), slice(row, row + side), slice(column, column + side)
            new = np.stack([np.full_like(inside[0], s), r + inside[0], c + inside[1]])
            origins[at] = np.where(weights >= 0.5, new, origins[at])
    return origins


def _starts(length: int, side: int, step: int) -> np.ndarray:
    """Return where blocks begin along an axis; the last one ends where the axis does."""
    found = np.arange(0, length - side + 1, step)
    return found if found[-1] == length - side else np.append(found, length - side)


def _note(used: np.ndarray, row: int, column: int, reach: int) -> None:
    """Count a use of the block around a cell."""
    used[max(0, row - reach) : row + reach + 1, max(0, column - reach) : column + reach + 1] += 1
