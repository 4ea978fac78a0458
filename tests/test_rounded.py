"""Rounded codes: integers, their rate, and training."""

import math

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from skae import AutoencoderTransformer, ConvAutoencoder
from skae._utils.rng import Stream
from skae.bottlenecks import Bottleneck, Rounded
from skae.coding import compress, decompress, n_bits


def part(n_components=3, n_positions=1, **params):
    made = Rounded(**params)
    with Stream(0):
        made.setup(n_components, n_positions)
    return made.eval()


def heads(n=5, width=3, seed=0):
    return 2 * torch.randn(n, width, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(("n_positions", "shape"), [(1, (5, 3)), (12, (5, 3, 4, 3))])
def test_codes_are_multiples_of_the_step(n_positions, shape):
    bottleneck, h = part(3, n_positions, step=0.25), heads(5, 3 * n_positions)
    z = bottleneck.code(h)
    assert torch.equal(z, (h / 0.25).round() * 0.25)
    assert torch.equal(bottleneck.project(z), z)
    assert torch.equal(bottleneck.from_indices(bottleneck.indices(z)), z)
    assert torch.equal(bottleneck(h.view(shape)).z, z.view(shape))


@pytest.mark.parametrize("quality", [-4.0, 0.5, 4.0])
def test_quality_divides_the_step(quality):
    bottleneck, h = part(step=0.25), heads()
    indices = bottleneck.quantize(h, quality)
    step = 0.25 * 2 ** (-quality / 4)
    torch.testing.assert_close(bottleneck.dequantize(indices, quality), (h / step).round() * step)
    assert ((bottleneck.dequantize(indices, quality) - h).abs() <= step / 2 * 1.001).all()


def test_penalty_is_weighted_information():
    bottleneck, h = part(step=0.3), heads()
    known = (h / 0.3).round()[:, :, None, None]
    nats = bottleneck.context(known, known, torch.zeros(len(h)))
    torch.testing.assert_close(bottleneck(h).penalty, 0.3**2 / 6 * nats)


def test_gradients_pass_through_the_rounding():
    bottleneck, h = part(step=0.3), heads().requires_grad_()
    (gradient,) = torch.autograd.grad(bottleneck(h).z.sum(), h)
    assert torch.equal(gradient, torch.ones_like(h))


def test_training_draws_noise_and_a_quality_for_each_sample():
    bottleneck, h = part(step=0.5, qualities=(-4, 2)).train(), heads(60)
    with Stream(0):
        first, again = bottleneck(h), bottleneck(h)
    with Stream(0):
        assert torch.equal(bottleneck(h).penalty, first.penalty)
    assert not torch.equal(first.penalty, again.penalty)
    # Weights of gradients tell the qualities: each 60th of their range has one.
    quality = first.gradient_weight.log2() / (3 / 8)
    assert sorted(((quality + 4) / 6 * 60).floor().tolist()) == list(range(60))
    bottleneck.eval()
    assert bottleneck(h).gradient_weight is None
    assert torch.equal(bottleneck(h).penalty, bottleneck(h).penalty)


@pytest.mark.parametrize("qualities", [(1, 2), (-2, -1), (0,), -1, "high", (-4, 400), (0, math.nan)])
def test_invalid_qualities_raise(qualities):
    with pytest.raises((ValueError, TypeError), match="Rounded: qualities"):
        part(qualities=qualities)


@pytest.fixture(scope="module")
def digits():
    X = load_digits().images
    return X[:1400], X[1400:]


def cost(ae, X, quality=0):
    """Mean objective of stored samples: squared error in standard deviations of the data, and the price of the bits."""
    error = np.square(decompress(ae, compress(ae, X, quality=quality)) - X).sum() / len(X) / ae.module_.scale**2
    price = ae.module_.bottleneck.price * 2 ** (-quality / 2)
    return error + price * math.log(2) * n_bits(ae, X, quality=quality).mean()


@pytest.mark.parametrize("spatial", [False, True])
@pytest.mark.slow
def test_training_lowers_rate_and_distortion_together(spatial, digits):
    train, test = digits
    cls = ConvAutoencoder if spatial else AutoencoderTransformer
    if not spatial:
        train, test = (A.reshape(len(A), -1) for A in digits)
    params = {"module__dense": False, "module__channels": (16,)} if spatial else {}
    bottleneck = Rounded(step=0.5, qualities=(0, 0), width=16)
    params |= {"bottleneck": bottleneck, "random_state": 0, "n_components": 4 if spatial else 16}
    start = cls(max_epochs=0, **params).fit(train)
    trained = cls(max_epochs=12, lr=1e-3, **params).fit(train)
    assert cost(trained, test) < 0.93 * cost(start, test)


@pytest.mark.parametrize(("spatial", "quality", "most"), [(False, -4, 1.0), (True, -4, 0.99), (True, 0, 1.0)])
@pytest.mark.slow
def test_economical_integers_have_fewer_bits(spatial, quality, most, digits, monkeypatch):
    train, test = digits
    bottleneck = Rounded(step=0.5, width=16)
    if spatial:
        params = {"module__dense": False, "module__channels": (16,)}
        ae = ConvAutoencoder(4, bottleneck=bottleneck, max_epochs=3, lr=1e-3, random_state=0, **params)
    else:
        train, test = (A.reshape(len(A), -1) for A in digits)
        ae = AutoencoderTransformer(16, bottleneck=bottleneck, max_epochs=3, lr=1e-3, random_state=0)
    ae.fit(train)
    economical = cost(ae, test, quality)
    monkeypatch.setattr(Rounded, "economize", Bottleneck.economize)
    assert economical < most * cost(ae, test, quality)
