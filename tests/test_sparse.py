"""Sparse matrices give the results of dense ones, and are never densified as a whole."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MaxAbsScaler
from skorch.callbacks import Callback

from skae import AutoencoderTransformer, ConvAutoencoder, Reconstructor, VAEGenerator
from skae._data.pca import Samples
from skae._data.scaling import mean_and_scale
from skae._data.sparse import SparseRows, SparseSamples, sparse_rows
from skae.bottlenecks import KSparse

FORMATS = ["csr", "csc", "coo", "lil", "dok", "bsr", "dia"]
QUICK = {"max_epochs": 2, "random_state": 0, "batch_size": 32}


def random_csr(n=90, d=12, density=0.3, dtype="f8", seed=0):
    X = sp.random_array((n, d), density=density, format="csr", random_state=np.random.default_rng(seed), dtype="f8")
    return sp.csr_array((10 * X).astype(dtype))


@pytest.fixture(scope="module")
def X():
    return random_csr()


# ------------------------------------------------------------------ rows


@given(
    n=st.integers(1, 30), d=st.integers(1, 9), dtype=st.sampled_from(["?", "i4", "f4", "f8"]), seed=st.integers(0, 99)
)
@settings(deadline=None, max_examples=30)
def test_indexing_matches_dense(n, d, dtype, seed):
    X = random_csr(n, d, dtype=dtype, seed=seed)
    rows, A = sparse_rows(X, "X"), X.toarray()
    assert (rows.shape, rows.dtype) == (A.shape, A.dtype)
    for index in (slice(None), slice(1, n - 1), np.arange(n)[::-1], np.zeros(3, int)):
        np.testing.assert_array_equal(rows[index], A[index])
    reversed_ = rows.arranged(lambda x: x[:, ::-1])
    np.testing.assert_array_equal(reversed_[:], A[:, ::-1])
    np.testing.assert_array_equal(reversed_.feature_order, np.arange(d)[::-1])
    assert {*rows.values.tolist()} == {*A.ravel().tolist()}


def test_duplicate_entries_are_summed_in_a_copy():
    X = sp.csr_array((np.array([2.0, 1.0, 3.0]), np.array([1, 0, 1]), np.array([0, 3, 3])), shape=(2, 2))
    rows = sparse_rows(X, "X")
    np.testing.assert_array_equal(rows[:], [[1, 5], [0, 0]])
    np.testing.assert_array_equal(X.data, [2, 1, 3])
    assert {*rows.values} == {0, 1, 5}


# ------------------------------------------------------------------ means, scale and axes


def with_nan(X, share, seed=0):
    X = X.copy()
    X.data[np.random.default_rng(seed).random(len(X.data)) < share] = np.nan
    return X


@given(
    n=st.integers(1, 40),
    d=st.integers(1, 9),
    density=st.sampled_from([0.0, 0.2, 0.8, 1.0]),
    level=st.sampled_from([0.0, 1.0, 1e9]),
    nan=st.sampled_from([0.0, 0.3, 1.0]),
    weighted=st.booleans(),
    seed=st.integers(0, 99),
)
@settings(deadline=None, max_examples=40)
def test_mean_and_scale_match_dense(n, d, density, level, nan, weighted, seed):
    X = random_csr(n, d, density, seed=seed)
    X.data += level
    X = with_nan(X, nan, seed)
    weight = np.random.default_rng(seed).integers(0, 3, n) + 1e-3 if weighted else None
    A = X.toarray()
    if np.isnan(A).all():
        with pytest.raises(ValueError, match="at least one value that is not NaN"):
            mean_and_scale(sparse_rows(X, "X"), weight)
        return
    mean, scale = mean_and_scale(sparse_rows(X, "X"), weight)
    expected_mean, expected_scale = mean_and_scale(A, weight)
    np.testing.assert_allclose(mean, expected_mean, rtol=1e-12, atol=1e-12 * (1 + level))
    np.testing.assert_allclose(scale, expected_scale, rtol=1e-6)


def test_mean_of_constant_feature_is_exact():
    X = sp.csr_array(np.full((7, 2), 0.1))
    assert mean_and_scale(sparse_rows(X, "X"))[0].tolist() == [0.1, 0.1]


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("level", [0.0, 1e4, 1e9])
@pytest.mark.parametrize("nan", [0.0, 0.1])
def test_covariance_products_match_dense(level, nan, weighted):
    rng = np.random.default_rng(0)
    X = random_csr(60, 12)
    X = sp.csr_array(np.hstack([X.toarray(), rng.normal(level, 1.0, size=(60, 1))]))
    X = with_nan(X, nan)
    weight = rng.integers(0, 4, 60).astype(float) if weighted else None
    rows = sparse_rows(X, "X").arranged(lambda x: x[:, ::-1])
    mean, scale = mean_and_scale(rows, weight)
    fill = rng.normal(size=13)
    U = (rows[:] - mean) / scale
    U = np.where(np.isnan(U), fill, U)
    expected = Samples.of(torch.from_numpy(U), None if weight is None else torch.from_numpy(weight))
    samples = SparseSamples(rows, weight, mean, fill, scale)
    for V in (np.eye(13)[:, :5], rng.normal(size=(13, 4)), None):
        for found, right in zip(samples.covariance_times(V), expected.covariance_times(V), strict=True):
            np.testing.assert_allclose(found, right, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("level", [0.0, 1e6])
@pytest.mark.parametrize(("n", "d"), [(300, 40), (40, 300), (150, 1300), (600, 1100)])
def test_initialization_is_pca(n, d, level):
    X = random_csr(n, d, 0.1)
    X = sp.csr_array(sp.hstack([X, np.random.default_rng(0).normal(level, 1, size=(n, 1))]))
    A = X.toarray()
    s = np.linalg.svd(A - A.mean(0), compute_uv=False)
    ae = AutoencoderTransformer(3, max_epochs=0, random_state=0).fit(X)
    error = np.square(ae.reconstruct(X) - A).sum()
    np.testing.assert_allclose(error, np.square(s[3:]).sum(), rtol=1e-3)
    np.testing.assert_allclose(-ae.score(X), error / A.size, rtol=1e-5)


# ------------------------------------------------------------------ estimators


ESTIMATORS = {
    "transformer": AutoencoderTransformer(3, **QUICK),
    "no network": AutoencoderTransformer(3, module__hidden_layer_sizes=(), **QUICK),
    "denoiser": AutoencoderTransformer(3, noise="gaussian_noise", early_stopping=False, **QUICK),
    "vae": VAEGenerator(3, prior=None, **QUICK),
    "conv": ConvAutoencoder(3, input_shape=(2, 2, 3), channel_axis=-1, **QUICK),
    "spatial": ConvAutoencoder(1, input_shape=(3, 4), module__dense=False, **QUICK),
    "sequences": AutoencoderTransformer(3, module="gru", **QUICK),
}


def check_same(sparse, dense, X, A, atol=2e-3):
    for method in ("transform", "reconstruct", "score_samples"):
        found, expected = getattr(sparse, method)(X), getattr(dense, method)(A)
        assert type(found) is np.ndarray
        assert found.dtype == expected.dtype
        np.testing.assert_allclose(found, expected, atol=atol * np.abs(expected).max(), err_msg=method)
    np.testing.assert_allclose(sparse.score(X), dense.score(A), rtol=atol)


@pytest.mark.parametrize("name", ESTIMATORS)
def test_methods_match_dense(name, X):
    A = X.toarray()
    sparse, dense = clone(ESTIMATORS[name]).fit(X), clone(ESTIMATORS[name]).fit(A)
    check_same(sparse, dense, X, A)
    np.testing.assert_allclose(sparse.loss_curve_, dense.loss_curve_, rtol=1e-3)
    np.testing.assert_allclose(sparse.validation_loss_curve_, dense.validation_loss_curve_, rtol=1e-3)
    np.testing.assert_array_equal(dense.transform(X), dense.transform(A), "however it was fitted")


@pytest.mark.parametrize("kind", ["array", "matrix"])
@pytest.mark.parametrize("form", FORMATS)
def test_all_formats_equal_bits(form, kind, X):
    given = getattr(sp, f"{form}_{kind}")(X)
    ae, other = (AutoencoderTransformer(3, **QUICK).fit(M) for M in (X, given))
    np.testing.assert_array_equal(other.transform(given), ae.transform(X))
    assert given.format == form


@pytest.mark.parametrize("dtype", ["?", "i1", "i8", "u4", "f4", "f8"])
def test_all_dtypes(dtype):
    X = random_csr(dtype=dtype)
    A = X.toarray()
    check_same(*(AutoencoderTransformer(3, **QUICK).fit(M) for M in (X, A)), X, A)


@pytest.mark.parametrize("target", ["sparse", "dense"])
@pytest.mark.parametrize("rows", ["sparse", "dense"])
def test_other_arrays_may_be_sparse_or_dense(rows, target, X):
    def make(M, kind):
        return M if kind == "sparse" else M.toarray()

    clean = sp.csc_array(X * 2)
    weight = np.random.default_rng(0).integers(0, 3, X.shape[0]).astype(float)
    found, expected = (
        AutoencoderTransformer(3, **QUICK).fit(
            make(X, a),
            sample_weight=weight,
            X_target=make(clean, b),
            X_val=make(X[:20], b),
            X_val_target=make(clean[:20], a),
        )
        for a, b in ((rows, target), ("dense", "dense"))
    )
    check_same(found, expected, make(X, rows), X.toarray())
    np.testing.assert_allclose(
        found.score(make(X, rows), X_target=make(clean, target)),
        expected.score(X.toarray(), X_target=clean.toarray()),
        rtol=1e-3,
    )
    np.testing.assert_allclose(found.validation_loss_curve_, expected.validation_loss_curve_, rtol=1e-3)


@pytest.mark.parametrize("cls", [AutoencoderTransformer, VAEGenerator])
def test_partial_fit(cls, X):
    sparse, dense = (cls(3, prior=None, random_state=0, batch_size=32) for _ in range(2))
    for start in (0, 45):
        part = X[start : start + 45]
        sparse.partial_fit(part)
        dense.partial_fit(part.toarray())
    check_same(sparse, dense, X, X.toarray(), atol=2e-2)  # Adam divides what rounding leaves of gradients by itself


def test_classes_and_priors(X):
    y = np.arange(X.shape[0]) % 2
    vae = VAEGenerator(2, conditional=True, **QUICK).fit(X, y)
    assert vae.reconstruct(X).shape == X.shape
    assert vae.sample(2, y=1).shape == (2, X.shape[1])
    np.testing.assert_allclose(vae.transform_distribution(X)[0], vae.transform(X))


def test_stored_nan_are_missing_values(X):
    X = with_nan(X, 0.2)
    with pytest.raises(ValueError, match="NaN"):
        AutoencoderTransformer(3, **QUICK).fit(X)
    sparse, dense = (AutoencoderTransformer(3, missing="mask", **QUICK).fit(M) for M in (X, X.toarray()))
    check_same(sparse, dense, X, X.toarray())
    filled = sparse.reconstruct(X, keep_observed=True)
    known = ~np.isnan(X.toarray())
    np.testing.assert_array_equal(filled[known], X.toarray()[known])
    assert np.isfinite(filled).all()


def test_reconstructor(X):
    A = X.toarray()
    for estimator in (AutoencoderTransformer(3, **QUICK), PCA(2)):
        found, expected = (Reconstructor(estimator).fit(M).transform(M) for M in (X, A))
        np.testing.assert_allclose(found, expected, atol=2e-2)
    holes = with_nan(X, 0.2)
    imputer = Reconstructor(AutoencoderTransformer(3, missing="mask", **QUICK), keep_observed=True).fit(holes)
    known = ~np.isnan(holes.toarray())
    np.testing.assert_array_equal(imputer.transform(holes)[known], holes.toarray()[known])
    with pytest.raises(TypeError, match="needs a dense X"):
        Reconstructor(estimator, filling=SimpleImputer()).fit(holes)


def test_codes_may_be_sparse(X):
    ae = AutoencoderTransformer(4, bottleneck=KSparse(2), **QUICK).fit(X)
    Z = ae.transform(X)
    np.testing.assert_array_equal(ae.inverse_transform(sp.csr_array(Z)), ae.inverse_transform(Z))


def test_pipeline(X):
    ae = AutoencoderTransformer(2, **QUICK).set_output(transform="pandas")
    pipe = make_pipeline(MaxAbsScaler(), ae)
    assert list(pipe.fit_transform(X).columns) == ["autoencodertransformer0", "autoencodertransformer1"]


def test_checkpoint_rejects_another_matrix(X, tmp_path):
    path = tmp_path / "checkpoint"

    class Stop(Exception):
        """Ends training after the first epoch, when the file is there."""

    class Stopper(Callback):
        def on_epoch_begin(self, net, **kwargs):
            if len(net.history) > 1:
                raise Stop

    ae = AutoencoderTransformer(3, **QUICK, checkpoint=path)
    with pytest.raises(Stop):
        clone(ae).set_params(callbacks=[Stopper()]).fit(X)
    other = X.copy()
    other.data[0] += 1
    with pytest.raises(ValueError, match="of a fit with other parameters, other data"):
        clone(ae).fit(other)
    resumed = clone(ae).fit(sp.csc_array(X))
    np.testing.assert_array_equal(resumed.transform(X), clone(ae).set_params(checkpoint=None).fit(X).transform(X))


@pytest.mark.parametrize(
    ("value", "params", "error", "words"),
    [
        (np.inf, {}, ValueError, "Input X contains infinity or a value too large for float64 in column 1"),
        (np.nan, {}, ValueError, "Input X contains NaN in column 1"),
        (1e39, {}, ValueError, "X has values up to 1e.39, too large for float32"),
        (2.0, {"loss": "bernoulli"}, ValueError, r"needs X in \[0, 1\], got values from 0 to 2"),
        (0.5, {"loss": "discretized_logistic"}, ValueError, "needs integers in X"),
    ],
)
def test_invalid_values_raise_as_for_dense(value, params, error, words):
    X = sp.csr_array(np.eye(20, 3))
    X.data[1] = value
    ae = AutoencoderTransformer(2, **QUICK, **params)
    with pytest.raises(error, match=words):
        ae.fit(X)
    assert not hasattr(ae, "net_")


def test_complex_values_raise(X):
    with pytest.raises(ValueError, match="Complex data not supported"):
        AutoencoderTransformer(2, **QUICK).fit(X.astype("c16"))


def test_wrong_number_of_features_raises(X):
    ae = AutoencoderTransformer(2, **QUICK).fit(X)
    with pytest.raises(ValueError, match="X has 11 features, but AutoencoderTransformer is expecting 12"):
        ae.transform(X[:, :11])
    with pytest.raises(ValueError, match="X_target must have the shape"):
        ae.score(X, X_target=X[:, :11])


# ------------------------------------------------------------------ memory


def test_fit_densifies_at_most_a_batch(monkeypatch):
    X = random_csr(1000, 2000, 0.01)
    read, take = [], SparseRows.__getitem__

    def counting(self, index):
        rows = take(self, index)
        read.append(rows.size)
        return rows

    monkeypatch.setattr(SparseRows, "__getitem__", counting)
    ae = AutoencoderTransformer(2, module__hidden_layer_sizes=(4,), max_epochs=1, batch_size=50, random_state=0).fit(X)
    ae.transform(X)
    ae.score_samples(X)
    assert max(read) <= 2**20, "half of X"


SCRIPT = """
import numpy as np, scipy.sparse as sp
from pathlib import Path
from skae import AutoencoderTransformer

def memory(name):
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name)) / 1024

X = sp.random_array((20_000, 4000), density=0.002, format="csr", dtype="f4", random_state=np.random.default_rng(0))
params = {"max_epochs": 1, "batch_size": 500, "module__hidden_layer_sizes": (4,), "random_state": 0}
AutoencoderTransformer(2, **params).fit(X[:1000])
Path("/proc/self/clear_refs").write_text("5")
before = memory("VmRSS")
AutoencoderTransformer(2, **params).fit(X).transform(X)
print(memory("VmHWM") - before)
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="memory is read from /proc, which is Linux's")
def test_memory_of_fit_is_below_dense_size():
    ran = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True)
    # What the allocator keeps varies: 15 to 120 MB were seen.
    assert float(ran.stdout) < 200, "of 305 MB that it would be dense"


def test_dataframe_of_sparse_columns():
    X = sp.random_array((60, 6), density=0.4, random_state=np.random.default_rng(0), format="csr")
    frame = pd.DataFrame.sparse.from_spmatrix(X)
    dense = AutoencoderTransformer(2, max_epochs=0, random_state=0).fit(X.toarray())
    ae = AutoencoderTransformer(2, max_epochs=0, random_state=0).fit(frame, X_val=frame[:5])
    np.testing.assert_allclose(ae.transform(frame), dense.transform(X.toarray()), atol=1e-4)
