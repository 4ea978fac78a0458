"""Number of threads, alone and in parallel with other fits."""

import pytest
import torch
from joblib import Parallel, delayed
from skorch.callbacks import Callback

from skae import AutoencoderTransformer
from skae._utils.threads import threads_for

LARGE = 2**30


class Count(Callback):
    """Tells how many threads torch has while it trains."""

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
def two_threads(monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def test_small_work_uses_one_thread_temporarily(two_threads):
    assert found(10) == 1
    assert found(LARGE) == 2
    assert torch.get_num_threads() == 2


def test_training_threads_depend_on_network_size(two_threads, digits):
    assert trained(digits[:128], 8) == 1
    assert trained(digits[:128], 2048) == 2


def test_concurrent_fits_use_one_thread_each(two_threads, digits):
    assert Parallel(2, "threading")(delayed(found)(LARGE) for _ in range(4)) == [1] * 4
    assert Parallel(2, "threading")(delayed(trained)(digits[:128], 2048) for _ in range(2)) == [1] * 2


def test_thread_limit_of_worker_processes(two_threads, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    assert Parallel(2, "threading")(delayed(found)(LARGE) for _ in range(2)) == [1] * 2
    # Forked ones lack the threads that the parent's OpenMP counts on.
    assert Parallel(2, "multiprocessing")(delayed(found)(LARGE) for _ in range(2)) == [1] * 2


def test_serial_search_uses_all_threads(two_threads):
    assert Parallel(1)(delayed(found)(LARGE) for _ in range(2)) == [2] * 2
