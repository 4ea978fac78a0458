"""How many threads compute: one where the work is small, or where others compute beside, and no more than there are."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cache

import joblib
import torch
from threadpoolctl import ThreadpoolController

from .joblib_compat import in_joblib_thread

# Multiplications in one batch up to which one thread is as good. Measured on two cores: at 13 million (64-256-128-8,
# batch 128) a step takes 1.6 ms with one thread and 1.4 with two, at 67 million 5.5 and 3.7.
_SMALL = 2**24

# Linear algebra has one number of threads for the whole process, so that threads that limit it take turns.
_blas_lock = threading.RLock()


@cache
def _controller(user_api: str) -> ThreadpoolController:
    """Return the controller of the libraries that are loaded: they are looked for once, and after torch."""
    return ThreadpoolController().select(user_api=user_api)


def threads_for(n_multiplications: int) -> AbstractContextManager:
    """Use one thread in the block if the work is small, and as many as there are otherwise.

    The number of threads decides in which order sums are added up, and so the last bits of a result. Parallel
    searches give their workers fewer threads than a serial one has; with one thread all of them agree. In joblib's
    threads, which have no limit of their own, all work takes one thread.
    """
    small = n_multiplications <= _SMALL or in_joblib_thread()
    return _openmp_threads(1) if small else threads_given()


@contextmanager
def threads_given() -> Iterator[None]:
    """Use no more threads in the block than the machine gives to this process; also a decorator.

    Torch counts the cores once, when it is loaded, and does not know the quota of a container (cgroup). With two
    threads on one core each waits for the other. `joblib.cpu_count` knows the quota and the affinity mask as they are
    now. Where all of torch's threads have a core nothing is changed. OpenMP's number is the calling thread's own, so
    nobody else is slowed.
    """
    given = joblib.cpu_count()  # 40 microseconds
    with _openmp_threads(given) if given < torch.get_num_threads() else nullcontext():
        yield


@contextmanager
def _openmp_threads(n: int) -> Iterator[None]:
    torch.get_num_threads()  # torch sets a thread's number at its first use there, which must not come later
    with _controller("openmp").limit(limits=n):
        yield


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Let NumPy's linear algebra use one thread in the block, for the same reason."""
    with _blas_lock, _controller("blas").limit(limits=1):
        yield


@contextmanager
def blas_threads_given() -> Iterator[None]:
    """Let NumPy's linear algebra use no more threads in the block than the machine gives: for what is not ours."""
    given = joblib.cpu_count()
    if all(library["num_threads"] <= given for library in _controller("blas").info()):
        yield
        return
    with _blas_lock, _controller("blas").limit(limits=given):
        yield
