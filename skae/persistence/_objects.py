"""Estimators, nets and parts as JSON and arrays, and back."""

from __future__ import annotations

import enum
import functools
import types
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.neighbors import KernelDensity
from sklearn.utils.metadata_routing import MetadataRequest
from torch import nn

from .._data.images import ImageLayout
from .._data.sequences import SequenceLayout
from .._data.targets import Classes, Targets
from .._module.state import module_arrays, restored_module
from .._training.net import AutoencoderNet
from .._utils.checks import check_device
from .._utils.codec import ValueDecoder, ValueEncoder, check_settable, plain_history
from .._utils.component import Component
from .._utils.rng import Stream
from .._utils.sklearn_compat import OF_A_PROCESS, metadata_request_owner
from ..estimators import Reconstructor
from ..estimators._base import BaseAutoencoder
from ._checks import check_metric, check_reconstructor, check_restored, check_works
from ._layers import layer_state, restored_layer
from ._names import known_names, name_of
from ._requests import as_requests, own, requests_of

# Attributes that are not kept; ``_extra`` are parameters.
_OF_A_PROCESS = (*OF_A_PROCESS, "_extra")
# Of their subclasses the attributes are not all that there is.
_BUILTIN = (types.ModuleType, enum.Enum, bool, int, float, complex, str, bytes, list, tuple, dict, set, frozenset)
_CONDITIONS = {"classes": Classes, "targets": Targets}
_NAMED = ("class", "function")  # keys under which names stand


def forget_checkpoint(est: BaseEstimator) -> None:
    """Let go of a path, which means nothing on another machine."""
    if "checkpoint" in est.get_params(deep=False):
        est.set_params(checkpoint=None)


class ObjectEncoder(ValueEncoder):
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
            return {"$": "partial", "of": self.encode(parts, where)}
        if isinstance(value, ImageLayout | SequenceLayout):
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
            return {"$": "layer"} | self.encode(layer_state(value, where), where)
        if hasattr(value, "__dict__") and not isinstance(value, _BUILTIN):
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
            with Stream(0):
                restored_module(arrays, recipe)
        except Exception as error:
            raise ValueError(
                f"{where}.module_ is not what its parameters describe, so that no file can tell how to make it again: "
                f"{error}"
            ) from error
        state["params"] |= {"callbacks": []}
        return state | {
            "module": arrays,
            "history": plain_history(state["history"]),
            "optimizer_state": state["optimizer_state"] if self.optimizer else None,
        }


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


class ObjectDecoder(ValueDecoder):
    """The way back from `ObjectEncoder`.

    Parameters
    ----------
    arrays : dict of ndarray
        What stands beside the document.
    names : mapping of str to class or function
        Everything that may be made.
    device : str or torch.device, default=None
        Where nets come; where they were when None.
    """

    def __init__(self, arrays: dict[str, np.ndarray], names: Mapping[str, Any], device: Any = None) -> None:
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
        made = parts["function"]
        if name_of(made) in known_names() and not issubclass(made, nn.Module):
            raise ValueError(f"{name_of(made)} is no network, which alone is made with some of its arguments")
        return functools.partial(parts["function"], *parts["args"], **parts["keywords"])

    def read_layout(self, value: dict) -> ImageLayout | SequenceLayout:
        """How images or sequences lie in rows."""
        items = self.decode(value["items"])
        return ImageLayout(*items) if len(items) == len(ImageLayout._fields) else SequenceLayout(*items)

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
        state = self.decode({key: item for key, item in value.items() if key != "$"})
        if not (isinstance(state["class"], type) and issubclass(state["class"], nn.Module)):
            raise TypeError("a layer must be one")
        return restored_layer(state)

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
            state["params"]["device"] = str(check_device(self.device))
        net = AutoencoderNet.__new__(AutoencoderNet)
        net.__setstate__(state)
        return net

    def read_estimator(self, value: dict) -> BaseEstimator:
        """An estimator: made by its parameters, so that those which are new since have their defaults."""
        cls = self._class(value, BaseEstimator)
        found = cls(**self.decode(value["params"]))
        fitted = self.decode(value["fitted"])
        forget_checkpoint(found)
        if issubclass(cls, KernelDensity) and "rows" in fitted:
            check_metric(found)
            return found.fit(fitted["rows"], sample_weight=fitted["sample_weight"])
        for name, attribute in fitted.items():
            check_settable(cls, name)
            if name in _OF_A_PROCESS:
                raise ValueError(f"{name!r} is of a process that is over")
            vars(found)[name] = attribute
            if isinstance(attribute, MetadataRequest):
                own(attribute, metadata_request_owner(found))
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
