"""The density of codes: one for all samples, one for each class, or one of codes and targets together."""

import numpy as np
import pytest
from sklearn.mixture import GaussianMixture
from sklearn.neighbors import KernelDensity

from skae._data.targets import NO_CONDITION, Classes, Targets
from skae._density.latent_prior import LatentPrior


def classes_and_codes(n=300):
    y = np.arange(n) % 3
    codes = np.random.default_rng(0).normal(size=(n, 2)) + 10 * y[:, None]
    condition = Classes(y)
    c = condition.encode(y)
    return condition.learned(c, None, more=False), c, codes.astype(np.float32)


def test_unconditional_density_is_fitted_to_all_codes():
    codes = np.random.default_rng(0).normal(3, 2, (2000, 2)).astype(np.float32)
    prior = LatentPrior(GaussianMixture(1), NO_CONDITION)
    density = prior.fit(codes, None, None, seed=0)
    drawn = prior.sample(density, None, 4000, 2, seed=1)
    assert drawn.shape == (4000, 2)
    assert drawn.dtype == np.float32
    np.testing.assert_allclose(drawn.mean(0), codes.mean(0), atol=0.2)
    np.testing.assert_allclose(drawn.std(0), codes.std(0), atol=0.2)


def test_samples_of_weight_zero_are_left_out():
    codes = np.concatenate([np.zeros((50, 1)), np.full((50, 1), 100.0)]).astype(np.float32)
    codes += np.random.default_rng(0).normal(size=codes.shape).astype(np.float32)
    weight = np.repeat([1.0, 0.0], 50)
    density = LatentPrior(GaussianMixture(1), NO_CONDITION).fit(codes, None, weight, seed=0)
    assert abs(density.means_[0, 0]) < 1


def test_posteriors_are_drawn_from():
    """A density of means and deviations has the variance of both."""
    means = np.random.default_rng(0).normal(size=(500, 1))
    posteriors = np.stack([means, np.full_like(means, 2.0)], axis=1).astype(np.float32)
    density = LatentPrior(GaussianMixture(1), NO_CONDITION).fit(posteriors, None, None, seed=0)
    assert density.covariances_[0, 0, 0] == pytest.approx(1 + 4, rel=0.15)


@pytest.mark.parametrize("density", [GaussianMixture(1), KernelDensity(), "mixture"], ids=str)
def test_each_class_has_a_density(density):
    condition, c, codes = classes_and_codes()
    prior = LatentPrior(density, condition)
    fitted = prior.fit(codes, c, None, seed=0)
    assert len(fitted) == 3
    drawn = prior.sample(fitted, c[:90], 90, 2, seed=0)
    assert (np.abs(drawn - 10 * c[:90].argmax(1)[:, None]) < 6).all()


def test_class_without_samples_keeps_its_density():
    condition, c, codes = classes_and_codes()
    prior = LatentPrior(GaussianMixture(1), condition)
    first = prior.fit(codes, c, None, seed=0)
    seen = c[:, 2] == 0
    second = prior.fit(codes[seen] + 100, c[seen], None, seed=0, earlier=first)
    assert second[2] is first[2]
    assert second[0].means_[0, 0] == pytest.approx(100, abs=1)


def test_class_that_was_never_seen_cannot_be_drawn():
    condition, c, codes = classes_and_codes()
    prior = LatentPrior(GaussianMixture(1), condition)
    fitted = prior.fit(codes[c[:, 2] == 0], c[c[:, 2] == 0], None, seed=0)
    with pytest.raises(ValueError, match="Class 2 had no rows to learn from"):
        prior.sample(fitted, c[2:3], 1, 2, seed=0)


def test_targets_condition_a_mixture():
    y = np.random.default_rng(0).normal(size=1000)
    codes = np.stack([y, -y], axis=1) + np.random.default_rng(1).normal(0, 0.1, (1000, 2))
    condition = Targets(y)
    c = condition.encode(y)
    prior = LatentPrior("mixture", condition)
    density = prior.fit(codes.astype(np.float32), c, None, seed=0)
    drawn = prior.sample(density, condition.encode(np.full(200, 1.5)), 200, 2, seed=0)
    np.testing.assert_allclose(drawn.mean(0), [1.5, -1.5], atol=0.1)


def test_targets_do_not_condition_other_densities():
    y = np.random.default_rng(0).normal(size=100)
    condition = Targets(y)
    prior = LatentPrior(KernelDensity(), condition)
    density = prior.fit(y[:, None].astype(np.float32), condition.encode(y), None, seed=0)
    assert density.n_features_in_ == 1


def test_density_that_cannot_be_fitted_is_named():
    with pytest.raises(ValueError, match=r"prior=GaussianMixture\(n_components=5\) could not be fitted .* of 2 rows"):
        LatentPrior(GaussianMixture(5), NO_CONDITION).fit(np.zeros((2, 1), np.float32), None, None, seed=0)
