"""Layers and checks shared by the networks."""

from __future__ import annotations

import itertools
import math
import numbers
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from .._data.pca import Axes, Samples, principal_axes
from .._utils.checks import check_choice, check_number
from .._utils.checks import check_widths as check_widths
from .._utils.memory import check_weights
from .._utils.slots import find_name

ACTIVATIONS = {
    "relu": nn.ReLU,
    "leaky_relu": nn.LeakyReLU,
    "silu": nn.SiLU,
    "gelu": nn.GELU,
    "elu": nn.ELU,
    "tanh": nn.Tanh,
    "identity": nn.Identity,
}
_OTHER_ACTIVATIONS = {"swish": "silu", "linear": "identity"}
DENSE_NORMALIZATIONS = {"batch": nn.BatchNorm1d, "layer": nn.LayerNorm}


def check_activation(activation: Any) -> str:
    """Return the key in ``ACTIVATIONS`` for ``activation``, ignoring case: 'relu' for 'ReLU'."""
    if isinstance(activation, str):
        activation = find_name(activation, ACTIVATIONS, _OTHER_ACTIVATIONS) or activation
    check_choice("activation", activation, tuple(ACTIVATIONS))
    return activation


def dense_stack(
    widths: Sequence[int], activation: str, normalization: str | None = None, dropout: float = 0.0
) -> nn.Sequential:
    """Build linear layers of ``widths``; normalization, activation and dropout follow all but the last."""
    layers: list[nn.Module] = []
    for n_in, n_out in itertools.pairwise(widths):
        check_weights(n_in * n_out)
    for n_in, n_out in itertools.pairwise(widths[:-1]):
        layers.append(nn.Linear(n_in, n_out))
        if normalization is not None:
            layers.append(DENSE_NORMALIZATIONS[normalization](n_out))
        layers.append(ACTIVATIONS[activation]())
        if dropout:
            layers.append(nn.Dropout(dropout))
    return nn.Sequential(*layers, nn.Linear(widths[-2], widths[-1]))


def check_odd(name: str, value: Any) -> None:
    """Check that the width of a centered window is odd."""
    check_number(name, value, numbers.Integral, 1)
    if value % 2 == 0:
        raise ValueError(f"{name} must be odd, got {value}.")


def zero_(layer: Any) -> None:
    """Initialize weights and bias of a layer to 0."""
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)


class LinearSkip(nn.Module):
    """Linear encoder and decoder, added to the nonlinear ones of a network and initialized to PCA.

    A network stores it in the attribute ``skip``, where `Autoencoder.init_from` finds it, so that a bottleneck with an
    ``init_skip`` can initialize it differently.

    Parameters
    ----------
    input_shape : tuple of int
        Shape of one sample.
    n_components, n_outputs : int
        Input width of the decoder, and output width of the encoder.
    """

    def __init__(self, input_shape: Sequence[int], n_components: int, n_outputs: int) -> None:
        super().__init__()
        self.input_shape = tuple(input_shape)
        n_features = math.prod(self.input_shape)
        check_weights(n_features * max(n_components, n_outputs))
        self.encoder = nn.Linear(n_features, n_outputs)
        self.decoder = nn.Linear(n_components, n_features)

    def encode(self, x: Tensor) -> Tensor:
        """Map samples ``(n, *input_shape)`` to (n, n_outputs)."""
        return self.encoder(x.flatten(1))

    def decode(self, z: Tensor) -> Tensor:
        """Map codes (n, n_components) to ``(n, *input_shape)``."""
        x_hat = self.decoder(z)
        return x_hat.unflatten(1, self.input_shape) if len(self.input_shape) > 1 else x_hat

    @torch.no_grad()
    def init_from(self, x: Tensor | Samples) -> None:
        """Initialize to the PCA of the samples ``x``, a tensor ``(n, *input_shape)`` or weighted `Samples`.

        All components are divided by the same number, so that codes have a mean square of 1 and the
        geometry of PCA. Components beyond the rank of the data are initialized to zero.
        """
        axes = self.principal_axes(x, min(self.decoder.in_features, self.encoder.out_features))
        scale = float(axes.variances.mean()) ** 0.5
        if not scale > 1e-6:  # all samples are equal
            scale = 1.0
        same = torch.ones(len(axes.variances), dtype=torch.float64)
        self.set_axes(axes, to_code=same / scale, to_data=same * scale)

    def principal_axes(self, x: Tensor | Samples, n_components: int) -> Axes:
        """Compute at most ``n_components`` principal axes of the samples ``x``, as float64 tensors."""
        seed = int(torch.randint(2**31 - 1, ()))
        return principal_axes(Samples.of(x) if isinstance(x, Tensor) else x, n_components, seed)

    def set_axes(self, axes: Axes, to_code: Tensor, to_data: Tensor) -> None:
        """Set codes to the projections on ``axes`` times ``to_code``; the decoder scales the axes by ``to_data``."""
        k = len(axes.directions)
        encoder = axes.directions * to_code[:, None]
        for half in (self.encoder, self.decoder):
            zero_(half)
        self.encoder.weight[:k] = encoder.to(self.encoder.weight)
        self.encoder.bias[:k] = -(encoder @ axes.mean).to(self.encoder.bias)
        self.decoder.weight[:, :k] = (axes.directions * to_data[:, None]).T.to(self.decoder.weight)
        self.decoder.bias.copy_(axes.mean)
