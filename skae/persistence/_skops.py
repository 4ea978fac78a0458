"""Pipelines and other estimators around ours, as archives of skops."""

from __future__ import annotations

import copy
import functools
import io
import types
import zipfile
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.neighbors import KernelDensity
from torch import nn

from .._module.state import module_state
from .._utils.checks import check_device
from .._utils.codec import check_random_state
from .._utils.component import Component
from .._utils.sklearn_compat import metadata_request
from ..estimators import Reconstructor
from ..estimators._base import BaseAutoencoder
from ._checks import check_restored
from ._metadata import from_archive, into_archive
from ._names import archived_name, known_names, name_of, not_trusted, trusted_types
from ._objects import forget_checkpoint
from ._requests import own
from ._single import pack_estimator, unpack_estimator

# The names of version 0.2.0.
_FORMER = (
    "skae._conditions.Classes",
    "skae._conditions.Targets",
    "skae._images.ImageLayout",
    "skae._net.AutoencoderNet",
)
# What skops does not know to be harmless in what stands around ours: searches, routing.
_HARMLESS = (
    "sklearn.metrics._scorer._PassthroughScorer",
    "sklearn.model_selection._split.KFold",
    "sklearn.model_selection._split.StratifiedKFold",
    "sklearn.utils._metadata_requests.MetadataRequest",
    "sklearn.utils._metadata_requests.MethodMetadataRequest",
)
_PACKED = "_packed"
_SPARE = 2**20  # bytes


def dumps(estimator: Any, *, optimizer: bool, metadata: Mapping[str, Any] | None = None) -> bytes:
    """An archive of ``estimator``. An autoencoder that skops cannot hold stands in it as the bytes of its own file."""
    estimator = copy.deepcopy(estimator)
    for found in list(autoencoders_in(estimator)):
        forget_checkpoint(found)
        if not optimizer and "net_" in vars(found):
            found.net_.forget_optimizer()
        if (requests := metadata_request(found)) is not None:
            own(requests, type(found).__name__)  # skops knows no references back
        if not _suits_skops(found):
            data = pack_estimator(found, optimizer=optimizer)
            found.__dict__.clear()
            found.__dict__[_PACKED] = np.frombuffer(data, dtype=np.uint8)
    data = need_skops().dumps(estimator)
    return into_archive(data, dict(metadata)) if metadata else data


def loads(data: bytes, names: Mapping[str, Any], device: Any) -> tuple[Any, dict[str, Any]]:
    """Restore an estimator and its metadata; only what ``names`` holds, and what skops trusts itself, is made."""
    _check_sizes(data)
    metadata = from_archive(data)
    sio = need_skops()
    # Layers of torch's make themselves from whatever an archive says; `dumps` puts none there.
    named = [thing for name, thing in names.items() if not name.startswith("torch.nn.")]
    allowed = {*map(archived_name, named), *trusted_types(), *_FORMER, *_HARMLESS}
    unknown = set(sio.get_untrusted_types(data=data)) - allowed
    if unknown:
        raise not_trusted(unknown, "neither skae's own nor harmless to skops")
    estimator = sio.loads(data, trusted=sorted(allowed))
    for found in _within(estimator, set()):
        if isinstance(found, np.random.RandomState):
            check_random_state(found)
    for found in list(autoencoders_in(estimator)):
        if _PACKED in vars(found):
            inner, _ = unpack_estimator(np.asarray(vars(found)[_PACKED], dtype=np.uint8).tobytes(), names, device)
            if type(inner) is not type(found):
                raise TypeError(f"a {type(found).__name__} cannot be a {type(inner).__name__}")
            found.__dict__.clear()
            found.__dict__.update(vars(inner))
            continue
        forget_checkpoint(found)
        check_restored(found)
        if device is not None:
            found.set_params(device=device)
            if "net_" in vars(found):
                found.net_ = found.net_.on(str(check_device(device)))
    return estimator, metadata


def _suits_skops(est: BaseAutoencoder) -> bool:
    """Whether an autoencoder holds neither tensors of its own, as layers do, nor a tree: skops knows neither."""
    if isinstance(vars(est).get("prior_"), KernelDensity):
        return False
    held: list[Any] = [*est.get_params().values()]
    if "net_" in vars(est):
        recipe = est.net_.get_params_for("module")
        held += [module_state(est.net_.module_, recipe), *recipe.values()]
    return not any(map(_is_layer, held))


def _is_layer(value: Any) -> bool:
    """Whether a parameter is a layer, or a class of torch's: recipes are none."""
    if isinstance(value, type):
        return issubclass(value, nn.Module) and value.__module__.startswith("torch.")
    if isinstance(value, functools.partial):
        return True
    return isinstance(value, nn.Module) and not (isinstance(value, Component) and not value.state_dict())


def need_skops() -> Any:
    """The package, or an ImportError that says how to get it."""
    try:
        import skops.io
    except ImportError as error:
        raise ImportError(
            "Estimators other than skae's own are kept in archives of skops, which is missing: "
            "pip install 'skae[skops]'."
        ) from error
    return skops.io


def _check_sizes(data: bytes) -> None:
    """Check that an archive is no bomb: what is stored plainly is no larger than the archive itself."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = archive.infolist()
    if any(member.compress_type != zipfile.ZIP_STORED for member in members):  # some unpack more than they say
        raise ValueError("it is an archive that is compressed, as skae's are not")
    size = sum(max(member.file_size, member.compress_size) for member in members)
    if size > len(data) + _SPARE:
        raise ValueError(f"it is an archive of {len(data)} bytes that claims to hold {size}")


def autoencoders_in(value: Any) -> Iterator[BaseAutoencoder]:
    """The autoencoders anywhere within an estimator."""
    return (found for found in _within(value, set()) if isinstance(found, BaseAutoencoder))


def _within(value: Any, seen: set[int]) -> Iterator[Any]:
    """An estimator, its parameters and attributes, and theirs."""
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
    """Whether a file of its own can hold an estimator: it is ours, and so is what it holds, or known."""
    if not isinstance(estimator, BaseAutoencoder | Reconstructor):
        return False
    inner = [type(found) for found in _within(estimator, set()) if isinstance(found, BaseEstimator)]
    return not any(cls.__module__.startswith("sklearn.") and name_of(cls) not in known_names() for cls in inner)
