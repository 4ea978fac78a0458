"""Torch tensors, and arrays accepted through scikit-learn's array API dispatch.

Tensors stay tensors, on their device. Arrays of other libraries are converted by DLPack, and only with
``sklearn.set_config(array_api_dispatch=True)``: otherwise they become NumPy arrays, as everywhere in scikit-learn.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar, cast

import numpy as np
import torch
from sklearn import get_config, utils
from sklearn.utils import multiclass, validation
from torch import Tensor

from .._utils.sklearn_compat import output_container

_Method = TypeVar("_Method", bound=Callable[..., Any])


def _quietly(check: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap a scikit-learn check so that overflow raises ValueError, without warnings."""

    @wraps(check)
    def quiet(*args: Any, **kwargs: Any) -> Any:
        args = tuple(_from_list(A) if isinstance(A, list) else A for A in args)
        try:
            with np.errstate(over="ignore", invalid="ignore"):
                return check(*args, **kwargs)
        except OverflowError as error:  # Python integers are unbounded
            raise ValueError(f"{kwargs.get('input_name') or 'X'} contains numbers too large for float64.") from error

    return quiet


def _from_list(A: list) -> Any:
    """Convert nested lists to an array, in which scikit-learn reads None as NaN; in a list it does not."""
    try:
        found = np.asarray(A)
    except ValueError:  # rows of unequal length, which the check reports
        return A
    return found if found.ndim > 1 else A


check_array: Callable[..., Any] = _quietly(utils.check_array)
column_or_1d: Callable[..., Any] = _quietly(utils.column_or_1d)
assert_all_finite: Callable[..., Any] = _quietly(utils.assert_all_finite)
type_of_target: Callable[..., Any] = _quietly(multiclass.type_of_target)
validate_data: Callable[..., Any] = _quietly(validation.validate_data)

_OF_NUMPY = (torch.float16, torch.float32, torch.float64)


def as_tensor(A: Any) -> Any:
    """Return an array of another library as a tensor if dispatch is enabled; anything else unchanged.

    Exceptions: lists of tensors become lists of arrays, and masked values become NaN, since scikit-learn ignores masks.
    """
    if isinstance(A, list | tuple) and any(isinstance(row, Tensor) for row in A):
        return [as_array(row) for row in A]
    if isinstance(A, np.ma.MaskedArray):
        return _without_mask(A)
    if isinstance(A, Tensor) and (A.is_nested or A.is_meta or A.is_quantized):
        kind = "nested" if A.is_nested else "quantized" if A.is_quantized else "on the device 'meta'"
        raise TypeError(f"Tensors must be dense and contain data, got one that is {kind}.")
    if isinstance(A, Tensor) and A.is_floating_point() and A.dtype.itemsize == 1:
        return A.float()  # torch supports few operations in 8-bit floats
    return torch.from_dlpack(A) if _is_foreign(A) else A


def as_array(A: Any) -> Any:
    """Return tensors, and arrays that `as_tensor` converts, as NumPy arrays, as views if possible."""
    A = as_tensor(A)
    if not isinstance(A, Tensor):
        return A
    if A.layout is not torch.strided:
        raise TypeError(f"Sparse tensors are not supported, got the layout {A.layout}: use to_dense().")
    if A.is_floating_point() and A.dtype not in _OF_NUMPY:  # bfloat16 has no NumPy dtype
        A = A.float()
    return A.detach().cpu().resolve_conj().resolve_neg().numpy()


def _without_mask(A: np.ma.MaskedArray) -> np.ndarray:
    if not np.ma.is_masked(A):
        return A.data
    if A.dtype.kind not in "biuf":
        raise TypeError(
            f"Masked arrays must have a floating-point or integer dtype if values are masked, got dtype {A.dtype}."
        )
    return np.where(np.ma.getmaskarray(A), np.nan, A.data)


def is_float(A: np.ndarray | Tensor) -> bool:
    """Return whether the dtype is floating point, so that values may be NaN."""
    return A.is_floating_point() if isinstance(A, Tensor) else A.dtype.kind == "f"


def is_nan(A: np.ndarray | Tensor) -> Tensor:
    """Return a bool tensor that is True where ``A`` is NaN, on its device."""
    return A.isnan() if isinstance(A, Tensor) else torch.from_numpy(np.isnan(A))


def as_type_of(result: Any, X: Any) -> Any:
    """Convert ``result``, a tensor or a NumPy array, to X's array type and device."""
    X_tensor = as_tensor(X)
    if not isinstance(X_tensor, Tensor):
        return as_array(result)
    if isinstance(result, np.ndarray):
        result = torch.from_numpy(np.require(result, requirements=["C", "W"])).to(X_tensor.device)
    if isinstance(X, Tensor):
        return result
    result = X.__array_namespace__().from_dlpack(result)
    return result if result.device == X.device else result.to_device(X.device)


def return_input_type(method: _Method) -> _Method:
    """Convert the result of ``method``, tensors or NumPy arrays, to the array type of its first argument.

    Not for `transform` where `set_output` asks for DataFrames, which are built from arrays.
    """
    name = list(inspect.signature(method).parameters)[1]

    @wraps(method)
    def wrapped(self: Any, *args: Any, **kwargs: Any) -> Any:
        result = method(self, *args, **kwargs)
        X = args[0] if args else kwargs.get(name)
        if method.__name__ == "transform" and output_container(self) != "default":
            X = None
        return tuple(as_type_of(A, X) for A in result) if isinstance(result, tuple) else as_type_of(result, X)

    return cast(_Method, wrapped)


def _is_foreign(A: Any) -> bool:
    if isinstance(A, Tensor | np.ndarray | np.generic) or not get_config()["array_api_dispatch"]:
        return False
    return hasattr(A, "__array_namespace__") and hasattr(A, "__dlpack__")
