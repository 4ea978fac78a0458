"""Estimators, nets and parts as JSON and arrays, and back."""

from __future__ import annotations

import functools
import inspect
import types
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.neighbors import KernelDensity
from sklearn.utils.metadata_routing import MetadataRequest
from torch import nn

from .._codec import Decoder, Encoder
from .._component import Component
from .._conditions import Classes, Targets
from .._images import ImageLayout
from .._module_state import laid_out, module_arrays, restored_module
from .._net import AutoencoderNet
from ..estimators import Reconstructor
from ..estimators.base import BaseAutoencoder
from ._checks import check_reconstructor, check_restored, check_works
from ._names import known_names, name_of
from ._requests import as_requests, own, requests_of

_OF_A_PROCESS = (
    "_skl_callbacks",
    "_parent_callback_ctx",
    "_extra",
)  # attributes that are not kept; _extra are parameters
_CONDITIONS = {"classes": Classes, "targets": Targets}
_NAMED = ("class", "function")  # keys under which names stand


class ObjectEncoder(Encoder):
    """Knows what a fitted estimator holds.

    Parameters
    ----------
    optimizer : bool
        Whether to keep the optimiser's state.
    """

    def __init__(self, *, optimizer: bool) -> None:
        super().__init__()
        self.optimizer = optimizer

    def encode_object(self, value: Any, where: str) -> Any:
        """Whatever is not plain."""
        if isinstance(value, type):
            return {"$": "class", "class": self._name(value, where)}
        if isinstance(value, types.FunctionType | types.BuiltinFunctionType):
            return {"$": "function", "function": self._name(value, where)}
        if isinstance(value, functools.partial):
            parts = {"function": value.func, "args": list(value.args), "keywords": value.keywords}
            return {"$": "partial"} | {"of": self.encode(parts, where)}
        if isinstance(value, ImageLayout):
            return {"$": "layout", "items": self.encode(list(value), where)}
        if isinstance(value, Classes | Targets):
            kind = next(kind for kind, cls in _CONDITIONS.items() if cls is type(value))
            return {"$": "condition", "kind": kind, "state": self.encode(vars(value), where)}
        if isinstance(value, AutoencoderNet):
            return {"$": "net", "state": self.encode(self._net(value, where), where)}
        if isinstance(value, MetadataRequest):
            return {"$": "requests", "of": self.encode(requests_of(value), where)}
        if isinstance(value, Component):
            params = self.encode(value.get_params(deep=False), where)
            return {"$": "part", "class": self._name(type(value), where), "params": params}
        if isinstance(value, BaseEstimator):
            return self._estimator(value, where)
        if isinstance(value, nn.Module):
            return self._layer(value, where)
        if hasattr(value, "__dict__") and not isinstance(value, types.ModuleType):
            return {"$": "object", "class": self._name(type(value), where), "state": self.encode(vars(value), where)}
        return super().encode_object(value, where)

    def _name(self, thing: Any, where: str) -> str:
        name = name_of(thing)
        if "<lambda>" in name:
            raise TypeError(f"{where} is a lambda, which has no name to be kept under: use a function or a class.")
        return name

    def _estimator(self, value: BaseEstimator, where: str) -> dict[str, Any]:
        params = value.get_params(deep=False)
        params |= {"checkpoint": None} if "checkpoint" in params else {}  # a file of this machine
        fitted = {name: v for name, v in vars(value).items() if name not in params and name not in _OF_A_PROCESS}
        if isinstance(value, KernelDensity) and "tree_" in fitted:
            tree = fitted["tree_"]
            weight = None if tree.sample_weight is None else np.array(tree.sample_weight)
            fitted = {"rows": np.array(tree.data), "sample_weight": weight}
        return {
            "$": "estimator",
            "class": self._name(type(value), where),
            "params": self.encode(params, where),
            "fitted": self.encode(fitted, where),
        }

    def _net(self, net: AutoencoderNet, where: str) -> dict[str, Any]:
        state = net.__getstate__()
        recipe, arrays = state["recipe"], module_arrays(net.module_)
        try:
            restored_module(arrays, recipe)
        except Exception as error:
            raise ValueError(
                f"{where}.module_ is not what its parameters describe, so that no file can tell how to make it again: "
                f"{error}"
            ) from error
        state["params"] |= {"callbacks": []}
        return state | {
            "module": arrays,
            "history": _numbers(state["history"]),
            "optimizer_state": state["optimizer_state"] if self.optimizer else None,
        }

    def _layer(self, value: nn.Module, where: str) -> dict[str, Any]:
        """A layer of torch's: its arguments, read from the attributes of the same names, and its weights."""
        cls = type(value)
        if name_of(cls) not in known_names():
            raise TypeError(
                f"{where} is an object of {name_of(cls)}, and no file can tell how it was made: give the class as "
                "module and its arguments as module__<name>, or keep the estimator with pickle."
            )
        children = list(value.children()) if isinstance(value, nn.Sequential | nn.ModuleList) else None
        arguments = {} if children is not None else _arguments(value, where)
        weights = {} if children is not None else {n: t.detach().cpu().numpy() for n, t in value.state_dict().items()}
        try:
            again = cls(*children) if children is not None else cls(**arguments)
            made = {name: tensor.shape for name, tensor in again.state_dict().items()}
        except (TypeError, ValueError) as error:
            raise TypeError(f"{where} is a {cls.__name__} that is not made by its attributes: {error}") from error
        if made != {name: tensor.shape for name, tensor in value.state_dict().items()}:
            raise TypeError(f"{where} is a {cls.__name__} that is not made by its attributes.")
        return {
            "$": "layer",
            "class": self._name(cls, where),
            "arguments": self.encode(arguments, where),
            "children": None if children is None else self.encode(children, where),
            "weights": self.encode(weights, where),
        }


def _arguments(layer: nn.Module, where: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if type(layer).__init__ is nn.Module.__init__:  # it takes none
        return found
    for name, parameter in inspect.signature(type(layer)).parameters.items():
        if name in ("device", "dtype") or name.startswith("_"):
            continue
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD) or not hasattr(layer, name):
            raise TypeError(f"{where} is a {type(layer).__name__}, whose arguments are not kept as its attributes.")
        value = getattr(layer, name)
        found[name] = value is not None if name == "bias" else value
    return found


def _numbers(history: list) -> list:
    """A history without what callbacks may have put there that a file cannot hold."""
    plain = (type(None), bool, int, float, str, np.number)
    return [
        {
            name: _numbers(value) if name == "batches" else value
            for name, value in row.items()
            if name == "batches" or isinstance(value, plain)
        }
        for row in history
    ]


def names_in(document: Any) -> Iterator[str]:
    """All names of classes and functions in a document."""
    if isinstance(document, list):
        for item in document:
            yield from names_in(item)
    elif isinstance(document, dict):
        if "$" in document:
            yield from (str(document[key]) for key in _NAMED if isinstance(document.get(key), str))
        for item in document.values():
            yield from names_in(item)


class ObjectDecoder(Decoder):
    """The way back from `ObjectEncoder`.

    Parameters
    ----------
    arrays : dict of ndarray
        What stands beside the document.
    names : mapping of str to class or function
        Everything that may be made.
    device : str, default=None
        Where nets come; where they were when None.
    """

    def __init__(self, arrays: dict[str, np.ndarray], names: Mapping[str, Any], device: str | None = None) -> None:
        super().__init__(arrays)
        self.names, self.device = names, device

    def read_class(self, value: dict) -> type:
        """A class, as it is."""
        return self._class(value, object)

    def read_function(self, value: dict) -> Any:
        """A function, as it is."""
        return self.names[value["function"]]

    def read_partial(self, value: dict) -> functools.partial:
        """A function or class with some of its arguments."""
        parts = self.decode(value["of"])
        return functools.partial(parts["function"], *parts["args"], **parts["keywords"])

    def read_layout(self, value: dict) -> ImageLayout:
        """How images lie in rows."""
        return ImageLayout(*self.decode(value["items"]))

    def read_condition(self, value: dict) -> Classes | Targets:
        """What a decoder is told."""
        cls: Any = _CONDITIONS[value["kind"]]
        found = cls.__new__(cls)
        vars(found).update(self.decode(value["state"]))
        return found

    def read_requests(self, value: dict) -> MetadataRequest:
        """Which metadata an estimator asks for."""
        return as_requests(self.decode(value["of"]))

    def read_part(self, value: dict) -> Component:
        """A part, made by its parameters."""
        return self._class(value, Component)(**self.decode(value["params"]))

    def read_layer(self, value: dict) -> nn.Module:
        """A layer of torch's."""
        cls = self._class(value, nn.Module)
        if value["children"] is not None:
            return cls(*self.decode(value["children"]))
        arguments, weights = self.decode(value["arguments"]), self.decode(value["weights"])
        return laid_out(lambda: cls(**arguments), weights)

    def read_object(self, value: dict) -> Any:
        """An object of a class that the user trusts."""
        cls: Any = self._class(value, object)
        if name_of(cls) in known_names():
            raise ValueError(f"{name_of(cls)} is not kept by its attributes")
        found = cls.__new__(cls)
        vars(found).update(self.decode(value["state"]))
        return found

    def read_net(self, value: dict) -> AutoencoderNet:
        """A net with its weights."""
        state = self.decode(value["state"])
        if not isinstance(state["module"], dict):
            raise TypeError("a module must be kept as arrays")
        if self.device is not None:
            state["params"]["device"] = self.device
        net = AutoencoderNet.__new__(AutoencoderNet)
        net.__setstate__(state)
        return net

    def read_estimator(self, value: dict) -> BaseEstimator:
        """An estimator: made by its parameters, so that those which are new since have their defaults."""
        cls = self._class(value, BaseEstimator)
        found = cls(**self.decode(value["params"]))
        fitted = self.decode(value["fitted"])
        if issubclass(cls, KernelDensity) and "rows" in fitted:
            return found.fit(fitted["rows"], sample_weight=fitted["sample_weight"])
        for name, attribute in fitted.items():
            if name.startswith("__") or hasattr(type(inspect.getattr_static(cls, name, None)), "__get__"):
                raise ValueError(f"{cls.__name__} has no room for an attribute {name!r}")
            vars(found)[name] = attribute
            if isinstance(attribute, MetadataRequest):
                own(attribute, found._get_metadata_request().owner)
        if isinstance(found, BaseAutoencoder):
            if self.device is not None:
                found.set_params(device=self.device)
            found._leave_missing_device()
            check_restored(found)
        elif isinstance(found, Reconstructor):
            check_reconstructor(found)
        elif cls.__module__.startswith("sklearn."):
            check_works(found)
        return found

    def _class(self, value: dict, base: type) -> type:
        found = self.names[value["class"]]
        if not (isinstance(found, type) and issubclass(found, base)):
            raise TypeError(f"{value['class']} is no {base.__name__}")
        return found
