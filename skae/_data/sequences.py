"""How sequences lie in X, and their way to (n, length, channels) and back."""

from __future__ import annotations

import numbers
from typing import Any, NamedTuple

import numpy as np
from torch import Tensor


class SequenceLayout(NamedTuple):
    """Sequences with their channels first, (n, channels, length)."""

    row_shape: tuple[int, ...]  #: of a row of X: (channels, length)
    channel_axis: int  #: 0

    @property
    def is_image(self) -> bool:
        """Whether a row is an image."""
        return False

    def arrange(self, X: Any) -> Any:
        """Rows of X, an array or a tensor, as (n, length, channels), without a copy; sequences may have any length."""
        return X.swapaxes(1, 2)

    def restore(self, sequences: Any) -> Any:
        """Sequences of (n, length, channels) as rows of X."""
        swapped = sequences.swapaxes(1, 2)
        return swapped.contiguous() if isinstance(swapped, Tensor) else np.ascontiguousarray(swapped)


def has_channels_first(channel_axis: Any) -> bool:
    """Whether ``channel_axis`` says that sequences are (channels, length)."""
    is_integer = isinstance(channel_axis, numbers.Integral) and not isinstance(channel_axis, bool)
    return is_integer and channel_axis in (0, -2)


def step_axis_of(estimator: Any) -> int:
    """The axis of X along which sequences run, as the estimator's ``channel_axis`` says, if it has one."""
    return 2 if has_channels_first(getattr(estimator, "channel_axis", None)) else 1


def find_sequence_layout(row_shape: tuple[int, ...], channel_axis: Any) -> SequenceLayout | None:
    """The layout of rows that are sequences; None for (length, channels) and (length,), which networks read."""
    is_last = isinstance(channel_axis, numbers.Integral) and channel_axis in (1, -1) and channel_axis is not True
    if not (has_channels_first(channel_axis) or is_last or channel_axis is None or str(channel_axis) == "auto"):
        raise ValueError(
            f"channel_axis must be 'auto', -1 (length, channels) or 0 (channels, length) for sequences, got "
            f"{channel_axis!r}."
        )
    needs = 1 if channel_axis is None else 2
    if str(channel_axis) != "auto" and len(row_shape) != needs:
        raise ValueError(
            f"channel_axis={channel_axis} needs sequences with {needs} {'axis' if needs == 1 else 'axes'}, but X has "
            f"rows of shape {row_shape}."
        )
    return SequenceLayout(row_shape, 0) if has_channels_first(channel_axis) else None
