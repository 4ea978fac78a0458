"""Large images in tiles that overlap by as much as an output value sees, so that the result is that of the whole."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from .._utils.memory import working_memory

_AT_ONCE = 3  # the input, the output and the activation of the widest layer


class Tile(NamedTuple):
    """A part of an image: what is read, and what is kept of the result; ranges of rows and of columns."""

    outer: tuple[slice, slice]
    inner: tuple[slice, slice]

    @property
    def shape(self) -> tuple[int, ...]:
        """Height and width of the outer part."""
        return tuple(part.stop - part.start for part in self.outer)

    @property
    def within(self) -> tuple[slice, slice]:
        """The inner part as a part of the outer one."""
        return tuple(  # type: ignore[return-value]
            slice(inner.start - outer.start, inner.stop - outer.start)
            for outer, inner in zip(self.outer, self.inner, strict=True)
        )

    def enlarged(self, factor: int) -> Tile:
        """The same part of an image that is ``factor`` times higher and wider."""

        def scaled(part: slice) -> slice:
            return slice(factor * part.start, factor * part.stop)

        return Tile(*(tuple(map(scaled, parts)) for parts in self))  # type: ignore[arg-type]

    def coarse(self, stride: int) -> Tile:
        """The same part of a code that has a position for every ``stride`` pixels along a side."""

        def scaled(part: slice) -> slice:
            return slice(part.start // stride, -(-part.stop // stride))

        return Tile(*(tuple(map(scaled, parts)) for parts in self))  # type: ignore[arg-type]


def tile_side(n_values_per_pixel: float, stride: int, halo: int) -> int:
    """Return the side of a tile with its halo: a quarter of the working memory holds what is computed of it.

    It is several times the halo in any case, or most of the work would be done for what is not kept.
    """
    side = math.isqrt(int(working_memory(1 / 4) / (4 * _AT_ONCE * max(1.0, n_values_per_pixel))))
    return max(side, 4 * halo, 64) // stride * stride


def tiles(size: Sequence[int], side: int, stride: int, halo: int) -> Iterator[Tile]:
    """Yield tiles that cover an image: of ``side``, less two halos, a multiple of ``stride`` where they begin."""
    halo = -(-halo // stride) * stride
    step = max(stride, (side - 2 * halo) // stride * stride)
    for top in range(0, size[0], step):
        for left in range(0, size[1], step):
            inner, outer = [], []
            for start, end in ((top, size[0]), (left, size[1])):
                stop = min(start + step, end)
                inner.append(slice(start, stop))
                outer.append(slice(max(0, start - halo), min(stop + halo, end)))
            yield Tile(tuple(outer), tuple(inner))  # type: ignore[arg-type]
