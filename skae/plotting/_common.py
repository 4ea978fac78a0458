"""Helpers shared by the displays: import of matplotlib, axes, colors."""

from __future__ import annotations

from typing import Any

# Ten colors that color-blind readers can distinguish: M. A. Petroff, 2021. Accessible color sequences for data
# visualization. arXiv 2107.02270.
COLORS = (
    "#3f90da", "#ffa90e", "#bd1f01", "#94a4a2", "#832db6", "#a96b59", "#e76300", "#b9ac70", "#717581", "#92dadd",
)  # fmt: skip


def pyplot() -> Any:
    """Import `matplotlib.pyplot`, or raise an error with the command that installs it."""
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError('skae.plotting needs matplotlib: pip install "skae[plot]"') from error
    return plt


def new_axes(figsize: tuple[float, float] | None = None) -> Any:
    """Create a figure and return its axes."""
    return pyplot().subplots(figsize=figsize, layout="constrained")[1]


def open_frame(ax: Any) -> None:
    """Hide the top and right spines."""
    ax.spines[["top", "right"]].set_visible(False)
