"""A net as plain values and arrays, and back."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from ._autoencoder import Autoencoder
from ._component import Component
from ._probe import Costs, is_known
from ._random import Stream

_PARTS = ("bottleneck", "loss", "noise")
_CALLS_PER_TENSOR, _MORE_CALLS = 100, 10_000  # of torch's functions, while a network is laid out: tens are usual
# What the constructor of a net takes and every net of ours has in common, or what is kept in another way.
_NOT_KEPT = (
    "module",
    "criterion",
    "iterator_train",
    "iterator_valid",
    "dataset",
    "train_split",
    "stream",
    "optimizer",
    "_params_to_validate",
)


class Frozen:
    """What lets a skorch net be kept as plain values and arrays; comes before `skorch.NeuralNet` among the bases.

    A module of parts that are skae's own is kept as its recipe and its arrays; one with parts of others as it is, on
    the CPU, since nobody else knows what it holds. The optimiser is made again where somebody asks for it.
    """

    thawing_: dict[str, Any] | None = None  # the state, while a net is made from it
    kept_optimizer_: dict[str, Any] | None = None

    def __getstate__(self) -> dict[str, Any]:
        net: Any = self
        params = {name: value for name, value in net.get_params(deep=False).items() if name not in _NOT_KEPT}
        params["callbacks"] = [
            (name, callback) for name, callback in net.callbacks_ if not _is_of_a_fit(name, callback)
        ]
        return {
            "params": {
                name: value for name, value in params.items() if not name.startswith(("module__", "callbacks__"))
            },
            "optimizer": optimizer_name(net.optimizer),
            "optimizer_state": net.optimizer_state(),
            "stream": net.stream.__getstate__(),
            "history": net.history.to_list(),
            "recipe": net.get_params_for("module"),
            "module": module_state(net.module_, net.get_params_for("module")),
        }

    def optimizer_state(self) -> dict[str, Any] | None:
        """The optimiser's state, tensors as arrays; None if it was not kept."""
        if "optimizer_" not in vars(self):
            return self.kept_optimizer_
        return as_arrays(vars(self)["optimizer_"].state_dict())

    def forget_optimizer(self) -> None:
        """Let go of the optimiser's state."""
        vars(self).pop("optimizer_", None)
        self.kept_optimizer_ = None

    def on(self, device: str) -> Any:
        """A copy on another device."""
        state = self.__getstate__()
        state["params"] |= {"device": device}
        net = type(self).__new__(type(self))
        net.__setstate__(state)
        return net

    def __setstate__(self, state: dict[str, Any]) -> None:
        net: Any = self
        device = available(state["params"]["device"])
        stream = Stream.__new__(Stream)
        stream.__setstate__(state["stream"])
        recipe = {f"module__{name}": value for name, value in state["recipe"].items()}
        optimizer = find_optimizer(state["optimizer"])
        net.__init__(
            stream=Stream(0),
            optimizer=optimizer,
            train_split=None,
            **state["params"] | {"device": device} | recipe,
        )
        self.thawing_ = state
        try:
            net.initialize()
        finally:
            del self.thawing_
        vars(net).pop("optimizer_")
        net.stream = stream.continued_on(device)
        net.history.extend(state["history"])
        self.kept_optimizer_ = state["optimizer_state"]

    # ------------------------------------------------ what skorch calls while it makes a net

    def initialize_callbacks(self) -> Any:
        """Those of the user as they are: made anew they would have lost what they found."""
        if self.thawing_ is None:
            return super().initialize_callbacks()  # type: ignore[misc]
        self.callbacks_ = list(self.thawing_["params"]["callbacks"])
        return self

    def initialize_module(self) -> Any:
        """The module that was kept, in place of a new one."""
        if self.thawing_ is None:
            return super().initialize_module()  # type: ignore[misc]
        self.module_ = restored_module(self.thawing_["module"], self.thawing_["recipe"])
        return self

    def initialize_optimizer(self, triggered_directly: bool | None = None) -> Any:
        """None before it is asked for: torch takes a second to prepare its first one."""
        if self.thawing_ is None:
            return super().initialize_optimizer()  # type: ignore[misc]
        self.optimizer_ = _NotMade()
        return self

    def __getattr__(self, name: str) -> Any:
        if name != "optimizer_" or "kept_optimizer_" not in vars(self):
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        state = vars(self).pop("kept_optimizer_")
        self.initialize_optimizer()
        if state is not None:
            load_optimizer(vars(self)["optimizer_"], state)
        return vars(self)["optimizer_"]


class _NotMade(torch.optim.Optimizer):
    """Shows skorch that there will be an optimiser."""

    def __init__(self) -> None:
        pass


def _is_of_a_fit(name: str, callback: Any) -> bool:
    """Whether a callback is one of those that the estimator itself adds to a fit."""
    return type(callback).__module__.startswith("skae.") or name in ("epoch_timer", "print_log")


def available(device: str) -> str:
    """``device`` if it is here, else the CPU."""
    found = torch.device(device)
    if found.type == "cuda" and (found.index or 0) >= torch.cuda.device_count():
        return "cpu"
    return device


def optimizer_name(optimizer: type) -> Any:
    """The name of an optimiser of torch's own; any other as it is."""
    return optimizer.__name__ if getattr(torch.optim, optimizer.__name__, None) is optimizer else optimizer


def find_optimizer(optimizer: Any) -> Any:
    """The way back from `optimizer_name`."""
    found = getattr(torch.optim, optimizer, None) if isinstance(optimizer, str) else optimizer
    if not (isinstance(found, type) and issubclass(found, torch.optim.Optimizer)):
        raise ValueError(f"torch.optim has no optimiser {optimizer!r}.")
    return found


def load_optimizer(optimizer: torch.optim.Optimizer, state: dict[str, Any]) -> None:
    """Give an optimiser its ``state``, of arrays."""
    optimizer.load_state_dict(as_tensors(state))
    for parameter, found in optimizer.state.items():
        for name, value in found.items():
            # A fused update reads all in the order in which they lie in memory.
            if isinstance(value, torch.Tensor) and value.shape == parameter.shape:
                found[name] = torch.empty_like(parameter, dtype=value.dtype).copy_(value)


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


# ---------------------------------------------------------------- modules


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
        "training": module.training,
        "costs": [module.n_multiplications, module.n_values],
    }


def restored_module(state: Any, recipe: dict[str, Any]) -> Autoencoder:
    """The module that ``state`` was taken from."""
    if isinstance(state, Autoencoder):
        return state
    costs = Costs(0)
    costs.n_multiplications, costs.n_values = state["costs"]
    known = all(_is_known(part) for part in recipe.values())
    module = laid_out(lambda: Autoencoder(**recipe, costs=costs), state["weights"], known=known)
    parts = dict(_parts(module))
    for name, found in state["attributes"].items():
        for attribute, value in found.items():
            setattr(parts[name], attribute, value)
    return module.train(bool(state["training"]))


def laid_out(make: Callable[[], nn.Module], arrays: dict[str, np.ndarray], *, known: bool = True) -> Any:
    """What ``make`` makes, with ``arrays`` for its weights.

    What is ``known`` to be made of our own layers and torch's is laid out without memory first, and not beyond what
    there are arrays for: a stranger's recipe costs no more than the arrays that come with it.
    """
    weights = as_tensors(arrays)
    if known:
        with torch.device("meta"), _Budget(_MORE_CALLS + _CALLS_PER_TENSOR * len(weights)):
            module = make()
    else:
        module = make()
    _check_weights(module, weights)
    module.to_empty(device="cpu")  # which keeps the order in memory
    module.load_state_dict(weights)
    return module


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
    known = vars(nn.Module()).keys() | (part.get_params(deep=False).keys() if isinstance(part, Component) else set())
    return {name: value for name, value in vars(part).items() if name not in known}


def _is_known(part: Any) -> bool:
    """Whether a part of a recipe is made of our own layers and torch's, so that making it does nothing else."""
    if isinstance(part, dict):
        return all(map(_is_known, part.values()))
    if isinstance(part, nn.Module):
        return all(map(is_known, part.modules()))
    if isinstance(part, type):
        return issubclass(part, nn.Module) and part.__module__.partition(".")[0] in ("skae", "torch")
    return not callable(part)


def _is_ours(module: Autoencoder, recipe: dict[str, Any]) -> bool:
    """Whether a module is what its recipe makes, but for the values of its tensors."""
    if not all(map(_is_known, recipe.values())):
        return False
    with torch.device("meta"):
        again = Autoencoder(**recipe, costs=Costs(0))
    layers = [(name, type(layer)) for name, layer in module.named_modules()]
    try:
        _check_weights(again, module.state_dict())
    except ValueError:  # somebody changed it after `fit`
        return False
    return layers == [(name, type(layer)) for name, layer in again.named_modules()]
