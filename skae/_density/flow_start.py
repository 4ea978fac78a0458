"""The mixture that a normalizing flow starts from."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from .._data.targets import Classes, NoCondition, Targets
from .._utils.threads import one_blas_thread
from .em import fit_mixture
from .mixture import choose_mixture

_MOST_COMPONENTS = 256  # of all classes together
_REG_COVAR = 1e-5
_ABSENT = 1e-6  # weight of the components of other classes, all together


class Start(NamedTuple):
    """Weights (K,), or a row for each class (k, K), means (K, d) and Cholesky factors of precisions (K, d, d)."""

    weights: np.ndarray
    means: np.ndarray
    roots: np.ndarray


def start_mixture(
    x: np.ndarray,
    std: np.ndarray | None,
    c: np.ndarray | None,
    weight: np.ndarray,
    condition: Classes | Targets | NoCondition,
    n_components: Any,
    seed: int,
) -> Start:
    """Fit a mixture to standardized rows (n, d) of positive weight, or one to those of each class.

    Parameters
    ----------
    x, std, c, weight
        Rows, standard deviations of their noise, of which a draw is added, conditions and weights.
    condition : Classes, Targets or NoCondition
        Targets count for nothing here.
    n_components : int or 'auto'
        Components of one mixture.
    seed : int
    """
    if std is not None:
        x = x + std * np.random.default_rng(seed).standard_normal(x.shape)
    groups = [np.ones(len(x), bool)] if condition.classes is None else list(c.T > 0)  # type: ignore[union-attr]
    most = max(1, _MOST_COMPONENTS // len(groups))
    found = []
    for index in groups:
        rows, of_rows = (x[index], weight[index]) if index.any() else (x, weight)  # all rows of a class are held out
        if n_components == "auto":
            mixture = choose_mixture(rows, seed, of_rows, max_components=most)
            found.append(Start(mixture.weights_, mixture.means_, mixture.precisions_cholesky_))
        else:
            with one_blas_thread():
                fitted = fit_mixture(rows, of_rows, min(int(n_components), len(rows)), _REG_COVAR, seed)
            found.append(Start(fitted.weights, fitted.means, fitted.roots))
    means, roots = (np.concatenate(parts) for parts in list(zip(*found, strict=True))[1:])
    if condition.classes is None:
        return Start(found[0].weights, means, roots)
    weights = np.full((len(groups), len(means)), _ABSENT / len(means))
    end = 0
    for row, part in zip(weights, found, strict=True):
        start, end = end, end + len(part.means)
        row[start:end] += part.weights
    return Start(weights, means, roots)
