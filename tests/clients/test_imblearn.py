"""imbalanced-learn: samplers before and after an autoencoder, in its own pipeline."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.preprocessing import StandardScaler

from skae import AutoencoderTransformer


@pytest.fixture
def rare(cancer):
    """Thirty malignant samples to 357 benign ones."""
    X, y = cancer
    kept = np.r_[np.flatnonzero(y == 0)[:30], np.flatnonzero(y == 1)]
    return X.iloc[kept], y.iloc[kept]


@pytest.mark.parametrize("oversampled_codes", [False, True])
def test_smote_and_an_autoencoder(rare, oversampled_codes):
    from imblearn.over_sampling import SMOTE
    from imblearn.pipeline import make_pipeline

    X, y = rare
    ae = AutoencoderTransformer(5, max_epochs=10, module__hidden_layer_sizes=(16,), random_state=0)
    smote, classifier = SMOTE(random_state=0), LogisticRegression(max_iter=1000)
    order = [ae, smote] if oversampled_codes else [smote, ae]
    pipe = make_pipeline(StandardScaler(), *order, classifier)
    assert cross_val_score(pipe, X, y, cv=3, scoring="balanced_accuracy").mean() > 0.85
    pipe.fit(X, y)
    # By hand: at fit samples are added, at prediction they are not.
    scaler = StandardScaler().fit(X)
    if oversampled_codes:
        ae.fit(scaler.transform(X))
        wanted = classifier.fit(*smote.fit_resample(ae.transform(scaler.transform(X)), y))
    else:
        more, labels = smote.fit_resample(scaler.transform(X), y)
        assert len(more) == 2 * 357
        wanted = classifier.fit(ae.fit(more).transform(more), labels)
    np.testing.assert_array_equal(pipe.predict_proba(X), wanted.predict_proba(ae.transform(scaler.transform(X))))
