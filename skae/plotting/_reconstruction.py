"""Plots of images and their reconstructions."""

from __future__ import annotations

import numbers
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from .._utils.checks import check_choice, check_number
from ..metrics import peak_signal_noise_ratio, reconstruction_error
from ._images import as_images, draw_tiles, layout_params, value_range


class ReconstructionDisplay:
    """Plot of images with their reconstructions below.

    With ``X_target`` there are three rows: the (corrupted) input, the reconstruction and the target. Samples of X may
    be images (height, width), (height, width, channels) or (channels, height, width) with 1, 3 or 4 channels, or flat.
    The alpha channel is ignored. All images share one range of values. NaN is pale blue.

    Create it by `from_estimator` or `from_predictions`; the parameters are stored as attributes.

    Parameters
    ----------
    X : array-like of shape (n_samples, ...)
        Original images.
    X_hat : array-like of shape (n_samples, ...)
        Reconstructions.
    X_target : array-like of shape (n_samples, ...), default=None
        Targets of the reconstruction, if different from X.
    input_shape : tuple of int, default=None
        Shape of one image, for flat samples; not needed for square gray images.
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

    See Also
    --------
    TraversalDisplay : Images decoded from a grid of codes.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from sklearn.datasets import load_digits
    >>> from skae import AutoencoderTransformer
    >>> from skae.plotting import ReconstructionDisplay
    >>> X = load_digits().data
    >>> ae = AutoencoderTransformer(8, max_epochs=1, random_state=0).fit(X)
    >>> display = ReconstructionDisplay.from_estimator(ae, X, metric="psnr")
    >>> [label.get_text() for label in display.ax_.get_yticklabels()]
    ['original', 'reconstruction']
    >>> plt.close(display.figure_)
    """

    def __init__(
        self,
        *,
        X: Any,
        X_hat: Any,
        X_target: Any = None,
        input_shape: tuple[int, ...] | None = None,
        channel_axis: Any = "auto",
    ):
        self.X = X
        self.X_hat = X_hat
        self.X_target = X_target
        self.input_shape = input_shape
        self.channel_axis = channel_axis

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        *,
        X_target: Any = None,
        n_samples: int = 10,
        input_shape: tuple[int, ...] | None = None,
        channel_axis: Any = "auto",
        ax: Any = None,
        **kwargs: Any,
    ) -> ReconstructionDisplay:
        """Reconstruct the first samples of X and draw them.

        Parameters
        ----------
        estimator : estimator object
            Fitted, with `reconstruct`, with `transform` and `inverse_transform`, or with a `transform` that returns
            images, such as `skae.Reconstructor`.
        X : array-like of shape (n_samples, ...)
            Images.
        X_target : array-like of shape (n_samples, ...), default=None
            Targets of the reconstruction, such as clean images for a noisy X.
        n_samples : int, default=10
            Maximum number of images to draw.
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
        display : ReconstructionDisplay
            The display, drawn.

        Raises
        ------
        ValueError
            If samples of X are not images, or need ``input_shape`` or ``channel_axis`` to be read as images.
        """
        check_is_fitted(estimator)
        check_number("n_samples", n_samples, numbers.Integral, 1)
        X = X[:n_samples]
        if hasattr(estimator, "reconstruct"):
            X_hat = estimator.reconstruct(X)
        elif hasattr(estimator, "inverse_transform"):
            X_hat = estimator.inverse_transform(estimator.transform(X))
        else:  # Reconstructor, or another transformer from images to images
            X_hat = estimator.transform(X)
        input_shape, channel_axis = layout_params(estimator, input_shape, channel_axis)
        layout = {"input_shape": input_shape, "channel_axis": channel_axis}
        return cls.from_predictions(X, X_hat, X_target=X_target, n_samples=n_samples, ax=ax, **layout, **kwargs)

    @classmethod
    def from_predictions(
        cls,
        X: Any,
        X_hat: Any,
        *,
        X_target: Any = None,
        n_samples: int = 10,
        input_shape: tuple[int, ...] | None = None,
        channel_axis: Any = "auto",
        ax: Any = None,
        **kwargs: Any,
    ) -> ReconstructionDisplay:
        """Draw the first samples of X and their reconstructions.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            Images.
        X_hat : array-like of shape (n_samples, ...)
            Reconstructions.
        X_target : array-like of shape (n_samples, ...), default=None
            Targets of the reconstruction, such as clean images for a noisy X.
        n_samples : int, default=10
            Maximum number of images to draw.
        input_shape : tuple of int, default=None
            Shape of one image, for flat samples; not needed for square gray images.
        channel_axis : {'auto', 0, -1, None}, default='auto'
            Axis of the channels in one image, as in `skae.ConvAutoencoder`.
        ax : matplotlib Axes, default=None
            Axes to draw on. If None, axes of a new figure.
        **kwargs
            Passed to `plot`.

        Returns
        -------
        display : ReconstructionDisplay
            The display, drawn.

        Raises
        ------
        ValueError
            If samples are not images, or need ``input_shape`` or ``channel_axis`` to be read as images.
        """
        check_number("n_samples", n_samples, numbers.Integral, 1)
        target = None if X_target is None else X_target[:n_samples]
        layout = {"input_shape": input_shape, "channel_axis": channel_axis}
        display = cls(X=X[:n_samples], X_hat=X_hat[:n_samples], X_target=target, **layout)
        return display.plot(ax, **kwargs)

    def plot(
        self,
        ax: Any = None,
        *,
        metric: str | None = None,
        limits: tuple[float, float] | None = None,
        cmap: Any = "gray",
        **kwargs: Any,
    ) -> ReconstructionDisplay:
        """Draw the images.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on. If None, axes of a new figure.
        metric : {'psnr', 'mse'}, default=None
            Metric to show below each image: the reconstruction's peak signal-to-noise ratio, with ``limits`` as the
            range of values, or the mean squared error over the known values. For images with NaN, 'psnr' requires an
            ``X_target``.
        limits : tuple of (float, float), default=None
            Values drawn black and white. If None, (0, 255) for uint8, (0, 1) for values in [0, 1], else the minimum and
            maximum of the originals (of the targets, if given).
        cmap : str or matplotlib Colormap, default='gray'
            Colors of images without channels.
        **kwargs
            Passed to matplotlib's ``imshow``.

        Returns
        -------
        display : ReconstructionDisplay
            The display itself.

        Raises
        ------
        ValueError
            If samples are not images; if numbers or shapes of images differ; if ``metric='psnr'`` and the images to
            compare with contain NaN.
        """
        check_choice("metric", metric, (None, "psnr", "mse"))
        rows = {"X": self.X, "X_hat": self.X_hat}
        if self.X_target is not None:
            rows["X_target"] = self.X_target
        images = {name: as_images(row, self.input_shape, self.channel_axis, name) for name, row in rows.items()}
        if len({row.shape for row in images.values()}) > 1:
            found = ", ".join(f"{name} {row.shape}" for name, row in images.items())
            raise ValueError(f"All arrays must have the same number and shape of images, got {found}.")
        against = "X" if self.X_target is None else "X_target"
        low, high = value_range(images[against]) if limits is None else limits
        labels = _labels(images[against], images["X_hat"], metric, high - low, against)
        self.ax_, self.im_ = draw_tiles(ax, np.stack(list(images.values())), (low, high), cmap, **kwargs)
        self.figure_ = self.ax_.figure
        names = ["original", "reconstruction"] if self.X_target is None else ["input", "reconstruction", "target"]
        self.ax_.set_yticklabels(names)
        self.ax_.set_xticklabels(labels, rotation=90 if len(labels) > 12 else 0)
        return self


def _labels(X: np.ndarray, X_hat: np.ndarray, metric: str | None, data_range: float, name: str) -> list[str]:
    """Return the labels below the images; ``X`` is the array ``name``."""
    if metric is None:
        return [""] * len(X)
    if metric == "mse":
        return [f"{v:.3g}" for v in reconstruction_error(X, X_hat, per_sample=True)]
    if np.isnan(X).any():
        raise ValueError(
            f"{name} contains NaN, for which PSNR is not defined: pass an X_target without NaN, or metric='mse', which "
            "ignores missing values."
        )
    return [f"{v:.1f} dB" for v in peak_signal_noise_ratio(X, X_hat, data_range=data_range, per_sample=True)]
