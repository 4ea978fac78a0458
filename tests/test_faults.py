"""What breaks off: Ctrl-C at any moment, callbacks that raise, killed workers, threads, forks, no memory."""

import gc
import os
import random
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from guards import HANGS
from sklearn.base import clone
from sklearn.mixture import GaussianMixture
from skorch.callbacks import Callback
from threadpoolctl import ThreadpoolController
from torch import nn

from skae import AutoencoderTransformer, ConvAutoencoder, Reconstructor, VAEGenerator
from skae._data.validation import unchanged_on_error
from skae._utils import rng as _random
from skae._utils import threads as _threads
from skae._utils.rng import Stream
from skae._utils.threads import one_blas_thread, threads_for
from skae.losses import SquaredError

X = np.random.default_rng(0).normal(size=(24, 16)).astype(np.float32)
X.flags.writeable = False
LIBRARIES = ThreadpoolController().lib_controllers


class Small(nn.Module):
    """A network of one's own."""

    def __init__(self, input_shape, n_components):
        super().__init__()
        self.down, self.up = nn.Linear(*input_shape, n_components), nn.Linear(n_components, *input_shape)

    def encode(self, x):
        return self.down(x)

    def decode(self, z):
        return self.up(z)


def small(**params):
    defaults = {"max_epochs": 2, "batch_size": 12, "random_state": 0, "warm_start": True}
    if params.get("module", "mlp") == "mlp":
        defaults["module__hidden_layer_sizes"] = (4,)
    return AutoencoderTransformer(2, **defaults | params)


def estimators():
    common = {"max_epochs": 2, "batch_size": 12, "random_state": 0, "warm_start": True}
    return {
        "transformer": small(noise="gaussian_noise", prior=GaussianMixture(1, init_params="random")),
        "conv": ConvAutoencoder(2, module__channels=(2,), **common),
        "vae": VAEGenerator(2, module__hidden_layer_sizes=(4,), **common),
        "reconstructor": Reconstructor(small(missing="mask", noise="masking_noise"), keep_observed=True),
    }


def world():
    """What belongs to all."""
    return {
        "threads": torch.get_num_threads(),
        "libraries": [library.get_num_threads() for library in LIBRARIES],
        "grad": torch.is_grad_enabled(),
        "inference": torch.is_inference_mode_enabled(),
        "modes": len(torch.overrides._get_current_function_mode_stack()),
        "device": torch.empty(0).device,
        "dtype": torch.get_default_dtype(),
        "autocast": torch.is_autocast_enabled("cpu"),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "torch": torch.get_rng_state().numpy().tobytes(),
        "numpy": np.random.get_state()[1].tobytes(),  # noqa: NPY002
        "python": random.getstate(),
        "handler": signal.getsignal(signal.SIGINT),
        "loans": _random.n_loans(),
        "free": in_thread(_may_borrow),
    }


def in_thread(function):
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(function).result(timeout=HANGS)


def _may_borrow():
    free = _random._borrowing.acquire(timeout=0)
    if free:
        _random._borrowing.release()
    return free


def state(estimator):
    """The bytes of what was fitted."""
    fitted = getattr(estimator, "estimator_", estimator)
    if not hasattr(fitted, "net_"):
        return None
    net, module = fitted.net_, fitted.module_
    return {
        "weights": {name: t.numpy().tobytes() for name, t in module.state_dict().items()},
        "optimizer": repr(net.optimizer_.state_dict()),
        "history": repr(net.history[:]),
        "stream": [t.numpy().tobytes() for t in net.stream._states],
        "names": (sorted(vars(net)), sorted(vars(net.stream)), sorted(vars(module))),
        "training": [layer.training for layer in module.modules()],
        "gradients": [p.requires_grad for p in module.parameters()],
        "prior": repr(vars(fitted.prior_)) if hasattr(fitted, "prior_") else None,
    }


class Watched:
    """An estimator that has to be as it is now when something went wrong, and all around it too."""

    def __init__(self, estimator):
        self.estimator = estimator
        self.attributes, self.state, self.world = dict(vars(estimator)), state(estimator), world()

    def check(self, where=""):
        found = vars(self.estimator)
        assert found.keys() == self.attributes.keys(), where
        assert all(found[name] is value for name, value in self.attributes.items()), where
        assert state(self.estimator) == self.state, where
        now = world()
        assert {name: now[name] for name in now if now[name] != self.world[name]} == {}, where


@pytest.fixture
def interruptible(interruptible):
    """Ctrl-C raises, and no collector runs things of others meanwhile."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


# ------------------------------------------------------------------ Ctrl-C

ENDS = ("_utils/rng.py", "_utils/threads.py", "overrides.py")  # where contexts begin and end


def polls(call, stop=0):
    """Run ``call``, with Ctrl-C at its ``stop``-th moment; return where all moments were.

    Python looks for signals as a function begins and when one in C has returned.
    """
    found = []

    def look(frame, event, argument):
        if event == "c_return" or (event == "call" and not frame.f_code.co_flags & 0x20):  # no generator going on
            found.append((frame.f_code.co_filename, frame.f_code.co_name, frame.f_lineno, event))
            if len(found) == stop:
                sys.setprofile(None)
                signal.raise_signal(signal.SIGINT)

    sys.setprofile(look)
    try:
        call()
    finally:
        sys.setprofile(None)
    return found


def moments(found, n_own, n_others):
    """Numbers of moments: all places in contexts, torch's switches too, each once; then some anywhere."""
    places = {place: i for i, place in reversed(list(enumerate(found, 1)))}
    ours = os.sep + "skae" + os.sep
    close = [i for p, i in places.items() if "grad_mode" in p[0] or (ours in p[0] and p[0].endswith(ENDS))]
    own = [i for p, i in places.items() if ours in p[0]]
    # Within threadpoolctl it is scikit-learn that limits threads, in a way of its own; and after the last of ours its
    # context for callbacks, around a fit that is over.
    last = max(i for i, p in enumerate(found, 1) if ours in p[0])
    others = [i for i, p in enumerate(found, 1) if "threadpoolctl" not in p[0] and i <= last]
    rng = random.Random(0)
    return [*close, *rng.sample(own, min(n_own, len(own))), *rng.sample(others, min(n_others, len(others)))]


METHODS = {
    "fit": lambda est: est.fit(X),
    "partial_fit": lambda est: est.partial_fit(X),
    "transform": lambda est: est.transform(X),
    "reconstruct": lambda est: est.reconstruct(X),
    "score_samples": lambda est: est.score_samples(X),
    "sample": lambda est: est.sample(3, random_state=0),
    "sample_posterior": lambda est: est.sample_posterior(X, noisy=True, random_state=0),
}


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
@pytest.mark.parametrize("again", [False, True])
@pytest.mark.parametrize("name", estimators())
def test_ctrl_c_at_any_moment_of_a_fit(interruptible, name, again, method):
    template = estimators()[name]
    if not hasattr(template, method):
        pytest.skip("no partial_fit")

    def made():
        return clone(template).fit(X) if again else clone(template)

    straight = made()
    METHODS[method](straight)
    warm, est = made(), made()
    polls(lambda: METHODS[method](warm))  # some libraries fill caches as they are watched
    found = polls(lambda: METHODS[method](est))
    assert len(found) > 5000
    watched = Watched(made())
    before = watched.estimator.transform(X) if again else None
    for moment in moments(found, 8, 14):
        with pytest.raises(KeyboardInterrupt):
            polls(lambda: METHODS[method](watched.estimator), moment)
        watched.check(found[moment - 1])
    if again:
        np.testing.assert_array_equal(watched.estimator.transform(X), before)
    in_thread(lambda: METHODS[method](watched.estimator))
    np.testing.assert_array_equal(watched.estimator.transform(X), straight.transform(X))


@pytest.mark.parametrize("method", list(METHODS)[2:])
def test_ctrl_c_at_any_moment_of_what_is_fitted(interruptible, method):
    est = VAEGenerator(2, module__hidden_layer_sizes=(4,), max_epochs=1, random_state=0).fit(X)
    result = METHODS[method](est)
    watched = Watched(est)
    found = polls(lambda: METHODS[method](est))
    for moment in moments(found, 40, 40):
        with pytest.raises(KeyboardInterrupt):
            polls(lambda: METHODS[method](est), moment)
        gc.collect(0)  # a loan whose end was about to begin lasts as long as the error
        if world() != watched.world:
            gc.collect()
        watched.check(found[moment - 1])
    np.testing.assert_array_equal(METHODS[method](est), result)


@pytest.mark.parametrize("name", estimators())
def test_ctrl_c_from_a_clock(interruptible, name):
    """Signals that come when they like, C code included; one after the last word of `fit` finds it done."""
    template = estimators()[name]
    straight = clone(template).fit(X)
    watched = Watched(clone(template))
    took = np.inf
    former = signal.signal(signal.SIGALRM, signal.default_int_handler)
    interrupted = 0
    try:
        for share in (0, *np.linspace(0.01, 0.99, 30)):
            try:
                # Of the shortest fit so far, as other processes may have made the first one long; 0 sets no clock.
                signal.setitimer(signal.ITIMER_REAL, took * share if share else 0)
                start = time.perf_counter()
                watched.estimator.fit(X)
                signal.setitimer(signal.ITIMER_REAL, 0)
                took = min(took, time.perf_counter() - start)
            except KeyboardInterrupt:
                interrupted += 1
                if vars(watched.estimator).keys() != vars(straight).keys():
                    watched.check(share)
                    continue
            assert world() == watched.world, share  # done, or it was faster than before
            np.testing.assert_array_equal(watched.estimator.transform(X), straight.transform(X))
            watched = Watched(clone(template))
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, former)
    assert interrupted
    np.testing.assert_array_equal(watched.estimator.fit(X).transform(X), straight.transform(X))


@pytest.mark.parametrize(
    ("context", "draw"),
    [
        (lambda: Stream(0), torch.rand),
        (lambda: threads_for(0), torch.zeros),
        (one_blas_thread, torch.zeros),
    ],
    ids=["stream", "threads", "blas"],
)
def test_ctrl_c_at_every_moment_of_a_context(interruptible, context, draw):
    """All of them, as the fits above take a sample."""

    class Thing:
        @unchanged_on_error
        def use(self):
            with context():
                self.attribute = draw(2)

    thing = Thing()
    thing.use()  # libraries are looked for once
    before = world()
    found = polls(thing.use)
    # From the contexts' own first moment to the last: what comes after it is the end of the block.
    last = max(i for i, place in enumerate(found, 1) if place[0].endswith(ENDS))
    del thing.attribute
    n = 0
    for moment in range(1, last + 1):
        try:
            polls(thing.use, moment)
        except KeyboardInterrupt:
            n += 1
            assert vars(thing) == {}, found[moment - 1]
        assert world() == before, found[moment - 1]
        vars(thing).clear()
    assert n >= last - 2 > 8


def test_a_second_ctrl_c_while_the_first_is_dealt_with(interruptible):
    """Attributes are put back at once, or an impatient user would be left with none."""
    est = small().fit(X)
    watched = Watched(est)

    @unchanged_on_error
    def fail(est):
        est.net_ = est.more = None
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail(est)
    own = fail.__code__

    def looked(stop=0):
        n = 0

        def look(frame, event, argument):
            nonlocal n
            if frame.f_code is own and event == "c_return" and hasattr(est, "more") | bool(n):
                n += 1
                if n == stop:
                    sys.setprofile(None)
                    raise KeyboardInterrupt

        sys.setprofile(look)
        try:
            fail(est)
        except (KeyboardInterrupt, ZeroDivisionError):
            pass
        finally:
            sys.setprofile(None)
        return n

    for stop in range(1, looked() + 2):
        looked(stop)
        watched.check(stop)


SEARCH = """
import os, sys, signal, time
import numpy as np
from sklearn.model_selection import GridSearchCV
from skae import AutoencoderTransformer
signal.signal(signal.SIGINT, signal.default_int_handler)
from skorch.callbacks import Callback
class Tell(Callback):
    def on_epoch_end(self, net, **kwargs):
        if len(net.history) == 3:
            open(sys.argv[2], "w").close()
X = np.random.default_rng(0).normal(size=(60, 8))
est = AutoencoderTransformer(2, max_epochs=10**7, early_stopping=False, callbacks=[Tell()], lr_schedule=None)
GridSearchCV(est, {"lr": [1e-3, 1e-4]}, cv=2, n_jobs=int(sys.argv[1])).fit(X)
"""


@pytest.mark.parametrize("n_jobs", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_ctrl_c_ends_a_search_and_its_workers(tmp_path, n_jobs):
    """As a terminal sends it: to all processes in the foreground."""
    (tmp_path / "search.py").write_text(SEARCH)
    told = tmp_path / "told"
    command = [sys.executable, str(tmp_path / "search.py"), str(n_jobs), str(told)]
    process = subprocess.Popen(command, start_new_session=True, stderr=subprocess.PIPE, text=True, env=environment())
    try:
        wait_for(lambda: told.exists() or process.poll() is not None)
        os.killpg(process.pid, signal.SIGINT)
        errors = process.communicate(timeout=HANGS)[1]
        assert process.returncode in (-signal.SIGINT, 130, 1)
        assert "KeyboardInterrupt" in errors
        wait_for(lambda: not group_lives(process.pid))
    finally:
        if group_lives(process.pid):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def environment():
    path = os.pathsep.join(filter(None, [os.getcwd(), os.environ.get("PYTHONPATH")]))
    return os.environ | {"PYTHONPATH": path, "OMP_NUM_THREADS": "1"}


def group_lives(group):
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def wait_for(condition):
    end = time.monotonic() + HANGS
    while not condition():
        assert time.monotonic() < end, "it hangs"
        time.sleep(0.05)


# ------------------------------------------------------------------ what raises


class OwnStop(BaseException):
    pass


EVENTS = [
    "initialize",
    "on_train_begin",
    "on_epoch_begin",
    "on_batch_begin",
    "on_grad_computed",
    "on_batch_end",
    "on_epoch_end",
    "on_train_end",
]
ERRORS = [ValueError, StopIteration, SystemExit, GeneratorExit, MemoryError, RecursionError, OwnStop]


class RaiseAt(Callback):
    def __init__(self, event, error):
        self.event, self.error = event, error


def _raising(event):
    def method(self, *args, **kwargs):
        if event == self.event:
            raise self.error
        return self

    return method


for _event in EVENTS:
    setattr(RaiseAt, _event, _raising(_event))


@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize("event", EVENTS)
def test_a_callback_that_raises(event, error):
    raised = error("from the callback")
    fitted = small(noise="gaussian_noise").fit(X)
    for est in (small(noise="gaussian_noise"), fitted):
        watched = Watched(est.set_params(callbacks=[RaiseAt(event, raised)]))
        for method in (est.fit, est.partial_fit):
            with pytest.raises(error) as caught:
                method(X)
            assert caught.value is raised
            raised.__traceback__ = None
            watched.check()
    np.testing.assert_array_equal(
        small(noise="gaussian_noise").fit(X).transform(X), small(noise="gaussian_noise").fit(X).transform(X)
    )


class OfSklearn:
    """A callback of scikit-learn that raises."""

    def __init__(self, when, task, error):
        self.when, self.task, self.error = when, task, error

    def maybe(self, when, task):
        if (when, task) == (self.when, self.task):
            raise self.error

    def setup(self, estimator, context):
        self.maybe("setup", None)

    def teardown(self, estimator, context):
        pass

    def on_fit_task_begin(self, estimator, context):
        self.maybe("begin", context.task_name)

    def on_fit_task_end(self, estimator, context):
        self.maybe("end", context.task_name)


@pytest.mark.filterwarnings("ignore:.*callback.*experimental")
@pytest.mark.parametrize("error", [ValueError, StopIteration, OwnStop])
@pytest.mark.parametrize(
    ("when", "task"), [("setup", None), ("begin", "fit"), ("begin", "epoch"), ("end", "epoch"), ("end", "fit")]
)
def test_a_callback_of_scikit_learn_that_raises(when, task, error):
    pytest.importorskip("sklearn.callback")
    for est in (small(), small().fit(X)):
        est.set_callbacks(OfSklearn(when, task, error))
        watched = Watched(est)
        with pytest.raises(error):
            est.fit(X)
        watched.check()


class Fails(Exception):
    pass


class FailingNetwork(Small):
    """Fails in the third pass of a training, in its forward or its backward one."""

    def __init__(self, input_shape, n_components, armed=True, backward=False, error=Fails):
        super().__init__(input_shape, n_components)
        self.armed, self.backward, self.error, self.passes = armed, backward, error, 0

    def encode(self, x):
        z = super().encode(x)
        self.passes += self.training
        if self.armed and self.passes == 3:
            if not self.backward:
                raise self.error
            z.register_hook(self._fail)
        return z

    def _fail(self, gradient):
        raise self.error


class Deep(Small):
    def encode(self, x):
        return self.encode(x) if self.training else super().encode(x)


class FailingLoss(SquaredError):
    def forward(self, raw, x, observed=None):
        if self.training and torch.is_grad_enabled():
            raise Fails
        return super().forward(raw, x, observed)

    def total(self, raw, x):
        raise Fails


class FailingPrior(GaussianMixture):
    def fit(self, X, y=None):
        super().fit(X)
        raise Fails


class FailingOptimizer(torch.optim.SGD):
    """Has moved the first weights when no memory is left."""

    n_steps = 0

    def step(self, closure=None):
        self.n_steps += 1
        if self.n_steps == 3:
            with torch.no_grad():
                self.param_groups[0]["params"][0].add_(1)
            raise MemoryError
        return super().step(closure)


NAN = np.where(np.arange(16) == 3, np.nan, X)


@pytest.mark.parametrize(
    ("params", "given", "error"),
    [
        ({"module": FailingNetwork}, {}, Fails),
        ({"module": FailingNetwork, "module__backward": True}, {}, Fails),
        ({"module": FailingNetwork, "module__error": MemoryError}, {}, MemoryError),
        ({"module": FailingNetwork, "module__error": SystemExit, "precision": "bf16"}, {}, SystemExit),
        ({"module": Deep}, {}, RecursionError),
        ({"loss": FailingLoss}, {}, Fails),
        ({"prior": FailingPrior()}, {}, Fails),
        ({"optimizer": FailingOptimizer}, {}, MemoryError),
        ({}, {"X_val": X[:, :3]}, ValueError),
        ({}, {"X_val": NAN}, ValueError),
        ({}, {"X_target": NAN}, ValueError),
        ({}, {"X_target": X, "X_val": X}, ValueError),
        ({}, {"sample_weight": -np.ones(24)}, ValueError),
        ({"n_components": 0}, {}, ValueError),
    ],
)
def test_a_fit_that_fails(params, given, error):
    own = params.get("module")
    harmless = {"module": own} | ({"module__armed": False} if own is FailingNetwork else {}) if own else {}
    harmful = ({"module__armed": True} if own is FailingNetwork else {}) | params
    for est in (small(**harmless), small(**harmless).fit(X) if own is not Deep else small(module=Small).fit(X)):
        watched = Watched(est.set_params(**harmful))
        with pytest.raises(error):
            est.fit(X, **given)
        watched.check()
    est.transform(X)


LIMITED = """
import resource, sys
import numpy as np, torch
from skae import AutoencoderTransformer
X = np.random.default_rng(0).normal(size=(400, 1000)).astype(np.float32)
est = AutoencoderTransformer(2, module__hidden_layer_sizes=(8,), max_epochs=1, random_state=0).fit(X)
Z, before = est.transform(X), dict(vars(est))
rng_state = torch.get_rng_state()
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
limits = resource.getrlimit(resource.RLIMIT_AS)
est.set_params(module__hidden_layer_sizes=(20000,))
before = dict(vars(est))
failed = 0
for more in range(20, 300, 40):
    resource.setrlimit(resource.RLIMIT_AS, (used + more * 2**20, limits[1]))
    try:
        est.fit(X)
    except (MemoryError, RuntimeError) as error:
        assert isinstance(error, MemoryError) or "alloc" in str(error), error
        failed += 1
    finally:
        resource.setrlimit(resource.RLIMIT_AS, limits)
    assert vars(est).keys() == before.keys() and all(vars(est)[name] is before[name] for name in before), more
    assert torch.equal(torch.get_rng_state(), rng_state) and torch.is_grad_enabled()
    assert np.array_equal(est.transform(X), Z)
assert failed == 7, failed
est.set_params(module__hidden_layer_sizes=(8,))
assert np.array_equal(est.fit(X).transform(X), Z)
print("done")
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="memory is limited as Linux does it")
def test_no_memory_is_left():
    command = [sys.executable, "-W", "ignore", "-c", LIMITED]
    done = subprocess.run(command, capture_output=True, text=True, timeout=HANGS, env=environment())
    assert done.stdout == "done\n", done.stderr


# ------------------------------------------------------------------ workers, threads and forks


KILLED = """
import os, signal
import numpy as np
from joblib.externals.loky.process_executor import TerminatedWorkerError
from sklearn.model_selection import GridSearchCV
from skae import AutoencoderTransformer
class Killer:
    def __init__(self, active):
        self.active = active
    def __call__(self, est, X, y=None):
        if self.active and est.lr == 2e-3:
            os.kill(os.getpid(), signal.SIGKILL)
        return est.score(X)
X = np.random.default_rng(0).normal(size=(60, 8))
est = AutoencoderTransformer(2, max_epochs=2, random_state=0)
def search(n_jobs, active):
    return GridSearchCV(est, {"lr": [1e-3, 2e-3]}, cv=2, n_jobs=n_jobs, scoring=Killer(active)).fit(X)
before = dict(vars(est))
try:
    search(2, True)
except TerminatedWorkerError:
    print("killed")
assert vars(est) == before
found = search(2, False).cv_results_["mean_test_score"]
assert found.tolist() == search(1, False).cv_results_["mean_test_score"].tolist()
print("done")
"""


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="nothing kills like that here")
def test_a_worker_that_is_killed():
    command = [sys.executable, "-W", "ignore", "-c", KILLED]
    done = subprocess.run(command, capture_output=True, text=True, timeout=HANGS, env=environment())
    assert done.stdout == "killed\ndone\n", done.stderr


@pytest.mark.parametrize("fits", [False, True])
def test_threads_that_use_one_estimator(fits):
    est = VAEGenerator(2, module__hidden_layer_sizes=(4,), max_epochs=1, random_state=0).fit(X)
    other = small(noise="gaussian_noise", prior="mixture")
    alone = clone(other).fit(X).transform(X)
    arrays = [X[i % 7 :][: 5 + i] for i in range(12)]
    uses = [
        *(lambda A=A: est.transform(A) for A in arrays),
        *(lambda A=A: est.reconstruct(A) for A in arrays),
        *(lambda A=A: est.score_samples(A) for A in arrays),
        *(lambda i=i: est.sample(4, random_state=i, noisy=bool(i % 2)) for i in range(12)),
        *(lambda i=i: est.sample_posterior(X[:3], random_state=i, noisy=True) for i in range(4)),
    ]
    wanted = [use() for use in uses]
    watched = Watched(est)
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        with ThreadPoolExecutor(4) as pool:
            running = [pool.submit(lambda: clone(other).fit(X).transform(X)) for _ in range(3 * fits)]
            order = [i % len(uses) for i in range(0, 300 * 7, 7)]
            found = [(i, pool.submit(uses[i])) for i in order]
            for i, future in found:
                np.testing.assert_array_equal(future.result(timeout=HANGS), wanted[i])
            for future in running:
                np.testing.assert_array_equal(future.result(timeout=HANGS), alone)
    finally:
        sys.setswitchinterval(interval)
    watched.check()


def test_threads_that_limit_linear_algebra_put_its_number_back(monkeypatch):
    """It is one for all threads: the last one puts back what the first one found."""

    class Library:
        number = 2

        def get_num_threads(self):
            return self.number

        def set_num_threads(self, number):
            self.number = number

    library = Library()
    monkeypatch.setattr(_threads, "_libraries", lambda api: [library])
    inside, leave = threading.Event(), threading.Event()

    def hold():
        with one_blas_thread():
            inside.set()
            assert leave.wait(HANGS)

    with ThreadPoolExecutor(1) as pool:
        with one_blas_thread():
            held = pool.submit(hold)
            assert inside.wait(HANGS)
        assert library.number == 1, "somebody computes"
        leave.set()
        held.result(timeout=HANGS)
    assert library.number == 2


def forked(check):
    """Whether ``check`` holds in a forked process, that is killed if it hangs."""
    child = os.fork()
    if not child:
        good = False
        try:
            good = bool(check())
        finally:
            os._exit(0 if good else 7)
    end = time.monotonic() + HANGS
    while time.monotonic() < end:
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            return os.waitstatus_to_exitcode(status) == 0
        time.sleep(0.01)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    raise AssertionError("the child hangs")


forks = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="no forks here"),
    pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning"),
]


class TestForks:
    pytestmark = forks

    def test_a_process_forked_after_a_fit_or_beside_one(self, monkeypatch):
        monkeypatch.setattr(_random, "_PATIENCE", HANGS)  # a step is over at some time, on a busy machine too
        est = VAEGenerator(2, module__hidden_layer_sizes=(4,), max_epochs=1, random_state=0).fit(X)
        Z, noisy = est.transform(X), est.sample(3, random_state=0, noisy=True)
        stream = torch.get_rng_state()

        def check():
            same = torch.equal(torch.get_rng_state(), stream) and np.array_equal(clone(est).fit(X).transform(X), Z)
            return same and np.array_equal(est.sample(3, random_state=0, noisy=True), noisy)

        assert forked(check)
        stop = threading.Event()

        def fits():
            while not stop.is_set():
                clone(est).fit(X)

        with ThreadPoolExecutor(1) as pool:
            future = pool.submit(fits)
            try:
                assert all(forked(check) for _ in range(15))
            finally:
                stop.set()
            future.result(timeout=HANGS)
        assert torch.equal(torch.get_rng_state(), stream)

    def test_a_process_forked_while_another_thread_keeps_the_stream(self, monkeypatch):
        """For longer than a fork waits: the child has torch's own state, and a lock that is open."""
        monkeypatch.setattr(_random, "_PATIENCE", 0.05)
        stream, inside, leave = torch.get_rng_state(), threading.Event(), threading.Event()
        wanted = Stream(3).draw_seed()

        def hold():
            with Stream(0):
                torch.rand(3)
                inside.set()
                assert leave.wait(HANGS)

        with ThreadPoolExecutor(1) as pool:
            held = pool.submit(hold)
            try:
                assert inside.wait(HANGS)
                assert forked(lambda: torch.equal(torch.get_rng_state(), stream) and Stream(3).draw_seed() == wanted)
            finally:
                leave.set()
            held.result(timeout=HANGS)
        assert torch.equal(torch.get_rng_state(), stream)
        assert in_thread(_may_borrow)

    def test_a_process_forked_within_a_stream_leaves_it_as_its_parent_does(self):
        stream = torch.get_rng_state()

        def check():
            borrowed.__exit__(None, None, None)
            return torch.equal(torch.get_rng_state(), stream) and in_thread(_may_borrow)

        with Stream(0) as borrowed:
            assert forked(check)
        assert torch.equal(torch.get_rng_state(), stream)

    @pytest.mark.slow
    def test_large_work_in_a_process_forked_after_large_work(self):
        """OpenMP's threads are not in the child, and it would wait for them."""
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", LARGE, str(HANGS // 2)],
            capture_output=True,
            text=True,
            timeout=HANGS,
            env={name: value for name, value in environment().items() if name != "OMP_NUM_THREADS"},
        )
        assert done.stdout == "done\n", done.stderr


LARGE = """
import multiprocessing, sys, numpy as np, torch
from skae import AutoencoderTransformer
torch.set_num_threads(2)
X = np.random.default_rng(0).normal(size=(1500, 400)).astype("f4")
est = AutoencoderTransformer(8, max_epochs=1, random_state=0, batch_size=1024).fit(X)
Z = est.transform(X)
def child():
    assert abs(est.transform(X) - Z).max() < 1e-4
process = multiprocessing.get_context("fork").Process(target=child)
process.start()
process.join(int(sys.argv[1]))
if process.exitcode is None:
    process.kill()
print("done" if process.exitcode == 0 else "the child hangs or fails")
"""
