"""Properties that hold for any data."""

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.base import clone
from sklearn.mixture import GaussianMixture

from skae import AutoencoderTransformer

PROPERTY = settings(
    max_examples=15,
    # The streams are watched over all examples together.
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

tables = hnp.arrays(
    dtype=np.float64,
    shape=st.tuples(st.integers(2, 25), st.integers(1, 6)),
    elements=st.floats(-100, 100, width=32),
)


def model(**params):
    defaults = {"max_epochs": 2, "random_state": 0, "module__hidden_layer_sizes": (8,), "batch_size": 8}
    return AutoencoderTransformer(2, **defaults | params)


@PROPERTY
@given(X=tables)
def test_results_have_valid_shapes_dtypes_and_are_finite(X):
    ae = model(prior=GaussianMixture(1)).fit(X)
    Z = ae.transform(X)
    assert Z.shape == (len(X), 2)
    for out in (Z, ae.score_samples(X)):
        assert out.dtype == np.float32
        assert np.isfinite(out).all()
    for out in (ae.reconstruct(X), ae.inverse_transform(Z), ae.sample(3)):
        assert out.dtype == np.float64
        assert np.isfinite(out).all()
    assert ae.reconstruct(X).shape == X.shape
    assert ae.score(X) <= 0


@PROPERTY
@given(X=tables, factor=st.floats(1e-4, 1e4), shift=st.floats(-1e3, 1e3))
def test_scale_equivariance(X, factor, shift):
    assume(X.std() > 1e-2)
    Y = factor * X + shift
    assume(Y.std() > 1e-9 * np.abs(Y).max())  # else the shift has rounded the data away
    one, other = model(early_stopping=False).fit(X), model(early_stopping=False).fit(Y)
    np.testing.assert_allclose(other.transform(Y), one.transform(X), atol=1e-2, rtol=1e-2)
    back = (other.reconstruct(Y).astype(float) - shift) / factor
    rounding = 1e-6 * np.abs(Y).max() / factor
    np.testing.assert_allclose(back, one.reconstruct(X), atol=rounding + 1e-2 * X.std(), rtol=1e-2)


@PROPERTY
@given(X=tables, cut=st.integers(1, 24), order=st.randoms(use_true_random=False))
def test_samples_are_independent(X, cut, order):
    ae = model().fit(X)
    Z, scores = ae.transform(X), ae.score_samples(X)
    tolerance = {"rtol": 1e-4, "atol": 1e-4}
    np.testing.assert_allclose(ae.transform(X[:cut]), Z[:cut], **tolerance)
    index = list(range(len(X)))
    order.shuffle(index)
    np.testing.assert_allclose(ae.transform(X[index]), Z[index], **tolerance)
    np.testing.assert_allclose(ae.score_samples(X[index]), scores[index], rtol=1e-3, atol=1e-3)


@PROPERTY
@given(X=tables)
def test_reconstruct_equals_round_trip(X):
    ae = model().fit(X)
    np.testing.assert_allclose(ae.inverse_transform(ae.transform(X)), ae.reconstruct(X), rtol=1e-4, atol=1e-4)


@PROPERTY
@given(X=tables, noise=st.sampled_from([None, "gaussian_noise", "masking_noise", "salt_and_pepper"]))
@example(X=np.eye(21, 4) * [1.0, 2.0, 0.0, 0.0] + np.eye(21, 4, -2) * [0.0, 0.0, 1.0, 0.0], noise=None)
@example(X=np.eye(21, 4) * [1.0, 0.0, 0.0, 0.0], noise="gaussian_noise")  # the second training is the better one
def test_kept_weights_have_minimal_validation_loss(X, noise):
    ae = model(noise=noise, max_epochs=6).fit(X)
    curve = ae.validation_loss_curve_
    assert curve[ae.best_epoch_] <= curve[0]
    assert ae.best_epoch_ in (0, int(np.argmin(curve)))


@PROPERTY
@given(X=tables, seed=st.integers(0, 2**31 - 1))
def test_equal_seeds_equal_bits(X, seed):
    ae = model(random_state=seed, noise="gaussian_noise", module__dropout=0.2, early_stopping=False)
    np.testing.assert_array_equal(clone(ae).fit_transform(X), ae.fit_transform(X))


def test_scores_do_not_depend_on_other_samples(digits):
    ae = AutoencoderTransformer(8, max_epochs=3, random_state=0).fit(digits)
    many = ae.score_samples(digits)
    alone = [ae.score_samples(row[None])[0] for row in digits[:50]]
    assert alone == pytest.approx(many[:50].tolist(), rel=1e-4)
