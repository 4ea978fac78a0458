"""ConvAutoencoder: images of any size, layout and dtype."""

import inspect
import pickle

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpydoc.docscrape import NumpyDocString
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.validation import check_is_fitted
from torch import nn

from skae import AutoencoderTransformer, ConvAutoencoder
from skae.bottlenecks import Bottleneck, Latent
from skae.nn import MLP
from skae.noise import BlockMasking, GaussianNoise

PROPERTY = settings(
    max_examples=20,
    # The streams are watched over all examples together.
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def tiny(n_components=2, **params):
    """An estimator that trains in a moment."""
    defaults = {"max_epochs": 2, "random_state": 0}
    if params.get("module", "conv") == "conv":
        defaults |= {"module__channels": (3, 4), "module__hidden_layer_sizes": ()}
    return ConvAutoencoder(n_components, **defaults | params)


@pytest.fixture(scope="module")
def pictures():
    """1,797 digits of 8 × 8, from 0 to 16; read-only."""
    X = np.array(load_digits().images)
    X.flags.writeable = False
    return X


@pytest.fixture(scope="module")
def color():
    """120 images of 9 × 6 with three channels last, made of four of them; read-only."""
    rng = np.random.default_rng(0)
    X = np.tensordot(rng.uniform(size=(120, 4)), rng.normal(size=(4, 9, 6, 3)), 1) + 0.1 * rng.normal(
        size=(120, 9, 6, 3)
    )
    X.flags.writeable = False
    return X


def state(estimator):
    """Everything that an estimator holds, so that a change would be seen."""
    return pickle.dumps({name: value for name, value in vars(estimator).items() if name != "net_"}), vars(
        estimator
    ).get("net_")


# ------------------------------------------------------------------ any size, layout and dtype

DTYPES = [np.uint8, np.int16, np.int32, np.int64, np.float16, np.float32, np.float64, bool]
MEMORY = {
    "plain": lambda X: X,
    "fortran": np.asfortranarray,
    "reversed": lambda X: np.ascontiguousarray(X[::-1, ..., ::-1])[::-1, ..., ::-1],
    "every other": lambda X: np.repeat(X, 2, axis=-1)[..., ::2],
    "transposed": lambda X: np.ascontiguousarray(X.T).T,
    "foreign bytes": lambda X: X.astype(X.dtype.newbyteorder()),
}


@st.composite
def image_arrays(draw):
    """Rows of X, and the parameters that tell how images lie in them."""
    n, h, w, c = (draw(st.integers(low, high)) for low, high in ((2, 5), (1, 40), (1, 40), (1, 5)))
    kind = draw(st.sampled_from(["gray", "first", "last"]))
    shape = {"gray": (h, w), "first": (c, h, w), "last": (h, w, c)}[kind]
    params = {}
    if kind != "gray":
        ends = [side in (1, 3, 4) for side in (shape[0], shape[-1])]
        told = ends == ([True, False] if kind == "first" else [False, True])
        if not told or draw(st.booleans()):
            params["channel_axis"] = 0 if kind == "first" else draw(st.sampled_from([-1, 2]))
    elif (h > 16 and w in (3, 4)) or draw(st.booleans()):  # a single color image has such rows, and is refused
        params["channel_axis"] = None
    dtype = draw(st.sampled_from(DTYPES))
    values = np.random.default_rng(draw(st.integers(0, 2**20))).integers(0, 2 if dtype is bool else 256, (n, *shape))
    X = values.astype(dtype)
    if draw(st.booleans()):
        X = X.reshape(n, -1)
        if not (kind == "gray" and h == w and draw(st.booleans())):
            params["input_shape"] = shape
    X = MEMORY[draw(st.sampled_from(sorted(MEMORY)))](X)
    X.flags.writeable = draw(st.booleans())
    return X, params


@PROPERTY
@given(case=image_arrays(), max_epochs=st.integers(0, 1), dense=st.booleans(), n_stages=st.integers(1, 3))
@pytest.mark.slow
def test_reconstruction_keeps_shape_layout_and_dtype(case, max_epochs, dense, n_stages):
    X, params = case
    before = X.copy()
    channels = (2,) * n_stages
    ae = tiny(
        3, max_epochs=max_epochs, module__dense=dense, module__channels=channels, prior=GaussianMixture(1), **params
    )
    Z = ae.fit_transform(X)
    assert Z.shape == (len(X), ae.module_.n_codes)
    x_hat = ae.reconstruct(X)
    wide = {"f": 4, "i": 2, "u": 2, "b": 1}[X.dtype.kind]  # bytes of the widest whose values float32 holds
    back = np.float64 if X.dtype.itemsize > wide else np.float32
    for out, shape, dtype in [
        (x_hat, X.shape, back),
        (ae.inverse_transform(Z), X.shape, back),
        (ae.inverse_transform(Z[:1]), (1, *X.shape[1:]), back),
        (ae.sample(3), (3, *X.shape[1:]), back),
        (ae.score_samples(X), (len(X),), np.float32),
        (Z, (len(X), 3 * ae.module_.network.n_positions), np.float32),
    ]:
        assert out.shape == shape
        assert out.dtype == dtype
        assert np.isfinite(out).all()
    assert ae.input_shape_ == X.shape[1:]
    np.testing.assert_allclose(ae.inverse_transform(Z), x_hat, rtol=1e-4, atol=1e-3 * max(1.0, float(X.max())))
    errors = (x_hat.astype(float) - X) ** 2
    assert ae.score(X) == pytest.approx(-errors.mean(), rel=1e-3, abs=1e-3)
    np.testing.assert_allclose(
        ae.score_samples(X), -errors.reshape(len(X), -1).sum(1), rtol=1e-3, atol=errors.size * 1e-3
    )
    np.testing.assert_array_equal(X, before)


@PROPERTY
@given(case=image_arrays())
def test_full_rank_reconstruction_is_exact(case):
    X, params = case
    ae = tiny(len(X), max_epochs=0, **params).fit(X)
    largest = float(X.max())
    np.testing.assert_allclose(ae.reconstruct(X), X.astype(float), atol=1e-3 * largest + 1e-6)
    np.testing.assert_allclose(ae.inverse_transform(ae.transform(X)), X.astype(float), atol=1e-3 * largest + 1e-6)


@pytest.mark.parametrize("c", [1, 2, 3, 5])
def test_codes_do_not_depend_on_layout(c):
    last = np.random.default_rng(0).normal(size=(30, 7, 10, c)) * np.arange(1, c + 1) + 3
    first = np.ascontiguousarray(np.moveaxis(last, -1, 1))
    ways = {
        "last": (last, {"channel_axis": -1}),
        "first": (first, {"channel_axis": 0}),
        "flat last": (last.reshape(30, -1), {"input_shape": (7, 10, c), "channel_axis": 2}),
        "flat first": (first.reshape(30, -1), {"input_shape": (c, 7, -1), "channel_axis": -3}),
        "last, a view": (np.moveaxis(first, 1, -1), {"channel_axis": -1}),
        "nested lists": (first.tolist(), {"channel_axis": 0}),
    }
    if c in (1, 3):
        ways |= {"last, by itself": (last, {}), "first, by itself": (first, {})}
        ways["flat, by itself"] = (first.reshape(30, -1), {"input_shape": [c, 7, 10]})
    if c == 1:
        ways |= {"gray": (last[..., 0], {}), "flat gray": (last.reshape(30, -1), {"input_shape": (-1, 10)})}
    start = tiny(4, max_epochs=0, channel_axis=0).fit(first)
    reference = tiny(4, early_stopping=False, channel_axis=0).fit(first)
    assert not np.allclose(reference.transform(first), start.transform(first), atol=1e-3), "it was trained"
    for name, (X, params) in ways.items():
        ae = tiny(4, early_stopping=False, **params).fit(X)
        np.testing.assert_allclose(ae.transform(X), reference.transform(first), atol=1e-5, err_msg=name)
        back = ae.layout_.arrange(ae.reconstruct(X))
        np.testing.assert_allclose(back, reference.reconstruct(first), atol=1e-4, err_msg=name)


def test_flat_square_gray_images_are_recognized(pictures):
    X = pictures[:60]
    flat = X.reshape(60, -1)
    ae, reference = tiny().fit(flat), tiny().fit(X)
    np.testing.assert_array_equal(ae.transform(flat), reference.transform(X))
    assert ae.layout_.image_shape == (8, 8)
    np.testing.assert_array_equal(ae.reconstruct(flat), reference.reconstruct(X).reshape(60, -1))


def test_layout_of_single_pixel_image():
    X = np.random.default_rng(0).normal(size=(12, 1, 1))
    ae = tiny(3).fit(X)
    np.testing.assert_allclose(ae.reconstruct(X), X, atol=1e-4)
    assert ae.transform(X[:1]).shape == (1, 3)


def test_numpy_integers_are_accepted(pictures):
    X = pictures[:20]
    for dense in (True, False):
        grid = {"n_components": np.array([2, 3]), "module__channels": [np.array([2])]}
        search = GridSearchCV(tiny(max_epochs=0, module__dense=dense), grid, cv=2, error_score="raise").fit(X)
        assert search.best_estimator_.reconstruct(X).shape == X.shape
    flat = tiny(np.int64(2), input_shape=np.array([4, 16]), channel_axis="auto").fit(X.reshape(20, -1))
    assert flat.layout_.image_shape == (4, 16)


# ------------------------------------------------------------------ errors that tell what to pass


@pytest.mark.parametrize(
    ("shape", "params", "match"),
    [
        ((60,), {}, "flattened samples of 60 values, not square gray images: pass input_shape"),
        ((192,), {}, r"pass input_shape, the shape of one image, such as \(height, width\)"),
        ((5, 8, 8), {}, "may have their channels first or last: pass channel_axis=0 or channel_axis=-1"),
        ((3, 8, 3), {}, "may have their channels first or last: pass channel_axis=0 or channel_axis=-1"),
        ((45,), {"input_shape": (5, 3, 3)}, None),
        ((63,), {"input_shape": (3, 7, 3)}, "pass channel_axis=0 or channel_axis=-1"),
        ((60,), {"input_shape": (7, 9)}, r"input_shape=\(7, 9\) does not hold the 60 values"),
        ((60,), {"input_shape": 60}, "input_shape must be None or a tuple of integers, got 60"),
        ((60,), {"input_shape": (60,)}, r"input_shape is \(60,\), but an image has 2 axes, or 3 with channels"),
        ((2, 3, 4, 5), {}, "an image has 2 axes, or 3 with channels"),
        ((8, 8), {"channel_axis": 0}, "channel_axis=0 needs images with three axes"),
        ((3, 8, 8), {"channel_axis": None}, "channel_axis must be 'auto', 0 or -1 for images of shape"),
        ((3, 8, 8), {"channel_axis": "first"}, "channel_axis must be 'auto', None or an integer, got 'first'"),
        ((3, 8, 8), {"channel_axis": False}, "channel_axis must be 'auto'"),
        ((8, 8), {"module__kernel_size": 4}, "kernel_size must be odd, got 4"),
        ((8, 8), {"module__kernel": 3}, "has no parameter module__kernel. Did you mean module__kernel_size"),
    ],
)
def test_ambiguous_layout_raises_and_leaves_estimator_unfitted(shape, params, match):
    X = np.random.default_rng(0).normal(size=(6, *shape))
    ae = tiny(**params)
    before = state(ae)
    for method in ("fit", "partial_fit"):
        if match is None:  # 3 entries at the end determine the axis
            continue
        with pytest.raises((ValueError, TypeError), match=match):
            getattr(ae, method)(X)
        assert state(ae) == before
        assert not [name for name in vars(ae) if name.endswith("_")]
        with pytest.raises(NotFittedError):
            check_is_fitted(ae)
    if match is None:
        assert ae.fit(X).layout_.channel_axis == -1


def test_remedy_of_layout_error_works():
    X = np.random.default_rng(0).normal(size=(6, 5, 8, 7))
    with pytest.raises(ValueError, match="channel_axis=0 or channel_axis=-1"):
        tiny().fit(X)
    for axis, channels in ((0, 5), (-1, 7)):
        assert tiny(channel_axis=axis).fit(X).module_.input_shape[0] == channels
    with pytest.raises(ValueError, match="pass input_shape"):
        tiny().fit(X.reshape(6, -1))
    tiny(channel_axis=0, input_shape=(5, 8, 7)).fit(X.reshape(6, -1))


def test_other_shapes_raise(color):
    ae = tiny().fit(color)
    for X in (color[:, :, :5], np.moveaxis(color, -1, 1), color.reshape(120, -1), color[..., 0]):
        for method in (ae.transform, ae.reconstruct, ae.score_samples, ae.partial_fit):
            with pytest.raises(ValueError, match=r"rows of shape|is expecting 9 features"):
                method(X)
    with pytest.raises(ValueError, match="X_target must have the shape"):
        ae.fit(color, X_target=np.moveaxis(color, -1, 1))
    with pytest.raises(ValueError, match="X_val must have the shape"):
        ae.fit(color, X_val=color[:, :5])


def test_codes_of_wrong_width_raise(pictures):
    ae = tiny(3, module__dense=False).fit(pictures[:20])
    with pytest.raises(ValueError, match=r"codes with 12 columns, .* got 3") as error:
        ae.inverse_transform(np.zeros((2, 3)))
    assert "n_components=12" not in str(error.value), "n_components is 3"


def test_conv_in_transformer_hints_at_conv_autoencoder(pictures):
    with pytest.raises(ValueError, match=r"got rows of shape \(8, 8\).*ConvAutoencoder"):
        AutoencoderTransformer(2, module="conv").fit(pictures[:20])
    X = pictures[:20, None]
    ae = AutoencoderTransformer(2, module="conv", max_epochs=1, random_state=0).fit(X)
    assert ae.reconstruct(X).shape == X.shape


# ------------------------------------------------------------------ what it computes


@pytest.mark.parametrize("seed", [0, 1])
def test_validation_loss_is_at_most_that_of_pca(pictures, seed):
    X, X_val = pictures[:600], pictures[600:800]
    pca = PCA(6, svd_solver="full").fit(X.reshape(600, -1))
    flat = X_val.reshape(200, -1)
    linear = ((pca.inverse_transform(pca.transform(flat)) - flat) ** 2).sum(1).mean()
    for lr in (2e-3, 3.0):  # a learning rate that ruins the weights too
        ae = tiny(6, max_epochs=4, lr=lr, random_state=seed).fit(X, X_val=X_val)
        curve = ae.validation_loss_curve_
        assert curve[0] == pytest.approx(linear, rel=1e-3), "epoch 0 is PCA"
        assert -ae.score_samples(X_val).mean() <= linear * (1 + 1e-3)
        assert -ae.score_samples(X_val).mean() == pytest.approx(curve[ae.best_epoch_], rel=1e-3)
        assert max(curve) > 2 * linear or lr < 1


@pytest.mark.slow
@pytest.mark.parametrize("n_components", [4, 8])
def test_better_than_pca_on_test_digits(pictures, n_components):
    train, test = pictures[:1200], pictures[1200:]
    pca = PCA(n_components, svd_solver="full").fit(train.reshape(1200, -1))
    flat = test.reshape(len(test), -1)
    linear = ((pca.inverse_transform(pca.transform(flat)) - flat) ** 2).mean()
    ae = ConvAutoencoder(n_components, module__channels=(8, 16), max_epochs=30, random_state=0).fit(train)
    assert -ae.score(test) < 0.87 * linear


@pytest.mark.parametrize(("factor", "shift"), [(255.0, -7.0), (1e-6, 0.0), (1.0, 1e4)])
@pytest.mark.parametrize("dense", [True, False])
def test_scale_equivariance(pictures, factor, shift, dense):
    X = pictures[:300]
    one = tiny(3, max_epochs=5, early_stopping=False, module__dense=dense).fit(X)
    Y = factor * X + shift
    other = clone(one).fit(Y)
    np.testing.assert_allclose(other.transform(Y), one.transform(X), atol=1e-3, rtol=1e-3)
    back = (other.reconstruct(Y).astype(float) - shift) / factor
    np.testing.assert_allclose(back, one.reconstruct(X), atol=2e-2)
    assert other.score(Y) == pytest.approx(one.score(X) * factor**2, rel=2e-3)


@pytest.mark.parametrize(
    "prepare",
    [
        lambda X: (X * 15.9).astype(np.uint8),
        lambda X: (X * 2000 - 16000).astype(np.int16),
        lambda X: X / 16,
        lambda X: (X / 8 - 1).astype(np.float16),
        lambda X: X * 1e20,
    ],
    ids=["uint8", "int16", "unit", "float16", "huge"],
)
def test_reconstructions_have_range_of_x(pictures, prepare):
    X = prepare(pictures[:500])
    ae = tiny(16, max_epochs=3, random_state=0).fit(X)
    wide = X.astype(np.float64)
    for out in (ae.reconstruct(X), ae.inverse_transform(ae.transform(X))):
        assert out.mean(dtype=float) == pytest.approx(wide.mean(), abs=0.02 * wide.std())
        assert 0.85 < out.std(dtype=float) / wide.std() < 1.02
        assert ((out - wide) ** 2).mean() < 0.3 * wide.var()


def test_bernoulli_reconstructions_are_in_unit_interval(pictures):
    X = pictures[:400] / 16
    ae = tiny(6, loss="bernoulli", max_epochs=20, lr=1e-2).fit(X)
    x_hat = ae.reconstruct(X)
    assert x_hat.min() >= 0
    assert x_hat.max() <= 1
    assert ae.loss_curve_[-1] < 0.75 * ae.loss_curve_[0]
    for refused in ((X * 255).astype(np.uint8), pictures[:400]):
        with pytest.raises(ValueError, match=r"needs X in \[0, 1\]"):
            ae.fit(refused)


def test_score_samples_is_negative_squared_error(color):
    X = 30 * color + 5
    ae = tiny(3).fit(X)
    expected = -((ae.reconstruct(X) - X) ** 2).sum(axis=(1, 2, 3))
    np.testing.assert_allclose(ae.score_samples(X), expected, rtol=1e-3)
    other = X[::-1]
    expected = -((ae.reconstruct(X) - other) ** 2).sum(axis=(1, 2, 3))
    np.testing.assert_allclose(ae.score_samples(X, X_target=other), expected, rtol=1e-3)
    assert ae.score(X, X_target=other) == pytest.approx(expected.mean() / 162, rel=1e-3)


def test_scores_do_not_depend_on_other_samples(color):
    ae = tiny(3, module__normalization="batch").fit(color)
    alone = [ae.score_samples(image[None])[0] for image in color[:20]]
    assert alone == pytest.approx(ae.score_samples(color)[:20].tolist(), rel=1e-3)


def test_constant_images(color):
    X = np.full((12, 5, 6), 1234.5)
    np.testing.assert_allclose(tiny().fit(X).reconstruct(X), X, rtol=1e-4)
    spatial = tiny(module__dense=False).fit(X)
    assert np.isfinite(spatial.reconstruct(X)).all()


# ------------------------------------------------------------------ targets, noise and missing values


@pytest.mark.parametrize("layout", ["last", "first", "flat"])
@pytest.mark.slow
def test_clean_targets_have_layout_of_x(color, layout):
    arrange = {
        "last": lambda X: X,
        "first": lambda X: np.moveaxis(X, -1, 1),
        "flat": lambda X: X.reshape(len(X), -1),
    }[layout]
    params = {"input_shape": (9, 6, 3)} if layout == "flat" else {}
    clean = np.tile(color, (4, 1, 1, 1))
    noisy = arrange(clean + np.random.default_rng(0).normal(size=clean.shape))
    clean = arrange(clean)
    train, test = slice(0, 360), slice(360, None)

    def fit(**arrays):
        return tiny(40, max_epochs=30, lr=5e-3, **params).fit(noisy[train], **arrays)

    told = fit(X_target=clean[train], X_val=noisy[test], X_val_target=clean[test])
    blind = fit(X_val=noisy[test])
    assert told.score(noisy[test], X_target=clean[test]) > 0.8 * blind.score(noisy[test], X_target=clean[test])
    assert told.validation_loss_curve_[told.best_epoch_] == pytest.approx(
        -told.score_samples(noisy[test], X_target=clean[test]).mean(), rel=1e-3
    )


@pytest.mark.slow
def test_inpainting(pictures):
    train, test = pictures[:1000], pictures[1000:1300]
    damaged = np.array(test)
    damaged[:, 2:5, 2:5] = train.mean(0)[2:5, 2:5]
    params = {"n_components": 24, "max_epochs": 15, "lr": 5e-3, "module__channels": (8, 16)}
    mender = tiny(noise=BlockMasking(0.4), **params).fit(train)
    plain = tiny(**params).fit(train)

    def error(images):
        return ((images - test)[:, 2:5, 2:5] ** 2).mean()

    assert error(mender.reconstruct(damaged)) < 0.9 * error(plain.reconstruct(damaged))
    assert error(mender.reconstruct(damaged)) < 0.75 * error(damaged)


def test_missing_pixels_are_imputed_in_any_layout(color):
    rng = np.random.default_rng(0)
    X = np.array(color)
    X[rng.random(X.shape) < 0.15] = np.nan
    first = np.ascontiguousarray(np.moveaxis(X, -1, 1))
    ways = {
        "last": (X, {}),
        "first": (first, {}),
        "flat": (X.reshape(120, -1), {"input_shape": (9, 6, 3)}),
    }
    codes = []
    for rows, params in ways.values():
        ae = tiny(8, missing="mask", noise="masking_noise", max_epochs=15, lr=5e-3, **params).fit(rows)
        codes.append(ae.transform(rows))
        filled = ae.reconstruct(rows, keep_observed=True)
        known = ~np.isnan(rows)
        np.testing.assert_array_equal(filled[known], rows[known])
        np.testing.assert_array_equal(filled[~known], ae.reconstruct(rows)[~known].astype(filled.dtype))
        truth = color if rows is X else np.moveaxis(color, -1, 1) if rows is first else color.reshape(120, -1)
        by_mean = np.where(known, rows, np.nanmean(rows, axis=0))
        assert ((filled - truth) ** 2).sum() < 0.6 * ((by_mean - truth) ** 2).sum()
        errors = np.where(known, (ae.reconstruct(rows) - np.nan_to_num(rows)) ** 2, 0)
        np.testing.assert_allclose(ae.score_samples(rows), -errors.reshape(120, -1).sum(1), rtol=1e-3, atol=1e-3)
        assert ae.score(rows) == pytest.approx(-errors.sum() / known.sum(), rel=1e-3)
    np.testing.assert_allclose(codes[1], codes[0], atol=1e-4)
    np.testing.assert_allclose(codes[2], codes[0], atol=1e-4)
    with pytest.raises(ValueError, match="NaN"):
        tiny().fit(X)


def test_missing_pixels_empty_image_and_empty_pixel(color):
    X = np.array(color)
    X[:, 3, 3] = np.nan
    X[7] = np.nan
    for dense in (True, False):
        with pytest.warns(UserWarning, match=r"no observed values for 3 of the 162 values of a sample, .* \[3, 3, 0\]"):
            ae = tiny(3, missing="mask", module__dense=dense).fit(X)
        assert (ae.reconstruct(X)[:, 3, 3] == 0).all(), "as the warning says"
        for out in (ae.transform(X), ae.reconstruct(X), np.array(ae.loss_curve_)):
            assert np.isfinite(out).all()
        assert np.flatnonzero(np.isnan(ae.score_samples(X))) == [7], "without a known value there is no score"


# ------------------------------------------------------------------ the spatial code


@pytest.mark.parametrize(("shape", "params"), [((9, 6, 3), {}), ((7, 5), {}), ((2, 5, 7), {"channel_axis": 0})])
@pytest.mark.parametrize("decoder", ["mirror", "dense"])
def test_spatial_code_is_flattened_and_restored(shape, params, decoder):
    X = np.random.default_rng(0).normal(size=(25, *shape))
    ae = tiny(4, module__dense=False, module__decoder=decoder, early_stopping=False, **params).fit(X)
    side = [shape[:2], shape, shape[1:]][[(9, 6, 3), (7, 5), (2, 5, 7)].index(shape)]
    n_codes = 4 * -(-side[0] // 4) * -(-side[1] // 4)
    Z = ae.transform(X)
    assert Z.shape == (25, n_codes)
    names = ae.get_feature_names_out()
    assert names.tolist() == [f"convautoencoder{i}" for i in range(n_codes)]
    np.testing.assert_allclose(ae.inverse_transform(Z), ae.reconstruct(X), atol=1e-4)
    ae.set_output(transform="pandas")
    frame = ae.transform(X)
    assert list(frame.columns) == list(names)
    np.testing.assert_array_equal(ae.inverse_transform(frame), ae.inverse_transform(Z))
    assert ae.reconstruct(X).shape == X.shape


def test_spatial_code_is_local():
    ae = tiny(3, module__dense=False, max_epochs=1).fit(np.random.default_rng(0).normal(size=(20, 16, 16)))
    quiet = np.zeros((1, 16, 16))
    loud = quiet.copy()
    loud[0, 13:, 13:] = 5
    changed = np.abs(ae.transform(loud) - ae.transform(quiet)).reshape(3, 4, 4).max(0) > 1e-6
    assert changed[3, 3]
    assert not changed[:2, :].any()
    assert not changed[:, :2].any()


@pytest.mark.slow
def test_spatial_code_with_parts_and_prior(pictures):
    X = pictures[:200]
    params = {"module__dense": False, "max_epochs": 30, "lr": 3e-2, "prior": GaussianMixture(2, reg_covar=1e-3)}
    for bottleneck in ("identity", "sparse", "k_sparse"):
        ae = tiny(3, bottleneck=bottleneck, **params).fit(X)
        assert ae.loss_curve_[-1] < 0.7 * ae.loss_curve_[0]
        assert ae.sample(4, random_state=0).shape == (4, 8, 8)


class Doubled(Bottleneck):
    """The code is the mean of the encoder's two halves."""

    def n_outputs(self, n_components):
        return 2 * n_components

    def forward(self, h):
        code = self.code(h)
        return Latent(code, code.new_zeros(len(code)))

    def code(self, h):
        return h.unflatten(1, (2, -1)).mean(1)


@pytest.mark.parametrize("dense", [True, False])
def test_encoder_wider_than_code(pictures, dense):
    X = pictures[:100]
    ae = tiny(3, bottleneck=Doubled, module__dense=dense, max_epochs=30, lr=3e-2, early_stopping=False).fit(X)
    n_codes = 3 if dense else 12
    assert ae.transform(X).shape == (100, n_codes)
    assert len(ae.get_feature_names_out()) == n_codes
    assert ae.loss_curve_[-1] < 0.9 * ae.loss_curve_[0]


# ------------------------------------------------------------------ in company


@pytest.mark.slow
def test_grid_search_in_a_pipeline(pictures):
    X, y = pictures[:240].reshape(240, -1), load_digits().target[:240]
    pipe = Pipeline([("scale", StandardScaler()), ("ae", tiny()), ("classify", LogisticRegression(max_iter=1000))])
    grid = {"ae__n_components": [1, 12], "ae__noise": [None, GaussianNoise(0.1), "block_masking"]}
    search = GridSearchCV(pipe, grid, cv=2, error_score="raise").fit(X, y)
    assert search.best_params_["ae__n_components"] == 12
    assert search.best_score_ > 0.6
    shaped = GridSearchCV(tiny(), {"n_components": [1, 12], "module__dense": [True, False]}, cv=2, error_score="raise")
    assert shaped.fit(pictures[:100]).cv_results_["mean_test_score"].shape == (4,)


def test_sampled_images_have_layout_of_x(color):
    params = {"prior": GaussianMixture(1), "max_epochs": 0}
    last = tiny(6, **params).fit(color).sample(400, random_state=0)
    assert last.shape == (400, 9, 6, 3)
    np.testing.assert_allclose(last.mean(0), color.mean(0), atol=0.25)
    first = tiny(6, **params).fit(np.moveaxis(color, -1, 1)).sample(400, random_state=0)
    np.testing.assert_allclose(np.moveaxis(first, 1, -1), last, atol=1e-3)
    flat = tiny(6, input_shape=(9, 6, 3), **params).fit(color.reshape(120, -1)).sample(400, random_state=0)
    np.testing.assert_allclose(flat, last.reshape(400, -1), atol=1e-3)
    assert color.mean(0).std() > 0.5, "another order of the images would be detected"


# ------------------------------------------------------------------ going on


@pytest.mark.parametrize(
    ("before", "after", "change", "match"),
    [
        ({"channel_axis": -1}, {"channel_axis": 0}, lambda X: X, "in the same layout"),
        ({}, {}, lambda X: np.moveaxis(X, -1, 1), "(rows|samples) of shape"),
        ({}, {"input_shape": (9, 6, 3)}, lambda X: X.reshape(len(X), -1), "(rows|samples) of shape"),
        ({}, {"channel_axis": None}, lambda X: X, "channel_axis must be 'auto', 0 or -1"),
    ],
)
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_warm_start_with_another_layout_raises(color, before, after, change, match, method):
    ae = tiny(warm_start=method == "fit", **before).fit(color)
    codes = ae.transform(color)
    ae.set_params(**after)
    found = state(ae)
    match = match if method == "fit" else f"{match}|is expecting"
    with pytest.raises(ValueError, match=match):
        getattr(ae, method)(change(color))
    assert state(ae) == found
    np.testing.assert_array_equal(ae.transform(color), codes)
    getattr(ae.set_params(input_shape=None, channel_axis=-1), method)(color)  # the same by another name


def test_warm_start_with_another_input_shape_raises(color):
    flat = color.reshape(120, -1)
    ae = tiny(input_shape=(9, 6, 3), warm_start=True).fit(flat)
    codes = ae.transform(flat)
    ae.set_params(input_shape=(6, 9, 3))
    for method in (ae.fit, ae.partial_fit):
        with pytest.raises(ValueError, match="in the same layout"):
            method(flat)
    np.testing.assert_array_equal(ae.transform(flat), codes)
    ae.set_params(warm_start=False).fit(flat)
    assert ae.layout_.image_shape == (6, 9, 3)


def test_set_params_takes_effect_in_fit(color):
    ae = tiny().fit(color)
    x_hat = ae.reconstruct(color)
    ae.set_params(channel_axis=0, input_shape=(3, 9, 6))
    np.testing.assert_array_equal(ae.reconstruct(color), x_hat)


def test_refit_may_change_the_layout(color):
    ae = tiny()
    for X in (color, np.moveaxis(color, -1, 1), color[..., 0], color[:, :5]):
        assert ae.fit(X).reconstruct(X).shape == X.shape


# ------------------------------------------------------------------ networks


def test_custom_network_gets_channels_first(color):
    seen = []

    class Own(nn.Module):
        def __init__(self, input_shape, n_components):
            super().__init__()
            seen.append(input_shape)
            self.shape, size = input_shape, int(np.prod(input_shape))
            self.down, self.up = nn.Linear(size, n_components), nn.Linear(n_components, size)

        def encode(self, x):
            return self.down(x.flatten(1))

        def decode(self, z):
            return self.up(z).unflatten(1, self.shape)

    for module in (Own, MLP, "mlp"):
        assert tiny(module=module).fit(color).reconstruct(color).shape == color.shape
    assert seen == [(3, 9, 6)]


@pytest.mark.parametrize(
    "params",
    [
        {"downsampling": "max_pool"},
        {"downsampling": "avg_pool", "upsampling": "resize"},
        {"downsampling": None},
        {"normalization": "batch", "n_residual_blocks": 1},
        {"normalization": "group", "kernel_size": 5},
        {"activation": "relu", "decoder": "dense"},
        {"dense": False, "normalization": "batch"},
        {"hidden_layer_sizes": (16,), "linear_skip": True},
    ],
    ids=str,
)
@pytest.mark.slow
def test_all_options_train(pictures, params):
    params = {f"module__{name}": value for name, value in ({"linear_skip": False} | params).items()}
    ae = tiny(8, max_epochs=30, lr=1e-2, early_stopping=False, batch_size=32, **params).fit(pictures[:200])
    share = 0.95 if params["module__linear_skip"] else 0.7  # PCA leaves less to learn
    assert ae.loss_curve_[-1] < share * ae.loss_curve_[0]
    assert np.isfinite(ae.reconstruct(pictures)).all()


def big_digits(n=256):
    """Digits of MNIST's size, 28 × 28 in [0, 1], as flat rows."""
    return np.kron(load_digits().images[:n], np.ones((4, 4)))[:, 2:-2, 2:-2].reshape(n, 784) / 16


@pytest.mark.parametrize("n_components", [32, 128])
@pytest.mark.parametrize("loss", ["bernoulli", "squared_error"])
def test_published_dense_architectures(n_components, loss):
    X = big_digits()
    dense = {"module__hidden_layer_sizes": (), "module__linear_skip": False}
    training = {"max_epochs": 16, "lr": 5e-3, "random_state": 0, "batch_size": 64}
    table = AutoencoderTransformer(n_components, loss=loss, **dense, **training)
    picture = ConvAutoencoder(n_components, module="mlp", loss=loss, **dense, **training)
    for ae in (table, picture):
        ae.fit(X)
        weights = [tuple(p.shape) for p in ae.module_.network.parameters() if p.ndim > 1]
        assert weights == [(n_components, 784), (784, n_components)]
        assert ae.loss_curve_[-1] < 0.75 * ae.loss_curve_[0]
        assert ae.inverse_transform(ae.transform(X)).shape == X.shape


@pytest.mark.slow
@pytest.mark.parametrize("dense", [True, False])
def test_published_architecture_with_pooling(dense):
    rng = np.random.default_rng(0)
    u = np.linspace(0, 1, 64)
    X = np.stack([np.sin(a * u[:, None] + b * u)[..., None] * c for a, b, *c in rng.uniform(1, 6, size=(8, 5))])
    ae = ConvAutoencoder(
        16,
        module__channels=(64, 128, 256, 512),
        module__downsampling="max_pool",
        module__upsampling="transpose",
        module__activation="relu",
        module__hidden_layer_sizes=(),
        module__dense=dense,
        module__linear_skip=False,
        batch_size=4,
        max_epochs=12,
        lr=3e-4,
        lr_schedule=None,
        early_stopping=False,
        random_state=0,
    ).fit(X)
    network = ae.module_.network
    down = [m.out_channels for m in network.encoder if isinstance(m, nn.Conv2d)][:4]
    up = [(m.in_channels, m.out_channels) for m in network.decoder if isinstance(m, nn.ConvTranspose2d)]
    assert down == [64, 128, 256, 512]
    assert up == [(512, 256), (256, 128), (128, 64), (64, 3)]
    assert sum(isinstance(m, nn.MaxPool2d) for m in network.encoder) == 4
    assert ae.transform(X).shape == (8, 16 if dense else 16 * 4 * 4)
    assert ae.loss_curve_[-1] < 0.85 * ae.loss_curve_[0]
    assert ae.reconstruct(X).shape == X.shape


@pytest.mark.parametrize("downsampling", [None, "stride", "max_pool"])
@pytest.mark.slow
def test_published_architecture_with_dense_decoder(downsampling):
    X = big_digits(128)
    ae = ConvAutoencoder(
        32,
        module__channels=(64,),
        module__downsampling=downsampling,
        module__hidden_layer_sizes=(),
        module__decoder="dense",
        module__linear_skip=False,
        batch_size=32,
        max_epochs=16,
        lr=5e-3,
        random_state=0,
    ).fit(X)
    n_positions = 784 if downsampling is None else 196
    weights = [tuple(p.shape) for p in ae.module_.network.parameters() if p.ndim > 1]
    assert weights == [(64, 1, 3, 3), (32, 64 * n_positions), (784, 32)]
    assert ae.loss_curve_[-1] < 0.75 * ae.loss_curve_[0]
    assert ae.reconstruct(X).shape == X.shape


def test_device(color, device):
    ae = tiny(3, device=device, max_epochs=4, module__normalization="batch")
    Z = ae.fit_transform(color)
    assert next(ae.module_.parameters()).device.type == torch.device(device).type
    assert ae.score(color) > -color.var()
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(ae)).transform(color), Z)


# ------------------------------------------------------------------ documentation

OWN = {"n_components", "module"}
OF_IMAGES = {"input_shape", "crop_size", "n_crops", "augmentation", "critic", "pooling"}


def documented(cls, section):
    return {p.name: (p.type, p.desc) for p in NumpyDocString(inspect.cleandoc(cls.__doc__))[section]}


def test_shared_parameters_have_equal_documentation():
    ours, theirs = (documented(cls, "Parameters") for cls in (ConvAutoencoder, AutoencoderTransformer))
    shared = [name for name in theirs if name not in {*OWN, "channel_axis"}]
    assert len(shared) >= 20
    assert "**params" in shared
    assert [name for name in ours if name not in {*OWN, *OF_IMAGES, "channel_axis"}] == shared
    for name in shared:
        kind, text = ours[name]
        assert (kind, " ".join(text).replace("``critic__*``, ", "")) == (theirs[name][0], " ".join(theirs[name][1])), (
            name
        )


def test_shared_attributes_have_equal_documentation():
    ours, theirs = (documented(cls, "Attributes") for cls in (ConvAutoencoder, AutoencoderTransformer))
    assert set(ours) - set(theirs) == {"critic_curve_", "target_layout_"}
    assert set(theirs) <= set(ours)
    for name in set(theirs) - {"input_shape_", "layout_"}:
        assert ours[name] == theirs[name], name


def test_shared_parameters_have_equal_defaults():
    ours, theirs = (inspect.signature(cls).parameters for cls in (ConvAutoencoder, AutoencoderTransformer))
    assert set(ours) - set(theirs) == OF_IMAGES
    for name in set(theirs) - OWN:
        assert ours[name].default == theirs[name].default, name
        assert ours[name].kind == theirs[name].kind, name
    assert [name.lstrip("*") for name in documented(ConvAutoencoder, "Parameters")] == list(ours)
    for name, (kind, _) in documented(ConvAutoencoder, "Parameters").items():
        if "default=" in kind:
            told = kind.split("default=")[1]
            default = ours[name].default
            assert told == repr(default) or float(told) == default, name
