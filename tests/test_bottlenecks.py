"""Codes and their penalties, against closed forms and torch.distributions."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.decomposition import PCA
from torch.distributions import Independent, Normal, kl_divergence

from skae import AutoencoderTransformer, VAEGenerator
from skae._utils.rng import Stream
from skae.bottlenecks import MMD, Gaussian, KSparse, Nested, SquaredNorm, TotalCorrelation
from skae.nn._layers import LinearSkip

seeds = st.integers(0, 2**31 - 1)
by_variational = pytest.mark.parametrize("cls", [Gaussian, TotalCorrelation])


def prepared(part, n_components=3):
    part.setup(n_components)
    return part.eval()


def heads(n=6, k=3, seed=0, dtype=torch.float32):
    return torch.randn(n, 2 * k, dtype=dtype, generator=torch.Generator().manual_seed(seed))


def posterior(h):
    mean, log_variance = h.chunk(2, dim=1)
    return Normal(mean, (log_variance / 2).exp())


def from_prior(h):
    """The divergence of each component from N(0, 1)."""
    return kl_divergence(posterior(h), Normal(0.0, 1.0))


def normal(n, k, seed=0):
    return torch.randn(n, k, generator=torch.Generator().manual_seed(seed))


# ------------------------------------------------------------------ Gaussian


@given(n=st.integers(1, 6), k=st.integers(1, 5), beta=st.floats(0, 20), seed=seeds)
@settings(max_examples=25)
def test_penalty_is_beta_times_the_divergence_from_the_standard_normal(n, k, beta, seed):
    part, h = prepared(Gaussian(beta=beta), k), 2 * heads(n, k, seed)
    for training in (False, True):
        penalty = part.train(training)(h).penalty
        torch.testing.assert_close(penalty, beta * from_prior(h).sum(1), rtol=1e-4, atol=1e-5)


@by_variational
def test_code_and_distribution_are_the_posterior(cls):
    part, h = prepared(cls()), heads()
    mean, log_variance = part.distribution(h)
    assert torch.equal(mean, h[:, :3])
    assert torch.equal(log_variance, h[:, 3:])
    assert torch.equal(part.code(h), mean)


@by_variational
def test_codes_are_draws_from_the_posterior(cls):
    h = torch.tensor([[1.0, -2.0, 0.0, math.log(4), math.log(0.01), 0.0]]).repeat(2000, 1)
    with Stream(0):
        z = prepared(cls()).train()(h).z
    standardized = (z - posterior(h).loc) / posterior(h).scale
    np.testing.assert_allclose(standardized.mean(0), 0, atol=5 / math.sqrt(2000))
    np.testing.assert_allclose(standardized.std(0), 1, atol=5 / math.sqrt(4000))
    assert np.abs(np.corrcoef(standardized.T) - np.eye(3)).max() < 5 / math.sqrt(2000)


@by_variational
def test_codes_are_random_in_training_and_fixed_in_evaluation(cls):
    part, h = prepared(cls()).train(), heads()
    with Stream(1):
        first, second = part(h).z, part(h).z
    with Stream(1):
        assert torch.equal(part(h).z, first)
    assert not torch.equal(first, second)
    part.eval()
    before = torch.get_rng_state()
    assert torch.equal(part(h).z, part(h).z)
    assert torch.equal(torch.get_rng_state(), before)
    assert not torch.equal(part(h).z, part.code(h)), "validated with a spread too, as it is trained"


@given(warmup=st.floats(0.01, 1), progress=st.floats(0, 1), beta=st.sampled_from([0.5, 1.0, 4.0]))
@settings(max_examples=25)
def test_weight_grows_with_progress_while_training(warmup, progress, beta):
    part, h = prepared(Gaussian(beta=beta, warmup=warmup)), heads()
    part.progress = progress
    full = beta * from_prior(h).sum(1)
    torch.testing.assert_close(part(h).penalty, full)
    torch.testing.assert_close(part.train()(h).penalty, min(progress / warmup, 1) * full)


@pytest.mark.parametrize("beta", [0.0, 1.0, 6.0])
def test_whole_penalty_of_total_correlation_grows_with_progress(beta):
    part, h = prepared(TotalCorrelation(beta=beta, warmup=0.5)).train(), heads()
    penalties = []
    for part.progress in (0.0, 0.25, 0.5, 0.75):
        with Stream(0):
            penalties.append(part(h).penalty)
    torch.testing.assert_close(torch.stack(penalties), penalties[-1] * torch.tensor([0, 0.5, 1, 1])[:, None])


@by_variational
def test_without_warmup_the_weight_is_full_from_the_first_batch(cls):
    part, h = prepared(cls(warmup=0.0)), heads()
    part.progress = 0.0
    with Stream(0):
        cold = part.train()(h).penalty
    part.progress = 1.0
    with Stream(0):
        assert torch.equal(part(h).penalty, cold)
    assert (cold != 0).all()


def test_free_bits_stop_the_gradient_of_components_below_them():
    h = torch.tensor([[0.1, 3.0, 0.0, 0.0], [-0.1, 2.0, 0.0, 0.0]], requires_grad=True)
    part = prepared(Gaussian(free_bits=0.5), 2)
    exact = from_prior(h).sum(1)
    torch.testing.assert_close(part(h).penalty, exact, msg="validation has none")
    penalty = part.train()(h).penalty
    torch.testing.assert_close(penalty, torch.tensor([0.5 + 4.5, 0.5 + 2.0]))
    (gradient,) = torch.autograd.grad(penalty.sum(), h)
    torch.testing.assert_close(gradient, torch.tensor([[0.0, 3.0, 0.0, 0.0], [0.0, 2.0, 0.0, 0.0]]))


def test_free_bits_apply_to_the_mean_of_the_batch():
    h = torch.tensor([[0.0, 0.0], [3.0, 0.0]])
    penalty = prepared(Gaussian(free_bits=0.5), 1).train()(h).penalty
    torch.testing.assert_close(penalty, torch.tensor([0.0, 4.5]))  # the mean, 2.25, lies above


@by_variational
@pytest.mark.parametrize("training", [False, True])
def test_penalties_and_gradients_are_finite_for_any_encoder_output(cls, training):
    part = prepared(cls(), 2).train(training)
    extremes = torch.tensor([-1e4, -30.0, 0.0, 30.0, 1e4])
    h = torch.cartesian_prod(extremes, extremes, extremes[::2], extremes[::2]).requires_grad_()
    z, penalty = part(h)[:2]
    (gradient,) = torch.autograd.grad(penalty.sum() + z.sum(), h)
    for value in (z, penalty, gradient):
        assert torch.isfinite(value).all()
    assert cls is TotalCorrelation or (penalty >= 0).all()


@by_variational
def test_gradients(cls):
    part = prepared(cls(beta=3.0), 2)
    h = heads(4, 2, dtype=torch.float64).requires_grad_()
    assert torch.autograd.gradcheck(lambda h: part(h)[:2], h)


@pytest.mark.parametrize("k", [2, 5])
@pytest.mark.parametrize("training", [False, True])
def test_layout_of_importance_samples(k, training):
    part, h = prepared(Gaussian(importance_samples=k)).train(training), heads(4)
    z, penalty = part(h)[:2]
    assert z.shape == (4 * k, 3)
    assert penalty.shape == (4 * k,)
    for i in range(k):
        part_of = slice(4 * i, 4 * i + 4)
        q, p = Independent(posterior(h), 1), Independent(Normal(torch.zeros(3), torch.ones(3)), 1)
        expected = q.log_prob(z[part_of]) - p.log_prob(z[part_of])
        torch.testing.assert_close(penalty[part_of], expected, rtol=1e-4, atol=1e-4)
    assert len(z.unique(dim=0)) == 4 * k


def test_importance_samples_cost_the_divergence_in_the_mean():
    h, k = heads(3), 4000
    with Stream(0):
        penalty = prepared(Gaussian(importance_samples=k)).train()(h).penalty.view(k, 3)
    error = 5 * penalty.std(0) / math.sqrt(k)
    assert ((penalty.mean(0) - from_prior(h).sum(1)).abs() < error).all()


@pytest.mark.parametrize("params", [{"beta": 2.0}, {"free_bits": 0.1}])
def test_importance_samples_need_the_plain_bound(params):
    with pytest.raises(ValueError, match=r"importance_samples=3 needs beta=1 and free_bits=0, got beta"):
        Gaussian(importance_samples=3, **params).setup(2)


# ------------------------------------------------------------------ the start


def start(part, x, k):
    skip = LinearSkip((x.shape[1],), k, part.n_outputs(k))
    prepared(part, k).init_skip(skip, x)
    return skip


def stretched(n=500, d=6, seed=0):
    return 3 + normal(n, d, seed) * torch.arange(d, 0, -1) @ torch.linalg.qr(normal(d, d, seed + 1))[0]


@by_variational
@given(k=st.integers(1, 8), n=st.integers(1, 12), seed=seeds)
@settings(max_examples=25)
def test_initialization_is_finite(cls, k, n, seed):
    for x in (normal(n, 4, seed), torch.full((n, 4), 3.0), torch.zeros(n, 4)):
        skip = start(cls(), x, k)
        assert all(torch.isfinite(p).all() for p in skip.parameters())
        mean, log_variance = prepared(cls(), k).distribution(skip.encode(x))
        assert (log_variance <= 1e-4).all(), "no posterior is wider than the prior"
        torch.testing.assert_close(mean.mean(0), torch.zeros(k), atol=1e-2, rtol=0)


def test_start_is_probabilistic_pca():
    x, k = stretched(), 2
    skip = start(Gaussian(), x, k)
    values, vectors = torch.linalg.eigh(x.T.cov())
    noise = values[:-k].mean()
    covariance = vectors[:, -k:] @ torch.diag(values[-k:]) @ vectors[:, -k:].T
    rest = torch.eye(6) - vectors[:, -k:] @ vectors[:, -k:].T
    w = skip.decoder.weight
    torch.testing.assert_close(w @ w.T + noise * torch.eye(6), covariance + noise * rest, rtol=1e-3, atol=1e-3)
    m = w.T @ w + noise * torch.eye(k)  # Tipping and Bishop (1999): z|x ~ N(M⁻¹ Wᵀ (x − mean), σ² M⁻¹)
    mean, log_variance = skip.encode(x).chunk(2, dim=1)
    torch.testing.assert_close(mean, (x - x.mean(0)) @ w @ m.inverse(), rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(torch.diag(log_variance[0].exp()), noise * m.inverse(), rtol=1e-3, atol=1e-4)
    assert torch.equal(log_variance, log_variance[:1].expand_as(log_variance))


def test_mmd_starts_with_white_codes_that_decode_to_pca():
    x, k = stretched(), 3
    skip = start(MMD(), x, k)
    z = skip.encode(x)
    torch.testing.assert_close(z.T.cov(), torch.eye(k), atol=1e-3, rtol=0)
    torch.testing.assert_close(z.mean(0), torch.zeros(k), atol=1e-4, rtol=0)
    plain = LinearSkip((6,), k, k)
    plain.init_from(x)
    torch.testing.assert_close(skip.decode(z), plain.decode(plain.encode(x)), atol=1e-3, rtol=1e-4)


# ------------------------------------------------------------------ total correlation


def test_beta_one_is_gaussian():
    h = heads()
    for training in (False, True):
        outputs = []
        for part in (TotalCorrelation(beta=1.0, warmup=0.0), Gaussian(warmup=0.0)):
            with Stream(0):
                outputs.append(prepared(part).train(training)(h))
        assert torch.equal(outputs[0].z, outputs[1].z)
        torch.testing.assert_close(outputs[0].penalty, outputs[1].penalty)


def correlation_of(h, beta=3.0):
    """What the penalty holds beside the divergence."""
    penalty = prepared(TotalCorrelation(beta=beta), h.shape[1] // 2)(h).penalty
    return (penalty - from_prior(h).sum(1)) / (beta - 1)


@given(rho=st.floats(-0.85, 0.85), spread=st.sampled_from([0.2, 0.35]), seed=st.integers(1, 1000))
@settings(max_examples=10)
def test_correlation_is_that_of_the_codes_of_the_batch(rho, spread, seed):
    """Means follow N(0, C − spread² I), so that codes follow N(0, C), up to sampling; seed 0 is that of evaluation."""
    n, covariance = 1500, torch.tensor([[1.0, rho], [rho, 1.0]])
    means = normal(n, 2, seed) @ torch.linalg.cholesky(covariance - spread**2 * torch.eye(2)).T
    h = torch.cat([means, torch.full((n, 2), 2 * math.log(spread))], 1)
    assert float(correlation_of(h).mean()) == pytest.approx(-0.5 * math.log(1 - rho**2), abs=0.08)


def test_total_correlation_penalizes_only_dependence():
    n = 1000
    t = normal(n, 1, seed=1)
    log_variance = torch.full((n, 2), 2 * math.log(0.15))
    ring = torch.cat([torch.cos(3 * t), torch.sin(3 * t)], 1)  # dependent and nearly uncorrelated
    independent = ring[:, :1], ring[torch.randperm(n, generator=torch.Generator().manual_seed(0)), 1:]
    costs = [float(correlation_of(torch.cat([z, log_variance], 1)).mean()) for z in (torch.cat(independent, 1), ring)]
    assert abs(costs[0]) < 0.05
    assert costs[1] > 0.25


def test_one_component_and_one_row_have_no_total_correlation():
    torch.testing.assert_close(correlation_of(heads(8, 1)), torch.zeros(8), atol=1e-5, rtol=0)
    torch.testing.assert_close(correlation_of(heads(1, 4)), torch.zeros(1), atol=1e-5, rtol=0)


# ------------------------------------------------------------------ MMD


def discrepancies(codes, repeats=60):
    """The penalty of codes(i), at weight 1, while training."""
    part = prepared(MMD(weight=1.0)).train()
    with Stream(0):
        return np.array([float(part(codes(i)).penalty[0]) for i in range(repeats)])


@pytest.mark.parametrize(("n", "k"), [(2, 2), (20, 3), (100, 8)])
def test_mmd_is_unbiased_for_standard_normal_codes(n, k):
    repeats = 2000 if n == 2 else 150
    found = discrepancies(lambda i: normal(n, k, seed=i), repeats)
    assert abs(found.mean()) < 4 * found.std() / math.sqrt(repeats)
    assert found.min() < 0 < found.max()


@pytest.mark.parametrize(
    "change",
    [lambda z: z + 1, lambda z: 2 * z, lambda z: z / 2, lambda z: 0 * z, lambda z: z[:, [0, 0, 0]], torch.sign],
    ids=["shifted", "wider", "narrower", "collapsed", "dependent", "not normal"],
)
def test_mmd_is_positive_for_other_codes(change):
    found = discrepancies(lambda i: change(normal(200, 3, seed=i)))
    by_chance = discrepancies(lambda i: normal(200, 3, seed=i))
    assert found.min() > by_chance.max()


@pytest.mark.slow
def test_mmd_of_a_point_is_that_of_its_formula():
    """Between a point at 0 and N(0, 1) by numerical integration."""
    t = torch.linspace(-12, 12, 2401, dtype=torch.float64)
    density = Normal(0.0, 1.0).log_prob(t).exp() * (t[1] - t[0])

    def kernel(squares):
        return sum(2 * c / (2 * c + squares) for c in (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0))

    inner = kernel((t[:, None] - t).square())
    expected = kernel(torch.zeros(())) + density @ inner @ density - 2 * density @ kernel(t.square())
    found = discrepancies(lambda i: torch.zeros(200, 1), repeats=100)
    assert found.mean() == pytest.approx(float(expected), abs=4 * found.std() / 10)


def test_mmd_is_shared_by_all_samples_and_scaled_by_weight():
    h = 2 * normal(30, 3)
    one, ten = (prepared(MMD(weight=weight))(h).penalty for weight in (1.0, 10.0))
    assert torch.equal(one, one[:1].expand(30))
    torch.testing.assert_close(ten, 10 * one)


def test_mmd_of_one_sample_is_zero_and_leaves_the_code():
    h = torch.tensor([[5.0, -3.0]])
    for training in (False, True):
        z, penalty = prepared(MMD(), 2).train(training)(h)[:2]
        assert torch.equal(z, h)
        assert penalty.tolist() == [0]


def test_mmd_evaluates_with_the_same_draws_every_time():
    part, h = prepared(MMD()), normal(20, 3)
    before = torch.get_rng_state()
    assert torch.equal(part(h).penalty, part(h).penalty)
    assert torch.equal(torch.get_rng_state(), before)
    part.train()
    with Stream(0):
        assert not torch.equal(part(h).penalty, part(h).penalty)


def test_mmd_gradient_with_codes_that_coincide():
    part = prepared(MMD())
    h = normal(5, 3).double().requires_grad_()
    assert torch.autograd.gradcheck(lambda h: part(h).penalty[0], h)
    same = torch.ones(4, 3, requires_grad=True)
    (gradient,) = torch.autograd.grad(part(same).penalty[0], same)
    assert torch.isfinite(gradient).all()
    assert (gradient > 0).all(), "toward 0, where the others are"


# ------------------------------------------------------------------ squared norm


@given(weight=st.floats(0, 100), seed=seeds)
@settings(max_examples=25)
def test_squared_norm_is_half_the_squared_length(weight, seed):
    h = normal(4, 3, seed)
    z, penalty = prepared(SquaredNorm(weight))(h)[:2]
    assert torch.equal(z, h)
    torch.testing.assert_close(penalty, weight * h.norm(dim=1) ** 2 / 2, rtol=1e-4, atol=1e-6)


# ------------------------------------------------------------------ k-sparse codes


@given(n=st.integers(1, 5), width=st.integers(3, 8), k=st.integers(1, 3), seed=seeds)
@settings(max_examples=25)
def test_k_sparse_keeps_the_largest_entries(n, width, k, seed):
    part, h = prepared(KSparse(k), width), normal(n, width, seed)
    for z in (part.code(h), part.project(h)):
        assert ((z != 0).sum(1) == k).all()
        assert torch.equal(z[z != 0], h[z != 0])
        smallest_kept = z.abs().masked_fill(z == 0, math.inf).amin(1, keepdim=True)
        assert (h.abs()[z == 0].view(n, -1) <= smallest_kept).all()


def test_k_sparse_counts_all_positions_of_a_spatial_code():
    KSparse(12).setup(3, n_positions=4)
    with pytest.raises(ValueError, match=r"KSparse: k .at most the width of the code. == 13, must be <= 12"):
        KSparse(13).setup(3, n_positions=4)


def codes_that_are_decoded(estimator, monkeypatch):
    """The list that the codes which reach the decoder from now on are put into."""
    seen, decode = [], estimator.module_.network.decode
    monkeypatch.setattr(estimator.module_.network, "decode", lambda z: seen.append(z) or decode(z))
    return seen


def test_samples_and_interpolations_of_k_sparse_codes_are_k_sparse(blobs, monkeypatch):
    model = VAEGenerator(4, bottleneck=KSparse(2), max_epochs=1, random_state=0).fit(blobs)
    seen = codes_that_are_decoded(model, monkeypatch)
    model.sample(20, random_state=0)
    ways = model.interpolate(blobs[:3], blobs[3:6], 5, method="linear")
    assert [len(z) for z in seen] == [20, 15]
    assert all(((z != 0).sum(1) <= 2).all() for z in seen)
    np.testing.assert_allclose(ways[:, 0], model.reconstruct(blobs[:3]), rtol=1e-5)


def test_inverse_transform_decodes_continuous_codes_as_they_are(blobs, monkeypatch):
    model = AutoencoderTransformer(4, bottleneck=KSparse(2), max_epochs=1, random_state=0).fit(blobs)
    seen = codes_that_are_decoded(model, monkeypatch)
    model.inverse_transform(np.ones((3, 4)))
    assert (seen[0] == 1).all()


# ------------------------------------------------------------------ Nested


def lengths(z):
    """How many components each row of ones has kept; what is kept is a prefix."""
    assert (z.diff(dim=1) <= 0).all()
    return z.sum(1).long()


@given(n=st.integers(1, 200), d=st.integers(1, 20), full=st.floats(0, 1), seed=seeds, training=st.booleans())
def test_prefixes_have_their_distribution_in_each_batch(n, d, full, seed, training):
    part = prepared(Nested(full), d).train(training)
    with Stream(seed):
        found = torch.bincount(lengths(part(torch.ones(n, d)).z), minlength=d + 1).double()
    expected = n * torch.cat([torch.zeros(1), torch.full((d,), (1 - full) / d)]).double()
    expected[d] += n * full
    # A grid has as many points in an interval as its length asks for, up to one; the fixed sequence up to a logarithm.
    most = 2 if training else 2 + math.log(n + 1)
    assert float((found - expected).abs().max()) <= most


def test_prefixes_change_in_training_and_not_in_validation():
    part, ones = prepared(Nested(), 8), torch.ones(50, 8)
    with Stream(0):
        assert torch.equal(part(ones).z, part(ones).z)
        assert not torch.equal(part.train()(ones).z, part(ones).z)
    assert torch.equal(part.code(ones), ones)
    assert torch.equal(Nested(full=1.0).eval()(ones).z, ones)


def test_prefix_of_a_spatial_code_is_its_first_channels_everywhere():
    z = prepared(Nested(), 5)(torch.ones(20, 5, 2, 3)).z
    assert torch.equal(z, z[:, :, :1, :1].expand_as(z))
    assert len(set(lengths(z[:, :, 0, 0]).tolist())) == 5


def test_linear_nested_codes_are_the_principal_components():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((400, 4)) * [4.0, 2.0, 1.0, 0.3] @ np.linalg.qr(rng.standard_normal((4, 4))).Q
    ae = AutoencoderTransformer(
        3, bottleneck=Nested(0.0), module__hidden_layer_sizes=(), module__linear_skip=False, lr=0.05, max_epochs=60,
        early_stopping=False, batch_size=50, random_state=0,
    ).fit(X)  # fmt: skip
    columns = ae.module_.network.decoder[0].weight.detach().numpy()
    cosines = np.abs(np.sum(columns / np.linalg.norm(columns, axis=0) * PCA(3).fit(X).components_.T, axis=0))
    assert cosines.min() > 0.99


def test_training_of_nested_codes_is_kept(digits):
    ae = AutoencoderTransformer(12, bottleneck="nested", max_epochs=10, random_state=0).fit(digits[:600])
    assert ae.best_epoch_ > 0
    pca = PCA(12).fit(digits[:600])
    Z, new = ae.transform(digits[600:]), digits[600:]
    for k in (2, 4, 8):
        linear = pca.transform(new)[:, :k] @ pca.components_[:k] + pca.mean_
        assert ((ae.inverse_transform(Z[:, :k]) - new) ** 2).mean() < ((linear - new) ** 2).mean()
