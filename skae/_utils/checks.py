"""Checks of parameters: numbers, choices, devices."""

from __future__ import annotations

import numbers
import sys
from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from sklearn.utils import check_scalar

from .slots import did_you_mean

LARGEST = float(np.finfo(np.float32).max)


def check_number(
    name: str, value: Any, kind: type, low: float, high: float | None = None, bounds: str = "both"
) -> None:
    """Check that ``value`` is a number of ``kind``, not a bool, within bounds."""
    if isinstance(value, bool | np.bool_):
        raise TypeError(f"{name} must be an instance of {kind.__name__}, not bool.")
    high = (
        sys.maxsize if high is None and isinstance(value, numbers.Integral) else high
    )  # largest integer of torch and NumPy
    check_scalar(value, name, kind, min_val=low, max_val=high, include_boundaries=bounds)
    if not abs(float(value)) <= LARGEST:
        raise ValueError(f"{name} == {value}, must be finite in float32.")


def check_widths(name: str, widths: Any) -> list[int]:
    """Check layer widths: a sequence, which may be empty, or an integer for one layer, as in `MLPRegressor`."""
    if isinstance(widths, numbers.Integral):
        widths = [widths]
    is_scalar = isinstance(widths, str | bytes) or getattr(widths, "ndim", 1) == 0  # 0-d array
    if is_scalar or not isinstance(widths, Iterable):
        raise TypeError(f"{name} must be an integer or a sequence of integers, got {widths!r}.")
    widths = list(widths)
    for width in widths:
        check_number(f"every entry of {name}", width, numbers.Integral, 1)
    return [int(width) for width in widths]


def check_choice(name: str, value: Any, choices: tuple) -> None:
    """Check that ``value`` is one of ``choices``; 1 is not True."""
    found = value.item() if isinstance(value, np.generic) else value  # a parameter grid may be an array
    if not any(type(found) is type(choice) and found == choice for choice in choices):
        hint = did_you_mean(value, choices)
        raise ValueError(f"{name} must be one of {', '.join(map(repr, choices))}, got {value!r}.{hint}")


def check_device(device: Any) -> torch.device:
    """Return the torch device of ``device``; 'auto' is CUDA if available, else the CPU.

    Other devices are errors, since standardization in float64 and private random states need one of these two.
    """
    if isinstance(device, str) and device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if not isinstance(device, str | torch.device | int):
        raise TypeError(f"device must be a string or a torch.device, got {device!r}.")
    try:
        found = torch.device(device)
    except (RuntimeError, TypeError, ValueError, OverflowError):
        found = None
    if found is None or found.type not in ("cpu", "cuda"):
        hint = " A GPU is 'cuda'." if str(device).lower().startswith("gpu") else ""
        raise ValueError(
            f"device must be 'auto', 'cpu' or a CUDA device such as 'cuda' or 'cuda:1', got {device!r}.{hint}"
        )
    try:
        torch.empty(0, device=found)
    except (RuntimeError, AssertionError, NotImplementedError, ValueError, OverflowError) as error:
        raise ValueError(
            f"device={device!r} is not available here (use 'auto'): {str(error).splitlines()[0]}"
        ) from error
    return found
