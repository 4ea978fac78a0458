"""Images of any size: lists of them, crops to train on, codes as maps, translation of images."""

import pickle
import threading

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from torch import nn
from torch.utils.data import Dataset

from skae import AutoencoderTransformer, ConvAutoencoder, Reconstructor, VAEGenerator

FEW = settings(
    max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], deadline=None
)
CONV = {"module__dense": False, "module__channels": (4,), "max_epochs": 2, "batch_size": 16, "random_state": 0}
SIZES = [(20, 31), (17, 17), (40, 23), (16, 33)]


def spatial(n_components=3, **params):
    """A fully convolutional estimator that trains in a moment."""
    return ConvAutoencoder(n_components, **CONV | params)


def smooth(size, seed=0, channels=()):
    """An image with structure, from 0 to 1."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[: size[0], : size[1]] / 9
    image = np.sin(rows[..., None] * rng.normal(size=3) + columns[..., None] * rng.normal(size=3)) @ rng.normal(size=3)
    image = (image - image.min()) / max(np.ptp(image), 1e-9)
    return image if not channels else np.stack([image * (k + 1) / channels for k in range(channels)], -1)


@pytest.fixture(scope="module")
def photographs():
    return [smooth(size, seed).astype(np.float32) for seed, size in enumerate(SIZES * 3)]


@pytest.fixture(scope="module")
def fitted(photographs):
    return spatial().fit(photographs)


# ------------------------------------------------------------------ what lists give


@given(
    sizes=st.lists(st.tuples(st.integers(8, 30), st.integers(8, 30)), min_size=1, max_size=4),
    layout=st.sampled_from(["gray", "last", "first"]),
    dtype=st.sampled_from([np.uint8, np.uint16, np.float32, np.float64]),
    n_stages=st.integers(1, 2),
    downsampling=st.sampled_from(["stride", "avg_pool", "unshuffle", None]),
)
@FEW
def test_shapes_dtypes_and_values_for_any_list_of_images(sizes, layout, dtype, n_stages, downsampling):
    highest = np.iinfo(dtype).max if np.dtype(dtype).kind == "u" else 1
    X = [(smooth(size, i, 3 if layout != "gray" else ()) * highest).astype(dtype) for i, size in enumerate(sizes)]
    X = [np.moveaxis(image, -1, 0) for image in X] if layout == "first" else X
    params = {
        "module__channels": (3,) * n_stages,
        "module__downsampling": downsampling,
        "module__upsampling": "shuffle",
    }
    axis = {"gray": "auto", "last": -1, "first": 0}[layout]
    ae = spatial(2, channel_axis=axis, crop_size=8, n_crops=16, max_epochs=1, **params).fit(X)
    stride = 1 if downsampling is None else 2**n_stages
    Z, X_hat = ae.transform(X), ae.reconstruct(X)
    assert [z.shape for z in Z] == [(2, -(-h // stride), -(-w // stride)) for h, w in sizes]
    assert [image.shape for image in X_hat] == [image.shape for image in X]
    assert {image.dtype for image in X_hat} == {np.dtype(np.float64 if dtype is np.float64 else np.float32)}
    back = ae.inverse_transform(Z, size=sizes)
    for image, decoded, one in zip(X_hat, back, X, strict=True):
        np.testing.assert_allclose(decoded, image, rtol=1e-5, atol=1e-5 * highest)
        np.testing.assert_allclose(ae.reconstruct([one])[0], image, rtol=1e-5, atol=1e-5 * highest)
        np.testing.assert_allclose(ae.reconstruct(one[None])[0], image, rtol=1e-5, atol=1e-5 * highest)
        np.testing.assert_allclose(ae.reconstruct(one)[0], image, rtol=1e-5, atol=1e-5 * highest)
    errors = [np.square(a - b.astype(np.float64)).sum() for a, b in zip(X_hat, X, strict=True)]
    np.testing.assert_allclose(ae.score(X), -sum(errors) / sum(image.size for image in X), rtol=1e-3)
    np.testing.assert_allclose(ae.score_samples(X), -np.array(errors), rtol=1e-3, atol=1e-6 * highest**2)


def test_list_gives_list_and_array_gives_array(fitted, photographs):
    equal = [image[:16, :16] for image in photographs]
    assert isinstance(fitted.transform(equal), list)
    assert isinstance(fitted.reconstruct(equal), list)
    assert fitted.transform(np.stack(equal)).shape == (12, 3 * 8 * 8)
    assert fitted.reconstruct(np.stack(equal)).shape == (12, 16, 16)
    for in_list, in_array in zip(fitted.transform(equal), fitted.transform(np.stack(equal)), strict=True):
        np.testing.assert_allclose(in_list.ravel(), in_array, rtol=1e-5, atol=1e-6)


def test_equal_small_images_are_trained_on_as_a_whole_and_give_arrays(photographs):
    equal = [image[:16, :16] for image in photographs]
    from_list, from_array = spatial().fit(equal), spatial().fit(np.stack(equal))
    assert not from_array.layout_.any_size
    np.testing.assert_array_equal(from_list.transform(equal), from_array.transform(np.stack(equal)))
    larger = from_array.reconstruct(photographs)
    assert [image.shape for image in larger] == [image.shape for image in photographs]


class Files(Dataset):
    """Images that are read one by one, with labels."""

    def __init__(self, images):
        self.images, self.n_read, self.threads = images, 0, set()

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        self.n_read += 1
        self.threads.add(threading.get_ident())
        return self.images[index], 1


class Plain:
    """Images that are read one by one; not a Dataset."""

    def __init__(self, images):
        self.images = images

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        return self.images[index]


def objects(images):
    X = np.empty(len(images), object)
    X[:] = images
    return X


KINDS = {
    "tuple": tuple,
    "objects": objects,
    "series": pd.Series,
    "tensors": lambda images: [torch.from_numpy(image) for image in images],
    "dataset": Files,
    "sequence": Plain,
}


@pytest.mark.parametrize("kind", KINDS)
def test_kinds_of_image_sequences_are_equivalent(fitted, photographs, kind):
    X = KINDS[kind](photographs)
    other = spatial().fit(X)
    for found, expected in zip(other.transform(X), fitted.transform(photographs), strict=True):
        np.testing.assert_array_equal(found, expected)


def test_flat_rows_of_a_dataset_are_read_as_before():
    rows = Files([smooth((8, 6), seed).ravel() for seed in range(20)])
    ae = spatial(input_shape=(8, 6)).fit(rows)
    assert ae.transform(rows).shape == (20, 3 * 4 * 3)


def test_pil_images_of_different_sizes(photographs):
    arrays = [(image * 255).astype(np.uint8) for image in photographs]
    X = [Image.fromarray(image) for image in arrays]
    ae = spatial().fit(X)
    for found, expected in zip(ae.reconstruct(X), spatial().fit(arrays).reconstruct(arrays), strict=True):
        np.testing.assert_array_equal(found, expected)
    np.testing.assert_allclose(ae.reconstruct(X[0])[0], ae.reconstruct(X)[0], rtol=1e-5, atol=1e-3)


def test_images_larger_than_memory_give_equal_codes(photographs, monkeypatch):
    from skae._data import image_list

    held = spatial(n_crops=100).fit(photographs)
    monkeypatch.setattr(image_list, "hold_budget", lambda: 0)
    files = Files(photographs)
    read = spatial(n_crops=100).fit(files)
    assert len(files.threads) > 1  # another one reads ahead of training
    np.testing.assert_array_equal(read.transform(files)[0], spatial(n_crops=100).fit(files).transform(files)[0])
    assert [z.shape for z in read.transform(files)] == [z.shape for z in held.transform(photographs)]


# ------------------------------------------------------------------ training on crops


def test_equal_seeds_give_equal_results(photographs):
    params = {"augmentation": "flip_rotate", "noise": "gaussian_noise", "n_crops": 50}
    first, second = (spatial(**params).fit(photographs) for _ in range(2))
    other = spatial(**params | {"random_state": 1}).fit(photographs)
    assert first.validation_loss_curve_ == second.validation_loss_curve_ != other.validation_loss_curve_
    np.testing.assert_array_equal(first.transform(photographs)[0], second.transform(photographs)[0])


def test_crop_size_and_number_of_crops(photographs):
    ae = spatial(crop_size=(8, 12), n_crops=40).fit(photographs)
    assert ae.input_shape_ == (8, 12)
    assert ae.net_.history[-1, "train_batch_count"] == 3  # of 16
    assert spatial().fit(photographs).input_shape_ == (16, 16)  # the shortest side
    assert spatial(n_crops=16).fit([smooth((200, 130))]).input_shape_ == (64, 64)


def test_training_improves_held_out_images(photographs):
    ae = spatial(2, module__linear_skip=False, max_epochs=20, lr=1e-2, n_crops=64).fit(photographs)
    start = clone(ae).set_params(max_epochs=0).fit(photographs)
    assert ae.score(photographs) > start.score(photographs)
    assert ae.best_epoch_ > 0


def test_start_is_the_block_transform_and_training_never_ends_worse(photographs):
    start = spatial(2, max_epochs=0).fit(photographs)
    trained = spatial(2, max_epochs=5).fit(photographs)
    assert start.score(photographs) > -0.02
    assert min(trained.validation_loss_curve_) <= start.validation_loss_curve_[0]
    complete = spatial(4, max_epochs=0).fit(photographs)  # 4 components for 2 × 2 pixels
    assert complete.score(photographs) == pytest.approx(0, abs=1e-10)


def test_single_image_is_validated_on_a_part():
    image = smooth((70, 90))
    ae = spatial(2, n_crops=32, crop_size=16).fit([image])
    assert len(ae.validation_loss_curve_) == 3
    assert ae.reconstruct([image])[0].shape == image.shape
    np.testing.assert_array_equal(
        ae.transform([image])[0], spatial(2, n_crops=32, crop_size=16).fit(image[None]).transform([image])[0]
    )


@pytest.mark.parametrize("size", [(40, 30), (100, 128), (12, 12), (3, 5)])
def test_single_small_image_is_enough(size):
    for X in ([smooth(size)], smooth(size)[None]):
        ae = spatial(2, n_crops=32).fit(X)
        assert ae.reconstruct([smooth(size)])[0].shape == size


def test_x_val_and_targets_of_any_size(photographs):
    clean = photographs
    rng = np.random.default_rng(0)
    noisy = [image + rng.normal(scale=0.1, size=image.shape).astype(np.float32) for image in clean]
    ae = spatial(4, max_epochs=10, lr=1e-2, n_crops=128).fit(
        noisy, X_target=clean, X_val=noisy[:3], X_val_target=clean[:3]
    )
    assert ae.score(noisy, X_target=clean) > -0.01
    assert ae.score_samples(noisy, X_target=clean).shape == (12,)


def test_weights_determine_number_of_crops():
    X = [np.full((20, 20), value) + smooth((20, 20)) for value in (0.0, 100.0)]
    ae = spatial(2, max_epochs=0, crop_size=8, early_stopping=False).fit(X, sample_weight=[1, 0])
    assert float(ae.module_.mean.item()) < 2


def test_conditions_follow_their_images(photographs):
    y = np.arange(12) % 3
    vae = VAEGenerator(2, module="conv", conditional=True, prior=None, beta=1e-3, **CONV).fit(photographs, y)
    assert list(vae.classes_) == [0, 1, 2]
    assert vae.reconstruct(photographs, y)[0].shape == photographs[0].shape
    assert vae.score_samples(photographs, y).shape == vae.score_samples(photographs).shape == (12,)


def test_partial_fit_and_warm_start_accept_other_sizes(photographs):
    ae = spatial(n_crops=32)
    ae.partial_fit(photographs[:4]).partial_fit(photographs[4:])
    assert ae.n_iter_ == 2
    warm = spatial(warm_start=True, n_crops=32).fit(photographs)
    assert warm.fit([smooth((50, 44))]).input_shape_ == (16, 16)


@pytest.mark.parametrize("turns", ["flip", "flip_rotate"])
def test_augmentation_of_whole_images_with_a_dense_code(turns):
    X = np.stack([smooth((8, 8), seed) for seed in range(30)])
    ae = ConvAutoencoder(2, augmentation=turns, module__channels=(3,), max_epochs=2, random_state=0).fit(X)
    assert ae.transform(X).shape == (30, 2)
    assert ae.reconstruct(X).shape == X.shape


# ------------------------------------------------------------------ what scikit-learn does with it


def test_pooling_gives_features_of_one_width(photographs):
    y = np.arange(12) % 2
    mean, largest = spatial(pooling="mean").fit(photographs), spatial(pooling="max").fit(photographs)
    maps = spatial().fit(photographs).transform(photographs)
    np.testing.assert_allclose(mean.transform(photographs), [z.mean((1, 2)) for z in maps], rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(largest.transform(photographs), [z.max((1, 2)) for z in maps], rtol=1e-4, atol=1e-6)
    assert list(mean.get_feature_names_out()) == [f"convautoencoder{k}" for k in range(3)]
    assert mean.set_output(transform="pandas").transform(photographs).shape == (12, 3)
    pipeline = make_pipeline(spatial(pooling="mean"), LogisticRegression())
    assert pipeline.fit(photographs, y).predict(photographs).shape == (12,)
    with pytest.raises(ValueError, match="pooling='mean' gives codes that cannot be decoded"):
        mean.inverse_transform(np.zeros((1, 3)))


def test_searches_and_cross_validation_split_lists(photographs):
    search = GridSearchCV(spatial(n_crops=16), {"n_components": [1, 3]}, cv=2, error_score="raise").fit(photographs)
    assert search.best_params_ == {"n_components": 3}
    assert np.isfinite(cross_val_score(spatial(n_crops=16), photographs, cv=2)).all()


def test_clone_and_pickle(fitted, photographs):
    again = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(again.transform(photographs)[0], fitted.transform(photographs)[0])
    assert clone(fitted).get_params() == fitted.get_params()


@pytest.mark.parametrize("keep_observed", [False, True])
def test_reconstructor_takes_lists(photographs, keep_observed):
    X = [image.copy() for image in photographs]
    for image in X:
        image[3:6, 4:9] = np.nan
    ae = spatial(missing="mask", noise="masking_noise", n_crops=32)
    filled = Reconstructor(ae, keep_observed=keep_observed).fit_transform(X)
    assert [image.shape for image in filled] == [image.shape for image in X]
    assert not any(np.isnan(image).any() for image in filled)
    if keep_observed:
        np.testing.assert_array_equal(filled[0][:3], X[0][:3])
    with pytest.raises(ValueError, match="filling needs X as one array"):
        Reconstructor(ae, filling=np.nan_to_num).fit(X)


# ------------------------------------------------------------------ generation


@pytest.mark.filterwarnings("ignore:No component of the code is active")
def test_samples_of_any_size(photographs):
    vae = VAEGenerator(2, module="conv", prior=None, beta=1e-3, **CONV).fit(photographs)
    assert vae.sample(2, random_state=0).shape == (2, 16, 16)
    assert vae.sample(2, random_state=0, size=(21, 40)).shape == (2, 21, 40)
    np.testing.assert_array_equal(vae.sample(1, 0, size=9), vae.sample(1, 0, size=(9, 9)))
    mean, std = vae.transform_distribution(photographs)
    assert mean[0].shape == std[0].shape == (2, 10, 16)
    equal = np.stack([image[:16, :17] for image in photographs])
    some = equal[:2]
    assert vae.sample_posterior(some, n_draws=3).shape == (3, 2, 16, 17)
    assert vae.interpolate(some[:1], some[1:], 4).shape == (1, 4, 16, 17)
    with pytest.raises(ValueError, match="one size"):
        vae.sample_posterior(photographs)
    dense = VAEGenerator(2, module="conv", module__channels=(4,), beta=1e-3, max_epochs=0).fit(equal)
    with pytest.raises(ValueError, match="size needs a network that takes images of any size"):
        dense.sample(size=8)
    with pytest.raises(ValueError, match="needs prior=None"):
        VAEGenerator(2, module="conv", beta=1e-3, **CONV).fit(equal).sample(size=30)
    assert VAEGenerator(2, module="conv", beta=1e-3, **CONV).fit(photographs).sample(size=30).shape == (1, 30, 30)


# ------------------------------------------------------------------ translation


def halves(image):
    return (
        image[: image.shape[0] // 2 * 2, : image.shape[1] // 2 * 2]
        .reshape(image.shape[0] // 2, 2, image.shape[1] // 2, 2)
        .mean((1, 3))
    )


def test_super_resolution_improves_on_bicubic_interpolation():
    large = [smooth((2 * h, 2 * w), i).astype(np.float32) for i, (h, w) in enumerate(SIZES * 3)]
    small = [halves(image) for image in large]
    start = spatial(4, max_epochs=0).fit(small, X_target=large)
    bicubic = nn.functional.interpolate(torch.from_numpy(small[0])[None, None], scale_factor=2, mode="bicubic")
    np.testing.assert_allclose(start.reconstruct(small)[0], bicubic[0, 0].numpy(), atol=1e-4)
    trained = spatial(4, max_epochs=10, n_crops=64).fit(small, X_target=large)
    assert trained.score(small, X_target=large) > start.score(small, X_target=large)
    assert [image.shape for image in trained.reconstruct(small)] == [image.shape for image in large]
    errors = [np.square(a - b).sum() for a, b in zip(trained.reconstruct(small), large, strict=True)]
    np.testing.assert_allclose(trained.score_samples(small, X_target=large), -np.array(errors), rtol=1e-3)


@pytest.mark.parametrize("dense", [False, True])
def test_targets_of_other_channels_keep_their_layout_and_units(dense):
    color = np.stack([200 * smooth((16, 12), seed, 3) for seed in range(20)])
    gray = color.mean(-1) / 255
    params = {"module__dense": dense, "max_epochs": 30, "lr": 1e-2}
    ae = spatial(4, **params).fit(gray, X_target=color)
    assert ae.reconstruct(gray).shape == color.shape
    assert ae.transform(gray).shape == (20, 4 if dense else 4 * 8 * 6)
    assert ae.score(gray, X_target=color) > -0.5 * color.var()
    with pytest.raises(ValueError, match="X_target is required"):
        ae.score(gray)
    with pytest.raises(ValueError, match="X_target of another shape than X"):
        ae.inverse_transform(ae.transform(gray))
    again = pickle.loads(pickle.dumps(ae))
    np.testing.assert_array_equal(again.reconstruct(gray), ae.reconstruct(gray))


# ------------------------------------------------------------------ errors


def broken(images, index, image):
    images = list(images)
    images[index] = image
    return images


@pytest.mark.parametrize(
    ("image", "match"),
    [
        (np.full((20, 20), np.nan), r"X\[2\] contains NaN"),
        (np.full((20, 20), np.inf), r"X\[2\] contains infinity"),
        (np.zeros((20, 20, 3)), r"X\[2\] has the shape \(20, 20, 3\), but X\[0\] is gray"),
        (np.zeros(20), r"X\[2\] must be an image"),
        (np.zeros((0, 20)), r"X\[2\] must be an image"),
        (np.zeros((20, 20), complex), r"X\[2\] must be an image of real numbers"),
        (np.zeros((20, 20), np.uint8), r"X\[2\] has the dtype uint8 and X\[0\] the dtype float32"),
        (np.zeros((5, 20)), r"X\[2\] has the size \(5, 20\), smaller than the crops"),
    ],
)
def test_invalid_images_raise_with_index(fitted, photographs, unchanged, image, match):
    ae = clone(fitted).set_params(crop_size=8)
    unchanged(ae, lambda: ae.fit(broken(photographs, 2, image)), ValueError, match)


@pytest.mark.parametrize(
    ("params", "X", "match"),
    [
        ({"crop_size": 0}, None, "crop_size"),
        ({"crop_size": (8, 8, 8)}, None, "crop_size must be 'auto', an int or"),
        ({"n_crops": 0}, None, "n_crops"),
        ({"augmentation": "mirror"}, None, "augmentation"),
        ({"pooling": "sum"}, None, "pooling"),
        ({"crop_size": 8, "module__dense": True}, None, "crop_size=8 needs a network that takes images of any size"),
        ({"module__dense": True}, None, "module__dense=False"),
        ({"augmentation": "flip_rotate", "crop_size": (8, 9)}, None, "square"),
        ({}, np.zeros((64, 64)), r"pass \[X\] for one image"),
        ({"crop_size": 4}, np.zeros((10, 64)), "flattened images: reshape"),
    ],
)
def test_invalid_parameters_raise(photographs, unchanged, params, X, match):
    ae = spatial(**params)
    unchanged(ae, lambda: ae.fit(photographs if X is None else X), (ValueError, TypeError), match)


def test_invalid_codes_raise(fitted):
    with pytest.raises(ValueError, match="code map of 3 channels"):
        fitted.inverse_transform([np.zeros((2, 4, 4), np.float32)])
    with pytest.raises(ValueError, match="positions"):
        fitted.inverse_transform([np.zeros((3, 4, 4), np.float32)], size=(20, 20))
    with pytest.raises(ValueError, match="a size for each"):
        fitted.inverse_transform([np.zeros((3, 4, 4), np.float32)], size=[(8, 8), (8, 8)])
    assert fitted.inverse_transform(np.zeros((2, 3, 4, 5), np.float32)).shape == (2, 8, 10)
    assert fitted.inverse_transform(np.zeros((2, 3 * 4 * 5), np.float32), size=(7, 10)).shape == (2, 7, 10)


def test_invalid_targets_raise(photographs):
    with pytest.raises(ValueError, match=r"X_target\[0\] must have the size"):
        spatial().fit(photographs, X_target=[image[1:] for image in photographs])
    with pytest.raises(ValueError, match="X_target must have 12 images"):
        spatial().fit(photographs, X_target=photographs[:5])


def test_transformer_with_conv_is_unchanged():
    X = np.random.default_rng(0).normal(size=(20, 1, 8, 8))
    ae = AutoencoderTransformer(2, module="conv", **CONV).fit(X)
    assert ae.transform(X).shape == (20, 2 * 4 * 4)
    assert ae.reconstruct(X).shape == X.shape


@pytest.mark.parametrize("as_list", [True, False])
def test_y_of_the_shapes_of_x_warns(as_list):
    rng = np.random.default_rng(0)
    X = [rng.random(shape) for shape in [(20, 24), (24, 20) if as_list else (20, 24)]]
    ae = ConvAutoencoder(2, module__dense=False, crop_size=8, n_crops=8, max_epochs=1, random_state=0)
    noisy = [image + 0.1 for image in X]
    with pytest.warns(UserWarning, match="y has the shape of X.* pass X_target=y"):
        ae.fit(noisy if as_list else np.stack(noisy), X if as_list else np.stack(X))
    ae.fit(noisy, [0, 1])


@pytest.mark.parametrize(
    ("X", "match"),
    [
        (["a.png", "b.png"], "Files are not opened"),
        ("folder", "Files are not opened"),
        ([], "X has none"),
        (np.ones((5, 64)), "X has flattened images: reshape it"),
    ],
)
def test_crops_of_no_images_raise(X, match):
    with pytest.raises(ValueError, match=match):
        ConvAutoencoder(2, module__dense=False, crop_size=8).fit(X)


@pytest.mark.parametrize("channels", [(), (4,)])
def test_other_channels_name_those_of_fit(channels):
    rng = np.random.default_rng(0)
    ae = ConvAutoencoder(2, module__dense=False, crop_size=8, n_crops=8, max_epochs=1, random_state=0)
    ae.fit([rng.random((20, 24, 3)), rng.random((24, 20, 3))])
    with pytest.raises(ValueError, match=r"fitted on images with 3 channels on the last axis, of any size\. Convert"):
        ae.transform(rng.random((2, 16, 16, *channels)))
