"""skrub: tables of mixed columns, and an autoencoder for some of the columns."""

import numpy as np
import pandas as pd
import pytest
from sklearn.impute import SimpleImputer
from sklearn.linear_model import Ridge
from sklearn.model_selection import cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skae import AutoencoderTransformer


@pytest.fixture
def employees():
    """Categories, numbers, dates and text, with missing values, and what they earn."""
    rng = np.random.default_rng(0)
    n = 200
    grade, years = rng.integers(1, 6, n), rng.uniform(0, 30, n)
    X = pd.DataFrame(
        {
            "department": pd.Categorical(rng.choice(["police", "parks", "fire", None], n)),
            "title": [f"{rank} officer" for rank in rng.choice(["junior", "senior", "chief", "deputy"], n)],
            "grade": grade.astype(float),
            "years": np.where(rng.random(n) < 0.1, np.nan, years),
            "hired": pd.Timestamp("2020-01-01") - pd.to_timedelta(np.round(years * 365), unit="D"),
            "full_time": rng.random(n) < 0.8,
        }
    )
    return X, 20 * grade + years + rng.normal(size=n)


def ae(**params):
    return AutoencoderTransformer(3, max_epochs=5, module__hidden_layer_sizes=(8,), random_state=0, **params)


def test_table_vectorizer_before_an_autoencoder(client, employees):
    X, y = employees
    encoder = make_pipeline(client.TableVectorizer(), SimpleImputer(), StandardScaler(), ae(), Ridge())
    found = cross_val_predict(encoder, X, y, cv=3)
    assert found.shape == y.shape
    assert np.isfinite(found).all()
    codes = encoder[:-1].set_output(transform="pandas").fit_transform(X)
    assert codes.columns.tolist() == [f"autoencodertransformer{i}" for i in range(3)]
    assert codes.index.equals(X.index)


def test_missing_values_of_a_table(client, employees):
    """What the vectorizer leaves missing, an autoencoder may take as missing."""
    table = client.TableVectorizer().fit_transform(employees[0])
    assert table.isna().to_numpy().any()
    table = StandardScaler().set_output(transform="pandas").fit_transform(table)
    filled = ae(missing="mask").fit(table).reconstruct(table)
    assert np.isfinite(filled).all()
    assert filled.shape == table.shape


def test_autoencoder_for_some_columns(client, cancer):
    X, _ = cancer
    errors = [name for name in X if name.endswith("error")]
    estimator = make_pipeline(StandardScaler(), ae()).set_output(transform="pandas")
    found = client.ApplyToCols(estimator, cols=errors).fit_transform(X)
    others = [name for name in X if name not in errors]
    pd.testing.assert_frame_equal(found[others], X[others])
    assert set(found) - set(others) == {f"autoencodertransformer{i}" for i in range(3)}
    np.testing.assert_array_equal(found.drop(columns=others), estimator.fit_transform(X[errors]))
