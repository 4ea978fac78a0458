"""Integer codes of samples, and the fitted attributes that describe them."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from .._data.arrays import as_array, as_tensor
from .._data.chunked import check_finite
from .._density.factorized import Factorized
from .._density.integer_codes import check_integer_codes, count_symbols, usage_and_perplexity
from .._density.integer_prior import INTEGER_DENSITIES, IntegerPrior
from .._module.runner import BatchRunner
from ._fit_data import FitData


def has_integer_codes(est: Any) -> bool:
    """Check that codes are integers, for the availability of methods."""
    if hasattr(est, "net_") and not est.module_.bottleneck.alphabet:
        raise AttributeError(
            f"integer codes need a discrete bottleneck, such as bottleneck='fsq'; got {est.module_.bottleneck!r}."
        )
    return True


def integers_of(module: Any, x: Tensor, quality: float = 0.0, *, economical: bool = False) -> Tensor:
    """Return the integer codes of samples in data units, flat (n, n_integers * n_positions), integer by integer."""
    h = check_finite(module.outputs(x), "X")  # since integers cannot be NaN
    return module.quantize(h, module._size_of(x), quality, economical=economical).flatten(1)


def describe_integer_codes(net: Any, data: FitData, prior: Any) -> dict[str, Any]:
    """Return the fitted attributes of discrete codes: alphabet, usage and entropy model.

    The entropy model is that trained with the bottleneck, if any; or else the fitted ``prior``, if it is a single
    density of integer codes.
    """
    alphabet = net.module_.bottleneck.alphabet
    if not alphabet:
        return {}
    codes = _integer_codes(net, data)
    present = slice(None) if data.sample_weight is None else data.sample_weight > 0
    usage, perplexity = usage_and_perplexity(count_symbols(codes[present], alphabet), alphabet)
    model = net.module_.bottleneck.code_model()
    if model is None and isinstance(prior, INTEGER_DENSITIES):
        model = prior
    if model is None:
        # Positions in crops are not positions in images.
        by_position = "auto" if not getattr(data.layout, "any_size", False) else False
        model = Factorized(alphabet, by_position).fit(codes, data.sample_weight)
    return {"alphabet_": alphabet, "code_usage_": usage, "code_perplexity_": perplexity, "code_model_": model}


def _integer_codes(net: Any, data: FitData) -> np.ndarray:
    """Return the integer codes of the samples of a fit, (n, n_integers, h, w)."""
    module = net.module_

    def integers(x: Tensor) -> Tensor:
        return integers_of(module, x)

    flat = BatchRunner(module, net.device).run(integers, data.X, dtype=torch.int64).numpy()
    return flat.reshape(len(flat), len(module.bottleneck.alphabet), *module.map_size())


def check_integer_prior(prior: Any, bottleneck: Any) -> None:
    """Raise an error for a density of integer codes without a discrete bottleneck."""
    if isinstance(prior, INTEGER_DENSITIES) and not bottleneck.discrete:
        raise ValueError(
            f"prior={type(prior).__name__} is a density of integer codes: it needs a discrete bottleneck, such as "
            f"bottleneck='fsq', got {type(bottleneck).__name__}."
        )


def is_integer_density(density: Any) -> bool:
    """Return whether a fitted prior, or those of classes, are densities of integer codes."""
    return any(isinstance(one, INTEGER_DENSITIES) for one in (density if isinstance(density, list) else [density]))


def fit_integer_prior(prior: Any, net: Any, data: FitData, seed: int, earlier: Any) -> Any:
    """Return a density of the integer codes of the samples of a fit, or a list of one for each class."""
    alphabet = net.module_.bottleneck.alphabet
    if not alphabet:
        raise ValueError(
            f"prior={type(prior).__name__} needs a bottleneck with an alphabet, such as bottleneck='fsq', got "
            f"{net.module_.bottleneck!r}."
        )
    of_crops = getattr(data.layout, "any_size", False)
    found = IntegerPrior(prior, data.condition, alphabet, of_crops=of_crops)
    return found.fit(_integer_codes(net, data), data.c, data.sample_weight, seed, earlier)


def draw_integer_codes(est: Any, c: np.ndarray | None, n: int, size: Any, seed: int) -> np.ndarray:
    """Draw from ``prior_``, a density of integer codes; return flat codes (n, n_codes), of images of ``size``."""
    module = est.module_
    prior = IntegerPrior(est.prior_, est._context, est.alphabet_, of_crops=False)
    integers = prior.draw_integers(est.prior_, c, n, module.map_size(size), seed)
    return _dequantized(est, integers, "the codes").numpy()


def _dequantized(est: Any, integers: np.ndarray, name: str) -> Tensor:
    """Return the flat codes (n, n_codes) of integers (n, n_integers, h, w)."""

    def codes_of(integers: Tensor) -> Tensor:
        return est.module_.dequantize(integers.long())

    return BatchRunner(est.module_, est.net_.device).run(codes_of, integers, name=name)


def as_user_has_them(est: Any, flat: Tensor, size: Any) -> Tensor:
    """Return flat integer codes as maps if codes are spatial, for images of ``size`` if sizes may differ."""
    module = est.module_
    codes = flat.unflatten(1, (len(module.bottleneck.alphabet), -1))
    return codes.unflatten(2, module.map_size(size)) if is_spatial(module) else codes[:, :, 0]


def is_spatial(module: Any) -> bool:
    """Return whether codes are spatial."""
    return bool(module.any_size) or module.n_positions > 1


def codes_of_integers(est: Any, indices: Any) -> Any:
    """Return the codes of integers passed by the user, for ``inverse_transform``."""
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
        raise ValueError(f"{name} must have the shape {wanted}, as returned by indices, got {found.shape}.")
    found, _ = check_integer_codes(
        found.reshape(*found.shape, *[1] * (4 - found.ndim)), module.bottleneck.alphabet, name
    )
    shape = found.shape[2:]
    if not module.any_size and shape != module.map_size():
        raise ValueError(f"{name} must have {module.map_size()} positions, as in fit, got {shape}.")
    flat = _dequantized(est, found, name)
    maps = flat.unflatten(1, (-1, *shape)) if module.any_size else flat
    return maps.to(given.device) if isinstance(given, Tensor) else maps.numpy()
