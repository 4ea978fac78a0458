"""Warnings that point at the user's own line."""

from __future__ import annotations

import sys
import warnings

_BETWEEN = ("skae", "sklearn", "skops", "joblib", "copy", "pickle")  # ours, and what calls us for the user


def warn(message: str, category: type[Warning]) -> None:
    """Warn of what is done at the line that called skae, or a step of others around it."""
    # Python 3.12 has skip_file_prefixes for this.
    level, frame = 1, sys._getframe()
    while frame.f_back is not None and (frame.f_globals.get("__name__") or "").partition(".")[0] in _BETWEEN:
        level, frame = level + 1, frame.f_back
    warnings.warn(message, category, stacklevel=level)
