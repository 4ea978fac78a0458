"""A fit that is interrupted resumes from its checkpoint, and ends as one that was not."""

import os
import shutil
import signal
import subprocess
import sys
import textwrap
from unittest.mock import MagicMock

import numpy as np
import pytest
import torch
from guards import HANGS, linux, posix
from sklearn import config_context
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.utils import check_random_state
from skorch.callbacks import Callback, EarlyStopping
from torch import nn

import skae
from skae import AutoencoderTransformer, ConvAutoencoder, Reconstructor, VAEGenerator
from skae._data.crops import CropDataset
from skae._training.callbacks import FiniteLoss
from skae._training.checkpoint import Checkpoint
from skae.bottlenecks import TotalCorrelation
from skae.nn import EncoderDecoder
from skae.noise import GaussianNoise

N_KILLS = {None: 5, "1": 25}.get(os.environ.get("SKAE_FUZZ"), 100)  # as in tests/conftest.py


class BrokenOff(BaseException):
    """Not an error: nothing may take it for one."""


class Break(Callback):
    """Breaks a fit off after an epoch, or in the middle of the one that comes then."""

    def __init__(self, epoch, batch=None):
        self.epoch, self.batch = epoch, batch

    def on_train_begin(self, net, **kwargs):
        self.first_ = len(net.history)

    def on_epoch_begin(self, net, **kwargs):
        self.seen_ = 0
        self.now_ = len(net.history) - self.first_ == self.epoch + 1
        if self.now_ and self.batch is None:
            raise BrokenOff

    def on_batch_begin(self, net, training=True, **kwargs):
        self.seen_ += 1
        if self.now_ and self.batch == self.seen_:
            raise BrokenOff


@pytest.fixture(scope="module")
def data():
    X, y = load_digits(return_X_y=True)
    return X[:300], y[:300]


def broken_off(estimator, path, *args, epoch, batch=None, **kwargs):
    """A copy of ``estimator`` whose fit was broken off, and has left its file."""
    estimator = clone(estimator).set_params(checkpoint=path, callbacks=[Break(epoch, batch)])
    with pytest.raises(BrokenOff):
        estimator.fit(*args, **kwargs)
    assert not hasattr(estimator, "net_")
    return estimator


def assert_same_fit(one, other):
    for (name, a), b in zip(one.module_.state_dict().items(), other.module_.state_dict().values(), strict=True):
        assert torch.equal(a, b), name
    for name in ("loss_curve_", "validation_loss_curve_", "best_epoch_", "n_iter_"):
        assert getattr(one, name) == getattr(other, name), name
    state, again = (e.net_.optimizer_.state_dict()["state"] for e in (one, other))
    for values, others in zip(state.values(), again.values(), strict=True):
        for name, value in values.items():
            assert torch.equal(torch.as_tensor(value), torch.as_tensor(others[name])), name
    for a, b in zip(*(e.net_.stream.__getstate__()["states"] for e in (one, other)), strict=True):
        np.testing.assert_array_equal(a, b)
    if hasattr(one, "prior_"):
        y = {} if not hasattr(one, "classes_") else {"y": one.classes_[0]}
        np.testing.assert_array_equal(one.sample(5, random_state=0, **y), other.sample(5, random_state=0, **y))


common = {"max_epochs": 5, "random_state": 0, "module__hidden_layer_sizes": (12,), "batch_size": 32}
conv = {"max_epochs": 4, "random_state": 0, "module__channels": (3,), "batch_size": 64}
SETTINGS = {
    "plain": AutoencoderTransformer(3, **common),
    "noise and dropout": AutoencoderTransformer(
        3, noise="gaussian_noise", module__dropout=0.2, module__normalization="batch", **common
    ),
    "plateau": AutoencoderTransformer(3, lr_schedule="plateau", n_iter_no_change=4, **common),
    "constant rate": AutoencoderTransformer(3, lr_schedule=None, alpha=1e-3, l1_ratio=0.5, **common),
    "momentum": AutoencoderTransformer(3, optimizer="sgd", optimizer__momentum=0.9, lr=1e-4, **common),
    "adamw by torch": AutoencoderTransformer(
        3, optimizer="adamw", optimizer__fused=False, lr_schedule="cosine", early_stopping=False, **common
    ),
    "sequences": AutoencoderTransformer(3, module="gru", module__hidden_size=4, max_epochs=3, random_state=0),
    "images": ConvAutoencoder(3, noise="masking_noise", module__dense=False, **conv),
    "generator": VAEGenerator(3, conditional=True, **common),
    "total correlation": VAEGenerator(3, bottleneck=TotalCorrelation(beta=2.0), prior=None, loss="bernoulli", **common),
    "reconstructor": Reconstructor(AutoencoderTransformer(3, noise=GaussianNoise(2.0), **common)),
}


QUICK = ("noise and dropout", "generator")
SLOW = [pytest.param(name, marks=pytest.mark.slow) for name in SETTINGS if name not in (*QUICK, "reconstructor")]


@pytest.mark.parametrize("name", [*QUICK, *SLOW])
def test_resumed_fit_equals_an_uninterrupted_one(data, tmp_path, name):
    X, y = data
    estimator = SETTINGS[name]
    if getattr(estimator, "loss", "") == "bernoulli":
        X = X / 16
    whole = clone(estimator).fit(X, y)
    path = tmp_path / "fit.skae"
    for epoch, batch in ((1, None), (1, 2), (2, None)):  # one after the other: each resumes from the last
        broken_off(estimator, path, X, y, epoch=epoch, batch=batch)
        assert os.listdir(tmp_path) == ["fit.skae"]
    resumed = clone(estimator).set_params(checkpoint=path).fit(X, y)
    assert_same_fit(whole, resumed)
    assert os.listdir(tmp_path) == [], "its work is done"
    assert_same_fit(whole, clone(estimator).set_params(checkpoint=str(path)).fit(X, y))


def test_fit_within_another_estimator_resumes(data, tmp_path):
    X = data[0]
    estimator = SETTINGS["reconstructor"]
    whole = clone(estimator).fit(X)
    path = tmp_path / "fit.skae"
    broken = clone(estimator).set_params(estimator__checkpoint=path, estimator__callbacks=[Break(2)])
    with pytest.raises(BrokenOff):
        broken.fit(X)
    resumed = clone(estimator).set_params(estimator__checkpoint=path).fit(X)
    np.testing.assert_array_equal(resumed.transform(X), whole.transform(X))


def test_all_arguments_of_fit(data, tmp_path):
    X, y = data
    given = {
        "X_target": X + 1,
        "X_val": X[:50],
        "X_val_target": X[:50] + 1,
        "sample_weight": np.arange(len(X)) % 3,
        "y_val": y[:50],
    }
    estimator = SETTINGS["generator"]
    whole = clone(estimator).fit(X, y, **given)
    path = tmp_path / "fit.skae"
    broken_off(estimator, path, X, y, epoch=3, **given)
    assert_same_fit(whole, clone(estimator).set_params(checkpoint=path).fit(X, y, **given))


@pytest.mark.slow
def test_samples_that_are_not_in_memory(data, tmp_path):
    X = np.tile(data[0], (5, 1))
    np.save(tmp_path / "X.npy", X)
    X = np.load(tmp_path / "X.npy", mmap_mode="r")
    estimator = SETTINGS["noise and dropout"]
    path = tmp_path / "fit.skae"
    with config_context(working_memory=0.25):
        whole = clone(estimator).fit(X)
        broken_off(estimator, path, X, epoch=2)
        assert_same_fit(whole, clone(estimator).set_params(checkpoint=path).fit(X))


class Folder:
    """Reads images one by one."""

    def __init__(self, images):
        self.images = images

    def __len__(self):
        return len(self.images)

    def __getitem__(self, i):
        return self.images[i].copy()


def photographs(n=12):
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, (20 + i % 5, 24 - i % 3)).astype(np.uint8) for i in range(n)]


crops = {"module__dense": False, "augmentation": "flip", "crop_size": 8, "n_crops": 200, "max_epochs": 4}
crops |= {"module__channels": (3,), "batch_size": 32, "noise": "gaussian_noise"}


@pytest.mark.parametrize("kept", ["held", "read"])
@pytest.mark.parametrize("random_state", [0, None])
@pytest.mark.slow
def test_crops_of_images(tmp_path, kept, random_state):
    X = photographs() if kept == "held" else Folder(photographs())
    estimator = ConvAutoencoder(3, **crops, random_state=random_state)
    path, copy = tmp_path / "fit.skae", tmp_path / "copy.skae"
    with config_context(working_memory=0.01 if kept == "read" else 64):
        for epoch, batch in ((1, None), (1, 2), (2, 3)):
            broken_off(estimator, path, X, epoch=epoch, batch=batch)
        shutil.copy(path, copy)
        with pytest.MonkeyPatch.context() as patch:
            ahead = MagicMock(side_effect=CropDataset._read_ahead, autospec=True)
            patch.setattr(CropDataset, "_read_ahead", lambda *args: ahead(*args))
            whole = clone(estimator).set_params(checkpoint=None if random_state == 0 else copy).fit(X)
            assert ahead.called is (kept == "read")
        resumed = clone(estimator).set_params(checkpoint=path).fit(X)
    assert (whole._layout.any_size, whole.n_iter_) == (True, 4)
    assert_same_fit(whole, resumed)


@pytest.mark.parametrize("what", ["a pixel", "order", "target", "weight", "y"])
def test_checkpoint_of_other_images_raises(tmp_path, what):
    X, other = photographs(40), photographs(40)
    given = {name: {"X_target": photographs(40), "sample_weight": np.ones(40), "y": np.arange(40) % 2} for name in "ab"}
    if what == "a pixel":
        other[17][3, 5] ^= 1
    elif what == "order":
        other[0], other[15] = other[15], other[0]
    elif what == "target":
        given["b"]["X_target"][17][3, 5] ^= 1
    elif what == "weight":
        given["b"]["sample_weight"][17] = 2
    else:
        given["b"]["y"][17] ^= 1
    estimator = VAEGenerator(2, module="conv", conditional=True, prior=None, **crops | {"n_crops": 9}, random_state=0)
    path = tmp_path / "fit.skae"
    broken_off(estimator, path, X, epoch=1, **given["a"])
    with pytest.raises(ValueError, match="other parameters, other data"):
        clone(estimator).set_params(checkpoint=path).fit(other, **given["b"])
    clone(estimator).set_params(checkpoint=path).fit(X, **given["a"])


def test_early_stopping_resumes(data, tmp_path):
    X = data[0]
    estimator = AutoencoderTransformer(3, **common | {"max_epochs": 60, "lr": 0.02}).set_params(
        n_iter_no_change=3, lr_schedule=None
    )
    whole = clone(estimator).fit(X)
    assert 6 < whole.n_iter_ < 60, "the test needs a fit that stops early"
    path = tmp_path / "fit.skae"
    for epoch in (1, whole.n_iter_ - 2, whole.n_iter_ - 1):
        broken_off(estimator, path, X, epoch=epoch)
    resumed = clone(estimator).set_params(checkpoint=path).fit(X)
    assert_same_fit(whole, resumed)


def test_interruption_after_early_stopping(data, tmp_path):
    X = data[0]

    class Ends(Callback):
        def on_train_end(self, net, **kwargs):
            raise BrokenOff

    stops = common | {"max_epochs": 60, "lr": 0.02, "n_iter_no_change": 3, "lr_schedule": None}
    whole = AutoencoderTransformer(3, **stops).fit(X)
    path = tmp_path / "fit.skae"
    with pytest.raises(BrokenOff):
        AutoencoderTransformer(3, checkpoint=path, callbacks=[Ends()], **stops).fit(X)
    assert_same_fit(whole, AutoencoderTransformer(3, checkpoint=path, **stops).fit(X))


class Counts(Callback):
    """Keeps plain values, an array, a tensor and something that no file can keep."""

    def on_train_begin(self, net, **kwargs):
        self.epochs, self.losses, self.last, self.open = 0, np.zeros(9), torch.zeros(()), lambda: None

    def on_epoch_end(self, net, **kwargs):
        self.losses[self.epochs] = net.history[-1, "train_loss"]
        self.last = torch.tensor(net.history[-1, "train_loss"])
        self.epochs += 1


def test_callbacks_of_users_resume(data, tmp_path):
    X = data[0]
    whole, counts = [Counts(), EarlyStopping(monitor="train_loss")], Counts()
    AutoencoderTransformer(3, callbacks=whole, **common).fit(X)
    path = tmp_path / "fit.skae"
    with pytest.raises(BrokenOff):
        AutoencoderTransformer(
            3, checkpoint=path, callbacks=[Counts(), EarlyStopping(monitor="train_loss"), Break(3)], **common
        ).fit(X)
    AutoencoderTransformer(3, checkpoint=path, callbacks=[counts, EarlyStopping(monitor="train_loss")], **common).fit(X)
    assert counts.epochs == whole[0].epochs == 5
    np.testing.assert_array_equal(counts.losses, whole[0].losses)
    assert counts.last == whole[0].last


@pytest.mark.parametrize("random_state", ["none", "instance"])
def test_checkpoint_holds_the_seed(data, tmp_path, random_state):
    X = data[0]

    def make(**params):
        seed = None if random_state == "none" else check_random_state(3)
        return AutoencoderTransformer(3, **common | {"random_state": seed}, **params)

    path, copy = tmp_path / "fit.skae", tmp_path / "copy.skae"
    broken_off(make(), path, X, epoch=2)
    shutil.copy(path, copy)
    assert_same_fit(make(checkpoint=path).fit(X), make(checkpoint=copy).fit(X))


def test_warm_start(data, tmp_path):
    X = data[0]
    first = AutoencoderTransformer(3, warm_start=True, **common).fit(X)
    again, path = skae.AutoencoderTransformer(3, warm_start=True, **common).fit(X), tmp_path / "fit.skae"
    weights = {name: tensor.clone() for name, tensor in again.module_.state_dict().items()}
    again.set_params(checkpoint=path, callbacks=[Break(2)])
    with pytest.raises(BrokenOff):
        again.fit(X)
    assert all(torch.equal(tensor, weights[name]) for name, tensor in again.module_.state_dict().items())
    again.set_params(callbacks=None).fit(X)
    assert_same_fit(first.fit(X), again)
    assert len(again.net_.history) == 10
    broken = clone(again).set_params(callbacks=[Break(2)])
    with pytest.raises(BrokenOff):
        broken.fit(X)
    with pytest.raises(ValueError, match="other parameters, other data"):
        again.fit(X)  # which starts from weights


@pytest.mark.parametrize("what", ["n_components", "seed", "X", "a row", "sample_weight", "class", "X_val"])
def test_checkpoint_of_another_fit_raises_and_is_kept(data, tmp_path, what):
    X = data[0]
    estimator = SETTINGS["plain"]
    path = tmp_path / "fit.skae"
    broken_off(estimator, path, X, epoch=2)
    before = path.read_bytes()
    other, given = clone(estimator).set_params(checkpoint=path), {}
    if what == "n_components":
        other.set_params(n_components=2)
    elif what == "seed":
        other.set_params(random_state=1)
    elif what == "X":
        X = X[:-1]
    elif what == "a row":
        X = X.copy()
        X[17, 5] += 1e-6
    elif what == "sample_weight":
        given["sample_weight"] = np.ones(len(X))
    elif what == "X_val":
        given["X_val"] = X[:9]
    else:
        other = type("Other", (AutoencoderTransformer,), {})(3, checkpoint=path, **common)
    with pytest.raises(ValueError, match=r"checkpoint='.*fit.skae' is of a fit with other parameters, other data"):
        other.fit(X, **given)
    assert not hasattr(other, "n_features_in_")
    assert path.read_bytes() == before
    # What says nothing of the result may change.
    clone(estimator).set_params(checkpoint=path, verbose=0, callbacks=[Counts()]).fit(data[0])


@pytest.mark.parametrize("content", [b"", b"my thesis", "model", "cut", "list"])
def test_other_file_is_not_overwritten(data, tmp_path, content):
    X = data[0]
    path = tmp_path / "fit.skae"
    if content == "model":
        skae.save(AutoencoderTransformer(3, **common).fit(X), path)
    elif content == "list":
        torch.save([1], path)
    elif content == "cut":
        broken_off(SETTINGS["plain"], path, X, epoch=2)
        path.write_bytes(path.read_bytes()[:-3])
    else:
        path.write_bytes(content)
    before = path.read_bytes()
    with pytest.raises(ValueError, match="this file is not a checkpoint"):
        AutoencoderTransformer(3, checkpoint=path, **common).fit(X)
    assert path.read_bytes() == before


def changed(path, change):
    """Change what a checkpoint holds."""
    state = torch.load(path, weights_only=True)
    change(state)
    torch.save(state, path)


def test_optimizer_state_must_have_the_shape_of_the_weights(data, tmp_path):
    path = tmp_path / "fit.skae"
    broken_off(SETTINGS["plain"], path, data[0], epoch=2)
    changed(path, lambda state: state["optimizer"]["state"][0].update(exp_avg=torch.zeros(7)))
    with pytest.raises(ValueError, match="optimizer's state exp_avg must have the shape"):  # or a kernel reads past it
        AutoencoderTransformer(3, checkpoint=path, **common).fit(data[0])


def test_pickle_runs_no_code(data, tmp_path):
    class Harm:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "made"),)

    path = tmp_path / "fit.skae"
    torch.save({"fingerprint": Harm()}, path)
    with pytest.raises(ValueError, match="this file is not a checkpoint"):
        AutoencoderTransformer(3, checkpoint=path, **common).fit(data[0])
    assert os.listdir(tmp_path) == ["fit.skae"]


class Records(Callback):
    """Records what no file can hold, and numbers of NumPy."""

    def on_batch_end(self, net, **kwargs):
        net.history.record_batch("where", np.float32(1.5))
        net.history.record_batch("what", object())

    def on_epoch_end(self, net, **kwargs):
        net.history.record("what", lambda: None)
        net.history.record("when", np.int64(3))


def test_history_keeps_plain_values(data, tmp_path):
    path = tmp_path / "fit.skae"
    interrupted = AutoencoderTransformer(3, checkpoint=path, callbacks=[Records(), Break(2)], **common)
    with pytest.raises(BrokenOff):
        interrupted.fit(data[0])
    resumed = interrupted.set_params(callbacks=None).fit(data[0])
    assert_same_fit(AutoencoderTransformer(3, **common).fit(data[0]), resumed)
    assert resumed.net_.history[0, "when"] == 3
    assert resumed.net_.history[0, "batches", 0, "where"] == 1.5
    assert "what" not in resumed.net_.history[0]


@posix
def test_symbolic_link_stays_one(data, tmp_path):
    (tmp_path / "disk").mkdir()
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "disk" / "fit")
    broken_off(SETTINGS["plain"], link, data[0], epoch=2)
    assert os.listdir(tmp_path / "disk") == ["fit"]
    clone(SETTINGS["plain"]).set_params(checkpoint=link).fit(data[0])
    assert os.listdir(tmp_path / "disk") == []
    assert link.is_symlink()


def test_fit_deletes_temporary_file_of_killed_fit(data, tmp_path):
    path = tmp_path / "fit.skae"
    broken_off(SETTINGS["plain"], path, data[0], epoch=2)
    (tmp_path / "fit.skae.tmp").write_bytes(b"half of")
    clone(SETTINGS["plain"]).set_params(checkpoint=path).fit(data[0])
    assert os.listdir(tmp_path) == []


def test_networks_with_other_weights_are_another_fit(data, tmp_path):
    path, halves = tmp_path / "fit.skae", {"module__encoder": nn.Linear(64, 3), "module__decoder": nn.Linear(3, 64)}
    estimator = AutoencoderTransformer(3, module=EncoderDecoder, max_epochs=4, random_state=0, **halves)
    broken_off(estimator, path, data[0], epoch=2)
    with pytest.raises(ValueError, match="other parameters, other data"):
        clone(estimator).set_params(checkpoint=path, module__encoder=nn.Linear(64, 3)).fit(data[0])
    clone(estimator).set_params(checkpoint=path).fit(data[0])


def test_checkpoint_ignores_memory_order(data, tmp_path):
    path = tmp_path / "fit.skae"
    broken_off(SETTINGS["plain"], path, data[0], epoch=2)
    clone(SETTINGS["plain"]).set_params(checkpoint=path).fit(np.asfortranarray(data[0]))


@pytest.mark.parametrize("path", [3, ["fit"], b"fit", True])
def test_checkpoint_must_be_a_path(data, path):
    with pytest.raises(TypeError, match="checkpoint must be None, a str or an"):
        AutoencoderTransformer(3, checkpoint=path, **common).fit(data[0])


def test_checkpoint_must_be_in_a_folder(data, tmp_path):
    for path in (tmp_path / "nowhere" / "fit.skae", tmp_path, ""):
        with pytest.raises(ValueError, match="checkpoint"):
            AutoencoderTransformer(3, checkpoint=path, **common).fit(data[0])


def test_only_fit_writes_checkpoints(data, tmp_path):
    path = tmp_path / "fit.skae"
    estimator = AutoencoderTransformer(3, checkpoint=path, **common).partial_fit(data[0])
    estimator.transform(data[0])
    assert os.listdir(tmp_path) == []


def test_full_disk_leaves_the_last_checkpoint(data, tmp_path, monkeypatch):
    X = data[0]
    path = tmp_path / "fit.skae"
    estimator = AutoencoderTransformer(3, checkpoint=path, **common).fit(X)
    before, Z = dict(vars(estimator)), estimator.transform(X)
    write, written = os.fsync, []

    def full(descriptor):
        written.append(descriptor)
        if len(written) > 2:  # one for each epoch
            raise OSError(28, "No space left on device")
        write(descriptor)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space left"):
            estimator.fit(X)
    assert vars(estimator) == before
    np.testing.assert_array_equal(estimator.transform(X), Z)
    assert os.listdir(tmp_path) == ["fit.skae"], "the last epoch that could be written is there, and nothing else"
    assert len(Checkpoint(path).found["history"]) == 2
    np.testing.assert_array_equal(estimator.fit(X).transform(X), Z)


def test_ctrl_c_leaves_the_checkpoint(data, tmp_path, interruptible, monkeypatch):
    X = data[0]

    def interrupt(self, net, **kwargs):
        if len(net.history) == 3:
            signal.raise_signal(signal.SIGINT)

    path = tmp_path / "fit.skae"
    estimator = AutoencoderTransformer(3, checkpoint=path, **common)
    with monkeypatch.context() as patch:
        patch.setattr(FiniteLoss, "on_epoch_begin", interrupt)  # in a user's callback it would be a stop
        with pytest.raises(KeyboardInterrupt):
            estimator.fit(X)
    assert not hasattr(estimator, "net_")
    assert_same_fit(AutoencoderTransformer(3, **common).fit(X), estimator.fit(X))


def test_path_is_not_saved(data, tmp_path):
    estimator = AutoencoderTransformer(3, checkpoint=tmp_path / "fit.skae", **common).fit(data[0])
    skae.save(estimator, tmp_path / "model.skae")
    assert skae.load(tmp_path / "model.skae").checkpoint is None
    assert estimator.checkpoint is not None


KILLED = textwrap.dedent(
    """
    import os, random, signal, sys, time
    import numpy as np, torch
    from sklearn.datasets import load_digits
    from skae import VAEGenerator
    from skae._training.checkpoint import Checkpoint

    torch.set_num_threads(1)
    torch.optim.Adam([torch.zeros(1, requires_grad=True)])  # what this imports takes longer than a fit
    path, result, n_kills = sys.argv[1], sys.argv[2], int(sys.argv[3])
    X = load_digits().data[:200]

    def fit(checkpoint):
        vae = VAEGenerator(3, max_epochs=12, random_state=0, module__hidden_layer_sizes=(30,), noise="gaussian_noise",
                           checkpoint=checkpoint).fit(X)
        weights = [t.numpy().ravel() for t in vae.module_.state_dict().values()]
        return np.concatenate([*weights, vae.sample(4, 0).ravel()])

    def child(work):
        pid = os.fork()
        if pid == 0:
            try:
                work()
                os._exit(0)
            except BaseException:
                import traceback
                traceback.print_exc()
                os._exit(1)
        return pid

    start = time.monotonic()
    pid = child(lambda: np.save(result + "whole.npy", fit(None)))
    assert os.waitpid(pid, 0)[1] == 0
    whole = time.monotonic() - start
    rng = random.Random(0)
    kills = with_file = rounds = 0
    while kills < n_kills or not with_file:
        rounds += 1
        while True:
            pid = child(lambda: np.save(result + "resumed.npy", fit(path)))
            time.sleep(rng.uniform(0, whole))
            done, status = os.waitpid(pid, os.WNOHANG)
            if not done and (kills < n_kills or not with_file):
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
                kills += 1
                if os.path.exists(path):
                    with_file += 1
                    found = Checkpoint(path).found  # raises for a file that does not load
                    assert 1 <= len(found["history"]) <= 12
                elif not with_file:
                    whole *= 1.2  # other processes may have begun to compute since it was measured
                continue
            if not done:
                status = os.waitpid(pid, 0)[1]
            assert status == 0, status
            break
        assert not os.path.exists(path)
        assert np.array_equal(np.load(result + "whole.npy"), np.load(result + "resumed.npy"))
    left = [name for name in os.listdir(os.path.dirname(path)) if name.endswith(".tmp")]
    print(kills, with_file, rounds, len(left))
    """
)


@pytest.mark.slow
@linux
def test_fit_resumes_after_kills(tmp_path):
    """SIGKILL at any moment of a fit: the file loads or is not there, and the fit ends as one that was not killed."""
    run = subprocess.run(
        [sys.executable, "-c", KILLED, str(tmp_path / "fit.skae"), str(tmp_path / "result-"), str(N_KILLS)],
        capture_output=True,
        text=True,
        timeout=HANGS,
    )
    assert run.returncode == 0, run.stderr
    kills, with_file, rounds, left = map(int, run.stdout.split())
    assert kills >= N_KILLS
    assert with_file > 0, "no kill came after an epoch"
    assert rounds >= 1
    assert left <= kills, "at most what was being written"
    print(f"{kills} kills, {with_file} of them with a file, {rounds} fits ended")
