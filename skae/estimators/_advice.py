"""What a fit warns of: arguments and tables that train another model than their user expects."""

from __future__ import annotations

import contextlib
import math
from typing import Any

import numpy as np

from .._data.collections import one_array
from .._data.messages import in_columns
from ._warnings import warn

_DOMINANT = 0.999  # share of the variance that one column holds: the others have 1/32 of its spread all together
_ROUNDING = 1e-12  # of the largest value, which sums and rotations leave in columns that do not vary
_MIN_ROWS, _ROWS = 50, 4096  # fewer say little of scales; more than these are not looked at


def warn_of_target(y: Any, X: Any, given: Any, step_axis: int = 0) -> None:
    """Warn of a ``y`` that is ignored, and looks like what X, ``given`` by the user, was to be compared with.

    ``step_axis`` is that of a sequence along which it runs.
    """
    if y is None or y is given:  # X against itself is what happens without it
        return
    with contextlib.suppress(ValueError, TypeError):  # it is no array then
        y = one_array(y, "y", step_axis=step_axis)
    shape: tuple[int, ...] = ()
    with contextlib.suppress(RuntimeError):  # a nested tensor has no shape
        shape = tuple(getattr(y, "shape", ()))
    if len(shape) > 1 and shape == tuple(X.shape):
        warn(
            f"y has the shape of X, {shape}, and is ignored. To compare reconstructions with it, as for noisy and "
            "clean samples, pass X_target=y.",
            UserWarning,
        )


def warn_of_scales(X: np.ndarray, names: Any) -> None:
    """Warn of a table in which one column holds all the variance, though others vary; ``names`` are its columns'.

    That column is measured by the range of its middle half, so that no outlier makes one of it.
    """
    if len(X) < _MIN_ROWS:
        return
    rows = np.sort(X[:: math.ceil(len(X) / _ROWS)].astype(np.float64), axis=0)  # NaN comes last
    known = ~np.isnan(rows)
    n = known.sum(axis=0).clip(min=1)
    mean = np.where(known, rows, 0).sum(axis=0) / n
    variance = np.square(np.where(known, rows - mean, 0)).sum(axis=0) / n
    top, bottom = np.fmax.reduce(rows), np.fmin.reduce(rows)
    # What is constant but for rounding does not vary.
    level = np.nanmax(np.abs(rows)) if known.any() else 0.0
    variance[~(top - bottom > _ROUNDING * level)] = 0
    low, high = (rows[((n - 1) * share).astype(int), range(len(n))] for share in (0.25, 0.75))
    middle = np.minimum(np.nan_to_num(high - low) ** 2, variance)
    column = int(middle.argmax())
    others = np.delete(np.maximum(middle, variance), column).sum()
    if others > 0 and middle[column] > _DOMINANT * (middle[column] + others):
        warn(
            f"More than 99.9 % of the variance of X lies in {in_columns([column], names)}: codes and reconstructions "
            "follow that column and neglect the others. Scale columns of different units first, for example with "
            "StandardScaler in a pipeline.",
            UserWarning,
        )
