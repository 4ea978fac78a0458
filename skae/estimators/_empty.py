"""Features without observed values in `fit`, and the warning about them."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from .._data.arrays import is_float
from .._data.chunked import slices
from .._data.sparse import SparseRows
from ._fit_data import FitData
from ._warnings import warn

_MOST_NAMES = 10  # maximum number of names in a message


def find_empty_features(data: FitData, *, by_channel: bool) -> tuple[int, ...]:
    """Return flat indices of features without observed values, and warn of them; ``by_channel`` for sequences.

    Such features cannot be learned and are reconstructed as 0, as in scikit-learn's imputers with
    ``keep_empty_features=True``.
    """
    empty = _is_empty(data.X, data.sample_weight, by_channel)
    if data.X_target is not None and empty.any():
        empty &= _is_empty(data.X_target, data.sample_weight, by_channel)
    if empty.any():
        warn(
            f"X has no observed values for {_described(data, empty, by_channel)}. They are reconstructed as 0, and "
            "their values after fit are ignored. Drop them, or fit on samples in which they are observed.",
            UserWarning,
        )
    return tuple(np.flatnonzero(empty).tolist())


def check_still_empty(data: FitData, empty: Any, *, by_channel: bool) -> tuple[int, ...]:
    """Return flat indices of the features marked by ``empty`` in continued training; warn if they now have values."""
    if empty is None:
        return ()
    marked = empty.cpu().numpy()
    known = marked & ~_is_empty(data.X, data.sample_weight, by_channel)
    if known.any():
        warn(
            f"X has observed values for {_described(data, known, by_channel)}, which had none in the first fit. They "
            "are ignored: fit again with warm_start=False to learn them.",
            UserWarning,
        )
    return tuple(np.flatnonzero(marked).tolist())


def _is_empty(X: Any, sample_weight: np.ndarray | None, by_channel: bool) -> np.ndarray:
    """Return whether each feature is NaN in all samples of positive weight."""
    axes = (0, 1) if by_channel else (0,)
    if isinstance(X, SparseRows) and not np.isnan(X.matrix.data).any():  # without conversion to dense rows
        return np.zeros(X.shape[len(axes) :], bool)
    empty = np.ones(X.shape[len(axes) :], bool) & is_float(X)
    for s in slices(X):
        if not empty.any():  # usually after the first slice
            break
        rows = X[s] if sample_weight is None else X[s][sample_weight[s] > 0]
        empty &= np.isnan(rows).all(axis=axes)
    return empty


def _described(data: FitData, features: np.ndarray, by_channel: bool) -> str:
    """Return the description of ``features`` for a message, a mask in the shape of the network's input."""
    if by_channel:
        return f"the channels {_listed(np.flatnonzero(features).tolist())}"
    found = np.asarray(data.layout.restore(torch.from_numpy(features[None]))[0])  # in the layout of X
    if found.ndim > 1:
        first = np.argwhere(found)[0].tolist()
        return f"{found.sum()} of the {found.size} values of a sample, the first at {first}"
    return f"the features {named_features(data.feature_names, np.flatnonzero(found))}"


def named_features(names: np.ndarray | None, indices: Any) -> str:
    """List the features at ``indices`` for a message, by their ``names`` or, without names, by index."""
    return _listed((indices if names is None else names[indices]).tolist())


def _listed(names: list) -> str:
    more = len(names) - _MOST_NAMES
    return f"{names[:_MOST_NAMES]}{f' and {more} more' if more > 0 else ''}"
