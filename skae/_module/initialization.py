"""Initialization of an autoencoder from training data."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from .._data.pca import Samples
from .._utils.slots import takes
from ..bottlenecks import Bottleneck
from ..losses import Loss
from ..nn._layers import LinearSkip

_LOSS_SAMPLES = 4096  # enough for a scale


@torch.no_grad()
def init_from(module: Any, u: Tensor, c: Tensor | None = None, samples: Samples | None = None) -> bool:
    """Initialize the parts of an `Autoencoder` from standardized samples, in the order of the forward pass.

    Parameters
    ----------
    module : Autoencoder
        Module, which is left in training mode.
    u : Tensor of shape (n, *input_shape)
        Samples for all parts; a random subset of the training data if these are many or weighted.
    c : Tensor of shape (n, n_conditions), default=None
        Conditions of the samples.
    samples : Samples, default=None
        All samples with their weights, NaN imputed, for the linear maps of skae's networks; ``u`` if None.

    Returns
    -------
    trusted : bool
        Whether the initialization, such as PCA, is already a solution, on which training must improve significantly.
    """
    module.eval()
    if isinstance(module.mean, float):  # then features have nonzero means
        axes = tuple(range(u.ndim - module.baseline.ndim))
        module.baseline.copy_(u.nanmean(axes).nan_to_num() if module.may_have_nan else u.mean(axes))
    filled = module._fill(u)
    if module.noise is not None:
        module.noise.init_from(filled)
    # PCA is a solution only for a loss with the identity link.
    trusted = module.loss.linear_start and _init_network(module, filled, samples) and module.loss.identity_link
    if type(module.bottleneck).init_from is not Bottleneck.init_from:
        h = module._h_to_bottleneck(module._flat(module._encode(filled, module._observed(u))))
        trusted = _init_bottleneck(module, h) is not False and trusted
    if type(module.loss).init_from is not Loss.init_from and not module.translates:  # targets are not available here
        some = slice(None, None, math.ceil(len(u) / _LOSS_SAMPLES))
        _init_loss(module, u[some], None if c is None else c[some])
    module.train()
    return trusted


def _init_network(module: Any, filled: Tensor, samples: Samples | None) -> bool:
    """Initialize the network, by the bottleneck if it supports this; return whether it is already a solution."""
    network, bottleneck = module.network, module.bottleneck

    def data_for(method: Callable[..., Any]) -> Any:
        return samples if samples is not None and method.__module__.startswith("skae.") else filled

    skip = getattr(network, "skip", None)
    if isinstance(skip, LinearSkip) and bottleneck.init_skip(skip, data_for(bottleneck.init_skip)) is not False:
        return True
    # Networks have no base class to declare a default.
    return hasattr(network, "init_from") and bool(network.init_from(data_for(network.init_from)))


def _init_bottleneck(module: Any, h: Tensor) -> bool | None:
    """Initialize the bottleneck from the encoder's output."""
    init_from = module.bottleneck.init_from
    if not takes(init_from, "generator"):
        return init_from(h)
    seed = int(torch.randint(2**31 - 1, ()))
    return init_from(h, generator=torch.Generator().manual_seed(seed))


def _init_loss(module: Any, u: Tensor, c: Tensor | None) -> None:
    """Initialize the loss, such as the scale of a likelihood, from reconstructions."""
    raw = module(u, c)[0]
    target = u if module.loss.domain is None else module._in_data_units(u).float()
    target = target.repeat(len(raw) // len(u), *[1] * (u.ndim - 1))
    observed = ~target.isnan() if module.may_have_nan else None
    module.loss.init_from(raw, target.nan_to_num() if module.may_have_nan else target, observed)
