"""``missing="mask"``: NaN in X in all methods of the estimator."""

from itertools import cycle

import numpy as np
import pandas as pd
import pytest
import torch
from parts import WholeRow
from sklearn.impute import SimpleImputer
from sklearn.model_selection import GridSearchCV
from sklearn.utils import get_tags

from skae import AutoencoderTransformer, ConvAutoencoder
from skae.noise import BlockMasking, Compose, GaussianNoise, MaskingNoise, Noise, SaltAndPepper

NOISES = [
    None,
    "gaussian_noise",
    "masking_noise",
    "block_masking",
    SaltAndPepper(0.5),
    Compose(SaltAndPepper(0.2), BlockMasking(0.4)),
]
LOSSES = ["squared_error", "absolute_error", "huber", "bernoulli"]
each_loss_and_noise = pytest.mark.parametrize(("loss", "noise"), [*zip(cycle(LOSSES), NOISES, strict=False)], ids=str)


def small(n_components=2, **params):
    """An estimator that trains in a fraction of a second, and keeps what it has learnt."""
    defaults = {"max_epochs": 4, "early_stopping": False, "missing": "mask", "random_state": 0}
    return AutoencoderTransformer(n_components, **defaults | {"module__hidden_layer_sizes": (16,)} | params)


def with_holes(X, share=0.3, seed=0):
    hit = np.random.default_rng(seed).random(X.shape) < share
    return np.where(hit, np.nan, X)


@pytest.fixture(scope="module")
def holed(blobs):
    X = with_holes(blobs)
    X.flags.writeable = False
    return X


@pytest.fixture(scope="module")
def unit(blobs):
    """`blobs` in [0, 1]."""
    return (blobs - blobs.min()) / (blobs.max() - blobs.min())


# ------------------------------------------------------------------ what it computes


@each_loss_and_noise
def test_mask_option_without_missing_values(unit, loss, noise):
    fits = [small(loss=loss, noise=noise, missing=missing).fit(unit) for missing in ("mask", "error")]
    np.testing.assert_allclose(*(ae.loss_curve_ for ae in fits), rtol=1e-5)
    for method in ("transform", "reconstruct", "score_samples", "score"):
        np.testing.assert_allclose(*(getattr(ae, method)(unit) for ae in fits), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("early_stopping", [True, False])
def test_mask_option_with_weights_and_x_val(digits, early_stopping):
    X, val = digits[:1500] / 3, digits[1500:] / 3
    weight = np.random.default_rng(0).uniform(0.5, 2, size=1500)
    fits = [
        small(noise=MaskingNoise(0.3), missing=missing, early_stopping=early_stopping)
        .fit(X, X_val=val, sample_weight=weight)
        .transform(X)
        for missing in ("mask", "error")
    ]
    np.testing.assert_array_equal(*fits)


@each_loss_and_noise
def test_losses_and_noises_with_missing_values(unit, loss, noise):
    X = with_holes(unit)
    X[3] = np.nan
    ae = small(loss=loss, noise=noise, early_stopping="auto").fit(X, sample_weight=np.linspace(0.1, 2, 60))
    assert np.isfinite(ae.loss_curve_ + ae.validation_loss_curve_).all()
    for found in (ae.transform(X), ae.reconstruct(X), np.delete(ae.score_samples(X), 3), ae.score(X)):
        assert np.isfinite(found).all()
    assert np.isnan(ae.score_samples(X)[3])


def test_scores_use_known_values(holed):
    ae = small().fit(holed)
    error = np.square(ae.reconstruct(holed).astype(float) - holed)
    assert ae.score(holed) == pytest.approx(-np.nanmean(error), rel=1e-4)
    np.testing.assert_allclose(ae.score_samples(holed), -np.nansum(error, axis=1), rtol=1e-3, atol=1e-6)
    weight = np.random.default_rng(1).random(60)
    expected = -(weight @ np.nansum(error, axis=1)) / (weight @ (~np.isnan(holed)).sum(1))
    assert ae.score(holed, sample_weight=weight) == pytest.approx(expected, rel=1e-4)


def test_scores_use_known_targets(blobs, holed):
    ae = small().fit(holed)
    hidden = np.where(np.isnan(holed), blobs, np.nan)
    expected = np.nanmean(np.square(ae.reconstruct(holed).astype(float) - hidden))
    assert ae.score(holed, X_target=hidden) == pytest.approx(-expected, rel=1e-4)


def test_score_without_known_values_raises(holed):
    ae = small().fit(holed)
    nothing = np.full((3, 6), np.nan)
    assert np.isfinite(ae.reconstruct(nothing)).all()
    assert np.isnan(ae.score_samples(nothing)).all(), "they are not the most normal rows"
    for call in (
        lambda: ae.score(nothing),
        lambda: ae.score(np.vstack([holed, nothing]), sample_weight=np.repeat([0.0, 1.0], [60, 3])),
    ):
        with pytest.raises(ValueError, match=r"NaN|known"):
            call()


def test_initialization_is_pca_of_mean_imputed(holed):
    ae = small(max_epochs=0).fit(holed)
    filled = SimpleImputer().fit_transform(holed)
    np.testing.assert_allclose(ae.transform(holed), ae.transform(filled), atol=1e-5)
    centered = filled - filled.mean(0)
    _, _, axes = np.linalg.svd(centered, full_matrices=False)
    expected = centered @ axes[:2].T @ axes[:2] + filled.mean(0)
    np.testing.assert_allclose(ae.reconstruct(holed), expected, atol=1e-4)


def test_all_missing_samples_do_not_change_mean_and_scale(holed):
    X = np.vstack([holed, np.full((5, 6), np.nan)])
    with_them, without = small().fit(X), small().fit(holed)
    for name in ("mean", "scale"):
        assert getattr(with_them.module_, name) == pytest.approx(getattr(without.module_, name), rel=1e-12)
    assert torch.allclose(with_them.module_.baseline, without.module_.baseline, atol=1e-6)


def test_nan_sign_and_payload_do_not_matter(holed):
    other = holed.copy()
    bits = other.view(np.uint64)
    bits[np.isnan(holed)] = np.resize([0xFFF8000000000000, 0x7FF8000000001234], np.isnan(holed).sum())
    np.testing.assert_array_equal(small().fit_transform(holed), small().fit_transform(other))


def test_feature_without_target_gets_no_gradient(blobs):
    target = blobs.copy()
    target[:, 1] = np.nan
    last = small(6, max_epochs=30, lr=1e-2).fit(blobs, X_target=target).module_.network.decoder[-1]
    assert (last.weight[1] == 0).all(), "it starts there"
    assert (last.weight[[0, 2, 3, 4, 5]] != 0).any(dim=1).all()


def test_nan_in_target_or_in_x_only(blobs, holed):
    target_alone = small(4, max_epochs=60, lr=1e-2).fit(blobs, X_target=holed)
    x_alone = small(4, max_epochs=60, lr=1e-2).fit(holed, X_target=blobs)
    known = small(4, max_epochs=60, lr=1e-2).fit(holed)
    assert -target_alone.score(blobs) < 0.1 * blobs.var()

    def error(ae):
        return -ae.score(holed, X_target=np.where(np.isnan(holed), blobs, np.nan))

    assert error(x_alone) < 0.8 * error(known), "clean targets teach to fill"


def test_nan_in_x_val(blobs, holed):
    ae = small(early_stopping=True).fit(blobs, X_val=holed)
    start = small(max_epochs=0).fit(blobs)
    assert ae.validation_loss_curve_[0] == pytest.approx(-start.score_samples(holed).mean(), rel=1e-4)
    pair = small(early_stopping=True).fit(blobs, X_target=blobs, X_val=holed, X_val_target=blobs)
    expected = -start.score_samples(holed, X_target=blobs).mean()
    assert pair.validation_loss_curve_[0] == pytest.approx(expected, rel=1e-4)


def test_weights_without_known_values_raise(blobs, unchanged):
    X = np.full((20, 6), np.nan)
    X[0] = blobs[0]
    ae = small()
    weight = np.ones(20)
    weight[0] = 0
    unchanged(ae, lambda: ae.fit(X, sample_weight=weight), ValueError, "at least one value that is not NaN")


@pytest.mark.parametrize("name", ["X_target", "X_val"])
def test_all_missing_targets_and_x_val_raise(blobs, name, unchanged):
    ae = small(early_stopping="auto")
    nothing = {name: np.full(blobs.shape, np.nan)}
    unchanged(ae, lambda: ae.fit(blobs, **nothing), ValueError, f"{name} must have at least one value")


def test_zero_weight_samples_with_nan_are_ignored(holed):
    X = np.vstack([holed, with_holes(np.full((10, 6), 1e3))])
    weight = np.repeat([1.0, 0.0], [60, 10])
    with_them = small().fit(X, sample_weight=weight)
    without = small().fit(holed, sample_weight=np.ones(60))
    np.testing.assert_array_equal(with_them.transform(holed), without.transform(holed))


# ------------------------------------------------------------------ filling holes


def test_imputation_beats_means(digits):
    train, test = with_holes(digits[:1300], seed=1), with_holes(digits[1300:], seed=2)
    holes = np.isnan(test)
    ae = AutoencoderTransformer(
        32, missing="mask", noise=MaskingNoise(0.3), max_epochs=25, random_state=0, module__hidden_layer_sizes=(128,)
    ).fit(train)
    filled = ae.reconstruct(test, keep_observed=True)
    means = SimpleImputer().fit(train).transform(test)
    truth = digits[1300:]
    assert np.square(filled - truth)[holes].mean() < 0.6 * np.square(means - truth)[holes].mean()
    np.testing.assert_array_equal(filled[~holes], test[~holes])


@pytest.mark.slow
def test_image_imputation_beats_means(digits):
    images = digits.reshape(-1, 8, 8)
    holed = images.copy()
    rows, columns = np.random.default_rng(0).integers(6, size=(2, len(images)))
    for image, i, j in zip(holed, rows, columns, strict=True):
        image[i : i + 3, j : j + 3] = np.nan
    train, test, truth = holed[:1300], holed[1300:], images[1300:]
    ae = ConvAutoencoder(16, missing="mask", noise=BlockMasking(0.4), max_epochs=25, random_state=0).fit(train)
    filled, holes = ae.reconstruct(test, keep_observed=True), np.isnan(test)
    means = np.where(holes, np.nanmean(train, axis=0), test)
    assert np.square(filled - truth).sum() < 0.6 * np.square(means - truth).sum()
    np.testing.assert_array_equal(filled[~holes], truth[~holes])


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", ">f4", ">f8", "g"])
def test_known_values_and_dtype_are_kept(blobs, dtype):
    X = with_holes(blobs).astype(dtype)
    known = ~np.isnan(X)
    X[0, 0], X[1, 0] = -0.0, np.finfo("f2").smallest_subnormal
    filled = small().fit(X).reconstruct(X, keep_observed=True)
    assert filled.dtype == X.dtype
    assert filled[known].tobytes() == X[known].tobytes()
    assert np.isfinite(filled).all()


@pytest.mark.parametrize("dtype", ["i1", "u1", "i4", "i8", "u8", "?"])
def test_integers_have_no_missing_values(dtype):
    X = np.random.default_rng(0).integers(0, 100, size=(30, 4)).astype(dtype)
    if X.dtype.itemsize == 8:
        X[0, 0] = 2**53 + 1
    filled = small().fit(X).reconstruct(X, keep_observed=True)
    assert filled.dtype == X.dtype
    np.testing.assert_array_equal(filled, X)


def test_keep_observed_requires_mask_in_fit(blobs, holed):
    ae = small(missing="error").fit(blobs)
    ae.set_params(missing="mask")
    with pytest.raises(ValueError, match="keep_observed=True needs an estimator that was fitted with missing='mask'"):
        ae.reconstruct(blobs, keep_observed=True)
    with pytest.raises(ValueError, match="keep_observed must be one of"):
        small().fit(holed).reconstruct(holed, keep_observed="yes")


# ------------------------------------------------------------------ what is refused


def test_nan_raises_without_mask(blobs, holed, unchanged):
    ae = small(missing="error")
    for fitted in (False, True):
        if fitted:
            ae.fit(blobs)
        unchanged(ae, lambda: ae.fit(holed), ValueError, "Input X contains NaN")
        unchanged(ae, lambda: ae.partial_fit(holed), ValueError, "Input X contains NaN")
        unchanged(ae, lambda: ae.fit(blobs, X_target=holed), ValueError, "Input X_target contains NaN")
        unchanged(ae, lambda: ae.fit(blobs, X_val=holed), ValueError, "Input X_val contains NaN")
        unchanged(
            ae,
            lambda: ae.fit(blobs, X_target=blobs, X_val=blobs, X_val_target=holed),
            ValueError,
            "Input X_val_target contains NaN",
        )
    for method in ("transform", "reconstruct", "score", "score_samples"):
        unchanged(ae, lambda method=method: getattr(ae, method)(holed), ValueError, "Input X contains NaN")
    for method in ("score", "score_samples"):
        unchanged(
            ae,
            lambda method=method: getattr(ae, method)(blobs, X_target=holed),
            ValueError,
            "Input X_target contains NaN",
        )


def test_bernoulli_checks_domain_of_known_values(unit):
    X = with_holes(unit)
    ae = small(loss="bernoulli").fit(X)
    assert 0 < ae.reconstruct(X).min() < ae.reconstruct(X).max() < 1
    with pytest.raises(ValueError, match=r"needs X in \[0, 1\]"):
        ae.fit(2 * X)
    clipped = np.clip(ae.reconstruct(X).astype(float), 1e-7, 1 - 1e-7)
    expected = np.nansum(X * np.log(clipped) + (1 - X) * np.log(1 - clipped), axis=1)
    np.testing.assert_allclose(ae.score_samples(X), expected, rtol=1e-3)


@pytest.mark.parametrize("value", ["drop", None, True, np.nan, "MASK"])
def test_invalid_missing_raises(blobs, value, unchanged):
    ae = small(missing=value)
    unchanged(ae, lambda: ae.fit(blobs), ValueError, "missing must be one of 'error', 'mask'")


def test_custom_loss_without_observed_raises_with_mask(blobs, unchanged):
    ae = small(loss=WholeRow())
    unchanged(ae, lambda: ae.fit(blobs), TypeError, r"loss=WholeRow does not support missing values")
    ae.set_params(missing="error").fit(blobs)
    expected = -np.linalg.norm(ae.reconstruct(blobs) - blobs, axis=1) / ae.module_.scale
    np.testing.assert_allclose(ae.score_samples(blobs), expected, rtol=1e-3)
    ae.set_params(missing="mask")
    unchanged(ae, lambda: ae.fit(blobs), TypeError, "loss=WholeRow does not support missing values")


class Wobble(Noise):
    """A user's own noise whose size is read off the batch."""

    def corrupt(self, x):
        return x + 0.01 * x.std() * torch.randn_like(x)


def test_custom_noise_across_samples_sees_no_nan(holed):
    ae = small(noise=Wobble(), max_epochs=100, lr=1e-2).fit(holed)
    quiet = small(max_epochs=100, lr=1e-2).fit(holed)
    assert -ae.score(holed) < 1.5 * -quiet.score(holed), "a little noise does little"


# ------------------------------------------------------------------ in company


def test_tags_follow_missing():
    assert get_tags(small()).input_tags.allow_nan
    assert not get_tags(small(missing="error")).input_tags.allow_nan
    assert get_tags(ConvAutoencoder(missing="mask")).input_tags.allow_nan
    assert get_tags(small().set_params(missing="error")).input_tags.allow_nan is False


def test_missing_set_after_fit_takes_effect_in_fit(blobs, holed, unchanged):
    ae = small(missing="error").fit(blobs).set_params(missing="mask")
    unchanged(ae, lambda: ae.transform(holed), ValueError, "Input X contains NaN")
    assert np.isfinite(ae.fit(holed).transform(holed)).all()
    ae.set_params(missing="error")
    assert np.isfinite(ae.transform(holed)).all()
    unchanged(ae, lambda: ae.fit(holed), ValueError, "Input X contains NaN")


@pytest.mark.parametrize("way", ["warm_start", "partial_fit"])
def test_continued_training_with_mask(blobs, holed, way):
    ae = small(missing="error", warm_start=True).fit(blobs)
    before = ae.transform(blobs)
    mean = ae.module_.mean.clone()
    ae.set_params(missing="mask")
    (ae.fit if way == "warm_start" else ae.partial_fit)(holed)
    assert torch.equal(ae.module_.mean, mean), "the means stay those of the first fit"
    np.testing.assert_allclose(mean.numpy(), blobs.mean(0), rtol=1e-12)
    assert torch.equal(ae.module_.baseline, torch.zeros(blobs.shape[1])), "where missing values enter the network"
    assert np.isfinite(ae.transform(holed)).all()
    assert not np.array_equal(ae.transform(blobs), before)


@pytest.mark.slow
def test_partial_fit_with_mask(holed):
    ae, first = small(lr=1e-2), small(lr=1e-2).partial_fit(holed)
    for _ in range(100):
        ae.partial_fit(holed)
    assert -ae.score(holed) < 0.6 * -first.score(holed)
    ae.partial_fit(np.full((1, 6), np.nan))
    assert np.isfinite(ae.transform(holed)).all()


def test_nullable_integers_and_booleans():
    n = 40
    frame = pd.DataFrame(
        {
            "a": pd.array([1, None, 3, 4] * (n // 4), "Int64"),
            "b": pd.array([True, False, None, True] * (n // 4), "boolean"),
            "c": np.arange(n, dtype=float),
        }
    )
    filled = small().fit(frame).reconstruct(frame, keep_observed=True)
    expected = frame.astype(float).to_numpy()
    assert not np.isnan(filled).any()
    np.testing.assert_array_equal(filled[~np.isnan(expected)], expected[~np.isnan(expected)])


def test_search_over_missing_and_noise(holed):
    grid = {"noise": [None, MaskingNoise(0.3), GaussianNoise()], "n_components": [1, 3]}
    search = GridSearchCV(small(max_epochs=2), grid, cv=3, error_score="raise").fit(holed)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert search.best_params_["n_components"] == 3


def test_device(digits, device):
    X = with_holes(digits[:400])
    ae = small(8, noise=Compose(SaltAndPepper(0.1), BlockMasking(0.3)), device=device).fit(X)
    assert np.isfinite(ae.reconstruct(X, keep_observed=True)).all()
    assert ae.module_.baseline.device.type == torch.device(device).type
