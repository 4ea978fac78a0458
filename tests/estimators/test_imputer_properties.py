"""Properties of scikit-learn's imputers, tested for them and for `Reconstructor`."""

import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy import sparse
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.decomposition import PCA
from sklearn.impute import KNNImputer, MissingIndicator, SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import FeatureUnion, make_pipeline

from skae import AutoencoderTransformer, Reconstructor, VAEGenerator

NAMES = list("abcdef")
FIT = {"max_epochs": 2, "early_stopping": False, "random_state": 0, "module__hidden_layer_sizes": (8,)}
KEEP = {"keep_empty_features": True}
IMPUTERS = {
    "SimpleImputer": SimpleImputer(**KEEP),
    "KNNImputer": KNNImputer(**KEEP),
    "autoencoder": Reconstructor(AutoencoderTransformer(2, missing="mask", **FIT), keep_observed=True),
    "vae": Reconstructor(VAEGenerator(2, missing="mask", prior=None, **FIT), keep_observed=True),
    "filling": Reconstructor(AutoencoderTransformer(2, **FIT), filling=SimpleImputer(**KEEP), keep_observed=True),
    "masked, filling": Reconstructor(
        AutoencoderTransformer(2, missing="mask", **FIT), filling=KNNImputer(**KEEP), keep_observed=True
    ),
    "PCA": Reconstructor(PCA(2), filling=SimpleImputer(**KEEP), keep_observed=True),
}
UNTRAINED = [AutoencoderTransformer(2, missing=m, module__linear_skip=False, **FIT) for m in ("mask", "error")]
OURS = {name: imputer for name, imputer in IMPUTERS.items() if isinstance(imputer, Reconstructor)}


@pytest.fixture(params=IMPUTERS)
def imputer(request):
    return clone(IMPUTERS[request.param])


@pytest.fixture(params=OURS)
def reconstructor(request):
    return clone(OURS[request.param])


@pytest.fixture(scope="module")
def holed(blobs):
    X = np.where(np.random.default_rng(0).random(blobs.shape) < 0.3, np.nan, blobs)
    X.flags.writeable = False
    return X


@pytest.fixture(scope="module")
def frame(holed):
    return pd.DataFrame(holed, columns=NAMES, index=np.arange(60) + 100)


# ------------------------------------------------------------------ what is kept, and what is filled


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8"])
def test_known_values_are_kept_and_missing_ones_imputed(imputer, holed, dtype):
    X = holed.astype(dtype)
    found = imputer.fit(X).transform(X)
    assert found.dtype == X.dtype
    assert found.shape == X.shape
    known = ~np.isnan(X)
    np.testing.assert_array_equal(found[known], X[known])
    assert np.isfinite(found).all()


def test_complete_data_are_copied(imputer, holed, blobs):
    X = blobs.copy()
    found = imputer.fit(holed).transform(X)
    np.testing.assert_array_equal(found, blobs)
    found[:] = 0
    np.testing.assert_array_equal(X, blobs)
    np.testing.assert_array_equal(imputer.fit(blobs).transform(blobs), blobs)
    assert np.isfinite(imputer.transform(holed)).all(), "what was complete in fit need not be so later"


def test_samples_are_imputed_independently(imputer, holed):
    imputer.fit(holed)
    alone = np.concatenate([imputer.transform(holed[i : i + 1]) for i in range(20)])
    np.testing.assert_allclose(alone, imputer.transform(holed[:20]), rtol=1e-4, atol=1e-5)


def test_integers_keep_their_values(imputer, holed):
    X = np.random.default_rng(0).integers(0, 50, size=(30, 6))
    found = imputer.fit(X).transform(X)
    np.testing.assert_array_equal(found, X)
    part = np.where(np.isnan(holed[:30]), np.nan, X)
    assert np.isfinite(imputer.transform(part)).all(), "fitted on integers, used on floats with NaN"
    np.testing.assert_array_equal(clone(imputer).fit(holed).transform(X), X)


def test_all_missing_sample_is_imputed(imputer, holed):
    found = imputer.fit(holed).transform(np.full((2, 6), np.nan))
    assert np.isfinite(found).all()
    np.testing.assert_allclose(found[0], np.nanmean(holed, axis=0), atol=0.5)


@pytest.mark.filterwarnings("ignore:X has no observed values for the features:UserWarning")
def test_empty_feature_is_imputed_as_zero(imputer, holed):
    X = holed.copy()
    X[:, 2] = np.nan
    found = imputer.fit(X).transform(X)
    assert found.shape == X.shape
    np.testing.assert_array_equal(found[:, 2], 0)
    assert np.isfinite(found).all()
    assert np.isfinite(imputer.transform(holed)).all(), "it may be known later"


@pytest.mark.parametrize("estimator", [PCA(2), *UNTRAINED], ids=str)
def test_empty_feature_is_imputed_by_filling(holed, blobs, estimator):
    X = holed.copy()
    X[:, 2] = np.nan
    filling = SimpleImputer(strategy="constant", fill_value=7.0, **KEEP)
    rec = Reconstructor(estimator, filling=filling).fit(X)
    for keep_observed in (True, False):
        found = rec.set_params(keep_observed=keep_observed).transform(X)
        np.testing.assert_array_equal(found[:, 2], 7)
        assert (np.delete(found, 2, axis=1) != 7).all()
    kept = rec.set_params(keep_observed=True).transform(holed)[:, 2]
    np.testing.assert_array_equal(kept, np.where(np.isnan(holed[:, 2]), 7, holed[:, 2]))


def test_empty_feature_with_clean_target(holed, blobs):
    X = holed.copy()
    X[:, 2] = np.nan
    rec = Reconstructor(AutoencoderTransformer(2, **FIT), filling=SimpleImputer(**KEEP))
    assert (rec.fit(X, X_target=blobs).transform(X)[:, 2] != 0).all()


@pytest.mark.parametrize("name", ["autoencoder", "vae"])
def test_empty_feature_warns(name, frame):
    X = frame.assign(c=np.nan)
    with pytest.warns(UserWarning, match=r"no observed values for the features \['c'\]"):
        clone(OURS[name]).fit(X)


KINDS = {
    "None in lists": lambda X: [[None if np.isnan(v) else v for v in row] for row in X],
    "lists": lambda X: X.tolist(),
    "objects": lambda X: X.astype(object),
    "object frame": lambda X: pd.DataFrame(X, columns=NAMES).astype(object),
    "Float64": lambda X: pd.DataFrame(X, columns=NAMES).astype("Float64"),
    "pyarrow": lambda X: pd.DataFrame(X, columns=NAMES).astype("float64[pyarrow]"),
    "polars": lambda X: pl.DataFrame(X, schema=NAMES).fill_nan(None),
    "Fortran order": np.asfortranarray,
    "every other row": lambda X: np.repeat(X, 2, axis=0)[::2],
}


@pytest.mark.parametrize("kind", KINDS)
def test_kinds_of_missing_values(imputer, holed, kind):
    expected = clone(imputer).fit(holed).transform(holed)
    found = imputer.fit(KINDS[kind](holed)).transform(KINDS[kind](holed))
    np.testing.assert_allclose(np.asarray(found, float), expected, rtol=1e-4, atol=1e-5)


# ------------------------------------------------------------------ names and containers


def test_missing_indicator(imputer, frame):
    """The columns of ``add_indicator=True``, for any imputer."""
    both = [("imputer", imputer), ("indicator", MissingIndicator())]
    union = FeatureUnion(both, verbose_feature_names_out=False).fit(frame)
    reference = SimpleImputer(add_indicator=True).fit(frame)
    assert union.get_feature_names_out().tolist() == reference.get_feature_names_out().tolist()
    np.testing.assert_array_equal(union.transform(frame)[:, 6:], reference.transform(frame)[:, 6:])


# ------------------------------------------------------------------ tags, and what is refused


def test_sparse_matrices(reconstructor, holed):
    for make in (sparse.csr_array, sparse.csc_matrix):
        X = make(np.where(np.isnan(holed), np.nan, holed))
        if reconstructor.filling is not None:
            with pytest.raises(TypeError, match=r"[Ss]parse .* filling, which needs a dense X: use X\.toarray\(\)"):
                reconstructor.fit(X)
            with pytest.raises(TypeError, match="needs a dense X"):
                clone(reconstructor).fit(holed).transform(X)
            continue
        filled = clone(reconstructor).fit(X).transform(X)
        np.testing.assert_array_equal(filled[~np.isnan(holed)], holed[~np.isnan(holed)])
        assert np.isfinite(filled).all()


class Drops(BaseEstimator, TransformerMixin):
    """An imputer of a user's own that drops empty features, and fills the others."""

    def fit(self, X, y=None):
        self.kept_ = ~np.isnan(np.asarray(X)).all(axis=0)
        return self

    def transform(self, X):
        return np.nan_to_num(np.asarray(X)[:, self.kept_])


DROPPING = [SimpleImputer(), KNNImputer(), make_pipeline(SimpleImputer()), Drops()]


@pytest.mark.parametrize("filling", DROPPING, ids=range(4))
def test_filling_that_drops_features_raises(frame, filling, unchanged):
    rec = Reconstructor(PCA(2), filling=filling, keep_observed=True)
    X = frame.assign(c=np.nan)
    match = r"\(60, 6\), got \(60, 5\)\. X had no observed values in the features \['c'\]\. .* keep_empty_features=True"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # SimpleImputer's own, of what it skips
        unchanged(rec, lambda: rec.fit(X), ValueError, match)


def test_filling_that_leaves_nan_raises(frame):
    def fill_all_but_c(X):
        filled = np.nan_to_num(X)
        filled[:, 2] = X[:, 2]
        return filled

    with pytest.raises(ValueError, match=r"filling must leave no NaN, got NaN in the features \['c'\]"):
        Reconstructor(PCA(2), filling=fill_all_but_c).fit(frame)


# ------------------------------------------------------------------ in company


def test_pipeline_and_cross_validation(imputer, holed):
    y = np.arange(60) % 2
    scores = cross_val_score(make_pipeline(imputer, LogisticRegression()), holed, y, cv=2, error_score="raise")
    assert np.isfinite(scores).all()
