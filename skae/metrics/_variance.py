"""Share of variance explained by a reconstruction."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._data.validation import check_sample_weight
from .._utils.checks import check_choice
from ._checks import check_pair
from ._errors import errors, errors_of_features


def explained_variance(
    X: Any, X_hat: Any, *, sample_weight: Any = None, multioutput: str = "variance_weighted"
) -> float | np.ndarray:
    r"""Compute the share of the variance of X that its reconstruction explains (R²).

    .. math:: 1 - \frac{\sum_i w_i \sum_{j \text{ known}} (\hat x_{ij} - x_{ij})^2}
                       {\sum_i w_i \sum_{j \text{ known}} (x_{ij} - \bar x_j)^2}

    with :math:`\bar x_j` the weighted mean of feature j over its known values in X. It has no unit and is therefore
    comparable between data sets, unlike `reconstruction_error`. For PCA and its training data it equals
    ``explained_variance_ratio_.sum()``; on held-out data it is lower. Without missing values it equals
    `sklearn.metrics.r2_score` with the same ``multioutput``, except that errors in constant features are included.

    Parameters
    ----------
    X : array-like of shape (n_samples, ...)
        Original samples; at least two dimensions and two samples. NaN marks missing values.
    X_hat : array-like of X's shape
        The reconstruction.
    sample_weight : array-like of shape (n_samples,) or float, default=None
        Sample weights.
    multioutput : {'variance_weighted', 'uniform_average', 'raw_values'}, default='variance_weighted'
        'variance_weighted' is the formula above, in which features of large variance weigh most; 'raw_values' applies
        the formula to each feature separately; 'uniform_average' is the mean of these.

    Returns
    -------
    share : float, or ndarray of shape X.shape[1:], float64
        1 for a perfect reconstruction, 0 for one by the means of features, negative for worse ones. With
        ``multioutput='raw_values'`` one value for each feature, NaN for features without known values. For constant
        features it is 1 if they are reconstructed exactly, and 0 otherwise.

    Raises
    ------
    ValueError
        If the arrays differ in shape, have fewer than two samples, or contain infinity or values that are not real; if
        X_hat is NaN where X is not; if no sample of positive weight has a known value.

    See Also
    --------
    reconstruction_error : The mean squared error, in the units of X squared.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.decomposition import PCA
    >>> from skae.metrics import explained_variance
    >>> X = load_digits().data
    >>> pca = PCA(8).fit(X)
    >>> round(explained_variance(X, pca.inverse_transform(pca.transform(X))), 3)
    0.674
    >>> round(float(pca.explained_variance_ratio_.sum()), 3)
    0.674
    """
    check_choice("multioutput", multioutput, ("variance_weighted", "uniform_average", "raw_values"))
    X, X_hat = check_pair(X, X_hat, allow_nan=True)
    if len(X) < 2:
        raise ValueError("X must have at least 2 samples, since a single one has no variance.")
    weight = check_sample_weight(sample_weight, len(X))
    if not weight.all():  # samples of weight 0 do not contribute to the variance
        X, X_hat, weight = X[weight > 0], X_hat[weight > 0], weight[weight > 0]
    squares, counts = errors_of_features(X, X_hat, weight)
    known = counts > 0
    if not known.any():
        raise ValueError("X has no known value in a sample of positive weight: the variance is undefined.")
    variances = _squares_about_mean(X, weight, counts)
    if multioutput == "variance_weighted":
        return float(_shares(squares.sum(keepdims=True), variances.sum(keepdims=True))[0])
    shares = np.where(known, _shares(squares, variances), np.nan)
    return shares.reshape(X.shape[1:]) if multioutput == "raw_values" else float(np.nanmean(shares))


def _squares_about_mean(X: np.ndarray, weight: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Compute the weighted sum of squares of each feature about its mean, exactly 0 for constant features."""
    low, high = (np.asarray(ends.reduce(X, axis=0), np.float64) for ends in (np.fmin, np.fmax))
    below = sum(
        weight[s] @ error for s, error, _ in errors(X, low)
    )  # relative to the minimum, since offsets lose digits
    mean = low - np.divide(below, counts, out=np.zeros_like(counts), where=counts > 0).reshape(low.shape)
    squares, _ = errors_of_features(X, mean, weight)
    return np.where(low.ravel() == high.ravel(), 0, squares)


def _shares(squares: np.ndarray, variances: np.ndarray) -> np.ndarray:
    missed = (squares > 0).astype(np.float64)  # for constant features
    return 1 - np.divide(squares, variances, out=missed, where=variances > 0)
