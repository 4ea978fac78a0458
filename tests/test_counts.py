"""Likelihoods of counts: agreement with scipy, closed forms, overflow, starts."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize, stats

from skae import AutoencoderTransformer, VAEGenerator
from skae._utils.rng import Stream
from skae.losses import NegativeBinomial, Poisson

COUNTS = [Poisson, NegativeBinomial]
by_counts = pytest.mark.parametrize("cls", COUNTS)
QUICK = {"max_epochs": 3, "random_state": 0}


def prepared(cls, shape=None, **params):
    loss = cls(**params)
    loss.setup(1, target_shape=shape)
    return loss


def table(n=200, seed=0):
    """Counts of very different sizes that one number tells, some of them rare."""
    rng = np.random.default_rng(seed)
    z = rng.normal(size=n)
    return np.column_stack([rng.poisson(np.exp(a + b * z)) for a, b in ((0, 1), (4, 0.5), (7, 0.2), (-2, 1))])


# ------------------------------------------------------------------ the distributions


@given(x=st.integers(0, 10**6), log_mean=st.floats(-20, 14))
@settings(max_examples=100)
def test_poisson_agrees_with_scipy(x, log_mean):
    raw = torch.tensor([[log_mean]])
    found = prepared(Poisson)(raw, torch.tensor([[float(x)]]))
    expected = -stats.poisson.logpmf(x, math.exp(float(raw)))
    assert float(found) == pytest.approx(expected, rel=1e-4, abs=1e-4)


@given(x=st.integers(0, 10**6), log_mean=st.floats(-20, 14), dispersion=st.sampled_from([1e-5, 0.01, 0.7, 3.0, 500.0]))
@settings(max_examples=100)
def test_negative_binomial_agrees_with_scipy(x, log_mean, dispersion):
    raw = torch.tensor([[log_mean]])
    found = prepared(NegativeBinomial, dispersion=dispersion)(raw, torch.tensor([[float(x)]]))
    r, mean = 1 / dispersion, math.exp(float(raw))
    expected = -stats.nbinom.logpmf(x, r, r / (r + mean))
    assert float(found) == pytest.approx(expected, rel=1e-3, abs=1e-3)


def test_negative_binomial_of_little_dispersion_is_poisson():
    raw, x = torch.linspace(-3, 5, 9)[None], torch.arange(9.0)[None]
    torch.testing.assert_close(
        prepared(NegativeBinomial, dispersion=1e-6)(raw, x), prepared(Poisson)(raw, x), rtol=1e-3, atol=0
    )


@by_counts
@pytest.mark.parametrize("raw", [-1e30, -200.0, 0.0, 60.0, 1e4, 1e20])
def test_values_gradients_and_draws_are_finite_anywhere(cls, raw):
    loss = prepared(cls)
    raw = torch.full((1, 3), raw, requires_grad=True)
    values = loss(raw, torch.tensor([[0.0, 1.0, 1e7]]))
    values.sum().backward()
    assert torch.isfinite(values).all()
    assert torch.isfinite(raw.grad).all()
    assert torch.isfinite(loss.link(raw)).all()
    with Stream(0):
        drawn = loss.sample(raw.detach())
    assert torch.isfinite(drawn).all()
    assert (drawn >= 0).all()


@by_counts
def test_draws_have_mean_and_variance(cls):
    mean, n = 5.0, 40_000
    params = {} if cls is Poisson else {"dispersion": 0.4}
    with Stream(1):
        drawn = prepared(cls, **params).sample(torch.full((n, 1), math.log(mean))).double()
    variance = mean + params.get("dispersion", 0) * mean**2
    assert float(drawn.mean()) == pytest.approx(mean, abs=5 * math.sqrt(variance / n))
    assert float(drawn.var()) == pytest.approx(variance, rel=0.05)


# ------------------------------------------------------------------ starts, closed forms


def test_dispersion_starts_at_maximum_likelihood():
    rng = np.random.default_rng(0)
    x = np.column_stack(
        [rng.negative_binomial(2, 0.2, 500), rng.poisson(3, 500), rng.negative_binomial(0.2, 0.05, 500)]
    )
    loss = prepared(NegativeBinomial, (3,))
    loss.set_units(*map(torch.from_numpy, (x.mean(0), x.std(0))))
    loss.init_from(torch.zeros(500, 3), torch.from_numpy(x).float())
    for j, found in enumerate(loss.current_dispersion.tolist()):

        def value(log_dispersion, j=j):
            r = math.exp(-log_dispersion)
            return -stats.nbinom.logpmf(x[:, j], r, r / (r + x[:, j].mean())).sum()

        best = optimize.minimize_scalar(value, bounds=(math.log(1e-6), math.log(1e3)), method="bounded")
        assert value(math.log(found)) <= best.fun + 1e-2


@by_counts
def test_fit_of_a_constant_rate_reaches_the_closed_form(cls):
    """Where all samples have one rate, its maximum-likelihood estimate is the mean count."""
    rng = np.random.default_rng(0)
    X = rng.poisson(4.0, (400, 1)) if cls is Poisson else rng.negative_binomial(2, 0.2, (400, 1))
    loss = prepared(cls, (1,))
    loss.set_units(*map(torch.from_numpy, (X.mean(0), X.std(0))))
    loss.init_from(torch.zeros(400, 1), torch.from_numpy(X).float())
    if cls is Poisson:
        closed = -stats.poisson.logpmf(X, X.mean()).mean()
    else:

        def value(log_r):
            r = math.exp(log_r)
            return -stats.nbinom.logpmf(X, r, r / (r + X.mean())).mean()

        closed = optimize.minimize_scalar(value, bounds=(-7, 14), method="bounded").fun
    zeros, x = torch.zeros(400, 1), torch.from_numpy(X).float()
    assert float(loss(zeros, x).detach().mean()) == pytest.approx(closed, abs=1e-4)
    vae = VAEGenerator(1, loss=cls(), max_epochs=30, random_state=0).fit(X)
    assert -vae.score(X) == pytest.approx(closed, abs=0.01)


@by_counts
def test_training_starts_no_worse_than_the_means(cls):
    X = table()
    ae = AutoencoderTransformer(1, loss=cls(), max_epochs=0, random_state=0).fit(X)
    means = prepared(cls, (4,))
    means.set_units(*map(torch.from_numpy, (X.mean(0), np.ones(4))))
    means.init_from(torch.zeros(200, 4), torch.from_numpy(X).float())
    at_means = means(torch.zeros(200, 4), torch.from_numpy(X).float()).mean()
    assert -ae.score_samples(X).mean() < 0.9 * float(at_means.detach())


@by_counts
def test_mean_is_linear_from_twice_the_largest_count_on(cls):
    loss = prepared(cls, (2,))
    loss.init_from(torch.zeros(3, 2), torch.tensor([[0.0, 5.0], [1.0, 7.0], [4.0, 1.0]]))
    raw = torch.tensor([[math.log(8.0), math.log(14.0)]])
    torch.testing.assert_close(loss.link(raw), torch.tensor([[8.0, 14.0]]))
    torch.testing.assert_close(loss.link(raw + 2), torch.tensor([[24.0, 42.0]]))


@by_counts
def test_counts_of_images_have_parameters_of_channels(cls):
    loss = prepared(cls, (3, 4, 5))
    mean = np.arange(1.0, 61.0).reshape(3, 4, 5)
    loss.set_units(torch.from_numpy(mean), torch.tensor(2.0))
    torch.testing.assert_close(loss.tangent.location.flatten().exp().double(), torch.from_numpy(mean.mean((1, 2))))
    x = torch.ones(2, 3, 4, 5)
    loss.init_from(torch.zeros(2, 3, 4, 5), x)
    assert loss(torch.zeros(2, 3, 4, 5), x).shape == (2,)
    assert loss.sample(torch.zeros(2, 3, 6, 7)).shape == (2, 3, 6, 7)


# ------------------------------------------------------------------ estimators


@pytest.mark.parametrize("loss", ["poisson", "negative_binomial"])
def test_generators_of_counts_draw_counts(loss):
    X = table()
    vae = VAEGenerator(2, loss=loss, **QUICK).fit(X)
    drawn = vae.sample(50, random_state=0)
    assert np.array_equal(drawn, drawn.round())
    assert drawn.min() >= 0
    assert (vae.reconstruct(X) > 0).all()
    assert np.isfinite(vae.score(X))
    assert not np.array_equal(drawn, vae.sample(50, random_state=1))


def test_missing_counts_are_filled_in():
    X = table().astype(float)
    X[::3, 1] = np.nan
    X[1::3, 0] = np.nan
    ae = AutoencoderTransformer(1, loss="negative_binomial", missing="mask", **QUICK).fit(X)
    filled = ae.reconstruct(X, keep_observed=True)
    assert np.isfinite(filled).all()
    assert np.array_equal(filled[~np.isnan(X)], X[~np.isnan(X)])


@by_counts
@pytest.mark.parametrize(
    ("value", "match"),
    [
        (-1.0, r"needs X in \[0, inf\], got values from -1 to .*, in column 2"),
        (0.5, "needs integers in X, got other values in column 2"),
    ],
)
def test_targets_other_than_counts_raise(cls, value, match):
    X = table().astype(float)
    X[3, 2] = value
    with pytest.raises(ValueError, match=f"loss={cls.__name__} {match}"):
        AutoencoderTransformer(1, loss=cls(), **QUICK).fit(X)
    ae = AutoencoderTransformer(1, loss=cls(), **QUICK).fit(table())
    with pytest.raises(ValueError, match=match):
        ae.score_samples(X)


@pytest.mark.parametrize(
    ("dispersion", "match"),
    [("best", "dispersion .*above 0.* must be one of 'learned', got 'best'"), (0.0, "dispersion == 0.0, must be > 0")],
)
def test_dispersion_is_checked(dispersion, match):
    with pytest.raises(ValueError, match=f"NegativeBinomial: {match}"):
        NegativeBinomial(dispersion).setup(1)


def test_given_dispersion_stays():
    ae = AutoencoderTransformer(1, loss=NegativeBinomial(0.5), **QUICK).fit(table())
    assert float(ae.module_.loss.current_dispersion) == pytest.approx(0.5)
    learned = AutoencoderTransformer(1, loss=NegativeBinomial(), **QUICK).fit(table())
    assert learned.module_.loss.current_dispersion.shape == (4,)
