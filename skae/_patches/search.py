"""The patches of some maps that are nearest to those of another one (Chen and Schmidt, 2016), and pictures of them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from .._utils.memory import working_memory

_N_AXES = 64  # principal axes of patches that distances are measured along
_N_SAMPLES = 8192  # patches that these are computed from
# Cost of a pair of neighbors from different places, in units of the variance of a patch, from sweep to sweep. A large
# one first lets regions grow; the last one decides which of them stay.
_PAIR_COSTS = (0.4, 0.4, 0.4, 0.2, 0.2, 0.2, 0.1, 0.1, 0.1, 0.1)
_NEIGHBORS = ((-1, 0), (1, 0), (0, -1), (0, 1))
# Where the same patch again would be seen as a pattern.
_REPEATS = (*_NEIGHBORS, (-1, -1), (-1, 1), (1, -1), (1, 1), (-2, 0), (2, 0), (0, -2), (0, 2))


class Patches:
    """All patches of some maps, along their principal axes.

    Parameters
    ----------
    sources : sequence of ndarray (C, h, w)
        The maps, float32, of at least ``side`` cells along each axis.
    side : int
        Side of a patch, in cells.
    """

    def __init__(self, sources: Sequence[np.ndarray], side: int) -> None:
        self.side = side
        maps = [torch.from_numpy(np.ascontiguousarray(source)) for source in sources]
        samples = torch.cat([self._samples(values, len(maps)) for values in maps]).double()
        mean = samples.mean(0)
        samples -= mean
        variances, axes = torch.linalg.eigh(samples.T @ samples / len(samples))
        #: variance of a patch, summed over its values
        self.variance = float(variances.sum().clamp(min=0)) or 1.0
        axes = axes[:, -_N_AXES:].flip(1)
        self._kernels = axes.T.reshape(axes.shape[1], len(maps[0]), side, side).float()
        self._shift = (mean @ axes).float()
        self._vectors = torch.cat([self._projected(values) for values in maps])
        self._half_squares = self._vectors.square().sum(1) / 2
        grids = [self.grid(values.shape[1:]) for values in maps]
        #: int (n, 3): the source, the row and the column of each patch
        self.places = torch.cat(
            [F.pad(torch.cartesian_prod(*map(torch.arange, grid)), (1, 0), value=i) for i, grid in enumerate(grids)]
        )
        self._grids = torch.tensor(grids)

    def __len__(self) -> int:
        return len(self._vectors)

    def grid(self, size: Sequence[int]) -> tuple[int, int]:
        """Return how many rows and columns of patches a map of a size has."""
        return size[0] - self.side + 1, size[1] - self.side + 1

    def query(self, values: np.ndarray, step: int = 1) -> Tensor:
        """Return the patches of a map (C, h, w), (n, n_axes)."""
        return self._projected(torch.from_numpy(np.ascontiguousarray(values)), step)

    def nearest(self, query: Tensor, k: int = 1) -> tuple[Tensor, Tensor]:
        """Return the indices of the ``k`` nearest patches, (n, k), and their squared distances along the axes."""
        rows = max(1, working_memory(1 / 16) // (4 * len(self)))
        found, distances = [], []
        for part in query.split(rows):
            scores = torch.addmm(self._half_squares, part, self._vectors.T, alpha=-1)
            values, index = scores.min(1, keepdim=True) if k == 1 else scores.topk(min(k, len(self)), largest=False)
            found.append(index)
            distances.append((2 * values + part.square().sum(1, keepdim=True)).clamp(min=0))
        return torch.cat(found), torch.cat(distances)

    def distances(self, query: Tensor, index: Tensor) -> Tensor:
        """Return the squared distances of queries (..., n_axes) to patches (...) along the axes."""
        return (self._vectors[index] - query).square().sum(-1)

    def moved(self, index: Tensor, rows: int | Tensor, columns: int | Tensor) -> Tensor:
        """Return the indices of the patches so many rows and columns away in the same map, -1 beyond its border."""
        source, row, column = self.places[index].unbind(-1)
        height, width = self._grids[source].unbind(-1)
        row, column = row + rows, column + columns
        inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
        return torch.where(inside, index + rows * width + columns, -1)

    def coherent(self, query: Tensor, nearest: Tensor, grid: tuple[int, int]) -> Tensor:
        """Return indices (rows, columns) of patches that are near to the queries and continue each other.

        Minimizes, cell by cell on a checkerboard, the squared distance, a cost for each pair of neighbors that are not
        neighbors in a source, and the same again for the same patch close by, which would be seen as a pattern
        (iterated conditional modes; Besag, 1986). Each cell may have its ``nearest`` patch, or what continues the patch
        of one of its neighbors.
        """
        nearest, query = nearest.reshape(grid), query.reshape(*grid, -1)
        chosen = nearest.clone()
        rows, columns = torch.meshgrid(*map(torch.arange, grid), indexing="ij")
        fields = [(rows + columns) % 2 == color for color in (0, 1)]
        for cost in _PAIR_COSTS:
            for field in fields:
                at = rows[field], columns[field]
                around = torch.stack([self._continued(chosen, *at, *offset) for offset in _NEIGHBORS])
                same = torch.stack([_shifted(chosen, *at, *offset) for offset in _REPEATS])
                candidates = torch.cat([torch.stack([chosen[field], nearest[field]]), around])
                energy = self.distances(query[field], candidates.clamp(min=0)) / self.variance
                energy += cost * ((candidates[:, None] == same).sum(1) - (candidates[:, None] == around).sum(1))
                energy[candidates < 0] = torch.inf
                chosen[field] = candidates.gather(0, energy.argmin(0, keepdim=True))[0]
        return chosen

    def origins(self, index: Tensor, size: Sequence[int]) -> np.ndarray:
        """Return int (3, h, w) for a map of a size: where each cell comes from by the patch in whose middle it lies.

        The patches ``index`` (rows, columns) lie at all places of the map; cells near its border take theirs from the
        nearest.
        """
        places = self.places[index].numpy()
        middle = self.side // 2
        rows, columns = [np.clip(np.arange(n) - middle, 0, m - 1) for n, m in zip(size, index.shape, strict=True)]
        found = places[rows[:, None], columns].transpose(2, 0, 1).copy()
        found[1] += (np.arange(size[0]) - rows)[:, None]
        found[2] += np.arange(size[1]) - columns
        return found

    def _continued(self, chosen: Tensor, rows: Tensor, columns: Tensor, down: int, right: int) -> Tensor:
        """Return what continues, in some cells, the patch of a neighbor of each; -1 for nothing."""
        neighbor = _shifted(chosen, rows, columns, down, right)
        return torch.where(neighbor < 0, -1, self.moved(neighbor.clamp(min=0), -down, -right))

    def _samples(self, values: Tensor, n_maps: int) -> Tensor:
        patches = values.unfold(1, self.side, 1).unfold(2, self.side, 1)  # a view
        rows, columns = patches.shape[1:3]
        every = max(1, rows * columns * n_maps // _N_SAMPLES)
        index = torch.arange(every // 2, rows * columns, every)
        return patches[:, index // columns, index % columns].transpose(0, 1).flatten(1)

    def _projected(self, values: Tensor, step: int = 1) -> Tensor:
        return F.conv2d(values[None], self._kernels, -self._shift, stride=step)[0].flatten(1).T.contiguous()


def _shifted(chosen: Tensor, rows: Tensor, columns: Tensor, down: int, right: int) -> Tensor:
    """Return what is chosen so far from some cells; -1 beyond the border."""
    height, width = chosen.shape
    y, x = rows + down, columns + right
    inside = (y >= 0) & (y < height) & (x >= 0) & (x < width)
    return torch.where(inside, chosen[y.clamp(0, height - 1), x.clamp(0, width - 1)], -1)


class Collage:
    """Windows of maps that are blended where they overlap.

    Parameters
    ----------
    sources : sequence of ndarray (C, h, w)
        The maps.
    unit : int
        Values along the side of a cell of the result.
    """

    def __init__(self, sources: Sequence[np.ndarray], unit: int = 1) -> None:
        self._sources, self.unit = sources, unit

    @cached_property
    def _index(self) -> np.ndarray:
        """Number of the first value of each source, as they lie one after another."""
        sizes = [source[0].size for source in self._sources]
        return np.cumsum([0, *sizes[:-1]])

    @cached_property
    def _values(self) -> Tensor:
        return torch.from_numpy(np.concatenate([source.reshape(len(source), -1) for source in self._sources], axis=1))

    def blend(self, origins: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """Return the map (C, h * unit, w * unit) of cells that come from ``origins`` (3, h, w): source, row and column.

        Around each cell lies a window of its source, weighted by ``weights`` along each axis; where windows overlap,
        their weighted mean is taken. Beyond the border of a source its last values are repeated.
        """
        unit, side = self.unit, len(weights)
        margin = (side - unit) // 2
        _, height, width = origins.shape
        inside = np.arange(side) - margin
        shapes = np.array([source.shape[1:] for source in self._sources])
        total = np.zeros((len(self._sources[0]), height * unit + 2 * margin, width * unit + 2 * margin), np.float32)
        norm = np.zeros(total.shape[1:], np.float32)
        source = origins[0]
        limits = shapes[source] - 1
        # One value of the window at a time, so that memory does not grow with its area.
        for i in range(side):
            rows = np.clip(origins[1] + inside[i], 0, limits[..., 0])
            for j in range(side):
                columns = np.clip(origins[2] + inside[j], 0, limits[..., 1])
                index = self._index[source] + rows * shapes[source, 1] + columns
                found = self._values[:, torch.from_numpy(index.ravel())].numpy().reshape(-1, height, width)
                weight = float(weights[i] * weights[j])
                at = slice(i, i + height * unit, unit), slice(j, j + width * unit, unit)
                total[(slice(None), *at)] += weight * found
                norm[at] += weight
        cut = slice(margin, margin + height * unit), slice(margin, margin + width * unit)
        return total[(slice(None), *cut)] / norm[cut]


def smooth_window(unit: int) -> np.ndarray:
    """Return weights of a window twice as wide as a cell, which sum to 1 where windows of neighbors overlap.

    A cell of a single value has a window of one.
    """
    if unit == 1:
        return np.ones(1)
    return np.sin(np.pi * (np.arange(2 * unit) + 0.5) / (2 * unit)) ** 2
