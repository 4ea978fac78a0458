"""A module as its recipe and arrays: a network is created on the meta device and checked before it uses memory."""

from __future__ import annotations

import copy
import functools
import inspect
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from numbers import Integral
from typing import Any

import numpy as np
import torch
from torch import nn

from .._utils.codec import check_settable
from .._utils.component import Component
from .._utils.slots import unwrapped
from .._utils.torch_compat import MODULE_ATTRIBUTES
from ..nn import Conv
from .autoencoder import Autoencoder
from .inspection import Costs, is_known

_PARTS = ("bottleneck", "loss", "noise")
_KNOWN_PACKAGES = ("skae", "torch", "sklearn")  # creating their classes has no side effects


def module_state(module: Autoencoder, recipe: dict[str, Any]) -> Any:
    """Return the arrays of ``module`` if its ``recipe`` describes the rest of it, else the module, on the CPU."""
    if _is_recipe_of(recipe, module):
        return module_arrays(module)
    on_cpu = all(tensor.is_cpu for tensor in module.state_dict().values())
    return module if on_cpu else copy.deepcopy(module).cpu()


def module_arrays(module: Autoencoder) -> dict[str, Any]:
    """Return the weights of a module and the attributes set by its parts."""
    return {
        "weights": as_arrays(dict(module.state_dict())),
        "attributes": {name: found for name, part in _parts(module) if (found := _attributes(part))},
        "frozen": [name for name, parameter in module.named_parameters() if not parameter.requires_grad],
        "training": module.training,
        "costs": [module.n_multiplications, module.n_values],
    }


def restored_module(state: Any, recipe: dict[str, Any]) -> Autoencoder:
    """Return the module of ``recipe`` and ``state``, from `module_state`."""
    if isinstance(state, Autoencoder):
        return state
    costs = Costs(0)
    costs.n_multiplications, costs.n_values = state["costs"]
    known = all(_is_known(part) for part in recipe.values())
    if known:
        check_depth(recipe, len(state["weights"]))
    module = laid_out(lambda: Autoencoder(**recipe, costs=costs), state["weights"], known=known)
    parts = dict(_parts(module))
    for name, found in state["attributes"].items():
        for attribute, value in found.items():
            check_settable(type(parts[name]), attribute)
            if attribute in MODULE_ATTRIBUTES or callable(value):
                raise ValueError(f"{name} has no attribute {attribute} to restore")
            setattr(parts[name], attribute, value)
    for name in state.get("frozen", []):
        module.get_parameter(name).requires_grad_(False)
    return module.train(bool(state["training"]))


def current_recipe(recipe: dict[str, Any], state: Any) -> dict[str, Any]:
    """Return a recipe with explicit values of changed defaults: spatial codes of version 0.2 had no linear maps."""
    network, given = unwrapped(recipe["network"])
    params = dict(recipe.get("network_params") or {})
    given |= params
    if not (isinstance(network, type) and issubclass(network, Conv)) or "linear_skip" in given:
        return recipe
    if isinstance(state, Autoencoder):
        has_maps = getattr(state.network, "skip", None) is not None
    else:
        has_maps = any(name.startswith("network.skip.") for name in state["weights"])
    if has_maps or given.get("dense", True) or given.get("decoder", "mirror") != "mirror":
        return recipe
    return recipe | {"network_params": params | {"linear_skip": False}}


def laid_out(make: Callable[[], nn.Module], arrays: dict[str, np.ndarray], *, known: bool = True) -> Any:
    """Return the module created by ``make``, with ``arrays`` as weights.

    A module ``known`` to consist of layers of skae and torch is first created on the meta device, so that an untrusted
    recipe uses no more memory than its arrays.
    """
    weights = as_tensors(arrays)
    with _restored_grad_mode():
        if known:
            module = _on_meta(make)
            _check_weights(module, weights)
        if not known or _has_more_buffers(module):  # their values are set only by the constructor
            module = make()
            _check_weights(module, weights)
        else:
            module.to_empty(device="cpu")  # keeps the memory order
        module.load_state_dict(weights)
    return module


def _restored_grad_mode() -> Any:
    """Return a context that restores the gradient mode, also if Ctrl-C interrupts a context of torch inside."""
    return torch.set_grad_enabled(torch.is_grad_enabled())


def _on_meta(make: Callable[[], nn.Module]) -> nn.Module:
    def construct() -> nn.Module:
        with torch.device("meta"):
            return make()

    # Ctrl-C while this context of torch is entered or left would leave the caller on the meta device. The mode belongs
    # to its thread, and Ctrl-C interrupts only the main thread.
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(construct).result()


def _has_more_buffers(module: nn.Module) -> bool:
    return bool(dict(module.named_buffers()).keys() - module.state_dict().keys())


def check_depth(recipe: Any, n_weights: int, name: str = "") -> None:
    """Check that numbers of layers and blocks in a recipe do not exceed that of the weights.

    Sizes need no such bound, since the meta device uses no memory for them.
    """
    if isinstance(recipe, functools.partial):
        parameters = inspect.signature(recipe.func).parameters.values()
        names = [p.name for p in parameters if p.kind is not p.VAR_POSITIONAL]
        # Recurrent layers of torch accept arbitrary arguments, including the number of layers.
        names += ["layers"] * (len(recipe.args) if len(names) < len(parameters) else 0)
        check_depth(recipe.keywords, n_weights)
        for key, value in zip(names, recipe.args, strict=False):
            check_depth(value, n_weights, key)
    elif isinstance(recipe, dict):
        for key, value in recipe.items():
            check_depth(value, n_weights, key)
    elif isinstance(recipe, list | tuple):
        for value in recipe:
            check_depth(value, n_weights, name)
    elif isinstance(recipe, Integral) and ("layers" in name or "blocks" in name) and int(recipe) > n_weights:
        raise ValueError(f"{name}={recipe} must be at most {n_weights}, the number of weights in the file")


def _check_weights(module: nn.Module, weights: dict[str, torch.Tensor]) -> None:
    wanted = module.state_dict()
    if wanted.keys() != weights.keys():
        stray = sorted(wanted.keys() ^ weights.keys())[:3]
        raise ValueError(f"The weights do not match the network: only one of them has {stray}.")
    for name, tensor in wanted.items():
        if tensor.shape != weights[name].shape or tensor.dtype != weights[name].dtype:
            raise ValueError(
                f"The weights do not match the network: {name} must have the shape {tuple(tensor.shape)} and "
                f"{tensor.dtype}, got {tuple(weights[name].shape)} and {weights[name].dtype}."
            )


def _parts(module: Autoencoder) -> list[tuple[str, nn.Module]]:
    """Return the parts around the network and their own parts, by name."""
    return [
        (f"{slot}.{name}" if name else slot, part)
        for slot in _PARTS
        if getattr(module, slot) is not None
        for name, part in getattr(module, slot).named_modules()
    ]


def _attributes(part: nn.Module) -> dict[str, Any]:
    """Return the attributes of a part that are neither parameters nor tensors, such as the progress of training."""
    known = MODULE_ATTRIBUTES | (part.get_params(deep=False).keys() if isinstance(part, Component) else set())
    return {name: value for name, value in vars(part).items() if name not in known}


def _is_known(part: Any) -> bool:
    """Return whether a part of a recipe consists of known classes, so that creating it has no side effects."""
    if isinstance(part, dict):
        return all(map(_is_known, part.values()))
    if isinstance(part, list | tuple):
        return all(map(_is_known, part))
    if isinstance(part, functools.partial):
        return _is_known(part.func) and _is_known(part.args) and _is_known(part.keywords)
    if isinstance(part, nn.Module):
        return all(is_known(type(layer)) for layer in part.modules())
    if isinstance(part, type):
        return part.__module__.partition(".")[0] in _KNOWN_PACKAGES
    return not callable(part)


def _is_recipe_of(recipe: dict[str, Any], module: Autoencoder) -> bool:
    """Return whether a recipe describes a module completely, except for the values of its tensors."""
    if not all(map(_is_known, recipe.values())):
        return False
    again = _on_meta(lambda: Autoencoder(**recipe, costs=Costs(0)))
    layers = [(name, type(layer)) for name, layer in module.named_modules()]
    try:
        _check_weights(again, module.state_dict())
    except ValueError:  # changed by the user after `fit`
        return False
    return layers == [(name, type(layer)) for name, layer in again.named_modules()]


def as_arrays(value: Any) -> Any:
    """Replace the tensors in dicts, lists and tuples by arrays."""
    return _mapped(value, torch.Tensor, lambda tensor: tensor.detach().cpu().numpy())


def as_tensors(value: Any) -> Any:
    """Replace the arrays in dicts, lists and tuples by tensors."""
    return _mapped(value, np.ndarray, lambda array: torch.from_numpy(np.array(array)))


def _mapped(value: Any, kind: type, function: Any) -> Any:
    if isinstance(value, kind):
        return function(value)
    if isinstance(value, dict):
        return {name: _mapped(item, kind, function) for name, item in value.items()}
    if type(value) in (list, tuple):
        return type(value)(_mapped(item, kind, function) for item in value)
    return value
