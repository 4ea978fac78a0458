"""Layers of torch as arguments and weights."""

from __future__ import annotations

import inspect
from collections import OrderedDict
from typing import Any

from torch import nn

from .._module.state import check_depth, laid_out
from .._utils.torch_compat import children
from ._names import known_names, name_of


def layer_state(layer: nn.Module, where: str) -> dict[str, Any]:
    """Return the state that `restored_layer` takes; arguments are read from the attributes of the same names."""
    cls = type(layer)
    if name_of(cls) not in known_names():
        raise TypeError(
            f"{where} is an object of {name_of(cls)}, whose arguments are not known: pass the class as module and its "
            "arguments as module__<name>, or keep the estimator with pickle."
        )
    if len({*map(id, layer.parameters())}) < len([*layer.named_parameters(remove_duplicate=False)]):
        raise TypeError(f"{where} is a {cls.__name__} that shares weights between two places, which a file cannot.")
    state: dict[str, Any] = {
        "class": cls,
        "arguments": {},
        "children": None,
        "weights": {},
        "frozen": [name for name, parameter in layer.named_parameters() if not parameter.requires_grad],
    }
    if isinstance(layer, nn.Sequential):
        state["children"] = children(layer)
        return state
    state["arguments"] = _arguments(layer, where)
    state["weights"] = {name: tensor.detach().cpu().numpy() for name, tensor in layer.state_dict().items()}
    try:
        again = cls(**state["arguments"])
    except (TypeError, ValueError) as error:
        raise TypeError(f"{where} is a {cls.__name__} that cannot be created from its attributes: {error}") from error
    if _described(again) != _described(layer):
        raise TypeError(f"{where} is a {cls.__name__} that cannot be created from its attributes.")
    return state


def _described(layer: nn.Module) -> list:
    layers = [(name, type(inner)) for name, inner in layer.named_modules(remove_duplicate=False)]
    return [*layers, *((name, tensor.shape, tensor.dtype) for name, tensor in layer.state_dict().items())]


def _arguments(layer: nn.Module, where: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if type(layer).__init__ is nn.Module.__init__:  # it takes no arguments
        return found
    for name, parameter in inspect.signature(type(layer)).parameters.items():
        if name in ("device", "dtype") or name.startswith("_"):
            continue
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD) or not hasattr(layer, name):
            raise TypeError(f"{where} is a {type(layer).__name__}, whose arguments are not among its attributes.")
        value = getattr(layer, name)
        found[name] = value is not None if name == "bias" else value
    return found


def restored_layer(state: dict[str, Any]) -> nn.Module:
    """Return the layer of a state."""
    cls = state["class"]
    if state["children"] is not None:
        layer = cls(OrderedDict(state["children"]))
    else:
        check_depth(state["arguments"], len(state["weights"]))
        layer = laid_out(lambda: cls(**state["arguments"]), state["weights"])
    for name in state["frozen"]:
        layer.get_parameter(name).requires_grad_(False)
    return layer
