"""The smallest value of a parameter within standard errors of the best."""

import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.model_selection import GridSearchCV, HalvingGridSearchCV
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline

from skae.model_selection import smallest_within


def results(scores, values, name="n_components", **others):
    """What a search leaves of ``scores``, (n_candidates, n_splits)."""
    scores = np.asarray(scores, float)
    splits = {f"split{i}_test_score": column for i, column in enumerate(scores.T)}
    params = [{} if value is None else {name: value} for value in values]
    return {f"param_{name}": values, "params": params, "mean_test_score": scores.mean(1), **splits, **others}


@given(data=st.data(), n=st.integers(1, 8), n_splits=st.integers(2, 5), n_se=st.floats(0, 3))
def test_choice_is_the_smallest_of_those_within_the_limit(data, n, n_splits, n_se):
    scores = data.draw(
        st.lists(st.lists(st.integers(-5, 5), min_size=n_splits, max_size=n_splits), min_size=n, max_size=n)
    )
    sizes = data.draw(st.lists(st.integers(1, 4), min_size=n, max_size=n))
    chosen = smallest_within(n_se=n_se)(results(scores, sizes))
    means = np.mean(scores, 1)
    best = means.argmax()
    limit = means[best] - n_se * np.std(scores[best], ddof=1) / np.sqrt(n_splits)
    assert means[chosen] >= limit
    better = [sizes[i] < sizes[chosen] or (sizes[i] == sizes[chosen] and means[i] > means[chosen]) for i in range(n)]
    assert not any(better[i] and means[i] >= limit for i in range(n))
    if n_se == 0:
        assert means[chosen] == means[best]


def test_refit_in_grid_search(digits):
    pipe = Pipeline([("reduce", PCA(random_state=0)), ("classify", KNeighborsClassifier())])
    y = np.arange(300) % 3
    search = GridSearchCV(pipe, {"reduce__n_components": [2, 4, 8]}, cv=3, refit=smallest_within())
    search = clone(search).fit(digits[:300], y)  # clone copies the rule
    found = search.cv_results_
    assert search.best_index_ == smallest_within()(found)
    assert search.best_estimator_["reduce"].n_components == search.best_params_["reduce__n_components"]
    rule = pickle.loads(pickle.dumps(smallest_within("reduce__n_components", 2)))
    assert rule(found) == smallest_within(n_se=2)(found)


def test_halving_uses_last_iteration(digits):
    y = np.arange(300) % 3
    pipe = Pipeline([("reduce", PCA(random_state=0)), ("classify", KNeighborsClassifier())])
    grid = {"reduce__n_components": [2, 4, 8, 16]}
    search = HalvingGridSearchCV(pipe, grid, cv=3, factor=2, random_state=0, refit=False).fit(digits[:300], y)
    found = search.cv_results_
    assert found["iter"][smallest_within(n_se=100)(found)] == found["iter"].max()


def test_candidates_without_the_parameter_or_a_score_are_left_out():
    scores = [[9, 9], [np.nan, 1], [3, 5], [4, 4]]
    assert smallest_within()(results(scores, [None, 1, 2, 3])) == 2


@pytest.mark.parametrize(
    ("rule", "found", "error", "message"),
    [
        (("size",), results([[1, 2]], [3]), ValueError, r"one parameter 'size', got \['n_components'\], none of them"),
        (
            (),
            results([[1, 2]], [3], "a__n_components", param_b__n_components=[1]),
            ValueError,
            r"2 of them: name one of \['a__n_components', 'b__n_components'\] in full",
        ),
        ((), results([[np.nan, np.nan]], [3]), ValueError, "fits of all have failed: error_score='raise'"),
        ((), results([[1, 2], [np.nan, 1]], [3, 4]) | {"iter": np.array([0, 1])}, ValueError, "of all have failed"),
        ((), results([[1]], [3]), ValueError, "at least 2 splits"),
        ((), results([[1, 2]], ["mle"]), TypeError, "numbers as values of n_components, got 'mle'"),
        ((), {"mean_test_r2": [1], "mean_test_mse": [1]}, ValueError, r"single metric, got \['r2', 'mse'\]"),
        (("n_components", -1), results([[1, 2]], [3]), ValueError, "n_se == -1"),
    ],
)
def test_errors_name_what_is_wrong(rule, found, error, message):
    with pytest.raises(error, match=message):
        smallest_within(*rule)(found)


def test_full_name_goes_before_a_last_part():
    found = results([[1, 2], [1, 2]], [4, 3]) | {"param_pca__n_components": [1, 1]}
    assert smallest_within()(found) == 1
