"""mlflow: what autologging records, and models that are saved with skops."""

import importlib
import warnings

import matplotlib.pyplot as plt
import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import skae
from skae import AutoencoderTransformer, ConvAutoencoder, Reconstructor, VAEGenerator
from skae.plotting import LatentDisplay

SMALL = {"max_epochs": 2, "module__hidden_layer_sizes": (8,), "random_state": 0}
ESTIMATORS = {
    "transformer": AutoencoderTransformer(2, **SMALL),
    "mixture": AutoencoderTransformer(2, prior="mixture", **SMALL),
    "missing": AutoencoderTransformer(2, missing="mask", **SMALL),
    "vae": VAEGenerator(2, prior="mixture", **SMALL),
    "reconstructor": Reconstructor(AutoencoderTransformer(2, **SMALL)),
}


@pytest.fixture(scope="module")
def tracking(tmp_path_factory):
    """A store of runs in a file."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        mlflow = pytest.importorskip("mlflow")
        for name in ("pyfunc", "sklearn"):  # which are imported where they are first used
            importlib.import_module(f"mlflow.{name}")
    folder = tmp_path_factory.mktemp("mlflow")
    mlflow.set_tracking_uri(f"sqlite:///{folder}/runs.db")
    mlflow.create_experiment("tests", artifact_location=(folder / "files").as_uri())
    mlflow.set_experiment("tests")
    return mlflow


@pytest.fixture
def runs(tracking):
    """The names of the estimators that autologging has recorded since the test began."""
    tracking.sklearn.autolog(log_models=False, log_datasets=False, silent=True)
    known = set(tracking.search_runs()["run_id"])

    def new():
        found = tracking.search_runs()
        found = found[~found["run_id"].isin(known)]
        return sorted(found["tags.estimator_name"]) if len(found) else []

    yield new
    tracking.sklearn.autolog(disable=True)


@pytest.mark.parametrize("name", ESTIMATORS)
def test_autologging_ignores_inner_estimators(runs, name, digits):
    """Autologging records scikit-learn's own estimators: what an autoencoder uses inside is none of the user's."""
    X = digits[:120, 20:36]
    ESTIMATORS[name].fit(X)
    getattr(ESTIMATORS[name], "transform", str)(X)
    assert runs() == []


def test_autologging_ignores_parts_of_conv_autoencoder(runs, digits):
    ConvAutoencoder(2, module__channels=(2,), **SMALL).fit(digits[:60].reshape(-1, 8, 8))
    assert runs() == []


def test_autologging_ignores_plots(runs, digits):
    ae = AutoencoderTransformer(3, **SMALL).fit(digits[:60])
    known = runs()
    LatentDisplay.from_estimator(ae, digits[:60])
    plt.close("all")
    assert runs() == known


def test_one_run_for_a_pipeline_and_for_a_search(runs, digits):
    X, y = digits[:120], np.arange(120) % 2
    pipe = make_pipeline(StandardScaler(), ESTIMATORS["mixture"], LogisticRegression()).fit(X, y)
    assert runs() == ["Pipeline"]
    GridSearchCV(pipe, {"autoencodertransformer__n_components": [2, 3]}, cv=2).fit(X, y)
    assert [name for name in runs() if name != "Pipeline"] == ["GridSearchCV"]


@pytest.mark.parametrize("name", ESTIMATORS)
def test_model_saved_with_skops(tracking, name, digits, tmp_path):
    """The trusted types are all that is to be listed."""
    X = digits[:120, 20:36]
    pipe = make_pipeline(StandardScaler(), ESTIMATORS[name]).fit(X)
    tracking.sklearn.save_model(
        pipe,
        tmp_path / "model",
        serialization_format="skops",
        skops_trusted_types=list(skae.persistence.TRUSTED_TYPES),
        pip_requirements=["skae"],
    )
    again = tracking.sklearn.load_model((tmp_path / "model").as_uri())
    np.testing.assert_array_equal(again.transform(X), pipe.transform(X))


def test_model_that_predicts_is_served(tracking, digits, tmp_path):
    X, y = digits[:120], np.arange(120) % 2
    pipe = make_pipeline(ESTIMATORS["transformer"], LogisticRegression()).fit(X, y)
    trusted = {"serialization_format": "skops", "skops_trusted_types": list(skae.persistence.TRUSTED_TYPES)}
    tracking.sklearn.save_model(pipe, tmp_path / "model", pip_requirements=["skae"], **trusted)
    served = tracking.pyfunc.load_model((tmp_path / "model").as_uri())
    np.testing.assert_array_equal(served.predict(X), pipe.predict(X))


def test_curves_by_the_callback_of_the_guide(recipe):
    mlflow, history = recipe["mlflow"], recipe["ae"].net_.history
    run = mlflow.get_run(recipe["mlflow_run"].info.run_id)
    assert run.info.status == "FINISHED"
    assert run.data.params == {"n_components": "8", "max_epochs": "12"}
    for name in ("train_loss", "valid_loss", "largest_weight", "rate"):
        logged = [metric.value for metric in mlflow.MlflowClient().get_metric_history(run.info.run_id, name)]
        np.testing.assert_allclose(logged, history[:, name])
    assert len(history) == 12
