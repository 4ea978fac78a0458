"""Dense network: layers and initialization to PCA."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.decomposition import PCA
from torch import nn

from skae.nn import MLP

pytestmark = pytest.mark.usefixtures("seeded")


def layers(network, kind):
    return [layer for layer in network.modules() if isinstance(layer, kind)]


def rows(n=80, d=6, seed=0):
    """Rows of falling variance about a mean that is not 0."""
    x = np.random.default_rng(seed).normal(size=(n, d)) * 2.0 ** -np.arange(d) + np.arange(d)
    return torch.from_numpy(x).float()


# ------------------------------------------------------------------ layers


@given(
    shape=st.lists(st.integers(1, 3), min_size=1, max_size=3),
    k=st.integers(1, 4),
    hidden=st.lists(st.integers(1, 6), max_size=3),
    wider=st.integers(0, 2),
    skip=st.booleans(),
)
@settings(max_examples=25)
def test_decoder_mirrors_encoder(shape, k, hidden, wider, skip):
    network = MLP(tuple(shape), k, k + wider, hidden_layer_sizes=hidden, linear_skip=skip)
    d = int(np.prod(shape))
    widths = [[d, *hidden, k + wider], [k, *hidden[::-1], d]]
    for half, linear, expected in zip(
        (network.encoder, network.decoder),
        (network.skip.encoder, network.skip.decoder) if skip else (None, None),
        widths,
        strict=True,
    ):
        pairs = list(itertools.pairwise(expected))
        found = [] if half is None else [(m.in_features, m.out_features) for m in layers(half, nn.Linear)]
        assert found == (pairs if hidden or not skip else [])
        assert (linear is not None) == skip
        if skip:
            assert (linear.in_features, linear.out_features) == (expected[0], expected[-1])
    z = network.encode(torch.randn(3, *shape))
    assert z.shape == (3, k + wider)
    assert network.decode(z[:, :k]).shape == (3, *shape)


@pytest.mark.parametrize(
    ("name", "function"),
    [
        ("relu", lambda t: np.maximum(t, 0)),
        ("silu", lambda t: t / (1 + np.exp(-t))),
        ("elu", lambda t: np.where(t > 0, t, np.exp(t) - 1)),
        ("tanh", np.tanh),
        ("identity", lambda t: t),
        ("gelu", lambda t: t * 0.5 * (1 + np.vectorize(__import__("math").erf)(t / np.sqrt(2)))),
    ],
)
def test_encoder_and_decoder_formula(name, function):
    network = MLP((6,), 2, hidden_layer_sizes=(5, 4), activation=name).double()
    for p in network.parameters():
        nn.init.normal_(p)
    x = rows().double()

    def compute(half, skip, t):
        out = t
        linear = layers(half, nn.Linear)
        for layer in linear[:-1]:
            out = function(out @ layer.weight.detach().numpy().T + layer.bias.detach().numpy())
        out = out @ linear[-1].weight.detach().numpy().T + linear[-1].bias.detach().numpy()
        return out + t @ skip.weight.detach().numpy().T + skip.bias.detach().numpy()

    with torch.no_grad():
        z = network.encode(x)
        np.testing.assert_allclose(z.numpy(), compute(network.encoder, network.skip.encoder, x.numpy()), rtol=1e-9)
        x_hat = network.decode(z).numpy()
    np.testing.assert_allclose(x_hat, compute(network.decoder, network.skip.decoder, z.numpy()), rtol=1e-9)


def test_normalization_precedes_activation_and_dropout_follows():
    for name, kind in (("batch", nn.BatchNorm1d), ("layer", nn.LayerNorm)):
        network = MLP((6,), 2, hidden_layer_sizes=(5, 4), normalization=name, dropout=0.3, activation="tanh")
        for half in (network.encoder, network.decoder):
            kinds = [type(layer) for layer in half]
            assert kinds == [nn.Linear, kind, nn.Tanh, nn.Dropout] * 2 + [nn.Linear]
    plain = MLP((6,), 2, hidden_layer_sizes=(5,))
    assert [type(layer) for layer in plain.encoder] == [nn.Linear, nn.SiLU, nn.Linear]


def test_dropout_only_in_training_mode():
    network = MLP((6,), 2, hidden_layer_sizes=(4000,), dropout=0.25, activation="identity")
    hidden = network.encoder[:-1]
    out = hidden.train()(rows(5))
    assert float((out == 0).float().mean()) == pytest.approx(0.25, abs=0.02)
    assert float((hidden.eval()(rows(5)) == 0).float().mean()) == 0


def test_code_and_output_are_unbounded():
    network = MLP((6,), 2, hidden_layer_sizes=(5,), activation="relu", linear_skip=False)
    x = 1e3 * torch.randn(500, 6)
    z = network.encode(x)
    assert z.min() < -1
    assert z.max() > 1
    x_hat = network.decode(1e3 * torch.randn(500, 2))
    assert x_hat.min() < -1
    assert x_hat.max() > 1


def test_numpy_integers_are_accepted():
    network = MLP((6,), np.int64(2), hidden_layer_sizes=np.array([5, 4]))
    assert network.encoder[0].out_features == 5


# ------------------------------------------------------------------ the start


def test_nonlinear_part_starts_at_zero_and_has_gradients():
    network = MLP((6,), 2, hidden_layer_sizes=(5,))
    x = rows()
    assert torch.equal(network.encode(x), network.skip.encoder(x))
    z = network.encode(x)
    assert torch.equal(network.decode(z), network.skip.decoder(z))
    (network.decode(network.encode(x)) - x).square().sum().backward()
    assert network.encoder[-1].weight.grad.abs().sum() > 0
    assert network.decoder[-1].weight.grad.abs().sum() > 0
    assert network.encoder[0].weight.abs().sum() > 0, "zero in both layers would never move"


def test_no_linear_skip_keeps_default_initialization():
    network = MLP((6,), 2, hidden_layer_sizes=(5,), linear_skip=False)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    network.init_from(rows())
    assert all(torch.equal(network.state_dict()[name], value) for name, value in before.items())
    assert network.encoder[-1].weight.abs().sum() > 0


@given(
    n=st.integers(2, 40), d=st.integers(1, 8), k=st.integers(1, 10), wider=st.integers(0, 3), seed=st.integers(0, 2**20)
)
@settings(max_examples=40)
def test_initialization_is_pca(n, d, k, wider, seed):
    x = rows(n, d, seed)
    network = MLP((d,), k, k + wider, hidden_layer_sizes=(3,))
    network.init_from(x)
    with torch.no_grad():
        h = network.encode(x)
        x_hat = network.decode(h[:, :k]).numpy()
    pca = PCA(min(n, d, k), svd_solver="full").fit(x.double().numpy())
    expected = pca.inverse_transform(pca.transform(x.double().numpy()))
    np.testing.assert_allclose(x_hat, expected, atol=1e-3)
    assert float(h[:, min(n, d, k) :].abs().sum()) == 0, "components that the data do not have"


@given(n=st.integers(20, 200), d=st.integers(3, 8), k=st.integers(1, 3), factor=st.floats(1e-2, 1e2))
@settings(max_examples=25)
def test_initial_codes_are_scaled_principal_components(n, d, k, factor):
    x = factor * rows(n, d)
    network = MLP((d,), k, hidden_layer_sizes=())
    network.init_from(x)
    z = network.encode(x).detach().double().numpy()
    np.testing.assert_allclose(z.mean(0), 0, atol=1e-3)
    assert (z**2).sum() / ((n - 1) * k) == pytest.approx(1, rel=1e-3)
    p = PCA(k, svd_solver="full").fit_transform(x.double().numpy())
    between = np.linalg.norm(z[:, None] - z[None], axis=2)
    expected = np.linalg.norm(p[:, None] - p[None], axis=2)
    scale = between.sum() / expected.sum()
    np.testing.assert_allclose(between, scale * expected, atol=1e-2 * between.max())


def test_initialization_does_not_depend_on_input_shape():
    x = rows(40, 6)
    flat, shaped = MLP((6,), 2, hidden_layer_sizes=()), MLP((3, 2), 2, hidden_layer_sizes=())
    flat.init_from(x), shaped.init_from(x.reshape(-1, 3, 2))
    torch.testing.assert_close(shaped.encode(x.reshape(-1, 3, 2)), flat.encode(x))


@pytest.mark.parametrize(
    "x", [torch.zeros(5, 4), torch.full((5, 4), 3.25), torch.ones(1, 4), torch.full((9, 4), 1e-30)]
)
def test_constant_data_start_at_their_mean(x):
    network = MLP((4,), 2, hidden_layer_sizes=(3,))
    network.init_from(x)
    torch.testing.assert_close(network.decode(network.encode(x)), x)
    assert all(torch.isfinite(p).all() for p in network.parameters())


def test_init_from_changes_neither_input_nor_gradients():
    x = rows()
    before = x.clone()
    network = MLP((6,), 2)
    network.init_from(x)
    assert torch.equal(x, before)
    assert all(p.requires_grad and p.grad is None for p in network.parameters())


def test_initialization_is_reproducible():
    # of so many samples and features PCA is computed from random vectors
    x = torch.randn(600, 1100, generator=torch.Generator().manual_seed(0))
    starts = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        np.random.seed(seed)
        before = np.random.get_state()[1].tolist()
        network = MLP((1100,), 3, hidden_layer_sizes=())
        network.init_from(x)
        assert np.random.get_state()[1].tolist() == before
        starts.append(network.skip.encoder.weight.detach().clone())
    assert torch.equal(starts[0], starts[1])
    assert not torch.equal(starts[0], starts[2])


# ------------------------------------------------------------------ refusals


@pytest.mark.parametrize(
    ("params", "match"),
    [
        ({"activation": "swoosh"}, "activation must be one of 'relu', 'leaky_relu'"),
        ({"normalization": "group"}, "normalization must be one of None, 'batch', 'layer'"),
        ({"dropout": -0.1}, "dropout == -0.1"),
        ({"dropout": float("nan")}, "dropout == nan"),
        ({"hidden_layer_sizes": (3, -1)}, "hidden_layer_sizes == -1, must be >= 1"),
        ({"hidden_layer_sizes": (3.0,)}, "hidden_layer_sizes must be an instance of int"),
        ({"hidden_layer_sizes": ("a",)}, "hidden_layer_sizes must be an instance of int"),
        ({"hidden_layer_sizes": (True,)}, "hidden_layer_sizes must be an instance of Integral, not bool"),
        ({"hidden_layer_sizes": 8.0}, "hidden_layer_sizes must be an integer or a sequence of integers, got 8"),
    ],
)
def test_invalid_parameters_raise(params, match):
    with pytest.raises((ValueError, TypeError), match=match):
        MLP((4,), 2, **params)


@pytest.mark.parametrize("skip", [False, True])
@pytest.mark.parametrize("params", [{"n_components": 10**13}, {"n_components": 2, "hidden_layer_sizes": (10**13,)}])
def test_too_large_layers_raise_before_allocation(params, skip):
    with pytest.raises(MemoryError, match=r"weights needs .* GiB to train"):
        MLP((4,), linear_skip=skip, **params)
