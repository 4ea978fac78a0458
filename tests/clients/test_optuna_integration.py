"""optuna-integration: a search over an autoencoder alone and in a pipeline, with and without pruning."""

import warnings

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skae import AutoencoderTransformer

AE = AutoencoderTransformer(max_epochs=3, module__hidden_layer_sizes=(8,), random_state=0)


@pytest.fixture
def search(client):
    import optuna

    def make(estimator, distributions, **params):
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        sampler = optuna.samplers.RandomSampler(seed=0)
        pruner = optuna.pruners.MedianPruner(n_startup_trials=1)
        study = optuna.create_study(direction="maximize", sampler=sampler, pruner=pruner)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            return client.OptunaSearchCV(estimator, distributions, cv=2, study=study, random_state=0, **params)

    return make


def test_search_over_a_pipeline(search, cancer):
    from optuna.distributions import FloatDistribution, IntDistribution

    X, y = cancer
    names = "autoencodertransformer__n_components", "autoencodertransformer__lr"
    distributions = dict(zip(names, (IntDistribution(1, 8), FloatDistribution(1e-4, 1e-2, log=True)), strict=True))
    pipe = make_pipeline(StandardScaler(), AE, LogisticRegression())
    found = search(pipe, distributions, n_trials=4, error_score="raise").fit(X, y)
    assert len(found.trials_) == 4
    assert found.best_score_ > 0.85
    assert found.best_params_ == {name: found.best_estimator_.get_params()[name] for name in names}
    wanted = pipe.set_params(**found.best_params_).fit(X, y)
    np.testing.assert_array_equal(found.predict(X), wanted.predict(X))


@pytest.mark.parametrize("enable_pruning", [False, True])
def test_search_by_reconstruction_error(search, digits, enable_pruning):
    """More components reconstruct better; with pruning each trial is trained step by step with `partial_fit`."""
    from optuna.distributions import CategoricalDistribution

    distributions = {"n_components": CategoricalDistribution([1, 12])}
    params = {"enable_pruning": enable_pruning, "max_iter": 3, "n_trials": 6, "error_score": "raise"}
    found = search(AE, distributions, **params).fit(digits[:300])
    assert found.best_params_ == {"n_components": 12}
    assert found.best_estimator_.transform(digits).shape == (len(digits), 12)
