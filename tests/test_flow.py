"""Normalizing flows as density estimators."""

import builtins
import pickle

import numpy as np
import pytest
import torch
from scipy.integrate import trapezoid
from sklearn.base import clone
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import skae
from skae._data.targets import Classes, Targets
from skae._density.flow_network import Architecture, make_network
from skae._density.flow_start import start_mixture
from skae._density.flow_training import Rows
from skae.density import NormalizingFlow

RNG = np.random.default_rng(0)
TINY = {"n_transforms": 2, "n_layers": 1, "width": 16, "max_epochs": 3, "random_state": 0}


def ring(n=600, seed=0):
    rng = np.random.default_rng(seed)
    angle = rng.uniform(0, 2 * np.pi, n)
    return np.stack([np.cos(angle), np.sin(angle)], axis=1) + rng.normal(0, 0.1, (n, 2))


def groups(n=400):
    y = np.arange(n) % 2
    return np.random.default_rng(0).normal(size=(n, 2)) + 6 * y[:, None], np.array(["low", "high"])[y]


def state_of(flow):
    return {name: value.tobytes() for name, value in flow.weights_.items()}


@pytest.fixture(scope="module")
def fitted():
    return NormalizingFlow(**TINY).fit(ring())


# ---------------------------------------------------------------- the network


@pytest.mark.parametrize("k", [0, 1, 2])
@pytest.mark.parametrize("d", [1, 2, 3])
def test_network_starts_as_the_identity_into_a_mixture(d, k):
    architecture = Architecture(d, k, 3, 2, 2, 5)
    network = make_network(architecture, 0)
    assert sum(value.numel() for value in network.parameters()) == architecture.n_weights
    x, c = torch.randn(4, d, generator=torch.Generator().manual_seed(0)), torch.ones(4, k) if k else None
    torch.testing.assert_close(network.transform(c)(x), x)
    normal = torch.distributions.Normal(0.0, 1.0).log_prob(x).sum(1)
    torch.testing.assert_close(network.log_density(x, c), normal)


def test_start_is_a_mixture_of_scikit_learn():
    X = ring()
    flow = NormalizingFlow(n_components=3, **TINY | {"max_epochs": 0}).fit(X)
    mixture = GaussianMixture(3)
    mixture.weights_ = np.exp(flow.weights_["logits"])
    mixture.means_ = flow.weights_["means"] * X.std(0) + X.mean(0)
    mixture.precisions_cholesky_ = flow.weights_["roots"] / X.std(0)[:, None]
    np.testing.assert_allclose(flow.score_samples(X), mixture.score_samples(X), atol=1e-4)


def test_classes_start_from_a_mixture_each():
    X, y = groups()
    condition = Classes(y)
    rows = Rows(X, None, condition.encode(y), np.ones(len(X)))
    start = start_mixture(rows, rows, condition, 2, seed=0)
    assert start.weights.shape == (2, 4)
    np.testing.assert_allclose(start.weights.sum(1), 1, rtol=1e-5)
    centers = [np.average(start.means, axis=0, weights=weight) for weight in start.weights]
    np.testing.assert_allclose(centers, [X[y == label].mean(0) for label in condition.classes], atol=0.01)


# ---------------------------------------------------------------- the density


def test_density_integrates_to_one(fitted):
    axis = np.linspace(-2.5, 2.5, 101)
    grid = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
    values = np.exp(fitted.score_samples(grid)).reshape(101, 101)
    assert trapezoid(trapezoid(values, axis), axis) == pytest.approx(1, abs=0.02)


def test_samples_follow_the_density(fitted):
    """In expectation over samples the log-density is minus the entropy, which samples of a histogram give too."""
    drawn = fitted.sample(4000, random_state=0)
    axis = np.linspace(-2.5, 2.5, 101)
    grid = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
    log_density = fitted.score_samples(grid)
    expected = (np.exp(log_density) * log_density).sum() * 0.05**2
    assert fitted.score(drawn) == pytest.approx(expected, abs=0.05)
    np.testing.assert_allclose(drawn.std(0), ring(4000).std(0), rtol=0.1)


def test_training_raises_the_likelihood_of_other_rows():
    flow = NormalizingFlow(2, 2, 32, n_components=2, max_epochs=20, lr=1e-2, random_state=0)
    start = clone(flow).set_params(max_epochs=0).fit(ring())
    assert flow.fit(ring()).score(ring(seed=1)) > start.score(ring(seed=1)) + 0.15


def test_best_epoch_minimizes_the_loss_of_rows_held_out(fitted):
    assert fitted.n_iter_ == len(fitted.loss_curve_) == len(fitted.validation_loss_curve_) - 1
    assert fitted.best_epoch_ == np.argmin(fitted.validation_loss_curve_)


def test_start_that_is_not_improved_is_kept():
    X = np.random.default_rng(0).normal(size=(40, 3))
    flow = NormalizingFlow(lr=1.0, n_components=1, n_iter_no_change=2, random_state=0, width=8).fit(X)
    start = clone(flow).set_params(max_epochs=0).fit(X)
    assert (flow.best_epoch_, flow.n_iter_) == (0, 2)
    assert state_of(flow) == state_of(start)


def test_few_rows_have_the_mixture():
    X = RNG.normal(size=(19, 2))
    flow = NormalizingFlow(n_components=1, **TINY).fit(X)
    assert flow.n_iter_ == 0
    assert flow.validation_loss_curve_ == []
    assert flow.score(X) == pytest.approx(GaussianMixture(1).fit(X).score(X), abs=1e-3)


def test_invariance_to_units_of_features(fitted):
    unit, shift = np.array([1e6, 1e-6]), np.array([3e6, -2.0])
    other = NormalizingFlow(**TINY).fit(ring() * unit + shift)
    np.testing.assert_allclose(
        other.score_samples(ring() * unit + shift), fitted.score_samples(ring()) - np.log(unit).sum(), atol=0.02
    )


def test_constant_features_stay_constant():
    X = np.column_stack([ring(), np.full(600, 7.0), np.zeros(600)])
    flow = NormalizingFlow(**TINY).fit(X)
    assert np.isfinite(flow.score_samples(X)).all()
    np.testing.assert_allclose(flow.sample(50, random_state=0)[:, 2:], np.broadcast_to([7, 0], (50, 2)), atol=1e-3)


def test_rows_of_weight_zero_are_absent():
    X = np.concatenate([ring(100), ring(100) + 50])
    weight = np.repeat([2.0, 0.0], 100)
    assert state_of(NormalizingFlow(**TINY).fit(X, sample_weight=weight)) == state_of(
        NormalizingFlow(**TINY).fit(X[:100])
    )


def test_weights_count():
    X, y = groups()
    flow = NormalizingFlow(**TINY).fit(X, sample_weight=np.where(y == "low", 1.0, 9.0))
    assert (flow.sample(1000, random_state=0)[:, 0] > 3).mean() == pytest.approx(0.9, abs=0.05)


def test_noise_of_rows_widens_the_density():
    X = np.random.default_rng(0).normal(size=(1000, 1))
    flow = NormalizingFlow(**TINY).fit(X, X_std=np.full((1000, 1), 2.0))
    assert flow.sample(4000, random_state=0).var() == pytest.approx(5, rel=0.15)


# ---------------------------------------------------------------- conditions


def test_classes_condition_samples_and_densities():
    X, y = groups()
    flow = NormalizingFlow(conditional=True, **TINY).fit(X, y)
    assert flow.classes_.tolist() == ["high", "low"]
    asked = np.repeat(["low", "high"], 100)
    assert ((flow.sample(y=asked, random_state=0).mean(1) > 3) == (asked == "high")).mean() > 0.99
    given = np.stack([flow.score_samples(X, label) for label in ("low", "high")])
    np.testing.assert_allclose(flow.score_samples(X), np.logaddexp(*given) - np.log(2), rtol=1e-6)
    assert (given.argmax(0) == (y == "high")).mean() > 0.99
    assert (flow.sample(1000, random_state=0).mean(1) > 3).mean() == pytest.approx(0.5, abs=0.05)


@pytest.mark.slow
def test_targets_condition_samples():
    y = np.random.default_rng(0).uniform(-1, 1, 1000)
    X = np.stack([y, -3 * y], axis=1) + np.random.default_rng(1).normal(0, 0.1, (1000, 2))
    flow = NormalizingFlow(2, 1, 32, conditional=True, max_epochs=60, lr=1e-2, random_state=0).fit(X, y)
    assert isinstance(flow._condition, Targets)
    np.testing.assert_allclose(flow.sample(300, random_state=0, y=0.7).mean(0), [0.7, -2.1], atol=0.1)
    assert flow.score(X, y) > flow.score(X) + 0.5


def test_y_of_an_unconditional_flow_is_ignored(fitted):
    assert state_of(NormalizingFlow(**TINY).fit(ring(), np.arange(600))) == state_of(fitted)


def test_class_that_was_not_seen_raises():
    X, y = groups()
    flow = NormalizingFlow(conditional=True, **TINY | {"max_epochs": 0}).fit(X, y)
    with pytest.raises(ValueError, match=r"y must contain only classes seen in fit, .*, got 'medium'"):
        flow.sample(y="medium")


# ---------------------------------------------------------------- randomness, files, scikit-learn


def test_same_seed_gives_same_bits_and_global_streams_stay(fitted):
    numpy_state, torch_state = np.random.get_state()[1].tolist(), torch.get_rng_state()  # noqa: NPY002
    again = NormalizingFlow(**TINY).fit(ring())
    assert state_of(again) == state_of(fitted)
    np.testing.assert_array_equal(again.sample(5, random_state=1), fitted.sample(5, random_state=1))
    assert np.random.get_state()[1].tolist() == numpy_state  # noqa: NPY002
    assert torch.equal(torch.get_rng_state(), torch_state)
    assert state_of(NormalizingFlow(**TINY | {"random_state": 1}).fit(ring())) != state_of(fitted)


def test_scores_do_not_depend_on_the_rows_beside(fitted):
    X = ring(20)
    np.testing.assert_allclose([fitted.score_samples(row[None])[0] for row in X], fitted.score_samples(X), rtol=1e-9)


@pytest.mark.parametrize("way", ["pickle", "save"])
def test_restored_flow_is_the_same(fitted, way, tmp_path):
    if way == "pickle":
        other = pickle.loads(pickle.dumps(fitted))
    else:
        ae = skae.VAEGenerator(2, max_epochs=1, prior=NormalizingFlow(**TINY), random_state=0).fit(ring())
        skae.save(ae, tmp_path / "vae.skae")
        other, fitted = skae.load(tmp_path / "vae.skae").prior_, ae.prior_
    np.testing.assert_array_equal(other.score_samples(ring()), fitted.score_samples(ring()))
    np.testing.assert_array_equal(other.sample(3, random_state=0), fitted.sample(3, random_state=0))


def test_weights_of_another_network_raise(fitted):
    other = clone(fitted)
    vars(other).update({name: value for name, value in vars(fitted).items() if name.endswith("_") or name[0] == "_"})
    vars(other).pop("_network", None)
    other._architecture = (2, 0, 3, 10**6, 10**6, 10**6)  # as a file might claim
    with pytest.raises(ValueError, match="fit it again"):
        other.score(ring())


def test_search_over_a_pipeline():
    search = GridSearchCV(
        make_pipeline(StandardScaler(), NormalizingFlow(**TINY)), {"normalizingflow__max_epochs": [0, 3]}, cv=2
    ).fit(ring(200))
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


def test_numpy_numbers_are_accepted():
    params = {"n_transforms": np.uint8(1), "width": np.int64(8), "max_epochs": np.uint8(1), "batch_size": np.uint8(200)}
    flow = NormalizingFlow(**params, n_components=np.uint8(2), lr=np.float32(1e-3), random_state=0)
    assert flow.fit(torch.from_numpy(ring(300)).float()).score(ring(300).tolist()) > -5


def test_failed_fit_changes_nothing(fitted):
    flow = NormalizingFlow(**TINY).fit(ring())
    before = dict(vars(flow))
    flow.set_params(lr=1e30, validation_fraction=0)
    with pytest.raises((FloatingPointError, ValueError)):
        flow.fit(ring() * 2)
    assert {name: vars(flow)[name] for name in before if name not in ("lr", "validation_fraction")} == {
        name: value for name, value in before.items() if name not in ("lr", "validation_fraction")
    }


@pytest.mark.parametrize(
    ("params", "error", "message"),
    [
        ({"n_transforms": 0}, ValueError, "n_transforms == 0, must be >= 1"),
        ({"width": 2.0}, TypeError, "width must be an instance of int"),
        ({"n_components": "bic"}, TypeError, "n_components must be an instance of int"),
        ({"max_epochs": -1}, ValueError, "max_epochs == -1, must be >= 0"),
        ({"lr": 0}, ValueError, "lr == 0, must be > 0"),
        ({"validation_fraction": 1}, ValueError, "validation_fraction == 1, must be < 1"),
        ({"n_iter_no_change": 0}, ValueError, "n_iter_no_change == 0, must be >= 1"),
        ({"conditional": "class"}, ValueError, "conditional must be one of"),
        ({"device": "gpu"}, ValueError, "device must be 'auto', 'cpu'"),
        ({"conditional": True}, ValueError, "conditional=True requires y"),
    ],
)
def test_parameters_are_checked(params, error, message):
    with pytest.raises(error, match=message):
        NormalizingFlow(**TINY | params).fit(ring(30))


@pytest.mark.parametrize("X_std", [np.ones((30, 1)), -np.ones((30, 2)), np.full((30, 2), np.nan)], ids=str)
def test_noise_of_another_shape_or_sign_raises(X_std):
    with pytest.raises(ValueError, match="X_std"):
        NormalizingFlow(**TINY).fit(ring(30), X_std=X_std)


def test_missing_zuko_raises_with_remedy(monkeypatch):
    imported = builtins.__import__

    def without(name, *args, **kwargs):
        if name.startswith("zuko"):
            raise ImportError(name)
        return imported(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    for fit in (
        lambda: NormalizingFlow(**TINY).fit(ring(30)),
        lambda: skae.VAEGenerator(2, prior="flow").fit(ring(30)),
        lambda: skae.VAEGenerator(2, prior="auto").fit(ring(30)),
        lambda: skae.OutlierDetector(density="flow").fit(ring(30)),
    ):
        with pytest.raises(ImportError, match=r'pip install "skae\[flow\]"'):
            fit()
