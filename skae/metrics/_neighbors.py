"""Whether generated samples lie where real ones do, or too near to those of training."""

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
    """What `precision_recall_density_coverage` returns."""

    precision: float
    recall: float
    density: float
    coverage: float


class Memorization(NamedTuple):
    """What `~skae.metrics.memorization` returns."""

    ratio: float
    probability: float
    distances: np.ndarray
    held_out_distances: np.ndarray


def precision_recall_density_coverage(
    X: Any, X_generated: Any, *, features: Any = None, n_neighbors: int = 5
) -> PrecisionRecallDensityCoverage:
    r"""Quality and variety of generated samples, told apart by balls around samples.

    The ball of a sample reaches to its k-th nearest neighbour in its own set, k being ``n_neighbors``.

    - Precision: the fraction of generated samples that lie in the ball of a real one.
    - Recall: the fraction of real samples that lie in the ball of a generated one (Kynkäänniemi et al., 2019).
    - Density: the number of real balls that a generated sample lies in, on average, divided by k.
    - Coverage: the fraction of real samples with a generated one in their ball (Naeem et al., 2020).

    Density and coverage use balls of real samples alone, so a single outlier does not make a large part of the space
    count as real or as covered. For two independent samples of one distribution, as many of each, density is 1 on
    average and coverage :math:`1 - \prod_{i=0}^{k-1} (n - 1 - i) / (2n - 1 - i) \approx 1 - 2^{-k}`.

    Parameters
    ----------
    X : array-like of shape (n_samples, ...)
        Real samples, best ones that the model was not trained on; more than ``n_neighbors``.
    X_generated : array-like of shape (n_generated, ...)
        Generated samples in X's layout and units; more than ``n_neighbors``, and as many as in X where figures are to
        be compared with others: recall and coverage grow with their number.
    features : estimator or callable, default=None
        What distances are measured in, as for `~skae.metrics.frechet_distance`.
    n_neighbors : int, default=5
        The k of above.

    Returns
    -------
    result : named tuple of float
        ``precision``, ``recall``, ``density``, ``coverage``; all in [0, 1] but ``density``, which has no upper bound.
        A sample on the rim of a ball is outside, unless it equals the centre.

    Raises
    ------
    TypeError, sklearn.exceptions.NotFittedError
        As `~skae.metrics.frechet_distance` does.
    ValueError
        As `~skae.metrics.frechet_distance` does; if a set has no more than ``n_neighbors`` samples.

    References
    ----------
    T. Kynkäänniemi, T. Karras, S. Laine, J. Lehtinen and T. Aila, 2019. Improved precision and recall metric for
    assessing generative models. NeurIPS.

    M. F. Naeem, S. J. Oh, Y. Uh, Y. Choi and J. Yoo, 2020. Reliable fidelity and diversity metrics for generative
    models. ICML.

    Examples
    --------
    Samples of half of the distribution are good, but lack variety:

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
    r"""Whether generated samples lie nearer to the rows of training than unseen real ones do.

    Each generated and each held-out row is measured by the Euclidean distance to its nearest row of X. A model that has
    learnt the distribution draws rows at such distances as held-out rows have; one that repeats its training rows
    draws nearer ones.

    The probability is the Mann-Whitney statistic of the two sets of distances, divided by the number of pairs, by
    which Meehan et al. (2020) test for data-copying; they do it in each cell of a partition of the space, here it is
    done once for all of X. So rows that are copied in one region may be balanced by rows far off in another: look at
    the smallest ``distances`` too.

    Parameters
    ----------
    X : array-like of shape (n_samples, ...)
        The rows that the model was trained on.
    X_generated : array-like of shape (n_generated, ...)
        Generated samples in X's layout and units.
    X_held_out : array-like of shape (n_held_out, ...)
        Real samples of the same distribution as X that the model has not seen.
    features : estimator or callable, default=None
        What distances are measured in, as for `~skae.metrics.frechet_distance`.

    Returns
    -------
    result : named tuple
        ``ratio`` : float, the median distance of generated rows over that of held-out rows. Well below 1: memorised;
        well above: the samples are unlike the data. Infinite if the latter alone is 0, and NaN if both are, as for data
        of few different rows; ``probability`` still tells them apart.

        ``probability`` : float, how likely it is that a generated row lies nearer to X than a held-out row does, ties
        counted half. 0.5 means no memorisation, 1 that every generated row is nearer.

        ``distances`` : ndarray of shape (n_generated,), float64, and ``held_out_distances`` : ndarray of shape
        (n_held_out,), float64. They are exact, 0 for copies only, however far apart groups of rows lie.

    Raises
    ------
    TypeError, ValueError, sklearn.exceptions.NotFittedError
        As `~skae.metrics.frechet_distance` does, but one sample is enough.

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
    """The squared distances of slices of A's rows to all of B by matrix products, and bounds of their errors.

    Both are centered first, since a common offset would cost digits. What a distance between two far groups of rows
    costs those within a group is left to `_measure`.
    """
    mean = B.mean(axis=0)
    A, B = A - mean, B - mean
    norms, norms_b = np.einsum("ij,ij->i", A, A), np.einsum("ij,ij->i", B, B)
    relative = (A.shape[1] + 8) * np.finfo(np.float64).eps  # of the sums, and of the centering
    for s in slices(A, 2 * len(B)):
        squares = norms[s, np.newaxis] + norms_b
        errors = relative * squares
        squares -= 2 * (A[s] @ B.T)
        yield s, squares, errors


def _measure(squares: np.ndarray, unsure: np.ndarray, A: np.ndarray, B: np.ndarray) -> None:
    """Put the squares of differences, which are 0 for copies only, where ``unsure``."""
    rows, columns = np.nonzero(unsure)
    for s in slices(rows, A.shape[1]):
        difference = A[rows[s]] - B[columns[s]]
        squares[rows[s], columns[s]] = np.einsum("ij,ij->i", difference, difference)


def _neighbors(A: np.ndarray, B: np.ndarray, k: int) -> np.ndarray:
    """The exact squared distance of each row of A to its k-th nearest of B, counted from 0."""
    found = np.empty(len(A))
    for s, squares, errors in _squared_distances(A, B):
        farthest = np.partition(squares + errors, k, axis=1)[:, k]
        near = squares - errors <= farthest[:, np.newaxis]
        _measure(squares, near, A[s], B)
        found[s] = np.partition(np.where(near, squares, np.inf), k, axis=1)[:, k]
    return found


def _squared_radii(A: np.ndarray, k: int) -> np.ndarray:
    """The squared distance of each row to its k-th neighbor, less a trifle: the rim is outside whatever the rounding.

    Where it is 0, rows that equal the center are still inside.
    """
    return _neighbors(A, A, k) * (1 - 1e-12)  # from 0, which is the row itself
