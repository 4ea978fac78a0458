"""Features for the comparison of generated with real samples."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from scipy.special import expit
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from .._data.arrays import check_array, validate_data
from .._data.image_list import is_image_list
from .._data.validation import check_size
from ._checks import check_values

_MLP = (MLPClassifier, MLPRegressor)
_LEAST_PROBABILITY = 1e-6  # trees may return 0, whose logarithm is infinite


def find_features(features: Any, *, min_rows: int = 1, **arrays: Any) -> list[np.ndarray]:
    """Compute the features of each array, (n, d) in float64; argument names are used in messages, X comes first."""
    if features is None:
        values = {name: check_values(A, name) for name, A in arrays.items()}
        shape = next(iter(values.values())).shape[1:]
        for name, A in values.items():
            if A.shape[1:] != shape:
                raise ValueError(f"{name} must have rows of X's shape, {shape}, got {A.shape[1:]}.")
        found = {name: A.reshape(len(A), -1).astype(np.float64) for name, A in values.items()}
    else:
        _check_kind(features)
        found = {name: _check_result(_apply(features, A), A, name) for name, A in arrays.items()}
        width = next(iter(found.values())).shape[1]
        for name, F in found.items():
            if F.shape[1] != width:
                raise ValueError(f"features gave {width} columns for X, but {F.shape[1]} for {name}.")
    for name, F in found.items():
        if len(F) < min_rows:
            raise ValueError(f"{name} must have at least {min_rows} samples, got {len(F)}.")
    return list(found.values())


def _check_kind(features: Any) -> None:
    wanted = "None, a fitted transformer or classifier, or a function from X to an array of shape (n_samples, d)"
    if isinstance(features, type):
        raise TypeError(f"features must be {wanted}; got the class {features.__name__}: pass a fitted instance.")
    if hasattr(features, "fit"):
        check_is_fitted(features)
    elif not (hasattr(features, "transform") or callable(features)):
        raise TypeError(f"features must be {wanted}, got {features!r}.")


def _apply(features: Any, X: Any) -> Any:
    """Apply ``features`` to X; for pipelines and searches, to find their final classifier."""
    if not (hasattr(features, "fit") or hasattr(features, "transform")):
        return features(X)
    X = _flatten_if_wanted(features, X)
    if hasattr(features, "transform"):
        return features.transform(X)
    if hasattr(features, "best_estimator_"):
        return _apply(features.best_estimator_, X)
    if isinstance(features, Pipeline):
        return _apply(features[-1], features[:-1].transform(X) if len(features) > 1 else X)
    if isinstance(features, _MLP):
        return _last_hidden_layer(features, X)
    if hasattr(features, "decision_function"):
        scores = features.decision_function(X)
        return scores.reshape(-1, 1) if np.ndim(scores) == 1 else scores  # binary classifiers return a 1-d array
    if hasattr(features, "predict_proba"):
        return np.log(np.clip(features.predict_proba(X), _LEAST_PROBABILITY, None))
    raise TypeError(
        f"features={features!r} has none of transform, decision_function and predict_proba. Pass a function instead."
    )


def _flatten_if_wanted(estimator: Any, X: Any) -> Any:
    """Flatten images if the estimator was fitted on flat rows; return anything else unchanged."""
    if is_image_list(X):  # of any size, which have no common shape
        return X
    shape = np.shape(X)
    wanted = getattr(estimator, "input_shape_", (getattr(estimator, "n_features_in_", None),))
    if len(shape) > 2 and tuple(wanted) == (math.prod(shape[1:]),):
        return np.asarray(X).reshape(len(X), -1)
    return X


def _last_hidden_layer(network: Any, X: Any) -> np.ndarray:
    activation = {"identity": np.asarray, "logistic": expit, "tanh": np.tanh, "relu": lambda A: np.maximum(A, 0)}
    A = validate_data(network, X, reset=False, dtype=np.float64)
    for weight, bias in zip(network.coefs_[:-1], network.intercepts_[:-1], strict=True):
        A = activation[network.activation](A @ weight + bias)
    return A


def _check_result(result: Any, X: Any, name: str) -> np.ndarray:
    """Validate and flatten the features of the array ``name``, one row per sample."""
    any_size = {"ensure_2d": False, "allow_nd": True, "ensure_min_samples": 0, "ensure_min_features": 0}
    F = check_array(result, dtype=np.float64, input_name=f"features of {name}", **any_size)
    n_rows = X.shape[0] if hasattr(X, "shape") else len(X)
    if F.ndim < 2 or len(F) != n_rows or F.size == 0:
        raise ValueError(
            f"features must give an array of shape (n_samples, d) with n_samples = {n_rows} for {name}, got {F.shape}."
        )
    return check_size(F.reshape(len(F), -1), f"features of {name}")
