"""Likelihoods: agreement with torch.distributions, samples, scales."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import distributions

from skae._utils.rng import Stream
from skae.losses import Bernoulli, DiscretizedLogistic, Gaussian, Laplace

seeds = st.integers(0, 2**31 - 1)
LOCATION_SCALE = [Gaussian, Laplace, DiscretizedLogistic]
by_density = pytest.mark.parametrize("cls", [Gaussian, Laplace])
by_location = pytest.mark.parametrize("cls", LOCATION_SCALE)
N = 20_000


def prepared(cls, **params):
    loss = cls(**params)
    loss.setup(n_components=2)
    return loss.eval()


def random(seed, *shape, dtype=torch.float32):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def targets(loss, raw):
    """Values around ``raw`` that the loss may be compared with."""
    near = raw + random(99, *raw.shape)
    return near if loss.domain is None else (0.5 * (near + 1) * loss.domain[1]).clamp(*loss.domain).round()


def density(loss, raw, scale):
    return {Gaussian: distributions.Normal, Laplace: distributions.Laplace}[type(loss)](raw, scale)


def logistic_cdf(loss, raw, x, scale):
    """F at ``x``, in float64."""
    half = (loss.n_levels - 1) / 2
    return torch.sigmoid((x.double() - half * (1 + raw.double())) / (scale * half))


# ------------------------------------------------------------------ densities


@by_density
@given(scale=st.floats(2e-3, 1e3), n=st.integers(1, 4), seed=seeds)
@settings(max_examples=25)
def test_density_matches_scipy(cls, scale, n, seed):
    loss = prepared(cls, scale=scale)
    raw, x = random(seed, n, 3), random(seed + 1, n, 3)
    expected = -density(loss, raw, scale).log_prob(x)
    torch.testing.assert_close(loss.elementwise(raw, x), expected, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(loss(raw, x), expected.sum(1), rtol=1e-4, atol=1e-4)


@given(n_levels=st.integers(2, 300), scale=st.floats(1e-3, 100), raw=st.floats(-3, 3))
@settings(max_examples=50)
def test_level_probabilities_sum_to_one(n_levels, scale, raw):
    loss = prepared(DiscretizedLogistic, n_levels=n_levels, scale=scale).double()
    x = torch.arange(n_levels, dtype=torch.float64)
    values = loss.elementwise(torch.full_like(x, raw), x)
    assert (values >= -1e-12).all()
    assert float((-values).exp().sum()) == pytest.approx(1, abs=1e-9)


@given(n_levels=st.integers(2, 300), scale=st.floats(0.01, 10), raw=st.floats(-1.5, 1.5))
@settings(max_examples=50)
def test_level_probabilities_match_logistic_distribution(n_levels, scale, raw):
    loss = prepared(DiscretizedLogistic, n_levels=n_levels, scale=scale)
    x = torch.arange(n_levels, dtype=torch.float32)
    raw = torch.full_like(x, raw)
    above, below = logistic_cdf(loss, raw, x + 0.5, scale), logistic_cdf(loss, raw, x - 0.5, scale)
    above[-1], below[0] = 1.0, 0.0
    found = (-loss.elementwise(raw, x)).double().exp()
    torch.testing.assert_close(found, above - below, rtol=1e-4, atol=1e-12)


@pytest.mark.parametrize("scale", [1e-3, 1.0, 100.0])
def test_loss_and_gradient_are_finite_far_from_location(scale):
    loss = prepared(DiscretizedLogistic, scale=scale)
    raw = torch.tensor([-100.0, -1.0, 0.0, 1.0, 100.0]).repeat_interleave(3).requires_grad_()
    values = loss.elementwise(raw, torch.tensor([0.0, 100.0, 255.0]).repeat(5))
    (gradient,) = torch.autograd.grad(values.sum(), raw)
    assert torch.isfinite(values).all()
    assert torch.isfinite(gradient).all()
    assert gradient[1] < 0 < gradient[13], "toward the level"


def test_link_of_levels_covers_range():
    loss = DiscretizedLogistic(n_levels=11)
    assert loss.link(torch.tensor([-2.0, -1.0, 0.0, 0.5, 1.0, 3.0])).tolist() == [0, 0, 5, 7.5, 10, 10]
    assert loss.domain == (0, 10)


# ------------------------------------------------------------------ samples


def sample(loss, raw, seed=0):
    with Stream(seed):
        return loss.sample(torch.full((N, 1), raw)).double().flatten()


def quantile_errors(drawn, cdf):
    """How far the shares below some points lie from the truth, in standard errors."""
    points = torch.tensor(np.quantile(drawn, [0.02, 0.25, 0.5, 0.75, 0.98]))
    truth = cdf(points)
    found = (drawn[:, None] <= points).double().mean(0)
    return (found - truth).abs() / (truth * (1 - truth) / N).sqrt()


@by_density
@pytest.mark.parametrize(("raw", "scale"), [(0.0, 1.0), (-3.0, 0.01), (1.0, 20.0)])
def test_samples_follow_the_density(cls, raw, scale):
    loss = prepared(cls, scale=scale)
    drawn = sample(loss, raw)
    truth = density(loss, torch.tensor(raw, dtype=torch.float64), scale)
    assert (quantile_errors(drawn, truth.cdf) < 5).all()
    assert abs(float(drawn.mean()) - raw) < 5 * float(truth.stddev) / math.sqrt(N)


@pytest.mark.parametrize(("raw", "scale", "n_levels"), [(0.0, 0.1, 256), (0.9, 0.3, 256), (-0.2, 0.5, 2), (0, 2.0, 5)])
def test_sampled_levels_have_their_probabilities(raw, scale, n_levels):
    loss = prepared(DiscretizedLogistic, n_levels=n_levels, scale=scale)
    drawn = sample(loss, float(raw))
    levels = torch.arange(n_levels, dtype=torch.float64)
    probabilities = (-loss.elementwise(torch.full_like(levels, raw), levels)).exp()
    counts = torch.bincount(drawn.long(), minlength=n_levels)
    error = (counts - N * probabilities).abs() / (N * probabilities * (1 - probabilities)).sqrt().clamp(min=1)
    assert error.max() < 5
    cumulative = probabilities.cumsum(0)
    found = counts.cumsum(0) / N
    assert (found - cumulative).abs().max() < 2.5 / math.sqrt(N), "Kolmogorov and Smirnov's distance"


@pytest.mark.parametrize("cls", [Laplace, DiscretizedLogistic])
@pytest.mark.parametrize("uniform", [0.0, 0.5, 1 - 2**-24])
def test_samples_of_extreme_quantiles_are_finite(cls, uniform, monkeypatch):
    monkeypatch.setattr(torch, "rand_like", lambda raw: torch.full_like(raw, uniform))
    drawn = prepared(cls).sample(torch.zeros(1, 2))
    assert torch.isfinite(drawn).all()


def test_bernoulli_samples_have_their_probability():
    drawn = sample(Bernoulli(), 1.0)
    assert set(drawn.tolist()) == {0.0, 1.0}
    p = 1 / (1 + math.exp(-1))
    assert abs(float(drawn.mean()) - p) < 5 * math.sqrt(p * (1 - p) / N)


@pytest.mark.parametrize("cls", [*LOCATION_SCALE, Bernoulli])
def test_samples_use_global_stream(cls):
    loss, raw = prepared(cls), random(0, 20, 3)
    with Stream(3):
        first, second = loss.sample(raw), loss.sample(raw)
    with Stream(3):
        assert torch.equal(loss.sample(raw), first)
    assert not torch.equal(first, second)


# ------------------------------------------------------------------ the scale


@by_density
@given(n=st.integers(1, 5), d=st.integers(1, 6), seed=seeds)
@settings(max_examples=25)
def test_optimal_scale_gradient(cls, n, d, seed):
    """The σ-VAE of Rybkin et al. (2021): D n / 2 log(mean squared error), and D n log(mean absolute error)."""
    loss = prepared(cls).double().train()
    raw, x = (random(seed + i, n, d, dtype=torch.float64) for i in range(2))
    raw.requires_grad_()
    (found,) = torch.autograd.grad(loss(raw, x).sum(), raw)
    error = raw - x
    profile = 0.5 * n * d * error.square().mean().log() if cls is Gaussian else n * d * error.abs().mean().log()
    (expected,) = torch.autograd.grad(profile, raw)
    torch.testing.assert_close(found, expected)


@by_density
@given(seed=seeds, other=st.floats(0.2, 5).filter(lambda r: abs(r - 1) > 0.01))
@settings(max_examples=25)
def test_optimal_scale_maximizes_likelihood(cls, seed, other):
    raw, x = random(seed, 4, 5), random(seed + 1, 4, 5)
    error = raw - x
    best = float(error.square().mean().sqrt() if cls is Gaussian else error.abs().mean())
    optimal = prepared(cls).train()(raw, x).sum()
    torch.testing.assert_close(optimal, prepared(cls, scale=best)(raw, x).sum(), rtol=1e-4, atol=1e-4)
    assert optimal < prepared(cls, scale=best * other)(raw, x).sum()


def test_optimal_scale_of_logistic_distribution():
    loss = prepared(DiscretizedLogistic, scale=0.2)
    raw = torch.zeros(400, 50)
    with Stream(0):
        x = loss.sample(raw)
    optimal = prepared(DiscretizedLogistic)
    optimal.init_from(raw, x)
    assert float(optimal.log_scale.exp()) == pytest.approx(0.2, rel=0.02)


@given(n_levels=st.integers(2, 300), seed=seeds)
@settings(max_examples=25)
def test_scale_of_levels_follows_error_of_reconstruction(n_levels, seed):
    loss = prepared(DiscretizedLogistic, n_levels=n_levels, floor=1e-9)
    raw = 1.5 * random(seed, 5, 4)
    x = targets(loss, random(seed + 1, 5, 4))
    loss.init_from(raw, x)
    error = (loss.link(raw) - x).abs().mean() / ((n_levels - 1) / 2)
    assert float(loss.current_scale) == pytest.approx(float(error) / (2 * math.log(2)), rel=1e-4)


@by_location
def test_evaluation_uses_moving_mean_of_scales(cls):
    loss = prepared(cls)
    raw = random(0, 50, 4)
    x = targets(loss, raw)
    before = loss(raw, x)
    assert torch.equal(loss(raw, x), before), "evaluation does not change it"
    loss.train()
    training = loss(raw, x)
    first = float(loss.log_scale)
    for _ in range(200):
        loss(raw, x)
    loss.eval()
    torch.testing.assert_close(loss(raw, x), training, rtol=1e-3, atol=1e-3)
    assert 0 < first / float(loss.log_scale) < 0.1, "one batch of many"
    assert not loss.log_scale.requires_grad


@by_location
def test_initial_scale_is_that_of_the_data(cls):
    loss = prepared(cls)
    raw = random(0, 50, 4)
    x = targets(loss, raw)
    loss.init_from(raw, x)
    judged = loss(raw, x)
    torch.testing.assert_close(loss.train()(raw, x), judged, rtol=1e-5, atol=1e-5)


@by_location
def test_scale_uses_observed_values_only(cls):
    loss = prepared(cls).train()
    raw = random(0, 50, 4)
    x, observed = targets(loss, raw), random(1, 50, 4) > 0
    wild = torch.where(observed, raw, 1e6)
    value = loss(wild, x, observed)
    again = prepared(cls).train()
    again(raw[observed][None], x[observed][None])
    torch.testing.assert_close(loss.log_scale, again.log_scale)
    assert value.abs().max() < 1e3
    for part in (loss, again):
        part.init_from(*((wild, x, observed) if part is loss else (raw[observed][None], x[observed][None])))
    torch.testing.assert_close(loss.log_scale, again.log_scale)


@by_location
def test_scale_of_single_observed_value(cls):
    loss, raw = prepared(cls), random(0, 2, 3)
    x, observed = targets(loss, raw), torch.zeros(2, 3, dtype=torch.bool)
    observed[0, 0] = True
    alone = prepared(cls)
    alone.init_from(raw[:1, :1], x[:1, :1])
    loss.init_from(raw, x, observed)
    torch.testing.assert_close(loss.current_scale, alone.current_scale)
    assert float(loss.current_scale) > loss.floor
    loss.init_from(raw, x, ~observed & False)
    assert float(loss.current_scale) == pytest.approx(loss.floor), "nothing observed tells none"


@by_location
def test_learned_scale_converges_to_optimum(cls):
    loss, best = prepared(cls, scale="learned"), prepared(cls)
    raw = random(0, 100, 4)
    x = targets(loss, raw)
    (parameter,) = loss.parameters()
    assert list(best.parameters()) == []
    optimizer = torch.optim.LBFGS([parameter], max_iter=50, line_search_fn="strong_wolfe")

    def closure():
        optimizer.zero_grad()
        value = loss.train()(raw, x).mean()
        value.backward()
        return value

    optimizer.step(closure)
    if cls is not DiscretizedLogistic:  # whose optimal scale is that of the mean absolute error, and no likelihood's
        best.init_from(raw, x)
        torch.testing.assert_close(loss.log_scale.detach(), best.log_scale, atol=1e-3, rtol=0)
    learned = float(parameter.detach().exp())
    value = loss.eval()(raw, x).sum()
    for factor in (0.9, 1.1):
        assert value < prepared(cls, scale=learned * factor)(raw, x).sum()


@by_location
def test_learned_scale_is_initialized_from_data(cls):
    loss, best = prepared(cls, scale="learned"), prepared(cls)
    raw = random(0, 100, 4)
    for part in (loss, best):
        part.init_from(raw, targets(loss, raw))
    assert torch.equal(loss.log_scale.detach(), best.log_scale)
    assert loss.log_scale.requires_grad


@by_location
def test_fixed_scale_is_constant(cls):
    loss = prepared(cls, scale=0.3)
    raw = random(0, 50, 4)
    x = targets(loss, raw)
    judged = loss(raw, x)
    loss.train()
    assert torch.equal(loss(raw, x), judged)
    loss.init_from(raw, x)
    assert float(loss.log_scale.exp()) == pytest.approx(0.3)
    assert list(loss.parameters()) == []


@by_location
@pytest.mark.parametrize(
    ("params", "match"),
    [
        ({"scale": "best"}, "scale must be one of 'optimal', 'learned', got 'best'"),
        ({"scale": 0.0}, "scale == 0.0, must be > 0"),
        ({"scale": -1.0}, "scale == -1.0, must be > 0"),
        ({"floor": 0.0}, "floor == 0.0, must be > 0"),
        ({"floor": -0.5}, "floor == -0.5, must be > 0"),
    ],
)
def test_scale_and_floor_must_be_positive(cls, params, match):
    with pytest.raises(ValueError, match=f"{cls.__name__}: {match}"):
        cls(**params).setup(n_components=2)


@by_location
@pytest.mark.parametrize("scale", ["optimal", "learned", 1e-6])
def test_scale_is_at_least_floor(cls, scale):
    loss = prepared(cls, scale=scale, floor=0.25)
    raw = torch.zeros(10, 3)
    x = loss.link(raw)
    at_floor = prepared(cls, scale=0.25)(raw, x)
    loss.init_from(raw, x)
    torch.testing.assert_close(loss(raw, x), at_floor)
    torch.testing.assert_close(loss.train()(raw, x), at_floor)
    with Stream(0):
        drawn = loss.sample(raw)
    with Stream(0):
        assert torch.equal(drawn, prepared(cls, scale=0.25).sample(raw))


@by_location
def test_learned_scale_below_floor_has_gradient_at_floor(cls):
    loss, floor = prepared(cls, scale="learned", floor=0.25), 0.25
    raw = torch.zeros(10, 3)
    x = targets(loss, raw)

    def derivative(scale):
        with torch.no_grad():
            loss.log_scale.fill_(math.log(scale))
        (gradient,) = torch.autograd.grad(loss(raw, x).sum(), loss.log_scale)
        return float(gradient) / scale

    assert derivative(floor) != 0
    assert derivative(0.01) == pytest.approx(derivative(floor), rel=1e-4)


@by_location
@pytest.mark.parametrize("scale", ["optimal", "learned", 1.0])
def test_loss_of_perfect_reconstruction_is_finite(cls, scale):
    loss = prepared(cls, scale=scale)
    raw = torch.zeros(5, 3, requires_grad=True)
    x = loss.link(raw.detach()).round()
    loss.init_from(raw.detach(), x)
    for part in (loss.train(), loss.eval()):
        value = part(raw, x)
        assert torch.isfinite(value).all()
        (gradient,) = torch.autograd.grad(value.sum(), raw)
        assert torch.isfinite(gradient).all()
        assert torch.isfinite(part.sample(raw.detach())).all()


@by_location
def test_all_missing_batch_has_zero_loss(cls):
    loss = prepared(cls).train()
    raw = torch.zeros(3, 2)
    assert loss(raw, torch.zeros(3, 2), torch.zeros(3, 2, dtype=torch.bool)).tolist() == [0, 0, 0]
    assert torch.isfinite(loss.log_scale)


def test_scale_ignores_outputs_beyond_range():
    x = torch.from_numpy(np.where(np.random.default_rng(0).random((50, 40)) < 0.8, 0.0, 128.0)).float()
    loss = DiscretizedLogistic()
    loss.setup(1)
    raw = torch.zeros_like(x, requires_grad=True)
    optimizer = torch.optim.Adam([raw], lr=0.02)
    values = []
    for _ in range(400):
        optimizer.zero_grad()
        value = loss(raw, x).mean()
        value.backward()
        optimizer.step()
        values.append(float(value.detach()))
    assert values[-1] < 0.1 * values[0]
    assert values[-1] <= min(values) + 1
