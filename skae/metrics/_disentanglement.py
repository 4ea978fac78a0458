"""Measures of whether each column of a code represents one known factor of the data."""

from __future__ import annotations

import numbers
from typing import Any, NamedTuple

import numpy as np
from sklearn.metrics import mutual_info_score

from .._utils.checks import check_choice, check_number
from ._checks import check_codes_and_factors, standardized
from ._dci import dci


class Disentanglement(NamedTuple):
    """Result of `disentanglement`."""

    mig: float
    sap: float
    disentanglement: float
    completeness: float
    informativeness: float


def mutual_information_gap(Z: Any, factors: Any, *, n_bins: int = 20, per_factor: bool = False) -> Any:
    r"""Compute the mutual information gap (MIG) between the two most informative columns for each factor.

    .. math:: \frac{1}{m} \sum_j \frac{I(z_{(1)}; v_j) - I(z_{(2)}; v_j)}{H(v_j)}

    where :math:`z_{(1)}` and :math:`z_{(2)}` are the two columns with the most mutual information with the factor
    :math:`v_j`, and H is its entropy (Chen et al., 2018). Columns are discretized into bins of equal width between
    their smallest and largest value. Codes that spread a factor over several columns, such as a rotation of a
    disentangled code, have a low value, and so have uninformative codes.

    The order of a factor's values does not matter. Estimates of mutual information are biased upwards for few samples,
    about equally in all columns; use several thousand.

    Parameters
    ----------
    Z : array-like of shape (n_samples, n_components)
        Codes, as returned by `transform`.
    factors : array-like of shape (n_samples, n_factors)
        Ground-truth factors of the samples, integers; at least two values in every column.
    n_bins : int, default=20
        Number of bins; at least 2. A factor with more values than bins cannot reach 1.
    per_factor : bool, default=False
        Whether to return one value for each factor instead of their mean.

    Returns
    -------
    mig : float or ndarray of shape (n_factors,), float64
        In [0, 1], the higher the better. If Z has one column, the second term is 0.

    Raises
    ------
    ValueError
        If Z or ``factors`` are not 2-D, differ in length, or contain NaN, infinity or values that are not real; if a
        factor is not integer or has a single value; if ``n_bins`` < 2.

    References
    ----------
    R. T. Q. Chen, X. Li, R. Grosse and D. Duvenaud, 2018. Isolating sources of disentanglement in variational
    autoencoders. NeurIPS.

    Examples
    --------
    >>> import numpy as np
    >>> from skae.metrics import mutual_information_gap
    >>> factors = np.indices((4, 5)).reshape(2, -1).T
    >>> mutual_information_gap(factors * [-0.3, 2.0], factors)
    1.0
    >>> round(mutual_information_gap(factors @ [[1, 1], [-1, 1]], factors), 2)
    0.0
    """
    check_number("n_bins", n_bins, numbers.Integral, 2)
    check_choice("per_factor", per_factor, (True, False))
    Z, factors = check_codes_and_factors(Z, factors, whole=True)
    low = Z.min(axis=0)
    width = Z.max(axis=0) - low
    width[width == 0] = 1  # a constant column is one bin
    bins = np.minimum((Z - low) / width * n_bins, n_bins - 1).astype(np.int64)
    informations = np.array([[mutual_info_score(v, z) for v in factors.T] for z in bins.T])
    entropies = np.array([mutual_info_score(v, v) for v in factors.T])
    return _gap(informations / entropies, per_factor)


def separated_attribute_predictability(Z: Any, factors: Any, *, per_factor: bool = False) -> Any:
    r"""Compute separated attribute predictability (SAP) from the two most predictive columns for each factor.

    .. math:: \frac{1}{m} \sum_j \bigl(r^2(z_{(1)}, v_j) - r^2(z_{(2)}, v_j)\bigr)

    where r² is the squared correlation, and :math:`z_{(1)}` and :math:`z_{(2)}` are the columns with the two largest
    (Kumar et al., 2018). It is meant for ordered factors, such as a size or a position, and not informative for
    unordered and cyclic ones. For these the paper uses the accuracy of a classifier, which is not implemented here: see
    `mutual_information_gap`.

    Parameters
    ----------
    Z : array-like of shape (n_samples, n_components)
        Codes, as returned by `transform`.
    factors : array-like of shape (n_samples, n_factors)
        Ground-truth factors of the samples, real numbers; at least two values in every column.
    per_factor : bool, default=False
        Whether to return one value for each factor instead of their mean.

    Returns
    -------
    sap : float or ndarray of shape (n_factors,), float64
        In [0, 1], the higher the better. If Z has one column, the second term is 0.

    Raises
    ------
    ValueError
        If Z or ``factors`` are not 2-D, differ in length, or contain NaN, infinity or values that are not real; if a
        factor has a single value.

    References
    ----------
    A. Kumar, P. Sattigeri and A. Balakrishnan, 2018. Variational inference of disentangled latent concepts from
    unlabeled observations. ICLR.

    Examples
    --------
    >>> import numpy as np
    >>> from skae.metrics import separated_attribute_predictability
    >>> factors = np.indices((4, 5)).reshape(2, -1).T
    >>> round(separated_attribute_predictability(factors * [-0.3, 2.0], factors), 6)
    1.0
    >>> round(separated_attribute_predictability(factors @ [[1, 1], [-1, 1]], factors), 6)
    0.0
    """
    check_choice("per_factor", per_factor, (True, False))
    Z, factors = check_codes_and_factors(Z, factors)
    correlations = standardized(Z).T @ standardized(factors) / len(Z)
    return _gap(correlations**2, per_factor)


def disentanglement(Z: Any, factors: Any, *, random_state: Any = None) -> Disentanglement:
    """Compute all measures of disentanglement with their defaults.

    They agree on perfectly disentangled codes and on noise, but often rank other codes differently, so consider more
    than one.

    Parameters
    ----------
    Z : array-like of shape (n_samples, n_components)
        Codes, as returned by `transform`.
    factors : array-like of shape (n_samples, n_factors)
        Ground-truth factors of the samples, integers; at least two values in every column.
    random_state : int or RandomState instance, default=None
        Seed, as in `dci`.

    Returns
    -------
    result : named tuple of float
        ``mig`` of `mutual_information_gap`, ``sap`` of `separated_attribute_predictability`, and ``disentanglement``,
        ``completeness``, ``informativeness`` of `dci`.

    Raises
    ------
    ValueError
        As in `mutual_information_gap`.

    Examples
    --------
    >>> import numpy as np
    >>> from skae.metrics import disentanglement
    >>> factors = np.random.default_rng(0).integers(4, size=(500, 2))
    >>> result = disentanglement(factors, factors, random_state=0)
    >>> [round(value, 1) for value in result]
    [1.0, 1.0, 1.0, 1.0, 1.0]
    """
    mig = mutual_information_gap(Z, factors)
    sap = separated_attribute_predictability(Z, factors)
    return Disentanglement(mig, sap, *dci(Z, factors, random_state=random_state)[:3])


def _gap(scores: np.ndarray, per_factor: bool) -> Any:
    """Return the difference of the two largest scores of each factor, (n_components, n_factors), or its mean."""
    ordered = np.sort(
        np.vstack([scores, np.zeros((1, scores.shape[1]))]), axis=0
    )  # zeros, in case of a single component
    gaps = ordered[-1] - ordered[-2]
    return gaps if per_factor else float(gaps.mean())
