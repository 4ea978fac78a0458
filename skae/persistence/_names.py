"""The names under which classes stand in files: public ones, which stay when files of the package move."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from functools import cache
from types import ModuleType
from typing import Any

import numpy as np
import torch
from sklearn import decomposition, impute, mixture, neighbors, preprocessing

from .. import bottlenecks, critics, estimators, losses, noise, tables, textures
from .. import nn as networks
from .._data.images import ImageLayout
from .._data.sequences import SequenceLayout
from .._data.targets import Classes, Targets
from .._density.autoregressive import Autoregressive
from .._density.factorized import Factorized
from .._density.flow import NormalizingFlow
from .._density.whole_passes import Passes
from .._module.autoencoder import Autoencoder
from .._training.net import AutoencoderNet
from ..nn import conv, gru, tcn
from ..nn._block_skip import BlockSkip
from ..nn._layers import LinearSkip

_PACKAGE = "skae.persistence"
# What autoencoders are used with, and what only computes: nothing here opens files or calls what it is given.
_SKLEARN = {
    decomposition: ("PCA",),
    impute: ("KNNImputer", "SimpleImputer"),
    mixture: ("BayesianGaussianMixture", "GaussianMixture"),
    neighbors: ("KernelDensity",),
    preprocessing: ("MaxAbsScaler", "MinMaxScaler", "RobustScaler", "StandardScaler"),
}
# They copy the layer that they are given, which need not be laid out without memory.
_COPIERS = (torch.nn.TransformerEncoder, torch.nn.TransformerDecoder)
# Code models, which `skae.coding` makes public.
_CODE_MODELS = (Autoregressive, Factorized, Passes)
# What fitted estimators hold besides parts.
STATE = (AutoencoderNet, Classes, ImageLayout, SequenceLayout, Targets)
# What a pickle names where a network of ours stands beside a part of the user's, and is pickled layer by layer.
LAYERS = (
    *(Autoencoder, BlockSkip, LinearSkip, conv._FromRow, conv._Residual, conv._ToRow, conv._Unshuffle),
    *(gru._PackedGRU, tcn._Convolutions),
)
# The modules that files of version 0.2.0 name.
_FORMER: dict[str, tuple[type, ...]] = {
    "skae._autoencoder": (Autoencoder,),
    "skae._conditions": (Classes, Targets),
    "skae._images": (ImageLayout,),
    "skae._net": (AutoencoderNet,),
    "skae.bottlenecks.gaussian": (bottlenecks.Gaussian,),
    "skae.bottlenecks.identity": (bottlenecks.Identity,),
    "skae.bottlenecks.k_sparse": (bottlenecks.KSparse,),
    "skae.bottlenecks.mmd": (bottlenecks.MMD,),
    "skae.bottlenecks.sparse": (bottlenecks.Sparse,),
    "skae.bottlenecks.squared_norm": (bottlenecks.SquaredNorm,),
    "skae.bottlenecks.total_correlation": (bottlenecks.TotalCorrelation,),
    "skae.estimators.conv": (estimators.ConvAutoencoder,),
    "skae.estimators.reconstructor": (estimators.Reconstructor,),
    "skae.estimators.transformer": (estimators.AutoencoderTransformer,),
    "skae.estimators.vae": (estimators.VAEGenerator,),
    "skae.losses.bernoulli": (losses.Bernoulli,),
    "skae.losses.discretized_logistic": (losses.DiscretizedLogistic,),
    "skae.losses.errors": (losses.AbsoluteError, losses.Huber, losses.SquaredError),
    "skae.losses.gaussian": (losses.Gaussian,),
    "skae.losses.laplace": (losses.Laplace,),
    "skae.nn._layers": (LinearSkip,),
    "skae.nn.conv": (networks.Conv, conv._FromRow, conv._Residual, conv._ToRow),
    "skae.nn.gru": (networks.GRU, gru._PackedGRU),
    "skae.nn.mlp": (networks.MLP,),
    "skae.nn.pair": (networks.EncoderDecoder,),
    "skae.nn.tcn": (networks.TCN, tcn._Convolutions),
}


def _public_classes() -> dict[str, type]:
    """The classes of the public packages that files may name, by the names that users import."""
    found = {f"skae.{name}": getattr(estimators, name) for name in estimators.__all__}
    for package in (bottlenecks, critics, losses, networks, noise, tables, textures):
        found |= {f"{package.__name__}.{name}": getattr(package, name) for name in package.__all__}
    found |= {f"skae.coding.{cls.__name__}": cls for cls in _CODE_MODELS}
    found["skae.density.NormalizingFlow"] = NormalizingFlow
    return {name: thing for name, thing in found.items() if isinstance(thing, type)}


def set_public_names() -> list[type]:
    """Give classes the public module and name that pickles and archives take; return those of this package.

    The names of version 0.2.0 are found too: pickles import them.
    """
    for module, classes in _FORMER.items():
        for cls in classes:
            vars(sys.modules.setdefault(module, ModuleType(module))).setdefault(cls.__name__, cls)
    for name, cls in _public_classes().items():
        cls.__module__ = name.rpartition(".")[0]
    for cls in (*STATE, *LAYERS):
        cls.__module__, cls.__qualname__ = _PACKAGE, cls.__name__.lstrip("_")
    return [*STATE, *LAYERS]


@cache
def known_names() -> dict[str, Any]:
    """Every class that is loaded from anybody, by its public name."""
    public: dict[str, Any] = dict(_public_classes())
    for package, names in _SKLEARN.items():
        public |= {f"{package.__name__}.{name}": getattr(package, name) for name in names}
    for package, base in ((torch.nn, torch.nn.Module), (torch.optim, torch.optim.Optimizer)):
        public |= {
            f"{package.__name__}.{name}": cls
            for name, cls in vars(package).items()
            if isinstance(cls, type) and issubclass(cls, base) and cls.__name__ == name and cls not in _COPIERS
        }
    return public


@cache
def _public_names() -> dict[Any, str]:
    return {thing: name for name, thing in known_names().items()}


def archived_name(thing: Any) -> str:
    """The name of a class or function in archives of skops, which import it by this name."""
    return f"{thing.__module__}.{thing.__qualname__}"


def former_names() -> list[str]:
    """The names in archives of version 0.2.0."""
    return [f"{module}.{cls.__name__}" for module, classes in _FORMER.items() for cls in classes if cls not in LAYERS]


def trusted_types() -> list[str]:
    """The names in archives of everything that autoencoders are made of, but for what is private in other libraries.

    No layers of torch: they create themselves from whatever arguments an archive holds.
    """
    public = [thing for name, thing in known_names().items() if name.startswith(("skae.", "torch.optim."))]
    names = {archived_name(thing) for thing in (*public, *STATE, np.dtype, torch.device)}
    return sorted(name for name in names if "._" not in name)


def name_of(thing: Any) -> str:
    """The public name of a known class, and the qualified name of any other class or function."""
    return _public_names().get(thing) or archived_name(thing)


def check_trusted(found: Iterable[str], trusted: Iterable[str]) -> None:
    """Check that a file names only what is ``trusted``."""
    names = sorted({*found} - {*trusted})
    if names:
        raise ValueError(
            f"it refers to the untrusted {'type' if len(names) == 1 else 'types'} {', '.join(names)}: if you trust the "
            f"file, pass trusted=[{', '.join(name.rpartition('.')[2] for name in names)}]"
        )


def with_names(trusted: Iterable[Any]) -> dict[str, Any]:
    """The known names, and those of the classes and functions that are ``trusted``.

    A class of a script has another module when it is imported: it is found as a class of ``__main__`` too.
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
