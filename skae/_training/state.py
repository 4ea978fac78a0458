"""A net as plain values and arrays, and back."""

from __future__ import annotations

import inspect
import threading
from typing import Any

import torch

from .._module.state import as_arrays, as_tensors, module_state, restored_module
from .._utils.files import FORMAT
from .._utils.rng import Stream

# What a net was made with and is kept as it is. The rest is the same for every net of ours, or kept in another way.
_KEPT = (
    *("alpha", "batch_size", "callbacks", "compile", "device", "l1_ratio", "lr", "max_epochs", "predict_nonlinearity"),
    *("torch_load_kwargs", "use_caching", "verbose", "warm_start"),
)
_making = threading.RLock()


class NetStateMixin:
    """What lets a skorch net be kept as plain values and arrays; comes before `skorch.NeuralNet` among the bases.

    A module of parts that are skae's own is kept as its recipe and its arrays; one with parts of others as it is, on
    the CPU, since nobody else knows what it holds. The optimiser is made again where somebody asks for it.
    """

    restoring_: dict[str, Any] | None = None  # the state, while a net is made from it
    kept_optimizer_: dict[str, Any] | None = None

    def __getstate__(self) -> dict[str, Any]:
        net: Any = self
        params = {name: value for name, value in sorted(net.get_params(deep=False).items()) if _is_kept(name)}
        params["callbacks"] = [
            (name, callback) for name, callback in net.callbacks_ if not _is_of_a_fit(name, callback)
        ]
        return {
            "format": FORMAT,
            "params": params,
            "optimizer": optimizer_name(net.optimizer),
            "optimizer_state": net.optimizer_state(),
            "stream": net.stream.__getstate__(),
            "history": net.history.to_list(),
            "recipe": net.get_params_for("module"),
            "module": module_state(net.module_, net.get_params_for("module")),
        }

    def optimizer_state(self) -> dict[str, Any] | None:
        """The optimiser's state, tensors as arrays; None if it was not kept."""
        kept, optimizer = self.kept_optimizer_, vars(self).get("optimizer_")
        return kept if optimizer is None else as_arrays(optimizer.state_dict())

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
        if state.get("format", 1) > FORMAT:
            raise ValueError(f"A net of format {state['format']} needs a newer skae: this one reads up to {FORMAT}.")
        if not all(map(_is_kept, state["params"])):
            raise ValueError(f"A net is not kept with {[name for name in state['params'] if not _is_kept(name)]}.")
        device = available(state["params"]["device"])
        stream = Stream.restored(state["stream"]).continued_on(device)
        recipe = {f"module__{name}": value for name, value in state["recipe"].items()}
        optimizer = find_optimizer(state["optimizer"])
        net.__init__(
            stream=Stream(0),
            optimizer=optimizer,
            train_split=None,
            **state["params"] | {"device": device} | recipe,
        )
        self.restoring_ = state
        try:
            net.initialize()
        finally:
            del self.restoring_
        vars(net).pop("optimizer_")
        net.stream = stream
        net.history.extend(state["history"])
        self.kept_optimizer_ = state["optimizer_state"]

    # ------------------------------------------------ what skorch calls while it makes a net

    def initialize_callbacks(self) -> Any:
        """Those of the user as they are: made anew they would have lost what they found."""
        if self.restoring_ is None:
            return super().initialize_callbacks()  # type: ignore[misc]
        self.callbacks_ = list(self.restoring_["params"]["callbacks"])
        return self

    def initialize_module(self) -> Any:
        """The module that was kept, in place of a new one."""
        if self.restoring_ is None:
            return super().initialize_module()  # type: ignore[misc]
        self.module_ = restored_module(self.restoring_["module"], self.restoring_["recipe"])
        return self

    def initialize_optimizer(self, triggered_directly: bool | None = None) -> Any:
        """None before it is asked for: torch takes a second to prepare its first one."""
        if self.restoring_ is None:
            return super().initialize_optimizer()  # type: ignore[misc]
        self.optimizer_ = _NotMade()
        return self

    def __getattr__(self, name: str) -> Any:
        if name != "optimizer_" or "kept_optimizer_" not in vars(self):
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        with _making:  # one of the threads that ask
            if name not in vars(self):
                net: Any = self
                args, kwargs = net.get_params_for_optimizer("optimizer", net.get_all_learnable_params())
                optimizer = net.optimizer(*args, **kwargs)
                if self.kept_optimizer_ is not None:
                    load_optimizer(optimizer, self.kept_optimizer_)
                self.optimizer_ = optimizer
                self.kept_optimizer_ = None
        return vars(self)[name]


class _NotMade(torch.optim.Optimizer):
    """Shows skorch that there will be an optimiser."""

    def __init__(self) -> None:
        pass


def _is_kept(name: str) -> bool:
    return name in _KEPT or name.startswith(("optimizer__", "iterator_train__", "iterator_valid__"))


def _is_of_a_fit(name: str, callback: Any) -> bool:
    """Whether a callback is one of those that the estimator itself adds to a fit."""
    return type(callback).__module__.startswith("skae.") or name in ("epoch_timer", "print_log")


def available(device: Any) -> Any:
    """``device`` if it is here, else the CPU."""
    found = torch.device(f"cuda:{device}" if isinstance(device, int) else device)
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
    """Give an optimiser its ``state``, of arrays.

    A fused update reads as much of each tensor as there are weights, in the order in which they lie in memory: it
    gets them in that order, and none of another size.
    """
    optimizer.load_state_dict(as_tensors(state))
    may_be_fused = "fused" in inspect.signature(type(optimizer)).parameters
    for parameter, found in optimizer.state.items():
        for name, value in found.items():
            if not isinstance(value, torch.Tensor):
                continue
            if name != "step" and value.shape == parameter.shape:
                found[name] = torch.empty_like(parameter, dtype=value.dtype).copy_(value)
            elif may_be_fused and (value.ndim or name != "step"):
                raise ValueError(f"The optimiser's state has {name} of shape {tuple(value.shape)} for other weights.")
