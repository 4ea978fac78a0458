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
        if not self._takes_images():
            vars(self).pop("layout_", None)
            return
        layout = find_layout(row_shape, self.input_shape, self.channel_axis)
        if again and layout != self.layout_:
            raise ValueError(
                "Training goes on only with images laid out as before: of shape "
                f"{self.layout_.image_shape} with channel_axis={self.layout_.channel_axis}, got {layout.image_shape} "
                f"with channel_axis={layout.channel_axis}."
            )
        self.layout_ = layout

    def _arrange(self, X: Any) -> Any:
        return self.layout_.arrange(X) if hasattr(self, "layout_") else X

    def _restore(self, A: Any) -> Any:
        return self.layout_.restore(A) if hasattr(self, "layout_") else A
