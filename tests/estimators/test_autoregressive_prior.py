"""``prior='autoregressive'``: densities of integer codes in the estimators."""

import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.mixture import GaussianMixture

import skae
from skae import AutoencoderTransformer, ConvAutoencoder, VAEGenerator
from skae.coding import Autoregressive, Factorized

SMALL = {"n_layers": 1, "width": 8, "kernel_size": 3, "max_epochs": 2}
FAST = {"max_epochs": 1, "random_state": 0, "bottleneck": "fsq", "bottleneck__levels": 5}
SPATIAL = {"module__dense": False, "module__channels": (4, 8)}


def named(params):
    return {f"prior__{name}": value for name, value in params.items()}


@pytest.fixture(scope="module")
def images():
    rng = np.random.default_rng(0)
    return rng.random((60, 1, 1)) * np.sin(np.arange(8)[:, None] * np.arange(8) * rng.random((60, 1, 1)))


@pytest.fixture(scope="module")
def spatial(images):
    return ConvAutoencoder(2, prior="autoregressive", **named(SMALL), **SPATIAL, **FAST).fit(images)


def test_prior_is_the_code_model(spatial):
    assert type(spatial.prior_) is Autoregressive
    assert spatial.code_model_ is spatial.prior_
    assert spatial.prior_.alphabet_ == spatial.alphabet_ == (5, 5)
    assert spatial.prior_.size_ == (2, 2)
    assert spatial.prior_.get_params()["width"] == 8


def test_samples_are_decoded_codes(spatial, images):
    drawn = spatial.sample(5, random_state=0)
    assert drawn.shape == (5, 8, 8)
    np.testing.assert_array_equal(spatial.sample(5, random_state=0), drawn)
    assert not np.array_equal(spatial.sample(5, random_state=1), drawn)
    seed = np.random.RandomState(0).randint(np.iinfo(np.int32).max)
    codes = spatial.prior_.sample(5, random_state=seed)
    np.testing.assert_array_equal(spatial.from_indices(codes), drawn)


def test_samples_have_any_size(spatial):
    assert spatial.sample(2, random_state=0, size=(12, 20)).shape == (2, 12, 20)
    np.testing.assert_array_equal(spatial.sample(2, 0, size=8), spatial.sample(2, 0))


def test_codes_of_crops_have_no_position_biases(images):
    ae = ConvAutoencoder(2, prior="autoregressive", crop_size=8, **named(SMALL), **SPATIAL, **FAST)
    ae.fit([np.tile(images[0], (2, 3)), np.tile(images[1], (3, 2))])
    assert not ae.prior_.position_biases
    assert "positions" not in ae.prior_.weights_
    assert ae.sample(2, random_state=0, size=(12, 20)).shape == (2, 12, 20)


@pytest.mark.parametrize("prior", [Autoregressive(**SMALL), Factorized(), Factorized])
def test_densities_may_be_objects_and_classes(prior, images):
    ae = ConvAutoencoder(2, prior=prior, module__channels=(4, 8), **FAST).fit(images)
    assert ae.prior_ is not prior
    assert ae.code_model_ is ae.prior_
    assert ae.prior_.alphabet_ == (5, 5)
    assert getattr(prior, "alphabet", None) is None, "the given density is not changed"
    assert ae.sample(3, random_state=0).shape == (3, 8, 8)


def test_dense_codes_of_tables():
    X = np.random.default_rng(0).normal(size=(100, 6)) @ np.random.default_rng(1).normal(size=(6, 6))
    ae = AutoencoderTransformer(3, prior="autoregressive", **named(SMALL), **FAST).fit(X)
    assert ae.prior_.size_ == (1, 1)
    codes = ae.indices(ae.sample(200, random_state=0))
    assert codes.min() >= 0
    assert codes.max() < 5
    assert ae.sample(3).shape == (3, 6)


def test_each_class_has_its_own(images):
    y = np.repeat(["a", "b"], 30)
    X = np.where(y[:, None, None] == "a", images, 3 - images)
    vae = VAEGenerator(2, module="conv", prior="autoregressive", conditional=True, **named(SMALL), **FAST).fit(X, y)
    assert [type(density) for density in vae.prior_] == [Autoregressive] * 2
    assert type(vae.code_model_) is Factorized
    assert vae.sample(4, y="a", random_state=0).shape == (4, 8, 8)
    assert vae.sample(4, random_state=0).shape == (4, 8, 8)
    digests = [density.digest() for density in vae.prior_]
    assert digests[0] != digests[1]


def test_real_targets_share_one(images):
    y = np.linspace(0, 1, 60)
    vae = VAEGenerator(2, module="conv", prior="autoregressive", conditional="targets", **named(SMALL), **FAST)
    vae.fit(images, y)
    assert type(vae.prior_) is Autoregressive
    assert vae.sample(4, y=0.5, random_state=0).shape == (4, 8, 8)


def test_zero_weight_samples_are_ignored(images):
    weight = np.r_[np.ones(50), np.zeros(10)]
    ae = ConvAutoencoder(2, prior="autoregressive", module__channels=(4, 8), **named(SMALL), **FAST)
    other = images.copy()
    other[50:] = 0.5
    digests = [clone(ae).fit(X, sample_weight=weight).prior_.digest() for X in (images, other)]
    assert digests[0] == digests[1]


def test_files_and_pickles_have_the_same_probabilities(spatial, images, tmp_path):
    skae.save(spatial, tmp_path / "model.skae")
    codes = spatial.indices(images)
    for same in (skae.load(tmp_path / "model.skae"), pickle.loads(pickle.dumps(spatial))):
        assert same.code_model_ is same.prior_
        assert same.code_model_.digest() == spatial.code_model_.digest()
        np.testing.assert_array_equal(same.code_model_.score_samples(codes), spatial.code_model_.score_samples(codes))
        np.testing.assert_array_equal(same.sample(3, random_state=0), spatial.sample(3, random_state=0))
        for a, b in zip(spatial.code_model_.steps(codes), same.code_model_.steps(codes), strict=True):
            np.testing.assert_array_equal(a.tables.frequencies, b.tables.frequencies)


def test_bytes_are_those_of_the_prior(spatial, images):
    data = skae.coding.compress(spatial, images)
    np.testing.assert_array_equal(skae.coding.decompress(spatial, data), spatial.reconstruct(images))


def test_parameters_of_the_name_are_set_and_searched():
    ae = ConvAutoencoder(2, prior="autoregressive", bottleneck="fsq")
    ae.set_params(prior__width=4)
    assert ae.get_params()["prior__width"] == 4
    assert clone(ae).get_params()["prior__width"] == 4


@pytest.mark.parametrize("prior", ["autoregressive", "Auto-Regressive", Autoregressive, Autoregressive(), Factorized()])
@pytest.mark.parametrize("kind", [ConvAutoencoder, AutoencoderTransformer, VAEGenerator])
def test_codes_without_integers_raise(kind, prior, images):
    with pytest.raises(ValueError, match="needs a discrete bottleneck, such as bottleneck='fsq', got"):
        kind(2, prior=prior, max_epochs=1).fit(images.reshape(60, -1))


def test_unknown_parameters_of_the_prior_raise(images):
    with pytest.raises((TypeError, ValueError), match="depth"):
        ConvAutoencoder(2, prior="autoregressive", prior__depth=3, **FAST).fit(images)


def test_errors_of_the_fit_name_the_prior(images):
    with pytest.raises(
        ValueError, match=r"could not be fitted to the codes of 60 rows: kernel_size must be odd, got 2"
    ):
        ConvAutoencoder(2, prior="autoregressive", prior__kernel_size=2, **FAST).fit(images)


def test_sizes_need_a_density_of_any_size(images):
    ae = ConvAutoencoder(2, prior=GaussianMixture(1), **SPATIAL, max_epochs=1, random_state=0).fit(images)
    with pytest.raises(ValueError, match="needs prior='autoregressive', or an estimator fitted on crops"):
        ae.sample(size=12)
    dense = ConvAutoencoder(2, prior="autoregressive", module__channels=(4, 8), **named(SMALL), **FAST).fit(images)
    with pytest.raises(ValueError, match="module__dense=False"):
        dense.sample(size=12)


def test_discrete_bottleneck_may_have_other_priors(images):
    ae = ConvAutoencoder(2, prior="mixture", module__channels=(4, 8), **FAST).fit(images)
    assert type(ae.code_model_) is Factorized
    assert ae.sample(3, random_state=0).shape == (3, 8, 8)


def test_model_trained_with_the_bottleneck_stays_the_code_model(images):
    ae = ConvAutoencoder(2, prior="autoregressive", bottleneck="rounded", max_epochs=1, random_state=0, **named(SMALL))
    ae.fit(images)
    assert type(ae.prior_) is Autoregressive
    assert type(ae.code_model_) is type(ae.module_.bottleneck.code_model())
    assert ae.sample(3, random_state=0).shape == (3, 8, 8)
