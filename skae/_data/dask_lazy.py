"""Lazy evaluation, block by block, of methods that map samples to samples on large dask collections."""

from __future__ import annotations

import copy
import inspect
import sys
from collections.abc import Callable
from functools import partial, wraps
from typing import Any, ClassVar

import numpy as np
from sklearn import config_context, get_config
from sklearn.utils.validation import check_is_fitted

from .._utils.memory import hold_budget
from .._utils.threads import threads_for
from .arrays import validate_data

_BESIDE = ("y", "X_target")  # arguments with one entry for each sample of X


class RowWise:
    """Base class of estimators with methods that return dask collections for large dask collections.

    ``_row_wise`` lists these methods, with the dtype of the result if it is one number per sample, or None if the type
    of the result is inferred from an example. The methods of a subclass are wrapped after scikit-learn has wrapped
    `transform` for `set_output`.
    """

    _row_wise: ClassVar[dict[str, Any]] = {}

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        for name in cls._row_wise.keys() & vars(cls).keys():
            setattr(cls, name, _lazily(vars(cls)[name], cls._row_wise[name]))

    def _example_of(self, X: Any) -> Any:
        """Return an example of X, as an array or a DataFrame of one row."""
        return _zeros_like(X)


def _lazily(method: Callable[..., Any], dtype: Any) -> Callable[..., Any]:
    takes_codes = method.__name__ == "inverse_transform"

    @wraps(method)
    def wrapped(self: Any, *args: Any, **kwargs: Any) -> Any:
        sample_shape = None if takes_codes else vars(self).get("input_shape_")
        if not _is_too_large(args[0] if args else kwargs.get("X"), sample_shape):
            return method(self, *args, **kwargs)
        given = dict(inspect.signature(method).bind(self, *args, **kwargs).arguments)
        del given["self"]
        check_is_fitted(self)
        return _mapped(self, method, dtype, given.pop("X"), given)

    return wrapped


def _is_too_large(X: Any, sample_shape: tuple[int, ...] | None) -> bool:
    """Return whether X is a dask array too large for memory or of unknown length, or a dask DataFrame.

    An array of the shape of one sample, ``sample_shape``, does not count.
    """
    if _is_dask(X, "dataframe", "DataFrame"):
        return True
    if not _is_dask(X, "array", "Array") or X.ndim < 2 or any(side != side for side in X.shape[1:]):
        return False
    has_rows = sample_shape is None or X.ndim == 1 + len(sample_shape)
    return has_rows and (X.shape[0] != X.shape[0] or X.nbytes > hold_budget())


def _is_dask(X: Any, module: str, *names: str) -> bool:
    found = sys.modules.get(f"dask.{module}")  # without the import there are no collections
    return found is not None and isinstance(X, tuple(getattr(found, name) for name in names))


def _zeros_like(X: Any) -> Any:
    """Return one row of zeros with the columns and dtypes of a dask collection."""
    if not hasattr(X, "columns"):
        return np.zeros((1, *X.shape[1:]), X.dtype)
    import pandas as pd

    numbers = {name: dtype for name, dtype in X.dtypes.items() if dtype.kind in "biuf"}
    return pd.DataFrame(np.zeros((1, X.shape[1])), columns=X.columns).astype(numbers)


def _mapped(estimator: Any, method: Callable[..., Any], dtype: Any, X: Any, given: dict[str, Any]) -> Any:
    """Return the dask collection of the results of ``method`` for the blocks of X."""
    from dask import delayed

    beside = {
        name: given.pop(name) for name in _BESIDE if np.ndim(given.get(name, 0))
    }  # y may be a single value for all samples
    if dtype is None:
        row, options = estimator._example_of(X), dict(given)
        if "y" in beside:
            classes = vars(estimator).get("classes_")
            options["y"] = np.zeros((1, *np.shape(beside["y"])[1:])) if classes is None else classes[:1]
        example = getattr(estimator, method.__name__)(row, **options)[:0]
    else:
        if X.ndim == 2:  # an array of samples of one axis, or a DataFrame
            validate_data(estimator, _zeros_like(X), reset=False, skip_check_array=True)
        example = np.empty(0, dtype)
    if not isinstance(example, np.ndarray) and not hasattr(example, "iloc"):
        raise ValueError(
            f"{method.__name__} returns a dask collection for this X, which cannot be a {type(example).__name__} of "
            f"{type(example).__module__.partition('.')[0]}: use set_output 'pandas' or 'default', or pass X.compute()."
        )
    # As a separate value in the graph the estimator is sent once, instead of with every block. It is copied, since its
    # attributes may change before the graph is computed.
    kept = delayed(copy.copy(estimator), traverse=False)
    # Not as arguments of dask's functions, which use Python's random state to estimate the size of a dict.
    apply = partial(_of_block, method.__name__, tuple(beside), given, get_config())
    if hasattr(X, "columns"):
        for name, A in beside.items():
            if not _is_dask(A, "dataframe", "DataFrame", "Series"):
                raise TypeError(f"{name} must be a dask DataFrame or Series, like X, got {type(A).__name__}.")
            if A.npartitions != X.npartitions:
                raise ValueError(
                    f"{name} must have {X.npartitions} partitions, like X, got {A.npartitions}: repartition it, or "
                    "select both from one DataFrame."
                )
        return X.map_partitions(partial(apply, example), *beside.values(), meta=example, estimator=kept)
    found = _blockwise(apply, X, beside, np.asarray(example), kept)
    if isinstance(example, np.ndarray):
        return found
    from dask import dataframe

    return dataframe.from_dask_array(found, columns=example.columns)


def _blockwise(apply: Callable[..., Any], X: Any, beside: dict[str, Any], empty: np.ndarray, estimator: Any) -> Any:
    """Return the dask array of the results for the blocks of X, with ``empty`` for blocks without rows."""
    from dask import array

    arrays = {name: _as_dask_array(A) for name, A in beside.items()}
    for name, A in arrays.items():
        if X.shape[0] != X.shape[0]:
            raise ValueError(f"{name} needs an X with a known number of rows: call X.compute_chunk_sizes() first.")
        if A.shape[:1] != X.shape[:1]:
            raise ValueError(f"{name} must have {X.shape[0]} rows, like X, got {A.shape[0] if A.ndim else 0}.")
    pairs: list[Any] = []
    for A in (X, *arrays.values()):
        pairs += [A.rechunk({0: X.chunks[0], **dict.fromkeys(range(1, A.ndim), -1)}), (0, *range(1, A.ndim))]
    axes = tuple(range(1, empty.ndim))
    return array.blockwise(
        partial(apply, empty),
        (0, *(-axis for axis in axes)),  # the axes of the result are not those of X
        *pairs,
        new_axes={-axis: empty.shape[axis] for axis in axes},
        align_arrays=False,
        dtype=empty.dtype,
        meta=empty,
        estimator=estimator,
    )


def _as_dask_array(A: Any) -> Any:
    """Return a dask array of a collection, of a chunked array without loading it, or of data in memory."""
    from dask import array, is_dask_collection

    if is_dask_collection(A) or hasattr(A, "chunks"):
        return array.asarray(A)
    A = np.asarray(A)  # strings in a Series have no NumPy dtype
    return array.from_array(A, chunks=-1 if A.dtype.hasobject else "auto")  # dask cannot estimate the size of objects


def _of_block(
    method: str,
    names: tuple[str, ...],
    options: dict[str, Any],
    config: dict[str, Any],
    empty: Any,
    *blocks: Any,
    estimator: Any,
) -> Any:
    """Return the result for one block, with the configuration of the caller; one thread, as dask has several."""
    block, *others = map(_only, blocks)
    if not block.shape[0]:
        return empty
    with config_context(**config), threads_for(0):
        found = getattr(estimator, method)(block, **dict(zip(names, others, strict=True)), **options)
    return np.asarray(found) if isinstance(empty, np.ndarray) else found.set_axis(block.index)


def _only(block: Any) -> Any:
    """Return the block inside nested lists, which dask passes for axes that the result does not have."""
    while isinstance(block, list):
        (block,) = block
    return block
