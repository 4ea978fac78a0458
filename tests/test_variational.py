"""Bounds of the likelihood against the likelihood itself, where it is known: probabilistic PCA."""

import math

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from torch.distributions import Normal

from skae import VAEGenerator, nn
from skae._module.autoencoder import Autoencoder
from skae._module.bounds import common_noise, lower_bound
from skae.bottlenecks import Gaussian
from skae.losses import Bernoulli, DiscretizedLogistic, Laplace, SquaredError
from skae.losses import Gaussian as Normally

K = 5


pytestmark = pytest.mark.usefixtures("seeded")


def made(n=800, d=12):
    rng = np.random.default_rng(0)
    return 7 + rng.normal(size=(n, 3)) @ rng.normal(size=(3, d)) * 4 + 0.5 * rng.normal(size=(n, d))


def build(X, k=K, loss=None, bottleneck=None, **params):
    """As an estimator would start it."""
    module = Autoencoder(
        nn.MLP, bottleneck or Gaussian(), loss or Normally(), None, input_shape=X.shape[1:], n_components=k,
        mean=X.mean(), scale=X.std(), network_params={"hidden_layer_sizes": ()}, **params,
    )  # fmt: skip
    assert module.init_from(module.standardize(torch.as_tensor(X))) == module.loss.identity_link
    return module.eval()


def sigma_points(k):
    """Codes whose mean is 0 and whose covariance is the identity: means of quadratic functions are exact."""
    return math.sqrt(k) * torch.cat([torch.eye(k), -torch.eye(k)])


def bounds(module, X, noise, importance=False, target=None):
    """The bound of every row, in nats of the density of X in its own units."""
    x = torch.as_tensor(X)
    with torch.no_grad():
        bound = lower_bound(module, x, x if target is None else target, None, noise, importance=importance)
        return -module.in_data_units(-bound, math.prod(X.shape[1:]))


def at_the_optimum(X, k=K):
    """The start, with the exact scale in place of that of one draw of codes."""
    module, pca = build(X, k), PCA(k).fit(X)
    module.loss.log_scale.fill_(math.log(pca.noise_variance_**0.5 / module.scale))
    return module, pca


def widened(module, by=1.0):
    """The same with a posterior that is too wide, so that bounds are no longer tight."""
    module.network.skip.encoder.bias.data[module.n_codes :] += by
    return module


# ------------------------------------------------------------------ probabilistic PCA


@pytest.mark.parametrize("kind", ["digits", "made"])
@pytest.mark.parametrize("k", [1, 5, 10])
def test_start_has_the_likelihood_of_probabilistic_pca(digits, kind, k):
    X = digits.copy() if kind == "digits" else made()
    module = build(X, k)
    expected = PCA(k).fit(X).score(X)
    assert float(bounds(module, X, sigma_points(k)).mean()) == pytest.approx(expected, rel=0.01)
    tight = bounds(module, X, common_noise(32, k, antithetic=False), importance=True)
    assert float(tight.mean()) == pytest.approx(expected, rel=0.01)


@pytest.mark.parametrize("kind", ["digits", "made"])
def test_bounds_are_tight_at_optimum(digits, kind):
    X = digits[:500].copy() if kind == "digits" else made()
    module, pca = at_the_optimum(X)
    expected = pca.score_samples(X)
    close = {"rtol": 1e-4, "atol": 0.01}
    np.testing.assert_allclose(bounds(module, X, sigma_points(K)), expected, **close)
    one_draw = bounds(module, X, common_noise(1, K, antithetic=False), importance=True)
    np.testing.assert_allclose(one_draw, expected, **close)
    n_draws = 2000  # whose errors, χ² of K degrees of freedom, all rows share
    by_draws = bounds(module, X, common_noise(n_draws, K, antithetic=True))
    np.testing.assert_allclose(by_draws.mean(), expected.mean(), atol=4 * math.sqrt(K / n_draws))


def test_evidence_bound_is_likelihood_minus_divergence():
    X, by = made(), 0.7
    module, pca = at_the_optimum(X)
    widened(module, by)
    gap = 0.5 * K * (math.exp(by) - 1 - by)  # KL(N(m, eᵇ s²) ‖ N(m, s²)) of each component
    np.testing.assert_allclose(bounds(module, X, sigma_points(K)), pca.score_samples(X) - gap, rtol=1e-3, atol=0.02)


@pytest.mark.slow
def test_importance_bounds_increase_to_likelihood():
    X = made()[:40]
    module, pca = at_the_optimum(made())
    widened(module)
    evidence = float(bounds(module, X, sigma_points(K)).mean())
    rising = []
    for k in (1, 4, 32):
        found = [bounds(module, X, torch.randn(k, K), importance=True).mean() for _ in range(3200 // k)]
        rising.append(float(torch.stack(found).mean()))
    assert rising[0] == pytest.approx(evidence, abs=0.2), "one draw is the evidence bound, in the mean"
    assert rising[0] + 0.5 < rising[1] < rising[2] - 0.15
    assert rising[1] < pca.score(X) - 0.2
    tight = bounds(module, X, torch.randn(2000, K), importance=True)
    assert float(tight.mean()) == pytest.approx(pca.score(X), abs=0.15)


# ------------------------------------------------------------------ its terms


@pytest.mark.parametrize("loss", [Normally(0.5), Laplace(0.5), SquaredError(), Bernoulli(), DiscretizedLogistic(5)])
def test_bounds_are_those_of_their_formulas(loss):
    X = np.random.default_rng(0).integers(0, 2, size=(6, 4)).astype(float)
    module = build(X, 2, loss)
    x = torch.as_tensor(X)
    noise = common_noise(3, 2, antithetic=False)
    with torch.no_grad():
        mean, std = module.distribution(x).unbind(1)
        q, p = Normal(mean, std), Normal(0.0, 1.0)
        z = mean + std * noise[:, None]
        log_p = torch.stack([-module.loss_of_codes(codes, x, module.target(x)) for codes in z])
        ratio = log_p + (p.log_prob(z) - q.log_prob(z)).sum(2)
        tight = lower_bound(module, x, x, None, noise, importance=True)
        evidence = lower_bound(module, x, x, None, noise, importance=False)
    torch.testing.assert_close(tight.float(), torch.logsumexp(ratio, 0) - math.log(3), rtol=1e-4, atol=1e-4)
    divergence = torch.distributions.kl_divergence(q, p).sum(1)
    torch.testing.assert_close(evidence.float(), log_p.mean(0) - divergence, rtol=1e-4, atol=1e-4)


def test_codes_come_from_x_and_the_likelihood_is_that_of_the_target():
    X = made(50)
    module, pca = at_the_optimum(X)
    target = torch.as_tensor(X) + 1
    found = bounds(module, X, sigma_points(K), target=target)
    assert (found < bounds(module, X, sigma_points(K)) - 1).all()
    codes = module.distribution(torch.as_tensor(X))
    w = module.network.skip.decoder.weight.detach() * module.scale
    spread = (w * codes[0, 1].detach()).square().sum()  # what the posterior's spread adds to the squared error
    error = (module.reconstruct(torch.as_tensor(X)).detach() - target).square().sum(1) + spread
    variance = pca.noise_variance_
    expected = -0.5 * error / variance - 6 * math.log(2 * math.pi * variance)
    expected = expected - torch.distributions.kl_divergence(Normal(*codes.unbind(1)), Normal(0.0, 1.0)).sum(1)
    np.testing.assert_allclose(found, expected.detach(), rtol=1e-3, atol=0.02)


def test_missing_values_do_not_count():
    X, missing = made(60), slice(3, 6)
    module, pca = at_the_optimum(X)
    module.missing = module.may_have_nan = True
    x, holed = torch.as_tensor(X), torch.as_tensor(X.copy())
    holed[:, missing] = torch.nan
    with torch.no_grad():
        full, less = (lower_bound(module, x, t, None, sigma_points(K), importance=False) for t in (x, holed))
        less, full = -module.in_data_units(-less, 9), -module.in_data_units(-full, 12)
        w = module.network.skip.decoder.weight * module.scale
        spread = (w * module.distribution(x)[0, 1]).square().sum(1)
        error = (module.reconstruct(x) - x).square() + spread
    variance = pca.noise_variance_
    left_out = (-0.5 * error / variance - 0.5 * math.log(2 * math.pi * variance))[:, missing].sum(1)
    np.testing.assert_allclose(full - less, left_out, rtol=1e-3, atol=0.01)


# ------------------------------------------------------------------ the draws


@pytest.mark.parametrize("n_draws", [1, 2, 7, 16])
def test_antithetic_draws_cancel(n_draws):
    noise = common_noise(n_draws, 3, antithetic=True)
    assert noise.shape == (n_draws, 3)
    half = math.ceil(n_draws / 2)
    assert torch.equal(noise[half:], -noise[: n_draws - half])
    if n_draws % 2 == 0:
        torch.testing.assert_close(noise.sum(0), torch.zeros(3), atol=1e-5, rtol=0)
    assert torch.equal(common_noise(n_draws, 3, antithetic=True), noise), "common to all calls"


@pytest.mark.parametrize(("n_draws", "n_codes"), [(6, 10), (2, 1), (6, 3), (16, 8), (16, 9)])
def test_antithetic_draws_have_mean_0_and_variance_1(n_draws, n_codes):
    """Also where codes are too wide for the draws to be uncorrelated."""
    noise = common_noise(n_draws, n_codes, antithetic=True).double()
    np.testing.assert_allclose(noise.square().mean(0), 1, rtol=1e-5)
    np.testing.assert_allclose(noise.mean(0), 0, atol=1e-6)
    if n_draws >= 2 * n_codes:
        np.testing.assert_allclose(noise.T @ noise / n_draws, np.eye(n_codes), atol=1e-5)


def test_draws_are_normal_and_come_from_no_global_stream():
    before = torch.get_rng_state()
    for antithetic in (False, True):
        noise = common_noise(4000, 3, antithetic=antithetic)
        np.testing.assert_allclose(noise.mean(0), 0, atol=5 / math.sqrt(4000))
        np.testing.assert_allclose(noise.std(0), 1, atol=5 / math.sqrt(4000))
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.slow
def test_training_reaches_probabilistic_pca_from_a_random_start():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(1000, 3)) * [3, 2, 1] @ np.linalg.qr(rng.normal(size=(10, 10)))[0][:3]
    X += 0.3 * rng.normal(size=X.shape)
    linear = {"module__hidden_layer_sizes": (), "module__linear_skip": False}
    vae = VAEGenerator(3, **linear, prior=None, lr=1e-2, max_epochs=400, early_stopping=False, random_state=0).fit(X)
    best = PCA(3).fit(X).score(X)
    assert vae.loss_curve_[0] > -best + 1
    assert abs(vae.score(X) - best) < 0.01 * abs(best)


@pytest.mark.slow
def test_importance_sampling_trains_its_own_bound():
    X = load_digits().data[:600]
    settings = {"loss": "squared_error", "prior": None, "max_epochs": 15, "early_stopping": False, "random_state": 0}
    one, many = (VAEGenerator(2, importance_samples=k, **settings).fit(X) for k in (1, 10))
    assert many.module_.bottleneck.importance_samples == 10
    gaps = [vae.score(X, n_importance_samples=50) - vae.score(X) for vae in (one, many)]
    assert gaps[1] > gaps[0] > 0, "a posterior wider than that of the evidence lower bound"
