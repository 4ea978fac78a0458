"""Disentanglement, completeness and informativeness (DCI) of codes."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from scipy.special import xlogy
from sklearn.base import clone
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import train_test_split

from .._utils.rng import draw_seed
from ._checks import check_codes_and_factors, standardized


class DCI(NamedTuple):
    """Result of `dci`."""

    disentanglement: float
    completeness: float
    informativeness: float
    importances: np.ndarray


def dci(Z: Any, factors: Any, *, estimator: Any = None, random_state: Any = None) -> DCI:
    r"""Compute disentanglement, completeness and informativeness of a code (DCI).

    A model is fitted for each factor to predict it from the code, and :math:`R_{ij}` is the importance of column i for
    factor j, normalized to sum 1 for each factor.

    - Disentanglement: whether each column is important for a single factor; 1 minus the entropy of a row of R, averaged
      over columns with their importances as weights.
    - Completeness: whether each factor is predicted by a single column; 1 minus the entropy of a column of R, averaged
      over factors.
    - Informativeness: the prediction score on a quarter of the samples, held out at random.

    Entropies are normalized to [0, 1] (Eastwood and Williams, 2018).

    Parameters
    ----------
    Z : array-like of shape (n_samples, n_components)
        Codes, as returned by `transform`. They are standardized first.
    factors : array-like of shape (n_samples, n_factors)
        Ground-truth factors of the samples, integers; at least two values in every column.
    estimator : classifier or regressor, default=None
        Model that predicts a factor. Once fitted it must have ``feature_importances_`` or ``coef_``, whose absolute
        values are averaged over classes. If None, ``RandomForestClassifier(n_estimators=30, max_features=None,
        min_samples_leaf=5)``, where all columns compete in every split, so that uninformative ones get low importance.
    random_state : int or RandomState instance, default=None
        Seed of the split, and of ``estimator`` if its ``random_state`` is None.

    Returns
    -------
    result : named tuple
        ``disentanglement``, ``completeness``, ``informativeness`` : float, the higher the better; the first two in
        [0, 1]. ``informativeness`` is the mean of the estimator's `score` over factors: accuracy for classifiers (above
        0 by chance), R² for regressors.

        ``importances`` : ndarray of shape (n_components, n_factors), float64, the matrix R.

    Raises
    ------
    TypeError
        If ``estimator`` has neither importances nor coefficients for each column of Z.
    ValueError
        As in `mutual_information_gap`.

    References
    ----------
    C. Eastwood and C. K. I. Williams, 2018. A framework for the quantitative evaluation of disentangled
    representations. ICLR.

    Examples
    --------
    >>> import numpy as np
    >>> from skae.metrics import dci
    >>> factors = np.random.default_rng(0).integers(4, size=(500, 2))
    >>> result = dci(factors * [-0.3, 2.0], factors, random_state=0)
    >>> round(result.disentanglement, 1), round(result.completeness, 1), result.informativeness
    (1.0, 1.0, 1.0)
    >>> result = dci(factors @ [[1, 1], [-1, 1]], factors, random_state=0)
    >>> bool(result.disentanglement < 0.2), bool(result.informativeness > 0.9)
    (True, True)
    """
    Z, factors = check_codes_and_factors(Z, factors, whole=True)
    if estimator is None:
        estimator = RandomForestClassifier(n_estimators=30, max_features=None, min_samples_leaf=5)
    seed = draw_seed(random_state)
    estimator = clone(estimator)
    if estimator.get_params().get("random_state", seed) is None:
        estimator.set_params(random_state=seed)
    Z, Z_test, factors, factors_test = train_test_split(standardized(Z), factors, test_size=0.25, random_state=seed)
    scores, importances = np.empty(factors.shape[1]), np.empty((Z.shape[1], factors.shape[1]))
    for j, (v, v_test) in enumerate(zip(factors.T, factors_test.T, strict=True)):
        fitted = _fitted(clone(estimator), Z, v)
        scores[j] = fitted.score(Z_test, v_test)
        importances[:, j] = _find_importances(fitted, Z.shape[1])
    importances = _shares(importances, axis=0)
    weight = importances.sum(axis=1)
    disentangled = float(_concentration(importances, axis=1) @ weight / max(weight.sum(), np.finfo(np.float64).tiny))
    completeness = float(_concentration(importances, axis=0).mean())
    return DCI(disentangled, completeness, float(scores.mean()), importances)


def _fitted(estimator: Any, Z: np.ndarray, v: np.ndarray) -> Any:
    """Fit the estimator; the default one by its base class's `fit`.

    Tools that record every call of `fit`, such as mlflow's autologging, would record the forests as the user's models.
    """
    is_forest = type(estimator) is RandomForestClassifier
    return super(RandomForestClassifier, estimator).fit(Z, v) if is_forest else estimator.fit(Z, v)


def _find_importances(fitted: Any, n_columns: int) -> np.ndarray:
    found = getattr(fitted, "feature_importances_", getattr(fitted, "coef_", None))
    found = None if found is None else np.abs(np.asarray(found, np.float64))
    if found is None or found.shape[-1:] != (n_columns,):
        raise TypeError(f"estimator must have feature_importances_ or coef_, one for each column, got {fitted!r}.")
    return found.reshape(-1, n_columns).mean(axis=0)


def _shares(A: np.ndarray, axis: int) -> np.ndarray:
    """Divide A by its sums along an axis; 0 where the sum is 0."""
    total = A.sum(axis=axis, keepdims=True)
    return np.divide(A, total, out=np.zeros_like(A), where=total > 0)


def _concentration(A: np.ndarray, axis: int) -> np.ndarray:
    """Compute 1 minus the normalized entropy along an axis; 0 where all values are 0."""
    shares = _shares(A, axis)
    entropy = -xlogy(shares, shares).sum(axis=axis) / np.log(max(A.shape[axis], 2))
    return np.where(shares.any(axis=axis), 1 - entropy, 0.0)
