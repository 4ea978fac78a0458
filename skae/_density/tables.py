"""Integer frequency tables of integer codes, from which an entropy coder codes and decodes them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

PRECISION = 14  # bits: the frequencies of a table add up to 2 ** PRECISION
LARGEST_ALPHABET = 2**12  # symbols of a table, each of which has a frequency of at least 1
_GEOMETRIC = 64  # symbols of the table for the distance of a value from its table's range; the last announces bytes
_N_BYTES = 4  # of a distance that is larger


class Tables:
    """Frequency tables, all of them integers, so that they are the same on every machine.

    Parameters
    ----------
    frequencies : sequence of ndarray of ints, or ndarray of shape (n_tables, n_symbols)
        Frequencies of the symbols 0, 1, ... of each table: at least 1, and of sum ``2 ** PRECISION``. Rows of a matrix
        may end in zeros.

    Attributes
    ----------
    starts : ndarray of int64 of shape (n_tables, n_symbols)
        Sums of the frequencies before each symbol, where its range begins.
    edges : ndarray of int64 of shape (n_tables * n_symbols,)
        Where the ranges begin if the tables, each ``2 ** PRECISION`` wide, follow one another: an increasing sequence,
        in which ``searchsorted`` finds symbols.
    """

    def __init__(self, frequencies: Sequence[np.ndarray] | np.ndarray) -> None:
        if isinstance(frequencies, np.ndarray):
            self.frequencies = frequencies.astype(np.int64, copy=False)
        else:
            width = max(len(row) for row in frequencies)
            self.frequencies = np.zeros((len(frequencies), width), np.int64)
            for row, given in zip(self.frequencies, frequencies, strict=True):
                row[: len(given)] = given
        self.starts = np.cumsum(self.frequencies, 1) - self.frequencies
        self.edges = (self.starts + (np.arange(len(self.starts)) << PRECISION)[:, None]).ravel()


class Step(NamedTuple):
    """Integers of a code that are coded together, and the tables that they are coded with.

    Parameters
    ----------
    index : ndarray of int64 of shape (m,)
        Where they are in the flattened codes (n, n_integers, h, w).
    tables : Tables
        The tables, of which each integer uses one.
    which : ndarray of int64 of shape (m,)
        The table of each.
    low, span : ndarray of int64 of shape (m,), default=None
        For integers without bounds: the value of symbol 0, and the number of symbols. Values beyond the first and last
        symbol are coded as these and their distance. Other integers are symbols themselves.
    """

    index: np.ndarray
    tables: Tables
    which: np.ndarray
    low: np.ndarray | None = None
    span: np.ndarray | None = None


def write(step: Step, values: np.ndarray, emit: Callable[[Tables, np.ndarray, np.ndarray], None]) -> None:
    """Call ``emit(tables, which, symbols)`` for the ``values`` of a step, and for the distances of those far out."""
    if step.low is None or step.span is None:
        emit(step.tables, step.which, values)
        return
    symbols = (values - step.low).clip(0, step.span - 1)
    emit(step.tables, step.which, symbols)
    at_edge = (symbols == 0) | (symbols == step.span - 1)
    if not at_edge.any():
        return
    distance = np.abs(values - step.low - symbols)[at_edge]
    emit(_DISTANCES, np.zeros(len(distance), np.int64), distance.clip(max=_GEOMETRIC - 1))
    far = distance[distance >= _GEOMETRIC - 1]
    if len(far):
        digits = (far[:, None] >> (8 * np.arange(_N_BYTES))) & 255
        emit(_BYTES, np.zeros(digits.size, np.int64), digits.ravel())


def read(step: Step, draw: Callable[[Tables, np.ndarray], np.ndarray]) -> np.ndarray:
    """Return the values of a step, given ``draw(tables, which)``, which returns symbols; the inverse of `write`."""
    symbols = draw(step.tables, step.which)
    if step.low is None or step.span is None:
        return symbols
    at_edge = (symbols == 0) | (symbols == step.span - 1)
    values = step.low + symbols
    if at_edge.any():
        distance = draw(_DISTANCES, np.zeros(int(at_edge.sum()), np.int64))
        far = distance == _GEOMETRIC - 1
        if far.any():
            digits = draw(_BYTES, np.zeros(_N_BYTES * int(far.sum()), np.int64)).reshape(-1, _N_BYTES)
            distance[far] = (digits << (8 * np.arange(_N_BYTES))).sum(1)
        values[at_edge] += np.where(symbols[at_edge] == 0, -distance, distance)
    return values


def bits(step: Step, values: np.ndarray) -> np.ndarray:
    """Return the ideal length in bits of each of the ``values`` of a step, (m,)."""
    found = np.zeros(len(values))
    at = np.arange(len(values))

    def emit(tables: Tables, which: np.ndarray, symbols: np.ndarray) -> None:
        nonlocal at
        cost = PRECISION - np.log2(tables.frequencies[which, symbols])
        if tables is _BYTES:
            cost = cost.reshape(-1, _N_BYTES).sum(1)
        np.add.at(found, at[: len(cost)], cost)
        # What follows are the distances of those at an edge, then the bytes of those far out.
        if tables is step.tables and step.span is not None:
            at = at[(symbols == 0) | (symbols == step.span - 1)]
        elif tables is _DISTANCES:
            at = at[symbols == _GEOMETRIC - 1]

    write(step, values, emit)
    return found


def frequencies_of(probabilities: np.ndarray) -> np.ndarray:
    """Return integer frequencies (..., n_symbols) near ``probabilities``, none of which need be positive."""
    p = np.asarray(probabilities, dtype=np.float64)
    total = 1 << PRECISION
    found = np.floor(p / p.sum(-1, keepdims=True) * (total - p.shape[-1])).astype(np.int64) + 1
    rest = total - found.sum(-1, keepdims=True)
    largest = found.argmax(-1)[..., None]
    np.put_along_axis(found, largest, np.take_along_axis(found, largest, -1) + rest, -1)
    return found


def _geometric() -> np.ndarray:
    """Return the frequencies of a geometric distribution, computed in whole numbers."""
    found = np.array([max(1, 6**k * 2**PRECISION * 4 // (10 * 10**k)) for k in range(_GEOMETRIC)], np.int64)
    found[0] += (1 << PRECISION) - found.sum()
    return found


_DISTANCES = Tables([_geometric()])
_BYTES = Tables([np.full(256, 1 << (PRECISION - 8))])
