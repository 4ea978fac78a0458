"""Kinds of columns, inferred from values or given, and their codecs."""

from __future__ import annotations

from typing import Any

import numpy as np

from ._categories import Category
from ._codec import Codec
from ._frames import Column
from ._integers import Count, Integer
from ._levels import Level, are_levels
from ._numbers import Number

KINDS = ("number", "integer", "level", "count", "category", "flag", "date")
_CODECS: dict[str, type[Codec]] = {
    "number": Number,
    "integer": Integer,
    "level": Level,
    "count": Count,
    "category": Category,
    "flag": Category,
    "date": Integer,
}


def codec_of(kind: str, state: dict[str, Any]) -> Codec:
    """Return the codec of a kind with its fitted state."""
    return _CODECS[kind](state)


def fit_codec(column: Column, kind: str | None, params: dict[str, Any]) -> tuple[str, Codec] | None:
    """Return the kind of a column and its codec, or None for a column without observed values."""
    values = column.values[~column.missing]
    if not len(values):
        return None
    form = column.record["form"]
    kind = kind or _find_kind(values, form)
    if kind in ("category", "flag"):
        codec: Codec = _fit_labels(column, values, kind, params)
        return "flag" if codec.loss == "bernoulli" else "category", codec
    if form == "object" or (form == "date") != (kind == "date"):
        remedy = "convert it first, as by pandas.to_datetime" if kind == "date" else "use the kind 'category'"
        raise TypeError(f"it has {_described(form, values)}, which the kind {kind!r} does not support: {remedy}.")
    if kind == "date":
        return kind, Integer.fit(values, numbers=params["numbers"], unit=column.record["unit"])
    check_finite(values)
    if kind == "level":
        return kind, Level.fit_levels(values)
    if kind == "integer" and form != "float":
        return kind, Integer.fit(_wide(values), numbers=params["numbers"])
    values = values.astype(np.float64)
    if kind == "count":
        return kind, Count.fit(values)
    if kind == "integer":
        if (values != np.round(values)).any():
            raise ValueError("it has numbers that are not integers: use the kind 'number' instead of 'integer'.")
        kind = "number"  # rounds to the decimals seen: none
    return kind, Number.fit(values, numbers=params["numbers"], dtype=_stored(column.record))


def _find_kind(values: np.ndarray, form: str) -> str:
    if form in ("bool", "object", "date"):
        return {"bool": "flag", "object": "category", "date": "date"}[form]
    if len(np.unique(values)) == 2 and (values == np.round(values)).all():
        return "flag"
    if are_levels(values):
        return "level"
    return "integer" if form == "integer" else "number"


def _fit_labels(column: Column, values: np.ndarray, kind: str, params: dict[str, Any]) -> Category:
    if column.record["form"] == "date":
        raise TypeError("it has dates, which are not categories: convert them to strings first.")
    known = column.record.get("categories")
    if column.record["form"] != "object":
        check_finite(values)
    codec = Category.fit(
        values, known=known, max_categories=params["max_categories"], min_frequency=params["min_frequency"]
    )
    if kind == "flag" and codec.loss != "bernoulli":
        labels = codec.state["labels"]
        raise ValueError(f"a 'flag' has at most two values, got {len(labels)}: {labels[:4]}. Use the kind 'category'.")
    return codec


def known_values(column: Column, kind: str, record: dict[str, Any]) -> np.ndarray:
    """Return the observed values of a column after `fit`, in the form required by a codec of ``kind``."""
    values, form = column.values[~column.missing], column.record["form"]
    if not len(values):
        return np.zeros(0)
    if kind in ("category", "flag"):
        if form == "date":
            raise TypeError("it has dates, but had categories in `fit`.")
        return values
    if kind == "date":
        if form != "date":
            raise TypeError(f"it has {_described(form, values)}, but had dates in `fit`.")
        return in_unit(values, column.record["unit"], record["unit"])
    if form in ("object", "date"):
        raise TypeError(f"it has {_described(form, values)}, but had numbers in `fit`.")
    check_finite(values)
    return _wide(values) if kind == "integer" and form != "float" else values.astype(np.float64)


def in_form(values: np.ndarray, record: dict[str, Any]) -> np.ndarray:
    """Return decoded values in the form of the column that was fitted."""
    form = record["form"]
    if form == "integer" and values.dtype.kind not in "iu":
        return np.array([int(value) for value in values.tolist()], np.int64)
    return values.astype({"float": np.float64, "bool": bool, "object": object}.get(form, values.dtype))


def check_finite(values: np.ndarray) -> None:
    """Raise an error for infinite values."""
    if values.dtype.kind == "f" and np.isinf(values).any():
        raise ValueError("it has infinite values: replace them by NaN or by a bound, or drop the rows.")


def _wide(values: np.ndarray) -> np.ndarray:
    return values if values.dtype.kind in "iu" else values.astype(np.int64)


def _stored(record: dict[str, Any]) -> Any:
    """Return the original dtype, which determines the rounding of numbers."""
    return np.float32 if str(record["dtype"]).lower() in ("float32", "<f4", "float", "float[pyarrow]") else np.float64


def in_unit(ticks: np.ndarray, unit: str, wanted: str) -> np.ndarray:
    """Return the ticks of dates in another unit."""
    if unit == wanted:
        return ticks
    return ticks.view(f"m8[{unit}]").astype(f"m8[{wanted}]").view(np.int64)


def _described(form: str, values: np.ndarray) -> str:
    return {"object": f"strings such as {values[0]!r}", "date": "dates"}.get(form, "numbers")
