"""Replacement of the missing entries of a table by those of another."""

from __future__ import annotations

from typing import Any

import numpy as np

from ._frames import Column
from ._kinds import in_form, in_unit


def fill_columns(observed: list[Column], others: list[Column]) -> list[Column]:
    """Return the columns ``observed`` with missing entries from ``others``."""
    return [_filled(column, other) for column, other in zip(observed, others, strict=True)]


def _filled(column: Column, other: Column) -> Column:
    """Return a column in its dtype, or in that of the other if it has no observed values or another form."""
    if not column.missing.any():
        return column
    record = other.record if column.missing.all() else column.record
    record = _with_categories(record, other.values[column.missing & ~other.missing])
    if (record["form"] in ("object", "date")) != (other.record["form"] in ("object", "date")):
        record = other.record
    found = other.values
    if record["form"] == "date":
        found = in_unit(found, other.record["unit"], record["unit"])
    values = np.where(column.missing, found, column.values)
    return Column(column.name, in_form(values, record), column.missing & other.missing, record)


def _with_categories(record: dict[str, Any], labels: np.ndarray) -> dict[str, Any]:
    """Return the record of a categorical dtype that has all ``labels``."""
    if "categories" not in record:
        return record
    new = [label for label in dict.fromkeys(labels.tolist()) if label not in record["categories"]]
    return record | {"categories": [*record["categories"], *new]}
