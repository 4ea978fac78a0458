"""Plots of textures beside their exemplars."""

from __future__ import annotations

import numbers
from typing import Any, NamedTuple

import numpy as np
from sklearn.utils.validation import check_is_fitted

from .._data.images import is_auto
from .._utils.checks import check_number
from ._common import new_axes
from ._images import picture_list, split_images, value_range
from ._places import find_stride, legends, source_picture
from ._tiles import are_small, to_rgb


class TextureDisplay:
    """Plot of samples of a texture, tiled, beside the exemplars that they were made from.

    All are drawn at one scale: a pixel of the exemplar is as large as one of a sample. Samples are repeated 2 × 2
    times, so that a seam is seen if there is one. Fine ticks outside of the picture show where the tiles meet.

    With ``sources``, a second picture of each sample has the color of the place in the exemplar that each cell comes
    from, and the exemplar is drawn in these colors too: hue runs from left to right, lightness from top to bottom. A
    smooth area was copied as one piece, its border is a cut. Several exemplars are colored as if they stood one below
    the other.

    Create it by `from_estimator`, or from any textures; the parameters are stored as attributes.

    Parameters
    ----------
    exemplars : array-like of shape (height, width) or with channels, or list of images
        The exemplar, or several, with 1, 3 or 4 channels; the fourth is ignored.
    samples : array-like of shape (n_samples, height, width) or with channels, list of images, or one image
        Images in the layout and the units of the exemplars.
    sources : ndarray of shape (n_samples, 3, n_rows, n_columns), int, default=None
        Of each cell of ``stride`` × ``stride`` pixels the index of its exemplar, and the row and column there, in
        pixels, that it comes from.
    stride : int, default=None
        Side of a cell in pixels. If None, it follows from the shapes.
    channel_axis : {'auto', 0, -1, None}, default='auto'
        Axis of the channels in one image, as in `skae.ConvAutoencoder`.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes with the picture.
    figure_ : matplotlib Figure
        Figure with the axes.
    im_ : matplotlib AxesImage
        The picture.
    ticks_ : matplotlib LineCollection
        The ticks where tiles meet.

    See Also
    --------
    skae.metrics.seam_ratio : Whether samples tile, as a number.
    skae.metrics.copied_share : How much is copied, as a number.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from skimage.data import gravel
    >>> from skae.plotting import TextureDisplay
    >>> exemplar, sample = gravel()[:128, :128], gravel()[128:256, 128:256]
    >>> display = TextureDisplay(exemplars=exemplar, samples=sample).plot()  # a real sample, which does not tile
    >>> [label.get_text() for label in display.ax_.get_xticklabels()]
    ['exemplar', 'sample, tiled 2 × 2']
    >>> plt.close(display.figure_)
    """

    def __init__(
        self,
        *,
        exemplars: Any,
        samples: Any,
        sources: np.ndarray | None = None,
        stride: int | None = None,
        channel_axis: Any = "auto",
    ):
        self.exemplars = exemplars
        self.samples = samples
        self.sources = sources
        self.stride = stride
        self.channel_axis = channel_axis

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        *,
        n_samples: int = 1,
        size: tuple[int, int] | None = None,
        sources: bool = False,
        random_state: Any = None,
        channel_axis: Any = "auto",
        ax: Any = None,
        **kwargs: Any,
    ) -> TextureDisplay:
        """Draw samples of a texture, and plot them beside the exemplars.

        Parameters
        ----------
        estimator : estimator object
            Fitted, with `sample` and the attribute ``exemplars_``, such as a `skae.textures.TextureSynthesizer`.
        n_samples : int, default=1
            Number of samples.
        size : tuple of (int, int), default=None
            Height and width of samples in pixels. If None, the estimator's default.
        sources : bool, default=False
            Whether to show where each cell of the samples comes from. `sample` must take ``return_sources``.
        random_state : int, RandomState instance or None, default=None
            Passed to `sample`.
        channel_axis : {'auto', 0, -1, None}, default='auto'
            Axis of the channels in one image. If 'auto', the parameter of the estimator, if it has one.
        ax : matplotlib Axes, default=None
            Axes to draw on. If None, axes of a new figure.
        **kwargs
            Passed to `plot`.

        Returns
        -------
        display : TextureDisplay
            The display, drawn.

        Raises
        ------
        ValueError
            If ``n_samples`` < 1; if the estimator refuses its arguments; if images have other channels than 1, 3 or 4.
        """
        check_is_fitted(estimator)
        check_number("n_samples", n_samples, numbers.Integral, 1)
        options = ({} if size is None else {"size": size}) | ({"return_sources": True} if sources else {})
        found = estimator.sample(n_samples, random_state=random_state, **options)
        samples, places = found if sources else (found, None)
        if is_auto(channel_axis):
            channel_axis = getattr(estimator, "channel_axis", "auto")
        display = cls(
            exemplars=estimator.exemplars_,
            samples=samples,
            sources=places,
            stride=getattr(estimator, "stride_", None),
            channel_axis=channel_axis,
        )
        return display.plot(ax, **kwargs)

    def plot(
        self,
        ax: Any = None,
        *,
        n_tiles: int = 2,
        limits: tuple[float, float] | None = None,
        cmap: Any = "gray",
        **kwargs: Any,
    ) -> TextureDisplay:
        """Draw the images.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on. If None, axes of a new figure.
        n_tiles : int, default=2
            How often each sample is repeated down and across; 1 for samples that are not meant to tile.
        limits : tuple of (float, float), default=None
            Values drawn black and white. If None, (0, 255) for uint8, (0, 1) for values in [0, 1], else the minimum and
            maximum of the exemplars.
        cmap : str or matplotlib Colormap, default='gray'
            Colors of images without channels.
        **kwargs
            Passed to matplotlib's ``imshow``.

        Returns
        -------
        display : TextureDisplay
            The display itself.

        Raises
        ------
        ValueError
            If exemplars or samples are not images; if ``n_tiles`` < 1; if ``sources`` do not fit the samples.
        """
        check_number("n_tiles", n_tiles, numbers.Integral, 1)
        exemplars = picture_list(self.exemplars, self.channel_axis, "exemplars")
        n_axes = np.ndim(split_images(self.exemplars, self.channel_axis, "exemplars")[0])
        samples = picture_list(self.samples, self.channel_axis, "samples", n_axes)
        limits = value_range(exemplars) if limits is None else limits
        shown = [to_rgb(image, limits, cmap) for image in exemplars]
        tiles = [[to_rgb(image, limits, cmap)] for image in samples]
        gap = max(3, round(max(shown[0].shape[:2]) / 10))
        left, names = [shown], ["exemplar" if len(shown) == 1 else "exemplars"]
        sample = "sample" if n_tiles == 1 else f"sample, tiled {n_tiles} × {n_tiles}"
        if self.sources is None:
            grid = [[tile for row in tiles for tile in row]]  # one beside the other
            names += [sample] * len(grid[0])
        else:
            grid = [
                [*row, picture]
                for row, picture in zip(tiles, self._source_pictures(shown, [row[0] for row in tiles]), strict=True)
            ]
            colors = legends(shown)
            left = [[*shown, *colors]] if len(shown) == 1 else [shown, colors]
            names += ["colors of places"] * (len(left) - 1) + [sample, "where it comes from"]
        columns = [_Column(images, 1) for images in left] + [_Column(list(c), n_tiles) for c in zip(*grid, strict=True)]
        picture, centers, edges = _composed(columns, gap)
        small = are_small([*exemplars, *samples])
        if ax is None:
            height, width = picture.shape[:2]
            scale = max(width / min(10.0, max(4.0, 2.5 * len(columns))), height / 10)  # pixels per inch
            ax = new_axes((width / scale, height / scale + 0.4))
            ax.figure.set_layout_engine("compressed")
        self.ax_, self.figure_ = ax, ax.figure
        self.im_ = ax.imshow(picture, **{"interpolation": "nearest" if small else None, **kwargs})
        self.ticks_ = _draw_ticks(ax, edges, gap)
        height, width = picture.shape[:2]
        ax.set(xlim=(-0.5 - gap / 2, width - 0.5 + gap / 2), ylim=(height - 0.5 + gap / 2, -0.5 - gap / 2))
        ax.set_xticks(centers, names)
        ax.set_yticks([])
        ax.tick_params(length=0, top=False, labeltop=True, bottom=False, labelbottom=False)
        ax.spines[:].set_visible(False)
        return self

    def _source_pictures(self, exemplars: list[np.ndarray], samples: list[np.ndarray]) -> list[np.ndarray]:
        """Return the picture of each sample in the colors of its sources."""
        sources = np.asarray(self.sources)
        if sources.ndim == 3:
            sources = sources[None]
        if sources.ndim != 4 or sources.shape[:2] != (len(samples), 3):
            raise ValueError(
                f"sources must have the shape ({len(samples)}, 3, n_rows, n_columns), got {sources.shape}."
            )
        shapes = [image.shape for image in exemplars]
        pictures = []
        for image, places in zip(samples, sources, strict=True):
            stride = find_stride(places, image.shape[:2]) if self.stride is None else self.stride
            check_number("stride", stride, numbers.Integral, 1)
            cells = tuple(-(-side // stride) for side in image.shape[:2])
            if places.shape[1:] != cells:
                raise ValueError(
                    f"sources must have {cells[0]} x {cells[1]} cells of stride={stride} pixels for a sample of "
                    f"{image.shape[0]} x {image.shape[1]}, got {places.shape[1]} x {places.shape[2]}."
                )
            pictures.append(source_picture(image, places, shapes, stride))
        return pictures


class _Column(NamedTuple):
    """Images that are drawn one below the other, each repeated ``n_tiles`` times down and across."""

    images: list[np.ndarray]
    n_tiles: int


def _composed(columns: list[_Column], gap: int) -> tuple[np.ndarray, list[float], list[tuple[float, ...]]]:
    """Return columns as one picture on white, their centers, and of tiled ones (left, top, height, width, n_tiles)."""
    heights = [sum(len(image) * n for image in images) + gap * (len(images) - 1) for images, n in columns]
    widths = [max(image.shape[1] for image in images) * n for images, n in columns]
    picture = np.ones((max(heights), sum(widths) + gap * (len(columns) - 1), 3), np.float32)
    centers: list[float] = []
    edges: list[tuple[float, ...]] = []
    left = 0
    for (images, n), wide in zip(columns, widths, strict=True):
        top = 0
        for image in images:
            tiled = np.tile(image, (n, n, 1))
            height, width = tiled.shape[:2]
            picture[top : top + height, left : left + width] = tiled
            if n > 1:
                edges.append((left, top, height, width, n))
            top += height + gap
        centers.append(left + (wide - 1) / 2)
        left += wide + gap
    return picture, centers, edges


def _draw_ticks(ax: Any, edges: list[tuple[float, ...]], gap: int) -> Any:
    """Draw short lines outside of tiled pictures where tiles meet."""
    from matplotlib.collections import LineCollection

    length, segments = gap / 3, []
    for left, top, height, width, n in edges:
        for i in range(1, int(n)):
            x, y = left + i * width / n - 0.5, top + i * height / n - 0.5
            for start, end in ((top - 0.5, -length), (top + height - 0.5, length)):
                segments.append([(x, start), (x, start + end)])
            for start, end in ((left - 0.5, -length), (left + width - 0.5, length)):
                segments.append([(start, y), (start + end, y)])
    return ax.add_collection(LineCollection(segments, colors="0.2", linewidths=0.8), autolim=False)
