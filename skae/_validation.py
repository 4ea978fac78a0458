"""What may come in: checks of parameters and arrays, and every error message about data."""

from __future__ import annotations

import math
import numbers
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from sklearn.utils import check_array, check_scalar
from sklearn.utils.validation import validate_data

from ._conditioning import extremes

_REAL, _INT = numbers.Real, numbers.Integral


@contextmanager
def unchanged_on_error(estimator: Any) -> Iterator[None]:
    """Give ``estimator`` its attributes back when the block fails, interruptions included."""
    before = dict(vars(estimator))
    try:
        yield
    except BaseException:
        vars(estimator).clear()
        vars(estimator).update(before)
        raise


def check_number(
    name: str, value: Any, kind: type, low: float, high: float | None = None, bounds: str = "both"
) -> None:
    """Check that ``value`` is a number of ``kind`` within bounds; a bool is none."""
    if isinstance(value, bool | np.bool_):
        raise TypeError(f"{name} must be an instance of {kind.__name__}, not bool.")
    check_scalar(value, name, kind, min_val=low, max_val=high, include_boundaries=bounds)
    if not math.isfinite(value):
        raise ValueError(f"{name} == {value}, must be finite.")


def check_choice(name: str, value: Any, choices: tuple) -> None:
    """Check that ``value`` is one of ``choices``; 1 is not taken for True."""
    found = value.item() if isinstance(value, np.generic) else value  # a grid may come as an array
    if not any(type(found) is type(choice) and found == choice for choice in choices):
        raise ValueError(f"{name} must be one of {', '.join(map(repr, choices))}, got {value!r}.")


def check_training_params(est: Any, schedules: tuple) -> None:
    """Check the parameters that all estimators share."""
    check_number("n_components", est.n_components, _INT, 1)
    check_number("alpha", est.alpha, _REAL, 0)
    check_number("l1_ratio", est.l1_ratio, _REAL, 0, 1)
    check_number("lr", est.lr, _REAL, 0, bounds="neither")
    if not (isinstance(est.max_epochs, str) and est.max_epochs == "auto"):
        check_number("max_epochs", est.max_epochs, _INT, 0)
    check_number("batch_size", est.batch_size, _INT, 1)
    check_choice("early_stopping", est.early_stopping, ("auto", True, False))
    check_number("validation_fraction", est.validation_fraction, _REAL, 0, 1, bounds="neither")
    check_number("n_iter_no_change", est.n_iter_no_change, _INT, 1)
    check_number("tol", est.tol, _REAL, 0)
    check_choice("lr_schedule", est.lr_schedule, schedules)
    check_choice("warm_start", est.warm_start, (True, False))
    check_choice("missing", est.missing, ("error", "mask"))
    check_number("verbose", int(est.verbose) if isinstance(est.verbose, bool) else est.verbose, _INT, 0)


def check_device(device: Any) -> torch.device:
    """Return the torch device that ``device`` names; 'auto' is CUDA where there is one, else the CPU.

    Others are refused: what is conditioned in float64, and the private random streams, need one of these two.
    """
    if isinstance(device, str) and device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        found = torch.device(device)
        torch.empty(0, device=found)
    except (RuntimeError, AssertionError, TypeError, NotImplementedError) as error:
        raise ValueError(f"device={device!r} is not available here: {str(error).splitlines()[0]}") from error
    if found.type not in ("cpu", "cuda"):
        raise ValueError(f"device must be 'auto', 'cpu' or a CUDA device, got {device!r}.")
    return found


def check_rows(
    estimator: Any, X: Any, *, reset: bool, min_rows: int = 1, missing: bool = False, padding: bool = False
) -> np.ndarray:
    """Validate X as scikit-learn does, rows of any shape; ``reset`` in `fit`, compare otherwise.

    NaN may be anywhere with ``missing``, and after the end of sequences with ``padding``; these may have any length.
    """
    options = {
        "allow_nd": True,
        "ensure_min_samples": min_rows,
        "ensure_all_finite": "allow-nan" if missing or padding else True,
    }
    any_length = padding and not reset and len(X.shape if hasattr(X, "shape") else np.shape(X)) == 3
    if any_length:  # validate_data would take the length for the number of features
        X = check_array(X, input_name="X", **options)
    else:
        X = validate_data(estimator, X, reset=reset, **options)
    shape, wanted = X.shape[1:], X.shape[1:] if reset else estimator.input_shape_
    if shape[1:] != wanted[1:] or not (any_length or shape == wanted):
        raise ValueError(
            f"X has rows of shape {shape}, but {type(estimator).__name__} was fitted on rows of shape {wanted}."
        )
    if 0 in shape:
        raise ValueError(f"X must have rows with at least one value, got rows of shape {shape}.")
    X = _check_kind(X, "X")
    if padding:
        _check_sequences(X, "X", missing)
    elif reset and missing:
        check_known(X, "X")
    return X


def check_known(A: np.ndarray, name: str, where: str = "") -> None:
    """Check that not all of ``A`` is NaN."""
    if np.isnan(extremes(A)[0]):
        raise ValueError(f"{name} must hold at least one value that is not NaN{' ' * bool(where)}{where}.")


def _check_sequences(X: np.ndarray, name: str, missing: bool) -> None:
    """Check that every sequence has a step, and without ``missing`` that NaN fills whole steps after its end."""
    if X.ndim > 3:
        raise ValueError(
            f"{name} must hold sequences of shape (length, channels) or (length,), got rows of shape {X.shape[1:]}."
        )
    if X.dtype.kind != "f":
        return
    known = ~np.isnan(X.reshape(*X.shape[:2], -1))
    steps = known.any(axis=2)
    if not steps.any(axis=1).all():
        raise ValueError(
            f"{name} must hold at least one step in every row, but row {np.argmin(steps.any(axis=1))} is all NaN."
        )
    goes_on = np.logical_or.accumulate(steps[:, ::-1], axis=1)[:, ::-1]  # this step or a later one is known
    broken = (goes_on & ~known.all(axis=2)).any(axis=1)
    if not missing and broken.any():
        raise ValueError(
            f"{name} may hold NaN after the end of a sequence, in whole steps, but row {np.argmax(broken)} has it "
            "before. missing='mask' allows NaN anywhere."
        )


def check_alike(
    estimator: Any,
    A: Any,
    name: str,
    X: np.ndarray,
    *,
    same_length: bool,
    missing: bool = False,
    padding: bool = False,
) -> np.ndarray:
    """Validate an array that comes beside X: rows of X's shape, X's columns if it names any, NaN as in X."""
    names = getattr(estimator, "feature_names_in_", None)
    if names is not None and hasattr(A, "columns") and list(A.columns) != list(names):
        raise ValueError(f"{name} must have the columns of X, {list(names)}, got {list(A.columns)}.")
    finite = "allow-nan" if missing or padding else True
    A = check_array(A, allow_nd=True, input_name=name, ensure_all_finite=finite)
    start = 2 if padding and not same_length and X.ndim == A.ndim == 3 else 1  # sequences may have any length
    if A.shape[start:] != X.shape[start:] or A.ndim != X.ndim or (same_length and len(A) != len(X)):
        wanted = X.shape if same_length else ("any number of rows", *X.shape[1:])
        raise ValueError(f"{name} must have the shape {wanted} to go with X, got {A.shape}.")
    A = _check_kind(A, name)
    if padding:
        _check_sequences(A, name, missing)
    elif missing:
        check_known(A, name)
    return A


def check_codes(Z: Any, width: int) -> np.ndarray:
    """Validate codes of shape (n, width)."""
    Z = check_array(Z, input_name="Z")
    if Z.shape[1] != width:
        raise ValueError(f"Z must have {width} columns, got {Z.shape[1]}.")
    return _check_kind(Z, "Z")


def check_sample_weight(sample_weight: Any, n_rows: int) -> np.ndarray:
    """Validate weights: (n_rows,), not negative, not all 0. A number stands for equal weights."""
    if isinstance(sample_weight, _REAL):  # scikit-learn reads a number so
        sample_weight = np.full(n_rows, sample_weight)
    weight = check_array(sample_weight, ensure_2d=False, dtype=np.float64, input_name="sample_weight")
    if weight.shape != (n_rows,):
        raise ValueError(f"sample_weight must have the shape ({n_rows},) to go with X, got {weight.shape}.")
    if (weight < 0).any() or not (weight > 0).any():
        raise ValueError("sample_weight must hold no negative value, and more than zeros.")
    return weight


def check_domain(A: np.ndarray, name: str, loss: Any) -> None:
    """Check that every value lies where ``loss`` needs it."""
    if loss.domain is None:
        return
    low, high = loss.domain
    found = extremes(A)
    advice = "Shift it, give the loss more levels, or take" if loss.integer else f"Scale {name} (MinMaxScaler), or take"
    if found[0] < low or found[1] > high:
        raise ValueError(
            f"loss={type(loss).__name__} needs {name} in [{low:g}, {high:g}], got values from {found[0]:g} to "
            f"{found[1]:g}. {advice} loss='squared_error' or 'gaussian', which accept any range."
        )
    if loss.integer and A.dtype.kind == "f" and not (np.isnan(A) | (np.rint(A) == A)).all():
        raise ValueError(f"loss={type(loss).__name__} needs whole numbers in {name}; round it, or take another loss.")


def _check_kind(A: np.ndarray, name: str) -> np.ndarray:
    """Refuse what is numeric to NumPy and no number to us (dates, say), and what float32 cannot hold."""
    if A.dtype.kind not in "biuf":
        raise ValueError(f"{name} must hold real numbers, got dtype {A.dtype}.")
    if A.dtype.kind == "f" and A.dtype.itemsize > 4:
        largest = max(map(abs, extremes(A)))
        if largest > float(np.finfo(np.float32).max):
            raise ValueError(f"{name} holds values up to {largest:g}, too large for float32; divide it first.")
    return A
