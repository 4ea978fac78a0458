"""ray: a grid search by joblib's backend of ray is equal to a serial one, and so is the recipe of the guide."""

import joblib
import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from skae import AutoencoderTransformer


@pytest.fixture(scope="module")
def cluster():
    import ray
    from ray.util.joblib import register_ray

    register_ray()
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    yield
    ray.shutdown()


def test_a_search_equals_a_serial_one_to_the_bit(cluster, cancer):
    X, y = cancer
    ae = AutoencoderTransformer(max_epochs=2, module__hidden_layer_sizes=(8,), random_state=0)
    pipe = make_pipeline(ae, LogisticRegression(max_iter=500))

    def search():
        grid = {"autoencodertransformer__n_components": [2, 4]}
        return GridSearchCV(pipe, grid, cv=2, error_score="raise").fit(X, y)

    serial = search()
    with joblib.parallel_config("ray"):
        found = search()
    for name in ("split0_test_score", "split1_test_score"):
        np.testing.assert_array_equal(found.cv_results_[name], serial.cv_results_[name])
    np.testing.assert_array_equal(found.predict_proba(X), serial.predict_proba(X))
