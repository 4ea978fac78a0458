"""Plots of images decoded along two components of the code."""

from __future__ import annotations

import numbers
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from .._data.arrays import as_array
from .._utils.checks import check_number
from ._images import as_images, layout_params, value_range
from ._tiles import draw_tiles


class TraversalDisplay:
    """Plot of images decoded from a grid over two components of the code, with all others fixed.

    The first component varies horizontally and the second one vertically, with their values on the ticks. Codes with a
    single component give one row.

    Create it by `from_estimator`; the parameters are stored as attributes.

    Parameters
    ----------
    images : ndarray of shape (n_rows, n_columns, height, width) or (n_rows, n_columns, height, width, 3)
        Decoded images, in the order of the values.
    x_values : ndarray of shape (n_columns,)
        Values of the horizontal component, ascending.
    y_values : ndarray of shape (n_rows,) or None
        Values of the vertical component, ascending; None if there is only one row.
    axis_labels : sequence of str
        Names of the components drawn.
    limits : tuple of (float, float)
        Values drawn black and white.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes with the picture.
    figure_ : matplotlib Figure
        Figure with the axes.
    im_ : matplotlib AxesImage
        The picture.

    See Also
    --------
    LatentDisplay : Scatter plot of codes.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from sklearn.datasets import load_digits
    >>> from skae import AutoencoderTransformer
    >>> from skae.plotting import TraversalDisplay
    >>> X = load_digits().data
    >>> ae = AutoencoderTransformer(2, max_epochs=1, random_state=0).fit(X)
    >>> display = TraversalDisplay.from_estimator(ae, X, n_steps=5)
    >>> display.images.shape
    (5, 5, 8, 8)
    >>> plt.close(display.figure_)
    """

    def __init__(
        self,
        *,
        images: np.ndarray,
        x_values: np.ndarray,
        y_values: np.ndarray | None,
        axis_labels: Any,
        limits: tuple[float, float],
    ):
        self.images = images
        self.x_values = x_values
        self.y_values = y_values
        self.axis_labels = axis_labels
        self.limits = limits

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        *,
        components: tuple[int, ...] = (0, 1),
        n_steps: int = 8,
        span: float | tuple[float, float] = 2.0,
        center: int | None = None,
        y: Any = None,
        input_shape: tuple[int, ...] | None = None,
        channel_axis: Any = "auto",
        ax: Any = None,
        **kwargs: Any,
    ) -> TraversalDisplay:
        """Decode a grid of codes around those of X and draw it.

        Parameters
        ----------
        estimator : estimator object
            Fitted, with `transform` and `inverse_transform`.
        X : array-like of shape (n_samples, ...)
            Samples whose codes determine the grid, and whose values determine black and white.
        components : tuple of int, default=(0, 1)
            One or two components to vary, the first horizontally. For codes with one component only the first is used.
        n_steps : int, default=8
            Number of values for each component; at least 2.
        span : float or tuple of (float, float), default=2.0
            Range of the grid: a number of standard deviations of the codes to either side of the center, or two
            quantiles of the codes, such as (0.05, 0.95).
        center : int, default=None
            Index of the sample of X whose code is the center. If None, the mean code of X.
        y : class or target, default=None
            Condition of all images, for a conditional estimator.
        input_shape : tuple of int, default=None
            Shape of one image, for flat samples. If None, that found by the estimator, if any; not needed for square
            gray images.
        channel_axis : {'auto', 0, -1, None}, default='auto'
            Axis of the channels in one image, as in `skae.ConvAutoencoder`. If 'auto', that found by the estimator, if
            any.
        ax : matplotlib Axes, default=None
            Axes to draw on. If None, axes of a new figure.
        **kwargs
            Passed to `plot`.

        Returns
        -------
        display : TraversalDisplay
            The display, drawn.

        Raises
        ------
        ValueError
            If ``components`` are not one or two distinct components; if ``span`` is neither positive nor a pair of
            ascending quantiles; if a component is constant; if decoded samples are not images, or need ``input_shape``
            or ``channel_axis`` to be read as images.
        """
        check_is_fitted(estimator)
        check_number("n_steps", n_steps, numbers.Integral, 2)
        Z = np.asarray(as_array(estimator.transform(X)))
        varied = _check_components(components, Z.shape[1])
        if center is not None:
            check_number("center", center, numbers.Integral, 0, len(Z) - 1)
        middle = Z.mean(axis=0) if center is None else Z[center]
        values = [_steps(Z[:, i], middle[i], span, n_steps, i) for i in varied]
        grid = np.stack(np.meshgrid(*values), axis=-1)  # (n_steps, [n_steps,] components): the first runs fastest
        codes = np.tile(middle, (grid[..., 0].size, 1))
        codes[:, varied] = grid.reshape(len(codes), -1)
        layout = layout_params(estimator, input_shape, channel_axis)
        condition = {} if y is None else {"y": y}
        images = as_images(estimator.inverse_transform(codes, **condition), *layout, "the decoded X")
        display = cls(
            images=images.reshape(-1, n_steps, *images.shape[1:]),
            x_values=values[0],
            y_values=values[1] if len(values) == 2 else None,
            axis_labels=[f"Component {i}" for i in varied],
            limits=value_range(np.asarray(as_array(X))),
        )
        return display.plot(ax, **kwargs)

    def plot(self, ax: Any = None, *, cmap: Any = "gray", **kwargs: Any) -> TraversalDisplay:
        """Draw the images.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on. If None, axes of a new figure.
        cmap : str or matplotlib Colormap, default='gray'
            Colors of images without channels.
        **kwargs
            Passed to matplotlib's ``imshow``.

        Returns
        -------
        display : TraversalDisplay
            The display itself.
        """
        upwards = np.asarray(self.images)[::-1]  # the origin of images is at the top
        self.ax_, self.im_, _ = draw_tiles(ax, upwards, self.limits, cmap, **kwargs)
        self.figure_ = self.ax_.figure
        self.ax_.set_xticklabels(_tick_labels(self.x_values), rotation=90 if len(self.x_values) > 12 else 0)
        self.ax_.set_yticklabels([""] if self.y_values is None else _tick_labels(self.y_values)[::-1])
        self.ax_.set(**dict(zip(("xlabel", "ylabel"), self.axis_labels, strict=False)))
        return self


def _check_components(components: Any, n_components: int) -> list[int]:
    varied: list[Any] = [components] if isinstance(components, numbers.Integral) else list(components)
    if n_components == 1:
        varied = varied[:1]
    known = all(isinstance(i, int | np.integer) and 0 <= i < n_components for i in varied)
    if not known or len(varied) not in (1, 2) or len(set(varied)) < len(varied):
        raise ValueError(f"components must be one or two distinct integers from 0 to {n_components - 1}, got {varied}.")
    return varied


def _steps(z: np.ndarray, center: float, span: Any, n_steps: int, component: int) -> np.ndarray:
    """Return the grid values of one component."""
    if isinstance(span, numbers.Real):
        check_number("span", span, numbers.Real, 0, bounds="neither")
        reach = float(span) * float(z.std())
        low, high = float(center) - reach, float(center) + reach
    else:
        quantiles = tuple(span)
        if len(quantiles) != 2 or not 0 <= quantiles[0] < quantiles[1] <= 1:
            raise ValueError(f"span must be a number above 0 or two ascending quantiles in [0, 1], got {span!r}.")
        low, high = np.quantile(z, quantiles)
    if not (low < high and z.min() < z.max()):
        raise ValueError(f"The codes of X are constant in component {component}, so it cannot be varied.")
    return np.linspace(low, high, n_steps)


def _tick_labels(values: np.ndarray) -> list[str]:
    """Format values with one decimal more than is needed to distinguish neighbors."""
    decimals = max(0, 1 - int(np.floor(np.log10(values[1] - values[0]))))
    rounded = values.round(decimals) + 0.0  # which makes 0 of -0
    return [f"{value:.{decimals}f}".replace("-", "−") for value in rounded]
