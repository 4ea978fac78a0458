"""Reconstructor: a transformer whose output is the reconstruction."""

from unittest import mock

import numpy as np
import pandas as pd
import pytest
import sklearn
from guards import routing
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.impute import KNNImputer, SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.utils import get_tags

from skae import AutoencoderTransformer, ConvAutoencoder, Reconstructor
from skae.noise import GaussianNoise

NAMES = list("abcdef")


def small(n_components=2, **params):
    """An estimator that trains in a fraction of a second, and keeps what it has learnt."""
    defaults = {"max_epochs": 4, "early_stopping": False, "random_state": 0, "module__hidden_layer_sizes": (16,)}
    return AutoencoderTransformer(n_components, **defaults | params)


def masked(n_components=2, **params):
    return small(n_components, missing="mask", **params)


@pytest.fixture(scope="module")
def holed(blobs):
    X = np.where(np.random.default_rng(0).random(blobs.shape) < 0.3, np.nan, blobs)
    X.flags.writeable = False
    return X


def zeros(X):
    return np.nan_to_num(X)


class Recorder(BaseEstimator, TransformerMixin):
    """An estimator that keeps what `fit` and `transform` were given; it reconstructs halves."""

    def __init__(self, missing="error"):
        self.missing = missing

    def fit(self, X, y=None, **params):
        self.given_ = {"X": X, "y": y, **params}
        return self

    def reconstruct(self, X):
        self.seen_ = X
        return np.asarray(X) / 2


# ------------------------------------------------------------------ what it computes


def test_transform_is_reconstruction_of_clone(blobs):
    ae = small()
    rec = Reconstructor(ae).fit(blobs)
    np.testing.assert_array_equal(rec.transform(blobs), clone(ae).fit(blobs).reconstruct(blobs))
    np.testing.assert_array_equal(clone(rec).fit_transform(blobs), rec.transform(blobs))
    assert not hasattr(ae, "net_")
    assert rec.n_features_in_ == 6
    assert not hasattr(rec, "filling_")


@pytest.mark.parametrize("pca", [PCA(2), make_pipeline(StandardScaler(), PCA(2))], ids=["PCA", "pipeline"])
def test_transformers_with_inverse_transform(blobs, pca):
    expected = clone(pca).fit(blobs)
    expected = expected.inverse_transform(expected.transform(blobs))
    np.testing.assert_allclose(Reconstructor(pca).fit_transform(blobs), expected)
    frame = pd.DataFrame(blobs, columns=NAMES)
    np.testing.assert_allclose(Reconstructor(pca).fit_transform(frame), expected)
    with sklearn.config_context(transform_output="pandas"):
        found = Reconstructor(pca).fit_transform(frame)
    assert found.columns.tolist() == NAMES
    np.testing.assert_allclose(found.to_numpy(), expected)


def test_pipeline_as_estimator(blobs):
    inner = make_pipeline(StandardScaler(), small())
    expected = clone(inner).fit(blobs)
    expected = expected.inverse_transform(expected.transform(blobs))
    np.testing.assert_allclose(Reconstructor(inner).fit_transform(blobs), expected)


def test_denoiser_before_classifier(digits):
    y = load_digits().target
    noisy = digits + np.random.default_rng(0).normal(scale=6, size=digits.shape)
    ae = AutoencoderTransformer(24, noise=GaussianNoise(0.5), max_epochs=20, random_state=0)
    rec = Reconstructor(ae).fit(digits[:1000])
    error = np.square(rec.transform(noisy[1000:]) - digits[1000:]).mean()
    assert error < 0.6 * np.square(noisy[1000:] - digits[1000:]).mean()
    classify = make_pipeline(StandardScaler(), LogisticRegression(max_iter=200, C=0.01))
    pipe = make_pipeline(Reconstructor(ae.set_params(max_epochs=3)), classify).fit(digits[:1000], y[:1000])
    assert pipe.score(digits[1000:], y[1000:]) > 0.85


@pytest.mark.slow
def test_search_over_parameters_of_estimator(digits):
    y = load_digits().target[:300]
    pipe = Pipeline([("impute", Reconstructor(small())), ("classify", LogisticRegression(max_iter=2000))])
    grid = {"impute__estimator__n_components": [1, 16], "impute__filling": [None, zeros, SimpleImputer()]}
    search = GridSearchCV(pipe, grid, cv=2, error_score="raise").fit(digits[:300], y)
    assert search.best_params_["impute__estimator__n_components"] == 16
    swap = {"impute__estimator": [PCA(8), small(8)], "impute__estimator__n_components": [4]}
    GridSearchCV(pipe, swap, cv=2, error_score="raise").fit(digits[:300], y)


# ------------------------------------------------------------------ keep_observed


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", ">f8"])
@pytest.mark.parametrize("filling", [None, zeros], ids=["no filling", "filling"])
def test_known_values_and_dtype_are_kept(holed, dtype, filling):
    X = holed.astype(dtype)
    known = ~np.isnan(X)
    rec = Reconstructor(masked(), filling=filling, keep_observed=True).fit(X)
    found = rec.transform(X)
    assert found.dtype == X.dtype
    assert found[known].tobytes() == X[known].tobytes()
    assert np.isfinite(found).all()
    expected = rec.estimator_.reconstruct(X if filling is None else zeros(X))
    np.testing.assert_array_equal(found[~known], expected[~known].astype(dtype))


@pytest.mark.parametrize("dtype", ["u1", "i8", "?"])
def test_integers_are_kept(dtype):
    X = np.random.default_rng(0).integers(0, 100, size=(30, 4)).astype(dtype)
    if dtype == "i8":
        X[0, 0] = 2**53 + 1
    for rec in (Reconstructor(masked()), Reconstructor(PCA(2), filling=SimpleImputer())):
        found = rec.set_params(keep_observed=True).fit(X).transform(X)
        assert found.dtype == X.dtype
        np.testing.assert_array_equal(found, X)
        found[:] = 0
        assert X.any(), "what comes out is a copy"
    assert not np.array_equal(Reconstructor(small()).fit_transform(X), X)


@pytest.mark.parametrize("estimator", [small(), PCA(2)], ids=["autoencoder", "pca"])
def test_keep_observed_requires_missing_values(estimator):
    with pytest.raises(ValueError, match="keep_observed=True needs an estimator that takes NaN"):
        Reconstructor(estimator, keep_observed=True).fit(np.eye(4))


def test_x_target_requires_x_val_target(holed):
    clean = np.nan_to_num(holed)
    rec = Reconstructor(masked(), filling=SimpleImputer(keep_empty_features=True))
    with pytest.raises(ValueError, match="X_val needs X_val_target"):
        rec.fit(holed, X_target=clean, X_val=holed)


def test_pca_imputes_with_filling(holed):
    rec = Reconstructor(PCA(2), filling=SimpleImputer(), keep_observed=True)
    found = rec.fit_transform(holed)
    known = ~np.isnan(holed)
    np.testing.assert_array_equal(found[known], holed[known])
    filled = SimpleImputer().fit_transform(holed)
    pca = PCA(2).fit(filled)
    expected = pca.inverse_transform(pca.transform(filled))
    np.testing.assert_allclose(found[~known], expected[~known])


# ------------------------------------------------------------------ filling


@pytest.mark.parametrize(
    "filling",
    [SimpleImputer(), KNNImputer(), FunctionTransformer(zeros), zeros, make_pipeline(SimpleImputer())],
    ids=["SimpleImputer", "KNNImputer", "FunctionTransformer", "function", "pipeline"],
)
def test_estimator_gets_filled_values(holed, filling):
    rec = Reconstructor(Recorder(), filling=filling).fit(holed)
    expected = zeros(holed) if not hasattr(filling, "fit") else clone(filling).fit_transform(holed)
    np.testing.assert_array_equal(rec.estimator_.given_["X"], expected)
    assert "X_target" not in rec.estimator_.given_
    found = rec.transform(holed[:7])
    np.testing.assert_array_equal(rec.estimator_.seen_, rec._fill(holed[:7], reset=False))
    np.testing.assert_array_equal(found, rec.estimator_.seen_ / 2)
    if not isinstance(filling, FunctionTransformer):  # which warns that its function returns no frame
        with sklearn.config_context(transform_output="pandas"):
            np.testing.assert_array_equal(rec.transform(holed[:7]), found)


def test_masked_estimator_is_trained_on_known_values(holed):
    rec = Reconstructor(Recorder("mask"), filling=zeros).fit(holed)
    np.testing.assert_array_equal(rec.estimator_.given_["X_target"], holed)
    clean = np.ones_like(holed)
    assert Reconstructor(Recorder("mask"), filling=zeros).fit(holed, X_target=clean).estimator_.given_["X_target"] is (
        clean
    )
    assert "X_target" not in Reconstructor(Recorder("mask")).fit(holed).estimator_.given_


def test_x_target_none_is_default(holed):
    """``X_target=None`` is what `fit` of an autoencoder takes for no target."""
    fits = [Reconstructor(masked(), filling=zeros).fit(holed, **given) for given in ({}, {"X_target": None})]
    np.testing.assert_array_equal(*(rec.transform(holed) for rec in fits))


def test_x_val_is_filled(holed):
    val = holed[:9]
    rec = Reconstructor(Recorder("mask"), filling=zeros).fit(holed, X_val=val)
    np.testing.assert_array_equal(rec.estimator_.given_["X_val"], zeros(val))
    np.testing.assert_array_equal(rec.estimator_.given_["X_val_target"], val)
    Reconstructor(masked(), filling=zeros).fit(holed, X_val=val)
    Reconstructor(small(), filling=zeros).fit(holed, X_val=val)


def test_filling_does_not_change_complete_data(blobs):
    with_it, without = (Reconstructor(small(), filling=f).fit_transform(blobs) for f in (SimpleImputer(), None))
    np.testing.assert_array_equal(with_it, without)
    masks = [Reconstructor(masked(), filling=f).fit_transform(blobs) for f in (SimpleImputer(), None)]
    np.testing.assert_allclose(*masks, atol=1e-6)


def test_filling_function_cannot_modify_x(holed):
    def in_place(X):
        X[np.isnan(X)] = 7
        return X

    X = holed.copy()
    rec = Reconstructor(masked(), filling=in_place, keep_observed=True).fit(X)
    rec.transform(X)
    np.testing.assert_array_equal(X, holed)


def test_filling_is_cloned_and_has_nested_parameters(holed):
    filling = KNNImputer(n_neighbors=3)
    rec = Reconstructor(masked(), filling=filling).set_params(filling__n_neighbors=2).fit(holed)
    assert filling.n_neighbors == 2
    assert rec.filling_ is not filling
    assert not hasattr(filling, "n_features_in_")
    rec.set_params(filling=None).fit(holed)
    assert not hasattr(rec, "filling_")


@pytest.mark.parametrize(
    ("filling", "error", "match"),
    [
        (lambda X: X[:, :2], ValueError, r"filling must keep the shape of X, \(60, 6\), got \(60, 2\)"),
        (lambda X: X[:5], ValueError, "filling must keep the shape of X"),
        (lambda X: 0.0, ValueError, r"filling must keep the shape of X, \(60, 6\), got \(\)"),
        (lambda X: None, ValueError, "filling must keep the shape of X"),
        (lambda X: X, ValueError, "filling must leave no NaN"),
        (lambda X: X.astype("f4"), ValueError, "filling must leave no NaN"),
        (StandardScaler(), ValueError, "filling must leave no NaN"),
        (SimpleImputer(add_indicator=True), ValueError, "filling must keep the shape of X"),
        (lambda X: np.nan_to_num(X, nan=np.inf), ValueError, "infinity"),
        (3.0, TypeError, "filling must be None, a transformer or a function, got 3.0"),
        ("mean", TypeError, "filling must be None, a transformer or a function, got 'mean'"),
        (SimpleImputer, TypeError, "instead of a class"),
    ],
    ids=range(12),
)
def test_invalid_filling_raises(holed, filling, error, match, unchanged):
    rec = Reconstructor(masked(), filling=filling)
    unchanged(rec, lambda: rec.fit(holed), error, match)
    rec.set_params(filling=zeros).fit(holed).set_params(filling=filling)
    unchanged(rec, lambda: rec.fit(holed), error, match)
    assert np.isfinite(rec.transform(holed)).all(), "what was fitted is still there"


def test_filling_that_fails_in_transform_raises(holed):
    fill = mock.Mock(side_effect=[zeros(holed), holed], spec=["__call__"])
    rec = Reconstructor(PCA(2), filling=fill)
    with mock.patch("skae.estimators.reconstructor.clone", lambda estimator: estimator):
        rec.fit(holed)
    with pytest.raises(ValueError, match="filling must leave no NaN"):
        rec.transform(holed)


# ------------------------------------------------------------------ what goes to fit


def test_fit_parameters_reach_estimator(blobs):
    y, weight = np.arange(60), np.ones(60)
    for filling in (None, zeros):
        given = Reconstructor(Recorder(), filling=filling).fit(blobs, y, X_target=blobs, sample_weight=weight)
        given = given.estimator_.given_
        assert given["y"] is y
        assert given["X_target"] is blobs
        assert given["sample_weight"] is weight


def test_clean_targets_and_weights(blobs):
    noisy = blobs + np.random.default_rng(0).normal(size=blobs.shape)
    weight = np.linspace(0.1, 2, 60)
    expected = small().fit(noisy, X_target=blobs, sample_weight=weight).reconstruct(noisy)
    rec = Reconstructor(small())
    np.testing.assert_array_equal(rec.fit_transform(noisy, X_target=blobs, sample_weight=weight), expected)
    pipe = Pipeline([("impute", rec), ("scale", StandardScaler())])
    pipe.fit(noisy, impute__X_target=blobs, impute__sample_weight=weight)
    np.testing.assert_array_equal(pipe["impute"].transform(noisy), expected)


@routing
def test_metadata_routing(blobs, unchanged):
    noisy = blobs + np.random.default_rng(0).normal(size=blobs.shape)
    weight = np.linspace(0.1, 2, 60)
    beside = {"X_target": blobs, "sample_weight": weight}
    expected = small().fit(noisy, **beside).reconstruct(noisy)
    with sklearn.config_context(enable_metadata_routing=True):
        ae = small().set_fit_request(X_target=True, sample_weight=True)
        np.testing.assert_array_equal(Reconstructor(ae).fit_transform(noisy, **beside), expected)
        np.testing.assert_array_equal(Reconstructor(ae).fit(noisy, **beside).transform(noisy), expected)
        pipe = make_pipeline(Reconstructor(ae), PCA(3)).fit(noisy, **beside)
        np.testing.assert_array_equal(pipe[0].transform(noisy), expected)
        first = make_pipeline(Reconstructor(ae), PCA(3)).fit_transform(noisy, **beside)
        np.testing.assert_allclose(first, PCA(3).fit_transform(expected), atol=1e-5)
        deep = make_pipeline(FunctionTransformer(), Reconstructor(ae)).fit(noisy, **beside)
        np.testing.assert_array_equal(deep.transform(noisy), expected)
        rec = Reconstructor(small())
        unchanged(rec, lambda: rec.fit(noisy, X_target=blobs), ValueError, r"\[X_target\] are passed but are not")
        off = Reconstructor(small().set_fit_request(X_target=False))
        unchanged(off, lambda: off.fit(noisy, X_target=blobs), TypeError, "X_target")


@routing
def test_metadata_routing_in_search(blobs):
    weight = np.linspace(0.1, 2, 60)
    with sklearn.config_context(enable_metadata_routing=True):
        pipe = make_pipeline(Reconstructor(small().set_fit_request(sample_weight=True)), LogisticRegression())
        pipe[-1].set_fit_request(sample_weight=False).set_score_request(sample_weight=True)
        grid = {"reconstructor__estimator__n_components": [1, 2]}
        search = GridSearchCV(pipe, grid, cv=2, error_score="raise")
        search.fit(blobs, np.arange(60) % 2, sample_weight=weight)
        found = search.best_estimator_[0].transform(blobs)
    k = search.best_params_["reconstructor__estimator__n_components"]
    np.testing.assert_array_equal(found, small(k).fit(blobs, sample_weight=weight).reconstruct(blobs))


def test_metadata_routing_with_filling(holed, blobs):
    expected = Reconstructor(masked(), filling=zeros).fit_transform(holed)
    targeted = Reconstructor(masked(), filling=zeros).fit_transform(holed, X_target=blobs)
    assert not np.array_equal(expected, targeted)
    with sklearn.config_context(enable_metadata_routing=True):
        ae = masked().set_fit_request(X_target=True)
        np.testing.assert_array_equal(Reconstructor(ae, filling=zeros).fit_transform(holed), expected)
        np.testing.assert_array_equal(Reconstructor(ae, filling=zeros).fit_transform(holed, X_target=blobs), targeted)


# ------------------------------------------------------------------ what is refused


def test_failing_fit_leaves_estimator_unchanged(blobs, holed, unchanged):
    rec = Reconstructor(small())
    for fitted in (False, True):
        if fitted:
            rec.fit(blobs)
        unchanged(rec, lambda: rec.fit(holed), ValueError, "Input X contains NaN")
        unchanged(rec, lambda: rec.fit(blobs[:, :0]), ValueError, r"0 feature\(s\)")
        unchanged(rec, lambda: rec.fit(blobs, X_target=blobs[:3]), ValueError, "X_target must have the shape")
        unchanged(rec, lambda: rec.fit(blobs, nonsense=1), TypeError, "nonsense")
    for call in (lambda: rec.transform(holed), lambda: rec.transform(blobs[:, :3])):
        unchanged(rec, call, ValueError, "Input X contains NaN|X has 3 features")
    rec = Reconstructor(masked(), filling=SimpleImputer()).fit(holed)
    unchanged(rec, lambda: rec.transform(blobs[:, :3]), ValueError, "X has 3 features")


@pytest.mark.parametrize(
    ("params", "error", "match"),
    [
        ({"estimator": StandardScaler}, TypeError, "StandardScaler"),
        ({"estimator": LogisticRegression()}, TypeError, "estimator must have reconstruct or inverse_transform"),
        ({"estimator": None}, TypeError, "estimator must have reconstruct or inverse_transform, got None"),
        ({"keep_observed": 1}, ValueError, "keep_observed must be one of True, False, got 1"),
        ({"keep_observed": None}, ValueError, "keep_observed must be one of"),
        ({"estimator__n_components": 0}, ValueError, "n_components == 0"),
    ],
    ids=str,
)
def test_bad_parameters_raise(blobs, params, error, match, unchanged):
    rec = Reconstructor(small()).set_params(**params)
    unchanged(rec, lambda: rec.fit(blobs), error, match)


# ------------------------------------------------------------------ images, tags, copies


def test_images(digits):
    images = digits[:100].reshape(-1, 8, 8, 1).repeat(3, axis=3)
    holed = images.copy()
    holed[1:, 2:5, 3:6] = np.nan
    ae = ConvAutoencoder(4, missing="mask", max_epochs=1, random_state=0)
    rec = Reconstructor(ae, keep_observed=True).fit(holed)
    found = rec.transform(holed)
    assert found.shape == images.shape
    assert not np.isnan(found).any()
    assert rec.n_features_in_ == 8
    filled = Reconstructor(ae, filling=zeros, keep_observed=True).fit(holed).transform(holed)
    known = ~np.isnan(holed)
    np.testing.assert_array_equal(filled[known], images[known])
    with pytest.raises(ValueError, match="X has"):
        rec.transform(holed[:, :, :5])
    bytes_ = images.astype(np.uint8)
    np.testing.assert_array_equal(Reconstructor(ae, keep_observed=True).fit_transform(bytes_), bytes_)
    nothing_to_fill = Reconstructor(ConvAutoencoder(4, max_epochs=1, random_state=0)).fit(bytes_).transform(bytes_)
    assert nothing_to_fill.shape == bytes_.shape


def test_tags():
    def allows_nan(rec):
        return get_tags(rec).input_tags.allow_nan

    assert not allows_nan(Reconstructor(small()))
    assert allows_nan(Reconstructor(masked()))
    assert allows_nan(Reconstructor(small(), filling=zeros))
    assert not allows_nan(Reconstructor(PCA(), keep_observed=True))
    assert get_tags(Reconstructor(TruncatedSVD())).input_tags.sparse
    assert not get_tags(Reconstructor(TruncatedSVD(), keep_observed=True)).input_tags.sparse


def test_tags_follow_estimator():
    before = get_tags(small()).input_tags.allow_nan
    get_tags(Reconstructor(small(), filling=zeros))
    assert get_tags(small()).input_tags.allow_nan is before is False


def test_nested_reconstructors(holed):
    inner = Reconstructor(masked(), keep_observed=True)
    outer = Reconstructor(PCA(2), filling=inner, keep_observed=True)
    found = outer.fit_transform(holed)
    known = ~np.isnan(holed)
    np.testing.assert_array_equal(found[known], holed[known])
    assert np.isfinite(found).all()
