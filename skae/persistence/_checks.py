"""Whether what came out of a file fits together."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch


def check_restored(est: Any) -> None:
    """Check that the attributes of a fitted autoencoder go with its net, which the net has checked for itself."""
    if "net_" not in vars(est):
        if "input_shape_" in vars(est):
            raise ValueError("it is fitted, and there is no net")
        return
    module, shape = est.net_.module_, est.input_shape_
    if not _is_shape(shape) or est.n_features_in_ != shape[0]:
        raise ValueError(f"rows cannot have the shape {shape}")
    if tuple(est._arrange(torch.empty((1, *shape), device="meta")).shape[1:]) != module.input_shape:
        raise ValueError(f"rows of shape {shape} do not go into a network for {module.input_shape}")
    if "layout_" in vars(est) and est.layout_.row_shape != shape:
        raise ValueError("the layout is that of other rows")
    names = getattr(est, "feature_names_in_", None)
    if names is not None and (not isinstance(names, np.ndarray) or names.shape != (shape[0],)):
        raise ValueError("there are not as many names as features")
    condition = getattr(est, "_condition", None)
    if (0 if condition is None else condition.width) != module.n_conditions:
        raise ValueError("the decoder is told something else than what y says")
    costs = (module.n_multiplications, module.n_values)
    if not all(type(cost) is int and 0 <= cost < 2**62 for cost in costs) or module.n_values < math.prod(shape):
        raise ValueError(f"the network's costs cannot be {costs}")
    if not (math.isfinite(module.mean) and 0 < module.scale < math.inf):
        raise ValueError(f"rows cannot be conditioned by {module.mean} and {module.scale}")
    for name, tensor in module.state_dict().items():
        if not bool(tensor.isfinite().all()):
            raise ValueError(f"the weights {name} are not finite")


def _is_shape(shape: Any) -> bool:
    return type(shape) is tuple and len(shape) > 0 and all(type(side) is int and side > 0 for side in shape)
