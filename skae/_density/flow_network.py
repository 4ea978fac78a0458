"""The network of a normalizing flow, which the package zuko provides."""

from __future__ import annotations

from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from .._utils.rng import Stream


def import_zuko() -> ModuleType:
    """Return zuko, or raise an error that says how to install it."""
    try:
        import zuko
    except ImportError as error:
        raise ImportError('A normalizing flow needs zuko: pip install "skae[flow]"') from error
    return zuko


class Architecture(NamedTuple):
    """What a network is made from."""

    n_features: int
    n_conditions: int
    n_transforms: int
    n_layers: int
    width: int
    n_bins: int

    @property
    def n_weights(self) -> int:
        """Number of the weights."""
        d, k, n_transforms, n_layers, width, n_bins = self
        n_outputs = d * (3 * n_bins - 1)
        n_inputs = k if d == 1 else d + k
        if n_inputs == 0:  # no network
            return n_transforms * n_outputs
        return n_transforms * ((n_inputs + 1) * width + (n_layers - 1) * (width + 1) * width + (width + 1) * n_outputs)


def make_network(architecture: Architecture, seed: int) -> nn.Module:
    """Return a neural spline flow that is the identity, whatever the condition is."""
    d, k, n_transforms, n_layers, width, n_bins = architecture
    flows = import_zuko().flows
    with Stream(seed):
        network = flows.NSF(d, k, bins=n_bins, transforms=n_transforms, hidden_features=[width] * n_layers)
    with torch.no_grad():
        for transform in network.transform.transforms:
            last = transform.hyper[-1] if d + k > 1 else transform  # one feature alone has no network
            for value in last.parameters():
                value.zero_()
    return network


def restore_network(architecture: Architecture, weights: dict[str, np.ndarray], device: Any) -> nn.Module:
    """Return a trained network, in float64: in float32 the inverse of a spline loses digits, or is not defined."""
    fits = architecture.n_weights == sum(value.size for value in weights.values())
    network = make_network(architecture, seed=0) if fits else nn.Module()
    own = dict(network.named_parameters())
    if {name: value.shape for name, value in own.items()} != {name: value.shape for name, value in weights.items()}:
        raise ValueError("The weights of this NormalizingFlow are not those of a flow of the zuko here: fit it again.")
    with torch.no_grad():
        for name, value in own.items():
            value.copy_(torch.from_numpy(np.array(weights[name])))
    return network.to(device, torch.float64).eval().requires_grad_(False)


def log_density(network: Any, x: Tensor, c: Tensor | None) -> Tensor:
    """Return the log-density of white rows (n, d), given conditions (n, k)."""
    return network(c).log_prob(x)


def invert(network: Any, noise: Tensor, c: Tensor | None) -> Tensor:
    """Return the white rows that the flow maps to ``noise`` (n, d)."""
    return network.transform(c).inv(noise)
