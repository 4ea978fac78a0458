"""OutlierDetector: outliers by held-out scores."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
import sklearn
from scipy.sparse import csr_array
from sklearn.base import BaseEstimator, TransformerMixin, clone, is_outlier_detector
from sklearn.datasets import load_breast_cancer
from sklearn.decomposition import PCA, FastICA
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import roc_auc_score
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import GridSearchCV, KFold, ShuffleSplit
from sklearn.neighbors import KernelDensity
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from skae import AutoencoderTransformer, ConvAutoencoder, OutlierDetector, VAEGenerator
from skae.estimators import _trimming
from skae.estimators._code_density import fit_density
from skae.estimators._held_out import tail_probabilities, threshold_of
from skae.estimators._outlier_scores import PARTS
from skae.estimators._trimming import keep_lowest, outlyingness
from skae.tables import TableAutoencoder

QUICK = {"max_epochs": 2, "early_stopping": False, "module__hidden_layer_sizes": (8,)}


def small(n_components=2, **params):
    return AutoencoderTransformer(n_components, **QUICK | params)


def detector(estimator=None, **params):
    return OutlierDetector(PCA(2) if estimator is None else estimator, **{"random_state": 0} | params)


@pytest.fixture(scope="module")
def table():
    """Rows near a plane in six dimensions."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(150, 2)) @ rng.normal(size=(2, 6)) + 0.1 * rng.normal(size=(150, 6)) + 5
    X.flags.writeable = False
    return X


@pytest.fixture(scope="module")
def strange(table):
    """Rows beside the plane, within the range of each feature."""
    return np.random.default_rng(1).permuted(table[:40], axis=0)


# ------------------------------------------------------------------ what it decides


@pytest.mark.parametrize("criterion", [*PARTS, "combined", ["standardized", "code"]], ids=str)
def test_scores_rank_and_the_threshold_decides(table, strange, criterion):
    estimator = make_pipeline(StandardScaler(), PCA(2))
    found = detector(estimator, criterion=criterion).fit(table)
    scores, decision = found.score_samples(strange), found.decision_function(strange)
    assert scores.shape == (40,)
    assert scores.dtype == np.float64
    np.testing.assert_array_equal(decision, scores - found.offset_)
    np.testing.assert_array_equal(found.predict(strange), np.where(decision >= 0, 1, -1))
    assert found.threshold_ == -found.offset_
    if criterion in ("reconstruction", "standardized", "likelihood", "combined"):
        y = np.repeat([1, -1], [150, 40])
        assert roc_auc_score(y, found.decision_function(np.vstack([table, strange]))) > 0.95
    assert is_outlier_detector(found)


def test_scores_of_fit_are_held_out(table):
    folds = KFold(3)
    found = detector(criterion="reconstruction", cv=folds).fit(table)
    assert len(found.estimators_) == 3
    for (train, held_out), model in zip(folds.split(table), found.estimators_, strict=True):
        pca = PCA(2, random_state=found.estimators_[0].random_state).fit(table[train])
        rest = table[held_out]
        errors = np.square(rest - pca.inverse_transform(pca.transform(rest))).mean(axis=1)
        np.testing.assert_allclose(found.held_out_scores_[held_out], -errors)
        np.testing.assert_allclose(model.components_, pca.components_)
    new = table + 0.1
    of_each = [np.square(new - pca.inverse_transform(pca.transform(new))).mean(axis=1) for pca in found.estimators_]
    np.testing.assert_allclose(found.score_samples(new), -np.mean(of_each, axis=0))
    assert not detector().fit(table).trimmed_.any()


def test_fit_predict_calls_the_share_outliers_by_held_out_scores(table):
    for contamination in (0.02, 0.1, 0.5):
        found = detector(contamination=contamination)
        labels = found.fit_predict(table)
        assert (labels == -1).sum() == round(contamination * 150)
        np.testing.assert_array_equal(labels, np.where(found.held_out_scores_ >= found.offset_, 1, -1))
    apart = detector(cv=ShuffleSplit(1, test_size=0.3, random_state=0))
    labels = apart.fit_predict(table)
    never = np.isnan(apart.held_out_scores_)
    assert never.sum() == 105
    np.testing.assert_array_equal(labels[never], apart.predict(table)[never])


@pytest.mark.parametrize("share", [0.01, 0.05, 0.1, 0.5])
def test_threshold_is_exceeded_by_contamination(share):
    rng = np.random.default_rng(0)
    for n in (40, 41, 300):
        found = np.mean([1 - threshold_of(rng.random(n), share) for _ in range(2000)])
        assert found == pytest.approx(max(share, 1 / (n + 1)), abs=0.004)


def test_p_values_of_inliers_are_uniform():
    rng = np.random.default_rng(0)
    found = np.concatenate([tail_probabilities(rng.random(99), rng.random(20)) for _ in range(500)])
    for share in (0.01, 0.05, 0.5):
        assert (found <= share).mean() == pytest.approx(share, abs=0.01)
    np.testing.assert_array_equal(tail_probabilities(np.array([1.0, 2, 2]), np.array([2, 3, 0])), [0.75, 0.25, 1])


def test_p_values_follow_the_scores(table, strange):
    found = detector().fit(table)
    p = found.p_values(strange)
    assert p.min() >= 1 / 151
    assert np.median(p) < 0.1
    order = np.argsort(found.score_samples(strange))
    assert (np.diff(p[order]) >= 0).all()
    alarms = found.predict(strange) == -1
    assert (p[alarms] <= 0.1 + 1e-12).all()
    assert (p[~alarms] >= 0.1 - 1 / 151).all()


@pytest.mark.slow
def test_rate_of_false_alarms_on_new_rows():
    rng = np.random.default_rng(0)
    shares, rates = (0.02, 0.05, 0.1), []
    for seed in range(6):
        X = np.tanh(rng.normal(size=(2300, 3)) @ rng.normal(size=(3, 10))) + 0.1 * rng.normal(size=(2300, 10))
        found = detector(small(3, max_epochs=15), random_state=seed).fit(X[:300])
        scores = found.score_samples(X[300:])
        rates.append([(scores < -threshold_of(-found.held_out_scores_, share)).mean() for share in shares])
    np.testing.assert_allclose(np.mean(rates, axis=0), shares, atol=0.02)


def test_without_folds_scores_are_not_held_out(table):
    found = detector(cv=None).fit(table)
    assert len(found.estimators_) == 1
    np.testing.assert_allclose(found.score_samples(table), found.held_out_scores_)
    np.testing.assert_array_equal(found.predict(table), clone(found).fit_predict(table))
    assert detector(cv=5).fit(table).threshold_ > found.threshold_


def test_frozen_estimator_is_unchanged(table, strange):
    pca = PCA(2).fit(table[:100])
    found = detector(FrozenEstimator(pca), criterion="reconstruction").fit(table[100:])
    assert len(found.estimators_) == 1
    errors = np.square(table - pca.inverse_transform(pca.transform(table))).mean(axis=1)
    np.testing.assert_allclose(found.held_out_scores_, -errors[100:])
    np.testing.assert_allclose(found.score_samples(table), -errors)
    combined = detector(FrozenEstimator(make_pipeline(StandardScaler(), PCA(2)).fit(table[:100]))).fit(table[100:])
    assert (combined.predict(strange) == -1).mean() > 0.5


# ------------------------------------------------------------------ what it works around


@pytest.mark.slow
def test_default_network(table, strange):
    found = OutlierDetector(random_state=0, cv=2)
    found.fit(table[:60])
    assert found.parts_ == ("code", "distance")
    assert found.estimators_[0][-1].noise.fraction == 0.8
    assert roc_auc_score(np.repeat([1, 0], [90, 40]), found.score_samples(np.vstack([table[60:], strange]))) > 0.6
    assert found.get_params()["estimator"] is None


@pytest.mark.parametrize("convert", [pd.DataFrame, pl.DataFrame, csr_array, np.ndarray.tolist])
def test_containers_of_tables(table, strange, convert):
    estimator = small() if convert in (pd.DataFrame, csr_array) else PCA(2)
    found = detector(estimator, cv=2).fit(convert(table)).score_samples(convert(strange))
    expected = detector(estimator, cv=2).fit(table).score_samples(strange)
    assert np.corrcoef(found, expected)[0, 1] > 0.99  # digits of the start of sparse rows are others


def test_names_of_features_are_kept(table):
    frame = pd.DataFrame(table, columns=list("abcdef"))
    found = detector(make_pipeline(StandardScaler().set_output(transform="pandas"), small()), cv=2).fit(frame)
    assert found.feature_names_in_.tolist() == list("abcdef")
    assert found.n_features_in_ == 6
    assert found.explain(frame[:3]).shape == (3, 6)
    with pytest.raises(ValueError, match="feature names should match"):
        found.predict(frame[list("fedcba")])


def test_missing_values_do_not_count(table):
    holed = np.where(np.random.default_rng(0).random(table.shape) < 0.1, np.nan, table)
    holed[0] = np.nan
    found = detector(small(missing="mask"), criterion="standardized", cv=3).fit(holed)
    assert np.isnan(found.held_out_scores_).tolist() == [True] + [False] * 149
    assert np.isnan(found.score_samples(holed[:1])).all()
    assert np.isnan(found.p_values(holed[:1])).all()
    assert found.predict(holed[:1]).tolist() == [-1]
    explained = found.explain(holed)
    assert (explained[np.isnan(holed)] == 0).all()
    np.testing.assert_allclose(explained[1:].sum(axis=1), 1)


IMAGES = {"max_epochs": 1, "early_stopping": False, "module__channels": (3,)}


def test_images_of_one_size():
    X = np.random.default_rng(0).random((20, 8, 8))
    found = detector(ConvAutoencoder(2, **IMAGES), cv=2).fit(X)
    assert found.score_samples(X).shape == (20,)
    shares = detector(ConvAutoencoder(2, **IMAGES), cv=2, criterion="reconstruction").fit(X).explain(X[:3])
    assert shares.shape == (3, 8, 8)
    np.testing.assert_allclose(shares.sum(axis=(1, 2)), 1)


def test_images_of_any_size():
    rng = np.random.default_rng(0)
    X = [rng.random((side, 9, 3)) for side in (8, 9, 12, 10, 8, 11)]
    found = detector(ConvAutoencoder(2, module__dense=False, **IMAGES), cv=2).fit(X)
    odd = [X[0], X[1] * 9]
    assert np.diff(found.score_samples(odd)) < 0
    assert found.fit_predict(X).shape == (6,)
    alone = detector(ConvAutoencoder(2, module__dense=False, **IMAGES), cv=2, criterion=["standardized", "distance"])
    shares = alone.fit(X).explain(odd)
    assert [share.shape for share in shares] == [(8, 9, 3), (9, 9, 3)]
    np.testing.assert_allclose([share.sum() for share in shares], 1)
    with pytest.raises(ValueError, match="explain needs X as one array"):
        found.explain(odd)


def test_sequences_of_any_length():
    rng = np.random.default_rng(0)
    X = [rng.random((int(length), 2)) for length in rng.integers(3, 7, 20)]
    found = detector(AutoencoderTransformer(2, module="gru", module__hidden_size=3, max_epochs=1), cv=2).fit(X)
    longer = [rng.random((9, 2)), 5 * rng.random((9, 2))]
    assert np.diff(found.score_samples(longer)) < 0
    shares = found.set_params(criterion="standardized").fit(X).explain(longer)
    assert found.noise_levels_.shape == (2,)
    assert shares.shape == (2, 9, 2)
    np.testing.assert_allclose(shares.sum(axis=(1, 2)), 1)


def test_generator_and_likelihood(table, strange):
    vae = VAEGenerator(2, **QUICK)
    found = detector(vae, criterion="likelihood", cv=2).fit(table)
    expected = np.mean([model.score_samples(strange) for model in found.estimators_], axis=0)
    np.testing.assert_allclose(found.score_samples(strange), expected, rtol=1e-6)
    coded = detector(vae, criterion="code", cv=2).fit(table)
    assert coded.densities_[0] is coded.estimators_[0].prior_
    np.testing.assert_allclose(coded.explain(strange[:2]).sum(axis=1), 1)


@pytest.mark.parametrize("density", [None, "mixture", GaussianMixture(2), KernelDensity(bandwidth=0.5)])
def test_codes_far_out_are_unlikely(table, density):
    found = detector(density=density, criterion="code").fit(table)
    far = table.mean(axis=0) + 8 * (table[:5] - table.mean(axis=0))
    assert (found.predict(far) == -1).all()


def test_density_of_codes_does_not_depend_on_their_unit():
    codes = np.random.default_rng(0).normal(size=(200, 3)) @ np.diag([1, 10, 100])
    one, other = (fit_density(None, PCA(), unit * codes, 0) for unit in (1.0, 1e-3))
    np.testing.assert_allclose(one.means_, 1e3 * other.means_, rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(one.score_samples(codes) - other.score_samples(1e-3 * codes), -9 * np.log(10))
    wide = fit_density(None, PCA(), codes[:3] @ np.ones((3, 50)), 0)  # fewer rows than codes
    assert np.isfinite(wide.score_samples(np.ones((1, 50)))).all()


class OwnLosses(BaseEstimator, TransformerMixin):
    """An estimator of tables that are no arrays, which says its losses by itself."""

    def fit(self, X, y=None):
        self.mean_ = X["number"].mean()
        return self

    def transform(self, X):
        return X[["number"]].to_numpy()

    def feature_losses(self, X):
        return np.column_stack([np.square(X["number"] - self.mean_), X["word"] != "usual"])


def test_rows_go_to_the_estimator_unchanged():
    frame = pd.DataFrame({"number": np.r_[np.arange(19.0), 99], "word": ["usual"] * 19 + ["strange"]})
    found = detector(OwnLosses(), criterion="standardized").fit(frame)
    assert found.score_samples(frame).argmin() == 19
    assert found.explain(frame).shape == (20, 2)
    assert detector(OwnLosses()).fit(frame).score_samples(frame).argmin() == 19


@pytest.mark.parametrize("library", [pd, pl])
def test_tables_of_categories(library):
    rng = np.random.default_rng(0)
    z = rng.normal(size=120)
    columns = {"number": 10 * z + rng.normal(size=120), "kind": np.where(z > 0, "high", "low")}
    estimator = TableAutoencoder(AutoencoderTransformer(2, missing="mask", **QUICK | {"max_epochs": 20}))
    found = detector(estimator, criterion="standardized", cv=2).fit(library.DataFrame(columns))
    odd = library.DataFrame({"number": [20.0, 20.0], "kind": ["high", "low"]})
    assert np.diff(found.score_samples(odd)) < 0
    np.testing.assert_allclose(found.explain(odd).sum(axis=1), 1)
    assert detector(estimator, cv=2).fit(library.DataFrame(columns)).predict(odd).shape == (2,)


# ------------------------------------------------------------------ shares


def test_share_is_that_of_the_changed_feature(table):
    changed = table[:30].copy()
    changed[np.arange(30), np.arange(30) % 6] += 6
    for criterion in ("reconstruction", "standardized", "distance", "likelihood", "code"):
        shares = detector(criterion=criterion).fit(table).explain(changed)
        np.testing.assert_allclose(shares.sum(axis=1), 1)
        assert (shares >= 0).all()
        if criterion in ("distance", "reconstruction"):
            assert (shares.argmax(axis=1) == np.arange(30) % 6).mean() > 0.6


def test_standardized_score_detects_outliers_relative_to_noise_level():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 8)) * ([3.0] + [1.0] * 6 + [0.05])
    odd = X[:20].copy()
    odd[:, 7] += 0.5
    y = np.repeat([1, 0], [180, 20])
    area = {}
    for criterion in ("reconstruction", "standardized"):
        found = detector(PCA(1), criterion=criterion).fit(X)
        area[criterion] = roc_auc_score(y, found.score_samples(np.vstack([X[20:], odd])))
        if criterion == "standardized":
            assert found.noise_levels_.shape == (8,)
            assert (found.explain(odd).argmax(axis=1) == 7).all()
    assert area["standardized"] > area["reconstruction"] + 0.2


# ------------------------------------------------------------------ rows that are left out


def with_cluster(X, share=0.1):
    """X, and a tight cluster far away; True where a row is of the cluster."""
    rng = np.random.default_rng(0)
    n = round(len(X) * share / (1 - share))
    direction = rng.normal(size=X.shape[1])
    away = 15 * direction / np.linalg.norm(direction) + 0.05 * rng.normal(size=(n, X.shape[1]))
    return np.vstack([X, X.mean(axis=0) + X.std(axis=0) * away]), np.repeat([False, True], [len(X), n])


def test_trimming_finds_a_tight_cluster(table):
    X, y = load_breast_cancer(return_X_y=True)
    for usual in (table, X[y == 1]):
        rows, planted = with_cluster(usual)
        area = {}
        for trim in (0.0, 0.2):
            found = detector(make_pipeline(StandardScaler(), PCA(5)), criterion="reconstruction", trim=trim).fit(rows)
            area[trim] = roc_auc_score(planted, -found.held_out_scores_)
            assert found.trimmed_.sum() == int(trim * len(rows))
        assert area[0.0] < 0.5
        assert area[0.2] > 0.95
        assert found.trimmed_[planted].all()


def test_trimmed_rows_have_held_out_scores(table):
    fresh = np.random.default_rng(7)
    found = detector(trim=0.2, contamination=0.1).fit(table)
    assert not np.isnan(found.held_out_scores_).any()
    assert (found.held_out_scores_ < found.offset_).sum() == 15
    new = table[fresh.integers(0, 150, 500)] + 0.01 * fresh.normal(size=(500, 6))
    assert (found.predict(new) == -1).mean() == pytest.approx(0.1, abs=0.05)


def test_core_is_found_among_any_kind_of_rows(table, monkeypatch):
    X, planted = with_cluster(table)
    assert roc_auc_score(planted, outlyingness(X, 0)) > 0.95
    assert roc_auc_score(planted, outlyingness(csr_array(X), 0)) > 0.95
    holed = np.where(np.random.default_rng(0).random(X.shape) < 0.1, np.nan, X)
    assert roc_auc_score(planted, outlyingness(holed, 0)) > 0.95
    assert outlyingness(pd.DataFrame({"word": ["a", "b"]}), 0) is None
    assert np.isfinite(outlyingness(np.zeros((5, 3)), 0)).all()
    monkeypatch.setattr(_trimming, "_MOST_FEATURES", 10)
    wide = np.random.default_rng(0).normal(size=(30, 21))
    wide[0] += 9
    assert outlyingness(wide, 0).argmax() == 0
    assert keep_lowest(np.array([3.0, np.nan, 1, 2]), 0.25).tolist() == [False, True, True, True]


# ------------------------------------------------------------------ scikit-learn's ways


def test_search_by_area_under_the_curve(table, strange):
    X, y = np.vstack([table, strange]), np.repeat([1, -1], [150, 40])
    grid = {"estimator__n_components": [2, 6], "criterion": ["reconstruction"]}
    folds = KFold(3, shuffle=True, random_state=0)
    search = GridSearchCV(detector(), grid, scoring="roc_auc", cv=folds, error_score="raise").fit(X, y)
    assert search.best_params_["estimator__n_components"] == 2
    again = GridSearchCV(detector(), grid, scoring="roc_auc", cv=folds).fit(X, y == 1)
    np.testing.assert_allclose(again.cv_results_["mean_test_score"], search.cv_results_["mean_test_score"])


def test_seed_is_that_of_folds_and_of_the_estimator(table, strange):
    one, other = (detector(small(), cv=2).fit(table).score_samples(strange) for _ in range(2))
    np.testing.assert_array_equal(one, other)
    different = detector(small(), cv=2, random_state=1).fit(table).score_samples(strange)
    assert not np.array_equal(one, different)
    kept = detector(small(random_state=7), cv=2).fit(table)
    assert [model.random_state for model in kept.estimators_] == [7, 7]


class Recorder(BaseEstimator, TransformerMixin):
    def fit(self, X, y=None, **params):
        self.given_ = {"X": X, "y": y, **params}
        return self

    def reconstruct(self, X):
        return np.zeros(np.shape(X))


def test_arguments_of_fit_are_cut_as_rows_are(table):
    weight = np.arange(150.0)
    found = detector(Recorder(), criterion="reconstruction", cv=KFold(3))
    found.fit(table, weight, sample_weight=weight, X_val=table, flag="x")
    given = found.estimators_[1].given_
    kept = np.r_[0:50, 100:150]
    np.testing.assert_array_equal(given["X"], table[kept])
    np.testing.assert_array_equal(given["y"], weight[kept])
    np.testing.assert_array_equal(given["sample_weight"], weight[kept])
    np.testing.assert_array_equal(given["X_val"], table)
    assert given["flag"] == "x"


def test_zero_weight_samples_do_not_affect_threshold(table, strange):
    X = np.vstack([table, 100 * strange])
    weight = np.repeat([1.0, 0.0], [150, 40])
    found = detector(small(), criterion="reconstruction", cv=2).fit(X, sample_weight=weight)
    assert (found.predict(100 * strange) == -1).all()
    assert (found.held_out_scores_[:150] < found.offset_).sum() == 15
    piped = detector(Pipeline([("ae", small())]), criterion="reconstruction", cv=2).fit(X, ae__sample_weight=weight)
    assert piped.offset_ == pytest.approx(found.offset_)


def test_splits_are_indices_or_masks(table):
    train = np.arange(150) < 100
    masks, indices = [(train, ~train)], [(np.flatnonzero(train), np.flatnonzero(~train))]
    assert detector(cv=masks).fit(table).offset_ == detector(cv=indices).fit(table).offset_


def test_default_network_takes_missing_values(table):
    holed = table[:60].copy()
    holed[::3, 1] = np.nan
    found = OutlierDetector(random_state=0, cv=[(np.arange(40), np.arange(40, 60))]).fit(holed)
    assert np.isfinite(found.score_samples(holed)).all()


def test_routing(table):
    with sklearn.config_context(enable_metadata_routing=True):
        ae = small().set_fit_request(sample_weight=True)
        found = detector(ae, cv=2).fit(table, sample_weight=np.ones(150))
        assert len(found.estimators_) == 2
        with pytest.raises(sklearn.exceptions.UnsetMetadataPassedError):
            detector(small(), cv=2).fit(table, sample_weight=np.ones(150))


def test_failed_fit_changes_nothing(table):
    found = detector().fit(table)
    before = dict(vars(found))
    for params in ({"contamination": 0.6}, {"criterion": "no"}, {"estimator": PCA(99)}):
        found.set_params(**params)
        with pytest.raises(ValueError, match=r"contamination|criterion|n_components"):
            found.fit(table)
        found.set_params(contamination=0.1, criterion="auto", estimator=before["estimator"])
        assert vars(found) == before
    found.set_params(criterion="reconstruction").fit(table)
    assert "densities_" not in vars(found)


@pytest.mark.parametrize(
    ("params", "error", "message"),
    [
        ({"contamination": 0}, ValueError, "contamination == 0, must be > 0"),
        ({"contamination": "auto"}, TypeError, "contamination must be a number in"),
        ({"trim": 0.5}, ValueError, "trim == 0.5, must be < 0.5"),
        ({"criterion": "codes"}, ValueError, r"criterion must be .*Did you mean 'code'"),
        ({"criterion": ["code", "code"]}, ValueError, "list of different ones"),
        ({"criterion": []}, ValueError, "criterion must be"),
        ({"criterion": None}, ValueError, "criterion must be"),
        ({"density": 3}, TypeError, "density must be None, 'mixture', 'flow' or a density"),
        ({"cv": 1}, ValueError, "cv == 1, must be >= 2"),
        ({"cv": "five"}, ValueError, "cv must be None, an int, a splitter"),
        ({"cv": []}, ValueError, "cv must give at least one split"),
        ({"cv": [([0, 1, 2], [150])]}, ValueError, "cv must give pairs .* indices from 0 to 149"),
        ({"cv": [([], [1])]}, ValueError, "cv must give pairs .* of non-empty indices"),
        ({"estimator": StandardScaler(), "criterion": "likelihood"}, TypeError, "estimator must have score_samples"),
        ({"estimator": FastICA(2).fit_transform}, TypeError, "estimator must have reconstruct or inverse_transform"),
        ({"estimator": Recorder(), "criterion": "code"}, TypeError, "estimator must have transform"),
    ],
    ids=str,
)
def test_errors_name_the_parameter(table, params, error, message):
    found = detector(**params)
    with pytest.raises(error, match=message):
        found.fit(table)


def test_errors_of_rows(table):
    with pytest.raises(NotFittedError):
        detector().predict(table)
    with pytest.raises(ValueError, match="n_samples=1"):
        detector().fit(table[:1])
    with pytest.raises(ValueError, match="No sample of X could be scored"):
        detector(small(missing="mask"), criterion="reconstruction", cv=[(np.arange(149), [149])]).fit(
            np.vstack([table[:149], np.full(6, np.nan)])
        )
    assert len(detector(cv=5).fit(table[:3]).estimators_) == 3
