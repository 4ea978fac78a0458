"""Small fitted estimators."""

import numpy as np
import pytest
from sklearn.datasets import load_digits
from stubs import photographs, with_counts

import skae
from skae.bottlenecks import FSQ, Rounded


@pytest.fixture(scope="session")
def table():
    """Rows of a table, with integers without bounds and several qualities."""
    X = load_digits().data[:400]
    est = skae.AutoencoderTransformer(5, bottleneck=Rounded(qualities=(-2, 4)), max_epochs=2, random_state=0)
    return with_counts(est.fit(X), X)


@pytest.fixture(scope="session")
def levels():
    """Rows of a table, with levels."""
    X = load_digits().data[:400].astype(np.float32)
    est = skae.AutoencoderTransformer(4, bottleneck=FSQ((8, 5, 5, 3)), max_epochs=2, random_state=0)
    return with_counts(est.fit(X), X)


@pytest.fixture(scope="session")
def images():
    """A list of gray images of uint8, of three sizes, and an estimator for images of any size."""
    X = photographs(7, [(16, 16), (19, 24), (24, 17)])
    est = skae.ConvAutoencoder(
        3,
        bottleneck=Rounded(qualities=(-4, 4), width=8),
        module__dense=False,
        module__channels=(8, 8),
        crop_size=16,
        n_crops=16,
        max_epochs=2,
        random_state=0,
    )
    return with_counts(est.fit(X), np.stack(X[::3])), X


@pytest.fixture(scope="session")
def stack():
    """An estimator for images of any size that was fitted on a stack, with levels."""
    X = load_digits().images[:200]
    est = skae.ConvAutoencoder(
        2, bottleneck=FSQ((5, 4)), module__dense=False, module__channels=(8,), max_epochs=2, random_state=0
    )
    return with_counts(est.fit(X), X)
