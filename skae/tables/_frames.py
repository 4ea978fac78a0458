"""Conversion of pandas, polars and NumPy columns to plain arrays and back.

A column is read as one of five forms: ``float`` (float64), ``integer`` (int64, or uint64), ``bool``, ``date`` (int64
ticks of a unit) and ``object``. Its original dtype is kept as a record of plain values, for files.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .._data.arrays import as_array, check_array
from ._pandas import pandas_column, pandas_dates, pandas_frame
from ._plain import object_column, plain_column, plain_frame
from ._polars import polars_column, polars_dates, polars_frame


@dataclass
class Column:
    """A column as plain arrays.

    Parameters
    ----------
    name : str or int
        Its name, or its index if there are no names.
    values : ndarray of shape (n,)
        The values in one of the forms; arbitrary where they are missing.
    missing : ndarray of bool, of shape (n,)
        Mask of missing values.
    record : dict
        Plain values that define the decoded column: ``form``, ``dtype``, ``missing`` and others.
    """

    name: Any
    values: np.ndarray
    missing: np.ndarray
    record: dict[str, Any] = field(default_factory=dict)


def library_of(X: Any) -> str:
    """Return 'pandas' or 'polars' for a DataFrame, else 'numpy'."""
    for name in ("pandas", "polars"):
        module = sys.modules.get(name)
        if module is not None and isinstance(X, module.DataFrame):
            return name
    return "numpy"


def read_table(X: Any) -> Any:
    """Return a DataFrame unchanged, and anything else as a two-dimensional array of numbers or objects."""
    if library_of(X) != "numpy":
        check_names(list(X.columns))
        if len(X) == 0 or X.shape[1] == 0:
            raise ValueError(f"Found a DataFrame with {len(X)} sample(s) and {X.shape[1]} feature(s); 1 is required.")
        return X
    if hasattr(X, "collect_schema"):
        raise TypeError("X is a polars LazyFrame: call X.collect() first.")
    X = as_array(X)
    if getattr(np.asarray(X) if isinstance(X, list | tuple) else X, "dtype", np.dtype(float)).kind in "OUS":
        return check_array(np.asarray(X).astype(object), dtype=None, ensure_all_finite=False, input_name="X")
    return check_array(X, ensure_all_finite="allow-nan", input_name="X")


def check_names(names: list) -> None:
    """Check that the names of columns are strings or integers, and unique."""
    for name in names:
        if not isinstance(name, str | int | np.integer) or isinstance(name, bool):
            raise TypeError(f"Names of columns must be strings or integers, got {name!r}: rename them.")
    twice = sorted({str(name) for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"Names of columns must be unique, got several columns {twice[0]!r}.")


def names_of(X: Any) -> list[Hashable]:
    """Return the names of the columns, as plain values; indices for an array."""
    if library_of(X) == "numpy":
        return list(range(X.shape[1]))
    return [int(name) if isinstance(name, np.integer) else name for name in X.columns]


_READERS: dict[str, Callable] = {"pandas": pandas_column, "polars": polars_column, "numpy": plain_column}


def read_columns(X: Any) -> list[Column]:
    """Return the columns of the output of `read_table`."""
    library = library_of(X)
    get = {"pandas": lambda i: X.iloc[:, i], "polars": lambda i: X.to_series(i), "numpy": lambda i: X[:, i]}[library]
    columns = []
    for i, name in enumerate(names_of(X)):
        try:
            columns.append(Column(name, *_READERS[library](get(i))))
        except (TypeError, ValueError) as error:
            raise type(error)(f"Column {name!r}: {error}") from error
    return columns


def read_values(name: Any, values: list, library: str, record: dict[str, Any]) -> Column:
    """Return single values passed by the user as a column like that of ``record``."""
    if record["form"] != "date":
        return Column(name, *object_column(np.fromiter(values, object, len(values))))
    series = {"pandas": pandas_dates, "polars": polars_dates}[library](values, record)
    return Column(name, *_READERS[library](series))


def write_table(columns: list[Column], library: str) -> Any:
    """Return the DataFrame or array of ``columns``."""
    write = {"pandas": pandas_frame, "polars": polars_frame, "numpy": plain_frame}[library]
    return write([column.name for column in columns], [(c.values, c.missing, c.record) for c in columns])
