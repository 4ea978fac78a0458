"""shap: which features move a prediction made from codes, and which ones make a sample anomalous."""

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skae import AutoencoderTransformer

AE = AutoencoderTransformer(3, max_epochs=5, module__hidden_layer_sizes=(8,), random_state=0)


def test_pipeline_of_an_autoencoder_and_a_classifier(client, cancer):
    X, y = cancer
    X = X.iloc[:, :8]
    pipe = make_pipeline(StandardScaler(), AE, LogisticRegression()).fit(X, y)
    background = X.to_numpy()[::30]
    explainer = client.KernelExplainer(pipe[1:].predict_proba, pipe[0].transform(X)[::30], link="identity")
    wanted = pipe.predict_proba(X.iloc[:5])
    found = explainer.shap_values(pipe[0].transform(X.iloc[:5]), silent=True)
    assert found.shape == (5, 8, 2)
    np.testing.assert_allclose(found.sum(axis=1) + explainer.expected_value, wanted, atol=1e-6)
    assert len(background) == len(explainer.data.data)


def test_feature_that_makes_a_sample_anomalous(client, cancer):
    X = StandardScaler().fit_transform(cancer[0].iloc[:, :10])
    ae = AE.fit(X)
    odd = X[:4].copy()
    for i, feature in enumerate((0, 3, 7, 9)):
        odd[i, feature] += 8
    explainer = client.explainers.Permutation(ae.score_samples, X[::57], seed=0)
    found = explainer(odd, silent=True)
    np.testing.assert_allclose(found.values.sum(axis=1) + found.base_values, ae.score_samples(odd), rtol=1e-4)
    assert (ae.score_samples(odd) < ae.score_samples(X[:4])).all()
    assert found.values.argmin(axis=1).tolist() == [0, 3, 7, 9]
