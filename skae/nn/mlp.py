"""A dense network with a linear skip connection initialized to PCA."""

from __future__ import annotations

import math
import numbers
from collections.abc import Sequence

from torch import Tensor, nn

from .._utils.checks import check_choice, check_number
from ._layers import DENSE_NORMALIZATIONS, LinearSkip, check_activation, check_widths, dense_stack, zero_


class MLP(nn.Module):
    r"""Multilayer perceptron, with a decoder that mirrors the encoder.

    With ``linear_skip`` encoder and decoder are the sum of a linear map and a network,

    .. math:: z = W_e x + b_e + f(x), \qquad \hat x = W_d z + b_d + g(z),

    where the last layers of f and g are initialized to zero and `init_from` sets the linear maps to
    PCA, so that training starts from the best linear reconstruction.

    Parameters
    ----------
    input_shape : tuple of int
        Shape of one sample, which is flattened for the first layer.
    n_components : int
        Latent size: the input width of `decode`.
    n_outputs : int, default=None
        Output width of `encode`. If None, ``n_components``.
    hidden_layer_sizes : int or sequence of int, default=(256, 128)
        Widths of the encoder's hidden layers; the decoder has them in reverse order. An int is a single layer; with
        ``()`` encoder and decoder are linear.
    activation : {'silu', 'relu', 'leaky_relu', 'gelu', 'elu', 'tanh', 'identity'}, default='silu'
        Activation function after each hidden layer; upper and lower case are equivalent. Code and output are linear.
    normalization : {None, 'batch', 'layer'}, default=None
        Normalization before each activation.
    dropout : float, default=0.0
        Fraction of hidden units dropped during training, in [0, 1).
    linear_skip : bool, default=True
        Whether to add the linear maps. Without them f and g have torch's default initialization.

    Examples
    --------
    >>> import torch
    >>> network = MLP(input_shape=(8, 8), n_components=3, hidden_layer_sizes=(32,))
    >>> z = network.encode(torch.zeros(5, 8, 8))
    >>> z.shape, network.decode(z).shape
    (torch.Size([5, 3]), torch.Size([5, 8, 8]))
    """

    def __init__(
        self,
        input_shape: Sequence[int],
        n_components: int,
        n_outputs: int | None = None,
        *,
        hidden_layer_sizes: int | Sequence[int] = (256, 128),
        activation: str = "silu",
        normalization: str | None = None,
        dropout: float = 0.0,
        linear_skip: bool = True,
    ) -> None:
        super().__init__()
        activation = check_activation(activation)
        check_choice("normalization", normalization, (None, *DENSE_NORMALIZATIONS))
        check_number("dropout", dropout, numbers.Real, 0, 1, bounds="left")
        check_choice("linear_skip", linear_skip, (True, False))
        hidden = check_widths("hidden_layer_sizes", hidden_layer_sizes)
        self.input_shape = tuple(input_shape)
        n_features = math.prod(self.input_shape)
        n_outputs = n_components if n_outputs is None else n_outputs
        self.skip = LinearSkip(self.input_shape, n_components, n_outputs) if linear_skip else None
        # Without hidden layers f and g would be linear too, and redundant with the skip connection.
        nested = bool(hidden) or not linear_skip
        layers = activation, normalization, dropout
        self.encoder = dense_stack([n_features, *hidden, n_outputs], *layers) if nested else None
        self.decoder = dense_stack([n_components, *reversed(hidden), n_features], *layers) if nested else None
        if linear_skip and nested:
            for half in (self.encoder, self.decoder):
                zero_(half[-1])  # type: ignore[index]

    def encode(self, x: Tensor) -> Tensor:
        """Map samples ``(n, *input_shape)`` to (n, n_outputs)."""
        if self.encoder is None:
            return self.skip.encode(x)  # type: ignore[union-attr]
        h = self.encoder(x.flatten(1))
        return h if self.skip is None else h + self.skip.encode(x)

    def decode(self, z: Tensor) -> Tensor:
        """Map codes (n, n_components) to ``(n, *input_shape)``."""
        if self.decoder is None:
            return self.skip.decode(z)  # type: ignore[union-attr]
        raw = self.decoder(z)
        if len(self.input_shape) > 1:  # even a view has a cost in the backward pass
            raw = raw.unflatten(1, self.input_shape)
        return raw if self.skip is None else raw + self.skip.decode(z)

    def init_from(self, x: Tensor) -> bool:
        """Initialize the linear maps to the PCA of ``x``, ``(n, *input_shape)``; return whether there are any."""
        if self.skip is None:
            return False
        self.skip.init_from(x)
        return True
