"""What is kept of a style: its picture, the code maps of its shifts, and their patches."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from .._patches.moments import Moments, moments
from .._patches.search import Patches
from ._codes import RIM, CodeMaps

_MANY = 10_000  # cells of a style; of one with more a single shift, diagonal, offers patches enough


class Match(NamedTuple):
    """The patches of a style that are nearest to those of a code map."""

    patches: Patches
    query: Tensor  #: (n, n_axes)
    nearest: Tensor  #: int (n, 1)
    costs: np.ndarray  #: their squared distance around each cell (h, w), in units of the variance of a patch

    def coherent(self, size: tuple[int, ...]) -> np.ndarray:
        """Return where the cells of a swap come from, (3, h, w)."""
        return self.patches.origins(self.patches.coherent(self.query, self.nearest, self.patches.grid(size)), size)


class StyleCodes:
    """A style: its picture (channels, height, width), code maps of its shifts, and their moments."""

    def __init__(self, maps: CodeMaps, image: np.ndarray) -> None:
        self.image = image
        self.colors: Moments = moments(image)
        self.sources: list[np.ndarray] = []
        offsets = []
        shifts = (0, maps.stride // 2) if maps.stride > 1 else (0,)
        n_cells = image[0].size / maps.stride**2
        for row in shifts:
            for column in shifts:
                if row != column and n_cells > _MANY:
                    continue
                codes = maps.encode(maps.layout.restore(image[None, :, row:, column:])[0])
                if not row and not column:  # in full, so that a style in its own style is itself
                    self.moments = moments(codes)
                    rim = 0
                elif min(codes.shape[1:]) > 8 * RIM:
                    rim = RIM
                    codes = codes[:, rim:-rim, rim:-rim]
                else:
                    continue
                self.sources.append(np.ascontiguousarray(codes))
                offsets.append((row + rim * maps.stride, column + rim * maps.stride))
        self.offsets = np.array(offsets)  #: row and column, in pixels, of the first cell of each source
        self._patches: dict[int, Patches] = {}

    def patches(self, side: int) -> Patches:
        """Return the patches of its code maps, of a side in cells."""
        if side not in self._patches:
            self._patches[side] = Patches(self.sources, side)
        return self._patches[side]


def resampled(image: np.ndarray, scale: float) -> np.ndarray:
    """Return an image (channels, height, width) that is larger by a factor."""
    if scale == 1:
        return image
    size = [max(1, round(side * scale)) for side in image.shape[1:]]
    found = F.interpolate(torch.from_numpy(image)[None], size, mode="bilinear", antialias=True, align_corners=False)
    return found[0].numpy()
