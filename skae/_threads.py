"""How many threads torch computes with: one where the work is small."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch

# Multiplications in one batch up to which one thread is as good. Measured on two cores: at 13 million (64-256-128-8,
# batch 128) a step takes 1.6 ms with one thread and 1.4 with two, at 67 million 5.5 and 3.7.
_SMALL = 2**24

_lock = threading.Lock()
_inside = 0
_found = 0


@contextmanager
def threads_for(n_multiplications: int) -> Iterator[None]:
    """Use one thread in the block if the work is small, and torch's own number otherwise.

    The number of threads decides in which order torch adds up, and so the last bits of a result. Parallel searches
    give their workers fewer threads than a serial one has; with one thread the results are the same in all of them.
    """
    global _inside, _found
    if n_multiplications > _SMALL:
        yield
        return
    with _lock:
        if _inside == 0:
            _found = torch.get_num_threads()
        _inside += 1
        torch.set_num_threads(1)  # in part a setting of the calling thread: each one makes it for itself
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if _inside == 0:
                torch.set_num_threads(_found)
