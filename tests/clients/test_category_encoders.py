"""category_encoders: categories as numbers, with and without the target, before an autoencoder."""

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skae import AutoencoderTransformer


@pytest.mark.parametrize("encoder", ["TargetEncoder", "OneHotEncoder", "OrdinalEncoder"])
def test_encoded_categories(client, encoder):
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 200)
    X = pd.DataFrame({"size": rng.normal(y, 1.0), "age": rng.uniform(0, 9, 200)})
    for name in ("color", "shape"):
        X[name] = np.where(rng.random(200) < 0.8, np.array(["no", "yes"])[y], rng.choice(["no", "yes", "rare"], 200))
    ae = AutoencoderTransformer(2, max_epochs=5, module__hidden_layer_sizes=(8,), random_state=0)
    encode = getattr(client, encoder)(cols=["color", "shape"])
    pipe = make_pipeline(encode, StandardScaler(), ae, LogisticRegression())
    assert cross_val_score(pipe, X, y, cv=3).mean() > 0.75
    fitted = pipe.fit(X, y)
    table = fitted[:-2].transform(X)
    np.testing.assert_array_equal(fitted[-2].transform(table), ae.fit(table).transform(table))
    # As a DataFrame, whose names the autoencoder keeps.
    encoded = encode.fit_transform(X, y)
    assert ae.fit(encoded).feature_names_in_.tolist() == encoded.columns.tolist()
    assert list(ae.set_output(transform="pandas").transform(encoded).index) == list(X.index)
