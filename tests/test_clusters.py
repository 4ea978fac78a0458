"""Searches and inference by two processes of dask: equal to those of one, to the bit."""

import os

import dask
import dask.array as da
import joblib
import numpy as np
import pytest
from distributed import Client, LocalCluster
from guards import HANGS
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from skae import AutoencoderTransformer


@pytest.mark.slow
def test_two_processes_give_the_bits_of_one(digits, monkeypatch):
    y = np.arange(len(digits)) % 3
    ae = AutoencoderTransformer(max_epochs=2, module__hidden_layer_sizes=(8,), random_state=0)
    pipe = make_pipeline(ae, LogisticRegression(max_iter=500))

    def search():
        grid = {"autoencodertransformer__n_components": [2, 4]}
        return GridSearchCV(pipe, grid, cv=2, error_score="raise").fit(digits, y)

    serial = search()
    patient = {"distributed.comm.timeouts.connect": HANGS, "distributed.comm.timeouts.tcp": HANGS}
    local = {"n_workers": 2, "threads_per_worker": 1, "host": "127.0.0.1", "dashboard_address": None}
    with dask.config.set(patient), LocalCluster(**local) as cluster, Client(cluster, timeout=HANGS) as client:
        with joblib.parallel_config("dask"):
            found = search()
        for name in ("split0_test_score", "split1_test_score"):
            np.testing.assert_array_equal(found.cv_results_[name], serial.cv_results_[name])
        np.testing.assert_array_equal(found.predict_proba(digits), serial.predict_proba(digits))

        monkeypatch.setattr("skae._data.dask_lazy.hold_budget", lambda: 1000)
        fitted = found.best_estimator_[0]
        rows = da.from_array(digits, chunks=(300, 64))
        for method in ("transform", "reconstruct", "score_samples"):
            lazy = getattr(fitted, method)(rows)
            assert isinstance(lazy, da.Array)
            np.testing.assert_array_equal(lazy.compute(), getattr(fitted, method)(digits), strict=True)
        where = fitted.transform(rows).map_blocks(lambda Z: np.full(Z.shape, os.getpid()), dtype=int)
        assert {*where.compute().ravel().tolist()} <= {*client.run(os.getpid).values()}
