"""Resolution of parts from strings, classes and objects, and of their double-underscore parameters."""

from __future__ import annotations

import copy
import difflib
import functools
import inspect
import re
from collections.abc import Callable, Iterable, Mapping
from functools import cache, lru_cache
from types import MappingProxyType, ModuleType
from typing import Any

from sklearn.base import clone
from torch import nn

# Names of parts in Keras, torch, scikit-learn and papers, by slot.
_SHORT_NAMES = {
    "module": {"cnn": "conv", "convolutional": "conv", "dense": "mlp"},
    "bottleneck": {
        **dict.fromkeys(("vae", "beta_vae"), "gaussian"),
        **dict.fromkeys(("wae", "wae_mmd"), "mmd"),
        "beta_tc_vae": "total_correlation",
        **dict.fromkeys(("vq", "vq_vae"), "vector_quantizer"),
    },
    "loss": {
        **dict.fromkeys(("mse", "mse_loss", "mean_squared_error", "l2"), "squared_error"),
        **dict.fromkeys(("mae", "mean_absolute_error", "l1", "l1_loss"), "absolute_error"),
        **dict.fromkeys(("bce", "bce_loss", "binary_cross_entropy"), "bernoulli"),
        **dict.fromkeys(("poisson_nll", "poisson_nll_loss"), "poisson"),
        **dict.fromkeys(("nb", "negbinomial"), "negative_binomial"),
        **dict.fromkeys(("cross_entropy", "cross_entropy_loss", "softmax"), "categorical"),
        **dict.fromkeys(("huber_loss", "smooth_l1", "smooth_l1_loss"), "huber"),
    },
    "noise": {
        **dict.fromkeys(("gaussian", "normal"), "gaussian_noise"),
        **dict.fromkeys(("masking", "mask"), "masking_noise"),
        "block": "block_masking",
    },
}
_NONE: Mapping[str, Any] = MappingProxyType({})


def unwrapped(network: Any) -> tuple[Any, dict[str, Any]]:
    """Return the function of a partial and its parameters; anything else unchanged, without parameters."""
    given: dict[str, Any] = {}
    while isinstance(network, functools.partial):
        network, given = network.func, network.keywords | given
    return network, given


def find_name(name: str, choices: Iterable[str], short: Mapping[str, str] = _NONE) -> str | None:
    """Return the choice that matches ``name``, directly or by ``short``; None if there is none.

    Case, underscores, spaces and hyphens are ignored: 'LeakyReLU' is 'leaky_relu'.
    """
    meanings = {_letters(other): meant for other, meant in short.items()} | {_letters(c): c for c in choices}
    return meanings.get(_letters(name))


def without_part(name: str, slot: str, part: Any) -> str:
    """Return the message for a parameter ``name`` of a slot without parameters."""
    if isinstance(part, str):
        return f"{name} needs a {slot} with this parameter, but {slot}={part!r} has none: pass a class or an object."
    return f"{name} needs a {slot} with this parameter, got {slot}={part!r}: set {slot}, too."


def did_you_mean(name: Any, choices: Iterable[Any], write: Callable[[str], str] = repr) -> str:
    """Return a suggestion of the nearest choice, with a leading blank; '' if none is near."""
    known = {_letters(choice): choice for choice in choices if isinstance(choice, str)}
    close = difflib.get_close_matches(_letters(name), known, n=1) if isinstance(name, str) else []
    return f" Did you mean {write(known[close[0]])}?" if close else ""


def takes(function: Callable[..., Any], name: str) -> bool:
    """Return whether ``function`` has a parameter ``name``, which users' parts for earlier versions may lack."""
    return name in inspect.signature(function).parameters


def select(params: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    """Return the entries of ``params`` with ``prefix__``, without this prefix."""
    start = prefix + "__"
    return {name.removeprefix(start): value for name, value in params.items() if name.startswith(start)}


def check_names(
    names: Iterable[str],
    accepted: Iterable[str],
    owner: str,
    prefix: str = "",
    hint: Callable[[str], str] = lambda name: "",
) -> None:
    """Raise a TypeError for the first of ``names`` that is not ``accepted``.

    It includes the ``hint`` for the name, or the nearest accepted name if that is ''.
    """
    accepted = sorted(accepted)
    for name in names:
        if name not in accepted:
            remedy = hint(name) or did_you_mean(name, accepted, lambda other: prefix + other)
            raise TypeError(
                f"{owner} has no parameter {prefix}{name}.{remedy} "
                f"Valid parameters are: {', '.join(prefix + name for name in accepted) or 'none'}."
            )


def build(factory: Callable[..., Any], offered: Mapping[str, Any], given: Mapping[str, Any], prefix: str) -> Any:
    """Call ``factory`` with those of ``offered`` that are in its signature, and all of ``given``.

    ``given`` are the user's parameters ``<prefix>__<name>``: a name that is not in the signature, or already offered,
    is an error.
    """
    parameters = inspect.signature(factory).parameters.values()
    named = {p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}
    free = any(p.kind is p.VAR_KEYWORD for p in parameters)
    accepted = (named | set(given) if free else named) - set(offered)
    check_names(given, accepted, f"{prefix}={_name(factory)}", f"{prefix}__")
    missing = [name for name in _needs(factory) if name in named and name not in {*offered, *given}]
    if missing:
        raise TypeError(f"{prefix}={_name(factory)} needs {' and '.join(f'{prefix}__{name}' for name in missing)}.")
    return factory(**{name: value for name, value in offered.items() if name in named} | dict(given))


def build_module(
    factory: Callable[..., Any], offered: Mapping[str, Any], given: Mapping[str, Any], prefix: str
) -> nn.Module:
    """Call `build`, and check that the result is an nn.Module."""
    made = build(factory, offered, given, prefix)
    if not isinstance(made, nn.Module):
        raise TypeError(f"{prefix}={_name(factory)} must return an nn.Module, got {made!r}.")
    return made


def find_class(slot: str, name: str, parts: ModuleType, base: type, offered: Iterable[str] = ()) -> type:
    """Return the class for ``name`` ('squared_error') among the public ``parts``.

    Classes that need other arguments than those ``offered``, and abstract ones, which define ``_abstract``, have no
    name.
    """
    classes = [getattr(parts, public) for public in parts.__all__]
    classes = [cls for cls in classes if issubclass(cls, base) and "_abstract" not in vars(cls)]
    classes = [cls for cls in classes if _needs_of_class(cls) <= set(offered)]
    choices = {_snake(cls.__name__): cls for cls in classes}
    found = find_name(name, choices, _SHORT_NAMES.get(slot, _NONE))
    if found not in choices:
        raise ValueError(
            f"{slot} must be one of {sorted(choices)}, {_kind(base)} class or an object of one, got {name!r}."
            f"{did_you_mean(name, choices)}"
        )
    return choices[found]


def resolve(slot: str, value: Any, parts: ModuleType, base: type, given: Mapping[str, Any] = _NONE) -> Any:
    """Resolve a string, class or object to an object that `fit` may change.

    ``given`` are its parameters, ``<slot>__<name>``.
    """
    if isinstance(value, str):
        value = find_class(slot, value, parts, base, given)
    if isinstance(value, type) and issubclass(value, base):
        nested = {name: item for name, item in given.items() if "__" in name}
        value = build(value, {}, {name: item for name, item in given.items() if name not in nested}, slot)
        return _with_params(slot, value, nested) if nested else value
    if not isinstance(value, base):
        raise TypeError(f"{slot} must be a string, {_kind(base)} class or an object of one, got {value!r}.")
    return _with_params(slot, value, given) if given else _copied(value)


def _with_params(slot: str, part: Any, given: Mapping[str, Any]) -> Any:
    """Return a copy of ``part`` with the parameters ``given``, also those of nested parts."""
    names = (name.partition("__")[0] for name in given)
    check_names(names, part.get_params(deep=False), f"{slot}={type(part).__name__}", f"{slot}__")
    return _copied(part).set_params(**given)


def _copied(part: Any) -> Any:
    return clone(part) if hasattr(part, "get_params") else copy.deepcopy(part)


def _needs(factory: Callable[..., Any]) -> list[str]:
    """Return the required arguments of a class or another callable."""
    # With its decorators, which may supply required arguments.
    parameters = inspect.signature(factory, follow_wrapped=False).parameters.values()
    return [p.name for p in parameters if p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]


@cache
def _needs_of_class(cls: type) -> frozenset[str]:
    """Return cached `_needs` of a class of skae, since reading signatures takes longer than a small network."""
    return frozenset(_needs(cls))


def _name(factory: Callable[..., Any]) -> str:
    return getattr(factory, "__name__", repr(factory))


def _kind(base: type) -> str:
    return "an nn.Module" if base is nn.Module else f"a {base.__name__}"


@lru_cache(1024)
def _letters(name: str) -> str:
    return re.sub(r"[\s_-]", "", name).lower()


@lru_cache(1024)
def _snake(name: str) -> str:
    """``SquaredError`` → ``squared_error``; ``MLP`` → ``mlp``; ``ResidualMLP`` → ``residual_mlp``."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()
