"""``prior='flow'`` and ``prior='auto'`` in the estimators."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.mixture import GaussianMixture

import skae
from skae import AutoencoderTransformer, ConvAutoencoder, OutlierDetector, VAEGenerator
from skae._data.targets import NO_CONDITION, Classes, Targets
from skae._density.latent_prior import LatentPrior
from skae._density.likelier import fit_likelier
from skae._density.mixture import log_density_given
from skae.density import NormalizingFlow

FAST = {"max_epochs": 1, "random_state": 0, "module__hidden_layer_sizes": (8,)}
SMALL = {"prior__n_transforms": 1, "prior__width": 8, "prior__max_epochs": 2}


class _Unlikely(LatentPrior):
    """A density by which every row is less likely than by any other."""

    def __init__(self, condition):
        super().__init__("mixture", condition)

    def fit(self, *args):
        return None

    def log_density(self, density, codes, c):
        return np.full(len(codes), -np.inf)


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(0)
    y = np.arange(200) % 3
    return rng.normal(size=(200, 5)) + 4 * np.eye(5)[y], y


def test_flow_is_fitted_to_draws_of_posteriors(table):
    X, _ = table
    vae = VAEGenerator(2, prior="flow", **SMALL, **FAST).fit(X)
    assert type(vae.prior_) is NormalizingFlow
    assert vae.prior_.get_params()["width"] == 8
    mean, std = vae.transform_distribution(X)
    drawn = vae.prior_.sample(2000, random_state=0)
    np.testing.assert_allclose(drawn.var(0), mean.var(0) + (std**2).mean(0), rtol=0.3)
    assert vae.sample(3, random_state=0).shape == (3, 5)
    np.testing.assert_array_equal(vae.sample(3, random_state=0), vae.sample(3, random_state=0))


@pytest.mark.parametrize("prior", ["flow", "Normalizing-Flow", NormalizingFlow, NormalizingFlow()], ids=str)
def test_flow_may_be_a_string_a_class_or_an_object(prior, table):
    ae = clone(AutoencoderTransformer(2, prior=prior, **SMALL, **FAST)).fit(table[0])
    assert type(ae.prior_) is NormalizingFlow
    assert ae.prior_ is not prior
    assert ae.prior_.n_iter_ == 2
    assert ae.sample(2).shape == (2, 5)


def test_one_flow_serves_all_classes(table):
    X, y = table
    labels = np.array(["a", "b", "c"])[y]
    vae = VAEGenerator(2, prior="flow", conditional=True, **SMALL, **FAST).fit(X, labels)
    assert type(vae.prior_) is NormalizingFlow
    assert vae.prior_.classes_.tolist() == ["a", "b", "c"]
    drawn = vae.prior_.sample(300, random_state=0, y="b")
    np.testing.assert_allclose(drawn.mean(0), vae.transform(X)[y == 1].mean(0), atol=0.4)
    assert vae.sample(y=vae.classes_, random_state=0).shape == (3, 5)


def test_targets_condition_the_flow(table):
    X, y = table
    vae = VAEGenerator(2, prior="flow", conditional="targets", **SMALL, **FAST).fit(X, y * 10.0)
    assert isinstance(vae.prior_._condition, Targets)
    np.testing.assert_allclose(vae.prior_._condition.mean, [y.mean() * 10], rtol=1e-5)
    assert vae.sample(4, y=10.0).shape == (4, 5)


def test_spatial_codes_are_drawn_by_position():
    images = np.random.default_rng(0).random((40, 16, 16))
    ae = ConvAutoencoder(
        2,
        prior="flow",
        module__dense=False,
        module__channels=(4, 8),
        crop_size=8,
        max_epochs=1,
        random_state=0,
        **SMALL,
    ).fit(images)
    assert ae.prior_.n_features_in_ == 2
    assert ae.sample(2, size=(12, 20)).shape == (2, 12, 20)


def test_weights_reach_the_flow(table):
    X, y = table
    weight = (y == 0).astype(float)
    vae = VAEGenerator(2, prior="flow", **SMALL, **FAST).fit(X, sample_weight=weight)
    drawn = vae.prior_.sample(500, random_state=0)
    np.testing.assert_allclose(drawn.mean(0), vae.transform(X[y == 0]).mean(0), atol=0.4)


def test_partial_fit_has_the_flow_of_the_latest_rows(table):
    X, _ = table
    vae = VAEGenerator(2, prior="flow", **SMALL, **FAST).partial_fit(X)
    first = vae.prior_
    assert vae.partial_fit(X[:100] + 1).prior_ is not first


def test_save_and_load_with_classes(table, tmp_path):
    X, y = table
    vae = VAEGenerator(2, prior="flow", conditional=True, **SMALL, **FAST).fit(X, y)
    skae.save(vae, tmp_path / "vae.skae")
    same = skae.load(tmp_path / "vae.skae")
    np.testing.assert_array_equal(same.sample(5, y=2, random_state=0), vae.sample(5, y=2, random_state=0))


def test_parameters_of_auto_raise(table):
    with pytest.raises(ValueError, match="prior__width needs a prior with this parameter, but prior='auto' has none"):
        VAEGenerator(2, prior="auto", prior__width=8, **FAST).fit(table[0])


def test_unknown_parameters_of_the_flow_raise(table):
    with pytest.raises(TypeError, match="prior=NormalizingFlow has no parameter prior__depth"):
        VAEGenerator(2, prior="flow", prior__depth=3, **FAST).fit(table[0])


def test_errors_of_the_fit_name_the_prior(table):
    with pytest.raises(ValueError, match=r"prior=GaussianMixture.*could not be fitted to the codes of 200 rows"):
        AutoencoderTransformer(2, prior=GaussianMixture(201), **FAST).fit(table[0])


@pytest.mark.parametrize("params", [{"prior__lr": 0}, {"prior": NormalizingFlow(lr=0)}])
def test_parameters_of_the_flow_raise_before_training(params, table, monkeypatch):
    monkeypatch.setattr("skae.estimators._base.train", lambda *args, **kwargs: pytest.fail("trained"))
    with pytest.raises(ValueError, match=r"prior=NormalizingFlow\(lr=0\): lr == 0, must be > 0"):
        VAEGenerator(2, **{"prior": "flow"} | params, **FAST).fit(table[0])


def test_classes_that_the_latest_rows_lack_raise_by_name(table):
    X, y = table
    vae = VAEGenerator(2, prior="flow", conditional=True, **SMALL, **FAST).partial_fit(X, y)
    vae.partial_fit(X[y > 0], y[y > 0])
    assert vae.sample(y=[1, 2], random_state=0).shape == (2, 5)
    for asked in ({"y": 0}, {"n_samples": 50}):
        with pytest.raises(ValueError, match=r"Class 0 had no rows to learn from: prior='flow' knows .*, \[1, 2\]"):
            vae.sample(random_state=0, **asked)


def test_auto_knows_every_class(table):
    X, y = table
    y = np.where(np.arange(len(y)) == 7, 3, y)  # a class of one row
    condition = Classes(y)
    seed = next(seed for seed in range(100) if 7 in np.random.default_rng(seed).permutation(len(y))[:20])  # to hold out
    prior = LatentPrior(NormalizingFlow(1, 1, 4, max_epochs=0), condition)
    found = fit_likelier(_Unlikely(condition), prior, X, condition.one_hot(y), None, seed, None)
    assert found.classes_.tolist() == [0, 1, 2, 3]


def test_outlier_detector_takes_flows(table):
    X, _ = table
    with pytest.raises(
        ValueError, match="is conditional on y, but samples are scored without y: set conditional=False"
    ):
        OutlierDetector(density=NormalizingFlow(conditional=True)).fit(X)
    flow = NormalizingFlow(1, 1, 8, max_epochs=2)
    for density in (flow, "flow"):
        detector = OutlierDetector(
            AutoencoderTransformer(2, **FAST), criterion="code", density=density, cv=None, random_state=0
        ).fit(X[:60])
        assert type(detector.densities_[0]) is NormalizingFlow
        assert detector.score_samples(20 * X[:1])[0] < detector.score_samples(X).min()
    of_prior = OutlierDetector(VAEGenerator(2, prior=flow, **FAST), criterion="code", cv=None).fit(X)
    assert of_prior.densities_[0] is of_prior.estimators_[0].prior_


# ---------------------------------------------------------------- the likelier one


def bent(n, seed=0):
    rng = np.random.default_rng(seed)
    a = rng.normal(size=(n, 3))
    others = np.stack([a[:, 0] ** 2, np.sin(2 * a[:, 1]), a[:, 0] * a[:, 2]], axis=1)
    return np.hstack([a, others + rng.normal(0, 0.1, (n, 3))])


def test_auto_selects_mixture_at_equal_likelihood():
    codes = np.random.default_rng(0).normal(size=(150, 2))
    assert isinstance(LatentPrior("auto", NO_CONDITION).fit(codes, None, None, seed=0), GaussianMixture)
    assert isinstance(LatentPrior("auto", NO_CONDITION).fit(codes[:50], None, None, seed=0), GaussianMixture)


@pytest.mark.slow
def test_auto_selects_flow_at_higher_likelihood():
    posteriors = np.stack([bent(1000), np.full((1000, 6), 0.05)], axis=1)
    flow = LatentPrior("auto", NO_CONDITION).fit(posteriors, None, None, seed=0)
    assert type(flow) is NormalizingFlow
    mixture = LatentPrior("mixture", NO_CONDITION).fit(posteriors, None, None, seed=0)
    assert flow.score(bent(500, 1)) > mixture.score(bent(500, 1)) + 0.2


def test_auto_compares_densities_given_classes_and_targets(table):
    X, y = table
    for conditional in (True, "targets"):
        vae = VAEGenerator(2, prior="auto", conditional=conditional, **FAST).fit(X[:120], y[:120] + 0.0)
        assert isinstance(vae.prior_, list | GaussianMixture | NormalizingFlow)
        assert vae.sample(2, y=1.0).shape == (2, 5)


def test_density_given_the_last_variables():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(500, 3)) @ rng.normal(size=(3, 3))
    mixture = GaussianMixture(1, random_state=0).fit(X)
    found = log_density_given(mixture, X[:5, :2], X[:5, 2:])
    marginal = GaussianMixture(1)
    marginal.weights_, marginal.means_ = mixture.weights_, mixture.means_[:, 2:]
    marginal.precisions_cholesky_ = 1 / np.sqrt(mixture.covariances_[:, 2:, 2:])
    expected = mixture.score_samples(X[:5]) - marginal.score_samples(X[:5, 2:])
    np.testing.assert_allclose(found, expected)
