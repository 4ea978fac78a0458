"""ReconstructionDisplay: layouts, value ranges, labels, errors."""

from itertools import pairwise

import matplotlib.pyplot as plt
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.base import BaseEstimator

from skae.metrics import peak_signal_noise_ratio, reconstruction_error
from skae.plotting import ReconstructionDisplay

draw = ReconstructionDisplay.from_predictions


def ramp(*shape):
    """Images of different values in [0, 1]."""
    return np.linspace(0, 1, np.prod(shape)).reshape(shape)


def picture(display):
    return np.asarray(display.im_.get_array())


def tile(display, row, column, height, width, gap=1):
    """One image of the picture, as it is shown."""
    top, left = row * (height + gap), column * (width + gap)
    return picture(display)[top : top + height, left : left + width]


def labels(display, axis):
    return [label.get_text() for label in getattr(display.ax_, f"get_{axis}ticklabels")()]


def captions(display):
    """The texts below the images of all rows but the last."""
    return [text.get_text() for text in display.ax_.texts]


def test_originals_are_above_reconstructions():
    X, X_hat = ramp(3, 8, 5), ramp(3, 8, 5)[:, ::-1]
    display = draw(X, X_hat)
    assert picture(display).shape == (2 * 8 + 1, 3 * 5 + 2, 3)
    for column in range(3):
        np.testing.assert_allclose(tile(display, 0, column, 8, 5)[..., 0], X[column], atol=1 / 255)
        np.testing.assert_allclose(tile(display, 1, column, 8, 5)[..., 0], X_hat[column], atol=1 / 255)
    assert labels(display, "y") == ["original", "reconstruction"]
    np.testing.assert_array_equal(picture(display)[8], 1)  # the gap is white


def test_target_adds_third_row():
    X, X_hat, X_target = ramp(2, 6, 6), ramp(2, 6, 6) / 2, ramp(2, 6, 6) / 4
    display = draw(X, X_hat, X_target=X_target, limits=(0, 1))
    assert labels(display, "y") == ["input", "reconstruction", "target"]
    np.testing.assert_allclose(tile(display, 2, 1, 6, 6)[..., 0], X_target[1], atol=1 / 255)


COLOR = ramp(2, 8, 6, 3)
LAYOUTS = {
    "channels last": (COLOR, {}),
    "channels first": (np.moveaxis(COLOR, -1, 1), {}),
    "channels first, explicit": (np.moveaxis(COLOR, -1, 1), {"channel_axis": -3}),
    "flat, last": (COLOR.reshape(2, -1), {"input_shape": (8, 6, 3)}),
    "flat, first": (np.moveaxis(COLOR, -1, 1).reshape(2, -1), {"input_shape": (3, -1, 6), "channel_axis": 0}),
    "with transparency": (np.concatenate([COLOR, np.full((2, 8, 6, 1), 9.0)], axis=-1), {}),
    "transparency, first": (np.concatenate([np.moveaxis(COLOR, -1, 1), np.zeros((2, 1, 8, 6))], axis=1), {}),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts_of_color_images(layout):
    X, kwargs = LAYOUTS[layout]
    display = draw(X, X, **kwargs)
    np.testing.assert_allclose(tile(display, 1, 1, 8, 6), COLOR[1])


GRAY = ramp(2, 6, 6)


@pytest.mark.parametrize(
    "X", [GRAY, GRAY[..., None], GRAY[:, None], GRAY.reshape(2, 36)], ids=["plain", "last", "first", "flat square"]
)
def test_layouts_of_gray_images(X):
    np.testing.assert_allclose(tile(draw(X, X), 0, 1, 6, 6)[..., 2], GRAY[1], atol=1 / 255)


@pytest.mark.parametrize(
    ("X", "limits"),
    [
        (np.array([[[0, 51], [102, 204]]], np.uint8), (0, 255)),
        (np.array([[[0.1, 0.2], [0.3, 0.6]]]), (0, 1)),
        (np.array([[[-2.0, 3.0], [1.0, 8.0]]]), (-2, 8)),
        (np.array([[[4, 5], [6, 14]]]), (4, 14)),
    ],
    ids=["uint8", "shares", "floats", "integers"],
)
def test_all_rows_share_value_range(X, limits):
    low, high = limits
    X_hat = X.astype(float) + 0.25 * (high - low)
    display = draw(X, X_hat)
    for row, images in enumerate([X, X_hat]):
        expected = np.clip((images[0] - low) / (high - low), 0, 1)
        np.testing.assert_allclose(tile(display, row, 0, 2, 2)[..., 0], expected, atol=1 / 255)


def test_explicit_limits():
    display = draw(ramp(1, 4, 4), ramp(1, 4, 4), limits=(0.5, 0.75))
    shown = tile(display, 0, 0, 4, 4)[..., 0]
    assert (shown == 0).sum() == 8
    assert (shown == 1).sum() == 4


@pytest.mark.parametrize("constant", [0.0, 7.0, np.nan])
def test_constant_and_all_nan_images(constant):
    X = np.full((2, 4, 4), constant)
    assert np.isfinite(picture(draw(X, X))).all()


@pytest.mark.parametrize("shape", [(1, 6, 6), (1, 6, 6, 3)])
def test_nan_has_its_own_color(shape):
    X, X_hat = ramp(*shape), ramp(*shape)
    X[0, 2, 3] = np.nan
    red, green, blue = tile(draw(X, X_hat), 0, 0, 6, 6)[2, 3]
    assert red < green < blue


@pytest.mark.parametrize("metric", ["mse", "psnr"])
def test_metric_below_each_image(metric):
    X, X_hat = ramp(3, 8, 8), ramp(3, 8, 8) ** 2
    if metric == "mse":
        expected = [f"{v:.3g}" for v in reconstruction_error(X, X_hat, per_sample=True)]
    else:
        expected = [f"{v:.1f} dB" for v in peak_signal_noise_ratio(X, X_hat, data_range=1, per_sample=True)]
    assert labels(draw(X, X_hat, metric=metric), "x") == expected
    assert labels(draw(X, X_hat), "x") == ["", "", ""]


def test_metric_compares_with_target():
    X, X_target = ramp(2, 8, 8), ramp(2, 8, 8)
    assert captions(draw(X, X_target + 0.5, X_target=X_target, metric="mse")) == ["0", "0", "0.25", "0.25"]
    display = draw(X + 9, X_target, X_target=X_target, metric="mse")
    assert captions(display) == ["81", "81", "0", "0"]
    assert labels(display, "x") == ["", ""], "none below the target"


def test_metric_labels_do_not_overlap():
    display = draw(ramp(20, 4, 4), ramp(20, 4, 4) / 2, metric="mse", n_samples=20)
    display.figure_.canvas.draw()
    boxes = [label.get_window_extent() for label in display.ax_.get_xticklabels()]
    assert not any(left.overlaps(right) for left, right in pairwise(boxes))


@given(n=st.integers(1, 15), n_samples=st.integers(1, 15))
def test_first_n_samples_are_drawn(n, n_samples):
    display = draw(ramp(n, 4, 4), ramp(n, 4, 4), n_samples=n_samples)
    assert picture(display).shape[1] == 5 * min(n, n_samples) - 1
    plt.close(display.figure_)


def test_only_drawn_samples_are_reconstructed(few):
    class Counting(BaseEstimator):
        n_rows_ = 0

        def fit(self, X):
            return self

        def __sklearn_is_fitted__(self):
            return True

        def reconstruct(self, X):
            self.n_rows_ += len(X)
            return X

    estimator = Counting()
    ReconstructionDisplay.from_estimator(estimator, few)
    assert estimator.n_rows_ == 10


def test_reconstruct_is_preferred_to_transform(autoencoder, pca, few):
    display = ReconstructionDisplay.from_estimator(autoencoder, few)
    np.testing.assert_array_equal(display.X_hat, autoencoder.reconstruct(few[:10]))
    display = ReconstructionDisplay.from_estimator(pca, few)
    np.testing.assert_array_equal(display.X_hat, pca.inverse_transform(pca.transform(few[:10])))


def test_from_estimator_passes_arguments(autoencoder, few):
    display = ReconstructionDisplay.from_estimator(
        autoencoder, few / 2, X_target=few, n_samples=4, input_shape=(4, 16), cmap="gray_r", metric="psnr"
    )
    assert len(captions(display)) == 8
    assert picture(display).shape[1:] == (4 * 16 + 3, 3)
    shown = picture(display)[-4:, 17:33, 0]  # the target, below rows with captions
    np.testing.assert_allclose(shown, 1 - few[1].reshape(4, 16) / 16, atol=1 / 255)


@pytest.mark.parametrize(
    ("shape", "kwargs", "message"),
    [
        ((3, 13), {}, "^X has flattened samples of 13 values, not square gray images: pass input_shape"),
        ((3, 64), {"input_shape": (8, 9)}, r"^input_shape=\(8, 9\) does not hold the 64 values that a row of X has"),
        ((3, 4, 6), {"input_shape": (6, 4)}, r"^input_shape=\(6, 4\) does not fit the rows of X, .* shape \(4, 6\)"),
        ((3, 100, 2), {}, r"^X has rows of shape \(100, 2\), .*sequences: pass input_shape=\(100, 2\)"),
        (
            (3, 8, 8, 2),
            {},
            r"^X has rows of shape \(8, 8, 2\), .*pass channel_axis=0 or channel_axis=-1",
        ),
        ((3, 3, 8, 3), {}, r"^X has rows of shape \(3, 8, 3\), .*pass channel_axis=0 or channel_axis=-1"),
        (
            (3, 8, 8, 2),
            {"channel_axis": -1},
            r"^X has images of 2 channels \(.*\), but only 1, 3 or 4 channels can be drawn",
        ),
        ((3, 8, 8), {"channel_axis": 0}, r"^channel_axis=0 needs images with three axes, but X has rows of shape"),
        ((3, 2, 8, 8, 3), {}, r"^X has rows of shape \(2, 8, 8, 3\), but an image has 2 axes, or 3 with channels"),
        ((3, 64), {"input_shape": (64,)}, r"^input_shape is \(64,\), but an image has 2 axes"),
        ((3, 64), {"metric": "ssim"}, "metric must be one of 'auto', None, 'psnr', 'mse', got 'ssim'"),
        ((3, 64), {"n_samples": 0}, "n_samples == 0, must be >= 1"),
    ],
)
def test_invalid_images_raise(shape, kwargs, message):
    with pytest.raises(ValueError, match=message):
        draw(ramp(*shape), ramp(*shape), **kwargs)


def test_sequences_with_explicit_input_shape():
    X = ramp(2, 12, 3)
    for told in ({"input_shape": (12, 3)}, {"channel_axis": None}):
        display = draw(X, X, **told)
        assert picture(display).shape == (2 * 12 + 1, 2 * 3 + 1, 3)
        np.testing.assert_allclose(tile(display, 1, 1, 12, 3)[..., 0], X[1], atol=1 / 255)


def test_small_images_with_channels_are_not_sequences():
    X = ramp(2, 9, 2, 3)
    np.testing.assert_allclose(tile(draw(X, X), 1, 1, 9, 2), X[1])


def test_messages_name_the_array():
    X = ramp(3, 8, 8)
    with pytest.raises(ValueError, match=r"^X_hat has flattened samples of 60 values"):
        draw(X, ramp(3, 60))
    with pytest.raises(ValueError, match="that a row of X_target has"):
        draw(X, X, X_target=ramp(3, 60), input_shape=(8, 8))


def test_psnr_of_nan_requires_target():
    X, X_hat = ramp(2, 8, 8), ramp(2, 8, 8) / 2
    holes = X.copy()
    holes[1, 2, 3] = np.nan
    with pytest.raises(ValueError, match=r"^X contains NaN.*pass an X_target without NaN, or metric='mse'"):
        draw(holes, X_hat, metric="psnr")
    assert plt.get_fignums() == [], "nothing was drawn"
    with pytest.raises(ValueError, match=r"^X_target contains NaN.*pass an X_target without NaN, or metric='mse'"):
        draw(X, X_hat, X_target=holes, metric="psnr")
    expected = labels(draw(X, X_hat, metric="psnr"), "x")
    assert captions(draw(holes, X_hat, X_target=X, metric="psnr")) == ["inf dB", *expected], "none for the hole"
    known = [f"{v:.3g}" for v in reconstruction_error(holes, X_hat, per_sample=True)]
    assert labels(draw(holes, X_hat, metric="mse"), "x") == known


def test_mismatched_images_raise():
    with pytest.raises(ValueError, match=r"the same number of images, got 3 in X, 2 in X_hat"):
        draw(ramp(3, 8, 8), ramp(2, 8, 8))
    for X, X_hat in [(ramp(3, 8, 8), ramp(3, 8, 9)), ([ramp(9, 9), ramp(8, 8)], [ramp(9, 9), ramp(8, 9)])]:
        i = int(isinstance(X, list))
        with pytest.raises(ValueError, match=rf"of one shape, got X\[{i}\] \(8, 8\), X_hat\[{i}\] \(8, 9\)"):
            draw(X, X_hat)
