"""Priors: seeding, copying, fitting and sampling."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import BaseEstimator, clone
from sklearn.mixture import BayesianGaussianMixture, GaussianMixture
from sklearn.neighbors import KernelDensity

from skae import AutoencoderTransformer, VAEGenerator
from skae._density.prior import check_prior, fit_prior, sample_prior

CODES = np.random.default_rng(0).normal([3, -1], [0.5, 2], size=(300, 2)).astype(np.float32)
PRIORS = [GaussianMixture(2), BayesianGaussianMixture(), KernelDensity(bandwidth=0.1)]


class Recorder(BaseEstimator):
    """A density that tells what it was given; its sample takes no seed and it has none."""

    def __init__(self, level=1.0):
        self.level = level

    def fit(self, X, y=None):
        self.seen_ = X
        return self

    def sample(self, n_samples=1):
        return np.full((n_samples, 2), self.level)


def by_name(priors):
    return pytest.mark.parametrize("prior", priors, ids=lambda prior: type(prior).__name__)


@pytest.fixture(scope="module", params=PRIORS, ids=lambda prior: type(prior).__name__)
def fitted(request):
    return fit_prior(request.param, CODES, seed=0)


def test_samples_follow_fitted_density(fitted):
    drawn = sample_prior(fitted, 4000, seed=0)
    assert drawn.shape == (4000, 2)
    assert drawn.dtype == np.float32
    np.testing.assert_allclose(drawn.mean(0), CODES.mean(0), atol=0.15)
    np.testing.assert_allclose(drawn.std(0), CODES.std(0), rtol=0.15)


@given(seed=st.integers(0, 2**32 - 1), n=st.integers(1, 20))
@settings(max_examples=25)
def test_sampling_is_reproducible(fitted, seed, n):
    first = sample_prior(fitted, n, seed)
    assert first.shape == (n, 2)
    np.testing.assert_array_equal(sample_prior(fitted, n, seed), first)
    assert not np.array_equal(sample_prior(fitted, n, (seed + 1) % 2**32), first)


@by_name(PRIORS)
def test_given_prior_is_not_modified(prior):
    before = dict(vars(prior))
    fitted = fit_prior(prior, CODES, seed=5)
    assert fitted is not prior
    assert vars(prior) == before
    kept = {name: value for name, value in vars(fitted).items() if not isinstance(value, np.ndarray)}
    state = np.random.get_state()[1].tolist()
    sample_prior(fitted, 3, seed=9)
    assert {name: vars(fitted)[name] for name in kept} == kept, "sampling does not seed the fitted prior"
    assert np.random.get_state()[1].tolist() == state


def test_seed_is_used_if_prior_has_no_random_state():
    free = GaussianMixture(5, init_params="random", max_iter=30, tol=1e-1)
    seeded = GaussianMixture(5, init_params="random", max_iter=30, tol=1e-1, random_state=1)
    means = [fit_prior(free, CODES, seed).means_ for seed in (0, 0, 2)]
    np.testing.assert_array_equal(means[0], means[1])
    assert not np.array_equal(means[0], means[2])
    means = [fit_prior(seeded, CODES, seed).means_ for seed in (0, 2)]
    np.testing.assert_array_equal(*means)
    assert fit_prior(seeded, CODES, 2).random_state == 1


def test_repeated_sampling_with_own_random_state():
    state = np.random.RandomState(0)
    before = state.get_state()[1].tolist()
    fitted = fit_prior(GaussianMixture(2, random_state=state), CODES, seed=0)
    np.testing.assert_array_equal(sample_prior(fitted, 3, 1), sample_prior(fitted, 3, 1))
    assert state.get_state()[1].tolist() == before, "the user's own stream is the user's"


def test_class_is_instantiated_and_parameters_kept():
    assert type(fit_prior(GaussianMixture, CODES, 0)) is GaussianMixture
    assert fit_prior(KernelDensity(bandwidth=0.25), CODES, 0).bandwidth == 0.25


def test_codes_are_passed_as_float64_and_unchanged():
    codes = CODES.copy()
    fitted = fit_prior(Recorder(level=2.0), codes, seed=0)
    assert fitted.seen_.dtype == np.float64
    fitted.seen_ += 1
    np.testing.assert_array_equal(codes, CODES)
    np.testing.assert_array_equal(sample_prior(fitted, 3, seed=0), np.full((3, 2), 2.0))


@by_name([GaussianMixture(), KernelDensity(), Recorder()])
def test_densities_are_accepted(prior):
    for kind in (prior, type(prior)):
        check_prior(kind)
        assert sample_prior(fit_prior(kind, CODES, seed=0), 3, seed=0).shape == (3, 2)


def test_mixture_string_selects_n_components():
    check_prior("mixture")
    fitted = fit_prior("mixture", CODES, seed=0)
    assert fitted.n_components == 1, "the codes are one Gaussian"
    np.testing.assert_allclose(fitted.means_[0], CODES.mean(0), rtol=1e-5)


@pytest.mark.parametrize("n_draws", [1, 3])
def test_mixture_string_uses_weights(n_draws):
    weight = np.linspace(0, 3, 300 // n_draws)
    fitted = fit_prior("mixture", CODES, 0, weight, n_draws)
    np.testing.assert_allclose(
        fitted.weights_ @ fitted.means_, np.average(CODES, axis=0, weights=np.tile(weight, n_draws)), rtol=1e-4
    )


ESTIMATORS = {
    "transformer": AutoencoderTransformer(2, prior="mixture"),
    "generator": VAEGenerator(2),
    "classes": VAEGenerator(2, conditional="classes"),
    "targets": VAEGenerator(2, conditional="targets"),
}


@pytest.mark.filterwarnings("ignore:No component of the code is active")  # after one epoch
@pytest.mark.parametrize("name", ESTIMATORS)
def test_mixture_string_calls_no_public_fit(name, fits):
    """Tools that record every call of `fit` would take it for a model of the user's."""
    params = {"max_epochs": 1, "random_state": 0, "module__linear_skip": False}
    estimator = clone(ESTIMATORS[name]).set_params(**params)
    estimator.fit(CODES, np.arange(300) % 2, sample_weight=np.linspace(1, 2, 300))
    assert estimator.sample(3).shape == (3, 2)
    assert fits == []


@by_name([GaussianMixture(2), KernelDensity()])
def test_custom_density_is_fitted_by_its_fit(prior, fits):
    fit_prior(prior, CODES, 0)
    assert type(prior) in fits


def test_weights_are_repeated_for_draws():
    class Weighing(Recorder):
        def fit(self, X, y=None, sample_weight=None):
            self.weight_ = sample_weight
            return super().fit(X)

    weight = 1 + np.arange(150.0)
    np.testing.assert_array_equal(fit_prior(Weighing(), CODES, 0, weight, n_draws=2).weight_, np.tile(weight, 2))
    assert fit_prior(Weighing(), CODES, 0, None, n_draws=2).weight_ is None
    assert hasattr(fit_prior(Recorder(), CODES, 0, weight, n_draws=2), "seen_"), "or are left out"


@pytest.mark.parametrize("n_draws", [1, 2])
def test_zero_weight_samples_are_ignored(n_draws):
    codes = np.arange(12.0)[:, None]
    weight = np.tile([0.0, 1.0], 6)[: 12 // n_draws]
    seen = fit_prior(Recorder(), codes, 0, weight, n_draws=n_draws).seen_
    assert seen.ravel().tolist() == [1, 3, 5, 7, 9, 11]


@pytest.mark.parametrize("wrong", ["mixtures", 3, None, np.ones(3), object()], ids=lambda wrong: type(wrong).__name__)
def test_invalid_prior_raises(wrong):
    with pytest.raises(TypeError, match="prior must be None, 'mixture', 'flow', 'auto' or a scikit-learn density"):
        check_prior(wrong)
