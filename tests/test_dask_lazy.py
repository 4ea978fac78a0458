"""Methods that map rows to rows stay lazy on dask collections that are too large to hold."""

import pickle
import random

import dask
import dask.array as da
import dask.dataframe as dd
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import sklearn
from sklearn.datasets import load_digits
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from skae import AutoencoderTransformer, ConvAutoencoder, OutlierDetector, Reconstructor, VAEGenerator
from skae._data import dask_lazy
from skae.tables import TableAutoencoder, TableEncoder

SMALL = {"max_epochs": 1, "random_state": 0, "module__hidden_layer_sizes": (8,)}
N = 90


@pytest.fixture(autouse=True)
def small_budget(monkeypatch):
    """Dask arrays of more than 5 kB are too large to hold, and dask computes in this thread."""
    monkeypatch.setattr(dask_lazy, "hold_budget", lambda: 5000)
    random.seed(1)
    before = random.getstate()
    with dask.config.set(scheduler="synchronous"):
        yield
    assert random.getstate() == before  # from which dask draws to estimate sizes


@pytest.fixture(scope="module")
def X():
    return load_digits().data[:N].astype(np.float32)


@pytest.fixture(scope="module")
def ae(X):
    return AutoencoderTransformer(3, **SMALL).fit(X)


def same(lazy, wanted, n_blocks=None, tol=0):
    """Whether a dask collection has the values, the type and the dtype that it promises, and those wanted."""
    found = lazy.compute()
    assert type(found) is type(wanted)
    if isinstance(wanted, pd.DataFrame):
        pd.testing.assert_frame_equal(found, wanted, atol=max(tol, 1e-8))
        assert list(lazy.columns) == list(wanted.columns)
        assert list(lazy.dtypes) == list(wanted.dtypes)
    else:
        np.testing.assert_allclose(found, wanted, rtol=tol, atol=tol, strict=True)
        assert (lazy.dtype, lazy.ndim, *lazy.shape[1:]) == (wanted.dtype, wanted.ndim, *wanted.shape[1:])
    if n_blocks is not None:
        assert lazy.npartitions == n_blocks


CHUNKS = {
    "even": ((30, 30, 30), 64),
    "uneven, with an empty one": ((50, 0, 40), 64),
    "in columns": ((60, 30), (32, 32)),
}


@pytest.mark.parametrize("chunks", CHUNKS.values(), ids=CHUNKS)
@pytest.mark.parametrize("method", ["transform", "reconstruct", "score_samples"])
def test_large_arrays_stay_lazy_and_equal_to_the_bit(ae, X, method, chunks):
    lazy = getattr(ae, method)(da.from_array(X, chunks=chunks))
    assert isinstance(lazy, da.Array)
    assert lazy.chunks[0] == chunks[0]
    same(lazy, getattr(ae, method)(X), len(chunks[0]))


def test_small_ones_are_eager(ae, X):
    assert type(ae.transform(da.from_array(X[:10], chunks=5))) is np.ndarray


def test_blocks_may_be_sparse(ae, X):
    D = da.from_array(X, chunks=(45, 64)).map_blocks(sp.csr_array, meta=sp.csr_array((0, 64), dtype=X.dtype))
    same(ae.transform(D), ae.transform(X))


def test_errors_come_at_the_call(ae, X):
    D = da.from_array(X, chunks=30)
    with pytest.raises(NotFittedError):
        AutoencoderTransformer().score_samples(D)
    for method in (ae.transform, ae.score_samples):
        with pytest.raises(ValueError, match="X has 63 features, but AutoencoderTransformer is expecting 64"):
            method(D[:, 1:])
    with pytest.raises(TypeError, match="wrong"):
        ae.transform(D, wrong=1)
    with pytest.raises(ValueError, match="keep_observed=True needs an estimator"):
        ae.reconstruct(D, keep_observed=True)


def test_unknown_number_of_rows_is_too_large(ae, X):
    D = da.from_array(X[:80], chunks=40)
    D = da.concatenate([D, D[:5] - 100])  # of which no row is left
    lazy = ae.transform(D[D[:, 0] >= 0])
    assert np.isnan(lazy.shape[0])
    same(lazy, ae.transform(X[:80]))


def test_codes_are_decoded_lazily(ae, X):
    Z = np.tile(ae.transform(X), (5, 1))
    same(ae.inverse_transform(da.from_array(Z, chunks=100)), ae.inverse_transform(Z))


def test_dataframes_of_dask_stay_lazy(X):
    df = pd.DataFrame(X, columns=[f"pixel {i}" for i in range(64)], index=np.arange(N) * 2)
    ae = AutoencoderTransformer(3, **SMALL).fit(df)
    lazy = dd.from_pandas(df, npartitions=3)
    for method in ("transform", "reconstruct", "score_samples"):
        same(getattr(ae, method)(lazy), getattr(ae, method)(df), 3, tol=1e-5)
    # Rounding may depend on the memory layout of a DataFrame's blocks.
    same(ae.transform(lazy[lazy["pixel 2"] > 13]), ae.transform(df[df["pixel 2"] > 13]), tol=1e-5)
    ae.set_output(transform="pandas")
    same(ae.transform(lazy), ae.transform(df), 3, tol=1e-5)
    same(ae.inverse_transform(ae.transform(lazy)), ae.inverse_transform(ae.transform(df)), tol=1e-5)
    with pytest.raises(ValueError, match="feature names should match"):
        ae.score_samples(lazy.rename(columns={"pixel 2": "other"}))


def test_pipelines_pass_dask_collections_on(X):
    def halved(A):
        return A / 2

    ae = AutoencoderTransformer(3, **SMALL)
    pipe = make_pipeline(FunctionTransformer(halved), ae, FunctionTransformer(halved)).fit(X)
    D = da.from_array(X, chunks=30)
    same(pipe.transform(D), pipe.transform(X), 3)
    for framed in (ae.set_output(transform="pandas"), make_pipeline(ae).set_output(transform="pandas")):
        same(framed.transform(D), framed.transform(X), 3)
    ae.set_output(transform="polars")
    with pytest.raises(ValueError, match=r"cannot be a DataFrame of polars: use set_output 'pandas'"):
        ae.transform(D)


def test_configuration_goes_along(X):
    ae = AutoencoderTransformer(3, **SMALL).fit(X)
    D = da.from_array(X, chunks=30)
    with sklearn.config_context(transform_output="pandas"):
        lazy, wanted = ae.transform(D), ae.transform(X)
    same(lazy, wanted)


def test_lazy_result_is_independent_of_later_changes(X):
    ae = AutoencoderTransformer(3, **SMALL).fit(X)
    lazy, wanted = ae.transform(da.from_array(X, chunks=30)), ae.transform(X)
    ae.set_params(n_components=5).fit(-X)
    same(lazy, wanted)


def test_estimator_is_in_the_graph_once(ae, X):
    (optimized,) = dask.optimize(ae.transform(da.from_array(X, chunks=(10, 64))))
    sizes = [len(pickle.dumps(task)) for task in dict(optimized.__dask_graph__()).values()]
    assert sum(size > len(pickle.dumps(ae)) / 2 for size in sizes) == 1


def test_example_of_row(X):
    images = X.reshape(N, 8, 8)
    conv = ConvAutoencoder(2, max_epochs=1, random_state=0, module__channels=(2,), module__hidden_layer_sizes=(4,))
    conv.fit(images)
    D = da.from_array(images, chunks=(45, 8, 4))
    for method in ("transform", "reconstruct", "score_samples"):
        same(getattr(conv, method)(D), getattr(conv, method)(images))
    with pytest.raises(ValueError, match=r"X has rows of shape \(4, 8\)"):
        conv.transform(D[:, :4])
    Z = np.tile(conv.transform(images), (9, 1))
    codes = da.from_array(Z, chunks=(405, 1))
    same(conv.inverse_transform(codes), conv.inverse_transform(Z), 2)
    same(conv.inverse_transform(codes[codes[:, 0] < 1e9]), conv.inverse_transform(Z))


def test_targets_and_classes_go_along(X):
    y = np.arange(N) % 3
    vae = VAEGenerator(2, conditional=True, prior=None, **SMALL).fit(X, y)
    D = da.from_array(X, chunks=30)
    for given in (y, da.from_array(y, chunks=45)):
        same(vae.reconstruct(D, given), vae.reconstruct(X, y))
        same(vae.score_samples(D, y=given, n_importance_samples=2), vae.score_samples(X, y, n_importance_samples=2))
    same(vae.reconstruct(D, 1), vae.reconstruct(X, 1))  # one class for all rows
    with pytest.raises(ValueError, match="y must have 90 rows, like X, got 7"):
        vae.reconstruct(D, y[:7])
    ae = AutoencoderTransformer(2, **SMALL).fit(X)
    same(ae.score_samples(D, X_target=D[::-1]), ae.score_samples(X, X_target=X[::-1]))
    with pytest.raises(ValueError, match="X_target needs an X with a known number of rows"):
        ae.score_samples(D[D[:, 0] >= 0], X_target=X)
    with pytest.raises(TypeError, match=r"X_target must be a dask DataFrame or Series.* got ndarray"):
        ae.score_samples(dd.from_dask_array(D), X_target=X)
    with pytest.raises(ValueError, match="X_target must have 3 partitions, like X, got 2: repartition it"):
        ae.score_samples(dd.from_dask_array(D), X_target=dd.from_dask_array(D.rechunk((45, 64))))
    words = pd.Series([*"abc"], dtype="str").iloc[y]
    vae = VAEGenerator(2, conditional=True, prior=None, **SMALL).fit(X, words)
    same(vae.reconstruct(D, words), vae.reconstruct(X, words))


def test_holes_are_filled(X):
    holes = X.copy()
    holes[::2, 5] = np.nan
    ae = AutoencoderTransformer(2, missing="mask", **SMALL).fit(holes)
    D = da.from_array(holes, chunks=30)
    same(ae.reconstruct(D, keep_observed=True), ae.reconstruct(holes, keep_observed=True))
    rec = Reconstructor(ae).fit(holes)
    same(rec.transform(D), rec.transform(holes))


def test_outliers(X):
    detector = OutlierDetector(AutoencoderTransformer(2, **SMALL), cv=2, random_state=0).fit(X)
    D = da.from_array(X, chunks=30)
    for method in ("score_samples", "decision_function", "predict", "p_values"):
        same(getattr(detector, method)(D), getattr(detector, method)(X))


def test_tables():
    rng = np.random.default_rng(0)
    df = pd.DataFrame({"a": rng.normal(size=N), "b": rng.choice(["x", "y", "z"], N), "c": rng.integers(0, 4, N)})
    lazy = dd.from_pandas(df, npartitions=3)
    encoder = TableEncoder().fit(df)
    same(encoder.transform(lazy), encoder.transform(df))
    same(encoder.set_output(transform="pandas").transform(lazy), encoder.transform(df))
    table = TableAutoencoder(VAEGenerator(2, **SMALL)).fit(df)
    for method in ("transform", "reconstruct", "score_samples"):
        same(getattr(table, method)(lazy), getattr(table, method)(df))
