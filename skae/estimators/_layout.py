"""Images in whatever layout people hold them."""

from __future__ import annotations

from typing import Any

from .._images import ImageLayout, find_layout, is_auto


class Layout:
    """Brings rows into the layout of the network and back; for estimators with ``input_shape`` and ``channel_axis``."""

    input_shape: Any
    channel_axis: Any
    layout_: ImageLayout

    def _takes_images(self) -> bool:
        """Whether rows are images to the network."""
        return True

    def _is_told_a_layout(self) -> bool:
        return self.input_shape is not None or not is_auto(self.channel_axis)

    def _read_layout(self, row_shape: tuple[int, ...], again: bool) -> None:
        layout = find_layout(row_shape, self.input_shape, self.channel_axis) if self._takes_images() else None
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
