"""Encode estimators, nets and parts as JSON and arrays, and decode them."""

from __future__ import annotations

import enum
import functools
import platform
import types
from collections.abc import Iterator, Mapping
from importlib.metadata import version
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
from .._utils import files as _files
from .._utils.codec import ValueDecoder, ValueEncoder, check_settable, plain_history
from .._utils.component import Component
from .._utils.rng import Stream
from .._utils.sklearn_compat import OF_A_PROCESS, get_requests, samples_of, set_requests
from .._version import __version__
from ..estimators._base import BaseAutoencoder
from ._layers import layer_state, restored_layer
from ._metadata import from_document
from ._names import check_trusted, known_names, name_of

_LIBRARIES = ("torch", "scikit-learn", "skorch", "numpy", "safetensors")
# Attributes that are not saved; ``_extra`` are parameters.
_OF_A_PROCESS = (*OF_A_PROCESS, "_extra")
# Their subclasses hold more than their attributes.
_BUILTIN = (types.ModuleType, enum.Enum, bool, int, float, complex, str, bytes, list, tuple, dict, set, frozenset)
_CONDITIONS = {"classes": Classes, "targets": Targets}
_NAMED = ("class", "function")  # the keys of names


def pack_estimator(estimator: BaseEstimator, *, optimizer: bool, metadata: Mapping[str, Any] | None = None) -> bytes:
    """Return a file of ``estimator``; a TypeError names the place of what cannot be saved."""
    encoder = ObjectEncoder(optimizer=optimizer)
    found = encoder.encode(estimator, type(estimator).__name__)
    versions = {"skae": __version__, "python": platform.python_version()}
    versions |= {name: version(name) for name in _LIBRARIES}
    document = {"kind": "estimator", "versions": versions, "estimator": found}
    return _files.pack(document | ({"metadata": metadata} if metadata else {}), encoder.arrays)


def unpack_estimator(data: bytes, names: Mapping[str, Any]) -> tuple[BaseEstimator, dict[str, Any]]:
    """Return the estimator in a file and its metadata; only what ``names`` holds is created."""
    document, arrays = _files.unpack(data)
    metadata = from_document(document)
    check_trusted(names_in(document["estimator"]), names)
    estimator = ObjectDecoder(arrays, names).decode(document["estimator"])
    if not isinstance(estimator, BaseEstimator):
        raise TypeError("it holds no estimator")
    return estimator, metadata


def forget_checkpoint(est: BaseEstimator) -> None:
    """Remove a path, which means nothing on another machine."""
    if "checkpoint" in est.get_params(deep=False):
        est.set_params(checkpoint=None)


class ObjectEncoder(ValueEncoder):
    """Encodes what a fitted estimator holds.

    Parameters
    ----------
    optimizer : bool
        Whether to save the optimizer's state.
    """

    def __init__(self, *, optimizer: bool) -> None:
        super().__init__()
        self.optimizer = optimizer

    def encode_object(self, value: Any, where: str) -> Any:
        """Encode what is not plain."""
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
            return {"$": "requests", "of": self.encode(get_requests(value), where)}
        if isinstance(value, Component):
            params = self.encode(value.get_params(deep=False), where)
            return {"$": "part", "class": self._name(type(value), where), "params": params}
        if isinstance(value, BaseEstimator):
            return self._estimator(value, where)
        if isinstance(value, nn.Module):
            return {"$": "layer"} | self.encode(layer_state(value, where), where)
        if hasattr(value, "__dict__") and not isinstance(value, _BUILTIN):
            return {"$": "object", "class": self._name(type(value), where), "state": self.encode(vars(value), where)}
        try:
            return super().encode_object(value, where)
        except TypeError as error:
            if ".callbacks." not in where:
                raise
            raise TypeError(
                f"{error} Callbacks that log hold files or connections: set callbacks=None first."
            ) from None

    def _name(self, thing: Any, where: str) -> str:
        name = name_of(thing)
        if "<lambda>" in name:
            raise TypeError(f"{where} is a lambda, which has no name: use a function or a class.")
        return name

    def _estimator(self, value: BaseEstimator, where: str) -> dict[str, Any]:
        params = value.get_params(deep=False)
        params |= {"checkpoint": None} if "checkpoint" in params else {}  # a file of this machine
        left_out = (*params, *_OF_A_PROCESS)
        kept = value.__getstate__()  # without what an estimator computes again
        fitted = {name: v for name, v in vars(value).items() if name in kept and name not in left_out}
        if fitted.get("code_model_") is not None and fitted["code_model_"] is fitted.get("prior_"):
            fitted["code_model_"] = None  # one object, which is saved once
        if isinstance(value, KernelDensity) and "tree_" in fitted:
            fitted = dict(zip(("rows", "sample_weight"), samples_of(value), strict=True))
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
                f"{where}.module_ differs from what its parameters describe, and cannot be saved: keep the estimator "
                f"with pickle. {error}"
            ) from error
        state["params"] |= {"callbacks": []}
        return state | {
            "module": arrays,
            "history": plain_history(state["history"]),
            "optimizer_state": state["optimizer_state"] if self.optimizer else None,
        }


def names_in(document: Any) -> Iterator[str]:
    """Yield the names of classes and functions in a document."""
    if isinstance(document, list):
        for item in document:
            yield from names_in(item)
    elif isinstance(document, dict):
        if "$" in document:
            yield from (str(document[key]) for key in _NAMED if isinstance(document.get(key), str))
        for item in document.values():
            yield from names_in(item)


class ObjectDecoder(ValueDecoder):
    """Decodes what `ObjectEncoder` encoded.

    Parameters
    ----------
    arrays : dict of ndarray
        The arrays of the file.
    names : mapping of str to class or function
        Everything that may be created.
    """

    def __init__(self, arrays: dict[str, np.ndarray], names: Mapping[str, Any]) -> None:
        super().__init__(arrays)
        self.names = names

    def read_class(self, value: dict) -> type:
        """Return a class, as it is."""
        return self._class(value, object)

    def read_function(self, value: dict) -> Any:
        """Return a function, as it is."""
        return self.names[value["function"]]

    def read_partial(self, value: dict) -> functools.partial:
        """Return a function or class with some of its arguments."""
        parts = self.decode(value["of"])
        return functools.partial(parts["function"], *parts["args"], **parts["keywords"])

    def read_layout(self, value: dict) -> ImageLayout | SequenceLayout:
        """Return the layout of images or sequences."""
        items = self.decode(value["items"])
        return (SequenceLayout if len(items) == len(SequenceLayout._fields) else ImageLayout)(*items)

    def read_condition(self, value: dict) -> Classes | Targets:
        """Return the encoding of y of a conditional estimator."""
        cls: Any = _CONDITIONS[value["kind"]]
        found = cls.__new__(cls)
        vars(found).update(self.decode(value["state"]))
        return found

    def read_requests(self, value: dict) -> dict[str, dict]:
        """Return metadata requests by method."""
        return self.decode(value["of"])

    def read_part(self, value: dict) -> Component:
        """Return a part with its parameters."""
        return self._class(value, Component)(**self.decode(value["params"]))

    def read_layer(self, value: dict) -> nn.Module:
        """Return a layer of torch."""
        state = self.decode({key: item for key, item in value.items() if key != "$"})
        if not (isinstance(state["class"], type) and issubclass(state["class"], nn.Module)):
            raise TypeError(f"a layer must be an nn.Module, got {state['class']!r}")
        return restored_layer(state)

    def read_object(self, value: dict) -> Any:
        """Return an object of a class that the user trusts."""
        cls: Any = self._class(value, object)
        if name_of(cls) in known_names():
            raise ValueError(f"a {name_of(cls)} cannot be restored from its attributes")
        found = cls.__new__(cls)
        vars(found).update(self.decode(value["state"]))
        return found

    def read_net(self, value: dict) -> AutoencoderNet:
        """Return a net with its weights."""
        state = self.decode(value["state"])
        if not isinstance(state["module"], dict):
            raise TypeError("a module must be saved as arrays")
        net = AutoencoderNet.__new__(AutoencoderNet)
        net.__setstate__(state)
        return net

    def read_estimator(self, value: dict) -> BaseEstimator:
        """Return an estimator, created from its parameters: parameters that are newer than the file have defaults."""
        cls = self._class(value, BaseEstimator)
        found = cls(**self.decode(value["params"]))
        fitted = self.decode(value["fitted"])
        forget_checkpoint(found)
        if issubclass(cls, KernelDensity) and "rows" in fitted:
            if found.metric == "pyfunc" or not isinstance(found.metric, str):  # it would call what the file names
                raise ValueError(f"a KernelDensity cannot have the metric {found.metric!r}")
            return found.fit(fitted["rows"], sample_weight=fitted["sample_weight"])
        for name, attribute in fitted.items():
            check_settable(cls, name)
            if name in _OF_A_PROCESS:
                raise ValueError(f"{name!r} cannot be restored from a file")
            if name == "_metadata_request":
                set_requests(found, attribute)
            else:
                vars(found)[name] = attribute
        if isinstance(found, BaseAutoencoder):
            if "code_model_" in fitted and fitted["code_model_"] is None:
                found.code_model_ = fitted.get("prior_")
            found._keep_former_defaults()
        return found

    def _class(self, value: dict, base: type) -> type:
        found = self.names[value["class"]]
        if not (isinstance(found, type) and issubclass(found, base)):
            raise TypeError(f"{value['class']} must be a subclass of {base.__name__}")
        return found
