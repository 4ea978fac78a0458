"""What may come in: checks of parameters and arrays; and that an estimator which refuses it is left as it was."""

from __future__ import annotations

import numbers
from collections.abc import Callable
from functools import partial, wraps
from typing import Any

import numpy as np
import torch
from scipy.sparse import issparse
from torch import Tensor

from .._utils.checks import LARGEST
from .arrays import as_array, as_tensor, check_array, is_float, is_nan, validate_data
from .chunked import extremes, slices, tensor_extremes
from .collections import one_array
from .messages import is_frame, reason, refuse_dates, where
from .shapes import as_fitted, of_other_shape, same_shape
from .sources import LazyArray, load_if_small
from .sparse import SparseRows, sparse_rows

_REAL, _INT = numbers.Real, numbers.Integral
_TAKE_NAN = " Set missing='mask' to take NaN for values that are missing, or impute them first (sklearn.impute)."


def unchanged_on_error(method: Callable[..., Any]) -> Callable[..., Any]:
    """Restore the attributes of an estimator whose method fails, interruptions included."""

    @wraps(method)
    def guarded(self: Any, *args: Any, **kwargs: Any) -> Any:
        before = dict(vars(self))
        try:
            return method(self, *args, **kwargs)
        except BaseException:
            self.__dict__ = before
            raise

    return guarded


def check_rows(
    estimator: Any,
    X: Any,
    *,
    reset: bool,
    min_rows: int = 1,
    missing: bool = False,
    padding: int = 0,
    tensors: bool = False,
) -> Any:
    """Validate X as scikit-learn does, rows of any shape; ``reset`` in `fit`, compare otherwise.

    NaN may be anywhere with ``missing``, and after the end of sequences with ``padding``, the axis of X along which
    these run; they may have any length. A collection of samples becomes one array, a sparse matrix `SparseRows`, and
    after `fit` a single image or sequence is one sample. With ``tensors`` a tensor stays one; otherwise it becomes an
    array.
    """
    collected = gather(estimator, X, "X", padding)
    is_list, X = collected is not X, load_if_small(as_tensor(collected) if tensors else as_array(collected))
    options = {"allow_nd": True, "ensure_min_samples": min_rows}
    if not (reset or issparse(X)):
        X = as_fitted(estimator, X, padding - 1 if padding else None)
    any_length = bool(padding) and not reset and (is_list or len(getattr(X, "shape", ())) != 2)
    free = padding - 1 if any_length else None

    def check(A: Any, finite: Any) -> np.ndarray:
        given = {"ensure_all_finite": finite, "accept_sparse": "csr", **options}
        if any_length:  # validate_data would take the length for the number of features
            return check_array(A, input_name="X", **given)
        return validate_data(estimator, A, reset=reset, **given)

    X = _read(X, check, "X", nan=missing or bool(padding))
    shape = tuple(X.shape[1:])
    if not same_shape(shape, shape if reset else estimator.input_shape_, free):
        raise ValueError(of_other_shape(estimator, tuple(X.shape)))
    if 0 in shape:
        raise ValueError(f"X must have rows with at least one value, got rows of shape {shape}.")
    columns = getattr(estimator, "feature_names_in_", None)
    return _with_checked_values(X, "X", missing, padding, known=reset, columns=columns)


def gather(estimator: Any, X: Any, name: str, padding: int) -> Any:
    """Return ``X``, as one array if it is a collection of samples, with ``padding`` as in `check_rows`."""

    def takes_images() -> bool:
        try:
            return estimator._takes_images()
        except (AttributeError, TypeError, ValueError):  # it does not say, or `fit` will
            return False

    return one_array(X, name, step_axis=padding - 1 if padding else None, takes_images=takes_images)


def _with_checked_values(
    A: Any, name: str, missing: bool, padding: int, known: bool, columns: np.ndarray | None = None
) -> Any:
    """Check the values of ``A``, or have a `LazyArray` check what it reads. With ``known`` not all of it may be NaN."""
    if isinstance(A, SparseRows):
        _with_checked_values(A.values[:, None], name, missing or bool(padding), 0, known)
        return A.checked(partial(_check_sequences, name=name, missing=missing, axis=padding)) if padding else A
    if isinstance(A, LazyArray):

        def check(rows: np.ndarray) -> None:
            _read(rows, partial(_check_any, name=name), name, nan=missing or bool(padding))
            _with_checked_values(rows, name, missing, padding, known=False, columns=columns)

        return A.checked(check)
    if isinstance(A, np.ndarray) and A.dtype.kind == "f" and A.dtype.itemsize > 4:
        check_size(A, name, columns)  # of a tensor `_holds_numbers` has seen to it
    if padding:
        _check_sequences(A, name, missing, padding)
    elif known and missing:
        check_known(A, name)
    return A


def _check_any(A: Any, finite: Any, name: str) -> np.ndarray:
    """Validate rows of any shape as scikit-learn does."""
    return check_array(A, allow_nd=True, input_name=name, ensure_all_finite=finite, accept_sparse="csr")


def _read(A: Any, check: Callable[[Any, Any], np.ndarray], name: str, *, nan: bool = False) -> Any:
    """``A`` as scikit-learn's ``check``, told what may be not finite, gives it; a tensor without its gradient.

    What is wrong with the values of a tensor is looked for on its device. NumPy sees it only if something is, to say so
    in scikit-learn's words; otherwise the check is given zeros in its place, for its shape and the names of features.
    These words lead away from the remedy where it is a parameter of ours, or a column that should be named.
    """
    refuse_dates(A, name)
    try:
        if issparse(A):
            return sparse_rows(check(A, "allow-nan" if nan else True), name)
        if isinstance(A, LazyArray):
            if A.dtype.kind not in "biuf":
                check_real(check(A[:2], True), name)  # either refuses it
            check(np.broadcast_to(np.float32(0), A.shape), False)
            return A
        if isinstance(A, Tensor) and _holds_numbers(A, nan):
            check(np.broadcast_to(np.float32(0), tuple(A.shape)), False)
            return A.detach()
        read = check(as_array(A), "allow-nan" if nan else True)
        if issparse(read):  # of a DataFrame whose columns are sparse
            return sparse_rows(read, name)
        check_real(read, name)
        return read
    except (ValueError, TypeError) as error:
        better = reason(error, A, name, "" if name == "Z" else _TAKE_NAN)
        if better is None:
            raise
        raise ValueError(better) from None


def _holds_numbers(A: Tensor, nan: bool) -> bool:
    """Whether ``A`` has rows of real numbers that float32 holds, or NaN where there may be."""
    if A.layout is not torch.strided or A.is_complex() or A.ndim < 2 or not A.numel():
        return False
    if not is_float(A):
        return True
    low, high = tensor_extremes(A.detach(), skip_nan=nan)
    return low >= -LARGEST and high <= LARGEST


def check_known(A: np.ndarray | Tensor, name: str, where: str = "") -> None:
    """Check that not all of ``A`` is NaN."""
    if np.isnan(extremes(A)[0]):
        raise ValueError(f"{name} must hold at least one value that is not NaN{' ' * bool(where)}{where}.")


def _check_sequences(X: Any, name: str, missing: bool, axis: int) -> None:
    """Check that every sequence has a step, and without ``missing`` that NaN fills whole steps after its end.

    Sequences run along ``axis`` of X.
    """
    if X.ndim > 3:
        raise ValueError(
            f"{name} must hold sequences of shape (length, channels) or (length,), "
            f"got rows of shape {tuple(X.shape[1:])}."
        )
    if not is_float(X):
        return
    X = X.swapaxes(1, 2) if axis == 2 and X.ndim == 3 else X
    known = ~is_nan(X).reshape(*X.shape[:2], -1)
    steps = known.any(2)
    filled = steps.any(1)
    if not filled.all():
        raise ValueError(
            f"{name} must hold at least one step in every row, but row {int(filled.int().argmin())} is all NaN."
        )
    if missing:
        return
    goes_on = steps.flip(1).cumsum(1, dtype=torch.int32).flip(1) > 0  # this step or a later one is known
    broken = (goes_on & ~known.all(2)).any(1)
    if broken.any():
        raise ValueError(
            f"{name} may hold NaN after the end of a sequence, in whole steps, but row {int(broken.int().argmax())} "
            "has it before. missing='mask' allows NaN anywhere."
        )


def check_same_shape(
    estimator: Any,
    A: Any,
    name: str,
    X: np.ndarray | Tensor,
    *,
    same_length: bool,
    missing: bool = False,
    padding: int = 0,
    beside: str = "X",
) -> Any:
    """Validate what comes beside X, or the array of that name: rows of X's shape, X's columns if any, NaN as in X.

    It may be an array or a tensor beside a tensor; beside an array it becomes one.
    """
    names = getattr(estimator, "feature_names_in_", None)
    if names is not None and is_frame(A) and list(A.columns) != list(names):
        raise ValueError(f"{name} must have the columns of X, {list(names)}, got {list(A.columns)}.")

    collected = gather(estimator, A, name, padding)
    is_list, A = collected is not A, as_tensor(collected) if isinstance(X, Tensor) else as_array(collected)
    A = _read(load_if_small(A, name), partial(_check_any, name=name), name, nan=missing or bool(padding))
    if len(X) == 1 and tuple(A.shape) == tuple(X.shape[1:]) and not isinstance(A, LazyArray):
        A = A[None]  # a single sample, as X may be one
    any_length = padding and not same_length and (is_list or X.ndim == 3)  # sequences may have any length
    fits = same_shape(tuple(A.shape[1:]), tuple(X.shape[1:]), padding - 1 if any_length else None)
    if not fits or (same_length and len(A) != len(X)):
        wanted = tuple(X.shape) if same_length else ("any number of rows", *X.shape[1:])
        raise ValueError(f"{name} must have the shape {wanted} to go with {beside}, got {tuple(A.shape)}.")
    return _with_checked_values(A, name, missing, padding, known=True, columns=names)


def check_codes(X: Any, width: int) -> Any:
    """Validate the codes that `inverse_transform` takes as X, of shape (n, width); tensors stay tensors."""
    X = load_if_small(as_tensor(X))
    X = _read(X, lambda A, finite: check_array(A, input_name="X", ensure_all_finite=finite, accept_sparse="csr"), "X")
    if X.shape[1] != width:
        raise ValueError(f"X must be codes with {width} columns, as transform returns them, got {X.shape[1]}.")
    return _with_checked_values(X, "X", missing=False, padding=0, known=False)


def check_sample_weight(sample_weight: Any, n_rows: int) -> np.ndarray:
    """Validate weights: (n_rows,), not negative, not all 0. A number stands for equal weights, and None for 1."""
    sample_weight = 1.0 if sample_weight is None else as_array(sample_weight)
    if isinstance(sample_weight, _REAL):  # scikit-learn reads a number so
        sample_weight = np.full(n_rows, sample_weight)
    weight = check_array(sample_weight, ensure_2d=False, dtype=np.float64, input_name="sample_weight")
    if weight.shape != (n_rows,):
        raise ValueError(f"sample_weight must have the shape ({n_rows},) to go with X, got {weight.shape}.")
    if (weight < 0).any() or not 0 < weight.max() <= LARGEST:
        raise ValueError(
            f"sample_weight must hold values from 0 to {LARGEST:g}, not all zero, "
            f"got {weight.min():g} to {weight.max():g}."
        )
    return weight


def check_domain(A: Any, name: str, loss: Any, columns: np.ndarray | None = None) -> Any:
    """Check that every value lies where ``loss`` needs it, of `LazyArray` when it is read; return ``A``.

    ``columns`` are the names of its columns, where they have any.
    """
    if loss.domain is None:
        return A
    if isinstance(A, SparseRows):
        check_domain(A.values, name, loss)
        return A
    if isinstance(A, LazyArray):
        return A.checked(partial(check_domain, name=name, loss=loss, columns=columns))
    low, high = loss.domain
    found = extremes(A)
    advice = "Shift it, widen the loss's range, or take" if loss.integer else f"Scale {name} (MinMaxScaler), or take"
    if found[0] < low or found[1] > high:
        values = as_array(A)
        raise ValueError(
            f"loss={type(loss).__name__} needs {name} in [{low:g}, {high:g}], got values from {found[0]:g} to "
            f"{found[1]:g}, in {where((values < low) | (values > high), columns)}. {advice} "
            "loss='squared_error' or 'gaussian', which accept any range."
        )
    if loss.integer and is_float(A) and not all(_is_whole(A[s]) for s in slices(A)):
        raise ValueError(f"loss={type(loss).__name__} needs whole numbers in {name}; round it, or take another loss.")
    return A


def _is_whole(A: Any) -> bool:
    """Whether there are only whole numbers and NaN."""
    rounded = A.round() if isinstance(A, Tensor) else np.rint(A)
    return bool(((A != A) | (rounded == A)).all())


def check_real(A: np.ndarray, name: str) -> None:
    """Refuse what is numeric to NumPy, such as dates, and no real number to us."""
    if A.dtype.kind not in "biuf":
        raise ValueError(f"{name} must hold real numbers, got dtype {A.dtype}.")


def check_size(A: np.ndarray, name: str, columns: np.ndarray | None = None) -> np.ndarray:
    """Refuse what float32 cannot hold; ``columns`` are the names of the columns, where they have any."""
    largest = max(map(abs, extremes(A)))
    if largest > LARGEST:
        place = where(np.abs(A) > LARGEST, columns)
        raise ValueError(f"{name} holds values up to {largest:g}, too large for float32, in {place}; divide it first.")
    return A
