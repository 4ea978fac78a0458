"""Nearest-neighbor metrics of generated samples: quality, diversity and memorization."""

from __future__ import annotations

import numbers
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from scipy.stats import rankdata

from .._data.chunked import slices
from .._utils.checks import check_number
from ._features import find_features


class PrecisionRecallDensityCoverage(NamedTuple):
    """Result of `precision_recall_density_coverage`."""

    precision: float
    recall: float
    density: float
    coverage: float


class Memorization(NamedTuple):
    """Result of `~skae.metrics.memorization`."""

    ratio: float
    probability: float
    distances: np.ndarray
    held_out_distances: np.ndarray


def precision_recall_density_coverage(
    X: Any, X_generated: Any, *, features: Any = None, n_neighbors: int = 5
) -> PrecisionRecallDensityCoverage:
    r"""Compute separate measures of the quality and the diversity of generated samples.

    The ball of a sample has the distance to its k-th nearest neighbor in its own set as radius, k = ``n_neighbors``.

    - Precision: the fraction of generated samples that lie in the ball of a real one.
    - Recall: the fraction of real samples that lie in the ball of a generated one (Kynkäänniemi et al., 2019).
    - Density: the mean number of real balls that contain a generated sample, divided by k.
    - Coverage: the fraction of real samples with a generated one in their ball (Naeem et al., 2020).

    Density and coverage use balls of real samples only, and are less sensitive to outliers. For two independent samples
    of the same distribution and size the expected density is 1 and the expected coverage
    :math:`1 - \prod_{i=0}^{k-1} (n - 1 - i) / (2n - 1 - i) \approx 1 - 2^{-k}`.

    Parameters
    ----------
    X : array-like of shape (n_samples, ...)
        Real samples, preferably not used for training; more than ``n_neighbors``.
    X_generated : array-like of shape (n_generated, ...)
        Generated samples in X's layout and units; more than ``n_neighbors``. Use as many as in X to compare models,
        since recall and coverage grow with their number.
    features : estimator or callable, default=None
        Features in which distances are measured, as in `~skae.metrics.frechet_distance`.
    n_neighbors : int, default=5
        Number of neighbors k.

    Returns
    -------
    result : named tuple of float
        ``precision``, ``recall``, ``density``, ``coverage``; all in [0, 1] except ``density``, which has no upper
        bound. Balls are open, but contain samples that are equal to their center.

    Raises
    ------
    TypeError, sklearn.exceptions.NotFittedError
        As in `~skae.metrics.frechet_distance`.
    ValueError
        As in `~skae.metrics.frechet_distance`; if a set has at most ``n_neighbors`` samples.

    References
    ----------
    T. Kynkäänniemi, T. Karras, S. Laine, J. Lehtinen and T. Aila, 2019. Improved precision and recall metric for
    assessing generative models. NeurIPS.

    M. F. Naeem, S. J. Oh, Y. Uh, Y. Choi and J. Yoo, 2020. Reliable fidelity and diversity metrics for generative
    models. ICML.

    Examples
    --------
    Samples from half of the distribution have high quality, but lack diversity:

    >>> import numpy as np
    >>> from skae.metrics import precision_recall_density_coverage
    >>> rng = np.random.default_rng(0)
    >>> X, X_generated = rng.normal(size=(500, 2)), rng.normal(size=(500, 2))
    >>> X_generated[:, 0] = abs(X_generated[:, 0])
    >>> result = precision_recall_density_coverage(X, X_generated)
    >>> [round(value, 1) for value in result]
    [1.0, 0.5, 1.0, 0.5]
    """
    check_number("n_neighbors", n_neighbors, numbers.Integral, 1)
    F, G = find_features(features, X=X, X_generated=X_generated)
    for name, A in (("X", F), ("X_generated", G)):
        if len(A) <= n_neighbors:
            raise ValueError(f"{name} must have more than n_neighbors={n_neighbors} samples, got {len(A)}.")
    radii, radii_generated = _squared_radii(F, n_neighbors), _squared_radii(G, n_neighbors)
    in_real_ball, n_inside, recalled, covered = np.zeros(len(G), bool), 0, 0, 0
    for s, squares, errors in _squared_distances(F, G):
        rim = radii[s, np.newaxis]
        _measure(squares, (abs(squares - rim) <= errors) | (abs(squares - radii_generated) <= errors), F[s], G)
        inside = squares <= rim
        in_real_ball |= inside.any(axis=0)
        n_inside += int(inside.sum())
        covered += int(inside.any(axis=1).sum())
        recalled += int((squares <= radii_generated).any(axis=1).sum())
    return PrecisionRecallDensityCoverage(
        precision=float(in_real_ball.mean()),
        recall=recalled / len(F),
        density=n_inside / (n_neighbors * len(G)),
        coverage=covered / len(F),
    )


def memorization(X: Any, X_generated: Any, X_held_out: Any, *, features: Any = None) -> Memorization:
    r"""Measure whether generated samples are closer to the training samples than held-out real samples are.

    The Euclidean distance to the nearest training sample is computed for each generated and each held-out sample. A
    model that has learned the distribution generates samples at the same distances as held-out samples; a model that
    memorizes training samples generates closer ones.

    The probability is the Mann-Whitney statistic of the two sets of distances, divided by the number of pairs, by which
    Meehan et al. (2020) test for data-copying. They compute it in each cell of a partition of the space, here it is
    computed once. Copies in one region may therefore be balanced by distant samples in another: also inspect the
    smallest ``distances``.

    Parameters
    ----------
    X : array-like of shape (n_samples, ...)
        Samples that the model was trained on.
    X_generated : array-like of shape (n_generated, ...)
        Generated samples in X's layout and units.
    X_held_out : array-like of shape (n_held_out, ...)
        Real samples of the same distribution as X that the model has not seen.
    features : estimator or callable, default=None
        Features in which distances are measured, as in `~skae.metrics.frechet_distance`.

    Returns
    -------
    result : named tuple
        ``ratio`` : float, the median distance of generated samples divided by that of held-out samples. Well below 1
        indicates memorization, well above 1 that samples are unlike the data. Infinite if only the latter is 0, and NaN
        if both are, as for data with few distinct samples, where ``probability`` is still informative.

        ``probability`` : float, the probability that a generated sample is closer to X than a held-out sample, ties
        counted half. 0.5 means no memorization, 1 that every generated sample is closer.

        ``distances`` : ndarray of shape (n_generated,), float64, and ``held_out_distances`` : ndarray of shape
        (n_held_out,), float64. They are exact, and 0 only for copies.

    Raises
    ------
    TypeError, ValueError, sklearn.exceptions.NotFittedError
        As in `~skae.metrics.frechet_distance`, but a single sample is sufficient.

    References
    ----------
    C. Meehan, K. Chaudhuri and S. Dasgupta, 2020. A non-parametric test to detect data-copying in generative models.
    AISTATS.

    Examples
    --------
    >>> import numpy as np
    >>> from skae.metrics import memorization
    >>> rng = np.random.default_rng(0)
    >>> X, X_held_out, X_new = rng.normal(size=(3, 1000, 2))
    >>> fresh = memorization(X, X_new, X_held_out)
    >>> round(fresh.ratio, 1), round(fresh.probability, 1)
    (1.0, 0.5)
    >>> repeated = memorization(X, X[:500] + 0.001, X_held_out)
    >>> round(repeated.ratio, 1), round(repeated.probability, 1)
    (0.0, 1.0)
    """
    F, G, H = find_features(features, X=X, X_generated=X_generated, X_held_out=X_held_out)
    distances, held_out = (np.sqrt(_neighbors(A, F, 0)) for A in (G, H))
    median, median_held_out = float(np.median(distances)), float(np.median(held_out))
    if median_held_out > 0:
        ratio = median / median_held_out
    else:
        ratio = np.inf if median > 0 else np.nan
    ranks = rankdata(np.concatenate([held_out, distances]))[: len(H)].sum()
    probability = (ranks - len(H) * (len(H) + 1) / 2) / (len(H) * len(G))
    return Memorization(ratio, float(probability), distances, held_out)


def _squared_distances(A: np.ndarray, B: np.ndarray) -> Iterator[tuple[slice, np.ndarray, np.ndarray]]:
    """Yield slices of A, squared distances to all of B by matrix products, and bounds of their rounding errors.

    A and B are centered first, since a common offset would lose digits. Rounding errors within distant groups of rows
    are left to `_measure`.
    """
    mean = B.mean(axis=0)
    A, B = A - mean, B - mean
    norms, norms_b = np.einsum("ij,ij->i", A, A), np.einsum("ij,ij->i", B, B)
    relative = (A.shape[1] + 8) * np.finfo(np.float64).eps  # relative error of the sums and of centering
    for s in slices(A, 2 * len(B)):
        squares = norms[s, np.newaxis] + norms_b
        errors = relative * squares
        squares -= 2 * (A[s] @ B.T)
        yield s, squares, errors


def _measure(squares: np.ndarray, unsure: np.ndarray, A: np.ndarray, B: np.ndarray) -> None:
    """Replace ``unsure`` entries by exact sums of squared differences, which are 0 only for copies."""
    rows, columns = np.nonzero(unsure)
    for s in slices(rows, A.shape[1]):
        difference = A[rows[s]] - B[columns[s]]
        squares[rows[s], columns[s]] = np.einsum("ij,ij->i", difference, difference)


def _neighbors(A: np.ndarray, B: np.ndarray, k: int) -> np.ndarray:
    """Compute the exact squared distance of each row of A to its k-th nearest row of B, counted from 0."""
    found = np.empty(len(A))
    for s, squares, errors in _squared_distances(A, B):
        farthest = np.partition(squares + errors, k, axis=1)[:, k]
        near = squares - errors <= farthest[:, np.newaxis]
        _measure(squares, near, A[s], B)
        found[s] = np.partition(np.where(near, squares, np.inf), k, axis=1)[:, k]
    return found


def _squared_radii(A: np.ndarray, k: int) -> np.ndarray:
    """Compute the squared distance of each row to its k-th neighbor, reduced slightly so that balls are open.

    Rows that equal the center are inside even if the radius is 0.
    """
    return _neighbors(A, A, k) * (1 - 1e-12)  # neighbor 0 is the row itself
