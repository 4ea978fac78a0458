"""Image quilting (Efros and Freeman, 2001) of maps, on a torus or a plane."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from .blocks import Blocks
from .cuts import block_weights

_DECAY = 0.97  # of the penalty on reuse, from block to block
_BETTER = 0.98  # a repair is kept if it makes the seams so much cheaper
_N_TRIED = 8  # blocks that are cut for a repair


class Quilt(NamedTuple):
    """A quilt of blocks."""

    values: np.ndarray  #: float32 (C, H, W)
    origins: np.ndarray  #: int (3, H, W): the source of each cell, and its row and column there


class Place(NamedTuple):
    """Where a block lies."""

    rows: np.ndarray
    columns: np.ndarray
    overlaps: tuple[int, int, int, int]  #: widths of the cut regions: top, bottom, left, right

    @property
    def cells(self) -> tuple[np.ndarray, np.ndarray]:
        """Index of its cells."""
        return self.rows[:, None], self.columns[None]


def block_side(side: int, overlap: float, size: Sequence[int], *, tile: bool) -> tuple[int, int]:
    """Return the side of a block and the overlap of two, in cells, that fit into a quilt of ``size``.

    On a torus each row and column has at least two blocks, so that none overlaps itself.
    """
    shared = max(1, round(overlap * side))
    limit = min(size)
    if tile:
        limit = max(2, limit // 2 + shared)
    side = min(side, limit, *size)
    return side, min(shared, max(1, side // 2))


def starts(length: int, side: int, overlap: int, *, tile: bool) -> np.ndarray:
    """Return where blocks begin along an axis: evenly, overlapping by at least ``overlap``."""
    step = max(1, side - overlap)
    if tile:
        n = max(1, math.ceil(length / step))
        return np.arange(n) * length // n
    n = 1 + max(0, math.ceil((length - side) / step))
    return np.linspace(0, length - side, n).round().astype(int)


def quilt(
    sources: Sequence[np.ndarray],
    size: Sequence[int],
    side: int,
    overlap: float,
    rng: np.random.Generator,
    *,
    tile: bool = True,
    tolerance: float = 0.1,
    reuse: float = 0.0,
    n_repairs: int = 0,
    owners: Sequence[int] | np.ndarray | None = None,
    labels: np.ndarray | None = None,
) -> Quilt:
    """Lay blocks of ``sources`` side by side so that they fit where they overlap, and cut them where they fit best.

    Costs are mean squared differences, in units of the variance of the sources.

    Parameters
    ----------
    sources : sequence of ndarray (C, h, w)
        Maps that blocks are taken from, float32.
    size : (H, W)
        Size of the quilt, in cells.
    side : int
        Side of a block, in cells; less in a quilt that is too small for it.
    overlap : float
        Share of a block's side that overlaps the next at least.
    rng : Generator
        Chooses among blocks that fit.
    tile : bool
        Whether the quilt goes on beyond its borders at the opposite ones.
    tolerance : float
        Blocks whose cost is at most so much larger, relatively, than the lowest are chosen from.
    reuse : float
        Cost of a block that was just used; it falls with the distance from it, and over time.
    n_repairs : int
        How often the block with the costliest seams around it is replaced, if another one fits better.
    owners : sequence of int
        A number for each source; blocks of one number are of one exemplar.
    labels : ndarray of int (H, W)
        Which exemplar each cell is to come from; any when None.
    """
    work = _Quilting(sources, size, side, overlap, rng, tile=tile, tolerance=tolerance, reuse=reuse)
    work.owners = np.zeros(len(sources), int) if owners is None else np.asarray(owners)
    work.labels = labels
    return work.run(n_repairs)


class _Quilting:
    """A quilt in the making."""

    owners: np.ndarray
    labels: np.ndarray | None

    def __init__(
        self,
        sources: Sequence[np.ndarray],
        size: Sequence[int],
        side: int,
        overlap: float,
        rng: np.random.Generator,
        *,
        tile: bool,
        tolerance: float,
        reuse: float,
    ) -> None:
        self.size, self.rng, self.tile, self.tolerance, self.reuse = tuple(size), rng, tile, tolerance, reuse
        self.side, self.overlap = block_side(side, overlap, size, tile=tile)
        self.blocks = Blocks(sources, self.side)
        cells = np.concatenate([source.reshape(len(source), -1) for source in sources], axis=1)
        self.variance = float(cells.var(axis=1, dtype=np.float64).sum()) or 1.0
        self.values = np.zeros((*self.size, len(cells)), np.float32)
        self.filled = np.zeros(self.size, bool)
        self.origins = np.zeros((3, *self.size), int)
        self.seams = np.zeros(self.size)  # cost of the cut that goes through a cell
        self.used = np.zeros(len(self.blocks), np.float32)

    def run(self, n_repairs: int) -> Quilt:
        for place in self._places():
            for label, cells in self._labels_of(place):
                self._fill(place, label, cells)
        self._repair(n_repairs)
        return Quilt(np.ascontiguousarray(np.moveaxis(self.values, -1, 0)), self.origins)

    def _places(self) -> list[Place]:
        grids = []
        for length in self.size:
            first = starts(length, self.side, self.overlap, tile=self.tile)
            before = np.roll(first, 1) + self.side - first  # overlap with the block before
            after = np.roll(before, -1)
            before[0] = 0
            after[:-1] = 0
            # The last block of a torus meets the first.
            after[-1] = after[-1] - length if self.tile and len(first) > 1 else 0
            grids.append(list(zip(first, before, after, strict=True)))
        return [
            self._place(r, c, (top, bottom, left, right)) for r, top, bottom in grids[0] for c, left, right in grids[1]
        ]

    def _place(self, row: int, column: int, overlaps: tuple[int, int, int, int]) -> Place:
        inside = np.arange(self.side)
        return Place((row + inside) % self.size[0], (column + inside) % self.size[1], tuple(map(int, overlaps)))  # type: ignore[arg-type]

    def _labels_of(self, place: Place) -> list[tuple[int | None, np.ndarray]]:
        """Return the labels in a place, the most frequent first, each with its cells there."""
        if self.labels is None:
            return [(None, np.ones((self.side, self.side), bool))]
        here = self.labels[place.cells]
        found, counts = np.unique(here, return_counts=True)
        return [(int(label), here == label) for label in found[np.argsort(-counts, kind="stable")]]

    def _fill(self, place: Place, label: int | None, cells: np.ndarray) -> None:
        sources = self._sources_of(label)
        filled = self.filled[place.cells]
        # Without a cell that is filled, all blocks fit alike.
        costs = self.blocks.distances(self.values[place.cells], filled.astype(np.float32), sources) / self.variance
        costs += self.reuse * self.used
        fitting = np.flatnonzero(costs <= costs.min() * (1 + self.tolerance) + 1e-9)
        chosen = int(self.rng.choice(fitting))
        self._note_use(chosen)
        self._write(place, chosen, cells)

    def _sources_of(self, label: int | None) -> np.ndarray:
        return np.arange(len(self.owners)) if label is None else np.flatnonzero(self.owners == label)

    def _note_use(self, chosen: int) -> None:
        if not self.reuse:
            return
        source, *where = self.blocks.places[chosen]
        away = np.square(self.blocks.places[:, 1:] - where).sum(1)
        same = self.owners[self.blocks.places[:, 0]] == self.owners[source]
        self.used = self.used * _DECAY + same * np.exp(-away / (self.side**2 / 4)).astype(np.float32)

    def _write(self, place: Place, chosen: int, cells: np.ndarray) -> None:
        """Write a block into the ``cells`` of a place, cut along what is there."""
        block, at = self.blocks[chosen], place.cells
        current, filled = self.values[at], self.filled[at]
        errors = np.square(block - current).sum(-1) / self.variance
        weights = block_weights(errors, place.overlaps)
        weights[~filled] = 1
        weights[~cells] = 0
        self.values[at] = weights[..., None] * block + (1 - weights[..., None]) * current
        self.filled[at] = filled | cells
        inside = np.indices((self.side, self.side))
        source, row, column = self.blocks.places[chosen]
        new = np.stack([np.full_like(inside[0], source), row + inside[0], column + inside[1]])
        self.origins[:, at[0], at[1]] = np.where(weights >= 0.5, new, self.origins[:, at[0], at[1]])
        self.seams[at] = np.where(weights == 0.5, errors, np.where(weights == 1, 0, self.seams[at]))

    def _repair(self, n_repairs: int) -> None:
        """Replace blocks with costly seams around them."""
        overlap = self.overlap
        if 2 * overlap >= self.side or min(self.size) <= self.side:
            return
        ring = np.ones((self.side, self.side), np.float32)
        ring[overlap:-overlap, overlap:-overlap] = 0
        patience = np.ones(self.size)  # with windows that nothing better was found for
        for _ in range(n_repairs):
            row, column = np.unravel_index((self._window_sums() * patience).argmax(), self.size)
            place = self._place(int(row), int(column), (overlap,) * 4)
            if not self._replace(place, ring):
                near = np.ix_((row + np.arange(-1, 2)) % self.size[0], (column + np.arange(-1, 2)) % self.size[1])
                patience[near] *= 0.5
                patience[row, column] = 0

    def _replace(self, place: Place, ring: np.ndarray) -> bool:
        """Write the block with the cheapest seams into a place, if they are cheaper than those that are there."""
        label, cells = self._labels_of(place)[0]
        distances = self.blocks.distances(self.values[place.cells], ring, self._sources_of(label)) / self.variance
        distances += self.reuse * self.used
        candidates = np.argpartition(distances, min(_N_TRIED, len(distances) - 1))[:_N_TRIED]
        before = self._state_of(place)
        cheapest, kept, chosen = _BETTER * self.seams[place.cells].sum(), None, -1
        for candidate in candidates[np.isfinite(distances[candidates])]:
            self._write(place, int(candidate), cells)
            if self.seams[place.cells].sum() < cheapest:
                cheapest, kept, chosen = self.seams[place.cells].sum(), self._state_of(place), int(candidate)
            self._set_state(place, before)
        if kept is None:
            return False
        self._set_state(place, kept)
        self._note_use(chosen)
        return True

    def _state_of(self, place: Place) -> tuple[np.ndarray, ...]:
        row, column = place.cells
        return self.values[row, column], self.origins[:, row, column], self.seams[row, column]

    def _set_state(self, place: Place, state: tuple[np.ndarray, ...]) -> None:
        row, column = place.cells
        self.values[row, column], self.origins[:, row, column], self.seams[row, column] = state

    def _window_sums(self) -> np.ndarray:
        """Return the sum of seams inside the block that begins at each cell, -1 where it would leave a plane."""
        inner = self.side - 2 * self.overlap
        padded = np.pad(self.seams, (0, self.side), mode="wrap")
        sums = np.pad(padded.cumsum(0).cumsum(1), ((1, 0), (1, 0)))
        first = np.arange(self.size[0])[:, None] + self.overlap
        second = np.arange(self.size[1]) + self.overlap
        found = (
            sums[first + inner, second + inner]
            - sums[first, second + inner]
            - sums[first + inner, second]
            + sums[first, second]
        )
        if not self.tile:
            found[self.size[0] - self.side + 1 :] = -1
            found[:, self.size[1] - self.side + 1 :] = -1
        return found
