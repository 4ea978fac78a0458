"""Conversion of polars columns to plain arrays and back."""

from __future__ import annotations

from typing import Any

import numpy as np

from ._plain import Parts, as_objects, object_column


def polars_column(series: Any) -> Parts:
    """Return the values, the mask of missing values and the record of a Series."""
    import polars as pl

    dtype, missing = series.dtype, series.is_null().to_numpy()
    record: dict[str, Any] = {"dtype": str(dtype.base_type()), "missing": "none"}
    if dtype == pl.Boolean:
        return series.fill_null(False).to_numpy(), missing, record | {"form": "bool"}
    if dtype.is_integer():
        wide = pl.UInt64 if dtype.is_unsigned_integer() else pl.Int64
        return series.fill_null(0).cast(wide).to_numpy(), missing, record | {"form": "integer"}
    if dtype.is_float():
        values = series.cast(pl.Float64).fill_null(np.nan).to_numpy()
        nan = np.isnan(values)
        # polars distinguishes NaN from null; NaN is restored if a column has no nulls.
        return values, nan, record | {"form": "float", "missing": "nan" if nan.any() and not missing.any() else "none"}
    if dtype.is_temporal():
        unit = {"Date": "D", "Time": "ns"}.get(record["dtype"]) or dtype.time_unit
        record |= {"form": "date", "unit": unit, "zone": getattr(dtype, "time_zone", None)}
        return series.to_physical().cast(pl.Int64).fill_null(0).to_numpy(), missing, record
    if dtype == pl.Enum or dtype == pl.Categorical or dtype == pl.String:
        record |= {"categories": dtype.categories.to_list()} if dtype == pl.Enum else {}
        return (
            as_objects(np.array(series.cast(pl.String).to_list(), object), missing, None),
            missing,
            record | {"form": "object"},
        )
    if dtype == pl.Null:
        return *object_column(np.full(len(series), None))[:2], record | {"form": "object"}
    raise TypeError(
        f"dtype {dtype} is not supported: cast the column to numbers, Boolean, String or dates, or drop it."
    )


def polars_frame(names: list, columns: list[Parts]) -> Any:
    """Return a DataFrame of columns."""
    import polars as pl

    return pl.DataFrame([_series(name, *parts) for name, parts in zip(names, columns, strict=True)])


def _series(name: str, values: np.ndarray, missing: np.ndarray, record: dict[str, Any]) -> Any:
    import polars as pl

    dtype = _dtype(record)
    if record["form"] == "float" and record["missing"] == "nan":
        return pl.Series(name, np.where(missing, np.nan, values)).cast(dtype)
    between = {"date": pl.Int64, "object": pl.String}.get(record["form"], dtype)
    return pl.Series(name, as_objects(values, missing, None).tolist(), dtype=between).cast(dtype)


def _dtype(record: dict[str, Any]) -> Any:
    import polars as pl

    dtype: Any = getattr(pl, record["dtype"])
    if record["dtype"] == "Enum":
        return pl.Enum(record["categories"])
    if record["dtype"] == "Datetime":
        return dtype(record["unit"], record["zone"])
    return dtype(record["unit"]) if record["dtype"] == "Duration" else dtype


def polars_dates(values: list, record: dict[str, Any]) -> Any:
    """Return a Series of dates, times or durations like those of ``record``, from these or from strings."""
    import polars as pl

    series, zone = pl.Series(values), record["zone"]
    if series.dtype == pl.String:
        series = series.str.to_time() if record["dtype"] == "Time" else series.str.to_datetime()
    if zone is not None and getattr(series.dtype, "time_zone", None) is None:
        series = series.cast(pl.Datetime(record["unit"])).dt.replace_time_zone(zone)
    return series.cast(_dtype(record))
