"""How many threads compute, alone and beside others."""

import os
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from guards import HANGS
from joblib import Parallel, delayed
from sklearn.neighbors import KernelDensity
from skorch.callbacks import Callback
from threadpoolctl import ThreadpoolController
from torch import nn

from skae import AutoencoderTransformer
from skae._utils import joblib_compat
from skae._utils.threads import blas_threads_given, one_blas_thread, threads_for, threads_given

LARGE = 2**30
BLAS = ThreadpoolController().select(user_api="blas")


class Count(Callback):
    """Keeps the number of torch's threads."""

    def on_epoch_end(self, net, **kwargs):
        self.found_ = torch.get_num_threads()


def found(n_multiplications):
    with threads_for(n_multiplications):
        return torch.get_num_threads()


def trained(X, width):
    count = Count()
    params = {"max_epochs": 1, "early_stopping": False, "module__hidden_layer_sizes": (width,)}
    AutoencoderTransformer(2, callbacks=[count], **params).fit(X)
    return count.found_


@pytest.fixture
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def test_small_work_takes_one_thread(two_threads):
    assert found(10) == 1
    assert found(LARGE) == 2
    with pytest.raises(ZeroDivisionError), threads_for(10):
        raise ZeroDivisionError
    assert torch.get_num_threads() == 2


def test_training_follows_the_size_of_the_network(two_threads, digits):
    assert trained(digits[:128], 8) == 1
    assert trained(digits[:128], 2048) == 2


def test_fits_in_joblibs_threads_take_one_each(two_threads, digits):
    assert Parallel(2, "threading")(delayed(found)(LARGE) for _ in range(4)) == [1] * 4
    assert Parallel(2, "threading")(delayed(trained)(digits[:128], 2048) for _ in range(2)) == [1] * 2
    assert Parallel(1)(delayed(found)(LARGE) for _ in range(2)) == [2] * 2, "a serial search is not parallel"


def test_all_threads_without_joblib_backend(two_threads, monkeypatch):
    monkeypatch.delattr("joblib.parallel.get_active_backend")
    assert joblib_compat.in_joblib_thread() is False
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(found, LARGE).result(timeout=HANGS) == 2


@pytest.fixture
def one_core():
    """One core for this thread, as `taskset` gives it to a process."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    yield
    os.sched_setaffinity(0, before)


@pytest.fixture
def quota(monkeypatch):
    """A function that sets the number of cores that a container gives."""
    return lambda n: monkeypatch.setattr("joblib.cpu_count", lambda: n)


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no affinity masks on this system")
def test_affinity_mask_is_respected(two_threads, one_core, digits):
    assert found(LARGE) == 1
    assert trained(digits[:128], 2048) == 1
    assert torch.get_num_threads() == 2


@pytest.mark.parametrize(("cores", "wanted"), [(1, 1), (2, 2), (3, 2)])
def test_quota_is_respected(two_threads, quota, cores, wanted):
    quota(cores)
    assert (found(LARGE), found(10)) == (wanted, 1)
    with pytest.raises(ZeroDivisionError), threads_for(LARGE):
        raise ZeroDivisionError
    assert torch.get_num_threads() == 2
    with threads_given(), threads_for(10):
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == 2


def test_quota_in_every_call(two_threads, quota, digits):
    found = set()

    class Watching(nn.Module):
        def __init__(self, input_shape, n_components):
            super().__init__()
            self.down, self.up = nn.Linear(64, 2048), nn.Linear(2048, 64)

        def encode(self, x):
            found.add(torch.get_num_threads())
            return self.down(x)

        def decode(self, z):
            found.add(torch.get_num_threads())
            return self.up(z)

    class Density(KernelDensity):
        def fit(self, X, y=None, sample_weight=None):
            found.add(torch.get_num_threads())
            found.update(library["num_threads"] for library in BLAS.info())
            return super().fit(X)

    def use():
        found.clear()
        ae = AutoencoderTransformer(2048, module=Watching, max_epochs=1, prior=Density()).fit(digits[:128])
        ae.inverse_transform(ae.transform(digits[:128]))
        return found

    with BLAS.limit(limits=2):
        assert max(use()) == 2
        quota(1)
        assert use() == {1}
        assert {library["num_threads"] for library in BLAS.info()} == {2}
        with pytest.raises(ZeroDivisionError), blas_threads_given():
            raise ZeroDivisionError
        assert {library["num_threads"] for library in BLAS.info()} == {2}


def test_threads_that_limit_linear_algebra_restore_its_number():
    def numbers():
        return [library["num_threads"] for library in BLAS.info()]

    before, done = numbers(), threading.Barrier(2)

    def limited(i):
        with one_blas_thread(), one_blas_thread():
            within = numbers()
        done.wait(HANGS)  # neither thread ends before the other one had its turn
        return within

    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(limited, range(2), timeout=HANGS)) == [[1] * len(before)] * 2
    assert numbers() == before
