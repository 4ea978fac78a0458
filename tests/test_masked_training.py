"""Training with masks: losses of hidden values, in validation and with `hidden_only` in training."""

import numpy as np
import pytest
import torch
from sklearn.datasets import load_wine
from sklearn.impute import KNNImputer
from sklearn.preprocessing import StandardScaler
from torch import nn

from skae import AutoencoderTransformer, ConvAutoencoder, Reconstructor
from skae._module.autoencoder import Autoencoder
from skae.bottlenecks import Identity
from skae.losses import Loss, SquaredError
from skae.noise import BlockMasking, Compose, GaussianNoise, MaskingNoise


def table(n=300, d=6, noise=0.1, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, 2)) @ rng.normal(size=(2, d)) + noise * rng.normal(size=(n, d))


def small(n_components=6, **params):
    defaults = {"max_epochs": 2, "random_state": 0, "module__hidden_layer_sizes": (16,)}
    return AutoencoderTransformer(n_components, **defaults | params)


@pytest.mark.parametrize("missing", ["error", "mask"])
@pytest.mark.parametrize("noise", [MaskingNoise(0.3), Compose(GaussianNoise(0.01), MaskingNoise(0.5))], ids=repr)
def test_initial_loss_of_hidden_values_is_that_of_feature_means(missing, noise):
    X = table(3000)
    ae = small(missing=missing, noise=noise, max_epochs=0).fit(X)
    # With all components PCA is the identity. By all values its loss would be the share of hidden ones of this.
    assert ae.validation_loss_curve_[0] == pytest.approx(X.var(0).sum(), rel=0.25)


def test_validation_without_mask_includes_all_values():
    ae = small(noise=GaussianNoise(0.1), max_epochs=0).fit(table(3000))
    assert ae.validation_loss_curve_[0] == pytest.approx(6 * 0.1**2 * ae.module_.scale**2, rel=0.2)


def test_overcomplete_imputation_matches_knn():
    X = StandardScaler().fit_transform(load_wine().data)
    holes = np.random.default_rng(0).random(X.shape) < 0.2
    holed = np.where(holes, np.nan, X)

    def error(filled):
        return np.sqrt(((filled - X)[holes] ** 2).mean())

    ae = AutoencoderTransformer(missing="mask", noise=MaskingNoise(), random_state=0)
    reconstructor = Reconstructor(ae, keep_observed=True)
    found = error(reconstructor.fit_transform(holed))
    assert reconstructor.estimator_.best_epoch_ > 0
    assert found < 0.85 * error(np.where(holes, np.nanmean(holed, axis=0), X))
    assert found < 1.1 * error(KNNImputer().fit_transform(holed))


def test_block_masking_validates_hidden_values():
    X = np.random.default_rng(0).random((60, 6, 6)) + np.linspace(0, 3, 6)
    ae = ConvAutoencoder(40, noise=BlockMasking(0.5), max_epochs=1, random_state=0, module__channels=(2,)).fit(X)
    assert ae.validation_loss_curve_[0] == pytest.approx(X.var(0).sum(), rel=0.35)


class WholeRow(Loss):
    """A user's own loss that cannot leave values out."""

    def forward(self, raw, x):
        return (raw - x).square().flatten(1).sum(1)


def test_loss_without_observed_includes_all_values():
    ae = small(noise=MaskingNoise(0.3), loss=WholeRow(), max_epochs=0).fit(table())
    assert ae.validation_loss_curve_[0] < 3  # of 6 values, 2 of them hidden
    with pytest.raises(TypeError, match=r"hidden_only=True needs a loss with a parameter .*WholeRow"):
        small(noise=MaskingNoise(0.3, hidden_only=True), loss=WholeRow()).fit(table())


class Seen(nn.Module):
    """Gives its input back, and keeps the gradient at its output."""

    def __init__(self, input_shape, n_components):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))

    def encode(self, x):
        return x.flatten(1) * self.weight

    def decode(self, z):
        self.raw = z * 1.0
        if self.raw.requires_grad:
            self.raw.retain_grad()
        return self.raw


@pytest.mark.parametrize("missing", [False, True])
def test_hidden_only_gradients(missing):
    u = torch.from_numpy(table()).float()
    if missing:
        u[::3, 1] = torch.nan
    module = Autoencoder(
        Seen,
        Identity(),
        SquaredError(),
        MaskingNoise(0.4, hidden_only=True),
        input_shape=(6,),
        n_components=6,
        missing=missing,
    )
    output = module(u)
    hidden, known = output[3], ~u.isnan()
    module.mean_objective(output, u).backward()
    grad = module.network.raw.grad
    assert not grad[~hidden].any()
    assert (grad[hidden] != 0).all()
    assert not (hidden & ~known).any()
    share = hidden.sum() / known.sum()
    residual = torch.where(hidden, module.network.raw - u.nan_to_num(), 0)
    torch.testing.assert_close(grad, 2 * residual / share / len(u))


def test_hidden_loss_is_scaled_to_all_values():
    X = table()
    every, hidden = (
        small(noise=MaskingNoise(0.5, hidden_only=only), early_stopping=False, max_epochs=1, lr=1e-9).fit(X)
        for only in (False, True)
    )
    # The start copies what it sees, so half of the values cost nothing.
    assert hidden.loss_curve_[0] == pytest.approx(X.var(0).sum(), rel=0.2)
    assert every.loss_curve_[0] == pytest.approx(X.var(0).sum() / 2, rel=0.2)


@pytest.mark.slow
def test_denoising_from_noisy_data_alone():
    clean = table(2000, 30, noise=0)
    noisy = clean + 0.5 * np.random.default_rng(1).normal(size=clean.shape)
    ae = AutoencoderTransformer(
        2, noise=MaskingNoise(0.3, hidden_only=True), missing="mask", max_epochs=40, lr=5e-3, random_state=0
    ).fit(noisy)
    holes = np.random.default_rng(2).random(clean.shape) < 0.3
    predicted = ae.reconstruct(np.where(holes, np.nan, noisy))
    assert ((predicted - clean)[holes] ** 2).mean() < 0.6 * ((noisy - clean)[holes] ** 2).mean()


def test_batches_without_hidden_values():
    ae = small(noise=MaskingNoise(0.0, hidden_only=True)).fit(table())
    assert np.isfinite(ae.loss_curve_).all()


def test_hidden_only_of_composed_noises():
    assert Compose(GaussianNoise(), MaskingNoise(hidden_only=True)).hidden_only
    assert not Compose(GaussianNoise(), MaskingNoise()).hidden_only
    with pytest.raises(ValueError, match="MaskingNoise: hidden_only must be one of True, False"):
        small(noise=MaskingNoise(hidden_only="yes")).fit(table())


@pytest.mark.parametrize("missing", ["error", "mask"])
@pytest.mark.parametrize("hidden_only", [False, True])
def test_hidden_loss_curve_is_in_data_units(missing, hidden_only):
    X = table()
    one, other = (
        small(
            3, loss="gaussian", missing=missing, noise=MaskingNoise(0.3, hidden_only=hidden_only), bottleneck="identity"
        ).fit(Y)
        for Y in (X, 16 * X)
    )
    for name in ("loss_curve_", "validation_loss_curve_"):
        difference = np.subtract(getattr(other, name), getattr(one, name))
        np.testing.assert_allclose(difference, 6 * np.log(16), rtol=1e-3)


def test_empty_feature_warns_once():
    X = table(60)
    X[:, 2] = np.nan
    with pytest.warns(UserWarning, match="no observed values") as caught:
        small(2, missing="mask").fit(X)
    assert len(caught) == 1


@pytest.mark.parametrize("seed", [19, 24, 38])
def test_validation_samples_without_hidden_values(seed):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(30, 3))
    X[rng.random(X.shape) < 0.4] = np.nan
    X[np.isnan(X).all(axis=1), 0] = 0
    ae = AutoencoderTransformer(2, noise=MaskingNoise(0.1), missing="mask", max_epochs=3, random_state=seed).fit(X)
    assert np.isfinite(ae.validation_loss_curve_).all()


@pytest.mark.parametrize("seed", range(4))
def test_validation_loss_is_finite_for_tiny_fraction(seed):
    X = np.random.default_rng(0).normal(size=(700, 2))
    noise = Compose(GaussianNoise(0.1), MaskingNoise(0.0008))
    ae = AutoencoderTransformer(1, noise=noise, max_epochs=2, random_state=seed).fit(X, X_val=X[:600])
    assert np.isfinite(ae.validation_loss_curve_).all()


def test_hidden_loss_with_missing_targets():
    X, losses = table(3000), []
    for share in (0.0, 0.5):
        target = np.where(np.random.default_rng(1).random(X.shape) < share, np.nan, X)
        noise = MaskingNoise(0.3, hidden_only=True)
        ae = small(missing="mask", noise=noise, max_epochs=0).fit(X, X_target=target)
        losses.append(ae.validation_loss_curve_[0])
    assert losses[1] == pytest.approx(0.5 * losses[0], rel=0.2)


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_continued_training_with_empty_feature(method):
    X = table(60)
    holed = X.copy()
    holed[:, 2] = np.nan
    with pytest.warns(UserWarning, match="no observed values"):
        ae = small(2, missing="mask", warm_start=True).fit(holed)
    ae.set_params(missing="error")
    with pytest.warns(UserWarning, match=r"known|value"):
        getattr(ae, method)(X)
    assert np.isfinite(ae.transform(X)).all()
