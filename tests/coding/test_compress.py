"""Compressed samples decode to their own codes, in whatever form they are given."""

import math

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from scipy.sparse import csr_array
from sklearn.datasets import load_digits
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from stubs import with_counts

import skae
from skae._density import tables
from skae.bottlenecks import FSQ, Bottleneck, Rounded
from skae.coding import _compress as coding
from skae.coding import compress, decompress, n_bits

DIGITS = load_digits()


def decoded(est, X, quality=0):
    """The integers that are coded of an array, and what they stand for, without bytes."""
    module = est.module_
    with torch.no_grad():
        x = est._layout.arrange(torch.as_tensor(np.asarray(X)))
        size = module._size_of(x)
        codes = module.quantize(module.outputs(x), size, quality, economical=True)
        z = module.dequantize(codes, quality)
    return codes.numpy(), est._decode(z, project=False, size=size).numpy()


def codes_in(est, data, monkeypatch):
    """The integer codes that a stream is decoded to, of each size."""
    found = []
    with monkeypatch.context() as patch:
        drawn = coding._drawn
        patch.setattr(coding, "_drawn", lambda *args: found.append(drawn(*args)) or found[-1])
        decompress(est, data)
    return found


@pytest.mark.parametrize("quality", [-2, 0, 0.3, 4])
def test_codes_are_exact_at_every_quality(table, quality, monkeypatch):
    X = DIGITS.data[400:500]
    data = compress(table, X, quality=quality)
    wanted, X_hat = decoded(table, X, math.trunc(8 * quality) / 8)
    (found,) = codes_in(table, data, monkeypatch)
    np.testing.assert_array_equal(found, wanted)
    np.testing.assert_array_equal(decompress(table, data), X_hat)


def test_quality_is_any_real_number(table):
    X = DIGITS.data[400:410]
    for quality in (1, np.int64(1), np.float32(1), np.float64(1.1)):
        assert compress(table, X, quality=quality) == compress(table, X, quality=1.0)


def test_higher_quality_is_longer_and_nearer(table):
    X = DIGITS.data[400:600]
    streams = [compress(table, X, quality=quality) for quality in (-2, 0, 2, 4)]
    errors = [np.square(decompress(table, data) - X).mean() for data in streams]
    assert [len(data) for data in streams] == sorted({len(data) for data in streams})
    assert errors == sorted(set(errors), reverse=True)


def test_quality_0_is_what_reconstruct_returns(table, levels, stack, monkeypatch):
    monkeypatch.setattr(Rounded, "economize", Bottleneck.economize)
    for est, X in ((table, DIGITS.data[400:500]), (levels, DIGITS.data[:50].astype("f4")), (stack, DIGITS.images[:50])):
        X_hat = decompress(est, compress(est, X))
        wanted = est.reconstruct(X)
        assert (X_hat.dtype, X_hat.shape) == (wanted.dtype, wanted.shape)
        np.testing.assert_allclose(X_hat, wanted, rtol=1e-5, atol=1e-4)


def test_codes_far_from_those_of_fit_are_exact(table):
    X = 1000 * DIGITS.data[:20]
    np.testing.assert_array_equal(decompress(table, compress(table, X)), decoded(table, X)[1])


def test_codes_beyond_32_bits_raise(table):
    with pytest.raises(ValueError, match="X is so far from the training data that its codes exceed 32-bit"):
        compress(table, 1e15 * DIGITS.data[:3])


def test_length_is_that_of_the_probabilities(table, levels):
    for est in (table, levels):
        X = np.tile(DIGITS.data, (10, 1)).astype("f4")
        ideal = n_bits(est, X)
        assert ideal.shape == (len(X),)
        assert ideal.dtype == np.float64
        assert ideal.sum() / 8 < len(compress(est, X)) < 1.005 * ideal.sum() / 8 + 40


def test_bits_of_samples_are_those_of_each_alone(table, images):
    for est, X, alone in ((table, DIGITS.data[:5], lambda X, i: X[i : i + 1]), (*images, lambda X, i: [X[i]])):
        found = n_bits(est, X, quality=1)
        np.testing.assert_allclose(found, [n_bits(est, alone(X, i), quality=1)[0] for i in range(len(X))])


def test_bits_of_samples_follow_the_tables(levels):
    X = DIGITS.data[:30].astype("f4")
    codes, _ = decoded(levels, X)
    model = levels.code_model_
    share = model.frequencies_ / 2.0**tables.PRECISION
    which = model._context(codes)[..., 0, 0] + 2 * np.arange(4)
    np.testing.assert_allclose(n_bits(levels, X), -np.log2(share[which, codes[..., 0, 0]]).sum(1))


def test_overhead_is_few_bytes(table):
    X = DIGITS.data[:1]
    assert len(compress(table, X)) <= n_bits(table, X)[0] / 8 + 28


@pytest.mark.parametrize(
    "form",
    [
        pytest.param(lambda X: X, id="array"),
        pytest.param(torch.as_tensor, id="tensor"),
        pytest.param(pd.DataFrame, id="DataFrame"),
        pytest.param(csr_array, id="sparse"),
        pytest.param(lambda X: X.tolist(), id="list"),
    ],
)
def test_kinds_of_containers(table, form):
    X = DIGITS.data[:10]
    np.testing.assert_array_equal(decompress(table, compress(table, form(X))), decoded(table, X)[1])


def test_images_of_a_list_keep_their_order_sizes_and_dtype(images):
    est, X = images
    found = decompress(est, compress(est, X))
    assert isinstance(found, list)
    for image, x in zip(found, X, strict=True):
        assert (image.dtype, image.shape) == (np.uint8, x.shape)
        np.testing.assert_array_equal(image, np.rint(decoded(est, x[None])[1][0]).clip(0, 255))


def test_list_of_one_size_is_a_list(images):
    est, X = images
    same = [x for x in X if x.shape == (16, 16)]
    assert len(same) == 3
    found = decompress(est, compress(est, same))
    assert isinstance(found, list)
    np.testing.assert_array_equal(found, decompress(est, compress(est, np.stack(same))))


def test_single_image_is_a_stack_of_one(images):
    est, X = images
    found = decompress(est, compress(est, X[1]))
    assert found.shape == (1, *X[1].shape)
    np.testing.assert_array_equal(found, decompress(est, compress(est, Image.fromarray(X[1]))))


def test_stacks_of_another_size(stack):
    X = np.tile(DIGITS.images[:6], (1, 2, 3))[:, :, :21]
    found = decompress(stack, compress(stack, X))
    assert found.shape == X.shape
    np.testing.assert_array_equal(found, decoded(stack, X)[1])


def test_one_stream_for_a_stack_is_shorter_than_many(stack):
    X = DIGITS.images[:50]
    assert len(compress(stack, X)) < sum(len(compress(stack, x[None])) for x in X) / 2


@pytest.mark.parametrize("name", ["uint8", "uint16", "uint32", "uint64"])
def test_unsigned_integers_keep_dtype(table, name):
    X = DIGITS.data[:20].astype(name)
    found = decompress(table, compress(table, X))
    assert found.dtype == name
    np.testing.assert_array_equal(found, np.rint(decoded(table, X)[1]).clip(0, None))


@pytest.mark.parametrize("name", ["uint8", "uint16", "uint32", "uint64"])
def test_unsigned_integers_are_clipped_to_their_range(name):
    bits = np.iinfo(name).bits
    found = coding._as_dtype(np.array([-np.inf, -1.0, 2.4, 2.6, 2.0 ** (bits - 1), 2.0**bits, 1e30]), np.dtype(name))
    assert found.dtype == name
    assert found[:5].tolist() == [0, 0, 2, 3, 2 ** (bits - 1)]
    assert (found[5:] >= 2**bits - 2**11).all(), "the largest, but for what float64 does not hold"


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int32, np.float16, bool])
def test_other_dtypes_match_reconstruct(table, dtype):
    X = (DIGITS.data[:20] % 2).astype(dtype)
    assert decompress(table, compress(table, X)).dtype == table.reconstruct(X).dtype


def test_large_images_are_coded_tile_by_tile(images, monkeypatch):
    est, _ = images
    y, x = np.mgrid[:300, :190]
    X = (128 + 60 * np.sin(y / 9) * np.cos(x / 7)).astype(np.uint8)[None]
    whole = compress(est, X)
    monkeypatch.setattr("skae._module.tiles.working_memory", lambda share: 2**16)
    assert len(est._runner._tiles(X.shape[1:])) > 1
    tiled = compress(est, X)
    assert abs(len(tiled) - len(whole)) <= 0.02 * len(whole), "what integers save is seen within a tile"
    errors = [np.square(decompress(est, data) - X.astype(float)).mean() for data in (tiled, whole)]
    assert errors[0] == pytest.approx(errors[1], rel=0.02)
    monkeypatch.setattr(Rounded, "economize", Bottleneck.economize)
    tiled = compress(est, X)
    monkeypatch.undo()
    monkeypatch.setattr(Rounded, "economize", Bottleneck.economize)
    whole = compress(est, X)
    assert abs(len(tiled) - len(whole)) <= 8, "floats of tiles may be rounded to another integer"
    np.testing.assert_allclose(decompress(est, tiled).astype(int), decompress(est, whole).astype(int), atol=1)


def test_digest_is_kept_by_save_and_changed_by_fit(table, levels):
    X = DIGITS.data[:400]
    key = coding.digest_of(table)
    assert coding.digest_of(table) == key
    assert coding.digest_of(levels) != key
    refit = skae.AutoencoderTransformer(5, bottleneck=Rounded(qualities=(-2, 4)), max_epochs=1, random_state=0)
    refit = with_counts(refit.fit(X), X)
    with pytest.raises(
        ValueError, match=f"data was compressed by another model, {key.hex()}, than this estimator, [0-9a-f]"
    ):
        decompress(refit, compress(table, X[:2]))


def test_digest_depends_on_weights_tables_and_units(levels, monkeypatch):
    key = coding.digest_of(levels)
    module = levels.module_
    changes = [
        (module, "scale", module.scale * (1 + 1e-15)),
        (module, "mean", module.mean + 1e-12),
        (levels.code_model_, "low_", levels.code_model_.low_ + 1),
    ]
    for owner, name, value in changes:
        with monkeypatch.context() as patch:
            patch.setattr(owner, name, value)
            assert coding.digest_of(levels) != key, name
    weight = next(module.network.parameters()).data.view(-1)
    before = weight[0].item()
    weight[0] += 1e-3
    assert coding.digest_of(levels) != key
    weight[0] = before
    assert coding.digest_of(levels) == key


# ---------------------------------------------------------------- what is refused


def test_estimators_without_integer_codes_raise(blobs):
    est = skae.AutoencoderTransformer(2, max_epochs=1)
    with pytest.raises(NotFittedError):
        compress(est, blobs)
    est.fit(blobs)
    for call in (compress, n_bits, decompress):
        with pytest.raises(ValueError, match=r"must have a discrete bottleneck.* got Identity, .*bottleneck='rounded'"):
            call(est, blobs)


def test_other_estimators_raise_with_remedy(table, blobs):
    pipe = make_pipeline(StandardScaler(), table)
    with pytest.raises(
        TypeError, match=r"got Pipeline: pass its last step, with X as transformed by the other steps\."
    ):
        compress(pipe, blobs)
    restoring = skae.Reconstructor(skae.AutoencoderTransformer(2, max_epochs=1)).fit(blobs)
    with pytest.raises(TypeError, match=r"got Reconstructor: pass its estimator_\."):
        compress(restoring, blobs)
    search = GridSearchCV(skae.AutoencoderTransformer(2, max_epochs=1), {"n_components": [2]}, cv=2).fit(blobs)
    with pytest.raises(TypeError, match=r"got GridSearchCV: pass its best_estimator_\."):
        compress(search, blobs)
    with pytest.raises(TypeError, match=r"must be an autoencoder of skae, got StandardScaler\."):
        compress(StandardScaler(), blobs)


def test_estimator_without_probabilities_raises(levels, monkeypatch):
    monkeypatch.delattr(levels, "code_model_")
    with pytest.raises(ValueError, match=r"must have a code_model_.*fit it again"):
        compress(levels, DIGITS.data)


def test_pooling_raises(stack, monkeypatch):
    monkeypatch.setattr(stack, "pooling", "mean")
    with pytest.raises(ValueError, match="pooling='mean' gives codes that cannot be decoded"):
        compress(stack, DIGITS.images)


def test_conditional_decoders_raise():
    est = skae.VAEGenerator(2, bottleneck=FSQ((5, 5)), conditional=True, prior=None, max_epochs=1, random_state=0)
    est.fit(DIGITS.data[:100], DIGITS.target[:100])
    est.code_model_ = "any"
    with pytest.raises(ValueError, match="VAEGenerator is conditional: fit it without y"):
        compress(est, DIGITS.data)


def test_translation_raises():
    X = DIGITS.images[:60]
    est = skae.ConvAutoencoder(2, bottleneck=FSQ((5, 4)), module__dense=False, max_epochs=1, random_state=0)
    est.fit(X, X_target=X.repeat(2, 1).repeat(2, 2))
    est.code_model_ = "any"
    with pytest.raises(ValueError, match="codes do not decode to X"):
        compress(est, X)


def test_missing_values_raise():
    X = DIGITS.data[:100].copy()
    X[::7, 20] = np.nan
    est = skae.AutoencoderTransformer(2, bottleneck=FSQ((5, 4)), missing="mask", max_epochs=1, random_state=0).fit(X)
    est = with_counts(est, np.nan_to_num(X))
    assert decompress(est, compress(est, X[1:3])).shape == (2, 64)
    with pytest.raises(ValueError, match=r"X must not contain NaN.* impute missing values by reconstruct first"):
        compress(est, X)


def test_sequences_are_of_the_length_of_fit():
    X = np.sin(np.arange(20) + np.arange(30)[:, None])[..., None].astype("f4")
    est = skae.AutoencoderTransformer(2, module="gru", bottleneck=FSQ((5, 4)), max_epochs=1, random_state=0).fit(X)
    est = with_counts(est, X)
    assert decompress(est, compress(est, X)).shape == X.shape
    with pytest.raises(ValueError, match="X must hold sequences of the length in fit"):
        compress(est, X[:, :10])


def test_other_qualities_raise(table, levels):
    X = DIGITS.data[:5]
    with pytest.raises(ValueError, match=r"quality must be from -2 to 4 of bottleneck=Rounded, got 4\.1"):
        compress(table, X, quality=4.1)
    with pytest.raises(ValueError, match=r"quality must be 0, the only quality of bottleneck=FSQ, got 1"):
        n_bits(levels, X, quality=1)
    for quality in (np.nan, np.inf):
        with pytest.raises(ValueError, match="quality"):
            compress(table, X, quality=quality)
    for quality in (None, "high", True):
        with pytest.raises(TypeError, match="quality must be an instance of"):
            compress(table, X, quality=quality)


def test_data_of_other_types_raises(table):
    with pytest.raises(TypeError, match="data must be the bytes of compress, got str: read the file first"):
        decompress(table, "file.skc")
    data = compress(table, DIGITS.data[:3])
    for form in (bytearray, memoryview):
        np.testing.assert_array_equal(decompress(table, form(data)), decompress(table, data))


def test_more_than_max_pixels_raises(table, images):
    est, X = images
    data, n = compress(est, X), sum(-(-h // 4) * -(-w // 4) * 16 for h, w in (x.shape for x in X))
    assert len(decompress(est, data, max_pixels=n)) == len(X)
    with pytest.raises(
        ValueError, match=f"data holds {n} pixels, more than max_pixels={n - 1}: increase max_pixels if"
    ):
        decompress(est, data, max_pixels=n - 1)
    rows = compress(table, DIGITS.data[:10])
    assert len(decompress(table, rows, max_pixels=640)) == 10
    with pytest.raises(ValueError, match="data holds 640 pixels"):
        decompress(table, rows, max_pixels=639)
    for wrong, error in ((0, ValueError), (1.5, TypeError), (None, TypeError)):
        with pytest.raises(error, match="max_pixels"):
            decompress(table, rows, max_pixels=wrong)
