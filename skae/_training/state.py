"""A net as plain values and arrays, for files and pickles."""

from __future__ import annotations

import inspect
import threading
from typing import Any

import torch

from .._module.state import as_arrays, as_tensors, current_recipe, module_state, restored_module
from .._utils.files import FORMAT
from .._utils.rng import Stream

# Parameters saved unchanged. Others are the same for all nets, or saved in another way.
_SAVED_PARAMS = (
    *("alpha", "batch_size", "callbacks", "compile", "device", "l1_ratio", "lr", "max_epochs", "predict_nonlinearity"),
    *("torch_load_kwargs", "use_caching", "verbose", "warm_start"),
)
_creating = threading.RLock()


class NetStateMixin:
    """Mixin that represents the state of a skorch net as plain values and arrays; precedes `skorch.NeuralNet`.

    A module with parts of skae only is saved as its recipe and arrays, one with parts of the user as an object on the
    CPU. The optimizer is created from its state at the first access.
    """

    loading_state_: dict[str, Any] | None = None  # while a net is being restored
    saved_optimizer_state_: dict[str, Any] | None = None  # until the optimizer is created
    is_updated_ = False  # whether its recipe is from version 0.2 and has explicit values of changed defaults
    by_epochs_ = False  # whether it was last trained by `partial_fit`

    def __getstate__(self) -> dict[str, Any]:
        net: Any = self
        params = {name: value for name, value in net.get_params(deep=False).items() if _is_saved(name)}
        params["callbacks"] = [
            (name, callback) for name, callback in net.callbacks_ if not _is_of_a_fit(name, callback)
        ]
        return {
            "format": FORMAT,
            "params": params,
            "optimizer": optimizer_name(net.optimizer),
            "optimizer_state": net.optimizer_state(),
            "by_epochs": net.by_epochs_,
            "stream": net.stream.__getstate__(),
            "history": net.history.to_list(),
            "recipe": net.get_params_for("module"),
            "module": module_state(net.module_, net.get_params_for("module")),
        }

    def optimizer_state(self) -> dict[str, Any] | None:
        """Return the optimizer's state, tensors as arrays; None if it was not saved."""
        optimizer = vars(self).get("optimizer_")
        return self.saved_optimizer_state_ if optimizer is None else as_arrays(optimizer.state_dict())

    def forget_optimizer(self) -> None:
        """Discard the optimizer's state."""
        vars(self).pop("optimizer_", None)
        self.saved_optimizer_state_ = None

    def without_optimizer(self) -> Any:
        """Return this net without the optimizer's state; everything else is shared."""
        other = object.__new__(type(self))
        vars(other).update(vars(self))
        other.forget_optimizer()
        return other

    def copy_to(self, device: str) -> Any:
        """Return a copy on another device."""
        state = self.__getstate__()
        state["params"] |= {"device": device}
        net = type(self).__new__(type(self))
        net.__setstate__(state)
        return net

    def __setstate__(self, state: dict[str, Any]) -> None:
        net: Any = self
        if state.get("format", 1) > FORMAT:
            raise ValueError(
                f"A net of format {state['format']} needs a newer version of skae: this one reads up to {FORMAT}."
            )
        if unknown := [name for name in state["params"] if not _is_saved(name)]:
            raise ValueError(f"A net has no parameters {unknown} to restore.")
        former, state = state["recipe"], state | {"recipe": current_recipe(state["recipe"], state["module"])}
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
        self.loading_state_ = state
        try:
            net.initialize()
        finally:
            del self.loading_state_
        vars(net).pop("optimizer_")
        net.stream = stream
        net.history.extend(state["history"])
        self.saved_optimizer_state_ = state["optimizer_state"]
        # Pickles of earlier versions lack it, and their optimizer's state must be kept.
        self.by_epochs_ = state.get("by_epochs", state["optimizer_state"] is not None)
        self.is_updated_ = state["recipe"] is not former

    # ------------------------------------------------ what skorch calls in `initialize`

    def initialize_callbacks(self) -> Any:
        """Use the saved callbacks: new ones would lack their attributes."""
        if self.loading_state_ is None:
            return super().initialize_callbacks()  # type: ignore[misc]
        self.callbacks_ = list(self.loading_state_["params"]["callbacks"])
        return self

    def initialize_module(self) -> Any:
        """Use the saved module."""
        if self.loading_state_ is None:
            return super().initialize_module()  # type: ignore[misc]
        self.module_ = restored_module(self.loading_state_["module"], self.loading_state_["recipe"])
        return self

    def initialize_optimizer(self, triggered_directly: bool | None = None) -> Any:
        """Defer the optimizer to the first access, since torch takes a second to prepare its first one."""
        if self.loading_state_ is None:
            return super().initialize_optimizer()  # type: ignore[misc]
        self.optimizer_ = _NotCreated()
        return self

    def __getattr__(self, name: str) -> Any:
        if name != "optimizer_" or "saved_optimizer_state_" not in vars(self):
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        with _creating:  # once for all threads
            if name not in vars(self):
                net: Any = self
                args, kwargs = net.get_params_for_optimizer("optimizer", net.get_all_learnable_params())
                optimizer = net.optimizer(*args, **kwargs)
                if self.saved_optimizer_state_ is not None:
                    load_optimizer(optimizer, self.saved_optimizer_state_)
                self.optimizer_ = optimizer
                self.saved_optimizer_state_ = None
        return vars(self)[name]


class _NotCreated(torch.optim.Optimizer):
    """Placeholder of the optimizer while skorch initializes a net."""

    def __init__(self) -> None:
        pass


def _is_saved(name: str) -> bool:
    return name in _SAVED_PARAMS or name.startswith(("optimizer__", "iterator_train__", "iterator_valid__"))


def _is_of_a_fit(name: str, callback: Any) -> bool:
    """Return whether a callback is added by the estimator."""
    return type(callback).__module__.startswith("skae.") or name in ("epoch_timer", "print_log")


def available(device: Any) -> Any:
    """Return ``device`` if it is available, else the CPU."""
    found = torch.device(f"cuda:{device}" if isinstance(device, int) else device)
    if found.type == "cuda" and (found.index or 0) >= torch.cuda.device_count():
        return "cpu"
    return device


def optimizer_name(optimizer: type) -> Any:
    """Return the name of an optimizer of torch, and any other class unchanged."""
    return optimizer.__name__ if getattr(torch.optim, optimizer.__name__, None) is optimizer else optimizer


def find_optimizer(optimizer: Any) -> Any:
    """Return the class of an `optimizer_name`."""
    found = getattr(torch.optim, optimizer, None) if isinstance(optimizer, str) else optimizer
    if not (isinstance(found, type) and issubclass(found, torch.optim.Optimizer)):
        raise ValueError(f"torch.optim has no optimizer {optimizer!r}.")
    return found


def load_optimizer(optimizer: torch.optim.Optimizer, state: dict[str, Any]) -> None:
    """Load the ``state`` of an optimizer, of arrays or tensors.

    A fused update reads as many values of each tensor as there are weights, in memory order: tensors are stored in that
    order, and another size is an error.
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
                raise ValueError(
                    f"The optimizer's state {name} must have the shape {tuple(parameter.shape)} of the weights, got "
                    f"{tuple(value.shape)}."
                )
