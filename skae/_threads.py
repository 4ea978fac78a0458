"""How many threads compute: one where the work is small, or where others compute beside."""

from __future__ import annotations

import os
import threading
from contextlib import AbstractContextManager, nullcontext
from functools import cache

import torch
from joblib.parallel import get_active_backend
from threadpoolctl import ThreadpoolController

# Multiplications in one batch up to which one thread is as good. Measured on two cores: at 13 million (64-256-128-8,
# batch 128) a step takes 1.6 ms with one thread and 1.4 with two, at 67 million 5.5 and 3.7.
_SMALL = 2**24


@cache
def _controller() -> ThreadpoolController:
    return ThreadpoolController()  # looks for the libraries that are loaded: once, and after torch


def threads_for(n_multiplications: int) -> AbstractContextManager:
    """Use one thread in the block if the work is small, and as many as there are otherwise.

    The number of threads decides in which order sums are added up, and so the last bits of a result. Parallel
    searches give their workers fewer threads than a serial one has; with one thread all of them agree. OpenMP's
    number is the calling thread's own, so nobody else is slowed.
    """
    if n_multiplications > _SMALL and not _is_one_of_many():
        return nullcontext()
    torch.get_num_threads()  # torch sets a thread's number at its first use there, which must not come later
    return _controller().limit(limits=1, user_api="openmp")


def _is_one_of_many() -> bool:
    """Whether this runs in a worker of joblib's that was not told how many threads it may have.

    Processes are told by the environment, loky's by joblib; of threads it only says how many all of them may have.
    """
    in_thread = threading.current_thread() is not threading.main_thread()
    return get_active_backend()[0].nesting_level > 0 and (in_thread or "OMP_NUM_THREADS" not in os.environ)


def one_blas_thread() -> AbstractContextManager:
    """Let NumPy's linear algebra use one thread in the block, for the same reason."""
    return _controller().limit(limits=1, user_api="blas")
