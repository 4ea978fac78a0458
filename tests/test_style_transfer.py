"""StyleTransfer: properties of its pictures, and what it refuses."""

import pickle

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from skae import ConvAutoencoder
from skae.textures import StyleTransfer
from skae.textures._codes import CodeMaps
from skae.textures._images import value_range
from skae.textures._mixing import stretched
from skae.textures._style import default_estimator


def small_estimator(**params):
    params = {"n_crops": 16, "max_epochs": 1, "batch_size": 8, "crop_size": 24, **params}
    return ConvAutoencoder(8, module__dense=False, module__channels=(8, 8), early_stopping=False, **params)


def picture(seed, size=(48, 52), n_channels=3):
    """Smooth stripes and some noise, uint8."""
    rng = np.random.default_rng(seed)
    y, x = np.indices(size)
    waves = [np.sin(y / rng.uniform(2, 6) + x / rng.uniform(2, 6) + c) for c in range(n_channels)]
    image = 127 + 60 * np.stack(waves, -1) * rng.uniform(0.5, 1, n_channels) + rng.normal(0, 8, (*size, n_channels))
    image = np.clip(image, 0, 255).astype(np.uint8)
    return image[..., 0] if n_channels == 1 else image


STYLES = [picture(0), picture(1, (60, 40)), picture(2)]
CONTENT = picture(9, (41, 50))
METHODS = ["swap", "quilting", "statistics"]


@pytest.fixture(scope="module")
def fitted():
    return StyleTransfer(small_estimator(), random_state=0).fit(STYLES)


@pytest.fixture
def style(fitted):
    """Return a copy, whose parameters may be set."""
    return pickle.loads(pickle.dumps(fitted))


@pytest.fixture(scope="module")
def gray():
    return StyleTransfer(small_estimator(), random_state=0).fit(picture(3, n_channels=1))


def psnr(a, b):
    return 10 * np.log10(255**2 / max(np.square(a.astype(float) - b).mean(), 1e-9))


@pytest.mark.parametrize("method", ["swap", "quilting"])
@pytest.mark.parametrize("index", [0, 1])
def test_style_is_invariant_to_itself(style, method, index):
    style.set_params(method=method, weights=np.eye(3)[index])
    assert psnr(style.transform(STYLES[index])[0], STYLES[index]) > 45


def test_statistics_of_style_itself_give_reconstruction(style):
    style.set_params(method="statistics", weights=[1, 0, 0])
    expected = np.clip(style.estimator_.reconstruct(STYLES[0]), 0, 255)
    assert psnr(style.transform(STYLES[0])[0], expected) > 30


@pytest.mark.parametrize("method", METHODS)
def test_alpha_zero_is_the_content(style, method):
    np.testing.assert_array_equal(style.set_params(method=method, alpha=0.0).transform(CONTENT)[0], CONTENT)


@pytest.mark.parametrize("method", METHODS)
def test_alpha_moves_from_the_content_to_the_style(style, method):
    style.set_params(method=method)
    pictures = [style.set_params(alpha=alpha).transform(CONTENT)[0].astype(float) for alpha in (0.01, 0.5, 0.99, 1.0)]
    distances = [np.abs(image - CONTENT).mean() for image in pictures]
    assert distances[0] < 3
    assert distances == sorted(distances)
    assert np.abs(pictures[3] - pictures[2]).mean() < 3


@pytest.mark.parametrize("detail", [True, False])
def test_swap_has_the_colors_of_the_style(style, detail):
    style.set_params(weights=[0, 0, 1], detail=detail)
    found = style.transform(CONTENT)[0].astype(float)
    np.testing.assert_allclose(found.mean((0, 1)), STYLES[2].mean((0, 1)), atol=8)
    np.testing.assert_allclose(found.std((0, 1)), STYLES[2].std((0, 1)), rtol=0.25)


@pytest.mark.parametrize("method", METHODS)
def test_sizes_layout_and_dtype_are_kept(style, method):
    style.set_params(method=method)
    contents = [CONTENT, picture(10, (64, 27)), picture(11, (13, 12))]
    found = style.transform(contents)
    assert isinstance(found, list)
    assert [(a.shape, a.dtype) for a in found] == [(c.shape, c.dtype) for c in contents]
    for alone, content in zip(found, contents, strict=True):
        np.testing.assert_array_equal(style.transform(content)[0], alone)
    both = style.transform(np.stack([CONTENT, CONTENT[::-1]]))
    assert both.shape == (2, *CONTENT.shape)
    np.testing.assert_array_equal(both[0], found[0])


def test_channels_first():
    moved = [np.moveaxis(image, -1, 0) for image in STYLES]
    a = StyleTransfer(small_estimator(), random_state=0).fit(moved)
    b = StyleTransfer(small_estimator(), random_state=0).fit(STYLES)
    found = a.transform(np.moveaxis(CONTENT, -1, 0))[0]
    np.testing.assert_array_equal(np.moveaxis(found, 0, -1), b.transform(CONTENT)[0])


@pytest.mark.parametrize(
    ("dtype", "factor", "n_channels"),
    [(np.float32, 1 / 255, 3), (np.float64, 1.0, 1), (np.uint16, 257, 1), (np.uint8, 1, 4)],
)
def test_kinds_of_images(dtype, factor, n_channels):
    def convert(image):
        return (image * np.array(factor, np.float64)).astype(dtype)

    style, content = (convert(picture(seed, n_channels=n_channels)) for seed in (3, 4))
    found = StyleTransfer(small_estimator(), random_state=0).fit(style).transform([content])[0]
    assert found.shape == content.shape
    assert found.dtype == dtype
    assert min(style.min(), content.min()) <= found.min() < found.max() <= max(style.max(), content.max())


def test_flat_content_and_flat_style_are_finite(style):
    flat = np.full((40, 40, 3), 90, np.uint8)
    for method in METHODS:
        assert style.set_params(method=method).transform([flat])[0].shape == flat.shape
        found = StyleTransfer(small_estimator(max_epochs=0), method=method, random_state=0).fit(flat).transform(CONTENT)
        assert np.abs(found[0].astype(int) - 90).max() <= 1


@pytest.mark.parametrize(
    ("method", "weights"), [("swap", (3, 1, 0)), ("swap", (0.1, 0.3, 0.6)), ("swap", None), ("quilting", (0, 2, 3))]
)
def test_weights_are_shares(style, method, weights):
    content = picture(12, (96, 112))
    style.set_params(method=method, weights=weights)
    shares = np.full(3, 1 / 3) if weights is None else np.array(weights) / np.sum(weights)
    got = style_shares(style, content)
    np.testing.assert_allclose(got, shares, atol=0.02)


def style_shares(style, content):
    """Return the shares of the picture's cells that come from each style, found by painting each in one color."""
    maps = CodeMaps(style.estimator_)
    for i in range(3):
        image = style._style(maps, i).image
        image[:] = 0
        image[i] = 1
    codes = maps.encode(content)
    present = np.flatnonzero(np.ones(3) if style.weights is None else style.weights)
    shares = stretched(style._shares(None), codes.shape[1:])
    _, painted, _ = style._collage(codes, [style._style(maps, i) for i in present], shares[present])
    return painted.mean((1, 2))


def test_mask_places_styles(style):
    mask = np.zeros((3, 64, 64))
    mask[0, :, :32], mask[1, :32, 32:], mask[2, 32:, 32:] = 1, 1, 1
    content = picture(13, (64, 64))
    found = style.transform(content, mask=mask)[0]
    two = StyleTransfer(small_estimator(), random_state=0).fit(STYLES[:2])
    half = np.zeros((64, 64))
    half[:, 32:] = 1
    np.testing.assert_array_equal(
        two.transform(content, mask=half), two.transform(content, mask=np.stack([1 - half, half]))
    )
    left = two.set_params(weights=[1, 0]).transform(content)[0].astype(float)
    mixed = two.transform(content, mask=half)[0].astype(float)
    # Colors are matched for the whole picture.
    assert np.corrcoef(mixed[:, :28].ravel(), left[:, :28].ravel())[0, 1] > 0.95
    assert found.shape == content.shape


def test_weighted_statistics_are_between(style):
    style.set_params(method="statistics")
    means = [style.set_params(weights=w).transform(CONTENT)[0].mean() for w in ([1, 0, 0], [1, 1, 0], [0, 1, 0])]
    assert min(means[0], means[2]) - 1 <= means[1] <= max(means[0], means[2]) + 1


def test_keep_colors_changes_luminance_alone(style):
    style.set_params(keep_colors=True)
    found = style.transform(CONTENT)[0].astype(float)
    difference = found - CONTENT
    low, high = value_range([CONTENT, *STYLES])
    inside = ((found > low) & (found < high)).all(-1)
    np.testing.assert_allclose(np.ptp(difference[inside], axis=-1), 0, atol=1.01)
    assert np.abs(difference).mean() > 2


def test_keep_colors_has_no_effect_on_gray(gray):
    content = picture(14, n_channels=1)
    expected = gray.transform(content)
    kept = pickle.loads(pickle.dumps(gray)).set_params(keep_colors=True)
    np.testing.assert_array_equal(kept.transform(content), expected)


def test_style_scale_resamples_styles(style):
    before = style.transform(CONTENT)
    after = style.set_params(style_scale=1.5).transform(CONTENT)
    assert not np.array_equal(before, after)
    np.testing.assert_array_equal(style.set_params(style_scale=1.0).transform(CONTENT), before)


def test_contents_are_training_data():
    plain = StyleTransfer(small_estimator(), random_state=0).fit(STYLES)
    learned = StyleTransfer(small_estimator(), random_state=0).fit(STYLES, contents=[CONTENT])
    assert len(plain.styles_) == len(learned.styles_) == 3
    assert plain.estimator_.score([CONTENT]) != learned.estimator_.score([CONTENT])


@pytest.mark.parametrize("method", METHODS)
def test_equal_seeds_give_equal_results(style, method):
    numpy_state, torch_state = np.random.get_state()[1].copy(), torch.get_rng_state()  # noqa: NPY002
    found = [
        StyleTransfer(small_estimator(), method=method, random_state=0).fit(STYLES).transform(CONTENT) for _ in range(2)
    ]
    np.testing.assert_array_equal(*found)
    np.testing.assert_array_equal(style.set_params(method=method).transform(CONTENT), found[0])
    np.testing.assert_array_equal(np.random.get_state()[1], numpy_state)  # noqa: NPY002
    assert torch.equal(torch.get_rng_state(), torch_state)


def test_unseeded_estimator_repeats_transform():
    style = StyleTransfer(small_estimator(), method="quilting").fit(STYLES)
    np.testing.assert_array_equal(style.transform(CONTENT), style.transform(CONTENT))


def test_pickles_exclude_caches(style):
    expected = style.transform(CONTENT)
    assert "_kept" in vars(style)
    data = pickle.dumps(style)
    restored = pickle.loads(data)
    assert "_kept" not in vars(restored)
    np.testing.assert_array_equal(restored.transform(CONTENT), expected)
    assert len(pickle.dumps(restored)) == len(data)


def test_clone_and_fit_transform():
    style = StyleTransfer(small_estimator(), weights=(1, 2), alpha=0.5, random_state=0)
    copy = clone(style)
    assert copy.get_params()["weights"] == (1, 2)
    assert copy.set_params(estimator__n_components=6).estimator.n_components == 6
    assert not hasattr(copy, "estimator_")
    found = style.fit_transform(STYLES[:2])
    assert [image.shape for image in found] == [image.shape for image in STYLES[:2]]
    assert style.estimator_ is not style.estimator
    assert not hasattr(style.estimator, "module_")
    assert style.__sklearn_tags__().input_tags.three_d_array


def test_default_estimator_takes_small_styles():
    style = StyleTransfer(random_state=0)
    assert style.get_params()["estimator"] is None
    assert default_estimator(40).crop_size == 40
    assert default_estimator(400).crop_size == 64


def test_not_fitted():
    with pytest.raises(NotFittedError, match="not fitted"):
        StyleTransfer().transform(CONTENT)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"method": "swop"}, "method must be one of 'swap', 'quilting', 'statistics'"),
        ({"alpha": 1.5}, "alpha == 1.5, must be <= 1"),
        ({"alpha": -0.1}, "alpha"),
        ({"patch_size": 2}, "patch_size must be odd"),
        ({"patch_size": 0}, "patch_size == 0"),
        ({"block_size": 0}, "block_size == 0"),
        ({"guidance": 0.0}, "guidance"),
        ({"style_scale": 0.0}, "style_scale"),
        ({"keep_colors": "yes"}, "keep_colors must be one of True, False"),
        ({"detail": None}, "detail must be one of"),
        ({"weights": (1, 2)}, "weights must have a non-negative number for each of the 3 styles"),
        ({"weights": "abc"}, "weights must have a non-negative number for each of the 3 styles"),
        ({"weights": (1, -1, 2)}, "weights must have a non-negative number"),
        ({"weights": (0, 0, 0)}, "weights must have .* not all 0"),
        ({"weights": (1, np.nan, 0)}, "weights contains NaN"),
        ({"patch_size": 31}, r"styles\[0\] has 48 × 52 pixels.*patch_size needs 124"),
        ({"method": "quilting", "block_size": 49}, r"styles\[1\] has 60 × 40 pixels.*block_size needs 48"),
        ({"style_scale": 0.1}, r"style_scale=0.1, and patch_size needs 12"),
    ],
)
def test_wrong_parameters_raise(style, params, message):
    style.set_params(**params)
    with pytest.raises(ValueError, match=message):
        style.transform(CONTENT)
    if "has" not in message and "style_scale=" not in message:
        with pytest.raises(ValueError, match=message):
            style.fit(STYLES)


def nan_image():
    image = CONTENT.astype(np.float32)
    image[3, 4] = np.nan
    return image


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (CONTENT[..., 0], "styles.*gray"),
        ([CONTENT[..., 0]], r"X\[0\].* gray, and the styles are color: convert both"),
        (picture(1, n_channels=4), "X must have the channels of styles, got 4 and 3: convert both to gray"),
        (CONTENT.astype(np.float32), "X has the dtype float32 and styles uint8: convert both"),
        (CONTENT[:8], r"X\[0\] has 8 × 50 pixels, and patch_size=3 needs 9"),
        (CONTENT[None, None], "array of shape"),
        ([], "at least one image"),
    ],
)
def test_wrong_images_raise(style, X, message):
    with pytest.raises(ValueError, match=message):
        style.transform(X)


def test_color_for_gray_styles_raises(gray):
    for X in (CONTENT, [CONTENT]):
        with pytest.raises(ValueError, match=r"gray.*convert both"):
            gray.transform(X)
    # Several gray images are one array.
    assert gray.transform(np.stack([CONTENT[..., 0]] * 2)).shape == (2, 41, 50)


def test_no_images_raise(style):
    for X in (None, 3, "photo.jpg"):
        with pytest.raises((TypeError, ValueError), match="X"):
            style.transform(X)
        with pytest.raises((TypeError, ValueError), match="styles"):
            style.fit(X)


def test_nan_raises():
    with pytest.raises(ValueError, match="NaN"):
        StyleTransfer(small_estimator()).fit(nan_image())
    fitted = StyleTransfer(small_estimator(), random_state=0).fit(CONTENT.astype(np.float32))
    with pytest.raises(ValueError, match=r"X\[0\] contains NaN"):
        fitted.transform(nan_image())


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (np.zeros((41, 50)), r"mask must have the shape \(3, height, width\).*3 styles, got \(41, 50\)"),
        (np.ones((2, 40, 50)), r"got \(2, 40, 50\)"),
        (np.full((3, 41, 50), 1.2), r"mask must lie in \[0, 1\], got values from 1.2"),
        (np.full((3, 41, 50), np.nan), "mask contains NaN"),
        (np.zeros((3, 41, 50)), r"mask must be positive for one .*\[0, 0\]"),
    ],
)
def test_wrong_masks_raise(style, mask, message):
    with pytest.raises(ValueError, match=message):
        style.transform(CONTENT, mask=mask)


def test_estimators_without_a_spatial_code_raise():
    with pytest.raises(ValueError, match="module__dense=False"):
        StyleTransfer(ConvAutoencoder(4)).fit(STYLES)
    assert StyleTransfer(small_estimator(pooling="mean")).fit(STYLES).estimator_.pooling is None
    with pytest.raises(TypeError, match="estimator must be an autoencoder of skae"):
        StyleTransfer("conv").fit(STYLES)


def test_styles_and_contents_must_have_equal_kind():
    with pytest.raises(ValueError, match="contents must have the channels of styles"):
        StyleTransfer(small_estimator()).fit(STYLES, contents=picture(1, n_channels=4))
    with pytest.raises(ValueError, match="contents has the dtype float64 and styles uint8"):
        StyleTransfer(small_estimator()).fit(STYLES, contents=CONTENT / 255)


@pytest.mark.parametrize("fault", ["weights", "contents", "styles", "small"])
def test_failed_fit_leaves_estimator_unchanged(style, fault):
    expected, before = style.transform(CONTENT), {k: v for k, v in vars(style).items() if k.endswith("_")}
    if fault == "weights":
        style.set_params(weights=(1, 2, 3, 4))
    styles = {"styles": nan_image(), "small": [picture(1, (30, 30)), picture(2, (30, 10))]}.get(fault, STYLES)
    with pytest.raises(ValueError):
        style.fit(styles, contents=picture(1, n_channels=1) if fault == "contents" else None)
    style.set_params(weights=None)
    assert all(vars(style)[name] is value for name, value in before.items())
    np.testing.assert_array_equal(style.transform(CONTENT), expected)
