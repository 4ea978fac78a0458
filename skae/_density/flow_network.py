"""The network of a normalizing flow: transformations of the package zuko, and a Gaussian mixture that they end in."""

from __future__ import annotations

import math
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
    n_components: int
    n_transforms: int
    n_layers: int
    width: int

    @property
    def n_weights(self) -> int:
        """Number of the weights."""
        d, k, n_components, n_transforms, n_layers, width = self
        n_inputs = k if d == 1 else d + k
        hidden = (n_inputs + 1) * width + (n_layers - 1) * (width + 1) * width
        of_transform = hidden + (width + 1) * 2 * d if n_inputs else 2 * d
        return n_transforms * of_transform + n_components * (1 + k + d + d * d)


class FlowNetwork(nn.Module):
    """A masked autoregressive flow, which starts as the identity, into a Gaussian mixture.

    The weights of the mixture may depend on the conditions, and all of its parameters are trained with the flow.
    """

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        d, k, n_components, n_transforms, n_layers, width = architecture
        flow = import_zuko().flows.MAF(d, k, transforms=n_transforms, hidden_features=[width] * n_layers)
        self.transform = flow.transform
        for transform in self.transform.transforms:
            last = transform.hyper[-1] if d + k > 1 else transform  # one feature alone has no network
            for value in last.parameters():
                nn.init.zeros_(value)
        self.logits = nn.Parameter(torch.zeros(n_components))
        self.slopes = nn.Parameter(torch.zeros(k, n_components))
        self.means = nn.Parameter(torch.zeros(n_components, d))
        self.roots = nn.Parameter(torch.eye(d).repeat(n_components, 1, 1))  # of precisions, upper triangular

    def start_from(self, weights: np.ndarray, means: np.ndarray, roots: np.ndarray) -> None:
        """Set the mixture; ``weights`` are those of the components (K,), or a row for each of the conditions (k, K)."""
        with torch.no_grad():
            target = self.slopes if weights.ndim == 2 else self.logits
            for parameter, value in ((target, np.log(weights)), (self.means, means), (self.roots, roots)):
                parameter.copy_(torch.from_numpy(value))

    def log_weights(self, c: Tensor | None) -> Tensor:
        """Return the logarithms of the weights of the components, (K,) or (n, K)."""
        return torch.log_softmax(self.logits if c is None else self.logits + c @ self.slopes, dim=-1)

    def log_density(self, x: Tensor, c: Tensor | None) -> Tensor:
        """Return the log-densities of rows (n, d), given conditions (n, k)."""
        z, log_determinant = self.transform(c).call_and_ladj(x)
        roots = self.roots.triu()
        n_components, d = self.means.shape
        # (z - mean) @ root for all components as one product of matrices
        away = (z @ roots.movedim(1, 0).reshape(d, -1)).view(-1, n_components, d)
        away = away - torch.einsum("kd,kde->ke", self.means, roots)
        log_volumes = roots.diagonal(dim1=1, dim2=2).abs().log().sum(1)
        joint = self.log_weights(c) + log_volumes - 0.5 * away.square().sum(2)
        return torch.logsumexp(joint, dim=1) - 0.5 * d * math.log(2 * math.pi) + log_determinant

    def draw(self, noise: Tensor, c: Tensor | None) -> Tensor:
        """Return rows (n, d); of ``noise`` (n, d + 1) the first column is uniform, and the others are normal."""
        edges = self.log_weights(c).exp().cumsum(-1).expand(len(noise), -1)
        chosen = (edges < noise[:, :1]).sum(1).clamp(max=len(self.logits) - 1)
        z = torch.empty_like(noise[:, 1:])
        for index in chosen.unique():
            rows = chosen == index
            root = self.roots[index].triu()
            z[rows] = self.means[index] + torch.linalg.solve_triangular(root, noise[rows, 1:], upper=True, left=False)
        return self.transform(c).inv(z)


def make_network(architecture: Architecture, seed: int) -> FlowNetwork:
    """Return a network that is not trained."""
    with Stream(seed):
        return FlowNetwork(architecture)


def restore_network(architecture: Architecture, weights: dict[str, np.ndarray], device: Any) -> FlowNetwork:
    """Return a trained network, in float64: in float32 scores would depend on the rows beside."""
    fits = architecture.n_weights == sum(value.size for value in weights.values())
    network = make_network(architecture, seed=0) if fits else None
    own = {} if network is None else dict(network.named_parameters())
    if network is None or {n: v.shape for n, v in own.items()} != {n: v.shape for n, v in weights.items()}:
        raise ValueError("The weights of this NormalizingFlow are not those of a flow of the zuko here: fit it again.")
    with torch.no_grad():
        for name, value in own.items():
            value.copy_(torch.from_numpy(np.array(weights[name])))
    return network.to(device, torch.float64).eval().requires_grad_(False)
