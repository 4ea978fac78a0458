"""Fitted estimators of every kind, ways to save them, and what must be the same afterwards."""

import copy
import functools
import pickle
import re
import types
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import cloudpickle
import joblib
import numpy as np
import pandas as pd
import skops.io as sio
import torch
from sklearn import config_context
from sklearn.base import BaseEstimator, clone
from sklearn.decomposition import PCA
from sklearn.impute import KNNImputer, SimpleImputer
from sklearn.mixture import BayesianGaussianMixture, GaussianMixture
from sklearn.model_selection import KFold
from sklearn.neighbors import KernelDensity
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import get_tags
from sklearn.utils.metadata_routing import MetadataRequest
from skorch.callbacks import Callback, EarlyStopping
from skorch.history import History
from torch import nn

import skae
from skae import (
    AutoencoderTransformer,
    ConvAutoencoder,
    OutlierDetector,
    Reconstructor,
    VAEGenerator,
    bottlenecks,
    critics,
    losses,
    noise,
)
from skae._training.net import AutoencoderNet
from skae._utils.rng import Stream
from skae.coding import Autoregressive, Factorized
from skae.nn import EncoderDecoder
from skae.tables import TableAutoencoder, TableEncoder

# ------------------------------------------------------------------ what users write


class UserNet(nn.Module):
    """A network of somebody else's."""

    def __init__(self, input_shape, n_components, n_outputs, width=5):
        super().__init__()
        self.first = nn.Linear(input_shape[0], width)
        self.second = nn.Linear(width, n_outputs)
        self.back = nn.Linear(n_components, input_shape[0])
        self.register_buffer("seen", torch.zeros(3))
        self.seen[1] = 7

    def encode(self, x):
        return self.second(torch.tanh(self.first(x)))

    def decode(self, z):
        return self.back(z)


def make_network(input_shape, n_components, n_outputs):
    return UserNet(input_shape, n_components, n_outputs, width=4)


class Outer:
    class NestedNet(UserNet):
        """One whose name has a dot."""


class UserBottleneck(bottlenecks.Bottleneck):
    def __init__(self, weight=0.5):
        super().__init__()
        self.weight = weight

    def forward(self, h):
        self.calls = getattr(self, "calls", 0) + 1
        return bottlenecks.Latent(h, self.weight * h.square().sum(1))


class UserLoss(losses.SquaredError):
    def elementwise(self, raw, x):
        return (raw - x).abs() ** 1.5

    def rescale(self, value, scale, n_values):
        return value * scale**1.5


class UserNoise(noise.Noise):
    def __init__(self, shift=0.2):
        super().__init__()
        self.shift = shift

    def corrupt(self, x):
        return x + self.shift


class UserEstimator(AutoencoderTransformer):
    """One that adds nothing but a name."""


class UserDensity(BaseEstimator):
    def __init__(self, width=0.1):
        self.width = width

    def fit(self, X, y=None):
        self.center_ = X.mean(axis=0)
        return self

    def sample(self, n_samples=1, random_state=None):
        return np.random.default_rng(random_state).normal(self.center_, self.width, (n_samples, len(self.center_)))


class UserOptimizer(torch.optim.SGD):
    """One with torch's arithmetic."""


class UserCallback(Callback):
    def __init__(self, note="x"):
        self.note = note

    def on_epoch_end(self, net, **kwargs):
        self.n_epochs_ = getattr(self, "n_epochs_", 0) + 1


def fill_with_zero(A):
    return np.nan_to_num(A)


def requesting(est):
    with config_context(enable_metadata_routing=True):
        return est.set_fit_request(sample_weight=True, X_val="others").set_score_request(sample_weight=False)


# ------------------------------------------------------------------ data

N = 30


@functools.cache
def table():
    rng = np.random.default_rng(0)
    t = rng.uniform(-1, 1, (N, 2))
    X = np.column_stack([t, t[:, :1] ** 2, np.sin(3 * t), t[:, :1] * t[:, 1:]]) + 0.05 * rng.normal(size=(N, 6))
    X.flags.writeable = False
    return X


def holes():
    X = table().copy()
    X[np.random.default_rng(1).random(X.shape) < 0.2] = np.nan
    return X


def frame():
    return pd.DataFrame(table(), columns=[f"column {i}" for i in range(6)])


def mixed():
    """A table of numbers, categories, a flag, counts and dates, with holes."""
    rng = np.random.default_rng(6)
    df = pd.DataFrame(
        {
            "number": rng.normal(size=N).round(2),
            "zeros": np.where(rng.random(N) < 0.5, 0, rng.exponential(size=N)),
            "count": rng.poisson(2.0, N),
            "color": pd.Categorical(rng.choice(["red", "green", "blue", "gray"], N), ["gray", "blue", "green", "red"]),
            "word": rng.choice(["a", "b"], N),
            "day": pd.date_range("2026-01-01", periods=N, tz="UTC"),
            "whole": pd.array(rng.integers(0, 9, N), dtype="Int64"),
        }
    )
    df.loc[::5, ["number", "color", "word", "day", "whole"]] = None
    return df


def images(*shape):
    return np.random.default_rng(2).random((16, *shape)) + np.linspace(0, 1, shape[0]).reshape(
        -1, *[1] * (len(shape) - 1)
    )


def sizes(*channels):
    """Images of different sizes."""
    rng = np.random.default_rng(5)
    return [rng.random((7 + i % 3, 9 - i % 4, *channels)) + i / 12 for i in range(12)]


def holed_sizes():
    X = sizes()
    for i, image in enumerate(X):
        image[i % 4, 1:4] = np.nan
    return X


def sequences(padded=True):
    X = np.sin(np.arange(7)[:, None] * np.random.default_rng(3).uniform(0.2, 0.9, (20, 1, 2)))
    if padded:
        for row, end in zip(X, np.random.default_rng(4).integers(2, 8, 20), strict=True):
            row[end:] = np.nan
    return X


def shares():
    return np.clip(table() + 0.5, 0, 1)


def levels():
    return (shares() * 15).round()


def one_hot():
    return np.eye(6)[table().argmax(1)]


def of_all_kinds():
    """A number, a category of three, a flag and a count."""
    X = table()
    return np.column_stack([1e3 * X[:, 0], np.eye(3)[X[:, 1:4].argmax(1)], X[:, 4] > 0, (9 * shares()[:, 5]).round()])


Y = {
    "int": np.arange(N) % 3,
    "str": np.array(["a", "bb", "ccc"])[np.arange(N) % 3],
    "object": np.array(["a", "bb", "ccc"], dtype=object)[np.arange(N) % 3],
    "bool": np.arange(N) % 2 == 0,
    "float": np.arange(N) % 2 + 0.0,
    "target": np.sin(np.arange(N)),
    "targets": np.sin(np.arange(2 * N)).reshape(N, 2),
}

# ------------------------------------------------------------------ cases


@dataclass
class Case:
    """An estimator to fit, and what it is fitted to."""

    make: Callable[[], Any]
    X: Callable[[], Any] = table
    y: Any = None
    fit: dict[str, Any] = field(default_factory=dict)
    trusted: tuple = ()
    pandas: bool = False


CASES: dict[str, Case] = {}
SMALL: dict[str, Any] = {"max_epochs": 2, "batch_size": 16, "random_state": 0}


def ae(**params):
    mlp = {} if "module" in params else {"module__hidden_layer_sizes": (5,)}
    return AutoencoderTransformer(**{"n_components": 2} | SMALL | mlp | params)


def vae(**params):
    mlp = {} if "module" in params else {"module__hidden_layer_sizes": (5,)}
    return VAEGenerator(**{"n_components": 2, "prior": None} | SMALL | mlp | params)


def conv(**params):
    small = {"module__channels": (3, 4), "module__hidden_layer_sizes": (6,)}
    return ConvAutoencoder(**{"n_components": 2} | SMALL | small | params)


def add(name, make, /, X=table, y=None, trusted=(), pandas=False, **fit):
    assert name not in CASES
    CASES[name] = Case(make, X, y, fit, tuple(trusted), pandas)


def late(make, /, **params):
    return functools.partial(make, **params)


add("ae", ae)
add("vae", vae)
add("conv", conv, lambda: images(6, 6))
add("without validation", late(ae, early_stopping=False))
add("start", late(ae, max_epochs=0))

# networks
add("mlp tanh", late(ae, module__activation="tanh", module__normalization="batch", module__dropout=0.2))
add(
    "mlp deep",
    late(ae, module__hidden_layer_sizes=[6, 4], module__activation="relu", module__normalization="layer",
         module__linear_skip=False),
)  # fmt: skip
for name, params in {
    "plain": {},
    "pool": {"module__downsampling": "max_pool", "module__upsampling": "resize", "module__n_residual_blocks": 1},
    "whole": {"module__downsampling": None, "module__decoder": "dense", "module__normalization": "group"},
    "spatial": {"module__dense": False, "module__kernel_size": 5, "module__activation": "gelu"},
}.items():
    add(f"conv {name} channels last", late(conv, **params), lambda: images(6, 5, 3))
add("conv channels first", late(conv, channel_axis=0), lambda: (images(3, 6, 6) * 100).astype(np.uint8))
add("conv flat", late(conv, input_shape=(5, -1)), lambda: images(30))
add("conv mask", late(conv, missing="mask", noise="block_masking", bottleneck="mmd"), lambda: images(6, 6))
add(
    "vae conv conditional",
    late(vae, module="conv", conditional=True, module__channels=(3,)),
    lambda: images(4, 4),
    Y["str"][:16],
)
# images of different sizes
shuffled = {"module__dense": False, "module__downsampling": "unshuffle", "module__upsampling": "shuffle"}
add("conv crops", late(conv, augmentation="flip_rotate", n_crops=32, **shuffled), lambda: sizes())
add("conv crops color", late(conv, crop_size=(6, 4), **shuffled), lambda: sizes(3))
add("conv crops mask", late(conv, missing="mask", noise="masking_noise", **shuffled), lambda: holed_sizes())
add("conv crops pooled", late(conv, pooling="max", crop_size=6, **shuffled), lambda: sizes())
add("conv crops of equal images", late(conv, crop_size=4, module__dense=False), lambda: [*images(6, 6)])
add("vae crops", late(vae, module="conv", module__channels=(3,), crop_size=4, module__dense=False), lambda: sizes())
add(
    "vae crops conditional",
    late(vae, module="conv", module__channels=(3,), conditional=True, crop_size=4, module__dense=False),
    lambda: sizes(),
    Y["str"][:12],
)
add("gru", late(ae, module="gru", module__hidden_size=4), sequences)
add(
    "gru deep",
    late(ae, module="gru", module__hidden_size=3, module__n_layers=2, module__bidirectional=False),
    lambda: sequences(False),
)
add("tcn", late(ae, module="tcn", module__channels=4, module__n_layers=2, missing="mask"), sequences)
add("vae tcn", late(vae, module="tcn", module__channels=4, module__n_layers=1, prior="mixture"), sequences)


def seeded(make):
    """What ``make`` returns, layers with the same weights each time."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return make()


HALVES = {
    "layers": lambda: {
        "module__encoder": nn.Sequential(nn.Linear(6, 5), nn.LayerNorm(5), nn.Tanh(), nn.Dropout(0.1), nn.Linear(5, 2)),
        "module__decoder": nn.Linear(2, 6, bias=False),
    },
    "nested layers": lambda: {
        "module__encoder": nn.Sequential(
            nn.Unflatten(1, (1, 6)),
            nn.Sequential(nn.Conv1d(1, 3, 3, padding=1), nn.BatchNorm1d(3), nn.LeakyReLU(0.2)),
            nn.Flatten(),
            nn.Linear(18, 2),
        ),
        "module__decoder": nn.Sequential(nn.Linear(2, 4), nn.GELU(), nn.Linear(4, 6)),
    },
    "classes": lambda: {
        "module__encoder": nn.Linear,
        "module__decoder": nn.Linear,
        "module__encoder__in_features": 6,
        "module__encoder__out_features": 2,
        "module__decoder__in_features": 2,
        "module__decoder__out_features": 6,
    },
    "partials": lambda: {
        "module__encoder": functools.partial(nn.Linear, 6, 2),
        "module__decoder": functools.partial(nn.Linear, 2, out_features=6),
    },
}
for name, halves in HALVES.items():
    add(f"pair {name}", lambda halves=halves: ae(module=EncoderDecoder, **seeded(halves)))
add("partial of ours", late(ae, module=functools.partial(skae.nn.MLP, hidden_layer_sizes=(4,))))


# parts: everything that there is, as object with other values, as string and as class
def members(module, base):
    """The public parts of ``module``, by their names."""
    parts = {name: getattr(module, name) for name in module.__all__}
    bases = base, losses.Likelihood
    return {name: cls for name, cls in parts.items() if issubclass(cls, base) and cls not in bases}


BOTTLENECKS = members(bottlenecks, bottlenecks.Bottleneck) | {
    "Sparse": late(bottlenecks.Sparse, weight=0.3),
    "KSparse": late(bottlenecks.KSparse, k=1, ratio=2.0),
    "SquaredNorm": late(bottlenecks.SquaredNorm, weight=0.2),
    "MMD": late(bottlenecks.MMD, weight=3.0),
    "Gaussian": late(bottlenecks.Gaussian, beta=2.0, warmup=0.7, free_bits=0.1),
    "TotalCorrelation": late(bottlenecks.TotalCorrelation, beta=2.0, warmup=0.9),
    "Nested": late(bottlenecks.Nested, full=0.4),
    "FSQ": late(bottlenecks.FSQ, levels=(4, 3)),
    "VectorQuantizer": late(bottlenecks.VectorQuantizer, n_codes=5, decay=0.5, commitment=0.3, restart_below=0.1),
}
LOSSES = members(losses, losses.Loss) | {
    "Huber": late(losses.Huber, delta=0.3),
    "Gaussian": late(losses.Gaussian, scale="learned", floor=1e-2),
    "Laplace": late(losses.Laplace, scale=0.4),
    "DiscretizedLogistic": late(losses.DiscretizedLogistic, n_levels=16, scale="learned"),
    "Mixed": lambda: losses.Mixed(
        [(losses.Laplace(per_feature=True), [0]), ("categorical", [1, 2, 3]), ("bernoulli", 4), ("poisson", [5])]
    ),
}
DATA_OF = {
    "Bernoulli": shares,
    "DiscretizedLogistic": levels,
    "Poisson": levels,
    "NegativeBinomial": levels,
    "Categorical": one_hot,
    "Mixed": of_all_kinds,
}
NOISES = members(noise, noise.Noise) | {
    "GaussianNoise": late(noise.GaussianNoise, scale=(0.1, 0.3), unit="data"),
    "MaskingNoise": late(noise.MaskingNoise, fraction=0.5),
    "BlockMasking": late(noise.BlockMasking, size=0.3, n_blocks=2),
    "SaltAndPepper": late(noise.SaltAndPepper, fraction=0.3),
    "Compose": lambda: noise.Compose(
        noise.Compose(noise.GaussianNoise(0.2), noise.SaltAndPepper(0.2)), noise.MaskingNoise(0.1)
    ),
}
# Parts do not depend on each other: each of them in one case is enough, and each in a generator that it suits.
for i, (bottleneck, make) in enumerate(BOTTLENECKS.items()):
    loss, other = [*LOSSES.items()][i % len(LOSSES)]
    corrupt = [*NOISES.values()][i % len(NOISES)]
    add(
        f"parts {bottleneck} {loss}",
        lambda make=make, other=other, corrupt=corrupt: ae(bottleneck=make(), loss=other(), noise=corrupt()),
        DATA_OF.get(loss, table),
    )
for i, loss in enumerate(name for name in LOSSES if issubclass(getattr(losses, name), losses.Likelihood)):
    make = [*BOTTLENECKS.values()][i % len(BOTTLENECKS)]
    add(
        f"vae parts {loss}",
        lambda make=make, loss=loss: vae(bottleneck=make(), loss=LOSSES[loss]()),
        DATA_OF.get(loss, table),
    )
add("nested by share", late(ae, bottleneck="nested", n_components=0.3))
add("parts by name", late(ae, bottleneck="sparse", loss="huber", noise="gaussian_noise"))
add(
    "parts by class",
    late(
        ae,
        module=skae.nn.MLP,
        module__hidden_layer_sizes=(5,),
        bottleneck=bottlenecks.KSparse,
        loss=losses.Laplace,
        noise=noise.SaltAndPepper,
        n_components=8,
    ),
)
add("vae critic", late(vae, critic="dense", critic__max_epochs=1, prior="mixture"))
add("conv critic", late(conv, critic=critics.Patch((4,), max_epochs=1)), lambda: images(6, 6))
add("vae optimal", late(vae, loss=losses.Laplace("optimal", 0.01), importance_samples=3))

# priors
for kind, name, prior in (
    (ae, "mixture", "mixture"),
    (vae, "mixture", "mixture"),
    (ae, "GaussianMixture", GaussianMixture(2)),
    (vae, "diagonal", GaussianMixture(2, covariance_type="diag", random_state=3)),
    (ae, "Bayesian", BayesianGaussianMixture(n_components=2, max_iter=200)),
    (vae, "KernelDensity", KernelDensity(bandwidth=0.3, leaf_size=7)),
    (ae, "KernelDensity class", KernelDensity),
    (vae, "GaussianMixture class", GaussianMixture),
):
    add(f"{kind.__name__} prior {name}", late(kind, prior=prior))
_raster = {"n_layers": 1, "width": 4, "kernel_size": 3, "max_epochs": 1}
for name, prior in (("autoregressive", Autoregressive(**_raster)), ("Factorized class", Factorized)):
    add(f"ae prior {name}", late(ae, prior=prior, bottleneck="fsq"))
    add(f"conv prior {name}", late(conv, prior=prior, bottleneck="fsq", module__dense=False), lambda: images(6, 6))
add(
    "conditional classes autoregressive",
    late(vae, conditional="classes", bottleneck="fsq", prior="autoregressive", prior__width=4, prior__max_epochs=1),
    y=Y["str"],
)
_flow = {"prior__n_transforms": 1, "prior__width": 4, "prior__max_epochs": 1}
add("ae prior flow", late(ae, prior="flow", **_flow))
add("conditional classes flow", late(vae, conditional="classes", prior="flow", **_flow), y=Y["str"])
add("conditional targets flow", late(vae, conditional="targets", prior="flow", **_flow), y=Y["targets"])
add("weighted KernelDensity", late(vae, prior=KernelDensity(bandwidth=0.3)), sample_weight=np.arange(N) % 3 + 0.5)

# y
for name in ("str", "bool", "float", "target", "targets"):
    add(f"conditional {name}", late(vae, conditional=True), y=Y[name])
add(
    "conditional classes mixture",
    late(vae, conditional="classes", prior="mixture", bottleneck="total_correlation"),
    y=Y["str"],
)
add(
    "conditional targets mmd",
    late(vae, conditional="targets", prior=GaussianMixture(2), bottleneck="mmd"),
    y=Y["targets"],
)
add("conditional targets weighted", late(vae, conditional=True), y=Y["target"], sample_weight=np.arange(N) % 3 + 0.0)
add("conditional series", late(vae, conditional=True), frame, pd.Series(Y["object"]))

# data of other kinds, and other parameters
add("frame", ae, frame)
add("pandas", late(ae, lr_schedule="plateau", max_epochs=3), frame, pandas=True)
add("float32", late(ae, lr_schedule=None), lambda: table().astype(np.float32))
add("fortran", ae, lambda: np.asfortranarray(table()))
add("mask", late(ae, missing="mask", noise="masking_noise"), holes)
add("vae mask", late(vae, missing="mask"), holes)
add("validation data", ae, X_val=np.ascontiguousarray(table()[:9]), sample_weight=np.arange(N) % 3 + 0.0)
add("bf16", late(ae, precision="bf16", optimizer="sgd", optimizer__momentum=0.9))
add(
    "numpy numbers",
    late(ae, n_components=np.int64(2), lr=np.float64(1e-3), alpha=np.float32(0.1),
         random_state=np.random.RandomState(3)),
)  # fmt: skip
add(
    "more names",
    late(ae, optimizer="adamw", optimizer__weight_decay=0.1, iterator_train__shuffle=False,
         iterator_valid__batch_size=7),
)  # fmt: skip
add("device", late(ae, optimizer=torch.optim.Adamax, device=torch.device("cpu")))
add("requests", lambda: requesting(ae()))
add(
    "early stopping of skorch",
    lambda: ae(callbacks=[("stop", EarlyStopping("train_loss", 2))]),
    trusted=[EarlyStopping, print],  # its sink
)
add("callback of a user", lambda: ae(callbacks=[UserCallback("mine")]), trusted=[UserCallback])

# what is not ours
add("user's network", late(ae, module=UserNet, module__width=3), trusted=[UserNet])
add(
    "user's partial",
    lambda: ae(module=functools.partial(UserNet, width=3), bottleneck=UserBottleneck),
    trusted=[UserNet, UserBottleneck],
)
add("user's function", late(ae, module=make_network), trusted=[make_network])
add("user's nested class", late(ae, module=Outer.NestedNet), trusted=[Outer.NestedNet])
add("user's bottleneck", lambda: conv(bottleneck=UserBottleneck(0.1)), lambda: images(6, 6), trusted=[UserBottleneck])
for name, params in {
    "spatial": {},
    "resized": {"module__downsampling": "max_pool", "module__upsampling": "resize", "module__channels": (3,),
                "module__n_residual_blocks": 1, "module__normalization": "batch"},
}.items():  # fmt: skip
    add(
        f"user's bottleneck {name}",
        late(conv, bottleneck=UserBottleneck(0.1), module__dense=False, optimizer="sgd", **params),
        lambda: images(9, 7),
        trusted=[UserBottleneck],
    )
add("user's loss", lambda: ae(loss=UserLoss()), trusted=[UserLoss])
add("user's noise", lambda: ae(noise=noise.Compose(noise.GaussianNoise(), UserNoise())), trusted=[UserNoise])
add("user's density", lambda: vae(prior=UserDensity(0.2)), trusted=[UserDensity])
add("user's optimizer", late(ae, optimizer=UserOptimizer), trusted=[UserOptimizer])
add("user's estimator", lambda: UserEstimator(**ae().get_params()), trusted=[UserEstimator])

# around
add("reconstructor", lambda: Reconstructor(ae()))
add("reconstructor filling", lambda: Reconstructor(ae(missing="mask"), filling=SimpleImputer()), holes)
add("reconstructor neighbors", lambda: Reconstructor(vae(), filling=KNNImputer(), keep_observed=True), holes)
add("reconstructor pca", lambda: Reconstructor(PCA(2)), frame)
add("reconstructor function", lambda: Reconstructor(ae(), filling=fill_with_zero), holes, trusted=[fill_with_zero])
detector = functools.partial(OutlierDetector, cv=2, random_state=0)
add("detector", lambda: detector(ae(), trim=0.1), frame)
add("detector splitter", lambda: detector(ae(missing="mask"), criterion="standardized", cv=KFold(2)), holes)
ENCODER = TableEncoder(kinds={"count": "count"}, max_categories=3)
add("table encoder", lambda: clone(ENCODER), mixed)
add("table autoencoder", lambda: TableAutoencoder(vae(missing="mask", prior="mixture"), encoder=ENCODER), mixed)


@functools.cache
def fitted(name):
    """The estimator of a case, fitted once in a process: not to be changed."""
    case = CASES[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        est = case.make().fit(case.X(), case.y, **case.fit)
    return est.set_output(transform="pandas") if case.pandas else est


@functools.cache
def in_archive():
    """A pipeline with an autoencoder in it."""
    return make_pipeline(StandardScaler(), ae(prior=GaussianMixture(2))).fit(table())


# ------------------------------------------------------------------ ways to keep an estimator


def saved(est, path, trusted=(), **params):
    skae.save(est, path / "kept.skae", **params)
    return skae.load(path / "kept.skae", trusted=trusted)


def dumped(est, path, trusted=()):
    data = sio.dumps(est)
    unknown = sio.get_untrusted_types(data=data)
    named = {f"{thing.__module__}.{thing.__qualname__}" for thing in (*trusted, *NOT_OURS)}
    assert all(name.startswith("skae.") or name in named for name in unknown), unknown
    return sio.loads(data, trusted=unknown)


# What skops does not trust either where scikit-learn or a callback brings it.
NOT_OURS = (np.dtype, print, GaussianMixture, KFold, nn.Linear, torch.device, torch.optim.Adamax)


def in_pipeline(way):
    def keep(est, path, trusted=()):
        pipe = Pipeline([("scale", StandardScaler().fit(np.ones((2, 1)))), ("model", est)])
        return way(pipe, path, trusted)["model"]

    return keep


def joblibbed(est, path, trusted=()):
    joblib.dump(est, path / "kept.joblib", compress=3)
    return joblib.load(path / "kept.joblib")


def mapped(est, path, trusted=()):
    joblib.dump(est, path / "mapped.joblib")
    return joblib.load(path / "mapped.joblib", mmap_mode="r")


def by_pickle(protocol):
    return lambda est, path, trusted=(): pickle.loads(pickle.dumps(est, protocol))


WAYS: dict[str, Callable[..., Any]] = {
    "save": saved,
    "save with optimizer": functools.partial(saved, optimizer=True),
    "save twice": lambda est, path, trusted=(): saved(saved(est, path, trusted), path, trusted),
    "save in pipeline": in_pipeline(saved),
    **{f"pickle {protocol}": by_pickle(protocol) for protocol in range(2, 6)},
    "pickle of a pickle": lambda est, path, trusted=(): by_pickle(5)(by_pickle(5)(est, path), path),
    "joblib": joblibbed,
    "joblib mapped": mapped,
    "cloudpickle": lambda est, path, trusted=(): cloudpickle.loads(cloudpickle.dumps(est)),
    "skops": dumped,
    "skops in pipeline": in_pipeline(dumped),
    "deepcopy": lambda est, path, trusted=(): copy.deepcopy(est),
    "copy": lambda est, path, trusted=(): copy.copy(est),
}
# Tensors are what skops does not know: layers and networks of users stay away from it, trees of scikit-learn too.
NOT_FOR_SKOPS = [
    *("pair layers", "pair nested layers", "pair partials", "partial of ours", "requests", "weighted KernelDensity"),
    *(name for name in CASES if name.endswith(("prior KernelDensity", "prior KernelDensity class"))),
    *(name for name in CASES if name.startswith("user's") and not name.endswith(("estimator", "density", "optimizer"))),
]
KEEP_OPTIMIZER = ["save with optimizer", "deepcopy"]
KEEP_OPTIMIZER_TO_GO_ON = [name for name in WAYS if name not in ("save", "save twice", "save in pipeline", "copy")]
KEEP_CALLBACKS = [name for name in WAYS if not name.startswith("save")]

# ------------------------------------------------------------------ what must be the same


def outputs(est, X, y=None, *, all_of_them=True):
    """What an estimator says of X."""
    if isinstance(est, OutlierDetector):
        return {name: getattr(est, name)(X) for name in ("score_samples", "predict", "p_values", "explain")}
    found: dict[str, Any] = {"transform": est.transform(X)}
    if not all_of_them:
        return found
    found |= {"repr": re.sub(" at 0x\\w+", "", repr(est)), "tags": get_tags(est)}
    Z = found["transform"]
    if hasattr(est, "get_feature_names_out"):
        found["names"] = est.get_feature_names_out()
    if isinstance(est, Reconstructor):
        return found
    if isinstance(est, TableEncoder):
        return found | {"inverse_transform": est.inverse_transform(Z)}
    if isinstance(est, TableAutoencoder):
        found["given"] = est.sample(5, random_state=0, given={"word": "a"})
        found["filled"] = est.reconstruct(X, keep_observed=True)
        found["scores"] = est.score_samples(X)
        return found
    told = {} if getattr(est, "conditional", False) is False else {"y": y}
    if est.pooling is None:  # else there is nothing to decode
        found["inverse_transform"] = est.inverse_transform(Z, **told)
    found |= {
        "reconstruct": est.reconstruct(X),
        "reconstruct conditional": est.reconstruct(X, **told),
        "score_samples": est.score_samples(X),
        "score": est.score(X, **told),
    }
    if hasattr(est, "sample"):
        found["sample"] = est.sample(5, random_state=0)
        if told:
            found["sample conditional"] = est.sample(random_state=0, y=y[0])
    if hasattr(est, "transform_distribution"):
        found["distribution"] = est.transform_distribution(X)
    return found


def state(est):
    """Attributes, parameters included; private ones too."""
    params = est.get_params(deep=False)
    return vars(est) | params


_BLANK = set(vars(nn.Module())) - {"training"}
_NOT_KEPT = ("_skl_callbacks", "_parent_callback_ctx", "best_model_weights_")  # skorch itself drops the last


def differences(a, b, where="it", *, optimizer=True, callbacks=True, seen=None):
    """Where two things differ, bits, dtypes and order in memory included."""
    seen = {} if seen is None else seen
    if a is b or (id(a), id(b)) in seen:
        return
    go = functools.partial(differences, optimizer=optimizer, callbacks=callbacks, seen=seen)
    kinds = (type(a), type(b))
    if isinstance(a, np.ndarray):
        if kinds != (np.ndarray, np.memmap) and kinds[0] is not kinds[1]:
            yield f"{where}: {kinds}"
        elif a.dtype != b.dtype or a.shape != b.shape:
            yield f"{where}: {a.dtype} {a.shape}, {b.dtype} {b.shape}"
        elif a.dtype == object:
            yield from go(a.ravel().tolist(), b.ravel().tolist(), where)
        elif a.tobytes() != b.tobytes():
            yield f"{where}: values"
        elif (a.flags.c_contiguous or a.flags.f_contiguous) and a.flags.f_contiguous != b.flags.f_contiguous:
            yield f"{where}: order"
        return
    if kinds[0] is not kinds[1]:
        yield f"{where}: {a!r}, {b!r}"
        return
    if not isinstance(a, type | types.FunctionType | int | float | str | None):
        seen[id(a), id(b)] = a, b  # kept, so that no other comes to have the same id
    if isinstance(a, torch.Tensor):
        if (a.dtype, a.shape, a.stride(), a.device, a.requires_grad) != (
            b.dtype, b.shape, b.stride(), b.device, b.requires_grad
        ):  # fmt: skip
            yield f"{where}: {a.dtype} {a.stride()} {a.requires_grad}, {b.dtype} {b.stride()} {b.requires_grad}"
        elif a.detach().contiguous().numpy().tobytes() != b.detach().contiguous().numpy().tobytes():
            yield f"{where}: values"
    elif isinstance(a, torch.Generator):
        yield from go(a.get_state(), b.get_state(), where)
    elif isinstance(a, np.generic | float):
        if np.asarray(a).tobytes() != np.asarray(b).tobytes():
            yield f"{where}: {a!r}, {b!r}"
    elif isinstance(a, History):
        yield from go(a.to_list(), b.to_list(), where)
    elif isinstance(a, dict):
        if list(a) != list(b) and set(a) != set(b):
            yield f"{where}: {sorted(map(str, a.keys() ^ b.keys()))} in one only"
        for key in a.keys() & b.keys():
            yield from go(a[key], b[key], f"{where}.{key}")
    elif isinstance(a, list | tuple):
        if len(a) != len(b):
            yield f"{where}: {len(a)}, {len(b)}"
        for i, (one, other) in enumerate(zip(a, b, strict=False)):
            yield from go(one, other, f"{where}.{i}")
    elif isinstance(a, pd.DataFrame):
        yield from go(a.to_numpy(), b.to_numpy(), where)
        yield from go([*a.columns, *a.index], [*b.columns, *b.index], where)
    elif isinstance(a, np.random.RandomState):
        yield from go(a.get_state(), b.get_state(), where)
    elif isinstance(a, functools.partial):
        yield from go([a.func, a.args, a.keywords], [b.func, b.args, b.keywords], where)
    elif isinstance(a, Stream):
        yield from go(a.__getstate__(), b.__getstate__(), where)
    elif isinstance(a, AutoencoderNet):
        yield from _nets(a, b, where, go, optimizer, callbacks)
    elif isinstance(a, nn.Module):
        yield from _modules(a, b, where, go)
    elif isinstance(a, MetadataRequest):
        if str(a) != str(b):
            yield f"{where}: {a}, {b}"
    elif hasattr(a, "query_radius"):  # the tree of a KernelDensity
        yield from go(np.asarray(a.data), np.asarray(b.data), where)
        yield from go(*(None if t.sample_weight is None else np.asarray(t.sample_weight) for t in (a, b)), where)
    elif hasattr(a, "__dict__") and not isinstance(a, type | types.FunctionType):
        yield from go(*({k: v for k, v in vars(x).items() if k not in _NOT_KEPT} for x in (a, b)), where)
    elif a != b:
        yield f"{where}: {a!r}, {b!r}"


def _modules(a, b, where, go):
    names = [name for name, _ in a.named_modules()]
    if names != [name for name, _ in b.named_modules()]:
        yield f"{where}: other layers"
        return
    yield from go(dict(a.named_parameters()), dict(b.named_parameters()), where)
    yield from go(dict(a.named_buffers()), dict(b.named_buffers()), where)
    for name, one, other in zip(names, a.modules(), b.modules(), strict=True):
        if type(one) is not type(other):
            yield f"{where}.{name}: {type(one)}, {type(other)}"
        mine, theirs = (
            {key: value for key, value in vars(m).items() if key not in _BLANK and not isinstance(value, nn.Module)}
            | {"non persistent": sorted(m._non_persistent_buffers_set)}
            for m in (one, other)
        )
        if isinstance(one, nn.GRU):  # weak references of a GRU to its own weights
            mine.pop("_flat_weight_refs", None), theirs.pop("_flat_weight_refs", None)
            for weights, layer in ((mine.pop("_flat_weights"), one), (theirs.pop("_flat_weights"), other)):
                if any(w is not getattr(layer, n) for w, n in zip(weights, layer._flat_weights_names, strict=True)):
                    yield f"{where}.{name}: weights that are not its own"
        yield from go(mine, theirs, f"{where}.{name}")


def _nets(a, b, where, go, optimizer, callbacks):
    yield from go(a.module_, b.module_, f"{where}.module_")
    yield from go(a.history, b.history, f"{where}.history")
    yield from go(a.stream, b.stream, f"{where}.stream")
    for name in ("lr", "batch_size", "device", "alpha", "l1_ratio", "compile", "verbose", "optimizer", "max_epochs"):
        yield from go(getattr(a, name), getattr(b, name), f"{where}.{name}")
    plain = [{k: v for k, v in vars(n).items() if k.startswith(("optimizer__", "iterator_"))} for n in (a, b)]
    yield from go(*plain, where)
    if optimizer:
        yield from go(a.optimizer_state(), b.optimizer_state(), f"{where}.optimizer")
    if callbacks:
        mine, theirs = (
            [cb for name, cb in n.callbacks_ if not type(cb).__module__.startswith("skae.") and name not in _SKORCHS]
            for n in (a, b)
        )
        yield from go(mine, theirs, f"{where}.callbacks")


_SKORCHS = ("epoch_timer", "print_log")
