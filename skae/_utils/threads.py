"""How many threads compute: one where the work is small, or where others compute beside."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from typing import Any

import torch
from joblib.parallel import get_active_backend
from threadpoolctl import ThreadpoolController

from .rng import Loan

# Multiplications in one batch up to which one thread is as good. Measured on two cores: at 13 million (64-256-128-8,
# batch 128) a step takes 1.6 ms with one thread and 1.4 with two, at 67 million 5.5 and 3.7.
_SMALL = 2**24


# Who limits linear algebra, whose number all threads share: the first one sets it, the last one puts it back.
_limiting = threading.Lock()
_limited: dict[object, None] = {}
_before: list[tuple[Any, int]] = []
_forked = False  # whether this is a process forked from another, whose threads are not here


@cache
def _libraries(api: str) -> list:
    """Those that are loaded: looked for once, and after torch."""
    return ThreadpoolController().select(user_api=api).lib_controllers


def _numbers(api: str) -> list[tuple[Any, int]]:
    return [(library, library.get_num_threads()) for library in _libraries(api)]


def _set(numbers: list[tuple[Any, int]]) -> None:
    for library, number in numbers:
        library.set_num_threads(number)


class _OneThread(Loan):
    """OpenMP's number is 1, in this thread."""

    def _lend(self) -> Iterator[None]:
        torch.get_num_threads()  # torch sets a thread's number at its first use there, which must not come later
        before = _numbers("openmp")
        if _forked:  # nobody computes beside; MKL has a number of its own where `torch.set_num_threads` was called
            before.append((torch, torch.get_num_threads()))
        try:
            _set([(library, 1) for library, _ in before])
            yield
        finally:
            try:
                _set(before)
            except BaseException:  # Ctrl-C, which strikes between any two calls
                _set(before)
                raise


class _OneBlasThread(Loan):
    """That of NumPy's linear algebra is 1, in all threads."""

    def _lend(self) -> Iterator[None]:
        me = object()
        try:
            self._begin(me)
            yield
        finally:
            try:
                self._end(me)
            except BaseException:
                self._end(me)
                raise

    def _begin(self, me: object) -> None:
        with _limiting:
            if not _limited:
                _before[:] = _numbers("blas")
            _limited[me] = None
            _set([(library, 1) for library, _ in _before])

    def _end(self, me: object) -> None:
        with _limiting:
            _limited.pop(me, None)
            if not _limited:
                _set(_before)


def threads_for(n_multiplications: int) -> AbstractContextManager:
    """Use one thread in the block if the work is small, and as many as there are otherwise.

    The number of threads decides in which order sums are added up, and so the last bits of a result. Parallel
    searches give their workers fewer threads than a serial one has; with one thread all of them agree. OpenMP's
    number is the calling thread's own, so nobody else is slowed.
    """
    if n_multiplications > _SMALL and not _is_one_of_many():
        return nullcontext()
    return _OneThread()


def _is_one_of_many() -> bool:
    """Whether this runs in a forked process, or in a worker of joblib's that was not told how many threads it may have.

    Processes are told by the environment, loky's by joblib; of threads it only says how many all of them may have.
    A forked process lacks the threads that OpenMP had, and may wait for them for ever.
    """
    if _forked:
        return True
    told = "OMP_NUM_THREADS" in os.environ
    in_thread = threading.current_thread() is not threading.main_thread()
    return get_active_backend()[0].nesting_level > 0 and (in_thread or not told)


def one_blas_thread() -> AbstractContextManager:
    """Let NumPy's linear algebra use one thread in the block, for the same reason."""
    return _OneBlasThread()


def _begin_anew() -> None:
    global _forked, _limiting
    _forked, _limiting = True, threading.Lock()
    _limited.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_anew)
