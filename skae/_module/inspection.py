"""Inspection of a network before training: shapes, costs, and side effects."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
_TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
# Layers that draw no random numbers; others may.
_PLAIN = {
    *(*_CONVOLUTIONS, *_TRANSPOSED, nn.Linear, nn.Sequential, nn.ModuleList, nn.Identity),
    *(nn.Flatten, nn.Unflatten, nn.Upsample, nn.PixelShuffle, nn.PixelUnshuffle),
    *(nn.ReLU, nn.LeakyReLU, nn.SiLU, nn.GELU, nn.ELU, nn.Tanh, nn.Sigmoid, nn.MaxPool2d, nn.AvgPool2d),
    *(nn.BatchNorm1d, nn.BatchNorm2d, nn.LayerNorm, nn.GroupNorm),
}


class Costs:
    """Approximate multiplications for a sample, and the largest number of values that a layer computes for it."""

    def __init__(self, n_values: int) -> None:
        self.n_multiplications, self.n_values = 0, n_values

    def add(self, module: nn.Module, args: tuple, output: Any) -> None:
        """Add the cost of a layer: its weights, times the number of their uses for a sample."""
        output = output[0] if isinstance(output, tuple) else output  # recurrent layers return their state too
        if not isinstance(output, Tensor):
            return
        n_uses = 1
        if isinstance(module, _CONVOLUTIONS):
            n_uses = math.prod(output.shape[2:])
        elif isinstance(module, _TRANSPOSED):
            n_uses = math.prod(args[0].shape[2:])
        elif isinstance(module, nn.Linear | nn.RNNBase):
            n_uses = math.prod(output.shape[1:-1])
        self.n_multiplications += n_uses * sum(p.numel() for p in module.parameters(recurse=False))
        self.n_values = max(self.n_values, output[:1].numel())


def is_known(cls: type) -> bool:
    """Return whether a class of layers belongs to skae or torch, so that its behavior is known."""
    return cls.__module__.partition(".")[0] in ("skae", "torch")


def spares_input(network: nn.Module) -> bool:
    """Return whether a network is known not to modify its input, which may be the target or a user's array."""
    return all(is_known(type(layer)) and not getattr(layer, "inplace", False) for layer in network.modules())


def draws_nothing(module: nn.Module) -> bool:
    """Return whether an `Autoencoder` is known to draw no random numbers, with layers of skae and torch."""
    for layer in module.modules():
        ours = type(layer).__module__.partition(".")[0] == "skae"
        # Layers without a declaration are known not to draw if they belong to skae, and assumed to draw otherwise.
        if getattr(layer, "draws", not ours and type(layer) not in _PLAIN):
            return False
    return True


def inspect_network(module: Any) -> Costs:
    """Run two samples through the network of an `Autoencoder`: check shapes before training, and count costs."""
    network = module.network
    name = type(network).__name__
    for method in ("encode", "decode"):
        if not callable(getattr(network, method, None)):
            raise TypeError(f"module must have encode and decode, but {name} has no {method}.")
    x = next(network.parameters(), torch.zeros(())).new_zeros(2, *module.input_shape)
    z = x.new_zeros(2, module.n_codes)
    c = x.new_zeros(2, module.n_conditions) if module.n_conditions else None
    observed = torch.ones_like(x, dtype=torch.bool) if module.reads_padding else None
    network.eval()  # two samples of zeros must not count in running statistics
    costs = Costs(x[0].numel())
    hooks = [layer.register_forward_hook(costs.add) for layer in network.modules()]
    try:
        with torch.no_grad():
            _check_outputs(module, name, module._flat(module._encode(x, observed)))
            raw = module._decode(z, observed, c)
    finally:
        for hook in hooks:
            hook.remove()
    if raw.shape != (2, *module.target_shape):
        raise ValueError(
            f"module: {name}.decode must map 2 codes of shape {module.decoded_shape(z, c)} "
            f"to {(2, *module.target_shape)}, got {tuple(raw.shape)}."
        )
    return costs


def _check_outputs(module: Any, name: str, h: Any) -> None:
    wanted = (module.bottleneck.n_outputs(module.n_components) * module.n_positions,)
    found = tuple(h.shape[1:]) if isinstance(h, Tensor) else type(h).__name__
    if found != wanted:
        positions = f" and its n_positions={module.n_positions}" if module.n_positions > 1 else ""
        raise ValueError(
            f"module: {name}.encode must map samples of shape {module.input_shape} to {wanted} "
            f"for n_components={module.n_components}{positions}, got {found}."
        )
