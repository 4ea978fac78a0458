"""TableEncoder restores tables: columns, dtypes, categories, integers, bounds and missing values."""

import datetime as dt

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skae.tables import TableEncoder

N = 120
BOTH = pytest.mark.parametrize("numbers", ["quantile", "standard"])


def holes(values, share=0.2, seed=0):
    """The values with None among them."""
    hidden = np.random.default_rng(seed).random(len(values)) < share
    return [None if hide else value for value, hide in zip(values, hidden, strict=True)]


def pandas_table():
    rng = np.random.default_rng(0)
    words = rng.choice(["a", "b", "c"], N).tolist()
    return pd.DataFrame(
        {
            "float64": holes(rng.normal(size=N).round(3)),
            "float32": rng.normal(size=N).astype(np.float32).round(2),
            "decimals": rng.exponential(size=N).round(2),
            "int8": rng.integers(-100, 100, N).astype(np.int8),
            "uint64": rng.integers(2**63, 2**63 + 10**6, N, dtype=np.uint64),
            "far": rng.integers(2**60, 2**60 + 2**40, N),
            "Int64": pd.array(holes(rng.integers(0, 50, N).tolist()), dtype="Int64"),
            "Float32": pd.array(holes(rng.integers(0, 50, N).tolist()), dtype="Float32"),
            "boolean": pd.array(holes((rng.random(N) < 0.5).tolist()), dtype="boolean"),
            "bool": rng.random(N) < 0.3,
            "ordered": pd.Categorical(holes(words), ["c", "b", "a", "never"], ordered=True),
            "of integers": pd.Categorical(rng.choice([3, 1, 2], N)),
            "object": pd.Series(holes(words), dtype=object),
            "object of NaN": pd.Series([np.nan if word is None else word for word in holes(words)], dtype=object),
            "objects of bool": pd.Series(holes((rng.random(N) < 0.5).tolist()), dtype=object),
            "str": pd.Series(holes(words)),
            "string": pd.array(holes(words), dtype="string"),
            "pyarrow": pd.Series(rng.integers(0, 9, N)).astype("int64[pyarrow]"),
            "pyarrow string": pd.Series(holes(words)).astype("string[pyarrow]"),
            "day": pd.Series(holes(pd.date_range("2001-01-01", periods=N).tolist())),
            "zone": pd.date_range("2001-01-01", periods=N, freq="h", tz="Europe/Berlin"),
            "seconds": pd.to_datetime(rng.integers(0, 10**9, N), unit="s").astype("M8[s]"),
            "duration": pd.to_timedelta(rng.integers(0, 10**6, N), unit="s"),
            "constant": 1.5,
            "constant word": "k",
            "never known": np.nan,
            "one or two": rng.integers(1, 3, N),
        }
    )


def polars_table():
    rng = np.random.default_rng(0)
    words = rng.choice(["a", "b", "c"], N).tolist()
    minutes = [dt.timedelta(minutes=int(m)) for m in rng.integers(0, 999, N)]
    moments = [dt.datetime(2001, 1, 1) + m for m in minutes]
    return pl.DataFrame(
        {
            "float": holes(rng.normal(size=N).round(2).tolist()),
            "float32": pl.Series(rng.normal(size=N).round(2), dtype=pl.Float32),
            "nan": np.where(rng.random(N) < 0.1, np.nan, rng.normal(size=N).round(3)),
            "int8": pl.Series(holes(rng.integers(0, 9, N).tolist()), dtype=pl.Int8),
            "uint64": pl.Series(rng.integers(0, 9, N), dtype=pl.UInt64),
            "bool": holes((rng.random(N) < 0.5).tolist()),
            "string": holes(words),
            "categorical": pl.Series(holes(words), dtype=pl.Categorical),
            "enum": pl.Series(holes(words), dtype=pl.Enum(["c", "d", "b", "a"])),
            "date": holes([moment.date() for moment in moments]),
            "datetime": holes(moments),
            "zone": pl.Series(moments).dt.replace_time_zone("Europe/Berlin").dt.cast_time_unit("ms"),
            "duration": holes(minutes),
            "time": holes([moment.time() for moment in moments]),
            "null": pl.Series([None] * N),
        }
    )


@BOTH
def test_pandas_tables_are_restored(numbers):
    df = pandas_table()
    encoder = TableEncoder(numbers=numbers).fit(df)
    Z = encoder.transform(df)
    assert Z.dtype == np.float64
    assert Z.shape == (N, len(encoder.get_feature_names_out()))
    pd.testing.assert_frame_equal(encoder.inverse_transform(Z), df, check_exact=True)
    # However many rows there are, and whatever their index.
    some = df.iloc[[5]]
    pd.testing.assert_frame_equal(encoder.inverse_transform(encoder.transform(some)), some.reset_index(drop=True))


@BOTH
def test_polars_tables_are_restored(numbers):
    df = polars_table()
    encoder = TableEncoder(numbers=numbers).fit(df)
    assert_frame_equal(encoder.inverse_transform(encoder.transform(df)), df, check_exact=True)


def test_arrays_are_restored():
    rng = np.random.default_rng(0)
    for X in (rng.integers(0, 9, (30, 3)), rng.random((30, 2)).astype(np.float32), rng.random((9, 2)) < 0.5):
        encoder = TableEncoder().fit(X)
        found = encoder.inverse_transform(encoder.transform(X))
        assert found.dtype == X.dtype
        np.testing.assert_allclose(found, X, rtol=1e-6)
    X = np.array([["a", 1.5, None], ["b", 2.5, True], ["c", None, False], [None, 2.0, True]], dtype=object)
    encoder = TableEncoder().fit(X)
    assert encoder.inverse_transform(encoder.transform(X)).tolist() == X.tolist()
    assert encoder.get_feature_names_out().tolist() == ["x0=a", "x0=b", "x0=c", "x1", "x2=True"]
    assert encoder.get_feature_names_out(["p", "q", "r"])[-1] == "r=True"


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.floats(-1e12, 1e12), min_size=1, max_size=40),
    st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=5),
    st.sampled_from(["quantile", "standard"]),
)
def test_any_numbers_are_restored(values, wide, numbers):
    X = pd.DataFrame({"x": values})
    encoder = TableEncoder(numbers=numbers).fit(X)
    found = encoder.inverse_transform(encoder.transform(X)).x
    assert found.between(min(values), max(values)).all()
    np.testing.assert_allclose(found, values, rtol=0, atol=1e-12 * (max(values) - min(values)))
    X = pd.DataFrame({"x": np.array(wide, np.int64)})
    if max(wide) - min(wide) < 2**50:
        encoder = TableEncoder(numbers=numbers, kinds={"x": "integer"}).fit(X)
        assert encoder.inverse_transform(encoder.transform(X)).equals(X)
    elif max(wide) - min(wide) >= 2**53:
        with pytest.raises(ValueError, match=r"Column 'x': its integers range from .* identifiers"):
            TableEncoder(kinds={"x": "integer"}).fit(X)


def test_missing_is_nan_in_all_columns_of_an_entry():
    df = pandas_table()
    encoder = TableEncoder().fit(df)
    names = encoder.get_feature_names_out()
    Z = pd.DataFrame(encoder.set_output(transform="pandas").transform(df))
    assert Z.columns.tolist() == names.tolist()
    for name in ("Int64", "ordered", "string", "day"):
        own = [column for column in names if column == name or column.startswith(f"{name}=")]
        assert (Z[own].isna().all(axis=1) == df[name].isna()).all()
        assert (Z[own].isna().any(axis=1) == df[name].isna()).all()


def test_groups_are_the_losses_of_the_columns():
    df = pandas_table()[["int8", "ordered", "bool", "day", "constant"]].assign(count=np.arange(N) % 7)
    encoder = TableEncoder(kinds={"count": "count"}).fit(df)
    assert encoder.kinds_ == {
        "int8": "integer",
        "ordered": "category",
        "bool": "flag",
        "day": "date",
        "constant": "number",
        "count": "count",
    }
    assert encoder.groups_ == [
        ("gaussian", [0]),
        ("categorical", [1, 2, 3]),
        ("bernoulli", [4]),
        ("gaussian", [5]),
        ("squared_error", [6]),
        ("negative_binomial", [7]),
    ]
    assert TableEncoder(kinds={"count": "count"}).fit(df.assign(count=np.arange(N) % 2)).groups_[-1] == ("poisson", [7])


def test_decoded_values_keep_bounds_decimals_and_categories():
    df = pandas_table()
    encoder = TableEncoder().fit(df)
    Z = np.random.default_rng(0).normal(0, 10, (500, len(encoder.get_feature_names_out())))
    found = encoder.inverse_transform(Z)
    for name in ("float64", "float32", "decimals", "int8", "uint64", "Int64", "day", "duration", "constant"):
        assert found[name].between(df[name].min(), df[name].max()).all(), name
    assert (found.decimals.round(2) == found.decimals).all()
    assert found.dtypes.drop("never known").equals(df.dtypes.drop("never known"))
    assert set(found.ordered.dropna()) <= {"a", "b", "c"}
    assert found["never known"].isna().all()


def test_numbers_of_few_values_are_levels():
    rng = np.random.default_rng(0)
    df = pd.DataFrame({"cylinders": rng.choice([4, 6, 8], 60), "price": rng.choice([1.69, 1.75, 2.5], 60)})
    df["x"] = range(60)
    encoder = TableEncoder().fit(df)
    assert encoder.kinds_ == {"cylinders": "level", "price": "level", "x": "integer"}
    assert encoder.groups_[:2] == [("categorical", [0, 1, 2]), ("categorical", [3, 4, 5])]
    assert encoder.inverse_transform(encoder.transform(df)).equals(df)
    between = encoder.transform(df.iloc[:1].assign(cylinders=7.2))
    assert encoder.inverse_transform(between).cylinders.tolist() == [8]
    probabilities = np.r_[0.5, 0.1, 0.4, between[0, 3:]][None]  # of mean 5.8
    assert encoder.inverse_transform(probabilities).cylinders.tolist() == [6]
    with pytest.raises(ValueError, match=r"'cylinders': it has values .* 12.0 .* or kinds={'cylinders': 'number'}"):
        encoder.transform(df.assign(cylinders=12))
    assert TableEncoder(kinds={"cylinders": "integer"}).fit(df).kinds_["cylinders"] == "integer"


def test_quantile_map_gives_a_normal_distribution():
    x = np.random.default_rng(0).lognormal(0, 2, 2000)
    z = TableEncoder().fit_transform(pd.DataFrame({"x": x})).ravel()
    assert abs(z.mean()) < 0.01
    assert abs(z.std() - 1) < 0.01
    assert (np.argsort(z) == np.argsort(x)).all()


def test_spikes_stand_for_intervals():
    rng = np.random.default_rng(0)
    x = np.where(rng.random(1000) < 0.6, 0, rng.exponential(size=1000))
    encoder = TableEncoder().fit(pd.DataFrame({"x": x}))
    drawn = encoder.inverse_transform(rng.normal(size=(20_000, 1))).x  # a normal distribution becomes that of x
    assert abs((drawn == 0).mean() - (x == 0).mean()) < 0.01
    assert abs(drawn.mean() - x.mean()) < 0.03
    assert abs(np.quantile(drawn, 0.9) - np.quantile(x, 0.9)) < 0.1


def test_outliers_are_encoded_beyond_the_bounds():
    df = pd.DataFrame({"x": np.random.default_rng(0).normal(size=200)})
    for numbers in ("quantile", "standard"):
        encoder = TableEncoder(numbers=numbers).fit(df)
        z = encoder.transform(pd.DataFrame({"x": [-50.0, df.x.min(), df.x.max(), 50.0]})).ravel()
        assert z[0] < 5 * z[1]
        assert z[3] > 5 * z[2]


def test_rare_categories_share_a_column():
    words = ["a"] * 50 + ["b"] * 30 + ["c"] * 5 + ["d"] * 3 + ["e"]
    df = pd.DataFrame({"x": words})
    for params in ({"max_categories": 3}, {"min_frequency": 10}, {"min_frequency": 0.1}):
        encoder = TableEncoder(**params).fit(df)
        assert encoder.get_feature_names_out().tolist() == ["x=a", "x=b", "x=(rare)"]
        found = encoder.inverse_transform(encoder.transform(df)).x
        assert found.tolist() == words[:85] + ["c"] * 4  # the most frequent of them
    assert TableEncoder(max_categories=2).fit(df).get_feature_names_out().tolist() == ["x=(rare)"]


def test_unseen_categories_raise_or_missing():
    df = pd.DataFrame({"color": ["red", "blue", "red", "green"]})
    new = pd.DataFrame({"color": ["blue", "pink"]})
    with pytest.raises(
        ValueError, match=r"Column 'color': it has values .* 'pink' .* use TableEncoder\(handle_unknown='missing'"
    ):
        TableEncoder().fit(df).transform(new)
    encoder = TableEncoder(handle_unknown="missing").fit(df)
    assert encoder.inverse_transform(encoder.transform(new)).color.isna().tolist() == [False, True]


def test_identifiers_and_text_raise_by_name():
    df = pd.DataFrame({"id": [f"row {i}" for i in range(100)]})
    with pytest.raises(ValueError, match=r"Column 'id': it has 100 different values in 100 rows.*drop it, or merge"):
        TableEncoder().fit(df)
    assert TableEncoder(max_categories=5).fit(df.assign(x=1.0)).kinds_["id"] == "category"


@pytest.mark.parametrize(
    ("df", "params", "message"),
    [
        (pd.DataFrame({"x": [1.0, np.inf]}), {}, "Column 'x': it has infinite values: replace them"),
        (pd.DataFrame({"x": ["a", "b"]}), {"kinds": {"x": "number"}}, "Column 'x': it has strings such as 'a'"),
        (pd.DataFrame({"x": [1, 2]}), {"kinds": {"y": "count"}}, "kinds names the column 'y', which X does not have"),
        (pd.DataFrame({"x": [1, 2]}), {"kinds": {"x": "counts"}}, "must be one of .* Did you mean 'count'"),
        (pd.DataFrame({"x": [1, -2]}), {"kinds": {"x": "count"}}, "Column 'x': counts must be non-negative integers"),
        (pd.DataFrame({"x": [1, 2, 3]}), {"kinds": {"x": "flag"}}, "Column 'x': a 'flag' has at most two values"),
        (
            pd.DataFrame({"x": [0.5, 2]}),
            {"kinds": {"x": "integer"}},
            "Column 'x': it has numbers that are not integers",
        ),
        (pd.DataFrame({"x": [1, 2]}), {"kinds": {"x": "date"}}, "Column 'x': it has numbers"),
        (pd.DataFrame({"x": [dt.date(2001, 1, 1)]}), {}, "Column 'x': dates as Python objects are not supported"),
        (pd.DataFrame({"x": [1 + 2j]}), {}, "Column 'x': dtype complex128 is not supported"),
        (pd.DataFrame({"x": pd.cut([1, 2], 2)}), {}, "Column 'x': argument must be a string or a number"),
        (pd.DataFrame([[1, 2]], columns=["x", "x"]), {}, "Names of columns must be unique, got several columns 'x'"),
        (pd.DataFrame([[1]], columns=[("x", "y")]), {}, "Names of columns must be strings or integers"),
        (pd.DataFrame({"x": []}), {}, r"Found a DataFrame with 0 sample"),
        (pl.DataFrame({"x": [[1], [2]]}), {}, r"Column 'x': dtype List\(Int64\) is not supported"),
        (pl.DataFrame({"x": [1]}).lazy(), {}, "LazyFrame: call X.collect"),
        (pd.DataFrame({"x": [1]}), {"numbers": "normal"}, "numbers must be one of"),
        (pd.DataFrame({"x": [1]}), {"max_categories": 1}, "max_categories == 1"),
        (pd.DataFrame({"x": [1]}), {"min_frequency": 0}, "min_frequency == 0"),
        (pd.DataFrame({"x": [1]}), {"min_frequency": 1.5}, "min_frequency == 1.5"),
        (pd.DataFrame({"x": [1]}), {"kinds": ["count"]}, "kinds must be a dict"),
    ],
)
def test_errors_name_the_column_and_leave_the_encoder_alone(df, params, message):
    encoder = TableEncoder().fit(pandas_table())
    encoder.set_params(**params)
    before = dict(vars(encoder))
    with pytest.raises((ValueError, TypeError), match=message):
        encoder.fit(df)
    assert vars(encoder) == before


def test_tables_after_fit_are_compared_with_that_of_fit():
    df = pd.DataFrame({"x": [1.5, 2.5], "day": pd.date_range("2001-01-01", periods=2), 3: [1, 2]})
    df.columns = ["x", "day", "z"]
    encoder = TableEncoder().fit(df)
    with pytest.raises(ValueError, match="feature names"):
        encoder.transform(df[["day", "x", "z"]])
    with pytest.raises(
        (TypeError, ValueError), match="Column 'x': it has strings such as 'a', but had numbers in `fit`"
    ):
        encoder.transform(df.assign(x="a"))
    with pytest.raises((TypeError, ValueError), match="Column 'day': it has numbers, but had dates in `fit`"):
        encoder.transform(df.assign(day=1))
    with pytest.raises((TypeError, ValueError), match="Column 'x': it has infinite values"):
        encoder.transform(df.assign(x=np.inf))
    with pytest.raises(ValueError, match="X must have the 3 columns that transform returns, got 2"):
        encoder.inverse_transform(np.zeros((1, 2)))
    # Other dtypes of the same values, another library, and another unit are understood.
    same = encoder.transform(df)
    other = df.assign(day=df.day.astype("M8[s]"), z=df.z.astype("Float64"))
    assert (encoder.transform(other) == same).all()
    assert (encoder.transform(pl.from_pandas(df)) == same).all()
    holed = df.assign(z=[1.0, None])
    assert np.isnan(encoder.transform(holed)).tolist() == [[False] * 3, [False, False, True]]
    found = encoder.inverse_transform(encoder.transform(holed))
    assert found.z.dtype == np.float64  # as pandas does with NaN among integers
    numbered = TableEncoder().fit(pd.DataFrame({0: [1.0, 2.0], 1: [2.0, 1.0]}))
    with pytest.raises(ValueError, match=r"X must have the columns of `fit`, \[0, 1\], got \[0, 2\]"):
        numbered.transform(pd.DataFrame({0: [1.0], 2: [2.0]}))


def test_pipelines_take_tables():
    pipe = make_pipeline(TableEncoder(), StandardScaler()).fit(pandas_table().drop(columns="never known"))
    assert "ordered=a" in pipe.get_feature_names_out()
