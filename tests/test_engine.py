"""The training engine: results do not depend on callbacks, on how X is stored, on memory, threads or processes."""

import copy
import gc
import inspect
import itertools
import pickle
import signal
import subprocess
import sys
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import dask.array as da
import joblib
import numpy as np
import pandas as pd
import pytest
import torch
from guards import HANGS
from sklearn import config_context
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from skorch.callbacks import Callback, GradientNormClipping
from torch import nn
from torch.utils.data import Dataset

from skae import AutoencoderTransformer, ConvAutoencoder, VAEGenerator
from skae._data.batches import InMemoryDataset
from skae._training import callbacks as _callbacks
from skae._training.net import AutoencoderNet
from skae.bottlenecks import Gaussian

TRAINING = [
    "on_train_begin",
    "on_epoch_begin",
    "on_batch_begin",
    "on_grad_computed",
    "on_batch_end",
    "on_epoch_end",
    "on_train_end",
]


class Small(nn.Module):
    """A network with nothing random in it."""

    def __init__(self, input_shape=(6,), n_components=2, n_outputs=None):
        super().__init__()
        (d,) = input_shape
        self.down = nn.Sequential(nn.Linear(d, 5), nn.Tanh(), nn.Linear(5, n_outputs or n_components))
        self.up = nn.Sequential(nn.Linear(n_components, d))

    def encode(self, x):
        return self.down(x)

    def decode(self, z):
        return self.up(z)


class InPlace(Small):
    """Its halves write into what they are given."""

    in_place = True

    def __init__(self, input_shape=(6,), n_components=2):
        super().__init__(input_shape, n_components)
        self.down.insert(0, nn.ReLU(inplace=self.in_place))
        self.up.insert(0, nn.ReLU(inplace=self.in_place))


class OutOfPlace(InPlace):
    """The same without."""

    in_place = False


class Fragile(nn.Module):
    """Everything that is drawn or remembered between batches."""

    def __init__(self, input_shape=(6,), n_components=2, n_outputs=None):
        super().__init__()
        (d,) = input_shape
        self.down = nn.Sequential(
            nn.Dropout(0.2), nn.Linear(d, 5), nn.BatchNorm1d(5), nn.ReLU(), nn.Linear(5, n_outputs or n_components)
        )
        self.up = nn.Sequential(nn.Linear(n_components, 5), nn.Dropout(0.3), nn.Linear(5, d))

    def encode(self, x):
        return self.down(x)

    def decode(self, z):
        return self.up(z)


def small(**params):
    defaults = {
        "module": Small,
        "max_epochs": 3,
        "random_state": 0,
        "lr_schedule": None,
        "early_stopping": False,
        "batch_size": 25,
    }
    return AutoencoderTransformer(2, **defaults | params)


def state_of(ae):
    return {name: value.clone() for name, value in ae.module_.state_dict().items()}


def assert_same(a, b):
    """Two estimators trained to the same bits."""
    assert a.loss_curve_ == b.loss_curve_
    assert a.validation_loss_curve_ == b.validation_loss_curve_
    assert a.best_epoch_ == b.best_epoch_
    for (name, x), y in zip(state_of(a).items(), state_of(b).values(), strict=True):
        assert torch.equal(x, y), name


@pytest.fixture
def fit_by_skorch(monkeypatch):
    """A function that fits an estimator by skorch's own step."""

    def fit(ae, *args, **kwargs):
        with monkeypatch.context() as patch:
            patch.setattr(AutoencoderNet, "_prepared_step", lambda self: None)
            return ae.fit(*args, **kwargs)

    return fit


class At(Callback):
    """Calls ``do`` at an event, in every epoch or in one."""

    def __init__(self, event, do, epoch=None):
        self.event, self.do, self.epoch = event, do, epoch
        if event is not None:
            setattr(self, event, self.run)

    def run(self, net, **kwargs):
        if self.epoch in (None, len(net.history)):
            self.do(net, **kwargs)


class BatchListener(Callback):
    def on_batch_end(self, net, loss=None, y_pred=None, **kwargs):
        assert loss is not None


class GradientReader(Callback):
    def on_grad_computed(self, net, named_parameters, **kwargs):
        self.norm_ = sum(float(p.grad.norm()) for _, p in named_parameters if p.grad is not None)


# ------------------------------------------------------------------ skorch's step, and callbacks that only listen

SETTINGS = {
    "plain": {},
    "defaults": {"module": "mlp", "lr_schedule": "onecycle", "early_stopping": "auto", "max_epochs": 6},
    "penalty": {"alpha": 0.1, "l1_ratio": 0.3, "early_stopping": True},
    "adamw": {"lr_schedule": "cosine", "optimizer": "adamw", "optimizer__weight_decay": 0.3},
    "plateau": {"lr_schedule": "plateau", "n_iter_no_change": 2, "lr": 0.3, "max_epochs": 9, "early_stopping": True},
    "amsgrad": {"optimizer__amsgrad": True, "optimizer__maximize": True},
    "unfused": {"optimizer__fused": False},
    "sgd": {"optimizer": "sgd", "optimizer__momentum": 0.9, "lr_schedule": "onecycle"},
    "lbfgs": {"optimizer": "lbfgs", "lr": 0.1, "optimizer__max_iter": 3},
    "random": {"module": Fragile, "noise": "masking_noise", "early_stopping": True},
    "dropped": {"iterator_train__drop_last": True, "noise": "gaussian_noise", "bottleneck": "sparse", "loss": "huber"},
    "bf16": {"precision": "bf16", "module": "mlp", "early_stopping": True},
}
BESIDE = {
    "nothing": lambda X: {},
    "weights": lambda X: {"sample_weight": np.linspace(0.1, 2, len(X))},
    "target": lambda X: {"X_target": X[:, ::-1]},
}


@pytest.mark.parametrize(("name", "beside"), [*zip(SETTINGS, itertools.cycle(BESIDE))])
def test_training_matches_skorchs_step(blobs, fit_by_skorch, name, beside):
    given = BESIDE[beside](blobs)
    ae = small(**SETTINGS[name])
    assert_same(clone(ae).fit(blobs, **given), fit_by_skorch(clone(ae), blobs, **given))


@pytest.mark.parametrize("name", SETTINGS)
def test_callbacks_that_only_listen_do_not_change_training(blobs, name):
    ae = small(**SETTINGS[name])
    alone = clone(ae).fit(blobs)
    for callbacks in ([BatchListener(), GradientReader()], [GradientNormClipping(1e30)]):
        assert_same(alone, clone(ae).set_params(callbacks=callbacks).fit(blobs))


@pytest.mark.parametrize("verbose", [1, 2])
def test_verbose_does_not_change_training(blobs, capsys, verbose):
    ae = small(module=Fragile, noise="masking_noise", lr_schedule="onecycle", early_stopping=True)
    assert_same(clone(ae).fit(blobs), ae.set_params(verbose=verbose).fit(blobs))


@pytest.mark.filterwarnings("ignore:No component:sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize(
    "params",
    [
        {"bottleneck": Gaussian(importance_samples=3, warmup=0.5)},
        {"bottleneck": "total_correlation", "loss": "gaussian"},
        {"conditional": True, "module": Fragile, "noise": "gaussian_noise", "alpha": 0.01, "lr_schedule": "onecycle"},
    ],
    ids=["samples", "tc", "conditional"],
)
def test_random_states_match_skorchs_step(blobs, fit_by_skorch, params):
    vae = VAEGenerator(2, max_epochs=4, batch_size=25, random_state=0, early_stopping=False, **params)
    given = {"y": np.arange(len(blobs)) % 3, "sample_weight": np.linspace(0, 2, len(blobs))}
    alone = clone(vae).fit(blobs, **given)
    assert_same(alone, fit_by_skorch(clone(vae), blobs, **given))
    assert_same(alone, clone(vae).set_params(callbacks=[BatchListener(), GradientReader()]).fit(blobs, **given))


class Batches(Callback):
    """Keeps the batches that were trained on."""

    def on_train_begin(self, net, **kwargs):
        self.seen_ = []

    def on_batch_begin(self, net, batch, training, **kwargs):
        if training:
            self.seen_.append((batch.u.clone(), batch.y.clone()))


@pytest.mark.parametrize(
    ("schedule", "optimizer"),
    [("onecycle", torch.optim.AdamW), ("cosine", torch.optim.Adam), ("onecycle", torch.optim.SGD)],
)
def test_training_with_a_schedule_equals_a_plain_torch_loop(blobs, schedule, optimizer):
    watch, network = Batches(), Small()
    ae = small(module=network, optimizer=optimizer, lr_schedule=schedule, lr=0.03, callbacks=[watch]).fit(blobs)
    mine = copy.deepcopy(network)
    step = optimizer(mine.parameters(), lr=0.03)
    if schedule == "onecycle":
        cycles = "betas" in inspect.signature(optimizer).parameters
        rate = torch.optim.lr_scheduler.OneCycleLR(step, max_lr=0.03, total_steps=9, cycle_momentum=cycles)
    else:
        rate = torch.optim.lr_scheduler.CosineAnnealingLR(step, T_max=9)
    for u, y in watch.seen_:
        step.zero_grad()
        (mine.decode(mine.encode(u)) - y).square().sum(1).mean().backward()
        step.step()
        rate.step()
    assert len(watch.seen_) == 9
    for name, value in ae.module_.network.state_dict().items():
        torch.testing.assert_close(value, mine.state_dict()[name], atol=1e-5, rtol=1e-4)


# ------------------------------------------------------------------ callbacks that change the optimizer


def reload(net, **kwargs):
    net.optimizer_.load_state_dict(copy.deepcopy(net.optimizer_.state_dict()))
    for state in net.optimizer_.state.values():
        state["exp_avg"].zero_()


def restart(net, **kwargs):
    net._initialize_optimizer()


def forget(net, **kwargs):
    net.optimizer_.state.clear()


def halve(net, **kwargs):
    net.optimizer_.param_groups[0]["lr"] *= 0.5


def ascend(net, **kwargs):
    net.optimizer_.param_groups[0]["maximize"] = True


def freeze(net, **kwargs):
    for p in net.module_.network.down.parameters():
        p.requires_grad_(not p.requires_grad)


def drop_gradients(net, **kwargs):
    for p in net.module_.network.down.parameters():
        p.grad = None


def replace_gradients(net, **kwargs):
    for p in net.module_.network.down.parameters():
        p.grad = torch.ones_like(p)


def add_group(net, **kwargs):
    if len(net.optimizer_.param_groups) == 1:
        last = [net.optimizer_.param_groups[0]["params"].pop()]
        net.optimizer_.state.pop(last[0], None)
        net.optimizer_.add_param_group({"params": last, "lr": 0.5})


CHANGES = [reload, restart, forget, halve, ascend, freeze, add_group]
WHEN = ["on_epoch_begin", "on_batch_begin", "on_epoch_end", "on_batch_end"]


@pytest.mark.parametrize(("change", "event"), [*zip(CHANGES, itertools.cycle(WHEN))])
def test_callback_that_changes_the_optimizer(blobs, fit_by_skorch, change, event):
    ae = small(lr=0.01, max_epochs=4)
    a = clone(ae).set_params(callbacks=[At(event, change, epoch=2)]).fit(blobs)
    b = fit_by_skorch(clone(ae).set_params(callbacks=[At(event, change, epoch=2)]), blobs)
    assert_same(a, b)


@pytest.mark.parametrize("change", [drop_gradients, replace_gradients, halve, freeze])
def test_callback_that_changes_gradients(blobs, fit_by_skorch, change):
    ae = small(lr=0.01)
    a = clone(ae).set_params(callbacks=[At("on_grad_computed", change, epoch=2)]).fit(blobs)
    b = fit_by_skorch(clone(ae).set_params(callbacks=[At("on_grad_computed", change, epoch=2)]), blobs)
    assert_same(a, b)


class AnyStep(torch.optim.SGD):
    def step(self, *args, **kwargs):
        return super().step(*args, **kwargs)


class NeedsClosure(torch.optim.SGD):
    """As sharpness-aware optimizers are."""

    def step(self, closure=None):
        if closure is None:
            raise RuntimeError("a closure is needed")
        with torch.enable_grad():
            closure()
        return super().step(closure)


@pytest.mark.parametrize("optimizer", [AnyStep, NeedsClosure])
def test_custom_optimizer_trains_as_in_skorch(blobs, fit_by_skorch, optimizer):
    ae = small(optimizer=optimizer)
    assert_same(clone(ae).fit(blobs), fit_by_skorch(clone(ae), blobs))


@pytest.mark.parametrize("params", [{"iterator_train__shuffle": False}, {"early_stopping": True}])
def test_network_may_work_in_place(blobs, params):
    a, b = (small(module=module, **params).fit(blobs) for module in (InPlace, OutOfPlace))
    assert_same(a, b)


# ------------------------------------------------------------------ validation


class Diary(Callback):
    """Keeps the objectives of the validation samples, and the weights, of every epoch."""

    def on_train_begin(self, net, y=None, **kwargs):
        self.y_, self.sample_losses_, self.weights_ = y, [net.evaluate(y)], [copy.deepcopy(net.module_.state_dict())]

    def on_epoch_end(self, net, **kwargs):
        self.sample_losses_.append(net.evaluate(self.y_))
        self.weights_.append(copy.deepcopy(net.module_.state_dict()))


VALIDATED = {
    "plain": {},
    "penalty": {"alpha": 0.05, "l1_ratio": 0.5},
    "noise": {"noise": "masking_noise"},
    "fragile": {"module": Fragile},
    "mlp": {"module": "mlp", "lr": 0.05},
    "wild": {"lr": 0.3},
}


@pytest.mark.parametrize(
    ("name", "weighted", "given"),
    [(name, i % 2 == 0, i % 3 == 0) for i, name in enumerate(VALIDATED)],
)
def test_best_epoch_minimizes_validation_loss(blobs, monkeypatch, name, weighted, given):
    asked = []

    def watched(a, b, level=0.05):
        asked.append((a.clone(), b.clone()))
        return significantly_above(a, b, level)

    significantly_above = _callbacks.significantly_above
    monkeypatch.setattr(_callbacks, "significantly_above", watched)
    diary = Diary()
    ae = small(early_stopping=True, max_epochs=12, n_iter_no_change=6, callbacks=[diary], **VALIDATED[name])
    others = {"sample_weight": np.linspace(0.1, 2, 60)} if weighted else {}
    others |= {"X_val": blobs[::3] + 0.1} if given else {}
    ae.fit(blobs, **others)
    means = np.array([float(judged.double().mean()) for judged in diary.sample_losses_])
    curve = ae.net_.module_.in_data_units(means, 6)
    np.testing.assert_allclose(ae.validation_loss_curve_, curve, rtol=1e-5)
    assert len(curve) == ae.n_iter_ + 1
    best = int(np.argmin(ae.validation_loss_curve_))
    if asked:
        ((start, judged),) = asked
        torch.testing.assert_close(start, diary.sample_losses_[0])
        torch.testing.assert_close(judged, diary.sample_losses_[best])
    assert ae.best_epoch_ == (best if not asked or significantly_above(*asked[0]) else 0)
    for key, value in ae.module_.state_dict().items():
        assert torch.equal(value, diary.weights_[ae.best_epoch_][key]), key


def test_validation_loss_curve_equals_scores(blobs):
    diary, X_val = Diary(), blobs[:20] * 1.1
    ae = small(max_epochs=6, callbacks=[diary], early_stopping=True).fit(blobs, X_val=X_val)
    for weights, loss in zip(diary.weights_, ae.validation_loss_curve_, strict=True):
        again = copy.deepcopy(ae)
        again.module_.load_state_dict(weights)
        assert -again.score_samples(X_val).mean() == pytest.approx(loss, rel=1e-4)


class Validation(Callback):
    """Keeps the validation data."""

    def on_train_begin(self, net, X=None, y=None, **kwargs):
        self.rows_ = y


@pytest.mark.parametrize("fraction", [0.1, 0.5])
def test_weights_of_validation_samples_have_mean_1(blobs, fraction):
    validation, weight = Validation(), np.linspace(0.1, 4, 60) ** 2
    ae = small(max_epochs=2, validation_fraction=fraction, early_stopping=True, callbacks=[validation])
    ae.fit(blobs, sample_weight=weight)
    assert len(validation.rows_) == 60 * fraction
    assert float(validation.rows_.weight.mean()) == pytest.approx(1, rel=1e-5)
    assert float(validation.rows_.weight.std()) > 0.1


@pytest.mark.parametrize(
    ("early_stopping", "n", "n_validation"),
    [(True, 8, 1), ("auto", 8, 8), (True, 9, 1), ("auto", 9, 9), ("auto", 10, 1)],
)
def test_few_samples_are_held_out_only_on_request(blobs, early_stopping, n, n_validation):
    validation = Validation()
    small(max_epochs=1, early_stopping=early_stopping, callbacks=[validation]).fit(blobs[:n])
    assert len(validation.rows_) == n_validation


# ------------------------------------------------------------------ partial_fit and warm_start


@pytest.mark.parametrize(
    ("optimizer", "how"), [("adam", "partial_fit"), ("adamw", "warm_start"), ("sgd", "partial_fit")]
)
def test_repeated_fits_equal_a_single_one(blobs, optimizer, how):
    ae = small(optimizer=optimizer, iterator_train__shuffle=False, lr=0.02, max_epochs=4)
    whole, parts = clone(ae).fit(blobs), clone(ae).set_params(max_epochs=1, warm_start=how == "warm_start")
    curve = []
    for _ in range(4):
        parts = getattr(parts, "fit" if how == "warm_start" else how)(blobs)
        parts = pickle.loads(pickle.dumps(parts))
        curve.append(parts.loss_curve_[-1])
    assert curve == whole.loss_curve_
    for (name, a), b in zip(state_of(whole).items(), state_of(parts).values(), strict=True):
        assert torch.equal(a, b), name
    assert parts.net_.history[:, "train_loss"] == whole.net_.history[:, "train_loss"]


# ------------------------------------------------------------------ a net that is used while it trains


def look_by_pickle(net, **kwargs):
    pickle.loads(pickle.dumps(net))


def look_by_copy(net, **kwargs):
    copy.deepcopy(net)


def look_by_params(net, **kwargs):
    net.get_params()
    repr(net)


def look_by_predicting(net, **kwargs):
    net.predict(np.zeros((3, 6), dtype=np.float32))


def look_by_evaluating(net, **kwargs):
    net.evaluate(InMemoryDataset(torch.zeros(3, 6)))


def look_by_fitting(net, **kwargs):
    small(max_epochs=1, noise="gaussian_noise").fit(np.random.default_rng(0).normal(size=(12, 6)))


class Silent(At):
    """Pickles without the function that it holds."""

    def __getstate__(self):
        return {"event": None, "do": None, "epoch": None}


LOOKS = [look_by_pickle, look_by_copy, look_by_params, look_by_predicting, look_by_evaluating, look_by_fitting]


@pytest.mark.parametrize(("event", "look"), [*zip(TRAINING, itertools.cycle(LOOKS))])
def test_net_may_be_used_while_it_trains(blobs, event, look):
    ae = small(module=Fragile, noise="gaussian_noise", lr_schedule="onecycle", early_stopping=True, max_epochs=2)
    alone = clone(ae).fit(blobs)
    assert_same(alone, clone(ae).set_params(callbacks=[Silent(event, look)]).fit(blobs))


def test_copy_made_within_an_epoch_is_independent(blobs):
    taken = []
    ae = small(callbacks=[Silent("on_batch_end", lambda net, **kwargs: taken.append(copy.deepcopy(net)), epoch=2)])
    ae.fit(blobs)
    before = state_of(ae)
    net = taken[0]
    net.fit_loop(InMemoryDataset(torch.randn(20, 6)), None, epochs=2)
    assert all(torch.equal(before[name], value) for name, value in ae.module_.state_dict().items())
    moved = zip(net.module_.parameters(), taken[1].module_.parameters(), strict=True)
    assert any(not torch.equal(a, b) for a, b in moved)


# ------------------------------------------------------------------ global state


def global_state():
    return (
        torch.get_num_threads(),
        torch.is_grad_enabled(),
        torch.is_inference_mode_enabled(),
        torch.get_default_dtype(),
        torch.are_deterministic_algorithms_enabled(),
        torch.is_autocast_enabled("cpu"),
        torch.get_rng_state().numpy().tobytes(),
        np.random.get_state()[1].tobytes(),  # noqa: NPY002
        signal.getsignal(signal.SIGINT),
    )


def test_fit_and_methods_leave_the_global_state(blobs):
    world = global_state()
    ae = small(module=Fragile, noise="gaussian_noise", early_stopping=True, prior="mixture").fit(blobs)
    for method in (ae.transform, ae.reconstruct, ae.score_samples, ae.score):
        method(blobs)
    ae.sample(3)
    assert global_state() == world


def test_fit_under_no_grad(blobs):
    ae = small(early_stopping=True)
    alone = clone(ae).fit(blobs)
    with torch.no_grad():
        assert_same(alone, clone(ae).fit(blobs))
        assert not torch.is_grad_enabled()


def test_default_dtype_of_torch_has_no_effect(blobs):
    ae = small(module="mlp", lr_schedule="onecycle", early_stopping=True, alpha=0.01)
    alone = clone(ae).fit(blobs)
    torch.set_default_dtype(torch.float64)
    try:
        within = clone(ae).fit(blobs)
        assert within.transform(blobs).dtype == np.float32
        VAEGenerator(2, max_epochs=2, random_state=0, prior="mixture").fit(blobs).score(blobs)
    finally:
        torch.set_default_dtype(torch.float32)
    assert {p.dtype for p in within.module_.parameters()} == {torch.float32}
    assert alone.n_iter_ == within.n_iter_


def test_deterministic_algorithms(blobs):
    ae = small(module=Fragile, noise="gaussian_noise", early_stopping=True)
    alone = clone(ae).fit(blobs)
    torch.use_deterministic_algorithms(True)
    try:
        assert_same(alone, clone(ae).fit(blobs))
        assert torch.are_deterministic_algorithms_enabled()
    finally:
        torch.use_deterministic_algorithms(False)


# ------------------------------------------------------------------ threads and processes


def fit_one(ae, X):
    return ae.fit(X)


def several():
    for seed in range(4):
        yield small(module=Fragile, noise="masking_noise", early_stopping=True, random_state=seed)
    yield small(module="mlp", lr_schedule="onecycle")
    yield VAEGenerator(2, max_epochs=4, random_state=0)


@pytest.mark.parametrize("backend", ["threading", pytest.param("loky", marks=pytest.mark.slow)])
def test_parallel_fits_equal_serial_ones(blobs, backend):
    serial = [ae.fit(blobs) for ae in several()]
    with joblib.parallel_backend(backend, n_jobs=2):
        parallel = joblib.Parallel()(joblib.delayed(fit_one)(ae, blobs) for ae in several())
    for a, b in zip(serial, parallel, strict=True):
        assert_same(a, b)
        np.testing.assert_array_equal(a.transform(blobs), b.transform(blobs))


class CountsThreads(Small):
    found = None

    def encode(self, x):
        type(self).found.add(torch.get_num_threads())
        return super().encode(x)


@pytest.mark.parametrize("used", [False, True], ids=["new thread", "thread that has computed"])
def test_small_work_takes_one_thread_in_any_thread(blobs, used):
    CountsThreads.found = set()

    def work():
        if used:
            torch.get_num_threads()
        small(module=CountsThreads, max_epochs=1).fit(blobs).transform(blobs)

    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    finally:
        torch.set_num_threads(before)
    assert CountsThreads.found == {1}


def test_threads_share_one_estimator_while_others_are_fitted(blobs):
    vae = VAEGenerator(2, max_epochs=1, random_state=0).fit(blobs)
    other = small(noise="gaussian_noise", prior="mixture")
    alone, before = clone(other).fit(blobs).transform(blobs), state_of(vae)
    uses = [
        *(lambda n=n: vae.transform(blobs[:n]) for n in (5, 9)),
        lambda: vae.score_samples(blobs[:5]),
        *(lambda seed=seed: vae.sample(4, random_state=seed, noisy=True) for seed in range(3)),
        lambda: vae.sample_posterior(blobs[:3], random_state=0, noisy=True),
    ]
    wanted = [use() for use in uses]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)  # threads change places as often as they can
    try:
        with ThreadPoolExecutor(4) as pool:
            fits = [pool.submit(lambda: clone(other).fit(blobs).transform(blobs)) for _ in range(3)]
            found = [pool.submit(use) for _ in range(10) for use in uses]
            for future, result in zip(found, wanted * 10, strict=True):
                np.testing.assert_array_equal(future.result(timeout=HANGS), result)
            for future in fits:
                np.testing.assert_array_equal(future.result(timeout=HANGS), alone)
    finally:
        sys.setswitchinterval(interval)
    assert all(torch.equal(before[name], value) for name, value in state_of(vae).items())


@pytest.mark.slow
def test_parallel_search_over_a_memory_map_equals_the_serial_one(blobs, tmp_path):
    np.save(tmp_path / "X.npy", np.tile(blobs, (3, 1)))
    X = np.load(tmp_path / "X.npy", mmap_mode="r")
    grid = {"lr": [1e-3, 1e-2], "noise": [None, "masking_noise"]}
    ae = small(early_stopping=True)
    serial, parallel = (GridSearchCV(ae, grid, cv=2, n_jobs=n).fit(X) for n in (None, 2))
    in_memory = GridSearchCV(ae, grid, cv=2).fit(np.array(X))
    for search in (parallel, in_memory):
        np.testing.assert_array_equal(serial.cv_results_["mean_test_score"], search.cv_results_["mean_test_score"])
        assert_same(serial.best_estimator_, search.best_estimator_)


# ------------------------------------------------------------------ memory


@pytest.mark.parametrize(("early_stopping", "listener"), [(True, []), (False, [BatchListener(), GradientReader()])])
@pytest.mark.slow
def test_fitted_estimator_keeps_no_samples(early_stopping, listener):
    rng = np.random.default_rng(0)
    X, Y, weight = rng.normal(size=(6000, 40)), rng.normal(size=(6000, 40)), rng.uniform(size=6000)
    ae = small(early_stopping=early_stopping, batch_size=500, callbacks=listener)
    ae.fit(X, X_target=Y, sample_weight=weight).partial_fit(X)
    ae.transform(X)
    dead = [weakref.ref(A) for A in (X, Y, weight)]
    del X, Y, weight
    gc.collect()
    assert [ref() for ref in dead] == [None] * 3
    seen, found = set(), [vars(ae)]
    while found:  # whatever can be reached from it by attributes and containers
        item = found.pop()
        if id(item) in seen or isinstance(item, type | str | bytes) or inspect.ismodule(item) or callable(item):
            continue
        seen.add(id(item))
        assert type(item).__name__ not in ("InMemoryDataset", "StreamingDataset")
        if isinstance(item, torch.Tensor | np.ndarray):
            assert not item.ndim or len(item) < 6000
        found += item.values() if isinstance(item, dict) else item if isinstance(item, list | tuple | set) else []
        found += list(getattr(item, "__dict__", {}).values())
    assert len(pickle.dumps(ae)) < 100_000


def test_size_of_pickles_does_not_depend_on_epochs(blobs):
    sizes = [len(pickle.dumps(small(max_epochs=n, early_stopping=True).fit(blobs))) for n in (1, 41)]
    assert sizes[1] - sizes[0] < 40 * 500


MEMORY = """
import sys, numpy as np
from pathlib import Path
from skae import AutoencoderTransformer

def memory(name):
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name)) / 1024

def ae(**params):
    return AutoencoderTransformer(2, max_epochs=1, batch_size=2048, module__hidden_layer_sizes=(16,), **params)

rng = np.random.default_rng(0)
ae(early_stopping=True).fit(rng.normal(size=(2000, 64)).astype(np.float32)).transform(np.zeros((10, 64)))
X = rng.standard_normal((200_000, 64))
Path("/proc/self/clear_refs").write_text("5")
before = memory("VmRSS")
fitted = ae(early_stopping=True).fit(X)
print((memory("VmHWM") - before) / (4 * X.size / 2**20))
after = memory("VmRSS")
print((after - before) / (4 * X.size / 2**20))
"""


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="memory is read from /proc, which is Linux's")
@pytest.mark.slow
def test_fit_makes_about_one_copy_of_X():
    command = [sys.executable, "-c", MEMORY]
    most, left = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    assert float(most) < 2.2, "in copies in float32"
    assert float(left) < 0.6


# ------------------------------------------------------------------ layouts of X


def big_endian(X):
    return X.astype(X.dtype.newbyteorder(">"))


def read_only(X):
    X = X.copy()
    X.flags.writeable = False
    return X


def unaligned(X):
    out = np.empty(X.nbytes + 1, "u1")[1:].view(X.dtype).reshape(X.shape)
    out[...] = X
    return out


LAYOUTS = {
    "Fortran": np.asfortranarray,
    "backwards": lambda X: X[::-1].copy()[::-1],
    "mirrored": lambda X: X[:, ::-1].copy()[:, ::-1],
    "every other": lambda X: X.repeat(2, axis=0)[::2],
    "read only": read_only,
    "foreign bytes": big_endian,
    "unaligned": unaligned,
    "field": lambda X: np.array([(row, 1) for row in X], dtype=[("a", X.dtype, X.shape[1]), ("b", "u1")])["a"],
    "broadcast": lambda X: np.lib.stride_tricks.as_strided(X, X.shape, X.strides, writeable=False),
    "frame": pd.DataFrame,
    "list": lambda X: X.tolist(),
}


@pytest.mark.parametrize(("layout", "dtype"), [*zip(LAYOUTS, itertools.cycle(["f4", "f8", "f2"]))])
def test_layout_of_X_does_not_matter(blobs, layout, dtype):
    X = np.ascontiguousarray(blobs.astype(dtype))
    A = LAYOUTS[layout](X)
    ae = small(noise="gaussian_noise", early_stopping=True)
    a, b = clone(ae).fit(X), clone(ae).fit(A)
    np.testing.assert_allclose(a.loss_curve_, b.loss_curve_, rtol=1e-6)
    for method in ("transform", "reconstruct", "score_samples"):
        np.testing.assert_allclose(getattr(a, method)(X), getattr(b, method)(A), atol=1e-3, rtol=1e-4)
    A = LAYOUTS[layout](np.ascontiguousarray(X))
    np.testing.assert_array_equal(np.asarray(A), X, err_msg="nobody has written into it")


@pytest.mark.parametrize("dtype", ["?", "u1", "i8", "f2", "f4", "g", ">i2", ">f8"])
def test_dtype_of_X_does_not_matter(digits, dtype):
    X = (digits[:200] > 8).astype(dtype)
    ae = AutoencoderTransformer(4, max_epochs=2, random_state=0)
    a, b = clone(ae).fit(X), clone(ae).fit(X.astype("f8"))
    np.testing.assert_allclose(a.validation_loss_curve_, b.validation_loss_curve_, rtol=1e-4)
    np.testing.assert_allclose(a.transform(X), b.transform(X.astype("f8")), atol=1e-3)


@pytest.mark.parametrize(
    ("mode", "view", "in_memory"),
    [
        ("r", lambda X: X, False),
        ("r+", lambda X: X[1:-1], False),
        ("c", lambda X: X[::-1, ::-1], False),
        ("r", lambda X: X[:, 1:5], True),
    ],
)
def test_views_of_a_memory_map(digits, tmp_path, mode, view, in_memory):
    np.save(tmp_path / "X.npy", digits[:400])
    X = view(np.load(tmp_path / "X.npy", mmap_mode=mode))
    same = np.array(view(digits[:400]))
    ae = AutoencoderTransformer(2, max_epochs=2, random_state=0)
    with config_context(working_memory=1024 if in_memory else 1 / 16):
        a = clone(ae).fit(X)
        np.testing.assert_allclose(a.transform(X), a.transform(same), atol=1e-5)
        if in_memory:
            assert_same(a, clone(ae).fit(same))
    np.testing.assert_array_equal(np.load(tmp_path / "X.npy"), digits[:400])


# ------------------------------------------------------------------ budgets


def given_beside(X, beside):
    """What `fit` is given beside X, and the bytes of all samples in memory."""
    return BESIDE[beside](X), 4 * X.size * (2 if beside == "target" else 1)


@pytest.mark.parametrize(
    ("beside", "noise", "fraction"),
    [("nothing", "masking_noise", 0.1), ("target", None, 0.6), ("weights", "masking_noise", 0.6)],
)
def test_training_is_the_same_up_to_the_last_byte_of_the_budget(blobs, beside, noise, fraction):
    X = np.tile(blobs, (4, 1))
    given, n_bytes = given_beside(X, beside)
    ae = small(module=Fragile, noise=noise, early_stopping=True, validation_fraction=fraction)
    fits = []
    for spare in (10**9, 1, 0):
        with config_context(working_memory=2 * (n_bytes + spare) / 2**20):
            fits.append(clone(ae).fit(X, **given))
    for other in fits[1:]:
        assert_same(fits[0], other)


@pytest.mark.parametrize(("beside", "noise"), [("nothing", "gaussian_noise"), ("target", None), ("weights", None)])
def test_training_is_the_same_one_byte_beyond_the_budget(blobs, beside, noise):
    X = np.tile(blobs, (4, 1))
    given, n_bytes = given_beside(X, beside)
    ae = small(module=Fragile, noise=noise, iterator_train__drop_last=True)
    in_memory = clone(ae).fit(X, **given)
    with config_context(working_memory=2 * (n_bytes - 1) / 2**20):
        streamed = clone(ae).fit(X, **given)
    assert in_memory.loss_curve_ == streamed.loss_curve_
    for name, value in state_of(in_memory).items():
        if name != "baseline":  # which is the mean of a sample
            assert torch.equal(value, streamed.module_.state_dict()[name]), name


@pytest.mark.parametrize(("n", "noise"), [(2, None), (3, "gaussian_noise"), (9, None)])
def test_few_samples_beyond_the_budget(blobs, n, noise):
    ae = small(noise=noise, early_stopping="auto")
    in_memory = clone(ae).fit(blobs[:n])
    with config_context(working_memory=1e-5):
        streamed = clone(ae).fit(blobs[:n])
    np.testing.assert_allclose(streamed.loss_curve_, in_memory.loss_curve_)
    np.testing.assert_allclose(streamed.transform(blobs), in_memory.transform(blobs), atol=1e-5)


@pytest.mark.filterwarnings("ignore:No component:sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize(("cls", "memory"), [(AutoencoderTransformer, 0), (VAEGenerator, 1e-6), (ConvAutoencoder, 0)])
def test_fit_with_next_to_no_working_memory(digits, cls, memory):
    ae = cls(2, max_epochs=1, random_state=0, prior=None)
    with config_context(working_memory=memory):
        ae.fit(digits[:60])
    assert np.isfinite(ae.transform(digits[:60])).all()


# ------------------------------------------------------------------ sizes


@pytest.mark.parametrize(
    ("n", "batch_size", "drop_last"),
    [(2, 1, True), (2, 3, False), (3, 10**9, True), (5, 3, True), (9, 1, False), (10, 3, True), (12, 12, False)],
)
def test_few_samples(blobs, n, batch_size, drop_last):
    X = blobs[:n]
    for early_stopping in ("auto", False):
        ae = small(
            module="mlp", max_epochs=2, batch_size=batch_size, iterator_train__drop_last=drop_last,
            early_stopping=early_stopping, lr_schedule="onecycle",
        ).fit(X)  # fmt: skip
        assert ae.n_iter_ == 2
        assert np.isfinite(ae.transform(X)).all()
        assert len(ae.loss_curve_) == 2


# ------------------------------------------------------------------ sources that fail


class Items(Dataset):
    """Samples by their number; calls ``do`` when one of them is read for the k-th time."""

    def __init__(self, X, row=None, do=None, times=1):
        self.X, self.row, self.do, self.left = X, row, do, times

    def __len__(self):
        return len(self.X)

    def __getitem__(self, i):
        if i == self.row:
            self.left -= 1
            if self.left == 0:
                self.do()
        return torch.from_numpy(np.array(self.X[i])), i, {"name": "row"}


def lost():
    raise OSError("the disk is gone")


def press():
    signal.raise_signal(signal.SIGINT)


@pytest.mark.parametrize(
    ("times", "do", "error", "method"),
    [
        (1, lost, OSError, "fit"),
        (2, press, KeyboardInterrupt, "partial_fit"),
        (3, press, KeyboardInterrupt, "fit"),
        (4, lost, OSError, "fit"),
    ],
)
def test_sample_that_cannot_be_read(digits, interruptible, times, do, error, method):
    ae = AutoencoderTransformer(2, max_epochs=9, random_state=0)
    world, before = global_state(), dict(vars(ae))
    with config_context(working_memory=1 / 16), pytest.raises(error):
        getattr(ae, method)(Items(digits, 1234, do, times))
    assert vars(ae) == before
    assert global_state() == world


@pytest.mark.parametrize("held", [False, True])
def test_chunk_that_cannot_be_computed(digits, held):
    def compute(block, block_info=None):
        if block_info and block_info[0]["chunk-location"][0] == 5:
            raise OSError("chunk 5 is gone")
        return block

    X = da.from_array(digits, chunks=(100, 64)).map_blocks(compute, dtype=digits.dtype)
    ae = AutoencoderTransformer(2, max_epochs=2).fit(digits)
    before, world = dict(vars(ae)), global_state()
    with config_context(working_memory=1024 if held else 1 / 16):
        for method in (ae.fit, ae.partial_fit, lambda X: np.asarray(ae.transform(X)), ae.score):
            with pytest.raises(OSError, match="chunk 5 is gone"):
                method(X)
    assert vars(ae) == before
    assert global_state() == world
