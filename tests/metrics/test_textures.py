"""Metrics of textures: definitions, invariances, and what they distinguish."""

import inspect

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy.ndimage import gaussian_filter, laplace
from scipy.spatial.distance import cdist
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.preprocessing import StandardScaler

from skae.metrics import copied_share, patch_distance, seam_ratio, sharpness, two_sample_auc
from skae.metrics._copies import _largest_square, _moves_together
from skae.metrics._two_sample import _auc, _logistic_regression

seeds = st.integers(0, 2**32 - 1)


def spots(seed, shape=(96, 96), **kwargs):
    """Bright and dark spots of about 4 pixels: a texture of which any number of samples can be drawn."""
    return gaussian_filter(np.random.default_rng(seed).normal(size=shape), (1.5, 1.5, 0)[: len(shape)], **kwargs)


def shuffled(image):
    return np.random.default_rng(0).permutation(image.ravel()).reshape(image.shape)


def noisy(image):
    return image + np.random.default_rng(0).normal(size=image.shape) * image.std() / 2


# Each with small images in mind; two_sample_auc asks for patches that fit into half an image.
WITH_EXEMPLAR = {patch_distance: {}, two_sample_auc: {"patch_size": 16}, copied_share: {}}
SMALL = {patch_distance: {"crop_size": 20}, two_sample_auc: {"patch_size": 12}, copied_share: {"patch_size": 5}}
METRICS = [*WITH_EXEMPLAR, seam_ratio]


def call(metric, X, exemplar, params=WITH_EXEMPLAR, **kwargs):
    return metric(X, **kwargs) if metric is seam_ratio else metric(X, exemplar, **params[metric], **kwargs)


# ------------------------------------------------------------------ patch_distance


def test_exemplar_has_patch_distance_one():
    exemplar = spots(0)
    assert patch_distance(exemplar, exemplar) == 1
    assert 0.5 < patch_distance(np.stack([spots(seed) for seed in range(1, 5)]), exemplar) < 2.5


@pytest.mark.parametrize("changed", [lambda x: gaussian_filter(x, 1), noisy, shuffled, lambda x: 1.5 * x])
def test_changed_textures_are_far_in_patch_distance(changed):
    assert patch_distance(changed(spots(0)), spots(0)) > 4


def test_patch_distance_definition():
    """One scale, by quantiles written out; crops at the corners of an image of 13 × 13."""
    rng = np.random.default_rng(0)
    X, exemplar = rng.normal(size=(2, 13, 13))
    size, patch = 12, 7
    directions = np.random.default_rng(np.random.RandomState(3).randint(2**31 - 1)).normal(size=(1, 5, 1, patch, patch))
    directions = (directions / np.sqrt((directions**2).sum((2, 3, 4), keepdims=True)))[0, :, 0]
    mean, scale = exemplar.mean(), exemplar.std()

    def quantiles(image):
        windows = np.lib.stride_tricks.sliding_window_view((image - mean) / scale, (patch, patch))
        at = (np.arange(512) + 0.5) / 512
        values = [np.einsum("hwij,ij->hw", windows, d).ravel() for d in directions]
        return np.array([np.quantile(v, at, method="inverted_cdf") for v in values])

    def distance(image):
        crops = [image[i : i + size, j : j + size] for i in (0, 1) for j in (0, 1)]
        return np.mean([np.mean((quantiles(crop) - quantiles(exemplar)) ** 2) for crop in crops])

    params = {"crop_size": size, "n_projections": 5, "n_scales": 1, "random_state": 3}
    found = patch_distance(X, exemplar, **params)
    np.testing.assert_allclose(found, (distance(X) + 1e-9) / (distance(exemplar) + 1e-9), rtol=0.05)


def test_patch_distance_may_be_below_one():
    """Crops that mix the whole exemplar, whose own places are not alike."""
    exemplar = spots(0)
    exemplar[:, 48:] *= 3
    mixed = np.concatenate([exemplar[:, 24:48], exemplar[:, 48:72]] * 2, axis=1)
    assert patch_distance(mixed, exemplar, crop_size=48, n_scales=1) < 0.9


def test_periodic_exemplar_has_finite_patch_distance():
    stripes = np.tile([0.0, 1.0], (32, 16))
    assert patch_distance(stripes[:, ::-1], stripes, n_scales=1) == pytest.approx(1)
    assert 1e3 < patch_distance(stripes.T, stripes, n_scales=1) < np.inf


# ------------------------------------------------------------------ two_sample_auc


def test_two_sample_auc_of_one_texture_is_near_half():
    exemplar = spots(0)
    assert abs(two_sample_auc(exemplar, exemplar, patch_size=24) - 0.5) < 0.05
    values = [two_sample_auc(spots(seed), exemplar, patch_size=24) for seed in range(1, 6)]
    assert 0.3 < np.mean(values) < 0.7


@pytest.mark.parametrize("changed", [lambda x: gaussian_filter(x, 1), noisy, shuffled])
def test_two_sample_auc_distinguishes_other_textures(changed):
    assert two_sample_auc(changed(spots(1)), spots(0), patch_size=24) > 0.95


def test_logistic_regression_equals_that_of_scikit_learn():
    rng = np.random.default_rng(0)
    features, labels = rng.normal(size=(90, 20)), np.arange(90) < 30
    features[labels] += 0.5
    expected = LogisticRegression(C=0.01, class_weight="balanced", tol=1e-8).fit(features, labels).coef_[0]
    np.testing.assert_allclose(_logistic_regression(features, labels), expected, atol=1e-5)
    half = features[::2], labels[::2]
    other = features[1::2], labels[1::2]
    scaler = StandardScaler().fit(half[0])
    model = LogisticRegression(C=0.01, class_weight="balanced", tol=1e-8).fit(scaler.transform(half[0]), half[1])
    area = roc_auc_score(other[1], model.decision_function(scaler.transform(other[0])))
    assert _auc(half, other) == pytest.approx(area)


def test_no_public_fit_is_called(fits):
    two_sample_auc(spots(1, (40, 40)), spots(0, (40, 40)), patch_size=12)
    assert fits == []


# ------------------------------------------------------------------ copied_share


@given(seed=seeds, top=st.integers(0, 20), left=st.integers(0, 20), side=st.integers(11, 40))
@settings(max_examples=10)
def test_crop_of_the_exemplar_is_copied(seed, top, left, side):
    exemplar = spots(seed, (60, 60))
    crop = exemplar[top : top + side, left : left + side]
    assert copied_share(crop, exemplar) == (1.0, side)


def test_pieces_are_found_where_they_were_put():
    exemplar, other = spots(0, (64, 64)), spots(1, (64, 64))
    X = other.copy()
    X[10:40, 20:60] = exemplar[30:60, 5:45]
    share, largest = copied_share(X, exemplar)
    assert 30 <= largest <= 33
    assert share > 21 * 31 / 55**2
    # Values that are changed a little leave it a copy.
    assert copied_share(noisy(X) * 0.1 + X * 0.9, exemplar).largest >= 30


def test_noise_and_mirror_images_are_not_copied():
    exemplar = np.random.default_rng(0).normal(size=(64, 64, 3))
    for X in (np.random.default_rng(1).normal(size=(64, 64, 3)), exemplar[:, ::-1], exemplar.swapaxes(0, 1)):
        share, largest = copied_share(X, exemplar)
        assert share < 0.02
        assert largest < 14


def test_copied_share_looks_at_the_center_of_large_images():
    exemplar = spots(0)
    X = spots(1)
    X[32:64, 32:64] = exemplar[10:42, 20:52]
    assert copied_share(X, exemplar, crop_size=32) == (1.0, 32)
    assert copied_share(X, exemplar, crop_size=None).share < 0.3


def test_nearest_patches_equal_a_search_in_all(monkeypatch):
    X, exemplar = spots(0, (24, 24)), spots(1, (24, 24))
    monkeypatch.setattr("skae._data.chunked._SLICE", 1)
    monkeypatch.setattr("skae.metrics._copies._N_COMPONENTS", 25)  # all of a patch of 5 × 5
    windows = [np.lib.stride_tricks.sliding_window_view(A, (5, 5)).reshape(400, 25) for A in (X, exemplar)]
    expected = _moves_together(cdist(*windows).argmin(axis=1).reshape(20, 20), 20)
    assert copied_share(X, exemplar, patch_size=5).share == pytest.approx(expected.mean())


@given(seed=seeds, shape=st.tuples(st.integers(1, 12), st.integers(1, 12)), density=st.floats(0, 1))
def test_largest_square(seed, shape, density):
    mask = np.random.default_rng(seed).random(shape) < density
    sides = np.zeros((shape[0] + 1, shape[1] + 1), int)
    for i, j in np.argwhere(mask):
        sides[i + 1, j + 1] = 1 + min(sides[i, j], sides[i + 1, j], sides[i, j + 1])
    assert _largest_square(mask) == sides.max()


# ------------------------------------------------------------------ seam_ratio


def test_seam_ratio_of_images_that_tile_and_of_others():
    tiling = [spots(seed, mode="wrap") for seed in range(3)]
    assert all(0.8 < seam_ratio(image) < 1.25 for image in tiling)
    assert seam_ratio(np.stack(tiling)) == pytest.approx(np.mean([seam_ratio(image) for image in tiling]))
    rolled = [seam_ratio(np.roll(tiling[0], shift, axis=(0, 1))) for shift in (7, 31)]
    assert all(0.8 < ratio < 1.25 for ratio in rolled)
    assert seam_ratio(spots(0)) > 3
    assert seam_ratio(np.add.outer(np.arange(20), np.arange(20))) == pytest.approx(19)


@pytest.mark.parametrize("value", [0, 255, 1e-310, 3e38])
def test_constant_images_have_seam_ratio_one(value):
    assert seam_ratio(np.full((4, 5), value)) == 1


# ------------------------------------------------------------------ sharpness


def test_sharpness_is_the_variance_of_the_laplacian():
    x = np.random.default_rng(0).normal(size=(9, 7))
    inside = laplace(x)[1:-1, 1:-1]
    assert sharpness(x) == pytest.approx(inside.var())
    assert sharpness(np.stack([x, 0 * x])) == pytest.approx(inside.var() / 2)
    assert sharpness(np.stack([x] * 3, axis=-1)) == pytest.approx(inside.var())
    assert sharpness(np.add.outer(np.arange(9), np.arange(7))) < 1e-25


def test_sharpness_falls_with_blur_and_is_in_units_squared():
    found = [sharpness(gaussian_filter(spots(0), sigma)) for sigma in (0, 0.5, 1, 2)]
    assert found == sorted(found, reverse=True)
    assert sharpness(1e37 * spots(0)) == pytest.approx(1e74 * found[0])
    with pytest.raises(ValueError, match="at least 3 pixels a side, got 2 x 5"):
        sharpness(np.ones((2, 5)))


# ------------------------------------------------------------------ all of them


@pytest.mark.parametrize("metric", METRICS)
def test_result_is_the_same_in_other_units(metric):
    X, exemplar = noisy(spots(1, (48, 48))), spots(0, (48, 48))
    expected = call(metric, X, exemplar)
    np.testing.assert_allclose(call(metric, 20 + 8 * X, 20 + 8 * exemplar), expected, rtol=1e-3)
    # Close to the largest and the smallest numbers.
    np.testing.assert_allclose(call(metric, 1e37 * X, 1e37 * exemplar), expected, rtol=1e-3)
    np.testing.assert_allclose(call(metric, 1e-250 * X, 1e-250 * exemplar), expected, rtol=1e-3)


@pytest.mark.parametrize("metric", WITH_EXEMPLAR)
def test_layouts_and_containers(metric):
    X, exemplar = spots(1, (40, 32, 3)), spots(0, (36, 40, 3))
    expected = call(metric, X, exemplar, SMALL)
    first, exemplar_first = np.moveaxis(X, -1, 0), np.moveaxis(exemplar, -1, 0)
    for images in (X[None], [X], torch.tensor(X), pd.Series([X])):
        np.testing.assert_allclose(call(metric, images, exemplar, SMALL), expected)
        np.testing.assert_allclose(call(metric, images, exemplar[None], SMALL, channel_axis=-1), expected)
    twice = [call(metric, images, exemplar, SMALL) for images in ((X, X), np.stack([X, X]))]
    np.testing.assert_allclose(twice[0], twice[1])
    np.testing.assert_allclose(twice[0], expected, atol=0.05)  # of a regression with twice the patches
    np.testing.assert_allclose(call(metric, first, [exemplar_first], SMALL), expected)
    np.testing.assert_allclose(call(metric, first[None], torch.tensor(exemplar_first), SMALL), expected)
    gray = call(metric, X[..., 0], exemplar[..., 0], SMALL)
    np.testing.assert_allclose(call(metric, X[None, ..., 0], exemplar[..., 0].tolist(), SMALL), gray)
    np.testing.assert_allclose(call(metric, X[..., :1], exemplar[..., :1], SMALL), gray)
    two = call(metric, X[..., :2], exemplar[..., :2], SMALL, channel_axis=-1)
    np.testing.assert_allclose(call(metric, first[:2], exemplar_first[:2], SMALL, channel_axis=0), two)
    call(metric, pd.Series([X, X[:36]]), exemplar, SMALL)


def test_layouts_of_seam_ratio():
    X = spots(0, (24, 30, 3))
    first = np.moveaxis(X, -1, 0)
    expected = seam_ratio(X)
    for same in (X[None], [X, X], first[None], [first], torch.tensor(X), pd.Series([X, X]), [torch.tensor(X)]):
        assert seam_ratio(same) == pytest.approx(expected)
    assert seam_ratio(first, channel_axis=0) == pytest.approx(expected)
    gray = np.mean([seam_ratio(x) for x in first])
    assert seam_ratio(first) == pytest.approx(gray)  # three gray images
    assert seam_ratio(list(first)) == pytest.approx(gray)
    assert seam_ratio(X.swapaxes(1, 2), channel_axis=None) > 0
    assert seam_ratio([first[0], first[0, :20]]) > 0


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int64, np.float16, np.float32, ">f8"])
def test_dtypes(metric, dtype):
    X, exemplar = ((60 * spots(seed, (32, 40)) + 100).round() for seed in (1, 0))
    expected = call(metric, X, exemplar, SMALL)
    found = call(metric, X.astype(dtype), exemplar.astype(dtype), SMALL)
    assert found == expected
    assert all(type(value) in (float, int) for value in (found if isinstance(found, tuple) else [found]))


@pytest.mark.parametrize("metric", [patch_distance, two_sample_auc])
def test_equal_seeds_give_equal_values(metric):
    X, exemplar = spots(1, (40, 40)), spots(0, (40, 40))
    values = [call(metric, X, exemplar, SMALL, random_state=seed) for seed in (0, 0, np.random.RandomState(1), 1)]
    assert values[0] == values[1] == call(metric, X, exemplar, SMALL)
    assert values[2] == values[3] != values[0]
    assert np.isfinite(call(metric, X, exemplar, SMALL, random_state=None))


A = np.arange(24 * 24.0).reshape(24, 24) % 7
COLOR = np.repeat(A[..., None], 3, axis=-1)


@pytest.mark.parametrize("metric", WITH_EXEMPLAR)
@pytest.mark.parametrize(
    ("X", "exemplar", "message"),
    [
        (A, A * 0 + 0.1, "exemplar must be a texture, but is constant"),
        (A, [A, A], "exemplar must be one image, got 2"),
        (A, np.stack([COLOR] * 3), "exemplar must be one image, got 3"),
        (A, A[0], r"exemplar must have the shape \(n_samples, ...\), at least 2-D .* got \(24,\)"),
        (A, np.where(A > 5, np.nan, A), "exemplar contains NaN"),
        (np.where(A > 5, np.inf, A), A, r"X contains infinity"),
        ([A, A * 1j], A, r"X\[1\] must hold real numbers"),
        (COLOR, A, "X has the shape .*, that of a color image, but exemplar is gray"),
        (A, COLOR, r"X must be an image as exemplar is, one with channels, of three axes; got the shape \(24, 24\)"),
        (
            [COLOR, A],
            COLOR,
            r"X\[1\] must be an image as exemplar is, one with channels.* got the shape \(24, 24\)",
        ),
        (COLOR[..., [0, 1, 2, 0]], COLOR, "X has 4 channels, but exemplar has 3"),
        (A + 1e-300, A * 1e-300, "X holds values too far from those of exemplar"),
        (A[:3], A, "must be .* the shortest side of all images, [13], which is that of X"),
        (A, A[:3], "must be .* the shortest side of all images, [13], which is that of exemplar"),
        ([], A, "X"),
    ],
)
def test_invalid_images_raise(metric, X, exemplar, message):
    with pytest.raises(ValueError, match=message):
        call(metric, X, exemplar, SMALL)


@pytest.mark.parametrize(
    ("X", "kwargs", "message"),
    [
        (A[:1], {}, "X must have at least 2 pixels a side, got 1 x 24"),
        ([A, A[:, :1]], {}, r"X\[1\] must have at least 2 pixels a side, got 24 x 1"),
        (A[0], {}, "X must have the shape"),
        (np.stack([COLOR, COLOR])[None], {}, "an image has 2 axes, or 3 with channels|X must"),
        (COLOR * np.nan, {}, "X contains NaN"),
        ([A, COLOR], {}, r"X\[1\] must be an image as the first is, a gray one"),
        (A, {"channel_axis": -1}, "channel_axis=-1 needs images with three axes"),
    ],
)
def test_invalid_images_raise_in_seam_ratio(X, kwargs, message):
    with pytest.raises(ValueError, match=message):
        seam_ratio(X, **kwargs)


@pytest.mark.parametrize(
    ("metric", "kwargs", "message"),
    [
        (patch_distance, {"patch_size": 1}, "patch_size == 1, must be >= 2"),
        (patch_distance, {"n_scales": 0}, "n_scales == 0, must be >= 1"),
        (patch_distance, {"n_projections": 0}, "n_projections == 0, must be >= 1"),
        (patch_distance, {"crop_size": 6}, "crop_size == 6, must be >= 7"),
        (patch_distance, {"crop_size": 25}, "crop_size=25 must be at most the shortest side of all images, 24"),
        (patch_distance, {"crop_size": 24}, "exemplar must be larger than one crop of 24 x 24"),
        (patch_distance, {"patch_size": 25}, "patch_size=25 must be at most the shortest side"),
        (two_sample_auc, {"patch_size": 11}, "patch_size == 11, must be >= 12"),
        (two_sample_auc, {"patch_size": 13}, "patch_size=13 must be at most half of the shortest side .*, 12"),
        (two_sample_auc, {"patch_size": 12, "random_state": "seed"}, "random_state must be None, an int"),
        (copied_share, {"patch_size": 24}, "patch_size=24 must be less than the shortest side of all images, 24"),
        (copied_share, {"crop_size": 9}, "crop_size must be above patch_size=9, got 9"),
        (copied_share, {"channel_axis": -1}, "channel_axis=-1 needs images with three axes"),
        (copied_share, {"channel_axis": 1}, "channel_axis=1 needs images with three axes"),
    ],
)
def test_invalid_parameters_raise(metric, kwargs, message):
    with pytest.raises(ValueError, match=message):
        metric(A, A, **kwargs)


def test_only_arrays_may_be_given_by_position():
    for metric in METRICS:
        kinds = [p.kind for p in inspect.signature(metric).parameters.values() if p.name not in ("X", "exemplar")]
        assert set(kinds) == {inspect.Parameter.KEYWORD_ONLY}


def test_palette_images_are_read_in_their_colors():
    exemplar = Image.fromarray((128 + 200 * spots(0, (36, 40, 3))).clip(0, 255).astype(np.uint8)).convert("P")
    X = (128 + 200 * spots(1, (40, 32, 3))).clip(0, 255).astype(np.uint8)
    assert copied_share(X, [exemplar], patch_size=5) == copied_share(X, exemplar, patch_size=5)
