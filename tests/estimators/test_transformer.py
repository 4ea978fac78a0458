"""AutoencoderTransformer: fits, parameters, inputs and weights."""

import copy
import pickle

import joblib
import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KernelDensity
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from skae import AutoencoderTransformer, ConvAutoencoder, VAEGenerator
from skae.bottlenecks import KSparse, Sparse
from skae.losses import Huber, SquaredError
from skae.noise import GaussianNoise, MaskingNoise


def small(n_components=2, **params):
    """An estimator that trains in a fraction of a second."""
    defaults = {"max_epochs": 8, "random_state": 0}
    if params.get("module", "mlp") == "mlp":
        defaults["module__hidden_layer_sizes"] = (16,)
    return AutoencoderTransformer(n_components, **defaults | params)


# ------------------------------------------------------------------ the start is PCA


@pytest.mark.parametrize("n_components", [1, 4, 6])
def test_no_training_is_pca(blobs, n_components):
    ae = small(n_components, max_epochs=0).fit(blobs)
    pca = PCA(n_components).fit(blobs)
    expected = pca.inverse_transform(pca.transform(blobs))
    np.testing.assert_allclose(ae.reconstruct(blobs), expected, atol=2e-5)
    # the code is PCA's up to one scale and a sign for each component
    Z, P = ae.transform(blobs), pca.transform(blobs)
    ratio = (Z * P).sum(0) / (P * P).sum(0)
    np.testing.assert_allclose(Z, P * ratio, atol=1e-4)
    np.testing.assert_allclose(np.abs(ratio), np.abs(ratio[0]), rtol=1e-3)
    assert ae.n_iter_ == 0
    assert ae.best_epoch_ == 0
    assert ae.loss_curve_ == []
    assert len(ae.validation_loss_curve_) == 1


def test_more_components_than_features_reconstruct_exactly(blobs):
    np.testing.assert_allclose(small(9, max_epochs=0).fit(blobs).reconstruct(blobs), blobs, atol=1e-4)


def test_best_epoch_is_kept(blobs):
    ae = small(max_epochs=200, n_iter_no_change=1000).fit(blobs, X_val=blobs[:20])
    curve = ae.validation_loss_curve_
    assert len(curve) == ae.n_iter_ + 1 == 201
    assert ae.best_epoch_ == int(np.argmin(curve))
    assert -ae.score_samples(blobs[:20]).mean() == pytest.approx(min(curve), rel=1e-4)
    assert min(curve) < 0.9 * curve[0], "training did something"


def test_initialization_is_kept_if_training_does_not_improve(blobs):
    ae = small(lr=0.5, optimizer="sgd", lr_schedule=None, max_epochs=1).fit(blobs)
    assert min(ae.validation_loss_curve_[1:]) > ae.validation_loss_curve_[0]
    assert ae.best_epoch_ == 0
    np.testing.assert_array_equal(ae.transform(blobs), small(max_epochs=0).fit_transform(blobs))


@pytest.mark.slow
def test_insignificant_gain_is_not_kept():
    # spherical noise has nothing for a network to find, so what it finds is chance
    kept = []
    for seed in range(10):
        X = np.random.default_rng(seed).normal(size=(40, 6))
        kept.append(small(random_state=seed, max_epochs=60, lr=1e-2).fit(X).best_epoch_)
    assert sum(epoch > 0 for epoch in kept) <= 3


@pytest.mark.parametrize("n_rows", [4, 9, 10])
def test_few_samples_stay_pca(n_rows):
    X = np.random.default_rng(0).normal(size=(n_rows, 5))
    ae = AutoencoderTransformer(2, random_state=0).fit(X)
    pca = PCA(2).fit(X)
    np.testing.assert_allclose(ae.reconstruct(X), pca.inverse_transform(pca.transform(X)), atol=1e-4)


def test_huge_and_tiny_scales(blobs):
    for factor in (1e-30, 1e25):
        ae = small().fit(factor * blobs)
        assert np.isfinite(ae.score_samples(factor * blobs)).all()
        assert ae.score(factor * blobs) == pytest.approx(factor**2 * small().fit(blobs).score(blobs), rel=1e-2)


def test_float64_network_is_trained_in_float32(blobs):
    with torch.random.fork_rng():
        module = Plain((6,), 2).double()
    assert small(module=module).fit(blobs).transform(blobs).dtype == np.float32
    assert next(module.parameters()).dtype == torch.float64


def test_class_with_get_params_is_instantiated(blobs):
    class Settable(Plain):
        def get_params(self, deep=True):
            return {}

    ae = small(module=Settable).set_params(module__width=3)
    assert ae.fit(blobs).module_.network.down[0].out_features == 3


def test_parameters_as_numpy_scalars(blobs):
    grid = {"lr_schedule": np.array(["cosine", "plateau"]), "early_stopping": np.array([True, False])}
    GridSearchCV(small(max_epochs=1), grid, cv=2, error_score="raise").fit(blobs)
    ae = small(early_stopping=np.False_, max_epochs=3).fit(blobs)
    assert (ae.best_epoch_, ae.validation_loss_curve_) == (3, []), "NumPy's False is false"


def test_random_initialization_is_replaced_by_any_gain(blobs):
    ae = small(module__linear_skip=False, max_epochs=3).fit(blobs[:12])
    curve = ae.validation_loss_curve_
    assert ae.best_epoch_ == int(np.argmin(curve)) > 0


# ------------------------------------------------------------------ conditioning


@pytest.mark.parametrize("loss", ["squared_error", "absolute_error", "huber"])
def test_score_samples_is_negative_loss_in_data_units(blobs, loss):
    X = 30 * blobs + 5
    ae = small(loss=loss).fit(X)
    r = np.abs(ae.reconstruct(X) - X)
    delta = ae.module_.scale
    expected = {
        "squared_error": r**2,
        "absolute_error": r,
        "huber": np.where(r <= delta, r**2 / 2, delta * (r - delta / 2)),
    }
    np.testing.assert_allclose(ae.score_samples(X), -expected[loss].sum(1), rtol=1e-3, atol=1e-4)
    assert ae.score(X) == pytest.approx(-(r**2).mean(), rel=1e-3)


def test_bernoulli(digits):
    X = digits[:500] / 16
    ae = AutoencoderTransformer(8, loss="bernoulli", max_epochs=40, random_state=0).fit(X)
    X_hat = ae.reconstruct(X)
    assert 0 <= X_hat.min() < X_hat.max() <= 1
    eps = 1e-7
    clipped = np.clip(X_hat.astype(float), eps, 1 - eps)
    expected = (X * np.log(clipped) + (1 - X) * np.log(1 - clipped)).sum(1)
    np.testing.assert_allclose(ae.score_samples(X), expected, rtol=1e-3)
    assert -ae.score(X) < 0.5 * X.var(0).mean()
    with pytest.raises(ValueError, match=r"loss=Bernoulli needs X in \[0, 1\], got values from 0 to 16"):
        ae.fit(digits)
    with pytest.raises(ValueError, match="needs X in"):
        ae.score_samples(digits)


# ------------------------------------------------------------------ parts do what they say


@pytest.mark.slow
def test_sparse_weight_has_an_effect(blobs):
    def size(weight):
        ae = small(4, bottleneck=Sparse(weight), max_epochs=100, lr=1e-2, alpha=1e-3)
        return np.abs(ae.fit_transform(blobs)).mean()

    assert size(0) > 1.2 * size(0.3) > 1.5 * size(3)


def test_k_sparse_codes_have_k_nonzeros(digits):
    Z = small(8, bottleneck=KSparse(3)).fit_transform(digits[:200])
    assert ((Z != 0).sum(1) == 3).all()
    wider = small(8, bottleneck=KSparse(3, ratio=2)).fit_transform(digits[:200])
    assert ((wider != 0).sum(1) == 6).all()


@pytest.mark.parametrize("early_stopping", [False, pytest.param("auto", marks=pytest.mark.slow)])
def test_alpha_shrinks_weights(blobs, early_stopping):
    def norm(alpha):
        ae = small(early_stopping=early_stopping, max_epochs=200, lr=1e-2, alpha=alpha).fit(blobs)
        return sum(float(p.detach().norm()) for p in ae.module_.parameters() if p.ndim > 1)

    assert norm(1.0) < 0.8 * norm(0.1) < 0.8 * norm(0.0)


@pytest.mark.slow
def test_l1_ratio_makes_weights_sparser(blobs):
    def share(l1_ratio):
        ae = small(early_stopping=False, max_epochs=300, alpha=0.05, l1_ratio=l1_ratio, lr=1e-2).fit(blobs)
        weights = torch.cat([p.flatten() for p in ae.module_.parameters() if p.ndim > 1])
        return float((weights.abs() < 1e-3).float().mean())

    assert share(1.0) > share(0.0) + 0.2


def test_noise_in_training_only(blobs):
    ae = small(noise=GaussianNoise(0.5), early_stopping=False).fit(blobs)
    np.testing.assert_array_equal(ae.transform(blobs), ae.transform(blobs))
    quiet = small(noise=GaussianNoise(0.0), early_stopping=False).fit(blobs)
    assert not np.array_equal(ae.transform(blobs), quiet.transform(blobs))


@pytest.mark.slow
def test_denoising(digits):
    train, test = digits[:1200], digits[1200:]
    hit = np.random.default_rng(0).random(test.shape) < 0.3
    damaged = np.where(hit, train.mean(0), test)
    params = {"n_components": 32, "max_epochs": 60, "random_state": 0}
    mender = AutoencoderTransformer(noise=MaskingNoise(0.3), **params).fit(train)
    plain = AutoencoderTransformer(**params).fit(train)

    def error(ae):
        return ((ae.reconstruct(damaged) - test) ** 2).mean()

    assert error(mender) < 0.7 * error(plain)
    assert error(mender) < 0.75 * ((damaged - test) ** 2).mean()


@pytest.mark.slow
def test_clean_targets(digits):
    X, rng = digits[:900], np.random.default_rng(0)
    noisy = X + rng.normal(scale=6, size=X.shape)
    ae = AutoencoderTransformer(16, max_epochs=40, random_state=0).fit(noisy[:700], X_target=X[:700])
    blind = AutoencoderTransformer(16, max_epochs=40, random_state=0).fit(noisy[:700])

    def error(estimator):
        return ((estimator.reconstruct(noisy[700:]) - X[700:]) ** 2).mean()

    assert error(ae) < 0.75 * error(blind)
    assert ae.score(noisy[700:], X_target=X[700:]) == pytest.approx(-error(ae), rel=1e-4)
    expected = -((ae.reconstruct(noisy[700:]) - X[700:]) ** 2).sum(1)
    np.testing.assert_allclose(ae.score_samples(noisy[700:], X_target=X[700:]), expected, rtol=1e-3)


# ------------------------------------------------------------------ one door


class Plain(torch.nn.Module):
    """A user's own network: no base class, no registration."""

    def __init__(self, input_shape, n_components, width=12):
        super().__init__()
        (n_features,) = input_shape
        self.down = torch.nn.Sequential(
            torch.nn.Linear(n_features, width), torch.nn.Tanh(), torch.nn.Linear(width, n_components)
        )
        self.up = torch.nn.Linear(n_components, n_features)

    def encode(self, x):
        return self.down(x)

    def decode(self, z):
        return self.up(z)


def test_module_as_string_class_or_instance(blobs):
    with torch.random.fork_rng():
        built = Plain((6,), 2)
    for ae in (small(), small(module=Plain), small(module=Plain, module__width=5), small(module=built)):
        assert ae.fit_transform(blobs).shape == (60, 2)
        assert clone(ae).fit(blobs).score(blobs) == ae.score(blobs)
    assert small(module=Plain, module__width=5).fit(blobs).module_.network.down[0].out_features == 5


def test_module_instance_is_not_modified(blobs):
    with torch.random.fork_rng():
        module = Plain((6,), 2)
    before = copy.deepcopy(module.state_dict())
    ae = small(module=module, early_stopping=False)
    first = ae.fit_transform(blobs)
    assert all(torch.equal(before[name], value) for name, value in module.state_dict().items())
    np.testing.assert_array_equal(ae.fit_transform(blobs), first)


def test_parts_as_string_class_or_instance(blobs):
    scores = {
        small(loss=loss, max_epochs=3).fit(blobs).score(blobs)
        for loss in ("squared_error", SquaredError, SquaredError())
    }
    assert len(scores) == 1


def test_part_instance_is_not_modified(blobs):
    bottleneck, noise = Sparse(0.5), GaussianNoise(0.2)
    small(bottleneck=bottleneck, noise=noise).fit(blobs)
    assert bottleneck.training
    assert noise.training
    assert list(bottleneck.buffers()) == []


def test_nested_parameters(blobs):
    ae = small(loss=Huber(1.0), noise=GaussianNoise())
    ae.set_params(loss__delta=2.0, noise__scale=0.3, module__dropout=0.1, optimizer__weight_decay=0.01)
    params = ae.get_params()
    assert (params["loss__delta"], params["noise__scale"]) == (2.0, 0.3)
    assert (params["module__dropout"], params["optimizer__weight_decay"]) == (0.1, 0.01)
    ae.fit(blobs)
    assert ae.module_.loss.delta == 2.0
    assert ae.net_.optimizer_.param_groups[0]["weight_decay"] == 0.01
    assert clone(ae).get_params().keys() == params.keys()
    assert "module__dropout=0.1" in repr(ae)


def test_samples_of_any_shape(digits):
    X = digits[:100].reshape(-1, 8, 8)
    ae = small(3).fit(X)
    assert ae.transform(X).shape == (100, 3)
    assert ae.reconstruct(X).shape == X.shape
    assert ae.inverse_transform(ae.transform(X)).shape == X.shape
    flat = small(3).fit(digits[:100])
    np.testing.assert_allclose(ae.transform(X), flat.transform(digits[:100]), atol=1e-6)
    with pytest.raises(ValueError, match=r"rows of shape \(8, 7\).*fitted on rows of shape \(8, 8\)"):
        ae.transform(X[:, :, :7])


# ------------------------------------------------------------------ sampling


@pytest.mark.parametrize("prior", [GaussianMixture(3), GaussianMixture, KernelDensity(bandwidth=0.1)])
def test_sample(blobs, prior):
    ae = small(prior=prior, max_epochs=40).fit(blobs)
    X = ae.sample(500, random_state=0)
    assert X.shape == (500, 6)
    assert X.dtype == blobs.dtype == np.float64
    np.testing.assert_array_equal(X, ae.sample(500, random_state=0))
    assert not np.array_equal(X, ae.sample(500, random_state=1))
    assert not np.array_equal(ae.sample(5), ae.sample(5))
    np.testing.assert_allclose(X.mean(0), blobs.mean(0), atol=0.2)
    np.testing.assert_allclose(X.std(0), blobs.std(0), atol=0.2)


def test_sample_requires_prior(blobs):
    ae = small().fit(blobs)
    assert not hasattr(ae, "sample")
    with pytest.raises(AttributeError) as error:
        ae.sample(3)
    assert "set prior" in str(error.value)
    with pytest.raises(TypeError, match="prior must be None, 'mixture', 'flow', 'auto' or a scikit-learn density"):
        small(prior=PCA()).fit(blobs)


# ------------------------------------------------------------------ what may come in


@pytest.mark.parametrize(
    "dtype", [np.float64, np.float32, np.float16, np.int64, np.int32, np.uint8, np.int8, bool, ">f8"]
)
def test_real_dtypes(digits, dtype):
    X = (digits[:60] % 2 if dtype is bool else digits[:60]).astype(dtype)
    reference = small().fit(X.astype(np.float64))
    ae = small().fit(X)
    np.testing.assert_allclose(ae.transform(X), reference.transform(X.astype(np.float64)), atol=1e-3)
    Z = ae.transform(X)
    assert Z.dtype == ae.score_samples(X).dtype == np.float32
    # Values beyond the precision of float32 are returned as float64.
    back = np.float64 if np.dtype(dtype) in (np.float64, np.int64, np.int32, np.dtype(">f8")) else np.float32
    assert ae.reconstruct(X).dtype == ae.inverse_transform(Z).dtype == back


def test_ten_thousand_features():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(40, 3)) @ rng.normal(size=(3, 10_000)) + 0.01 * rng.normal(size=(40, 10_000))
    ae = AutoencoderTransformer(3, max_epochs=2, random_state=0).fit(X)
    assert -ae.score(X) < 0.01 * X.var()


def test_constant_columns_and_constant_data():
    X = np.random.default_rng(0).normal(size=(30, 4))
    X[:, 2] = 7.0
    ae = small().fit(X)
    np.testing.assert_allclose(ae.reconstruct(X)[:, 2], 7.0, atol=0.5)
    flat = np.full((30, 4), 1234.5)
    ae = small().fit(flat)
    np.testing.assert_allclose(ae.reconstruct(flat), flat, rtol=1e-4)


# ------------------------------------------------------------------ weights of rows


@pytest.mark.parametrize("weight", [1.0, 7, np.ones(60), np.full(60, 0.1)], ids=["1.0", "7", "ones", "tenths"])
@pytest.mark.parametrize("max_epochs", [0, 8])
def test_equal_weights_equal_no_weights(blobs, weight, max_epochs):
    ae = small(max_epochs=max_epochs, early_stopping=False)
    plain, weighted = clone(ae).fit(blobs), clone(ae).fit(blobs, sample_weight=weight)
    np.testing.assert_allclose(weighted.transform(blobs), plain.transform(blobs), atol=1e-4)


def test_prior_uses_weights(blobs):
    X = np.vstack([blobs, blobs + 1000])
    weight = np.r_[np.ones(60), np.zeros(60)]
    for prior in (GaussianMixture(1), KernelDensity(bandwidth=0.01)):
        drawn = small(prior=prior).fit(X, sample_weight=weight).sample(50, random_state=0)
        assert np.abs(drawn).max() < 20
    light = np.r_[np.ones(60), np.full(60, 1e-9)]
    assert small(prior=KernelDensity()).fit(X, sample_weight=light).prior_.tree_.sample_weight is not None


def test_zero_weight_samples_are_ignored(blobs):
    weight = np.ones(60)
    weight[40:] = 0
    Y = np.array(blobs)
    Y[40:] = 1e6
    np.testing.assert_array_equal(
        small().fit(Y, sample_weight=weight).transform(blobs),
        small().fit(blobs[:40], sample_weight=np.ones(40)).transform(blobs),
    )


def test_sample_weight_affects_fit(blobs):
    X = np.vstack([blobs, blobs[::-1] * [1, -1, 1, -1, 1, -1]])
    heavy = np.r_[np.full(60, 50.0), np.ones(60)]
    params = {"max_epochs": 60, "early_stopping": False}
    first = small(1, **params).fit(X, sample_weight=heavy)
    second = small(1, **params).fit(X, sample_weight=heavy[::-1])
    assert first.score(X[:60]) > second.score(X[:60])
    assert first.score(X[60:]) < second.score(X[60:])
    scaled = small(1, **params).fit(X, sample_weight=heavy * 7)
    np.testing.assert_allclose(scaled.transform(X), first.transform(X), atol=1e-3)


def test_score_uses_sample_weight(blobs):
    ae = small().fit(blobs)
    weight = np.arange(60.0)
    row_errors = ((ae.reconstruct(blobs) - blobs) ** 2).mean(1)
    assert ae.score(blobs, sample_weight=weight) == pytest.approx(-np.average(row_errors, weights=weight), rel=1e-4)
    assert ae.score(blobs, sample_weight=weight > 30) == pytest.approx(ae.score(blobs[31:]), rel=1e-5)


@pytest.mark.parametrize("weight", [np.ones(60), np.linspace(0.1, 4, 60)], ids=["equal", "unequal"])
def test_scale_of_weights_does_not_matter(blobs, weight):
    one, other = small(), small()
    for factor in (1.0, 8.0, 0.25):
        one.partial_fit(blobs, sample_weight=weight)
        other.partial_fit(blobs, sample_weight=factor * weight)
    np.testing.assert_array_equal(other.transform(blobs), one.transform(blobs))
    assert other.loss_curve_ == one.loss_curve_
    for factor in (8.0, 0.25):
        fitted = [small().fit(blobs, sample_weight=w).transform(blobs) for w in (weight, factor * weight)]
        np.testing.assert_array_equal(*fitted)


@pytest.mark.parametrize("weight", [1.0, 3.0])
def test_mixture_of_equal_weights_equals_no_weights(weight):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(100, 2)) @ rng.normal(size=(2, 5)) * 3 + rng.normal(size=(100, 5)) + 5
    ae = small(max_epochs=0, prior="mixture", random_state=1)
    plain, weighted = clone(ae).fit(X), clone(ae).fit(X, sample_weight=np.full(100, weight))
    assert weighted.prior_.n_components == plain.prior_.n_components == 1
    np.testing.assert_allclose(weighted.prior_.means_, plain.prior_.means_, atol=1e-3)
    drawn = weighted.sample(20000, random_state=0)
    np.testing.assert_allclose(drawn.mean(axis=0), X.mean(axis=0), atol=0.03 * X.std())


# ------------------------------------------------------------------ the width of the code


@pytest.mark.parametrize(
    ("estimator", "shape", "width"),
    [
        (small(3), (6,), 3),
        (small(9), (6,), 9),
        (ConvAutoencoder(3, max_epochs=0, module__dense=False), (16, 16), 3 * 16),
        (ConvAutoencoder(3, max_epochs=0), (16, 16), 3),
        (VAEGenerator(2, max_epochs=0, conditional=True), (6,), 2),
        (AutoencoderTransformer(2, module="gru", max_epochs=0), (7, 2), 2),
    ],
    ids=["dense", "wide", "spatial", "conv", "conditional", "sequences"],
)
def test_n_components_is_width_of_transform(estimator, shape, width):
    """As it is PCA's."""
    X = np.random.default_rng(0).normal(size=(20, *shape))
    assert not hasattr(estimator, "n_components_")
    estimator.fit(X, np.arange(20) % 2)
    assert estimator.n_components_ == width == estimator.transform(X).shape[1]
    assert len(estimator.get_feature_names_out()) == width
    assert pickle.loads(pickle.dumps(estimator)).n_components_ == width


# ------------------------------------------------------------------ going on


def test_partial_fit(digits):
    ae = AutoencoderTransformer(8, random_state=0, batch_size=64)
    scores = []
    for _ in range(12):
        for chunk in np.array_split(digits, 3):
            ae.partial_fit(chunk)
        scores.append(ae.score(digits))
    assert scores[-1] > 0.7 * scores[0]  # both below 0: a smaller error
    assert ae.n_iter_ == len(ae.loss_curve_) == 36
    assert len(ae.net_.history) == 36
    ae.partial_fit(digits[:1])
    with pytest.raises(ValueError, match="64 features"):
        ae.partial_fit(digits[:, :5])


def test_partial_fit_is_reproducible(blobs):
    def run():
        ae = small(noise="gaussian_noise")
        for _ in range(3):
            ae.partial_fit(blobs)
        return ae.transform(blobs)

    np.testing.assert_array_equal(run(), run())


def test_warm_start_continues_training(digits):
    X = digits[:500]
    ae = small(4, warm_start=True, max_epochs=20, lr_schedule=None).fit(X, X_val=X)
    start, end = ae.validation_loss_curve_[0], min(ae.validation_loss_curve_)
    mean, scale = ae.module_.mean, ae.module_.scale
    ae.fit(X, X_val=X)
    assert ae.validation_loss_curve_[0] == pytest.approx(end, rel=1e-4), "the second fit starts where the first ended"
    assert ae.validation_loss_curve_[0] < 0.95 * start
    assert ae.n_iter_ == 20
    assert len(ae.net_.history) == 40
    assert torch.equal(ae.module_.mean, mean)
    assert ae.module_.scale == scale
    cold = small(4, max_epochs=20, lr_schedule=None).fit(X, X_val=X)
    assert ae.score(X) > cold.score(X)
    with pytest.raises(ValueError, match="need the same network: n_components was 4 and is 5"):
        ae.set_params(n_components=5).fit(X)
    with pytest.raises(ValueError, match="warm_start needs samples of shape"):
        ae.set_params(n_components=4).fit(X[:, :9])


# ------------------------------------------------------------------ in company


def test_pipeline_and_grid_search(digits):
    y = load_digits().target[:300]
    pipe = Pipeline(
        [("scale", StandardScaler()), ("reduce", small(max_epochs=3)), ("classify", LogisticRegression(max_iter=500))]
    )
    grid = {"reduce__n_components": [2, 8], "reduce__noise": [None, GaussianNoise(0.1)]}
    search = GridSearchCV(pipe, grid, cv=2).fit(digits[:300], y)
    assert search.best_score_ > 0.7
    swap = GridSearchCV(pipe, {"reduce": [small(max_epochs=3), PCA()], "reduce__n_components": [3]}, cv=2)
    assert len(swap.fit(digits[:300], y).cv_results_["params"]) == 2
    alone = GridSearchCV(
        small(max_epochs=3), {"n_components": [1, 8], "module__hidden_layer_sizes": [(8,), (16,)]}, cv=2
    )
    assert alone.fit(digits[:300]).best_params_["n_components"] == 8


@pytest.mark.parametrize("backend", ["threading", pytest.param("loky", marks=pytest.mark.slow)])
def test_parallel_search_matches_serial(digits, backend):
    ae = small(noise="gaussian_noise", module__dropout=0.2, max_epochs=4, early_stopping=False)
    grid = {"n_components": [2, 3, 4, 5]}

    def scores(n_jobs):
        with joblib.parallel_backend(backend, n_jobs=n_jobs):
            return GridSearchCV(ae, grid, cv=3, n_jobs=n_jobs).fit(digits[:200]).cv_results_["mean_test_score"]

    np.testing.assert_array_equal(scores(2), scores(1))


def test_random_state(blobs):
    ae = small(noise="salt_and_pepper", module__dropout=0.3, early_stopping=False)
    same = [clone(ae).fit_transform(blobs) for _ in range(2)]
    np.testing.assert_array_equal(*same)
    other = clone(ae).set_params(random_state=1).fit_transform(blobs)
    assert not np.array_equal(same[0], other)
    state = clone(ae).set_params(random_state=np.random.RandomState(3))
    assert not np.array_equal(state.fit_transform(blobs), state.fit_transform(blobs)), "a RandomState moves on"
    free = clone(ae).set_params(random_state=None)
    assert not np.array_equal(free.fit_transform(blobs), free.fit_transform(blobs))


@pytest.mark.slow
def test_anomalies_score_low(digits):
    ae = AutoencoderTransformer(8, max_epochs=30, random_state=0).fit(digits[:1500])
    rng = np.random.default_rng(0)
    shuffled = rng.permuted(digits[1500:], axis=1)
    assert np.median(ae.score_samples(shuffled)) < np.quantile(ae.score_samples(digits[1500:]), 0.01)


def test_device(digits, device):
    ae = small(4, device=device, max_epochs=10, noise="gaussian_noise", module__dropout=0.1)
    Z = ae.fit_transform(digits)
    assert Z.dtype == np.float32
    assert next(ae.module_.parameters()).device.type == torch.device(device).type
    assert ae.score(digits) > -digits.var()
    again = pickle.loads(pickle.dumps(ae))
    np.testing.assert_array_equal(again.transform(digits), Z)
    ae.partial_fit(digits)
