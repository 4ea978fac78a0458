"""ReconstructionDisplay of photographs: images of different sizes, PSNR, details."""

from itertools import combinations

import matplotlib.pyplot as plt
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.base import BaseEstimator

from skae._data.images import ImageLayout
from skae.metrics import peak_signal_noise_ratio
from skae.plotting import ReconstructionDisplay

draw = ReconstructionDisplay.from_predictions
RNG = np.random.default_rng(0)


def photographs(*sizes, dtype=np.uint8):
    high = 1 if dtype is float else np.iinfo(dtype).max
    return [RNG.uniform(0, high, size).astype(dtype) for size in sizes]


def noisy(images, strength):
    return [image + RNG.normal(0, strength, image.shape) for image in images]


def texts(display):
    """Captions of all rows, from above."""
    last = [label.get_text() for label in display.ax_.get_xticklabels()]
    return [text.get_text() for text in display.ax_.texts] + last


def decibels(references, images, data_range):
    pairs = zip(references, images, strict=True)
    return [f"{peak_signal_noise_ratio(x[None], x_hat[None], data_range=data_range):.1f} dB" for x, x_hat in pairs]


@pytest.mark.parametrize(
    ("dtype", "options", "data_range"),
    [
        (np.uint8, {}, 255),
        (np.uint8, {"limits": (0, 99)}, 255),
        (np.uint16, {}, 65535),
        (float, {}, 1),
        (float, {"data_range": 2.5}, 2.5),
        (float, {"limits": (0, 0.5)}, 0.5),
    ],
)
def test_captions_equal_the_metric(dtype, options, data_range):
    clean = photographs((70, 80), (90, 66, 3), (20, 30), dtype=dtype)
    X, X_hat = noisy(clean, 0.2 * data_range), noisy(clean, 0.05 * data_range)
    reconstructed = decibels(clean, X_hat, data_range)
    assert texts(draw(clean, X_hat, **options)) == reconstructed
    display = draw(X, X_hat, X_target=clean, **options)
    assert texts(display) == decibels(clean, X, data_range) + reconstructed + ["", "", ""]


def test_range_of_floats_is_that_of_all_references():
    clean = [np.linspace(-1, 0, 70 * 70).reshape(70, 70), np.linspace(0, 4, 80 * 60).reshape(80, 60)]
    X_hat = noisy(clean, 0.2)
    assert texts(draw(clean, X_hat)) == decibels(clean, X_hat, 5)


def test_auto_metric_is_psnr_for_large_images():
    large, small = photographs((65, 20), (64, 64))
    assert all(texts(draw([large, small], [large + 1.0, small + 1.0])))
    assert texts(draw([small], [small + 1.0])) == [""]
    assert texts(draw([large], [large + 1.0], metric=None)) == [""]
    holes = large.astype(float)
    holes[3, 3] = np.nan
    assert texts(draw([holes], [large])) == [""]
    assert texts(draw([np.zeros((70, 70)) + 7], [np.zeros((70, 70))])) == [""], "range unknown"
    display = draw([holes, large], [large + 1.0, large + 1.0], X_target=[large, large])
    assert texts(display) == ["inf dB", "48.1 dB", "48.1 dB", "", ""], "none below the image with a hole"


@pytest.mark.parametrize("n", [1, 3, 14])
@pytest.mark.parametrize("zoom", [None, (5, 5, 8, 12)])
@pytest.mark.parametrize("new", [False, True])
@pytest.mark.slow
def test_texts_and_images_do_not_overlap(n, zoom, new):
    clean = photographs(*[(70, 90), (100, 70), (66, 66)][:n] * (5 if n == 14 else 1))
    ax = plt.subplots(figsize=(6, 5))[1]
    display = draw(noisy(clean, 9), noisy(clean, 9), X_target=clean, n_samples=n, zoom=zoom, ax=None if new else ax)
    display.figure_.canvas.draw()
    boxes = [text.get_window_extent() for text in display.ax_.texts]
    assert len(boxes) == 2 * n
    assert not any(one.overlaps(other) for one, other in combinations(boxes, 2))
    shown = np.asarray(display.im_.get_array())
    for box in boxes:  # only white below the text
        (left, low), (right, high) = display.ax_.transData.inverted().transform([box.min, box.max])
        assert (shown[int(high) + 1 : int(low) + 1, max(0, int(left)) : int(right) + 1] == 1).all()


def test_images_of_different_sizes_are_aligned():
    X = photographs((80, 100), (70, 66, 3))
    X_hat = [255.0 - image for image in X]
    shown = np.asarray(draw(X, X_hat).im_.get_array())
    assert shown.shape == (2 * 80 + 5, 100 + 5 + 66, 3)
    for row, images in enumerate([X, X_hat]):
        bottom = 80 + row * 85
        np.testing.assert_allclose(shown[bottom - 80 : bottom, :100, 0], images[0] / 255, atol=1 / 255)
        np.testing.assert_allclose(shown[bottom - 70 : bottom, 105:], images[1] / 255, atol=1e-6)
        np.testing.assert_array_equal(shown[bottom - 80 : bottom - 70, 105:], 1)


def test_small_images_are_enlarged_by_whole_factor():
    X = photographs((90, 60), (30, 25))
    shown = np.asarray(draw(X, X).im_.get_array())
    assert shown.shape[1] == 60 + 4 + 2 * 25
    np.testing.assert_allclose(shown[30:90:2, 64::2, 0], X[1] / 255, atol=1 / 255)
    np.testing.assert_array_equal(shown[30:90:2, 64:], shown[31:90:2, 64:])


@pytest.mark.parametrize("kind", ["list", "tuple", "objects", "tensors", "PIL", "series"])
def test_collections(kind):
    X = photographs((80, 100), (70, 66))
    objects = np.empty(2, object)
    objects[:] = X
    expected = np.asarray(draw(X, X).im_.get_array())
    if kind == "PIL":
        given = [pytest.importorskip("PIL.Image").fromarray(image) for image in X]
    elif kind == "tensors":
        given = [pytest.importorskip("torch").tensor(image) for image in X]
    elif kind == "series":
        given = pytest.importorskip("pandas").Series(X)
    else:
        given = {"list": X, "tuple": tuple(X), "objects": objects}[kind]
    np.testing.assert_array_equal(draw(given, X).im_.get_array(), expected)


def test_channels_first():
    X = photographs((3, 70, 80), (3, 90, 66))
    moved = [np.moveaxis(image, 0, -1) for image in X]
    for options in ({}, {"channel_axis": 0}):
        np.testing.assert_array_equal(draw(X, X, **options).im_.get_array(), draw(moved, moved).im_.get_array())


@given(data=st.data())
def test_detail_shows_exactly_the_region(data):
    sizes = data.draw(st.lists(st.tuples(st.integers(5, 80), st.integers(5, 80)), min_size=1, max_size=3))
    row, column = (data.draw(st.integers(0, min(size[axis] for size in sizes) - 1)) for axis in (0, 1))
    height = data.draw(st.integers(1, min(size[0] for size in sizes) - row))
    width = data.draw(st.integers(1, min(size[1] for size in sizes) - column))
    X = photographs(*sizes)
    X_hat = [image / 2 for image in X]
    display = draw(X, X_hat, zoom=(row, column, height, width), channel_axis=None)
    shown, frames = np.asarray(display.im_.get_array()), iter(display.ax_.patches)
    assert [len(details) for details in display.details_] == [len(X)] * 2
    for images, details in zip([X, X_hat], display.details_, strict=True):
        for image, detail in zip(images, details, strict=True):
            region = image[row : row + height, column : column + width] / 255
            np.testing.assert_allclose(np.asarray(detail.get_array())[..., 0], region, atol=1 / 255)
            assert detail.get_interpolation() == "nearest"
            left, right, bottom, top = detail.get_extent()
            assert (bottom - top) / (right - left) == pytest.approx(height / width)
            assert right <= shown.shape[1], "within the picture"
            in_image, around_detail = next(frames), next(frames)
            assert around_detail.get_bbox().extents == pytest.approx([left, top, right, bottom])
            x0, y0, x1, y1 = (in_image.get_bbox().extents + 0.5).astype(int)
            factor = (x1 - x0) // width
            np.testing.assert_allclose(shown[y0:y1:factor, x0:x1:factor, 0], region, atol=1 / 255)
    plt.close(display.figure_)


def test_details_leave_limits_of_axes():
    X = photographs((80, 100), (70, 66))
    display = draw(X, X, zoom=(3, 4, 20, 10))
    height, width = np.asarray(display.im_.get_array()).shape[:2]
    assert display.ax_.get_xlim() == (-0.5, width - 0.5)
    assert display.ax_.get_ylim() == (height - 0.5, -0.5)
    assert draw(X, X).details_ is None


@pytest.mark.parametrize(
    ("zoom", "error", "message"),
    [
        (
            (60, 5, 11, 5),
            ValueError,
            r"^zoom must be a region .*ends at \(71, 10\), but X\[1\] has the size \(70, 66\)",
        ),
        ((0, 60, 5, 20), ValueError, r"ends at \(5, 80\), but X\[1\]"),
        ((-1, 0, 5, 5), ValueError, r"^zoom must have row >= 0, .* got \(-1, 0, 5, 5\)"),
        ((0, 0, 0, 5), ValueError, "height >= 1"),
        ((1, 2, 3), TypeError, r"^zoom must be None or four integers \(row, column, height, width\)"),
        ((0.5, 1, 2, 3), TypeError, "four integers"),
        (7, TypeError, "got 7"),
    ],
)
def test_invalid_zoom_raises(zoom, error, message):
    X = photographs((80, 100), (70, 66))
    with pytest.raises(error, match=message):
        draw(X, X, zoom=zoom)
    assert plt.get_fignums() == [], "nothing was drawn"


@pytest.mark.parametrize("data_range", [0, -1.0])
def test_invalid_data_range_raises(data_range):
    X = photographs((80, 100))
    with pytest.raises(ValueError, match=r"^data_range == .*must be > 0"):
        draw(X, X, data_range=data_range)


def test_values_are_clipped_for_display_only():
    (X,) = photographs((70, 70))
    X_hat = np.where(X > 127, 400.0, -100.0)
    display = draw([X], [X_hat])
    shown = np.asarray(display.im_.get_array())[-70:, :, 0]
    assert (shown.min(), shown.max()) == (0, 1)
    assert texts(display) == decibels([X], [X_hat], 255)


class AnySize(BaseEstimator):
    """A stub of an estimator that was fitted on patches and reconstructs images of any size."""

    layout_ = ImageLayout((3, 8, 8), (3, 8, 8), 0)

    def fit(self, X):
        return self

    def __sklearn_is_fitted__(self):
        return True

    def reconstruct(self, X):
        return [image / 2 for image in X] if isinstance(X, list) else X / 2


def test_from_estimator_with_images_of_any_size():
    X = photographs((3, 70, 80), (3, 90, 3), (3, 66, 70))  # the second is read by the fitted layout only
    display = ReconstructionDisplay.from_estimator(AnySize(), X, n_samples=2, zoom=(2, 0, 9, 3))
    assert len(display.X_hat) == 2
    assert texts(display) == decibels(X[:2], display.X_hat, 255)
    display = ReconstructionDisplay.from_estimator(AnySize(), np.stack([X[0], X[0]]), metric=None)
    assert display.X_hat.shape == (2, 3, 70, 80)


@pytest.mark.parametrize("size", [(160, 60), (60, 160)])
def test_labels_are_within_the_figure(size):
    X = np.random.default_rng(0).random((1, *size))
    display = ReconstructionDisplay.from_predictions(X, X, zoom=(20, 20, 30, 30))
    display.figure_.canvas.draw()
    assert min(label.get_window_extent().x0 for label in display.ax_.get_yticklabels()) >= 0
