"""Warnings of a fit about arguments and tables that are probably not as intended."""

from __future__ import annotations

import contextlib
import math
from typing import Any

import numpy as np

from .._data.collections import one_array
from .._data.messages import in_columns
from ._warnings import warn

_DOMINANT = 0.999  # fraction of the variance in one column: all others together have 1/32 of its standard deviation
_ROUNDING = 1e-12  # relative rounding error of sums and rotations in constant columns
_MIN_ROWS, _ROWS = 50, 4096  # minimum number of rows to compare scales, and maximum number of rows used


def warn_of_target(y: Any, X: Any, given: Any, step_axis: int = 0) -> None:
    """Warn of an ignored ``y`` that was probably meant as the target of X, which is ``given`` by the user.

    ``step_axis`` is the axis of the steps of a sequence.
    """
    if y is None or y is given:  # X is its own target by default
        return
    alike = len(shapes := _shapes(y)) > 1 and shapes == _shapes(given) and shapes[0] != ()
    with contextlib.suppress(ValueError, TypeError):  # then it is not an array
        y = one_array(y, "y", step_axis=step_axis)
    shape: tuple[int, ...] = ()
    with contextlib.suppress(RuntimeError):  # a nested tensor has no shape
        shape = tuple(getattr(y, "shape", ()))
    if alike or (len(shape) > 1 and shape == tuple(X.shape)):
        warn(
            f"y has the shape of X{f', {shape},' if shape else ''} and is ignored. To use it as the target of "
            "reconstructions, such as clean samples for a noisy X, pass X_target=y.",
            UserWarning,
        )


def _shapes(A: Any) -> list[Any]:
    """Return the shapes of the items of a list, such as images of different sizes, or the shape of an array."""
    with contextlib.suppress(RuntimeError):  # a nested tensor has no shape
        if isinstance(A, list | tuple):
            return [tuple(getattr(item, "shape", ())) for item in A]
        return list(getattr(A, "shape", ()))
    return []


def warn_of_scales(X: np.ndarray, names: Any) -> None:
    """Warn of a table in which one column has nearly all of the variance; ``names`` are the names of columns.

    The variance of that column is estimated by its interquartile range, which is robust to outliers.
    """
    if len(X) < _MIN_ROWS:
        return
    rows = np.sort(X[:: math.ceil(len(X) / _ROWS)].astype(np.float64), axis=0)  # NaN comes last
    known = ~np.isnan(rows)
    n = known.sum(axis=0).clip(min=1)
    mean = np.where(known, rows, 0).sum(axis=0) / n
    variance = np.square(np.where(known, rows - mean, 0)).sum(axis=0) / n
    top, bottom = np.fmax.reduce(rows), np.fmin.reduce(rows)
    # Columns that are constant up to rounding are ignored.
    level = np.nanmax(np.abs(rows)) if known.any() else 0.0
    variance[~(top - bottom > _ROUNDING * level)] = 0
    low, high = (rows[((n - 1) * share).astype(int), range(len(n))] for share in (0.25, 0.75))
    middle = np.minimum(np.nan_to_num(high - low) ** 2, variance)
    column = int(middle.argmax())
    others = np.delete(np.maximum(middle, variance), column).sum()
    if others > 0 and middle[column] > _DOMINANT * (middle[column] + others):
        warn(
            f"More than 99.9 % of the variance of X lies in {in_columns([column], names)}: codes and reconstructions "
            "represent that column and neglect the others. Scale columns in different units first, for example with "
            "a StandardScaler in a pipeline.",
            UserWarning,
        )
