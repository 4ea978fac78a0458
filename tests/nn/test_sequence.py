"""Networks for sequences: shapes, independence of padding, training."""

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from skae.nn._sequence import pool, position_features, sequence_lengths
from skae.nn.gru import GRU
from skae.nn.tcn import TCN

SMALL = {GRU: {"hidden_size": 6}, TCN: {"channels": 6}}
both = pytest.mark.parametrize("cls", [GRU, TCN], ids=lambda cls: cls.__name__)
seeds = st.integers(0, 2**20)
paddings = st.just(0) | st.integers(1, 20)
lengths_of_rows = st.lists(st.integers(1, 9), min_size=1, max_size=4)


pytestmark = pytest.mark.usefixtures("seeded")


def small(cls, shape=(7, 2), k=3, n_outputs=None, **params):
    return cls(shape, k, n_outputs, **{**SMALL[cls], **params})


def padded(lengths, n_steps, channels=2, seed=0):
    """Rows of the given lengths, filled up with zeros, and where they have values."""
    g = torch.Generator().manual_seed(seed)
    observed = torch.arange(n_steps) < torch.tensor(lengths)[:, None]
    observed = observed[..., None].expand(-1, -1, channels)
    return torch.randn(len(lengths), n_steps, channels, generator=g) * observed, observed


def train(network, x, observed, n_steps, lr=1e-2, batch_size=50):
    """Train on the mean squared error of the values that there are."""
    optimizer = torch.optim.Adam(network.parameters(), lr)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, lr, total_steps=n_steps)
    for _ in range(n_steps):
        i = torch.randperm(len(x))[:batch_size]
        loss = (network.decode(network.encode(x[i], observed[i]), observed[i]) - x[i])[observed[i]].square().mean()
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        schedule.step()
    return network.eval()


def close(a, b):
    torch.testing.assert_close(a, b, atol=1e-5, rtol=0)


# ------------------------------------------------------------------ what both share


@given(shape=st.tuples(st.integers(1, 4), st.integers(1, 9), st.integers(1, 3)), share=st.floats(0, 1), seed=seeds)
@settings(max_examples=50)
def test_length_ends_at_last_observed_step(shape, share, seed):
    observed = np.random.default_rng(seed).random(shape) < share
    expected = [max([1, *(t + 1 for t in range(shape[1]) if row[t].any())]) for row in observed]
    assert sequence_lengths(torch.from_numpy(observed)).tolist() == expected


def test_position_features_formula():
    for length, row in zip((4, 10), position_features(torch.tensor([4, 10]), 6, 3), strict=True):
        t = np.arange(6)[:, None] / length
        angle = np.pi * t * [1, 2, 3]
        np.testing.assert_allclose(row.numpy(), np.hstack([t, np.sin(angle), np.cos(angle)]), atol=1e-6)


@given(length=st.integers(1, 40), n_frequencies=st.integers(0, 9), more=st.integers(0, 5))
@settings(max_examples=30)
def test_position_features_depend_on_relative_position(length, n_frequencies, more):
    found = position_features(torch.tensor([length, 2 * length]), 2 * length + more, n_frequencies)
    assert found.shape == (2, 2 * length + more, 1 + 2 * n_frequencies)
    torch.testing.assert_close(found[0, :length], found[1, : 2 * length : 2], atol=1e-6, rtol=0)


@given(lengths=lengths_of_rows, seed=seeds)
@settings(max_examples=30)
def test_pooling_ignores_padding(lengths, seed):
    h, observed = padded(lengths, 12, seed=seed)
    h = h.masked_fill(~observed, torch.nan) - 3  # a maximum below 0: zeros would be seen
    expected = [torch.cat([row[:t].mean(0), row[:t].amax(0)]) for row, t in zip(h, lengths, strict=True)]
    close(pool(h, torch.tensor(lengths)), torch.stack(expected))


@both
def test_decoder_input_is_code_and_position(cls):
    network, z = small(cls, n_frequencies=2), torch.randn(2, 3)
    seen = []
    network.decoder.register_forward_pre_hook(lambda module, args: seen.append(args))
    observed = padded([3, 6], 8)[1]
    network.decode(z, observed)
    network.decode(z)
    for (told, lengths), expected, n_steps in zip(seen, ([3, 6], [7, 7]), (8, 7), strict=True):
        assert lengths.tolist() == expected
        assert torch.equal(told[..., :3], z[:, None].expand(2, n_steps, 3))
        assert torch.equal(told[..., 3:], position_features(torch.tensor(expected), n_steps, 2))


# ------------------------------------------------------------------ shapes


@both
@given(
    n=st.integers(1, 4),
    length=st.integers(1, 12),
    channels=st.none() | st.integers(1, 3),
    k=st.integers(1, 3),
    wider=st.integers(0, 2),
    longer=st.integers(-11, 30),
)
@settings(max_examples=30)
def test_output_shapes(cls, n, length, channels, k, wider, longer):
    tail = () if channels is None else (channels,)
    network = small(cls, (length, *tail), k, k + wider)
    assert network.reads_padding is True  # the estimator asks
    h = network.encode(torch.randn(n, length, *tail))
    assert h.shape == (n, k + wider)
    assert network.decode(h[:, :k]).shape == (n, length, *tail)
    other = (n, max(length + longer, 1), *tail)
    observed = torch.rand(other) < 0.7
    assert network.encode(torch.randn(other)).shape == (n, k + wider)
    assert network.encode(torch.randn(other), observed).shape == (n, k + wider)
    out = network.decode(h[:, :k], observed)
    assert out.shape == other
    assert torch.isfinite(out).all()


@both
def test_single_channel_without_channel_axis(cls):
    x, observed = padded([5, 7, 2], 7, channels=1)
    with_axis, without = small(cls, (7, 1)), small(cls, (7,))
    without.load_state_dict(with_axis.state_dict())
    z = with_axis.encode(x, observed)
    assert torch.equal(without.encode(x[..., 0], observed[..., 0]), z)
    assert torch.equal(without.decode(z, observed[..., 0]), with_axis.decode(z, observed)[..., 0])


@both
def test_numpy_integers_are_accepted(cls):
    params = {**SMALL[cls], "n_layers": 2, "n_frequencies": 4}
    network = cls((np.int64(7), np.int64(2)), np.int64(3), **{name: np.int64(value) for name, value in params.items()})
    assert network.decode(network.encode(torch.randn(4, 7, 2))).shape == (4, 7, 2)


# ------------------------------------------------------------------ padding


@both
@pytest.mark.parametrize("trained", [False, True])
@pytest.mark.slow
def test_output_ignores_padding_and_other_samples(cls, trained):
    network = small(cls, (9, 2), n_layers=2).eval()
    x, observed = padded([9, 4, 1, 6] * 10, 9, seed=1)
    if trained:
        train(network, x, observed, 30, lr=3e-2)
    with torch.no_grad():
        assert network.encode(x, observed).std() > (0.5 if trained else 0.02), "tiny codes agree to 1e-5 anyway"

    @given(lengths=lengths_of_rows, more=paddings, garbage=st.sampled_from([100.0, torch.nan]), seed=seeds)
    @settings(max_examples=20)
    @torch.no_grad()
    def check(lengths, more, garbage, seed):
        x, observed = padded(lengths, max(lengths) + more, seed=seed)
        dirty = torch.where(observed, x, garbage * padded([x.shape[1]] * len(x), x.shape[1], seed=seed + 1)[0])
        z = network.encode(dirty, observed)
        x_hat = network.decode(z, observed)
        assert torch.isfinite(x_hat).all()
        for i, t in enumerate(lengths):
            close(z[i : i + 1], network.encode(x[i : i + 1, :t]))
            close(x_hat[i : i + 1, :t], network.decode(z[i : i + 1], observed[i : i + 1, :t]))

    check()


@both
def test_only_trailing_missing_steps_are_padding(cls):
    network = small(cls)
    x, observed = padded([7], 7)
    gap = observed.clone()
    gap[:, 2:5] = False
    assert torch.equal(network.encode(x, gap), network.encode(x, observed))
    for kept in (2, 0):
        gap[:, kept:] = False
        close(network.encode(x, gap), network.encode(x[:, : max(kept, 1)]))
        assert torch.isfinite(network.decode(torch.zeros(1, 3), gap)).all()


@both
def test_gradients_are_finite_and_ignore_padding(cls):
    network = small(cls, n_layers=2)
    x, observed = padded([1, 5, 7], 9)
    x = x.masked_fill(~observed, torch.nan).requires_grad_()
    x_hat = network.decode(network.encode(x, observed), observed)
    (x_hat[observed] - x[observed].detach()).square().sum().backward()
    assert (x.grad[observed] != 0).all(), "every value counts"
    assert (x.grad[~observed] == 0).all()
    for name, parameter in network.named_parameters():
        assert torch.isfinite(parameter.grad).all(), name
        assert parameter.grad.abs().sum() > 0, name


# ------------------------------------------------------------------ layers, and what they learn


def reach(half, n_steps):
    """Which steps of the input the middle step of a half's output depends on."""
    x = torch.randn(1, n_steps, 2, requires_grad=True)
    half(x, torch.tensor([n_steps]))[:, n_steps // 2].square().sum().backward()
    return (x.grad.abs().sum(2)[0] > 0).nonzero().flatten().tolist()


@pytest.mark.parametrize(("kernel_size", "n_layers"), [(3, 1), (3, 3), (5, 2), (1, 2)])
def test_receptive_field(kernel_size, n_layers):
    network = small(TCN, kernel_size=kernel_size, n_layers=n_layers)
    seen = (kernel_size - 1) * (2**n_layers - 1) + 1
    assert reach(network.encoder, 41) == list(range(20 - seen // 2, 20 + seen // 2 + 1))


def test_bidirectional_gru_sees_both_directions():
    assert reach(small(GRU).encoder, 15) == list(range(15))
    assert reach(small(GRU, bidirectional=False).encoder, 15) == list(range(8))


@pytest.mark.parametrize("activation", ["relu", "leaky_relu", "silu", "gelu", "elu"])
def test_tcn_formula(activation):
    half = small(TCN, activation=activation, n_layers=3).encoder.double()
    x = torch.randn(1, 6, 2, dtype=torch.float64)
    with torch.no_grad():
        h = half.first(x[0])
        for i, layer in enumerate(half.layers):
            found = layer.bias.repeat(6, 1)
            for t, j in itertools.product(range(6), range(3)):
                if 0 <= (s := t + (j - 1) * 2**i) < 6:
                    found[t] += layer.weight[:, :, j] @ h[s]
            h = h + getattr(nn.functional, activation)(found)
        torch.testing.assert_close(half(x, torch.tensor([6]))[0], h)


def test_gru_layer_sizes():
    network = GRU((7, 2), 3, hidden_size=5, n_layers=2, bidirectional=False, n_frequencies=4)
    for half, n_in in ((network.encoder, 2), (network.decoder, 3 + 9)):
        assert isinstance(half, nn.GRU)
        assert (half.input_size, half.hidden_size, half.num_layers, half.bidirectional) == (n_in, 5, 2, False)


def sines(n, seed):
    """Sines of any phase, of 2 to 5 steps a radian, 5 to 15 steps long."""
    frequency, phase, length = torch.rand(3, n, 1, generator=torch.Generator().manual_seed(seed))
    t = torch.arange(15.0)
    x = torch.sin((0.2 + 0.3 * frequency) * t + 2 * math.pi * phase)
    return x[..., None], (t < 5 + (11 * length).floor())[..., None]


@both
@pytest.mark.slow
def test_training_reduces_loss(cls):
    network = cls((15, 1), 4, **dict.fromkeys(SMALL[cls], 32))
    train(network, *sines(200, seed=0), n_steps=100)
    x, observed = sines(100, seed=1)
    with torch.no_grad():
        error = (network.decode(network.encode(x, observed), observed) - x)[observed].square().mean()
    assert error < 0.15 * x[observed].var()


# ------------------------------------------------------------------ refusals


@pytest.mark.parametrize(
    ("cls", "params", "match"),
    [
        (GRU, {"hidden_size": 0}, "hidden_size == 0, must be >= 1"),
        (GRU, {"hidden_size": 8.0}, "hidden_size must be an instance of int"),
        (GRU, {"n_layers": 0}, "n_layers == 0, must be >= 1"),
        (GRU, {"bidirectional": 1}, "bidirectional must be one of True, False, got 1"),
        (GRU, {"n_frequencies": -1}, "n_frequencies == -1, must be >= 0"),
        (GRU, {"input_shape": ()}, r"GRU reads rows of shape \(length,\) or \(length, channels\), got \(\)"),
        (TCN, {"input_shape": (7, 2, 2)}, r"TCN reads rows of shape .* got \(7, 2, 2\)"),
        (TCN, {"channels": 0}, "channels == 0, must be >= 1"),
        (TCN, {"kernel_size": 4}, "kernel_size must be odd, got 4"),
        (TCN, {"kernel_size": -1}, "kernel_size == -1, must be >= 1"),
        (TCN, {"n_layers": True}, "n_layers must be an instance of Integral, not bool"),
        (TCN, {"activation": "swoosh"}, "activation must be one of 'relu'"),
        (TCN, {"n_frequencies": 1.5}, "n_frequencies must be an instance of int"),
    ],
)
def test_invalid_parameters_raise(cls, params, match):
    with pytest.raises((ValueError, TypeError), match=match):
        cls(**{"input_shape": (7, 2), "n_components": 3, **params})
