"""The probability model of integer codes in passes: against its float version, and exact however it is computed."""

import hashlib
import math
import pickle

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from skae._density import whole_passes
from skae._density.factorized import Factorized
from skae._density.passes import ContextModel, passes_of
from skae._density.tables import PRECISION, bits, read, write
from skae._density.whole_numbers import WholeConv2d
from skae._density.whole_passes import Passes

SHAPES = [(3, 5, 7), (20, 9, 4), (64, 8, 8), (70, 2, 3), (1, 1, 1), (9, 1, 1)]  # channels, height and width
by_shape = pytest.mark.parametrize("shape", SHAPES)


def context(shape, seed=0, qualities=(-4, 4)):
    """A network whose predictions differ from place to place, as if trained, and codes of quality 0 that suit it."""
    n_channels, height, width = shape
    generator = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = ContextModel(n_channels, dense=height * width == 1, width=8)
        for p in model.passes:
            torch.nn.init.normal_(model.layers_of(p)[-1][0], std=0.2)
    deviation = torch.linspace(3, -2, n_channels).exp()[:, None, None]
    y = deviation * torch.randn(3, *shape, generator=generator)
    model.init_from(y)
    return model.eval(), y


def integers(y, quality=0.0):
    return (y * 2 ** (quality / 4)).round().long().numpy()


def walked(model, codes, quality=0.0):
    """What the steps of a model hold, as plain arrays."""
    return [(s.index, s.tables.frequencies[s.which], s.low, s.span) for s in model.steps(codes, quality)]


def assert_same(steps, others):
    assert len(steps) == len(others) > 0
    for ours, theirs in zip(steps, others, strict=True):
        for a, b in zip(ours, theirs, strict=True):
            np.testing.assert_array_equal(a, b)


def lengths(model, codes, quality=0.0):
    """Bits of each sample."""
    found = np.zeros(len(codes))
    for step in model.steps(codes, quality):
        np.add.at(found, step.index // codes[0].size, bits(step, codes.ravel()[step.index]))
    return found


# ------------------------------------------------------------------ passes


@given(n_channels=st.integers(1, 200), height=st.integers(1, 20), width=st.integers(1, 20))
@settings(max_examples=40)
def test_passes_partition_integers(n_channels, height, width):
    done = torch.zeros(n_channels, height, width, dtype=torch.int64)
    for p in passes_of(n_channels, dense=height * width == 1):
        every = slice(None, None, 2**p.level)
        part = done[p.first : p.last, every, every]
        mask, known = p.mask(*part.shape[1:]), p.known(*part.shape[1:])
        assert (done[: p.first] == 1).all(), "earlier channels are known"
        if p.refines:
            assert (part[:, known] == 1).all(), "what a network sees of its own channels is known"
        assert not (mask & known).any()
        part[:, mask] += 1
    assert (done == 1).all()


def test_channels_of_dense_code_are_separate_passes():
    assert [(p.first, p.last) for p in passes_of(5, dense=True)] == [(i, i + 1) for i in range(5)]
    last = passes_of(1000, dense=True)[-1]
    assert (last.begin, last.first, last.last) == (935, 999, 1000), "the channels before it, but not all of so many"


# ------------------------------------------------------------------ the float model


@pytest.mark.parametrize("shape", [(3, 3, 2), (2, 1, 1)])
def test_probabilities_add_up_to_1(shape):
    model, y = context(shape)
    values = torch.arange(-200.0, 201.0)
    known = y[:1].round().repeat(len(values), 1, 1, 1)
    known[:, -1, -1, -1] = values  # in the last pass, so that nothing else depends on it
    with torch.no_grad():
        nats = model(known, known, torch.zeros(len(values))).double()
        known[:, -1, -1, -1] = 1e4  # which is as improbable as can be
        others = model(known, known, torch.zeros(len(values))).double() + math.log(1e-7)
    assert float((others - nats).exp().sum()) == pytest.approx(1, abs=1e-3)


def test_network_input_excludes_predicted_integers():
    model, y = context((20, 9, 8))
    known = y.round()
    every = known.clone().requires_grad_()
    for p in model.passes:
        seen = model.inputs(p, model.seen(every, torch.zeros(len(y))), torch.zeros(len(y)))
        (gradient,) = torch.autograd.grad(seen.sum(), every, retain_graph=True)
        part = p.grid(gradient)[:, p.first : p.last]
        assert (part[:, :, p.mask(*part.shape[2:])] == 0).all()


def smooth_codes(n, seed):
    """Two channels of integers that are like their neighbors, the second like the first."""
    x = gaussian_filter(np.random.default_rng(seed).standard_normal((n, 1, 8, 8)), (0, 0, 1.5, 1.5))
    x = 4 * np.concatenate([x, x], 1) / x.std()
    return np.rint(x + np.random.default_rng(seed).normal(0, 0.3, x.shape)).astype(np.int64)


def test_training_uses_neighbors_and_channels():
    train, test = smooth_codes(200, 0), smooth_codes(100, 1)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = ContextModel(2, dense=False, width=16)
        values = torch.from_numpy(train).float()
        model.init_from(values)
        optimizer = torch.optim.Adam(model.parameters(), 1e-2)
        for _ in range(60):
            loss = model(values + torch.rand_like(values) - 0.5, values, torch.zeros(len(values))).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    counted = -Factorized((None, None)).fit(train).score_samples(test).mean() / math.log(2)
    assert lengths(Passes.of(model, (0, 0)), test).mean() < 0.6 * counted


# ------------------------------------------------------------------ whole numbers


@by_shape
@pytest.mark.parametrize("quality", [0.0, -3.125, 4.0])
def test_lengths_are_those_of_the_float_model(shape, quality):
    model, y = context(shape)
    codes = integers(y, quality)
    with torch.no_grad():
        known = torch.from_numpy(codes).float()
        nats = model(known, known, torch.full((len(y),), quality))
    exact = lengths(Passes.of(model, (-4, 4)), codes, quality)
    np.testing.assert_allclose(exact, nats / math.log(2), rtol=0.02, atol=1)
    scores = Passes.of(model, (-4, 4)).score_samples(codes, quality)
    np.testing.assert_allclose(scores, -math.log(2) * exact, rtol=1e-12)


@by_shape
@pytest.mark.parametrize("quality", [0.0, -3.125, 4.0])
def test_codes_are_read_as_they_were_written(shape, quality):
    model, y = context(shape)
    model = Passes.of(model, (-4, 4))
    codes = integers(y, quality)
    codes.ravel()[::97] += np.array([10**9, -(10**9), 10**4, -300])[np.arange(len(codes.ravel()[::97])) % 4]
    written = []
    for step in model.steps(codes, quality):
        write(step, codes.ravel()[step.index], lambda *parts: written.append(parts))
    found, sent = np.zeros_like(codes), iter(written)

    def draw(tables, which):
        wanted, of, symbols = next(sent)
        assert tables is wanted
        np.testing.assert_array_equal(which, of)
        return symbols.copy()

    for step in model.steps(found, quality):
        found.ravel()[step.index] = read(step, draw)
    np.testing.assert_array_equal(found, codes)
    assert next(sent, None) is None


@by_shape
@pytest.mark.slow
def test_matrix_products_strips_and_threads_give_the_same(shape, monkeypatch):
    model, y = context(shape)
    model, codes = Passes.of(model, (-4, 4)), integers(y)
    steps = walked(model, codes)
    monkeypatch.setattr(WholeConv2d, "__call__", WholeConv2d.by_matmul)
    assert_same(walked(model, codes), steps)
    monkeypatch.setattr(whole_passes, "_AT_ONCE", 3 * shape[2])
    assert_same(walked(model, codes), steps)
    n_threads = torch.get_num_threads()
    try:
        torch.set_num_threads(1 if n_threads > 1 else 2)
        assert_same(walked(model, codes), steps)
    finally:
        torch.set_num_threads(n_threads)


def test_stacks_are_coded_as_their_images_are():
    model, y = context((9, 6, 5))
    model, codes = Passes.of(model, (-4, 4)), integers(y)
    alone = np.concatenate([lengths(model, codes[i : i + 1]) for i in range(len(codes))])
    np.testing.assert_allclose(lengths(model, codes), alone)


def test_extremes_stay_within_the_bounds():
    model, _ = context((5, 4, 4))
    for parameter in model.parameters():
        parameter.data.mul_(50)
    model = Passes.of(model, (-8, 8))
    codes = np.full((1, 5, 4, 4), 2**31 - 1)
    codes[:, ::2] *= -1
    for quality in (-8.0, 8.0):
        for _, frequencies, low, span in walked(model, codes, quality):
            assert (frequencies.sum(1) == 1 << PRECISION).all()
            assert (np.abs(low) < 2**52).all()
            assert (span >= 2).all()


@pytest.mark.parametrize("qualities", [(-3.3125, 4.125), (-0.45, 0.3), (-1, 2.9)])
def test_range_between_the_steps_of_qualities_has_the_same_steps(qualities):
    model, y = context((5, 4, 4))
    wide, narrow = Passes.of(model, (-8, 8)), Passes.of(model, qualities)
    for at in (math.ceil(8 * qualities[0]), -1, 0, 1, math.floor(8 * qualities[1])):
        codes = integers(y, at / 8)
        assert_same(walked(narrow, codes, at / 8), walked(wide, codes, at / 8))


def test_weights_without_a_bound_raise():
    model, y = context((3, 4, 4))
    next(iter(model.nets.values())).layers[1].weight.data.fill_(1e9)
    with pytest.raises(ValueError, match="Sums must not exceed 2"):
        list(Passes.of(model, (0, 0)).steps(integers(y)))


def test_digest_depends_on_all_parameters():
    model, _ = context((5, 4, 4))
    first = Passes.of(model, (-4, 4))
    assert first.digest() == Passes.of(model, (-4, 4)).digest()
    assert pickle.loads(pickle.dumps(first)).digest() == first.digest()
    for name, value in vars(first).items():
        changed = pickle.loads(pickle.dumps(first))
        if isinstance(value, np.ndarray):
            vars(changed)[name].ravel()[-1] += 1
            assert changed.digest() != first.digest(), name
    first.weights_["rest_0_1_weight"][0] += 1
    assert first.digest() != Passes.of(model, (-4, 4)).digest()


@pytest.mark.parametrize(("shape", "wanted"), [((70, 9, 6), "ce0a8cd70bab3383"), ((70, 1, 1), "0a280cd5f43ebd79")])
def test_nothing_of_the_format_changes(shape, wanted):
    """Files that were written with a model have to be read for ever; the stored ones have fewer channels."""
    rng = np.random.RandomState(0)
    model = Passes.of(context(shape)[0], (-4, 4))
    for name in sorted(model.weights_):
        values = model.weights_[name]
        spread = 2**18 if name.endswith("bias") else 600
        model.weights_[name] = rng.randint(-spread, spread, values.shape)
    model.unit_bits_, model.base_ = rng.randint(0, 4, shape[0]), rng.randint(-(2**20), 2**20, shape[0])
    model = pickle.loads(pickle.dumps(model))  # without the layers of the weights before
    codes = rng.randint(-9, 10, (2, *shape))
    digest = hashlib.blake2b(digest_size=8)
    for step in model.steps(codes, -2.5):
        for array in (step.index, step.which, step.low, step.span):
            digest.update(array.astype("<i8").tobytes())
    assert digest.hexdigest() == wanted


def test_tables_are_logistic():
    frequencies, reach = whole_passes._logistic_tables()
    assert (frequencies.sum(1) == 1 << PRECISION).all()
    for row, r in zip(frequencies, reach.repeat(8), strict=True):
        assert (row[: 2 * r + 2] >= 1).all()
        assert not row[2 * r + 2 :].any()
    at = round((0.0 - whole_passes.LEAST_LOG_SCALE) * 8) * 8  # scale 1, mean 0
    r = reach[at // 8]
    values = np.arange(-r + 1, r + 1)
    expected = 1 / (1 + np.exp(-(values + 0.5))) - 1 / (1 + np.exp(-(values - 0.5)))
    np.testing.assert_allclose(frequencies[at, 1 : 2 * r + 1] / 2**PRECISION, expected, atol=2e-3)
