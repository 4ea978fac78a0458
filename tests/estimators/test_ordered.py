"""Ordered codes: prefixes, the variance that they explain, truncated estimators, numbers of components by a share."""

import pickle

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import torch
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KernelDensity
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

import skae
from skae import AutoencoderTransformer, ConvAutoencoder, VAEGenerator, truncate
from skae.bottlenecks import Nested
from skae.metrics import explained_variance
from skae.nn import MLP, EncoderDecoder

QUICK = {"bottleneck": "nested", "max_epochs": 1, "batch_size": 16, "random_state": 0}
SMALL = {"module__hidden_layer_sizes": (6,)}


def table(n=60, d=6):
    rng = np.random.default_rng(0)
    return rng.standard_normal((n, 3)) @ rng.standard_normal((3, d)) + 0.1 * rng.standard_normal((n, d)) + 5


def holes():
    X = table()
    return np.where(np.random.default_rng(1).random(X.shape) < 0.2, np.nan, X)


def images(*shape):
    return np.random.default_rng(0).random((24, *shape)).cumsum(1).cumsum(2)


def sequences():
    rng = np.random.default_rng(0)
    X = np.sin(np.arange(7)[:, None] / 2 + 6 * rng.random((24, 1, 2)))
    X[::3, 5:] = np.nan
    return X


def conv(**params):
    return ConvAutoencoder(4, module__channels=(3, 4), **SMALL, **QUICK, **params)


def ae(**params):
    return AutoencoderTransformer(4, **QUICK, **(params if "module" in params else SMALL | params))


def vae(**params):
    return VAEGenerator(4, **QUICK, **{"prior": None} | (params if "module" in params else SMALL | params))


CLASSES, TARGETS = np.arange(60) // 2 % 3, np.sin(np.arange(120)).reshape(60, 2)
# Estimator, X, y.
CASES = {
    "table": lambda: (ae(), table(), None),
    "start": lambda: (ae().set_params(max_epochs=0), table(), None),
    "no skip": lambda: (ae(module__linear_skip=False, module__normalization="batch"), table(), None),
    "no hidden layer": lambda: (ae(module__hidden_layer_sizes=()), table(), None),
    "missing": lambda: (ae(missing="mask", noise="masking_noise"), holes(), None),
    "bernoulli": lambda: (ae(loss="bernoulli"), table().clip(0, 10) / 10, None),
    "scales": lambda: (vae(loss="gaussian", loss__per_feature=True), table(), None),
    "classes": lambda: (vae(conditional=True, prior="mixture"), table(), CLASSES),
    "targets": lambda: (vae(conditional=True, prior="mixture"), table(), TARGETS),
    "images": lambda: (conv(), images(6, 5), None),
    "spatial": lambda: (conv(module__dense=False), images(6, 5), None),
    "spatial, dense decoder": lambda: (conv(module__dense=False, module__decoder="dense"), images(6, 5), None),
    "spatial classes": lambda: (
        vae(module="conv", module__channels=(3,), module__dense=False, conditional=True, prior="mixture"),
        images(6, 6),
        CLASSES[:24],
    ),
    "gru": lambda: (ae(module="gru", module__hidden_size=4), sequences(), None),
    "gru classes": lambda: (vae(module="gru", module__hidden_size=4, conditional=True), sequences(), CLASSES[:24]),
    "tcn": lambda: (ae(module="tcn", module__channels=4, module__n_layers=2), sequences(), None),
}
every = pytest.mark.parametrize("name", CASES)


def fitted(name):
    est, X, y = CASES[name]()
    kept = np.arange(len(X)) % 4 > 0
    rows = [X[kept], X[~kept], *([None, None] if y is None else [y[kept], y[~kept]])]
    conditions = {} if y is None else {"y_val": rows[3]}
    return est.fit(rows[0], rows[2], X_val=rows[1], **conditions), rows[1], {} if y is None else {"y": rows[3]}


def prefix(est, X, k):
    """The first ``k`` components of codes, all positions of a spatial code."""
    return est.transform(X)[:, : k * est.module_.n_positions]


@every
def test_ratios_sum_to_explained_variance_of_prefixes(name):
    est, X, y = fitted(name)
    assert est.explained_variance_ratio_.shape == (4,)
    assert est.explained_variance_ratio_.dtype == np.float64
    for k in (1, 2, 4):
        X_hat = truncate(est, k).reconstruct(X, **y)  # sequences in their lengths
        explained = est.explained_variance_ratio_[:k].sum()
        np.testing.assert_allclose(explained, explained_variance(X, X_hat), atol=1e-5)
    np.testing.assert_allclose(explained, explained_variance(X, est.reconstruct(X, **y)), atol=1e-5)


@every
def test_truncated_estimators_have_the_same_prefixes_and_reconstructions(name):
    est, X, y = fitted(name)
    before = pickle.dumps(est.module_.state_dict())
    for k in (1, 3, 4):
        small, Z = truncate(est, k), prefix(est, X, k)
        np.testing.assert_allclose(small.transform(X), Z, rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(small.inverse_transform(Z, **y), est.inverse_transform(Z, **y), rtol=1e-4, atol=1e-4)
        np.testing.assert_array_equal(small.explained_variance_ratio_, est.explained_variance_ratio_[:k])
        assert small.n_components == k
        assert small.loss_curve_ == est.loss_curve_
    assert pickle.dumps(est.module_.state_dict()) == before
    if est.prior is not None:
        some = {} if not y else {"y": y["y"][0]}
        for small in (truncate(est, 3), truncate(truncate(est, 3), 1)):
            assert np.isfinite(small.sample(3, random_state=0, **some)).all()


@pytest.mark.parametrize("name", ["missing", "classes", "spatial", "gru"])
def test_truncated_estimators_are_trained_further(name):
    est, X, y = fitted(name)
    small = truncate(est, 3)
    small.set_params(warm_start=True).fit(X, *y.values())
    small.partial_fit(X, *y.values())
    assert small.n_components_ == 3 * est.module_.n_positions


def test_truncated_estimator_goes_through_files_and_pickles(tmp_path):
    est, X, _ = fitted("table")
    small = truncate(est, 2)
    skae.save(small, tmp_path / "small.skae")
    for again in (skae.load(tmp_path / "small.skae"), pickle.loads(pickle.dumps(small)), truncate(small, 2)):
        np.testing.assert_array_equal(again.transform(X), small.transform(X))
        np.testing.assert_array_equal(again.explained_variance_ratio_, small.explained_variance_ratio_)
        assert truncate(again, 1).transform(X).shape == (len(X), 1)


def test_truncated_estimator_shares_nothing():
    est = ae().set_params(bottleneck=Nested()).fit(table())
    small = truncate(est, np.uint8(2))
    small.set_params(bottleneck__full=0.9, warm_start=True).fit(table())
    assert (est.bottleneck.full, est.n_components, type(small.n_components)) == (0.2, 4, int)
    moments = small.net_.optimizer_.state_dict()["state"]
    for weight, state in zip(small.module_.parameters(), moments.values(), strict=True):
        assert state["exp_avg"].shape == weight.shape


@pytest.mark.parametrize("optimizer", ["sgd", "adamw", "lbfgs"])
def test_truncated_estimator_continues_with_any_optimizer(optimizer):
    small = truncate(ae(optimizer=optimizer).fit(table()), 2).set_params(warm_start=True)
    assert small.fit(table()).n_components_ == 2


def test_tuning_a_truncated_estimator_lowers_its_error(digits):
    est = AutoencoderTransformer(16, bottleneck="nested", max_epochs=5, random_state=0).fit(digits[:800])
    small = truncate(est, 4)
    before = small.score(digits[800:])
    small.set_params(warm_start=True, bottleneck="identity", max_epochs=5).fit(digits[:800])
    assert small.score(digits[800:]) > before
    assert not hasattr(small, "explained_variance_ratio_")


def test_prior_without_known_marginal_is_removed():
    small = truncate(vae(prior=KernelDensity()).fit(table()), 2)
    with pytest.raises(NotFittedError, match="fit again"):
        small.sample()


@pytest.mark.parametrize("covariance_type", ["full", "tied", "diag", "spherical"])
def test_prior_of_a_truncated_estimator_is_the_marginal(covariance_type):
    est = vae(prior=GaussianMixture(2, covariance_type=covariance_type)).fit(table())
    small = truncate(est, 2)
    codes = est.prior_.sample(4000)[0]
    means, covariance = codes[:, :2].mean(0), np.cov(codes[:, :2].T)
    drawn = small.prior_.sample(4000)[0]
    spread = np.sqrt(np.diag(covariance))
    assert np.abs((drawn.mean(0) - means) / spread).max() < 0.1
    assert np.abs((np.cov(drawn.T) - covariance) / np.outer(spread, spread)).max() < 0.15
    assert np.isfinite(small.prior_.score_samples(drawn)).all()


class Doubled(nn.Module):
    """A network whose hidden layer is as wide as two codes."""

    def __init__(self, input_shape, n_components):
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Linear(*input_shape, 2 * n_components), nn.Linear(2 * n_components, n_components)
        )
        self.decoder = nn.Linear(n_components, *input_shape)

    def encode(self, x):
        return self.encoder(x)

    def decode(self, z):
        return self.decoder(z)


HALVES = {"module__encoder": nn.Linear(6, 4), "module__decoder": nn.Linear(4, 6)}


@pytest.mark.parametrize(
    ("make", "k", "error", "message"),
    [
        (lambda: ae(), 5, ValueError, "n_components == 5, must be <= 4"),
        (lambda: ae(), 0, ValueError, "n_components == 0, must be >= 1"),
        (lambda: ae(), 2.0, TypeError, "n_components must be an instance of"),
        (lambda: ae().set_params(bottleneck=None), 2, ValueError, "bottleneck=Identity does not give: fit with"),
        (lambda: ae(module=MLP((6,), 4)), 2, ValueError, r"module=MLP\(...\) was built for 4 components"),
        (lambda: ae(module=EncoderDecoder, **HALVES), 2, ValueError, "module=EncoderDecoder cannot be truncated"),
        (
            lambda: ae(module=Doubled),
            2,
            ValueError,
            "module=Doubled cannot be truncated: .* Fit an estimator with n_comp",
        ),
    ],
)
def test_truncate_raises_for_unsupported_estimators(make, k, error, message, seeded):
    est = make().fit(table())
    with pytest.raises(error, match=message):
        truncate(est, k)


def test_truncate_asks_for_a_fitted_autoencoder():
    with pytest.raises(NotFittedError):
        truncate(ae(), 2)
    with pytest.raises(TypeError, match=r"got Pipeline\. For a pipeline or a search pass the autoencoder inside"):
        truncate(make_pipeline(ae()), 2)


# ------------------------------------------------------------------ prefixes


def test_prefixes_are_codes_with_zeros_for_the_rest():
    est = ae().fit(table())
    Z = est.transform(table())
    full = Z.copy()
    full[:, 2:] = 0
    expected = est.inverse_transform(full)
    for prefix in (Z[:, :2], torch.from_numpy(Z[:, :2]), pd.DataFrame(Z[:, :2])):
        np.testing.assert_array_equal(est.inverse_transform(prefix), expected)
    with pytest.raises(ValueError, match="codes with 4 columns, as returned by transform, or the first of them, got 5"):
        est.inverse_transform(np.zeros((2, 5)))
    with pytest.raises(ValueError, match="codes with 4 columns, as returned by transform, got 2"):
        ae().set_params(bottleneck=None).fit(table()).inverse_transform(Z[:, :2])


def test_prefixes_of_spatial_codes_are_channels():
    est = conv(module__dense=False, crop_size=4).fit([*images(6, 5)])
    maps = est.transform([*images(6, 5)[:2], images(9, 9)[0]])
    padded = [np.concatenate([z[:3], 0 * z[3:]]) for z in maps]
    for got, wanted in zip(est.inverse_transform([z[:3] for z in maps]), est.inverse_transform(padded), strict=True):
        np.testing.assert_array_equal(got, wanted)
    flat = maps[2][:3].reshape(1, -1)
    np.testing.assert_array_equal(est.inverse_transform(flat, size=9), est.inverse_transform(padded[2][None], size=9))
    with pytest.raises(ValueError, match="must have 36 columns for images of size"):
        est.inverse_transform(flat[:, :-1], size=9)
    for z in (maps[2][None].repeat(2, axis=1), np.zeros((1, 45))):
        with pytest.raises(ValueError, match="or its first channels, got"):
            est.inverse_transform(z, size=9)
    whole = conv(module__dense=False).fit(images(6, 5))
    with pytest.raises(ValueError, match="or the first of them, a multiple of 4, got 6"):
        whole.inverse_transform(np.zeros((1, 6)))


# ------------------------------------------------------------------ the variance that is explained


def test_ratios_of_a_fit_without_validation_are_those_of_the_training_rows():
    for est in (ae(early_stopping=False), ae(early_stopping=False).fit(table()).set_params(warm_start=True)):
        est.fit(table())
        np.testing.assert_allclose(
            est.explained_variance_ratio_.sum(), explained_variance(table(), est.reconstruct(table())), atol=1e-5
        )
    est.partial_fit(table()[:20])
    np.testing.assert_allclose(
        est.explained_variance_ratio_.sum(), explained_variance(table()[:20], est.reconstruct(table()[:20])), atol=1e-5
    )


def test_ratios_are_weighted_and_only_of_ordered_codes():
    weight = np.r_[np.full(30, 3.0), np.zeros(30)]
    est = ae(early_stopping=False).fit(table(), sample_weight=weight)
    explained = explained_variance(table()[:30], est.reconstruct(table()[:30]))
    np.testing.assert_allclose(est.explained_variance_ratio_.sum(), explained, atol=1e-5)
    assert not hasattr(est.set_params(bottleneck=None).fit(table()), "explained_variance_ratio_")


def test_constant_rows_explain_nothing():
    for loss in ("squared_error", "bernoulli"):
        est = ae(early_stopping=False, loss=loss).fit(np.full((20, 6), 0.3))
        assert (est.explained_variance_ratio_ == 0).all()


def test_many_components_are_measured_on_some_of_the_rows(monkeypatch):
    monkeypatch.setattr(skae.estimators._ordered, "_MOST_DECODED", 60)
    est = ae(early_stopping=False).fit(table())
    some = table()[::4]
    np.testing.assert_allclose(
        est.explained_variance_ratio_.sum(), explained_variance(some, est.reconstruct(some)), atol=1e-5
    )


# ------------------------------------------------------------------ n_components as a share


def test_smallest_sufficient_n_components_is_kept():
    X, new = table(200)[:150], table(200)[150:]
    est = ae().set_params(n_components=np.float64(0.9), prior="mixture").fit(X, X_val=new)
    k = est.n_components_
    explained = est.explained_variance_ratio_.cumsum()
    assert len(explained) == k == est.transform(X).shape[1] == len(est.get_feature_names_out())
    assert explained[-1] >= 0.9
    assert (explained[:-1] < 0.9).all()
    assert explained_variance(new, est.reconstruct(new)) >= 0.9
    assert est.get_params()["n_components"] == 0.9
    assert est.sample(2).shape == (2, 6)
    for more in (est.partial_fit(X), est.set_params(warm_start=True).fit(X)):
        assert more.n_components_ == k
    assert truncate(est, 1).n_components == 1
    assert clone(est).set_params(n_components=0.5).fit(X).explained_variance_ratio_.sum() > 0.5


def test_same_seed_finds_the_same_number_and_bits():
    first, second = (ae().set_params(n_components=0.8).fit(table()) for _ in range(2))
    np.testing.assert_array_equal(first.transform(table()), second.transform(table()))
    np.testing.assert_array_equal(first.explained_variance_ratio_, second.explained_variance_ratio_)


def test_shares_are_searched_over():
    pipe = make_pipeline(StandardScaler(), ae())
    grid = {"autoencodertransformer__n_components": [0.3, 0.8, 2]}
    search = GridSearchCV(pipe, grid, cv=2).fit(table())
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    best = search.best_estimator_[-1]
    assert best.n_components == search.best_params_["autoencodertransformer__n_components"]
    assert best.n_components_ == len(best.explained_variance_ratio_)


def test_unreached_share_keeps_all_components_and_warns():
    with pytest.warns(
        UserWarning, match=r"n_components=0.999: \d components explain -?0.\d+ of the variance of the held"
    ):
        est = ae(module__linear_skip=False).set_params(n_components=0.999).fit(table())
    assert est.n_components_ == len(est.explained_variance_ratio_) > 1


def test_unsupported_share_of_components_raises(seeded):
    with pytest.raises(
        ValueError, match=r"n_components=0\.9 is determined by fit, from which partial_fit can continue"
    ):
        ae().set_params(n_components=0.9).partial_fit(table())
    with pytest.raises(ValueError, match=r"n_components=0\.9 needs a dense code, and that of module='conv' is spatial"):
        conv(module__dense=False).set_params(n_components=0.9).fit(images(6, 5))
    with pytest.raises(ValueError, match=r"n_components=0\.9 needs a network that can be built for any number"):
        ae(module=MLP((6,), 4)).set_params(n_components=0.9).fit(table())
    with pytest.raises(TypeError, match=r"got 0\.9\. A fraction of the variance needs .*: bottleneck='nested'"):
        ae().set_params(n_components=0.9, bottleneck=None).fit(table())
    for value in (1.5, 1.0, 0.0, np.float32(2)):
        with pytest.raises(ValueError, match=r"an int of at least 1, or a fraction of the variance in \(0, 1\), got"):
            ae().set_params(n_components=value).fit(table())


@pytest.mark.parametrize(
    ("make", "X"),
    [
        (lambda: ae(module="gru", module__hidden_size=4, lr=0.05), np.linspace(-3, 3, 24)[:, None, None] + sequences()),
        (lambda: ae(missing="mask"), holes()),
        (conv, images(6, 5)),
        (lambda: ae(), scipy.sparse.csr_array(table())),
    ],
    ids=["sequences", "missing", "images", "sparse"],
)
def test_shares_of_other_data(make, X):
    est = make().set_params(n_components=0.3, max_epochs=8).fit(X)
    assert est.n_components_ == len(est.explained_variance_ratio_)
    assert est.explained_variance_ratio_.sum() >= 0.3
