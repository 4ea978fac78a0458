"""Encode plain values as JSON and arrays, and decode them without importing, calling or running anything."""

from __future__ import annotations

import inspect
import math
import sys
from typing import Any

import numpy as np
import torch

_PLAIN = (type(None), bool, int, str)
_KINDS = "biuf"  # kinds of arrays that need no encoding


class ValueEncoder:
    """Encodes values for JSON, and collects arrays in ``arrays`` by their location.

    Types that JSON does not have are dicts with the kind as ``"$"``.
    """

    def __init__(self) -> None:
        self.arrays: dict[str, np.ndarray] = {}

    def encode(self, value: Any, where: str) -> Any:
        """Encode ``value``, found at ``where``; a TypeError names the location of values that cannot be saved."""
        if type(value) in _PLAIN:
            return value
        if type(value) is float:
            return value if math.isfinite(value) else {"$": "float", "value": str(value)}
        if type(value) is list:
            return self._items(value, where)
        if type(value) is tuple:
            return {"$": "tuple", "items": self._items(value, where)}
        if type(value) is slice:
            return {"$": "slice", "items": self._items([value.start, value.stop, value.step], where)}
        if _is_index(value):  # names of columns
            return self._items(value.tolist(), where)
        if isinstance(value, dict):
            if type(value) is dict and all(type(key) is str for key in value) and "$" not in value:
                return {key: self.encode(item, f"{where}.{key}") for key, item in value.items()}
            pairs = [[self.encode(key, where), self.encode(item, f"{where}.{key}")] for key, item in value.items()]
            return {"$": "dict", "items": pairs}
        if isinstance(value, np.ndarray) and type(value) is np.ndarray:
            return self._array(value, where)
        if isinstance(value, np.generic):
            return self._scalar(value, where)
        if isinstance(value, np.dtype) and value.kind in _KINDS:
            return {"$": "dtype", "name": value.str}
        if isinstance(value, torch.Tensor) and value.dtype != torch.bfloat16 and type(value) is torch.Tensor:
            return {"$": "tensor", "array": self._array(value.detach().cpu().numpy(), where)}
        if isinstance(value, torch.device):
            return {"$": "device", "name": str(value)}
        if isinstance(value, np.random.RandomState):
            return {"$": "random_state", "state": self.encode(value.get_state(legacy=False), where)}
        return self.encode_object(value, where)

    def encode_object(self, value: Any, where: str) -> Any:
        """Encode other kinds of values, in a subclass."""
        raise TypeError(f"{where} is {value!r}, but a {type(value).__qualname__} cannot be saved.")

    def _items(self, values: Any, where: str) -> list:
        return [self.encode(item, f"{where}.{i}") for i, item in enumerate(values)]

    def _array(self, array: np.ndarray, where: str) -> dict[str, Any]:
        kind = array.dtype.kind
        while where in self.arrays:  # names may contain dots
            where += "'"
        if kind in "UO":
            return {
                "$": "objects",
                "shape": list(array.shape),
                "text": kind == "U",
                "items": self._items(array.flat, where),
            }
        found: dict[str, Any] = {"$": "array", "name": where}
        if kind in "mM":
            found["dtype"], array = array.dtype.str, array.view(np.int64)
        elif kind not in _KINDS or array.dtype.itemsize > 8:
            raise TypeError(f"{where} is an array of dtype {array.dtype}, which cannot be saved.")
        if (
            array.flags.f_contiguous and not array.flags.c_contiguous
        ):  # the last bits of sums depend on the memory order
            found["order"], array = "F", array.T
        self.arrays[where] = array.astype(array.dtype.newbyteorder("<"), order="C", copy=False)
        return found

    def _scalar(self, value: np.generic, where: str) -> dict[str, Any]:
        if isinstance(value, np.str_):
            return {"$": "scalar", "dtype": "str", "value": str(value)}
        if value.dtype.kind not in _KINDS or value.dtype.itemsize > 8:
            raise TypeError(f"{where} is {value!r}, of a dtype that cannot be saved.")
        return {"$": "scalar", "dtype": value.dtype.str, "value": self.encode(value.item(), where)}


class ValueDecoder:
    """Decodes what `ValueEncoder` encoded. Invalid documents are a ValueError, a TypeError or a KeyError."""

    def __init__(self, arrays: dict[str, np.ndarray]) -> None:
        self.arrays = arrays

    def decode(self, value: Any) -> Any:
        """Decode ``value``, from JSON."""
        if isinstance(value, list):
            return [self.decode(item) for item in value]
        if not isinstance(value, dict):
            return value
        if "$" not in value:
            return {name: self.decode(item) for name, item in value.items()}
        read = getattr(self, f"read_{value['$']}", None)
        if read is None:
            raise ValueError(f"it has a value of the unknown kind {value['$']!r}")
        return read(value)

    def read_float(self, value: dict) -> float:
        """Return nan or an infinity."""
        return {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}[value["value"]]

    def read_tuple(self, value: dict) -> tuple:
        """Return a tuple."""
        return tuple(self.decode(_list(value["items"])))

    def read_slice(self, value: dict) -> slice:
        """Return a slice."""
        start, stop, step = self.decode(_list(value["items"]))
        return slice(start, stop, step)

    def read_dict(self, value: dict) -> dict:
        """Return a dict with keys other than strings."""
        return {self.decode(key): self.decode(item) for key, item in _list(value["items"])}

    def read_dtype(self, value: dict) -> np.dtype:
        """Return a dtype of numbers."""
        return _dtype(value["name"], _KINDS)

    def read_device(self, value: dict) -> torch.device:
        """Return a device, which need not be available."""
        return torch.device(value["name"])

    def read_scalar(self, value: dict) -> Any:
        """Return a NumPy scalar."""
        if value["dtype"] == "str":
            return np.str_(value["value"])
        with np.errstate(over="raise"):  # a number beyond the range of its dtype
            return _dtype(value["dtype"], _KINDS).type(self.decode(value["value"]))

    def read_array(self, value: dict) -> np.ndarray:
        """Return an array of numbers, or of dates, which are saved as numbers."""
        array = self.arrays.pop(value["name"])  # only once: repeated references would multiply the memory
        if value.get("order") == "F":
            array = array.T
        if "dtype" in value:
            if array.dtype != np.int64:
                raise ValueError("dates must be saved as int64")
            array = array.view(_dtype(value["dtype"], "mM"))
        return array

    def read_objects(self, value: dict) -> np.ndarray:
        """Return an array of strings or of plain values."""
        items = [self.decode(item) for item in _list(value["items"])]
        if value["text"]:
            return np.array([str(item) for item in items], dtype=str).reshape(value["shape"])
        found = np.empty(len(items), dtype=object)
        for i, item in enumerate(items):
            found[i] = item
        return found.reshape(value["shape"])

    def read_tensor(self, value: dict) -> torch.Tensor:
        """Return a tensor, on the CPU."""
        return torch.from_numpy(np.array(self.decode(value["array"])))

    def read_random_state(self, value: dict) -> np.random.RandomState:
        """Return a RandomState."""
        found = np.random.RandomState()
        found.set_state(self.decode(value["state"]))
        check_random_state(found)
        return found


def _is_index(value: Any) -> bool:
    """Return whether a value is an Index of pandas, which is saved as a list."""
    return "pandas" in sys.modules and isinstance(value, sys.modules["pandas"].Index)


def plain_history(history: list) -> list:
    """Return a history without values of callbacks that a file cannot store."""
    plain = (type(None), bool, int, float, str, np.number)
    return [
        {
            name: plain_history(value) if name == "batches" else value
            for name, value in row.items()
            if name == "batches" or isinstance(value, plain)
        }
        for row in history
    ]


def check_settable(cls: type, name: Any) -> None:
    """Check that an attribute from a file replaces no method or property of ``cls``."""
    if not isinstance(name, str) or name.startswith("__") or _is_descriptor(inspect.getattr_static(cls, name, None)):
        raise ValueError(f"a {cls.__name__} cannot have an attribute {name!r}")


def _is_descriptor(value: Any) -> bool:
    return hasattr(type(value), "__get__")


def check_random_state(found: np.random.RandomState) -> None:
    """Check that the position of a random state is valid: NumPy would read past the end of the key."""
    state = found.get_state(legacy=False)
    if state["bit_generator"] != "MT19937" or not 0 <= state["state"]["pos"] <= len(state["state"]["key"]):
        raise ValueError("a RandomState has an invalid position")


def _list(value: Any) -> list:
    if not isinstance(value, list):
        raise TypeError(f"a list is needed, got {type(value).__name__}")
    return value


def _dtype(name: Any, kinds: str) -> np.dtype:
    if not isinstance(name, str):
        raise TypeError("a dtype must be a string")
    found = np.dtype(name)
    if found.kind not in kinds or found.fields is not None or found.shape:
        raise ValueError(f"the dtype {found} is not valid here")
    return found
