"""Scatter plots of codes."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils.validation import check_consistent_length, check_is_fitted

from .._data.arrays import as_array, assert_all_finite, check_array, column_or_1d
from .._data.chunked import to_tensor
from .._data.pca import Samples, principal_axes
from ._common import COLORS, new_axes, open_frame

_MARKERS = "o^sD"  # for the first ten classes, the next ten, ...


class LatentDisplay:
    """Scatter plot of codes, colored by class or value.

    Codes with more than two components are projected on their first two principal components. A single component is on
    the horizontal axis, as a histogram or with the classes or values of ``y`` on the vertical axis.

    Create it by `from_estimator` or `from_codes`; the parameters are stored as attributes.

    Parameters
    ----------
    points : ndarray of shape (n_samples, 1) or (n_samples, 2)
        Coordinates of the points.
    axis_labels : sequence of str
        One for each column of ``points``.
    y : array-like of shape (n_samples,), default=None
        Classes or values. Strings, booleans and up to 20 distinct integers are classes, other numbers are values.
    y_label : str, default=None
        Name of ``y``.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes with the points.
    figure_ : matplotlib Figure
        Figure with the axes.
    artists_ : list of matplotlib Artist
        Points of all samples or of each class; bars of a histogram.
    legend_ : matplotlib Legend or None
        Names of the classes, for two components or more.
    colorbar_ : matplotlib Colorbar or None
        Scale of the values, for two components or more.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from sklearn.datasets import load_digits
    >>> from skae import AutoencoderTransformer
    >>> from skae.plotting import LatentDisplay
    >>> X, y = load_digits(return_X_y=True)
    >>> ae = AutoencoderTransformer(2, max_epochs=1, random_state=0).fit(X)
    >>> display = LatentDisplay.from_estimator(ae, X, y=y)
    >>> display.ax_.get_xlabel()
    'Component 0'
    >>> plt.close(display.figure_)
    """

    def __init__(self, *, points: np.ndarray, axis_labels: Any, y: Any = None, y_label: str | None = None):
        self.points = points
        self.axis_labels = axis_labels
        self.y = y
        self.y_label = y_label

    @classmethod
    def from_estimator(cls, estimator: Any, X: Any, *, y: Any = None, ax: Any = None, **kwargs: Any) -> LatentDisplay:
        """Encode X and draw the codes.

        Parameters
        ----------
        estimator : estimator object
            Fitted, with `transform`.
        X : array-like of shape (n_samples, ...)
            Samples to encode.
        y : array-like of shape (n_samples,), default=None
            Classes or values that determine the colors; the name of a Series is shown in the legend.
        ax : matplotlib Axes, default=None
            Axes to draw on. If None, axes of a new figure.
        **kwargs
            Passed to `plot`.

        Returns
        -------
        display : LatentDisplay
            The display, drawn.
        """
        check_is_fitted(estimator)
        return cls.from_codes(estimator.transform(X), y=y, ax=ax, **kwargs)

    @classmethod
    def from_codes(cls, Z: Any, *, y: Any = None, ax: Any = None, **kwargs: Any) -> LatentDisplay:
        """Draw codes.

        Parameters
        ----------
        Z : array-like of shape (n_samples, n_components)
            Codes.
        y : array-like of shape (n_samples,), default=None
            Classes or values that determine the colors; the name of a Series is shown in the legend.
        ax : matplotlib Axes, default=None
            Axes to draw on. If None, axes of a new figure.
        **kwargs
            Passed to `plot`.

        Returns
        -------
        display : LatentDisplay
            The display, drawn.

        Raises
        ------
        ValueError
            If Z is not a finite matrix, has a single sample and more than two components, or differs from ``y`` in
            length; if ``y`` is not 1-D or contains NaN.
        """
        Z = as_array(Z)
        Z = check_array(Z, input_name="Z", ensure_min_samples=1 if np.shape(Z)[-1] <= 2 else 2)
        labels = [f"Component {i}" for i in range(Z.shape[1])]
        if Z.shape[1] > 2:
            Z, shares = _principal_components(Z)
            labels = [f"PC {i} ({100 * share:.0f} % of the codes' variance)" for i, share in enumerate(shares, 1)]
        y_label = getattr(y, "name", None)
        if y is not None:
            y = column_or_1d(as_array(y))
            check_consistent_length(Z, y)
            assert_all_finite(y, input_name="y")
        return cls(points=Z, axis_labels=labels, y=y, y_label=y_label).plot(ax, **kwargs)

    def plot(self, ax: Any = None, *, cmap: Any = "viridis", **kwargs: Any) -> LatentDisplay:
        """Draw the points.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on. If None, axes of a new figure.
        cmap : str or matplotlib Colormap, default='viridis'
            Colors of values; those of classes are fixed.
        **kwargs
            Passed to matplotlib's ``scatter``, or ``hist`` for one component without ``y``.

        Returns
        -------
        display : LatentDisplay
            The display itself.

        Raises
        ------
        ValueError
            If there are more than 40 classes.
        """
        points, flat = np.asarray(self.points), np.shape(self.points)[1] == 1
        y = None if self.y is None else np.asarray(self.y)
        classes = None if y is None else _classes(y)
        ax = new_axes((6.4, 1.2 + 0.4 * len(classes)) if flat and classes is not None else None) if ax is None else ax
        self.ax_, self.figure_, self.artists_, self.legend_, self.colorbar_ = ax, ax.figure, [], None, None
        ax.set(**dict(zip(("xlabel", "ylabel"), self.axis_labels, strict=False)))
        open_frame(ax)
        if flat and y is None:
            bins = min(100, max(10, round(len(points) ** 0.5)))
            self.artists_ = list(ax.hist(points[:, 0], **{"bins": bins, "color": COLORS[0], **kwargs})[2])
            ax.set_ylabel("Rows")
            return self

        rows = np.arange(len(points))
        groups: list[tuple[np.ndarray, dict[str, Any]]] = [(rows, {"color": COLORS[0]})]
        if classes is not None:
            groups = [(np.flatnonzero(y == c), {**_class_style(i), "label": str(c)}) for i, c in enumerate(classes)]
        elif y is not None and not flat:
            groups = [(rows, {"c": y, "cmap": cmap})]
        heights = _heights(y, classes) if flat else points[:, 1]
        common = {"s": float(np.clip(15_000 / len(points), 4, 30)), "linewidths": 0, "alpha": 0.8}
        for chosen, style in groups:
            self.artists_.append(ax.scatter(points[chosen, 0], heights[chosen], **{**common, **style, **kwargs}))

        if flat:
            ax.set_ylabel(self.y_label or "y")
            if classes is not None:
                ax.set_yticks(range(len(classes)), classes)
        elif classes is not None:
            columns = -(-len(classes) // 15)
            self.legend_ = ax.legend(
                title=self.y_label, loc="center left", bbox_to_anchor=(1, 0.5), frameon=False, ncols=columns
            )
            for handle in self.legend_.legend_handles:
                handle.set(alpha=1, sizes=[30])
        elif y is not None:
            self.colorbar_ = ax.figure.colorbar(self.artists_[0], ax=ax, label=self.y_label)
            self.colorbar_.solids.set_alpha(1)
            self.colorbar_.outline.set_visible(False)
        return self


def _class_style(i: int) -> dict[str, Any]:
    """Return color and marker of the i-th class."""
    return {"color": COLORS[i % len(COLORS)], "marker": _MARKERS[i // len(COLORS)]}


def _heights(y: Any, classes: np.ndarray | None) -> np.ndarray:
    """Return vertical positions for codes of one component: the values, or spread around the row of each class."""
    if classes is None:
        return y
    golden = (5**0.5 - 1) / 2  # its multiples modulo 1 fill the interval evenly
    return np.searchsorted(classes, y) + 0.6 * (np.arange(len(y)) * golden % 1 - 0.5)


def _classes(y: np.ndarray) -> np.ndarray | None:
    """Return the classes in ``y``, or None if it contains values."""
    classes = np.unique(y)
    if y.dtype.kind in "iuf" and (len(classes) > 20 or (classes != classes.round()).any()):
        return None
    if len(classes) > len(COLORS) * len(_MARKERS):
        raise ValueError(f"y has {len(classes)} classes, but at most 40 can be drawn.")
    return classes


def _principal_components(Z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the first two principal components and their shares of the variance.

    scikit-learn's `PCA` is not used, since tools that record every call of `fit` would record it as the user's model.
    """
    axes = principal_axes(Samples.of(to_tensor(Z)), 2, seed=0)
    variances = axes.variances.numpy()
    total = variances.sum() + float(axes.rest)
    shares = variances / (total or 1.0)  # equal codes have no variance
    return (Z - axes.mean.numpy()) @ axes.directions.numpy().T, shares
