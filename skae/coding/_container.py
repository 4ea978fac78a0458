"""Header and checksum of a stream: its model, its samples, and whether it is complete.

The format of version 1, frozen: the magic number (4 bytes), the version (1), the digest of the model (8), the quality
in eighths, the dtype of X (1), the kind (1), the number of samples, heights and widths for images of any size (none,
one pair for all, or one for each, depending on the kind), the coded symbols, and the CRC-32 of everything before it
(4). Numbers have seven bits per byte, lowest first; all bytes but the last have the highest bit set. The quality is 2 *
q, or -2 * q - 1 for a negative q. The initial state of the coder is the lower half of the CRC-32 of the header and of
all integers, of 32 bits each, by size in order of first occurrence.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from .._density.whole_passes import QUALITY_STEPS as QUALITY_GRID

MAGIC = b"SKAC"
VERSION = 1
DIGEST_SIZE = 8
DTYPES = ("float32", "float64", "uint8", "uint16", "uint32", "uint64")
_ARRAY, _IMAGES, _LIST, _LIST_OF_SIZES = range(4)  # kinds
_START = len(MAGIC) + 1 + DIGEST_SIZE
_LEAST = _START + 4 + 6 + 4  # bytes: of the numbers, one lane and the checksum
_LONGEST = 9  # bytes of a number, which is below 2 ** 63


class Header(NamedTuple):
    """Description of the coded samples.

    Parameters
    ----------
    digest : bytes
        Digest of the model, `DIGEST_SIZE` bytes.
    quality : float
        A multiple of 1 / `QUALITY_GRID`.
    dtype : str
        One of `DTYPES`.
    is_list : bool
        Whether samples are a list.
    n_samples : int
        Number of samples.
    sizes : sequence of (height, width)
        Size of each sample, or one for all; empty if defined by the model.
    """

    digest: bytes
    quality: float
    dtype: str
    is_list: bool
    n_samples: int
    sizes: Sequence[tuple[int, ...]]

    def pack(self) -> bytes:
        """Return the bytes before the coded symbols."""
        quality = round(self.quality * QUALITY_GRID)
        sizes = self.sizes[:1] if len(set(self.sizes)) == 1 else self.sizes
        kind = (_LIST if len(sizes) == 1 else _LIST_OF_SIZES) if self.is_list else _IMAGES if sizes else _ARRAY
        numbers = [self.n_samples, *(side for size in sizes for side in size)]
        return b"".join(
            [
                *(MAGIC, bytes([VERSION]), self.digest),
                _packed(2 * quality if quality >= 0 else -2 * quality - 1),
                bytes([DTYPES.index(self.dtype), kind]),
                *map(_packed, numbers),
            ]
        )


def seal_of(header: bytes, codes: Iterable[np.ndarray]) -> int:
    """Return the initial state of the coder: part of the CRC-32 of the header and of the coded integers.

    It takes no bytes, and detects if the decoded integers differ from the encoded ones.
    """
    found = zlib.crc32(header)
    for integers in codes:
        found = zlib.crc32(integers.astype("<i4").tobytes(), found)
    return found & 0xFFFF


def pack(header: bytes, body: bytes) -> bytes:
    """Return the stream of a packed header and coded symbols."""
    return header + body + zlib.crc32(header + body).to_bytes(4, "little")


def unpack(data: bytes, digest: bytes) -> tuple[Header, bytes, bytes]:
    """Return the header, its bytes and the coded symbols of a stream written by the model of ``digest``.

    Memory is bounded by the size of the stream.
    """
    if len(data) < _LEAST:
        raise ValueError(f"data must be the output of compress, at least {_LEAST} bytes, got {len(data)}: was it cut?")
    if data[: len(MAGIC)] != MAGIC:
        raise ValueError(f"data must begin with {MAGIC!r}, like the output of compress, got {data[: len(MAGIC)]!r}.")
    version = data[len(MAGIC)]
    if version > VERSION:
        raise ValueError(f"data has version {version} of the format, which needs a newer version of skae: upgrade it.")
    if zlib.crc32(data[:-4]) != int.from_bytes(data[-4:], "little"):
        raise ValueError("data was truncated or modified: its checksum is wrong.")
    found = data[len(MAGIC) + 1 : _START]
    if found != digest:
        raise ValueError(
            f"data was compressed by another model, {found.hex()}, than this estimator, {digest.hex()}: load the "
            "model that compressed it; another fit gives another model."
        )
    header, stop = _read_header(data[:-4])
    if version != VERSION or header.pack() != data[:stop]:
        raise ValueError("data is damaged: its header is invalid.")
    return header, data[:stop], data[stop:-4]


def _read_header(data: bytes) -> tuple[Header, int]:
    """Read the header of a stream, and return where it stops."""
    number, at = _number(data, _START)
    quality = (number // 2 if number % 2 == 0 else -(number + 1) // 2) / QUALITY_GRID
    if len(data) < at + 2 or data[at] >= len(DTYPES) or data[at + 1] > _LIST_OF_SIZES:
        raise ValueError("data is damaged: it has samples of an unknown kind.")
    dtype, kind = DTYPES[data[at]], data[at + 1]
    n, at = _number(data, at + 2)
    n_sizes = {_ARRAY: 0, _IMAGES: 1, _LIST: 1, _LIST_OF_SIZES: n}[kind]
    sides = []
    if n < 1 or 2 * n_sizes > len(data):  # each number takes at least a byte
        raise ValueError(f"data is damaged: it has {n} samples.")
    for _ in range(2 * n_sizes):
        side, at = _number(data, at)
        sides.append(side)
    if 0 in sides:
        raise ValueError("data is damaged: it has images without pixels.")
    sizes = list(zip(sides[::2], sides[1::2], strict=True))
    return Header(data[len(MAGIC) + 1 : _START], quality, dtype, kind in (_LIST, _LIST_OF_SIZES), n, sizes), at


def _packed(number: int) -> bytes:
    """Return a number in bytes of seven bits."""
    digits = [number & 127]
    while number := number >> 7:
        digits[-1] |= 128
        digits.append(number & 127)
    return bytes(digits)


def _number(data: bytes, at: int) -> tuple[int, int]:
    """Read a number that begins at byte ``at``, and return where it stops."""
    number = 0
    for k, byte in enumerate(data[at : at + _LONGEST]):
        number += (byte & 127) << (7 * k)
        if byte < 128:
            return number, at + k + 1
    raise ValueError("data is damaged: a number in it does not end.")
