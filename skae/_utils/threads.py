"""How many threads compute: one where the work is small, or where others compute beside."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cache

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
    threads, which have no limit of their own, all work takes one thread. OpenMP's number is the calling thread's own,
    so nobody else is slowed.
    """
    if n_multiplications > _SMALL and not in_joblib_thread():
        return nullcontext()
    return _one_openmp_thread()


@contextmanager
def _one_openmp_thread() -> Iterator[None]:
    torch.get_num_threads()  # torch sets a thread's number at its first use there, which must not come later
    with _controller("openmp").limit(limits=1):
        yield


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Let NumPy's linear algebra use one thread in the block, for the same reason."""
    with _blas_lock, _controller("blas").limit(limits=1):
        yield
