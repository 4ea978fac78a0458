"""Attempts to break the engine: whoever listens, wherever rows lie, whatever stops it, training is the same."""

import copy
import gc
import inspect
import pickle
import signal
import subprocess
import sys
import threading
import weakref
from pathlib import Path

import dask.array as da
import joblib
import numpy as np
import pandas as pd
import pytest
import torch
import zarr
from sklearn import config_context
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from skorch.callbacks import Callback, GradientNormClipping
from torch import nn
from torch.utils.data import Dataset, StackDataset, TensorDataset

from skae import AutoencoderTransformer, ConvAutoencoder, Reconstructor, VAEGenerator
from skae._data.batches import InMemoryDataset
from skae._training import callbacks as _callbacks
from skae._training.net import AutoencoderNet
from skae.bottlenecks import Gaussian

EVENTS = [
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
def by_skorchs_own_step(monkeypatch):
    """A function that fits an estimator without the quick step."""

    def fit(ae, *args, **kwargs):
        with monkeypatch.context() as patch:
            patch.setattr(AutoencoderNet, "_quick_step", lambda self: None)
            return ae.fit(*args, **kwargs)

    return fit


class At(Callback):
    """Does something at an event, in one epoch if it is told which."""

    def __init__(self, event, do, epoch=None):
        self.event, self.do, self.epoch = event, do, epoch

    def notify(self, event, net, **kwargs):
        if event == self.event and self.epoch in (None, len(net.history)):
            self.do(net, **kwargs)


def _method(event):
    def tell(self, net, **kwargs):
        self.notify(event, net, **kwargs)

    return tell


for _event in EVENTS:
    setattr(At, _event, _method(_event))


class Ear(Callback):
    """Hears every batch and nothing else."""

    def on_batch_end(self, net, loss=None, y_pred=None, **kwargs):
        assert loss is not None


class Reader(Callback):
    """Reads gradients."""

    def on_grad_computed(self, net, named_parameters, **kwargs):
        self.norm_ = sum(float(p.grad.norm()) for _, p in named_parameters if p.grad is not None)


# ------------------------------------------------------------------ quick or not, heard or not

SETTINGS = {
    "plain": {},
    "defaults": {"module": "mlp", "lr_schedule": "onecycle", "early_stopping": "auto", "max_epochs": 6},
    "penalty": {"alpha": 0.1, "l1_ratio": 0.3, "early_stopping": True},
    "betas cycled": {"lr_schedule": "onecycle", "lr": 0.05},
    "betas set": {"lr_schedule": "onecycle", "optimizer__betas": (0.5, 0.6)},
    "cosine adamw": {"lr_schedule": "cosine", "optimizer": "adamw", "optimizer__weight_decay": 0.3},
    "plateau": {"lr_schedule": "plateau", "n_iter_no_change": 2, "lr": 0.3, "max_epochs": 9, "early_stopping": True},
    "amsgrad": {"optimizer__amsgrad": True, "optimizer__weight_decay": 0.1},
    "maximize": {"optimizer__maximize": True},
    "unfused": {"optimizer__fused": False},
    "foreach": {"optimizer__foreach": True},
    "sgd": {"optimizer": "sgd", "optimizer__momentum": 0.9, "lr_schedule": "onecycle"},
    "rmsprop": {"optimizer": "rmsprop", "lr_schedule": "cosine"},
    "adagrad": {"optimizer": "adagrad"},
    "lbfgs": {"optimizer": "lbfgs", "lr": 0.1, "optimizer__max_iter": 3},
    "drawn": {"module": Fragile, "noise": "masking_noise", "early_stopping": True},
    "salt": {"module": Fragile, "noise": "salt_and_pepper", "lr_schedule": "onecycle"},
    "dropped": {"iterator_train__drop_last": True, "noise": "gaussian_noise"},
    "singles": {"batch_size": 1, "max_epochs": 1},
    "one batch": {"batch_size": 10**9, "iterator_train__shuffle": False},
    "sparse": {"bottleneck": "sparse", "loss": "huber"},
    "bf16": {"precision": "bf16", "module": "mlp", "early_stopping": True},
}


@pytest.mark.parametrize("name", SETTINGS)
@pytest.mark.parametrize("beside", ["nothing", "weights", "target"])
def test_the_quick_step_is_skorchs_own(blobs, by_skorchs_own_step, name, beside):
    given = {
        "nothing": {},
        "weights": {"sample_weight": np.linspace(0, 2, len(blobs))},
        "target": {"X_target": blobs[:, ::-1]},
    }[beside]
    ae = small(**SETTINGS[name])
    assert_same(clone(ae).fit(blobs, **given), by_skorchs_own_step(clone(ae), blobs, **given))


@pytest.mark.parametrize("name", SETTINGS)
def test_training_does_not_depend_on_who_listens(blobs, name):
    ae = small(**SETTINGS[name])
    alone = clone(ae).fit(blobs)
    for heard in ([Ear()], [Reader()], [GradientNormClipping(1e30)], [Ear(), Reader()]):
        assert_same(alone, clone(ae).set_params(callbacks=heard).fit(blobs))


@pytest.mark.parametrize("verbose", [1, 2])
def test_training_does_not_depend_on_what_is_printed(blobs, capsys, verbose):
    ae = small(module=Fragile, noise="masking_noise", lr_schedule="onecycle", early_stopping=True)
    assert_same(clone(ae).fit(blobs), ae.set_params(verbose=verbose).fit(blobs))


@pytest.mark.filterwarnings("ignore:No component:sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize(
    "params",
    [
        {},
        {"bottleneck": Gaussian(importance_samples=3, warmup=0.5)},
        {"bottleneck": "total_correlation", "loss": "gaussian"},
        {"conditional": True, "noise": "gaussian_noise", "alpha": 0.01},
        {"conditional": True, "module": Fragile, "lr_schedule": "onecycle"},
    ],
    ids=["plain", "samples", "tc", "conditional", "fragile"],
)
@pytest.mark.parametrize("weighted", [False, True])
def test_generators_do_not_depend_on_who_listens(blobs, by_skorchs_own_step, params, weighted):
    vae = VAEGenerator(2, max_epochs=4, batch_size=25, random_state=0, **params)
    given = {"sample_weight": np.linspace(0, 2, len(blobs))} if weighted else {}
    y = np.arange(len(blobs)) % 3
    alone = clone(vae).fit(blobs, y, **given)
    assert_same(alone, by_skorchs_own_step(clone(vae), blobs, y, **given))
    assert_same(alone, clone(vae).set_params(callbacks=[Ear()]).fit(blobs, y, **given))
    # What sees gradients may change them, and then a first training decides alone whether to leave the start.
    vae.set_params(early_stopping=False)
    alone = clone(vae).fit(blobs, y, **given)
    assert_same(alone, clone(vae).set_params(callbacks=[Ear(), Reader()]).fit(blobs, y, **given))
    assert_same(alone, clone(vae).set_params(callbacks=[GradientNormClipping(1e30)]).fit(blobs, y, **given))


class Batches(Callback):
    """Keeps the rows that were trained on."""

    def on_train_begin(self, net, **kwargs):
        self.seen_ = []

    def on_batch_begin(self, net, batch, training, **kwargs):
        if training:
            self.seen_.append((batch.u.clone(), batch.y.clone()))


@pytest.mark.parametrize("schedule", ["onecycle", "cosine"])
@pytest.mark.parametrize("optimizer", [torch.optim.Adam, torch.optim.AdamW, torch.optim.SGD, torch.optim.NAdam])
def test_schedules_are_those_of_a_loop_written_out(blobs, schedule, optimizer):
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


# ------------------------------------------------------------------ what callbacks do to the optimiser


def reload(net, **kwargs):
    net.optimizer_.load_state_dict(copy.deepcopy(net.optimizer_.state_dict()))
    for state in net.optimizer_.state.values():
        state["exp_avg"].zero_()


def restart(net, **kwargs):
    net._initialize_optimizer()


def forget(net, **kwargs):
    net.optimizer_.state.clear()


def forget_squares(net, **kwargs):
    for state in net.optimizer_.state.values():
        state["exp_avg_sq"] = torch.zeros_like(state["exp_avg_sq"])


def forget_steps(net, **kwargs):
    for state in net.optimizer_.state.values():
        state["step"] = torch.tensor(0.0)


def halve(net, **kwargs):
    net.optimizer_.param_groups[0]["lr"] *= 0.5


def decay(net, **kwargs):
    net.optimizer_.param_groups[0]["weight_decay"] = 0.5


def set_rate(net, **kwargs):
    net.set_params(lr=1e-5, optimizer__weight_decay=0.2)


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


CHANGES = [reload, restart, forget, forget_squares, forget_steps, halve, decay, set_rate, ascend, freeze, add_group]
EVENTS = ["on_epoch_begin", "on_epoch_end", "on_batch_begin", "on_batch_end"]


@pytest.mark.parametrize("event", EVENTS)
@pytest.mark.parametrize("change", CHANGES)
def test_what_a_callback_does_to_the_optimiser_counts_at_once(blobs, by_skorchs_own_step, change, event):
    ae = small(lr=0.01, max_epochs=4, early_stopping=False)
    a = clone(ae).set_params(callbacks=[At(event, change, epoch=2)]).fit(blobs)
    b = by_skorchs_own_step(clone(ae).set_params(callbacks=[At(event, change, epoch=2)]), blobs)
    assert_same(a, b)


@pytest.mark.parametrize("change", [drop_gradients, replace_gradients, halve, freeze])
def test_what_a_callback_does_to_gradients_counts_at_once(blobs, by_skorchs_own_step, change):
    for params in ({}, {"optimizer": "sgd", "optimizer__momentum": 0.9}):
        ae = small(lr=0.01, **params)
        a = clone(ae).set_params(callbacks=[At("on_grad_computed", change, epoch=2)]).fit(blobs)
        b = by_skorchs_own_step(clone(ae).set_params(callbacks=[At("on_grad_computed", change, epoch=2)]), blobs)
        assert_same(a, b)


class AnyStep(torch.optim.SGD):
    def step(self, *args, **kwargs):
        return super().step(*args, **kwargs)


class OtherName(torch.optim.SGD):
    def step(self, loss_closure=None):
        return super().step(loss_closure)


class NeedsClosure(torch.optim.SGD):
    """As sharpness-aware ones are: what they are without a closure, they say when they are asked."""

    def step(self, closure=None):
        if closure is None:
            raise RuntimeError("a closure is needed")
        with torch.enable_grad():
            closure()
        return super().step(closure)


@pytest.mark.parametrize("optimizer", [AnyStep, OtherName, NeedsClosure])
def test_optimisers_of_ones_own_train_as_under_skorch(blobs, by_skorchs_own_step, optimizer):
    ae = small(optimizer=optimizer)
    assert_same(clone(ae).fit(blobs), by_skorchs_own_step(clone(ae), blobs))


@pytest.mark.parametrize("params", [{}, {"iterator_train__shuffle": False}, {"early_stopping": True}])
def test_a_network_may_write_into_what_it_is_given(blobs, params):
    a, b = (small(module=module, **params).fit(blobs) for module in (InPlace, OutOfPlace))
    assert_same(a, b)


@pytest.mark.parametrize("kind", ["array", "tensor"])
def test_no_method_writes_into_what_it_is_given(blobs, kind):
    ae = small(module=OutOfPlace).fit(blobs)
    ae.module_.network.up[0].inplace = ae.module_.network.down[0].inplace = True
    for method, rows in (("transform", blobs), ("reconstruct", blobs), ("inverse_transform", blobs[:, :2])):
        A = np.array(rows, dtype=np.float32)
        getattr(ae, method)(A if kind == "array" else torch.from_numpy(A))
        np.testing.assert_array_equal(A, rows.astype(np.float32), err_msg=method)


# ------------------------------------------------------------------ the judge


class Diary(Callback):
    """Judges by hand, and keeps the weights of every epoch."""

    def on_train_begin(self, net, y=None, **kwargs):
        self.y_, self.sample_losses_, self.weights_ = y, [net.evaluate(y)], [copy.deepcopy(net.module_.state_dict())]

    def on_epoch_end(self, net, **kwargs):
        self.sample_losses_.append(net.evaluate(self.y_))
        self.weights_.append(copy.deepcopy(net.module_.state_dict()))


JUDGED = {
    "plain": {},
    "penalty": {"alpha": 0.05, "l1_ratio": 0.5},
    "noise": {"noise": "masking_noise"},
    "fragile": {"module": Fragile},
    "mlp": {"module": "mlp", "lr": 0.05},
    "wild": {"lr": 0.3},
}


@pytest.mark.parametrize("name", JUDGED)
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("given", [False, True])
def test_the_best_epoch_is_judged_by_what_the_judge_says_of_it(blobs, monkeypatch, name, weighted, given):
    asked = []

    def watched(a, b, level=0.05):
        asked.append((a.clone(), b.clone()))
        return significantly_above(a, b, level)

    significantly_above = _callbacks.significantly_above
    monkeypatch.setattr(_callbacks, "significantly_above", watched)
    diary = Diary()
    ae = small(early_stopping=True, max_epochs=12, n_iter_no_change=6, callbacks=[diary], **JUDGED[name])
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


def test_the_curve_is_that_of_the_scores_of_the_rows_held_out(blobs):
    diary, X_val = Diary(), blobs[:20] * 1.1
    ae = small(max_epochs=6, callbacks=[diary], early_stopping=True).fit(blobs, X_val=X_val)
    for weights, loss in zip(diary.weights_, ae.validation_loss_curve_, strict=True):
        again = copy.deepcopy(ae)
        again.module_.load_state_dict(weights)
        assert -again.score_samples(X_val).mean() == pytest.approx(loss, rel=1e-4)


class Judge(Callback):
    """Keeps the rows that training is compared by, and not the net."""

    def on_train_begin(self, net, X=None, y=None, **kwargs):
        self.rows_ = y


@pytest.mark.parametrize("fraction", [0.1, 0.2, 0.5])
def test_weights_of_the_rows_held_out_have_mean_1(blobs, fraction):
    judge, weight = Judge(), np.linspace(0.1, 4, 60) ** 2
    ae = small(max_epochs=2, validation_fraction=fraction, early_stopping=True, callbacks=[judge])
    ae.fit(blobs, sample_weight=weight)
    assert len(judge.rows_) == 60 * fraction
    assert float(judge.rows_.weight.mean()) == pytest.approx(1, rel=1e-5)
    assert float(judge.rows_.weight.std()) > 0.1


@pytest.mark.parametrize(
    ("early_stopping", "n", "n_judged"), [(True, 8, 1), ("auto", 8, 8), (True, 9, 1), ("auto", 9, 9), ("auto", 10, 1)]
)
def test_few_rows_are_held_out_only_where_that_is_asked_for(blobs, early_stopping, n, n_judged):
    judge = Judge()
    small(max_epochs=1, early_stopping=early_stopping, callbacks=[judge]).fit(blobs[:n])
    assert len(judge.rows_) == n_judged


# ------------------------------------------------------------------ going on


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd", "rmsprop", "adagrad"])
@pytest.mark.parametrize("how", ["partial_fit", "warm_start"])
def test_a_training_in_parts_is_one_training(blobs, optimizer, how):
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


def test_partial_fit_of_another_number_of_rows_goes_on(blobs):
    ae = small(iterator_train__shuffle=False)
    for n in (60, 1, 2, 33, 60):
        ae.partial_fit(blobs[:n])
    assert ae.n_iter_ == 5
    assert np.isfinite(ae.transform(blobs)).all()


# ------------------------------------------------------------------ looked at while it trains


def look_by_pickle(net, **kwargs):
    pickle.loads(pickle.dumps(net))


def look_by_copy(net, **kwargs):
    copy.deepcopy(net)


def look_by_params(net, **kwargs):
    net.get_params()
    repr(net)


def look_by_predicting(net, **kwargs):
    net.predict(np.zeros((3, 6), dtype=np.float32))


def look_by_judging(net, **kwargs):
    net.evaluate(InMemoryDataset(torch.zeros(3, 6)))


def look_by_fitting(net, **kwargs):
    small(max_epochs=1, noise="gaussian_noise").fit(np.random.default_rng(0).normal(size=(12, 6)))


class Silent(At):
    """Is not itself looked at, as a function that it holds does not pickle."""

    def __getstate__(self):
        return {"event": None, "do": None, "epoch": None}


@pytest.mark.parametrize("event", EVENTS)
@pytest.mark.parametrize(
    "look", [look_by_pickle, look_by_copy, look_by_params, look_by_predicting, look_by_judging, look_by_fitting]
)
def test_a_net_may_be_looked_at_while_it_trains(blobs, event, look):
    ae = small(module=Fragile, noise="gaussian_noise", lr_schedule="onecycle", early_stopping=True, max_epochs=2)
    alone = clone(ae).fit(blobs)
    assert_same(alone, clone(ae).set_params(callbacks=[Silent(event, look)]).fit(blobs))


def test_a_copy_made_in_the_middle_of_an_epoch_trains_on_alone(blobs):
    taken = []
    ae = small(callbacks=[Silent("on_batch_end", lambda net, **kwargs: taken.append(copy.deepcopy(net)), epoch=2)])
    ae.fit(blobs)
    before = state_of(ae)
    net = taken[0]
    net.fit_loop(InMemoryDataset(torch.randn(20, 6)), None, epochs=2)
    assert all(torch.equal(before[name], value) for name, value in ae.module_.state_dict().items())
    moved = zip(net.module_.parameters(), taken[1].module_.parameters(), strict=True)
    assert any(not torch.equal(a, b) for a, b in moved)


# ------------------------------------------------------------------ errors and interruptions


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


def fail(net, **kwargs):
    raise ZeroDivisionError


def press(net, **kwargs):
    signal.raise_signal(signal.SIGINT)


@pytest.mark.parametrize("event", EVENTS)
@pytest.mark.parametrize(("do", "error"), [(fail, ZeroDivisionError), (press, KeyboardInterrupt)])
@pytest.mark.parametrize("again", [False, True])
def test_whatever_stops_it_leaves_all_as_it_was(blobs, interruptible, event, do, error, again):
    ae = small(noise="gaussian_noise", lr_schedule="onecycle", early_stopping=True, warm_start=True, prior="mixture")
    if again:
        ae.fit(blobs)
        kept = state_of(ae), ae.net_.optimizer_.state_dict(), len(ae.net_.history)
        kept = copy.deepcopy(kept)
    ae.set_params(callbacks=[At(event, do)])
    before, world = dict(vars(ae)), global_state()
    for method in ("fit", "partial_fit"):
        with pytest.raises(error):
            getattr(ae, method)(blobs)
        assert vars(ae) == before
        assert global_state() == world
    if again:
        found = state_of(ae), ae.net_.optimizer_.state_dict(), len(ae.net_.history)
        assert pickle.dumps([v.tolist() for v in found[0].values()]) == pickle.dumps(
            [v.tolist() for v in kept[0].values()]
        )
        assert found[2] == kept[2]
        assert repr(found[1]) == repr(kept[1])
        assert not any(hasattr(ae.net_, name) for name in ("sample_losses_", "quick_step_"))
    ae.set_params(callbacks=None).fit(blobs).sample(2)


class Breaks(Small):
    """Fails, or is stopped, in a half of the network, while training or while being judged."""

    def __init__(self, input_shape, n_components, half="encode", training=True, press=False):
        super().__init__(input_shape, n_components)
        self.half, self.when, self.press, self.calls = half, training, press, 0

    def _maybe(self, half):
        self.calls += half == self.half and self.training is self.when
        if self.calls == 4:
            if self.press:
                signal.raise_signal(signal.SIGINT)
            raise ZeroDivisionError

    def encode(self, x):
        self._maybe("encode")
        return super().encode(x)

    def decode(self, z):
        self._maybe("decode")
        return super().decode(z)


@pytest.mark.parametrize("half", ["encode", "decode"])
@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("press", [False, True])
@pytest.mark.parametrize("precision", ["float32", "bf16"])
def test_an_error_within_the_network_leaves_all_as_it_was(blobs, interruptible, half, training, press, precision):
    ae = small(
        module=Breaks, module__half=half, module__training=training, module__press=press, precision=precision,
        max_epochs=9, noise="gaussian_noise", early_stopping=True,
    )  # fmt: skip
    before, world = dict(vars(ae)), global_state()
    with pytest.raises(KeyboardInterrupt if press else ZeroDivisionError):
        ae.fit(blobs)
    assert vars(ae) == before
    assert global_state() == world
    assert_same(small().fit(blobs), small().fit(blobs))


@pytest.mark.parametrize("early_stopping", [False, True])
def test_the_global_state_is_untouched_by_a_fit_that_ends(blobs, early_stopping):
    world = global_state()
    ae = small(module=Fragile, noise="gaussian_noise", early_stopping=early_stopping, prior="mixture").fit(blobs)
    for method in (ae.transform, ae.reconstruct, ae.score_samples, ae.score):
        method(blobs)
    ae.sample(3)
    assert global_state() == world


def test_a_fit_where_gradients_are_off(blobs):
    ae = small(early_stopping=True)
    alone = clone(ae).fit(blobs)
    with torch.no_grad():
        assert_same(alone, clone(ae).fit(blobs))
        assert not torch.is_grad_enabled()


def test_torchs_default_dtype_changes_nothing(blobs):
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


@pytest.mark.parametrize("backend", ["threading", "loky"])
def test_fits_at_once_are_those_one_after_the_other(blobs, backend):
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
def test_small_work_has_one_thread_in_whatever_thread_it_is_done(blobs, used):
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


def test_threads_may_transform_with_one_estimator(blobs):
    ae = small(module=Fragile).fit(blobs)
    Z = ae.transform(blobs)
    for found in joblib.Parallel(4, backend="threading")(joblib.delayed(ae.transform)(blobs) for _ in range(20)):
        np.testing.assert_array_equal(found, Z)


@pytest.mark.parametrize("mode", ["r", "r+", "c"])
def test_a_search_over_a_memory_map_is_the_serial_one(blobs, tmp_path, mode):
    np.save(tmp_path / "X.npy", np.tile(blobs, (3, 1)))
    X = np.load(tmp_path / "X.npy", mmap_mode=mode)
    grid = {"lr": [1e-3, 1e-2], "noise": [None, "masking_noise"]}
    ae = small(early_stopping=True)
    serial, parallel = (GridSearchCV(ae, grid, cv=2, n_jobs=n).fit(X) for n in (None, 2))
    in_memory = GridSearchCV(ae, grid, cv=2).fit(np.array(X))
    for search in (parallel, in_memory):
        np.testing.assert_array_equal(serial.cv_results_["mean_test_score"], search.cv_results_["mean_test_score"])
        assert_same(serial.best_estimator_, search.best_estimator_)


def test_arrays_that_joblib_has_mapped(blobs):
    X = np.tile(blobs, (800, 1)).astype(np.float32)  # over 1 MB, from which on they are
    ae = small(early_stopping=True, batch_size=2000)
    alone = clone(ae).fit(X)
    parallel = joblib.Parallel(2)(joblib.delayed(fit_one)(clone(ae), A) for A in (X, X[::-1][::-1]))
    for other in parallel:
        assert_same(alone, other)


# ------------------------------------------------------------------ what is kept


@pytest.mark.parametrize(("early_stopping", "listener"), [(True, []), (False, [Ear(), Reader()])])
def test_a_fitted_estimator_keeps_no_rows(early_stopping, listener):
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


@pytest.mark.parametrize(("early_stopping", "dtype"), [(False, "f4"), (True, "f8")])
def test_tensors_are_gone_when_fit_is_over(early_stopping, dtype):
    def alive():
        gc.collect()
        tensors = (item for item in gc.get_objects() if type(item) is torch.Tensor)
        return sum(item.numel() >= 3300 and item.dtype is not torch.uint8 for item in tensors)

    before = alive()
    ae = small(early_stopping=early_stopping).fit(np.random.default_rng(0).normal(size=(1000, 33)).astype(dtype))
    assert alive() == before
    assert ae.n_iter_ == 3


def test_pickles_do_not_grow_with_the_training(blobs):
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
def test_fit_makes_one_copy_of_x_and_little_more():
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
    "list": lambda X: X.tolist(),
    "frame": pd.DataFrame,
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", ["f2", "f4", "f8"])
def test_the_layout_of_x_does_not_matter(blobs, layout, dtype):
    if layout == "list":
        dtype = "f8"  # which it becomes
    X = np.ascontiguousarray(blobs.astype(dtype))
    A = LAYOUTS[layout](X)
    ae = small(noise="gaussian_noise", early_stopping=True)
    a, b = clone(ae).fit(X), clone(ae).fit(A)
    np.testing.assert_allclose(a.loss_curve_, b.loss_curve_, rtol=1e-6)
    for method in ("transform", "reconstruct", "score_samples"):
        np.testing.assert_allclose(getattr(a, method)(X), getattr(b, method)(A), atol=1e-3, rtol=1e-4)
    A = LAYOUTS[layout](np.ascontiguousarray(X))
    np.testing.assert_array_equal(np.asarray(A), X, err_msg="nobody has written into it")


@pytest.mark.parametrize("dtype", ["?", "u1", "i1", "u2", "i4", "u8", "i8", "f2", "f4", "f8", "g", ">i2", ">f4", ">f8"])
def test_the_dtype_of_x_does_not_matter(digits, dtype):
    X = (digits[:200] > 8).astype(dtype)
    ae = AutoencoderTransformer(4, max_epochs=2, random_state=0)
    a, b = clone(ae).fit(X), clone(ae).fit(X.astype("f8"))
    np.testing.assert_allclose(a.validation_loss_curve_, b.validation_loss_curve_, rtol=1e-4)
    np.testing.assert_allclose(a.transform(X), b.transform(X.astype("f8")), atol=1e-3)


@pytest.mark.parametrize("mode", ["r", "r+", "c"])
@pytest.mark.parametrize("view", [lambda X: X, lambda X: X[1:-1], lambda X: X[::-1, ::-1], lambda X: X[:, 1:5]])
@pytest.mark.parametrize("held", [False, True])
def test_views_of_a_memory_map_are_the_rows_they_show(digits, tmp_path, mode, view, held):
    np.save(tmp_path / "X.npy", digits[:400])
    X = view(np.load(tmp_path / "X.npy", mmap_mode=mode))
    same = np.array(view(digits[:400]))
    ae = AutoencoderTransformer(2, max_epochs=2, random_state=0)
    with config_context(working_memory=1024 if held else 1 / 16):
        a = clone(ae).fit(X)
        np.testing.assert_allclose(a.transform(X), a.transform(same), atol=1e-5)
        if held:
            assert_same(a, clone(ae).fit(same))
    np.testing.assert_array_equal(np.load(tmp_path / "X.npy"), digits[:400])


# ------------------------------------------------------------------ budgets


def given_beside(X, beside):
    """What `fit` is given beside X, and the bytes of all rows as they are held."""
    given = {
        "nothing": {},
        "weights": {"sample_weight": np.linspace(0.1, 2, len(X))},
        "target": {"X_target": X[:, ::-1]},
    }[beside]
    return given, 4 * X.size * (2 if beside == "target" else 1)


@pytest.mark.parametrize("beside", ["nothing", "target", "weights"])
@pytest.mark.parametrize("noise", [None, "masking_noise"])
@pytest.mark.parametrize("fraction", [0.1, 0.6])
def test_what_fits_exactly_is_what_fits_easily(blobs, beside, noise, fraction):
    X = np.tile(blobs, (4, 1))
    given, n_bytes = given_beside(X, beside)
    ae = small(module=Fragile, noise=noise, early_stopping=True, validation_fraction=fraction)
    fits = []
    for spare in (10**9, 1, 0):
        with config_context(working_memory=2 * (n_bytes + spare) / 2**20):
            fits.append(clone(ae).fit(X, **given))
    for other in fits[1:]:
        assert_same(fits[0], other)


@pytest.mark.parametrize("beside", ["nothing", "target", "weights"])
@pytest.mark.parametrize("noise", [None, "gaussian_noise"])
def test_an_array_that_is_a_byte_too_large_is_trained_on_as_if_it_fitted(blobs, beside, noise):
    X = np.tile(blobs, (4, 1))
    given, n_bytes = given_beside(X, beside)
    ae = small(module=Fragile, noise=noise, iterator_train__drop_last=True)
    held = clone(ae).fit(X, **given)
    with config_context(working_memory=2 * (n_bytes - 1) / 2**20):
        read = clone(ae).fit(X, **given)
    assert held.loss_curve_ == read.loss_curve_
    for name, value in state_of(held).items():
        if name != "baseline":  # which is the mean of a sample
            assert torch.equal(value, read.module_.state_dict()[name]), name


@pytest.mark.parametrize("noise", [None, "gaussian_noise"])
@pytest.mark.parametrize("n", [2, 3, 5, 9])
def test_few_rows_of_which_none_fits(blobs, n, noise):
    ae = small(noise=noise, early_stopping="auto")
    held = clone(ae).fit(blobs[:n])
    with config_context(working_memory=1e-5):
        read = clone(ae).fit(blobs[:n])
    np.testing.assert_allclose(read.loss_curve_, held.loss_curve_)
    np.testing.assert_allclose(read.transform(blobs), held.transform(blobs), atol=1e-5)


@pytest.fixture(scope="module")
def fitted(digits):
    X, y = digits[:300], np.arange(300) % 3
    few = {"max_epochs": 2, "random_state": 0}
    return {
        "transformer": AutoencoderTransformer(4, **few).fit(X),
        "conv": ConvAutoencoder(4, **few).fit(X),
        "vae": VAEGenerator(3, **few).fit(X),
        "conditional": VAEGenerator(3, conditional=True, **few).fit(X, y),
        "reconstructor": Reconstructor(AutoencoderTransformer(4, **few)).fit(X),
        "normed": AutoencoderTransformer(4, module__normalization="batch", **few).fit(X),
    }


NAMES = ["transformer", "conv", "vae", "conditional", "reconstructor", "normed"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("memory", [0, 1e-6, 1 / 64])
def test_little_memory_gives_the_same_results(fitted, digits, name, memory):
    ae, X = fitted[name], digits[:12]
    calls = {
        "transform": (X,), "reconstruct": (X,), "score_samples": (X,), "score": (X,), "transform_distribution": (X,),
    }  # fmt: skip
    for method, args in calls.items():
        if not hasattr(ae, method):
            continue
        expected = getattr(ae, method)(*args)
        with config_context(working_memory=memory):
            found = getattr(ae, method)(*args)
        for a, b in zip(*(r if isinstance(r, tuple) else (r,) for r in (found, expected)), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-3, err_msg=method)


@pytest.mark.filterwarnings("ignore:No component:sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("cls", [AutoencoderTransformer, VAEGenerator, ConvAutoencoder])
@pytest.mark.parametrize("memory", [0, 1e-6])
def test_fit_with_next_to_no_memory(digits, cls, memory):
    ae = cls(2, max_epochs=1, random_state=0, prior=None)
    with config_context(working_memory=memory):
        ae.fit(digits[:60])
    assert np.isfinite(ae.transform(digits[:60])).all()


# ------------------------------------------------------------------ sizes


@pytest.mark.parametrize("n", range(2, 13))
@pytest.mark.parametrize("batch_size", [1, 3, 12, 10**9])
@pytest.mark.parametrize("drop_last", [False, True])
def test_few_rows(blobs, n, batch_size, drop_last):
    X = blobs[:n]
    for early_stopping in ("auto", False):
        ae = small(
            module="mlp", max_epochs=2, batch_size=batch_size, iterator_train__drop_last=drop_last,
            early_stopping=early_stopping, lr_schedule="onecycle",
        ).fit(X)  # fmt: skip
        assert ae.n_iter_ == 2
        assert np.isfinite(ae.transform(X)).all()
        assert len(ae.loss_curve_) == 2


# ------------------------------------------------------------------ streams that break


class Items(Dataset):
    """Rows by their number, which does something at one of them, the k-th time that it is asked for."""

    def __init__(self, X, row=None, do=None, times=1):
        self.X, self.row, self.do, self.left = X, row, do, times

    def __len__(self):
        return len(self.X)

    def __getitem__(self, i):
        if i == self.row:
            self.left -= 1
            if self.left == 0:
                self.do(None)
        return torch.from_numpy(np.array(self.X[i])), i, {"name": "row"}


def lost(net):
    raise OSError("the disk is gone")


@pytest.mark.parametrize("times", [1, 2, 3, 4])
@pytest.mark.parametrize(("do", "error"), [(lost, OSError), (press, KeyboardInterrupt)])
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_a_row_that_cannot_be_read(digits, interruptible, times, do, error, method):
    ae = AutoencoderTransformer(2, max_epochs=9, random_state=0)
    world, before = global_state(), dict(vars(ae))
    with config_context(working_memory=1 / 16):
        if method == "partial_fit" and times > 2:
            pytest.skip("an epoch asks no more often")
        with pytest.raises(error):
            getattr(ae, method)(Items(digits, 1234, do, times))
    assert vars(ae) == before
    assert global_state() == world


@pytest.mark.parametrize("held", [False, True])
def test_a_chunk_that_cannot_be_computed(digits, held):
    def compute(block, block_info=None):
        if block_info and block_info[0]["chunk-location"][0] == 5:
            raise OSError("chunk 5 is gone")
        return block

    X = da.from_array(digits, chunks=(100, 64)).map_blocks(compute, dtype=digits.dtype)
    ae = AutoencoderTransformer(2, max_epochs=2).fit(digits)
    before, world = dict(vars(ae)), global_state()
    with config_context(working_memory=1024 if held else 1 / 16):
        for method in (ae.fit, ae.partial_fit, ae.transform, ae.score):
            with pytest.raises(OSError, match="chunk 5 is gone"):
                method(X)
    assert vars(ae) == before
    assert global_state() == world


def test_an_array_whose_store_goes_away(digits, tmp_path):
    X = zarr.create_array(tmp_path / "X.zarr", data=digits, chunks=(100, 64))

    def burn(net, **kwargs):
        for path in (tmp_path / "X.zarr").rglob("*"):
            if path.is_file():
                path.write_bytes(b"")

    ae = AutoencoderTransformer(2, max_epochs=3, callbacks=[At("on_epoch_begin", burn, epoch=2)])
    before, world = dict(vars(ae)), global_state()
    with config_context(working_memory=1 / 16), pytest.raises(Exception):  # noqa: B017
        ae.fit(X)
    assert vars(ae) == before
    assert global_state() == world


@pytest.mark.parametrize("held", [False, True])
def test_datasets_of_tuples(digits, held):
    u = torch.from_numpy(digits.copy())
    kinds = [Items(digits), TensorDataset(u, torch.arange(len(u))), StackDataset(u, torch.arange(len(u)))]
    ae = AutoencoderTransformer(2, max_epochs=2, random_state=0)
    with config_context(working_memory=1024 if held else 1 / 16):
        first, *others = (clone(ae).fit(X) for X in kinds)
        for other, X in zip(others, kinds[1:], strict=True):
            assert_same(first, other)
            np.testing.assert_allclose(first.transform(X), first.transform(digits), atol=1e-5)
    if held:
        assert_same(first, clone(ae).fit(digits))


# ------------------------------------------------------------------ names


@pytest.mark.filterwarnings("ignore:No component:sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("name", ["transformer", "vae", "conv"])
def test_names_and_containers(digits, name):
    cls = {"transformer": AutoencoderTransformer, "vae": VAEGenerator, "conv": ConvAutoencoder}[name]
    X = pd.DataFrame(digits[:100], columns=[f"p{i}" for i in range(64)])
    ae = cls(3, max_epochs=1, random_state=0).set_output(transform="pandas")
    with config_context(working_memory=1e-3):
        Z = ae.fit_transform(X)
    assert list(Z.columns) == list(ae.get_feature_names_out())
    assert list(ae.feature_names_in_) == list(X.columns)
    assert list(ae.transform(X).index) == list(X.index)
    with pytest.raises(ValueError, match="feature names"):
        ae.transform(X[X.columns[::-1]])
