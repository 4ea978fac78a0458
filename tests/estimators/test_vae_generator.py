"""VAEGenerator: posteriors, likelihoods, warnings, and the API of scikit-learn."""

import functools
import inspect
import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import get_tags

from skae import AutoencoderTransformer, Reconstructor, VAEGenerator
from skae.bottlenecks import MMD, Bottleneck, Gaussian, Latent
from skae.nn import MLP, Conv
from skae.plotting import LatentDisplay, ReconstructionDisplay, TrainingCurveDisplay, TraversalDisplay


def small(n_components=2, **params):
    """An estimator that trains in a fraction of a second."""
    defaults = {"max_epochs": 3, "early_stopping": False, "random_state": 0}  # training counts, though PCA be better
    if params.get("module", "mlp") == "mlp":
        defaults["module__hidden_layer_sizes"] = (32,)
    return VAEGenerator(n_components, **defaults | params)


@pytest.fixture(scope="module")
def few(digits):
    return digits[:400]


@pytest.fixture(scope="module")
def counts(digits):
    """Whole numbers from 0 to 255."""
    X = (digits[:200] * 15).astype(np.uint8)
    X.flags.writeable = False
    return X


@pytest.fixture(scope="module")
def vae(few):
    return small(6, max_epochs=5).fit(few)


def log_likelihood(vae, X):
    return vae.score_samples(X).astype(np.float64)


def divergence(vae, X):
    mean, std = (part.astype(np.float64) for part in vae.transform_distribution(X))
    return 0.5 * (mean**2 + std**2 - 1 - 2 * np.log(std)).sum(1)


# ------------------------------------------------------------------ codes are distributions


def test_code_is_posterior_mean(vae, few):
    mean, std = vae.transform_distribution(few)
    np.testing.assert_array_equal(vae.transform(few), mean)
    assert mean.shape == std.shape == (400, 6)
    assert mean.dtype == std.dtype == np.float32
    assert (std > 0).all()
    assert std.max() < 1.5
    alone = vae.transform_distribution(few[7:8])
    np.testing.assert_allclose(alone[0][0], mean[7], atol=1e-5)
    np.testing.assert_allclose(alone[1][0], std[7], atol=1e-5)


def test_initialization_is_probabilistic_pca():
    rng = np.random.default_rng(0)
    W, noise = rng.normal(size=(3, 8)), 0.3
    X = rng.normal(size=(4000, 3)) @ W + noise * rng.normal(size=(4000, 8)) + 5
    vae = small(3, max_epochs=0).fit(X)
    cov = W.T @ W + noise**2 * np.eye(8)
    exact = -0.5 * (np.einsum("ij,jk,ik->i", X - 5, np.linalg.inv(cov), X - 5) + np.linalg.slogdet(2 * np.pi * cov)[1])
    assert vae.score(X) == pytest.approx(exact.mean(), abs=0.1)
    assert np.corrcoef(log_likelihood(vae, X), exact)[0, 1] > 0.99
    # the posterior is exact, so there is nothing for importance sampling to win
    assert vae.score(X, n_importance_samples=50) == pytest.approx(vae.score(X), abs=0.1)
    assert vae.active_units_ == 3


@pytest.mark.parametrize("bottleneck", ["mmd", "squared_norm", "identity"])
def test_likelihood_methods_require_gaussian_bottleneck(blobs, bottleneck):
    vae = small(bottleneck=bottleneck).fit(blobs)
    for name in ("transform_distribution", "sample_posterior"):
        assert not hasattr(vae, name)
        with pytest.raises(AttributeError):
            getattr(vae, name)
    assert not hasattr(vae, "active_units_")
    assert vae.score_samples(blobs).shape == (60,)
    with pytest.raises(ValueError, match="n_importance_samples needs a bottleneck that gives distributions"):
        vae.score_samples(blobs, n_importance_samples=4)
    again = vae.set_params(bottleneck=None).fit(blobs)
    assert hasattr(again, "transform_distribution")
    assert 0 <= again.active_units_ <= 2


def test_refit_removes_active_units(blobs):
    vae = small().fit(blobs)
    assert vae.active_units_ >= 1
    assert not hasattr(vae.set_params(bottleneck="mmd").fit(blobs), "active_units_")


# ------------------------------------------------------------------ likelihoods


def test_scores_are_deterministic_per_sample(vae, few):
    scores = vae.score_samples(few)
    assert scores.shape == (400,)
    assert scores.dtype == np.float32
    np.testing.assert_array_equal(scores, vae.score_samples(few))
    np.testing.assert_allclose(vae.score_samples(few[::-1])[::-1], scores, rtol=1e-4)
    for i in (0, 17):
        np.testing.assert_allclose(vae.score_samples(few[i : i + 1])[0], scores[i], rtol=1e-4)
    k = vae.score_samples(few[:20], n_importance_samples=7)
    np.testing.assert_array_equal(k, vae.score_samples(few[:20], n_importance_samples=7))
    np.testing.assert_allclose(vae.score_samples(few[3:4], n_importance_samples=7)[0], k[3], rtol=1e-4)


@pytest.mark.parametrize("loss", ["gaussian", "laplace"])
@pytest.mark.parametrize(("factor", "shift"), [(255.0, -7.0), (1e-3, 40.0)])
def test_density_is_in_data_units(few, loss, factor, shift):
    one = small(3, loss=loss).fit(few)
    other = clone(one).fit(factor * few + shift)
    expected = log_likelihood(one, few) - few.shape[1] * np.log(factor)
    found = log_likelihood(other, factor * few + shift)
    np.testing.assert_allclose(found, expected, atol=0.5)
    assert np.median(np.abs(found - expected)) < 0.1
    assert other.score(factor * few + shift) == pytest.approx(expected.mean(), abs=0.1)
    for name in ("loss_curve_", "validation_loss_curve_"):
        np.testing.assert_allclose(getattr(other, name), getattr(one, name) + 64 * np.log(factor), atol=0.5)


def test_density_integrates_to_one():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(500, 1)) * 3 + 10
    vae = small(1).fit(X)
    grid = np.linspace(-20, 40, 2001)[:, None]
    density = np.exp(vae.score_samples(grid, n_importance_samples=200).astype(float))
    assert density.sum() * (grid[1, 0] - grid[0, 0]) == pytest.approx(1, abs=0.03)
    assert vae.score(X) == pytest.approx(-0.5 * np.log(2 * np.pi * np.e * X.var()), abs=0.1)


@pytest.mark.parametrize("n_components", [6, 16, 32])
def test_bound_is_tight_for_exact_posterior(n_components):
    rng = np.random.default_rng(1)
    W, noise = rng.normal(size=(n_components, 64)), 0.3
    X = rng.normal(size=(4000, n_components)) @ W + noise * rng.normal(size=(4000, 64))
    vae = small(n_components, max_epochs=0, prior=None).fit(X)
    precision, log_det = np.linalg.inv(C := W.T @ W + noise**2 * np.eye(64)), np.linalg.slogdet(2 * np.pi * C)[1]
    exact = -0.5 * (np.einsum("ij,jk,ik->i", X, precision, X) + log_det).mean()
    assert vae.score(X) == pytest.approx(exact, abs=0.3)  # fitted to these rows, it is a little above


def test_importance_samples_tighten_bound(vae, few):
    X = few[:100]
    bounds = [vae.score(X), *(vae.score(X, n_importance_samples=k) for k in (100, 2000))]
    assert bounds[0] < bounds[1] < bounds[2] + 0.05


def test_invalid_n_importance_samples_raises(vae, few):
    X = few[:100]
    assert vae.score(X, n_importance_samples=np.int64(9)) == vae.score(X, n_importance_samples=9)
    assert vae.score(X, n_importance_samples=500) == pytest.approx(vae.score(X), abs=2)
    for k in (0, -1, 2.5, True, "3"):
        with pytest.raises((ValueError, TypeError), match="n_importance_samples"):
            vae.score_samples(X, n_importance_samples=k)


def test_score_is_weighted_mean(vae, few):
    scores = log_likelihood(vae, few)
    assert vae.score(few) == pytest.approx(scores.mean(), rel=1e-5)
    weight = np.random.default_rng(0).uniform(size=400)
    assert vae.score(few, sample_weight=weight) == pytest.approx(np.average(scores, weights=weight), rel=1e-5)
    assert vae.score(few, None, weight) == vae.score(few, sample_weight=weight)
    assert vae.score(few, sample_weight=2.0) == pytest.approx(vae.score(few))
    assert isinstance(vae.score(few), float)
    for bad, match in (
        (np.ones(3), "sample_weight must have the shape"),
        (-np.ones(400), "not all zero, got -1 to -1"),
    ):
        with pytest.raises(ValueError, match=match):
            vae.score(few, sample_weight=bad)


def test_outliers_are_less_likely(vae, few):
    rng = np.random.default_rng(0)
    shuffled = rng.permuted(few, axis=1)
    assert (log_likelihood(vae, shuffled) < np.median(log_likelihood(vae, few))).mean() > 0.95


def test_score_with_target(vae, few):
    np.testing.assert_array_equal(vae.score_samples(few, X_target=few), vae.score_samples(few))
    assert vae.score(few, X_target=few + 3) < vae.score(few)
    with pytest.raises(ValueError, match="X_target must have the shape"):
        vae.score_samples(few, X_target=few[:3])


def test_training_increases_bound(few):
    trained, start = (small(6, max_epochs=n).fit(few) for n in (60, 0))
    assert trained.score(few) > start.score(few) + 5


def test_score_does_not_depend_on_training_objective(few):
    # the same weights under another beta are the same density
    vae = small(3).fit(few)
    other = pickle.loads(pickle.dumps(vae))
    other.module_.bottleneck.beta = 7.0
    np.testing.assert_array_equal(other.score_samples(few), vae.score_samples(few))


def test_importance_weighted_training(few):
    vae = small(3, importance_samples=4, max_epochs=2).fit(few)
    assert np.isfinite(vae.score_samples(few)).all()
    assert vae.sample(2, random_state=0).shape == (2, 64)
    with pytest.raises(ValueError, match="needs beta=1"):
        small(importance_samples=2, beta=2.0).fit(few)


# ------------------------------------------------------------------ beta


def test_beta_reduces_information_in_codes(few):
    nats = [divergence(v, few).mean() for v in (small(8, beta=b, max_epochs=20).fit(few) for b in (0.1, 1, 10))]
    assert nats[0] > 1.5 * nats[1] > 2.25 * nats[2] > 0


@pytest.mark.parametrize(
    ("params", "error", "match"),
    [
        ({"beta": -1.0}, ValueError, "beta"),
        ({"beta": np.nan}, ValueError, "beta"),
        ({"beta": "big"}, TypeError, "beta"),
        ({"beta": True}, TypeError, "beta"),
        ({"importance_samples": 0}, ValueError, "importance_samples"),
        ({"importance_samples": 1.5}, TypeError, "importance_samples"),
        ({"beta": 2.0, "bottleneck": "gaussian"}, ValueError, "set them on your own bottleneck"),
        ({"beta": 2.0, "bottleneck": Gaussian()}, ValueError, "set them on your own bottleneck"),
        ({"importance_samples": 3, "bottleneck": "mmd"}, ValueError, "set them on your own bottleneck"),
        ({"conditional": "class"}, ValueError, "conditional must be one of False, True, 'classes', 'targets'"),
        ({"conditional": 1}, ValueError, "conditional must be one of"),
        ({"prior": "gaussian"}, TypeError, "prior must be None, 'mixture', 'flow', 'auto' or"),
        ({"prior": object()}, TypeError, "prior must be None, 'mixture', 'flow', 'auto' or"),
        ({"prior": StandardScaler()}, TypeError, "prior must be None, 'mixture', 'flow', 'auto' or"),
        ({"bottleneck": "gauss"}, ValueError, "bottleneck"),
        ({"loss": "normal"}, ValueError, "loss"),
        ({"betta": 2.0}, (TypeError, ValueError), "betta"),
    ],
)
def test_bad_parameters_raise_and_leave_estimator_unfitted(blobs, unchanged, params, error, match):
    vae = small(**params)
    unchanged(vae, lambda: vae.fit(blobs), error, match)
    unchanged(vae, lambda: vae.partial_fit(blobs), error, match)


def test_methods_before_fit_raise(blobs):
    for call in (
        lambda: small().transform_distribution(blobs),
        lambda: small().sample(2),
        lambda: small(prior=None).sample(2),
        lambda: small().sample_posterior(blobs),
        lambda: small().interpolate(blobs, blobs),
    ):
        with pytest.raises(NotFittedError):
            call()


# ------------------------------------------------------------------ losses


@pytest.mark.parametrize("loss", ["gaussian", "laplace", "squared_error", "absolute_error", "huber"])
def test_losses_for_real_values(few, loss):
    vae = small(4, loss=loss).fit(few)
    assert np.isfinite(vae.score_samples(few)).all()
    assert np.isfinite(vae.sample(5, random_state=0)).all()
    if loss in ("gaussian", "laplace"):
        clean = vae.sample(300, random_state=0, noisy=False)
        noisy = vae.sample(300, random_state=0, noisy=True)
        assert noisy.var(axis=0).mean() > 1.1 * clean.var(axis=0).mean()
        assert noisy.var(axis=0).mean() == pytest.approx(few.var(axis=0).mean(), rel=0.25)
        residual = noisy - clean
        assert abs(residual.mean()) < 0.1, "the same codes, and noise around their rows"
    else:
        with pytest.raises(ValueError, match="noisy=True needs a loss that is a likelihood"):
            vae.sample(3, noisy=True)
        with pytest.raises(ValueError, match="noisy=True needs a loss that is a likelihood"):
            vae.sample_posterior(few[:2], noisy=True)
    with pytest.raises(ValueError, match="noisy must be one of"):
        vae.sample(3, noisy=1)


def test_bernoulli_reconstructions_and_samples(few, unchanged):
    X = (few > 7).astype(np.float32)
    vae = small(4, loss="bernoulli", max_epochs=20).fit(X)  # of logits it starts with random ones, not as PCA
    assert (vae.score_samples(X) <= 0).all()
    assert vae.score(X) > -64 * np.log(2), "better than tossing a coin for every value"
    p, x = vae.sample(50, random_state=0, noisy=False), vae.sample(50, random_state=0)
    assert ((p > 0) & (p < 1)).all()
    assert np.unique(x).tolist() == [0.0, 1.0]
    unchanged(vae, lambda: vae.fit(few), ValueError, r"needs X in \[0, 1\]")
    unchanged(vae, lambda: vae.fit(X, X_val=few), ValueError, r"needs X_val in \[0, 1\]")
    with pytest.raises(ValueError, match=r"needs X in \[0, 1\]"):
        vae.score_samples(few)
    assert small(4, loss="bernoulli").fit(X > 0.5).sample(2).shape == (2, 64), "bools are zeros and ones"


def test_discretized_logistic_likelihood(counts, unchanged):
    vae = small(4, loss="discretized_logistic").fit(counts)
    assert (vae.score_samples(counts) <= 0).all()
    assert vae.score(counts) > -64 * np.log(256), "better than all numbers alike"
    noisy = vae.sample(20, random_state=0, noisy=True)
    np.testing.assert_array_equal(noisy, np.rint(noisy))
    assert noisy.min() >= 0
    assert noisy.max() <= 255
    np.testing.assert_allclose(vae.score_samples(counts.astype(float)), vae.score_samples(counts), rtol=1e-5)
    unchanged(vae, lambda: vae.fit(counts + 0.5), ValueError, "255|needs integers")
    unchanged(vae, lambda: vae.fit(counts / 2), ValueError, "needs integers")
    with pytest.raises(ValueError, match="needs integers"):
        vae.score_samples(counts / 2)
    with pytest.raises(ValueError, match=r"\[0, 255\]"):
        vae.fit(-1.0 - counts)


def test_level_probabilities_sum_to_one():
    X = np.random.default_rng(0).integers(0, 256, (200, 1)) // 3
    vae = small(1, loss="discretized_logistic").fit(X)
    every = np.arange(256)[:, None]
    total = np.exp(vae.score_samples(every, n_importance_samples=300).astype(float)).sum()
    assert total == pytest.approx(1, abs=0.05)


# ------------------------------------------------------------------ guards


def test_posterior_collapse_warns(few):
    with pytest.warns(ConvergenceWarning, match=r"collapsed.*lower beta \(now 10000"):
        vae = small(4, beta=1e4, max_epochs=30).fit(few)
    assert vae.active_units_ == 0
    with pytest.warns(ConvergenceWarning, match="now 10000"):
        small(4, bottleneck=Gaussian(1e4), max_epochs=30).fit(few)


def test_posterior_collapse_warns_for_any_first_sample(few):
    X = few.copy()
    X[0] = 3.0
    with pytest.warns(ConvergenceWarning, match="collapsed"):
        small(4, beta=1e4, max_epochs=30).fit(X)


class WithoutBeta(Bottleneck):
    """A user's distribution that says nothing of the rows."""

    def n_outputs(self, n_components):
        return 2 * n_components

    def forward(self, h):
        mean, _ = self.distribution(h)
        return Latent(mean, h.square().sum(1))

    def code(self, h):
        return self.distribution(h)[0]

    def distribution(self, h):
        return (0 * h).chunk(2, dim=1)


def test_posterior_collapse_warns_without_beta(few):
    with pytest.warns(ConvergenceWarning, match="a lower beta, bottleneck"):
        vae = small(4, bottleneck=WithoutBeta()).fit(few)
    assert vae.active_units_ == 0


@pytest.mark.parametrize("method", ["fit", "fit_transform", "partial_fit", "fit of a pipeline"])
@pytest.mark.slow
def test_warning_points_at_users_line(few, method):
    vae = small(4, beta=1e4, lr=0.003, batch_size=4)
    owner = make_pipeline(StandardScaler(), vae) if "pipeline" in method else vae
    # The one pass of `partial_fit` is as long as the three of `fit`: long enough to forget where the codes started.
    X = np.tile(few, (3 if method == "partial_fit" else 1, 1))
    with pytest.warns(ConvergenceWarning, match="collapsed") as caught:
        getattr(owner, method.partition(" ")[0])(X)
    assert {warning.filename for warning in caught} == {__file__}


@pytest.mark.slow
def test_warning_in_search_points_at_users_line(few):
    vae = small(4, beta=1e4, max_epochs=30, lr=0.01, batch_size=10)
    with pytest.warns(ConvergenceWarning, match="collapsed") as caught:
        cross_val_score(vae, few, cv=2)
    assert {warning.filename for warning in caught} == {__file__}


def test_ordinary_fits_do_not_warn(vae):
    # warnings are errors here
    assert 1 <= vae.active_units_ <= 6


@pytest.mark.parametrize("value", [0.0, 1.0, -7.5, 1e8])
@pytest.mark.parametrize("prior", ["mixture", None])
def test_constant_data(value, prior):
    X = np.full((30, 4), value)
    vae = small(prior=prior).fit(X)
    np.testing.assert_allclose(vae.reconstruct(X), X, rtol=1e-2, atol=0.1)
    np.testing.assert_allclose(vae.sample(5, random_state=0), X[:5], rtol=1e-2, atol=0.1)
    assert np.isfinite(vae.score_samples(X)).all()
    assert vae.active_units_ == 0


def test_equal_samples_do_not_warn_of_collapse():
    X = np.tile(np.arange(5.0), (30, 1))
    vae = small().fit(X)
    np.testing.assert_allclose(vae.sample(5, random_state=0), X[:5], atol=0.2)


def test_constant_features(blobs):
    X = np.hstack([blobs, np.full((60, 2), 3.0)])
    vae = small(2).fit(X)
    assert np.isfinite(vae.score_samples(X)).all()
    np.testing.assert_allclose(vae.sample(20, random_state=0)[:, 6:], 3.0, atol=0.5)


@pytest.mark.parametrize(
    ("shape", "params"),
    [
        ((2, 5), {}),
        ((2, 1), {}),
        ((3, 1), {"prior": None}),
        ((40, 1), {"n_components": 1}),
        ((40, 3), {"n_components": 9}),
        ((12, 30), {"n_components": 20}),
        ((40, 5), {"max_epochs": 0}),
        ((2, 5), {"bottleneck": "mmd"}),
        ((2, 5), {"bottleneck": "total_correlation"}),
        ((5, 5), {"bottleneck": "identity"}),
        ((5, 5), {"bottleneck": "squared_norm"}),
    ],
)
@pytest.mark.parametrize("spread", [1.0, 1e-20, 1e18])
def test_small_and_odd_shapes(shape, params, spread):
    X = np.random.default_rng(0).normal(size=shape) * spread
    vae = small(**{"n_components": 2} | params).fit(X)
    for out in (vae.transform(X), vae.reconstruct(X), vae.score_samples(X), vae.sample(7, random_state=0)):
        assert np.isfinite(out).all()
    assert np.abs(vae.sample(50, random_state=0)).max() < 30 * spread


def test_outliers_give_finite_results(few):
    X = few.copy()
    X[3, 5], X[10, 0] = 1e6, -1e6
    vae = small(4).fit(X)
    for out in (vae.transform(X), vae.score_samples(X), vae.sample(20, random_state=0)):
        assert np.isfinite(out).all()
    assert np.isfinite(small(4).fit(few).score_samples(X)).all()


def test_huge_offset_loses_no_precision(blobs):
    one, other = small().fit(blobs), small().fit(blobs + 1e7)
    np.testing.assert_allclose(other.score_samples(blobs + 1e7), one.score_samples(blobs), atol=0.5)


def test_density_with_many_constant_features():
    X = np.zeros((50, 20))
    X[:, 0] = np.arange(50)
    vae = small(3).fit(X)
    assert np.isfinite(vae.score_samples(X)).all()
    assert np.isfinite(vae.sample(10, random_state=0)).all()


# ------------------------------------------------------------------ scikit-learn's manners


def outputs(vae, X):
    """What the methods of a fitted estimator give."""
    return [
        vae.transform(X),
        *vae.transform_distribution(X),
        vae.reconstruct(X),
        vae.inverse_transform(vae.transform(X)),
        vae.score_samples(X),
        vae.score_samples(X, n_importance_samples=3),
        vae.sample(4, random_state=1, noisy=False),
        vae.sample(4, random_state=1, noisy=True),
        vae.sample_posterior(X[:3], n_draws=2, random_state=1),
        vae.interpolate(X[:3], X[3:6], 4),
    ]


def assert_same(found, expected):
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_array_equal(a, b)


def test_equal_seeds_equal_bits(few):
    assert_same(outputs(small(3).fit(few), few), outputs(small(3).fit(few), few))
    assert not np.array_equal(small(3).fit_transform(few), small(3, random_state=1).fit_transform(few))


def test_given_parts_are_not_modified(blobs):
    bottleneck, prior = Gaussian(2.0), GaussianMixture(2)
    vae = small(bottleneck=bottleneck, prior=prior).fit(blobs)
    vae.sample(3)
    assert vars(prior) == vars(GaussianMixture(2))
    assert vae.bottleneck is bottleneck
    assert "progress" not in vars(bottleneck)
    assert vae.module_.bottleneck is not bottleneck


def test_default_bottleneck_as_instance_or_name(few):
    one = small(3, beta=2.0).fit(few)
    other = small(3, bottleneck=Gaussian(2.0)).fit(few)
    assert_same(outputs(one, few), outputs(other, few))
    assert_same(outputs(small(3).fit(few), few), outputs(small(3, bottleneck="gaussian").fit(few), few))


@pytest.mark.slow
def test_pipeline_and_search(few, digits):
    pipe = make_pipeline(StandardScaler(), small(3)).fit(few)
    rows = pipe[:-1].inverse_transform(pipe[-1].sample(4, random_state=0))
    assert rows.shape == (4, 64)
    assert pipe.score(few) == pytest.approx(pipe[-1].score(pipe[0].transform(few)))
    np.testing.assert_array_equal(pipe.score_samples(few), pipe[-1].score_samples(pipe[0].transform(few)))
    search = GridSearchCV(small(max_epochs=5), {"n_components": [1, 8], "beta": [1.0, 50.0]}, cv=2, error_score="raise")
    search.fit(few)
    assert search.best_params_ == {"n_components": 8, "beta": 1.0}
    assert search.score(digits[400:600]) == search.best_estimator_.score(digits[400:600])
    nested = GridSearchCV(small(bottleneck=Gaussian()), {"bottleneck__beta": [1.0, 50.0]}, cv=2, error_score="raise")
    assert nested.fit(few).best_params_ == {"bottleneck__beta": 1.0}


def test_y_is_ignored_if_not_conditional(few):
    y = np.arange(400) % 3
    assert_same(outputs(small(3).fit(few, y), few), outputs(small(3).fit(few), few))
    np.testing.assert_array_equal(
        cross_val_score(small(3), few, y, cv=[(range(200), range(200, 400))]),
        cross_val_score(small(3), few, cv=[(range(200), range(200, 400))]),
    )
    vae = small(3).fit(few, ["a"] * 400)
    assert vae.score(few, y) == vae.score(few)
    assert not hasattr(vae, "classes_")
    for call in (
        lambda: vae.sample(2, y=1),
        lambda: vae.inverse_transform(np.zeros((2, 3)), y=1),
        lambda: vae.interpolate(few[:2], few[2:4], y=1),
    ):
        with pytest.raises(ValueError, match="conditional=True"):
            call()


def test_dataframes_do_not_warn(few):
    X = pd.DataFrame(few, columns=[f"pixel {i}" for i in range(64)])
    vae = small(3).fit(X)
    for a, b in zip(outputs(vae, X), outputs(small(3).fit(few), few), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-3)
    vae.partial_fit(X)
    vae.score(X, X_target=X, sample_weight=np.ones(400))
    small(3).fit(X, X_val=X[:30])
    assert vae.feature_names_in_.tolist() == list(X)
    assert vae.get_feature_names_out().tolist() == ["vaegenerator0", "vaegenerator1", "vaegenerator2"]
    vae.set_output(transform="pandas")
    Z = vae.transform(X)
    assert list(Z) == ["vaegenerator0", "vaegenerator1", "vaegenerator2"]
    assert isinstance(vae.reconstruct(X), np.ndarray)
    np.testing.assert_array_equal(vae.inverse_transform(Z), vae.inverse_transform(Z.to_numpy()))
    with pytest.raises(ValueError, match="feature names"):
        vae.transform_distribution(X[X.columns[::-1]])
    with pytest.raises(ValueError, match="columns of X"):
        vae.interpolate(X[:3], X[X.columns[::-1]][:3])


def test_tags_require_y_only_if_conditional():
    assert not get_tags(small()).target_tags.required
    assert all(get_tags(small(conditional=c)).target_tags.required for c in (True, "classes", "targets"))
    assert get_tags(small(missing="mask")).input_tags.allow_nan
    assert not get_tags(small()).input_tags.allow_nan


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_failing_fit_leaves_estimator_unchanged(blobs, unchanged, method):
    vae = small().fit(blobs)
    fit = getattr(vae, method)
    unchanged(vae, lambda: fit(np.full((5, 6), np.nan)), ValueError, "NaN")
    unchanged(vae, lambda: fit(blobs, sample_weight=np.zeros(60)), ValueError, "sample_weight")
    if method == "fit":
        vae.set_params(lr=1e30, loss="squared_error", optimizer="sgd", lr_schedule=None, max_epochs=50)
        unchanged(vae, lambda: fit(1e3 * blobs), FloatingPointError, r"became (nan|inf)")
        vae.set_params(lr=1e-3, loss="gaussian", max_epochs=1)
    vae.set_params(prior=GaussianMixture(9999))
    unchanged(vae, lambda: fit(blobs), ValueError, "n_components = 9999")
    assert vae.sample(2, random_state=0).shape == (2, 6)


def test_warning_as_error_leaves_estimator_unchanged(few, unchanged):
    vae = small(2, beta=1e4, max_epochs=30)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        unchanged(vae, lambda: vae.fit(few), ConvergenceWarning, "collapsed")


def test_partial_fit_and_warm_start_continue_training(few):
    warm = small(3, warm_start=True).fit(few)
    first = warm.transform(few)
    warm.fit(few)
    assert not np.array_equal(warm.transform(few), first)
    stream = small(3)
    for part in np.array_split(few, 3):
        stream.partial_fit(part)
    assert stream.n_iter_ == len(stream.loss_curve_) == 3
    assert stream.sample(3, random_state=0).shape == (3, 64)
    assert 1 <= stream.active_units_ <= 3
    with pytest.raises(ValueError, match="need the same network: n_components was 3 and is 4"):
        warm.set_params(n_components=4).fit(few)


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
@pytest.mark.parametrize("change", [{"input_shape": (8, 8)}, {"input_shape": (1, 64)}, {"module": "conv"}])
@pytest.mark.parametrize("back", [False, True])
def test_continued_training_with_another_layout_raises(few, unchanged, method, change, back):
    plain = {"input_shape": None, "module": "mlp"}
    before, after = (plain | change, plain) if back else (plain, plain | change)
    vae = VAEGenerator(2, bottleneck="mmd", max_epochs=1, random_state=0, warm_start=method == "fit", **before).fit(few)
    vae.set_params(**after)
    unchanged(vae, lambda: getattr(vae, method)(few), ValueError, "samples in the same layout, .*, got ")


@pytest.mark.parametrize(
    ("module", "params", "has_skip"),
    [
        ("conv", {}, False),
        ("conv", {"module__linear_skip": True}, True),
        (functools.partial(Conv, channels=(4,)), {}, False),
        (functools.partial(Conv, channels=(4,)), {"module__linear_skip": True}, True),
        (functools.partial(Conv, linear_skip=True), {}, True),
        (functools.partial(MLP, hidden_layer_sizes=(8,)), {}, True),
    ],
)
def test_conv_has_no_linear_skip_by_default(few, module, params, has_skip):
    vae = VAEGenerator(2, module=module, max_epochs=0, prior=None, bottleneck="mmd", **params).fit(few)
    assert (vae.module_.network.skip is not None) is has_skip


def test_zero_weight_samples_are_ignored(few):
    weight = np.r_[np.ones(200), np.zeros(200)]
    one, other = (
        small(3, early_stopping=False).fit(few, sample_weight=weight),
        small(3, early_stopping=False).fit(few[:200]),
    )
    np.testing.assert_allclose(one.transform(few), other.transform(few), atol=1e-3)
    np.testing.assert_allclose(one.score_samples(few), other.score_samples(few), rtol=1e-3)
    far = np.vstack([few[:200], few[200:] + 100])
    rows = small(3).fit(far, sample_weight=weight).sample(300, random_state=0)
    assert rows.mean() == pytest.approx(few[:200].mean(), abs=0.5)


def test_score_ignores_missing_values(few):
    X = few.copy()
    X[:, ::2] = np.nan
    vae = small(3, missing="mask", noise="masking_noise").fit(few)
    scores, full = log_likelihood(vae, X), log_likelihood(vae, few)
    assert np.isfinite(scores).all()
    assert scores.mean() > full.mean() / 2 - 30, "half of the values, half of the nats"
    assert scores.mean() > full.mean()


# ------------------------------------------------------------------ around it


def test_reconstructor_and_displays(few):
    pytest.importorskip("matplotlib")
    import matplotlib.pyplot as plt

    y = np.arange(400) % 3
    wrapped = Reconstructor(small(3)).fit(few)
    np.testing.assert_array_equal(wrapped.transform(few), small(3).fit(few).reconstruct(few))
    vae = small(3).fit(few)
    try:
        LatentDisplay.from_estimator(vae, few, y=y)
        assert np.isfinite(np.asarray(TraversalDisplay.from_estimator(vae, few).im_.get_array())).all()
        assert ReconstructionDisplay.from_estimator(vae, few, n_samples=3).im_ is not None
        TrainingCurveDisplay.from_estimator(vae)
    finally:
        plt.close("all")


def test_defaults_match_transformer():
    ours, theirs = (inspect.signature(cls).parameters for cls in (VAEGenerator, AutoencoderTransformer))
    for name in set(theirs) & set(ours) - {"n_components", "prior", "loss", "bottleneck"}:
        assert ours[name].default == theirs[name].default, name
        assert ours[name].kind == theirs[name].kind, name


@pytest.mark.parametrize(
    "params",
    [
        {"conditional": True},
        {"bottleneck": "total_correlation", "module": "conv"},
        {"bottleneck": "mmd", "loss": "squared_error"},
        {"loss": "discretized_logistic", "importance_samples": 2},
    ],
)
def test_device(device, params):
    X, y = (A[:400] for A in load_digits(return_X_y=True))
    params = {"module__linear_skip": True, "max_epochs": 4} | params
    vae = VAEGenerator(4, device=device, random_state=0, **params).fit(X, y)
    assert next(vae.module_.parameters()).device.type == torch.device(device).type
    told = {"y": 3} if "conditional" in params else {}
    noisy = not isinstance(vae.module_.bottleneck, MMD)
    rows = vae.sample(5, random_state=0, noisy=noisy, **told)
    assert rows.shape == (5, 64)
    again = pickle.loads(pickle.dumps(vae))
    np.testing.assert_array_equal(again.sample(5, random_state=0, noisy=noisy, **told), rows)
    assert np.isfinite(vae.score_samples(X[:20])).all()
    assert vae.interpolate(X[:2], X[2:4], 3, **told).shape == (2, 3, 64)
