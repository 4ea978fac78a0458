"""Metrics of reconstructions."""

from __future__ import annotations

import functools
import numbers
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from .._data.validation import check_sample_weight
from .._utils.checks import check_choice, check_number
from ._checks import check_pair, check_values
from ._errors import errors_of_features, errors_of_samples


def reconstruction_error(
    X: Any,
    X_hat: Any,
    *,
    sample_weight: Any = None,
    multioutput: str = "uniform_average",
    per_sample: bool = False,
) -> Any:
    r"""Compute the mean squared error over all known values of X, or those of each feature or sample.

    .. math:: \frac{\sum_i w_i \sum_{j \text{ known}} (\hat x_{ij} - x_{ij})^2}
                   {\sum_i w_i \, |\{j \text{ known}\}|}

    Values that are NaN in X are missing and ignored. All known values have equal weight, so that samples with fewer of
    them weigh less. Computed in double precision.

    Parameters
    ----------
    X : array-like of shape (n_samples, ...)
        Original samples; at least two dimensions. NaN marks missing values.
    X_hat : array-like of X's shape
        The reconstruction.
    sample_weight : array-like of shape (n_samples,) or float, default=None
        Sample weights; not with ``per_sample``.
    multioutput : {'uniform_average', 'raw_values'}, default='uniform_average'
        Whether to return the mean over all values, or one value for each feature, as in
        `sklearn.metrics.mean_squared_error`; not with ``per_sample``.
    per_sample : bool, default=False
        Whether to return one value for each sample instead of their mean.

    Returns
    -------
    error : float, or ndarray of shape X.shape[1:] or (n_samples,), float64
        In the units of X squared. With ``multioutput='raw_values'`` the weighted mean over the known values of each
        feature, of the shape of one sample; with ``per_sample`` the mean over the known values of each sample. NaN for
        features and samples without known values.

    Raises
    ------
    ValueError
        If the arrays differ in shape, or contain infinity or values that are not real; if X_hat is NaN where X is not;
        if no sample of positive weight has a known value; if ``sample_weight`` or ``multioutput='raw_values'`` is
        combined with ``per_sample``.

    See Also
    --------
    explained_variance : Error relative to the variance, comparable between data sets.

    Examples
    --------
    >>> import numpy as np
    >>> from skae.metrics import reconstruction_error
    >>> X = [[0.0, 1.0], [2.0, np.nan]]
    >>> reconstruction_error(X, [[0.0, 2.0], [4.0, 7.0]])
    1.6666666666666667
    >>> reconstruction_error(X, [[0.0, 2.0], [4.0, 7.0]], multioutput="raw_values")
    array([2., 1.])
    >>> reconstruction_error(X, [[0.0, 2.0], [4.0, 7.0]], per_sample=True)
    array([0.5, 4. ])
    """
    check_choice("multioutput", multioutput, ("uniform_average", "raw_values"))
    check_choice("per_sample", per_sample, (True, False))
    X, X_hat = check_pair(X, X_hat, allow_nan=True)
    if per_sample:
        if sample_weight is not None:
            raise ValueError("sample_weight weights the mean over samples and has no effect with per_sample=True.")
        if multioutput != "uniform_average":
            raise ValueError(f"multioutput={multioutput!r} is a mean over samples and conflicts with per_sample=True.")
        squares, counts = errors_of_samples(X, X_hat)
        return np.divide(squares, counts, out=np.full(len(X), np.nan), where=counts > 0)
    weight = check_sample_weight(sample_weight, len(X))
    if multioutput == "raw_values":
        squares, counts = errors_of_features(X, X_hat, weight)
    else:
        squares, counts = (weight @ sums for sums in errors_of_samples(X, X_hat))
    if not counts.any():
        raise ValueError("X has no known value in a sample of positive weight: the error is undefined.")
    if multioutput == "raw_values":
        return np.divide(squares, counts, out=np.full(counts.shape, np.nan), where=counts > 0).reshape(X.shape[1:])
    return float(squares) / float(counts)


def _is_list_of_arrays(X: Any) -> bool:
    return isinstance(X, list | tuple) and len(X) > 0 and hasattr(X[0], "shape")


def _takes_lists(metric: Callable[..., Any]) -> Callable[..., Any]:
    """Let a metric of images take lists of images of different sizes, which it compares one by one."""

    @functools.wraps(metric)
    def of_lists(
        X: Any, X_hat: Any, *, data_range: float | None = None, per_sample: bool = False, **kwargs: Any
    ) -> Any:
        shapes = {np.shape(image) for image in X} if _is_list_of_arrays(X) else set()
        if len(shapes) < 2:
            return metric(X, X_hat, data_range=data_range, per_sample=per_sample, **kwargs)
        check_choice("per_sample", per_sample, (True, False))
        if len(X_hat) != len(X):
            raise ValueError(f"X_hat must hold {len(X)} images, as X does, got {len(X_hat)}.")
        if data_range is None:
            X = [check_values(image, f"X[{i}]") for i, image in enumerate(X)]
            ends = np.array([float(end) for image in X for end in (image.min(), image.max())])
            data_range = _check_data_range(None, ends if X[0].dtype != np.uint8 else X[0])
        values = [
            metric(x[None], x_hat[None], data_range=data_range, **kwargs) for x, x_hat in zip(X, X_hat, strict=True)
        ]
        return np.array(values) if per_sample else float(np.mean(values))

    return of_lists


@_takes_lists
def peak_signal_noise_ratio(X: Any, X_hat: Any, *, data_range: float | None = None, per_sample: bool = False) -> Any:
    r"""Compute the peak signal-to-noise ratio (PSNR) in dB, averaged over images.

    .. math:: 10 \log_{10} (\mathrm{range}^2 / \mathrm{MSE})

    The dB values of the images are averaged, as is common for image restoration; the dB value of the mean error would
    be lower.

    Parameters
    ----------
    X : array-like of shape (n_samples, ...), or list of images of different sizes
        Original images in any layout, including flat rows.
    X_hat : array-like of X's shape
        The restored images.
    data_range : float, default=None
        Range of possible values, maximum minus minimum; above 0. If None, 255 for X of dtype uint8, else the range of
        the values in X: pass it to compare values for different X.
    per_sample : bool, default=False
        Whether to return one value for each image instead of their mean.

    Returns
    -------
    psnr : float or ndarray of shape (n_samples,), float64
        In dB, the higher the better; infinite for an image without error, and for a mean that includes one.

    Raises
    ------
    ValueError
        If the arrays differ in shape, or contain NaN, infinity or values that are not real; if ``data_range`` is not
        above 0; if it is None and X is constant.

    Examples
    --------
    >>> from skae.metrics import peak_signal_noise_ratio
    >>> round(peak_signal_noise_ratio([[0.0, 1.0]], [[0.1, 0.9]]), 6)
    20.0
    """
    check_choice("per_sample", per_sample, (True, False))
    X, X_hat = check_pair(X, X_hat)
    value_range = _check_data_range(data_range, X)
    squares, counts = errors_of_samples(X, X_hat)
    with np.errstate(divide="ignore"):  # an error of 0 has infinite PSNR
        psnr = 20 * np.log10(value_range) - 10 * np.log10(squares / counts)
    return psnr if per_sample else float(psnr.mean())


@_takes_lists
def structural_similarity(
    X: Any,
    X_hat: Any,
    *,
    data_range: float | None = None,
    channel_axis: int | None = None,
    per_sample: bool = False,
    **kwargs: Any,
) -> Any:
    """Compute the structural similarity (SSIM), averaged over images.

    Images are compared by `skimage.metrics.structural_similarity`, in double precision. Requires scikit-image:
    ``pip install "skae[image]"``.

    Parameters
    ----------
    X : array-like of shape (n_samples, height, width) or (n_samples, ...) with channels, or list of images
        Original images; of different sizes in a list.
    X_hat : array-like of X's shape
        The restored images.
    data_range : float, default=None
        Range of possible values, as in `peak_signal_noise_ratio`.
    channel_axis : int, default=None
        Axis of the channels in one image: -1 for (n_samples, height, width, channels), 0 for
        (n_samples, channels, height, width); None for images without channels.
    per_sample : bool, default=False
        Whether to return one value for each image instead of their mean.
    **kwargs
        Passed to scikit-image: ``win_size``, ``gaussian_weights``, ``sigma``, ``use_sample_covariance``, ``K1``,
        ``K2``. The settings of the paper are ``gaussian_weights=True, sigma=1.5, use_sample_covariance=False``.

    Returns
    -------
    ssim : float or ndarray of shape (n_samples,), float64
        In [-1, 1]; 1 for equal images.

    Raises
    ------
    ImportError
        If scikit-image is not installed.
    ValueError
        As in `peak_signal_noise_ratio`; if samples are not images, or smaller than the window (7 × 7 by default); if
        ``gradient`` or ``full`` is True.

    References
    ----------
    Z. Wang, A. C. Bovik, H. R. Sheikh and E. P. Simoncelli, 2004. Image quality assessment: from error visibility to
    structural similarity. IEEE Transactions on Image Processing 13.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skae.metrics import structural_similarity
    >>> X = load_digits().images[:20]
    >>> round(structural_similarity(X, X.round(-1)), 2)
    0.93
    """
    try:
        from skimage.metrics import structural_similarity as compare
    except ImportError as error:
        raise ImportError('structural_similarity needs scikit-image: pip install "skae[image]"') from error
    for name in ("gradient", "full"):
        if kwargs.get(name):
            raise ValueError(f"{name}=True is not supported: call skimage.metrics.structural_similarity directly.")
    check_choice("per_sample", per_sample, (True, False))
    if kwargs.get("win_size") is not None:
        check_number("win_size", kwargs["win_size"], numbers.Integral, 3)
    X, X_hat = check_pair(X, X_hat)
    sides = _image_sides(X.shape[1:], channel_axis)
    if min(sides) < 7 and kwargs.get("win_size") is None:
        raise ValueError(
            f"X holds images of {' x '.join(map(str, sides))}, smaller than the window of 7 x 7: pass an odd win_size, "
            f"at most {min(sides)}, or channel_axis if one of these axes contains channels."
        )
    kwargs |= {"data_range": _check_data_range(data_range, X), "channel_axis": channel_axis}
    pairs = zip(X, X_hat, strict=True)
    with np.errstate(all="ignore"):
        ssim = np.array([compare(x.astype(np.float64), x_hat.astype(np.float64), **kwargs) for x, x_hat in pairs])
    if not np.isfinite(ssim).all():
        raise ValueError("X, X_hat or data_range are so large or so small that their squares overflow or underflow.")
    return ssim if per_sample else float(ssim.mean())


def _check_data_range(data_range: Any, X: np.ndarray) -> float:
    if data_range is not None:
        check_number("data_range", data_range, numbers.Real, 0, bounds="neither")
        return float(data_range)
    if X.dtype == np.uint8:
        return 255.0
    found = float(X.max()) - float(X.min())
    if found == 0:
        raise ValueError("X is constant, so that the range of values is unknown: pass data_range.")
    return found


def _image_sides(image_shape: tuple[int, ...], channel_axis: int | None) -> tuple[int, ...]:
    """Return the shape of an image without its channels."""
    if channel_axis is not None:
        check_number("channel_axis", channel_axis, numbers.Integral, -sys.maxsize)
    if channel_axis is None:
        sides = image_shape
    elif -len(image_shape) <= channel_axis < len(image_shape):
        sides = tuple(np.delete(image_shape, channel_axis).tolist())
    else:
        raise ValueError(f"channel_axis={channel_axis} is not an axis of images of shape {image_shape}.")
    if len(sides) < 2:
        wanted = "(n_samples, height, width)" + (", and one axis for channels" if channel_axis is not None else "")
        raise ValueError(f"X must hold images, {wanted}; got rows of shape {image_shape}. Reshape flat rows first.")
    return sides
