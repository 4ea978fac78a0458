"""Moments of maps and their transport."""

import numpy as np
import pytest

from skae._patches.moments import mixed, moments, transported


def random_map(seed, n_channels=5, size=(13, 9)):
    rng = np.random.default_rng(seed)
    values = rng.standard_normal((n_channels, *size))
    return (
        np.tensordot(rng.standard_normal((n_channels, n_channels)), values, 1) + rng.normal(size=(n_channels, 1, 1))
    ).astype(np.float32)


def test_moments_are_those_of_numpy():
    values = random_map(0)
    found = moments(values)
    np.testing.assert_allclose(found.mean, values.reshape(5, -1).mean(1), rtol=1e-5)
    np.testing.assert_allclose(found.covariance, np.cov(values.reshape(5, -1), bias=True), rtol=1e-5)


@pytest.mark.parametrize("seed", range(5))
def test_transported_map_has_the_moments_of_the_target(seed):
    target = moments(random_map(seed + 100, size=(20, 21)))
    found = moments(transported(random_map(seed), target))
    np.testing.assert_allclose(found.mean, target.mean, atol=1e-4)
    np.testing.assert_allclose(found.covariance, target.covariance, atol=1e-3 * np.trace(target.covariance))


def test_own_moments_change_nothing():
    values = random_map(3)
    np.testing.assert_allclose(transported(values, moments(values)), values, atol=1e-4)


def test_transport_is_invariant_to_an_earlier_scaling():
    values, target = random_map(4), moments(random_map(5))
    np.testing.assert_allclose(transported(7 * values + 3, target), transported(values, target), atol=1e-3)


def test_constant_map_becomes_the_mean():
    target = moments(random_map(6))
    found = transported(np.full((5, 4, 4), 2.0, np.float32), target)
    np.testing.assert_allclose(found, np.broadcast_to(target.mean[:, None, None], (5, 4, 4)), rtol=1e-5)


def test_map_of_lower_rank_stays_finite_and_keeps_itself():
    values = random_map(7)
    values[1] = values[0]
    assert np.isfinite(transported(values, moments(random_map(8)))).all()
    np.testing.assert_allclose(transported(values, moments(values)), values, atol=1e-3)


def test_mixture_is_that_of_joined_maps():
    a, b = random_map(9, size=(10, 6)), random_map(10, size=(10, 18))
    found = mixed([moments(a), moments(b)], [0.25, 0.75])
    joined = moments(np.concatenate([a, b], axis=2))
    np.testing.assert_allclose(found.mean, joined.mean, rtol=1e-6)
    np.testing.assert_allclose(found.covariance, joined.covariance, rtol=1e-6)
