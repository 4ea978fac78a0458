"""The autoregressive density of integer codes."""

import hashlib
import itertools
import pickle

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from skae._density.autoregressive import Autoregressive
from skae._density.raster_net import RasterNet
from skae._density.tables import PRECISION, bits
from skae._density.whole_raster import WholeRaster, exponentials, frequencies, whole_weights


def small(**params):
    return Autoregressive(**{"n_layers": 1, "width": 8, "kernel_size": 3, "max_epochs": 2, "random_state": 0} | params)


def random_codes(n, alphabet, size, seed=0):
    rng = np.random.default_rng(seed)
    return np.stack([rng.integers(0, 5 if a is None else a, (n, *size)) for a in alphabet], 1)


def random_net(n_levels, size=None, n_layers=2, width=8, kernel_size=3, seed=0, scale=0.3):
    """A network whose weights are all at work."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        net = RasterNet(n_levels, size, n_layers, width, kernel_size)
        with torch.no_grad():
            for value in net.parameters():
                value += scale * torch.randn_like(value)
    return net


def decoded(model, codes):
    """Decode the steps integer by integer, and count their bits."""
    found, flat = np.zeros_like(codes), codes.ravel()
    total = np.zeros(codes.size)
    for step in model.steps(found):
        assert not found.ravel()[step.index].any()
        found.reshape(-1)[step.index] = flat[step.index]
        total[step.index] += bits(step, flat[step.index])
    return found, total


MODELS = {
    "spatial": ((4, 3, 2), (3, 4), {}),
    "no position biases": ((4, 3), (3, 3), {"position_biases": False}),
    "dense": ((5, 2, 3, 4), (1, 1), {}),
    "sequence": ((6,), (7, 1), {"kernel_size": 5}),
    "many integers": ((3,) * 12, (2, 2), {"n_layers": 0}),
    "large alphabet": ((300,), (2, 3), {}),
    "without bounds": ((None, 4), (3, 2), {}),
}


@pytest.fixture(scope="module", params=MODELS)
def model(request):
    alphabet, size, params = MODELS[request.param]
    return small(alphabet=alphabet, **params).fit(random_codes(40, alphabet, size))


# ---------------------------------------------------------------- probabilities


def test_decoder_gets_the_probabilities_of_score_samples(model):
    codes = random_codes(9, model.alphabet_, model.size_, seed=1)
    codes[0] += 100 * np.array([a is None for a in model.alphabet_])[:, None, None]
    found, n_bits = decoded(model, codes)
    np.testing.assert_array_equal(found, codes)
    np.testing.assert_allclose(-np.log(2) * n_bits.reshape(9, -1).sum(1), model.score_samples(codes), rtol=1e-12)


def test_steps_name_each_integer_once(model):
    codes = random_codes(3, model.alphabet_, model.size_)
    steps = list(model.steps(codes))
    np.testing.assert_array_equal(np.sort(np.concatenate([step.index for step in steps])), np.arange(codes.size))
    assert all((step.tables.frequencies.sum(1) == 1 << PRECISION).all() for step in steps)


def test_codes_too_wide_for_memory_raise(monkeypatch):
    model = small(alphabet=(4,)).fit(random_codes(20, (4,), (2, 2)))
    wide = np.zeros((1, 1, 1, 2**20), np.int64)
    monkeypatch.setattr("skae._density.autoregressive._MOST_CACHED_OF_ONE", 2**20)
    with pytest.raises(ValueError, match="codes must be narrower than 1048576 positions"):
        next(model.steps(wide))


def test_codes_of_other_sizes_have_probabilities(model):
    h, w = model.size_
    codes = random_codes(3, model.alphabet_, (h + 2, w + 1))
    _, n_bits = decoded(model, codes)
    np.testing.assert_allclose(-np.log(2) * n_bits.reshape(3, -1).sum(1), model.score_samples(codes), rtol=1e-12)
    assert model.sample(2, shape=(h + 2, w + 1), random_state=0).shape == codes[:2].shape


def test_probabilities_do_not_depend_on_the_codes_beside(model, monkeypatch):
    codes = random_codes(7, model.alphabet_, model.size_, seed=2)
    scores = model.score_samples(codes)
    each = [model.score_samples(code[None])[0] for code in codes]
    np.testing.assert_allclose(each, scores, rtol=1e-12)
    monkeypatch.setattr("skae._density.autoregressive._MOST_POSITIONS", 1)
    monkeypatch.setattr("skae._density.autoregressive._MOST_CACHED", 1)
    np.testing.assert_allclose(model.score_samples(codes), scores, rtol=1e-12)
    found, n_bits = decoded(model, codes)
    np.testing.assert_array_equal(found, codes)
    np.testing.assert_allclose(-np.log(2) * n_bits.reshape(7, -1).sum(1), scores, rtol=1e-12)


@pytest.mark.parametrize(("alphabet", "size"), [((3, 2), (2, 2)), ((2, 3, 2), (1, 1)), ((2,), (3, 3))])
def test_probabilities_of_all_codes_add_up_to_one(alphabet, size):
    model = small(alphabet=alphabet).fit(random_codes(30, alphabet, size))
    values = [range(a) for a in alphabet for _ in range(size[0] * size[1])]
    codes = np.array(list(itertools.product(*values))).reshape(-1, len(alphabet), *size)
    p = np.exp(model.score_samples(codes))
    assert p.sum() == pytest.approx(1, rel=1e-9)
    assert p.std() / p.mean() > 0.01, "they are not uniform"


@pytest.mark.slow
def test_samples_follow_the_probabilities():
    rng = np.random.default_rng(0)
    codes = rng.choice(3, (400, 1, 1, 3), p=[0.7, 0.2, 0.1])
    codes[:, :, :, 2] = codes[:, :, :, 0]
    model = small(alphabet=(3,), max_epochs=30, lr=0.02).fit(codes)
    every = np.array(list(itertools.product(range(3), repeat=3))).reshape(-1, 1, 1, 3)
    p = np.exp(model.score_samples(every))
    n = 20_000
    drawn = model.sample(n, random_state=0).reshape(n, 3) @ [9, 3, 1]
    counts = np.bincount(drawn, minlength=27)
    assert np.abs(counts - n * p).max() < 5 * np.sqrt(n * p.max())
    assert (((counts - n * p) ** 2 / (n * p + 1)).sum()) < 27 + 5 * np.sqrt(2 * 27)


def test_low_temperature_makes_draws_typical():
    codes = np.random.default_rng(0).choice(4, (200, 1, 2, 2), p=[0.4, 0.3, 0.2, 0.1])
    model = small(alphabet=(4,)).fit(codes)
    shares = [(model.sample(500, temperature=t, random_state=1) == 0).mean() for t in (0.05, 1.0, 20.0)]
    assert shares[0] > 0.95
    assert abs(shares[1] - 0.4) < 0.1
    assert abs(shares[2] - 0.25) < 0.05


@pytest.mark.slow
def test_it_learns_a_markov_chain():
    """Its code is shorter than that by tables of counts, and near the entropy."""
    rng = np.random.default_rng(0)
    n, length, stays = 600, 12, 0.9
    codes = rng.integers(0, 4, (n, 1, 1, length))
    for j in range(1, length):
        keep = rng.random(n) < stays
        codes[keep, 0, 0, j] = codes[keep, 0, 0, j - 1]
    model = Autoregressive(1, 16, max_epochs=25, lr=0.01, alphabet=(4,), random_state=0).fit(codes[:400])
    stay = stays + (1 - stays) / 4
    entropy = np.log(4) - (length - 1) * (stay * np.log(stay) + (1 - stay) * np.log((1 - stay) / 3))
    by_counts = length * np.log(4)  # each of the four values is as frequent as any other
    cost = -model.score(codes[400:])
    assert 0.9 * entropy < cost < entropy + 0.15 * (by_counts - entropy)


@pytest.mark.slow
def test_later_integers_of_a_position_follow_earlier_ones():
    a = np.random.default_rng(0).integers(0, 5, (200, 1, 1, 1))
    codes = np.concatenate([a, (a + 2) % 5], 1)
    model = small(alphabet=(5, 5), max_epochs=40, lr=0.04, batch_size=32, width=16).fit(codes)
    assert -np.log(5) - 0.2 < model.score(codes) < -np.log(5) + 0.02


def test_unbounded_integers_may_lie_far_out():
    model = small().fit(random_codes(40, (None,), (2, 2)))
    codes = random_codes(3, (None,), (2, 2))
    codes[0, 0, 0, 0], codes[1, 0, 1, 1] = -(2**31), 2**31 - 1
    scores = model.score_samples(codes)
    assert scores[0] < scores[2]
    assert np.isfinite(scores).all()
    assert set(np.unique(model.sample(200, random_state=0))) <= set(range(5)), "draws stay in the range that was seen"


# ---------------------------------------------------------------- whole numbers


@given(
    seed=st.integers(0, 2**31), size=st.tuples(st.integers(1, 4), st.integers(1, 4)), kernel=st.sampled_from([1, 3, 5])
)
@settings(max_examples=15)
def test_sequential_and_parallel_logits_are_equal(seed, size, kernel):
    n_levels = (4, 20, 2)
    net = WholeRaster(whole_weights(random_net(n_levels, size, kernel_size=kernel, seed=seed)))
    codes = random_codes(3, n_levels, size, seed)
    together = list(net.all_logits(codes))
    known = np.zeros_like(codes)
    for k, i, j, logits in net.walk(lambda k, i, j: known[:, k, i, j], 3, size):
        np.testing.assert_array_equal(logits, together[k][:, i, j])
        known[:, k, i, j] = codes[:, k, i, j]
    np.testing.assert_array_equal(known, codes)


def test_convolutions_and_matrix_products_give_the_same_logits(monkeypatch):
    n_levels, size = (4, 20, 2), (6, 5)
    net = WholeRaster(whole_weights(random_net(n_levels, size, width=16, kernel_size=5)))
    codes = random_codes(20, n_levels, size)
    expected = list(net.all_logits(codes))
    assert any(np.unique(logits).size > 100 for logits in expected)
    kind = type(net.first)
    monkeypatch.setattr(kind, "__call__", kind.by_matmul)
    for found, logits in zip(net.all_logits(codes), expected, strict=True):
        np.testing.assert_array_equal(found, logits)


@pytest.mark.parametrize("size", [(5, 4), (1, 1)])
def test_whole_numbers_stay_near_the_network(size):
    n_levels = (4, 20, 2)
    net = random_net(n_levels, size, scale=0.1)  # no probability is below that of the smallest frequency
    codes = random_codes(50, n_levels, size)
    with torch.no_grad():
        expected = net(torch.from_numpy(codes)).numpy()
    found = 0.0
    for k, logits in enumerate(WholeRaster(whole_weights(net)).all_logits(codes)):
        p = frequencies(logits.reshape(-1, n_levels[k]), exponentials()) / 2**PRECISION
        found -= np.log(p[np.arange(len(p)), codes[:, k].ravel()]).reshape(50, -1).sum(1)
    np.testing.assert_allclose(found, expected, atol=0.01 * codes[0].size)


@given(
    st.integers(1, 4096),
    st.integers(0, 2**31),
    st.sampled_from([0, 1, 2**13]),
)
@settings(max_examples=25)
def test_frequencies_are_positive_and_add_up(n_levels, seed, spread):
    logits = np.random.default_rng(seed).integers(-spread, spread + 1, (3, n_levels))
    found = frequencies(logits, exponentials())
    assert found.min() >= 1
    assert (found.sum(1) == 1 << PRECISION).all()
    assert np.take_along_axis(found, logits.argmax(1)[:, None], 1).min() == found.max(1).min()


def test_nothing_of_the_format_changes():
    """The steps and probabilities of a model stay: files that were written with it have to be read for ever."""
    rng = np.random.RandomState(0)
    shapes = {name: value.shape for name, value in whole_weights(random_net((3, 4), (2, 2))).items()}
    weights = {
        name: rng.randint(-3000, 3000, shape) * (1 + 1000 * name.endswith("bias")) for name, shape in shapes.items()
    }
    model = Autoregressive()
    model.alphabet_, model.n_levels_, model.low_, model.size_ = (3, None), (3, 4), np.array([0, -2]), (2, 2)
    model.weights_, model.exponentials_ = weights, exponentials()
    codes = rng.randint(-2, 2, (5, 2, 2, 2))
    codes[:, 0] = rng.randint(0, 3, (5, 2, 2))
    digest = hashlib.blake2b(digest_size=8)
    for step in model.steps(codes):
        digest.update(step.index.astype("<i8").tobytes() + step.tables.frequencies.astype("<i8").tobytes())
    assert (digest.hexdigest(), model.digest().hex()[:16]) == ("4dfdd9add5e18049", "23f70fa34ad62a98")


# ---------------------------------------------------------------- fitting


def test_fits_repeat_and_differ_by_seed():
    codes = random_codes(50, (4, 3), (2, 3))
    digests = [small(random_state=seed, alphabet=(4, 3)).fit(codes).digest() for seed in (0, 0, 1)]
    assert digests[0] == digests[1] != digests[2]


def test_global_random_streams_are_left_alone():
    before = torch.get_rng_state(), np.random.get_state()[1].tolist()
    small().fit(random_codes(30, (3,), (2, 2))).sample(2, random_state=0)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert np.random.get_state()[1].tolist() == before[1]


def test_best_weights_on_held_out_codes_are_kept():
    codes = random_codes(60, (6,), (3, 3))  # there is nothing to learn but noise
    model = small(alphabet=(6,), max_epochs=60, lr=0.05, width=32, position_biases=False, validation_fraction=0.5)
    model.fit(codes)
    assert len(model.loss_curve_) == 60
    assert len(model.validation_loss_curve_) == 61
    assert model.validation_loss_curve_[-1] > 9 * np.log(6) + 1, "it memorizes"
    assert -model.score(random_codes(500, (6,), (3, 3), seed=7)) < 9 * np.log(6) + 1


def test_without_epochs_it_has_the_frequencies_of_values():
    codes = np.random.default_rng(0).choice(4, (500, 1, 2, 2), p=[0.6, 0.2, 0.15, 0.05])
    model = small(alphabet=(4,), max_epochs=0, validation_fraction=0.0).fit(codes)
    step = next(iter(model.steps(codes[:1])))
    p = step.tables.frequencies[0] / 2**PRECISION
    np.testing.assert_allclose(p, np.bincount(codes.ravel()) / codes.size, atol=0.01)


def test_codes_of_weight_zero_are_ignored():
    codes, more = random_codes(50, (4,), (2, 2)), random_codes(30, (4,), (2, 2), seed=5)
    alone = small(alphabet=(4,)).fit(codes)
    both = small(alphabet=(4,)).fit(np.concatenate([codes, more]), np.r_[np.full(50, 2.0), np.zeros(30)])
    assert both.digest() == alone.digest()


@pytest.mark.slow
def test_weights_count():
    codes = np.repeat(np.arange(2), 100)[:, None, None, None]
    model = small(alphabet=(2,), max_epochs=40, lr=0.02).fit(codes, np.repeat([9.0, 1.0], 100))
    assert np.exp(model.score_samples(codes[:1])) > 0.75


def test_few_codes_are_enough():
    model = small(alphabet=(3,)).fit(random_codes(2, (3,), (2, 2)))
    assert model.validation_loss_curve_ == []


def test_constant_codes_cost_almost_nothing():
    codes = np.full((100, 2, 2, 2), 7)
    model = small(max_epochs=30, lr=0.02).fit(codes)
    assert -0.1 < model.score(codes) < 0
    assert (model.sample(50, random_state=0) == 7).mean() > 0.99


def test_epochs_follow_the_number_of_codes():
    model = Autoregressive()
    assert [model._n_epochs(n) for n in (10, 480, 4800, 10**6)] == [100, 100, 10, 2]
    assert small(max_epochs=3)._n_epochs(10) == 3


def test_sum_that_might_be_rounded_raises():
    net = random_net((3,))
    net.first.weight.data[:] = 1e12
    with pytest.raises(ValueError, match=r"must not exceed 2 \*\* 52"):
        WholeRaster(whole_weights(net))


def test_loss_that_is_not_finite_ends_the_fit():
    with pytest.raises(FloatingPointError, match="lower lr"):
        small(alphabet=(4,), lr=1e30, max_epochs=5).fit(random_codes(100, (4,), (2, 2)))


# ---------------------------------------------------------------- state


def test_clones_and_pickles_have_the_same_digest_and_steps(model):
    assert clone(model).get_params() == model.get_params()
    same = pickle.loads(pickle.dumps(model))
    assert same.digest() == model.digest()
    codes = random_codes(3, model.alphabet_, model.size_)
    for a, b in zip(model.steps(codes), same.steps(codes), strict=True):
        np.testing.assert_array_equal(a.index, b.index)
        np.testing.assert_array_equal(a.tables.frequencies, b.tables.frequencies)


@pytest.mark.parametrize("name", ["weights_", "low_", "exponentials_", "n_levels_"])
def test_digest_depends_on_all_parameters(name):
    model = small().fit(random_codes(20, (None,), (2, 2)))
    before = model.digest()
    value = getattr(model, name)
    if name == "weights_":
        value["heads.bias"] = value["heads.bias"] + 1
    else:
        setattr(model, name, (value[0] + 1,) if isinstance(value, tuple) else value + 1)
    assert model.digest() != before


# ---------------------------------------------------------------- errors

CODES = random_codes(30, (4, 3), (2, 2))


@pytest.mark.parametrize(
    ("params", "error", "message"),
    [
        ({"kernel_size": 4}, ValueError, "kernel_size must be odd, got 4"),
        ({"n_layers": -1}, ValueError, "n_layers"),
        ({"width": 0}, ValueError, "width"),
        ({"max_epochs": "many"}, TypeError, "max_epochs"),
        ({"lr": 0.0}, ValueError, "lr"),
        ({"batch_size": 0}, ValueError, "batch_size"),
        ({"validation_fraction": 1.0}, ValueError, "validation_fraction"),
        ({"alphabet": (4,)}, ValueError, "must have 1 integers at each position, got 2"),
        ({"alphabet": (4, 5000)}, ValueError, "alphabet"),
        ({"alphabet": (4, 2)}, ValueError, "must be from 0 to 1, got values from 0 to 2"),
    ],
)
def test_parameters_are_checked_in_fit(params, error, message):
    with pytest.raises(error, match=message):
        small(**params).fit(CODES)


@pytest.mark.parametrize(
    ("codes", "error", "message"),
    [
        (CODES.astype(float), TypeError, "codes must be integers"),
        (CODES[0], ValueError, r"must be of shape \(n, n_integers, h, w\), none of them 0, got \(2, 2, 2\)"),
        (CODES[:, :, :0], ValueError, "must be of shape"),
        (CODES[:, :1], ValueError, "must have 2 integers at each position, got 1"),
        (CODES + 1, ValueError, "must be from 0 to 3, got values from 1 to 4"),
    ],
)
def test_codes_are_checked(codes, error, message):
    model = small(alphabet=(4, 3)).fit(CODES)
    with pytest.raises(error, match=message):
        model.score_samples(codes)


def test_fit_needs_codes_and_weights():
    with pytest.raises(ValueError, match="at least 2 codes of positive weight, got 1"):
        small().fit(CODES, np.eye(30)[0])
    with pytest.raises(ValueError, match="sample_weight must be 30 finite numbers"):
        small().fit(CODES, np.ones(3))


@pytest.mark.parametrize(
    ("params", "error", "message"),
    [
        ({"n_samples": 0}, ValueError, "n_samples"),
        ({"temperature": 0.0}, ValueError, "temperature"),
        ({"shape": 5}, TypeError, r"shape must be \(height, width\), got 5"),
        ({"shape": (2, 0)}, ValueError, "shape"),
    ],
)
def test_arguments_of_sample_are_checked(params, error, message):
    model = small(alphabet=(4, 3)).fit(CODES)
    with pytest.raises(error, match=message):
        model.sample(**params)


@pytest.mark.parametrize("use", ["sample", "digest"])
def test_not_fitted_raises(use):
    with pytest.raises(NotFittedError):
        getattr(Autoregressive(), use)()
