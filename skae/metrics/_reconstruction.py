"""How near reconstructions come to the rows that they are made of."""

from __future__ import annotations

import numbers
import sys
from typing import Any

import numpy as np

from .._data.validation import check_sample_weight
from .._utils.checks import check_choice, check_number
from ._checks import check_pair
from ._errors import errors_of_features, errors_of_samples


def reconstruction_error(
    X: Any,
    X_hat: Any,
    *,
    sample_weight: Any = None,
    multioutput: str = "uniform_average",
    per_sample: bool = False,
) -> Any:
    r"""Mean squared error over all known values of X, or over those of each feature or each sample.

    .. math:: \frac{\sum_i w_i \sum_{j \text{ known}} (\hat x_{ij} - x_{ij})^2}
                   {\sum_i w_i \, |\{j \text{ known}\}|}

    A NaN in X marks a value that is not known; whatever X_hat holds there is left out. Rows with fewer known
    values weigh less: every known value counts the same. Computed in double precision whatever the dtypes.

    Parameters
    ----------
    X : array-like of shape (n_samples, ...)
        The rows as they should be; at least two dimensions. NaN where a value is not known.
    X_hat : array-like of X's shape
        The reconstruction.
    sample_weight : array-like of shape (n_samples,) or float, default=None
        Weights of the rows; not with ``per_sample``.
    multioutput : {'uniform_average', 'raw_values'}, default='uniform_average'
        Whether to return the mean over all values, or one value for each feature, as in
        `sklearn.metrics.mean_squared_error`; not with ``per_sample``.
    per_sample : bool, default=False
        Whether to return one value for each row instead of their mean.

    Returns
    -------
    error : float, or ndarray of shape X.shape[1:] or (n_samples,), float64
        In the units of X squared. With ``multioutput='raw_values'`` the weighted mean over the known values of each
        feature, of the shape of one row; with ``per_sample`` the mean over the known values of each row. NaN for a
        feature or a row without any.

    Raises
    ------
    ValueError
        If the arrays differ in shape, hold infinity or no real numbers; if X_hat is NaN where X has a value; if no
        row of positive weight has a known value; if ``sample_weight`` or ``multioutput='raw_values'`` comes with
        ``per_sample``.

    See Also
    --------
    explained_variance : The error as a share of the variance, which compares between tables.

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
            raise ValueError("sample_weight weighs the mean over rows: it has no use with per_sample=True.")
        if multioutput != "uniform_average":
            raise ValueError(f"multioutput={multioutput!r} is a mean over rows: it has no use with per_sample=True.")
        squares, counts = errors_of_samples(X, X_hat)
        return np.divide(squares, counts, out=np.full(len(X), np.nan), where=counts > 0)
    weight = check_sample_weight(sample_weight, len(X))
    if multioutput == "raw_values":
        squares, counts = errors_of_features(X, X_hat, weight)
    else:
        squares, counts = (weight @ sums for sums in errors_of_samples(X, X_hat))
    if not counts.any():
        raise ValueError("X holds no known value in a row of positive weight: there is no error to average.")
    if multioutput == "raw_values":
        return np.divide(squares, counts, out=np.full(counts.shape, np.nan), where=counts > 0).reshape(X.shape[1:])
    return float(squares) / float(counts)


def peak_signal_noise_ratio(X: Any, X_hat: Any, *, data_range: float | None = None, per_sample: bool = False) -> Any:
    r"""Peak signal-to-noise ratio in dB, the mean over images.

    .. math:: 10 \log_{10} (\mathrm{range}^2 / \mathrm{MSE})

    It is computed for each image, and the mean is that of the dB values, as papers on restoration report it; the dB
    value of the mean error would be lower.

    Parameters
    ----------
    X : array-like of shape (n_samples, ...)
        The images as they should be, in any layout, flat rows included.
    X_hat : array-like of X's shape
        The restored images.
    data_range : float, default=None
        Largest possible value minus the smallest one; above 0. When None, 255 if X is of dtype uint8, else the
        largest value in X minus the smallest one: pass it where figures for different X are to be compared.
    per_sample : bool, default=False
        Whether to return one value for each image instead of their mean.

    Returns
    -------
    psnr : float or ndarray of shape (n_samples,), float64
        In dB, the higher the better; infinite for an image without any error, and so for a mean with one such image.

    Raises
    ------
    ValueError
        If the arrays differ in shape, hold NaN, infinity or no real numbers; if ``data_range`` is not above 0; if it
        is None and X is constant.

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
    with np.errstate(divide="ignore"):  # an error of 0 gives infinity, which is meant
        psnr = 20 * np.log10(value_range) - 10 * np.log10(squares / counts)
    return psnr if per_sample else float(psnr.mean())


def structural_similarity(
    X: Any,
    X_hat: Any,
    *,
    data_range: float | None = None,
    channel_axis: int | None = None,
    per_sample: bool = False,
    **kwargs: Any,
) -> Any:
    """Structural similarity (SSIM), the mean over images.

    Each image is compared by `skimage.metrics.structural_similarity`, in double precision. Needs scikit-image:
    ``pip install "skae[image]"``.

    Parameters
    ----------
    X : array-like of shape (n_samples, height, width) or (n_samples, ...) with channels
        The images as they should be.
    X_hat : array-like of X's shape
        The restored images.
    data_range : float, default=None
        As for `peak_signal_noise_ratio`.
    channel_axis : int, default=None
        Which axis of one image holds its channels: -1 for (n_samples, height, width, channels), 0 for
        (n_samples, channels, height, width); None for images without.
    per_sample : bool, default=False
        Whether to return one value for each image instead of their mean.
    **kwargs
        Passed on: ``win_size``, ``gaussian_weights``, ``sigma``, ``use_sample_covariance``, ``K1``, ``K2``. The
        settings of the paper are ``gaussian_weights=True, sigma=1.5, use_sample_covariance=False``.

    Returns
    -------
    ssim : float or ndarray of shape (n_samples,), float64
        In [-1, 1]; 1 for images that are equal.

    Raises
    ------
    ImportError
        If scikit-image is missing.
    ValueError
        As `peak_signal_noise_ratio` does; if there are no images, or images smaller than the window (7 × 7 unless
        ``win_size`` says otherwise); if ``gradient`` or ``full`` ask for more than one number an image.

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
            raise ValueError(f"{name}=True asks for more than one number an image: call skimage.metrics instead.")
    check_choice("per_sample", per_sample, (True, False))
    if kwargs.get("win_size") is not None:
        check_number("win_size", kwargs["win_size"], numbers.Integral, 3)
    X, X_hat = check_pair(X, X_hat)
    sides = _image_sides(X.shape[1:], channel_axis)
    if min(sides) < 7 and kwargs.get("win_size") is None:
        raise ValueError(
            f"X holds images of {' x '.join(map(str, sides))}, smaller than the window of 7 x 7: pass an odd win_size, "
            f"at most {min(sides)}, or channel_axis if one of these axes holds channels."
        )
    kwargs |= {"data_range": _check_data_range(data_range, X), "channel_axis": channel_axis}
    pairs = zip(X, X_hat, strict=True)
    with np.errstate(all="ignore"):
        ssim = np.array([compare(x.astype(np.float64), x_hat.astype(np.float64), **kwargs) for x, x_hat in pairs])
    if not np.isfinite(ssim).all():
        raise ValueError("X, X_hat or data_range are so large or so small that their squares are not finite, or 0.")
    return ssim if per_sample else float(ssim.mean())


def _check_data_range(data_range: Any, X: np.ndarray) -> float:
    if data_range is not None:
        check_number("data_range", data_range, numbers.Real, 0, bounds="neither")
        return float(data_range)
    if X.dtype == np.uint8:
        return 255.0
    found = float(X.max()) - float(X.min())
    if found == 0:
        raise ValueError("X is constant, which tells no range of values: pass data_range.")
    return found


def _image_sides(image_shape: tuple[int, ...], channel_axis: int | None) -> tuple[int, ...]:
    """The shape of an image without its channels."""
    if channel_axis is not None:
        check_number("channel_axis", channel_axis, numbers.Integral, -sys.maxsize)
    if channel_axis is None:
        sides = image_shape
    elif -len(image_shape) <= channel_axis < len(image_shape):
        sides = tuple(np.delete(image_shape, channel_axis).tolist())
    else:
        raise ValueError(f"channel_axis={channel_axis} is no axis of images of shape {image_shape}.")
    if len(sides) < 2:
        wanted = "(n_samples, height, width)" + (", and one axis for channels" if channel_axis is not None else "")
        raise ValueError(f"X must hold images, {wanted}; got rows of shape {image_shape}. Reshape flat rows first.")
    return sides
