"""Conversion of pandas columns to plain arrays and back."""

from __future__ import annotations

from typing import Any

import numpy as np

from ._plain import Parts, as_objects, object_column, plain_label


def pandas_column(series: Any) -> Parts:
    """Return the values, the mask of missing values and the record of a Series."""
    import pandas as pd

    dtype, missing = series.dtype, series.isna().to_numpy(bool)
    types = pd.api.types
    if isinstance(dtype, pd.CategoricalDtype):
        return _categorical(series, missing)
    if isinstance(dtype, pd.StringDtype):
        record = {"dtype": "string", "storage": dtype.storage, "missing": "na" if dtype.na_value is pd.NA else "nan"}
        return as_objects(series.to_numpy(object), missing, None), missing, record | {"form": "object"}
    record = {"dtype": str(dtype)}
    if dtype == np.dtype(object):
        values, missing, more = object_column(series.to_numpy(object))
        return values, missing, record | more
    if types.is_bool_dtype(dtype):
        return series.fillna(False).to_numpy(bool), missing, _checked(record | {"form": "bool"}, dtype)
    if types.is_integer_dtype(dtype):
        wide = np.uint64 if types.is_unsigned_integer_dtype(dtype) else np.int64
        return series.fillna(0).to_numpy(wide), missing, _checked(record | {"form": "integer"}, dtype)
    if types.is_float_dtype(dtype):
        values = series.to_numpy(np.float64, na_value=np.nan)
        return values, missing | np.isnan(values), _checked(record | {"form": "float"}, dtype)
    if isinstance(dtype, pd.DatetimeTZDtype):
        series = series.dt.tz_convert("UTC").dt.tz_localize(None)
    if isinstance(series.dtype, np.dtype) and series.dtype.kind in "mM":
        record |= {"form": "date", "unit": np.datetime_data(series.dtype)[0]}
        return np.where(missing, 0, series.to_numpy().view(np.int64)), missing, _checked(record, dtype)
    if types.is_string_dtype(dtype):  # of pyarrow
        return as_objects(series.to_numpy(object), missing, None), missing, _checked(record | {"form": "object"}, dtype)
    raise _unsupported(dtype)


def _categorical(series: Any, missing: np.ndarray) -> Parts:
    categories = series.cat.categories
    labels = [plain_label(label) for label in categories]
    values = np.empty(len(series), object)
    values[:] = [labels[code] if code >= 0 else None for code in series.cat.codes]
    record = {
        "dtype": "category",
        "of": str(categories.dtype),
        "categories": labels,
        "ordered": bool(series.cat.ordered),
    }
    return values, missing, record | {"form": "object"}


def _checked(record: dict[str, Any], dtype: Any) -> dict[str, Any]:
    """Check that pandas can restore the dtype from its name, which is stored in files."""
    import pandas as pd

    try:
        same = pd.api.types.pandas_dtype(record["dtype"]) == dtype
    except (TypeError, NotImplementedError):
        same = False
    if not same:
        raise _unsupported(dtype)
    return record


def _unsupported(dtype: Any) -> TypeError:
    return TypeError(
        f"dtype {dtype} is not supported: convert the column to numbers, bools, strings or dates, or drop it."
    )


def pandas_frame(names: list, columns: list[Parts]) -> Any:
    """Return a DataFrame of columns, with an index of 0, 1, ..."""
    import pandas as pd

    found = pd.concat([pd.Series(_array(*parts), copy=False) for parts in columns], axis=1)
    found.columns = pd.Index(names)
    return found


def _array(values: np.ndarray, missing: np.ndarray, record: dict[str, Any]) -> Any:
    import pandas as pd

    name = record["dtype"]
    if name == "category":
        categories = pd.Index(record["categories"], dtype=record["of"])
        dtype: Any = pd.CategoricalDtype(categories, record["ordered"])
        return pd.Categorical(as_objects(values, missing, None), dtype=dtype)
    if name == "string":
        na = pd.NA if record["missing"] == "na" else np.nan
        # pandas before 2.3 knows no other missing value than NA.
        dtype = pd.StringDtype(record["storage"], **({} if na is pd.NA else {"na_value": na}))
        return pd.array(as_objects(values, missing, na), dtype=dtype)
    if name == "object":
        marks = {"none": None, "nan": np.nan, "na": pd.NA, "nat": pd.NaT}
        return pd.Series(as_objects(values, missing, marks[record["missing"]]), dtype=object)
    dtype = pd.api.types.pandas_dtype(name)
    if record["form"] == "date":
        kind = "m8" if pd.api.types.is_timedelta64_dtype(dtype) else "M8"
        ticks = np.where(missing, np.iinfo(np.int64).min, values.astype(np.int64)).view(f"{kind}[{record['unit']}]")
        return _date_array(ticks, dtype)
    if isinstance(dtype, np.dtype):
        if not missing.any():
            return values.astype(dtype)
        if dtype.kind == "f":
            return np.where(missing, np.nan, values).astype(dtype)
        # As in pandas for values that the dtype cannot represent.
        return as_objects(values, missing, np.nan) if dtype.kind == "b" else np.where(missing, np.nan, values)
    return pd.array(as_objects(values, missing, pd.NA), dtype=dtype)


def _date_array(ticks: np.ndarray, dtype: Any) -> Any:
    import pandas as pd

    if getattr(dtype, "tz", None) is not None:
        return pd.Series(ticks).dt.tz_localize("UTC").astype(dtype)
    return pd.array(ticks).astype(dtype)


def pandas_dates(values: list, record: dict[str, Any]) -> Any:
    """Return a Series of dates or durations like those of ``record``, from these or from strings."""
    import pandas as pd

    dtype = pd.api.types.pandas_dtype(record["dtype"])
    if pd.api.types.is_timedelta64_dtype(dtype):
        return pd.Series(pd.to_timedelta(values)).astype(dtype)
    dates, zone = pd.Series(pd.to_datetime(values)), getattr(dtype, "tz", None)
    return (dates.dt.tz_localize(zone) if zone is not None and dates.dt.tz is None else dates).astype(dtype)
