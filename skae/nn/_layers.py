"""Layers that several networks are made of."""

from __future__ import annotations

import itertools
import math
import numbers
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import torch
from sklearn.decomposition import PCA
from torch import Tensor, nn

from .._threads import one_blas_thread
from .._validation import check_number

ACTIVATIONS = {
    "relu": nn.ReLU,
    "leaky_relu": nn.LeakyReLU,
    "silu": nn.SiLU,
    "gelu": nn.GELU,
    "elu": nn.ELU,
    "tanh": nn.Tanh,
    "identity": nn.Identity,
}
DENSE_NORMALIZATIONS = {"batch": nn.BatchNorm1d, "layer": nn.LayerNorm}


def check_widths(name: str, widths: Any) -> list[int]:
    """Check a sequence of layer widths, which may be empty."""
    if isinstance(widths, str) or not isinstance(widths, Iterable):
        raise TypeError(f"{name} must be a sequence of integers, got {widths!r}.")
    widths = list(widths)
    for width in widths:
        check_number(f"every entry of {name}", width, numbers.Integral, 1)
    return [int(width) for width in widths]


def dense_stack(
    widths: Sequence[int], activation: str, normalization: str | None = None, dropout: float = 0.0
) -> nn.Sequential:
    """Linear layers of ``widths``; after each but the last a normalisation, an activation and dropout."""
    layers: list[nn.Module] = []
    for n_in, n_out in itertools.pairwise(widths[:-1]):
        layers.append(nn.Linear(n_in, n_out))
        if normalization is not None:
            layers.append(DENSE_NORMALIZATIONS[normalization](n_out))
        layers.append(ACTIVATIONS[activation]())
        if dropout:
            layers.append(nn.Dropout(dropout))
    return nn.Sequential(*layers, nn.Linear(widths[-2], widths[-1]))


def zero_(layer: Any) -> None:
    """Let a layer give 0, until it learns."""
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)


class LinearSkip(nn.Module):
    """Linear maps from rows to codes and back, beside a network's own way, that start as PCA.

    Parameters
    ----------
    input_shape : tuple of int
        Shape of one row.
    n_components, n_outputs : int
        Width that the decoder takes, and that the encoder gives.
    """

    def __init__(self, input_shape: Sequence[int], n_components: int, n_outputs: int) -> None:
        super().__init__()
        self.input_shape = tuple(input_shape)
        n_features = math.prod(self.input_shape)
        self.encoder = nn.Linear(n_features, n_outputs)
        self.decoder = nn.Linear(n_components, n_features)

    def encode(self, x: Tensor) -> Tensor:
        """Map rows (n, *input_shape) to (n, n_outputs)."""
        return self.encoder(x.flatten(1))

    def decode(self, z: Tensor) -> Tensor:
        """Map codes (n, n_components) to (n, *input_shape)."""
        return self.decoder(z).unflatten(1, self.input_shape)

    @torch.no_grad()
    def init_from(self, x: Tensor) -> None:
        """Become the PCA of the rows ``x``, (n, *input_shape).

        All components share one scale, which brings the codes to a mean square of 1 and keeps the
        geometry of PCA's. Components that the data do not have start at zero.
        """
        rows = x.flatten(1).cpu().numpy()
        k = min(self.decoder.in_features, *rows.shape)
        seed = int(torch.randint(2**31 - 1, ()))
        # Constant rows have no variance to divide by.
        with one_blas_thread(), np.errstate(invalid="ignore"):
            pca = PCA(k, random_state=seed).fit(rows)
        components = torch.from_numpy(pca.components_)
        mean = torch.from_numpy(pca.mean_)
        scale = float(pca.explained_variance_.mean()) ** 0.5
        if not scale > 1e-6:  # constant rows (or one of them): there is nothing to bring to 1
            scale = 1.0
        for half in (self.encoder, self.decoder):
            zero_(half)
        self.encoder.weight[:k] = components / scale
        self.encoder.bias[:k] = -(components @ mean) / scale
        self.decoder.weight[:, :k] = components.T * scale
        self.decoder.bias.copy_(mean)
