"""The arrays of a fit, validated against each other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from sklearn.utils.validation import check_consistent_length

from .._data.sources import LazyArray, arranged
from .._data.sparse import SparseRows
from .._data.validation import check_domain, check_known, check_same_shape, check_sample_weight


class FitData(NamedTuple):
    """Validated arrays, without the rows of weight 0, which are rows that are not there; in `LazyArray` they remain."""

    X: np.ndarray | LazyArray
    X_target: np.ndarray | LazyArray | None = None
    X_val: np.ndarray | SparseRows | None = None
    X_val_target: np.ndarray | SparseRows | None = None
    sample_weight: np.ndarray | None = None
    condition: np.ndarray | None = None  # what the decoder is told of every row, (n, n_conditions)
    condition_val: np.ndarray | None = None

    def arranged(self, arrange: Callable[[np.ndarray], np.ndarray]) -> FitData:
        """The same with ``arrange`` applied to all rows."""
        rows = {name: A for name, A in self._asdict().items() if name.startswith("X") and A is not None}
        return self._replace(**{name: arranged(A, arrange) for name, A in rows.items()})


def check_fit_data(
    estimator: Any,
    loss: Any,
    X: Any,
    *,
    X_target: Any = None,
    X_val: Any = None,
    X_val_target: Any = None,
    sample_weight: Any = None,
    condition: Any = None,
    condition_val: Any = None,
    missing: bool = False,
    padding: int = 0,
) -> FitData:
    """Validate what comes beside a validated X and its conditions; NaN may be where `check_rows` lets it be."""
    rules: dict[str, Any] = {"missing": missing, "padding": padding}
    if X_target is not None:
        X_target = check_same_shape(estimator, X_target, "X_target", X, same_length=True, **rules)
    if X_val is not None:
        X_val = check_same_shape(estimator, X_val, "X_val", X, same_length=False, **rules)
        if condition_val is not None:
            check_consistent_length(X_val, condition_val)
    if X_val_target is not None:
        if X_val is None:
            raise ValueError("X_val_target needs X_val, the rows that it is the target of.")
        X_val_target = check_same_shape(
            estimator, X_val_target, "X_val_target", X_val, same_length=True, beside="X_val", **rules
        )
    elif X_target is not None and X_val is not None:
        raise ValueError("X_val needs X_val_target where X is given an X_target.")
    for name, A in (("X_val", X_val), ("X_val_target", X_val_target)):
        if isinstance(A, LazyArray) and not isinstance(A, SparseRows):
            raise ValueError(f"{name} must fit into memory, got {A.size} values: pass fewer rows.")
    columns = getattr(estimator, "feature_names_in_", None)
    if X_target is None:
        X = check_domain(X, "X", loss, columns)
    else:
        X_target = check_domain(X_target, "X_target", loss, columns)
    if X_val_target is not None:
        X_val_target = check_domain(X_val_target, "X_val_target", loss, columns)
    elif X_val is not None:
        X_val = check_domain(X_val, "X_val", loss, columns)
    if sample_weight is None:
        return FitData(X, X_target, X_val, X_val_target, None, condition, condition_val)
    sample_weight = check_sample_weight(sample_weight, len(X))
    kept = sample_weight > 0
    if not kept.all() and not isinstance(X, LazyArray):
        X, sample_weight = X[kept], sample_weight[kept]
        X_target = None if X_target is None else X_target[np.flatnonzero(kept)]
        condition = None if condition is None else condition[kept]
        check_known(X, "X", "in a row of positive weight")
    return FitData(X, X_target, X_val, X_val_target, sample_weight, condition, condition_val)
