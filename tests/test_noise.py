"""Noises: strength, distribution, values and random numbers."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone

from skae._utils.rng import Stream
from skae.noise import BlockMasking, Compose, GaussianNoise, MaskingNoise, SaltAndPepper

fractions = st.floats(0, 1)
seeds = st.integers(0, 2**31 - 1)
N = 16_000
NOISES = [
    GaussianNoise(0.5),
    MaskingNoise(0.4),
    SaltAndPepper(0.4),
    BlockMasking(0.4),
    Compose(GaussianNoise(0.5), BlockMasking(0.4)),
]


def prepared(noise, low=-2.0, high=3.0):
    noise.setup(n_components=1)
    if hasattr(noise, "init_from"):
        noise.init_from(torch.tensor([[low, high]]))
    return noise.train()


def corrupted(noise, x, seed=0):
    with Stream(seed):
        return prepared(noise)(x)


def same(a, b):
    """Whether two tensors are equal, NaN being equal to NaN."""
    return np.array_equal(a.numpy(), b.numpy(), equal_nan=True)


def clean(seed=1, shape=(N // 8, 4, 2)):
    """Values between those that salt and pepper put."""
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed)) + 0.5


def within(count, n, share):
    """Whether ``count`` of ``n`` is what chance gives: five standard deviations."""
    return abs(count - n * share) <= 5 * np.sqrt(n * share * (1 - share)) + 1e-9


# ------------------------------------------------------------------ all of them


@pytest.mark.parametrize("noise", NOISES, ids=repr)
def test_noise_is_reproducible(noise):
    x, before = clean(shape=(20, 3)), torch.get_rng_state()
    first = corrupted(noise, x, seed=7)
    assert same(corrupted(noise, x, seed=7), first)
    assert not same(corrupted(noise, x, seed=8), first)
    with Stream(7):
        assert not same(prepared(noise)(x), prepared(noise)(x)), "a new draw at every call"
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("noise", NOISES[:3], ids=repr)
def test_noise_is_independent_across_samples_and_features(noise):
    changed = (corrupted(noise, torch.full((5000, 6), 0.5)) - 0.5).double()
    if not isinstance(noise, GaussianNoise):
        changed = (changed != 0).double()
    correlation = np.corrcoef(changed.T.numpy())
    assert np.abs(correlation - np.eye(6)).max() < 5 / np.sqrt(5000)
    lagged = np.corrcoef(changed[1:, 0].numpy(), changed[:-1, 0].numpy())
    assert abs(lagged[0, 1]) < 5 / np.sqrt(5000)


@pytest.mark.parametrize("noise", NOISES[:4], ids=repr)
def test_gradients_flow_through_unchanged_values(noise):
    x = clean(shape=(50, 4)).requires_grad_()
    out = corrupted(noise, x)
    out.sum().backward()
    passed = torch.ones_like(x) if isinstance(noise, GaussianNoise) else (out == x).float()
    assert torch.equal(x.grad, passed)


# ------------------------------------------------------------------ Gaussian


@given(scale=st.floats(1e-3, 100), seed=seeds)
@settings(max_examples=25)
def test_gaussian_noise_has_its_standard_deviation(scale, seed):
    x = clean()
    added = (corrupted(GaussianNoise(scale), x, seed) - x).double() / scale
    assert abs(float(added.mean())) < 6 / np.sqrt(N)
    assert float(added.std()) == pytest.approx(1, abs=6 / np.sqrt(2 * N))


def test_gaussian_noise_is_normal_and_independent_of_values():
    x = 1000 * clean()
    added = ((corrupted(GaussianNoise(0.5), x) - x) / 0.5).double().flatten()
    for sigmas, share in ((1, 0.6827), (2, 0.9545)):
        assert within(int((added.abs() < sigmas).sum()), N, share)
    assert abs(np.corrcoef(added, x.flatten())[0, 1]) < 5 / np.sqrt(N)


def test_gaussian_noise_accepts_numpy_scale():
    for scale in (np.float32(0.5), np.float64(0.5), np.int64(1), 1):
        assert not torch.equal(corrupted(GaussianNoise(scale), clean()), clean())


# ------------------------------------------------------------------ masking


@given(fraction=fractions, seed=seeds)
@settings(max_examples=25)
def test_masking_noise_masks_the_given_fraction(fraction, seed):
    x = clean()
    out = corrupted(MaskingNoise(fraction), x, seed)
    masked = out.isnan()
    assert torch.equal(out[~masked], x[~masked])
    assert within(int(masked.sum()), N, fraction)


def test_masking_fraction_one_masks_all_values():
    assert corrupted(MaskingNoise(1.0), clean()).isnan().all()


# ------------------------------------------------------------------ blocks


def is_rectangle(hidden):
    """Whether the True of a 2-D array fill a rectangle."""
    down, across = hidden.any(1).nonzero().flatten(), hidden.any(0).nonzero().flatten()
    return bool(hidden[down.min() : down.max() + 1, across.min() : across.max() + 1].all())


@given(size=st.floats(0.01, 1), height=st.integers(1, 12), width=st.integers(1, 12), c=st.integers(1, 3), seed=seeds)
@settings(max_examples=50)
def test_block_is_one_rectangle_in_all_channels(size, height, width, c, seed):
    x = clean(seed, (4, c, height, width))
    out = corrupted(BlockMasking(size), x, seed)
    hidden = out.isnan()
    assert torch.equal(out[~hidden], x[~hidden])
    area = max(1, round(size * height)) * max(1, round(size * width))
    for image in hidden:
        assert all(torch.equal(channel, image[0]) for channel in image)
        assert int(image[0].sum()) == area
        assert is_rectangle(image[0])


def test_block_positions_are_uniform_and_independent():
    hidden = corrupted(BlockMasking(0.25), torch.ones(2000, 1, 8, 8)).isnan()[:, 0]
    corners = hidden[:, [0, 0, 7, 7], [0, 7, 0, 7]].double().mean(0)
    assert np.allclose(corners, 1 / 49, atol=5 * np.sqrt(1 / 49 / 2000)), "one of 7 x 7 places each"
    more = corrupted(BlockMasking(0.25, n_blocks=3), torch.ones(2000, 1, 8, 8)).isnan()[:, 0].sum((1, 2))
    assert more.min() >= 4
    assert more.max() == 12
    assert len(more.unique()) > 3


def test_blocks_of_flat_samples_are_intervals():
    hidden = corrupted(BlockMasking(0.3), torch.ones(500, 10)).isnan()
    assert (hidden.sum(1) == 3).all()
    assert (hidden.int().diff(dim=1) == 1).sum(1).max() <= 1
    assert hidden.any(0).all()


def test_zero_blocks_mask_nothing():
    x = clean(shape=(3, 1, 4, 4))
    for noise in (BlockMasking(0.0), BlockMasking(n_blocks=0)):
        assert torch.equal(corrupted(noise, x), x)


# ------------------------------------------------------------------ one after the other


def test_composed_noises_apply_in_order():
    x = torch.ones(300, 6)
    out = corrupted(Compose(SaltAndPepper(1.0), MaskingNoise(0.5)), x)
    assert within(int(out.isnan().sum()), x.numel(), 0.5)
    assert set(out[~out.isnan()].tolist()) == {-2.0, 3.0}, "the first has read its extremes"
    out = corrupted(Compose(MaskingNoise(0.5), SaltAndPepper(1.0)), x)
    assert set(out.unique().tolist()) == {-2.0, 3.0}, "the second strikes what the first has hidden"


def test_composed_noises_clone_set_params_and_validate():
    noise = Compose(GaussianNoise(0.5), Compose(MaskingNoise(), BlockMasking()))
    copy = clone(noise).set_params(first__scale=2.0, second__second__size=0.1)
    assert (copy.first.scale, copy.second.second.size) == (2.0, 0.1)
    assert (noise.first.scale, noise.second.second.size) == (0.5, 0.4)
    with pytest.raises(ValueError, match="GaussianNoise: scale == -1"):
        Compose(MaskingNoise(), GaussianNoise(-1)).setup(n_components=1)
    with pytest.raises(TypeError, match="Compose: second must be a noise, got 'masking_noise'"):
        Compose(MaskingNoise(), "masking_noise").setup(n_components=1)


# ------------------------------------------------------------------ salt and pepper


@given(fraction=fractions, seed=seeds)
@settings(max_examples=25)
def test_salt_and_pepper_uses_both_extremes_equally(fraction, seed):
    x = clean()
    out = corrupted(SaltAndPepper(fraction), x, seed)
    hit = out != x
    assert within(int((out[hit] == -2).sum()), N, fraction / 2)
    assert within(int((out[hit] == 3).sum()), N, fraction / 2)
    assert ((out[hit] == -2) | (out[hit] == 3)).all()


@given(x=st.lists(st.floats(-1e3, 1e3, width=32), min_size=1, max_size=30), fraction=fractions, seed=seeds)
@settings(max_examples=25)
def test_salt_and_pepper_stays_in_data_range(x, fraction, seed):
    u = torch.tensor(x)[:, None]
    noise = SaltAndPepper(fraction)
    noise.setup(n_components=1)
    noise.init_from(u)
    with Stream(seed):
        out = torch.stack([noise.train()(u) for _ in range(5)])
    assert u.min() <= out.min()
    assert out.max() <= u.max()
    assert set(out.unique().tolist()) <= set(u.unique().tolist())


def test_salt_and_pepper_uses_extremes_over_all_features():
    noise = SaltAndPepper(1.0)
    noise.setup(n_components=1)
    noise.init_from(torch.tensor([[[0.0, 5.0], [1.0, 2.0]], [[-3.0, 0.0], [0.0, 0.0]]]))
    with Stream(0):
        out = noise.train()(torch.zeros(500, 2, 2))
    assert out[:, 1, 0].unique().tolist() == [-3.0, 5.0]


@given(n=st.integers(1, 5), d=st.integers(1, 5), seed=seeds)
@settings(max_examples=25)
def test_values_are_replaced_or_unchanged(n, d, seed):
    x = clean(seed, (n, d))
    for noise in (MaskingNoise(0.5), SaltAndPepper(0.5)):
        out = corrupted(noise, x, seed).nan_to_num(-9.0)
        assert all(
            value in {-9.0, -2.0, 3.0} or value == given_value
            for value, given_value in zip(out.flatten().tolist(), x.flatten().tolist(), strict=True)
        )


@pytest.mark.parametrize("wrong", [float("nan"), -1e-9, 1 + 1e-9, float("inf")])
@pytest.mark.parametrize("cls", [MaskingNoise, SaltAndPepper])
def test_fraction_outside_unit_interval_raises(cls, wrong):
    with pytest.raises(ValueError, match=f"{cls.__name__}: fraction == "):
        cls(wrong).setup(n_components=1)


def test_nan_scale_raises():
    with pytest.raises(ValueError, match="GaussianNoise: scale == nan"):
        GaussianNoise(float("nan")).setup(n_components=1)
