"""Columns as users name them, as integers."""

from __future__ import annotations

import numbers
from collections.abc import Sequence
from typing import Any

import numpy as np

from .slots import did_you_mean


def find_columns(columns: Any, names: Sequence[str] | None, n_features: int, owner: str) -> list[int]:
    """Return the numbers of ``columns``: a number, a name, a slice, a mask, or a list of numbers or names.

    ``names`` are those of the features of X, None where it has none; ``owner`` begins the messages.
    """
    if isinstance(columns, str | numbers.Integral):
        columns = [columns]
    try:
        if isinstance(columns, slice):
            return list(range(n_features)[columns])
        columns = list(columns)
    except TypeError:
        raise TypeError(f"{owner} must be a column, a slice or a list of columns, got {columns!r}.") from None
    if columns and all(isinstance(column, bool | np.bool_) for column in columns):
        if len(columns) != n_features:
            raise ValueError(f"{owner} must be a mask of X's {n_features} columns, got one of {len(columns)}.")
        return np.flatnonzero(columns).tolist()
    return [_find_column(column, names, n_features, owner) for column in columns]


def _find_column(column: Any, names: Sequence[str] | None, n_features: int, owner: str) -> int:
    if isinstance(column, str):
        if names is None:
            raise ValueError(f"{owner} names the column {column!r}, but X has no names: pass a DataFrame, or numbers.")
        found = [i for i, name in enumerate(names) if name == column]
        if not found:
            raise ValueError(f"{owner} names the column {column!r}, which X has not.{did_you_mean(column, names)}")
        return found[0]
    if isinstance(column, bool | np.bool_) or not isinstance(column, numbers.Integral):
        raise TypeError(f"{owner} must hold numbers or names of columns, got {column!r}.")
    if not -n_features <= column < n_features:
        raise ValueError(f"{owner} holds the column {column}, but X has {n_features}, from 0 to {n_features - 1}.")
    return int(column) % n_features
