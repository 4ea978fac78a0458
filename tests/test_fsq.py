"""Finite scalar quantization: levels, gradients, running statistics, and no collapse."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from skae import AutoencoderTransformer, ConvAutoencoder
from skae.bottlenecks import FSQ


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def prepared(levels=8, k=3, start=None):
    part = FSQ(levels)
    part.setup(k)
    if start is not None:
        part.init_from(start)
    return part.eval()


levels = st.lists(st.integers(2, 4096), min_size=1, max_size=4)


@given(levels=levels)
@settings(max_examples=25)
def test_levels_are_distinct_and_symmetric(levels):
    part = prepared(levels, len(levels), 5 * normal(50, len(levels)))
    for k, n_levels in enumerate(levels):
        indices = torch.zeros(n_levels, len(levels), dtype=torch.int64)
        indices[:, k] = torch.arange(n_levels)
        z = part.from_indices(indices)
        assert torch.equal(part.indices(z), indices)
        assert (z[1:, k] > z[:-1, k]).all()
        torch.testing.assert_close(z[:, k], -z[:, k].flip(0), atol=1e-6, rtol=1e-6)
    assert part.alphabet == tuple(levels)


@given(n_levels=st.integers(2, 9), seed=st.integers(0, 1000))
@settings(max_examples=25)
def test_codes_of_a_normal_distribution_use_all_levels_about_equally(n_levels, seed):
    h = 3 + 7 * normal(4000, 2, seed=seed)
    counts = torch.stack([torch.bincount(i, minlength=n_levels) for i in prepared(n_levels, 2, h).quantize(h).T])
    assert counts.min() > 0.5 * 4000 / n_levels
    assert counts.max() < 2 * 4000 / n_levels


@given(n_levels=st.integers(2, 200), seed=st.integers(0, 1000))
@settings(max_examples=25)
def test_projection_finds_the_nearest_code(n_levels, seed):
    part = prepared(n_levels, 1, normal(20, 1, seed=seed))
    codes = part.from_indices(torch.arange(n_levels)[:, None])
    z = 3 * normal(50, 1, seed=seed + 1)
    nearest = (z - codes.T).abs().min(1).values
    torch.testing.assert_close((part.project(z) - z).abs()[:, 0], nearest, atol=1e-5, rtol=1e-5)


def test_codes_are_close_to_encoder_output():
    h = normal(2000, 3) * torch.tensor([2.0, 5.0, 30.0])
    for n_levels, most in ((4, 0.17), (8, 0.09), (64, 0.08)):  # of the variance; what the ends cut off is left
        error = (prepared(n_levels, 3, h).code(h) - h).square().mean(0) / h.var(0)
        assert error.max() < most


@pytest.mark.parametrize("size", [1e-6, 1e-2])
def test_codes_of_a_small_output_have_the_size_of_the_data(size):
    h = size * normal(2000, 3)
    z = prepared(8, 3, h).code(h)
    torch.testing.assert_close(z.square().mean().sqrt(), torch.tensor(0.95), atol=0.05, rtol=0)
    torch.testing.assert_close(z, prepared(8, 3, h / size).code(h / size), atol=1e-1, rtol=1e-2)


def test_gradient_is_that_without_rounding():
    h = normal(20, 3, seed=1).requires_grad_()
    part = prepared(5, 3, normal(500, 3)).train()
    z, indices = (found := part(h)).z, found.indices
    (gradient,) = torch.autograd.grad(z.sum(), h)
    soft = part.scale * ((h - part.mean) / part.variance.sqrt()).tanh()
    (expected,) = torch.autograd.grad(soft.sum(), h)
    torch.testing.assert_close(gradient, expected)
    assert torch.equal(part.indices(z), indices)


def test_running_statistics_follow_training_and_only_that():
    part = prepared(8, 2, normal(500, 2))
    moved = 4 + 10 * normal(500, 2, seed=1)
    before = {name: value.clone() for name, value in part.state_dict().items()}
    part(moved)
    assert all(torch.equal(value, before[name]) for name, value in part.state_dict().items())
    part.train()
    for _ in range(200):
        part(moved)
    torch.testing.assert_close(part.mean, moved.mean(0), atol=0.01, rtol=0.01)
    torch.testing.assert_close(part.variance, moved.var(0), atol=0.5, rtol=0.02)
    assert torch.equal(part.scale, before["scale"]), "what the decoder has learned stays"
    assert part.metrics()["perplexity"] > 7


@pytest.mark.parametrize("constant", [0.0, 3.0])
@pytest.mark.parametrize("training", [False, True])
def test_constant_component_has_finite_codes_and_gradients(constant, training):
    start = normal(50, 2)
    start[:, 1] = constant
    part = prepared(8, 2, start).train(training)
    h = start[:1].clone().requires_grad_()  # a batch of one row, too
    z = part(h).z
    (gradient,) = torch.autograd.grad(z.sum(), h) if training else (h,)
    assert torch.isfinite(z).all()
    assert torch.isfinite(gradient).all()
    assert part.scale.min() > 0


def test_usage_and_perplexity_are_those_of_the_epoch():
    part = prepared((2, 4), 2).train()
    part(torch.tensor([[-9.0, -9.0], [9.0, -9.0], [9.0, 9.0], [-9.0, 9.0]]))
    found = part.metrics()
    assert found["usage"] == pytest.approx(4 / 6)
    assert found["perplexity"] == pytest.approx(2.0)
    part.eval()(torch.zeros(3, 2))
    assert part.metrics() == {"usage": 0.0, "perplexity": 1.0}, "counts are reset, and validation does not count"


@pytest.mark.parametrize(
    ("levels", "message"),
    [
        ((8, 6, 5), r"FSQ: levels has 3 entries: n_components must be 3, got 2"),
        ([8, 1], r"FSQ: levels .*== 1, must be >= 2"),
        (5000, r"FSQ: levels == 5000, must be <= 4096"),
    ],
)
def test_levels_that_do_not_fit_raise(levels, message):
    with pytest.raises(ValueError, match=message):
        FSQ(levels).setup(2)
    with pytest.raises(TypeError, match="FSQ: levels must be an instance of int"):
        FSQ("many").setup(2)


def used_levels(model, X):
    """How many levels of each integer occur at all."""
    codes = model.indices(X)
    return np.array([len(np.unique(values)) for values in codes.swapaxes(0, 1)])


@pytest.mark.slow
@pytest.mark.parametrize("linear_skip", [True, False])
@pytest.mark.parametrize("dense", [True, False])
def test_codes_do_not_collapse_with_any_of_ten_seeds(digits, dense, linear_skip):
    """Without the running statistics codes from a random start have a perplexity of 2 of 8."""
    X = digits.reshape(-1, 8, 8)
    for seed in range(10):
        model = ConvAutoencoder(
            8 if dense else 3,
            bottleneck=FSQ(8),
            module__dense=dense,
            module__channels=(16, 32),
            module__linear_skip=linear_skip,
            max_epochs=5,
            lr=4e-3,
            random_state=seed,
        ).fit(X)
        assert used_levels(model, X).min() >= 7
        assert model.code_perplexity_ > 6
        assert model.net_.history[-1, "bottleneck_usage"] > 0.95


def test_codes_of_a_table_do_not_collapse(digits):
    model = AutoencoderTransformer(6, bottleneck="fsq", max_epochs=3, lr=1e-2, random_state=0).fit(digits[:500])
    assert (used_levels(model, digits[:500]) == 8).all()
    n_bits = -model.code_model_.score_samples(model.indices(digits[:500])[:, :, None, None]) / math.log(2)
    assert 6 * 2.5 < n_bits.mean() < 6 * 3
