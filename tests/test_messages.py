"""Errors for arrays that scikit-learn rejects name the column and the remedy."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skae import AutoencoderTransformer, ConvAutoencoder, OutlierDetector, VAEGenerator
from skae._data.messages import in_columns, where
from skae.tables import TableEncoder

FIT = {"max_epochs": 1, "random_state": 0, "module__hidden_layer_sizes": (4,)}
frames = pytest.mark.parametrize("frame", [pd.DataFrame, pl.DataFrame])


def good(n=20):
    rng = np.random.default_rng(0)
    return {name: rng.normal(size=n) for name in "abc"}


def refusal(X, **params):
    """What `fit`, and after a fit on good data every other method, say of ``X``."""
    ae = AutoencoderTransformer(2, **FIT, **params)
    with pytest.raises(ValueError) as first:
        ae.fit(X)
    table = type(X)(good()) if hasattr(X, "columns") else np.column_stack(list(good().values()))
    ae.fit(table)
    for method in (ae.transform, ae.reconstruct, ae.score, ae.score_samples, ae.partial_fit):
        with pytest.raises(ValueError) as other:
            method(X)
        assert str(other.value) == str(first.value)
    with pytest.raises(ValueError) as beside:
        ae.fit(table, X_val=X)
    assert str(beside.value) == str(first.value).replace("X", "X_val")
    return str(first.value)


@given(st.lists(st.booleans(), min_size=1, max_size=8).filter(any))
def test_at_most_three_columns_are_named(bad):
    text = where(np.array([bad, bad]), names=[f"c{i}" for i in range(len(bad))])
    columns = [f"'c{i}'" for i in np.flatnonzero(bad)]
    assert all(column in text for column in columns[:3])
    assert not any(column in text for column in columns[3:])
    assert text.startswith("columns " if len(columns) > 1 else "column '")
    assert text.endswith(f" and {len(columns) - 3} more") == (len(columns) > 3)


def test_unnamed_columns_are_numbered():
    assert in_columns([4]) == "column 4"
    assert in_columns([0, 4]) == "columns 0 and 4"
    assert in_columns([0, 4, 5]) == "columns 0, 4 and 5"
    assert where(np.ones((2, 3, 3), bool)) == "samples 0 and 1"


@frames
@pytest.mark.parametrize(("value", "word"), [(np.nan, "NaN"), (np.inf, "infinity"), (-np.inf, "infinity")])
def test_non_finite_values_name_column(frame, value, word):
    table = good()
    table["b"][3] = table["c"][[1, 4]] = value
    message = refusal(frame(table))
    assert message.startswith(f"Input X contains {word}")
    assert "in columns 'b' and 'c'." in message
    assert ("missing='mask'" in message) == (word == "NaN")
    assert "HistGradientBoosting" not in message


def test_infinity_with_missing_values():
    table = pd.DataFrame(good())
    table.loc[2, "a"], table.loc[3, "c"] = np.nan, np.inf
    with pytest.raises(ValueError, match=r"Input X contains infinity .* in column 'c'\."):
        AutoencoderTransformer(2, missing="mask", **FIT).fit(table)


def test_other_kinds_of_missing_values():
    table = pd.DataFrame(good())
    table["b"] = pd.array([1, None] * 10, dtype="Int64")
    assert "NaN in column 'b'. Set missing='mask'" in refusal(table)
    table = pl.DataFrame(good() | {"c": [None, 1.0] * 10})
    assert "NaN in column 'c'" in refusal(table)


@frames
def test_values_too_large_for_float32(frame):
    assert "too large for float32, in column 'c'" in refusal(frame(good() | {"c": np.full(20, 1e100)}))


CATEGORIES = {
    "strings": list("xy") * 10,
    "categories": pd.Categorical(list("xy") * 10),
}


@pytest.mark.parametrize("kind", CATEGORIES)
def test_categorical_columns_raise(kind):
    message = refusal(pd.DataFrame(good() | {"b": CATEGORIES[kind]}))
    assert "column 'b' has " in message  # strings have no dtype of their own before pandas 3
    assert "OneHotEncoder" in message
    assert "TableVectorizer" in message


def test_categorical_columns_of_other_tables_raise():
    assert "column 'b' has dtype String" in refusal(pl.DataFrame(good() | {"b": list("xy") * 10}))
    X = np.array([[1.0, "x", 2.0]] * 20, object)
    assert "column 1 has values such as 'x' (str). Encode categories" in refusal(X)


@frames
def test_date_columns_raise(frame):
    dates = pd.date_range("2020-01-01", periods=20)
    dates = dates if frame is pd.DataFrame else pl.from_pandas(dates.to_series())
    message = refusal(frame(good() | {"b": dates}))
    assert "column 'b' has dtype" in message
    assert "Turn dates into numbers" in message


def test_column_of_arrays_among_others_raises():
    table = pd.DataFrame(good() | {"b": list(np.ones((20, 4, 4)))})
    assert "column 'b' holds arrays: pass X['b'] alone" in refusal(table)


def test_integer_categories_are_accepted():
    table = pd.DataFrame(good() | {"b": pd.Categorical([1, 2] * 10)})
    assert AutoencoderTransformer(2, **FIT).fit(table).n_features_in_ == 3


def test_nd_arrays_name_samples():
    X = np.zeros((6, 8, 8))
    X[4, 2, 2] = np.nan
    with pytest.raises(ValueError, match=r"Input X contains NaN in sample 4\. Set missing='mask'"):
        ConvAutoencoder(2, max_epochs=1).fit(X)


def test_values_outside_domain_name_column():
    table = pd.DataFrame(good()).clip(0, 1).assign(b=2.0)
    with pytest.raises(ValueError, match=r"needs X in \[0, 1\], got values from 0 to 2, in column 'b'"):
        AutoencoderTransformer(2, loss="bernoulli", **FIT).fit(table)


@pytest.mark.parametrize("conditional", [True, "targets"])
@pytest.mark.parametrize("make", [pd.DataFrame, lambda table: pd.DataFrame(table).to_numpy()])
def test_two_string_columns_as_y_raise(conditional, make):
    y = make({"u": list("ab") * 10, "v": list("xy") * 10})
    vae = VAEGenerator(2, conditional=conditional, **FIT)
    with pytest.raises(ValueError, match=r"columns ('u'|0) and ('v'|1) have .*OneHotEncoder.*one column: pass one"):
        vae.fit(np.column_stack(list(good().values())), y)
    vae.set_params(conditional="classes")
    with pytest.raises(ValueError, match=r"array of shape \(20, 2\) instead. Pass one column"):
        vae.fit(np.column_stack(list(good().values())), y)


def test_targets_name_column():
    y = pd.DataFrame({"u": np.ones(20), "v": np.full(20, np.nan)})
    with pytest.raises(ValueError, match="Input y contains NaN in column 'v'"):
        VAEGenerator(2, conditional="targets", **FIT).fit(np.column_stack(list(good().values())), y)
    with pytest.raises(ValueError, match=r"got \(20, 2, 2\)\. Reconstruction targets are passed as X_target"):
        VAEGenerator(2, conditional=True, **FIT).fit(np.column_stack(list(good().values())), np.ones((20, 2, 2)))


@pytest.mark.parametrize("weight", ["balanced", {0: 1.0, 1: 2.0}])
def test_sample_weight_of_classes_names_the_remedy(weight):
    with pytest.raises(TypeError, match=r"sample_weight must be a number or an array .*compute_sample_weight"):
        AutoencoderTransformer(2, **FIT).fit(pd.DataFrame(good()), sample_weight=weight)


@frames
def test_strings_in_the_default_detector_name_the_column(frame):
    table = frame(good() | {"city": ["x", "y"] * 10})
    with pytest.raises(ValueError, match=r"X must hold real numbers, but column 'city' .* OneHotEncoder"):
        OutlierDetector().fit(table)


@pytest.mark.parametrize("contamination", ["auto", None])
def test_contamination_names_its_range(contamination):
    with pytest.raises(TypeError, match=r"contamination must be a number in \(0, 0.5\].* such as 0.01"):
        OutlierDetector(contamination=contamination).fit(pd.DataFrame(good()))


@pytest.mark.parametrize(
    ("fitted", "passed"), [(["1", "2", "3"], [1, 2, 3]), ([True, False, True], ["True", "False", "x"])]
)
def test_categories_of_another_type_name_both(fitted, passed):
    encoder = TableEncoder().fit(pd.DataFrame({"a": fitted * 10}))
    text = rf"Column 'a': .*{passed[0]!r} \({type(passed[0]).__name__}\).* \({type(fitted[0]).__name__}\) in `fit`"
    with pytest.raises(ValueError, match=text):
        encoder.transform(pd.DataFrame({"a": passed}))


def test_validation_data_of_another_width_name_both_shapes():
    table = pd.DataFrame(good()).to_numpy()
    with pytest.raises(ValueError, match=r"X_val must have the shape \(n_samples, 3\) to match X, got \(20, 2\)"):
        AutoencoderTransformer(2, **FIT).fit(table, X_val=table[:, :2])
