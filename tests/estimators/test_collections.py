"""Lists of sequences and images, single samples, and channels-first sequences in all methods."""

import pickle

import numpy as np
import pandas as pd
import pytest
import sklearn
import torch
from PIL import Image
from sklearn.base import clone
from sklearn.feature_extraction.image import extract_patches_2d
from sklearn.model_selection import GridSearchCV, cross_val_score

import skae.persistence
from skae import AutoencoderTransformer, ConvAutoencoder, Reconstructor, VAEGenerator

# Two epochs are too few for a posterior to say something of noise.
pytestmark = pytest.mark.filterwarnings("ignore:No component of the code is active")
FIT = {"max_epochs": 2, "random_state": 0}
GRU = {"module": "gru", "module__hidden_size": 6, **FIT}
TCN = {"module": "tcn", "module__channels": 6, "module__n_layers": 2, **FIT}
CONV = {"module__channels": (3,), "module__hidden_layer_sizes": (), **FIT}


def sequences(n=14, channels=2, seed=0, longest=9):
    rng = np.random.default_rng(seed)
    lengths = [longest, *rng.integers(2, longest, n - 1)]
    return [rng.normal(size=(length, channels)) for length in lengths]


def padded(items):
    X = np.full((len(items), max(map(len, items)), *items[0].shape[1:]), np.nan)
    for row, item in zip(X, items, strict=True):
        row[: len(item)] = item
    return X


def turned(items):
    """(channels, length) of (length, channels)."""
    return [item.T for item in items]


def same(a, b):
    np.testing.assert_array_equal(np.asarray(a), np.asarray(b))


MODELS = {
    "gru": lambda **params: AutoencoderTransformer(2, **GRU | params),
    "tcn": lambda **params: AutoencoderTransformer(2, **TCN | params),
    "vae": lambda **params: VAEGenerator(2, **GRU | params),
    "mask": lambda **params: AutoencoderTransformer(2, missing="mask", **TCN | params),
}
models = pytest.mark.parametrize("name", MODELS)


def results(model, X, other):
    """Results of all methods for X, by name."""
    found = {name: getattr(model, name)(X) for name in ("transform", "reconstruct", "score", "score_samples")}
    found["target"] = model.score(X, X_target=X)
    found["inverse"] = model.inverse_transform(found["transform"])
    if hasattr(model, "interpolate"):
        found["interpolate"] = model.interpolate(X, other, 3)
        found["posterior"] = model.sample_posterior(X, random_state=0)
        found["distribution"] = np.stack(model.transform_distribution(X))
        found["sample"] = model.sample(3, random_state=0)
    if model.missing == "mask":
        found["kept"] = model.reconstruct(X, keep_observed=True)
    return found


# ------------------------------------------------------------------ lists


@models
@pytest.mark.slow
def test_list_of_sequences_equals_padded_array(name):
    items, few, more = sequences(), sequences(3, seed=1, longest=6), sequences(3, seed=2, longest=14)
    weight = np.linspace(0, 1, len(items))
    given = {"sample_weight": weight}
    lists = MODELS[name]().fit(items, X_val=few, X_target=items, X_val_target=few, **given)
    arrays = MODELS[name]().fit(
        padded(items), X_val=padded(few), X_target=padded(items), X_val_target=padded(few), **given
    )
    assert lists.input_shape_ == (9, 2)
    for some, other in ((items, items[::-1]), (few, more), (more, few)):
        expected = results(arrays, padded(some), padded(other))
        for method, result in results(lists, some, other).items():
            same(result, expected[method])
    same(lists.partial_fit(more).transform(items), arrays.partial_fit(padded(more)).transform(items))


@models
def test_single_channel_lists_of_any_length(name):
    items, longer = (
        [item[:, 0] for item in sequences(seed=seed, longest=length)] for seed, length in ((0, 9), (1, 13))
    )
    flat = MODELS[name]().fit(items, X_val=longer)
    assert flat.input_shape_ == (9,)
    deep = MODELS[name]().fit([item[:, None] for item in items], X_val=[item[:, None] for item in longer])
    for some in (items, longer, longer[1:]):
        np.testing.assert_allclose(flat.transform(some), deep.transform([item[:, None] for item in some]), atol=1e-5)
        assert flat.reconstruct(some).shape == (len(some), max(map(len, some)))


def test_reconstructions_can_be_trimmed_to_lengths():
    items = sequences()
    X_hat = AutoencoderTransformer(2, **GRU).fit(items).reconstruct(items)
    assert [row[: len(item)].shape for row, item in zip(X_hat, items, strict=True)] == [item.shape for item in items]
    assert all(np.isnan(row[len(item) :]).all() for row, item in zip(X_hat, items, strict=True))


@pytest.mark.parametrize("keep", [False, True])
def test_reconstructor_with_lists(keep):
    items = sequences()
    step = Reconstructor(AutoencoderTransformer(2, missing="mask", **GRU), keep_observed=keep)
    same(clone(step).fit(items).transform(items), clone(step).fit(padded(items)).transform(padded(items)))


def test_lists_in_searches_and_dataframes():
    items = sequences(24)
    ae = AutoencoderTransformer(2, **GRU)
    X = padded(items)
    same(cross_val_score(ae, items, cv=2), cross_val_score(ae, X, cv=2))
    search = GridSearchCV(ae, {"n_components": [1, 2]}, cv=2).fit(pd.Series(items))
    assert np.isfinite(search.best_score_)
    same(clone(ae).fit(pd.DataFrame({"walk": items})).transform(items), clone(ae).fit(X).transform(X))
    tensors = [torch.from_numpy(item) for item in items]
    same(clone(ae).fit(tensors).transform(tensors), clone(ae).fit(X).transform(X))


def test_lists_require_network_for_sequences():
    with pytest.raises(ValueError, match=r"X\[0\] has the shape \(9, 2\) .* module='gru'"):
        AutoencoderTransformer(2, **FIT).fit(sequences())
    with pytest.raises(ValueError, match="use a network for images of any size"):
        ConvAutoencoder(2, **CONV).fit([np.zeros((8, 8)), np.zeros((9, 8))])
    whole = [item[:2] for item in sequences()]
    assert AutoencoderTransformer(2, **FIT).fit(whole).transform(whole).shape == (14, 2)


def test_other_lists_have_lengths_of_x():
    items = sequences()
    ae = AutoencoderTransformer(2, **GRU)
    with pytest.raises(ValueError, match=r"sample_weight must have the shape \(14,\)"):
        ae.fit(items, sample_weight=np.ones(13))
    with pytest.raises(ValueError, match=r"X_target must have the shape \(14, 9, 2\)"):
        ae.fit(items, X_target=items[:-1])
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        VAEGenerator(2, conditional=True, **GRU).fit(items, [0, 1])
    vae = MODELS["vae"]().fit(items)
    with pytest.raises(ValueError, match=r"X_b must have the shape \(14, 9, 2\) of X_a, got \(13, 9, 2\)"):
        vae.interpolate(items, items[:-1])


# ------------------------------------------------------------------ channels first


@models
def test_channels_first_matches_channels_last(name):
    items, few = sequences(), sequences(5, seed=1, longest=12)
    last = MODELS[name]().fit(items, X_val=few)
    first = MODELS[name](channel_axis=0).fit(turned(items), X_val=turned(few))
    X = padded(items).swapaxes(1, 2)
    assert (first.input_shape_, first.n_features_in_, first.layout_.row_shape) == ((2, 9), 2, (2, 9))
    same(MODELS[name](channel_axis=0).fit(X, X_val=turned(few)).transform(X), first.transform(X))
    rows = {"reconstruct", "inverse", "interpolate", "posterior", "sample", "kept"}
    for some, other in ((items, items[::-1]), (few, items[:5])):
        expected = results(last, some, other)
        for method, result in results(first, turned(some), turned(other)).items():
            same(np.swapaxes(result, -1, -2) if method in rows else result, expected[method])
    same(first.partial_fit(turned(few)).transform(X), last.partial_fit(few).transform(items))


@pytest.mark.parametrize("name", ["gru", "vae"])
def test_channels_first_round_trips(name, tmp_path):
    items = turned(sequences())
    model = MODELS[name](channel_axis=0).fit(items)
    skae.persistence.save(model, tmp_path / "model.skae")
    for copy in (skae.persistence.load(tmp_path / "model.skae"), pickle.loads(pickle.dumps(model))):
        same(copy.reconstruct(items), model.reconstruct(items))
        assert copy.layout_ == model.layout_


def test_channels_first_with_lazy_arrays(tmp_path):
    X = padded(sequences(40)).swapaxes(1, 2)
    np.save(tmp_path / "X.npy", X)
    mapped = np.load(tmp_path / "X.npy", mmap_mode="r")
    ae = AutoencoderTransformer(2, channel_axis=0, **GRU)
    with sklearn.config_context(working_memory=0.001):
        found = clone(ae).fit(mapped)
        same(found.transform(mapped), found.transform(X))
    assert found.reconstruct(X).shape == X.shape


def test_channels_first_continued_training():
    items = turned(sequences())
    ae = AutoencoderTransformer(2, channel_axis=0, warm_start=True, **GRU).fit(items)
    ae.fit([item[:, :4] for item in items])
    assert ae.input_shape_ == (2, 9)
    with pytest.raises(ValueError, match="Training can continue only with samples in the same layout"):
        ae.set_params(channel_axis=-1).fit(np.zeros((5, 2, 9)))


@pytest.mark.parametrize("axis", ["auto", -1, 1])
def test_channels_last_is_default(axis):
    items = sequences()
    ae = AutoencoderTransformer(2, channel_axis=axis, **GRU).fit(items)
    assert not hasattr(ae, "layout_")
    same(ae.transform(items), AutoencoderTransformer(2, **GRU).fit(items).transform(items))


BAD_AXES = [
    (0, np.zeros((4, 9)), "channel_axis=0 needs sequences with 2 axes, but X has rows of shape"),
    (-1, np.zeros((4, 9)), "channel_axis=-1 needs sequences with 2 axes"),
    (None, np.zeros((4, 9, 2)), "channel_axis=None needs sequences with 1 axis"),
    (3, np.zeros((4, 9, 2)), "channel_axis must be 'auto', -1"),
    ("first", np.zeros((4, 9, 2)), "channel_axis must be 'auto', -1"),
    (True, np.zeros((4, 9, 2)), "channel_axis must be 'auto', -1"),
]


@pytest.mark.parametrize(("axis", "X", "match"), BAD_AXES, ids=range(len(BAD_AXES)))
def test_invalid_channel_axis_of_sequences_raises(axis, X, match):
    for estimator in (AutoencoderTransformer, VAEGenerator):
        with pytest.raises(ValueError, match=match):
            estimator(2, channel_axis=axis, **GRU).fit(X + np.arange(4)[(slice(None),) + (None,) * (X.ndim - 1)])


def test_channels_first_with_nan():
    X = padded(sequences()).swapaxes(1, 2).copy()
    X[5, 0, 0] = np.nan
    with pytest.raises(ValueError, match="sample 5 has it before"):
        AutoencoderTransformer(2, channel_axis=0, **GRU).fit(X)
    X[5] = np.nan
    with pytest.raises(ValueError, match="at least one step in every sample, but sample 5"):
        AutoencoderTransformer(2, channel_axis=0, **GRU).fit(X)


def test_channel_axis_of_images():
    X = np.random.default_rng(0).normal(size=(12, 8, 8, 3))
    params = {"module": "conv", **CONV}
    plain = AutoencoderTransformer(2, **params).fit(np.moveaxis(X, -1, 1))
    last = AutoencoderTransformer(2, channel_axis=-1, **params).fit(X)
    same(last.transform(X), plain.transform(np.moveaxis(X, -1, 1)))
    assert last.reconstruct(X).shape == X.shape


# ------------------------------------------------------------------ images and single samples


@pytest.fixture(scope="module")
def pictures():
    return np.random.default_rng(0).integers(0, 255, (14, 8, 10, 3), np.uint8)


@pytest.fixture(scope="module")
def trained(pictures):
    return ConvAutoencoder(2, **CONV).fit(pictures)


def test_containers_of_images(pictures, trained):
    objects = np.empty(len(pictures), object)
    objects[:] = list(pictures)
    pil = [Image.fromarray(image) for image in pictures]
    for X in (list(pictures), objects, pd.Series(pil), pd.DataFrame({"image": pil}), tuple(pil)):
        assert clone(trained).fit(X).input_shape_ == (8, 10, 3)
        for method in ("transform", "reconstruct", "score_samples", "score"):
            same(getattr(trained, method)(X), getattr(trained, method)(pictures))


def test_single_image_is_one_sample(pictures, trained):
    one = pictures[0]
    for X in (one, Image.fromarray(one), torch.from_numpy(one)):
        for method in ("transform", "reconstruct", "score_samples", "score"):
            same(getattr(trained, method)(X), getattr(trained, method)(one[None]))
        same(trained.score(X, X_target=one), trained.score(one[None]))
    step = Reconstructor(ConvAutoencoder(2, missing="mask", **CONV), keep_observed=True).fit(pictures.astype(float))
    same(step.transform(one.astype(float)), one[None])
    sequence = sequences()
    gru = AutoencoderTransformer(2, **GRU).fit(sequence)
    same(gru.transform(sequence[3]), gru.transform([sequence[3]]))


OTHER_SHAPES = [
    (lambda X: X[:, :7], "height 7 instead of 8"),
    (lambda X: X[:, :7, :9], "height 7 instead of 8, width 9 instead of 10"),
    (lambda X: X[..., :1], "channels 1 instead of 3"),
    (lambda X: np.tile(X, (1, 4, 4, 1)), "height 32 instead of 8, width 40 instead of 10.*module__dense=False"),
    (lambda X: np.tile(X[0], (4, 4, 1)), "If X is a single sample, its size differs: .*module__dense=False"),
    (lambda X: np.moveaxis(X, -1, 1), "move its axes"),
    (lambda X: X.reshape(len(X), -1), "Reshape X"),
]


@pytest.mark.parametrize(("change", "match"), OTHER_SHAPES, ids=range(len(OTHER_SHAPES)))
def test_images_of_another_shape_raise(pictures, trained, change, match):
    X = change(pictures)
    start = rf"X has rows of shape \({', '.join(map(str, X.shape[1:]))},?\), but ConvAutoencoder was fitted on rows of"
    for method in (trained.transform, trained.reconstruct, trained.score, trained.score_samples, trained.partial_fit):
        with pytest.raises(ValueError, match=rf"{start} shape \(8, 10, 3\).*{match}"):
            method(X)


def test_fit_of_single_image_raises(pictures):
    ae = ConvAutoencoder(2, **CONV)
    with pytest.raises(ValueError, match=r"rows of shape \(20, 3\), as a single color image .* channel_axis=None"):
        ae.fit(np.tile(pictures[0], (2, 2, 1)))
    for X in (Image.fromarray(pictures[0]), pictures[:1]):
        with pytest.raises(ValueError, match=r"minimum of 2 is required.*cut it into patches"):
            ae.fit(X)
    with pytest.raises(ValueError, match=r"flattened samples of 10 values.*a single image, pass it as a list"):
        ae.fit(pictures[0, :, :, 0])
    narrow = ConvAutoencoder(2, channel_axis=None, **CONV).fit(np.tile(pictures[0], (2, 2, 1)))
    assert narrow.layout_.image_shape == (20, 3)
    patches = extract_patches_2d(pictures[0], (5, 5), max_patches=8, random_state=0)
    assert ae.fit(patches).input_shape_ == (5, 5, 3)


@pytest.mark.parametrize("missing", [None, np.nan])
def test_missing_sequence_raises(missing):
    X = [np.array([1.0, 2.0]), missing, np.array([1.0, 3.0, 2.0])] * 9
    with pytest.raises(ValueError, match=r"X\[1\]"):
        AutoencoderTransformer(2, module="gru", max_epochs=1).fit(X)


def test_sequence_with_other_channels_raises():
    X = [np.ones((5, 2)), np.ones((6, 2)), np.ones((6, 3))]
    with pytest.raises(ValueError, match=r"X\[2\] the shape \(6, 3\)"):
        AutoencoderTransformer(2, module="gru", max_epochs=1).fit(X)


def test_channel_axis_of_table_raises():
    X = np.random.default_rng(0).normal(size=(20, 4))
    with pytest.raises(ValueError, match=r"channel_axis=0 is for sequences .* X is a table of 4 columns"):
        AutoencoderTransformer(2, channel_axis=0, max_epochs=1).fit(X)


def test_gray_images_for_color_model_raise():
    ae = ConvAutoencoder(2, max_epochs=0, random_state=0).fit(np.random.default_rng(0).random((10, 8, 8, 3)))
    with pytest.raises(ValueError, match="the channels are missing"):
        ae.transform(np.zeros((5, 8, 8)))
