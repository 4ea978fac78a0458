"""The undocumented names of torch that skae uses; `skae._training.fused_adam` has those of the optimizers.

========================== ======================================================== ==============================
name                       reason                                                   without it
========================== ======================================================== ==============================
``nn.Module._modules``     the modules within, None and repeated ones included      none: torch's own pickles have it
``vars(nn.Module())``      which attributes of a module are torch's                 none
``torch.gru``              one layer of a GRU, for export: packed sequences cannot  no export of GRUs
                           be exported
``nn.RNNBase.all_weights`` a GRU's weights, by layer and direction                  ``weight_ih_l0`` and the like
``_get_default_store``     where the ranks of a distributed fit say why they fail     none
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
    """Return the child modules, including None and repeated ones, which ``named_children`` leaves out."""
    return dict(module._modules)


def own_state(module: nn.Module) -> dict[str, Any] | None:
    """Return the attributes of a module besides torch's own; None if it has parameters, buffers or hooks.

    Child modules are included.
    """
    state, blank = dict(vars(module)), vars(nn.Module())
    state.pop("_modules")
    if any(state.pop(name) != blank[name] for name in blank.keys() & state.keys()):
        return None
    return state | children(module)


def is_torch_state(state: dict[str, Any]) -> bool:
    """Return whether ``state`` is the full state of a torch module, rather than `own_state`."""
    return "_modules" in state


def gru_weights(gru: nn.GRU) -> list[list[nn.Parameter]]:
    """Return the weights of a GRU, a list of four for each layer and direction."""
    return gru.all_weights


def gru_layer(x: torch.Tensor, start: torch.Tensor, weights: list[nn.Parameter]) -> torch.Tensor:
    """Return the states of one layer, (n, length, width), read forwards from ``start``."""
    return torch.gru(x, start, tuple(weights), True, 1, 0.0, False, False, True)[0]


def default_store() -> Any:
    """Return the key-value store of the default process group."""
    from torch.distributed.distributed_c10d import _get_default_store

    return _get_default_store()


def is_out_of_memory(error: Exception) -> bool:
    """Return whether an error means that memory is exhausted, on the CPU or on CUDA."""
    known = isinstance(error, MemoryError | torch.OutOfMemoryError)
    return known or any(words in str(error) for words in _OUT_OF_MEMORY)
