"""Exported graphs agree with the estimators."""

import copy
import functools
import random
import sys
from itertools import cycle, product

import numpy as np
import onnx
import onnxruntime
import pandas as pd
import pytest
import skl2onnx
import torch
from sklearn.base import is_classifier
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA
from sklearn.ensemble import RandomForestClassifier, VotingClassifier
from sklearn.exceptions import NotFittedError
from sklearn.feature_selection import SelectKBest, f_classif
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KernelDensity
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline, make_union
from sklearn.preprocessing import MinMaxScaler, RobustScaler, StandardScaler
from torch import nn

from skae import (
    AutoencoderTransformer,
    ConvAutoencoder,
    OutlierDetector,
    Reconstructor,
    VAEGenerator,
    bottlenecks,
    losses,
)
from skae.export import register_skl2onnx, to_onnx
from skae.nn import EncoderDecoder
from skae.nn._layers import ACTIVATIONS

pytestmark = pytest.mark.filterwarnings("ignore:No component of the code is active")

TRAINING = {"max_epochs": 2, "random_state": 0, "early_stopping": False, "lr": 1e-2}
SMALL = {**TRAINING, "module__hidden_layer_sizes": (8,)}
BATCHES = (1, 2, 37)


@pytest.fixture(autouse=True, scope="module")
def operators_read_once():
    """The exporter parses the source of its 497 operators for every graph, which is most of a small one's time."""
    from onnxscript._framework_apis import torch_2_5 as api

    with pytest.MonkeyPatch.context() as patch:
        for module in (m for name, m in sys.modules.items() if name.startswith(api.__package__)):
            if hasattr(module, "get_torchlib_ops"):
                patch.setattr(module, "get_torchlib_ops", functools.cache(module.get_torchlib_ops))
        yield


def rows(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def padded(X):
    """Sequences of many lengths."""
    X = X.copy()
    for i in range(0, len(X), 3):
        X[i, 3 + i % (X.shape[1] - 3) :] = np.nan
    return X


def holed(X):
    X = X.copy()
    X[np.random.default_rng(1).random(X.shape) < 0.2] = np.nan
    return X


def session_of(model):
    onnx.checker.check_model(model, full_check=True)
    return onnxruntime.InferenceSession(model.SerializeToString())


def exported(estimator, part, tmp_path):
    path = tmp_path / f"{part}.onnx"
    to_onnx(estimator, path, part)
    return session_of(onnx.load(path))


def assert_equal(found, wanted, tol=1e-5, dtype=np.float32):
    assert found.shape == wanted.shape
    assert found.dtype == dtype
    np.testing.assert_array_equal(np.isnan(found), np.isnan(wanted))
    assert np.nanmax(np.abs(found - wanted)) <= tol * np.nanmax(np.abs(wanted))


def check(estimator, X, tmp_path, parts=("encoder", "decoder", "reconstruct"), y=None):
    """Compare graphs with methods, in batches of one and more rows."""
    told = estimator.module_.n_conditions > 0
    for part in parts:
        session = exported(estimator, part, tmp_path)
        assert {i.shape[0] for i in session.get_inputs()} == {"batch"}
        for n in BATCHES:
            some = np.resize(X, (n, *X.shape[1:]))
            some_y = {"y": np.resize(y, n)} if told else {}
            Z = estimator.transform(some)
            given = {"Z": Z} if part == "decoder" else {"X": some}
            if part == "encoder":
                wanted = Z
            else:
                given |= {"condition": estimator._context.encode(some_y["y"])} if told else {}
                wanted = (
                    estimator.inverse_transform(Z, **some_y)
                    if part == "decoder"
                    else estimator.reconstruct(some, **some_y)
                )
            assert_equal(session.run(None, given)[0], wanted)


class Half(nn.Sequential):
    """Every activation that our networks have, and layers that do something else in training."""

    def __init__(self, n_in, n_out):
        activations = [nn.Sequential(nn.Linear(5, 5), activation()) for activation in ACTIVATIONS.values()]
        super().__init__(nn.Linear(n_in, 5), nn.BatchNorm1d(5), nn.Dropout(), *activations, nn.Linear(5, n_out))


NETWORKS = {
    "mlp": (AutoencoderTransformer(3, **SMALL), rows(60, 7)),
    "conv": (ConvAutoencoder(3, module__channels=(4, 6), **SMALL), rows(40, 9, 7)),
    "gru": (AutoencoderTransformer(3, module="gru", module__hidden_size=5, **TRAINING), rows(40, 6, 2)),
    "tcn": (AutoencoderTransformer(3, module="tcn", module__n_layers=2, **TRAINING), rows(40, 6, 2)),
    "encoder_decoder": (
        AutoencoderTransformer(
            3, module=EncoderDecoder, module__encoder=Half(7, 3), module__decoder=Half(3, 7), **TRAINING
        ),
        rows(60, 7),
    ),
}  # fmt: skip
# A graph takes the exporter a second or more.
networks = pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] * (name != "mlp")) for name in NETWORKS]
)


@networks
def test_networks_and_parts(name, tmp_path):
    estimator, X = NETWORKS[name]
    check(copy.deepcopy(estimator).fit(X), X, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("shape", "params"),
    [
        ((8, 8), {}),
        ((9, 7, 3), {"module__upsampling": "resize", "module__normalization": "group"}),
        ((3, 7, 9), {"module__downsampling": "max_pool", "module__n_residual_blocks": 1}),
        ((64,), {"module__downsampling": "avg_pool", "module__dense": False}),
        ((3 * 7 * 5,), {"input_shape": (3, 7, 5), "channel_axis": 0, "module__decoder": "dense"}),
        ((5 * 7 * 3,), {"input_shape": (5, 7, 3), "module__downsampling": None, "module__normalization": "batch"}),
    ],
    ids=["gray", "channels last", "channels first", "flat gray", "flat channels first", "flat channels last"],
)
def test_image_layouts(shape, params, tmp_path):
    X = rows(30, *shape)
    ae = ConvAutoencoder(3, module__channels=(4, 6), **params, **SMALL).fit(X)
    check(ae, X, tmp_path, ["reconstruct"])


@pytest.mark.slow
@pytest.mark.parametrize(
    "params",
    [
        {"module": "gru", "module__hidden_size": 4, "module__n_layers": 2, "missing": "mask"},
        {"module": "gru", "module__hidden_size": 4, "module__bidirectional": False, "module__n_frequencies": 0},
        {"module": "tcn", "module__channels": 4, "module__n_layers": 2, "missing": "mask"},
    ],
    ids=["gru, holes", "gru, one way", "tcn, holes"],
)
def test_sequences_of_any_length(params, tmp_path):
    X = padded(rows(40, 12, 2))
    ae = AutoencoderTransformer(3, **params, **TRAINING).fit(X)
    if "missing" in params:
        X[:, 1, 0] = np.nan
    session = exported(ae, "reconstruct", tmp_path)
    assert session.get_inputs()[0].shape == ["batch", "length", 2]
    for length in (1, 5, 12, 20):
        longer = np.pad(X, ((0, 0), (0, 8), (0, 0)), constant_values=np.nan)[:, :length]
        longer[:, 0] = 1  # no sequence is empty
        assert_equal(session.run(None, {"X": longer})[0], ae.reconstruct(longer))


@pytest.mark.slow
def test_sequences_with_channels_first(tmp_path):
    X = padded(rows(40, 12, 2)).swapaxes(1, 2)
    ae = AutoencoderTransformer(3, module="tcn", channel_axis=0, module__channels=4, **TRAINING).fit(X)
    session = exported(ae, "reconstruct", tmp_path)
    assert session.get_inputs()[0].shape == ["batch", 2, "length"]
    for length in (5, 12, 20):
        longer = np.pad(X, ((0, 0), (0, 0), (0, 8)), constant_values=np.nan)[:, :, :length]
        assert_equal(session.run(None, {"X": longer})[0], ae.reconstruct(longer))


@pytest.mark.slow
def test_single_channel_sequences(tmp_path):
    X = padded(rows(30, 9))
    check(AutoencoderTransformer(3, module="gru", **TRAINING).fit(X), X, tmp_path, ["reconstruct"])


SIZES = [(13, 17), (12, 12), (3, 5), (1, 1), (33, 20)]
crops = {"module__dense": False, "module__channels": (4, 6), "crop_size": 12, **TRAINING}
shuffle = {"module__downsampling": "unshuffle", "module__upsampling": "shuffle"}


def pictures(*channels):
    return [rows(20 + i % 5, 24 - i % 3, *channels, seed=i) for i in range(12)]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("params", "channels"),
    [
        ({}, ()),
        (shuffle, (3,)),
        ({"module__downsampling": "max_pool", "module__upsampling": "resize", "module__normalization": "group"}, ()),
        ({"module__downsampling": "avg_pool", "module__kernel_size": 5, "missing": "mask"}, ()),
    ],
    ids=["stride", "shuffle", "max_pool", "avg_pool, holes"],
)
def test_images_of_any_size(params, channels, tmp_path):
    ae = ConvAutoencoder(3, **crops | params).fit(pictures(*channels))
    whole, encoder, decoder = (exported(ae, part, tmp_path) for part in ("reconstruct", "encoder", "decoder"))
    assert whole.get_inputs()[0].shape == ["batch", "height", "width", *channels]
    assert decoder.get_inputs()[0].shape == ["batch", 3, "code_height", "code_width"]
    for n, size in product((1, 2), SIZES):
        X = rows(n, *size, *channels)
        X = X if "missing" not in params or size == (1, 1) else holed(X)
        Z = np.stack(ae.transform([*X]))
        assert_equal(whole.run(None, {"X": X})[0], ae.reconstruct(X))
        assert_equal(encoder.run(None, {"X": X})[0], Z)
        assert_equal(decoder.run(None, {"Z": Z})[0], np.stack(ae.inverse_transform([*Z])))


@pytest.mark.slow
def test_images_of_any_size_after_a_fit_on_whole_images(tmp_path):
    X = rows(20, 9, 7) + np.linspace(0, 2, 7, dtype=np.float32)
    ae = ConvAutoencoder(3, module__dense=False, module__channels=(4,), **TRAINING).fit(X)
    check(ae, X, tmp_path)
    whole, encoder = (exported(ae, part, tmp_path) for part in ("reconstruct", "encoder"))
    for size in SIZES:
        X = rows(2, *size)
        assert_equal(whole.run(None, {"X": X})[0], ae.reconstruct(X))
        assert_equal(encoder.run(None, {"X": X})[0], ae.transform(X))


@pytest.mark.slow
def test_pooled_codes_and_conditions_of_images_of_any_size(tmp_path):
    ae = ConvAutoencoder(3, **crops | {"pooling": "mean"}).fit(pictures())
    encoder, X = exported(ae, "encoder", tmp_path), rows(2, 13, 18)
    assert_equal(encoder.run(None, {"X": X})[0], ae.transform(X))
    with pytest.raises(ValueError, match="pooling='mean' gives codes that cannot be decoded"):
        to_onnx(ae, tmp_path / "ae.onnx", "decoder")
    params = crops | {"module": "conv", "conditional": True, "prior": None, "module__channels": (3,)}
    vae = VAEGenerator(2, **params).fit(pictures(), np.arange(12) % 2)
    session = exported(vae, "reconstruct", tmp_path)
    c = vae._context.encode(np.array([0, 1]))
    assert_equal(session.run(None, {"X": X, "condition": c})[0], vae.reconstruct(X, y=[0, 1]))


@pytest.mark.slow
def test_pipelines_with_images_of_any_size():
    X, inner = rows(20, 13, 10), ConvAutoencoder(2, **crops | {"crop_size": 8, "module__channels": (3,)})
    for pipe in (
        make_pipeline(Reconstructor(inner)),
        make_pipeline(copy.deepcopy(inner), StandardScaler()),
        make_pipeline(copy.deepcopy(inner).set_params(pooling="max"), StandardScaler()),
    ):
        pipe.fit(X)
        assert_equal(converted(pipe, X).run(None, {"X": X[:7]})[0], pipe.transform(X[:7]))


def those_with_their_own(module, base, method):
    """Public names in ``module`` of what says by itself what ``base`` says in ``method``."""
    classes = {name: getattr(module, name) for name in module.__all__}
    classes = {name: cls for name, cls in classes.items() if issubclass(cls, base)}
    return [name for name, cls in classes.items() if getattr(cls, method) is not getattr(base, method)]


@pytest.mark.slow
@pytest.mark.parametrize("name", those_with_their_own(bottlenecks, bottlenecks.Bottleneck, "code"))
def test_bottlenecks(name, tmp_path):
    X = rows(60, 7)
    bottleneck = bottlenecks.KSparse(2) if name == "KSparse" else getattr(bottlenecks, name)()
    estimator = VAEGenerator if bottleneck.standard_normal else AutoencoderTransformer
    check(estimator(3, bottleneck=bottleneck, prior=None, **SMALL).fit(X), X, tmp_path, ["encoder"])


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [name for name in those_with_their_own(losses, losses.Loss, "link") if name not in ("Categorical", "Mixed")],
)  # these two: tests/test_mixed.py
def test_losses_with_link(name, tmp_path):
    loss = getattr(losses, name)()
    X = np.random.default_rng(0).integers(0, 2, (60, 7)).astype(np.float32) * min(loss.domain[1], 255)
    ae = AutoencoderTransformer(3, loss=loss, **SMALL).fit(X)
    check(ae, X, tmp_path, ["decoder"])


@pytest.mark.slow
@pytest.mark.parametrize("seq", [False, True])
def test_conditional_decoder_has_second_input(seq, tmp_path):
    X, y = (padded(rows(40, 6, 2)) if seq else rows(40, 7)), np.arange(40) % 3
    params = {"module": "gru", "module__hidden_size": 4, **TRAINING} if seq else SMALL
    vae = VAEGenerator(3, conditional=True, **params).fit(X, y)
    check(vae, X, tmp_path, ["reconstruct"] if seq else ["encoder", "decoder", "reconstruct"], y)
    session = exported(vae, "reconstruct", tmp_path)
    assert [i.name for i in session.get_inputs()] == ["X", "condition"]
    assert session.get_inputs()[1].shape == ["batch", 3]


@pytest.mark.slow
def test_conditional_decoder_with_real_targets(tmp_path):
    X, y = rows(40, 7), np.linspace(3, 9, 40)
    vae = VAEGenerator(3, conditional="targets", **SMALL).fit(X, y)
    check(vae, X, tmp_path, ["decoder"], y)


@pytest.mark.slow
def test_missing_values(tmp_path):
    X = holed(rows(60, 7))
    ae = AutoencoderTransformer(3, missing="mask", noise="masking_noise", **SMALL).fit(X)
    check(ae, X, tmp_path, ["encoder", "reconstruct"])


@pytest.mark.slow
def test_offsets_and_scales(tmp_path):
    X = rows(60, 3, 2) * 1000 + 5000
    ae = AutoencoderTransformer(3, module__normalization="batch", **SMALL).fit(X)
    check(ae, X, tmp_path, ["encoder", "reconstruct"])


@pytest.mark.slow
def test_dataframes_and_other_dtypes_become_float32(tmp_path):
    X = np.random.default_rng(0).integers(0, 256, (60, 7)).astype(np.uint8)
    ae = AutoencoderTransformer(3, **SMALL).fit(pd.DataFrame(X, columns=list("abcdefg")))
    session = exported(ae, "reconstruct", tmp_path)
    assert session.get_inputs()[0].type == "tensor(float)"
    wanted = ae.reconstruct(pd.DataFrame(X, columns=list("abcdefg")))
    assert_equal(session.run(None, {"X": X.astype(np.float32)})[0], wanted)


@pytest.mark.slow
def test_file_and_estimator_after_export(tmp_path, capfd):
    X = rows(60, 7)
    ae = AutoencoderTransformer(3, noise="gaussian_noise", **SMALL).fit(X)
    ae.module_.train()
    ae.module_.network.encoder.eval()
    modes = [layer.training for layer in ae.module_.modules()]
    state = copy.deepcopy(ae.module_.state_dict())
    streams = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state()  # noqa: NPY002
    path = tmp_path / "ae.onnx"
    path.write_bytes(b"older")
    assert to_onnx(ae, str(path)) is None  # which is the whole, of a str
    assert [found.name for found in tmp_path.iterdir()] == ["ae.onnx"]
    assert tuple(capfd.readouterr()) == ("", "")
    assert torch.is_grad_enabled()
    assert random.getstate() == streams[0]
    assert np.random.get_state()[1].tolist() == streams[1]  # noqa: NPY002
    assert torch.equal(torch.get_rng_state(), streams[2])
    assert [layer.training for layer in ae.module_.modules()] == modes
    assert ae.module_.noise is not None
    assert all(torch.equal(a, b) for a, b in zip(state.values(), ae.module_.state_dict().values(), strict=True))
    whole = onnx.load(path)
    assert [(i.name, o.name) for i, o in zip(whole.graph.input, whole.graph.output, strict=True)] == [("X", "X_hat")]
    assert not whole.functions
    to_onnx(ae, path, part="encoder")
    half = onnx.load(path)
    assert sum(np.prod(t.dims) for t in half.graph.initializer) < sum(np.prod(t.dims) for t in whole.graph.initializer)


class Branches(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(7, 3), nn.Linear(3, 7)

    def encode(self, x):
        return self.a(x) if x.sum() > 0 else -self.a(x)

    def decode(self, z):
        return self.b(z)


class CountsRows(Branches):
    def encode(self, x):
        return self.a(x) + torch.zeros(len(x), 1)


def test_untraceable_network_raises(tmp_path, capfd):
    ae = AutoencoderTransformer(3, module=Branches(), **TRAINING).fit(rows(60, 7))
    with pytest.raises(RuntimeError, match=r"Branches cannot be exported: .*data-dependent"):
        to_onnx(ae, tmp_path / "ae.onnx", "encoder")
    assert not [*tmp_path.iterdir()]
    assert tuple(capfd.readouterr()) == ("", "")


@pytest.mark.slow
def test_custom_networks(tmp_path):
    X = rows(60, 7)
    check(AutoencoderTransformer(3, module=CountsRows(), **TRAINING).fit(X), X, tmp_path, ["encoder"])


def test_invalid_arguments_raise(tmp_path, monkeypatch):
    X, path = rows(60, 7), tmp_path / "ae.onnx"
    with pytest.raises(NotFittedError):
        to_onnx(AutoencoderTransformer(), path)
    ae = AutoencoderTransformer(3, **SMALL).fit(X)
    with pytest.raises(
        ValueError, match="part must be one of 'encoder', 'decoder', 'reconstruct', 'score', got 'half'"
    ):
        to_onnx(ae, path, "half")
    for other in (make_pipeline(ae), Reconstructor(ae), PCA()):
        with pytest.raises(TypeError, match=r"got \w+\. .*register_skl2onnx"):
            to_onnx(other, path)
    with pytest.raises(FileNotFoundError):
        to_onnx(ae, tmp_path / "nowhere" / "ae.onnx")
    monkeypatch.setattr("skae.export._program._LARGEST", 100)
    with pytest.raises(ValueError, match="limited to 2 GB"):
        to_onnx(ae, path)
    for missing, call in (("skl2onnx", register_skl2onnx), ("onnxscript", lambda: to_onnx(ae, path))):
        monkeypatch.setitem(sys.modules, missing, None)
        with pytest.raises(ImportError, match=rf'needs {missing}: pip install "skae\[onnx\]"'):
            call()
    assert not path.exists()


def converted(model, X, **options):
    register_skl2onnx()
    register_skl2onnx()  # again does no harm
    return session_of(skl2onnx.to_onnx(model, X[:1], **{"target_opset": 18, **options}))


@pytest.mark.parametrize(
    ("estimator", "target_opset"),
    [
        (AutoencoderTransformer(4, **SMALL), 18),
        pytest.param(ConvAutoencoder(4, module__channels=(4,), **SMALL), None, marks=pytest.mark.slow),
        pytest.param(VAEGenerator(4, **SMALL), {"": 20, "ai.onnx.ml": 3}, marks=pytest.mark.slow),
    ],
    ids=["table", "flat images", "vae"],
)
def test_pipelines(estimator, target_opset, digits):
    X, y = digits[:200].astype(np.float32), np.arange(200) % 3
    pipe = make_pipeline(StandardScaler(), copy.deepcopy(estimator), LogisticRegression(max_iter=5000)).fit(X, y)
    session = converted(pipe, X, target_opset=target_opset, options={"zipmap": False})
    name = session.get_inputs()[0].name
    for n in BATCHES:
        labels, shares = session.run(None, {name: X[:n]})
        np.testing.assert_array_equal(labels, pipe.predict(X[:n]))
        assert_equal(shares, pipe.predict_proba(X[:n]).astype(np.float32))


@pytest.mark.slow
def test_pipeline_of_two_autoencoders():
    X = rows(60, 8, 8)
    inner = ConvAutoencoder(4, module__channels=(4,), module__upsampling="resize", **SMALL)
    pipe = make_pipeline(Reconstructor(inner), copy.deepcopy(inner)).fit(X)
    session = converted(pipe, X)
    for n in BATCHES:
        assert_equal(session.run(None, {"X": X[:n]})[0], pipe.transform(X[:n]))


class Mine(AutoencoderTransformer):
    pass


@pytest.mark.slow
def test_registered_subclasses():
    X = rows(60, 7)
    mine = Mine(3, **SMALL).fit(X)
    register_skl2onnx(Mine)
    session = converted(mine, X)
    assert_equal(session.run(None, {"X": X})[0], mine.transform(X))
    with pytest.raises(TypeError, match="subclasses of skae's estimators, got"):
        register_skl2onnx(PCA)


def test_reconstructor_keeps_observed_values():
    X = holed(rows(60, 7))
    inner = AutoencoderTransformer(3, missing="mask", noise="masking_noise", **SMALL)
    filler = Reconstructor(inner, keep_observed=True).fit(X)
    found, wanted = converted(filler, X).run(None, {"X": X})[0], filler.transform(X)
    np.testing.assert_array_equal(found[~np.isnan(X)], X[~np.isnan(X)])
    assert_equal(found, wanted)


@pytest.mark.slow
def test_float64_columns():
    X = pd.DataFrame(rows(60, 3).astype(float), columns=["a", "b", "c"])
    ae = AutoencoderTransformer(2, **SMALL).fit(X)
    types = [(name, skl2onnx.common.data_types.DoubleTensorType([None, 1])) for name in X]
    register_skl2onnx()
    session = session_of(skl2onnx.convert_sklearn(ae, initial_types=types, target_opset=18))
    found = session.run(None, {name: X[[name]].to_numpy() for name in X})[0]
    assert_equal(found, ae.transform(X), dtype=np.float64)


def small():
    return AutoencoderTransformer(2, **SMALL)


INPUT_TYPES = [np.float32, np.float64, np.int64]
# Where an autoencoder can stand, with what before it and after it; PCA in its place works everywhere.
POSITIONS = {
    "alone": small,
    "last": lambda: make_pipeline(StandardScaler(), small()),
    "before a scaler": lambda: make_pipeline(small(), StandardScaler()),
    "before a classifier": lambda: make_pipeline(small(), LogisticRegression()),
    "before trees": lambda: make_pipeline(small(), RandomForestClassifier(3, max_depth=3, random_state=0)),
    "before a regressor": lambda: make_pipeline(StandardScaler(), small(), Ridge()),
    "before another": lambda: make_pipeline(small(), StandardScaler(), small()),
    "before selection": lambda: make_pipeline(small(), SelectKBest(f_classif, k=1), GaussianNB()),
    "vae": lambda: make_pipeline(VAEGenerator(2, **SMALL), MLPClassifier((3,), max_iter=2, random_state=0)),
    "conv": lambda: make_pipeline(
        ConvAutoencoder(2, input_shape=(2, 3), module__channels=(2,), **SMALL), LinearRegression()
    ),
    "reconstructor": lambda: make_pipeline(Reconstructor(small()), StandardScaler(), LogisticRegression()),
    "in columns": lambda: ColumnTransformer([("ae", small(), [0, 1, 3]), ("scale", StandardScaler(), [2, 4])]),
    "in columns, with a rest": lambda: make_pipeline(
        ColumnTransformer([("ae", small(), [0, 1, 3])], remainder="passthrough"), LogisticRegression()
    ),
    "in a union": lambda: make_union(small(), StandardScaler()),
    "in a union before a regressor": lambda: make_pipeline(make_union(StandardScaler(), small()), Ridge()),
    "in a vote": lambda: VotingClassifier(
        [("ae", make_pipeline(small(), LogisticRegression())), ("plain", GaussianNB())],
        voting="soft",
        flatten_transform=False,
    ),
    "in a search": lambda: GridSearchCV(
        make_pipeline(small(), LogisticRegression()), {"logisticregression__C": [0.1, 1.0]}, cv=2
    ),
}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Stochastic Optimizer:sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize(
    ("position", "dtype"),
    [*zip(POSITIONS, cycle(INPUT_TYPES), strict=False), *product(("alone", "before a classifier"), INPUT_TYPES[1:])],
)
def test_pipeline_positions_and_sample_types(position, dtype):
    """The graph gives what scikit-learn gives, in the type in which it gives what PCA in the place gives."""
    X = (rows(60, 6) * [1, 2, 3, 1, 1, 2] * 10 + 30).astype(dtype)
    model = POSITIONS[position]().fit(X, np.arange(60) % 2)
    session = converted(model, X, options={"zipmap": False} if is_classifier(model) else None)
    found = session.run(None, {"X": X})
    if is_classifier(model):
        shares = model.predict_proba(X)
        clear = np.abs(shares[:, 0] - 0.5) > 1e-4
        np.testing.assert_array_equal(found[0][clear], model.predict(X)[clear])
        found, wanted = found[1], shares
    else:
        found = found[0]
        wanted = model.predict(X).reshape(found.shape) if hasattr(model, "predict") else model.transform(X)
    assert found.dtype == (np.float64 if dtype is np.float64 else np.float32) or is_classifier(
        model
    )  # some give shares in float32 only
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-4 * np.abs(wanted).max())


@networks
def test_networks_with_float64_samples(name):
    estimator, X = NETWORKS[name]
    X = X.astype(np.float64)
    estimator = copy.deepcopy(estimator).fit(X)
    session = converted(estimator, X)
    for n in BATCHES:
        found = session.run(None, {"X": X[:n]})[0]
        assert_equal(found, estimator.transform(X[:n]), dtype=np.float64)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [np.float64, np.int64, np.int32])
def test_mean_is_subtracted_in_float64(dtype):
    X = (rows(60, 5) * 100 + 1e9).astype(dtype)  # float32 has steps of 64 there
    ae = small().fit(X)
    found = converted(ae, X).run(None, {"X": X})[0]
    assert_equal(found, ae.transform(X), dtype=np.float64 if dtype is np.float64 else np.float32)
    assert np.ptp(found) > 0.1


@pytest.mark.slow
def test_observed_float64_values_are_unchanged():
    X = holed(rows(60, 7)).astype(np.float64) + 1e7 / 3
    inner = AutoencoderTransformer(3, missing="mask", noise="masking_noise", **SMALL)
    filler = Reconstructor(inner, keep_observed=True).fit(X)
    found = converted(filler, X).run(None, {"X": X})[0]
    np.testing.assert_array_equal(found[~np.isnan(X)], X[~np.isnan(X)])
    assert_equal(found, filler.transform(X), dtype=np.float64)


@pytest.mark.slow
def test_dataframes_with_mixed_dtypes():
    X = pd.DataFrame(rows(60, 3) * 100 + 1e6, columns=list("abc")).astype({"b": np.float64, "c": np.int64})
    ae = small().fit(X)
    found = converted(ae, X).run(None, {name: X[[name]].to_numpy() for name in X})[0]
    assert_equal(found, ae.transform(X), tol=1e-4)


def test_unsupported_pipelines_raise():
    X = rows(60, 7)
    ae = AutoencoderTransformer(3, **SMALL)
    with pytest.raises(TypeError, match="filling"):
        converted(Reconstructor(ae, filling=SimpleImputer()).fit(X), X)
    with pytest.raises(TypeError, match="got PCA"):
        converted(Reconstructor(PCA(2)).fit(X), X)
    with pytest.raises(ValueError, match="target_opset >= 18, got 15"):
        converted(copy.deepcopy(ae).fit(X), X, target_opset=15)


@networks
def test_torch_export_of_module(name):
    estimator, X = NETWORKS[name]
    estimator = copy.deepcopy(estimator).fit(X)
    module = estimator.module_.eval()
    u = module.standardize(torch.from_numpy(estimator._layout.arrange(padded(X) if module.reads_padding else X)))
    program = torch.export.export(module, (u[:3],), dynamic_shapes=({0: torch.export.Dim("batch")},))
    for n in BATCHES:
        with torch.no_grad():
            found, wanted = program.module()(u[:n]), module(u[:n])
        for a, b in zip(found, wanted, strict=True):
            assert_equal(a.numpy(), b.numpy()) if b.any() else torch.testing.assert_close(a, b)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["gaussian", "total_correlation", "mmd"])
def test_torch_export_of_stochastic_parts(name):
    X = rows(60, 7)
    module = VAEGenerator(3, bottleneck=name, prior=None, **SMALL).fit(X).module_.eval()
    u = module.standardize(torch.from_numpy(X))
    program = torch.export.export(module, (u[:3],), dynamic_shapes=({0: torch.export.Dim("batch")},))
    with torch.random.fork_rng(devices=[]):
        for n in BATCHES:
            raw, z, penalty = program.module()(u[:n])
            assert raw.shape == u[:n].shape
            assert z.shape == (n, 3)
            assert penalty.isfinite().all()
    if name == "gaussian":
        assert_equal(penalty.detach().numpy(), module(u[:n])[2].detach().numpy())


# ------------------------------------------------------------------ detectors

DETECTORS = {
    "reconstruction": (lambda: small(), {"criterion": "reconstruction", "cv": None}),
    "pipeline": (
        lambda: make_pipeline(RobustScaler(), MinMaxScaler(), small().set_params(missing="mask")),
        {"criterion": ["standardized", "code", "distance"], "cv": 2},
    ),
}


def assert_detector_equal(detector, X, path):
    to_onnx(detector, path / "score.onnx")
    session = onnxruntime.InferenceSession(path / "score.onnx")
    score, label = session.run(["score", "label"], {"X": X})
    expected = detector.score_samples(X)
    np.testing.assert_allclose(score, expected, rtol=1e-3, atol=1e-4)
    sure = abs(expected - detector.offset_) > 1e-3
    np.testing.assert_array_equal(label[sure], detector.predict(X)[sure])
    assert (score.dtype, label.dtype) == (np.float32, np.int64)


@pytest.mark.slow
@pytest.mark.parametrize("name", DETECTORS)
def test_score_of_detector(name, tmp_path):
    make, params = DETECTORS[name]
    X = rows(60, 7) * np.arange(1, 8, dtype=np.float32) + 100
    X[::5, 2] = np.nan if name == "pipeline" else 0
    assert_detector_equal(OutlierDetector(make(), **{"cv": None, "random_state": 0} | params).fit(X), X, tmp_path)


@pytest.mark.slow
def test_score_of_detector_of_images(tmp_path):
    X = rows(20, 8, 8)
    inner = ConvAutoencoder(2, module__dense=False, module__channels=(3,), **TRAINING)
    assert_detector_equal(OutlierDetector(inner, cv=None).fit(X), X, tmp_path)


def test_detectors_that_are_not_exported(tmp_path):
    X = rows(30, 4)
    for detector, message in (
        (OutlierDetector(PCA(2), cv=None), "Only detectors around skae's autoencoders can be exported, got PCA"),
        (
            OutlierDetector(make_pipeline(PCA(3), small()), cv=None),
            "only scalers of scikit-learn are exported, got PCA",
        ),
        (OutlierDetector(small(), criterion="likelihood", cv=None), "'likelihood' cannot be exported"),
        (OutlierDetector(small(), density=KernelDensity(), cv=None), "Only Gaussian mixtures"),
    ):
        with pytest.raises(TypeError, match=message):
            to_onnx(detector.fit(X), tmp_path / "score.onnx")
    with pytest.raises(ValueError, match="part must be 'score' of an OutlierDetector, got 'encoder'"):
        to_onnx(detector, tmp_path / "score.onnx", part="encoder")
    with pytest.raises(TypeError, match="part='score' needs an OutlierDetector"):
        to_onnx(small().fit(X), tmp_path / "score.onnx", part="score")
    crops = [rows(9, side, seed=side) for side in (8, 9, 10)]
    inner = ConvAutoencoder(2, module__dense=False, module__channels=(3,), **TRAINING)
    with pytest.raises(TypeError, match="'code' of images of any size"):
        to_onnx(OutlierDetector(inner, cv=None).fit(crops), tmp_path / "score.onnx")
    assert not list(tmp_path.iterdir())
