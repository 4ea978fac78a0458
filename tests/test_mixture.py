"""Mixtures: how many components, of which rows, and draws given some of the variables."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.mixture import GaussianMixture

from skae._mixture import choose_mixture, sample_given


def rng(seed=0):
    return np.random.default_rng(seed)


def clusters(n_clusters, n=400, d=2, seed=0):
    """Well apart: centres on a circle of radius 20, standard deviation 1."""
    angle = 2 * np.pi * np.arange(n_clusters) / n_clusters
    centres = 20 * np.stack([np.cos(angle), np.sin(angle)] + [0 * angle] * (d - 2), axis=1)
    return centres[np.arange(n) % n_clusters] + rng(seed).normal(size=(n, d))


# ------------------------------------------------------------------ the size


@pytest.mark.parametrize(("n", "d"), [(40, 1), (40, 4), (300, 1), (300, 4)])
def test_one_gaussian_is_one_component_nearly_always(n, d):
    sizes = []
    for seed in range(15):
        codes = 3 + rng(seed).normal(size=(n, d)) @ rng(seed + 1).normal(size=(d, d))
        sizes.append(choose_mixture(codes, seed).n_components)
    assert np.median(sizes) == 1
    assert max(sizes) <= 4


@given(exponent=st.integers(-10, 20), seed=st.integers(0, 1000))
@settings(max_examples=15)
def test_the_mixture_grows_with_its_codes(exponent, seed):
    codes = rng(seed).normal(size=(80, 2)) ** 3
    scale = 2.0**exponent
    one, other = choose_mixture(codes, seed), choose_mixture(scale * codes, seed)
    assert one.n_components == other.n_components
    np.testing.assert_allclose(other.means_, scale * one.means_, rtol=1e-6, atol=1e-6 * scale)


@pytest.mark.parametrize("n_clusters", [2, 3, 5, 8])
@pytest.mark.parametrize("weighted", [False, True])
def test_clusters_are_found_within_a_factor_of_two(n_clusters, weighted):
    codes = clusters(n_clusters)
    mixture = choose_mixture(codes, 0, np.ones(len(codes)) if weighted else None)
    assert n_clusters / 2 <= mixture.n_components <= 2 * n_clusters
    assert mixture.score(clusters(n_clusters, seed=1)) > GaussianMixture(1).fit(codes).score(codes) + 0.5


def test_more_clusters_than_rows_allow_are_not_looked_for():
    assert choose_mixture(clusters(8, n=20), 0).n_components <= 4


@pytest.mark.parametrize("n", [20, 60])
def test_draws_of_the_same_rows_make_no_larger_mixture(n):
    """Held-out draws of rows that were seen would: each row is a cluster of its own draws."""
    rows = rng().normal(size=(n, 2))
    sizes = []
    for n_draws in (1, 10, 100):
        codes = (rows + 0.02 * rng(1).normal(size=(n_draws, n, 2))).reshape(-1, 2)
        sizes.append(choose_mixture(codes, 0, None, n_draws).n_components)
    assert sizes[0] <= 2
    assert max(sizes[1:]) <= sizes[0]


def test_all_draws_of_all_rows_are_fitted_in_the_end():
    draws = clusters(3, n=600).reshape(2, 300, 2)
    mixture = choose_mixture(draws.reshape(-1, 2), 0, None, n_draws=2)
    np.testing.assert_allclose(mixture.weights_ @ mixture.means_, draws.mean((0, 1)), atol=1e-6)


# ------------------------------------------------------------------ few rows


@pytest.mark.parametrize("n_draws", [1, 5])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("n", [1, 2, 3, 5])
@pytest.mark.parametrize("kind", ["normal", "constant", "zero", "one apart"])
def test_few_rows_and_constant_codes_make_a_finite_mixture(n, kind, weighted, n_draws):
    rows = {"normal": rng().normal(size=(n, 2)), "constant": np.full((n, 2), 7.5), "zero": np.zeros((n, 2))}.get(kind)
    if rows is None:
        rows = np.zeros((n, 2))
        rows[-1] = 1e3
    mixture = choose_mixture(np.tile(rows, (n_draws, 1)), 0, np.arange(1.0, n + 1) if weighted else None, n_draws)
    assert mixture.n_components == 1
    assert np.isfinite(mixture.means_).all()
    drawn = mixture.sample(10)[0]
    assert np.isfinite(drawn).all()
    assert (np.abs(drawn) <= 20 * max(1e-6, np.abs(rows).max())).all()


def test_a_code_that_says_nothing_beside_one_that_does():
    codes = clusters(2, n=100, d=3)
    mixture = choose_mixture(codes * [1, 1, 0], 0)
    assert np.isfinite(mixture.sample(10)[0]).all()
    assert np.abs(mixture.sample(100)[0][:, 2]).max() < 0.2


# ------------------------------------------------------------------ weights, seeds


def test_rows_of_weight_zero_are_as_if_absent():
    codes = clusters(2)
    outliers = np.full((100, 2), 1e6)
    weight = np.r_[np.ones(400), np.zeros(100)]
    mixture = choose_mixture(np.concatenate([codes, outliers]), 0, weight)
    alone = choose_mixture(codes, 0, np.ones(400))
    assert np.abs(mixture.means_).max() < 25
    assert np.abs(mixture.score(codes) - alone.score(codes)) < 0.1
    assert mixture.reg_covar < 0.1


def test_weights_are_the_shares_of_rows():
    codes = clusters(2, n=1000)
    weight = np.where(np.arange(1000) % 2, 9.0, 1.0)
    mixture = choose_mixture(codes, 0, weight)
    near = mixture.weights_[mixture.means_[:, 0] < 0].sum()
    assert near == pytest.approx(0.9, abs=0.05)


@pytest.mark.parametrize("weighted", [False, True])
def test_the_seed_decides(weighted):
    codes = rng().normal(size=(100, 2)) ** 3
    weight = rng(1).uniform(size=100) if weighted else None
    first = choose_mixture(codes, 1, weight)
    np.testing.assert_array_equal(choose_mixture(codes, 1, weight).means_, first.means_)
    others = [choose_mixture(codes, seed, weight) for seed in range(2, 6)]
    assert any(not np.array_equal(other.means_, first.means_) for other in others)


def test_what_is_given_and_the_global_stream_stay_as_they_are():
    codes, weight = clusters(3), np.ones(400)
    before, state = codes.copy(), np.random.get_state()[1].tolist()  # noqa: NPY002
    sample_given(choose_mixture(codes, 0, weight), np.zeros((3, 1)), 0)
    assert np.random.get_state()[1].tolist() == state  # noqa: NPY002
    np.testing.assert_array_equal(codes, before)
    assert (weight == 1).all()


# ------------------------------------------------------------------ given some of the variables


def single(d, seed=0):
    """A mixture of one Gaussian, with its parameters set."""
    root = rng(seed).normal(size=(d, d))
    mixture = GaussianMixture(1)
    mixture.weights_ = np.ones(1)
    mixture.means_ = rng(seed + 1).normal(size=(1, d))
    mixture.covariances_ = (root @ root.T + 0.1 * np.eye(d))[None]
    return mixture


@pytest.mark.parametrize(("k", "n_given"), [(1, 1), (3, 1), (2, 2), (1, 3)])
def test_draws_of_one_gaussian_have_its_conditional_mean_and_covariance(k, n_given):
    mixture, n = single(k + n_given), 20_000
    given_values = rng(5).normal(size=n_given)
    drawn = sample_given(mixture, np.tile(given_values, (n, 1)), seed=0)
    assert drawn.shape == (n, k)
    assert drawn.dtype == np.float32
    precision = np.linalg.inv(mixture.covariances_[0])
    covariance = np.linalg.inv(precision[:k, :k])
    away = given_values - mixture.means_[0, k:]
    mean = mixture.means_[0, :k] - covariance @ precision[:k, k:] @ away
    deviation = np.sqrt(covariance.diagonal())
    assert (np.abs(drawn.mean(0) - mean) < 5 * deviation / np.sqrt(n)).all()
    error = np.abs(np.cov(drawn.T).reshape(k, k) - covariance) / np.outer(deviation, deviation)
    assert error.max() < 5 * np.sqrt(2 / n)


def test_every_row_has_its_own_condition():
    mixture = single(2)
    given_values = np.linspace(-50, 50, 2000)[:, None]
    drawn = sample_given(mixture, given_values, seed=0)[:, 0]
    slope = mixture.covariances_[0, 0, 1] / mixture.covariances_[0, 1, 1]
    fitted = np.polyfit(given_values[:, 0], drawn, 1)
    assert fitted[0] == pytest.approx(slope, abs=0.02)
    assert fitted[1] == pytest.approx(mixture.means_[0, 0] - slope * mixture.means_[0, 1], abs=0.2)


def two():
    mixture = GaussianMixture(2)
    mixture.weights_ = np.array([0.2, 0.8])
    mixture.means_ = np.array([[-10.0, -1.0], [10.0, 1.0]])
    mixture.covariances_ = np.stack([np.diag([1.0, 0.25])] * 2)
    return mixture


@given(value=st.floats(-3, 3), seed=st.integers(0, 1000))
@settings(max_examples=25)
def test_components_weigh_as_likely_as_they_make_what_is_given(value, seed):
    n = 3000
    drawn = sample_given(two(), np.full((n, 1), value), seed)[:, 0]
    odds = 4 * np.exp(8 * value)  # 0.8 N(1, ¼) against 0.2 N(−1, ¼)
    share = odds / (1 + odds)
    assert abs((drawn > 0).mean() - share) <= 5 * np.sqrt(share * (1 - share) / n) + 1e-9


def test_the_right_component_is_drawn_far_from_all_of_them():
    for value, sign in ((-1e4, -1), (1e4, 1)):
        drawn = sample_given(two(), np.full((20, 1), value), 0)
        assert (np.sign(drawn) == sign).all(), "no likelihood is lost to underflow"


def test_the_seed_decides_what_is_drawn():
    given_values = np.zeros((5, 1))
    first = sample_given(two(), given_values, 3)
    np.testing.assert_array_equal(sample_given(two(), given_values, 3), first)
    assert not np.array_equal(sample_given(two(), given_values, 4), first)
