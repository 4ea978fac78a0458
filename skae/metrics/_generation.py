"""Distances between the distributions of generated and real samples."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._data.chunked import slices
from .._density.frechet import frechet
from ._features import find_features


def frechet_distance(X: Any, X_generated: Any, *, features: Any = None) -> float:
    r"""Compute the Fréchet distance between Gaussians fitted to features of real and generated samples.

    .. math:: \|\mu - \mu'\|^2 + \mathrm{tr}\bigl(\Sigma + \Sigma' - 2 (\Sigma \Sigma')^{1/2}\bigr)

    with the mean and the covariance of each set (Dowson and Landau, 1982). With features of the Inception network it
    is known as FID (Heusel et al., 2017); here no weights are downloaded, so values are not comparable with published
    ones. Use the same features for all models to compare.

    The estimate is biased upwards for small samples, also between samples of the same distribution. Compare models at
    equal numbers of samples, and report the distance between two halves of the real data as a baseline.

    Parameters
    ----------
    X : array-like of shape (n_samples, ...)
        Real samples, preferably not used for training; at least 2. Images may have any layout.
    X_generated : array-like of shape (n_generated, ...)
        Generated samples in X's layout and units; at least 2.
    features : estimator or callable, default=None
        Features to compare. If None, the values themselves, flattened. Of a fitted transformer, the output of
        `transform`; of a fitted `MLPClassifier` or `MLPRegressor`, the activations of the last hidden layer; of any
        other fitted classifier, its `decision_function`, or else the logarithm of `predict_proba` (clipped at 1e-6).
        Pipelines and searches that end in one of these apply the steps before. A callable maps X to an array (n, d).
        Images are flattened if the estimator was fitted on as many columns as an image has values.

    Returns
    -------
    distance : float
        At least 0, in the units of the features squared. Computed in double precision from singular values, so that
        covariances may be singular, as for few samples or constant pixels.

    Raises
    ------
    TypeError
        If ``features`` is neither None nor an estimator with one of these methods nor callable.
    ValueError
        If the arrays (with ``features=None``) or their features contain NaN, infinity or values that are not real; if
        samples or features differ in shape; if an array has fewer than 2 samples.
    sklearn.exceptions.NotFittedError
        If ``features`` is an estimator that is not fitted.

    References
    ----------
    D. C. Dowson and B. V. Landau, 1982. The Fréchet distance between multivariate normal distributions. Journal of
    Multivariate Analysis 12.

    M. Heusel, H. Ramsauer, T. Unterthiner, B. Nessler and S. Hochreiter, 2017. GANs trained by a two time-scale
    update rule converge to a local Nash equilibrium. NeurIPS.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.decomposition import PCA
    >>> from skae.metrics import frechet_distance
    >>> X = load_digits().data
    >>> pca = PCA(8).fit(X)
    >>> round(frechet_distance(X[::2], X[1::2], features=pca))
    3
    >>> round(frechet_distance(X[::2], X[1::2] * 0.9, features=pca))
    17
    """
    F, G = find_features(features, X=X, X_generated=X_generated, min_rows=2)
    return frechet(F, G)


def kernel_distance(X: Any, X_generated: Any, *, features: Any = None) -> float:
    r"""Compute the squared maximum mean discrepancy between features of real and generated samples.

    .. math:: \frac{\sum_{i \ne j} k(f_i, f_j)}{n (n - 1)} + \frac{\sum_{i \ne j} k(g_i, g_j)}{m (m - 1)}
              - \frac{2 \sum_{i, j} k(f_i, g_j)}{n m},
              \qquad k(f, g) = \Bigl(\frac{f \cdot g}{d} + 1\Bigr)^3

    for the d features f of X and g of X_generated. With features of the Inception network it is known as KID
    (Bińkowski et al., 2018). Unlike `~skae.metrics.frechet_distance` it is unbiased: its expectation does not depend on
    the number of samples, and is 0 for samples of the same distribution.

    Unlike in the paper, features are first centered by their means over X and divided by one scale, the root of their
    mean variance over X: the kernel has no scale parameter, so the unit of the features would determine which of its
    powers dominates. Swapping the two arrays therefore changes the value. All features share one scale, since features
    that hardly vary, such as pixels near the edge, would otherwise dominate the third power. For columns in different
    units pass ``features=StandardScaler().fit(X)``.

    All pairs are used, in blocks of bounded memory, instead of the mean over random subsets as in the paper: the result
    is deterministic, and time grows with the square of the number of samples.

    Parameters
    ----------
    X : array-like of shape (n_samples, ...)
        Real samples, preferably not used for training; at least 2.
    X_generated : array-like of shape (n_generated, ...)
        Generated samples in X's layout and units; at least 2.
    features : estimator or callable, default=None
        Features to compare, as in `~skae.metrics.frechet_distance`.

    Returns
    -------
    distance : float
        Without a unit; distributed around 0 for samples of the same distribution.

    Raises
    ------
    TypeError, ValueError, sklearn.exceptions.NotFittedError
        As in `~skae.metrics.frechet_distance`.

    References
    ----------
    M. Bińkowski, D. J. Sutherland, M. Arbel and A. Gretton, 2018. Demystifying MMD GANs. ICLR.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skae.metrics import kernel_distance
    >>> X = load_digits().data
    >>> abs(round(kernel_distance(X[::2], X[1::2]), 2))
    0.0
    >>> round(kernel_distance(X[::2], X[1::2] * 0.9), 2)
    0.08
    """
    F, G = find_features(features, X=X, X_generated=X_generated, min_rows=2)
    mean = F.mean(axis=0)
    F, G = F - mean, G - mean
    scale = np.sqrt(np.mean(F**2))
    if scale > 1e-12 * abs(mean).max():  # otherwise rounding errors of constant features
        F, G = F / scale, G / scale
    n, m = len(F), len(G)
    pairs = (_kernel_sum(F, F) - _kernel_of_itself(F)) / (n * (n - 1))
    pairs_generated = (_kernel_sum(G, G) - _kernel_of_itself(G)) / (m * (m - 1))
    return float(pairs + pairs_generated - 2 * _kernel_sum(F, G) / (n * m))


def _kernel_sum(F: np.ndarray, G: np.ndarray) -> float:
    return sum(float(np.sum((F[s] @ G.T / F.shape[1] + 1) ** 3)) for s in slices(F, len(G)))


def _kernel_of_itself(F: np.ndarray) -> float:
    return float(np.sum((np.einsum("ij,ij->i", F, F) / F.shape[1] + 1) ** 3))
