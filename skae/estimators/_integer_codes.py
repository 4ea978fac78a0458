"""Integer codes of samples, and what a fitted estimator knows of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from .._data.arrays import as_array, as_tensor
from .._data.chunked import check_finite
from .._density.factorized import Factorized
from .._density.integer_codes import check_integer_codes, count_symbols, usage_and_perplexity
from .._module.runner import BatchRunner
from ._fit_data import FitData


def has_integer_codes(est: Any) -> bool:
    """For methods that are there only where codes are integers, as far as is known."""
    if hasattr(est, "net_") and not est.module_.bottleneck.alphabet:
        raise AttributeError(
            f"integer codes need a discrete bottleneck, such as bottleneck='fsq'; got {est.module_.bottleneck!r}."
        )
    return True


def integers_of(module: Any, x: Tensor, quality: float = 0.0) -> Tensor:
    """Return the integer codes of samples in data units, flat (n, n_integers * n_positions), integer by integer."""
    h = check_finite(module.outputs(x), "X")  # as integers do not show it
    return module.quantize(h, module._size_of(x), quality).flatten(1)


def describe_integer_codes(net: Any, data: FitData) -> dict[str, Any]:
    """Return the fitted attributes of discrete codes: their alphabet, their use, and a code model."""
    module = net.module_
    alphabet = module.bottleneck.alphabet
    if not alphabet:
        return {}

    def integers(x: Tensor) -> Tensor:
        return integers_of(module, x)

    flat = BatchRunner(module, net.device).run(integers, data.X, dtype=torch.int64).numpy()
    codes = flat.reshape(len(flat), len(alphabet), *module.map_size())
    present = slice(None) if data.sample_weight is None else data.sample_weight > 0
    usage, perplexity = usage_and_perplexity(count_symbols(codes[present], alphabet), alphabet)
    model = module.bottleneck.code_model()
    if model is None:
        # Positions of crops are no positions of images.
        by_position = "auto" if not getattr(data.layout, "any_size", False) else False
        model = Factorized(alphabet, by_position).fit(codes, data.sample_weight)
    return {"alphabet_": alphabet, "code_usage_": usage, "code_perplexity_": perplexity, "code_model_": model}


def as_user_has_them(est: Any, flat: Tensor, size: Any) -> Tensor:
    """Return flat integer codes as maps where codes are spatial, those of images of ``size`` where these may differ."""
    module = est.module_
    codes = flat.unflatten(1, (len(module.bottleneck.alphabet), -1))
    return codes.unflatten(2, module.map_size(size)) if is_spatial(module) else codes[:, :, 0]


def is_spatial(module: Any) -> bool:
    """Whether a code has positions."""
    return bool(module.any_size) or module.n_positions > 1


def codes_of_integers(est: Any, indices: Any) -> Any:
    """Return the codes of integers that the user gives, as ``inverse_transform`` takes them."""
    if is_spatial(est.module_) and isinstance(indices, list | tuple) and np.ndim(indices[0]) == 3:
        return [_codes(est, as_tensor(A)[None], f"indices[{i}]")[0] for i, A in enumerate(indices)]
    return _codes(est, as_tensor(indices), "indices")


def _codes(est: Any, given: Any, name: str) -> Any:
    """Return the codes of an array or tensor of integers."""
    module = est.module_
    found = np.asarray(as_array(given))
    n_integers = len(module.bottleneck.alphabet)
    if found.ndim != (4 if is_spatial(module) else 2):
        wanted = f"(n, {n_integers}, h, w)" if is_spatial(module) else f"(n, {n_integers})"
        raise ValueError(f"{name} must be of shape {wanted}, as indices returns them, got {found.shape}.")
    found, _ = check_integer_codes(
        found.reshape(*found.shape, *[1] * (4 - found.ndim)), module.bottleneck.alphabet, name
    )
    shape = found.shape[2:]
    if not module.any_size and shape != module.map_size():
        raise ValueError(f"{name} must have {module.map_size()} positions, as in fit, got {shape}.")

    def codes_of(integers: Tensor) -> Tensor:
        return module.dequantize(integers.long())

    flat = BatchRunner(module, est.net_.device).run(codes_of, found, name=name)
    maps = flat.unflatten(1, (-1, *shape)) if module.any_size else flat
    return maps.to(given.device) if isinstance(given, Tensor) else maps.numpy()
