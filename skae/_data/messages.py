"""Error messages for rejected arrays that name the column and the remedy."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.sparse import issparse

from .arrays import as_array

_MOST = 3  # columns listed by name


def in_columns(columns: Sequence[int] | np.ndarray, names: Any = None) -> str:
    """Format column indices: ``"column 'age'"``, ``"columns 0, 2, 3 and 5 more"``; ``names`` are all column names."""
    named = columns if names is None else [names[i] for i in columns]
    shown = [repr(str(name)) if isinstance(name, str) else str(name) for name in named[:_MOST]]
    rest = len(columns) - len(shown)
    text = ", ".join(shown[:-1] if len(shown) > 1 and not rest else shown)
    text += f" and {rest} more" if rest else f" and {shown[-1]}" if len(shown) > 1 else ""
    return f"column{'s' * (len(columns) > 1)} {text}"


def where(bad: np.ndarray, names: Any = None) -> str:
    """Format the columns of a 2-D mask ``bad`` that contain True, or the samples of a mask of other shape."""
    if bad.ndim == 2:
        return in_columns(np.flatnonzero(bad.any(axis=0)), names)
    samples = np.flatnonzero(bad.reshape(len(bad), -1).any(axis=1))
    return in_columns(samples).replace("column", "sample")


def is_frame(A: Any) -> bool:
    """Return whether ``A`` is a DataFrame; lazy frames, which would have to be computed, do not count."""
    return hasattr(A, "to_numpy") and hasattr(A, "columns")


def refuse_dates(A: Any, name: str) -> None:
    """Reject DataFrames with date columns, which NumPy may convert to numbers in an arbitrary unit."""
    dtypes = getattr(A, "dtypes", None) if is_frame(A) else None
    for column, dtype in zip(A.columns, dtypes, strict=False) if dtypes is not None else ():
        is_temporal = getattr(dtype, "is_temporal", None)  # polars
        if getattr(dtype, "kind", "") in ("M", "m") or (is_temporal is not None and is_temporal()):
            raise ValueError(_not_numbers(name, in_columns([0], [column]), f"dtype {dtype}", dates=True))


def reason(error: Exception, A: Any, name: str, remedy: str = "") -> str | None:
    """Return a better message than scikit-learn's ``error`` for ``A``, or None if there is none.

    ``remedy`` is appended where NaN is the problem.
    """
    message = str(error)
    if "feature names" in message:
        return None
    try:
        if message.startswith(f"Input {name} contains"):
            return _non_finite(A, name, remedy, nan=message.startswith(f"Input {name} contains NaN"))
        if "minimum of 2 is required" in message and len(np.shape(A)) > 2:
            return (
                f"{message} To learn from a single image or sequence, cut it into patches first "
                "(sklearn.feature_extraction.image.extract_patches_2d)."
            )
        return _non_numeric(A, name)
    except (ValueError, TypeError, OverflowError):  # A cannot be inspected either
        return None


def _non_finite(A: Any, name: str, remedy: str, *, nan: bool) -> str:
    names = list(A.columns) if is_frame(A) else None
    if issparse(A):  # one bad value per column is enough to name the column
        entries, worst = A.tocoo(), np.zeros((1, A.shape[1]))
        np.add.at(worst[0], entries.coords[1], np.where(np.isfinite(entries.data), 0, entries.data))
        A = worst
    A = np.asarray(as_array(A))
    if A.dtype.kind == "O":
        A = np.array([_as_float(value) for value in A.ravel().tolist()]).reshape(A.shape)
    if nan:
        return f"Input {name} contains NaN in {where(np.isnan(A), names)}.{remedy}"
    return (
        f"Input {name} contains infinity or a value too large for {A.dtype} in {where(np.isinf(A), names)}. Replace "
        "such values, or drop their samples."
    )


def _non_numeric(A: Any, name: str) -> str | None:
    """Return the message for columns that are not numeric, or None if all are."""
    if is_frame(A):
        names: Any = list(A.columns)
        columns = (A.iloc[:, i] if hasattr(A, "iloc") else A[:, i] for i in range(len(names)))
    else:
        A = np.asarray(as_array(A))
        if A.ndim != 2 or A.dtype.kind not in "OUSMm":
            return None
        names, columns = None, iter(A.T)
    found = {i: pair for i, column in enumerate(columns) if (pair := _kind(column)) is not None}
    if not found:
        return None
    i, (kind, what) = next(iter(found.items()))
    if kind in ("list", "ndarray"):
        alone = f"{name}[{names[i]!r}]" if names else f"{name}[:, {i}]"
        return f"{name} must hold numbers, but {in_columns([i], names)} holds arrays: pass {alone} alone."
    same = [i for i, (other, _) in found.items() if other == kind]
    return _not_numbers(name, in_columns(same, names), what, dates="date" in kind or "time" in kind)


def _kind(column: Any) -> tuple[str, str] | None:
    """Return the type of a column's non-numeric values and its description for a message.

    None for numeric columns and for those whose error scikit-learn words well enough.
    """
    values = np.asarray(column)
    if values.dtype.kind in "biufc":
        return None
    if values.dtype.kind in "OUS":
        known = [value for value in values.ravel().tolist() if not _is_number(value)]
        if not known or not isinstance(known[0], str | bytes | datetime.date | datetime.timedelta | list | np.ndarray):
            return None
        if isinstance(column, np.ndarray) or column.dtype == object:
            kind = type(known[0]).__name__
            return kind, f"values such as {str(known[0])[:40]!r} ({kind})"
    return str(column.dtype), f"dtype {column.dtype}"


def _is_number(value: Any) -> bool:
    """Return whether a value is a number or missing, or a string that represents one."""
    try:
        _as_float(value)
    except (TypeError, ValueError):
        return False
    return True


def _as_float(value: Any) -> float:
    return float("nan") if value is None or str(value) == "<NA>" else float(value)  # "<NA>" is pandas.NA


def _not_numbers(name: str, columns: str, kind: str, *, dates: bool) -> str:
    have = "have" if columns.startswith("columns") else "has"
    remedy = (
        "Turn dates into numbers, such as the hour and the day of the week"
        if dates
        else "Encode categories, for example with OneHotEncoder in a ColumnTransformer"
    )
    table = "; skrub's TableVectorizer encodes a whole table" * name.startswith("X")
    return f"{name} must hold real numbers, but {columns} {have} {kind}. {remedy}{table}."
