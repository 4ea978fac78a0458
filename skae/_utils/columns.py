"""Conversion of the user's columns to integers."""

from __future__ import annotations

import numbers
from collections.abc import Sequence
from typing import Any

import numpy as np

from .slots import did_you_mean


def list_of_groups(groups: Any, owner: str, items: str) -> list:
    """Return ``groups`` as a list; ``items`` describes its entries for the error message."""
    try:
        if isinstance(groups, str):
            raise TypeError
        return list(groups)
    except TypeError:
        raise ValueError(f"{owner}: groups must be a list of {items}, got {groups!r}.") from None


def find_columns(columns: Any, names: Sequence[str] | None, n_features: int, owner: str) -> list[int]:
    """Return the indices of ``columns``: an index, a name, a slice, a mask, or a list of indices or names.

    ``names`` are the names of the features of X, or None; messages start with ``owner``.
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
            raise ValueError(
                f"{owner} must be a mask of the {n_features} columns of X, got a mask of length {len(columns)}."
            )
        return np.flatnonzero(columns).tolist()
    return [_find_column(column, names, n_features, owner) for column in columns]


def _find_column(column: Any, names: Sequence[str] | None, n_features: int, owner: str) -> int:
    if isinstance(column, str):
        if names is None:
            raise ValueError(f"{owner} names the column {column!r}, but X has no names: pass a DataFrame, or indices.")
        found = [i for i, name in enumerate(names) if name == column]
        if not found:
            raise ValueError(
                f"{owner} names the column {column!r}, which X does not have.{did_you_mean(column, names)}"
            )
        return found[0]
    if isinstance(column, bool | np.bool_) or not isinstance(column, numbers.Integral):
        raise TypeError(f"{owner} must contain indices or names of columns, got {column!r}.")
    if not -n_features <= int(column) < n_features:
        raise ValueError(f"{owner} has the column {column}, but X has {n_features}, from 0 to {n_features - 1}.")
    return int(column) % n_features
