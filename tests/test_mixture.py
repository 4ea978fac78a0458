"""Mixtures: number of components, weights, conditional sampling."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.mixture import GaussianMixture

from skae._density.em import Mixture, fit_mixture
from skae._density.mixture import choose_mixture, sample_given


def rng(seed=0):
    return np.random.default_rng(seed)


def clusters(n_clusters, n=400, d=2, seed=0):
    """Well apart: centers on a circle of radius 20, standard deviation 1."""
    angle = 2 * np.pi * np.arange(n_clusters) / n_clusters
    centers = 20 * np.stack([np.cos(angle), np.sin(angle)] + [0 * angle] * (d - 2), axis=1)
    return centers[np.arange(n) % n_clusters] + rng(seed).normal(size=(n, d))


# ------------------------------------------------------------------ the size


@pytest.mark.parametrize(("n", "d"), [(40, 1), (40, 4), (300, 1), (300, 4)])
def test_one_component_for_gaussian_codes(n, d):
    sizes = []
    for seed in range(15):
        codes = 3 + rng(seed).normal(size=(n, d)) @ rng(seed + 1).normal(size=(d, d))
        sizes.append(choose_mixture(codes, seed).n_components)
    assert np.median(sizes) == 1
    assert max(sizes) <= 4


@given(exponent=st.integers(-10, 20), seed=st.integers(0, 1000))
@settings(max_examples=15)
def test_n_components_grows_with_codes(exponent, seed):
    codes = rng(seed).normal(size=(80, 2)) ** 3
    scale = 2.0**exponent
    one, other = choose_mixture(codes, seed), choose_mixture(scale * codes, seed)
    assert one.n_components == other.n_components
    np.testing.assert_allclose(other.means_, scale * one.means_, rtol=1e-6, atol=1e-6 * scale)


@pytest.mark.parametrize("n_clusters", [2, 3, 5, 8])
@pytest.mark.parametrize("weighted", [False, True])
def test_n_components_matches_n_clusters(n_clusters, weighted):
    codes = clusters(n_clusters)
    mixture = choose_mixture(codes, 0, np.ones(len(codes)) if weighted else None)
    assert n_clusters / 2 <= mixture.n_components <= 2 * n_clusters
    assert mixture.score(clusters(n_clusters, seed=1)) > GaussianMixture(1).fit(codes).score(codes) + 0.5


def test_n_components_is_bounded_by_n_samples():
    assert choose_mixture(clusters(8, n=20), 0).n_components <= 4


@pytest.mark.parametrize("n", [20, 60])
def test_repeated_draws_do_not_add_components(n):
    """Held-out draws of rows that were seen would: each row is a cluster of its own draws."""
    rows = rng().normal(size=(n, 2))
    sizes = []
    for n_draws in (1, 10, 100):
        codes = (rows + 0.02 * rng(1).normal(size=(n_draws, n, 2))).reshape(-1, 2)
        sizes.append(choose_mixture(codes, 0, None, n_draws).n_components)
    assert sizes[0] <= 2
    assert max(sizes[1:]) <= sizes[0]


def test_final_fit_uses_all_draws():
    draws = clusters(3, n=600).reshape(2, 300, 2)
    mixture = choose_mixture(draws.reshape(-1, 2), 0, None, n_draws=2)
    np.testing.assert_allclose(mixture.weights_ @ mixture.means_, draws.mean((0, 1)), atol=1e-6)


# ------------------------------------------------------------------ few rows


@pytest.mark.parametrize("n_draws", [1, 5])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("n", [1, 2, 3, 5])
@pytest.mark.parametrize("kind", ["normal", "constant", "zero", "one apart"])
def test_few_samples_and_constant_codes(n, kind, weighted, n_draws):
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


def test_uninformative_component():
    codes = clusters(2, n=100, d=3)
    mixture = choose_mixture(codes * [1, 1, 0], 0)
    assert np.isfinite(mixture.sample(10)[0]).all()
    assert np.abs(mixture.sample(100)[0][:, 2]).max() < 0.2


# ------------------------------------------------------------------ weights, seeds


FITTED = ("weights_", "means_", "covariances_", "precisions_cholesky_", "precisions_", "reg_covar", "n_iter_")


def assert_same(one, other):
    for name in FITTED:
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name), err_msg=name)


@given(weight=st.floats(1e-3, 1e3), seed=st.integers(0, 1000), n_draws=st.sampled_from([1, 3]))
@settings(deadline=None, max_examples=15)
def test_equal_weights_equal_no_weights(weight, seed, n_draws):
    codes = rng(seed).normal(size=(60 * n_draws, 2)) ** 3
    assert_same(choose_mixture(codes, seed, np.full(60, weight), n_draws), choose_mixture(codes, seed, None, n_draws))


@given(seed=st.integers(0, 1000), n_draws=st.sampled_from([1, 3]))
@settings(deadline=None, max_examples=15)
def test_zero_weight_samples_are_ignored(seed, n_draws):
    draws = rng(seed).normal(size=(n_draws, 80, 2))
    weight = rng(seed).integers(0, 3, 80).astype(float)
    present = weight > 0
    draws[:, ~present] = 1e6
    found = choose_mixture(draws.reshape(-1, 2), seed, weight, n_draws)
    assert_same(found, choose_mixture(draws[:, present].reshape(-1, 2), seed, weight[present], n_draws))


def test_single_component_has_weighted_moments():
    codes, weight = 5 + 3 * rng().normal(size=(40, 2)), rng(1).uniform(0.1, 4, size=40)
    mixture = choose_mixture(codes, 0, weight)
    assert mixture.n_components == 1
    np.testing.assert_allclose(mixture.means_[0], np.average(codes, axis=0, weights=weight))
    covariance = np.cov(codes.T, aweights=weight, ddof=0)
    np.testing.assert_allclose(mixture.covariances_[0], covariance + mixture.reg_covar * np.eye(2))


@pytest.mark.parametrize("n_draws", [1, 4])
@pytest.mark.parametrize("weighted", [False, True])
def test_regularization_is_relative_to_variance(weighted, n_draws):
    codes = rng().normal(size=(200 * n_draws, 3)) * [1, 2, 5]
    weight = rng(1).uniform(size=200) if weighted else np.ones(200)
    variances = np.cov(codes.T, aweights=np.tile(weight, n_draws), ddof=0).diagonal()
    found = choose_mixture(codes, 0, weight if weighted else None, n_draws)
    assert found.reg_covar == pytest.approx(1e-5 * variances.mean())


def test_weights_are_cluster_shares():
    codes = clusters(2, n=1000)
    weight = np.where(np.arange(1000) % 2, 9.0, 1.0)
    mixture = choose_mixture(codes, 0, weight)
    near = mixture.weights_[mixture.means_[:, 0] < 0].sum()
    assert near == pytest.approx(0.9, abs=0.05)


@pytest.mark.parametrize("weighted", [False, True])
def test_fit_is_reproducible(weighted):
    codes = rng().normal(size=(100, 2)) ** 3
    weight = rng(1).uniform(size=100) if weighted else None
    first = choose_mixture(codes, 1, weight)
    np.testing.assert_array_equal(choose_mixture(codes, 1, weight).means_, first.means_)
    others = [choose_mixture(codes, seed, weight) for seed in range(2, 6)]
    assert any(not np.array_equal(other.means_, first.means_) for other in others)


def test_input_and_global_random_state_are_unchanged():
    codes, weight = clusters(3), np.ones(400)
    before, state = codes.copy(), np.random.get_state()[1].tolist()  # noqa: NPY002
    sample_given(choose_mixture(codes, 0, weight), np.zeros((3, 1)), 0)
    assert np.random.get_state()[1].tolist() == state  # noqa: NPY002
    np.testing.assert_array_equal(codes, before)
    assert (weight == 1).all()


# ------------------------------------------------------------------ EM


def start(n_components=3, d=2):
    """A mixture to start from."""
    means = rng(7).normal(size=(n_components, d))
    same = np.stack([np.eye(d)] * n_components)
    return Mixture(np.full(n_components, 1 / n_components), means, same, same)


@given(seed=st.integers(0, 1000))
@settings(deadline=None, max_examples=15)
def test_integer_weights_equal_repetitions(seed):
    rows, counts = rng(seed).normal(size=(50, 2)) ** 3, rng(seed).integers(1, 5, 50)
    weighted = fit_mixture(rows, counts.astype(float), 3, 1e-3, 0, start())
    repeated = fit_mixture(rows.repeat(counts, axis=0), np.ones(counts.sum()), 3, 1e-3, 0, start())
    assert len(weighted.bounds) == len(repeated.bounds)
    for found, expected in zip(weighted[:5], repeated[:5], strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-9)


@given(seed=st.integers(0, 1000), factor=st.sampled_from([1.0, 0.25, 2.0**20]))
@settings(deadline=None, max_examples=15)
def test_em_increases_likelihood(seed, factor):
    rows, weight = rng(seed).normal(size=(80, 2)) ** 3, rng(seed).uniform(0.1, 3, size=80)
    mixture = fit_mixture(rows, factor * weight, 4, 1e-9, 0)
    assert (np.diff(mixture.bounds) > -1e-6).all()
    assert mixture.score(rows, weight) >= mixture.bounds[-1] - 1e-6


@pytest.mark.parametrize("n_components", [1, 3])
def test_unweighted_mixture_matches_scikit_learn(n_components):
    rows, begin = rng().normal(size=(200, 2)) ** 3, start(n_components)
    given_start = {"weights_init": begin.weights, "means_init": begin.means, "precisions_init": begin.covariances}
    theirs = GaussianMixture(n_components, reg_covar=1e-3, max_iter=50, **given_start).fit(rows)
    ours = fit_mixture(rows, np.ones(200), n_components, 1e-3, 0, begin).as_estimator(np.zeros(2), reg_covar=1e-3)
    for name in (*FITTED, "lower_bound_", "converged_", "n_features_in_"):
        np.testing.assert_allclose(getattr(ours, name), getattr(theirs, name), rtol=1e-6, err_msg=name)
    np.testing.assert_allclose(ours.score_samples(rows), theirs.score_samples(rows), rtol=1e-6)


@given(offset=st.sampled_from([1.0, 1e3, 1e6]), seed=st.integers(0, 100))
@settings(deadline=None, max_examples=10)
def test_mixture_is_translation_equivariant(offset, seed):
    codes = clusters(3, n=90, seed=seed)
    one, moved = choose_mixture(codes, seed), choose_mixture(codes + offset, seed)
    np.testing.assert_allclose(moved.means_ - offset, one.means_, atol=1e-6)
    np.testing.assert_allclose(moved.covariances_, one.covariances_, atol=1e-6)


def test_clone_can_be_refitted():
    mixture = choose_mixture(clusters(2), 0)
    again = clone(mixture).fit(clusters(2))
    assert again.score(clusters(2)) == pytest.approx(mixture.score(clusters(2)), abs=0.01)


def test_public_fit_is_not_called(fits):
    assert choose_mixture(clusters(3), 0, np.linspace(1, 2, 400)).n_components > 1
    assert fits == []


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
def test_conditional_moments_of_gaussian(k, n_given):
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


def test_each_sample_has_its_own_condition():
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
def test_component_weights_given_condition(value, seed):
    n = 3000
    drawn = sample_given(two(), np.full((n, 1), value), seed)[:, 0]
    odds = 4 * np.exp(8 * value)  # 0.8 N(1, ¼) against 0.2 N(−1, ¼)
    share = odds / (1 + odds)
    assert abs((drawn > 0).mean() - share) <= 5 * np.sqrt(share * (1 - share) / n) + 1e-9


@pytest.mark.parametrize("value", [0.5, -0.2])
def test_component_weights_use_all_given_variables(value):
    mixture = GaussianMixture(2)
    mixture.weights_ = np.full(2, 0.5)
    mixture.means_ = np.array([[-5.0, 1, 1], [5, -1, -1]])
    mixture.covariances_ = np.stack([np.eye(3)] * 2)
    drawn = sample_given(mixture, np.full((4000, 2), value), 0)[:, 0]
    share = 1 / (1 + np.exp(-4 * value))  # N((1, 1), I) against N((-1, -1), I)
    assert abs((drawn < 0).mean() - share) < 5 * np.sqrt(share * (1 - share) / 4000)


def test_component_weights_far_from_all_components():
    for value, sign in ((-1e4, -1), (1e4, 1)):
        drawn = sample_given(two(), np.full((20, 1), value), 0)
        assert (np.sign(drawn) == sign).all(), "no likelihood is lost to underflow"


def test_sampling_is_reproducible():
    given_values = np.zeros((5, 1))
    first = sample_given(two(), given_values, 3)
    np.testing.assert_array_equal(sample_given(two(), given_values, 3), first)
    assert not np.array_equal(sample_given(two(), given_values, 4), first)
