"""Tensors as input give tensors on the same device, with the values and errors of arrays."""

import os
import re
import warnings

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn import config_context
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.impute import SimpleImputer

from skae import AutoencoderTransformer, ConvAutoencoder, Reconstructor, VAEGenerator

DTYPES = [torch.float16, torch.bfloat16, torch.float32, torch.float64]
DTYPES += [torch.bool, torch.uint8, torch.int8, torch.int16, torch.uint16, torch.int32, torch.uint32, torch.int64]
STRIDES = {
    "plain": lambda T: T,
    "transposed": lambda T: T.T.contiguous().T,
    "every other": lambda T: T.repeat_interleave(2, 0)[::2],
    "columns": lambda T: torch.cat([T, T], 1)[:, : T.shape[1]],
    "broadcast": lambda T: T[:1].expand(T.shape),
    "gradient": lambda T: T.clone().requires_grad_() if T.is_floating_point() else T,
}
TAKE_NAN = ["missing", "vae missing", "filled"]
METHODS = ["transform", "reconstruct", "score_samples", "score", "transform_distribution", "sample_posterior"]


def numbers(n=12, d=4, seed=0):
    rng = np.random.default_rng(seed)
    steps = rng.integers(0, 5, size=(n, 2))
    return (steps @ np.array([[1, 2, 0, 1], [0, 1, 3, 1]])[:, :d] + rng.integers(0, 2, size=(n, d))).astype(np.float32)


def holed(X):
    X = X.copy()
    X[::3, 1] = np.nan
    return X


def sequences(n=8):
    rng = np.random.default_rng(0)
    X = (10 * rng.normal(size=(n, 1, 2)) + rng.normal(size=(n, 12, 2))).astype(np.float32)
    X[::2, 7:] = np.nan
    return X


QUICK = {"max_epochs": 2, "random_state": 0}


@pytest.fixture(scope="module")
def fitted(device):
    X, y = numbers(40), np.arange(40) % 2
    quick = QUICK | {"device": device}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # two epochs do not teach it a code
        of_sequences = VAEGenerator(2, module="gru", **quick).fit(sequences())
    return {
        "plain": AutoencoderTransformer(2, **quick).fit(X),
        "bernoulli": AutoencoderTransformer(2, loss="bernoulli", **quick).fit(X > 2),
        "conv": ConvAutoencoder(2, input_shape=(2, 2), **quick).fit(X),
        "vae": VAEGenerator(2, **quick).fit(X),
        "conditional": VAEGenerator(2, conditional=True, **quick).fit(X, y),
        "missing": AutoencoderTransformer(2, missing="mask", **quick).fit(holed(X)),
        "vae missing": VAEGenerator(2, missing="mask", **quick).fit(holed(X)),
        "reconstructor": Reconstructor(AutoencoderTransformer(2, **quick)).fit(X),
        "pca": Reconstructor(PCA(2)).fit(X),
        "filled": Reconstructor(PCA(2), filling=SimpleImputer(), keep_observed=True).fit(holed(X)),
        "sequences": of_sequences,
    }


def as_numpy(T):
    T = T.detach().cpu()
    return (T.float() if T.dtype is torch.bfloat16 else T).numpy()


def same(found, expected, device, rtol=1e-5):
    """Hold ``found`` to a plain tensor of these values."""
    if isinstance(expected, tuple):
        assert isinstance(found, tuple)
        for pair in zip(found, expected, strict=True):
            same(*pair, device, rtol)
    elif isinstance(expected, float):
        assert type(found) is float
        assert found == pytest.approx(expected, rel=rtol, abs=1e-6)
    else:
        assert type(found) is torch.Tensor
        assert found.device.type == torch.device(device).type
        assert not found.is_inference()
        assert not found.requires_grad
        assert as_numpy(found).dtype == expected.dtype
        np.testing.assert_allclose(as_numpy(found), expected, rtol=rtol, atol=1e-5)


def options(method):
    return {"random_state": 0, "n_draws": 2} if method == "sample_posterior" else {}


# ------------------------------------------------------------------ the same as for arrays


@given(
    name=st.sampled_from(["plain", "conv", "vae", "conditional", "reconstructor", "pca", *TAKE_NAN]),
    method=st.sampled_from(METHODS),
    dtype=st.sampled_from(DTYPES),
    strides=st.sampled_from(sorted(STRIDES)),
    holes=st.booleans(),
    seed=st.integers(0, 9),
)
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_tensors_match_arrays(fitted, device, name, method, dtype, strides, holes, seed):
    call = getattr(fitted[name], method, None)
    if call is None:
        return
    X = holed(numbers(seed=seed)) if holes and name in TAKE_NAN and dtype.is_floating_point else numbers(seed=seed)
    T = STRIDES[strides](torch.from_numpy(X).to(dtype).to(device))
    before = T.detach().clone()
    expected = call(as_numpy(T), **options(method))
    same(call(T, **options(method)), expected, device)
    assert torch.equal(T.detach().isnan(), before.isnan())
    assert torch.equal(T.detach().nan_to_num(), before.nan_to_num())


@pytest.mark.parametrize("dtype", DTYPES)
def test_keep_observed_keeps_the_dtype(fitted, device, dtype):
    ae, X = fitted["missing"], numbers()
    T = torch.from_numpy(holed(X) if dtype.is_floating_point else X).to(dtype).to(device)
    filled = ae.reconstruct(T, keep_observed=True)
    assert filled.dtype == dtype
    assert filled.device == T.device
    assert not filled.isnan().any() if dtype.is_floating_point else torch.equal(filled, T)
    known = ~T.isnan() if dtype.is_floating_point else torch.ones_like(T, dtype=torch.bool)
    np.testing.assert_array_equal(as_numpy(filled)[as_numpy(known)], as_numpy(T)[as_numpy(known)])
    assert filled.data_ptr() != T.data_ptr()
    np.testing.assert_allclose(as_numpy(filled), ae.reconstruct(as_numpy(T), keep_observed=True), rtol=1e-2)


@pytest.mark.parametrize("length", [12, 9])
@pytest.mark.parametrize("method", METHODS)
def test_sequences(fitted, device, method, length):
    T = torch.from_numpy(sequences()[:, :length]).to(device)
    call = getattr(fitted["sequences"], method)
    same(call(T, **options(method)), call(as_numpy(T), **options(method)), device)


@pytest.mark.parametrize("axis", [0, -1])
def test_images_of_any_layout(device, axis):
    X = np.random.default_rng(0).random((10, 3, 8, 8), dtype=np.float32)
    X = X if axis == 0 else np.moveaxis(X, 1, -1)
    ae = ConvAutoencoder(2, channel_axis=axis, device=device, **QUICK).fit(X)
    T = torch.from_numpy(X).to(device)
    for method in ("transform", "reconstruct", "score_samples"):
        same(getattr(ae, method)(T), getattr(ae, method)(X), device)
    assert ae.reconstruct(T).is_contiguous()


@pytest.mark.parametrize("name", ["plain", "conv", "vae", "missing"])
def test_codes(fitted, device, name):
    for dtype in (torch.float16, torch.float64, torch.int64):
        Z = torch.arange(10, device=device).reshape(5, 2).to(dtype)
        same(fitted[name].inverse_transform(Z), fitted[name].inverse_transform(as_numpy(Z)), device)


@pytest.mark.parametrize("y_kind", ["array", "tensor", "single", "list"])
def test_conditions_of_any_kind(fitted, device, y_kind):
    vae, X, y = fitted["conditional"], numbers(), np.arange(12) % 2
    T = torch.from_numpy(X).to(device)
    given = {"array": y, "tensor": torch.from_numpy(y).to(device), "single": torch.tensor(1), "list": y.tolist()}[
        y_kind
    ]
    told = 1 if y_kind == "single" else y
    same(vae.score_samples(T, given), vae.score_samples(X, told), device)
    same(vae.reconstruct(T, given), vae.reconstruct(X, told), device)
    same(vae.interpolate(T, T.flip(0), 3, y=given), vae.interpolate(X, X[::-1], 3, y=told), device)
    drawn = vae.sample(12, random_state=0, y=given)
    assert type(drawn) is np.ndarray
    np.testing.assert_array_equal(drawn, vae.sample(12, random_state=0, y=told))


@pytest.mark.parametrize("method", ["linear", "spherical"])
def test_interpolation_between_array_and_tensor(fitted, device, method):
    X = numbers()
    T = torch.from_numpy(X).to(device)
    expected = fitted["vae"].interpolate(X, X[::-1], 4, method=method)
    same(fitted["vae"].interpolate(T, X[::-1], 4, method=method), expected, device)
    mixed = fitted["vae"].interpolate(X, T.flip(0), 4, method=method)
    np.testing.assert_allclose(mixed, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", ["plain", "vae", "missing"])
def test_targets(fitted, device, name):
    X, target = numbers(), numbers(seed=1)
    T, U = (torch.from_numpy(A).to(device) for A in (X, target))
    est, weight = fitted[name], np.arange(12.0)
    expected = est.score_samples(X, X_target=target)
    same(est.score_samples(T, X_target=U), expected, device)
    same(est.score_samples(T, X_target=target), expected, device)
    assert type(est.score_samples(X, X_target=U)) is np.ndarray
    np.testing.assert_allclose(est.score_samples(X, X_target=U), expected, rtol=1e-5)
    scores = (
        est.score(T, sample_weight=torch.from_numpy(weight), X_target=U),
        est.score(X, None, weight, X_target=target),
    )
    assert scores[0] == pytest.approx(scores[1], rel=1e-5)


def test_module_and_data_on_different_devices(fitted, device):
    X = numbers()
    on_cpu = fitted["plain"].transform(torch.from_numpy(X))
    assert on_cpu.device.type == "cpu"
    np.testing.assert_allclose(on_cpu.numpy(), fitted["plain"].transform(X), rtol=1e-5)


def test_results_can_be_used_in_training(fitted, device):
    Z = fitted["vae"].transform(torch.from_numpy(numbers()).to(device))
    weight = torch.ones(2, device=device, requires_grad=True)
    (Z * weight).sum().backward()
    assert torch.allclose(weight.grad, Z.sum(0))
    Z += 1


def test_keyword_argument_and_no_inference_tensors(fitted, device):
    T = torch.from_numpy(numbers()).to(device)
    with torch.inference_mode():
        inference = T.clone()
    assert torch.equal(fitted["plain"].transform(X=inference), fitted["plain"].transform(T))
    assert torch.equal(fitted["missing"].reconstruct(keep_observed=True, X=T), T)


def test_no_conversion_to_numpy(fitted, device, monkeypatch):
    T = torch.from_numpy(numbers()).to(device)

    def refuse(*args, **kwargs):
        raise AssertionError("NumPy was asked")

    for name in ("numpy", "__array__"):
        monkeypatch.setattr(torch.Tensor, name, refuse)
    fitted["plain"].reconstruct(T)
    fitted["vae"].score_samples(T)
    fitted["missing"].reconstruct(T, keep_observed=True)


# ------------------------------------------------------------------ fits


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64, torch.int16])
def test_fit_takes_tensors(device, dtype):
    T = torch.from_numpy(numbers(40)).to(device, dtype)
    y, weight = torch.arange(40, device=device) % 3, torch.linspace(0, 1, 40, device=device, requires_grad=True)
    given = {"X_target": T, "X_val": T[:5], "X_val_target": T[:5], "y_val": y[:5], "sample_weight": weight}
    arrays = {name: as_numpy(A) for name, A in given.items()}
    vae = VAEGenerator(2, conditional=True, device=device, **QUICK)
    Z = vae.fit(T, y, **given).transform(T)
    np.testing.assert_array_equal(as_numpy(Z), vae.fit(as_numpy(T), as_numpy(y), **arrays).transform(as_numpy(T)))
    np.testing.assert_array_equal(vae.classes_, [0, 1, 2])
    assert type(vae.classes_) is np.ndarray


def test_partial_fit_takes_tensors(device):
    T = torch.from_numpy(numbers(40)).to(device)
    from_tensors, from_arrays = (AutoencoderTransformer(2, device=device, **QUICK) for _ in range(2))
    for _ in range(3):
        from_tensors.partial_fit(T)
        from_arrays.partial_fit(as_numpy(T))
    np.testing.assert_array_equal(as_numpy(from_tensors.transform(T)), from_arrays.transform(as_numpy(T)))


def test_fit_transform_of_reconstructor(device):
    T = torch.from_numpy(holed(numbers(40))).to(device)
    masked = AutoencoderTransformer(2, missing="mask", device=device, **QUICK)
    for estimator in (
        Reconstructor(masked, keep_observed=True),
        Reconstructor(masked, filling=lambda A: np.nan_to_num(A)),
    ):
        same(estimator.fit_transform(T), estimator.fit_transform(as_numpy(T)), device)


# ------------------------------------------------------------------ refusals


def changed(X, value):
    X = X.astype(np.float64)
    X[3, 2] = value
    return X


BAD = {
    "nan": changed(numbers(), np.nan),
    "infinity": changed(numbers(), np.inf),
    "minus infinity": changed(numbers(), -np.inf),
    "too large": changed(numbers(), 1e39),
    "complex": numbers().astype(complex),
    "one axis": numbers()[0],
    "no axis": np.float32(3),
    "no rows": numbers()[:0],
    "no columns": numbers()[:, :0],
    "too few columns": numbers()[:, :3],
    "another shape": numbers()[:, :, None],
}


def refusal(call, A):
    with pytest.raises((ValueError, TypeError)) as caught:
        call(A)
    return type(caught.value), re.sub(r"array\(|tensor\(", "", str(caught.value))


@pytest.mark.parametrize("bad", sorted(BAD))
@pytest.mark.parametrize("method", ["transform", "reconstruct", "score_samples", "inverse_transform"])
@pytest.mark.parametrize("name", ["plain", "missing"])
def test_invalid_tensors_raise_as_arrays(fitted, device, name, method, bad):
    A = BAD[bad]
    if method == "inverse_transform" and np.ndim(A) == 2:
        A = A[:, 2:]  # codes, with what is bad in them
    if bad == "nan" and name == "missing" and method != "inverse_transform":
        pytest.skip("these are good rows")
    call = getattr(fitted[name], method)
    assert refusal(call, torch.from_numpy(np.asarray(A)).to(device)) == refusal(call, A)


def test_invalid_targets_and_domains_raise(fitted, device):
    X = numbers()
    T = torch.from_numpy(X).to(device)
    for A in (BAD["nan"], BAD["too few columns"], X[:5]):
        score = fitted["plain"].score_samples
        expected = refusal(lambda A, score=score: score(X, X_target=A), A)
        assert refusal(lambda A, score=score: score(T, X_target=A), torch.from_numpy(A).to(device)) == expected
        assert refusal(lambda A, score=score: score(T, X_target=A), A) == expected
    assert refusal(fitted["bernoulli"].score_samples, T) == refusal(fitted["bernoulli"].score_samples, X)


def test_integer_loss_checks_tensors(device):
    ae = VAEGenerator(2, loss="discretized_logistic", device=device, **QUICK).fit(numbers())
    halves = numbers() + 0.5
    assert refusal(ae.score_samples, torch.from_numpy(halves).to(device)) == refusal(ae.score_samples, halves)
    same(ae.score_samples(torch.from_numpy(numbers()).to(device)), ae.score_samples(numbers()), device)


@pytest.mark.parametrize("break_", ["inside", "all"])
def test_invalid_sequences_raise(fitted, device, break_):
    X = sequences()
    X[3, 2, 1 if break_ == "inside" else slice(None)] = np.nan
    if break_ == "all":
        X[3] = np.nan
    call = fitted["sequences"].transform
    expected = refusal(call, X)
    assert "sample 3" in expected[1]
    assert refusal(call, torch.from_numpy(X).to(device)) == expected


def test_sparse_tensors_raise(fitted):
    sparse = torch.eye(4).to_sparse()
    for call in (fitted["plain"].transform, fitted["reconstructor"].transform, AutoencoderTransformer().fit):
        with pytest.raises(TypeError, match="Sparse tensors"):
            call(sparse)


def test_tensors_have_no_feature_names(device):
    pd = pytest.importorskip("pandas")
    ae = AutoencoderTransformer(2, device=device, **QUICK).fit(pd.DataFrame(numbers(), columns=list("abcd")))
    with pytest.warns(UserWarning, match="X does not have valid feature names"):
        ae.transform(torch.from_numpy(numbers()).to(device))


# ------------------------------------------------------------------ scikit-learn's functions of tensors


@pytest.mark.parametrize("container", ["pandas", "polars"])
@pytest.mark.parametrize("kind", [AutoencoderTransformer, Reconstructor])
def test_set_output_with_tensors(device, container, kind):
    library = pytest.importorskip(container)
    estimator = AutoencoderTransformer(2, device=device, **QUICK)
    estimator = (Reconstructor(estimator) if kind is Reconstructor else estimator).set_output(transform=container)
    T = torch.from_numpy(numbers()).to(device)
    frame = estimator.fit(T).transform(T)
    assert isinstance(frame, library.DataFrame)
    np.testing.assert_array_equal(frame.to_numpy(), estimator.transform(as_numpy(T)).to_numpy())
    with config_context(transform_output=container):
        assert isinstance(estimator.set_output(transform="default").transform(T), torch.Tensor)


# These names hold "array_api": `make array-api` runs them with the variable that dispatch needs.
needs_dispatch = pytest.mark.skipif("SCIPY_ARRAY_API" not in os.environ, reason="SCIPY_ARRAY_API is not set")


@needs_dispatch
@pytest.mark.parametrize("where", ["CPU_DEVICE", "device1"])
@pytest.mark.parametrize("name", ["plain", "vae", "conditional", "reconstructor", "pca"])
def test_array_api_strict(fitted, name, where):
    xp = pytest.importorskip("array_api_strict")
    X = numbers()
    A = xp.asarray(X, device=xp.Device(where))
    for method in METHODS:
        call = getattr(fitted[name], method, None)
        if call is None:
            continue
        with config_context(array_api_dispatch=True):
            found = call(A, **options(method))
        expected = call(X, **options(method))
        pairs = zip(found, expected, strict=True) if isinstance(found, tuple) else [(found, expected)]
        for one, other in pairs:
            if isinstance(other, float):
                assert one == pytest.approx(other)
                continue
            assert one.__array_namespace__() is xp
            assert one.device == A.device
            np.testing.assert_allclose(np.from_dlpack(one.to_device(xp.Device("CPU_DEVICE"))), other, rtol=1e-5)


@needs_dispatch
def test_array_api_fit_with_mixed_libraries(device):
    xp = pytest.importorskip("array_api_strict")
    X, y = numbers(40), np.arange(40) % 2
    vae = VAEGenerator(2, conditional=True, device=device, **QUICK)
    expected = vae.fit(X, y, sample_weight=np.ones(40)).score_samples(X, y)
    with config_context(array_api_dispatch=True):
        T = torch.from_numpy(X).to(device)
        vae.fit(T, xp.asarray(y), sample_weight=xp.ones(40))
        same(vae.score_samples(T, xp.asarray(y), X_target=xp.asarray(X)), expected, device)
        assert type(vae.score_samples(X, xp.asarray(y))) is np.ndarray


@needs_dispatch
def test_array_api_dispatch_with_arrays_and_tensors(fitted, device):
    X = numbers()
    T = torch.from_numpy(X).to(device)
    for est in fitted.values():
        if hasattr(est, "score_samples") and est is not fitted["sequences"]:
            domain = X > 2 if est is fitted["bernoulli"] else X
            with config_context(array_api_dispatch=True):
                found = est.score_samples(domain)
            np.testing.assert_array_equal(found, est.score_samples(domain))
    with config_context(array_api_dispatch=True):
        same(fitted["pca"].transform(T), fitted["pca"].transform(X), device)
