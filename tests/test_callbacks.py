"""Callbacks of a training: the best weights, schedules, finite losses, progress, and scikit-learn's callbacks."""

import pickle
import re
import signal
import warnings

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline
from skorch.callbacks import Callback, Checkpoint
from skorch.history import History
from torch import nn

from skae import AutoencoderTransformer, Reconstructor
from skae._training import callbacks as _callbacks
from skae._training.base_callback import StopTraining
from skae._training.callbacks import SCHEDULES, KeepBest
from skae._utils.ranks import ALONE
from skae.noise import Compose, MaskingNoise, Noise


def small(**params):
    defaults = {"max_epochs": 5, "random_state": 0, "batch_size": 20}
    if "module" not in params:
        defaults["module__hidden_layer_sizes"] = (5,)
    return AutoencoderTransformer(2, **defaults | params)


class Still(nn.Module):
    """A network that cannot learn: no epoch improves on the last."""

    def __init__(self, input_shape, n_components):
        super().__init__()
        self.down, self.up = nn.Linear(*input_shape, n_components), nn.Linear(n_components, *input_shape)

    def encode(self, x):
        return 0 * self.down(x)

    def decode(self, z):
        return 0 * self.up(z)


STILL = {"module": Still, "max_epochs": 30}


# ------------------------------------------------------------------ the best weights


class Scripted:
    """A net with given losses after each epoch; its one weight is the epoch."""

    ranks = ALONE

    def __init__(self, losses, history=0):
        self.losses, self.history = losses, History()
        self.module_ = nn.Linear(1, 1, bias=False)
        self.at(0)
        for _ in range(history):
            self.history.new_epoch()

    def at(self, epoch):
        nn.init.constant_(self.module_.weight, epoch)

    def evaluate(self, rows, ranks=ALONE):
        return torch.full((rows,), self.losses[int(self.module_.weight.item())], dtype=torch.float64)

    def train(self, keep):
        keep.on_train_begin(self, y=5)
        for epoch in range(1, len(self.losses)):
            self.history.new_epoch()
            self.at(epoch)
            self.history.record("valid_loss", self.losses[epoch])
            self.sample_losses_ = self.evaluate(5)
            try:
                keep.on_epoch_end(self)
            except StopTraining:
                break
        keep.on_train_end(self, y=5)
        return keep


losses = st.lists(st.integers(1, 640).map(lambda i: i / 64), min_size=1, max_size=25)


@given(losses=losses, patience=st.none() | st.integers(1, 6), trust=st.booleans(), before=st.integers(0, 3))
@settings(max_examples=200)
def test_best_weights_are_restored_and_patience_stops_training(losses, patience, trust, before):
    net = Scripted(losses, history=before)
    keep = net.train(KeepBest(patience, tol=0.0, trust_start=trust))
    curve = keep.curve_
    best = int(np.argmin(curve))
    assert curve == losses[: len(curve)]
    assert keep.best_epoch_ == best, "the first of equal ones, counted from where this training began"
    assert net.module_.weight.item() == best
    stopped = len(curve) < len(losses)
    assert stopped <= (patience is not None)
    if patience is not None:
        waits = [epoch - int(np.argmin(losses[: epoch + 1])) for epoch in range(len(losses))]
        assert all(wait < patience for wait in waits[: len(curve) - 1])
        assert waits[len(curve) - 1] >= patience or not stopped


def test_improvement_below_tol_is_kept_but_does_not_reset_patience():
    losses = [1.0, 0.999, 0.998, 0.997, 0.5, 0.4]
    keep = Scripted(losses).train(KeepBest(3, tol=0.01))
    assert keep.curve_ == losses[:4]
    assert keep.best_epoch_ == 3
    keep = Scripted(losses).train(KeepBest(3, tol=0.0))
    assert keep.best_epoch_ == 5


def test_small_improvements_add_up():
    losses = [1.0 - 0.006 * i for i in range(20)]
    assert len(Scripted(losses).train(KeepBest(2, tol=0.01)).curve_) == 20


def test_tol_is_relative():
    for scale in (1e-6, 1e6):
        losses = [scale * loss for loss in (1.0, 0.97, 0.94, 0.91)]
        assert len(Scripted(losses).train(KeepBest(2, tol=0.05)).curve_) == 4
        assert len(Scripted(losses).train(KeepBest(2, tol=0.2)).curve_) == 3


def test_last_weights_stay_without_restore():
    net = Scripted([3.0, 1.0, 2.0])
    keep = net.train(KeepBest(None, tol=0.0, restore=False))
    assert net.module_.weight.item() == 2
    assert keep.curve_ == [3.0, 1.0, 2.0]


def test_initialization_is_kept_if_no_epoch_is_better():
    net = Scripted([1.0, 1.0, 2.0])
    assert net.train(KeepBest(None, tol=0.0)).best_epoch_ == 0
    assert net.module_.weight.item() == 0


def test_keep_best_is_reusable_and_releases_weights():
    keep = KeepBest(2, tol=0.0)
    Scripted([1.0, 0.5]).train(keep)
    size = len(pickle.dumps(keep))
    keep = Scripted([9.0, 8.0, 7.0]).train(keep)
    assert keep.curve_ == [9.0, 8.0, 7.0]
    assert keep.best_epoch_ == 2
    assert len(pickle.dumps(keep)) < size + 100
    assert not [value for value in vars(keep).values() if isinstance(value, dict | torch.Tensor)]


@given(
    n=st.integers(2, 30),
    shift=st.floats(-1, 1),
    spread=st.floats(0.01, 2),
    level=st.floats(0.001, 0.5),
    seed=st.integers(0, 999),
)
@settings(max_examples=50)
def test_t_test_equals_scipys(n, shift, spread, level, seed):
    rng = np.random.default_rng(seed)
    a = rng.normal(size=n)
    b = a - shift - spread * rng.normal(size=n)
    p = stats.ttest_rel(a, b, alternative="greater").pvalue
    if abs(p - level) > 1e-9:
        found = _callbacks.significantly_above(torch.from_numpy(a), torch.from_numpy(b), level)
        assert bool(found) == (p < level)


def test_trusted_start_is_replaced_only_if_significant():
    class InMemoryDataset(Scripted):
        """After training half of the rows are far better, or all of them a little."""

        def evaluate(self, rows, ranks=ALONE):
            value = super().evaluate(rows)
            if self.module_.weight.item() and self.by_chance:
                value = value + torch.linspace(-3, 3, rows)
            return value

    for by_chance in (True, False):
        net = InMemoryDataset([1.0, 0.9])
        net.by_chance = by_chance
        assert net.train(KeepBest(None, tol=0.0, trust_start=True)).best_epoch_ == (0 if by_chance else 1)
        assert net.module_.weight.item() == (0 if by_chance else 1)
        net.at(0)
        assert net.train(KeepBest(None, tol=0.0, trust_start=False)).best_epoch_ == 1


def test_patience_in_an_estimator(blobs):
    ae = small(n_iter_no_change=4, **STILL).fit(blobs)
    assert ae.n_iter_ == 4
    assert ae.best_epoch_ == 0
    assert len(ae.validation_loss_curve_) == 5
    watched = small(early_stopping=False, n_iter_no_change=4, **STILL).fit(blobs, X_val=blobs)
    assert watched.n_iter_ == watched.best_epoch_ == 30, "a curve without early stopping stops nothing"
    assert len(watched.validation_loss_curve_) == 31


# ------------------------------------------------------------------ schedules


class Rates(Callback):
    """Records the learning rate and the momentum of every batch."""

    def on_train_begin(self, net, **kwargs):
        self.lr_, self.momentum_ = [], []

    def on_batch_begin(self, net, training, **kwargs):
        if training:
            (group,) = net.optimizer_.param_groups
            self.lr_.append(float(group["lr"]))
            self.momentum_.append(group["betas"][0] if "betas" in group else group.get("momentum"))


def rates(X, schedule, fits=1, weight=None, **params):
    watch = Rates()
    defaults = {"max_epochs": 10, "lr": 0.01, "early_stopping": False, "warm_start": fits > 1}
    ae = small(lr_schedule=schedule, callbacks=[watch], **defaults | params)
    seen = [np.array(ae.fit(X, sample_weight=weight).net_ and watch.lr_) for _ in range(fits)]
    return seen if fits > 1 else seen[0]


LENGTHS = [
    {},
    {"early_stopping": True, "n_iter_no_change": 100},
    {"iterator_train__batch_size": 7},
    {"iterator_train__drop_last": True, "batch_size": 25},
    {"weight": np.arange(60) % 3 > 0},
    {"max_epochs": 1},
    {"batch_size": 1000, "max_epochs": 20},
]


@pytest.mark.parametrize(
    ("optimizer", "params"), [("sgd", {}), ("rmsprop", {}), *(("adam", params) for params in LENGTHS)], ids=str
)
def test_onecycle_rises_to_lr_and_falls_to_zero(blobs, params, optimizer):
    lr = rates(blobs, "onecycle", optimizer=optimizer, **params)
    top = int(np.argmax(lr))
    assert (np.diff(lr[: top + 1]) > 0).all()
    assert (np.diff(lr[top:]) < 0).all()
    assert lr[-1] < 1e-3 * lr.max()
    if len(lr) > 3:  # of so few batches none need be at the top
        assert lr[0] < 0.1 * 0.01
        assert lr.max() == pytest.approx(0.01, rel=0.05)
        assert 0.15 * len(lr) < top < 0.4 * len(lr)
    assert lr.max() <= 0.01 * (1 + 1e-6)


@pytest.mark.parametrize("params", LENGTHS, ids=str)
def test_cosine_falls_to_zero(blobs, params):
    lr = rates(blobs, "cosine", **params)
    assert lr[0] == pytest.approx(0.01)
    assert (np.diff(lr) < 0).all()
    n = len(lr)
    np.testing.assert_allclose(lr, 0.005 * (1 + np.cos(np.pi * np.arange(n) / n)), rtol=1e-6, atol=1e-9)


def test_no_schedule_keeps_lr(blobs):
    assert set(rates(blobs, None)) == {0.01}


def test_plateau_halves_lr_without_improvement(blobs):
    lr = rates(blobs, "plateau", n_iter_no_change=6, **STILL)[::3]
    steps = lr[1:] / lr[:-1]
    assert set(np.round(steps, 9)) == {1.0, 0.5}
    halved = np.flatnonzero(steps < 1)
    assert len(set(np.diff(halved))) == 1, "evenly"


def test_plateau_keeps_lr_while_training_improves(blobs):
    assert set(rates(blobs, "plateau", max_epochs=15, lr=1e-3, n_iter_no_change=4)) == {1e-3}


def test_plateau_halves_after_half_of_n_iter_no_change(blobs):
    # as documented: "halved after n_iter_no_change // 2 epochs without improvement"
    lr = rates(blobs, "plateau", n_iter_no_change=10, **STILL)[::3] / 0.01
    np.testing.assert_allclose(lr[:11], [1] * 6 + [0.5] * 5)  # one epoch to compare with, and five without improvement


@pytest.mark.parametrize("n_iter_no_change", [4, 10])
def test_plateau_halves_before_early_stopping(blobs, n_iter_no_change):
    lr = rates(blobs, "plateau", n_iter_no_change=n_iter_no_change, **STILL | {"early_stopping": True})
    assert lr.min() < 0.6 * lr.max()


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_warm_start_repeats_the_schedule(blobs, schedule):
    first, second, third = rates(blobs, schedule, fits=3)
    np.testing.assert_array_equal(second, first)
    np.testing.assert_array_equal(third, first)


def test_warm_start_after_a_plateau_starts_from_lr(blobs):
    params = STILL | {"n_iter_no_change": 2}
    first, second = rates(blobs, "plateau", fits=2, **params)
    assert first[-1] < first[0]
    np.testing.assert_array_equal(second, first)


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_warm_start_takes_a_new_lr_and_schedule(blobs, schedule):
    watch = Rates()
    ae = small(lr_schedule="onecycle", callbacks=[watch], warm_start=True, early_stopping=False).fit(blobs)
    ae.set_params(lr=0.123, lr_schedule=schedule).fit(blobs)
    assert max(watch.lr_) == pytest.approx(0.123, rel=0.1)
    ae.partial_fit(blobs)
    assert set(watch.lr_) == {0.123}, "partial_fit follows no schedule"


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_schedules_keep_the_momentum_of_sgd(blobs, schedule, momentum):
    watch = Rates()
    ae = small(lr_schedule=schedule, optimizer="sgd", optimizer__momentum=momentum, callbacks=[watch], max_epochs=20)
    ae.fit(blobs)
    assert ae.loss_curve_[-1] < ae.loss_curve_[0]
    assert set(watch.momentum_) == {momentum}


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_schedules_keep_betas_that_were_set(blobs, schedule):
    watch = Rates()
    small(lr_schedule=schedule, optimizer__betas=(0.5, 0.99), callbacks=[watch]).fit(blobs)
    assert set(watch.momentum_) == {0.5}


# ------------------------------------------------------------------ losses and weights that are not finite


class Poison(Callback):
    """Puts a value into the weights when an epoch begins."""

    def __init__(self, epoch, value):
        self.epoch, self.value = epoch, value

    def on_epoch_begin(self, net, **kwargs):
        if len(net.history) == self.epoch:
            nn.init.constant_(net.module_.network.skip.decoder.weight, self.value)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e30])
@pytest.mark.parametrize("early_stopping", [True, False])
def test_error_names_the_epoch_of_a_loss_that_is_not_finite(blobs, value, early_stopping):
    ae = small(early_stopping=early_stopping).fit(blobs)
    Z, curve = ae.transform(blobs), ae.loss_curve_
    ae.set_params(callbacks=[Poison(3, value)], warm_start=False)
    with pytest.raises(
        FloatingPointError, match=r"The training loss became (nan|inf) in epoch 3\. Try a lower lr \(now"
    ):
        ae.fit(blobs)
    np.testing.assert_array_equal(ae.transform(blobs), Z)
    assert ae.loss_curve_ is curve


def test_validation_loss_has_to_be_finite(blobs):
    class Overflow(nn.Module):
        """Finite in training and not in evaluation."""

        def __init__(self, input_shape, n_components):
            super().__init__()
            self.down, self.up = nn.Linear(*input_shape, n_components), nn.Linear(n_components, *input_shape)

        def encode(self, x):
            return self.down(x)

        def decode(self, z):
            return self.up(z) if self.training else self.up(z) / 0

    ae = AutoencoderTransformer(2, module=Overflow, max_epochs=2, random_state=0)
    with pytest.raises(FloatingPointError, match=r"The validation loss became (inf|nan) in epoch 1"):
        ae.fit(blobs)


@pytest.mark.filterwarnings("ignore:overflow encountered:RuntimeWarning")
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_weights_have_to_be_finite_after_the_last_step(blobs, method):
    # the loss is computed before the step, so that of the last batch does not know of it
    ae = small(lr=1e38, optimizer="sgd", lr_schedule=None, early_stopping=False, max_epochs=1, batch_size=60)
    ae.set_params(optimizer__weight_decay=1e3)
    with pytest.raises(FloatingPointError, match="weights became infinite or NaN"):
        getattr(ae, method)(blobs)
    assert not hasattr(ae, "net_")


# ------------------------------------------------------------------ progress


class Following(Noise):
    """Records its progress."""

    progress = 1.0

    def __init__(self):
        super().__init__()
        self.seen = []

    def corrupt(self, x):
        self.seen.append(self.progress)
        return x


@pytest.mark.parametrize("depth", [0, 1, 2])
def test_progress_of_nested_parts(blobs, depth):
    noise = Following()
    for _ in range(depth):
        noise = Compose(MaskingNoise(0.1), noise)
    ae = small(noise=noise, max_epochs=2, early_stopping=False).fit(blobs)
    (part,) = [layer for layer in ae.module_.noise.modules() if isinstance(layer, Following)]
    np.testing.assert_allclose(part.seen, np.arange(6) / 6)
    assert part.progress == 1.0, "training is over"


@pytest.mark.parametrize("verbose", [0, False])
def test_no_output_by_default(blobs, capsys, verbose):
    ae = small(verbose=verbose).fit(blobs)
    ae.partial_fit(blobs).transform(blobs)
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("verbose", [1, True])
def test_progress_bar_shows_epochs_and_losses(blobs, capsys, verbose):
    ae = small(verbose=verbose, early_stopping=True).fit(blobs)
    out, err = capsys.readouterr()
    assert out == ""
    last = err.strip().split("\r")[-1]
    assert "fit: 100%" in last
    assert "5/5" in last
    train, valid = (float(re.search(rf"{name}=([-+.e\d]+)", last)[1]) for name in ("loss", "validation"))
    assert train == pytest.approx(ae.loss_curve_[-1], rel=1e-3)
    assert valid == pytest.approx(ae.validation_loss_curve_[-1], rel=1e-3)
    small(verbose=verbose, early_stopping=False).fit(blobs)
    assert "validation" not in capsys.readouterr().err
    small(verbose=verbose).partial_fit(blobs)
    assert capsys.readouterr() == ("", "")


def test_progress_bar_counts_epochs_of_an_early_stop(blobs, capsys):
    ae = small(verbose=1, n_iter_no_change=4, **STILL).fit(blobs)
    last = capsys.readouterr().err.strip().split("\r")[-1]
    assert f"{ae.n_iter_}/30" in last


@pytest.mark.parametrize("params", [{}, STILL | {"n_iter_no_change": 4}], ids=["all", "stopped"])
def test_one_line_per_epoch(blobs, capsys, params):
    ae = small(verbose=2, early_stopping=True, **params).fit(blobs)
    out, err = capsys.readouterr()
    assert err == ""
    lines = [line.split() for line in out.splitlines() if re.match(r"\s+\d", line)]
    assert [int(line[0]) for line in lines] == list(range(1, ae.n_iter_ + 1))
    assert "train_loss" in out
    assert "valid_loss" in out


UNITS = {
    "squared": {},
    "nats": {"loss": "gaussian"},
    "own units": {"loss": "bernoulli"},
    "missing": {"missing": "mask"},
}


@pytest.mark.parametrize(("kind", "scale"), [*zip(UNITS, [1e-3, 1e3, 1.0, 1e3], strict=True)])
def test_losses_are_shown_in_units_of_the_data(blobs, capsys, kind, scale):
    X = (blobs - blobs.min()) / np.ptp(blobs) * (1 if kind == "own units" else scale)
    if kind == "missing":
        X[::7, 1:4] = np.nan
    ae = small(verbose=2, early_stopping=True, **UNITS[kind])
    ae.fit(X, X_val=X)  # then there is no second training, of which nothing is shown
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    shown = np.array([line[:3] for line in lines if re.fullmatch(r"\d+", line[0])], dtype=str)
    shown = np.array([[float(re.sub(r"\x1b\[\d+m", "", value)) for value in line] for line in shown])
    np.testing.assert_allclose(shown[:, 1], ae.loss_curve_, rtol=1e-3)
    np.testing.assert_allclose(shown[:, 2], ae.validation_loss_curve_[1:], rtol=1e-3)
    ae.set_params(verbose=1).fit(X, X_val=X)
    last = capsys.readouterr().err.strip().split("\r")[-1]
    assert float(re.search(r"loss=([-+.e\d]+)", last)[1]) == pytest.approx(ae.loss_curve_[-1], rel=1e-3)


def test_print_log_is_configurable(blobs):
    lines = []
    ae = small(verbose=2, early_stopping=True, callbacks__print_log__sink=lines.append).fit(blobs)
    assert len(lines) == 2 + ae.n_iter_
    assert small(verbose=2, callbacks__print_log=None).fit(blobs).n_iter_ == 5


def test_progress_bar_is_closed_after_fit(blobs, capsys):
    from tqdm.auto import tqdm

    ae = small(verbose=1).fit(blobs)
    pickle.loads(pickle.dumps(ae))
    assert len(tqdm._instances) == 0
    ae.set_params(callbacks=[Poison(2, float("nan"))])
    with pytest.raises(FloatingPointError) as kept:  # as a notebook keeps the last error
        ae.fit(blobs)
    assert kept.traceback
    assert len(tqdm._instances) == 0, "closed when training fails, too"


@pytest.mark.parametrize("verbose", [0, 1, 2])
def test_net_pickles_while_it_trains(blobs, capsys, tmp_path, verbose):
    checkpoint = Checkpoint(dirname=tmp_path, f_pickle="net.pkl", monitor="train_loss_best")
    ae = small(callbacks=[checkpoint], verbose=verbose).fit(blobs)
    found = pickle.loads((tmp_path / "net.pkl").read_bytes())
    assert found.module_.network.skip.encoder.weight.shape == ae.module_.network.skip.encoder.weight.shape


# ------------------------------------------------------------------ scikit-learn's callbacks


class Record:
    """A callback of scikit-learn that records its calls."""

    def __init__(self, stop_at=None):
        self.stop_at = stop_at
        self.begun, self.ended, self.fits = [], [], []

    def setup(self, estimator, context):
        self.fits.append("setup")

    def teardown(self, estimator, context):
        self.fits.append("teardown")

    def on_fit_task_begin(self, estimator, context):
        self.begun.append((context.estimator_name, context.task_name, context.task_id))

    def on_fit_task_end(self, estimator, context):
        self.ended.append((context.estimator_name, context.task_name, context.task_id))
        return context.task_name == "epoch" and context.task_id == self.stop_at

    def epochs(self, tasks):
        return [task_id for _, name, task_id in tasks if name == "epoch"]


class Propagated(Record):
    """The same, for the estimators within."""

    max_propagation_depth = None


@pytest.fixture
def sklearn_callback():
    """scikit-learn 1.9's module, whose callbacks are experimental."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip("sklearn.callback")


@pytest.mark.parametrize("max_epochs", [0, 5, "auto"])
def test_each_epoch_is_a_task(sklearn_callback, blobs, max_epochs):
    record = Record()
    ae = small(max_epochs=max_epochs, early_stopping=False).set_callbacks(record).fit(blobs)
    for tasks in (record.begun, record.ended):
        assert record.epochs(tasks) == list(range(ae.n_iter_))
        assert [name for _, name, _ in tasks].count("fit") == 1
        assert {name for name, *_ in tasks} == {"AutoencoderTransformer"}
    assert record.begun[0][1] == record.ended[-1][1] == "fit"
    assert record.fits == ["setup", "teardown"]


def test_tasks_end_at_an_early_stop(sklearn_callback, blobs):
    record = Record()
    ae = small(n_iter_no_change=4, **STILL).set_callbacks(record).fit(blobs)
    assert ae.n_iter_ == 4
    assert sorted(record.ended) == sorted(record.begun)


@pytest.mark.parametrize("early_stopping", [True, False])
def test_sklearn_callback_stops_training(sklearn_callback, blobs, early_stopping):
    record = Record(stop_at=2)
    ae = small(max_epochs=9, early_stopping=early_stopping).set_callbacks(record).fit(blobs)
    assert ae.n_iter_ == len(ae.loss_curve_) == 3
    assert record.epochs(record.ended) == [0, 1, 2]
    assert record.fits == ["setup", "teardown"]
    assert np.isfinite(ae.transform(blobs)).all()


def test_sklearn_callbacks_do_not_change_training(sklearn_callback, blobs):
    ae = small()
    Z = clone(ae).fit_transform(blobs)
    np.testing.assert_array_equal(clone(ae).set_callbacks(Record()).fit_transform(blobs), Z)


@pytest.mark.parametrize("how", ["data", "training", "interrupt"])
def test_error_tears_callbacks_down(sklearn_callback, blobs, interruptible, monkeypatch, how):
    record = Record()
    ae = small().set_callbacks(record).fit(blobs)
    before = dict(vars(ae))
    if how == "data":
        with pytest.raises(ValueError, match="NaN"):
            ae.fit(np.full((20, 6), np.nan))
    elif how == "training":
        ae.callbacks = [Poison(2, float("nan"))]
        with pytest.raises(FloatingPointError):
            ae.fit(blobs)
    else:
        with monkeypatch.context() as patch:
            patch.setattr(_callbacks.FiniteLoss, "on_epoch_end", lambda *_, **__: signal.raise_signal(signal.SIGINT))
            with pytest.raises(KeyboardInterrupt):
                ae.fit(blobs)
    ae.callbacks = None
    assert vars(ae) == before
    assert record.fits == ["setup", "teardown"] * 2
    ae.fit(blobs)
    assert record.fits == ["setup", "teardown"] * 3


@pytest.mark.parametrize("params", [{}, STILL | {"n_iter_no_change": 5}], ids=["all", "stopped"])
def test_net_keeps_no_sklearn_callbacks(sklearn_callback, blobs, params):
    record = Record()
    ae = small(warm_start=True, **params).set_callbacks(record).fit(blobs)
    left = [value for _, cb in ae.net_.callbacks_ for value in vars(cb).values()]
    assert not any(value is ae or isinstance(value, sklearn_callback.CallbackContext) for value in left)
    assert "initialized" in repr(ae.net_)
    assert ae.net_.get_params()["lr"] == ae.lr
    pickle.loads(pickle.dumps(ae))
    ae.fit(blobs)
    assert record.epochs(record.ended) == list(range(5)) * 2


def test_sklearn_callbacks_in_a_pipeline(sklearn_callback, blobs):
    record = Propagated()
    pipe = Pipeline([("reduce", small(max_epochs=3)), ("regress", LinearRegression())])
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The estimator LinearRegression does not support callbacks")
        pipe.set_callbacks(record).fit(blobs, blobs[:, 0])
    assert record.epochs(record.begun) == record.epochs(record.ended) == [0, 1, 2]
    assert record.fits == ["setup", "teardown"]
    assert not hasattr(pipe[0], "_parent_callback_ctx")


def test_sklearn_callbacks_in_a_grid_search(sklearn_callback, blobs):
    record = Propagated()
    search = GridSearchCV(small(early_stopping=False), {"max_epochs": [1, 2]}, cv=2, n_jobs=1)
    search.set_callbacks(record).fit(blobs)
    epochs = 2 * 1 + 2 * 2 + search.best_params_["max_epochs"]
    assert len(record.epochs(record.begun)) == len(record.epochs(record.ended)) == epochs
    assert record.fits == ["setup", "teardown"]


@pytest.mark.parametrize("filling", [None, SimpleImputer(), Reconstructor(small(max_epochs=2))], ids=range(3))
def test_reconstructor_passes_sklearn_callbacks_on(sklearn_callback, blobs, filling):
    """To its estimator, and to a filling that takes them."""
    record, own = Propagated(), Record()
    rec = Reconstructor(small(max_epochs=3), filling=filling)
    expected = clone(rec).fit_transform(blobs)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        rec.set_callbacks(record, own).fit(blobs)
    np.testing.assert_array_equal(rec.transform(blobs), expected)
    before = [0, 1] if isinstance(filling, Reconstructor) else []
    assert record.epochs(record.begun) == record.epochs(record.ended) == [*before, 0, 1, 2]
    assert record.begun[0] == record.ended[-1] == ("Reconstructor", "fit", 0)
    assert own.epochs(own.begun) == [], "one that does not go on to estimators within stays outside"
    parts = ["fit-filling"] * bool(before) + ["fit-estimator"]
    assert [name for _, name, _ in own.begun] == ["fit", *parts]
    assert [name for _, name, _ in own.ended] == [*parts, "fit"]
    assert record.fits == own.fits == ["setup", "teardown"]
    for part in (rec.estimator_, getattr(rec, "filling_", rec.estimator_)):
        assert not hasattr(part, "_parent_callback_ctx")
        assert not getattr(part, "_skl_callbacks", [])
    assert rec.set_callbacks() is rec
    rec.fit(blobs)
    assert record.fits == ["setup", "teardown"], "it is gone"


def test_reconstructor_warns_of_an_estimator_without_callbacks(sklearn_callback, blobs):
    rec = Reconstructor(PCA(2)).set_callbacks(Propagated())
    with pytest.warns(UserWarning, match="The estimator PCA does not support callbacks"):
        rec.fit(blobs)


def test_sklearn_callback_of_the_estimator_within_a_reconstructor(sklearn_callback, blobs):
    record = Record()
    Reconstructor(small(max_epochs=3).set_callbacks(record)).fit(blobs)
    assert record.epochs(record.ended) == [0, 1, 2]
    with pytest.raises(TypeError, match="auto-propagated callbacks"):
        Reconstructor(small().set_callbacks(Propagated())).set_callbacks(Propagated()).fit(blobs)


def test_sklearn_callbacks_of_a_reconstructor_in_a_search(sklearn_callback, blobs):
    record = Propagated()
    pipe = Pipeline([("fill", Reconstructor(small(early_stopping=False))), ("reduce", small(max_epochs=2))])
    search = GridSearchCV(pipe, {"fill__estimator__max_epochs": [1, 2]}, cv=2, n_jobs=1)
    search.set_callbacks(record).fit(blobs)
    epochs = 2 * (1 + 2) + 2 * (2 + 2) + search.best_params_["fill__estimator__max_epochs"] + 2
    assert len(record.epochs(record.begun)) == len(record.epochs(record.ended)) == epochs


def test_error_within_a_reconstructor_tears_callbacks_down(sklearn_callback, blobs):
    record = Propagated()
    rec = Reconstructor(small()).set_callbacks(record).fit(blobs)
    before = dict(vars(rec))
    with pytest.raises(ValueError, match="NaN"):
        rec.fit(np.full((20, 6), np.nan))
    assert vars(rec) == before
    assert record.fits == ["setup", "teardown"] * 2
    copy = pickle.loads(pickle.dumps(clone(rec).set_callbacks().fit(blobs)))
    np.testing.assert_array_equal(copy.transform(blobs), rec.transform(blobs))


def test_sklearn_callback_of_a_pipeline_step(sklearn_callback, blobs):
    record = Record()
    pipe = Pipeline([("reduce", small(max_epochs=3).set_callbacks(record)), ("regress", LinearRegression())])
    pipe.fit(blobs, blobs[:, 0])
    assert record.epochs(record.ended) == [0, 1, 2]


@pytest.mark.parametrize("max_epochs", [3])
@pytest.mark.filterwarnings("ignore:The estimator LinearRegression does not support callbacks:UserWarning")
def test_sklearn_progress_bar(sklearn_callback, blobs, capsys, max_epochs):
    pytest.importorskip("rich")
    ae = small(max_epochs=max_epochs)
    ae.set_callbacks(sklearn_callback.ProgressBar()).fit(blobs)
    out = capsys.readouterr().out
    assert "AutoencoderTransformer - fit" in out
    assert "100%" in out
    pipe = Pipeline([("reduce", small(max_epochs=max_epochs)), ("regress", LinearRegression())])
    pipe.set_callbacks(sklearn_callback.ProgressBar(max_propagation_depth=None)).fit(blobs, blobs[:, 0])
    assert "AutoencoderTransformer - fit" in capsys.readouterr().out
    search = GridSearchCV(small(max_epochs=1), {"lr": [1e-3, 1e-2]}, cv=2)
    search.set_callbacks(sklearn_callback.ProgressBar(max_propagation_depth=None)).fit(blobs)
    out = capsys.readouterr().out
    assert "GridSearchCV" in out
    assert "AutoencoderTransformer - fit" in out


def test_sklearn_progress_bar_at_an_early_stop(sklearn_callback, blobs, capsys):
    pytest.importorskip("rich")
    ae = small(n_iter_no_change=4, **STILL).set_callbacks(sklearn_callback.ProgressBar()).fit(blobs)
    assert ae.n_iter_ == 4
    assert "100%" in capsys.readouterr().out


@pytest.mark.parametrize("level", [100.0, -100.0])
def test_plateau_of_losses_above_and_below_zero(level):
    weight = nn.Parameter(torch.zeros(()))
    plateau = _callbacks.Plateau(torch.optim.SGD([weight], lr=1.0), factor=0.5, patience=0, tol=1e-3)
    for loss in (level, level - 1, level - 2):  # improvements of a hundredth
        plateau.step(loss)
    assert plateau.get_last_lr() == [1.0]
    plateau.step(level - 2.05)
    assert plateau.get_last_lr() == [0.5]
