"""Metrics of disentanglement: perfect codes, noise, symmetries, definitions, errors."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import entropy
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import mutual_info_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.tree import DecisionTreeClassifier

from skae.metrics import dci, disentanglement, mutual_information_gap, separated_attribute_predictability

GAPS = [mutual_information_gap, separated_attribute_predictability]
ALL = [*GAPS, dci, disentanglement]
seeds = st.integers(0, 2**32 - 1)


def tree():
    return DecisionTreeClassifier(min_samples_leaf=5)


def some_factors(seed=0, n=400, counts=(3, 4, 5)):
    rng = np.random.default_rng(seed)
    return np.column_stack([rng.integers(count, size=n) for count in counts])


def noisy_codes(factors, seed=0, spread=0.3):
    """A column for each factor, and one of noise."""
    Z = np.column_stack([factors, np.zeros(len(factors))])
    return Z + spread * np.random.default_rng(seed).normal(size=Z.shape)


def grid():
    """All combinations once: no correlation that is not meant."""
    return np.indices((3, 4, 5, 2)).reshape(4, -1).T[:, :3]


# ------------------------------------------------------------------ what all agree on


@pytest.mark.parametrize("order", [[0, 1, 2], [2, 0, 1]])
def test_factors_as_codes_have_perfect_scores(order):
    factors = grid()
    Z = factors[:, order] * [-0.01, 5.0, 300.0] + [7, 0, -1]
    result = disentanglement(Z, factors, random_state=0)
    np.testing.assert_allclose([result.mig, result.sap], 1, rtol=1e-12)
    np.testing.assert_allclose(result[2:], 1, rtol=1e-6)


def test_uninformative_columns_do_not_change_scores():
    factors = grid()
    Z = np.column_stack([np.full(len(factors), 0.1), factors])
    result = disentanglement(Z, factors, random_state=0)
    np.testing.assert_allclose(result, 1, rtol=1e-6)


def test_noise_scores_zero():
    factors = some_factors(n=2000)
    Z = np.random.default_rng(1).normal(size=(2000, 4))
    result = disentanglement(Z, factors, random_state=0)
    assert max(result[:4]) < 0.03
    assert result.informativeness < 0.4  # chance: 1/3, 1/4, 1/5


def test_rotation_reduces_gaps_but_not_informativeness():
    factors = grid()
    mixed = factors @ np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))[0]
    straight, turned = (disentanglement(Z, factors, random_state=0) for Z in (factors, mixed))
    assert all(b < 0.85 * a for a, b in zip(straight[:4], turned[:4], strict=True))
    assert turned.informativeness > 0.8


def test_two_columns_per_factor_reduce_completeness():
    factors = grid()
    Z = np.column_stack([factors[:, 0], factors[:, 0], factors[:, 1:]])
    result = dci(Z, factors, estimator=LogisticRegression(), random_state=0)  # which shares the weight out
    assert mutual_information_gap(Z, factors, per_factor=True).tolist() == pytest.approx([0, 1, 1])
    assert separated_attribute_predictability(Z, factors, per_factor=True).tolist() == pytest.approx([0, 1, 1])
    clean = dci(factors, factors, estimator=LogisticRegression(), random_state=0)
    assert clean.completeness - result.completeness > 0.1
    assert result.disentanglement > clean.disentanglement - 0.05


def test_column_with_two_factors_reduces_disentanglement():
    factors = grid()
    Z = np.column_stack([10 * factors[:, 0] + factors[:, 1], factors[:, 2]])
    result = dci(Z, factors, random_state=0)
    assert result.disentanglement < 0.75
    assert result.completeness > 0.9
    assert result.informativeness > 0.9


@pytest.mark.parametrize("metric", GAPS)
@given(seed=seeds, order=st.permutations(range(4)), power=st.integers(-20, 20))
@settings(max_examples=10)
@pytest.mark.slow
def test_gaps_are_invariant_to_order_sign_and_scale(metric, seed, order, power):
    factors = some_factors(seed, n=60)
    Z = noisy_codes(factors, seed)
    expected = metric(Z, factors, per_factor=True)
    assert expected.shape == (3,)
    assert expected.min() >= 0
    assert expected.max() <= 1
    rows = np.random.default_rng(seed).permutation(60)
    np.testing.assert_allclose(metric(Z[rows], factors[rows], per_factor=True), expected, rtol=1e-9, atol=1e-12)
    moved = Z[:, order] * 2.0**power
    np.testing.assert_allclose(metric(moved, factors, per_factor=True), expected, rtol=1e-9, atol=1e-12)
    flipped = metric(moved, factors[:, ::-1], per_factor=True)
    np.testing.assert_allclose(flipped[::-1], expected, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(metric(Z, factors), expected.mean(), rtol=1e-12)
    assert type(metric(Z, factors)) is float


@pytest.mark.parametrize("metric", GAPS)
def test_single_column(metric):
    factors = grid()
    expected = metric(np.column_stack([factors[:, 0], np.zeros(len(factors))]), factors, per_factor=True)
    np.testing.assert_allclose(metric(factors[:, :1], factors, per_factor=True), expected, atol=1e-12)
    np.testing.assert_allclose(expected, [1, 0, 0], atol=1e-12)


# ------------------------------------------------------------------ MIG


@given(seed=seeds, n_bins=st.integers(2, 30))
@settings(max_examples=20)
def test_mig_definition(seed, n_bins):
    factors = some_factors(seed, n=100)
    Z = noisy_codes(factors, seed)
    expected = []
    for v in factors.T:
        found = []
        for z in Z.T:
            edges = np.linspace(z.min(), z.max(), n_bins + 1)[1:-1]
            found.append(mutual_info_score(v, np.searchsorted(edges, z, side="right")))
        first, second = sorted(found)[:-3:-1]
        expected.append((first - second) / entropy(np.bincount(v)))
    np.testing.assert_allclose(mutual_information_gap(Z, factors, n_bins=n_bins, per_factor=True), expected, atol=1e-9)


def test_mig_is_invariant_to_order_of_values():
    factors = some_factors()
    Z = noisy_codes(factors)
    renamed = np.array([2, 0, 4, 1, 3])[factors]
    np.testing.assert_allclose(mutual_information_gap(Z, renamed), mutual_information_gap(Z, factors), rtol=1e-12)
    assert separated_attribute_predictability(Z, renamed) < separated_attribute_predictability(Z, factors)


def test_mig_is_below_one_for_more_values_than_bins():
    factors = np.arange(40).repeat(3)[:, np.newaxis]
    assert mutual_information_gap(factors, factors, n_bins=40) == pytest.approx(1)
    assert mutual_information_gap(factors, factors, n_bins=10) == pytest.approx(np.log(10) / np.log(40))


@pytest.mark.parametrize(("n_bins", "error"), [(1, ValueError), (2.5, TypeError), (True, TypeError)])
def test_invalid_n_bins_raises(n_bins, error):
    with pytest.raises(error, match="n_bins"):
        mutual_information_gap(grid(), grid(), n_bins=n_bins)


# ------------------------------------------------------------------ SAP


@given(seed=seeds)
def test_sap_definition(seed):
    factors = some_factors(seed, n=50) * 0.3  # it takes any numbers
    Z = noisy_codes(factors, seed)
    squares = np.corrcoef(Z.T, factors.T)[:4, 4:] ** 2
    ordered = np.sort(squares, axis=0)
    found = separated_attribute_predictability(Z, factors, per_factor=True)
    np.testing.assert_allclose(found, ordered[-1] - ordered[-2], atol=1e-10)


# ------------------------------------------------------------------ DCI


@given(seed=seeds)
@settings(max_examples=20)
def test_dci_definition(seed):
    factors = some_factors(seed, n=150)
    Z = noisy_codes(factors, seed, spread=0.6)
    result = dci(Z, factors, estimator=tree(), random_state=0)
    R = result.importances
    assert R.shape == (4, 3)
    np.testing.assert_allclose(R.sum(axis=0), 1)
    weight = R.sum(axis=1) / 3
    used = weight > 0
    expected = weight[used] @ (1 - entropy(R[used], axis=1) / np.log(3))
    np.testing.assert_allclose(result.disentanglement, expected, rtol=1e-9)
    np.testing.assert_allclose(result.completeness, np.mean(1 - entropy(R, axis=0) / np.log(4)), rtol=1e-9)
    assert 0 <= result.informativeness <= 1


@pytest.mark.parametrize("power", [-30, 30])
@pytest.mark.slow
def test_dci_is_invariant_to_order_and_scale(power):
    factors = some_factors(n=1000)
    Z = noisy_codes(factors, spread=0.3)
    result = dci(Z, factors, random_state=0)
    np.testing.assert_allclose(dci(Z * 2.0**power, factors, random_state=0)[:3], result[:3], rtol=1e-6)
    moved = dci(Z[:, [3, 1, 0, 2]], factors, random_state=0)
    np.testing.assert_allclose(moved[:3], result[:3], atol=0.02)  # forests draw the order of columns
    assert result.importances[[0, 1, 2], [0, 1, 2]].min() > 0.9


@pytest.mark.parametrize(
    "estimator",
    [
        tree(),
        LogisticRegression(),
        Ridge(),
        GradientBoostingClassifier(n_estimators=5),
    ],
    ids=lambda estimator: type(estimator).__name__,
)
def test_dci_with_other_estimators(estimator):
    factors = some_factors(counts=(2, 3))  # coefficients have one row for two classes, and three for three
    result = dci(noisy_codes(factors, spread=0.1), factors, estimator=estimator, random_state=0)
    assert min(result[:3]) > 0.6
    np.testing.assert_allclose(result.importances.sum(axis=0), 1)  # coefficients have any sum
    assert not hasattr(estimator, "n_features_in_")  # a clone was fitted


def test_dci_is_reproducible():
    factors = some_factors(n=100)
    Z = noisy_codes(factors, spread=0.6)
    first, again, other = (dci(Z, factors, random_state=seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first.importances, again.importances)
    assert first[:3] == again[:3]
    assert first[:3] != other[:3]
    fixed = DecisionTreeClassifier(max_features=1, random_state=3)
    assert dci(Z, factors, estimator=fixed, random_state=0)[:3] == dci(Z, factors, estimator=fixed, random_state=0)[:3]
    result = disentanglement(Z, factors, random_state=0)
    assert result[2:] == first[:3]


def test_informativeness_uses_held_out_samples():
    factors = some_factors(n=400, counts=(2,))
    Z = np.random.default_rng(1).normal(size=(400, 3))
    by_heart = DecisionTreeClassifier()  # right on every row of training
    assert dci(Z, factors, estimator=by_heart, random_state=0).informativeness < 0.7


def test_dci_of_constant_model_is_zero():
    factors = some_factors()
    stump = DecisionTreeClassifier(min_samples_leaf=399)  # has no split to make
    result = dci(noisy_codes(factors), factors, estimator=stump, random_state=0)
    assert (result.disentanglement, result.completeness) == (0, 0)
    assert (result.importances == 0).all()


def test_dci_of_one_factor_and_one_column():
    factors = some_factors(counts=(3,))
    assert dci(factors, factors, random_state=0)[:3] == (1, 1, 1)


@pytest.mark.parametrize("estimator", [KNeighborsClassifier(), LogisticRegression])
def test_estimator_without_importances_raises(estimator):
    with pytest.raises(TypeError, match="estimator"):
        dci(grid(), grid(), estimator=estimator)


# ------------------------------------------------------------------ refusals

BAD = {
    "1-D factors": (np.eye(4), np.arange(4), r"factors must have the shape \(n_samples, ...\)"),
    "length": (np.eye(4), np.eye(3), r"factors must have the shape \(4, n_factors\) to go with Z, got \(3, 3\)"),
    "3-D factors": (np.eye(4), np.ones((4, 2, 2)), r"factors must have the shape \(4, n_factors\)"),
    "3-D codes": (np.ones((4, 2, 2)), np.eye(4), r"Z must have the shape \(n_samples, n_components\)"),
    "NaN": (np.full((4, 2), np.nan), np.eye(4), "Z contains NaN"),
    "strings": (np.eye(2), np.array([["a", "b"], ["c", "d"]]), "could not convert|dtype"),
    "constant": (np.eye(4), np.eye(4)[:, :2] * [1, 0], "at least two values in every column, but column 1 has one"),
}


@pytest.mark.parametrize("metric", ALL)
@pytest.mark.parametrize("case", BAD)
def test_invalid_arrays_raise(metric, case):
    Z, factors, message = BAD[case]
    with pytest.raises(ValueError, match=message):
        metric(Z, factors)


@pytest.mark.parametrize("metric", [mutual_information_gap, dci, disentanglement])
def test_non_integer_factors_raise(metric):
    factors = grid() * [1, 0.5, 1]
    with pytest.raises(ValueError, match=r"whole numbers, but column 1 has others.*OrdinalEncoder"):
        metric(grid(), factors)


@pytest.mark.parametrize("metric", GAPS)
def test_invalid_per_factor_raises(metric):
    with pytest.raises(ValueError, match="per_factor must be one of True, False, got 1"):
        metric(grid(), grid(), per_factor=1)


@pytest.mark.parametrize("metric", ALL)
def test_only_users_estimator_is_fitted_publicly(metric, fits):
    metric(noisy_codes(grid()), grid())
    assert fits == []
    dci(noisy_codes(grid()), grid(), estimator=tree())
    assert set(fits) == {DecisionTreeClassifier}
