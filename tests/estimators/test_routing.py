"""Parameters of `fit` in pipelines and searches."""

import numpy as np
import pytest
import sklearn
from guards import routing
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from skae import AutoencoderTransformer


class Spy(AutoencoderTransformer):
    """Keeps what `fit` was given; a class attribute, so that clones report too."""

    seen: list = []  # noqa: RUF012 - shared on purpose

    def __init__(self, n_components=2, *, max_epochs=1, random_state=0):
        super().__init__(n_components, max_epochs=max_epochs, random_state=random_state)

    def fit(self, X, y=None, *, X_target=None, X_val=None, X_val_target=None, sample_weight=None):
        Spy.seen.append({"X": X, "X_target": X_target, "X_val": X_val, "sample_weight": sample_weight})
        return super().fit(X, y, X_target=X_target, X_val=X_val, X_val_target=X_val_target, sample_weight=sample_weight)


@pytest.fixture
def seen():
    Spy.seen.clear()
    return Spy.seen


def test_pipeline_step_parameters(blobs, seen):
    pipe = Pipeline([("scale", StandardScaler()), ("ae", Spy())])
    pipe.fit(blobs, ae__sample_weight=np.arange(60.0), ae__X_val=blobs[:9])
    np.testing.assert_array_equal(seen[0]["sample_weight"], np.arange(60.0))
    np.testing.assert_array_equal(seen[0]["X_val"], blobs[:9])


@routing
def test_metadata_routing(blobs, seen):
    weight = np.arange(1.0, 61.0)
    with sklearn.config_context(enable_metadata_routing=True):
        ae = Spy().set_fit_request(sample_weight=True, X_target=True, X_val=False, X_val_target=False)
        ae.set_score_request(sample_weight=True, X_target=True)
        pipe = Pipeline([("ae", ae)])
        search = GridSearchCV(pipe, {"ae__n_components": [1, 2]}, cv=3)
        search.fit(blobs, sample_weight=weight, X_target=blobs[::-1])
    assert len(seen) == 7  # three folds of two settings, and the refit
    for call in seen:
        rows = [int(np.flatnonzero((blobs == row).all(1))[0]) for row in call["X"]]
        np.testing.assert_array_equal(call["sample_weight"], weight[rows])
        np.testing.assert_array_equal(call["X_target"], blobs[::-1][rows])
        assert call["X_val"] is None


def test_x_val_is_transformed_by_previous_steps(blobs, seen):
    with sklearn.config_context(enable_metadata_routing=True):
        ae = Spy().set_fit_request(X_val=True)
        pipe = Pipeline([("scale", StandardScaler()), ("ae", ae)], transform_input=["X_val"])
        pipe.fit(blobs, X_val=blobs[:20])
    np.testing.assert_allclose(seen[0]["X_val"], StandardScaler().fit(blobs).transform(blobs[:20]))


def test_x_val_replaces_held_out_samples(blobs):
    ae = AutoencoderTransformer(2, max_epochs=3, random_state=0)
    ae.fit(blobs[:40], X_val=blobs[40:])
    start = AutoencoderTransformer(2, max_epochs=0, random_state=0).fit(blobs[:40])
    assert ae.validation_loss_curve_[0] == pytest.approx(-start.score_samples(blobs[40:]).mean(), rel=1e-4)
    assert len(ae.net_.history) == 3
    last = AutoencoderTransformer(2, max_epochs=3, random_state=0, early_stopping=False)
    last.fit(blobs[:40], X_val=blobs[40:])
    assert last.best_epoch_ == 3
    assert last.validation_loss_curve_[-1] == pytest.approx(-last.score_samples(blobs[40:]).mean(), rel=1e-4)
