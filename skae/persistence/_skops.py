"""Pipelines and other estimators around autoencoders, as archives of skops."""

from __future__ import annotations

import copy
import io
import types
import zipfile
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.model_selection import BaseCrossValidator, BaseShuffleSplit
from torch import nn

from .._utils.codec import check_random_state
from .._utils.sklearn_compat import HARMLESS_TYPES
from ..estimators import OutlierDetector, Reconstructor
from ..estimators._base import BaseAutoencoder
from ..tables import TableAutoencoder, TableEncoder
from ..textures import StyleTransfer, TextureSynthesizer
from ._metadata import from_archive, into_archive
from ._names import archived_name, check_trusted, former_names, known_names, name_of, trusted_types
from ._objects import forget_checkpoint, pack_estimator, unpack_estimator

_OURS = (
    *(BaseAutoencoder, OutlierDetector, Reconstructor),
    *(StyleTransfer, TableAutoencoder, TableEncoder, TextureSynthesizer),
)
_PACKED = "_packed"
_SPARE = 2**20  # bytes


def dumps(estimator: Any, *, optimizer: bool, metadata: Mapping[str, Any] | None = None) -> bytes:
    """Return an archive of ``estimator``, in which an autoencoder is the bytes of its own file.

    An archive therefore names public classes only, and needs no support of skops for tensors.
    """
    estimator = copy.deepcopy(estimator)
    for found in list(autoencoders_in(estimator)):
        data = pack_estimator(found, optimizer=optimizer)
        found.__dict__.clear()
        found.__dict__[_PACKED] = np.frombuffer(data, dtype=np.uint8)
    data = need_skops().dumps(estimator)
    return into_archive(data, dict(metadata)) if metadata else data


def loads(data: bytes, names: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
    """Return the estimator in an archive and its metadata; only ``names`` and what skops trusts itself is created."""
    _check_sizes(data)
    metadata = from_archive(data)
    sio = need_skops()
    # Layers of torch create themselves from whatever an archive says; `dumps` puts none there.
    named = [thing for name, thing in names.items() if not name.startswith("torch.nn.")]
    allowed = {*map(archived_name, named), *trusted_types(), *former_names(), *HARMLESS_TYPES}
    check_trusted(sio.get_untrusted_types(data=data), allowed)
    estimator = sio.loads(data, trusted=sorted(allowed))
    for found in _within(estimator, set()):
        if isinstance(found, np.random.RandomState):
            check_random_state(found)
    for found in list(autoencoders_in(estimator)):
        if _PACKED in vars(found):
            inner, _ = unpack_estimator(np.asarray(vars(found)[_PACKED], dtype=np.uint8).tobytes(), names)
            if type(inner) is not type(found):
                raise TypeError(f"a {type(found).__name__} cannot be a {type(inner).__name__}")
            found.__dict__.clear()
            found.__dict__.update(vars(inner))
        else:  # written by skops itself, or by version 0.2.0
            forget_checkpoint(found)
    return estimator, metadata


def need_skops() -> Any:
    """Return the package, or raise an ImportError that says how to install it."""
    try:
        import skops.io
    except ImportError as error:
        raise ImportError(
            "Estimators other than skae's own are saved as archives of skops, which is missing: "
            "pip install 'skae[skops]'."
        ) from error
    return skops.io


def _check_sizes(data: bytes) -> None:
    """Check that an archive unpacks to no more than its own size."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = archive.infolist()
    if any(member.compress_type != zipfile.ZIP_STORED for member in members):  # some unpack to more than they claim
        raise ValueError("it is a compressed archive, which skae does not write")
    size = sum(max(member.file_size, member.compress_size) for member in members)
    if size > len(data) + _SPARE:
        raise ValueError(f"it is an archive of {len(data)} bytes that claims to hold {size}")


def autoencoders_in(value: Any) -> Iterator[BaseAutoencoder]:
    """Yield the autoencoders anywhere within an estimator."""
    return (found for found in _within(value, set()) if isinstance(found, BaseAutoencoder))


def _within(value: Any, seen: set[int]) -> Iterator[Any]:
    """Yield an estimator, its parameters and attributes, and theirs."""
    if id(value) in seen:
        return
    seen.add(id(value))
    yield value
    inner: list[Any] = []
    if isinstance(value, dict):
        inner = [*value.keys(), *value.values()]
    elif isinstance(value, list | tuple | set | frozenset) or (isinstance(value, np.ndarray) and value.dtype == object):
        inner = [*(value.flat if isinstance(value, np.ndarray) else value)]
    if hasattr(value, "__dict__") and not isinstance(value, type | nn.Module | types.FunctionType | types.ModuleType):
        inner += vars(value).values()
    for item in inner:
        yield from _within(item, seen)


def stands_alone(estimator: Any) -> bool:
    """Whether a safetensors file can hold an estimator: it and the estimators in it are ours, or known."""
    if not isinstance(estimator, _OURS):
        return False
    # Splitters are no estimators, and are made as skops makes them.
    kinds = (BaseEstimator, BaseCrossValidator, BaseShuffleSplit)
    inner = [type(found) for found in _within(estimator, set()) if isinstance(found, kinds)]
    return not any(cls.__module__.startswith("sklearn.") and name_of(cls) not in known_names() for cls in inner)
