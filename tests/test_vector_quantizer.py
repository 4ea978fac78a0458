"""Vector quantization: nearest codes, a codebook of moving averages, restarts, and no collapse."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from skae import AutoencoderTransformer, ConvAutoencoder
from skae._utils.rng import Stream
from skae.bottlenecks import VectorQuantizer


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


class Unscaled(VectorQuantizer):
    """One of an encoder whose output always has the mean and variance that it started with."""

    def _scaled(self, h):
        return h


def prepared(n_codes=8, k=3, start=None, cls=Unscaled, **params):
    part = cls(n_codes, **params)
    part.setup(k)
    if start is not None:
        part.init_from(start, generator=torch.Generator().manual_seed(0))
    return part.eval()


@given(n_codes=st.integers(2, 40), k=st.integers(1, 6), seed=st.integers(0, 1000))
@settings(max_examples=25)
def test_codes_are_the_nearest_vectors(n_codes, k, seed):
    part, h = prepared(n_codes, k, normal(100, k, seed=seed)), normal(30, k, seed=seed + 1)
    distances = (h[:, None].double() - part.codebook.double()).square().sum(2)
    torch.testing.assert_close((part.code(h) - h).double().square().sum(1), distances.min(1).values)
    assert torch.equal(part.codebook[part.indices(h)[:, 0]], part.code(h))


@pytest.mark.parametrize("n_rows", [0, 1, 100])
def test_many_rows_are_compared_in_parts(n_rows, monkeypatch):
    part, h = prepared(8, 3, normal(100, 3)), normal(n_rows, 3, seed=1)
    whole = part.indices(h)
    monkeypatch.setattr("skae.bottlenecks.vector_quantizer._MOST_DISTANCES", 8 * 7)
    assert torch.equal(part.indices(h), whole)
    assert whole.shape == (n_rows, 1)


def test_codebook_starts_as_the_centers_of_clusters():
    centers = 10 * normal(8, 3, seed=1)
    h = (centers + 0.1 * normal(200, 8, 3)).flatten(0, 1)
    part = prepared(8, 3, h)
    away = torch.cdist(part.codebook, centers)
    assert sorted(away.argmin(1).tolist()) == list(range(8))
    assert away.min(1).values.max() < 0.1


@pytest.mark.parametrize("n_rows", [1, 3])
def test_fewer_vectors_than_codes_are_all_codes(n_rows):
    h = normal(n_rows, 3)
    part = prepared(8, 3, h.repeat(4, 1))
    assert torch.equal(part.code(h), h)
    assert len(part.codebook.unique(dim=0)) == n_rows


def test_codebook_follows_as_moving_averages():
    part, h = prepared(4, 2, normal(200, 2), decay=0.9, restart_below=0.0).train(), normal(50, 2, seed=1)
    codebook, uses, sums = (A.numpy().copy() for A in (part.codebook, part.uses, part.sums))
    for _ in range(3):
        which = np.square(h.numpy()[:, None] - codebook).sum(2).argmin(1)
        for k in range(4):
            of_code = h.numpy()[which == k]
            uses[k] = 0.9 * uses[k] + 0.1 * len(of_code) * 4 / 50
            sums[k] = 0.9 * sums[k] + 0.1 * of_code.sum(0) * 4 / 50
        codebook = sums / uses[:, None]
        with Stream(0):
            part(h)
        np.testing.assert_allclose(part.codebook, codebook, rtol=1e-4, atol=1e-5)


def test_gradient_of_the_code_goes_to_the_encoder_unchanged():
    part, h = prepared(4, 2, normal(200, 2), commitment=0.5).train(), normal(20, 2, seed=1).requires_grad_()
    before = part.code(h).detach()
    with Stream(0):
        z, penalty, aux, indices = part(h)[:4]
    assert torch.equal(torch.autograd.grad(z.sum(), h, retain_graph=True)[0], torch.ones_like(h))
    torch.testing.assert_close(z, before)
    assert (penalty == 0).all()
    torch.testing.assert_close(aux, 0.5 * (h - before).square().sum(1))
    torch.testing.assert_close(torch.autograd.grad(aux.sum(), h)[0], h.detach() - before)
    assert indices.shape == (20, 1)
    assert part.eval()(h).aux == 0.0, "only the loss is validated"


def test_unused_codes_are_reset_to_vectors_of_batch():
    far = prepared(16, 2, 100 + normal(500, 2), decay=0.5).train()
    h = normal(400, 2, seed=1)
    with Stream(0):
        for _ in range(20):
            far(h)
    assert len(far.indices(h).unique()) == 16
    assert far.codebook.abs().max() < 10
    far.metrics()
    with Stream(0):
        far(h)
    assert far.metrics()["usage"] == 1.0


def test_without_restarts_unused_codes_are_kept():
    part = prepared(2, 1, torch.tensor([[0.0], [100.0]]).repeat(5, 1), decay=0.0, restart_below=0.0).train()
    with Stream(0):
        for _ in range(3):
            part(torch.tensor([[1.0], [2.0]]))
    assert sorted(part.codebook.flatten().tolist()) == [1.5, 100.0]


def test_codes_do_not_depend_on_scale_of_encoder():
    h = normal(500, 3)
    h = 0.5 * (h - h.mean(0)) / h.std()
    codes = prepared(8, 3, h, VectorQuantizer).code(h)
    moved = 5 + 1e-2 * h
    torch.testing.assert_close(prepared(8, 3, moved, VectorQuantizer).code(moved), codes, atol=1e-3, rtol=1e-3)
    assert 0.5 < codes.square().mean() < 1


def test_codes_are_close_to_encoder_output():
    h = normal(2000, 2) * torch.tensor([20.0, 10.0])
    part = prepared(64, 2, h, VectorQuantizer)
    assert (part.code(h) - h).square().mean() < 0.1 * h.var()


def test_running_statistics_follow_training():
    part, moved = prepared(8, 2, normal(200, 2), VectorQuantizer).train(), 3 + 5 * normal(200, 2, seed=1)
    with Stream(0):
        for _ in range(60):
            part(moved)
    torch.testing.assert_close(part.mean, moved.mean(0), rtol=0.01, atol=0.01)
    torch.testing.assert_close(part.variance, moved.var(0).mean(), rtol=0.02, atol=0)
    assert part.codebook.abs().max() < 5
    assert part.metrics()["perplexity"] > 4


def test_evaluation_changes_nothing_and_draws_nothing():
    part, h = prepared(8, 3, normal(100, 3)), normal(20, 3, seed=1)
    state, before = {name: value.clone() for name, value in part.state_dict().items()}, torch.get_rng_state()
    assert torch.equal(part(h).z, part.code(h))
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(value, state[name]) for name, value in part.state_dict().items())


def test_usage_and_perplexity_are_those_of_the_epoch():
    part = prepared(4, 1, torch.arange(4.0)[:, None], restart_below=0.0).train()
    with Stream(0):
        part(torch.tensor([[0.0], [0.0], [3.0], [3.0]]))
    assert part.metrics() == pytest.approx({"usage": 0.5, "perplexity": 2.0})
    assert part.metrics() == {"usage": 0.0, "perplexity": 1.0}


@pytest.mark.slow
@pytest.mark.parametrize("linear_skip", [True, False])
@pytest.mark.parametrize("dense", [True, False])
def test_codes_do_not_collapse_with_any_of_ten_seeds(digits, dense, linear_skip):
    X = digits.reshape(-1, 8, 8)
    for seed in range(10):
        model = ConvAutoencoder(
            8 if dense else 3,
            bottleneck=VectorQuantizer(64),
            module__dense=dense,
            module__channels=(16, 32),
            module__linear_skip=linear_skip,
            max_epochs=5,
            lr=4e-3,
            random_state=seed,
        ).fit(X)
        n_used = len(np.unique(model.indices(X)))
        assert n_used >= 58
        assert model.code_usage_ == n_used / 64
        assert model.code_perplexity_ > 32


def test_codes_of_a_table_do_not_collapse(digits):
    model = AutoencoderTransformer(6, bottleneck=VectorQuantizer(32), max_epochs=5, lr=1e-2, random_state=0)
    model.fit(digits[:500])
    assert len(np.unique(model.indices(digits[:500]))) >= 29
    assert model.code_perplexity_ > 16


def test_small_integers_of_numpy_count():
    """A product of them with a Python integer would overflow."""
    part = prepared(np.uint8(200), 2, normal(300, 2))
    assert part.codebook.shape == (200, 2)
