"""Mixtures of many rows: EM in steps, and the sample that it sees."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skae._density import mixture as _mixture
from skae._density import stepwise_em as _stepwise_em
from skae._density.em import fit_mixture
from skae._density.mixture import choose_mixture
from skae._density.sampling import sample_rows
from skae._density.stepwise_em import _maximized, _statistics_of, refine_in_steps

FEW = 300


def rings(n, seed=0):
    """Rows on three arcs, which take many Gaussians."""
    rng = np.random.default_rng(seed)
    angle, radius = rng.uniform(0, 4, n), rng.integers(1, 4, n)
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], 1) + 0.1 * rng.normal(size=(n, 2))


@pytest.fixture
def low_limits(monkeypatch):
    """Few rows count as many."""
    monkeypatch.setattr(_mixture, "_MAX_ROWS", FEW)
    monkeypatch.setattr(_mixture, "MOST_ROWS", 10 * FEW)
    monkeypatch.setattr(_stepwise_em, "_N_STEPS", 50)


# ------------------------------------------------------------------ EM


def test_statistics_belong_to_the_mixture():
    rows = rings(500)
    found = fit_mixture(rows, np.ones(500), 4, 1e-3, 0)
    again = _maximized(_statistics_of(found, 1e-3), 1e-3)
    for one, other in zip(found[:4], again[:4], strict=True):
        np.testing.assert_allclose(other, one, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("weighted", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_stepwise_em_reaches_likelihood_of_em(weighted):
    rows, weight = rings(6000), np.ones(6000)
    if weighted:  # half of the rows are of one ring, with a weight that makes up for it
        thin = np.hypot(*rows.T) > 2.5
        thin[:3000] = False
        rows, weight = rows[~thin], np.where(np.hypot(*rows.T) > 2.5, 2.0, 1.0)[~thin]
    new = rings(20_000, seed=1)
    start = fit_mixture(rows[: 3 * FEW], weight[: 3 * FEW], 16, 1e-4, 0)
    scores = [
        found.score(new, np.ones(len(new)))
        for found in (
            start,
            refine_in_steps(start, rows, weight, 1e-4),
            fit_mixture(rows, weight, 16, 1e-4, 0, start),
        )
    ]
    assert scores[1] > scores[0] + 0.03
    assert scores[1] > scores[2] - 0.02


def test_one_gaussian_has_the_moments_of_the_rows():
    rows = np.random.default_rng(0).normal(size=(5000, 3)) * [1, 2, 3]
    found = refine_in_steps(fit_mixture(rows[:50], np.ones(50), 1, 1e-6, 0), rows, np.ones(5000), 1e-6)
    np.testing.assert_allclose(found.means[0], 0, atol=0.15)
    np.testing.assert_allclose(found.covariances[0].diagonal(), [1, 4, 9], rtol=0.1)


# ------------------------------------------------------------------ many rows


def test_many_rows_are_fitted_in_steps(low_limits, monkeypatch):
    rows, new = rings(20 * FEW), rings(5000, seed=1)
    steps = choose_mixture(rows, 0)
    assert steps.n_components > 4
    monkeypatch.setattr(_mixture, "refine_in_steps", None)  # is not called below the limit
    few = choose_mixture(rows[: 4 * FEW], 0)
    assert few.n_components > 4
    assert steps.score(new) > few.score(new) - 0.05


def test_rare_samples_of_large_weight_are_kept(low_limits):
    rows, weight = rings(30 * FEW), np.ones(30 * FEW)
    rows[:200] += 50
    weight[:200] = 50
    found = choose_mixture(rows.astype(np.float32), 0, weight)
    far = found.means_.mean(axis=1) > 25
    assert found.weights_[far].sum() == pytest.approx(weight[:200].sum() / weight.sum(), abs=0.05)


# ------------------------------------------------------------------ the sample


@given(n=st.integers(2, 60), share=st.floats(0.02, 0.98), spread=st.floats(0, 6), seed=st.integers(0, 2**32 - 1))
@settings(max_examples=25, deadline=None)
def test_sample_of_rows(n, share, spread, seed):
    rng = np.random.default_rng(seed)
    weight, n_rows = np.exp(spread * rng.normal(size=n)), max(1, int(share * n))
    rows, found = sample_rows(weight, n_rows, rng)
    assert n_rows - 1 <= len(rows) == len(found) <= n_rows
    assert len(np.unique(rows)) == len(rows)
    assert (found >= weight[rows] * (1 - 1e-9)).all()
    assert set(np.flatnonzero(weight >= weight.sum() / n_rows)) <= set(rows), "large weights are there for sure"


def test_sums_of_sample_are_unbiased():
    weight = np.random.default_rng(0).exponential(size=200) ** 3
    value = np.arange(200.0)
    sums = [
        found @ value[rows]
        for seed in range(400)
        for rows, found in [sample_rows(weight, 50, np.random.default_rng(seed))]
    ]
    assert np.mean(sums) == pytest.approx(weight @ value, rel=4 * np.std(sums) / np.mean(sums) / 20)
