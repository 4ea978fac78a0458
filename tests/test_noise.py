"""What each noise does to values: how much, how often, with which values, from which stream."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from skae._random import Stream
from skae.noise import GaussianNoise, MaskingNoise, SaltAndPepper

fractions = st.floats(0, 1)
seeds = st.integers(0, 2**31 - 1)
N = 16_000
NOISES = [GaussianNoise(0.5), MaskingNoise(0.4), SaltAndPepper(0.4)]


def prepared(noise, low=-2.0, high=3.0):
    noise.setup(n_components=1)
    if hasattr(noise, "init_from"):
        noise.init_from(torch.tensor([[low, high]]))
    return noise.train()


def corrupted(noise, x, seed=0):
    with Stream(seed):
        return prepared(noise)(x)


def clean(seed=1, shape=(N // 8, 4, 2)):
    """Values between those that salt and pepper put."""
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed)) + 0.5


def within(count, n, share):
    """Whether ``count`` of ``n`` is what chance gives: five standard deviations."""
    return abs(count - n * share) <= 5 * np.sqrt(n * share * (1 - share)) + 1e-9


# ------------------------------------------------------------------ all of them


@pytest.mark.parametrize("noise", NOISES, ids=repr)
def test_noise_comes_from_the_stream_and_from_nothing_else(noise):
    x, before = clean(shape=(20, 3)), torch.get_rng_state()
    first = corrupted(noise, x, seed=7)
    torch.testing.assert_close(corrupted(noise, x, seed=7), first, rtol=0, atol=0)
    assert not torch.equal(corrupted(noise, x, seed=8), first)
    with Stream(7):
        assert not torch.equal(prepared(noise)(x), prepared(noise)(x)), "a new draw at every call"
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("noise", NOISES, ids=repr)
def test_noise_is_independent_from_row_to_row_and_from_column_to_column(noise):
    changed = (corrupted(noise, torch.full((5000, 6), 0.5)) - 0.5).double()
    if not isinstance(noise, GaussianNoise):
        changed = (changed != 0).double()
    correlation = np.corrcoef(changed.T.numpy())
    assert np.abs(correlation - np.eye(6)).max() < 5 / np.sqrt(5000)
    lagged = np.corrcoef(changed[1:, 0].numpy(), changed[:-1, 0].numpy())
    assert abs(lagged[0, 1]) < 5 / np.sqrt(5000)


@pytest.mark.parametrize("noise", NOISES, ids=repr)
def test_gradients_pass_where_values_do(noise):
    x = clean(shape=(50, 4)).requires_grad_()
    out = corrupted(noise, x)
    out.sum().backward()
    passed = torch.ones_like(x) if isinstance(noise, GaussianNoise) else (out == x).float()
    assert torch.equal(x.grad, passed)


# ------------------------------------------------------------------ Gaussian


@given(scale=st.floats(1e-3, 100), seed=seeds)
@settings(deadline=None, max_examples=25)
def test_gaussian_noise_has_its_standard_deviation(scale, seed):
    x = clean()
    added = (corrupted(GaussianNoise(scale), x, seed) - x).double() / scale
    assert abs(float(added.mean())) < 6 / np.sqrt(N)
    assert float(added.std()) == pytest.approx(1, abs=6 / np.sqrt(2 * N))


def test_gaussian_noise_is_normal_and_does_not_depend_on_the_value():
    x = 1000 * clean()
    added = ((corrupted(GaussianNoise(0.5), x) - x) / 0.5).double().flatten()
    for sigmas, share in ((1, 0.6827), (2, 0.9545)):
        assert within(int((added.abs() < sigmas).sum()), N, share)
    assert abs(np.corrcoef(added, x.flatten())[0, 1]) < 5 / np.sqrt(N)


def test_gaussian_noise_of_a_numpy_scale():
    for scale in (np.float32(0.5), np.float64(0.5), np.int64(1), 1):
        assert not torch.equal(corrupted(GaussianNoise(scale), clean()), clean())


# ------------------------------------------------------------------ masking


@given(fraction=fractions, seed=seeds)
@settings(deadline=None, max_examples=25)
def test_masking_noise_puts_zero_for_its_fraction_and_leaves_the_rest(fraction, seed):
    x = clean()
    out = corrupted(MaskingNoise(fraction), x, seed)
    masked = out != x
    assert (out[masked] == 0).all(), "0 is the mean of conditioned values"
    assert within(int(masked.sum()), N, fraction)


def test_masking_all_leaves_nothing():
    assert not corrupted(MaskingNoise(1.0), clean()).any()


# ------------------------------------------------------------------ salt and pepper


@given(fraction=fractions, seed=seeds)
@settings(deadline=None, max_examples=25)
def test_salt_and_pepper_puts_either_extreme_for_half_its_fraction(fraction, seed):
    x = clean()
    out = corrupted(SaltAndPepper(fraction), x, seed)
    hit = out != x
    assert within(int((out[hit] == -2).sum()), N, fraction / 2)
    assert within(int((out[hit] == 3).sum()), N, fraction / 2)
    assert ((out[hit] == -2) | (out[hit] == 3)).all()


@given(x=st.lists(st.floats(-1e3, 1e3, width=32), min_size=1, max_size=30), fraction=fractions, seed=seeds)
@settings(deadline=None, max_examples=25)
def test_salt_and_pepper_stays_within_the_data(x, fraction, seed):
    u = torch.tensor(x)[:, None]
    noise = SaltAndPepper(fraction)
    noise.setup(n_components=1)
    noise.init_from(u)
    with Stream(seed):
        out = torch.stack([noise.train()(u) for _ in range(5)])
    assert u.min() <= out.min()
    assert out.max() <= u.max()
    assert set(out.unique().tolist()) <= set(u.unique().tolist())


def test_salt_and_pepper_takes_the_extremes_of_all_columns():
    noise = SaltAndPepper(1.0)
    noise.setup(n_components=1)
    noise.init_from(torch.tensor([[[0.0, 5.0], [1.0, 2.0]], [[-3.0, 0.0], [0.0, 0.0]]]))
    with Stream(0):
        out = noise.train()(torch.zeros(500, 2, 2))
    assert out[:, 1, 0].unique().tolist() == [-3.0, 5.0]


@given(n=st.integers(1, 5), d=st.integers(1, 5), seed=seeds)
@settings(deadline=None, max_examples=25)
def test_a_value_is_changed_whole_or_not_at_all(n, d, seed):
    x = clean(seed, (n, d))
    for noise in (MaskingNoise(0.5), SaltAndPepper(0.5)):
        out = corrupted(noise, x, seed)
        assert all(
            value in {0.0, -2.0, 3.0} or value == given_value
            for value, given_value in zip(out.flatten().tolist(), x.flatten().tolist(), strict=True)
        )


@pytest.mark.parametrize("wrong", [float("nan"), -1e-9, 1 + 1e-9, float("inf")])
@pytest.mark.parametrize("cls", [MaskingNoise, SaltAndPepper])
def test_a_fraction_lies_between_0_and_1(cls, wrong):
    with pytest.raises(ValueError, match=f"{cls.__name__}: fraction == "):
        cls(wrong).setup(n_components=1)


def test_a_scale_is_no_nan():
    with pytest.raises(ValueError, match="GaussianNoise: scale == nan"):
        GaussianNoise(float("nan")).setup(n_components=1)
