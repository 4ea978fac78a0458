"""Square blocks of maps, and how far each is from the cells that are known of another."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import fft


class Blocks:
    """All blocks of some maps.

    Squared distances over the known cells alone are correlations, computed by the fast Fourier transform: for all
    blocks of a map at once, and without a copy of any.

    Parameters
    ----------
    sources : sequence of ndarray (C, h, w)
        The maps, float32, of at least ``side`` cells along each axis.
    side : int
        Side of a block, in cells.
    """

    def __init__(self, sources: Sequence[np.ndarray], side: int) -> None:
        self.side = side
        self._sources = [np.ascontiguousarray(np.moveaxis(source, 0, -1)) for source in sources]
        self._sizes = [tuple(fft.next_fast_len(n, real=True) for n in source.shape[1:]) for source in sources]
        self._spectra = [
            fft.rfft2(np.concatenate([source, np.square(source).sum(0, keepdims=True)]), size)
            for source, size in zip(sources, self._sizes, strict=True)
        ]
        grids = [(source.shape[1] - side + 1, source.shape[2] - side + 1) for source in sources]
        #: int (n, 3): the source, the row and the column of each block
        self.places = np.concatenate(
            [np.insert(np.indices(grid).reshape(2, -1).T, 0, i, axis=1) for i, grid in enumerate(grids)]
        )
        stops = np.cumsum([rows * columns for rows, columns in grids])
        self._slices = [slice(stop - rows * columns, stop) for stop, (rows, columns) in zip(stops, grids, strict=True)]
        self._grids = grids

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, index: int) -> np.ndarray:
        """Return block number ``index``, (side, side, C)."""
        source, row, column = self.places[index]
        return self._sources[source][row : row + self.side, column : column + self.side]

    def distances(self, block: np.ndarray, known: np.ndarray, among: Sequence[int] | np.ndarray) -> np.ndarray:
        """Return the mean squared distance (n,) of all blocks to ``block`` (side, side, C) over its ``known`` cells.

        ``known`` (side, side) holds a weight for each cell. Of maps that are not ``among`` those of interest the
        distance is infinite.
        """
        found = np.full(len(self), np.inf, np.float32)
        weighted = block * known[..., None]
        query = np.concatenate([-2 * np.moveaxis(weighted, -1, 0), known[None]]).astype(np.float32)
        constant = float((weighted * block).sum(dtype=np.float64))
        spectra = {size: fft.rfft2(query, size).conj() for size in {self._sizes[i] for i in among}}
        for i in among:
            size, (rows, columns) = self._sizes[i], self._grids[i]
            correlation = fft.irfft2((self._spectra[i] * spectra[size]).sum(0), size)
            found[self._slices[i]] = correlation[:rows, :columns].ravel() + constant
        # Round-off may leave a distance of 0 below it.
        return np.maximum(found, 0) / max(float(known.sum()), 1e-12)
