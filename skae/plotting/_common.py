"""What the displays share: matplotlib where it is used, axes, colours."""

from __future__ import annotations

from typing import Any

# Ten colours told apart by colour-blind readers too: M. A. Petroff, 2021. Accessible color sequences for data
# visualization. arXiv 2107.02270.
COLOURS = (
    "#3f90da", "#ffa90e", "#bd1f01", "#94a4a2", "#832db6", "#a96b59", "#e76300", "#b9ac70", "#717581", "#92dadd",
)  # fmt: skip


def pyplot() -> Any:
    """Import `matplotlib.pyplot`, or say how to get it."""
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError('skae.plotting needs matplotlib: pip install "skae[plot]"') from error
    return plt


def new_axes(figsize: tuple[float, float] | None = None) -> Any:
    """Axes of a figure of their own."""
    return pyplot().subplots(figsize=figsize, layout="constrained")[1]


def open_frame(ax: Any) -> None:
    """Leave of the frame what carries ticks."""
    ax.spines[["top", "right"]].set_visible(False)
