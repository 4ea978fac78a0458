"""Noises: strength, distribution, values and random numbers."""

import pickle

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import kstest
from sklearn.base import clone

import skae
from skae import ConvAutoencoder
from skae._module.autoencoder import Autoencoder
from skae._utils.rng import Stream
from skae.bottlenecks import Identity
from skae.losses import SquaredError
from skae.nn import MLP
from skae.noise import BlockMasking, Compose, GaussianNoise, MaskingNoise, Noise, SaltAndPepper

fractions = st.floats(0, 1)
seeds = st.integers(0, 2**31 - 1)
N = 16_000
NOISES = [
    GaussianNoise(0.5),
    MaskingNoise(0.4),
    SaltAndPepper(0.4),
    BlockMasking(0.4),
    GaussianNoise((0.1, 0.5)),
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


@pytest.mark.parametrize("scale", [0.3, 2, np.float32(0.1)])
def test_single_level_is_the_draw_of_earlier_versions(scale):
    x = clean()
    with Stream(3):
        wanted = torch.add(x, torch.randn_like(x), alpha=scale)
    assert torch.equal(corrupted(GaussianNoise(scale), x, seed=3), wanted)


@given(low=st.floats(0, 10), width=st.floats(0.1, 10), seed=seeds)
@settings(max_examples=10)
def test_levels_of_samples_are_uniform_in_their_range(low, width, seed):
    n, d = 1000, 1000
    with Stream(seed):
        noise = prepared(GaussianNoise((low, low + width)))
        added, again = noise(torch.zeros(n, 2, d // 2)).double(), noise(torch.zeros(n, d)).double()
    levels = added.square().mean((1, 2)).sqrt()
    error = (low + width) / np.sqrt(2 * d)  # standard error of a level
    assert levels.min() >= low - 6 * error
    assert levels.max() <= low + width + 6 * error
    assert kstest(levels, "uniform", (low, width)).statistic < 2.5 / np.sqrt(n) + error / width
    halves = added.std(2)
    assert (halves[:, 0] / halves[:, 1]).log().abs().max() < 6 * np.sqrt(2 / d), "one level for all values of a sample"
    assert abs(np.corrcoef(levels, again.std(1))[0, 1]) < 5 / np.sqrt(n), "other levels in every batch"


def test_range_of_one_level_is_that_level():
    x = clean()
    torch.testing.assert_close(corrupted(GaussianNoise([0.4, 0.4]), x), corrupted(GaussianNoise(0.4), x))
    assert torch.equal(corrupted(GaussianNoise((0, 0)), x), x)


def added_by(module, X, seed=0):
    """What the noise of ``module`` adds to X, in the units of X."""
    u = module.standardize(torch.as_tensor(X))
    with Stream(seed):
        return (module.corrupt(u) - u) * module.scale


class Halved(Noise):
    """A user's noise that holds another and knows nothing of scales."""

    def __init__(self, inner=None):
        super().__init__()
        self.inner = inner

    def corrupt(self, x):
        return (x + self.inner.corrupt(x)) / 2


@pytest.mark.parametrize("level", [25.0, (10, 50)], ids=str)
@given(mean=st.floats(-10, 10), scale=st.floats(1, 100), seed=seeds)
@settings(max_examples=10)
def test_level_in_units_of_the_data_does_not_depend_on_their_scale(level, mean, scale, seed):
    x, noise = 200 * clean(shape=(50, 6)), GaussianNoise(level, unit="data")
    params = {"input_shape": (6,), "n_components": 2, "mean": mean, "scale": scale}
    wanted = corrupted(GaussianNoise(level), torch.zeros(50, 6), seed)
    composed = Compose(BlockMasking(0), Compose(noise, BlockMasking(0)))  # blocks of size 0 draw nothing
    for part, share in ((noise, 1.0), (composed, 1.0), (Halved(noise), 0.5)):
        added = added_by(Autoencoder(MLP, Identity(), SquaredError(), part, **params), x, seed)
        torch.testing.assert_close(added, share * wanted, rtol=1e-4, atol=1e-3)
    assert noise.data_scale == 1, "the recipe is unchanged"


def test_level_in_data_units_is_preserved(tmp_path):
    X = 100 * np.random.default_rng(0).random((60, 8, 8)) + np.linspace(0, 300, 8)
    noise = Compose(GaussianNoise((20, 20), unit="data"), BlockMasking(0))
    params = {"module__channels": (2,), "module__dense": False, "max_epochs": 1, "random_state": 0}
    ae = ConvAutoencoder(4, noise=noise, **params).fit(X)
    skae.save(ae, tmp_path / "ae.skae")
    found = [ae, pickle.loads(pickle.dumps(ae)), skae.load(tmp_path / "ae.skae")]
    found += [clone(ae).fit(X), clone(ae).fit(X).partial_fit(X / 2)]
    found += [clone(ae).set_params(warm_start=True).fit(X).fit(X / 2)]
    for est in found:
        added = added_by(est.module_, np.broadcast_to(X[:, None], (60, 1, 8, 8)).astype(np.float32))
        assert float(added.std()) == pytest.approx(20, rel=6 / np.sqrt(2 * X.size))
        assert est.noise.first.data_scale == 1, "the recipe learns nothing"


def test_gaussian_noise_of_version_0_2_has_the_unit_of_today():
    old = GaussianNoise(0.3)
    del old.unit
    again = clone(pickle.loads(pickle.dumps(old)))
    assert again.get_params() == {"scale": 0.3, "unit": "std"}
    assert torch.equal(corrupted(old, clean()), corrupted(again, clean()))


@pytest.mark.parametrize(
    ("params", "error", "match"),
    [
        ({"scale": (0.1, -1)}, ValueError, r"scale\[1\] == -1, must be >= 0"),
        ({"scale": (float("nan"), 1)}, ValueError, r"scale\[0\] == nan"),
        ({"scale": (0, float("inf"))}, ValueError, r"scale\[1\] == inf, must be finite"),
        ({"scale": (False, 1)}, TypeError, r"scale\[0\] must be an instance of Real, not bool"),
        ({"scale": True}, TypeError, "scale must be an instance of Real, not bool"),
        ({"scale": ("a", "b")}, TypeError, r"scale\[0\] must be an instance of"),
        ({"scale": (2, 1)}, ValueError, r"scale must be a number, or a range \(low, high\) .*, got \(2, 1\)"),
        ({"scale": [1]}, ValueError, r"scale must be a number, or a range .*, got \[1\]"),
        ({"scale": ()}, ValueError, r"scale must be a number, or a range .*, got \(\)"),
        ({"scale": (0, 1, 2)}, ValueError, r"scale must be a number, or a range .*, got \(0, 1, 2\)"),
        ({"unit": "dat"}, ValueError, "unit must be one of 'std', 'data', got 'dat'. Did you mean 'data'"),
        ({"unit": True}, ValueError, "unit must be one of"),
    ],
    ids=str,
)
def test_wrong_levels_and_units_raise(params, error, match):
    with pytest.raises(error, match=f"GaussianNoise: {match}"):
        GaussianNoise(**params).setup(n_components=1)


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
    with pytest.raises(TypeError, match="Compose: second must be a Noise object, got 'masking_noise'"):
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
