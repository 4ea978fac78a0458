"""Sequences of different lengths in all methods of the estimator."""

import functools
import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from skae import AutoencoderTransformer, Reconstructor
from skae.losses import Loss
from skae.nn import GRU, TCN
from skae.noise import MaskingNoise

SIZES = {"gru": {"module__hidden_size": 12}, "tcn": {"module__channels": 12}}
both = pytest.mark.parametrize("module", ["gru", "tcn"])


def small(module="gru", n_components=3, **params):
    sizes = SIZES[module] if isinstance(module, str) else {}
    defaults = {"module": module, "max_epochs": 3, "batch_size": 32, "random_state": 0}
    return AutoencoderTransformer(n_components, **defaults | sizes | params)


def made(n=60, length=12, channels=2, shortest=3, seed=0, padded=True):
    """Waves of a random height and phase, which end at random lengths."""
    rng = np.random.default_rng(seed)
    height, phase = rng.uniform(0.5, 2, size=(2, n, 1, 1))
    t = np.arange(length)[:, None] + np.arange(channels)
    X = 5 + 3 * height * np.sin(0.5 * t + 3 * phase)
    lengths = rng.integers(shortest, length + 1, size=n)
    lengths[0] = length
    if padded:
        X[np.arange(length) >= lengths[:, None]] = np.nan
    return X, lengths


def padding(X, n_steps):
    """``X`` with so many steps of NaN more."""
    return np.concatenate([X, np.full((len(X), n_steps, *X.shape[2:]), np.nan)], axis=1)


def close(a, b):
    np.testing.assert_allclose(a, b, atol=1e-5, rtol=0)


@pytest.fixture(scope="module", params=["gru", "tcn"])
def trained(request):
    """An estimator with weights that were trained, without stopping early."""
    return small(request.param, max_epochs=40, lr=1e-2, early_stopping=False).fit(made()[0])


# ------------------------------------------------------------------ padding


@given(seed=st.integers(0, 1000), more=st.integers(0, 15))
@settings(max_examples=10)
def test_results_do_not_depend_on_amount_of_padding(trained, seed, more):
    X, lengths = made(8, seed=seed)
    Z, X_hat = trained.transform(X), trained.reconstruct(X)
    assert Z.std(axis=0).max() > 0.1, "codes differ"
    close(trained.transform(padding(X, more)), Z)
    np.testing.assert_allclose(trained.reconstruct(padding(X, more)), padding(X_hat, more), atol=1e-4)
    for row, length, code in zip(X, lengths, Z, strict=True):
        close(trained.transform(row[None, :length]), code[None])


def test_codes_do_not_depend_on_other_samples(trained):
    X, _ = made(20, seed=3)
    Z = trained.transform(X)
    close(trained.transform(X[::-1])[::-1], Z)
    close(np.vstack([trained.transform(row[None]) for row in X]), Z)


def test_codes_depend_on_all_steps(trained):
    X, _ = made(10, padded=False)
    longer, shorter = trained.transform(X), trained.transform(X[:, :6])
    assert np.abs(longer - shorter).max() > 1e-2


def test_reconstruction_is_nan_at_padding_only(trained):
    X, _ = made(15, seed=2)
    X_hat = trained.reconstruct(X)
    np.testing.assert_array_equal(np.isnan(X_hat), np.isnan(X))
    assert X_hat.dtype == X.dtype == np.float64
    assert trained.reconstruct(X.astype(np.float32)).dtype == np.float32
    assert not np.isnan(trained.reconstruct(made(15, padded=False)[0])).any()


def test_scores_ignore_padding(trained):
    X, lengths = made(15, seed=4)
    error = np.square(trained.reconstruct(X).astype(float) - X)
    assert trained.score(X) == pytest.approx(-np.nanmean(error), rel=1e-4)
    np.testing.assert_allclose(trained.score_samples(X), -np.nansum(error, axis=(1, 2)), rtol=1e-3)
    assert trained.score(padding(X, 5)) == pytest.approx(trained.score(X), rel=1e-4)
    weight = np.arange(15.0)
    counts = 2 * lengths
    expected = -(weight @ np.nansum(error, axis=(1, 2))) / (weight @ counts)
    assert trained.score(X, sample_weight=weight) == pytest.approx(expected, rel=1e-4)
    close(trained.score_samples(padding(X, 7)) / 100, trained.score_samples(X) / 100)


@both
def test_fit_does_not_depend_on_common_padding(module):
    X, _ = made(30)
    fits = [small(module, early_stopping=False).fit(rows) for rows in (X, padding(X, 4))]
    assert fits[0].module_.mean == pytest.approx(fits[1].module_.mean)
    assert fits[0].module_.scale == pytest.approx(fits[1].module_.scale)
    np.testing.assert_allclose(fits[0].transform(X), fits[1].transform(X), atol=1e-4)
    np.testing.assert_allclose(fits[0].loss_curve_, fits[1].loss_curve_, rtol=1e-4)


def test_mean_and_scale_ignore_padding(trained):
    X, _ = made()
    mean = np.nanmean(X, axis=(0, 1))  # of each channel
    np.testing.assert_allclose(trained.module_.mean, mean, rtol=1e-9)
    assert trained.module_.scale == pytest.approx(np.sqrt(np.nanmean((X - mean) ** 2)), rel=1e-9)


# ------------------------------------------------------------------ shapes


def test_transform_of_other_lengths(trained):
    for length in (1, 5, 12, 30):
        X, _ = made(6, length, shortest=1, seed=length)
        assert trained.transform(X).shape == (6, 3)
        assert trained.reconstruct(X).shape == X.shape
        assert trained.score_samples(X).shape == (6,)
        assert np.isfinite(trained.score(X))


def test_lists_of_other_lengths(trained):
    X, _ = made(4, 7, padded=False)
    np.testing.assert_array_equal(trained.transform(X.tolist()), trained.transform(X))


def test_inverse_transform_has_length_of_fit(trained):
    X, _ = made(4, 7)
    assert trained.inverse_transform(trained.transform(X)).shape == (4, 12, 2)
    full, _ = made(4, padded=False)
    np.testing.assert_allclose(trained.inverse_transform(trained.transform(full)), trained.reconstruct(full), atol=1e-4)


@both
def test_2d_input_has_one_channel(module):
    X, _ = made(channels=1)
    flat = small(module).fit(X[:, :, 0])
    deep = small(module).fit(X)
    close(flat.transform(X[:, :, 0]), deep.transform(X))
    close(flat.reconstruct(X[:, :, 0]), deep.reconstruct(X)[:, :, 0])
    assert flat.inverse_transform(np.zeros((2, 3))).shape == (2, 12)
    frame = pd.DataFrame(X[:, :, 0])
    close(small(module).fit(frame).transform(frame), flat.transform(X[:, :, 0]))
    with pytest.raises(ValueError, match=r"X has 13 features, but .* is expecting 12"):
        flat.transform(padding(X, 1)[:, :, 0])


@both
def test_sequences_of_one_step(module):
    X, _ = made(30, 1, shortest=1)
    assert small(module).fit(X).reconstruct(X).shape == X.shape


@pytest.mark.parametrize("dtype", ["i4", "u1", "f4", "f2", "?"])
def test_sequences_in_other_dtypes(trained, dtype):
    X = made(20, padded=False)[0].astype(dtype)
    np.testing.assert_allclose(trained.transform(X), trained.transform(X.astype(float)), atol=1e-5)
    ae = small().fit(X)
    assert not np.isnan(ae.reconstruct(X)).any()


REFUSED = [
    (lambda X: X[:, :, :1], r"X has rows of shape \(12, 1\), but .* rows of shape \(12, 2\)"),
    (lambda X: X[:, :, 0], "X has rows of shape"),
    (lambda X: X[..., None], "X has rows of shape|sequences must be"),
    (lambda X: X[:0], "0 sample"),
    (lambda X: with_nan(X, 4), "must have at least one step in every sample, but sample 4 is all NaN"),
    (lambda X: with_nan(X, (5, 0)), "but sample 5 has it before"),
    (lambda X: with_nan(X, (5, 0, 1)), "but sample 5 has it before"),
    (lambda X: np.where(np.isnan(X), np.inf, X), "contains infinity"),
    (lambda X: X[:, :0], "X must hold|X has|at least one|0 feature"),
    (lambda X: X[:, :, :0], "X has rows of shape|X must hold|0 feature"),
]


def with_nan(X, place):
    X = X.copy()
    X[place] = np.nan
    return X


@pytest.mark.parametrize(("change", "match"), REFUSED, ids=range(len(REFUSED)))
@pytest.mark.parametrize("method", ["transform", "reconstruct", "score", "score_samples", "partial_fit"])
def test_bad_sequences_after_fit_raise(trained, change, match, method):
    before = dict(vars(trained))
    with pytest.raises(ValueError, match=match):
        getattr(trained, method)(change(made()[0]))
    assert vars(trained).keys() == before.keys()
    assert all(vars(trained)[name] is value for name, value in before.items())


@pytest.mark.parametrize(("change", "match"), REFUSED[2:], ids=range(2, len(REFUSED)))
def test_bad_sequences_in_fit_raise(change, match):
    match = match.replace("X has rows of shape", "X must hold|at least one|sequences must be|channel")
    with pytest.raises(ValueError, match=match):
        small().fit(change(made()[0]))


@pytest.mark.parametrize("name", ["X_val", "X_target"])
def test_nan_before_end_of_other_arrays_raises(name):
    X, _ = made(20)
    with pytest.raises(ValueError, match="sample 5 has it before"):
        small().fit(X, **{name: with_nan(X, (5, 0))})


def test_empty_validation_sequence_raises():
    X, _ = made(20)
    with pytest.raises(ValueError, match="X_val must have at least one step in every sample, but sample 4 is all NaN"):
        small().fit(X, X_val=with_nan(X, 4))


def test_loss_without_observed_raises():
    class Norm(Loss):
        def forward(self, raw, x):
            return (raw - x).flatten(1).norm(dim=1)

    ae = small(loss=Norm())
    with pytest.raises(TypeError, match="loss=Norm does not support missing values"):
        ae.fit(made()[0])
    assert not hasattr(ae, "net_")


# ------------------------------------------------------------------ training


@both
@pytest.mark.parametrize("padded", [True, pytest.param(False, marks=pytest.mark.slow)])
@pytest.mark.slow
def test_training_beats_the_mean(module, padded):
    X, _ = made(200, padded=padded)
    held, _ = made(100, seed=1, padded=padded)
    ae = small(module, max_epochs=18, lr=2e-2).fit(X)
    assert -ae.score(held) < 0.25 * np.nanvar(X)
    assert ae.best_epoch_ > 0


@both
@pytest.mark.slow
def test_early_stopping_with_padding(module):
    X, _ = made(80)
    ae = small(module, max_epochs=12).fit(X)
    assert len(ae.validation_loss_curve_) == 13
    assert np.isfinite(ae.validation_loss_curve_).all()
    assert ae.best_epoch_ == int(np.argmin(ae.validation_loss_curve_)) > 0
    val, _ = made(30, seed=9)
    ae.fit(X, X_val=val)
    assert -ae.score_samples(val).mean() == pytest.approx(min(ae.validation_loss_curve_), rel=1e-4)


@both
@pytest.mark.parametrize(
    "noise", ["gaussian_noise", "masking_noise", "block_masking", "salt_and_pepper", MaskingNoise(1.0)], ids=str
)
def test_noise_does_not_change_padding(module, noise):
    X, _ = made(40)
    ae = small(module, noise=noise, early_stopping=False).fit(X)
    quiet = small(module, early_stopping=False).fit(X)
    assert np.isfinite(ae.loss_curve_).all()
    assert not np.array_equal(ae.transform(X), quiet.transform(X))
    close(ae.transform(padding(X, 3)), ae.transform(X))
    deeper = small(module, noise=noise, early_stopping=False).fit(padding(X[:, :, :1], 2)[:, :, 0])
    assert np.isfinite(deeper.loss_curve_).all()


@both
def test_targets_and_weights(module):
    X, _ = made(40)
    noisy = X + np.random.default_rng(0).normal(size=X.shape)
    ae = small(module, early_stopping=False).fit(noisy, X_target=X)
    assert ae.score(noisy, X_target=X) == pytest.approx(
        -np.nanmean(np.square(ae.reconstruct(noisy).astype(float) - X)), rel=1e-4
    )
    weight = np.ones(40)
    weight[20:] = 0
    some = small(module, early_stopping=False).fit(X, sample_weight=weight)
    few = small(module, early_stopping=False).fit(X[:20], sample_weight=np.ones(20))
    close(some.transform(X), few.transform(X))


@both
def test_partial_fit_with_another_length(module):
    X, _ = made(40)
    ae = small(module).partial_fit(X)
    before = ae.transform(X)
    ae.partial_fit(X[:, :7])
    assert ae.n_iter_ == 2
    assert not np.array_equal(ae.transform(X), before)
    assert ae.input_shape_ == (12, 2)
    assert ae.inverse_transform(before).shape == (40, 12, 2)
    ae.partial_fit(padding(X, 5)[:1])
    assert ae.inverse_transform(before).shape == (40, 12, 2)
    assert pickle.loads(pickle.dumps(ae)).inverse_transform(before).shape == (40, 12, 2)


@both
def test_samples_have_length_of_first_partial_fit(module):
    ae = small(module, prior=GaussianMixture(1)).partial_fit(made(40)[0])
    ae.partial_fit(made(40, 7, seed=2)[0])
    assert ae.sample(3, random_state=0).shape == (3, 12, 2)


@both
@pytest.mark.slow
def test_warm_start_continues_training(module):
    X, _ = made(80)
    ae = small(module, warm_start=True, max_epochs=10, lr_schedule=None).fit(X, X_val=X)
    end = min(ae.validation_loss_curve_)
    ae.fit(X, X_val=X)
    assert ae.validation_loss_curve_[0] == pytest.approx(end, rel=1e-4)
    end = min(ae.validation_loss_curve_)
    ae.fit(X[:, :7], X_val=X)
    assert ae.validation_loss_curve_[0] == pytest.approx(end, rel=1e-4), "the length is no feature"
    assert ae.input_shape_ == ae.inverse_transform(ae.transform(X)).shape[1:] == X.shape[1:]
    with pytest.raises(ValueError, match=r"warm_start needs samples of shape"):
        ae.fit(X[:, :, :1])


# ------------------------------------------------------------------ holes


@both
def test_missing_values_are_imputed_but_not_padding(module):
    X, lengths = made(60)
    holed = X.copy()
    rng = np.random.default_rng(0)
    holed[rng.random(X.shape) < 0.2] = np.nan
    holed[np.arange(60), lengths - 1] = X[np.arange(60), lengths - 1]  # or a hole would be an end
    holed[1, lengths[1] - 1, 0] = np.nan  # half of the last step
    ae = small(module, missing="mask", noise=MaskingNoise(0.2), max_epochs=5).fit(holed)
    filled = ae.reconstruct(holed, keep_observed=True)
    known = ~np.isnan(holed)
    np.testing.assert_array_equal(np.isnan(filled), np.isnan(X))
    np.testing.assert_array_equal(filled[known], holed[known])
    assert filled.dtype == holed.dtype
    close(ae.transform(padding(holed, 4)), ae.transform(holed))
    again = Reconstructor(clone(ae), keep_observed=True).fit(holed).transform(padding(holed, 4))
    np.testing.assert_allclose(again, padding(filled, 4), atol=1e-4)


def test_keep_observed_with_padding_requires_mask(trained):
    with pytest.raises(ValueError, match="keep_observed=True needs an estimator that was fitted with missing='mask'"):
        trained.reconstruct(made()[0], keep_observed=True)


# ------------------------------------------------------------------ in company


@both
def test_samples_have_length_of_fit(module):
    X, _ = made(60)
    ae = small(module, prior=GaussianMixture(2, random_state=0)).fit(X)
    rows = ae.sample(7, random_state=0)
    assert rows.shape == (7, 12, 2)
    assert np.isfinite(rows).all()
    np.testing.assert_array_equal(ae.sample(7, random_state=0), rows)


def test_grid_search_over_networks_and_sizes():
    X, _ = made(60)
    grid = [
        {"module": ["gru"], "module__hidden_size": np.array([4, 8])},
        {"module": ["tcn"], "module__channels": [4]},
        {"module": [GRU], "n_components": [1, 2]},
    ]
    ae = AutoencoderTransformer(3, module="gru", max_epochs=2, random_state=0)
    search = GridSearchCV(ae, grid, cv=2, error_score="raise").fit(X)
    assert len(search.cv_results_["params"]) == 5
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


@both
@pytest.mark.slow
def test_codes_as_features_of_a_classifier(module):
    X, _ = made(120)
    rng = np.random.default_rng(0)
    y = rng.integers(2, size=120)
    X = X + 4 * y[:, None, None]
    pipe = make_pipeline(small(module, max_epochs=15), LogisticRegression(max_iter=1000)).fit(X[:80], y[:80])
    assert pipe.score(X[80:], y[80:]) > 0.8


@pytest.mark.parametrize("cls", [GRU, TCN], ids=lambda cls: cls.__name__)
def test_network_as_class_and_instance(cls):
    X, _ = made(40)
    with torch.random.fork_rng():
        network = cls((12, 2), 3)
    for module in (cls, network):
        ae = small(module).fit(X)
        close(ae.transform(padding(X, 3)), ae.transform(X))
        np.testing.assert_array_equal(np.isnan(ae.reconstruct(X)), np.isnan(X))


def test_network_factory_reads_padding():
    X, _ = made(40)
    ae = small(functools.partial(GRU, hidden_size=8)).fit(X)
    np.testing.assert_array_equal(np.isnan(ae.reconstruct(X)), np.isnan(X))
