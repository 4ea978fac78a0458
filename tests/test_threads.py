"""How many threads compute, alone and beside others."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from guards import HANGS
from joblib import Parallel, delayed
from skorch.callbacks import Callback
from threadpoolctl import ThreadpoolController

from skae import AutoencoderTransformer
from skae._utils import joblib_compat
from skae._utils.threads import one_blas_thread, threads_for

LARGE = 2**30


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


def test_all_threads_where_joblib_does_not_say_who_else_works(two_threads, monkeypatch):
    monkeypatch.delattr("joblib.parallel.get_active_backend")
    assert joblib_compat.in_joblib_thread() is False
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(found, LARGE).result(timeout=HANGS) == 2


def test_threads_that_limit_linear_algebra_restore_its_number():
    blas = ThreadpoolController().select(user_api="blas")

    def numbers():
        return [library["num_threads"] for library in blas.info()]

    before, done = numbers(), threading.Barrier(2)

    def limited(i):
        with one_blas_thread(), one_blas_thread():
            within = numbers()
        done.wait(HANGS)  # neither thread ends before the other one had its turn
        return within

    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(limited, range(2), timeout=HANGS)) == [[1] * len(before)] * 2
    assert numbers() == before
