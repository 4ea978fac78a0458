"""Plots of images and their reconstructions."""

from __future__ import annotations

import numbers
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from .._utils.checks import check_choice, check_number
from ..metrics import peak_signal_noise_ratio, reconstruction_error
from ._images import image_list, layout_params, value_range
from ._tiles import are_small, check_zoom, draw_tiles

_RANGES = {np.dtype(np.uint8): 255.0, np.dtype(np.uint16): 65535.0}  # of PSNR


class ReconstructionDisplay:
    """Plot of images with their reconstructions below.

    With ``X_target`` there are three rows: the (corrupted) input, the reconstruction and the target. Samples of X may
    be images (height, width), (height, width, channels) or (channels, height, width) with 1, 3 or 4 channels, or flat.
    The alpha channel is ignored. All images share one range of values, and others are clipped. NaN is pale blue. Lists
    may hold images of different sizes: small ones are enlarged by a whole factor.

    Create it by `from_estimator` or `from_predictions`; the parameters are stored as attributes.

    Parameters
    ----------
    X : array-like of shape (n_samples, ...) or list of arrays
        Original images.
    X_hat : array-like of shape (n_samples, ...) or list of arrays
        Reconstructions, each of the size of its original.
    X_target : array-like of shape (n_samples, ...) or list of arrays, default=None
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
    details_ : list of list of matplotlib AxesImage, or None
        The enlarged regions, a list for each row of images; None without ``zoom``.

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
        X : array-like of shape (n_samples, ...) or list of arrays
            Images.
        X_target : array-like of shape (n_samples, ...) or list of arrays, default=None
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
        X : array-like of shape (n_samples, ...) or list of arrays
            Images.
        X_hat : array-like of shape (n_samples, ...) or list of arrays
            Reconstructions, each of the size of its image.
        X_target : array-like of shape (n_samples, ...) or list of arrays, default=None
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
        metric: str | None = "auto",
        data_range: float | None = None,
        zoom: tuple[int, int, int, int] | None = None,
        limits: tuple[float, float] | None = None,
        cmap: Any = "gray",
        **kwargs: Any,
    ) -> ReconstructionDisplay:
        """Draw the images.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on. If None, axes of a new figure.
        metric : {'auto', 'psnr', 'mse'} or None, default='auto'
            Metric to show below each reconstruction, and each input if there is an ``X_target``: the peak
            signal-to-noise ratio in dB, or the mean squared error over the known values, of values that are not
            clipped. For images with NaN, 'psnr' requires an ``X_target``; inputs with NaN have none. 'auto' is 'psnr'
            where a side is longer than 64 pixels, as in photographs, and PSNR is defined; else None.
        data_range : float, default=None
            Range of possible values for PSNR, as in `skae.metrics.peak_signal_noise_ratio`. If None, 255 for uint8 and
            65535 for uint16, else the width of ``limits``.
        zoom : tuple of (int, int, int, int), default=None
            Region (row, column, height, width) in pixels, drawn enlarged and without smoothing to the right of each
            image, and framed in the image.
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
        TypeError
            If ``zoom`` is not four integers.
        ValueError
            If samples are not images; if numbers or shapes of images differ; if ``zoom`` is not within each image; if
            ``data_range`` is not above 0; if ``metric='psnr'`` and the images to compare with contain NaN.
        """
        check_choice("metric", metric, ("auto", None, "psnr", "mse"))
        rows = {"X": self.X, "X_hat": self.X_hat}
        if self.X_target is not None:
            rows["X_target"] = self.X_target
        images = {name: image_list(row, self.input_shape, self.channel_axis, name) for name, row in rows.items()}
        _check_shapes(images)
        region = None if zoom is None else check_zoom(zoom, images["X"])
        against = "X" if self.X_target is None else "X_target"
        low, high = value_range(images[against]) if limits is None else limits
        if data_range is None:
            dtypes = {image.dtype for image in images[against]}
            data_range = _RANGES.get(dtypes.pop(), high - low) if len(dtypes) == 1 else high - low
        else:
            check_number("data_range", data_range, numbers.Real, 0, bounds="neither")
        if metric == "auto":
            clean = not any(np.isnan(image).any() for image in images[against] + images["X_hat"])
            metric = "psnr" if clean and data_range > 0 and not are_small(images["X"]) else None
        captions = [
            [""] * len(row) if name == against else _captions(images[against], row, metric, data_range, against, name)
            for name, row in images.items()
        ]
        self.ax_, self.im_, self.details_ = draw_tiles(
            ax, list(images.values()), (low, high), cmap, captions=captions, zoom=region, **kwargs
        )
        self.figure_ = self.ax_.figure
        names = ["original", "reconstruction"] if self.X_target is None else ["input", "reconstruction", "target"]
        self.ax_.set_yticklabels(names)
        return self


def _check_shapes(images: dict[str, list[np.ndarray]]) -> None:
    """Check that rows have the same number of images, and images of a column the same shape."""
    if len({len(row) for row in images.values()}) > 1:
        found = ", ".join(f"{len(row)} in {name}" for name, row in images.items())
        raise ValueError(f"All arrays must have the same number of images, got {found}.")
    for i, column in enumerate(zip(*images.values(), strict=True)):
        if len({image.shape for image in column}) > 1:
            found = ", ".join(f"{name}[{i}] {image.shape}" for name, image in zip(images, column, strict=True))
            raise ValueError(f"An image and its reconstruction and target must be of one shape, got {found}.")


def _captions(
    X: list[np.ndarray], X_hat: list[np.ndarray], metric: str | None, data_range: float, against: str, name: str
) -> list[str]:
    """Return the texts below the images ``X_hat``, of the row ``name``; ``X`` is the row ``against``."""
    if metric == "psnr" and any(np.isnan(x).any() for x in X):
        raise ValueError(
            f"{against} contains NaN, for which PSNR is not defined: pass an X_target without NaN, or metric='mse', "
            "which ignores missing values."
        )
    texts = []
    for x, x_hat in zip(X, X_hat, strict=True):
        if metric is None or (name == "X" and np.isnan(x_hat).any()):
            texts.append("")
        elif metric == "mse":
            texts.append(f"{reconstruction_error(x[None], x_hat[None], per_sample=True)[0]:.3g}")
        else:
            texts.append(f"{peak_signal_noise_ratio(x[None], x_hat[None], data_range=data_range):.1f} dB")
    return texts
