"""Metrics: known values, agreement with scikit-image and scikit-learn, symmetries, errors."""

import builtins

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from skimage import metrics as skimage_metrics
from sklearn.decomposition import PCA
from sklearn.metrics import mean_squared_error, r2_score

from skae import metrics
from skae.metrics import (
    active_units,
    explained_variance,
    peak_signal_noise_ratio,
    reconstruction_error,
    structural_similarity,
)

PAIRWISE = [reconstruction_error, peak_signal_noise_ratio, structural_similarity]
values = arrays(np.float64, (6, 8, 8), elements=st.floats(-100, 100, width=32))
orders = st.permutations(range(6))


def images(seed=0, shape=(4, 16, 12), dtype=np.uint8):
    X = np.random.default_rng(seed).integers(0, 256, shape)
    return X.astype(dtype)


def call(metric, X, X_hat, **kwargs):
    """Any of the metrics that compare, with a range that all of them can share."""
    kwargs |= {} if metric is reconstruction_error else {"data_range": 200.0}
    return metric(X, X_hat, **kwargs)


# ------------------------------------------------------------------ all that compare two arrays


@pytest.mark.parametrize("metric", PAIRWISE)
@given(X=values, X_hat=values, order=orders)
def test_per_sample_values_are_independent(metric, X, X_hat, order):
    each = call(metric, X, X_hat, per_sample=True)
    assert each.shape == (6,)
    assert each.dtype == np.float64
    np.testing.assert_array_equal(call(metric, X[order], X_hat[order], per_sample=True), each[order])
    np.testing.assert_allclose(call(metric, X, X_hat), each.mean(), rtol=1e-12)


@pytest.mark.parametrize("metric", PAIRWISE)
def test_means_are_python_floats(metric):
    assert type(call(metric, images(), images(1))) is float


@pytest.mark.parametrize("metric", PAIRWISE)
@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.uint16, np.int64, np.uint64, np.float16, np.float32])
def test_differences_are_in_double_precision(metric, dtype):
    X, X_hat = images(0).astype(dtype), images(1).astype(dtype)
    expected = call(metric, X.astype(np.float64), X_hat.astype(np.float64))
    np.testing.assert_allclose(call(metric, X, X_hat), expected, rtol=1e-12)


@pytest.mark.parametrize("metric", PAIRWISE)
def test_result_does_not_depend_on_slices(metric, monkeypatch):
    X, X_hat = images(0), images(1)
    whole = call(metric, X, X_hat, per_sample=True)
    monkeypatch.setattr("skae._data.chunked._SLICE", 1)
    np.testing.assert_array_equal(call(metric, X, X_hat, per_sample=True), whole)


BAD_PAIRS = {
    "shapes": (np.ones((3, 8, 8)), np.ones((3, 8, 7)), r"X_hat must have the shape of X, \(3, 8, 8\), got \(3, 8, 7\)"),
    "lengths": (
        np.ones((3, 8, 8)),
        np.ones((2, 8, 8)),
        r"X_hat must have the shape of X, \(3, 8, 8\), got \(2, 8, 8\)",
    ),
    "1-D": (
        np.ones(8),
        np.ones(8),
        r"X must have the shape \(n_samples, ...\), at least 2-D and not empty, got \(8,\)",
    ),
    "empty": (np.ones((0, 8, 8)), np.ones((0, 8, 8)), r"X must .* not empty, got \(0, 8, 8\)"),
    "empty rows": (np.ones((3, 0, 8)), np.ones((3, 0, 8)), r"X must .* not empty, got \(3, 0, 8\)"),
    "complex": (np.ones((3, 8, 8)), np.ones((3, 8, 8)) * 1j, "X_hat must hold real numbers, got complex"),
    "dates": (np.zeros((3, 8, 8), "M8[s]"), np.ones((3, 8, 8)), r"X must hold real numbers, got dtype datetime64\[s\]"),
    "infinity": (np.ones((3, 8, 8)), np.full((3, 8, 8), np.inf), "X_hat contains infinity"),
    "NaN in X_hat": (np.ones((3, 8, 8)), np.full((3, 8, 8), np.nan), "X_hat contains NaN"),
}


@pytest.mark.parametrize("metric", PAIRWISE)
@pytest.mark.parametrize("case", BAD_PAIRS)
def test_invalid_arrays_raise(metric, case):
    X, X_hat, message = BAD_PAIRS[case]
    with pytest.raises(ValueError, match=message):
        call(metric, X, X_hat)


# ------------------------------------------------------------------ reconstruction error


def test_error_of_known_values():
    assert reconstruction_error([[0, 0], [0, 0]], [[1, 2], [3, 4]]) == (1 + 4 + 9 + 16) / 4
    assert reconstruction_error([[[0], [0]]], [[[1], [3]]]) == 5
    assert reconstruction_error([[True, False]], [[False, False]]) == 0.5


def test_uint8_does_not_wrap_around():
    X = np.array([[0, 255]], np.uint8)
    assert reconstruction_error(X, X[:, ::-1]) == 255**2


def test_missing_values_are_ignored():
    nan = np.nan
    X, X_hat = [[1, nan, nan], [nan, nan, nan], [0, 0, 0]], [[3, nan, 9], [1, nan, 1], [1, 1, 1]]
    np.testing.assert_array_equal(reconstruction_error(X, X_hat, per_sample=True), [4, nan, 1])
    assert reconstruction_error(X, X_hat) == (4 + 3) / 4  # by value, not by row
    assert reconstruction_error(X, X_hat, sample_weight=[3, 5, 1]) == (3 * 4 + 3) / (3 + 3)


@given(X=values, X_hat=values, weight=arrays(np.float64, 6, elements=st.floats(0.1, 10)))
def test_error_agrees_with_scikit_learn(X, X_hat, weight):
    expected = mean_squared_error(X.reshape(6, -1), X_hat.reshape(6, -1), sample_weight=weight)
    np.testing.assert_allclose(reconstruction_error(X, X_hat, sample_weight=weight), expected, rtol=1e-10, atol=1e-12)


weights = arrays(np.float64, 6, elements=st.floats(0.1, 10))


@given(X=values, X_hat=values, weight=weights)
def test_errors_of_features_agree_with_scikit_learn(X, X_hat, weight):
    expected = mean_squared_error(
        X.reshape(6, -1), X_hat.reshape(6, -1), sample_weight=weight, multioutput="raw_values"
    )
    found = reconstruction_error(X, X_hat, sample_weight=weight, multioutput="raw_values")
    assert found.shape == (8, 8)
    np.testing.assert_allclose(found.ravel(), expected, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(found.mean(), reconstruction_error(X, X_hat, sample_weight=weight), atol=1e-12)


def test_errors_of_features_ignore_missing_values():
    nan = np.nan
    X, X_hat = [[1, nan, nan], [nan, nan, 2]], [[3, nan, 9], [1, nan, 1]]
    np.testing.assert_array_equal(reconstruction_error(X, X_hat, multioutput="raw_values"), [4, nan, 1])
    weighted = reconstruction_error(X, X_hat, sample_weight=[1, 0], multioutput="raw_values")
    np.testing.assert_array_equal(weighted, [4, nan, nan])
    with pytest.raises(ValueError, match="X_hat contains NaN where X has a value"):
        reconstruction_error(np.eye(2), [[0, nan], [0, 0]], multioutput="raw_values")
    with pytest.raises(ValueError, match="no known value in a sample of positive weight"):
        reconstruction_error([[nan], [1.0]], [[1.0], [1.0]], sample_weight=[1, 0], multioutput="raw_values")


@pytest.mark.parametrize("function", [reconstruction_error, explained_variance])
def test_errors_of_features_do_not_depend_on_slices(function, monkeypatch):
    X, X_hat = images(0, dtype=float), images(1, dtype=float)
    whole = function(X, X_hat, multioutput="raw_values")
    monkeypatch.setattr("skae._data.chunked._SLICE", 1)
    np.testing.assert_allclose(function(X, X_hat, multioutput="raw_values"), whole, rtol=1e-12)


def test_error_of_dataframes_with_missing_values():
    X = pd.DataFrame({"a": pd.array([1, None], dtype="Int64"), "b": [2.0, 3.0]})
    assert reconstruction_error(X, np.array([[2.0, 2.0], [9.0, 5.0]])) == (1 + 4) / 3


def test_error_is_computed_in_float64():
    X = np.full((2, 3), 1e8)
    assert reconstruction_error(X, X + 0.5) == 0.25


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"sample_weight": [1, 1, 1]}, r"sample_weight must have the shape \(2,\)"),
        ({"sample_weight": [1, -1]}, "values from 0 to 3.4.*, not all zero, got -1 to 1"),
        ({"sample_weight": [1, 1], "per_sample": True}, "no effect with per_sample=True"),
        (
            {"multioutput": "raw_values", "per_sample": True},
            "multioutput='raw_values' .* conflicts with per_sample=True",
        ),
        ({"multioutput": "variance_weighted"}, "multioutput must be one of 'uniform_average', 'raw_values', got"),
        ({"sample_weight": [0, 1]}, "no known value in a sample of positive weight"),
    ],
)
def test_invalid_averaging_raises(kwargs, message):
    X = np.array([[1.0, 2.0], [np.nan, np.nan]])
    with pytest.raises(ValueError, match=message):
        reconstruction_error(X, np.ones((2, 2)), **kwargs)


def test_no_known_value_raises():
    with pytest.raises(ValueError, match="no known value"):
        reconstruction_error([[np.nan]], [[1.0]])


def test_nan_in_reconstruction_raises_at_known_values():
    X_hat = [[np.nan, 1.0], [1.0, np.nan]]
    assert reconstruction_error([[np.nan, 1.0], [1.0, np.nan]], X_hat, per_sample=True).tolist() == [0, 0]
    with pytest.raises(ValueError, match="X_hat contains NaN where X has a value"):
        reconstruction_error([[np.nan, 1.0], [1.0, 1.0]], X_hat)


# ------------------------------------------------------------------ explained variance


@pytest.mark.parametrize("multioutput", ["variance_weighted", "uniform_average", "raw_values"])
@given(X=values, X_hat=values, weight=weights, constant=st.booleans())
def test_explained_variance_agrees_with_scikit_learn(multioutput, X, X_hat, weight, constant):
    X[0] = X[1] + 1  # so that features vary
    if constant:
        X[:, 0] = X_hat[:, 0] = 0
    kwargs = {"sample_weight": weight, "multioutput": multioutput}
    expected = r2_score(X.reshape(6, -1), X_hat.reshape(6, -1), **kwargs)
    found = explained_variance(X, X_hat, **kwargs)
    if multioutput == "raw_values":
        assert found.shape == (8, 8)
    else:
        assert type(found) is float
    np.testing.assert_allclose(np.ravel(found), expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("k", [1, 3])
def test_explained_variance_of_pca_is_sum_of_ratios(blobs, k):
    X = blobs[:, :5] + 0
    pca = PCA(k).fit(X)
    share = explained_variance(X, pca.inverse_transform(pca.transform(X)))
    assert share == pytest.approx(pca.explained_variance_ratio_.sum())


@given(X=values, X_hat=values, scale=st.sampled_from([2.0**-20, 1.0, 2.0**20]), shift=st.sampled_from([0.0, 1e6]))
def test_explained_variance_is_scale_invariant(X, X_hat, scale, shift):
    X[0] = X[1] + 1
    found = explained_variance(scale * (X + shift), scale * (X_hat + shift))
    assert found == pytest.approx(explained_variance(X, X_hat), rel=1e-6, abs=1e-6)


def test_explained_variance_uses_means_of_known_values():
    nan = np.nan
    X, X_hat = [[0, nan, nan], [2, 5, nan], [nan, 7, nan]], [[0, 9, 1], [1, 5, 1], [9, 8, 1]]
    raw = explained_variance(X, X_hat, multioutput="raw_values")
    np.testing.assert_array_equal(raw, [1 - 1 / 2, 1 - 1 / 2, nan])
    assert explained_variance(X, X_hat) == 1 - 2 / 4
    assert explained_variance(X, X_hat, multioutput="uniform_average") == 0.5
    # With a weight of 3 on the second row the means are 1.5 and 5.5.
    assert explained_variance(X, X_hat, sample_weight=[1, 3, 1]) == pytest.approx(1 - (3 + 1) / (3 + 3))


def test_explained_variance_of_constant_features():
    X = np.full((9, 2), 0.1)  # whose mean is not quite 0.1
    X_hat = X + np.array([0, 1])
    np.testing.assert_array_equal(explained_variance(X, X_hat, multioutput="raw_values"), [1, 0])
    assert explained_variance(X, X) == 1
    assert explained_variance(X, X_hat) == 0
    varied = np.column_stack([X, np.arange(9)])
    assert explained_variance(varied, varied + np.array([0, 1, 0])) == pytest.approx(1 - 9 / 60), (
        "errors in constants count"
    )
    outlier = np.vstack([X, [5, 5]])
    weighted = explained_variance(outlier, outlier + 1, sample_weight=[1] * 9 + [0], multioutput="raw_values")
    np.testing.assert_array_equal(weighted, [0, 0], "rows of weight 0 do not make a feature vary")


def test_explained_variance_of_mean_is_zero():
    X = images(dtype=float)
    mean = np.broadcast_to(X.mean(axis=0), X.shape)
    assert explained_variance(X, mean) == pytest.approx(0, abs=1e-12)
    assert explained_variance(X, mean + 1000) < 0


@pytest.mark.parametrize(
    ("X", "kwargs", "message"),
    [
        (np.ones((1, 2)), {}, "X must have at least 2 samples"),
        (np.full((2, 2), np.nan), {}, "X has no known value in a sample of positive weight"),
        (np.eye(2), {"multioutput": "mean"}, "multioutput must be one of 'variance_weighted', .* got 'mean'"),
        (np.eye(2), {"sample_weight": [1]}, r"sample_weight must have the shape \(2,\)"),
        (np.eye(3), {}, r"X_hat must have the shape of X, \(3, 3\), got \(2, 2\)"),
    ],
)
def test_undefined_explained_variance_raises(X, kwargs, message):
    X_hat = np.ones((1, 2)) if len(X) == 1 else np.ones((2, 2))
    with pytest.raises(ValueError, match=message):
        explained_variance(X, X_hat, **kwargs)


# ------------------------------------------------------------------ PSNR


@pytest.mark.parametrize("metric", [peak_signal_noise_ratio, structural_similarity])
def test_nan_in_x_raises(metric):
    X = images(dtype=float)
    X[0, 0, 0] = np.nan
    with pytest.raises(ValueError, match="X contains NaN"):
        metric(X, images())


def test_psnr_is_mean_over_images():
    X = np.array([[0.0, 1.0], [0.0, 1.0]])
    X_hat = np.array([[0.1, 1.1], [0.01, 1.01]])
    np.testing.assert_allclose(peak_signal_noise_ratio(X, X_hat, per_sample=True), [20, 40])
    np.testing.assert_allclose(peak_signal_noise_ratio(X, X_hat), 30)  # of the mean error it would be 22.97


def test_psnr_of_equal_images_is_infinite():
    X = images()
    assert peak_signal_noise_ratio(X, X) == np.inf
    X_hat = X.copy()
    X_hat[0] += 1
    assert np.isinf(peak_signal_noise_ratio(X, X_hat, per_sample=True)).tolist() == [False, True, True, True]


@pytest.mark.parametrize("compare", ["peak_signal_noise_ratio", "structural_similarity"])
@pytest.mark.parametrize("dtype", [np.uint8, np.float64])
def test_psnr_and_ssim_agree_with_scikit_image(compare, dtype):
    X, X_hat = images(0, dtype=dtype), images(1, dtype=dtype)
    kwargs = {} if dtype is np.uint8 else {"data_range": 255}
    expected = [getattr(skimage_metrics, compare)(x, x_hat, **kwargs) for x, x_hat in zip(X, X_hat, strict=True)]
    np.testing.assert_allclose(getattr(metrics, compare)(X, X_hat, per_sample=True, **kwargs), expected, rtol=1e-12)


@pytest.mark.parametrize("metric", [peak_signal_noise_ratio, structural_similarity])
@pytest.mark.parametrize(
    ("X", "data_range"),
    [
        (images().clip(30, 60), 255),
        (images(dtype=float).clip(30, 60), 30),
        (images(dtype=np.int64).clip(30, 60), 30),
        ((images(dtype=np.int64) - 128).astype(np.int8), 255),  # would wrap around in int8
        (images() > 99, 1),
    ],
    ids=["uint8", "float", "int", "int8", "bool"],
)
def test_default_range(metric, X, data_range):
    X_hat = X.astype(float) + images(1) / 300
    assert metric(X, X_hat) == metric(X, X_hat, data_range=data_range)


@given(X=values, X_hat=values, factor=st.sampled_from([0.25, 2.0, 1024.0]))
def test_psnr_is_scale_invariant(X, X_hat, factor):
    psnr = peak_signal_noise_ratio(X, X_hat, data_range=200, per_sample=True)
    scaled = peak_signal_noise_ratio(factor * X, factor * X_hat, data_range=factor * 200, per_sample=True)
    np.testing.assert_allclose(scaled, psnr, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("metric", [peak_signal_noise_ratio, structural_similarity])
@pytest.mark.parametrize("data_range", [0, -1.0, np.nan, np.inf])
def test_invalid_data_range_raises(metric, data_range):
    with pytest.raises(ValueError, match="data_range == "):
        metric(images(), images(1), data_range=data_range)


@pytest.mark.parametrize("metric", [peak_signal_noise_ratio, structural_similarity])
def test_constant_images_without_data_range_raise(metric):
    with pytest.raises(ValueError, match=r"X is constant, .* pass data_range"):
        metric(np.ones((2, 8, 8)), np.zeros((2, 8, 8)))


# ------------------------------------------------------------------ SSIM


def test_ssim_of_equal_images_is_one():
    np.testing.assert_array_equal(structural_similarity(images(), images(), per_sample=True), np.ones(4))


@pytest.mark.parametrize("channel_axis", [-1, 2, 0, -3])
def test_ssim_with_any_channel_axis(channel_axis):
    X, X_hat = images(0, (3, 16, 12, 3)), images(1, (3, 16, 12, 3))
    expected = np.mean([structural_similarity(X[..., c], X_hat[..., c]) for c in range(3)])
    if channel_axis in (0, -3):
        X, X_hat = np.moveaxis(X, -1, 1), np.moveaxis(X_hat, -1, 1)
    np.testing.assert_allclose(structural_similarity(X, X_hat, channel_axis=channel_axis), expected)


def test_ssim_passes_keyword_arguments():
    X, X_hat = images(0), images(1)
    paper = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
    expected = np.mean([skimage_metrics.structural_similarity(x, y, **paper) for x, y in zip(X, X_hat, strict=True)])
    np.testing.assert_allclose(structural_similarity(X, X_hat, **paper), expected)
    assert structural_similarity(X, X_hat, win_size=3) != structural_similarity(X, X_hat)


@pytest.mark.parametrize(
    ("shape", "kwargs", "message"),
    [
        ((2, 5, 9), {}, "images of 5 x 9, smaller than the window of 7 x 7: pass an odd win_size, at most 5"),
        ((2, 16, 16, 3), {}, "or channel_axis if one of these axes contains channels"),
        ((2, 5, 9, 3), {"channel_axis": -1}, "images of 5 x 9, .* win_size"),
        ((2, 64), {}, r"X must hold images, \(n_samples, height, width\); got rows of shape \(64,\). Reshape"),
        ((2, 8, 3), {"channel_axis": -1}, r"and one axis for channels; got rows of shape \(8, 3\)"),
        ((2, 8, 8), {"channel_axis": 2}, r"channel_axis=2 is not an axis of images of shape \(8, 8\)"),
        ((2, 8, 8), {"full": True}, "full=True is not supported"),
        ((2, 8, 8), {"gradient": True}, "gradient=True is not supported"),
        ((2, 8, 8), {"win_size": 9}, "win_size exceeds image extent"),
    ],
)
def test_invalid_images_for_ssim_raise(shape, kwargs, message):
    with pytest.raises(ValueError, match=message):
        structural_similarity(images(0, shape), images(1, shape), **kwargs)


def test_ssim_of_small_images_with_small_window():
    X = images(0, (2, 5, 9))
    assert structural_similarity(X, X, win_size=5) == 1


def test_missing_scikit_image_raises(monkeypatch):
    real = builtins.__import__

    def without(name, *args, **kwargs):
        if name.startswith("skimage"):
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ImportError, match=r'pip install "skae\[image\]"'):
        structural_similarity(images(), images())


# ------------------------------------------------------------------ active units


def test_active_units_are_counted_by_variance():
    Z = np.array([[-1.0, -0.05, -0.2, 7.0], [1.0, 0.05, 0.2, 7.0]])  # variances 1, 0.0025, 0.04, 0
    assert active_units(Z) == 2
    assert active_units(Z, threshold=0.002) == 3
    assert active_units(Z, threshold=1) == 0  # it has to be exceeded
    assert type(active_units(Z)) is int


def test_constant_columns_are_never_active():
    Z = np.full((1000, 3), 0.1, np.float32)  # whose mean is not quite 0.1
    assert active_units(Z, threshold=0) == 0


@given(
    Z=arrays(np.float64, (7, 4), elements=st.integers(-8, 8).map(float)),
    rows=st.permutations(range(7)),
    columns=st.permutations(range(4)),
    shift=st.integers(-1000, 1000),
)
def test_active_units_are_invariant_to_order_and_offset(Z, rows, columns, shift):
    moved = Z[rows][:, columns] + shift
    assert active_units(moved, threshold=1.234) == active_units(Z, threshold=1.234)


@pytest.mark.parametrize(
    ("Z", "kwargs", "message"),
    [
        (np.ones(3), {}, r"Z must have the shape \(n_samples, ...\), .*got \(3,\)"),
        (np.ones((3, 2, 2)), {}, r"Z must have the shape \(n_samples, n_components\).*got \(3, 2, 2\)"),
        (np.ones((1, 2)), {}, r"at least 2 samples, got \(1, 2\)"),
        ([[np.nan], [1.0]], {}, "Z contains NaN"),
        (np.eye(2), {"threshold": -0.1}, "threshold == -0.1, must be >= 0"),
    ],
)
def test_invalid_codes_raise(Z, kwargs, message):
    with pytest.raises(ValueError, match=message):
        active_units(Z, **kwargs)


def test_invalid_arguments_raise():
    X = np.random.default_rng(0).random((2, 9, 9))
    for params, error in (
        ({"win_size": 1}, ValueError),
        ({"channel_axis": 0.5}, TypeError),
        ({"per_sample": "no"}, ValueError),
    ):
        with pytest.raises(error, match=next(iter(params))):
            structural_similarity(X, X, **params)
    for metric in (reconstruction_error, peak_signal_noise_ratio, structural_similarity):
        with pytest.raises(ValueError, match=r"X has values up to .* too large for float32"):
            metric(X * 1e200, X)
    with pytest.raises(ValueError, match="squares overflow or underflow"):
        structural_similarity(0 * X, 0 * X, data_range=1e-320)


@pytest.mark.parametrize("dtype", [np.float64, np.uint8])
def test_lists_of_images_of_different_sizes_are_compared_one_by_one(dtype):
    rng = np.random.default_rng(0)
    X = [(200 * rng.uniform(size=size)).astype(dtype) for size in [(9, 12), (20, 8), (15, 15)]]
    X_hat = [image + rng.normal(scale=5, size=image.shape) for image in X]
    for metric in (peak_signal_noise_ratio, structural_similarity):
        each = [metric(x[None], x_hat[None], data_range=255) for x, x_hat in zip(X, X_hat, strict=True)]
        np.testing.assert_allclose(metric(X, X_hat, data_range=255, per_sample=True), each)
        assert metric(X, X_hat, data_range=255) == pytest.approx(np.mean(each))
    spread = 255 if dtype is np.uint8 else max(x.max() for x in X) - min(x.min() for x in X)
    assert peak_signal_noise_ratio(X, X_hat) == peak_signal_noise_ratio(X, X_hat, data_range=spread)
    with pytest.raises(ValueError, match="X_hat must hold 3 images"):
        peak_signal_noise_ratio(X, X_hat[:2])


@pytest.mark.parametrize("metric", [peak_signal_noise_ratio, structural_similarity])
@pytest.mark.parametrize("nothing", [[], ()])
def test_empty_list_of_images_raises(metric, nothing):
    with pytest.raises(ValueError, match=r"X must have the shape .* not empty"):
        metric(nothing, np.zeros((1, 9, 9)))
