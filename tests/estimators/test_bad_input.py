"""Invalid input raises an error that names it, and leaves the estimator unchanged."""

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.mixture import GaussianMixture
from sklearn.pipeline import make_pipeline

from skae import AutoencoderTransformer, Reconstructor
from skae.bottlenecks import KSparse, Sparse
from skae.losses import DiscretizedLogistic, Huber
from skae.nn import MLP, EncoderDecoder
from skae.noise import BlockMasking, GaussianNoise, MaskingNoise

FIT = {"max_epochs": 2, "random_state": 0, "module__hidden_layer_sizes": (8,)}


def good():
    return np.random.default_rng(0).normal(size=(20, 4))


def with_value(value):
    X = good()
    X[3, 2] = value
    return X


class NoDecode(torch.nn.Module):
    def encode(self, x):
        return x[:, :2]


class WrongWidth(NoDecode):
    def decode(self, z):
        return z


PARAMS = [
    ({"n_components": 0}, ValueError, "n_components == 0, must be >= 1"),
    ({"n_components": 2.0}, TypeError, "n_components must be an instance of int"),
    ({"n_components": True}, TypeError, "n_components"),
    ({"n_components": "two"}, TypeError, "n_components"),
    (
        {"n_components": 0.95},
        TypeError,
        "n_components must be an int of at least 1, got 0.95. .*bottleneck='nested'.*GridSearchCV.*latent_size",
    ),
    ({"n_components": None}, TypeError, "n_components must be an int of at least 1, got None. .*GridSearchCV"),
    ({"n_components": "mle"}, TypeError, "n_components must be an int of at least 1, got 'mle'. .*GridSearchCV"),
    ({"module": "rnn"}, ValueError, r"module must be one of \['conv', 'gru', 'mlp', 'tcn'\]"),
    ({"module": 3}, TypeError, "module must be a string, a class or an nn.Module"),
    ({"module": NoDecode}, TypeError, "NoDecode has no decode"),
    ({"module": WrongWidth, "n_components": 2}, ValueError, r"WrongWidth.decode must map 2 codes of shape \(2,\)"),
    ({"module": WrongWidth}, ValueError, r"WrongWidth.encode must map samples of shape \(4,\) to \(3,\)"),
    ({"module__hidden_layer_size": (8,)}, TypeError, "Did you mean module__hidden_layer_sizes"),
    ({"module__n_components": 3}, TypeError, "has no parameter module__n_components"),
    ({"module__activation": "rely"}, ValueError, "activation must be one of .*'silu'.*got 'rely'. Did you mean 'relu'"),
    ({"module__activation": 3}, ValueError, "activation must be one of .*'silu'.*got 3"),
    ({"module__normalization": "group"}, ValueError, "normalization must be one of None"),
    ({"module__dropout": 1.0}, ValueError, "dropout == 1.0"),
    ({"module__hidden_layer_sizes": (8, 0)}, ValueError, "hidden_layer_sizes == 0"),
    ({"bottleneck": "sparce"}, ValueError, "bottleneck must be one of.*got 'sparce'. Did you mean 'sparse'"),
    ({"bottleneck__k": 3}, TypeError, "bottleneck=Identity has no parameter bottleneck__k"),
    ({"bottleneck": Sparse(-1)}, ValueError, "Sparse: weight == -1"),
    ({"bottleneck": KSparse(9)}, ValueError, "KSparse: k .at most the width of the code. == 9, must be <= 3"),
    ({"bottleneck": GaussianNoise()}, TypeError, "bottleneck must be a string, a Bottleneck class or an object"),
    ({"loss": "rmse"}, ValueError, "loss must be one of .*'squared_error'.*got 'rmse'"),
    (
        {"loss": "huber", "loss__delt": 2},
        TypeError,
        r"loss=Huber has no parameter loss__delt\. Did you mean loss__delta\?",
    ),
    ({"loss": Huber, "loss__delta": 0}, ValueError, "Huber: delta == 0"),
    ({"loss": None}, TypeError, "loss must be"),
    ({"loss": Huber(0)}, ValueError, "Huber: delta == 0"),
    ({"loss": "bernoulli"}, ValueError, r"loss=Bernoulli needs X in \[0, 1\]"),
    ({"noise": "gauss"}, ValueError, "noise must be one of"),
    ({"noise": "mask_noise"}, ValueError, "noise must be one of .* Did you mean 'masking_noise'"),
    (
        {"noise": "masking", "noise__scale": 1},
        TypeError,
        r"has no parameter noise__scale\. Valid parameters are: noise__fraction",
    ),
    ({"noise": BlockMasking(1.5)}, ValueError, "BlockMasking: size .a fraction of the side, or an integer .* == 1.5"),
    ({"noise": BlockMasking(5)}, ValueError, "BlockMasking: size=5 pixels exceeds the longest side .*, 4"),
    ({"noise": MaskingNoise(1.5)}, ValueError, "MaskingNoise: fraction == 1.5"),
    ({"prior": "mixtures"}, TypeError, "prior must be None, 'mixture', 'flow', 'auto' or a scikit-learn"),
    ({"prior": GaussianMixture(50)}, ValueError, "n_samples"),
    ({"alpha": -1}, ValueError, "alpha == -1, must be >= 0"),
    ({"l1_ratio": 1.5}, ValueError, "l1_ratio == 1.5"),
    ({"optimizer": "adamm"}, ValueError, "optimizer must be one of .*got 'adamm'. Did you mean 'adam'"),
    ({"optimizer": 3}, TypeError, "optimizer must be a string or a torch.optim class"),
    ({"optimizer__momentum": 0.9}, TypeError, "optimizer=Adam has no parameter optimizer__momentum"),
    ({"lr": 0}, ValueError, "lr == 0"),
    ({"lr": "fast"}, TypeError, "lr must be"),
    ({"max_epochs": -1}, ValueError, "max_epochs == -1"),
    ({"max_epochs": "many"}, TypeError, "max_epochs"),
    ({"batch_size": 0}, ValueError, "batch_size == 0"),
    ({"early_stopping": "yes"}, ValueError, "early_stopping must be one of 'auto', True, False"),
    ({"early_stopping": 1}, ValueError, "early_stopping"),
    ({"validation_fraction": 1.0}, ValueError, "validation_fraction"),
    ({"validation_fraction": 0.99}, ValueError, "leaves no samples of 20"),
    ({"n_iter_no_change": 0}, ValueError, "n_iter_no_change"),
    ({"n_iter_no_change": -np.inf}, TypeError, "n_iter_no_change"),
    ({"n_iter_no_change": np.nan}, TypeError, "n_iter_no_change"),
    ({"tol": -1e-3}, ValueError, "tol"),
    ({"lr_schedule": "step"}, ValueError, "lr_schedule must be one of None, 'onecycle', 'cosine', 'plateau'"),
    ({"lr_schedule": "one_cycle"}, ValueError, "got 'one_cycle'. Did you mean 'onecycle'"),
    ({"warm_start": "no"}, ValueError, "warm_start"),
    ({"device": "cuda:99"}, ValueError, "device='cuda:99' is not available here"),
    ({"device": "quantum"}, ValueError, "device must be 'auto', 'cpu' or a CUDA device .*, got 'quantum'"),
    ({"device": "mps"}, ValueError, r"^device must be 'auto', 'cpu' or a CUDA device .*, got 'mps'\.$"),
    ({"device": "gpu"}, ValueError, "got 'gpu'. A GPU is 'cuda'"),
    ({"random_state": "seed"}, ValueError, "random_state must be None, an int .* got 'seed'"),
    ({"random_state": -1}, ValueError, "random_state must be None, an int from 0 .* got -1"),
    ({"random_state": np.random.default_rng(0)}, ValueError, "random_state .* A Generator gives a seed"),
    ({"verbose": -1}, ValueError, "verbose"),
    ({"iterator_train__shuffled": True}, TypeError, "Did you mean iterator_train__shuffle"),
    ({"callbacks__nobody__x": 1}, TypeError, "callbacks has no parameter callbacks__nobody"),
    ({"callbacks__finite_loss": None}, TypeError, "callbacks has no parameter callbacks__finite_loss"),
    ({"callbacks__keep_best__tol": 1}, TypeError, "callbacks has no parameter callbacks__keep_best"),
    ({"iterator_train__batch_size": 0}, ValueError, "iterator_train__batch_size == 0"),
    ({"iterator_valid__batch_size": -1}, ValueError, "iterator_valid__batch_size == -1"),
    ({"module": "encoder_decoder"}, ValueError, r"module must be one of \['conv', 'gru', 'mlp', 'tcn'\]"),
    ({"optimizer": "optimizer"}, ValueError, "optimizer must be one of"),
    ({"noise": GaussianNoise(1e300)}, ValueError, "GaussianNoise: scale == 1e.300, must be finite in float32"),
    ({"noise": GaussianNoise("a")}, TypeError, "GaussianNoise: scale must be an instance of"),
    ({"noise": GaussianNoise(float("inf"))}, ValueError, "GaussianNoise: scale == inf, must be finite"),
    ({"bottleneck": KSparse(2.5)}, TypeError, "KSparse: k .* must be an instance of"),
    ({"module__dropout": "a"}, TypeError, "dropout must be an instance of"),
    ({"module__hidden_layer_sizes": 8.0}, TypeError, "hidden_layer_sizes must be an integer or a sequence"),
    ({"module__hidden_layer_sizes": 0}, ValueError, "hidden_layer_sizes == 0"),
    ({"device": 3.5}, TypeError, "device must be a string or a torch.device, got 3.5"),
    ({"device": 10**30}, ValueError, "device must be .*, got 10+"),
    ({"n_components": 10**30}, ValueError, "n_components == 10+, must be <= "),
    ({"n_iter_no_change": 10**400}, ValueError, "n_iter_no_change == 10+, must be <= "),
    ({"module__linear_skip": "no"}, ValueError, "linear_skip must be one of True, False"),
    ({"module__hidden_layer_sizes": np.array(8)}, TypeError, "hidden_layer_sizes must be an integer or a sequence"),
    ({"iterator_train__shuffle": "no"}, ValueError, "iterator_train__shuffle must be one of True, False"),
    ({"loss": DiscretizedLogistic(10**400)}, ValueError, "DiscretizedLogistic: n_levels == 10+, must be <= "),
    ({"loss": DiscretizedLogistic([2])}, TypeError, "DiscretizedLogistic: n_levels must be an instance of"),
    ({"device": "meta"}, ValueError, "device must be 'auto', 'cpu' or a CUDA device .*, got 'meta'"),
    ({"callbacks": 3}, TypeError, "callbacks"),
    ({"lr": 1e30, "optimizer": "sgd", "lr_schedule": None}, FloatingPointError, r"in epoch 1\. Try a lower lr"),
]

ARRAYS = [
    (lambda: with_value(np.nan), ValueError, r"Input X contains NaN in column 2\. Set missing='mask'"),
    (lambda: with_value(np.inf), ValueError, "Input X contains infinity or .* in column 2"),
    (lambda: np.array([["a", "b"], ["c", "d"]]), ValueError, "columns 0 and 1 have values such as 'a'"),
    (lambda: pd.DataFrame({"a": ["x", "y"], "b": [1, 2]}), ValueError, "column 'a' has .*OneHotEncoder"),
    (lambda: good()[:0], ValueError, r"0 sample\(s\)"),
    (lambda: good()[:, :0], ValueError, r"0 feature\(s\)"),
    (lambda: good()[:1], ValueError, r"1 sample\(s\).*minimum of 2"),
    (lambda: good()[0], ValueError, "Expected 2D array, got 1D array"),
    (lambda: good() + 1j, ValueError, "Complex data not supported"),
    (
        lambda: np.full((4, 3), np.datetime64("2020-01-01")),
        ValueError,
        "columns 0, 1 and 2 have dtype datetime64.*Turn dates into numbers",
    ),
    (lambda: with_value(1e300), ValueError, r"X has values up to 1e\+300, too large for float32, in column 2"),
    (lambda: None, ValueError, "Expected 2D array, got scalar array"),
    (lambda: np.array([[np.inf, -np.inf], [1, 2]], np.float16), ValueError, "Input X contains infinity"),
    (lambda: np.ma.masked_greater(good(), 1), ValueError, "Input X contains NaN"),
    (
        lambda: np.ma.masked_array(good().astype(str), mask=good() > 1),
        TypeError,
        "Masked arrays must have a floating-point or integer dtype",
    ),
    (lambda: torch.ones(20, 4, device="meta"), TypeError, "on the device 'meta'"),
    (lambda: torch.utils.data.TensorDataset(torch.ones(0, 4)), ValueError, r"0 sample\(s\)"),
]

BESIDE = [
    ({"X_target": good()[:5]}, ValueError, r"X_target must have the shape \(20, 4\)"),
    ({"X_target": with_value(np.nan)}, ValueError, "Input X_target contains NaN"),
    ({"X_val": good()[:, :2]}, ValueError, "X_val must have the shape"),
    ({"X_val": with_value(np.inf)}, ValueError, "Input X_val contains infinity"),
    ({"X_val": pd.DataFrame(good(), columns=list("dcba"))}, ValueError, "X_val must have the columns of X"),
    ({"X_target": pd.DataFrame(good(), columns=list("wxyz"))}, ValueError, "X_target must have the columns of X"),
    ({"X_val_target": good()}, ValueError, "X_val_target needs X_val"),
    ({"X_target": good(), "X_val": good()}, ValueError, "X_val needs X_val_target"),
    ({"X_val": good()[:9], "X_val_target": good()}, ValueError, r"X_val_target .* \(9, 4\) to match X_val, got"),
    ({"sample_weight": np.ones(3)}, ValueError, r"sample_weight must have the shape \(20,\)"),
    ({"sample_weight": -np.ones(20)}, ValueError, "sample_weight must have values from 0 to .* got -1 to -1"),
    ({"sample_weight": np.zeros(20)}, ValueError, "not all zero, got 0 to 0"),
    ({"sample_weight": np.full(20, np.nan)}, ValueError, "sample_weight contains NaN"),
    ({"sample_weight": np.full(20, 1e308)}, ValueError, r"sample_weight must have values from 0 to 3.4.*, got 1e\+308"),
    ({"sample_weight": np.ones((20, 1))}, ValueError, "sample_weight must have the shape"),
]


def refuses(ae, call, error, match):
    before = dict(vars(ae))
    weights = {k: v.clone() for k, v in ae.module_.state_dict().items()} if hasattr(ae, "net_") else {}
    with pytest.raises(error, match=match):
        call()
    assert vars(ae).keys() == before.keys()
    assert all(vars(ae)[name] is value for name, value in before.items())
    assert all(torch.equal(ae.module_.state_dict()[name], value) for name, value in weights.items())


@pytest.mark.filterwarnings("ignore:overflow encountered:RuntimeWarning")
@pytest.mark.parametrize(("params", "error", "match"), PARAMS, ids=lambda value: str(value)[:40])
def test_bad_parameters(params, error, match):
    base = {k: v for k, v in FIT.items() if not (k.startswith("module__") and "module" in params)}
    ae = AutoencoderTransformer(3, **base).set_params(**params)
    refuses(ae, lambda: ae.fit(good()), error, match)
    fitted = AutoencoderTransformer(3, **base)
    if "module" not in params:
        fitted.fit(good())
        fitted.set_params(**params)
        refuses(fitted, lambda: fitted.fit(good()), error, match)


@pytest.mark.parametrize(("make", "error", "match"), ARRAYS, ids=range(len(ARRAYS)))
def test_bad_arrays(make, error, match):
    ae = AutoencoderTransformer(2, **FIT)
    refuses(ae, lambda: ae.fit(make()), error, match)
    refuses(ae, lambda: ae.partial_fit(make()), error, match)
    ae.fit(good())
    refuses(ae, lambda: ae.fit(make()), error, match)


@pytest.mark.parametrize(("beside", "error", "match"), BESIDE, ids=lambda value: str(value)[:30])
def test_bad_other_arrays(beside, error, match):
    ae = AutoencoderTransformer(2, **FIT)
    X = pd.DataFrame(good(), columns=list("abcd")) if "columns of X" in match else good()
    refuses(ae, lambda: ae.fit(X, **beside), error, match)


@pytest.mark.parametrize("method", ["transform", "reconstruct", "score_samples", "score"])
def test_bad_arrays_after_fit(method):
    ae = AutoencoderTransformer(2, **FIT).fit(good())
    call = getattr(ae, method)
    refuses(ae, lambda: call(with_value(np.nan)), ValueError, "Input X contains NaN")
    refuses(ae, lambda: call(good()[:, :3]), ValueError, "X has 3 features, but .* is expecting 4")
    refuses(ae, lambda: call(good()[:0]), ValueError, "0 sample")
    refuses(ae, lambda: ae.partial_fit(good()[:, :3]), ValueError, "X has 3 features")
    refuses(ae, lambda: ae.inverse_transform(good()), ValueError, "X must be codes with 2 columns, .* got 4")
    refuses(ae, lambda: ae.inverse_transform(with_value(np.nan)[:, 1:3]), ValueError, "Input X contains NaN")


def test_bad_calls_of_sample():
    ae = AutoencoderTransformer(2, prior=GaussianMixture(), **FIT).fit(good())
    refuses(ae, lambda: ae.sample(0), ValueError, "n_samples == 0")
    refuses(ae, lambda: ae.sample(2.5), TypeError, "n_samples must be an instance of")


def test_mistyped_parameter_raises_in_fit_and_survives_clone():
    for ae in (AutoencoderTransformer(max_epoch=3), AutoencoderTransformer(modul__x=3)):
        (name,) = ae._extra
        assert clone(ae).get_params()[name] == 3
        refuses(ae, lambda ae=ae: ae.fit(good()), TypeError, f"AutoencoderTransformer has no parameter {name}")
    with pytest.raises(ValueError, match="Invalid parameter 'max_epoch'"):
        AutoencoderTransformer().set_params(max_epoch=3)
    with pytest.raises(ValueError, match="Invalid parameter 'modul'"):
        make_pipeline(AutoencoderTransformer()).set_params(autoencodertransformer__modul__x=3)


def test_methods_before_fit_raise():
    ae = AutoencoderTransformer(2, prior=GaussianMixture())
    for method in ("transform", "reconstruct", "score_samples", "score", "inverse_transform"):
        with pytest.raises(NotFittedError):
            getattr(ae, method)(good())
    for call in (ae.sample, ae.get_feature_names_out):
        with pytest.raises(NotFittedError):
            call()
    late = AutoencoderTransformer(2, **FIT).fit(good()).set_params(prior=GaussianMixture())
    with pytest.raises(NotFittedError, match="no fitted prior to draw from, since prior was set after fit"):
        late.sample()


def test_parameters_of_built_module_raise():
    with torch.random.fork_rng():
        module = MLP((4,), 2)
    ae = AutoencoderTransformer(2, max_epochs=1, module=module, module__dropout=0.1)
    refuses(ae, lambda: ae.fit(good()), TypeError, "module__dropout")
    with torch.random.fork_rng():
        layer = torch.nn.Linear(4, 2)
    ae = AutoencoderTransformer(
        2, max_epochs=1, module=EncoderDecoder, module__encoder=layer, module__decoder=torch.nn.Linear
    )
    refuses(ae, lambda: ae.fit(good()), TypeError, "in_features")
    ae.set_params(module__decoder=layer, module__encoder__bias=False)
    refuses(ae, lambda: ae.fit(good()), TypeError, "encoder__bias")


def test_failing_training_leaves_estimator_unchanged():
    class Bomb:
        epochs = 0

    from skorch.callbacks import Callback

    class Raise(Callback):
        def on_epoch_end(self, net, **kwargs):
            if Bomb.epochs:
                raise RuntimeError("bomb")

    ae = AutoencoderTransformer(2, callbacks=[Raise()], warm_start=True, **FIT).fit(good())
    Bomb.epochs = 1
    refuses(ae, lambda: ae.fit(good()), RuntimeError, "bomb")
    refuses(ae, lambda: ae.partial_fit(good()), RuntimeError, "bomb")


def test_masked_arrays_have_missing_values():
    X = np.ma.masked_greater(good(), 1)
    assert X.mask.any()
    ae, other = (AutoencoderTransformer(2, missing="mask", **FIT) for _ in range(2))
    ae.fit(X)
    other.fit(X.filled(np.nan))
    np.testing.assert_array_equal(ae.transform(X), other.transform(X.filled(np.nan)))
    rounded = np.ma.masked_equal(good().round().astype(int), 0)
    np.testing.assert_array_equal(ae.transform(rounded), ae.transform(rounded.astype(float).filled(np.nan)))


def test_lists_of_tensors_are_samples():
    ae = AutoencoderTransformer(2, **FIT).fit(good())
    rows = [torch.tensor(row, requires_grad=True) for row in good()]
    np.testing.assert_array_equal(ae.transform(rows), ae.transform(good()))


def test_overflow_in_network_raises():
    """Values within the range of float32, for which the output of the network is not."""
    ae = AutoencoderTransformer(2, **FIT).fit(0.1 * good())
    X, Z = np.full((3, 4), 3e38), np.full((3, 2), 3e38)
    for call in (lambda: ae.transform(X), lambda: ae.reconstruct(X), lambda: ae.score(X)):
        refuses(ae, call, ValueError, "The network produced non-finite values for X")
    refuses(ae, lambda: ae.inverse_transform(Z), ValueError, "The network produced non-finite values for the codes")
    # Rows that are merely far away score lowest, as it should be.
    far, farther, near = ae.score_samples(np.outer([1e25, 1e26, 1], np.ones(4)))
    assert np.isfinite(far)
    assert far == farther < near


def test_overflow_of_one_sample_raises():
    ae = AutoencoderTransformer(2, **FIT).fit(0.1 * good())
    X = np.vstack([good()] * 500)
    X[-1] = 3e38
    refuses(ae, lambda: ae.transform(X), ValueError, "The network produced non-finite values for X")


def test_overflow_of_sums_does_not_raise():
    """The quick look at the result sees a sum, and then the values."""
    ae = AutoencoderTransformer(2, **FIT).fit(good() * 1e37)
    Z = ae.transform(good() * 1e37)
    big = ae.inverse_transform(np.vstack([Z] * 200))
    with np.errstate(over="ignore"):
        assert not np.isfinite(np.abs(big).sum(dtype=np.float32))
    assert np.isfinite(big).all()


@pytest.mark.parametrize(
    "X", ["", [], {"a": 1}, torch.utils.data.TensorDataset(torch.ones(0, 4))], ids=["string", "list", "dict", "Dataset"]
)
def test_reconstructor_without_data_raises(X):
    with pytest.raises((ValueError, TypeError), match=r"array|dict"):
        Reconstructor(AutoencoderTransformer(2, **FIT)).fit(X)


def test_eight_bit_integers():
    X = good().round().clip(0, 8)
    ae = AutoencoderTransformer(2, loss=DiscretizedLogistic(9), **FIT).fit(X)
    narrow = torch.from_numpy(X).to(torch.float8_e4m3fn)
    np.testing.assert_allclose(ae.score_samples(narrow).float(), ae.score_samples(X), rtol=1e-5)


def test_keep_observed_with_dataset():
    X = good().astype(np.float32)
    imputer = Reconstructor(AutoencoderTransformer(2, missing="mask", **FIT), keep_observed=True)
    np.testing.assert_array_equal(imputer.fit_transform(torch.utils.data.TensorDataset(torch.from_numpy(X))), X)
    assert imputer.n_features_in_ == 4
