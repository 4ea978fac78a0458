"""What a decoder is told of a row beside its code: its class, or real targets."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
from scipy.sparse import issparse

from .._utils.checks import LARGEST
from .arrays import assert_all_finite, check_array, column_or_1d, type_of_target
from .messages import reason, refuse_dates
from .validation import check_size

_N_ALTERNATIVES = 32  # targets that stand for all


def find_condition(
    conditional: Any, y: Any, classes: Any = None, sample_weight: np.ndarray | None = None
) -> Classes | Targets:
    """Learn from the ``y`` of a fit what it says; ``conditional`` is True, 'classes' or 'targets'."""
    if issparse(y):  # refused in scikit-learn's words; `type_of_target` does not know all formats
        check_array(y, input_name="y")
    if conditional is True:
        values = np.asarray(y)
        if values.dtype.kind == "f":
            assert_all_finite(values, input_name="y")
        kind = "targets" if values.ndim > 2 else type_of_target(y, input_name="y", raise_unknown=True)
        conditional = "classes" if kind in ("binary", "multiclass") else "targets"
    if conditional == "classes":
        return Classes(y, classes)
    if classes is not None:
        raise ValueError(f"classes are for an estimator that is told classes, and y are real targets; got {classes!r}.")
    return Targets(y, sample_weight)


class Classes:
    """Classes, told as ones and zeros.

    Parameters
    ----------
    y : array-like of shape (n,)
    classes : array-like, default=None
        All of them, where ``y`` may lack some.
    """

    def __init__(self, y: Any, classes: Any = None) -> None:
        self.classes = np.unique(_check_labels(y, warn=True) if classes is None else _check_labels(classes))
        if not len(self.classes):
            raise ValueError("y and classes must hold at least one class, got none.")
        self.width = len(self.classes)
        self.counts = np.zeros(self.width)
        self.encode(y)

    def learned(self, c: np.ndarray, sample_weight: np.ndarray | None, *, more: bool) -> Classes:
        """The same with how often each class comes: in rows told ``c``, and in those before if there is ``more``."""
        counts = (c if sample_weight is None else c * sample_weight[:, None]).sum(axis=0, dtype=np.float64)
        other = copy.copy(self)
        other.counts = self.counts + counts if more else counts
        return other

    @property
    def shares(self) -> np.ndarray:
        """The share of the rows that each class has."""
        return self.counts / self.counts.sum()

    def alternatives(self) -> tuple[np.ndarray, np.ndarray]:
        """What a row may be told where y is not known, (m, width), and how likely that is, (m,): every class."""
        seen = self.counts > 0
        return self.one_hot(np.flatnonzero(seen)), self.shares[seen]

    def is_single(self, y: Any) -> bool:
        """Whether ``y`` is one class rather than many."""
        return np.asarray(y).ndim == 0

    def encode(self, y: Any) -> np.ndarray:
        """Ones and zeros, (n, width) in float32."""
        y = _check_labels(y)
        index = np.searchsorted(self.classes, y).clip(max=self.width - 1)
        unknown = self.classes[index] != y
        if unknown.any():
            raise ValueError(
                f"y must hold classes of fit, {self.classes.tolist()}, got {y[unknown][:1].tolist()[0]!r}."
            )
        return self.one_hot(index)

    def one_hot(self, index: np.ndarray) -> np.ndarray:
        """The same for indices into ``classes``."""
        return np.eye(self.width, dtype=np.float32)[index]

    def draw(self, n: int, rng: np.random.Generator) -> np.ndarray:
        """Conditions of ``n`` rows, in the shares of the fit."""
        return self.one_hot(rng.choice(self.width, n, p=self.shares))


class Targets:
    """Real targets, told as multiples of their standard deviation from their mean.

    Parameters
    ----------
    y : array-like of shape (n,) or (n, n_targets)
    sample_weight : ndarray of shape (n,), default=None
        Weights of the rows in both.
    """

    seen: np.ndarray
    weight: np.ndarray | None

    def __init__(self, y: Any, sample_weight: np.ndarray | None = None) -> None:
        y = _check_targets(y)
        if sample_weight is not None:
            y, sample_weight = y[sample_weight > 0], sample_weight[sample_weight > 0]
        self.width = y.shape[1]
        self.mean = np.average(y, axis=0, weights=sample_weight)
        spread = np.sqrt(np.average((y - self.mean) ** 2, axis=0, weights=sample_weight))
        self.spread = np.where((np.ptp(y, axis=0) > 0) & (spread > 0), spread, 1.0)  # squares may be 0

    def learned(self, c: np.ndarray, sample_weight: np.ndarray | None, *, more: bool) -> Targets:
        """The same with the targets of the latest rows, told ``c``, to draw from."""
        other = copy.copy(self)
        other.seen = c
        other.weight = None if sample_weight is None else sample_weight / sample_weight.sum()
        return other

    def alternatives(self) -> tuple[np.ndarray, np.ndarray]:
        """What a row may be told where y is not known, (m, width), and how likely that is, (m,).

        Targets of the fit, evenly spread over the rows in the order of the first target.
        """
        order = np.argsort(self.seen[:, 0], kind="stable")
        weight = np.full(len(order), 1 / len(order)) if self.weight is None else self.weight[order]
        m = min(_N_ALTERNATIVES, len(order))
        index = np.searchsorted(weight.cumsum(), (np.arange(m) + 0.5) / m).clip(max=len(order) - 1)
        return self.seen[order[index]], np.full(m, 1 / m)

    def is_single(self, y: Any) -> bool:
        """Whether ``y`` are the targets of one row rather than of many."""
        return np.asarray(y).ndim == (0 if self.width == 1 else 1)

    def encode(self, y: Any) -> np.ndarray:
        """Standardised targets, (n, width) in float32."""
        y = _check_targets([y] if np.asarray(y).ndim == 0 else y)
        if y.shape[1] != self.width:
            raise ValueError(f"y must have {self.width} targets for each row, got {y.shape[1]}.")
        c = (y - self.mean) / self.spread
        if not np.abs(c).max() <= LARGEST:
            raise ValueError("y holds targets too far from those of fit for float32; remove the outliers.")
        return c.astype(np.float32)

    def draw(self, n: int, rng: np.random.Generator) -> np.ndarray:
        """Conditions of ``n`` rows, among those of the fit."""
        return self.seen[rng.choice(len(self.seen), n, p=self.weight)]


def _check_labels(y: Any, *, warn: bool = False) -> np.ndarray:
    shape = y.shape if hasattr(y, "shape") else np.asarray(y, dtype=object).shape
    if len(shape) == 2 and shape[1] > 1:
        raise ValueError(
            f"y should be a 1d array of classes, got an array of shape {tuple(shape)} instead. Pass one column, or "
            "join several into one; conditional='targets' takes several columns of real numbers."
        )
    y = column_or_1d(y, warn=warn)
    if y.dtype.kind == "f":
        assert_all_finite(y, input_name="y")
    return y


def _check_targets(y: Any) -> np.ndarray:
    refuse_dates(y, "y")
    try:
        y = check_array(y, ensure_2d=False, allow_nd=True, dtype=np.float64, input_name="y")
    except (ValueError, TypeError) as error:
        better = reason(error, y, "y")
        if better is None:
            raise
        one_column = " As classes y is one column: pass one, or join several into one." * ("must hold" in better)
        raise ValueError(better + one_column) from None
    if y.ndim > 2:
        raise ValueError(
            f"y must have the shape (n_samples,) or (n_samples, n_targets), got {y.shape}. What reconstructions are "
            "to be compared with is X_target."
        )
    return check_size(y, "y").reshape(len(y), -1)
