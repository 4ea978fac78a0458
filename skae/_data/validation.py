"""Validation of arrays: samples, targets, weights and codes."""

from __future__ import annotations

import numbers
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
import torch
from scipy.sparse import issparse
from torch import Tensor

from .._utils.checks import LARGEST
from .arrays import as_array, as_tensor, check_array, is_float, is_nan, validate_data
from .chunked import extremes, slices, tensor_extremes
from .collections import one_array
from .messages import in_columns, is_frame, reason, refuse_dates, where
from .nan_policy import NaNPolicy
from .shapes import as_fitted, of_other_shape, same_shape
from .sources import LazyArray, load_if_small
from .sparse import SparseRows, sparse_rows

_REAL = numbers.Real
NO_NAN = NaNPolicy()
_SUM_TOLERANCE = 1e-3  # for proportions, which may have been rounded
_TAKE_NAN = " Set missing='mask' to treat NaN as missing values, or impute them first (sklearn.impute)."


def check_rows(
    estimator: Any,
    X: Any,
    *,
    reset: bool,
    min_rows: int = 1,
    nan: NaNPolicy = NO_NAN,
    tensors: bool = False,
) -> Any:
    """Validate X like scikit-learn, but samples may have any shape; ``reset`` is True in `fit`.

    Sequences that may end in NaN may have any length. A collection of samples is stacked into one array, a sparse
    matrix becomes `SparseRows`, and after `fit` a single image or sequence is accepted as one sample. With ``tensors``
    tensors are not converted.
    """
    collected = gather(estimator, X, "X", nan)
    is_list, X = collected is not X, load_if_small(as_tensor(collected) if tensors else as_array(collected))
    options = {"allow_nd": True, "ensure_min_samples": min_rows}
    if not (reset or issparse(X)):
        X = as_fitted(estimator, X, nan.free_axis)
    any_length = nan.step_axis is not None and not reset and (is_list or len(getattr(X, "shape", ())) != 2)
    free = nan.free_axis if any_length else None

    def check(A: Any, finite: Any) -> np.ndarray:
        given = {"ensure_all_finite": finite, "accept_sparse": "csr", **options}
        if any_length:  # validate_data would take the length for the number of features
            return check_array(A, input_name="X", **given)
        return validate_data(estimator, A, reset=reset, **given)

    X = _read(X, check, "X", nan=nan.allowed)
    shape = tuple(X.shape[1:])
    if not same_shape(shape, shape if reset else estimator.input_shape_, free):
        raise ValueError(of_other_shape(estimator, tuple(X.shape)))
    if 0 in shape:
        raise ValueError(f"X must have samples with at least one value, got samples of shape {shape}.")
    columns = getattr(estimator, "feature_names_in_", None)
    return _with_checked_values(X, "X", nan, known=reset, columns=columns)


def gather(estimator: Any, X: Any, name: str, nan: NaNPolicy) -> Any:
    """Stack ``X`` into one array if it is a collection of samples."""

    def takes_images() -> bool:
        try:
            return estimator._takes_images()
        except (AttributeError, TypeError, ValueError):  # not declared, or invalid parameters that `fit` reports
            return False

    return one_array(X, name, step_axis=nan.free_axis, takes_images=takes_images)


def _with_checked_values(A: Any, name: str, nan: NaNPolicy, known: bool, columns: np.ndarray | None = None) -> Any:
    """Check the values of ``A``, for a `LazyArray` when it is read. With ``known`` not all may be NaN."""
    if isinstance(A, SparseRows):
        _with_checked_values(A.values[:, None], name, NaNPolicy(nan.allowed), known)
        return A if nan.step_axis is None else A.checked(partial(_check_sequences, name=name, nan=nan))
    if isinstance(A, LazyArray):

        def check(rows: np.ndarray) -> None:
            _read(rows, partial(_check_any, name=name), name, nan=nan.allowed)
            _with_checked_values(rows, name, nan, known=False, columns=columns)

        return A.checked(check)
    if isinstance(A, np.ndarray) and A.dtype.kind == "f" and A.dtype.itemsize > 4:
        check_size(A, name, columns)  # tensors were checked by `_holds_numbers`
    if nan.step_axis is not None:
        _check_sequences(A, name, nan)
    elif known and nan.missing:
        check_known(A, name)
    return A


def check_values(A: Any, name: str, nan: NaNPolicy) -> Any:
    """Validate the values of samples of any shape."""
    A = _read(A, partial(_check_any, name=name), name, nan=nan.allowed)
    return _with_checked_values(A, name, nan, known=False)


def _check_any(A: Any, finite: Any, name: str) -> np.ndarray:
    """Validate samples of any shape like scikit-learn."""
    return check_array(A, allow_nd=True, input_name=name, ensure_all_finite=finite, accept_sparse="csr")


def _read(A: Any, check: Callable[[Any, Any], np.ndarray], name: str, *, nan: bool = False) -> Any:
    """Return ``A`` validated by scikit-learn's ``check``, which takes ``A`` and ``ensure_all_finite``; detach tensors.

    The values of tensors are checked on their device. Only if that fails is a tensor converted to NumPy, for
    scikit-learn's message; otherwise ``check`` gets zeros of its shape. Messages that do not name the column or our
    remedy are replaced.
    """
    refuse_dates(A, name)
    try:
        if issparse(A):
            return sparse_rows(check(A, "allow-nan" if nan else True), name)
        if isinstance(A, LazyArray):
            if A.dtype.kind not in "biuf":
                check_real(check(A[:2], True), name)  # one of the two raises
            check(np.broadcast_to(np.float32(0), A.shape), False)
            return A
        if isinstance(A, Tensor) and _holds_numbers(A, nan):
            check(np.broadcast_to(np.float32(0), tuple(A.shape)), False)
            return A.detach()
        read = check(as_array(A), "allow-nan" if nan else True)
        if issparse(read):  # from a DataFrame with sparse columns
            return sparse_rows(read, name)
        check_real(read, name)
        return read
    except (ValueError, TypeError) as error:
        better = reason(error, A, name, "" if name == "Z" else _TAKE_NAN)
        if better is None:
            raise
        raise ValueError(better) from None


def _holds_numbers(A: Tensor, nan: bool) -> bool:
    """Return whether ``A`` has samples of real numbers in the range of float32, or NaN if allowed."""
    if A.layout is not torch.strided or A.is_complex() or A.ndim < 2 or not A.numel():
        return False
    if not is_float(A):
        return True
    low, high = tensor_extremes(A.detach(), skip_nan=nan)
    return low >= -LARGEST and high <= LARGEST


def check_known(A: np.ndarray | Tensor, name: str, where: str = "") -> None:
    """Check that not all of ``A`` is NaN."""
    if np.isnan(extremes(A)[0]):
        raise ValueError(f"{name} must have at least one value that is not NaN{' ' * bool(where)}{where}.")


def _check_sequences(X: Any, name: str, nan: NaNPolicy) -> None:
    """Check that every sequence has a step and, unless values may be missing, NaN only in whole steps at its end."""
    if X.ndim > 3:
        raise ValueError(
            f"{name} must have sequences of shape (length, channels) or (length,), "
            f"got samples of shape {tuple(X.shape[1:])}."
        )
    if not is_float(X):
        return
    X = X.swapaxes(1, 2) if nan.step_axis == 2 and X.ndim == 3 else X
    known = ~is_nan(X).reshape(*X.shape[:2], -1)
    steps = known.any(2)
    filled = steps.any(1)
    if not filled.all():
        raise ValueError(
            f"{name} must have at least one step in every sample, but sample {int(filled.int().argmin())} is all NaN."
        )
    if nan.missing:
        return
    goes_on = steps.flip(1).cumsum(1, dtype=torch.int32).flip(1) > 0  # this step or a later one is observed
    broken = (goes_on & ~known.all(2)).any(1)
    if broken.any():
        raise ValueError(
            f"{name} may have NaN only in whole steps after the end of a sequence, but sample "
            f"{int(broken.int().argmax())} has it before. Set missing='mask' to allow NaN anywhere."
        )


def check_same_shape(
    estimator: Any,
    A: Any,
    name: str,
    X: np.ndarray | Tensor,
    *,
    same_length: bool,
    nan: NaNPolicy = NO_NAN,
    beside: str = "X",
) -> Any:
    """Validate an array of the sample shape and columns of X (or ``beside``), with NaN as allowed in X.

    Tensors stay tensors only if X is a tensor.
    """
    names = getattr(estimator, "feature_names_in_", None)
    if names is not None and is_frame(A) and list(A.columns) != list(names):
        raise ValueError(f"{name} must have the columns of X, {list(names)}, got {list(A.columns)}.")

    collected = gather(estimator, A, name, nan)
    is_list, A = collected is not A, as_tensor(collected) if isinstance(X, Tensor) else as_array(collected)
    A = _read(load_if_small(A, name), partial(_check_any, name=name), name, nan=nan.allowed)
    if len(X) == 1 and tuple(A.shape) == tuple(X.shape[1:]) and not isinstance(A, LazyArray):
        A = A[None]  # a single sample, like X
    any_length = not same_length and (is_list or X.ndim == 3)  # for sequences padded with NaN
    fits = same_shape(tuple(A.shape[1:]), tuple(X.shape[1:]), nan.free_axis if any_length else None)
    if not fits or (same_length and len(A) != len(X)):
        wanted = ", ".join(map(str, [len(X) if same_length else "n_samples", *X.shape[1:]]))
        raise ValueError(f"{name} must have the shape ({wanted}) to match {beside}, got {tuple(A.shape)}.")
    return _with_checked_values(A, name, nan, known=True, columns=names)


def check_codes(X: Any, width: int, step: int | None = None) -> Any:
    """Validate codes (n, width), the X of `inverse_transform`; tensors stay tensors.

    With ``step`` codes are ordered, and their number of columns may be any multiple of ``step``.
    """
    X = load_if_small(as_tensor(X))
    X = _read(X, lambda A, finite: check_array(A, input_name="X", ensure_all_finite=finite, accept_sparse="csr"), "X")
    is_prefix = step is not None and X.shape[1] < width and X.shape[1] % step == 0
    if X.shape[1] != width and not is_prefix:
        fewer = "" if step is None else f" or the first of them{f', a multiple of {step}' * (step > 1)},"
        raise ValueError(f"X must be codes with {width} columns, as returned by transform,{fewer} got {X.shape[1]}.")
    return _with_checked_values(X, "X", NO_NAN, known=False)


def check_sample_weight(sample_weight: Any, n_rows: int) -> np.ndarray:
    """Validate sample weights: (n_rows,), non-negative, not all 0. A number means equal weights, None weights of 1."""
    if isinstance(sample_weight, str | Mapping):
        raise TypeError(
            f"sample_weight must be a number or an array of shape ({n_rows},), got {sample_weight!r}. For weights of "
            "classes use sklearn.utils.class_weight.compute_sample_weight."
        )
    sample_weight = 1.0 if sample_weight is None else as_array(sample_weight)
    if isinstance(sample_weight, _REAL):  # as in scikit-learn
        sample_weight = np.full(n_rows, sample_weight)
    weight = check_array(sample_weight, ensure_2d=False, dtype=np.float64, input_name="sample_weight")
    if weight.shape != (n_rows,):
        raise ValueError(f"sample_weight must have the shape ({n_rows},) to match X, got {weight.shape}.")
    if (weight < 0).any() or not 0 < weight.max() <= LARGEST:
        raise ValueError(
            f"sample_weight must have values from 0 to {LARGEST:g}, not all zero, "
            f"got {weight.min():g} to {weight.max():g}."
        )
    return weight


def check_domain(A: Any, name: str, loss: Any, columns: np.ndarray | None = None) -> Any:
    """Check that all values are in the domain of ``loss``, for a `LazyArray` when it is read; return ``A``.

    ``columns`` are the column names, if any.
    """
    if loss.domain is None:
        return A
    parts = loss.by_columns()
    if isinstance(A, SparseRows) and len(parts) == 1 and not loss.sums_to_one:
        _check_part(A.values, name, loss)
        return A
    if isinstance(A, LazyArray):
        return A.checked(partial(check_domain, name=name, loss=loss, columns=columns))
    for part, places in parts:
        if places is None:
            _check_part(A, name, part, columns)
        elif places and part.domain is not None:
            _check_part(A[:, places], name, part, places if columns is None else columns[places])
    return A


def _check_part(A: Any, name: str, loss: Any, columns: Any = None) -> None:
    """Check the values in the columns of one loss."""
    low, high = loss.domain
    found = extremes(A)
    if loss.sums_to_one:
        advice = "OneHotEncoder creates such columns; for numbers use"
    elif loss.integer:
        advice = "Shift it, or use" if np.isinf(high) else "Shift it, extend the range of the loss, or use"
    else:
        advice = f"Scale {name} (MinMaxScaler), or use"
    if found[0] < low or found[1] > high:
        values = as_array(A)
        raise ValueError(
            f"loss={type(loss).__name__} needs {name} in [{low:g}, {high:g}], got values from {found[0]:g} to "
            f"{found[1]:g}, in {where((values < low) | (values > high), columns)}. {advice} "
            "loss='squared_error' or 'gaussian', which accept any range."
        )
    if loss.integer and is_float(A):
        for s in slices(A):
            if (part := ~_is_whole(A[s])).any():
                raise ValueError(
                    f"loss={type(loss).__name__} needs integers in {name}, got other values in "
                    f"{where(as_array(part), columns)}; round it, or use another loss."
                )
    if loss.sums_to_one:
        for s in slices(A):
            _check_sums(as_array(A[s]), name, loss, columns)


def _check_sums(A: np.ndarray, name: str, loss: Any, columns: Any) -> None:
    """Check that the values of each sample sum to 1, or are all NaN."""
    rows = A.reshape(len(A), -1)
    known = ~np.isnan(rows)
    partly = known.any(1) & ~known.all(1)
    sums = np.where(known, rows, 0).sum(1, dtype=np.float64)
    wrong = (np.abs(sums - 1) > _SUM_TOLERANCE) & known.all(1)
    if partly.any() or wrong.any():
        which = in_columns(range(rows.shape[1]), columns)
        row = int((partly | wrong).argmax())
        what = "NaN in some of them and not in others" if partly[row] else f"a sum of {sums[row]:g}"
        raise ValueError(
            f"loss={type(loss).__name__} needs one-hot encoded categories, or proportions that sum to 1, in {which} of "
            f"{name}, got {what}. OneHotEncoder creates such columns; a missing category is NaN in all of them."
        )


def _is_whole(A: Any) -> Any:
    """Return whether each value is an integer or NaN."""
    return (A != A) | ((A.round() if isinstance(A, Tensor) else np.rint(A)) == A)


def check_real(A: np.ndarray, name: str) -> None:
    """Reject dtypes without real numbers, such as dates."""
    if A.dtype.kind not in "biuf":
        raise ValueError(f"{name} must hold real numbers, got dtype {A.dtype}.")


def check_size(A: np.ndarray, name: str, columns: np.ndarray | None = None) -> np.ndarray:
    """Reject values outside the range of float32; ``columns`` are the column names, if any."""
    largest = max(map(abs, extremes(A)))
    if largest > LARGEST:
        place = where(np.abs(A) > LARGEST, columns)
        raise ValueError(f"{name} has values up to {largest:g}, too large for float32, in {place}; rescale it first.")
    return A
