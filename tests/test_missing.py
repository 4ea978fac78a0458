"""NaN in the parts: standardization, validation, losses, noises and the module."""

from unittest import mock

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from parts import WholeRow, members
from sklearn.base import BaseEstimator
from torch import nn

from skae import losses
from skae._data import chunked as _slices
from skae._data.chunked import extremes, to_tensor
from skae._data.nan_policy import NaNPolicy
from skae._data.scaling import mean_and_scale
from skae._data.validation import check_domain, check_rows
from skae._module.autoencoder import Autoencoder
from skae.bottlenecks import Identity
from skae.losses import AbsoluteError, Bernoulli, Huber, Loss, SquaredError
from skae.noise import BlockMasking, Compose, GaussianNoise, MaskingNoise, Noise, SaltAndPepper

nan = float("nan")
# Losses of values; one of a whole row is missing with any of them: tests/test_mixed.py.
LOSSES = [cls() for cls in members(losses, Loss) if cls not in (losses.Categorical, losses.Mixed)] + [Huber(0.1)]
for _loss in LOSSES:
    _loss.setup(n_components=2)
    _loss.eval()  # while training the scale of a likelihood may be that of the batch, which joins its rows
NOISES = [
    GaussianNoise(0.5),
    MaskingNoise(0.4),
    MaskingNoise(1.0),
    BlockMasking(0.5),
    BlockMasking(1.0),
    SaltAndPepper(0.5),
    SaltAndPepper(1.0),
    Compose(SaltAndPepper(1.0), MaskingNoise(0.5)),
    Compose(BlockMasking(0.5), SaltAndPepper(1.0)),
    Compose(MaskingNoise(0.5), GaussianNoise(0.5)),
]
by_loss = pytest.mark.parametrize("loss", LOSSES, ids=repr)
by_noise = pytest.mark.parametrize("noise", NOISES, ids=repr)
seeds = st.integers(0, 2**20)


pytestmark = pytest.mark.usefixtures("seeded")


class Halves(nn.Module):
    """Two linear layers, which keep what they were given."""

    def __init__(self, input_shape, n_components):
        super().__init__()
        self.shape = tuple(input_shape)
        d = int(np.prod(input_shape))
        self.down, self.up = nn.Linear(d, n_components), nn.Linear(n_components, d)

    def encode(self, x):
        self.seen = x.detach().clone()
        return self.down(x.flatten(1))

    def decode(self, z):
        return self.up(z).unflatten(1, self.shape)


class Observed(Halves):
    """A user's network that requires the mask of observed values."""

    reads_padding = True

    def encode(self, x, observed):
        self.told_encoder = observed
        return super().encode(x)

    def decode(self, z, observed):
        self.told_decoder = observed
        return super().decode(z)


class OptionallyObserved(Observed):
    """The same with defaults."""

    def encode(self, x, observed=None):
        return super().encode(x, observed)

    def decode(self, z, observed=None):
        return super().decode(z, observed)


def build(network=Halves, loss=None, noise=None, missing=True, input_shape=(5,), **params):
    return Autoencoder(
        network, Identity(), loss or SquaredError(), noise, input_shape=input_shape, n_components=2, missing=missing,
        **params,
    )  # fmt: skip


def rows(n=6, shape=(5,), share=0.3, seed=0, dtype=torch.float32):
    """Values in [0, 1) and the same with holes, none of them all holes."""
    g = torch.Generator().manual_seed(seed)
    x = torch.rand(n, *shape, generator=g, dtype=dtype)
    holes = torch.rand(n, *shape, generator=g) < share
    holes.flatten(1)[:, 0] = False
    return x, x.masked_fill(holes, nan)


# ------------------------------------------------------------------ conditioning

floats = st.floats(-1e6, 1e6)
tables = hnp.arrays(np.float64, st.tuples(st.integers(1, 8), st.integers(1, 4)), elements=floats | st.just(nan)).filter(
    lambda X: not np.isnan(X).all()
)


def known_moments(X):
    """The means of the features, 0 where nothing is known, and the standard deviation about them."""
    known = ~np.isnan(X)
    means = np.where(known, X, 0).sum(0) / np.maximum(known.sum(0), 1)
    return means, float(np.sqrt((np.where(known, X - means, 0) ** 2).sum() / known.sum()))


@given(X=tables, size=st.integers(1, 20), weight=hnp.arrays(np.int64, 8, elements=st.integers(1, 4)))
@settings(max_examples=60)
def test_mean_and_scale_of_known_values(X, size, weight):
    weight = weight[: len(X)]
    repeated = np.repeat(X, weight, axis=0)
    tolerance = 1e-12 * max(map(abs, extremes(X)))
    means, spread = known_moments(repeated)
    with mock.patch.object(_slices, "_SLICE", size):
        mean, scale = mean_and_scale(X, weight.astype(np.float64))
    np.testing.assert_allclose(mean, means, atol=max(tolerance, 1e-300), rtol=0)
    if spread > max(100 * tolerance, 1e-30):
        assert scale == pytest.approx(spread, rel=1e-9)


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", "g", ">f4", ">f8"])
def test_mean_and_scale_with_nan_in_all_dtypes(dtype):
    X = rows(40, (3, 2))[1].numpy().astype(dtype)
    exact = X.astype(np.float64)
    mean, scale = mean_and_scale(X)
    means, spread = known_moments(exact)
    np.testing.assert_allclose(mean, means, rtol=1e-12)
    assert scale == pytest.approx(spread, rel=1e-12)
    np.testing.assert_array_equal(np.isnan(to_tensor(X).numpy()), np.isnan(exact))


@given(X=tables)
@settings(max_examples=40)
def test_extremes_of_known_values(X):
    assert extremes(X) == (np.nanmin(X), np.nanmax(X))


def test_extremes_of_all_nan_are_nan():
    assert np.isnan(extremes(np.full((2, 2), nan))).all()


def test_constant_known_values_have_scale_one():
    X = np.full((5, 3), 0.1)
    X[::2, 1] = nan
    X[1] = nan
    mean, scale = mean_and_scale(X)
    assert mean.tolist() == [0.1] * 3
    assert scale == 1.0


def test_feature_without_known_value_has_mean_zero():
    X = np.array([[1.0, nan], [3.0, nan]])
    mean, scale = mean_and_scale(X)
    assert mean.tolist() == [2.0, 0.0]
    assert scale == 1.0


def test_large_offset_with_nan_loses_no_precision():
    X = np.random.default_rng(0).normal(size=(500, 4))
    X[::3, 1] = nan
    mean, scale = mean_and_scale(X + 1e9)
    means, spread = known_moments(X)
    np.testing.assert_allclose(mean - 1e9, means, atol=2e-7)
    assert scale == pytest.approx(spread, rel=1e-6)


# ------------------------------------------------------------------ validation


class Fitted(BaseEstimator):
    """As much of an estimator as the checks ask for."""

    def __init__(self, input_shape_=None):
        self.input_shape_ = input_shape_


def fitted_on(X, **rules):
    est = Fitted(X.shape[1:])
    check_rows(est, X, reset=True, **rules)
    return est


def test_nan_raises_unless_allowed():
    X = rows()[1].numpy()
    with pytest.raises(ValueError, match="Input X contains NaN"):
        check_rows(Fitted(), X, reset=True)
    assert np.isnan(check_rows(Fitted(), X, reset=True, nan=NaNPolicy(missing=True))).any()


@pytest.mark.parametrize("policy", [NaNPolicy(True), NaNPolicy(step_axis=1), NaNPolicy(True, 1)], ids=str)
def test_infinity_always_raises(policy):
    X = np.ones((4, 5, 2))
    X[0, 4] = nan
    for value in (np.inf, -np.inf):
        X[1, 1, 1] = value
        with pytest.raises(ValueError, match="Input X contains infinity"):
            check_rows(Fitted(), X, reset=True, nan=policy)


def test_all_nan_samples_are_accepted_and_all_nan_x_raises():
    X = rows()[1].numpy()
    X[2] = nan
    check_rows(Fitted(), X, reset=True, nan=NaNPolicy(missing=True))
    with pytest.raises(ValueError, match="X must have at least one value that is not NaN"):
        check_rows(Fitted(), np.full((4, 3), nan), reset=True, nan=NaNPolicy(missing=True))
    est = fitted_on(X, nan=NaNPolicy(missing=True))
    found = check_rows(est, np.full((2, 5), nan), reset=False, nan=NaNPolicy(missing=True))
    assert np.isnan(found).all(), "to fill in is possible"


@pytest.mark.parametrize("step", [0, 2])
@pytest.mark.parametrize("whole", [True, False])
def test_nan_before_end_of_sequence_raises(step, whole):
    X = np.ones((5, 6, 2))
    X[1, 4:] = nan
    X[3, step, slice(None) if whole else 0] = nan
    with pytest.raises(ValueError, match="in whole steps after the end of a sequence, but sample 3 has it before"):
        check_rows(Fitted(), X, reset=True, nan=NaNPolicy(step_axis=1))
    check_rows(Fitted(), X, reset=True, nan=NaNPolicy(True, 1))


def test_partially_missing_last_step_is_not_padding():
    X = np.ones((5, 6, 2))
    X[2, 5, 1] = nan
    with pytest.raises(ValueError, match="sample 2 has it before"):
        check_rows(Fitted(), X, reset=True, nan=NaNPolicy(step_axis=1))


@pytest.mark.parametrize("missing", [False, True])
@pytest.mark.parametrize("shape", [(4, 6, 2), (4, 6)])
def test_empty_sequence_raises(missing, shape):
    X = np.ones(shape)
    X[1] = nan
    with pytest.raises(ValueError, match="at least one step in every sample, but sample 1 is all NaN"):
        check_rows(Fitted(), X, reset=True, nan=NaNPolicy(missing, 1))


@pytest.mark.parametrize("shape", [(3, 0, 2), (3, 4, 0)])
@pytest.mark.parametrize("dtype", ["f8", "i8"])
def test_sequences_without_steps_or_channels_raise(shape, dtype):
    empty = np.zeros(shape, dtype)
    with pytest.raises(ValueError, match=r"X must hold|X has|at least one|0 feature"):
        check_rows(Fitted(), empty, reset=True, nan=NaNPolicy(step_axis=1))
    est = fitted_on(np.ones((3, 4, 2)), nan=NaNPolicy(step_axis=1))
    with pytest.raises(ValueError, match=r"X must hold|X has|at least one|0 feature"):
        check_rows(est, empty, reset=False, nan=NaNPolicy(step_axis=1))


def test_sequences_with_three_axes_raise():
    with pytest.raises(ValueError, match=r"X must have sequences of shape \(length, channels\)"):
        check_rows(Fitted(), np.ones((2, 3, 4, 5)), reset=True, nan=NaNPolicy(step_axis=1))


@pytest.mark.parametrize("length", [1, 3, 9])
@pytest.mark.parametrize("as_list", [False, True], ids=["array", "list"])
def test_sequence_length_may_differ_from_fit(length, as_list):
    est = fitted_on(np.ones((3, 5, 2)), nan=NaNPolicy(step_axis=1))
    X = np.ones((4, length, 2))
    assert check_rows(est, X.tolist() if as_list else X, reset=False, nan=NaNPolicy(step_axis=1)).shape == X.shape
    with pytest.raises(ValueError, match=r"X has rows of shape|features"):
        check_rows(est, X[:, :, :1], reset=False, nan=NaNPolicy(step_axis=1))


def test_other_length_without_padding_raises():
    est = fitted_on(np.ones((3, 5, 2)))
    with pytest.raises(ValueError, match=r"length 4 instead of 5|X has 4 features|rows of shape \(4, 2\)"):
        check_rows(est, np.ones((3, 4, 2)), reset=False)


def test_domain_is_checked_for_known_values():
    X = np.array([[0.0, nan], [1.0, 0.5]])
    check_domain(X, "X", Bernoulli())
    check_domain(np.full((2, 2), nan), "X", Bernoulli())
    with pytest.raises(ValueError, match=r"needs X in \[0, 1\], got values from 0 to 2"):
        check_domain(2 * X, "X", Bernoulli())


def test_pandas_missing_values_are_nan():
    X = pd.DataFrame({"a": pd.array([1, None, 3], "Int64"), "b": pd.array([0.5, 1.5, None], "Float64")})
    found = check_rows(Fitted(), X, reset=True, nan=NaNPolicy(missing=True))
    np.testing.assert_array_equal(found, [[1, 0.5], [nan, 1.5], [3, nan]])
    with pytest.raises(ValueError, match="contains NaN"):
        check_rows(Fitted(), X, reset=True)


# ------------------------------------------------------------------ losses


@by_loss
@given(n=st.integers(1, 4), d=st.integers(1, 6), share=st.floats(0, 1), seed=seeds)
@settings(max_examples=25)
def test_masked_loss_uses_observed_values_only(loss, n, d, share, seed):
    g = torch.Generator().manual_seed(seed)
    raw, x = 4 * torch.rand(n, d, generator=g) - 2, torch.rand(n, d, generator=g)
    observed = torch.rand(n, d, generator=g) >= share
    expected = [loss(r[o][None], t[o][None]).item() for r, t, o in zip(raw, x, observed, strict=True)]
    np.testing.assert_allclose(loss(raw, x, observed).detach().numpy(), expected, atol=1e-5)


@by_loss
@given(seed=seeds, shape=st.sampled_from([(5,), (4, 2), (1, 3, 3)]))
@settings(max_examples=15)
def test_gradients_are_zero_at_missing_values(loss, seed, shape):
    x, holed = rows(3, shape, seed=seed)
    raw = (torch.rand(3, *shape, generator=torch.Generator().manual_seed(seed + 1)) - 0.5).requires_grad_()
    known = ~holed.isnan()
    module = build(loss=loss, input_shape=shape).eval()
    (full,) = torch.autograd.grad(module.loss(raw, x).sum(), raw)
    value = module._loss(raw, holed)
    assert value.shape == (3,)
    (masked,) = torch.autograd.grad(value.sum(), raw)
    torch.testing.assert_close(masked, torch.where(known, full, 0.0), atol=1e-6, rtol=1e-5)
    assert (masked[~known] == 0).all()


@by_loss
def test_output_at_missing_values_does_not_affect_loss(loss):
    raw = torch.tensor([[1e30, 0.5], [-1e30, 0.5]], requires_grad=True)
    observed = torch.tensor([[False, True], [False, True]])
    value = loss(raw, torch.zeros(2, 2), observed)
    torch.testing.assert_close(value, loss(raw[:, 1:], torch.zeros(2, 1)))
    (gradient,) = torch.autograd.grad(value.sum(), raw)
    assert gradient[:, 0].tolist() == [0, 0]


class Quartic(Loss):
    """A user's own loss, value by value."""

    def elementwise(self, raw, x):
        return (raw - x) ** 4


@pytest.mark.parametrize(("network", "missing"), [(Halves, True), (OptionallyObserved, False)])
def test_loss_without_observed_raises(network, missing):
    with pytest.raises(TypeError, match="loss=WholeRow does not support missing values"):
        build(network, WholeRow(), missing=missing)


def test_custom_losses():
    x, holed = rows()
    whole = build(loss=WholeRow(), missing=False)
    torch.testing.assert_close(whole.objective(whole(x), x), (whole(x)[0] - x).norm(dim=1))
    quartic = build(loss=Quartic())
    output = quartic(holed)
    expected = torch.where(holed.isnan(), 0.0, (output[0] - x) ** 4).sum(1)
    torch.testing.assert_close(quartic.objective(output, holed), expected)


# ------------------------------------------------------------------ the module


@by_loss
def test_all_missing_samples_have_zero_loss_and_finite_gradients(loss):
    _, u = rows()
    u[2] = nan
    module = build(loss=loss, noise=GaussianNoise(0.1))
    module.init_from(u)
    objective = module.objective(module(u), u)
    assert objective[2] == 0
    assert (objective[[0, 1, 3, 4, 5]] > 0).all()
    objective.mean().backward()
    assert all(torch.isfinite(p.grad).all() for p in module.parameters())
    assert any((p.grad != 0).any() for p in module.parameters())


def test_nan_is_replaced_by_feature_mean():
    _, u = rows(20)
    u[:, 3] = nan
    module = build()
    module.init_from(u)
    expected = u.nanmean(0).nan_to_num()
    torch.testing.assert_close(module.baseline, expected)
    assert module.baseline[3] == 0, "the mean of all of X, where a feature has none"
    for training in (True, False):
        module.train(training)(u)
        torch.testing.assert_close(module.network.seen, torch.where(u.isnan(), expected, u))


def test_nan_is_replaced_by_feature_mean_in_data_units():
    x, holed = rows(20, dtype=torch.float64)
    module = build(mean=3.0, scale=2.0).eval()
    module.init_from(module.standardize(holed))
    filled = torch.where(holed.isnan(), holed.nanmean(0), holed)
    for method in ("encode", "reconstruct"):
        found, expected = (getattr(module, method)(rows) for rows in (holed, filled))
        torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
    known = ~holed.isnan()
    error = torch.where(known, (module.reconstruct(holed) - x) / 2, 0.0).square().sum(1)
    found = module.squared_error(holed, holed)
    torch.testing.assert_close(found[:, 0].double(), error, atol=1e-5, rtol=1e-4)
    assert found[:, 1].tolist() == known.sum(1).tolist()


@by_noise
@pytest.mark.parametrize("shape", [(6,), (5, 2), (2, 4, 4)])
def test_noise_keeps_missing_values_missing(noise, shape):
    _, u = rows(8, shape)
    u[3] = nan
    module = build(noise=noise, input_shape=shape)
    module.init_from(u)
    noisy = module.corrupt(u)
    assert torch.equal(noisy.isnan(), u.isnan())
    assert torch.isfinite(noisy[~u.isnan()]).all()
    module.train()(u)
    holes = module.baseline.expand_as(u)[u.isnan()]
    assert torch.equal(module.network.seen[u.isnan()], holes), "and enter as the mean, not as noise"


@by_noise
def test_noise_on_known_values_ignores_missing_ones(noise):
    x, u = rows(50)
    modules = build(noise=noise, missing=True), build(noise=noise, missing=False)
    for module in modules:
        module.init_from(x)
    noisy = []
    for module, v in zip(modules, (u, x), strict=True):
        torch.manual_seed(3)
        noisy.append(module.corrupt(v))
    assert torch.equal(noisy[0][~u.isnan()], noisy[1][~u.isnan()])


def test_masked_values_are_treated_as_missing():
    _, u = rows(30)
    module = build(noise=MaskingNoise(1.0))
    module.init_from(u)
    known = ~u.isnan()
    assert torch.equal(module.corrupt(u)[known], module.baseline.expand_as(u)[known])


def test_salt_and_pepper_uses_extremes_of_known_values():
    _, u = rows(30)
    module = build(noise=SaltAndPepper(1.0))
    module.init_from(u)
    hit = module.corrupt(u)
    low, high = extremes(u.numpy())
    assert sorted(set(hit[~hit.isnan()].tolist())) == pytest.approx([low, high])


class Wobble(Noise):
    """A user's own noise whose size is read off the rows."""

    def corrupt(self, x):
        return x + 0.1 * x.std() * torch.randn_like(x)


class Neighbors(Noise):
    """A user's own noise that mixes values with those beside them."""

    def corrupt(self, x):
        return 0.5 * (x + x.roll(1, 1))


@pytest.mark.parametrize("noise", [Wobble(), Neighbors()], ids=repr)
def test_custom_noise_across_features_sees_no_nan(noise):
    _, u = rows(30)
    module = build(noise=noise)
    module.init_from(u)
    torch.manual_seed(5)
    found = module.corrupt(u)
    torch.manual_seed(5)
    expected = noise.corrupt(torch.where(u.isnan(), module.baseline, u))
    known = ~u.isnan()
    assert torch.equal(found.isnan(), u.isnan())
    torch.testing.assert_close(found[known], expected[known])


@pytest.mark.parametrize("shape", [(6,), (5, 2)])
def test_mask_option_without_missing_values_equal_bits(shape):
    x, _ = rows(200, shape)
    found = []
    for missing in (True, False):
        torch.manual_seed(1)
        module = build(noise=MaskingNoise(0.3), missing=missing, input_shape=shape)
        module.init_from(x)
        objective = module.objective(module(x), x)
        objective.mean().backward()
        found.append([module.baseline, objective.detach(), *(p.grad for p in module.parameters())])
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))


# ------------------------------------------------------------------ networks with a mask


@pytest.mark.parametrize("network", [OptionallyObserved, Observed])
@pytest.mark.parametrize("missing", [False, True])
def test_reads_padding_network_gets_observed(network, missing):
    x, _ = rows(4, (6, 2))
    x[1, 3:], x[2, 5:] = nan, nan
    if missing:
        x[0, 2, 1] = nan
    module = build(network, missing=missing, input_shape=(6, 2), noise=MaskingNoise(0.5))
    module.init_from(x)
    assert module.baseline.shape == module.input_shape[1:], "one mean for each channel"
    for training in (True, False):
        module.train(training)(x)
        for told in (module.network.told_encoder, module.network.told_decoder):
            assert torch.equal(told, ~x.isnan()), "of the rows, not of what noise leaves"
        assert torch.equal(module.network.seen[x.isnan()], module.baseline.expand_as(x)[x.isnan()])
    x_hat = module.eval().reconstruct(x)
    ended = torch.zeros_like(x, dtype=torch.bool)
    ended[1, 3:], ended[2, 5:] = True, True
    assert torch.equal(x_hat.isnan(), ended), "a hole before the end is filled in"
    module.decode(torch.zeros(3, 2))
    assert module.network.told_decoder is None


@pytest.mark.parametrize("loss", [SquaredError(), AbsoluteError()], ids=repr)
def test_padding_does_not_affect_loss(loss):
    x, _ = rows(4, (6, 2))
    x[:, 4:] = nan
    module = build(OptionallyObserved, loss, missing=False, input_shape=(6, 2))
    raw = module(x)[0]
    torch.testing.assert_close(module._loss(raw, x), loss(raw[:, :4], x[:, :4]))
