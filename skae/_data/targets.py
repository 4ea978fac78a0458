"""The condition of a decoder: a class, real-valued targets, or none."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
from scipy.sparse import issparse

from .._utils.checks import LARGEST
from .arrays import as_array, assert_all_finite, check_array, column_or_1d, type_of_target
from .messages import reason, refuse_dates
from .validation import check_size

_N_ALTERNATIVES = 32  # targets that represent the distribution of y


def find_condition(
    conditional: Any, y: Any, classes: Any = None, sample_weight: np.ndarray | None = None
) -> Classes | Targets:
    """Return the encoder of ``y``; ``conditional`` is True, 'classes' or 'targets'."""
    if issparse(y):  # raises scikit-learn's error; `type_of_target` does not support all sparse formats
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
        raise ValueError(
            f"classes can be passed only if y has classes, but y has real-valued targets; got {classes!r}."
        )
    return Targets(y, sample_weight)


class NoCondition:
    """The condition of an estimator that is not conditional."""

    width = 0
    classes: Any = None

    def __bool__(self) -> bool:
        return False

    def learned(self, c: Any, sample_weight: np.ndarray | None, *, more: bool) -> NoCondition:
        """Return itself: there is nothing to fit."""
        return self

    def of_samples(self, y: Any, n_samples: int) -> None:
        """Raise an error for a y that would be ignored."""
        if y is not None:
            raise ValueError("y needs an estimator that was fitted with conditional=True.")


NO_CONDITION = NoCondition()


class _Condition:
    """Base class of classes and targets."""

    classes: Any = None

    def of_samples(self, y: Any, n_samples: int) -> np.ndarray:
        """Return the conditions of ``n_samples``, (n_samples, width), from one y for all or one for each."""
        y = as_array(y)
        if y is None:
            raise ValueError("This estimator is conditional: pass y, the classes or targets of the samples.")
        if self.is_single(y):
            return np.repeat(self.encode(np.asarray(y)[None]), n_samples, axis=0)
        c = self.encode(y)
        if len(c) != n_samples:
            raise ValueError(f"y must have one entry for all {n_samples} samples or one for each, got {len(c)}.")
        return c

    def is_single(self, y: Any) -> bool:
        """Return whether ``y`` is that of a single sample."""
        raise NotImplementedError

    def encode(self, y: Any) -> np.ndarray:
        """Return the conditions of ``y``, (n, width) in float32."""
        raise NotImplementedError

    def decode(self, c: np.ndarray) -> np.ndarray:
        """Return the y of conditions (n, width)."""
        raise NotImplementedError


class Classes(_Condition):
    """Classes, encoded one-hot.

    Parameters
    ----------
    y : array-like of shape (n,)
        Class labels.
    classes : array-like, default=None
        All classes, if some may not occur in ``y``.
    """

    def __init__(self, y: Any, classes: Any = None) -> None:
        self.classes = np.unique(_check_labels(y, warn=True) if classes is None else _check_labels(classes))
        if not len(self.classes):
            raise ValueError("y and classes must have at least one class, got none.")
        self.width = len(self.classes)
        self.counts = np.zeros(self.width)
        self.encode(y)

    def learned(self, c: Any, sample_weight: np.ndarray | None, *, more: bool) -> Classes:
        """Return a copy with the class counts of the conditions ``c``, added to the previous counts if ``more``."""
        counts = (c if sample_weight is None else c * sample_weight[:, None]).sum(axis=0, dtype=np.float64)
        other = copy.copy(self)
        other.counts = self.counts + counts if more else counts
        return other

    @property
    def shares(self) -> np.ndarray:
        """Class frequencies."""
        return self.counts / self.counts.sum()

    def alternatives(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the possible conditions of a sample with unknown y, (m, width), and their probabilities, (m,)."""
        seen = self.counts > 0
        return self.one_hot(np.flatnonzero(seen)), self.shares[seen]

    def is_single(self, y: Any) -> bool:
        """Return whether ``y`` is a single class rather than an array of them."""
        return np.asarray(y).ndim == 0

    def encode(self, y: Any) -> np.ndarray:
        """Encode ``y`` one-hot, (n, width) in float32."""
        y = _check_labels(y)
        index = np.searchsorted(self.classes, y).clip(max=self.width - 1)
        unknown = self.classes[index] != y
        if unknown.any():
            raise ValueError(
                f"y must contain only classes seen in fit, {self.classes.tolist()}, got {y[unknown][:1].tolist()[0]!r}."
            )
        return self.one_hot(index)

    def decode(self, c: np.ndarray) -> np.ndarray:
        """Return the classes of conditions, (n,)."""
        return self.classes[c.argmax(axis=1)]

    def one_hot(self, index: np.ndarray) -> np.ndarray:
        """Encode indices into ``classes`` one-hot, (n, width) in float32."""
        return np.eye(self.width, dtype=np.float32)[index]

    def draw(self, n: int, rng: np.random.Generator) -> np.ndarray:
        """Draw ``n`` conditions with the class frequencies of the fit."""
        return self.one_hot(rng.choice(self.width, n, p=self.shares))


class Targets(_Condition):
    """Real-valued targets, encoded as standardized values.

    Parameters
    ----------
    y : array-like of shape (n,) or (n, n_targets)
        Targets.
    sample_weight : ndarray of shape (n,), default=None
        Sample weights for the mean and the standard deviation.
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

    def learned(self, c: Any, sample_weight: np.ndarray | None, *, more: bool) -> Targets:
        """Return a copy that draws from the conditions ``c`` of the latest fit."""
        other = copy.copy(self)
        other.seen = c
        other.weight = None if sample_weight is None else sample_weight / sample_weight.sum()
        return other

    def alternatives(self) -> tuple[np.ndarray, np.ndarray]:
        """Return possible conditions of a sample with unknown y, (m, width), and their probabilities, (m,).

        They are targets of the fit at equally spaced quantiles of the first target.
        """
        order = np.argsort(self.seen[:, 0], kind="stable")
        weight = np.full(len(order), 1 / len(order)) if self.weight is None else self.weight[order]
        m = min(_N_ALTERNATIVES, len(order))
        index = np.searchsorted(weight.cumsum(), (np.arange(m) + 0.5) / m).clip(max=len(order) - 1)
        return self.seen[order[index]], np.full(m, 1 / m)

    def is_single(self, y: Any) -> bool:
        """Return whether ``y`` holds the targets of a single sample."""
        return np.asarray(y).ndim == (0 if self.width == 1 else 1)

    def encode(self, y: Any) -> np.ndarray:
        """Standardize ``y``, (n, width) in float32."""
        y = _check_targets([y] if np.asarray(y).ndim == 0 else y)
        if y.shape[1] != self.width:
            raise ValueError(f"y must have {self.width} targets for each sample, got {y.shape[1]}.")
        c = (y - self.mean) / self.spread
        if not np.abs(c).max() <= LARGEST:
            raise ValueError("y contains targets too far from those seen in fit for float32; remove the outliers.")
        return c.astype(np.float32)

    def decode(self, c: np.ndarray) -> np.ndarray:
        """Return the targets of conditions, (n, width)."""
        return self.mean + self.spread * c

    def draw(self, n: int, rng: np.random.Generator) -> np.ndarray:
        """Draw ``n`` of the conditions of the fit."""
        return self.seen[rng.choice(len(self.seen), n, p=self.weight)]


def _check_labels(y: Any, *, warn: bool = False) -> np.ndarray:
    shape = y.shape if hasattr(y, "shape") else np.asarray(y, dtype=object).shape
    if len(shape) == 2 and shape[1] > 1:
        raise ValueError(
            f"y should be a 1d array of classes, got an array of shape {tuple(shape)} instead. Pass one column, or "
            "join several into one; conditional='targets' supports several columns of real numbers."
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
            f"y must have the shape (n_samples,) or (n_samples, n_targets), got {y.shape}. Reconstruction targets are "
            "passed as X_target."
        )
    return check_size(y, "y").reshape(len(y), -1)
