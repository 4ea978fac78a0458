"""LatentDisplay: points, axes, colors and legends."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgba
from sklearn.decomposition import PCA

from skae.plotting import LatentDisplay
from skae.plotting._common import COLORS

draw = LatentDisplay.from_codes


def legend_of(display):
    return [text.get_text() for text in display.legend_.get_texts()]


def points_of(display):
    return np.vstack([np.asarray(artist.get_offsets()) for artist in display.artists_])


def test_two_components_are_plotted_unchanged(codes):
    display = draw(codes)
    np.testing.assert_array_equal(points_of(display), codes)
    assert (display.ax_.get_xlabel(), display.ax_.get_ylabel()) == ("Component 0", "Component 1")
    assert display.legend_ is None
    assert display.colorbar_ is None


def test_more_components_are_projected_by_pca(codes):
    rotation = np.linalg.qr(np.random.default_rng(1).normal(size=(5, 5)))[0]
    Z = codes @ rotation[:2] + 100
    display = draw(Z)
    expected = PCA(2).fit_transform(Z)
    np.testing.assert_allclose(np.abs(points_of(display)), np.abs(expected), atol=1e-8)
    share = 100 * codes[:, 0].var() / codes.var(axis=0).sum()
    first, second = PCA(2).fit(codes).explained_variance_ratio_ * 100
    assert abs(first - share) < 5  # nearly the first column's
    assert display.ax_.get_xlabel() == f"PC 1 ({first:.0f} % of the codes' variance)"
    assert display.ax_.get_ylabel() == f"PC 2 ({second:.0f} % of the codes' variance)"


def test_projection_uses_no_random_numbers():
    Z = np.random.default_rng(0).normal(size=(501, 501))  # from this size on PCA is randomized by default
    before = np.random.get_state()[1:3]  # noqa: NPY002
    draw(Z)
    after = np.random.get_state()[1:3]  # noqa: NPY002
    assert (before[0].tolist(), before[1]) == (after[0].tolist(), after[1])


def test_projection_fits_no_estimator(codes, fits):
    draw(np.hstack([codes, codes**2]))
    assert fits == []


def test_constant_codes():
    display = draw(np.ones((5, 3)))
    assert display.ax_.get_xlabel() == "PC 1 (0 % of the codes' variance)"
    np.testing.assert_array_equal(points_of(display), np.zeros((5, 2)))


def test_from_estimator_transforms(autoencoder, few, classes):
    display = LatentDisplay.from_estimator(autoencoder, few, y=classes)
    Z = PCA(2, svd_solver="full").fit_transform(autoencoder.transform(few).astype(float))
    np.testing.assert_allclose(display.points, Z, atol=1e-9)
    assert legend_of(display) == list("0123456789")


@pytest.mark.parametrize(
    "y", [np.arange(50) % 3, (np.arange(50) % 3).astype(float), np.array(list("abc") * 16 + ["a", "b"])]
)
def test_classes_have_colors_and_legend(codes, y):
    display = draw(codes, y=y)
    assert legend_of(display) == [str(c) for c in np.unique(y)]
    for i, (c, artist) in enumerate(zip(np.unique(y), display.artists_, strict=True)):
        np.testing.assert_array_equal(artist.get_offsets(), codes[y == c])
        np.testing.assert_allclose(artist.get_facecolor()[0, :3], to_rgba(COLORS[i])[:3])
    assert display.colorbar_ is None


def test_twenty_classes_differ_in_color_or_marker(codes):
    display = draw(codes, y=np.arange(50) % 20)
    looks = {(tuple(a.get_facecolor()[0]), a.get_paths()[0].vertices.shape) for a in display.artists_}
    assert len(looks) == 20


@pytest.mark.parametrize("y", [np.linspace(0, 1, 50), np.arange(50), np.arange(50) % 3 + 0.5])
def test_values_have_colorbar(codes, y):
    display = draw(codes, y=pd.Series(y, name="age"))
    assert display.legend_ is None
    assert display.colorbar_.ax.get_ylabel() == "age"
    np.testing.assert_array_equal(display.artists_[0].get_array(), y)


def test_series_name_is_legend_title(codes):
    display = draw(codes, y=pd.Series(["ill", "well"] * 25, name="diagnosis"))
    assert display.legend_.get_title().get_text() == "diagnosis"
    assert legend_of(display) == ["ill", "well"]


def test_legend_is_outside_of_axes(codes):
    display = draw(codes, y=np.arange(50) % 10)
    display.figure_.canvas.draw()
    box = display.legend_.get_window_extent()
    assert box.x0 >= display.ax_.get_window_extent().x1
    assert box.x1 <= display.figure_.bbox.x1


def test_one_component_gives_histogram(codes):
    display = draw(codes[:, :1])
    assert sum(bar.get_height() for bar in display.artists_) == 50
    assert display.ax_.get_xlabel() == "Component 0"
    assert display.ax_.get_ylabel() == "Rows"


def test_one_component_with_values(codes):
    display = draw(codes[:, :1], y=codes[:, 1])
    np.testing.assert_array_equal(points_of(display), codes)
    assert display.ax_.get_ylabel() == "y"


def test_one_component_with_classes(codes):
    y = np.array(["low", "high"] * 25)
    display = draw(codes[:, :1], y=y)
    assert [label.get_text() for label in display.ax_.get_yticklabels()] == ["high", "low"]
    for place, (name, artist) in enumerate(zip(["high", "low"], display.artists_, strict=True)):
        x, height = np.asarray(artist.get_offsets()).T
        np.testing.assert_array_equal(x, codes[y == name, 0])
        assert np.abs(height - place).max() < 0.31
    assert display.legend_ is None


def test_keyword_arguments_for_scatter_and_hist(codes):
    assert draw(codes, s=7).artists_[0].get_sizes().tolist() == [7]
    assert draw(codes, y=np.arange(50) % 2, alpha=0.25).artists_[1].get_alpha() == 0.25
    assert len(draw(codes[:, :1], bins=4).artists_) == 4


@pytest.mark.parametrize(
    ("Z", "y", "message"),
    [
        (np.ones((3, 2)), [0, 1], "inconsistent numbers of samples"),
        (np.ones((2, 2)), [0, np.nan], "Input y contains NaN"),
        (np.ones((2, 2)), [[0, 1], [1, 0]], "1d array"),
        ([[np.inf, 1.0]], None, "Input Z contains infinity"),
        (np.ones((1, 3)), None, "minimum of 2 is required"),
        (np.ones((2, 2, 2)), None, "dim 3"),
        (np.ones((41, 2)), [f"c{i}" for i in range(41)], "41 classes, but at most 40"),
    ],
)
def test_invalid_codes_and_classes_raise(Z, y, message):
    with pytest.raises(ValueError, match=message):
        draw(Z, y=y)
