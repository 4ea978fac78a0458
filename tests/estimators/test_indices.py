"""Integer codes of estimators: `indices`, `from_indices`, and what `fit` says of them."""

import math
import pickle

import numpy as np
import pytest
import torch
from sklearn.base import clone

import skae
from skae import AutoencoderTransformer, ConvAutoencoder, VAEGenerator
from skae.bottlenecks import FSQ, VectorQuantizer

QUANTIZERS = {"fsq": FSQ((5, 4, 3)), "vq": VectorQuantizer(20)}
ALPHABETS = {"fsq": (5, 4, 3), "vq": (20,)}
SMALL = {"max_epochs": 2, "random_state": 0}
by_quantizer = pytest.mark.parametrize("quantizer", QUANTIZERS)


def estimator(kind, bottleneck, **params):
    params = SMALL | {"bottleneck": bottleneck} | params
    if kind == "table":
        return AutoencoderTransformer(3, module__hidden_layer_sizes=(16,), **params)
    if kind == "sequences":
        return AutoencoderTransformer(3, module="tcn", module__channels=4, channel_axis=-1, **params)
    if kind == "generator":
        return VAEGenerator(3, module__hidden_layer_sizes=(16,), conditional=True, **params)
    return ConvAutoencoder(3, module__channels=(4, 8), module__dense=kind == "dense images", **params)


def data_for(kind, digits):
    X = digits[:200]
    if kind == "sequences":
        return X.reshape(-1, 16, 4)
    return X if kind in ("table", "generator") else X.reshape(-1, 8, 8)


KINDS = ["table", "dense images", "images", "sequences", "generator"]
POSITIONS = {"images": (2, 2)}
by_kind = pytest.mark.parametrize("kind", KINDS)


@pytest.fixture(scope="module")
def models(digits):
    y = np.arange(200) % 3
    return {
        (kind, name): estimator(kind, part).fit(data_for(kind, digits), y if kind == "generator" else None)
        for kind in KINDS
        for name, part in QUANTIZERS.items()
    }


@pytest.fixture
def model(models, kind, quantizer):
    return models[kind, quantizer]


def as_maps(indices):
    """Integer codes as a code model takes them."""
    return indices.reshape(*indices.shape, *[1] * (4 - indices.ndim))


@by_kind
@by_quantizer
def test_integers_stand_for_reconstructions(model, kind, quantizer, digits):
    X = data_for(kind, digits)
    y = (np.arange(200) % 3,) if kind == "generator" else ()
    indices = model.indices(X)
    assert indices.dtype == np.int64
    assert indices.shape == (200, len(ALPHABETS[quantizer]), *POSITIONS.get(kind, ()))
    assert model.alphabet_ == ALPHABETS[quantizer]
    np.testing.assert_allclose(model.from_indices(indices, *y), model.reconstruct(X, *y), rtol=1e-5, atol=1e-4)
    np.testing.assert_array_equal(model.indices(X[7:9]), indices[7:9])


@by_kind
@by_quantizer
def test_usage_perplexity_and_the_code_model_are_those_of_the_codes_of_fit(model, kind, quantizer, digits):
    indices = model.indices(data_for(kind, digits))
    values = [column.ravel() for column in indices.swapaxes(0, 1)]
    n_used = sum(len(np.unique(column)) for column in values)
    assert model.code_usage_ == n_used / sum(ALPHABETS[quantizer])
    shares = [np.unique(column, return_counts=True)[1] / len(column) for column in values]
    entropy = np.mean([-(p * np.log(p)).sum() for p in shares])
    assert model.code_perplexity_ == pytest.approx(math.exp(entropy))
    scores = model.code_model_.score_samples(as_maps(indices))
    assert scores.shape == (200,)
    n_positions = math.prod(POSITIONS.get(kind, ()))
    assert -scores.mean() < 1.05 * len(values) * n_positions * entropy + 0.1
    history = model.net_.history
    assert all(
        0 < row["bottleneck_usage"] <= 1 <= row["bottleneck_perplexity"] for row in history if "train_loss" in row
    )


@by_quantizer
def test_images_of_any_size_have_maps_of_integers(models, quantizer):
    model = models["images", quantizer]
    rng = np.random.default_rng(0)
    X = [rng.uniform(0, 16, shape) for shape in [(8, 8), (5, 13), (20, 3), (5, 13)]]
    indices = model.indices(X)
    assert [codes.shape[1:] for codes in indices] == [(2, 2), (2, 4), (5, 1), (2, 4)]
    sizes = [image.shape for image in X]
    for one, other in zip(model.from_indices(indices, size=sizes), model.reconstruct(X), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-3)
    stack = np.stack(X[1::2])
    np.testing.assert_array_equal(model.indices(stack), np.stack(indices[1::2]))
    np.testing.assert_allclose(
        model.from_indices(model.indices(stack), size=(5, 13)),
        np.stack(model.from_indices(indices[1::2], size=(5, 13))),
        rtol=1e-6,
    )
    scores = [model.code_model_.score_samples(codes[None])[0] for codes in indices]
    assert np.isfinite(scores).all()


@by_quantizer
def test_after_a_fit_on_crops_all_positions_share_tables(quantizer):
    rng = np.random.default_rng(0)
    X = [rng.random(shape) for shape in [(40, 30), (25, 33)]]
    model = estimator("images", QUANTIZERS[quantizer], crop_size=16, n_crops=64).fit(X)
    assert model.code_model_.shape_ == ()
    assert [codes.shape[1:] for codes in model.indices(X)] == [(10, 8), (7, 9)]


def test_tensors_come_back_as_tensors(models, digits):
    model, X = models["images", "fsq"], data_for("images", digits)
    indices = model.indices(torch.tensor(X))
    assert isinstance(indices, torch.Tensor)
    assert indices.dtype == torch.int64
    np.testing.assert_array_equal(indices, model.indices(X))
    X_hat = model.from_indices(indices)
    assert isinstance(X_hat, torch.Tensor)
    np.testing.assert_array_equal(X_hat, model.from_indices(indices.numpy()))


@by_kind
@by_quantizer
def test_files_and_pickles_keep_everything(model, kind, quantizer, digits, tmp_path):
    X = data_for(kind, digits)
    skae.save(model, tmp_path / "model.skae")
    for again in (skae.load(tmp_path / "model.skae"), pickle.loads(pickle.dumps(model))):
        np.testing.assert_array_equal(again.indices(X), model.indices(X))
        assert again.code_model_.digest() == model.code_model_.digest()
        assert (again.alphabet_, again.code_usage_, again.code_perplexity_) == (
            model.alphabet_,
            model.code_usage_,
            model.code_perplexity_,
        )


def test_samples_of_weight_zero_do_not_count(digits):
    X, weight = digits[:200].copy(), np.ones(200)
    X[150:], weight[150:] = 100.0, 0.0
    model = estimator("table", FSQ(16)).fit(X, sample_weight=weight)
    n_used = sum(len(np.unique(column)) for column in model.indices(X[:150]).T)
    assert model.code_usage_ == n_used / (3 * 16)


def test_other_bottlenecks_have_no_integers(digits):
    model = estimator("table", None)
    assert hasattr(clone(model), "indices"), "what it is to be is not known before fit"
    model.fit(digits[:50])
    for name in ("indices", "from_indices"):
        with pytest.raises(AttributeError, match=r"integer codes need a discrete bottleneck, .*got Identity"):
            getattr(model, name)
    for name in ("alphabet_", "code_model_", "code_usage_", "code_perplexity_"):
        assert not hasattr(model, name)
    model.set_params(bottleneck="fsq").fit(digits[:50])
    assert hasattr(model, "code_model_")
    assert not hasattr(model.set_params(bottleneck=None).fit(digits[:50]), "code_model_"), "nothing of the last fit"


@pytest.mark.parametrize(
    ("kind", "wrong", "message"),
    [
        ("table", np.zeros((2, 2), int), r"indices must have 3 integers at each position, got 2"),
        ("table", np.zeros((2, 3)), r"indices must be integers, got float64"),
        ("table", np.full((2, 3), 4), r"indices\[:, 1\] must be from 0 to 3, got values from 4 to 4"),
        (
            "table",
            np.zeros((2, 3, 1, 1), int),
            r"indices must be of shape \(n, 3\), as indices returns them, got \(2, 3, 1",
        ),
        (
            "images",
            np.zeros((2, 3), int),
            r"indices must be of shape \(n, 3, h, w\), as indices returns them, got \(2, 3\)",
        ),
        ("images", [np.zeros((2, 1, 1), int)], r"indices\[0\] must have 3 integers at each position, got 2"),
    ],
)
def test_integers_that_do_not_fit_are_refused(models, kind, wrong, message):
    with pytest.raises((ValueError, TypeError), match=message):
        models[kind, "fsq"].from_indices(wrong)


def test_levels_that_do_not_fit_n_components_are_named(digits):
    with pytest.raises(ValueError, match="FSQ: levels has 3 entries: n_components must be 3, got 4"):
        AutoencoderTransformer(4, bottleneck=FSQ((8, 6, 5))).fit(digits[:50])
