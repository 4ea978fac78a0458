"""Autoencoders for scikit-learn."""

from importlib import import_module
from typing import TYPE_CHECKING

from ._version import __version__ as __version__
from .estimators import AutoencoderTransformer, ConvAutoencoder, OutlierDetector, Reconstructor, VAEGenerator
from .estimators._truncate import truncate
from .persistence import load, save

if TYPE_CHECKING:
    from . import (  # noqa: F401
        bottlenecks,
        coding,
        critics,
        datasets,
        density,
        estimators,
        export,
        losses,
        metrics,
        model_selection,
        nn,
        noise,
        persistence,
        plotting,
        tables,
        textures,
    )

__all__ = [
    "AutoencoderTransformer",
    "ConvAutoencoder",
    "OutlierDetector",
    "Reconstructor",
    "VAEGenerator",
    "load",
    "save",
    "truncate",
]
_MODULES = (
    "bottlenecks",
    "coding",
    "critics",
    "datasets",
    "density",
    "estimators",
    "export",
    "losses",
    "metrics",
    "model_selection",
    "nn",
    "noise",
    "persistence",
    "plotting",
    "tables",
    "textures",
)


def __getattr__(name: str) -> object:
    """Import a public module when it is first asked for, since not every program needs each of them."""
    if name in _MODULES:
        return import_module(f".{name}", __name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*__all__, *_MODULES])
