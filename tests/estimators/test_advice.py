"""Warnings of `fit` about data that probably do not suit the model."""

import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_iris, load_wine
from sklearn.decomposition import PCA
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skae import AutoencoderTransformer, ConvAutoencoder, Reconstructor, VAEGenerator

FIT = {"max_epochs": 1, "random_state": 0, "module__hidden_layer_sizes": (4,)}
TARGET = "y has the shape of X, .*, and is ignored.*X_target=y"


def ae(**params):
    return AutoencoderTransformer(2, **FIT | params)


@pytest.fixture
def pair():
    rng = np.random.default_rng(0)
    clean = rng.normal(size=(20, 4))
    return clean + 0.1 * rng.normal(size=clean.shape), clean


@pytest.mark.parametrize(
    "convert", [np.asarray, pd.DataFrame, np.ndarray.tolist, list], ids=["array", "frame", "lists", "rows"]
)
def test_target_as_y_warns(pair, convert):
    noisy, clean = pair
    with pytest.warns(UserWarning, match=TARGET) as warned:
        model = ae().fit(noisy, convert(clean))
    assert warned[0].filename == __file__
    np.testing.assert_array_equal(model.transform(noisy), ae().fit(noisy).transform(noisy))
    for call in (
        lambda: ae().partial_fit(noisy, convert(clean)),
        lambda: ae().fit_transform(noisy, convert(clean)),
        lambda: model.score(noisy, convert(clean)),
        lambda: Reconstructor(ae()).fit(noisy, convert(clean)),
        lambda: make_pipeline(StandardScaler(), ae()).fit(noisy, convert(clean)),
    ):
        with pytest.warns(UserWarning, match=TARGET):
            call()


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors")
def test_nested_tensor_as_y_is_ignored(pair):
    X, _ = pair
    y = torch.nested.nested_tensor([torch.zeros(2), torch.zeros(3)])  # has no shape to ask for
    ae().fit(X, y).score(X, y)
    ae().partial_fit(X, y)


def test_target_as_y_warns_for_all_estimators(pair):
    images = np.random.default_rng(0).normal(size=(12, 6, 6))
    conv = ConvAutoencoder(2, max_epochs=1, module__channels=(3,))
    with pytest.warns(UserWarning, match=r"\(12, 6, 6\)"):
        conv.fit(images, images + 1)
    lists = [image[: 2 + i % 4] for i, image in enumerate(images)]
    with pytest.warns(UserWarning, match=r"\(12, 5, 6\)"):
        AutoencoderTransformer(2, module="tcn", module__channels=4, max_epochs=1).fit(lists, [x + 1 for x in lists])
    vae = VAEGenerator(2, **FIT | {"max_epochs": 3})
    with pytest.warns(UserWarning, match=TARGET):
        vae.fit(*pair)
    for call in (vae.score, vae.score_samples):
        with pytest.warns(UserWarning, match=TARGET):
            call(*pair)


def test_other_y_does_not_warn(pair):
    noisy, clean = pair
    model = ae().fit(noisy, noisy)  # what happens without it
    model.fit(noisy, clean[:, :2])
    model.fit(noisy, clean[:, 0])
    model.fit(noisy, list("ab") * 10)
    model.fit(noisy, clean, X_target=clean)
    model.score(noisy, clean, X_target=clean)
    # Real targets, as many as there are features, are what the decoder is conditioned on.
    vae = VAEGenerator(2, conditional="targets", **FIT | {"max_epochs": 3}).fit(noisy, clean)
    assert vae.sample(2, y=clean[:2], random_state=0).shape == (2, 4)
    vae.score(noisy, clean)


@pytest.mark.parametrize("factor", [1e2, 1e6])
def test_dominating_column_warns(factor):
    X = np.random.default_rng(0).normal(size=(60, 4)) * [1, 1, factor, 1]
    for model in (ae(), VAEGenerator(2, **FIT | {"max_epochs": 3})):
        with pytest.warns(
            UserWarning, match=r"More than 99.9 % of the variance of X lies in column 2: .*StandardScaler"
        ):
            model.fit(X)
    with pytest.warns(UserWarning, match="column 'c'"):
        ae().partial_fit(pd.DataFrame(X, columns=list("abcd")))
    X[::3, 2] = np.nan
    with pytest.warns(UserWarning, match="column 2"):
        ae(missing="mask").fit(X)
    make_pipeline(StandardScaler(), ae(missing="mask")).fit(X)


ORDINARY = {
    "iris": lambda: load_iris().data,
    "wine": lambda: load_wine().data,
    "cancer": lambda: load_breast_cancer().data,
    "diabetes": lambda: load_diabetes().data,
    "digits": lambda: load_digits().data[:200],
    "constant": lambda: np.full((60, 3), 0.1),
    "one column": lambda: np.arange(60.0)[:, None],
    "one that varies": lambda: np.column_stack([np.full(60, 0.1), np.arange(60.0), np.full(60, 1e9 + 0.1)]),
    "levels": lambda: np.random.default_rng(0).normal(size=(60, 3)) + np.array([0, 1e6, -1e9]),
    "scales": lambda: np.random.default_rng(0).normal(size=(200, 3)) * [1, 1, 20],
    "an outlier": lambda: np.vstack([np.random.default_rng(0).normal(size=(80, 3)), [0, 1e6, 0]]),
    "a rare flag": lambda: np.column_stack([np.arange(100.0) % 10 == 0, np.arange(100.0) % 7 / 7]),
    "few rows": lambda: np.random.default_rng(0).normal(size=(20, 3)) * [1, 1, 1e6],
    "images": lambda: np.random.default_rng(0).normal(size=(60, 3, 3)) * [1, 1, 1e6],
}


@pytest.mark.parametrize("name", ORDINARY)
def test_ordinary_data_do_not_warn(name):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ae().fit(ORDINARY[name]())


def test_flags_and_rounding_do_not_warn():
    rng = np.random.default_rng(0)
    flags = np.c_[rng.integers(0, 2, 1500), np.arange(1500) == 7].astype(float)
    q = rng.normal(size=300)
    rounded = np.c_[q, np.where(q > 0, 0.3, 0.1 * 3)]
    for X in (flags, rounded, PCA().fit_transform(np.c_[q, 9 / 5 * q + 32])):
        AutoencoderTransformer(1, max_epochs=0, random_state=0).fit(X)
