"""Warnings that point to the user's line of code, and deprecations."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar, cast

# Modules of skae, of its decorators, and of packages that call it.
_BETWEEN = ("skae", "contextlib", "sklearn", "skops", "joblib", "copy", "pickle")
_Function = TypeVar("_Function", bound=Callable[..., Any])


def warn(message: str, category: type[Warning]) -> None:
    """Warn at the line of the user's code that called skae, directly or through another package."""
    # Python 3.12 has skip_file_prefixes for this.
    level, frame = 1, sys._getframe()
    while frame.f_back is not None and (frame.f_globals.get("__name__") or "").partition(".")[0] in _BETWEEN:
        level, frame = level + 1, frame.f_back
    warnings.warn(message, category, stacklevel=level)


def renamed_argument(old: str, new: str, *, since: str, until: str) -> Callable[[_Function], _Function]:
    """Accept the argument ``new`` of a function also by its former name ``old``, with a FutureWarning.

    The signature only has the new name, also for scikit-learn's metadata routing.

    Parameters
    ----------
    old, new : str
        The names of the argument.
    since, until : str
        The versions that renamed it, and that will no longer accept ``old``.
    """

    def decorate(function: _Function) -> _Function:
        @wraps(function)
        def accepting(*args: Any, **kwargs: Any) -> Any:
            if old in kwargs:
                if new in kwargs:
                    raise TypeError(f"{function.__name__} got both {new} and {old}, its former name: pass only {new}.")
                warn(
                    f"The argument {old} of {function.__name__} was renamed to {new} in {since}; {old} will be an "
                    f"error from {until} on.",
                    FutureWarning,
                )
                kwargs[new] = kwargs.pop(old)
            return function(*args, **kwargs)

        return cast(_Function, accepting)

    return decorate
