"""How far the distribution of generated samples is from that of real ones."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._data.chunked import slices
from ._features import find_features


def frechet_distance(X: Any, X_generated: Any, *, features: Any = None) -> float:
    r"""Fréchet distance between Gaussians of the features of real and of generated samples.

    .. math:: \|\mu - \mu'\|^2 + \mathrm{tr}\bigl(\Sigma + \Sigma' - 2 (\Sigma \Sigma')^{1/2}\bigr)

    with the mean and the covariance of each set (Dowson and Landau, 1982). With features of the Inception network it
    is known as FID (Heusel et al., 2017); here no weights are downloaded, so figures do not compare with published
    ones. Take one set of features for all models that are to be compared.

    The estimate is too large for small samples, also between samples of one distribution. Compare models at
    equal numbers of samples, and give the distance between two halves of the real data beside them.

    Parameters
    ----------
    X : array-like of shape (n_samples, ...)
        Real samples, best ones that the model was not trained on; at least 2. Images may be given as they are.
    X_generated : array-like of shape (n_generated, ...)
        Generated samples in X's layout and units; at least 2.
    features : estimator or callable, default=None
        What is compared. None is for the values themselves, flattened. A fitted transformer gives what its
        `transform` returns; a fitted `MLPClassifier` or `MLPRegressor` the activations of its last hidden layer; any
        other fitted classifier its `decision_function`, or else the logarithm of `predict_proba` (clipped at 1e-6);
        pipelines and searches that end in one of these apply the steps before. A callable gets X and returns (n, d).
        Images become flat rows where the estimator was fitted on as many columns as an image has values.

    Returns
    -------
    distance : float
        At least 0, in the units of the features squared. Computed in double precision from singular values, so that
        singular covariances, those of few samples or constant pixels, do no harm.

    Raises
    ------
    TypeError
        If ``features`` is neither None nor an estimator with one of these methods nor callable.
    ValueError
        If the arrays hold NaN, infinity or no real numbers where ``features`` is None, or their features do; if rows
        or features differ in shape; if there are fewer than 2 samples in one of them.
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
    shift = F.mean(axis=0) - G.mean(axis=0)
    root, root_generated = _covariance_root(F), _covariance_root(G)
    # The trace of (C C')^½ is the sum of the singular values of R R'ᵀ where C = RᵀR and C' = R'ᵀR'. Eigenvalues of
    # C C' would be rounded before their roots are taken, which turns 1e-16 into 1e-8 wherever one of them is 0.
    common = np.linalg.svd(root @ root_generated.T, compute_uv=False).sum()
    return max(0.0, float(shift @ shift + np.sum(root**2) + np.sum(root_generated**2) - 2 * common))


def kernel_distance(X: Any, X_generated: Any, *, features: Any = None) -> float:
    r"""Squared maximum mean discrepancy between the features of real and of generated samples.

    .. math:: \frac{\sum_{i \ne j} k(f_i, f_j)}{n (n - 1)} + \frac{\sum_{i \ne j} k(g_i, g_j)}{m (m - 1)}
              - \frac{2 \sum_{i, j} k(f_i, g_j)}{n m},
              \qquad k(f, g) = \Bigl(\frac{f \cdot g}{d} + 1\Bigr)^3

    for the d features f of X and g of X_generated. With features of the Inception network it is known as KID
    (Bińkowski et al., 2018). Unlike `~skae.metrics.frechet_distance` it is unbiased: its mean does not depend on the
    number of samples, and is 0 for samples of one distribution.

    Features are first centred by their means over X and divided by one scale, the root of their mean variance over X,
    which the paper does not do: the kernel has no scale of its own, so the unit of the features would decide which of
    its powers counts. Swapping the two arrays therefore gives another number. It is one scale for all, since features
    that hardly vary, such as pixels near the edge, would else outweigh the others: the kernel takes the third power.
    For columns in different units pass ``features=StandardScaler().fit(X)``.

    All pairs enter, in blocks of bounded memory, and not the mean over random subsets of the paper: nothing is drawn,
    and time grows with the square of the number of samples.

    Parameters
    ----------
    X : array-like of shape (n_samples, ...)
        Real samples, best ones that the model was not trained on; at least 2.
    X_generated : array-like of shape (n_generated, ...)
        Generated samples in X's layout and units; at least 2.
    features : estimator or callable, default=None
        What is compared, as for `~skae.metrics.frechet_distance`.

    Returns
    -------
    distance : float
        Without a unit; below 0 about as often as above for samples of one distribution.

    Raises
    ------
    TypeError, ValueError, sklearn.exceptions.NotFittedError
        As `~skae.metrics.frechet_distance` does.

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
    if scale > 1e-12 * abs(mean).max():  # below it is the rounding of constant features
        F, G = F / scale, G / scale
    n, m = len(F), len(G)
    pairs = (_kernel_sum(F, F) - _kernel_of_itself(F)) / (n * (n - 1))
    pairs_generated = (_kernel_sum(G, G) - _kernel_of_itself(G)) / (m * (m - 1))
    return float(pairs + pairs_generated - 2 * _kernel_sum(F, G) / (n * m))


def _covariance_root(F: np.ndarray) -> np.ndarray:
    """A matrix R, of at most d rows, with RᵀR the covariance of the columns of F."""
    return np.linalg.qr(F - F.mean(axis=0), mode="r") / np.sqrt(len(F) - 1)


def _kernel_sum(F: np.ndarray, G: np.ndarray) -> float:
    return sum(float(np.sum((F[s] @ G.T / F.shape[1] + 1) ** 3)) for s in slices(F, len(G)))


def _kernel_of_itself(F: np.ndarray) -> float:
    return float(np.sum((np.einsum("ij,ij->i", F, F) / F.shape[1] + 1) ** 3))
