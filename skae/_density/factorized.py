"""An entropy model with independent integers: tables of frequencies."""

from __future__ import annotations

import hashlib
import math
import numbers
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from scipy.special import gammaln
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from .._utils.checks import check_choice, check_number
from .._utils.rng import check_seed
from .integer_codes import check_integer_codes, check_shape, check_weights, table_ranges
from .tables import PRECISION, Step, Tables, frequencies_of, read, sample_bits

_MOST_POSITIONS = 2**12  # maximum number of positions with separate tables
_MOST_FREQUENCIES = 2**20  # in all tables of positions: 2 MB of a file
_PSEUDO_COUNT = 0.5  # of each value (Krichevsky and Trofimov, 1981)
# How many samples the distribution of an integer at all positions is worth, beside the counts at one of them.
_STRENGTHS = tuple(2.0**k for k in range(13))


class Factorized(BaseEstimator):
    """Density of integer codes with independent integers: tables of frequencies.

    The values in `fit` are counted for each integer, over all positions, or, if all codes have the same size,
    separately for each position if this describes the codes in fewer bits, including the cost of the tables. Tables of
    positions have a Dirichlet prior, which is the table of all positions with a strength that maximizes the probability
    of the codes. All values have a positive probability, also those of unbounded integers.

    Parameters
    ----------
    alphabet : sequence of int or None, default=None
        Number of levels of each integer of a position, or None for an unbounded integer; all are unbounded if None.
    by_position : bool or 'auto', default='auto'
        Whether to use separate tables for each position, which are ignored for codes of another size; 'auto' selects by
        the number of bits.

    Attributes
    ----------
    alphabet_ : tuple
        Number of levels of each integer, or None.
    tables_ : ndarray of shape (n_tables, n_symbols) and dtype uint16
        Frequencies with the sum 2 ** 14, of each integer, followed by those of each integer at each position, if
        positions have separate tables.
    low_, span_ : ndarray of shape (n_tables,) and dtype int64
        The value of symbol 0 of each table, and the number of its symbols.
    shape_ : tuple of int
        Height and width of codes with separate tables for positions; () without such tables.

    See Also
    --------
    skae.coding.compress : Compression with the entropy model of an estimator.

    References
    ----------
    R. E. Krichevsky and V. K. Trofimov, 1981. The performance of universal encoding. IEEE Transactions on Information
    Theory 27.

    Examples
    --------
    >>> import numpy as np
    >>> codes = np.array([0, 0, 0, 1]).reshape(4, 1, 1, 1)
    >>> model = Factorized(alphabet=(2,)).fit(codes)
    >>> np.exp(model.score_samples(codes)).round(2)
    array([0.7, 0.7, 0.7, 0.3])
    """

    def __init__(self, alphabet: Sequence[int | None] | None = None, by_position: bool | str = "auto") -> None:
        self.alphabet = alphabet
        self.by_position = by_position

    def fit(self, codes: Any, sample_weight: Any = None) -> Factorized:
        """Fit the tables to codes.

        Parameters
        ----------
        codes : ndarray of shape (n, n_integers, h, w) and dtype int
            Codes.
        sample_weight : array-like of shape (n,), default=None
            Non-negative weights, not all 0, which are divided by their mean.

        Returns
        -------
        self : object
            The fitted model.

        Raises
        ------
        ValueError, TypeError
            If codes are not integers of the alphabet, or if weights or parameters are invalid.
        """
        check_choice("by_position", self.by_position, ("auto", True, False))
        codes, alphabet = check_integer_codes(codes, self.alphabet)
        weight = check_weights(sample_weight, len(codes))
        if not weight.any():
            raise ValueError("sample_weight must not be 0 for all codes.")
        weight = weight / weight.mean()
        spread = _Spread.of(codes, alphabet)
        width, shape = int(spread.span.max()), codes.shape[2:]
        counts = np.stack([np.bincount(rows, weights, width) for rows, weights in _by_integer(codes, spread, weight)])
        allowed = np.arange(width) < spread.span[:, None]
        shares = (counts + _PSEUDO_COUNT) * allowed
        shares /= shares.sum(1, keepdims=True)
        tables, low, span = [_frequencies(shares, spread.span)], [spread.low], [spread.span]
        own = None
        if self.by_position is not False and math.prod(shape) > 1:
            own = _shares_by_position(codes, spread, weight, shares, forced=self.by_position is True)
        if own is not None:
            repeated = np.repeat(spread.span, math.prod(shape))
            tables.append(_frequencies(own, repeated))
            low.append(np.repeat(spread.low, math.prod(shape)))
            span.append(repeated)
        self.alphabet_ = alphabet
        self.tables_ = np.concatenate(tables).astype(np.uint16)
        self.low_, self.span_ = np.concatenate(low), np.concatenate(span)
        self.shape_ = () if own is None else tuple(int(side) for side in shape)
        return self

    def steps(self, codes: np.ndarray, quality: float = 0.0) -> Iterator[Step]:
        """Yield the tables of all integers of codes.

        Parameters
        ----------
        codes : ndarray of shape (n, n_integers, h, w)
            Codes; only the shape is used.
        quality : float, default=0.0
            Ignored.

        Yields
        ------
        step : Step
            The bounded integers, followed by the unbounded ones.
        """
        check_is_fitted(self)
        n_integers = len(self.alphabet_)
        index = np.arange(codes.size).reshape(codes.shape)
        which = np.arange(n_integers)[:, None, None]
        if codes.shape[2:] == self.shape_:
            which = n_integers + np.arange(n_integers * math.prod(self.shape_)).reshape(n_integers, *self.shape_)
        which = np.broadcast_to(which, codes.shape)
        tables = Tables(self.tables_.astype(np.int64))
        free = np.array([n_levels is None for n_levels in self.alphabet_])
        if not free.all():
            yield Step(index[:, ~free].ravel(), tables, which[:, ~free].ravel())
        if free.any():
            of_free = which[:, free].ravel()
            yield Step(index[:, free].ravel(), tables, of_free, self.low_[of_free], self.span_[of_free])

    def score_samples(self, codes: Any) -> np.ndarray:
        """Compute the log-probability of each code.

        Parameters
        ----------
        codes : ndarray of shape (n, n_integers, h, w) and dtype int
            Codes, of any height and width.

        Returns
        -------
        scores : ndarray of shape (n,)
            Log-probabilities in nats; minus these, divided by log 2, is the number of bits.

        Raises
        ------
        ValueError, TypeError
            If codes are not integers of the alphabet.
        """
        check_is_fitted(self)
        codes, _ = check_integer_codes(codes, self.alphabet_)
        return -math.log(2) * sample_bits(self.steps(codes), codes)

    def sample(
        self,
        n_samples: int = 1,
        shape: Sequence[int] | None = None,
        temperature: float = 1.0,
        random_state: int | np.random.RandomState | None = None,
    ) -> np.ndarray:
        """Draw codes.

        Parameters
        ----------
        n_samples : int, default=1
            Number of codes.
        shape : (height, width), default=None
            Height and width of the codes; by default those of `fit` with separate tables for positions, or (1, 1).
        temperature : float, default=1.0
            Probabilities are raised to the power 1 / temperature; greater than 0.
        random_state : int, RandomState instance or None, default=None
            Pass an int for reproducible output across calls.

        Returns
        -------
        codes : ndarray of shape (n_samples, n_integers, height, width) and dtype int64
            Independent draws.

        Raises
        ------
        ValueError, TypeError
            If an argument is invalid.
        """
        check_is_fitted(self)
        check_number("n_samples", n_samples, numbers.Integral, 1)
        check_number("temperature", temperature, numbers.Real, 0, bounds="neither")
        rng = check_seed(random_state)
        shape = check_shape((self.shape_ or (1, 1)) if shape is None else shape)
        codes = np.zeros((n_samples, len(self.alphabet_), *shape), np.int64)

        def draw(tables: Tables, which: np.ndarray) -> np.ndarray:
            tables = tables if temperature == 1 else _tempered(tables, temperature)
            return tables.find(which, rng.randint(1 << PRECISION, size=len(which)))

        for step in self.steps(codes):
            codes.reshape(-1)[step.index] = read(step, draw)
        return codes

    def digest(self) -> bytes:
        """Return a digest of all parameters of the probabilities.

        Returns
        -------
        digest : bytes
            32 bytes.
        """
        check_is_fitted(self)
        state = hashlib.blake2b(repr((self.alphabet_, self.shape_)).encode(), digest_size=32)
        for array, dtype in ((self.tables_, "<u2"), (self.low_, "<i8"), (self.span_, "<i8")):
            state.update(np.ascontiguousarray(array, dtype).tobytes())
        return state.digest()


def _tempered(tables: Tables, temperature: float) -> Tables:
    """Return tables of probabilities raised to the power 1 / temperature."""
    relative = tables.frequencies / tables.frequencies.max(1, keepdims=True)
    return Tables(_frequencies(relative ** (1 / temperature), np.count_nonzero(tables.frequencies, axis=1)))


class _Spread:
    """Range of the values with separate symbols: the lowest of each integer, and their number."""

    def __init__(self, low: Any, span: Any) -> None:
        self.low, self.span = np.array(low, np.int64), np.array(span, np.int64)

    @classmethod
    def of(cls, codes: np.ndarray, alphabet: Sequence[int | None]) -> _Spread:
        return cls(*table_ranges(codes, alphabet))


def _by_integer(codes: np.ndarray, spread: _Spread, weight: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield the symbols of each integer at all positions, and their weights."""
    for k, (low, span) in enumerate(zip(spread.low, spread.span, strict=True)):
        symbols = (codes[:, k] - low).clip(0, span - 1)
        yield symbols.ravel(), np.repeat(weight, symbols[0].size)


def _shares_by_position(
    codes: np.ndarray, spread: _Spread, weight: np.ndarray, shares: np.ndarray, *, forced: bool
) -> np.ndarray | None:
    """Return the distribution of each integer at each position, (n_integers * n_positions, n_symbols).

    Returns
    -------
    shares : ndarray or None
        None if one distribution for all positions gives fewer bits, unless separate tables are ``forced``, or if they
        would take too much memory.
    """
    n_positions, width = math.prod(codes.shape[2:]), shares.shape[1]
    if n_positions > _MOST_POSITIONS or len(shares) * n_positions * width > _MOST_FREQUENCIES:
        if forced:
            raise ValueError(
                f"by_position=True needs at most {_MOST_POSITIONS} positions and {_MOST_FREQUENCIES} frequencies, got "
                f"{n_positions} positions and {len(shares) * n_positions * width} frequencies: leave it at 'auto'."
            )
        return None
    counts = np.empty((len(shares), n_positions, width))
    at = np.tile(np.arange(n_positions), len(codes)) * width
    for of_one, (symbols, weights) in zip(counts, _by_integer(codes, spread, weight), strict=True):
        of_one[:] = np.bincount(at + symbols, weights, n_positions * width).reshape(n_positions, width)
    evidence = [_log_evidence(counts, strength * shares[:, None]) for strength in _STRENGTHS]
    # One distribution for all positions corresponds to a prior of infinite strength.
    common = float((counts.sum(1) * np.log(np.where(shares > 0, shares, 1))).sum())
    if max(evidence) <= common and not forced:
        return None
    found = counts + _STRENGTHS[int(np.argmax(evidence))] * shares[:, None]
    return (found / found.sum(-1, keepdims=True)).reshape(-1, width)


def _log_evidence(counts: np.ndarray, prior: np.ndarray) -> float:
    """Return the log-probability of counts (..., n_symbols) under a Dirichlet prior, which is positive."""
    prior = np.broadcast_to(prior, counts.shape)
    n, total, possible = counts.sum(-1), prior.sum(-1), prior > 0
    of_each = gammaln(np.where(possible, counts + prior, 1)) - gammaln(np.where(possible, prior, 1))
    return float(of_each.sum() + (gammaln(total) - gammaln(total + n)).sum())


def _frequencies(shares: np.ndarray, span: np.ndarray) -> np.ndarray:
    """Return integer tables of distributions, with 0 for symbols beyond the ``span`` of each."""
    found = np.zeros(shares.shape, np.int64)
    for n_symbols in np.unique(span):
        rows = span == n_symbols
        found[rows, :n_symbols] = frequencies_of(shares[rows, :n_symbols])
    return found
