"""One estimator of ours as the bytes of a safetensors file, and back."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

from sklearn.base import BaseEstimator

from .._utils import files as _files
from .._version import __version__
from ._metadata import from_document
from ._names import not_trusted
from ._objects import ObjectDecoder, ObjectEncoder, names_in

_LIBRARIES = ("torch", "scikit-learn", "skorch", "numpy", "safetensors")


def pack_estimator(estimator: BaseEstimator, *, optimizer: bool, metadata: Mapping[str, Any] | None = None) -> bytes:
    """A file of ``estimator``; a TypeError names the place of what cannot be kept."""
    encoder = ObjectEncoder(optimizer=optimizer)
    found = encoder.encode(estimator, type(estimator).__name__)
    versions = {"skae": __version__, "python": platform.python_version()}
    versions |= {name: version(name) for name in _LIBRARIES}
    document = {"kind": "estimator", "versions": versions, "estimator": found}
    return _files.pack(document | ({"metadata": metadata} if metadata else {}), encoder.arrays)


def unpack_estimator(data: bytes, names: Mapping[str, Any], device: Any) -> tuple[BaseEstimator, dict[str, Any]]:
    """Restore an estimator and its metadata; only what ``names`` holds is made."""
    document, arrays = _files.unpack(data)
    if document["kind"] != "estimator":
        raise ValueError(f"it is a {document['kind']}")
    metadata = from_document(document)
    missing = set(names_in(document["estimator"])) - names.keys()
    if missing:
        raise not_trusted(missing, "not skae's own")
    estimator = ObjectDecoder(arrays, names, device).decode(document["estimator"])
    if not isinstance(estimator, BaseEstimator):
        raise TypeError("it holds no estimator")
    return estimator, metadata
