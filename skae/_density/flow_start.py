"""The mixture that a normalizing flow starts from."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from sklearn.mixture import GaussianMixture

from .._data.targets import Classes, NoCondition, Targets
from .._utils.threads import one_blas_thread
from .em import fit_mixture
from .flow_training import Rows
from .mixture import choose_mixture, refine_mixture

_MOST_COMPONENTS = 256  # of all classes together
_MOST_ROWS = 10_000  # of a mixture that is trained further in any case
_REG_COVAR = 1e-5
_ABSENT = 1e-6  # weight of the components of other classes, all together


class Start(NamedTuple):
    """Weights (K,), or a row for each class (k, K), means (K, d) and Cholesky factors of precisions (K, d, d)."""

    weights: np.ndarray
    means: np.ndarray
    roots: np.ndarray


def start_mixture(
    rows: Rows, held_out: Rows, condition: Classes | Targets | NoCondition, n_components: Any, seed: int
) -> Start:
    """Fit a mixture to standardized rows of positive weight, or one to those of each class.

    Parameters
    ----------
    rows, held_out : Rows of ndarrays
        Those to fit, and others, of which there may be none, that decide between two sizes.
    condition : Classes, Targets or NoCondition
        Targets count for nothing here.
    n_components : int or 'auto'
        Components of one mixture.
    seed : int
    """
    rng = np.random.default_rng(seed)
    x, others = (
        part.x if part.std is None else part.x + part.std * rng.standard_normal(part.x.shape)
        for part in (rows, held_out)
    )
    if condition.classes is None:
        mixture = _fit(x, rows.weight, n_components, _MOST_COMPONENTS, seed)
        if n_components == "auto" and len(others):
            finer = refine_mixture(mixture, x, rows.weight, seed)
            scores = [np.average(found.score_samples(others), weights=held_out.weight) for found in (mixture, finer)]
            mixture = finer if scores[1] > scores[0] else mixture
        return Start(mixture.weights_, mixture.means_, mixture.precisions_cholesky_)
    assert rows.c is not None
    n_classes = rows.c.shape[1]
    found = []
    for of_class in rows.c.T > 0:
        index = of_class if of_class.any() else slice(None)  # all rows of a class may be held out
        found.append(_fit(x[index], rows.weight[index], n_components, max(1, _MOST_COMPONENTS // n_classes), seed))
    sizes = [mixture.n_components for mixture in found]
    weights = np.full((n_classes, sum(sizes)), _ABSENT / sum(sizes))
    for row, end, size, mixture in zip(weights, np.cumsum(sizes), sizes, found, strict=True):
        row[end - size : end] += mixture.weights_
    return Start(
        weights,
        np.concatenate([mixture.means_ for mixture in found]),
        np.concatenate([mixture.precisions_cholesky_ for mixture in found]),
    )


def _fit(x: np.ndarray, weight: np.ndarray, n_components: Any, most: int, seed: int) -> GaussianMixture:
    if n_components == "auto":
        return choose_mixture(x, seed, weight, max_components=most, max_rows=_MOST_ROWS)
    with one_blas_thread():
        found = fit_mixture(x, weight, min(int(n_components), len(x)), _REG_COVAR, seed)
    return found.as_estimator(np.zeros(x.shape[1]), reg_covar=_REG_COVAR)
