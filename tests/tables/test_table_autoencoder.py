"""TableAutoencoder: reconstruction, imputation, and samples conditioned on columns."""

import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest
import sklearn
from sklearn.base import clone
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skae import AutoencoderTransformer, VAEGenerator
from skae.metrics import memorization
from skae.tables import TableAutoencoder, TableEncoder

N = 400
TINY = {"max_epochs": 3, "random_state": 0}
MASK = {"missing": "mask", "noise": "masking_noise"}


def table(n=N):
    """Numbers, a spike of zeros, counts and categories that go together, and a date."""
    rng = np.random.default_rng(0)
    age = rng.integers(18, 80, n)
    smoker = rng.choice(["no", "yes"], n, p=[0.7, 0.3])
    cost = 100 + 3 * age + 400 * (smoker == "yes") + rng.normal(0, 20, n)
    return pd.DataFrame(
        {
            "age": age,
            "smoker": smoker,
            "region": pd.Categorical(rng.choice(list("abcd"), n), list("dcbae")),
            "children": rng.poisson(1.1, n),
            "gain": np.where(rng.random(n) < 0.8, 0.0, rng.exponential(1000, n).round(2)),
            "day": pd.Timestamp("2020-01-01") + pd.to_timedelta(rng.integers(0, 999, n), unit="D"),
            "cost": cost.round(2),
        }
    )


def with_holes(df):
    rng = np.random.default_rng(1)
    holed = df.copy()
    for name in ("smoker", "region", "cost", "day"):
        holed.loc[rng.random(len(df)) < 0.3, name] = None
    return holed


ENCODER = TableEncoder(kinds={"children": "count"})


@pytest.fixture(scope="module")
def model():
    return TableAutoencoder(VAEGenerator(3, **MASK, **TINY), encoder=ENCODER).fit(with_holes(table()))


@pytest.fixture(scope="module")
def trained():
    return TableAutoencoder(VAEGenerator(3, max_epochs=50, random_state=0), encoder=ENCODER).fit(table(1000))


def assert_possible(rows, df):
    assert rows.columns.tolist() == df.columns.tolist()
    assert rows.dtypes.equals(df.dtypes)
    for name in ("age", "children", "gain", "day", "cost"):
        assert rows[name].dropna().between(df[name].min(), df[name].max()).all(), name
    assert (rows.cost.round(2) == rows.cost).where(rows.cost.notna(), True).all()
    assert set(rows.region.dropna()) <= set("abcd")


def test_results_are_tables_of_the_library_of_fit(model):
    df = table()
    Z = model.transform(df)
    assert Z.shape == (N, 3)
    for rows in (model.reconstruct(df), model.inverse_transform(Z), model.sample(200, random_state=0)):
        assert_possible(rows, df)
        assert rows.notna().all().all()
    assert model.score_samples(df).shape == (N,)
    assert model.score(df) == pytest.approx(model.score_samples(df).mean(), rel=1e-5)
    assert model.set_output(transform="pandas").transform(df).columns.tolist() == model.get_feature_names_out().tolist()
    model.set_output(transform="default")


def test_only_missing_entries_are_imputed(model):
    df = with_holes(table())
    filled = model.reconstruct(df, keep_observed=True)
    assert filled.notna().all().all()
    assert filled.dtypes.equals(df.dtypes)
    known = df.notna()
    assert (filled.where(known) == df.where(known))[known].eq(True).where(known, True).all().all()
    # What fit has not seen, and what lies beyond its bounds, is kept too.
    new = df.assign(age=200, region=df.region.cat.set_categories(list("ab"))).iloc[:50]
    filled = model.reconstruct(new, keep_observed=True)
    assert (filled.age == 200).all()
    assert filled.region.notna().all()


def test_array_of_one_value_is_given_to_all_rows(model):
    assert model.sample(2, random_state=0, given={"age": np.array(30)}).age.tolist() == [30, 30]


@pytest.mark.parametrize("unit", ["s", "ns"])
def test_dates_are_imputed_in_their_unit(model, unit):
    df = with_holes(table())
    df["day"] = df.day.where(np.arange(len(df)) % 3 > 0)
    filled = model.reconstruct(df.assign(day=df.day.astype(f"datetime64[{unit}]")), keep_observed=True)
    assert filled.day.dtype == f"datetime64[{unit}]"
    assert filled.day.between(table().day.min(), table().day.max()).all()


def test_samples_repeat_with_a_seed_and_leave_global_streams_alone(model):
    state = np.random.get_state()[1].copy()  # noqa: NPY002
    first = model.sample(20, random_state=3)
    assert first.equals(model.sample(20, random_state=3))
    assert not first.equals(model.sample(20, random_state=4))
    given = {"smoker": "yes"}
    assert model.sample(20, 3, given=given).equals(model.sample(20, 3, given=given))
    assert (np.random.get_state()[1] == state).all()  # noqa: NPY002


def test_samples_with_missing_entries(model):
    df = with_holes(table())
    rows = model.sample(2000, random_state=0, missing=True)
    assert abs(rows.isna().mean() - df.isna().mean()).max() < 0.05
    assert_possible(rows, df)
    assert model.sample(50, random_state=0, missing=True, given={"smoker": "no"}).smoker.eq("no").all()


def test_given_columns_have_their_values(model):
    rows = model.sample(30, random_state=0, given={"age": 40, "smoker": "yes", "day": "2021-02-03", "region": "a"})
    assert_possible(rows, table())
    assert rows[["age", "smoker", "day", "region"]].drop_duplicates().values.tolist() == [
        [40, "yes", pd.Timestamp("2021-02-03"), "a"]
    ]
    ages = np.arange(20, 60)
    rows = model.sample(random_state=0, given={"age": ages, "children": pd.Series([2])})
    assert rows.age.tolist() == ages.tolist()
    assert (rows.children == 2).all()


@pytest.mark.slow
def test_samples_have_the_distribution_given(trained):
    df = table(1000)
    for smoker in ("yes", "no"):
        rows = trained.sample(1000, random_state=0, given={"smoker": smoker, "age": 50})
        assert rows.cost.mean() == pytest.approx(250 + 400 * (smoker == "yes"), abs=60)
    rows = trained.sample(1000, random_state=0, given={"cost": 700.0})
    assert (rows.smoker == "yes").mean() > 0.9
    rows = trained.sample(2000, random_state=0)
    assert (rows.smoker == "yes").mean() == pytest.approx((df.smoker == "yes").mean(), abs=0.05)
    assert (rows.gain == 0).mean() == pytest.approx(0.8, abs=0.05)
    assert rows.children.mean() == pytest.approx(1.1, abs=0.15)
    encode = trained.encoder_.transform
    assert memorization(encode(df), encode(rows), encode(table(2000).iloc[1000:])).ratio > 0.7


def test_few_effective_proposals_are_warned_of(trained_tightly):
    with pytest.warns(UserWarning, match=r"The effective number of codes is only .* of \d+"):
        trained_tightly.sample(5, random_state=0, given={f"x{i}": 9.0 for i in range(8)})


@pytest.fixture(scope="module")
def trained_tightly():
    rng = np.random.default_rng(0)
    t = rng.normal(size=(300, 4))
    X = np.hstack([t, t + 0.001 * rng.normal(size=t.shape)])
    X[0] = 9.0
    df = pd.DataFrame(X, columns=[f"x{i}" for i in range(8)])
    return TableAutoencoder(
        VAEGenerator(4, max_epochs=30, random_state=0), encoder=TableEncoder(numbers="standard")
    ).fit(df)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            {"smoker": "maybe"},
            r"Column 'smoker': given 'maybe', which was not seen in `fit`: the values are \['no', 'yes'\]",
        ),
        ({"smoker": ["yes", "maybe"]}, "Column 'smoker': given 'maybe'"),
        ({"smoker": 3}, "Column 'smoker': given 3, which"),
        ({"region": "e"}, "Column 'region': given 'e', which was not seen"),
        ({"age": 400}, "Column 'age': given 400, but the values in `fit` are whole numbers from 18 to 79"),
        ({"age": 40.5}, "Column 'age': given 40.5, but the values in `fit` are whole numbers"),
        ({"day": "1999-01-01"}, "Column 'day': given 1999-01-01.*, but the values in `fit` are values from 2020-01-0"),
        ({"age": np.nan}, "Column 'age': given a missing value"),
        ({"age": "old"}, "Column 'age': it has strings such as 'old', but had numbers in `fit`"),
        ({"agee": 3}, "given has the unknown column 'agee'. Did you mean 'age'"),
        ({"age": [30, 40], "cost": [200.0, 300.0, 400.0]}, r"given\['age'\] must have one value or 3"),
        ({"age": [30, 40, 50]}, "given has 3 values for n_samples=2 rows"),
        ({}, "given must be a dict"),
        ("smoker", "given must be a dict"),
    ],
)
def test_impossible_conditions_raise(model, given, message):
    with pytest.raises((ValueError, TypeError), match=message):
        model.sample(2, given=given)


def test_errors_name_the_remedy_and_leave_the_model_alone(model):
    df, holed = table(), with_holes(table())
    plain = TableAutoencoder(VAEGenerator(2, **TINY))
    with pytest.raises(
        ValueError, match=r"X has missing entries in 'smoker', 'region', 'day', 'cost': set missing='mask'"
    ):
        plain.fit(holed)
    assert not hasattr(plain, "estimator_")
    plain.fit(df)
    before = dict(vars(plain))
    with pytest.raises(ValueError, match="missing='mask'"):
        plain.transform(holed)
    for params, message in (
        ({"estimator": StandardScaler()}, "estimator must be an autoencoder of skae"),
        ({"encoder": StandardScaler()}, "encoder must be a TableEncoder"),
        ({"loss": "gaussian"}, "loss must be one of 'mixed', None"),
        ({"estimator": VAEGenerator(conditional=True)}, "must not be conditional: include y as a column"),
    ):
        with pytest.raises((ValueError, TypeError), match=message):
            clone(plain).set_params(**params).fit(df)
    with pytest.raises(ValueError, match="Column 'id'"):
        plain.fit(df.assign(id=[f"row {i}" for i in range(N)]))
    assert vars(plain) == before
    numbers = df[["age", "cost"]]
    unmixed = TableAutoencoder(VAEGenerator(2, **TINY), loss=None).fit(numbers)
    assert unmixed.sample(3, random_state=0).dtypes.equals(numbers.dtypes)
    with pytest.raises(ValueError, match="given needs loss='mixed'"):
        unmixed.sample(given={"age": 40})
    with pytest.raises(AttributeError, match="sample needs a density of the codes"):
        TableAutoencoder(AutoencoderTransformer(2, **TINY)).fit(numbers).sample()


def test_other_estimators_and_libraries():
    df = pl.from_pandas(table()[["age", "smoker", "cost"]])
    ae = AutoencoderTransformer(2, prior=GaussianMixture(2, random_state=0), **TINY)
    model = TableAutoencoder(ae).fit(df, X_val=df.head(50))
    rows = model.sample(50, random_state=0, given={"smoker": "yes"})
    assert rows.schema == df.schema
    assert rows["smoker"].unique().to_list() == ["yes"]
    assert model.sample(given={"age": df["age"].head(4)})["age"].to_list() == df["age"].head(4).to_list()
    X = table()[["age", "smoker"]].to_numpy(object)
    assert TableAutoencoder(VAEGenerator(2, **TINY)).fit(X).sample(3, 0, given={1: "no"})[:, 1].tolist() == ["no"] * 3


def test_pipelines_and_searches_take_it():
    df = table()[["age", "smoker", "cost"]]
    model = TableAutoencoder(VAEGenerator(2, max_epochs=1, random_state=0))
    pipe = make_pipeline(model, StandardScaler()).fit(df)
    assert pipe.transform(df).shape == (N, 2)
    search = GridSearchCV(model, {"estimator__n_components": [1, 2]}, cv=2).fit(df)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert search.best_estimator_.sample(2).shape == (2, 3)


def test_rare_categories_are_drawn():
    words = ["a"] * 200 + ["b"] * 100 + ["c"] * 30 + ["d"] * 30
    df = pd.DataFrame({"word": words, "x": np.arange(360.0)})
    model = TableAutoencoder(VAEGenerator(2, **TINY), encoder=TableEncoder(max_categories=3)).fit(df)
    rows = model.sample(500, random_state=0)
    assert set(rows.word) == set("abcd")
    assert set(model.reconstruct(df).word) <= set("abc")
    assert set(model.sample(20, random_state=0, given={"word": "d"}).word) == {"d"}


def test_ordinary_fit_does_not_warn():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        TableAutoencoder(VAEGenerator(2, **MASK, **TINY)).fit(
            with_holes(table()).assign(constant=1.0, huge=table().cost * 1e6)
        )


def test_metadata_is_routed_to_the_estimator():
    df, weight = table(60), np.r_[np.ones(30), np.zeros(30)]
    with sklearn.config_context(enable_metadata_routing=True):
        ae = AutoencoderTransformer(2, **TINY).set_fit_request(sample_weight=True)
        routed = TableAutoencoder(ae).fit(df, sample_weight=weight)
        with pytest.raises(sklearn.exceptions.UnsetMetadataPassedError):
            TableAutoencoder(AutoencoderTransformer(2, **TINY)).fit(df, sample_weight=weight)
    passed_on = TableAutoencoder(AutoencoderTransformer(2, **TINY)).fit(df, sample_weight=weight)
    np.testing.assert_array_equal(routed.transform(df), passed_on.transform(df))
    assert (routed.transform(df) != TableAutoencoder(AutoencoderTransformer(2, **TINY)).fit_transform(df)).any()
