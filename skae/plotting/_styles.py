"""Plots of images in the styles of others."""

from __future__ import annotations

import copy
import numbers
from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from .._data.images import is_auto
from .._utils.checks import check_number
from ._common import new_axes
from ._images import picture_list, split_images, value_range
from ._tiles import are_small, to_rgb

_GAP = 0.06  # of the height of a cell


class StyleDisplay:
    """Plot of images in the styles of others: contents down, styles across, with the originals as headers.

    With ``weights`` the columns are mixtures of the styles, such as those from one style to another. Each style is then
    above the column in which its weight is largest. Images of any size are drawn at equal height, wide ones smaller.

    Create it by `from_estimator`; the parameters are stored as attributes.

    Parameters
    ----------
    contents : array-like of shape (n_contents, height, width) or with channels, list of images, or one image
        The images that were given a style, with 1, 3 or 4 channels; the fourth is ignored.
    styles : array-like of shape (n_styles, height, width) or with channels, list of images, or one image
        The images that have the styles.
    results : sequence of n_contents lists of images
        Of each content its results, one for each style or for each of ``weights``.
    weights : array-like of shape (n_columns, n_styles), default=None
        The weights of the styles in each column. If None, there is a column for each style.
    channel_axis : {'auto', 0, -1, None}, default='auto'
        Axis of the channels in one image, as in `skae.ConvAutoencoder`.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes with the images.
    figure_ : matplotlib Figure
        Figure with the axes.
    headers_ : list of matplotlib AxesImage
        The styles.
    images_ : list of list of matplotlib AxesImage
        For each content, the original and its results.

    See Also
    --------
    TextureDisplay : Textures beside their exemplars.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from skimage.data import brick, chelsea, coffee, gravel
    >>> from skae.plotting import StyleDisplay
    >>> contents, styles = [chelsea(), coffee()], [brick(), gravel()]
    >>> faded = [[image // 2 + 64, image // 2] for image in contents]  # in place of transfers
    >>> display = StyleDisplay(contents=contents, styles=styles, results=faded).plot()
    >>> len(display.headers_), [len(row) for row in display.images_]
    (2, [3, 3])
    >>> plt.close(display.figure_)
    """

    def __init__(
        self,
        *,
        contents: Any,
        styles: Any,
        results: Sequence[Any],
        weights: Any = None,
        channel_axis: Any = "auto",
    ):
        self.contents = contents
        self.styles = styles
        self.results = results
        self.weights = weights
        self.channel_axis = channel_axis

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        *,
        weights: Any = None,
        n_samples: int = 4,
        channel_axis: Any = "auto",
        ax: Any = None,
        **kwargs: Any,
    ) -> StyleDisplay:
        """Give the first images of X each style, or mixtures of styles, and draw them.

        The weights are set on a copy of the estimator, which itself is not changed.

        Parameters
        ----------
        estimator : estimator object
            Fitted, with `transform`, a parameter ``weights`` and the attribute ``styles_``, such as a
            `skae.textures.StyleTransfer`.
        X : array-like of shape (n, height, width) or with channels, list of images, or one image
            Images to give a style; of any size.
        weights : array-like of shape (n_columns, n_styles), default=None
            Weights of the styles in each column, such as ``[(1, 0), (0.5, 0.5), (0, 1)]``. If None, each style alone.
        n_samples : int, default=4
            Maximum number of images of X to draw.
        channel_axis : {'auto', 0, -1, None}, default='auto'
            Axis of the channels in one image. If 'auto', the parameter of the estimator, if it has one.
        ax : matplotlib Axes, default=None
            Axes to draw on. If None, axes of a new figure.
        **kwargs
            Passed to `plot`.

        Returns
        -------
        display : StyleDisplay
            The display, drawn.

        Raises
        ------
        ValueError
            If ``weights`` do not have one for each style; if the estimator refuses X or the weights; if images have
            other channels than 1, 3 or 4.
        """
        check_is_fitted(estimator)
        check_number("n_samples", n_samples, numbers.Integral, 1)
        if is_auto(channel_axis):
            channel_axis = getattr(estimator, "channel_axis", "auto")
        contents = split_images(X, channel_axis, "X")[:n_samples]
        n_styles = len(estimator.styles_)
        shares = np.eye(n_styles) if weights is None else _check_weights(weights, n_styles)
        mixed, columns = copy.copy(estimator), []  # fitted attributes are shared, and only read
        for row in shares:
            if n_styles > 1:
                mixed.set_params(weights=tuple(row.tolist()))
            columns.append(mixed.transform(list(contents)))
        display = cls(
            contents=contents,
            styles=estimator.styles_,
            results=[list(row) for row in zip(*columns, strict=True)],
            weights=None if weights is None else shares,
            channel_axis=channel_axis,
        )
        return display.plot(ax, **kwargs)

    def plot(
        self,
        ax: Any = None,
        *,
        limits: tuple[float, float] | None = None,
        cmap: Any = "gray",
        **kwargs: Any,
    ) -> StyleDisplay:
        """Draw the images.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on. If None, axes of a new figure.
        limits : tuple of (float, float), default=None
            Values drawn black and white. If None, (0, 255) for uint8, (0, 1) for values in [0, 1], else the minimum and
            maximum of the contents, and for styles those of the styles.
        cmap : str or matplotlib Colormap, default='gray'
            Colors of images without channels.
        **kwargs
            Passed to matplotlib's ``imshow``.

        Returns
        -------
        display : StyleDisplay
            The display itself.

        Raises
        ------
        ValueError
            If there are not as many rows of results as contents, or rows differ in length; if images cannot be drawn.
        """
        contents = picture_list(self.contents, self.channel_axis, "contents")
        styles = picture_list(self.styles, self.channel_axis, "styles")
        rows = [picture_list(row, self.channel_axis, f"results[{i}]") for i, row in enumerate(self.results)]
        n_columns = len(styles) if self.weights is None else len(_check_weights(self.weights, len(styles)))
        if len(rows) != len(contents) or any(len(row) != n_columns for row in rows):
            raise ValueError(
                f"results must hold {n_columns} images for each of {len(contents)} contents, got rows of "
                f"{[len(row) for row in rows]}."
            )
        above = range(n_columns) if self.weights is None else _columns_of_styles(np.asarray(self.weights, float))
        limits_of_styles = value_range(styles) if limits is None else limits
        limits = value_range(contents) if limits is None else limits

        width = min(2.0, max(image.shape[1] / image.shape[0] for image in contents))  # of cells of height 1
        left, top = width + 2 * _GAP, 1 + 2 * _GAP  # of the results
        if ax is None:
            inches = min(2.2, 11 / (left + n_columns * (width + _GAP)), 11 / (top + len(rows) * (1 + _GAP)))
            size = inches * (left + n_columns * (width + _GAP)), inches * (top + len(rows) * (1 + _GAP)) + 0.3
            ax = new_axes(size)
            ax.figure.set_layout_engine("compressed")
        options = {"interpolation": "nearest" if are_small(contents) else None, **kwargs}

        def draw(image: np.ndarray, x: float, y: float, ends: tuple[float, float]) -> Any:
            """Draw an image as large as it fits into the cell at (x, y), in its center."""
            h, w = np.array(image.shape[:2]) * min(1 / image.shape[0], width / image.shape[1])
            x, y = x + (width - w) / 2, y + (1 - h) / 2
            return ax.imshow(to_rgb(image, ends, cmap), extent=(x, x + w, y + h, y), **options)

        self.headers_ = [
            draw(style, left + column * (width + _GAP), 0, limits_of_styles)
            for style, column in zip(styles, above, strict=True)
            if column is not None
        ]
        self.images_ = []
        for i, (content, row) in enumerate(zip(contents, rows, strict=True)):
            y = top + i * (1 + _GAP)
            drawn = [draw(image, left + j * (width + _GAP), y, limits) for j, image in enumerate(row)]
            self.images_.append([draw(content, 0, y, limits), *drawn])
        ax.set(xlim=(0, left + n_columns * (width + _GAP) - _GAP), ylim=(top + len(rows) * (1 + _GAP) - _GAP, 0))
        ax.set_aspect("equal")
        centers = [left + j * (width + _GAP) + width / 2 for j in range(n_columns)]
        shares: Any = [] if self.weights is None else _check_weights(self.weights, len(styles)).round(2)
        labels = [" : ".join(f"{share:g}" for share in row) for row in shares]
        ax.set_xticks(centers if labels else [], labels)
        ax.set_yticks([])
        ax.tick_params(length=0)
        ax.spines[:].set_visible(False)
        self.ax_, self.figure_ = ax, ax.figure
        return self


def _check_weights(weights: Any, n_styles: int) -> np.ndarray:
    """Return weights (n_columns, n_styles) as shares, whose sum is 1."""
    found = np.asarray(weights, dtype=np.float64)
    if found.ndim != 2 or not len(found) or found.shape[1] != n_styles:
        raise ValueError(
            f"weights must be a list of weights of {n_styles} styles, of the shape (n_columns, {n_styles}), got the "
            f"shape {found.shape}."
        )
    if not np.isfinite(found).all() or (found < 0).any() or not found.any(axis=1).all():
        raise ValueError(f"weights must be at least 0, and not all 0 in any column, got {weights!r}.")
    return found / found.sum(axis=1, keepdims=True)


def _columns_of_styles(weights: np.ndarray) -> list[int | None]:
    """Return above which column each style stands: where its weight is largest; None if that is taken or 0."""
    free = np.ones(len(weights), bool)
    found: list[int | None] = []
    for share in weights.T:
        column = int(np.argmax(np.where(free, share, -1)))
        taken = not free.any() or share[column] == 0
        found.append(None if taken else column)
        free[column] &= taken
    return found
