"""The README's figures on a part of the data; `examples/benchmarks/quality.py` computes all of them."""

import numpy as np
import pytest
from sklearn import datasets
from sklearn.decomposition import PCA
from sklearn.model_selection import train_test_split
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import StandardScaler

from skae import AutoencoderTransformer


def share(ae, train, test):
    pca = PCA(ae.n_components, random_state=0).fit(train)
    pca_error = ((pca.inverse_transform(pca.transform(test)) - test) ** 2).mean()
    return -ae.fit(train).score(test) / pca_error


@pytest.mark.slow
@pytest.mark.parametrize(("n_components", "goal"), [(4, 0.50), (8, 0.45), (16, 0.52)])
def test_digits(n_components, goal):
    X, y = datasets.load_digits(return_X_y=True)
    shares = []
    for seed in range(2):
        A, B, y_a, y_b = train_test_split(X, y, test_size=0.3, random_state=seed)
        ae = AutoencoderTransformer(n_components, random_state=seed)
        shares.append(share(ae, A, B))
        if n_components == 8:
            pca = PCA(8, random_state=0).fit(A)
            ours = KNeighborsClassifier(5).fit(ae.transform(A), y_a).score(ae.transform(B), y_b)
            theirs = KNeighborsClassifier(5).fit(pca.transform(A), y_a).score(pca.transform(B), y_b)
            assert ours > theirs
    assert np.mean(shares) <= goal


@pytest.mark.slow
@pytest.mark.parametrize("name", ["iris", "wine", "breast_cancer", "diabetes", "linnerud"])
def test_never_worse_than_pca_on_small_tables(name):
    X = getattr(datasets, f"load_{name}")().data
    for n_components in (2, 5):
        if n_components >= X.shape[1]:
            continue
        shares = []
        for seed in range(100, 110):
            A, B = train_test_split(X, test_size=0.25, random_state=seed)
            scaler = StandardScaler().fit(A)
            ae = AutoencoderTransformer(n_components, random_state=seed)
            shares.append(share(ae, scaler.transform(A), scaler.transform(B)))
        assert np.mean(shares) <= 1.02
