"""What a decoder is told of a row beside its code: its class, or real targets."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils import check_array, column_or_1d
from sklearn.utils.multiclass import type_of_target


def find_condition(conditional: Any, y: Any, estimator: str, classes: Any = None) -> Classes | Targets:
    """Learn from the ``y`` of a fit what it says; ``conditional`` is True, 'classes' or 'targets'."""
    if y is None:
        # scikit-learn's own words, which its checks look for.
        raise ValueError(f"This {estimator} estimator requires y to be passed, but the target y is None.")
    if conditional is True:
        kind = type_of_target(y, input_name="y", raise_unknown=True)
        conditional = "classes" if kind in ("binary", "multiclass") else "targets"
    return Classes(y, classes) if conditional == "classes" else Targets(y)


class Classes:
    """Classes, told as ones and zeros.

    Parameters
    ----------
    y : array-like of shape (n,)
    classes : array-like, default=None
        All of them, where ``y`` may lack some.
    """

    def __init__(self, y: Any, classes: Any = None) -> None:
        y = _check_labels(y)
        self.classes = np.unique(y if classes is None else classes)
        self.width = len(self.classes)
        counts = np.bincount(self.index(y), minlength=self.width)
        self.shares = counts / counts.sum()

    def is_single(self, y: Any) -> bool:
        """Whether ``y`` is one class rather than many."""
        return np.asarray(y).ndim == 0

    def index(self, y: np.ndarray) -> np.ndarray:
        """Where every label is in ``classes``."""
        index = np.searchsorted(self.classes, y).clip(max=self.width - 1)
        unknown = self.classes[index] != y
        if unknown.any():
            raise ValueError(f"y must hold classes of fit, {self.classes.tolist()}, got {y[unknown][0]!r}.")
        return index

    def encode(self, y: Any) -> np.ndarray:
        """Ones and zeros, (n, width) in float32."""
        return self.one_hot(self.index(_check_labels(y)))

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
    """

    def __init__(self, y: Any) -> None:
        y = _check_targets(y)
        self.width = y.shape[1]
        self.mean = y.mean(axis=0)
        self.spread = np.where(np.ptp(y, axis=0) > 0, y.std(axis=0), 1.0)  # rounding gives a constant a tiny deviation
        self.seen = ((y - self.mean) / self.spread).astype(np.float32)

    def is_single(self, y: Any) -> bool:
        """Whether ``y`` are the targets of one row rather than of many."""
        return np.asarray(y).ndim == (0 if self.width == 1 else 1)

    def encode(self, y: Any) -> np.ndarray:
        """Standardised targets, (n, width) in float32."""
        y = _check_targets(y)
        if y.shape[1] != self.width:
            raise ValueError(f"y must have {self.width} targets for each row, got {y.shape[1]}.")
        return ((y - self.mean) / self.spread).astype(np.float32)

    def draw(self, n: int, rng: np.random.Generator) -> np.ndarray:
        """Conditions of ``n`` rows, among those of the fit."""
        return self.seen[rng.integers(len(self.seen), size=n)]


def _check_labels(y: Any) -> np.ndarray:
    y = column_or_1d(y, warn=True)
    if y.dtype.kind == "f" and not np.isfinite(y).all():
        raise ValueError("Input y contains NaN or infinity.")
    return y


def _check_targets(y: Any) -> np.ndarray:
    y = check_array(y, ensure_2d=False, dtype=np.float64, input_name="y")
    if y.ndim > 2:
        raise ValueError(f"y must have the shape (n_samples,) or (n_samples, n_targets), got {y.shape}.")
    return y.reshape(len(y), -1)
