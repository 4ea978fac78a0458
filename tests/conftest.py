"""Options and data that tests share."""

import functools
import inspect
import os
import signal

if "PYTEST_XDIST_WORKER" in os.environ:  # the tests run in several processes, of which each has one core
    os.environ["OMP_NUM_THREADS"] = "1"

import matplotlib as mpl
import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, settings
from sklearn.datasets import load_digits
from sklearn.utils import all_estimators

mpl.use("Agg")
# More examples with SKAE_FUZZ=1, as in CI; many, and others in each run, with SKAE_FUZZ=random. A busy machine fails
# none of them.
FUZZ = os.environ.get("SKAE_FUZZ")
settings.register_profile(
    "untimed",
    max_examples={None: 10, "1": 25}.get(FUZZ, 100),
    derandomize=FUZZ != "random",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("untimed")


def pytest_addoption(parser):
    parser.addoption("--device", default="cpu", help="the torch device that device tests run on")
    parser.addoption("--site", default=None, help="the folder of the built site, which tests/site look at")
    parser.addoption("--clients", action="store_true", help="fail where a package of tests/clients is not installed")


def pytest_collection_modifyitems(config, items):
    """Leave scikit-learn's array API to `make array-api`: dispatch needs a variable before the first import."""
    if "SCIPY_ARRAY_API" not in os.environ:
        config.hook.pytest_deselected(items=[item for item in items if "array_api" in item.name])
        items[:] = [item for item in items if "array_api" not in item.name]


@pytest.fixture(scope="session")
def device(request):
    name = request.config.getoption("--device")
    if name.startswith("cuda") and not torch.cuda.is_available():
        pytest.skip("--device cuda was asked for, and there is no CUDA device")
    return name


@pytest.fixture
def seeded():
    """The global stream of torch from 0 on, for a module's weights and draws; afterwards it is as it was."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


@pytest.fixture
def interruptible():
    """Ctrl-C raises, whoever runs the tests."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def fits(monkeypatch):
    """The classes of scikit-learn whose `fit` is called, in the manner of tools that record models by replacing it."""
    called = []

    def recorded(method):
        @functools.wraps(method)
        def replaced(self, *args, **kwargs):
            called.append(type(self))
            return method(self, *args, **kwargs)

        return replaced

    for _, cls in all_estimators():
        for name in ("fit", "fit_predict", "fit_transform"):
            if inspect.isfunction(getattr(cls, name, None)):
                monkeypatch.setattr(cls, name, recorded(getattr(cls, name)))
    return called


@pytest.fixture(scope="session")
def digits():
    """1,797 rows of 64 counts in 0..16; read-only, so that no test can change it for another."""
    X = load_digits().data
    X.flags.writeable = False
    return X


@pytest.fixture(scope="session")
def blobs():
    """60 rows of 6 columns that lie near a curve in the plane."""
    rng = np.random.default_rng(0)
    t = rng.uniform(-1, 1, size=(60, 1))
    X = np.hstack([t, t**2, np.sin(3 * t), t**3, np.cos(2 * t), -t]) + 0.01 * rng.normal(size=(60, 6))
    X.flags.writeable = False
    return X
