"""The undocumented names of torch that skae uses; `skae._training.fused_adam` has those of the optimizers.

========================== ======================================================== ==============================
name                       reason                                                   without it
========================== ======================================================== ==============================
``nn.Module._modules``     the modules within, None and repeated ones included      none: torch's own pickles have it
``vars(nn.Module())``      which attributes of a module are torch's                 none
texts of errors            a RuntimeError that stands for a lack of memory          the error goes to the user
========================== ======================================================== ==============================
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

#: The attributes that every module has.
MODULE_ATTRIBUTES = frozenset(vars(nn.Module()))
_OUT_OF_MEMORY = ("out of memory", "can't allocate memory", "not enough memory", "CUBLAS_STATUS_ALLOC_FAILED")


def children(module: nn.Module) -> dict[str, nn.Module | None]:
    """Return the modules within, where ``named_children`` leaves out None and those that come a second time."""
    return dict(module._modules)


def own_state(module: nn.Module) -> dict[str, Any] | None:
    """Return what a module holds beside torch's own attributes; None if it has parameters, buffers, hooks or the like.

    The modules within are part of it.
    """
    state, blank = dict(vars(module)), vars(nn.Module())
    state.pop("_modules")
    if any(state.pop(name) != blank[name] for name in blank.keys() & state.keys()):
        return None
    return state | children(module)


def is_torch_state(state: dict[str, Any]) -> bool:
    """Whether ``state`` is what torch keeps of a module, rather than `own_state`."""
    return "_modules" in state


def is_out_of_memory(error: Exception) -> bool:
    """Whether an error says that there is no memory left, on the CPU or on CUDA."""
    known = isinstance(error, MemoryError | torch.OutOfMemoryError)
    return known or any(words in str(error) for words in _OUT_OF_MEMORY)
