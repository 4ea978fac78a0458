"""Networks with a PCA initialization equal PCA at ``max_epochs=0``, for any offsets, sizes and weights of samples."""

import numpy as np
import pytest
import sklearn
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA

from skae import AutoencoderTransformer, ConvAutoencoder, Reconstructor, VAEGenerator
from skae._data.pca import Samples, principal_axes
from skae.nn import MLP


def table(n, d, rank=2, noise=0.05, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, rank)) @ rng.normal(size=(rank, d)) + noise * rng.normal(size=(n, d))


def pca_reconstruction(X, k, sample_weight=None):
    """By a full SVD in float64, about the (weighted) means."""
    weight = np.ones(len(X)) if sample_weight is None else sample_weight
    mean = np.average(X, axis=0, weights=weight)
    V = np.linalg.svd((X - mean) * np.sqrt(weight)[:, None], full_matrices=False)[2][:k]
    return mean + (X - mean) @ V.T @ V


def start(k, **params):
    return AutoencoderTransformer(k, max_epochs=0, random_state=0, module__hidden_layer_sizes=(8,), **params)


def assert_pca(ae, X, expected, sample_weight=None):
    """The residual is PCA's to 1e-3 of it, and minus the score is the mean squared error to 1e-5."""
    X_hat = ae.reconstruct(X)
    assert X_hat.dtype == np.float64
    residual = np.linalg.norm(expected - X)
    assert np.linalg.norm(X_hat - expected) <= 1e-3 * residual
    error = np.average(((X_hat - X) ** 2).reshape(len(X), -1).mean(1), weights=sample_weight)
    assert -ae.score(X, sample_weight=sample_weight) == pytest.approx(error, rel=1e-5)
    back = ae.inverse_transform(ae.transform(X))
    assert back.dtype == np.float64
    np.testing.assert_allclose(back, X_hat, rtol=0, atol=1e-9 * np.abs(X).max())


@settings(max_examples=40, deadline=None)
@given(
    offset=st.sampled_from([0.0, 1.0, 1e3, 1e6, -1e9]),
    columns=st.sampled_from(["one", "all alike", "different"]),
    n=st.sampled_from([22, 109, 111, 1000, 11_000]),
    factor=st.sampled_from([1e-6, 1.0, 1e6]),
    weighted=st.booleans(),
)
@pytest.mark.slow
def test_axes_match_pca_for_offsets_sizes_and_weights(offset, columns, n, factor, weighted):
    X = table(n, 11)
    levels = {"one": np.eye(11)[0], "all alike": np.ones(11), "different": np.linspace(-1, 1, 11) ** 3}[columns]
    X = factor * (X + offset * levels)
    weight = np.random.default_rng(1).integers(1, 4, n).astype(float) if weighted else None
    ae = start(2).fit(X, sample_weight=weight)
    assert_pca(ae, X, pca_reconstruction(X, 2, weight), weight)


@pytest.mark.parametrize(("n", "d"), [(40, 1100), (600, 1100), (600, 3000), (3, 5), (2, 2000)])
@pytest.mark.slow
def test_wide_tables(n, d):
    X = table(n, d, rank=5) + np.linspace(0, 1e5, d)
    k = min(5, n - 1)
    ae = AutoencoderTransformer(k, max_epochs=0, random_state=0, module__hidden_layer_sizes=()).fit(X)
    ours, theirs = ae.reconstruct(X) - X, pca_reconstruction(X, k) - X
    if np.linalg.norm(theirs) > 1e-6 * np.linalg.norm(X - X.mean(0)):
        assert np.linalg.norm(ours) == pytest.approx(np.linalg.norm(theirs), rel=1e-3)
    else:
        assert np.linalg.norm(ours) <= 1e-5 * np.linalg.norm(X - X.mean(0))


@pytest.mark.parametrize("channel_axis", [None, 0, -1])
def test_images_with_fixed_pattern(channel_axis):
    images = load_digits().images[:300]
    pattern = 1e4 * np.random.default_rng(0).random((8, 8))
    X = images + pattern
    if channel_axis is not None:
        X = np.stack([X, 2 * X[:, ::-1]], axis=1 if channel_axis == 0 else -1)
    ae = ConvAutoencoder(6, max_epochs=0, random_state=0, channel_axis=channel_axis, module__channels=(2,)).fit(X)
    flat = X.reshape(len(X), -1)
    assert_pca(ae, X, pca_reconstruction(flat, 6).reshape(X.shape))


def test_training_improves_on_pca_with_fixed_pattern():
    X = load_digits().images[:400] + 1e4 * np.random.default_rng(0).random((8, 8))
    ae = ConvAutoencoder(6, max_epochs=3, random_state=0, module__channels=(2,)).fit(X)
    pca = ((pca_reconstruction(X.reshape(400, -1), 6) - X.reshape(400, -1)) ** 2).mean()
    assert -ae.score(X) <= 1.001 * pca


@pytest.mark.filterwarnings("ignore:More than 99.9 % of the variance:UserWarning")  # as it should
def test_large_offset_column_does_not_affect_others():
    rng = np.random.default_rng(0)
    flags = (rng.random((500, 3)) < 0.4).astype(float)
    X = np.column_stack([1.7e9 + np.arange(500) * 3600.0, flags])
    expected = pca_reconstruction(X, 2)
    R = start(2).fit(X).reconstruct(X)
    # The time stamps vary 1e6 times as much: float32 codes hold them to 1e-7 of that.
    np.testing.assert_allclose(R[:, 1:], expected[:, 1:], atol=0.5)
    np.testing.assert_allclose(R[:, 0], expected[:, 0], atol=1.0)
    holed = X.copy()
    holed[::7, 1] = np.nan
    ae = start(2, missing="mask")
    filled = Reconstructor(ae, keep_observed=True).fit_transform(holed)
    assert np.abs(filled[::7, 1] - flags[:, 0].mean()).max() < 1


def test_common_offset_loses_no_precision():
    X = 1.7e9 + 30 * np.random.default_rng(0).normal(size=(200, 4))
    ae = start(4).fit(X)
    np.testing.assert_allclose(ae.reconstruct(X), X, rtol=0, atol=1e-3)
    assert -ae.score(X) == pytest.approx(((ae.reconstruct(X) - X) ** 2).mean(), rel=1e-5)


@pytest.mark.parametrize("offset", [0.0, 1e6])
def test_initialization_with_nan_is_pca_of_mean_imputed(offset):
    X = table(400, 6) + offset * np.arange(6)
    weight = np.random.default_rng(2).integers(1, 4, 400).astype(float)
    holed = np.where(np.random.default_rng(1).random(X.shape) < 0.2, np.nan, X)
    known = ~np.isnan(holed)
    means = np.average(np.where(known, X, 0), axis=0, weights=weight) / np.average(known, axis=0, weights=weight)
    filled = np.where(known, X, means)
    ae = start(2, missing="mask").fit(holed, sample_weight=weight)
    module = ae.module_
    np.testing.assert_allclose(module.mean.numpy(), means, rtol=1e-12)
    expected = pca_reconstruction(filled, 2, weight)
    residual = np.linalg.norm((expected - X)[known])
    assert np.linalg.norm(ae.reconstruct(holed) - expected) <= 2e-3 * residual


def test_lazy_arrays(tmp_path):
    X = table(3000, 40) + np.linspace(0, 1e6, 40)
    path = tmp_path / "X.npy"
    np.save(path, X)
    weight = np.random.default_rng(1).integers(0, 4, 3000).astype(float)
    with sklearn.config_context(working_memory=0.25):
        for w in (None, weight):
            ae = start(2).fit(np.load(path, mmap_mode="r"), sample_weight=w)
            X_hat = ae.reconstruct(X)
            expected = pca_reconstruction(X, 2, w)
            assert np.linalg.norm(X_hat - expected) <= 1e-3 * np.linalg.norm(expected - X)


def test_integer_weights_equal_repetitions():
    X = table(30, 6)
    weight = np.random.default_rng(1).integers(0, 4, 30)
    one = start(2).fit(X, sample_weight=weight.astype(float))
    other = start(2).fit(np.repeat(X, weight, axis=0))
    np.testing.assert_allclose(one.reconstruct(X), other.reconstruct(X), atol=1e-4)


@pytest.mark.parametrize("offset", [0.0, 1e5])
def test_vae_initialization_has_ppca_likelihood(offset):
    X = table(500, 8) + offset * np.arange(8)
    vae = VAEGenerator(3, max_epochs=0, random_state=0).fit(X)
    assert vae.score(X) == pytest.approx(PCA(3, svd_solver="full").fit(X - X.mean(0)).score(X - X.mean(0)), abs=0.1)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("a", "b"), [(1.0, 1024.0), (0.25, -64.0), (2.0, 0.0)])
def test_codes_are_invariant_to_offset_and_scale(dtype, a, b):
    """Factors and shifts that are powers of two are exact in float32, as long as X has few digits."""
    X = np.round(table(300, 6) * 64).astype(dtype) / 64
    one, other = (
        AutoencoderTransformer(2, max_epochs=5, random_state=0).fit(Y) for Y in (X, (a * X + b).astype(dtype))
    )
    np.testing.assert_allclose(other.transform((a * X + b).astype(dtype)), one.transform(X), atol=1e-4)


def test_reconstruction_dtype():
    X = table(50, 4)
    for dtype, back in [
        ("f4", "f4"),
        ("f2", "f4"),
        ("f8", "f8"),
        ("i8", "f8"),
        ("i4", "f8"),
        ("i2", "f4"),
        ("u1", "f4"),
    ]:
        Y = np.abs(10 * X).astype(dtype)
        ae = start(2, prior="mixture").fit(Y)
        assert ae.transform(Y).dtype == np.float32
        for found in (ae.reconstruct(Y), ae.inverse_transform(ae.transform(Y)), ae.sample(3)):
            assert found.dtype == np.dtype(back)
    Y = torch.from_numpy(X)
    assert start(2).fit(Y).reconstruct(Y).dtype == torch.float64


@pytest.mark.parametrize(
    ("n", "d", "k"),
    [
        (200, 30, 5),
        (30, 1500, 4),
        pytest.param(700, 1500, 4, marks=pytest.mark.slow),
        pytest.param(2000, 1500, 4, marks=pytest.mark.slow),
    ],
)
@pytest.mark.parametrize("weighted", [False, True])
def test_principal_axes_match_svd(n, d, k, weighted):
    X = table(n, d, rank=k, noise=0.01) + 5
    weight = np.random.default_rng(0).integers(0, 3, n).astype(float) if weighted else np.ones(n)
    found = principal_axes(Samples.of(torch.from_numpy(X), torch.from_numpy(weight) if weighted else None), k, 0)
    mean = np.average(X, axis=0, weights=weight)
    _, s, V = np.linalg.svd((X - mean) * np.sqrt(weight)[:, None], full_matrices=False)
    n_present = np.count_nonzero(weight)
    divisor = weight.sum() * (n_present - 1) / n_present
    np.testing.assert_allclose(found.mean, mean, rtol=1e-9)
    np.testing.assert_allclose(found.variances, s[:k] ** 2 / divisor, rtol=1e-6)
    np.testing.assert_allclose(np.abs((found.directions.numpy() * V[:k]).sum(1)), 1, atol=1e-6)
    assert float(found.rest) == pytest.approx((s[k:] ** 2).sum() / divisor, rel=1e-3)
    assert (found.directions.gather(1, found.directions.abs().argmax(1, keepdim=True)) > 0).all()


def test_init_from_tensor_without_estimator():
    X = torch.from_numpy(table(100, 6) + 3).float()
    network = MLP(input_shape=(6,), n_components=2)
    network.init_from(X)
    expected = pca_reconstruction(X.double().numpy(), 2)
    np.testing.assert_allclose(network.decode(network.encode(X)).detach(), expected, atol=1e-5)


def test_zero_weight_samples_of_sparse_matrix_are_ignored():
    X = np.random.default_rng(0).normal(size=(40, 12))
    weight = (np.arange(40) < 5).astype(float)

    def codes(A, w):
        return start(8).fit(A, sample_weight=w).transform(X[:5])

    present = codes(sparse.csr_matrix(X[:5]), weight[:5])
    for A in (X, sparse.csr_matrix(X)):
        np.testing.assert_allclose(np.abs(codes(A, weight)), np.abs(present), atol=1e-4)


def test_gradients_flow_through_many_samples():
    X = table(60, 6)
    module = start(2).fit(X).module_
    x = torch.tensor(np.repeat(X, 1000, axis=0), requires_grad=True)
    module.encode(x).sum().backward()
    torch.testing.assert_close(x.grad[0], module.network.skip.encoder.weight.sum(0).double() / module.scale)
