"""Numbers of threads: one for small work or in parallel workers, and at most the available cores."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cache

import joblib
import torch
from threadpoolctl import ThreadpoolController

from .joblib_compat import in_joblib_thread

# Multiplications in one batch up to which one thread is sufficient. Measured on two cores: at 13 million (64-256-128-8,
# batch 128) a step takes 1.6 ms with one thread and 1.4 with two, at 67 million 5.5 and 3.7.
_SMALL = 2**24

# The number of linear algebra threads is global to the process, so that threads that limit it must take turns.
_blas_lock = threading.RLock()


@cache
def _controller(user_api: str) -> ThreadpoolController:
    """Return the cached controller of the loaded libraries, found after torch is imported."""
    return ThreadpoolController().select(user_api=user_api)


def threads_for(n_multiplications: int) -> AbstractContextManager:
    """Use one thread in the block if the work is small, and all threads otherwise.

    The number of threads determines the order of summation, and so the last bits of results. Workers of parallel
    searches have fewer threads than a serial search; with one thread results agree. In joblib's threads, which have no
    limit, all work uses one thread.
    """
    small = n_multiplications <= _SMALL or in_joblib_thread()
    return _openmp_threads(1) if small else threads_given()


@contextmanager
def threads_given() -> Iterator[None]:
    """Use no more threads in the block than cores are available to this process; also a decorator.

    Torch counts the cores once, when it is loaded, and ignores the quota of a container (cgroup). With two threads on
    one core each waits for the other. `joblib.cpu_count` uses the current quota and affinity mask. If all of torch's
    threads have a core nothing is changed. OpenMP's number is local to the calling thread, so other threads are not
    affected.
    """
    given = joblib.cpu_count()  # 40 microseconds
    with _openmp_threads(given) if given < torch.get_num_threads() else nullcontext():
        yield


@contextmanager
def _openmp_threads(n: int) -> Iterator[None]:
    torch.get_num_threads()  # torch sets the number at its first use in a thread, which must not be later
    with _controller("openmp").limit(limits=n):
        yield


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Limit NumPy's linear algebra to one thread in the block, for the same reason."""
    with _blas_lock, _controller("blas").limit(limits=1):
        yield


@contextmanager
def blas_threads_given() -> Iterator[None]:
    """Limit NumPy's linear algebra in the block to the available cores, for other packages."""
    given = joblib.cpu_count()
    if all(library["num_threads"] <= given for library in _controller("blas").info()):
        yield
        return
    with _blas_lock, _controller("blas").limit(limits=given):
        yield
