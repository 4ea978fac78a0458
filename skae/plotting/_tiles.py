"""Rows of images, drawn as one picture with captions and details."""

from __future__ import annotations

import math
import operator
from typing import Any

import numpy as np

from ._common import COLORS, new_axes, pyplot

_UNKNOWN = (0.55, 0.7, 0.85)  # pale blue, for NaN


def are_small(images: Any) -> bool:
    """Return whether no image has a side of more than 64 pixels, so that its pixels are meant to be seen."""
    return max(max(image.shape[:2]) for image in images) <= 64


def check_zoom(zoom: Any, images: Any) -> tuple[int, ...]:
    """Check that the region ``zoom`` lies within each of ``images``, the samples of X."""
    try:
        row, column, height, width = (operator.index(value) for value in zoom)
    except (TypeError, ValueError):
        raise TypeError(
            f"zoom must be None or four integers (row, column, height, width) in pixels, got {zoom!r}."
        ) from None
    if min(row, column) < 0 or min(height, width) < 1:
        raise ValueError(f"zoom must have row >= 0, column >= 0, height >= 1 and width >= 1, got {zoom!r}.")
    for i, image in enumerate(images):
        if row + height > image.shape[0] or column + width > image.shape[1]:
            raise ValueError(
                f"zoom must be a region (row, column, height, width) within each image, got {zoom!r}, which ends at "
                f"({row + height}, {column + width}), but X[{i}] has the size {image.shape[:2]}."
            )
    return row, column, height, width


def draw_tiles(
    ax: Any,
    rows: Any,
    limits: tuple[float, float],
    cmap: Any,
    *,
    captions: Any = None,
    zoom: tuple[int, ...] | None = None,
    **kwargs: Any,
) -> tuple[Any, Any, Any]:
    """Draw rows of gray (height, width) or color images (height, width, 3) as one picture with white gaps.

    Images of a column have one shape; those of a row stand on one line, small ones enlarged by a whole factor. Ticks,
    without marks, are at the centers of rows and columns. ``captions`` has a list of texts for each row, drawn below
    its images. The region ``zoom`` of each image, (row, column, height, width), is drawn enlarged to its right. Return
    the axes, created if ``ax`` is None, the `AxesImage`, and a list of those of the details for each row.
    """
    n_rows, n_columns, small = len(rows), len(rows[0]), are_small(rows[0])
    captions = [[""] * n_columns] * n_rows if captions is None else captions
    sides = np.array([image.shape[:2] for image in rows[0]])
    factors = (sides.max(axis=0) // sides).min(axis=1)
    sides *= factors[:, None]
    height, gap = int(sides[:, 0].max()), max(1, round(int(sides.max()) / 20))
    steps = sides[:, 1] + gap
    if zoom is not None:
        enlarged = (sides / zoom[2:]).min(axis=1)[:, None] * zoom[2:]  # height and width of each detail
        steps += np.ceil(enlarged[:, 1]).astype(int) + gap
    lefts, width = steps.cumsum() - steps, int(steps.sum()) - gap

    total = n_rows * (height + gap)
    if ax is None:
        inches = min(10.0, max(3.4, (0.85 if small else 2.5) * n_columns * (1 if zoom is None else 2)))
        scale = max(width / inches, total / 10)  # pixels per inch
    else:
        scale = max(np.array([width, total]) / ax.bbox.size * ax.figure.dpi)
    size = _font_inches()
    text_width = 0.65 * size * max(len(text) for row in captions for text in row)  # about as wide as drawn
    upright = text_width * scale > steps.min()
    between = any(text for row in captions[:-1] for text in row)
    step = height + gap + math.ceil(between * scale * (text_width if upright else 1.2 * size))
    bottoms = np.arange(n_rows) * step + height

    colors = [[to_rgb(image, limits, cmap) for image in row] for row in rows]
    picture = np.ones((bottoms[-1], width, 3), np.float32)
    for bottom, row in zip(bottoms, colors, strict=True):
        for rgb, (h, w), left, factor in zip(row, sides, lefts, factors, strict=True):
            picture[bottom - h : bottom, left : left + w] = rgb.repeat(factor, axis=0).repeat(factor, axis=1)
    if ax is None:
        ax = new_axes((width / scale + 1.1, len(picture) / scale + 0.6))
        ax.figure.set_layout_engine("compressed")  # 'constrained' may cut off labels of axes of a fixed aspect
    image = ax.imshow(picture, **{"interpolation": "nearest" if small else None, **kwargs})
    centers = lefts + (sides[:, 1] - 1) / 2
    ax.set_xticks(centers, captions[-1], rotation=90 if upright else 0)
    ax.set_yticks(bottoms - (height + 1) / 2)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    for bottom, row in zip(bottoms[:-1], captions, strict=False):
        for center, text in zip(centers, row, strict=True):
            if text:
                place = {"xytext": (0, -2), "textcoords": "offset points", "ha": "center", "va": "top"}
                ax.annotate(text, (center, bottom - 0.5), size=size * 72, rotation=90 if upright else 0, **place)
    if zoom is None:
        return ax, image, None
    ax.autoscale(False)  # details do not change the limits of the axes
    frame = {"fill": False, "edgecolor": COLORS[1], "linewidth": 1.2, "clip_on": False}
    zoom_top, zoom_left, zoom_height, zoom_width = zoom
    details: list[list[Any]] = []
    for bottom, row in zip(bottoms, colors, strict=True):
        details.append([])
        for rgb, (h, w), (dh, dw), left, factor in zip(row, sides, enlarged, lefts, factors, strict=True):
            x, y = left + w + gap / 2 - 0.5, bottom - 0.5
            region = rgb[zoom_top : zoom_top + zoom_height, zoom_left : zoom_left + zoom_width]
            extent = (x, x + dw, y, y - dh)
            detail = ax.imshow(region, interpolation="nearest", extent=extent, aspect=ax.get_aspect())
            details[-1].append(detail)
            corner = (left + zoom_left * factor - 0.5, bottom - h + zoom_top * factor - 0.5)
            ax.add_patch(pyplot().Rectangle(corner, zoom_width * factor, zoom_height * factor, **frame))
            ax.add_patch(pyplot().Rectangle((x, y - dh), dw, dh, **frame))
    return ax, image, details


def to_rgb(image: np.ndarray, limits: tuple[float, float], cmap: Any) -> np.ndarray:
    """Return the colors of an image, with values outside of ``limits`` clipped."""
    low, high = limits
    scaled = ((image.astype(np.float64) - low) / ((high - low) or 1.0)).clip(0, 1)
    unknown, scaled = np.isnan(scaled), np.nan_to_num(scaled)
    if image.ndim == 2:
        rgb = pyplot().get_cmap(cmap)(scaled)[..., :3]
    else:
        rgb, unknown = scaled, unknown.any(axis=-1)
    rgb[unknown] = _UNKNOWN
    return rgb.astype(np.float32)  # photographs are large


def _font_inches() -> float:
    """Return the size of tick labels in inches."""
    from matplotlib.font_manager import FontProperties

    return FontProperties(size=pyplot().rcParams["xtick.labelsize"]).get_size_in_points() / 72
