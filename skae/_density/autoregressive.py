"""An autoregressive density of integer codes in raster order."""

from __future__ import annotations

import hashlib
import math
import numbers
import sys
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from .._utils.checks import check_number
from .._utils.rng import Stream, draw_seed
from .._utils.threads import threads_for
from .integer_codes import check_integer_codes, check_shape, check_weights, table_ranges
from .raster_net import RasterNet
from .raster_training import train
from .tables import PRECISION, Step, Tables, bits
from .whole_raster import WholeRaster, exponentials, frequencies, whole_weights

_FEW = 20  # with fewer codes none are held out
_MOST_HELD_OUT = 1000
_BATCHES = 1500  # of a fit by default
_FEWEST_EPOCHS, _MOST_EPOCHS = 2, 100
_DROPPED = 1 / 8  # fraction of the codes trained on without position biases
_MOST_CACHED = 2**24  # numbers; determines how many codes are processed together, so part of the format
_MOST_CACHED_OF_ONE = 2**27  # 1 GB
_RARELY = 1e-6  # added to frequencies minus 1, which may all be 0
_MOST_POSITIONS = 2**14  # positions scored at once


class Autoregressive(BaseEstimator):
    r"""Autoregressive density of integer codes, by a network in raster order.

    The probability of a code is the product of those of its integers, each given the integers before it:

    .. math:: p(c) = \prod_t p(c_t \mid c_1, \dots, c_{t-1}).

    Positions are ordered row by row, and the integers of a position by index. The probabilities are computed by a
    residual network of masked convolutions (van den Oord et al., 2016). It is trained in float32; its weights are then
    rounded to integers, so that probabilities are exact and the same on every machine, and data can be decoded on
    another machine (Ballé et al., 2019).

    It can be used as the entropy model of compression, and as a prior to generate samples. Coding and sampling take one
    step for each integer of a code, for any number of codes, so it suits many small codes better than single large
    images.

    Parameters
    ----------
    n_layers : int, default=4
        Number of residual blocks of the network; at least 0. Not used for codes with one position.
    width : int, default=64
        Number of channels of the network; at least 1.
    kernel_size : int, default=5
        Kernel size of the convolutions; odd.
    max_epochs : int or 'auto', default='auto'
        Number of epochs. 'auto' chooses 2 to 100 epochs, for about 1,500 batches in total.
    lr : float, default=1e-2
        Maximum learning rate.
    batch_size : int, default=32
        Maximum number of codes in a batch.
    validation_fraction : float, default=0.1
        Fraction of the codes, in [0, 1), and at most 1,000 codes, to hold out for the selection of the best weights.
        With fewer than 20 codes none are held out.
    position_biases : bool, default=True
        Whether the network has a bias for each position. It is not used for codes of other sizes than in `fit`. Use
        False for codes of crops, whose positions are random.
    alphabet : tuple of int or None, default=None
        Number of levels of each integer of a position, starting at 0, or None for an unbounded integer; all are
        unbounded if None. Unbounded integers have tables for the range seen in `fit`; values beyond take a few more
        bits.
    random_state : int, RandomState instance or None, default=None
        Seed of the initial weights, the validation split and the order of the codes.

    Attributes
    ----------
    alphabet_ : tuple of int or None
        Numbers of levels of the integers, as in ``alphabet``.
    n_levels_ : tuple of int
        Numbers of values in tables.
    low_ : ndarray of int64 of shape (n_integers,)
        The first value in a table.
    size_ : tuple of int
        Height and width of the codes in `fit`.
    weights_ : dict of str to ndarray of ints
        Weights of the network as integers.
    exponentials_ : ndarray of int64
        Table of the exponential function, which maps the network's output to probabilities.
    loss_curve_, validation_loss_curve_ : list of float
        Mean negative log-likelihood of a code in nats: of the training codes in each epoch, and of the held-out codes
        before the first epoch and after each. The latter is empty if no codes are held out.

    See Also
    --------
    Factorized : Independent integers, with tables of frequencies.

    References
    ----------
    A. van den Oord, N. Kalchbrenner and K. Kavukcuoglu, 2016. Pixel recurrent neural networks. ICML.

    J. Ballé, N. Johnston and D. Minnen, 2019. Integer networks for data compression with latent-variable models. ICLR.

    Examples
    --------
    Codes of one row, in which all integers are equal:

    >>> import numpy as np
    >>> codes = np.repeat(np.random.default_rng(0).integers(0, 4, (500, 1, 1, 1)), 6, axis=3)
    >>> model = Autoregressive(1, 16, max_epochs=20, lr=0.02, alphabet=(4,), random_state=0).fit(codes)
    >>> bool(model.score_samples(codes).mean() > 1.1 * -np.log(4))  # nearly log(1 / 4) = -1.39
    True
    >>> drawn = model.sample(100, random_state=0)
    >>> drawn.shape, bool((drawn == drawn[..., :1]).mean() > 0.95)
    ((100, 1, 1, 6), True)
    """

    def __init__(
        self,
        n_layers: int = 4,
        width: int = 64,
        kernel_size: int = 5,
        *,
        max_epochs: int | str = "auto",
        lr: float = 1e-2,
        batch_size: int = 32,
        validation_fraction: float = 0.1,
        position_biases: bool = True,
        alphabet: Sequence[int | None] | None = None,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.n_layers = n_layers
        self.width = width
        self.kernel_size = kernel_size
        self.max_epochs = max_epochs
        self.lr = lr
        self.batch_size = batch_size
        self.validation_fraction = validation_fraction
        self.position_biases = position_biases
        self.alphabet = alphabet
        self.random_state = random_state

    # ---------------------------------------------------------------- fitting

    def fit(self, codes: Any, sample_weight: Any = None) -> Autoregressive:
        """Fit the density.

        Parameters
        ----------
        codes : array-like of int of shape (n, n_integers, h, w)
            Integer codes, at least 2.
        sample_weight : array-like of shape (n,), default=None
            Non-negative weights of the codes; only their ratios matter.

        Returns
        -------
        self : object
            The fitted density.

        Raises
        ------
        ValueError, TypeError
            If a parameter or the codes are invalid.
        FloatingPointError
            If the loss is not finite.
        """
        self._check_params()
        codes, alphabet = check_integer_codes(codes, self.alphabet)
        weight = check_weights(sample_weight, len(codes))
        codes, weight = codes[weight > 0], weight[weight > 0]
        if len(codes) < 2:
            raise ValueError(f"codes must hold at least 2 codes of positive weight, got {len(codes)}.")
        low, span = table_ranges(codes, alphabet)
        n_levels = tuple(span.tolist())
        symbols = _symbols(codes, low, n_levels)
        seed = draw_seed(self.random_state)
        size = (codes.shape[2], codes.shape[3])
        with Stream(seed):
            net = RasterNet(
                n_levels,
                size if self.position_biases else None,
                self.n_layers if math.prod(size) > 1 else 0,
                self.width,
                self.kernel_size if math.prod(size) > 1 else 1,
            )
        held_out = self._hold_out(len(codes), seed)
        net.start_from(symbols[~held_out])
        with threads_for(sys.maxsize):
            losses, held_out_losses = train(
                net,
                symbols,
                weight / weight.mean(),
                held_out,
                n_epochs=self._n_epochs(int((~held_out).sum())),
                lr=self.lr,
                batch_size=self.batch_size,
                dropped=_DROPPED if self.position_biases else 0.0,
                seed=seed,
            )
        weights = whole_weights(net)
        WholeRaster(weights)  # raises an error for sums that might be rounded
        self.alphabet_, self.n_levels_, self.low_, self.size_ = alphabet, n_levels, low, size
        self.weights_, self.exponentials_ = weights, exponentials()
        self.loss_curve_, self.validation_loss_curve_ = losses, held_out_losses
        return self

    def _check_params(self) -> None:
        check_number("n_layers", self.n_layers, numbers.Integral, 0)
        check_number("width", self.width, numbers.Integral, 1)
        check_number("kernel_size", self.kernel_size, numbers.Integral, 1)
        if self.kernel_size % 2 == 0:
            raise ValueError(f"kernel_size must be odd, got {self.kernel_size}.")
        if self.max_epochs != "auto":
            check_number("max_epochs", self.max_epochs, numbers.Integral, 0)
        check_number("lr", self.lr, numbers.Real, 0, bounds="neither")
        check_number("batch_size", self.batch_size, numbers.Integral, 1)
        check_number("validation_fraction", self.validation_fraction, numbers.Real, 0, 1, bounds="left")

    def _hold_out(self, n: int, seed: int) -> np.ndarray:
        held_out = np.zeros(n, bool)
        if n >= _FEW and self.validation_fraction > 0:
            n_held_out = min(math.ceil(self.validation_fraction * n), _MOST_HELD_OUT, n - 1)
            held_out[np.random.default_rng(seed).permutation(n)[:n_held_out]] = True
        return held_out

    def _n_epochs(self, n: int) -> int:
        if self.max_epochs != "auto":
            return int(self.max_epochs)
        return min(max(_FEWEST_EPOCHS, round(_BATCHES / math.ceil(n / self.batch_size))), _MOST_EPOCHS)

    # ---------------------------------------------------------------- probabilities

    def score_samples(self, codes: Any) -> np.ndarray:
        """Compute the log-probabilities of codes.

        Parameters
        ----------
        codes : array-like of int of shape (n, n_integers, h, w)
            Integer codes; height and width may differ from those of `fit`.

        Returns
        -------
        scores : ndarray of shape (n,)
            Natural logarithms of the probabilities, as used in coding.

        Raises
        ------
        ValueError, TypeError
            If ``codes`` are invalid.
        """
        check_is_fitted(self)
        codes, _ = check_integer_codes(codes, self.alphabet_)
        net = WholeRaster(self.weights_)
        n, _, h, w = codes.shape
        found = np.zeros(n)
        n_together = max(1, _MOST_POSITIONS // (h * w))
        for start in range(0, n, n_together):
            part = codes[start : start + n_together]
            for k, logits in enumerate(net.all_logits(_symbols(part, self.low_, self.n_levels_))):
                values = part[:, k].ravel()
                step = self._step(k, np.arange(len(values)), logits.reshape(len(values), -1))
                found[start : start + n_together] += bits(step, values).reshape(len(part), -1).sum(1)
        return -math.log(2) * found

    def score(self, codes: Any, y: Any = None) -> float:
        """Compute the mean of `score_samples`.

        Parameters
        ----------
        codes : array-like of int of shape (n, n_integers, h, w)
            Integer codes.
        y : None
            Ignored.

        Returns
        -------
        score : float
            The mean log-probability of a code in nats; greater is better.
        """
        return float(self.score_samples(codes).mean())

    def steps(self, codes: np.ndarray, quality: float = 0) -> Iterator[Step]:
        """Yield integers and their frequency tables in the order of coding, for an entropy coder.

        Parameters
        ----------
        codes : ndarray of int64 of shape (n, n_integers, h, w)
            Integer codes. Only integers of earlier steps are read, so that a decoder can fill in the array between
            steps.
        quality : float, default=0
            Not used.

        Yields
        ------
        step : Step
            One integer of each of several codes.

        Raises
        ------
        ValueError
            If codes are so wide that rows of the network would take more than 1 GB of memory.
        """
        check_is_fitted(self)
        net = WholeRaster(self.weights_)
        n, _, h, w = codes.shape
        flat = np.arange(codes.size).reshape(codes.shape)
        n_cached = net.n_cached(w)
        if n_cached > _MOST_CACHED_OF_ONE:
            raise ValueError(
                f"codes must be narrower than {w} positions for this model, since its rows would take {8 * n_cached} "
                "bytes: cut the images into smaller ones."
            )
        together = max(1, _MOST_CACHED // n_cached)
        for start in range(0, n, together):
            part, index = codes[start : start + together], flat[start : start + together]

            def symbols(k: int, i: int, j: int, part: np.ndarray = part) -> np.ndarray:
                return (part[:, k, i, j] - self.low_[k]).clip(0, self.n_levels_[k] - 1)

            for k, i, j, logits in net.walk(symbols, len(part), (h, w)):
                yield self._step(k, index[:, k, i, j], logits)

    def _step(self, k: int, index: np.ndarray, logits: np.ndarray) -> Step:
        tables = Tables(frequencies(logits, self.exponentials_))
        which = np.arange(len(index))
        if self.alphabet_[k] is not None:
            return Step(index, tables, which)
        return Step(index, tables, which, *(np.full(len(index), v) for v in (self.low_[k], self.n_levels_[k])))

    def digest(self) -> bytes:
        """Return a digest of all parameters of the probabilities.

        Returns
        -------
        digest : bytes
            32 bytes.
        """
        check_is_fitted(self)
        found = hashlib.blake2b(digest_size=32)
        numbers_of = {**self.weights_, "low": self.low_, "exponentials": self.exponentials_}
        for name, value in sorted(numbers_of.items()):
            found.update(f"{name}{value.shape}".encode() + value.astype("<i8").tobytes())
        found.update(repr((self.alphabet_, self.n_levels_)).encode())
        return found.digest()

    # ---------------------------------------------------------------- sampling

    def sample(
        self,
        n_samples: int = 1,
        shape: tuple[int, int] | None = None,
        temperature: float = 1.0,
        random_state: int | np.random.RandomState | None = None,
    ) -> np.ndarray:
        """Draw codes.

        Parameters
        ----------
        n_samples : int, default=1
            Number of codes.
        shape : (int, int), default=None
            Height and width of the codes; those of `fit` if None.
        temperature : float, default=1.0
            Divisor of the logits; above 0. Below 1 draws are more typical and less diverse.
        random_state : int, RandomState instance or None, default=None
            Pass an int for reproducible output across calls.

        Returns
        -------
        codes : ndarray of int64 of shape (n_samples, n_integers, h, w)
            Integer codes, within the range of `fit`.

        Raises
        ------
        ValueError, TypeError
            If an argument is invalid.
        """
        check_is_fitted(self)
        check_number("n_samples", n_samples, numbers.Integral, 1)
        check_number("temperature", temperature, numbers.Real, 0, bounds="neither")
        shape = check_shape(self.size_ if shape is None else shape)
        rng = np.random.default_rng(draw_seed(random_state))
        codes = np.zeros((n_samples, len(self.alphabet_), *shape), np.int64)
        flat = codes.reshape(-1)
        for step in self.steps(codes):
            # Frequencies are at least 1 only for the coder; such symbols must not be drawn.
            shares = (step.tables.frequencies - 1 + _RARELY) / (1 << PRECISION)
            if step.low is not None:
                shares[:, [0, -1]] = 0  # values beyond the range of fit
            edges = np.cumsum(shares ** (1 / temperature), axis=1)
            symbols = (edges <= rng.random((len(edges), 1)) * edges[:, -1:]).sum(1)
            flat[step.index] = symbols if step.low is None else step.low + symbols
        return codes


def _symbols(codes: np.ndarray, low: np.ndarray, n_levels: Sequence[int]) -> np.ndarray:
    each = (slice(None), None, None)
    return (codes - low[each]).clip(0, np.array(n_levels)[each] - 1)
