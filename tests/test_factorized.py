"""Tables of integer codes: probabilities, positions, integers without bounds, draws, and exactness."""

import itertools
import math
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from skae._density.integer_codes import count_symbols, usage_and_perplexity
from skae._density.tables import PRECISION, bits
from skae.coding import Factorized


def draws(alphabet=(3, 5), shape=(2, 2), n=200, seed=0, concentration=0.5):
    """Codes whose integers have a distribution of their own at each position."""
    rng = np.random.default_rng(seed)
    codes = np.empty((n, len(alphabet), *shape), np.int64)
    for k, n_levels in enumerate(alphabet):
        for place in itertools.product(*map(range, shape)):
            p = rng.dirichlet(np.full(n_levels, concentration))
            codes[(slice(None), k, *place)] = rng.choice(n_levels, n, p=p)
    return codes


@given(
    alphabet=st.lists(st.integers(1, 9), min_size=1, max_size=3),
    shape=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    by_position=st.sampled_from(["auto", True, False]),
    seed=st.integers(0, 1000),
)
@settings(max_examples=25)
def test_steps_name_every_integer_once_and_give_the_scores(alphabet, shape, by_position, seed):
    codes = draws(alphabet, shape, 20, seed)
    model = Factorized(alphabet, by_position).fit(codes)
    n_bits = np.full(codes.size, np.nan)
    for step in model.steps(codes):
        assert np.isnan(n_bits[step.index]).all()
        assert (step.tables.frequencies[step.which].sum(1) == 1 << PRECISION).all()
        n_bits[step.index] = bits(step, codes.ravel()[step.index])
    np.testing.assert_allclose(-math.log(2) * n_bits.reshape(20, -1).sum(1), model.score_samples(codes))


@pytest.mark.parametrize("by_position", [True, False])
def test_probabilities_of_all_codes_add_up_to_one(by_position):
    model = Factorized((2, 3), by_position).fit(draws((2, 3), (1, 2), 50))
    every = np.array(list(itertools.product(range(2), range(2), range(3), range(3)))).reshape(-1, 2, 1, 2)
    assert np.exp(model.score_samples(every)).sum() == pytest.approx(1)


def test_unbounded_integers_have_positive_probability():
    codes = np.random.default_rng(0).geometric(0.3, (300, 1, 1, 1)) - 20
    model = Factorized().fit(codes)
    assert model.alphabet_ == (None,)
    line = np.arange(-3000, 3000).reshape(-1, 1, 1, 1)
    p = np.exp(model.score_samples(line))
    assert (p > 0).all()
    assert 0.9 < p.sum() <= 1
    near = np.arange(-19, -15)
    np.testing.assert_allclose(p[near + 3000], [np.mean(codes == value) for value in near], atol=0.02)
    assert np.isfinite(model.score_samples(np.array([2**31 - 1, -(2**31)]).reshape(2, 1, 1, 1))).all()


def test_integer_of_a_wide_range_has_tables_about_its_middle():
    codes = np.concatenate([np.arange(5000), [10**6, -(10**6)]]).reshape(-1, 1, 1, 1)
    model = Factorized().fit(codes)
    assert model.span_[0] == 4096
    assert np.isfinite(model.score_samples(codes)).all()


def test_positions_have_tables_where_they_differ_and_only_there():
    apart, alike = draws(shape=(3, 3)), np.random.default_rng(0).integers(0, 3, (200, 2, 3, 3))
    assert Factorized((3, 5)).fit(apart).shape_ == (3, 3)
    assert Factorized((3, 5)).fit(alike).shape_ == ()


def test_tables_of_positions_describe_new_codes_in_fewer_bits():
    codes = draws((4, 4), (4, 4), 400)
    seen, new = codes[:50], codes[50:]
    auto, alike = (Factorized((4, 4), by_position).fit(seen) for by_position in ("auto", False))
    assert auto.score_samples(new).mean() > alike.score_samples(new).mean() + 1
    counts = np.stack([np.eye(4)[codes[:, k]].mean(0) for k in range(2)])
    entropy = -(counts * np.log(np.where(counts > 0, counts, 1))).sum()
    assert -auto.score_samples(new).mean() < 1.15 * entropy


def test_codes_of_another_height_and_width_use_the_tables_of_all_positions():
    codes = draws(shape=(3, 3))
    model, alike = (Factorized((3, 5), by_position).fit(codes) for by_position in (True, False))
    other = codes[:, :, :2, :1]
    np.testing.assert_array_equal(model.score_samples(other), alike.score_samples(other))


@pytest.mark.parametrize("alphabet", [(3, 5), None])
def test_draws_have_the_probabilities_of_the_model(alphabet):
    codes = draws((3, 5), (1, 2), 500)
    model = Factorized(alphabet).fit(codes)
    found = model.sample(20_000, random_state=0)
    assert found.shape == (20_000, 2, 1, 2)
    for value in range(5):
        np.testing.assert_allclose((found == value).mean(0), (codes == value).mean(0), atol=0.03)
    np.testing.assert_array_equal(model.sample(9, random_state=0), model.sample(9, random_state=0))
    assert model.sample(2, shape=(4, 5), random_state=0).shape == (2, 2, 4, 5)


def test_low_temperatures_draw_the_most_frequent_values():
    codes = draws((3, 5), (2, 2), 500)
    model = Factorized((3, 5), True).fit(codes)
    modes = np.array([np.bincount(column).argmax() for column in codes.reshape(500, -1).T]).reshape(2, 2, 2)
    assert (model.sample(50, temperature=0.01, random_state=0) == modes).all()
    hot = model.sample(2000, temperature=100.0, random_state=0)
    assert all(hot[:, k].max() == n_levels - 1 for k, n_levels in enumerate((3, 5)))


def test_weights_count_as_copies():
    codes, weight = draws(n=40, seed=3), np.random.default_rng(0).integers(0, 4, 40)
    weighted = Factorized((3, 5), False).fit(codes, 2.0 * weight)
    mean = weight.mean()  # their mean counts as one
    copies = Factorized((3, 5), False).fit(np.repeat(codes, weight, axis=0))
    difference = np.abs(weighted.tables_.astype(int) - copies.tables_).max() / 2**PRECISION
    assert difference < 0.05 / mean
    ignored = Factorized((3, 5), False).fit(codes, (codes[:, 0, 0, 0] == 1) * 1.0)
    assert ignored.sample(500, random_state=0)[:, 0].mean() != pytest.approx(codes[:, 0].mean(), abs=1e-3)


def test_digest_is_that_of_everything_that_codes_are_coded_with():
    codes = draws()
    model = Factorized((3, 5)).fit(codes)
    same = [clone(model).fit(codes), pickle.loads(pickle.dumps(model))]
    same.append(Factorized(tuple(np.array([3, 5]))).fit(codes))  # whatever the type of its numbers
    others = [Factorized().fit(codes), Factorized((3, 6)).fit(codes), Factorized((3, 5)).fit(codes[:-1])]
    assert {found.digest() for found in same} == {model.digest()}
    assert len({found.digest() for found in [model, *others]}) == 4


def test_codes_that_do_not_fit_raise():
    codes = draws()
    for wrong, error, message in [
        (codes * 1.0, TypeError, r"codes must be integers, got float64"),
        (codes[0], ValueError, r"codes must be of shape \(n, n_integers, h, w\), .*got \(2, 2, 2\)"),
        (codes[:, :1], ValueError, r"codes must have 2 integers at each position, got 1"),
        (codes - 1, ValueError, r"codes\[:, 0\] must be from 0 to 2, got values from -1 to 1"),
    ]:
        with pytest.raises(error, match=message):
            Factorized((3, 5)).fit(wrong)
        with pytest.raises(error, match=message):
            Factorized((3, 5)).fit(codes).score_samples(wrong)
    with pytest.raises(ValueError, match="by_position must be one of 'auto', True, False, got 'no'"):
        Factorized((3, 5), "no").fit(codes)
    with pytest.raises(ValueError, match=r"by_position=True needs at most 4096 positions .* got 4900 positions"):
        Factorized((3,), True).fit(np.zeros((2, 1, 70, 70), np.int64))
    with pytest.raises(NotFittedError):
        Factorized((3, 5)).sample(2)


def test_weights_and_shapes_that_do_not_fit_raise():
    codes = draws()
    for weight in (np.ones(5), -np.ones(len(codes)), np.full(len(codes), np.nan)):
        with pytest.raises(ValueError, match="sample_weight must be 200 finite numbers, none negative"):
            Factorized((3, 5)).fit(codes, weight)
    with pytest.raises(ValueError, match="sample_weight must not be 0 for all codes"):
        Factorized((3, 5)).fit(codes, np.zeros(len(codes)))
    model = Factorized((3, 5)).fit(codes)
    for shape in (5, "ab", (2,)):
        with pytest.raises(TypeError, match=r"shape must be \(height, width\), got"):
            model.sample(2, shape=shape)
    with pytest.raises(ValueError, match="shape"):
        model.sample(2, shape=(0, 2))


@given(st.lists(st.integers(0, 6), min_size=1, max_size=50))
def test_usage_and_perplexity(values):
    codes = np.array(values).reshape(-1, 1)
    p = np.unique(values, return_counts=True)[1] / len(values)
    perplexity = pytest.approx(float(np.prod(p**-p)))
    assert usage_and_perplexity(count_symbols(codes, (7,)), (7,)) == (len(p) / 7, perplexity)
    assert usage_and_perplexity(count_symbols(codes, (None,)), (None,)) == (float(len(p) > 1), perplexity)


def test_perplexity_of_several_integers_is_their_geometric_mean():
    codes = np.array(list(itertools.product(range(2), range(8))))
    usage, perplexity = usage_and_perplexity(count_symbols(codes, (4, 8)), (4, 8))
    assert (usage, perplexity) == (10 / 12, pytest.approx(4.0))
