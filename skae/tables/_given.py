"""Given values of columns, checked and encoded."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._utils.slots import did_you_mean
from ._encoder import TableEncoder, named
from ._frames import Column, read_values
from ._kinds import codec_of, in_form, known_values


class Given:
    """Given values of columns of a table: one for all rows, or one for each row.

    Parameters
    ----------
    encoder : TableEncoder
        Fitted.
    given : dict
        Values, or arrays of values, by the names of columns.

    Attributes
    ----------
    n_rows : int
        Number of given rows; 1 if no column has an array.
    columns : dict of int to Column
        The values by column index.
    """

    def __init__(self, encoder: TableEncoder, given: Any) -> None:
        if not isinstance(given, dict) or not given:
            raise TypeError(f"given must be a dict of values by the names of columns, got {given!r}.")
        names = [known["name"] for known in encoder._columns]
        self.encoder, self.columns, lengths = encoder, {}, {}
        for name, value in given.items():
            if name not in names:
                raise ValueError(f"given has the unknown column {name!r}.{did_you_mean(name, names)}")
            i = names.index(name)
            with named(name):
                values = _listed(value)
                lengths[name] = len(values)
                self.columns[i] = _read(values, encoder._columns[i], encoder._library)
        self.n_rows = max(lengths.values())
        for name, length in lengths.items():
            if length not in (1, self.n_rows):
                raise ValueError(f"given[{name!r}] must have one value or {self.n_rows}, like others, got {length}.")

    def encoded(self) -> np.ndarray:
        """Return rows (n_rows, n_columns) in which all columns but the given ones are missing."""
        rows = np.full((self.n_rows, sum(known["width"] for known in self.encoder._columns)), np.nan)
        places = self.encoder._places()
        for i, column in self.columns.items():
            known = self.encoder._columns[i]
            with named(column.name):
                rows[:, places[i]] = codec_of(known["kind"], known["state"]).encode(
                    known_values(column, known["kind"], known["record"])
                )
                unseen = np.atleast_1d(np.isnan(rows[:, places[i]]).any(axis=1))
                if np.any(unseen):
                    labels = known["state"]["labels"] + known["state"]["rare"]
                    wrong = np.broadcast_to(column.values, len(unseen))[unseen].tolist()[0]
                    raise ValueError(f"given {wrong!r}, which was not seen in `fit`: the values are {labels[:9]}.")
        return rows

    def groups(self) -> list[int]:
        """Return the indices of the given columns among the encoded ones."""
        encoded = self.encoder._encoded()
        return [encoded.index(i) for i in self.columns]

    def insert(self, table: list[Column]) -> None:
        """Set the given columns of a table to their values."""
        for i, column in self.columns.items():
            values = np.broadcast_to(column.values, len(table[i].values))
            table[i] = Column(
                column.name, in_form(values, table[i].record), np.zeros(len(values), bool), table[i].record
            )


def _listed(value: Any) -> list:
    """Return the given values as a list, with one entry for a single value."""
    value = value.item() if isinstance(value, np.ndarray) and value.ndim == 0 else value
    is_array = hasattr(value, "__array__") and not isinstance(value, type) and np.ndim(np.asarray(value)) == 1
    if not (isinstance(value, list | tuple) or is_array):
        return [value]
    if not len(value):
        raise ValueError("given no values: pass one value, or one for each row.")
    return list(value)


def _read(values: list, known: dict[str, Any], library: str) -> Column:
    kind = known["kind"]
    if kind is None:
        raise ValueError("it had no observed values in `fit`, so that it cannot be given.")
    column = read_values(known["name"], values, library, known["record"])
    if column.missing.any():
        raise ValueError("given a missing value: leave the column out of ``given`` instead.")
    if kind in ("category", "flag"):
        return column
    found = known_values(column, kind, known["record"])
    if kind == "level":
        wrong = ~np.isin(found, known["state"]["labels"])
        if wrong.any():
            raise ValueError(f"given {found[wrong][0]:g}, but the values in `fit` are {known['state']['labels']}.")
        column.values = found
        return column
    codec = codec_of(kind, known["state"])
    low, high = in_form(codec.decode(np.array([[-np.inf], [np.inf]])), known["record"])
    wrong = (found < low) | (found > high)
    if known["record"]["form"] == "integer":
        wrong |= found != np.round(found)
    if wrong.any():
        shown = [low, high, found[wrong][0]]
        if kind == "date":
            shown = [np.array(ticks).astype(f"M8[{known['record']['unit']}]") for ticks in shown]
        whole = "whole numbers" if known["record"]["form"] == "integer" else "values"
        raise ValueError(f"given {shown[2]}, but the values in `fit` are {whole} from {shown[0]} to {shown[1]}.")
    column.values = found
    return column
