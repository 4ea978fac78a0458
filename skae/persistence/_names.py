"""The names under which classes stand in files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

import numpy as np
import torch
from sklearn import decomposition, impute, mixture, neighbors, preprocessing

from .. import bottlenecks, estimators, losses, noise
from .. import nn as networks
from .._data.images import ImageLayout
from .._data.sequences import SequenceLayout
from .._data.targets import Classes, Targets
from .._training.net import AutoencoderNet

# What autoencoders are used with, and what only computes: nothing here opens files or calls what it is given.
_SKLEARN = {
    decomposition: ("PCA",),
    impute: ("KNNImputer", "SimpleImputer"),
    mixture: ("BayesianGaussianMixture", "GaussianMixture"),
    neighbors: ("KernelDensity",),
    preprocessing: ("MaxAbsScaler", "MinMaxScaler", "RobustScaler", "StandardScaler"),
}
# They copy the layer that they are given as often as they are told, and no file needs them.
_COPIERS = (torch.nn.TransformerEncoder, torch.nn.TransformerDecoder)
# What fitted estimators hold besides parts; they call this package their module.
STATE = (AutoencoderNet, Classes, ImageLayout, SequenceLayout, Targets)


@cache
def known_names() -> dict[str, Any]:
    """Everything that is loaded from anybody, by its public name."""
    public = {f"skae.{name}": getattr(estimators, name) for name in estimators.__all__}
    for package in (bottlenecks, losses, networks, noise):
        public |= {f"{package.__name__}.{name}": getattr(package, name) for name in package.__all__}
    for package, names in _SKLEARN.items():
        public |= {f"{package.__name__}.{name}": getattr(package, name) for name in names}
    for package, base in ((torch.nn, torch.nn.Module), (torch.optim, torch.optim.Optimizer)):
        public |= {
            f"{package.__name__}.{name}": cls
            for name, cls in vars(package).items()
            if isinstance(cls, type) and issubclass(cls, base) and cls.__name__ == name and cls not in _COPIERS
        }
    return {name: thing for name, thing in public.items() if isinstance(thing, type)}


@cache
def _public_names() -> dict[Any, str]:
    return {thing: name for name, thing in known_names().items()}


def archived_name(thing: Any) -> str:
    """The name of a class or function in archives of skops, which import it by this name."""
    return f"{thing.__module__}.{thing.__qualname__}"


def trusted_types() -> list[str]:
    """The names in archives of everything that autoencoders are made of, but for what is private in other libraries.

    No layers of torch: they create themselves from whatever arguments an archive holds.
    """
    public = [thing for name, thing in known_names().items() if name.startswith(("skae.", "torch.optim."))]
    names = {archived_name(thing) for thing in (*public, *STATE, np.dtype, torch.device)}
    return sorted(name for name in names if "._" not in name)


def name_of(thing: Any) -> str:
    """The public name of what everybody knows, and the qualified one of any other class or function."""
    return _public_names().get(thing) or archived_name(thing)


def not_trusted(names: Iterable[str], what: str) -> ValueError:
    """An error about ``names`` in a file, which are neither ours nor among those that the user trusts."""
    names = sorted(names)
    return ValueError(
        f"it names {', '.join(names)}, which is {what}: if you trust the file and what it names, "
        f"pass trusted=[{', '.join(name.rpartition('.')[2] for name in names)}]"
    )


def with_names(trusted: Iterable[Any]) -> dict[str, Any]:
    """The known names, and those of the classes and functions that are ``trusted``.

    What was saved by a script has another module to whoever imports it: it goes by ``__main__`` too.
    """
    if isinstance(trusted, str) or not isinstance(trusted, Iterable):
        raise TypeError(f"trusted must be a list of classes and functions, got {trusted!r}.")
    given = dict(trusted) if isinstance(trusted, Mapping) else {}
    trusted = list(given.values() if isinstance(trusted, Mapping) else trusted)
    for thing in trusted:
        if not (callable(thing) and hasattr(thing, "__qualname__")):
            raise TypeError(f"trusted must hold classes and functions, such as MyNetwork, got {thing!r}.")
    of_scripts = {f"__main__.{thing.__qualname__}": thing for thing in trusted}
    return known_names() | of_scripts | {name_of(thing): thing for thing in trusted} | given
