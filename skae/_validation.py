"""What may come in: checks of parameters and arrays; and that an estimator which refuses it is left as it was."""

from __future__ import annotations

import numbers
import sys
from collections.abc import Callable
from functools import partial, wraps
from typing import Any

import numpy as np
import torch
from scipy.sparse import issparse
from sklearn.utils import check_scalar
from torch import Tensor

from ._random import settled
from ._slices import extremes, slices, tensor_extremes
from ._source import Blocks, held_or_blocks
from ._sparse import SparseRows, sparse_rows
from ._tensors import as_array, as_tensor, check_array, is_float, is_nan, validate_data

LARGEST = float(np.finfo(np.float32).max)
_REAL, _INT = numbers.Real, numbers.Integral


def unchanged_on_error(method: Callable[..., Any]) -> Callable[..., Any]:
    """Give an estimator its attributes back when its method fails, interruptions included."""
    method = settled(method)

    @wraps(method)
    def guarded(self: Any, *args: Any, **kwargs: Any) -> Any:
        before = dict(vars(self))
        try:
            return method(self, *args, **kwargs)
        except BaseException:
            self.__dict__ = before  # at once: the next Ctrl-C may strike between any two calls
            raise

    return guarded


def check_number(
    name: str, value: Any, kind: type, low: float, high: float | None = None, bounds: str = "both"
) -> None:
    """Check that ``value`` is a number of ``kind`` within bounds; a bool is none."""
    if isinstance(value, bool | np.bool_):
        raise TypeError(f"{name} must be an instance of {kind.__name__}, not bool.")
    high = sys.maxsize if high is None and isinstance(value, _INT) else high  # what torch and NumPy count to
    check_scalar(value, name, kind, min_val=low, max_val=high, include_boundaries=bounds)
    if not abs(float(value)) <= LARGEST:
        raise ValueError(f"{name} == {value}, must be finite in float32.")


def check_choice(name: str, value: Any, choices: tuple) -> None:
    """Check that ``value`` is one of ``choices``; 1 is not taken for True."""
    found = value.item() if isinstance(value, np.generic) else value  # a grid may come as an array
    if not any(type(found) is type(choice) and found == choice for choice in choices):
        raise ValueError(f"{name} must be one of {', '.join(map(repr, choices))}, got {value!r}.")


def check_device(device: Any) -> torch.device:
    """Return the torch device that ``device`` names; 'auto' is CUDA where there is one, else the CPU.

    Others are refused: what is conditioned in float64, and the private random streams, need one of these two.
    """
    if isinstance(device, str) and device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if not isinstance(device, str | torch.device | int):
        raise TypeError(f"device must be a string or a torch.device, got {device!r}.")
    try:
        found = torch.device(device)
        torch.empty(0, device=found)
    except (RuntimeError, AssertionError, TypeError, NotImplementedError, ValueError, OverflowError) as error:
        raise ValueError(f"device={device!r} is not available here: {str(error).splitlines()[0]}") from error
    if found.type not in ("cpu", "cuda"):
        raise ValueError(f"device must be 'auto', 'cpu' or a CUDA device, got {device!r}.")
    return found


def check_rows(
    estimator: Any,
    X: Any,
    *,
    reset: bool,
    min_rows: int = 1,
    missing: bool = False,
    padding: bool = False,
    tensors: bool = False,
) -> Any:
    """Validate X as scikit-learn does, rows of any shape; ``reset`` in `fit`, compare otherwise.

    NaN may be anywhere with ``missing``, and after the end of sequences with ``padding``; these may have any length.
    With ``tensors`` a tensor stays one, and is an array otherwise. A sparse matrix becomes `SparseRows`.
    """
    X = held_or_blocks(as_tensor(X) if tensors else as_array(X))
    options = {"allow_nd": True, "ensure_min_samples": min_rows}
    any_length = padding and not reset and len(X.shape if hasattr(X, "shape") else np.shape(X)) == 3

    def check(A: Any, finite: Any) -> np.ndarray:
        given = {"ensure_all_finite": finite, "accept_sparse": "csr", **options}
        if any_length:  # validate_data would take the length for the number of features
            return check_array(A, input_name="X", **given)
        return validate_data(estimator, A, reset=reset, **given)

    X = _read(X, check, "X", nan=missing or padding)
    shape = tuple(X.shape[1:])
    wanted = shape if reset else estimator.input_shape_
    if shape[1:] != wanted[1:] or not (any_length or shape == wanted):
        raise ValueError(
            f"X has rows of shape {shape}, but {type(estimator).__name__} was fitted on rows of shape {wanted}."
        )
    if 0 in shape:
        raise ValueError(f"X must have rows with at least one value, got rows of shape {shape}.")
    return _with_checked_values(X, "X", missing, padding, known=reset)


def _with_checked_values(A: Any, name: str, missing: bool, padding: bool, known: bool) -> Any:
    """``A``, its values checked; of `Blocks` they are when they are read. With ``known`` not all of it may be NaN."""
    if isinstance(A, SparseRows):
        _with_checked_values(A.values[:, None], name, missing or padding, False, known)
        return A.checked(partial(_check_sequences, name=name, missing=missing)) if padding else A
    if isinstance(A, Blocks):
        finite = "allow-nan" if missing or padding else True

        def check(rows: np.ndarray) -> None:
            check_array(rows, allow_nd=True, input_name=name, ensure_all_finite=finite)
            _with_checked_values(rows, name, missing, padding, known=False)

        return A.checked(check)
    _check_kind(A, name)
    if padding:
        _check_sequences(A, name, missing)
    elif known and missing:
        check_known(A, name)
    return A


def _read(A: Any, check: Callable[[Any, Any], np.ndarray], name: str, *, nan: bool = False) -> Any:
    """``A`` as scikit-learn's ``check``, told what may be not finite, gives it; a tensor without its gradient.

    What is wrong with the values of a tensor is looked for on its device. NumPy sees it only if something is, to say so
    in scikit-learn's words; otherwise the check is given zeros in its place, for its shape and the names of features.
    """
    if issparse(A):
        return sparse_rows(check(A, "allow-nan" if nan else True), name)
    if isinstance(A, Blocks):
        if A.dtype.kind not in "biuf":
            return check(A[:2], True)  # which refuses it, or the next check does
        check(np.broadcast_to(np.float32(0), A.shape), False)
        return A
    if not (isinstance(A, Tensor) and _holds_numbers(A, nan)):
        return check(as_array(A), "allow-nan" if nan else True)
    check(np.broadcast_to(np.float32(0), tuple(A.shape)), False)
    return A.detach()


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


def _check_sequences(X: np.ndarray | Tensor, name: str, missing: bool) -> None:
    """Check that every sequence has a step, and without ``missing`` that NaN fills whole steps after its end."""
    if X.ndim > 3:
        raise ValueError(
            f"{name} must hold sequences of shape (length, channels) or (length,), "
            f"got rows of shape {tuple(X.shape[1:])}."
        )
    if not is_float(X):
        return
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


def check_alike(
    estimator: Any,
    A: Any,
    name: str,
    X: np.ndarray | Tensor,
    *,
    same_length: bool,
    missing: bool = False,
    padding: bool = False,
    beside: str = "X",
) -> Any:
    """Validate what comes beside X, or the array of that name: rows of X's shape, X's columns if any, NaN as in X.

    It may be an array or a tensor beside a tensor; beside an array it becomes one.
    """
    names = getattr(estimator, "feature_names_in_", None)
    if names is not None and hasattr(A, "columns") and list(A.columns) != list(names):
        raise ValueError(f"{name} must have the columns of X, {list(names)}, got {list(A.columns)}.")

    def check(A: Any, finite: Any) -> np.ndarray:
        return check_array(A, allow_nd=True, input_name=name, ensure_all_finite=finite, accept_sparse="csr")

    A = held_or_blocks(as_tensor(A) if isinstance(X, Tensor) else as_array(A), name)
    A = _read(A, check, name, nan=missing or padding)
    start = 2 if padding and not same_length and X.ndim == A.ndim == 3 else 1  # sequences may have any length
    if A.shape[start:] != X.shape[start:] or A.ndim != X.ndim or (same_length and len(A) != len(X)):
        wanted = tuple(X.shape) if same_length else ("any number of rows", *X.shape[1:])
        raise ValueError(f"{name} must have the shape {wanted} to go with {beside}, got {tuple(A.shape)}.")
    return _with_checked_values(A, name, missing, padding, known=True)


def check_codes(Z: Any, width: int) -> Any:
    """Validate codes of shape (n, width); tensors stay tensors."""
    Z = held_or_blocks(as_tensor(Z), "Z")
    Z = _read(Z, lambda A, finite: check_array(A, input_name="Z", ensure_all_finite=finite, accept_sparse="csr"), "Z")
    if Z.shape[1] != width:
        raise ValueError(f"Z must have {width} columns, got {Z.shape[1]}.")
    return _with_checked_values(Z, "Z", missing=False, padding=False, known=False)


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


def check_domain(A: Any, name: str, loss: Any) -> Any:
    """Check that every value lies where ``loss`` needs it, of `Blocks` when it is read; return ``A``."""
    if loss.domain is None:
        return A
    if isinstance(A, SparseRows):
        check_domain(A.values, name, loss)
        return A
    if isinstance(A, Blocks):
        return A.checked(partial(check_domain, name=name, loss=loss))
    low, high = loss.domain
    found = extremes(A)
    advice = "Shift it, widen the loss's range, or take" if loss.integer else f"Scale {name} (MinMaxScaler), or take"
    if found[0] < low or found[1] > high:
        raise ValueError(
            f"loss={type(loss).__name__} needs {name} in [{low:g}, {high:g}], got values from {found[0]:g} to "
            f"{found[1]:g}. {advice} loss='squared_error' or 'gaussian', which accept any range."
        )
    if loss.integer and is_float(A) and not all(_is_whole(A[s]) for s in slices(A)):
        raise ValueError(f"loss={type(loss).__name__} needs whole numbers in {name}; round it, or take another loss.")
    return A


def _is_whole(A: Any) -> bool:
    """Whether there are only whole numbers and NaN."""
    rounded = A.round() if isinstance(A, Tensor) else np.rint(A)
    return bool(((A != A) | (rounded == A)).all())


def _check_kind(A: np.ndarray | Tensor, name: str) -> None:
    """Refuse what is no real number, and what float32 cannot hold."""
    if isinstance(A, Tensor):  # `_holds_numbers` has seen to it
        return
    check_real(A, name)
    if A.dtype.kind == "f" and A.dtype.itemsize > 4:
        check_size(A, name)


def check_real(A: np.ndarray, name: str) -> None:
    """Refuse what is numeric to NumPy, such as dates, and no real number to us."""
    if A.dtype.kind not in "biuf":
        raise ValueError(f"{name} must hold real numbers, got dtype {A.dtype}.")


def check_size(A: np.ndarray, name: str) -> np.ndarray:
    """Refuse what float32 cannot hold."""
    largest = max(map(abs, extremes(A)))
    if largest > LARGEST:
        raise ValueError(f"{name} holds values up to {largest:g}, too large for float32; divide it first.")
    return A
