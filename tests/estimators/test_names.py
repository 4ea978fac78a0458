"""Names used by other libraries are accepted, or the error names the equivalent."""

import inspect
import pickle

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import randint
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import GridSearchCV, RandomizedSearchCV
from sklearn.pipeline import make_pipeline

import skae
from skae import AutoencoderTransformer, ConvAutoencoder, Reconstructor, VAEGenerator, bottlenecks, losses, noise
from skae._utils.slots import _SHORT_NAMES, find_class, find_name
from skae.estimators._hints import _ARGUMENTS, _ATTRIBUTES, _PARAMETERS
from skae.metrics import explained_variance
from skae.nn import GRU, MLP, TCN, Conv
from skae.nn._layers import ACTIVATIONS
from skae.noise import BlockMasking, Compose, GaussianNoise, MaskingNoise

ESTIMATORS = (AutoencoderTransformer, ConvAutoencoder, VAEGenerator)
X = np.random.default_rng(0).normal(size=(24, 4)).astype(np.float32)
PACKAGES = {
    "bottleneck": (bottlenecks, bottlenecks.Bottleneck),
    "loss": (losses, losses.Loss),
    "module": (skae.nn, torch.nn.Module),
    "noise": (noise, noise.Noise),
}
OFFERED = ("input_shape", "n_components", "n_outputs")


def small(cls=AutoencoderTransformer, **params):
    return cls(
        **{
            "n_components": 2,
            "max_epochs": 1,
            "early_stopping": False,
            "random_state": 0,
            "module__hidden_layer_sizes": (8,),
        }
        | params
    )


def build(network, *args, **params):
    """A network by itself: an estimator would give it a private random stream."""
    with torch.random.fork_rng():
        return network(*args, **params)


def codes(estimator):
    return estimator.fit(X).transform(X)


# ------------------------------------------------------------------ strings


@pytest.mark.parametrize(
    ("slot", "written", "meant"),
    [
        *(("loss", name, losses.SquaredError) for name in ("mse", "MSE", "MSELoss", "mean_squared_error", "l2")),
        *(("loss", name, losses.AbsoluteError) for name in ("mae", "L1Loss", "mean absolute error")),
        *(("loss", name, losses.Bernoulli) for name in ("bce", "binary_crossentropy", "BinaryCrossentropy")),
        *(("loss", name, losses.Huber) for name in ("Huber", "HuberLoss", "smooth_l1")),
        *(("noise", name, noise.GaussianNoise) for name in ("gaussian", "GaussianNoise", "gaussian-noise")),
        *(("noise", name, noise.MaskingNoise) for name in ("masking", "Masking_Noise")),
        *(("module", name, Conv) for name in ("cnn", "CNN", "Conv")),
        *(("module", name, MLP) for name in ("MLP", "dense")),
        *(("bottleneck", name, bottlenecks.Gaussian) for name in ("vae", "VAE", "beta-VAE")),
        ("bottleneck", "KSparse", bottlenecks.KSparse),
    ],
)
def test_common_aliases_of_parts(slot, written, meant):
    assert find_class(slot, written, *PACKAGES[slot], OFFERED) is meant


@pytest.mark.parametrize("slot", PACKAGES)
def test_aliases_do_not_shadow_parts(slot):
    package, base = PACKAGES[slot]
    for short, meant in _SHORT_NAMES[slot].items():
        cls = find_class(slot, meant, package, base, OFFERED)
        assert find_class(slot, short, package, base, OFFERED) is cls
        assert find_class(slot, cls.__name__, package, base, OFFERED) is cls


@given(name=st.sampled_from(["squared_error", "k_sparse", "mlp"]), data=st.data())
@settings(deadline=None, max_examples=25)
def test_names_ignore_case_and_separators(name, data):
    letters = [data.draw(st.sampled_from([c.lower(), c.upper()])) for c in name.replace("_", "")]
    written = data.draw(st.sampled_from(["", "_", "-", " "])).join(letters)
    assert find_name(written, ["squared_error", "k_sparse", "mlp"]) == name


def test_estimators_accept_and_keep_aliases():
    ae = small(loss="MSE", module="MLP", optimizer="Adam", module__activation="SiLU")
    np.testing.assert_array_equal(codes(ae), codes(small()))
    assert {name: ae.get_params()[name] for name in ("loss", "module")} == {"loss": "MSE", "module": "MLP"}
    assert clone(ae).loss == "MSE"


@pytest.mark.parametrize("activation", ["ReLU", "relu", "LeakyReLU", "leaky_relu", "GELU", "swish", "Tanh", "linear"])
@pytest.mark.parametrize("network", [MLP, Conv, TCN])
def test_activations_ignore_case(network, activation):
    shape = {MLP: (4,), Conv: (1, 4, 4), TCN: (5, 2)}[network]
    wanted = ACTIVATIONS[find_name(activation, ACTIVATIONS, {"swish": "silu", "linear": "identity"})]
    assert wanted in {type(layer) for layer in build(network, shape, 2, activation=activation).modules()}


# ------------------------------------------------------------------ widths


@pytest.mark.parametrize("width", [5, np.int64(5), np.uint8(5)])
def test_integer_is_one_layer(width):
    for network, shape, name in ((MLP, (4,), "hidden_layer_sizes"), (Conv, (1, 4, 4), "hidden_layer_sizes")):
        assert str(build(network, shape, 2, **{name: width})) == str(build(network, shape, 2, **{name: (5,)}))
    assert str(build(Conv, (1, 4, 4), 2, channels=width)) == str(build(Conv, (1, 4, 4), 2, channels=(5,)))
    np.testing.assert_array_equal(
        codes(small(module__hidden_layer_sizes=width)), codes(small(module__hidden_layer_sizes=(5,)))
    )


def test_widths_in_random_search():
    space = {"module__hidden_layer_sizes": randint(4, 9), "noise__scale": [0.1, 0.2]}
    ae = small(noise="gaussian")
    search = RandomizedSearchCV(ae, space, n_iter=3, cv=2, random_state=0, error_score="raise").fit(X)
    width = search.best_params_["module__hidden_layer_sizes"]
    assert search.best_estimator_.module_.network.encoder[0].out_features == width


@pytest.mark.parametrize("network", [GRU, TCN])
def test_sequence_networks_accept_numpy_integers(network):
    name = {GRU: "hidden_size", TCN: "channels"}[network]
    assert str(build(network, (5, 2), 2, **{name: np.int64(3)})) == str(build(network, (5, 2), 2, **{name: 3}))


# ------------------------------------------------------------------ parameters of parts


@pytest.mark.parametrize("part", ["gaussian_noise", "gaussian", GaussianNoise])
def test_parameters_of_parts_given_by_name(part):
    wanted = small(noise=GaussianNoise(0.7))
    for ae in (small(noise=part, noise__scale=0.7), small(noise=part).set_params(noise__scale=0.7)):
        assert ae.get_params()["noise__scale"] == ae.get_params(deep=False)["noise__scale"] == 0.7
        again = pickle.loads(pickle.dumps(clone(ae)))
        np.testing.assert_array_equal(codes(again), codes(wanted))
        assert again.module_.noise.scale == 0.7
    assert codes(small(noise=part)).tobytes() != codes(wanted).tobytes()


def test_nested_parameters_of_all_parts():
    ae = small(loss="huber", loss__delta=2.0, bottleneck="k_sparse", bottleneck__k=1).fit(X)
    assert ae.module_.loss.delta == 2.0
    assert ae.module_.bottleneck.k == 1
    assert ae.partial_fit(X).module_.bottleneck.k == 1
    vae = small(VAEGenerator, prior=None, bottleneck__free_bits=0.25).fit(X)
    assert vae.module_.bottleneck.free_bits == 0.25
    with pytest.raises(TypeError, match="bottleneck__beta is a parameter of VAEGenerator itself: set beta"):
        small(VAEGenerator, bottleneck__beta=2.0).fit(X)


def test_nested_parameters_in_search_and_pipeline():
    grid = [
        {"noise": ["gaussian"], "noise__scale": [0.1, 0.5]},
        {"noise": ["masking"], "noise__fraction": [0.2]},
        {"noise": [None]},
    ]
    search = GridSearchCV(small(), grid, cv=2, error_score="raise").fit(X)
    assert [p.get("noise__scale") for p in search.cv_results_["params"]] == [0.1, 0.5, None, None]
    pipe = make_pipeline(small(loss="huber")).set_params(autoencodertransformer__loss__delta=3.0).fit(X)
    assert pipe[0].module_.loss.delta == 3.0
    assert pipe.get_params()["autoencodertransformer__loss__delta"] == 3.0


def test_nested_parameters_of_prior(tmp_path):
    common = {"max_epochs": 1, "early_stopping": False}
    for cls in (AutoencoderTransformer, VAEGenerator):
        ae = small(cls, prior=GaussianMixture, prior__n_components=3, prior__covariance_type="diag", **common).fit(X)
        wanted = small(cls, prior=GaussianMixture(3, covariance_type="diag"), **common).fit(X)
        assert ae.prior_.means_.shape == (3, 2)
        np.testing.assert_array_equal(ae.sample(4, random_state=0), wanted.sample(4, random_state=0))
        skae.save(ae, tmp_path / "ae.skae")
        assert skae.load(tmp_path / "ae.skae").get_params()["prior__n_components"] == 3
    for name in ("gmm", "Mixture"):
        assert small(prior=name).fit(X).sample(3).shape == (3, 4)
        with pytest.raises(ValueError, match=f"prior__n_components .* prior='{name}' has none: pass a class"):
            small(prior=name, prior__n_components=3).fit(X)
    with pytest.raises(
        TypeError, match=r"prior=GaussianMixture has no parameter prior__n\. Valid parameters are: prior__cov"
    ):
        small(prior=GaussianMixture, prior__n=3).fit(X)
    given_prior = GaussianMixture(2)
    assert len(small(prior=given_prior, prior__n_components=3).fit(X).prior_.means_) == 3
    assert given_prior.n_components == 2


def test_nested_parameters_of_instances():
    ae = small(noise="gaussian", noise__scale=0.7)
    ae.set_params(noise=GaussianNoise(0.2))
    assert ae.get_params()["noise__scale"] == 0.2
    given_noise = ae.noise
    assert ae.set_params(noise__scale=0.3).noise is given_noise
    assert given_noise.scale == 0.3
    assert "noise__scale" not in ae.set_params(noise=None).get_params()
    ae = small(noise="gaussian", noise__scale=0.7).set_params(noise=GaussianNoise(), noise__scale=0.4)
    assert ae.noise.scale == ae.get_params()["noise__scale"] == 0.4


def test_instance_and_nested_parameter_in_constructor():
    given_noise = GaussianNoise(0.2)
    ae = small(noise=given_noise, noise__scale=0.7).fit(X)
    assert ae.module_.noise.scale == ae.get_params()["noise__scale"] == 0.7
    assert given_noise.scale == 0.2, "fit trains a copy"
    assert ae.set_params(noise__scale=0.4).fit(X).module_.noise.scale == 0.4
    with pytest.raises(TypeError, match="noise=GaussianNoise has no parameter noise__fraction"):
        small(noise=given_noise, noise__fraction=0.7).fit(X)


def test_doubly_nested_parameters():
    first = GaussianNoise(0.1)
    for kind in ("compose", Compose):
        ae = small(noise=kind, noise__first=first, noise__second=MaskingNoise(), noise__first__scale=0.7).fit(X)
        assert (ae.module_.noise.first.scale, first.scale) == (0.7, 0.1)
    with pytest.raises(TypeError, match="noise=Compose needs noise__second"):
        small(noise=Compose, noise__first=first).fit(X)


def test_nested_parameters_of_absent_part_raise():
    with pytest.raises(
        ValueError, match="noise__scale needs a noise with this parameter, got noise=None: set noise, too"
    ):
        small(noise__scale=0.3).fit(X)
    ae = small()
    for name in ("noise__scale", "prior__n_components"):
        with pytest.raises(ValueError, match=f"{name} needs a .* with this parameter, got .*=None"):
            ae.set_params(**{name: 2})
    assert ae.get_params() == small().get_params()


def test_nested_parameters_are_saved(tmp_path):
    ae = small(noise="gaussian", noise__scale=0.7, loss="mae", n_iter_no_change=np.inf).fit(X)
    skae.save(ae, tmp_path / "ae.skae")
    found = skae.load(tmp_path / "ae.skae")
    assert found.get_params() == ae.get_params()
    np.testing.assert_array_equal(found.transform(X), ae.transform(X))
    np.testing.assert_array_equal(codes(clone(found)), ae.transform(X))


# ------------------------------------------------------------------ hints


@pytest.mark.parametrize(
    ("params", "match"),
    [
        ({"hidden_layer_sizes": (64,)}, r"no parameter hidden_layer_sizes\. Did you mean module__hidden_layer_sizes\?"),
        ({"latent_dim": 3}, r"Did you mean n_components\?"),
        ({"whiten": True}, "no parameter whiten. Add a StandardScaler after it"),
        ({"epochs": 3}, r"Did you mean max_epochs\?"),
        ({"batchsize": 3}, r"Did you mean batch_size\?"),
        ({"weight_decay": 1e-3}, r"Did you mean optimizer__weight_decay\?"),
        ({"noise": "gaussian", "scale": 1.0}, r"Did you mean noise__scale\?"),
        ({"loss": losses.Huber(), "delta": 1.0}, r"Did you mean loss__delta\?"),
        ({"module": "gru", "hidden_size": 3}, r"Did you mean module__hidden_size\?"),
        ({"beta": 2.0}, "Use VAEGenerator, which has it"),
        ({"zzz": 2.0}, r"no parameter zzz\. Valid parameters are: alpha"),
    ],
)
def test_hints_for_unknown_parameters(params, match):
    with pytest.raises(TypeError, match=match):
        AutoencoderTransformer(2, **params).fit(X)
    (name,) = set(params) - {"noise", "loss", "module"}
    parts = {slot: value for slot, value in params.items() if slot != name}
    ae = AutoencoderTransformer(2, **parts)
    before = ae.get_params()
    with pytest.raises(ValueError, match=f"Invalid parameter '{name}'") as error:
        ae.set_params(lr=1.0, **{name: params[name]})
    assert match.startswith("no") or match.replace("\\", "") in str(error.value)
    assert ae.get_params() == before, "the refused call has set nothing"


def test_hints_name_valid_parameters():
    own = {name for cls in ESTIMATORS for name in inspect.signature(cls).parameters}
    own |= {f"module__{name}" for name in inspect.signature(MLP).parameters} | {"iterator_train__shuffle"}
    for hints in (_PARAMETERS, _ARGUMENTS, _ATTRIBUTES):
        assert all(hint in own or hint.count(" ") for hint in hints.values())
    common = set.intersection(*(set(inspect.signature(cls).parameters) for cls in ESTIMATORS))
    assert not common & set(_PARAMETERS), "a parameter that there is needs no hint"


@pytest.mark.parametrize("name", ["predict", "components_", "explained_variance_ratio_", "encoder_", "history_"])
@pytest.mark.parametrize("cls", [*ESTIMATORS, Reconstructor])
def test_hints_for_unknown_attributes(cls, name):
    est = Reconstructor(small()) if cls is Reconstructor else small(cls)
    assert not hasattr(est, name)
    assert getattr(est, name, None) is None
    with pytest.raises(AttributeError, match=f"^'{cls.__name__}' object has no attribute '{name}'. .*[.]$"):
        getattr(est, name)


def test_existing_attributes_have_no_hint():
    for cls in ESTIMATORS:
        fitted = small(cls, **({"input_shape": (2, 2), "module": "mlp"} if cls is ConvAutoencoder else {})).fit(X)
        assert not (set(_ATTRIBUTES) & {*vars(fitted)})
    assert not set(_ATTRIBUTES) & {*dir(AutoencoderTransformer)} - {"sample_posterior", "explained_variance_ratio_"}


def test_conditional_attributes_name_their_condition():
    ae = small().fit(X)
    assert not hasattr(ae, "sample")
    with pytest.raises(AttributeError, match=r"no attribute 'sample'\. sample needs a density of the codes: set prior"):
        _ = ae.sample
    assert hasattr(ae.set_params(prior=GaussianMixture()), "sample")
    vae = small(VAEGenerator, bottleneck="identity", prior=None).fit(X)
    with pytest.raises(AttributeError, match="need a bottleneck that gives distributions"):
        _ = vae.sample_posterior
    with pytest.raises(AttributeError, match=r"^'AutoencoderTransformer' object has no attribute 'net_'$"):
        _ = AutoencoderTransformer().module_
    with pytest.raises(AttributeError, match=r"^'AutoencoderTransformer' object has no attribute 'zzz'$"):
        _ = AutoencoderTransformer().zzz


def test_explained_variance_hint_matches_pca():
    ae = AutoencoderTransformer(2, max_epochs=0, random_state=0).fit(X)
    explained = PCA(2).fit(X).explained_variance_ratio_.sum()
    assert explained_variance(X, ae.reconstruct(X)) == pytest.approx(explained, rel=1e-4)


@pytest.mark.parametrize(
    ("name", "match"),
    [
        ("validation_data", "Pass held-out data as X_val"),
        ("epochs", r"It is set on the estimator: {}\(max_epochs=...\)"),
        ("batch_size", r"It is set on the estimator: {}\(batch_size=...\)"),
        ("X_clean", "as X_target"),
        ("sample_weigth", r"Did you mean sample_weight\?"),
        ("zzz", "Valid parameters are: X, X_target, X_val"),
    ],
)
@pytest.mark.parametrize("cls", ESTIMATORS)
def test_unknown_arguments_of_fit_raise(cls, name, match):
    est = small(cls)
    with pytest.raises(TypeError, match=f"^{cls.__name__}.fit has no parameter {name}. .*{match.format(cls.__name__)}"):
        est.fit(X, **{name: X})
    assert vars(est) == vars(small(cls))
    with pytest.raises(TypeError, match=f"^{cls.__name__}.partial_fit has no parameter validation_data"):
        est.partial_fit(X, validation_data=X)
    with pytest.raises(
        TypeError, match=rf"^{cls.__name__}.fit takes X and y by position, got 3: pass .*X_val.* by name"
    ):
        est.fit(X, None, X)


# ------------------------------------------------------------------ values that change


@pytest.mark.parametrize("bottleneck", ["gaussian", "vae", bottlenecks.Gaussian, bottlenecks.TotalCorrelation()])
def test_gaussian_bottleneck_outside_vae_generator_warns(bottleneck):
    with pytest.warns(UserWarning, match="AutoencoderTransformer has no likelihoods and no sampling: use VAEGenerator"):
        codes(small(bottleneck=bottleneck))
    codes(small(VAEGenerator, bottleneck=bottleneck, prior=None))  # warns of nothing


@pytest.mark.parametrize("lr_schedule", ["onecycle", "cosine", "plateau", None])
@pytest.mark.parametrize("endless", [np.inf, float("inf"), np.float32("inf")])
def test_no_early_stopping_runs_all_epochs(endless, lr_schedule):
    # lr=1e-9 improves nothing by tol, so that any finite number would stop.
    params = {"max_epochs": 5, "lr_schedule": lr_schedule, "lr": 1e-9, "tol": 0.5, "early_stopping": True}
    ae = small(n_iter_no_change=endless, **params).fit(X)
    assert ae.n_iter_ == 5
    assert small(n_iter_no_change=2, **params).fit(X).n_iter_ == 2
    if lr_schedule == "plateau":
        assert ae.net_.optimizer_.param_groups[0]["lr"] == 1e-9, "it never halves the rate either"


CHANGES = [
    ({"n_components": 3}, "n_components was 2 and is 3"),
    ({"module__hidden_layer_sizes": (5, 4)}, r"module__hidden_layer_sizes was \(8,\) and is \(5, 4\)"),
    (
        {"module__hidden_layer_sizes": np.array([5, 4])},
        r"hidden_layer_sizes was \(8,\) and is array\(\[5, 4\]\)",
    ),
    ({"module__linear_skip": False}, "module__linear_skip was its default and is False"),
    ({"loss": "gaussian"}, r"loss was SquaredError\(\) and is Gaussian"),
    ({"module": lambda input_shape, n_components: MLP(input_shape, n_components)}, "module was MLP and is <lambda>"),
]


@pytest.mark.parametrize(("changes", "match"), CHANGES, ids=lambda value: str(value)[:30])
def test_warm_start_with_another_network_raises(changes, match):
    ae = small(warm_start=True).fit(X)
    before = ae.transform(X)
    for est in (ae, pickle.loads(pickle.dumps(ae))):
        est.set_params(**changes)
        if "module" in changes:
            del est._extra["module__hidden_layer_sizes"]
        for train in (est.fit, est.partial_fit):
            with pytest.raises(ValueError, match=f"need the same network: .*{match}") as error:
                train(X)
            assert "size mismatch" not in str(error.value)
            assert error.value.__suppress_context__
        np.testing.assert_array_equal(est.transform(X), before)
        assert est.set_params(warm_start=False).fit(X).n_iter_ == 1


# ------------------------------------------------------------------ pixels


@pytest.mark.parametrize("size", [2, 3, np.int64(6)])
def test_block_size_in_pixels(size):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        hidden = BlockMasking(size)(torch.ones(50, 2, 6, 9)).isnan()
        run = BlockMasking(size)(torch.ones(50, 9)).isnan()
    assert (hidden.sum((2, 3)) == int(size) ** 2).all()
    assert (run.sum(1) == int(size)).all()


def test_block_size_is_limited_to_shorter_side():
    with torch.random.fork_rng():
        assert (BlockMasking(7)(torch.ones(5, 1, 3, 9)).isnan().sum((1, 2, 3)) == 21).all()
    images = np.random.default_rng(0).random((20, 6, 6))
    conv = ConvAutoencoder(2, max_epochs=1, random_state=0, module__channels=2, module__hidden_layer_sizes=())
    assert conv.set_params(noise="block", noise__size=3, missing="mask").fit(images).module_.noise.size == 3
    with pytest.raises(ValueError, match=r"BlockMasking: size=7 pixels exceeds the longest side of the image, 6"):
        conv.set_params(noise__size=7).fit(images)
