"""Textures from exemplars."""

import copy
import pickle

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.ndimage import gaussian_filter
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.utils.estimator_checks import check_no_attributes_set_in_init, check_parameters_default_constructible

import skae
from skae import AutoencoderTransformer, ConvAutoencoder, VAEGenerator
from skae.textures import TextureSynthesizer
from skae.textures._codes import CodeMaps

SMALL = {"module__channels": (8, 8), "module__dense": False, "n_crops": 16, "max_epochs": 2, "batch_size": 8}


def small(n_components=4, **params):
    return ConvAutoencoder(n_components, **{"crop_size": 32, "early_stopping": False} | SMALL | params)


def grains(seed=0, size=(72, 80), width=1.5):
    noise = gaussian_filter(np.random.default_rng(seed).normal(size=size), width, mode="wrap")
    return (128 + 60 * noise / noise.std()).clip(0, 255).astype(np.uint8)


def synthesizer(**params):
    return TextureSynthesizer(**{"estimator": small(), "block_size": 20, "random_state": 0} | params)


@pytest.fixture(scope="module")
def fitted():
    return synthesizer().fit(grains())


@pytest.fixture(scope="module")
def pair():
    """Of a dark and a bright exemplar."""
    return synthesizer().fit([grains(0) // 3, 170 + grains(1, (80, 80)) // 3])


# ------------------------------------------------------------------ samples


@pytest.mark.parametrize("size", [(4, 4), (32, 48), (100, 64), 96])
def test_samples_have_the_size_dtype_and_range_of_the_exemplar(fitted, size):
    X = fitted.sample(2, 0, size=size)
    assert X.shape == (2, *(size if isinstance(size, tuple) else (size, size)))
    assert X.dtype == np.uint8
    assert grains().min() <= X.min() < X.max() <= grains().max()


@pytest.mark.parametrize("size", [(61, 83), (5, 7), (1, 1), np.array([9, 6])])
def test_plane_samples_have_any_size(fitted, size):
    assert fitted.sample(size=size, tile=False, random_state=0).shape == (1, *size)


@pytest.mark.slow
def test_samples_tile(fitted):
    X = fitted.sample(8, 0, size=(64, 80)).astype(float)
    for axis in (1, 2):
        steps = np.abs(np.roll(X, -1, axis) - X).mean(axis=(0, 3 - axis))[3::4]  # between cells of the code
        assert 0.8 < steps[-1] / steps[:-1].mean() < 1.25


def test_decoding_on_a_torus_commutes_with_shifts(fitted):
    maps = CodeMaps(fitted.estimator_)
    codes = np.random.default_rng(0).normal(size=(4, 9, 10)).astype(np.float32)
    shifted = maps.decode(np.roll(codes, (3, 4), (1, 2)), wrap=True)
    np.testing.assert_allclose(shifted, np.roll(maps.decode(codes, wrap=True), (12, 16), (1, 2)), atol=1e-3)


def test_statistics_are_those_of_the_exemplar(fitted):
    X = fitted.sample(4, 0, size=(96, 96)).astype(float)
    exemplar = grains().astype(float)
    assert abs(X.mean() - exemplar.mean()) < 0.2 * exemplar.std()
    assert 0.85 < X.std() / exemplar.std() < 1.15


def test_detail_is_reconstruction_residual(fitted):
    smooth = copy.copy(fitted).set_params(detail=False)
    with_detail, without = (est.sample(random_state=0, size=64).astype(float) for est in (fitted, smooth))
    _, sources = fitted.sample(random_state=0, size=64, return_sources=True)
    _, rows, columns = sources[0].repeat(4, 1).repeat(4, 2)
    inside = np.arange(64) % 4
    copied = grains()[rows + inside[:, None], columns + inside].astype(float)
    errors = [np.abs(X[0] - copied).mean() for X in (with_detail, without)]
    assert errors[0] < 0.75 * errors[1]


def test_sources_are_within_exemplars(pair):
    _, sources = pair.sample(2, 0, size=(64, 72), return_sources=True)
    assert sources.shape == (2, 3, 16, 18)
    for i, exemplar in enumerate(pair.exemplars_):
        rows, columns = sources[:, 1][sources[:, 0] == i], sources[:, 2][sources[:, 0] == i]
        assert rows.min() >= 0
        assert rows.max() + pair.stride_ <= exemplar.shape[0]
        assert columns.max() + pair.stride_ <= exemplar.shape[1]


def test_equal_seeds_give_equal_results(fitted):
    state = np.random.get_state()[1].copy(), torch.get_rng_state()  # noqa: NPY002
    again = synthesizer().fit(grains())
    X = fitted.sample(3, 5)
    np.testing.assert_array_equal(X, again.sample(3, 5))
    np.testing.assert_array_equal(X[:2], fitted.sample(2, 5))
    assert (X[0] != X[1]).any()
    assert (fitted.sample(3, 6) != X).any()
    np.testing.assert_array_equal(state[0], np.random.get_state()[1])  # noqa: NPY002
    assert torch.equal(state[1], torch.get_rng_state())


def test_default_size_is_that_of_the_exemplar_or_the_mask(fitted, pair):
    assert fitted.sample().shape == (1, 72, 80)
    assert pair.sample(mask=np.zeros((41, 50))).shape == (1, 40, 48)
    assert pair.sample(mask=np.zeros((41, 50)), tile=False).shape == (1, 41, 50)


# ------------------------------------------------------------------ several exemplars


@pytest.mark.parametrize("weights", [(1, 0), (0, 3), (0.2, 0.8), (1, 1), (3, 1)])
@pytest.mark.slow
def test_shares_are_those_of_the_weights(pair, weights):
    _, sources = pair.sample(2, 0, size=96, weights=weights, return_sources=True)
    assert abs((sources[:, 0] == 1).mean() - weights[1] / sum(weights)) < 0.01


def test_shares_are_equal_without_weights(pair):
    _, sources = pair.sample(2, 0, size=96, return_sources=True)
    assert abs((sources[:, 0] == 1).mean() - 0.5) < 0.01


def test_mask_is_respected_everywhere(pair):
    rows, columns = np.indices((96, 96))
    mask = (rows - 40) ** 2 + (columns - 50) ** 2 < 900
    X, sources = pair.sample(1, 0, mask=mask, return_sources=True)
    np.testing.assert_array_equal(sources[0, 0], mask[2::4, 2::4])
    assert X[0][mask].mean() > X[0][~mask].mean() + 100
    stretched = pair.sample(1, 0, mask=mask, size=48, return_sources=True)[1]
    np.testing.assert_array_equal(stretched[0, 0], mask[4::8, 4::8])


@pytest.mark.slow
def test_soft_mask_is_a_density(pair):
    mask = np.linspace(0, 1, 128)[None].repeat(128, 0)
    _, sources = pair.sample(2, 0, mask=mask, return_sources=True)
    halves = np.split(sources[:, 0] == 1, 2, axis=-1)
    assert halves[0].mean() < 0.4 < 0.6 < halves[1].mean()


def test_masks_of_all_exemplars():
    images = [np.full((64, 64), value, np.uint8) + grains(value, (64, 64)) // 8 for value in (0, 100, 200)]
    est = synthesizer(block_size=16).fit(images)
    masks = np.eye(3)[:, np.arange(96) // 32][..., None].repeat(96, 2)
    sources = est.sample(1, 0, mask=masks, return_sources=True)[1]
    np.testing.assert_array_equal(sources[0, 0], np.arange(24)[:, None].repeat(24, 1) // 8)


@pytest.mark.slow
def test_blend_moves_the_statistics(pair):
    means = [pair.sample(1, 0, size=96, blend=blend).mean() for blend in (0.0, 0.5, 1.0)]
    own, other = (exemplar.mean() for exemplar in pair.exemplars_)
    np.testing.assert_allclose(means[1:], [(own + other) / 2, other], atol=12)
    sources = pair.sample(1, 0, size=96, blend=0.5, return_sources=True)[1]
    assert not sources[:, 0].any()


# ------------------------------------------------------------------ images that users bring


@pytest.mark.parametrize(
    "convert",
    [
        lambda gray: gray,
        lambda gray: gray.astype(np.float64) / 255,
        lambda gray: gray.astype(np.float16),
        lambda gray: gray.astype(np.uint16) * 257,
        lambda gray: gray.astype(np.int32) - 128,
        lambda gray: gray > 128,
        lambda gray: gray[..., None],
        lambda gray: np.stack([gray, gray // 2, 255 - gray], -1),
        lambda gray: np.stack([gray, gray // 2, 255 - gray]),
        lambda gray: np.stack([gray, gray, gray, np.full_like(gray, 255)], -1),
        torch.from_numpy,
        Image.fromarray,
    ],
    ids=["uint8", "float64", "float16", "uint16", "int32", "bool", "one", "last", "first", "rgba", "tensor", "pil"],
)
@pytest.mark.slow
def test_layout_dtype_and_range_are_those_of_the_exemplar(convert):
    exemplar = convert(grains(size=(64, 72)))
    X = synthesizer(block_size=16).fit(exemplar).sample(2, 0)
    expected = exemplar.numpy() if isinstance(exemplar, torch.Tensor) else np.asarray(exemplar)
    assert X.shape == (2, *expected.shape)
    assert X.dtype == expected.dtype
    assert expected.min() <= X.min() <= X.max() <= expected.max()
    if expected.dtype != bool:
        assert X.std(dtype=float) > 0.7 * expected.std(dtype=float)


def test_stack_of_color_exemplars_is_a_list():
    color = np.stack([grains(size=(64, 64))] * 3, -1)
    est = synthesizer(block_size=16).fit(np.stack([color, 255 - color]))
    assert len(est.exemplars_) == 2


def test_flat_exemplar_gives_a_flat_texture():
    X = synthesizer(block_size=16).fit(np.full((64, 64), 7, np.uint8)).sample(1, 0)
    np.testing.assert_array_equal(X, np.full((1, 64, 64), 7))


def test_tiny_exemplar():
    assert TextureSynthesizer(small(crop_size=16)).fit(grains(size=(32, 33))).sample(1, 0, size=64).shape == (1, 64, 64)


def test_exemplars_are_copies():
    image = grains()
    est = synthesizer().fit(image)
    before = est.sample(1, 0)
    image[:] = 0
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(est)).sample(1, 0), before)


@pytest.mark.filterwarnings("ignore:No component of the code is active")  # after two epochs
@pytest.mark.parametrize(
    "estimator",
    [
        VAEGenerator(3, module="conv", prior=None, crop_size=32, **SMALL),
        small(2, bottleneck="fsq"),
        small(2, module__channels=(8,)),
        small(2, module__downsampling=None, module__channels=(4,)),
    ],
    ids=["vae", "fsq", "stride 2", "stride 1"],
)
def test_estimator_may_be_any_with_a_spatial_code(estimator):
    est = TextureSynthesizer(estimator, block_size=16, random_state=0).fit(grains(size=(64, 64)))
    assert est.sample(1, 0, size=(48, 64)).shape == (1, 48, 64)
    assert "net_" not in vars(estimator)


# ------------------------------------------------------------------ errors


@pytest.mark.parametrize(
    ("params", "X", "error", "message"),
    [
        ({"block_size": 4}, None, ValueError, "block_size == 4, must be >= 8"),
        ({"block_size": 2.5}, None, TypeError, "block_size must be an instance of int"),
        ({"overlap": 0}, None, ValueError, "overlap == 0, must be > 0"),
        ({"overlap": 0.6}, None, ValueError, "overlap == 0.6, must be <= 0.5"),
        ({"tolerance": -1}, None, ValueError, "tolerance == -1, must be >= 0"),
        ({"reuse": -1}, None, ValueError, "reuse == -1, must be >= 0"),
        ({"n_repairs": -1}, None, ValueError, "n_repairs == -1, must be >= 0"),
        ({"detail": "yes"}, None, ValueError, "detail must be one of True, False, got 'yes'"),
        ({"estimator": AutoencoderTransformer()}, None, ValueError, "must have a spatial code.*module__dense=False"),
        ({"estimator": ConvAutoencoder()}, None, ValueError, "must have a spatial code.*module__dense=False"),
        ({"estimator": "conv"}, None, TypeError, "estimator must be an autoencoder of skae.*got 'conv'"),
        ({"estimator": small(module__normalization="group")}, None, ValueError, "remove module__normalization"),
        ({"block_size": 40}, grains(), ValueError, r"X\[0\] is 72 × 80 pixels, but block_size=40 needs .*80 × 80"),
        (
            {"block_size": 8},
            grains(size=(20, 80)),
            ValueError,
            r"X\[0\] is 20 × 80 pixels, but .* need at least 27 × 27",
        ),
        ({}, [grains(), grains()[..., None].repeat(3, -1)], ValueError, r"X\[1\] has the shape .*gray"),
        ({}, [grains(), grains().astype(float)], ValueError, r"X\[1\] has the dtype float64 and X\[0\]"),
        ({}, np.where(grains() > 200, np.nan, 1.0), ValueError, r"X\[0\] contains NaN. Impute it first"),
        ({}, np.zeros((20, 72, 80)), ValueError, "X has the shape .20, 72, 80., which is not a color image"),
        ({}, "brick.png", TypeError, "X must be an image.*got a str"),
        ({}, np.zeros(9), TypeError, r"X must be an image.*shape \(9,\)"),
        ({}, [], TypeError, "X must be an image"),
    ],
)
def test_fit_rejects_invalid_arguments(params, X, error, message):
    est = synthesizer(**params)
    before = dict(vars(est))
    with pytest.raises(error, match=message):
        est.fit(grains() if X is None else X)
    assert vars(est) == before


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"n_samples": 0}, ValueError, "n_samples == 0, must be >= 1"),
        (
            {"size": (62, 64)},
            ValueError,
            r"multiple of 4 .*got \(62, 64\): use \(60, 64\) or \(64, 64\), or tile=False",
        ),
        ({"size": 0}, ValueError, "size == 0, must be >= 1"),
        ({"size": (8, 8, 8)}, ValueError, "size must be an int or"),
        ({"tile": "yes"}, ValueError, "tile must be one of"),
        ({"blend": 1.5}, ValueError, "blend == 1.5, must be <= 1"),
        ({"blend": 0.5, "weights": (1, 1)}, ValueError, "Only one of mask, weights and blend.*got weights and blend"),
        ({"weights": (1, 2, 3)}, ValueError, "weights must have a non-negative number for each of the 2 exemplars"),
        ({"weights": (1, -1)}, ValueError, "weights must have a non-negative number"),
        ({"weights": (0, 0)}, ValueError, "weights must have .*not all 0"),
        ({"weights": (np.nan, 1)}, ValueError, "weights contains NaN"),
        ({"mask": np.full((8, 8), 2.0)}, ValueError, r"mask must lie in \[0, 1\], got values from 2 to 2"),
        (
            {"mask": np.zeros((3, 8, 8))},
            ValueError,
            r"mask must have the shape .*\(2, height, width\).*got \(3, 8, 8\)",
        ),
        ({"mask": np.zeros((2, 8, 8))}, ValueError, r"mask must be positive for one .*\[0, 0\]"),
        ({"mask": "left"}, TypeError, r"mask must hold numbers in \[0, 1\], got 'left'"),
        ({"random_state": "a"}, ValueError, "random_state"),
    ],
)
def test_sample_rejects_invalid_arguments(pair, arguments, error, message):
    with pytest.raises(error, match=message):
        pair.sample(**arguments)


def test_one_exemplar_cannot_be_mixed(fitted):
    with pytest.raises(ValueError, match=r"blend=0\.5 needs at least two exemplars, got 1"):
        fitted.sample(blend=0.5)
    with pytest.raises(ValueError, match="mask needs at least two exemplars, got 1"):
        fitted.sample(mask=np.ones((64, 64)))


def test_not_fitted():
    with pytest.raises(NotFittedError):
        synthesizer().sample()


def test_failed_fit_leaves_estimator_unchanged(fitted):
    est = copy.copy(fitted)
    before = est.sample(1, 0)
    with pytest.raises(ValueError, match="NaN"):
        est.fit(np.full((64, 64), np.nan))
    np.testing.assert_array_equal(est.sample(1, 0), before)


# ------------------------------------------------------------------ an estimator of scikit-learn


def test_conventions_of_estimators(fitted):
    check_no_attributes_set_in_init("TextureSynthesizer", TextureSynthesizer())
    check_parameters_default_constructible("TextureSynthesizer", TextureSynthesizer())
    fresh = clone(fitted)
    assert not hasattr(fresh, "estimator_")
    assert fresh.set_params(estimator__n_components=3).get_params()["estimator__n_components"] == 3


@pytest.mark.parametrize("keep", ["save", "skops", "pickle", "copy"])
@pytest.mark.slow
def test_saved_synthesizer_gives_equal_samples(pair, keep, tmp_path):
    if keep == "save":
        skae.save(pair, tmp_path / "kept.skae")
        again = skae.load(tmp_path / "kept.skae")
    elif keep == "skops":
        sio = pytest.importorskip("skops.io")
        data = sio.dumps(pair)
        again = sio.loads(data, trusted=sio.get_untrusted_types(data=data))
    else:
        again = copy.deepcopy(pair) if keep == "copy" else pickle.loads(pickle.dumps(pair))
    assert "_sources" not in vars(again)
    np.testing.assert_array_equal(again.sample(2, 0, size=64), pair.sample(2, 0, size=64))
    assert again.get_params().keys() == pair.get_params().keys()


def test_parameters_of_blocks_need_no_new_fit(fitted):
    est = copy.copy(fitted).set_params(overlap=0.5, tolerance=0.5, reuse=0.5, n_repairs=0)
    assert (est.sample(1, 0) != fitted.sample(1, 0)).any()


def test_synthesis_on_a_device(device):
    est = TextureSynthesizer(small(device=device), block_size=20, random_state=0).fit(grains())
    assert est.sample(1, 0).shape == (1, 72, 80)
