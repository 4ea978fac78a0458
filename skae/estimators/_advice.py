"""What a fit warns of: arguments and tables that train another model than their user expects."""

from __future__ import annotations

import contextlib
import math
from typing import Any

import numpy as np

from .._inputs import one_array
from .._reasons import in_columns
from ._warnings import warn

_DOMINANT = 0.999  # share of the variance that one column holds: the others have 1/32 of its spread all together
_ROWS = 4096  # that are looked at


def warn_of_target(y: Any, X: Any, given: Any) -> None:
    """Warn of a ``y`` that is ignored, and looks like what X, ``given`` by the user, was to be compared with."""
    if y is None or y is given:  # X against itself is what happens without it
        return
    with contextlib.suppress(ValueError, TypeError):  # it is no array then
        y = one_array(y, "y", step_axis=0)
    shape = tuple(getattr(y, "shape", ()))
    if len(shape) > 1 and shape == tuple(X.shape):
        warn(
            f"y has the shape of X, {shape}, and is ignored. To compare reconstructions with it, as for noisy and "
            "clean samples, pass X_target=y.",
            UserWarning,
        )


def warn_of_scales(X: np.ndarray, names: Any) -> None:
    """Warn of a table in which one column holds all the variance, though others vary; ``names`` are its columns'."""
    rows = X[:: math.ceil(len(X) / _ROWS)].astype(np.float64)
    known = ~np.isnan(rows)
    mean = np.where(known, rows, 0).sum(axis=0) / known.sum(axis=0).clip(min=1)
    variance = np.square(np.where(known, rows - mean, 0)).mean(axis=0)
    variance[~(np.fmax.reduce(rows) > np.fmin.reduce(rows))] = 0  # means of equal values need not equal them
    column, total = int(variance.argmax()), variance.sum()
    if (variance > 0).sum() > 1 and variance[column] > _DOMINANT * total:
        warn(
            f"More than 99.9 % of the variance of X lies in {in_columns([column], names)}: codes and reconstructions "
            "follow that column and neglect the others. Scale columns of different units first, for example with "
            "StandardScaler in a pipeline, and look for outliers.",
            UserWarning,
        )
