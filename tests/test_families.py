"""One battery for each family of parts, over all that its ``__all__`` names."""

import contextlib
import inspect
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from parts import members
from sklearn.base import clone

from skae import bottlenecks, critics, losses, nn, noise
from skae._module.autoencoder import Autoencoder

LOSSES = [cls for cls in members(losses, losses.Loss) if cls is not losses.Mixed]  # needs groups: tests/test_mixed.py
SUMS = [cls for cls in LOSSES if not cls.sums_to_one]  # losses that are sums over values
NOISES = [cls for cls in members(noise, noise.Noise) if cls is not noise.Compose]  # needs two: tests/test_noise.py
BOTTLENECKS = members(bottlenecks, bottlenecks.Bottleneck)
ESTIMATES = {bottlenecks.MMD, bottlenecks.TotalCorrelation}  # made from a batch, so they may lie below 0
CRITICS = members(critics, critics.Critic)
COMPONENTS = LOSSES + NOISES + BOTTLENECKS + CRITICS
NETWORKS = [getattr(nn, name) for name in nn.__all__ if name != "EncoderDecoder"]  # no defaults: tests/nn/test_pair.py


def by_name(classes):
    return pytest.mark.parametrize("cls", classes, ids=lambda cls: cls.__name__)


# ------------------------------------------------------------------ every component


@by_name(COMPONENTS)
def test_component_is_a_recipe(cls):
    part = cls()
    assert list(part.state_dict()) == [], "weights belong in setup"
    assert set(part.get_params()) == set(inspect.signature(cls).parameters)
    copy = clone(part)
    assert type(copy) is cls
    assert copy is not part
    assert copy.get_params() == part.get_params()
    assert repr(part).startswith(cls.__name__ + "(")


@by_name([cls for cls in COMPONENTS if inspect.signature(cls).parameters])
def test_component_parameters_are_set_and_checked(cls):
    mine = type("Mine", (cls,), {})  # messages name the class that the user knows
    for name in cls().get_params():
        part = mine().set_params(**{name: -1})
        assert part.get_params()[name] == -1
        with pytest.raises(ValueError, match=f"Mine: {name}.*-1"):
            part.setup(n_components=8)
    with pytest.raises(ValueError, match="wrong"):
        cls().set_params(wrong=1)


# ------------------------------------------------------------------ losses


rows = st.integers(1, 5)
features = st.integers(1, 7)
seeds = st.integers(0, 2**31 - 1)


def draw(seed, *shape):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def prepared(cls, **params):
    """A loss in evaluation mode: in training the scale of a likelihood may depend on the batch."""
    loss = cls(**params)
    loss.setup(n_components=2)
    return loss.eval()


def limits(loss):
    """Where targets may lie, and some of them where there is no end."""
    low, high = loss.domain or (0, 1)
    return low, high if math.isfinite(high) else low + 8


def targets(loss, values):
    """Values in [0, 1) as what the loss may be compared with."""
    low, high = limits(loss)
    x = low + values * (high - low)
    return x.round() if loss.integer else x


def is_density(loss):
    """Whether the loss is minus a log-density, which may lie below 0, rather than a log-probability or an error."""
    return isinstance(loss, losses.Likelihood) and loss.domain is None


@by_name(SUMS)
@given(n=rows, d=features, seed=seeds)
@settings(max_examples=25)
def test_loss_is_one_value_a_row_summed_over_features(cls, n, d, seed):
    loss, raw = prepared(cls), draw(seed, n, d) - 0.5
    x = targets(loss, draw(seed + 1, n, d))
    value = loss(raw, x)
    assert value.shape == (n,)
    assert is_density(loss) or (value >= 0).all()
    by_feature = sum(loss(raw[:, [j]], x[:, [j]]) for j in range(d))
    torch.testing.assert_close(value, by_feature)
    torch.testing.assert_close(loss(raw.reshape(n, 1, d), x.reshape(n, 1, d)), value)


@by_name(SUMS)
@given(seed=seeds)
@settings(max_examples=25)
def test_loss_has_its_minimum_where_the_link_gives_the_target(cls, seed):
    loss = prepared(cls)
    x = targets(loss, draw(seed, 1, 1) * 0.8 + 0.1)
    raw = torch.zeros(1, 1, requires_grad=True)
    optimizer = torch.optim.LBFGS([raw], max_iter=100, line_search_fn="strong_wolfe", tolerance_grad=1e-9)

    def closure():
        optimizer.zero_grad()
        value = loss(raw, x).sum()
        value.backward()
        return value

    for _ in range(5):
        optimizer.step(closure)
    torch.testing.assert_close(loss.link(raw.detach()), x, atol=2e-3 * limits(loss)[1], rtol=0)


@by_name([cls for cls in LOSSES if cls().domain is None])  # the others are computed in the data's own units
@given(seed=seeds, scale=st.floats(0.1, 100))
@settings(max_examples=25)
def test_loss_is_rescaled_to_other_units(cls, seed, scale):
    raw, x = draw(seed, 3, 4), draw(seed + 1, 3, 4)
    here = {name: 1.0 for name in ("delta", "scale") if name in cls().get_params()}  # what is in the data's units
    loss, there = prepared(cls, **here), prepared(cls, **dict.fromkeys(here, scale))
    value = loss.rescale(loss(raw, x), scale, 4)
    torch.testing.assert_close(value, there(raw * scale, x * scale), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(loss.rescale(loss(raw, x).numpy(), scale, np.full(3, 4)), value, rtol=1e-5, atol=1e-6)


@by_name(LOSSES)
def test_loss_gradient(cls):
    raw = torch.linspace(-2, 2, 6, dtype=torch.float64).reshape(2, 3).requires_grad_()
    x = torch.full((2, 3), 0.3, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda r: prepared(cls)(r, x), raw)


@by_name(LOSSES)
def test_loss_says_whether_its_link_is_the_identity(cls):
    raw = torch.tensor([[-3.0, 0.5]])
    assert torch.equal(cls().link(raw), raw) == cls.identity_link


LIKELIHOODS = [cls for cls in LOSSES if issubclass(cls, losses.Likelihood)]


@by_name(LIKELIHOODS)
@given(seed=seeds)
@settings(max_examples=25)
def test_samples_of_likelihood_are_in_its_domain(cls, seed):
    loss = prepared(cls)
    raw = 4 * draw(seed, 40, 2, 5) - 2
    drawn = loss.sample(raw)
    assert drawn.shape == raw.shape
    assert drawn.dtype == raw.dtype
    assert torch.isfinite(loss(raw, drawn)).all()
    if loss.domain is not None:
        assert drawn.min() >= loss.domain[0]
        assert drawn.max() <= loss.domain[1]
    if loss.integer:
        assert torch.equal(drawn, drawn.round())
    assert not torch.equal(drawn, loss.sample(raw)), "another draw at every call"


# ------------------------------------------------------------------ noises


@by_name(NOISES)
def test_noise_is_off_outside_training(cls):
    part, x = cls(), draw(0, 4, 5)
    part.setup(n_components=2)
    assert torch.equal(part.eval()(x), x)


@by_name(NOISES)
@given(n=rows, d=features, seed=seeds)
@settings(max_examples=25)
def test_noise_keeps_shape_and_leaves_its_input(cls, n, d, seed):
    part, x = cls(), draw(seed, n, d, 2)
    part.setup(n_components=2)
    before = x.clone()
    out = part.train()(x)
    assert out.shape == x.shape
    assert out.dtype == x.dtype
    assert torch.equal(x, before)


@by_name(NOISES)
def test_noise_of_strength_zero_is_identity(cls):
    name = next(iter(inspect.signature(cls).parameters))
    part, x = cls(**{name: 0.0}), draw(0, 50, 5)
    part.setup(n_components=2)
    assert torch.equal(part.train()(x), x)


# ------------------------------------------------------------------ bottlenecks


def width_of_vectors(part, n_components, n_positions):
    """The width of the vectors that a bottleneck sees."""
    return n_components * (1 if part.per_position else n_positions)


@by_name(BOTTLENECKS)
@given(n=rows, seed=seeds)
@settings(max_examples=25)
def test_bottleneck_contract(cls, n, seed):
    part, n_components = cls(), 12
    part.setup(n_components)
    h = draw(seed, n, part.n_outputs(n_components)) - 0.5
    z, penalty = part.train()(h)[:2]
    assert z.shape == (n, n_components)
    assert penalty.shape == (n,)
    assert torch.isfinite(z).all()
    assert torch.isfinite(penalty).all()
    assert cls in ESTIMATES or (penalty >= 0).all()
    code = part.eval().code(h)
    assert code.shape == (n, n_components)
    assert torch.equal(code, part.code(h)), "code is deterministic"
    torch.testing.assert_close(torch.cat([part.code(row[None]) for row in h]), code)


@by_name(BOTTLENECKS)
@given(n=rows, seed=seeds, training=st.booleans())
@settings(max_examples=25)
def test_projection_leaves_codes_and_its_own_results_unchanged(cls, n, seed, training):
    part = cls().train(training)
    part.setup(6, n_positions=2)
    width = width_of_vectors(part, 6, 2)
    code = part.code(draw(seed, n, part.n_outputs(width)) - 0.5)
    assert torch.equal(part.project(code), code)
    projected = part.project(draw(seed + 1, n, width) - 0.5)
    assert torch.equal(part.project(projected), projected)


@by_name(BOTTLENECKS)
def test_bottleneck_declares_its_abilities(cls):
    part = cls()
    part.setup(4, n_positions=3)
    width = width_of_vectors(part, 4, 3)
    h = draw(0, 5, part.n_outputs(width))
    assert all(isinstance(value, float) for value in part.metrics().values())
    if part.is_variational:
        assert [values.shape for values in part.distribution(h)] == [(5, width)] * 2
    else:
        with pytest.raises(NotImplementedError, match=cls.__name__):
            part.distribution(h)
    if not part.discrete:
        with pytest.raises(NotImplementedError, match=cls.__name__):
            part.indices(part.code(h))
        with pytest.raises(NotImplementedError, match=cls.__name__):
            part.from_indices(torch.zeros(5, dtype=torch.int64))
    assert bool(part.alphabet) is part.discrete


@by_name([cls for cls in BOTTLENECKS if cls.discrete])
@given(n=rows, seed=seeds, started=st.booleans())
@settings(max_examples=25)
def test_integers_are_in_alphabet_and_decode_to_code(cls, n, seed, started):
    part, n_positions = cls(), 3
    part.setup(4, n_positions=n_positions)
    h = 3 * draw(seed, 20 + n, part.n_outputs(width_of_vectors(part, 4, n_positions))) - 1
    if started:
        part.init_from(h)
    part.eval()
    indices = part.quantize(h)
    n_integers = width_of_vectors(part, len(part.alphabet), n_positions)
    assert indices.dtype == torch.int64
    assert indices.shape == (20 + n, n_integers)
    for values, n_levels in zip(indices.unflatten(1, (len(part.alphabet), -1)).unbind(1), part.alphabet, strict=True):
        assert n_levels is None or (values.min() >= 0 and values.max() < n_levels)
    code = part.code(h)
    assert torch.equal(part.dequantize(indices), code)
    assert torch.equal(part.indices(code), indices)
    assert torch.equal(part.indices(part.from_indices(indices)), indices)


@by_name([cls for cls in BOTTLENECKS if cls.discrete and "qualities" not in inspect.signature(cls).parameters])
def test_bottleneck_of_one_quality_rejects_others(cls):
    part = cls()
    part.setup(4)
    for of_quality in (
        lambda q: part.quantize(draw(0, 5, 4), q),
        lambda q: part.dequantize(part.quantize(draw(0, 5, 4)), q),
    ):
        with pytest.raises(ValueError, match=rf"quality == 1, must be 0: {cls.__name__} has one quality"):
            of_quality(1)


# ------------------------------------------------------------------ networks


def numbers_of_axes(network):
    """How many axes a row may have: three for images, two for sequences, any for a dense network."""
    taken = []
    for n_axes in (1, 2, 3):
        with contextlib.suppress(ValueError):
            network((4,) * n_axes, 2)
            taken.append(n_axes)
    return taken


def test_networks_take_the_rows_that_they_are_for():
    assert [numbers_of_axes(cls) for cls in (nn.MLP, nn.Conv, nn.GRU, nn.TCN)] == [[1, 2, 3], [3], [1, 2], [1, 2]]


@by_name(NETWORKS)
@given(data=st.data(), n_components=st.integers(1, 5), wider=st.integers(0, 3))
@settings(max_examples=25)
def test_network_keeps_shapes_and_rows_apart(cls, data, n_components, wider):
    n_axes = data.draw(st.sampled_from(numbers_of_axes(cls)))
    shape = data.draw(st.lists(st.integers(1, 4), min_size=n_axes, max_size=n_axes))
    network = cls(tuple(shape), n_components, n_components + wider).eval()
    x = draw(0, 3, *shape)
    if hasattr(network, "init_from"):
        network.init_from(x)
    h = network.encode(x)
    assert h.shape == (3, n_components + wider)
    z = h[:, :n_components]
    assert network.decode(z).shape == x.shape
    torch.testing.assert_close(torch.cat([network.encode(row[None]) for row in x]), h, atol=1e-5, rtol=1e-5)


# ------------------------------------------------------------------ all of them together


@pytest.mark.parametrize("bottleneck", BOTTLENECKS, ids=lambda cls: cls.__name__)
@pytest.mark.parametrize("corruption", [None, *NOISES], ids=lambda cls: getattr(cls, "__name__", "None"))
@by_name(LOSSES)
def test_combinations_of_parts_can_be_fitted(cls, corruption, bottleneck):
    x = targets(cls(), draw(0, 6, 3, 2))
    module = Autoencoder(
        nn.MLP,
        bottleneck(),
        cls(),
        None if corruption is None else corruption(),
        input_shape=(3, 2),
        n_components=8,
        mean=0.5,
        scale=0.25,
    )
    module.init_from(module.standardize(x))
    module.train()
    value = module.objective(module(module.standardize(x)), module.target(x))
    assert value.shape == (6,)
    value.mean().backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in module.parameters())
    module.eval()
    assert np.isfinite(module.reconstruct(x).detach().numpy()).all()


@by_name(LOSSES)
def test_total_is_sum_over_samples(cls):
    loss = cls()
    loss.setup(3)
    x, raw = targets(loss, draw(0, 6, 4)), draw(1, 6, 4) - 0.5
    loss.init_from(raw, x)
    torch.testing.assert_close(loss.total(raw, x), loss(raw, x).sum())


@by_name(BOTTLENECKS)
def test_bottlenecks_without_draws_are_deterministic(cls):
    bottleneck = cls()
    bottleneck.setup(8)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        before = torch.get_rng_state()
        bottleneck.train()
        bottleneck(torch.ones(5, bottleneck.n_outputs(8)))
        assert torch.equal(torch.get_rng_state(), before) or bottleneck.draws


def test_missing_methods_of_a_loss_are_named():
    class Partial(losses.Likelihood):
        pass

    raw = torch.zeros(2, 3)
    with pytest.raises(NotImplementedError, match=r"Partial does not define elementwise\(raw, x\)"):
        Partial()(raw, raw)
    with pytest.raises(NotImplementedError, match=r"Partial does not define sample\(raw\)"):
        Partial().sample(raw)


# ------------------------------------------------------------------ critics


@by_name(CRITICS)
@pytest.mark.parametrize("n_conditions", [0, 3])
def test_critic_scores_samples_apart_in_stages(cls, n_conditions):
    critic = cls()
    critic.setup(n_components=8, target_shape=(2, 8, 9), n_conditions=n_conditions)
    critic.init_from(torch.randn(10, 2, 8, 9))
    critic.eval()
    x, c = torch.randn(5, 2, 8, 9), torch.randn(5, n_conditions) if n_conditions else None
    *hidden, scores = critic(x, c)
    assert hidden
    assert len(scores) == 5
    torch.testing.assert_close(critic(x[:2], c if c is None else c[:2])[-1], scores[:2])
    assert c is None or not torch.equal(critic(x, c + 1)[-1], scores)


@by_name(CRITICS)
def test_critic_sees_samples_in_units_of_the_data(cls):
    scores = []
    x = torch.rand(20, 1, 8, 8)
    for factor, shift in ((1, 0), (255, -7)):
        torch.manual_seed(0)
        critic = cls()
        critic.setup(n_components=8, target_shape=(1, 8, 8))
        critic.init_from(factor * x + shift)
        scores.append(critic.eval()(factor * x + shift)[-1])
    torch.testing.assert_close(*scores, rtol=1e-3, atol=1e-4)
