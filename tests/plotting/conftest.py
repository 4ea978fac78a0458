"""Fitted estimators to draw, and a clean desk."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA

from skae import AutoencoderTransformer


@pytest.fixture(autouse=True)
def figures_are_closed():
    yield
    for number in plt.get_fignums():
        figure = plt.figure(number)
        figure.canvas.draw()  # what cannot be drawn, or warns when it is, fails here
        plt.close(figure)


@pytest.fixture(scope="session")
def classes():
    return load_digits().target[:200]


@pytest.fixture(scope="session")
def few(digits):
    return digits[:200]


@pytest.fixture(scope="session")
def autoencoder(few):
    return AutoencoderTransformer(3, max_epochs=2, random_state=0).fit(few)


@pytest.fixture(scope="session")
def pca(few):
    return PCA(3).fit(few)


@pytest.fixture
def no_matplotlib(monkeypatch):
    """As if matplotlib were not installed."""
    monkeypatch.setitem(__import__("sys").modules, "matplotlib.pyplot", None)


@pytest.fixture
def axes():
    return plt.subplots()[1]


@pytest.fixture(scope="session")
def codes():
    return np.random.default_rng(0).normal(size=(50, 2)) * [3, 1]
