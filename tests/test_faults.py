"""A fit that is interrupted, refused or fails leaves the estimator, and torch's global state, as they were."""

import os
import signal
import subprocess
import sys

import numpy as np
import pytest
import torch
from guards import HANGS
from sklearn.mixture import GaussianMixture
from skorch.callbacks import Callback
from torch import nn

from skae import AutoencoderTransformer

X = np.random.default_rng(0).normal(size=(24, 16)).astype(np.float32)
X.flags.writeable = False


def small(**params):
    defaults = {"max_epochs": 2, "batch_size": 12, "random_state": 0, "warm_start": True}
    if params.get("module", "mlp") == "mlp":
        defaults["module__hidden_layer_sizes"] = (4,)
    return AutoencoderTransformer(2, **defaults | params)


def state(est):
    """What was fitted, and torch's global state."""
    fitted = None
    if hasattr(est, "net_"):
        weights = {name: t.numpy().tobytes() for name, t in est.module_.state_dict().items()}
        fitted = weights, repr(est.net_.optimizer_.state_dict()), repr(est.net_.history[:]), sorted(vars(est.net_))
    return fitted, torch.get_rng_state().numpy().tobytes(), torch.is_grad_enabled(), torch.get_num_threads()


class Unchanged:
    """A block that fails with ``error`` and leaves ``est`` as it was."""

    def __init__(self, est, error):
        self.est, self.raises = est, pytest.raises(error)

    def __enter__(self):
        self.attributes, self.state = dict(vars(self.est)), state(self.est)
        return self.raises.__enter__()

    def __exit__(self, *error):
        caught = self.raises.__exit__(*error)
        assert vars(self.est).keys() == self.attributes.keys()
        assert all(vars(self.est)[name] is value for name, value in self.attributes.items())
        assert state(self.est) == self.state
        return caught


def run(script):
    path = os.pathsep.join(filter(None, [os.getcwd(), os.environ.get("PYTHONPATH")]))
    environment = os.environ | {"PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-W", "ignore", "-c", script]
    return subprocess.run(command, capture_output=True, text=True, timeout=HANGS, env=environment)


INTERRUPTED = """
import os, random, signal, threading
import numpy as np
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from skae import AutoencoderTransformer, VAEGenerator

signal.signal(signal.SIGINT, signal.default_int_handler)
X = np.random.default_rng(0).normal(size=(60, 8))
small = {"batch_size": 12, "random_state": 0, "warm_start": True, "module__hidden_layer_sizes": (4,)}
endless = {"max_epochs": 10**7, "early_stopping": False, "lr_schedule": None}
rng = random.Random(0)

def interrupted(fit):
    timer = threading.Timer(rng.uniform(0, 0.3), os.kill, (os.getpid(), signal.SIGINT))
    try:
        timer.start()
        fit(X)
    except KeyboardInterrupt:
        return True

for est in (AutoencoderTransformer(2, noise="gaussian_noise", **small), VAEGenerator(2, **small)):
    est.set_params(max_epochs=2).fit(X)
    straight = clone(est).fit(X).fit(X).transform(X)
    for _ in range(4):
        Z, before = est.transform(X), dict(vars(est.set_params(**endless)))
        assert interrupted(est.fit)
        assert vars(est).keys() == before.keys() and all(vars(est)[name] is before[name] for name in before)
        assert np.array_equal(est.transform(X), Z)
    assert interrupted(GridSearchCV(est, {"lr": [1e-3, 1e-4]}, cv=2).fit)
    est.set_params(max_epochs=2, early_stopping="auto", lr_schedule="onecycle")
    thread = threading.Thread(target=est.fit, args=(X,))  # torch's generators are free
    thread.start()
    thread.join()
    assert np.array_equal(est.transform(X), straight)
print("done")
"""


@pytest.mark.skipif(os.name != "posix", reason="signals are sent as POSIX does it")
@pytest.mark.slow
def test_ctrl_c_leaves_estimator_unchanged():
    done = run(INTERRUPTED)
    assert done.stdout == "done\n", done.stderr


# ------------------------------------------------------------------ errors

EVENTS = ["train_begin", "epoch_begin", "batch_begin", "grad_computed", "batch_end", "epoch_end", "train_end"]


class RaiseAt(Callback):
    def __init__(self, event, error):
        self.event, self.error = event, error
        setattr(self, f"on_{event}", self.fail)

    def fail(self, *args, **kwargs):
        raise self.error


@pytest.mark.parametrize(
    ("event", "error"),
    [*((event, ValueError) for event in EVENTS), ("batch_end", SystemExit), ("epoch_end", StopIteration)],
)
def test_error_of_a_callback(event, error):
    for est in (small(noise="gaussian_noise"), small(noise="gaussian_noise").fit(X)):
        est.set_params(callbacks=[RaiseAt(event, error)])
        for method in (est.fit, est.partial_fit):
            with Unchanged(est, error):
                method(X)


class FailingNetwork(nn.Module):
    """Fails in the third pass of a training, in its forward or its backward pass."""

    def __init__(self, input_shape, n_components, armed=True, backward=False, error=ZeroDivisionError, press=False):
        super().__init__()
        self.down, self.up = nn.Linear(*input_shape, n_components), nn.Linear(n_components, *input_shape)
        self.armed, self.backward, self.error, self.press, self.passes = armed, backward, error, press, 0

    def encode(self, x):
        z = self.down(x)
        self.passes += self.training
        if self.armed and self.passes == 3:
            if not self.backward:
                self._fail()
            z.register_hook(self._fail)
        return z

    def decode(self, z):
        return self.up(z)

    def _fail(self, gradient=None):
        if self.press:
            signal.raise_signal(signal.SIGINT)
        raise self.error


class FailingPrior(GaussianMixture):
    def fit(self, X, y=None):
        raise ZeroDivisionError


class FailingOptimizer(torch.optim.SGD):
    """Has moved weights when no memory is left."""

    def step(self, closure=None):
        super().step(closure)
        raise MemoryError


@pytest.mark.parametrize(
    ("params", "given", "error"),
    [
        ({"module": FailingNetwork}, {}, ZeroDivisionError),
        ({"module": FailingNetwork, "module__backward": True}, {}, ZeroDivisionError),
        ({"module": FailingNetwork, "module__error": MemoryError, "precision": "bf16"}, {}, MemoryError),
        ({"module": FailingNetwork, "module__press": True, "noise": "gaussian_noise"}, {}, KeyboardInterrupt),
        ({"prior": FailingPrior()}, {}, ZeroDivisionError),
        ({"optimizer": FailingOptimizer}, {}, MemoryError),
        ({}, {"X_val": X[:, :3]}, ValueError),
        ({}, {"sample_weight": -np.ones(24)}, ValueError),
        ({"n_components": 0}, {}, ValueError),
    ],
)
def test_fit_that_fails_changes_nothing(interruptible, params, given, error):
    harmless = {name: params[name] for name in ("module",) if name in params}
    harmless |= {"module__armed": False} if harmless else {}
    for est in (small(**harmless), small(**harmless).fit(X)):
        with Unchanged(est.set_params(**{"module__armed": True} if harmless else {}, **params), error):
            est.fit(X, **given)
    est.transform(X)


LIMITED = """
import resource
import numpy as np
from skae import AutoencoderTransformer
X = np.random.default_rng(0).normal(size=(400, 1000)).astype(np.float32)
est = AutoencoderTransformer(2, module__hidden_layer_sizes=(8,), max_epochs=1, random_state=0).fit(X)
Z = est.transform(X)
before = dict(vars(est.set_params(module__hidden_layer_sizes=(20000,))))
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
limits = resource.getrlimit(resource.RLIMIT_AS)
failed = 0
for more in (20, 100, 260):
    resource.setrlimit(resource.RLIMIT_AS, (used + more * 2**20, limits[1]))
    try:
        est.fit(X)
    except (MemoryError, RuntimeError) as error:
        assert isinstance(error, MemoryError) or "alloc" in str(error), error
        failed += 1
    finally:
        resource.setrlimit(resource.RLIMIT_AS, limits)
    assert vars(est).keys() == before.keys() and all(vars(est)[name] is before[name] for name in before), more
    assert np.array_equal(est.transform(X), Z)
assert failed == 3, failed
print("done")
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="memory is limited as Linux does it")
@pytest.mark.slow
def test_fit_without_memory_changes_nothing():
    done = run(LIMITED)
    assert done.stdout == "done\n", done.stderr


KILLED = """
import os, signal
import numpy as np
from joblib.externals.loky.process_executor import TerminatedWorkerError
from sklearn.model_selection import GridSearchCV
from skae import AutoencoderTransformer
def kill(est, X, y=None):
    os.kill(os.getpid(), signal.SIGKILL)
est = AutoencoderTransformer(2, max_epochs=2, random_state=0)
before = dict(vars(est))
try:
    GridSearchCV(est, {"lr": [1e-3]}, cv=2, n_jobs=2, scoring=kill).fit(np.random.default_rng(0).normal(size=(60, 8)))
except TerminatedWorkerError:
    assert vars(est) == before
    print("killed")
"""


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="nothing kills like that here")
def test_worker_that_is_killed_ends_the_search():
    done = run(KILLED)
    assert done.stdout == "killed\n", done.stderr
