"""Arrays that are not NumPy's: torch's, and those that scikit-learn's array API dispatch lets in.

What comes in as a tensor stays one, on its device. Arrays of other libraries go through DLPack, and only while
``sklearn.set_config(array_api_dispatch=True)`` holds: without it they become NumPy's, as everywhere in scikit-learn.
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
    """A check of scikit-learn's, whose words of values that overflow are a ValueError, and no warning beside it."""

    @wraps(check)
    def quiet(*args: Any, **kwargs: Any) -> Any:
        args = tuple(_from_list(A) if isinstance(A, list) else A for A in args)
        try:
            with np.errstate(over="ignore", invalid="ignore"):
                return check(*args, **kwargs)
        except OverflowError as error:  # of Python's integers
            raise ValueError(f"{kwargs.get('input_name') or 'X'} holds numbers too large for float64.") from error

    return quiet


def _from_list(A: list) -> Any:
    """A list of rows as an array: in an array scikit-learn takes None for NaN, in a list it does not."""
    try:
        found = np.asarray(A)
    except ValueError:  # of rows of unequal length; the check will tell
        return A
    return found if found.ndim > 1 else A


check_array: Callable[..., Any] = _quietly(utils.check_array)
column_or_1d: Callable[..., Any] = _quietly(utils.column_or_1d)
assert_all_finite: Callable[..., Any] = _quietly(utils.assert_all_finite)
type_of_target: Callable[..., Any] = _quietly(multiclass.type_of_target)
validate_data: Callable[..., Any] = _quietly(validation.validate_data)

_OF_NUMPY = (torch.float16, torch.float32, torch.float64)


def as_tensor(A: Any) -> Any:
    """``A``, where it is an array of another library and dispatch is on, as a tensor; anything else as it is.

    But lists of tensors become lists of arrays, and what is masked becomes NaN: scikit-learn would read it as known.
    """
    if isinstance(A, list | tuple) and any(isinstance(row, Tensor) for row in A):
        return [as_array(row) for row in A]
    if isinstance(A, np.ma.MaskedArray):
        return _without_mask(A)
    if isinstance(A, Tensor) and (A.is_nested or A.is_meta or A.is_quantized):
        kind = "nested" if A.is_nested else "quantised" if A.is_quantized else "on the device 'meta'"
        raise TypeError(f"Tensors must be plain and hold numbers, got one that is {kind}.")
    if isinstance(A, Tensor) and A.is_floating_point() and A.dtype.itemsize == 1:
        return A.float()  # torch computes next to nothing in these
    return torch.from_dlpack(A) if _is_foreign(A) else A


def as_array(A: Any) -> Any:
    """A tensor, and what `as_tensor` makes one of, as a NumPy array, if it can as a view; anything else as it is."""
    A = as_tensor(A)
    if not isinstance(A, Tensor):
        return A
    if A.layout is not torch.strided:
        raise TypeError(f"Sparse tensors are not taken, got one of layout {A.layout}: use to_dense().")
    if A.is_floating_point() and A.dtype not in _OF_NUMPY:  # bfloat16 and narrower ones, which float32 holds
        A = A.float()
    return A.detach().cpu().resolve_conj().resolve_neg().numpy()


def _without_mask(A: np.ma.MaskedArray) -> np.ndarray:
    if not np.ma.is_masked(A):
        return A.data
    if A.dtype.kind not in "biuf":
        raise TypeError(f"Masked arrays must hold real numbers where anything is masked, got dtype {A.dtype}.")
    return np.where(np.ma.getmaskarray(A), np.nan, A.data)


def is_float(A: np.ndarray | Tensor) -> bool:
    """Whether the dtype has NaN."""
    return A.is_floating_point() if isinstance(A, Tensor) else A.dtype.kind == "f"


def is_nan(A: np.ndarray | Tensor) -> Tensor:
    """True where ``A`` is NaN, on its device."""
    return A.isnan() if isinstance(A, Tensor) else torch.from_numpy(np.isnan(A))


def alike(result: Any, X: Any) -> Any:
    """``result``, a tensor or a NumPy array, as an array of X's kind: on its device, where it has one."""
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
    """Let ``method`` return tensors or arrays of any kind: its caller gets the kind of the first argument.

    But for the first argument of `transform` where an estimator is to give DataFrames, which are made of arrays.
    """
    name = list(inspect.signature(method).parameters)[1]

    @wraps(method)
    def wrapped(self: Any, *args: Any, **kwargs: Any) -> Any:
        result = method(self, *args, **kwargs)
        X = args[0] if args else kwargs.get(name)
        if method.__name__ == "transform" and output_container(self) != "default":
            X = None
        return tuple(alike(A, X) for A in result) if isinstance(result, tuple) else alike(result, X)

    return cast(_Method, wrapped)


def _is_foreign(A: Any) -> bool:
    if isinstance(A, Tensor | np.ndarray | np.generic) or not get_config()["array_api_dispatch"]:
        return False
    return hasattr(A, "__array_namespace__") and hasattr(A, "__dlpack__")
