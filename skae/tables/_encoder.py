"""Encoding of tables of numbers, categories and dates as numerical arrays, with an inverse."""

from __future__ import annotations

import copy
import itertools
import numbers
from typing import Any, ClassVar

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from .._data.arrays import check_array, validate_data
from .._data.dask_lazy import RowWise
from .._utils.checks import check_choice, check_number
from .._utils.slots import did_you_mean
from ._frames import Column, library_of, names_of, read_columns, read_table, write_table
from ._kinds import KINDS, codec_of, fit_codec, in_form, known_values


class TableEncoder(RowWise, TransformerMixin, BaseEstimator):
    """Encode a table of numbers, categories, dates and missing values as a numerical array, with an exact inverse.

    A number is encoded as one column; categories, and numbers with few distinct values, as one-hot columns; columns
    with two values as one column of 0 and 1. A missing entry is NaN in all of its encoded columns. `inverse_transform`
    returns a DataFrame of the same library with the same columns, dtypes and categories, and with numbers within the
    bounds and decimals of `fit`.

    Parameters
    ----------
    numbers : {'quantile', 'standard'}, default='quantile'
        Encoding of numbers and dates. 'standard' subtracts the mean and divides by the standard deviation. 'quantile'
        maps quantiles to those of a normal distribution, so that skewed or multimodal columns are easier to learn; a
        value shared by at least 1 % of the rows, such as zero, is mapped to an interval of the normal distribution, and
        decoded exactly.
    kinds : dict, default=None
        Kinds of columns by name, to override their inference from dtypes and values: 'number', 'integer', 'level' (a
        number with few distinct values), 'count' (left unchanged, with a Poisson or negative binomial likelihood),
        'category', 'flag' (two values) and 'date'. Numbers with at most 20 distinct values, each in 5 rows or more, are
        inferred as levels.
    handle_unknown : {'error', 'missing'}, default='error'
        Treatment of categories unknown in `fit`, and of levels beyond those of `fit`, in `transform`: raise an error,
        or encode them as missing.
    max_categories : int, default=None
        Maximum number of encoded columns of a category, at least 2: the rarest values share the last column, named
        ``(rare)``.
    min_frequency : int or float, default=None
        Categories with fewer rows share such a column; a float is a fraction of the rows with an observed value.

    Attributes
    ----------
    kinds_ : dict
        The kind of each column by name; None for columns without observed values, which are not encoded.
    groups_ : list of (str, list of int)
        For each encoded column of the table, a loss and the indices of its columns in the array, for
        `skae.losses.Mixed`.
    n_features_in_ : int
        Number of columns of the table.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the columns, if all of them are strings.

    See Also
    --------
    TableAutoencoder : An autoencoder with an encoder of tables.
    sklearn.compose.ColumnTransformer : Encodes columns, without an inverse.

    Notes
    -----
    Supported are DataFrames of pandas and polars, and arrays, whose columns are numbered. Columns may be integers and
    floats of all widths, bools, strings, categories (ordered or not), dates, times and durations, and the nullable
    dtypes of pandas. The index of a DataFrame is not kept. Missing values are decoded to the missing value of the
    dtype, or, in object columns, to that seen in `fit`: None, NaN or ``pandas.NA``; if the dtype has no missing value,
    such as int64, the column becomes float64, as in pandas.

    The inverse is exact, except for numbers and dates beyond the bounds, values with more decimals than in `fit`, and
    the last bits of floats with more than 15 digits. Rare categories are decoded to the most frequent of them. Numbers
    beyond the bounds are encoded by extrapolation, so that outliers remain outliers. A level between two known levels
    is encoded as the nearest one, and a level beyond them is an unknown category; probabilities of levels are decoded
    to the level nearest to their mean.

    Examples
    --------
    >>> import pandas as pd
    >>> from skae.tables import TableEncoder
    >>> df = pd.DataFrame({"age": [31, 45, 28], "color": ["red", None, "blue"], "member": [True, False, True]})
    >>> encoder = TableEncoder(numbers="standard").fit(df)
    >>> encoder.get_feature_names_out().tolist()
    ['age', 'color=red', 'member=True']
    >>> encoder.transform(df).round(2).tolist()
    [[-0.49, 1.0, 1.0], [1.39, nan, 0.0], [-0.9, 0.0, 1.0]]
    >>> encoder.inverse_transform(encoder.transform(df)).equals(df)
    True
    """

    _row_wise: ClassVar[dict[str, Any]] = {"transform": None}
    _columns: list[dict[str, Any]]
    _library: str

    def __init__(
        self, *, numbers="quantile", kinds=None, handle_unknown="error", max_categories=None, min_frequency=None
    ):
        self.numbers = numbers
        self.kinds = kinds
        self.handle_unknown = handle_unknown
        self.max_categories = max_categories
        self.min_frequency = min_frequency

    def fit(self, X: Any, y: Any = None) -> TableEncoder:
        """Find the kind of each column, its categories, bounds and decimals.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_samples, n_features)
            A DataFrame of pandas or polars, or an array, whose columns have no names.
        y : None
            Ignored.

        Returns
        -------
        self : object
            The fitted encoder.

        Raises
        ------
        ValueError, TypeError
            If a parameter is invalid, or if a column cannot be encoded; the message names it and the remedy. After any
            error the encoder is unchanged.
        """
        fitted = copy.copy(self)
        fitted._fit(X)
        self.__dict__ = fitted.__dict__
        return self

    def _fit(self, X: Any) -> None:
        self._check_params()
        table = read_table(X)
        validate_data(self, table, reset=True, skip_check_array=True)
        kinds = self._given_kinds(names_of(table))
        params = {name: getattr(self, name) for name in ("numbers", "max_categories", "min_frequency")}
        self._library, self._columns, self.groups_, self.kinds_ = library_of(table), [], [], {}
        start = 0
        for column in read_columns(table):
            with named(column.name):
                found = fit_codec(column, kinds.get(column.name), params)
            kind, state, width = None, {}, 0
            if found is not None:
                kind, codec = found
                state, width = codec.state, len(codec.feature_names(""))
                self.groups_.append((codec.loss, list(range(start, start + width))))
            self._columns.append(
                {"name": column.name, "record": column.record, "kind": kind, "state": state, "width": width}
            )
            self.kinds_[column.name] = kind
            start += width

    def _check_params(self) -> None:
        check_choice("numbers", self.numbers, ("quantile", "standard"))
        check_choice("handle_unknown", self.handle_unknown, ("error", "missing"))
        if self.max_categories is not None:
            check_number("max_categories", self.max_categories, numbers.Integral, 2)
        if isinstance(self.min_frequency, numbers.Integral):
            check_number("min_frequency", self.min_frequency, numbers.Integral, 1)
        elif self.min_frequency is not None:
            check_number("min_frequency", self.min_frequency, numbers.Real, 0, 1, bounds="neither")
        if self.kinds is not None and not isinstance(self.kinds, dict):
            raise TypeError(f"kinds must be a dict of kinds by the names of columns, got {self.kinds!r}.")

    def _given_kinds(self, names: list) -> dict:
        for name, kind in (self.kinds or {}).items():
            if name not in names:
                raise ValueError(f"kinds names the column {name!r}, which X does not have.{did_you_mean(name, names)}")
            check_choice(f"kinds[{name!r}]", kind, KINDS)
        return self.kinds or {}

    def transform(self, X: Any) -> np.ndarray:
        """Encode a table.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_samples, n_features)
            A table with the columns of `fit`.

        Returns
        -------
        encoded : ndarray of shape (n_samples, n_columns), float64
            The columns of `get_feature_names_out`; NaN in all columns of a missing entry.

        Raises
        ------
        ValueError, TypeError
            If X has other columns than in `fit`, or unknown categories; the message names them.
        """
        check_is_fitted(self)
        columns = self._read(X)
        parts = [np.empty((len(columns[0].values), 0))]
        for column, known in zip(columns, self._columns, strict=True):
            if known["kind"] is not None:
                with named(column.name):
                    parts.append(self._encode(column, known))
        return np.hstack(parts)

    def _read(self, X: Any) -> list[Column]:
        """Return the columns of a table, after `fit`."""
        table = read_table(X)
        validate_data(self, table, reset=False, skip_check_array=True)
        columns = read_columns(table)
        if library_of(table) != "numpy" and self._library != "numpy":
            wanted, names = [known["name"] for known in self._columns], [column.name for column in columns]
            if names != wanted:
                raise ValueError(f"X must have the columns of `fit`, {wanted}, got {names}.")
        return columns

    def _encode(self, column: Column, known: dict[str, Any]) -> np.ndarray:
        found = np.full((len(column.values), known["width"]), np.nan)
        values = known_values(column, known["kind"], known["record"])
        if len(values):
            encoded = codec_of(known["kind"], known["state"]).encode(values)
            unseen = np.isnan(encoded).any(axis=1)
            if unseen.any() and self.handle_unknown == "error":
                labels = list(dict.fromkeys(values[unseen].tolist()))
                seen = (known["state"].get("labels") or [labels[0]])[0]
                if unseen.all() and isinstance(labels[0], str) != isinstance(seen, str):
                    raise ValueError(
                        f"it has values such as {labels[0]!r} ({type(labels[0]).__name__}), and had values such as "
                        f"{seen!r} ({type(seen).__name__}) in `fit`: convert the column."
                    )
                also = f", or kinds={{{column.name!r}: 'number'}} to allow any number" * (known["kind"] == "level")
                raise ValueError(
                    f"it has values that were not seen in `fit`, such as {labels[0]!r} ({len(labels)} in total): use "
                    f"TableEncoder(handle_unknown='missing') to treat them as missing{also}."
                )
            found[~column.missing] = encoded
        return found

    def inverse_transform(self, X: Any) -> Any:
        """Decode a table.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_columns)
            Encoded values, as returned by `transform`, or their reconstruction; NaN for missing values.

        Returns
        -------
        table : DataFrame or ndarray of shape (n_samples, n_features)
            A table of the library, columns and dtypes of `fit`. Categories are those with the largest column.

        Raises
        ------
        ValueError
            If X has another number of columns than the output of `transform`.
        """
        return self._write(self._decode(X))

    def _write(self, columns: list[Column]) -> Any:
        """Return columns as a table of the library of `fit`."""
        return write_table(columns, self._library)

    def _decode(self, X: Any, rng: np.random.Generator | None = None) -> list[Column]:
        """Decode columns; with ``rng`` rare categories are drawn."""
        check_is_fitted(self)
        Z = check_array(X, dtype=np.float64, ensure_all_finite="allow-nan", ensure_min_features=0, input_name="X")
        width = sum(known["width"] for known in self._columns)
        if Z.shape[1] != width:
            raise ValueError(f"X must have the {width} columns that transform returns, got {Z.shape[1]}.")
        places = self._places()
        return [_decoded(Z[:, place], known, rng) for place, known in zip(places, self._columns, strict=True)]

    def _places(self) -> list[slice]:
        """Return the slice of the array for each column of the table."""
        ends = np.cumsum([0, *(known["width"] for known in self._columns)]).tolist()
        return [slice(start, end) for start, end in itertools.pairwise(ends)]

    def _example_of(self, X: Any) -> Any:
        validate_data(self, super()._example_of(X), reset=False, skip_check_array=True)
        return self.inverse_transform(np.zeros((1, self._places()[-1].stop)))

    def _encoded(self) -> list[int]:
        """Return the indices of the columns of the table that are encoded."""
        return [i for i, known in enumerate(self._columns) if known["width"]]

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Get the names of the encoded columns.

        Parameters
        ----------
        input_features : array-like of str, default=None
            Names of the columns of the table; if None, those of `fit`, or ``x0``, ``x1``, ... if it had none.

        Returns
        -------
        names : ndarray of str
            The name of the column; for categories ``name=value``, and for columns with two values the second one.
        """
        check_is_fitted(self)
        names = self._input_names(input_features)
        found: list[str] = []
        for name, known in zip(names, self._columns, strict=True):
            if known["kind"] is not None:
                found += codec_of(known["kind"], known["state"]).feature_names(name)
        return np.array(found, dtype=object)

    def _input_names(self, given: Any) -> list[str]:
        own = getattr(self, "feature_names_in_", None)
        if given is None:
            by_number = [f"x{known['name']}" if self._library == "numpy" else known["name"] for known in self._columns]
            return [str(name) for name in (by_number if own is None else own)]
        given = np.asarray(given, dtype=object)
        if own is not None and not np.array_equal(own, given):
            raise ValueError("input_features is not equal to feature_names_in_")
        if len(given) != self.n_features_in_:
            raise ValueError(
                f"input_features should have length equal to number of features ({self.n_features_in_}), "
                f"got {len(given)}"
            )
        return [str(name) for name in given]

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.categorical = True
        return tags


def _decoded(part: np.ndarray, known: dict[str, Any], rng: Any) -> Column:
    """Return a column of the table from its columns in the array; one without any is missing."""
    record = known["record"]
    missing = np.isnan(part).any(axis=1) if known["width"] else np.ones(len(part), bool)
    if missing.all():
        empty = {"float": np.float64, "bool": bool, "object": object}.get(record["form"], np.int64)
        return Column(known["name"], np.zeros(len(part), empty), missing, record)
    found = in_form(codec_of(known["kind"], known["state"]).decode(part[~missing], rng), record)
    values = np.zeros(len(part), found.dtype)
    values[~missing] = found
    return Column(known["name"], values, missing, record)


class named:
    """Context manager that adds the name of a column to errors."""

    def __init__(self, name: Any) -> None:
        self.name = name

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: Any, error: Any, traceback: Any) -> None:
        if isinstance(error, ValueError | TypeError):
            raise type(error)(f"Column {self.name!r}: {error}") from error
