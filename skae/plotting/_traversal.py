"""What the decoder makes of codes along two latent axes."""

from __future__ import annotations

import numbers
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from .._data.arrays import as_array
from .._utils.checks import check_number
from ._images import as_images, draw_tiles, layout_params, value_range


class TraversalDisplay:
    """A grid of decoded images over two components of the code, the others held at a centre.

    The first axis runs to the right and the second one up, with the components' values on the ticks. A code of a single
    component gives one row.

    Create it by `from_estimator`; the parameters are stored as attributes.

    Parameters
    ----------
    images : ndarray of shape (n_rows, n_columns, height, width) or (n_rows, n_columns, height, width, 3)
        The decoded images, ordered as the values are.
    x_values : ndarray of shape (n_columns,)
        The values of the horizontal component, ascending.
    y_values : ndarray of shape (n_rows,) or None
        The values of the vertical component, ascending; None if there is only one row.
    axis_labels : sequence of str
        Names of the components drawn.
    limits : tuple of (float, float)
        The values that are black and white.

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
    LatentDisplay : Where the codes of rows lie.

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
        """Decode a grid of codes about those of X and draw it.

        Parameters
        ----------
        estimator : estimator object
            Fitted, with `transform` and `inverse_transform`.
        X : array-like of shape (n_samples, ...)
            Rows whose codes say where the grid lies, and whose values what is black and white.
        components : tuple of int, default=(0, 1)
            Which ones to vary: one or two, the first horizontally. A code of one component has the first only.
        n_steps : int, default=8
            Number of values for each component; at least 2.
        span : float or tuple of (float, float), default=2.0
            How far to go. A number: so many standard deviations of the codes to either side of the centre. A tuple:
            from one quantile of the codes to another, such as (0.05, 0.95).
        center : int, default=None
            The row of X whose code is the centre; the mean code of X when None.
        y : class or target, default=None
            What all images show, for an estimator that is conditional.
        input_shape : tuple of int, default=None
            Shape of one image, where rows are flat; when None, as the estimator has found it, if it has. A square grey
            image needs none.
        channel_axis : {'auto', 0, -1, None}, default='auto'
            Which axis of an image holds its channels, as for `skae.ConvAutoencoder`; when 'auto', as the estimator has
            found it, if it has.
        ax : matplotlib Axes, default=None
            Where to draw; in a new figure when None.
        **kwargs
            Passed on to `plot`.

        Returns
        -------
        display : TraversalDisplay
            The display, drawn.

        Raises
        ------
        ValueError
            If ``components`` are not one or two different ones; if ``span`` is not above 0 or no pair of ascending
            quantiles; if the codes do not vary along one; if decoded rows are no images, or ``input_shape`` and
            ``channel_axis`` have to say how to read them.
        """
        check_is_fitted(estimator)
        check_number("n_steps", n_steps, numbers.Integral, 2)
        Z = np.asarray(as_array(estimator.transform(X)))
        varied = _check_components(components, Z.shape[1])
        if center is not None:
            check_number("center", center, numbers.Integral, 0, len(Z) - 1)
        centre = Z.mean(axis=0) if center is None else Z[center]
        values = [_steps(Z[:, i], centre[i], span, n_steps, i) for i in varied]
        grid = np.stack(np.meshgrid(*values), axis=-1)  # (n_steps, [n_steps,] components): the first runs fastest
        codes = np.tile(centre, (grid[..., 0].size, 1))
        codes[:, varied] = grid.reshape(len(codes), -1)
        layout = layout_params(estimator, input_shape, channel_axis)
        told = {} if y is None else {"y": y}
        images = as_images(estimator.inverse_transform(codes, **told), *layout, "the decoded X")
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
            Where to draw; in a new figure when None.
        cmap : str or matplotlib Colormap, default='gray'
            Colours of images without channels.
        **kwargs
            Passed on to matplotlib's ``imshow``.

        Returns
        -------
        display : TraversalDisplay
            The display itself.
        """
        upwards = np.asarray(self.images)[::-1]  # pictures begin at the top
        self.ax_, self.im_ = draw_tiles(ax, upwards, self.limits, cmap, **kwargs)
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
        raise ValueError(f"components must be one or two different ones from 0 to {n_components - 1}, got {varied}.")
    return varied


def _steps(z: np.ndarray, centre: float, span: Any, n_steps: int, component: int) -> np.ndarray:
    """The values of one component."""
    if isinstance(span, numbers.Real):
        check_number("span", span, numbers.Real, 0, bounds="neither")
        reach = float(span) * float(z.std())
        low, high = float(centre) - reach, float(centre) + reach
    else:
        quantiles = tuple(span)
        if len(quantiles) != 2 or not 0 <= quantiles[0] < quantiles[1] <= 1:
            raise ValueError(f"span must be a number above 0 or two ascending quantiles in [0, 1], got {span!r}.")
        low, high = np.quantile(z, quantiles)
    if not (low < high and z.min() < z.max()):
        raise ValueError(f"The codes of X do not vary along component {component}: there is nothing to traverse.")
    return np.linspace(low, high, n_steps)


def _tick_labels(values: np.ndarray) -> list[str]:
    """Values with as many decimals as tell neighbours apart, and one more."""
    decimals = max(0, 1 - int(np.floor(np.log10(values[1] - values[0]))))
    rounded = values.round(decimals) + 0.0  # which makes 0 of -0
    return [f"{value:.{decimals}f}".replace("-", "−") for value in rounded]
