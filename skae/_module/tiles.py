"""Tiles of large images, which overlap by the receptive field, so that the result is that of the entire image."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from .._utils.memory import working_memory

_AT_ONCE = 3  # the input, the output and the activation of the widest layer


class Tile(NamedTuple):
    """A tile: the outer part of an image to read, and the inner part to keep; ranges of rows and columns."""

    outer: tuple[slice, slice]
    inner: tuple[slice, slice]

    @property
    def shape(self) -> tuple[int, ...]:
        """Height and width of the outer part."""
        return tuple(part.stop - part.start for part in self.outer)

    @property
    def within(self) -> tuple[slice, slice]:
        """The inner part, relative to the outer one."""
        return tuple(  # type: ignore[return-value]
            slice(inner.start - outer.start, inner.stop - outer.start)
            for outer, inner in zip(self.outer, self.inner, strict=True)
        )

    def enlarged(self, factor: int) -> Tile:
        """The same tile of an image that is ``factor`` times higher and wider."""

        def scaled(part: slice) -> slice:
            return slice(factor * part.start, factor * part.stop)

        return Tile(*(tuple(map(scaled, parts)) for parts in self))  # type: ignore[arg-type]

    def coarse(self, stride: int) -> Tile:
        """The same tile of a code with one position for ``stride`` pixels along each side."""

        def scaled(part: slice) -> slice:
            return slice(part.start // stride, -(-part.stop // stride))

        return Tile(*(tuple(map(scaled, parts)) for parts in self))  # type: ignore[arg-type]


def tile_side(n_values_per_pixel: float, stride: int, halo: int) -> int:
    """Return the side of a tile with its halo, which uses a quarter of the working memory.

    It is at least several times the halo, or most of the computation would be discarded.
    """
    side = math.isqrt(int(working_memory(1 / 4) / (4 * _AT_ONCE * max(1.0, n_values_per_pixel))))
    return max(side, 4 * halo, 64) // stride * stride


def tiles(size: Sequence[int], side: int, stride: int, halo: int) -> Iterator[Tile]:
    """Yield tiles of an image, with inner parts of ``side`` minus two halos that start at multiples of ``stride``."""
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
