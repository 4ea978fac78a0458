"""Features and samples without a known value: warnings, reconstruction as 0, undefined scores."""

import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn import config_context
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import skae
from skae import AutoencoderTransformer, ConvAutoencoder, Reconstructor, VAEGenerator
from skae._utils import files as _files
from skae.losses import Bernoulli

NAMES = list("abcdef")
FIT = {"max_epochs": 2, "early_stopping": False, "missing": "mask", "random_state": 0}
ESTIMATORS = {
    "transformer": AutoencoderTransformer(2, noise="masking_noise", **FIT),
    "random start": AutoencoderTransformer(2, module__linear_skip=False, **FIT),
    "conv": ConvAutoencoder(2, input_shape=(2, 3), **FIT),
    "vae": VAEGenerator(2, **FIT),
    "vae laplace": VAEGenerator(2, loss="laplace", prior=None, **FIT),
}
NO_VALUE = r"X has no observed values for the features \['c'\]"
each = pytest.mark.parametrize("estimator", ESTIMATORS.values(), ids=ESTIMATORS)


@pytest.fixture(scope="module")
def frame(blobs):
    """A table far from 0, a tenth of it missing, and nothing known of its third column."""
    X = np.where(np.random.default_rng(0).random(blobs.shape) < 0.1, np.nan, blobs + 350)
    X[:, 2] = np.nan
    return pd.DataFrame(X, columns=NAMES)


def fitted(estimator, X, match=NO_VALUE, **params):
    with pytest.warns(UserWarning, match=match) as caught:
        estimator.fit(X, **params)
    assert [warning.filename for warning in caught] == [__file__], "one warning, at the line of the user"
    return estimator


def has_values(frame, value=1e6):
    """The same table with a column that is known after all."""
    return frame.assign(c=value)


# ------------------------------------------------------------------ what comes out


@each
def test_empty_feature_is_zero_in_all_outputs(estimator, frame):
    fitted(estimator, frame)
    codes = estimator.transform(frame)
    results = [estimator.reconstruct(frame), estimator.inverse_transform(codes)]
    if isinstance(estimator, VAEGenerator):
        results += [estimator.sample(5, random_state=0), estimator.sample(5, random_state=0, noisy=False)]
        results += [*estimator.sample_posterior(frame, n_draws=2), *estimator.interpolate(frame, frame, 2)]
    for found in results:
        assert (found[:, 2] == 0).all()
        assert (np.delete(found, 2, axis=1) != 0).all()


@each
def test_later_values_of_empty_feature_are_ignored(estimator, frame):
    fitted(estimator, frame)
    for method in ("transform", "reconstruct", "score_samples", "score"):
        found, expected = (getattr(estimator, method)(X) for X in (has_values(frame), frame))
        np.testing.assert_array_equal(found, expected)
    filled = estimator.reconstruct(has_values(frame), keep_observed=True)
    assert (filled[:, 2] == 1e6).all(), "what is known is kept"


@each
def test_all_missing_sample_has_nan_score(estimator, frame):
    fitted(estimator, frame)
    X = pd.concat([frame, pd.DataFrame(np.nan, [0, 1], NAMES)])
    X.iloc[-1, 2] = 7.0  # of a feature that is ignored
    scores = estimator.score_samples(X)
    assert np.isnan(scores[-2:]).all()
    np.testing.assert_array_equal(scores[:-2], estimator.score_samples(frame))
    assert estimator.score(X) == pytest.approx(estimator.score(frame), rel=1e-6)
    weight = np.append(np.ones(60), [5.0, 5.0])
    assert estimator.score(X, sample_weight=weight) == pytest.approx(estimator.score(frame), rel=1e-6)
    with pytest.raises(ValueError, match="at least one value that is not NaN"):
        estimator.score(X[-2:])
    assert np.isfinite(estimator.reconstruct(X)).all()


def test_sample_without_known_target_has_nan_score(blobs):
    ae = AutoencoderTransformer(2, **FIT).fit(blobs)
    target = blobs.copy()
    target[0] = np.nan
    assert np.isnan(ae.score_samples(blobs, X_target=target)).tolist() == [True] + [False] * 59
    assert np.isfinite(ae.score_samples(target, X_target=blobs)).all(), "it may be compared with what was there"


@pytest.mark.parametrize("conditional", [True, "targets"])
@pytest.mark.slow
def test_all_missing_sample_with_condition(blobs, conditional):
    y = np.arange(60) % 2
    vae = VAEGenerator(2, conditional=conditional, **FIT).fit(blobs, y)
    X = blobs.copy()
    X[0] = np.nan
    for given in ({}, {"y": y}, {"n_importance_samples": 3}):
        assert np.isnan(vae.score_samples(X, **given)).tolist() == [True] + [False] * 59
    assert np.isfinite(vae.reconstruct(X)).all()


def test_densities_use_known_values(frame):
    """In a unit ten times as small each known value lowers the log-density by log(10)."""
    first, second = (
        fitted(VAEGenerator(2, prior=None, **FIT), factor * frame).score_samples(has_values(factor * frame))
        for factor in (1, 10)
    )
    n_known = frame.notna().sum(axis=1)
    np.testing.assert_allclose(first - second, n_known * np.log(10), rtol=1e-3)


def test_losses_with_domain(blobs):
    X = (blobs > 0).astype(float)
    X[:, 2] = np.nan
    ae = fitted(AutoencoderTransformer(2, loss=Bernoulli(), **FIT), X, r"for the features \[2\]")
    known = np.where(np.arange(6) == 2, 1.0, X)
    assert (ae.reconstruct(X)[:, 2] == 0).all()
    np.testing.assert_array_equal(ae.score_samples(known), ae.score_samples(X))


# ------------------------------------------------------------------ what is said


def test_many_empty_features_are_counted(digits):
    X = digits[:40].copy()
    X[:, 3:20] = np.nan
    ae = AutoencoderTransformer(2, **FIT)
    fitted(ae, X, r"features \[3, 4, 5, 6, 7, 8, 9, 10, 11, 12\] and 7 more")


def test_empty_pixels_of_flat_images_are_columns(digits):
    images = np.stack([digits[:40].reshape(40, 8, 8)] * 3, axis=-1)
    X = images.reshape(40, -1).copy()
    X[:, [5, 100]] = np.nan
    ae = fitted(ConvAutoencoder(2, input_shape=(8, 8, 3), **FIT), X, r"for the features \[5, 100\]")
    found = ae.reconstruct(X)
    assert (found[:, [5, 100]] == 0).all()
    assert (np.delete(found, [5, 100], axis=1) != 0).any(0).all()


def test_empty_pixels_of_images(digits):
    images = digits[:40].reshape(40, 8, 8, 1).repeat(3, axis=-1)
    images[:, 2:4, 3:5] = np.nan
    ae = fitted(ConvAutoencoder(2, **FIT), images, r"for 12 of the 192 values of a sample, the first at \[2, 3, 0\]")
    assert (ae.reconstruct(images)[:, 2:4, 3:5] == 0).all()
    assert (ae.reconstruct(images)[:, :2] != 0).any()


@pytest.mark.parametrize("module", ["gru", "tcn"])
def test_empty_channels_of_sequences(module):
    X = np.sin(np.arange(10) / 2 + np.linspace(0, 6, 30)[:, None])[..., None] * [1.0, 2.0, 3.0]
    X[..., 1] = np.nan
    X[3, 6:] = np.nan
    ae = fitted(AutoencoderTransformer(2, module=module, **FIT), X, r"for the channels \[1\]")
    found = ae.reconstruct(X)
    np.testing.assert_array_equal(np.isnan(found[3]), np.arange(10)[:, None].repeat(3, 1) >= 6)
    assert (found[:3, :, 1] == 0).all()
    known = X.copy()
    known[..., 1] = np.where(np.isnan(X[..., 0]), np.nan, 9)
    np.testing.assert_array_equal(ae.transform(known), ae.transform(X))
    assert np.isfinite(ae.transform(X[:, :4])).all(), "of any length"


def test_known_features_do_not_warn(blobs, frame):
    known = frame.to_numpy().copy()
    known[7, 2] = 350.0
    target = known.copy()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ae = AutoencoderTransformer(2, **FIT).fit(known)
        assert (ae.reconstruct(known)[:, 2] != 0).all()
        # A target that is known can be learned.
        ae = AutoencoderTransformer(2, **FIT).fit(frame.to_numpy(), X_target=target)
        assert ae.module_.empty is None
        AutoencoderTransformer(2, **FIT).fit(blobs, X_target=frame.to_numpy())
        AutoencoderTransformer(2, **FIT | {"missing": "error"}).fit(blobs)
        AutoencoderTransformer(2, **FIT).fit(np.eye(6, dtype=int))


def test_zero_weight_samples_are_ignored(frame):
    X = has_values(frame, np.nan)
    X.iloc[:5, 2] = 1.0
    ae = AutoencoderTransformer(2, **FIT)
    fitted(ae, X, sample_weight=np.repeat([0.0, 1.0], [5, 55]))
    with config_context(working_memory=1 / 1024):  # none of it is held
        fitted(ae, X.to_numpy(), r"features \[2\]", sample_weight=np.repeat([0.0, 1.0], [5, 55]))


def test_warning_as_error_leaves_estimator_unchanged(frame, unchanged):
    ae = AutoencoderTransformer(2, **FIT)
    unchanged(ae, lambda: ae.fit(frame), UserWarning, NO_VALUE)  # warnings are errors here


# ------------------------------------------------------------------ trainings that go on, and models that are kept


@pytest.mark.parametrize("way", ["warm_start", "partial_fit"])
def test_continued_training_ignores_empty_features(frame, way):
    ae = fitted(AutoencoderTransformer(2, warm_start=True, **FIT), frame)
    go_on = ae.fit if way == "warm_start" else ae.partial_fit
    go_on(frame)  # without a second warning
    with pytest.warns(
        UserWarning, match=r"X has observed values for the features \['c'\], which had none in the first fit"
    ):
        go_on(has_values(frame))
    assert (ae.reconstruct(has_values(frame))[:, 2] == 0).all()
    ae.set_params(warm_start=False).fit(has_values(frame, 350.0))
    assert (ae.reconstruct(frame)[:, 2] > 300).all()


@each
def test_empty_features_are_saved(estimator, frame, tmp_path):
    fitted(estimator, frame)
    skae.save(estimator, tmp_path / "model")
    for again in (skae.load(tmp_path / "model"), pickle.loads(pickle.dumps(estimator))):
        X = has_values(frame)
        np.testing.assert_array_equal(again.reconstruct(X), estimator.reconstruct(X))
        np.testing.assert_array_equal(again.score_samples(X), estimator.score_samples(X))


@pytest.mark.slow
def test_empty_features_are_exported(frame, tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    from skae.export import to_onnx

    ae = fitted(AutoencoderTransformer(2, **FIT), frame)
    X = has_values(frame).to_numpy(np.float32)
    to_onnx(ae, tmp_path / "graph.onnx", "reconstruct")
    found = onnxruntime.InferenceSession(tmp_path / "graph.onnx").run(None, {"X": X})[0]
    np.testing.assert_allclose(found, ae.reconstruct(pd.DataFrame(X, columns=NAMES)), rtol=1e-4, atol=1e-5)
    assert (found[:, 2] == 0).all()


def test_pipeline_and_cross_validation(frame):
    filler = Reconstructor(AutoencoderTransformer(2, **FIT), keep_observed=True)
    pipe = make_pipeline(filler, StandardScaler())
    found = fitted(pipe, frame).transform(frame)
    assert np.isfinite(found).all()
    with pytest.warns(UserWarning, match=NO_VALUE):
        scores = cross_val_score(AutoencoderTransformer(2, **FIT), frame, cv=2, error_score="raise")
    assert np.isfinite(scores).all()


@pytest.mark.parametrize("indices", [[10**9], [-7], ["a"], "a", {"a": 1}, 3], ids=str)
def test_files_with_invalid_empty_features_raise(frame, tmp_path, indices):
    skae.save(fitted(AutoencoderTransformer(2, **FIT), frame), tmp_path / "model")
    document, arrays = _files.unpack((tmp_path / "model").read_bytes())
    document["estimator"]["fitted"]["net_"]["state"]["recipe"]["empty_features"] = indices
    (tmp_path / "model").write_bytes(_files.pack(document, arrays))
    with pytest.raises(ValueError, match="model cannot be loaded"):
        skae.load(tmp_path / "model")
