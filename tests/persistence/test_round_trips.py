"""Estimators are the same to the bit after saving and loading, in every way."""

import copy
import copyreg
import functools
import hashlib
import io
import json
import os
import pickle
import subprocess
import sys
import textwrap

import battery
import joblib
import numpy as np
import pytest
import torch
from battery import CASES, WAYS, ae, differences, fitted, frame, outputs, state, table, vae
from guards import HANGS
from sklearn.base import clone
from sklearn.linear_model import Ridge
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

import skae
from skae import Reconstructor
from skae._training.net import AutoencoderNet
from skae._utils import files as _files
from skae.nn import EncoderDecoder

ALL_OUTPUTS = ("save", "pickle 5", "skops")  # the others are held to the same state, and to their codes


# Every estimator goes the first ways, and each of the others takes every fourth; with SKAE_ALL_WAYS=1 all go all ways.
ALWAYS = ("save", "save with optimizer", "pickle 5", "joblib mapped", "skops", "deepcopy")


def ways_of(name):
    others = [way for way in WAYS if way not in ALWAYS]
    turn = list(CASES).index(name)
    chosen = [way for i, way in enumerate(others) if (i + turn) % 4 == 0 or os.environ.get("SKAE_ALL_WAYS")]
    unfit = battery.NOT_FOR_SKOPS
    return [way for way in (*ALWAYS, *chosen) if not (way.startswith("skops") and name in unfit)]


def same(a, b, **how):
    found = list(differences(a, b, **how))
    assert not found, "\n".join(found)


#: What cases begin with that take a second or more; smaller ones of their kinds run in the quick tier.
LARGE = ("conditional target", "detector", "vae conv conditional", "vae crops")


# ------------------------------------------------------------------ everything, every way


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow) if name.startswith(LARGE) else name for name in CASES]
)
def test_round_trips(name, tmp_path):
    case, est = CASES[name], fitted(name)
    X = case.X()
    wanted = outputs(est, X, case.y)
    failures = []
    for way in ways_of(name):
        again = WAYS[way](est, tmp_path, case.trusted)
        kept = {"optimizer": way in battery.KEEP_OPTIMIZER, "callbacks": way in battery.KEEP_CALLBACKS}
        found = [*differences(state(est), state(again), **kept)]
        got = outputs(again, X, case.y, all_of_them=way in ALL_OUTPUTS)
        found += differences({key: wanted[key] for key in got} if way not in ALL_OUTPUTS else wanted, got)
        failures += [f"{way}: {line}" for line in found]
    assert not failures, "\n".join(failures)


def test_cases_cover_every_estimator_and_network():
    ours = {name for name in skae.__all__ if isinstance(getattr(skae, name), type)}
    assert ours <= {type(case.make()).__name__ for case in CASES.values()}
    networks = {type(fitted(name).module_.network).__name__ for name in ("ae", "conv", "gru", "tcn", "pair layers")}
    assert networks == set(skae.nn.__all__)


@pytest.mark.parametrize(
    "change",
    [
        lambda est: next(est.module_.parameters()).data.view(-1)[0].add_(1e-7),
        lambda est: setattr(est.module_.bottleneck, "progress", 0.123),
        lambda est: setattr(est, "n_iter_", np.int64(est.n_iter_)),
        lambda est: next(est.module_.parameters()).requires_grad_(False),
        lambda est: est.module_.loss.train(),
        lambda est: est.net_.stream.draw_seed(),
        lambda est: est.net_.optimizer_.state_dict()["state"][0]["exp_avg"].add_(1),
        lambda est: est.net_.history.record("other", 1),
        lambda est: setattr(est.prior_, "means_", np.asfortranarray(est.prior_.means_)),
        lambda est: setattr(est.net_, "lr", 1.0),
    ],
    ids=["weight", "progress", "type", "gradient", "mode", "stream", "optimizer", "history", "order", "lr"],
)
def test_comparison_finds_differences(change):
    est = vae(prior=GaussianMixture(2)).fit(table())
    again = copy.deepcopy(est)
    same(state(est), state(again))
    change(again)
    assert list(differences(state(est), state(again)))


# ------------------------------------------------------------------ unfitted, cloned, twice


@pytest.mark.parametrize("name", [*CASES][::8])
def test_unfitted_and_cloned(name, tmp_path):
    case = CASES[name]
    est = clone(case.make())
    for way in ("save", "pickle 5", "deepcopy"):
        again = WAYS[way](est, tmp_path, case.trusted)
        same(state(est), state(again))
        assert not hasattr(again, "net_")
    loaded = WAYS["save"](fitted(name), tmp_path, case.trusted)
    same(state(clone(fitted(name))), state(clone(loaded)))


# ------------------------------------------------------------------ going on

OPTIMIZERS = ["adam", "sgd", "rmsprop", "adamw", "nadam", "adagrad", "radam", "adadelta", "adafactor", "lbfgs", "rprop"]


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_training_continues_as_without_saving(optimizer, tmp_path):
    est = ae(optimizer=optimizer, noise="gaussian_noise", warm_start=True).fit(table())
    ways = battery.KEEP_OPTIMIZER_TO_GO_ON if optimizer == "adam" else ("save with optimizer", "pickle 5")
    again = {way: WAYS[way](est, tmp_path) for way in ways}
    later = WAYS[ways[0]](est, tmp_path)
    est.partial_fit(table()[:20])
    for way, other in again.items():
        same(state(est), state(other.partial_fit(table()[:20])), where=way)
    est = WAYS["pickle 5"](later, tmp_path).fit(table())
    same(state(est), state(later.fit(table())))


@pytest.mark.parametrize("optimizer", ["adam", "sgd", "lbfgs"])
def test_optimizer_without_state_is_reset(optimizer, tmp_path):
    est = ae(optimizer=optimizer, lr_schedule=None).fit(table())
    loaded = WAYS["save"](est, tmp_path)
    piped = WAYS["save in pipeline"](est, tmp_path)
    pickled = WAYS["pickle 5"](est, tmp_path)
    kept = WAYS["save with optimizer"](est, tmp_path)
    for other in (loaded, piped, pickled):
        assert other.net_.optimizer_state() is None
    assert est.net_.optimizer_state() is not None
    est.net_.forget_optimizer()
    wanted = state(est.partial_fit(table()))
    for other in (loaded, piped, pickled):
        same(wanted, state(other.partial_fit(table())))
    if optimizer != "sgd":  # which has no state
        assert list(differences(wanted, state(kept.partial_fit(table()))))


def test_pickle_keeps_the_optimizer_where_training_continues():
    def kept(est):
        return pickle.loads(pickle.dumps(est)).net_.optimizer_state() is not None

    est = ae().fit(table())
    assert not kept(est)
    assert not kept(copy.deepcopy(est))
    assert kept(est.set_params(warm_start=True))
    assert not kept(est.set_params(warm_start=False))
    assert kept(est.partial_fit(table()))
    assert kept(pickle.loads(pickle.dumps(est)))  # which is still to go on
    assert kept(copy.copy(est))
    assert not kept(est.fit(table()))


def test_conditional_generator_continues_with_more_samples(tmp_path):
    y = battery.Y["str"]
    est = vae(conditional=True, prior=GaussianMixture(2), bottleneck="total_correlation").fit(table(), y)
    again = WAYS["save with optimizer"](est, tmp_path)
    for one in (est, again):
        one.partial_fit(table()[:17], y[:17]).partial_fit(table()[:9], y[:9])
    same(state(est), state(again))


@pytest.mark.parametrize("way", ["save", "save with optimizer", "pickle 5", "joblib mapped", "skops", "deepcopy"])
def test_net_is_a_skorch_net(way, tmp_path):
    est = WAYS[way](fitted("ae"), tmp_path)
    net, X = est.net_, table().astype(np.float32)
    assert net.predict(X).shape == fitted("ae").net_.predict(X).shape
    np.testing.assert_array_equal(net.predict(X), fitted("ae").net_.predict(X))
    net.set_params(lr=0.125)
    assert [group["lr"] for group in net.optimizer_.param_groups] == [0.125]
    assert len(net.history) == len(fitted("ae").net_.history)
    assert all(parameter.requires_grad for parameter in net.module_.parameters())


def test_copy_of_a_net_is_equal_and_independent():
    net = fitted("ae").net_
    other = net.copy_to("cpu")
    same(net, other)
    for mine, theirs in zip(net.module_.parameters(), other.module_.parameters(), strict=True):
        assert mine.data_ptr() != theirs.data_ptr()


def test_loaded_weights_can_be_trained(tmp_path):
    for way in ("save", "joblib mapped", "skops"):
        est = WAYS[way](fitted("ae"), tmp_path)
        before = [parameter.clone() for parameter in est.module_.parameters()]
        est.partial_fit(table())
        assert any((a != b).any() for a, b in zip(before, est.module_.parameters(), strict=True))


# ------------------------------------------------------------------ around an estimator


def test_search_and_a_pipeline(tmp_path):
    X, y = frame(), battery.Y["target"]
    pipe = make_pipeline(StandardScaler(), Reconstructor(ae()), ae(prior="mixture"), Ridge())
    search = GridSearchCV(pipe, {"autoencodertransformer__n_components": [1, 2]}, cv=2).fit(X, y)
    for est in (search, search.best_estimator_, pipe):
        skae.save(est, tmp_path / "kept")
        again = skae.load(tmp_path / "kept")
        same(state(est), state(again), optimizer=False, callbacks=False)
        if est is not pipe:
            same(est.predict(X), again.predict(X))


def test_archive_creates_only_trusted_classes(tmp_path):
    pipe = make_pipeline(StandardScaler(), clone(fitted("user's network"))).fit(table())
    skae.save(pipe, tmp_path / "kept")
    with pytest.raises(ValueError, match=r"untrusted type battery\.UserNet: .*trusted=\[UserNet\]"):
        skae.load(tmp_path / "kept")
    same(pipe.transform(table()), skae.load(tmp_path / "kept", trusted=[battery.UserNet]).transform(table()))


# ------------------------------------------------------------------ who is trusted


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.trusted])
def test_classes_of_users_must_be_trusted(name, tmp_path):
    skae.save(fitted(name), tmp_path / "kept")
    with pytest.raises(ValueError, match="if you trust the file") as error:
        skae.load(tmp_path / "kept")
    for thing in CASES[name].trusted:
        assert f"{thing.__module__}.{thing.__qualname__}" in str(error.value)
        assert thing.__name__ in str(error.value).partition("trusted=[")[2]


def test_error_names_all_untrusted_types(tmp_path):
    est = ae(module=battery.UserNet, bottleneck=battery.UserBottleneck(), loss=battery.UserLoss()).fit(table())
    skae.save(est, tmp_path / "kept")
    with pytest.raises(ValueError, match=r"trusted=\[UserBottleneck, UserLoss, UserNet\]"):
        skae.load(tmp_path / "kept")
    with pytest.raises(ValueError, match=r"untrusted type battery\.UserLoss: .*trusted=\[UserLoss\]"):
        skae.load(tmp_path / "kept", trusted=[battery.UserNet, battery.UserBottleneck])


@pytest.mark.parametrize(
    ("make", "place"),
    [
        (lambda: ae(module=lambda input_shape, n_components, n_outputs: battery.UserNet(input_shape, 2, 2)), "module"),
        (lambda: ae(module=battery.UserNet((6,), 2, 2)), "module"),
        (
            lambda: ae(
                module=EncoderDecoder, module__encoder=nn.Sequential(Wrapped()), module__decoder=nn.Linear(2, 6)
            ),
            "module__encoder",
        ),
        (lambda: Reconstructor(ae(), filling=lambda A: np.nan_to_num(A)), "filling"),
    ],
    ids=["lambda", "network", "layer", "filling"],
)
def test_refused_save_writes_nothing(make, place, tmp_path):
    for est in (make(), make().fit(table())):
        with pytest.raises(TypeError, match=place):
            skae.save(est, tmp_path / "kept")
        assert not list(tmp_path.iterdir())


class Wrapped(nn.Module):
    """A layer whose arguments are nowhere to be seen."""

    def __init__(self, width=2):
        super().__init__()
        self.layer = nn.Linear(6, width)

    def forward(self, x):
        return self.layer(x)


def test_changed_network_can_only_be_pickled(tmp_path):
    est = ae().fit(table())
    est.module_.network.encoder = nn.Linear(6, 2)
    with pytest.raises(ValueError, match="module_"):
        skae.save(est, tmp_path / "kept")
    assert not list(tmp_path.iterdir())
    for way in ("pickle 5", "joblib", "deepcopy"):
        same(est.transform(table()), WAYS[way](est, tmp_path).transform(table()))


# ------------------------------------------------------------------ other processes


def digest(A):
    return hashlib.sha256(np.ascontiguousarray(A).tobytes()).hexdigest()


PROCESS = """
    import hashlib, json, pickle, sys
    import numpy as np
    import torch
    at_start = set(sys.modules)
    import skae
    from torch import nn

    def digest(A):
        return hashlib.sha256(np.ascontiguousarray(A).tobytes()).hexdigest()

    def load(path):
        if path.endswith("pkl"):
            with open(path, "rb") as file:
                return pickle.load(file)
        return skae.load(path)

    found = {}
    for ending in ("skae", "pkl"):
        for i in range(N):
            est, X = load(f"{i}.{ending}"), np.load(f"{i}.npy")
            results = est.transform(X), est.reconstruct(X), est.score_samples(X)
            found[f"{i} {ending}"] = [*map(digest, results)]
            if hasattr(est, "sample"):
                found[f"{i} {ending}"].append(digest(est.sample(4, random_state=0)))
            if i == 0:
                assert "optimizer_" not in vars(est.net_)
    compilers = ("torch._dynamo", "torch._inductor", "torch.onnx")
    late = [name for name in set(sys.modules) - at_start if name.startswith(compilers)]

    class Net(nn.Module):
        class Inner(nn.Linear):
            pass
        def __init__(self, input_shape, n_components, n_outputs):
            super().__init__()
            self.a, self.b = Net.Inner(input_shape[0], n_outputs), nn.Linear(n_components, input_shape[0])
        def encode(self, x):
            return self.a(x)
        def decode(self, z):
            return self.b(z)

    X = np.random.default_rng(0).normal(size=(20, 4))
    est = skae.AutoencoderTransformer(2, module=Net, max_epochs=1, random_state=0).fit(X)
    skae.save(est, "kept")
    try:
        skae.load("kept")
    except ValueError as error:
        message = str(error)
    same = skae.load("kept", trusted=[Net]).transform(X).tobytes() == est.transform(X).tobytes()
    print(json.dumps([found, late, message, same]))
"""


@pytest.fixture(scope="module")
def in_process(tmp_path_factory):
    """What a fresh process finds in files, and what was expected."""
    folder, wanted = tmp_path_factory.mktemp("process"), {}
    for i, name in enumerate(["ae", "vae prior mixture", "conv", "gru", "conditional str", "pair layers"]):
        est, X = fitted(name), CASES[name].X()
        skae.save(est, folder / f"{i}.skae")
        (folder / f"{i}.pkl").write_bytes(pickle.dumps(est))
        np.save(folder / f"{i}.npy", X)
        sampled = [digest(est.sample(4, random_state=0))] if hasattr(est, "sample") else []
        wanted[str(i)] = [digest(est.transform(X)), digest(est.reconstruct(X)), digest(est.score_samples(X)), *sampled]
    code = f"N = {len(wanted)}\n{textwrap.dedent(PROCESS)}"
    place = {"cwd": folder, "capture_output": True, "text": True, "timeout": HANGS}
    done = subprocess.run([sys.executable, "-W", "error::UserWarning", "-c", code], **place)
    assert done.returncode == 0, done.stderr
    return wanted, *json.loads(done.stdout.splitlines()[-1])


@pytest.mark.slow
def test_fresh_process_gives_the_same_bits_and_prepares_no_training(in_process):
    wanted, found, late, *_ = in_process
    assert found == {f"{i} {ending}": hashes for ending in ("skae", "pkl") for i, hashes in wanted.items()}
    assert not late


@pytest.mark.slow
def test_classes_of_a_script_are_trusted_by_their_class(in_process):
    *_, message, same_bits = in_process
    assert "__main__.Net" in message
    assert "trusted=[Net]" in message
    assert same_bits


def test_save_and_load_use_no_pickle(tmp_path, monkeypatch):
    names = ["ae", "vae prior mixture", "conv", "gru", "conditional str", "reconstructor", "vae prior KernelDensity"]
    kept = [fitted(name) for name in names]

    def save_and_load():
        for est in kept:
            skae.save(est, tmp_path / "kept", optimizer=True)
            skae.load(tmp_path / "kept").get_params()
        # scikit-learn's Pipeline has nothing that skops would hand to pickle.
        skae.save(make_pipeline(StandardScaler().fit(table()), kept[1]), tmp_path / "kept")
        skae.load(tmp_path / "kept")

    save_and_load()  # which imports what is imported where it is used

    def refuse(*args, **kwargs):
        raise AssertionError("pickle")

    for module, name in [
        *((pickle, name) for name in ("load", "loads", "dump", "dumps", "Pickler", "Unpickler")),
        *((pickle, name) for name in ("_Pickler", "_Unpickler", "_loads", "_load")),
        *((torch, name) for name in ("load", "save")),
        *((joblib, name) for name in ("load", "dump")),
    ]:
        monkeypatch.setattr(module, name, refuse)
    found = []
    watching = [True]
    sys.addaudithook(lambda event, args: found.append(event) if watching and _loads_code(event) else None)
    try:
        save_and_load()
    finally:
        watching.clear()
    assert not found


def _loads_code(event):
    return event in ("pickle.find_class", "exec.code", "os.system", "subprocess.Popen", "marshal.loads")


# ------------------------------------------------------------------ sizes


def n_bytes(est, *, optimizer):
    net = est.net_
    arrays = [*net.module_.state_dict().values(), *net.stream.__getstate__()["states"]]
    if optimizer:
        arrays += [t for s in net.optimizer_.state_dict()["state"].values() for t in s.values()]
    if hasattr(est, "prior_"):
        arrays += [A for A in vars(est.prior_).values() if isinstance(A, np.ndarray)]
    return sum(A.nbytes for A in arrays)


@pytest.mark.parametrize("name", ["ae", "vae", "vae prior mixture", "conv", "gru", "tcn", "conditional str"])
def test_files_are_hardly_larger_than_their_arrays(name, tmp_path):
    est, path = fitted(name), tmp_path / "kept"
    assert len(pickle.dumps(est)) < 1.3 * n_bytes(est, optimizer=False) + 10_000
    skae.save(est, path)
    assert path.stat().st_size < n_bytes(est, optimizer=False) + 13_000
    skae.save(est, path, optimizer=True)
    assert path.stat().st_size < n_bytes(est, optimizer=True) + 30_000


# ------------------------------------------------------------------ devices


def trained_on(device, est, asked=None):
    """A pickle as another machine would write it, where ``device`` is."""

    class Elsewhere(pickle.Pickler):
        def reducer_override(self, found):
            if isinstance(found, AutoencoderNet):
                return copyreg.__newobj__, (AutoencoderNet,), on_device(found.__getstate__(), device)
            return NotImplemented

    buffer = io.BytesIO()
    Elsewhere(buffer).dump(clone_with_state(est, asked or device))
    return buffer.getvalue()


def clone_with_state(est, device):
    other = clone(est).set_params(device=device)
    vars(other).update({name: value for name, value in vars(est).items() if name not in est.get_params()})
    return other


def on_device(state, device):
    first = np.array(state["stream"]["states"][0])
    state["params"]["device"] = device
    state["stream"] = {"device": device, "states": [first, np.arange(16, dtype=np.uint8)]}
    return state


def file_of(device, est, path):
    """The same as a file of `save`."""
    skae.save(clone_with_state(est, device), path)
    document, arrays = _files.unpack(path.read_bytes())
    net = document["estimator"]["fitted"]["net_"]["state"]
    net["params"]["device"] = net["stream"]["device"] = device
    arrays["second"] = np.arange(16, dtype=np.uint8)
    net["stream"]["states"].append({"$": "array", "name": "second"})
    path.write_bytes(_files.pack(document, arrays))


needs_no_gpu = pytest.mark.skipif(torch.cuda.is_available(), reason="the device is here")


@needs_no_gpu
@pytest.mark.parametrize("device", ["cuda", "cuda:1"])
@pytest.mark.parametrize("kept", ["pickle", "file"])
@pytest.mark.parametrize("name", ["ae", "vae prior mixture", "conv"])
def test_model_of_a_gpu_runs_on_the_cpu(device, kept, name, tmp_path):
    est, X = fitted(name), CASES[name].X()
    if kept == "file":
        file_of(device, est, tmp_path / "kept")
        load = functools.partial(skae.load, tmp_path / "kept")
    else:
        load = functools.partial(pickle.loads, trained_on(device, est))
    with pytest.warns(UserWarning, match=f"device='{device}' is not available here") as caught:
        again = load()
    assert len(caught) == 1
    assert (again.device, again.net_.device) == ("auto", "cpu")
    same(outputs(est, X)["transform"], outputs(again, X)["transform"])
    again.partial_fit(X)
    assert np.isfinite(again.loss_curve_).all()
    same(state(clone(again.fit(X))), state(clone(est).set_params(device="auto")))
    if kept == "file":
        again = skae.load(tmp_path / "kept", device="cpu")  # no warning
        assert again.device == again.net_.device == "cpu"
        assert again.net_.stream.device.type == "cpu"
        again.partial_fit(X)


@needs_no_gpu
def test_device_auto_does_not_warn_without_a_gpu():
    again = pickle.loads(trained_on("cuda", fitted("ae"), asked="auto"))
    assert (again.device, again.net_.device) == ("auto", "cpu")
    same(fitted("ae").transform(table()), again.transform(table()))


@needs_no_gpu
def test_copies_of_a_pickle_continue_equally():
    data = trained_on("cuda", fitted("ae"), asked="auto")
    one, other = pickle.loads(data), pickle.loads(data)
    same(state(one.partial_fit(table())), state(other.partial_fit(table())))


@pytest.mark.parametrize(
    "way", ["save", "save with optimizer", "save in pipeline", "pickle 5", "joblib", "skops", "deepcopy"]
)
@pytest.mark.parametrize("name", ["ae", "vae prior mixture", "conv"])
@pytest.mark.slow
def test_round_trips_between_devices(way, name, device, tmp_path):
    case = CASES[name]
    X = case.X()
    est = clone(case.make()).set_params(device=device).fit(X)
    again = WAYS[way](est, tmp_path)
    assert again.net_.device == est.net_.device
    assert all(tensor.device.type == torch.device(device).type for tensor in again.module_.state_dict().values())
    same(est.transform(X), again.transform(X))
    again.partial_fit(X)
    skae.save(est, tmp_path / "kept", optimizer=True)
    on_cpu = skae.load(tmp_path / "kept", device="cpu")
    assert on_cpu.device == "cpu"
    np.testing.assert_allclose(on_cpu.transform(X), est.transform(X), rtol=1e-3, atol=1e-4)
    on_cpu.partial_fit(X)
    skae.save(on_cpu, tmp_path / "kept", optimizer=True)
    back = skae.load(tmp_path / "kept", device=device).partial_fit(X)
    assert next(back.module_.parameters()).device.type == torch.device(device).type
