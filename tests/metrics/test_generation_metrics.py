"""Metrics of generated samples: closed forms, definitions, symmetries, features, errors."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.linalg import sqrtm
from scipy.spatial.distance import cdist
from scipy.stats import mannwhitneyu, ortho_group
from sklearn.base import BaseEstimator
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, MinMaxScaler, StandardScaler
from sklearn.svm import LinearSVC

from skae import AutoencoderTransformer
from skae.metrics import (
    frechet_distance,
    kernel_distance,
    memorization,
    precision_recall_density_coverage,
)

PAIRWISE = [frechet_distance, kernel_distance, precision_recall_density_coverage]
sets = arrays(np.float64, (9, 3), elements=st.integers(-50, 50).map(lambda i: i / 8))
shifts = arrays(np.float64, 3, elements=st.integers(-80, 80).map(lambda i: i / 8))
seeds = st.integers(0, 2**32 - 1)


def normal(seed, n=300, d=4):
    return np.random.default_rng(seed).normal(size=(n, d))


@pytest.fixture(scope="module")
def halves(digits):
    order = np.random.default_rng(0).permutation(len(digits))
    return digits[order[:600]], digits[order[600:1200]]


# ------------------------------------------------------------------ Fréchet distance


@given(X=sets, shift=shifts)
def test_frechet_distance_of_shift_is_squared_length(X, shift):
    np.testing.assert_allclose(frechet_distance(X, X + shift), shift @ shift, rtol=1e-9, atol=1e-9)


@given(X=sets, Y=sets, order=st.permutations(range(9)))
def test_frechet_distance_is_symmetric_and_order_invariant(X, Y, order):
    distance = frechet_distance(X, Y)
    assert distance >= 0
    np.testing.assert_allclose(frechet_distance(Y[order], X), distance, rtol=1e-9, atol=1e-9)


@given(X=sets, Y=sets, seed=seeds, factor=st.floats(0.1, 10))
def test_frechet_distance_rotation_invariant_scale_equivariant(X, Y, seed, factor):
    turn = factor * ortho_group.rvs(3, random_state=seed)
    expected = factor**2 * frechet_distance(X, Y)
    np.testing.assert_allclose(frechet_distance(X @ turn, Y @ turn), expected, rtol=1e-9, atol=1e-8)


@given(seed=seeds)
def test_frechet_distance_formula(seed):
    X, Y = normal(seed), normal(seed + 1, n=200) @ np.diag([1, 2, 0.5, 3]) + 1
    C, D = np.cov(X.T), np.cov(Y.T)
    shift = X.mean(axis=0) - Y.mean(axis=0)
    expected = shift @ shift + np.trace(C + D - 2 * np.real(sqrtm(C @ D)))
    np.testing.assert_allclose(frechet_distance(X, Y), expected, rtol=1e-8)


def test_frechet_distance_closed_form():
    X = normal(0)
    X = (X - X.mean(axis=0)) @ np.linalg.inv(np.linalg.cholesky(np.cov(X.T))).T  # covariance I
    scales = np.array([1.0, 2.0, 0.5, 0.0])
    np.testing.assert_allclose(frechet_distance(X, X * scales), np.sum((scales - 1) ** 2), rtol=1e-12)


@pytest.mark.parametrize("n", [5, 100])
def test_frechet_distance_of_singular_covariances(n):
    X = np.zeros((n, 64))
    X[:, :3] = normal(0, n, 3)
    assert frechet_distance(X, X) < 1e-13
    shifted = X + 1e-5
    np.testing.assert_allclose(frechet_distance(X, shifted), 64e-10, rtol=1e-3)


def test_frechet_distance_decreases_with_n_samples():
    small = np.mean([frechet_distance(normal(s, 50, 10), normal(s + 100, 50, 10)) for s in range(5)])
    assert small > 3 * frechet_distance(normal(0, 1000, 10), normal(1, 1000, 10))


# ------------------------------------------------------------------ kernel distance


def reference_kernel_distance(X, Y):
    X, Y = X - X.mean(axis=0), Y - X.mean(axis=0)
    scale = X.std()
    X, Y = X / scale, Y / scale

    def kernel(A, B):
        return (A @ B.T / A.shape[1] + 1) ** 3

    n, m = len(X), len(Y)
    off, off_generated = ~np.eye(n, dtype=bool), ~np.eye(m, dtype=bool)
    return kernel(X, X)[off].mean() + kernel(Y, Y)[off_generated].mean() - 2 * kernel(X, Y).mean()


@given(seed=seeds, shift=st.floats(-2, 2))
def test_kernel_distance_formula(seed, shift):
    X, Y = normal(seed, 40), normal(seed + 1, 30) + shift
    np.testing.assert_allclose(kernel_distance(X, Y), reference_kernel_distance(X, Y), rtol=1e-8, atol=1e-10)


@given(seed=seeds, factor=st.floats(1e-3, 1e3), shift=shifts)
def test_kernel_distance_is_scale_invariant(seed, factor, shift):
    X, Y = normal(seed, 40, 3), normal(seed + 1, 30, 3) + 1
    turn = factor * ortho_group.rvs(3, random_state=seed)
    np.testing.assert_allclose(kernel_distance(X @ turn + shift, Y @ turn + shift), kernel_distance(X, Y), rtol=1e-6)


def test_kernel_distance_is_unbiased():
    found = [kernel_distance(normal(s, 20), normal(s + 1000, 20)) for s in range(300)]
    assert abs(np.mean(found)) < 4 * np.std(found) / np.sqrt(300)
    assert min(found) < 0 < max(found)


def test_kernel_distance_detects_changed_samples(halves):
    X, Y = halves
    same = abs(kernel_distance(X, Y))
    assert same < 0.01
    assert kernel_distance(X, 0.9 * Y) > 10 * same
    assert kernel_distance(X, Y + 1) > 10 * same


def test_kernel_distance_of_constant_features():
    X = np.full((30, 2), 0.1)  # whose mean is not quite 0.1
    assert kernel_distance(X, X) == pytest.approx(0, abs=1e-12)
    assert 0 < kernel_distance(X, X + 1) < 100


# ------------------------------------------------------------------ precision, recall, density, coverage


@given(X=sets, k=st.integers(1, 8))
def test_identical_sets_have_full_precision_and_recall(X, k):
    result = precision_recall_density_coverage(X, X[::-1], n_neighbors=k)
    assert (result.precision, result.recall, result.coverage) == (1, 1, 1)
    assert result.density > 0


def test_density_of_identical_sets_is_one():
    result = precision_recall_density_coverage(normal(0), normal(0), n_neighbors=7)
    assert result.density == 1  # k - 1 neighbors, and the center; the k-th is on the rim


def test_duplicates_are_inside_balls_of_radius_zero():
    X = normal(0, 50).repeat(8, axis=0) + 0.1
    assert precision_recall_density_coverage(X, X[::2], n_neighbors=3)[:2] == (1, 1)
    assert precision_recall_density_coverage(X, X + 1e-3, n_neighbors=3) == (0, 0, 0, 0)


@given(X=sets, Y=sets)
def test_distant_sets_have_zero_precision_and_recall(X, Y):
    assert precision_recall_density_coverage(X, Y + 1000) == (0, 0, 0, 0)


@given(seed=seeds, k=st.integers(1, 9), offset=st.sampled_from([0, 1e6]))
def test_precision_recall_density_coverage_definition(seed, k, offset):
    X, Y = normal(seed, 30, 3), normal(seed + 1, 20, 3) * 0.7 + 0.5
    between = cdist(X, Y)
    radii = np.sort(cdist(X, X), axis=1)[:, k]
    radii_generated = np.sort(cdist(Y, Y), axis=1)[:, k]
    inside, inside_generated = between < radii[:, np.newaxis], between < radii_generated
    expected = (
        inside.any(axis=0).mean(),
        inside_generated.any(axis=1).mean(),
        inside.sum() / (k * 20),
        inside.any(axis=1).mean(),
    )
    found = precision_recall_density_coverage(X + offset, Y + offset, n_neighbors=k)
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def groups(seed, apart, n=30, d=3):
    """Rows of two groups that lie ``apart``: in some columns, as where a number stands for a missing value."""
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, d)) - apart * (rng.random((n, d)) < 0.3)


def balls(X, Y, k):
    """Precision, recall, density and coverage by differences of all pairs."""
    between = cdist(X, Y)
    inside = between < np.sort(cdist(X, X), axis=1)[:, [k]]
    recalled = between < np.sort(cdist(Y, Y), axis=1)[:, k]
    return inside.any(axis=0).mean(), recalled.any(axis=1).mean(), inside.sum() / (k * len(Y)), inside.any(1).mean()


@given(seed=seeds, k=st.integers(1, 9), apart=st.sampled_from([1e3, 99999, 1e7]))
def test_distances_are_exact_for_distant_groups(seed, k, apart):
    X, Y, H = (groups(seed + i, apart) for i in range(3))
    found = precision_recall_density_coverage(X, Y, n_neighbors=k)
    np.testing.assert_allclose(found, balls(X, Y, k), rtol=1e-12)
    result = memorization(X, Y, H)
    np.testing.assert_allclose(result.distances, cdist(Y, X).min(axis=1), rtol=1e-12)
    np.testing.assert_allclose(result.held_out_distances, cdist(H, X).min(axis=1), rtol=1e-12)


def test_shifts_within_distant_groups_are_detected():
    X = np.column_stack([np.repeat([0, 1e7], 100), normal(0, 200, 1)])
    moved = X + np.array([0, 1.2])
    found = precision_recall_density_coverage(X, moved)
    np.testing.assert_allclose(found, [0.845, 0.96, 0.736, 0.68], rtol=1e-12)
    assert np.median(memorization(X, moved, X).distances) == pytest.approx(0.0238916535638)


@given(X=sets, Y=sets)
def test_swapped_sets_swap_precision_and_recall(X, Y):
    forth, back = (precision_recall_density_coverage(*pair, n_neighbors=2) for pair in ((X, Y), (Y, X)))
    assert (forth.precision, forth.recall) == (back.recall, back.precision)


def test_same_distribution_has_documented_values():
    k, n = 5, 300
    results = [precision_recall_density_coverage(normal(s), normal(s + 100), n_neighbors=k) for s in range(10)]
    expected = 1 - np.prod([(n - 1 - i) / (2 * n - 1 - i) for i in range(k)])
    assert abs(np.mean([result.density for result in results]) - 1) < 0.02
    assert abs(np.mean([result.coverage for result in results]) - expected) < 0.01


def test_single_mode_has_high_precision_and_low_recall():
    X = np.concatenate([normal(0), normal(1) + 20])
    result = precision_recall_density_coverage(X, normal(2, 600))
    assert result.precision > 0.9
    assert 0.9 < result.density < 1.1
    assert result.recall < 0.55
    assert result.coverage < 0.55


@pytest.mark.parametrize("k", [9, 10])
def test_more_neighbors_than_samples_raises(k):
    with pytest.raises(ValueError, match=f"X_generated must have more than n_neighbors={k} samples, got 9"):
        precision_recall_density_coverage(normal(0, 20), normal(1, 9), n_neighbors=k)
    with pytest.raises(ValueError, match=f"X must have more than n_neighbors={k} samples, got 9"):
        precision_recall_density_coverage(normal(1, 9), normal(0, 20), n_neighbors=k)


@pytest.mark.parametrize(("k", "error"), [(0, ValueError), (2.0, TypeError), (True, TypeError)])
def test_invalid_n_neighbors_raises(k, error):
    with pytest.raises(error, match="n_neighbors"):
        precision_recall_density_coverage(normal(0), normal(1), n_neighbors=k)


# ------------------------------------------------------------------ memorization


@given(X=sets, seed=seeds)
def test_memorization_detects_copies(X, seed):
    X_held_out = X + normal(seed, 9, 3)
    result = memorization(X, X[[0, 3, 3]], X_held_out)
    np.testing.assert_array_equal(result.distances, np.zeros(3))
    assert result.ratio == 0
    assert result.probability == 1


def test_memorization_detects_copies_far_from_origin():
    X = (normal(0) + 1e6).astype(np.float32)
    result = memorization(X, X[:50], normal(1) + 1e6)
    assert result.distances.max() == 0
    assert result.probability > 0.999


@given(seed=seeds, apart=st.sampled_from([0, 99999, 1e8, 1e15]), order=st.permutations(range(30)))
def test_only_copies_have_distance_zero(seed, apart, order):
    X = groups(seed, apart)
    assert memorization(X, X[order], X).distances.max() == 0
    moved = np.nextafter(X, np.inf)
    assert memorization(X, moved, X).distances.min() > 0


@given(seed=seeds)
@settings(max_examples=20)
@pytest.mark.slow
def test_independent_samples_are_not_memorized(seed):
    rng = np.random.default_rng(seed)
    result = memorization(*rng.normal(size=(3, 1000, 2)))
    assert 0.7 < result.ratio < 1.4
    assert 0.4 < result.probability < 0.6


@given(seed=seeds, spread=st.floats(0.1, 3))
def test_memorization_definition(seed, spread):
    X, Y, H = normal(seed, 40), spread * normal(seed + 1, 25), normal(seed + 2, 30)
    result = memorization(X, Y, H)
    near, held_out = cdist(Y, X).min(axis=1), cdist(H, X).min(axis=1)
    np.testing.assert_allclose(result.distances, near)
    np.testing.assert_allclose(result.held_out_distances, held_out)
    np.testing.assert_allclose(result.ratio, np.median(near) / np.median(held_out))
    np.testing.assert_allclose(result.probability, mannwhitneyu(held_out, near).statistic / (25 * 30))


def test_memorization_with_ties_and_zero_medians():
    X = [[0.0], [1.0]]
    both = memorization(X, [[0.0], [1.0], [1.0]], [[1.0], [0.0]])
    assert both.probability == 0.5
    assert np.isnan(both.ratio)
    far = memorization(X, [[5.0]], [[1.0]])
    assert far.ratio == np.inf
    assert far.probability == 0


# ------------------------------------------------------------------ all of them


def call(metric, X, X_generated, **kwargs):
    """Any metric; held-out rows are half of the generated ones."""
    if metric is memorization:
        return metric(X, X_generated[::2], X_generated[1::2], **kwargs)[:2]
    return metric(X, X_generated, **kwargs)


ALL = [*PAIRWISE, memorization]


@pytest.mark.parametrize("metric", ALL)
def test_result_does_not_depend_on_slices(metric, monkeypatch, halves):
    X, Y = halves[0][:60], halves[1][:50]
    whole = call(metric, X, Y)
    monkeypatch.setattr("skae._data.chunked._SLICE", 1)
    np.testing.assert_allclose(call(metric, X, Y), whole, rtol=1e-10)


@pytest.mark.parametrize("metric", ALL)
def test_images_are_flattened_and_unchanged(metric, halves):
    X, Y = halves[0][:60], halves[1][:50]  # read-only ones: writing would raise
    as_images = call(metric, X.reshape(-1, 1, 8, 8).astype(np.uint8), Y.reshape(-1, 1, 8, 8).astype(np.float32))
    assert as_images == call(metric, X, Y)


@pytest.mark.parametrize("metric", ALL)
@pytest.mark.parametrize(
    ("X", "X_generated", "message"),
    [
        (np.ones((9, 4)), np.ones((9, 3)), r"X_generated must have rows of X's shape, \(4,\), got \(3,\)"),
        (np.ones((9, 4)), np.ones((9, 2, 2)), r"X_generated must have rows of X's shape, \(4,\), got \(2, 2\)"),
        (np.ones(9), np.ones((9, 1)), r"X must have the shape \(n_samples, ...\), .* got \(9,\)"),
        (np.full((9, 4), np.nan), np.ones((9, 4)), "X contains NaN"),
        (np.ones((9, 4)), np.full((9, 4), np.inf), "X_generated contains infinity"),
        (np.ones((9, 4)) * 1j, np.ones((9, 4)), "X must hold real numbers"),
        (np.ones((0, 4)), np.ones((9, 4)), "X must .* not empty"),
    ],
)
def test_invalid_arrays_raise(metric, X, X_generated, message):
    with pytest.raises(ValueError, match=message):
        call(metric, X, X_generated)


@pytest.mark.parametrize("metric", [frechet_distance, kernel_distance])
def test_single_sample_raises(metric):
    with pytest.raises(ValueError, match="X_generated must have at least 2 samples, got 1"):
        metric(np.eye(2), np.ones((1, 2)))


# ------------------------------------------------------------------ features


def mlp(activation, hidden=(7, 5)):
    return MLPClassifier(hidden_layer_sizes=hidden, activation=activation, max_iter=3, random_state=0)


def hidden_layer(network, X):
    """The last hidden layer, found out by the network's own predictions: a softmax of a linear map of it."""
    A = X
    for weight, bias in zip(network.coefs_[:-1], network.intercepts_[:-1], strict=True):
        A = A @ weight + bias
        A = {"relu": np.where(A > 0, A, 0), "tanh": np.tanh(A), "logistic": 1 / (1 + np.exp(-A)), "identity": A}[
            network.activation
        ]
    scores = A @ network.coefs_[-1] + network.intercepts_[-1]
    proba = np.exp(scores - scores.max(axis=1, keepdims=True))
    np.testing.assert_allclose(proba / proba.sum(axis=1, keepdims=True), network.predict_proba(X), atol=1e-12)
    return A


@pytest.fixture(scope="module")
def labels():
    return load_digits().target[np.random.default_rng(0).permutation(1797)[:600]]  # of the first half


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
class TestFeatures:
    def check(self, features, expected, halves):
        X, Y = halves
        found = frechet_distance(X, Y, features=features)
        np.testing.assert_allclose(found, frechet_distance(expected(X), expected(Y)), rtol=1e-9)
        assert found != frechet_distance(X, Y)

    @pytest.mark.parametrize("activation", ["relu", "tanh", "logistic", "identity"])
    def test_features_of_mlp_are_last_hidden_layer(self, activation, halves, labels):
        network = mlp(activation).fit(halves[0], labels)
        self.check(network, lambda X: hidden_layer(network, X), halves)
        piped = make_pipeline(MinMaxScaler(), mlp(activation)).fit(halves[0], labels)
        self.check(piped, lambda X: hidden_layer(piped[-1], piped[0].transform(X)), halves)

    def test_features_of_mlp_without_hidden_layers(self, halves, labels):
        network = make_pipeline(PCA(3), mlp("relu", ())).fit(halves[0], labels)
        self.check(network, network[0].transform, halves)

    def test_features_of_regressor_and_binary_classifier(self, halves, labels):
        regressor = MLPRegressor(hidden_layer_sizes=(4,), max_iter=3, random_state=0).fit(halves[0], labels)
        self.check(regressor, lambda X: np.maximum(X @ regressor.coefs_[0] + regressor.intercepts_[0], 0), halves)
        two = LinearSVC().fit(halves[0], labels > 4)
        self.check(two, lambda X: two.decision_function(X)[:, np.newaxis], halves)

    def test_features_of_transformers_and_classifiers(self, halves, labels):
        X = halves[0]
        pca = make_pipeline(StandardScaler(), PCA(5)).fit(X)
        self.check(pca, pca.transform, halves)
        lda = LinearDiscriminantAnalysis().fit(X[:, X.std(axis=0) > 0][:, :20], labels)  # transforms and decides
        keep = np.flatnonzero(X.std(axis=0) > 0)[:20]
        cut = tuple(A[:, keep] for A in halves)
        self.check(lda, lda.transform, cut)
        logistic = make_pipeline(StandardScaler(), LogisticRegression(max_iter=20)).fit(X, labels)
        self.check(logistic, logistic.decision_function, halves)
        forest = RandomForestClassifier(5, random_state=0).fit(X, labels)
        self.check(forest, lambda X: np.log(np.maximum(forest.predict_proba(X), 1e-6)), halves)
        alone = make_pipeline(RandomForestClassifier(5, random_state=0)).fit(X, labels)
        self.check(alone, lambda X: np.log(np.maximum(forest.predict_proba(X), 1e-6)), halves)
        search = GridSearchCV(mlp("relu"), {"alpha": [0.1]}, cv=2).fit(X, labels)
        self.check(search, lambda X: hidden_layer(search.best_estimator_, X), halves)

    def test_features_of_callable(self, halves):
        self.check(lambda X: X[:, 20:30] ** 2, lambda X: X[:, 20:30] ** 2, halves)
        self.check(FunctionTransformer(lambda X: X[:, :30]), lambda X: X[:, :30], halves)

    def test_images_are_flattened_for_estimators_of_flat_rows(self, halves, labels):
        X, Y = halves
        images = [A.reshape(-1, 8, 8) for A in halves]
        for features in (PCA(3).fit(X), mlp("relu").fit(X, labels), make_pipeline(StandardScaler(), PCA(2)).fit(X)):
            assert frechet_distance(*images, features=features) == frechet_distance(X, Y, features=features)
            assert frechet_distance(X, images[1], features=features) == frechet_distance(X, Y, features=features)

    @pytest.mark.parametrize("shape", [(8, 8), (64, 1)])
    def test_images_are_not_flattened_for_image_estimators(self, halves, shape):
        X, Y = (A.reshape(-1, *shape) for A in halves)
        model = AutoencoderTransformer(n_components=2, max_epochs=0, random_state=0).fit(X)
        assert frechet_distance(X, Y, features=model) == frechet_distance(model.transform(X), model.transform(Y))
        middle = frechet_distance(X, Y, features=lambda A: A.mean(axis=2))  # which flat rows have not
        assert middle == frechet_distance(X.mean(axis=2), Y.mean(axis=2))

    def test_dataframes_keep_feature_names(self):
        frames = [pd.DataFrame(normal(seed), columns=list("abcd")) for seed in (0, 1)]
        features = PCA(2).fit(frames[0])  # which would warn of an array
        assert frechet_distance(*frames, features=features) > 0
        network = MLPRegressor(hidden_layer_sizes=(4,), max_iter=3).fit(frames[0], frames[0]["a"])
        assert frechet_distance(*frames, features=network) > 0
        with pytest.raises(ValueError, match="feature names should match"):
            frechet_distance(frames[0], frames[1][list("dcba")], features=network)

    @pytest.mark.parametrize("metric", ALL)
    def test_all_metrics_support_features(self, metric, halves):
        pca = PCA(3).fit(halves[0])
        expected = call(metric, *(pca.transform(A) for A in halves))
        assert call(metric, *halves, features=pca) == expected

    @pytest.mark.parametrize(
        ("features", "error", "message"),
        [
            (PCA, TypeError, "got the class PCA: pass a fitted instance"),
            ("inception", TypeError, "features must be None, a fitted transformer .* got 'inception'"),
            (PCA(2), NotFittedError, "PCA instance is not fitted yet"),
            (MLPClassifier(), NotFittedError, "MLPClassifier instance is not fitted yet"),
            (lambda X: X.sum(axis=1), ValueError, r"shape \(n_samples, d\) with n_samples = 300 for X, got \(300,\)"),
            (lambda X: X[:-1], ValueError, r"with n_samples = 300 for X, got \(299, 4\)"),
            (lambda X: X[:, :0], ValueError, r"got \(300, 0\)"),
            (lambda X: X * np.nan, ValueError, "features of X contains NaN"),
            (lambda X: X if len(X) == 300 else X[:, :3], ValueError, "gave 4 columns for X, but 3 for X_generated"),
        ],
    )
    def test_invalid_features_raise(self, features, error, message):
        with pytest.raises(error, match=message):
            frechet_distance(normal(0), normal(1, 200), features=features)

    def test_estimator_without_features_raises(self):
        class Predictor(BaseEstimator):
            def fit(self, X):
                self.fitted_ = True

            def predict(self, X):
                return X[:, 0]

        features = Predictor()
        features.fit(None)
        with pytest.raises(TypeError, match=r"features=Predictor\(\) has none of transform, decision_function"):
            frechet_distance(normal(0), normal(1), features=features)

    def test_wrong_number_of_columns_raises(self, halves, labels):
        network = mlp("relu").fit(halves[0], labels)
        with pytest.raises(ValueError, match="X has 4 features, but MLPClassifier is expecting 64"):
            frechet_distance(normal(0), normal(1), features=network)
