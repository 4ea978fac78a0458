"""Outputs of a fitted estimator for outlier scores: errors by feature, codes and likelihoods."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.sparse import issparse
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline

from .._data.arrays import as_array, check_array
from .._data.collections import is_pil_image, one_array, sample_array
from .._data.sequences import step_axis_of
from .._data.sources import load_if_small
from ._base import BaseAutoencoder

_MOST = 1e150  # squares of larger values overflow


def without_wrappers(estimator: Any) -> Any:
    """Return the estimator within a frozen estimator or a fitted search."""
    while True:
        if isinstance(estimator, FrozenEstimator):
            estimator = estimator.estimator
        elif hasattr(estimator, "best_estimator_"):
            estimator = estimator.best_estimator_
        else:
            return estimator


def last_step(estimator: Any) -> Any:
    """Return the last step of a pipeline, fitted or not."""
    estimator = without_wrappers(estimator)
    return last_step(estimator.steps[-1][1]) if isinstance(estimator, Pipeline) else estimator


def seen_by_last_step(estimator: Any, X: Any) -> tuple[Any, Any]:
    """Return the last step of a fitted estimator, and its input."""
    estimator = without_wrappers(estimator)
    if not isinstance(estimator, Pipeline):
        return estimator, X
    return seen_by_last_step(estimator[-1], estimator[:-1].transform(X) if len(estimator) > 1 else X)


def squared_errors(step: Any, X: Any) -> np.ndarray | list[np.ndarray]:
    """Return the squared error of each value in the shape of X, NaN where X is; a list for images of different sizes.

    Estimators of tables define errors by a method ``feature_losses``.
    """
    if hasattr(step, "feature_losses"):
        return np.asarray(step.feature_losses(X), dtype=np.float64)
    X = gathered(step, X)
    found = step.reconstruct(X) if hasattr(step, "reconstruct") else step.inverse_transform(step.transform(X))
    if isinstance(found, list):
        return [_squared(_image(X, i), image) for i, image in enumerate(found)]
    return _squared(X, found)


def gathered(step: Any, X: Any) -> Any:
    """Return a collection of samples as one array if the step supports it; images of any size as a list."""
    if hasattr(X, "__array__") and not hasattr(X, "__len__"):
        X = np.asarray(X)
    if not isinstance(step, BaseAutoencoder):
        return one_array(X)
    X = step._gather(X)
    if not step._takes_list(X) or isinstance(X, list):
        return X
    return [X] if is_pil_image(X) else [_image(X, i) for i in range(len(X))]


def deviations(step: Any, X: Any, center: np.ndarray) -> np.ndarray | list[np.ndarray]:
    """Return the squared deviation of each value from ``center``, as `squared_errors` does."""
    X = gathered(step, X)
    rows = as_numbers(X)
    return [_squared(_image(X, i), center) for i in range(len(X))] if rows is None else _squared(rows, center)


def center_of(step: Any, X: Any) -> np.ndarray | None:
    """Return the mean of samples, by channel if samples may have any size.

    Return None for samples that are not an array of numbers.
    """
    if hasattr(step, "feature_losses"):
        return None
    X = gathered(step, X)
    rows = as_numbers(X)
    if rows is None:
        images = [_image(X, i).astype(np.float64) for i in range(len(X))]
        free = _free_axes(step, images[0].ndim)
        return np.nanmean([np.nanmean(image, axis=free, keepdims=True) for image in images], axis=0)
    free = _free_axes(step, rows.ndim - 1)
    return mean_of_known(rows, axis=(0, *(axis + 1 for axis in free)), keepdims=True)[0]


def _free_axes(step: Any, n_axes: int) -> tuple[int, ...]:
    """Return the axes, of ``n_axes``, with variable length."""
    if not isinstance(step, BaseAutoencoder):
        return ()
    if step.module_.reads_padding:
        return (step_axis_of(step) - 1,)
    if not step.module_.any_size:
        return ()
    channel_axis = _channel_axis(step, n_axes)
    return tuple(axis for axis in range(n_axes) if channel_axis is None or axis != channel_axis % n_axes)


def as_numbers(X: Any) -> np.ndarray | None:
    """Return samples as a dense array in float64, or None if they are not an array of numbers."""
    X = load_if_small(as_array(X))
    if isinstance(X, list | tuple) and len({np.shape(row) for row in X}) > 1:  # images of different sizes
        return None
    X = X.toarray() if issparse(X) else X
    return check_array(X, allow_nd=True, ensure_2d=False, ensure_all_finite="allow-nan", dtype=np.float64)


def _image(X: Any, i: int) -> np.ndarray:
    """Return one image of a sequence; in a tuple the first entry is the image."""
    item = X[i]
    return sample_array(item[0] if isinstance(item, tuple) else item, f"X[{i}]")


def _squared(X: Any, X_hat: Any) -> np.ndarray:
    """Return (X - X_hat)^2, NaN where X is."""
    rows, X_hat = as_numbers(X), np.asarray(as_array(X_hat), dtype=np.float64)
    assert rows is not None
    if rows.ndim < X_hat.ndim:  # a single sample
        rows = rows.reshape(X_hat.shape)
    return np.square(np.clip(rows - X_hat, -_MOST, _MOST))


def by_feature(step: Any, errors: np.ndarray | list[np.ndarray]) -> np.ndarray:
    """Return errors as a matrix (n_samples, n_features), by channel for images and sequences of any size."""
    if isinstance(errors, list):
        return np.stack([_mean_of(error[None], _channel_axis(step, error.ndim))[0] for error in errors])
    if isinstance(step, BaseAutoencoder) and step.module_.reads_padding:
        return _mean_of(errors, _channel_axis(step, errors.ndim - 1))
    return errors.reshape(len(errors), -1)


def of_values(step: Any, levels: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Reshape numbers by feature, as in `by_feature`, to broadcast with a sample of ``shape``."""
    if levels.size == np.prod(shape):
        return levels.reshape(shape)
    axis = _channel_axis(step, len(shape))
    return levels if axis is None else levels.reshape([-1 if i == axis % len(shape) else 1 for i in range(len(shape))])


def _channel_axis(step: Any, n_axes: int) -> int | None:
    """Return the axis of the channels of a sample of any size, or None for one channel without an axis."""
    if step.module_.reads_padding:
        return 0 if step_axis_of(step) == 2 else -1 if n_axes > 1 else None
    return getattr(vars(step).get("layout_"), "channel_axis", None)


def _mean_of(errors: np.ndarray, channel_axis: int | None) -> np.ndarray:
    """Return the mean of the errors of observed values for each channel."""
    errors = errors[..., None] if channel_axis is None else np.moveaxis(errors, channel_axis % errors[0].ndim + 1, -1)
    return mean_of_known(errors.reshape(len(errors), -1, errors.shape[-1]), axis=1)


def mean_of_known(A: np.ndarray, axis: int | tuple[int, ...], keepdims: bool = False) -> np.ndarray:
    """Return the mean over values that are not NaN; NaN if there are none."""
    known = ~np.isnan(A)
    n = known.sum(axis=axis, keepdims=keepdims)
    return np.where(n > 0, np.where(known, A, 0.0).sum(axis=axis, keepdims=keepdims) / np.maximum(n, 1), np.nan)


def codes_of(step: Any, X: Any) -> np.ndarray:
    """Return codes as a matrix in float64; the mean over positions for images of different sizes."""
    codes = step.transform(gathered(step, X))
    if isinstance(codes, list):
        return np.stack([code.mean(axis=(1, 2)) for code in codes]).astype(np.float64)
    codes = np.asarray(as_array(codes.toarray() if issparse(codes) else codes), dtype=np.float64)
    return codes.reshape(len(codes), -1)


def likelihood_of(step: Any, X: Any) -> np.ndarray:
    """Return the log-likelihood of samples, or the ``score_samples`` of the step."""
    return np.asarray(as_array(step.score_samples(gathered(step, X))), dtype=np.float64)
