"""TextureDisplay and StyleDisplay: scales, tiles, colors of places, weights."""

import numpy as np
import pandas as pd
import pytest
from pictures import Blocks, Colors

from skae.plotting import StyleDisplay, TextureDisplay
from skae.plotting._places import legends, place_colors

rng = np.random.default_rng(0)
GRAY = rng.integers(0, 256, (24, 20), np.uint8)
COLOR = rng.integers(0, 256, (24, 20, 3), np.uint8)
OTHER = rng.integers(0, 256, (16, 28, 3), np.uint8)
GAP = 3  # of these small pictures


def pixels(display):
    return np.asarray(display.im_.get_array())


def labels(display):
    return [label.get_text() for label in display.ax_.get_xticklabels()]


# ------------------------------------------------------------------ textures


def test_samples_are_tiled_at_the_scale_of_the_exemplar():
    display = TextureDisplay.from_estimator(Blocks().fit([COLOR]), n_samples=2, size=(12, 16), random_state=0)
    picture = pixels(display)
    assert picture.shape == (24, 20 + 2 * (GAP + 2 * 16), 3)
    np.testing.assert_allclose(picture[:, :20], COLOR / 255, atol=1e-6)
    for i, left in enumerate([20 + GAP, 20 + 2 * GAP + 32]):
        tiled = np.tile(display.samples[i], (2, 2, 1)) / 255
        np.testing.assert_allclose(picture[:24, left : left + 32], tiled, atol=1e-6)
    assert (picture[:, 20 : 20 + GAP] == 1).all()
    assert labels(display) == ["exemplar", "sample, tiled 2 × 2", "sample, tiled 2 × 2"]


def test_ticks_are_outside_of_the_picture_where_tiles_meet():
    display = TextureDisplay(exemplars=GRAY, samples=GRAY[:12, :16]).plot(n_tiles=3)
    segments = np.array(display.ticks_.get_segments())
    left, top, width, height = 20 + GAP - 0.5, -0.5, 48, 36
    upright = segments[segments[:, 0, 0] == segments[:, 1, 0]]
    flat = segments[segments[:, 0, 1] == segments[:, 1, 1]]
    assert sorted(set(upright[:, 0, 0])) == [left + 16, left + 32]
    assert sorted(set(flat[:, 0, 1])) == [top + 12, top + 24]
    assert len(upright) == len(flat) == 4
    inside = (segments > [left, top]).all(2) & (segments < [left + width, top + height]).all(2)
    assert not inside.any()
    (low, high), (bottom, upper) = display.ax_.get_xlim(), display.ax_.get_ylim()
    assert (segments >= [low, upper]).all()
    assert (segments <= [high, bottom]).all()


def test_samples_that_do_not_tile_are_drawn_once():
    display = TextureDisplay(exemplars=GRAY, samples=[GRAY, GRAY[:10]]).plot(n_tiles=1)
    assert pixels(display).shape == (24, 60 + 2 * GAP, 3)
    assert labels(display) == ["exemplar", "sample", "sample"]
    assert len(display.ticks_.get_segments()) == 0


@pytest.mark.parametrize("exemplars", [[COLOR], [COLOR, OTHER]])
def test_sources_have_the_colors_of_their_places(exemplars):
    """A pixel of the exemplar looks the same in its legend and where it was copied to, by cells of one color."""
    display = TextureDisplay.from_estimator(Blocks().fit(exemplars), sources=True, size=(10, 14), random_state=1)
    picture = pixels(display)
    n = len(exemplars)
    left = 20 + GAP if n == 1 else 2 * (28 + GAP)
    legend = picture[24 + GAP : 48 + GAP, :20] if n == 1 else picture[:24, 28 + GAP : 28 + GAP + 20]
    shown = picture[:10, left + 28 + GAP : left + 42 + GAP]
    np.testing.assert_array_equal(shown, picture[10:20, left + 42 + GAP : left + 56 + GAP])
    for k, row, column in display.sources[0, :, ::3, ::4].reshape(3, -1).T:
        j, i = np.argwhere(np.equal(display.sources[0].T, (k, row, column)).all(2))[0]
        if k == 0:
            np.testing.assert_allclose(shown[4 * i, 4 * j], legend[row, column], atol=1e-6)
    assert labels(display)[-1] == "where it comes from"
    assert labels(display)[0] == ("exemplar" if n == 1 else "exemplars")


def test_colors_of_places_are_smooth_and_all_different():
    shapes = [(80, 90), (40, 120)]
    found = [place_colors(np.stack([np.full(shape, i), *np.indices(shape)]), shapes) for i, shape in enumerate(shapes)]
    for colors in found:
        assert colors.min() >= 0
        assert colors.max() <= 1
        assert max(abs(np.diff(colors, axis=axis)).max() for axis in (0, 1)) < 0.1
    everything = np.concatenate([colors.reshape(-1, 3) for colors in found])
    assert len(np.unique(everything.round(5), axis=0)) > 0.98 * len(everything)
    white = [np.ones((*shape, 3), np.float32) for shape in shapes]
    np.testing.assert_allclose(legends(white)[1], found[1], atol=1e-6)


@pytest.mark.parametrize("channel_axis", ["auto", 0, -1])
def test_layouts_of_textures(channel_axis):
    exemplar = np.moveaxis(COLOR, -1, 0) if channel_axis == 0 else COLOR
    estimator = Blocks(channel_axis).fit([exemplar])
    drawn = TextureDisplay.from_estimator(estimator, sources=True, random_state=0)
    expected = TextureDisplay.from_estimator(Blocks().fit([COLOR]), sources=True, random_state=0)
    np.testing.assert_array_equal(pixels(drawn), pixels(expected))
    again = TextureDisplay(exemplars=exemplar, samples=drawn.samples[0], sources=drawn.sources[0])
    again.channel_axis = channel_axis
    np.testing.assert_array_equal(pixels(again.plot()), pixels(expected))
    again.exemplars = pd.Series([exemplar])
    np.testing.assert_array_equal(pixels(again.plot()), pixels(expected))


def test_gray_stacks_of_three_samples_are_no_color_image():
    display = TextureDisplay.from_estimator(Blocks().fit([GRAY]), n_samples=3, size=(12, 12), random_state=0)
    assert pixels(display).shape == (24, 20 + 3 * (GAP + 24), 3)
    again = TextureDisplay(exemplars=GRAY, samples=display.samples).plot()
    np.testing.assert_array_equal(pixels(again), pixels(display))


def test_range_is_that_of_exemplars():
    display = TextureDisplay(exemplars=GRAY * 10.0, samples=GRAY * 20.0).plot(n_tiles=1)
    picture = pixels(display)
    assert picture[:, :20].max() == 1
    assert (picture[:, 20 + GAP :] == 1).mean() > 0.4
    limited = pixels(TextureDisplay(exemplars=GRAY, samples=GRAY).plot(limits=(0, 510), n_tiles=1))
    np.testing.assert_allclose(limited[:, :20], GRAY[..., None].repeat(3, axis=2) / 510, atol=0.003)


@pytest.mark.parametrize(
    ("params", "kwargs", "message"),
    [
        ({}, {"n_tiles": 0}, "n_tiles == 0, must be >= 1"),
        ({"exemplars": COLOR[..., :2]}, {}, "exemplars|channel"),
        ({"samples": GRAY[0]}, {}, r"samples must be an image, .* or several, got an array of shape \(20,\)"),
        (
            {"samples": np.empty((0, 24, 20))},
            {},
            r"samples must hold at least one image, of 2 axes, got .*\(0, 24",
        ),
        ({"exemplars": COLOR, "samples": GRAY}, {}, "samples must hold at least one image, of 3 axes"),
        ({"sources": np.zeros((2, 3, 6, 5), int)}, {}, r"sources must have the shape \(1, 3, n_rows, n_columns\)"),
        ({"sources": np.zeros((2, 6, 5), int)}, {}, "sources must have the shape"),
        ({"sources": np.zeros((3, 6, 4), int), "stride": 4}, {}, "sources must have 6 x 5 cells .* got 6 x 4"),
        ({"sources": np.zeros((3, 6, 5), int), "stride": 0}, {}, "stride == 0, must be >= 1"),
    ],
)
def test_invalid_textures_raise(params, kwargs, message):
    with pytest.raises(ValueError, match=message):
        TextureDisplay(**{"exemplars": GRAY, "samples": GRAY} | params).plot(**kwargs)


def test_invalid_n_samples_raises():
    with pytest.raises(ValueError, match="n_samples == 0, must be >= 1"):
        TextureDisplay.from_estimator(Blocks().fit([GRAY]), n_samples=0)


# ------------------------------------------------------------------ styles

CONTENTS = [COLOR, OTHER, COLOR[:12]]
STYLES = [COLOR // 4, 255 - OTHER // 4]


def place(image):
    """The left, right, bottom and top end of an image."""
    return np.array(image.get_extent())


def test_contents_are_down_and_styles_across():
    display = StyleDisplay.from_estimator(Colors().fit(STYLES), CONTENTS)
    assert [len(row) for row in display.images_] == [3, 3, 3]
    assert len(display.headers_) == 2
    centers = np.array([[place(image)[:2].mean(), place(image)[2:].mean()] for image in display.headers_])
    for j, (header, column) in enumerate(zip(centers, np.swapaxes(display.images_, 0, 1)[1:], strict=True)):
        assert {round(place(image)[:2].mean(), 9) for image in column} == {round(header[0], 9)}
        for content, image in zip(CONTENTS, column, strict=True):
            alone = Colors(tuple(np.eye(2)[j])).fit(STYLES).transform([content])[0]
            np.testing.assert_allclose(image.get_array(), alone / 255, atol=1e-6)
    for content, row in zip(CONTENTS, display.images_, strict=True):
        np.testing.assert_allclose(row[0].get_array(), content / 255, atol=1e-6)
        assert len({round(place(image)[2:].mean(), 9) for image in row}) == 1
    assert labels(display) == []


def test_images_keep_their_proportions_and_do_not_overlap():
    display = StyleDisplay.from_estimator(Colors().fit(STYLES), CONTENTS)
    images = [*display.headers_, *(image for row in display.images_ for image in row)]
    for image in images:
        left, right, bottom, top = place(image)
        height, width = image.get_array().shape[:2]
        assert (right - left) / (bottom - top) == pytest.approx(width / height)
        (low, high), (lower, upper) = display.ax_.get_xlim(), display.ax_.get_ylim()
        assert low - 1e-9 <= left < right <= high + 1e-9
        assert upper - 1e-9 <= top < bottom <= lower + 1e-9
    boxes = [place(image) for image in images]
    for i, (left, right, bottom, top) in enumerate(boxes):
        for other in boxes[:i]:
            assert left >= other[1] or right <= other[0] or bottom <= other[3] or top >= other[2]


def test_weights_give_a_row_from_one_style_to_another():
    estimator = Colors((0.3, 0.7)).fit(STYLES)
    before = dict(vars(estimator))
    weights = [(2, 0), (1, 1), (0, 1)]
    display = StyleDisplay.from_estimator(estimator, COLOR, weights=weights)
    assert vars(estimator) == before
    assert labels(display) == ["1 : 0", "0.5 : 0.5", "0 : 1"]
    (row,) = display.images_
    half = Colors((0.5, 0.5)).fit(STYLES).transform([COLOR])[0]
    np.testing.assert_allclose(row[2].get_array(), half / 255, atol=1e-6)
    above = [place(header)[:2].mean() for header in display.headers_]
    assert above == pytest.approx([place(row[i])[:2].mean() for i in (1, 3)])


def test_styles_are_above_column_of_largest_weight():
    estimator = Colors().fit([*STYLES, COLOR])
    display = StyleDisplay.from_estimator(estimator, COLOR, weights=[(1, 2, 0), (0, 3, 0)])
    (row,) = display.images_
    above = [place(header)[:2].mean() for header in display.headers_]  # none for the third, of weight 0
    assert above == pytest.approx([place(row[i])[:2].mean() for i in (1, 2)])


@pytest.mark.parametrize("channel_axis", ["auto", 0, -1])
def test_layouts_of_styles(channel_axis):
    def moved(images):
        return [np.moveaxis(image, -1, 0) if channel_axis == 0 else image for image in images]

    estimator = Colors(channel_axis=channel_axis).fit(moved(STYLES))
    expected = StyleDisplay.from_estimator(Colors().fit(STYLES), [COLOR, COLOR]).images_
    for X in (moved([COLOR, COLOR]), np.stack(moved([COLOR, COLOR]))):
        for row, other in zip(StyleDisplay.from_estimator(estimator, X).images_, expected, strict=True):
            for image, same in zip(row, other, strict=True):
                np.testing.assert_array_equal(image.get_array(), same.get_array())
    assert len(StyleDisplay.from_estimator(estimator, moved([COLOR])[0]).images_) == 1


def test_gray_images_and_a_single_style():
    display = StyleDisplay.from_estimator(Colors((5,)).fit([GRAY]), np.stack([GRAY] * 6), n_samples=5)
    assert [len(row) for row in display.images_] == [2] * 5


def test_contents_and_styles_have_separate_ranges():
    display = StyleDisplay.from_estimator(Colors().fit([COLOR / 255]), [COLOR])
    np.testing.assert_allclose(display.headers_[0].get_array(), COLOR / 255, atol=1e-6)
    np.testing.assert_allclose(display.images_[0][0].get_array(), COLOR / 255, atol=1e-6)


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"weights": (0.5, 0.5)}, r"weights must be a list of weights of 2 styles, .* got the shape \(2,\)"),
        ({"weights": [(1, 0, 0)]}, "weights must be a list of weights of 2 styles"),
        ({"weights": [(1, -1)]}, "weights must be at least 0, and not all 0"),
        ({"weights": [(0, 0)]}, "weights must be at least 0, and not all 0"),
        ({"weights": [(np.nan, 1)]}, "weights must be at least 0"),
        ({"n_samples": 0}, "n_samples == 0, must be >= 1"),
    ],
)
def test_invalid_arguments_of_styles_raise(kwargs, message):
    with pytest.raises(ValueError, match=message):
        StyleDisplay.from_estimator(Colors().fit(STYLES), CONTENTS, **kwargs)


@pytest.mark.parametrize("results", [[[COLOR, COLOR]], [[COLOR]] * 3])
def test_results_that_do_not_fit_raise(results):
    with pytest.raises(ValueError, match="results must hold 2 images for each of 3 contents, got rows of"):
        StyleDisplay(contents=CONTENTS, styles=STYLES, results=results).plot()
