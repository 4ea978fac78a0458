"""A module as its recipe and arrays, and back."""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from .._utils.codec import check_settable
from .._utils.component import Component
from .._utils.torch_compat import MODULE_ATTRIBUTES
from .autoencoder import Autoencoder
from .inspection import Costs, is_known

_PARTS = ("bottleneck", "loss", "noise")
_CALLS_PER_TENSOR, _MORE_CALLS = 100, 10_000  # of torch's functions, while a network is laid out: tens are usual


def module_state(module: Autoencoder, recipe: dict[str, Any]) -> Any:
    """What `restored_module` makes ``module`` from, with the ``recipe`` that it was made from; or a copy of it."""
    if _is_ours(module, recipe):
        return module_arrays(module)
    on_cpu = all(tensor.is_cpu for tensor in module.state_dict().values())
    return module if on_cpu else copy.deepcopy(module).cpu()


def module_arrays(module: Autoencoder) -> dict[str, Any]:
    """What a module has learned, and what was found out about it."""
    return {
        "weights": as_arrays(dict(module.state_dict())),
        "attributes": {name: found for name, part in _parts(module) if (found := _attributes(part))},
        "frozen": [name for name, parameter in module.named_parameters() if not parameter.requires_grad],
        "training": module.training,
        "costs": [module.n_multiplications, module.n_values],
    }


def restored_module(state: Any, recipe: dict[str, Any]) -> Autoencoder:
    """The module that ``state`` was taken from."""
    if isinstance(state, Autoencoder):
        return state
    costs = Costs(0)
    costs.n_multiplications, costs.n_values = state["costs"]
    known = all(_is_harmless(part) for part in recipe.values())
    module = laid_out(lambda: Autoencoder(**recipe, costs=costs), state["weights"], known=known)
    parts = dict(_parts(module))
    for name, found in state["attributes"].items():
        for attribute, value in found.items():
            check_settable(type(parts[name]), attribute)
            if attribute in MODULE_ATTRIBUTES or callable(value):
                raise ValueError(f"{name} cannot have found out {attribute}")
            setattr(parts[name], attribute, value)
    for name in state.get("frozen", []):
        module.get_parameter(name).requires_grad_(False)
    return module.train(bool(state["training"]))


def laid_out(make: Callable[[], nn.Module], arrays: dict[str, np.ndarray], *, known: bool = True) -> Any:
    """What ``make`` makes, with ``arrays`` for its weights.

    What is ``known`` to be made of our own layers and torch's is laid out without memory first, and not beyond what
    there are arrays for: a stranger's recipe costs no more than the arrays that come with it.
    """
    weights = as_tensors(arrays)
    if known:
        # Outermost what puts the switch back where the budget ends between torch's own turning it off and on.
        with (
            torch.set_grad_enabled(torch.is_grad_enabled()),
            torch.device("meta"),
            _Budget(_MORE_CALLS + _CALLS_PER_TENSOR * len(weights)),
        ):
            module = make()
            _check_weights(module, weights)
    if not known or _has_more_buffers(module):  # whose values nothing brings back but making them
        module = make()
        _check_weights(module, weights)
    else:
        module.to_empty(device="cpu")  # which keeps the order in memory
    module.load_state_dict(weights)
    return module


def _has_more_buffers(module: nn.Module) -> bool:
    return bool(dict(module.named_buffers()).keys() - module.state_dict().keys())


class _Budget(TorchFunctionMode):
    """Lets torch's functions be called so many times."""

    def __init__(self, n_calls: int) -> None:
        super().__init__()
        self.n_calls = n_calls

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.n_calls -= 1
        if self.n_calls < 0:
            raise ValueError("The recipe describes a larger network than the one whose weights come with it.")
        return func(*args, **(kwargs or {}))


def _check_weights(module: nn.Module, weights: dict[str, torch.Tensor]) -> None:
    wanted = module.state_dict()
    if wanted.keys() != weights.keys():
        stray = sorted(wanted.keys() ^ weights.keys())[:3]
        raise ValueError(f"The weights do not go with the network: it has {stray} in one of them only.")
    for name, tensor in wanted.items():
        if tensor.shape != weights[name].shape or tensor.dtype != weights[name].dtype:
            raise ValueError(
                f"The weights do not go with the network: {name} has the shape {tuple(tensor.shape)} and "
                f"{tensor.dtype} in the one, {tuple(weights[name].shape)} and {weights[name].dtype} in the other."
            )


def _parts(module: Autoencoder) -> list[tuple[str, nn.Module]]:
    """The parts around the network, and theirs."""
    return [
        (f"{slot}.{name}" if name else slot, part)
        for slot in _PARTS
        if getattr(module, slot) is not None
        for name, part in getattr(module, slot).named_modules()
    ]


def _attributes(part: nn.Module) -> dict[str, Any]:
    """What a part found out and keeps neither as parameter nor as tensor, such as how far training is."""
    known = MODULE_ATTRIBUTES | (part.get_params(deep=False).keys() if isinstance(part, Component) else set())
    return {name: value for name, value in vars(part).items() if name not in known}


def _is_harmless(part: Any) -> bool:
    """Whether a part of a recipe is made of our own layers and torch's, so that making it does nothing else."""
    if isinstance(part, dict):
        return all(map(_is_harmless, part.values()))
    if isinstance(part, list | tuple):
        return all(map(_is_harmless, part))
    if isinstance(part, functools.partial):
        return _is_harmless(part.func) and _is_harmless(part.args) and _is_harmless(part.keywords)
    if isinstance(part, nn.Module):
        return all(is_known(type(layer)) for layer in part.modules())
    if isinstance(part, type):
        return issubclass(part, nn.Module) and is_known(part)
    return not callable(part)


def _is_ours(module: Autoencoder, recipe: dict[str, Any]) -> bool:
    """Whether a module is what its recipe makes, but for the values of its tensors."""
    if not all(map(_is_harmless, recipe.values())):
        return False
    with torch.device("meta"):
        again = Autoencoder(**recipe, costs=Costs(0))
    layers = [(name, type(layer)) for name, layer in module.named_modules()]
    try:
        _check_weights(again, module.state_dict())
    except ValueError:  # somebody changed it after `fit`
        return False
    return layers == [(name, type(layer)) for name, layer in again.named_modules()]


def as_arrays(value: Any) -> Any:
    """The same with arrays for the tensors in its dicts, lists and tuples."""
    return _mapped(value, torch.Tensor, lambda tensor: tensor.detach().cpu().numpy())


def as_tensors(value: Any) -> Any:
    """The way back from `as_arrays`."""
    return _mapped(value, np.ndarray, lambda array: torch.from_numpy(np.array(array)))


def _mapped(value: Any, kind: type, function: Any) -> Any:
    if isinstance(value, kind):
        return function(value)
    if isinstance(value, dict):
        return {name: _mapped(item, kind, function) for name, item in value.items()}
    if type(value) in (list, tuple):
        return type(value)(_mapped(item, kind, function) for item in value)
    return value
