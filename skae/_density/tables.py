"""Integer frequency tables of integer codes, from which an entropy coder codes and decodes them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import numpy as np

PRECISION = 14  # bits: the frequencies of a table add up to 2 ** PRECISION
LARGEST_ALPHABET = 2**12  # symbols of a table, each of which has a frequency of at least 1
_N_LENGTHS = 40  # of distances from a table's range, in binary digits


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

    def find(self, which: np.ndarray, slots: np.ndarray) -> np.ndarray:
        """Return the symbols whose ranges in the tables ``which`` hold ``slots``, from 0 to ``2 ** PRECISION - 1``."""
        entries = self.edges.searchsorted((which << PRECISION) + slots, side="right") - 1
        return entries - which * self.frequencies.shape[1]


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

    index: np.ndarray  # type: ignore[assignment]
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
    # The distance by its number of binary digits, then the digits after the first (Elias, 1975).
    beyond = np.abs(values - step.low - symbols)[at_edge] + 1
    lengths = np.frexp(beyond.astype(np.float64))[1].astype(np.int64)
    emit(_LENGTHS, np.zeros(len(beyond), np.int64), lengths - 1)
    if lengths.max() > 1:
        owner, place = _digits(lengths)
        emit(_DIGITS, np.zeros(len(owner), np.int64), (beyond[owner] >> place) & 1)


def read(step: Step, draw: Callable[[Tables, np.ndarray], np.ndarray]) -> np.ndarray:
    """Return the values of a step, given ``draw(tables, which)``, which returns symbols; the inverse of `write`."""
    symbols = draw(step.tables, step.which)
    if step.low is None or step.span is None:
        return symbols
    at_edge = (symbols == 0) | (symbols == step.span - 1)
    values = step.low + symbols
    if at_edge.any():
        lengths = draw(_LENGTHS, np.zeros(int(at_edge.sum()), np.int64)) + 1
        beyond = np.ones(len(lengths), np.int64) << (lengths - 1)
        if lengths.max() > 1:
            owner, place = _digits(lengths)
            np.add.at(beyond, owner, draw(_DIGITS, np.zeros(len(owner), np.int64)) << place)
        values[at_edge] += np.where(symbols[at_edge] == 0, 1 - beyond, beyond - 1)
    return values


def bits(step: Step, values: np.ndarray) -> np.ndarray:
    """Return the ideal length in bits of each of the ``values`` of a step, (m,)."""
    found, owner = np.zeros(len(values)), np.arange(len(values))

    def emit(tables: Tables, which: np.ndarray, symbols: np.ndarray) -> None:
        nonlocal owner
        np.add.at(found, owner, PRECISION - np.log2(tables.frequencies[which, symbols]))
        # The next ones are the lengths of the distances of those at an edge, then their digits.
        if tables is step.tables and step.span is not None:
            owner = owner[(symbols == 0) | (symbols == step.span - 1)]
        elif tables is _LENGTHS:
            owner = owner[_digits(symbols + 1)[0]]

    write(step, values, emit)
    return found


def sample_bits(steps: Iterable[Step], codes: np.ndarray) -> np.ndarray:
    """Return the ideal length in bits of each of the codes (n, n_integers, h, w) that ``steps`` are of, (n,)."""
    flat, found = codes.reshape(-1), np.zeros(len(codes))
    for step in steps:
        found += np.bincount(step.index // codes[0].size, bits(step, flat[step.index]), len(codes))
    return found


def _digits(lengths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return whose digits follow each other, and the place of each, for numbers of so many binary digits."""
    n_digits = lengths - 1
    owner = np.repeat(np.arange(len(lengths)), n_digits)
    return owner, np.arange(len(owner)) - np.repeat(np.cumsum(n_digits) - n_digits, n_digits)


def frequencies_of(probabilities: np.ndarray) -> np.ndarray:
    """Return integer frequencies (..., n_symbols) near ``probabilities``, some of which may be 0."""
    p = np.asarray(probabilities, dtype=np.float64)
    total = 1 << PRECISION
    found = np.floor(p / p.sum(-1, keepdims=True) * (total - p.shape[-1])).astype(np.int64) + 1
    rest = total - found.sum(-1, keepdims=True)
    largest = found.argmax(-1)[..., None]
    np.put_along_axis(found, largest, np.take_along_axis(found, largest, -1) + rest, -1)
    return found


# Whole numbers throughout: half of the distances are 0, a quarter has two digits, and so on.
_LENGTHS = Tables([np.array([2**13 - _N_LENGTHS + 13, *(max(1, 2**12 >> k) for k in range(_N_LENGTHS - 1))], np.int64)])
_DIGITS = Tables([np.full(2, 1 << (PRECISION - 1))])
