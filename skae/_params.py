"""Double-underscore names that reach a class, and the one door by which parts come in."""

from __future__ import annotations

import copy
import difflib
import inspect
import re
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from types import ModuleType
from typing import Any

from sklearn.base import clone
from torch import nn


def select(params: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    """Return what ``params`` holds for ``prefix``, without ``prefix__``."""
    start = prefix + "__"
    return {name.removeprefix(start): value for name, value in params.items() if name.startswith(start)}


def check_names(names: Iterable[str], accepted: Iterable[str], owner: str, prefix: str = "") -> None:
    """Raise a TypeError that names the first of ``names`` that is not ``accepted``."""
    accepted = sorted(accepted)
    for name in names:
        if name not in accepted:
            close = difflib.get_close_matches(name, accepted, n=1)
            hint = f" Did you mean {prefix}{close[0]!s}?" if close else ""
            raise TypeError(
                f"{owner} takes no parameter {prefix}{name}.{hint} "
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

    Only those have a name that need no argument but what is ``offered``, and are no bases: neither ``base`` itself nor
    what a ``base.py`` holds.
    """
    classes = [getattr(parts, public) for public in parts.__all__]
    classes = [cls for cls in classes if issubclass(cls, base) and cls is not base]
    classes = [cls for cls in classes if not cls.__module__.endswith(".base") and _needs_of_class(cls) <= set(offered)]
    choices = {_snake(cls.__name__): cls for cls in classes}
    if name not in choices:
        raise ValueError(
            f"{slot} must be one of {sorted(choices)}, {_kind(base)} class or an object of one, got {name!r}."
        )
    return choices[name]


def resolve(slot: str, value: Any, parts: ModuleType, base: type) -> Any:
    """Turn what a slot was given (string, class or object) into an object that `fit` may change."""
    if isinstance(value, str):
        value = find_class(slot, value, parts, base)
    if isinstance(value, type) and issubclass(value, base):
        if needed := _needs(value):
            raise TypeError(f"{slot}={value.__name__} needs {' and '.join(needed)}: give an object of it.")
        return value()
    if not isinstance(value, base):
        raise TypeError(f"{slot} must be a string, {_kind(base)} class or an object of one, got {value!r}.")
    return clone(value) if hasattr(value, "get_params") else copy.deepcopy(value)


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


def _snake(name: str) -> str:
    """``SquaredError`` → ``squared_error``; ``MLP`` → ``mlp``; ``ResidualMLP`` → ``residual_mlp``."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()
