"""TraversalDisplay: codes, their order, labels."""

import numpy as np
import pytest
from sklearn.base import BaseEstimator
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA

from skae import VAEGenerator
from skae.plotting import TraversalDisplay


class Linear(BaseEstimator):
    """Three latent numbers; decoded, an image of 2 × 2 holds them and their sum."""

    n_components_ = 3

    def fit(self, X):
        return self

    def __sklearn_is_fitted__(self):
        return True

    def transform(self, X):
        return np.asarray(X)[:, : self.n_components_]

    def inverse_transform(self, Z):
        return np.column_stack([Z, np.zeros((len(Z), 3 - Z.shape[1])), Z.sum(axis=1)])


class Single(Linear):
    n_components_ = 1


X = np.array([[0.0, 0, 5, 0], [2, 10, 5, 0], [4, 20, 5, 0], [2, 10, 9, 0]])


def draw(estimator=None, data=X, **kwargs):
    return TraversalDisplay.from_estimator(estimator or Linear(), data, **kwargs)


def labels(display, axis):
    return [label.get_text() for label in getattr(display.ax_, f"get_{axis}ticklabels")()]


def test_values_are_centered_at_mean_code():
    display = draw(n_steps=5)
    sd = X.std(axis=0)
    np.testing.assert_allclose(display.x_values, 2 + np.linspace(-2, 2, 5) * sd[0])
    np.testing.assert_allclose(display.y_values, 10 + np.linspace(-2, 2, 5) * sd[1])
    assert display.images.shape == (5, 5, 2, 2)
    for i, y in enumerate(display.y_values):
        for j, x in enumerate(display.x_values):
            np.testing.assert_allclose(display.images[i, j], [[x, y], [6, x + y + 6]])  # the third is held at its mean


def test_sample_as_center():
    display = draw(center=3, n_steps=3, span=1)
    np.testing.assert_allclose(display.x_values[1], 2)
    np.testing.assert_allclose(display.images[1, 1], [[2, 10], [9, 21]])


def test_span_in_quantiles():
    display = draw(span=(0, 1), n_steps=3, center=0)
    assert display.x_values.tolist() == [0, 2, 4]
    assert display.y_values.tolist() == [0, 10, 20]
    assert display.images[0, 0].tolist() == [[0, 0], [5, 5]]  # the third is that of row 0


def test_choice_of_components():
    display = draw(components=(2, 0), span=(0, 1), n_steps=2)
    assert display.x_values.tolist() == [5, 9]
    assert display.y_values.tolist() == [0, 4]
    assert (display.ax_.get_xlabel(), display.ax_.get_ylabel()) == ("Component 2", "Component 0")


def test_components_vary_right_and_up():
    display = draw(span=(0, 1), n_steps=3)
    picture = np.asarray(display.im_.get_array())[..., 0]  # low values are dark
    assert picture.shape == (8, 8)
    assert picture[0::3, 0].tolist() == sorted(picture[0::3, 0]) == [picture[0, 0]] * 3  # top left pixel: component 0
    assert picture[0, 0] < picture[0, 3] < picture[0, 6]
    assert picture[6, 1] < picture[3, 1] < picture[0, 1]  # top right pixel: component 1
    assert labels(display, "x") == ["0.0", "2.0", "4.0"]
    assert labels(display, "y") == ["20", "10", "0"]


@pytest.mark.parametrize(
    ("estimator", "components"), [(Linear(), (1,)), (Linear(), 1), (Single(), (0, 1)), (Single(), 0)]
)
def test_one_component_gives_one_row(estimator, components):
    display = draw(estimator, components=components, n_steps=4)
    assert display.images.shape == (1, 4, 2, 2)
    assert display.y_values is None
    assert labels(display, "y") == [""]
    assert display.ax_.get_ylabel() == ""


@pytest.mark.parametrize(
    ("scale", "expected"),
    [(1e-3, ["−0.0020", "0.0000", "0.0020"]), (1, ["−2.0", "0.0", "2.0"]), (1e3, ["−2000", "0", "2000"])],
)
def test_tick_labels_have_needed_decimals(scale, expected):
    data = np.array([[-1.0, -1, 0, 0], [1, 1, 0, 0]]) * scale
    assert labels(draw(data=data, n_steps=3), "x") == expected


def test_tick_label_of_zero_has_no_sign():
    data = np.array([[-1 - 1e-9, -1, 0, 0], [1, 1, 0, 0]])
    assert labels(draw(data=data, n_steps=3), "x") == ["−2.0", "0.0", "2.0"]


def test_value_range_is_that_of_x(autoencoder, few):
    assert TraversalDisplay.from_estimator(autoencoder, few).limits == (0, 16)
    assert TraversalDisplay.from_estimator(autoencoder, few.astype(np.uint8)).limits == (0, 255)


def test_images_match_inverse_transform(autoencoder, few):
    display = TraversalDisplay.from_estimator(autoencoder, few, n_steps=3)
    codes = np.tile(autoencoder.transform(few).mean(axis=0), (9, 1))
    codes[:, 0] = np.tile(display.x_values, 3)
    codes[:, 1] = np.repeat(display.y_values, 3)
    expected = autoencoder.inverse_transform(codes).reshape(3, 3, 8, 8)
    np.testing.assert_array_equal(display.images, expected)


def test_color_images():
    data = np.random.default_rng(0).integers(0, 256, (30, 75)).astype(np.uint8)
    display = draw(PCA(2).fit(data), data, input_shape=(5, 5, 3), n_steps=3)
    assert display.images.shape == (3, 3, 5, 5, 3)


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"components": (0, 3)}, r"components must be one or two distinct integers from 0 to 2, got \[0, 3\]"),
        ({"components": (1, 1)}, "one or two distinct integers"),
        ({"components": (-1, 0)}, "one or two distinct integers"),
        ({"components": (0, 1, 2)}, "one or two distinct integers"),
        ({"components": ()}, "one or two distinct integers"),
        ({"n_steps": 1}, "n_steps == 1, must be >= 2"),
        ({"span": 0}, "span == 0, must be > 0"),
        ({"span": (0.9, 0.1)}, "two ascending quantiles"),
        ({"span": (-1, 1)}, "two ascending quantiles"),
        ({"span": (0.1, 0.5, 0.9)}, "two ascending quantiles"),
        ({"center": 4}, "center == 4, must be <= 3"),
        ({"data": np.ones((3, 4))}, "are constant in component 0"),
        ({"span": (0.3, 0.6), "components": 2}, "are constant in component 2"),
        ({"input_shape": (3, 3)}, r"^input_shape=\(3, 3\) does not hold the 4 values that a row of the decoded X has"),
        ({"channel_axis": 0}, "^channel_axis=0 needs images with three axes, but the decoded X has flat rows"),
    ],
)
def test_invalid_arguments_raise(kwargs, message):
    with pytest.raises(ValueError, match=message):
        draw(**kwargs)


def test_condition_is_passed_to_decoder():
    X, y = load_digits(return_X_y=True)
    X, y = X[y < 2], y[y < 2]
    vae = VAEGenerator(2, conditional=True, max_epochs=30, early_stopping=False, random_state=0).fit(X, y)
    zeros, ones = (TraversalDisplay.from_estimator(vae, X, y=digit, n_steps=3).images for digit in (0, 1))
    center = np.s_[..., 3:5, 3:5]
    assert zeros[center].mean() + 4 < ones[center].mean(), "a nought is hollow"
    with pytest.raises(ValueError, match="pass y"):
        TraversalDisplay.from_estimator(vae, X)
