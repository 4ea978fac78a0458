"""Layouts of sequences in X, and their conversion to and from (n, length, channels)."""

from __future__ import annotations

import numbers
from typing import Any, NamedTuple

import numpy as np
from torch import Tensor


class SequenceLayout(NamedTuple):
    """Layout of sequences with channels first, (n, channels, length)."""

    row_shape: tuple[int, ...]  #: shape of a sample of X: (channels, length)
    channel_axis: int  #: always 0

    @property
    def is_image(self) -> bool:
        """Whether samples are images."""
        return False

    def arrange(self, X: Any) -> Any:
        """Return samples of X, an array or a tensor, as a view (n, length, channels) with any length."""
        return X.swapaxes(1, 2)

    def restore(self, sequences: Any) -> Any:
        """Rearrange sequences (n, length, channels) to samples of X."""
        swapped = sequences.swapaxes(1, 2)
        return swapped.contiguous() if isinstance(swapped, Tensor) else np.ascontiguousarray(swapped)


def has_channels_first(channel_axis: Any) -> bool:
    """Return whether ``channel_axis`` means that sequences are (channels, length)."""
    is_integer = isinstance(channel_axis, numbers.Integral) and not isinstance(channel_axis, bool)
    return is_integer and channel_axis in (0, -2)


def step_axis_of(estimator: Any) -> int:
    """Return the time axis of X, which depends on the estimator's ``channel_axis``, if it has one."""
    return 2 if has_channels_first(getattr(estimator, "channel_axis", None)) else 1


def find_sequence_layout(row_shape: tuple[int, ...], channel_axis: Any) -> SequenceLayout | None:
    """Return the layout of sequences; None for (length, channels) and (length,), which networks read directly."""
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
