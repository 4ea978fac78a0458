"""Encoding of conditions: one-hot classes, standardized targets."""

import numpy as np
import pytest
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st

from skae._data.targets import Classes, Targets, find_condition

LABELS = {
    "integers": [3, 1, 2, 3, 3],
    "negative": [-1, 1, 1, -1, 1],
    "strings": ["b", "a", "c", "b", "b"],
    "objects": np.array(["long one", "a", "c", "long one", "c"], dtype=object),
    "bools": [True, False, True, True, False],
    "floats": [2.0, 1.0, 1.0, 2.0, 3.0],
}


def learned(condition, y, sample_weight=None):
    """A condition that has seen the rows of a fit."""
    return condition.learned(condition.encode(y), sample_weight, more=False)


by_labels = pytest.mark.parametrize("y", LABELS.values(), ids=LABELS)


def rng():
    return np.random.default_rng(0)


# ------------------------------------------------------------------ classes


@by_labels
def test_classes_are_one_hot_encoded_in_order(y):
    condition = learned(Classes(y), y)
    told = condition.encode(y)
    assert told.dtype == np.float32
    assert told.shape == (5, condition.width)
    assert condition.classes.tolist() == sorted(set(np.asarray(y).tolist()))
    assert condition.classes[told.argmax(1)].tolist() == np.asarray(y).tolist()
    np.testing.assert_array_equal(np.sort(told, axis=1)[:, -2:], [[0, 1]] * 5)
    np.testing.assert_array_equal(told.sum(0) / 5, condition.shares.astype(np.float32))


@by_labels
def test_classes_are_drawn_with_their_frequencies(y):
    condition = learned(Classes(y), y)
    drawn = condition.draw(4000, rng())
    assert drawn.dtype == np.float32
    assert set(drawn.sum(1)) == {1.0}
    error = 5 * np.sqrt(condition.shares * (1 - condition.shares) / 4000)
    assert (np.abs(drawn.mean(0) - condition.shares) <= error).all()
    np.testing.assert_array_equal(condition.draw(4000, rng()), drawn)


@pytest.mark.parametrize(
    ("y", "unknown"),
    [([1, 2, 3], 0), ([1, 2, 3], 4), ([1, 3], 2), (["a", "c"], "b"), (["a", "c"], "longer"), (["1", "2"], 1),
     ([1, 2], "1"), ([False, True], 2), ([1, 2], 1.5)],
)  # fmt: skip
def test_unseen_class_raises(y, unknown):
    condition = learned(Classes(y), y)
    with pytest.raises(ValueError, match=r"y must contain only classes seen in fit, .*, got .*" + str(unknown)):
        condition.encode([unknown])


def test_classes_given_in_advance():
    condition = learned(Classes([2, 2], classes=[1, 2, 3]), [2, 2])
    assert condition.shares.tolist() == [0, 1, 0]
    np.testing.assert_array_equal(condition.encode([3, 1]), [[0, 0, 1], [1, 0, 0]])
    np.testing.assert_array_equal(condition.draw(3, rng()), [[0, 1, 0]] * 3)
    with pytest.raises(ValueError, match=r"got .*4"):
        Classes([2, 4], classes=[1, 2, 3])


def test_single_class():
    condition = Classes(["a"] * 3)
    np.testing.assert_array_equal(condition.encode(["a", "a"]), [[1], [1]])


@pytest.mark.parametrize("single", ["b", "longer", 1, np.int64(2), True, 1.0, np.array(1)])
def test_scalar_is_single_class(single):
    assert Classes([1, 2]).is_single(single)
    assert not Classes([1, 2]).is_single([single])


def test_2d_labels_raise():
    with pytest.raises(ValueError, match="y should be a 1d array"):
        Classes([[1, 2], [2, 1]])
    with pytest.warns(UserWarning, match="A column-vector y was passed"):
        assert Classes([[1], [2]]).width == 2


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_non_finite_labels_raise(wrong):
    for refused in (lambda: Classes([1.0, wrong]), lambda: Classes([1.0, 2.0]).encode([wrong])):
        with pytest.raises(ValueError, match="Input y contains"):
            refused()


# ------------------------------------------------------------------ targets


@given(n=st.integers(2, 6), width=st.integers(1, 3), scale=st.floats(1e-3, 1e6), seed=st.integers(0, 1000))
@settings(max_examples=25)
def test_targets_are_standardized(n, width, scale, seed):
    y = 5 + scale * np.random.default_rng(seed).normal(size=(n, width))
    condition = learned(Targets(y), y)
    told = condition.encode(y)
    assert told.dtype == np.float32
    assert told.shape == (n, width)
    np.testing.assert_allclose(told, (y - y.mean(0)) / y.std(0), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(condition.encode(y[:1] + y.std(0)), told[:1] + 1, rtol=1e-4, atol=1e-4)


def test_column_and_1d_targets_are_equivalent():
    y = np.array([1.0, 4.0, 2.0])
    np.testing.assert_array_equal(Targets(y).encode(y[:, None]), Targets(y[:, None]).encode(y))
    assert Targets(y).encode(y).shape == (3, 1)


@pytest.mark.parametrize("constant", [0.0, 3.0, -1e9, 0.1])
def test_constant_target_is_encoded_as_zero(constant):
    y = np.full((7, 2), constant)
    y[:, 1] = np.arange(7)
    told = Targets(y).encode(y)
    np.testing.assert_allclose(told[:, 0], 0, atol=1e-6)
    assert np.isfinite(Targets(y).encode(y + 1)).all()


def test_targets_are_drawn_from_fit():
    y = np.arange(10.0).reshape(5, 2) ** 2
    condition = learned(Targets(y), y)
    drawn = condition.draw(300, rng())
    told = condition.encode(y)
    assert {tuple(row) for row in drawn} == {tuple(row) for row in told}, "whole rows, all of them"
    np.testing.assert_array_equal(condition.draw(300, rng()), drawn)


def test_is_single_depends_on_n_targets():
    one, two = Targets([1.0, 2.0]), Targets([[1.0, 2.0], [2.0, 5.0]])
    assert one.is_single(3.0)
    assert not one.is_single([3.0])
    assert two.is_single([3.0, 1.0])
    assert not two.is_single([[3.0, 1.0]])


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_non_finite_targets_raise(wrong):
    for refused in (lambda: Targets([1.0, wrong]), lambda: Targets([1.0, 2.0]).encode([wrong])):
        with pytest.raises(ValueError, match="Input y contains"):
            refused()


def test_wrong_number_of_targets_raises():
    with pytest.raises(ValueError, match="y must have 2 targets for each sample, got 1"):
        Targets(np.ones((3, 2))).encode([1.0, 2.0])
    with pytest.raises(ValueError, match=r"y must have the shape .* got \(2, 1, 1\)|Found array with dim 3"):
        Targets(np.ones((2, 1, 1)))


# ------------------------------------------------------------------ which of them


@pytest.mark.parametrize(
    ("y", "kind"),
    [*((y, Classes) for y in LABELS.values()), ([0.5, 1.5, 2.0], Targets), (np.eye(3) + 0.5, Targets),
     (np.arange(6).reshape(3, 2), Targets)],
)  # fmt: skip
def test_condition_type_is_inferred(y, kind):
    assert type(find_condition(True, y)) is kind


def test_explicit_condition_type():
    assert type(find_condition("targets", [1, 2, 3])) is Targets
    assert type(find_condition("classes", [0.5, 1.5])) is Classes
    assert find_condition("classes", [1, 2], classes=[1, 2, 3]).width == 3


def test_zero_weight_samples_are_ignored():
    weight = np.array([1.0, 2.0, 0.0])
    assert learned(Classes([1, 2, 3]), [1, 2, 3], weight).shares.tolist() == [1 / 3, 2 / 3, 0]
    y = np.array([0.0, 3.0, 1e6])
    condition = learned(Targets(y, weight), y, weight)
    assert condition.mean == 2
    assert condition.spread == pytest.approx(np.sqrt(2))
    assert condition.draw(1000, np.random.default_rng(0)).max() < 1


def test_class_counts_accumulate():
    condition = learned(Classes([1, 1], classes=[1, 2]), [1, 1])
    more = condition.learned(condition.encode([2, 2]), None, more=True)
    assert more.shares.tolist() == [0.5, 0.5]
    assert condition.shares.tolist() == [1, 0], "the condition before stays as it was"


def test_no_classes_raises():
    for classes in ([], np.empty((0, 0))):
        with pytest.raises(ValueError, match=r"class|0 feature"):
            Classes([0, 1], classes)


def test_targets_with_underflowing_squares():
    y = np.array([1e-310, 0, -1e-310])
    assert np.isfinite(Targets(y).encode(y)).all()


@pytest.mark.parametrize("form", ["csr", "bsr", "coo"])
@pytest.mark.parametrize("conditional", [True, "classes", "targets"])
def test_sparse_y_raises(form, conditional):
    y = scipy.sparse.random(4, 3, density=0.5, format=form, random_state=0)
    with pytest.raises(TypeError, match="Sparse data was passed for y"):
        find_condition(conditional, y)
