"""Conversion of NumPy columns and Python values to plain arrays and back."""

from __future__ import annotations

import datetime
import numbers
from typing import Any

import numpy as np

Parts = tuple[np.ndarray, np.ndarray, dict[str, Any]]
# Names of the missing values of object columns.
_KINDS_OF_MISSING = {"NoneType": "none", "float": "nan", "NAType": "na", "NaTType": "nat"}


def plain_column(values: np.ndarray) -> Parts:
    """Return the values, the mask of missing values and the record of a column of an array."""
    record: dict[str, Any] = {"dtype": values.dtype.str if values.dtype.kind != "O" else "object"}
    if values.dtype.kind == "O":
        values, missing, more = object_column(values)
        return values, missing, record | more
    if values.dtype.kind == "b":
        return values, np.zeros(len(values), bool), record | {"form": "bool"}
    if values.dtype.kind in "iu":
        wide = np.uint64 if values.dtype.kind == "u" else np.int64
        return values.astype(wide), np.zeros(len(values), bool), record | {"form": "integer"}
    if values.dtype.kind == "f":
        found = values.astype(np.float64)
        return found, np.isnan(found), record | {"form": "float"}
    raise TypeError(f"dtype {values.dtype} is not supported: pass numbers, bools, strings or a DataFrame.")


def is_missing(value: Any) -> bool:
    """Return whether a value of an object column is missing: None, NaN, NaT or pandas.NA."""
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return True
    return isinstance(value, float | np.floating) and bool(np.isnan(value))


def object_column(values: np.ndarray) -> Parts:
    """Return objects as numbers or bools if all are, else as plain Python values."""
    missing = np.fromiter(map(is_missing, values), bool, len(values))
    known = values[~missing]
    marks = {_KINDS_OF_MISSING.get(type(value).__name__, "nan") for value in values[missing]}
    record: dict[str, Any] = {"missing": marks.pop() if len(marks) == 1 else "none" if not marks else "nan"}
    kinds = {type(value) for value in known}
    if kinds and all(issubclass(kind, bool | np.bool_) for kind in kinds):
        return _filled(known.astype(bool), missing), missing, record | {"form": "bool"}
    if kinds and not any(issubclass(kind, bool | np.bool_) for kind in kinds):
        if all(issubclass(kind, numbers.Integral) for kind in kinds) and _fits(known):
            return _filled(known.astype(np.int64), missing), missing, record | {"form": "integer"}
        if all(issubclass(kind, numbers.Real) for kind in kinds):
            return _filled(_floats(known), missing), missing, record | {"form": "float"}
    found = np.empty(len(values), object)
    found[~missing] = [plain_label(value) for value in known]
    return found, missing, record | {"form": "object"}


def plain_label(value: Any) -> Any:
    """Return a category as a plain value: a string, number or bool."""
    value = value.item() if isinstance(value, np.generic) else value
    if isinstance(value, str | bool | int | float):
        return str(value) if isinstance(value, str) else value
    if isinstance(value, datetime.date | datetime.timedelta):
        raise TypeError("dates as Python objects are not supported: convert them first, as by pandas.to_datetime.")
    raise TypeError(
        f"argument must be a string or a number, got {value!r} of type {type(value).__name__}: convert the column to "
        "strings or numbers, or drop it."
    )


def _floats(known: np.ndarray) -> np.ndarray:
    try:
        return known.astype(np.float64)
    except OverflowError as error:  # Python integers are unbounded
        raise ValueError("it has numbers that are too large for float64.") from error


def _fits(known: np.ndarray) -> bool:
    return all(-(2**63) <= int(value) < 2**63 for value in known)


def _filled(known: np.ndarray, missing: np.ndarray) -> np.ndarray:
    values = np.zeros(len(missing), known.dtype)
    values[~missing] = known
    return values


def as_objects(values: np.ndarray, missing: np.ndarray, mark: Any) -> np.ndarray:
    """Return an array of Python values, with ``mark`` for missing ones."""
    found = np.empty(len(values), object)
    found[:] = values.tolist()
    found[missing] = mark
    return found


def plain_frame(names: list, columns: list[Parts]) -> np.ndarray:
    """Return a two-dimensional array of columns."""
    dtype: Any = np.dtype(columns[0][2]["dtype"])
    if dtype.kind == "O":
        marks = {"none": None, "nan": np.nan, "na": None, "nat": None}
        return np.column_stack([as_objects(v, m, marks[record["missing"]])[:, None] for v, m, record in columns])
    if dtype.kind != "f" and any(missing.any() for _, missing, _ in columns):
        dtype = np.dtype(float)  # the only dtype with a missing value
    table = np.empty((len(columns[0][0]), len(columns)), dtype)
    for j, (values, missing, _) in enumerate(columns):
        table[:, j] = values
        if missing.any():
            table[missing, j] = np.nan
    return table
