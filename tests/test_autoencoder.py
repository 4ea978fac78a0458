"""The module: checks, copies, units, the layout of codes, and the objective."""

import math
import pickle

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from skae import AutoencoderTransformer, VAEGenerator
from skae import nn as networks
from skae._data.scaling import mean_and_scale
from skae._module.autoencoder import Autoencoder
from skae._module.inspection import draws_nothing
from skae._utils.rng import Stream
from skae.bottlenecks import Bottleneck, Gaussian, Identity, Latent, Sparse
from skae.losses import AbsoluteError, Bernoulli, Huber, Laplace, SquaredError
from skae.losses import Gaussian as Normally
from skae.noise import GaussianNoise, SaltAndPepper

LOSSES = [SquaredError(), AbsoluteError(), Huber(0.7), Bernoulli(), Normally(0.7), Laplace(0.7)]
by_loss = pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: type(loss).__name__)


pytestmark = pytest.mark.usefixtures("seeded")


class Halves(nn.Module):
    """Two linear layers; ``wider`` columns more from the encoder than the code has."""

    def __init__(self, input_shape=(4,), n_components=2, wider=0):
        super().__init__()
        self.shape = tuple(input_shape)
        d = int(np.prod(input_shape))
        self.down, self.up = nn.Linear(d, n_components + wider), nn.Linear(n_components, d)

    def encode(self, x):
        return self.down(x.flatten(1))

    def decode(self, z):
        return self.up(z).unflatten(1, self.shape)


class Through(nn.Module):
    """The identity: the code is the row."""

    def encode(self, x):
        return x

    def decode(self, z):
        return z


def build(network=Halves, loss=None, bottleneck=None, noise=None, **params):
    defaults = {"input_shape": (4,), "n_components": 2}
    return Autoencoder(network, bottleneck or Identity(), loss or SquaredError(), noise, **defaults | params).eval()


def rows(n=7, d=4, seed=0):
    return torch.rand(n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


# ------------------------------------------------------------------ shapes that do not fit


def network(encode=None, decode=None):
    """A network class of two functions."""
    methods = {"encode": encode, "decode": decode}
    return type("Odd", (nn.Module,), {name: staticmethod(m) for name, m in methods.items() if m is not None})


def zeros(*shape):
    return lambda x: x.new_zeros(len(x), *shape)


@pytest.mark.parametrize(
    ("odd", "error", "match"),
    [
        (network(decode=zeros(4)), TypeError, "module must have encode and decode, but Odd has no encode"),
        (network(encode=zeros(2)), TypeError, "Odd has no decode"),
        (network(zeros(3), zeros(4)), ValueError, r"Odd.encode must map samples of shape \(4,\) to \(2,\).*got \(3,\)"),
        (network(zeros(2, 1), zeros(4)), ValueError, r"Odd.encode must map.*got \(2, 1\)"),
        (network(zeros(), zeros(4)), ValueError, r"Odd.encode must map.*got \(\)"),
        (
            network(zeros(2), zeros(5)),
            ValueError,
            r"Odd.decode must map 2 codes of shape \(2,\) to \(2, 4\), got \(2, 5\)",
        ),
        (network(zeros(2), zeros(4, 1)), ValueError, r"Odd.decode must map.*got \(2, 4, 1\)"),
        (network(zeros(2), zeros(2, 2)), ValueError, r"Odd.decode must map.*got \(2, 2, 2\)"),
    ],
)
def test_shapes_that_do_not_fit_raise_before_training(odd, error, match):
    for given_network in (odd, odd()):
        with pytest.raises(error, match=match):
            build(given_network)


def test_decode_must_keep_the_number_of_rows():
    with pytest.raises(ValueError, match="decode"):
        build(network(zeros(2), lambda z: z.new_zeros(1, 4)))


def test_encoder_is_as_wide_as_the_bottleneck_asks():
    class Double(Identity):
        def n_outputs(self, n_components):
            return 2 * n_components

        def code(self, h):
            return h[:, ::2]

    module = build(Halves, bottleneck=Double(), network_params={"wider": 2})
    assert module.encode(rows()).shape == (7, 2)
    with pytest.raises(ValueError, match=r"encode must map samples of shape \(4,\) to \(4,\) for n_components=2"):
        build(Halves, bottleneck=Double())


def test_callable_gets_the_arguments_that_its_signature_names():
    seen = {}

    def make(input_shape, n_outputs, n_components, wider=0):
        seen.update(input_shape=input_shape, n_outputs=n_outputs, n_components=n_components, wider=wider)
        return Halves(input_shape, n_components, wider)

    build(make, input_shape=[2, 2], network_params={"wider": 0})
    assert seen == {"input_shape": (2, 2), "n_outputs": 2, "n_components": 2, "wider": 0}
    with pytest.raises(TypeError, match="module=make has no parameter module__widr"):
        build(make, network_params={"widr": 0})
    with pytest.raises(TypeError, match="a module that is built already has no parameter module__wider"):
        build(Halves(), network_params={"wider": 0})


# ------------------------------------------------------------------ recipes are not changed


def test_parts_are_copied():
    given_network, loss, bottleneck, noise = Halves(), Huber(0.5), Sparse(0.2), SaltAndPepper(0.5)
    weights = {name: value.clone() for name, value in given_network.state_dict().items()}
    module = build(given_network, loss, bottleneck, noise)
    assert module.network is not given_network
    assert all(torch.equal(module.network.state_dict()[name], value) for name, value in weights.items())
    module.init_from(module.standardize(rows()))
    with torch.no_grad():
        for p in module.parameters():
            p.add_(1)
    module.loss.set_params(delta=9.0), module.bottleneck.set_params(weight=9.0)
    assert all(torch.equal(given_network.state_dict()[name], value) for name, value in weights.items())
    assert (loss.delta, bottleneck.weight) == (0.5, 0.2)
    assert list(noise.buffers()) == []
    assert given_network.training
    assert noise.training


def test_two_modules_of_one_network_share_nothing():
    given_network = Halves()
    one, other = build(given_network), build(given_network)
    assert not {p.data_ptr() for p in one.parameters()} & {p.data_ptr() for p in other.parameters()}


@pytest.mark.parametrize("as_instance", [True, False])
def test_construction_leaves_running_statistics_and_the_mode(as_instance):
    class Normed(Halves):
        def __init__(self):
            super().__init__()
            self.norm = nn.BatchNorm1d(4)

        def encode(self, x):
            return super().encode(self.norm(x + 5))

    module = Autoencoder(
        Normed() if as_instance else Normed, Identity(), SquaredError(), None, input_shape=(4,), n_components=2
    )
    norm = module.network.norm
    assert torch.equal(norm.running_mean, torch.zeros(4))
    assert torch.equal(norm.running_var, torch.ones(4))
    assert int(norm.num_batches_tracked) == 0
    assert module.network.training
    assert norm.training


@pytest.mark.parametrize("mode", [True, False])
def test_copying_a_built_network_draws_no_random_numbers(mode):
    class Dropping(Halves):
        def encode(self, x):
            return F.dropout(super().encode(x), training=self.training)

    given_network = Dropping().train(mode)
    before = torch.get_rng_state()
    build(given_network)
    assert torch.equal(torch.get_rng_state(), before)
    assert given_network.training is mode


def test_network_in_evaluation_mode_is_trained(blobs):
    class Watched(Halves):
        def __init__(self):
            super().__init__((6,))
            self.drop, self.modes = nn.Dropout(0.5), []

        def encode(self, x):
            if torch.is_grad_enabled():
                self.modes.append(self.drop.training)
            return super().encode(self.drop(x))

    params = {"n_components": 2, "max_epochs": 2, "random_state": 0}
    for early_stopping in (False, True):
        ae = AutoencoderTransformer(module=Watched().eval(), early_stopping=early_stopping, **params).fit(blobs)
        modes = ae.module_.network.modes
        assert modes, "it was trained"
        assert all(modes), "in training mode"


# ------------------------------------------------------------------ the start


def recording(calls, name, base, **methods):
    def init_from(self, x):
        calls.append((name, x.clone(), torch.is_grad_enabled()))

    return type(name, (base,), {"init_from": init_from, **methods})


def test_parts_start_in_the_order_of_the_diagram():
    calls = []

    class Moving(Halves):
        def init_from(self, u):
            calls.append(("network", u.clone(), torch.is_grad_enabled()))
            nn.init.ones_(self.down.weight)

    module = build(
        Moving,
        bottleneck=recording(calls, "bottleneck", Sparse)(),
        noise=recording(calls, "noise", GaussianNoise)(),
        mean=1.0,
        scale=2.0,
    )
    u = module.standardize(rows())
    module.init_from(u)
    assert [name for name, *_ in calls] == ["noise", "network", "bottleneck"]
    assert torch.equal(calls[0][1], u)
    assert torch.equal(calls[1][1], u)
    assert torch.equal(calls[2][1], module.network.encode(u)), "the codes of the network that has started"
    assert not any(grad for *_, grad in calls)


def test_network_is_initialized_only_for_identity_link():
    calls = []
    cls = recording(calls, "network", Halves)
    build(cls, loss=Bernoulli()).init_from(rows().float())
    assert calls == [], "logits are no data"
    build(cls, loss=Huber()).init_from(rows().float())
    assert len(calls) == 1


def test_codes_that_a_bottleneck_starts_from_are_those_of_evaluation():
    class Normed(Halves):
        def __init__(self):
            super().__init__()
            self.drop, self.norm = nn.Dropout(0.5), nn.BatchNorm1d(4)

        def encode(self, x):
            return super().encode(self.drop(self.norm(x)))

    calls = []
    module = build(Normed, bottleneck=recording(calls, "bottleneck", Identity)()).train()
    u = module.standardize(rows())
    module.init_from(u)
    assert int(module.network.norm.num_batches_tracked) == 0, "the start is no batch"
    assert torch.equal(calls[0][1], module.eval().network.encode(u)), "and drops nothing"


def test_bottleneck_may_refuse_the_trust_in_the_start():
    class Answering(Halves):
        def init_from(self, u):
            return True

    for vote, trusted in [(False, False), (None, True), (True, True)]:
        part = type("Voting", (Identity,), {"init_from": lambda self, h, vote=vote: vote})()
        assert build(Answering, bottleneck=part).init_from(rows().float()) is trusted
        assert build(bottleneck=part).init_from(rows().float()) is False, "a network at random is no start to keep"


def test_random_numbers_of_a_start_are_repeatable():
    drawn = []

    class Drawing(Identity):
        def init_from(self, h, generator=None):
            drawn.append(torch.randn(3, generator=generator))

    for seed in (0, 0, 1):
        with Stream(seed):
            build(bottleneck=Drawing()).init_from(rows().float())
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])


# ------------------------------------------------------------------ units


@given(
    mean=st.floats(-1e3, 1e3),
    scale=st.floats(1e-3, 1e3),
    seed=st.integers(0, 2**31 - 1),
    shape=st.sampled_from([(3,), (2, 2)]),
)
@settings(max_examples=25)
def test_lossless_code_reconstructs_exactly(mean, scale, seed, shape):
    d = int(np.prod(shape))

    class Flat(Through):
        def encode(self, x):
            return x.flatten(1)

        def decode(self, z):
            return z.unflatten(1, shape)

    module = build(Flat, input_shape=shape, n_components=d, mean=mean, scale=scale)
    x = mean + scale * torch.randn(5, *shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    u = (x - mean) / scale
    assert module.standardize(x).dtype == torch.float32
    torch.testing.assert_close(module.standardize(x).double(), u, atol=1e-6, rtol=1e-6)
    torch.testing.assert_close(module.encode(x).double(), u.flatten(1), atol=1e-6, rtol=1e-6)
    tolerance = 1e-6 * (abs(mean) + 10 * scale)
    torch.testing.assert_close(module.reconstruct(x).double(), x, atol=tolerance, rtol=0)
    sums, counts = module.squared_error(x, x).T
    assert (sums / counts).max() <= 1e-5**2


def test_standardizing_float64_samples_loses_no_digits():
    module = build(Through, n_components=4, mean=1e9, scale=1e-3)
    x = 1e9 + 1e-3 * rows().round(decimals=3)
    torch.testing.assert_close(module.standardize(x).double(), (x - 1e9) / 1e-3, atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize(("mean", "scale"), [(0.0, 1.0), (3.0, 0.5), (-2.0, 40.0)])
@by_loss
def test_losses_agree_with_their_formulas_in_data_units(loss, mean, scale):
    module = build(loss=loss, mean=mean, scale=scale)
    x = rows() if isinstance(loss, Bernoulli) else mean + scale * rows()
    with torch.no_grad():
        x_hat = module.reconstruct(x).double()
        got = module.in_data_units(module.reconstruction_loss(x, x).double(), x[0].numel())
        sums, counts = module.squared_error(x, x).double().T
        error = sums / counts * module.unit**2
    r = (x_hat - x).abs()
    delta = 0.7 * scale  # and the scale of likelihoods
    expected = {
        SquaredError: r**2,
        AbsoluteError: r,
        Huber: torch.where(r <= delta, r**2 / 2, delta * (r - delta / 2)),
        Bernoulli: -(x * x_hat.log() + (1 - x) * (1 - x_hat).log()),
        Normally: -torch.distributions.Normal(x_hat, delta).log_prob(x),
        Laplace: -torch.distributions.Laplace(x_hat, delta).log_prob(x),
    }[type(loss)]
    torch.testing.assert_close(got, expected.sum(1), rtol=1e-4, atol=1e-6 * scale)
    torch.testing.assert_close(error, (r**2).mean(1), rtol=1e-4, atol=1e-6 * scale)
    assert got.shape == error.shape == (7,)


def test_loss_with_a_domain_compares_in_data_units():
    module = build(loss=Bernoulli(), mean=0.4, scale=0.2)
    x = rows()
    assert torch.equal(module.target(x), x.float()), "compared in its own units"
    torch.testing.assert_close(module.standardize(x).double(), (x - 0.4) / 0.2, atol=1e-6, rtol=1e-6)
    raw = module.network.decode(torch.ones(3, 2))
    assert torch.equal(module.decode(torch.ones(3, 2)), torch.sigmoid(raw)), "the link is all"
    value = torch.ones(3)
    assert torch.equal(module.in_data_units(value, 4), value)

    class Bounded(SquaredError):
        domain = (0.0, 1.0)

    module = build(loss=Bounded(), mean=0.4, scale=0.2)
    error = (module.network.decode(module.encode(x)) - x.float()).square()
    torch.testing.assert_close(module.in_data_units(module.reconstruction_loss(x, x), x[0].numel()), error.sum(1))
    sums, counts = module.squared_error(x, x).T
    torch.testing.assert_close((sums / counts).float(), error.mean(1))
    plain = build(mean=0.4, scale=0.2)
    assert torch.equal(plain.target(x), plain.standardize(x))
    torch.testing.assert_close(plain.in_data_units(value, 4), value * 0.04)


@by_loss
def test_inference_is_deterministic_and_without_penalty(loss):
    module = build(loss=loss, bottleneck=Sparse(100.0), noise=GaussianNoise(5.0))
    plain = build(module.network, loss=loss)
    x = rows()
    for method, n in (("encode", 1), ("reconstruct", 1), ("reconstruction_loss", 2), ("squared_error", 2)):
        assert torch.equal(getattr(module, method)(*[x] * n), getattr(plain, method)(*[x] * n)), method


# ------------------------------------------------------------------ training


def test_noise_corrupts_the_input_and_not_the_target():
    class Shift(GaussianNoise):
        def corrupt(self, x):
            return x + 10

    class Watched(Through):
        def encode(self, x):
            self.seen = x
            return x

    module = build(Watched, noise=Shift(), n_components=4).train()
    u = module.standardize(rows())
    raw, z, penalty = module(u)
    assert torch.equal(module.network.seen, u + 10)
    assert torch.equal(raw, u + 10)
    torch.testing.assert_close(module.objective((raw, z, penalty), module.target(rows())), torch.full((7,), 400.0))
    assert torch.equal(module.eval()(u)[0], u)


def test_objective_is_loss_plus_penalty_of_each_sample():
    class Fixed(Identity):
        def forward(self, h):
            return Latent(h, torch.arange(len(h), dtype=h.dtype))

    module = build(bottleneck=Fixed())
    plain = build(module.network)
    u = module.standardize(rows())
    added = module.objective(module(u), u) - plain.objective(plain(u), u)
    torch.testing.assert_close(added, torch.arange(7.0), atol=1e-5, rtol=0)


def test_gradients_reach_the_network_through_every_box():
    module = build(loss=Bernoulli(), bottleneck=Sparse(0.1), noise=GaussianNoise(0.1), mean=0.5, scale=0.2).train()
    x = rows()
    module.objective(module(module.standardize(x)), module.target(x)).sum().backward()
    assert all(p.grad.abs().sum() > 0 for p in module.parameters())


class Several(Identity):
    """Three codes a row, each with a penalty of its own."""

    def forward(self, h):
        z = torch.cat([h, h + 1, 2 * h])
        return Latent(z, torch.arange(len(z), dtype=h.dtype))


@pytest.mark.parametrize("missing", [False, True])
def test_objective_of_several_codes_is_the_log_of_the_mean_of_their_exponentials(missing):
    module = build(bottleneck=Several(), loss=Normally(0.7), missing=missing)
    u = module.standardize(rows())
    if missing:
        u[1, 2] = u[3, 0] = torch.nan
    output = module(u)
    raw, z, penalty = output
    assert raw.shape == (21, 4)
    assert z.shape == (21, 2)
    each = torch.stack([module._loss(raw[i : i + 7], u) + penalty[i : i + 7] for i in (0, 7, 14)])
    expected = -(-each.double()).exp().mean(0).log()
    torch.testing.assert_close(module.objective(output, u).double(), expected, rtol=1e-5, atol=1e-5)
    assert (module.objective(output, u) <= each.mean(0)).all(), "a tighter bound than the mean of the objectives"


def test_objective_of_several_codes_is_finite_where_their_exponentials_are_not():
    module = build(bottleneck=Several())
    u = 100 * module.standardize(rows())
    output = module(u)
    objective = module.objective(output, u)
    assert (objective > 200).all(), "whose exponential is 0 in float32"
    assert torch.isfinite(objective).all()
    objective.sum().backward()
    assert all(torch.isfinite(p.grad).all() for p in module.parameters())


# ------------------------------------------------------------------ conditions of the decoder


class Told(Halves):
    """Keeps what it decodes."""

    def decode(self, z):
        self.seen = z.detach().clone()
        return super().decode(z)


def conditions(n=7, width=3):
    return torch.rand(n, width, generator=torch.Generator().manual_seed(1))


def test_decoder_gets_conditions_beside_the_code():
    def make(input_shape, n_components, n_outputs):
        assert (n_components, n_outputs) == (5, 2)
        network = Told(input_shape, n_components)
        network.down = nn.Linear(4, n_outputs)
        return network

    module, x, c = build(make, n_conditions=3), rows(), conditions()
    assert module.n_codes == 2
    u = module.standardize(x)
    calls = {
        "forward": lambda: module(u, c)[0],
        "decode": lambda: module.decode(module.encode(x), c),
        "reconstruct": lambda: module.reconstruct(x, c),
        "reconstruction_loss": lambda: module.reconstruction_loss(x, x, c),
        "squared_error": lambda: module.squared_error(x, x, c),
        "loss_of_codes": lambda: module.loss_of_codes(module.encode(x), x, module.target(x), c),
    }
    for name, call in calls.items():
        out = call()
        assert torch.equal(module.network.seen, torch.cat([module.encode(x), c], 1)), name
        assert len(out) == 7
    assert not torch.equal(module.decode(module.encode(x), c), module.decode(module.encode(x), c + 1))


def test_several_codes_of_a_sample_get_its_condition():
    module, c = build(Told, bottleneck=Several(), n_conditions=3, network_params={"wider": -3}), conditions()
    module(module.standardize(rows()), c)
    assert torch.equal(module.network.seen[:, 2:], c.repeat(3, 1))


@pytest.mark.parametrize("size", [(5, 7), (4, 4), (1, 1)])
def test_spatial_code_gets_conditions_at_every_position(size):
    module = build(networks.Conv, input_shape=(1, *size), n_conditions=3, network_params={"dense": False})
    seen = []
    decode = module.network.decode
    module.network.decode = lambda z, size: seen.append(z) or decode(z, size)
    z = torch.randn(6, module.n_codes)
    assert module.decode(z, conditions(6)).shape == (6, 1, *size)
    (told,) = seen
    n_positions = module.network.n_positions
    assert n_positions == math.prod(math.ceil(side / 4) for side in size)
    assert told.shape == (6, 5, *(math.ceil(side / 4) for side in size))
    told = told.flatten(2)
    assert torch.equal(told[:, :2].flatten(1), z)
    assert torch.equal(told[:, 2:], conditions(6)[:, :, None].expand(6, 3, n_positions))


def test_variational_code_may_be_spatial_and_conditional():
    module = build(
        networks.Conv, Normally(), Gaussian(importance_samples=2), input_shape=(2, 8, 8), n_conditions=3,
        network_params={"dense": False},
    )  # fmt: skip
    u, c = torch.randn(6, 2, 8, 8), conditions(6)
    module.init_from(u, c)
    raw, z, penalty = module(u, c)
    assert raw.shape == (12, 2, 8, 8)
    assert z.shape == (12, 2 * 4)
    assert penalty.shape == (12,)
    assert module.objective((raw, z, penalty), u).shape == (6,)


def test_loss_starts_from_reconstructions_given_their_conditions():
    module = build(Halves, Normally(), n_conditions=3, network_params={"wider": -3}, mean=0.5, scale=0.3)
    u, c = module.standardize(rows()), conditions()
    module.init_from(u, c)
    error = (module.eval()(u, c)[0] - u).square().mean().sqrt()
    torch.testing.assert_close(module.loss.log_scale.exp(), error.detach())


def test_large_sample_is_thinned_together_with_its_conditions(monkeypatch):
    monkeypatch.setattr("skae._module.initialization._LOSS_SAMPLES", 3)
    module = build(Halves, Normally(), n_conditions=3, network_params={"wider": -3})
    u, c = module.standardize(rows()), conditions()
    module.init_from(u, c)
    error = (module.eval()(u[::3], c[::3])[0] - u[::3]).square().mean().sqrt()
    torch.testing.assert_close(module.loss.log_scale.exp(), error.detach())


def test_mean_and_scale_are_not_in_the_state():
    module, other = build(mean=3.0, scale=2.0), build(mean=-1.0, scale=0.1)
    other.load_state_dict(module.state_dict())
    assert (other.mean, other.scale) == (-1.0, 0.1)
    assert all(name == "baseline" or name.startswith("network.") for name in module.state_dict())


# ------------------------------------------------------------------ the layout of codes


class SquaredLength(Bottleneck):
    """A code whose penalty and auxiliary loss are its squared length; ``seen`` is what it was given."""

    def setup(self, n_components, n_positions=1):
        self.sizes = n_components, n_positions

    def forward(self, h):
        self.seen, lengths = h, h.square().sum(1)
        return Latent(h, lengths, lengths)


class AtPositions(SquaredLength):
    per_position = True


def spatial(bottleneck):
    """An autoencoder of images of 5 x 7 pixels with a code of 3 channels at 3 x 4 positions."""
    network_params = {"dense": False, "channels": (4,)}
    return build(networks.Conv, None, bottleneck, input_shape=(1, 5, 7), n_components=3, network_params=network_params)


def images(n=6):
    return torch.randn(n, 1, 5, 7, generator=torch.Generator().manual_seed(0))


def test_layout_of_spatial_codes_in_bottlenecks():
    u, (flat, apart) = images(), (spatial(SquaredLength()), spatial(AtPositions()))
    apart.load_state_dict(flat.state_dict())
    outputs = flat(u), apart(u)
    for first, second in zip(*outputs, strict=True):
        torch.testing.assert_close(first, second)
    assert flat.bottleneck.sizes == apart.bottleneck.sizes == (3, 12)
    channels = flat.network.encode(u)  # (n, 3, 3, 4), before it is flattened
    assert torch.equal(flat.bottleneck.seen, channels.flatten(1))
    assert torch.equal(apart.bottleneck.seen, channels.permute(0, 2, 3, 1).reshape(-1, 3))
    assert torch.equal(apart.encode(u), flat.encode(u))


@pytest.mark.parametrize("dense", [True, False])
def test_standardized_images_have_mean_zero_and_scale_one(dense):
    g = torch.Generator().manual_seed(0)
    x = 5 * torch.randn(3, 5, 7, generator=g) + 2 * torch.randn(50, 3, 5, 7, generator=g)
    mean, scale = mean_and_scale(x.numpy())
    network_params = {"dense": dense, "channels": (4,)}
    module = build(networks.Conv, input_shape=(3, 5, 7), mean=mean, scale=scale, network_params=network_params)
    u = module.standardize(x)
    of_features, of_channels = u.mean(0), u.mean((0, 2, 3))
    torch.testing.assert_close(of_channels, torch.zeros(3), atol=1e-5, rtol=0)
    torch.testing.assert_close(u.square().mean(), torch.tensor(1.0))
    torch.testing.assert_close(module.baseline, of_features, atol=1e-5, rtol=0)
    assert module.mean.shape == ((3, 5, 7) if dense else (3, 1, 1))


def test_dense_code_has_one_position():
    module = build(bottleneck=AtPositions())
    _, z, penalty = module(rows().float())
    assert module.bottleneck.sizes == (2, 1)
    assert torch.equal(module.bottleneck.seen, z)
    torch.testing.assert_close(penalty, z.square().sum(1))


def test_posteriors_at_positions_are_those_of_the_whole_code():
    x = images()
    whole, apart = spatial(Gaussian()), spatial(type("Apart", (Gaussian,), {"per_position": True})())
    apart.load_state_dict(whole.state_dict())
    torch.testing.assert_close(apart.distribution(x), whole.distribution(x))
    torch.testing.assert_close(apart.encode(x), whole.encode(x))


def test_projections_and_indices_are_laid_out_as_codes_are():
    class Signs(Bottleneck):
        """-1 or 1 in every entry, with the number that these digits are."""

        per_position = discrete = True

        def project(self, z):
            return torch.where(z < 0, -1.0, 1.0)

        def indices(self, z):
            return ((z > 0).long() * torch.tensor([4, 2, 1])).sum(1)

        def from_indices(self, indices):
            return self.project((indices[:, None] & torch.tensor([4, 2, 1])) - 0.5)

    module, z = spatial(Signs()), torch.randn(5, 36)
    valid = module.project(z)
    assert torch.equal(valid, torch.where(z < 0, -1.0, 1.0))
    indices = module.indices(valid)
    assert indices.shape == (5, 12)
    at_first_position = valid.unflatten(1, (3, 12))[:, :, 0] > 0
    assert torch.equal(indices[:, 0], at_first_position.long() @ torch.tensor([4, 2, 1]))
    assert torch.equal(module.from_indices(indices), valid)


def test_whole_code_has_one_index_per_sample():
    class Sign(Bottleneck):
        discrete = True

        def indices(self, z):
            return (z[:, 0] > 0).long()

    z = torch.randn(5, 36)
    assert torch.equal(spatial(Sign()).indices(z), (z[:, 0] > 0).long())


@pytest.mark.parametrize("per_position", [False, True])
def test_setup_without_n_positions_gets_width_of_vectors(per_position):
    class Earlier(Identity):
        def setup(self, n_components):
            self.width = n_components

    Earlier.per_position = per_position
    module = spatial(Earlier())
    module.encode(images())
    assert module.bottleneck.width == (3 if per_position else 36)


def test_bottleneck_may_return_a_pair():
    class Pair(Identity):
        def forward(self, h):
            return 2 * h, h.abs().sum(1)

    module, u = build(bottleneck=Pair()), rows().float()
    _, z, penalty = module(u)
    assert torch.equal(z, 2 * module.network.encode(u))
    torch.testing.assert_close(penalty, z.abs().sum(1) / 2)


@pytest.mark.parametrize("dense", [True, False])
def test_auxiliary_losses_count_in_training_alone(dense):
    module, u = (build(bottleneck=SquaredLength()), rows().float()) if dense else (spatial(AtPositions()), images())
    validated = module.eval().objective(module(u), u)
    trained = module.train().objective(module(u), u)
    torch.testing.assert_close(trained - validated, module(u)[1].square().sum(1), rtol=1e-4, atol=1e-4)


# ------------------------------------------------------------------ units of the estimator


@pytest.mark.parametrize("factor", [1e-30, 1e-10, 1e10, 1e25])
def test_score_is_the_mean_squared_error_at_any_scale(blobs, factor):
    params = {"n_components": 2, "max_epochs": 0, "random_state": 0}
    one = AutoencoderTransformer(**params).fit(blobs).score(blobs)
    other = AutoencoderTransformer(**params).fit(blobs * factor).score(blobs * factor)
    assert one < 0
    assert other == pytest.approx(one * factor**2, rel=1e-2, abs=0)


# ------------------------------------------------------------------ costs of a sample


def cost(network, input_shape, n_components=3, **params):
    module = build(network, input_shape=input_shape, n_components=n_components, network_params=params)
    return module.n_multiplications, module.n_values


def test_dense_network_costs_its_weights():
    layers = [(20, 8), (8, 3), (3, 8), (8, 20), (20, 3), (3, 20)]
    assert cost(networks.MLP, (20,), hidden_layer_sizes=(8,)) == (sum((n + 1) * m for n, m in layers), 20)


def test_convolution_costs_its_weights_at_every_position():
    n_multiplications, n_values = cost(
        networks.Conv, (2, 8, 8), channels=(5,), hidden_layer_sizes=(), linear_skip=False
    )
    down, up = 5 * (2 * 9 + 1) * 16, (5 * 2 * 9 + 2) * 16  # both work at the 4 x 4 positions of the smaller image
    dense = (5 * 16 + 1) * 3 + (3 + 1) * 5 * 16
    assert n_multiplications == down + up + dense
    assert n_values == 2 * 8 * 8
    assert cost(networks.Conv, (1, 8, 8), channels=(7,), downsampling="max_pool")[1] == 7 * 8 * 8, "before pooling"


@pytest.mark.parametrize("network", [networks.GRU, networks.TCN])
def test_network_of_sequences_costs_its_weights_at_every_step(network):
    short, long = (cost(network, (length, 4))[0] for length in (10, 100))
    once = sum(p.numel() for p in network((10, 4), 3).parameters())
    assert 8 * once < short < 12 * once
    assert 9 * short < long < 11 * short


def test_slices_are_sized_by_the_widest_layer(monkeypatch):
    monkeypatch.setattr("skae._data.chunked._BUDGET", 33_000)  # bytes: 8 rows of 16 * 250 and a little
    ae = AutoencoderTransformer(2, max_epochs=0, module__hidden_layer_sizes=(250,)).fit(np.eye(40, 4))
    seen = []
    decode = ae.module_.decode
    monkeypatch.setattr(ae.module_, "decode", lambda z, **kwargs: seen.append(len(z)) or decode(z, **kwargs))
    ae.inverse_transform(np.zeros((10, 2)))
    assert seen == [8, 2]


class OwnPair(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.encode, self.decode = torch.nn.Linear(6, 2), torch.nn.Linear(2, 6)


@pytest.mark.parametrize(
    ("estimator", "draws"),
    [
        (AutoencoderTransformer(2), False),
        (AutoencoderTransformer(2, module__normalization="batch", bottleneck="sparse"), False),
        (AutoencoderTransformer(2, module="tcn"), False),
        (AutoencoderTransformer(2, module="gru"), False),
        (AutoencoderTransformer(2, module__dropout=0.1), True),
        (AutoencoderTransformer(2, noise="gaussian_noise"), True),
        (VAEGenerator(2, prior=None), True),
        (AutoencoderTransformer(2, module=OwnPair), True),
    ],
    ids=["plain", "layers", "tcn", "gru", "dropout", "noise", "bottleneck", "own"],
)
def test_modules_known_to_draw_no_random_numbers(estimator, draws):
    module = estimator.set_params(max_epochs=0).fit(np.eye(12, 6)).module_
    assert draws_nothing(module) is not draws
    if not draws:
        before = torch.get_rng_state()
        module.train()(torch.randn(5, 6, generator=torch.Generator()))
        assert torch.equal(torch.get_rng_state(), before)


def test_pickled_module_of_version_02_computes_as_it_did():
    """It has one mean for all values, and no buffer for features without a value."""
    module = build(mean=0.4, scale=0.2).eval()
    x = rows()
    expected = module.reconstruct(x)
    del module._buffers["empty"], module.returns_double, module.n_weights
    again = pickle.loads(pickle.dumps(module))
    assert torch.equal(again.reconstruct(x), expected)
    assert again.empty is None
