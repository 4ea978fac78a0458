"""Truncation of a net to the first components of ordered codes, for further training."""

from __future__ import annotations

from typing import Any

import torch

from .._module.state import as_arrays, as_tensors
from .._module.truncation import sliced, truncated_module
from .net import AutoencoderNet


def truncated_net(net: Any, k: int) -> AutoencoderNet:
    """Return a copy of a trained ``net`` for the first ``k`` components, with its history and its optimizer's state."""
    module = net.module_
    small = truncated_module(module, net.get_params_for("module"), k)
    state = net.__getstate__()
    state["recipe"] = state["recipe"] | {"n_components": k}
    state["optimizer_state"] = _truncated_optimizer(state["optimizer_state"], module, small, k)
    other = AutoencoderNet.__new__(type(net))
    other.__setstate__(state | {"module": small})
    return other


def _truncated_optimizer(state: Any, module: Any, small: Any, k: int) -> Any:
    """Truncate the optimizer's state of each weight, such as averages of its gradient, like the weights.

    Return None, for a new state, if it has another form, such as the vectors of all weights in LBFGS.
    """
    if state is None:
        return None
    pairs = list(zip(module.parameters(), small.parameters(), strict=True))
    found: dict[int, dict[str, Any]] = {}
    for number, of_weight in state["state"].items():
        old, new = pairs[number]
        found[number] = values = as_tensors(of_weight)
        for name, value in values.items():
            if isinstance(value, list) or (isinstance(value, torch.Tensor) and value.ndim and value.shape != old.shape):
                return None
            if isinstance(value, torch.Tensor) and value.ndim:
                values[name] = sliced(value, new.shape, module, k)
    return state | {"state": as_arrays(found)}
