"""Images and sequences in whatever layout people hold them."""

from __future__ import annotations

from typing import Any

from .._data.images import ImageLayout, find_layout, is_auto, refuse_one_image
from .._data.sequences import SequenceLayout, find_sequence_layout
from ._parts import find_network, reads_padding


class Layout:
    """Brings rows into the layout of the network and back; for estimators with ``channel_axis``."""

    input_shape: Any = None  # where an estimator has no such parameter
    channel_axis: Any = "auto"
    module: Any
    layout_: ImageLayout | SequenceLayout

    def _takes_images(self) -> bool:
        """Whether rows are images to the network."""
        return True

    def _is_told_a_layout(self) -> bool:
        return self.input_shape is not None or not is_auto(self.channel_axis)

    def _find_layout(self, row_shape: tuple[int, ...]) -> ImageLayout | SequenceLayout | None:
        if reads_padding(find_network(self.module)) and self.input_shape is None:
            return find_sequence_layout(row_shape, self.channel_axis)
        if not self._takes_images():
            return None
        if not self._is_told_a_layout():
            refuse_one_image(row_shape)
        if len(row_shape) == 1 and "input_shape" not in vars(self):
            raise ValueError(
                f"channel_axis={self.channel_axis!r} is for sequences (module='gru' or 'tcn') and images, and X is a "
                f"table of {row_shape[0]} columns: leave it at 'auto'."
            )
        return find_layout(row_shape, self.input_shape, self.channel_axis)

    def _read_layout(self, row_shape: tuple[int, ...], again: bool) -> None:
        layout = self._find_layout(row_shape)
        before = getattr(self, "layout_", None)
        if again and layout != before:
            raise ValueError(
                f"Training goes on only with rows laid out as before: {before or 'as they come'}, "
                f"got {layout or 'as they come'}."
            )
        if layout is None:
            vars(self).pop("layout_", None)
        else:
            self.layout_ = layout

    def _arrange(self, X: Any) -> Any:
        return self.layout_.arrange(X) if hasattr(self, "layout_") else X

    def _restore(self, A: Any) -> Any:
        return self.layout_.restore(A) if hasattr(self, "layout_") else A
