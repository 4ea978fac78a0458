r"""Interleaved entropy coding by asymmetric numeral systems: integers in NumPy, the same on every machine.

A state x in [2^16, 2^32) encodes all symbols so far. A symbol with frequency f / 2^14, whose range in its table starts
at c, is added by :math:`x \to 2^{14} \lfloor x / f \rfloor + x \bmod f + c` (Duda, 2013); before, if the state would
overflow, its lower 16 bits are moved to the stream as a word. Several states, the lanes, are interleaved (Giesen,
2014), so that NumPy processes as many symbols at once. Symbols are encoded from the last to the first, and decoded from
the first to the last.

The format is frozen: a stream is the number of lanes (16 bits), their states (32 bits each) and the words (16 bits
each), all of them with the lowest byte first.

References
----------
J. Duda, 2013. Asymmetric numeral systems: entropy coding combining speed of Huffman coding with compression rate of
arithmetic coding. arXiv:1311.2540.

F. Giesen, 2014. Interleaved entropy coders. arXiv:1402.3392.
"""

from __future__ import annotations

import numpy as np

from .._density.tables import PRECISION, Tables

LARGEST_N_LANES = 1024
_LEAST = 1 << 16  # of a state
_SLOTS = (1 << PRECISION) - 1
_LANE_BYTES = 3.25  # overhead of a state: two bytes of its initial value, and its unused capacity
_LANE_SHARE = 0.003  # fraction of the stream that lanes may take
_AT_ONCE = 2**18  # symbols processed at once, with frequencies as int64


class Encoder:
    """Encoder of symbols, in the order in which a `Decoder` draws them."""

    def __init__(self) -> None:
        # As 16-bit numbers, since all symbols are kept: the last one is encoded first.
        self._frequencies: list[np.ndarray] = []
        self._starts: list[np.ndarray] = []

    def emit(self, tables: Tables, which: np.ndarray, symbols: np.ndarray) -> None:
        """Add ``symbols``, each with the table of index ``which``."""
        width = tables.frequencies.shape[1]
        if len(symbols) and not 0 <= symbols.min() <= symbols.max() < width:
            raise ValueError(f"symbols must be from 0 to {width - 1}, got {symbols.min()} to {symbols.max()}.")
        index = which * width + symbols
        frequencies = tables.frequencies.ravel()[index]
        if not frequencies.all():
            raise ValueError("symbols must be within their tables, got symbols beyond the last one.")
        self._frequencies.append(frequencies.astype(np.uint16))
        self._starts.append(tables.starts.ravel()[index].astype(np.uint16))

    def n_bits(self) -> float:
        """Return the ideal length of the stream."""
        counts = np.bincount(_joined(self._frequencies))
        used = np.flatnonzero(counts)
        return float(counts[used] @ (PRECISION - np.log2(used)))

    def finish(self, seal: int = 0, n_lanes: int | None = None) -> bytes:
        """Return the stream of all symbols; the decoder needs the same ``seal``, from 0 to 65535."""
        frequencies, starts = _joined(self._frequencies), _joined(self._starts)
        n = len(frequencies)
        if n_lanes is None:
            n_lanes = int(self.n_bits() / 8 * _LANE_SHARE / _LANE_BYTES)
        n_lanes = min(max(1, n_lanes), max(1, n), LARGEST_N_LANES)
        states = np.full(n_lanes, _LEAST + seal, np.int64)
        words: list[np.ndarray] = []
        n_at_once = n_lanes * (_AT_ONCE // n_lanes)
        for block in range((n - 1) // n_at_once * n_at_once, -1, -n_at_once) if n else ():
            f_all = frequencies[block : block + n_at_once].astype(np.int64)
            c_all = starts[block : block + n_at_once].astype(np.int64)
            limits, rest = f_all << (32 - PRECISION), (1 << PRECISION) - f_all
            for k in range((len(f_all) - 1) // n_lanes * n_lanes, -1, -n_lanes):
                row = slice(k, k + n_lanes)
                f = f_all[row]
                x = states[: len(f)]
                full = (x >= limits[row]).nonzero()[0]
                if len(full):
                    large = x.take(full)
                    words.append(large.astype(np.uint16))  # their lower 16 bits
                    x[full] = large >> 16
                x += x // f * rest[row]
                x += c_all[row]
        head = np.array([n_lanes], "<u2").tobytes() + states.astype("<u4").tobytes()
        return head + _joined(words[::-1]).astype("<u2").tobytes()


def _joined(parts: list[np.ndarray]) -> np.ndarray:
    return np.concatenate([np.zeros(0, np.uint16), *parts])


class Decoder:
    """Decoder of symbols from a stream of an `Encoder`.

    Parameters
    ----------
    data : bytes
        The stream. An invalid stream raises a ValueError, here or when symbols are drawn.
    """

    def __init__(self, data: bytes) -> None:
        n_lanes = int.from_bytes(data[:2], "little")
        start = 2 + 4 * n_lanes
        if not 1 <= n_lanes <= LARGEST_N_LANES or len(data) < start or (len(data) - start) % 2:
            raise ValueError("The coded symbols are damaged: the number of lanes does not match their length.")
        self._states = np.frombuffer(data, "<u4", n_lanes, 2).astype(np.int64)
        self._words = np.frombuffer(data, "<u2", offset=start).astype(np.int64)
        if self._states.min() < _LEAST:
            raise ValueError("The coded symbols are damaged: their initial state is invalid.")
        self._lane = self._n_read = 0

    def draw(self, tables: Tables, which: np.ndarray) -> np.ndarray:
        """Return the next symbols, each encoded with the table of index ``which``."""
        # All tables are concatenated, with an entry for each symbol.
        width, places, edges = tables.frequencies.shape[1], which << PRECISION, tables.edges
        frequencies, entries = tables.frequencies.ravel(), np.empty(len(which), np.int64)
        done = 0
        while done < len(which):
            stop = min(done + len(self._states) - self._lane, len(which))
            x = self._states[self._lane : self._lane + stop - done]
            slots = (x & _SLOTS) + places[done:stop]
            entry = edges.searchsorted(slots, "right") - 1
            x >>= PRECISION
            x *= frequencies.take(entry)
            x += slots - edges.take(entry)
            small = (x < _LEAST).nonzero()[0]
            if len(small):
                x[small] = (x.take(small) << 16) + self._next_words(len(small))
            entries[done:stop] = entry
            self._lane = (self._lane + stop - done) % len(self._states)
            done = stop
        return entries - which * width

    def _next_words(self, n: int) -> np.ndarray:
        words = self._words[self._n_read : self._n_read + n]
        if len(words) < n:
            raise ValueError("The coded symbols are damaged: they end early.")
        self._n_read += n
        return words

    def finish(self, seal: int = 0) -> None:
        """Check that everything was read, and that the state is the initial one of the encoder with ``seal``."""
        if self._n_read != len(self._words):
            raise ValueError("The coded symbols are damaged: some are left over.")
        if (self._states != _LEAST + seal).any():
            raise ValueError("The coded symbols are damaged: the decoded symbols differ from the encoded ones.")
