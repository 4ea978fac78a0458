"""Layouts of samples in X: images, sequences with channels first, or that of the network."""

from __future__ import annotations

from typing import Any, NamedTuple

from .images import ImageLayout, find_layout, is_auto, refuse_one_image
from .sequences import SequenceLayout, find_sequence_layout


class NoLayout(NamedTuple):
    """Samples in the layout of the network."""

    is_image: bool = False

    def arrange(self, X: Any) -> Any:
        """Return X."""
        return X

    def restore(self, A: Any) -> Any:
        """Return A."""
        return A

    def __str__(self) -> str:
        return "that of the network"


Layout = ImageLayout | SequenceLayout | NoLayout
NO_LAYOUT = NoLayout()


def layout_of(estimator: Any) -> Layout:
    """Return the layout of a fitted estimator."""
    return vars(estimator).get("layout_", NO_LAYOUT)


def is_given(input_shape: Any, channel_axis: Any) -> bool:
    """Return whether the user has specified a layout."""
    return input_shape is not None or not is_auto(channel_axis)


def find_sample_layout(
    sample_shape: tuple[int, ...],
    input_shape: Any,
    channel_axis: Any,
    *,
    reads_padding: bool,
    reads_images: bool,
    takes_input_shape: bool,
) -> Layout:
    """Determine the layout of samples from their shape.

    Parameters
    ----------
    sample_shape : tuple of int
        Shape of a sample of X.
    input_shape, channel_axis : object
        The user's parameters.
    reads_padding, reads_images : bool
        Whether the network accepts sequences padded with NaN, and whether it accepts images.
    takes_input_shape : bool
        Whether the estimator has a parameter ``input_shape`` for flattened images.
    """
    given = is_given(input_shape, channel_axis)
    if reads_padding and input_shape is None:
        return find_sequence_layout(sample_shape, channel_axis) or NO_LAYOUT
    if not (given or reads_images):
        return NO_LAYOUT
    if not given:
        refuse_one_image(sample_shape)
    if len(sample_shape) == 1 and not takes_input_shape:
        raise ValueError(
            f"channel_axis={channel_axis!r} is for sequences (module='gru' or 'tcn') and images, but X is a "
            f"table of {sample_shape[0]} columns: set channel_axis='auto'."
        )
    return find_layout(sample_shape, input_shape, channel_axis)
