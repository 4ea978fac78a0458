"""Double-underscore names that reach a class, and the one door by which parts come in."""

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

# What parts are called in Keras, torch, scikit-learn and papers, by slot.
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
    """What a partial is one of, and the parameters that it gives; others are themselves and give none."""
    given: dict[str, Any] = {}
    while isinstance(network, functools.partial):
        network, given = network.func, network.keywords | given
    return network, given


def find_name(name: str, choices: Iterable[str], short: Mapping[str, str] = _NONE) -> str | None:
    """Return the one of ``choices`` that ``name`` spells, or stands for in ``short``; None if there is none.

    Case, underscores, spaces and hyphens make no difference: 'LeakyReLU' is 'leaky_relu'.
    """
    meanings = {_letters(other): meant for other, meant in short.items()} | {_letters(c): c for c in choices}
    return meanings.get(_letters(name))


def without_part(name: str, slot: str, part: Any) -> str:
    """What is said of the parameter ``name`` of a slot that has none."""
    if isinstance(part, str):
        return f"{name} needs a {slot} that has it, and {slot}={part!r} chooses for itself: pass a class or an object."
    return f"{name} needs a {slot} that has it, got {slot}={part!r}: set {slot} too."


def did_you_mean(name: Any, choices: Iterable[Any], write: Callable[[str], str] = repr) -> str:
    """A sentence that names the nearest of ``choices``, with a blank before it; '' where none is near."""
    known = {_letters(choice): choice for choice in choices if isinstance(choice, str)}
    close = difflib.get_close_matches(_letters(name), known, n=1) if isinstance(name, str) else []
    return f" Did you mean {write(known[close[0]])}?" if close else ""


def takes(function: Callable[..., Any], name: str) -> bool:
    """Whether ``function`` has a parameter ``name``, which users' parts of earlier versions may lack."""
    return name in inspect.signature(function).parameters


def select(params: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    """Return what ``params`` holds for ``prefix``, without ``prefix__``."""
    start = prefix + "__"
    return {name.removeprefix(start): value for name, value in params.items() if name.startswith(start)}


def check_names(
    names: Iterable[str],
    accepted: Iterable[str],
    owner: str,
    prefix: str = "",
    hint: Callable[[str], str] = lambda name: "",
) -> None:
    """Raise a TypeError that names the first of ``names`` that is not ``accepted``.

    It gives the ``hint`` for the name, or the nearest of what is accepted where that is ''.
    """
    accepted = sorted(accepted)
    for name in names:
        if name not in accepted:
            remedy = hint(name) or did_you_mean(name, accepted, lambda other: prefix + other)
            raise TypeError(
                f"{owner} takes no parameter {prefix}{name}.{remedy} "
                f"It takes: {', '.join(prefix + name for name in accepted) or 'none'}."
            )


def build(factory: Callable[..., Any], offered: Mapping[str, Any], given: Mapping[str, Any], prefix: str) -> Any:
    """Call ``factory`` with whichever of ``offered`` its signature names, and all of ``given``.

    ``given`` are the user's parameters, which came as ``<prefix>__<name>``: one that the signature
    does not name, or that is offered already, is an error.
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
    """The same for what must make an nn.Module."""
    made = build(factory, offered, given, prefix)
    if not isinstance(made, nn.Module):
        raise TypeError(f"{prefix}={_name(factory)} must give an nn.Module, got {made!r}.")
    return made


def find_class(slot: str, name: str, parts: ModuleType, base: type, offered: Iterable[str] = ()) -> type:
    """Return the class that ``name`` ('squared_error') stands for among the public ``parts``.

    Only those have a name that need no argument but what is ``offered``, and are no bases, whose own body says
    ``_abstract``.
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
    """Turn what a slot was given (string, class or object) into an object that `fit` may change.

    ``given`` are its parameters, which came as ``<slot>__<name>``.
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
    """A copy of ``part`` with the parameters ``given``, which may be those of its own parts."""
    names = (name.partition("__")[0] for name in given)
    check_names(names, part.get_params(deep=False), f"{slot}={type(part).__name__}", f"{slot}__")
    return _copied(part).set_params(**given)


def _copied(part: Any) -> Any:
    return clone(part) if hasattr(part, "get_params") else copy.deepcopy(part)


def _needs(factory: Callable[..., Any]) -> list[str]:
    """The arguments that a class, or another callable, cannot be called without."""
    # As it is called: a decorator around it may supply what it wraps needs.
    parameters = inspect.signature(factory, follow_wrapped=False).parameters.values()
    return [p.name for p in parameters if p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]


@cache
def _needs_of_class(cls: type) -> frozenset[str]:
    """Return `_needs` of a class of skae's own, which does not change: signatures take longer than a small network."""
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
