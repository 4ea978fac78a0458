"""Memory budgets, as fractions of scikit-learn's ``working_memory``, by default 1,024 MiB."""

from __future__ import annotations

import math
import os

import torch
from sklearn import get_config


def working_memory(share: float = 1.0) -> int:
    """Return a fraction of ``sklearn.get_config()["working_memory"]``, in bytes."""
    return int(get_config()["working_memory"] * 2**20 * share)


def hold_budget(device: torch.device | str = "cpu") -> int:
    """Return the bytes of samples to keep in memory: half the working memory, or half of the free CUDA memory."""
    device = torch.device(device)
    return torch.cuda.mem_get_info(device)[0] // 2 if device.type == "cuda" else working_memory(1 / 2)


def read_budget() -> int:
    """Return the bytes of samples to read at once in streaming."""
    return working_memory(1 / 16)


def check_weights(n_weights: int) -> None:
    """Raise an error for a layer that is too large to train in the memory of this machine.

    Linux overcommits memory, and kills processes that use it.
    """
    try:
        there: float = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):  # not available on all systems
        there = math.inf
    needed = 4 * 4 * n_weights  # in float32, with gradients and the two averages of Adam
    if needed > there:
        raise MemoryError(
            f"A layer of {n_weights:.3g} weights needs {needed / 2**30:.3g} GiB to train, but this machine has "
            f"{there / 2**30:.3g} GiB: reduce n_components or the widths of the network."
        )
